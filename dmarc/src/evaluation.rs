//! The evaluation of one message.

use std::collections::BTreeSet;

use mail_dns::{Answer, Data, Evaluation, Failure, Name, Need, Question, RecordType};
use mail_syntax::Domain;

use crate::AuthorDomains;
use crate::record::{AlignmentMode, Place, Record};
use crate::tree_walk::{MAX_QUERIES, Progress, Walk, Walks, domains};
use crate::verdict::{
    Alignment, Authentication, AuthorFault, Cause, Disposition, DmarcResult, Identifier, Mechanism,
    Verdict,
};

/// How an evaluation is done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The limits.
    pub limits: Limits,
    /// Whether the verdict holds all questions and answers. Default: no; it costs the memory of the answers.
    pub trace: bool,
    /// What is advised for a message without exactly one Author Domain. Default: [`Disposition::Reject`] (RFC 9989 §11.5: "care must be
    /// taken by the Mail Receiver to recognize such messages as the threats they might be"). Anything less lets a forger around every
    /// policy by a second address in From.
    pub unusable_author: Disposition,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            trace: false,
            unusable_author: Disposition::Reject,
        }
    }
}

/// How much one evaluation may hold and ask. The walks of the Author Domain and of the SPF domain take at most 8 questions each (RFC 9989
/// §4.10), and it may take one more to learn whether the Author Domain exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Identifiers kept. Default: 32. Those beyond are not aligned; each costs some hundred octets.
    pub identifiers: usize,
    /// Questions that the walks of all DKIM domains together may add to that of the Author Domain. Default: 8. The domains are taken in the
    /// order in which they are handed in; one whose walk does not fit is not aligned. The questions are the signer's to choose, so more of
    /// them is a larger amplifier.
    pub dkim_questions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            identifiers: 32,
            dkim_questions: MAX_QUERIES,
        }
    }
}

/// DMARC for one message: asks all names of the Author Domain's walk at once, and those of an identifier's walk as soon as they may matter.
///
/// Waits until [`Dmarc::no_more_identifiers`], unless no identifier can change the result. Asks at most 25 questions with the default limits.
#[derive(Clone, Debug)]
pub struct Dmarc {
    config: Config,
    author: Result<Domain, AuthorFault>,
    walks: Walks,
    existence: Existence,
    identifiers: Vec<Candidate>,
    identifiers_left_out: usize,
    complete: bool,
    /// What the walks of DKIM domains have added to the names of the Author Domain's.
    dkim_names: BTreeSet<Domain>,
    trace: Vec<(Question, Answer)>,
}

/// An identifier, and how far it is looked into.
#[derive(Clone, Debug)]
struct Candidate {
    mechanism: Mechanism,
    handed_in: Domain,
    /// The domain in A-labels; `None` where it has none, and so no name in the DNS.
    domain: Option<Domain>,
    authentication: Authentication,
    walk: CandidateWalk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CandidateWalk {
    NotAsked,
    Asked,
    BeyondLimit,
}

/// Whether the Author Domain exists (RFC 9989 §3.2.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existence {
    NotNeeded,
    Wanted,
    Asked,
    Known(bool),
    Failed(Failure),
}

/// The record in force.
#[derive(Clone, Copy, Debug)]
struct InForce<'a> {
    domain: &'a Domain,
    record: &'a Record,
}

impl Dmarc {
    /// Begins the evaluation of a message by these authors.
    #[must_use]
    pub fn new(author: &AuthorDomains, config: &Config) -> Self {
        let mut dmarc = Self {
            config: config.clone(),
            author: author_domain(author),
            walks: Walks::default(),
            existence: Existence::NotNeeded,
            identifiers: Vec::new(),
            identifiers_left_out: 0,
            complete: false,
            dkim_names: BTreeSet::new(),
            trace: Vec::new(),
        };
        if let Ok(author) = dmarc.author.clone() {
            for domain in domains(&author) {
                dmarc.walks.ask(domain);
            }
        }
        dmarc
    }

