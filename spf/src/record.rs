//! SPF records (RFC 7208 §4.6.1, §12): text to typed terms and back.

use core::fmt;
use core::str::FromStr;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::macros::{DomainSpec, MacroFault, MacroString};
use crate::{Limits, SpfResult};

mod build;
mod grammar;
mod network;

pub(crate) use grammar::{Cursor, Kind};

/// A whole SPF record, every term of it valid.
///
/// There is no half-read record: RFC 7208 §4.6: "if there are any syntax errors anywhere in the record, check_host() returns immediately
/// with the result "permerror", without further interpretation or evaluation."
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpfRecord {
    terms: Vec<Term>,
}

/// One term of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Term {
    /// A mechanism and what a match of it means (RFC 7208 §4.6.2).
    Directive(Directive),
    /// `redirect=` (RFC 7208 §6.1).
    Redirect(DomainSpec),
    /// `exp=` (RFC 7208 §6.2).
    Explanation(DomainSpec),
    /// A modifier of another name (RFC 7208 §6: "Unrecognized modifiers MUST be ignored").
    Unknown {
        /// Its name, in the case it was written in.
        name: Box<str>,
        /// Its value.
        value: MacroString,
    },
}

/// A mechanism with its qualifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// What a match means.
    pub qualifier: Qualifier,
    /// What is tested.
    pub mechanism: Mechanism,
}

/// What a match of a mechanism means (RFC 7208 §4.6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// `+`, and the default.
    #[default]
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

impl From<Qualifier> for SpfResult {
    fn from(qualifier: Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}

/// What is tested (RFC 7208 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// Always matches (§5.1).
    All,
    /// The record of another domain gives pass (§5.2).
    Include(DomainSpec),
    /// The client is a host of this name (§5.3).
    A {
        /// The name; none means the current domain.
        domain: Option<DomainSpec>,
        /// How much of the address counts.
        prefix: DualPrefix,
    },
    /// The client is a mail exchange of this name (§5.4).
    Mx {
        /// The name; none means the current domain.
        domain: Option<DomainSpec>,
        /// How much of the address counts.
        prefix: DualPrefix,
    },
    /// The client's own name is at or below this one (§5.5: "do not use").
    Ptr(Option<DomainSpec>),
    /// The client is in this network (§5.6).
    Ip4 {
        /// The network.
        network: Ipv4Addr,
        /// Its prefix, 0 to 32.
        prefix: u8,
    },
    /// The client is in this network (§5.6).
    Ip6 {
        /// The network.
        network: Ipv6Addr,
        /// Its prefix, 0 to 128.
        prefix: u8,
    },
    /// The name has an A record (§5.7).
    Exists(DomainSpec),
}

/// The prefix lengths of `a` and `mx` (RFC 7208 §5.6, dual-cidr-length), within 0 to 32 and 0 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DualPrefix {
    pub(crate) v4: u8,
    pub(crate) v6: u8,
}

impl DualPrefix {
    /// All of the address.
    pub(crate) const WHOLE: Self = Self { v4: 32, v6: 128 };

    /// Bits that count of an IPv4 address; 32 where none was written.
    pub const fn v4(self) -> u8 {
        self.v4
    }

    /// Bits that count of an IPv6 address; 128 where none was written.
    pub const fn v6(self) -> u8 {
        self.v6
    }
}

/// Why text is no SPF record: the publisher's mistake, at this octet of the record.
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at octet {at} of the SPF record")]
pub struct RecordError {
    /// The octet, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: RecordFault,
}

