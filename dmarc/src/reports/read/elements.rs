//! Which element may stand in which (RFC 9990 Appendix A, and what RFC 7489 had beside it).

use core::fmt;

/// An element of a report that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is named as it is in the schema")]
pub enum Element {
    Feedback,
    Version,
    ReportMetadata,
    OrgName,
    Email,
    ExtraContactInfo,
    ReportId,
    DateRange,
    Begin,
    End,
    Error,
    Generator,
    PolicyPublished,
    PolicyDomain,
    P,
    Sp,
    Np,
    Adkim,
    Aspf,
    DiscoveryMethod,
    Fo,
    Testing,
    Pct,
    Record,
    Row,
    SourceIp,
    Count,
    PolicyEvaluated,
    Disposition,
    EvaluatedDkim,
    EvaluatedSpf,
    Reason,
    ReasonType,
    Comment,
    Identifiers,
    HeaderFrom,
    EnvelopeFrom,
    EnvelopeTo,
    AuthResults,
    Dkim,
    DkimDomain,
    DkimSelector,
    DkimResult,
    DkimHumanResult,
    Spf,
    SpfDomain,
    SpfScope,
    SpfResult,
    SpfHumanResult,
    /// One that is in neither RFC, an extension, and all that stands in it.
    Other,
}

impl Element {
    /// The element of this name in this one.
    #[inline]
    pub(super) fn child(self, name: &[u8]) -> Self {
        match (self, name) {
            (Self::Feedback, b"record") => Self::Record,
            (Self::Record, b"row") => Self::Row,
            (Self::Record, b"identifiers") => Self::Identifiers,
            (Self::Record, b"auth_results") => Self::AuthResults,
            (Self::Row, b"source_ip") => Self::SourceIp,
            (Self::Row, b"count") => Self::Count,
            (Self::Row, b"policy_evaluated") => Self::PolicyEvaluated,
            (Self::PolicyEvaluated, b"disposition") => Self::Disposition,
            (Self::PolicyEvaluated, b"dkim") => Self::EvaluatedDkim,
            (Self::PolicyEvaluated, b"spf") => Self::EvaluatedSpf,
            (Self::PolicyEvaluated, b"reason") => Self::Reason,
            (Self::Reason, b"type") => Self::ReasonType,
            (Self::Reason, b"comment") => Self::Comment,
            (Self::Identifiers, b"header_from") => Self::HeaderFrom,
            (Self::Identifiers, b"envelope_from") => Self::EnvelopeFrom,
            (Self::Identifiers, b"envelope_to") => Self::EnvelopeTo,
            (Self::AuthResults, b"dkim") => Self::Dkim,
            (Self::AuthResults, b"spf") => Self::Spf,
            (Self::Dkim, b"domain") => Self::DkimDomain,
            (Self::Dkim, b"selector") => Self::DkimSelector,
            (Self::Dkim, b"result") => Self::DkimResult,
            (Self::Dkim, b"human_result") => Self::DkimHumanResult,
            (Self::Spf, b"domain") => Self::SpfDomain,
            (Self::Spf, b"scope") => Self::SpfScope,
            (Self::Spf, b"result") => Self::SpfResult,
            (Self::Spf, b"human_result") => Self::SpfHumanResult,
            (Self::Feedback, b"version") => Self::Version,
            (Self::Feedback, b"report_metadata") => Self::ReportMetadata,
            (Self::Feedback, b"policy_published") => Self::PolicyPublished,
            (Self::ReportMetadata, b"org_name") => Self::OrgName,
            (Self::ReportMetadata, b"email") => Self::Email,
            (Self::ReportMetadata, b"extra_contact_info") => Self::ExtraContactInfo,
            (Self::ReportMetadata, b"report_id") => Self::ReportId,
            (Self::ReportMetadata, b"date_range") => Self::DateRange,
            (Self::ReportMetadata, b"error") => Self::Error,
            (Self::ReportMetadata, b"generator") => Self::Generator,
            (Self::DateRange, b"begin") => Self::Begin,
            (Self::DateRange, b"end") => Self::End,
            (Self::PolicyPublished, b"domain") => Self::PolicyDomain,
            (Self::PolicyPublished, b"p") => Self::P,
            (Self::PolicyPublished, b"sp") => Self::Sp,
            (Self::PolicyPublished, b"np") => Self::Np,
            (Self::PolicyPublished, b"adkim") => Self::Adkim,
            (Self::PolicyPublished, b"aspf") => Self::Aspf,
            (Self::PolicyPublished, b"discovery_method") => Self::DiscoveryMethod,
            (Self::PolicyPublished, b"fo") => Self::Fo,
            (Self::PolicyPublished, b"testing") => Self::Testing,
            (Self::PolicyPublished, b"pct") => Self::Pct,
            _ => Self::Other,
        }
    }