    /// Hands in what SPF says of the MAIL FROM identity; for a null reverse-path that is `postmaster@` the HELO domain (RFC 7208 §2.4).
    ///
    /// Never the HELO identity itself: RFC 9989 §4.4.2 says "DMARC relies solely on SPF validation of the MAIL FROM identity."
    pub fn spf(&mut self, domain: &Domain, authentication: Authentication) {
        self.identifier(Mechanism::Spf, domain, authentication);
    }

    /// Hands in what DKIM says of a signature of this domain (its `d=`).
    pub fn dkim(&mut self, domain: &Domain, authentication: Authentication) {
        self.identifier(Mechanism::Dkim, domain, authentication);
    }

    /// Says that SPF and DKIM are through.
    pub fn no_more_identifiers(&mut self) {
        self.complete = true;
    }

    fn identifier(
        &mut self,
        mechanism: Mechanism,
        handed_in: &Domain,
        authentication: Authentication,
    ) {
        let Ok(author) = self.author.clone() else {
            return;
        };
        let known = self
            .identifiers
            .iter()
            .position(|known| known.mechanism == mechanism && known.handed_in == *handed_in);
        let at = known.unwrap_or(self.identifiers.len());
        if known.is_none() {
            if at >= self.config.limits.identifiers {
                self.identifiers_left_out += 1;
                return;
            }
            self.identifiers.push(Candidate {
                mechanism,
                handed_in: handed_in.clone(),
                domain: handed_in.to_a_labels().ok(),
                authentication,
                walk: CandidateWalk::NotAsked,
            });
        }
        if let Some(candidate) = self.identifiers.get_mut(at) {
            candidate.authentication = candidate.authentication.max(authentication);
        }
        // Two domains that share one label are seldom of one organization, so the walk waits for that of the Author Domain.
        self.ask_for_identifier(at, |domain| shared_labels(domain, &author) >= 2);
    }

    /// Asks for the walk of an identifier that may be aligned, if it is `wanted` now.
    fn ask_for_identifier(&mut self, at: usize, wanted: impl Fn(&Domain) -> bool) {
        let (Ok(author), Some(candidate)) = (&self.author, self.identifiers.get_mut(at)) else {
            return;
        };
        let Some(domain) = &candidate.domain else {
            return;
        };
        if candidate.walk != CandidateWalk::NotAsked
            || candidate.authentication == Authentication::Fail
            || domain == author
            || !wanted(domain)
        {
            return;
        }
        let walk = domains(domain);
        if candidate.mechanism == Mechanism::Dkim {
            // What SPF asked is counted too, so that it changes nothing which of the two is handed in first.
            let of_author = domains(author);
            let new: Vec<&Domain> = walk
                .iter()
                .filter(|domain| !of_author.contains(domain) && !self.dkim_names.contains(domain))
                .collect();
            if self.dkim_names.len() + new.len() > self.config.limits.dkim_questions {
                candidate.walk = CandidateWalk::BeyondLimit;
                return;
            }
            self.dkim_names.extend(new.into_iter().cloned());
        }
        candidate.walk = CandidateWalk::Asked;
        for domain in walk {
            self.walks.ask(domain);
        }
    }

    /// Asks what has become worth asking.
    fn ask_more(&mut self) {
        let Ok(author) = self.author.clone() else {
            return;
        };
        if let Progress::Done(walk) = self.walks.walk(&author) {
            for at in 0..self.identifiers.len() {
                self.ask_for_identifier(at, |domain| {
                    domain.is_at_or_below(&walk.organizational_domain)
                });
            }
        }
        if self.existence == Existence::NotNeeded
            && let Some(Ok(Some(in_force))) = self.in_force(&author)
            && *in_force.domain != author
            && in_force.record.policy_for(Place::Below)
                != in_force.record.policy_for(Place::NonExistentBelow)
            && existence_question(&author).is_some()
        {
            self.existence = Existence::Wanted;
        }
    }

