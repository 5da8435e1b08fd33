//! What is remembered is bounded: a million keys of greylisting stay under 128 MiB, also while the store grows.
#![allow(missing_docs, clippy::unwrap_used)]

use screening::greylisting::{Attempt, Decision, Greylist};
use screening::store::{Keys, MemoryStore};
use testkit::allocations::{Counting, count};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;
const KEYS: u32 = 1_000_000;

#[test]
fn a_million_keys_of_greylisting_stay_under_128_mib() {
    let greylist = Greylist::new(Keys::new([1; 16]));
    let mut store = MemoryStore::new(KEYS as usize);
    let mut attempt = |network: u32| {
        let client = std::net::Ipv4Addr::from(network << 8).into();
        let attempt = Attempt::new(client, "joe@example.net", "ann@example.org");
        let decision = greylist.check(&mut store, &attempt, 1_800_000_000);
        assert!(matches!(decision, Ok(Decision::Delay { .. })));
        store.len()
    };
    let ((), counted) = count(|| {
        for network in 1..=KEYS {
            attempt(network);
        }
    });
    // While it grows, an allocation may lie in memory twice: what it was, at most half of what it becomes, is not counted.
    let peak = counted.peak + counted.peak / 2;
    assert!(peak < 128 * MIB, "{peak} octets for a million keys");

    // A flood takes no more: what was seen longest ago is forgotten.
    let ((), counted) = count(|| {
        for network in KEYS + 1..=KEYS + 100_000 {
            assert_eq!(attempt(network), KEYS as usize);
        }
    });
    assert!(counted.peak < MIB, "{counted:?}");
}
