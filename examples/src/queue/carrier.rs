//! A connection of the queue: it carries a message, then further ones to the same host.
//!
//! Two messages go by one connection only if they have the same destination ([`Provider`]), host, address and demand of TLS, and if it is
//! the turn of the address of ours that it was made from. So a domain's mail never goes by a connection that its own exchangers and its
//! own policy would not have led to.

use std::net::IpAddr;

use screening::outbound::provider::Provider;
use smtp_proto::Reply;

use super::exchanger::Target;
use super::shaping::{NotNow, Slot, pass_on};
use crate::outgoing::{Connection, Open, SendError};

/// A place among the connections to a destination, and the connection once it is made.
#[derive(Debug)]
pub(super) struct Carrier {
    slot: Slot,
    target: Target,
    open: Option<OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    open: Open,
    source: IpAddr,
    /// Messages that were begun.
    carried: u32,
    /// Since when, in seconds since 1970.
    since: u64,
}

impl Carrier {
    pub(super) const fn new(slot: Slot, target: Target) -> Self {
        Self {
            slot,
            target,
            open: None,
        }
    }

    pub(super) const fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(super) const fn provider(&self) -> &Provider {
        self.slot.provider()
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// How many messages the connection has carried, and since when, if it takes another.
    pub(super) fn carried(&mut self) -> Option<(u32, u64)> {
        let it = self.open.as_mut()?;
        let most = it.open.most_messages().unwrap_or(u32::MAX);
        (it.open.is_ready() && it.carried < most).then_some((it.carried, it.since))
    }

    /// Asks for a message, by this address of ours: a connection from another one is closed.
    pub(super) fn message(&mut self, source: IpAddr) -> Result<(), NotNow> {
        let is_fit = self.carried().is_some();
        if !is_fit || self.open.as_ref().is_some_and(|it| it.source != source) {
            self.close();
        }
        let (carried, since) = match &self.open {
            Some(it) => (it.carried, it.since),
            None => (0, self.slot.now()),
        };
        self.slot.message(carried, since)
    }

    /// The connection: the one that there is, or a new one. And how many messages it has carried.
    pub(super) async fn connection(
        &mut self,
        source: IpAddr,
        connection: Connection,
    ) -> Result<(&mut Open, u32), SendError> {
        let it = match self.open.take() {
            Some(it) => it,
            None => OpenConnection {
                open: Open::connect(connection).await?,
                source,
                carried: 0,
                since: self.slot.now(),
            },
        };
        let it = self.open.insert(it);
        let carried = it.carried;
        it.carried += 1;
        Ok((&mut it.open, carried))
    }

    /// What the destination said.
    pub(super) fn reply(&self, reply: &Reply) {
        self.slot.reply(reply);
    }

    /// The connection could not be made, or was lost.
    pub(super) fn failed(&mut self, why: &str) {
        self.open = None;
        self.slot.failed(why);
    }

    /// Closes the connection; its place stays.
    pub(super) fn close(&mut self) {
        if let Some(it) = self.open.take() {
            it.tell(&self.slot, &self.target, "queue: connection closed");
            tokio::spawn(it.open.quit());
        }
    }

    /// Closes the connection, and gives its place to one to another host.
    pub(super) fn turned_to(mut self, target: Target) -> Self {
        self.close();
        self.target = target;
        self
    }

    /// Gives the connection to another message, or closes it.
    pub(super) fn pass_on_or_close(self) {
        if let Some(rest) = pass_on(self) {
            rest.end();
        }
    }

    /// Closes the connection and gives up its place, once it is closed.
    pub(super) fn end(mut self) {
        let Some(mut it) = self.open.take() else {
            return;
        };
        it.tell(&self.slot, &self.target, "queue: connection closed");
        if it.open.is_ready() {
            let slot = self.slot;
            tokio::spawn(async move {
                it.open.quit().await;
                drop(slot);
            });
        }
    }
}

impl OpenConnection {
    fn tell(&self, slot: &Slot, target: &Target, what: &str) {
        let seconds = slot.now().saturating_sub(self.since);
        let (provider, carried) = (slot.provider(), self.carried);
        tracing::info!(%provider, host = target.host, address = %target.address, carried, seconds, "{what}");
    }
}
