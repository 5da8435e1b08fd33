//! How many connections a destination gets at once, and when none: `screening`'s shaper, and those who wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use screening::outbound::provider::Provider;
use screening::outbound::shaping::{Because, Policy, Shaper, Turn};
use smtp_proto::Reply;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::config::Outbound;
use crate::own_reputation::classified;
use crate::server::Clock;

/// Connections at once, to all destinations together.
const CONNECTIONS: usize = 100;

/// The shaper of a server. What it knows is of the moment, and is not kept.
#[derive(Debug)]
pub struct Shaping {
    shaper: Mutex<Shaper>,
    /// Wakes those who wait when a connection is closed.
    closed: Notify,
    connections: Semaphore,
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
            shaper: Mutex::new(shaper),
            closed: Notify::new(),
            connections: Semaphore::new(CONNECTIONS),
        }
    }

    fn shaper(&self) -> MutexGuard<'_, Shaper> {
        self.shaper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until then for its turn among those to the same destination, unless that gets none for a while.
    pub(super) async fn connect<'a>(
        &'a self,
        clock: &'a Clock,
        provider: &'a Provider,
        patience: Instant,
    ) -> Result<Slot<'a>, NotNow> {
        let mut slot = loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            // What is closed from here on wakes it.
            closed.as_mut().enable();
            let now = clock.now();
            let because = match self.shaper().connect(provider, now) {
                Turn::Now => {
                    break Slot {
                        shaping: self,
                        clock,
                        provider,
                        is_open: true,
                        permit: None,
                    };
                }
                Turn::Later {
                    at: Some(at),
                    because,
                } => return Err(NotNow { at, because }),
                Turn::Later { at: None, because } => because,
                // There is no connection that could be closed.
                Turn::Close => Because::Connections,
            };
            if timeout_at(patience, closed).await.is_err() {
                return Err(NotNow { at: now, because });
            }
        };
        // Nobody closes the semaphore.
        slot.permit = self.connections.acquire().await.ok();
        Ok(slot)
    }
}

/// A connection that a destination is given; when it is dropped, it is closed.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    shaping: &'a Shaping,
    clock: &'a Clock,
    provider: &'a Provider,
    is_open: bool,
    permit: Option<SemaphorePermit<'a>>,
}

impl<'a> Slot<'a> {
    /// Which destination.
    pub(super) const fn provider(&self) -> &'a Provider {
        self.provider
    }

    /// Asks for the message that the connection is for.
    pub(super) fn message(&self) -> Result<(), NotNow> {
        let now = self.clock.now();
        match self.shaping.shaper().message(self.provider, 0, now) {
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
        let now = self.clock.now();
        classified(reply, |reply| {
            self.shaping.shaper().reply(self.provider, reply, now);
        });
    }

    /// The connection could not be made, or was lost.
    pub(super) fn failed(mut self) {
        self.is_open = false;
        let now = self.clock.now();
        self.shaping.shaper().failed(self.provider, now);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let now = self.clock.now();
            self.shaping.shaper().closed(self.provider, now);
        }
        drop(self.permit.take());
        self.shaping.closed.notify_waiters();
    }
}
