//! The example of RFC 8463 appendix A: one message, signed by RSA and by Ed25519.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkim::{
    Cause, DkimResult, KeyRecord, Options, PrivateKey, SigningKey as _, SigningKeyError, Verdict,
    Verifier, signing_input,
};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::header::{Header, Limits};

const MESSAGE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

const SECRET_KEY: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

const RSA_SECRET_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
";

const ED25519_RECORD: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

const RSA_RECORD: &str = concat!(
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR",
    "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC",
    "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3",
    "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
);

fn verify(message: &str) -> Verdict {
    let zone = Zone::new()
        .txt("brisbane._domainkey.football.example.com", ED25519_RECORD)
        .txt("test._domainkey.football.example.com", RSA_RECORD);
    let mut verifier = Verifier::new(1_528_637_909, Options::default());
    verifier.write(message.as_bytes());
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

#[test]
fn both_signatures_verify() {
    let verdict = verify(MESSAGE);
    assert_eq!(verdict.result(), DkimResult::Pass);
    let [ed25519, rsa] = verdict.signatures.as_slice() else {
        panic!("{verdict:?}");
    };
    assert_eq!(
        (&ed25519.cause, ed25519.weak_key),
        (&Cause::Verified, false)
    );
    assert_eq!(
        (&rsa.cause, rsa.weak_key, rsa.key_bits),
        (&Cause::Verified, true, Some(1024))
    );
    assert_eq!(
        ed25519.identity().unwrap().to_string(),
        "@football.example.com"
    );
    assert!(ed25519.b().unwrap().starts_with("/gCrinpc"));
}

#[test]
fn a_changed_message_does_not_verify() {
    for (from, to, cause) in [
        ("hungry", "angry", Cause::BodyHash),
        ("dinner", "lunch", Cause::Mismatch),
        (
            "To: Suzie",
            "From: Eve <e@example.com>\r\nTo: Suzie",
            Cause::Mismatch,
        ),
        ("; t=1528637909", "; t=1528637908", Cause::Mismatch),
    ] {
        let verdict = verify(&MESSAGE.replace(from, to));
        assert!(
            verdict
                .signatures
                .iter()
                .all(|signature| signature.cause == cause),
            "{to}: {verdict:?}"
        );
    }
}

/// Ed25519 is deterministic, so the signature of the RFC comes out again, octet for octet.
#[test]
fn the_ed25519_signature_is_made_again() {
    let seed = STANDARD.decode(SECRET_KEY).unwrap();
    let key = PrivateKey::from_ed25519_seed(&seed.try_into().unwrap()).unwrap();
    let (header, _) = Header::split(MESSAGE.as_bytes(), &Limits::default()).unwrap();
    let field = header.named("DKIM-Signature").next().unwrap();
    let input = signing_input(&header, &field).unwrap();
    assert_eq!(
        STANDARD.encode(key.sign(&input).unwrap()),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
    let record = KeyRecord::new(key.public_key().unwrap());
    assert_eq!(record.to_string(), ED25519_RECORD);
}

#[test]
fn the_records_are_printed_as_they_stand() {
    for text in [ED25519_RECORD, RSA_RECORD] {
        assert_eq!(text.parse::<KeyRecord>().unwrap().to_string(), text);
    }
}

/// RFC 8301 §3.2: "Signers SHOULD use RSA keys of at least 2048 bits."
#[test]
fn the_rsa_key_is_too_short_to_sign() {
    let key = PrivateKey::from_pem(RSA_SECRET_KEY);
    assert!(matches!(key, Err(SigningKeyError::Refused(_))), "{key:?}");
}
