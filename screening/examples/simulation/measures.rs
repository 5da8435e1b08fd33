//! A server that screens with some of the measures, and what it answers.

#![allow(clippy::expect_used, reason = "names and lists are literals")]

use core::time::Duration;
use std::collections::HashMap;
use std::net::IpAddr;

use mail_dns::{Evaluation, resolve_blocking};
use screening::dnsbl::{Dnsbl, List, Lists};
use screening::early_talker::Offence;
use screening::greylisting::{self, Greylist, Known};
use screening::helo::{self, Helo, Ours, Resolution};
use screening::iprev::{self, Iprev};
use screening::rate_limit::{self, Quota, RateLimit, Subject};
use screening::reputation::{self, Outcome as Conduct, Reputation};
use screening::s25r::{self, ReverseName, S25r};
use screening::scorer::{Decision, Evidence, Scorer, Spf, Thresholds, Weights};
use screening::store::{Keys, MemoryStore};
use testkit::population::{self, Attempt, BLOCK_LIST, LOCAL_DOMAIN, Response, WHITE_LIST, World};

/// What a server does about those who want to send to it.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// What findings are worth, and what they lead to.
    pub(crate) scorer: Scorer,
    /// What the block list and the white list are worth.
    pub(crate) lists: (i32, i32),
    /// Whether clients that are to be greylisted may come back; otherwise they are put off for ever.
    pub(crate) greylisting: bool,
    /// Messages in an hour of an address that is not known, and of one that is: with a good past or on the white list.
    pub(crate) rates: Option<(u32, u32)>,
    /// Whether the past of a client counts.
    pub(crate) reputation: bool,
    /// Whether reputation learns from a content filter behind the server; without one all that is taken is good.
    pub(crate) content_filter: bool,
}

impl Measures {
    /// Each measure alone, then the default with what it is given.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Self::each_alone();
        all.extend([
            Self::default(),
            Self::default()
                .with_lists(4, -3)
                .called("as installed, with lists"),
            Self::default()
                .with_content_filter()
                .called("as installed, with a content filter"),
            Self::default()
                .with_lists(4, -3)
                .with_content_filter()
                .called("as installed, with lists and a content filter"),
        ]);
        all
    }

    fn each_alone() -> Vec<Self> {
        let block_list = weights(|weights| weights.block_lists_most = i32::MAX);
        let iprev = weights(|weights| {
            (weights.iprev_no_name, weights.iprev_fail) = (1, 1);
        });
        let helo = weights(|weights| {
            (weights.helo_ours, weights.helo_not_qualified) = (1, 1);
        });
        let talker = weights(|weights| weights.before_greeting = 1);
        let spf = weights(|weights| weights.spf_fail = 1);
        let rules = Scorer::s25r().weights;
        vec![
            Self::alone("block list, refusing", block_list, refusing(1)).with_lists(1, 0),
            Self::alone(
                "S25R, refusing for a time (no greylist)",
                rules.clone(),
                greylisting_at(1),
            ),
            Self::alone("iprev, refusing", iprev, refusing(1)),
            Self::alone("HELO (ours or one word), refusing", helo, refusing(1)),
            Self::alone("SPF fail, refusing", spf, refusing(1)),
            Self::alone("early talker, refusing", talker, refusing(1)),
            Self::alone(
                "tarpit of 20 s for everybody",
                Weights::none(),
                tarpit_at(0),
            ),
            Self::rates(),
            Self::reputation(6),
            Self::greylisting("greylisting of everybody", Weights::none(), 0),
            Self::greylisting("S25R and greylisting", rules.clone(), 1),
            Self::greylisting("S25R, greylisting and a white list", rules, 1).with_lists(0, -1),
        ]
    }

    /// Nothing but this.
    pub(crate) fn alone(name: &'static str, weights: Weights, thresholds: Thresholds) -> Self {
        let mut scorer = Scorer::default();
        (scorer.weights, scorer.thresholds) = (weights, thresholds);
        Self {
            name,
            scorer,
            lists: (0, 0),
            greylisting: false,
            rates: None,
            reputation: false,
            content_filter: false,
        }
    }

    /// Rates alone: as nobody has a past, everybody is unknown.
    pub(crate) fn rates() -> Self {
        Self {
            rates: Some((60, 60)),
            ..Self::alone(
                "60 messages an hour of an address",
                Weights::none(),
                never(),
            )
        }
    }

    /// Reputation alone, from a content filter.
    pub(crate) fn reputation(points: i64) -> Self {
        let weights = weights(|weights| weights.reputation_most = i32::MAX);
        Self {
            reputation: true,
            content_filter: true,
            ..Self::alone(
                "reputation by a content filter, refusing from 6 points",
                weights,
                refusing(points),
            )
        }
    }

    fn greylisting(name: &'static str, weights: Weights, score: i64) -> Self {
        Self {
            greylisting: true,
            ..Self::alone(name, weights, greylisting_at(score))
        }
    }

    /// Whether it is the default, with whatever it is given.
    pub(crate) fn is_combination(&self) -> bool {
        self.scorer == Scorer::default()
    }

    pub(crate) fn called(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn with_lists(self, block: i32, white: i32) -> Self {
        Self {
            lists: (block, white),
            ..self
        }
    }

    pub(crate) fn with_content_filter(self) -> Self {
        Self {
            content_filter: true,
            ..self
        }
    }
}

