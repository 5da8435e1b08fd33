//! Who guesses passwords is answered later and later, and then not at all.
//!
//! A failure counts against the login, the client's address and the network around it. Its answer is held back for longer the more there
//! are, and an address or a network that has too many is banned for a time: [`FailedLogin::attempt`] says so before a password is looked
//! at, and counts the attempt as a failure until it has succeeded: so guesses at the same time are counted too. Failures are forgotten
//! one by one.
//!
//! A login is never banned, or anybody could lock its owner out. But it is guessed by many addresses at once, too, each of which has failed
//! only once: so no more than [`Policy::at_once`] attempts at a login are looked at in the time that an answer is held back at most, from
//! all places together where it is not known. More are told that they cannot be checked for now, and count for nobody.
//!
//! A success forgives the failures of the same login from the same address,
//! and no others: whoever has an account cannot clear with it what was tried on the accounts of others. From then on that login is known
//! there: its failures, such as those of a telephone that has an old password, count against nobody else behind the address, and no ban
//! for what others have failed there holds for it.
//!
//! ```
//! use screening::failed_login::{Decision, FailedLogin};
//! use screening::store::{Keys, MemoryStore};
//!
//! let failed_login = FailedLogin::new(Keys::new([7; 16]));
//! let mut store = MemoryStore::new(100_000);
//! let (client, mut now) = ("203.0.113.80".parse()?, 1_800_000_000);
//! for tried in 0..50 {
//!     now += 2;
//!     let (decision, penalty) = failed_login.attempt(&mut store, client, "ann", now)?;
//!     assert_eq!(decision, Decision::Allowed);
//!     // The password is wrong.
//!     if tried == 2 {
//!         assert_eq!(penalty.to_string(), "answered after 4 s: 3 failures of the login at this address");
//!     }
//! }
//! let banned = failed_login.check(&mut store, client, "bob", now)?;
//! assert_eq!(banned.to_string(), "the address is banned for 3600 s");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use crate::Network;
use crate::store::{Entry, Key, Keys, Kind, Store, Value};
use crate::text::Lower;

/// How failures are punished.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long the answer to the first failure is held back; doubled with each further one. Default: 1 second: nobody who has mistyped
    /// minds.
    pub first_delay: Duration,
    /// The longest that an answer is held back. Default: 16 seconds; some clients give up after 30. Raising it keeps connections open.
    pub longest_delay: Duration,
    /// After how long a failure is forgotten, one after the other. Default: 30 minutes: an address has 48 guesses a day for ever, with
    /// which 10,000 common passwords take seven months. At least 1 second.
    pub forgotten_after: Duration,
    /// Failures after which an address is banned. Default: 50, which whoever mistypes does not reach in a day, nor a few people behind one
    /// address. At least one.
    pub address_failures: u32,
    /// Failures after which a network is banned. Default: 150: three addresses that were banned. At least one.
    pub network_failures: u32,
    /// How long a ban lasts. Default: 1 hour. Then each further failure bans again, until some were forgotten.
    pub ban: Duration,
    /// How long a login is known at an address at which it succeeded. Default: 30 days.
    pub known_for: Duration,
    /// Attempts at a login that are looked at within [`longest_delay`](Self::longest_delay), from all addresses at which it is not known: as
    /// many as can be in flight. What succeeds does not count. Default: 10, as a new telephone opens some connections at once. At least one.
    /// Raising it gives a botnet more guesses; lowering it makes the owner wait at a new address while somebody guesses.
    pub at_once: u32,
    /// Leading bits of an IPv4 address that count as one address. Default: 32.
    pub ipv4_address: u8,
    /// Leading bits of an IPv6 address that count as one address. Default: 64: who has one of them has them all.
    pub ipv6_address: u8,
    /// Leading bits of an IPv4 address that make a network. Default: 24.
    pub ipv4_network: u8,
    /// Leading bits of an IPv6 address that make a network. Default: 48, the most that one customer is commonly given.
    pub ipv6_network: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(16),
            forgotten_after: Duration::from_secs(30 * 60),
            address_failures: 50,
            network_failures: 150,
            ban: Duration::from_secs(3_600),
            known_for: Duration::from_secs(30 * 24 * 3_600),
            at_once: 10,
            ipv4_address: 32,
            ipv6_address: 64,
            ipv4_network: 24,
            ipv6_network: 48,
        }
    }
}

