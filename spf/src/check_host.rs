//! check_host() (RFC 7208 §4) as a machine: a stack of records, no recursion.

mod identity;
mod look_ahead;
mod lookups;
mod mechanisms;

use std::net::IpAddr;
use std::sync::Arc;

use mail_dns::{Answer, Evaluation, Name, Need, Question, Record, RecordType};
use mail_syntax::ReversePath;

use self::identity::Session;
use self::lookups::Lookups;
use self::mechanisms::{Target, Test};
use crate::config::{Config, Limits};
use crate::macros::{DomainSpec, Letter};
use crate::record::{Directive, SpfRecord, Term, is_spf_record};
use crate::verdict::{Cause, Explanation, Identity, SpfResult, TermOutcome, TraceStep, Verdict};

/// Who connects, and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; an IPv4-mapped IPv6 address counts as the IPv4 address (RFC 7208 §5).
    pub ip: IpAddr,
    /// The last HELO or EHLO parameter, as it came.
    pub helo: String,
}

impl Client {
    /// A client at this address with this HELO or EHLO parameter.
    pub fn new(ip: impl Into<IpAddr>, helo: impl Into<String>) -> Self {
        Self {
            ip: ip.into().to_canonical(),
            helo: helo.into(),
        }
    }
}

/// The evaluation of one identity of one client.
///
/// It asks one question at a time, except for the hosts of an `mx`, the names of a `ptr` and those of `%{p}`, which are asked together.
/// With the default limits it asks at most 111 questions, and at most 12 more for an explanation.
#[derive(Clone, Debug)]
pub struct CheckHost {
    session: Session,
    config: Config,
    stage: Stage,
    /// The record that is evaluated on top, below it those whose `include` led there.
    frames: Vec<Frame>,
    lookups: Lookups,
    /// Whether an answer came since the last step.
    fresh: bool,
    terms: usize,
    void_lookups: usize,
    /// Of the last term that matched by itself; an `include` matches by one of those.
    authorized_bits: Option<u8>,
    trace: Vec<TraceStep>,
    /// Of the term that is evaluated: the lookups whose answers it looked at, for the trace.
    heard: Vec<Question>,
}

#[derive(Clone, Debug)]
enum Stage {
    Evaluating,
    /// The result is fail for this cause; the record that says so may explain itself.
    Explaining(Frame, Cause),
    Done(Verdict),
}

/// The evaluation of one domain's record.
#[derive(Clone, Debug)]
struct Frame {
    domain: Name,
    /// An `include` or `redirect` led here, so that no record is an error.
    referred: bool,
    record: Option<Arc<SpfRecord>>,
    /// The term that is evaluated.
    next: usize,
    /// Whether that term was counted against the limit already.
    counted: bool,
}

impl Frame {
    const fn new(domain: Name, referred: bool) -> Self {
        Self {
            domain,
            referred,
            record: None,
            next: 0,
            counted: false,
        }
    }

    fn current(&self) -> Option<&Term> {
        self.record.as_ref()?.terms().get(self.next)
    }
}

/// Why a step came to no value.
enum Stop {
    /// An answer is missing.
    Wait,
    /// The check_host() on top of the stack has this result.
    End(SpfResult, Cause),
}

/// Where the evaluation of a record goes on.
enum Flow {
    /// At the next term.
    On,
    /// In the record of an `include`.
    Into,
}

type Step<T> = Result<T, Stop>;

impl CheckHost {
    /// Checks the MAIL FROM identity: the reverse-path, or for a null one `postmaster@` and the HELO name (RFC 7208 §2.4).
    pub fn mail_from(client: &Client, reverse_path: &ReversePath, config: &Config) -> Self {
        let sender = reverse_path.mailbox().map(ToString::to_string);
        Self::new(
            client,
            Identity::MailFrom,
            &sender.unwrap_or_default(),
            config,
        )
    }

    /// Checks the HELO identity (RFC 7208 §2.3).
    pub fn helo(client: &Client, config: &Config) -> Self {
        Self::new(client, Identity::Helo, "", config)
    }

