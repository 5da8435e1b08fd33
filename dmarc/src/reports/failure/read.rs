//! Failure reports read, in the forms that real reporters send.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_syntax::date::DateTime;
use mail_syntax::header::{Header, Limits, LineEnd};
use mail_syntax::mime::Part;
use memchr::memchr;

use super::{
    AuthFailure, DeliveryResult, FailedSignature, FailureReport, IdentityAlignment, Original,
    SpfDns,
};
use crate::reports::read::parts;

/// Values of a field that may stand more than once, of which so many are kept.
const MAX_VALUES: usize = 100;
/// Octets of a value that are kept.
const MAX_VALUE: usize = 1_024;
/// Octets of the machine-readable part that are read.
const MAX_FIELDS: usize = 4 * 1024 * 1024;

/// What is not as the RFCs want it, and was read all the same. Fields are named as they are spelt in the RFCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum FailureDefect {
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

/// The mail is no report about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFailureReport {
    /// It has neither a machine-readable part nor a text that reads like a report.
    #[error("the mail is no failure report")]
    NotFound,
    /// It is a feedback report of another type, such as `abuse`.
    #[error("the feedback report is not about an authentication failure")]
    OtherFeedback,
}

impl FailureReport {
    /// Reads a mail.
    ///
    /// # Errors
    /// [`NoFailureReport`] if it is something else.
    pub fn read(mail: &[u8]) -> Result<(Self, BTreeSet<FailureDefect>), NoFailureReport> {
        let tree = parts(mail);
        let mut reader = Reader {
            report: Self {
                user_agent: String::new(),
                auth_failure: None,
                ..Self::new(AuthFailure::Dmarc, "")
            },
            defects: BTreeSet::new(),
        };
        let root = tree.root();
        let media = root.content_type();
        let report_type = media.parameters().value("report-type");
        let is_feedback =
            report_type.is_some_and(|value| value.eq_ignore_ascii_case("feedback-report"));
        if !media.is("multipart", "report") || !is_feedback {
            reader.defects.insert(FailureDefect::NoMultipartReport);
        }
        let machine = tree
            .parts()
            .find(|part| part.content_type().is("message", "feedback-report"));
        let parent = match machine {
            Some(machine) => {
                reader.machine(&machine)?;
                machine.parent()
            }
            None => {
                reader.text(
                    &tree
                        .parts()
                        .find(is_text)
                        .ok_or(NoFailureReport::NotFound)?,
                )?;
                None
            }
        };
        // The message stands beside the machine-readable part; what lies within it is not ours.
        let beside = parent.unwrap_or(root);
        for part in beside.children() {
            reader.original(&part);
        }
        if reader.report.original == Original::Nothing {
            reader.defects.insert(FailureDefect::NoOriginal);
        }
        Ok((reader.report, reader.defects))
    }
}

fn is_text(part: &Part<'_>) -> bool {
    part.content_type().is("text", "plain")
}

/// A message as it was on the wire, if it has come out of a mailbox whose lines end in a bare LF.
fn with_crlf(mail: Vec<u8>) -> Vec<u8> {
    let first = memchr(b'\n', &mail).and_then(|end| mail.get(..end));
    if first.is_none_or(|line| line.ends_with(b"\r")) {
        return mail;
    }
    let mut lines = Vec::with_capacity(mail.len() + mail.len() / 32);
    for line in mail.split_inclusive(|octet| *octet == b'\n') {
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

struct Reader {
    report: FailureReport,
    defects: BTreeSet<FailureDefect>,
}

impl Reader {
    fn original(&mut self, part: &Part<'_>) {
        if self.report.original != Original::Nothing {
            return;
        }
        let media = part.content_type();
        if media.is_message() {
            self.report.original = Original::Message(with_crlf(part.decoded_body()));
        } else if media.is("text", "rfc822-headers") || media.is("text", "rfc822-header") {
            self.report.original = Original::Header(with_crlf(part.decoded_body()));
        }
    }

    /// The part message/feedback-report.
    fn machine(&mut self, part: &Part<'_>) -> Result<(), NoFailureReport> {
        if !part.encoding().is_identity() {
            self.defects.insert(FailureDefect::Encoded);
        }
        let mut block = part.decoded_body();
        block.truncate(MAX_FIELDS);
        // The block may end without an empty line.
        block.extend_from_slice(b"\r\n\r\n");
        let mut limits = Limits::default();
        limits.block = limits.block.max(block.len());
        limits.field = limits.field.max(block.len());
        let start = block.len() - block.trim_ascii_start().len();
        let block = block.get(start..).unwrap_or_default();
        let Ok((header, _)) = Header::split_with(block, &limits, LineEnd::CrlfOrLf) else {
            self.defects.insert(FailureDefect::BrokenFields);
            return Ok(());
        };
        let fields = Fields {
            header,
            defects: &mut self.defects,
        };
        fields.read(&mut self.report)
    }

    /// The text of a reporter that sends no more than that: `name: value` in lines, up to what it shows of the message.
    fn text(&mut self, part: &Part<'_>) -> Result<(), NoFailureReport> {
        let body = part.decoded_body();
        let body = String::from_utf8_lossy(&body);
        let (head, shown) = body.split_once("\n------").unwrap_or((&body, ""));
        let mut alignment = IdentityAlignment::default();
        let mut found = 0;
        for line in head.lines().take(MAX_VALUES) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "sender domain" => self.report.reported_domains.push(cut(value)),
                "sender ip address" => self.report.source_ip = value.parse().ok(),
                "received date" => self.report.arrival_date = seconds(value),
                "spf alignment" => alignment.spf = value.eq_ignore_ascii_case("no"),
                "dkim alignment" => alignment.dkim = value.eq_ignore_ascii_case("no"),
                _ => continue,
            }
            found += 1;
        }
        if found < 3 {
            return Err(NoFailureReport::NotFound);
        }
        self.report.auth_failure = Some(AuthFailure::Dmarc);
        self.report.identity_alignment = Some(alignment);
        self.defects.insert(FailureDefect::TextOnly);
        // The line that announces the header, and an empty one.
        let shown = shown.split_once('\n').map_or("", |(_, shown)| shown);
        let shown = shown.trim_start();
        if !shown.is_empty() {
            self.report.original = Original::Header(shown.as_bytes().to_vec());
        }
        Ok(())
    }
}

