//! An aggregate report of 10,000 records, against the bare pass of quick-xml over its octets.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use benches::aggregate_report::{RECORDS, bare_pass, report};
use benches::group;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dmarc::reports::Report;
use dmarc::reports::read::{Limits, ReportReader};

fn lend(xml: &[u8], limits: &Limits) -> u64 {
    let mut reader = ReportReader::new(xml, limits).unwrap();
    let mut messages = 0;
    while let Some(row) = reader.next_row().unwrap() {
        messages += row.count;
    }
    messages
}

/// The least of several runs, in seconds.
fn least<T>(run: impl Fn() -> T) -> f64 {
    let times = (0..20).map(|_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn dmarc_reports(criterion: &mut Criterion) {
    let xml = report();
    let limits = Limits::default();
    let (whole, defects) = Report::read(xml.as_bytes(), &limits).unwrap();
    assert_eq!(whole.rows.len(), RECORDS);
    assert!(defects.is_empty());

    let mut group = group(criterion, "dmarc/aggregate report of 10,000 records");
    group.throughput(Throughput::Bytes(xml.len() as u64));
    group.bench_function("rows lent", |bencher| {
        bencher.iter(|| lend(black_box(xml.as_bytes()), &limits));
    });
    group.bench_function("rows collected", |bencher| {
        bencher.iter(|| Report::read(black_box(xml.as_bytes()), &limits));
    });
    group.bench_function("limit: bare pass of quick-xml", |bencher| {
        bencher.iter(|| bare_pass(black_box(&xml)));
    });
    group.finish();

    let limit = least(|| bare_pass(black_box(&xml)));
    let lent = least(|| lend(black_box(xml.as_bytes()), &limits));
    let collected = least(|| Report::read(black_box(xml.as_bytes()), &limits));
    println!(
        "bare pass of quick-xml {:.2} ms; rows lent {:.2} ms, ratio {:.2}; rows collected {:.2} ms, ratio {:.2}",
        limit * 1e3,
        lent * 1e3,
        lent / limit,
        collected * 1e3,
        collected / limit,
    );
}

criterion_group!(benches, dmarc_reports);
criterion_main!(benches);
