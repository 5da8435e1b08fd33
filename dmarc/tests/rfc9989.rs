//! The examples and rules of RFC 9989, by section.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dmarc::{
    Alignment, Authentication, AuthorDomains, AuthorFault, Cause, Config, Disposition, Dmarc,
    DmarcResult, Override, Policy, PolicyOverride, Record, Verdict,
};
use mail_dns::{Answer, Evaluation, Failure, Need, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::Domain;

fn author(domain: &str) -> AuthorDomains {
    AuthorDomains::One(Domain::parse_utf8(domain).unwrap())
}

/// SPF and DKIM domains that passed; a `?` before one stands for a temporary error, a `!` for a failure.
fn begin(from: &str, spf: &[&str], dkim: &[&str], config: &Config) -> Dmarc {
    let mut dmarc = Dmarc::new(&author(from), config);
    let read = |text: &str| {
        let (authentication, domain) = match text.split_at(1) {
            ("?", domain) => (Authentication::TempError, domain),
            ("!", domain) => (Authentication::Fail, domain),
            _ => (Authentication::Pass, text),
        };
        (Domain::parse_utf8(domain).unwrap(), authentication)
    };
    for (domain, authentication) in spf.iter().map(|text| read(text)) {
        dmarc.spf(&domain, authentication);
    }
    for (domain, authentication) in dkim.iter().map(|text| read(text)) {
        dmarc.dkim(&domain, authentication);
    }
    dmarc.no_more_identifiers();
    dmarc
}

fn evaluate(zone: &Zone, from: &str, spf: &[&str], dkim: &[&str]) -> (Verdict, Vec<Question>) {
    let mut asked = Vec::new();
    let dmarc = begin(from, spf, dkim, &Config::default());
    let verdict = resolve_blocking(dmarc, |question| {
        asked.push(question.clone());
        zone.answer(question)
    });
    (verdict, asked)
}

fn organizational_domain(zone: &Zone, from: &str) -> String {
    evaluate(zone, from, &[], &[])
        .0
        .organizational_domain
        .unwrap()
        .to_string()
}

#[test]
fn section_4_10_eight_queries() {
    let (verdict, asked) = evaluate(
        &Zone::new(),
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        &[],
        &[],
    );
    let names: Vec<String> = asked
        .iter()
        .map(|question| question.name.to_string())
        .collect();
    let wanted = [
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com.",
        "_dmarc.g.h.i.j.mail.example.com.",
        "_dmarc.h.i.j.mail.example.com.",
        "_dmarc.i.j.mail.example.com.",
        "_dmarc.j.mail.example.com.",
        "_dmarc.mail.example.com.",
        "_dmarc.example.com.",
        "_dmarc.com.",
    ];
    let bare = |name: &str| name.trim_end_matches('.').to_owned();
    assert_eq!(
        names.iter().map(|name| bare(name)).collect::<Vec<_>>(),
        wanted.map(bare)
    );
    assert_eq!(
        (verdict.result, verdict.cause),
        (DmarcResult::None, Cause::NoRecord)
    );
}

#[test]
fn section_4_10_2_the_organizational_domain() {
    let plain = "v=DMARC1; p=none";
    let zone = Zone::new()
        .txt("_dmarc.mail.example.com", plain)
        .txt("_dmarc.example.com", plain);
    assert_eq!(
        organizational_domain(&zone, "a.mail.example.com"),
        "example.com"
    );

    let zone = Zone::new()
        .txt("_dmarc.mail.example.com", "v=DMARC1; p=none; psd=n")
        .txt("_dmarc.example.com", plain);
    assert_eq!(
        organizational_domain(&zone, "a.mail.example.com"),
        "mail.example.com"
    );

    let zone = Zone::new().txt("_dmarc.com", "v=DMARC1; p=none; psd=y");
    assert_eq!(
        organizational_domain(&zone, "a.mail.example.com"),
        "example.com"
    );

    // A psd=y at the very start stops the walk, and the domain is its own organization.
    let zone = Zone::new()
        .txt("_dmarc.example.com", "v=DMARC1; p=none; psd=y")
        .txt("_dmarc.com", plain);
    assert_eq!(organizational_domain(&zone, "example.com"), "example.com");
    assert_eq!(
        organizational_domain(&zone, "mail.example.com"),
        "mail.example.com"
    );
    // One label below, also where the walk left labels out.
    let zone = Zone::new().txt("_dmarc.b.c.d.e.f.example.com", "v=DMARC1; p=none; psd=y");
    assert_eq!(
        organizational_domain(&zone, "x.y.z.a.b.c.d.e.f.example.com"),
        "a.b.c.d.e.f.example.com"
    );
    // Nothing anywhere.
    assert_eq!(
        organizational_domain(&Zone::new(), "a.mail.example.com"),
        "a.mail.example.com"
    );
}

#[test]
fn section_4_10_1_which_record_is_in_force() {
    let record_domain = |zone: &Zone, from: &str| {
        let verdict = evaluate(zone, from, &[], &[]).0;
        (
            verdict.record_domain.map(|domain| domain.to_string()),
            verdict.policy,
        )
    };
    let found = |domain: &str, policy| (Some(domain.to_owned()), Some(policy));
    // The PSD's only where the Organizational Domain has none; what lies between is not asked for a policy.
    let psd = Zone::new()
        .txt("_dmarc.com", "v=DMARC1; p=none; sp=reject; psd=y")
        .exists("a.example.com");
    assert_eq!(
        record_domain(&psd, "a.example.com"),
        found("com", Policy::Reject)
    );
    let between = psd
        .clone()
        .txt("_dmarc.example.com", "v=DMARC1; p=quarantine");
    assert_eq!(
        record_domain(&between, "a.example.com"),
        found("example.com", Policy::Quarantine)
    );
    let above = Zone::new()
        .txt("_dmarc.b.example.com", "v=DMARC1; p=reject")
        .txt("_dmarc.example.com", "v=DMARC1; p=none");
    assert_eq!(
        record_domain(&above, "a.b.example.com"),
        found("example.com", Policy::None)
    );
    assert_eq!(
        record_domain(&above, "b.example.com"),
        found("b.example.com", Policy::Reject)
    );
    assert_eq!(
        record_domain(
            &Zone::new().txt("_dmarc.example.com", "v=DMARC1"),
            "example.com"
        )
        .1,
        None
    );
}

#[test]
fn section_4_7_np_is_for_names_that_do_not_exist() {
    let zone = Zone::new()
        .txt(
            "_dmarc.example.com",
            "v=DMARC1; p=none; sp=quarantine; np=reject",
        )
        .a("host.example.com", [192, 0, 2, 1])
        .txt("below.ent.example.com", "")
        .cname("alias.example.com", "gone.example.net");
    for (from, policy) in [
        ("host.example.com", Policy::Quarantine),
        ("ent.example.com", Policy::Quarantine),
        ("alias.example.com", Policy::Quarantine),
        ("nothing.example.com", Policy::Reject),
        ("example.com", Policy::None),
    ] {
        assert_eq!(
            evaluate(&zone, from, &[], &[]).0.policy,
            Some(policy),
            "{from}"
        );
    }
    // Whether the domain exists is asked only where it makes a difference.
    let zone = Zone::new().txt(
        "_dmarc.example.com",
        "v=DMARC1; p=none; sp=reject; np=reject",
    );
    let (verdict, asked) = evaluate(&zone, "nothing.example.com", &[], &[]);
    assert_eq!(verdict.disposition, Disposition::Reject);
    assert!(
        asked
            .iter()
            .all(|question| question.kind == RecordType::Txt)
    );
}

#[test]
fn section_4_7_test_mode_is_one_level_below() {
    for (policy, disposition) in [
        ("reject", Disposition::Quarantine),
        ("quarantine", Disposition::None),
        ("none", Disposition::None),
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", &format!("v=DMARC1; p={policy}; t=y"));
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!(
            (verdict.result, verdict.disposition),
            (DmarcResult::Fail, disposition)
        );
        assert_eq!(verdict.policy.unwrap().to_string(), policy);
    }
}

#[test]
fn section_4_4_alignment() {
    let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=reject");
    let aligned = |zone: &Zone, from: &str, identifier: &str| {
        let by_spf = evaluate(zone, from, &[identifier], &[]).0;
        let by_dkim = evaluate(zone, from, &[], &[identifier]).0;
        assert_eq!(by_spf.result, by_dkim.result);
        by_dkim.result == DmarcResult::Pass
    };
    assert!(aligned(&zone, "news.example.com", "foo.example.com"));
    assert!(aligned(&zone, "news.example.com", "NEWS.example.COM"));
    assert!(!aligned(&zone, "news.example.com", "foo.example.net"));
    assert!(!aligned(&zone, "news.example.com", "com"));
    assert!(!aligned(&zone, "example.com", "notexample.com"));
    // A part of the organization that keeps to itself.
    let apart = zone
        .clone()
        .txt("_dmarc.apart.example.com", "v=DMARC1; p=none; psd=n");
    assert!(!aligned(&apart, "news.example.com", "apart.example.com"));
    assert!(!aligned(&apart, "apart.example.com", "example.com"));
    assert!(aligned(&apart, "apart.example.com", "x.apart.example.com"));
    let strict = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=reject; adkim=s; aspf=s");
    assert!(!aligned(&strict, "example.com", "foo.example.com"));
    assert!(aligned(&strict, "news.example.com", "news.example.com"));
    // RFC 9989 §5.3.1: U-labels are A-labels.
    let international = Zone::new().txt("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=reject");
    assert!(aligned(
        &international,
        "bücher.example",
        "xn--bcher-kva.example"
    ));
    assert!(aligned(
        &international,
        "xn--bcher-kva.example",
        "bücher.example"
    ));
}

#[test]
fn section_5_3_1_one_author_domain() {
    for from in [
        "a@example.com, b@example.net",
        "undisclosed:;",
        "joe@[192.0.2.1]",
        "joe",
        "<a@example.com> <b@example.net>",
        "\"joe@example.com\" b@",
    ] {
        let authors = AuthorDomains::of_from(from.as_bytes());
        let mut dmarc = Dmarc::new(&authors, &Config::default());
        dmarc.dkim(&"example.com".parse().unwrap(), Authentication::Pass);
        let Need::Done(verdict) = dmarc.poll() else {
            panic!("{from}");
        };
        assert_eq!(
            (verdict.result, verdict.disposition),
            (DmarcResult::PermError, Disposition::Reject),
            "{from}"
        );
        assert!(matches!(verdict.cause, Cause::Author(_)));
    }
    let same = AuthorDomains::of_from(b"a@example.com, b@EXAMPLE.com");
    assert!(matches!(
        Dmarc::new(&same, &Config::default()).poll(),
        Need::Lookup(_)
    ));
}

#[test]
fn section_5_3_6_a_failed_lookup_is_neither_pass_nor_fail() {
    let record = |policy: &str| {
        Zone::new()
            .txt("_dmarc.example.com", policy)
            .exists("news.example.com")
    };
    let zone = record("v=DMARC1; p=reject; np=none");
    let outcome = |zone: &Zone, from: &str, spf: &[&str], dkim: &[&str]| {
        let verdict = evaluate(zone, from, spf, dkim).0;
        (verdict.result, verdict.disposition)
    };
    let temporary = (DmarcResult::TempError, Disposition::None);
    let pass = (DmarcResult::Pass, Disposition::None);
    let refused = (DmarcResult::Fail, Disposition::Reject);
    // The author's own record, one on the way, and one that nobody needs.
    let own = zone
        .clone()
        .fail("_dmarc.news.example.com", Failure::ServFail);
    assert_eq!(
        outcome(&own, "news.example.com", &[], &["news.example.com"]),
        temporary
    );
    let way = Zone::new().fail("_dmarc.example.com", Failure::Timeout);
    assert_eq!(outcome(&way, "news.example.com", &[], &[]), temporary);
    let above = zone.clone().fail("_dmarc.com", Failure::Timeout);
    assert_eq!(outcome(&above, "example.com", &[], &[]), refused);
    assert_eq!(outcome(&above, "example.com", &[], &["example.com"]), pass);
    assert_eq!(
        outcome(&above, "example.com", &["x.example.com"], &[]),
        temporary
    );
    let stopped = record("v=DMARC1; p=reject; psd=n").fail("_dmarc.com", Failure::Timeout);
    assert_eq!(
        outcome(&stopped, "example.com", &["x.example.com"], &[]),
        pass
    );
    // An identifier's walk.
    let identifier = zone.clone().fail("_dmarc.x.example.com", Failure::Timeout);
    assert_eq!(
        outcome(&identifier, "example.com", &[], &["x.example.com"]),
        temporary
    );
    assert_eq!(
        outcome(
            &identifier,
            "example.com",
            &["example.com"],
            &["x.example.com"]
        ),
        pass
    );
    // SPF or DKIM themselves.
    assert_eq!(
        outcome(&zone, "example.com", &["?example.com"], &[]),
        temporary
    );
    assert_eq!(
        outcome(&zone, "example.com", &["?y.example.com"], &["!example.com"]),
        temporary
    );
    assert_eq!(
        outcome(&zone, "example.com", &["?example.com"], &["y.example.com"]),
        pass
    );
    assert_eq!(
        outcome(&zone, "example.com", &["?example.net"], &["?com"]),
        refused
    );
    // Whether the Author Domain exists.
    let existence = zone
        .clone()
        .fail_type("news.example.com", RecordType::A, Failure::ServFail);
    assert_eq!(outcome(&existence, "news.example.com", &[], &[]), temporary);
    assert_eq!(
        outcome(&existence, "news.example.com", &[], &["example.com"]),
        pass
    );
}

/// Answers whatever is asked now, in this order of the questions; says how often it came back to ask.
fn rounds(
    mut dmarc: Dmarc,
    zone: &Zone,
    order: impl Fn(&mut Vec<Question>),
) -> (Verdict, Vec<Vec<Question>>) {
    let mut rounds = Vec::new();
    let mut open = Vec::new();
    loop {
        match dmarc.poll() {
            Need::Lookup(question) => open.push(question),
            Need::Done(verdict) => return (verdict, rounds),
            Need::Wait => {
                assert!(!open.is_empty(), "waits for nothing");
                rounds.push(open.clone());
                order(&mut open);
                for question in open.drain(..) {
                    dmarc.answer(&question, &zone.answer(&question));
                }
            }
        }
    }
}

#[test]
fn everything_is_asked_together_and_each_question_once() {
    let zone = Zone::new()
        .txt(
            "_dmarc.example.com",
            "v=DMARC1; p=reject; sp=none; np=reject",
        )
        .txt("_dmarc.com", "v=DMARC1; p=none; psd=y");
    let dmarc = begin(
        "a.b.example.com",
        &["c.example.com"],
        &["d.example.com", "example.org"],
        &Config::default(),
    );
    let (verdict, asked) = rounds(dmarc, &zone, |_| {});
    assert_eq!(verdict.result, DmarcResult::Pass);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0].len(), 6);
    assert_eq!(asked[1].len(), 1);
    let mut all: Vec<String> = asked.concat().iter().map(ToString::to_string).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
}

