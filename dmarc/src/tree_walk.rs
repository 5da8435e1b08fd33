//! The DNS Tree Walk (RFC 9989 §4.10): from a domain up to its Organizational Domain.

use std::sync::Arc;

use mail_dns::{Answer, Failure, Name, Question, Record as DnsRecord, RecordType, Suffixes};
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
            .filter(|text| begins_with_version(text));
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
        .map(|labels| start.suffix(labels))
        .collect()
}

/// How many labels the domains of a walk from a domain of so many have, from the right.
fn label_counts(all: usize) -> impl Iterator<Item = usize> {
    // RFC 9989 §4.10: "If x >= 8, remove the left-most (highest-numbered) labels from the subject domain until 7 labels remain."
    let above = all.min(MAX_QUERIES);
    core::iter::once(all).chain((1..above).rev())
}

/// How many labels a domain has.
pub(crate) fn label_count(domain: &Domain) -> usize {
    // A domain has at most 255 octets; numbers of one octet are added many at a time.
    let dots = domain.as_str().bytes().map(|octet| u8::from(octet == b'.'));
    usize::from(dots.sum::<u8>()) + 1
}

/// Where the last label of a domain begins, the last two, and so on.
fn label_starts(domain: &Domain) -> impl Iterator<Item = u8> {
    let mut rest = Some(domain.as_str().as_bytes());
    core::iter::from_fn(move || {
        let octets = rest?;
        let dot = octets.iter().rposition(|octet| *octet == b'.');
        rest = dot.map(|at| &octets[..at]);
        // A domain has at most 255 octets.
        Some(dot.map_or(0, |at| at as u8 + 1))
    })
}

/// How many labels two domains have in common, from the right; both in A-labels.
#[must_use]
pub fn shared_labels(one: &Domain, other: &Domain) -> usize {
    let mut octets = one.as_str().bytes().rev();
    let mut others = other.as_str().bytes().rev();
    let mut labels = 0;
    loop {
        match (octets.next(), others.next()) {
            (Some(b'.'), Some(b'.')) => labels += 1,
            (None | Some(b'.'), None | Some(b'.')) => return labels + 1,
            (Some(one), Some(other)) if one.eq_ignore_ascii_case(&other) => {}
            _ => return labels,
        }
    }
}

/// The name at which a domain publishes its record, or `None` where that would be no DNS name: nothing can be published there.
#[must_use]
pub fn record_name(domain: &Domain) -> Option<Name> {
    record_names(domain, &[0])?.next()?
}

/// The names at which the ends of a domain that begin at these octets publish their records; `None` where a label is too long for the DNS,
/// which is as if all were.
fn record_names<'a>(domain: &'a Domain, starts: &'a [u8]) -> Option<Suffixes<'a>> {
    Name::of_suffixes(b"_dmarc", domain.as_str().as_bytes(), starts).ok()
}

/// The names that are asked for their records: each once, for any number of walks.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    targets: Vec<Target>,
    /// How many of them were handed out.
    handed_out: usize,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            // For one walk.
            targets: Vec::with_capacity(MAX_QUERIES),
            handed_out: 0,
        }
    }
}

#[derive(Clone, Debug)]
struct Target {
    /// `None` where that would be no DNS name.
    name: Option<Name>,
    /// `None` while the answer is awaited.
    published: Option<Published>,
    /// Whether it counts as asked for the Author Domain or for a DKIM domain.
    counted: bool,
}

/// Where one walk goes: the longest domain first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    /// How many labels of the domain at which the walk began the domain of each step has, from the right.
    labels: [u8; MAX_QUERIES],
    /// Its place in the list of targets.
    targets: [u32; MAX_QUERIES],
    length: u8,
}

/// What a walk has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Answers are missing below the stop.
    Waiting,
    /// This lookup below the stop failed; where the walk would have led cannot be told.
    Failed(Question, Failure),
    Done(Led),
}

