//! The evaluation of one message: what it is told, and what it asks.

mod judgement;

use mail_dns::{Answer, Data, Evaluation, Failure, Name, Need, Question, RecordType};
use mail_syntax::Domain;

use crate::AuthorDomains;
use crate::config::Config;
use crate::organizational_domain::OrganizationalDomain;
use crate::record::Place;
use crate::tree_walk::{Published, Targets, Walk, label_count, shared_labels};
use crate::verdict::{Authentication, AuthorFault, Identifier, Mechanism, Verdict};

/// DMARC for one message: asks all names of the Author Domain's walk at once, and those of an identifier's walk as soon as they may matter.
///
/// Waits until [`Dmarc::no_more_identifiers`], unless no identifier can change the result. Asks at most 25 questions with the default limits.
/// Hands its verdict out once: polled again, it waits.
#[derive(Clone, Debug)]
pub struct Dmarc {
    config: Config,
    author: Result<Author, AuthorFault>,
    targets: Targets,
    existence: Existence,
    identifiers: Vec<Identifier>,
    /// How far each identifier is looked into.
    candidates: Vec<Candidate>,
    identifiers_left_out: usize,
    complete: bool,
    /// What the walks of DKIM domains have added to the names of the Author Domain's.
    dkim_questions: usize,
    /// For `pct`.
    draw: u8,
    /// Whether since the last poll that found nothing something was handed in or came to light: only then is there something to find.
    changed: bool,
    /// Whether the verdict was handed out, and with it what it consists of.
    done: bool,
    trace: Vec<(Question, Answer)>,
}

/// The Author Domain, in A-labels.
#[derive(Clone, Debug)]
struct Author {
    domain: Domain,
    labels: u8,
    /// By public suffixes it is at its end from the beginning.
    walk: Walk,
}

/// How far an identifier is looked into.
#[derive(Clone, Debug)]
struct Candidate {
    /// Its domain in A-labels, where that is another.
    a_labels: Option<Domain>,
    /// How many labels it has in A-labels, and how many of them, from the right, in common with the Author Domain: that is all that alignment
    /// takes. None where it has no A-labels, and so no name in the DNS.
    labels: u8,
    shared: u8,
    walk: CandidateWalk,
}

#[derive(Clone, Debug)]
enum CandidateWalk {
    NotAsked,
    BeyondLimit,
    Asked(Walk),
}

impl Author {
    /// Takes the walk from this domain, in A-labels.
    fn new(domain: Domain, targets: &mut Targets, config: &Config) -> Self {
        let labels = label_count(&domain);
        let walk = match &config.organizational_domain {
            OrganizationalDomain::TreeWalk => targets.walk_from(&domain, labels),
            OrganizationalDomain::PublicSuffix(suffixes) => {
                targets.domain_and_above(&domain, labels, suffixes.labels(&domain))
            }
        };
        targets.count(&walk);
        Self {
            domain,
            labels,
            walk,
        }
    }
}

impl Candidate {
    fn is_author(&self, author: &Author) -> bool {
        self.shared == author.labels && self.labels == author.labels
    }
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

impl Dmarc {
    /// Begins the evaluation of a message by these authors.
    #[must_use]
    pub fn new(author: &AuthorDomains, config: &Config) -> Self {
        let mut targets = Targets::default();
        let author = author_domain(author);
        Self {
            author: author.map(|domain| Author::new(domain, &mut targets, config)),
            config: config.clone(),
            targets,
            existence: Existence::NotNeeded,
            identifiers: Vec::new(),
            candidates: Vec::new(),
            identifiers_left_out: 0,
            complete: false,
            dkim_questions: 0,
            draw: 0,
            changed: true,
            done: false,
            trace: Vec::new(),
        }
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
        self.changed = true;
    }

    /// Hands in a number below 100, drawn at random for this message, which decides whether it is among the `pct` percent of the record to
    /// which the policy applies: the smaller numbers are. Default: 0, to which every policy applies but that of `pct=0`.
    ///
    /// Only with [`OrganizationalDomain::PublicSuffix`]; RFC 9989 has no `pct`.
    pub fn draw(&mut self, draw: u8) {
        self.draw = draw;
    }

    /// Brings what an answer comes to, where that is at hand: for a cache that keeps records parsed, by [`Published::read`]. As
    /// [`Evaluation::answer`] otherwise, but that [`Config::trace`] learns nothing of it.
    ///
    /// The question whether the Author Domain exists, for its A records, is to be answered by [`Evaluation::answer`].
    pub fn answer_published(&mut self, question: &Question, published: &Published) {
        if let Some(at) = self.targets.publish(question, || published.clone()) {
            self.advance(at);
        }
    }

