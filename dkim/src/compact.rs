//! The middle of a body under relaxed canonicalization (RFC 6376 §3.4.4): white space reduced at a fraction of the cost of its hash.
//!
//! SHA-256 takes two octets in a nanosecond where a processor helps it, so looking at one octet after the other would cost more than the
//! hash. Blocks of 64 octets are looked at instead, and what is left of them is gathered, so that the hash gets few long runs. Where there is nothing to reduce, nothing is copied.

use crate::canonicalization::is_white_space;

const BLOCK: usize = 64;

/// What is looked at, and gathered, at once.
const CHUNK: usize = 4096;

/// Hands on `text` with its white space reduced; it begins and ends with an octet that is neither white space nor CR nor LF.
pub(crate) fn relaxed(text: &[u8], out: &mut impl FnMut(&[u8])) {
    // A small piece should not pay for the room of a large one.
    if text.len() < 256 {
        in_room::<512>(text, out);
    } else {
        in_room::<CHUNK>(text, out);
    }
}

fn in_room<const ROOM: usize>(mut text: &[u8], out: &mut impl FnMut(&[u8])) {
    let mut room = [0; ROOM];
    while !text.is_empty() {
        // Base64, and most text, has nothing to reduce: then it is hashed where it lies.
        let length = text.len().min(CHUNK);
        let taken = if stays(text.get(..=length).unwrap_or(text)) {
            out(text.get(..length).unwrap_or_default());
            length
        } else {
            let (taken, written) = reduce(text, &mut room);
            out(room.get(..written).unwrap_or_default());
            taken
        };
        text = text.get(taken..).unwrap_or_default();
    }
}

/// Whether there is nothing to reduce; the last octet is looked at for what stands before it.
fn stays(text: &[u8]) -> bool {
    memchr::memchr(b'\t', text).is_none()
        && memchr::memmem::find(text, b"  ").is_none()
        && memchr::memmem::find(text, b" \r").is_none()
}

/// Reduces as much of the text as there is room for; how much was taken, and how much written.
fn reduce(text: &[u8], room: &mut [u8]) -> (usize, usize) {
    let (mut taken, mut written) = (0, 0);
    // Each copy is of a whole block, whose length the compiler knows; what is too much of it is overwritten by the next.
    let (mut rest, mut free) = (text, &mut *room);
    while let (Some(ahead), Some(to)) = (
        rest.first_chunk::<{ 2 * BLOCK }>(),
        free.first_chunk_mut::<{ 2 * BLOCK }>(),
    ) {
        copy_block(ahead, to, 0, 0);
        let mut stops = stops(ahead);
        let (mut from, mut length) = (0, 0);
        while stops != 0 {
            let stop = stops.trailing_zeros() as usize % BLOCK;
            stops &= stops - 1;
            length += stop - from;
            from = stop + 1;
            if !goes_away(ahead.get(from..).unwrap_or_default()) {
                if let Some(to) = to.get_mut(length) {
                    *to = b' ';
                }
                length += 1;
            }
            copy_block(ahead, to, from, length);
        }
        length += BLOCK - from;
        taken += BLOCK;
        written += length;
        rest = rest.get(BLOCK..).unwrap_or_default();
        free = free.get_mut(length..).unwrap_or_default();
    }
    if text.len() - taken >= 2 * BLOCK {
        return (taken, written);
    }
    // Less than two blocks are left; there is room for them, or there was none for a block.
    let rest = text.get(taken..).unwrap_or_default();
    let to = room.get_mut(written..).unwrap_or_default();
    if to.len() < rest.len() {
        return (taken, written);
    }
    let mut to = to.iter_mut();
    for (at, octet) in rest.iter().enumerate() {
        let octet = match octet {
            b' ' | b'\t' if goes_away(rest.get(at + 1..).unwrap_or_default()) => continue,
            b'\t' => b' ',
            octet => *octet,
        };
        if let Some(to) = to.next() {
            *to = octet;
            written += 1;
        }
    }
    (text.len(), written)
}

