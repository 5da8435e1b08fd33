//! The messages of the selected mailbox as this client counts them.

use crate::{SequenceSet, UidSet};

/// Which UID each message sequence number stands for: runs of UIDs, twelve octets for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct View {
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    last: u32,
    /// How many messages stand before this run.
    before: u32,
}

impl View {
    pub(crate) fn new(uids: &UidSet) -> Self {
        let mut view = Self::default();
        view.rebuild(uids.ranges().iter().copied());
        view
    }

    fn rebuild(&mut self, ranges: impl Iterator<Item = (u32, u32)>) {
        let mut before = 0u32;
        self.runs = ranges
            .map(|(first, last)| {
                let run = Run {
                    first,
                    last,
                    before,
                };
                before = before.saturating_add((last - first).saturating_add(1));
                run
            })
            .collect();
    }

    pub(crate) fn uids(&self) -> UidSet {
        self.runs.iter().map(|run| (run.first, run.last)).collect()
    }

    pub(crate) fn count(&self) -> u32 {
        self.runs.last().map_or(0, |run| {
            run.before
                .saturating_add((run.last - run.first).saturating_add(1))
        })
    }

    pub(crate) fn last_uid(&self) -> Option<u32> {
        self.runs.last().map(|run| run.last)
    }

    pub(crate) fn sequence_of(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.last < uid);
        let run = self.runs.get(at).filter(|run| run.first <= uid)?;
        Some(run.before + (uid - run.first) + 1)
    }

    /// The UIDs of the messages whose sequence numbers are in `numbers`.
    fn uids_of(&self, numbers: &UidSet) -> UidSet {
        let mut out = Vec::new();
        let mut runs = self.runs.iter().peekable();
        for (from, to) in numbers.ranges() {
            while let Some(run) = runs.peek() {
                let (low, high) = (run.before + 1, run.before + (run.last - run.first) + 1);
                if high < *from {
                    runs.next();
                    continue;
                }
                if low > *to {
                    break;
                }
                let (a, b) = (low.max(*from), high.min(*to));
                out.push((run.first + (a - low), run.first + (b - low)));
                if high > *to {
                    break;
                }
                runs.next();
            }
        }
        out.into_iter().collect()
    }

    /// The UIDs that a set of a command names; `None` where it names a sequence number that is not there.
    pub(crate) fn resolve(&self, set: &SequenceSet, uid: bool, saved: &UidSet) -> Option<UidSet> {
        if *set == SequenceSet::Saved {
            return Some(saved.intersection(&self.uids()));
        }
        if uid {
            let last = self.last_uid().unwrap_or(0);
            return Some(set.resolve(last).intersection(&self.uids()));
        }
        // RFC 9051 §9: "The server should respond with a tagged BAD response to a command that uses a message sequence number
        // greater than the number of messages in the selected mailbox. This includes "*" if the selected mailbox is empty."
        let count = self.count();
        if set.largest_named() > count || (count == 0 && set.names_last()) {
            return None;
        }
        Some(self.uids_of(&set.resolve(count)))
    }

    /// Adds messages; only UIDs above all others can be new.
    pub(crate) fn add(&mut self, uids: impl IntoIterator<Item = u32>) {
        let last = self.last_uid().unwrap_or(0);
        let all: UidSet = self
            .runs
            .iter()
            .map(|run| (run.first, run.last))
            .chain(
                uids.into_iter()
                    .filter(|uid| *uid > last)
                    .map(|uid| (uid, uid)),
            )
            .collect();
        self.rebuild(all.ranges().iter().copied());
    }

    /// Takes messages away and gives the numbers for EXPUNGE responses, in the order to be sent: highest first, so that none moves
    /// another.
    pub(crate) fn expunge(&mut self, gone: &UidSet) -> Vec<u32> {
        let gone = gone.intersection(&self.uids());
        let numbers: Vec<u32> = {
            let mut numbers: Vec<u32> = gone
                .iter()
                .filter_map(|uid| self.sequence_of(uid))
                .collect();
            numbers.reverse();
            numbers
        };
        let mut left = Vec::new();
        let mut cuts = gone.ranges().iter().peekable();
        for run in core::mem::take(&mut self.runs) {
            let mut from = Some(run.first);
            while let (Some(start), Some(&&(a, b))) = (from, cuts.peek()) {
                if a > run.last {
                    break;
                }
                if a > start {
                    left.push((start, a - 1));
                }
                from = if b >= run.last { None } else { Some(b + 1) };
                if b <= run.last {
                    cuts.next();
                } else {
                    break;
                }
            }
            if let Some(start) = from.filter(|start| *start <= run.last) {
                left.push((start, run.last));
            }
        }
        self.rebuild(left.into_iter());
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_list_of_uids(uids in prop::collection::btree_set(1u32..60, 0..30), gone in prop::collection::btree_set(1u32..60, 0..20)) {
            let mut view = View::new(&uids.iter().copied().collect());
            let mut list: Vec<u32> = uids.into_iter().collect();
            prop_assert_eq!(view.count() as usize, list.len());
            for number in 1..=list.len() {
                let set: SequenceSet = number.to_string().parse().unwrap();
                let uids: Vec<u32> = view.resolve(&set, false, &UidSet::default()).unwrap().iter().collect();
                prop_assert_eq!(&uids, &list[number - 1..number]);
            }
            for number in view.expunge(&gone.iter().copied().collect()) {
                let uid = list.remove(number as usize - 1);
                prop_assert!(gone.contains(&uid));
            }
            prop_assert!(!list.iter().any(|uid| gone.contains(uid)));
            prop_assert_eq!(view.uids().iter().collect::<Vec<_>>(), list);
        }
    }
}
