//! Macros (RFC 7208 §7): the domain-spec of a term and the text of an explanation, parsed and expanded.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;
use std::borrow::Cow;
use std::net::IpAddr;

use mail_dns::{Name, NameError};

/// Octets of an expanded name that are asked for (RFC 7208 §7.3).
const MAX_NAME: usize = 253;

/// A macro-string (RFC 7208 §7.1): text with macros in it, and no space.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MacroString(Vec<Part>);

/// A domain-spec (RFC 7208 §7.1): a macro-string that ends in a top label or a macro.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainSpec(MacroString);

/// An explain-string (RFC 7208 §7.1): a macro-string that may hold spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExplainString(MacroString);

/// What the macros of one check_host() stand for (RFC 7208 §7.2).
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// `%{l}`: the local part of the sender.
    pub local_part: &'a [u8],
    /// `%{o}`: the domain of the sender.
    pub sender_domain: &'a [u8],
    /// `%{d}`: the domain of the record.
    pub domain: &'a [u8],
    /// `%{i}`, `%{c}` and `%{v}`: the client's address; an IPv4-mapped one counts as IPv4.
    pub ip: IpAddr,
    /// `%{h}`: the HELO or EHLO parameter.
    pub helo: &'a [u8],
    /// `%{p}`: the validated name of the client, or `unknown`.
    pub validated: &'a [u8],
    /// `%{r}`: the host that performs the check, or `unknown`.
    pub receiver: &'a [u8],
    /// `%{t}`: seconds since 1970.
    pub now: u64,
}

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Literal(Box<str>),
    /// `%%`
    Percent,
    /// `%_`
    Space,
    /// `%-`
    EncodedSpace,
    Macro(Macro),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Macro {
    letter: Letter,
    /// An upper case letter: the value is URL-escaped.
    escaped: bool,
    keep: Option<NonZeroU32>,
    reversed: bool,
    /// Empty means the dot.
    delimiters: Box<str>,
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

impl MacroString {
    /// Whether a macro of one of these letters is in it.
    pub(crate) fn uses(&self, letters: &[Letter]) -> bool {
        self.macros().any(|of| letters.contains(&of.letter))
    }

    fn macros(&self) -> impl Iterator<Item = &Macro> {
        self.0.iter().filter_map(|part| match part {
            Part::Macro(of) => Some(of),
            _ => None,
        })
    }

    /// The text with every macro replaced; of a longer text only that it is longer than `most` octets.
    ///
    /// # Errors
    ///
    /// [`TooLong`].
    pub fn expand(&self, context: &Context<'_>, most: usize) -> Result<Vec<u8>, TooLong> {
        let mut expanded = Vec::new();
        for part in &self.0 {
            expanded.extend_from_slice(&part.expand(context));
            if expanded.len() > most {
                return Err(TooLong);
            }
        }
        Ok(expanded)
    }

    /// The end of the expansion, at least [`MAX_NAME`] octets and the one before them where it is longer: memory stays bounded however
    /// many macros there are.
    fn expand_end(&self, context: &Context<'_>) -> Vec<u8> {
        const KEPT: usize = MAX_NAME + 2;
        let mut expanded = Vec::new();
        for part in &self.0 {
            expanded.extend_from_slice(&part.expand(context));
            if expanded.len() > 8 * KEPT {
                expanded.drain(..expanded.len() - KEPT);
            }
        }
        expanded
    }
}

/// The expansion is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expansion is longer than allowed")]
pub struct TooLong;

impl DomainSpec {
    /// The target-name (RFC 7208 §4.8): expanded, and cut from the left to 253 octets.
    ///
    /// # Errors
    ///
    /// The expansion is no name: an empty label, or one of more than 63 octets.
    pub fn expand(&self, context: &Context<'_>) -> Result<Name, NameError> {
        let expanded = self.0.expand_end(context);
        let text = expanded.strip_suffix(b".").unwrap_or(&expanded);
        Name::from_dotted(cut_to_fit(text))
    }

    /// The target-name of text without macros, which is nearly every domain-spec.
    pub(crate) fn literal(&self) -> Option<Result<Name, NameError>> {
        let [Part::Literal(text)] = self.0.0.as_slice() else {
            return None;
        };
        let text = text.strip_suffix('.').unwrap_or(text);
        Some(Name::from_dotted(cut_to_fit(text.as_bytes())))
    }

    pub(crate) fn uses(&self, letters: &[Letter]) -> bool {
        self.0.uses(letters)
    }
}

/// RFC 7208 §7.3: "if the expanded domain name exceeds 253 characters (the maximum length of a domain name in this format), the left
/// side is truncated to fit, by removing successive domain labels (and their following dots) until the total length does not exceed 253
/// characters."
fn cut_to_fit(text: &[u8]) -> &[u8] {
    let Some(over) = text.len().checked_sub(MAX_NAME).filter(|&over| over > 0) else {
        return text;
    };
    // The first label that begins late enough stands behind the first dot at `over - 1` or later.
    match text.iter().skip(over - 1).position(|&octet| octet == b'.') {
        Some(dot) => text.get(over + dot..).unwrap_or_default(),
        None => text,
    }
}

impl ExplainString {
    /// The explanation (RFC 7208 §6.2).
    ///
    /// # Errors
    ///
    /// [`TooLong`] beyond `most` octets.
    pub fn expand(&self, context: &Context<'_>, most: usize) -> Result<Vec<u8>, TooLong> {
        self.0.expand(context, most)
    }

    pub(crate) fn uses(&self, letters: &[Letter]) -> bool {
        self.0.uses(letters)
    }
}

impl Part {
    fn expand<'a>(&'a self, context: &Context<'a>) -> Cow<'a, [u8]> {
        match self {
            Self::Literal(text) => Cow::Borrowed(text.as_bytes()),
            Self::Percent => Cow::Borrowed(b"%"),
            Self::Space => Cow::Borrowed(b" "),
            Self::EncodedSpace => Cow::Borrowed(b"%20"),
            Self::Macro(of) => of.expand(context),
        }
    }
}

impl Macro {
    fn expand<'a>(&self, context: &Context<'a>) -> Cow<'a, [u8]> {
        let value = self.transform(self.letter.value(context));
        if self.escaped {
            Cow::Owned(url_escape(&value))
        } else {
            value
        }
    }

    /// RFC 7208 §7.3: "If transformers or delimiters are provided, the replacement value for a macro letter is split into parts separated
    /// by one or more of the specified delimiter characters.  After performing any reversal operation and/or removal of left-hand parts,
    /// the parts are rejoined using "." and not the original splitting characters."
    fn transform<'a>(&self, value: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        if self.keep.is_none() && !self.reversed && self.delimiters.is_empty() {
            return value;
        }
        let delimiters = if self.delimiters.is_empty() {
            b"."
        } else {
            self.delimiters.as_bytes()
        };
        let mut parts: Vec<&[u8]> = value.split(|octet| delimiters.contains(octet)).collect();
        if self.reversed {
            parts.reverse();
        }
        // RFC 7208 §7.3: "The DIGIT transformer indicates the number of right-hand parts to use, after optional reversal."
        let keep = self.keep.map_or(parts.len(), |keep| {
            usize::try_from(keep.get()).unwrap_or(usize::MAX)
        });
        let left = parts.len().saturating_sub(keep);
        Cow::Owned(parts.split_off(left).join(&b'.'))
    }
}

