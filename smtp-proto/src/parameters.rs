//! The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11 and the extensions).

use core::fmt;
use core::str::FromStr;

use mail_syntax::Mailbox;

use crate::command::{CommandError, CommandErrorCause as Cause};

/// What follows the reverse-path of MAIL. Default: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MailParameters {
    /// `SIZE=`: how large the message will be, in octets (RFC 1870 §5).
    pub size: Option<u64>,
    /// `BODY=`: what the message's octets are (RFC 6152, RFC 3030).
    pub body: Option<BodyType>,
    /// `SMTPUTF8`: mailboxes and header may hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// `AUTH=`: who submitted the message, as far as the client knows (RFC 4954 §5).
    pub auth: Option<AuthParameter>,
    /// `RET=`: what a notification of failure is to hold (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`: the sender's name for this transaction (RFC 3461 §4.4).
    pub envid: Option<Xtext>,
    /// `REQUIRETLS` (RFC 8689).
    pub require_tls: bool,
}

/// What follows the forward-path of RCPT. Default: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RcptParameters {
    /// `NOTIFY=`: when the sender wants a notification (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=`: the recipient as the sender first named it (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
}

/// The value of `BODY=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// `7BIT`.
    SevenBit,
    /// `8BITMIME` (RFC 6152).
    EightBitMime,
    /// `BINARYMIME`: BDAT only (RFC 3030 §3).
    BinaryMime,
}

/// The value of `AUTH=` of MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthParameter {
    /// `<>`: not known, or not trusted.
    Unknown,
    /// This mailbox submitted it.
    Mailbox(Mailbox),
}

/// The value of `RET=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header.
    Headers,
}

/// The value of `NOTIFY=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NEVER`.
    Never,
    /// In these cases; at least one of them.
    On {
        /// `SUCCESS`.
        success: bool,
        /// `FAILURE`.
        failure: bool,
        /// `DELAY`.
        delay: bool,
    },
}

/// The value of `ORCPT=`: `addr-type ";" xtext`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    address_type: Box<str>,
    address: Xtext,
}

impl OriginalRecipient {
    /// The type of the address: `rfc822`, `utf-8`.
    #[must_use]
    pub fn address_type(&self) -> &str {
        &self.address_type
    }

    /// The address, decoded.
    #[must_use]
    pub const fn address(&self) -> &Xtext {
        &self.address
    }
}

/// A text that travels as xtext (RFC 3461 §4): held decoded, printed encoded.
///
/// It holds graphic ASCII characters and spaces only, so it can go into a header field or a log as it is.
///
/// ```
/// use smtp_proto::Xtext;
///
/// let text: Xtext = "e+3Dmc2@example.com".parse()?;
/// assert_eq!(text.as_str(), "e=mc2@example.com");
/// assert_eq!(text.to_string(), "e+3Dmc2@example.com");
/// assert!("a+0Ab".parse::<Xtext>().is_err(), "a line break");
/// # Ok::<(), smtp_proto::XtextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xtext(Box<str>);

/// Not xtext, or not printable when decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "at byte {offset}: xtext is printable ASCII, where + begins two capital hexadecimal digits of a printable character"
)]
pub struct XtextError {
    /// Where, in what was parsed.
    pub offset: usize,
}

