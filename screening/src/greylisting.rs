//! Does a client that is not known come back when it is asked to (greylisting, RFC 6647)?
//!
//! A client that is seen for the first time is answered with a temporary refusal (`450 4.7.1`); a mail server tries again, most spamware
//! does not. Not for submission or any authenticated client (RFC 6647 §5 point 7).

use core::convert::Infallible;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::Network;

/// What to remember, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How soon a retry counts. Default: 1 minute (RFC 6647 §5 point 2); longer delays mail and gains little.
    pub delay: Duration,
    /// How late a retry counts; a later one is a first attempt again. Default: 24 hours (RFC 6647 §5 point 2).
    pub retry_window: Duration,
    /// How long who has passed is remembered without a further message. Default: 35 days, so that a monthly letter is known (RFC 6647
    /// §5 point 3: at least one week). Raising it keeps the store fuller.
    pub lifetime: Duration,
    /// Messages whose retry passed, after which everything from the client's network does. Default: 1 (RFC 6647 §5 point 1).
    pub known_after: u32,
    /// Leading bits of an IPv4 address that make one client. Default: 24 (RFC 6647 §5 point 5).
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that make one client. Default: 64, the least that one host is given.
    pub ipv6_prefix: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(60),
            retry_window: Duration::from_secs(24 * 3600),
            lifetime: Duration::from_secs(35 * 24 * 3600),
            known_after: 1,
            ipv4_prefix: 24,
            ipv6_prefix: 64,
        }
    }
}

/// One attempt to deliver: RFC 6647 §5 point 1 takes the first recipient.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The address of MAIL FROM without angle brackets, empty for the null reverse-path.
    pub sender: &'a str,
    /// The address of the first RCPT TO.
    pub recipient: &'a str,
}

/// Under what something is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A message on its way: the client's network, sender and recipient in lower case and at most 256 octets each (RFC 5321
    /// §4.5.3.1.3; what is longer is cut, and takes no more memory).
    Message(Network, Box<str>, Box<str>),
    /// A client's network.
    Client(Network),
}

/// What is remembered. All times are seconds since 1970 as they were handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first attempt.
    pub first_seen: u64,
    /// The last attempt that changed anything.
    pub last_seen: u64,
    /// For a message: whether its retry has passed, 0 or 1. For a client: how many messages' retries have passed.
    pub passed: u32,
}

/// Where entries are kept. All border servers of a domain should share one (RFC 6647 §5 point 4).
///
/// An implementation may forget anything at any time: that delays mail, it loses none. [`Policy::message`] and [`Policy::client`] are the
/// rules alone, for a store that answers asynchronously.
pub trait Store {
    /// What can go wrong.
    type Error;

    /// The entry under a key.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn load(&mut self, key: &Key) -> Result<Option<Entry>, Self::Error>;

    /// Puts an entry under a key, in place of what was there.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn save(&mut self, key: Key, entry: Entry) -> Result<(), Self::Error>;
}

/// What to do with an attempt, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it through.
    Pass(Known),
    /// Answer `450 4.7.1` (RFC 6647 §5).
    Delay {
        /// Why.
        why: Unknown,
        /// From when on a retry passes.
        retry_after: Duration,
    },
}

/// Why an attempt passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The client's network is in the list of exceptions (RFC 6647 §5 point 6).
    Exempt,
    /// Messages of the client have passed before.
    Client,
    /// The same message, sender and recipient at least, has passed before.
    Message,
    /// It came back within the window.
    Retry,
}

/// Why an attempt is delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It was never seen.
    New,
    /// It came back too early.
    TooEarly,
    /// It came back too late, or what was known is too old; it counts as never seen.
    Expired,
    /// It was seen at a time that is yet to come: the clock was set back. The delay begins anew.
    ClockSetBack,
}

