//! RFC 6376 §5: which fields are signed, which messages are not, and keys of all kinds.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkim::crypto::{Crypto as _, RING};
use dkim::public_key::PublicKey;
use dkim::{
    Algorithm, KeyRecord, Options, PrivateKey, SignError, Signature, Signer, Signing, SigningKey,
    SigningKeyError, Verdict, Verifier,
};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::header::Field;

const NOW: u64 = 1_700_000_000;
const RSA_PKCS8: &str = include_str!("keys/rsa2048.pkcs8.pem");
const RSA_PKCS1: &str = include_str!("keys/rsa2048.pkcs1.pem");
const RSA_PUBLIC: &str = include_str!("keys/rsa2048.pub.base64");
const RSA_SHORT: &str = include_str!("keys/rsa1024.pkcs8.pem");
const ED25519_PKCS8: &str = include_str!("keys/ed25519.pkcs8.pem");
const ED25519_PUBLIC: &str = include_str!("keys/ed25519.pub.base64");

fn signing(pem: &str) -> Signing {
    let key = PrivateKey::from_pem(pem).unwrap();
    Signing::new(
        "example.com".parse().unwrap(),
        "2026a".parse().unwrap(),
        Arc::new(key),
    )
}

fn sign(signing: Signing, message: &str) -> Result<String, SignError> {
    let mut signer = Signer::new([signing], NOW);
    signer.write(message.as_bytes());
    Ok(signer.finish()?.concat())
}

fn verify(message: &str, record: &str) -> Verdict {
    let zone = Zone::new().txt("2026a._domainkey.example.com", record);
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(message.as_bytes());
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).unwrap()
}

const MESSAGE: &str = "Received: by mx\r\nFrom: a@example.com\r\nTo: b@example.net\r\nTo: c@example.net\r\n\
    X-Other: x\r\nList-Id: <l.example.com>\r\n\r\nHi.\r\n";

#[test]
fn the_whole_field() {
    let field = sign(signing(ED25519_PKCS8), MESSAGE).unwrap();
    let (unsigned, _) = field.rsplit_once("b=").unwrap();
    let mut hash = RING.sha256();
    hash.update(b"Hi.\r\n");
    let expected = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com;\r\n \
         s=2026a; t=1700000000; x=1700604800; h=From:From:To:To:To:Cc:Subject:Date:\r\n \
         Reply-To:Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding:\r\n \
         Content-Disposition:Content-ID:Content-Description:List-Id;\r\n \
         bh={}; ",
        STANDARD.encode(hash.finish())
    );
    let plain = |text: &str| text.replace("\r\n", "").replace(' ', "");
    assert_eq!(plain(unsigned), plain(&expected), "{field}");
    assert!(
        field.ends_with("\r\n") && field.lines().all(|line| line.len() <= 78),
        "{field}"
    );
}

/// RFC 6376 §8.15: fields that are added to a signed message.
#[test]
fn no_field_can_be_added_that_readers_see() {
    let record = KeyRecord::new(
        PrivateKey::from_pem(ED25519_PKCS8)
            .unwrap()
            .public_key()
            .unwrap(),
    )
    .to_string();
    let signed = sign(signing(ED25519_PKCS8), MESSAGE).unwrap() + MESSAGE;
    for (field, passes) in [
        ("From: eve@example.org", 0),
        ("To: eve@example.org", 0),
        ("Cc: eve@example.org", 0),
        ("subject: buy", 0),
        ("Date: now", 0),
        ("Reply-To: eve@example.org", 0),
        ("Message-ID: <x@y>", 0),
        ("MIME-Version: 1.0", 0),
        ("Content-Type: text/html", 0),
        ("Content-Transfer-Encoding: base64", 0),
        ("Received: by another", 1),
        ("X-Other: y", 1),
    ] {
        let verdict = verify(&format!("{field}\r\n{signed}"), &record);
        assert_eq!(verdict.passed().count(), passes, "{field}");
        let below = signed.replacen("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"), 1);
        assert_eq!(
            verify(&below, &record).passed().count(),
            passes,
            "{field} at the end"
        );
    }
}

