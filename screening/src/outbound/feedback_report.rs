//! Complaints: feedback reports (RFC 5965) that providers send when a user says that a message was not wanted.
//!
//! What a report says is what its writer claims: "An attacker could craft a report meant to generate undesirable actions on the part of
//! a report recipient" (RFC 5965 §8.2). So ask first who sent it: [`cfbl_address::may_be_believed`](super::cfbl_address::may_be_believed).

use std::collections::BTreeSet;
use std::net::IpAddr;

use mail_syntax::feedback_report::{
    Feedback, FeedbackMail, FieldList, MAX_VALUES, cut, first_word, shown,
};
use mail_syntax::header::{Header, Limits, LineEnd};

pub use mail_syntax::feedback_report::{Defect, Envelope, Original, WriteError};

use super::cfbl_address::feedback_id;

/// What a report is about (`Feedback-Type`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedbackType {
    /// Unsolicited mail, or some other kind of abuse. This is a complaint.
    Abuse,
    /// Fraud or phishing.
    Fraud,
    /// A virus was found in the message.
    Virus,
    /// Any other kind of feedback.
    Other,
    /// A failure of authentication (RFC 6591), which `dmarc` reads whole.
    AuthFailure,
    /// A type that is not in RFC 5965 or RFC 6591, such as `not-spam`; in lower case.
    Unknown(String),
}

impl FeedbackType {
    const WORDS: [(&'static str, Self); 5] = [
        ("abuse", Self::Abuse),
        ("fraud", Self::Fraud),
        ("virus", Self::Virus),
        ("other", Self::Other),
        ("auth-failure", Self::AuthFailure),
    ];

    fn of_word(word: &str) -> Self {
        let word = word.to_ascii_lowercase();
        let known = Self::WORDS.into_iter().find(|(known, _)| *known == word);
        known.map_or_else(|| Self::Unknown(word), |(_, known)| known)
    }

    /// Its word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown(word) => word,
            known => Self::WORDS
                .iter()
                .find(|(_, word)| word == known)
                .map_or("other", |(word, _)| word),
        }
    }
}

impl core::fmt::Display for FeedbackType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The mail is no feedback report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mail has no part message/feedback-report that says what it is about")]
#[non_exhaustive]
pub struct NoFeedbackReport;

/// A feedback report.
///
/// ```
/// use screening::outbound::feedback_report::{Envelope, FeedbackReport, FeedbackType, Original};
///
/// let mut report = FeedbackReport::new(FeedbackType::Abuse);
/// report.source_ip = Some("192.0.2.1".parse()?);
/// report.original = Original::Header(b"Message-ID: <1@example.net>\r\nCFBL-Feedback-ID: 111:\r\n 222\r\n\r\n".to_vec());
/// let mail = report.to_mail(&Envelope {
///     from: "abusedesk@example.com",
///     to: "abuse@example.net",
///     message_id: "7@example.com",
///     now: 1_800_000_000,
/// })?;
/// let (read, defects) = FeedbackReport::read(&mail)?;
/// assert_eq!(read, report);
/// assert!(defects.is_empty() && read.is_complaint());
/// assert_eq!(read.feedback_id().as_deref(), Some("111:222"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedbackReport {
    /// What it is about.
    pub feedback_type: FeedbackType,
    /// The program that made it; it says what it likes.
    pub user_agent: String,
    /// The envelope identifier.
    pub original_envelope_id: Option<String>,
    /// The reverse-path; empty for the null one.
    pub original_mail_from: Option<String>,
    /// The recipients.
    pub original_rcpt_to: Vec<String>,
    /// When the message came, in seconds since 1970 (UTC).
    pub arrival_date: Option<i64>,
    /// The server that reports.
    pub reporting_mta: Option<String>,
    /// The address that the message came from: one of ours, if the report is for us.
    pub source_ip: Option<IpAddr>,
    /// The port that it came from (RFC 6692).
    pub source_port: Option<u16>,
    /// How many messages it stands for. A stranger's number: do not believe a large one.
    pub incidents: u32,
    /// What the reporter's checks came to: bodies of Authentication-Results fields.
    pub authentication_results: Vec<String>,
    /// Domains that the report is about.
    pub reported_domains: Vec<String>,
    /// URIs that the report is about.
    pub reported_uris: Vec<String>,
    /// All other fields, in their order, by the names that they have.
    pub extensions: Vec<(String, String)>,
    /// The message.
    pub original: Original,
}

