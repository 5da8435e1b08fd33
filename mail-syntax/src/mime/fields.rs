//! The fields of RFC 2045: Content-Type, Content-Disposition, Content-Transfer-Encoding, with the parameters of RFC 2231.

use core::fmt;
use std::borrow::Cow;

use super::charset;
use crate::lexer::{Lexer, is_token, quote};

/// The most parameters a field may have; further ones are dropped. 128 (Dovecot `RFC2231_MAX_PARAMS`).
pub const MAX_PARAMETERS: usize = 128;

/// A media type with its parameters: the body of a Content-Type field (RFC 2045 §5.1).
///
/// ```
/// use mail_syntax::mime::ContentType;
/// let content_type = ContentType::parse(b"Text/HTML; charset=\"UTF-8\" (a comment)").ok_or("no media type")?;
/// assert!(content_type.is("text", "html"));
/// assert_eq!(content_type.parameters().value("Charset").as_deref(), Some("UTF-8"));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    main: Box<str>,
    subtype: Box<str>,
    parameters: Parameters,
}

/// A disposition with its parameters: the body of a Content-Disposition field (RFC 2183 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    kind: Box<str>,
    parameters: Parameters,
}

/// The parameters of a field, in order, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(Vec<(Box<str>, Box<str>)>);

/// How the octets of a body are written: the body of a Content-Transfer-Encoding field (RFC 2045 §6.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TransferEncoding {
    /// `7bit`, which is meant where there is no field.
    #[default]
    SevenBit,
    /// `8bit`.
    EightBit,
    /// `binary`.
    Binary,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `base64`.
    Base64,
    /// Another token: what is written so is application/octet-stream (RFC 2045 §6.4).
    Other(Box<str>),
}

impl ContentType {
    /// Reads the body of a Content-Type field; `None` if there is no `type/subtype`.
    ///
    /// Lenient behind that: a parameter that cannot be read is left out, and the first of two with the same name counts.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let mut lexer = Lexer::new(&text);
        lexer.cfws().ok()?;
        let main = lexer.run(is_token);
        lexer.cfws().ok()?;
        let slash = lexer.eat('/');
        lexer.cfws().ok()?;
        let subtype = lexer.run(is_token);
        if main.is_empty() || subtype.is_empty() || !slash {
            return None;
        }
        Some(Self {
            main: main.into(),
            subtype: subtype.into(),
            parameters: Parameters::read(&mut lexer),
        })
    }

    /// `text/plain; charset=us-ascii`, which is meant where there is no field (RFC 2045 §5.2).
    #[must_use]
    pub fn text_plain() -> Self {
        let parameters = Parameters(vec![("charset".into(), "us-ascii".into())]);
        Self {
            main: "text".into(),
            subtype: "plain".into(),
            parameters,
        }
    }

    /// `message/rfc822`, which is meant where there is no field in a part of multipart/digest (RFC 2046 §5.1.5).
    #[must_use]
    pub fn message_rfc822() -> Self {
        Self {
            main: "message".into(),
            subtype: "rfc822".into(),
            parameters: Parameters::default(),
        }
    }

    /// The type before the slash, as it is spelled.
    #[must_use]
    pub fn main_type(&self) -> &str {
        &self.main
    }

    /// The subtype behind the slash, as it is spelled.
    #[must_use]
    pub fn subtype(&self) -> &str {
        &self.subtype
    }

    /// True if this is the media type, in any case.
    #[must_use]
    pub fn is(&self, main: &str, subtype: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// True if the type before the slash is `multipart`.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.main.eq_ignore_ascii_case("multipart")
    }

    /// True for `message/rfc822` and `message/global` (RFC 6532 §3.7): the body is a message.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

impl Disposition {
    /// Reads the body of a Content-Disposition field; `None` if there is no token.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let mut lexer = Lexer::new(&text);
        lexer.cfws().ok()?;
        let kind = lexer.run(is_token);
        if kind.is_empty() {
            return None;
        }
        Some(Self {
            kind: kind.into(),
            parameters: Parameters::read(&mut lexer),
        })
    }

    /// `inline`, `attachment` or another token, as it is spelled.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

