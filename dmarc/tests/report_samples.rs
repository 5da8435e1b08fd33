//! Reports as real reporters send them, collected by parsedmarc, mox, OpenDMARC and Mail::DMARC.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test may read the files of a suite"
)]

use dmarc::reports::failure::{FailureDefect, FailureReport};
use dmarc::reports::read::{Defect, Defects, ReadError};
use dmarc::reports::{DmarcAlignment, Report};
use testkit::conformance::{load_json, root};

/// What a file is.
enum Sample {
    Aggregate(Box<Report>, Defects),
    Failure,
    TlsReport,
    None(ReadError),
}

fn sample(octets: &[u8]) -> Sample {
    match Report::read(octets, &Default::default()) {
        Ok((report, defects)) => Sample::Aggregate(Box::new(report), defects),
        Err(ReadError::TlsReport) => Sample::TlsReport,
        Err(error) => match FailureReport::read(octets) {
            Ok(_) => Sample::Failure,
            Err(_) => Sample::None(error),
        },
    }
}

/// The file of the suite; `None` where there is no suite.
fn file(name: &str) -> Option<Vec<u8>> {
    std::fs::read(root()?.join("reports").join(name)).ok()
}

#[test]
fn each_sample_is_what_the_suite_says() {
    let Some(index) = load_json("reports/index.json") else {
        return;
    };
    let mut wrong = Vec::new();
    let cases = index["cases"].as_array().unwrap();
    for case in cases {
        let name = case["file"].as_str().unwrap();
        let expected = case["parsedmarc"].as_str().unwrap();
        let found = match sample(&file(name).unwrap()) {
            Sample::Aggregate(report, defects) => {
                eprintln!("{name}: {} rows", report.rows.len());
                defects
                    .iter()
                    .for_each(|finding| eprintln!("    {finding}"));
                assert!(!report.rows.is_empty(), "{name}");
                assert!(!report.policy_published.domain.is_empty(), "{name}");
                assert!(report.metadata.date_range.begin > 0, "{name}");
                "aggregate".to_owned()
            }
            Sample::Failure => "failure".to_owned(),
            Sample::TlsReport => "smtp_tls".to_owned(),
            Sample::None(error) => format!("rejects: {error}"),
        };
        let is_alike = match expected.starts_with("rejects") {
            true => found.starts_with("rejects"),
            false => found == expected,
        };
        if !is_alike {
            wrong.push(format!("{name}: {expected}, and we: {found}"));
        }
    }
    eprintln!("reports: {} of {}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_broken_in_them_is_named_and_what_it_meant_is_kept() {
    for (name, defect, domain) in [
        (
            "parsedmarc/aggregate/invalid_xml.xml",
            Defect::StrayLessThan,
            "bad<xml.net",
        ),
        (
            "parsedmarc/aggregate/invalid_utf_8.xml",
            Defect::NotUtf8,
            "bad_byte\u{fffd}",
        ),
        (
            "parsedmarc/aggregate/empty_reason.xml",
            Defect::Empty,
            "example.com",
        ),
        (
            "parsedmarc/aggregate/ikea.com_example.de_1538690400_1538776800.xml",
            Defect::NotRoot,
            "example.de",
        ),
        (
            "parsedmarc/aggregate_invalid/report_with_upper_cased_pass.xml",
            Defect::Case,
            "example.com",
        ),
        (
            "opendmarc/good.com_example.com_1337270400_1337356799.xml",
            Defect::Fraction,
            "example.com",
        ),
    ] {
        let Some(octets) = file(name) else {
            return;
        };
        let (report, defects) = Report::read(&octets, &Default::default()).unwrap();
        assert!(defects.has(defect), "{name}: {defects:?}");
        assert_eq!(report.rows[0].identifiers.header_from, domain, "{name}");
    }
    let upper = file("parsedmarc/aggregate_invalid/report_with_upper_cased_pass.xml").unwrap();
    let (report, _) = Report::read(&upper, &Default::default()).unwrap();
    assert_eq!(report.rows[0].policy_evaluated.spf, DmarcAlignment::Pass);
}

#[test]
fn a_failure_report_of_text_alone_still_says_whom_and_whence() {
    let Some(octets) = file("parsedmarc/failure/exim_plain_text_only_no_arf_part.eml") else {
        return;
    };
    let (report, defects) = FailureReport::read(&octets).unwrap();
    assert!(defects.contains(&FailureDefect::TextOnly));
    assert_eq!(report.source_ip, "203.0.113.68".parse().ok());
    assert_eq!(report.reported_domains, ["example.com"]);
    assert_eq!(report.arrival_date, Some(1_744_060_569));
}
