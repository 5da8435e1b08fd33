//! An aggregate report of 10,000 records.

use core::hint::black_box;
use std::fmt::Write as _;

use dmarc::reports::Report;
use dmarc::reports::read::{Limits, ReportReader};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::race::Race;

const RECORDS: usize = 10_000;

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

/// Each event, looked at no further.
fn bare_pass(xml: &str) -> usize {
    let mut reader = Reader::from_str(xml);
    let mut events = 0;
    loop {
        match reader.read_event().expect("XML") {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

/// Indented, with two signatures and SPF.
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
        .expect("a string takes all");
    }
    xml.push_str("</feedback>\n");
    xml
}
