//! DomainKeys Identified Mail (RFC 6376, 8301, 8463) without I/O: verify and sign.
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod canonicalization;
pub mod crypto;
pub mod key_record;
pub mod public_key;
mod quoted_printable;
pub mod signature;
pub mod signer;
mod signing_input;
pub mod signing_key;
pub mod verdict;
pub mod verifier;

pub use canonicalization::Canonicalization;
pub use key_record::KeyRecord;
pub use signature::{Algorithm, Signature};
pub use signer::{SignError, SignedFields, Signer, Signing, UnsignedField};
pub use signing_input::signing_input;
pub use signing_key::{PrivateKey, SigningKey, SigningKeyError};
pub use verdict::{Cause, DkimResult, SignatureVerdict, Verdict};
pub use verifier::{Limits, Options, UnsignedContent, Verifier};
