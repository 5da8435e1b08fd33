//! Who sends to a mail server, simulated: spammers that never retry and such that do, providers with pools of addresses, small honest
//! servers, lines of end users.
//!
//! A [`Population`] is read from a file in which every parameter stands with the reason for its value; [`Population::default`] is
//! `testkit/population.toml`, 10,000 addresses over thirty days. [`Population::run`] plays it against a policy: a function that is
//! shown one [`Attempt`] after the other, in the order of time, and says what the server answers. The policy can ask the [`World`] what
//! the DNS holds of a client, and nothing else; whether a sender is honest it never learns. The same seed gives the same month.
//!
//! ```
//! use testkit::population::{Population, Response};
//!
//! let mut population = Population::default();
//! population.days.value = 2;
//! let outcome = population.run(|_world, attempt| match attempt.number {
//!     0 => Response::Later,
//!     _ => Response::Accepted,
//! });
//! // Greylisting without a memory: bots do not come back.
//! assert!(outcome.catch_rate() > 0.5);
//! assert_eq!(outcome.false_refusal_rate(), 0.0);
//! ```

mod outcome;
mod world;

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::Random;
pub use outcome::{GroupOutcome, Outcome};
use world::Sender;
pub use world::{BLOCK_LIST, LOCAL_DOMAIN, WHITE_LIST, World};

/// The parameters: who there is, and how each group behaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// The seed of everything that is random.
    pub seed: Reasoned<u64>,
    /// How long the simulation runs, in days.
    pub days: Reasoned<u32>,
    /// Mailboxes of the server.
    pub recipients: Reasoned<u32>,
    /// Networks of hosting companies, a /24 and a /48 each, that servers of all groups share.
    pub hosting_networks: Reasoned<u32>,
    /// Networks of access providers, a /24 and a /48 each, that the lines of end users of all groups share.
    pub access_networks: Reasoned<u32>,
    /// The groups of senders.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
}

/// A value, and the reason for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasoned<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub why: String,
}

/// Senders that behave alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What they are.
    pub name: String,
    /// Whether their mail is wanted.
    pub honest: bool,
    /// How many there are.
    pub senders: Reasoned<u32>,
    /// Addresses of each, any of which makes an attempt.
    pub addresses: Reasoned<u32>,
    /// Networks of 24 bits that the addresses of one sender are spread over.
    pub networks: Reasoned<u32>,
    /// With whom its networks are shared.
    pub place: Reasoned<Place>,
    /// The share of senders that come by IPv6.
    pub ipv6: Reasoned<f64>,
    /// Leading bits that the addresses of a sender by IPv6 share: each attempt comes from another one behind them; 128: always the same.
    pub ipv6_prefix: Reasoned<u8>,
    /// Messages that one sender sends in a day, on average, while it is active.
    pub messages_a_day: Reasoned<f64>,
    /// Messages that it sends at once, a second apart.
    pub burst: Reasoned<u32>,
    /// How long a sender is active, from a random moment on; the whole time if as long as the simulation.
    pub active_days: Reasoned<f64>,
    /// Seconds until each further attempt after a temporary refusal; the last is repeated. None: the message is given up at once.
    pub retries: Reasoned<Vec<u64>>,
    /// How long after its first attempt a message is given up, in hours.
    pub queue_hours: Reasoned<f64>,
    /// How long a client waits for a reply, in seconds.
    pub patience: Reasoned<u64>,
    /// The share of senders that talk before they are greeted.
    pub early_talker: Reasoned<f64>,
    /// What the reverse tree says of their addresses.
    pub names: Reasoned<Names>,
    /// The share of names that lead back to their addresses.
    pub confirmed: Reasoned<f64>,
    /// What they say in HELO.
    pub helo: Reasoned<HeloWords>,
    /// The share of addresses that get into the block list.
    pub block_listed: Reasoned<f64>,
    /// How long after the first attempt; 0 is before the simulation begins.
    pub listed_after_hours: Reasoned<f64>,
    /// The share of senders that the white list holds.
    pub white_listed: Reasoned<f64>,
    /// What SPF says of the sender's domain.
    pub spf: Reasoned<SpfResults>,
    /// Whether SPF says the same of all messages of a sender, as its domain has one policy that is right or wrong.
    pub spf_is_settled: Reasoned<bool>,
    /// The share of messages with a signature of the sender's domain that DKIM passes.
    pub dkim_pass: Reasoned<f64>,
    /// Pairs of sender and recipient that write to each other again and again; 0: every message has another, and comes from a domain of
    /// somebody else unless SPF passes.
    pub correspondents: Reasoned<u32>,
    /// The share of messages to recipients whom there never was.
    pub unknown_recipients: Reasoned<f64>,
    /// The share of messages that a content filter takes for spam once it has them; see [`Attempt::looks_like_spam`].
    pub looks_like_spam: Reasoned<f64>,
}

