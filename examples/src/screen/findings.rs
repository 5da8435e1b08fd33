//! What is found of a client and its message before the message comes.

use std::net::IpAddr;

use mail_dns::{Evaluation, Name, Question, resolve};
use mail_syntax::{Host, ReversePath};
use screening::dnsbl::{self, Dnsbl, Subjects};
use screening::early_talker::Conduct;
use screening::greylisting::Attempt;
use screening::helo::{self, Helo, Resolution};
use screening::iprev::{self, Iprev};
use screening::reputation;
use screening::s25r::{self, ReverseName};
use screening::scorer::{Evidence, Spf};
use spf::{CheckHost, SpfResult};
use tokio::time::{Instant, sleep_until};

use super::{KnownBy, PATIENCE, Screen};
use crate::resolver::Resolver;

/// Who wants to send, as it says.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its address.
    pub client: IpAddr,
    /// The argument of its HELO or EHLO, if it gave one.
    pub helo: Option<String>,
    /// Its MAIL FROM.
    pub sender: ReversePath,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Of whom.
    pub claim: Claim,
    /// How it speaks SMTP.
    pub conduct: Conduct,
    /// The names of its address.
    pub iprev: iprev::Verdict,
    /// Whether they look like an end user's line.
    pub s25r: s25r::Finding,
    /// What it calls itself.
    pub helo: Option<helo::Verdict>,
    /// What the lists say.
    pub lists: dnsbl::Verdict,
    /// What SPF says of MAIL FROM.
    pub spf: Option<spf::Verdict>,
    /// What its past is worth.
    pub past: Option<reputation::Score>,
}

impl Screen {
    /// Finds out what the DNS says within three seconds.
    pub async fn find(&self, resolver: &Resolver, claim: Claim, conduct: Conduct) -> Findings {
        let deadline = Instant::now() + PATIENCE;
        let helo = async {
            let helo = Helo::new(claim.helo.as_deref()?, claim.client, &self.ours);
            Some(answered(resolver, helo, deadline).await)
        };
        let spf = async {
            if !self.evaluate_spf {
                return None;
            }
            let client = spf::Client::new(claim.client, claim.helo.clone().unwrap_or_default());
            let check = CheckHost::mail_from(&client, &claim.sender, &spf::Config::default());
            Some(answered(resolver, check, deadline).await)
        };
        let iprev = Iprev::new(claim.client, &iprev::Limits::default());
        let iprev = answered(resolver, iprev, deadline);
        let (iprev, helo, spf) = tokio::join!(iprev, helo, spf);
        let mut subjects = Subjects::from(claim.client);
        subjects.mail_from = sender_domain(&claim.sender);
        subjects.helo = helo.as_ref().and_then(|helo| helo.name.clone());
        subjects.reverse_name = iprev.confirmed.first().cloned();
        let lists = self.ask_lists(resolver, subjects, deadline).await;
        Findings {
            s25r: self.s25r.check(claim.client, &ReverseName::from(&iprev)),
            claim,
            conduct,
            iprev,
            helo,
            lists,
            spf,
            past: None,
        }
    }

    /// Asks early what will be needed later: the resolver keeps the answers.
    pub(super) async fn ask_ahead(&self, resolver: &Resolver, client: IpAddr) {
        let deadline = Instant::now() + PATIENCE;
        let iprev = Iprev::new(client, &iprev::Limits::default());
        let iprev = answered(resolver, iprev, deadline);
        let lists = self.ask_lists(resolver, client.into(), deadline);
        tokio::join!(iprev, lists);
    }

    async fn ask_lists(
        &self,
        resolver: &Resolver,
        subjects: Subjects,
        deadline: Instant,
    ) -> dnsbl::Verdict {
        let dnsbl = Dnsbl::with_health(subjects, &self.lists, &self.health());
        let verdict = answered(resolver, dnsbl, deadline).await;
        self.health().observe(&verdict);
        verdict
    }
}

async fn answered<E: Evaluation>(
    resolver: &Resolver,
    evaluation: E,
    deadline: Instant,
) -> E::Verdict {
    let ask = |question: Question| async move { resolver.ask(&question).await };
    resolve(evaluation, ask, sleep_until(deadline)).await
}

fn sender_domain(sender: &ReversePath) -> Option<Name> {
    let ReversePath::Mailbox(mailbox) = sender else {
        return None;
    };
    match mailbox.host() {
        Host::Domain(domain) => domain.as_str().parse().ok(),
        Host::Literal(_) => None,
    }
}

/// A record of SPF that lets a /8 of IPv4 pass, or more, says nothing of who sends.
const MOST_BITS: u8 = 24;

impl Findings {
    /// For the scorer.
    #[must_use]
    pub fn evidence(&self) -> Evidence<'_> {
        let mut evidence = Evidence::default();
        evidence.client = Some(self.claim.client);
        evidence.iprev = Some(&self.iprev);
        evidence.s25r = Some(&self.s25r);
        evidence.helo = self.helo.as_ref();
        evidence.lists = Some(&self.lists);
        evidence.conduct = self.conduct;
        evidence.spf = self.spf.as_ref().map(|spf| match spf.result {
            SpfResult::None => Spf::None,
            SpfResult::Neutral => Spf::Neutral,
            SpfResult::Pass => Spf::Pass,
            SpfResult::Fail => Spf::Fail,
            SpfResult::SoftFail => Spf::SoftFail,
            SpfResult::TempError => Spf::TempError,
            SpfResult::PermError => Spf::PermError,
        });
        evidence.reputation = self.past.as_ref().map(|past| past.points);
        evidence
    }

    /// Whether the past speaks for the client, or a list does.
    pub(super) fn is_known(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.points < 0) || self.lists.score < 0
    }

    /// What the greylist is asked; by the address of MAIL FROM, empty for the null one, and the first recipient.
    pub(super) fn attempt<'a>(&'a self, sender: &'a str, recipient: &'a str) -> Attempt<'a> {
        let mut attempt = Attempt::new(self.claim.client, sender, recipient);
        let domain = sender.rsplit_once('@').map(|(_, domain)| domain);
        attempt.spf_pass = domain.filter(|_| self.spf_domain().is_some());
        attempt.dnswl = self.lists.score < 0;
        attempt
    }

    /// The domain that SPF proves, by a record that few share.
    fn spf_domain(&self) -> Option<String> {
        let spf = self.spf.as_ref()?;
        let narrow = spf.authorized_bits.is_none_or(|bits| bits < MOST_BITS);
        let domain = spf.authenticated_mail_from().filter(|_| narrow)?;
        Some(domain.as_str().to_owned())
    }

    /// What the client is known by.
    pub(crate) fn known_by(&self) -> KnownBy {
        let leads_back = |helo: &&helo::Verdict| helo.resolution == Resolution::Client;
        let helo = self.helo.as_ref().filter(leads_back);
        KnownBy {
            helo: helo.and_then(|helo| Some(helo.name.as_ref()?.to_string())),
            spf_domain: self.spf_domain(),
            ..KnownBy::address(self.claim.client)
        }
    }
}