impl Policy {
    /// The network that an address stands for.
    pub fn network(&self, client: IpAddr) -> Network {
        let client = client.to_canonical();
        let prefix = if client.is_ipv4() {
            self.ipv4_prefix
        } else {
            self.ipv6_prefix
        };
        Network::new(client, prefix)
    }

    /// The keys of an attempt: that of its client, and its own.
    pub fn keys(&self, attempt: &Attempt<'_>) -> (Key, Key) {
        let network = self.network(attempt.client);
        let address = |text: &str| {
            let end = (0..=text.len().min(256))
                .rev()
                .find(|&end| text.is_char_boundary(end));
            text[..end.unwrap_or_default()].to_ascii_lowercase().into()
        };
        (
            Key::Client(network),
            Key::Message(network, address(attempt.sender), address(attempt.recipient)),
        )
    }

    /// Whether a client is known, and the entry to keep if so.
    pub fn client(&self, entry: Option<Entry>, now: u64) -> Option<Entry> {
        let known = self.alive(entry?, now)?;
        (known.passed >= self.known_after).then_some(Entry {
            last_seen: now,
            ..known
        })
    }

    /// What a message whose client is not known gets, and the entry to keep.
    pub fn message(&self, entry: Option<Entry>, now: u64) -> (Decision, Entry) {
        let new = Entry {
            first_seen: now,
            last_seen: now,
            passed: 0,
        };
        let delay = |why| {
            (
                Decision::Delay {
                    why,
                    retry_after: self.delay,
                },
                new,
            )
        };
        let Some(entry) = entry else {
            return delay(Unknown::New);
        };
        if entry.passed > 0 {
            return match self.alive(entry, now) {
                Some(entry) => (
                    Decision::Pass(Known::Message),
                    Entry {
                        last_seen: now,
                        ..entry
                    },
                ),
                None => delay(Unknown::Expired),
            };
        }
        let Some(age) = now.checked_sub(entry.first_seen) else {
            return delay(Unknown::ClockSetBack);
        };
        if age > self.retry_window.as_secs() {
            // RFC 6647 §5: "Retries after the end of the range SHOULD be considered to be a new message for the purposes of
            // greylisting evaluation"
            return delay(Unknown::Expired);
        }
        let left = self.delay.as_secs().saturating_sub(age);
        if left > 0 {
            let why = Unknown::TooEarly;
            return (
                Decision::Delay {
                    why,
                    retry_after: Duration::from_secs(left),
                },
                entry,
            );
        }
        (
            Decision::Pass(Known::Retry),
            Entry {
                last_seen: now,
                passed: 1,
                ..entry
            },
        )
    }

    /// The entry, if it is not too old. A time that is yet to come is not old: at worst it lives longer by what the clock was set back.
    fn alive(&self, entry: Entry, now: u64) -> Option<Entry> {
        (now.saturating_sub(entry.last_seen) <= self.lifetime.as_secs()).then_some(entry)
    }
}

/// The policy, and who is exempt from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greylist {
    /// The rules.
    pub policy: Policy,
    /// Networks that are never delayed (RFC 6647 §5 point 6).
    pub exempt: Vec<Network>,
}

impl Greylist {
    /// Decides on an attempt and remembers it.
    ///
    /// `now` is the time in seconds since 1970. A clock that jumps forward makes what is remembered look old, one that is set back makes
    /// a client wait once more: neither loses mail or lets an unknown client through.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn check<S: Store>(
        &self,
        store: &mut S,
        attempt: &Attempt<'_>,
        now: u64,
    ) -> Result<Decision, S::Error> {
        if self
            .exempt
            .iter()
            .any(|network| network.contains(attempt.client))
        {
            return Ok(Decision::Pass(Known::Exempt));
        }
        let (client_key, message_key) = self.policy.keys(attempt);
        let client = store.load(&client_key)?;
        if let Some(known) = self.policy.client(client, now) {
            store.save(client_key, known)?;
            return Ok(Decision::Pass(Known::Client));
        }
        let entry = store.load(&message_key)?;
        let (decision, entry) = self.policy.message(entry, now);
        store.save(message_key, entry)?;
        if decision == Decision::Pass(Known::Retry) {
            let client = client.and_then(|client| self.policy.alive(client, now));
            let client = client.unwrap_or(Entry {
                first_seen: now,
                last_seen: now,
                passed: 0,
            });
            let passed = client.passed.saturating_add(1);
            store.save(
                client_key,
                Entry {
                    last_seen: now,
                    passed,
                    ..client
                },
            )?;
        }
        Ok(decision)
    }
}

