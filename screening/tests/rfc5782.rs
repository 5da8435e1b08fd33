//! The examples of RFC 5782.
#![allow(missing_docs, clippy::unwrap_used)]

use mail_dns::{Name, Zone, resolve_blocking};
use screening::dnsbl::{Dnsbl, Family, Health, List, Lists, Outcome, SelfTest};
use screening::network::entry_name;

fn outcome(zone: &Zone, list: &str, client: &str) -> Outcome {
    let mut list = List::new(list.parse().unwrap(), 1);
    list.reason = true;
    let lists = Lists::new([list], 1, &Default::default()).unwrap();
    let dnsbl = Dnsbl::new(client.parse::<std::net::IpAddr>().unwrap(), &lists);
    let verdict = resolve_blocking(dnsbl, |question| zone.answer(question));
    verdict.lists[0].outcome.clone()
}

#[test]
fn section_2_1_ipv4() {
    let zone = Zone::new()
        .a("99.2.0.192.bad.example.com", [127, 0, 0, 2])
        .txt(
            "99.2.0.192.bad.example.com",
            "Dynamic address, see http://bad.example.com?192.0.2.99",
        );
    assert_eq!(
        outcome(&zone, "bad.example.com", "192.0.2.99"),
        Outcome::Listed {
            codes: vec![[127, 0, 0, 2].into()],
            reason: Some("Dynamic address, see http://bad.example.com?192.0.2.99".to_owned()),
        }
    );
    assert_eq!(
        outcome(&zone, "bad.example.com", "192.0.2.98"),
        Outcome::NotListed
    );
}

#[test]
fn section_2_4_ipv6() {
    let zone: Name = "ugly.example.com".parse().unwrap();
    let entry = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com";
    let address = "2001:db8:1:2:3:4:567:89ab";
    assert_eq!(entry_name(address.parse().unwrap(), &zone), entry.parse());
    let zone = Zone::new()
        .a(entry, [127, 0, 0, 2])
        .txt(entry, "Spam received.");
    assert!(matches!(
        outcome(&zone, "ugly.example.com", address),
        Outcome::Listed { reason: Some(reason), .. } if reason == "Spam received."
    ));
}

#[test]
fn section_6_a_wildcard_for_a_network() {
    let zone = Zone::new().a("*.2.0.192.bad.example.com", [127, 0, 0, 2]);
    assert!(matches!(
        outcome(&zone, "bad.example.com", "192.0.2.1"),
        Outcome::Listed { .. }
    ));
    assert_eq!(
        outcome(&zone, "bad.example.com", "192.0.3.1"),
        Outcome::NotListed
    );
}

#[test]
fn section_5_the_test_entries_of_an_ipv6_list() {
    let entry = entry_name(
        "::ffff:7f00:2".parse().unwrap(),
        &"bad.example.com".parse().unwrap(),
    )
    .unwrap();
    let zone = Zone::new().a(&entry.to_string(), [127, 0, 0, 2]);
    let test = SelfTest::new(&"bad.example.com".parse().unwrap(), Family::Ipv6).unwrap();
    assert_eq!(
        resolve_blocking(test, |question| zone.answer(question)),
        Health::Works
    );
}
