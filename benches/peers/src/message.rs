//! The messages, and who signs them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dkim::{Signer, Signing, SigningKey};

/// The keys in PEM, by the names of their algorithms.
pub(crate) const KEYS: [(&str, &str); 2] = [
    (
        "RSA 2048",
        include_str!("../../../dkim/tests/keys/rsa2048.pkcs8.pem"),
    ),
    (
        "Ed25519",
        include_str!("../../../dkim/tests/keys/ed25519.pkcs8.pem"),
    ),
];

/// A line of the body: two blanks in a row are what relaxed canonicalization has to find.
const LINE: &str =
    "We lost the game.  Are you hungry yet?  Then come to us at eight, and bring a friend.\r\n";

/// The fields that are signed, all that the message has.
pub(crate) const FIELDS: [&str; 7] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
];

/// A message of about so many octets, from joe@news.example.com.
pub(crate) fn message(octets: usize) -> Vec<u8> {
    let mut message = "From: Joe <joe@news.example.com>\r\nTo: Amy <amy@example.org>\r\nSubject: dinner\r\n\
        Date: Fri, 11 Jul 2025 21:00:37 -0700\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n"
        .to_owned();
    while message.len() < octets {
        message += LINE;
    }
    message.into()
}

/// What relaxed canonicalization makes of the body.
pub(crate) fn canonical_body(message: &[u8]) -> Vec<u8> {
    let message = String::from_utf8_lossy(message);
    let (_, body) = message.split_once("\r\n\r\n").expect("a body");
    body.replace("  ", " ").into()
}

/// Now: mail-auth looks at the clock and nowhere else.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

/// What signs with the key at `s._domainkey.DOMAIN`.
pub(crate) fn signing(domain: &str, key: &Arc<dyn SigningKey>) -> Signing {
    Signing::new(
        domain.parse().expect("a domain"),
        "s".parse().expect("a selector"),
        Arc::clone(key),
    )
}

/// The message with its signature on top.
pub(crate) fn signed(domain: &str, key: &Arc<dyn SigningKey>, message: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new([signing(domain, key)], now());
    signer.write(message);
    let mut signed = signer.finish().expect("a signature").concat().into_bytes();
    signed.extend_from_slice(message);
    signed
}
