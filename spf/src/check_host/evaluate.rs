//! The terms of a record one after the other, and what their results come to (RFC 7208 §4.6, §4.7, §5.2, §6.1).

use mail_dns::{Answer, Name, Question, RecordType};

use super::lookups::{Lookup, LookupId};
use super::mechanisms::Test;
use super::records::{Term, Terms};
use super::{CheckHost, Frame, Stage, Step, Stop, Why};
use crate::record::Kind;
use crate::verdict::{Cause, SpfResult, TermOutcome};

/// Where the evaluation of a record leads.
enum Next {
    /// To the record of an `include`, and then back.
    Include(Name),
    /// To the record of a `redirect`.
    Redirect(Name),
}

impl CheckHost {
    /// Evaluates until an answer is missing, or to the end.
    pub(super) fn run(&mut self) {
        while let Some(mut frame) = self.frames.pop() {
            match self.evaluate(&mut frame) {
                Ok(Next::Include(target)) => {
                    self.frames.push(frame);
                    self.refer(target);
                }
                Ok(Next::Redirect(target)) => self.refer(target),
                Err(Stop::End(result, why)) => self.end(frame, result, why),
                Err(Stop::Wait) => {
                    self.frames.push(frame);
                    break;
                }
            }
        }
        if let Stage::Explaining(frame, cause) = &self.stage {
            let (frame, cause) = (*frame, cause.clone());
            if let Ok(explanation) = self.explanation(&frame) {
                self.stage = Stage::Done(SpfResult::Fail, cause, explanation);
            }
        }
    }

    /// Goes to the record of this domain.
    fn refer(&mut self, target: Name) {
        self.settle_term();
        let lookup = self.lookups.ask(Question::new(target, RecordType::Txt));
        self.frames.push(Frame::new(lookup, true));
    }

    fn evaluate(&mut self, frame: &mut Frame) -> Step<Next> {
        let terms = match frame.terms {
            Some(terms) => terms,
            None => {
                let terms = self.record(frame);
                self.note_step(frame, None, &terms, |_| TermOutcome::Read);
                let terms = terms?;
                frame.at = terms.first;
                *frame.terms.insert(terms)
            }
        };
        while let Some(term) = self.records.term(terms, frame.at) {
            if term.kind == Kind::Explanation {
                break;
            }
            let test = self.test(frame, &term);
            self.note_step(frame, Some(&term), &test, Test::outcome);
            match test? {
                // RFC 7208 §4.6.2: "If it matches, processing ends and the qualifier value is returned as the result of that record."
                Test::Match => {
                    self.authorized_bits = term.address_bits(self.session.ip);
                    return Err(Stop::End(term.qualifier.into(), Why::Matched));
                }
                Test::NoMatch => {}
                Test::Void => {
                    self.void_lookups += 1;
                    // RFC 7208 §4.6.4: "Exceeding the limit produces a "permerror" result."
                    if self.void_lookups > self.config.limits.void_lookups {
                        let cause = Cause::TooManyVoidLookups;
                        return Err(Stop::end(SpfResult::PermError, cause));
                    }
                }
                Test::Include(domain) => return Ok(Next::Include(domain)),
                Test::Redirect(domain) => return Ok(Next::Redirect(domain)),
            }
            self.settle_term();
            frame.at += 1;
        }
        Err(Stop::End(SpfResult::Neutral, Why::NoMatch))
    }

    /// Is done with a term: what it did not need to ask is dropped.
    fn settle_term(&mut self) {
        self.lookups.forget_unasked();
        self.counted = false;
    }

    /// RFC 7208 §4.4 and §4.5: the one SPF record of a domain.
    fn record(&mut self, frame: &Frame) -> Step<Terms> {
        self.hear(frame.lookup);
        let lookup = &mut self.lookups[frame.lookup];
        settled(lookup)?;
        lookup
            .terms(&mut self.records, self.session.ip, &self.config)
            .map_err(|cause| match *cause {
                Cause::NoSuchDomain { domain } | Cause::NoRecord { domain } if frame.referred => {
                    let cause = Cause::TargetWithoutRecord { target: domain };
                    Stop::end(SpfResult::PermError, cause)
                }
                Cause::NoSuchDomain { .. } | Cause::NoRecord { .. } => {
                    Stop::End(SpfResult::None, Why::Cause(cause))
                }
                _ => Stop::End(SpfResult::PermError, Why::Cause(cause)),
            })
    }

