//! What validating a chain came to.

use std::fmt::Write as _;

use mail_syntax::Domain;
use mail_syntax::authentication_results::{
    AuthenticationResults, Method, MethodResult, Outcome, Ptype,
};
use mail_syntax::header::{Defect, HeaderError};

use super::seal::{ChainStatus, SealSyntaxError};
use super::set::{FieldKind, InstanceError};

/// Why a chain has its status; prints as a reason for Authentication-Results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The message has no ARC field.
    #[error("no chain")]
    NoChain,
    /// RFC 8617 §5.2 step 7: all that has to verify verifies.
    #[error("chain validated")]
    Validated,
    /// The header goes past a limit, so no chain was looked for.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header of the message has a line that is no field, a NUL, or a CR or LF alone: its readers disagree about what is signed.
    #[error("the header of the message is malformed")]
    MalformedHeader {
        /// The first of it, if it was kept.
        defect: Option<Defect>,
    },
    /// RFC 8617 §5.2 step 1: there are more than 50 sets.
    #[error("too many ARC sets: {instance}, and 50 are allowed")]
    TooManySets {
        /// The highest instance.
        instance: u8,
    },
    /// RFC 8617 §5.2 step 2: the newest set says that the chain failed at an earlier hop.
    #[error("the chain failed before: ARC-Seal {instance} has cv=fail")]
    FailedBefore {
        /// The instance.
        instance: u8,
    },
    /// A field belongs to no set.
    #[error("{field} at byte {offset}: {error}")]
    Instance {
        /// Which field.
        field: FieldKind,
        /// Where it begins, in octets from the start of the message.
        offset: usize,
        /// What is wrong with its `i=`.
        error: InstanceError,
    },
    /// RFC 8617 §5.2 step 3A: a set lacks a field.
    #[error("ARC set {instance} has no {field}")]
    Missing {
        /// The instance.
        instance: u8,
        /// The field.
        field: FieldKind,
    },
    /// RFC 8617 §5.2 step 3A: a set has a field more than once.
    #[error("ARC set {instance} has more than one {field}")]
    Repeated {
        /// The instance.
        instance: u8,
        /// The field.
        field: FieldKind,
    },
    /// RFC 8617 §5.2 step 3B: the instances do not go from 1 to N.
    #[error("there is no ARC set {instance}, and there is a later one")]
    Gap {
        /// The first instance that is not there.
        instance: u8,
    },
    /// A seal is not well-formed.
    #[error("ARC-Seal {instance}: {error}")]
    SealSyntax {
        /// The instance.
        instance: u8,
        /// What is wrong.
        error: SealSyntaxError,
    },
    /// RFC 8617 §5.2 step 3C: `cv=` of the first seal is not `none`, or of a later one not `pass`.
    #[error("ARC-Seal {instance} has cv={status}")]
    SealStatus {
        /// The instance.
        instance: u8,
        /// The value of `cv=`.
        status: ChainStatus,
    },
    /// The chain needs more keys than [`Limits::keys`](crate::Limits::keys).
    #[error("too many keys")]
    TooManyKeys,
    /// RFC 8617 §5.2 step 4: the newest message signature does not validate.
    #[error("ARC-Message-Signature {instance}: {cause}")]
    MessageSignature {
        /// The instance.
        instance: u8,
        /// Why.
        cause: crate::Cause,
    },
    /// RFC 8617 §5.2 step 6: a seal does not validate.
    #[error("ARC-Seal {instance}: {cause}")]
    Seal {
        /// The instance.
        instance: u8,
        /// Why.
        cause: crate::Cause,
    },
}

impl Cause {
    /// The status that the cause makes.
    ///
    /// There is no temporary error. RFC 8617 §5.2.1: "All errors, including DNS failures, become unrecoverable and are considered
    /// permanent."
    #[must_use]
    pub fn status(&self) -> ChainStatus {
        match self {
            Self::NoChain => ChainStatus::None,
            Self::Validated => ChainStatus::Pass,
            Self::Header(_)
            | Self::MalformedHeader { .. }
            | Self::TooManySets { .. }
            | Self::FailedBefore { .. }
            | Self::Instance { .. }
            | Self::Missing { .. }
            | Self::Repeated { .. }
            | Self::Gap { .. }
            | Self::SealSyntax { .. }
            | Self::SealStatus { .. }
            | Self::TooManyKeys
            | Self::MessageSignature { .. }
            | Self::Seal { .. } => ChainStatus::Fail,
        }
    }
}