/// Where a walk led: how many labels of the domain at which it began are that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Led {
    pub(crate) organizational_domain: usize,
    /// The Public Suffix Domain that ended the walk, where one did.
    pub(crate) public_suffix: Option<usize>,
}

impl Walk {
    /// The steps: labels and target.
    fn steps(&self) -> impl Iterator<Item = (usize, usize)> {
        let steps = self.labels.iter().zip(&self.targets);
        steps
            .take(usize::from(self.length))
            .map(|(labels, target)| (usize::from(*labels), *target as usize))
    }

    /// The target at the domain of this number of labels.
    fn target(&self, labels: usize) -> Option<usize> {
        let (_, target) = self.steps().find(|step| step.0 == labels)?;
        Some(target)
    }

    /// A step more; there are at most [`MAX_QUERIES`].
    fn push(&mut self, labels: usize, target: usize) {
        let at = usize::from(self.length);
        // A domain has at most 128 labels.
        self.labels[at] = labels as u8;
        self.targets[at] = target as u32;
        self.length += 1;
    }
}

impl Targets {
    /// Asks for the records of a walk from this domain, which has so many `labels`.
    pub(crate) fn walk_from(&mut self, domain: &Domain, labels: usize) -> Walk {
        self.walk_beside(&Walk::default(), domain, labels, 0)
    }

    /// As [`Targets::walk_from`], beside another walk that began at a domain with which this one shares the last `shared` labels.
    pub(crate) fn walk_beside(
        &mut self,
        other: &Walk,
        domain: &Domain,
        labels: usize,
        shared: usize,
    ) -> Walk {
        // Where the last labels begin, by their number; all of them, which are never among these, at 0.
        let mut starts = [0; MAX_QUERIES];
        let numbers = 1..labels.min(MAX_QUERIES);
        for (number, start) in numbers.zip(label_starts(domain)) {
            starts[number] = start;
        }
        let mut walk = Walk::default();
        // What the other walk does not come by has more labels, so it is what comes first.
        let mut new = [0; MAX_QUERIES];
        let mut count = 0;
        for step in label_counts(labels) {
            let known = (step <= shared).then(|| other.target(step)).flatten();
            if known.is_none() {
                new[count] = starts.get(step).copied().unwrap_or_default();
                count += 1;
            }
            walk.push(step, known.unwrap_or_default());
        }
        self.place(domain, &new[..count], &mut walk.targets);
        walk
    }

    /// Asks for the records of this domain of so many `labels`, and of what its last ones are, of which there are `above`: at least one.
    pub(crate) fn domain_and_above(
        &mut self,
        domain: &Domain,
        labels: usize,
        above: usize,
    ) -> Walk {
        let mut walk = Walk::default();
        walk.push(labels, 0);
        walk.push(above, 0);
        let start = label_starts(domain).take(above).last().unwrap_or_default();
        self.place(domain, &[0, start], &mut walk.targets);
        walk
    }

