//! The terms of a record one after the other, and what their results come to (RFC 7208 §4.6, §4.7, §5.2, §6.1).

use mail_dns::{Answer, Name, Question, RecordType};

use super::lookups::LookupId;
use super::mechanisms::Test;
use super::records::{Records, Term, Terms};
use super::{Check, CheckHost, Frame, Stage, Step, Stop, Why};
use crate::record::Kind;
use crate::verdict::{Cause, SpfResult, TermOutcome};

/// Where the evaluation of a record leads.
enum Next {
    /// To the record of an `include`, and then back.
    Include(LookupId),
    /// To the record of a `redirect`.
    Redirect(LookupId),
}

impl CheckHost {
    /// Evaluates until an answer is missing, or to the end.
    pub(super) fn run(&mut self) {
        while let Some(frame) = self.frames.last_mut() {
            match self.check.evaluate(frame, &mut self.records) {
                Ok(Next::Include(lookup)) => {
                    let depth = frame.depth + 1;
                    self.frames.push(Frame::new(lookup, depth, true));
                }
                Ok(Next::Redirect(lookup)) => *frame = Frame::new(lookup, frame.depth, true),
                Err(Stop::End(result, why)) => self.end(result, why),
                Err(Stop::Wait) => break,
            }
        }
        if let Stage::Explaining(frame, cause) = &self.stage
            && let Ok(explanation) = self.check.explanation(frame, &self.records)
        {
            self.stage = Stage::Done(SpfResult::Fail, cause.clone(), explanation);
        }
    }

    /// Ends the check_host() on top of the stack, and those below as far as that settles them (RFC 7208 §5.2).
    fn end(&mut self, mut result: SpfResult, mut why: Why) {
        self.check.settle_term();
        let mut ended = self.frames.pop();
        while let Some(parent) = self.frames.last_mut() {
            let include = self.records.term(parent);
            match result {
                SpfResult::Pass => {
                    (self.check).note(parent, &self.records, include, TermOutcome::Match);
                    let qualifier = include.map(|include| include.qualifier);
                    (result, why) = (qualifier.unwrap_or_default().into(), Why::Matched);
                }
                SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                    (self.check).note(parent, &self.records, include, TermOutcome::NoMatch);
                    parent.at += 1;
                    return;
                }
                SpfResult::TempError | SpfResult::PermError => {}
                SpfResult::None => result = SpfResult::PermError,
            }
            ended = self.frames.pop();
        }
        let Some(ended) = ended else {
            // Never: what has a result is a frame.
            return;
        };
        let cause = match why {
            Why::Cause(cause) => *cause,
            why => self.cause(&ended, &why),
        };
        // RFC 7208 §6.2: "During recursion into an "include" mechanism, an "exp" modifier from the <target-name> MUST NOT be used." The
        // last frame to end is the one that counts.
        self.stage = if result == SpfResult::Fail && self.check.config.explain.is_some() {
            Stage::Explaining(ended, cause)
        } else {
            Stage::Done(result, cause, None)
        };
    }

    /// Why a record came to its result.
    fn cause(&self, frame: &Frame, why: &Why) -> Cause {
        let domain = self.check.domain(frame).clone();
        match (why, self.records.term(frame)) {
            (Why::Matched, Some(term)) => {
                let directive = self.records.read_again(term).to_directive();
                Cause::Matched { domain, directive }
            }
            _ => Cause::NoMatch { domain },
        }
    }
}

impl Check {
    /// Evaluates one record, up to where another one is to be evaluated first, or to its result.
    fn evaluate(&mut self, frame: &mut Frame, records: &mut Records) -> Step<Next> {
        if frame.terms.is_none() {
            let terms = self.record(frame, records);
            self.note_step(frame, records, None, &terms, |_| TermOutcome::Read);
            let terms = terms?;
            (frame.terms, frame.at) = (Some(terms), terms.first);
        }
        while let Some(term) = records.term(frame) {
            if term.kind == Kind::Explanation {
                // It is the last.
                break;
            }
            let test = self.test(frame, records, term);
            self.note_step(frame, records, Some(term), &test, Test::outcome);
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
                Test::Include(lookup) => return Ok(Next::Include(lookup)),
                Test::Redirect(lookup) => return Ok(Next::Redirect(lookup)),
            }
            self.settle_term();
            frame.at += 1;
        }
        // RFC 7208 §4.7: "If none of the mechanisms match and there is no "redirect" modifier, then the check_host() returns a result of
        // "neutral", just as if "?all" were specified as the last directive."
        Err(Stop::End(SpfResult::Neutral, Why::NoMatch))
    }

    /// Is done with a term: what it did not need to ask is dropped.
    pub(super) fn settle_term(&mut self) {
        self.lookups.forget_unasked();
        self.counted = false;
    }

    /// RFC 7208 §4.4 and §4.5: the one SPF record of a domain.
    fn record(&mut self, frame: &Frame, records: &mut Records) -> Step<Terms> {
        self.hear(frame.lookup);
        let (ip, config) = (self.session.ip, &self.config);
        match self.lookups.terms(frame.lookup, records, ip, config) {
            Err(Stop::End(SpfResult::None, _)) if frame.referred => {
                let target = self.domain(frame).clone();
                let cause = Cause::TargetWithoutRecord { target };
                Err(Stop::end(SpfResult::PermError, cause))
            }
            terms => terms,
        }
    }

    /// An `include` or `redirect` leads to no domain.
    pub(super) fn no_domain(&self, frame: &Frame, records: &Records, term: &Term) -> Stop {
        let domain = self.domain(frame).clone();
        let target = records.spec(term).to_domain_spec();
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
        self.lookups.settled(lookup)
    }

    /// Asks for the term that is evaluated.
    pub(super) fn ask(&mut self, name: &Name, kind: RecordType) -> LookupId {
        let lookup = self.lookups.ask(Question::new(name.clone(), kind));
        self.hear(lookup);
        lookup
    }

    pub(super) fn domain(&self, frame: &Frame) -> &Name {
        &self.lookups.question(frame.lookup).name
    }
}
