//! DKIM: verifying, the answer of the DNS at hand, and signing, against SHA-256 over the canonical body and one operation with the key over the
//! canonical header block, by the same library.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::message;
use dkim::crypto::{Crypto as _, RING};
use dkim::public_key::{Ed25519PublicKey, PublicKey, RsaPublicKey};
use dkim::{KeyRecord, Options, PrivateKey, Signer, Signing, SigningKey, Verifier};
use mail_dns::{Answer, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::header::{Header, Limits};
use ring::digest;

const NOW: u64 = 1_700_000_000;

/// What a cost may be, in limits.
const ALLOWED: f64 = 1.15;

fn sign(key: &Arc<dyn SigningKey>, message: &[u8]) -> Vec<String> {
    let signing = Signing::new(
        "example.com".parse().unwrap(),
        "s".parse().unwrap(),
        Arc::clone(key),
    );
    let mut signer = Signer::new([signing], NOW);
    signer.write(message);
    signer.finish().unwrap()
}

fn verify(answer: &Answer, message: &[u8]) -> usize {
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(message);
    verifier.finish();
    resolve_blocking(verifier, |_| answer.clone())
        .passed()
        .count()
}

/// A message of about so many octets, most of them an attachment in base64; that of `message` is prose with white space to reduce in
/// every line, which is as much as relaxed canonicalization can find to do.
fn attachment(octets: usize) -> Vec<u8> {
    let mut message = message(1 << 10);
    while message.len() < octets {
        message.extend_from_slice(
            b"JVBERi0xLjcKJeLjz9MKNSAwIG9iago8PC9GaWx0ZXIvRmxhdGVEZWNvZGUvTGVuZ3RoIDM4Pj5z\r\n",
        );
    }
    message
}

/// What relaxed canonicalization makes of the body of these messages.
fn canonical_body(message: &[u8]) -> Vec<u8> {
    let message = String::from_utf8_lossy(message);
    let (_, body) = message.split_once("\r\n\r\n").unwrap();
    body.replace("  ", " ").into()
}

/// The canonical header block that the signature on top signs.
fn block(signed: &[u8]) -> Vec<u8> {
    let (header, _) = Header::split(signed, &Limits::default()).unwrap();
    let field = header.fields().next().unwrap();
    dkim::signing_input(&header, &field).unwrap()
}

/// SHA-256 over octets that are all there.
fn hash(octets: &[u8]) {
    black_box(digest::digest(&digest::SHA256, octets));
}

/// A verification of the header block, the key read from its DER before, or from its octets where it is one of Ed25519.
fn bare_verification(public: &PublicKey, der: &[u8], block: &[u8], signature: &[u8]) {
    let fine = match public {
        PublicKey::Rsa(_) => {
            let key = RsaPublicKey::from_der(black_box(der)).unwrap();
            RING.verify_rsa_sha256(&key, block, signature)
        }
        PublicKey::Ed25519(key) => {
            let key = Ed25519PublicKey::from_octets(black_box(key.octets())).unwrap();
            // RFC 8463 §3: what is signed is the hash.
            let hash = digest::digest(&digest::SHA256, block);
            RING.verify_ed25519(&key, hash.as_ref(), signature)
        }
        _ => false,
    };
    assert!(fine);
}

/// Measures both by turns, if `what` has in it what the command line asks for, so that what else the machine does falls on both, and prints the medians.
fn beside(what: &str, mut cost: impl FnMut(), mut limit: impl FnMut()) {
    let asked = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if asked.is_some_and(|asked| !what.contains(&asked)) {
        return;
    }
    let start = Instant::now();
    limit();
    // Samples of half a millisecond at least.
    let calls = 500_000 / start.elapsed().as_nanos().max(1) + 1;
    let sample = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        start.elapsed().as_secs_f64() / calls as f64
    };
    let (mut costs, mut limits) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while costs.len() < 50 || begun.elapsed() < Duration::from_secs(1) {
        costs.push(sample(&mut cost));
        limits.push(sample(&mut limit));
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or_default() * 1e6
    };
    let (cost, limit) = (median(&mut costs), median(&mut limits));
    let ratio = cost / limit;
    let verdict = if ratio <= ALLOWED { "within" } else { "ABOVE" };
    println!(
        "{what:<34} {cost:>9.1} µs   limit {limit:>9.1} µs   ratio {ratio:.2}   {verdict} {ALLOWED}"
    );
}

fn main() {
    for (name, pem) in [
        (
            "RSA 2048",
            include_str!("../../dkim/tests/keys/rsa2048.pkcs8.pem"),
        ),
        (
            "Ed25519",
            include_str!("../../dkim/tests/keys/ed25519.pkcs8.pem"),
        ),
    ] {
        let key = PrivateKey::from_pem(pem).unwrap();
        let public = key.public_key().unwrap();
        let der = match &public {
            PublicKey::Rsa(key) => key.to_der(),
            _ => Vec::new(),
        };
        let key_name = "s._domainkey.example.com";
        let zone = Zone::new().txt(key_name, &KeyRecord::new(public.clone()).to_string());
        let answer = zone.answer(&Question::new(key_name.parse().unwrap(), RecordType::Txt));
        let key: Arc<dyn SigningKey> = Arc::new(key);
        for (size, message) in [
            ("2 KiB", message(2 << 10)),
            ("50 KiB", message(50 << 10)),
            ("5 MiB", message(5 << 20)),
            ("50 KiB of base64", attachment(50 << 10)),
            ("5 MiB of base64", attachment(5 << 20)),
        ] {
            let signed = [sign(&key, &message).concat().as_bytes(), &message].concat();
            assert_eq!(verify(&answer, &signed), 1);
            let (body, block) = (canonical_body(&message), block(&signed));
            let signature = key.sign(&block).unwrap();
            beside(
                &format!("verify, {name}, {size}"),
                || assert_eq!(verify(&answer, black_box(&signed)), 1),
                || {
                    hash(black_box(&body));
                    bare_verification(&public, &der, black_box(&block), &signature);
                },
            );
            beside(
                &format!("sign, {name}, {size}"),
                || drop(black_box(sign(&key, black_box(&message)))),
                || {
                    hash(black_box(&body));
                    black_box(key.sign(black_box(&block)).unwrap());
                },
            );
        }
    }
}