/// Against what a failure counts. The discriminants are places in arrays of [`Value`]s and [`Key`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The login at this address.
    LoginAtAddress = 0,
    /// The address, whichever the login.
    Address = 1,
    /// The network around it.
    Network = 2,
    /// The login, wherever from.
    Login = 3,
}

impl Subject {
    const ALL: [Self; 4] = [
        Self::LoginAtAddress,
        Self::Address,
        Self::Network,
        Self::Login,
    ];
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoginAtAddress => "the login at this address",
            Self::Address => "the address",
            Self::Network => "the network",
            Self::Login => "the login",
        })
    }
}

/// Whether a password may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may not, and is not to be looked at: answer as if it were wrong, or close the connection.
    Banned {
        /// Whose failures are too many.
        subject: Subject,
        /// For how long still.
        time: Duration,
    },
    /// It may not for now, as too many attempts at the login are in flight, whoever makes them: answer that it cannot be checked, and
    /// hold that answer back too. Only [`FailedLogin::attempt`] says so.
    TooManyAtOnce {
        /// After how long there is room for one again.
        time: Duration,
    },
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::Banned { subject, time } => {
                write!(f, "{subject} is banned for {} s", time.as_secs())
            }
            Self::TooManyAtOnce { time } => write!(
                f,
                "too many attempts at the login at once, room for one in {} s",
                time.as_secs()
            ),
        }
    }
}

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Penalty {
    /// How long the answer is to be held back.
    pub delay: Duration,
    /// Whose failures made it so long.
    pub subject: Subject,
    /// How many those are.
    pub failures: u64,
    /// Whether this failure bans, or came while there was a ban.
    pub banned: bool,
    /// Whether the login is known at the address.
    pub known: bool,
}

impl fmt::Display for Penalty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.failures == 1 { "" } else { "s" };
        write!(
            f,
            "answered after {} s: {} failure{plural} of {}",
            self.delay.as_secs(),
            self.failures,
            self.subject
        )?;
        if self.banned {
            f.write_str(", banned")?;
        }
        Ok(())
    }
}

/// The rules alone, for a store that answers asynchronously. Values and entries stand in the order of [`FailedLogin::keys`]; what has no
/// entry is not to be saved.
impl Policy {
    /// Whether a password may be tried. Who is known at the address answers only for its own failures there.
    pub fn check(&self, values: &[Option<Value>; 4], now: u64) -> Decision {
        let counts = self.counts(values, now);
        let [pair, ..] = &counts;
        let subjects = if pair.is_known(now) { 1 } else { counts.len() };
        let bans = Subject::ALL
            .iter()
            .zip(counts)
            .take(subjects)
            .filter_map(|(subject, count)| {
                let limit = self.limit(*subject, &count)?;
                Some((*subject, count.level.checked_sub(limit)?))
            });
        match bans.max_by_key(|(_, left)| *left) {
            Some((subject, left @ 1..)) => Decision::Banned {
                subject,
                time: Duration::from_secs(left),
            },
            _ => Decision::Allowed,
        }
    }

    /// After how long one more attempt at the login may be made, if too many are in flight; of who is known at the address any number may.
    pub fn too_many_at_once(&self, values: &[Option<Value>; 4], now: u64) -> Option<Duration> {
        let [pair, _, _, login] = self.counts(values, now);
        let more = login.in_flight.saturating_add(self.flight());
        let excess = more.saturating_sub(self.most_in_flight());
        let is_full = excess > 0 && !pair.is_known(now);
        is_full.then(|| Duration::from_secs(excess.div_ceil(self.landing())))
    }

