//! When names are equal, and which comes first.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{MAX_LABELS, Name};

// RFC 1035 §2.3.3 and RFC 4343 §3: only the letters of ASCII compare without case. The lengths between the labels are at most 63 and so
// never letters: the wire form can be compared as one piece.
impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length && self.has_labels_of(other)
    }
}

impl Name {
    fn has_labels_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.wire, &other.wire) && self.start == other.start
            // Seldom do two names differ in case alone, and this is much faster.
            || self.wire() == other.wire()
            || self.wire().eq_ignore_ascii_case(other.wire())
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash_with(0xff, state);
    }
}

impl Name {
    /// Hashes the name and one octet behind it, which is no length of a label, so that names in a sequence do not run into each other.
    pub(crate) fn hash_with<H: Hasher>(&self, last: u8, state: &mut H) {
        // In pieces: a hasher takes a piece much faster than its octets one by one. Most names with what is behind them are one piece. It is
        // written by eights, as a hasher reads it: a processor waits where it reads at once what was not written at once.
        let mut rest = self.wire();
        loop {
            let mut lower = [last; 64];
            let (piece, behind) = rest.split_at(rest.len().min(63));
            let (eights, few) = piece.as_chunks::<8>();
            let (lower_eights, _) = lower.as_chunks_mut::<8>();
            for (lower, eight) in lower_eights.iter_mut().zip(eights) {
                *lower = *eight;
                lower.make_ascii_lowercase();
            }
            for (lower, octet) in lower[piece.len() - few.len()..].iter_mut().zip(few) {
                *lower = octet.to_ascii_lowercase();
            }
            if behind.is_empty() {
                state.write(&lower[..=piece.len()]);
                return;
            }
            state.write(&lower[..piece.len()]);
            rest = behind;
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // RFC 4034 §6.1: "sort names as if each label were a left justified octet string […] by sorting the names according to their
        // most significant (rightmost) labels", in lower case.
        if self == other {
            return Ordering::Equal;
        }
        let (mine, others) = (Positions::of(self.wire()), Positions::of(other.wire()));
        for (mine, others) in mine.rightmost_first().zip(others.rightmost_first()) {
            let order = mine
                .iter()
                .map(u8::to_ascii_lowercase)
                .cmp(others.iter().map(u8::to_ascii_lowercase));
            if order.is_ne() {
                return order;
            }
        }
        mine.count.cmp(&others.count)
    }
}

/// Where the labels of a wire form begin.
struct Positions<'a> {
    wire: &'a [u8],
    starts: [u8; MAX_LABELS],
    count: usize,
}

impl<'a> Positions<'a> {
    fn of(wire: &'a [u8]) -> Self {
        let mut positions = Self {
            wire,
            starts: [0; MAX_LABELS],
            count: 0,
        };
        let mut at = 0;
        while let (Some(length), Some(start)) =
            (wire.get(at), positions.starts.get_mut(positions.count))
        {
            // A wire form has at most 254 octets.
            *start = at as u8;
            positions.count += 1;
            at += 1 + usize::from(*length);
        }
        positions
    }

    fn rightmost_first(&self) -> impl Iterator<Item = &'a [u8]> {
        let starts = self.starts.get(..self.count).unwrap_or_default();
        starts.iter().rev().map(|&start| {
            let label = self.wire.get(usize::from(start)..).unwrap_or_default();
            let (length, rest) = label.split_first().unwrap_or((&0, &[]));
            rest.get(..usize::from(*length)).unwrap_or_default()
        })
    }
}
