//! An aggregate report of 10,000 records.

use core::hint::black_box;

use dmarc::reports::Report;
use dmarc::reports::read::{Limits, ReportReader};

use crate::aggregate_report::{RECORDS, bare_pass, report};
use crate::race::Race;

pub(crate) fn run() {
    let xml = report();
    let limits = Limits::default();
    let lent = || {
        let mut reader = ReportReader::new(black_box(xml.as_bytes()), &limits).expect("a report");
        let mut rows = 0;
        while let Some(row) = reader.next_row().expect("a row") {
            black_box(row);
            rows += 1;
        }
        assert_eq!(rows, RECORDS);
    };
    let collected = || {
        let (report, _) = Report::read(black_box(xml.as_bytes()), &limits).expect("a report");
        assert_eq!(report.rows.len(), RECORDS);
        report
    };
    let peer = || {
        let report =
            mail_auth::report::Report::parse_xml(black_box(xml.as_bytes())).expect("a report");
        assert_eq!(report.records().len(), RECORDS);
        report
    };
    let what = format!(
        "aggregate report, {RECORDS} records, {:.1} MiB",
        xml.len() as f64 / f64::from(1 << 20)
    );
    Race::new(what, "bare quick-xml", || bare_pass(black_box(&xml)))
        .with("ours, rows lent", lent)
        .with("ours, rows collected", collected)
        .with("mail-auth, rows collected", peer)
        .run();
}
