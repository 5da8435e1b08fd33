//! Does a client that is not known come back when it is asked to (greylisting, RFC 6647)?
//!
//! A client that is seen for the first time is answered with a temporary refusal (`450 4.7.1`); a mail server tries again, most spamware
//! does not. Not for submission or any authenticated client (RFC 6647 §5 point 7).
//!
//! ```
//! use screening::greylisting::{Attempt, Decision, Greylist, Known};
//! use screening::store::{Keys, MemoryStore};
//!
//! let greylist = Greylist::new(Keys::new([7; 16]));
//! let mut store = MemoryStore::new(100_000);
//! let mut attempt = Attempt::new("192.0.2.7".parse()?, "joe@example.net", "ann@example.org");
//! // SPF passed: the addresses of the domain are one client.
//! attempt.spf_pass = Some("example.net");
//! let first = greylist.check(&mut store, &attempt, 1_800_000_000)?;
//! assert_eq!(first.to_string(), "to come again in 60 s: never seen");
//! attempt.client = "203.0.113.80".parse()?;
//! let retry = greylist.check(&mut store, &attempt, 1_800_000_300)?;
//! assert_eq!(retry, Decision::Pass(Known::Retry));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use mail_dns::Name;

use crate::Network;
use crate::store::{Entry, Key, Keys, Kind, Store, Value};
use crate::text::Lower;

/// What to remember, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How soon a retry counts. Default: 1 minute (RFC 6647 §5 point 2); longer delays mail and gains little.
    pub delay: Duration,
    /// How late a retry counts; a later one is a first attempt again. Default: 24 hours (RFC 6647 §5 point 2). At least twice the delay,
    /// or no retry could pass.
    pub retry_window: Duration,
    /// How long who has passed is remembered without a further message. Default: 35 days, so that a monthly letter is known (RFC 6647
    /// §5 point 3: at least one week). Raising it keeps the store fuller.
    pub lifetime: Duration,
    /// Messages whose retry passed, after which everything from the client, or from the domain of which SPF passed, does. Default: 1
    /// (RFC 6647 §5 point 1).
    pub known_after: u32,
    /// Leading bits of an IPv4 address that a message may come again from. Default: 24, so that it may from another server of a cluster
    /// (RFC 6647 §5 point 5).
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that a message may come again from. Default: 64, the least that one host is given.
    pub ipv6_prefix: u8,
    /// Leading bits of an IPv4 address that are known once a message has come again. Default: 32, "the IP address in that tuple" (RFC 6647
    /// §5 point 1): in networks of end users and of hosting companies one neighbour with a queue would open the door to all that have none.
    /// 24 spares each server of a cluster without SPF its first delay.
    pub known_ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that are known once a message has come again. Default: 64.
    pub known_ipv6_prefix: u8,
    /// Whether the null reverse-path is never delayed. Default: no: a bounce comes back as other mail does, and spam likes to look like
    /// one. It helps those who verify addresses of ours by a transaction that ends after RCPT (RFC 6647 §4.2).
    pub null_sender_passes: bool,
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
            known_ipv4_prefix: 32,
            known_ipv6_prefix: 64,
            null_sender_passes: false,
        }
    }
}

/// One attempt to deliver: RFC 6647 §5 point 1 takes the first recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The address of MAIL FROM without angle brackets, empty for the null reverse-path.
    pub sender: &'a str,
    /// The address of the first RCPT TO.
    pub recipient: &'a str,
    /// The domain for which SPF said pass, if it did: then the domain is the client, from whatever address it comes. A domain that lets
    /// everybody send (`+all`) makes the whole world one client: leave such a pass out.
    pub spf_pass: Option<&'a str>,
    /// Whether a list of good senders has the client (DNSWL, RFC 5782 §1): it passes.
    pub dnswl: bool,
    /// Whether this recipient has written to this sender before: it passes, if SPF does; otherwise anybody could claim to be the sender.
    pub correspondent: bool,
}