    /// Checks any text as the sender: a mailbox, or a domain for which the local part is `postmaster` (RFC 7208 §4.3), or nothing for
    /// the HELO name. What is no domain gives `none`.
    pub fn new(client: &Client, identity: Identity, sender: &str, config: &Config) -> Self {
        let session = Session::new(client, identity, sender);
        let domain = session.domain.clone();
        let mut check = Self {
            session,
            config: config.clone(),
            stage: Stage::Evaluating,
            frames: Vec::new(),
            lookups: Lookups::default(),
            fresh: true,
            terms: 0,
            void_lookups: 0,
            authorized_bits: None,
            trace: Vec::new(),
            heard: Vec::new(),
        };
        match domain {
            Some(domain) => check.frames.push(Frame::new(domain, false)),
            None => check.conclude(SpfResult::None, Cause::NoDomain, None),
        }
        check
    }

    /// Evaluates until an answer is missing, or to the end.
    fn run(&mut self) {
        while !matches!(self.stage, Stage::Done(_)) {
            match self.step() {
                Ok(()) => {}
                Err(Stop::Wait) => return,
                Err(Stop::End(result, cause)) => self.end(result, cause),
            }
        }
    }

    fn step(&mut self) -> Step<()> {
        if let Stage::Explaining(frame, cause) = &self.stage {
            let (frame, cause) = (frame.clone(), cause.clone());
            let explanation = self.explanation(&frame)?;
            self.conclude(SpfResult::Fail, cause, explanation);
            return Ok(());
        }
        let Some(frame) = self.frames.last() else {
            // Never: the last frame leaves the stack only in `end`, which concludes.
            self.conclude(SpfResult::None, Cause::NoDomain, None);
            return Ok(());
        };
        let domain = frame.domain.clone();
        let Some(record) = frame.record.clone() else {
            self.heard.clear();
            let record = match self.record(&domain) {
                Err(stop @ Stop::End(..)) => {
                    self.note(self.frames.len(), &domain, "record", TermOutcome::Ended);
                    return Err(stop);
                }
                record => record?,
            };
            self.note(self.frames.len(), &domain, "record", TermOutcome::Read);
            if let Some(frame) = self.frames.last_mut() {
                frame.record = Some(record);
            }
            return Ok(());
        };
        let next = frame.next;
        for term in record.terms().get(next..).unwrap_or_default() {
            match term {
                Term::Directive(directive) => {
                    if let Flow::Into = self.directive(&domain, directive)? {
                        return Ok(());
                    }
                }
                _ => self.next_term(0),
            }
        }
        self.after_terms(domain, &record)
    }

    /// RFC 7208 §4.4 and §4.5: the one SPF record of a domain.
    fn record(&mut self, domain: &Name) -> Step<Arc<SpfRecord>> {
        let answer = self.lookup(domain, RecordType::Txt)?;
        let known = self.lookups.find(domain, RecordType::Txt);
        if let Some(record) = known.and_then(|lookup| lookup.record.clone()) {
            return Ok(record);
        }
        let referred = self.frames.last().is_some_and(|frame| frame.referred);
        read_record(&answer, domain, &self.config.limits)
            .map(Arc::new)
            .map_err(|cause| match cause {
                Cause::NoSuchDomain { domain } | Cause::NoRecord { domain } if referred => {
                    let cause = Cause::TargetWithoutRecord { target: domain };
                    Stop::End(SpfResult::PermError, cause)
                }
                Cause::NoSuchDomain { .. } | Cause::NoRecord { .. } => {
                    Stop::End(SpfResult::None, cause)
                }
                cause => Stop::End(SpfResult::PermError, cause),
            })
    }

