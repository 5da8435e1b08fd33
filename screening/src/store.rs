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
use std::collections::BTreeMap;

use hashbrown::HashTable;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What a measure remembers of something: its own three numbers.
pub type Value = [u64; 3];

/// Which measure an entry belongs to. Each has room of its own in a [`MemoryStore`]; where strangers choose the name that an entry is
/// about, it is of another kind than what is about their addresses, so that names push out nothing else.
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
    /// Failed logins of an address or a network, and their bans.
    FailedLogin = 4,
    /// The reputation of the addresses, networks and autonomous systems that send to us.
    Reputation = 5,
    /// Grants of POP before SMTP.
    PopBeforeSmtp = 6,
    /// What others say of our own addresses.
    Outbound = 7,
    /// Whom our users have written to.
    Correspondent = 8,
    /// The reputation of the names that senders go by: HELO, SPF and DKIM.
    ReputationName = 9,
    /// Failed logins by login name, and the logins that are known at an address.
    FailedLoginName = 10,
    /// Addresses that get no mail of ours.
    Suppression = 11,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::GreylistMessage,
        Self::GreylistClient,
        Self::Rate,
        Self::FailedLogin,
        Self::Reputation,
        Self::PopBeforeSmtp,
        Self::Outbound,
        Self::Correspondent,
        Self::ReputationName,
        Self::FailedLoginName,
        Self::Suppression,
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
    /// The key that a store has kept as [`Kind::number`] and [`Key::hash`]; none if there is no such kind.
    pub fn stored(kind: u8, hash: [u8; 16]) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|it| it.number() == kind)?;
        Some(Self { kind, hash })
    }

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

/// A store in memory, for one server and tests. When it is full, what ends soonest is forgotten first, to the hour; of the same hour
/// what was saved longest ago.
///
/// So what has ended goes before anything else, a message that was not tried again before one that has passed, and somebody who mistyped
/// a password before somebody who is banned: a ban goes only when there are more bans than room. Each [`Kind`] has room of its own: a flood
/// of messages never makes it forget a client that has passed.
///
/// An entry takes 64 octets and about 10 more of index, whatever it is about: a million take less than 128 MiB, while the table grows
/// too.
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
        for slot in old.soonest_first() {
            self.table(kind).save(slot.key, slot.value, slot.expires);
        }
        self
    }

    /// As [`Store::save`]; gives what had to be forgotten for it.
    pub fn insert(&mut self, key: Key, entry: Entry) -> Option<Key> {
        self.table(key.kind).save(key, entry.value, entry.expires)
    }

    /// What is held under a key, whether or not its time is over.
    pub fn entry(&self, key: &Key) -> Option<Entry> {
        let table = &self.tables[usize::from(key.kind.number()) - 1];
        let slot = table.slots.get(table.find(key)? as usize)?;
        let (value, expires) = (slot.value, slot.expires);
        Some(Entry { value, expires })
    }

    /// How many entries there are, those whose time is over included.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.slots.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries with the ends of their times, to be saved over a restart; what would be forgotten first comes first in each kind.
    pub fn entries(&self) -> impl Iterator<Item = (Key, Value, u64)> + '_ {
        let slots = self.tables.iter().flat_map(Table::soonest_first);
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

/// Entries in slots, found by an index of their keys, and in rings: one for each hour in which any of them end.
#[derive(Clone, Debug)]
struct Table {
    capacity: u32,
    slots: Vec<Slot>,
    index: HashTable<u32>,
    /// For an hour the slot that was saved longest ago; the one before it in the ring was saved last.
    rings: BTreeMap<u64, u32>,
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

impl Slot {
    /// In which ring it is.
    const fn hour(&self) -> u64 {
        self.expires / 3_600
    }
}

impl Table {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX).max(1),
            slots: Vec::new(),
            index: HashTable::new(),
            rings: BTreeMap::new(),
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

    /// Gives what was forgotten for it.
    fn save(&mut self, key: Key, value: Value, expires: u64) -> Option<Key> {
        let mut forgotten = None;
        let at = match self.find(&key) {
            Some(at) => {
                self.unlink(at);
                at
            }
            None if self.slots.len() < self.capacity as usize => self.add(key),
            None => {
                let soonest = self.rings.first_key_value();
                // A capacity is at least one, and each slot is in a ring.
                let at = soonest.map_or(0, |(_, at)| *at);
                forgotten = Some(self.slots[at as usize].key);
                self.reuse(at, key);
                at
            }
        };
        let slot = &mut self.slots[at as usize];
        (slot.value, slot.expires) = (value, expires);
        self.link_newest(at);
        forgotten
    }

