//! What verifying came to: one verdict for each signature, in the words of RFC 8601 and with its cause.

use core::fmt;
use std::sync::Arc;

use base64::Engine as _;
use mail_dns::{Dnssec, Failure};
use mail_syntax::Domain;
use mail_syntax::header::{Defect, HeaderError};

use crate::key_record::KeyRecordError;
use crate::signature::{Algorithm, BASE64, Identity, KeyNameError, Signature, SignatureError};

/// The results of RFC 8601 §2.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DkimResult {
    /// "The message was not signed."
    None,
    /// The signature is acceptable and verifies.
    Pass,
    /// The signature is acceptable and does not verify.
    Fail,
    /// "some aspect of the signature or signatures was not acceptable to the ADMD."
    Policy,
    /// The signature was not judged.
    Neutral,
    /// A later attempt may give a result: the key could not be had.
    TempError,
    /// No later attempt will give a result.
    PermError,
}

impl DkimResult {
    /// The one of several that says most.
    pub(crate) fn best(results: impl Iterator<Item = Self>) -> Self {
        let rank = |result: &Self| match result {
            Self::Pass => 6,
            Self::TempError => 5,
            Self::Fail => 4,
            Self::Policy => 3,
            Self::Neutral => 2,
            Self::PermError => 1,
            Self::None => 0,
        };
        results.max_by_key(rank).unwrap_or(Self::None)
    }
}

impl fmt::Display for DkimResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// Why a signature has its result; prints as a reason for Authentication-Results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The signature verifies.
    #[error("signature verified")]
    Verified,
    /// The header of the message has a line that is no field, a NUL, or a CR or LF alone: its readers disagree about what is signed.
    #[error("the header of the message is malformed")]
    MalformedHeader {
        /// The first of it, if it was kept.
        defect: Option<Defect>,
    },
    /// The field is no signature that may be used (RFC 6376 §6.1.1).
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// RFC 8301 §3.1: SHA-1 does not count any more.
    #[error("rsa-sha1 is not accepted")]
    Sha1,
    /// RFC 6376 §6.1.1: "PERMFAIL (signature expired)".
    #[error("signature expired")]
    Expired,
    /// More signatures than [`Limits::signatures`](crate::verifier::Limits::signatures).
    #[error("too many signatures")]
    TooManySignatures,
    /// More keys than [`Limits::keys`](crate::verifier::Limits::keys).
    #[error("too many keys")]
    TooManyKeys,
    /// Selector and domain make no name to ask for.
    #[error(transparent)]
    KeyName(#[from] KeyNameError),
    /// RFC 6376 §6.1.2: "TEMPFAIL (key unavailable)".
    #[error("key unavailable: {0}")]
    KeyUnavailable(Failure),
    /// RFC 6376 §6.1.2: "PERMFAIL (no key for signature)".
    #[error("no key for signature")]
    NoKey,
    /// RFC 6376 §6.1.2: "PERMFAIL (key syntax error)".
    #[error(transparent)]
    KeyRecord(#[from] KeyRecordError),
    /// The record is longer than [`Limits::key_record`](crate::verifier::Limits::key_record).
    #[error("the key record has {octets} octets, too many")]
    KeyRecordTooLong {
        /// How many it has.
        octets: usize,
    },
    /// RFC 6376 §6.1.2: "PERMFAIL (inappropriate hash algorithm)".
    #[error("inappropriate hash algorithm: the key record does not allow it")]
    HashNotAllowed,
    /// The key is not for mail, by `s=` of its record.
    #[error("the key is not for mail")]
    ServiceNotAllowed,
    /// RFC 6376 §6.1.2: "PERMFAIL (key revoked)".
    #[error("key revoked")]
    KeyRevoked,
    /// RFC 6376 §6.1.2: "PERMFAIL (inappropriate key algorithm)".
    #[error("inappropriate key algorithm: the key is of another kind than the signature")]
    KeyAlgorithm,
    /// RFC 6376 §3.6.1, `t=s`: "the "i=" domain MUST NOT be a subdomain of "d="."
    #[error("the domain of i= is below that of d=, and the key record forbids that")]
    IdentityBelowDomain,
    /// `l=` says more octets than the canonical body has.
    #[error("the body is shorter than l=: {octets} octets")]
    BodyTooShort {
        /// How many it has.
        octets: u64,
    },
    /// RFC 6376 §6.1.3: "PERMFAIL (body hash did not verify)".
    #[error("body hash did not verify")]
    BodyHash,
    /// RFC 6376 §6.1.3: "PERMFAIL (signature did not verify)".
    #[error("signature did not verify")]
    Mismatch,
    /// The signature verifies, but `l=` leaves octets of the body unsigned.
    #[error("unsigned content: l= leaves {octets} octets of the body unsigned")]
    UnsignedContent {
        /// How many.
        octets: u64,
    },
}

impl Cause {
    /// The result that the cause makes.
    #[must_use]
    pub fn result(&self) -> DkimResult {
        match self {
            Self::Verified => DkimResult::Pass,
            Self::BodyHash | Self::Mismatch => DkimResult::Fail,
            Self::Expired => DkimResult::Policy,
            Self::TooManySignatures | Self::TooManyKeys | Self::UnsignedContent { .. } => {
                DkimResult::Neutral
            }
            Self::KeyUnavailable(_) => DkimResult::TempError,
            Self::MalformedHeader { .. }
            | Self::Signature(_)
            | Self::Sha1
            | Self::KeyName(_)
            | Self::NoKey
            | Self::KeyRecord(_)
            | Self::KeyRecordTooLong { .. }
            | Self::HashNotAllowed
            | Self::ServiceNotAllowed
            | Self::KeyRevoked
            | Self::KeyAlgorithm
            | Self::IdentityBelowDomain
            | Self::BodyTooShort { .. } => DkimResult::PermError,
        }
    }
}

/// What one DKIM-Signature came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureVerdict {
    /// The result, as [`Cause::result`] makes it.
    pub result: DkimResult,
    /// Why.
    pub cause: Cause,
    /// `d=`, also of a signature that is malformed elsewhere.
    pub domain: Option<Domain>,
    /// `s=`, also of a signature that is malformed elsewhere.
    pub selector: Option<Domain>,
    /// `a=`, also of a signature that is malformed elsewhere.
    pub algorithm: Option<Algorithm>,
    /// The signature, if it is well-formed.
    pub signature: Option<Arc<Signature>>,
    /// Bits of an RSA key.
    pub key_bits: Option<usize>,
    /// The key is RSA of fewer than 2048 bits (RFC 8301 §3.2).
    pub weak_key: bool,
    /// `t=y` in the key record: the domain is testing DKIM, and wants the message treated as if it were not signed (RFC 6376 §3.6.1).
    pub testing: bool,
    /// Octets of the canonical body that `l=` leaves unsigned.
    pub unsigned_octets: u64,
    /// What DNSSEC says of the key record.
    pub dnssec: Dnssec,
    /// Where the field begins, in octets from the start of the message.
    pub offset: usize,
}

