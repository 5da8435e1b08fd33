//! Macros (RFC 7208 §7): the domain-spec of a term and the text of an explanation, parsed and expanded.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

mod expansion;

pub use expansion::{Context, TooLong};

/// A macro-string (RFC 7208 §7.1): text with macros in it, and no space. It is kept and printed as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MacroString(Box<str>);

/// A domain-spec (RFC 7208 §7.1): a macro-string that ends in a top label or a macro. It is kept and printed as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainSpec(Box<str>);

/// An explain-string (RFC 7208 §7.1): a macro-string that may hold spaces. It is kept and printed as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExplainString(Box<str>);

/// Why text is no macro-string, domain-spec or explain-string: the publisher's mistake, at this octet of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at octet {at} of the macro-string")]
pub struct MacroError {
    /// The octet, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: MacroFault,
}

/// What is wrong with a macro-string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacroFault {
    /// Neither a visible character of US-ASCII nor a space where one is allowed.
    #[error("character that is not allowed")]
    Character,
    /// `%` before something else than `{`, `%`, `_` or `-` (RFC 7208 §7.3).
    #[error("\"%\" that begins no macro")]
    Percent,
    /// No macro has this letter, or not in this place: `c`, `r` and `t` are for explanations (RFC 7208 §7.2).
    #[error("unknown macro letter")]
    Letter,
    /// Zero parts to keep (RFC 7208 §7.3: "If a DIGIT is specified, the value MUST be nonzero.").
    #[error("zero parts")]
    Zero,
    /// Something that is no delimiter, or no closing brace.
    #[error("no delimiter and no closing brace")]
    Unclosed,
    /// A domain-spec that ends neither in a dot and a top label nor in a macro, or is empty.
    #[error("domain-spec without a top label")]
    TopLabel,
}

/// A piece of a macro-string.
enum Part<'a> {
    Literal(&'a [u8]),
    /// `%%`
    Percent,
    /// `%_`
    Space,
    /// `%-`
    EncodedSpace,
    Macro(Macro<'a>),
}

struct Macro<'a> {
    letter: Letter,
    /// An upper case letter: the value is URL-escaped.
    escaped: bool,
    keep: Option<NonZeroU32>,
    reversed: bool,
    /// Empty means the dot.
    delimiters: &'a [u8],
}

/// The macro letters (RFC 7208 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Ip,
    Validated,
    Version,
    Helo,
    ReadableIp,
    Receiver,
    Timestamp,
}

const LETTERS: [(u8, Letter); 11] = [
    (b's', Letter::Sender),
    (b'l', Letter::LocalPart),
    (b'o', Letter::SenderDomain),
    (b'd', Letter::Domain),
    (b'i', Letter::Ip),
    (b'p', Letter::Validated),
    (b'v', Letter::Version),
    (b'h', Letter::Helo),
    (b'c', Letter::ReadableIp),
    (b'r', Letter::Receiver),
    (b't', Letter::Timestamp),
];

impl Letter {
    fn of(octet: u8) -> Option<Self> {
        let octet = octet.to_ascii_lowercase();
        LETTERS
            .iter()
            .find(|(of, _)| *of == octet)
            .map(|(_, letter)| *letter)
    }

    /// RFC 7208 §7.2: "The following macro letters are allowed only in "exp" text:"
    const fn only_in_explanations(self) -> bool {
        matches!(self, Self::ReadableIp | Self::Receiver | Self::Timestamp)
    }
}

/// A domain-spec or macro-string where it stands in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec<'a> {
    pub(crate) text: &'a [u8],
    /// The octet of the record where it begins.
    pub(crate) at: usize,
    /// Whether it is visible characters and no macro, as nearly every one.
    pub(crate) plain: bool,
}

/// What a text may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grammar {
    spaces: bool,
    /// The letters for explanations too.
    all_letters: bool,
    /// The end of a domain-spec.
    top_label: bool,
}

impl Grammar {
    /// The text up to what is no literal.
    fn literal(self, text: &[u8]) -> &[u8] {
        let least = if self.spaces { b' ' } else { b'!' };
        let mut end = 0;
        while let Some(octet) = text.get(end)
            && *octet >= least
            && *octet <= b'~'
            && *octet != b'%'
        {
            end += 1;
        }
        text.get(..end).unwrap_or_default()
    }
}

