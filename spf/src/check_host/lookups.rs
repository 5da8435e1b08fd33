//! What an evaluation has asked, and the answers so far.

use std::net::IpAddr;

use mail_dns::{Answer, Name, Question};

use super::records::{Records, Terms};
use super::{Step, Stop};
use crate::config::Config;
use crate::verdict::{Cause, SpfResult};

/// All lookups of an evaluation, in the order in which they came up. They are few (111 by default, 221 with look-ahead), and nearly
/// always the last ones are looked for, so a list read from its end is quicker than a map.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookups {
    list: Vec<Lookup>,
    /// Of those that the driver has carried away, which are the first ones; none while one is open.
    answers: Vec<Option<Answer>>,
}

/// The number of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookupId(usize);

#[derive(Clone, Debug)]
struct Lookup {
    question: Question,
    /// Of its name.
    start: u64,
    /// Asked for a term before its turn.
    ahead: bool,
    /// Of the record that was read out of the answer.
    terms: Option<Terms>,
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
            self.list.reserve(11);
            self.answers.reserve(11);
        }
        self.list.push(Lookup {
            start: start(&question.name),
            question,
            ahead,
            terms: None,
        });
        LookupId(self.list.len() - 1)
    }

    /// The next question that nobody has carried away.
    pub(super) fn next_unasked(&mut self) -> Option<Question> {
        let lookup = self.list.get(self.answers.len())?;
        // In place: `push` would write a whole answer elsewhere, and then copy it.
        self.answers.resize_with(self.answers.len() + 1, || None);
        Some(lookup.question.clone())
    }

    /// Takes an answer to an open question; whether it was one.
    pub(super) fn answer(&mut self, question: &Question, answer: &Answer) -> bool {
        let id = self.find(question);
        match id.and_then(|id| self.answers.get_mut(id.0)) {
            Some(open @ None) => {
                *open = Some(answer.clone());
                true
            }
            _ => false,
        }
    }

    /// Drops what a term that is settled did not need to ask. Nobody may keep the number of such a lookup beyond its term.
    pub(super) fn forget_unasked(&mut self) {
        self.list.truncate(self.answers.len());
    }

    pub(super) fn question(&self, of: LookupId) -> &Question {
        // It is there: see `forget_unasked`.
        &self.list[of.0].question
    }

    /// The answer, if it is there.
    pub(super) fn answer_to(&self, question: LookupId) -> Option<&Answer> {
        self.answers.get(question.0)?.as_ref()
    }

    /// The answer, of which a failure ends the evaluation.
    ///
    /// RFC 7208 §5: "if the DNS server returns an error (RCODE other than 0 or 3) or the query times out, the mechanism stops and the
    /// topmost check_host() returns "temperror"."
    pub(super) fn settled(&self, question: LookupId) -> Step<&Answer> {
        let answer = self.answer_to(question).ok_or(Stop::Wait)?;
        match answer.outcome() {
            Ok(_) => Ok(answer),
            Err(failure) => {
                let question = self.question(question).clone();
                let cause = Cause::LookupFailed { question, failure };
                Err(Stop::end(SpfResult::TempError, cause))
            }
        }
    }

    /// The terms of the record in the answer, which is read once.
    pub(super) fn terms(
        &mut self,
        of: LookupId,
        records: &mut Records,
        ip: IpAddr,
        config: &Config,
    ) -> Step<Terms> {
        if let Some(terms) = self.list[of.0].terms {
            return Ok(terms);
        }
        let answer = self.settled(of)?;
        let terms = records.read(answer, &self.question(of).name, ip, config)?;
        Ok(*self.list[of.0].terms.insert(terms))
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
