//! The Received-SPF field (RFC 7208 §9.1), written and read.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;

use mail_syntax::folding::{self, FieldWriter, FoldError};

use crate::{Cause, Client, Identity, SpfResult, Verdict};

/// Octets of a field body that is read.
const MAX_BODY: usize = 8192;
/// Octets of a value that is written; the rest is cut off.
const MAX_VALUE: usize = 320;

/// What a Received-SPF field says.
///
/// Only a field that the own border wrote means anything: the sender can write them too (RFC 7208 §9.1: "It MUST appear above all other
/// Received-SPF fields in the message.").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSpf {
    result: SpfResult,
    comment: Option<String>,
    pairs: Vec<(String, String)>,
}

impl ReceivedSpf {
    /// The field for a verdict. What the client chose is cut to 320 octets a value, and what is no visible character becomes `?`.
    pub fn new(verdict: &Verdict, client: &Client, receiver: &str) -> Self {
        let (ip, sender) = (client.ip, clean(&verdict.sender));
        let receiver = clean(receiver);
        let comment = match verdict.result {
            SpfResult::Pass => {
                format!("{receiver}: domain of {sender} designates {ip} as permitted sender")
            }
            SpfResult::Fail | SpfResult::SoftFail => {
                format!(
                    "{receiver}: domain of {sender} does not designate {ip} as permitted sender"
                )
            }
            SpfResult::Neutral => {
                format!("{receiver}: {ip} is neither permitted nor denied by domain of {sender}")
            }
            _ => clean(&format!("{receiver}: {}", verdict.cause)).into_owned(),
        };
        let mut pairs = vec![
            ("identity".to_owned(), verdict.identity.to_string()),
            ("receiver".to_owned(), receiver.into_owned()),
            ("client-ip".to_owned(), ip.to_string()),
        ];
        if verdict.identity == Identity::MailFrom {
            pairs.push(("envelope-from".to_owned(), sender.into_owned()));
        }
        pairs.push(("helo".to_owned(), clean(&client.helo).into_owned()));
        match (&verdict.cause, verdict.result) {
            (Cause::Matched { directive, .. }, _) => {
                pairs.push((
                    "mechanism".to_owned(),
                    clean(&directive.mechanism.to_string()).into_owned(),
                ));
            }
            // RFC 7208 §9.1: "if no mechanisms matched, substitute the word "default""
            (Cause::NoMatch { .. }, _) => {
                pairs.push(("mechanism".to_owned(), "default".to_owned()))
            }
            // RFC 7208 §9.1: "if an error was returned, details about the error"
            (cause, SpfResult::TempError | SpfResult::PermError) => {
                pairs.push(("problem".to_owned(), clean(&cause.to_string()).into_owned()));
            }
            _ => {}
        }
        Self {
            result: verdict.result,
            comment: Some(comment),
            pairs,
        }
    }

    /// The result.
    pub const fn result(&self) -> SpfResult {
        self.result
    }

    /// The comment behind the result, without its parentheses.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The first value of a key, in either case: `client-ip`, `envelope-from`, `helo`, `identity`, `mechanism`, `problem`, `receiver`.
    pub fn value(&self, key: &str) -> Option<&str> {
        let pair = self
            .pairs
            .iter()
            .find(|(of, _)| of.eq_ignore_ascii_case(key));
        pair.map(|(_, value)| value.as_str())
    }

    /// All keys and values in their order.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The whole field: name, folded body, CRLF.
    ///
    /// # Errors
    ///
    /// A value that is too long for a line (RFC 5322 §2.1.1), which only a field that was read can have.
    pub fn to_field(&self) -> Result<String, FoldError> {
        let mut field = FieldWriter::new("Received-SPF")?;
        field.word(self.result.as_str());
        if let Some(comment) = &self.comment {
            let comment = format!("({})", escape(comment, &['(', ')', '\\']));
            comment
                .split(' ')
                .filter(|word| !word.is_empty())
                .for_each(|word| field.word(word));
        }
        for (number, (key, value)) in self.pairs.iter().enumerate() {
            if number > 0 {
                field.glue(";");
            }
            field.word(&format!("{key}={}", quote(value)));
        }
        field.finish()
    }
}

/// The body of the field, not folded.
impl fmt::Display for ReceivedSpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.result.as_str())?;
        if let Some(comment) = &self.comment {
            write!(f, " ({})", escape(comment, &['(', ')', '\\']))?;
        }
        for (number, (key, value)) in self.pairs.iter().enumerate() {
            write!(
                f,
                "{} {key}={}",
                if number > 0 { ";" } else { "" },
                quote(value)
            )?;
        }
        Ok(())
    }
}

/// RFC 7208 §9.1: "SPF verifiers MUST make sure that the Received-SPF header field does not contain invalid characters, is not excessively
/// long (see [RFC5322], Section 2.1.1), and does not contain malicious data that has been provided by the sender."
fn clean(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c != ' ' && !c.is_ascii_graphic();
    if text.len() <= MAX_VALUE && !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .take(MAX_VALUE)
            .map(|c| if bad(c) { '?' } else { c })
            .collect(),
    )
}

