//! Mailboxes, and the reverse-path and forward-path of the SMTP envelope.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use std::borrow::Cow;

use crate::domain::{Domain, DomainError, Host, HostError};

/// The longest local part, in octets: 64 (RFC 5321 §4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// The longest path, its angle brackets included, in octets: 256 (RFC 5321 §4.5.3.1.3).
pub const MAX_PATH: usize = 256;

/// The part of a mailbox before the `@`: a dot-string or a quoted string (RFC 5321 §4.1.2).
///
/// Keeps its spelling. All quoted forms of one local part are equal: `"joe"@` is `joe@`. Case counts, as only the host that owns
/// the mailbox may say that it does not. Limit: 64 octets as spelled.
#[derive(Clone)]
pub struct LocalPart {
    spelling: Box<str>,
}

/// A mailbox of the SMTP envelope: `local-part@domain`, in the strict grammar of RFC 5321 §4.1.2.
///
/// A value can be made only by parsing or from valid parts, so what it prints is one mailbox and nothing else. [`FromStr`] takes
/// ASCII; [`Mailbox::parse_utf8`] takes what SMTPUTF8 adds (RFC 6531 §3.3). Limits: 64 octets for the local part, 255 for the
/// domain, 254 in all (a path of 256 less its brackets).
///
/// ```
/// use mail_syntax::Mailbox;
/// let mailbox: Mailbox = r#""Joe\,Smith"@Example.COM"#.parse()?;
/// assert_eq!(mailbox.local_part().unquoted(), "Joe,Smith");
/// assert_eq!(mailbox, r#""Joe,Smith"@example.com"#.parse()?);
/// assert!("joe@example.com>\r\nRCPT TO:<x@y".parse::<Mailbox>().is_err());
/// # Ok::<(), mail_syntax::mailbox::MailboxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local_part: LocalPart,
    host: Host,
}

/// Who gets the bounces: a mailbox, or nobody (`<>`). RFC 5321 §4.1.2, `Reverse-path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a notification that must not be answered.
    Null,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// Where the mail goes: a mailbox, or the bare `<postmaster>`. RFC 5321 §4.1.1.3, `Forward-path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, in any case: the postmaster of the server itself.
    Postmaster,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// Why a text is no mailbox or path. Offsets count from the start of the text that was parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// The local part is empty.
    #[error("the local part at byte {offset} is empty")]
    EmptyLocalPart {
        /// Where it should have been.
        offset: usize,
    },
    /// The local part is longer than 64 octets.
    #[error("the local part is longer than 64 octets")]
    LocalPartTooLong,
    /// A character that may not stand in a local part, at least not unquoted.
    #[error(
        "character not allowed at byte {offset} of the local part: quote it, unless it is a control or non-ASCII character"
    )]
    Character {
        /// Where it stands.
        offset: usize,
    },
    /// The closing quote of the local part is missing.
    #[error("the quoted string that begins at byte {offset} does not end")]
    UnclosedQuote {
        /// Where the quoted string begins.
        offset: usize,
    },
    /// No `@` follows the local part.
    #[error("no @ at byte {offset}, behind the local part")]
    MissingAt {
        /// Where the `@` should have been.
        offset: usize,
    },
    /// What follows the `@` is no domain and no address literal.
    #[error("behind the @ at byte {offset}: {error}")]
    Host {
        /// Where the host begins.
        offset: usize,
        /// What is wrong with it.
        error: HostError,
    },
    /// The path does not stand in angle brackets.
    #[error("a path stands in angle brackets: <user@example.com>")]
    Brackets,
    /// A source route (`<@a,@b:user@c>`) that does not follow its grammar.
    #[error("malformed source route at byte {offset}: leave the route out, it is ignored anyway")]
    SourceRoute {
        /// Where the mistake is.
        offset: usize,
    },
    /// Longer than 256 octets with its brackets.
    #[error("the path is longer than 256 octets")]
    PathTooLong,
}

