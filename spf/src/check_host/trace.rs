//! What the verdict tells of each term, where [`Config::trace`](crate::Config::trace) wants it.

use mail_dns::{Name, Question, RecordType};

use super::CheckHost;
use crate::verdict::{TermOutcome, TraceStep};

impl CheckHost {
    /// Notes what came of a term.
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
