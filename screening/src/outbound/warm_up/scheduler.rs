//! The scheduler: which of our addresses may send to a provider now.

use core::fmt;
use std::net::IpAddr;

use super::Plan;
use crate::outbound::provider::Provider;
use crate::outbound::reputation::{Level, Listing, Measure, Outcome, Reason, Reputation, Standing};
use crate::outbound::{DAY, day, octets};
use crate::store::{Beginning, Key, Keys, Kind, Store, Value};

/// The most addresses of a scheduler. For each that is held a message costs a load from the store.
pub const MAX_SOURCES: usize = 256;

/// An address that mail can leave from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// Whether it is warm from the start: it has sent for long.
    pub is_warm: bool,
    /// The lists that have it, as far as that matters. Whoever asks the lists keeps it up to date.
    pub listings: Vec<Listing>,
}

impl Source {
    /// One that providers know.
    pub const fn warm(address: IpAddr) -> Self {
        Self {
            address,
            is_warm: true,
            listings: Vec::new(),
        }
    }

    /// One that is new: it follows the plan, with each provider by itself.
    pub const fn warming(address: IpAddr) -> Self {
        Self {
            address,
            is_warm: false,
            listings: Vec::new(),
        }
    }
}

/// Why an address that warms up sends nothing now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// The day's quota is spent.
    Spent {
        /// The quota.
        quota: u32,
    },
    /// What is open of the quota at this time of the day is spent, or no hour of sending has begun.
    NotOpen {
        /// How much was sent today.
        sent: u32,
        /// Of how much.
        quota: u32,
    },
    /// The provider is left alone for a while. [`Scheduler::status`] has the figures.
    Paused {
        /// Until when, in seconds since 1970.
        until: u64,
        /// Why.
        causes: Causes,
    },
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spent { quota } => write!(f, "the quota of {quota} for today is spent"),
            Self::NotOpen { sent, quota } => {
                write!(
                    f,
                    "{sent} of {quota} are sent, and no more is open at this hour"
                )
            }
            Self::Paused { until, causes } => write!(f, "paused until {until}: {causes}"),
        }
    }
}

/// What a pause is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Causes(u8);

impl Causes {
    const LISTED: u8 = 1 << 7;

    const fn bit(measure: Measure) -> u8 {
        match measure {
            Measure::Complaints => 1,
            Measure::Deferrals => 1 << 1,
            Measure::Rejections => 1 << 2,
            Measure::UnknownRecipients => 1 << 3,
        }
    }

    /// Of what there was too much.
    pub fn measures(self) -> impl Iterator<Item = Measure> {
        let all = [
            Measure::Complaints,
            Measure::Deferrals,
            Measure::Rejections,
            Measure::UnknownRecipients,
        ];
        let is_one = move |measure: &Measure| self.0 & Self::bit(*measure) != 0;
        all.into_iter().filter(is_one)
    }

    /// Whether a list has the address.
    pub const fn is_listed(self) -> bool {
        self.0 & Self::LISTED != 0
    }
}

impl From<&Standing> for Causes {
    fn from(standing: &Standing) -> Self {
        let worst = standing
            .reasons
            .iter()
            .filter(|it| it.level() == standing.level);
        let bit = |reason: &Reason| match reason {
            Reason::Rate { threshold, .. } => Self::bit(threshold.measure),
            Reason::Listed(_) => Self::LISTED,
        };
        Self(worst.map(bit).fold(0, |all, bit| all | bit))
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measures = self.measures().map(|measure| measure.to_string());
        let listed = self.is_listed().then(|| "on a list".to_owned());
        let all: Vec<String> = measures.chain(listed).collect();
        f.write_str(&all.join(", "))
    }
}

/// Where messages go, or when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Decision {
    /// By an address that warms up, within its quota.
    Send {
        /// The address.
        address: IpAddr,
        /// How many messages; they are spent.
        messages: u32,
    },
    /// By a warm address.
    Overflow {
        /// The address.
        address: IpAddr,
        /// How many messages: as many as were asked for.
        messages: u32,
        /// How the address stands: the one that stands best was taken, however badly that is, as mail cannot wait for good.
        standing: Standing,
        /// Why none that warms up sends it.
        because: Vec<(IpAddr, Held)>,
    },
    /// No address may send now, and none is warm.
    Later {
        /// When to ask again, in seconds since 1970.
        at: u64,
        /// Why, for each address.
        because: Vec<(IpAddr, Held)>,
    },
}