    /// The places of the ends of a domain that begin at these octets, put at the end of the list where they are new.
    fn place(&mut self, domain: &Domain, starts: &[u8], places: &mut [u32]) {
        let mut names = record_names(domain, starts);
        for place in places.iter_mut().take(starts.len()) {
            let name = names.as_mut().and_then(Iterator::next).flatten();
            let known = name.as_ref().and_then(|name| {
                let mut targets = self.targets.iter();
                targets.position(|target| target.name.as_ref().is_some_and(|known| known == name))
            });
            *place = known.unwrap_or(self.targets.len()) as u32;
            if known.is_none() {
                self.targets.push(Target {
                    published: name.is_none().then_some(Published::Nothing),
                    counted: false,
                    name,
                });
            }
        }
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Forgets the names behind the first `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.targets.truncate(length);
    }

    /// How many questions of a walk are not counted.
    pub(crate) fn not_counted(&self, walk: &Walk) -> usize {
        let targets = walk.steps().filter_map(|(_, at)| self.targets.get(at));
        targets
            .filter(|target| target.name.is_some() && !target.counted)
            .count()
    }

    /// Counts the questions of a walk.
    pub(crate) fn count(&mut self, walk: &Walk) {
        for (_, at) in walk.steps() {
            if let Some(target) = self.targets.get_mut(at) {
                target.counted = true;
            }
        }
    }

    /// The next question that was not handed out.
    pub(crate) fn next_question(&mut self) -> Option<Question> {
        while let Some(target) = self.targets.get(self.handed_out) {
            self.handed_out += 1;
            if let Some(name) = &target.name {
                return Some(record_question(name));
            }
        }
        None
    }

    /// Takes an answer; false if it is not awaited.
    pub(crate) fn answer(&mut self, question: &Question, answer: &Answer) -> bool {
        self.publish(question, || Published::read(answer))
    }

    /// Takes what an answer comes to; false if it is not awaited.
    pub(crate) fn publish(
        &mut self,
        question: &Question,
        published: impl FnOnce() -> Published,
    ) -> bool {
        let awaited = |target: &&mut Target| {
            target.published.is_none() && target.name.as_ref() == Some(&question.name)
        };
        let mut targets = self.targets.iter_mut();
        match targets.find(awaited) {
            Some(target) if question.kind == RecordType::Txt => {
                target.published = Some(published());
                true
            }
            _ => false,
        }
    }

    /// What stands at the domain of this number of labels, if the walk comes by it and the answer is there; and its name.
    pub(crate) fn published(
        &self,
        walk: &Walk,
        labels: usize,
    ) -> Option<(Option<&Name>, &Published)> {
        let target = self.targets.get(walk.target(labels)?)?;
        Some((target.name.as_ref(), target.published.as_ref()?))
    }

    /// Where a walk leads by what is known. Names above a stop are not looked at.
    pub(crate) fn progress(&self, walk: &Walk) -> Progress {
        let start = usize::from(walk.labels[0]);
        let done = |organizational_domain, public_suffix| {
            Progress::Done(Led {
                organizational_domain,
                public_suffix,
            })
        };
        let mut highest = None;
        for (labels, at) in walk.steps() {
            let Some(target) = self.targets.get(at) else {
                return Progress::Waiting;
            };
            let psd = match (&target.published, &target.name) {
                (None, _) => return Progress::Waiting,
                (Some(Published::Failed(failure)), Some(name)) => {
                    return Progress::Failed(record_question(name), *failure);
                }
                (Some(Published::Record(record)), _) => record.psd,
                (Some(_), _) => continue,
            };
            match psd {
                // RFC 9989 §4.10.2: "If a valid DMARC Policy Record contains the "psd" tag set to "n" ("psd=n"), this is the Organizational
                // Domain, and the selection process is complete."
                Psd::No => return done(labels, None),
                // RFC 9989 §4.10.2: "If a valid DMARC Policy Record, other than the one for the domain where the Tree Walk started,
                // contains the "psd" tag set to "y" ("psd=y"), the Organizational Domain is the domain one label below this one in the
                // DNS hierarchy, and the selection process is complete."
                Psd::Yes if labels != start => return done(labels + 1, Some(labels)),
                // RFC 9989 §4.10: "If a single record remains and it contains a "psd=n" or "psd=y" tag, stop."
                Psd::Yes => return done(labels, None),
                Psd::Unspecified => highest = Some(labels),
            }
        }
        // RFC 9989 §4.10.2: "Otherwise, select the DMARC Policy Record found at the name with the fewest number of labels." … "If this
        // process does not determine the Organizational Domain, then the initial target domain is the Organizational Domain."
        done(highest.unwrap_or(start), None)
    }
}

/// The question for the records at such a name.
pub(crate) fn record_question(name: &Name) -> Question {
    Question::new(name.clone(), RecordType::Txt)
}