/// The fields of RFC 5965 and RFC 6692, and the historic one.
const FIELDS: [&str; 15] = [
    "Feedback-Type",
    "User-Agent",
    "Version",
    "Original-Envelope-Id",
    "Original-Mail-From",
    "Original-Rcpt-To",
    "Arrival-Date",
    "Received-Date",
    "Reporting-MTA",
    "Source-IP",
    "Source-Port",
    "Incidents",
    "Authentication-Results",
    "Reported-Domain",
    "Reported-URI",
];

impl FeedbackReport {
    /// A report of this type, with nothing else in it.
    pub fn new(feedback_type: FeedbackType) -> Self {
        Self {
            feedback_type,
            user_agent: concat!("screening/", env!("CARGO_PKG_VERSION")).into(),
            original_envelope_id: None,
            original_mail_from: None,
            original_rcpt_to: Vec::new(),
            arrival_date: None,
            reporting_mta: None,
            source_ip: None,
            source_port: None,
            incidents: 1,
            authentication_results: Vec::new(),
            reported_domains: Vec::new(),
            reported_uris: Vec::new(),
            extensions: Vec::new(),
            original: Original::Nothing,
        }
    }

    /// Reads a mail, with what is not as RFC 5965 wants it.
    ///
    /// Of each field [`MAX_VALUES`] values are kept, of each value [`MAX_VALUE`](mail_syntax::feedback_report::MAX_VALUE) characters. RFC
    /// 5965 §4 would have what deviates ignored or rejected: whoever wants that looks at the defects.
    ///
    /// # Errors
    ///
    /// [`NoFeedbackReport`] if it is something else.
    pub fn read(mail: &[u8]) -> Result<(Self, BTreeSet<Defect>), NoFeedbackReport> {
        let Feedback {
            fields,
            original,
            mut defects,
            ..
        } = Feedback::read(mail);
        let mut fields = fields.ok_or(NoFeedbackReport)?;
        let kind = fields.required("Feedback-Type");
        let kind = kind.ok_or(NoFeedbackReport)?;
        let mut report = Self::new(FeedbackType::of_word(first_word(&kind)));
        if matches!(report.feedback_type, FeedbackType::Unknown(_)) {
            // RFC 5965 §6: "implementors MUST ignore any fields or report types they do not explicitly support."
            fields.note(Defect::UnknownWord("Feedback-Type"));
        }
        fields.version();
        report.user_agent = fields.required("User-Agent").unwrap_or_default();
        report.original_envelope_id = fields.once("Original-Envelope-Id");
        report.original_mail_from = fields.original_mail_from();
        report.original_rcpt_to = fields.original_rcpt_to();
        report.arrival_date = fields.arrival_date();
        report.reporting_mta = fields.reporting_mta();
        report.source_ip = fields.ip("Source-IP");
        report.source_port = fields.number("Source-Port");
        report.incidents = fields.incidents();
        report.authentication_results = fields.all("Authentication-Results");
        report.reported_domains = fields.all("Reported-Domain");
        report.reported_uris = fields.all("Reported-URI");
        let mut extensions = Vec::new();
        for field in fields.header().fields() {
            let is_known = FIELDS.iter().any(|known| field.is(known));
            if !is_known && extensions.len() < MAX_VALUES {
                let value = field.value();
                let value = String::from_utf8_lossy(value.trim_ascii());
                extensions.push((cut(field.name()), cut(&value)));
            }
        }
        report.extensions = extensions;
        report.original = original;
        if report.original == Original::Nothing {
            // RFC 5965 §2: "This part MUST be included (contrary to [REPORT])."
            defects.insert(Defect::NoOriginal);
        }
        defects.extend(fields.into_defects());
        Ok((report, defects))
    }

