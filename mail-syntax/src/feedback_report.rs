//! The form that all feedback reports share (RFC 5965): a mail of three parts, for people, for programs, and the message.
//!
//! What a report is about is for whoever reads it: complaints, or failures of authentication (RFC 6591, RFC 9991). Here is how its parts
//! are found and its fields are read, in the ways that real reporters write them, and how it is written.
//!
//! ```
//! use mail_syntax::feedback_report::{Feedback, Original};
//!
//! let mail = b"Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n\
//!     --x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nSource-IP: 192.0.2.1\r\n\r\n\
//!     --x\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: hello\r\n\r\n--x--\r\n";
//! let Feedback { fields, original, .. } = Feedback::read(mail);
//! let mut fields = fields.ok_or("no report")?;
//! assert_eq!(fields.required("Feedback-Type").as_deref(), Some("abuse"));
//! assert_eq!(fields.ip("Source-IP"), Some("192.0.2.1".parse()?));
//! assert_eq!(original, Original::Header(b"Subject: hello\r\n".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod write;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use memchr::memchr;

use crate::date::DateTime;
use crate::header::{self, Header, HeaderIndex, HeaderSplitter, LineEnd};
use crate::mime::{self, MimeTree, Part};

pub use write::{Envelope, FeedbackMail, FieldList, WriteError, shown};

/// Parts of a mail that are looked at: 100. Reports have three.
pub const MAX_PARTS: usize = 100;
/// Octets of the part for programs that are read: 4 MiB, as failure reports may hold a whole message in base64.
pub const MAX_FIELDS: usize = 4 * 1024 * 1024;
/// Values of a field that are kept: 100.
pub const MAX_VALUES: usize = 100;
/// Characters of a value that are kept: 1,024.
pub const MAX_VALUE: usize = 1_024;
/// The most octets of a message that are shown in a report that is written: 1 MiB. Of a larger one only the header is shown.
pub const MAX_ORIGINAL: usize = 1024 * 1024;

