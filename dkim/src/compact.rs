//! A canonical body on its way to its hash: white space reduced (RFC 6376 §3.4.4) at a fraction of what the hash costs.
//!
//! SHA-256 takes two octets in a nanosecond where a processor helps it, so looking at one octet after the other would cost more than
//! the hash. So:
//!
//! - Blocks of 64 octets are looked at together, which gives a word with a bit for each octet that may have to go. Most have none to
//!   two.
//! - A block is copied whole; behind white space that goes, what follows is copied once more, further to the front. Each copy is of
//!   64 octets, which are four moves, whatever of it the next overwrites.
//! - The hash gets 128 octets at a time. In a hash each instruction waits for the one before, so a processor looks at the next blocks
//!   while it ends the hash of the last, as far as it can hold their instructions: of two blocks of prose it can. What is left of all
//!   this is the calls, 7 % of the hash; three blocks at a time would call less often, and wait where much has to go.
//! - The block that was copied last is not handed on yet: where two copies meet, a processor that reads too soon waits for both.
//! - All that the hash gets, but for the last, is whole blocks of its own, so that it does not gather them once more.
//! - What has no white space for a thousand octets, as base64, is hashed where it lies.

use core::fmt;

use crate::white_space::{self, is_white_space};

/// What is looked at at once, and what SHA-256 takes at once.
const BLOCK: usize = 64;

/// What is handed on at once.
const PIECE: usize = 2 * BLOCK;

/// What stays behind when a piece is handed on.
const LAG: usize = BLOCK;

/// How many pieces are handed on before what is behind them moves to the front.
const PIECES: usize = 4;

/// From this length on a run is handed on where it lies.
const LONG: usize = 1024;

/// After how many blocks with white space a run without is looked for again.
const STRETCH: usize = 64;

/// Octets that were copied and are not handed on yet.
#[derive(Clone)]
pub(crate) struct Compact {
    /// There is always room for two blocks more.
    octets: [u8; PIECES * PIECE + LAG + 2 * BLOCK],
    /// How many of them were handed on: less than [`PIECES`].
    handed_on: usize,
    /// Where they end. Between calls less than a piece and [`LAG`] behind what was handed on.
    end: usize,
}

impl Compact {
    pub(crate) const fn new() -> Self {
        Self {
            octets: [0; PIECES * PIECE + LAG + 2 * BLOCK],
            handed_on: 0,
            end: 0,
        }
    }

    /// Takes octets that stay as they are.
    pub(crate) fn verbatim(&mut self, mut run: &[u8], out: &mut impl FnMut(&[u8])) {
        if run.len() >= LONG {
            let missing = self.end.next_multiple_of(BLOCK) - self.end;
            let (head, behind) = run.split_at(missing);
            self.append(head, out);
            self.hand_on(out);
            let (blocks, end) = behind.split_at(behind.len() - behind.len() % BLOCK);
            out(blocks);
            run = end;
        }
        for part in run.chunks(BLOCK) {
            self.append(part, out);
        }
    }

