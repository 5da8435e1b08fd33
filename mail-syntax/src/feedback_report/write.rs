//! Feedback reports written.

use core::fmt::Write as _;

use memchr::memmem;

use super::{MAX_ORIGINAL, Original};
use crate::date::{DateTime, Zone};
use crate::folding::fold;
use crate::header::{Header, Limits, LineEnd};

/// The most octets of a value. A line ends at 998.
const MAX_VALUE: usize = 900;

/// Why no mail can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An address or the Message-ID is empty, or has white space, control characters, angle brackets or anything that is not ASCII.
    #[error("the address cannot stand in a header field")]
    Address,
    /// There is nothing of the message to be shown.
    #[error("the report shows nothing of the message")]
    NoOriginal,
    /// The time is beyond the year 9999.
    #[error("the time is no date")]
    Time,
}

/// The fields of the part for programs, as they are written.
#[derive(Clone, Debug, Default)]
pub struct FieldList(String);

impl FieldList {
    /// A field. What is no ASCII in its value becomes `?`, what is no text a space; it is cut at 900 octets.
    ///
    /// A name that is none is left out with its value.
    pub fn add(&mut self, name: &str, value: &str) {
        let plain = |c: char| match c {
            c if c.is_ascii_graphic() => c,
            c if c.is_ascii() => ' ',
            _ => '?',
        };
        let value: String = value.chars().take(MAX_VALUE).map(plain).collect();
        // A value of one line, without control characters, can be folded.
        self.0.push_str(&fold(name, &value).unwrap_or_default());
    }

    /// A field, if there is a value.
    pub fn option(&mut self, name: &str, value: Option<impl core::fmt::Display>) {
        if let Some(value) = value {
            self.add(name, &value.to_string());
        }
    }

    /// A field for each value.
    pub fn each<'v>(&mut self, name: &str, values: impl IntoIterator<Item = &'v String>) {
        for value in values {
            self.add(name, value);
        }
    }

    /// A field of lines that are written as they are: each of ASCII, of at most 997 octets, and without white space.
    pub fn lines<'l>(&mut self, name: &str, lines: impl IntoIterator<Item = &'l str>) {
        self.0.push_str(name);
        self.0.push(':');
        for line in lines {
            self.0.push_str("\r\n ");
            self.0.push_str(line);
        }
        self.0.push_str("\r\n");
    }

    /// A date, unless it is before 1970 or beyond the year 9999.
    pub fn date(&mut self, name: &str, seconds: Option<i64>) {
        let date = seconds.filter(|seconds| *seconds >= 0);
        let date = date.and_then(|seconds| DateTime::from_unix(seconds, Zone::Offset(0)).ok());
        self.option(name, date);
    }

    /// The fields, each with its line end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a mail with a report needs besides the report.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The address that it comes from, of a domain that signs it.
    pub from: &'a str,
    /// The address that it goes to.
    pub to: &'a str,
    /// The Message-ID, without its angle brackets.
    pub message_id: &'a str,
    /// The time at which it is made, in seconds since 1970 (UTC).
    pub now: u64,
}

/// What a mail with a feedback report is made of.
#[derive(Clone, Copy, Debug)]
pub struct FeedbackMail<'a> {
    /// From whom to whom.
    pub envelope: Envelope<'a>,
    /// Whether the subject is that of the message.
    pub subject: bool,
    /// What people read: lines of ASCII that end in CRLF.
    pub text: &'a str,
    /// What programs read.
    pub fields: &'a FieldList,
    /// The media type of what is shown of the message, and its octets, as [`shown`] gives them.
    pub shown: (&'static str, &'a [u8]),
}