/// Where an address stands in its warm-up with a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The address.
    pub address: IpAddr,
    /// The day of the curve, from 1; none if it is warm for this provider.
    pub day: Option<u32>,
    /// Messages for today; none if it is warm.
    pub quota: Option<u32>,
    /// Messages that were sent today, counted while it warms up.
    pub sent: u32,
    /// Until when it sends nothing to the provider, in seconds since 1970.
    pub paused_until: Option<u64>,
    /// How it stands.
    pub standing: Standing,
}

/// Spends a plan.
///
/// What it knows lies in a [`Store`], under the address and the provider, for [`Plan::cold_after_days`] since the last message. What a
/// store has forgotten begins anew, with little. It survives restarts as the store does. A clock that is set back opens nothing: what was
/// spent stays spent. One that jumps forward gains one step, as the next day does.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// The plan.
    pub plan: Plan,
    /// What tells how addresses stand. Whoever sends [records](Self::record) what comes back.
    pub reputation: Reputation,
    keys: Keys,
    sources: Vec<Source>,
}

impl Scheduler {
    /// Takes the plan, the reputation and our addresses; addresses beyond [`MAX_SOURCES`] are left out.
    ///
    /// Those that warm up are used in this order before those that are warm.
    pub fn new(
        plan: Plan,
        reputation: Reputation,
        keys: Keys,
        sources: impl IntoIterator<Item = Source>,
    ) -> Self {
        Self {
            plan,
            reputation,
            keys,
            sources: sources.into_iter().take(MAX_SOURCES).collect(),
        }
    }

    /// Our addresses.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Our addresses, for their listings to be changed.
    pub fn sources_mut(&mut self) -> &mut [Source] {
        &mut self.sources
    }