    /// What a failure leads to, or an attempt until it has succeeded. While there is a ban nothing is counted.
    pub fn failed(&self, values: &[Option<Value>; 4], now: u64) -> (Penalty, [Option<Entry>; 4]) {
        let mut counts = self.counts(values, now);
        let [pair, ..] = &mut counts;
        if !pair.is_known(now) {
            pair.forget_that_it_was_known();
        }
        let counted = match pair.known_until {
            0 => &Subject::ALL[..],
            _ => &[Subject::LoginAtAddress],
        };
        let was_banned = self.check(values, now) != Decision::Allowed;
        let mut penalty = Penalty {
            delay: Duration::ZERO,
            subject: Subject::LoginAtAddress,
            failures: 0,
            banned: was_banned,
            known: counts[0].known_until != 0,
        };
        let mut entries = [None; 4];
        for subject in counted {
            let count = &mut counts[*subject as usize];
            let limit = self.limit(*subject, count);
            if !was_banned {
                penalty.banned |= self.add_failure(count, limit);
                count.level = count.level.min(self.most(*subject));
                if *subject == Subject::Login {
                    let more = count.in_flight.saturating_add(self.flight());
                    count.in_flight = more.min(self.most_in_flight());
                }
                entries[*subject as usize] = Some(self.entry(count, now));
            }
            // What is above the limit is the time of a ban.
            let failures = count.level.min(limit.unwrap_or(u64::MAX));
            let failures = failures.div_ceil(self.each());
            if failures > penalty.failures {
                (penalty.failures, penalty.subject) = (failures, *subject);
            }
        }
        let doublings = u32::try_from(penalty.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let delay = self.first_delay.saturating_mul(factor);
        penalty.delay = delay.min(self.longest_delay);
        (penalty, entries)
    }

    /// Whether that bans.
    fn add_failure(&self, count: &mut Count, limit: Option<u64>) -> bool {
        let each = self.each();
        count.level = count.level.saturating_add(each);
        // Of the last failure but one a part may be forgotten.
        let full = limit.filter(|limit| count.level.div_ceil(each) >= limit / each);
        if let Some(limit) = full {
            count.level = count.level.max(limit.saturating_add(self.ban.as_secs()));
        }
        full.is_some()
    }

    /// Forgives the failures of the login at the address, and knows it there from now on.
    pub fn succeeded(&self, values: &[Option<Value>; 4], now: u64) -> [Option<Entry>; 4] {
        let [mut pair, mut address, mut network, mut login] = self.counts(values, now);
        // What a login has failed where it was known was counted nowhere else.
        let was_known = pair.known_until != 0;
        let forgiven = if was_known { 0 } else { pair.level };
        pair.level = 0;
        pair.known_until = now.saturating_add(self.known_for.as_secs()).max(1);
        let mut entries = [Some(self.entry(&pair, now)), None, None, None];
        if was_known {
            return entries;
        }
        for (subject, count) in [
            (Subject::Address, &mut address),
            (Subject::Network, &mut network),
        ] {
            // A ban ends with the attempt that has made the failures too many.
            let limit = self.limit(subject, count).unwrap_or(u64::MAX);
            count.level = count.level.min(limit).saturating_sub(forgiven);
            entries[subject as usize] = (forgiven > 0).then(|| self.entry(count, now));
        }
        // This attempt at least, also where nothing is kept of the address, as it is exempt.
        login.level = login.level.saturating_sub(forgiven.max(self.each()));
        login.in_flight = login.in_flight.saturating_sub(self.flight());
        entries[Subject::Login as usize] = Some(self.entry(&login, now));
        entries
    }

    /// What to save in place of a value whose time is yet to come, as the clock was set back: else it would not age until then.
    pub fn mended(&self, subject: Subject, value: Value, now: u64) -> Option<Entry> {
        let [updated, ..] = value;
        (updated > now).then(|| self.entry(&self.count(subject, Some(value), now), now))
    }

    fn counts(&self, values: &[Option<Value>; 4], now: u64) -> [Count; 4] {
        Subject::ALL.map(|subject| self.count(subject, values[subject as usize], now))
    }

    fn count(&self, subject: Subject, value: Option<Value>, now: u64) -> Count {
        let [updated, level, third] = value.unwrap_or_default();
        let level = level.min(self.most(subject));
        let age = now.saturating_sub(updated);
        let (known_until, in_flight) = match subject {
            Subject::Login => (0, third.min(self.most_in_flight())),
            _ => (third, 0),
        };
        Count {
            level: level.saturating_sub(age),
            known_until,
            in_flight: in_flight.saturating_sub(age.saturating_mul(self.landing())),
        }
    }

    fn entry(&self, count: &Count, now: u64) -> Entry {
        let landed = count.in_flight.div_ceil(self.landing());
        Entry {
            // Of the last two one is 0.
            value: [now, count.level, count.known_until.max(count.in_flight)],
            expires: now
                .saturating_add(count.level.max(landed))
                .max(count.known_until),
        }
    }

    /// How long an attempt is in flight, in seconds: each second one of [`at_once`](Self::at_once) of them is over.
    fn flight(&self) -> u64 {
        self.longest_delay.as_secs().max(1)
    }

    fn landing(&self) -> u64 {
        u64::from(self.at_once.max(1))
    }

    fn most_in_flight(&self) -> u64 {
        self.flight().saturating_mul(self.landing())
    }

    /// The level at which there are too many failures.
    fn limit(&self, subject: Subject, count: &Count) -> Option<u64> {
        let failures = match subject {
            Subject::Address => self.address_failures,
            Subject::Network => self.network_failures,
            Subject::LoginAtAddress if count.known_until != 0 => self.address_failures,
            Subject::LoginAtAddress | Subject::Login => return None,
        };
        Some(u64::from(failures.max(1)).saturating_mul(self.each()))
    }

    /// The highest level; it bounds how long a failure is remembered, and a ban.
    fn most(&self, subject: Subject) -> u64 {
        let failures = match subject {
            Subject::Network => self.network_failures,
            _ => self.address_failures,
        };
        let limit = u64::from(failures.max(1)).saturating_mul(self.each());
        match subject {
            Subject::Login => limit,
            _ => limit.saturating_add(self.ban.as_secs()),
        }
    }

    fn each(&self) -> u64 {
        self.forgotten_after.as_secs().max(1)
    }
}

/// Failures, as the seconds until all of them are forgotten; a ban is on top of that.
#[derive(Clone, Copy, Debug)]
struct Count {
    level: u64,
    /// Of a login at an address: until when it is known there; 0 if it never was.
    known_until: u64,
    /// Of a login: the seconds that attempts at it are in flight, all of them together. So many of them pass in a second as there may be
    /// attempts.
    in_flight: u64,
}

impl Count {
    const fn is_known(&self, now: u64) -> bool {
        now <= self.known_until
    }

