//! What the verdict tells of each term, where [`Config::trace`](crate::Config::trace) wants it.

use super::lookups::LookupId;
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
        self.note(frame, term, outcome);
    }

    /// Notes what came of a term of a record that stands above those in `frames`.
    #[inline]
    pub(super) fn note(
        &mut self,
        frame: &Frame,
        term: impl FnOnce() -> String,
        outcome: TermOutcome,
    ) {
        if self.config.trace {
            let answered = |id: LookupId| {
                let lookup = &self.lookups[id];
                Some((lookup.question.clone(), lookup.answer.clone()?))
            };
            let domain = self.lookups[frame.lookup].question.name.clone();
            self.trace.push(TraceStep {
                depth: self.frames.len(),
                domain,
                term: term(),
                outcome,
                lookups: self.heard.drain(..).filter_map(answered).collect(),
                terms: self.terms,
                void_lookups: self.void_lookups + usize::from(outcome == TermOutcome::Void),
            });
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

/// The term of a record that begins here, as text.
pub(super) fn printed(text: &[u8], at: usize) -> String {
    let mut term = terms(text, at);
    term.next();
    term.to_term().to_string()
}
