//! What the verdict tells of each term, where [`Config::trace`](crate::Config::trace) wants it.

use mail_dns::{Name, Question, RecordType};

use super::{CheckHost, Frame, Step, Stop};
use crate::record::terms;
use crate::verdict::{TermOutcome, TraceStep};

impl CheckHost {
    /// Notes what came of the term that is evaluated, unless it waits.
    #[inline]
    pub(super) fn note_term<T>(
        &mut self,
        frame: &Frame,
        text: &[u8],
        step: &Step<T>,
        outcome: impl FnOnce(&T) -> TermOutcome,
    ) {
        self.note_step(frame, || printed(text, frame.at), step, outcome);
    }

    #[inline]
    pub(super) fn note_step<T>(
        &mut self,
        frame: &Frame,
        term: impl FnOnce() -> String,
        step: &Step<T>,
        outcome: impl FnOnce(&T) -> TermOutcome,
    ) {
        let outcome = match step {
            Ok(value) => outcome(value),
            Err(Stop::End(..)) => TermOutcome::Ended,
            Err(Stop::Wait) => return,
        };
        self.note(frame.depth, &frame.domain, term, outcome);
    }

    /// Notes what came of a term.
    #[inline]
    pub(super) fn note(
        &mut self,
        depth: usize,
        domain: &Name,
        term: impl FnOnce() -> String,
        outcome: TermOutcome,
    ) {
        if self.config.trace {
            let answered = |question: Question| {
                let answer = self.lookups.answer_to(&question.name, question.kind)?;
                Some((question, answer.clone()))
            };
            let lookups = self.heard.drain(..).filter_map(answered).collect();
            self.trace.push(TraceStep {
                depth,
                domain: domain.clone(),
                term: term(),
                outcome,
                lookups,
                terms: self.terms,
                void_lookups: self.void_lookups + usize::from(outcome == TermOutcome::Void),
            });
        }
    }

    /// Remembers what a term asks.
    pub(super) fn hear(&mut self, name: &Name, kind: RecordType) {
        if self.config.trace {
            let question = Question::new(name.clone(), kind);
            if !self.heard.contains(&question) {
                self.heard.push(question);
            }
        }
    }
}

/// The term of a record that begins here, as text.
pub(super) fn printed(text: &[u8], at: usize) -> String {
    let mut term = terms(text, at);
    term.next();
    term.to_term().to_string()
}
