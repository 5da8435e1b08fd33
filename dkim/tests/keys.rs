//! Keys as domains publish them: too short, too long, wrapped; what verifying by them comes to.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use dkim::key_record::{KeyRecordError, KeyType, Leniency};
use dkim::public_key::{PublicKey, PublicKeyError};
use dkim::{
    Cause, DkimResult, KeyRecord, Options, Pkcs8, PrivateKey, SignatureVerdict, Signer, Signing,
    SigningKey, Verifier,
};
use mail_dns::{Zone, resolve_blocking};

const NOW: u64 = 1_700_000_000;
const MESSAGE: &[u8] = b"From: joe@example.com\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

fn sign(key: PrivateKey) -> Vec<u8> {
    let (domain, selector) = ("example.com".parse().unwrap(), "s".parse().unwrap());
    let mut signer = Signer::new([Signing::new(domain, selector, Arc::new(key))], NOW);
    signer.write(MESSAGE);
    [signer.finish().unwrap().concat().as_bytes(), MESSAGE].concat()
}

fn verify(message: &[u8], record: &str, options: Options) -> SignatureVerdict {
    let zone = Zone::new().txt("s._domainkey.example.com", record);
    let mut verifier = Verifier::new(NOW, options);
    verifier.write(message);
    verifier.finish();
    let verdict = resolve_blocking(verifier, |question| zone.answer(question));
    let [signature] = verdict.signatures.as_slice() else {
        panic!("{verdict:?}");
    };
    signature.clone()
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

#[test]
fn a_wrapped_ed25519_key_verifies_where_that_is_wanted() {
    let key = PrivateKey::from_ed25519_seed(&[7; 32]).unwrap();
    let Some(PublicKey::Ed25519(public)) = key.key_record().unwrap().public_key else {
        panic!("another kind");
    };
    let head = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];
    let wrapped = format!(
        "k=ed25519; p={}",
        base64(&[&head[..], public.octets()].concat())
    );
    let signed = sign(key);
    let strict = verify(&signed, &wrapped, Options::default());
    let length = PublicKeyError::Ed25519Length { octets: 44 };
    assert_eq!(
        strict.cause,
        Cause::KeyRecord(KeyRecordError::PublicKey(length))
    );
    assert_eq!(strict.result, DkimResult::PermError);
    let mut options = Options::default();
    options.leniency = Leniency::all();
    assert_eq!(
        verify(&signed, &wrapped, options.clone()).result,
        DkimResult::Pass
    );
    // The bare key stays right, and a key of small order stays wrong in any wrapping.
    let bare = format!("k=ed25519; p={}", base64(public.octets()));
    assert_eq!(
        verify(&signed, &bare, options.clone()).result,
        DkimResult::Pass
    );
    let small = format!("k=ed25519; p={}", base64(&[&head[..], &[0; 32]].concat()));
    assert_eq!(
        verify(&signed, &small, options).cause,
        Cause::KeyRecord(KeyRecordError::PublicKey(PublicKeyError::Ed25519SmallOrder))
    );
}

/// A SubjectPublicKeyInfo for a modulus of so many bits and the exponent 65537.
fn rsa_record(bits: usize) -> String {
    let der = |tag: u8, content: &[u8]| {
        let length = content.len();
        let [.., high, low] = length.to_be_bytes();
        let head = match length {
            ..128 => vec![tag, low],
            128..256 => vec![tag, 0x81, low],
            _ => vec![tag, 0x82, high, low],
        };
        [&head[..], content].concat()
    };
    let octets = bits.div_ceil(8);
    let mut modulus = vec![0xff; octets];
    modulus[0] = 0xff >> (octets * 8 - bits);
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let numbers = [der(2, &modulus), vec![2, 3, 1, 0, 1]].concat();
    let key = [&[0][..], &der(0x30, &numbers)].concat();
    let algorithm = [48, 13, 6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 1, 5, 0];
    let parts = [&algorithm[..], &der(3, &key)].concat();
    format!("k=rsa; p={}", base64(&der(0x30, &parts)))
}

#[test]
fn rsa_keys_have_1024_to_4096_bits() {
    let pem = include_str!("keys/rsa2048.pkcs8.pem");
    let signed = sign(PrivateKey::from_pem(pem).unwrap());
    let error = |error| Cause::KeyRecord(KeyRecordError::PublicKey(error));
    for (bits, cause, told) in [
        (512, error(PublicKeyError::RsaTooShort { bits: 512 }), None),
        (
            1023,
            error(PublicKeyError::RsaTooShort { bits: 1023 }),
            None,
        ),
        (1024, Cause::Mismatch, Some((1024, true))),
        (2047, Cause::Mismatch, Some((2047, true))),
        (2048, Cause::Mismatch, Some((2048, false))),
        (4096, Cause::Mismatch, Some((4096, false))),
        (4097, error(PublicKeyError::RsaTooLong { bits: 4097 }), None),
        (
            16384,
            error(PublicKeyError::RsaTooLong { bits: 16384 }),
            None,
        ),
    ] {
        let verdict = verify(&signed, &rsa_record(bits), Options::default());
        assert_eq!(verdict.cause, cause, "{bits}");
        let size = verdict.key_bits.map(|bits| (bits, verdict.weak_key));
        assert_eq!(size, told, "{bits}");
    }
}

#[test]
fn a_revoked_record_is_read_as_such() {
    for kind in [KeyType::Rsa, KeyType::Ed25519] {
        let record = KeyRecord::revoked(kind);
        assert_eq!(record.to_string().parse(), Ok(record.clone()));
        let signed = sign(PrivateKey::from_ed25519_seed(&[7; 32]).unwrap());
        let verdict = verify(&signed, &record.to_string(), Options::default());
        assert_eq!(verdict.cause, Cause::KeyRevoked);
    }
}

#[test]
fn restrictions_of_a_built_record_are_kept() {
    let key = PrivateKey::from_ed25519_seed(&[7; 32]).unwrap();
    let record = (key.key_record().unwrap())
        .with_sha256_only()
        .with_email_only()
        .with_testing()
        .with_strict()
        .with_notes("a; b=c");
    assert!(
        record
            .to_string()
            .starts_with("v=DKIM1; k=ed25519; h=sha256; s=email; t=y:s; n=a=3B=20b=3Dc; p=")
    );
    assert_eq!(record.to_string().parse(), Ok(record.clone()));
    let verdict = verify(&sign(key), &record.to_string(), Options::default());
    assert_eq!((verdict.result, verdict.testing), (DkimResult::Pass, true));
}

#[test]
fn what_is_generated_signs_and_verifies() {
    let stored = Pkcs8::generate_ed25519(&ring::rand::SystemRandom::new()).unwrap();
    let key = PrivateKey::from_pem(&stored.to_pem()).unwrap();
    assert_eq!(key.algorithm().to_string(), "ed25519-sha256");
    let record = key.key_record().unwrap().to_string();
    let verdict = verify(&sign(key), &record, Options::default());
    assert_eq!(verdict.result, DkimResult::Pass);
}
