//! Domains, address literals, and the hosts that they name.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use std::sync::Arc;

/// The longest label of a domain, in octets: 63 (RFC 1035 §2.3.4).
pub const MAX_LABEL: usize = 63;
/// The longest domain, in octets: 255 (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// A fully-qualified domain name as mail writes it: `example.com`, without a final dot.
///
/// RFC 5321 §4.1.2. Labels hold letters, digits, hyphens (not at either end) and, beyond that grammar, underscores: they name
/// `_dmarc` and `_domainkey`, and hosts that announce themselves with one exist ([`Domain::is_ldh`] tells). Limits: 63 octets a
/// label, 255 in all. [`FromStr`] takes ASCII only, A-labels included; [`Domain::parse_utf8`] takes U-labels too.
///
/// Compares without regard to ASCII case and keeps the spelling it was given. A U-label and its A-label are different domains
/// here; feature `idna` converts them. A clone, and [`Domain::parent`], cost a reference count.
///
/// ```
/// use mail_syntax::Domain;
/// let domain: Domain = "Mail.Example.COM".parse()?;
/// assert_eq!(domain, "mail.example.com");
/// assert_eq!(domain.to_string(), "Mail.Example.COM");
/// # Ok::<(), mail_syntax::domain::DomainError>(())
/// ```
#[derive(Clone)]
pub struct Domain {
    /// Shared with the domains this one was derived from.
    text: Arc<str>,
    /// Where in `text` this domain begins: at a label. A domain has at most 255 octets.
    start: u8,
}

/// Why a text is no domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// There is nothing, or nothing between two dots, or a dot at either end.
    #[error("empty label at byte {offset} of the domain: remove the extra dot or supply the name")]
    EmptyLabel {
        /// Where the label should have been.
        offset: usize,
    },
    /// A label longer than 63 octets.
    #[error("the label at byte {offset} of the domain is longer than 63 octets")]
    LabelTooLong {
        /// Where the label begins.
        offset: usize,
    },
    /// A domain longer than 255 octets.
    #[error("the domain is longer than 255 octets")]
    TooLong,
    /// A character that no label may hold, a hyphen at an end of a label, or a non-ASCII one where only ASCII is allowed.
    #[error("character not allowed at byte {offset} of the domain")]
    Character {
        /// Where the character stands.
        offset: usize,
    },
}

impl Domain {
    /// Parses a domain that may hold U-labels, as SMTPUTF8 allows (RFC 6531 §3.3).
    ///
    /// A U-label is taken as it is: that it is registered, in normal form or free of look-alikes is not checked (feature `idna`
    /// checks the first two by conversion). White space, control characters and the full stops of other scripts, which some
    /// readers take for a dot, are refused.
    ///
    /// # Errors
    /// As [`FromStr`].
    pub fn parse_utf8(text: &str) -> Result<Self, DomainError> {
        check(text, true).map(|()| Self::of(text.into()))
    }

    /// The domain as it was spelled.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.get(usize::from(self.start)..).unwrap_or_default()
    }

    /// The domain in lower case (ASCII letters).
    #[must_use]
    pub fn to_ascii_lowercase(&self) -> Self {
        Self::of(self.as_str().to_ascii_lowercase().into())
    }

    /// The labels, from the left.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str().split('.')
    }

    /// True if every label is letters, digits and hyphens: the only domains that RFC 5321 §4.1.2 knows.
    #[must_use]
    pub fn is_ldh(&self) -> bool {
        self.as_str().is_ascii() && !self.as_str().contains('_')
    }

    /// True if no label is a U-label.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// The domain one label up, or `None` for a domain of one label.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (label, _) = self.as_str().split_once('.')?;
        Some(Self {
            text: Arc::clone(&self.text),
            start: self.start + label.len() as u8 + 1,
        })
    }

    /// The last `count` labels as a domain, or the whole domain where it has no more; at least one label.
    #[must_use]
    pub fn suffix(&self, count: usize) -> Self {
        let mut dots = 0;
        let dot = self.as_str().as_bytes().iter().rposition(|octet| {
            dots += usize::from(*octet == b'.');
            dots == count.max(1)
        });
        let start = dot.map_or(0, |at| at + 1);
        Self {
            text: Arc::clone(&self.text),
            start: self.start + start as u8,
        }
    }

    /// `text` was checked, so it is short enough for a start of one octet.
    fn of(text: Arc<str>) -> Self {
        Self { text, start: 0 }
    }

    /// True if `self` is `other` or below it: `mail.example.com` is at or below `example.com`.
    #[must_use]
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        let (name, parent) = (self.as_str().as_bytes(), other.as_str().as_bytes());
        match name.len().checked_sub(parent.len()) {
            Some(0) => self == other,
            Some(above) => name[above..].eq_ignore_ascii_case(parent) && name[above - 1] == b'.',
            None => false,
        }
    }
}