/// A store in memory, for one server and tests; what was used longest ago is forgotten first.
///
/// Clients and messages have room of their own: a flood of messages never makes it forget a client that has passed. An entry takes at most
/// about a kilobyte (two addresses of 256 octets, held once), so the store stays below twice the capacity in kilobytes.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    clients: Table,
    messages: Table,
}

#[derive(Clone, Debug)]
struct Table {
    capacity: usize,
    entries: HashMap<Arc<Key>, (Entry, u64)>,
    /// Keys by their last use.
    by_use: BTreeMap<u64, Arc<Key>>,
    uses: u64,
}

impl MemoryStore {
    /// A store of at most this many clients and as many messages; at least one of each.
    pub fn new(capacity: usize) -> Self {
        let table = Table {
            capacity: capacity.max(1),
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        };
        Self {
            clients: table.clone(),
            messages: table,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.clients.entries.len() + self.messages.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    const fn table(&mut self, key: &Key) -> &mut Table {
        match key {
            Key::Client(_) => &mut self.clients,
            Key::Message(..) => &mut self.messages,
        }
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn load(&mut self, key: &Key) -> Result<Option<Entry>, Infallible> {
        Ok(self.table(key).entries.get(key).map(|(entry, _)| *entry))
    }

    fn save(&mut self, key: Key, entry: Entry) -> Result<(), Infallible> {
        let table = self.table(&key);
        table.uses += 1;
        let key = match table.entries.remove_entry(&key) {
            Some((key, (_, used))) => {
                table.by_use.remove(&used);
                key
            }
            None => Arc::new(key),
        };
        table.by_use.insert(table.uses, Arc::clone(&key));
        table.entries.insert(key, (entry, table.uses));
        if table.entries.len() > table.capacity
            && let Some((_, oldest)) = table.by_use.pop_first()
        {
            table.entries.remove(&oldest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    fn attempt<'a>(client: &str, sender: &'a str) -> Attempt<'a> {
        Attempt {
            client: client.parse().unwrap(),
            sender,
            recipient: "ann@example.org",
        }
    }

    fn delay(why: Unknown, seconds: u64) -> Decision {
        Decision::Delay {
            why,
            retry_after: Duration::from_secs(seconds),
        }
    }

    /// Attempts at these seconds after the start, and what each gets.
    fn story(policy: Policy, steps: &[(i64, &str, &str, Decision)]) {
        let greylist = Greylist {
            policy,
            exempt: vec!["198.51.100.0/24".parse().unwrap()],
        };
        let mut store = MemoryStore::new(100);
        for (at, client, sender, expected) in steps {
            let now = START.checked_add_signed(*at).unwrap();
            let decision = greylist
                .check(&mut store, &attempt(client, sender), now)
                .unwrap();
            assert_eq!(decision, *expected, "{sender} from {client} at {at}");
        }
    }

    #[test]
    fn delay_window_and_lifetime() {
        const DAY: i64 = 86_400;
        let policy = || Policy {
            known_after: 2,
            ..Policy::default()
        };
        story(
            policy(),
            &[
                (0, "192.0.2.1", "a@x", delay(Unknown::New, 60)),
                (59, "192.0.2.1", "a@x", delay(Unknown::TooEarly, 1)),
                (59, "192.0.2.1", "b@x", delay(Unknown::New, 60)),
                (60, "192.0.2.1", "A@X", Decision::Pass(Known::Retry)),
                (61, "192.0.2.1", "a@x", Decision::Pass(Known::Message)),
                (
                    35 * DAY + 61,
                    "192.0.2.1",
                    "a@x",
                    Decision::Pass(Known::Message),
                ),
                (
                    70 * DAY + 62,
                    "192.0.2.1",
                    "a@x",
                    delay(Unknown::Expired, 60),
                ),
            ],
        );
        story(
            policy(),
            &[
                (0, "192.0.2.1", "a@x", delay(Unknown::New, 60)),
                (DAY, "192.0.2.1", "a@x", Decision::Pass(Known::Retry)),
                (0, "192.0.2.1", "b@x", delay(Unknown::New, 60)),
                (DAY + 1, "192.0.2.1", "b@x", delay(Unknown::Expired, 60)),
                (DAY + 61, "192.0.2.1", "b@x", Decision::Pass(Known::Retry)),
                (DAY + 62, "192.0.2.1", "c@x", Decision::Pass(Known::Client)),
            ],
        );
    }

    #[test]
    fn clients_are_networks() {
        story(
            Policy::default(),
            &[
                (0, "192.0.2.1", "a@x", delay(Unknown::New, 60)),
                (60, "192.0.2.254", "a@x", Decision::Pass(Known::Retry)),
                (61, "192.0.2.7", "b@x", Decision::Pass(Known::Client)),
                (61, "::ffff:192.0.2.7", "b@x", Decision::Pass(Known::Client)),
                (61, "192.0.3.7", "b@x", delay(Unknown::New, 60)),
                (61, "2001:db8::1", "b@x", delay(Unknown::New, 60)),
                (200, "2001:db8::ffff:1", "b@x", Decision::Pass(Known::Retry)),
                (200, "2001:db8:0:1::1", "b@x", delay(Unknown::New, 60)),
                (200, "198.51.100.1", "b@x", Decision::Pass(Known::Exempt)),
            ],
        );
    }

    #[test]
    fn clocks_that_jump() {
        story(
            Policy::default(),
            &[
                (0, "192.0.2.1", "a@x", delay(Unknown::New, 60)),
                (-4_000, "192.0.2.1", "a@x", delay(Unknown::ClockSetBack, 60)),
                (-3_940, "192.0.2.1", "a@x", Decision::Pass(Known::Retry)),
                (-90_000, "192.0.2.1", "b@x", Decision::Pass(Known::Client)),
                (1 << 60, "192.0.2.1", "b@x", delay(Unknown::New, 60)),
            ],
        );
        let policy = Policy::default();
        for (first, now) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let entry = Entry {
                first_seen: first,
                last_seen: first,
                passed: 0,
            };
            let (decision, _) = policy.message(Some(entry), now);
            assert!(matches!(decision, Decision::Delay { .. }), "{first} {now}");
        }
    }

    #[test]
    fn a_flood_forgets_messages_and_no_client() {
        let greylist = Greylist::default();
        let mut store = MemoryStore::new(10);
        let good = attempt("192.0.2.1", "a@x");
        greylist.check(&mut store, &good, START).unwrap();
        greylist.check(&mut store, &good, START + 60).unwrap();
        for number in 0..1_000 {
            let sender = format!("{number}@flood.example");
            greylist
                .check(&mut store, &attempt("203.0.113.1", &sender), START + 61)
                .unwrap();
        }
        assert_eq!(store.len(), 11);
        assert_eq!(
            greylist.check(&mut store, &good, START + 62),
            Ok(Decision::Pass(Known::Client))
        );
    }

    #[test]
    fn keys_are_bounded() {
        let long = "ü".repeat(5_000);
        let (_, key) = Policy::default().keys(&attempt("192.0.2.1", &long));
        assert!(matches!(key, Key::Message(_, sender, _) if sender.len() == 256));
    }
}
