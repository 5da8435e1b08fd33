//! DomainKeys Identified Mail (RFC 6376, 8301, 8463, 8616) without I/O: verify and sign.
//!
//! A signature in the header of a message says which domain takes responsibility for it, and shows whether the message was changed on
//! its way. This crate verifies such signatures and makes them: [`Verifier`] and [`Signer`] take a message in any pieces, read it once
//! and keep the header and hashes. What they need of the outside is handed in: the key records as answers of the DNS, the time as a
//! number.
//!
//! What it is not: no resolver, no opinion on what to do with a message whose signature fails (RFC 6376 §6.1: treat it as one
//! with "no signature at all"), and no alignment with the From field, which is DMARC's. It never takes RSA keys under 1024 bits, nor SHA-1 unless
//! it is told to, nor signatures that leave the From field out, and it never writes `l=`.
//!
//! # Verify
//!
//! A verifier is a [`mail_dns::Evaluation`]: when the header is complete it says which keys it wants to ask for, while the body still
//! comes in.
//!
//! ```
//! use dkim::{DkimResult, Options, Verifier};
//! use mail_dns::{Zone, resolve_blocking};
//!
//! let message = b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
//!     d=football.example.com; i=@football.example.com;\r\n \
//!     q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
//!     subject : date : message-id : from : subject : date;\r\n \
//!     bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
//!     b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
//!     Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
//! From: Joe SixPack <joe@football.example.com>\r\n\
//! To: Suzie Q <suzie@shopping.example.net>\r\n\
//! Subject: Is dinner ready?\r\n\
//! Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
//! Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
//! \r\n\
//! Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
//! let zone = Zone::new().txt(
//!     "brisbane._domainkey.football.example.com",
//!     "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
//! );
//!
//! let now = 1_528_637_909;
//! let mut verifier = Verifier::new(now, Options::default());
//! for piece in message.chunks(100) {
//!     verifier.write(piece);
//! }
//! verifier.finish();
//! let verdict = resolve_blocking(verifier, |question| zone.answer(question));
//!
//! assert_eq!(verdict.signatures[0].result, DkimResult::Pass);
//! assert_eq!(verdict.signatures[0].domain, Some("football.example.com".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sign
//!
//! ```
//! use std::sync::Arc;
//! use dkim::{KeyRecord, Options, PrivateKey, Signer, Signing, Verifier};
//! use mail_dns::{Zone, resolve_blocking};
//!
//! // Yours comes from PrivateKey::from_pem.
//! let key = PrivateKey::from_ed25519_seed(&[7; 32])?;
//! let record = KeyRecord::new(key.public_key()?);
//! let signing = Signing::new("example.com".parse()?, "2026a".parse()?, Arc::new(key));
//!
//! let message = b"From: Joe <joe@example.com>\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
//! let now = 1_700_000_000;
//! let mut signer = Signer::new([signing], now);
//! signer.write(message);
//! let signed = [signer.finish()?.concat().as_bytes(), message].concat();
//!
//! let zone = Zone::new().txt("2026a._domainkey.example.com", &record.to_string());
//! let mut verifier = Verifier::new(now, Options::default());
//! verifier.write(&signed);
//! verifier.finish();
//! let verdict = resolve_blocking(verifier, |question| zone.answer(question));
//! assert_eq!(verdict.passed().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod arc;
pub mod canonicalization;
mod compact;
pub mod crypto;
#[cfg(feature = "diagnosis")]
pub mod diagnosis;
mod folded_base64;
pub mod key_check;
pub mod key_record;
mod message_to_sign;
pub mod public_key;
mod quoted_printable;
pub mod rotation;
pub mod signature;
pub mod signer;
mod signing_input;
pub mod signing_key;
pub mod verdict;
pub mod verifier;
mod white_space;

pub use canonicalization::Canonicalization;
pub use key_check::{KeyCheck, KeyCheckVerdict};
pub use key_record::KeyRecord;
pub use signature::{Algorithm, Signature};
pub use signer::{NameList, SignError, SignedFields, Signer, Signing, UnsignedField};
pub use signing_input::signing_input;
pub use signing_key::{Pkcs8, PrivateKey, SigningKey, SigningKeyError};
pub use verdict::{Cause, DkimResult, SignatureVerdict, Verdict};
pub use verifier::{Limits, Options, RsaSha1, UnsignedContent, Verifier};