    /// The record in force, `None` while answers are missing; or the lookup whose failure makes that unknowable.
    fn in_force<'a>(
        &'a self,
        author: &'a Domain,
    ) -> Option<Result<Option<InForce<'a>>, (Question, Failure)>> {
        let at = |domain: &Domain| {
            let (domain, record) = self.walks.record(domain)?;
            Some(InForce { domain, record })
        };
        // RFC 9989 §4.10.1: "If a valid DMARC Policy Record is found there, then this is the DMARC Policy Record to be applied to the
        // message"
        if let Some(in_force) = at(author) {
            return Some(Ok(Some(in_force)));
        }
        match self.walks.walk(author) {
            Progress::Waiting => None,
            Progress::Failed(question, failure) => Some(Err((question, failure))),
            // RFC 9989 §4.10.1: "listed from highest preference to lowest:" the Author Domain, its Organizational Domain, its PSD.
            Progress::Done(Walk {
                organizational_domain,
                public_suffix,
            }) => Some(Ok(
                at(&organizational_domain).or_else(|| at(&public_suffix?))
            )),
        }
    }

    /// Whether an identifier is aligned; `None` while answers are missing.
    fn alignment(
        &self,
        author: &Domain,
        candidate: &Candidate,
        mode: AlignmentMode,
    ) -> Option<Alignment> {
        let Some(domain) = &candidate.domain else {
            return Some(Alignment::NotAligned);
        };
        if domain == author {
            return Some(Alignment::Aligned);
        }
        // RFC 9989 §4.10.2: "In this case, a simple string comparison of the Author Domain and the Authenticated Identifier(s) is all that
        // is required."
        if mode == AlignmentMode::Strict || shared_labels(domain, author) == 0 {
            return Some(Alignment::NotAligned);
        }
        let of_author = match self.walks.walk(author) {
            Progress::Waiting => return None,
            Progress::Failed(question, failure) => {
                return Some(Alignment::Unknown(question, failure));
            }
            Progress::Done(walk) => walk.organizational_domain,
        };
        if !domain.is_at_or_below(&of_author) {
            return Some(Alignment::NotAligned);
        }
        if candidate.walk == CandidateWalk::BeyondLimit {
            return Some(Alignment::LeftOut);
        }
        match self.walks.walk(domain) {
            Progress::Waiting => None,
            Progress::Failed(question, failure) => Some(Alignment::Unknown(question, failure)),
            Progress::Done(walk) if walk.organizational_domain == of_author => {
                Some(Alignment::Aligned)
            }
            Progress::Done(_) => Some(Alignment::NotAligned),
        }
    }
}

