//! Address lists of header fields (From, To, Cc …), and the domains of a message's authors.
//!
//! RFC 5322 §3.4 with the obsolete forms of §4.4, groups in From (RFC 6854) and UTF-8 (RFC 6532). Strict where readers of the
//! same list differ: a display name with an unquoted `@`, comma or bracket is an error, never half an answer.

use core::fmt;
use std::borrow::Cow;

use crate::domain::Domain;
use crate::header::Header;
use crate::lexer::{Lexer, is_atext, quote};
use crate::mailbox::{LocalPart, Mailbox, MailboxError};

pub use crate::lexer::LexError;

/// The most addresses a list may have, members of groups included: 10,000.
pub const MAX_ADDRESSES: usize = 10_000;

/// The addresses of one header field.
///
/// ```
/// use mail_syntax::address_list::AddressList;
/// let list = AddressList::parse(b" Team: Joe <joe@example.com>, (hi) amy@example.org;, \"A, B\" <ab@x.test>")?;
/// assert_eq!(list.to_string(), "Team: Joe <joe@example.com>, amy@example.org;, \"A, B\" <ab@x.test>");
/// assert_eq!(list.mailboxes().count(), 3);
/// # Ok::<(), mail_syntax::address_list::AddressListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressList {
    addresses: Vec<Address>,
}

/// A mailbox or a group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A mailbox.
    Mailbox(NamedMailbox),
    /// A group.
    Group(Group),
}

/// A mailbox with the name that is shown for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedMailbox {
    name: Option<DisplayName>,
    addr_spec: AddrSpec,
}

/// A named group of mailboxes, perhaps of none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    name: DisplayName,
    members: Vec<NamedMailbox>,
}

/// A display name: the phrase as it is written, and the text it stands for. Encoded words are left as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName {
    phrase: String,
    text: String,
}

/// `local-part@domain` in a header field (RFC 5322 §3.4.1): wider than a [`Mailbox`] of the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddrSpec {
    local_part: String,
    domain: String,
}

/// Why a text is no address list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressListError {
    /// A comment, quoted string or character that cannot be read.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// Something else should stand there.
    #[error("{expected} expected at byte {offset} of the address list")]
    Expected {
        /// What should stand there.
        expected: &'static str,
        /// Where.
        offset: usize,
    },
    /// More than [`MAX_ADDRESSES`].
    #[error("more than 10,000 addresses")]
    TooMany,
}

impl AddressList {
    /// Parses the body of a field.
    ///
    /// Octets that are no UTF-8 are read as U+FFFD, which no domain holds.
    ///
    /// # Errors
    /// The first mistake; there is no list with parts left out.
    pub fn parse(body: &[u8]) -> Result<Self, AddressListError> {
        let text = String::from_utf8_lossy(body);
        Parser {
            lexer: Lexer::new(&text),
            count: 0,
        }
        .list()
    }

    /// The addresses in order.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// All mailboxes in order, those of groups included.
    pub fn mailboxes(&self) -> impl Iterator<Item = &NamedMailbox> {
        self.addresses.iter().flat_map(|address| match address {
            Address::Mailbox(mailbox) => core::slice::from_ref(mailbox),
            Address::Group(group) => group.members.as_slice(),
        })
    }
}

impl FromIterator<Address> for AddressList {
    fn from_iter<I: IntoIterator<Item = Address>>(addresses: I) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
        }
    }
}

impl NamedMailbox {
    /// A mailbox with this display name; line breaks and other control characters in the name become spaces.
    #[must_use]
    pub fn new(name: Option<&str>, mailbox: &Mailbox) -> Self {
        let addr_spec = AddrSpec {
            local_part: mailbox.local_part().unquoted().into_owned(),
            domain: mailbox.host().to_string(),
        };
        Self {
            name: name.map(DisplayName::new),
            addr_spec,
        }
    }

    /// The display name.
    #[must_use]
    pub fn name(&self) -> Option<&DisplayName> {
        self.name.as_ref()
    }

    /// The address.
    #[must_use]
    pub fn addr_spec(&self) -> &AddrSpec {
        &self.addr_spec
    }
}

impl Group {
    /// The name of the group.
    #[must_use]
    pub fn name(&self) -> &DisplayName {
        &self.name
    }

