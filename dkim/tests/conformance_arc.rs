//! The ARC suite of ValiMail: chains to validate, and messages to seal.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;

use dkim::Options;
use dkim::arc::{Validator, Verdict};
use mail_dns::{Zone, resolve_blocking};
use serde_json::Value;
use testkit::conformance;

/// Cases whose expectation we do not meet, each with the reason.
fn known_gaps() -> BTreeMap<&'static str, &'static str> {
    include_str!("conformance_arc.known-gaps")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a case and a reason"))
        .collect()
}

fn validate(message: &[u8], piece: usize, now: u64, options: Options, zone: &Zone) -> Verdict {
    let mut validator = Validator::new(now, options);
    message
        .chunks(piece)
        .for_each(|piece| validator.write(piece));
    validator.finish();
    resolve_blocking(validator, |question| zone.answer(question))
}

fn cases(suite: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let suites = suite["suites"].as_array().expect("suites");
    suites.iter().flat_map(|suite| {
        let cases = suite["cases"].as_array().expect("cases");
        cases.iter().map(move |case| (suite, case))
    })
}

#[test]
fn validation() {
    let Some(file) = conformance::load_json("arc/validation.json") else {
        return;
    };
    let gaps = known_gaps();
    let mut wrong = Vec::new();
    let (mut passed, mut all) = (0, 0);
    for (suite, case) in cases(&file) {
        let id = case["id"].as_str().expect("id");
        let message = case["message"].as_str().expect("message").as_bytes();
        let zone = conformance::zone(&suite["zone"]).expect(id);
        let verdict = validate(message, usize::MAX, 0, Options::default(), &zone);
        for piece in [1, 2, 3, 7, 64] {
            let cut = validate(message, piece, 0, Options::default(), &zone);
            assert_eq!(cut, verdict, "{id} in pieces of {piece}");
        }
        assert_eq!(verdict.status, verdict.cause.status(), "{id}");
        all += 1;
        let met = case["expect"] == verdict.status.to_string();
        passed += usize::from(met);
        match (met, gaps.get(id)) {
            (false, None) => wrong.push(format!(
                "{id}: {} ({}), expected {}",
                verdict.status, verdict.cause, case["expect"]
            )),
            (true, Some(_)) => wrong.push(format!("{id}: passes, and is among the known gaps")),
            _ => {}
        }
        eprintln!("{id}: {}", verdict.cause);
    }
    eprintln!("validation.json: {passed} of {all}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