pub(crate) const DOMAIN_SPEC: Grammar = Grammar {
    spaces: false,
    all_letters: false,
    top_label: true,
};
pub(crate) const MACRO_STRING: Grammar = Grammar {
    spaces: false,
    all_letters: true,
    top_label: false,
};
const EXPLAIN_STRING: Grammar = Grammar {
    spaces: true,
    all_letters: true,
    top_label: false,
};

/// The pieces of a text, up to the first fault.
struct Parts<'a> {
    text: &'a [u8],
    at: usize,
    grammar: Grammar,
}

/// The pieces of a text that is known to be right.
fn parts(text: &[u8]) -> impl Iterator<Item = Part<'_>> {
    // The grammar that takes all that the others take.
    text_parts(text, EXPLAIN_STRING).map_while(Result::ok)
}

const fn text_parts(text: &[u8], grammar: Grammar) -> Parts<'_> {
    let at = 0;
    Parts { text, at, grammar }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, MacroError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let part = part(rest, self.grammar);
        Some(match part {
            Ok((part, length)) => {
                self.at += length;
                Ok(part)
            }
            Err((within, fault)) => {
                let at = self.at + within;
                Err(MacroError { at, fault })
            }
        })
    }
}

/// The piece that a text begins with, and its length.
fn part(text: &[u8], grammar: Grammar) -> Result<(Part<'_>, usize), (usize, MacroFault)> {
    let escape = match text {
        [b'%', b'{', inner @ ..] => {
            let (of, length) = macro_expand(inner).map_err(|(at, fault)| (2 + at, fault))?;
            if of.letter.only_in_explanations() && !grammar.all_letters {
                return Err((2, MacroFault::Letter));
            }
            return Ok((Part::Macro(of), 2 + length));
        }
        [b'%', escape, ..] => Some(*escape),
        [b'%'] => None,
        octets => {
            return match grammar.literal(octets) {
                [] => Err((0, MacroFault::Character)),
                literal => Ok((Part::Literal(literal), literal.len())),
            };
        }
    };
    match escape {
        Some(b'%') => Ok((Part::Percent, 2)),
        Some(b'_') => Ok((Part::Space, 2)),
        Some(b'-') => Ok((Part::EncodedSpace, 2)),
        // RFC 7208 §7.3: "A '%' character not followed by a '{', '%', '-', or '_' character is a syntax error."
        _ => Err((0, MacroFault::Percent)),
    }
}

/// RFC 7208 §7.1: `macro-letter transformers *delimiter "}"`, and how long that is.
fn macro_expand(octets: &[u8]) -> Result<(Macro<'_>, usize), (usize, MacroFault)> {
    let first = octets.first().copied().unwrap_or_default();
    let letter = Letter::of(first).ok_or((0, MacroFault::Letter))?;
    let mut at = 1;
    let digits = octets
        .iter()
        .skip(at)
        .take_while(|octet| octet.is_ascii_digit());
    let (count, value) = digits.fold((0, 0_u32), |(count, value), digit| {
        (
            count + 1,
            value
                .saturating_mul(10)
                .saturating_add(u32::from(digit - b'0')),
        )
    });
    let keep = NonZeroU32::new(value);
    if count > 0 && keep.is_none() {
        return Err((at, MacroFault::Zero));
    }
    at += count;
    let reversed = octets
        .get(at)
        .is_some_and(|octet| octet.eq_ignore_ascii_case(&b'r'));
    at += usize::from(reversed);
    let rest = octets.get(at..).unwrap_or_default();
    let count = rest
        .iter()
        .take_while(|octet| b".-+,/_=".contains(octet))
        .count();
    let (delimiters, rest) = rest.split_at(count);
    at += count;
    if rest.first() != Some(&b'}') {
        return Err((at, MacroFault::Unclosed));
    }
    let of = Macro {
        letter,
        escaped: first.is_ascii_uppercase(),
        keep,
        reversed,
        delimiters,
    };
    Ok((of, at + 1))
}

/// Whether a text is one of this grammar.
fn check(text: &[u8], grammar: Grammar) -> Result<(), MacroError> {
    let mut parts = text_parts(text, grammar);
    let last = parts.try_fold(None, |_, part| part.map(Some))?;
    check_end(text, last.as_ref(), grammar)
}

