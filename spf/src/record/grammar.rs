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
    /// The address is a number, which moves about as a whole.
    Ip4(u32, u8),
    Ip6(u128, u8),
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

    #[inline(always)]
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
            Self::Ip4(network, prefix) => Mechanism::Ip4 {
                network: Ipv4Addr::from_bits(network),
                prefix,
            },
            Self::Ip6(network, prefix) => Mechanism::Ip6 {
                network: Ipv6Addr::from_bits(network),
                prefix,
            },
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
    fn end(self, mut at: usize) -> usize {
        while self.0.get(at).is_some_and(|octet| *octet != b' ') {
            at += 1;
        }
        at
    }

    fn part(self, start: usize, end: usize) -> &'a [u8] {
        self.0.get(start..end).unwrap_or_default()
    }

    fn spec(self, at: usize, end: usize) -> Spec<'a> {
        let text = self.part(at, end);
        Spec {
            text,
            at,
            plain: !text.contains(&b'%'),
        }
    }

    /// What goes on up to the end of the term, which nearly always is plain text.
    fn last_spec(self, at: usize) -> (Spec<'a>, usize) {
        let (mut end, mut plain) = (at, true);
        while let Some(octet) = self.0.get(end).filter(|octet| **octet != b' ') {
            plain &= *octet != b'%';
            end += 1;
        }
        let text = self.part(at, end);
        (Spec { text, at, plain }, end)
    }

    /// The term that begins here, and where it ends. Inlined, so that whoever wants to know little of a term does not pay for all of it.
    #[inline(always)]
    fn term(self, start: usize) -> Result<(TermRef<'a>, usize), Fault> {
        let (qualifier, name, at) = match self.from(start) {
            // Most terms of most records are written like this.
            [b'i', b'p', b'4', b':', ..] => (Qualifier::Pass, IP4, start + 3),
            [b'i', b'p', b'6', b':', ..] => (Qualifier::Pass, IP6, start + 3),
            [b'i', b'n', b'c', b'l', b'u', b'd', b'e', b':', ..] => {
                (Qualifier::Pass, INCLUDE, start + 7)
            }
            _ => {
                let (qualifier, name, at) = self.name(start);
                // RFC 7208 §4.6.1: "Modifiers always contain an equals ('=') character immediately after the name, and before any ":" or
                // "/" characters that might be part of the macro-string."
                if self.octet(at) == b'=' && self.octet(start).is_ascii_alphabetic() {
                    return Ok(self.modifier(start, at));
                }
                (qualifier, name, at)
            }
        };
        let (mechanism, end) = self.mechanism(start, name, at)?;
        Ok((TermRef::Directive(qualifier, mechanism), end))
    }

    /// The qualifier of a term and the name that follows, and where that ends.
    fn name(self, start: usize) -> (Qualifier, u64, usize) {
        let (qualifier, mut at) = match self.octet(start) {
            b'+' => (Qualifier::Pass, start + 1),
            b'-' => (Qualifier::Fail, start + 1),
            b'~' => (Qualifier::SoftFail, start + 1),
            b'?' => (Qualifier::Neutral, start + 1),
            _ => (Qualifier::Pass, start),
        };
        let mut name = 0;
        while in_name(self.octet(at)) {
            name = name << 8 | u64::from(self.octet(at).to_ascii_lowercase());
            at += 1;
        }
        (qualifier, name, at)
    }

    /// The modifier whose name begins and ends here, and where its value ends.
    fn modifier(self, start: usize, equals: usize) -> (TermRef<'a>, usize) {
        let (name, end) = (self.part(start, equals), self.end(equals));
        let value = self.spec(equals + 1, end);
        let modifier = if name.eq_ignore_ascii_case(b"redirect") {
            TermRef::Redirect(value)
        } else if name.eq_ignore_ascii_case(b"exp") {
            TermRef::Explanation(value)
        } else {
            TermRef::Unknown(name, value)
        };
        (modifier, end)
    }

    /// The mechanism of this name in the term that begins at `start`, with the argument that begins at `at`, and where it ends.
    #[inline(always)]
    fn mechanism(
        self,
        start: usize,
        name: u64,
        at: usize,
    ) -> Result<(MechanismRef<'a>, usize), Fault> {
        Ok(match name {
            IP4 => {
                let (network, prefix, end) = self.network(at, ip4, 32)?;
                (MechanismRef::Ip4(network.to_bits(), prefix), end)
            }
            IP6 => {
                let (network, prefix, end) = self.network(at, ip6, 128)?;
                (MechanismRef::Ip6(network.to_bits(), prefix), end)
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
            _ => {
                let sign = self.octet(start);
                let name = start + usize::from(matches!(sign, b'+' | b'-' | b'~' | b'?'));
                return Err((name, RecordFault::Mechanism));
            }
        })
    }

    #[inline(always)]
    fn colon(self, at: usize) -> Result<usize, Fault> {
        match self.octet(at) {
            b':' => Ok(at + 1),
            _ => Err((at, RecordFault::Argument)),
        }
    }

    /// `":" domain-spec`
    #[inline(always)]
    fn argument(self, at: usize) -> Result<(Spec<'a>, usize), Fault> {
        Ok(self.last_spec(self.colon(at)?))
    }

    /// `":" ip4-network [ ip4-cidr-length ]`, and so for ip6.
    #[inline(always)]
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
    #[inline(always)]
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