    /// A new slot, not in a ring yet.
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

    /// Takes a slot out of its ring and gives it to another key.
    fn reuse(&mut self, at: u32, key: Key) {
        self.unlink(at);
        let old = self.slots[at as usize].key;
        if let Ok(entry) = self.index.find_entry(old.index(), |other| *other == at) {
            entry.remove();
        }
        self.slots[at as usize].key = key;
        let slots = &self.slots;
        let hash = |at: &u32| slots.get(*at as usize).map_or(0, |slot| slot.key.index());
        self.index.insert_unique(key.index(), at, hash);
    }

    // Slots are never removed: every index in a ring, and in the index of keys, is one of a slot.

    fn unlink(&mut self, at: u32) {
        let slot = self.slots[at as usize];
        let Slot { older, newer, .. } = slot;
        self.slots[older as usize].newer = newer;
        self.slots[newer as usize].older = older;
        if newer == at {
            self.rings.remove(&slot.hour());
        } else if let Some(oldest) = self.rings.get_mut(&slot.hour())
            && *oldest == at
        {
            *oldest = newer;
        }
    }

    fn link_newest(&mut self, at: u32) {
        let hour = self.slots[at as usize].hour();
        let newer = *self.rings.entry(hour).or_insert(at);
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

    fn soonest_first(&self) -> impl Iterator<Item = &Slot> {
        self.rings.values().flat_map(move |oldest| {
            let mut at = Some(*oldest);
            core::iter::from_fn(move || {
                let slot = &self.slots[at? as usize];
                at = Some(slot.newer).filter(|newer| newer != oldest);
                Some(slot)
            })
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
        assert_eq!(Key::stored(2, *client.hash()), Some(client));
        assert_eq!(Key::stored(0, *client.hash()), None);
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

    #[test]
    fn names_that_strangers_choose_push_out_no_address_and_failures_no_ban() {
        use crate::failed_login::{Decision, FailedLogin};
        use crate::reputation::{Client, Outcome, Reputation};

        let mut store = MemoryStore::new(100);
        let now = 1_800_000_000;
        let reputation = Reputation::new(KEYS);
        let known = Client::new([192, 0, 2, 1].into());
        for _ in 0..40 {
            let recorded = reputation.record(&mut store, &known, Outcome::Spam, now);
            recorded.unwrap();
        }
        let before = reputation.score(&mut store, &known, now).unwrap();
        for number in 0..1_000 {
            let names = [0, 1, 2].map(|it| format!("{it}.{number}.example"));
            let [helo, spf, dkim] = names.each_ref().map(String::as_str);
            let mut stranger = Client::new([203, 0, 113, 1].into());
            (stranger.helo, stranger.spf_domain) = (Some(helo), Some(spf));
            let dkim = [dkim];
            stranger.dkim_domains = &dkim;
            let recorded = reputation.record(&mut store, &stranger, Outcome::Spam, now + 1);
            recorded.unwrap();
        }
        assert_eq!(reputation.score(&mut store, &known, now), Ok(before));

        let failed_login = FailedLogin::new(KEYS);
        let banned = [198, 51, 100, 1].into();
        for _ in 0..50 {
            failed_login.failed(&mut store, banned, "ann", now).unwrap();
        }
        for number in 0..1_000_u32 {
            let client = std::net::Ipv4Addr::from(0x0a00_0000 + (number << 8)).into();
            let login = number.to_string();
            failed_login
                .failed(&mut store, client, &login, now + 1)
                .unwrap();
        }
        let decision = failed_login.check(&mut store, banned, "ann", now + 2);
        assert!(matches!(decision, Ok(Decision::Banned { .. })));
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn forgets_what_ends_soonest(
            capacity in 1_usize..6,
            saved in prop::collection::vec((0_u64..9, 0_u64..20_000), 0..60),
        ) {
            let mut store = MemoryStore::new(capacity);
            let mut model: Vec<(Key, Value, u64)> = Vec::new();
            for (number, value) in saved {
                let entry = (key(Kind::Rate, number), [value, number, 0], value);
                store.save(entry.0, entry.1, entry.2).unwrap();
                model.retain(|other| other.0 != entry.0);
                if model.len() == capacity {
                    model.remove(0);
                }
                model.push(entry);
                // What was saved longest ago stays in front.
                model.sort_by_key(|entry| entry.2 / 3_600);
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
