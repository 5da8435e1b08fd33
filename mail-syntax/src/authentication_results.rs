//! The Authentication-Results field: reading, writing, and removing forged ones (RFC 8601).
//!
//! Writing is typed, so that nothing a sender chose can become another result, another field or another name: words are words,
//! values are quoted where they must be, comments are escaped. Reading is lenient towards what real servers write; every reading
//! that could name our own server counts in [`claims`].

mod forged;
mod words;

use core::fmt::{self, Write as _};
use std::borrow::Cow;

use crate::domain::is_domain;
use crate::folding::{FieldWriter, FoldError};
use crate::lexer::{LexError, Lexer, is_atext, is_token, quote};

pub use forged::{claims, claims_to_be, strip};
pub use words::{Keyword, KeywordError, Method, Outcome, Ptype};

/// The name of the field.
pub const NAME: &str = "Authentication-Results";

/// The most results of a field, and the most properties of a result, that are read.
const MAX_ITEMS: usize = 200;

/// The octets of a comment or reason that is written.
const MAX_TEXT: usize = 255;

/// The results that one server found for one message.
///
/// ```
/// use mail_syntax::authentication_results::{AuthenticationResults, Method, MethodResult, Outcome, Ptype};
/// let mut results = AuthenticationResults::new("mx.example.org");
/// let mut spf = MethodResult::new(Method::Spf, Outcome::Pass);
/// spf.add_property(Ptype::Smtp, "mailfrom".parse()?, "joe@example.com");
/// results.push(spf);
/// assert_eq!(
///     results.to_field()?,
///     "Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=joe@example.com\r\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthenticationResults {
    authserv_id: Option<String>,
    version: Option<u32>,
    instance: Option<u32>,
    results: Vec<MethodResult>,
}

/// What one method said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodResult {
    method: Method,
    method_version: Option<u32>,
    outcome: Outcome,
    comment: Option<String>,
    reason: Option<String>,
    properties: Vec<Property>,
}

/// One `ptype.property=value`: what the method looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    ptype: Ptype,
    property: Keyword,
    value: String,
}

impl AuthenticationResults {
    /// No results yet, from the server that calls itself so (RFC 8601 §2.5).
    #[must_use]
    pub fn new(authserv_id: &str) -> Self {
        Self {
            authserv_id: Some(printable(authserv_id)).filter(|id| !id.is_empty()),
            ..Self::default()
        }
    }

    /// Reads the body of an Authentication-Results or ARC-Authentication-Results field.
    ///
    /// Lenient: the server's name may be missing or stand late, as Office 365 writes it; `i=1;` of ARC may come first; what is no
    /// result is left out.
    ///
    /// # Errors
    /// If comments or quoted strings do not end or nest too deep, so that it cannot be told where results begin.
    pub fn parse(body: &[u8]) -> Result<Self, LexError> {
        let text = String::from_utf8_lossy(body);
        let mut lexer = Lexer::new(&text);
        let mut read = Self::default();
        let mut first = true;
        loop {
            lexer.cfws()?;
            if lexer.peek().is_none() {
                return Ok(read);
            }
            let had_instance = read.instance.is_some();
            read.segment(&mut lexer, first)?;
            skip_segment(&mut lexer)?;
            // Behind the instance the server's name is still to come; behind anything else, `none` is no name.
            first &= read.instance.is_some() && !had_instance;
        }
    }

    /// The server that found the results, if the field names one.
    #[must_use]
    pub fn authserv_id(&self) -> Option<&str> {
        self.authserv_id.as_deref()
    }