/// The fields of the machine-readable part.
struct Fields<'a> {
    header: Header<'a>,
    defects: &'a mut BTreeSet<FailureDefect>,
}

impl Fields<'_> {
    fn read(mut self, report: &mut FailureReport) -> Result<(), NoFailureReport> {
        let kind = self.required("Feedback-Type");
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("auth-failure")) {
            return Err(NoFailureReport::OtherFeedback);
        }
        let version = self.required("Version");
        if version.is_some_and(|version| version != "1" && version != "1.0") {
            self.defects.insert(FailureDefect::OtherVersion);
        }
        report.user_agent = self.required("User-Agent").unwrap_or_default();
        let failure = self.required("Auth-Failure");
        report.auth_failure = self.word("Auth-Failure", failure, AuthFailure::of_word);
        let results = self.required("Authentication-Results");
        report.authentication_results = results.unwrap_or_default();
        let alignment = match report.auth_failure {
            Some(AuthFailure::Dmarc) | None => self.required("Identity-Alignment"),
            Some(_) => self.once("Identity-Alignment"),
        };
        report.identity_alignment = alignment.and_then(|list| self.alignment(&list));
        let result = self.once("Delivery-Result");
        report.delivery_result = self.word("Delivery-Result", result, DeliveryResult::of_word);
        report.signature = self.signature();
        report.spf_dns = self.spf_dns();
        report.original_envelope_id = self.once("Original-Envelope-Id");
        report.original_mail_from = self.once("Original-Mail-From").map(|path| bare(&path));
        let rcpt_to = self.all("Original-Rcpt-To");
        report.original_rcpt_to = rcpt_to.iter().map(|path| bare(path)).collect();
        // RFC 5965 §3.2: "The historic field "Received-Date" SHOULD also be accepted and interpreted identically to "Arrival-Date"."
        let arrival = match self.once("Arrival-Date") {
            Some(date) => Some(("Arrival-Date", date)),
            None => self
                .once("Received-Date")
                .map(|date| ("Received-Date", date)),
        };
        report.arrival_date = arrival.and_then(|(name, date)| self.parsed(name, seconds(&date)));
        report.reporting_mta = self.once("Reporting-MTA").map(|mta| {
            let (_, name) = mta.split_once(';').unwrap_or(("", &mta));
            name.trim().to_owned()
        });
        report.source_ip = self
            .once("Source-IP")
            .and_then(|text| self.parsed("Source-IP", ip(&text)));
        report.source_port = self
            .once("Source-Port")
            .and_then(|text| self.parsed("Source-Port", first_word(&text).parse().ok()));
        report.reported_domains = self.all("Reported-Domain");
        let incidents = self.once("Incidents");
        let incidents =
            incidents.and_then(|text| self.parsed("Incidents", first_word(&text).parse().ok()));
        report.incidents = incidents.unwrap_or(1);
        Ok(())
    }

    /// All values of a field, without line ends and comments of no concern.
    fn all(&mut self, name: &'static str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for field in self.header.named(name) {
            if values.len() == MAX_VALUES {
                self.defects.insert(FailureDefect::TooLong(name));
                break;
            }
            let value = field.value();
            let value = String::from_utf8_lossy(value.trim_ascii());
            let kept = cut(&value);
            if kept.len() < value.len() {
                self.defects.insert(FailureDefect::TooLong(name));
            }
            values.push(kept);
        }
        values
    }

    /// The value of a field that may stand once.
    fn once(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.all(name).into_iter();
        let first = values.next();
        if values.next().is_some() {
            self.defects.insert(FailureDefect::Repeated(name));
        }
        first
    }

    fn required(&mut self, name: &'static str) -> Option<String> {
        let value = self.once(name);
        if value.as_ref().is_none_or(String::is_empty) {
            self.defects.insert(FailureDefect::Missing(name));
        }
        value
    }

    fn parsed<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.defects.insert(FailureDefect::Unreadable(name));
        }
        value
    }

    fn word<T>(
        &mut self,
        name: &'static str,
        text: Option<String>,
        of_word: fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let word = first_word(text.as_ref()?).to_ascii_lowercase();
        let value = of_word(word.as_bytes());
        if value.is_none() {
            self.defects.insert(FailureDefect::UnknownWord(name));
        }
        value
    }

    fn alignment(&mut self, list: &str) -> Option<IdentityAlignment> {
        let mut alignment = IdentityAlignment::default();
        let mut found = false;
        for word in list.split(',') {
            match first_word(word).to_ascii_lowercase().as_str() {
                "dkim" => alignment.dkim = true,
                "spf" => alignment.spf = true,
                "none" => {}
                _ => {
                    self.defects
                        .insert(FailureDefect::UnknownWord("Identity-Alignment"));
                    continue;
                }
            }
            found = true;
        }
        found.then_some(alignment)
    }

    fn signature(&mut self) -> Option<FailedSignature> {
        let domain = self.once("DKIM-Domain");
        let identity = self.once("DKIM-Identity");
        let selector = self.once("DKIM-Selector").filter(|text| !text.is_empty());
        let canonicalized_header = self.base64("DKIM-Canonicalized-Header");
        let canonicalized_body = self.base64("DKIM-Canonicalized-Body");
        domain.map(|domain| FailedSignature {
            domain,
            identity,
            selector,
            canonicalized_header,
            canonicalized_body,
        })
    }

    fn base64(&mut self, name: &'static str) -> Option<Vec<u8>> {
        let field = self.header.named(name).next()?;
        let mut text = field.body().to_vec();
        text.retain(|octet| !octet.is_ascii_whitespace());
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let octets = GeneralPurpose::new(&ALPHABET, config).decode(&text).ok();
        self.parsed(name, octets)
    }

    fn spf_dns(&mut self) -> Vec<SpfDns> {
        let values = self.all("SPF-DNS");
        let mut found = Vec::new();
        for value in values {
            let mut words = value.splitn(3, ':').map(str::trim);
            let (kind, domain, record) = (words.next(), words.next(), words.next());
            match (kind, domain, record) {
                (Some(_), Some(domain), Some(record)) => found.push(SpfDns {
                    domain: domain.to_owned(),
                    record: unquoted(record),
                }),
                _ => {
                    self.defects.insert(FailureDefect::Unreadable("SPF-DNS"));
                }
            }
        }
        found
    }
}

/// The value, if it is longer than any should be up to a character before its end.
fn cut(value: &str) -> String {
    value.chars().take(MAX_VALUE).collect()
}

/// What stands before white space, a comment or the end.
fn first_word(text: &str) -> &str {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || c == '(');
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// A path without its angle brackets.
fn bare(path: &str) -> String {
    let path = path.trim();
    let inner = path
        .strip_prefix('<')
        .and_then(|path| path.strip_suffix('>'));
    inner.unwrap_or(path).to_owned()
}

/// An address, as it is or as RFC 5321 §4.1.3 writes it in brackets.
fn ip(text: &str) -> Option<IpAddr> {
    let word = first_word(text).trim_matches(['[', ']']);
    let tag = word
        .get(..5)
        .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    word.get(tag.map_or(0, str::len)..)?.parse().ok()
}

fn seconds(date: &str) -> Option<i64> {
    let date = DateTime::parse(date.as_bytes()).ok()?;
    Some(date.unix_seconds())
}

/// The content of a quoted string, or the text if it is none.
fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else {
        return text.to_owned();
    };
    let mut content = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => break,
            '\\' => content.extend(characters.next()),
            c => content.push(c),
        }
    }
    content
}
