//! What those who send to us have sent before, and how much weight that has.
//!
//! Each outcome of an attempt is recorded for all that the client is known by: its address and networks, its AS number, its HELO name, the
//! domains that SPF and DKIM proved. What was recorded loses half of its weight in each half-life, and nothing is said before there is
//! enough. All numbers are integers, so that every machine says the same.
//!
//! What the client has done itself ([`Score::points`]) is kept apart from what its neighbours have ([`Score::network_points`]): honest
//! servers stand beside spammers at every hosting company, so a network earns a greylisting at most, and none for a client that has sent
//! good mail itself. Of IPv6 the /64 is the client, as everybody has one and may send from another of its addresses each time; where a
//! hosting company puts several customers into one /64, they share a reputation.
//!
//! Names count with the address, and not in its place: a good HELO name or SPF domain takes at most [`Policy::good_points`] off what the
//! address has earned itself, so that a server that was broken into does not live on its domain's past. Domains of DKIM stand apart, as
//! a signature says who answers for the content and nothing of who brings it. The worst of them counts against whichever server brings
//! the message. A good one counts for it by [`Policy::good_points`] at most, and only where nothing speaks against the client itself: whoever
//! has one signed message can bring it again from anywhere.
//!
//! ```
//! use screening::reputation::{Client, Outcome, Reputation};
//! use screening::store::{Keys, MemoryStore};
//!
//! let reputation = Reputation::new(Keys::new([7; 16]));
//! let mut store = MemoryStore::new(100_000);
//! let client = Client::new("203.0.113.80".parse()?);
//! let now = 1_800_000_000;
//! assert!(reputation.score(&mut store, &client, now)?.reasons.is_empty());
//! for _ in 0..40 {
//!     reputation.record(&mut store, &client, Outcome::Spam, now)?;
//! }
//! for _ in 0..10 {
//!     reputation.record(&mut store, &client, Outcome::Accepted, now)?;
//! }
//! let score = reputation.score(&mut store, &client, now)?;
//! assert_eq!((score.points, score.network_points), (7, 0));
//! assert_eq!(
//!     score.reasons[0].to_string(),
//!     "address 203.0.113.80: 40 of 50 bad, -60 at a confidence of 90 % (halved every 7 days)"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod record;

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use crate::Network;
use crate::store::{Entry, Key, Keys, Kind, Store, Value};
use crate::text::{Lower, Quoted};
use record::{ONE, Record, STEP_BITS, hour};

/// How outcomes are weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// After how long an outcome has half of its weight. Default: 7 days: a machine that was cleaned is trusted again within a month, a
    /// weekend does not clear anybody. At least 256 seconds. Raising it forgives later.
    pub half_life: Duration,
    /// The weight of all outcomes, as of that many messages, below which nothing is said. Default: 5.
    pub minimum: u32,
    /// The most weight that is kept, as of that many messages; beyond it what is older weighs less. Default: 200, at most 10,000.
    /// Raising it lets somebody who has sent much good mail send more spam before it shows.
    pub most: u32,
    /// The points of the best reputation there can be, taken off a score. Default: 2: good conduct is cheap to feign.
    pub good_points: i32,
    /// How long something must have been known until good outcomes are more than none at all. Default: 1 day, to the hour: whoever sends a
    /// thousand messages at once shall not be trusted for the first hundred of them. Bad outcomes count at once.
    pub good_after: Duration,
    /// The points of the worst reputation there can be. Default: 14: with one finding more it is a refusal, alone it is none.
    pub bad_points: i32,
    /// The points of the worst reputation that its networks can give a client. Default: 4, which is a greylisting once it is sure.
    /// Raising it makes honest servers pay for their neighbours.
    pub network_points: i32,
    /// Domains of DKIM signatures that count of a message. Default: 4; each costs an entry. Raising it lets one message fill more of the
    /// store.
    pub dkim_domains: usize,
    /// Leading bits of an IPv4 address that make a network. Default: 24, the smallest that is routed.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that make one client. Default: 64, the least that one host is given.
    pub ipv6_prefix: u8,
    /// Leading bits of an IPv6 address that make networks. Default: 48, what a site is given, and 32, what a provider is; the latter counts
    /// half as much.
    pub ipv6_networks: [u8; 2],
    /// What each outcome weighs.
    pub weights: Weights,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            half_life: Duration::from_secs(7 * 24 * 3600),
            minimum: 5,
            most: 200,
            good_points: 2,
            good_after: Duration::from_secs(24 * 3600),
            bad_points: 14,
            network_points: 4,
            dkim_domains: 4,
            ipv4_prefix: 24,
            ipv6_prefix: 64,
            ipv6_networks: [48, 32],
            weights: Weights::default(),
        }
    }
}

