//! What the verdict tells of each term, where [`Config::trace`](crate::Config::trace) wants it.

use super::lookups::LookupId;
use super::records::{Records, Term};
use super::{Check, Frame, Step, Stop};
use crate::verdict::{TermOutcome, TraceStep};

impl Check {
    /// Notes what came of a term, or of the lookup of the record, unless it waits.
    #[inline]
    pub(super) fn note_step<T>(
        &mut self,
        frame: &Frame,
        records: &Records,
        term: Option<&Term>,
        step: &Step<T>,
        outcome: impl FnOnce(&T) -> TermOutcome,
    ) {
        let outcome = match step {
            Ok(value) => outcome(value),
            Err(Stop::End(..)) => TermOutcome::Ended,
            Err(Stop::Wait) => return,
        };
        self.note(frame, records, term, outcome);
    }

    /// Notes what came of a term, or of the lookup of the record.
    #[inline]
    pub(super) fn note(
        &mut self,
        frame: &Frame,
        records: &Records,
        term: Option<&Term>,
        outcome: TermOutcome,
    ) {
        if self.config.trace {
            let step = self.trace_step(frame, records, term, outcome);
            self.trace.push(step);
        }
    }

    fn trace_step(
        &mut self,
        frame: &Frame,
        records: &Records,
        term: Option<&Term>,
        outcome: TermOutcome,
    ) -> TraceStep {
        let term = term.map(|term| records.read_again(term).to_term().to_string());
        let answered = |id: LookupId| {
            let answer = self.lookups.answer_to(id)?.clone();
            Some((self.lookups.question(id).clone(), answer))
        };
        TraceStep {
            depth: frame.depth,
            domain: self.lookups.question(frame.lookup).name.clone(),
            term: term.unwrap_or_else(|| "record".to_owned()),
            outcome,
            lookups: self.heard.drain(..).filter_map(answered).collect(),
            terms: self.terms,
            void_lookups: self.void_lookups + usize::from(outcome == TermOutcome::Void),
        }
    }

    /// Remembers what a term asks.
    #[inline]
    pub(super) fn hear(&mut self, id: LookupId) {
        if self.config.trace && !self.heard.contains(&id) {
            self.heard.push(id);
        }
    }
}
