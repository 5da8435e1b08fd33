//! The Received-SPF field of RFC 7208 §9.1: its examples read, and what a hostile client can put into one that is written.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use mail_dns::{Zone, resolve_blocking};
use spf::received_spf::{ReceivedSpfError, ReceivedSpfFault};
use spf::{CheckHost, Client, Config, Identity, ReceivedSpf, SpfResult};

const EXAMPLES: [&str; 3] = [
    " pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted sender)\r\n    receiver=mybox.example.org; client-ip=192.0.2.1;\r\n    envelope-from=\"myname@example.com\"; helo=foo.example.com;\r\n",
    " fail (mybox.example.org: domain of\r\n                  myname@example.com does not designate\r\n                  192.0.2.1 as permitted sender)\r\n                  identity=mailfrom; client-ip=192.0.2.1;\r\n                  envelope-from=\"myname@example.com\";\r\n",
    " pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted sender)\r\n    receiver=mybox.example.org; client-ip=192.0.2.1;\r\n    mechanism=ip4:192.0.2.1; envelope-from=\"myname@example.com\";\r\n    helo=foo.example.com;\r\n",
];

#[test]
fn the_examples() {
    for (body, result, receiver, mechanism, helo) in [
        (
            EXAMPLES[0],
            SpfResult::Pass,
            Some("mybox.example.org"),
            None,
            Some("foo.example.com"),
        ),
        (EXAMPLES[1], SpfResult::Fail, None, None, None),
        (
            EXAMPLES[2],
            SpfResult::Pass,
            Some("mybox.example.org"),
            Some("ip4:192.0.2.1"),
            Some("foo.example.com"),
        ),
    ] {
        let field: ReceivedSpf = body.parse().unwrap();
        assert_eq!(field.result(), result);
        assert_eq!(field.value("receiver"), receiver);
        assert_eq!(field.value("MECHANISM"), mechanism);
        assert_eq!(field.value("helo"), helo);
        assert_eq!(field.value("client-ip"), Some("192.0.2.1"));
        assert_eq!(field.value("envelope-from"), Some("myname@example.com"));
        assert!(
            field
                .comment()
                .unwrap()
                .starts_with("mybox.example.org: domain of")
        );
        assert_eq!(field.to_string().parse(), Ok(field));
    }
}

#[test]
fn what_is_no_field() {
    use ReceivedSpfFault::{Character, Key, Result, Separator, TooLong, Unclosed};
    for (body, at, fault) in [
        ("", 0, Result),
        ("passed", 0, Result),
        ("pass (open", 5, Unclosed),
        ("pass helo=\"open", 10, Unclosed),
        ("pass helo", 9, Key),
        ("pass =x", 5, Key),
        ("pass a=b c=d", 9, Separator),
        ("pass (\u{1b})", 6, Character),
        ("pass\r\nX: y", 4, Character),
        (&"p".repeat(9000), 8192, TooLong),
    ] {
        assert_eq!(
            body.parse::<ReceivedSpf>(),
            Err(ReceivedSpfError { at, fault }),
            "{body:?}"
        );
    }
}

fn field(client: &Client, identity: Identity, sender: &str, record: &str) -> ReceivedSpf {
    let zone = Zone::new().txt("example.com", record);
    let check = CheckHost::new(client, identity, sender, &Config::default());
    let verdict = resolve_blocking(check, |question| zone.answer(question));
    ReceivedSpf::new(&verdict, client, "mx.example.org")
}

#[test]
fn what_is_written() {
    let client = Client::new([192, 0, 2, 1], "foo.example.com");
    let written = field(
        &client,
        Identity::MailFrom,
        "joe@example.com",
        "v=spf1 ip4:192.0.2.0/24 -all",
    )
    .to_field()
    .unwrap();
    assert_eq!(
        written,
        "Received-SPF: pass (mx.example.org: domain of joe@example.com designates\r\n 192.0.2.1 as permitted sender) identity=mailfrom; receiver=mx.example.org;\r\n client-ip=192.0.2.1; envelope-from=\"joe@example.com\"; helo=foo.example.com;\r\n mechanism=\"ip4:192.0.2.0/24\"\r\n"
    );
    let none = field(&client, Identity::MailFrom, "joe@example.com", "v=spf1");
    assert_eq!(
        (none.result(), none.value("mechanism")),
        (SpfResult::Neutral, Some("default"))
    );
    let error = field(&client, Identity::Helo, "example.com", "v=spf1 moo");
    assert_eq!(
        error.value("problem"),
        Some("example.com: unknown mechanism at octet 7 of the SPF record")
    );
    assert_eq!(
        (error.value("envelope-from"), error.value("identity")),
        (None, Some("helo"))
    );
    let client = Client::new(
        "2001:db8::1".parse::<std::net::IpAddr>().unwrap(),
        "foo.example.com",
    );
    let ipv6 = field(&client, Identity::Helo, "example.com", "v=spf1 -all")
        .to_field()
        .unwrap();
    assert!(ipv6.contains("client-ip=\"2001:db8::1\";"), "{ipv6}");
}

#[test]
fn a_hostile_client() {
    let long = "x".repeat(70_000);
    for helo in [
        "a)\r\nX-Spam: no",
        "a\"; client-ip=203.0.113.9; x=\"",
        "a\\",
        "(((((",
        "\u{202e}\0\u{7f}\u{e9}",
        "",
        " ",
        &long,
    ] {
        let client = Client::new([192, 0, 2, 1], helo);
        for sender in ["joe@example.com", helo, &format!("{helo}@example.com")] {
            for identity in [Identity::MailFrom, Identity::Helo] {
                let field = field(&client, identity, sender, "v=spf1 -all");
                let written = field.to_field().unwrap();
                let body = written.strip_prefix("Received-SPF:").unwrap();
                assert!(
                    body.is_ascii() && body.lines().skip(1).all(|line| line.starts_with(' ')),
                    "{body}"
                );
                assert!(body.lines().all(|line| line.len() <= 998));
                let read: ReceivedSpf = body.parse().unwrap();
                assert_eq!(
                    read.pairs().collect::<Vec<_>>(),
                    field.pairs().collect::<Vec<_>>()
                );
                assert_eq!(read.value("client-ip"), Some("192.0.2.1"));
                assert_eq!(
                    read.pairs().filter(|(key, _)| *key == "client-ip").count(),
                    1
                );
            }
        }
    }
}