/// What is wrong with an SPF record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// Longer than [`crate::Limits::record`].
    #[error("record longer than allowed")]
    TooLong,
    /// Not `v=spf1` followed by a space or the end (RFC 7208 §4.5).
    #[error("no version \"v=spf1\"")]
    Version,
    /// Not a visible character of US-ASCII, nor the space that separates terms (RFC 7208 §3.1).
    #[error("character that is not allowed")]
    Character,
    /// A term that is neither a known mechanism nor a modifier.
    #[error("unknown mechanism")]
    Mechanism,
    /// A mechanism that needs a domain has none, or something stands where none may.
    #[error("unexpected text or missing argument")]
    Argument,
    /// Not an address.
    #[error("bad IP address")]
    Address,
    /// Not a prefix length.
    #[error("bad prefix length")]
    Prefix,
    /// `redirect` or `exp` a second time (RFC 7208 §6).
    #[error("modifier given twice")]
    Twice,
    /// Not a domain-spec or macro-string (RFC 7208 §7.1).
    #[error(transparent)]
    Macro(MacroFault),
}

/// RFC 7208 §4.5: whether a TXT record has a version section of exactly `v=spf1`, terminated by a space or the end.
pub fn is_spf_record(text: &[u8]) -> bool {
    text.split_at_checked(VERSION.len())
        .is_some_and(|(version, rest)| {
            // Seldom is it written in another case, and this is much faster.
            (version == VERSION || version.eq_ignore_ascii_case(VERSION))
                && matches!(rest.first(), None | Some(b' '))
        })
}

const VERSION: &[u8] = b"v=spf1";

/// Reads a whole record, and hands out its terms on the way, each with the octet where it begins: all of them, or those before the first
/// fault.
pub(crate) fn read<'a>(
    text: &'a [u8],
    limits: &Limits,
    each: impl FnMut(&Cursor<'a>),
) -> Result<(), RecordError> {
    let fault = |at, fault| Err(RecordError { at, fault });
    if text.len() > limits.record {
        return fault(limits.record, RecordFault::TooLong);
    }
    if !is_spf_record(text) {
        return fault(0, RecordFault::Version);
    }
    // RFC 7208 §4.6.1 and §7.1: terms are visible US-ASCII characters, separated by SP and nothing else. No term takes another
    // character, so it is looked for only to say what is wrong.
    let visible = |octet: &u8| matches!(octet, b' '..=b'~');
    grammar::read(text, VERSION.len(), each).or_else(|(at, of)| {
        match text.iter().position(|octet| !visible(octet)) {
            Some(at) => fault(at, RecordFault::Character),
            None => fault(at, of),
        }
    })
}

impl SpfRecord {
    /// Parses a record of any octets, the strings of its TXT record already joined.
    ///
    /// # Errors
    ///
    /// The first fault, and where it is.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, RecordError> {
        // Nearly every term is longer.
        let mut terms = Vec::with_capacity(text.len() / 12);
        read(text, limits, |term| terms.push(term.to_term()))?;
        Ok(Self { terms })
    }

    /// The terms in their order.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The target of `redirect=`, unless an `all` makes it void (RFC 7208 §6.1: "Any "redirect" modifier MUST be ignored if there is an
    /// "all" mechanism anywhere in the record").
    pub fn redirect(&self) -> Option<&DomainSpec> {
        let all = |term: &Term| {
            matches!(
                term,
                Term::Directive(Directive {
                    mechanism: Mechanism::All,
                    ..
                })
            )
        };
        if self.terms.iter().any(all) {
            return None;
        }
        self.terms.iter().find_map(|term| match term {
            Term::Redirect(domain) => Some(domain),
            _ => None,
        })
    }

    /// The target of `exp=`.
    pub fn explanation(&self) -> Option<&DomainSpec> {
        self.terms.iter().find_map(|term| match term {
            Term::Explanation(domain) => Some(domain),
            _ => None,
        })
    }
}

/// Within the default limits.
impl FromStr for SpfRecord {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        Self::parse(text.as_bytes(), &Limits::default())
    }
}

impl fmt::Display for SpfRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        self.terms.iter().try_for_each(|term| write!(f, " {term}"))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directive(directive) => directive.fmt(f),
            Self::Redirect(domain) => write!(f, "redirect={domain}"),
            Self::Explanation(domain) => write!(f, "exp={domain}"),
            Self::Unknown { name, value } => write!(f, "{name}={value}"),
        }
    }
}

