//! SPF: a check over ten includes, against the answers out of a map alone.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hint::black_box;

use benches::group;
use criterion::{Criterion, criterion_group, criterion_main};
use mail_dns::{Answer, Question, RecordType, Zone, resolve_blocking};
use spf::{CheckHost, Client, Config, SpfResult};

fn spf(criterion: &mut Criterion) {
    let mut zone = Zone::new();
    let mut record = "v=spf1".to_owned();
    for number in 0..10 {
        let name = format!("i{number}.example.com");
        zone = zone.txt(&name, &format!("v=spf1 ip4:198.51.{number}.0/24 ip4:203.0.{number}.0/24 ip6:2001:db8:{number}::/48 ~all"));
        record += &format!(" include:{name}");
    }
    record += " ip4:192.0.2.1 -all";
    let zone = zone.txt("example.com", &record);
    let client = Client::new([192, 0, 2, 1], "mail.example.com");
    let path = "<joe@example.com>".parse().unwrap();
    let config = Config::default();
    let mut questions = vec![Question::new(
        "example.com".parse().unwrap(),
        RecordType::Txt,
    )];
    questions.extend((0..10).map(|number| {
        Question::new(
            format!("i{number}.example.com").parse().unwrap(),
            RecordType::Txt,
        )
    }));
    let answers: HashMap<Question, Answer> = questions
        .iter()
        .map(|question| (question.clone(), zone.answer(question)))
        .collect();
    let check = || {
        let check = CheckHost::mail_from(black_box(&client), &path, &config);
        resolve_blocking(check, |question| answers[question].clone())
    };
    assert_eq!(check().result, SpfResult::Pass);
    let mut group = group(criterion, "spf/ten includes");
    group.bench_function("check_host", |bencher| bencher.iter(check));
    group.bench_function("limit: the answers out of the map", |bencher| {
        bencher.iter(|| {
            for question in black_box(&questions) {
                black_box(answers[question].clone());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, spf);
criterion_main!(benches);
