//! SCRAM-SHA-256: a server's whole exchange, against the HMACs and the hash that RFC 5802 §3 asks of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;

use benches::group;
use criterion::{Criterion, criterion_group, criterion_main};
use mail_wire::Secret;
use ring::{digest, hmac};
use sasl_core::server::{Exchange, Next, ServerConfig};
use sasl_core::{Entropy, Mechanism, StoredKeys};

/// The exchange of RFC 7677 §3, from the server's side.
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const FINAL: &[u8] =
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const KEYS: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn exchange(config: &ServerConfig, keys: &StoredKeys) -> Next {
    let mut entropy = Entropy::fixed_for_tests(NONCE);
    let mut exchange = Exchange::new(Mechanism::ScramSha256, config, None, &mut entropy).unwrap();
    let _ = exchange.start(Some(FIRST));
    let _ = exchange.stored_keys(Some(keys.clone()));
    let _ = exchange.response(FINAL);
    exchange.authorized(true)
}

fn sasl(criterion: &mut Criterion) {
    let config = ServerConfig::new(Secret::new([1; 32]));
    let keys: StoredKeys = KEYS.parse().unwrap();
    assert!(matches!(exchange(&config, &keys), Next::Success(_)));
    let mut group = group(criterion, "sasl/SCRAM-SHA-256 server");
    group.bench_function("exchange", |bencher| {
        bencher.iter(|| exchange(black_box(&config), &keys));
    });
    let auth_message = [b'x'; 160];
    group.bench_function("limit: two HMACs and a hash", |bencher| {
        bencher.iter(|| {
            let auth_message = black_box(&auth_message[..]);
            let client = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]), auth_message);
            let server = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]), auth_message);
            (digest::digest(&digest::SHA256, client.as_ref()), server)
        });
    });
    group.finish();
}

criterion_group!(benches, sasl);
criterion_main!(benches);
