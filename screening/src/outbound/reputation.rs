//! How are our own addresses seen: what providers answered to each, how many of their users complained, which lists have it.
//!
//! What is counted is kept by day, address and provider in a [`Store`]; a [`Standing`] is made of the days of a sliding window, and says
//! with its figures why it is what it is.

use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;

use super::provider::Provider;
use super::reply_class::{Reply, ReplyClass};
use super::{DAY, day};
use crate::store::{Key, Keys, Kind, Store, Value};

/// The most days of a window.
pub const MAX_DAYS: usize = 31;

/// A share of messages, in millionths.
///
/// ```
/// use screening::outbound::reputation::Rate;
/// let rate: Rate = "0.3 %".parse()?;
/// assert_eq!(rate, Rate::per_million(3_000));
/// assert_eq!(rate.to_string(), "0.3 %");
/// # Ok::<(), screening::outbound::reputation::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rate(u32);

/// The text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want per cent, from 0 % to 100 %, with at most four decimals, such as `0.3 %`")]
#[non_exhaustive]
pub struct RateError;

impl Rate {
    /// So many of a million; at most a million.
    pub const fn per_million(millionths: u32) -> Self {
        Self(if millionths > 1_000_000 {
            1_000_000
        } else {
            millionths
        })
    }

    /// How many of a million.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// These of those, cut to a millionth; all of them if there are none.
    fn of(events: u64, of: u64) -> Self {
        let millionths = (events.saturating_mul(1_000_000)).checked_div(of);
        Self(millionths.map_or(1_000_000, |millionths| millionths.min(1_000_000) as u32))
    }
}

/// In per cent.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.0 / 10_000, self.0 % 10_000);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.pad(&format!("{text} %"))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = text.trim().strip_suffix('%').ok_or(RateError)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 4 {
            return Err(RateError);
        }
        let decimals: u32 = format!("{decimals:0<4}").parse().map_err(|_| RateError)?;
        let whole: u32 = whole.parse().map_err(|_| RateError)?;
        match whole.checked_mul(10_000) {
            Some(millionths) if millionths <= 1_000_000 - decimals => {
                Ok(Self(millionths + decimals))
            }
            _ => Err(RateError),
        }
    }
}

/// What became of messages that an address sent, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Taken.
    Accepted,
    /// Put off by a 4xx reply.
    Deferred(ReplyClass),
    /// Refused by a 5xx reply.
    Rejected(ReplyClass),
    /// A user said that it was not wanted: a feedback report of the type `abuse`. Whoever counts them has found that the report comes
    /// from the provider (its DKIM signature passes for a domain that is known), or anybody could stop our mail.
    Complaint,
}

impl Outcome {
    /// What a reply to a message or a recipient says.
    pub fn of(reply: &Reply<'_>) -> Self {
        match (reply.code / 100, reply.class()) {
            (_, ReplyClass::Accepted) => Self::Accepted,
            (5, class) => Self::Rejected(class),
            (_, class) => Self::Deferred(class),
        }
    }
}

/// What is counted of a day, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages that were taken.
    pub accepted: u32,
    /// Deferrals that are about us ([`ReplyClass::is_about_us`]); each attempt counts.
    pub deferred: u32,
    /// Rejections that are about us.
    pub rejected: u32,
    /// Rejections of recipients that do not exist.
    pub unknown_recipients: u32,
    /// Complaints, on the day on which they came.
    pub complaints: u32,
}

