//! The terms of a record out of its text (RFC 7208 §4.6.1, §12).

use super::network::{ip4, ip6, prefix};
use super::{Directive, DualPrefix, Mechanism, Qualifier, RecordError, RecordFault, Term};
use crate::macros::{DomainSpec, MacroError};

/// The octet of the term, and what is wrong there.
type Fault = (usize, RecordFault);

/// The terms of a record, of which the version and the characters are known to be right.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, RecordError> {
    let spaces = text.bytes().filter(|octet| *octet == b' ').count();
    let mut terms = Vec::with_capacity(spaces);
    let (mut redirect, mut explanation) = (false, false);
    let mut at = text.find(' ').unwrap_or(text.len());
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (word, _) = rest.split_at(end(rest, |octet| octet == b' '));
        if word.is_empty() {
            at += 1;
            continue;
        }
        let fault = |(within, fault)| RecordError {
            at: at + within,
            fault,
        };
        let term = term(word).map_err(fault)?;
        // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
        let seen = match &term {
            Term::Redirect(_) => core::mem::replace(&mut redirect, true),
            Term::Explanation(_) => core::mem::replace(&mut explanation, true),
            _ => false,
        };
        if seen {
            return Err(fault((0, RecordFault::Twice)));
        }
        terms.push(term);
        at += word.len();
    }
    Ok(terms)
}

/// Where the first octet of this kind stands, or the end.
fn end(text: &str, stops: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(stops).unwrap_or(text.len())
}

fn term(word: &str) -> Result<Term, Fault> {
    let (qualifier, body) = match word.split_at_checked(1) {
        Some(("+", body)) => (Some(Qualifier::Pass), body),
        Some(("-", body)) => (Some(Qualifier::Fail), body),
        Some(("~", body)) => (Some(Qualifier::SoftFail), body),
        Some(("?", body)) => (Some(Qualifier::Neutral), body),
        _ => (None, word),
    };
    let start = word.len() - body.len();
    // RFC 7208 §4.6.1: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
    let in_name = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let (name, text) = body.split_at(end(body, |octet| !in_name(octet)));
    let at = start + name.len();
    // RFC 7208 §4.6.1: "Modifiers always contain an equals ('=') character immediately after the name, and before any ":" or "/"
    // characters that might be part of the macro-string."
    if let (None, Some(value), true) = (
        qualifier,
        text.strip_prefix('='),
        name.starts_with(|first: char| first.is_ascii_alphabetic()),
    ) {
        return modifier(name, value).map_err(within(at + 1));
    }
    let argument = Argument { text, at };
    let mechanism = mechanism(name, &argument)?.ok_or((start, RecordFault::Mechanism))?;
    Ok(Term::Directive(Directive {
        qualifier: qualifier.unwrap_or_default(),
        mechanism,
    }))
}

fn modifier(name: &str, value: &str) -> Result<Term, MacroError> {
    Ok(if name.eq_ignore_ascii_case("redirect") {
        Term::Redirect(value.parse()?)
    } else if name.eq_ignore_ascii_case("exp") {
        Term::Explanation(value.parse()?)
    } else {
        Term::Unknown {
            name: name.into(),
            value: value.parse()?,
        }
    })
}

/// The mechanism of this name, if it is one.
fn mechanism(name: &str, argument: &Argument<'_>) -> Result<Option<Mechanism>, Fault> {
    let is = |of: &str| name.eq_ignore_ascii_case(of);
    Ok(Some(if is("ip4") {
        let (network, prefix) = argument.network(ip4, 32)?;
        Mechanism::Ip4 { network, prefix }
    } else if is("ip6") {
        let (network, prefix) = argument.network(ip6, 128)?;
        Mechanism::Ip6 { network, prefix }
    } else if is("include") {
        Mechanism::Include(argument.domain()?)
    } else if is("all") {
        argument.none()?;
        Mechanism::All
    } else if is("a") {
        let (domain, prefix) = argument.domain_and_prefix()?;
        Mechanism::A { domain, prefix }
    } else if is("mx") {
        let (domain, prefix) = argument.domain_and_prefix()?;
        Mechanism::Mx { domain, prefix }
    } else if is("exists") {
        Mechanism::Exists(argument.domain()?)
    } else if is("ptr") {
        Mechanism::Ptr(match argument.text {
            "" => None,
            _ => Some(argument.domain()?),
        })
    } else {
        return Ok(None);
    }))
}

/// The fault of a macro-string that begins at this octet.
fn within(start: usize) -> impl Fn(MacroError) -> Fault {
    move |error| (start + error.at, RecordFault::Macro(error.fault))
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

    fn behind_colon(&self) -> Result<&str, Fault> {
        (self.text.strip_prefix(':')).ok_or((self.at, RecordFault::Argument))
    }

    fn domain(&self) -> Result<DomainSpec, Fault> {
        self.behind_colon()?.parse().map_err(within(self.at + 1))
    }

    fn network<A>(&self, read: fn(&[u8]) -> Option<A>, most: u8) -> Result<(A, u8), Fault> {
        let text = self.behind_colon()?;
        let (address, length) = text.split_at(end(text, |octet| octet == b'/'));
        let network = read(address.as_bytes()).ok_or((self.at + 1, RecordFault::Address))?;
        let length = match length.strip_prefix('/') {
            Some(digits) => {
                let at = self.at + 2 + address.len();
                prefix(digits.as_bytes(), most).ok_or((at, RecordFault::Prefix))?
            }
            None => most,
        };
        Ok((network, length))
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`; a domain-spec may hold slashes itself, so the lengths are taken from the end.
    fn domain_and_prefix(&self) -> Result<(Option<DomainSpec>, DualPrefix), Fault> {
        let mut both = DualPrefix { v4: 32, v6: 128 };
        let mut text = self.text;
        if let Some((rest, digits)) = digits_behind(text, "//") {
            let at = self.at + text.len() - digits.len();
            both.v6 = prefix(digits.as_bytes(), 128).ok_or((at, RecordFault::Prefix))?;
            text = rest;
        }
        if let Some((rest, digits)) =
            digits_behind(text, "/").filter(|(_, digits)| !digits.is_empty())
        {
            let at = self.at + text.len() - digits.len();
            both.v4 = prefix(digits.as_bytes(), 32).ok_or((at, RecordFault::Prefix))?;
            text = rest;
        }
        let domain = match text {
            "" => None,
            _ => Some(Argument { text, at: self.at }.domain()?),
        };
        Ok((domain, both))
    }
}

/// The digits at the end of a text, and what stands before the mark before them.
fn digits_behind<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (rest, digits) = text.split_at(text.len() - digits);
    Some((rest.strip_suffix(mark)?, digits))
}