    /// Takes text with white space to reduce. It ends with an octet that is neither white space nor CR, so nothing hangs on what follows.
    pub(crate) fn reduced(&mut self, mut text: &[u8], out: &mut impl FnMut(&[u8])) {
        while text.len() >= 2 * BLOCK {
            let stays = memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len());
            let taken = if stays >= LONG {
                self.verbatim(text.get(..stays).unwrap_or_default(), out);
                stays
            } else {
                // A block more, to look ahead into.
                let some = text.get(..(STRETCH + 1) * BLOCK).unwrap_or(text);
                self.blocks(some, out)
            };
            text = text.get(taken..).unwrap_or_default();
        }
        self.rest(text, out);
    }

    /// Takes as many blocks as have another behind them; how many octets these are.
    #[inline(never)] // So that it has all registers for itself.
    fn blocks(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) -> usize {
        let mut rest = text;
        while let Some(ahead) = rest.first_chunk()
            && let Some(room) = self.octets.get_mut(self.end..)
            && let Some(room) = room.first_chunk_mut()
        {
            self.end += BLOCK - reduce(ahead, room);
            self.hand_on_piece(out);
            rest = rest.get(BLOCK..).unwrap_or_default();
        }
        text.len() - rest.len()
    }

    /// Takes the last octets, less than two blocks: as if zeros followed, which are text as well as any.
    fn rest(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) {
        for at in [0, BLOCK] {
            let rest = text.get(at..).unwrap_or_default();
            let (mut ahead, mut reduced) = ([0; 2 * BLOCK], [0; 2 * BLOCK]);
            if let Some(ahead) = ahead.get_mut(..rest.len()) {
                ahead.copy_from_slice(rest);
            }
            let length = rest.len().min(BLOCK) - reduce(&ahead, &mut reduced);
            self.append(reduced.get(..length).unwrap_or_default(), out);
        }
    }

    /// Hands on all that there is.
    pub(crate) fn hand_on(&mut self, out: &mut impl FnMut(&[u8])) {
        if self.end > self.handed_on {
            out(self
                .octets
                .get(self.handed_on..self.end)
                .unwrap_or_default());
        }
        (self.handed_on, self.end) = (0, 0);
    }

    /// Adds at most a block.
    fn append(&mut self, part: &[u8], out: &mut impl FnMut(&[u8])) {
        let end = self.end + part.len();
        if let Some(room) = self.octets.get_mut(self.end..end) {
            room.copy_from_slice(part);
        }
        self.end = end;
        self.hand_on_piece(out);
    }

    /// Hands on a piece if there is one and more than [`LAG`] behind it; at most a block was added.
    #[inline(always)]
    fn hand_on_piece(&mut self, out: &mut impl FnMut(&[u8])) {
        if self.end - self.handed_on < PIECE + LAG {
            return;
        }
        if let Some(piece) = self.octets.get(self.handed_on..self.handed_on + PIECE) {
            out(piece);
        }
        self.handed_on += PIECE;
        if self.handed_on == PIECES * PIECE {
            self.octets
                .copy_within(self.handed_on..self.handed_on + LAG + BLOCK, 0);
            self.end -= self.handed_on;
            self.handed_on = 0;
        }
    }
}

impl fmt::Debug for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a message says does not belong into a log.
        f.debug_struct("Compact")
            .field("handed_on", &self.handed_on)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Copies the first block and reduces its white space; how many octets went. What is behind the others is of no meaning.
#[inline(always)] // In one piece with its loop, which keeps its constants in registers.
fn reduce(ahead: &[u8; 2 * BLOCK], room: &mut [u8; 2 * BLOCK]) -> usize {
    let mut stops = stops(ahead);
    copy_block(ahead, 0, room, 0);
    let mut removed = 0;
    while stops != 0 {
        let at = stops.trailing_zeros() as usize % BLOCK;
        stops &= stops - 1;
        removed = reduce_at(ahead, at, room, removed);
    }
    removed
}

/// Looks at one octet that may have to go or to become a space, and if so copies what is behind it; how many octets went up to here.
#[inline(always)]
fn reduce_at(
    ahead: &[u8; 2 * BLOCK],
    at: usize,
    room: &mut [u8; 2 * BLOCK],
    mut removed: usize,
) -> usize {
    if !ahead.get(at).is_some_and(|octet| is_white_space(*octet)) {
        return removed;
    }
    if goes_away(ahead.get(at + 1..).unwrap_or_default()) {
        removed += 1;
    } else if let Some(room) = room.get_mut(at.wrapping_sub(removed)) {
        *room = b' ';
    }
    copy_block(ahead, at + 1, room, (at + 1).wrapping_sub(removed));
    removed
}

/// Copies 64 octets, whose number the compiler knows.
#[inline(always)]
fn copy_block(ahead: &[u8; 2 * BLOCK], from: usize, room: &mut [u8; 2 * BLOCK], to: usize) {
    let from = ahead.get(from..).and_then(<[u8]>::first_chunk::<BLOCK>);
    let to = room
        .get_mut(to..)
        .and_then(<[u8]>::first_chunk_mut::<BLOCK>);
    if let (Some(from), Some(to)) = (from, to) {
        *to = *from;
    }
}

/// Whether white space before these octets goes away.
#[inline(always)]
fn goes_away(behind: &[u8]) -> bool {
    match behind {
        // RFC 6376 §3.4.4: "Reduce all sequences of WSP within a line to a single SP character."
        [octet, ..] if is_white_space(*octet) => true,
        // RFC 6376 §3.4.4: "Ignore all whitespace at the end of lines."
        [b'\r', b'\n', ..] => true,
        _ => false,
    }
}

