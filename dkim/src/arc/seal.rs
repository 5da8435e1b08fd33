//! The ARC-Seal header field (RFC 8617 §4.1.3).

use core::fmt;
use core::ops::Range;

use mail_syntax::folding::{FieldWriter, FoldError};
use mail_syntax::header::Field;
use mail_syntax::tag_list::TagList;

use super::set::FieldKind;
use crate::signature::{Kind, Signature, SignatureError};

/// The Chain Validation Status (RFC 8617 §4.4): the value of `cv=`, and the result of the method `arc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainStatus {
    /// "There was no Authenticated Received Chain on the message when it arrived for validation."
    None,
    /// "The message contains an Authenticated Received Chain whose validation failed." Such a message is treated like one without a chain.
    Fail,
    /// "The message contains an Authenticated Received Chain whose validation succeeded."
    Pass,
}

impl fmt::Display for ChainStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Fail => "fail",
            Self::Pass => "pass",
        })
    }
}

/// Why an ARC-Seal cannot be used. Offsets count from the octet behind the colon of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealSyntaxError {
    /// A mistake that a DKIM signature may have too.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// RFC 8617 §4.1.3: "the DKIM "h" tag is NOT allowed".
    #[error("h= at byte {offset}, which a seal must not have")]
    SignedFields {
        /// Where the tag begins.
        offset: usize,
    },
    /// `cv=` is neither `none` nor `fail` nor `pass`.
    #[error("the value of the tag cv= at byte {offset} is not none, fail or pass")]
    ChainStatus {
        /// Where the tag begins.
        offset: usize,
    },
}

/// An ARC-Seal that is well-formed, but for its instance.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub(super) signature: Signature,
    pub(super) status: ChainStatus,
    /// Where in the body of the field the value of `b=` stands.
    pub(super) b: Range<usize>,
}

impl Seal {
    pub(super) fn parse(field: &Field<'_>) -> Result<Self, SealSyntaxError> {
        let list = TagList::parse(field.body()).map_err(SignatureError::from)?;
        // RFC 8617 §4.1.3: "Note especially that the DKIM "h" tag is NOT allowed and, if found, MUST result in a cv status of "fail"".
        if let Some(tag) = list.tag("h") {
            let offset = tag.offset();
            return Err(SealSyntaxError::SignedFields { offset });
        }
        let status = chain_status(&list)?;
        let (signature, b) = Signature::from_tags(&list, Kind::ArcSeal)?;
        Ok(Self {
            signature,
            status,
            b,
        })
    }

    /// The field up to `b=`, whose value is added last.
    pub(super) fn unsigned_field(
        signature: &Signature,
        instance: u8,
        status: ChainStatus,
    ) -> Result<FieldWriter, FoldError> {
        let mut field = FieldWriter::new(FieldKind::Seal.name())?;
        field.word(&format!("i={instance};"));
        field.word(&format!("a={};", signature.algorithm()));
        field.word(&format!("cv={status};"));
        field.word(&format!("d={};", signature.domain()));
        field.word(&format!("s={};", signature.selector()));
        if let Some(timestamp) = signature.timestamp() {
            field.word(&format!("t={timestamp};"));
        }
        field.word("b=");
        Ok(field)
    }
}

/// The value of `cv=`, as far as it can be read without the rest.
pub(super) fn chain_status(list: &TagList<'_>) -> Result<ChainStatus, SealSyntaxError> {
    let tag = (list.tag("cv")).ok_or(SignatureError::MissingTag { tag: "cv" })?;
    // RFC 8617 §3.9: "chain-status = ("none" / "fail" / "pass")"
    match tag.value() {
        "none" => Ok(ChainStatus::None),
        "fail" => Ok(ChainStatus::Fail),
        "pass" => Ok(ChainStatus::Pass),
        _ => Err(SealSyntaxError::ChainStatus {
            offset: tag.offset(),
        }),
    }
}
