//! The days to come, before one starts.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;

use super::{Decision, Scheduler};
use crate::outbound::provider::Provider;
use crate::outbound::reply_class::ReplyClass;
use crate::outbound::reputation::{MAX_DAYS, Measure, Outcome, Rate};
use crate::outbound::{DAY, day};
use crate::store::MemoryStore;

/// The most messages a day to one provider in a simulation.
pub const MAX_MESSAGES: u32 = 100_000_000;

/// Something that goes badly for some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The first day, from 1.
    pub from: u32,
    /// The last day.
    pub to: u32,
    /// With which provider; none: with all.
    pub provider: Option<Provider>,
    /// What: deferrals are tried again in the next hour, rejections are lost, complaints come in the same hour.
    pub measure: Measure,
    /// For how many of the messages that new addresses send.
    pub rate: Rate,
}

/// What would come, hour by hour: the scheduler's own decisions, with a store that is thrown away.
///
/// Mail arrives evenly over the day. Nothing is left to chance: so many complaints of so many messages are just that many.
#[derive(Clone, Debug)]
pub struct Simulation<'a> {
    /// Plan, thresholds and addresses.
    pub scheduler: &'a Scheduler,
    /// Messages a day to each provider; at most [`MAX_MESSAGES`].
    pub volumes: BTreeMap<Provider, u32>,
    /// What goes badly.
    pub troubles: Vec<Trouble>,
}

/// One day with one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The day, from 1.
    pub day: u32,
    /// The provider.
    pub provider: Provider,
    /// Messages that came to be sent, without those that waited.
    pub wanted: u32,
    /// What the addresses that warm up may send at the end of the day; none if none does any more.
    pub quota: Option<u32>,
    /// What they sent; deferred attempts are spent too, and counted here.
    pub sent: u32,
    /// What went by warm addresses.
    pub overflow: u32,
    /// What waits at the end of the day.
    pub waiting: u32,
    /// Whether an address was paused at any hour of it.
    pub paused: bool,
}

/// The mail for one provider.
#[derive(Debug)]
struct Stream<'a> {
    provider: &'a Provider,
    /// Messages a day.
    volume: u64,
    waiting: u32,
    /// What is left over of each trouble, in millionths of a message.
    rests: Vec<u64>,
}

impl Simulation<'_> {
    /// So many days from a time in seconds since 1970, at most a year: for each a row of every provider.
    pub fn run(&self, days: u32, start: u64) -> Vec<Row> {
        let mut store = MemoryStore::new(self.capacity());
        let stream = |(provider, volume): (_, &u32)| Stream {
            provider,
            volume: (*volume).min(MAX_MESSAGES).into(),
            waiting: 0,
            rests: vec![0; self.troubles.len()],
        };
        let mut streams: Vec<Stream<'_>> = self.volumes.iter().map(stream).collect();
        let mut rows = Vec::new();
        let first = day(start);
        for number in 1..=days.min(366) {
            let row = |stream: &Stream<'_>| Row {
                day: number,
                provider: stream.provider.clone(),
                wanted: 0,
                quota: None,
                sent: 0,
                overflow: 0,
                waiting: 0,
                paused: false,
            };
            let mut today: Vec<Row> = streams.iter().map(row).collect();
            let midnight = first
                .saturating_add(u64::from(number) - 1)
                .saturating_mul(DAY);
            for hour in 0..24 {
                for (stream, row) in streams.iter_mut().zip(&mut today) {
                    // A store in memory cannot fail.
                    let Ok(()) = self.hour(&mut store, stream, row, midnight, hour);
                }
            }
            rows.append(&mut today);
        }
        rows
    }

    /// What comes in an hour, and is sent at its beginning.
    fn hour(
        &self,
        store: &mut MemoryStore,
        stream: &mut Stream<'_>,
        row: &mut Row,
        midnight: u64,
        hour: u64,
    ) -> Result<(), Infallible> {
        let now = midnight.saturating_add(hour * 3_600);
        // At most the messages of a day.
        let by = |hour: u64| (stream.volume * hour / 24) as u32;
        let arriving = by(hour + 1) - by(hour);
        row.wanted += arriving;
        stream.waiting = stream.waiting.saturating_add(arriving);
        let mut deferred = 0;
        // Each turn either ends, or spends all that is open of one address.
        while stream.waiting > 0 {
            let (scheduler, provider) = (self.scheduler, stream.provider);
            match scheduler.take(store, provider, stream.waiting, now)? {
                Decision::Send { address, messages } => {
                    deferred += self.reply(store, stream, row.day, address, messages, now)?;
                    stream.waiting -= messages;
                    row.sent = row.sent.saturating_add(messages);
                }
                Decision::Overflow { messages, .. } => {
                    stream.waiting -= messages;
                    row.overflow = row.overflow.saturating_add(messages);
                }
                Decision::Later { .. } => break,
            }
        }
        stream.waiting = stream.waiting.saturating_add(deferred);
        row.waiting = stream.waiting;
        let status = self.scheduler.status(store, stream.provider, now)?;
        let quotas = status.iter().filter_map(|status| status.quota);
        row.quota = quotas.reduce(u32::saturating_add);
        row.paused |= status.iter().any(|status| status.paused_until.is_some());
        Ok(())
    }

    /// What the provider and its users say to messages of an address; how many of them were deferred.
    fn reply(
        &self,
        store: &mut MemoryStore,
        stream: &mut Stream<'_>,
        number: u32,
        address: IpAddr,
        messages: u32,
        now: u64,
    ) -> Result<u32, Infallible> {
        let (scheduler, provider) = (self.scheduler, stream.provider);
        let (mut accepted, mut deferred) = (messages, 0);
        for (trouble, rest) in self.troubles.iter().zip(&mut stream.rests) {
            let is_now = (trouble.from..=trouble.to).contains(&number);
            if !is_now || trouble.provider.as_ref().is_some_and(|it| it != provider) {
                continue;
            }
            *rest += u64::from(messages) * u64::from(trouble.rate.millionths());
            // At most the messages.
            let events = ((*rest / 1_000_000) as u32).min(accepted);
            *rest %= 1_000_000;
            let outcome = match trouble.measure {
                Measure::Complaints => Outcome::Complaint,
                Measure::Deferrals => Outcome::Deferred(ReplyClass::Throttled),
                Measure::Rejections => Outcome::Rejected(ReplyClass::Policy),
                Measure::UnknownRecipients => Outcome::Rejected(ReplyClass::Recipient),
            };
            if trouble.measure == Measure::Deferrals {
                deferred += events;
            }
            // Who complains has got the message.
            if trouble.measure != Measure::Complaints {
                accepted -= events;
            }
            scheduler.record(store, address, provider, outcome, events, now)?;
        }
        scheduler.record(store, address, provider, Outcome::Accepted, accepted, now)?;
        Ok(deferred)
    }

    /// Entries of all addresses and providers: their states, and the days that thresholds may look back.
    fn capacity(&self) -> usize {
        let each = 1 + MAX_DAYS + 1;
        self.scheduler.sources().len() * self.volumes.len() * each
    }
}