impl Xtext {
    /// The decoded text as a value.
    ///
    /// # Errors
    ///
    /// Where it holds anything but graphic ASCII characters and spaces.
    pub fn from_decoded(text: &str) -> Result<Self, XtextError> {
        match text.bytes().position(|octet| !matches!(octet, b' '..=b'~')) {
            Some(offset) => Err(XtextError { offset }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text, decoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Xtext {
    type Err = XtextError;

    fn from_str(text: &str) -> Result<Self, XtextError> {
        let mut decoded = String::with_capacity(text.len());
        let mut octets = text.bytes().enumerate();
        while let Some((offset, octet)) = octets.next() {
            // RFC 3461 §4: "xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="."
            let octet = match octet {
                b'+' => {
                    let mut digit = || match octets.next()?.1 {
                        digit @ b'0'..=b'9' => Some(digit - b'0'),
                        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
                        _ => None,
                    };
                    match (digit(), digit()) {
                        (Some(high), Some(low)) => high * 16 + low,
                        _ => return Err(XtextError { offset }),
                    }
                }
                b'=' => return Err(XtextError { offset }),
                b'!'..=b'~' => octet,
                _ => return Err(XtextError { offset }),
            };
            // RFC 3461 §4.4: "the value of the ENVID parameter prior to encoding as "xtext" MUST consist entirely of printable
            // (graphic and white space) characters from the US-ASCII [4] repertoire."
            if !matches!(octet, b' '..=b'~') {
                return Err(XtextError { offset });
            }
            decoded.push(char::from(octet));
        }
        Ok(Self(decoded.into()))
    }
}

impl fmt::Display for Xtext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|octet| match octet {
            b'+' | b'=' | b' ' => write!(f, "+{octet:02X}"),
            _ => write!(f, "{}", char::from(octet)),
        })
    }
}

/// A decimal number without sign, of at most 20 digits (RFC 1870 §5).
pub(crate) fn number(text: &str) -> Option<u64> {
    let is_number =
        (1..=20).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

pub(crate) fn mail(text: &str, at: usize) -> Result<MailParameters, CommandError> {
    let mut found = MailParameters::default();
    each(text, at, |keyword, value| {
        if keyword.eq_ignore_ascii_case("SIZE") {
            set(&mut found.size, "SIZE", value.and_then(number))
        } else if keyword.eq_ignore_ascii_case("BODY") {
            set(
                &mut found.body,
                "BODY",
                value.and_then(|value| value.parse().ok()),
            )
        } else if keyword.eq_ignore_ascii_case("SMTPUTF8") {
            flag(&mut found.smtputf8, "SMTPUTF8", value)
        } else if keyword.eq_ignore_ascii_case("AUTH") {
            set(
                &mut found.auth,
                "AUTH",
                value.and_then(|value| value.parse().ok()),
            )
        } else if keyword.eq_ignore_ascii_case("RET") {
            set(
                &mut found.ret,
                "RET",
                value.and_then(|value| value.parse().ok()),
            )
        } else if keyword.eq_ignore_ascii_case("ENVID") {
            // RFC 3461 §4.4: the parameter's value is at most 100 characters.
            let value = value.filter(|value| value.len() <= 100);
            set(
                &mut found.envid,
                "ENVID",
                value.and_then(|value| value.parse().ok()),
            )
        } else if keyword.eq_ignore_ascii_case("REQUIRETLS") {
            flag(&mut found.require_tls, "REQUIRETLS", value)
        } else {
            Err(unknown(keyword))
        }
    })?;
    Ok(found)
}

pub(crate) fn rcpt(text: &str, at: usize) -> Result<RcptParameters, CommandError> {
    let mut found = RcptParameters::default();
    each(text, at, |keyword, value| {
        if keyword.eq_ignore_ascii_case("NOTIFY") {
            set(
                &mut found.notify,
                "NOTIFY",
                value.and_then(|value| value.parse().ok()),
            )
        } else if keyword.eq_ignore_ascii_case("ORCPT") {
            // RFC 3461 §4.2: the parameter's value is at most 500 characters.
            let value = value.filter(|value| value.len() <= 500);
            set(
                &mut found.orcpt,
                "ORCPT",
                value.and_then(|value| value.parse().ok()),
            )
        } else {
            Err(unknown(keyword))
        }
    })?;
    Ok(found)
}

/// Names the keyword, or its beginning: RFC 5321 §4.5.3.1.5 bounds the reply by 512 octets.
fn unknown(keyword: &str) -> Cause {
    Cause::UnknownParameter(keyword.get(..64).unwrap_or(keyword).to_owned())
}

/// Hands each `SP keyword ["=" value]` to `take`.
fn each<'a>(
    text: &'a str,
    at: usize,
    mut take: impl FnMut(&'a str, Option<&'a str>) -> Result<(), Cause>,
) -> Result<(), CommandError> {
    let mut at = at;
    let mut words = text.split(' ');
    // What stands before the first space: nothing, or the path is not followed by one.
    if words.next().is_some_and(|word| !word.is_empty()) {
        return Err(CommandError::new(
            at,
            Cause::Expected("a space behind the path"),
        ));
    }
    for word in words {
        at += 1;
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        // RFC 5321 §4.1.2: `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
        let is_keyword = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
            && keyword
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        if !is_keyword {
            return Err(CommandError::new(at, Cause::Expected("a parameter")));
        }
        take(keyword, value).map_err(|cause| CommandError::new(at, cause))?;
        at += word.len();
    }
    Ok(())
}

fn set<T>(slot: &mut Option<T>, name: &'static str, value: Option<T>) -> Result<(), Cause> {
    if slot.is_some() {
        return Err(Cause::RepeatedParameter(name));
    }
    *slot = Some(value.ok_or(Cause::ParameterValue(name))?);
    Ok(())
}

fn flag(slot: &mut bool, name: &'static str, value: Option<&str>) -> Result<(), Cause> {
    match value {
        _ if *slot => Err(Cause::RepeatedParameter(name)),
        Some(_) => Err(Cause::ParameterValue(name)),
        None => {
            *slot = true;
            Ok(())
        }
    }
}

/// The text is none of the values that the parameter can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the values that the parameter can have")]
pub struct ParameterError;

impl FromStr for BodyType {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        [Self::SevenBit, Self::EightBitMime, Self::BinaryMime]
            .into_iter()
            .find(|value| value.name().eq_ignore_ascii_case(text))
            .ok_or(ParameterError)
    }
}