    fn directive(&mut self, domain: &Name, directive: &Directive) -> Step<Flow> {
        self.heard.clear();
        let test = match self.test(domain, &directive.mechanism) {
            Err(stop @ Stop::End(..)) => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Ended);
                return Err(stop);
            }
            test => test?,
        };
        match test {
            // RFC 7208 §4.6.2: "If it matches, processing ends and the qualifier value is returned as the result of that record."
            Test::Match => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Match);
                self.authorized_bits = directive.mechanism.address_bits(self.session.ip);
                let (domain, directive) = (domain.clone(), directive.clone());
                let result = directive.qualifier.into();
                Err(Stop::End(result, Cause::Matched { domain, directive }))
            }
            Test::NoMatch => {
                self.note(self.frames.len(), domain, directive, TermOutcome::NoMatch);
                self.next_term(0);
                Ok(Flow::On)
            }
            Test::Void => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Void);
                self.next_term(1);
                // RFC 7208 §4.6.4: "Exceeding the limit produces a "permerror" result."
                if self.void_lookups > self.config.limits.void_lookups {
                    return Err(Stop::End(SpfResult::PermError, Cause::TooManyVoidLookups));
                }
                Ok(Flow::On)
            }
            Test::Include(target) => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Followed);
                self.lookups.forget_unasked();
                self.frames.push(Frame::new(target, true));
                Ok(Flow::Into)
            }
        }
    }

    /// RFC 7208 §6.1: `redirect`, or the default of §4.7.
    fn after_terms(&mut self, domain: Name, record: &SpfRecord) -> Step<()> {
        let Some(spec) = record.redirect() else {
            return Err(Stop::End(SpfResult::Neutral, Cause::NoMatch { domain }));
        };
        self.heard.clear();
        self.count_term(Some(spec))?;
        // RFC 7208 §6.1: "if no SPF record is found, or if the <target-name> is malformed, the result is a "permerror" rather than
        // "none"."
        let Target::Name(target) = self.target(&domain, Some(spec))? else {
            return Err(no_domain(domain, spec));
        };
        if target.label_count() < 2 {
            return Err(no_domain(domain, spec));
        }
        self.note(
            self.frames.len(),
            &domain,
            format_args!("redirect={spec}"),
            TermOutcome::Followed,
        );
        if let Some(frame) = self.frames.last_mut() {
            *frame = Frame::new(target, true);
        }
        Ok(())
    }

    /// RFC 7208 §4.6.4: "SPF implementations MUST limit the total number of those terms to 10 during SPF evaluation, to avoid unreasonable
    /// load on the DNS.  If this limit is exceeded, the implementation MUST return "permerror"." And: "When evaluating the "ptr" mechanism
    /// or the %{p} macro, the number of "PTR" resource records queried is included in the overall limit of 10 mechanisms/modifiers".
    fn count_term(&mut self, spec: Option<&DomainSpec>) -> Step<()> {
        if let Some(frame) = self.frames.last_mut()
            && !core::mem::replace(&mut frame.counted, true)
        {
            self.terms += 1 + usize::from(spec.is_some_and(|spec| spec.uses(&[Letter::Validated])));
        }
        if self.terms > self.config.limits.terms {
            return Err(Stop::End(SpfResult::PermError, Cause::TooManyTerms));
        }
        Ok(())
    }

    fn next_term(&mut self, void: usize) {
        self.lookups.forget_unasked();
        self.void_lookups += void;
        if let Some(frame) = self.frames.last_mut() {
            frame.next += 1;
            frame.counted = false;
        }
    }

    /// The answer to a question of which a failure ends the evaluation.
    ///
    /// RFC 7208 §5: "if the DNS server returns an error (RCODE other than 0 or 3) or the query times out, the mechanism stops and the
    /// topmost check_host() returns "temperror"."
    fn lookup(&mut self, name: &Name, kind: RecordType) -> Step<Answer> {
        let answer = self.ask(name, kind)?;
        if let Err(failure) = answer.outcome() {
            let question = Question::new(name.clone(), kind);
            return Err(Stop::End(
                SpfResult::TempError,
                Cause::LookupFailed { question, failure },
            ));
        }
        Ok(answer)
    }

    fn ask(&mut self, name: &Name, kind: RecordType) -> Step<Answer> {
        self.hear(name, kind);
        match self.lookups.find(name, kind) {
            Some(lookup) => lookup.answer().cloned().ok_or(Stop::Wait),
            None => {
                self.lookups.add(name, kind, false);
                Err(Stop::Wait)
            }
        }
    }

    /// Ends the check_host() on top of the stack, and those below as far as that settles them (RFC 7208 §5.2).
    fn end(&mut self, mut result: SpfResult, mut cause: Cause) {
        self.lookups.forget_unasked();
        let mut ended = self.frames.pop();
        while let Some(parent) = self.frames.last() {
            let (depth, domain) = (self.frames.len(), parent.domain.clone());
            let Some(Term::Directive(directive)) = parent.current().cloned() else {
                break;
            };
            match result {
                SpfResult::Pass => {
                    self.note(depth, &domain, &directive, TermOutcome::Match);
                    result = directive.qualifier.into();
                    cause = Cause::Matched { domain, directive };
                }
                SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                    self.note(depth, &domain, &directive, TermOutcome::NoMatch);
                    self.next_term(0);
                    return;
                }
                SpfResult::TempError | SpfResult::PermError => {}
                SpfResult::None => result = SpfResult::PermError,
            }
            ended = self.frames.pop();
        }
        // RFC 7208 §6.2: "During recursion into an "include" mechanism, an "exp" modifier from the <target-name> MUST NOT be used." The
        // last frame to end is the one that counts.
        match ended {
            Some(frame) if result == SpfResult::Fail => {
                self.stage = Stage::Explaining(frame, cause);
            }
            _ => self.conclude(result, cause, None),
        }
    }

    fn conclude(&mut self, result: SpfResult, cause: Cause, explanation: Option<Explanation>) {
        self.stage = Stage::Done(Verdict {
            result,
            identity: self.session.identity,
            sender: self.session.sender.clone(),
            domain: self.session.domain.clone(),
            cause,
            authorized_bits: self.authorized_bits.filter(|_| result == SpfResult::Pass),
            explanation,
            terms: self.terms,
            void_lookups: self.void_lookups,
            trace: core::mem::take(&mut self.trace),
        });
    }

    fn note(&mut self, depth: usize, domain: &Name, term: impl ToString, outcome: TermOutcome) {
        if self.config.trace {
            let (depth, domain, term) = (depth.saturating_sub(1), domain.clone(), term.to_string());
            let answered = |question: Question| {
                let answer = self.lookups.answer_to(&question.name, question.kind)?;
                Some((question, answer.clone()))
            };
            let lookups = self.heard.drain(..).filter_map(answered).collect();
            self.trace.push(TraceStep {
                depth,
                domain,
                term,
                outcome,
                lookups,
                terms: self.terms,
                void_lookups: self.void_lookups + usize::from(outcome == TermOutcome::Void),
            });
        }
    }

    /// Remembers for the trace what a term asks.
    fn hear(&mut self, name: &Name, kind: RecordType) {
        if self.config.trace {
            let question = Question::new(name.clone(), kind);
            if !self.heard.contains(&question) {
                self.heard.push(question);
            }
        }
    }
}

