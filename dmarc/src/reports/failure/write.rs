//! Failure reports written.

use mail_syntax::feedback_report::{
    Envelope, FeedbackMail, FieldList, MAX_ORIGINAL, WriteError, shown,
};

use super::{FailureReport, Original, Redaction};
use crate::reports::mail::{MailError, base64_text, date};

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
        let (media, original) = self.shown(envelope.redaction.as_ref())?;
        let arrival = match self.arrival_date.map(u64::try_from) {
            Some(Ok(seconds)) => format!("\r\non {}", date(seconds)?),
            _ => String::new(),
        };
        let source = match self.source_ip {
            Some(ip) => format!("\r\nfrom {ip}"),
            None => String::new(),
        };
        let mail = FeedbackMail {
            envelope: Envelope {
                from: envelope.from,
                to: envelope.to,
                message_id: envelope.message_id,
                now: envelope.now,
            },
            subject: envelope.redaction.is_none(),
            text: &format!(
                "This is an authentication failure report (RFC 9991) about a message\r\nthat was received{source}{arrival}.\r\n"
            ),
            fields: &self.fields(envelope.redaction.as_ref()),
            shown: (media, &original),
        };
        mail.to_mail().map_err(MailError::from)
    }

    /// The media type of the third part, and its content.
    fn shown(
        &self,
        redaction: Option<&Redaction<'_>>,
    ) -> Result<(&'static str, Vec<u8>), MailError> {
        // RFC 6591 §3.1: "This part MUST be included"
        match (redaction, &self.original) {
            (Some(redaction), Original::Header(octets) | Original::Message(octets)) => {
                Ok(("text/rfc822-headers", redaction.header(octets)))
            }
            _ => shown(&self.original).map_err(MailError::from),
        }
    }

    /// The machine-readable part.
    fn fields(&self, redaction: Option<&Redaction<'_>>) -> FieldList {
        let mut fields = FieldList::default();
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
                for (name, octets) in [
                    ("DKIM-Canonicalized-Header", &signature.canonicalized_header),
                    ("DKIM-Canonicalized-Body", &signature.canonicalized_body),
                ] {
                    match octets {
                        Some(octets) if octets.len() <= MAX_ORIGINAL => {
                            fields.lines(name, base64_text(octets).lines());
                        }
                        _ => {}
                    }
                }
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
        fields.date("Arrival-Date", self.arrival_date);
        let mta = self.reporting_mta.as_ref();
        fields.option("Reporting-MTA", mta.map(|mta| format!("dns; {mta}")));
        fields.option("Source-IP", self.source_ip);
        fields.option("Source-Port", self.source_port);
        fields.each("Reported-Domain", &self.reported_domains);
        // RFC 5965 §3.2: "The absence of this field implies the report covers a single incident."
        fields.option("Incidents", (self.incidents != 1).then_some(self.incidents));
        fields
    }
}

impl From<WriteError> for MailError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NoOriginal => Self::NoRecord,
            WriteError::Time => Self::Time,
            // What is not known is an address that cannot stand there.
            _ => Self::Address,
        }
    }
}