impl SignatureVerdict {
    /// The identity, `i=`, or what stands for it where the tag is absent (RFC 6376 §3.5).
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let signature = self.signature.as_ref()?;
        Some(signature.identity().cloned().unwrap_or_else(|| Identity {
            local_part: None,
            domain: signature.domain().clone(),
        }))
    }

    /// The value of `b=` in base64 without white space, of which Authentication-Results has the beginning as `header.b`: eight
    /// characters, or more where two signatures begin alike (RFC 6008 §4).
    #[must_use]
    pub fn b(&self) -> Option<String> {
        (self.signature.as_ref()).map(|signature| BASE64.encode(signature.octets()))
    }
}

/// What all signatures of a message came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// One verdict for each DKIM-Signature, from the top of the header.
    pub signatures: Vec<SignatureVerdict>,
    /// The header goes past a limit, so no signature was looked at.
    pub header_error: Option<HeaderError>,
}

impl Verdict {
    /// The signatures that pass.
    pub fn passed(&self) -> impl Iterator<Item = &SignatureVerdict> {
        (self.signatures.iter()).filter(|signature| signature.result == DkimResult::Pass)
    }

    /// One result for all: that of the signature which says most. A pass wins, then what a later attempt may change, then a failure.
    #[must_use]
    pub fn result(&self) -> DkimResult {
        let results = self.signatures.iter().map(|signature| signature.result);
        let header = self.header_error.iter().map(|_| DkimResult::PermError);
        DkimResult::best(results.chain(header))
    }
}