impl Counts {
    /// Adds so many of an outcome. Those that are neither about us nor of unknown recipients are left out: they say nothing.
    pub fn add(&mut self, outcome: Outcome, messages: u32) {
        let count = match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Deferred(class) if class.is_about_us() => &mut self.deferred,
            Outcome::Rejected(class) if class.is_about_us() => &mut self.rejected,
            Outcome::Rejected(ReplyClass::Recipient) => &mut self.unknown_recipients,
            Outcome::Complaint => &mut self.complaints,
            Outcome::Deferred(_) | Outcome::Rejected(_) => return,
        };
        *count = count.saturating_add(messages);
    }

    /// The rate of a measure: of all messages that it is measured against; none if there is no such message.
    pub fn rate(&self, measure: Measure) -> Option<Rate> {
        let of = measure.of(self);
        (of > 0).then(|| Rate::of(measure.events(self), of))
    }

    fn to_value(self) -> Value {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        [
            pair(self.accepted, self.deferred),
            pair(self.rejected, self.unknown_recipients),
            u64::from(self.complaints),
        ]
    }

    fn of_value(value: Value) -> Self {
        // The halves of 64 bits.
        let (high, low) = (|pair: u64| (pair >> 32) as u32, |pair: u64| pair as u32);
        let [first, second, third] = value;
        Self {
            accepted: high(first),
            deferred: low(first),
            rejected: high(second),
            unknown_recipients: low(second),
            complaints: low(third),
        }
    }
}

/// What a threshold looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Measure {
    /// Complaints, of the messages taken.
    Complaints,
    /// Deferrals about us, of all attempts that are counted.
    Deferrals,
    /// Rejections about us, of all attempts that are counted.
    Rejections,
    /// Recipients that do not exist, of all attempts that are counted.
    UnknownRecipients,
}

impl Measure {
    fn events(self, counts: &Counts) -> u64 {
        u64::from(match self {
            Self::Complaints => counts.complaints,
            Self::Deferrals => counts.deferred,
            Self::Rejections => counts.rejected,
            Self::UnknownRecipients => counts.unknown_recipients,
        })
    }

    fn of(self, counts: &Counts) -> u64 {
        let failed = [counts.deferred, counts.rejected, counts.unknown_recipients];
        let failed: u64 = failed.into_iter().map(u64::from).sum();
        u64::from(counts.accepted)
            + match self {
                Self::Complaints => 0,
                _ => failed,
            }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Complaints => "complaints",
            Self::Deferrals => "deferrals",
            Self::Rejections => "rejections",
            Self::UnknownRecipients => "unknown recipients",
        })
    }
}

/// How an address stands with a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is known against it.
    #[default]
    Good,
    /// No more should be sent than now.
    Warn,
    /// Nothing more should be sent for a while.
    Stop,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Stop => "stop",
        })
    }
}

/// A rate from which on an address stands worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Of what.
    pub measure: Measure,
    /// From which rate on.
    pub rate: Rate,
    /// How it stands then.
    pub level: Level,
    /// Days of the window, today included; from 1 to [`MAX_DAYS`].
    pub days: usize,
    /// The least number of events: fewer are chance.
    pub events: u32,
}

/// From when on an address stands badly: thresholds as data. All are looked at, the worst counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The thresholds. The defaults are listed at [`Policy::default`].
    pub thresholds: Vec<Threshold>,
}

/// | measure | warn | stop | window | at least | why |
/// |---|---|---|---|---|---|
/// | complaints | 0.1 % | 0.3 % | 7 days | 3 | what Google and Yahoo ask of senders since February 2024: stay below 0.1 %, never reach 0.3 %; three, as one person may err twice |
/// | deferrals | 10 % | 30 % | 2 days, 1 day | 10 | a provider that slows an address down does so for hours, and says so to a part first; a bad yesterday is no reason to send more today |
/// | rejections | 2 % | 5 % | 2 days | 5 | a single message that is taken for spam is one event; a block shows within a day |
/// | unknown recipients | 2 % | 8 % | 2 days | 5 | a list that is tended has fewer than 2 % |
///
/// The thresholds of complaints are public; the others are our choice, to be set by whoever knows their mail.
impl Default for Policy {
    fn default() -> Self {
        let threshold = |measure, level, millionths, days, events| Threshold {
            measure,
            rate: Rate::per_million(millionths),
            level,
            days,
            events,
        };
        Self {
            thresholds: vec![
                threshold(Measure::Complaints, Level::Warn, 1_000, 7, 3),
                threshold(Measure::Complaints, Level::Stop, 3_000, 7, 3),
                threshold(Measure::Deferrals, Level::Warn, 100_000, 2, 10),
                threshold(Measure::Deferrals, Level::Stop, 300_000, 1, 10),
                threshold(Measure::Rejections, Level::Warn, 20_000, 2, 5),
                threshold(Measure::Rejections, Level::Stop, 50_000, 2, 5),
                threshold(Measure::UnknownRecipients, Level::Warn, 20_000, 2, 5),
                threshold(Measure::UnknownRecipients, Level::Stop, 80_000, 2, 5),
            ],
        }
    }
}