    /// Whether it holds text rather than elements.
    #[inline]
    pub(super) fn is_leaf(self) -> bool {
        !matches!(
            self,
            Self::Feedback
                | Self::ReportMetadata
                | Self::DateRange
                | Self::PolicyPublished
                | Self::Record
                | Self::Row
                | Self::PolicyEvaluated
                | Self::Reason
                | Self::Identifiers
                | Self::AuthResults
                | Self::Dkim
                | Self::Spf
                | Self::Other
        )
    }

    /// Its name in the schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Version => "version",
            Self::ReportMetadata => "report_metadata",
            Self::OrgName => "org_name",
            Self::Email => "email",
            Self::ExtraContactInfo => "extra_contact_info",
            Self::ReportId => "report_id",
            Self::DateRange => "date_range",
            Self::Begin => "begin",
            Self::End => "end",
            Self::Error => "error",
            Self::Generator => "generator",
            Self::PolicyPublished => "policy_published",
            Self::PolicyDomain | Self::DkimDomain | Self::SpfDomain => "domain",
            Self::P => "p",
            Self::Sp => "sp",
            Self::Np => "np",
            Self::Adkim => "adkim",
            Self::Aspf => "aspf",
            Self::DiscoveryMethod => "discovery_method",
            Self::Fo => "fo",
            Self::Testing => "testing",
            Self::Pct => "pct",
            Self::Record => "record",
            Self::Row => "row",
            Self::SourceIp => "source_ip",
            Self::Count => "count",
            Self::PolicyEvaluated => "policy_evaluated",
            Self::Disposition => "disposition",
            Self::EvaluatedDkim | Self::Dkim => "dkim",
            Self::EvaluatedSpf | Self::Spf => "spf",
            Self::Reason => "reason",
            Self::ReasonType => "type",
            Self::Comment => "comment",
            Self::Identifiers => "identifiers",
            Self::HeaderFrom => "header_from",
            Self::EnvelopeFrom => "envelope_from",
            Self::EnvelopeTo => "envelope_to",
            Self::AuthResults => "auth_results",
            Self::DkimSelector => "selector",
            Self::SpfScope => "scope",
            Self::DkimResult | Self::SpfResult => "result",
            Self::DkimHumanResult | Self::SpfHumanResult => "human_result",
            Self::Other => "another element",
        }
    }

    /// The element that it stands in, where names alone would not tell.
    fn parent(self) -> Option<Self> {
        match self {
            Self::PolicyDomain => Some(Self::PolicyPublished),
            Self::EvaluatedDkim | Self::EvaluatedSpf => Some(Self::PolicyEvaluated),
            Self::Dkim | Self::Spf => Some(Self::AuthResults),
            Self::DkimDomain | Self::DkimResult | Self::DkimHumanResult => Some(Self::Dkim),
            Self::SpfDomain | Self::SpfResult | Self::SpfHumanResult => Some(Self::Spf),
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent() {
            write!(f, "{parent}/")?;
        }
        f.write_str(self.name())
    }
}