    /// The version of the format; 1 where there is none.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version.unwrap_or(1)
    }

    /// The instance of an ARC set (`i=`, RFC 8617 §4.1.1).
    #[must_use]
    pub fn instance(&self) -> Option<u32> {
        self.instance
    }

    /// Sets the instance: the field becomes one for ARC-Authentication-Results.
    pub fn set_instance(&mut self, instance: u32) {
        self.instance = Some(instance);
    }

    /// The results, in order; none if no authentication was done.
    #[must_use]
    pub fn results(&self) -> &[MethodResult] {
        &self.results
    }

    /// The results that may enter a decision: those in which every word is registered ([`MethodResult::is_registered`]).
    pub fn registered(&self) -> impl Iterator<Item = &MethodResult> {
        self.results.iter().filter(|result| result.is_registered())
    }

    /// Adds a result.
    pub fn push(&mut self, result: MethodResult) {
        self.results.push(result);
    }

    /// The whole field, folded, with its final CRLF; named ARC-Authentication-Results if it has an instance.
    ///
    /// # Errors
    /// [`FoldError::WordTooLong`] if a value does not fit into a line.
    pub fn to_field(&self) -> Result<String, FoldError> {
        let arc = self.instance.is_some();
        let mut writer = FieldWriter::new(if arc {
            "ARC-Authentication-Results"
        } else {
            NAME
        })?;
        self.words(|word| writer.word(word));
        writer.finish()
    }

    /// Takes the body as words between which white space stands.
    fn words(&self, take: impl FnMut(&str)) {
        let mut words = Words {
            last: String::new(),
            take,
        };
        if let Some(instance) = self.instance {
            words.word(format_args!("i={instance};"));
        }
        let id = authserv_id(self.authserv_id.as_deref().unwrap_or(""));
        words.word(format_args!("{id}"));
        if let Some(version) = self.version {
            words.word(format_args!("{version}"));
        }
        if self.results.is_empty() {
            words.last.push(';');
            words.word(format_args!("none"));
        }
        for result in &self.results {
            words.last.push(';');
            result.words(&mut words);
        }
        words.end();
    }

    /// What stands before the next semicolon.
    fn segment(&mut self, lexer: &mut Lexer<'_>, first: bool) -> Result<(), LexError> {
        let start = lexer.clone();
        // RFC 8601 §2.5: "in an EAI-formatted message, this identifier may be expressed in UTF-8".
        let word = read_value(lexer, |c| {
            is_token(c) || is_utf8(c) || matches!(c, ':' | '@' | '/')
        })?;
        lexer.cfws()?;
        let is_assignment =
            matches!(lexer.peek(), Some('=' | '/')) && !start.rest().starts_with('"');
        if first && word.eq_ignore_ascii_case("i") && is_assignment && self.instance.is_none() {
            lexer.eat('=');
            lexer.cfws()?;
            self.instance = lexer.run(|c| c.is_ascii_digit()).parse().ok();
            return Ok(());
        }
        if is_assignment {
            *lexer = start;
            if self.results.len() < MAX_ITEMS {
                self.results.extend(MethodResult::read(lexer)?);
            }
            return Ok(());
        }
        if self.authserv_id.is_none()
            && !word.is_empty()
            && (first || !word.eq_ignore_ascii_case("none"))
        {
            self.authserv_id = Some(printable(&word));
            self.version = lexer.run(|c| c.is_ascii_digit()).parse().ok();
        }
        Ok(())
    }
}

impl MethodResult {
    /// The result of a method.
    #[must_use]
    pub fn new(method: Method, outcome: Outcome) -> Self {
        Self {
            method,
            method_version: None,
            outcome,
            comment: None,
            reason: None,
            properties: Vec::new(),
        }
    }

    /// Adds a comment, for people to read; control characters become `?`, white space around it is left out, and what is beyond
    /// 255 octets is cut off.
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> Self {
        let comment = printable(cut(comment.trim()).trim_end());
        self.comment = Some(comment).filter(|comment| !comment.is_empty());
        self
    }

    /// Adds a reason; control characters become `?`, and what is beyond 255 octets is cut off.
    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> Self {
        self.reason = Some(printable(cut(reason)));
        self
    }