impl Letter {
    fn value<'a>(self, context: &Context<'a>) -> Cow<'a, [u8]> {
        let ip = context.ip.to_canonical();
        match self {
            Self::Sender => Cow::Owned([context.local_part, b"@", context.sender_domain].concat()),
            Self::LocalPart => Cow::Borrowed(context.local_part),
            Self::SenderDomain => Cow::Borrowed(context.sender_domain),
            Self::Domain => Cow::Borrowed(context.domain),
            Self::Ip => Cow::Owned(dotted(ip).into_bytes()),
            Self::Validated => Cow::Borrowed(context.validated),
            Self::Version => Cow::Borrowed(if ip.is_ipv4() { b"in-addr" } else { b"ip6" }),
            Self::Helo => Cow::Borrowed(context.helo),
            Self::ReadableIp => Cow::Owned(ip.to_string().into_bytes()),
            Self::Receiver => Cow::Borrowed(context.receiver),
            Self::Timestamp => Cow::Owned(context.now.to_string().into_bytes()),
        }
    }
}

/// RFC 7208 §7.3: "For IPv6 addresses, the "i" macro expands to a dot-format address; it is intended for use in %{ir}."
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let digits = format!("{:032x}", ip.to_bits());
            let mut dotted = String::with_capacity(64);
            for digit in digits.chars() {
                if !dotted.is_empty() {
                    dotted.push('.');
                }
                dotted.push(digit);
            }
            dotted
        }
    }
}

