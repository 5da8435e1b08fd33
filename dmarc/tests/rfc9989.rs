//! RFC 9989: which record is in force, alignment, and what is asked. Examples and rules, by section.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod message;

use dmarc::{
    Alignment, Authentication, Cause, Config, Disposition, Dmarc, DmarcResult, Policy, Verdict,
};
use mail_dns::{Answer, Evaluation, Failure, Need, Question, RecordType, Zone, resolve_blocking};
use message::{author, begin, evaluate};

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
    // Second answers, and answers to what was never asked.
    for name in ["_dmarc.example.com", "_dmarc.example.net"] {
        dmarc.answer(
            &Question::new(name.parse().unwrap(), RecordType::Txt),
            &Answer::failed(Failure::Timeout),
        );
        assert!(matches!(dmarc.poll(), Need::Wait), "{name}");
    }
    dmarc.no_more_identifiers();
    assert!(matches!(dmarc.poll(), Need::Done(verdict) if verdict.result == DmarcResult::Pass));
    // The verdict was handed out, and nothing changes that.
    dmarc.dkim(&"example.com".parse().unwrap(), Authentication::Pass);
    assert!(matches!(dmarc.poll(), Need::Wait));
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
