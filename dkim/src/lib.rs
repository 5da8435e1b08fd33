//! DomainKeys Identified Mail (RFC 6376, 8301, 8463) without I/O: verify and sign.
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod canonicalization;
pub mod crypto;
pub mod public_key;

pub use canonicalization::Canonicalization;