/// The qualifier `+` is left out.
impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.qualifier {
            Qualifier::Pass => "",
            Qualifier::Fail => "-",
            Qualifier::SoftFail => "~",
            Qualifier::Neutral => "?",
        })?;
        self.mechanism.fmt(f)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, name: &str, domain: &Option<DomainSpec>| {
            f.write_str(name)?;
            domain
                .as_ref()
                .map_or(Ok(()), |domain| write!(f, ":{domain}"))
        };
        match self {
            Self::All => f.write_str("all"),
            Self::Include(domain) => write!(f, "include:{domain}"),
            Self::Exists(domain) => write!(f, "exists:{domain}"),
            Self::Ptr(domain) => with(f, "ptr", domain),
            Self::A { domain, prefix } => with(f, "a", domain).and_then(|()| prefix.fmt(f)),
            Self::Mx { domain, prefix } => with(f, "mx", domain).and_then(|()| prefix.fmt(f)),
            Self::Ip4 {
                network,
                prefix: 32,
            } => write!(f, "ip4:{network}"),
            Self::Ip4 { network, prefix } => write!(f, "ip4:{network}/{prefix}"),
            Self::Ip6 {
                network,
                prefix: 128,
            } => write!(f, "ip6:{network}"),
            Self::Ip6 { network, prefix } => write!(f, "ip6:{network}/{prefix}"),
        }
    }
}

/// What is not the default.
impl fmt::Display for DualPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 != 32 {
            write!(f, "/{}", self.v4)?;
        }
        if self.v6 != 128 {
            write!(f, "//{}", self.v6)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses() {
        for (text, printed) in [
            ("v=spf1", "v=spf1"),
            ("V=sPf1  +MX  -all ", "v=spf1 mx -all"),
            (
                "v=spf1 a:foo:bar/baz.example.com/24//64 ?ptr",
                "v=spf1 a:foo:bar/baz.example.com/24//64 ?ptr",
            ),
            ("v=spf1 a//0 mx/0 a/32//128", "v=spf1 a//0 mx/0 a"),
            (
                "v=spf1 ip4:192.0.2.0/24 ip6:2001:DB8::/32 ~all",
                "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all",
            ),
            (
                "v=spf1 exists:%{L1R+-}._spf.%{d} redirect=x.org.",
                "v=spf1 exists:%{L1R+-}._spf.%{d} redirect=x.org.",
            ),
            (
                "v=spf1 moo.cow=man:%%/ exp=e.%{o}",
                "v=spf1 moo.cow=man:%%/ exp=e.%{o}",
            ),
        ] {
            let record: SpfRecord = text.parse().unwrap();
            assert_eq!(record.to_string(), printed);
            assert_eq!(printed.parse(), Ok(record));
        }
    }

    #[test]
    fn faults_and_where_they_are() {
        for (text, at, fault) in [
            ("v=spf10", 0, RecordFault::Version),
            ("v=spf1 a\rptr", 8, RecordFault::Character),
            ("v=spf1 -all moo", 12, RecordFault::Mechanism),
            ("v=spf1 -moo", 8, RecordFault::Mechanism),
            ("v=spf1 -all:x", 11, RecordFault::Argument),
            ("v=spf1 include", 14, RecordFault::Argument),
            ("v=spf1 ptr/0", 10, RecordFault::Argument),
            ("v=spf1 ip4:1.2.3", 11, RecordFault::Address),
            ("v=spf1 ip4:1.2.3.4/33", 19, RecordFault::Prefix),
            ("v=spf1 ip4:1.2.3.4/032", 19, RecordFault::Prefix),
            ("v=spf1 ip6:::1//3", 15, RecordFault::Prefix),
            ("v=spf1 a/33", 9, RecordFault::Prefix),
            ("v=spf1 a/24/64", 12, RecordFault::Prefix),
            ("v=spf1 exp=a.b exp=a.b", 15, RecordFault::Twice),
        ] {
            assert_eq!(
                text.parse::<SpfRecord>(),
                Err(RecordError { at, fault }),
                "{text}"
            );
        }
    }
}
