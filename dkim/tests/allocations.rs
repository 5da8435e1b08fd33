//! What a message costs on the heap: as much whether its body has 2 KiB or 5 MiB, and little for each signature.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use dkim::arc::{self, Sealer, Sealing, Validator};
use dkim::{Options, PrivateKey, Signer, Signing, SigningKey, Verifier};
use mail_dns::{Evaluation, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::authentication_results::AuthenticationResults;
use testkit::allocations::{Counted, Counting, count};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: u64 = 1_700_000_000;

const KEYS: [(&str, &str); 2] = [
    ("rsa", include_str!("keys/rsa2048.pkcs8.pem")),
    ("ed25519", include_str!("keys/ed25519.pkcs8.pem")),
];

/// White space to reduce in every line, and none at all.
const LINES: [&str; 2] = [
    "We lost the game.  Are you hungry yet? \t Then come to us at eight, and bring a friend.\r\n",
    "JVBERi0xLjcKJeLjz9MKNSAwIG9iago8PC9GaWx0ZXIvRmxhdGVEZWNvZGUvTGVuZ3RoIDM4Pj5z\r\n",
];

const SIZES: [usize; 2] = [2 << 10, 5 << 20];

fn message(line: &str, octets: usize) -> Vec<u8> {
    let header = "From: Joe <joe@example.com>\r\nTo: Amy <amy@example.org>\r\nSubject: dinner\r\n\
        Date: Fri, 11 Jul 2025 21:00:37 -0700\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n";
    let lines = (octets - header.len()).div_ceil(line.len());
    [header, &line.repeat(lines)].concat().into_bytes()
}

/// As a server reads it.
fn pieces(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.chunks(16 << 10)
}

/// One signature for each selector.
fn sign(key: &Arc<dyn SigningKey>, selectors: &[&str], message: &[u8]) -> String {
    let signings = selectors.iter().map(|selector| {
        let (domain, selector) = ("example.com".parse().unwrap(), selector.parse().unwrap());
        Signing::new(domain, selector, Arc::clone(key))
    });
    let mut signer = Signer::new(signings, NOW);
    pieces(message).for_each(|piece| signer.write(piece));
    signer.finish().unwrap().concat()
}

fn zone(key: &PrivateKey, selectors: &[&str]) -> Zone {
    let record = key.key_record().unwrap().to_string();
    selectors.iter().fold(Zone::new(), |zone, selector| {
        zone.txt(&format!("{selector}._domainkey.example.com"), &record)
    })
}

fn verify(zone: &Zone, message: &[u8]) -> dkim::Verdict {
    let mut verifier = Verifier::new(NOW, Options::default());
    pieces(message).for_each(|piece| verifier.write(piece));
    verifier.finish();
    judge(zone, verifier)
}

fn validate(zone: &Zone, message: &[u8]) -> arc::Verdict {
    let mut validator = Validator::new(NOW, Options::default());
    pieces(message).for_each(|piece| validator.write(piece));
    validator.finish();
    judge(zone, validator)
}

fn seal(key: &Arc<dyn SigningKey>, chain: &arc::Verdict, message: &[u8]) -> String {
    let (domain, selector) = ("example.com".parse().unwrap(), "a".parse().unwrap());
    let mut sealer = Sealer::new(Sealing::new(domain, selector, Arc::clone(key)), NOW);
    pieces(message).for_each(|piece| sealer.write(piece));
    let results = AuthenticationResults::new("mx.example.com");
    sealer.finish(chain, &results).unwrap().unwrap().to_string()
}

fn judge<E: Evaluation>(zone: &Zone, evaluation: E) -> E::Verdict {
    resolve_blocking(evaluation, |question| zone.answer(question))
}

fn read(pem: &str) -> (PrivateKey, Arc<dyn SigningKey>) {
    let key = || PrivateKey::from_pem(pem).unwrap();
    (key(), Arc::new(key()))
}

/// What the work costs for a short body and for a long one must be the same.
fn same_for_all_sizes(what: &str, line: &str, mut work: impl FnMut(&[u8]) -> Counted) -> Counted {
    let [short, long] = SIZES.map(|size| work(&message(line, size)));
    assert_eq!(short, long, "{what}: {line}");
    short
}

#[test]
fn the_size_of_the_body_changes_nothing() {
    for (name, pem) in KEYS {
        let (private, key) = read(pem);
        let zone = zone(&private, &["a"]);
        for line in LINES {
            same_for_all_sizes(&format!("sign, {name}"), line, |message| {
                count(|| sign(&key, &["a"], message)).1
            });
            same_for_all_sizes(&format!("verify, {name}"), line, |message| {
                let signed = [sign(&key, &["a"], message).as_bytes(), message].concat();
                let (verdict, counted) = count(|| verify(&zone, &signed));
                assert_eq!(verdict.passed().count(), 1);
                counted
            });
        }
    }
}

#[test]
fn nor_does_it_with_a_chain() {
    let (private, key) = read(KEYS[1].1);
    let zone = zone(&private, &["a"]);
    for line in LINES {
        same_for_all_sizes("a chain", line, |message| {
            let signed = [sign(&key, &["a"], message).as_bytes(), message].concat();
            let none = validate(&zone, &signed);
            let (set, sealing) = count(|| seal(&key, &none, &signed));
            let sealed = [set.as_bytes(), &signed].concat();
            let (verdict, verifying) = count(|| verify(&zone, &sealed));
            assert_eq!(verdict.passed().count(), 1);
            let (chain, validating) = count(|| validate(&zone, &sealed));
            assert_eq!(chain.status, arc::ChainStatus::Pass);
            Counted {
                allocations: sealing.allocations + verifying.allocations + validating.allocations,
                peak: sealing.peak.max(verifying.peak).max(validating.peak),
            }
        });
    }
}

/// What one signature costs, its message with it, and what a further one of the same message costs, answers at hand.
///
/// A further one is verified with the list of its tags, its parts (domain, selector, `h=`, `b=` decoded) and the whole of them, the name of
/// its key, what it signs, and of its key record the texts, the strings of a long one joined, the tags and the octets: 11 or 12.
/// The verdict copies none of it. It is signed with the domain and selector that are handed in, its `h=`, its text, what it signs, and its
/// octets: 6. For RSA ring has some for itself: 9 to sign, 5 to verify.
#[test]
fn few_allocations_for_each_signature() {
    for ((name, pem), most) in KEYS.into_iter().zip([[24, 15, 25, 17], [15, 6, 19, 11]]) {
        let (private, key) = read(pem);
        let message = message(LINES[0], SIZES[0]);
        let zone = zone(&private, &["a"]);
        let question = Question::new("a._domainkey.example.com".parse().unwrap(), RecordType::Txt);
        let answer = zone.answer(&question);
        let cost = |selectors: &[&str]| {
            let (fields, signing) = count(|| sign(&key, selectors, &message));
            let signed = [fields.as_bytes(), &message].concat();
            let mut verifier = Verifier::new(NOW, Options::default());
            let (verdict, verifying) = count(|| {
                pieces(&signed).for_each(|piece| verifier.write(piece));
                verifier.finish();
                resolve_blocking(verifier, |_| answer.clone())
            });
            assert_eq!(verdict.passed().count(), selectors.len());
            (signing.allocations, verifying.allocations)
        };
        let ((sign_one, verify_one), (sign_two, verify_two)) = (cost(&["a"]), cost(&["a", "b"]));
        let costs = [
            sign_one,
            sign_two - sign_one,
            verify_one,
            verify_two - verify_one,
        ];
        let within = costs.iter().zip(&most).all(|(cost, most)| cost <= most);
        assert!(within, "{name}: {costs:?}, at most {most:?}");
    }
}
