//! What the macros of a text stand for (RFC 7208 §7.2, §7.3).

use std::borrow::Cow;
use std::net::IpAddr;

use mail_dns::{Name, NameError};

use super::{DomainSpec, ExplainString, Letter, Macro, MacroString, Part, Spec, parts};

/// Octets of an expanded name that are asked for (RFC 7208 §7.3).
const MAX_NAME: usize = 253;

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

/// The expansion is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expansion is longer than allowed")]
pub struct TooLong;

impl MacroString {
    /// The text with every macro replaced; of a longer text only that it is longer than `most` octets.
    ///
    /// # Errors
    ///
    /// [`TooLong`].
    pub fn expand(&self, context: &Context<'_>, most: usize) -> Result<Vec<u8>, TooLong> {
        expand(self.0.as_bytes(), context, most)
    }
}

impl ExplainString {
    /// The explanation (RFC 7208 §6.2).
    ///
    /// # Errors
    ///
    /// [`TooLong`] beyond `most` octets.
    pub fn expand(&self, context: &Context<'_>, most: usize) -> Result<Vec<u8>, TooLong> {
        expand(self.0.as_bytes(), context, most)
    }
}

fn expand(text: &[u8], context: &Context<'_>, most: usize) -> Result<Vec<u8>, TooLong> {
    let mut expanded = Vec::new();
    for part in parts(text) {
        expanded.extend_from_slice(&part.expand(context));
        if expanded.len() > most {
            return Err(TooLong);
        }
    }
    Ok(expanded)
}

impl DomainSpec {
    /// The target-name (RFC 7208 §4.8): expanded, and cut from the left to 253 octets.
    ///
    /// # Errors
    ///
    /// The expansion is no name: an empty label, or one of more than 63 octets.
    pub fn expand(&self, context: &Context<'_>) -> Result<Name, NameError> {
        name(&expand_end(self.0.as_bytes(), context))
    }
}

impl DomainSpec {
    /// The target-name of text without macros; none where there is one.
    pub(crate) fn literal(&self) -> Option<Result<Name, NameError>> {
        let text = self.0.as_bytes();
        (!text.contains(&b'%')).then(|| name(text))
    }
}

impl Spec<'_> {
    /// As [`DomainSpec::expand`].
    pub(crate) fn expand(self, context: &Context<'_>) -> Result<Name, NameError> {
        name(&expand_end(self.text, context))
    }

    /// The target-name of text without macros, which is nearly every domain-spec.
    pub(crate) fn literal(self) -> Option<Result<Name, NameError>> {
        self.plain.then(|| name(self.text))
    }
}

/// The end of the expansion, at least [`MAX_NAME`] octets and the one before them where it is longer: memory stays bounded however
/// many macros there are.
fn expand_end(text: &[u8], context: &Context<'_>) -> Vec<u8> {
    const KEPT: usize = MAX_NAME + 2;
    let mut expanded = Vec::new();
    for part in parts(text) {
        expanded.extend_from_slice(&part.expand(context));
        if expanded.len() > 8 * KEPT {
            expanded.drain(..expanded.len() - KEPT);
        }
    }
    expanded
}

fn name(expanded: &[u8]) -> Result<Name, NameError> {
    Name::from_dotted(cut_to_fit(expanded.strip_suffix(b".").unwrap_or(expanded)))
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

impl<'a> Part<'a> {
    fn expand(&self, context: &Context<'a>) -> Cow<'a, [u8]> {
        match self {
            Self::Literal(text) => Cow::Borrowed(text),
            Self::Percent => Cow::Borrowed(b"%"),
            Self::Space => Cow::Borrowed(b" "),
            Self::EncodedSpace => Cow::Borrowed(b"%20"),
            Self::Macro(of) => of.expand(context),
        }
    }
}

impl Macro<'_> {
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
            self.delimiters
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macros::{DomainSpec, ExplainString};

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