/// RFC 7208 §7.3: "URL escaping MUST be performed for characters not in the "unreserved" set, which is defined in [RFC3986]."
fn url_escape(value: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = Vec::with_capacity(value.len());
    for &octet in value {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            escaped.push(octet);
        } else {
            let (high, low) = (usize::from(octet >> 4), usize::from(octet & 15));
            escaped.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        }
    }
    escaped
}

impl FromStr for MacroString {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        parse(text, false, true)
    }
}

impl FromStr for ExplainString {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        parse(text, true, true).map(Self)
    }
}

impl FromStr for DomainSpec {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        let spec = parse(text, false, false)?;
        // RFC 7208 §7.1: domain-end = ( "." toplabel [ "." ] ) / macro-expand
        let ends = match spec.0.last() {
            Some(Part::Literal(literal)) => {
                let literal = literal.strip_suffix('.').unwrap_or(literal);
                literal
                    .rsplit_once('.')
                    .is_some_and(|(_, label)| is_top_label(label))
            }
            Some(_) => true,
            None => false,
        };
        if ends {
            Ok(Self(spec))
        } else {
            Err(MacroError {
                at: text.len(),
                fault: MacroFault::TopLabel,
            })
        }
    }
}

/// RFC 7208 §7.1: `toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )`
fn is_top_label(label: &str) -> bool {
    let alphanumeric = |octet: &u8| octet.is_ascii_alphanumeric();
    let octets = label.as_bytes();
    octets.first().is_some_and(alphanumeric)
        && octets.last().is_some_and(alphanumeric)
        && octets
            .iter()
            .all(|octet| alphanumeric(octet) || *octet == b'-')
        && !octets.iter().all(u8::is_ascii_digit)
}

fn parse(text: &str, spaces: bool, all_letters: bool) -> Result<MacroString, MacroError> {
    let is_literal = |octet: u8| matches!(octet, b'!'..=b'~') || spaces && octet == b' ';
    let octets = text.as_bytes();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let fault = move |fault| Err(MacroError { at, fault });
        if octet != b'%' {
            let run = octets[at..]
                .iter()
                .take_while(|&&octet| octet != b'%' && is_literal(octet))
                .count();
            // A run is ASCII, so its ends are at character boundaries.
            match text.get(at..at + run) {
                Some(literal) if run > 0 => parts.push(Part::Literal(literal.into())),
                _ => return fault(MacroFault::Character),
            }
            at += run;
            continue;
        }
        at += 2;
        parts.push(match octets.get(at - 1) {
            Some(b'%') => Part::Percent,
            Some(b'_') => Part::Space,
            Some(b'-') => Part::EncodedSpace,
            Some(b'{') => {
                let (of, length) =
                    parse_macro(&octets[at..]).map_err(|(within, fault)| MacroError {
                        at: at + within,
                        fault,
                    })?;
                if of.letter.only_in_explanations() && !all_letters {
                    return Err(MacroError {
                        at,
                        fault: MacroFault::Letter,
                    });
                }
                at += length;
                Part::Macro(of)
            }
            // RFC 7208 §7.3: "A '%' character not followed by a '{', '%', '-', or '_' character is a syntax error."
            _ => return fault(MacroFault::Percent),
        });
    }
    Ok(MacroString(parts))
}

