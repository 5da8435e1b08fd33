//! What an evaluation has asked, and the answers so far.

use core::ops::{Index, IndexMut};
use std::net::IpAddr;

use mail_dns::{Answer, Name, Question};

use super::records::{Records, Terms};
use super::{Step, Stop};
use crate::config::Config;
use crate::verdict::Cause;

/// All lookups of an evaluation, in the order in which they came up. They are few (111 by default, 221 with look-ahead), and nearly
/// always the last ones are looked for, so a list read from its end is quicker than a map.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookups {
    list: Vec<Lookup>,
    /// How many of them the driver has carried away: the first ones, as it takes them in their order.
    asked: usize,
}

/// Which lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookupId(usize);

#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) question: Question,
    /// Of its name.
    start: u64,
    pub(super) answer: Option<Answer>,
    /// Asked for a term before its turn.
    ahead: bool,
    /// Of the record that was read out of the answer.
    terms: Option<Terms>,
}

impl Lookup {
    pub(super) fn answered(&self) -> Step<&Answer> {
        self.answer.as_ref().ok_or(Stop::Wait)
    }

    /// The terms of the record in the answer, which is read once.
    pub(super) fn terms(
        &mut self,
        records: &mut Records,
        ip: IpAddr,
        config: &Config,
    ) -> Result<Terms, Box<Cause>> {
        let domain = &self.question.name;
        match (self.terms, &self.answer) {
            (Some(terms), _) => Ok(terms),
            (None, Some(answer)) => {
                let terms = records.read(answer, domain, ip, config)?;
                Ok(*self.terms.insert(terms))
            }
            (None, None) => Err(Box::new(Cause::NoRecord {
                domain: domain.clone(),
            })),
        }
    }
}

impl Lookups {
    /// The lookup of this question, which is added unless it is there.
    pub(super) fn ask(&mut self, question: Question) -> LookupId {
        match self.find(&question) {
            Some(id) => id,
            None => self.push(question, false),
        }
    }

    /// As [`Lookups::ask`], for a term before its turn; none where so many were added like that already, their hosts apart.
    pub(super) fn ask_ahead(&mut self, question: Question, most: usize) -> Option<LookupId> {
        let asked = || self.list.iter().filter(|of| of.ahead).count();
        match self.find(&question) {
            Some(id) => Some(id),
            None => (asked() < most).then(|| self.push(question, true)),
        }
    }

    fn find(&self, question: &Question) -> Option<LookupId> {
        let start = start(&question.name);
        let is = |of: &Lookup| of.start == start && of.question == *question;
        self.list.iter().rposition(is).map(LookupId)
    }

    fn push(&mut self, question: Question, ahead: bool) -> LookupId {
        if self.list.is_empty() {
            // A record and its ten terms with lookups.
            self.list.reserve(12);
        }
        self.list.push(Lookup {
            start: start(&question.name),
            question,
            answer: None,
            ahead,
            terms: None,
        });
        LookupId(self.list.len() - 1)
    }

    /// The next question that nobody has carried away.
    pub(super) fn next_unasked(&mut self) -> Option<Question> {
        let lookup = self.list.get(self.asked)?;
        self.asked += 1;
        Some(lookup.question.clone())
    }

    /// Takes an answer to an open question; whether it was one.
    pub(super) fn answer(&mut self, question: &Question, answer: &Answer) -> bool {
        let asked = |id: &LookupId| id.0 < self.asked;
        let Some(id) = self.find(question).filter(asked) else {
            return false;
        };
        let open = &mut self[id].answer;
        let fresh = open.is_none();
        if fresh {
            *open = Some(answer.clone());
        }
        fresh
    }

    /// Drops what a term that is settled did not need to ask.
    pub(super) fn forget_unasked(&mut self) {
        self.list.truncate(self.asked);
    }
}

// The list holds what an id was given for: a question that was asked stays, and ids of others are not kept beyond their term.
impl Index<LookupId> for Lookups {
    type Output = Lookup;

    fn index(&self, id: LookupId) -> &Lookup {
        &self.list[id.0]
    }
}

impl IndexMut<LookupId> for Lookups {
    fn index_mut(&mut self, id: LookupId) -> &mut Lookup {
        &mut self.list[id.0]
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
