//! check_host() (RFC 7208 §4) as a machine: a stack of records, no recursion.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use mail_dns::{Answer, Evaluation, Name, Need, Question, Record, RecordType};
use mail_syntax::ReversePath;

use crate::config::{Config, Explain};
use crate::macros::{Context, DomainSpec, ExplainString, Letter};
use crate::record::{Directive, DualPrefix, Mechanism, SpfRecord, Term, is_spf_record};
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

/// Octets of a HELO parameter or sender domain (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Octets of a local part, far above the 64 of RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_PART: usize = 256;

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
    /// What was asked, and the answers so far.
    answers: BTreeMap<Question, Option<Answer>>,
    /// Of these the ones that nobody has carried away yet.
    unasked: VecDeque<Question>,
    /// Whether an answer came since the last step.
    fresh: bool,
    terms: usize,
    void_lookups: usize,
    trace: Vec<TraceStep>,
}

#[derive(Clone, Debug)]
enum Stage {
    Evaluating,
    /// The result is fail for this cause; the record that says so may explain itself.
    Explaining(Frame, Cause),
    Done(Verdict),
}

#[derive(Clone, Debug)]
struct Session {
    identity: Identity,
    sender: String,
    ip: IpAddr,
    helo: Vec<u8>,
    local_part: Vec<u8>,
    /// The domain of the identity, if it has one.
    domain: Option<Name>,
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

type Step<T> = Result<T, Stop>;

/// What a mechanism comes to.
enum Test {
    Match,
    NoMatch,
    /// No match, because its own lookup found nothing (RFC 7208 §4.6.4).
    Void,
    /// Ask this domain first.
    Include(Name),
}

/// What a domain-spec comes to.
enum Target {
    Name(Name),
    /// No name comes of it.
    Malformed,
    /// It needs a local part that is not ASCII.
    NotAscii,
}

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
        let sender = if sender.is_empty() {
            client.helo.as_str()
        } else {
            sender
        };
        let (local_part, domain) = sender.rsplit_once('@').unwrap_or(("", sender));
        // RFC 7208 §4.3: "If the <sender> has no local-part, substitute the string "postmaster" for the local-part."
        let local_part = if local_part.is_empty() {
            "postmaster"
        } else {
            local_part
        };
        let helo = if client.helo.len() <= MAX_DOMAIN {
            client.helo.as_str()
        } else {
            "unknown"
        };
        let sender = format!("{local_part}@{domain}");
        let domain = domain_of(domain).filter(|_| local_part.len() <= MAX_LOCAL_PART);
        let mut check = Self {
            session: Session {
                identity,
                sender,
                ip: client.ip.to_canonical(),
                helo: helo.into(),
                local_part: local_part.into(),
                domain: domain.clone(),
            },
            config: config.clone(),
            stage: Stage::Evaluating,
            frames: Vec::new(),
            answers: BTreeMap::new(),
            unasked: VecDeque::new(),
            fresh: true,
            terms: 0,
            void_lookups: 0,
            trace: Vec::new(),
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
            let record = Arc::new(self.record(&domain)?);
            if let Some(frame) = self.frames.last_mut() {
                frame.record = Some(record);
            }
            return Ok(());
        };
        match record.terms().get(frame.next) {
            Some(Term::Directive(directive)) => self.directive(&domain, directive),
            Some(_) => {
                self.next_term(0);
                Ok(())
            }
            None => self.after_terms(domain, &record),
        }
    }

    /// RFC 7208 §4.4 and §4.5: the one SPF record of a domain.
    fn record(&mut self, domain: &Name) -> Step<SpfRecord> {
        let answer = self.lookup(domain, RecordType::Txt)?;
        let texts = answer.records().iter().filter_map(|record| match record {
            Record::Txt(text) => Some(text.joined()),
            _ => None,
        });
        // RFC 7208 §4.5: "discard records that do not begin with a version section of exactly "v=spf1"."
        let mut records = texts.filter(|text| is_spf_record(text));
        let (record, second) = (records.next(), records.next());
        let domain = domain.clone();
        let Some(record) = record else {
            if self.frames.last().is_some_and(|frame| frame.referred) {
                let cause = Cause::TargetWithoutRecord { target: domain };
                return Err(Stop::End(SpfResult::PermError, cause));
            }
            return Err(Stop::End(
                SpfResult::None,
                match answer.data {
                    mail_dns::Data::NxDomain => Cause::NoSuchDomain { domain },
                    _ => Cause::NoRecord { domain },
                },
            ));
        };
        // RFC 7208 §4.5: "If the resultant record set includes more than one record, check_host() produces the "permerror" result."
        if second.is_some() {
            return Err(Stop::End(
                SpfResult::PermError,
                Cause::SeveralRecords { domain },
            ));
        }
        SpfRecord::parse(&record, &self.config.limits)
            .map_err(|error| Stop::End(SpfResult::PermError, Cause::Syntax { domain, error }))
    }

    fn directive(&mut self, domain: &Name, directive: &Directive) -> Step<()> {
        match self.test(domain, &directive.mechanism)? {
            // RFC 7208 §4.6.2: "If it matches, processing ends and the qualifier value is returned as the result of that record."
            Test::Match => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Match);
                let (domain, directive) = (domain.clone(), directive.clone());
                let result = directive.qualifier.into();
                Err(Stop::End(result, Cause::Matched { domain, directive }))
            }
            Test::NoMatch => {
                self.note(self.frames.len(), domain, directive, TermOutcome::NoMatch);
                self.next_term(0);
                Ok(())
            }
            Test::Void => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Void);
                self.next_term(1);
                // RFC 7208 §4.6.4: "Exceeding the limit produces a "permerror" result."
                if self.void_lookups > self.config.limits.void_lookups {
                    return Err(Stop::End(SpfResult::PermError, Cause::TooManyVoidLookups));
                }
                Ok(())
            }
            Test::Include(target) => {
                self.note(self.frames.len(), domain, directive, TermOutcome::Followed);
                self.frames.push(Frame::new(target, true));
                Ok(())
            }
        }
    }

    /// RFC 7208 §6.1: `redirect`, or the default of §4.7.
    fn after_terms(&mut self, domain: Name, record: &SpfRecord) -> Step<()> {
        let Some(spec) = record.redirect() else {
            return Err(Stop::End(SpfResult::Neutral, Cause::NoMatch { domain }));
        };
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

    fn test(&mut self, domain: &Name, mechanism: &Mechanism) -> Step<Test> {
        let spec = match mechanism {
            Mechanism::All => return Ok(Test::Match),
            Mechanism::Ip4 { network, prefix } => {
                return Ok(of(same_network(
                    self.session.ip,
                    (*network).into(),
                    *prefix,
                    0,
                )));
            }
            Mechanism::Ip6 { network, prefix } => {
                return Ok(of(same_network(
                    self.session.ip,
                    (*network).into(),
                    0,
                    *prefix,
                )));
            }
            Mechanism::Include(spec) | Mechanism::Exists(spec) => Some(spec),
            Mechanism::Ptr(spec) => spec.as_ref(),
            Mechanism::A { domain, .. } | Mechanism::Mx { domain, .. } => domain.as_ref(),
        };
        self.count_term(spec)?;
        let target = match (self.target(domain, spec)?, mechanism) {
            (Target::Name(target), Mechanism::Include(spec)) if target.label_count() < 2 => {
                return Err(no_domain(domain.clone(), spec));
            }
            (Target::Name(target), _) => target,
            // RFC 7208 §5.2: a check_host() with a malformed domain gives none, which makes permerror of an include.
            (Target::Malformed, Mechanism::Include(spec)) => {
                return Err(no_domain(domain.clone(), spec));
            }
            // RFC 7208 §4.8: "Some implementations choose to treat such errors as not-match and therefore ignore such names". The sender
            // chooses what `%{l}` expands to, so the publisher's record is not to blame.
            (Target::Malformed, _) => return Ok(Test::NoMatch),
            // RFC 8616 §4: "If the local part contains non-ASCII characters, terms that include %{s} or %{l} do not match anything"
            (Target::NotAscii, _) => return Ok(Test::NoMatch),
        };
        match mechanism {
            Mechanism::Include(_) => Ok(Test::Include(target)),
            Mechanism::Exists(_) => {
                // RFC 7208 §5.7: "The resulting domain name is used for a DNS A RR lookup (even when the connection type is IPv6)."
                let answer = self.lookup(&target, RecordType::A)?;
                let found = answer
                    .records()
                    .iter()
                    .any(|record| matches!(record, Record::A(_)));
                Ok(if found { Test::Match } else { Test::Void })
            }
            Mechanism::Mx { prefix, .. } => self.mx(&target, *prefix),
            Mechanism::Ptr(_) => self.ptr(&target),
            Mechanism::A { prefix, .. } => {
                let answer = self.lookup(&target, self.address_type())?;
                Ok(if answer.is_void() {
                    Test::Void
                } else {
                    of(self.has_client(&answer, *prefix))
                })
            }
            Mechanism::All | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => Ok(Test::NoMatch),
        }
    }

    /// RFC 7208 §5.4.
    fn mx(&mut self, target: &Name, prefix: DualPrefix) -> Step<Test> {
        let answer = self.lookup(target, RecordType::Mx)?;
        if answer.is_void() {
            return Ok(Test::Void);
        }
        let mut exchanges = Vec::new();
        for record in answer.records() {
            if let Record::Mx { exchange, .. } = record
                && !exchange.is_root()
            {
                // RFC 7208 §4.6.4: "the evaluation of each "MX" record MUST NOT result in querying more than 10 address records -- either
                // "A" or "AAAA" resource records.  If this limit is exceeded, the "mx" mechanism MUST produce a "permerror" result."
                if exchanges.len() == self.config.limits.mx_names {
                    let cause = Cause::TooManyExchanges {
                        domain: target.clone(),
                    };
                    return Err(Stop::End(SpfResult::PermError, cause));
                }
                exchanges.push(exchange.clone());
            }
        }
        let questions = self.ask_together(&exchanges);
        // RFC 7208 §5.4: "If any address matches, the mechanism matches." Then no other answer counts, so their order does not either.
        let answers = || {
            questions.iter().map(|question| {
                (
                    question,
                    self.answers.get(question).and_then(Option::as_ref),
                )
            })
        };
        if answers().any(|(_, answer)| answer.is_some_and(|answer| self.has_client(answer, prefix)))
        {
            return Ok(Test::Match);
        }
        if answers().any(|(_, answer)| answer.is_none()) {
            return Err(Stop::Wait);
        }
        for (question, answer) in answers() {
            if let Some(Err(failure)) = answer.map(Answer::outcome) {
                let question = question.clone();
                return Err(Stop::End(
                    SpfResult::TempError,
                    Cause::LookupFailed { question, failure },
                ));
            }
        }
        Ok(Test::NoMatch)
    }

    /// RFC 7208 §5.5.
    fn ptr(&mut self, target: &Name) -> Step<Test> {
        let Some(answer) = self.client_names()? else {
            // RFC 7208 §5.5: "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails to match."
            return Ok(Test::NoMatch);
        };
        if answer.is_empty() {
            return Ok(Test::Void);
        }
        // Only these can match, so only these need to be validated. (The last list of §5.5 has it the other way round; its own example
        // and the sentence before say what is meant.)
        let names: Vec<Name> = answer
            .into_iter()
            .filter(|name| name.is_subdomain_of(target))
            .collect();
        let validated = self.validate(&names);
        if validated.contains(&Some(true)) {
            return Ok(Test::Match);
        }
        if validated.contains(&None) {
            Err(Stop::Wait)
        } else {
            Ok(Test::NoMatch)
        }
    }

    /// The names of the client's address, the first of them within the limit; none where the lookup failed.
    fn client_names(&mut self) -> Step<Option<Vec<Name>>> {
        let question = Question::new(Name::reverse(self.session.ip), RecordType::Ptr);
        let answer = self.ask(question)?;
        let Ok(records) = answer.outcome() else {
            return Ok(None);
        };
        // RFC 7208 §4.6.4: "If this limit is exceeded, all records other than the first 10 MUST be ignored."
        let first = records.iter().take(self.config.limits.ptr_names);
        let mut names = Vec::new();
        for record in first {
            if let Record::Ptr(name) = record
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        Ok(Some(names))
    }

    /// Whether each name leads back to the client; none where the answer is still missing.
    ///
    /// RFC 7208 §5.5: "If a DNS error occurs while doing an A RR lookup, then that domain name is skipped and the search continues."
    fn validate(&mut self, names: &[Name]) -> Vec<Option<bool>> {
        let questions = self.ask_together(names);
        let whole = DualPrefix { v4: 32, v6: 128 };
        let answers = questions
            .iter()
            .map(|question| self.answers.get(question).and_then(Option::as_ref));
        answers
            .map(|answer| answer.map(|answer| self.has_client(answer, whole)))
            .collect()
    }

    /// The value of `%{p}` (RFC 7208 §7.3).
    fn validated_name(&mut self, domain: &Name) -> Step<Vec<u8>> {
        let names = self.client_names()?.unwrap_or_default();
        let names: Vec<Name> = names.into_iter().filter(|name| !name.is_root()).collect();
        let validated = self.validate(&names);
        if validated.contains(&None) {
            return Err(Stop::Wait);
        }
        let validated = || {
            names
                .iter()
                .zip(&validated)
                .filter(|(_, valid)| **valid == Some(true))
                .map(|(name, _)| name)
        };
        // RFC 7208 §7.3: "If the <domain> is present in the list of validated domains, it SHOULD be used.  Otherwise, if a subdomain of
        // the <domain> is present, it SHOULD be used.  Otherwise, any name from the list can be used."
        let name = validated()
            .find(|name| *name == domain)
            .or_else(|| validated().find(|name| name.is_subdomain_of(domain)))
            .or_else(|| validated().next());
        // RFC 7208 §7.3: "If there are no validated domain names or if a DNS error occurs, the string "unknown" is used."
        Ok(name.map_or_else(|| b"unknown".to_vec(), Name::to_dotted))
    }

    /// RFC 7208 §6.2: the explanation of a record, or none for whatever reason: "proceed as if no "exp" modifier was given."
    fn explanation(&mut self, frame: &Frame) -> Step<Option<Explanation>> {
        let (Some(record), Some(explain)) = (&frame.record, self.config.explain.clone()) else {
            return Ok(None);
        };
        let Some(spec) = record.explanation() else {
            return Ok(None);
        };
        let Target::Name(target) = self.target(&frame.domain, Some(spec))? else {
            return Ok(None);
        };
        let answer = self.ask(Question::new(target, RecordType::Txt))?;
        let [Record::Txt(text)] = answer.records() else {
            return Ok(None);
        };
        let text = text.joined();
        let parsed = core::str::from_utf8(&text)
            .ok()
            .filter(|text| text.len() <= self.config.limits.record);
        let Some(text) = parsed.and_then(|text| text.parse::<ExplainString>().ok()) else {
            return Ok(None);
        };
        let validated = if text.uses(&[Letter::Validated]) {
            self.validated_name(&frame.domain)?
        } else {
            Vec::new()
        };
        let domain = frame.domain.to_dotted();
        let sender_domain = self.session.sender_domain();
        let context = self.context(&domain, &sender_domain, &validated, Some(&explain));
        Ok(text
            .expand(&context, self.config.limits.explanation)
            .ok()
            .and_then(Explanation::new))
    }

    /// The target-name of a term (RFC 7208 §4.8).
    fn target(&mut self, domain: &Name, spec: Option<&DomainSpec>) -> Step<Target> {
        let Some(spec) = spec else {
            return Ok(Target::Name(domain.clone()));
        };
        if !self.session.local_part.is_ascii() && spec.uses(&[Letter::Sender, Letter::LocalPart]) {
            return Ok(Target::NotAscii);
        }
        let validated = if spec.uses(&[Letter::Validated]) {
            self.validated_name(domain)?
        } else {
            Vec::new()
        };
        let dotted = domain.to_dotted();
        let sender_domain = self.session.sender_domain();
        let context = self.context(&dotted, &sender_domain, &validated, None);
        Ok(spec
            .expand(&context)
            .map_or(Target::Malformed, Target::Name))
    }

    fn context<'a>(
        &'a self,
        domain: &'a [u8],
        sender_domain: &'a [u8],
        validated: &'a [u8],
        explain: Option<&'a Explain>,
    ) -> Context<'a> {
        Context {
            local_part: &self.session.local_part,
            sender_domain,
            domain,
            ip: self.session.ip,
            helo: &self.session.helo,
            validated,
            receiver: explain.map_or(b"unknown", |explain| explain.receiver.as_bytes()),
            now: explain.map_or(0, |explain| explain.now),
        }
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
        self.forget_unasked();
        self.void_lookups += void;
        if let Some(frame) = self.frames.last_mut() {
            frame.next += 1;
            frame.counted = false;
        }
    }

    /// What a term that is settled did not need to ask.
    fn forget_unasked(&mut self) {
        for question in self.unasked.drain(..) {
            self.answers.remove(&question);
        }
    }

    /// The answer to a question of which a failure ends the evaluation.
    ///
    /// RFC 7208 §5: "if the DNS server returns an error (RCODE other than 0 or 3) or the query times out, the mechanism stops and the
    /// topmost check_host() returns "temperror"."
    fn lookup(&mut self, name: &Name, kind: RecordType) -> Step<Answer> {
        let question = Question::new(name.clone(), kind);
        let answer = self.ask(question.clone())?;
        if let Err(failure) = answer.outcome() {
            return Err(Stop::End(
                SpfResult::TempError,
                Cause::LookupFailed { question, failure },
            ));
        }
        Ok(answer)
    }

    fn ask(&mut self, question: Question) -> Step<Answer> {
        match self.answers.get(&question) {
            Some(Some(answer)) => Ok(answer.clone()),
            Some(None) => Err(Stop::Wait),
            None => {
                self.unasked.push_back(question.clone());
                self.answers.insert(question, None);
                Err(Stop::Wait)
            }
        }
    }

    /// The questions for the addresses of these names, all of them asked.
    fn ask_together(&mut self, names: &[Name]) -> Vec<Question> {
        let kind = self.address_type();
        let questions: Vec<Question> = names
            .iter()
            .map(|name| Question::new(name.clone(), kind))
            .collect();
        for question in &questions {
            if !self.answers.contains_key(question) {
                self.unasked.push_back(question.clone());
                self.answers.insert(question.clone(), None);
            }
        }
        questions
    }

    /// RFC 7208 §5: "when <ip> is an IPv4, "A" records are fetched; when <ip> is an IPv6 address, "AAAA" records are fetched."
    const fn address_type(&self) -> RecordType {
        match self.session.ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        }
    }

    fn has_client(&self, answer: &Answer, prefix: DualPrefix) -> bool {
        answer.records().iter().any(|record| {
            let address = match record {
                Record::A(address) => IpAddr::V4(*address),
                Record::Aaaa(address) => IpAddr::V6(*address),
                _ => return false,
            };
            same_network(self.session.ip, address, prefix.v4, prefix.v6)
        })
    }

    /// Ends the check_host() on top of the stack, and those below as far as that settles them (RFC 7208 §5.2).
    fn end(&mut self, mut result: SpfResult, mut cause: Cause) {
        self.forget_unasked();
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
        // RFC 7208 §6.2: "during recursion into an "include" mechanism, an "exp" modifier from the <target-name> MUST NOT be used." The
        // last frame to end is the one that counts.
        match ended {
            Some(frame) if result == SpfResult::Fail => {
                self.stage = Stage::Explaining(frame, cause)
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
            explanation,
            terms: self.terms,
            void_lookups: self.void_lookups,
            trace: core::mem::take(&mut self.trace),
        });
    }

    fn note(&mut self, depth: usize, domain: &Name, term: impl ToString, outcome: TermOutcome) {
        if self.config.trace {
            let (depth, domain, term) = (depth.saturating_sub(1), domain.clone(), term.to_string());
            self.trace.push(TraceStep {
                depth,
                domain,
                term,
                outcome,
            });
        }
    }
}