#[inline]
fn copy_block(ahead: &[u8; 2 * BLOCK], to: &mut [u8; 2 * BLOCK], from: usize, length: usize) {
    let from = ahead.get(from..).and_then(<[u8]>::first_chunk::<BLOCK>);
    let to = to
        .get_mut(length..)
        .and_then(<[u8]>::first_chunk_mut::<BLOCK>);
    if let (Some(from), Some(to)) = (from, to) {
        *to = *from;
    }
}

/// Whether white space before these octets goes away.
#[inline]
fn goes_away(behind: &[u8]) -> bool {
    match behind {
        // RFC 6376 §3.4.4: "Reduce all sequences of WSP within a line to a single SP character."
        [octet, ..] if is_white_space(*octet) => true,
        // RFC 6376 §3.4.4: "Ignore all whitespace at the end of lines."
        [b'\r', b'\n', ..] => true,
        _ => false,
    }
}

/// Bits of the octets of the first block that may have to change: tabs, and spaces before a space or a control character.
fn stops(ahead: &[u8; 2 * BLOCK]) -> u64 {
    const LANES: usize = 16;
    let stop = |at: usize, bit: u8| match ahead.get(at..at + 2) {
        Some([octet, next]) if is_stop(*octet, *next) => bit,
        _ => 0,
    };
    let mut lanes = [0; LANES];
    // Without branches once it is compiled, so that the compiler makes vectors of it.
    for (at, lane) in lanes.iter_mut().enumerate() {
        *lane = stop(at, 1) | stop(at + 16, 4) | stop(at + 32, 16) | stop(at + 48, 64);
    }
    let lanes = u128::from_le_bytes(lanes);
    // Bit b of octet j stands for octet 8b + j of the block.
    let stops = lanes as u64 | ((lanes >> 64) as u64 * 2);
    if stops == 0 { 0 } else { transposed(stops) }
}

const fn is_stop(octet: u8, next: u8) -> bool {
    (octet == b'\t') | ((octet == b' ') & (next <= b' '))
}

/// A matrix of eight by eight bits, its rows made columns: squares of two, four and eight bits swap their corners.
const fn transposed(mut bits: u64) -> u64 {
    let swap = (bits ^ bits >> 7) & 0x00aa_00aa_00aa_00aa;
    bits ^= swap ^ swap << 7;
    let swap = (bits ^ bits >> 14) & 0x0000_cccc_0000_cccc;
    bits ^= swap ^ swap << 14;
    let swap = (bits ^ bits >> 28) & 0x0000_0000_f0f0_f0f0;
    bits ^ swap ^ swap << 28
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_are_looked_at_as_octets_are(octets in prop::collection::vec(prop::sample::select(b" \t\r\n\x0c!a\xa0\xff".to_vec()), 2 * BLOCK)) {
            let bits = stops(octets.first_chunk().unwrap());
            for at in 0..BLOCK {
                prop_assert_eq!(bits >> at & 1 == 1, is_stop(octets[at], octets[at + 1]), "{}", at);
            }
        }

        #[test]
        fn white_space_is_reduced_at_any_length(parts in prop::collection::vec(prop::sample::select(vec![
            "\r\n", "\r", "\n", " ", "\t", "a", "  ", " \r\n", "0123456789012345678901234567890123456789012345678901234567890123456789",
        ]), 0..600)) {
            let text = format!("!{}!", parts.concat());
            let mut expected = text.replace('\t', " ");
            while expected.contains("  ") {
                expected = expected.replace("  ", " ");
            }
            let mut reduced = Vec::new();
            relaxed(text.as_bytes(), &mut |run| reduced.extend_from_slice(run));
            prop_assert_eq!(String::from_utf8(reduced).unwrap(), expected.replace(" \r\n", "\r\n"));
        }
    }

    #[test]
    fn runs_are_gathered() {
        let text = [b"a  b".repeat(4000), b"!".to_vec()].concat();
        let mut runs = Vec::new();
        relaxed(&text, &mut |run| runs.push(run.len()));
        assert!(runs.len() < 4, "{runs:?}");
    }
}
