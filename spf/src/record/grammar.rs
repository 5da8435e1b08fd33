//! The terms of a record out of its text (RFC 7208 §4.6.1, §12).
//!
//! They are read where they stand: [`SpfRecord`](super::SpfRecord) keeps copies, and an evaluation notes where those stand that it may
//! come to.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::network::{decimal, ip4, ip6};
use super::{Directive, DualPrefix, Mechanism, Qualifier, RecordFault, Term};
use crate::macros::{DOMAIN_SPEC, MACRO_STRING, Spec};

/// Stands at a term of a record, and tells its parts.
///
/// It is one value that stays where it is: a term that is handed on as a value of its own, through results and options, costs more to move
/// about than to read.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    /// Where the term begins and ends.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// Of a mechanism.
    pub(crate) qualifier: Qualifier,
    /// Of `a`, `mx`, `ip4` and `ip6`; what was not written is the whole address.
    pub(crate) v4: u8,
    pub(crate) v6: u8,
    /// Of `ip4` and `ip6`, the bits of the address.
    pub(crate) network: u128,
    /// Where the domain-spec begins and ends, or of an unknown modifier the macro-string; zero where there is none.
    spec_start: usize,
    spec_end: usize,
    /// Whether it is visible characters and no macro, as nearly every one.
    plain: bool,
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

/// Reads the terms of a record behind its version and stops at each: at all of them, or at all before the first fault.
pub(crate) fn read<'a>(
    text: &'a [u8],
    version: usize,
    mut each: impl FnMut(&Cursor<'a>),
) -> Result<(), Fault> {
    let mut term = Cursor::new(text, version);
    let (mut redirect, mut explanation) = (false, false);
    while term.advance()? {
        term.check()?;
        // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
        let seen = match term.kind {
            Kind::Redirect => core::mem::replace(&mut redirect, true),
            Kind::Explanation => core::mem::replace(&mut explanation, true),
            _ => false,
        };
        if seen {
            return Err((term.start, RecordFault::Twice));
        }
        each(&term);
    }
    Ok(())
}

impl<'a> Cursor<'a> {
    /// Before the term that comes at this octet or behind it.
    pub(crate) const fn new(text: &'a [u8], at: usize) -> Self {
        Self {
            text,
            start: at,
            end: at,
            kind: Kind::All,
            qualifier: Qualifier::Pass,
            v4: 32,
            v6: 128,
            network: 0,
            spec_start: 0,
            spec_end: 0,
            plain: true,
        }
    }

    /// Moves to the next term of a record that was read without a fault; whether there is one.
    #[inline]
    pub(crate) fn next(&mut self) -> bool {
        self.advance().unwrap_or(false)
    }

