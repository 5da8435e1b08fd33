//! The terms of a record one after the other, and what their results come to (RFC 7208 §4.6, §4.7, §5.2, §6.1).

use mail_dns::{Answer, Name, Question, RecordType};

use super::lookups::{Lookup, LookupId};
use super::mechanisms::{Target, Test};
use super::texts::{Text, Texts};
use super::trace::printed;
use super::{CheckHost, Frame, Stage, Step, Stop, Why};
use crate::macros::{Letter, Spec};
use crate::record::{Cursor, Term, redirect, terms};
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
        // Apart from the rest, which changes while they are read.
        let mut texts = core::mem::take(&mut self.texts);
        while let Some(mut frame) = self.frames.pop() {
            match self.evaluate(&mut frame, &mut texts) {
                Ok(Next::Include(target)) => {
                    self.frames.push(frame);
                    self.refer(target);
                }
                Ok(Next::Redirect(target)) => self.refer(target),
                Err(Stop::End(result, why)) => self.end(frame, &texts, result, why),
                Err(Stop::Wait) => {
                    self.frames.push(frame);
                    break;
                }
            }
        }
        if let Stage::Explaining(frame, cause) = &self.stage {
            let (frame, cause) = (*frame, cause.clone());
            if let Ok(explanation) = self.explanation(&frame, &texts) {
                self.stage = Stage::Done(SpfResult::Fail, cause, explanation);
            }
        }
        self.texts = texts;
    }

    /// Goes to the record of this domain.
    fn refer(&mut self, target: Name) {
        self.settle_term();
        let lookup = self.lookups.ask(Question::new(target, RecordType::Txt));
        self.frames.push(Frame::new(lookup, true));
    }

    fn evaluate(&mut self, frame: &mut Frame, texts: &mut Texts) -> Step<Next> {
        let text = match frame.record {
            Some(record) => texts.text(record),
            None => {
                let record = self.record(frame, texts);
                let outcome = |_: &Text| TermOutcome::Read;
                self.note_step(frame, || "record".to_owned(), &record, outcome);
                let record = record?;
                frame.at = texts.first(record);
                texts.text(*frame.record.insert(record))
            }
        };
        let mut term = terms(text, frame.at);
        while term.next() {
            if !term.is_mechanism() {
                continue;
            }
            frame.at = term.start;
            let test = self.test(frame, &term);
            self.note_term(frame, text, &test, Test::outcome);
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
                Test::Include(domain) => {
                    frame.next = term.end;
                    return Ok(Next::Include(domain));
                }
            }
            self.settle_term();
        }
        frame.at = text.len();
        self.after_terms(frame, text).map(Next::Redirect)
    }

    /// Is done with a term: what it did not need to ask is dropped.
    fn settle_term(&mut self) {
        self.lookups.forget_unasked();
        self.counted = false;
    }

    /// RFC 7208 §4.4 and §4.5: the one SPF record of a domain.
    fn record(&mut self, frame: &Frame, texts: &mut Texts) -> Step<Text> {
        self.hear(frame.lookup);
        let ip = (!self.config.trace).then_some(self.session.ip);
        let lookup = &mut self.lookups[frame.lookup];
        settled(lookup)?;
        lookup
            .record(&self.config.limits, ip, texts)
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

    /// RFC 7208 §6.1: the target of `redirect`, or the default of §4.7.
    fn after_terms(&mut self, frame: &Frame, text: &[u8]) -> Step<Name> {
        let Some(spec) = redirect(text) else {
            return Err(Stop::End(SpfResult::Neutral, Why::NoMatch));
        };
        self.count_term(Some(spec))?;
        // RFC 7208 §6.1: "if no SPF record is found, or if the <target-name> is malformed, the result is a "permerror" rather than
        // "none"."
        let target = match self.target(frame, Some(spec))? {
            Target::Name(target) if has_labels(&target) => target,
            _ => return Err(self.no_domain(frame, spec)),
        };
        let term = || Term::Redirect(spec.to_domain_spec()).to_string();
        self.note(frame, term, TermOutcome::Followed);
        Ok(target)
    }

    /// An `include` or `redirect` of this record leads to no domain.
    pub(super) fn no_domain(&self, frame: &Frame, target: Spec<'_>) -> Stop {
        let (domain, target) = (self.domain(frame).clone(), target.to_domain_spec());
        let cause = Cause::TargetNoDomain { domain, target };
        Stop::end(SpfResult::PermError, cause)
    }

    /// RFC 7208 §4.6.4: "SPF implementations MUST limit the total number of those terms to 10 during SPF evaluation, to avoid unreasonable
    /// load on the DNS.  If this limit is exceeded, the implementation MUST return "permerror"." And: "When evaluating the "ptr" mechanism
    /// or the %{p} macro, the number of "PTR" resource records queried is included in the overall limit of 10 mechanisms/modifiers".
    pub(super) fn count_term(&mut self, spec: Option<Spec<'_>>) -> Step<()> {
        if !core::mem::replace(&mut self.counted, true) {
            self.terms += 1 + usize::from(spec.is_some_and(|spec| spec.uses(&[Letter::Validated])));
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
    fn end(&mut self, mut ended: Frame, texts: &Texts, mut result: SpfResult, mut why: Why) {
        self.settle_term();
        while let Some(mut parent) = self.frames.pop() {
            let text = parent.record.map(|record| texts.text(record));
            let include = || printed(text.unwrap_or_default(), parent.at);
            match result {
                SpfResult::Pass => {
                    self.note(&parent, include, TermOutcome::Match);
                    let qualifier = parent.term(texts).map(|include| include.qualifier);
                    (result, why) = (qualifier.unwrap_or_default().into(), Why::Matched);
                }
                SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                    self.note(&parent, include, TermOutcome::NoMatch);
                    parent.at = parent.next;
                    return self.frames.push(parent);
                }
                SpfResult::TempError | SpfResult::PermError => {}
                SpfResult::None => result = SpfResult::PermError,
            }
            ended = parent;
        }
        let cause = match why {
            Why::Cause(cause) => *cause,
            why => self.cause(&ended, texts, &why),
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
    fn cause(&self, frame: &Frame, texts: &Texts, why: &Why) -> Cause {
        let domain = self.domain(frame).clone();
        match (why, frame.term(texts)) {
            (Why::Matched, Some(term)) => {
                let directive = term.to_directive();
                Cause::Matched { domain, directive }
            }
            _ => Cause::NoMatch { domain },
        }
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

impl Frame {
    /// The term that is evaluated.
    fn term<'a>(&self, texts: &'a Texts) -> Option<Cursor<'a>> {
        let mut term = terms(texts.text(self.record?), self.at);
        term.next().then_some(term)
    }
}