    const fn forget_that_it_was_known(&mut self) {
        if self.known_until != 0 {
            (self.level, self.known_until) = (0, 0);
        }
    }
}

/// The policy, and whom it does not hold for.
#[derive(Clone, Debug)]
pub struct FailedLogin {
    /// The rules.
    pub policy: Policy,
    /// Networks through which many log in, such as a webmail server's: only their logins count, and they are never banned, nor told that
    /// there are too many attempts at once.
    pub exempt: Vec<Network>,
    keys: Keys,
}

impl FailedLogin {
    /// The default policy without exempt networks.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            exempt: Vec::new(),
            keys,
        }
    }

    /// Whether a password may be tried, at a time in seconds since 1970. Ask before it is looked at.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn check<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: IpAddr,
        login: &str,
        now: u64,
    ) -> Result<Decision, S::Error> {
        let keys = self.keys(client, login);
        let values = load(store, &keys, now)?;
        let decision = self.policy.check(&values, now);
        if decision != Decision::Allowed {
            let mended = Subject::ALL
                .map(|subject| self.policy.mended(subject, values[subject as usize]?, now));
            save(store, &keys, &mended)?;
        }
        Ok(decision)
    }

    /// Whether a password may be tried, which counts as a failure from now on: [`succeeded`](Self::succeeded) gives it back. The answer to
    /// one that is wrong, or that is not looked at, is to be held back for the delay of the penalty.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn attempt<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: IpAddr,
        login: &str,
        now: u64,
    ) -> Result<(Decision, Penalty), S::Error> {
        let mut decision = self.check(store, client, login, now)?;
        let keys = self.keys(client, login);
        let values = load(store, &keys, now)?;
        let (penalty, entries) = self.policy.failed(&values, now);
        let [at_address, ..] = &keys;
        let too_many = self.policy.too_many_at_once(&values, now);
        if let Some(time) = too_many
            && decision == Decision::Allowed
            && at_address.is_some()
        {
            decision = Decision::TooManyAtOnce { time };
        } else {
            save(store, &keys, &entries)?;
        }
        Ok((decision, penalty))
    }

    /// Counts a failure; its answer is to be held back for the delay. Count it before that: others may be trying at the same time.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn failed<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: IpAddr,
        login: &str,
        now: u64,
    ) -> Result<Penalty, S::Error> {
        let keys = self.keys(client, login);
        let values = load(store, &keys, now)?;
        let (penalty, entries) = self.policy.failed(&values, now);
        save(store, &keys, &entries)?;
        Ok(penalty)
    }

    /// Forgives the failures of this login from this address.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn succeeded<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: IpAddr,
        login: &str,
        now: u64,
    ) -> Result<(), S::Error> {
        let keys = self.keys(client, login);
        let values = load(store, &keys, now)?;
        let entries = self.policy.succeeded(&values, now);
        save(store, &keys, &entries)
    }

    /// Under what failures are counted, in the order of [`Subject`]. Logins are compared without case, and their first 256 octets count.
    pub fn keys(&self, client: IpAddr, login: &str) -> [Option<Key>; 4] {
        let policy = &self.policy;
        let client = client.to_canonical();
        let (address, network) = match client {
            IpAddr::V4(_) => (policy.ipv4_address, policy.ipv4_network),
            IpAddr::V6(_) => (policy.ipv6_address, policy.ipv6_network),
        };
        let address = Network::new(client, address).octets();
        let network = Network::new(client, network).octets();
        let login = Lower::new(login);
        let login = login.octets();
        let key = |parts: &[&[u8]]| Some(self.keys.key(Kind::FailedLogin, parts));
        let named = |parts: &[&[u8]]| Some(self.keys.key(Kind::FailedLoginName, parts));
        let of_login = named(&[b"login", login]);
        if self.exempt.iter().any(|network| network.contains(client)) {
            return [None, None, None, of_login];
        }
        [
            named(&[b"login at address", login, &address]),
            key(&[b"address", &address]),
            key(&[b"network", &network]),
            of_login,
        ]
    }
}

