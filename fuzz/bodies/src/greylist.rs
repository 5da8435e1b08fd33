//! Greylisting under a clock that jumps.

use std::collections::{BTreeSet, HashMap, HashSet};

use screening::greylisting::{Attempt, Decision, Greylist, Known};
use screening::store::{Key, Keys, MemoryStore};

/// Attempts and jumps of the clock, four octets each, over a small store: it stays within its bound; nobody passes who was not seen the
/// delay before, by the clock, or whose retry never passed; a client that comes again when it is told to passes at once.
pub fn screening_greylist_ops(data: &[u8]) {
    const ROOM: usize = 6;
    const CLIENTS: [[u8; 4]; 4] = [
        [192, 0, 2, 1],
        [192, 0, 2, 2],
        [203, 0, 113, 1],
        [198, 51, 100, 1],
    ];
    const DOMAINS: [Option<&str>; 3] = [None, Some("example.net"), Some("esp.example")];
    let (greylist, delay) = (Greylist::new(Keys::new([1; 16])), 60);
    let mut store = MemoryStore::new(ROOM);
    let mut seen: HashMap<Key, BTreeSet<u64>> = HashMap::new();
    let (mut came_back, mut passed): (HashSet<Key>, HashSet<Key>) = Default::default();
    let mut now = 1_800_000_000_u64;
    for operation in data.chunks_exact(4).take(2_000) {
        let &[what, one, other, third] = operation else {
            continue;
        };
        match what % 8 {
            0 => now = now.saturating_add(u64::from(one)),
            1 => now = now.saturating_add(u64::from(one) << (other % 40)),
            2 => now = now.saturating_sub(u64::from(one) << (other % 40)),
            _ => {
                let choice = |list: usize, octet: u8| usize::from(octet) % list;
                let sender = format!("joe@{}.example", third % 5);
                let recipient = format!("{}@example.org", third / 5 % 3);
                let client = CLIENTS[choice(CLIENTS.len(), one)].into();
                let mut attempt = Attempt::new(client, &sender, &recipient);
                attempt.spf_pass = DOMAINS[choice(DOMAINS.len(), other)];
                attempt.dnswl = what % 16 == 15;
                let keys = greylist.keys(&attempt);
                let clients = [Some(keys.client), keys.domain];
                let retried = || clients.iter().flatten().any(|key| came_back.contains(key));
                let waits = [Some(keys.message), keys.domain_message];
                let waits = || waits.into_iter().flatten();
                let times = waits().filter_map(|key| seen.get(&key));
                let times: BTreeSet<u64> = times.flatten().copied().collect();
                let before = |time: &u64| now.checked_sub(*time).is_some_and(|age| age >= delay);
                let Ok(decision) = greylist.check(&mut store, &attempt, now);
                match decision {
                    Decision::Pass(Known::Dnswl) => assert!(attempt.dnswl),
                    Decision::Pass(Known::Client | Known::Domain) => assert!(retried()),
                    Decision::Pass(Known::Retry) => {
                        assert!(times.iter().any(before), "{times:?} {now}");
                        came_back.extend(clients.iter().flatten());
                        passed.extend(keys.domain_message.or(Some(keys.message)));
                    }
                    Decision::Pass(_) => {
                        assert!(waits().any(|key| passed.contains(&key)));
                        passed.extend(keys.domain_message);
                    }
                    Decision::Delay { retry_after, .. } => {
                        // What waits under both keys has waited since it was seen under either.
                        let all: BTreeSet<u64> = times.iter().copied().chain([now]).collect();
                        for key in waits() {
                            seen.insert(key, all.clone());
                        }
                        let retry_after = retry_after.as_secs();
                        assert!((1..=delay).contains(&retry_after), "{retry_after} s");
                        // In a world where it does as it is told.
                        if let Some(then) = now.checked_add(retry_after) {
                            let then = greylist.check(&mut store.clone(), &attempt, then);
                            assert_eq!(then, Ok(Decision::Pass(Known::Retry)));
                        }
                    }
                }
            }
        }
        assert!(store.len() <= 2 * ROOM, "{} entries", store.len());
    }
}