impl Dmarc {
    /// The verdict, or `None` while it hangs on something.
    fn settle(&self) -> Option<Verdict> {
        let author = match &self.author {
            Ok(author) => author,
            // RFC 9989 §5.3.1: "If zero or more than one domain is extracted from the RFC5322.From header field, then DMARC validation is
            // not possible and the process terminates."
            Err(fault) => {
                let mut verdict =
                    self.verdict(DmarcResult::PermError, Cause::Author(fault.clone()));
                verdict.disposition = self.config.unusable_author;
                return Some(verdict);
            }
        };
        let in_force = match self.in_force(author)? {
            // RFC 9989 §4.10.1: "Mail Receivers MUST NOT apply the DMARC mechanism to the message."
            Ok(None) => return Some(self.verdict(DmarcResult::None, Cause::NoRecord)),
            Ok(Some(in_force)) if in_force.record.p.is_none() => {
                return Some(self.verdict(DmarcResult::None, Cause::NoPolicy));
            }
            Ok(Some(in_force)) => in_force,
            // RFC 9989 §5.3.6: "If one or more DNS queries required to perform DMARC validation on the message do not complete due to
            // temporary or permanent DNS errors, the message cannot be considered to pass or fail the DMARC mechanism check."
            Err((question, failure)) => return Some(self.lookup_failed(question, failure)),
        };
        if !self.complete {
            return None;
        }
        let identifiers = self.judge(author, in_force.record)?;
        let place = if in_force.domain == author {
            Ok(Place::Itself)
        } else {
            match self.existence {
                Existence::NotNeeded | Existence::Known(true) => Ok(Place::Below),
                Existence::Known(false) => Ok(Place::NonExistentBelow),
                Existence::Failed(failure) => Err(failure),
                Existence::Wanted | Existence::Asked => return None,
            }
        };
        let policy = place
            .ok()
            .and_then(|place| in_force.record.policy_for(place));

        let passed = |mechanism: Option<Mechanism>| {
            identifiers.iter().find(|identifier| {
                identifier.authentication == Authentication::Pass
                    && identifier.alignment == Some(Alignment::Aligned)
                    && mechanism.is_none_or(|mechanism| identifier.mechanism == mechanism)
            })
        };
        let mut verdict = if let Some(identifier) = passed(None) {
            // RFC 9989 §5.3.5: "If one or more of the Authenticated Identifiers align with the Author Domain, the message is considered to
            // pass the DMARC mechanism check."
            self.verdict(
                DmarcResult::Pass,
                Cause::Aligned {
                    mechanism: identifier.mechanism,
                    domain: identifier.domain.clone(),
                },
            )
        } else if let Some(cause) = identifiers.iter().find_map(undecided) {
            self.verdict(DmarcResult::TempError, cause)
        } else if let (Err(failure), Some(question)) = (place, existence_question(author)) {
            self.lookup_failed(question, failure)
        } else {
            let mut verdict = self.verdict(DmarcResult::Fail, Cause::NotAligned);
            verdict.disposition = policy.map_or(Disposition::None, |policy| {
                policy.disposition(in_force.record.test_mode)
            });
            verdict
        };
        verdict.policy = policy;
        verdict.aligned_spf =
            passed(Some(Mechanism::Spf)).map(|identifier| identifier.domain.clone());
        verdict.aligned_dkim =
            passed(Some(Mechanism::Dkim)).map(|identifier| identifier.domain.clone());
        verdict.identifiers = identifiers;
        Some(verdict)
    }

    /// The alignment of every identifier of which it matters; `None` while answers are missing for one.
    fn judge(&self, author: &Domain, record: &Record) -> Option<Vec<Identifier>> {
        let mut judged: Vec<Identifier> = Vec::with_capacity(self.identifiers.len());
        for candidate in &self.identifiers {
            let mode = match candidate.mechanism {
                Mechanism::Spf => record.aspf,
                Mechanism::Dkim => record.adkim,
            };
            let alignment = match candidate.authentication {
                Authentication::Fail => None,
                Authentication::Pass | Authentication::TempError => {
                    Some(self.alignment(author, candidate, mode)?)
                }
            };
            judged.push(candidate.judged(alignment));
        }
        Some(judged)
    }

    fn lookup_failed(&self, question: Question, failure: Failure) -> Verdict {
        self.verdict(DmarcResult::TempError, Cause::Lookup { question, failure })
    }

    fn verdict(&self, result: DmarcResult, cause: Cause) -> Verdict {
        let author = self.author.as_ref().ok();
        let in_force = author
            .and_then(|author| self.in_force(author)?.ok())
            .flatten();
        let organizational_domain = author.and_then(|author| match self.walks.walk(author) {
            Progress::Done(walk) => Some(walk.organizational_domain),
            Progress::Waiting | Progress::Failed(..) => None,
        });
        Verdict {
            result,
            cause,
            disposition: Disposition::None,
            author_domain: author.cloned(),
            record_domain: in_force.map(|in_force| in_force.domain.clone()),
            record: in_force.map(|in_force| in_force.record.clone()),
            organizational_domain,
            policy: None,
            aligned_spf: None,
            aligned_dkim: None,
            identifiers: self
                .identifiers
                .iter()
                .map(|candidate| candidate.judged(None))
                .collect(),
            identifiers_left_out: self.identifiers_left_out,
            trace: self.trace.clone(),
        }
    }
}

