//! Reports as real reporters send them, collected by parsedmarc, mox, OpenDMARC and Mail::DMARC.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dmarc::reports::Report;
use dmarc::reports::failure::FailureReport;
use dmarc::reports::read::{Defect, ReadError};
use testkit::conformance::{load_json, root};

/// What a file is, in the words of the suite.
fn kind(octets: &[u8]) -> Result<(&'static str, Option<(Report, Vec<Defect>)>), String> {
    match Report::read(octets, &Default::default()) {
        Ok((report, defects)) => {
            let defects = defects.iter().map(|finding| finding.defect).collect();
            Ok(("aggregate", Some((report, defects))))
        }
        Err(ReadError::TlsReport) => Ok(("smtp_tls", None)),
        Err(error) => match FailureReport::read(octets) {
            Ok((report, defects)) => {
                println!(
                    "{:?} {:?} {:?} {defects:?}",
                    report.source_ip, report.reported_domains, report.identity_alignment
                );
                Ok(("failure", None))
            }
            Err(_) => Err(error.to_string()),
        },
    }
}

#[test]
fn each_sample_is_what_the_suite_says() {
    let Some(index) = load_json("reports/index.json") else {
        return;
    };
    let folder = root().unwrap().join("reports");
    let (mut wrong, mut passed) = (Vec::new(), 0);
    let cases = index["cases"].as_array().unwrap();
    for case in cases {
        let file = case["file"].as_str().unwrap();
        let expected = case["parsedmarc"].as_str().unwrap();
        let octets = std::fs::read(folder.join(file)).unwrap();
        match kind(&octets) {
            Ok((kind, content)) if kind == expected => {
                passed += 1;
                if let Some((report, defects)) = content {
                    assert!(!report.rows.is_empty(), "{file}");
                    assert!(!report.policy_published.domain.is_empty(), "{file}");
                    assert!(report.metadata.date_range.begin > 0, "{file}");
                    println!("{file}: {} rows {defects:?}", report.rows.len());
                }
            }
            Err(_) if expected.starts_with("rejects") => passed += 1,
            other => wrong.push(format!("{file}: {expected}, and we: {other:?}")),
        }
    }
    println!("reports: {passed} of {}", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
