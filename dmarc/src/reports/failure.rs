//! Failure reports: one mail about one message that failed (RFC 9991, in the form of RFC 6591 and RFC 5965).
//!
//! They carry other people's mail. Think before sending any: most receivers do not. What is sent can be reduced to the header
//! ([`Original::Header`]) and its addresses be made unrecognizable ([`Redaction`]).
//!
//! How many may go out is said by [`sending_policy`](super::sending_policy), to whom by [`report_destination`](crate::report_destination)
//! and [`wanted`].

mod read;
mod redaction;
mod write;

use std::net::IpAddr;

pub use mail_syntax::feedback_report::{Defect as FailureDefect, MAX_ORIGINAL, Original};
pub use read::NoFailureReport;
pub use redaction::Redaction;
pub use write::FailureEnvelope;

use crate::DmarcResult;
use crate::record::{FailureOptions, FailureScope, Psd, Record, ReportingUri};

words! {
    /// Which mechanism's failure is reported (`Auth-Failure`).
    AuthFailure {
        /// DMARC: mechanisms failed to produce aligned identifiers (RFC 9991 §4).
        Dmarc = "dmarc",
        /// The signing practices of RFC 5617.
        Adsp = "adsp",
        /// The body is not what was signed.
        BodyHash = "bodyhash",
        /// The key was revoked.
        Revoked = "revoked",
        /// The signature does not hold.
        Signature = "signature",
        /// SPF.
        Spf = "spf",
    }
}

words! {
    /// What was done with the message (`Delivery-Result`).
    DeliveryResult {
        /// It was delivered.
        Delivered = "delivered",
        /// It was put with the spam.
        Spam = "spam",
        /// It was kept from the inbox by policy.
        Policy = "policy",
        /// It was refused.
        Reject = "reject",
        /// Something else.
        Other = "other",
    }
}

/// Which mechanisms failed to authenticate an aligned identity (`Identity-Alignment`); none prints as `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IdentityAlignment {
    /// DKIM did.
    pub dkim: bool,
    /// SPF did.
    pub spf: bool,
}

impl core::fmt::Display for IdentityAlignment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match (self.dkim, self.spf) {
            (true, true) => "dkim, spf",
            (true, false) => "dkim",
            (false, true) => "spf",
            (false, false) => "none",
        })
    }
}

/// The signature that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedSignature {
    /// `d=` (`DKIM-Domain`).
    pub domain: String,
    /// `i=` (`DKIM-Identity`); what it stands for where the tag is missing is `@` and the domain.
    pub identity: Option<String>,
    /// `s=` (`DKIM-Selector`).
    pub selector: Option<String>,
    /// The header as it was hashed (`DKIM-Canonicalized-Header`).
    pub canonicalized_header: Option<Vec<u8>>,
    /// The body as it was hashed (`DKIM-Canonicalized-Body`), no more of it than `l=` covers.
    pub canonicalized_body: Option<Vec<u8>>,
}

/// An SPF record that took part in the result (`SPF-DNS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpfDns {
    /// Where it was found.
    pub domain: String,
    /// Its text.
    pub record: String,
}