/// What became of an attempt to send us something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Taken, and nothing was found. Good.
    Accepted,
    /// It came back when it was asked to. Good.
    CameBack,
    /// To a recipient whom there never was. Bad.
    UnknownRecipient,
    /// DMARC failed. Bad.
    DmarcFail,
    /// Refused for what the client did: a protocol error, a HELO name that lies, a limit. Bad. Not for what it is called, what lists say or
    /// what it did before: a refusal would be the reason of the next ([`Verdict::is_for_conduct`](crate::scorer::Verdict::is_for_conduct)).
    Refused,
    /// Found to be spam. Bad.
    Spam,
    /// A recipient complained. Bad.
    Complaint,
    /// It carried a virus. Bad.
    Virus,
    /// To an address that nobody was ever given. Bad.
    SpamTrap,
}

/// What each outcome weighs, in tenths of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct Weights {
    /// Default: 10.
    pub accepted: u16,
    /// Default: 5: it shows a queue, which spammers on rented servers have too.
    pub came_back: u16,
    /// Default: 5: people mistype.
    pub unknown_recipient: u16,
    /// Default: 5: mailing lists break signatures.
    pub dmarc_fail: u16,
    /// Default: 10.
    pub refused: u16,
    /// Default: 10.
    pub spam: u16,
    /// Default: 50: few of those who are annoyed complain.
    pub complaint: u16,
    /// Default: 50.
    pub virus: u16,
    /// Default: 100: no honest mail goes there.
    pub spam_trap: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            accepted: 10,
            came_back: 5,
            unknown_recipient: 5,
            dmarc_fail: 5,
            refused: 10,
            spam: 10,
            complaint: 50,
            virus: 50,
            spam_trap: 100,
        }
    }
}

impl Weights {
    const fn of(&self, outcome: Outcome) -> u16 {
        match outcome {
            Outcome::Accepted => self.accepted,
            Outcome::CameBack => self.came_back,
            Outcome::UnknownRecipient => self.unknown_recipient,
            Outcome::DmarcFail => self.dmarc_fail,
            Outcome::Refused => self.refused,
            Outcome::Spam => self.spam,
            Outcome::Complaint => self.complaint,
            Outcome::Virus => self.virus,
            Outcome::SpamTrap => self.spam_trap,
        }
    }
}

/// Who sends, by all that is proven of it: what is not proven would earn a reputation for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client<'a> {
    /// The address.
    pub address: IpAddr,
    /// The number of the autonomous system that announces the address, as [`asn`](crate::asn) asks for it.
    pub asn: Option<u32>,
    /// The HELO name, if it leads to the address.
    pub helo: Option<&'a str>,
    /// The domain for which SPF said pass.
    pub spf_domain: Option<&'a str>,
    /// The domains (`d=`) of signatures that DKIM passed.
    pub dkim_domains: &'a [&'a str],
}

impl Client<'_> {
    /// A client of whom the address alone is known.
    pub const fn new(address: IpAddr) -> Self {
        Self {
            address,
            asn: None,
            helo: None,
            spf_domain: None,
            dkim_domains: &[],
        }
    }
}

/// One thing that a client is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject<'a> {
    /// An address; of IPv6 the network that is one client's.
    Address(Network),
    /// A network that others are in, too.
    Network(Network),
    /// An autonomous system.
    Asn(u32),
    /// A HELO name.
    Helo(&'a str),
    /// A domain of SPF.
    SpfDomain(&'a str),
    /// A domain of DKIM.
    DkimDomain(&'a str),
}

impl Subject<'_> {
    /// How much it says of the next message, in quarters: all of an address is one host, much else is behind an AS number.
    const fn share(&self) -> u32 {
        match self {
            Self::Address(_) => SHARES,
            Self::SpfDomain(_) | Self::DkimDomain(_) => 3,
            Self::Helo(_) => 1,
            // All of a provider.
            Self::Network(network) if network.address().is_ipv6() && network.prefix() <= 32 => 2,
            Self::Asn(_) => 2,
            Self::Network(_) => SHARES,
        }
    }
}

const SHARES: u32 = 4;

/// Names are quoted: what a terminal would obey is escaped.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(network) if network.is_one() => {
                write!(f, "address {}", network.address())
            }
            Self::Address(network) => write!(f, "address {network}"),
            Self::Network(network) => write!(f, "network {network}"),
            Self::Asn(number) => write!(f, "AS{number}"),
            Self::Helo(name) => write!(f, "HELO {}", Quoted(name)),
            Self::SpfDomain(name) => write!(f, "SPF domain {}", Quoted(name)),
            Self::DkimDomain(name) => write!(f, "DKIM domain {}", Quoted(name)),
        }
    }
}

