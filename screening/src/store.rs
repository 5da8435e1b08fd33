//! Where what was seen of others is remembered: one small store for all measures.
//!
//! Everything that a measure remembers is three numbers under a [`Key`], and is worth nothing after a time. So a store is a table of three
//! columns, whatever it is made of: [`MemoryStore`] holds it in memory, a server keeps it in its database. A store may forget anything
//! at any time: that delays mail or forgives an offence, it loses nothing.
//!
//! ```
//! use screening::store::{Keys, Kind, MemoryStore, Store};
//!
//! let keys = Keys::new([7; 16]);
//! let mut store = MemoryStore::new(1_000);
//! let key = keys.key(Kind::Rate, &[b"login", b"ann"]);
//! store.save(key, [1, 2, 3], 1_800_000_060)?;
//! assert_eq!(store.load(&key, 1_800_000_000)?, Some([1, 2, 3]));
//! assert_eq!(store.load(&key, 1_800_000_061)?, None);
//! # Ok::<(), core::convert::Infallible>(())
//! ```

use core::convert::Infallible;
use core::fmt;
use core::hash::Hasher as _;

use hashbrown::HashTable;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What a measure remembers of something: its own three numbers.
pub type Value = [u64; 3];

/// Which measure an entry belongs to. Each has room of its own in a [`MemoryStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// Greylisting: a message on its way.
    GreylistMessage = 1,
    /// Greylisting: a client of which a message has passed.
    GreylistClient = 2,
    /// Rate limits.
    Rate = 3,
    /// Logins that failed.
    FailedLogin = 4,
    /// The reputation of those who send to us.
    Reputation = 5,
    /// Grants of POP before SMTP.
    PopBeforeSmtp = 6,
    /// What others say of our own addresses.
    Outbound = 7,
    /// Whom our users have written to.
    Correspondent = 8,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::GreylistMessage,
        Self::GreylistClient,
        Self::Rate,
        Self::FailedLogin,
        Self::Reputation,
        Self::PopBeforeSmtp,
        Self::Outbound,
        Self::Correspondent,
    ];

    /// Its number, for stores outside of this crate; it never changes.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// What the rule of a measure asks to be saved under a key: for stores that answer asynchronously.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The numbers.
    pub value: Value,
    /// After this time they are worth nothing.
    pub expires: u64,
}

/// Under what something is remembered: the measure, and a hash of what it is about (17 octets, whatever the length of an address).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    hash: [u8; 16],
}

impl Key {
    /// Whose entry it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The hash; together with the [`Kind`] it names the entry.
    pub const fn hash(&self) -> &[u8; 16] {
        &self.hash
    }

    /// Uniform in its bits, as the hash is keyed.
    fn index(&self) -> u64 {
        self.hash
            .first_chunk()
            .map_or(0, |bits| u64::from_le_bytes(*bits))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:032x}", self.kind, u128::from_be_bytes(self.hash))
    }
}

/// Makes keys: a hash (SipHash-2-4 of 128 bits) under a secret, so that nobody outside can choose what shares a place in a table.
///
/// Servers that share a store share the secret, and it must outlive them as the store does: with another secret, all that is stored is
/// forgotten.
#[derive(Clone, Copy)]
pub struct Keys {
    secret: [u8; 16],
}

impl Keys {
    /// Takes the secret: 16 random octets.
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// The key of what these parts name together. Parts are kept apart: `["ab", "c"]` is another key than `["a", "bc"]`.
    pub fn key(&self, kind: Kind, parts: &[&[u8]]) -> Key {
        let hash = finish(&self.hasher(kind, parts));
        Key { kind, hash }
    }

    /// Keys that are asked for together, as they have these parts in common: they lie side by side in a [`MemoryStore`], where most of a
    /// look-up is waiting for memory. Whoever chooses the rest must not be somebody outside, as all of them share a place.
    pub(crate) fn beginning(&self, kind: Kind, parts: &[&[u8]]) -> Beginning {
        let hasher = self.hasher(kind, parts);
        Beginning {
            kind,
            place: finish(&hasher),
            hasher,
        }
    }

    fn hasher(&self, kind: Kind, parts: &[&[u8]]) -> SipHasher24 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write_u8(kind.number());
        parts.iter().for_each(|part| add(&mut hasher, part));
        hasher
    }
}

fn add(hasher: &mut SipHasher24, part: &[u8]) {
    hasher.write_u64(part.len() as u64);
    hasher.write(part);
}

fn finish(hasher: &SipHasher24) -> [u8; 16] {
    hasher.finish128().as_u128().to_le_bytes()
}

/// The first parts of keys.
pub(crate) struct Beginning {
    kind: Kind,
    place: [u8; 16],
    hasher: SipHasher24,
}

impl Beginning {
    /// The key of these parts and one more.
    pub(crate) fn key(&self, last: &[u8]) -> Key {
        let mut whole = self.hasher;
        add(&mut whole, last);
        let mut hash = finish(&whole);
        // The table finds a place by the low bits of the first 64, and tells the keys there apart by the highest 7.
        hash[..7].copy_from_slice(&self.place[..7]);
        let kind = self.kind;
        Key { kind, hash }
    }
}