    /// The domain-spec, or of an unknown modifier the macro-string.
    pub(crate) fn spec(&self) -> Option<Spec<'a>> {
        let (at, plain) = (self.spec_start, self.plain);
        if at == 0 {
            return None;
        }
        let text = self.text.get(at..self.spec_end)?;
        Some(Spec { text, at, plain })
    }

    pub(crate) const fn is_mechanism(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Redirect | Kind::Explanation | Kind::Unknown
        )
    }

    pub(crate) const fn prefix(&self) -> DualPrefix {
        let (v4, v6) = (self.v4, self.v6);
        DualPrefix { v4, v6 }
    }

    /// A copy of a term that was checked.
    pub(crate) fn to_term(&self) -> Term {
        let Some(spec) = self.spec().filter(|_| !self.is_mechanism()) else {
            return Term::Directive(self.to_directive());
        };
        match self.kind {
            Kind::Redirect => Term::Redirect(spec.to_domain_spec()),
            Kind::Explanation => Term::Explanation(spec.to_domain_spec()),
            _ => {
                // Up to the equals sign.
                let name = self.part(self.start, spec.at.saturating_sub(1));
                Term::Unknown {
                    name: String::from_utf8_lossy(name).into(),
                    value: spec.to_macro_string(),
                }
            }
        }
    }

    /// A copy of a mechanism that was checked.
    pub(crate) fn to_directive(&self) -> Directive {
        let prefix = self.prefix();
        let mechanism = match (self.kind, self.spec().map(Spec::to_domain_spec)) {
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

    /// Looks at the domain-spec or macro-string.
    fn check(&self) -> Result<(), Fault> {
        let grammar = match self.kind {
            Kind::Unknown => MACRO_STRING,
            _ => DOMAIN_SPEC,
        };
        match self.spec() {
            Some(spec) => spec.check(grammar).map_err(|error| {
                let at = spec.at + error.at;
                (at, RecordFault::Macro(error.fault))
            }),
            None => Ok(()),
        }
    }

    /// The octet here; the text is looked at as if spaces without end stood behind it.
    fn octet(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(b' ')
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    fn part(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Moves to the next term; whether there is one.
    // What is compiled to be quick inlines it, and knows the name; what is compiled quickly does not.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn advance(&mut self) -> Result<bool, Fault> {
        let mut start = self.end;
        while self.octet(start) == b' ' {
            if start >= self.text.len() {
                return Ok(false);
            }
            start += 1;
        }
        self.start = start;
        self.qualifier = Qualifier::Pass;
        self.spec_start = 0;
        match self.rest(start) {
            // Most terms of most records are written like this.
            [b'i', b'p', b'4', b':', ..] => self.mechanism(IP4, start + 3)?,
            [b'i', b'p', b'6', b':', ..] => self.mechanism(IP6, start + 3)?,
            [b'i', b'n', b'c', b'l', b'u', b'd', b'e', b':', ..] => {
                self.mechanism(INCLUDE, start + 7)?;
            }
            _ => self.term()?,
        }
        Ok(true)
    }

    fn term(&mut self) -> Result<(), Fault> {
        let mut at = self.start + 1;
        self.qualifier = match self.octet(self.start) {
            b'+' => Qualifier::Pass,
            b'-' => Qualifier::Fail,
            b'~' => Qualifier::SoftFail,
            b'?' => Qualifier::Neutral,
            _ => {
                at = self.start;
                Qualifier::Pass
            }
        };
        let mut name = 0;
        while in_name(self.octet(at)) {
            name = name << 8 | u64::from(self.octet(at).to_ascii_lowercase());
            at += 1;
        }
        // RFC 7208 §4.6.1: "Modifiers always contain an equals ('=') character immediately after the name, and before any ":" or "/"
        // characters that might be part of the macro-string."
        if self.octet(at) == b'=' && self.octet(self.start).is_ascii_alphabetic() {
            self.modifier(at);
            return Ok(());
        }
        self.mechanism(name, at)
    }

    /// The modifier whose name ends here.
    fn modifier(&mut self, equals: usize) {
        let name = self.part(self.start, equals);
        self.kind = if name.eq_ignore_ascii_case(b"redirect") {
            Kind::Redirect
        } else if name.eq_ignore_ascii_case(b"exp") {
            Kind::Explanation
        } else {
            Kind::Unknown
        };
        self.read_word(equals);
        (self.spec_start, self.spec_end) = (equals + 1, self.end);
    }

    /// The mechanism of this name, with the argument that begins here.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn mechanism(&mut self, name: u64, at: usize) -> Result<(), Fault> {
        match name {
            IP4 => {
                self.kind = Kind::Ip4;
                self.network = self.address(at, ip4)?.into();
                self.v4 = self.network_prefix(at + 1, 32)?;
                Ok(())
            }
            IP6 => {
                self.kind = Kind::Ip6;
                self.network = self.address(at, ip6)?;
                self.v6 = self.network_prefix(at + 1, 128)?;
                Ok(())
            }
            INCLUDE => self.argument(Kind::Include, at),
            EXISTS => self.argument(Kind::Exists, at),
            ALL => {
                self.kind = Kind::All;
                self.end = at;
                match self.octet(at) {
                    b' ' => Ok(()),
                    _ => Err((at, RecordFault::Argument)),
                }
            }
            PTR if self.octet(at) == b' ' => {
                self.kind = Kind::Ptr;
                self.end = at;
                Ok(())
            }
            PTR => self.argument(Kind::Ptr, at),
            A => self.domain_and_prefix(Kind::A, at),
            MX => self.domain_and_prefix(Kind::Mx, at),
            _ => {
                let signs = matches!(self.octet(self.start), b'+' | b'-' | b'~' | b'?');
                let name = self.start + usize::from(signs);
                Err((name, RecordFault::Mechanism))
            }
        }
    }

    /// Finds where the term ends that goes on here.
    fn read_word(&mut self, from: usize) {
        let mut end = from;
        while is_plain(self.octet(end)) {
            end += 1;
        }
        self.plain = self.octet(end) == b' ';
        while end < self.text.len() && self.octet(end) != b' ' {
            end += 1;
        }
        self.end = end;
    }

    /// `":" domain-spec`
    fn argument(&mut self, kind: Kind, at: usize) -> Result<(), Fault> {
        self.kind = kind;
        self.read_word(at);
        (self.spec_start, self.spec_end) = (at + 1, self.end);
        match self.octet(at) {
            b':' => Ok(()),
            _ => Err((at, RecordFault::Argument)),
        }
    }

    /// `":" ip4-network`, and so for ip6.
    #[inline]
    fn address<A>(
        &mut self,
        at: usize,
        read: impl Fn(&[u8], &mut usize) -> Option<A>,
    ) -> Result<A, Fault> {
        if self.octet(at) != b':' {
            return Err((at, RecordFault::Argument));
        }
        self.end = at + 1;
        read(self.text, &mut self.end).ok_or((at + 1, RecordFault::Address))
    }

    /// `[ ip4-cidr-length ]`, and so for ip6, behind the address that began at `address`; then the term ends.
    #[inline]
    fn network_prefix(&mut self, address: usize, most: u8) -> Result<u8, Fault> {
        match self.octet(self.end) {
            b' ' => Ok(most),
            b'/' => {
                let at = self.end + 1;
                let (prefix, end) = self.cidr_length(at, most)?;
                self.end = end;
                match self.octet(end) {
                    b' ' => Ok(prefix),
                    _ => Err((at, RecordFault::Prefix)),
                }
            }
            _ => Err((address, RecordFault::Address)),
        }
    }

    /// RFC 7208 §5.6: `"0" / %x31-39 0*1DIGIT`, within 0 to 32, and so for 128; and where it ends.
    #[inline]
    fn cidr_length(&self, at: usize, most: u8) -> Result<(u8, usize), Fault> {
        let mut end = at;
        match decimal(self.text, &mut end) {
            Some(prefix) if prefix <= most => Ok((prefix, end)),
            _ => Err((at, RecordFault::Prefix)),
        }
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`; a domain-spec may hold slashes itself, so the lengths are taken from the end.
    fn domain_and_prefix(&mut self, kind: Kind, at: usize) -> Result<(), Fault> {
        self.kind = kind;
        (self.v4, self.v6) = (32, 128);
        self.read_word(at);
        let mut rest = self.end;
        let digits = self.digits_before(rest, at);
        if self.part(at, digits).ends_with(b"//") {
            (self.v6, _) = self.cidr_length(digits, 128)?;
            rest = digits - 2;
        }
        let digits = self.digits_before(rest, at);
        if digits < rest && self.part(at, digits).ends_with(b"/") {
            (self.v4, _) = self.cidr_length(digits, 32)?;
            rest = digits - 1;
        }
        if rest > at {
            if self.octet(at) != b':' {
                return Err((at, RecordFault::Argument));
            }
            (self.spec_start, self.spec_end) = (at + 1, rest);
        }
        Ok(())
    }

    /// Where the digits begin that end here.
    fn digits_before(&self, end: usize, start: usize) -> usize {
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
    CLASSES[octet as usize] & IN_NAME > 0
}

/// Whether an octet stands for itself in a domain-spec.
const fn is_plain(octet: u8) -> bool {
    CLASSES[octet as usize] & PLAIN > 0
}

const IN_NAME: u8 = 1;
const PLAIN: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = b'!';
    while octet <= b'~' {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.') {
            classes[octet as usize] |= IN_NAME;
        }
        if octet != b'%' {
            classes[octet as usize] |= PLAIN;
        }
        octet += 1;
    }
    classes
};

/// The last eight octets of a name in one integer, which is compared at once. No mechanism has more than seven.
const fn word(name: &[u8]) -> u64 {
    let (mut word, mut rest) = (0, name);
    while let [octet, after @ ..] = rest {
        word = word << 8 | *octet as u64;
        rest = after;
    }
    word
}
