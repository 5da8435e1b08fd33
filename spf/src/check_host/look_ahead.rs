//! Look-ahead: the questions of later terms, asked while an earlier one is open.
//!
//! It walks the way that the evaluation will take if no term with a lookup matches, and adds questions. It decides nothing and counts
//! against no limit of the evaluation, so the verdict cannot depend on it.

use mail_dns::{Name, Record, RecordType};

use super::mechanisms::{Target, holds};
use super::texts::{Text, Texts};
use super::{CheckHost, Stage};
use crate::macros::Letter;
use crate::record::{Kind, redirect, terms};

/// A record that is walked, and the term that comes next.
struct Walk {
    domain: Name,
    record: Text,
    at: usize,
}

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
        let mut counted = self.terms;
        let mut stack = Vec::new();
        for (depth, frame) in self.frames.iter().enumerate() {
            let Some(record) = frame.record else {
                // The record on top is being asked for.
                break;
            };
            let on_top = depth + 1 == self.frames.len();
            if on_top && frame.counted {
                counted = counted.saturating_sub(1);
            }
            // The term below an `include` is being evaluated on top of it.
            let at = if on_top { frame.at } else { frame.next };
            stack.push(Walk {
                domain: frame.domain.clone(),
                record,
                at,
            });
        }
        while let Some(walk) = stack.last_mut() {
            let (domain, text) = (walk.domain.clone(), texts.text(walk.record));
            let mut term = terms(text, walk.at);
            let (spec, asks) = match term.next() {
                true => {
                    walk.at = term.end;
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
            let Ok(Target::Name(target)) = self.target(&domain, spec) else {
                continue;
            };
            if let Some(record) = self.ask_ahead(&target, asks, texts) {
                stack.push(Walk {
                    domain: target,
                    at: texts.first(record),
                    record,
                });
            }
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
    fn ask_ahead(&mut self, target: &Name, asks: Asks, texts: &mut Texts) -> Option<Text> {
        match asks {
            Asks::Record => {
                if target.label_count() < 2 || !self.add_ahead(target, RecordType::Txt) {
                    return None;
                }
                let lookup = self.lookups.ask(target, RecordType::Txt);
                let ip = (!self.config.trace).then_some(self.session.ip);
                return lookup.record(&self.config.limits, ip, texts).ok();
            }
            Asks::Exchanges => {
                if self.add_ahead(target, RecordType::Mx) {
                    self.ask_exchanges(target);
                }
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

    /// Adds a question if it may be asked ahead; whether it is there now.
    fn add_ahead(&mut self, name: &Name, kind: RecordType) -> bool {
        if self.lookups.contains(name, kind) {
            return true;
        }
        self.lookups.asked_ahead() < self.config.limits.terms && self.lookups.add(name, kind, true)
    }

    fn ask_exchanges(&mut self, target: &Name) {
        let Some(answer) = self.lookups.answer_to(target, RecordType::Mx) else {
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
            for exchange in &exchanges {
                self.lookups.add(exchange, kind, false);
            }
        }
    }
}
