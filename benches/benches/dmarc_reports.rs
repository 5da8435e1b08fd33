//! An aggregate report of 10,000 records, against the bare pass of quick-xml over its octets.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use benches::group;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dmarc::reports::Report;
use dmarc::reports::read::{Limits, ReportReader};
use quick_xml::Reader;
use quick_xml::events::Event;

const RECORDS: usize = 10_000;

/// As the large reporters write them: indented, with two signatures and SPF.
fn report() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<feedback>\n  <version>1.0</version>\n  <report_metadata>\n    \
         <org_name>receiver.example</org_name>\n    <email>noreply@receiver.example</email>\n    <report_id>1</report_id>\n    \
         <date_range>\n      <begin>1700000000</begin>\n      <end>1700086399</end>\n    </date_range>\n  </report_metadata>\n  \
         <policy_published>\n    <domain>example.com</domain>\n    <p>reject</p>\n  </policy_published>\n",
    );
    for number in 0..RECORDS {
        let (high, low) = (number / 250, number % 250);
        write!(
            xml,
            "  <record>\n    <row>\n      <source_ip>198.51.{high}.{low}</source_ip>\n      <count>{count}</count>\n      \
             <policy_evaluated>\n        <disposition>none</disposition>\n        <dkim>pass</dkim>\n        <spf>fail</spf>\n      \
             </policy_evaluated>\n    </row>\n    <identifiers>\n      <envelope_from>bounces{low}.example.net</envelope_from>\n      \
             <header_from>example.com</header_from>\n    </identifiers>\n    <auth_results>\n      <dkim>\n        \
             <domain>example.com</domain>\n        <selector>s{high}</selector>\n        <result>pass</result>\n      </dkim>\n      \
             <dkim>\n        <domain>esp.example.net</domain>\n        <selector>2025</selector>\n        <result>pass</result>\n      \
             </dkim>\n      <spf>\n        <domain>bounces{low}.example.net</domain>\n        <scope>mfrom</scope>\n        \
             <result>pass</result>\n      </spf>\n    </auth_results>\n  </record>\n",
            count = number % 7 + 1,
        )
        .unwrap();
    }
    xml.push_str("</feedback>\n");
    xml
}

/// The least that a reader built on quick-xml could cost: each event, looked at no further.
fn bare_pass(xml: &str) -> usize {
    let mut reader = Reader::from_str(xml);
    let mut events = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

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
