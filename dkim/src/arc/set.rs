//! ARC sets: which fields of a header belong together, and whether they make a chain (RFC 8617 §4.2, §5.2).

use std::collections::BTreeMap;

use mail_syntax::header::{Field, Header};
use mail_syntax::tag_list::{TagList, TagListError};

use super::seal::{ChainStatus, Seal, chain_status};
use super::verdict::Cause;
use crate::canonicalization::{self, Canonicalization};

/// The most sets that a chain may have: 50 (RFC 8617 §4.2.1).
pub const MAX_SETS: u8 = 50;

/// One of the three fields of an ARC set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// ARC-Authentication-Results (RFC 8617 §4.1.1).
    AuthenticationResults,
    /// ARC-Message-Signature (RFC 8617 §4.1.2).
    MessageSignature,
    /// ARC-Seal (RFC 8617 §4.1.3).
    Seal,
}

impl FieldKind {
    /// In the order in which a seal signs them.
    const ALL: [Self; 3] = [
        Self::AuthenticationResults,
        Self::MessageSignature,
        Self::Seal,
    ];

    /// The name of the field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthenticationResults => "ARC-Authentication-Results",
            Self::MessageSignature => "ARC-Message-Signature",
            Self::Seal => "ARC-Seal",
        }
    }

    /// The kind of a field of this name, if it is one of ARC.
    pub(super) fn of(name: &str) -> Option<Self> {
        (Self::ALL.into_iter()).find(|kind| name.eq_ignore_ascii_case(kind.name()))
    }
}

impl core::fmt::Display for FieldKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// Why the instance of a field, `i=`, cannot be read (RFC 8617 §4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The field is no tag list.
    #[error(transparent)]
    TagList(#[from] TagListError),
    /// There is none, or in ARC-Authentication-Results none at its beginning.
    #[error("no instance i=")]
    Missing,
    /// RFC 8617 §3.9: "position     = 1*2DIGIT".
    #[error("the instance is not a number of one or two digits")]
    NotANumber,
    /// RFC 8617 §4.2.1: "Instance tag values can range from 1-50 (inclusive)."
    #[error("the instance is {value}, and the first is 1 and the last 50")]
    OutOfRange {
        /// The value.
        value: u8,
    },
}

/// The ARC fields of a header, by instance.
#[derive(Debug, Default)]
pub(super) struct Collected<'a> {
    sets: BTreeMap<u8, [Vec<Field<'a>>; 3]>,
    /// The first field from the top that belongs to no set.
    mistake: Option<(FieldKind, usize, InstanceError)>,
    /// The highest instance beyond the limit.
    beyond: Option<u8>,
}

/// A set that is complete, its seal well-formed.
#[derive(Debug)]
pub(super) struct SetFields<'a> {
    pub(super) instance: u8,
    pub(super) results: Field<'a>,
    pub(super) message: Field<'a>,
    pub(super) seal_field: Field<'a>,
    pub(super) seal: Seal,
}

impl<'a> Collected<'a> {
    /// RFC 8617 §5.2: "Collect all ARC Sets currently attached to the message."
    pub(super) fn new(header: &Header<'a>) -> Self {
        let mut collected = Self::default();
        for field in header.fields() {
            let Some(kind) = FieldKind::of(field.name()) else {
                continue;
            };
            match instance(kind, &field) {
                Ok(instance) => {
                    let [results, message, seal] = collected.sets.entry(instance).or_default();
                    match kind {
                        FieldKind::AuthenticationResults => results,
                        FieldKind::MessageSignature => message,
                        FieldKind::Seal => seal,
                    }
                    .push(field);
                }
                Err(error) => {
                    if let InstanceError::OutOfRange { value } = error
                        && value > MAX_SETS
                    {
                        collected.beyond = collected.beyond.max(Some(value));
                    }
                    let mistake = (kind, field.offset(), error);
                    collected.mistake.get_or_insert(mistake);
                }
            }
        }
        collected
    }