impl LocalPart {
    /// Parses a local part that may hold UTF-8 (RFC 6531 §3.3).
    ///
    /// # Errors
    /// As [`FromStr`].
    pub fn parse_utf8(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text, true)
    }

    /// The local part whose meaning is `content`, in the form that uses the least quoting.
    ///
    /// # Errors
    /// If it is too long or holds control characters. An empty one becomes `""`.
    pub fn from_unquoted(content: &str) -> Result<Self, MailboxError> {
        if Self::scan(content, true) == Ok(content.len()) && !content.starts_with('"') {
            return Self::parse_utf8(content);
        }
        let mut spelling = String::with_capacity(content.len() + 2);
        spelling.push('"');
        for c in content.chars() {
            if matches!(c, '"' | '\\') {
                spelling.push('\\');
            }
            spelling.push(c);
        }
        spelling.push('"');
        Self::parse_utf8(&spelling)
    }

    /// The local part as it was spelled, quotes included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// True if it is spelled as a quoted string.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        self.spelling.starts_with('"')
    }

    /// What the local part means: without quotes and backslashes.
    #[must_use]
    pub fn unquoted(&self) -> Cow<'_, str> {
        if !self.is_quoted() {
            return Cow::Borrowed(&self.spelling);
        }
        let inner = &self.spelling[1..self.spelling.len() - 1];
        if !inner.contains('\\') {
            return Cow::Borrowed(inner);
        }
        let mut escaped = false;
        let kept = |c: &char| {
            escaped = *c == '\\' && !escaped;
            !escaped
        };
        Cow::Owned(inner.chars().filter(kept).collect())
    }

    /// The same local part in the form that RFC 5321 §4.1.2 wants to be sent: "the form that uses the minimum quoting possible".
    #[must_use]
    pub fn minimally_quoted(&self) -> Self {
        Self::from_unquoted(&self.unquoted()).unwrap_or_else(|_| self.clone())
    }

    fn parse(text: &str, utf8: bool) -> Result<Self, MailboxError> {
        match Self::scan(text, utf8)? {
            end if end == text.len() => Ok(Self {
                spelling: text.into(),
            }),
            end => Err(MailboxError::Character { offset: end }),
        }
    }

    /// The length of the local part at the start of `text`.
    fn scan(text: &str, utf8: bool) -> Result<usize, MailboxError> {
        let end = if text.starts_with('"') {
            scan_quoted(text, utf8)
        } else {
            scan_dot_string(text, utf8)
        }?;
        if end > MAX_LOCAL_PART {
            Err(MailboxError::LocalPartTooLong)
        } else {
            Ok(end)
        }
    }
}

fn scan_quoted(text: &str, utf8: bool) -> Result<usize, MailboxError> {
    let mut characters = text.char_indices().skip(1);
    while let Some((offset, c)) = characters.next() {
        match c {
            '"' => return Ok(offset + 1),
            // RFC 5321 §4.1.2: "quoted-pairSMTP  = %d92 %d32-126". RFC 6531 does not extend it.
            '\\' => match characters.next() {
                Some((_, ' '..='~')) => {}
                Some((offset, _)) => return Err(MailboxError::Character { offset }),
                None => return Err(MailboxError::UnclosedQuote { offset: 0 }),
            },
            ' '..='~' => {}
            c if utf8 && is_utf8_text(c) => {}
            _ => return Err(MailboxError::Character { offset }),
        }
    }
    Err(MailboxError::UnclosedQuote { offset: 0 })
}

fn scan_dot_string(text: &str, utf8: bool) -> Result<usize, MailboxError> {
    let mut at_start_of_atom = true;
    for (offset, c) in text.char_indices() {
        if is_atext(c) || utf8 && is_utf8_text(c) {
            at_start_of_atom = false;
        } else if c == '.' && !at_start_of_atom {
            at_start_of_atom = true;
        } else if at_start_of_atom {
            return Err(if offset == 0 && c == '@' {
                MailboxError::EmptyLocalPart { offset }
            } else {
                MailboxError::Character { offset }
            });
        } else {
            return Ok(offset);
        }
    }
    match text.len() {
        0 => Err(MailboxError::EmptyLocalPart { offset: 0 }),
        length if at_start_of_atom => Err(MailboxError::Character { offset: length - 1 }),
        length => Ok(length),
    }
}