#[test]
fn messages_that_are_not_signed() {
    for (message, error) in [
        ("To: x\r\n\r\n", SignError::From { count: 0 }),
        (
            "From: a@b\r\nfrom: c@d\r\n\r\n",
            SignError::From { count: 2 },
        ),
    ] {
        assert_eq!(sign(signing(ED25519_PKCS8), message), Err(error));
    }
    for message in [
        "From: a@b\r\nno field\r\n\r\n",
        "From: a@b\r\nX: a\nBcc: c\r\n\r\n",
        "From: a@b\rX: c\r\n\r\n",
    ] {
        let error = sign(signing(ED25519_PKCS8), message);
        assert!(
            matches!(error, Err(SignError::Malformed { defect: Some(_) })),
            "{error:?}"
        );
    }
    let long = format!("From: a@b\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    assert!(matches!(
        sign(signing(ED25519_PKCS8), &long),
        Err(SignError::Header(_))
    ));
}

#[test]
fn signings_that_make_no_signature() {
    let with = |change: fn(&mut Signing)| {
        let mut signing = signing(ED25519_PKCS8);
        change(&mut signing);
        sign(signing, MESSAGE)
    };
    let name = |name: &str| Err(SignError::FieldName { name: name.into() });
    assert_eq!(
        with(|s| s.identity = "@example.org".parse().ok()),
        Err(SignError::Identity)
    );
    assert_eq!(
        with(|s| s.fields.present.to_mut().push("To;".into())),
        name("To;")
    );
    assert_eq!(
        with(|s| s.fields.oversigned.to_mut().push("a\r\nb".into())),
        name("a\r\nb")
    );
    assert_eq!(
        with(|s| s.fields.present.to_mut().push("dkim-signature".into())),
        name("dkim-signature")
    );
    // One label is no domain-name of RFC 6376 §3.5, so no verifier would take it.
    assert!(matches!(
        with(|s| s.domain = "com".parse().unwrap()),
        Err(SignError::Domain { .. })
    ));
    // Whatever the lists say, From is signed, and no field less often than it is there.
    let field = with(|s| {
        s.fields.oversigned.to_mut().clear();
        s.fields.present = vec!["to".into(), "TO".into()].into();
        s.lifetime = None;
        s.identity = "joe@mail.example.com".parse().ok();
    })
    .unwrap();
    let signature = Signature::parse(&Field::parse(field.as_bytes()).unwrap()).unwrap();
    assert_eq!(
        signature.signed_fields().collect::<Vec<_>>(),
        ["From", "From", "to", "to"]
    );
    assert_eq!(
        (
            signature.timestamp(),
            signature.expiration(),
            signature.body_length()
        ),
        (Some(NOW), None, None)
    );
    assert_eq!(
        signature.identity().unwrap().to_string(),
        "joe@mail.example.com"
    );
}

