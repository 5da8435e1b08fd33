//! The extended examples of RFC 7208 Appendix A.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr};

use mail_dns::{Zone, resolve_blocking};
use spf::{CheckHost, Client, Config, Identity, SpfResult};

/// The DNS setup of the appendix.
fn setup() -> Zone {
    let hosts = [
        ("", 10),
        ("", 11),
        ("amy.", 65),
        ("bob.", 66),
        ("mail-a.", 129),
        ("mail-b.", 130),
    ];
    let zone = hosts.into_iter().fold(Zone::new(), |zone, (label, last)| {
        let name = format!("{label}example.com");
        zone.a(&name, [192, 0, 2, last])
            .ptr(&format!("{last}.2.0.192.in-addr.arpa"), &name)
    });
    zone.mx("example.com", 10, "mail-a.example.com")
        .mx("example.com", 20, "mail-b.example.com")
        .cname("www.example.com", "example.com")
        .mx("example.org", 10, "mail-c.example.org")
        .a("mail-c.example.org", [192, 0, 2, 140])
        .ptr("140.2.0.192.in-addr.arpa", "mail-c.example.org")
        .ptr("4.0.0.10.in-addr.arpa", "bob.example.com")
}

fn result(zone: &Zone, ip: impl Into<IpAddr>, sender: &str) -> SpfResult {
    let client = Client::new(ip, "mail.example.net");
    let check = CheckHost::new(&client, Identity::MailFrom, sender, &Config::default());
    resolve_blocking(check, |question| zone.answer(question)).result
}

/// The last octets of the addresses of 192.0.2.0/24 that pass.
fn passing(record: &str) -> Vec<u8> {
    let zone = setup().txt("example.com", record);
    let passes =
        |last: &u8| result(&zone, [192, 0, 2, *last], "joe@example.com") == SpfResult::Pass;
    (0..=255).filter(passes).collect()
}

#[test]
fn a_1_simple_examples() {
    assert_eq!(passing("v=spf1 +all").len(), 256);
    for (record, hosts) in [
        ("v=spf1 a -all", &[10, 11][..]),
        ("v=spf1 a:example.org -all", &[]),
        ("v=spf1 mx -all", &[129, 130]),
        ("v=spf1 mx:example.org -all", &[140]),
        ("v=spf1 mx mx:example.org -all", &[129, 130, 140]),
        (
            "v=spf1 mx/30 mx:example.org/30 -all",
            &[128, 129, 130, 131, 140, 141, 142, 143],
        ),
        ("v=spf1 ptr -all", &[10, 11, 65, 66, 129, 130]),
        (
            "v=spf1 ip4:192.0.2.128/28 -all",
            &[
                128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143,
            ],
        ),
    ] {
        assert_eq!(passing(record), hosts, "{record}");
    }
    // "sending host 10.0.0.4 fails (reverse IP is not valid)"
    let zone = setup().txt("example.com", "v=spf1 ptr -all");
    assert_eq!(
        result(&zone, [10, 0, 0, 4], "joe@example.com"),
        SpfResult::Fail
    );
}

#[test]
fn a_2_multiple_domains() {
    let zone = setup()
        .txt("example.com", "v=spf1 mx -all")
        .txt("example.net", "v=spf1 ip4:203.0.113.7 -all")
        .txt(
            "example.org",
            "v=spf1 include:example.com include:example.net -all",
        )
        .txt("la.example.org", "v=spf1 redirect=example.org");
    for (last, expected) in [
        ([192, 0, 2, 129], SpfResult::Pass),
        ([203, 0, 113, 7], SpfResult::Pass),
        ([192, 0, 2, 140], SpfResult::Fail),
    ] {
        assert_eq!(result(&zone, last, "joe@example.org"), expected);
        assert_eq!(result(&zone, last, "joe@la.example.org"), expected);
    }
}

#[test]
fn a_3_users_of_their_own_servers() {
    let zone = setup()
        .txt(
            "example.com",
            "v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all",
        )
        .txt(
            "mobile-users._spf.example.com",
            "v=spf1 exists:%{l1r+}.%{d}",
        )
        .txt(
            "remote-users._spf.example.com",
            "v=spf1 exists:%{ir}.%{l1r+}.%{d}",
        )
        .a("mary.mobile-users._spf.example.com", [127, 0, 0, 2])
        .a(
            "15.15.168.192.joel.remote-users._spf.example.com",
            [127, 0, 0, 2],
        );
    let elsewhere = Ipv4Addr::new(203, 0, 113, 9);
    assert_eq!(
        result(&zone, elsewhere, "mary@example.com"),
        SpfResult::Pass
    );
    assert_eq!(
        result(&zone, elsewhere, "lists+mary@example.com"),
        SpfResult::Fail
    );
    assert_eq!(
        result(&zone, elsewhere, "mary+lists@example.com"),
        SpfResult::Pass
    );
    assert_eq!(
        result(&zone, elsewhere, "joel@example.com"),
        SpfResult::Fail
    );
    assert_eq!(
        result(&zone, [192, 168, 15, 15], "joel@example.com"),
        SpfResult::Pass
    );
    assert_eq!(
        result(&zone, [192, 0, 2, 129], "joel@example.com"),
        SpfResult::Pass
    );
}

#[test]
fn a_4_multiple_requirements() {
    let zone = setup()
        .txt(
            "example.com",
            "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all",
        )
        .txt("ip4._spf.example.com", "v=spf1 -ip4:192.0.2.0/24 +all")
        .txt("ptr._spf.example.com", "v=spf1 -ptr:example.com +all");
    assert_eq!(
        result(&zone, [192, 0, 2, 65], "joe@example.com"),
        SpfResult::Pass
    );
    assert_eq!(
        result(&zone, [192, 0, 2, 140], "joe@example.com"),
        SpfResult::Fail
    );
    assert_eq!(
        result(&zone, [10, 0, 0, 4], "joe@example.com"),
        SpfResult::Fail
    );
}
