//! Aggregate reports as RFC 9990 wants them: valid by its schema, in the mail it describes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/schema.rs"]
mod schema;

use std::net::IpAddr;

use dmarc::reports::aggregate::Limits;
use dmarc::reports::read::{Defect, Form};
use dmarc::reports::{
    ActionDisposition, Added, Aggregate, AuthResults, DateRange, DkimAuthResult, DkimResult,
    DmarcAlignment, Envelope, Identifiers, MailError, PolicyEvaluated, PolicyPublished, Report,
    ReportReader, Reporter, Row, SpfAuthResult, SpfResult, SpfScope, file_name,
};
use dmarc::{OverrideReason, Policy, PolicyOverride, Record};
use mail_syntax::mime::MimeTree;
use proptest::prelude::*;

const APPENDIX_B: &str = include_str!("reports/rfc9990_appendix_b.xml");
const PERIOD: DateRange = DateRange {
    begin: 1_013_662_812,
    end: 1_013_749_130,
};

fn reporter() -> Reporter {
    Reporter {
        domain: "mail.receiver.example".parse().unwrap(),
        org_name: "Receiver & Sons <Ltd.>".into(),
        email: "dmarc@receiver.example".into(),
        extra_contact_info: Some("https://receiver.example/dmarc".into()),
        generator: Some("yubin 0.1".into()),
    }
}

fn policy(domain: &str, record: &str) -> PolicyPublished {
    let record: Record = record.parse().unwrap();
    PolicyPublished::of_record(&domain.parse().unwrap(), &record)
}

fn row(header_from: &str, disposition: ActionDisposition) -> Row {
    Row {
        source_ip: "192.0.2.1".parse().unwrap(),
        count: 1,
        policy_evaluated: PolicyEvaluated {
            disposition,
            dkim: DmarcAlignment::Fail,
            spf: DmarcAlignment::Fail,
            reasons: Vec::new(),
        },
        identifiers: Identifiers {
            header_from: header_from.into(),
            envelope_from: Some(String::new()),
            envelope_to: None,
        },
        auth_results: AuthResults::default(),
    }
}

fn dkim(domain: &str, result: DkimResult) -> DkimAuthResult {
    DkimAuthResult {
        domain: domain.into(),
        selector: Some("s".into()),
        result,
        human_result: None,
    }
}

fn one_report() -> Report {
    let mut aggregate = Aggregate::new(Limits::default());
    let policy = policy("example.com", "v=DMARC1; p=reject");
    let _ = aggregate.add(&policy, row("example.com", ActionDisposition::Reject));
    aggregate.take_reports(PERIOD, &reporter()).remove(0)
}

#[test]
fn the_sample_of_the_rfc_is_read_and_valid() {
    let (report, defects) = Report::read(APPENDIX_B.as_bytes(), &Default::default()).unwrap();
    assert!(defects.is_empty(), "{defects:?}");
    assert_eq!(report.metadata.report_id, "3v98abbp8ya9n3va8yr8oa3ya");
    assert_eq!(report.policy_published.p, Some(Policy::Quarantine));
    assert_eq!(report.policy_published.testing, Some(false));
    assert_eq!(
        report.rows[0].auth_results.dkim[0].selector.as_deref(),
        Some("abc123")
    );
    let mut reader = ReportReader::new(APPENDIX_B.as_bytes(), &Default::default()).unwrap();
    assert!(reader.next_row().unwrap().is_some());
    assert_eq!(reader.form(), Form::Rfc9990);
    schema::validate(APPENDIX_B);
    schema::validate(core::str::from_utf8(&report.to_xml()).unwrap());
}

#[test]
fn the_schema_check_fails_for_what_is_invalid() {
    for (from, to) in [
        (
            "<version>1.0</version>",
            "<extension/><version>1.0</version>",
        ),
        ("<spf>fail</spf>", ""),
        (
            "<disposition>pass</disposition>",
            "<disposition>accept</disposition>",
        ),
        ("<selector>abc123</selector>", ""),
        ("<count>123</count>", "<count>many</count>"),
        (
            "xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"",
            "xmlns=\"urn:x\"",
        ),
    ] {
        let changed = APPENDIX_B.replacen(from, to, 1);
        assert_ne!(changed, APPENDIX_B, "{from}");
        let result = std::panic::catch_unwind(|| schema::validate(&changed));
        assert!(result.is_err(), "{to}");
    }
}

