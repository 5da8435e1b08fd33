//! How many connections a destination gets at once, and when none: `screening`'s shaper, and those who wait for it.
//!
//! Who waits for a destination stands in line. A connection that is done with a message goes to the first in the line who wants one to the
//! same host; where nobody waits it is kept for some seconds for who comes. One that is closed makes the first in the line ask again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use screening::outbound::provider::Provider;
use screening::outbound::shaping::{Because, Policy, Shaper, Turn};
use smtp_proto::Reply;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::carrier::Carrier;
use super::exchanger::Target;
use crate::config::Outbound;
use crate::own_reputation::classified;
use crate::server::Context;

/// Connections at once, to all destinations together.
const CONNECTIONS: usize = 100;

/// How long a connection is kept that nobody waits for: who sends one message after the other gets the same.
const LINGER: Duration = Duration::from_secs(2);

/// The shaper of a server. What it knows is of the moment, and is not kept.
#[derive(Debug)]
pub struct Shaping {
    state: Mutex<State>,
    connections: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    shaper: Shaper,
    /// No line is empty.
    lines: BTreeMap<Provider, VecDeque<Waiter>>,
    /// Connections that nobody has waited for, each with a number of its own; no list is empty. Where there is one, there is no line.
    kept: BTreeMap<Provider, Vec<(u64, Carrier)>>,
    /// The number of the next one.
    number: u64,
}

/// Somebody in a line.
#[derive(Debug)]
struct Waiter {
    target: Target,
    /// With a connection that is open, or to ask again.
    wake: oneshot::Sender<Option<Carrier>>,
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotNow {
    /// When to ask again, in seconds since 1970.
    pub(super) at: u64,
    pub(super) because: Because,
}

impl Shaping {
    /// As configured.
    #[must_use]
    pub fn new(outbound: &Outbound) -> Self {
        let policy = outbound.shaping.over(&Policy::default());
        let of_provider = outbound.provider.iter().filter_map(|(name, shaping)| {
            // The configuration was checked.
            Some((name.parse().ok()?, shaping.over(&policy)))
        });
        let mut shaper = Shaper::default();
        shaper.providers = of_provider.collect();
        shaper.policy = policy;
        Self {
            state: Mutex::new(State {
                shaper,
                lines: BTreeMap::new(),
                kept: BTreeMap::new(),
                number: 0,
            }),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the first in a line ask again.
    fn wake(&self, provider: &Provider) {
        let mut state = self.state();
        while let Some(waiter) = state.first(provider) {
            // Who has lost patience is passed over.
            if waiter.wake.send(None).is_ok() {
                return;
            }
        }
    }
}

impl State {
    fn first(&mut self, provider: &Provider) -> Option<Waiter> {
        let line = self.lines.get_mut(provider)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.lines.remove(provider);
        }
        first
    }

    /// The first in a line who wants a connection to this host.
    fn first_to(&mut self, provider: &Provider, target: &Target) -> Option<Waiter> {
        let line = self.lines.get_mut(provider)?;
        let at = line.iter().position(|waiter| waiter.target == *target)?;
        let waiter = line.remove(at);
        if line.is_empty() {
            self.lines.remove(provider);
        }
        waiter
    }
}

impl State {
    /// A connection that was kept: one to this host, or without a host the oldest.
    fn take_kept(&mut self, provider: &Provider, target: Option<&Target>) -> Option<Carrier> {
        let is_fit = |kept: &(u64, Carrier)| target.is_none_or(|it| kept.1.target() == it);
        let at = self.kept.get(provider)?.iter().position(is_fit)?;
        self.remove_kept(provider, at)
    }

    /// A connection that was kept, to whomever.
    fn take_any_kept(&mut self) -> Option<Carrier> {
        let provider = self.kept.keys().next()?.clone();
        self.remove_kept(&provider, 0)
    }

