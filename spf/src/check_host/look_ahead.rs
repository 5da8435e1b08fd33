//! Look-ahead: the questions of later terms, asked while an earlier one is open.
//!
//! It walks the way that the evaluation will take if no term with a lookup matches, and adds questions. It decides nothing and counts
//! against no limit of the evaluation, so the verdict cannot depend on it.

use mail_dns::{Name, Question, Record, RecordType};

use super::evaluate::has_labels;
use super::lookups::LookupId;
use super::mechanisms::{Target, holds};
use super::texts::Texts;
use super::{CheckHost, Frame, Stage};
use crate::macros::Letter;
use crate::record::{Kind, redirect, terms};

/// What a term with a lookup wants to know of its target.
#[derive(Clone, Copy)]
enum Asks {
    Record,
    Exchanges,
    Of(RecordType),
    ClientNames,
}

impl CheckHost {
    pub(super) fn look_ahead(&mut self) {
        if matches!(self.stage, Stage::Evaluating) {
            let mut texts = core::mem::take(&mut self.texts);
            self.walk(&mut texts);
            self.texts = texts;
        }
    }

    fn walk(&mut self, texts: &mut Texts) {
        // That of the term on top is counted here again.
        let mut counted = self.terms - usize::from(self.counted);
        // The record on top may still be asked for. The term below an `include` is being evaluated on top of it.
        let known = |frame: &Frame| frame.record.is_some();
        let mut stack = Vec::from_iter(self.frames.iter().copied().take_while(known));
        let below = self.frames.len().saturating_sub(1);
        for frame in stack.iter_mut().take(below) {
            frame.at = frame.next;
        }
        while let Some(top) = stack.last_mut() {
            let text = top.record.map(|record| texts.text(record));
            let text = text.unwrap_or_default();
            let mut term = terms(text, top.at);
            let frame = *top;
            let (spec, asks) = match term.next() {
                true => {
                    top.at = term.end;
                    let Some(asks) = self.asks(term.kind) else {
                        // None behind it is reached.
                        if term.kind == Kind::All || holds(&term, self.session.ip) {
                            stack.pop();
                        }
                        continue;
                    };
                    (term.spec(), asks)
                }
                false => {
                    stack.pop();
                    match redirect(text) {
                        Some(spec) => (Some(spec), Asks::Record),
                        None => continue,
                    }
                }
            };
            counted += 1;
            if counted > self.config.limits.terms {
                return;
            }
            // What `%{p}` stands for takes questions of its own: such a term waits for its turn.
            if spec.is_some_and(|spec| spec.uses(&[Letter::Validated])) {
                continue;
            }
            let Ok(Target::Name(target)) = self.target(&frame, spec) else {
                continue;
            };
            stack.extend(self.ask_ahead(&target, asks, texts));
        }
    }

    const fn asks(&self, kind: Kind) -> Option<Asks> {
        match kind {
            Kind::Include => Some(Asks::Record),
            Kind::Mx => Some(Asks::Exchanges),
            Kind::Exists => Some(Asks::Of(RecordType::A)),
            Kind::A => Some(Asks::Of(self.address_type())),
            Kind::Ptr => Some(Asks::ClientNames),
            _ => None,
        }
    }

    /// Asks what a term wants to know; the record it leads to, where that is known already.
    fn ask_ahead(&mut self, target: &Name, asks: Asks, texts: &mut Texts) -> Option<Frame> {
        match asks {
            Asks::Record if has_labels(target) => {
                let lookup = self.add_ahead(target, RecordType::Txt)?;
                let ip = (!self.config.trace).then_some(self.session.ip);
                let limits = &self.config.limits;
                let record = self.lookups[lookup].record(limits, ip, texts).ok()?;
                return Some(Frame {
                    record: Some(record),
                    at: texts.first(record),
                    ..Frame::new(lookup, true)
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
        let Some(answer) = &self.lookups[of].answer else {
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
