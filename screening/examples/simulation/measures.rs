//! A server that screens with some of the measures, and what it answers.

#![allow(clippy::expect_used, reason = "names and lists are literals")]

use core::time::Duration;
use std::collections::HashMap;
use std::net::IpAddr;

use mail_dns::{Evaluation, resolve_blocking};
use screening::dnsbl::{Dnsbl, List, Lists};
use screening::early_talker::Offence;
use screening::greylisting::{self, Greylist};
use screening::helo::{self, Helo, Ours};
use screening::iprev::{self, Iprev};
use screening::rate_limit::{self, Quota, RateLimit, Subject};
use screening::reputation::{self, Outcome as Conduct, Reputation};
use screening::s25r::{self, ReverseName, S25r};
use screening::scorer::{Decision, Evidence, Scorer, Spf, Thresholds, Weights};
use screening::store::{Keys, MemoryStore};
use testkit::population::{Attempt, BLOCK_LIST, LOCAL_DOMAIN, Response, WHITE_LIST, World};

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
    /// Messages of one address in an hour.
    pub(crate) rate: Option<u32>,
    /// Whether the past of a client counts.
    pub(crate) reputation: bool,
}

impl Measures {
    /// Each measure alone, then the combinations.
    pub(crate) fn all() -> Vec<Self> {
        let helo = weights(|weights| {
            (weights.helo_ours, weights.helo_not_qualified) = (1, 1);
        });
        let iprev = weights(|weights| {
            (weights.iprev_no_name, weights.iprev_fail) = (1, 1);
        });
        let talker = weights(|weights| weights.before_greeting = 1);
        let reputation = weights(|weights| weights.reputation_most = 12);
        let lists = weights(|weights| weights.block_lists_most = i32::MAX);
        let rules = Scorer::s25r().weights;
        vec![
            Self::alone("block list, refusing", lists, refusing(1)).with_lists(1, 0),
            Self::alone(
                "S25R, refusing for a time (no greylist)",
                rules.clone(),
                greylisting_at(1),
            ),
            Self::alone("iprev, refusing", iprev, refusing(1)),
            Self::alone("HELO (ours or one word), refusing", helo, refusing(1)),
            Self::alone("early talker, refusing", talker, refusing(1)),
            Self::alone(
                "tarpit of 20 s for everybody",
                Weights::none(),
                tarpit_at(0),
            ),
            Self {
                rate: Some(60),
                ..Self::alone(
                    "60 messages an hour of an address",
                    Weights::none(),
                    never(),
                )
            },
            Self {
                reputation: true,
                ..Self::alone(
                    "reputation, refusing from 6 points",
                    reputation,
                    refusing(3),
                )
            },
            Self {
                greylisting: true,
                ..Self::alone(
                    "greylisting of everybody",
                    Weights::none(),
                    greylisting_at(0),
                )
            },
            Self {
                greylisting: true,
                ..Self::alone("S25R and greylisting", rules, greylisting_at(1)).with_lists(0, -1)
            },
            Self::default(),
        ]
    }

    fn alone(name: &'static str, weights: Weights, thresholds: Thresholds) -> Self {
        let mut scorer = Scorer::default();
        (scorer.weights, scorer.thresholds) = (weights, thresholds);
        Self {
            name,
            scorer,
            lists: (0, 0),
            greylisting: false,
            rate: None,
            reputation: false,
        }
    }

    fn with_lists(self, block: i32, white: i32) -> Self {
        Self {
            lists: (block, white),
            ..self
        }
    }
}

/// The default of everything: all measures together.
impl Default for Measures {
    fn default() -> Self {
        Self {
            greylisting: true,
            rate: Some(60),
            reputation: true,
            ..Self::alone(
                "all together, by default",
                Weights::default(),
                Thresholds::default(),
            )
        }
        .with_lists(4, -3)
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
    greylist: Greylist,
    rate: RateLimit,
    reputation: Reputation,
    store: MemoryStore,
    /// What the resolver still holds of each client.
    known: HashMap<IpAddr, Known>,
}

struct Known {
    until: u64,
    iprev: iprev::Verdict,
    helo: helo::Verdict,
    suspicion: s25r::Finding,
    lists: screening::dnsbl::Verdict,
}

/// How long answers of the DNS are held.
const HELD: u64 = 900;

impl<'a> Server<'a> {
    pub(crate) fn new(measures: &'a Measures) -> Self {
        let keys = Keys::new(*b"a simulated key.");
        let zone = |text: &str| text.parse().expect("a zone");
        let lists = [
            List::new(zone(BLOCK_LIST), measures.lists.0),
            List::new(zone(WHITE_LIST), measures.lists.1),
        ];
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
        let past = reputation::Client::new(attempt.client);
        let points = self.measures.reputation.then(|| {
            let Ok(score) = self.reputation.score(&mut self.store, &past, attempt.at);
            score.points
        });
        let mut response = self.decide(world, attempt, points);
        // Last, so that an attempt which was told to come again is not counted twice.
        if matches!(response, Response::Accepted | Response::AcceptedAfter(_))
            && !self.within_rate(attempt, points)
        {
            response = Response::Later;
        }
        if self.measures.reputation {
            let conduct = match response {
                Response::Later => return response,
                Response::Refused => Conduct::Refused,
                _ if attempt.looks_like_spam => Conduct::Spam,
                _ => Conduct::Accepted,
            };
            let Ok(()) = self
                .reputation
                .record(&mut self.store, &past, conduct, attempt.at);
        }
        response
    }

    fn decide(&mut self, world: &World, attempt: &Attempt<'_>, points: Option<i32>) -> Response {
        self.look_up(world, attempt);
        let known = &self.known[&attempt.client];
        let mut evidence = Evidence::default();
        evidence.client = Some(attempt.client);
        evidence.iprev = Some(&known.iprev);
        evidence.helo = Some(&known.helo);
        evidence.s25r = Some(&known.suspicion);
        evidence.lists = Some(&known.lists);
        evidence.reputation = points;
        evidence.spf = Some(if attempt.spf_pass {
            Spf::Pass
        } else {
            Spf::None
        });
        if attempt.early_talker {
            evidence.conduct.saw(Offence::BeforeGreeting);
        }
        let white = known.lists.score < 0;
        let delay = match self.measures.scorer.score(&evidence).decision {
            Decision::Accept => return Response::Accepted,
            Decision::Refuse => return Response::Refused,
            Decision::Greylist => None,
            Decision::Tarpit(delay) => Some(delay),
        };
        if !self.measures.greylisting && delay.is_none() {
            return Response::Later;
        }
        if self.measures.greylisting {
            let mut coming =
                greylisting::Attempt::new(attempt.client, attempt.sender, attempt.recipient);
            let domain = attempt.sender.split_once('@').map(|(_, domain)| domain);
            coming.spf_pass = domain.filter(|_| attempt.spf_pass);
            coming.dnswl = white;
            let Ok(decision) = self.greylist.check(&mut self.store, &coming, attempt.at);
            if let greylisting::Decision::Delay { .. } = decision {
                return Response::Later;
            }
        }
        match delay {
            None => Response::Accepted,
            Some(delay) => Response::AcceptedAfter(delay),
        }
    }

    /// Whoever has a good past, or is on a white list, may send more.
    fn within_rate(&mut self, attempt: &Attempt<'_>, points: Option<i32>) -> bool {
        let Some(unknown) = self.measures.rate else {
            return true;
        };
        let is_known =
            points.is_some_and(|points| points < 0) || self.known[&attempt.client].lists.score < 0;
        let count = if is_known { 1_000 } else { unknown };
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
            let known = Known {
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
