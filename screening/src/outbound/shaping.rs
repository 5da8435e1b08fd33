//! How many connections and messages a destination gets now: few at first, more while all goes well, fewer when it says so.
//!
//! A [`Shaper`] lives in the process that sends: what it knows is of the moment, and worth nothing after a restart. The number of
//! connections to a destination grows by one for each round of messages that were taken, shrinks by one for a round that failed, and is
//! halved when the destination asks for less (421, or a 4xx about us); then it is left alone for a while that doubles each time.
//!
//! ```
//! use screening::outbound::provider::Provider;
//! use screening::outbound::reply_class::Reply;
//! use screening::outbound::shaping::{Because, Shaper, Turn};
//!
//! let mut shaper = Shaper::default();
//! let (yahoo, now) = ("yahoo".parse::<Provider>()?, 1_800_000_000);
//! assert_eq!(shaper.connect(&yahoo, now), Turn::Now);
//! assert_eq!(shaper.message(&yahoo, 0, now, now), Turn::Now);
//! shaper.reply(&yahoo, &Reply { code: 421, enhanced: Some((4, 7, 0)), text: "Too many connections" }, now);
//! shaper.closed(&yahoo, now);
//! assert_eq!(shaper.connect(&yahoo, now), Turn::Later { at: Some(now + 60), because: Because::BackOff });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use super::provider::Provider;
use super::reply_class::{Reply, ReplyClass};
use crate::rate_limit::Quota;
use crate::store::Value;

/// A share of a connection: windows are counted in thousandths.
const ONE: u32 = 1_000;

/// What a destination is given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Connections at once in the beginning. Default: 5, as Postfix does.
    pub initial_connections: u32,
    /// Connections at once, at most. Default: 20, as Postfix does. Raising it lets more wait at a provider that is slow.
    pub max_connections: u32,
    /// Messages on one connection. Default: 100; many servers end it there.
    pub messages_per_connection: u32,
    /// For how long a connection is used for further messages. Default: 5 minutes, as Postfix does: whoever balances its load by connections
    /// gets new ones.
    pub connection_time: Duration,
    /// How many messages, on all connections together. Default: as many as the connections carry.
    pub rate: Option<Quota>,
    /// Connections that fail one after the other until the destination is left alone. Default: 3.
    pub failed_connections: u32,
    /// For how long it is left alone at first. Default: 1 minute, doubled with each further time.
    pub back_off: Duration,
    /// For how long it is left alone at most. Default: 1 hour.
    pub longest_back_off: Duration,
    /// How long without a message until it begins anew with `initial_connections`. Default: 1 hour.
    pub idle: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            initial_connections: 5,
            max_connections: 20,
            messages_per_connection: 100,
            connection_time: Duration::from_secs(300),
            rate: None,
            failed_connections: 3,
            back_off: Duration::from_secs(60),
            longest_back_off: Duration::from_secs(3_600),
            idle: Duration::from_secs(3_600),
        }
    }
}

/// How much a [`Shaper`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Destinations that are remembered. Default: 10,000, which is more than have mail at once; each costs about 150 octets. Where they do
    /// not suffice, half of those are forgotten that have no connection and are not left alone.
    pub destinations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            destinations: 10_000,
        }
    }
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Now; it is counted.
    Now,
    /// Not on this connection, which has carried as many messages as it should.
    Close,
    /// Not now.
    Later {
        /// When to ask again, in seconds since 1970; none: when a connection is closed.
        at: Option<u64>,
        /// Why.
        because: Because,
    },
}

/// Why something has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// There are as many connections as there may be.
    Connections,
    /// There were as many messages as there may be in this time.
    Rate,
    /// The destination is left alone: it asked for less, or cannot be reached.
    BackOff,
    /// As many destinations as are remembered have connections, or are left alone.
    Destinations,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connections => "as many connections as the destination should have",
            Self::Rate => "as many messages as the destination should have",
            Self::BackOff => "the destination is left alone for a while",
            Self::Destinations => "too many destinations at once",
        })
    }
}

/// Decides for each destination. The times handed in are seconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Shaper {
    /// What a destination is given that has nothing of its own.
    pub policy: Policy,
    /// What single destinations are given.
    pub providers: BTreeMap<Provider, Policy>,
    /// How much is held.
    pub limits: Limits,
    destinations: BTreeMap<Provider, Destination>,
}

