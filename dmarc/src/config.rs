//! How an evaluation is done, and how much it may ask.

use crate::organizational_domain::OrganizationalDomain;
use crate::tree_walk::MAX_QUERIES;
use crate::verdict::Disposition;

/// How an evaluation is done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The limits.
    pub limits: Limits,
    /// Whether the verdict holds all questions and answers. Default: no; it costs the memory of the answers.
    pub trace: bool,
    /// What is advised for a message without exactly one Author Domain. Default: [`Disposition::Reject`] (RFC 9989 §11.5: "care must be
    /// taken by the Mail Receiver to recognize such messages as the threats they might be"). Anything less lets a forger around every
    /// policy by a second address in From.
    pub unusable_author: Disposition,
    /// How Organizational Domains are found. Default: by the DNS Tree Walk of RFC 9989. A list of public suffixes brings the rules of
    /// RFC 7489 with it.
    pub organizational_domain: OrganizationalDomain,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            trace: false,
            unusable_author: Disposition::Reject,
            organizational_domain: OrganizationalDomain::TreeWalk,
        }
    }
}

/// How much one evaluation may hold and ask. The walks of the Author Domain and of the SPF domain take at most 8 questions each (RFC 9989
/// §4.10), and it may take one more to learn whether the Author Domain exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Identifiers kept. Default: 32. Those beyond are not aligned; each costs some hundred octets.
    pub identifiers: usize,
    /// Questions that the walks of all DKIM domains together may add to that of the Author Domain. Default: 8. The domains are taken in the
    /// order in which they are handed in; one whose walk does not fit is not aligned. The questions are the signer's to choose, so more of
    /// them is a larger amplifier.
    pub dkim_questions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            identifiers: 32,
            dkim_questions: MAX_QUERIES,
        }
    }
}