/// Conversion between A-labels and U-labels.
#[cfg(feature = "idna")]
impl Domain {
    /// The domain with every U-label turned into its A-label (RFC 5891 §4.4, by the processing of UTS #46).
    ///
    /// # Errors
    /// [`DomainError::Character`] if a label is no valid U-label, or the other limits where the A-labels are too long.
    pub fn to_a_labels(&self) -> Result<Self, DomainError> {
        if self.is_ascii() {
            return Ok(self.clone());
        }
        let ascii = idna::domain_to_ascii(self.as_str()).map_err(|_| DomainError::Character {
            offset: self.as_str().find(|c: char| !c.is_ascii()).unwrap_or(0),
        })?;
        ascii.parse()
    }

    /// The domain with every valid A-label turned into its U-label; labels that are no valid A-label stay as they are.
    #[must_use]
    pub fn to_u_labels(&self) -> Self {
        let (text, result) = idna::domain_to_unicode(self.as_str());
        match result {
            Ok(()) => Self::parse_utf8(&text).unwrap_or_else(|_| self.clone()),
            Err(_) => self.clone(),
        }
    }
}

/// Whether [`Domain::parse_utf8`] takes it.
pub(crate) fn is_domain(text: &str) -> bool {
    check(text, true).is_ok()
}

fn check(text: &str, utf8: bool) -> Result<(), DomainError> {
    if text.len() > MAX_DOMAIN {
        return Err(DomainError::TooLong);
    }
    if is_usual(text) {
        return Ok(());
    }
    let mut offset = 0;
    for label in text.split('.') {
        if label.is_empty() {
            return Err(DomainError::EmptyLabel { offset });
        }
        // A U-label of n characters has an A-label of more than n octets, so characters are the least that may be counted.
        if label.chars().count() > MAX_LABEL {
            return Err(DomainError::LabelTooLong { offset });
        }
        let bad = label.char_indices().find(|&(at, c)| {
            !(c.is_ascii_alphanumeric()
                || c == '_'
                // RFC 5321 §4.1.2: "Ldh-str        = *( ALPHA / DIGIT / "-" ) Let-dig"
                || c == '-' && at != 0 && at != label.len() - 1
                || utf8 && is_u_label_character(c))
        });
        if let Some((at, _)) = bad {
            return Err(DomainError::Character {
                offset: offset + at,
            });
        }
        offset += label.len() + 1;
    }
    Ok(())
}

/// Whether all labels are letters, digits and underscores, as most are: it needs one pass.
fn is_usual(text: &str) -> bool {
    let mut label = 0;
    let fine = |octet: u8| {
        if octet == b'.' {
            core::mem::take(&mut label) > 0
        } else {
            label += 1;
            label <= MAX_LABEL && (octet.is_ascii_alphanumeric() || octet == b'_')
        }
    };
    text.bytes().all(fine) && label > 0
}

fn is_u_label_character(c: char) -> bool {
    !c.is_ascii()
        && !c.is_control()
        && !c.is_whitespace()
        // UTS #46 §4: these full stops are mapped to a dot, so they would end the label for another reader.
        && !matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
        && !crate::is_invisible(c)
}

impl FromStr for Domain {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, DomainError> {
        check(text, false).map(|()| Self::of(text.into()))
    }
}

impl TryFrom<&str> for Domain {
    type Error = DomainError;
    fn try_from(text: &str) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;
    fn try_from(text: String) -> Result<Self, DomainError> {
        check(&text, false).map(|()| Self::of(text.into()))
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.as_str())
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl Eq for Domain {}

impl PartialEq<str> for Domain {
    fn eq(&self, other: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Domain {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.as_str().bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
        state.write_u8(0);
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |c: u8| c.to_ascii_lowercase();
        self.as_str()
            .bytes()
            .map(lower)
            .cmp(other.as_str().bytes().map(lower))
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An address that stands where a domain would: `[192.0.2.1]`, `[IPv6:2001:db8::1]`, or another tagged form (RFC 5321 §4.1.3).
///
/// Printing gives the canonical form: IPv6 addresses as RFC 5952 writes them, whatever was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressLiteral {
    /// `[192.0.2.1]`.
    Ipv4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`.
    Ipv6(Ipv6Addr),
    /// `[tag:content]`, with a tag that is not `IPv6`.
    General(GeneralLiteral),
}

/// An address literal of a kind that is not IPv4 or IPv6: `[tag:content]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GeneralLiteral {
    text: Box<str>,
    colon: usize,
}

impl GeneralLiteral {
    /// The tag before the colon.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.text[..self.colon]
    }

    /// What follows the colon.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.text[self.colon + 1..]
    }
}

/// Why a text is no address literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressLiteralError {
    /// It does not stand in brackets.
    #[error("an address literal stands in brackets: [192.0.2.1]")]
    Brackets,
    /// Between the brackets is no IPv4 address, no `IPv6:` address and no `tag:content`.
    #[error("between the brackets is neither an IPv4 address, nor IPv6:address, nor tag:content")]
    Content,
    /// Longer than a domain may be.
    #[error("the address literal is longer than 255 octets")]
    TooLong,
}

impl AddressLiteral {
    /// The IP address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ipv4(ip) => Some((*ip).into()),
            Self::Ipv6(ip) => Some((*ip).into()),
            Self::General(_) => None,
        }
    }
}

