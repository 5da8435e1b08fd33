//! How much may come from an address, a network, a login or a sender, or go to a domain, in a time.
//!
//! The generic cell rate algorithm (GCRA) in its form as a leaky bucket: each event fills a bucket by one, time empties it, and what
//! would make it overflow is refused. So a burst is allowed, and on the average no more than the quota; there are no windows at whose
//! edge twice the quota passes. All numbers are integers and nothing is rounded.
//!
//! Ask after greylisting, not before it: an attempt that was told to come again is no message, and its retry would pay twice. Where that
//! is known only later, [`RateLimit::give_back`] takes back what was spent. Before it only the generous quota of
//! [`Subject::Attempts`] is asked.
//!
//! ```
//! use core::time::Duration;
//! use screening::rate_limit::{Decision, Quota, RateLimit, Subject};
//! use screening::store::{Keys, MemoryStore};
//!
//! let limit = RateLimit::new(Keys::new([7; 16]));
//! let mut store = MemoryStore::new(100_000);
//! let per_login = Quota::new(100, Duration::from_secs(3_600));
//! let per_domain = Quota::new(1, Duration::from_secs(60));
//! let wanted = [
//!     (Subject::Login("ann"), per_login),
//!     (Subject::RecipientDomain("example.net"), per_domain),
//! ];
//! let now = 1_800_000_000;
//! assert_eq!(limit.check(&mut store, &wanted, 1, now)?, Decision::Pass);
//! let second = limit.check(&mut store, &wanted, 1, now + 20)?;
//! assert_eq!(
//!     second.to_string(),
//!     "more than 1 in 60 s to \"example.net\": try again in 40 s"
//! );
//! # Ok::<(), core::convert::Infallible>(())
//! ```

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use crate::Network;
use crate::store::{Entry, Key, Keys, Kind, Store, Value};
use crate::text::{Lower, Quoted};

/// How much may happen in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// The time, in whole seconds; at least one.
    pub per: Duration,
    /// How often on the average in that time; at least once.
    pub count: u32,
    /// How often at once, when nothing has happened for long; at least once. More than `count` lets somebody save up: nobody waits longer
    /// than the time in which `burst` would happen on the average.
    pub burst: u32,
}

impl Quota {
    /// This many in this time, all of them at once if need be.
    pub const fn new(count: u32, per: Duration) -> Self {
        Self {
            per,
            count,
            burst: count,
        }
    }

    /// Another burst.
    #[must_use]
    pub const fn with_burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }
}

/// `100 in 3600 s`, and the burst where it differs.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {} s",
            self.count.max(1),
            self.per.as_secs().max(1)
        )?;
        if self.burst != self.count {
            write!(f, " or {} at once", self.burst.max(1))?;
        }
        Ok(())
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject<'a> {
    /// A client's address; of IPv6 what [`Prefixes`] has as one.
    Address(IpAddr),
    /// A client's network.
    Network(Network),
    /// All that a network attempts, what is told to come again too: ask before greylisting, so that nobody fills its memory alone.
    Attempts(Network),
    /// What a network sends to postmaster, where nothing else is asked.
    Postmaster(Network),
    /// Who has logged in. Case counts.
    Login(&'a str),
    /// The address of MAIL FROM, without angle brackets.
    Sender(&'a str),
    /// The domain of a recipient.
    RecipientDomain(&'a str),
}

/// Names are quoted: what a terminal would obey is escaped.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "from {}", address.to_canonical()),
            Self::Network(network) => write!(f, "from {network}"),
            Self::Attempts(network) => write!(f, "attempts from {network}"),
            Self::Postmaster(network) => write!(f, "to postmaster from {network}"),
            Self::Login(name) => write!(f, "by login {}", Quoted(name)),
            Self::Sender(address) => write!(f, "of sender {}", Quoted(address)),
            Self::RecipientDomain(name) => write!(f, "to {}", Quoted(name)),
        }
    }
}