/// What is not as the RFCs want it, and was read all the same. Fields are named as they are spelt in the RFCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The mail is no multipart/report with the type feedback-report.
    #[error("it is no multipart/report of the type feedback-report")]
    NoMultipartReport,
    /// There is no machine-readable part; what could be found in the text for people was taken.
    #[error("it has no part message/feedback-report")]
    TextOnly,
    /// The machine-readable part is encoded, which it need not be.
    #[error("the part message/feedback-report is encoded")]
    Encoded,
    /// The machine-readable part is not a block of header fields.
    #[error("the part message/feedback-report is broken")]
    BrokenFields,
    /// Nothing of the message is there.
    #[error("it shows nothing of the message")]
    NoOriginal,
    /// A required field is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field that may stand once stands more than once; the first counts.
    #[error("the field {0} stands more than once")]
    Repeated(&'static str),
    /// A word that the RFCs do not have.
    #[error("the field {0} has a word that is not known")]
    UnknownWord(&'static str),
    /// A value that cannot be read, and counts as missing.
    #[error("the field {0} cannot be read")]
    Unreadable(&'static str),
    /// The version is not 1.
    #[error("the version is not 1")]
    OtherVersion,
    /// A value was too long or there were too many, and the rest was left out.
    #[error("the field {0} is too long, or there are too many of it")]
    TooLong(&'static str),
}

/// What is shown of the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Original {
    /// Nothing: no report is made without at least the header, but some are read.
    #[default]
    Nothing,
    /// Its header.
    Header(Vec<u8>),
    /// All of it.
    Message(Vec<u8>),
}

/// A mail with a report, taken apart.
#[derive(Clone, Debug)]
pub struct Feedback {
    /// The part for programs; none: this is hardly a report.
    pub fields: Option<Fields>,
    /// The first text for people, if there is no part for programs.
    pub text: Option<Vec<u8>>,
    /// The message.
    pub original: Original,
    /// What is wrong with the form, the fields apart.
    pub defects: BTreeSet<Defect>,
}

impl Feedback {
    /// Takes a mail apart; its lines may end in LF alone. Holds what it finds; time is linear in the mail.
    #[must_use]
    pub fn read(mail: &[u8]) -> Self {
        let limits = mime::Limits {
            parts: MAX_PARTS,
            line_end: LineEnd::CrlfOrLf,
            ..mime::Limits::default()
        };
        let tree = MimeTree::parse(mail, &limits);
        let mut defects = BTreeSet::new();
        let root = tree.root();
        let media = root.content_type();
        let report_type = media.parameters().value("report-type");
        // RFC 5965 §2: "The "report-type" parameter of the "multipart/report" type is set to "feedback-report""
        let is_feedback =
            report_type.is_some_and(|value| value.eq_ignore_ascii_case("feedback-report"));
        if !media.is("multipart", "report") || !is_feedback {
            defects.insert(Defect::NoMultipartReport);
        }
        let is = |main: &'static str, subtype: &'static str| {
            move |part: &Part<'_>| part.content_type().is(main, subtype)
        };
        let machine = tree.parts().find(is("message", "feedback-report"));
        let fields = machine.map(|part| {
            if !part.encoding().is_identity() {
                defects.insert(Defect::Encoded);
            }
            Fields::of_block(part.decoded_body(), &mut defects)
        });
        let text = match machine {
            Some(_) => None,
            None => tree.parts().find(is("text", "plain")),
        };
        // The message stands beside the machine-readable part; what lies within it is not the reporter's.
        let beside = machine.and_then(|machine| machine.parent()).unwrap_or(root);
        let original = beside.children().find_map(|part| {
            let media = part.content_type();
            let is_header = media.is("text", "rfc822-headers") || media.is("text", "rfc822-header");
            match () {
                () if media.is_message() || media.is("text", "rfc822") => {
                    Some(Original::Message(with_crlf(part.decoded_body())))
                }
                () if is_header => Some(Original::Header(with_crlf(part.decoded_body()))),
                () => None,
            }
        });
        Self {
            fields,
            text: text.map(|part| part.decoded_body()),
            original: original.unwrap_or_default(),
            defects,
        }
    }
}

/// The fields of the part for programs. What is wrong with those that are asked for is kept.
#[derive(Clone, Debug)]
pub struct Fields {
    block: Vec<u8>,
    index: HeaderIndex,
    defects: BTreeSet<Defect>,
}

impl Fields {
    fn of_block(mut block: Vec<u8>, defects: &mut BTreeSet<Defect>) -> Self {
        block.truncate(MAX_FIELDS);
        // The block may begin with empty lines, and end without one.
        let start = block.len() - block.trim_ascii_start().len();
        block.drain(..start);
        block.extend_from_slice(b"\r\n\r\n");
        let mut limits = header::Limits::default();
        limits.block = limits.block.max(block.len());
        limits.field = limits.field.max(block.len());
        let mut splitter = HeaderSplitter::new(limits, LineEnd::CrlfOrLf);
        if splitter.push(&block).is_err() {
            defects.insert(Defect::BrokenFields);
            block.clear();
            splitter = HeaderSplitter::new(header::Limits::default(), LineEnd::CrlfOrLf);
        }
        Self {
            index: splitter.finish(),
            block,
            defects: BTreeSet::new(),
        }
    }

    /// The fields as they stand.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        Header::new(&self.block, &self.index)
    }

    /// Notes a defect.
    pub fn note(&mut self, defect: Defect) {
        self.defects.insert(defect);
    }

    /// What was found wrong with the fields that were asked for.
    #[must_use]
    pub fn into_defects(self) -> BTreeSet<Defect> {
        self.defects
    }

    /// All values of a field, unfolded and cut to what is kept.
    pub fn all(&mut self, name: &'static str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        let header = Header::new(&self.block, &self.index);
        for field in header.named(name) {
            if values.len() == MAX_VALUES {
                self.defects.insert(Defect::TooLong(name));
                break;
            }
            let value = field.value();
            let value = String::from_utf8_lossy(value.trim_ascii());
            let kept = cut(&value);
            if kept.len() < value.len() {
                self.defects.insert(Defect::TooLong(name));
            }
            values.push(kept);
        }
        values
    }

    /// The value of a field that may stand once.
    pub fn once(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.all(name).into_iter();
        let first = values.next();
        if values.next().is_some() {
            self.note(Defect::Repeated(name));
        }
        first
    }

    /// The value of a field that must stand once.
    pub fn required(&mut self, name: &'static str) -> Option<String> {
        let value = self.once(name);
        if value.as_ref().is_none_or(String::is_empty) {
            self.note(Defect::Missing(name));
        }
        value
    }

    /// A value that was read from a field, which is noted if it could not be.
    pub fn parsed<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.note(Defect::Unreadable(name));
        }
        value
    }

    /// A number, up to white space or a comment.
    pub fn number<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        let text = self.once(name)?;
        self.parsed(name, first_word(&text).parse().ok())
    }

    /// An address, as it is or as RFC 5321 §4.1.3 writes it.
    pub fn ip(&mut self, name: &'static str) -> Option<IpAddr> {
        let text = self.once(name)?;
        let word = first_word(&text).trim_matches(['[', ']']);
        let tag = word
            .get(..5)
            .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        let address = word.get(tag.map_or(0, str::len)..);
        self.parsed(name, address.and_then(|address| address.parse().ok()))
    }

    /// The version, which should be 1.
    pub fn version(&mut self) {
        let version = self.required("Version");
        if version.is_some_and(|version| !matches!(first_word(&version), "1" | "1.0")) {
            self.note(Defect::OtherVersion);
        }
    }

    /// When the message came, in seconds since 1970.
    pub fn arrival_date(&mut self) -> Option<i64> {
        // RFC 5965 §3.2: "The historic field "Received-Date" SHOULD also be accepted and interpreted identically to "Arrival-Date"."
        let arrival = self.once("Arrival-Date").map(|date| ("Arrival-Date", date));
        let received = self
            .once("Received-Date")
            .map(|date| ("Received-Date", date));
        if arrival.is_some() && received.is_some() {
            // RFC 5965 §3.2: "However, if both are present, the report is malformed"
            self.note(Defect::Repeated("Received-Date"));
        }
        let (name, date) = arrival.or(received)?;
        self.parsed(name, seconds(&date))
    }

    /// The server that reports, without the type of its name.
    pub fn reporting_mta(&mut self) -> Option<String> {
        let mta = self.once("Reporting-MTA")?;
        let (_, name) = mta.split_once(';').unwrap_or(("", &mta));
        Some(name.trim().to_owned())
    }

    /// The reverse-path, without angle brackets; empty for the null one.
    pub fn original_mail_from(&mut self) -> Option<String> {
        let path = self.once("Original-Mail-From")?;
        Some(bare(&path).to_owned())
    }

    /// The recipients, without angle brackets.
    pub fn original_rcpt_to(&mut self) -> Vec<String> {
        let paths = self.all("Original-Rcpt-To");
        paths.iter().map(|path| bare(path).to_owned()).collect()
    }

    /// How many messages the report stands for.
    pub fn incidents(&mut self) -> u32 {
        // RFC 5965 §3.2: "The absence of this field implies the report covers a single incident."
        self.number("Incidents").unwrap_or(1)
    }
}