impl Evaluation for CheckHost {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if core::mem::take(&mut self.fresh) {
            self.run();
            if self.config.look_ahead {
                self.look_ahead();
            }
        }
        if let Stage::Done(verdict) = &self.stage {
            return Need::Done(verdict.clone());
        }
        self.lookups.next_unasked().map_or(Need::Wait, Need::Lookup)
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        self.fresh |= self.lookups.answer(question, answer);
    }
}

/// RFC 7208 §4.5: the one SPF record in the answer for this domain.
fn read_record(answer: &Answer, domain: &Name, limits: &Limits) -> Result<SpfRecord, Cause> {
    let texts = answer.records().iter().filter_map(|record| match record {
        Record::Txt(text) => Some(text.joined()),
        _ => None,
    });
    // RFC 7208 §4.5: "discard records that do not begin with a version section of exactly "v=spf1"."
    let mut records = texts.filter(|text| is_spf_record(text));
    let (record, second) = (records.next(), records.next());
    let domain = || domain.clone();
    match (record, second) {
        (Some(record), None) => SpfRecord::parse(&record, limits).map_err(|error| Cause::Syntax {
            domain: domain(),
            error,
        }),
        // RFC 7208 §4.5: "If the resultant record set includes more than one record, check_host() produces the "permerror" result."
        (Some(_), Some(_)) => Err(Cause::SeveralRecords { domain: domain() }),
        (None, _) => Err(match answer.data {
            mail_dns::Data::NxDomain => Cause::NoSuchDomain { domain: domain() },
            _ => Cause::NoRecord { domain: domain() },
        }),
    }
}

fn no_domain(domain: Name, target: &DomainSpec) -> Stop {
    let target = target.clone();
    Stop::End(
        SpfResult::PermError,
        Cause::TargetNoDomain { domain, target },
    )
}

#[cfg(test)]
mod tests {
    use mail_dns::{Failure, Zone, resolve_blocking};

