//! Addresses that get no mail of ours: those whose owner has complained, those that do not exist, and those that the postmaster names.
//!
//! `screening` decides; the list is in the store, with the addresses, so that it can be looked at and changed while the server runs.

use std::fmt;

use screening::outbound::suppression::{Scope, Suppressed, Suppression};
use screening::store::Keys;
use smtp_proto::Reply;

use crate::config;
use crate::own_reputation::classified;
use crate::store::{Memory, Store, StoreError};

/// The list of a server.
#[derive(Debug)]
pub struct SuppressionList {
    suppression: Suppression,
    is_enabled: bool,
}

/// An address of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The address.
    pub recipient: String,
    /// Whose mail it does not get; none: nobody's.
    pub sender: Option<String>,
    /// Why, and until when.
    pub suppressed: Suppressed,
}

/// One line for people.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.recipient)?;
        match self.sender.as_deref() {
            Some("") => write!(f, ", from <>")?,
            Some(sender) => write!(f, ", from {sender}")?,
            None => {}
        }
        write!(f, ": {}", self.suppressed)
    }
}

impl SuppressionList {
    /// As configured; `secret` is the store's.
    #[must_use]
    pub fn new(config: &config::Suppression, secret: &[u8; 32]) -> Self {
        let keys: Keys = crate::screen::keys(secret);
        let mut suppression = Suppression::new(keys);
        suppression.policy = config.policy();
        Self {
            suppression,
            is_enabled: config.enabled,
        }
    }

    /// Whether mail of this sender, or of the null one, to this recipient is not to be sent.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn check(
        &self,
        store: &dyn Store,
        sender: &str,
        recipient: &str,
        now: u64,
    ) -> Result<Option<Suppressed>, StoreError> {
        if !self.is_enabled {
            return Ok(None);
        }
        self.measure(store, sender, recipient, now, |memory| {
            self.suppression.check(memory, sender, recipient, now)
        })
    }

    /// Takes down what a server has answered to a message; gives what is suppressed from now on.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn answered(
        &self,
        store: &dyn Store,
        sender: &str,
        recipient: &str,
        reply: &Reply,
        now: u64,
    ) -> Result<Option<Suppressed>, StoreError> {
        if !self.is_enabled {
            return Ok(None);
        }
        self.measure(store, sender, recipient, now, |memory| {
            if reply.is_positive() {
                let taken = self.suppression.delivered(memory, sender, recipient, now);
                return taken.map(|()| None);
            }
            classified(reply, |reply| {
                (self.suppression).bounced(memory, sender, recipient, reply, now)
            })
        })
    }

    /// Takes down that the recipient of a message has complained about it.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn complained(
        &self,
        store: &dyn Store,
        sender: &str,
        recipient: &str,
        now: u64,
    ) -> Result<Option<Suppressed>, StoreError> {
        if !self.is_enabled {
            return Ok(None);
        }
        self.measure(store, sender, recipient, now, |memory| {
            self.suppression.complained(memory, sender, recipient, now)
        })
    }

    /// Stops mail by hand, of one sender or all, until a second since 1970 or until it is lifted.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn add(
        &self,
        store: &dyn Store,
        sender: Option<&str>,
        recipient: &str,
        until: Option<u64>,
        now: u64,
    ) -> Result<(), StoreError> {
        let named = sender.unwrap_or_default();
        self.measure(store, named, recipient, now, |memory| {
            self.suppression.add(memory, sender, recipient, until)
        })
    }

    /// Lifts what stops mail of one sender, or without one all that stops mail to the recipient; gives how many rows that were.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn remove(
        &self,
        store: &dyn Store,
        sender: Option<&str>,
        recipient: &str,
        now: u64,
    ) -> Result<usize, StoreError> {
        let rows = store.suppressed(now)?;
        let is_same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        let rows = rows.into_iter().filter(|row| {
            let by = row.sender.as_deref();
            is_same(&row.recipient, recipient)
                && sender.is_none_or(|sender| by.is_some_and(|by| is_same(by, sender)))
        });
        let mut removed = 0;
        for row in rows {
            let (by, to) = (row.sender.as_deref(), row.recipient.as_str());
            self.measure(store, by.unwrap_or_default(), to, now, |memory| {
                self.suppression.remove(memory, by, to, now)
            })?;
            removed += 1;
        }
        Ok(removed)
    }

    /// All that is suppressed now, by address.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn list(&self, store: &dyn Store, now: u64) -> Result<Vec<Row>, StoreError> {
        let rows = store.suppressed(now)?.into_iter().filter_map(|row| {
            let scope = match row.sender {
                Some(_) => Scope::Sender,
                None => Scope::Everybody,
            };
            let policy = &self.suppression.policy;
            Some(Row {
                suppressed: policy.read(row.cause, scope, row.value, now)?,
                recipient: row.recipient,
                sender: row.sender,
            })
        });
        Ok(rows.collect())
    }

    fn measure<T>(
        &self,
        store: &dyn Store,
        sender: &str,
        recipient: &str,
        now: u64,
        mut measure: impl FnMut(&mut Memory<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let remembered = self.suppression.keys(sender, recipient);
        let mut result = None;
        store.suppression(sender, recipient, &remembered, now, &mut |memory| {
            result = Some(measure(memory)?);
            Ok(())
        })?;
        result.ok_or(StoreError::Interrupted)
    }
}
