//! RFC 6376 §6.1: what a verifier must find, and the limits around it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use dkim::key_record::KeyRecordError;
use dkim::signature::SignatureError;
use dkim::{
    Cause, DkimResult, KeyRecord, Options, PrivateKey, RsaSha1, Signer, Signing, SigningKey,
    UnsignedContent, Verdict, Verifier,
};
use mail_dns::{
    Answer, Evaluation as _, Failure, Need, Question, RecordType, Zone, resolve_blocking,
};

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str = "From: Joe <joe@example.com>\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
const KEY_NAME: &str = "ed._domainkey.example.com";

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_str!("keys/ed25519.pkcs8.pem")).unwrap()
}

fn record() -> String {
    KeyRecord::new(key().public_key().unwrap()).to_string()
}

fn signing() -> Signing {
    Signing::new(
        "example.com".parse().unwrap(),
        "ed".parse().unwrap(),
        Arc::new(key()),
    )
}

fn sign(signing: Signing) -> String {
    let mut signer = Signer::new([signing], NOW);
    signer.write(MESSAGE.as_bytes());
    signer.finish().unwrap().concat() + MESSAGE
}

fn verify_with(message: &str, now: u64, options: Options, zone: &Zone) -> Verdict {
    let mut verifier = Verifier::new(now, options);
    verifier.write(message.as_bytes());
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

fn verify(message: &str, zone: &Zone) -> Verdict {
    verify_with(message, NOW, Options::default(), zone)
}

fn cause(message: &str, zone: &Zone) -> Cause {
    let verdict = verify(message, zone);
    assert_eq!(verdict.signatures.len(), 1, "{verdict:?}");
    verdict.signatures[0].cause.clone()
}

/// Signs by hand, so that the signature may say anything: `tags` are all but `bh=` and `b=`.
fn sign_by_hand(tags: &str, signed: &str, body: &str, body_hash_of: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use dkim::crypto::{Crypto as _, RING};
    let mut hash = RING.sha256();
    hash.update(body_hash_of.as_bytes());
    let unsigned = format!(
        "DKIM-Signature: {tags}; bh={}; b=",
        STANDARD.encode(hash.finish())
    );
    let octets = key()
        .sign(format!("{signed}{unsigned}").as_bytes())
        .unwrap();
    format!(
        "{unsigned}{}\r\n{signed}\r\n{body}",
        STANDARD.encode(octets)
    )
}

#[test]
fn key_records() {
    let signed = sign(signing());
    let p = record().split("p=").nth(1).unwrap().to_owned();
    let rsa = include_str!("keys/rsa2048.pub.base64");
    for (record, expected) in [
        (format!("v=DKIM1; k=ed25519; p={p}"), Cause::Verified),
        (format!("k=ed25519; p={p}; t=y"), Cause::Verified),
        (
            format!("v=DKIM1; k=ed25519; h=sha256; p={p}"),
            Cause::Verified,
        ),
        (
            format!("v=DKIM1; k=ed25519; h=sha1; p={p}"),
            Cause::HashNotAllowed,
        ),
        (
            format!("v=DKIM1; k=ed25519; s=tlsrpt; p={p}"),
            Cause::ServiceNotAllowed,
        ),
        (
            format!("v=DKIM1; k=ed25519; s=tlsrpt:email; p={p}"),
            Cause::Verified,
        ),
        ("v=DKIM1; k=ed25519; p=".into(), Cause::KeyRevoked),
        ("v=DKIM1; p=".into(), Cause::KeyRevoked),
        (format!("v=DKIM1; k=rsa; p={rsa}"), Cause::KeyAlgorithm),
        (
            "v=DKIM1; k=ed25519".into(),
            Cause::KeyRecord(KeyRecordError::MissingKey),
        ),
        (
            format!("v=DKIM2; k=ed25519; p={p}"),
            Cause::KeyRecord(KeyRecordError::Version),
        ),
        (
            format!("v=DKIM1; k=new; p={p}"),
            Cause::KeyRecord(KeyRecordError::KeyType { offset: 9 }),
        ),
        (
            format!("k=ed25519; v=DKIM1; p={p}"),
            Cause::KeyRecord(KeyRecordError::VersionNotFirst { offset: 11 }),
        ),
        (
            format!("v=DKIM1; k=ed25519; p={p}; n={}", "x".repeat(9000)),
            Cause::KeyRecordTooLong { octets: 9070 },
        ),
    ] {
        let zone = Zone::new().txt(KEY_NAME, &record);
        assert_eq!(cause(&signed, &zone), expected, "{record}");
    }
}

/// Signed by `openssl dgst -sha1 -sign` with the key in `keys/rsa2048.pkcs8.pem`.
const BY_SHA1: &str = "DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=rsa; h=from; bh=uezy2uFmsfSqczcjcWFQ6ww1+0Q=; b=\
    Sz1ilkwgqySeN/GcELxze+vwrmZJy7cxHvkYt3cab0Uz5ZaSzLkuusunL3D8nmVr\
    2ic2g+cJDnEYupyjqRwbae4b1+yLy93E70/d9kB3dD0Wd+sggS1tXFUv02phQeMO\
    kesAdmX6ai0OCnSM5imKZ6+5i0QbZlaioxzI0T9cxXUs86UFUUs8j9UMfo0V7G8B\
    8DV4uEBLkxRcaEjjuo6fSKG54b4PlBvgv7aISdGfXkMZH0tWUI8NvRBO30kX6jxL\
    D9wc1NoUDJILvZqubqtxylQ0DBh634FHqZt7L5h7L3lWZyQ9mQohhyrV4Wlvzaqe\
    3oYGa6vhGI3Uq/gZBDCGpw==\r\n\
    From: a@b\r\n\r\nIs it ready?\r\n";

/// RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
#[test]
fn sha1_is_for_those_who_ask_for_it() {
    let p = include_str!("keys/rsa2048.pub.base64");
    let mut accepting = Options::default();
    accepting.rsa_sha1 = RsaSha1::Accept;
    for (message, record, accepted) in [
        (BY_SHA1.to_owned(), format!("p={p}"), Cause::Verified),
        (
            BY_SHA1.replace("ready", "done"),
            format!("p={p}"),
            Cause::BodyHash,
        ),
        (
            BY_SHA1.replace("a@b", "a@c"),
            format!("p={p}"),
            Cause::Mismatch,
        ),
        (
            BY_SHA1.to_owned(),
            format!("h=sha256; p={p}"),
            Cause::HashNotAllowed,
        ),
        (BY_SHA1.to_owned(), record(), Cause::KeyAlgorithm),
    ] {
        let zone = Zone::new().txt("rsa._domainkey.example.com", &record);
        assert_eq!(cause(&message, &zone), Cause::Sha1, "{record}");
        assert_eq!(Cause::Sha1.result(), DkimResult::PermError);
        let verdict = verify_with(&message, NOW, accepting.clone(), &zone);
        assert_eq!(verdict.signatures[0].cause, accepted, "{record}");
    }
}

#[test]
fn answers_without_a_key() {
    let signed = sign(signing());
    for (zone, expected, result) in [
        (Zone::new(), Cause::NoKey, DkimResult::PermError),
        (
            Zone::new().exists(KEY_NAME),
            Cause::NoKey,
            DkimResult::PermError,
        ),
        (
            Zone::new().fail(KEY_NAME, Failure::Timeout),
            Cause::KeyUnavailable(Failure::Timeout),
            DkimResult::TempError,
        ),
        (
            Zone::new().fail(KEY_NAME, Failure::Bogus),
            Cause::KeyUnavailable(Failure::Bogus),
            DkimResult::TempError,
        ),
    ] {
        let verdict = verify(&signed, &zone);
        assert_eq!(
            (&verdict.signatures[0].cause, verdict.result()),
            (&expected, result)
        );
    }
}

/// RFC 6376 §6.1.2: "The order of the key records is unspecified."
#[test]
fn several_key_records() {
    let signed = sign(signing());
    let other = PrivateKey::from_ed25519_seed(&[9; 32]).unwrap();
    let other = KeyRecord::new(other.public_key().unwrap()).to_string();
    let good = record();
    let records = [
        good.as_str(),
        &other,
        "v=spf1 -all",
        "v=DKIM1; p=",
        "",
        "v=DKIM1; k=ed25519; h=sha1; p=",
    ];
    for turn in 0..records.len() {
        let mut turned = records;
        turned.rotate_left(turn);
        let zone = turned
            .iter()
            .fold(Zone::new(), |zone, record| zone.txt(KEY_NAME, record));
        assert_eq!(cause(&signed, &zone), Cause::Verified);
    }
    let zone = records[1..]
        .iter()
        .fold(Zone::new(), |zone, record| zone.txt(KEY_NAME, record));
    assert_eq!(
        cause(&signed, &zone),
        Cause::Mismatch,
        "the record that says most is reported"
    );
    // Only the first so many valid records are tried, in the order of their octets.
    let mut options = Options::default();
    options.limits.records = 1;
    let mut zone = Zone::new().txt(KEY_NAME, &good).txt(KEY_NAME, "no record");
    assert_eq!(
        verify_with(&signed, NOW, options.clone(), &zone).result(),
        DkimResult::Pass
    );
    zone = zone.txt(KEY_NAME, "k=ed25519; p=");
    assert_eq!(
        verify_with(&signed, NOW, options, &zone).signatures[0].cause,
        Cause::KeyRevoked
    );
}

#[test]
fn identities() {
    let tags = |i: &str| format!("v=1; a=ed25519-sha256; d=example.com; s=ed; h=from{i}");
    let message = |i: &str| sign_by_hand(&tags(i), "From: a@b\r\n", "x\r\n", "x\r\n");
    let (plain, strict) = (record(), record().replace("p=", "t=s; p="));
    for (i, plainly, strictly) in [
        ("", Ok(()), Ok(())),
        ("; i=@example.com", Ok(()), Ok(())),
        ("; i=joe@EXAMPLE.com", Ok(()), Ok(())),
        (
            "; i=joe=3Bj@mail.example.com",
            Ok(()),
            Err(Cause::IdentityBelowDomain),
        ),
        (
            "; i=@anexample.com",
            Err(SignatureError::DomainMismatch { offset: 53 }.into()),
            Err(SignatureError::DomainMismatch { offset: 53 }.into()),
        ),
    ] {
        // The local-part `joe;j` is none without quotes.
        if i.contains("=3B") {
            let error = SignatureError::Value {
                tag: "i",
                offset: 53,
            };
            let zone = Zone::new().txt(KEY_NAME, &plain);
            assert_eq!(cause(&message(i), &zone), error.into());
        }
        let i = &i.replace("joe=3Bj", "=22joe=3Bj=22");
        for (record, expected) in [(&plain, plainly), (&strict, strictly)] {
            let zone = Zone::new().txt(KEY_NAME, record);
            assert_eq!(
                cause(&message(i), &zone),
                expected.err().unwrap_or(Cause::Verified),
                "{i} {record}"
            );
        }
    }
}

#[test]
fn from_must_be_signed() {
    let message = sign_by_hand(
        "v=1; a=ed25519-sha256; d=example.com; s=ed; h=to",
        "To: a@b\r\n",
        "",
        "\r\n",
    );
    let error = SignatureError::FromNotSigned { offset: 45 };
    assert_eq!(
        cause(&message, &Zone::new().txt(KEY_NAME, &record())),
        error.into()
    );
}

#[test]
fn body_lengths() {
    let zone = Zone::new().txt(KEY_NAME, &record());
    let mut accept = Options::default();
    accept.unsigned_content = UnsignedContent::Accept;
    for (l, body, hashed, by_default, accepting, unsigned) in [
        (
            "7",
            "signed\r\n",
            "signed\r",
            Cause::UnsignedContent { octets: 1 },
            Cause::Verified,
            1,
        ),
        (
            "8",
            "signed\r\n",
            "signed\r\n",
            Cause::Verified,
            Cause::Verified,
            0,
        ),
        (
            "8",
            "signed\r\nadded\r\n",
            "signed\r\n",
            Cause::UnsignedContent { octets: 7 },
            Cause::Verified,
            7,
        ),
        (
            "0",
            "added\r\n",
            "",
            Cause::UnsignedContent { octets: 7 },
            Cause::Verified,
            7,
        ),
        (
            "8",
            "changed\r\nadded\r\n",
            "signed\r\n",
            Cause::BodyHash,
            Cause::BodyHash,
            8,
        ),
        (
            "9",
            "signed\r\n",
            "signed\r\n",
            Cause::BodyTooShort { octets: 8 },
            Cause::BodyTooShort { octets: 8 },
            0,
        ),
        (
            &"9".repeat(76),
            "signed\r\n",
            "signed\r\n",
            Cause::BodyTooShort { octets: 8 },
            Cause::BodyTooShort { octets: 8 },
            0,
        ),
    ] {
        let tags = format!("v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; l={l}");
        let message = sign_by_hand(&tags, "From: a@b\r\n", body, hashed);
        for (options, expected) in [
            (Options::default(), by_default),
            (accept.clone(), accepting),
        ] {
            let verdict = verify_with(&message, NOW, options, &zone);
            let signature = &verdict.signatures[0];
            assert_eq!(
                (&signature.cause, signature.unsigned_octets),
                (&expected, unsigned),
                "l={l} {body:?}"
            );
        }
    }
}

#[test]
fn expiration() {
    let mut signing = signing();
    signing.lifetime = Some(core::time::Duration::from_secs(60));
    let signed = sign(signing);
    let zone = Zone::new().txt(KEY_NAME, &record());
    for (now, expected) in [
        (NOW, Cause::Verified),
        (NOW + 60 + 300, Cause::Verified),
        (NOW + 60 + 301, Cause::Expired),
        (u64::MAX, Cause::Expired),
    ] {
        let verdict = verify_with(&signed, now, Options::default(), &zone);
        assert_eq!(verdict.signatures[0].cause, expected, "{now}");
        assert_eq!(verdict.signatures[0].result, expected.result());
    }
    let far = sign_by_hand(
        "v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; t=1; x=9999999999999",
        "From: a@b\r\n",
        "",
        "\r\n",
    );
    assert_eq!(
        verify_with(&far, u64::MAX, Options::default(), &zone).result(),
        DkimResult::Pass
    );
}

/// Another reader of the message may see other fields than were signed.
#[test]
fn a_malformed_header_verifies_nothing() {
    let zone = Zone::new().txt(KEY_NAME, &record());
    for line in [
        "no field\r\n",
        "X: bare\rCR\r\n",
        "X: bare\nLF\r\n",
        "X: NUL\0\r\n",
    ] {
        let message = sign(signing()).replacen("\r\n\r\n", &format!("\r\n{line}\r\n"), 1);
        let verdict = verify(&message, &zone);
        assert!(
            matches!(
                &verdict.signatures[0].cause,
                Cause::MalformedHeader { defect: Some(_) }
            ),
            "{verdict:?}"
        );
        assert_eq!(verdict.result(), DkimResult::PermError);
    }
}

#[test]
fn a_header_beyond_its_limit_verifies_nothing() {
    let mut options = Options::default();
    options.limits.header.block = 100;
    let verdict = verify_with(
        &sign(signing()),
        NOW,
        options,
        &Zone::new().txt(KEY_NAME, &record()),
    );
    assert!(verdict.header_error.is_some() && verdict.signatures.is_empty());
    assert_eq!(verdict.result(), DkimResult::PermError);
}

#[test]
fn no_signature_asks_nothing() {
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(MESSAGE.as_bytes());
    assert_eq!(verifier.poll(), Need::Wait);
    verifier.finish();
    assert!(matches!(verifier.poll(), Need::Done(verdict) if verdict.result() == DkimResult::None));
}

/// However many signatures there are, no more than so many are verified, first those whose domain the From field shows.
#[test]
fn many_signatures() {
    let good = sign(signing());
    let foreign = |number: usize| {
        let tags = format!("v=1; a=ed25519-sha256; d=example.net; s=s{number}; h=from");
        let message = sign_by_hand(&tags, "From: a@b\r\n", "", "\r\n");
        message.split_inclusive("\r\n").next().unwrap().to_owned()
    };
    let message: String = (0..300).map(foreign).chain([good]).collect();
    let zone = Zone::new().txt(KEY_NAME, &record());
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(message.as_bytes());
    verifier.finish();
    let mut questions = Vec::new();
    while let Need::Lookup(question) = verifier.poll() {
        verifier.answer(&question, &zone.answer(&question));
        questions.push(question);
    }
    assert_eq!(questions.len(), 10);
    let Need::Done(verdict) = verifier.poll() else {
        panic!("not done");
    };
    assert_eq!(verdict.signatures.len(), 301);
    assert_eq!(verdict.signatures[300].cause, Cause::Verified);
    let left_out =
        |signature: &&dkim::SignatureVerdict| signature.cause == Cause::TooManySignatures;
    assert_eq!(verdict.signatures.iter().filter(left_out).count(), 291);
    assert_eq!(Cause::TooManySignatures.result(), DkimResult::Neutral);
}

#[test]
fn signatures_with_one_key_ask_once() {
    let mut signer = Signer::new([signing(), signing(), signing()], NOW);
    signer.write(MESSAGE.as_bytes());
    let signed = signer.finish().unwrap().concat() + MESSAGE;
    let zone = Zone::new().txt(KEY_NAME, &record());
    let mut questions = 0;
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(signed.as_bytes());
    verifier.finish();
    let verdict = resolve_blocking(verifier, |question| {
        questions += 1;
        zone.answer(question)
    });
    assert_eq!((verdict.passed().count(), questions), (3, 1));
    let mut options = Options::default();
    options.limits.keys = 0;
    let verdict = verify_with(&signed, NOW, options, &zone);
    assert!(
        verdict
            .signatures
            .iter()
            .all(|signature| signature.cause == Cause::TooManyKeys)
    );
}

/// RFC 6376 §3.7: "The DKIM-Signature header field MUST NOT be included in its own "h=" tag, although other DKIM-Signature header
/// fields MAY be signed".
#[test]
fn a_signature_may_sign_another() {
    let inner = "DKIM-Signature: v=1; old\r\n";
    let tags = "v=1; a=ed25519-sha256; d=example.com; s=ed; h=from:dkim-signature:dkim-signature";
    let signed = format!("From: a@b\r\n{inner}");
    let zone = Zone::new().txt(KEY_NAME, &record());
    let message = sign_by_hand(tags, &signed, "", "\r\n");
    assert_eq!(verify(&message, &zone).signatures[0].cause, Cause::Verified);
    // Its own field below the other one is left out just the same.
    let (own, rest) = message.split_once("From:").unwrap();
    let moved = format!(
        "From:{}",
        rest.replacen("\r\n\r\n", &format!("\r\n{own}\r\n"), 1)
    );
    assert_eq!(verify(&moved, &zone).signatures[1].cause, Cause::Verified);
    let without = message.replacen(inner, "", 1);
    assert_eq!(verify(&without, &zone).signatures[0].cause, Cause::Mismatch);
}

/// The cost of `h=` is linear in its length.
#[test]
fn long_lists_of_names() {
    let names = "x:".repeat(40_000);
    let tags = format!("v=1; a=ed25519-sha256; d=example.com; s=ed; h={names}from");
    let fields = "x: y\r\n".repeat(1_900);
    let message = sign_by_hand(&tags, &format!("{fields}From: a@b\r\n"), "", "\r\n");
    assert_eq!(
        verify(&message, &Zone::new().txt(KEY_NAME, &record())).result(),
        DkimResult::Pass
    );
}

#[test]
fn malformed_signatures_tell_whose_they_are() {
    let message = "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=ed; h=from; bh=x; b=x\r\nFrom: a@b\r\n\r\n";
    let verdict = verify(message, &Zone::new());
    let signature = &verdict.signatures[0];
    assert_eq!(signature.result, DkimResult::PermError);
    assert_eq!(signature.domain, Some("example.com".parse().unwrap()));
    assert_eq!(signature.selector, Some("ed".parse().unwrap()));
    assert_eq!(signature.algorithm, Some(dkim::Algorithm::RsaSha256));
    assert_eq!((signature.identity(), signature.b()), (None, None));
}

/// Signatures over different parts of one body are hashed in one pass, each to its own end.
#[test]
fn body_lengths_side_by_side() {
    let zone = Zone::new().txt(KEY_NAME, &record());
    let mut options = Options::default();
    options.unsigned_content = UnsignedContent::Accept;
    let field = |tags: &str, hashed: &str| {
        let tags = format!("v=1; a=ed25519-sha256; d=example.com; s=ed; h=from{tags}");
        let message = sign_by_hand(&tags, "From: a@b\r\n", "", hashed);
        message.split_once("From:").unwrap().0.to_owned()
    };
    let message = [
        &field("", "two  words\r\n"),
        &field("; l=3", "two"),
        &field("; l=5; c=simple/relaxed", "two w"),
        &field("; c=simple/relaxed", "two words\r\n"),
        &field("; l=0", ""),
        "From: a@b\r\n\r\ntwo  words\r\n",
    ]
    .map(String::from)
    .concat();
    let verdict = verify_with(&message, NOW, options, &zone);
    assert_eq!(verdict.passed().count(), 5, "{verdict:?}");
    let unsigned = verdict
        .signatures
        .iter()
        .map(|signature| signature.unsigned_octets);
    assert_eq!(unsigned.collect::<Vec<_>>(), [0, 9, 6, 0, 12]);
}

#[test]
fn answers_that_nobody_asked_for() {
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(sign(signing()).as_bytes());
    verifier.finish();
    let question = Question::new(KEY_NAME.parse().unwrap(), RecordType::Txt);
    verifier.answer(&question, &Answer::nx_domain());
    assert_eq!(verifier.poll(), Need::Lookup(question.clone()));
    let zone = Zone::new().txt(KEY_NAME, &record());
    verifier.answer(&question, &zone.answer(&question));
    verifier.answer(&question, &Answer::nx_domain());
    assert!(matches!(verifier.poll(), Need::Done(verdict) if verdict.passed().count() == 1));
}
