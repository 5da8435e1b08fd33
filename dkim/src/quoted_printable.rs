//! DKIM-Quoted-Printable (RFC 6376 §2.11, as RFC 8616 §5 widened it), in which `i=` and `z=` are written.

use core::fmt::Write as _;

/// The octets that a text without white space stands for; `None` where an `=` begins no hex-octet.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Some(out),
            [b'=', high, low, behind @ ..] => {
                out.push(hex(*high)? << 4 | hex(*low)?);
                behind
            }
            [b'=', ..] => return None,
            [octet, behind @ ..] => {
                out.push(*octet);
                behind
            }
        }
    }
}

/// RFC 6376 §2.11: "the alphabet "0123456789ABCDEF" (no lowercase characters permitted)"
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes octets so that no reader takes any of them for a part of the tag list, the vertical bar of `z=` included.
pub(crate) fn encode(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    for octet in octets {
        match octet {
            b'!'..=b'~' if !matches!(octet, b';' | b'=' | b'|') => out.push(char::from(*octet)),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "={octet:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes() {
        for (text, octets) in [
            ("", Some(&b""[..])),
            ("a=3Bb=20", Some(b"a;b ")),
            ("=C3=A9é", Some("éé".as_bytes())),
            ("=3b", None),
            ("=", None),
            ("=4", None),
        ] {
            assert_eq!(decode(text).as_deref(), octets, "{text}");
        }
    }

    #[test]
    fn encodes_what_must_be() {
        for octet in 0..=u8::MAX {
            let plain = matches!(octet, 0x21..=0x7e) && !b";=|".contains(&octet);
            let expected = if plain {
                char::from(octet).to_string()
            } else {
                format!("={octet:02X}")
            };
            assert_eq!(encode(&[octet]), expected);
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = encode(&octets);
            prop_assert!(text.is_ascii() && !text.contains([';', '|', ' ']));
            prop_assert_eq!(decode(&text), Some(octets));
        }
    }
}