/// One ARC set of a chain whose structure is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set {
    /// Its instance, from 1.
    pub instance: u8,
    /// Who sealed it: `d=` of its seal.
    pub domain: Domain,
    /// The selector of its seal, `s=`.
    pub selector: Domain,
    /// When it was sealed, `t=`, in seconds of Unix time, if the seal says so.
    pub timestamp: Option<u64>,
    /// What its message signature came to; `None` if it was not looked at, because a newer one does not validate.
    pub message_signature: Option<crate::Cause>,
    /// What the sealer says that authentication came to when the message arrived there; `None` if it cannot be read. The field is the
    /// sealer's word, and only if the chain passes.
    pub results: Option<AuthenticationResults>,
}

/// What the chain of a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The Chain Validation Status, as [`Cause::status`] makes it. RFC 8617 §5.2: a message whose chain fails "MUST be treated the same
    /// as a message with no Authenticated Received Chain."
    pub status: ChainStatus,
    /// Why.
    pub cause: Cause,
    /// The instance of the oldest message signature that still validates, or 0 if all do; only of a chain that passes. What sealers
    /// before it signed was changed since.
    pub oldest_pass: Option<u8>,
    /// The sets from the oldest to the newest; none where the structure of the chain is not valid.
    pub sets: Vec<Set>,
}

impl Verdict {
    pub(super) fn new(cause: Cause, sets: Vec<Set>, oldest_pass: Option<u8>) -> Self {
        Self {
            status: cause.status(),
            cause,
            oldest_pass,
            sets,
        }
    }

    /// The results that the first sealer found, if the chain passes and every sealer of it is trusted.
    ///
    /// Each has to be: one that is not could have sealed a chain, and a message, of its own making. For a DMARC override, look there for
    /// what the message was when it left the author's domain (RFC 8617 §7.2.1).
    #[must_use]
    pub fn trusted_results(
        &self,
        mut trusts: impl FnMut(&Domain) -> bool,
    ) -> Option<&AuthenticationResults> {
        let passes = self.status == ChainStatus::Pass;
        let trusted = passes && self.sets.iter().all(|set| trusts(&set.domain));
        let first = self.sets.first().filter(|_| trusted)?;
        first.results.as_ref()
    }

    /// The result of the method `arc` for Authentication-Results (RFC 8617 §6), with `header.oldest-pass` where it is known.
    ///
    /// `smtp.remote-ip` is left to whoever knows the client.
    #[must_use]
    pub fn method_result(&self) -> MethodResult {
        let outcome = match self.status {
            ChainStatus::None => Outcome::None,
            ChainStatus::Fail => Outcome::Fail,
            ChainStatus::Pass => Outcome::Pass,
        };
        let mut result = MethodResult::new(Method::Arc, outcome);
        if self.status == ChainStatus::Fail {
            result = result.with_reason(&self.cause.to_string());
        }
        if let (Some(oldest), Ok(property)) = (self.oldest_pass, "oldest-pass".parse()) {
            result.add_property(Ptype::Header, property, &oldest.to_string());
        }
        result
    }

    /// The comment for a DMARC report where the chain overrode the policy (RFC 8617 §7.2.2).
    ///
    /// It has the status, domain and selector of each seal, and the client address that the first set names.
    #[must_use]
    pub fn report_comment(&self) -> String {
        let mut comment = format!("arc={}", self.status);
        for set in self.sets.iter().rev() {
            let Set {
                instance,
                domain,
                selector,
                ..
            } = set;
            // Writing to a String cannot fail.
            let _ = write!(
                comment,
                " as[{instance}].d={domain} as[{instance}].s={selector}"
            );
        }
        let first = self.sets.first().and_then(|set| set.results.as_ref());
        let mut results = first.into_iter().flat_map(AuthenticationResults::results);
        let address = results.find_map(|result| result.property(&Ptype::Smtp, "remote-ip"));
        if let Some(address) = address.and_then(|text| text.parse::<core::net::IpAddr>().ok()) {
            let _ = write!(comment, " remote-ip[1]={address}");
        }
        comment
    }
}