/// RFC 5322 §3.2.3, `atext`.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_utf8_text(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

impl Mailbox {
    /// The mailbox of these parts.
    ///
    /// # Errors
    /// [`MailboxError::PathTooLong`] if both together do not fit into a path.
    pub fn new(local_part: LocalPart, host: impl Into<Host>) -> Result<Self, MailboxError> {
        let mailbox = Self {
            local_part,
            host: host.into(),
        };
        let host_length = match &mailbox.host {
            Host::Domain(domain) => domain.as_str().len(),
            Host::Literal(literal) => literal.to_string().len(),
        };
        if mailbox.local_part.spelling.len() + 1 + host_length + 2 > MAX_PATH {
            return Err(MailboxError::PathTooLong);
        }
        Ok(mailbox)
    }

    /// Parses a mailbox that may hold UTF-8 in its local part and U-labels in its domain (RFC 6531 §3.3).
    ///
    /// # Errors
    /// As [`FromStr`].
    pub fn parse_utf8(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text, true)
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The domain behind the `@`, or `None` where an address literal stands.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        self.host.domain()
    }

    /// True if it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local_part.spelling.is_ascii() && self.domain().is_none_or(Domain::is_ascii)
    }

    fn parse(text: &str, utf8: bool) -> Result<Self, MailboxError> {
        let at = LocalPart::scan(text, utf8)?;
        let Some(host) = text[at..].strip_prefix('@') else {
            return Err(if at == text.len() {
                MailboxError::MissingAt { offset: at }
            } else {
                MailboxError::Character { offset: at }
            });
        };
        let host = if utf8 {
            Host::parse_utf8(host)
        } else {
            host.parse()
        };
        let host = host.map_err(|error| MailboxError::Host {
            offset: at + 1,
            error,
        })?;
        Self::new(
            LocalPart {
                spelling: text[..at].into(),
            },
            host,
        )
    }
}

/// Takes the angle brackets and the source route off a path.
fn strip_path(text: &str, utf8: bool) -> Result<(usize, &str), MailboxError> {
    if text.len() > MAX_PATH {
        return Err(MailboxError::PathTooLong);
    }
    let inner = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .ok_or(MailboxError::Brackets)?;
    if !inner.starts_with('@') {
        return Ok((1, inner));
    }
    // RFC 5321 §4.1.2: "Note that this form, the so-called "source route", MUST BE accepted, SHOULD NOT be generated, and
    // SHOULD be ignored."
    let mut offset = 1;
    let colon = inner
        .find(':')
        .ok_or(MailboxError::SourceRoute { offset })?;
    for at_domain in inner[..colon].split(',') {
        let domain = at_domain
            .strip_prefix('@')
            .ok_or(MailboxError::SourceRoute { offset })?;
        let parsed: Result<_, DomainError> = if utf8 {
            Domain::parse_utf8(domain)
        } else {
            domain.parse()
        };
        parsed.map_err(|_| MailboxError::SourceRoute { offset })?;
        offset += at_domain.len() + 1;
    }
    Ok((1 + colon + 1, &inner[colon + 1..]))
}

fn parse_path(text: &str, utf8: bool) -> Result<Mailbox, MailboxError> {
    let (start, mailbox) = strip_path(text, utf8)?;
    Mailbox::parse(mailbox, utf8).map_err(|error| error.moved(start))
}

impl MailboxError {
    fn moved(self, by: usize) -> Self {
        match self {
            Self::EmptyLocalPart { offset } => Self::EmptyLocalPart {
                offset: offset + by,
            },
            Self::Character { offset } => Self::Character {
                offset: offset + by,
            },
            Self::UnclosedQuote { offset } => Self::UnclosedQuote {
                offset: offset + by,
            },
            Self::MissingAt { offset } => Self::MissingAt {
                offset: offset + by,
            },
            Self::Host { offset, error } => Self::Host {
                offset: offset + by,
                error,
            },
            other => other,
        }
    }
}