/// Shares of senders whose networks are shared with others; the rest of 1 has networks of its own.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Among the customers of hosting companies.
    pub hosting: f64,
    /// Among the lines of end users.
    pub access: f64,
}

/// Shares of the kinds of reverse names; the rest of 1 is `plain`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// None.
    pub missing: f64,
    /// That of a line of an end user: numbers, or a word for the kind of line.
    pub dial_up: f64,
    /// That of a server, with words only.
    pub plain: f64,
    /// That of a server which is numbered, as in a pool or at a hosting company.
    pub numbered_server: f64,
}

/// Shares of what is said in HELO; the rest of 1 is `own`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeloWords {
    /// The name that the reverse tree has, or one of its own domain if there is none.
    pub own: f64,
    /// A name of its own domain that leads to it, whatever the reverse tree has.
    pub domain: f64,
    /// A name that leads elsewhere.
    pub elsewhere: f64,
    /// A name that does not exist.
    pub nowhere: f64,
    /// A private address in brackets, as a host behind address translation knows itself.
    pub private_literal: f64,
    /// One word.
    pub bare: f64,
    /// The name of the server it talks to.
    pub ours: f64,
}

/// Shares of results of SPF (RFC 7208 §2.6); the rest of 1 is `none`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpfResults {
    /// The client may send for the domain.
    pub pass: f64,
    /// It may not.
    pub fail: f64,
    /// It probably may not.
    pub soft_fail: f64,
    /// The policy says nothing of it.
    pub neutral: f64,
    /// The policy cannot be understood.
    pub perm_error: f64,
    /// A lookup failed.
    pub temp_error: f64,
    /// There is no policy.
    pub none: f64,
}

/// What SPF says of a message (RFC 7208 §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum Spf {
    Pass,
    Fail,
    SoftFail,
    Neutral,
    PermError,
    TempError,
    None,
}

impl SpfResults {
    fn draw(&self, random: &mut Random) -> Spf {
        let shares = [
            (self.pass, Spf::Pass),
            (self.fail, Spf::Fail),
            (self.soft_fail, Spf::SoftFail),
            (self.neutral, Spf::Neutral),
            (self.perm_error, Spf::PermError),
            (self.temp_error, Spf::TempError),
        ];
        match pick(random, shares.map(|(share, _)| share)) {
            Some(drawn) => shares[drawn].1,
            None => Spf::None,
        }
    }
}

/// One attempt to deliver one message to one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// When, in seconds since 1970.
    pub at: u64,
    /// From where.
    pub client: IpAddr,
    /// What was said in HELO.
    pub helo: &'a str,
    /// The address of MAIL FROM.
    pub sender: &'a str,
    /// What SPF says of the sender's domain.
    pub spf: Spf,
    /// The address of RCPT TO.
    pub recipient: &'a str,
    /// Whether the recipient is one whom there never was: then the message counts in no rate, whatever it gets.
    pub unknown_recipient: bool,
    /// Whether the client talked before it was greeted.
    pub early_talker: bool,
    /// How many attempts for this message there were before.
    pub number: u32,
    /// The domain of a signature that DKIM will pass, for a policy that learns from what it accepted.
    pub dkim_domain: Option<&'a str>,
    /// What a content filter would say of the message, for a policy that learns from what it accepted.
    pub looks_like_spam: bool,
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// It takes the message (250).
    Accepted,
    /// It takes it, and answers this late; a client that is less patient has gone.
    AcceptedAfter(Duration),
    /// Not now (450).
    Later,
    /// Never (550).
    Refused,
}

/// 2027-01-01, any start does.
const START: u64 = 1_798_761_600;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 24.0 * HOUR;

/// `testkit/population.toml`.
impl Default for Population {
    fn default() -> Self {
        match Self::read(include_str!("../population.toml")) {
            Ok(population) => population,
            Err(error) => panic!("population.toml: {error}"),
        }
    }
}