    fn remove_kept(&mut self, provider: &Provider, at: usize) -> Option<Carrier> {
        let kept = self.kept.get_mut(provider)?;
        let (_, carrier) = kept.remove(at);
        if kept.is_empty() {
            self.kept.remove(provider);
        }
        Some(carrier)
    }
}

/// Waits until then for its turn among those to the same destination, unless that gets none for a while: a place for a new connection, or
/// one to the host that is open.
pub(super) async fn connect(
    context: &Arc<Context>,
    provider: &Provider,
    target: &Target,
    patience: Instant,
) -> Result<Carrier, NotNow> {
    let shaping = &context.shaping;
    let mut was_asked = false;
    loop {
        let now = context.clock.now();
        let (because, woken) = {
            let mut state = shaping.state();
            if let Some(mut kept) = state.take_kept(provider, Some(target)) {
                if let Some((carried, since)) = kept.carried()
                    && state.shaper.keeps(provider, carried, since, now)
                {
                    return Ok(kept);
                }
                drop(state);
                kept.pass_on_or_close();
                continue;
            }
            match state.shaper.connect(provider, now) {
                Turn::Now => break,
                Turn::Later {
                    at: Some(at),
                    because,
                } => {
                    drop(state);
                    // What holds for one holds for all behind.
                    shaping.wake(provider);
                    return Err(NotNow { at, because });
                }
                turn => {
                    if let Some(kept) = state.take_kept(provider, None) {
                        drop(state);
                        return Ok(kept.turned_to(target.clone()));
                    }
                    let (wake, woken) = oneshot::channel();
                    let target = target.clone();
                    let line = state.lines.entry(provider.clone()).or_default();
                    let waiter = Waiter { target, wake };
                    match was_asked {
                        true => line.push_front(waiter),
                        false => line.push_back(waiter),
                    }
                    let because = match turn {
                        Turn::Later { because, .. } => because,
                        // There is no connection that could be closed.
                        _ => Because::Connections,
                    };
                    (because, woken)
                }
            }
        };
        match timeout_at(patience, woken).await {
            Ok(Ok(Some(carrier))) => return Ok(carrier),
            Ok(_) => was_asked = true,
            Err(_) => {
                // Who was to ask again at this very moment does not: the next one does.
                shaping.wake(provider);
                return Err(NotNow { at: now, because });
            }
        }
    }
    let mut slot = Slot {
        context: Arc::clone(context),
        provider: provider.clone(),
        is_open: true,
        permit: None,
    };
    if was_asked {
        // There may be room for more than one.
        shaping.wake(provider);
    }
    if shaping.connections.available_permits() == 0 {
        let kept = shaping.state().take_any_kept();
        if let Some(kept) = kept {
            kept.end();
        }
    }
    // Nobody closes the semaphore.
    slot.permit = Arc::clone(&shaping.connections).acquire_owned().await.ok();
    Ok(Carrier::new(slot, target.clone()))
}

/// Gives an open connection to the first in the line for the same host, or keeps it for a while; back if it is of no use any more.
pub(super) fn pass_on(mut carrier: Carrier) -> Option<Carrier> {
    let context = Arc::clone(&carrier.slot().context);
    let (provider, now) = (carrier.provider().clone(), context.clock.now());
    let Some((carried, since)) = carrier.carried() else {
        return Some(carrier);
    };
    let mut state = context.shaping.state();
    if !state.shaper.keeps(&provider, carried, since, now) {
        return Some(carrier);
    }
    while let Some(waiter) = state.first_to(&provider, carrier.target()) {
        match waiter.wake.send(Some(carrier)) {
            Ok(()) => return None,
            Err(back) => carrier = back?,
        }
    }
    // Those who wait want its place for another host.
    if state.lines.contains_key(&provider)
        || context.shaping.connections.available_permits() == 0
        || *context.stopping.borrow()
    {
        return Some(carrier);
    }
    let number = state.number;
    state.number = number.wrapping_add(1);
    let kept = state.kept.entry(provider.clone()).or_default();
    kept.push((number, carrier));
    drop(state);
    tokio::spawn(async move {
        let mut stopping = context.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        let carrier = {
            let mut state = context.shaping.state();
            let kept = state.kept.get(&provider).into_iter().flatten();
            let at = kept.map(|(number, _)| *number).position(|it| it == number);
            at.and_then(|at| state.remove_kept(&provider, at))
        };
        if let Some(carrier) = carrier {
            carrier.end();
        }
    });
    None
}

/// A connection that a destination is given; when it is dropped, it is closed.
pub(super) struct Slot {
    context: Arc<Context>,
    provider: Provider,
    is_open: bool,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// Which destination.
    pub(super) const fn provider(&self) -> &Provider {
        &self.provider
    }

    pub(super) fn now(&self) -> u64 {
        self.context.clock.now()
    }

    /// Asks for a message on the connection, which has carried so many since a time.
    pub(super) fn message(&self, carried: u32, since: u64) -> Result<(), NotNow> {
        let now = self.now();
        let mut state = self.context.shaping.state();
        match state.shaper.message(&self.provider, carried, since, now) {
            Turn::Now => Ok(()),
            Turn::Later { at, because } => Err(NotNow {
                at: at.unwrap_or(now),
                because,
            }),
            // There are no longer as many connections as there were.
            Turn::Close => Err(NotNow {
                at: now,
                because: Because::Connections,
            }),
        }
    }

    /// What the destination said.
    pub(super) fn reply(&self, reply: &Reply) {
        let (now, provider) = (self.now(), &self.provider);
        let change = {
            let mut state = self.context.shaping.state();
            let mut change = Change::before(&state.shaper, provider, now);
            classified(reply, |reply| state.shaper.reply(provider, reply, now));
            change.after(&state.shaper, provider, now);
            change
        };
        change.tell(provider, &reply.to_string());
        if change.connections.1 > change.connections.0 {
            self.context.shaping.wake(provider);
        }
    }

    /// The connection could not be made, or was lost.
    pub(super) fn failed(&mut self, why: &str) {
        if !core::mem::take(&mut self.is_open) {
            return;
        }
        let (now, provider) = (self.now(), &self.provider);
        let change = {
            let mut state = self.context.shaping.state();
            let mut change = Change::before(&state.shaper, provider, now);
            state.shaper.failed(provider, now);
            change.after(&state.shaper, provider, now);
            change
        };
        change.tell(provider, why);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_open {
            let now = self.now();
            let mut state = self.context.shaping.state();
            state.shaper.closed(&self.provider, now);
        }
        drop(self.permit.take());
        self.context.shaping.wake(&self.provider);
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("provider", &self.provider)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// What a destination got before and after it said something.
struct Change {
    connections: (u32, u32),
    left_alone: (Option<u64>, Option<u64>),
}

impl Change {
    fn before(shaper: &Shaper, provider: &Provider, now: u64) -> Self {
        let connections = shaper.connections(provider);
        let left_alone = shaper.left_alone_until(provider, now);
        Self {
            connections: (connections, connections),
            left_alone: (left_alone, left_alone),
        }
    }

    fn after(&mut self, shaper: &Shaper, provider: &Provider, now: u64) {
        self.connections.1 = shaper.connections(provider);
        self.left_alone.1 = shaper.left_alone_until(provider, now);
    }

    fn tell(&self, provider: &Provider, why: &str) {
        let (before, connections) = self.connections;
        match self.left_alone {
            (None, Some(until)) => {
                tracing::warn!(%provider, until, connections, why, "shaping: the destination is left alone");
            }
            _ if before != connections => {
                tracing::info!(%provider, before, connections, "shaping: the destination may have so many connections");
            }
            _ => {}
        }
    }
}