/// Whether something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It may, and is counted.
    Pass,
    /// It may not, and nothing is counted. Answer `450 4.7.1` or `451 4.7.1`.
    Limited(Limited<'a>),
}

/// The quota that refuses; of several the one that does so for longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limited<'a> {
    /// Whose it is.
    pub subject: Subject<'a>,
    /// What is allowed.
    pub quota: Quota,
    /// After how long the same would pass, if nothing else happens until then.
    pub retry_after: Duration,
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("within its limits"),
            Self::Limited(limited) => limited.fmt(f),
        }
    }
}

impl fmt::Display for Limited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quota, subject) = (self.quota, self.subject);
        let seconds = self.retry_after.as_secs();
        write!(f, "more than {quota} {subject}: try again in {seconds} s")
    }
}

/// The rules alone, for a store that answers asynchronously.
impl Quota {
    /// Counts so many events at once: the entry to keep if they may happen, or how long to wait. Nothing waits for longer than it takes
    /// to empty a full bucket, whatever the clock does.
    ///
    /// More events than the burst count as the burst. To spend none never fails, and mends the entry where the clock was set back.
    ///
    /// # Errors
    ///
    /// After how long they may happen, if nothing else does until then.
    pub fn spend(&self, value: Option<Value>, events: u32, now: u64) -> Result<Entry, Duration> {
        let Bucket { drain, size, .. } = self.bucket();
        let level = self.level(value, now).saturating_add(self.cost(events));
        if level > size {
            return Err(Duration::from_secs((level - size).div_ceil(drain)));
        }
        Ok(self.entry(level, now))
    }

    /// Takes back what was counted for events that did not happen.
    pub fn give_back(&self, value: Option<Value>, events: u32, now: u64) -> Entry {
        let level = self.level(value, now);
        self.entry(level.saturating_sub(self.cost(events)), now)
    }

    /// How full the bucket is. A value of a time that is yet to come is as full as it was then: it empties from now on.
    fn level(&self, value: Option<Value>, now: u64) -> u64 {
        let Bucket { drain, size, .. } = self.bucket();
        let [counted, level, _] = value.unwrap_or_default();
        let emptied = now.saturating_sub(counted).saturating_mul(drain);
        level.min(size).saturating_sub(emptied)
    }

    fn entry(&self, level: u64, now: u64) -> Entry {
        let empty = level.div_ceil(self.bucket().drain);
        Entry {
            value: [now, level, 0],
            expires: now.saturating_add(empty),
        }
    }

    fn cost(&self, events: u32) -> u64 {
        let Bucket { event, size, .. } = self.bucket();
        u64::from(events).saturating_mul(event).min(size)
    }

    /// In units of which an event fills as many as there are seconds in the quota's time, and `count` drain away in a second.
    fn bucket(&self) -> Bucket {
        let event = self.per.as_secs().clamp(1, u64::from(u32::MAX));
        Bucket {
            event,
            drain: u64::from(self.count.max(1)),
            // Of two numbers of 32 bits.
            size: u64::from(self.burst.max(1)) * event,
        }
    }
}

struct Bucket {
    event: u64,
    drain: u64,
    size: u64,
}