    /// There is no ARC field at all.
    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.mistake.is_none()
    }

    /// The highest instance; 0 if there is none.
    pub(super) fn highest(&self) -> u8 {
        (self.sets.last_key_value()).map_or(0, |(instance, _)| *instance)
    }

    /// Whether an instance is higher than this.
    pub(super) fn has_more_than(&self, most: u8) -> bool {
        self.highest() > most || self.beyond.is_some()
    }

    /// Whether the newest set says that the chain failed before.
    pub(super) fn failed_before(&self) -> bool {
        let Some((_, [_, _, seals])) = self.sets.last_key_value() else {
            return false;
        };
        (seals.iter()).any(|seal| {
            let list = TagList::parse(seal.body());
            list.is_ok_and(|list| chain_status(&list) == Ok(ChainStatus::Fail))
        })
    }

    /// Steps 1 to 3 of RFC 8617 §5.2: the sets from the first to the newest.
    pub(super) fn structure(self) -> Result<Vec<SetFields<'a>>, Cause> {
        if self.is_empty() {
            return Err(Cause::NoChain);
        }
        // RFC 8617 §5.2: "The maximum number of ARC Sets that can be attached to a message is 50. If more than the maximum number
        // exist, the Chain Validation Status is "fail", and the algorithm stops here."
        if let Some(instance) = self.beyond {
            return Err(Cause::TooManySets { instance });
        }
        // RFC 8617 §5.2: "If the Chain Validation Status of the highest instance value ARC Set is "fail", then the Chain Validation
        // Status is "fail", and the algorithm stops here."
        if self.failed_before() {
            let instance = self.highest();
            return Err(Cause::FailedBefore { instance });
        }
        if let Some((field, offset, error)) = self.mistake {
            return Err(Cause::Instance {
                field,
                offset,
                error,
            });
        }
        let mut sets: Vec<SetFields<'a>> = Vec::new();
        for (instance, fields) in self.sets {
            // RFC 8617 §5.2: "The instance values of the ARC Sets MUST form a continuous sequence from 1..N with no gaps or repetition."
            let next = sets.last().map_or(1, |set| set.instance + 1);
            if instance != next {
                return Err(Cause::Gap { instance: next });
            }
            sets.push(SetFields::new(instance, fields)?);
        }
        Ok(sets)
    }
}

