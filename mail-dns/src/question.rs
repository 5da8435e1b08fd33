//! What is asked, and what comes back.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::sync::Arc;

use crate::{Name, Record, RecordType};

/// One lookup: the records of one type at one name. It is its own key: equal questions have equal answers.
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// Where to look.
    pub name: Name,
    /// What to look for.
    #[cfg_attr(feature = "serde", serde(rename = "type"))]
    pub kind: RecordType,
}

impl Question {
    /// The question for the records of type `kind` at `name`.
    pub const fn new(name: Name, kind: RecordType) -> Self {
        Self { name, kind }
    }
}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // No type's number here is that of an upper-case letter, which would be put in lower case, or the length of a label: all are beyond.
        self.name.hash_with(0x80 | self.kind as u8, state);
    }
}

/// Name and type, as in `example.com TXT`.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// What a resolver found.
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The records, or why there are none.
    pub data: Data,
    /// What DNSSEC says of it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub dnssec: Dnssec,
    /// How long it may be kept: the least of all records involved, for a negative answer that of RFC 2308 §5; none where unknown.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub ttl: Option<Duration>,
    /// The name at the end of the CNAME chain, where one was followed.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub canonical: Option<Name>,
}

/// The outcome of a lookup, CNAMEs already followed. No outcome is ever left open: a lookup that failed is not one that found nothing.
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize, ::serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The records of the type asked for, in the order of the response; never empty when it comes from this crate.
    Records(#[cfg_attr(feature = "serde", serde(with = "crate::serde::records"))] Arc<[Record]>),
    /// The name exists and has no record of this type (RFC 2308 §2.2).
    NoData,
    /// The name does not exist (RFC 2308 §2.1).
    NxDomain,
    /// The lookup gave no answer at all.
    Failed(Failure),
}

/// Why a lookup gave no answer.
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize, ::serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The server could not answer (RFC 1035 §4.1.1, RCODE 2), or its answer made no sense.
    ServFail,
    /// Nothing came in time.
    Timeout,
    /// The server would not answer (RFC 1035 §4.1.1, RCODE 5).
    Refused,
    /// The answer failed DNSSEC validation (RFC 4035 §5).
    Bogus,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ServFail => "server failure",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Bogus => "DNSSEC validation failed",
        })
    }
}

/// What DNSSEC says of an answer (RFC 4035 §4.3).
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize, ::serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dnssec {
    /// Every signature up to a trust anchor is good.
    Secure,
    /// The zone is proved to be unsigned.
    Insecure,
    /// Signatures are missing or wrong.
    Bogus,
    /// Nobody looked, or what the resolver says cannot be trusted.
    #[default]
    Unknown,
}

impl Answer {
    /// These records; without any it is [`Data::NoData`].
    pub fn found(records: impl IntoIterator<Item = Record>) -> Self {
        let records: Arc<[Record]> = records.into_iter().collect();
        Self::of(if records.is_empty() {
            Data::NoData
        } else {
            Data::Records(records)
        })
    }

    /// The name exists without such a record.
    pub const fn no_data() -> Self {
        Self::of(Data::NoData)
    }

    /// The name does not exist.
    pub const fn nx_domain() -> Self {
        Self::of(Data::NxDomain)
    }

    /// The lookup failed.
    pub const fn failed(failure: Failure) -> Self {
        Self::of(Data::Failed(failure))
    }

    const fn of(data: Data) -> Self {
        Self {
            data,
            dnssec: Dnssec::Unknown,
            ttl: None,
            canonical: None,
        }
    }

    /// The records there are, none for every other outcome. Whoever must tell "nothing" from "no answer" asks [`Answer::outcome`].
    pub fn records(&self) -> &[Record] {
        match &self.data {
            Data::Records(records) => records,
            Data::NoData | Data::NxDomain | Data::Failed(_) => &[],
        }
    }

    /// The records, none of them where the name or type does not exist.
    ///
    /// # Errors
    ///
    /// The failure, where the lookup gave no answer.
    pub fn outcome(&self) -> Result<&[Record], Failure> {
        match &self.data {
            Data::Records(records) => Ok(records),
            Data::NoData | Data::NxDomain => Ok(&[]),
            Data::Failed(failure) => Err(*failure),
        }
    }

    /// Whether the answer is that there is nothing: no such name, or none of this type there.
    pub fn is_void(&self) -> bool {
        matches!(&self.data, Data::NoData | Data::NxDomain)
            || matches!(&self.data, Data::Records(records) if records.is_empty())
    }
}

/// The outcome in one line, for traces and logs.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Data::Records(records) => {
                for (number, record) in records.iter().enumerate() {
                    write!(f, "{}{record}", if number > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Data::NoData => f.write_str("no data"),
            Data::NxDomain => f.write_str("no such name"),
            Data::Failed(failure) => failure.fmt(f),
        }
    }
}