    /// An `include` or `redirect` leads to no domain.
    pub(super) fn no_domain(&self, frame: &Frame, term: &Term) -> Stop {
        let domain = self.domain(frame).clone();
        let target = self.records.spec(term).to_domain_spec();
        let cause = Cause::TargetNoDomain { domain, target };
        Stop::end(SpfResult::PermError, cause)
    }

    /// RFC 7208 §4.6.4: "SPF implementations MUST limit the total number of those terms to 10 during SPF evaluation, to avoid unreasonable
    /// load on the DNS.  If this limit is exceeded, the implementation MUST return "permerror"." And: "When evaluating the "ptr" mechanism
    /// or the %{p} macro, the number of "PTR" resource records queried is included in the overall limit of 10 mechanisms/modifiers".
    pub(super) fn count_term(&mut self, term: &Term) -> Step<()> {
        if !core::mem::replace(&mut self.counted, true) {
            self.terms += 1 + usize::from(term.validates);
        }
        if self.terms > self.config.limits.terms {
            return Err(Stop::end(SpfResult::PermError, Cause::TooManyTerms));
        }
        Ok(())
    }

    /// The answer to a question of which a failure ends the evaluation.
    pub(super) fn lookup(&mut self, name: &Name, kind: RecordType) -> Step<&Answer> {
        let lookup = self.ask(name, kind);
        settled(&self.lookups[lookup])
    }

    /// Asks for the term that is evaluated.
    pub(super) fn ask(&mut self, name: &Name, kind: RecordType) -> LookupId {
        let lookup = self.lookups.ask(Question::new(name.clone(), kind));
        self.hear(lookup);
        lookup
    }

    /// Ends a check_host(), and those below as far as that settles them (RFC 7208 §5.2).
    fn end(&mut self, mut ended: Frame, mut result: SpfResult, mut why: Why) {
        self.settle_term();
        while let Some(mut parent) = self.frames.pop() {
            let include = self.term(&parent);
            match result {
                SpfResult::Pass => {
                    self.note(&parent, include.as_ref(), TermOutcome::Match);
                    let qualifier = include.map(|include| include.qualifier);
                    (result, why) = (qualifier.unwrap_or_default().into(), Why::Matched);
                }
                SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                    self.note(&parent, include.as_ref(), TermOutcome::NoMatch);
                    parent.at += 1;
                    return self.frames.push(parent);
                }
                SpfResult::TempError | SpfResult::PermError => {}
                SpfResult::None => result = SpfResult::PermError,
            }
            ended = parent;
        }
        let cause = match why {
            Why::Cause(cause) => *cause,
            why => self.cause(&ended, &why),
        };
        // RFC 7208 §6.2: "During recursion into an "include" mechanism, an "exp" modifier from the <target-name> MUST NOT be used." The
        // last frame to end is the one that counts.
        self.stage = if result == SpfResult::Fail && self.config.explain.is_some() {
            Stage::Explaining(ended, cause)
        } else {
            Stage::Done(result, cause, None)
        };
    }

    /// Why a record came to its result.
    fn cause(&self, frame: &Frame, why: &Why) -> Cause {
        let domain = self.domain(frame).clone();
        match (why, self.term(frame)) {
            (Why::Matched, Some(term)) => {
                let directive = self.records.read_again(&term).to_directive();
                Cause::Matched { domain, directive }
            }
            _ => Cause::NoMatch { domain },
        }
    }

    /// The term that is evaluated.
    fn term(&self, frame: &Frame) -> Option<Term> {
        self.records.term(frame.terms?, frame.at)
    }

    pub(super) fn domain(&self, frame: &Frame) -> &Name {
        &self.lookups[frame.lookup].question.name
    }
}

/// Whether a name is more than the root and one label.
pub(super) fn has_labels(name: &Name) -> bool {
    name.labels().nth(1).is_some()
}

/// The answer to a question of which a failure ends the evaluation.
///
/// RFC 7208 §5: "if the DNS server returns an error (RCODE other than 0 or 3) or the query times out, the mechanism stops and the
/// topmost check_host() returns "temperror"."
pub(super) fn settled(lookup: &Lookup) -> Step<&Answer> {
    let answer = lookup.answered()?;
    match answer.outcome() {
        Ok(_) => Ok(answer),
        Err(failure) => {
            let question = lookup.question.clone();
            let cause = Cause::LookupFailed { question, failure };
            Err(Stop::end(SpfResult::TempError, cause))
        }
    }
}