impl Candidate {
    fn judged(&self, alignment: Option<Alignment>) -> Identifier {
        Identifier {
            mechanism: self.mechanism,
            domain: self.handed_in.clone(),
            authentication: self.authentication,
            alignment,
        }
    }
}

/// Why it cannot be told whether this identifier makes the message pass.
fn undecided(identifier: &Identifier) -> Option<Cause> {
    match (identifier.authentication, identifier.alignment.as_ref()?) {
        (Authentication::Pass, Alignment::Unknown(question, failure)) => Some(Cause::Lookup {
            question: question.clone(),
            failure: *failure,
        }),
        (Authentication::TempError, Alignment::Aligned | Alignment::Unknown(..)) => {
            Some(Cause::Identifier {
                mechanism: identifier.mechanism,
                domain: identifier.domain.clone(),
            })
        }
        _ => None,
    }
}

fn author_domain(author: &AuthorDomains) -> Result<Domain, AuthorFault> {
    match author {
        // RFC 9989 §5.3.1: "If the domain is a U-label, the domain MUST be converted to an A-label"
        AuthorDomains::One(domain) => domain
            .to_a_labels()
            .map_err(|_| AuthorFault::NotInternational(domain.clone())),
        AuthorDomains::None => Err(AuthorFault::None),
        AuthorDomains::Several(domains) => Err(AuthorFault::Several(domains.clone())),
        AuthorDomains::Malformed(error) => Err(AuthorFault::Malformed(error.clone())),
    }
}

/// The question whether the Author Domain exists; any type would do (RFC 8020 §2).
fn existence_question(author: &Domain) -> Option<Question> {
    let name = Name::from_dotted(author.as_str().as_bytes()).ok()?;
    Some(Question::new(name, RecordType::A))
}

/// How many labels two domains have in common, from the right.
fn shared_labels(one: &Domain, other: &Domain) -> usize {
    one.labels()
        .rev()
        .zip(other.labels().rev())
        .take_while(|(one, other)| one.eq_ignore_ascii_case(other))
        .count()
}

impl Evaluation for Dmarc {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        self.ask_more();
        if let Some(verdict) = self.settle() {
            return Need::Done(verdict);
        }
        if let Some(question) = self.walks.next_question() {
            return Need::Lookup(question);
        }
        match self.author.as_ref().map(existence_question) {
            Ok(Some(question)) if self.existence == Existence::Wanted => {
                self.existence = Existence::Asked;
                Need::Lookup(question)
            }
            _ => Need::Wait,
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        let is_of_existence = self.existence == Existence::Asked
            && self
                .author
                .as_ref()
                .is_ok_and(|author| existence_question(author).as_ref() == Some(question));
        if is_of_existence {
            self.existence = exists(question, answer);
        }
        let awaited = self.walks.answer(question, answer) || is_of_existence;
        if awaited && self.config.trace {
            self.trace.push((question.clone(), answer.clone()));
        }
    }
}

/// RFC 9989 §3.2.13: "if the response code received for a query for a domain name is NXDOMAIN, then the domain name and any possible
/// subdomains do not exist." Of an alias it is the target that does not exist (RFC 2308 §2.1).
fn exists(question: &Question, answer: &Answer) -> Existence {
    match &answer.data {
        Data::NxDomain => Existence::Known(
            answer
                .canonical
                .as_ref()
                .is_some_and(|canonical| *canonical != question.name),
        ),
        Data::Records(_) | Data::NoData => Existence::Known(true),
        Data::Failed(failure) => Existence::Failed(*failure),
    }
}
