//! RFC 9989: what is done with a message, and what is told of it. Rules by section.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod message;

use dmarc::{
    Authentication, AuthorDomains, AuthorFault, Cause, Config, Disposition, Dmarc, DmarcResult,
    Override, PolicyOverride, Verdict,
};
use mail_dns::{Evaluation, Failure, Need, RecordType, Zone};
use mail_syntax::Domain;
use message::evaluate;

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
                assert!(verdict.aligned_dkim().is_none() && verdict.record.is_none());
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
        Some(&dmarc::Record::new(dmarc::Policy::Reject))
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