    /// Its members.
    #[must_use]
    pub fn members(&self) -> &[NamedMailbox] {
        &self.members
    }
}

impl DisplayName {
    /// A display name that stands for this text; control characters become spaces.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        // Text that looks like an encoded word must not become one.
        let plain = !text.contains("=?")
            && text
                .split(' ')
                .all(|word| !word.is_empty() && word.chars().all(is_atext));
        Self {
            phrase: if plain { text.clone() } else { quote(&text) },
            text,
        }
    }

    /// What the phrase says, without quotes; encoded words undecoded.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl AddrSpec {
    /// The local part without quotes.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// What stands behind the `@`, without comments and white space around it; a domain literal with its brackets.
    #[must_use]
    pub fn domain_text(&self) -> &str {
        &self.domain
    }

    /// The domain, or `None` for a literal or what is no domain name.
    #[must_use]
    pub fn domain(&self) -> Option<Domain> {
        Domain::parse_utf8(&self.domain).ok()
    }

    /// The mailbox of the envelope that this is.
    ///
    /// # Errors
    /// If RFC 5321 does not allow it: too long, control characters, no domain name.
    pub fn mailbox(&self) -> Result<Mailbox, MailboxError> {
        let local_part = LocalPart::from_unquoted(&self.local_part)?;
        Mailbox::parse_utf8(&format!("{local_part}@{}", self.domain))
    }
}

/// The domains of a message's authors, as DMARC needs them (RFC 9989 §5.3.1): the absence of an answer is never an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorDomains {
    /// There is one From field, and it names no mailbox (an empty group).
    None,
    /// All authors have this domain.
    One(Domain),
    /// There are authors of these domains: two or more, each once.
    Several(Vec<Domain>),
    /// It cannot be told who the authors are.
    Malformed(AuthorError),
}

/// Why the authors cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// The header has no From field.
    #[error("no From field")]
    NoField,
    /// The header has more than one From field.
    #[error("{count} From fields, where RFC 5322 allows one")]
    SeveralFields {
        /// How many.
        count: usize,
    },
    /// Readers disagree about what the fields of this header are.
    #[error("the header is malformed")]
    Header,
    /// The From field is no address list.
    #[error("From: {0}")]
    List(#[from] AddressListError),
    /// An author whose domain is a literal or no domain name.
    #[error("From: {0:?} is no domain name")]
    Domain(String),
}

impl AuthorDomains {
    /// The domains of the authors that the From field of this header names.
    #[must_use]
    pub fn of(header: &Header<'_>) -> Self {
        if header.index().is_malformed() {
            return Self::Malformed(AuthorError::Header);
        }
        let mut fields = header.named("From");
        match (fields.next(), fields.count()) {
            (None, _) => Self::Malformed(AuthorError::NoField),
            (Some(field), 0) => Self::of_from(field.body()),
            (Some(_), more) => Self::Malformed(AuthorError::SeveralFields { count: more + 1 }),
        }
    }