    /// Adds a property; control characters in the value become `?`.
    pub fn add_property(&mut self, ptype: Ptype, property: Keyword, value: &str) {
        self.properties.push(Property {
            ptype,
            property,
            value: printable(value),
        });
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The version of the method; 1 where there is none.
    #[must_use]
    pub fn method_version(&self) -> u32 {
        self.method_version.unwrap_or(1)
    }

    /// What the method said.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The comment right behind the result.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The properties, in order.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The value of the first property of this name, as in `property(&Ptype::Smtp, "mailfrom")`.
    #[must_use]
    pub fn property(&self, ptype: &Ptype, property: &str) -> Option<&str> {
        let is =
            |p: &&Property| p.ptype == *ptype && p.property.as_str().eq_ignore_ascii_case(property);
        self.properties.iter().find(is).map(Property::value)
    }

    /// True if the method, the result, and where each property comes from are words that IANA has registered.
    ///
    /// What a result in other words means is known only to those who agreed on it. RFC 8601 §4.1: "MUAs and downstream filters MUST ignore
    /// any result reported using a "result" not specified in the IANA "Result Code" registry or a "ptype" not listed in the "Email
    /// Authentication Property Types" registry".
    #[must_use]
    pub fn is_registered(&self) -> bool {
        let ptypes = |property: &Property| property.ptype.is_registered();
        self.method.is_registered()
            && self.outcome.is_registered()
            && self.properties.iter().all(ptypes)
    }

    fn words(&self, words: &mut Words<impl FnMut(&str)>) {
        let (method, outcome) = (&self.method, &self.outcome);
        match self.method_version {
            Some(version) => words.word(format_args!("{method}/{version}={outcome}")),
            None => words.word(format_args!("{method}={outcome}")),
        }
        if let Some(comment) = &self.comment {
            words.word(format_args!("{}", comment_text(comment)));
        }
        if let Some(reason) = &self.reason {
            words.word(format_args!("reason={}", value(reason)));
        }
        for property in &self.properties {
            let value = pvalue(&property.value);
            words.word(format_args!(
                "{}.{}={value}",
                property.ptype, property.property
            ));
        }
    }

    /// `method[/version]=result`, then a reason and properties; `None` if it does not begin so.
    fn read(lexer: &mut Lexer<'_>) -> Result<Option<Self>, LexError> {
        lexer.cfws()?;
        let Ok(method) = lexer.run(is_keyword).parse() else {
            return Ok(None);
        };
        lexer.cfws()?;
        let mut method_version = None;
        if lexer.eat('/') {
            lexer.cfws()?;
            method_version = lexer.run(|c| c.is_ascii_digit()).parse().ok();
            lexer.cfws()?;
        }
        if !lexer.eat('=') {
            return Ok(None);
        }
        lexer.cfws()?;
        let Ok(outcome) = lexer.run(is_keyword).parse() else {
            return Ok(None);
        };
        let mut read = Self {
            method_version,
            ..Self::new(method, outcome)
        };
        let mut comment = None;
        lexer.cfws_with(|text| {
            comment.get_or_insert(text);
        })?;
        read.comment = comment
            .map(|text| printable(text.trim()))
            .filter(|text| !text.is_empty());
        while !matches!(lexer.peek(), None | Some(';')) && read.properties.len() < MAX_ITEMS {
            if !read.item(lexer)? {
                break;
            }
        }
        Ok(Some(read))
    }

    /// A reason or a property; false if it is neither.
    fn item(&mut self, lexer: &mut Lexer<'_>) -> Result<bool, LexError> {
        lexer.cfws()?;
        let word = lexer.run(|c| is_keyword(c) && c != '.');
        lexer.cfws()?;
        let mut property = None;
        if lexer.eat('.') {
            lexer.cfws()?;
            property = Some(lexer.run(is_keyword));
            lexer.cfws()?;
        }
        if !lexer.eat('=') {
            return Ok(false);
        }
        lexer.cfws()?;
        let value = printable(&read_value(lexer, |c| {
            !matches!(c, ';' | '(' | '"') && !c.is_whitespace()
        })?);
        lexer.cfws()?;
        match property {
            None if word.eq_ignore_ascii_case("reason") => self.reason = Some(value),
            // Something like `action=none`, which the format does not know.
            None => {}
            Some(property) => {
                if let (Ok(ptype), Ok(property)) = (word.parse(), property.parse()) {
                    self.properties.push(Property {
                        ptype,
                        property,
                        value,
                    });
                }
            }
        }
        Ok(true)
    }
}

impl Property {
    /// Where the value was taken from.
    #[must_use]
    pub fn ptype(&self) -> &Ptype {
        &self.ptype
    }

    /// Which one it is: `mailfrom`, `d`, `from`.
    #[must_use]
    pub fn property(&self) -> &Keyword {
        &self.property
    }