/// What a store makes say of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opinion {
    /// From -100, all that came was bad, to 100, all was good; 0 at most until it has been known for [`Policy::good_after`].
    pub value: i32,
    /// How much is behind it, in percent.
    pub confidence: u32,
    /// Bad outcomes, rounded; like all of them they count less the older they are.
    pub bad: u32,
    /// Outcomes.
    pub of: u32,
}

/// The reputation of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Score {
    /// What a scorer adds for what the client itself has sent: above 0 for a bad reputation, below 0 for a good one, 0 where too little is
    /// known. Between `-Policy::good_points` and `Policy::bad_points`.
    pub points: i32,
    /// What a scorer adds for what came from its networks, and what must refuse nobody: by how much they are worse than the client itself,
    /// from 0 to `Policy::network_points`. 0 where the client's own reputation is good.
    pub network_points: i32,
    /// From -100, all that the client sent was bad, to 100, all was good; what is surer and more specific counts more.
    pub value: i32,
    /// How much is behind it, in percent.
    pub confidence: u32,
    /// What has the greatest share in the points, as [`Subject`] prints it; none where there are none.
    pub mostly: Option<String>,
    /// The same of the points for its networks.
    pub network_mostly: Option<String>,
    /// What is known, the most specific first.
    pub reasons: Vec<Reason>,
}

/// The reputation of one thing that a client is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// What it is, as [`Subject`] prints it.
    pub subject: String,
    /// What is known of it.
    pub opinion: Opinion,
    /// After how long an outcome counts half.
    pub half_life: Duration,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Opinion {
            value,
            confidence,
            bad,
            of,
        } = self.opinion;
        write!(
            f,
            "{}: {bad} of {of} bad, {value:+} at a confidence of {confidence} % (halved every ",
            self.subject
        )?;
        match self.half_life.as_secs() {
            seconds if seconds.is_multiple_of(86_400) => write!(f, "{} days)", seconds / 86_400),
            seconds => write!(f, "{seconds} s)"),
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reasons.is_empty() {
            return f.write_str("too little is known");
        }
        write!(f, "{:+} points", self.points)?;
        if self.network_points != 0 {
            write!(f, ", {:+} for its network", self.network_points)?;
        }
        for (at, reason) in self.reasons.iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { "; " })?;
            write!(f, "{reason}")?;
        }
        Ok(())
    }
}

/// The rules alone, for a store that answers asynchronously.
impl Policy {
    /// What is kept of a subject after one more outcome.
    pub fn recorded(&self, value: Option<Value>, outcome: Outcome, now: u64) -> Entry {
        let mut record = self.aged(value, now);
        let weight = u64::from(self.weights.of(outcome)) * ONE / 10;
        let side = match outcome {
            Outcome::Accepted | Outcome::CameBack => &mut record.good,
            _ => &mut record.bad,
        };
        side.weight += weight;
        side.count += ONE;
        record.keep_at_most(self.most());
        Entry {
            value: record.packed(),
            // Ten half-lives on a thousandth is left.
            expires: now.saturating_add(self.step().saturating_mul(10 << STEP_BITS)),
        }
    }

    /// What is known of a subject; none if it is too little.
    pub fn opinion(&self, value: Option<Value>, now: u64) -> Option<Opinion> {
        let record = self.aged(value, now);
        let weight = record.weight();
        let minimum = u64::from(self.minimum.max(1)) * ONE;
        if weight < minimum.min(self.most()) {
            return None;
        }
        let percent = |part: u64, whole: u64| (part * 100 + whole / 2) / whole.max(1);
        let bad = percent(record.bad.weight, weight);
        let hours = hour(now).saturating_sub(record.since);
        let is_new = hours < self.good_after.as_secs().div_ceil(3_600);
        // From 0 to 100, so that neither cast loses anything.
        let value = 100 - 2 * bad as i32;
        let rounded = |number: u64| ((number + ONE / 2) / ONE) as u32;
        Some(Opinion {
            value: if is_new { value.min(0) } else { value },
            confidence: (100 * weight / (weight + minimum)) as u32,
            bad: rounded(record.bad.count),
            of: rounded(record.bad.count + record.good.count),
        })
    }