impl ReversePath {
    /// Parses a reverse-path that may hold UTF-8 (RFC 6531 §3.3).
    ///
    /// # Errors
    /// As [`FromStr`].
    pub fn parse_utf8(text: &str) -> Result<Self, MailboxError> {
        if text == "<>" {
            Ok(Self::Null)
        } else {
            parse_path(text, true).map(Self::Mailbox)
        }
    }

    /// The mailbox, or `None` for the null reverse-path.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl ForwardPath {
    /// Parses a forward-path that may hold UTF-8 (RFC 6531 §3.3).
    ///
    /// # Errors
    /// As [`FromStr`].
    pub fn parse_utf8(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text, true)
    }

    /// The mailbox, or `None` for the bare postmaster.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    fn parse(text: &str, utf8: bool) -> Result<Self, MailboxError> {
        // RFC 5321 §4.5.1: "the special case of "RCPT TO:<Postmaster>" (with no domain specification), MUST be supported."
        if text.eq_ignore_ascii_case("<postmaster>") {
            return Ok(Self::Postmaster);
        }
        parse_path(text, utf8).map(Self::Mailbox)
    }
}

impl FromStr for LocalPart {
    type Err = MailboxError;
    fn from_str(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text, false)
    }
}

impl FromStr for Mailbox {
    type Err = MailboxError;
    fn from_str(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text, false)
    }
}

impl FromStr for ReversePath {
    type Err = MailboxError;
    fn from_str(text: &str) -> Result<Self, MailboxError> {
        if text == "<>" {
            Ok(Self::Null)
        } else {
            parse_path(text, false).map(Self::Mailbox)
        }
    }
}

impl FromStr for ForwardPath {
    type Err = MailboxError;
    fn from_str(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text, false)
    }
}

impl TryFrom<&str> for Mailbox {
    type Error = MailboxError;
    fn try_from(text: &str) -> Result<Self, MailboxError> {
        text.parse()
    }
}

impl From<Mailbox> for ReversePath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl From<Mailbox> for ForwardPath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl PartialEq for LocalPart {
    fn eq(&self, other: &Self) -> bool {
        // RFC 5321 §4.1.2: "all quoted forms MUST be treated as equivalent"
        self.unquoted() == other.unquoted()
    }
}

impl Eq for LocalPart {}

impl Hash for LocalPart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unquoted().hash(state);
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalPart({})", self.spelling)
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.host)
    }
}

