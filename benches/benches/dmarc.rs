//! DMARC with three walks, against the answers of the zone alone.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hint::black_box;

use benches::group;
use criterion::{Criterion, criterion_group, criterion_main};
use dmarc::tree_walk::Published;
use dmarc::{Authentication, AuthorDomains, Config, Dmarc, DmarcResult};
use mail_dns::{Answer, Evaluation, Need, Question, Zone, resolve_blocking};

fn dmarc(criterion: &mut Criterion) {
    let zone = Zone::new()
        .txt(
            "_dmarc.example.com",
            "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
        )
        .a("news.example.com", [192, 0, 2, 1]);
    let config = Config::default();
    let evaluate = || {
        let author = AuthorDomains::of_from(black_box(b"Joe <joe@news.example.com>"));
        let mut dmarc = Dmarc::new(&author, &config);
        dmarc.spf(
            &"bounces.mail.example.net".parse().unwrap(),
            Authentication::Pass,
        );
        dmarc.dkim(
            &"list.mail.example.com".parse().unwrap(),
            Authentication::Pass,
        );
        dmarc.no_more_identifiers();
        let mut asked = Vec::new();
        let verdict = resolve_blocking(dmarc, |question| {
            asked.push(question.clone());
            zone.answer(question)
        });
        (verdict, asked)
    };
    let (verdict, questions) = evaluate();
    assert_eq!(verdict.result, DmarcResult::Pass);
    let author = AuthorDomains::of_from(b"Joe <joe@news.example.com>");
    let spf = "bounces.mail.example.net".parse().unwrap();
    let dkim = "list.mail.example.com".parse().unwrap();
    let begin = || {
        let mut dmarc = Dmarc::new(black_box(&author), &config);
        dmarc.spf(&spf, Authentication::Pass);
        dmarc.dkim(&dkim, Authentication::Pass);
        dmarc.no_more_identifiers();
        dmarc
    };
    let answers: HashMap<Question, Answer> = questions
        .iter()
        .map(|question| (question.clone(), zone.answer(question)))
        .collect();
    let published: HashMap<Question, Published> = answers
        .iter()
        .map(|(question, answer)| (question.clone(), Published::read(answer)))
        .collect();
    let drive = |answer: &dyn Fn(&mut Dmarc, &Question)| {
        let mut dmarc = begin();
        loop {
            match dmarc.poll() {
                Need::Lookup(question) => answer(&mut dmarc, &question),
                Need::Wait => unreachable!("every question is answered"),
                Need::Done(verdict) => return verdict,
            }
        }
    };
    let mut group = group(criterion, "dmarc/three walks");
    group.bench_function("evaluation", |bencher| bencher.iter(evaluate));
    group.bench_function("answers in a map, record parsed each time", |bencher| {
        bencher.iter(|| drive(&|dmarc, question| dmarc.answer(question, &answers[question])));
    });
    group.bench_function("answers in a map, record parsed beforehand", |bencher| {
        bencher.iter(|| {
            drive(&|dmarc, question| dmarc.answer_published(question, &published[question]))
        });
    });
    group.bench_function("limit: the answers of the map", |bencher| {
        bencher.iter(|| {
            for question in black_box(&questions) {
                black_box(&published[question]);
            }
        });
    });
    group.bench_function("limit: the answers of the zone", |bencher| {
        bencher.iter(|| {
            for question in black_box(&questions) {
                black_box(zone.answer(question));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, dmarc);
criterion_main!(benches);
