//! Whom have our users written to? Their answers need not be asked to come again.
//!
//! What is remembered of a message that a user has sent is a pair: the address that it was from, and one that it went to. It says nothing
//! of who a client is, as a sender's address is only claimed: [`greylisting`](crate::greylisting) and [`scorer`](crate::scorer) count it
//! where SPF passes for the domain of that address, and nowhere else.
//!
//! ```
//! use screening::correspondents::Correspondents;
//! use screening::store::{Keys, MemoryStore};
//!
//! let correspondents = Correspondents::new(Keys::new([7; 16]));
//! let mut store = MemoryStore::new(10_000);
//! let now = 1_800_000_000;
//! correspondents.wrote(&mut store, "ann@example.org", "Joe@example.net", now)?;
//! assert!(correspondents.knows(&mut store, "ann@example.org", "joe@example.net", now + 3_600)?);
//! assert!(!correspondents.knows(&mut store, "ben@example.org", "joe@example.net", now + 3_600)?);
//! # Ok::<(), core::convert::Infallible>(())
//! ```

use core::time::Duration;

use crate::store::{Entry, Key, Keys, Kind, Store, Value};
use crate::text::Lower;

/// For how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long an address is known after the last message to it. Default: 90 days: who has not answered by then is no correspondent.
    /// Raising it keeps the store fuller.
    pub lifetime: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// The rules alone, for a store that answers asynchronously.
impl Policy {
    /// What to save when one of our users has written.
    pub fn wrote(&self, now: u64) -> Entry {
        Entry {
            value: [now, 0, 0],
            expires: now.saturating_add(self.lifetime.as_secs()),
        }
    }

    /// Whether a value stands for somebody who is known still. A time that is yet to come is not old: the clock was set back.
    pub fn knows(&self, value: Option<Value>, now: u64) -> bool {
        value.is_some_and(|[wrote, ..]| now.saturating_sub(wrote) <= self.lifetime.as_secs())
    }
}

/// The policy over what is remembered.
#[derive(Clone, Debug)]
pub struct Correspondents {
    /// The rules.
    pub policy: Policy,
    keys: Keys,
}

impl Correspondents {
    /// With the default policy.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            keys,
        }
    }

    /// One of our users, who has logged in, has written from an address of ours to one elsewhere, at a time in seconds since 1970.
    ///
    /// Call it for what people send: what is sent by itself (a bounce, a reply of absence) goes to whoever has written, and would make
    /// every stranger a correspondent.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn wrote<S: Store + ?Sized>(
        &self,
        store: &mut S,
        ours: &str,
        theirs: &str,
        now: u64,
    ) -> Result<(), S::Error> {
        let entry = self.policy.wrote(now);
        store.save(self.key(ours, theirs), entry.value, entry.expires)
    }

    /// Whether somebody has written from this address of ours to that one. Nobody has written to the null reverse-path.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn knows<S: Store + ?Sized>(
        &self,
        store: &mut S,
        ours: &str,
        theirs: &str,
        now: u64,
    ) -> Result<bool, S::Error> {
        if theirs.is_empty() {
            return Ok(false);
        }
        let value = store.load(&self.key(ours, theirs), now)?;
        Ok(self.policy.knows(value, now))
    }

    /// Under what a pair is remembered. Letters are compared without case, and of an address the first 256 octets.
    pub fn key(&self, ours: &str, theirs: &str) -> Key {
        let (ours, theirs) = (Lower::new(ours), Lower::new(theirs));
        let parts = [ours.octets(), theirs.octets()];
        self.keys.key(Kind::Correspondent, &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    #[test]
    fn a_pair_is_known_for_its_time_and_no_other() {
        let measure = Correspondents::new(Keys::new([2; 16]));
        let mut store = MemoryStore::new(100);
        let (ann, joe) = ("ann@example.org", "joe@example.net");
        measure.wrote(&mut store, ann, joe, START).unwrap();
        measure.wrote(&mut store, ann, "", START).unwrap();
        for (ours, theirs, at, known) in [
            (ann, joe, 0, true),
            ("ANN@example.org", "Joe@Example.NET", 0, true),
            (ann, joe, 90 * DAY, true),
            (ann, joe, 90 * DAY + 1, false),
            (joe, ann, 0, false),
            ("ben@example.org", joe, 0, false),
            (ann, "joe@example.com", 0, false),
            (ann, "", 0, false),
        ] {
            let knows = measure.knows(&mut store, ours, theirs, START + at).unwrap();
            assert_eq!(knows, known, "{ours} {theirs} {at}");
        }
        // The next message to him begins the time anew.
        measure
            .wrote(&mut store, ann, joe, START + 80 * DAY)
            .unwrap();
        assert!(
            measure
                .knows(&mut store, ann, joe, START + 170 * DAY)
                .unwrap()
        );
    }

    #[test]
    fn any_time_is_bounded() {
        let policy = Policy::default();
        for (wrote, now) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
            assert_eq!(policy.knows(Some([wrote, 0, 0]), now), wrote != 0);
        }
        assert!(!policy.knows(None, START));
        assert_eq!(policy.wrote(u64::MAX).expires, u64::MAX);
    }
}