/// RFC 7208 §7.1: `macro-letter transformers *delimiter "}"`, and how long that is.
fn parse_macro(octets: &[u8]) -> Result<(Macro, usize), (usize, MacroFault)> {
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
    let mut delimiters = String::new();
    while let Some(octet @ (b'.' | b'-' | b'+' | b',' | b'/' | b'_' | b'=')) = octets.get(at) {
        if !delimiters.as_bytes().contains(octet) {
            delimiters.push(char::from(*octet));
        }
        at += 1;
    }
    if octets.get(at) != Some(&b'}') {
        return Err((at, MacroFault::Unclosed));
    }
    let escaped = first.is_ascii_uppercase();
    Ok((
        Macro {
            letter,
            escaped,
            keep,
            reversed,
            delimiters: delimiters.into(),
        },
        at + 1,
    ))
}

impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Literal(text) => f.write_str(text)?,
                Part::Percent => f.write_str("%%")?,
                Part::Space => f.write_str("%_")?,
                Part::EncodedSpace => f.write_str("%-")?,
                Part::Macro(of) => of.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octet = LETTERS
            .iter()
            .find(|(_, letter)| *letter == self.letter)
            .map_or(b'd', |(octet, _)| *octet);
        let letter = char::from(if self.escaped {
            octet.to_ascii_uppercase()
        } else {
            octet
        });
        write!(f, "%{{{letter}")?;
        if let Some(keep) = self.keep {
            write!(f, "{keep}")?;
        }
        write!(
            f,
            "{}{}}}",
            if self.reversed { "r" } else { "" },
            self.delimiters
        )
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ExplainString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context {
            local_part: b"~jack&jill=up-a_b3.c",
            sender_domain: b"example.com",
            domain: b"a.b.example.com",
            ip: [192, 0, 2, 3].into(),
            helo: b"",
            validated: b"unknown",
            receiver: b"mx.example.org",
            now: 7,
        }
    }

    #[test]
    fn expansions() {
        for (text, expected) in [
            ("%{L}", "~jack%26jill%3Dup-a_b3.c"),
            ("%{lr=_}", "b3.c.up-a.~jack&jill"),
            ("%{d127}", "a.b.example.com"),
            ("%{d99999999999999999999}", "a.b.example.com"),
            ("%{D3R}", "example.b.a"),
            ("%{d02}", "example.com"),
            ("%{h}%%%_%-", "% %20"),
            ("%{c} %{t} %{R1}", "192.0.2.3 7 org"),
            ("%{o.}", "example.com"),
        ] {
            let expanded = text
                .parse::<ExplainString>()
                .unwrap()
                .expand(&context(), 100);
            assert_eq!(
                String::from_utf8(expanded.unwrap()).unwrap(),
                expected,
                "{text}"
            );
        }
        let ipv6 = Context {
            ip: "2001:db8::cb01".parse().unwrap(),
            ..context()
        };
        let expanded = "%{c} %{v}"
            .parse::<ExplainString>()
            .unwrap()
            .expand(&ipv6, 100);
        assert_eq!(expanded.unwrap(), b"2001:db8::cb01 ip6");
        assert_eq!(
            "%{l}"
                .parse::<MacroString>()
                .unwrap()
                .expand(&context(), 19),
            Err(TooLong)
        );
    }

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

    #[test]
    fn a_name_is_cut_from_the_left_by_labels() {
        let local_part = vec![b'l'; 40];
        let context = Context {
            local_part: &local_part,
            ..context()
        };
        let expand = |text: &str| text.parse::<DomainSpec>().unwrap().expand(&context);
        let cut = expand(&("%{l}.".repeat(100) + "%{d}")).unwrap();
        // Five labels of 40 with their dots, and 15 octets: a sixth would make 261.
        assert_eq!(cut.to_dotted().len(), 5 * 41 + 15);
        assert!(expand("%{l}%{l}.com").is_err());
        assert!(expand(&"%{l}".repeat(200)).is_err());
    }
}