/// RFC 7208 §7.1: `domain-end = ( "." toplabel [ "." ] ) / macro-expand`
fn check_end(text: &[u8], last: Option<&Part<'_>>, grammar: Grammar) -> Result<(), MacroError> {
    let ends = match last {
        Some(Part::Literal(literal)) => ends_in_top_label(literal),
        Some(_) => true,
        None => false,
    };
    if grammar.top_label && !ends {
        let (at, fault) = (text.len(), MacroFault::TopLabel);
        return Err(MacroError { at, fault });
    }
    Ok(())
}

impl Spec<'_> {
    pub(crate) fn check(self, grammar: Grammar) -> Result<(), MacroError> {
        match self.plain {
            true => check_end(self.text, Some(&Part::Literal(self.text)), grammar),
            false => check(self.text, grammar),
        }
    }

    /// Whether a macro of one of these letters is in it, which was checked.
    pub(crate) fn uses(self, letters: &[Letter]) -> bool {
        !self.plain && uses(self.text, letters)
    }

    /// A copy of what was checked as a domain-spec.
    pub(crate) fn to_domain_spec(self) -> DomainSpec {
        DomainSpec(owned(self.text))
    }

    /// A copy of what was checked as a macro-string.
    pub(crate) fn to_macro_string(self) -> MacroString {
        MacroString(owned(self.text))
    }
}

impl ExplainString {
    pub(crate) fn uses(&self, letters: &[Letter]) -> bool {
        uses(self.0.as_bytes(), letters)
    }
}

/// What was checked is ASCII.
fn owned(text: &[u8]) -> Box<str> {
    String::from_utf8_lossy(text).into()
}

/// Whether a macro of one of these letters is in a text that was checked.
fn uses(text: &[u8], letters: &[Letter]) -> bool {
    parts(text).any(|part| matches!(part, Part::Macro(of) if letters.contains(&of.letter)))
}

impl FromStr for MacroString {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        check(text.as_bytes(), MACRO_STRING).map(|()| Self(text.into()))
    }
}

impl FromStr for ExplainString {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        check(text.as_bytes(), EXPLAIN_STRING).map(|()| Self(text.into()))
    }
}

impl FromStr for DomainSpec {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        check(text.as_bytes(), DOMAIN_SPEC).map(|()| Self(text.into()))
    }
}

/// RFC 7208 §7.1: `toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )`, behind a dot and
/// before another one or none.
fn ends_in_top_label(literal: &[u8]) -> bool {
    let literal = literal.strip_suffix(b".").unwrap_or(literal);
    let Some(dot) = literal.iter().rposition(|octet| *octet == b'.') else {
        return false;
    };
    let label = literal.get(dot + 1..).unwrap_or_default();
    let mut digits = true;
    for octet in label {
        match octet {
            b'0'..=b'9' => {}
            b'a'..=b'z' | b'A'..=b'Z' | b'-' => digits = false,
            _ => return false,
        }
    }
    !digits && label.first() != Some(&b'-') && label.last() != Some(&b'-')
}

impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ExplainString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_where_they_are() {
        for (text, at, fault) in [
            ("", 0, MacroFault::TopLabel),
            ("a b.com", 1, MacroFault::Character),
            ("a\u{e9}.com", 1, MacroFault::Character),
            ("a%(ir).com", 1, MacroFault::Percent),
            ("a%", 1, MacroFault::Percent),
            ("%{x}", 2, MacroFault::Letter),
            ("%{", 2, MacroFault::Letter),
            ("a.%{r}", 4, MacroFault::Letter),
            ("%{d0}", 3, MacroFault::Zero),
            ("%{dr", 4, MacroFault::Unclosed),
            ("%{d;}", 3, MacroFault::Unclosed),
            ("com", 3, MacroFault::TopLabel),
            ("example.123", 11, MacroFault::TopLabel),
            ("example.-x", 10, MacroFault::TopLabel),
            ("example.com..", 13, MacroFault::TopLabel),
            ("%{d}com", 7, MacroFault::TopLabel),
        ] {
            assert_eq!(
                text.parse::<DomainSpec>(),
                Err(MacroError { at, fault }),
                "{text}"
            );
        }
        for text in [
            ".com",
            "%{d}",
            "a.b-c.",
            "foo:8080.com",
            "x.1a",
            "%%",
            "a..b",
        ] {
            assert_eq!(text.parse::<DomainSpec>().unwrap().to_string(), text);
        }
    }
}