    /// The whole mail, with CRLF, ready to be signed and sent.
    ///
    /// # Errors
    ///
    /// [`WriteError`], if an address or the Message-ID cannot stand in a header field, or there is nothing of the message to be shown.
    pub fn to_mail(&self, envelope: &Envelope<'_>) -> Result<Vec<u8>, WriteError> {
        let (media, original) = shown(&self.original)?;
        let source = match self.source_ip {
            Some(ip) => format!("\r\nfrom {ip}"),
            None => String::new(),
        };
        let mail = FeedbackMail {
            envelope: *envelope,
            // RFC 5965 §2: "The Subject header field of the feedback report SHOULD be the same as the included email message about which
            // the report is being generated."
            subject: true,
            text: &format!("This is a feedback report (RFC 5965) about a message{source}.\r\n"),
            fields: &self.fields(),
            shown: (media, &original),
        };
        mail.to_mail()
    }

    /// The machine-readable part.
    fn fields(&self) -> FieldList {
        let mut fields = FieldList::default();
        // RFC 5965 §3.1: "The following report header fields MUST appear exactly once:"
        fields.add("Feedback-Type", self.feedback_type.as_str());
        fields.add("User-Agent", &self.user_agent);
        fields.add("Version", "1");
        fields.option("Original-Envelope-Id", self.original_envelope_id.as_ref());
        let path = |path: &String| format!("<{path}>");
        fields.option(
            "Original-Mail-From",
            self.original_mail_from.as_ref().map(path),
        );
        for rcpt_to in &self.original_rcpt_to {
            fields.add("Original-Rcpt-To", &path(rcpt_to));
        }
        fields.date("Arrival-Date", self.arrival_date);
        let mta = self.reporting_mta.as_ref();
        fields.option("Reporting-MTA", mta.map(|mta| format!("dns; {mta}")));
        // RFC 5965 §3.2: "Addresses MUST be formatted as per section 4.1.3 of [SMTP]."
        let literal = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("IPv6:{ip}"),
        };
        fields.option("Source-IP", self.source_ip.map(literal));
        fields.option("Source-Port", self.source_port);
        // RFC 5965 §3.2: "The absence of this field implies the report covers a single incident."
        fields.option("Incidents", (self.incidents != 1).then_some(self.incidents));
        fields.each("Authentication-Results", &self.authentication_results);
        fields.each("Reported-Domain", &self.reported_domains);
        fields.each("Reported-URI", &self.reported_uris);
        for (name, value) in &self.extensions {
            if !FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                fields.add(name, value);
            }
        }
        fields
    }

    /// Whether a user says that the message was not wanted: it counts as [`Outcome::Complaint`](super::reputation::Outcome::Complaint).
    pub fn is_complaint(&self) -> bool {
        self.feedback_type == FeedbackType::Abuse
    }

    /// The Message-ID of the message, with its angle brackets, as far as it is shown. By it the sender finds the message and its recipient.
    pub fn message_id(&self) -> Option<String> {
        self.original_field("Message-ID")
    }

    /// The CFBL-Feedback-ID of the message, without white space and comments.
    pub fn feedback_id(&self) -> Option<String> {
        feedback_id(self.original_field("CFBL-Feedback-ID")?.as_bytes())
    }

    /// The first field of this name in the message's header.
    fn original_field(&self, name: &str) -> Option<String> {
        let (Original::Header(octets) | Original::Message(octets)) = &self.original else {
            return None;
        };
        let limits = Limits::default();
        let (header, _) = Header::split_with(octets, &limits, LineEnd::CrlfOrLf).ok()?;
        let field = header.named(name).next()?;
        Some(cut(String::from_utf8_lossy(&field.value()).trim()))
    }
}
