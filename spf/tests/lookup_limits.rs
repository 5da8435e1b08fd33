//! The limits of RFC 7208 §4.6.4, at and beyond each, and that nothing asks more than 111 questions.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;

use mail_dns::{Evaluation, Name, Need, Question, Record, Zone, resolve_blocking};
use spf::{Cause, CheckHost, Client, Config, Explain, Identity, SpfResult, Verdict};

fn evaluate(zone: &Zone, ip: &str, config: &Config) -> (Verdict, usize) {
    let client = Client::new(ip.parse::<IpAddr>().unwrap(), "mail.example.org");
    let check = CheckHost::new(&client, Identity::MailFrom, "joe@example.com", config);
    let mut asked = 0;
    let verdict = resolve_blocking(check, |question| {
        asked += 1;
        zone.answer(question)
    });
    (verdict, asked)
}

fn result(zone: &Zone, ip: &str) -> (SpfResult, Cause) {
    let (verdict, _) = evaluate(zone, ip, &Config::default());
    (verdict.result, verdict.cause)
}

#[test]
fn ten_terms_with_lookups_over_all_records() {
    // Eight of the first record and its redirect, one of the second.
    let zone = |more: &str| {
        let eight = "a a a a a a include:i.example.com mx";
        Zone::new()
            .txt(
                "example.com",
                &format!("v=spf1 ip4:192.0.2.0/24 {eight} redirect=r.example.com"),
            )
            .txt("i.example.com", "v=spf1 ip4:192.0.2.0/24 -all")
            .txt(
                "r.example.com",
                &format!("v=spf1 a:example.com {more} ip4:203.0.113.9 -all"),
            )
            .a("example.com", [192, 0, 2, 1])
            .mx("example.com", 10, "example.com")
    };
    assert_eq!(result(&zone(""), "203.0.113.9").0, SpfResult::Pass);
    // The question was answered before, and counts all the same.
    let eleven = result(&zone("a:example.com"), "203.0.113.9");
    assert_eq!(eleven, (SpfResult::PermError, Cause::TooManyTerms));
    assert_eq!(
        result(&zone("a:example.com"), "192.0.2.9").0,
        SpfResult::Pass
    );
}

#[test]
fn a_loop_ends() {
    for record in [
        "v=spf1 include:example.com -all",
        "v=spf1 redirect=example.com",
    ] {
        let zone = Zone::new().txt("example.com", record);
        let (verdict, asked) = evaluate(&zone, "203.0.113.9", &Config::default());
        assert_eq!(
            (verdict.cause, asked, verdict.terms),
            (Cause::TooManyTerms, 1, 11)
        );
    }
}

#[test]
fn the_macro_p_counts_as_the_term_it_is() {
    let zone = |count: usize| {
        let terms = "exists:%{p}.example.com ".repeat(count);
        Zone::new()
            .txt("example.com", &format!("v=spf1 {terms}-all"))
            .a("unknown.example.com", [127, 0, 0, 2])
    };
    // The first matches already; what counts is that it costs two.
    let (verdict, asked) = evaluate(&zone(1), "203.0.113.9", &Config::default());
    assert_eq!(
        (verdict.result, verdict.terms, asked),
        (SpfResult::Pass, 2, 3)
    );
    let mut config = Config::default();
    config.limits.terms = 1;
    assert_eq!(
        evaluate(&zone(1), "203.0.113.9", &config).0.cause,
        Cause::TooManyTerms
    );
}

#[test]
fn two_void_lookups() {
    let zone = |record: &str| {
        Zone::new()
            .txt("example.com", record)
            .txt(
                "i.example.com",
                "v=spf1 a:no1.example.com a:no2.example.com -all",
            )
            .txt("j.example.com", "v=spf1 exists:no3.example.com -all")
            .exists("nodata.example.com")
            .mx("v4.example.com", 10, "v4a.example.com")
            .mx("v4.example.com", 20, "v4b.example.com")
            .mx("v4.example.com", 30, "v4c.example.com")
            .a("v4a.example.com", [192, 0, 2, 1])
    };
    let many = (SpfResult::PermError, Cause::TooManyVoidLookups);
    assert_eq!(
        result(&zone("v=spf1 include:i.example.com ?all"), "192.0.2.9").0,
        SpfResult::Neutral
    );
    assert_eq!(
        result(
            &zone("v=spf1 include:i.example.com include:j.example.com ?all"),
            "192.0.2.9"
        ),
        many
    );
    assert_eq!(
        result(
            &zone(
                "v=spf1 a:nodata.example.com mx:nodata.example.com exists:nodata.example.com +all"
            ),
            "192.0.2.9"
        ),
        many
    );
    assert_eq!(
        result(
            &zone("v=spf1 a:nodata.example.com a:nodata.example.com a:nodata.example.com +all"),
            "192.0.2.9"
        ),
        many
    );
    // An `mx` with hosts is not void, however few of them have an address of the client's kind.
    assert_eq!(
        result(
            &zone("v=spf1 mx:v4.example.com a:no1.example.com a:no2.example.com +all"),
            "2001:db8::1"
        )
        .0,
        SpfResult::Pass
    );
}

