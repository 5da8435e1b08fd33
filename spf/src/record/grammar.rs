//! The terms of a record out of its text (RFC 7208 §4.6.1, §12).
//!
//! They are read where they stand: [`SpfRecord`](super::SpfRecord) keeps copies, and an evaluation reads each when its turn comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::{decimal, ip4, ip6};
use super::{Directive, DualPrefix, Mechanism, Qualifier, RecordFault, Term};
use crate::macros::{DOMAIN_SPEC, MACRO_STRING, Spec};

/// A term of a record that holds the record's own text.
///
/// It is flat, where [`Term`] is an enumeration, so that its parts stay in registers from the text to where they are looked at: that
/// halves the time of an evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TermRef<'a> {
    pub(crate) kind: Kind,
    /// Of a mechanism.
    pub(crate) qualifier: Qualifier,
    /// Of `a`, `mx`, `ip4` and `ip6`; what was not written is the whole address.
    pub(crate) v4: u8,
    pub(crate) v6: u8,
    /// The domain-spec, or of an unknown modifier the macro-string.
    pub(crate) spec: Option<Spec<'a>>,
    /// Of `ip4` and `ip6`, the bits of the address.
    pub(crate) network: u128,
}

/// The kind of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    All,
    Include,
    A,
    Mx,
    Ptr,
    Ip4,
    Ip6,
    Exists,
    Redirect,
    Explanation,
    Unknown,
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
        let cut = self.text.term(start);
        if cut.fault.is_some() {
            return None;
        }
        self.at = cut.end;
        Some((start, cut.part))
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
        let cut = text.term(start);
        if let Some(fault) = cut.fault {
            return Err((cut.end, fault));
        }
        let term = cut.part;
        term.check()?;
        // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
        let seen = match term.kind {
            Kind::Redirect => core::mem::replace(&mut redirect, true),
            Kind::Explanation => core::mem::replace(&mut explanation, true),
            _ => false,
        };
        if seen {
            return Err((start, RecordFault::Twice));
        }
        each(start, term);
        at = cut.end;
    }
    Ok(())
}

impl<'a> TermRef<'a> {
    const fn new(kind: Kind, spec: Option<Spec<'a>>) -> Self {
        Self {
            kind,
            qualifier: Qualifier::Pass,
            v4: 32,
            v6: 128,
            spec,
            network: 0,
        }
    }

    /// Looks at the domain-spec or macro-string.
    fn check(&self) -> Result<(), Fault> {
        let grammar = match self.kind {
            Kind::Unknown => MACRO_STRING,
            _ => DOMAIN_SPEC,
        };
        match self.spec {
            Some(spec) => spec.check(grammar).map_err(|error| {
                let at = spec.at + error.at;
                (at, RecordFault::Macro(error.fault))
            }),
            None => Ok(()),
        }
    }