impl<'a> SetFields<'a> {
    fn new(instance: u8, fields: [Vec<Field<'a>>; 3]) -> Result<Self, Cause> {
        // RFC 8617 §5.2: "Each ARC Set MUST contain exactly one each of the three ARC header fields (AAR, AMS, and AS)."
        let one = |fields: &[Field<'a>], field| match fields {
            [one] => Ok(*one),
            [] => Err(Cause::Missing { instance, field }),
            _ => Err(Cause::Repeated { instance, field }),
        };
        let [results, message, seal] = &fields;
        let results = one(results, FieldKind::AuthenticationResults)?;
        let message = one(message, FieldKind::MessageSignature)?;
        let seal_field = one(seal, FieldKind::Seal)?;
        let seal =
            Seal::parse(&seal_field).map_err(|error| Cause::SealSyntax { instance, error })?;
        // RFC 8617 §5.2: "For ARC Sets with instance values > 1, the values MUST be "pass". For the ARC Set with instance value = 1,
        // the value MUST be "none"."
        let expected = match instance {
            1 => ChainStatus::None,
            _ => ChainStatus::Pass,
        };
        if seal.status != expected {
            let status = seal.status;
            return Err(Cause::SealStatus { instance, status });
        }
        Ok(Self {
            instance,
            results,
            message,
            seal_field,
            seal,
        })
    }

    /// Adds what a seal signs of its own set, but for the seal itself (RFC 8617 §5.1.1).
    pub(super) fn push_evidence(&self, input: &mut Vec<u8>) {
        push_field(&self.results, input);
        push_field(&self.message, input);
    }

    /// Adds the seal, as later seals sign it.
    pub(super) fn push_seal(&self, input: &mut Vec<u8>) {
        push_field(&self.seal_field, input);
    }
}

/// RFC 8617 §4.1.3: "only "relaxed" header field canonicalization ([RFC6376], Section 3.4.2) is used".
pub(super) fn push_field(field: &Field<'_>, input: &mut Vec<u8>) {
    canonicalization::push_field(Canonicalization::Relaxed, field, input);
}

/// The instance of a field.
fn instance(kind: FieldKind, field: &Field<'_>) -> Result<u8, InstanceError> {
    let body = field.body();
    let number = match kind {
        FieldKind::AuthenticationResults => {
            // RFC 8617 §4.1.1: "arc-info = instance [CFWS] ";" authres-payload".
            let value = skip_cfws(body).strip_prefix(b"i");
            let value = value.and_then(|rest| skip_cfws(rest).strip_prefix(b"="));
            let value = skip_cfws(value.ok_or(InstanceError::Missing)?);
            let digits = leading_digits(value);
            let behind = value.get(digits.len()..).unwrap_or_default();
            if !skip_cfws(behind).starts_with(b";") {
                return Err(InstanceError::NotANumber);
            }
            number(digits)
        }
        // RFC 8617 §4.1.2: "arc-ams-info = instance [CFWS] ";" tag-list". Sealers put the instance elsewhere in the list, too.
        FieldKind::MessageSignature | FieldKind::Seal => {
            let list = TagList::parse(body)?;
            let value = list.value("i").ok_or(InstanceError::Missing)?.as_bytes();
            let value = skip_cfws(value);
            let digits = leading_digits(value);
            let behind = value.get(digits.len()..).unwrap_or_default();
            if !skip_cfws(behind).is_empty() {
                return Err(InstanceError::NotANumber);
            }
            number(digits)
        }
    };
    match number.ok_or(InstanceError::NotANumber)? {
        value @ 1..=MAX_SETS => Ok(value),
        value => Err(InstanceError::OutOfRange { value }),
    }
}

fn leading_digits(octets: &[u8]) -> &[u8] {
    let end = octets.iter().position(|octet| !octet.is_ascii_digit());
    octets
        .get(..end.unwrap_or(octets.len()))
        .unwrap_or_default()
}

/// RFC 8617 §3.9: "position     = 1*2DIGIT                         ; 1 - 50".
fn number(digits: &[u8]) -> Option<u8> {
    match digits {
        [one] => Some(one - b'0'),
        [ten, one] => Some((ten - b'0') * 10 + (one - b'0')),
        _ => None,
    }
}

/// What stands behind white space, folds and comments (RFC 5322 §3.2.2); a comment that does not end stays.
fn skip_cfws(octets: &[u8]) -> &[u8] {
    let mut rest = octets.trim_ascii_start();
    while let Some(behind) = rest.strip_prefix(b"(").and_then(end_of_comment) {
        rest = behind.trim_ascii_start();
    }
    rest
}

fn end_of_comment(octets: &[u8]) -> Option<&[u8]> {
    let mut depth = 1_usize;
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        match octet {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return octets.get(at..);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Result<u8, InstanceError> {
        let field = Field::parse(field.as_bytes()).unwrap();
        instance(FieldKind::of(field.name()).unwrap(), &field)
    }

    #[test]
    fn instances() {
        let range = |value| Err(InstanceError::OutOfRange { value });
        for (text, expected) in [
            ("i=1", Ok(1)),
            ("I=1", Err(InstanceError::Missing)),
            (" i = 50 ", Ok(50)),
            ("\r\n i=07", Ok(7)),
            ("i=1 (first \\) (of) all)", Ok(1)),
            ("i=", Err(InstanceError::NotANumber)),
            ("i=0", range(0)),
            ("i=51", range(51)),
            ("i=99", range(99)),
            ("i=001", Err(InstanceError::NotANumber)),
            ("i=256", Err(InstanceError::NotANumber)),
            ("i=-1", Err(InstanceError::NotANumber)),
            ("i=+1", Err(InstanceError::NotANumber)),
            ("i=1.5", Err(InstanceError::NotANumber)),
            ("i=1 2", Err(InstanceError::NotANumber)),
            ("i=one", Err(InstanceError::NotANumber)),
            ("i=18446744073709551617", Err(InstanceError::NotANumber)),
            ("i=1 (", Err(InstanceError::NotANumber)),
            ("ii=1", Err(InstanceError::Missing)),
        ] {
            for (name, rest) in [
                ("ARC-Seal", "; cv=none"),
                ("arc-message-signature", "; h=from"),
                ("ARC-Authentication-Results", "; mx.example; none"),
            ] {
                assert_eq!(
                    read(&format!("{name}:{text}{rest}\r\n")),
                    expected,
                    "{name} {text}"
                );
            }
        }
        let digits = "9".repeat(90_000);
        assert_eq!(
            read(&format!("ARC-Seal:i={digits}")),
            Err(InstanceError::NotANumber)
        );
        assert_eq!(read("ARC-Seal: cv=none; i=3"), Ok(3));
        assert_eq!(
            read("ARC-Authentication-Results: mx.example; i=1; none"),
            Err(InstanceError::Missing)
        );
        assert_eq!(
            read("ARC-Authentication-Results: (a) i (b) = (c) 1 (d) ; none"),
            Ok(1)
        );
        assert_eq!(
            read("ARC-Seal: i=1; i=2"),
            Err(InstanceError::TagList(TagListError::Duplicate {
                offset: 6
            }))
        );
    }
}