/// What is known of a destination.
#[derive(Clone, Debug)]
struct Destination {
    /// Connections there are.
    open: u32,
    /// Connections there may be, in thousandths; at least one.
    window: u32,
    /// Connections that failed since the last that did not.
    failed: u32,
    /// Times it was left alone since a message was taken.
    strikes: u32,
    /// Until when it is left alone.
    until: u64,
    /// What was spent of the rate.
    spent: Option<Value>,
    /// When something was last asked or told of it.
    used: u64,
}

impl Shaper {
    /// Asks for a connection. One that is given must be followed by [`closed`](Self::closed) or [`failed`](Self::failed).
    pub fn connect(&mut self, provider: &Provider, now: u64) -> Turn {
        if !self.destinations.contains_key(provider)
            && self.destinations.len() >= self.limits.destinations.max(1)
            && !self.forget(now)
        {
            return Turn::Later {
                at: Some(now.saturating_add(60)),
                because: Because::Destinations,
            };
        }
        let policy = self.providers.get(provider).unwrap_or(&self.policy);
        let destination = self.destinations.entry(provider.clone());
        let destination = destination.or_insert_with(|| Destination {
            open: 0,
            window: initial(policy),
            failed: 0,
            strikes: 0,
            until: 0,
            spent: None,
            used: now,
        });
        if destination.open == 0 && now.saturating_sub(destination.used) > policy.idle.as_secs() {
            destination.window = initial(policy);
        }
        destination.used = now;
        if let Some(later) = destination.left_alone(policy, now) {
            return later;
        }
        if destination.open >= destination.window / ONE {
            return Turn::Later {
                at: None,
                because: Because::Connections,
            };
        }
        destination.open += 1;
        Turn::Now
    }

    /// Whether a connection that has carried so many messages since a time is to be kept for another. Nothing is counted.
    pub fn keeps(&self, provider: &Provider, carried: u32, since: u64, now: u64) -> bool {
        let policy = self.policy(provider);
        let is_worn = carried >= policy.messages_per_connection.max(1)
            || now.saturating_sub(since) >= policy.connection_time.as_secs().max(1);
        let destination = self.destinations.get(provider);
        // Of those that are open some may be too many.
        !is_worn
            && self.left_alone_until(provider, now).is_none()
            && destination.is_some_and(|destination| destination.open <= destination.window / ONE)
    }

    /// Asks for a message on a connection that has carried so many since a time.
    pub fn message(&mut self, provider: &Provider, carried: u32, since: u64, now: u64) -> Turn {
        let is_left_alone = self.left_alone_until(provider, now).is_some();
        if carried > 0 && !is_left_alone && !self.keeps(provider, carried, since, now) {
            return Turn::Close;
        }
        let Some((policy, destination)) = self.known(provider) else {
            // Nobody asked for the connection.
            return Turn::Close;
        };
        destination.used = now;
        if let Some(later) = destination.left_alone(policy, now) {
            return later;
        }
        let Some(rate) = &policy.rate else {
            return Turn::Now;
        };
        match rate.spend(destination.spent, 1, now) {
            Ok(entry) => {
                destination.spent = Some(entry.value);
                Turn::Now
            }
            Err(wait) => Turn::Later {
                at: Some(now.saturating_add(wait.as_secs())),
                because: Because::Rate,
            },
        }
    }

    /// Tells what the destination said, to a message, a recipient or anything else.
    pub fn reply(&mut self, provider: &Provider, reply: &Reply<'_>, now: u64) {
        let Some((policy, destination)) = self.known(provider) else {
            return;
        };
        destination.used = now;
        destination.failed = 0;
        let class = reply.class();
        match reply.code {
            // RFC 5321 §4.2.3: "421 <domain> Service not available, closing transmission channel"
            421 => destination.leave_alone(policy, now),
            400..=499 if class.is_about_us() => destination.leave_alone(policy, now),
            400..=499 if class == ReplyClass::System => destination.shrink(),
            // What is greylisted, or refused for good, is no matter of speed.
            _ if class == ReplyClass::Accepted => destination.grow(policy),
            _ => {}
        }
    }

    /// Tells that a connection was closed.
    pub fn closed(&mut self, provider: &Provider, now: u64) {
        if let Some((_, destination)) = self.known(provider) {
            destination.used = now;
            destination.open = destination.open.saturating_sub(1);
        }
    }