    /// The domains of the authors that this body of a From field names.
    #[must_use]
    pub fn of_from(body: &[u8]) -> Self {
        let list = match AddressList::parse(body) {
            Ok(list) => list,
            Err(error) => return Self::Malformed(error.into()),
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut domains = Vec::new();
        for mailbox in list.mailboxes() {
            match mailbox.addr_spec.domain() {
                Some(domain) if seen.contains(&domain) => {}
                Some(domain) => {
                    seen.insert(domain.clone());
                    domains.push(domain);
                }
                None => {
                    return Self::Malformed(AuthorError::Domain(mailbox.addr_spec.domain.clone()));
                }
            }
        }
        match domains.pop() {
            None => Self::None,
            Some(domain) if domains.is_empty() => Self::One(domain),
            Some(domain) => {
                domains.push(domain);
                Self::Several(domains)
            }
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    count: usize,
}

/// One word of a phrase or local part, or a dot between them.
struct Word<'a> {
    text: Cow<'a, str>,
    kind: WordKind,
    /// White space or a comment stood before it.
    apart: bool,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum WordKind {
    Atom,
    Quoted,
    Dot,
}

impl<'a> Parser<'a> {
    fn list(mut self) -> Result<AddressList, AddressListError> {
        let mut addresses = Vec::new();
        loop {
            self.lexer.cfws()?;
            match self.lexer.peek() {
                None => break,
                // RFC 5322 §4.4: "mailbox-list and address-list were allowed to have "null" members."
                Some(',') => {}
                Some(_) => addresses.push(self.address(true)?),
            }
            self.lexer.cfws()?;
            if !self.lexer.eat(',') && self.lexer.peek().is_some() {
                return Err(self.expected("a comma"));
            }
        }
        if addresses.is_empty() {
            Err(self.expected("an address"))
        } else {
            Ok(AddressList { addresses })
        }
    }

    fn address(&mut self, group: bool) -> Result<Address, AddressListError> {
        self.count += 1;
        if self.count > MAX_ADDRESSES {
            return Err(AddressListError::TooMany);
        }
        let words = self.words()?;
        match self.lexer.peek() {
            Some('@') => {
                let local_part = self.local_part(&words)?;
                let domain = self.domain()?;
                Ok(Address::Mailbox(NamedMailbox {
                    name: None,
                    addr_spec: AddrSpec { local_part, domain },
                }))
            }
            Some('<') => {
                let name = if words.is_empty() {
                    None
                } else {
                    Some(self.phrase(&words)?)
                };
                let addr_spec = self.angle_addr()?;
                Ok(Address::Mailbox(NamedMailbox { name, addr_spec }))
            }
            Some(':') if group && !words.is_empty() => {
                let name = self.phrase(&words)?;
                self.lexer.eat(':');
                Ok(Address::Group(Group {
                    name,
                    members: self.members()?,
                }))
            }
            _ => Err(self.expected("@ and a domain, or an address in angle brackets")),
        }
    }

    fn members(&mut self) -> Result<Vec<NamedMailbox>, AddressListError> {
        let mut members = Vec::new();
        loop {
            self.lexer.cfws()?;
            if self.lexer.eat(';') {
                return Ok(members);
            }
            if !self.lexer.rest().starts_with(',') {
                match self.address(false)? {
                    Address::Mailbox(mailbox) => members.push(mailbox),
                    Address::Group(_) => return Err(self.expected("a mailbox")),
                }
            }
            self.lexer.cfws()?;
            if !self.lexer.eat(',') && !self.lexer.rest().starts_with(';') {
                return Err(self.expected("a comma or the ; of the group"));
            }
        }
    }

    fn words(&mut self) -> Result<Vec<Word<'a>>, AddressListError> {
        let mut words = Vec::new();
        loop {
            let apart = self.lexer.cfws()?;
            let (text, kind) = match self.lexer.peek() {
                Some('"') => (Cow::Owned(self.lexer.quoted_string()?), WordKind::Quoted),
                Some('.') => {
                    self.lexer.eat('.');
                    (Cow::Borrowed("."), WordKind::Dot)
                }
                Some(c) if is_atext(c) => (Cow::Borrowed(self.lexer.run(is_atext)), WordKind::Atom),
                _ => return Ok(words),
            };
            words.push(Word { text, kind, apart });
        }
    }

    /// RFC 5322 §4.4: "obs-local-part  =   word *("." word)"
    fn local_part(&self, words: &[Word<'_>]) -> Result<String, AddressListError> {
        let alternates = words
            .iter()
            .enumerate()
            .all(|(at, word)| (word.kind == WordKind::Dot) == (at % 2 == 1));
        if !alternates || words.len().is_multiple_of(2) {
            return Err(self.expected("one local part"));
        }
        Ok(words.iter().map(|word| &*word.text).collect())
    }

    /// RFC 5322 §4.1: "obs-phrase      =   word *(word / "." / CFWS)"
    fn phrase(&self, words: &[Word<'_>]) -> Result<DisplayName, AddressListError> {
        if words.first().is_none_or(|word| word.kind == WordKind::Dot) {
            return Err(self.expected("a display name"));
        }
        let mut name = DisplayName {
            phrase: String::new(),
            text: String::new(),
        };
        for (at, word) in words.iter().enumerate() {
            if at > 0 && word.apart {
                name.phrase.push(' ');
                name.text.push(' ');
            }
            match word.kind {
                WordKind::Quoted => name.phrase.push_str(&quote(&word.text)),
                WordKind::Atom | WordKind::Dot => name.phrase.push_str(&word.text),
            }
            name.text.push_str(&word.text);
        }
        Ok(name)
    }

    fn angle_addr(&mut self) -> Result<AddrSpec, AddressListError> {
        self.lexer.eat('<');
        self.lexer.cfws()?;
        if matches!(self.lexer.peek(), Some('@' | ',')) {
            self.route()?;
        }
        let words = self.words()?;
        let local_part = self.local_part(&words)?;
        if self.lexer.peek() != Some('@') {
            return Err(self.expected("@"));
        }
        let domain = self.domain()?;
        if !self.lexer.eat('>') {
            return Err(self.expected(">"));
        }
        Ok(AddrSpec { local_part, domain })
    }

    /// RFC 5322 §4.4: "When interpreting addresses, the route portion SHOULD be ignored."
    fn route(&mut self) -> Result<(), AddressListError> {
        loop {
            self.lexer.cfws()?;
            match self.lexer.peek() {
                Some('@') => drop(self.domain()?),
                Some(',') => drop(self.lexer.eat(',')),
                Some(':') => {
                    self.lexer.eat(':');
                    return Ok(());
                }
                _ => return Err(self.expected("the : of a source route")),
            }
        }
    }

    /// The `@`, the domain, and the white space and comments behind it.
    fn domain(&mut self) -> Result<String, AddressListError> {
        self.lexer.eat('@');
        self.lexer.cfws()?;
        if self.lexer.peek() == Some('[') {
            let literal = self.domain_literal()?;
            self.lexer.cfws()?;
            return Ok(literal);
        }
        let mut domain = String::new();
        loop {
            let label = self.lexer.run(is_atext);
            // RFC 5322 §3.4.1: "In the dot-atom form, this is interpreted as an Internet domain name". None has such labels.
            if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
                return Err(self.expected("a domain name"));
            }
            domain.push_str(label);
            self.lexer.cfws()?;
            if !self.lexer.eat('.') {
                return Ok(domain);
            }
            domain.push('.');
            self.lexer.cfws()?;
        }
    }

    fn domain_literal(&mut self) -> Result<String, AddressListError> {
        let offset = self.lexer.offset();
        let mut literal = String::new();
        self.lexer.eat('[');
        literal.push('[');
        loop {
            match self.lexer.peek() {
                Some(']') => {
                    self.lexer.eat(']');
                    literal.push(']');
                    return Ok(literal);
                }
                Some('\\') => {
                    literal.push('\\');
                    literal.push(self.lexer.quoted_pair(LexError::Character { offset })?);
                }
                Some('\r' | '\n' | ' ' | '\t') => {
                    self.lexer.cfws()?;
                    if !literal.ends_with(' ') {
                        literal.push(' ');
                    }
                }
                Some(c) if c != '[' && c != '\0' => {
                    self.lexer.eat(c);
                    literal.push(c);
                }
                _ => return Err(self.expected("the ] of a domain literal")),
            }
        }
    }

    fn expected(&self, expected: &'static str) -> AddressListError {
        AddressListError::Expected {
            expected,
            offset: self.lexer.offset(),
        }
    }
}

impl fmt::Display for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.addresses)
    }
}

