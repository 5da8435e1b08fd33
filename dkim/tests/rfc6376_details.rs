//! RFC 6376, sentences of which no other test would notice that they are broken.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkim::crypto::{Crypto as _, RING};
use dkim::{Cause, KeyRecord, Options, PrivateKey, Signer, Signing, SigningKey, Verdict, Verifier};
use mail_dns::{Failure, Record, Zone, resolve_blocking};

const NOW: u64 = 1_700_000_000;
const KEY_NAME: &str = "ed._domainkey.example.com";
const TAGS: &str = "v=1; a=ed25519-sha256; d=example.com; s=ed; h=from";

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_str!("keys/ed25519.pkcs8.pem")).unwrap()
}

fn record() -> String {
    KeyRecord::new(key().public_key().unwrap()).to_string()
}

fn zone() -> Zone {
    Zone::new().txt(KEY_NAME, &record())
}

fn verify(message: &str, zone: &Zone) -> Verdict {
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(message.as_bytes());
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

fn cause(message: &str) -> Cause {
    let verdict = verify(message, &zone());
    assert_eq!(verdict.signatures.len(), 1, "{verdict:?}");
    verdict.signatures[0].cause.clone()
}

/// The field, signed in simple canonicalization by hand over `signed`; `bh` is written into `bh=` as it is.
fn field(tags: &str, signed: &str, bh: &str) -> String {
    let unsigned = format!("DKIM-Signature: {tags}; bh={bh}; b=");
    let octets = key()
        .sign(format!("{signed}{unsigned}").as_bytes())
        .unwrap();
    format!("{unsigned}{}\r\n", STANDARD.encode(octets))
}

fn body_hash(body: &str) -> String {
    let mut hash = RING.sha256();
    hash.update(body.as_bytes());
    STANDARD.encode(hash.finish())
}

#[test]
fn unknown_tags_are_signed_and_otherwise_ignored() {
    let tags = format!("{TAGS}; zz=old words; x_=");
    let signed = field(&tags, "From: a@b\r\n", &body_hash("x\r\n"));
    let message = signed + "From: a@b\r\n\r\nx\r\n";
    assert_eq!(cause(&message), Cause::Verified);
    assert_eq!(cause(&message.replace("old", "new")), Cause::Mismatch);
    assert_eq!(cause(&message.replace(" x_=;", "")), Cause::Mismatch);
}

#[test]
fn white_space_in_base64_is_ignored() {
    let hash = body_hash("x\r\n");
    let (one, other) = hash.split_at(20);
    let signed = field(TAGS, "From: a@b\r\n", &format!(" {one} \r\n\t{other} "));
    let (before, b) = signed.rsplit_once("b=").unwrap();
    let (one, other) = b.split_at(30);
    let message = format!("{before}b= {one}\r\n  {other}From: a@b\r\n\r\nx\r\n");
    assert_eq!(cause(&message), Cause::Verified);
}

#[test]
fn names_are_compared_without_case() {
    let tags = TAGS.replace("h=from", "h=SUBJECT:fRoM");
    let signed = "sUbJeCt: s\r\nFROM: a@b\r\n";
    let message =
        field(&tags, signed, &body_hash("x\r\n")) + "FROM: a@b\r\nsUbJeCt: s\r\n\r\nx\r\n";
    assert_eq!(cause(&message), Cause::Verified);
}

#[test]
fn of_several_fields_the_last_is_signed_first() {
    let tags = TAGS.replace("h=from", "h=from:x:x");
    let signed = "From: a@b\r\nX: 3\r\nX: 2\r\n";
    let signature = field(&tags, signed, &body_hash("x\r\n"));
    let header = |x: &str| format!("{signature}X: {x}\r\nX: 2\r\nFrom: a@b\r\nX: 3\r\n\r\nx\r\n");
    assert_eq!(cause(&header("1")), Cause::Verified);
    assert_eq!(cause(&header("another")), Cause::Verified);
    assert_eq!(cause(&header("1").replace("X: 2", "X: 4")), Cause::Mismatch);
}

#[test]
fn strings_of_a_record_are_joined_without_white_space() {
    let record = record();
    let (one, other) = record.split_at(40);
    let message = field(TAGS, "From: a@b\r\n", &body_hash("x\r\n")) + "From: a@b\r\n\r\nx\r\n";
    let text = mail_dns::Txt::new([one.as_bytes(), other.as_bytes()]);
    let zone = Zone::new().record(KEY_NAME, Record::Txt(text));
    assert_eq!(verify(&message, &zone).passed().count(), 1);
}

#[test]
fn success_and_tempfail_tell_domain_and_identity() {
    let tags = format!("{TAGS}; i=joe@mail.example.com");
    for (tags, identity) in [(TAGS, "@example.com"), (&tags, "joe@mail.example.com")] {
        let message = field(tags, "From: a@b\r\n", &body_hash("x\r\n")) + "From: a@b\r\n\r\nx\r\n";
        let failing = zone().fail(KEY_NAME, Failure::Timeout);
        for (zone, cause) in [
            (zone(), Cause::Verified),
            (failing, Cause::KeyUnavailable(Failure::Timeout)),
        ] {
            let verdict = verify(&message, &zone).signatures.remove(0);
            assert_eq!(verdict.cause, cause);
            assert_eq!(verdict.domain, "example.com".parse().ok());
            assert_eq!(verdict.selector, "ed".parse().ok());
            assert_eq!(verdict.identity().unwrap().to_string(), identity);
        }
    }
}

#[test]
fn the_order_of_signatures_changes_nothing() {
    let good = field(TAGS, "From: a@b\r\n", &body_hash("x\r\n"));
    let bad = field(TAGS, "From: a@b\r\n", &body_hash("y\r\n"));
    let rest = "From: a@b\r\n\r\nx\r\n";
    let one = verify(&format!("{good}{bad}{rest}"), &zone());
    let other = verify(&format!("{bad}{good}{rest}"), &zone());
    assert_eq!(one.result(), other.result());
    let causes = |verdict: &Verdict| {
        verdict
            .signatures
            .iter()
            .map(|s| s.cause.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(causes(&one), [Cause::Verified, Cause::BodyHash]);
    assert_eq!(causes(&other), [Cause::BodyHash, Cause::Verified]);
}

#[test]
fn a_domain_that_tests_is_told() {
    let message = field(TAGS, "From: a@b\r\n", &body_hash("x\r\n")) + "From: a@b\r\n\r\nx\r\n";
    for (flags, testing) in [
        ("", false),
        ("t=y; ", true),
        ("t=new:y; ", true),
        ("t=new; ", false),
    ] {
        let zone = Zone::new().txt(KEY_NAME, &record().replace("p=", &format!("{flags}p=")));
        let verdict = verify(&message, &zone).signatures.remove(0);
        assert_eq!(
            (verdict.cause, verdict.testing),
            (Cause::Verified, testing),
            "{flags}"
        );
    }
}

#[test]
fn tags_of_older_records_are_ignored() {
    let message = field(TAGS, "From: a@b\r\n", &body_hash("x\r\n")) + "From: a@b\r\n\r\nx\r\n";
    for tags in [
        "g=; ",
        "g=nobody; ",
        "h=md5:sha256; ",
        "s=pigeon:*; ",
        "x_new=1; ",
    ] {
        let zone = Zone::new().txt(KEY_NAME, &record().replace("p=", &format!("{tags}p=")));
        assert_eq!(verify(&message, &zone).passed().count(), 1, "{tags}");
    }
}

#[test]
fn the_field_is_the_one_that_was_signed() {
    let mut signing = Signing::new(
        "example.com".parse().unwrap(),
        "ed".parse().unwrap(),
        Arc::new(key()),
    );
    signing.fields.present.to_mut().push("X".into());
    let message = "X: 1\r\nFrom: a@b\r\nX: 2\r\n\r\nx\r\n";
    let mut signer = Signer::new([signing], NOW);
    signer.write(message.as_bytes());
    let field = signer.finish().unwrap().remove(0);
    assert_eq!(cause(&(field.clone() + message)), Cause::Verified);
    // Each of its tags is signed, but the value of b=.
    for (from, to) in [
        ("t=1700000000", "t=1700000001"),
        ("relaxed/relaxed", "simple/relaxed"),
        ("Date", "Date:Date"),
    ] {
        assert_eq!(
            cause(&(field.replacen(from, to, 1) + message)),
            Cause::Mismatch,
            "{to}"
        );
    }
    for (from, to) in [("X: 1", "X: 3"), ("X: 2", "X: 3"), ("From: a", "From: c")] {
        assert_eq!(
            cause(&(field.clone() + &message.replace(from, to))),
            Cause::Mismatch,
            "{to}"
        );
    }
}