impl Population {
    /// Reads the parameters (TOML).
    ///
    /// # Errors
    ///
    /// What is missing, unknown or of another type, and where.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// How many addresses there are.
    pub fn addresses(&self) -> u64 {
        let of = |group: &Group| u64::from(group.senders.value) * u64::from(group.addresses.value);
        self.groups.iter().map(of).sum()
    }

    /// The same with each group, and the networks that they share, smaller by this factor: for tests that are to be quick.
    #[must_use]
    pub fn smaller(mut self, factor: u32) -> Self {
        let groups = self.groups.iter_mut().map(|group| &mut group.senders);
        for number in groups.chain([&mut self.hosting_networks, &mut self.access_networks]) {
            number.value = number.value.div_ceil(factor.max(1));
        }
        self
    }

    /// Plays the whole time against a policy.
    ///
    /// # Panics
    ///
    /// With more senders than their networks have addresses for.
    pub fn run(&self, mut policy: impl FnMut(&World, &Attempt<'_>) -> Response) -> Outcome {
        let mut random = Random::new(self.seed.value);
        let (world, mut senders) = World::new(self, &mut random);
        let mut outcome = Outcome::new(&self.groups);
        let end = START + u64::from(self.days.value) * 86_400;
        // What happens when, and in what order it came up where that is the same.
        let mut agenda = BinaryHeap::new();
        let mut order = 0_u64;
        for (number, sender) in senders.iter().enumerate() {
            agenda.push(Reverse((sender.active.start, order, number, None)));
            order += 1;
        }
        while let Some(Reverse((at, _, number, message))) = agenda.pop() {
            let sender = &mut senders[number];
            let group = &self.groups[sender.group];
            let message = message.unwrap_or_else(|| {
                let next = at + 1 + sender.pause(group);
                if next < sender.active.end.min(end) {
                    agenda.push(Reverse((next, order, number, None)));
                    order += 1;
                }
                let message = Message::new(self, group, sender, at);
                if !message.unknown_recipient {
                    outcome.message(sender.group);
                }
                message
            });
            let response = {
                let address = message.sender(group, sender);
                let domain = address.split_once('@').map(|(_, domain)| domain);
                let early_talker = sender.early_talker;
                let (client, helo) = sender.host();
                let attempt = Attempt {
                    at,
                    client,
                    helo,
                    sender: &address,
                    spf: message.spf,
                    recipient: &format!("user{}@{LOCAL_DOMAIN}", message.recipient),
                    unknown_recipient: message.unknown_recipient,
                    early_talker,
                    number: message.attempts,
                    dkim_domain: domain.filter(|_| message.dkim_pass),
                    looks_like_spam: message.looks_like_spam,
                };
                policy(&world, &attempt)
            };
            if message.unknown_recipient {
                continue;
            }
            let late = match response {
                Response::Accepted => Some(0),
                Response::AcceptedAfter(late) if late.as_secs() <= group.patience.value => {
                    Some(late.as_secs())
                }
                Response::Refused => {
                    outcome.refused(sender.group, sender.number);
                    continue;
                }
                Response::AcceptedAfter(_) | Response::Later => None,
            };
            match (late, group.wait(&message, at)) {
                (Some(late), _) => outcome.delivered(sender.group, at - message.first + late),
                (None, Some(wait)) => {
                    // Queues run when they can, not by the second.
                    let again = at + wait + sender.random.below(wait as usize / 10 + 1) as u64;
                    let attempts = message.attempts + 1;
                    let message = Message {
                        attempts,
                        ..message
                    };
                    agenda.push(Reverse((again, order, number, Some(message))));
                    order += 1;
                }
                (None, None) => outcome.given_up(sender.group, sender.number),
            }
        }
        outcome.sorted()
    }
}

impl Group {
    /// Seconds until the next attempt; none if the message is given up.
    fn wait(&self, message: &Message, now: u64) -> Option<u64> {
        let retries = &self.retries.value;
        let wait = retries
            .get(message.attempts as usize)
            .or_else(|| retries.last())?;
        let queued = (now + wait).saturating_sub(message.first);
        (queued as f64 <= self.queue_hours.value * HOUR).then_some(*wait)
    }
}

/// A message on its way; small, as many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    first: u64,
    /// Which of the sender's users wrote it, or any number for a forged one.
    user: u64,
    recipient: u32,
    attempts: u32,
    spf: Spf,
    dkim_pass: bool,
    unknown_recipient: bool,
    looks_like_spam: bool,
}

