//! What an evaluation comes to, and why.

use core::fmt;
use core::str::FromStr;

use mail_dns::{Answer, Failure, Name, Question};
use mail_syntax::Domain;

use crate::macros::DomainSpec;
use crate::record::{Directive, RecordError};

/// The result of check_host() (RFC 7208 §2.6).
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize),
    serde(rename_all = "lowercase")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpfResult {
    /// The domain says nothing: no record, or no domain to ask (§2.6.1).
    None,
    /// The domain says that it says nothing (§2.6.2).
    Neutral,
    /// The client may (§2.6.3).
    Pass,
    /// The client may not (§2.6.4).
    Fail,
    /// The client probably may not (§2.6.5).
    SoftFail,
    /// A lookup failed; a later try may tell more (§2.6.6).
    TempError,
    /// The domain's records cannot be interpreted (§2.6.7).
    PermError,
}

impl SpfResult {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Neutral,
        Self::Pass,
        Self::Fail,
        Self::SoftFail,
        Self::TempError,
        Self::PermError,
    ];

    /// The token of RFC 7208 §9.1 and RFC 8601 §2.7.2, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no result of RFC 7208 §2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a result of SPF")]
pub struct UnknownResult;

/// In either case.
impl FromStr for SpfResult {
    type Err = UnknownResult;

    fn from_str(text: &str) -> Result<Self, UnknownResult> {
        let is = |result: &Self| result.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(is).ok_or(UnknownResult)
    }
}

/// Which name of the session was checked. A verdict on one is none on the other.
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize),
    serde(rename_all = "lowercase")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The reverse-path, or for a null one `postmaster@` and the HELO name (RFC 7208 §2.4).
    MailFrom,
    /// The HELO or EHLO name (RFC 7208 §2.3).
    Helo,
}

/// The token of RFC 7208 §9.1.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MailFrom => "mailfrom",
            Self::Helo => "helo",
        })
    }
}

/// What a [`crate::CheckHost`] comes to.
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The result.
    pub result: SpfResult,
    /// What was checked.
    pub identity: Identity,
    /// The identity as a mailbox, as the client gave it.
    pub sender: String,
    /// The domain of that identity; none where it is no domain, and the result is then `none`.
    pub domain: Option<Name>,
    /// Why.
    pub cause: Cause,
    /// How many addresses the term behind a `pass` lets pass, as the power of two: 0 for one address, 8 for an IPv4 `/24`, 32 for `+all`;
    /// none for `exists` and `ptr`, which name no addresses, and for other results. A wide one is a record that strangers share.
    pub authorized_bits: Option<u8>,
    /// What the domain has to say on its `fail`; only where [`crate::Config::explain`] asked for it. A third party's words.
    pub explanation: Option<Explanation>,
    /// Whether a term that was evaluated asked for the local part (`%{l}`, `%{s}`). Else the result is that of the domain, and a report of it
    /// names no more (RFC 8601 §2.7.2).
    pub uses_local_part: bool,
    /// Terms that counted against [`crate::Limits::terms`].
    pub terms: usize,
    /// Terms that counted against [`crate::Limits::void_lookups`].
    pub void_lookups: usize,
    /// Every term that was evaluated, in order; empty unless [`crate::Config::trace`] asked for it.
    pub trace: Vec<TraceStep>,
}

impl Verdict {
    /// The domain that DMARC may align with: that of a MAIL FROM identity that passed (RFC 9989 §4.4.2), and never that of a HELO check.
    pub fn authenticated_mail_from(&self) -> Option<Domain> {
        let passed = self.result == SpfResult::Pass && self.identity == Identity::MailFrom;
        let name = self.domain.as_ref().filter(|_| passed)?;
        core::str::from_utf8(&name.to_dotted()).ok()?.parse().ok()
    }
}

