//! The middle of a body under relaxed canonicalization (RFC 6376 §3.4.4): white space reduced at the speed at which it can be hashed.
//!
//! SHA-256 takes two octets in a nanosecond where a processor helps it, so looking at one octet after the other would cost more than the
//! hash. Blocks of 64 octets are looked at instead, and what is left of them is gathered, so that the hash gets few long runs.

use crate::canonicalization::is_white_space;

const BLOCK: usize = 64;

/// Runs from this length on are handed on as they lie in the input; shorter ones are gathered.
const LONG: usize = 512;

/// Hands on `text` with its white space reduced; it begins and ends with an octet that is neither white space nor CR nor LF.
pub(crate) fn relaxed(text: &[u8], out: &mut impl FnMut(&[u8])) {
    // A small piece should not pay for the room of a large one.
    if text.len() < LONG {
        reduce(text, &mut Gathered::<{ LONG + BLOCK }>::new(), out);
    } else {
        reduce(text, &mut Gathered::<4096>::new(), out);
    }
}

fn reduce<const ROOM: usize>(
    text: &[u8],
    gathered: &mut Gathered<ROOM>,
    out: &mut impl FnMut(&[u8]),
) {
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let mut stops = match (text.get(at..), text.get(at + 1..)) {
            (Some(block), Some(next)) => match (block.first_chunk(), next.first_chunk()) {
                (Some(block), Some(next)) => stops(block, next),
                _ => last_stops(block),
            },
            _ => 0,
        };
        while stops != 0 {
            let stop = at + stops.trailing_zeros() as usize;
            stops &= stops - 1;
            gathered.push(text, start, stop, out);
            start = stop + 1;
            if !is_dropped(text.get(start..).unwrap_or_default()) {
                gathered.push_space(out);
            }
        }
        at += BLOCK;
    }
    gathered.push(text, start, text.len(), out);
    gathered.flush(out);
}

/// Whether white space before these octets goes away.
fn is_dropped(behind: &[u8]) -> bool {
    match behind {
        // RFC 6376 §3.4.4: "Reduce all sequences of WSP within a line to a single SP character."
        [octet, ..] if is_white_space(*octet) => true,
        // RFC 6376 §3.4.4: "Ignore all whitespace at the end of lines."
        [b'\r', b'\n', ..] => true,
        _ => false,
    }
}

/// Bits of the octets that may not stay as they are: tabs, and spaces before a space, a tab, a CR or another control character.
fn stops(block: &[u8; BLOCK], next: &[u8; BLOCK]) -> u64 {
    let mut stops = [0; BLOCK];
    // Without branches, so that the compiler makes vectors of it.
    for (stop, (octet, next)) in stops.iter_mut().zip(block.iter().zip(next)) {
        *stop = u8::from(is_stop(*octet, *next));
    }
    let (words, _) = stops.as_chunks();
    (words.iter().enumerate()).fold(0, |bits, (at, word)| {
        // The lowest bits of eight octets, moved side by side into the highest octet.
        let word = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080);
        bits | (word >> 56) << (at * 8)
    })
}

const fn is_stop(octet: u8, next: u8) -> bool {
    (octet == b'\t') | ((octet == b' ') & (next <= b' '))
}

/// As `stops`, for the octets at the end of the text, up to 64; the last of all is no white space.
fn last_stops(octets: &[u8]) -> u64 {
    (octets.windows(2).enumerate()).fold(0, |bits, (at, pair)| match pair {
        [octet, next] if at < BLOCK => bits | u64::from(is_stop(*octet, *next)) << at,
        _ => bits,
    })
}

/// Short runs, side by side until there are enough to hash.
struct Gathered<const ROOM: usize> {
    octets: [u8; ROOM],
    length: usize,
}

impl<const ROOM: usize> Gathered<ROOM> {
    const fn new() -> Self {
        Self {
            octets: [0; ROOM],
            length: 0,
        }
    }

    /// Adds `text[start..end]`.
    #[inline]
    fn push(&mut self, text: &[u8], start: usize, end: usize, out: &mut impl FnMut(&[u8])) {
        if end - start >= LONG {
            self.flush(out);
            return out(text.get(start..end).unwrap_or_default());
        }
        if self.length + LONG + BLOCK > ROOM {
            self.flush(out);
        }
        // Whole blocks, of which the next run overwrites what is too much: their length is known to the compiler.
        let mut at = start;
        while at < end {
            let from = text.get(at..).unwrap_or_default();
            let to = self
                .octets
                .get_mut(self.length + at - start..)
                .unwrap_or_default();
            match (from.first_chunk::<BLOCK>(), to.first_chunk_mut::<BLOCK>()) {
                (Some(from), Some(to)) => *to = *from,
                _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
            }
            at += BLOCK;
        }
        self.length += end - start;
    }

    #[inline]
    fn push_space(&mut self, out: &mut impl FnMut(&[u8])) {
        if self.length + 1 > ROOM {
            self.flush(out);
        }
        if let Some(to) = self.octets.get_mut(self.length) {
            *to = b' ';
            self.length += 1;
        }
    }

    fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        let gathered = self.octets.get(..self.length).unwrap_or_default();
        if !gathered.is_empty() {
            out(gathered);
        }
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_are_looked_at_as_octets_are(octets in prop::collection::vec(prop::sample::select(b" \t\r\n\x0c!a\xa0\xff".to_vec()), BLOCK + 1)) {
            let block = octets.first_chunk().unwrap();
            let next = octets.last_chunk().unwrap();
            let expected = last_stops(&octets);
            prop_assert_eq!(stops(block, next), expected);
        }
    }

    #[test]
    fn short_runs_are_gathered_and_long_ones_lent() {
        let short = [b"a  b".repeat(2000), b"!".to_vec()].concat();
        let mut runs = Vec::new();
        relaxed(&short, &mut |run| runs.push(run.len()));
        assert!(runs.len() < 3, "{runs:?}");
        let long = [b"x".repeat(10_000), b"  y".to_vec()].concat();
        let mut lent = Vec::new();
        relaxed(&long, &mut |run| lent.push(run.as_ptr()));
        assert_eq!(lent[0], long.as_ptr());
    }
}
