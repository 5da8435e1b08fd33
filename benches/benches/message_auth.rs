//! A whole message judged, against SHA-256 over it and one verification.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use benches::{group, message};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dkim::crypto::{Crypto as _, RING};
use dkim::public_key::PublicKey;
use dkim::{KeyRecord, PrivateKey, Signer, Signing, SigningKey};
use mail_dns::{Zone, resolve_blocking};
use message_auth::{Config, Inbound, MessageAuth};
use ring::digest;

const NOW: u64 = 1_700_000_000;

fn message_auth(criterion: &mut Criterion) {
    let key =
        PrivateKey::from_pem(include_str!("../../dkim/tests/keys/rsa2048.pkcs8.pem")).unwrap();
    let public = key.public_key().unwrap();
    let zone = Zone::new()
        .txt("example.com", "v=spf1 include:_spf.example.com -all")
        .txt("_spf.example.com", "v=spf1 ip4:192.0.2.0/24 -all")
        .txt("mail.example.com", "v=spf1 a -all")
        .txt(
            "s._domainkey.example.com",
            &KeyRecord::new(public.clone()).to_string(),
        )
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
        .a("mail.example.com", [192, 0, 2, 1]);
    let signed_input = [b'x'; 400];
    let signature = key.sign(&signed_input).unwrap();
    let body = message(50 << 10);
    let mut signer = Signer::new(
        [Signing::new(
            "example.com".parse().unwrap(),
            "s".parse().unwrap(),
            Arc::new(key),
        )],
        NOW,
    );
    signer.write(&body);
    let signed = [signer.finish().unwrap().concat().as_bytes(), &body].concat();
    let inbound = Inbound {
        client_ip: [192, 0, 2, 1].into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<joe@example.com>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    };
    let config = Config::default();
    let judge = || {
        let mut auth = MessageAuth::new(inbound.clone(), &config);
        auth.write(black_box(&signed));
        auth.finish();
        resolve_blocking(auth, |question| zone.answer(question))
            .authentication_results()
            .unwrap()
    };
    assert!(judge().contains("dkim=pass"));
    let mut group = group(criterion, "message-auth/50 KiB, RSA 2048");
    group.throughput(Throughput::Bytes(signed.len() as u64));
    group.bench_function("evaluation and field", |bencher| bencher.iter(judge));
    group.bench_function("limit: SHA-256 and a verification", |bencher| {
        bencher.iter(|| {
            let PublicKey::Rsa(key) = &public else { return };
            assert!(RING.verify_rsa_sha256(key, &signed_input, &signature));
            black_box(digest::digest(&digest::SHA256, black_box(&signed)));
        });
    });
    group.finish();
}

criterion_group!(benches, message_auth);
criterion_main!(benches);