    /// Decides by which address so many messages to a provider leave now, and spends them of its quota.
    ///
    /// Fewer messages may be granted than were asked for, never none: ask again for the rest. What was granted and then not sent is
    /// [given back](Self::give_back). `now` is the time in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn take<S: Store + ?Sized>(
        &self,
        store: &mut S,
        provider: &Provider,
        messages: u32,
        now: u64,
    ) -> Result<Decision, S::Error> {
        self.take_from(|_| true, store, provider, messages, now)
    }

    /// The same with those of our addresses that will do: where a host has IPv4 addresses alone, an IPv6 address is of no use.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn take_from<S: Store + ?Sized>(
        &self,
        will_do: impl Fn(IpAddr) -> bool,
        store: &mut S,
        provider: &Provider,
        messages: u32,
        now: u64,
    ) -> Result<Decision, S::Error> {
        let provider = &*self.plan.pool(provider);
        let curve = self.plan.curve(provider);
        let mut because = Vec::new();
        let mut at = None::<u64>;
        let mut best: Option<(IpAddr, Standing)> = None;
        let usable = self.sources.iter().filter(|it| will_do(it.address));
        let keys = self.keys(provider);
        for source in usable {
            let address = source.address;
            let before = before(store, source, &keys, now)?;
            if let Some((held, again)) = self.held(before.as_ref(), provider, now) {
                because.push((address, held));
                at = Some(at.map_or(again, |at| at.min(again)));
                continue;
            }
            let (state, standing) = self.state(store, source, before.as_ref(), provider, now)?;
            let quota = (!source.is_warm).then(|| curve.quota(state.step)).flatten();
            let room = quota.map(|quota| state.room(&self.plan, quota, now));
            if let Some(Ok(room)) = room {
                let messages = messages.clamp(1, room);
                let sent = state.sent.saturating_add(messages);
                self.save(store, address, provider, &State { sent, ..state }, now)?;
                return Ok(Decision::Send { address, messages });
            }
            if !source.is_warm && before.as_ref() != Some(&state) {
                self.save(store, address, provider, &state, now)?;
            }
            match room {
                Some(Err((held, again))) => {
                    because.push((address, held));
                    at = Some(at.map_or(again, |at| at.min(again)));
                }
                _ => {
                    let is_better = |(_, best): &(_, Standing)| standing.level < best.level;
                    if best.as_ref().is_none_or(is_better) {
                        best = Some((address, standing));
                    }
                }
            }
        }
        Ok(match best {
            Some((address, standing)) => Decision::Overflow {
                address,
                messages,
                standing,
                because,
            },
            None => Decision::Later {
                // Without any address there is nothing to wait for but a new configuration.
                at: at.unwrap_or_else(|| now.saturating_add(3_600)),
                because,
            },
        })
    }

    /// Gives back what was granted to an address and did not reach the provider: nobody took the connection, or the session broke before
    /// the first recipient.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn give_back<S: Store + ?Sized>(
        &self,
        store: &mut S,
        address: IpAddr,
        provider: &Provider,
        messages: u32,
        now: u64,
    ) -> Result<(), S::Error> {
        let provider = &*self.plan.pool(provider);
        let Some(value) = store.load(&self.key(address, provider), now)? else {
            return Ok(());
        };
        let state = State::of_value(value);
        let sent = state.sent.saturating_sub(messages);
        // What was granted yesterday is no more of today's.
        if u64::from(state.day) != day(now) || sent == state.sent {
            return Ok(());
        }
        self.save(store, address, provider, &State { sent, ..state }, now)
    }

    /// Records what became of so many messages that an address sent, for its [`Reputation`].
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
        let provider = self.plan.pool(provider);
        let reputation = &self.reputation;
        reputation.record(store, address, &provider, outcome, messages, now)
    }

    /// Where each address stands with a provider; changes nothing.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn status<S: Store + ?Sized>(
        &self,
        store: &mut S,
        provider: &Provider,
        now: u64,
    ) -> Result<Vec<Status>, S::Error> {
        let provider = &*self.plan.pool(provider);
        let keys = self.keys(provider);
        let status = |source: &Source| {
            let before = before(store, source, &keys, now)?;
            let (state, standing) = self.state(store, source, before.as_ref(), provider, now)?;
            let curve = self.plan.curve(provider);
            let quota = (!source.is_warm).then(|| curve.quota(state.step)).flatten();
            Ok(Status {
                address: source.address,
                day: quota.map(|_| state.step + 1),
                quota,
                sent: state.sent,
                paused_until: (state.paused_until > now).then_some(state.paused_until),
                standing,
            })
        };
        self.sources.iter().map(status).collect()
    }

    /// Why an address sends nothing now, and when it will, where that is known without asking how it stands: it is paused, or what is
    /// open today is spent. Whether it is to be paused, or for longer, is asked before it sends again.
    fn held(&self, before: Option<&State>, provider: &Provider, now: u64) -> Option<(Held, u64)> {
        let state = before?;
        let longest = u64::from(self.plan.resume(today(now))).saturating_mul(DAY);
        let is_paused = state.paused_until > now && state.paused_until <= longest;
        if !is_paused && u64::from(state.day) != day(now) {
            return None;
        }
        let quota = self.plan.curve(provider).quota(state.step)?;
        state.room(&self.plan, quota, now).err()
    }

    /// What has become of an address by today, and how it stands.
    ///
    /// While it is paused it stands as it did: what happened before the pause is shown, and counts no more afterwards.
    fn state<S: Store + ?Sized>(
        &self,
        store: &mut S,
        source: &Source,
        before: Option<&State>,
        provider: &Provider,
        now: u64,
    ) -> Result<(State, Standing), S::Error> {
        let (address, listings) = (source.address, &source.listings);
        let stands = |store: &mut S, since: u32| {
            let reputation = &self.reputation;
            reputation.standing_since(store, address, provider, listings, since.into(), now)
        };
        if source.is_warm {
            return Ok((State::default(), stands(store, 0)?));
        }
        let today = today(now);
        let state = before.cloned().unwrap_or_else(|| State {
            day: today,
            ..State::default()
        });
        let standing = stands(store, state.since)?;
        let state = state.turned(&self.plan, provider, &standing, today);
        let standing = match state.paused_until > now {
            true => stands(store, 0)?,
            false => standing,
        };
        Ok((state, standing))
    }

    fn save<S: Store + ?Sized>(
        &self,
        store: &mut S,
        address: IpAddr,
        provider: &Provider,
        state: &State,
        now: u64,
    ) -> Result<(), S::Error> {
        let lifetime = u64::from(self.plan.cold_after_days).saturating_mul(DAY);
        let expires = now.max(state.paused_until).saturating_add(lifetime);
        store.save(self.key(address, provider), state.to_value(), expires)
    }

    fn key(&self, address: IpAddr, provider: &Provider) -> Key {
        self.keys(provider).key(&octets(address))
    }

    /// The keys of all addresses with a provider.
    fn keys(&self, provider: &Provider) -> Beginning {
        let parts: [&[u8]; 2] = [b"warm-up", provider.as_str().as_bytes()];
        self.keys.beginning(Kind::Outbound, &parts)
    }
}