/// What stands before white space, a control character, a comment or the end.
#[must_use]
pub fn first_word(text: &str) -> &str {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || c.is_control() || c == '(');
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// A value up to [`MAX_VALUE`] characters.
#[must_use]
pub fn cut(value: &str) -> String {
    value.chars().take(MAX_VALUE).collect()
}

/// The seconds since 1970 of a date as mail writes it.
#[must_use]
pub fn seconds(date: &str) -> Option<i64> {
    let date = DateTime::parse(date.as_bytes()).ok()?;
    Some(date.unix_seconds())
}

/// A path without its angle brackets.
fn bare(path: &str) -> &str {
    let path = path.trim();
    let inner = path
        .strip_prefix('<')
        .and_then(|path| path.strip_suffix('>'));
    inner.unwrap_or(path)
}

/// A message as it was on the wire, if it has come out of a mailbox whose lines end in a bare LF.
fn with_crlf(message: Vec<u8>) -> Vec<u8> {
    let first = memchr(b'\n', &message).and_then(|end| message.get(..end));
    if first.is_none_or(|line| line.ends_with(b"\r")) {
        return message;
    }
    let mut lines = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) if !text.ends_with(b"\r") => {
                lines.extend_from_slice(text);
                lines.extend_from_slice(b"\r\n");
            }
            _ => lines.extend_from_slice(line),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_white_space_controls_and_comments() {
        for (text, word) in [
            (" abuse ", "abuse"),
            ("abuse(it is)", "abuse"),
            ("abuse\u{1d}x", "abuse"),
            ("", ""),
            ("(only)", ""),
            ("\u{e9}\u{a0}x", "\u{e9}"),
        ] {
            assert_eq!(first_word(text), word, "{text:?}");
        }
    }

    #[test]
    fn lines_of_a_mailbox_get_their_cr() {
        for (mail, wanted) in [
            ("a\nb\r\n\nc", "a\r\nb\r\n\r\nc"),
            // It was on the wire: a bare LF is text.
            ("a\r\nb\nc", "a\r\nb\nc"),
            ("", ""),
            ("a", "a"),
        ] {
            assert_eq!(with_crlf(mail.into()), wanted.as_bytes(), "{mail:?}");
        }
    }

    #[test]
    fn what_is_written_breaks_out_of_no_field() {
        let mut fields = FieldList::default();
        fields.add("A", "b\r\nc: d\u{e9}\0");
        fields.add("a b", "c");
        fields.add("", "c");
        fields.add("X", &"y".repeat(5_000));
        fields.date("D", Some(-1));
        fields.date("D", Some(i64::MAX));
        fields.date("D", Some(0));
        fields.lines("L", ["YWI=", "Yw=="]);
        let wanted = format!(
            "A: b  c: d?\r\nX: {}\r\nD: Thu, 1 Jan 1970 00:00:00 +0000\r\nL:\r\n YWI=\r\n Yw==\r\n",
            "y".repeat(900)
        );
        let folded = fields.as_str().replace("X:\r\n ", "X: ");
        assert_eq!(folded, wanted);
    }

    #[test]
    fn a_broken_block_of_fields_is_named_and_empty() {
        let mail = format!(
            "Content-Type: message/feedback-report\r\n\r\n{}",
            "A: b\r\n".repeat(3_000)
        );
        let feedback = Feedback::read(mail.as_bytes());
        assert!(feedback.defects.contains(&Defect::BrokenFields));
        let mut fields = feedback.fields.unwrap();
        assert_eq!(fields.all("A"), Vec::<String>::new());
        assert_eq!(fields.incidents(), 1);
        assert!(fields.into_defects().is_empty());
    }
}