/// A list has an address of ours: what a DNSBL verdict about it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Which list.
    pub list: Box<str>,
    /// What that means. A list that many providers ask is a reason to stop, another one a reason to look.
    pub level: Level,
}

/// Why an address stands as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A threshold is reached.
    Rate {
        /// Which.
        threshold: Threshold,
        /// How many events there were.
        events: u64,
        /// Of how many messages.
        of: u64,
    },
    /// A list has it.
    Listed(Listing),
}

impl Reason {
    /// What it alone comes to.
    pub const fn level(&self) -> Level {
        match self {
            Self::Rate { threshold, .. } => threshold.level,
            Self::Listed(listing) => listing.level,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate {
                threshold,
                events,
                of,
            } => {
                let Threshold {
                    measure,
                    rate,
                    level,
                    days,
                    ..
                } = threshold;
                let is = Rate::of(*events, *of);
                let window = match days {
                    1 => "1 day".to_owned(),
                    days => format!("{days} days"),
                };
                write!(
                    f,
                    "{events} {measure} of {of} in {window} are {is}, {level} is {rate}"
                )
            }
            Self::Listed(Listing { list, level }) => write!(f, "listed on {list}, {level}"),
        }
    }
}

/// How an address stands with a provider, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The worst of the reasons, or good.
    pub level: Level,
    /// Each measure that passed a threshold, with the highest one, and each listing that matters.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        for (at, reason) in self.reasons.iter().enumerate() {
            write!(f, "{} {reason}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl Policy {
    /// How an address stands with these counts: of today first, then of each day before.
    ///
    /// Of the events only those of the first `fresh` days count: what was before has been answered for by a pause. They are measured
    /// against all messages of the window, as complaints come days after the mail.
    pub fn standing(&self, days: &[Counts], fresh: usize, listings: &[Listing]) -> Standing {
        let mut reasons: Vec<Reason> = Vec::new();
        for threshold in &self.thresholds {
            let measure = threshold.measure;
            let window = || days.iter().take(threshold.days);
            let events: u64 = window().take(fresh).map(|day| measure.events(day)).sum();
            let of: u64 = window().map(|day| measure.of(day)).sum();
            if events < u64::from(threshold.events).max(1) || Rate::of(events, of) < threshold.rate
            {
                continue;
            }
            let reason = Reason::Rate {
                threshold: *threshold,
                events,
                of,
            };
            let same = reasons.iter_mut().find(|reason| {
                matches!(reason, Reason::Rate { threshold, .. } if threshold.measure == measure)
            });
            match same {
                Some(same) if same.level() < threshold.level => *same = reason,
                Some(_) => {}
                None => reasons.push(reason),
            }
        }
        let listed = listings
            .iter()
            .filter(|listing| listing.level > Level::Good);
        reasons.extend(listed.cloned().map(Reason::Listed));
        let level = reasons.iter().map(Reason::level).max().unwrap_or_default();
        Standing { level, reasons }
    }

    /// Days that the thresholds look back.
    fn days(&self) -> usize {
        let days = self.thresholds.iter().map(|threshold| threshold.days);
        days.max().unwrap_or_default().clamp(1, MAX_DAYS)
    }
}