/// How many leading bits of an address count as one client, and as its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefixes {
    /// Of an IPv4 address, as one address. Default: 32.
    pub ipv4_address: u8,
    /// Of an IPv4 address, as its network. Default: 24, the smallest that is routed.
    pub ipv4_network: u8,
    /// Of an IPv6 address, as one address. Default: 64: who has one of them has them all.
    pub ipv6_address: u8,
    /// Of an IPv6 address, as its network. Default: 48, the most that one customer is commonly given.
    pub ipv6_network: u8,
    /// Of an IPv6 address, as the network of its provider. Default: 32, the least that one is given: it has 65,536 of the networks above,
    /// and may send from another of them each time.
    pub ipv6_provider: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Prefixes {
    const DEFAULT: Self = Self {
        ipv4_address: 32,
        ipv4_network: 24,
        ipv6_address: 64,
        ipv6_network: 48,
        ipv6_provider: 32,
    };

    /// What counts as one address.
    pub fn address(&self, client: IpAddr) -> Network {
        let client = client.to_canonical();
        let is_ipv4 = client.is_ipv4();
        Network::new(
            client,
            if is_ipv4 {
                self.ipv4_address
            } else {
                self.ipv6_address
            },
        )
    }

    /// The network around it.
    pub fn network(&self, client: IpAddr) -> Network {
        let client = client.to_canonical();
        let is_ipv4 = client.is_ipv4();
        Network::new(
            client,
            if is_ipv4 {
                self.ipv4_network
            } else {
                self.ipv6_network
            },
        )
    }

    /// The network of an IPv6 client's provider, around its own; give it a quota of its own, as many may be behind it.
    pub fn provider(&self, client: IpAddr) -> Option<Network> {
        let client = client.to_canonical();
        let is_wider = client.is_ipv6() && self.ipv6_provider < self.ipv6_network;
        is_wider.then(|| Network::new(client, self.ipv6_provider))
    }
}

/// Quotas over what is remembered.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// What [`Subject::Address`] counts as one address.
    pub prefixes: Prefixes,
    keys: Keys,
}

impl RateLimit {
    /// With these keys.
    pub const fn new(keys: Keys) -> Self {
        Self {
            prefixes: Prefixes::DEFAULT,
            keys,
        }
    }

    /// Counts so many events for all these subjects, or for none of them if a quota refuses, at a time in seconds since 1970.
    ///
    /// A subject may have several quotas, such as one for a minute and one for a day.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn check<'a, S: Store + ?Sized>(
        &self,
        store: &mut S,
        wanted: &[(Subject<'a>, Quota)],
        events: u32,
        now: u64,
    ) -> Result<Decision<'a>, S::Error> {
        let mut entries = Vec::with_capacity(wanted.len());
        let mut refused: Option<Limited<'a>> = None;
        for (subject, quota) in wanted {
            let key = self.key(subject, quota);
            let value = store.load(&key, now)?;
            match quota.spend(value, events, now) {
                Ok(entry) => entries.push((key, entry)),
                Err(retry_after) => {
                    if set_back(value, now)
                        && let Ok(entry) = quota.spend(value, 0, now)
                    {
                        store.save(key, entry.value, entry.expires)?;
                    }
                    if refused.is_none_or(|longest| longest.retry_after < retry_after) {
                        refused = Some(Limited {
                            subject: *subject,
                            quota: *quota,
                            retry_after,
                        });
                    }
                }
            }
        }
        if let Some(limited) = refused {
            return Ok(Decision::Limited(limited));
        }
        for (key, entry) in entries {
            store.save(key, entry.value, entry.expires)?;
        }
        Ok(Decision::Pass)
    }

