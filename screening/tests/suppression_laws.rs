//! What holds for the suppression list whatever happens, in whatever order.
#![allow(missing_docs)]

use proptest::prelude::*;
use screening::outbound::reply_class::Reply;
use screening::outbound::suppression::{Cause, Scope, Suppression};
use screening::store::{Keys, MemoryStore};

const START: u64 = 1_800_000_000;
const JOE: &str = "joe@example.net";
const SENDERS: [&str; 4] = ["ann@example.org", "ben@example.org", "", "x@list.example"];

#[derive(Clone, Copy, Debug)]
enum What {
    Unknown,
    Refused,
    Complained,
    Taken,
    Removed,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => Just(What::Unknown),
        1 => Just(What::Refused),
        2 => Just(What::Complained),
        1 => Just(What::Taken),
        1 => Just(What::Removed),
    ]
}

proptest! {
    /// Events of some senders, each up to two months after the one before.
    #[test]
    fn no_suppression_is_wider_or_longer_than_its_cause(
        events in prop::collection::vec((what(), 0_usize..4, 0_u64..5_000_000), 0..60)
    ) {
        let list = Suppression::new(Keys::new([5; 16]));
        let mut store = MemoryStore::new(10_000);
        let (mut now, mut complained, mut unknown) = (START, [false; 4], [false; 4]);
        for (what, at, later) in events {
            now += later;
            let sender = SENDERS[at];
            let reply = |enhanced| Reply { code: 550, enhanced: Some(enhanced), text: "no" };
            let Ok(()) = match what {
                What::Unknown => {
                    unknown[at] = true;
                    list.bounced(&mut store, sender, JOE, &reply((5, 1, 1)), now).map(drop)
                }
                What::Refused => {
                    let before = list.check(&mut store, sender, JOE, now);
                    let after = list.bounced(&mut store, sender, JOE, &reply((5, 7, 1)), now);
                    prop_assert_eq!(after, Ok(None));
                    prop_assert_eq!(list.check(&mut store, sender, JOE, now), before);
                    Ok(())
                }
                What::Complained => {
                    complained[at] = true;
                    list.complained(&mut store, sender, JOE, now).map(drop)
                }
                What::Taken => list.delivered(&mut store, sender, JOE, now),
                What::Removed => list.remove(&mut store, Some(sender), JOE, now),
            };
            for (other, sender) in SENDERS.iter().enumerate() {
                let Ok(Some(found)) = list.check(&mut store, sender, JOE, now) else {
                    continue;
                };
                let senders = unknown.iter().filter(|it| **it).count();
                let days = match (found.cause, found.scope) {
                    (Cause::Complaint, Scope::Sender) => {
                        prop_assert!(complained[other]);
                        365
                    }
                    (Cause::Unknown, Scope::Sender) => {
                        prop_assert!(unknown[other]);
                        30
                    }
                    // One alone keeps nobody else from writing.
                    (Cause::Unknown, Scope::Everybody) => {
                        prop_assert!(senders > 1);
                        30
                    }
                    found => panic!("{found:?}"),
                };
                let until = found.until.expect("it ends");
                prop_assert!(until >= now && until <= now + days * 86_400);
                // Another recipient gets his.
                prop_assert_eq!(list.check(&mut store, sender, "joe@example.com", now), Ok(None));
            }
        }
        for sender in SENDERS {
            prop_assert_eq!(list.check(&mut store, sender, JOE, now + 366 * 86_400), Ok(None));
        }
    }
}
