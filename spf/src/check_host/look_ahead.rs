//! Look-ahead: the questions of later terms, asked while an earlier one is open.
//!
//! It walks the way that the evaluation will take if no term with a lookup matches, and adds questions. It decides nothing and counts
//! against no limit of the evaluation, so the verdict cannot depend on it.

use std::sync::Arc;

use mail_dns::{Name, Record, RecordType};

use super::{CheckHost, Stage, read_record};
use crate::macros::{DomainSpec, Letter};
use crate::record::{Mechanism, SpfRecord, Term};

use super::mechanisms::{Target, same_network};

/// A record that is walked, and the term that comes next.
struct Walk {
    domain: Name,
    record: Arc<SpfRecord>,
    next: usize,
}

impl CheckHost {
    pub(super) fn look_ahead(&mut self) {
        if !matches!(self.stage, Stage::Evaluating) {
            return;
        }
        let mut terms = self.terms;
        let mut stack = Vec::new();
        for (depth, frame) in self.frames.iter().enumerate() {
            let Some(record) = frame.record.clone() else {
                // The record on top is being asked for.
                break;
            };
            // The term below an `include` is being evaluated on top of it.
            let on_top = depth + 1 == self.frames.len();
            if on_top && frame.counted {
                terms = terms.saturating_sub(1);
            }
            stack.push(Walk {
                domain: frame.domain.clone(),
                record,
                next: frame.next + usize::from(!on_top),
            });
        }
        while let Some(walk) = stack.last_mut() {
            let (domain, record) = (walk.domain.clone(), Arc::clone(&walk.record));
            let (spec, mechanism) = match record.terms().get(walk.next) {
                Some(Term::Directive(directive)) => {
                    walk.next += 1;
                    (spec_of(&directive.mechanism), Some(&directive.mechanism))
                }
                Some(_) => {
                    walk.next += 1;
                    continue;
                }
                None => {
                    stack.pop();
                    match record.redirect() {
                        Some(spec) => (Some(spec), None),
                        None => continue,
                    }
                }
            };
            match mechanism {
                Some(Mechanism::Ip4 { network, prefix }) => {
                    if same_network(self.session.ip, (*network).into(), *prefix, 0) {
                        stack.pop();
                    }
                    continue;
                }
                Some(Mechanism::Ip6 { network, prefix }) => {
                    if same_network(self.session.ip, (*network).into(), 0, *prefix) {
                        stack.pop();
                    }
                    continue;
                }
                Some(Mechanism::All) => {
                    stack.pop();
                    continue;
                }
                _ => {}
            }
            terms += 1;
            if terms > self.config.limits.terms {
                return;
            }
            // What `%{p}` stands for takes questions of its own: such a term waits for its turn.
            if spec.is_some_and(|spec| spec.uses(&[Letter::Validated])) {
                continue;
            }
            let Ok(Target::Name(target)) = self.target(&domain, spec) else {
                continue;
            };
            if let Some(record) = self.ask_ahead(&target, mechanism) {
                stack.push(Walk {
                    domain: target,
                    record,
                    next: 0,
                });
            }
        }
    }

    /// Asks what a term wants to know; the record it leads to, where that is known already.
    fn ask_ahead(
        &mut self,
        target: &Name,
        mechanism: Option<&Mechanism>,
    ) -> Option<Arc<SpfRecord>> {
        match mechanism {
            None | Some(Mechanism::Include(_)) => {
                if target.label_count() < 2 || !self.add_ahead(target, RecordType::Txt) {
                    return None;
                }
                let limits = &self.config.limits;
                let lookup = self.lookups.find_mut(target, RecordType::Txt)?;
                if lookup.record.is_none() {
                    let record = read_record(lookup.answer()?, target, limits).ok()?;
                    lookup.record = Some(Arc::new(record));
                }
                return lookup.record.clone();
            }
            Some(Mechanism::Mx { .. }) => {
                if self.add_ahead(target, RecordType::Mx) {
                    self.ask_exchanges(target);
                }
            }
            Some(Mechanism::Exists(_)) => {
                self.add_ahead(target, RecordType::A);
            }
            Some(Mechanism::A { .. }) => {
                self.add_ahead(target, self.address_type());
            }
            Some(Mechanism::Ptr(_)) => {
                self.add_ahead(&Name::reverse(self.session.ip), RecordType::Ptr);
            }
            Some(Mechanism::All | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. }) => {}
        }
        None
    }

    /// Adds a question if it may be asked ahead; whether it is there now.
    fn add_ahead(&mut self, name: &Name, kind: RecordType) -> bool {
        if self.lookups.find(name, kind).is_some() {
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

const fn spec_of(mechanism: &Mechanism) -> Option<&DomainSpec> {
    match mechanism {
        Mechanism::Include(spec) | Mechanism::Exists(spec) => Some(spec),
        Mechanism::Ptr(spec) => spec.as_ref(),
        Mechanism::A { domain, .. } | Mechanism::Mx { domain, .. } => domain.as_ref(),
        Mechanism::All | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => None,
    }
}