#[test]
fn ten_exchanges() {
    let zone = |count: u16| {
        (0..count).fold(
            Zone::new().txt("example.com", "v=spf1 mx -all"),
            |zone, number| {
                zone.mx("example.com", number, &format!("mx{number}.example.com"))
                    .a(&format!("mx{number}.example.com"), [192, 0, 2, 0])
            },
        )
    };
    assert_eq!(result(&zone(10), "192.0.2.0").0, SpfResult::Pass);
    let domain = "example.com".parse().unwrap();
    // Also where one of the first ten would match: nothing depends on the order of the response.
    assert_eq!(
        result(&zone(11), "192.0.2.0"),
        (SpfResult::PermError, Cause::TooManyExchanges { domain })
    );
}

#[test]
fn the_first_ten_names_of_the_client() {
    let zone = |valid: usize| {
        let zone = Zone::new()
            .txt("example.com", "v=spf1 ptr -all")
            .a(&format!("h{valid}.example.com"), [192, 0, 2, 1]);
        (0..20).fold(zone, |zone, number| {
            zone.ptr("1.2.0.192.in-addr.arpa", &format!("h{number}.example.com"))
        })
    };
    assert_eq!(result(&zone(9), "192.0.2.1").0, SpfResult::Pass);
    assert_eq!(result(&zone(10), "192.0.2.1").0, SpfResult::Fail);
}

#[test]
fn never_more_than_111_questions() {
    let mut zone = Zone::new().txt("example.com", "v=spf1 include:i.example.com mx:m1.example.com mx:m2.example.com mx:m3.example.com mx:m4.example.com mx:m5.example.com mx:m6.example.com mx:m7.example.com mx:m8.example.com mx:m9.example.com mx:m10.example.com");
    zone.insert(
        "i.example.com".parse().unwrap(),
        Record::Txt(mail_dns::Txt::new(["v=spf1 -all"])),
    );
    for term in 0..=10 {
        for host in 0..10 {
            zone = zone.mx(
                &format!("m{term}.example.com"),
                host,
                &format!("h{host}.m{term}.example.com"),
            );
        }
    }
    let (verdict, asked) = evaluate(&zone, "192.0.2.1", &Config::default());
    assert_eq!(
        (verdict.cause, asked),
        (Cause::TooManyTerms, 1 + 1 + 9 * 11)
    );

    let zone = zone.txt("example.org", "v=spf1 mx:m0.example.com mx:m1.example.com mx:m2.example.com mx:m3.example.com mx:m4.example.com mx:m5.example.com mx:m6.example.com mx:m7.example.com mx:m8.example.com mx:m9.example.com -all exp=%{p}.example.org");
    let client = Client::new([192, 0, 2, 1], "example.org");
    let zone = (0..10).fold(zone, |zone, host| {
        zone.ptr("1.2.0.192.in-addr.arpa", &format!("p{host}.example.net"))
    });
    let count = |explain| {
        let mut config = Config::default();
        config.explain = explain;
        let mut asked = Vec::new();
        let verdict = resolve_blocking(CheckHost::helo(&client, &config), |question| {
            assert!(!asked.contains(question), "asked twice: {question}");
            asked.push(question.clone());
            zone.answer(question)
        });
        (verdict.result, asked.len())
    };
    assert_eq!(count(None), (SpfResult::Fail, 111));
    assert_eq!(
        count(Some(Explain {
            receiver: "unknown".to_owned(),
            now: 0
        })),
        (SpfResult::Fail, 123)
    );
}

#[test]
fn the_hosts_of_an_mx_are_asked_together_and_answered_in_any_order() {
    let zone = (0..4).fold(
        Zone::new().txt("example.com", "v=spf1 mx -all"),
        |zone, host| {
            let name = format!("h{host}.example.com");
            zone.mx("example.com", 10, &name)
                .a(&name, [192, 0, 2, host])
        },
    );
    let client = Client::new([192, 0, 2, 2], "example.org");
    let drive = |order: [usize; 4]| {
        let mut check = CheckHost::new(
            &client,
            Identity::MailFrom,
            "joe@example.com",
            &Config::default(),
        );
        for kind in ["TXT", "MX"] {
            let Need::Lookup(question) = check.poll() else {
                panic!("no question")
            };
            assert_eq!(
                question,
                Question::new("example.com".parse().unwrap(), kind.parse().unwrap())
            );
            assert!(matches!(check.poll(), Need::Wait));
            // What nobody asked for, and a second answer, change nothing.
            let other = Question::new(Name::root(), question.kind);
            check.answer(&other, &mail_dns::Answer::no_data());
            check.answer(&question, &zone.answer(&question));
            check.answer(&question, &mail_dns::Answer::nx_domain());
        }
        let mut open = Vec::new();
        while let Need::Lookup(question) = check.poll() {
            open.push(question);
        }
        assert_eq!(open.len(), 4);
        for at in order {
            check.answer(&open[at], &zone.answer(&open[at]));
        }
        match check.poll() {
            Need::Done(verdict) => verdict.result,
            need => panic!("{need:?}"),
        }
    };
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        assert_eq!(drive(order), SpfResult::Pass);
    }
}
