//! The DNS Tree Walk (RFC 9989 §4.10): from a domain up to its Organizational Domain.

mod targets;
mod walk;

use std::sync::Arc;

use mail_dns::{Answer, Failure, Name, Question, Record as DnsRecord, RecordType, Suffixes};
use mail_syntax::Domain;

use crate::record::{Record, RecordError, behind_version};
pub(crate) use targets::Targets;
pub(crate) use walk::{Progress, Walk};

/// The most names of one walk: 8 (RFC 9989 §4.10: "Author Domains with more than eight labels do not result in more than eight DNS
/// queries").
pub const MAX_QUERIES: usize = 8;

/// What the name `_dmarc` below a domain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// No DMARC Policy Record.
    Nothing,
    /// Several: "If multiple DMARC Policy Records are returned for a single target, they are all discarded."
    Several,
    /// One that cannot be read.
    Unreadable(RecordError),
    /// One.
    Record(Arc<Record>),
    /// It is not known: the lookup failed.
    Failed(Failure),
}

impl Published {
    /// Reads the answer to the question for the TXT records of `_dmarc` below a domain.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let records = match answer.outcome() {
            Ok(records) => records,
            Err(failure) => return Self::Failed(failure),
        };
        // RFC 9989 §4.10: "Records that do not start with a "v" tag that identifies the current version of DMARC are discarded."
        let mut records = records
            .iter()
            .filter_map(|record| match record {
                DnsRecord::Txt(text) => Some(text.joined()),
                _ => None,
            })
            .filter(|text| behind_version(text).is_some());
        match (records.next(), records.next()) {
            (None, _) => Self::Nothing,
            (Some(_), Some(_)) => Self::Several,
            (Some(text), None) => match Record::parse(&text) {
                Ok(record) => Self::Record(Arc::new(record)),
                Err(error) => Self::Unreadable(error),
            },
        }
    }

    /// The record, if there is exactly one.
    #[must_use]
    pub fn record(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Record(record) => Some(record),
            Self::Nothing | Self::Several | Self::Unreadable(_) | Self::Failed(_) => None,
        }
    }
}

/// The domains of a walk from this one, the longest first: at most [`MAX_QUERIES`].
///
/// ```
/// use dmarc::tree_walk::domains;
/// let walk = domains(&"a.b.c.d.e.f.g.h.i.j.mail.example.com".parse()?);
/// assert_eq!(walk.len(), 8);
/// assert_eq!(walk[0], "a.b.c.d.e.f.g.h.i.j.mail.example.com");
/// assert_eq!(walk[1], "g.h.i.j.mail.example.com");
/// assert_eq!(walk[7], "com");
/// # Ok::<(), mail_syntax::domain::DomainError>(())
/// ```
#[must_use]
pub fn domains(start: &Domain) -> Vec<Domain> {
    label_counts(label_count(start))
        .map(|labels| start.suffix(labels.into()))
        .collect()
}

/// How many labels the domains of a walk from a domain of so many have, from the right.
fn label_counts(all: u8) -> impl Iterator<Item = u8> {
    // RFC 9989 §4.10: "If x >= 8, remove the left-most (highest-numbered) labels from the subject domain until 7 labels remain."
    let above = all.min(MAX_QUERIES as u8);
    core::iter::once(all).chain((1..above).rev())
}

/// How many labels a domain has; at most 128, as it has at most 255 octets.
pub(crate) fn label_count(domain: &Domain) -> u8 {
    // Numbers of one octet are added many at a time.
    let dots = domain.as_str().bytes().map(|octet| u8::from(octet == b'.'));
    dots.sum::<u8>() + 1
}

/// How many labels two domains have in common, from the right; both in A-labels.
#[must_use]
pub fn shared_labels(one: &Domain, other: &Domain) -> u8 {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    let pairs = one.iter().rev().zip(other.iter().rev());
    let (mut octets, mut labels) = (0, 0);
    for (octet, other) in pairs {
        // Seldom do they differ in case alone.
        if octet != other && !octet.eq_ignore_ascii_case(other) {
            break;
        }
        octets += 1;
        labels += u8::from(*octet == b'.');
    }
    // Each dot among them ends a label that both have, and so does the front of both.
    let is_front = |name: &[u8]| matches!(name.iter().nth_back(octets), None | Some(b'.'));
    labels + u8::from(octets > 0 && is_front(one) && is_front(other))
}

/// The name at which a domain publishes its record, or `None` where that would be no DNS name: nothing can be published there.
#[must_use]
pub fn record_name(domain: &Domain) -> Option<Name> {
    record_names(domain, &[label_count(domain)]).get(0)
}

/// The names at which what is left of a domain with these numbers of labels publishes its records; none at all where a label is too long
/// for the DNS.
fn record_names(domain: &Domain, labels: &[u8]) -> Suffixes {
    Suffixes::new(b"_dmarc", domain.as_str().as_bytes(), labels).unwrap_or_default()
}

/// The question for the records at such a name.
fn record_question(name: Name) -> Question {
    Question::new(name, RecordType::Txt)
}
