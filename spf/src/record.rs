//! SPF records (RFC 7208 §4.6.1, §12): text to typed terms and back.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::macros::{DomainSpec, MacroError, MacroFault, MacroString};
use crate::{Limits, SpfResult};

/// A whole SPF record, every term of it valid.
///
/// There is no half-read record: RFC 7208 §4.6: "if there are any syntax errors anywhere in the record, check_host() returns immediately
/// with the result "permerror", without further interpretation or evaluation."
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Mechanism {
    /// How many addresses like `ip` one match stands for, as the power of two; none where the mechanism names no addresses itself.
    pub(crate) fn address_bits(&self, ip: IpAddr) -> Option<u8> {
        let whole: u8 = if ip.to_canonical().is_ipv4() { 32 } else { 128 };
        let prefix = match self {
            Self::All => 0,
            Self::A { prefix, .. } | Self::Mx { prefix, .. } if whole == 32 => prefix.v4,
            Self::A { prefix, .. } | Self::Mx { prefix, .. } => prefix.v6,
            Self::Ip4 { prefix, .. } | Self::Ip6 { prefix, .. } => *prefix,
            Self::Include(_) | Self::Exists(_) | Self::Ptr(_) => return None,
        };
        whole.checked_sub(prefix)
    }
}

/// The prefix lengths of `a` and `mx` (RFC 7208 §5.6, dual-cidr-length), within 0 to 32 and 0 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DualPrefix {
    pub(crate) v4: u8,
    pub(crate) v6: u8,
}

impl DualPrefix {
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
    text.split_at_checked(6).is_some_and(|(version, rest)| {
        version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
    })
}

impl SpfRecord {
    /// Parses a record of any octets, the strings of its TXT record already joined.
    ///
    /// # Errors
    ///
    /// The first fault, and where it is.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, RecordError> {
        if text.len() > limits.record {
            return Err(RecordError {
                at: limits.record,
                fault: RecordFault::TooLong,
            });
        }
        if !is_spf_record(text) {
            return Err(RecordError {
                at: 0,
                fault: RecordFault::Version,
            });
        }
        // RFC 7208 §4.6.1 and §7.1: terms are visible US-ASCII characters, separated by SP and nothing else.
        if let Some(at) = text.iter().position(|octet| !matches!(octet, b' '..=b'~')) {
            return Err(RecordError {
                at,
                fault: RecordFault::Character,
            });
        }
        let text = core::str::from_utf8(text).map_err(|error| RecordError {
            at: error.valid_up_to(),
            fault: RecordFault::Character,
        })?;
        let spaces = text.bytes().filter(|octet| *octet == b' ').count();
        let mut terms = Vec::with_capacity(spaces);
        let (mut redirect, mut explanation) = (false, false);
        let mut at = 0;
        for (number, word) in text.split(' ').enumerate() {
            if number > 0 && !word.is_empty() {
                let term = term(word).map_err(|(within, fault)| RecordError {
                    at: at + within,
                    fault,
                })?;
                // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
                let seen = match &term {
                    Term::Redirect(_) => core::mem::replace(&mut redirect, true),
                    Term::Explanation(_) => core::mem::replace(&mut explanation, true),
                    _ => false,
                };
                if seen {
                    return Err(RecordError {
                        at,
                        fault: RecordFault::Twice,
                    });
                }
                terms.push(term);
            }
            at += word.len() + 1;
        }
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

type Fault = (usize, RecordFault);

/// The fault of a macro-string that begins at this octet.
fn within(start: usize) -> impl Fn(MacroError) -> Fault {
    move |error| (start + error.at, RecordFault::Macro(error.fault))
}

fn term(word: &str) -> Result<Term, Fault> {
    let octets = word.as_bytes();
    // RFC 7208 §4.6.1: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ); "Modifiers always contain an equals ('=') character immediately
    // after the name, and before any ":" or "/" characters that might be part of the macro-string."
    let name_end = |from: usize| {
        octets
            .iter()
            .skip(from)
            .position(|octet| {
                !(octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
            })
            .map_or(octets.len(), |end| from + end)
    };
    let end = name_end(0);
    if octets.first().is_some_and(u8::is_ascii_alphabetic) && octets.get(end) == Some(&b'=') {
        let (name, value) = (&word[..end], &word[end + 1..]);
        let domain = || value.parse().map_err(within(end + 1));
        return Ok(if name.eq_ignore_ascii_case("redirect") {
            Term::Redirect(domain()?)
        } else if name.eq_ignore_ascii_case("exp") {
            Term::Explanation(domain()?)
        } else {
            let value = value.parse().map_err(within(end + 1))?;
            Term::Unknown {
                name: name.into(),
                value,
            }
        });
    }
    let (qualifier, start) = match octets.first() {
        Some(b'+') => (Qualifier::Pass, 1),
        Some(b'-') => (Qualifier::Fail, 1),
        Some(b'~') => (Qualifier::SoftFail, 1),
        Some(b'?') => (Qualifier::Neutral, 1),
        _ => (Qualifier::Pass, 0),
    };
    let end = name_end(start);
    // All positions are at ASCII characters: the caller let nothing else through.
    let (name, rest) = (&word[start..end], &word[end..]);
    let argument = Argument {
        text: rest,
        at: end,
    };
    // The longest name has seven letters: in lower case without a string for it.
    let mut lower = [0; 7];
    let lower = match lower.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            &*lower
        }
        None => return Err((start, RecordFault::Mechanism)),
    };
    let mechanism = match lower {
        b"all" => {
            argument.none()?;
            Mechanism::All
        }
        b"include" => Mechanism::Include(argument.domain()?),
        b"exists" => Mechanism::Exists(argument.domain()?),
        b"ptr" if rest.is_empty() => Mechanism::Ptr(None),
        b"ptr" => Mechanism::Ptr(Some(argument.domain()?)),
        b"a" => {
            let (domain, prefix) = argument.domain_and_prefix()?;
            Mechanism::A { domain, prefix }
        }
        b"mx" => {
            let (domain, prefix) = argument.domain_and_prefix()?;
            Mechanism::Mx { domain, prefix }
        }
        b"ip4" => {
            let (network, prefix) = argument.network(32)?;
            Mechanism::Ip4 { network, prefix }
        }
        b"ip6" => {
            let (network, prefix) = argument.network(128)?;
            Mechanism::Ip6 { network, prefix }
        }
        _ => return Err((start, RecordFault::Mechanism)),
    };
    Ok(Term::Directive(Directive {
        qualifier,
        mechanism,
    }))
}

