//! Look-ahead: the questions of later terms, asked while an earlier one is open.
//!
//! It walks the way that the evaluation will take if no term with a lookup matches, and adds questions. It decides nothing and counts
//! against no limit of the evaluation, so the verdict cannot depend on it.

use mail_dns::{Name, Question, Record, RecordType};

use super::lookups::LookupId;
use super::mechanisms::{Target, has_labels};
use super::records::Records;
use super::{Check, CheckHost, Frame};
use crate::record::Kind;

/// What a term with a lookup wants to know of its target.
#[derive(Clone, Copy)]
enum Asks {
    Record,
    Exchanges,
    Of(RecordType),
    ClientNames,
}

impl CheckHost {
    /// Adds the questions of the terms that come next.
    pub(super) fn look_ahead(&mut self) {
        // That of the term on top is counted here again.
        let again = usize::from(self.check.counted);
        let mut counted = self.check.terms.saturating_sub(again);
        // The term of a record below is an `include`, which is being evaluated on top of it.
        let mut stack = self.frames.clone();
        let below = stack.len().saturating_sub(1);
        for frame in stack.iter_mut().take(below) {
            frame.at += 1;
        }
        while let Some(frame) = stack.last_mut() {
            let term = self.records.term(frame);
            let Some(term) = term.filter(|term| !term.matches) else {
                // None behind it is reached.
                stack.pop();
                continue;
            };
            let at = *frame;
            frame.at += 1;
            let Some(asks) = self.check.asks(term.kind) else {
                continue;
            };
            counted += 1;
            if counted > self.check.config.limits.terms {
                return;
            }
            // What `%{p}` stands for takes questions of its own: such a term waits for its turn.
            if term.validates {
                continue;
            }
            let Ok(Target::Name(target)) = self.check.target(&at, &self.records, term) else {
                continue;
            };
            let (depth, records) = (at.depth + 1, &mut self.records);
            stack.extend(self.check.ask_ahead(&target, asks, depth, records));
        }
    }
}

impl Check {
    const fn asks(&self, kind: Kind) -> Option<Asks> {
        match kind {
            Kind::Include | Kind::Redirect => Some(Asks::Record),
            Kind::Mx => Some(Asks::Exchanges),
            Kind::Exists => Some(Asks::Of(RecordType::A)),
            Kind::A => Some(Asks::Of(self.address_type())),
            Kind::Ptr => Some(Asks::ClientNames),
            _ => None,
        }
    }

    /// Asks what a term wants to know; the record it leads to, where that is known already.
    fn ask_ahead(
        &mut self,
        target: &Name,
        asks: Asks,
        depth: usize,
        records: &mut Records,
    ) -> Option<Frame> {
        match asks {
            Asks::Record if has_labels(target) => {
                let lookup = self.add_ahead(target, RecordType::Txt)?;
                let ip = self.session.ip;
                let terms = self.lookups.terms(lookup, records, ip, &self.config);
                let terms = terms.ok()?;
                return Some(Frame {
                    terms: Some(terms),
                    at: terms.first,
                    ..Frame::new(lookup, depth, true)
                });
            }
            Asks::Record => {}
            Asks::Exchanges => {
                let lookup = self.add_ahead(target, RecordType::Mx)?;
                self.ask_exchanges(lookup);
            }
            Asks::Of(kind) => {
                self.add_ahead(target, kind);
            }
            Asks::ClientNames => {
                self.add_ahead(&Name::reverse(self.session.ip), RecordType::Ptr);
            }
        }
        None
    }

    /// The lookup of a question, which is added unless it is there or too many were asked ahead.
    fn add_ahead(&mut self, name: &Name, kind: RecordType) -> Option<LookupId> {
        let question = Question::new(name.clone(), kind);
        self.lookups.ask_ahead(question, self.config.limits.terms)
    }

    fn ask_exchanges(&mut self, of: LookupId) {
        let Some(answer) = self.lookups.answer_to(of) else {
            return;
        };
        let exchange = |record: &Record| match record {
            Record::Mx { exchange, .. } if !exchange.is_root() => Some(exchange.clone()),
            _ => None,
        };
        let exchanges: Vec<Name> = answer.records().iter().filter_map(exchange).collect();
        // With more of them the term is an error, and asks none.
        if exchanges.len() <= self.config.limits.mx_names {
            let kind = self.address_type();
            for exchange in exchanges {
                self.lookups.ask(Question::new(exchange, kind));
            }
        }
    }
}
