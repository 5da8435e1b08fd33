//! The DNS Tree Walk (RFC 9989 §4.10): from a domain up to its Organizational Domain.

use std::collections::{BTreeMap, VecDeque};

use mail_dns::{Answer, Failure, Name, Question, Record as DnsRecord, RecordType};
use mail_syntax::Domain;

use crate::record::{Psd, Record, RecordError, begins_with_version};

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
    Record(Box<Record>),
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
            .filter(|text| begins_with_version(text));
        match (records.next(), records.next()) {
            (None, _) => Self::Nothing,
            (Some(_), Some(_)) => Self::Several,
            (Some(text), None) => match Record::parse(&text) {
                Ok(record) => Self::Record(Box::new(record)),
                Err(error) => Self::Unreadable(error),
            },
        }
    }

    /// The record, if there is exactly one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
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
    let above = core::iter::successors(start.parent(), Domain::parent);
    // RFC 9989 §4.10: "If x >= 8, remove the left-most (highest-numbered) labels from the subject domain until 7 labels remain."
    let skipped = start.labels().count().saturating_sub(MAX_QUERIES);
    core::iter::once(start.clone())
        .chain(above.skip(skipped))
        .collect()
}

/// The name at which a domain publishes its record, or `None` where that would be no DNS name: nothing can be published there.
#[must_use]
pub fn record_name(domain: &Domain) -> Option<Name> {
    Name::from_dotted(domain.as_str().as_bytes())
        .and_then(|name| name.prepend("_dmarc"))
        .ok()
}

/// Where a walk led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The Organizational Domain.
    pub organizational_domain: Domain,
    /// The Public Suffix Domain that ended the walk, where one did.
    pub public_suffix: Option<Domain>,
}

/// What a walk has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Answers are missing below the stop.
    Waiting,
    /// This lookup below the stop failed; where the walk would have led cannot be told.
    Failed(Question, Failure),
    Done(Walk),
}

/// The names of any number of walks: each asked once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walks {
    /// What stands at `_dmarc` below each domain; `None` while the answer is awaited.
    published: BTreeMap<Domain, Option<Published>>,
    open: BTreeMap<Name, Domain>,
    queue: VecDeque<Question>,
}

impl Walks {
    /// Asks for the record of a domain, unless that is done.
    pub(crate) fn ask(&mut self, domain: Domain) {
        if self.published.contains_key(&domain) {
            return;
        }
        let name = record_name(&domain);
        let known = name.is_none().then_some(Published::Nothing);
        self.published.insert(domain.clone(), known);
        if let Some(name) = name {
            self.open.insert(name.clone(), domain);
            self.queue.push_back(Question::new(name, RecordType::Txt));
        }
    }

    /// The next question that was not handed out.
    pub(crate) fn next_question(&mut self) -> Option<Question> {
        self.queue.pop_front()
    }

    /// Takes an answer; false if it is not awaited.
    pub(crate) fn answer(&mut self, question: &Question, answer: &Answer) -> bool {
        if question.kind != RecordType::Txt {
            return false;
        }
        let Some(domain) = self.open.remove(&question.name) else {
            return false;
        };
        self.published.insert(domain, Some(Published::read(answer)));
        true
    }

    /// The record of a domain, and the domain as it was asked for.
    pub(crate) fn record(&self, domain: &Domain) -> Option<(&Domain, &Record)> {
        let (domain, published) = self.published.get_key_value(domain)?;
        Some((domain, published.as_ref()?.record()?))
    }

    /// Walks from a domain over what is known. Names above a stop are not looked at.
    pub(crate) fn walk(&self, domain: &Domain) -> Progress {
        let mut highest = None;
        for target in domains(domain) {
            let psd = match self.published.get(&target).and_then(Option::as_ref) {
                None => return Progress::Waiting,
                Some(Published::Failed(failure)) => {
                    return Progress::Failed(question(&target), *failure);
                }
                Some(Published::Record(record)) => record.psd,
                Some(Published::Nothing | Published::Several | Published::Unreadable(_)) => {
                    continue;
                }
            };
            match psd {
                // RFC 9989 §4.10.2: "If a valid DMARC Policy Record contains the "psd" tag set to "n" ("psd=n"), this is the Organizational
                // Domain, and the selection process is complete."
                Psd::No => return done(target, None),
                // RFC 9989 §4.10.2: "If a valid DMARC Policy Record, other than the one for the domain where the Tree Walk started,
                // contains the "psd" tag set to "y" ("psd=y"), the Organizational Domain is the domain one label below this one in the
                // DNS hierarchy, and the selection process is complete."
                Psd::Yes if target != *domain => {
                    return done(one_label_below(&target, domain), Some(target));
                }
                // RFC 9989 §4.10: "If a single record remains and it contains a "psd=n" or "psd=y" tag, stop."
                Psd::Yes => return done(target, None),
                Psd::Unspecified => highest = Some(target),
            }
        }
        // RFC 9989 §4.10.2: "Otherwise, select the DMARC Policy Record found at the name with the fewest number of labels." … "If this
        // process does not determine the Organizational Domain, then the initial target domain is the Organizational Domain."
        done(highest.unwrap_or_else(|| domain.clone()), None)
    }
}

/// The question for the record of a domain that was asked for.
fn question(domain: &Domain) -> Question {
    Question::new(
        record_name(domain).unwrap_or_else(Name::root),
        RecordType::Txt,
    )
}

fn done(organizational_domain: Domain, public_suffix: Option<Domain>) -> Progress {
    Progress::Done(Walk {
        organizational_domain,
        public_suffix,
    })
}

/// The domain on the way from `below` that is one label longer than `domain`.
fn one_label_below(domain: &Domain, below: &Domain) -> Domain {
    core::iter::successors(Some(below.clone()), Domain::parent)
        .take_while(|candidate| candidate != domain)
        .last()
        .unwrap_or_else(|| below.clone())
}