/// Redacted.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// A table of entries with an end. All border servers of a domain should share one (RFC 6647 §5 point 4).
///
/// Times are seconds since 1970, as they were handed in. A measure that decides by an entry has its rules as functions of the [`Value`]
/// too, for a store that answers asynchronously.
pub trait Store {
    /// What can go wrong.
    type Error;

    /// The entry under a key; none if it was never saved, was forgotten, or its time is over.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn load(&mut self, key: &Key, now: u64) -> Result<Option<Value>, Self::Error>;

    /// Puts an entry under a key, in place of what was there. It is worth nothing after `expires`.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn save(&mut self, key: Key, value: Value, expires: u64) -> Result<(), Self::Error>;
}

/// A store in memory, for one server and tests; what was saved longest ago is forgotten first.
///
/// Each [`Kind`] has room of its own: a flood of messages never makes it forget a client that has passed. An entry takes 64 octets and
/// about 10 more of index, whatever it is about: a million take less than 128 MiB, while the table grows too.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    tables: [Table; Kind::ALL.len()],
}

impl MemoryStore {
    /// A store of at most this many entries of each [`Kind`]; at least one, and at most 2³² - 1. Memory is taken as it fills.
    pub fn new(capacity: usize) -> Self {
        Self {
            tables: core::array::from_fn(|_| Table::new(capacity)),
        }
    }

    /// Gives one kind another capacity; what is too much of it is forgotten.
    #[must_use]
    pub fn with_capacity_of(mut self, kind: Kind, capacity: usize) -> Self {
        let old = core::mem::replace(self.table(kind), Table::new(capacity));
        for slot in old.oldest_first() {
            self.table(kind).save(slot.key, slot.value, slot.expires);
        }
        self
    }

    /// How many entries there are, those whose time is over included.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.slots.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries with the ends of their times, to be saved over a restart; what was saved longest ago comes first in each kind.
    pub fn entries(&self) -> impl Iterator<Item = (Key, Value, u64)> + '_ {
        let slots = self.tables.iter().flat_map(Table::oldest_first);
        slots.map(|slot| (slot.key, slot.value, slot.expires))
    }

    fn table(&mut self, kind: Kind) -> &mut Table {
        // `Kind::ALL` counts its kinds from 1, without a gap.
        &mut self.tables[usize::from(kind.number()) - 1]
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn load(&mut self, key: &Key, now: u64) -> Result<Option<Value>, Infallible> {
        Ok(self.table(key.kind).load(key, now))
    }

    fn save(&mut self, key: Key, value: Value, expires: u64) -> Result<(), Infallible> {
        self.table(key.kind).save(key, value, expires);
        Ok(())
    }
}

/// Entries in slots, found by an index of their keys, and in a ring by the time when they were saved.
#[derive(Clone, Debug)]
struct Table {
    capacity: u32,
    slots: Vec<Slot>,
    index: HashTable<u32>,
    /// The slot that was saved longest ago; the one before it in the ring was saved last. Means nothing while there is no slot.
    oldest: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    /// The neighbours in the ring.
    older: u32,
    newer: u32,
    value: Value,
    expires: u64,
}

