//! The terms of a record out of its text (RFC 7208 §4.6.1, §12).

use super::network::{decimal, ip4, ip6};
use super::{Directive, DualPrefix, Mechanism, Qualifier, RecordError, RecordFault, Term};
use crate::macros::{DomainSpec, MacroError};

/// The octet of the record, and what is wrong there.
type Fault = (usize, RecordFault);

/// The terms behind the version of a record. Whatever stands in the wrong place is a fault, so no character needs to be looked at before.
pub(super) fn terms(text: &str, version: usize) -> Result<Vec<Term>, RecordError> {
    // Nearly every term is longer.
    let mut terms = Vec::with_capacity(text.len() / 12);
    let mut reader = Reader {
        text,
        at: version,
        redirect: false,
        explanation: false,
    };
    while reader.skip_spaces() {
        match reader.term() {
            Ok(term) => terms.push(term),
            Err((at, fault)) => return Err(RecordError { at, fault }),
        }
    }
    Ok(terms)
}

/// Reads a record from left to right, each octet once where that is possible.
struct Reader<'a> {
    text: &'a str,
    /// What comes next.
    at: usize,
    /// Whether that modifier was there.
    redirect: bool,
    explanation: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Whether something stands behind the spaces.
    fn skip_spaces(&mut self) -> bool {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.at < self.text.len()
    }

    /// Moves past this octet, if it comes next.
    fn take(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        self.at += usize::from(is_next);
        is_next
    }

    /// At the end of a term, or this fault here.
    fn end(&self, fault: RecordFault) -> Result<(), Fault> {
        match self.peek() {
            None | Some(b' ') => Ok(()),
            Some(_) => Err((self.at, fault)),
        }
    }

    /// All up to the end of the term.
    fn word(&mut self) -> &'a str {
        let start = self.at;
        while !matches!(self.peek(), None | Some(b' ')) {
            self.at += 1;
        }
        // Both stand beside an ASCII character, and so at the boundary of one.
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn term(&mut self) -> Result<Term, Fault> {
        let qualifier = match self.peek() {
            Some(b'+') => Some(Qualifier::Pass),
            Some(b'-') => Some(Qualifier::Fail),
            Some(b'~') => Some(Qualifier::SoftFail),
            Some(b'?') => Some(Qualifier::Neutral),
            _ => None,
        };
        self.at += usize::from(qualifier.is_some());
        let start = self.at;
        let mut word = 0;
        while let Some(octet) = self.peek().filter(|octet| in_name(*octet)) {
            word = word << 8 | u64::from(octet.to_ascii_lowercase());
            self.at += 1;
        }
        // RFC 7208 §4.6.1: "Modifiers always contain an equals ('=') character immediately after the name, and before any ":" or "/"
        // characters that might be part of the macro-string."
        if self.peek() == Some(b'=') && qualifier.is_none() {
            let name = self.text.get(start..self.at).unwrap_or_default();
            if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                self.at += 1;
                return self.modifier(name, start);
            }
        }
        let qualifier = qualifier.unwrap_or_default();
        match self.mechanism(word)? {
            Some(mechanism) => Ok(Term::Directive(Directive {
                qualifier,
                mechanism,
            })),
            None => Err((start, RecordFault::Mechanism)),
        }
    }

    fn modifier(&mut self, name: &str, start: usize) -> Result<Term, Fault> {
        // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
        let once = |seen: &mut bool| match core::mem::replace(seen, true) {
            true => Err((start, RecordFault::Twice)),
            false => Ok(()),
        };
        Ok(if name.eq_ignore_ascii_case("redirect") {
            once(&mut self.redirect)?;
            Term::Redirect(self.domain_spec()?)
        } else if name.eq_ignore_ascii_case("exp") {
            once(&mut self.explanation)?;
            Term::Explanation(self.domain_spec()?)
        } else {
            let at = self.at;
            let value = self.word().parse().map_err(within(at))?;
            let name = name.into();
            Term::Unknown { name, value }
        })
    }

    /// The mechanism of this name, if it is one.
    fn mechanism(&mut self, name: u64) -> Result<Option<Mechanism>, Fault> {
        const ALL: u64 = word(b"all");
        const INCLUDE: u64 = word(b"include");
        const A: u64 = word(b"a");
        const MX: u64 = word(b"mx");
        const PTR: u64 = word(b"ptr");
        const IP4: u64 = word(b"ip4");
        const IP6: u64 = word(b"ip6");
        const EXISTS: u64 = word(b"exists");
        Ok(Some(match name {
            ALL => {
                self.end(RecordFault::Argument)?;
                Mechanism::All
            }
            INCLUDE => Mechanism::Include(self.argument()?),
            A => {
                let (domain, prefix) = self.domain_and_prefix()?;
                Mechanism::A { domain, prefix }
            }
            MX => {
                let (domain, prefix) = self.domain_and_prefix()?;
                Mechanism::Mx { domain, prefix }
            }
            PTR if self.end(RecordFault::Argument).is_ok() => Mechanism::Ptr(None),
            PTR => Mechanism::Ptr(Some(self.argument()?)),
            IP4 => {
                let (network, prefix) = self.network(ip4, 32)?;
                Mechanism::Ip4 { network, prefix }
            }
            IP6 => {
                let (network, prefix) = self.network(ip6, 128)?;
                Mechanism::Ip6 { network, prefix }
            }
            EXISTS => Mechanism::Exists(self.argument()?),
            _ => return Ok(None),
        }))
    }

    fn colon(&mut self) -> Result<(), Fault> {
        match self.take(b':') {
            true => Ok(()),
            false => Err((self.at, RecordFault::Argument)),
        }
    }

    /// `":" domain-spec`
    fn argument(&mut self) -> Result<DomainSpec, Fault> {
        self.colon()?;
        self.domain_spec()
    }

    fn domain_spec(&mut self) -> Result<DomainSpec, Fault> {
        let start = self.at;
        self.word().parse().map_err(within(start))
    }

    /// `":" ip4-network [ ip4-cidr-length ]`, and so for ip6.
    fn network<A>(
        &mut self,
        read: fn(&[u8]) -> Option<(A, usize)>,
        most: u8,
    ) -> Result<(A, u8), Fault> {
        self.colon()?;
        let start = self.at;
        let (network, length) = read(self.rest()).ok_or((start, RecordFault::Address))?;
        self.at += length;
        if !self.take(b'/') {
            self.end(RecordFault::Address)
                .map_err(|(_, fault)| (start, fault))?;
            return Ok((network, most));
        }
        Ok((network, self.prefix(most)?))
    }

    /// RFC 7208 §5.6: `"0" / %x31-39 0*1DIGIT`, within 0 to 32, and so for 128.
    fn prefix(&mut self, most: u8) -> Result<u8, Fault> {
        let fault = (self.at, RecordFault::Prefix);
        match decimal(self.rest()).filter(|(prefix, _)| *prefix <= most) {
            Some((prefix, length)) => {
                self.at += length;
                self.end(RecordFault::Prefix).map_err(|_| fault)?;
                Ok(prefix)
            }
            None => Err(fault),
        }
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`; a domain-spec may hold slashes itself, so the lengths are taken from the end.
    fn domain_and_prefix(&mut self) -> Result<(Option<DomainSpec>, DualPrefix), Fault> {
        let mut both = DualPrefix { v4: 32, v6: 128 };
        let start = self.at;
        let mut text = self.word();
        let read = |digits: &str, at, most| match decimal(digits.as_bytes()) {
            Some((prefix, length)) if length == digits.len() && prefix <= most => Ok(prefix),
            _ => Err((at, RecordFault::Prefix)),
        };
        if let Some((rest, digits)) = digits_behind(text, "//") {
            both.v6 = read(digits, start + text.len() - digits.len(), 128)?;
            text = rest;
        }
        if let Some((rest, digits)) =
            digits_behind(text, "/").filter(|(_, digits)| !digits.is_empty())
        {
            both.v4 = read(digits, start + text.len() - digits.len(), 32)?;
            text = rest;
        }
        let domain = match text.strip_prefix(':') {
            Some(domain) => Some(domain.parse().map_err(within(start + 1))?),
            None if text.is_empty() => None,
            None => return Err((start, RecordFault::Argument)),
        };
        Ok((domain, both))
    }
}

/// The digits at the end of a text, and what stands before the mark before them.
fn digits_behind<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (rest, digits) = text.split_at_checked(text.len() - digits)?;
    Some((rest.strip_suffix(mark)?, digits))
}

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

/// The fault of a macro-string that begins at this octet.
fn within(start: usize) -> impl Fn(MacroError) -> Fault {
    move |error| (start + error.at, RecordFault::Macro(error.fault))
}