/// The reputation of our addresses: what is counted, and where.
///
/// ```
/// use screening::outbound::provider::Provider;
/// use screening::outbound::reputation::{Level, Outcome, Reputation};
/// use screening::store::{Keys, MemoryStore};
///
/// let reputation = Reputation::new(Keys::new([7; 16]));
/// let mut store = MemoryStore::new(10_000);
/// let (address, gmail, now) = ("192.0.2.1".parse()?, "gmail".parse::<Provider>()?, 1_800_000_000);
/// reputation.record(&mut store, address, &gmail, Outcome::Accepted, 1_200, now)?;
/// reputation.record(&mut store, address, &gmail, Outcome::Complaint, 4, now + 3_600)?;
/// let standing = reputation.standing(&mut store, address, &gmail, &[], now + 3_600)?;
/// assert_eq!(standing.level, Level::Stop);
/// assert_eq!(standing.to_string(), "stop: 4 complaints of 1200 in 7 days are 0.3333 %, stop is 0.3 %");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reputation {
    /// The thresholds.
    pub policy: Policy,
    keys: Keys,
}

impl Reputation {
    /// With the default thresholds.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            keys,
        }
    }

    /// Counts what became of so many messages. Costs: an entry for each day, address and provider, for as long as thresholds look back,
    /// and one for an address and provider where something was against it.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn record<S: Store + ?Sized>(
        &self,
        store: &mut S,
        address: IpAddr,
        provider: &Provider,
        outcome: Outcome,
        messages: u32,
        now: u64,
    ) -> Result<(), S::Error> {
        let today = day(now);
        let key = self.key(address, provider, today);
        let before = Counts::of_value(store.load(&key, now)?.unwrap_or_default());
        let mut counts = before;
        counts.add(outcome, messages);
        if counts == before {
            return Ok(());
        }
        let expires = |last: u64| {
            let expires = last.saturating_add(self.policy.days() as u64 + 1);
            expires.saturating_mul(DAY)
        };
        if counts.accepted == before.accepted {
            let key = self.last_key(address, provider);
            let [last, ..] = store.load(&key, now)?.unwrap_or_default();
            // Where the clock was set back, the later day counts when it comes.
            let last = last.max(today);
            store.save(key, [last, 0, 0], expires(last))?;
        }
        store.save(key, counts.to_value(), expires(today))
    }

    /// What was counted of the last days, today first; at most [`MAX_DAYS`].
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn counts<S: Store + ?Sized>(
        &self,
        store: &mut S,
        address: IpAddr,
        provider: &Provider,
        days: usize,
        now: u64,
    ) -> Result<Vec<Counts>, S::Error> {
        let today = day(now);
        let first = today.saturating_sub(days.clamp(1, MAX_DAYS) as u64 - 1);
        (first..=today)
            .rev()
            .map(|day| {
                let value = store.load(&self.key(address, provider, day), now)?;
                Ok(Counts::of_value(value.unwrap_or_default()))
            })
            .collect()
    }

    /// How an address stands with a provider. Costs: a load from the store, and where something was against it one for each day that
    /// thresholds look back.
    ///
    /// A clock that is set back does not see the days to come, one that jumps forward has forgotten: both are mended by the next days.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn standing<S: Store + ?Sized>(
        &self,
        store: &mut S,
        address: IpAddr,
        provider: &Provider,
        listings: &[Listing],
        now: u64,
    ) -> Result<Standing, S::Error> {
        self.standing_since(store, address, provider, listings, 0, now)
    }

    /// How it stands when only what happened since a day counts.
    pub(super) fn standing_since<S: Store + ?Sized>(
        &self,
        store: &mut S,
        address: IpAddr,
        provider: &Provider,
        listings: &[Listing],
        since: u64,
        now: u64,
    ) -> Result<Standing, S::Error> {
        let today = day(now);
        let first = today.saturating_sub(self.policy.days() as u64 - 1);
        let last = store.load(&self.last_key(address, provider), now)?;
        // Of most addresses nothing is to be counted: no threshold is reached without an event.
        if last.is_none_or(|[last, ..]| last < first.max(since)) {
            return Ok(self.policy.standing(&[], 0, listings));
        }
        let days = self.counts(store, address, provider, self.policy.days(), now)?;
        // None of them if the day is yet to come.
        let fresh = (today + 1).saturating_sub(since);
        let fresh = usize::try_from(fresh).unwrap_or(usize::MAX);
        Ok(self.policy.standing(&days, fresh, listings))
    }

    /// Of the last day on which something was counted against an address.
    fn last_key(&self, address: IpAddr, provider: &Provider) -> Key {
        let address = super::octets(address);
        let parts: [&[u8]; 3] = [b"last", &address, provider.as_str().as_bytes()];
        self.keys.key(Kind::Outbound, &parts)
    }

    fn key(&self, address: IpAddr, provider: &Provider, day: u64) -> Key {
        let day = day.to_be_bytes();
        let parts: [&[u8]; 4] = [
            b"counts",
            &super::octets(address),
            provider.as_str().as_bytes(),
            &day,
        ];
        self.keys.key(Kind::Outbound, &parts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MemoryStore;

    const NOW: u64 = 1_800_000_000;

    fn counts(accepted: u32, complaints: u32) -> Counts {
        Counts {
            accepted,
            complaints,
            ..Counts::default()
        }
    }

    #[test]
    fn thresholds_want_a_rate_and_evidence() {
        let policy = Policy::default();
        for (days, level) in [
            (vec![], Level::Good),
            (vec![counts(1_000_000, 999)], Level::Good),
            (vec![counts(3_000, 3)], Level::Warn),
            (vec![counts(3_001, 3)], Level::Good),
            (vec![counts(1_000, 3)], Level::Stop),
            (vec![counts(1_001, 3)], Level::Warn),
            // Two complaints are chance, whatever the rate.
            (vec![counts(2, 2)], Level::Good),
            (vec![counts(0, 3)], Level::Stop),
            // The window has seven days.
            (vec![counts(0, 3), counts(3_001, 0)], Level::Good),
            (
                [vec![counts(0, 0); 6], vec![counts(1, 3)]].concat(),
                Level::Stop,
            ),
            (
                [vec![counts(0, 0); 7], vec![counts(1, 3)]].concat(),
                Level::Good,
            ),
        ] {
            assert_eq!(policy.standing(&days, 31, &[]).level, level, "{days:?}");
        }
        let of_all = |deferred, rejected, unknown_recipients| Counts {
            accepted: 90,
            deferred,
            rejected,
            unknown_recipients,
            complaints: 0,
        };
        for (day, level, text) in [
            (
                of_all(10, 0, 0),
                Level::Warn,
                "10 deferrals of 100 in 2 days are 10 %, warn is 10 %",
            ),
            (
                of_all(60, 0, 0),
                Level::Stop,
                "60 deferrals of 150 in 1 day are 40 %, stop is 30 %",
            ),
            (
                of_all(0, 5, 0),
                Level::Stop,
                "5 rejections of 95 in 2 days are 5.2631 %, stop is 5 %",
            ),
            (
                of_all(0, 0, 6),
                Level::Warn,
                "6 unknown recipients of 96 in 2 days are 6.25 %, warn is 2 %",
            ),
        ] {
            let standing = policy.standing(&[day], 1, &[]);
            assert_eq!(standing.to_string(), format!("{level}: {text}"));
        }
    }

    #[test]
    fn what_was_answered_for_counts_no_more_but_as_mail() {
        let policy = Policy::default();
        let days = [counts(100, 1), counts(5_000, 40)];
        assert_eq!(policy.standing(&days, 2, &[]).level, Level::Stop);
        assert_eq!(policy.standing(&days, 1, &[]).level, Level::Good);
        // Late complaints about much mail are few.
        let days = [counts(10, 4), counts(5_000, 40)];
        assert_eq!(policy.standing(&days, 1, &[]).level, Level::Good);
        assert_eq!(policy.standing(&days, 0, &[]), Standing::default());
    }

    #[test]
    fn listings_count_by_themselves() {
        let listing = |list: &str, level| Listing {
            list: list.into(),
            level,
        };
        let listings = [
            listing("a.example", Level::Warn),
            listing("b.example", Level::Stop),
            listing("c.example", Level::Good),
        ];
        let standing = Policy::default().standing(&[], 1, &listings);
        assert_eq!(
            standing.to_string(),
            "stop: listed on a.example, warn; listed on b.example, stop"
        );
        assert_eq!(Standing::default().to_string(), "good");
    }

    #[test]
    fn days_are_kept_apart_and_slide() {
        let reputation = Reputation::new(Keys::new([1; 16]));
        let mut store = MemoryStore::new(100);
        let address = "192.0.2.1".parse().unwrap();
        let [gmail, yahoo] = ["gmail", "yahoo"].map(|name| name.parse::<Provider>().unwrap());
        let mut record = |outcome, messages, now| {
            let Ok(()) = reputation.record(&mut store, address, &gmail, outcome, messages, now);
        };
        let policy = Outcome::Rejected(ReplyClass::Policy);
        record(Outcome::Accepted, 10, NOW);
        record(Outcome::Accepted, u32::MAX, NOW);
        record(policy, 2, NOW + DAY);
        record(Outcome::Complaint, 3, NOW + DAY);
        // These say nothing of us.
        record(Outcome::Deferred(ReplyClass::Greylisted), 9, NOW);
        record(Outcome::Rejected(ReplyClass::Mailbox), 9, NOW);
        record(Outcome::Rejected(ReplyClass::Recipient), 4, NOW);
        let today = Counts {
            rejected: 2,
            complaints: 3,
            ..Counts::default()
        };
        let yesterday = Counts {
            accepted: u32::MAX,
            unknown_recipients: 4,
            ..Counts::default()
        };
        let none = Counts::default();
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        for (address, provider, days, now, wanted) in [
            (address, &gmail, 3, NOW + DAY, vec![today, yesterday, none]),
            (mapped, &gmail, 1, NOW, vec![yesterday]),
            (address, &gmail, 0, NOW + DAY, vec![today]),
            (address, &yahoo, 2, NOW + DAY, vec![none, none]),
            ("192.0.2.2".parse().unwrap(), &gmail, 1, NOW, vec![none]),
            // After all windows nothing is left.
            (address, &gmail, 31, NOW + 9 * DAY, vec![none; 31]),
            (address, &gmail, usize::MAX, u64::MAX, vec![none; 31]),
        ] {
            let found = reputation.counts(&mut store, address, provider, days, now);
            assert_eq!(found, Ok(wanted), "{address} {provider} {days} {now}");
        }
    }

    #[test]
    fn replies_become_outcomes() {
        for (code, text, wanted) in [
            (250, "OK", Outcome::Accepted),
            (
                421,
                "rate limited",
                Outcome::Deferred(ReplyClass::Throttled),
            ),
            (
                550,
                "user unknown",
                Outcome::Rejected(ReplyClass::Recipient),
            ),
            (0, "", Outcome::Deferred(ReplyClass::Unknown)),
        ] {
            let reply = Reply {
                code,
                enhanced: None,
                text,
            };
            assert_eq!(Outcome::of(&reply), wanted);
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, millionths) in [
            ("0.3%", 3_000),
            ("0.3 %", 3_000),
            (" 100 %", 1_000_000),
            ("0.0001 %", 1),
            ("0 %", 0),
        ] {
            assert_eq!(text.parse(), Ok(Rate(millionths)), "{text}");
        }
        for text in [
            "",
            "%",
            "0.3",
            "1.%",
            ".1%",
            "100.0001%",
            "1.00001%",
            "-1%",
            "99999999999%",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn rates_and_counts_come_back_as_they_were(
            millionths in 0..=1_000_000_u32,
            [accepted, deferred, rejected, unknown_recipients, complaints] in any::<[u32; 5]>(),
        ) {
            let rate = Rate::per_million(millionths);
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            let counts = Counts { accepted, deferred, rejected, unknown_recipients, complaints };
            prop_assert_eq!(Counts::of_value(counts.to_value()), counts);
        }
    }
}