impl Table {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX).max(1),
            slots: Vec::new(),
            index: HashTable::new(),
            oldest: 0,
        }
    }

    fn load(&self, key: &Key, now: u64) -> Option<Value> {
        let at = self.find(key)?;
        let slot = self.slots.get(at as usize)?;
        (now <= slot.expires).then_some(slot.value)
    }

    fn find(&self, key: &Key) -> Option<u32> {
        let same = |at: &u32| {
            self.slots
                .get(*at as usize)
                .is_some_and(|slot| slot.key == *key)
        };
        self.index.find(key.index(), same).copied()
    }

    fn save(&mut self, key: Key, value: Value, expires: u64) {
        let at = match self.find(&key) {
            Some(at) => {
                self.unlink(at);
                at
            }
            None if self.slots.len() < self.capacity as usize => self.add(key),
            None => self.reuse(key),
        };
        let slot = &mut self.slots[at as usize];
        (slot.value, slot.expires) = (value, expires);
        self.link_newest(at);
    }

    /// A new slot, not in the ring yet.
    fn add(&mut self, key: Key) -> u32 {
        // Below the capacity, which is an u32.
        let at = self.slots.len() as u32;
        self.slots.push(Slot {
            key,
            older: at,
            newer: at,
            value: [0; 3],
            expires: 0,
        });
        let slots = &self.slots;
        let hash = |at: &u32| slots.get(*at as usize).map_or(0, |slot| slot.key.index());
        self.index.insert_unique(key.index(), at, hash);
        at
    }

    /// The oldest slot, taken out of the ring and given to another key.
    fn reuse(&mut self, key: Key) -> u32 {
        let at = self.oldest;
        self.unlink(at);
        let old = self.slots[at as usize].key;
        if let Ok(entry) = self.index.find_entry(old.index(), |other| *other == at) {
            entry.remove();
        }
        self.slots[at as usize].key = key;
        let slots = &self.slots;
        let hash = |at: &u32| slots.get(*at as usize).map_or(0, |slot| slot.key.index());
        self.index.insert_unique(key.index(), at, hash);
        at
    }

    // Slots are never removed: every index in the ring, and in the index of keys, is one of a slot.

    fn unlink(&mut self, at: u32) {
        let Slot { older, newer, .. } = self.slots[at as usize];
        self.slots[older as usize].newer = newer;
        self.slots[newer as usize].older = older;
        if self.oldest == at {
            self.oldest = newer;
        }
    }

    fn link_newest(&mut self, at: u32) {
        let newer = self.oldest;
        let older = if newer == at {
            at
        } else {
            self.slots[newer as usize].older
        };
        let slot = &mut self.slots[at as usize];
        (slot.older, slot.newer) = (older, newer);
        self.slots[older as usize].newer = at;
        self.slots[newer as usize].older = at;
    }

    fn oldest_first(&self) -> impl Iterator<Item = &Slot> {
        let mut at = self.oldest;
        (0..self.slots.len()).map(move |_| {
            let slot = &self.slots[at as usize];
            at = slot.newer;
            slot
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: Keys = Keys::new(*b"0123456789abcdef");

    fn key(kind: Kind, number: u64) -> Key {
        KEYS.key(kind, &[&number.to_be_bytes()])
    }

    #[test]
    fn keys_differ_by_kind_part_and_secret() {
        let key = |parts: &[&[u8]]| KEYS.key(Kind::Rate, parts);
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"ab"]), key(&[b"ab", b""]));
        assert_ne!(key(&[b"a"]), KEYS.key(Kind::Reputation, &[b"a"]));
        assert_ne!(key(&[b"a"]), Keys::new([0; 16]).key(Kind::Rate, &[b"a"]));
        assert!(!format!("{KEYS:?}").contains("48"));
    }

    #[test]
    fn keys_of_one_beginning_share_a_place_and_are_told_apart() {
        let beginning = |part: &[u8]| KEYS.beginning(Kind::Outbound, &[part]);
        let (one, other) = (beginning(b"one"), beginning(b"other"));
        let mut store = MemoryStore::new(10_000);
        let numbered = |beginning: &Beginning, number: u64| beginning.key(&number.to_be_bytes());
        for number in 0..1_000 {
            for (at, beginning) in [&one, &other].into_iter().enumerate() {
                let value = [number, at as u64, 0];
                let Ok(()) = store.save(numbered(beginning, number), value, 9);
            }
        }
        assert_eq!(store.len(), 2_000);
        for number in 0..1_000 {
            for (at, beginning) in [&one, &other].into_iter().enumerate() {
                let key = numbered(beginning, number);
                assert_eq!(key.hash[..7], beginning.place[..7]);
                assert_eq!(store.load(&key, 9), Ok(Some([number, at as u64, 0])));
            }
        }
        assert_ne!(one.place[..7], other.place[..7]);
    }

    #[test]
    fn kinds_are_numbered_without_a_gap() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), at + 1);
        }
    }

    #[test]
    fn a_flood_of_one_kind_forgets_nothing_of_another() {
        let mut store = MemoryStore::new(10);
        let client = key(Kind::GreylistClient, 0);
        store.save(client, [1; 3], 100).unwrap();
        for number in 0..1_000 {
            store
                .save(key(Kind::GreylistMessage, number), [0; 3], 100)
                .unwrap();
        }
        assert_eq!(store.len(), 11);
        assert_eq!(store.load(&client, 100), Ok(Some([1; 3])));
        assert_eq!(store.load(&client, 101), Ok(None));
        let store = store.with_capacity_of(Kind::GreylistMessage, 3);
        let left: Vec<_> = store.entries().map(|(key, ..)| key).collect();
        let newest = (997..1_000).map(|number| key(Kind::GreylistMessage, number));
        assert_eq!(left, newest.chain([client]).collect::<Vec<_>>());
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn forgets_what_was_saved_longest_ago(
            capacity in 1_usize..6,
            saved in prop::collection::vec((0_u64..9, any::<u64>()), 0..60),
        ) {
            let mut store = MemoryStore::new(capacity);
            let mut model: Vec<(Key, Value, u64)> = Vec::new();
            for (number, value) in saved {
                let entry = (key(Kind::Rate, number), [value, number, 0], value);
                store.save(entry.0, entry.1, entry.2).unwrap();
                model.retain(|other| other.0 != entry.0);
                model.push(entry);
                if model.len() > capacity {
                    model.remove(0);
                }
                prop_assert_eq!(store.entries().collect::<Vec<_>>(), model.clone());
                for number in 0..9 {
                    let key = key(Kind::Rate, number);
                    let held = model.iter().find(|entry| entry.0 == key).map(|entry| entry.1);
                    prop_assert_eq!(store.load(&key, 0), Ok(held));
                }
            }
        }
    }
}