    /// The value, without quotes.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

fn is_keyword(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Passes over the rest of a segment and its semicolon.
fn skip_segment(lexer: &mut Lexer<'_>) -> Result<(), LexError> {
    loop {
        lexer.cfws()?;
        match lexer.peek() {
            None => return Ok(()),
            Some(';') => {
                lexer.eat(';');
                return Ok(());
            }
            Some('"') => drop(lexer.quoted_string()?),
            Some(c) => {
                lexer.eat(c);
                lexer.run(|c| !matches!(c, ';' | '(' | '"') && !c.is_whitespace());
            }
        }
    }
}

/// A run of characters that fit, or a quoted string; a quoted local part with its `@domain` is kept with its quotes.
fn read_value(lexer: &mut Lexer<'_>, fits: impl Fn(char) -> bool) -> Result<String, LexError> {
    if lexer.peek() != Some('"') {
        return Ok(lexer.run(fits).to_owned());
    }
    let quoted = lexer.quoted_string()?;
    let rest = lexer.run(&fits);
    Ok(if rest.starts_with('@') {
        format!("{}{rest}", quote(&quoted))
    } else {
        quoted + rest
    })
}

/// The beginning of a text that may quote what a sender chose: with every character escaped it still fits on one line.
fn cut(text: &str) -> &str {
    let end = |(at, c): (usize, char)| at + c.len_utf8();
    let fits = text
        .char_indices()
        .map(end)
        .take_while(|end| *end <= MAX_TEXT);
    text.get(..fits.last().unwrap_or(0)).unwrap_or("")
}

/// Text that fits on one line of a field, whatever else a reader may take for the end of a line, and that reads in the order it stands in.
fn printable(text: &str) -> String {
    let breaks = |c: char| c.is_control() || crate::is_invisible(c);
    text.chars()
        .map(|c| if breaks(c) { '?' } else { c })
        .collect()
}

/// Words on their way: the last is kept until the next, as a semicolon may follow it.
struct Words<T> {
    last: String,
    take: T,
}

impl<T: FnMut(&str)> Words<T> {
    fn word(&mut self, word: fmt::Arguments<'_>) {
        self.end();
        // A String takes all.
        let _ = self.last.write_fmt(word);
    }

    /// Hands the last word over; none is empty.
    fn end(&mut self) {
        if !self.last.is_empty() {
            (self.take)(&self.last);
            self.last.clear();
        }
    }
}

/// RFC 2045 §5.1, `value`: a token, else a quoted string, which may hold anything.
fn value(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        text.into()
    } else {
        quote(text).into()
    }
}

/// A name may be in U-labels.
fn authserv_id(id: &str) -> Cow<'_, str> {
    if is_domain(id) { id.into() } else { value(id) }
}

/// RFC 8601 §2.2, `pvalue`: "If the value portion of a "pvalue" construction identifies something intended to be an email identity, then it
/// MUST use the right-hand portion of that ABNF definition."
fn pvalue(text: &str) -> Cow<'_, str> {
    let is_identity = match text.rsplit_once('@') {
        None => is_domain(text),
        Some((local_part, domain)) => {
            (local_part.is_empty() || is_local_part(local_part)) && is_domain(domain)
        }
    };
    if is_identity {
        text.into()
    } else {
        value(text)
    }
}

/// RFC 5321 §4.1.2: "Local-part     = Dot-string / Quoted-string"; only as this module itself would quote it.
fn is_local_part(text: &str) -> bool {
    if !text.starts_with('"') {
        return text
            .chars()
            .all(|c| c == '.' || is_atext(c) && !c.is_whitespace());
    }
    let mut lexer = Lexer::new(text);
    let content = lexer.quoted_string();
    lexer.rest().is_empty() && content.is_ok_and(|content| quote(&content) == text)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| is_token(c) && c != '\'')
}

