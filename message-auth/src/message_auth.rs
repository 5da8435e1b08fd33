//! The machine.

use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::VecDeque;

use dkim::arc;
use dmarc::{Authentication, AuthorDomains, Dmarc, Override, PolicyOverride};
use mail_dns::{Answer, Evaluation, Need, Question};
use mail_syntax::address_list::AuthorError;
use mail_syntax::authentication_results::{Method, MethodResult, Outcome, Ptype};
use mail_syntax::header::{Header, HeaderError};
use mail_syntax::{Domain, ReversePath};
use screening::iprev::{self, Iprev};
use spf::{CheckHost, SpfResult};

use crate::early::{self, MAX_EARLY, mail_domain, signing_domain};
use crate::questions::{Check, Questions, Run};
use crate::verdict::Verdict;

/// What is known of a message before its first octet.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The address that the client connects from. Behind a proxy it is the one the proxy tells, never the proxy's own.
    pub client_ip: IpAddr,
    /// The parameter of the last HELO or EHLO, as it came.
    pub helo: String,
    /// The reverse-path of MAIL FROM.
    #[cfg_attr(feature = "serde", serde(with = "crate::recording::reverse_path"))]
    pub mail_from: ReversePath,
    /// The name under which this server vouches for its results (RFC 8601 §2.5). Fields of others that bear it must have been removed
    /// ([`mail_syntax::authentication_results::strip`]).
    pub authserv_id: String,
    /// The time of receipt, in seconds of Unix time.
    pub now: u64,
}

/// How messages are judged.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// SPF, of both identities.
    pub spf: spf::Config,
    /// DKIM; its limits of the header are those of the whole evaluation.
    pub dkim: dkim::Options,
    /// DMARC.
    pub dmarc: dmarc::Config,
    /// Forwarders and mailing lists that are believed, by the domains of their ARC seals. Default: none.
    ///
    /// Where DMARC fails, the policy is overridden if the chain passes, all its seals are of these domains, and the first sealer found that
    /// DMARC passed for the same author's domain (RFC 8617 §7.2.1). Each of them can then send mail in anybody's name: list only forwarders
    /// that check what they seal.
    pub trusted_sealers: Vec<Domain>,
    /// The reverse name of the client.
    pub iprev: iprev::Limits,
    /// The limits.
    pub limits: Limits,
    /// Whether signatures of keys in test mode (`t=y`) count for DMARC as any other. Default: no, as RFC 6376 §3.6.1 has it: such mail is
    /// unsigned. Many keys are in test mode for ever, and some receivers let them count, so that no mail is lost that its domain did sign.
    pub count_testing_signatures: bool,
}

/// How much one message may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Questions in all. Default: 160, enough for an SPF check at its limits (111), DKIM (10), DMARC (33) and what the HELO name and the
    /// reverse name usually take; with SPF's look-ahead 270 are. Where they do not suffice, HELO and reverse name get none: their result
    /// is temperror. Each is a query that whoever wrote the message may direct at others.
    pub questions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { questions: 160 }
    }
}

/// One inbound message: SPF of both identities, DKIM, ARC, DMARC and iprev in one evaluation, and a sink for the message.
///
/// Write the message as it came, lines ending in CRLF, in any pieces, and [finish](MessageAuth::finish) at its end. It can be polled at any
/// time: for what MAIL FROM already tells, before the first octet; for keys and policies, while the body still comes in. Without
/// `finish` there is no verdict.
///
/// Each question is asked once, whichever checks need it. It holds what [`dkim::Verifier`] and [`arc::Validator`] hold; the header is
/// read and kept once.
#[derive(Debug)]
pub struct MessageAuth {
    inbound: Inbound,
    count_testing_signatures: bool,
    dmarc_config: dmarc::Config,
    questions: Questions,
    mail_from: Run<CheckHost>,
    helo: Run<CheckHost>,
    iprev: Run<Iprev>,
    dkim: Run<dkim::Verifier>,
    arc: Run<arc::Validator>,
    /// None until the author is known.
    dmarc: Option<Run<Dmarc>>,
    trusted_sealers: Vec<Domain>,
    handed_in: HandedIn,
    /// The domains whose keys were asked for.
    signing_domains: Vec<Domain>,
    early: Early,
}

/// What DMARC may come to ask.
#[derive(Debug)]
enum Early {
    /// Until the author is known, by whose domain it is decided.
    Undecided,
    Author(Domain),
    Questions(VecDeque<Question>),
}

/// Which identifiers DMARC has.
#[derive(Debug, Default)]
struct HandedIn {
    spf: bool,
    dkim: bool,
}