    /// Tells that a connection could not be made, or was lost.
    pub fn failed(&mut self, provider: &Provider, now: u64) {
        let Some((policy, destination)) = self.known(provider) else {
            return;
        };
        destination.used = now;
        destination.open = destination.open.saturating_sub(1);
        destination.failed = destination.failed.saturating_add(1);
        destination.shrink();
        if destination.failed >= policy.failed_connections.max(1) {
            destination.failed = 0;
            destination.leave_alone(policy, now);
        }
    }

    /// How many connections a destination may have now.
    pub fn connections(&self, provider: &Provider) -> u32 {
        match self.destinations.get(provider) {
            Some(destination) => destination.window / ONE,
            None => initial(self.policy(provider)) / ONE,
        }
    }

    /// Until when a destination is left alone, if it is.
    pub fn left_alone_until(&self, provider: &Provider, now: u64) -> Option<u64> {
        let longest = now.saturating_add(self.policy(provider).longest_back_off.as_secs());
        let until = self.destinations.get(provider)?.until.min(longest);
        (until > now).then_some(until)
    }

    fn policy(&self, provider: &Provider) -> &Policy {
        self.providers.get(provider).unwrap_or(&self.policy)
    }

    fn known(&mut self, provider: &Provider) -> Option<(&Policy, &mut Destination)> {
        let policy = self.providers.get(provider).unwrap_or(&self.policy);
        let destination = self.destinations.get_mut(provider)?;
        Some((policy, destination))
    }

    /// Forgets the older half of the destinations that are idle; whether there was one.
    fn forget(&mut self, now: u64) -> bool {
        let is_idle = |destination: &Destination| destination.open == 0 && destination.until <= now;
        let idle = self.destinations.values().filter(|it| is_idle(it));
        let mut used: Vec<u64> = idle.map(|destination| destination.used).collect();
        if used.is_empty() {
            return false;
        }
        let middle = (used.len() - 1) / 2;
        let (_, &mut middle, _) = used.select_nth_unstable(middle);
        self.destinations
            .retain(|_, destination| !is_idle(destination) || destination.used > middle);
        true
    }
}

impl Destination {
    /// Whether it is left alone still. A time too far ahead was written before the clock was set back.
    fn left_alone(&mut self, policy: &Policy, now: u64) -> Option<Turn> {
        let longest = now.saturating_add(policy.longest_back_off.as_secs());
        self.until = self.until.min(longest);
        (self.until > now).then_some(Turn::Later {
            at: Some(self.until),
            because: Because::BackOff,
        })
    }

    /// By one connection after as many successes as there may be connections, if they are used.
    fn grow(&mut self, policy: &Policy) {
        self.strikes = 0;
        if self.open >= self.window / ONE {
            let most = policy.max_connections.clamp(1, u32::MAX / ONE) * ONE;
            let share = ONE * ONE / self.window;
            self.window = self.window.saturating_add(share.max(1)).min(most);
        }
    }

    /// By one connection after as many failures as there may be connections, down to one.
    fn shrink(&mut self) {
        let share = ONE * ONE / self.window;
        self.window = self.window.saturating_sub(share.max(1)).max(ONE);
    }

    /// To half the connections, and to none for a while. What comes of connections that were open then makes it no longer.
    fn leave_alone(&mut self, policy: &Policy, now: u64) {
        if self.until > now {
            return;
        }
        self.window = (self.window / 2).max(ONE);
        let doubled = 1_u64.checked_shl(self.strikes).unwrap_or(u64::MAX);
        let wait = policy.back_off.as_secs().max(1).saturating_mul(doubled);
        let wait = wait.min(policy.longest_back_off.as_secs());
        self.until = now.saturating_add(wait);
        self.strikes = self.strikes.saturating_add(1);
    }
}

