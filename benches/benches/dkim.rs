//! DKIM: verifying and signing, against SHA-256 over the message and one operation with the key, by the same library.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use benches::{group, message};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dkim::crypto::{Crypto as _, RING};
use dkim::public_key::PublicKey;
use dkim::{KeyRecord, Options, PrivateKey, Signer, Signing, SigningKey, Verifier};
use mail_dns::{Zone, resolve_blocking};
use ring::digest;

const NOW: u64 = 1_700_000_000;

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

fn verify(zone: &Zone, message: &[u8]) -> usize {
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(message);
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
        .passed()
        .count()
}

fn dkim(criterion: &mut Criterion) {
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
        let zone = Zone::new().txt(
            "s._domainkey.example.com",
            &KeyRecord::new(public.clone()).to_string(),
        );
        let key: Arc<dyn SigningKey> = Arc::new(key);
        let signed_input = [b'x'; 400];
        let signature = key.sign(&signed_input).unwrap();
        for (size, octets) in [("2 KiB", 2 << 10), ("50 KiB", 50 << 10), ("5 MiB", 5 << 20)] {
            let message = message(octets);
            let signed = [sign(&key, &message).concat().as_bytes(), &message].concat();
            assert_eq!(verify(&zone, &signed), 1);
            let mut group = group(criterion, &format!("dkim/{name}, {size}"));
            group.throughput(Throughput::Bytes(signed.len() as u64));
            group.bench_function("verify", |bencher| {
                bencher.iter(|| verify(&zone, black_box(&signed)));
            });
            group.bench_function("limit: SHA-256 and a verification", |bencher| {
                bencher.iter(|| {
                    let hash = digest::digest(&digest::SHA256, black_box(&signed));
                    let fine = match &public {
                        PublicKey::Rsa(key) => {
                            RING.verify_rsa_sha256(key, &signed_input, &signature)
                        }
                        // RFC 8463 §3: what is signed is the hash.
                        PublicKey::Ed25519(key) => {
                            let hash = digest::digest(&digest::SHA256, &signed_input);
                            RING.verify_ed25519(key, hash.as_ref(), &signature)
                        }
                        _ => false,
                    };
                    assert!(fine);
                    hash
                });
            });
            if octets == 50 << 10 {
                group.bench_function("sign", |bencher| {
                    bencher.iter(|| sign(&key, black_box(&message)));
                });
                group.bench_function("limit: SHA-256 and a signature", |bencher| {
                    bencher.iter(|| {
                        let hash = digest::digest(&digest::SHA256, black_box(&message));
                        (hash, key.sign(&signed_input).unwrap())
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, dkim);
criterion_main!(benches);