fn escape(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A dot-atom as it is, anything else as a quoted-string.
fn quote(value: &str) -> Cow<'_, str> {
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    if value.split('.').all(atom) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("\"{}\"", escape(value, &['"', '\\'])))
}

/// RFC 5322 §3.2.3.
const fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~')
}

/// Why a field body is no Received-SPF field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at octet {at} of the unfolded Received-SPF field")]
pub struct ReceivedSpfError {
    /// The octet, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: ReceivedSpfFault,
}

/// What is wrong with a Received-SPF field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceivedSpfFault {
    /// More than 8192 octets.
    #[error("field longer than allowed")]
    TooLong,
    /// A control character.
    #[error("control character")]
    Character,
    /// The first word is no result.
    #[error("no result of SPF")]
    Result,
    /// A comment or quoted-string without its end.
    #[error("comment or quoted-string without an end")]
    Unclosed,
    /// No key, or no `=` behind it.
    #[error("no key and \"=\"")]
    Key,
    /// Something else than `;` behind a value.
    #[error("no \";\" behind a value")]
    Separator,
}

/// Reads the body, folded or not. More is taken than RFC 7208 §9.1 allows to write: comments between all tokens, and values that should
/// have been quoted, as in the RFC's own example `mechanism=ip4:192.0.2.1`.
impl FromStr for ReceivedSpf {
    type Err = ReceivedSpfError;

    fn from_str(body: &str) -> Result<Self, ReceivedSpfError> {
        if body.len() > MAX_BODY {
            return Err(ReceivedSpfError {
                at: MAX_BODY,
                fault: ReceivedSpfFault::TooLong,
            });
        }
        let unfolded = folding::unfold(body.as_bytes());
        let text = core::str::from_utf8(&unfolded).map_err(|error| ReceivedSpfError {
            at: error.valid_up_to(),
            fault: ReceivedSpfFault::Character,
        })?;
        if let Some(at) = text.find(|c: char| c != '\t' && c.is_control()) {
            return Err(ReceivedSpfError {
                at,
                fault: ReceivedSpfFault::Character,
            });
        }
        let mut reader = Reader { text, at: 0 };
        reader.space()?;
        let (at, word) = (reader.at, reader.run(|c| c.is_ascii_alphabetic()));
        let result = word.parse().map_err(|_| ReceivedSpfError {
            at,
            fault: ReceivedSpfFault::Result,
        })?;
        let comment = reader.space()?;
        let mut pairs = Vec::new();
        while !reader.rest().is_empty() {
            let key = reader.run(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            reader.space()?;
            if !key.starts_with(|c: char| c.is_ascii_alphabetic()) || !reader.take('=') {
                return Err(reader.fault(ReceivedSpfFault::Key));
            }
            reader.space()?;
            pairs.push((key.to_owned(), reader.value()?));
            reader.space()?;
            if !reader.take(';') && !reader.rest().is_empty() {
                return Err(reader.fault(ReceivedSpfFault::Separator));
            }
            reader.space()?;
        }
        Ok(Self {
            result,
            comment,
            pairs,
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Always at a character boundary.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    const fn fault(&self, fault: ReceivedSpfFault) -> ReceivedSpfError {
        ReceivedSpfError { at: self.at, fault }
    }

    fn take(&mut self, c: char) -> bool {
        let taken = self.rest().starts_with(c);
        self.at += if taken { c.len_utf8() } else { 0 };
        taken
    }

    fn run(&mut self, holds: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !holds(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Skips white space and comments, and gives the first comment.
    fn space(&mut self) -> Result<Option<String>, ReceivedSpfError> {
        let mut first = None;
        loop {
            self.run(|c| matches!(c, ' ' | '\t'));
            if !self.rest().starts_with('(') {
                return Ok(first);
            }
            let comment = self.comment()?;
            first.get_or_insert(comment);
        }
    }

    /// A comment with those in it (RFC 5322 §3.2.2); quoted-pairs are undone.
    fn comment(&mut self) -> Result<String, ReceivedSpfError> {
        let (mut depth, mut escaped, mut comment) = (0_usize, false, String::new());
        for (at, c) in self.rest().char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => {
                    escaped = true;
                    continue;
                }
                '(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                ')' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += at + 1;
                        return Ok(comment);
                    }
                }
                _ => {}
            }
            comment.push(c);
        }
        Err(self.fault(ReceivedSpfFault::Unclosed))
    }

    fn value(&mut self) -> Result<String, ReceivedSpfError> {
        if !self.rest().starts_with('"') {
            return Ok(self
                .run(|c| !matches!(c, ' ' | '\t' | ';' | '(' | '"'))
                .to_owned());
        }
        let (mut escaped, mut value) = (false, String::new());
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => {
                    escaped = true;
                    continue;
                }
                '"' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                _ => {}
            }
            value.push(c);
        }
        Err(self.fault(ReceivedSpfFault::Unclosed))
    }
}
