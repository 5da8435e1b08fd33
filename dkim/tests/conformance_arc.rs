//! The ARC suite of ValiMail: chains to validate, and messages to seal.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dkim::arc::{ChainStatus, SealedFields, Sealer, Sealing, Validator, Verdict, combined_results};
use dkim::crypto::{Crypto as _, RING};
use dkim::{Algorithm, Options, SigningKey, SigningKeyError};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::header::{Header, Limits};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
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
    }
    eprintln!("validation.json: {passed} of {all}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A key of 1024 bits, which neither ring nor aws-lc-rs signs with: the suite has no longer one. The timing of this crate
/// (RUSTSEC-2023-0071) does not matter for a key that is published.
#[derive(Debug)]
struct SuiteKey(rsa::PrivateKey);

impl SigningKey for SuiteKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RsaSha256
    }

    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        // RFC 8017 §9.2, note 1: the DigestInfo of SHA-256 up to the hash.
        let prefix =
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
        let padding = rsa::Pkcs1v15Sign {
            hash_len: Some(32),
            prefix: prefix.as_slice().into(),
        };
        let mut hash = RING.sha256();
        hash.update(octets);
        (self.0)
            .sign(padding, &hash.finish())
            .map_err(|error| SigningKeyError::Failed(error.to_string()))
    }
}

/// The tags of a field as a set, white space removed; those of an AAR are the parts between its semicolons.
fn tags(body: &str) -> BTreeSet<String> {
    let parts = body
        .split(';')
        .map(|part| part.split_whitespace().collect());
    parts.filter(|part: &String| !part.is_empty()).collect()
}

fn body(field: &str) -> &str {
    field.split_once(':').expect("a field has a colon").1
}

#[test]
fn signing() {
    let Some(file) = conformance::load_json("arc/sign.json") else {
        return;
    };
    let mut wrong = Vec::new();
    let (mut passed, mut all) = (0, 0);
    for (suite, case) in cases(&file) {
        let id = case["id"].as_str().expect("id");
        let text = |value: &Value| value.as_str().expect(id).to_owned();
        let message = text(&case["message"]);
        let now = case["t"].as_u64().expect(id);
        // The line feeds in its keys are those of the file that the suite was written in: no folding white space (RFC 6376 §2.8).
        let mut zone = suite["zone"].clone();
        for record in zone.as_array_mut().expect(id) {
            let text = record["value"][0].as_str().expect(id).replace('\n', "");
            record["value"][0] = text.into();
        }
        let zone = conformance::zone(&zone).expect(id);
        let chain = validate(
            message.as_bytes(),
            usize::MAX,
            now,
            Options::default(),
            &zone,
        );
        let (header, _) = Header::split(message.as_bytes(), &Limits::default()).expect(id);
        let results = combined_results(&header, &text(&case["srv_id"]));

        let key = rsa::PrivateKey::from_pkcs1_pem(&text(&suite["private_key"])).expect(id);
        let domain = text(&suite["domain"]).parse().expect(id);
        let selector = text(&suite["selector"]).parse().expect(id);
        let mut sealing = Sealing::new(domain, selector, Arc::new(SuiteKey(key)));
        let names = text(&case["sig_headers"]);
        sealing.fields = SealedFields::Exactly(
            names
                .split(':')
                .map(|name| name.to_owned().into())
                .collect(),
        );
        let seal = |piece: usize| {
            let mut sealer = Sealer::new(sealing.clone(), now);
            (message.as_bytes().chunks(piece)).for_each(|piece| sealer.write(piece));
            sealer.finish(&chain, &results).expect(id)
        };
        let set = seal(usize::MAX);
        for piece in [1, 2, 7, 64] {
            assert_eq!(seal(piece), set, "{id} in pieces of {piece}");
        }

        all += 1;
        let expected = ["AS", "AMS", "AAR"].map(|field| text(&case["expect"][field]));
        let made = set.as_ref().map_or_else(Default::default, |set| {
            [&set.seal, &set.message_signature, &set.results].map(|field| body(field).to_owned())
        });
        // The signatures are over fields whose order and folding the suite leaves open; that they are good is checked below.
        let but_b = |field: &String| {
            let mut tags = tags(field);
            tags.retain(|tag| !tag.starts_with("b="));
            tags
        };
        let mut met = expected.iter().map(but_b).eq(made.iter().map(but_b));
        if let Some(set) = set {
            let sealed = [set.to_string().as_bytes(), message.as_bytes()].concat();
            let verdict = validate(&sealed, usize::MAX, now, Options::default(), &zone);
            let expected = match chain.status {
                ChainStatus::Fail => ChainStatus::Fail,
                _ => ChainStatus::Pass,
            };
            met &= verdict.status == expected;
        }
        passed += usize::from(met);
        if !met {
            wrong.push(format!("{id}: {made:#?}, expected {expected:#?}"));
        }
    }
    eprintln!("sign.json: {passed} of {all}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