    /// The reputation of a client of whose subjects this is known.
    pub fn score<'a>(
        &self,
        opinions: impl IntoIterator<Item = (Subject<'a>, Option<Opinion>)>,
    ) -> Score {
        let [mut address, mut own, mut signers, mut neighbours] = [const { Sum::new() }; 4];
        let (mut worst_signer, mut best_signer) = (0, 0);
        let mut reasons = Vec::new();
        for (subject, opinion) in opinions {
            let Some(opinion) = opinion else { continue };
            let mut alone = Sum::new();
            alone.add(&subject, &opinion, reasons.len());
            match subject {
                Subject::Address(_) => {
                    address.add(&subject, &opinion, reasons.len());
                    own.add(&subject, &opinion, reasons.len());
                }
                Subject::Helo(_) | Subject::SpfDomain(_) => {
                    own.add(&subject, &opinion, reasons.len());
                }
                Subject::DkimDomain(_) => {
                    signers.add(&subject, &opinion, reasons.len());
                    worst_signer = self.points(&alone).max(worst_signer);
                    best_signer = self.points(&alone).min(best_signer);
                }
                Subject::Network(_) | Subject::Asn(_) => {
                    neighbours.add(&subject, &opinion, reasons.len());
                }
            }
            reasons.push(Reason {
                subject: subject.to_string(),
                opinion,
                half_life: self.half_life,
            });
        }
        let good_points = self.good_points.max(0);
        // A good name does not wash an address clean that a stranger has taken over.
        let least = self.points(&address).saturating_sub(good_points);
        let own_points = self.points(&own).max(least);
        let points = match (worst_signer, own_points) {
            // Whoever signs answers for it, whichever server brings it.
            (1.., _) => worst_signer.max(own_points),
            // What was signed once can be brought by anybody, and as often as he likes.
            (_, ..=0) => best_signer.saturating_add(own_points).max(-good_points),
            _ => own_points,
        };
        // What the client did itself stands in its networks' past, too.
        let beyond = neighbours.points(0, self.network_points) - own_points.max(0);
        let network_points = if own.value() > 0 { 0 } else { beyond.max(0) };
        let mostly = match points {
            1.. if worst_signer > own_points => signers.worst,
            1.. => own.worst,
            0 => None,
            _ => own.best.or(signers.best),
        };
        let network_mostly = neighbours.worst.filter(|_| network_points > 0);
        let named = |place: (i64, usize)| Some(reasons.get(place.1)?.subject.clone());
        Score {
            points,
            network_points,
            mostly: mostly.and_then(named),
            network_mostly: network_mostly.and_then(named),
            value: own.value() as i32,
            confidence: own.confidence as u32,
            reasons,
        }
    }

    /// The most specific first; HELO name and domains in no particular one.
    pub fn subjects<'a>(&self, client: &Client<'a>) -> impl Iterator<Item = Subject<'a>> + use<'a> {
        let address = client.address.to_canonical();
        let (itself, networks) = match address.is_ipv4() {
            true => (32, [Some(self.ipv4_prefix), None]),
            false => (self.ipv6_prefix, self.ipv6_networks.map(Some)),
        };
        let of = |prefix| Network::new(address, prefix);
        let [network, wider] = networks.map(|prefix| prefix.map(of).map(Subject::Network));
        let dkim = client.dkim_domains.iter().take(self.dkim_domains);
        [
            Some(Subject::Address(of(itself))),
            network,
            wider,
            client.asn.map(Subject::Asn),
            client.helo.map(Subject::Helo),
            client.spf_domain.map(Subject::SpfDomain),
        ]
        .into_iter()
        .flatten()
        .chain(dkim.map(|domain| Subject::DkimDomain(domain)))
    }

    fn points(&self, sum: &Sum) -> i32 {
        sum.points(self.good_points, self.bad_points)
    }

    fn aged(&self, value: Option<Value>, now: u64) -> Record {
        let Some(value) = value else {
            return Record {
                since: hour(now),
                updated: now,
                ..Record::default()
            };
        };
        let mut record = Record::unpacked(value);
        record.age(self.step(), now);
        record
    }

    /// Weights change in steps of this many seconds; between them nothing is rounded away.
    fn step(&self) -> u64 {
        (self.half_life.as_secs() >> STEP_BITS).max(1)
    }

    fn most(&self) -> u64 {
        u64::from(self.most.clamp(1, 10_000)) * ONE
    }
}

