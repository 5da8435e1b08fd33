//! Screening: what a decision costs once all is known, against a copy of what it holds; and eight lists, against the answers out of a map.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::IpAddr;

use benches::group;
use criterion::{Criterion, criterion_group, criterion_main};
use mail_dns::{Answer, Evaluation, Question, Zone, resolve_blocking};
use screening::dnsbl::{Dnsbl, List, Lists};
use screening::early_talker::{Conduct, Offence};
use screening::helo::Helo;
use screening::iprev::Iprev;
use screening::s25r::{ReverseName, S25r};
use screening::scorer::{Decision, Evidence, Scorer, Spf, Stage};

const POOL: &str = "p12345-adsl.pool.example.net";

/// A dial-up host that stands in two of eight lists.
fn zone() -> Zone {
    Zone::new()
        .ptr("7.2.0.192.in-addr.arpa", POOL)
        .a(POOL, [192, 0, 2, 7])
        .a("7.2.0.192.list0.example.com", [127, 0, 0, 2])
        .txt(
            "7.2.0.192.list0.example.com",
            "Dynamic address, see http://list0.example.com?192.0.2.7",
        )
        .a("7.2.0.192.list7.example.com", [127, 0, 10, 2])
}

fn lists() -> Lists {
    let lists = (0..8).map(|number| {
        let zone = format!("list{number}.example.com").parse().unwrap();
        List::new(zone, if number == 7 { -2 } else { 4 }).with_reason()
    });
    Lists::new(lists, 4, &Default::default()).unwrap()
}

/// The answers to all that an evaluation asks.
fn answers<E: Evaluation>(evaluation: E, zone: &Zone) -> (HashMap<Question, Answer>, E::Verdict) {
    let mut answers = HashMap::new();
    let verdict = resolve_blocking(evaluation, |question| {
        let answer = zone.answer(question);
        answers.insert(question.clone(), answer.clone());
        answer
    });
    (answers, verdict)
}

fn decision(criterion: &mut Criterion) {
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    let zone = zone();
    let (_, iprev) = answers(Iprev::new(client, &Default::default()), &zone);
    let (_, helo) = answers(Helo::new("localhost", client, &Default::default()), &zone);
    let (_, listed) = answers(Dnsbl::new(client, &lists()), &zone);
    let conduct: Conduct = [Offence::Pipelining, Offence::BareNewline]
        .into_iter()
        .collect();
    let (s25r, scorer) = (S25r::default(), Scorer::default());
    let score = || {
        let suspicion = s25r.check(client, &ReverseName::from(black_box(&iprev)));
        let mut evidence = Evidence::default();
        evidence.client = Some(client);
        evidence.iprev = Some(&iprev);
        evidence.s25r = Some(&suspicion);
        evidence.helo = Some(&helo);
        evidence.lists = Some(&listed);
        evidence.conduct = conduct;
        evidence.spf = Some(Spf::SoftFail);
        evidence.reputation = Some(2);
        scorer.score(&evidence)
    };
    let verdict = score();
    assert_eq!(verdict.decision, Decision::Refuse, "{verdict}");
    assert_eq!(verdict.reasons.len(), 8, "{verdict}");
    let mut group = group(criterion, "screening/decision of eight reasons");
    group.bench_function("rules of S25R and score", |bencher| bencher.iter(score));
    group.bench_function("with log line and reply", |bencher| {
        bencher.iter(|| {
            let verdict = score();
            (verdict.to_string(), verdict.reply(Stage::Recipient))
        });
    });
    group.bench_function("limit: the verdict copied", |bencher| {
        bencher.iter(|| black_box(&verdict).clone());
    });
    group.finish();
}

fn eight_lists(criterion: &mut Criterion) {
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    let lists = lists();
    let (answers, verdict) = answers(Dnsbl::new(client, &lists), &zone());
    assert_eq!((verdict.score, answers.len()), (2, 10));
    let mut group = group(criterion, "screening/eight lists");
    group.bench_function("evaluation", |bencher| {
        bencher.iter(|| {
            let dnsbl = Dnsbl::new(black_box(client), &lists);
            resolve_blocking(dnsbl, |question| answers[question].clone())
        });
    });
    group.bench_function("limit: the answers out of the map", |bencher| {
        bencher.iter(|| {
            for question in black_box(&answers).keys() {
                black_box(answers[question].clone());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decision, eight_lists);
criterion_main!(benches);