impl Parameters {
    fn read(lexer: &mut Lexer<'_>) -> Self {
        let mut parameters: Vec<(Box<str>, Box<str>)> = Vec::new();
        while parameters.len() < MAX_PARAMETERS {
            match read_parameter(lexer) {
                Some((name, value))
                    if parameters
                        .iter()
                        .all(|(other, _)| !other.eq_ignore_ascii_case(&name)) =>
                {
                    parameters.push((name, value));
                }
                Some(_) => {}
                None if lexer.rest().is_empty() => break,
                None => {
                    // What cannot be read is passed over up to the next semicolon.
                    lexer.run(|c| c != ';');
                }
            }
        }
        Self(parameters)
    }

    /// The parameters as they are written, names such as `filename*0*` included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a parameter, its continuations joined and its characters decoded (RFC 2231 §3 and §4).
    ///
    /// Values in a charset other than UTF-8, US-ASCII and ISO-8859-1 are left percent-encoded. A plain `name=` counts only where
    /// there is neither `name*=` nor `name*0=`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.exact(&format!("{name}*")) {
            return Some(decode_extended(value));
        }
        if let Some(value) = self.continued(name) {
            return Some(Cow::Owned(value));
        }
        self.exact(name).map(Cow::Borrowed)
    }

    fn exact(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// RFC 2231 §3: `name*0=…; name*1=…`, each part extended (§4.1) where its name ends in `*`.
    fn continued(&self, name: &str) -> Option<String> {
        let mut octets = Vec::new();
        let mut charset = "";
        for n in 0..MAX_PARAMETERS {
            if let Some(value) = self.exact(&format!("{name}*{n}*")) {
                let encoded = match (n, value.splitn(3, '\'').collect::<Vec<_>>().as_slice()) {
                    (0, [first, _, rest]) => {
                        charset = first;
                        rest
                    }
                    _ => value,
                };
                octets.extend(percent_decode(encoded));
            } else if let Some(value) = self.exact(&format!("{name}*{n}")) {
                octets.extend_from_slice(value.as_bytes());
            } else if n == 0 {
                return None;
            } else {
                break;
            }
        }
        Some(
            charset::decode(charset, &octets)
                .unwrap_or_else(|| String::from_utf8_lossy(&octets).into_owned()),
        )
    }
}

fn read_parameter(lexer: &mut Lexer<'_>) -> Option<(Box<str>, Box<str>)> {
    lexer.cfws().ok()?;
    if !lexer.eat(';') {
        return None;
    }
    lexer.cfws().ok()?;
    let name = lexer.run(is_token);
    lexer.cfws().ok()?;
    if name.is_empty() || !lexer.eat('=') {
        return None;
    }
    lexer.cfws().ok()?;
    let value = if lexer.rest().starts_with('"') {
        lexer.quoted_string().ok()?
    } else {
        // Unquoted values with `/`, `=` or UTF-8 in them are common and mean one thing only.
        lexer
            .run(|c| !matches!(c, ';' | '(' | '"') && !c.is_whitespace() && !c.is_control())
            .to_owned()
    };
    lexer.cfws().ok()?;
    Some((name.into(), value.into()))
}

/// RFC 2231 §4: `charset'language'percent-encoded`.
fn decode_extended(value: &str) -> Cow<'_, str> {
    let mut parts = value.splitn(3, '\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(encoded)) => {
            charset::decode(charset, &percent_decode(encoded))
                .map_or(Cow::Borrowed(encoded), Cow::Owned)
        }
        _ => Cow::Borrowed(value),
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let octets = text.as_bytes();
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let pair = octets
            .get(at + 1..at + 3)
            .and_then(super::transfer::hex_pair);
        match pair {
            Some(value) if octet == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(octet);
                at += 1;
            }
        }
    }
    decoded
}