impl<'a> Attempt<'a> {
    /// An attempt of which no more is known.
    pub const fn new(client: IpAddr, sender: &'a str, recipient: &'a str) -> Self {
        Self {
            client,
            sender,
            recipient,
            spf_pass: None,
            dnswl: false,
            correspondent: false,
        }
    }
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
#[non_exhaustive]
pub enum Known {
    /// The client's network, or the domain of which SPF passed, is in the list of exceptions (RFC 6647 §5 point 6).
    Exempt,
    /// A list of good senders has the client (RFC 6647 §2.7).
    Dnswl,
    /// The recipient has written to the sender.
    Correspondent,
    /// The reverse-path is null, and the policy lets that pass.
    NullSender,
    /// Messages of the client have passed before.
    Client,
    /// Messages of the domain have passed before, and SPF says that this is one.
    Domain,
    /// The same message, sender and recipient at least, has passed before.
    Message,
    /// It came back within the window.
    Retry,
}

/// Why an attempt is delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// It was never seen, or so long ago that it counts as new (RFC 6647 §5 point 2).
    New,
    /// It came back too early.
    TooEarly,
    /// It was seen at a time that is yet to come: the clock was set back. The delay begins anew.
    ClockSetBack,
}

impl Decision {
    const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass(_))
    }

    /// Whether it lets the client in earlier.
    fn is_sooner_than(&self, other: &Self) -> bool {
        let wait = |decision: &Self| match decision {
            Self::Pass(_) => None,
            Self::Delay { retry_after, .. } => Some(*retry_after),
        };
        wait(self) < wait(other)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(why) => write!(f, "passes: {why}"),
            Self::Delay { why, retry_after } => {
                write!(f, "to come again in {} s: {why}", retry_after.as_secs())
            }
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exempt => "the network is exempt",
            Self::Dnswl => "in a list of good senders",
            Self::Correspondent => "the recipient has written to the sender",
            Self::NullSender => "the null reverse-path",
            Self::Client => "mail of this client has passed before",
            Self::Domain => "mail of this domain has passed before",
            Self::Message => "this sender's mail for the recipient has passed before",
            Self::Retry => "it came back",
        })
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "never seen",
            Self::TooEarly => "back too early",
            Self::ClockSetBack => "seen at a time that is yet to come",
        })
    }
}

/// Under what an attempt is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptKeys {
    /// The client: its address, or the network of it that is known at once.
    pub client: Key,
    /// The domain of which SPF passed.
    pub domain: Option<Key>,
    /// The message: the client's network, sender and recipient.
    pub message: Key,
    /// The message, where SPF passed: that domain in place of the network. Whoever waits does so under both, and whichever says that it has
    /// come again holds: SPF may have had no answer at one of the tries.
    pub domain_message: Option<Key>,
}

/// The rules alone, for a store that answers asynchronously; [`Greylist::check`] shows their order.
impl Policy {
    /// The network that a message of this client may come again from.
    pub fn network(&self, client: IpAddr) -> Network {
        let client = client.to_canonical();
        let prefix = if client.is_ipv4() {
            self.ipv4_prefix
        } else {
            self.ipv6_prefix
        };
        Network::new(client, prefix)
    }

    /// What is known of this client once a message of it has come again.
    pub fn known(&self, client: IpAddr) -> Network {
        let client = client.to_canonical();
        let prefix = if client.is_ipv4() {
            self.known_ipv4_prefix
        } else {
            self.known_ipv6_prefix
        };
        Network::new(client, prefix)
    }

    /// Whether a client, network or domain, is known, and the entry to keep if so.
    pub fn client(&self, value: Option<Value>, now: u64) -> Option<Entry> {
        let [first_seen, _, passed] = self.alive(value?, now)?;
        let known = passed >= u64::from(self.known_after);
        known.then(|| self.kept([first_seen, now, passed], now))
    }

    /// The entry of a client of which a message has just come back.
    pub fn came_back(&self, value: Option<Value>, now: u64) -> Entry {
        let value = value.and_then(|value| self.alive(value, now));
        let [first_seen, _, passed] = value.unwrap_or([now, now, 0]);
        self.kept([first_seen, now, passed.saturating_add(1)], now)
    }