#[test]
fn each_policy_domain_and_each_policy_has_a_report_of_its_own() {
    let mut aggregate = Aggregate::new(Limits::default());
    // RFC 9990 §3.1.2: three domains, of which foo.example.com has no record.
    let of_example = policy("example.com", "v=DMARC1; p=reject");
    let of_bar = policy("bar.example.com", "v=DMARC1; p=none");
    let changed = policy("example.com", "v=DMARC1; p=quarantine");
    for (policy, from, disposition) in [
        (&of_example, "example.com", ActionDisposition::Reject),
        (&of_example, "foo.example.com", ActionDisposition::Reject),
        (&of_bar, "bar.example.com", ActionDisposition::None),
        (&of_example, "example.com", ActionDisposition::Reject),
        (&changed, "example.com", ActionDisposition::Quarantine),
    ] {
        assert_ne!(
            aggregate.add(policy, row(from, disposition)),
            Added::LeftOut
        );
    }
    let reports = aggregate.take_reports(PERIOD, &reporter());
    let found: Vec<_> = reports
        .iter()
        .map(|report| {
            let rows = report.rows.iter();
            let rows = rows.map(|row| (row.identifiers.header_from.as_str(), row.count));
            let policy = &report.policy_published;
            (policy.domain.as_str(), policy.p, rows.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        found,
        [
            (
                "bar.example.com",
                Some(Policy::None),
                vec![("bar.example.com", 1)]
            ),
            (
                "example.com",
                Some(Policy::Reject),
                vec![("example.com", 2), ("foo.example.com", 1)]
            ),
            (
                "example.com",
                Some(Policy::Quarantine),
                vec![("example.com", 1)]
            ),
        ]
    );
    let ids: Vec<&str> = reports
        .iter()
        .map(|report| report.metadata.report_id.as_str())
        .collect();
    assert!(
        ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2],
        "{ids:?}"
    );
    assert!(aggregate.is_empty());
    assert!(aggregate.take_reports(PERIOD, &reporter()).is_empty());
}

#[test]
fn a_report_that_is_made_again_is_the_same_and_another_period_is_another() {
    let (first, again) = (one_report(), one_report());
    assert_eq!(first, again);
    assert_eq!(first.to_gzip(), again.to_gzip());
    let submitter = reporter().domain;
    let envelope = Envelope {
        from: "dmarc@receiver.example",
        to: "reports@example.com",
        submitter: &submitter,
        now: 1_013_749_200,
    };
    assert_eq!(first.to_mail(&envelope), again.to_mail(&envelope));
    let mut aggregate = Aggregate::new(Limits::default());
    let policy = policy("example.com", "v=DMARC1; p=reject");
    let _ = aggregate.add(&policy, row("example.com", ActionDisposition::Reject));
    let next = DateRange {
        begin: PERIOD.end,
        end: PERIOD.end + 86_399,
    };
    let next = aggregate.take_reports(next, &reporter()).remove(0);
    assert_ne!(first.metadata.report_id, next.metadata.report_id);
}

#[test]
fn what_was_done_otherwise_than_asked_has_a_reason() {
    let reason = |record: &str, row: Row| {
        let mut aggregate = Aggregate::new(Limits::default());
        let _ = aggregate.add(&policy("example.com", record), row);
        let mut reports = aggregate.take_reports(PERIOD, &reporter());
        let row = reports.remove(0).rows.remove(0);
        let reasons = row.policy_evaluated.reasons;
        reasons.iter().map(|reason| reason.kind).collect::<Vec<_>>()
    };
    use ActionDisposition::{None, Reject};
    assert_eq!(reason("v=DMARC1; p=reject", row("example.com", Reject)), []);
    assert_eq!(
        reason("v=DMARC1; p=reject", row("example.com", None)),
        [PolicyOverride::Other]
    );
    let testing = reason("v=DMARC1; p=reject; t=y", row("example.com", None));
    assert_eq!(testing, [PolicyOverride::PolicyTestMode]);
    assert_eq!(
        reason("v=DMARC1; p=reject; sp=none", row("a.example.com", None)),
        []
    );
    assert_eq!(
        reason("v=DMARC1; p=none; sp=reject", row("example.com", Reject)),
        [PolicyOverride::Other]
    );
    let mut listed = row("example.com", None);
    listed.policy_evaluated.reasons.push(OverrideReason {
        kind: PolicyOverride::MailingList,
        comment: Option::None,
    });
    assert_eq!(
        reason("v=DMARC1; p=reject", listed),
        [PolicyOverride::MailingList]
    );
    let mut aligned = row("example.com", None);
    aligned.policy_evaluated.spf = DmarcAlignment::Pass;
    assert_eq!(reason("v=DMARC1; p=reject", aligned), []);
}

#[test]
fn all_signatures_are_reported_up_to_a_hundred_those_that_matter_first() {
    let mut signed = row("news.example.com", ActionDisposition::None);
    let many = (0..120).map(|number| dkim(&format!("f{number:03}.example.net"), DkimResult::Fail));
    signed.auth_results.dkim = many.collect();
    signed
        .auth_results
        .dkim
        .push(dkim("esp.example.org", DkimResult::Pass));
    signed
        .auth_results
        .dkim
        .push(dkim("example.com", DkimResult::Pass));
    signed
        .auth_results
        .dkim
        .push(dkim("news.example.com", DkimResult::Pass));
    let mut aggregate = Aggregate::new(Limits::default());
    let policy = policy("example.com", "v=DMARC1; p=none");
    let _ = aggregate.add(&policy, signed.clone());
    // The order of the signatures does not make another row.
    signed.auth_results.dkim.reverse();
    assert_eq!(aggregate.add(&policy, signed), Added::Counted);
    let reports = aggregate.take_reports(PERIOD, &reporter());
    let dkim = &reports[0].rows[0].auth_results.dkim;
    let first: Vec<&str> = dkim
        .iter()
        .take(4)
        .map(|dkim| dkim.domain.as_str())
        .collect();
    assert_eq!(
        first,
        [
            "news.example.com",
            "example.com",
            "esp.example.org",
            "f000.example.net"
        ]
    );
    assert_eq!(dkim.len(), 100);
}

#[test]
fn one_spf_result_of_mail_from_is_written() {
    let spf = |domain: &str, scope| SpfAuthResult {
        domain: domain.into(),
        scope: Some(scope),
        result: SpfResult::Pass,
        human_result: None,
    };
    let mut report = one_report();
    report.rows[0].auth_results.spf = vec![
        spf("mail.example.com", SpfScope::Helo),
        spf("example.com", SpfScope::MailFrom),
        spf("example.net", SpfScope::MailFrom),
    ];
    let xml = String::from_utf8(report.to_xml()).unwrap();
    let document = schema::validate(&xml);
    let spf = document.at("record/auth_results/spf");
    assert_eq!(
        (
            spf.at("domain").text.as_str(),
            spf.at("scope").text.as_str()
        ),
        ("example.com", "mfrom")
    );
}

#[test]
fn the_mail_is_as_the_rfc_says() {
    let report = one_report();
    let submitter = reporter().domain;
    let envelope = Envelope {
        from: "dmarc@receiver.example",
        to: "reports@example.com",
        submitter: &submitter,
        now: 1_013_749_200,
    };
    let mail = report.to_mail(&envelope).unwrap();
    let text = core::str::from_utf8(&mail).unwrap();
    assert!(
        text.is_ascii()
            && text
                .split("\r\n")
                .all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
    );
    let tree = MimeTree::parse(&mail, &Default::default());
    let header = tree.root().header();
    let field = |name: &str| {
        let mut fields = header.named(name);
        let field = fields.next().unwrap();
        assert!(fields.next().is_none(), "{name}");
        String::from_utf8(field.value().trim_ascii().to_vec()).unwrap()
    };
    let id = &report.metadata.report_id;
    // The words of dmarc-subject, with white space between them.
    let subject = field("Subject");
    let words: Vec<&str> = subject.split_ascii_whitespace().collect();
    assert_eq!(
        words,
        [
            "Report",
            "Domain:",
            "example.com",
            "Submitter:",
            "mail.receiver.example",
            "Report-ID:",
            id
        ]
    );
    assert_eq!(field("From"), "<dmarc@receiver.example>");
    assert_eq!(field("To"), "<reports@example.com>");
    assert_eq!(field("Date"), "Fri, 15 Feb 2002 05:00:00 +0000");
    assert_eq!(field("MIME-Version"), "1.0");
    assert_eq!(field("Message-ID"), format!("<{id}@mail.receiver.example>"));
    let parts: Vec<_> = tree.root().children().collect();
    assert!(parts[0].content_type().is("text", "plain"));
    assert!(parts[1].content_type().is("application", "gzip"));
    let disposition = parts[1].disposition().unwrap();
    let name = file_name("mail.receiver.example", "example.com", PERIOD, id, true);
    assert!(name.ends_with(&format!("!{id}.xml.gz")));
    assert_eq!(
        (
            disposition.kind(),
            disposition.parameters().value("filename").as_deref()
        ),
        ("attachment", Some(name.as_str()))
    );
    assert_eq!(parts[1].decoded_body(), report.to_gzip());
    // As a mailbox has it whose lines end in LF.
    let mut in_file = mail.clone();
    in_file.retain(|octet| *octet != b'\r');
    for mail in [mail, in_file] {
        let (read, defects) = Report::read(&mail, &Default::default()).unwrap();
        assert_eq!(read, report);
        assert!(defects.is_empty());
    }
}

#[test]
fn no_mail_is_made_of_what_would_break_it() {
    let submitter = reporter().domain;
    let envelope = Envelope {
        from: "dmarc@receiver.example",
        to: "reports@example.com",
        submitter: &submitter,
        now: 0,
    };
    let mut empty = one_report();
    empty.rows.clear();
    assert_eq!(empty.to_mail(&envelope), Err(MailError::NoRecord));
    let injected = Envelope {
        to: "a@b\r\nBcc: c@d",
        ..envelope.clone()
    };
    assert_eq!(one_report().to_mail(&injected), Err(MailError::Address));
    let mut id = one_report();
    id.metadata.report_id = "1\r\nBcc: c@d".into();
    assert_eq!(id.to_mail(&envelope), Err(MailError::Metadata));
    let mut domain = one_report();
    domain.policy_published.domain = "a\"b\r\n".into();
    assert_eq!(domain.to_mail(&envelope), Err(MailError::Metadata));
    let late = Envelope {
        now: u64::MAX,
        ..envelope
    };
    assert_eq!(one_report().to_mail(&late), Err(MailError::Time));
}

#[test]
fn what_is_counted_is_bounded_and_what_is_left_out_is_told() {
    let mut limits = Limits::default();
    limits.policies = 3;
    limits.policies_of_a_domain = 2;
    limits.rows_of_a_policy = 2;
    let mut aggregate = Aggregate::new(limits);
    let a = policy("a.example", "v=DMARC1; p=none");
    for number in 0..5_u8 {
        let mut row = row("a.example", ActionDisposition::None);
        row.source_ip = IpAddr::from([192, 0, 2, number]);
        row.count = 10;
        let _ = aggregate.add(&a, row);
    }
    assert_eq!(aggregate.left_out(), 30);
    // A third policy of a domain replaces the second.
    for record in [
        "v=DMARC1; p=none; sp=reject",
        "v=DMARC1; p=none; sp=quarantine",
    ] {
        let policy = policy("a.example", record);
        assert_ne!(
            aggregate.add(&policy, row("a.example", ActionDisposition::None)),
            Added::LeftOut
        );
    }
    let none = ActionDisposition::None;
    assert_eq!(
        aggregate.add(
            &policy("b.example", "v=DMARC1; p=none"),
            row("b.example", none)
        ),
        Added::New
    );
    assert_eq!(
        aggregate.add(
            &policy("c.example", "v=DMARC1; p=none"),
            row("c.example", none)
        ),
        Added::LeftOut
    );
    assert_eq!(aggregate.left_out(), 31);
    let reports = aggregate.take_reports(PERIOD, &reporter());
    let found: Vec<_> = reports
        .iter()
        .map(|report| (report.policy_published.sp, report.rows.len()))
        .collect();
    assert_eq!(found, [(None, 2), (Some(Policy::Quarantine), 1), (None, 1)]);
    assert_eq!(reports[1].rows[0].count, 2);
}

/// Text as a report may hold it: without white space around it, or XML's own unreadable characters.
fn text() -> impl Strategy<Value = String> {
    "[ -~\u{e9}\u{4e2d}\n]{0,40}".prop_map(|text| text.trim().to_owned())
}

fn full_text() -> impl Strategy<Value = String> {
    text().prop_filter("not empty", |text| !text.is_empty())
}

fn any_row() -> impl Strategy<Value = Row> {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::sample::select;
    let alignment = || select(vec![DmarcAlignment::Pass, DmarcAlignment::Fail]);
    let disposition = select(["none", "pass", "quarantine", "reject"].to_vec());
    let dkim_result = select(
        [
            "none",
            "pass",
            "fail",
            "policy",
            "neutral",
            "temperror",
            "permerror",
        ]
        .to_vec(),
    );
    let spf_result = select(
        [
            "none",
            "pass",
            "fail",
            "softfail",
            "neutral",
            "temperror",
            "permerror",
        ]
        .to_vec(),
    );
    let kinds = [
        "local_policy",
        "mailing_list",
        "other",
        "policy_test_mode",
        "trusted_forwarder",
    ];
    let reason =
        (select(kinds.to_vec()), of(full_text())).prop_map(|(kind, comment)| OverrideReason {
            kind: kind.parse().unwrap(),
            comment,
        });
    let dkim = (full_text(), of(full_text()), dkim_result, of(full_text())).prop_map(
        |(domain, selector, result, human_result)| DkimAuthResult {
            domain,
            selector,
            result: DkimResult::of_word(result.as_bytes()).unwrap(),
            human_result,
        },
    );
    let spf = (
        full_text(),
        of(Just(SpfScope::MailFrom)),
        spf_result,
        of(full_text()),
    )
        .prop_map(|(domain, scope, result, human_result)| SpfAuthResult {
            domain,
            scope,
            result: SpfResult::of_word(result.as_bytes()).unwrap(),
            human_result,
        });
    let evaluated = (disposition, alignment(), alignment(), vec(reason, 0..3));
    let identifiers = (full_text(), of(text()), of(full_text()));
    (
        any::<IpAddr>(),
        any::<u64>(),
        evaluated,
        identifiers,
        vec(dkim, 0..3),
        vec(spf, 0..2),
    )
        .prop_map(
            |(
                source_ip,
                count,
                (disposition, dkim_aligned, spf_aligned, reasons),
                (from, envelope, to),
                dkim,
                spf,
            )| Row {
                source_ip,
                count,
                policy_evaluated: PolicyEvaluated {
                    disposition: ActionDisposition::of_word(disposition.as_bytes()).unwrap(),
                    dkim: dkim_aligned,
                    spf: spf_aligned,
                    reasons,
                },
                identifiers: Identifiers {
                    header_from: from,
                    envelope_from: envelope,
                    envelope_to: to,
                },
                auth_results: AuthResults { dkim, spf },
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_valid_and_reads_back_equal(rows in proptest::collection::vec(any_row(), 1..8), org in full_text(), begin: u64) {
        let mut report = one_report();
        report.metadata.org_name = org;
        report.metadata.date_range.begin = begin;
        report.metadata.errors = vec!["<&>".into()];
        report.policy_published.fo = Some("1:d".into());
        report.rows = rows;
        let xml = report.to_xml();
        schema::validate(core::str::from_utf8(&xml).unwrap());
        let (read, defects) = Report::read(&xml, &Default::default()).unwrap();
        prop_assert_eq!(&read, &report);
        // A selector that is missing is a defect in this form.
        prop_assert!(defects.iter().all(|finding| finding.defect == Defect::Missing), "{:?}", defects);
        let (read, _) = Report::read(&report.to_gzip(), &Default::default()).unwrap();
        prop_assert_eq!(&read, &report);
    }

    #[test]
    fn the_sum_of_messages_is_kept(rows in proptest::collection::vec(any_row(), 0..20)) {
        let mut aggregate = Aggregate::new(Limits::default());
        let policy = policy("example.com", "v=DMARC1; p=none");
        let mut messages = 0;
        for mut row in rows {
            row.count %= 1_000;
            messages += row.count;
            let _ = aggregate.add(&policy, row);
        }
        let reports = aggregate.take_reports(PERIOD, &reporter());
        let counted: u64 = reports.iter().flat_map(|report| &report.rows).map(|row| row.count).sum();
        prop_assert_eq!(counted + aggregate.left_out(), messages);
    }
}