/// Why a result is what it is.
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// This term of the record of this domain matches.
    Matched {
        /// Whose record it is: the identity's domain, or where `redirect=` led.
        domain: Name,
        /// The term.
        directive: Directive,
    },
    /// No term of the record of this domain matches (RFC 7208 §4.7).
    NoMatch {
        /// Whose record it is.
        domain: Name,
    },
    /// The identity has no well-formed domain of more than one label (RFC 7208 §4.3).
    NoDomain,
    /// The identity's domain has U-labels, and the feature `idna`, which converts them (RFC 8616 §4), is off: nothing is known of it.
    ULabels,
    /// There is no such domain (RFC 7208 §4.3).
    NoSuchDomain {
        /// The domain.
        domain: Name,
    },
    /// The domain has no SPF record (RFC 7208 §4.5).
    NoRecord {
        /// The domain.
        domain: Name,
    },
    /// The domain has more than one SPF record (RFC 7208 §4.5).
    SeveralRecords {
        /// The domain.
        domain: Name,
    },
    /// The domain's SPF record is broken (RFC 7208 §4.6).
    Syntax {
        /// The domain.
        domain: Name,
        /// What is broken.
        error: RecordError,
    },
    /// An `include` or `redirect` leads to a domain without a record (RFC 7208 §5.2 and §6.1).
    TargetWithoutRecord {
        /// The domain it leads to.
        target: Name,
    },
    /// An `include` or `redirect` leads to what is no domain (RFC 7208 §5.2 and §6.1).
    TargetNoDomain {
        /// Whose record it is.
        domain: Name,
        /// The target, not expanded.
        target: DomainSpec,
    },
    /// More terms with lookups than [`crate::Limits::terms`] (RFC 7208 §4.6.4).
    TooManyTerms,
    /// More terms without an answer than [`crate::Limits::void_lookups`] (RFC 7208 §4.6.4).
    TooManyVoidLookups,
    /// More exchanges than [`crate::Limits::mx_names`] (RFC 7208 §4.6.4).
    TooManyExchanges {
        /// Whose exchanges they are.
        domain: Name,
    },
    /// A lookup failed.
    LookupFailed {
        /// What was asked.
        question: Question,
        /// How it failed.
        failure: Failure,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched { domain, directive } => write!(f, "\"{directive}\" of {domain} matches"),
            Self::NoMatch { domain } => write!(f, "no term of {domain} matches"),
            Self::NoDomain => f.write_str("the identity has no domain to ask"),
            Self::ULabels => {
                f.write_str("the identity's domain has U-labels, which are not converted here")
            }
            Self::NoSuchDomain { domain } => write!(f, "{domain} does not exist"),
            Self::NoRecord { domain } => write!(f, "{domain} has no SPF record"),
            Self::SeveralRecords { domain } => write!(f, "{domain} has more than one SPF record"),
            Self::Syntax { domain, error } => write!(f, "{domain}: {error}"),
            Self::TargetWithoutRecord { target } => {
                write!(f, "{target} is referred to and has no SPF record")
            }
            Self::TargetNoDomain { domain, target } => {
                write!(f, "{domain} refers to {target}, which gives no domain")
            }
            Self::TooManyTerms => f.write_str("too many terms with lookups"),
            Self::TooManyVoidLookups => f.write_str("too many lookups without an answer"),
            Self::TooManyExchanges { domain } => write!(f, "{domain} has too many mail exchanges"),
            Self::LookupFailed { question, failure } => write!(f, "{question}: {failure}"),
        }
    }
}

/// An explanation: visible US-ASCII and spaces, within [`crate::Limits::explanation`] (RFC 7208 §6.2). It holds no line break, so it
/// cannot become a second line of a reply; whose words they are should be said beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation(Box<str>);

impl Explanation {
    /// RFC 7208 §6.2: "the explanation string MUST be limited to [US-ASCII]."
    pub(crate) fn new(text: Vec<u8>) -> Option<Self> {
        let printable = text.iter().all(|octet| matches!(octet, b' '..=b'~'));
        let text = String::from_utf8(text).ok()?;
        printable.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One term that was evaluated.
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceStep {
    /// How many `include`s deep.
    pub depth: usize,
    /// Whose record it is.
    pub domain: Name,
    /// The term as text, or `record` for the lookup of the record itself.
    pub term: String,
    /// What came of it.
    pub outcome: TermOutcome,
    /// What it asked, and what was answered by the time it was settled; an answer that was at hand stands here too.
    pub lookups: Vec<(Question, Answer)>,
    /// Terms that counted against [`crate::Limits::terms`] so far, this one included.
    pub terms: usize,
    /// Terms that counted against [`crate::Limits::void_lookups`] so far, this one included.
    pub void_lookups: usize,
}

/// What came of a term.
#[cfg_attr(
    feature = "serde",
    derive(::serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TermOutcome {
    /// It matched.
    Match,
    /// It did not.
    NoMatch,
    /// It did not, and its own lookup found nothing.
    Void,
    /// It led to another record, whose terms follow.
    Followed,
    /// A record was found and parsed; its terms follow.
    Read,
    /// The evaluation of this record ended here without a match, for the [`Cause`] of the verdict.
    Ended,
}

impl fmt::Display for TermOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Match => "match",
            Self::NoMatch => "no match",
            Self::Void => "no match, nothing found",
            Self::Followed => "followed",
            Self::Read => "read",
            Self::Ended => "ended",
        })
    }
}

/// Domain, term and outcome in one line, indented by depth, and below it a line for each lookup.
impl fmt::Display for TraceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome;
        let (indent, domain, term) = (2 * self.depth, &self.domain, &self.term);
        write!(f, "{:indent$}{domain} {term}: {outcome}", "")?;
        for (question, answer) in &self.lookups {
            write!(f, "\n{:indent$}  {question}: {answer}", "")?;
        }
        Ok(())
    }
}