impl TransferEncoding {
    /// Reads the body of a Content-Transfer-Encoding field; `None` if there is no token.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let mut lexer = Lexer::new(&text);
        lexer.cfws().ok()?;
        Some(match &*lexer.run(is_token).to_ascii_lowercase() {
            "" => return None,
            "7bit" => Self::SevenBit,
            "8bit" => Self::EightBit,
            "binary" => Self::Binary,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            other => Self::Other(other.into()),
        })
    }

    /// The token, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Binary => "binary",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Other(token) => token,
        }
    }

    /// True if the octets stand as they are: only then may a body hold further parts (RFC 2045 §6.4).
    #[must_use]
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.main, self.subtype, self.parameters)
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.parameters)
    }
}

/// Prints `; name=value` for each, quoted where it must be.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            if !value.is_empty() && value.chars().all(is_token) {
                write!(f, "; {name}={value}")?;
            } else {
                write!(f, "; {name}={}", quote(value))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TransferEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_types() {
        for (body, printed) in [
            ("text/plain", Some("text/plain")),
            (
                " (x) Text (y) / (z) HTML ; a=b;c=\"d;e\"",
                Some("Text/HTML; a=b; c=\"d;e\""),
            ),
            ("a/b; ; x; c=d; =; e=f; c=g", Some("a/b; c=d; e=f")),
            ("a/b; c=x/y=z", Some("a/b; c=\"x/y=z\"")),
            ("a/b; c=\"open", Some("a/b")),
            ("a/b; c=", Some("a/b; c=\"\"")),
            ("text", None),
            ("/plain", None),
            ("", None),
        ] {
            assert_eq!(
                ContentType::parse(body.as_bytes())
                    .map(|t| t.to_string())
                    .as_deref(),
                printed,
                "{body}"
            );
        }
        let many = format!("a/b{}", "; x=y".repeat(100_000));
        assert_eq!(
            ContentType::parse(many.as_bytes())
                .unwrap()
                .parameters()
                .iter()
                .len(),
            1
        );
        let many: String = (0..200).map(|n| format!("; p{n}=v")).collect();
        assert_eq!(
            ContentType::parse(format!("a/b{many}").as_bytes())
                .unwrap()
                .parameters()
                .iter()
                .len(),
            128
        );
    }

    #[test]
    fn rfc2231_examples() {
        let value = |parameters: &str, name: &str| {
            let text = format!("application/x-stuff; {parameters}");
            ContentType::parse(text.as_bytes())
                .unwrap()
                .parameters()
                .value(name)
                .map(Cow::into_owned)
        };
        for (parameters, name, expected) in [
            (
                r#"URL*0="ftp://"; URL*1="cs.utk.edu/pub""#,
                "url",
                "ftp://cs.utk.edu/pub",
            ),
            (
                "title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
                "title",
                "This is ***fun***",
            ),
            (
                "title*0*=us-ascii'en'This%20is%20even%20more%20;title*1*=%2A%2A%2Afun%2A%2A%2A%20;title*2=\"isn't it!\"",
                "title",
                "This is even more ***fun*** isn't it!",
            ),
            ("n*=iso-8859-1''%fc", "n", "ü"),
            ("n*=utf-8''%C3%BC; n=u", "n", "ü"),
            ("n*=x'%zz", "n", "x'%zz"),
        ] {
            assert_eq!(
                value(parameters, name).as_deref(),
                Some(expected),
                "{parameters}"
            );
        }
        assert_eq!(value("a=b", "c"), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(text in "[a-z]{1,4}/[a-z]{1,4}(; ?[a-z]{1,3}=(\"[ -!#-\\[\\]-~]{0,5}\"|[a-z]{1,4})){0,4}") {
            let parsed = ContentType::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(ContentType::parse(parsed.to_string().as_bytes()), Some(parsed));
        }

        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut text = b"a/b".to_vec();
            text.extend(&body);
            for body in [&body, &text] {
                if let Some(parsed) = ContentType::parse(body) {
                    prop_assert_eq!(ContentType::parse(parsed.to_string().as_bytes()), Some(parsed));
                }
                let _ = Disposition::parse(body).map(|d| d.parameters().value("filename").map(Cow::into_owned));
            }
        }
    }
}
