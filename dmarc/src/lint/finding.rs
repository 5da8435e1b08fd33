//! What the linter finds.

use core::fmt;
use core::ops::Range;

use mail_syntax::tag_list::{MAX_TAGS, TagListError};
use mail_syntax::{Domain, Severity};

use crate::record::{MAX_RECORD, MAX_REPORTING_URIS, Policy};

/// One thing to know about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The octets of the record that it is about; the whole record where it is about what is missing.
    pub span: Range<usize>,
    /// What it is.
    pub what: What,
    /// What to do about it.
    pub advice: String,
}

/// `severity at octet N: what; advice`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, at) = (self.severity, self.span.start);
        write!(
            f,
            "{severity} at octet {at}: {}; {}",
            self.what, self.advice
        )
    }
}

/// What a finding is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// The record does not begin with `v=DMARC1`, so it is none (RFC 9989 §4.7).
    #[error("the record does not begin with v=DMARC1, and is ignored as a whole")]
    Version,
    /// The record is longer than [`MAX_RECORD`].
    #[error("the record is longer than {MAX_RECORD} octets, and is ignored as a whole")]
    TooLong,
    /// A part that is no `name=value`.
    #[error("this is no tag: {0}")]
    NoTag(TagListError),
    /// Tags beyond the hundredth.
    #[error("tags beyond the {MAX_TAGS}th are ignored")]
    TooManyTags,
    /// A name that DMARC does not know.
    #[error("DMARC knows no tag {name:?}, and ignores it")]
    UnknownTag {
        /// The name.
        name: String,
        /// A name that DMARC knows and that looks like it.
        nearest: Option<&'static str>,
    },
    /// A tag of RFC 7489 that RFC 9989 has dropped: `pct`, `rf`, `ri`.
    #[error("RFC 9989 has dropped the tag {0:?}, and ignores it")]
    DroppedTag(&'static str),
    /// A tag that stands there more than once.
    #[error("the tag {0:?} stands here again, so none of them counts")]
    Doubled(&'static str),
    /// A value that the tag does not have.
    #[error("{value:?} is no value of the tag {name:?}, which has its default instead")]
    Value {
        /// The tag.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// A policy that is none, which spoils the other policies too (RFC 9989 §4.10.1).
    #[error("{value:?} is no policy, and makes {consequence}")]
    PolicyValue {
        /// The value.
        value: String,
        /// What becomes of the record.
        consequence: Consequence,
    },
    /// There is no `p` (RFC 9989 §4.10.1).
    #[error("there is no policy p=, which makes {0}")]
    NoPolicy(Consequence),
    /// `sp` or `np` is weaker than what it stands in for.
    #[error("{name}={weaker} weakens {than}={stronger}")]
    Weaker {
        /// `sp` or `np`.
        name: &'static str,
        /// Its policy.
        weaker: Policy,
        /// `p`, or `sp` for an `np` beside it.
        than: &'static str,
        /// The policy that would hold without the tag.
        stronger: Policy,
    },
    /// A policy that says what would hold without it.
    #[error("{0}= says what holds without it")]
    Redundant(&'static str),
    /// `p=none` and no `rua`: nobody acts on the record and nobody hears of anything.
    #[error("p=none without rua= does nothing: no mail is stopped, and no report is sent")]
    NoneWithoutReports,
    /// A policy of enforcement and no `rua`.
    #[error("without rua= nobody tells which mail fails")]
    NoReports,
    /// `t=y`: the policy is not applied as it stands.
    #[error("t=y lowers each policy by one level")]
    TestMode,
    /// `t=y` where there is nothing to lower.
    #[error("t=y has no effect on a policy of none")]
    TestModeOfNone,
    /// `fo` without `ruf`.
    #[error("fo= is ignored without ruf=")]
    FailureOptionsWithoutRuf,
    /// `ruf` without `fo`.
    #[error("without fo= a failure is reported only where both SPF and DKIM fail")]
    RufWithoutFailureOptions,
    /// A reporting URI that is none.
    #[error("{0:?} is no URI, and is left out")]
    Uri(String),
    /// A `mailto:` URI whose address is none.
    #[error("{0:?} names no address that mail could go to")]
    MailtoAddress(String),
    /// A reporting URI of a scheme other than `mailto:`, which few receivers know.
    #[error("few receivers send reports to {0:?}: RFC 9989 has them support mailto: only")]
    Scheme(String),
    /// A size behind a reporting URI, as in `!10m`.
    #[error("the size {0:?} is ignored")]
    Size(String),
    /// More reporting URIs than are read.
    #[error("reporting URIs beyond the {MAX_REPORTING_URIS}th are ignored")]
    TooManyUris,
    /// The same URI twice.
    #[error("{0:?} stands in the list twice")]
    UriTwice(String),
    /// A destination that must say that it wants the reports (RFC 9990 §4).
    #[error("reports to {host} are sent only if {host} says at {name} that it wants them")]
    ExternalDestination {
        /// The host of the URI.
        host: Domain,
        /// Where it is to say so.
        name: String,
    },
    /// `psd=y` beside `ruf` (RFC 9989 §10.2).
    #[error("a record of a Public Suffix Domain must not have ruf=")]
    RufOfPublicSuffix,
    /// `psd=y`, which is for registries only.
    #[error("psd=y says that everybody may register names below this domain")]
    PublicSuffix,
    /// Strict alignment.
    #[error("{0}=s refuses every subdomain as an identifier")]
    Strict(&'static str),
}

/// What becomes of a record without a valid policy (RFC 9989 §4.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consequence {
    /// It has a valid `rua`: it counts as `p=none`.
    CountsAsNone,
    /// It has none: DMARC does not apply.
    DoesNotApply,
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CountsAsNone => "the record count as p=none",
            Self::DoesNotApply => "DMARC not apply",
        })
    }
}