impl BodyType {
    const fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl fmt::Display for BodyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AuthParameter {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        if text == "<>" {
            return Ok(Self::Unknown);
        }
        let text: Xtext = text.parse().map_err(|_| ParameterError)?;
        let mailbox = text.as_str().parse().map_err(|_| ParameterError)?;
        Ok(Self::Mailbox(mailbox))
    }
}

impl fmt::Display for AuthParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("<>"),
            Self::Mailbox(mailbox) => Xtext(mailbox.to_string().into()).fmt(f),
        }
    }
}

impl FromStr for Ret {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        match text {
            _ if text.eq_ignore_ascii_case("FULL") => Ok(Self::Full),
            _ if text.eq_ignore_ascii_case("HDRS") => Ok(Self::Headers),
            _ => Err(ParameterError),
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

impl FromStr for Notify {
    type Err = ParameterError;

    /// RFC 3461 §4.1: `notify-esmtp-value = "NEVER" / 1#notify-list-element`.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Ok(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in text.split(',') {
            let slot = match word {
                _ if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
                _ if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
                _ if word.eq_ignore_ascii_case("DELAY") => &mut delay,
                _ => return Err(ParameterError),
            };
            *slot = true;
        }
        Ok(Self::On {
            success,
            failure,
            delay,
        })
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On {
            success,
            failure,
            delay,
        } = self
        else {
            return f.write_str("NEVER");
        };
        let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let mut comma = "";
        for (_, word) in words.iter().filter(|(wanted, _)| **wanted) {
            write!(f, "{comma}{word}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for OriginalRecipient {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let (address_type, address) = text.split_once(';').ok_or(ParameterError)?;
        let is_atom =
            |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
        if address_type.is_empty() || !address_type.bytes().all(is_atom) {
            return Err(ParameterError);
        }
        Ok(Self {
            address_type: address_type.into(),
            address: address.parse().map_err(|_| ParameterError)?,
        })
    }
}

impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.address_type, self.address)
    }
}

/// Prints each parameter with a space before it.
impl fmt::Display for MailParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={body}")?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(auth) = &self.auth {
            write!(f, " AUTH={auth}")?;
        }
        if let Some(ret) = self.ret {
            write!(f, " RET={ret}")?;
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={envid}")?;
        }
        if self.require_tls {
            f.write_str(" REQUIRETLS")?;
        }
        Ok(())
    }
}

/// Prints each parameter with a space before it.
impl fmt::Display for RcptParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(notify) = self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(orcpt) = &self.orcpt {
            write!(f, " ORCPT={orcpt}")?;
        }
        Ok(())
    }
}
