//! Failure reports read, in the forms that real reporters send.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_syntax::feedback_report::{
    Defect as FailureDefect, Feedback, Fields, MAX_VALUES, Original, cut, first_word, seconds,
};

use super::{
    AuthFailure, DeliveryResult, FailedSignature, FailureReport, IdentityAlignment, SpfDns,
};

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
        let Feedback {
            fields,
            text,
            original,
            mut defects,
        } = Feedback::read(mail);
        let mut report = Self {
            user_agent: String::new(),
            auth_failure: None,
            original,
            ..Self::new(AuthFailure::Dmarc, "")
        };
        match fields {
            Some(fields) => defects.extend(report.machine(fields)?),
            None => {
                report.text(&text.ok_or(NoFailureReport::NotFound)?)?;
                defects.insert(FailureDefect::TextOnly);
            }
        }
        if report.original == Original::Nothing {
            defects.insert(FailureDefect::NoOriginal);
        }
        Ok((report, defects))
    }

    /// The part message/feedback-report.
    fn machine(&mut self, mut fields: Fields) -> Result<BTreeSet<FailureDefect>, NoFailureReport> {
        let kind = fields.required("Feedback-Type");
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("auth-failure")) {
            return Err(NoFailureReport::OtherFeedback);
        }
        fields.version();
        self.user_agent = fields.required("User-Agent").unwrap_or_default();
        let failure = fields.required("Auth-Failure");
        self.auth_failure = word(&mut fields, "Auth-Failure", failure, AuthFailure::of_word);
        let results = fields.required("Authentication-Results");
        self.authentication_results = results.unwrap_or_default();
        let alignment = match self.auth_failure {
            Some(AuthFailure::Dmarc) | None => fields.required("Identity-Alignment"),
            Some(_) => fields.once("Identity-Alignment"),
        };
        self.identity_alignment = alignment.and_then(|list| alignment_of(&mut fields, &list));
        let result = fields.once("Delivery-Result");
        self.delivery_result = word(
            &mut fields,
            "Delivery-Result",
            result,
            DeliveryResult::of_word,
        );
        self.signature = signature(&mut fields);
        self.spf_dns = spf_dns(&mut fields);
        self.original_envelope_id = fields.once("Original-Envelope-Id");
        self.original_mail_from = fields.original_mail_from();
        self.original_rcpt_to = fields.original_rcpt_to();
        self.arrival_date = fields.arrival_date();
        self.reporting_mta = fields.reporting_mta();
        self.source_ip = fields.ip("Source-IP");
        self.source_port = fields.number("Source-Port");
        self.reported_domains = fields.all("Reported-Domain");
        self.incidents = fields.incidents();
        Ok(fields.into_defects())
    }

    /// The text of a reporter that sends no more than that: `name: value` in lines, up to what it shows of the message.
    fn text(&mut self, body: &[u8]) -> Result<(), NoFailureReport> {
        let body = String::from_utf8_lossy(body);
        let (head, shown) = body.split_once("\n------").unwrap_or((&body, ""));
        let mut alignment = IdentityAlignment::default();
        let mut found = 0;
        for line in head.lines().take(MAX_VALUES) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "sender domain" => self.reported_domains.push(cut(value)),
                "sender ip address" => self.source_ip = value.parse().ok(),
                "received date" => self.arrival_date = seconds(value),
                "spf alignment" => alignment.spf = value.eq_ignore_ascii_case("no"),
                "dkim alignment" => alignment.dkim = value.eq_ignore_ascii_case("no"),
                _ => continue,
            }
            found += 1;
        }
        if found < 3 {
            return Err(NoFailureReport::NotFound);
        }
        self.auth_failure = Some(AuthFailure::Dmarc);
        self.identity_alignment = Some(alignment);
        // The line that announces the header, and an empty one.
        let shown = shown.split_once('\n').map_or("", |(_, shown)| shown);
        let shown = shown.trim_start();
        if !shown.is_empty() {
            self.original = Original::Header(shown.as_bytes().to_vec());
        }
        Ok(())
    }
}

fn word<T>(
    fields: &mut Fields,
    name: &'static str,
    text: Option<String>,
    of_word: fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let word = first_word(text.as_ref()?).to_ascii_lowercase();
    let value = of_word(word.as_bytes());
    if value.is_none() {
        fields.note(FailureDefect::UnknownWord(name));
    }
    value
}

fn alignment_of(fields: &mut Fields, list: &str) -> Option<IdentityAlignment> {
    let mut alignment = IdentityAlignment::default();
    let mut found = false;
    for word in list.split(',') {
        match first_word(word).to_ascii_lowercase().as_str() {
            "dkim" => alignment.dkim = true,
            "spf" => alignment.spf = true,
            "none" => {}
            _ => {
                fields.note(FailureDefect::UnknownWord("Identity-Alignment"));
                continue;
            }
        }
        found = true;
    }
    found.then_some(alignment)
}

fn signature(fields: &mut Fields) -> Option<FailedSignature> {
    let domain = fields.once("DKIM-Domain");
    let identity = fields.once("DKIM-Identity");
    let selector = fields.once("DKIM-Selector").filter(|text| !text.is_empty());
    let canonicalized_header = base64(fields, "DKIM-Canonicalized-Header");
    let canonicalized_body = base64(fields, "DKIM-Canonicalized-Body");
    domain.map(|domain| FailedSignature {
        domain,
        identity,
        selector,
        canonicalized_header,
        canonicalized_body,
    })
}

fn base64(fields: &mut Fields, name: &'static str) -> Option<Vec<u8>> {
    let mut text = fields.header().named(name).next()?.body().to_vec();
    text.retain(|octet| !octet.is_ascii_whitespace());
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let octets = GeneralPurpose::new(&ALPHABET, config).decode(&text).ok();
    fields.parsed(name, octets)
}

fn spf_dns(fields: &mut Fields) -> Vec<SpfDns> {
    let mut found = Vec::new();
    for value in fields.all("SPF-DNS") {
        let mut words = value.splitn(3, ':').map(str::trim);
        let (kind, domain, record) = (words.next(), words.next(), words.next());
        match (kind, domain, record) {
            (Some(_), Some(domain), Some(record)) => found.push(SpfDns {
                domain: domain.to_owned(),
                record: unquoted(record),
            }),
            _ => fields.note(FailureDefect::Unreadable("SPF-DNS")),
        }
    }
    found
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