    pub(crate) const fn is_mechanism(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Redirect | Kind::Explanation | Kind::Unknown
        )
    }

    /// How many addresses like `ip` one match stands for, as the power of two; none where the mechanism names no addresses itself.
    pub(crate) fn address_bits(&self, ip: IpAddr) -> Option<u8> {
        let is_ipv4 = ip.to_canonical().is_ipv4();
        match self.kind {
            Kind::All => Some(if is_ipv4 { 32 } else { 128 }),
            Kind::A | Kind::Mx | Kind::Ip4 | Kind::Ip6 if is_ipv4 => 32_u8.checked_sub(self.v4),
            Kind::A | Kind::Mx | Kind::Ip4 | Kind::Ip6 => 128_u8.checked_sub(self.v6),
            _ => None,
        }
    }

    /// A copy of a term that was checked, and begins here in the record.
    pub(crate) fn to_term(self, record: &[u8], start: usize) -> Term {
        let Some(spec) = self.spec.filter(|_| !self.is_mechanism()) else {
            return Term::Directive(self.to_directive());
        };
        match self.kind {
            Kind::Redirect => Term::Redirect(spec.to_domain_spec()),
            Kind::Explanation => Term::Explanation(spec.to_domain_spec()),
            _ => {
                // Up to the equals sign.
                let name = record.get(start..spec.at.saturating_sub(1));
                Term::Unknown {
                    name: String::from_utf8_lossy(name.unwrap_or_default()).into(),
                    value: spec.to_macro_string(),
                }
            }
        }
    }

    /// A copy of a mechanism that was checked.
    pub(crate) fn to_directive(self) -> Directive {
        let prefix = DualPrefix {
            v4: self.v4,
            v6: self.v6,
        };
        let mechanism = match (self.kind, self.spec.map(Spec::to_domain_spec)) {
            (Kind::Include, Some(domain)) => Mechanism::Include(domain),
            (Kind::Exists, Some(domain)) => Mechanism::Exists(domain),
            (Kind::Ptr, domain) => Mechanism::Ptr(domain),
            (Kind::A, domain) => Mechanism::A { domain, prefix },
            (Kind::Mx, domain) => Mechanism::Mx { domain, prefix },
            (Kind::Ip4, _) => Mechanism::Ip4 {
                // What was read as an IPv4 address has no more bits.
                network: Ipv4Addr::from_bits(self.network as u32),
                prefix: self.v4,
            },
            (Kind::Ip6, _) => Mechanism::Ip6 {
                network: Ipv6Addr::from_bits(self.network),
                prefix: self.v6,
            },
            _ => Mechanism::All,
        };
        Directive {
            qualifier: self.qualifier,
            mechanism,
        }
    }
}

/// A part that was cut out of a text, and where it ends; with a fault, where that is. A `Result` would be moved about in memory.
struct Cut<T> {
    part: T,
    end: usize,
    fault: Option<RecordFault>,
}

impl<T> Cut<T> {
    const fn good(part: T, end: usize) -> Self {
        let fault = None;
        Self { part, end, fault }
    }

    fn with<U>(&self, part: U) -> Cut<U> {
        let (end, fault) = (self.end, self.fault.clone());
        Cut { part, end, fault }
    }