    /// What a message whose client is not known gets, and the entry to keep.
    pub fn message(&self, value: Option<Value>, now: u64) -> (Decision, Entry) {
        let delay = |why, first_seen: u64, left| {
            let retry_after = Duration::from_secs(left);
            let expires = first_seen.saturating_add(self.window());
            let value = [first_seen, now, 0];
            (
                Decision::Delay { why, retry_after },
                Entry { value, expires },
            )
        };
        let delay_all = self.delay.as_secs();
        let Some([first_seen, last_seen, passed]) = value else {
            return delay(Unknown::New, now, delay_all);
        };
        if passed > 0 {
            return match self.alive([first_seen, last_seen, passed], now) {
                Some(_) => {
                    let entry = self.kept([first_seen, now, passed], now);
                    (Decision::Pass(Known::Message), entry)
                }
                None => delay(Unknown::New, now, delay_all),
            };
        }
        let Some(age) = now.checked_sub(first_seen) else {
            return delay(Unknown::ClockSetBack, now, delay_all);
        };
        if age > self.window() {
            // RFC 6647 §5: "Retries after the end of the range SHOULD be considered to be a new message for the purposes of
            // greylisting evaluation"
            return delay(Unknown::New, now, delay_all);
        }
        match delay_all.saturating_sub(age) {
            0 => {
                let entry = self.kept([first_seen, now, 1], now);
                (Decision::Pass(Known::Retry), entry)
            }
            left => delay(Unknown::TooEarly, first_seen, left),
        }
    }

    fn window(&self) -> u64 {
        let least = self.delay.as_secs().saturating_mul(2);
        self.retry_window.as_secs().max(least)
    }

    fn kept(&self, value: Value, now: u64) -> Entry {
        Entry {
            value,
            expires: now.saturating_add(self.lifetime.as_secs()),
        }
    }

    /// The value, if it is not too old. A time that is yet to come is not old: at worst it lives longer by what the clock was set back.
    fn alive(&self, value: Value, now: u64) -> Option<Value> {
        let [_, last_seen, _] = value;
        (now.saturating_sub(last_seen) <= self.lifetime.as_secs()).then_some(value)
    }
}

/// The policy, and who is exempt from it.
#[derive(Clone, Debug)]
pub struct Greylist {
    /// The rules.
    pub policy: Policy,
    /// Networks that are never delayed (RFC 6647 §5 point 6); each costs a comparison at each attempt.
    pub exempt: Vec<Network>,
    /// Domains whose mail is never delayed if SPF passes, and that of their subdomains: those that send codes for a login, which are
    /// worthless when they come late. Each costs a comparison at each attempt.
    pub exempt_domains: Vec<Name>,
    keys: Keys,
}