fn initial(policy: &Policy) -> u32 {
    let most = policy.max_connections.clamp(1, u32::MAX / ONE);
    policy.initial_connections.clamp(1, most) * ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    const TAKEN: Reply<'static> = Reply {
        code: 250,
        enhanced: None,
        text: "OK",
    };
    const SLOWER: Reply<'static> = Reply {
        code: 451,
        enhanced: Some((4, 7, 1)),
        text: "rate limited",
    };

    fn provider(text: &str) -> Provider {
        text.parse().unwrap()
    }

    fn later(at: u64) -> Turn {
        Turn::Later {
            at: Some(at),
            because: Because::BackOff,
        }
    }

    /// A shaper with as many connections open as it gives.
    fn full(policy: Policy) -> (Shaper, Provider) {
        let mut shaper = Shaper {
            policy,
            ..Shaper::default()
        };
        let it = provider("a.example");
        while shaper.connect(&it, NOW) == Turn::Now {}
        (shaper, it)
    }

    #[test]
    fn connections_grow_with_success_and_shrink_with_failure() {
        let (mut shaper, it) = full(Policy::default());
        assert_eq!(shaper.connections(&it), 5);
        // A round of five successes gives one connection more.
        for _ in 0..6 {
            shaper.reply(&it, &TAKEN, NOW);
        }
        assert_eq!(shaper.connections(&it), 6);
        // It is not used, so it does not grow.
        for _ in 0..100 {
            shaper.reply(&it, &TAKEN, NOW);
        }
        assert_eq!(shaper.connections(&it), 6);
        for _ in 0..2_000 {
            let _ = shaper.connect(&it, NOW);
            shaper.reply(&it, &TAKEN, NOW);
        }
        assert_eq!(shaper.connections(&it), 20);
        // The other side's own trouble.
        let trouble = Reply {
            code: 451,
            enhanced: Some((4, 3, 0)),
            text: "disk full",
        };
        for _ in 0..20 {
            shaper.reply(&it, &trouble, NOW);
        }
        assert_eq!(shaper.connections(&it), 18);
        for _ in 0..2_000 {
            shaper.reply(&it, &trouble, NOW);
        }
        assert_eq!(shaper.connections(&it), 1);
        assert_eq!(shaper.message(&it, 1, NOW, NOW), Turn::Close);
    }

    #[test]
    fn who_asks_for_less_is_left_alone_for_longer_each_time() {
        let (mut shaper, it) = full(Policy::default());
        shaper.reply(&it, &SLOWER, NOW);
        // The same round of connections says it again.
        shaper.reply(&it, &SLOWER, NOW);
        assert_eq!(shaper.connections(&it), 2);
        assert_eq!(shaper.message(&it, 0, NOW, NOW), later(NOW + 60));
        for _ in 0..5 {
            shaper.closed(&it, NOW);
        }
        let mut now = NOW + 60;
        for wait in [120, 240, 480, 960, 1_920, 3_600, 3_600] {
            assert_eq!(shaper.connect(&it, now), Turn::Now);
            shaper.reply(&it, &SLOWER, now);
            shaper.closed(&it, now);
            assert_eq!(shaper.connect(&it, now), later(now + wait));
            now += wait;
        }
        // What is taken is forgiven.
        assert_eq!(shaper.connect(&it, now), Turn::Now);
        shaper.reply(&it, &TAKEN, now);
        shaper.reply(&it, &SLOWER, now);
        shaper.closed(&it, now);
        assert_eq!(shaper.connect(&it, now), later(now + 60));
        // A clock that was set back does not make it longer than the longest.
        let early = NOW - 1_000_000;
        assert_eq!(shaper.connect(&it, early), later(early + 3_600));
    }

    #[test]
    fn who_cannot_be_reached_is_left_alone() {
        let (mut shaper, it) = full(Policy::default());
        shaper.failed(&it, NOW);
        shaper.failed(&it, NOW);
        assert_eq!(shaper.connect(&it, NOW), Turn::Now);
        shaper.reply(&it, &TAKEN, NOW);
        for _ in 0..3 {
            shaper.failed(&it, NOW);
        }
        assert_eq!(shaper.connect(&it, NOW), later(NOW + 60));
    }

    #[test]
    fn greylisting_and_refusals_change_nothing() {
        let (mut shaper, it) = full(Policy::default());
        for (code, text) in [(450, "greylisted"), (550, "spam"), (452, "quota")] {
            let reply = Reply {
                code,
                enhanced: None,
                text,
            };
            shaper.reply(&it, &reply, NOW);
        }
        assert_eq!(shaper.connections(&it), 5);
        assert_eq!(shaper.message(&it, 0, NOW, NOW), Turn::Now);
    }

    #[test]
    fn messages_are_counted_by_connection_and_by_rate() {
        let rate = Quota::new(30, Duration::from_secs(60)).with_burst(3);
        let policy = Policy {
            rate: Some(rate),
            ..Policy::default()
        };
        let (mut shaper, it) = full(policy);
        assert_eq!(shaper.message(&it, 100, NOW, NOW), Turn::Close);
        let mut sent = 0;
        for now in NOW..NOW + 60 {
            loop {
                match shaper.message(&it, 0, now, now) {
                    Turn::Now => sent += 1,
                    Turn::Later {
                        at: Some(at),
                        because: Because::Rate,
                    } => {
                        assert!(at > now && at <= now + 2);
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        // One each two seconds, and the burst.
        assert_eq!(sent, 32);
        // A clock that was set back: no more than a burst is waited for.
        let Turn::Later { at: Some(at), .. } = shaper.message(&it, 0, NOW, NOW - 100_000) else {
            panic!("a burst was given twice");
        };
        assert!(at <= NOW - 100_000 + 6);
    }

    #[test]
    fn a_connection_is_kept_for_its_messages_its_time_and_while_there_are_not_too_many() {
        let (mut shaper, it) = full(Policy::default());
        for (carried, seconds, kept) in [
            (1, 0, true),
            (99, 299, true),
            (100, 0, false),
            (1, 300, false),
        ] {
            let now = NOW + seconds;
            assert_eq!(shaper.keeps(&it, carried, NOW, now), kept);
            let turn = if kept { Turn::Now } else { Turn::Close };
            assert_eq!(shaper.message(&it, carried, NOW, now), turn);
        }
        // A new one always may.
        assert_eq!(shaper.message(&it, 0, NOW, NOW + 300), Turn::Now);
        // The destination asks for less: none is kept for the while, and of those that are open afterwards half.
        shaper.reply(&it, &SLOWER, NOW);
        assert!(!shaper.keeps(&it, 1, NOW, NOW + 1));
        assert_eq!(shaper.left_alone_until(&it, NOW + 1), Some(NOW + 60));
        assert_eq!(shaper.message(&it, 1, NOW, NOW + 1), later(NOW + 60));
        assert!(!shaper.keeps(&it, 1, NOW, NOW + 61));
        for _ in 0..3 {
            shaper.closed(&it, NOW + 61);
        }
        assert!(shaper.keeps(&it, 1, NOW, NOW + 61));
        assert_eq!(shaper.left_alone_until(&it, NOW + 61), None);
        assert!(!shaper.keeps(&provider("b.example"), 1, NOW, NOW));
    }

    #[test]
    fn odd_policies_do_no_harm() {
        for number in [0, u32::MAX] {
            let policy = Policy {
                initial_connections: number,
                max_connections: number,
                messages_per_connection: number,
                connection_time: Duration::ZERO,
                rate: Some(Quota::new(number, Duration::MAX)),
                failed_connections: number,
                back_off: Duration::MAX,
                longest_back_off: Duration::MAX,
                idle: Duration::ZERO,
            };
            let mut shaper = Shaper {
                policy,
                ..Shaper::default()
            };
            let it = provider("a.example");
            for now in [0, NOW, u64::MAX, 0] {
                let _ = shaper.connect(&it, now);
                let _ = shaper.message(&it, 0, now, now);
                shaper.reply(&it, &TAKEN, now);
                shaper.reply(&it, &SLOWER, now);
                shaper.failed(&it, now);
                shaper.closed(&it, now);
                assert!(shaper.connections(&it) >= 1);
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_busy_stays() {
        let mut shaper = Shaper::default();
        shaper.limits.destinations = 10;
        let busy = provider("busy.example");
        assert_eq!(shaper.connect(&busy, NOW), Turn::Now);
        for number in 0..1_000 {
            let it = provider(&format!("d{number}.example"));
            assert_eq!(shaper.connect(&it, NOW + number), Turn::Now);
            shaper.closed(&it, NOW + number);
            assert!(shaper.destinations.len() <= 10);
        }
        assert_eq!(shaper.destinations[&busy].open, 1);
        for number in 0..9 {
            let it = provider(&format!("e{number}.example"));
            assert_eq!(shaper.connect(&it, NOW + 2_000), Turn::Now);
        }
        let one_more = shaper.connect(&provider("f.example"), NOW + 2_000);
        assert_eq!(
            one_more,
            Turn::Later {
                at: Some(NOW + 2_060),
                because: Because::Destinations
            }
        );
    }
}
