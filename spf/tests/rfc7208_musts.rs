//! Sentences of RFC 7208 with a MUST that no other test is named after.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use mail_dns::{Question, Record, RecordType, Txt, Zone, resolve_blocking};
use spf::{CheckHost, Client, Config, Explain, Explanation, SpfResult, Verdict};

fn check_with(zone: &Zone, config: &Config) -> (Verdict, Vec<Question>) {
    let client = Client::new([192, 0, 2, 1], "helo.example.org");
    let path = "<joe@example.com>".parse().unwrap();
    let mut asked = Vec::new();
    let check = CheckHost::mail_from(&client, &path, config);
    let verdict = resolve_blocking(check, |question| {
        asked.push(question.clone());
        zone.answer(question)
    });
    (verdict, asked)
}

fn check(zone: &Zone) -> SpfResult {
    check_with(zone, &Config::default()).0.result
}

fn of_record(record: &str) -> SpfResult {
    check(&Zone::new().txt("example.com", record))
}

#[test]
fn strings_are_joined_without_spaces() {
    let strings = |strings: [&str; 2]| Record::Txt(Txt::new(strings));
    let zone = |both| Zone::new().record("example.com", strings(both));
    assert_eq!(
        check(&zone(["v=spf1 ip4:192.0.", "2.1 -all"])),
        SpfResult::Pass
    );
    // "v=spf1ip4:…" has no version section.
    assert_eq!(
        check(&zone(["v=spf1", "ip4:192.0.2.1 -all"])),
        SpfResult::None
    );
}

#[test]
fn no_other_type_than_txt_is_asked_for() {
    let zone = Zone::new().txt("example.com", "v=spf1 ip4:192.0.2.1 -all");
    let (verdict, asked) = check_with(&zone, &Config::default());
    assert_eq!(verdict.result, SpfResult::Pass);
    assert_eq!(
        asked,
        [Question::new(
            "example.com".parse().unwrap(),
            RecordType::Txt
        )]
    );
}

#[test]
fn several_records_are_an_error() {
    let zone = Zone::new()
        .txt("example.com", "v=spf1 +all")
        .txt("example.com", "v=spf1 -all")
        .txt("example.com", "something else");
    assert_eq!(check(&zone), SpfResult::PermError);
}

#[test]
fn what_stands_behind_all_is_ignored() {
    let zone = Zone::new().txt(
        "example.com",
        "v=spf1 ~all include:nowhere.example ip4:192.0.2.1",
    );
    let (verdict, asked) = check_with(&zone, &Config::default());
    assert_eq!((verdict.result, asked.len()), (SpfResult::SoftFail, 1));
}

#[test]
fn redirect_is_ignored_beside_all() {
    for record in [
        "v=spf1 redirect=other.example ?all",
        "v=spf1 ?all redirect=other.example",
    ] {
        let zone = Zone::new()
            .txt("example.com", record)
            .txt("other.example", "v=spf1 -all");
        let (verdict, asked) = check_with(&zone, &Config::default());
        assert_eq!(
            (verdict.result, asked.len()),
            (SpfResult::Neutral, 1),
            "{record}"
        );
    }
}

#[test]
fn no_implicit_mx() {
    let zone = Zone::new()
        .txt("example.com", "v=spf1 mx -all")
        .a("example.com", [192, 0, 2, 1]);
    let (verdict, asked) = check_with(&zone, &Config::default());
    assert_eq!(verdict.result, SpfResult::Fail);
    assert!(asked.iter().all(|question| question.kind != RecordType::A));
}

#[test]
fn modifiers_twice_and_unknown_ones() {
    for (record, expected) in [
        (
            "v=spf1 redirect=a.example redirect=a.example",
            SpfResult::PermError,
        ),
        (
            "v=spf1 exp=a.example ip4:192.0.2.1 exp=b.example",
            SpfResult::PermError,
        ),
        (
            "v=spf1 moo=cow ip4:192.0.2.1 moo=%{d} -all moo=",
            SpfResult::Pass,
        ),
        ("v=spf1 moo=%{x} ip4:192.0.2.1", SpfResult::PermError),
    ] {
        assert_eq!(of_record(record), expected, "{record}");
    }
}

#[test]
fn ptr_is_supported() {
    let zone = Zone::new()
        .txt("example.com", "v=spf1 ptr -all")
        .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
        .a("mail.example.com", [192, 0, 2, 1]);
    assert_eq!(check(&zone), SpfResult::Pass);
}

#[test]
fn explanations_are_those_of_the_last_redirect_and_of_no_include() {
    let zone = |record: &str, text: &str| {
        Zone::new()
            .txt("example.com", record)
            .txt("in.example", "v=spf1 ip4:192.0.2.1 exp=why.in.example -all")
            .txt("to.example", "v=spf1 exp=why.to.example -all")
            .txt("plain.example", "v=spf1 -all")
            .txt("why.example.com", text)
            .txt("why.in.example", "of the include")
            .txt("why.to.example", "of the redirect")
    };
    let mut config = Config::default();
    config.explain = Some(Explain {
        receiver: "mx.example.org".to_owned(),
        now: 0,
    });
    let of = |record: &str, text: &str| {
        let (verdict, _) = check_with(&zone(record, text), &config);
        assert_eq!(verdict.result, SpfResult::Fail, "{record}");
        verdict.explanation.as_ref().map(Explanation::to_string)
    };
    for (record, text, expected) in [
        (
            "v=spf1 -include:in.example exp=why.example.com -all",
            "own",
            Some("own"),
        ),
        ("v=spf1 -include:in.example -all", "own", None),
        (
            "v=spf1 exp=why.example.com redirect=to.example",
            "own",
            Some("of the redirect"),
        ),
        (
            "v=spf1 exp=why.example.com redirect=plain.example",
            "own",
            None,
        ),
        // No text that is not US-ASCII gets into a reply.
        ("v=spf1 exp=why.example.com -all", "gr\u{fc}n", None),
        ("v=spf1 exp=why.example.com -all", "a\r\nb", None),
        ("v=spf1 -all", "own", None),
    ] {
        assert_eq!(of(record, text).as_deref(), expected, "{record}");
    }
}

#[test]
fn final_dots_and_digits_of_macros() {
    let zone = |record: &str| {
        Zone::new()
            .txt("example.com", record)
            .a("a.example.net", [192, 0, 2, 1])
            .a("example.com.net", [192, 0, 2, 1])
            .a("joe%40example.com.url.net", [127, 0, 0, 2])
    };
    for (record, expected) in [
        ("v=spf1 a:a.example.net. -all", SpfResult::Pass),
        ("v=spf1 exists:%{d0}.net -all", SpfResult::PermError),
        ("v=spf1 a:%{d127}.net -all", SpfResult::Pass),
        ("v=spf1 a:%{d4294967295}.net -all", SpfResult::Pass),
        ("v=spf1 exists:%{S}.url.net -all", SpfResult::Pass),
    ] {
        assert_eq!(check(&zone(record)), expected, "{record}");
    }
}