/// A failure report.
///
/// ```
/// use dmarc::reports::failure::{AuthFailure, FailureEnvelope, FailureReport, IdentityAlignment, Original};
///
/// let mut report = FailureReport::new(AuthFailure::Dmarc, "gen.example; dmarc=fail header.from=consumer.example");
/// report.identity_alignment = Some(IdentityAlignment { dkim: false, spf: true });
/// report.source_ip = Some("192.0.2.2".parse()?);
/// report.reported_domains.push("consumer.example".into());
/// report.original = Original::Header(b"From: author@consumer.example\r\nSubject: hello\r\n\r\n".to_vec());
/// let mail = report.to_mail(&FailureEnvelope {
///     from: "dmarc@gen.example",
///     to: "dmarcfail@consumer.example",
///     message_id: "1.f@gen.example",
///     now: 1_658_210_268,
///     redaction: None,
/// })?;
///
/// let (read, defects) = FailureReport::read(&mail)?;
/// assert_eq!(read, report);
/// assert!(defects.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureReport {
    /// The program that made it.
    pub user_agent: String,
    /// Whose failure it is. `None` only where a report that was read does not say.
    pub auth_failure: Option<AuthFailure>,
    /// The body of an Authentication-Results field, with the result of one mechanism.
    pub authentication_results: String,
    /// Which mechanisms failed. RFC 9991 requires it.
    pub identity_alignment: Option<IdentityAlignment>,
    /// What was done with the message.
    pub delivery_result: Option<DeliveryResult>,
    /// The signature that failed. Required where one of an aligned domain did.
    pub signature: Option<FailedSignature>,
    /// The SPF records. Required where SPF failed for an aligned domain.
    pub spf_dns: Vec<SpfDns>,
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
    /// The client's address.
    pub source_ip: Option<IpAddr>,
    /// The client's port (RFC 6692).
    pub source_port: Option<u16>,
    /// The domains that the report is about.
    pub reported_domains: Vec<String>,
    /// How many messages it stands for.
    pub incidents: u32,
    /// The message.
    pub original: Original,
}

impl FailureReport {
    /// A report of a failure, with the body of an Authentication-Results field that tells of it.
    // RFC 6591 §3.1: "this field MUST be present, but it MUST reflect only a single authentication method's result."
    #[must_use]
    pub fn new(failure: AuthFailure, authentication_results: &str) -> Self {
        Self {
            user_agent: concat!("dmarc/", env!("CARGO_PKG_VERSION")).into(),
            auth_failure: Some(failure),
            authentication_results: authentication_results.into(),
            identity_alignment: None,
            delivery_result: None,
            signature: None,
            spf_dns: Vec::new(),
            original_envelope_id: None,
            original_mail_from: None,
            original_rcpt_to: Vec::new(),
            arrival_date: None,
            reporting_mta: None,
            source_ip: None,
            source_port: None,
            reported_domains: Vec::new(),
            incidents: 1,
            original: Original::Nothing,
        }
    }
}

/// What happened to a message, for [`wanted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What DMARC came to.
    pub dmarc: DmarcResult,
    /// Which mechanisms gave no aligned pass.
    pub alignment: IdentityAlignment,
    /// Whether any DKIM signature failed, aligned or not.
    pub dkim_failed: bool,
    /// Whether SPF failed, aligned or not.
    pub spf_failed: bool,
}

/// The URIs of `ruf` that ask for a report of this failure: all of them, or none.
///
/// Each must still be confirmed by [`ReportDestination`](crate::report_destination::ReportDestination) and let through by
/// [`SendingPolicy`](super::sending_policy::SendingPolicy); then RFC 9991 §2 wants an attempt to deliver to each.
#[must_use]
pub fn wanted<'r>(record: &'r Record, failure: &Failure) -> &'r [ReportingUri] {
    // RFC 9991 §2: "Report generators MUST NOT consider "ruf" tags in DMARC Policy Records that have a "psd=y" tag, unless there are
    // specific agreements between the interested parties."
    if record.psd == Psd::Yes {
        return &[];
    }
    let FailureOptions {
        alignment,
        dkim,
        spf,
        ..
    } = record.fo;
    let IdentityAlignment {
        dkim: dkim_unaligned,
        spf: spf_unaligned,
    } = failure.alignment;
    // RFC 9989 §4.7: the default is "0".
    let is_default = record.fo == FailureOptions::default();
    let by_alignment = match alignment.or_else(|| is_default.then_some(FailureScope::All)) {
        Some(FailureScope::All) => dkim_unaligned && spf_unaligned,
        Some(FailureScope::Any) => dkim_unaligned || spf_unaligned,
        None => false,
    };
    // What could not be told is no failure.
    let is_settled = matches!(failure.dmarc, DmarcResult::Pass | DmarcResult::Fail);
    let is_wanted = (is_settled && by_alignment)
        || (dkim && failure.dkim_failed)
        || (spf && failure.spf_failed);
    if is_wanted { &record.ruf } else { &[] }
}
