//! What an evaluation comes to.

use core::fmt;
use std::sync::Arc;

use mail_dns::{Answer, Failure, Question};
use mail_syntax::Domain;
use mail_syntax::address_list::AuthorError;

use crate::record::{Policy, Record};

/// What DMARC says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The result.
    pub result: DmarcResult,
    /// Why.
    pub cause: Cause,
    /// What the domain owner asks for, with `t=y` taken into account: other than none only for a result of fail, and for a message that
    /// has not exactly one Author Domain. It is advice: "The final handling of any message is always a matter of local policy"
    /// (RFC 9989 §5.4).
    pub disposition: Disposition,
    /// The Author Domain, in A-labels, where there is exactly one.
    pub author_domain: Option<Domain>,
    /// The domain whose record is in force.
    pub record_domain: Option<Domain>,
    /// The record in force.
    pub record: Option<Arc<Record>>,
    /// The Organizational Domain of the Author Domain, where its walk came to an end.
    pub organizational_domain: Option<Domain>,
    /// The policy for this Author Domain, as published: of `p`, `sp` and `np` the one that applies. `None` where no record is in force, or
    /// it could not be learned whether the Author Domain exists.
    pub policy: Option<Policy>,
    /// Whether `pct` exempts the message from the policy; only with [`PublicSuffixes`](crate::PublicSuffixes).
    pub sampled_out: bool,
    /// The identifiers handed in, each domain of a mechanism once, in order.
    pub identifiers: Vec<Identifier>,
    /// How many identifiers were left out because of [`Limits::identifiers`](crate::Limits::identifiers).
    pub identifiers_left_out: usize,
    /// The questions and answers in the order of the answers; empty unless [`Config::trace`](crate::Config::trace) is set.
    pub trace: Vec<(Question, Answer)>,
}

impl Verdict {
    /// The SPF domain that passed and is aligned.
    #[must_use]
    pub fn aligned_spf(&self) -> Option<&Domain> {
        self.aligned(Mechanism::Spf)
    }

    /// The first DKIM domain that passed and is aligned.
    #[must_use]
    pub fn aligned_dkim(&self) -> Option<&Domain> {
        self.aligned(Mechanism::Dkim)
    }

    fn aligned(&self, mechanism: Mechanism) -> Option<&Domain> {
        let mut identifiers = self.identifiers.iter();
        let passed = identifiers.find(|one| one.mechanism == mechanism && one.makes_pass());
        passed.map(|identifier| &identifier.domain)
    }
}

/// The result, in the words of RFC 8601 §2.7 as RFC 9989 §9.2 has them for `dmarc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DmarcResult {
    /// DMARC does not apply: no record is in force.
    None,
    /// An aligned identifier passed.
    Pass,
    /// No identifier that passed is aligned.
    Fail,
    /// It cannot be told, because a lookup failed.
    TempError,
    /// There is not exactly one Author Domain.
    PermError,
}

/// The word that stands behind `dmarc=`.
impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// What is to be done with the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// Nothing special.
    #[default]
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

/// The word of RFC 9990's reports.
impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        })
    }
}

/// What led to the result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Pass: an identifier that passed is aligned.
    #[error("{mechanism} identifier {domain} is aligned")]
    Aligned {
        /// What authenticated it.
        mechanism: Mechanism,
        /// The identifier.
        domain: Domain,
    },
    /// Fail: nothing that passed is aligned.
    #[error("no aligned identifier passed")]
    NotAligned,
    /// None: no record was found.
    #[error("no DMARC record")]
    NoRecord,
    /// None: the record in force has neither a valid policy nor a valid `rua` (RFC 9989 §4.10.1).
    #[error("the DMARC record has no valid policy")]
    NoPolicy,
    /// Temperror: a lookup failed without which there is no result.
    #[error("{question}: {failure}")]
    Lookup {
        /// What was asked.
        question: Question,
        /// How it failed.
        failure: Failure,
    },
    /// Temperror: nothing passed, and the authentication of an identifier that is or may be aligned ended in a temporary error.
    #[error("{mechanism} identifier {domain} had a temporary error")]
    Identifier {
        /// What should have authenticated it.
        mechanism: Mechanism,
        /// The identifier.
        domain: Domain,
    },
    /// Permerror: there is not exactly one Author Domain.
    #[error(transparent)]
    Author(#[from] AuthorFault),
}

/// Why a message has not exactly one Author Domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorFault {
    /// The From field names no mailbox.
    #[error("the From field names no author")]
    None,
    /// The From field names authors of several domains.
    #[error("the From field names authors of {} domains", .0.len())]
    Several(Vec<Domain>),
    /// It cannot be told who the authors are.
    #[error(transparent)]
    Malformed(#[from] AuthorError),
    /// The domain has a label that is no valid U-label, so it has no name in the DNS.
    #[error("the author's domain {0} is no internationalized domain name")]
    NotInternational(Domain),
}

/// What authenticates an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SPF, of the MAIL FROM identity.
    Spf,
    /// DKIM, of the `d=` of a signature.
    Dkim,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Spf => "SPF",
            Self::Dkim => "DKIM",
        })
    }
}

/// Whether an identifier is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authentication {
    /// It is not: any result but the other two.
    Fail,
    /// It cannot be told for now.
    TempError,
    /// It is.
    Pass,
}

/// A domain that a mechanism spoke of, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identifier {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The domain, as it was handed in.
    pub domain: Domain,
    /// What the mechanism said; the best where it said several things of the same domain.
    pub authentication: Authentication,
    /// Whether it is aligned; `None` where that made no difference.
    pub alignment: Option<Alignment>,
}

impl Identifier {
    /// Whether it passed and is aligned.
    pub(crate) fn makes_pass(&self) -> bool {
        self.authentication == Authentication::Pass && self.alignment == Some(Alignment::Aligned)
    }
}

/// Whether an identifier is aligned with the Author Domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// It is.
    Aligned,
    /// It is not.
    NotAligned,
    /// The questions it would have taken are beyond [`Limits::dkim_questions`](crate::Limits::dkim_questions); it counts as not aligned.
    LeftOut,
    /// It cannot be told, because this lookup failed.
    Unknown(Question, Failure),
}

/// In words: `DKIM example.com: pass, aligned`.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authentication = match self.authentication {
            Authentication::Fail => "fail",
            Authentication::TempError => "temperror",
            Authentication::Pass => "pass",
        };
        write!(f, "{} {}: {authentication}", self.mechanism, self.domain)?;
        match &self.alignment {
            None => Ok(()),
            Some(Alignment::Aligned) => f.write_str(", aligned"),
            Some(Alignment::NotAligned) => f.write_str(", not aligned"),
            Some(Alignment::LeftOut) => f.write_str(", not looked into"),
            Some(Alignment::Unknown(question, failure)) => {
                write!(f, ", alignment unknown: {question}: {failure}")
            }
        }
    }
}