impl FeedbackMail<'_> {
    /// The whole mail, with CRLF.
    ///
    /// # Errors
    /// [`WriteError`], if an address or the Message-ID cannot stand in a header field, or the time is none.
    pub fn to_mail(&self) -> Result<Vec<u8>, WriteError> {
        let Envelope {
            from,
            to,
            message_id,
            now,
        } = self.envelope;
        let (from, to, message_id) = (address(from)?, address(to)?, address(message_id)?);
        let (media, original) = self.shown;
        let subject = match self.subject {
            true => subject(original),
            false => None,
        };
        // RFC 5965 §2: "If it differs, the difference MUST be limited to only a typical forwarding prefix used by Mail User Agents (MUAs)
        // such as "FW:"."
        let subject = fold("Subject", &format!("FW: {}", subject.unwrap_or_default()));
        let fields = self.fields.as_str();
        let boundary = boundary(
            message_id,
            &[self.text.as_bytes(), fields.as_bytes(), original],
        );
        let encoding = match original.is_ascii() {
            true => "7bit",
            false => "8bit",
        };
        let now = i64::try_from(now).map_err(|_| WriteError::Time)?;
        let date = DateTime::from_unix(now, Zone::Offset(0)).map_err(|_| WriteError::Time)?;
        let mut mail = String::new();
        // RFC 5965 §2: "The "report-type" parameter of the "multipart/report" type is set to "feedback-report""
        let written = write!(
            mail,
            "From: <{from}>\r\nTo: <{to}>\r\n{subject}Date: {date}\r\nMessage-ID: <{message_id}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=feedback-report;\r\n boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{text}\r\n\
             --{boundary}\r\nContent-Type: message/feedback-report\r\n\r\n{fields}\r\n\
             --{boundary}\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
            subject = subject.unwrap_or_default(),
            text = self.text,
        );
        // Writing to a String cannot fail.
        debug_assert!(written.is_ok());
        let mut mail = mail.into_bytes();
        mail.extend_from_slice(original);
        mail.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Ok(mail)
    }
}

/// The media type of the third part, and its content: all of a message of at most [`MAX_ORIGINAL`] octets, else its header.
///
/// # Errors
/// [`WriteError::NoOriginal`].
pub fn shown(original: &Original) -> Result<(&'static str, Vec<u8>), WriteError> {
    // RFC 5965 §2: "This part MUST be included (contrary to [REPORT])."
    match original {
        Original::Nothing => Err(WriteError::NoOriginal),
        Original::Message(message) if message.len() <= MAX_ORIGINAL => {
            Ok(("message/rfc822", message.clone()))
        }
        Original::Message(octets) | Original::Header(octets) => {
            Ok(("text/rfc822-headers", header_of(octets)))
        }
    }
}

/// An address that is nothing but that.
fn address(text: &str) -> Result<&str, WriteError> {
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b',');
    // Lines end at 998 octets (RFC 5322 §2.1.1); an address at 254.
    let is_address = text.contains('@') && text.len() <= 320 && text.bytes().all(is_plain);
    is_address.then_some(text).ok_or(WriteError::Address)
}

/// The header block of a message, the empty line included.
fn header_of(message: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    match Header::split_with(message, &limits, LineEnd::CrlfOrLf) {
        Ok((header, _)) => {
            let mut block = header.octets().to_vec();
            if !block.is_empty() && !block.ends_with(b"\r\n") {
                block.extend_from_slice(b"\r\n");
            }
            if !block.ends_with(b"\r\n\r\n") {
                block.extend_from_slice(b"\r\n");
            }
            block
        }
        Err(_) => b"\r\n".to_vec(),
    }
}

/// The subject, if it can be repeated as it stands.
fn subject(message: &[u8]) -> Option<String> {
    let limits = Limits::default();
    let (header, _) = Header::split_with(message, &limits, LineEnd::CrlfOrLf).ok()?;
    let field = header.named("Subject").next()?;
    let value = String::from_utf8(field.value().trim_ascii().to_vec()).ok()?;
    let is_plain = |octet: u8| octet.is_ascii_graphic() || octet == b' ';
    (value.len() <= MAX_VALUE && value.bytes().all(is_plain)).then_some(value)
}

/// A boundary that stands in none of these.
fn boundary(seed: &str, parts: &[&[u8]]) -> String {
    // FNV-1a: it need not be hard to guess, it only has to differ from the lines around it.
    let mut number = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    loop {
        let boundary = format!("=_{number:016x}");
        if parts
            .iter()
            .all(|part| memmem::find(part, boundary.as_bytes()).is_none())
        {
            return boundary;
        }
        // Each that is taken costs whoever wrote the message as many octets: this ends.
        number = number.wrapping_add(1);
    }
}
