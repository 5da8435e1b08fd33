//! Failure reports written.

use core::fmt::Write as _;

use mail_syntax::folding::fold;
use mail_syntax::header::{Header, Limits, LineEnd};
use memchr::memmem;

use super::{FailureReport, Original, Redaction};
use crate::reports::mail::{MailError, address, base64_text, crc, date};

/// The most octets of a message that are reported: 1 MiB. Of a larger one only the header is shown.
pub const MAX_ORIGINAL: usize = 1024 * 1024;
/// The most octets of a value. A line ends at 998.
const MAX_VALUE: usize = 900;

/// What a mail with a failure report needs besides the report.
#[derive(Clone, Copy, Debug)]
pub struct FailureEnvelope<'a> {
    /// The address that it comes from: one of a domain that DMARC passes for, or it may make further failure reports.
    // RFC 9991 §5.1: "Unaligned reports may in turn produce subsequent failure reports that could cause mail loops."
    pub from: &'a str,
    /// The address that it goes to, of the `ruf` tag.
    pub to: &'a str,
    /// The Message-ID, without its angle brackets.
    pub message_id: &'a str,
    /// The time at which it is made, in seconds since 1970 (UTC).
    pub now: u64,
    /// How addresses are made unrecognizable. With it, of the message no more than the header is shown, without the subject outside of it.
    pub redaction: Option<Redaction<'a>>,
}

impl FailureReport {
    /// The whole mail, with CRLF, ready to be signed and sent with a null reverse-path.
    ///
    /// # Errors
    /// [`MailError`], if an address or the Message-ID cannot stand in a header field; [`MailError::NoRecord`] if there is nothing of the
    /// message to be shown.
    pub fn to_mail(&self, envelope: &FailureEnvelope<'_>) -> Result<Vec<u8>, MailError> {
        let (from, to) = (address(envelope.from)?, address(envelope.to)?);
        let message_id = address(envelope.message_id)?;
        let (media, original) = self.shown(envelope.redaction.as_ref())?;
        let subject = match envelope.redaction {
            Some(_) => None,
            None => subject(&original),
        };
        // RFC 5965 §2: "If it differs, the difference MUST be limited to only a typical forwarding prefix used by Mail User Agents (MUAs)
        // such as "FW:"."
        let subject = fold("Subject", &format!("FW: {}", subject.unwrap_or_default()));
        let fields = self.fields(envelope.redaction.as_ref());
        let boundary = boundary(message_id, &[fields.as_bytes(), &original]);
        let encoding = match original.is_ascii() {
            true => "7bit",
            false => "8bit",
        };
        let arrival = match self.arrival_date.map(u64::try_from) {
            Some(Ok(seconds)) => format!("\r\non {}", date(seconds)?),
            _ => String::new(),
        };
        let source = match self.source_ip {
            Some(ip) => format!("\r\nfrom {ip}"),
            None => String::new(),
        };
        let mut mail = String::new();
        // RFC 5965 §2: "The "report-type" parameter of the "multipart/report" type is set to "feedback-report""
        let written = write!(
            mail,
            "From: <{from}>\r\nTo: <{to}>\r\n{subject}Date: {date}\r\nMessage-ID: <{message_id}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=feedback-report;\r\n boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is an authentication failure report (RFC 9991) about a message\r\nthat was received{source}{arrival}.\r\n\r\n\
             --{boundary}\r\nContent-Type: message/feedback-report\r\n\r\n{fields}\r\n\
             --{boundary}\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
            subject = subject.unwrap_or_default(),
            date = date(envelope.now)?,
        );
        // Writing to a String cannot fail.
        debug_assert!(written.is_ok());
        let mut mail = mail.into_bytes();
        mail.extend_from_slice(&original);
        mail.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Ok(mail)
    }

    /// The media type of the third part, and its content.
    fn shown(
        &self,
        redaction: Option<&Redaction<'_>>,
    ) -> Result<(&'static str, Vec<u8>), MailError> {
        // RFC 6591 §3.1: "This part MUST be included"
        let (header, whole) = match &self.original {
            Original::Nothing => return Err(MailError::NoRecord),
            Original::Header(header) => (header, None),
            Original::Message(message) => (message, Some(message)),
        };
        if let Some(redaction) = redaction {
            return Ok(("text/rfc822-headers", redaction.header(header)));
        }
        match whole {
            Some(whole) if whole.len() <= MAX_ORIGINAL => Ok(("message/rfc822", whole.clone())),
            _ => Ok(("text/rfc822-headers", header_of(header))),
        }
    }