/// RFC 6532 §3.2, `UTF8-non-ascii`, as far as no reader takes it for white space.
fn is_utf8(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

fn comment_text(text: &str) -> String {
    let mut comment = String::from("(");
    for c in text.chars() {
        if matches!(c, '(' | ')' | '\\') {
            comment.push('\\');
        }
        comment.push(c);
    }
    comment.push(')');
    comment
}

/// Prints the body of the field, unfolded.
impl fmt::Display for AuthenticationResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = String::new();
        self.words(|word| {
            if !body.is_empty() {
                body.push(' ');
            }
            body.push_str(word);
        });
        f.write_str(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Field, Header, Limits};
    use proptest::prelude::*;

    #[test]
    fn nothing_can_be_injected() {
        for evil in [
            "\"a b\"@x; dkim=pass",
            "\"a\" b\"@x.example",
            "a@x.example; dkim=pass",
            "x\u{2028}Authentication-Results: mx.example.org; dkim=pass",
            "x\u{85}y",
            "x\u{202e}ssap=mikd\u{2066}",
            "x\r\nAuthentication-Results: mx.example.org; dkim=pass",
            "x; dkim=pass",
            "x dkim.d=evil",
            "x\" ; dkim=pass",
            "x\\",
            "x) ; dkim=pass (",
            "a@b; dkim=pass",
            "\"a\"@b@c",
        ] {
            let mut results = AuthenticationResults::new("mx.example.org");
            let mut spf = MethodResult::new(Method::Spf, Outcome::Fail)
                .with_comment(evil)
                .with_reason(evil);
            spf.add_property(Ptype::Smtp, "mailfrom".parse().unwrap(), evil);
            results.push(spf);
            let field = results.to_field().unwrap();
            let field = Field::parse(field.as_bytes()).unwrap();
            let read = AuthenticationResults::parse(field.body()).unwrap();
            assert_eq!(read, results, "{evil:?}");
        }
        assert!("pass; dkim=pass".parse::<Outcome>().is_err());
    }

    #[test]
    fn comments_and_reasons_fit_on_a_line() {
        for (text, kept) in [
            ("x".repeat(255), 255),
            ("x".repeat(256), 255),
            ("\u{e9}".repeat(200), 254),
            ("\"".repeat(3_000), 255),
            ("(\\".repeat(3_000), 255),
            ("\u{10ffff}".repeat(3_000), 252),
        ] {
            let mut results = AuthenticationResults::new("mx");
            let result = MethodResult::new(Method::Spf, Outcome::Fail);
            results.push(result.with_comment(&text).with_reason(&text));
            let told = &results.results()[0];
            assert_eq!(told.reason().map(str::len), Some(kept));
            assert_eq!(told.comment().map(str::len), Some(kept));
            assert!(results.to_field().is_ok());
        }
    }

    #[test]
    fn versions_comments_and_reasons() {
        let body = "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail (c) reason = \"b\\\"c\" policy (A dot can go here) . (like that) expired = 1362471462";
        let read = AuthenticationResults::parse(body.as_bytes()).unwrap();
        assert_eq!(
            read.to_string(),
            "foo.example.net 1; dkim/1=fail (c) reason=\"b\\\"c\" policy.expired=1362471462"
        );
        assert_eq!(
            read.results()[0].property(&Ptype::Policy, "expired"),
            Some("1362471462")
        );
        assert_eq!(
            AuthenticationResults::parse(b"x; none")
                .unwrap()
                .to_string(),
            "x; none"
        );
        // Behind an instance and no name, `none` is no name either.
        let nameless = AuthenticationResults::parse(b"i=1; \"\"; none").unwrap();
        assert_eq!(
            (nameless.authserv_id(), nameless.instance()),
            (None, Some(1))
        );
    }

    /// Any characters, and those that mean something more often than others.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            proptest::sample::select(vec![
                "\r\n",
                "\n",
                "\0",
                "; ",
                "dkim=pass",
                "\"",
                "\\",
                "(",
                ")",
                "@",
                "=",
                ".",
                " ",
                "/",
                "i=1",
                "a",
                "\u{fc}",
                "none",
            ])
            .prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_text_stays_one_value_of_one_field(
            id in text(), comment in text(), reason in text(), values in proptest::collection::vec(text(), 0..4), instance in proptest::option::of(1u32..51),
        ) {
            let mut results = AuthenticationResults::new(&id);
            results.instance = instance;
            let mut result = MethodResult::new(Method::Spf, Outcome::Fail).with_comment(&comment).with_reason(&reason);
            for value in &values {
                result.add_property(Ptype::Smtp, "mailfrom".parse().unwrap(), value);
            }
            results.push(result.clone());
            results.push(result);
            let field = results.to_field().unwrap();
            let message = format!("{field}\r\n");
            let (header, rest) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
            prop_assert_eq!(header.fields().count(), 1);
            prop_assert!(rest.is_empty());
            let body = header.fields().next().unwrap().body();
            prop_assert_eq!(AuthenticationResults::parse(body), Ok(results.clone()));
            prop_assert_eq!(AuthenticationResults::parse(results.to_string().as_bytes()), Ok(results));
        }

    }
}