impl From<IpAddr> for AddressLiteral {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::Ipv4(ip),
            IpAddr::V6(ip) => Self::Ipv6(ip),
        }
    }
}

impl FromStr for AddressLiteral {
    type Err = AddressLiteralError;
    fn from_str(text: &str) -> Result<Self, AddressLiteralError> {
        if text.len() > MAX_DOMAIN {
            return Err(AddressLiteralError::TooLong);
        }
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .ok_or(AddressLiteralError::Brackets)?;
        if let Some(ip) = parse_ipv4(inner) {
            return Ok(Self::Ipv4(ip));
        }
        let colon = inner.find(':').ok_or(AddressLiteralError::Content)?;
        let (tag, content) = (&inner[..colon], &inner[colon + 1..]);
        if tag.eq_ignore_ascii_case("IPv6") {
            return parse_ipv6(content)
                .map(Self::Ipv6)
                .ok_or(AddressLiteralError::Content);
        }
        // RFC 5321 §4.1.3: "Standardized-tag MUST be specified in a Standards-Track RFC and registered with IANA". An IPv6
        // address without its tag would otherwise be read as one with the tag `2001`.
        if inner.parse::<Ipv6Addr>().is_ok() {
            return Err(AddressLiteralError::Content);
        }
        let tag_fits = tag.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && tag.bytes().next_back().is_some_and(|c| c != b'-');
        // RFC 5321 §4.1.3: "dcontent       = %d33-90 / ; Printable US-ASCII"
        let content_fits =
            content.bytes().all(|c| matches!(c, 33..=90 | 94..=126)) && !content.is_empty();
        if tag_fits && content_fits {
            Ok(Self::General(GeneralLiteral {
                text: inner.into(),
                colon,
            }))
        } else {
            Err(AddressLiteralError::Content)
        }
    }
}

/// RFC 5321 §4.1.3: "Snum           = 1*3DIGIT". Leading zeros are decimal there, while the standard library refuses them.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// RFC 5321 §4.1.3: "The "::" represents at least 2 16-bit groups of zeros.": stricter than RFC 4291.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let ip: Ipv6Addr = text.parse().ok()?;
    let groups =
        text.split(':').filter(|group| !group.is_empty()).count() + usize::from(text.contains('.'));
    (!text.contains("::") || groups <= 6).then_some(ip)
}

impl fmt::Display for AddressLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(ip) => write!(f, "[{ip}]"),
            Self::Ipv6(ip) => write!(f, "[IPv6:{ip}]"),
            Self::General(literal) => write!(f, "[{}]", literal.text),
        }
    }
}

/// What stands behind the `@` of a mailbox or the word HELO: a domain or an address literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain.
    Domain(Domain),
    /// An address literal.
    Literal(AddressLiteral),
}

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It begins with no bracket and is no domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// It begins with a bracket and is no address literal.
    #[error(transparent)]
    Literal(#[from] AddressLiteralError),
}

impl Host {
    /// Parses a host whose domain may hold U-labels (RFC 6531 §3.3).
    ///
    /// # Errors
    /// As [`FromStr`].
    pub fn parse_utf8(text: &str) -> Result<Self, HostError> {
        if text.starts_with('[') {
            text.parse()
        } else {
            Ok(Self::Domain(Domain::parse_utf8(text)?))
        }
    }

    /// The domain, if it is one.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }
}

impl FromStr for Host {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.starts_with('[') {
            Ok(Self::Literal(text.parse()?))
        } else {
            Ok(Self::Domain(text.parse()?))
        }
    }
}

impl From<Domain> for Host {
    fn from(domain: Domain) -> Self {
        Self::Domain(domain)
    }
}