    use super::*;
    use crate::Explain;

    fn evaluate(zone: &Zone, sender: &str, config: &Config) -> (Verdict, Vec<Question>) {
        let client = Client::new([192, 0, 2, 1], "helo.example.org");
        let mut asked = Vec::new();
        let check = CheckHost::new(&client, Identity::MailFrom, sender, config);
        let verdict = resolve_blocking(check, |question| {
            asked.push(question.clone());
            zone.answer(question)
        });
        (verdict, asked)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_no_domain_is_none_without_a_question() {
        let long = "a.".repeat(200);
        for sender in [
            "joe@localhost",
            "joe@a..example.com",
            "joe@.example.com",
            "joe@[192.0.2.1]",
            "joe@[IPv6:2001:db8::1]",
            "joe@two words.example.com",
            "joe@a\r\nb.example.com",
            "joe@",
            "@",
            ".",
            long.as_str(),
            &format!("joe@{}.example.com", "a".repeat(64)),
            &format!("{}@example.com", "a".repeat(257)),
        ] {
            let (verdict, asked) = evaluate(&Zone::new(), sender, &Config::default());
            assert_eq!(
                (verdict.result, verdict.domain, asked.len()),
                (SpfResult::None, None, 0),
                "{sender}"
            );
            assert_eq!(verdict.cause, Cause::NoDomain);
        }
    }

    #[test]
    fn the_identity_and_its_domain() {
        let zone = Zone::new()
            .txt("example.com", "v=spf1 exists:%{l}.local.example.com -all")
            .txt(
                "helo.example.org",
                "v=spf1 exists:%{l}.local.example.com -all",
            )
            .a("postmaster.local.example.com", [127, 0, 0, 2]);
        let client = Client::new([192, 0, 2, 1], "helo.example.org");
        let mailbox = Client::new([192, 0, 2, 1], "postmaster@helo.example.org");
        let run = |check: CheckHost| resolve_blocking(check, |question| zone.answer(question));
        let config = Config::default();

        let null = run(CheckHost::mail_from(&client, &ReversePath::Null, &config));
        assert_eq!(
            (null.result, null.identity),
            (SpfResult::Pass, Identity::MailFrom)
        );
        assert_eq!(null.sender, "postmaster@helo.example.org");
        assert_eq!(null.authenticated_mail_from().unwrap(), "helo.example.org");

        let helo = run(CheckHost::helo(&client, &config));
        assert_eq!(
            (helo.result, helo.identity),
            (SpfResult::Pass, Identity::Helo)
        );
        assert_eq!(helo.domain, Some(name("helo.example.org")));
        assert_eq!(helo.authenticated_mail_from(), None);

        // A HELO parameter that looks like a mailbox names no domain.
        for check in [
            CheckHost::helo(&mailbox, &config),
            CheckHost::mail_from(&mailbox, &ReversePath::Null, &config),
        ] {
            assert_eq!(run(check).cause, Cause::NoDomain);
        }

        let joe = run(CheckHost::mail_from(
            &client,
            &"<joe@example.com>".parse().unwrap(),
            &config,
        ));
        assert_eq!(
            (joe.result, joe.domain.clone()),
            (SpfResult::Fail, Some(name("example.com")))
        );
        assert_eq!(joe.authenticated_mail_from(), None);
    }

    #[test]
    fn causes() {
        let zone = Zone::new()
            .exists("empty.example.com")
            .txt("neutral.example.com", "v=spf1 a:neutral.example.com")
            .a("neutral.example.com", [192, 0, 2, 9])
            .txt("two.example.com", "v=spf1 -all")
            .txt("two.example.com", "v=spf1 +all")
            .txt("late.example.com", "v=spf1 +all moo")
            .txt(
                "follows.example.com",
                "v=spf1 include:empty.example.com +all",
            )
            .txt("label.example.com", "v=spf1 include:%{d1} +all")
            .txt("odd.example.com", "v=spf1 redirect=..%{d}")
            .txt("down.example.com", "v=spf1 mx -all")
            .fail_type("down.example.com", RecordType::Mx, Failure::Refused);
        for (domain, result, cause) in [
            (
                "gone.example.com",
                SpfResult::None,
                "gone.example.com does not exist",
            ),
            (
                "empty.example.com",
                SpfResult::None,
                "empty.example.com has no SPF record",
            ),
            (
                "neutral.example.com",
                SpfResult::Neutral,
                "no term of neutral.example.com matches",
            ),
            (
                "two.example.com",
                SpfResult::PermError,
                "two.example.com has more than one SPF record",
            ),
            (
                "late.example.com",
                SpfResult::PermError,
                "late.example.com: unknown mechanism at octet 12 of the SPF record",
            ),
            (
                "follows.example.com",
                SpfResult::PermError,
                "empty.example.com is referred to and has no SPF record",
            ),
            (
                "label.example.com",
                SpfResult::PermError,
                "label.example.com refers to %{d1}, which gives no domain",
            ),
            (
                "odd.example.com",
                SpfResult::PermError,
                "odd.example.com refers to ..%{d}, which gives no domain",
            ),
            (
                "down.example.com",
                SpfResult::TempError,
                "down.example.com MX: refused",
            ),
        ] {
            let (verdict, _) = evaluate(&zone, domain, &Config::default());
            assert_eq!(
                (verdict.result, verdict.cause.to_string().as_str()),
                (result, cause)
            );
        }
    }

    #[test]
    fn a_record_that_is_too_long() {
        let record = format!("v=spf1 {} +all", "ip4:192.0.2.0/24 ".repeat(200));
        let zone = Zone::new().txt("example.com", &record);
        let (verdict, _) = evaluate(&zone, "example.com", &Config::default());
        assert_eq!(verdict.result, SpfResult::PermError);
        let limits = Limits {
            record: 4000,
            ..Limits::default()
        };
        let (verdict, _) = evaluate(
            &zone,
            "example.com",
            &Config {
                limits,
                ..Config::default()
            },
        );
        assert_eq!(verdict.result, SpfResult::Pass);
    }

    #[test]
    fn explanations() {
        let explain = Some(Explain {
            receiver: "mx.example.org".to_owned(),
            now: 1234,
        });
        let config = Config {
            explain,
            ..Config::default()
        };
        let zone = |record: &str| {
            Zone::new()
                .txt("example.com", record)
                .txt("r.example.com", "v=spf1 -all exp=why.%{d}")
                .txt("why.r.example.com", "redirected from %{o} to %{d}")
                .txt("good.example.com", "%{c} at %{t}: ask %{r}")
                .txt("two.example.com", "one")
                .txt("two.example.com", "another")
                .txt("broken.example.com", "100% bad")
                .txt("line.example.com", "a\r\n250 ok")
                .txt("accent.example.com", "\u{e9}")
                .txt("long.example.com", &"%{s}".repeat(40))
                .fail("down.example.com", Failure::ServFail)
        };
        for (record, expected) in [
            (
                "v=spf1 -all exp=good.example.com",
                Some("192.0.2.1 at 1234: ask mx.example.org"),
            ),
            ("v=spf1 -all", None),
            ("v=spf1 -all exp=two.example.com", None),
            ("v=spf1 -all exp=broken.example.com", None),
            ("v=spf1 -all exp=line.example.com", None),
            ("v=spf1 -all exp=accent.example.com", None),
            ("v=spf1 -all exp=long.example.com", None),
            ("v=spf1 -all exp=down.example.com", None),
            ("v=spf1 -all exp=gone.example.com", None),
            ("v=spf1 -all exp=..%{d}", None),
            ("v=spf1 ~all exp=good.example.com", None),
            // RFC 7208 §6.2: that of an include is never used, that of a redirect alone.
            (
                "v=spf1 include:r.example.com -all exp=good.example.com",
                Some("192.0.2.1 at 1234: ask mx.example.org"),
            ),
            ("v=spf1 include:r.example.com -all", None),
            (
                "v=spf1 redirect=r.example.com exp=good.example.com",
                Some("redirected from example.com to r.example.com"),
            ),
        ] {
            let (verdict, _) = evaluate(&zone(record), "joe@example.com", &config);
            let explanation = verdict.explanation.as_ref().map(Explanation::as_str);
            assert_eq!(explanation, expected, "{record}");
            let (without, asked) = evaluate(&zone(record), "joe@example.com", &Config::default());
            assert_eq!(
                (without.result, without.explanation),
                (verdict.result, None)
            );
            assert!(
                !asked
                    .iter()
                    .any(|question| question.name == name("good.example.com"))
            );
        }
    }

    #[test]
    fn the_trace() {
        let zone = Zone::new()
            .txt(
                "example.com",
                "v=spf1 a include:i.example.com redirect=r.example.com",
            )
            .txt("i.example.com", "v=spf1 ip4:203.0.113.0/24 -all")
            .txt("r.example.com", "v=spf1 ~all");
        let (verdict, _) = evaluate(
            &zone,
            "example.com",
            &Config {
                trace: true,
                ..Config::default()
            },
        );
        let text: Vec<String> = verdict.trace.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "example.com record: read",
                "  example.com TXT: \"v=spf1 a include:i.example.com redirect=r.example.com\"",
                "example.com a: no match, nothing found",
                "  example.com A: no data",
                "example.com include:i.example.com: followed",
                "  i.example.com record: read",
                "    i.example.com TXT: \"v=spf1 ip4:203.0.113.0/24 -all\"",
                "  i.example.com ip4:203.0.113.0/24: no match",
                "  i.example.com -all: match",
                "example.com include:i.example.com: no match",
                "example.com redirect=r.example.com: followed",
                "r.example.com record: read",
                "  r.example.com TXT: \"v=spf1 ~all\"",
                "r.example.com ~all: match",
            ]
        );
        let counts: Vec<_> = verdict
            .trace
            .iter()
            .map(|step| (step.terms, step.void_lookups))
            .collect();
        assert_eq!(counts[..3], [(0, 0), (1, 1), (2, 1)]);
        // An error is the last step, with the lookup that it comes of.
        let zone = zone.fail_type("example.com", RecordType::A, Failure::Timeout);
        let config = Config {
            trace: true,
            ..Config::default()
        };
        let last = evaluate(&zone, "example.com", &config)
            .0
            .trace
            .pop()
            .unwrap();
        assert_eq!(
            (last.term.as_str(), last.outcome),
            ("a", TermOutcome::Ended)
        );
        assert_eq!(last.lookups[0].1, Answer::failed(Failure::Timeout));
        // Without it nothing is kept.
        assert!(
            evaluate(&zone, "example.com", &Config::default())
                .0
                .trace
                .is_empty()
        );
        assert_eq!((verdict.terms, verdict.void_lookups), (3, 1));
    }

    #[test]
    fn how_much_a_pass_lets_pass() {
        for (record, bits) in [
            ("v=spf1 ip4:192.0.2.0/24 -all", Some(8)),
            ("v=spf1 a -all", Some(0)),
            ("v=spf1 a/20//64 -all", Some(12)),
            ("v=spf1 include:i.example.com -all", Some(24)),
            ("v=spf1 -include:none.example.com all", Some(32)),
            ("v=spf1 exists:example.com -all", None),
            ("v=spf1 ~all", None),
        ] {
            let zone = Zone::new()
                .txt("example.com", record)
                .a("example.com", [192, 0, 2, 1])
                .txt("i.example.com", "v=spf1 ip4:192.0.0.0/8 -all")
                .txt("none.example.com", "v=spf1 -all");
            let (verdict, _) = evaluate(&zone, "example.com", &Config::default());
            assert_eq!(verdict.authorized_bits, bits, "{record}");
        }
    }

    #[test]
    fn networks() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (client, network, v4, v6, expected) in [
            ("192.0.2.1", "192.0.2.1", 32, 128, true),
            ("192.0.2.1", "192.0.2.0", 32, 128, false),
            ("192.0.2.1", "192.0.2.0", 31, 128, true),
            ("192.0.2.1", "10.0.0.0", 0, 128, true),
            ("2001:db8::1", "2001:db8::", 32, 127, true),
            ("2001:db8::1", "2001:db8::", 32, 128, false),
            ("2001:db8::1", "::", 32, 0, true),
            ("2001:db8::1", "0.0.0.0", 0, 0, false),
            ("192.0.2.1", "::ffff:192.0.2.1", 0, 0, false),
        ] {
            assert_eq!(
                mechanisms::same_network(ip(client), ip(network), v4, v6),
                expected,
                "{client} {network}"
            );
        }
    }
}