/// What stands behind the name of a mechanism.
struct Argument<'a> {
    text: &'a str,
    /// Where it stands in the term.
    at: usize,
}

impl Argument<'_> {
    fn none(&self) -> Result<(), Fault> {
        if self.text.is_empty() {
            Ok(())
        } else {
            Err((self.at, RecordFault::Argument))
        }
    }

    fn domain(&self) -> Result<DomainSpec, Fault> {
        let text = self
            .text
            .strip_prefix(':')
            .ok_or((self.at, RecordFault::Argument))?;
        text.parse().map_err(within(self.at + 1))
    }

    fn network<A: FromStr>(&self, most: u8) -> Result<(A, u8), Fault> {
        let text = self
            .text
            .strip_prefix(':')
            .ok_or((self.at, RecordFault::Argument))?;
        let (address, prefix) = match text.split_once('/') {
            Some((address, digits)) => {
                let at = self.at + 2 + address.len();
                (
                    address,
                    prefix(digits, most).ok_or((at, RecordFault::Prefix))?,
                )
            }
            None => (text, most),
        };
        Ok((
            address
                .parse()
                .map_err(|_| (self.at + 1, RecordFault::Address))?,
            prefix,
        ))
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`; a domain-spec may hold slashes itself, so the lengths are taken from the end.
    fn domain_and_prefix(&self) -> Result<(Option<DomainSpec>, DualPrefix), Fault> {
        let mut both = DualPrefix { v4: 32, v6: 128 };
        let mut text = self.text;
        let digits_at_end =
            |text: &str| text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let fault = |at: usize| (self.at + at, RecordFault::Prefix);
        let start = digits_at_end(text);
        if text[..start].ends_with("//") {
            both.v6 = prefix(&text[start..], 128).ok_or_else(|| fault(start))?;
            text = &text[..start - 2];
        }
        let start = digits_at_end(text);
        if start < text.len() && text[..start].ends_with('/') {
            both.v4 = prefix(&text[start..], 32).ok_or_else(|| fault(start))?;
            text = &text[..start - 1];
        }
        if text.is_empty() {
            return Ok((None, both));
        }
        let domain = Argument { text, at: self.at }.domain()?;
        Ok((Some(domain), both))
    }
}

/// RFC 7208 §5.6: `"/" ("0" / %x31-39 0*1DIGIT) ; value range 0-32`, and so for 128.
fn prefix(digits: &str, most: u8) -> Option<u8> {
    let canonical = digits == "0"
        || !digits.starts_with('0')
            && !digits.is_empty()
            && digits.bytes().all(|octet| octet.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|&prefix| canonical && prefix <= most)
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
                "v=spf1 exists:%{L1r+-}._spf.%{d} redirect=x.org.",
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