fn load<S: Store + ?Sized>(
    store: &mut S,
    keys: &[Option<Key>; 4],
    now: u64,
) -> Result<[Option<Value>; 4], S::Error> {
    let mut values = [None; 4];
    for (value, key) in values.iter_mut().zip(keys) {
        if let Some(key) = key {
            *value = store.load(key, now)?;
        }
    }
    Ok(values)
}

fn save<S: Store + ?Sized>(
    store: &mut S,
    keys: &[Option<Key>; 4],
    entries: &[Option<Entry>; 4],
) -> Result<(), S::Error> {
    for (key, entry) in keys.iter().zip(entries) {
        if let (Some(key), Some(entry)) = (key, entry) {
            store.save(*key, entry.value, entry.expires)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;
    const HOUR: u64 = 3_600;

    struct Server(FailedLogin, MemoryStore);

    impl Server {
        fn new() -> Self {
            let mut failed_login = FailedLogin::new(Keys::new([9; 16]));
            failed_login.exempt = vec!["198.51.100.0/24".parse().unwrap()];
            Self(failed_login, MemoryStore::new(1_000))
        }

        /// A login at this time: whether the password was looked at.
        fn tries(&mut self, client: &str, login: &str, right: bool, now: u64) -> bool {
            let Self(failed_login, store) = self;
            let client = client.parse().unwrap();
            let allowed = failed_login.check(store, client, login, now).unwrap();
            if allowed != Decision::Allowed {
                return false;
            }
            if right {
                failed_login.succeeded(store, client, login, now).unwrap();
            } else {
                failed_login.failed(store, client, login, now).unwrap();
            }
            true
        }

        fn fails(&mut self, client: &str, login: &str, now: u64) -> Penalty {
            let Self(failed_login, store) = self;
            failed_login
                .failed(store, client.parse().unwrap(), login, now)
                .unwrap()
        }
    }

    #[test]
    fn answers_come_later_and_later() {
        let mut server = Server::new();
        let delays: Vec<_> = (0..6)
            .map(|_| server.fails("192.0.2.1", "ann", START).delay.as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 16]);
        for (client, login, now, delay, subject, failures) in [
            // Another login from there, another address of the network, another place.
            ("192.0.2.1", "bob", START, 16, Subject::Address, 7),
            ("192.0.2.2", "bob", START, 16, Subject::Network, 8),
            ("203.0.113.1", "Ann", START, 16, Subject::Login, 7),
            ("203.0.113.1", "carl", START, 2, Subject::Address, 2),
            (
                "2001:db8:5::1",
                "dora",
                START,
                1,
                Subject::LoginAtAddress,
                1,
            ),
            ("2001:db8:5::2", "elsa", START, 2, Subject::Address, 2),
            ("2001:db8:5:1::1", "fred", START, 4, Subject::Network, 3),
            (
                "2001:db8:6::1",
                "gill",
                START,
                1,
                Subject::LoginAtAddress,
                1,
            ),
            // Three hours forget six.
            ("203.0.113.9", "ann", START + 3 * HOUR, 2, Subject::Login, 2),
        ] {
            let penalty = server.fails(client, login, now);
            let found = (penalty.delay.as_secs(), penalty.subject, penalty.failures);
            assert_eq!(found, (delay, subject, failures), "{client} {login}");
        }
    }

    #[test]
    fn who_has_an_account_cannot_clear_what_was_tried_on_others() {
        let mut server = Server::new();
        let mut guesses = 0;
        for victim in 0..200 {
            server.tries("203.0.113.1", "mallory", true, START);
            guesses +=
                u32::from(server.tries("203.0.113.1", &format!("victim{victim}"), false, START));
        }
        assert_eq!(guesses, 50);
        // The owner of the account that was tried is let in from elsewhere at once.
        assert!(server.tries("192.0.2.1", "victim1", true, START));
        // One more when the ban is over, and then one in each hour.
        for (after, looked_at) in [
            (HOUR - 1, false),
            (HOUR, true),
            (HOUR + 1, false),
            (2 * HOUR, true),
        ] {
            let tried = server.tries("203.0.113.1", "ann", false, START + after);
            assert_eq!(tried, looked_at, "{after}");
        }
        // After a quiet day it is as before.
        for _ in 0..50 {
            assert!(server.tries("203.0.113.1", "ann", false, START + 30 * HOUR));
        }
        assert!(!server.tries("203.0.113.1", "ann", false, START + 30 * HOUR));
    }

    #[test]
    fn who_mistypes_is_forgiven_and_a_known_login_harms_nobody_else() {
        let mut server = Server::new();
        for _ in 0..5 {
            for _ in 0..40 {
                assert!(server.tries("192.0.2.1", "ann", false, START));
            }
            assert!(server.tries("192.0.2.1", "ann", true, START));
            // From now on the login is known, and counts alone.
        }
        let penalty = server.fails("192.0.2.1", "bob", START);
        assert_eq!((penalty.failures, penalty.delay.as_secs()), (1, 1));
        // A telephone with an old password, behind the same address.
        for _ in 0..1_000 {
            server.tries("192.0.2.1", "ann", false, START);
        }
        assert!(!server.tries("192.0.2.1", "ann", true, START));
        assert!(server.tries("192.0.2.1", "bob", true, START));
        assert!(server.tries("192.0.2.1", "ann", true, START + HOUR));
        // What it was known for does not turn into forgiveness when it is not known any more.
        let later = START + 40 * 24 * HOUR;
        server.tries("192.0.2.1", "mallory", true, START);
        for _ in 0..49 {
            server.tries("192.0.2.1", "mallory", false, START + 30 * 24 * HOUR);
        }
        for _ in 0..30 {
            server.tries("192.0.2.1", "victim", false, START + 30 * 24 * HOUR + 1);
        }
        assert!(server.tries("192.0.2.1", "mallory", true, START + 30 * 24 * HOUR + 1));
        assert_eq!(
            server
                .fails("192.0.2.1", "carl", START + 30 * 24 * HOUR + 1)
                .failures,
            31
        );
        assert_eq!(
            server
                .fails("192.0.2.1", "mallory", later + 31 * 24 * HOUR)
                .failures,
            1
        );
    }

    #[test]
    fn guesses_at_the_same_time_are_counted_and_a_success_gives_its_own_back() {
        let Server(failed_login, mut store) = Server::new();
        let client = "192.0.2.1".parse().unwrap();
        let mut attempt = |login: &str| {
            let (decision, _) = failed_login
                .attempt(&mut store, client, login, START)
                .unwrap();
            decision == Decision::Allowed
        };
        // None of them has an answer yet.
        let guesses = (0..200).filter(|number| attempt(&format!("ann{number}")));
        assert_eq!(guesses.count(), 50);
        let Server(failed_login, mut store) = Server::new();
        for tried in 0..50 {
            let login = match tried {
                49 => "bob".to_owned(),
                _ => format!("ann{tried}"),
            };
            let (decision, penalty) = failed_login
                .attempt(&mut store, client, &login, START)
                .unwrap();
            assert_eq!(decision, Decision::Allowed);
            assert_eq!(penalty.banned, tried == 49);
        }
        // The last has the right password after all: one guess is left.
        failed_login
            .succeeded(&mut store, client, "bob", START)
            .unwrap();
        for allowed in [
            Decision::Allowed,
            Decision::Banned {
                subject: Subject::Address,
                time: Duration::from_secs(HOUR),
            },
        ] {
            let (decision, _) = failed_login
                .attempt(&mut store, client, "ann", START)
                .unwrap();
            assert_eq!(decision, allowed);
        }
    }

    #[test]
    fn many_addresses_at_once_have_few_guesses_at_one_login() {
        let Server(failed_login, mut store) = Server::new();
        let from = |network: u32, host: u32| {
            let octets = [10, (network >> 8) as u8, network as u8, host as u8];
            IpAddr::from(octets)
        };
        failed_login
            .succeeded(&mut store, from(9_999, 1), "ann", START - 1)
            .unwrap();
        let mut attempt = |client: IpAddr, login: &str, now: u64| {
            let (decision, penalty) = failed_login
                .attempt(&mut store, client, login, now)
                .unwrap();
            if let Decision::TooManyAtOnce { time } = decision {
                assert!((1..=2).contains(&time.as_secs()), "{decision}");
                assert_eq!(penalty.delay.as_secs(), 16);
            }
            decision == Decision::Allowed
        };
        let guessed = |attempt: &mut dyn FnMut(IpAddr, &str, u64) -> bool, now| {
            let networks = (0..1_000).filter(|network| attempt(from(*network, 1), "ann", now));
            networks.count()
        };
        assert_eq!(guessed(&mut attempt, START), 10);
        assert_eq!(guessed(&mut attempt, START), 0);
        // As many as have had their answers.
        assert_eq!(guessed(&mut attempt, START + 8), 5);
        assert_eq!(guessed(&mut attempt, START + 24), 10);
        // Other logins are not concerned, nor where it is known, nor a webmail server.
        assert!(attempt(from(1, 1), "bob", START + 24));
        for _ in 0..49 {
            assert!(attempt(from(9_999, 1), "ann", START + 24));
            assert!(attempt("198.51.100.1".parse().unwrap(), "ann", START + 24));
        }
        assert_eq!(guessed(&mut attempt, START + 24), 0);
        // What was not looked at bans nobody.
        let Decision::Allowed = failed_login
            .check(&mut store, from(1, 1), "ann", START + 24)
            .unwrap()
        else {
            panic!();
        };
    }

    #[test]
    fn what_succeeds_is_not_in_flight_any_more() {
        let Server(failed_login, mut store) = Server::new();
        for (client, times) in [("198.51.100.1", 200), ("192.0.2.1", 200)] {
            let client = client.parse().unwrap();
            for _ in 0..times {
                let (decision, _) = failed_login
                    .attempt(&mut store, client, "ann", START)
                    .unwrap();
                assert_eq!(decision, Decision::Allowed);
                failed_login
                    .succeeded(&mut store, client, "ann", START)
                    .unwrap();
            }
        }
        let stranger = "203.0.113.1".parse().unwrap();
        let (_, penalty) = failed_login
            .attempt(&mut store, stranger, "ann", START)
            .unwrap();
        assert_eq!((penalty.failures, penalty.delay.as_secs()), (1, 1));
    }

    #[test]
    fn a_neighbour_locks_nobody_out_who_is_known() {
        let mut server = Server::new();
        assert!(server.tries("192.0.2.1", "ann", true, START));
        // Four neighbours, and then one behind the same address.
        for number in 0..150 {
            server.tries(&format!("192.0.2.{}", 100 + number % 4), "x", false, START);
        }
        for _ in 0..60 {
            server.tries("192.0.2.1", "x", false, START);
        }
        assert!(!server.tries("192.0.2.1", "bob", true, START));
        assert!(server.tries("192.0.2.1", "ann", true, START));
        // Whoever guesses its password from there is banned for it alone.
        let guesses = (0..200).filter(|_| server.tries("192.0.2.1", "ann", false, START));
        assert_eq!(guesses.count(), 50);
    }

    #[test]
    fn a_network_is_banned_when_its_addresses_take_turns() {
        let mut server = Server::new();
        let guesses = (0..=255)
            .filter(|host| server.tries(&format!("192.0.2.{host}"), "ann", false, START))
            .count();
        assert_eq!(guesses, 150);
        assert!(server.tries("192.0.3.1", "ann", true, START));
        // An exempt network never is, but what it tries on one login is seen.
        for host in 0..=255 {
            assert!(server.tries(&format!("198.51.100.{host}"), "bob", false, START));
        }
        assert_eq!(
            server.fails("198.51.100.1", "bob", START).subject,
            Subject::Login
        );
    }

    #[test]
    fn clocks_that_jump() {
        let mut server = Server::new();
        for _ in 0..60 {
            server.tries("192.0.2.1", "ann", false, START);
        }
        // Set back by ten days: banned for an hour from then on, not for ten days.
        let back = START - 240 * HOUR;
        assert!(!server.tries("192.0.2.1", "ann", false, back));
        assert!(!server.tries("192.0.2.1", "ann", false, back + HOUR - 1));
        assert!(server.tries("192.0.2.1", "ann", false, back + HOUR));
        assert!(server.tries("192.0.2.1", "ann", false, u64::MAX));
    }

    /// What happens at one address: somebody guesses, others fail and log in.
    fn events() -> impl Strategy<Value = Vec<(u64, u8, bool)>> {
        let pause = prop_oneof![30 => Just(0), 1 => 0..2 * HOUR];
        prop::collection::vec((pause, 0_u8..6, any::<bool>()), 1..400)
    }

    proptest! {
        /// Whatever the others at an address do, and whatever own accounts are used between: guesses at logins that are not known there
        /// stay below the limit and what time forgets.
        #[test]
        fn guesses_are_bounded(events in events()) {
            let mut server = Server::new();
            let policy = Policy { address_failures: 8, ..Policy::default() };
            server.0.policy = policy;
            let (mut now, mut guesses) = (START, 0);
            for (pause, who, right) in events {
                now += pause;
                match who {
                    0..=2 => guesses += u64::from(server.tries("192.0.2.1", &format!("victim{who}"), false, now)),
                    _ => drop(server.tries("192.0.2.1", &format!("user{who}"), right, now)),
                }
                prop_assert!(guesses <= 8 + (now - START) / 1_800, "{} after {} s", guesses, now - START);
            }
        }

        /// Whatever a store gives back and whatever the time: a ban ends when it says so, and lasts no longer than the policy has it.
        #[test]
        fn any_value_is_bounded(
            values: [Option<Value>; 4],
            now in 1_u64..u64::MAX / 2,
            ban in 0_u64..100_000,
            each in 0_u64..10_000,
            limit in 0_u32..1_000,
        ) {
            let policy = Policy {
                ban: Duration::from_secs(ban),
                forgotten_after: Duration::from_secs(each),
                address_failures: limit,
                network_failures: limit / 2,
                ..Policy::default()
            };
            let mended = Subject::ALL.map(|subject| {
                let value = values[subject as usize]?;
                let entry = policy.mended(subject, value, now);
                Some(entry.map_or(value, |entry| entry.value))
            });
            let decision = policy.check(&values, now);
            prop_assert_eq!(decision, policy.check(&mended, now));
            if let Decision::Banned { time, .. } = decision {
                prop_assert!(time.as_secs() <= ban);
                prop_assert_eq!(policy.check(&mended, now + time.as_secs()), Decision::Allowed);
            }
            let (penalty, entries) = policy.failed(&values, now);
            prop_assert!(penalty.delay <= policy.longest_delay);
            prop_assert_eq!(entries.iter().all(Option::is_none), decision != Decision::Allowed);
            policy.succeeded(&values, now);
            if let Some(time) = policy.too_many_at_once(&mended, now) {
                prop_assert!(time <= policy.longest_delay);
                prop_assert_eq!(policy.too_many_at_once(&mended, now + time.as_secs()), None);
            }
        }
    }
}