    const fn bad(part: T, at: usize, fault: RecordFault) -> Self {
        Self {
            part,
            end: at,
            fault: Some(fault),
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
        Spec { text, at }
    }

    /// The term that begins here, and where it ends. Inlined, so that whoever wants to know little of a term does not pay for all of it.
    #[inline(always)]
    fn term(self, start: usize) -> Cut<TermRef<'a>> {
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
                    return self.modifier(start, at);
                }
                (qualifier, name, at)
            }
        };
        let mut cut = self.mechanism(start, name, at);
        cut.part.qualifier = qualifier;
        cut
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
    fn modifier(self, start: usize, equals: usize) -> Cut<TermRef<'a>> {
        let (name, end) = (self.part(start, equals), self.end(equals));
        let value = self.spec(equals + 1, end);
        let kind = if name.eq_ignore_ascii_case(b"redirect") {
            Kind::Redirect
        } else if name.eq_ignore_ascii_case(b"exp") {
            Kind::Explanation
        } else {
            Kind::Unknown
        };
        Cut::good(TermRef::new(kind, Some(value)), end)
    }

    /// The mechanism of this name in the term that begins at `start`, with the argument that begins at `at`, and where it ends.
    #[inline(always)]
    fn mechanism(self, start: usize, name: u64, at: usize) -> Cut<TermRef<'a>> {
        match name {
            IP4 => {
                let cut = self.network(at, ip4, 32);
                let ((bits, v4), mut term) = (cut.part, TermRef::new(Kind::Ip4, None));
                (term.network, term.v4) = (bits.into(), v4);
                cut.with(term)
            }
            IP6 => {
                let cut = self.network(at, ip6, 128);
                let mut term = TermRef::new(Kind::Ip6, None);
                (term.network, term.v6) = cut.part;
                cut.with(term)
            }
            INCLUDE => self.argument(Kind::Include, at),
            EXISTS => self.argument(Kind::Exists, at),
            ALL if self.octet(at) == b' ' => Cut::good(TermRef::new(Kind::All, None), at),
            ALL => Cut::bad(TermRef::new(Kind::All, None), at, RecordFault::Argument),
            PTR if self.octet(at) == b' ' => Cut::good(TermRef::new(Kind::Ptr, None), at),
            PTR => self.argument(Kind::Ptr, at),
            A => self.domain_and_prefix(Kind::A, at),
            MX => self.domain_and_prefix(Kind::Mx, at),
            _ => {
                let sign = self.octet(start);
                let name = start + usize::from(matches!(sign, b'+' | b'-' | b'~' | b'?'));
                let nothing = TermRef::new(Kind::Unknown, None);
                Cut::bad(nothing, name, RecordFault::Mechanism)
            }
        }
    }

    /// `":" domain-spec`
    #[inline(always)]
    fn argument(self, kind: Kind, at: usize) -> Cut<TermRef<'a>> {
        if self.octet(at) != b':' {
            return Cut::bad(TermRef::new(kind, None), at, RecordFault::Argument);
        }
        let end = self.end(at);
        Cut::good(TermRef::new(kind, Some(self.spec(at + 1, end))), end)
    }

    /// `":" ip4-network [ ip4-cidr-length ]`, and so for ip6.
    #[inline(always)]
    fn network<A: Default>(
        self,
        at: usize,
        read: impl Fn(&[u8]) -> Option<(A, usize)>,
        most: u8,
    ) -> Cut<(A, u8)> {
        let bad = |at, fault| Cut::bad((A::default(), most), at, fault);
        if self.octet(at) != b':' {
            return bad(at, RecordFault::Argument);
        }
        let start = at + 1;
        let Some((network, length)) = read(self.from(start)) else {
            return bad(start, RecordFault::Address);
        };
        let at = start + length;
        match self.octet(at) {
            b' ' => Cut::good((network, most), at),
            b'/' => match self.prefix(at + 1, most) {
                Some((prefix, end)) if self.octet(end) == b' ' => Cut::good((network, prefix), end),
                _ => bad(at + 1, RecordFault::Prefix),
            },
            _ => bad(start, RecordFault::Address),
        }
    }

    /// RFC 7208 §5.6: `"0" / %x31-39 0*1DIGIT`, within 0 to 32, and so for 128.
    #[inline(always)]
    fn prefix(self, at: usize, most: u8) -> Option<(u8, usize)> {
        let (prefix, length) = decimal(self.from(at))?;
        (prefix <= most).then_some((prefix, at + length))
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`; a domain-spec may hold slashes itself, so the lengths are taken from the end.
    fn domain_and_prefix(self, kind: Kind, at: usize) -> Cut<TermRef<'a>> {
        let mut term = TermRef::new(kind, None);
        let end = self.end(at);
        let mut rest = end;
        let digits = self.digits_before(rest, at);
        if self.part(at, digits).ends_with(b"//") {
            match self.prefix(digits, 128) {
                Some((prefix, _)) => term.v6 = prefix,
                None => return Cut::bad(term, digits, RecordFault::Prefix),
            }
            rest = digits - 2;
        }
        let digits = self.digits_before(rest, at);
        if digits < rest && self.part(at, digits).ends_with(b"/") {
            match self.prefix(digits, 32) {
                Some((prefix, _)) => term.v4 = prefix,
                None => return Cut::bad(term, digits, RecordFault::Prefix),
            }
            rest = digits - 1;
        }
        if rest > at {
            if self.octet(at) != b':' {
                return Cut::bad(term, at, RecordFault::Argument);
            }
            term.spec = Some(self.spec(at + 1, rest));
        }
        Cut::good(term, end)
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