impl Greylist {
    /// The default policy without exempt networks.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            exempt: Vec::new(),
            exempt_domains: Vec::new(),
            keys,
        }
    }

    /// Decides on an attempt and remembers it.
    ///
    /// `now` is the time in seconds since 1970. A clock that jumps forward makes what is remembered look old, one that is set back makes
    /// a client wait once more: neither loses mail or lets an unknown client through.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn check<S: Store + ?Sized>(
        &self,
        store: &mut S,
        attempt: &Attempt<'_>,
        now: u64,
    ) -> Result<Decision, S::Error> {
        if let Some(known) = self.exempts(attempt) {
            return Ok(Decision::Pass(known));
        }
        let keys = self.keys(attempt);
        let clients = [
            (Some(keys.client), Known::Client),
            (keys.domain, Known::Domain),
        ];
        for (key, known) in clients {
            let Some(key) = key else { continue };
            let value = store.load(&key, now)?;
            if let Some(entry) = self.policy.client(value, now) {
                store.save(key, entry.value, entry.expires)?;
                return Ok(Decision::Pass(known));
            }
        }
        let key = keys.domain_message.unwrap_or(keys.message);
        let (mut decision, mut entry) = self.policy.message(store.load(&key, now)?, now);
        if keys.domain_message.is_some() && !decision.is_pass() {
            let by_network = self.policy.message(store.load(&keys.message, now)?, now);
            if by_network.0.is_sooner_than(&decision) {
                (decision, entry) = by_network;
            }
            if !decision.is_pass() {
                store.save(keys.message, entry.value, entry.expires)?;
            }
        }
        store.save(key, entry.value, entry.expires)?;
        if decision == Decision::Pass(Known::Retry) {
            // RFC 6647 §5: "After a successful retry, allow all further [SMTP] traffic from the IP address in that tuple regardless of
            // envelope information."
            for key in [Some(keys.client), keys.domain].into_iter().flatten() {
                let entry = self.policy.came_back(store.load(&key, now)?, now);
                store.save(key, entry.value, entry.expires)?;
            }
        }
        Ok(decision)
    }

    /// Whether an attempt passes without having been seen.
    pub fn exempts(&self, attempt: &Attempt<'_>) -> Option<Known> {
        let client = attempt.client;
        if self.exempt.iter().any(|network| network.contains(client))
            || self.exempts_domain(attempt)
        {
            Some(Known::Exempt)
        } else if attempt.dnswl {
            Some(Known::Dnswl)
        } else if attempt.correspondent && attempt.spf_pass.is_some() {
            Some(Known::Correspondent)
        } else if attempt.sender.is_empty() && self.policy.null_sender_passes {
            Some(Known::NullSender)
        } else {
            None
        }
    }

    fn exempts_domain(&self, attempt: &Attempt<'_>) -> bool {
        if self.exempt_domains.is_empty() {
            return false;
        }
        let domain = attempt.spf_pass.and_then(|domain| domain.parse().ok());
        domain.is_some_and(|domain: Name| {
            let mut exempt = self.exempt_domains.iter();
            exempt.any(|exempt| domain.is_subdomain_of(exempt))
        })
    }

    /// Under what an attempt is remembered.
    ///
    /// Letters are compared without case. Of an address the first 256 octets count (RFC 5321 §4.5.3.1.3), and of the sender's local part
    /// each number is alike (RFC 6647 §4.2).
    pub fn keys(&self, attempt: &Attempt<'_>) -> AttemptKeys {
        let network = self.policy.network(attempt.client).octets();
        let known = self.policy.known(attempt.client).octets();
        let local_part = attempt.sender.rfind('@').unwrap_or(attempt.sender.len());
        // RFC 6647 §4.2: "Some clients encode message-specific details in the address parameter to the [SMTP] MAIL command.  If doing so
        // causes the parameter to change between retry attempts, a greylisting implementation could see it as a new delivery rather than
        // a retry and disallow the delivery."
        let sender = Lower::with_numbers_alike(attempt.sender, local_part);
        let recipient = Lower::new(attempt.recipient);
        let domain = attempt.spf_pass.map(Lower::domain);
        let domain = domain.as_ref().map(Lower::octets);
        let key = |kind, parts: &[&[u8]]| self.keys.key(kind, parts);
        let message = |what: &[u8], client: &[u8]| {
            let parts = [what, client, sender.octets(), recipient.octets()];
            key(Kind::GreylistMessage, &parts)
        };
        AttemptKeys {
            client: key(Kind::GreylistClient, &[b"network", &known]),
            domain: domain.map(|domain| key(Kind::GreylistClient, &[b"domain", domain])),
            message: message(b"network", &network),
            domain_message: domain.map(|domain| message(b"domain", domain)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn attempt<'a>(client: &str, sender: &'a str) -> Attempt<'a> {
        Attempt::new(client.parse().unwrap(), sender, "ann@example.org")
    }

    fn spf<'a>(client: &str, sender: &'a str, domain: &'a str) -> Attempt<'a> {
        let mut attempt = attempt(client, sender);
        attempt.spf_pass = Some(domain);
        attempt
    }

    fn delay(why: Unknown, seconds: u64) -> Decision {
        Decision::Delay {
            why,
            retry_after: Duration::from_secs(seconds),
        }
    }

    fn greylist(policy: Policy) -> Greylist {
        let mut greylist = Greylist::new(Keys::new([1; 16]));
        greylist.policy = policy;
        greylist.exempt = vec!["198.51.100.0/24".parse().unwrap()];
        greylist.exempt_domains = vec!["codes.example".parse().unwrap()];
        greylist
    }

    /// Attempts at these seconds after the start, and what each gets.
    fn story(policy: Policy, steps: &[(i64, Attempt<'_>, Decision)]) {
        let greylist = greylist(policy);
        let mut store = MemoryStore::new(100);
        for (at, attempt, expected) in steps {
            let now = START.checked_add_signed(*at).unwrap();
            let decision = greylist.check(&mut store, attempt, now).unwrap();
            assert_eq!(decision, *expected, "{attempt:?} at {at}");
        }
    }

    fn known_after_2() -> Policy {
        Policy {
            known_after: 2,
            ..Policy::default()
        }
    }

    #[test]
    fn delay_window_and_lifetime() {
        use Decision::Pass;
        let at = |at, sender, decision| (at, attempt("192.0.2.1", sender), decision);
        let new = delay(Unknown::New, 60);
        story(
            known_after_2(),
            &[
                at(0, "a@x", new),
                at(59, "a@x", delay(Unknown::TooEarly, 1)),
                at(59, "b@x", new),
                at(60, "A@X", Pass(Known::Retry)),
                at(61, "a@x", Pass(Known::Message)),
                at(35 * DAY + 61, "a@x", Pass(Known::Message)),
                at(70 * DAY + 62, "a@x", new),
            ],
        );
        story(
            known_after_2(),
            &[
                at(0, "a@x", new),
                at(DAY, "a@x", Pass(Known::Retry)),
                at(0, "b@x", new),
                at(DAY + 1, "b@x", new),
                at(DAY + 61, "b@x", Pass(Known::Retry)),
                at(DAY + 62, "c@x", Pass(Known::Client)),
            ],
        );
    }

    #[test]
    fn a_message_may_come_again_from_the_network_and_the_address_is_known() {
        use Decision::Pass;
        let at = |at, client, sender, decision| (at, attempt(client, sender), decision);
        let new = delay(Unknown::New, 60);
        let policy = Policy {
            known_ipv4_prefix: 24,
            ..Policy::default()
        };
        story(
            policy,
            &[
                at(0, "192.0.2.1", "a@x", new),
                at(60, "192.0.2.254", "a@x", Pass(Known::Retry)),
                at(61, "192.0.2.7", "b@x", Pass(Known::Client)),
                at(61, "192.0.3.7", "b@x", new),
            ],
        );
        story(
            Policy::default(),
            &[
                at(0, "192.0.2.1", "a@x", new),
                at(60, "192.0.2.254", "a@x", Pass(Known::Retry)),
                at(61, "192.0.2.254", "b@x", Pass(Known::Client)),
                at(61, "::ffff:192.0.2.254", "b@x", Pass(Known::Client)),
                // The message passes from anywhere in the network, and nothing else does.
                at(61, "192.0.2.7", "a@x", Pass(Known::Message)),
                at(61, "192.0.2.7", "b@x", new),
                at(61, "192.0.3.7", "a@x", new),
                at(61, "2001:db8::1", "b@x", new),
                at(200, "2001:db8::ffff:1", "b@x", Pass(Known::Retry)),
                at(200, "2001:db8:0:1::1", "b@x", new),
                at(200, "198.51.100.1", "b@x", Pass(Known::Exempt)),
            ],
        );
    }

    #[test]
    fn a_pool_of_addresses_is_one_client_where_spf_passes() {
        use Decision::Pass;
        let new = delay(Unknown::New, 60);
        story(
            known_after_2(),
            &[
                (0, spf("192.0.2.1", "a@x.example", "x.example"), new),
                (90, attempt("203.0.113.1", "a@x.example"), new),
                (90, spf("203.0.113.1", "a@x.example", "y.example"), new),
                (
                    91,
                    spf("203.0.113.1", "a@x.example", "X.example."),
                    Pass(Known::Retry),
                ),
                (92, spf("2001:db8::1", "b@x.example", "x.example"), new),
                (
                    152,
                    spf("2001:db9::1", "b@x.example", "x.example"),
                    Pass(Known::Retry),
                ),
                (
                    153,
                    spf("2001:dba::1", "c@x.example", "x.example"),
                    Pass(Known::Domain),
                ),
                (153, attempt("2001:dba::1", "c@x.example"), new),
            ],
        );
        // Whose retry came from there has shown that there is a queue: its other domains need not.
        story(
            Policy::default(),
            &[
                (0, spf("192.0.2.1", "a@x.example", "x.example"), new),
                (
                    60,
                    spf("203.0.113.1", "a@x.example", "x.example"),
                    Pass(Known::Retry),
                ),
                (
                    61,
                    spf("203.0.113.1", "b@y.example", "y.example"),
                    Pass(Known::Client),
                ),
                (61, spf("192.0.2.1", "b@y.example", "y.example"), new),
            ],
        );
    }

    #[test]
    fn a_retry_counts_whether_or_not_spf_had_an_answer() {
        use Decision::Pass;
        let new = delay(Unknown::New, 60);
        let with = |client, sender| spf(client, sender, "x.example");
        let retry = Pass(Known::Retry);
        for (first, second, third) in [
            // Passed, then no answer, and the other way round: within the network.
            (
                with("192.0.2.1", "a@x.example"),
                attempt("192.0.2.2", "a@x.example"),
                retry,
            ),
            (
                attempt("192.0.2.1", "a@x.example"),
                with("192.0.2.2", "a@x.example"),
                retry,
            ),
            // What is not proven counts for nobody: from elsewhere it waits.
            (
                with("192.0.2.1", "a@x.example"),
                attempt("203.0.113.1", "a@x.example"),
                new,
            ),
            (
                attempt("192.0.2.1", "a@x.example"),
                with("203.0.113.1", "a@x.example"),
                new,
            ),
            (
                with("192.0.2.1", "a@x.example"),
                attempt("192.0.2.1", "b@x.example"),
                new,
            ),
        ] {
            story(Policy::default(), &[(0, first, new), (60, second, third)]);
        }
        // What has begun to wait waits no longer for it.
        let (passed, no_answer) = (
            with("192.0.2.1", "a@x.example"),
            attempt("192.0.2.1", "a@x.example"),
        );
        for [one, other] in [[passed, no_answer], [no_answer, passed]] {
            let early = delay(Unknown::TooEarly, 20);
            story(
                Policy::default(),
                &[(0, one, new), (40, other, early), (60, one, retry)],
            );
            story(
                Policy::default(),
                &[(0, one, new), (40, other, early), (60, other, retry)],
            );
        }
        // A domain is known by what SPF has proven at the last.
        let elsewhere = with("203.0.113.1", "c@x.example");
        for (second, third) in [(passed, Pass(Known::Domain)), (no_answer, new)] {
            let steps = [
                (0, passed, new),
                (60, second, retry),
                (61, elsewhere, third),
            ];
            story(Policy::default(), &steps);
        }
    }

    #[test]
    fn exceptions() {
        use Decision::Pass;
        let new = delay(Unknown::New, 60);
        let mut good = attempt("192.0.2.1", "a@x");
        let mut friend = spf("192.0.2.1", "b@x", "x");
        good.dnswl = true;
        friend.correspondent = true;
        let mut claims_to_be = friend;
        claims_to_be.spf_pass = None;
        let bounce = attempt("192.0.2.1", "");
        let code = |domain| spf("192.0.2.1", "c@codes.example", domain);
        story(
            Policy::default(),
            &[
                (0, good, Pass(Known::Dnswl)),
                (1, friend, Pass(Known::Correspondent)),
                (1, claims_to_be, new),
                (1, code("codes.example"), Pass(Known::Exempt)),
                (1, code("Mail.Codes.Example"), Pass(Known::Exempt)),
                (1, code("badcodes.example"), new),
                (1, attempt("192.0.2.1", "d@codes.example"), new),
                (2, bounce, new),
                (62, bounce, Pass(Known::Retry)),
            ],
        );
        let policy = Policy {
            null_sender_passes: true,
            ..Policy::default()
        };
        story(policy, &[(0, bounce, Pass(Known::NullSender))]);
    }

    #[test]
    fn clocks_that_jump() {
        use Decision::Pass;
        let at = |at, sender, decision| (at, attempt("192.0.2.1", sender), decision);
        story(
            Policy::default(),
            &[
                at(0, "a@x", delay(Unknown::New, 60)),
                at(-4_000, "a@x", delay(Unknown::ClockSetBack, 60)),
                at(-3_940, "a@x", Pass(Known::Retry)),
                at(-90_000, "b@x", Pass(Known::Client)),
                at(1 << 60, "b@x", delay(Unknown::New, 60)),
            ],
        );
        let policy = Policy::default();
        for (first, now) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let (decision, _) = policy.message(Some([first, first, 0]), now);
            assert!(matches!(decision, Decision::Delay { .. }), "{first} {now}");
        }
    }

    #[test]
    fn a_flood_forgets_messages_and_no_client() {
        let greylist = greylist(Policy::default());
        let mut store = MemoryStore::new(10);
        let good = attempt("192.0.2.1", "a@x");
        greylist.check(&mut store, &good, START).unwrap();
        greylist.check(&mut store, &good, START + 60).unwrap();
        for number in 0..1_000 {
            let sender = format!("a@flood{number}.example");
            let attempt = attempt("203.0.113.1", &sender);
            greylist.check(&mut store, &attempt, START + 61).unwrap();
        }
        assert_eq!(store.len(), 11);
        assert_eq!(
            greylist.check(&mut store, &good, START + 62),
            Ok(Decision::Pass(Known::Client))
        );
    }

    #[test]
    fn what_is_known_survives_a_restart() {
        let greylist = greylist(Policy::default());
        let mut store = MemoryStore::new(10);
        let [known, waiting] = [attempt("192.0.2.1", "a@x"), attempt("203.0.113.1", "b@x")];
        for (attempt, later) in [(known, 0), (known, 60), (waiting, 61)] {
            greylist.check(&mut store, &attempt, START + later).unwrap();
        }
        let mut restarted = MemoryStore::new(10);
        for (key, value, expires) in store.entries() {
            restarted.save(key, value, expires).unwrap();
        }
        for (attempt, why) in [(known, Known::Client), (waiting, Known::Retry)] {
            let decision = greylist.check(&mut restarted, &attempt, START + 121);
            assert_eq!(decision, Ok(Decision::Pass(why)));
        }
    }

    #[test]
    fn addresses_as_keys() {
        let greylist = greylist(Policy::default());
        let key = |sender: &str| greylist.keys(&attempt("192.0.2.1", sender)).message;
        let long = "ü".repeat(5_000);
        for (one, other, same) in [
            ("Ann@X.example", "ann@x.example", true),
            ("b-123-4@x.example", "b-6-78910@x.example", true),
            ("b-123-4@x.example", "b-6@x.example", false),
            ("b@x1.example", "b@x2.example", false),
            ("", "1", false),
            ("a@b@3.example", "a@b@4.example", false),
            (&long, &long[..256], true),
            (&long, &long[..254], false),
        ] {
            assert_eq!(key(one) == key(other), same, "{one} {other}");
        }
    }

    proptest! {
        /// Whatever a store gives back, whatever the policy and the time: who comes again when it is told to passes, and who comes sooner does
        /// not.
        #[test]
        fn who_comes_when_it_is_told_to_passes(
            value: Option<Value>,
            now in 0..u64::MAX / 2,
            delay in 0_u64..10_000,
            window in 0_u64..100_000,
        ) {
            let policy = Policy {
                delay: Duration::from_secs(delay),
                retry_window: Duration::from_secs(window),
                ..Policy::default()
            };
            let (decision, entry) = policy.message(value, now);
            prop_assert!(entry.expires >= now);
            if let Decision::Delay { retry_after, .. } = decision {
                let wait = retry_after.as_secs();
                prop_assert!(wait <= delay && entry.expires >= now + wait);
                let at = |later| policy.message(Some(entry.value), later).0;
                prop_assert_eq!(at(now + wait), Decision::Pass(Known::Retry));
                if wait > 0 {
                    let early = matches!(at(now + wait - 1), Decision::Delay { .. });
                    prop_assert!(early);
                }
            } else {
                // Only what was seen before passes, and then goes on to.
                prop_assert!(value.is_some());
                let (again, _) = policy.message(Some(entry.value), now);
                prop_assert_eq!(again, Decision::Pass(Known::Message));
            }
        }
    }
}
