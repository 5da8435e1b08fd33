//! The terms of a record one after the other, and what their results come to (RFC 7208 §4.6, §4.7, §5.2, §6.1).

use mail_dns::{Answer, Name, RecordType};

use super::lookups::Lookup;
use super::mechanisms::{Target, Test};
use super::texts::{Text, Texts};
use super::trace::printed;
use super::{CheckHost, Frame, Stage, Step, Stop, Why, no_domain};
use crate::macros::{Letter, Spec};
use crate::record::{Cursor, Kind, Term, redirect, terms};
use crate::verdict::{Cause, SpfResult, TermOutcome};

/// Where the evaluation of a record goes on.
enum Next {
    /// In the record of an `include`.
    Include(Name),
    /// In the record of a `redirect`, and not here again.
    Redirect(Name),
    /// Nowhere: the result has its explanation.
    Explained,
}

impl CheckHost {
    /// Evaluates until an answer is missing, or to the end.
    pub(super) fn run(&mut self) {
        // Apart from the rest, which changes while they are looked at.
        let mut frames = core::mem::take(&mut self.frames);
        let mut texts = core::mem::take(&mut self.texts);
        while !matches!(self.stage, Stage::Done(..)) {
            let step = match frames.last_mut() {
                Some(frame) => self.evaluate(frame, &mut texts),
                None => self.explain(&texts),
            };
            match step {
                Ok(Next::Include(target)) => {
                    let depth = frames.len();
                    frames.push(Frame::new(target, depth, true));
                }
                Ok(Next::Redirect(target)) => {
                    if let Some(frame) = frames.last_mut() {
                        *frame = Frame::new(target, frame.depth, true);
                    }
                }
                Ok(Next::Explained) => {}
                Err(Stop::Wait) => break,
                Err(Stop::End(result, why)) => self.end(&mut frames, &texts, result, why),
            }
        }
        (self.frames, self.texts) = (frames, texts);
    }

