//! Base64 as fields and records have it, with folds in it and with or without its padding (RFC 6376 §2.10), read in one pass.

/// The octets that a text stands for; `None` where it is no base64. White space may stand anywhere in it, and bits behind the last octet
/// must be zero.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let room = text.len().div_ceil(8) * 6;
    #[expect(
        clippy::slow_vector_initialization,
        reason = "an allocator may give zeros slower than they are written"
    )]
    let mut octets = Vec::with_capacity(room);
    octets.resize(room, 0);
    let length = decode_into(text.as_bytes(), &mut octets)?;
    octets.truncate(length);
    Some(octets)
}

/// As [`decode`], for a text that must stand for so many octets as there is room for.
pub(crate) fn decode_to(text: &str, room: &mut [u8]) -> Option<()> {
    let length = decode_into(text.as_bytes(), room)?;
    (length == room.len()).then_some(())
}

/// Eight characters at a time, which are six octets; how many octets there are, if there is room for them.
fn decode_into(text: &[u8], room: &mut [u8]) -> Option<usize> {
    let (mut rest, mut end) = (text, 0);
    loop {
        let eights = rest.as_chunks().0.iter();
        let sixes = room.get_mut(end..)?.as_chunks_mut().0.iter_mut();
        let mut count = 0;
        for (eight, six) in eights.zip(sixes) {
            let Some(octets) = decode_eight(eight) else {
                break;
            };
            *six = octets;
            count += 1;
        }
        end += 6 * count;
        rest = rest.get(8 * count..)?;
        // Eight with white space among them, or the last.
        let (mut eight, mut length) = ([ZERO; 8], 0);
        while length < eight.len()
            && let Some((octet, behind)) = rest.split_first()
        {
            if !is_space(octet) {
                eight[length] = *octet;
                length += 1;
            }
            rest = behind;
        }
        let is_last = rest.iter().all(is_space);
        let (six, length) = match decode_eight(&eight) {
            Some(six) if length == eight.len() => (six, six.len()),
            _ if is_last => decode_last(eight, length)?,
            _ => return None,
        };
        let octets = six.get(..length)?;
        room.get_mut(end..end + length)?.copy_from_slice(octets);
        end += length;
        if is_last {
            return Some(end);
        }
    }
}

/// The last characters, at most eight of them, padding included: six octets, and how many of them count.
fn decode_last(mut eight: [u8; 8], length: usize) -> Option<([u8; 6], usize)> {
    let mut count = length;
    while let Some(last) = eight[..count].last_mut()
        && *last == b'='
    {
        *last = ZERO;
        count -= 1;
    }
    let most_padding = match count % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        // One character has not enough bits for an octet.
        _ => return None,
    };
    let six = decode_eight(&eight)?;
    let (octets, spare) = six.split_at(count * 6 / 8);
    let fits = length - count <= most_padding && spare.iter().all(|octet| *octet == 0);
    fits.then_some((six, octets.len()))
}

/// What eight characters stand for, if all of them are of the alphabet.
fn decode_eight(characters: &[u8; 8]) -> Option<[u8; 6]> {
    let group = |at: usize| {
        let bits = |place: usize| SIX_BITS[place][usize::from(characters[at + place])];
        bits(0) | bits(1) | bits(2) | bits(3)
    };
    let (high, low) = (group(0), group(4));
    let [_, _, octets @ ..] = (u64::from(high) << 24 | u64::from(low)).to_be_bytes();
    (high | low != NONE).then_some(octets)
}

fn is_space(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// The character of six bits that are zero.
const ZERO: u8 = b'A';

/// What stands for no bits; no other has bits up there.
const NONE: u32 = u32::MAX;

/// The bits of each character, where they belong for each of the four places in a group: so a group is four of them together.
static SIX_BITS: [[u32; 256]; 4] = {
    let mut all = [[NONE; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut octet = 0;
        while octet < 256 {
            if let Some(six) = six_bits(octet as u8) {
                all[place][octet] = (six as u32) << (18 - 6 * place);
            }
            octet += 1;
        }
        place += 1;
    }
    all
};

const fn six_bits(octet: u8) -> Option<u8> {
    match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::BASE64;
    use base64::Engine as _;
    use proptest::prelude::*;

    #[test]
    fn every_character_at_every_place() {
        for octet in 0..=0x7f_u8 {
            for length in 1..=12 {
                for at in 0..length {
                    let mut text = vec![b'A'; length];
                    text[at] = octet;
                    let text = String::from_utf8(text).unwrap();
                    let compact: String = text.split([' ', '\t', '\r', '\n']).collect();
                    assert_eq!(decode(&text), BASE64.decode(compact).ok(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn a_text_fills_its_room() {
        for (text, octets, fits) in [
            ("QUJD\r\n REVG", 6, true),
            ("QUJDREVG", 5, false),
            ("QUJDREVG", 7, false),
            ("QUJDREVGQUJDREVG", 6, false),
            ("QUJDREU=", 5, true),
            ("QUJDRE*=", 5, false),
            ("", 0, true),
        ] {
            let mut room = vec![0; octets];
            assert_eq!(
                decode_to(text, &mut room).is_some(),
                fits,
                "{text} {octets}"
            );
            assert!(!fits || decode(text) == Some(room));
        }
    }

    proptest! {
        #[test]
        fn as_the_library_reads_it(parts in prop::collection::vec(prop::sample::select(vec![
            "A", "b", "z", "Z", "0", "9", "+", "/", "=", "AA", "AQ", "MD", "Mw", " ", "\r\n ", "\t", "*", "é",
            "dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSb", "0123456789abcdefghijklmnopqrstuvwxyz",
        ]), 0..12)) {
            let text = parts.concat();
            let compact: String = text.split_ascii_whitespace().collect();
            prop_assert_eq!(decode(&text), BASE64.decode(compact).ok(), "{}", text);
        }

        #[test]
        fn folds_change_nothing(octets in prop::collection::vec(any::<u8>(), 0..600), width in 1..80_usize) {
            let text = BASE64.encode(&octets);
            let lines: Vec<&str> = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
            prop_assert_eq!(decode(&lines.join("\r\n ")), Some(octets));
        }
    }
}