impl Message {
    fn new(population: &Population, group: &Group, sender: &mut Sender, at: u64) -> Self {
        let random = &mut sender.random;
        let recipients = population.recipients.value as usize;
        let (user, recipient) = match group.correspondents.value as usize {
            0 => (random.next(), random.below(recipients)),
            // A pair is the same user and recipient each time.
            pairs => {
                let pair = random.below(pairs);
                (pair as u64, (pair * 31 + sender.number) % recipients.max(1))
            }
        };
        let spf = match group.spf_is_settled.value {
            true => sender.spf,
            false => group.spf.value.draw(random),
        };
        Self {
            first: at,
            user,
            recipient: u32::try_from(recipient).unwrap_or_default(),
            attempts: 0,
            spf,
            dkim_pass: chance(random, group.dkim_pass.value),
            unknown_recipient: chance(random, group.unknown_recipients.value),
            looks_like_spam: chance(random, group.looks_like_spam.value),
        }
    }

    fn sender(&self, group: &Group, sender: &Sender) -> String {
        match self.spf == Spf::Pass || group.correspondents.value > 0 {
            true => format!("user{}@{}", self.user % 1_000, sender.domain),
            false => format!("{:x}@elsewhere{}.example", self.user, self.user % 5_000),
        }
    }
}

/// Whether something of this probability happens.
fn chance(random: &mut Random, probability: f64) -> bool {
    fraction(random) < probability
}

/// Seconds until the next of events that come at random, `mean` seconds apart on average.
fn exponential(random: &mut Random, mean: f64) -> u64 {
    (-(1.0 - fraction(random)).ln() * mean) as u64
}

/// Which of these shares of 1 it is; none for the rest.
fn pick<const N: usize>(random: &mut Random, shares: [f64; N]) -> Option<usize> {
    let mut left = fraction(random);
    shares.iter().position(|share| {
        left -= share;
        left < 0.0
    })
}

/// Anything from 0 to 1, without 1.
fn fraction(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_a_reason_and_there_are_ten_thousand_addresses() {
        let text = include_str!("../population.toml");
        let values = text.matches("value =").count();
        let reasons = text.matches("why = \"").count() - text.matches("why = \"\"").count();
        assert_eq!(values, reasons);
        assert_eq!(Population::default().addresses(), 10_000);
    }

    fn days(days: u32) -> Population {
        let mut population = Population::default();
        population.days.value = days;
        population
    }

    #[test]
    fn the_same_seed_is_the_same_month() {
        let run = |seed| {
            let mut population = days(1);
            population.seed.value = seed;
            let mut seen = Vec::new();
            population.run(|_, attempt| {
                seen.push(format!("{attempt:?}"));
                Response::Accepted
            });
            seen
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn time_goes_on_and_nothing_is_lost_by_the_simulation() {
        let mut last = 0;
        let mut attempts = 0;
        let outcome = days(2).run(|_, attempt| {
            assert!(last <= attempt.at);
            last = attempt.at;
            attempts += 1;
            match attempts % 7 {
                0 => Response::Refused,
                1 | 2 => Response::Later,
                3 => Response::AcceptedAfter(Duration::from_secs(20)),
                _ => Response::Accepted,
            }
        });
        for group in &outcome.groups {
            let delivered = group.delays.len() as u64;
            assert_eq!(group.messages, delivered + group.lost(), "{}", group.name);
            assert!(delivered > 0 && group.refused > 0, "{}", group.name);
        }
        assert!(outcome.groups[0].given_up > 0, "bots do not try again");
    }

    #[test]
    fn who_is_never_delayed_and_who_is_refused() {
        let all = days(1).run(|_, _| Response::Accepted);
        assert_eq!((all.catch_rate(), all.false_refusal_rate()), (0.0, 0.0));
        assert_eq!((all.mean_delay(), all.delay_of_share(1.0)), (0.0, 0));
        let none = days(1).run(|_, _| Response::Refused);
        assert_eq!((none.catch_rate(), none.false_refusal_rate()), (1.0, 1.0));
        let never = days(1).run(|_, _| Response::Later);
        assert_eq!(never.catch_rate(), 1.0);
        let late = days(1).run(|_, _| Response::AcceptedAfter(Duration::from_secs(30)));
        assert_eq!(
            late.groups[0].given_up, late.groups[0].messages,
            "bots are not patient"
        );
        assert_eq!((late.false_refusal_rate(), late.mean_delay()), (0.0, 30.0));
    }
}