impl MessageAuth {
    /// Begins the evaluation of one message.
    #[must_use]
    pub fn new(inbound: Inbound, config: &Config) -> Self {
        let client = spf::Client::new(inbound.client_ip, inbound.helo.as_str());
        let bounds = |check| match check {
            Check::MailFrom => spf_bound(&config.spf),
            Check::Dkim => config.dkim.limits.keys,
            Check::Dmarc => {
                dmarc::MAX_QUERIES * 2 + config.dmarc.limits.dkim_questions + 1 + MAX_EARLY
            }
            Check::Arc | Check::Iprev | Check::Helo => 0,
        };
        Self {
            count_testing_signatures: config.count_testing_signatures,
            dmarc_config: config.dmarc.clone(),
            questions: Questions::new(config.limits.questions, bounds),
            mail_from: Run::new(CheckHost::mail_from(
                &client,
                &inbound.mail_from,
                &config.spf,
            )),
            helo: Run::new(CheckHost::helo(&client, &config.spf)),
            iprev: Run::new(Iprev::new(inbound.client_ip, &config.iprev)),
            dkim: Run::new(dkim::Verifier::new(inbound.now, config.dkim.clone())),
            arc: Run::new(arc::Validator::new(inbound.now, config.dkim.clone())),
            dmarc: None,
            trusted_sealers: config.trusted_sealers.clone(),
            handed_in: HandedIn::default(),
            signing_domains: Vec::new(),
            early: Early::Undecided,
            inbound,
        }
    }

    /// Takes more octets of the message.
    pub fn write(&mut self, octets: &[u8]) {
        let mut author = None;
        let header = |header: Result<Header<'_>, &HeaderError>| author = Some(of_header(header));
        // Without a chain there is a verdict as soon as the header is complete.
        match (self.dkim.evaluation(), self.arc.evaluation()) {
            (Some(verifier), Some(validator)) => validator.write_beside(verifier, octets, header),
            (Some(verifier), None) => verifier.write_with(octets, header),
            (None, _) => {}
        }
        self.author_known(author);
    }

    /// Says that the message is complete.
    pub fn finish(&mut self) {
        let mut author = None;
        let header = |header: Result<Header<'_>, &HeaderError>| author = Some(of_header(header));
        match (self.dkim.evaluation(), self.arc.evaluation()) {
            (Some(verifier), Some(validator)) => validator.finish_beside(verifier, header),
            (Some(verifier), None) => verifier.finish_with(header),
            // DKIM has its verdict only behind the end of the message.
            (None, _) => {}
        }
        self.author_known(author);
    }

    fn author_known(&mut self, author: Option<AuthorDomains>) {
        let Some(author) = author else {
            return;
        };
        self.dmarc = Some(Run::new(Dmarc::new(&author, &self.dmarc_config)));
        if let AuthorDomains::One(domain) = author {
            self.early = Early::Author(domain);
        }
    }

    /// A question that DMARC may come to ask and nobody has asked.
    fn early_question(&mut self) -> Option<Question> {
        if let Early::Author(author) = &self.early {
            let may_pass = |verdict: &spf::Verdict| {
                matches!(verdict.result, SpfResult::Pass | SpfResult::TempError)
            };
            let sender = match self.inbound.mail_from.mailbox() {
                Some(mailbox) => mailbox.domain().cloned(),
                None => self.inbound.helo.parse().ok(),
            };
            let sender = sender.filter(|_| self.mail_from.verdict().is_none_or(may_pass));
            let identifiers = sender
                .into_iter()
                .chain(self.signing_domains.iter().cloned());
            self.early = Early::Questions(early::walks(author, identifiers));
        }
        let Early::Questions(questions) = &mut self.early else {
            return None;
        };
        while let Some(question) = questions.pop_front() {
            if self.questions.may_ask(Check::Dmarc, &question) {
                return Some(question);
            }
        }
        None
    }

    /// Hands the results of SPF and DKIM to DMARC, each once; SPF's first, so that the verdict does not depend on whose answers came first.
    fn hand_in(&mut self) {
        let Some(dmarc) = self.dmarc.as_mut().and_then(Run::evaluation) else {
            return;
        };
        if !self.handed_in.spf
            && let Some(verdict) = self.mail_from.verdict()
        {
            self.handed_in.spf = true;
            let authentication = match verdict.result {
                SpfResult::Pass => Authentication::Pass,
                SpfResult::TempError => Authentication::TempError,
                _ => Authentication::Fail,
            };
            if let Some(domain) = verdict.domain.as_ref().and_then(mail_domain) {
                dmarc.spf(&domain, authentication);
            }
        }
        if self.handed_in.spf
            && !self.handed_in.dkim
            && let Some(verdict) = self.dkim.verdict()
        {
            self.handed_in.dkim = true;
            let authentication = |signature: &dkim::SignatureVerdict| match signature.result {
                // RFC 6376 §3.6.1: "Verifiers MUST NOT treat messages from Signers in testing mode differently from unsigned email".
                _ if signature.testing && !self.count_testing_signatures => Authentication::Fail,
                dkim::DkimResult::Pass => Authentication::Pass,
                dkim::DkimResult::TempError => Authentication::TempError,
                _ => Authentication::Fail,
            };
            let mut identifiers: Vec<(&Domain, Authentication)> = verdict
                .signatures
                .iter()
                .filter_map(|signature| {
                    Some((signature.domain.as_ref()?, authentication(signature)))
                })
                .collect();
            // What passed first: no number of broken signatures takes its place.
            identifiers.sort_by_key(|(_, authentication)| Reverse(*authentication));
            for (domain, authentication) in identifiers {
                dmarc.dkim(domain, authentication);
            }
        }
        if self.handed_in.dkim {
            dmarc.no_more_identifiers();
        }
    }
}

