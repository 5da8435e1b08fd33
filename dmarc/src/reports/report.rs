//! What an aggregate report says of itself and of the policy (RFC 9990 §3.1.1.3 to §3.1.1.5).

use mail_syntax::Domain;

use super::Row;
use crate::record::{AlignmentMode, Policy, Record};

/// An aggregate report: the feedback for one domain, one policy and one period.
///
/// ```
/// use dmarc::reports::Report;
/// # let xml = include_bytes!("../../tests/reports/rfc9990_appendix_b.xml");
/// let (report, defects) = Report::read(xml, &Default::default())?;
/// assert_eq!(report.policy_published.domain, "example.com");
/// assert_eq!(report.rows[0].count, 123);
/// assert!(defects.is_empty());
/// # Ok::<(), dmarc::reports::read::ReadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Who reports, and about which time.
    pub metadata: ReportMetadata,
    /// The policy that was found.
    pub policy_published: PolicyPublished,
    /// The feedback.
    pub rows: Vec<Row>,
}

/// Who reports, and about which time (RFC 9990 §3.1.1.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportMetadata {
    /// The name of the reporting organization.
    pub org_name: String,
    /// Where to write to it.
    pub email: String,
    /// More of that.
    pub extra_contact_info: Option<String>,
    /// The Report-ID, unique among the reports to one domain.
    pub report_id: String,
    /// The period.
    pub date_range: DateRange,
    /// What was wrong with the record, for people. RFC 7489 allowed for several; written as one, lines apart.
    pub errors: Vec<String>,
    /// The program that made the report, and its version.
    pub generator: Option<String>,
}

/// A period, in seconds since 1970 (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateRange {
    /// Its first second.
    pub begin: u64,
    /// Its last.
    pub end: u64,
}

impl DateRange {
    /// The day (UTC) in which this second lies.
    // RFC 9990 §3.1.1.4: "Typically, the reporting period will encompass a single UTC day, beginning at 0000UTC."
    #[must_use]
    pub fn day_of(unix_seconds: u64) -> Self {
        let begin = unix_seconds - unix_seconds % 86_400;
        Self {
            begin,
            end: begin.saturating_add(86_399),
        }
    }
}

words! {
    /// How the record was found (DiscoveryType).
    DiscoveryMethod {
        /// By a list of public suffixes, after RFC 7489.
        Psl = "psl",
        /// By the DNS Tree Walk of RFC 9989.
        TreeWalk = "treewalk",
    }
}

/// The policy that was found (RFC 9990 §3.1.1.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyPublished {
    /// The domain of the record.
    pub domain: String,
    /// The policy for the domain; `None` where a report does not say. It is written as `none`, the policy without effect.
    pub p: Option<Policy>,
    /// The policy for subdomains.
    pub sp: Option<Policy>,
    /// The policy for subdomains that do not exist.
    pub np: Option<Policy>,
    /// The alignment mode of DKIM.
    pub adkim: Option<AlignmentMode>,
    /// The alignment mode of SPF.
    pub aspf: Option<AlignmentMode>,
    /// How it was found.
    pub discovery_method: Option<DiscoveryMethod>,
    /// The failure reporting options, as published.
    pub fo: Option<String>,
    /// Whether the record is in test mode.
    pub testing: Option<bool>,
    /// The percentage of RFC 7489. It is read and never written.
    pub pct: Option<u8>,
}

impl PolicyPublished {
    /// What a record says that was found at this domain by the Tree Walk.
    ///
    /// The failure reporting options are left out where no failure reports are asked for.
    #[must_use]
    pub fn of_record(domain: &Domain, record: &Record) -> Self {
        let fo = (!record.ruf.is_empty()).then(|| match record.fo.to_string() {
            default if default.is_empty() => "0".to_owned(),
            options => options,
        });
        Self {
            domain: domain.to_string(),
            // RFC 9990 §3.1.1.5: "The elements from "p" and onwards contain the discovered or default value for the DMARC policy applied."
            p: Some(record.p.unwrap_or(Policy::None)),
            sp: record.sp,
            np: record.np,
            adkim: Some(record.adkim),
            aspf: Some(record.aspf),
            discovery_method: Some(DiscoveryMethod::TreeWalk),
            fo,
            testing: Some(record.test_mode),
            pct: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_options_count_only_beside_ruf() {
        let fo = |text: &str| {
            let record: Record = text.parse().unwrap();
            PolicyPublished::of_record(&"example.com".parse().unwrap(), &record).fo
        };
        assert_eq!(fo("v=DMARC1; p=none; fo=1:d"), None);
        let with_ruf = "v=DMARC1; p=none; fo=1:d; ruf=mailto:a@example.com";
        assert_eq!(fo(with_ruf).as_deref(), Some("1:d"));
    }
}