/// Opinions, weighed by how much they say.
struct Sum {
    values: i64,
    shares: i64,
    confidence: i64,
    /// The weight and the place of what is best, and of what is worst.
    best: Option<(i64, usize)>,
    worst: Option<(i64, usize)>,
}

impl Sum {
    const fn new() -> Self {
        Self {
            values: 0,
            shares: 0,
            confidence: 0,
            best: None,
            worst: None,
        }
    }

    fn add(&mut self, subject: &Subject<'_>, opinion: &Opinion, place: usize) {
        let share = i64::from(subject.share() * opinion.confidence);
        let value = i64::from(opinion.value) * share;
        self.values += value;
        self.shares += share;
        self.confidence = self.confidence.max(share / i64::from(SHARES));
        if value > self.best.map_or(0, |(most, _)| most) {
            self.best = Some((value, place));
        }
        if value < self.worst.map_or(0, |(least, _)| least) {
            self.worst = Some((value, place));
        }
    }

    const fn value(&self) -> i64 {
        match self.shares {
            0 => 0,
            shares => self.values / shares,
        }
    }

    /// A value is at most 100 and so is a confidence: points are at most `good` or `bad`.
    fn points(&self, good: i32, bad: i32) -> i32 {
        let value = self.value();
        let most = if value < 0 { bad } else { good };
        (-value * self.confidence * i64::from(most.max(0)) / 10_000) as i32
    }
}

/// The reputation of those who send to us.
#[derive(Clone, Debug)]
pub struct Reputation {
    /// How outcomes are weighed.
    pub policy: Policy,
    keys: Keys,
}