    /// The machine-readable part.
    fn fields(&self, redaction: Option<&Redaction<'_>>) -> String {
        let mut fields = Fields(String::new());
        let redacted = |address: &str| match redaction {
            Some(redaction) => redaction.address(address),
            None => address.to_owned(),
        };
        // RFC 5965 §3.1: "The following report header fields MUST appear exactly once:"
        fields.add("Feedback-Type", "auth-failure");
        fields.add("Version", "1");
        fields.add("User-Agent", &self.user_agent);
        let failure = self.auth_failure.unwrap_or(super::AuthFailure::Dmarc);
        fields.add("Auth-Failure", failure.as_str());
        fields.add("Authentication-Results", &self.authentication_results);
        // RFC 9991 §4: "Identity-Alignment (REQUIRED; defined below)"
        let alignment = self.identity_alignment.unwrap_or_default();
        fields.add("Identity-Alignment", &alignment.to_string());
        fields.option("Delivery-Result", self.delivery_result);
        if let Some(signature) = &self.signature {
            // RFC 9991 §4: "DKIM-Domain, DKIM-Identity, DKIM-Selector (REQUIRED for DKIM failures of an aligned identifier)"
            fields.add("DKIM-Domain", &signature.domain);
            let identity = match &signature.identity {
                Some(identity) => redaction.map_or_else(
                    || identity.clone(),
                    |redaction| match identity.strip_prefix('@') {
                        Some(_) => identity.clone(),
                        None => redaction.address(identity),
                    },
                ),
                None => format!("@{}", signature.domain),
            };
            fields.add("DKIM-Identity", &identity);
            fields.add(
                "DKIM-Selector",
                signature.selector.as_deref().unwrap_or_default(),
            );
            // RFC 6591 §3.2.4: "If DKIM-Canonicalized-Header and DKIM-Canonicalized-Body encode redacted data, they MUST NOT be included."
            if redaction.is_none() {
                fields.base64(
                    "DKIM-Canonicalized-Header",
                    signature.canonicalized_header.as_deref(),
                );
                fields.base64(
                    "DKIM-Canonicalized-Body",
                    signature.canonicalized_body.as_deref(),
                );
            }
        }
        for spf in &self.spf_dns {
            // RFC 6591 §4: "spf-dns = "SPF-DNS:" [CFWS] ( "txt" / "spf" ) [CFWS] ":" [CFWS] domain [CFWS] ":" [CFWS] quoted-string [CFWS] CRLF"
            let quoted = spf.record.replace('\\', "\\\\").replace('"', "\\\"");
            fields.add("SPF-DNS", &format!("txt : {} : \"{quoted}\"", spf.domain));
        }
        fields.option("Original-Envelope-Id", self.original_envelope_id.as_deref());
        if let Some(mail_from) = &self.original_mail_from {
            fields.add("Original-Mail-From", &format!("<{}>", redacted(mail_from)));
        }
        for rcpt_to in &self.original_rcpt_to {
            fields.add("Original-Rcpt-To", &format!("<{}>", redacted(rcpt_to)));
        }
        let arrival = self
            .arrival_date
            .and_then(|seconds| u64::try_from(seconds).ok());
        fields.option(
            "Arrival-Date",
            arrival.and_then(|seconds| date(seconds).ok()),
        );
        let mta = self.reporting_mta.as_ref();
        fields.option("Reporting-MTA", mta.map(|mta| format!("dns; {mta}")));
        fields.option("Source-IP", self.source_ip);
        fields.option("Source-Port", self.source_port);
        for domain in &self.reported_domains {
            fields.add("Reported-Domain", domain);
        }
        // RFC 5965 §3.2: "The absence of this field implies the report covers a single incident."
        fields.option("Incidents", (self.incidents != 1).then_some(self.incidents));
        fields.0
    }
}

/// The fields of the machine-readable part.
struct Fields(String);

impl Fields {
    /// A field whose value can neither end a line nor be anything but ASCII.
    fn add(&mut self, name: &str, value: &str) {
        let plain = |c: char| match c {
            c if c.is_ascii_graphic() => c,
            c if c.is_ascii() => ' ',
            _ => '?',
        };
        let value: String = value.chars().take(MAX_VALUE).map(plain).collect();
        // A value of one line, without control characters, can be folded.
        self.0.push_str(&fold(name, &value).unwrap_or_default());
    }

    fn option(&mut self, name: &str, value: Option<impl core::fmt::Display>) {
        if let Some(value) = value {
            self.add(name, &value.to_string());
        }
    }

    fn base64(&mut self, name: &str, octets: Option<&[u8]>) {
        let Some(octets) = octets.filter(|octets| octets.len() <= MAX_ORIGINAL) else {
            return;
        };
        self.0.push_str(name);
        self.0.push(':');
        let text = base64_text(octets);
        if text.is_empty() {
            self.0.push_str("\r\n");
        }
        for line in text.lines() {
            self.0.push_str(&format!("\r\n {line}"));
        }
        if !text.is_empty() {
            self.0.push_str("\r\n");
        }
    }
}

/// The header block of a message, the empty line included.
fn header_of(message: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    match Header::split_with(message, &limits, LineEnd::CrlfOrLf) {
        Ok((header, _)) => {
            let mut block = header.octets().to_vec();
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
    let mut number = u64::from(crc(seed));
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