/// Whose the message claims to be.
fn of_header(header: Result<Header<'_>, &HeaderError>) -> AuthorDomains {
    header.map_or(AuthorDomains::Malformed(AuthorError::Header), |header| {
        AuthorDomains::of(&header)
    })
}

/// The override of a chain whose sealers are all trusted, and of which the first found the author's domain to pass and nothing else.
fn vouched(author: &Domain, arc: &arc::Verdict, trusted: &[Domain]) -> Option<Override> {
    let vouches = |result: &MethodResult| {
        let from = result.property(&Ptype::Header, "from");
        let from = from.and_then(|from| Domain::parse_utf8(from).ok()?.to_a_labels().ok());
        *result.outcome() == Outcome::Pass && from.as_ref() == Some(author)
    };
    let results = arc.trusted_results(|sealer| trusted.contains(sealer))?;
    // RFC 8617 §7.2.2: "it MAY indicate the influence of ARC on their local policy decision(s) by adding a reason of "local_policy"
    // with a comment string".
    let mut dmarc = (results.registered())
        .filter(|result| *result.method() == Method::Dmarc)
        .peekable();
    // All that it says of DMARC: a sealer that contradicts itself believed what others wrote.
    let vouched = dmarc.peek().is_some() && dmarc.all(vouches);
    vouched.then(|| Override::of(PolicyOverride::LocalPolicy, Some(arc.report_comment())))
}

/// The most questions of an SPF check: the record, and for each term that looks something up a name and its hosts (RFC 7208 §4.6.4).
fn spf_bound(config: &spf::Config) -> usize {
    let limits = &config.limits;
    let hosts = limits.mx_names.max(limits.ptr_names);
    let explanation = if config.explain.is_some() {
        hosts + 2
    } else {
        0
    };
    // Look-ahead asks at most as many again for terms whose turn does not come.
    let terms = limits.terms * if config.look_ahead { 2 } else { 1 };
    1 + terms * (1 + hosts) + explanation
}

impl Evaluation for MessageAuth {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        let questions = &mut self.questions;
        // SPF and DKIM before DMARC, which takes what they say.
        if let Some(question) = self.mail_from.advance(Check::MailFrom, questions) {
            return Need::Lookup(question);
        }
        if let Some(question) = self.dkim.advance(Check::Dkim, questions) {
            self.signing_domains.extend(signing_domain(&question));
            return Need::Lookup(question);
        }
        self.hand_in();
        let dmarc = self.dmarc.as_mut();
        let asked = dmarc
            .and_then(|dmarc| dmarc.advance(Check::Dmarc, &mut self.questions))
            .or_else(|| self.early_question());
        if let Some(question) = asked {
            return Need::Lookup(question);
        }
        let questions = &mut self.questions;
        let asked = self
            .arc
            .advance(Check::Arc, questions)
            .or_else(|| self.iprev.advance(Check::Iprev, questions))
            .or_else(|| self.helo.advance(Check::Helo, questions));
        if let Some(question) = asked {
            return Need::Lookup(question);
        }
        let dmarc = self.dmarc.as_ref().and_then(Run::verdict);
        match (
            self.mail_from.verdict(),
            self.helo.verdict(),
            self.dkim.verdict(),
            self.arc.verdict(),
            dmarc,
            self.iprev.verdict(),
        ) {
            (Some(mail_from), Some(helo), Some(dkim), Some(arc), Some(dmarc), Some(iprev)) => {
                let author = dmarc.author_domain.as_ref();
                let vouched = author.and_then(|author| vouched(author, arc, &self.trusted_sealers));
                let done = dmarc.overridden(vouched.as_slice());
                Need::Done(Verdict {
                    inbound: self.inbound.clone(),
                    disposition: done.disposition,
                    overrides: done.reasons,
                    spf_mail_from: mail_from.clone(),
                    spf_helo: helo.clone(),
                    dkim: dkim.clone(),
                    arc: arc.clone(),
                    dmarc: dmarc.clone(),
                    iprev: iprev.clone(),
                    questions: self.questions.order().to_vec(),
                    answers: self.questions.answers().to_vec(),
                })
            }
            _ => Need::Wait,
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        for check in self.questions.answer(question, answer) {
            match check {
                Check::MailFrom => self.mail_from.answer(question, answer),
                Check::Helo => self.helo.answer(question, answer),
                Check::Iprev => self.iprev.answer(question, answer),
                Check::Dkim => self.dkim.answer(question, answer),
                Check::Arc => self.arc.answer(question, answer),
                Check::Dmarc => {
                    if let Some(dmarc) = &mut self.dmarc {
                        dmarc.answer(question, answer);
                    }
                }
            }
        }
    }
}