/// What is stored of an address that warms up.
fn before<S: Store + ?Sized>(
    store: &mut S,
    source: &Source,
    keys: &Beginning,
    now: u64,
) -> Result<Option<State>, S::Error> {
    if source.is_warm {
        return Ok(None);
    }
    let value = store.load(&keys.key(&octets(source.address)), now)?;
    Ok(value.map(State::of_value))
}

/// What is remembered of an address and a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// The day since 1970 for which `sent` counts.
    day: u32,
    /// The day of the curve, from 0.
    step: u32,
    /// What was sent on that day.
    sent: u32,
    /// The first day since 1970 whose events count: what was before has been answered for by a pause.
    since: u32,
    /// Seconds since 1970; 0 for no pause.
    paused_until: u64,
    /// What the last pause was for.
    causes: Causes,
}

fn today(now: u64) -> u32 {
    u32::try_from(day(now)).unwrap_or(u32::MAX)
}

impl State {
    fn to_value(&self) -> Value {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        [
            pair(self.day, self.step),
            pair(self.sent, self.since),
            // A day of 32 bits in seconds has less than 56 bits.
            u64::from(self.causes.0) << 56 | self.paused_until,
        ]
    }

    fn of_value([first, second, third]: Value) -> Self {
        Self {
            // The halves of 64 bits.
            day: (first >> 32) as u32,
            step: first as u32,
            sent: (second >> 32) as u32,
            since: second as u32,
            paused_until: third & (u64::MAX >> 8),
            causes: Causes((third >> 56) as u8),
        }
    }

    /// What it has become by today.
    fn turned(mut self, plan: &Plan, provider: &Provider, standing: &Standing, today: u32) -> Self {
        let (curve, level) = (plan.curve(provider), standing.level);
        let resume = plan.resume(today);
        let longest = u64::from(resume).saturating_mul(DAY);
        // What lies beyond was written before the clock was set back.
        self.paused_until = self.paused_until.min(longest);
        self.since = self.since.min(resume);
        if self.day > today.saturating_add(1) {
            self.day = today;
        }
        let quota = curve.quota(self.step);
        if today > self.day {
            let needed = u64::from(quota.unwrap_or_default()) * u64::from(plan.spent_percent);
            if level == Level::Good && quota.is_some() && u64::from(self.sent) * 100 >= needed {
                self.step += 1;
            }
            self.day = today;
            self.sent = 0;
        }
        let is_paused = self.paused_until > u64::from(today).saturating_mul(DAY);
        if level == Level::Stop && !is_paused {
            self.paused_until = longest;
            self.causes = standing.into();
            self.since = resume;
            // One that was warm goes back from the end of its curve.
            let last = u32::try_from(curve.days()).unwrap_or(u32::MAX);
            self.step = self.step.min(last).saturating_sub(plan.step_back);
            self.sent = 0;
        }
        self
    }

    /// How many messages are open now; else why none is, and when one will be.
    fn room(&self, plan: &Plan, quota: u32, now: u64) -> Result<u32, (Held, u64)> {
        let hours = plan.hours;
        let midnight = |day: u64| day.saturating_mul(DAY);
        let tomorrow = midnight(u64::from(self.day) + 1).saturating_add(hours.begin());
        if self.paused_until > now {
            let until = self.paused_until;
            let again = midnight(day(until)).saturating_add(hours.begin());
            let causes = self.causes;
            return Err((Held::Paused { until, causes }, again.max(until)));
        }
        // Where the clock was set back over midnight, the day that had begun is at its beginning.
        let second = now.saturating_sub(midnight(self.day.into()));
        let open = hours.open(quota, second).unwrap_or_default();
        match open.checked_sub(self.sent) {
            Some(room) if room > 0 => Ok(room),
            _ if self.sent >= quota => Err((Held::Spent { quota }, tomorrow)),
            _ => {
                let sent = self.sent;
                let opens = hours
                    .opens(quota, sent)
                    .map(|opens| midnight(self.day.into()).saturating_add(opens))
                    .filter(|opens| *opens > now);
                Err((Held::NotOpen { sent, quota }, opens.unwrap_or(tomorrow)))
            }
        }
    }
}
