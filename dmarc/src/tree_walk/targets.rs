//! The names that walks ask for, and what is known of them.

use mail_dns::{Answer, Question, RecordType, Suffixes};
use mail_syntax::Domain;

use super::{MAX_QUERIES, Published, Walk, label_counts, record_names, record_question};

/// The names that are asked for their records: each once, for any number of walks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// What each walk has brought.
    brought: Vec<Brought>,
    /// The place of the next one that may be handed out.
    next: usize,
}

/// The names that no walk came by before this one. The place of a target is its number among all, if each walk had brought as many as it
/// may.
#[derive(Clone, Debug)]
struct Brought {
    names: Suffixes,
    targets: [Target; MAX_QUERIES],
}

#[derive(Clone, Debug, Default)]
struct Target {
    /// Whether its name is asked for: not where it would be no DNS name, or another walk has brought it.
    asked_for: bool,
    /// Whether it counts as asked for the Author Domain or for a DKIM domain.
    counted: bool,
    /// `None` while the answer is awaited.
    published: Option<Published>,
}

impl Targets {
    /// Asks for the records of the first walk, from this domain of so many `labels`.
    pub(crate) fn walk_from(&mut self, domain: &Domain, labels: u8) -> Walk {
        let mut walk = Walk::default();
        for labels in label_counts(labels) {
            walk.push(labels, 0);
        }
        self.bring(domain, usize::from(walk.length), &mut walk);
        walk.go_on(self);
        walk
    }

    /// Asks for the records of this domain of so many `labels`, and of what is left of it with the last `above` of them: all of the first
    /// walk where public suffixes say that it leads there.
    pub(crate) fn domain_and_above(&mut self, domain: &Domain, labels: u8, above: u8) -> Walk {
        let mut walk = Walk::done(above);
        walk.push(labels, 0);
        if above != labels {
            walk.push(above, 0);
        }
        self.bring(domain, usize::from(walk.length), &mut walk);
        walk
    }

    /// As [`Targets::walk_from`] for a later walk, from a domain that shares its last `shared` labels with that of the first.
    pub(crate) fn walk_beside(
        &mut self,
        first: &Walk,
        domain: &Domain,
        labels: u8,
        shared: u8,
    ) -> Walk {
        let mut walk = Walk::default();
        // What the first walk does not come by has more labels, so it is what comes first.
        let mut new = 0;
        for labels in label_counts(labels) {
            let known = (labels <= shared).then(|| first.target(labels)).flatten();
            new += usize::from(known.is_none());
            walk.push(labels, known.unwrap_or_default());
        }
        self.bring(domain, new, &mut walk);
        walk.go_on(self);
        walk
    }

    /// Brings the targets of the first steps of a walk, so many of them, which the first walk does not come by.
    fn bring(&mut self, domain: &Domain, count: usize, walk: &mut Walk) {
        if count == 0 {
            return;
        }
        let number = self.brought.len();
        let begin = number * MAX_QUERIES;
        // Made where it stays; a push would move it.
        self.brought.resize_with(number + 1, || Brought {
            names: record_names(domain, &walk.labels[..count]),
            targets: Default::default(),
        });
        let Some((brought, before)) = self.brought.split_last_mut() else {
            return;
        };
        let mut wires = brought.names.wires();
        for (place, target) in brought.targets.iter_mut().take(count).enumerate() {
            let wire = wires.next().unwrap_or_default();
            let mut others = before.iter().enumerate().skip(1);
            let known = others.find_map(|(number, other)| {
                Some(number * MAX_QUERIES + other.names.position(wire)?)
            });
            walk.targets[place] = known.unwrap_or(begin + place) as u32;
            target.asked_for = known.is_none() && !wire.is_empty();
            target.published = wire.is_empty().then_some(Published::Nothing);
        }
    }

    /// How many walks have brought something.
    pub(crate) fn len(&self) -> usize {
        self.brought.len()
    }

    /// Forgets what walks brought after the first `length` of them.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.brought.truncate(length);
    }

    /// How many questions of a walk are not counted.
    pub(crate) fn not_counted(&self, walk: &Walk) -> usize {
        let targets = walk.targets().iter().filter_map(|at| {
            let (brought, place) = self.at(*at)?;
            brought.targets.get(place)
        });
        targets
            .filter(|target| target.asked_for && !target.counted)
            .count()
    }

    /// Counts the questions of a walk.
    pub(crate) fn count(&mut self, walk: &Walk) {
        for at in walk.targets() {
            let at = *at as usize;
            if let Some(brought) = self.brought.get_mut(at / MAX_QUERIES) {
                brought.targets[at % MAX_QUERIES].counted = true;
            }
        }
    }

    /// The next question that was not handed out.
    pub(crate) fn next_question(&mut self) -> Option<Question> {
        while let Some(brought) = self.brought.get(self.next / MAX_QUERIES) {
            let place = self.next % MAX_QUERIES;
            self.next += 1;
            if brought.targets[place].asked_for {
                return brought.names.get(place).map(record_question);
            }
        }
        None
    }

    /// Takes an answer; the place of its target, if it is awaited.
    pub(crate) fn answer(&mut self, question: &Question, answer: &Answer) -> Option<u32> {
        self.publish(question, || Published::read(answer))
    }

    /// Takes what an answer comes to; the place of its target, if it is awaited.
    pub(crate) fn publish(
        &mut self,
        question: &Question,
        published: impl FnOnce() -> Published,
    ) -> Option<u32> {
        if question.kind != RecordType::Txt {
            return None;
        }
        let mut brought = self.brought.iter_mut().enumerate();
        let (at, target) = brought.find_map(|(number, brought)| {
            let place = brought.names.position(question.name.wire())?;
            Some((
                number * MAX_QUERIES + place,
                brought.targets.get_mut(place)?,
            ))
        })?;
        if target.published.is_some() {
            return None;
        }
        target.published = Some(published());
        Some(at as u32)
    }

    /// What stands at the domain of this number of labels, if the walk comes by it and the answer is there; and the place of its target.
    pub(crate) fn published(&self, walk: &Walk, labels: u8) -> Option<(u32, &Published)> {
        let at = walk.target(labels)?;
        Some((at, self.known(at)?))
    }

    /// What stands at a target, if the answer is there.
    pub(super) fn known(&self, at: u32) -> Option<&Published> {
        let (brought, place) = self.at(at)?;
        brought.targets[place].published.as_ref()
    }

    /// The question for a target; none where it was not asked for.
    pub(crate) fn question(&self, at: u32) -> Option<Question> {
        let (brought, place) = self.at(at)?;
        brought.names.get(place).map(record_question)
    }

    fn at(&self, at: u32) -> Option<(&Brought, usize)> {
        let at = at as usize;
        Some((self.brought.get(at / MAX_QUERIES)?, at % MAX_QUERIES))
    }
}