impl Session {
    fn sender_domain(&self) -> Vec<u8> {
        self.domain
            .as_ref()
            .map(Name::to_dotted)
            .unwrap_or_default()
    }
}

impl Evaluation for CheckHost {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if core::mem::take(&mut self.fresh) {
            self.run();
        }
        if let Stage::Done(verdict) = &self.stage {
            return Need::Done(verdict.clone());
        }
        self.unasked.pop_front().map_or(Need::Wait, Need::Lookup)
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if self.unasked.contains(question) {
            return;
        }
        if let Some(open @ None) = self.answers.get_mut(question) {
            *open = Some(answer.clone());
            self.fresh = true;
        }
    }
}

const fn of(matches: bool) -> Test {
    if matches { Test::Match } else { Test::NoMatch }
}

fn no_domain(domain: Name, target: &DomainSpec) -> Stop {
    let target = target.clone();
    Stop::End(
        SpfResult::PermError,
        Cause::TargetNoDomain { domain, target },
    )
}

/// RFC 7208 §5: "If a CIDR prefix length is specified, then only the specified number of high-order bits of <ip> and the IP address are
/// compared for equality."
fn same_network(ip: IpAddr, network: IpAddr, v4: u8, v6: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differ = ip.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= u32::from(v4)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differ = ip.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= u32::from(v6)
        }
        _ => false,
    }
}

/// RFC 7208 §4.3: a well-formed domain of more than one label; visible ASCII only, and no address literal.
fn domain_of(text: &str) -> Option<Name> {
    if text.len() > 4 * MAX_DOMAIN || text.starts_with('[') {
        return None;
    }
    let text = a_labels(text)?;
    let visible = text.bytes().all(|octet| matches!(octet, b'!'..=b'~'));
    let name = Name::from_dotted(text.as_bytes())
        .ok()
        .filter(|_| visible)?;
    (name.label_count() > 1).then_some(name)
}

/// RFC 8616 §4: "All U-labels MUST be converted to A-labels before being used for an SPF validation."
#[cfg(feature = "idna")]
fn a_labels(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if text.is_ascii() {
        return Some(text.into());
    }
    let domain = mail_syntax::Domain::parse_utf8(text)
        .ok()?
        .to_a_labels()
        .ok()?;
    Some(domain.as_str().to_owned().into())
}

#[cfg(not(feature = "idna"))]
fn a_labels(text: &str) -> Option<&str> {
    text.is_ascii().then_some(text)
}