impl Reputation {
    /// With the default policy.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            keys,
        }
    }

    /// Records an outcome for all that the client is known by, at a time in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn record<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: &Client<'_>,
        outcome: Outcome,
        now: u64,
    ) -> Result<(), S::Error> {
        for subject in self.policy.subjects(client) {
            let key = self.key(&subject);
            let entry = self.policy.recorded(store.load(&key, now)?, outcome, now);
            store.save(key, entry.value, entry.expires)?;
        }
        Ok(())
    }

    /// The reputation of a client, from all that it is known by.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn score<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: &Client<'_>,
        now: u64,
    ) -> Result<Score, S::Error> {
        let mut opinions = Vec::new();
        for subject in self.policy.subjects(client) {
            let value = store.load(&self.key(&subject), now)?;
            opinions.push((subject, self.policy.opinion(value, now)));
        }
        Ok(self.policy.score(opinions))
    }

    /// Under what a subject is remembered. Names are compared without case; of a name the first 256 octets count.
    pub fn key(&self, subject: &Subject<'_>) -> Key {
        let key = |parts: &[&[u8]]| self.keys.key(Kind::Reputation, parts);
        let named = |what, name| {
            let name = Lower::domain(name);
            self.keys.key(Kind::ReputationName, &[what, name.octets()])
        };
        match subject {
            Subject::Address(network) => key(&[b"address", &network.octets()]),
            Subject::Network(network) => key(&[b"network", &network.octets()]),
            Subject::Asn(number) => key(&[b"asn", &number.to_be_bytes()]),
            Subject::Helo(name) => named(b"helo", name),
            Subject::SpfDomain(name) => named(b"spf", name),
            Subject::DkimDomain(name) => named(b"dkim", name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    /// A client after these outcomes at the start, as seen by another at a later time.
    fn score(recorded: &[(Client<'_>, Outcome, usize)], seen: Client<'_>, later: u64) -> Score {
        let reputation = Reputation::new(Keys::new([3; 16]));
        let mut store = MemoryStore::new(1_000);
        for (client, outcome, times) in recorded {
            for _ in 0..*times {
                reputation
                    .record(&mut store, client, *outcome, START)
                    .unwrap();
            }
        }
        reputation.score(&mut store, &seen, START + later).unwrap()
    }

    fn client(address: &str) -> Client<'static> {
        Client::new(address.parse().unwrap())
    }

    fn named(address: &str) -> Client<'static> {
        Client {
            asn: Some(64_496),
            helo: Some("mx.example.net"),
            spf_domain: Some("Example.net"),
            dkim_domains: &["example.net", "esp.example"],
            ..client(address)
        }
    }

    #[test]
    fn outcomes_to_points() {
        use Outcome::*;
        let it = client("203.0.113.80");
        for (outcomes, later, points, value, confidence) in [
            (&[][..], 0, 0, 0, 0),
            // Too little to say anything.
            (&[(it, Spam, 4)], 0, 0, 0, 0),
            (&[(it, Spam, 5)], 0, 7, -100, 50),
            (&[(it, Spam, 400)], 0, 13, -100, 97),
            (&[(it, Accepted, 400)], DAY - 3_601, 0, 0, 97),
            (&[(it, Accepted, 400)], DAY, -1, 100, 97),
            (&[(it, Accepted, 20), (it, Spam, 20)], 0, 0, 0, 88),
            (&[(it, UnknownRecipient, 9)], 0, 0, 0, 0),
            (&[(it, UnknownRecipient, 10)], 0, 7, -100, 50),
            // Some outcomes say enough alone.
            (&[(it, SpamTrap, 1)], 0, 9, -100, 66),
            (&[(it, Accepted, 30), (it, Complaint, 6)], 0, 0, 0, 92),
            // Half in a week, then half again, then too little.
            (&[(it, Spam, 20)], 7 * DAY, 9, -100, 66),
            (&[(it, Spam, 20)], 14 * DAY, 7, -100, 50),
            (&[(it, Spam, 20)], 15 * DAY, 0, 0, 0),
            // What was good long ago no longer outweighs.
            (
                &[(it, Accepted, 150), (it, CameBack, 100)],
                70 * DAY,
                0,
                0,
                0,
            ),
        ] {
            let score = score(outcomes, it, later);
            let found = (score.points, score.value, score.confidence);
            assert_eq!(found, (points, value, confidence), "{outcomes:?} {later}");
        }
    }

    #[test]
    fn what_is_known_of_others_counts_less() {
        let bad = (named("203.0.113.80"), Outcome::Spam, 100);
        for (seen, points, network_points, reasons) in [
            ("203.0.113.80", 13, 0, 7),
            // The network, and all names.
            ("203.0.113.81", 9, 0, 6),
            // The names and the AS number.
            ("192.0.2.1", 9, 0, 5),
        ] {
            let score = score(&[bad], named(seen), 0);
            assert_eq!(
                (score.points, score.network_points, score.reasons.len()),
                (points, network_points, reasons),
                "{seen}"
            );
        }
        let network_only = score(&[bad], client("203.0.113.81"), 0);
        assert_eq!((network_only.points, network_only.confidence), (0, 0));
        assert_eq!(
            network_only.to_string(),
            "+0 points, +3 for its network: network 203.0.113.0/24: 100 of 100 bad, -100 at a confidence of 95 % (halved every 7 days)"
        );
        let stranger = score(&[bad], client("192.0.2.1"), 0);
        assert_eq!(stranger, Score::default());
        assert_eq!(stranger.to_string(), "too little is known");
    }

    #[test]
    fn names_are_worth_what_their_owner_can_answer_for() {
        let known = |address: &str, spf_domain, dkim_domains| Client {
            spf_domain,
            dkim_domains,
            ..client(address)
        };
        let (good, bad) = (Outcome::Accepted, Outcome::Spam);
        let of_domain = known("203.0.113.1", Some("good.example"), &["good.example"]);
        let hijacked = client("203.0.113.80");
        let past = [(of_domain, good, 200), (hijacked, bad, 200)];
        let spammer = known("203.0.113.2", None, &["bad.example"]);
        let signed_badly = [(of_domain, good, 200), (spammer, bad, 200)];
        for (recorded, seen, points) in [
            // A server that was broken into has its domain's SPF and key, and all of its past but a little of it.
            (&past, known("203.0.113.80", None, &[]), 13),
            (
                &past,
                known("203.0.113.80", Some("good.example"), &["good.example"]),
                11,
            ),
            // Whoever brings a message that was signed once has no more of it, be there four.
            (&past, known("203.0.113.80", None, &["good.example"; 4]), 13),
            (&past, known("192.0.2.9", None, &["good.example"; 4]), -1),
            (
                &past,
                known("192.0.2.9", Some("good.example"), &["good.example"]),
                -2,
            ),
            // Whoever signs answers for it, from a good address too; beside a good signature as well.
            (
                &signed_badly,
                known("192.0.2.9", None, &["bad.example"]),
                10,
            ),
            (
                &signed_badly,
                known("203.0.113.1", None, &["bad.example"]),
                10,
            ),
            (
                &signed_badly,
                known(
                    "203.0.113.1",
                    Some("good.example"),
                    &["good.example", "bad.example"],
                ),
                10,
            ),
        ] {
            let score = score(recorded, seen, DAY);
            assert_eq!(score.points, points, "{seen:?}: {score}");
            let mostly = match points {
                11.. => "address 203.0.113.80",
                10 => "DKIM domain \"bad.example\"",
                -1 => "DKIM domain \"good.example\"",
                _ => "SPF domain \"good.example\"",
            };
            assert_eq!(score.mostly.as_deref(), Some(mostly), "{score}");
        }
        // Nor does a signature excuse the neighbours.
        let trap = (client("198.51.100.1"), Outcome::SpamTrap, 1_000);
        let seen = known("198.51.100.2", None, &["good.example"; 4]);
        let score = score(&[past[0], trap], seen, DAY);
        assert_eq!(score.network_points, 3);
    }

    #[test]
    fn an_as_number_is_worth_a_point_and_refuses_nobody() {
        let of_the_same = |address: &str| Client {
            asn: Some(64_496),
            ..client(address)
        };
        let bad = (of_the_same("203.0.113.80"), Outcome::SpamTrap, 1_000);
        let seen = of_the_same("198.51.100.7");
        let score = score(&[bad], seen, 0);
        assert_eq!((score.points, score.network_points), (0, 1));
        assert!(score.reasons[0].to_string().starts_with("AS64496: "));
        assert_eq!(score.network_mostly.as_deref(), Some("AS64496"));
        let evidence = crate::scorer::Evidence {
            network_reputation: Some(score.network_points),
            ..Default::default()
        };
        let mut scorer = crate::scorer::Scorer::default();
        (scorer.thresholds.refuse, scorer.thresholds.refuse_findings) = (Some(1), 1);
        assert_eq!(scorer.score(&evidence).decision.to_string(), "accept");
    }

    #[test]
    fn who_hops_over_ipv6_stays_one_client_and_then_a_network() {
        let bad = (client("2001:db8:1:2::1"), Outcome::Spam, 200);
        for (seen, points, network_points) in [
            ("2001:db8:1:2:ffff::7", 13, 0),
            ("2001:db8:1:3::1", 0, 3),
            ("2001:db8:2::1", 0, 1),
            ("2001:db9::1", 0, 0),
        ] {
            let score = score(&[bad], client(seen), 0);
            let found = (score.points, score.network_points);
            assert_eq!(found, (points, network_points), "{seen}: {score}");
        }
    }

    #[test]
    fn neighbours_greylist_at_most_and_not_whom_we_know() {
        let neighbours = (client("203.0.113.80"), Outcome::SpamTrap, 1_000);
        let honest = client("203.0.113.81");
        let scorer = crate::scorer::Scorer::default();
        for (mail, network_points, decision) in [(0, 3, "greylist"), (6, 0, "accept")] {
            let score = score(
                &[neighbours, (honest, Outcome::Accepted, mail)],
                honest,
                DAY,
            );
            assert_eq!(score.network_points, network_points, "{score}");
            let evidence = crate::scorer::Evidence {
                reputation: Some(score.points),
                network_reputation: Some(score.network_points),
                ..Default::default()
            };
            assert_eq!(scorer.score(&evidence).decision.to_string(), decision);
        }
    }

    #[test]
    fn new_misconduct_shows_through_a_long_good_record() {
        let it = client("203.0.113.80");
        let good = (it, Outcome::Accepted, 100_000);
        assert_eq!(score(&[good, (it, Outcome::Spam, 100)], it, 0).points, 0);
        assert_eq!(score(&[good, (it, Outcome::Spam, 400)], it, 0).points, 9);
    }

    #[test]
    fn keys_and_names() {
        let reputation = Reputation::new(Keys::new([3; 16]));
        let long = "x".repeat(5_000);
        for (one, other, same) in [
            (
                Subject::Helo("A.example."),
                Subject::Helo("a.example"),
                true,
            ),
            (
                Subject::Helo("a.example"),
                Subject::SpfDomain("a.example"),
                false,
            ),
            (
                Subject::SpfDomain("a.example"),
                Subject::DkimDomain("a.example"),
                false,
            ),
            (Subject::Helo(&long), Subject::Helo(&long[..256]), true),
            (
                Subject::Address("::ffff:192.0.2.1".parse().unwrap()),
                Subject::Address("192.0.2.1".parse().unwrap()),
                true,
            ),
            (
                Subject::Address("192.0.2.1".parse().unwrap()),
                Subject::Network("192.0.2.1/32".parse().unwrap()),
                false,
            ),
        ] {
            assert_eq!(
                reputation.key(&one) == reputation.key(&other),
                same,
                "{one} {other}"
            );
        }
        let hostile = Subject::Helo("a\r\nX: \u{1b}[2J").to_string();
        assert!(!hostile.contains(['\r', '\n', '\u{1b}']), "{hostile}");
    }

    #[test]
    fn often_recorded_decays_as_seldom_recorded() {
        let mut policy = Policy::default();
        policy.weights.refused = 0;
        let mut value = policy.recorded(None, Outcome::SpamTrap, START).value;
        for later in (0..=7 * DAY).step_by(100) {
            let entry = policy.recorded(Some(value), Outcome::Refused, START + later);
            value = entry.value;
        }
        let half = 5 * ONE;
        let left = Record::unpacked(value).bad.weight;
        assert!(left.abs_diff(half) < ONE / 100, "{left}, and not {half}");
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        use Outcome::*;
        prop::sample::select(vec![
            Accepted,
            CameBack,
            UnknownRecipient,
            DmarcFail,
            Refused,
            Spam,
            Complaint,
            Virus,
            SpamTrap,
        ])
    }

    proptest! {
        /// Whatever a store gives back, and whatever the clock does: bounds hold, and bad outcomes never make a reputation better.
        #[test]
        fn bounded_and_monotone(
            mut value: Option<Value>,
            steps in prop::collection::vec((outcomes(), any::<u64>(), 0_u64..2_000_000), 1..40),
            most in 0_u32..20_000,
        ) {
            let policy = Policy { most, ..Policy::default() };
            for (outcome, anywhere, forward) in steps {
                let now = if forward % 7 == 0 { anywhere } else { START + forward };
                // Aged to now first: then the outcome alone makes the difference.
                let aged = policy.aged(value, now).packed();
                let before = policy.opinion(Some(aged), now);
                let entry = policy.recorded(Some(aged), outcome, now);
                let after = policy.opinion(Some(entry.value), now);
                prop_assert!(Record::unpacked(entry.value).weight() <= policy.most());
                prop_assert!(entry.expires >= now);
                if let Some(after) = after {
                    prop_assert!((-100..=100).contains(&after.value) && after.confidence < 100);
                    if let Some(before) = before {
                        match outcome {
                            Outcome::Accepted | Outcome::CameBack => {
                                prop_assert!(after.value >= before.value);
                            }
                            _ => prop_assert!(after.value <= before.value),
                        }
                    }
                    let itself = Subject::Address("192.0.2.1".parse().unwrap());
                    let network = Subject::Network("192.0.2.0/24".parse().unwrap());
                    let score = policy.score([(itself, Some(after)), (network, None)]);
                    prop_assert!((-2..=14).contains(&score.points) && score.network_points == 0);
                    let score = policy.score([(itself, None), (network, Some(after))]);
                    prop_assert!((0..=4).contains(&score.network_points) && score.points == 0);
                }
                value = Some(entry.value);
            }
        }

        /// Time alone changes how sure a reputation is, not which way it points.
        #[test]
        fn time_makes_less_sure(good in 0_u32..300, bad in 0_u32..300, later in 0_u64..100 * DAY) {
            let policy = Policy { most: 10_000, good_after: Duration::ZERO, ..Policy::default() };
            let mut value = None;
            for (outcome, times) in [(Outcome::Accepted, good), (Outcome::Spam, bad)] {
                for _ in 0..times {
                    value = Some(policy.recorded(value, outcome, START).value);
                }
            }
            let now = policy.opinion(value, START);
            if let Some(then) = policy.opinion(value, START + later) {
                let now = now.unwrap();
                prop_assert!(then.confidence <= now.confidence);
                prop_assert!(then.value.abs_diff(now.value) <= 2, "{:?} {:?}", now, then);
            }
        }
    }
}