    fn identifier(
        &mut self,
        mechanism: Mechanism,
        handed_in: &Domain,
        authentication: Authentication,
    ) {
        let Ok(author) = &self.author else {
            return;
        };
        self.changed = true;
        let known = self
            .identifiers
            .iter()
            .position(|known| known.mechanism == mechanism && known.domain == *handed_in);
        let at = known.unwrap_or(self.identifiers.len());
        if known.is_none() {
            if at >= self.config.limits.identifiers {
                self.identifiers_left_out += 1;
                return;
            }
            self.candidates
                .push(Candidate::new(handed_in, author, &self.config));
            self.identifiers.push(Identifier {
                mechanism,
                domain: handed_in.clone(),
                authentication,
                alignment: None,
            });
        }
        if let Some(identifier) = self.identifiers.get_mut(at) {
            identifier.authentication = identifier.authentication.max(authentication);
        }
        // Two domains that share one label are seldom of one organization, so the walk waits for that of the Author Domain.
        let organizational_domain = author.walk.led().map_or(2, |led| led.organizational_domain);
        self.ask_for_identifier(at, organizational_domain.min(2));
    }

    /// Asks for the walk of an identifier that has at least so many labels in common with the Author Domain, where that is not yet done
    /// and may matter.
    fn ask_for_identifier(&mut self, at: usize, shared: u8) {
        let (Ok(author), Some(identifier), Some(candidate)) = (
            &self.author,
            self.identifiers.get(at),
            self.candidates.get_mut(at),
        ) else {
            return;
        };
        if !matches!(candidate.walk, CandidateWalk::NotAsked)
            || identifier.authentication == Authentication::Fail
            || candidate.shared < shared
            || candidate.is_author(author)
        {
            return;
        }
        let before = self.targets.len();
        let domain = candidate.a_labels.as_ref().unwrap_or(&identifier.domain);
        let walk =
            self.targets
                .walk_beside(&author.walk, domain, candidate.labels, candidate.shared);
        if identifier.mechanism == Mechanism::Dkim {
            // What SPF asked is counted too, so that it changes nothing which of the two is handed in first.
            let questions = self.dkim_questions + self.targets.not_counted(&walk);
            if questions > self.config.limits.dkim_questions {
                self.targets.truncate(before);
                candidate.walk = CandidateWalk::BeyondLimit;
                return;
            }
            self.targets.count(&walk);
            self.dkim_questions = questions;
        }
        candidate.walk = CandidateWalk::Asked(walk);
    }

    /// Goes on with the walks as far as the answers lead, and asks what has become worth asking by that.
    fn advance(&mut self, answered: u32) {
        // By public suffixes no walk waits.
        self.changed |= !self.by_tree_walk();
        for candidate in &mut self.candidates {
            if let CandidateWalk::Asked(walk) = &mut candidate.walk {
                self.changed |= walk.advance(answered, &self.targets);
            }
        }
        let Ok(author) = &mut self.author else {
            return;
        };
        if author.walk.advance(answered, &self.targets) {
            self.changed = true;
            if let Some(led) = author.walk.led() {
                self.existence = self.existence_needed();
                for at in 0..self.identifiers.len() {
                    self.ask_for_identifier(at, led.organizational_domain);
                }
            }
        }
    }

    /// Whether it makes a difference that the Author Domain exists.
    fn existence_needed(&self) -> Existence {
        match &self.author {
            Ok(author)
                if author.record(&self.targets).is_some_and(|in_force| {
                    in_force.labels != author.labels
                        && in_force.record.policy_for(Place::Below)
                            != in_force.record.policy_for(Place::NonExistentBelow)
                }) && existence_question(author).is_some() =>
            {
                Existence::Wanted
            }
            _ => Existence::NotNeeded,
        }
    }
}

impl Candidate {
    fn new(handed_in: &Domain, author: &Author, config: &Config) -> Self {
        let converted = (!handed_in.is_ascii()).then(|| handed_in.to_a_labels().ok());
        let domain = converted.as_ref().map_or(Some(handed_in), Option::as_ref);
        let walk = match (&config.organizational_domain, domain) {
            (OrganizationalDomain::PublicSuffix(suffixes), Some(domain)) => {
                CandidateWalk::Asked(Walk::done(suffixes.labels(domain)))
            }
            _ => CandidateWalk::NotAsked,
        };
        Self {
            labels: domain.map_or(0, label_count),
            shared: domain.map_or(0, |domain| shared_labels(domain, &author.domain)),
            a_labels: converted.flatten(),
            walk,
        }
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
fn existence_question(author: &Author) -> Option<Question> {
    let name = Name::from_dotted(author.domain.as_str().as_bytes()).ok()?;
    Some(Question::new(name, RecordType::A))
}

impl Evaluation for Dmarc {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if self.done {
            return Need::Wait;
        }
        if self.changed {
            if let Some(settled) = self.settle() {
                self.done = true;
                return Need::Done(self.verdict(settled));
            }
            self.changed = false;
        }
        if let Some(question) = self.targets.next_question() {
            return Need::Lookup(question);
        }
        if self.existence == Existence::Wanted
            && let Ok(Some(question)) = self.author.as_ref().map(existence_question)
        {
            self.existence = Existence::Asked;
            return Need::Lookup(question);
        }
        Need::Wait
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        let is_of_existence = self.existence == Existence::Asked
            && self
                .author
                .as_ref()
                .is_ok_and(|author| existence_question(author).as_ref() == Some(question));
        if is_of_existence {
            self.existence = exists(question, answer);
            self.changed = true;
        }
        let of_walk = self.targets.answer(question, answer);
        if let Some(at) = of_walk {
            self.advance(at);
        }
        if (is_of_existence || of_walk.is_some()) && self.config.trace {
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