    fn evaluate(&mut self, frame: &mut Frame, texts: &mut Texts) -> Step<Next> {
        let text = match frame.record {
            Some(record) => texts.text(record),
            None => {
                self.heard.clear();
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
            frame.at = term.start;
            if !term.is_mechanism() {
                continue;
            }
            self.heard.clear();
            if let (Kind::Include, Some(spec)) = (term.kind, term.spec()) {
                let target = self.include(frame, spec);
                self.note_term(frame, text, &target, |target| match target {
                    Some(_) => TermOutcome::Followed,
                    None => TermOutcome::NoMatch,
                });
                let target = target?;
                self.lookups.forget_unasked();
                if let Some(target) = target {
                    frame.next = term.end;
                    return Ok(Next::Include(target));
                }
                frame.counted = false;
                continue;
            }
            let test = self.test(frame, &term);
            self.note_term(frame, text, &test, |test| match test {
                Test::Match => TermOutcome::Match,
                Test::NoMatch => TermOutcome::NoMatch,
                Test::Void => TermOutcome::Void,
            });
            match test? {
                // RFC 7208 §4.6.2: "If it matches, processing ends and the qualifier value is returned as the result of that record."
                Test::Match => {
                    self.authorized_bits = term.address_bits(self.session.ip);
                    return Err(Stop::End(term.qualifier.into(), Why::Matched));
                }
                Test::NoMatch => {}
                Test::Void => self.void_lookups += 1,
            }
            // RFC 7208 §4.6.4: "Exceeding the limit produces a "permerror" result."
            if self.void_lookups > self.config.limits.void_lookups {
                let cause = Cause::TooManyVoidLookups;
                return Err(Stop::end(SpfResult::PermError, cause));
            }
            self.lookups.forget_unasked();
            frame.counted = false;
        }
        frame.at = text.len();
        self.after_terms(frame, text).map(Next::Redirect)
    }

    /// RFC 7208 §5.2: the domain to ask first; none if the term cannot match.
    fn include(&mut self, frame: &mut Frame, spec: Spec<'_>) -> Step<Option<Name>> {
        self.count_term(frame, Some(spec))?;
        match self.target(&frame.domain, Some(spec))? {
            Target::Name(target) if has_labels(&target) => Ok(Some(target)),
            // RFC 8616 §4: "If the local part contains non-ASCII characters, terms that include %{s} or %{l} do not match anything"
            Target::NotAscii => Ok(None),
            // RFC 7208 §5.2: a check_host() with a malformed domain gives none, which makes permerror of an include.
            Target::Name(_) | Target::Malformed => Err(no_domain(&frame.domain, spec)),
        }
    }

    /// RFC 7208 §4.4 and §4.5: the one SPF record of a domain.
    fn record(&mut self, frame: &Frame, texts: &mut Texts) -> Step<Text> {
        let domain = &frame.domain;
        self.hear(domain, RecordType::Txt);
        let lookup = self.lookups.ask(domain, RecordType::Txt);
        settled(lookup)?;
        let ip = (!self.config.trace).then_some(self.session.ip);
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
    fn after_terms(&mut self, frame: &mut Frame, text: &[u8]) -> Step<Name> {
        let Some(spec) = redirect(text) else {
            return Err(Stop::End(SpfResult::Neutral, Why::NoMatch));
        };
        self.heard.clear();
        self.count_term(frame, Some(spec))?;
        // RFC 7208 §6.1: "if no SPF record is found, or if the <target-name> is malformed, the result is a "permerror" rather than
        // "none"."
        let target = match self.target(&frame.domain, Some(spec))? {
            Target::Name(target) if has_labels(&target) => target,
            _ => return Err(no_domain(&frame.domain, spec)),
        };
        let term = || Term::Redirect(spec.to_domain_spec()).to_string();
        self.note(frame.depth, &frame.domain, term, TermOutcome::Followed);
        Ok(target)
    }

    /// RFC 7208 §4.6.4: "SPF implementations MUST limit the total number of those terms to 10 during SPF evaluation, to avoid unreasonable
    /// load on the DNS.  If this limit is exceeded, the implementation MUST return "permerror"." And: "When evaluating the "ptr" mechanism
    /// or the %{p} macro, the number of "PTR" resource records queried is included in the overall limit of 10 mechanisms/modifiers".
    pub(super) fn count_term(&mut self, frame: &mut Frame, spec: Option<Spec<'_>>) -> Step<()> {
        if !core::mem::replace(&mut frame.counted, true) {
            self.terms += 1 + usize::from(spec.is_some_and(|spec| spec.uses(&[Letter::Validated])));
        }
        if self.terms > self.config.limits.terms {
            return Err(Stop::end(SpfResult::PermError, Cause::TooManyTerms));
        }
        Ok(())
    }

    /// The answer to a question of which a failure ends the evaluation.
    pub(super) fn lookup(&mut self, name: &Name, kind: RecordType) -> Step<&Answer> {
        self.hear(name, kind);
        settled(self.lookups.ask(name, kind))
    }

    pub(super) fn ask(&mut self, name: &Name, kind: RecordType) -> Step<&Answer> {
        self.hear(name, kind);
        self.lookups.ask(name, kind).answer().ok_or(Stop::Wait)
    }

    /// Ends the check_host() on top of the stack, and those below as far as that settles them (RFC 7208 §5.2).
    fn end(&mut self, frames: &mut Vec<Frame>, texts: &Texts, mut result: SpfResult, mut why: Why) {
        self.lookups.forget_unasked();
        let mut ended = frames.pop();
        while let Some(parent) = frames.last_mut() {
            let text = parent.record.map(|record| texts.text(record));
            let include = || printed(text.unwrap_or_default(), parent.at);
            let (depth, domain) = (parent.depth, &parent.domain);
            match result {
                SpfResult::Pass => {
                    self.note(depth, domain, include, TermOutcome::Match);
                    let qualifier = parent.term(texts).map(|include| include.qualifier);
                    (result, why) = (qualifier.unwrap_or_default().into(), Why::Matched);
                }
                SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                    self.note(depth, domain, include, TermOutcome::NoMatch);
                    (parent.at, parent.counted) = (parent.next, false);
                    return;
                }
                SpfResult::TempError | SpfResult::PermError => {}
                SpfResult::None => result = SpfResult::PermError,
            }
            ended = frames.pop();
        }
        let cause = match (why, &ended) {
            (Why::Cause(cause), _) => *cause,
            (why, Some(frame)) => frame.cause(texts, &why),
            // Never: whatever ends was a frame.
            (_, None) => Cause::NoDomain,
        };
        // RFC 7208 §6.2: "During recursion into an "include" mechanism, an "exp" modifier from the <target-name> MUST NOT be used." The
        // last frame to end is the one that counts.
        self.stage = match ended {
            Some(frame) if result == SpfResult::Fail && self.config.explain.is_some() => {
                Stage::Explaining(frame, cause)
            }
            _ => Stage::Done(result, cause, None),
        };
    }

    fn explain(&mut self, texts: &Texts) -> Step<Next> {
        if let Stage::Explaining(frame, cause) = &self.stage {
            let (frame, cause) = (frame.clone(), cause.clone());
            let explanation = self.explanation(&frame, texts)?;
            self.stage = Stage::Done(SpfResult::Fail, cause, explanation);
        }
        Ok(Next::Explained)
    }
}

/// Whether a name is more than the root and one label.
fn has_labels(name: &Name) -> bool {
    name.labels().nth(1).is_some()
}

/// The answer to a question of which a failure ends the evaluation.
///
/// RFC 7208 §5: "if the DNS server returns an error (RCODE other than 0 or 3) or the query times out, the mechanism stops and the
/// topmost check_host() returns "temperror"."
fn settled(lookup: &Lookup) -> Step<&Answer> {
    let answer = lookup.answer().ok_or(Stop::Wait)?;
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

    /// Why the record came to its result.
    fn cause(&self, texts: &Texts, why: &Why) -> Cause {
        let domain = self.domain.clone();
        match (why, self.term(texts)) {
            (Why::Matched, Some(term)) => {
                let directive = term.to_directive();
                Cause::Matched { domain, directive }
            }
            _ => Cause::NoMatch { domain },
        }
    }
}
