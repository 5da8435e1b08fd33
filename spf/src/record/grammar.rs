//! The terms of a record out of its text (RFC 7208 §4.6.1, §12).
//!
//! They are read where they stand: [`SpfRecord`](super::SpfRecord) keeps copies, and an evaluation reads each when its turn comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::{decimal, ip4, ip6};
use super::{Directive, DualPrefix, Mechanism, Qualifier, RecordFault, Term};
use crate::macros::{DOMAIN_SPEC, MACRO_STRING, MacroError, Spec};

/// A term of a record that holds the record's own text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TermRef<'a> {
    Directive(Qualifier, MechanismRef<'a>),
    Redirect(Spec<'a>),
    Explanation(Spec<'a>),
    Unknown(&'a [u8], Spec<'a>),
}

/// A mechanism that holds the record's own text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MechanismRef<'a> {
    All,
    Include(Spec<'a>),
    A(Option<Spec<'a>>, DualPrefix),
    Mx(Option<Spec<'a>>, DualPrefix),
    Ptr(Option<Spec<'a>>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(Spec<'a>),
}

/// The octet of the record, and what is wrong there.
pub(super) type Fault = (usize, RecordFault);

/// The terms of a record that was read, each with the octet where it begins.
pub(crate) struct Terms<'a> {
    text: Text<'a>,
    at: usize,
}

impl<'a> Terms<'a> {
    pub(crate) const fn new(text: &'a [u8], at: usize) -> Self {
        let text = Text(text);
        Self { text, at }
    }

    /// Where the last one ended.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Terms<'a> {
    type Item = (usize, TermRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.text.next_term(self.at)?;
        // The record was read without a fault.
        let (term, end) = self.text.term(start).ok()?;
        self.at = end;
        Some((start, term))
    }
}

/// Reads the terms of a record behind its version and hands each to `each`, with the octet where it begins: all of them, or all before
/// the first fault.
pub(crate) fn read<'a>(
    text: &'a [u8],
    version: usize,
    mut each: impl FnMut(usize, TermRef<'a>),
) -> Result<(), Fault> {
    let (text, mut at) = (Text(text), version);
    let (mut redirect, mut explanation) = (false, false);
    while let Some(start) = text.next_term(at) {
        let (term, end) = text.term(start)?;
        term.check()?;
        // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
        let seen = match term {
            TermRef::Redirect(_) => core::mem::replace(&mut redirect, true),
            TermRef::Explanation(_) => core::mem::replace(&mut explanation, true),
            _ => false,
        };
        if seen {
            return Err((start, RecordFault::Twice));
        }
        each(start, term);
        at = end;
    }
    Ok(())
}

impl TermRef<'_> {
    /// Looks at the domain-spec or macro-string.
    fn check(self) -> Result<(), Fault> {
        let (spec, grammar) = match self {
            Self::Directive(_, mechanism) => match mechanism.spec() {
                Some(spec) => (spec, DOMAIN_SPEC),
                None => return Ok(()),
            },
            Self::Redirect(spec) | Self::Explanation(spec) => (spec, DOMAIN_SPEC),
            Self::Unknown(_, value) => (value, MACRO_STRING),
        };
        let fault = |error: MacroError| (spec.at + error.at, RecordFault::Macro(error.fault));
        spec.check(grammar).map_err(fault)
    }

    /// A copy of a term that was checked.
    pub(crate) fn to_term(self) -> Term {
        match self {
            Self::Directive(qualifier, mechanism) => {
                Term::Directive(mechanism.to_directive(qualifier))
            }
            Self::Redirect(spec) => Term::Redirect(spec.to_domain_spec()),
            Self::Explanation(spec) => Term::Explanation(spec.to_domain_spec()),
            Self::Unknown(name, value) => Term::Unknown {
                name: String::from_utf8_lossy(name).into(),
                value: value.to_macro_string(),
            },
        }
    }
}

impl<'a> MechanismRef<'a> {
    /// How many addresses like `ip` one match stands for, as the power of two; none where the mechanism names no addresses itself.
    pub(crate) fn address_bits(self, ip: IpAddr) -> Option<u8> {
        let whole: u8 = if ip.to_canonical().is_ipv4() { 32 } else { 128 };
        let prefix = match self {
            Self::All => 0,
            Self::A(_, prefix) | Self::Mx(_, prefix) if whole == 32 => prefix.v4,
            Self::A(_, prefix) | Self::Mx(_, prefix) => prefix.v6,
            Self::Ip4(_, prefix) | Self::Ip6(_, prefix) => prefix,
            Self::Include(_) | Self::Exists(_) | Self::Ptr(_) => return None,
        };
        whole.checked_sub(prefix)
    }

    pub(crate) const fn spec(self) -> Option<Spec<'a>> {
        match self {
            Self::Include(spec) | Self::Exists(spec) => Some(spec),
            Self::A(spec, _) | Self::Mx(spec, _) | Self::Ptr(spec) => spec,
            Self::All | Self::Ip4(..) | Self::Ip6(..) => None,
        }
    }

    pub(crate) fn to_directive(self, qualifier: Qualifier) -> Directive {
        let copy = |spec: Spec<'_>| spec.to_domain_spec();
        let mechanism = match self {
            Self::All => Mechanism::All,
            Self::Include(spec) => Mechanism::Include(copy(spec)),
            Self::Exists(spec) => Mechanism::Exists(copy(spec)),
            Self::Ptr(spec) => Mechanism::Ptr(spec.map(copy)),
            Self::A(spec, prefix) => Mechanism::A {
                domain: spec.map(copy),
                prefix,
            },
            Self::Mx(spec, prefix) => Mechanism::Mx {
                domain: spec.map(copy),
                prefix,
            },
            Self::Ip4(network, prefix) => Mechanism::Ip4 { network, prefix },
            Self::Ip6(network, prefix) => Mechanism::Ip6 { network, prefix },
        };
        Directive {
            qualifier,
            mechanism,
        }
    }
}

/// The text of a record, which is looked at as if spaces without end stood behind it.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn octet(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(b' ')
    }

    fn from(self, at: usize) -> &'a [u8] {
        self.0.get(at..).unwrap_or_default()
    }

    /// Where the next term begins, behind spaces.
    fn next_term(self, mut at: usize) -> Option<usize> {
        while self.octet(at) == b' ' {
            if at >= self.0.len() {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    /// Where the term ends that goes on here.
    fn end(self, at: usize) -> usize {
        memchr::memchr(b' ', self.from(at)).map_or(self.0.len(), |length| at + length)
    }

    fn part(self, start: usize, end: usize) -> &'a [u8] {
        self.0.get(start..end).unwrap_or_default()
    }

    fn spec(self, at: usize, end: usize) -> Spec<'a> {
        let text = self.part(at, end);
        Spec { text, at }
    }

    /// The term that begins here, and where it ends. Inlined, so that whoever wants to know little of a term does not pay for all of it.
    #[inline(always)]
    fn term(self, start: usize) -> Result<(TermRef<'a>, usize), Fault> {
        // Most terms of most records are written like this.
        let plain = match self.from(start) {
            [b'i', b'p', b'4', b':', ..] => Some((IP4, 3)),
            [b'i', b'p', b'6', b':', ..] => Some((IP6, 3)),
            [b'i', b'n', b'c', b'l', b'u', b'd', b'e', b':', ..] => Some((INCLUDE, 7)),
            _ => None,
        };
        if let Some((name, length)) = plain
            && let Some((mechanism, end)) = self.mechanism(name, start + length)?
        {
            return Ok((TermRef::Directive(Qualifier::Pass, mechanism), end));
        }
        let (qualifier, name) = match self.octet(start) {
            b'+' => (Some(Qualifier::Pass), start + 1),
            b'-' => (Some(Qualifier::Fail), start + 1),
            b'~' => (Some(Qualifier::SoftFail), start + 1),
            b'?' => (Some(Qualifier::Neutral), start + 1),
            _ => (None, start),
        };
        let (mut at, mut word) = (name, 0);
        while in_name(self.octet(at)) {
            word = word << 8 | u64::from(self.octet(at).to_ascii_lowercase());
            at += 1;
        }
        // RFC 7208 §4.6.1: "Modifiers always contain an equals ('=') character immediately after the name, and before any ":" or "/"
        // characters that might be part of the macro-string."
        if self.octet(at) == b'=' && self.octet(start).is_ascii_alphabetic() {
            let (name, end) = (self.part(start, at), self.end(at));
            let value = self.spec(at + 1, end);
            let term = if name.eq_ignore_ascii_case(b"redirect") {
                TermRef::Redirect(value)
            } else if name.eq_ignore_ascii_case(b"exp") {
                TermRef::Explanation(value)
            } else {
                TermRef::Unknown(name, value)
            };
            return Ok((term, end));
        }
        let (mechanism, end) = match self.mechanism(word, at)? {
            Some(mechanism) => mechanism,
            None => return Err((name, RecordFault::Mechanism)),
        };
        let qualifier = qualifier.unwrap_or_default();
        Ok((TermRef::Directive(qualifier, mechanism), end))
    }

    /// The mechanism of this name, if it is one, with the argument that begins here.
    #[inline(always)]
    fn mechanism(self, name: u64, at: usize) -> Result<Option<(MechanismRef<'a>, usize)>, Fault> {
        Ok(Some(match name {
            IP4 => {
                let (network, prefix, end) = self.network(at, ip4, 32)?;
                (MechanismRef::Ip4(network, prefix), end)
            }
            IP6 => {
                let (network, prefix, end) = self.network(at, ip6, 128)?;
                (MechanismRef::Ip6(network, prefix), end)
            }
            INCLUDE => {
                let (spec, end) = self.argument(at)?;
                (MechanismRef::Include(spec), end)
            }
            EXISTS => {
                let (spec, end) = self.argument(at)?;
                (MechanismRef::Exists(spec), end)
            }
            ALL | PTR if self.octet(at) == b' ' => match name {
                ALL => (MechanismRef::All, at),
                _ => (MechanismRef::Ptr(None), at),
            },
            ALL => return Err((at, RecordFault::Argument)),
            PTR => {
                let (spec, end) = self.argument(at)?;
                (MechanismRef::Ptr(Some(spec)), end)
            }
            A => {
                let (spec, prefix, end) = self.domain_and_prefix(at)?;
                (MechanismRef::A(spec, prefix), end)
            }
            MX => {
                let (spec, prefix, end) = self.domain_and_prefix(at)?;
                (MechanismRef::Mx(spec, prefix), end)
            }
            _ => return Ok(None),
        }))
    }

    fn colon(self, at: usize) -> Result<usize, Fault> {
        match self.octet(at) {
            b':' => Ok(at + 1),
            _ => Err((at, RecordFault::Argument)),
        }
    }

    /// `":" domain-spec`
    fn argument(self, at: usize) -> Result<(Spec<'a>, usize), Fault> {
        let (start, end) = (self.colon(at)?, self.end(at));
        Ok((self.spec(start, end), end))
    }

    /// `":" ip4-network [ ip4-cidr-length ]`, and so for ip6.
    fn network<A>(
        self,
        at: usize,
        read: impl Fn(&[u8]) -> Option<(A, usize)>,
        most: u8,
    ) -> Result<(A, u8, usize), Fault> {
        let start = self.colon(at)?;
        let fault = (start, RecordFault::Address);
        let (network, length) = read(self.from(start)).ok_or(fault.clone())?;
        let at = start + length;
        match self.octet(at) {
            b' ' => Ok((network, most, at)),
            b'/' => {
                let (prefix, end) = self.prefix(at + 1, most)?;
                match self.octet(end) {
                    b' ' => Ok((network, prefix, end)),
                    _ => Err((at + 1, RecordFault::Prefix)),
                }
            }
            _ => Err(fault),
        }
    }

    /// RFC 7208 §5.6: `"0" / %x31-39 0*1DIGIT`, within 0 to 32, and so for 128.
    fn prefix(self, at: usize, most: u8) -> Result<(u8, usize), Fault> {
        match decimal(self.from(at)) {
            Some((prefix, length)) if prefix <= most => Ok((prefix, at + length)),
            _ => Err((at, RecordFault::Prefix)),
        }
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`; a domain-spec may hold slashes itself, so the lengths are taken from the end.
    fn domain_and_prefix(self, at: usize) -> Result<(Option<Spec<'a>>, DualPrefix, usize), Fault> {
        let mut prefix = DualPrefix::WHOLE;
        let end = self.end(at);
        let mut rest = end;
        let digits = self.digits_before(rest, at);
        if self.part(at, digits).ends_with(b"//") {
            prefix.v6 = self.prefix(digits, 128)?.0;
            rest = digits - 2;
        }
        let digits = self.digits_before(rest, at);
        if digits < rest && self.part(at, digits).ends_with(b"/") {
            prefix.v4 = self.prefix(digits, 32)?.0;
            rest = digits - 1;
        }
        let spec = if rest == at {
            None
        } else {
            Some(self.spec(self.colon(at)?, rest))
        };
        Ok((spec, prefix, end))
    }

    /// Where the digits begin that end here.
    fn digits_before(self, end: usize, start: usize) -> usize {
        let digits = self.part(start, end).iter().rev();
        end - digits.take_while(|octet| octet.is_ascii_digit()).count()
    }
}

const ALL: u64 = word(b"all");
const INCLUDE: u64 = word(b"include");
const A: u64 = word(b"a");
const MX: u64 = word(b"mx");
const PTR: u64 = word(b"ptr");
const IP4: u64 = word(b"ip4");
const IP6: u64 = word(b"ip6");
const EXISTS: u64 = word(b"exists");

/// RFC 7208 §4.6.1: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
const fn in_name(octet: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut octet = 0_u8;
        while octet < 0x80 {
            table[octet as usize] =
                octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
            octet += 1;
        }
        table
    };
    TABLE[octet as usize]
}

/// The last eight octets of a name in one integer, which is compared at once. No mechanism has more than seven.
const fn word(name: &[u8]) -> u64 {
    let (mut word, mut rest) = (0, name);
    while let [octet, after @ ..] = rest {
        word = word << 8 | *octet as u64;
        rest = after;
    }
    word
}