fn write_list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
    }
    Ok(())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Group(group) => {
                write!(
                    f,
                    "{}:{}",
                    group.name,
                    if group.members.is_empty() { "" } else { " " }
                )?;
                write_list(f, &group.members)?;
                f.write_str(";")
            }
        }
    }
}

impl fmt::Display for NamedMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.addr_spec),
            None => self.addr_spec.fmt(f),
        }
    }
}

/// Prints the phrase, quoted where it must be.
impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.phrase)
    }
}

impl fmt::Display for AddrSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self
            .local_part
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
        {
            write!(f, "{}@{}", self.local_part, self.domain)
        } else {
            write!(f, "{}@{}", quote(&self.local_part), self.domain)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Limits;
    use proptest::prelude::*;

    #[test]
    fn author_domains() {
        let one = |domain: &str| AuthorDomains::One(domain.parse().unwrap());
        for (from, expected) in [
            ("joe@example.com", Some(one("example.com"))),
            (
                "\"x@evil.test\" <joe@example.com>",
                Some(one("example.com")),
            ),
            ("a@example.com, b@EXAMPLE.com", Some(one("example.com"))),
            ("G: a@example.com;", Some(one("example.com"))),
            (
                "(a@evil.test) joe(x)@(y)example.com(z)",
                Some(one("example.com")),
            ),
            ("<@evil.test:joe@example.com>", Some(one("example.com"))),
            ("G:;", Some(AuthorDomains::None)),
            (
                "G: a@a.test;, b@b.test",
                Some(AuthorDomains::Several(vec![
                    "a.test".parse().unwrap(),
                    "b.test".parse().unwrap(),
                ])),
            ),
            ("joe@[192.0.2.1]", None),
            ("joe@a@b", None),
            ("joe@evil.test <joe@example.com>", None),
            ("<a@b>, <c@d", None),
            ("a@b\0", None),
            ("", None),
            ("G: H: a@b;;", None),
            ("a@b c@d", None),
            ("<a@b> <c@d>", None),
        ] {
            let found = AuthorDomains::of_from(from.as_bytes());
            match expected {
                Some(expected) => assert_eq!(found, expected, "{from:?}"),
                None => assert!(
                    matches!(found, AuthorDomains::Malformed(_)),
                    "{from:?}: {found:?}"
                ),
            }
        }
        for (message, expected) in [
            (
                &b"From: a@b\r\nFROM : c@d\r\n\r\n"[..],
                AuthorError::SeveralFields { count: 2 },
            ),
            (b"To: a@b\r\n\r\n", AuthorError::NoField),
            (b"From: a@b\r\nnonsense\r\n\r\n", AuthorError::Header),
        ] {
            let (header, _) = Header::split(message, &Limits::default()).unwrap();
            assert_eq!(
                AuthorDomains::of(&header),
                AuthorDomains::Malformed(expected)
            );
        }
    }

    #[test]
    fn comments_have_a_depth() {
        let nested = |n: usize| format!("{}{} a@b", "(".repeat(n), ")".repeat(n));
        assert!(AddressList::parse(nested(16).as_bytes()).is_ok());
        assert_eq!(
            AddressList::parse(nested(17).as_bytes()),
            Err(AddressListError::Lex(LexError::CommentTooDeep {
                offset: 16
            }))
        );
    }

    #[test]
    fn names_cannot_inject() {
        let mailbox: Mailbox = "a@b".parse().unwrap();
        for (name, printed) in [
            ("Joe Public", "Joe Public <a@b>"),
            ("Joe\r\nBcc: x", "\"Joe  Bcc: x\" <a@b>"),
            ("\"<evil@x>, \\", r#""\"<evil@x>, \\" <a@b>"#),
            ("=?utf-8?q?x?=", "\"=?utf-8?q?x?=\" <a@b>"),
            ("", "\"\" <a@b>"),
        ] {
            let named = NamedMailbox::new(Some(name), &mailbox);
            assert_eq!(named.to_string(), printed);
            let list = AddressList::parse(printed.as_bytes()).unwrap();
            assert_eq!(list.addresses(), [Address::Mailbox(named)]);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(parts in proptest::collection::vec(prop_oneof![
            Just("a@b"), Just("\"x y\"@c.d"), Just("Joe Q. Public <joe@e.f>"), Just("\"a\\\"b\" c <d@[1.2.3.4]>"), Just("G:"),
            Just(";"), Just(","), Just(" "), Just("(c)"), Just("<@x,@y:z@w>"), Just("=?utf-8?q?=41?= <ü@ö.x>"),
        ], 0..10)) {
            if let Ok(list) = AddressList::parse(parts.concat().as_bytes()) {
                prop_assert_eq!(AddressList::parse(list.to_string().as_bytes()), Ok(list));
            }
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'<'), Just(b'@'), Just(b'"'), Just(b'\\')], 0..48)) {
            if let Ok(list) = AddressList::parse(&text) {
                prop_assert_eq!(AddressList::parse(list.to_string().as_bytes()), Ok(list));
            }
        }
    }
}