/// A bit for each octet of the first block that may have to change, the lowest for the first.
#[inline(always)]
fn stops(ahead: &[u8; 2 * BLOCK]) -> u64 {
    let mut stops = 0;
    for at in [0, 16, 32, 48] {
        let some = ahead.get(at..).and_then(<[u8]>::first_chunk);
        stops |= u64::from(some.map_or(0, white_space::stops)) << at;
    }
    stops
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// White space reduced, step by step.
    fn expected(text: &str) -> String {
        let mut expected = text.replace('\t', " ");
        while expected.contains("  ") {
            expected = expected.replace("  ", " ");
        }
        expected.replace(" \r\n", "\r\n")
    }

    /// What is handed on of these texts, each of which is reduced or not.
    fn handed_on(texts: &[(bool, String)]) -> Vec<Vec<u8>> {
        let mut handed_on = Vec::new();
        let mut compact = Compact::new();
        let mut out = |run: &[u8]| handed_on.push(run.to_vec());
        for (reduced, text) in texts {
            if *reduced {
                compact.reduced(text.as_bytes(), &mut out);
            } else {
                compact.verbatim(text.as_bytes(), &mut out);
            }
            assert!(compact.end - compact.handed_on < PIECE + LAG);
        }
        compact.hand_on(&mut out);
        handed_on
    }

    fn check(texts: &[(bool, String)]) {
        let expected: String = (texts.iter())
            .map(|(reduced, text)| {
                if *reduced {
                    expected(text)
                } else {
                    text.clone()
                }
            })
            .collect();
        let mut handed_on = handed_on(texts);
        assert_eq!(String::from_utf8(handed_on.concat()).unwrap(), expected);
        handed_on.pop();
        for run in handed_on {
            assert!(!run.is_empty() && run.len() % BLOCK == 0, "{}", run.len());
        }
    }

    proptest! {
        #[test]
        fn white_space_is_reduced_at_any_length(texts in prop::collection::vec((any::<bool>(), prop::collection::vec(prop::sample::select(vec![
            "\r\n", "\r", "\n", " ", "\t", "a", "  ", " \r\n", "  \t  ", " \r\n ",
            "0123456789012345678901234567890123456789012345678901234567890123456789",
        ]), 0..200)), 1..4)) {
            let text = |parts: Vec<&str>| format!("!{}!", parts.concat());
            check(&texts.into_iter().map(|(reduced, parts)| (reduced, text(parts))).collect::<Vec<_>>());
        }

        #[test]
        fn so_are_long_runs(texts in prop::collection::vec((any::<bool>(), prop::collection::vec((prop::sample::select(vec![
            " ", "\t", "\r\n", "a", " \t", "a  ", " \r\n", "AAAABBBB\r\n",
        ]), 1..1500_usize), 1..5)), 1..4)) {
            let text = |parts: Vec<(&str, usize)>| -> String {
                let parts: String = parts.into_iter().map(|(part, count)| part.repeat(count)).collect();
                format!("!{parts}!")
            };
            check(&texts.into_iter().map(|(reduced, parts)| (reduced, text(parts))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_place_of_a_run_in_its_block() {
        for start in 0..=2 * BLOCK {
            for length in [1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK] {
                for (white, behind) in [
                    (" ", "\r\n"),
                    (" ", "b"),
                    ("\t", "\r\n"),
                    ("\t", "\rb"),
                    (" ", "\n"),
                ] {
                    let text = [
                        "a".repeat(start + 1),
                        white.repeat(length),
                        behind.into(),
                        "c".into(),
                    ];
                    check(&[(true, text.concat())]);
                }
            }
        }
    }

    #[test]
    fn what_has_no_white_space_is_not_copied() {
        // What was held back last is handed on with the rest.
        const LAST: usize = PIECE + LAG;
        let base64 = "TWFpbA==\r\n".repeat(1000);
        let text = format!("Two  words\r\n{base64}!");
        let longest = |text| handed_on(&[(true, text)]).iter().map(Vec::len).max();
        assert!(longest(text) > Some(5000));
        assert!(longest("two  words ".repeat(1000) + "!") < Some(LAST));
    }
}