impl From<AddressLiteral> for Host {
    fn from(literal: AddressLiteral) -> Self {
        Self::Literal(literal)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_above_is_a_domain_of_its_own() {
        let domain: Domain = "a.b.Example.com".parse().unwrap();
        let parent = domain.parent().and_then(|above| above.parent()).unwrap();
        assert_eq!(parent.as_str(), "Example.com");
        assert_eq!(Ok(&parent), "example.COM".parse().as_ref());
        assert_eq!(parent.suffix(2).as_str(), "Example.com");
        assert_eq!(parent.parent().and_then(|top| top.parent()), None);
        for (count, suffix) in [
            (0, "com"),
            (1, "com"),
            (3, "b.Example.com"),
            (4, "a.b.Example.com"),
            (9, "a.b.Example.com"),
        ] {
            assert_eq!(domain.suffix(count).as_str(), suffix);
        }
        let longest: Domain = ("a.".repeat(127) + "a").parse().unwrap();
        assert_eq!(longest.suffix(1).as_str(), "a");
    }

    #[test]
    fn domains() {
        for good in [
            "example.com",
            "a",
            "xn--bcher-kva.example",
            "_dmarc.example.com",
            "1.2.3",
            "a-b.c",
            &"a".repeat(63),
        ] {
            assert_eq!(good.parse::<Domain>().unwrap().as_str(), good);
        }
        let long = [
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(64),
        ]
        .join(".");
        for (bad, error) in [
            ("", DomainError::EmptyLabel { offset: 0 }),
            (".a", DomainError::EmptyLabel { offset: 0 }),
            ("a.", DomainError::EmptyLabel { offset: 2 }),
            ("a..b", DomainError::EmptyLabel { offset: 2 }),
            ("-a", DomainError::Character { offset: 0 }),
            ("x.a-.b", DomainError::Character { offset: 3 }),
            ("a b", DomainError::Character { offset: 1 }),
            ("a\0b", DomainError::Character { offset: 1 }),
            ("bücher.example", DomainError::Character { offset: 1 }),
            (
                &format!("x.{}", "a".repeat(64)),
                DomainError::LabelTooLong { offset: 2 },
            ),
            (&long, DomainError::TooLong),
        ] {
            assert_eq!(bad.parse::<Domain>(), Err(error), "{bad:?}");
        }
        assert_eq!(
            Domain::parse_utf8("bücher.example").unwrap().to_string(),
            "bücher.example"
        );
        for bad in [
            "a\u{3002}b",
            "a\u{a0}b",
            "a\u{85}b",
            "a\u{200b}b",
            "a\u{202e}b",
        ] {
            assert!(Domain::parse_utf8(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn below() {
        let domain = |text: &str| text.parse::<Domain>().unwrap();
        assert!(domain("mail.EXAMPLE.com").is_at_or_below(&domain("example.COM")));
        assert!(domain("example.com").is_at_or_below(&domain("example.com")));
        assert!(!domain("badexample.com").is_at_or_below(&domain("example.com")));
        assert!(!domain("com").is_at_or_below(&domain("example.com")));
        assert_eq!(domain("a.b").parent().unwrap(), "B");
        assert_eq!(domain("a").parent(), None);
    }

    #[test]
    fn literals() {
        for (text, printed) in [
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[192.000.02.1]", "[192.0.2.1]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
            ("[ipv6:2001:DB8:0:0:0:0:0:1]", "[IPv6:2001:db8::1]"),
            ("[IPv6:::]", "[IPv6:::]"),
            ("[IPv6:::ffff:192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"),
            ("[x25:abc]", "[x25:abc]"),
        ] {
            let literal: AddressLiteral = text.parse().unwrap();
            assert_eq!(literal.to_string(), printed);
            assert_eq!(printed.parse(), Ok(literal));
        }
        for bad in [
            "192.0.2.1",
            "[]",
            "[256.0.0.1]",
            "[1.2.3]",
            "[1.2.3.4.5]",
            "[1.2.3.0004]",
            "[IPv6:]",
            "[IPv6:1::2:3:4:5:6:7:8]",
            "[IPv6:1:2:3::4:5:6:7]",
            "[2001:db8::1]x",
            "[2001:db8::[]",
            "[x-:a]",
            "[x:]",
            "[x:a b]",
        ] {
            assert!(bad.parse::<AddressLiteral>().is_err(), "{bad:?}");
        }
    }

    #[cfg(feature = "idna")]
    #[test]
    fn labels_convert() {
        let u = Domain::parse_utf8("bücher.example").unwrap();
        let a = u.to_a_labels().unwrap();
        assert_eq!(a.as_str(), "xn--bcher-kva.example");
        assert_eq!(a.to_u_labels().as_str(), "bücher.example");
        assert!(Domain::parse_utf8("a\u{338}\u{ad}=\u{338}").is_err());
    }
}