    /// Takes back what [`RateLimit::check`] has counted for events that did not happen.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn give_back<S: Store + ?Sized>(
        &self,
        store: &mut S,
        wanted: &[(Subject<'_>, Quota)],
        events: u32,
        now: u64,
    ) -> Result<(), S::Error> {
        for (subject, quota) in wanted {
            let key = self.key(subject, quota);
            let entry = quota.give_back(store.load(&key, now)?, events, now);
            store.save(key, entry.value, entry.expires)?;
        }
        Ok(())
    }

    /// Under what a subject's events are counted for a quota; one that is changed counts anew. Addresses and domains are compared without
    /// case, and of a text the first 256 octets count.
    pub fn key(&self, subject: &Subject<'_>, quota: &Quota) -> Key {
        let mut allowed = [0; 16];
        allowed[..8].copy_from_slice(&quota.per.as_secs().to_be_bytes());
        allowed[8..12].copy_from_slice(&quota.count.to_be_bytes());
        allowed[12..].copy_from_slice(&quota.burst.to_be_bytes());
        let key = |what, who| self.keys.key(Kind::Rate, &[what, who, &allowed]);
        match subject {
            Subject::Address(address) => key(b"address", &self.prefixes.address(*address).octets()),
            Subject::Network(network) => key(b"network", &network.octets()),
            Subject::Attempts(network) => key(b"attempts", &network.octets()),
            Subject::Postmaster(network) => key(b"postmaster", &network.octets()),
            Subject::Login(name) => key(b"login", name.as_bytes()),
            Subject::Sender(address) => key(b"sender", Lower::new(address).octets()),
            Subject::RecipientDomain(name) => key(b"domain", Lower::domain(name).octets()),
        }
    }
}

/// Whether a value is of a time that is yet to come.
fn set_back(value: Option<Value>, now: u64) -> bool {
    value.is_some_and(|[counted, ..]| counted > now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::greylisting::{self, Attempt, Greylist};
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;
    const KEYS: Keys = Keys::new([5; 16]);

    fn quota(count: u32, per: u64, burst: u32) -> Quota {
        Quota::new(count, Duration::from_secs(per)).with_burst(burst)
    }

    #[test]
    fn several_quotas_are_spent_together_or_not_at_all() {
        let limit = RateLimit::new(KEYS);
        let mut store = MemoryStore::new(100);
        let wide = (
            Subject::Network("192.0.2.0/24".parse().unwrap()),
            quota(10, 60, 10),
        );
        let narrow = (Subject::Login("ann"), quota(2, 60, 2));
        let slow = (Subject::Login("ann"), quota(4, 86_400, 4));
        let mut check = |wanted: &[_], now| limit.check(&mut store, wanted, 1, now).unwrap();
        let refused = |(subject, quota), seconds| {
            Decision::Limited(Limited {
                subject,
                quota,
                retry_after: Duration::from_secs(seconds),
            })
        };
        for _ in 0..2 {
            assert_eq!(check(&[wide, narrow, slow], START), Decision::Pass);
        }
        for _ in 0..50 {
            assert_eq!(check(&[wide, narrow, slow], START), refused(narrow, 30));
        }
        // None of the fifty was counted for the network.
        for _ in 0..8 {
            assert_eq!(check(&[wide], START), Decision::Pass);
        }
        assert_eq!(check(&[wide], START), refused(wide, 6));
        for _ in 0..2 {
            assert_eq!(check(&[narrow, slow], START + 60), Decision::Pass);
        }
        // The longest wait is the one to tell.
        assert_eq!(check(&[slow, narrow], START + 60), refused(slow, 21_540));
        assert_eq!(check(&[narrow, slow], START + 60), refused(slow, 21_540));
    }

    #[test]
    fn what_was_greylisted_costs_nothing() {
        let (limit, greylist) = (RateLimit::new(KEYS), Greylist::new(KEYS));
        let mut store = MemoryStore::new(100);
        let wanted = [(Subject::Sender("joe@example.net"), quota(2, 3_600, 2))];
        let mut attempt = |recipient: &str, now| {
            let attempt = Attempt::new([192, 0, 2, 1].into(), "joe@example.net", recipient);
            match greylist.check(&mut store, &attempt, now).unwrap() {
                greylisting::Decision::Delay { .. } => None,
                greylisting::Decision::Pass(_) => {
                    Some(limit.check(&mut store, &wanted, 1, now).unwrap())
                }
            }
        };
        for number in 0..100 {
            assert_eq!(attempt(&format!("{number}@example.org"), START), None);
        }
        for number in 0..2 {
            let passes = attempt(&format!("{number}@example.org"), START + 90);
            assert_eq!(passes, Some(Decision::Pass));
        }
        assert!(matches!(
            attempt("2@example.org", START + 90),
            Some(Decision::Limited(_))
        ));

        // And where greylisting comes last, what was spent is given back.
        let mut store = MemoryStore::new(100);
        for _ in 0..100 {
            assert_eq!(
                limit.check(&mut store, &wanted, 1, START),
                Ok(Decision::Pass)
            );
            limit.give_back(&mut store, &wanted, 1, START).unwrap();
        }
    }

    #[test]
    fn keys_are_kept_apart() {
        let limit = RateLimit::new(KEYS);
        let (hour, day) = (quota(5, 3_600, 5), quota(5, 86_400, 5));
        for (one, other, same) in [
            (
                (Subject::Sender("A@x.example"), hour),
                (Subject::Sender("a@X.example"), hour),
                true,
            ),
            (
                (Subject::Login("A"), hour),
                (Subject::Login("a"), hour),
                false,
            ),
            (
                (Subject::Login("a"), hour),
                (Subject::Sender("a"), hour),
                false,
            ),
            (
                (Subject::Login("a"), hour),
                (Subject::Login("a"), day),
                false,
            ),
            (
                (Subject::RecipientDomain("Example.org."), hour),
                (Subject::RecipientDomain("example.org"), hour),
                true,
            ),
            (
                (Subject::Address("::ffff:192.0.2.1".parse().unwrap()), hour),
                (Subject::Address("192.0.2.1".parse().unwrap()), hour),
                true,
            ),
            (
                (Subject::Address("192.0.2.1".parse().unwrap()), hour),
                (Subject::Network("192.0.2.1".parse().unwrap()), hour),
                false,
            ),
            (
                (Subject::Postmaster("192.0.2.0/24".parse().unwrap()), hour),
                (Subject::Attempts("192.0.2.0/24".parse().unwrap()), hour),
                false,
            ),
            // Who has one address of a /64 has them all.
            (
                (Subject::Address("2001:db8::1".parse().unwrap()), hour),
                (Subject::Address("2001:db8::2".parse().unwrap()), hour),
                true,
            ),
            (
                (Subject::Address("2001:db8::1".parse().unwrap()), hour),
                (Subject::Address("2001:db8:0:1::1".parse().unwrap()), hour),
                false,
            ),
        ] {
            let equal = limit.key(&one.0, &one.1) == limit.key(&other.0, &other.1);
            assert_eq!(equal, same, "{} {}", one.0, other.0);
        }
    }

    #[test]
    fn networks_of_clients() {
        let prefixes = Prefixes::default();
        for (client, address, network) in [
            ("192.0.2.1", "192.0.2.1/32", "192.0.2.0/24"),
            ("::ffff:192.0.2.1", "192.0.2.1/32", "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ] {
            let client = client.parse().unwrap();
            assert_eq!(prefixes.address(client).to_string(), address);
            assert_eq!(prefixes.network(client).to_string(), network);
        }
    }

    /// What one network attempts does not push out what another has to come again with.
    #[test]
    fn attempts_are_bounded_before_greylisting() {
        let (limit, greylist) = (RateLimit::new(KEYS), Greylist::new(KEYS));
        let mut store = MemoryStore::new(1_000);
        let attempts = quota(600, 3_600, 600);
        let mut check = |client: std::net::IpAddr, sender: &str, now| {
            let network = Subject::Attempts(limit.prefixes.network(client));
            let within = limit.check(&mut store, &[(network, attempts)], 1, now);
            if within != Ok(Decision::Pass) {
                return None;
            }
            let attempt = Attempt::new(client, sender, "ann@example.org");
            Some(greylist.check(&mut store, &attempt, now).unwrap())
        };
        let honest = [192, 0, 2, 80].into();
        check(honest, "joe@x.example", START);
        let taken = (0..10_000_u32).filter(|number| {
            let digits = number.to_string();
            let letters = digits.bytes().map(|digit| char::from(digit + 49));
            let sender: String = letters.chain("@x.example".chars()).collect();
            let client = std::net::Ipv4Addr::from(0xcb00_7100 + number % 256);
            check(client.into(), &sender, START + 1).is_some()
        });
        assert_eq!(taken.count(), 600);
        let passes = greylisting::Decision::Pass(greylisting::Known::Retry);
        assert_eq!(check(honest, "joe@x.example", START + 300), Some(passes));
    }

    #[test]
    fn quotas_of_nothing_are_quotas_of_one() {
        let zero = quota(0, 0, 0);
        let entry = zero.spend(None, 1, START).unwrap();
        assert_eq!(
            zero.spend(Some(entry.value), 1, START),
            Err(Duration::from_secs(1))
        );
        assert!(zero.spend(Some(entry.value), 1, START + 1).is_ok());
        assert_eq!(zero.to_string(), "1 in 1 s");
        assert_eq!(quota(3, 60, 9).to_string(), "3 in 60 s or 9 at once");
    }

    fn quotas() -> impl Strategy<Value = Quota> {
        (1_u32..20, 1_u64..200, 1_u32..20).prop_map(|(count, per, burst)| quota(count, per, burst))
    }

    /// The definition: in no time that begins with an event is there more than a burst, and what the quota gives in that time.
    fn allowed(quota: &Quota, passed: &[u64], now: u64) -> bool {
        let per = quota.per.as_secs();
        let first = passed
            .iter()
            .enumerate()
            .map(|(at, time)| (passed.len() - at, *time));
        first.chain([(0, now)]).all(|(events, since)| {
            let events = events as u64 + 1;
            events * per <= u64::from(quota.burst) * per + (now - since) * u64::from(quota.count)
        })
    }

    proptest! {
        /// Against a model that remembers each event and slides over all of them.
        #[test]
        fn passes_what_the_definition_allows(
            quota in quotas(),
            pauses in prop::collection::vec(prop_oneof![0_u64..3, 0_u64..60], 1..120),
        ) {
            let limit = RateLimit::new(KEYS);
            let mut store = MemoryStore::new(10);
            let (mut now, mut passed) = (START, Vec::new());
            for pause in pauses {
                now += pause;
                let decision = limit
                    .check(&mut store, &[(Subject::Login("ann"), quota)], 1, now)
                    .unwrap();
                let may = allowed(&quota, &passed, now);
                prop_assert_eq!(decision == Decision::Pass, may, "{:?} {:?}", passed, now);
                if may {
                    passed.push(now);
                } else if let Decision::Limited(limited) = decision {
                    let wait = limited.retry_after.as_secs();
                    prop_assert!(!allowed(&quota, &passed, now + wait - 1));
                    prop_assert!(allowed(&quota, &passed, now + wait));
                }
            }
        }

        /// However the clock jumps: whoever asks, waits as long as it was told, and asks again, passes; and nobody waits for longer than a
        /// full bucket takes to be empty.
        #[test]
        fn a_clock_that_jumps_locks_nobody_out(
            quota in quotas(),
            jumps in prop::collection::vec((any::<u64>(), 1_usize..30), 1..10),
        ) {
            let limit = RateLimit::new(KEYS);
            let mut store = MemoryStore::new(10);
            let wanted = [(Subject::Login("ann"), quota)];
            let longest = (u64::from(quota.burst) * quota.per.as_secs())
                .div_ceil(u64::from(quota.count));
            for (now, events) in jumps {
                let now = now >> 1;
                let mut wait = 0;
                for _ in 0..events {
                    if let Decision::Limited(limited) =
                        limit.check(&mut store, &wanted, 1, now).unwrap()
                    {
                        wait = limited.retry_after.as_secs();
                    }
                }
                prop_assert!(wait <= longest, "{} {}", wait, longest);
                let then = limit.check(&mut store, &wanted, 1, now + wait).unwrap();
                prop_assert!(wait == 0 || then == Decision::Pass);
            }
        }

        /// Whatever a store gives back.
        #[test]
        fn any_value_is_bounded(
            value: Value,
            count: u32,
            per: u64,
            burst: u32,
            events: u32,
            now: u64,
        ) {
            let quota = quota(count, per, burst);
            let Bucket { drain, size, .. } = quota.bucket();
            match quota.spend(Some(value), events, now) {
                Ok(entry) => prop_assert!(entry.value[1] <= size && entry.expires >= now),
                Err(wait) => prop_assert!(wait.as_secs() <= size.div_ceil(drain)),
            }
            prop_assert!(quota.spend(Some(value), 0, now).is_ok());
            prop_assert!(quota.give_back(Some(value), events, now).value[1] <= size);
        }
    }
}