#[test]
fn the_order_of_answers_changes_nothing() {
    let zone = Zone::new()
        .txt("_dmarc.b.example.com", "v=DMARC1; p=reject; psd=n")
        .txt("_dmarc.example.com", "v=DMARC1; p=none")
        .fail("_dmarc.com", Failure::Timeout);
    for spf in [
        "x.b.example.com",
        "c.example.com",
        "b.example.com",
        "?b.example.com",
        "?example.com",
    ] {
        let dmarc = || {
            begin(
                "a.b.example.com",
                &[spf],
                &["y.example.com"],
                &Config::default(),
            )
        };
        let (forth, _) = rounds(dmarc(), &zone, |_| {});
        let (back, _) = rounds(dmarc(), &zone, |open| open.reverse());
        assert_eq!(forth, back);
    }
}

#[test]
fn questions_stay_within_the_limits() {
    let deep = |label: &str| format!("{label}.g.f.e.d.c.b.example.com");
    let from = deep("author");
    let many: Vec<String> = (0..200)
        .map(|number| format!("{number}.{number}.g.f.e.d.c.b.example.com"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let spf = "s1.s2.s3.s4.s5.s6.s7.s8.example.com";
    let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=none; sp=none; np=reject");
    let (verdict, asked) = evaluate(&zone, &from, &[spf], &many);
    assert!(asked.len() <= 25, "{}", asked.len());
    assert_eq!(verdict.identifiers.len(), 32);
    assert_eq!(verdict.identifiers_left_out, 169);
    assert!(
        verdict
            .identifiers
            .iter()
            .any(|identifier| identifier.alignment == Some(Alignment::LeftOut))
    );
    assert_eq!(verdict.result, DmarcResult::Pass);
}

#[test]
fn an_evaluation_waits_for_its_identifiers_only_where_they_matter() {
    let none = Zone::new();
    let mut dmarc = Dmarc::new(&author("example.com"), &Config::default());
    let mut done = false;
    while let need = dmarc.poll()
        && !done
    {
        match need {
            Need::Lookup(question) => dmarc.answer(&question, &none.answer(&question)),
            Need::Wait => panic!("waits, though there is no record"),
            Need::Done(verdict) => done = verdict.result == DmarcResult::None,
        }
    }
    let mut dmarc = Dmarc::new(&author("example.com"), &Config::default());
    while let Need::Lookup(question) = dmarc.poll() {
        dmarc.answer(
            &question,
            &Zone::new()
                .txt("_dmarc.example.com", "v=DMARC1; p=reject")
                .answer(&question),
        );
    }
    assert!(matches!(dmarc.poll(), Need::Wait));
    dmarc.spf(&"example.com".parse().unwrap(), Authentication::Pass);
    assert!(matches!(dmarc.poll(), Need::Wait));
    dmarc.no_more_identifiers();
    assert!(matches!(dmarc.poll(), Need::Done(verdict) if verdict.result == DmarcResult::Pass));
    // Answers to what was never asked.
    dmarc.answer(
        &Question::new("_dmarc.example.com".parse().unwrap(), RecordType::Txt),
        &Answer::failed(Failure::Timeout),
    );
    assert!(matches!(dmarc.poll(), Need::Done(verdict) if verdict.result == DmarcResult::Pass));
}

#[test]
fn a_trace_holds_every_answer() {
    let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=reject");
    let mut config = Config::default();
    config.trace = true;
    let verdict = resolve_blocking(
        begin("example.com", &[], &["x.example.com"], &config),
        |question| zone.answer(question),
    );
    assert_eq!(verdict.trace.len(), 3);
}

#[test]
fn section_5_4_an_override_only_weakens_and_tells_why() {
    let verdict = |record: &str, dkim: &[&str]| {
        let zone = Zone::new().txt("_dmarc.example.com", record);
        evaluate(&zone, "example.com", &[], dkim).0
    };
    let local = |at_most| Override {
        at_most,
        ..Override::of(PolicyOverride::LocalPolicy, None)
    };
    let list = Override::of(PolicyOverride::MailingList, Some("dinner".to_owned()));
    let done = |verdict: &Verdict, overrides: &[Override]| {
        let done = verdict.overridden(overrides);
        assert!(done.disposition <= verdict.disposition);
        let reasons: Vec<PolicyOverride> = done.reasons.iter().map(|reason| reason.kind).collect();
        (done.disposition, reasons)
    };
    let reject = verdict("v=DMARC1; p=reject", &[]);
    for (overrides, disposition, reasons) in [
        (vec![], Disposition::Reject, vec![]),
        (
            vec![local(Disposition::Reject)],
            Disposition::Reject,
            vec![],
        ),
        (
            vec![local(Disposition::Quarantine)],
            Disposition::Quarantine,
            vec![PolicyOverride::LocalPolicy],
        ),
        (
            vec![local(Disposition::Quarantine), list.clone()],
            Disposition::None,
            vec![PolicyOverride::LocalPolicy, PolicyOverride::MailingList],
        ),
    ] {
        assert_eq!(done(&reject, &overrides), (disposition, reasons));
    }
    // t=y is a reason of its own, unless there was nothing to lower.
    let testing = verdict("v=DMARC1; p=reject; t=y", &[]);
    let test_mode = PolicyOverride::PolicyTestMode;
    assert_eq!(
        done(&testing, &[]),
        (Disposition::Quarantine, vec![test_mode])
    );
    assert_eq!(
        done(&testing, &[local(Disposition::Quarantine), list.clone()]),
        (
            Disposition::None,
            vec![test_mode, PolicyOverride::MailingList]
        )
    );
    let idle = verdict("v=DMARC1; p=none; t=y", &[]);
    assert_eq!(
        done(&idle, core::slice::from_ref(&list)),
        (Disposition::None, vec![])
    );
    // What passes needs no override.
    let pass = verdict("v=DMARC1; p=reject; t=y", &["example.com"]);
    assert_eq!(
        done(&pass, core::slice::from_ref(&list)),
        (Disposition::None, vec![])
    );
    // No forwarder makes an author of two.
    let two = AuthorDomains::of_from(b"a@example.com, b@example.net");
    let Need::Done(two) = Dmarc::new(&two, &Config::default()).poll() else {
        panic!("two authors are asked for");
    };
    assert_eq!(done(&two, &[list]), (Disposition::Reject, vec![]));
}

#[test]
fn section_7_4_reject_alone_is_no_ground_for_a_refusal() {
    let zone =
        |policy: &str| Zone::new().txt("_dmarc.example.com", &format!("v=DMARC1; p={policy}"));
    for (policy, disposition) in [
        ("reject", Disposition::Quarantine),
        ("quarantine", Disposition::Quarantine),
        ("none", Disposition::None),
    ] {
        let verdict = evaluate(&zone(policy), "example.com", &[], &[]).0;
        let done = verdict.overridden(&[Override::no_other_grounds()]);
        assert_eq!(done.disposition, disposition, "{policy}");
        assert_eq!(done.reasons.len(), usize::from(policy == "reject"));
    }
}

#[test]
fn section_11_5_every_kind_of_from_has_its_own_outcome() {
    let outcome = |authors: &AuthorDomains| {
        let mut dmarc = Dmarc::new(authors, &Config::default());
        // Authenticated as it likes: that makes no author.
        dmarc.dkim(&"example.com".parse().unwrap(), Authentication::Pass);
        match dmarc.poll() {
            Need::Done(verdict) => {
                assert_eq!(verdict.disposition, Disposition::Reject);
                assert_eq!(verdict.result, DmarcResult::PermError);
                assert!(verdict.aligned_dkim.is_none() && verdict.record.is_none());
                Some(verdict.cause)
            }
            Need::Lookup(_) => None,
            Need::Wait => panic!("waits for nothing"),
        }
    };
    let cause = |from: &str| outcome(&AuthorDomains::of_from(from.as_bytes()));
    for (from, fault) in [
        ("undisclosed:;", AuthorFault::None),
        ("(nobody) friends: (really nobody);", AuthorFault::None),
        (
            "a@example.com, b@example.net",
            AuthorFault::Several(vec![
                "example.com".parse().unwrap(),
                "example.net".parse().unwrap(),
            ]),
        ),
        (
            "friends: a@example.com, b@sub.example.com;",
            AuthorFault::Several(vec![
                "example.com".parse().unwrap(),
                "sub.example.com".parse().unwrap(),
            ]),
        ),
    ] {
        assert_eq!(cause(from), Some(Cause::Author(fault)), "{from}");
    }
    for from in [
        "",
        "joe",
        "joe@[192.0.2.1]",
        "<a@example.com> <b@example.net>",
        "a@example.com, ",
        "joe@example.com\0",
    ] {
        match cause(from) {
            Some(Cause::Author(AuthorFault::Malformed(_))) => {}
            // An empty element of a list is of the obsolete syntax that must be read (RFC 5322 §4.4): one author.
            None => assert_eq!(from, "a@example.com, "),
            other => panic!("{from:?}: {other:?}"),
        }
    }
    // A label that is none in the DNS.
    let odd = AuthorDomains::One(Domain::parse_utf8("xn--a\u{345}.example").unwrap());
    assert!(matches!(
        outcome(&odd),
        Some(Cause::Author(AuthorFault::NotInternational(_)))
    ));
    // One domain, however often and in whatever group.
    for from in [
        "a@example.com",
        "a@example.com, b@EXAMPLE.com",
        "g: a@example.com;, b@example.com",
    ] {
        assert_eq!(cause(from), None, "{from}");
    }
    // What a header can do besides.
    for (header, words) in [
        ("Subject: x\r\n\r\n", "no From field"),
        (
            "From: a@example.com\r\nFrom: a@example.com\r\n\r\n",
            "2 From fields, where RFC 5322 allows one",
        ),
        (
            "From: a@example.com\r\nno field\r\n\r\n",
            "the header is malformed",
        ),
    ] {
        let (header, _) =
            mail_syntax::header::Header::split(header.as_bytes(), &Default::default()).unwrap();
        let cause = outcome(&AuthorDomains::of(&header)).unwrap();
        assert_eq!(cause.to_string(), words);
    }
}

fn record(text: &str) -> Record {
    text.parse().unwrap()
}

#[test]
fn section_4_5_strings_are_joined() {
    // Cut within a word: a space between the strings, or the strings one by one, would make another record.
    let text = mail_dns::Txt::new(["v=DMA", "RC1; p=re", "ject"]);
    let mut zone = Zone::new();
    zone.insert(
        "_dmarc.example.com".parse().unwrap(),
        mail_dns::Record::Txt(text),
    );
    let verdict = evaluate(&zone, "example.com", &[], &[]).0;
    assert_eq!(verdict.disposition, Disposition::Reject);
}

#[test]
fn section_4_7_unknown_tags_are_ignored() {
    let plain = record("v=DMARC1; p=reject; rua=mailto:a@example.com");
    for tags in [
        "x=1",
        "pct=none",
        "ri=x",
        "rf=iodef",
        "pp=none",
        "p_=none",
        "policy=none; spf=none",
    ] {
        let text = format!("v=DMARC1; {tags}; p=reject; {tags}; rua=mailto:a@example.com");
        assert_eq!(record(&text), plain, "{tags}");
    }
}

#[test]
fn section_4_7_fo_needs_ruf() {
    let with = record("v=DMARC1; p=none; fo=1:d:s; ruf=mailto:a@example.com");
    assert!(with.fo.dkim && with.fo.spf);
    for text in [
        "v=DMARC1; p=none; fo=1:d:s",
        "v=DMARC1; p=none; fo=1:d:s; ruf=nonsense",
    ] {
        assert_eq!(record(text).fo, Default::default(), "{text}");
    }
}

#[test]
fn section_4_7_np_falls_back_to_sp_and_sp_to_p() {
    for (tags, existing, absent) in [
        ("p=reject", "reject", "reject"),
        ("p=reject; sp=none", "none", "none"),
        ("p=reject; np=none", "reject", "none"),
        ("p=none; sp=quarantine; np=reject", "quarantine", "reject"),
    ] {
        let zone = Zone::new()
            .txt("_dmarc.example.com", &format!("v=DMARC1; {tags}"))
            .exists("here.example.com");
        let policy = |from| {
            evaluate(&zone, from, &[], &[])
                .0
                .policy
                .unwrap()
                .to_string()
        };
        assert_eq!(policy("here.example.com"), existing, "{tags}");
        assert_eq!(policy("absent.example.com"), absent, "{tags}");
        assert_eq!(
            Some(policy("example.com")),
            record(&format!("v=DMARC1; {tags}"))
                .p
                .map(|p| p.to_string())
        );
    }
}

#[test]
fn section_4_7_mailto_is_understood() {
    let record = record(
        "v=DMARC1; p=none; rua=https://example.com/,mailto:a@example.com; ruf=MAILTO:b@example.net?subject=x",
    );
    let mailto = |uris: &[dmarc::record::ReportingUri]| -> Vec<String> {
        uris.iter()
            .filter_map(|uri| uri.mailto())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(mailto(&record.rua), ["a@example.com"]);
    assert_eq!(mailto(&record.ruf), ["b@example.net"]);
}

#[test]
fn section_4_7_no_uri_no_report() {
    // What is no URI, and what stands under the other tag, names nobody who could get a report.
    let none = record("v=DMARC1; p=none; rua=a@example.com; ruf=");
    assert!(none.rua.is_empty() && none.ruf.is_empty());
    let rua = record("v=DMARC1; p=none; rua=mailto:a@example.com");
    assert!(rua.rua.len() == 1 && rua.ruf.is_empty());
    let ruf = record("v=DMARC1; p=none; ruf=mailto:a@example.com");
    assert!(ruf.rua.is_empty() && ruf.ruf.len() == 1);
}

#[test]
fn section_4_7_the_version_comes_first() {
    for text in [
        "p=reject; v=DMARC1",
        "p=reject",
        "v=DMARC2; p=reject",
        "v=dmarc1; p=reject",
        "v=DMARC1x; p=reject",
        "; v=DMARC1; p=reject",
        "v=DMARC1",
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", text);
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!(
            (verdict.result, verdict.policy),
            (DmarcResult::None, None),
            "{text}"
        );
        // A record is ignored as if it were not there: it does not make two of one.
        let zone = zone.txt("_dmarc.example.com", "v=DMARC1; p=reject");
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!(verdict.policy.is_some(), text != "v=DMARC1", "{text}");
    }
}

#[test]
fn section_4_8_comma_and_exclamation_point_are_encoded() {
    let uris = |text: &str| -> Vec<String> {
        record(&format!("v=DMARC1; p=none; rua={text}"))
            .rua
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        uris("mailto:a%2Cb%21c@example.com!10m"),
        ["mailto:a%2Cb%21c@example.com"]
    );
    // Bare, a comma ends the URI, and an exclamation point begins a size or spoils it.
    assert_eq!(uris("mailto:a,b@example.com"), ["mailto:a"]);
    assert_eq!(uris("mailto:a!b@example.com"), [""; 0]);
    assert_eq!(uris("mailto:a@example.com!10x"), [""; 0]);
}

#[test]
fn section_4_10_1_without_a_policy_rua_decides() {
    for (tags, result, policy) in [
        (
            "rua=mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        (
            "p=rejct; rua=mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        (
            "p=reject; sp=x; rua=mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        (
            "p=reject; np=x; rua=x,mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        ("p=reject; rua=x", DmarcResult::Fail, Some(Policy::Reject)),
        ("p=reject; sp=x", DmarcResult::None, None),
        ("rua=x", DmarcResult::None, None),
        ("ruf=mailto:a@example.com", DmarcResult::None, None),
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", &format!("v=DMARC1; {tags}"));
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!((verdict.result, verdict.policy), (result, policy), "{tags}");
    }
}

#[test]
fn section_4_10_1_no_record_no_dmarc() {
    // Also where something passes, and something is published that is no record.
    let zone = Zone::new()
        .txt("_dmarc.example.com", "v=spf1 -all")
        .txt("_dmarc.com", "v=DMARC1; p=reject")
        .txt("_dmarc.com", "v=DMARC1; p=reject");
    let verdict = evaluate(&zone, "example.com", &["example.com"], &[]).0;
    assert_eq!(
        (verdict.result, verdict.cause, verdict.disposition),
        (DmarcResult::None, Cause::NoRecord, Disposition::None)
    );
}

#[test]
fn section_5_3_3_results_are_preserved() {
    let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=reject");
    let verdict = evaluate(
        &zone,
        "example.com",
        &["!bounces.example.com"],
        &["x.example.com", "?example.net", "!example.com"],
    )
    .0;
    let kept: Vec<String> = verdict
        .identifiers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        kept,
        [
            "SPF bounces.example.com: fail",
            "DKIM x.example.com: pass, aligned",
            "DKIM example.net: temperror, not aligned",
            "DKIM example.com: fail",
        ]
    );
    assert_eq!(
        verdict.record.as_deref(),
        Some(&record("v=DMARC1; p=reject"))
    );
}

#[test]
fn section_5_4_none_changes_nothing() {
    for text in [
        "v=DMARC1; p=none",
        "v=DMARC1; p=none; t=y",
        "v=DMARC1; rua=mailto:a@example.com",
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", text);
        let verdict = evaluate(&zone, "example.com", &["!example.com"], &["example.net"]).0;
        assert_eq!(
            (verdict.result, verdict.disposition),
            (DmarcResult::Fail, Disposition::None),
            "{text}"
        );
        assert_eq!(
            verdict.overridden(&[Override::no_other_grounds()]).reasons,
            [],
            "{text}"
        );
    }
}
