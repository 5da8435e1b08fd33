//! Chains that are sealed, damaged and validated in any order.

use std::sync::Arc;

use dkim::arc::{Cause, ChainStatus, Sealer, Sealing, Validator, Verdict};
use dkim::{KeyRecord, Options, PrivateKey};
use mail_dns::{Evaluation, Need, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::authentication_results::{AuthenticationResults, Method, MethodResult, Outcome};

use crate::Random;
use crate::pieces::pieces;

const NOW: u64 = 1_700_000_000;

const DOMAINS: [&str; 3] = ["one.example", "two.example", "three.example"];

/// The key of all domains.
fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).expect("32 octets are a seed")
}

fn zone() -> Zone {
    let public = key().public_key().expect("it has a public key");
    let record = KeyRecord::new(public).to_string();
    DOMAINS.iter().fold(Zone::new(), |zone, domain| {
        zone.txt(&format!("s._domainkey.{domain}"), &record)
    })
}

fn validate(message: &[u8], zone: &Zone) -> Verdict {
    let mut validator = Validator::new(NOW, Options::default());
    validator.write(message);
    validator.finish();
    resolve_blocking(validator, |question| zone.answer(question))
}

/// As [`validate`], in pieces, with questions, answers and what makes no sense between them.
fn validate_in_any_order(message: &[u8], zone: &Zone, random: &mut Random) -> Verdict {
    let mut validator = Validator::new(NOW, Options::default());
    let mut open: Vec<Question> = Vec::new();
    let unknown = "unknown.example".parse().expect("a constant");
    let unknown = Question::new(unknown, RecordType::Txt);
    let mut ask = |validator: &mut Validator, open: &mut Vec<Question>| {
        match random.below(4) {
            0 => {
                if let Need::Lookup(question) = validator.poll() {
                    open.push(question);
                }
            }
            1 => {
                if let Some(question) = open.pop() {
                    validator.answer(&question, &zone.answer(&question));
                    // A second answer is ignored.
                    validator.answer(&question, &Zone::new().answer(&question));
                }
            }
            2 => validator.answer(&unknown, &zone.answer(&unknown)),
            _ => {}
        }
    };
    for piece in pieces(message) {
        ask(&mut validator, &mut open);
        validator.write(piece);
    }
    validator.finish();
    validator.write(b"what comes behind the end is no part of it");
    validator.finish();
    for question in open {
        validator.answer(&question, &zone.answer(&question));
    }
    resolve_blocking(validator, |question| zone.answer(question))
}

/// Seals as `domain`, and says what must come of it.
fn seal(message: &mut Vec<u8>, domain: &str, zone: &Zone) {
    let arrived = validate(message, zone);
    let domain = domain.parse().expect("a constant");
    let sealing = Sealing::new(domain, "s".parse().expect("a constant"), Arc::new(key()));
    let mut results = AuthenticationResults::new("mx.example");
    results.push(MethodResult::new(Method::Dmarc, Outcome::Pass));
    results.push(arrived.method_result());
    let make = |message: &[&[u8]]| {
        let mut sealer = Sealer::new(sealing.clone(), NOW);
        message.iter().for_each(|piece| sealer.write(piece));
        sealer.finish(&arrived, &results)
    };
    let made = make(&[message]);
    assert_eq!(make(&pieces(message)), made, "in pieces, and in one");
    let Ok(Some(set)) = made else {
        return;
    };
    *message = [set.to_string().as_bytes(), message].concat();
    let verdict = validate(message, zone);
    match arrived.status {
        ChainStatus::Fail => assert!(
            matches!(verdict.cause, Cause::FailedBefore { .. }),
            "{}",
            verdict.cause
        ),
        ChainStatus::None | ChainStatus::Pass => {
            assert_eq!(verdict.cause, Cause::Validated);
            assert_eq!(verdict.sets.len(), arrived.sets.len() + 1);
        }
    }
}

/// The first octets seal and damage a message that begins as the rest. Whatever happens to it: one verdict in any pieces and order; what
/// is sealed validates, unless the chain had failed before, and then it stays so.
pub fn arc_chain(data: &[u8]) {
    let (operations, text) = data.split_at(data.len().min(8));
    let zone = zone();
    let mut random = Random::of(data);
    let mut message = match text.first() {
        Some(b'+') => [b"From: a@b.example\r\nSubject: x\r\n", &text[1..]].concat(),
        _ => text.to_vec(),
    };
    for operation in operations {
        let at = random.below(message.len());
        match operation % 8 {
            0..=2 => {
                let domain = DOMAINS[usize::from(operation % 8)];
                seal(&mut message, domain, &zone);
            }
            3 => {
                if let Some(octet) = message.get_mut(at) {
                    *octet ^= operation >> 3;
                }
            }
            4 => message.truncate(at),
            5 => message
                .splice(at..at, text.iter().copied().take(40))
                .for_each(drop),
            // A line is lost, or stands twice.
            6 | 7 => {
                let start = next_line(&message, at);
                let end = next_line(&message, start + 1).max(start);
                let line: Vec<u8> = message[start..end].to_vec();
                match operation % 8 {
                    6 => message.drain(start..end).for_each(drop),
                    _ => message.splice(start..start, line).for_each(drop),
                }
            }
            _ => {}
        }
    }
    let verdict = validate(&message, &zone);
    assert_eq!(verdict.status, verdict.cause.status());
    let other = validate_in_any_order(&message, &zone, &mut random);
    assert_eq!(other, verdict, "in pieces and any order, and in one");
}

/// Where the line after this place begins, or the end.
fn next_line(message: &[u8], at: usize) -> usize {
    let rest = message.get(at..).unwrap_or_default();
    let end = rest.windows(2).position(|pair| pair == b"\r\n");
    end.map_or(message.len(), |end| at + end + 2)
}
