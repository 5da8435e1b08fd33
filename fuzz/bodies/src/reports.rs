//! DMARC and feedback reports: whatever is read is bounded, and is written so that it reads the same.

use dmarc::reports::failure::{FailureEnvelope, FailureReport, Original};
use dmarc::reports::read::Limits;
use dmarc::reports::{Report, ReportReader};
use screening::outbound::feedback_report::{Envelope, FeedbackReport};

/// Rows are lent and collected alike, texts are bounded, and the report as it is written reads the same, compressed or not.
pub fn dmarc_aggregate_report(data: &[u8]) {
    let limits = Limits::default();
    let collected = Report::read(data, &limits);
    let lent = ReportReader::open(data, &limits).and_then(|mut reader| {
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row.clone());
        }
        Ok(rows)
    });
    let (report, _) = match (collected, lent) {
        (Ok((report, defects)), Ok(rows)) => {
            assert_eq!(report.rows, rows);
            (report, defects)
        }
        (Err(error), Err(other)) => {
            assert_eq!(error, other);
            return;
        }
        (collected, lent) => panic!("{collected:?} but {lent:?}"),
    };
    for row in &report.rows {
        // What is no UTF-8 becomes three octets each.
        assert!(row.identifiers.header_from.len() <= 3 * limits.text);
        assert!(row.auth_results.dkim.len() <= limits.results);
    }
    // What the writer leaves out or replaces is settled after one round.
    let Ok((once, _)) = Report::read(&report.to_xml(), &limits) else {
        return;
    };
    assert_eq!(once.rows.len(), report.rows.len());
    let (packed, _) = Report::read(&once.to_gzip(), &limits).expect("what was written is read");
    let (plain, _) = Report::read(&once.to_xml(), &limits).expect("what was written is read");
    assert_eq!(packed, plain);
}

/// A report that was read can be made again, and says the same of the client and the alignment.
pub fn dmarc_failure_report(data: &[u8]) {
    let Ok((report, _)) = FailureReport::read(data) else {
        return;
    };
    assert!(report.reported_domains.len() <= 100 && report.original_rcpt_to.len() <= 100);
    let envelope = FailureEnvelope {
        from: "a@example.com",
        to: "b@example.org",
        message_id: "1@example.com",
        now: 1_700_000_000,
        redaction: None,
    };
    let Ok(mail) = report.to_mail(&envelope) else {
        assert_eq!(report.original, Original::Nothing);
        return;
    };
    let (again, _) = FailureReport::read(&mail).expect("what was written is read");
    assert_eq!(again.source_ip, report.source_ip);
    assert_eq!(again.source_port, report.source_port);
    assert_eq!(
        again.identity_alignment.unwrap_or_default(),
        report.identity_alignment.unwrap_or_default()
    );
}

/// A report that was read is bounded, and can be made again so that it says the same.
pub fn feedback_report(data: &[u8]) {
    let Ok((report, _)) = FeedbackReport::read(data) else {
        return;
    };
    assert!(report.extensions.len() <= 100 && report.reported_uris.len() <= 100);
    let envelope = Envelope {
        from: "a@example.com",
        to: "b@example.org",
        message_id: "1@example.com",
        now: 1_700_000_000,
    };
    let Ok(mail) = report.to_mail(&envelope) else {
        assert_eq!(report.original, Original::Nothing);
        return;
    };
    let (mut again, _) = FeedbackReport::read(&mail).expect("what was written is read");
    assert_eq!(again.is_complaint(), report.is_complaint());
    assert_eq!(again.source_ip, report.source_ip);
    assert_eq!(again.source_port, report.source_port);
    assert_eq!(again.incidents, report.incidents);
    assert_eq!(again.original_rcpt_to.len(), report.original_rcpt_to.len());
    // What the writer cuts and replaces is settled after some rounds: a message that ends within its header gets the line ends of its end.
    let mut before = report;
    for _ in 0..4 {
        let mail = again
            .to_mail(&envelope)
            .expect("what was read shows the message");
        let (next, _) = FeedbackReport::read(&mail).expect("what was written is read");
        before = core::mem::replace(&mut again, next);
    }
    assert_eq!(again, before);
}
