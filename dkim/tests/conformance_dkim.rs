//! The DKIM suites: messages of RFC 6376, RFC 8463, OpenDKIM, go-msgauth, mox and dkimpy, and generated ones.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;

use dkim::{
    Cause, DkimResult, KeyRecord, Options, RsaSha1, Signature, UnsignedContent, Verdict, Verifier,
};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::header::Field;
use serde_json::Value;
use testkit::conformance;

/// Cases whose expectation we do not meet, each with the reason.
fn known_gaps() -> BTreeMap<&'static str, &'static str> {
    include_str!("conformance_dkim.known-gaps")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a case and a reason"))
        .collect()
}

/// Prints what fails beyond the known gaps, and what is a known gap no more; both fail the test.
fn judge(suite: &str, outcomes: Vec<(String, Result<(), String>)>) {
    let gaps = known_gaps();
    let passed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .count();
    eprintln!("{suite}: {passed} of {}", outcomes.len());
    let wrong: Vec<_> = outcomes
        .iter()
        .filter_map(|(id, outcome)| match (outcome, gaps.get(id.as_str())) {
            (Err(error), None) => Some(format!("{id}: {error}")),
            (Ok(()), Some(_)) => Some(format!("{id}: passes, and is among the known gaps")),
            _ => None,
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn verify(message: &[u8], piece: usize, now: u64, options: Options, zone: &Zone) -> Verdict {
    let mut verifier = Verifier::new(now, options);
    message
        .chunks(piece)
        .for_each(|piece| verifier.write(piece));
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

fn meets(expect: &Value, weak: Option<&Value>, verdict: &Verdict) -> Result<(), String> {
    let results: Vec<String> = (verdict.signatures.iter())
        .map(|signature| signature.result.to_string())
        .collect();
    let told = || {
        let causes = verdict
            .signatures
            .iter()
            .map(|signature| signature.cause.to_string());
        format!(
            "{results:?} {:?}, expected {expect}",
            causes.collect::<Vec<_>>()
        )
    };
    // Where it says permerror, the signature must not count; the suite leaves open by which name.
    let equal = |result: &str, expected: &Value| match expected.as_str() {
        Some("permerror") => ["permerror", "neutral", "policy", "fail"].contains(&result),
        expected => Some(result) == expected,
    };
    let expected = &expect["signatures"];
    let met = if let Some(result) = weak {
        results.iter().all(|found| equal(found, result))
    } else if let Some(expected) = expected.as_array() {
        results.len() == expected.len()
            && results
                .iter()
                .zip(expected)
                .all(|(result, expected)| equal(result, expected))
    } else if expect["any"].is_string() {
        results.iter().any(|result| equal(result, &expect["any"]))
    } else if expect["none"].is_string() {
        !results.iter().any(|result| equal(result, &expect["none"]))
    } else {
        return Err(format!("unknown expectation {expect}"));
    };
    if met { Ok(()) } else { Err(told()) }
}

fn all_are(verdict: &Verdict, result: &str) -> bool {
    (verdict.signatures.iter()).all(|signature| signature.result.to_string() == result)
}

fn run(file: &str) {
    let Some(suite) = conformance::load_json(&format!("dkim/{file}")) else {
        return;
    };
    let root = conformance::root()
        .expect("the suite was read from there")
        .join("dkim");
    let mut outcomes = Vec::new();
    for case in suite["cases"].as_array().expect("cases") {
        let id = case["id"].as_str().expect("id").to_owned();
        let message =
            std::fs::read(root.join(case["message"].as_str().expect("message"))).expect(&id);
        let zone = conformance::zone(&case["zone"]).expect(&id);
        let now = case["now"].as_u64().unwrap_or(0);
        let mut options = Options::default();
        options.unsigned_content = UnsignedContent::Accept;
        let verdict = verify(&message, usize::MAX, now, options.clone(), &zone);
        for piece in [1, 2, 3, 7, 64] {
            assert_eq!(
                verify(&message, piece, now, options.clone(), &zone),
                verdict,
                "{id} in pieces of {piece}"
            );
        }
        #[cfg(feature = "aws-lc-rs")]
        {
            let mut other = options.clone();
            other.crypto = &dkim::crypto::AWS_LC_RS;
            assert_eq!(
                verify(&message, usize::MAX, now, other, &zone),
                verdict,
                "{id}"
            );
        }
        // With l= as it is by default, a result can only become neutral.
        let default = verify(&message, usize::MAX, now, Options::default(), &zone);
        for (accepting, default) in verdict.signatures.iter().zip(&default.signatures) {
            let left_over = accepting.result == DkimResult::Pass && accepting.unsigned_octets > 0;
            assert_eq!(
                default.result == DkimResult::Neutral,
                left_over || accepting.result == DkimResult::Neutral,
                "{id}"
            );
        }
        // A verifier of before RFC 8301 is what the expectation was made for, where there is another for those of today.
        let outcome =
            meets(&case["expect"], case.get("rfc8301_expect"), &verdict).or_else(|told| {
                let mut old = options.clone();
                old.rsa_sha1 = RsaSha1::Accept;
                let by_sha1 =
                    (verdict.signatures.iter()).any(|signature| signature.cause == Cause::Sha1);
                let verdict = verify(&message, usize::MAX, now, old, &zone);
                if by_sha1 {
                    meets(&case["expect"], None, &verdict)
                } else {
                    Err(told)
                }
            });
        // What the note of a case accepts is no gap.
        let accepted = ["permerror", "neutral"]
            .into_iter()
            .find(|result| case["note"] == format!("{result} acceptable"));
        let outcome = outcome.or_else(|told| match accepted {
            Some(result) if all_are(&verdict, result) => Ok(()),
            _ => Err(told),
        });
        outcomes.push((id, outcome));
    }
    judge(file, outcomes);
}

#[test]
fn cases() {
    run("cases.json");
}

#[test]
fn generated() {
    run("generated.json");
}

#[test]
fn parse() {
    let Some(suite) = conformance::load_json("dkim/parse.json") else {
        return;
    };
    let mut outcomes = Vec::new();
    for case in suite["cases"].as_array().expect("cases") {
        let input = case["input"].as_str().expect("input");
        let parsed = match case["what"].as_str().expect("what") {
            "signature-header" => Field::parse(input.as_bytes())
                .ok_or_else(|| "no field".to_owned())
                .and_then(|field| Signature::parse(&field).map_err(|error| error.to_string()))
                .map(drop),
            "key-record" => KeyRecord::parse(input.as_bytes())
                .map(drop)
                .map_err(|error| error.to_string()),
            what => panic!("unknown kind {what}"),
        };
        let outcome = if case["valid"] == parsed.is_ok() {
            Ok(())
        } else {
            Err(format!("valid should be {}: {parsed:?}", case["valid"]))
        };
        outcomes.push((case["id"].as_str().expect("id").to_owned(), outcome));
    }
    judge("parse.json", outcomes);
}