#[test]
fn keys() {
    let rsa = PrivateKey::from_pem(RSA_PKCS8).unwrap();
    let same = [
        PrivateKey::from_pem(RSA_PKCS1).unwrap(),
        PrivateKey::from_pkcs8_der(&der(RSA_PKCS8)).unwrap(),
        PrivateKey::from_pkcs1_der(&der(RSA_PKCS1)).unwrap(),
        PrivateKey::from_pem(&format!(
            "Some text before.\n{}",
            RSA_PKCS1.replace('\n', "\r\n")
        ))
        .unwrap(),
    ];
    for key in same {
        assert_eq!(key.public_key(), rsa.public_key());
        assert_eq!(key.sign(b"x").unwrap(), rsa.sign(b"x").unwrap());
        assert_eq!(format!("{key:?}"), "PrivateKey(rsa-sha256, [redacted])");
    }
    let record = KeyRecord::new(rsa.public_key().unwrap());
    assert_eq!(
        record.to_string(),
        format!("v=DKIM1; k=rsa; p={RSA_PUBLIC}")
    );

    let ed25519 = PrivateKey::from_pem(ED25519_PKCS8).unwrap();
    let record = KeyRecord::new(ed25519.public_key().unwrap());
    assert_eq!(
        record.to_string(),
        format!("v=DKIM1; k=ed25519; p={ED25519_PUBLIC}")
    );
    assert_eq!(ed25519.algorithm(), Algorithm::Ed25519Sha256);

    // Of 1024 bits, cut short, of another kind, encrypted, or none at all.
    let refused =
        |key: Result<PrivateKey, SigningKeyError>| matches!(key, Err(SigningKeyError::Refused(_)));
    assert!(refused(PrivateKey::from_pem(RSA_SHORT)));
    assert!(refused(PrivateKey::from_pkcs8_der(&der(RSA_PKCS8)[..300])));
    assert!(refused(PrivateKey::from_pkcs1_der(&der(RSA_PKCS8))));
    for pem in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA",
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ] {
        assert_eq!(
            PrivateKey::from_pem(pem).err(),
            Some(SigningKeyError::Pem),
            "{pem}"
        );
    }
}

/// A key elsewhere, which may fail, and one that names an algorithm that no one may use.
#[derive(Debug)]
struct Elsewhere(Algorithm);

impl SigningKey for Elsewhere {
    fn algorithm(&self) -> Algorithm {
        self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        Err(SigningKeyError::Failed("no connection".into()))
    }
}

#[test]
fn keys_elsewhere() {
    let with = |algorithm| {
        let key = Arc::new(Elsewhere(algorithm));
        Signing::new(
            "example.com".parse().unwrap(),
            "2026a".parse().unwrap(),
            key,
        )
    };
    let failed = SigningKeyError::Failed("no connection".into());
    assert_eq!(
        sign(with(Algorithm::RsaSha256), MESSAGE),
        Err(failed.into())
    );
    let algorithm = Algorithm::RsaSha1;
    assert_eq!(
        sign(with(algorithm), MESSAGE),
        Err(SignError::Algorithm { algorithm })
    );

    // The same in two steps, as for a key that is reached over a network.
    let mut signer = Signer::new([with(Algorithm::RsaSha256)], NOW);
    signer.write(MESSAGE.as_bytes());
    let unsigned = signer.finish_unsigned().unwrap().remove(0);
    let key = PrivateKey::from_pem(RSA_PKCS8).unwrap();
    let octets = key.sign(unsigned.octets()).unwrap();
    let signed = unsigned.finish(&octets).unwrap() + MESSAGE;
    assert_eq!(
        verify(&signed, &format!("p={RSA_PUBLIC}")).passed().count(),
        1
    );
}

#[test]
fn the_zone_line_has_short_strings() {
    let record: KeyRecord = format!("n=say=20\"hi\"; p={RSA_PUBLIC}").parse().unwrap();
    assert!(matches!(record.public_key, Some(PublicKey::Rsa(_))));
    let line = record.zone_line(&"2026a._domainkey.example.com".parse().unwrap());
    let text = line
        .strip_prefix("2026a._domainkey.example.com. IN TXT (\n\t\"")
        .unwrap();
    let strings: Vec<_> = (text.strip_suffix("\" )").unwrap())
        .split("\"\n\t\"")
        .collect();
    assert_eq!(strings.len(), 3);
    let unescaped: Vec<_> = strings
        .iter()
        .map(|string| string.replace('\\', ""))
        .collect();
    assert!(unescaped.iter().all(|string| string.len() <= 255));
    assert_eq!(unescaped.concat().parse::<KeyRecord>(), Ok(record));
    assert!(line.contains("n=say=20\\\"hi\\\"; "));
}
