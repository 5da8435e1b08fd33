//! The days to come, before one starts.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::{Decision, Scheduler};
use crate::outbound::provider::Provider;
use crate::outbound::reply_class::ReplyClass;
use crate::outbound::reputation::{Measure, Outcome, Rate};
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

/// What is counted of a provider while the days pass.
#[derive(Debug, Default)]
struct Stream {
    waiting: u32,
    row: Option<Row>,
    /// What is left over of each trouble, in millionths of a message.
    rests: BTreeMap<usize, u64>,
}

impl Simulation<'_> {
    /// So many days from a time in seconds since 1970, at most a year: for each a row of every provider.
    pub fn run(&self, days: u32, start: u64) -> Vec<Row> {
        let mut store = MemoryStore::new(self.capacity());
        let mut streams: BTreeMap<&Provider, Stream> = BTreeMap::new();
        let mut rows = Vec::new();
        let midnight = day(start).saturating_mul(DAY);
        for number in 1..=days.min(366) {
            let begin = midnight.saturating_add(u64::from(number - 1) * DAY);
            for hour in 0..24 {
                let now = begin.saturating_add(hour * 3_600);
                for (provider, &volume) in &self.volumes {
                    let stream = streams.entry(provider).or_default();
                    let volume = volume.min(MAX_MESSAGES);
                    let by = |hour: u64| (u64::from(volume) * hour / 24) as u32;
                    let arriving = by(hour + 1) - by(hour);
                    let row = stream.row.get_or_insert_with(|| Row {
                        day: number,
                        provider: provider.clone(),
                        wanted: 0,
                        quota: None,
                        sent: 0,
                        overflow: 0,
                        waiting: 0,
                        paused: false,
                    });
                    row.wanted += arriving;
                    stream.waiting = stream.waiting.saturating_add(arriving);
                    // A store in memory cannot fail.
                    let Ok(()) = self.hour(&mut store, provider, stream, now);
                }
            }
            rows.extend(streams.values_mut().filter_map(|stream| stream.row.take()));
        }
        rows
    }

    /// Sends what waits at one hour.
    fn hour(
        &self,
        store: &mut MemoryStore,
        provider: &Provider,
        stream: &mut Stream,
        now: u64,
    ) -> Result<(), Infallible> {
        let mut deferred = 0;
        // Each turn either ends, or spends all that is open of one address.
        while stream.waiting > 0 {
            let decision = self.scheduler.take(store, provider, stream.waiting, now)?;
            match decision {
                Decision::Send { address, messages } => {
                    let number = stream.row.as_ref().map_or(0, |row| row.day);
                    let mut accepted = messages;
                    for (at, trouble) in self.troubles.iter().enumerate() {
                        let is_now = (trouble.from..=trouble.to).contains(&number);
                        let is_here = (trouble.provider.as_ref()).is_none_or(|it| it == provider);
                        if !is_now || !is_here {
                            continue;
                        }
                        let rest = stream.rests.entry(at).or_default();
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
                        match trouble.measure {
                            Measure::Complaints => {}
                            Measure::Deferrals => {
                                accepted -= events;
                                deferred += events;
                            }
                            _ => accepted -= events,
                        }
                        let scheduler = self.scheduler;
                        scheduler.record(store, address, provider, outcome, events, now)?;
                    }
                    let (scheduler, outcome) = (self.scheduler, Outcome::Accepted);
                    scheduler.record(store, address, provider, outcome, accepted, now)?;
                    stream.waiting -= messages;
                    if let Some(row) = &mut stream.row {
                        row.sent = row.sent.saturating_add(messages);
                    }
                }
                Decision::Overflow { messages, .. } => {
                    stream.waiting -= messages;
                    if let Some(row) = &mut stream.row {
                        row.overflow = row.overflow.saturating_add(messages);
                    }
                }
                Decision::Later { .. } => break,
            }
        }
        stream.waiting = stream.waiting.saturating_add(deferred);
        if let Some(row) = &mut stream.row {
            let status = self.scheduler.status(store, provider, now)?;
            let quotas = status.iter().filter_map(|status| status.quota);
            row.quota = quotas.reduce(u32::saturating_add);
            row.paused |= status.iter().any(|status| status.paused_until.is_some());
            row.waiting = stream.waiting;
        }
        Ok(())
    }

    /// Entries of all addresses and providers: their states, and the days that thresholds may look back.
    fn capacity(&self) -> usize {
        let each = 1 + crate::outbound::reputation::MAX_DAYS + 1;
        self.scheduler.sources().len() * self.volumes.len() * each
    }
}