/// Prints the path in its angle brackets.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// Prints the path in its angle brackets.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        for good in [
            "a@b",
            "joe.smith@example.com",
            "joe+tag@[192.0.2.1]",
            r#""joe smith"@example.com"#,
            r#""a\"b"@example.com"#,
            r#"""@example.com"#,
            "!#$%&'*+-/=?^_`{|}~@x",
        ] {
            assert_eq!(good.parse::<Mailbox>().unwrap().to_string(), good);
        }
        for (bad, error) in [
            ("", MailboxError::EmptyLocalPart { offset: 0 }),
            ("@b", MailboxError::EmptyLocalPart { offset: 0 }),
            ("a", MailboxError::MissingAt { offset: 1 }),
            ("a b@c", MailboxError::Character { offset: 1 }),
            ("a..b@c", MailboxError::Character { offset: 2 }),
            (".a@c", MailboxError::Character { offset: 0 }),
            ("a.@c", MailboxError::Character { offset: 2 }),
            ("\"a@c", MailboxError::UnclosedQuote { offset: 0 }),
            ("\"a\r\n\"@c", MailboxError::Character { offset: 2 }),
            ("\"a\\\r\"@c", MailboxError::Character { offset: 3 }),
            ("a(x)@c", MailboxError::Character { offset: 1 }),
            ("ü@c", MailboxError::Character { offset: 0 }),
        ] {
            assert_eq!(bad.parse::<Mailbox>(), Err(error), "{bad:?}");
        }
        assert!(matches!(
            "a@b@c".parse::<Mailbox>(),
            Err(MailboxError::Host { offset: 2, .. })
        ));
        assert!(matches!(
            "a@b\0".parse::<Mailbox>(),
            Err(MailboxError::Host { offset: 2, .. })
        ));
    }

    #[test]
    fn limits() {
        let local = "a".repeat(64);
        assert!(format!("{local}@b").parse::<Mailbox>().is_ok());
        assert_eq!(
            format!("{local}a@b").parse::<Mailbox>(),
            Err(MailboxError::LocalPartTooLong)
        );
        let domain = ["a".repeat(63), "b".repeat(63), "c".repeat(61)].join(".");
        assert_eq!(format!("{local}@{domain}").len(), 254);
        assert!(format!("{local}@{domain}").parse::<Mailbox>().is_ok());
        assert_eq!(
            format!("{local}@{domain}c").parse::<Mailbox>(),
            Err(MailboxError::PathTooLong)
        );
    }

    #[test]
    fn quoted_forms_are_equal() {
        let mailbox = |text: &str| text.parse::<Mailbox>().unwrap();
        assert_eq!(mailbox(r#""joe"@example.com"#), mailbox("joe@EXAMPLE.com"));
        assert_eq!(mailbox(r#""j\oe"@example.com"#), mailbox("joe@example.com"));
        assert_ne!(mailbox("Joe@example.com"), mailbox("joe@example.com"));
        assert_eq!(
            mailbox(r#""j\oe"@x"#)
                .local_part()
                .minimally_quoted()
                .as_str(),
            "joe"
        );
        assert_eq!(
            LocalPart::from_unquoted("a\"b\\ c").unwrap().as_str(),
            r#""a\"b\\ c""#
        );
        assert_eq!(
            LocalPart::from_unquoted("a\"b\\ c").unwrap().unquoted(),
            "a\"b\\ c"
        );
        assert_eq!(LocalPart::from_unquoted("").unwrap().as_str(), "\"\"");
        assert!(LocalPart::from_unquoted("a\r\nb").is_err());
    }

    #[test]
    fn utf8() {
        let mailbox = Mailbox::parse_utf8("jörg@bücher.example").unwrap();
        assert_eq!(mailbox.to_string(), "jörg@bücher.example");
        assert!(!mailbox.is_ascii());
        assert!(Mailbox::parse_utf8("\"j\\ö\"@b").is_err());
        assert!(Mailbox::parse_utf8("j\u{2028}@b").is_err());
    }

    #[test]
    fn paths() {
        assert_eq!("<>".parse(), Ok(ReversePath::Null));
        assert_eq!("<a@b>".parse::<ReversePath>().unwrap().to_string(), "<a@b>");
        assert_eq!(
            "<@x,@y:a@b>".parse::<ReversePath>().unwrap().to_string(),
            "<a@b>"
        );
        assert_eq!("<PostMaster>".parse(), Ok(ForwardPath::Postmaster));
        for bad in [
            "",
            "<",
            "a@b",
            "<a@b",
            "<a@b>>",
            "<<a@b>>",
            "<@x>",
            "<@x:>",
            "<@x,y:a@b>",
            "<@x,:a@b>",
            "< a@b>",
            "<a@b> ",
        ] {
            assert!(bad.parse::<ReversePath>().is_err(), "{bad:?}");
            assert!(bad.parse::<ForwardPath>().is_err(), "{bad:?}");
        }
        assert!("<>".parse::<ForwardPath>().is_err());
        assert!("<postmaster>".parse::<ReversePath>().is_err());
        assert_eq!(
            "<@x:a..b@c>".parse::<ReversePath>(),
            Err(MailboxError::Character { offset: 6 })
        );
    }
}