/// What the example server does as it is installed: without lists, and without a content filter.
impl Default for Measures {
    fn default() -> Self {
        Self {
            greylisting: true,
            rates: Some((60, 1_000)),
            reputation: true,
            ..Self::alone(
                "as installed: no lists, no content filter",
                Weights::default(),
                Thresholds::default(),
            )
        }
    }
}

/// Only what is set here is worth anything.
fn weights(set: impl FnOnce(&mut Weights)) -> Weights {
    let mut weights = Weights::none();
    set(&mut weights);
    weights
}

fn never() -> Thresholds {
    let mut thresholds = Thresholds::default();
    (thresholds.greylist, thresholds.tarpit, thresholds.refuse) = (None, None, None);
    thresholds
}

fn refusing(score: i64) -> Thresholds {
    let mut thresholds = never();
    (thresholds.refuse, thresholds.refuse_findings) = (Some(score), 1);
    thresholds
}

fn greylisting_at(score: i64) -> Thresholds {
    let mut thresholds = never();
    thresholds.greylist = Some(score);
    thresholds
}

fn tarpit_at(score: i64) -> Thresholds {
    let mut thresholds = never();
    thresholds.tarpit = Some(score);
    thresholds
}

/// A server with its memory.
pub(crate) struct Server<'a> {
    measures: &'a Measures,
    lists: Lists,
    ours: Ours,
    pub(crate) greylist: Greylist,
    rate: RateLimit,
    reputation: Reputation,
    store: MemoryStore,
    /// What the resolver still holds of each client.
    known: HashMap<IpAddr, Answers>,
}

struct Answers {
    until: u64,
    iprev: iprev::Verdict,
    helo: helo::Verdict,
    suspicion: s25r::Finding,
    lists: screening::dnsbl::Verdict,
}

/// How long answers of the DNS are held, in seconds.
const HELD: u64 = 3_600;

impl<'a> Server<'a> {
    pub(crate) fn new(measures: &'a Measures) -> Self {
        let keys = Keys::new(*b"a simulated key.");
        let zone = |text: &str| text.parse().expect("a zone");
        let (block, white) = measures.lists;
        let lists = [(BLOCK_LIST, block), (WHITE_LIST, white)]
            .into_iter()
            .filter(|(_, weight)| *weight != 0)
            .map(|(name, weight)| List::new(zone(name), weight));
        let mut ours = Ours::default();
        ours.names.push(zone(&format!("mail.{LOCAL_DOMAIN}")));
        Self {
            measures,
            lists: Lists::new(lists, 1, &Default::default()).expect("two lists"),
            ours,
            greylist: Greylist::new(keys),
            rate: RateLimit::new(keys),
            reputation: Reputation::new(keys),
            store: MemoryStore::new(200_000),
            known: HashMap::new(),
        }
    }

    /// What this attempt gets.
    pub(crate) fn respond(&mut self, world: &World, attempt: &Attempt<'_>) -> Response {
        self.look_up(world, attempt);
        if attempt.unknown_recipient {
            let client = reputation::Client::new(attempt.client);
            self.record(&client, Conduct::UnknownRecipient, attempt.at);
            return Response::Refused;
        }
        let helo = self.known[&attempt.client].helo.clone();
        let domain = attempt.sender.split_once('@').map(|(_, domain)| domain);
        let helo = helo
            .name
            .filter(|_| helo.resolution == Resolution::Client)
            .map(|name| name.to_string());
        let mut client = reputation::Client::new(attempt.client);
        client.helo = helo.as_deref();
        client.spf_domain = domain.filter(|_| attempt.spf == population::Spf::Pass);
        let past = self.past(&client, attempt.at);
        let is_known = past.points < 0 || self.known[&attempt.client].lists.score < 0;
        let mut response = self.decide(attempt, &client, &past);
        // Last, so that an attempt which was told to come again is not counted twice.
        let is_accepted = |response| !matches!(response, Response::Later | Response::Refused);
        if is_accepted(response) && !self.within_rate(attempt, is_known) {
            response = Response::Later;
        }
        if is_accepted(response) {
            let found = self.measures.content_filter && attempt.looks_like_spam;
            let signed = attempt.dkim_domain.map(|domain| [domain]);
            client.dkim_domains = signed.as_ref().map_or(&[], |domains| domains);
            let outcome = if found {
                Conduct::Spam
            } else {
                Conduct::Accepted
            };
            self.record(&client, outcome, attempt.at);
        }
        response
    }

