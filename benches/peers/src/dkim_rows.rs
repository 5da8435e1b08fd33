//! DKIM: verifying and signing.

use core::hint::black_box;
use std::sync::Arc;

use dkim::crypto::{AWS_LC_RS, Crypto, RING};
use dkim::{KeyRecord, Options, PrivateKey, Signer, Signing, SigningKey, Verifier};
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::dkim::DkimSigner;
use mail_auth::{AuthenticatedMessage, DkimResult, Parameters};
use mail_dns::Zone;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::bare::{by_aws_lc, by_ring};
use crate::message::{FIELDS, KEYS, canonical_body, message, now, signed, signing};
use crate::race::Race;
use crate::zone::{Answers, Texts, answers, authenticator, judge, ready};

pub(crate) fn run() {
    for (algorithm, pem) in KEYS {
        for (size, octets) in [("2 KiB", 2 << 10), ("50 KiB", 50 << 10), ("5 MiB", 5 << 20)] {
            rows(algorithm, pem, size, &message(octets));
        }
    }
}

fn rows(algorithm: &str, pem: &str, size: &str, message: &[u8]) {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let der = der.secret_pkcs8_der();
    let (ring, aws_lc) = (by_ring::Key::new(der), Arc::new(by_aws_lc::Key::new(der)));
    let key = PrivateKey::from_pem(pem).expect("a key");
    let record = KeyRecord::new(key.public_key().expect("a key")).to_string();
    let key: Arc<dyn SigningKey> = Arc::new(key);

    let signed = signed("example.com", &key, message);
    let zone = Zone::new().txt("s._domainkey.example.com", &record);
    let answers = answers(&zone, verifier(&signed, &RING));
    let verify = |crypto| verify(&answers, &signed, crypto);

    // The limit: hashes of body and header block, and one operation with the key.
    let (body, block) = (canonical_body(message), block(&signed));
    let (public, signature) = (ring.public(), ring.sign(&block));
    let what = format!("DKIM verify, {algorithm}, {size}");
    Race::new(&what, "bare ring", || {
        ring.verify(&public, black_box(&block), &signature);
        by_ring::digest(black_box(&body))
    })
    .with("ours, ring", || verify(&RING))
    .run();

    let aws_lc_public = aws_lc.public();
    let authenticator = authenticator();
    let texts = Texts::default().txt("s._domainkey.example.com", &record);
    Race::new(&what, "bare aws-lc-rs", || {
        aws_lc.verify(&aws_lc_public, black_box(&block), &signature);
        by_aws_lc::digest(black_box(&body))
    })
    .with("ours, aws-lc-rs", || verify(&AWS_LC_RS))
    .with("mail-auth, aws-lc-rs", || {
        let message = AuthenticatedMessage::parse(black_box(&signed)).expect("a message");
        let results =
            ready(authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(&texts)));
        assert!(results.len() == 1 && results[0].result() == &DkimResult::Pass);
    })
    .run();

    let what = format!("DKIM sign, {algorithm}, {size}");
    // Who signs is set up once, as with the peer.
    let by_ours = signing("example.com", &key);
    Race::new(&what, "bare ring", || {
        (by_ring::digest(black_box(&body)), ring.sign(&block))
    })
    .with("ours, ring", || sign(&by_ours, message, &RING))
    .run();
    let ours: Arc<dyn SigningKey> = Arc::<by_aws_lc::Key>::clone(&aws_lc);
    let by_ours = signing("example.com", &ours);
    let peer = peer_signer(algorithm, der);
    Race::new(&what, "bare aws-lc-rs", || {
        (by_aws_lc::digest(black_box(&body)), aws_lc.sign(&block))
    })
    .with("ours, aws-lc-rs", || sign(&by_ours, message, &AWS_LC_RS))
    .with("mail-auth, aws-lc-rs", || peer(black_box(message)))
    .run();
}

fn verifier(signed: &[u8], crypto: &'static dyn Crypto) -> Verifier {
    let mut options = Options::default();
    options.crypto = crypto;
    let mut verifier = Verifier::new(now(), options);
    verifier.write(signed);
    verifier.finish();
    verifier
}

fn verify(answers: &Answers, signed: &[u8], crypto: &'static dyn Crypto) {
    let verdict = judge(answers, verifier(black_box(signed), crypto));
    assert_eq!(verdict.passed().count(), 1);
}

fn sign(signing: &Signing, message: &[u8], crypto: &'static dyn Crypto) -> Vec<String> {
    let mut signer = Signer::with([signing.clone()], now(), crypto, Default::default());
    signer.write(black_box(message));
    signer.finish().expect("a signature")
}

/// The canonical header block that our signature signs.
pub(crate) fn block(signed: &[u8]) -> Vec<u8> {
    let (header, _) =
        mail_syntax::header::Header::split(signed, &Default::default()).expect("a header");
    let field = header.fields().next().expect("a signature");
    dkim::signing_input(&header, &field).expect("a signature")
}

type PeerSigner = Box<dyn Fn(&[u8]) -> String>;

fn peer_signer(algorithm: &str, der: &[u8]) -> PeerSigner {
    use mail_auth::common::headers::HeaderWriter as _;
    if algorithm.starts_with("RSA") {
        let key = RsaKey::<Sha256>::from_key_der(PrivatePkcs8KeyDer::from(der.to_vec()).into())
            .expect("a key");
        let signer = DkimSigner::from_key(key)
            .domain("example.com")
            .selector("s")
            .headers(FIELDS);
        Box::new(move |message| signer.sign(message).expect("a signature").to_header())
    } else {
        let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(der).expect("a key");
        let signer = DkimSigner::from_key(key)
            .domain("example.com")
            .selector("s")
            .headers(FIELDS);
        Box::new(move |message| signer.sign(message).expect("a signature").to_header())
    }
}
