//! How the Organizational Domain of a domain is found: by the DNS Tree Walk, or by a list of public suffixes.

use core::fmt;
use std::sync::Arc;

use mail_syntax::Domain;

use crate::tree_walk::label_count;

/// How Organizational Domains are found, and by that, whose rules hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrganizationalDomain {
    /// By the DNS Tree Walk (RFC 9989 §4.10), with the rules of RFC 9989.
    #[default]
    TreeWalk,
    /// By public suffixes (RFC 7489 §3.2), with the rules of RFC 7489. These are the differences:
    ///
    /// - The record is that of the Author Domain, and where there is none that of its Organizational Domain (RFC 7489 §6.6.3); names between
    ///   and above are not asked. Of several records at the Author Domain none is taken, and nothing is looked for above.
    /// - Whether an identifier is aligned takes no question.
    /// - `pct` holds ([`Dmarc::draw`](crate::Dmarc::draw)); `np`, `psd` and `t` do not, nor does it matter whether the Author Domain exists.
    ///   An `np` that is not valid makes a record one without policy here too.
    PublicSuffix(PublicSuffixes),
}

/// A list of public suffixes, as the function that the caller has for it: how many labels of a domain, from the right, are its public suffix.
///
/// The domain is in A-labels and may be a public suffix itself. The crate has no list: one is old before it is released.
///
/// ```
/// use dmarc::{Config, OrganizationalDomain, PublicSuffixes};
///
/// let suffixes = PublicSuffixes::new(|domain| match domain.labels().rev().take(2).collect::<Vec<_>>()[..] {
///     ["uk", "co" | "org"] => 2,
///     _ => 1,
/// });
/// assert_eq!(suffixes.organizational_domain(&"mail.example.co.uk".parse()?), "example.co.uk");
/// assert_eq!(suffixes.organizational_domain(&"co.uk".parse()?), "co.uk");
///
/// let mut config = Config::default();
/// config.organizational_domain = OrganizationalDomain::PublicSuffix(suffixes);
/// # Ok::<(), mail_syntax::domain::DomainError>(())
/// ```
#[derive(Clone)]
pub struct PublicSuffixes(Arc<dyn Fn(&Domain) -> usize + Send + Sync>);

impl PublicSuffixes {
    /// The list that this function reads.
    pub fn new(suffix_labels: impl Fn(&Domain) -> usize + Send + Sync + 'static) -> Self {
        Self(Arc::new(suffix_labels))
    }

    /// The Organizational Domain of a domain; a public suffix is its own.
    #[must_use]
    pub fn organizational_domain(&self, domain: &Domain) -> Domain {
        domain.suffix(self.labels(domain).into())
    }

    /// How many labels of a domain are its Organizational Domain.
    pub(crate) fn labels(&self, domain: &Domain) -> u8 {
        // RFC 7489 §3.2: "Construct a new DNS domain name using the name that matched from the public suffix list and prefixing to it the
        // "x+1"th label from the subject domain."
        let suffix = u8::try_from((self.0)(domain)).unwrap_or(u8::MAX);
        suffix.saturating_add(1).min(label_count(domain))
    }
}

impl fmt::Debug for PublicSuffixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicSuffixes(..)")
    }
}

/// Whether they are the same function, one cloned from the other.
impl PartialEq for PublicSuffixes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PublicSuffixes {}