    fn past(&mut self, client: &reputation::Client<'_>, at: u64) -> reputation::Score {
        if !self.measures.reputation {
            return reputation::Score::default();
        }
        let Ok(score) = self.reputation.score(&mut self.store, client, at);
        score
    }

    fn record(&mut self, client: &reputation::Client<'_>, outcome: Conduct, at: u64) {
        if self.measures.reputation {
            let Ok(()) = self.reputation.record(&mut self.store, client, outcome, at);
        }
    }

    fn decide(
        &mut self,
        attempt: &Attempt<'_>,
        client: &reputation::Client<'_>,
        past: &reputation::Score,
    ) -> Response {
        let known = &self.known[&attempt.client];
        let mut evidence = Evidence::default();
        evidence.client = Some(attempt.client);
        evidence.iprev = Some(&known.iprev);
        evidence.helo = Some(&known.helo);
        evidence.s25r = Some(&known.suspicion);
        evidence.lists = Some(&known.lists);
        evidence.reputation = Some(past.points);
        evidence.network_reputation = Some(past.network_points);
        evidence.spf = Some(spf(attempt.spf));
        // Whoever has a good past is greeted at once.
        if attempt.early_talker && past.points >= 0 {
            evidence.conduct.saw(Offence::BeforeGreeting);
        }
        let white = known.lists.score < 0;
        let verdict = self.measures.scorer.score(&evidence);
        let delay = match verdict.decision {
            Decision::Accept => return Response::Accepted,
            Decision::Refuse => {
                if verdict.is_for_conduct() {
                    self.record(client, Conduct::Refused, attempt.at);
                }
                return Response::Refused;
            }
            Decision::Greylist => None,
            Decision::Tarpit(delay) => Some(delay),
        };
        if !self.measures.greylisting && delay.is_none() {
            return Response::Later;
        }
        if self.measures.greylisting {
            let mut coming =
                greylisting::Attempt::new(attempt.client, attempt.sender, attempt.recipient);
            coming.spf_pass = client.spf_domain;
            coming.dnswl = white;
            let Ok(decision) = self.greylist.check(&mut self.store, &coming, attempt.at);
            match decision {
                greylisting::Decision::Delay { .. } => return Response::Later,
                greylisting::Decision::Pass(Known::Retry) => {
                    self.record(client, Conduct::CameBack, attempt.at);
                }
                greylisting::Decision::Pass(_) => {}
            }
        }
        match delay {
            None => Response::Accepted,
            Some(delay) => Response::AcceptedAfter(delay),
        }
    }

    fn within_rate(&mut self, attempt: &Attempt<'_>, is_known: bool) -> bool {
        let Some((unknown, known)) = self.measures.rates else {
            return true;
        };
        let count = if is_known { known } else { unknown };
        let quota = Quota::new(count, Duration::from_secs(3_600));
        let wanted = [(Subject::Address(attempt.client), quota)];
        let Ok(decision) = self.rate.check(&mut self.store, &wanted, 1, attempt.at);
        matches!(decision, rate_limit::Decision::Pass)
    }

    /// Everything that the DNS says of a client, all at once.
    fn look_up(&mut self, world: &World, attempt: &Attempt<'_>) {
        let (at, client) = (attempt.at, attempt.client);
        if self
            .known
            .get(&client)
            .is_none_or(|known| known.until <= at)
        {
            let iprev = ask(world, at, Iprev::new(client, &Default::default()));
            let known = Answers {
                until: at + HELD,
                helo: ask(world, at, Helo::new(attempt.helo, client, &self.ours)),
                suspicion: S25r::default().check(client, &ReverseName::from(&iprev)),
                lists: ask(world, at, Dnsbl::new(client, &self.lists)),
                iprev,
            };
            self.known.insert(client, known);
        }
    }
}

fn ask<E: Evaluation>(world: &World, at: u64, evaluation: E) -> E::Verdict {
    resolve_blocking(evaluation, |question| world.answer(question, at))
}

const fn spf(spf: population::Spf) -> Spf {
    match spf {
        population::Spf::Pass => Spf::Pass,
        population::Spf::Fail => Spf::Fail,
        population::Spf::SoftFail => Spf::SoftFail,
        population::Spf::Neutral => Spf::Neutral,
        population::Spf::PermError => Spf::PermError,
        population::Spf::TempError => Spf::TempError,
        population::Spf::None => Spf::None,
    }
}
