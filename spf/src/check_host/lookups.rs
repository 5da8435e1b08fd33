//! What an evaluation has asked, and the answers so far.

use std::net::IpAddr;

use mail_dns::{Answer, Name, Question, RecordType};

use super::texts::{Text, Texts, read_record};
use crate::config::Limits;
use crate::verdict::Cause;

/// All lookups of an evaluation, in the order in which they came up. They are few (111 by default, 221 with look-ahead), and nearly
/// always the last ones are looked for, so a list read from its end is quicker than a map.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookups(Vec<Lookup>);

#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) question: Question,
    /// Of its name.
    start: u64,
    state: State,
    /// Asked for a term before its turn.
    ahead: bool,
    /// The record that was read out of the answer.
    record: Option<Text>,
}

#[derive(Clone, Debug)]
enum State {
    /// Nobody has carried it away yet.
    Unasked,
    Open,
    Answered(Answer),
}

impl Lookup {
    pub(super) const fn answer(&self) -> Option<&Answer> {
        match &self.state {
            State::Answered(answer) => Some(answer),
            State::Unasked | State::Open => None,
        }
    }
}

impl Lookup {
    /// The record in the answer, which is read once; with the address of the client, networks without it are passed over.
    pub(super) fn record(
        &mut self,
        limits: &Limits,
        ip: Option<IpAddr>,
        texts: &mut Texts,
    ) -> Result<Text, Box<Cause>> {
        let domain = &self.question.name;
        match (self.record, &self.state) {
            (Some(record), _) => Ok(record),
            (None, State::Answered(answer)) => {
                let record = read_record(answer, domain, limits, ip, texts)?;
                Ok(*self.record.insert(record))
            }
            (None, State::Unasked | State::Open) => Err(Box::new(Cause::NoRecord {
                domain: domain.clone(),
            })),
        }
    }
}

impl Lookups {
    /// The lookup of this question, which is added unless it is there.
    pub(super) fn ask(&mut self, name: &Name, kind: RecordType) -> &mut Lookup {
        let at = match self.position(name, kind) {
            Some(at) => at,
            None => self.push(name, kind, false),
        };
        // Both are positions in the list.
        &mut self.0[at]
    }

    pub(super) fn answer_to(&self, name: &Name, kind: RecordType) -> Option<&Answer> {
        self.0.get(self.position(name, kind)?)?.answer()
    }

    /// Whether this question is there.
    pub(super) fn contains(&self, name: &Name, kind: RecordType) -> bool {
        self.position(name, kind).is_some()
    }

    /// Adds a question unless it is there already; whether it was new.
    pub(super) fn add(&mut self, name: &Name, kind: RecordType, ahead: bool) -> bool {
        let new = !self.contains(name, kind);
        if new {
            self.push(name, kind, ahead);
        }
        new
    }

    fn position(&self, name: &Name, kind: RecordType) -> Option<usize> {
        let start = start(name);
        self.0.iter().rposition(|of| {
            of.start == start && of.question.kind == kind && of.question.name == *name
        })
    }

    fn push(&mut self, name: &Name, kind: RecordType, ahead: bool) -> usize {
        if self.0.is_empty() {
            // A record and its ten terms with lookups.
            self.0.reserve(12);
        }
        self.0.push(Lookup {
            question: Question::new(name.clone(), kind),
            start: start(name),
            state: State::Unasked,
            ahead,
            record: None,
        });
        self.0.len() - 1
    }

    /// The next question that nobody has carried away.
    pub(super) fn next_unasked(&mut self) -> Option<Question> {
        let unasked = |of: &&mut Lookup| matches!(of.state, State::Unasked);
        let lookup = self.0.iter_mut().find(unasked)?;
        lookup.state = State::Open;
        Some(lookup.question.clone())
    }

    /// Takes an answer to an open question; whether it was one.
    pub(super) fn answer(&mut self, question: &Question, answer: &Answer) -> bool {
        let at = self.position(&question.name, question.kind);
        match at.and_then(|at| self.0.get_mut(at)) {
            Some(lookup) if matches!(lookup.state, State::Open) => {
                lookup.state = State::Answered(answer.clone());
                true
            }
            _ => false,
        }
    }

    /// Drops what a term that is settled did not need to ask.
    pub(super) fn forget_unasked(&mut self) {
        // A question is carried away before a later one is added, so those that were not stand at the end.
        while let Some(Lookup {
            state: State::Unasked,
            ..
        }) = self.0.last()
        {
            self.0.pop();
        }
    }

    /// Terms that were asked before their turn, their hosts apart.
    pub(super) fn asked_ahead(&self) -> usize {
        self.0.iter().filter(|of| of.ahead).count()
    }
}

/// The first octets of a name in one integer, in which equal names are equal: nearly all others differ there already.
fn start(name: &Name) -> u64 {
    let first = name.wire().first_chunk();
    // The bit that upper and lower case differ in.
    first.map_or(0, |octets| {
        u64::from_ne_bytes(*octets) | 0x2020_2020_2020_2020
    })
}
