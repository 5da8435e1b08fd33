//! Base64 as fields and records have it, with folds in it and with or without its padding (RFC 6376 §2.10), read in one pass.

/// The octets that a text stands for; `None` where it is no base64. White space may stand anywhere in it, and bits behind the last octet
/// must be zero.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut rest = text.as_bytes();
    // Characters of a group of four that is not complete, and their bits.
    let (mut count, mut bits) = (0, 0);
    'text: loop {
        while let Some((eight, behind)) = rest.split_first_chunk()
            && let Some(six) = decode_eight(eight)
        {
            octets.extend_from_slice(&six);
            rest = behind;
        }
        // One by one past white space, and on to the end of a group.
        let mut space = false;
        while !space || count > 0 {
            let Some((octet, behind)) = rest.split_first() else {
                break 'text;
            };
            match SIX_BITS[usize::from(*octet)] {
                NONE if is_space(octet) => space = true,
                NONE => break 'text,
                six => {
                    bits = bits << 6 | u32::from(six);
                    count += 1;
                }
            }
            rest = behind;
            if count == 4 {
                let [_, group @ ..] = bits.to_be_bytes();
                octets.extend_from_slice(&group);
                (count, bits) = (0, 0);
            }
        }
    }
    let padding = rest.iter().filter(|octet| **octet == b'=').count();
    let is_end = (rest.iter()).all(|octet| *octet == b'=' || is_space(octet));
    let (most_padding, spare_bits) = match count {
        0 => (0, 0),
        2 => (2, 4),
        3 => (1, 2),
        // One character has not enough bits for an octet.
        _ => return None,
    };
    if !is_end || padding > most_padding || bits & ((1 << spare_bits) - 1) != 0 {
        return None;
    }
    let last = (bits >> spare_bits).to_be_bytes();
    octets.extend_from_slice(last.get(4 - count * 3 / 4..).unwrap_or_default());
    Some(octets)
}

/// What eight characters stand for, if all of them are of the alphabet.
fn decode_eight(characters: &[u8; 8]) -> Option<[u8; 6]> {
    let (mut bits, mut any) = (0, 0);
    for character in characters {
        let six = SIX_BITS[usize::from(*character)];
        any |= six;
        bits = bits << 6 | u64::from(six);
    }
    let [_, _, octets @ ..] = bits.to_be_bytes();
    (any < 64).then_some(octets)
}

fn is_space(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// What stands for no bits.
const NONE: u8 = 0xff;

static SIX_BITS: [u8; 256] = {
    let mut all = [NONE; 256];
    let mut octet = 0;
    while octet < 256 {
        all[octet] = six_bits(octet as u8);
        octet += 1;
    }
    all
};

const fn six_bits(octet: u8) -> u8 {
    match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => NONE,
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
