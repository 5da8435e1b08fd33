//! Sentences of RFC 7208 with a MUST that no other test stands for.
#![allow(missing_docs, clippy::unwrap_used)]

use mail_dns::{Answer, Question, Record, Txt, Zone, resolve_blocking};
use spf::macros::DomainSpec;
use spf::{CheckHost, Client, Config, Identity, SpfResult};

fn check(zone: &Zone) -> SpfResult {
    let client = Client::new([192, 0, 2, 1], "mail.example.com");
    let check = CheckHost::new(
        &client,
        Identity::MailFrom,
        "joe@example.com",
        &Config::default(),
    );
    resolve_blocking(check, |question| zone.answer(question)).result
}

fn record(record: &str) -> SpfResult {
    check(
        &Zone::new()
            .txt("example.com", record)
            .txt("other.example.com", "v=spf1 +all"),
    )
}

#[test]
fn strings_are_joined_without_spaces() {
    let client = Client::new([192, 0, 2, 1], "mail.example.com");
    for (strings, expected) in [
        (&["v=spf1 ip4:192.0", ".2.1 -all"][..], SpfResult::Pass),
        (&["v=sp", "f1", " -a", "", "ll"], SpfResult::Fail),
        (&["v=spf1 mx", "-all"], SpfResult::PermError),
        (&["v=spf1", "-all"], SpfResult::None),
    ] {
        let check = CheckHost::new(
            &client,
            Identity::MailFrom,
            "joe@example.com",
            &Config::default(),
        );
        let verdict = resolve_blocking(check, |_: &Question| {
            let txt = Txt::new(strings.iter().map(|string| string.as_bytes()));
            Answer::found([Record::Txt(txt)])
        });
        assert_eq!(verdict.result, expected, "{strings:?}");
    }
}

#[test]
fn what_stands_behind_all_is_ignored() {
    assert_eq!(record("v=spf1 -all ip4:192.0.2.1"), SpfResult::Fail);
    assert_eq!(record("v=spf1 ~all -all"), SpfResult::SoftFail);
}

#[test]
fn redirect_is_ignored_beside_all() {
    for text in [
        "v=spf1 -all redirect=other.example.com",
        "v=spf1 redirect=other.example.com -all",
    ] {
        assert_eq!(record(text), SpfResult::Fail, "{text}");
    }
    assert_eq!(record("v=spf1 redirect=other.example.com"), SpfResult::Pass);
}

#[test]
fn a_host_is_no_exchange_of_its_own() {
    let zone = Zone::new()
        .txt("example.com", "v=spf1 mx -all")
        .a("example.com", [192, 0, 2, 1]);
    assert_eq!(check(&zone), SpfResult::Fail);
}

#[test]
fn unknown_modifiers_are_ignored_anywhere_and_as_often_as_they_come() {
    for text in [
        "v=spf1 x=y ip4:192.0.2.1 -all",
        "v=spf1 ip4:192.0.2.1 x=y x=y -all x=z",
        "v=spf1 x=-all ip4:192.0.2.1 -all",
        "v=spf1 all.x=%{d} ip4:192.0.2.1 -all",
    ] {
        assert_eq!(record(text), SpfResult::Pass, "{text}");
    }
}

#[test]
fn a_trailing_dot_is_accepted() {
    for text in [
        "v=spf1 include:other.example.com. -all",
        "v=spf1 redirect=other.example.com.",
    ] {
        assert_eq!(record(text), SpfResult::Pass, "{text}");
    }
}

#[test]
fn as_many_parts_as_a_name_has_labels() {
    for keep in ["127", "128", "4294967295", "99999999999999999999"] {
        let text = format!("v=spf1 include:other.%{{d{keep}}} -all");
        assert_eq!(record(&text), SpfResult::Pass, "{text}");
    }
    assert!("%{d0}.example.com".parse::<DomainSpec>().is_err());
    assert!("%{d00}.example.com".parse::<DomainSpec>().is_err());
}
