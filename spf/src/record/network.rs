//! The addresses and prefix lengths of `ip4` and `ip6` (RFC 7208 §5.6), each from the beginning of a text, with its length.
//!
//! They take what [`std::net`] takes, which the tests prove. They are written out because they are most of what a record costs: an IPv6
//! address is read in a third of the time.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Four octets in decimal with dots between them.
pub(super) fn ip4(text: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let (mut octets, mut at) = ([0; 4], 0);
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            text.get(at).filter(|octet| **octet == b'.')?;
            at += 1;
        }
        let (value, length) = decimal(text.get(at..)?)?;
        *octet = value;
        at += length;
    }
    Some((octets.into(), at))
}

/// RFC 4291 §2.2: eight groups of hexadecimal digits with colons between them, `::` once for zeros, the last two as an IPv4 address.
pub(super) fn ip6(text: &[u8]) -> Option<(Ipv6Addr, usize)> {
    let (mut groups, mut count, mut at) = ([0_u16; 8], 0, 0);
    // How many groups stand before `::`.
    let mut gap = None;
    loop {
        match text.get(at..)? {
            [b':', b':', ..] => {
                if gap.replace(count).is_some() {
                    return None;
                }
                at += 2;
                // It may be the end.
                if text
                    .get(at)
                    .is_none_or(|octet| DIGITS[usize::from(*octet)] > 15)
                {
                    break;
                }
            }
            [b':', ..] if count > 0 => at += 1,
            _ if count > 0 => break,
            _ => {}
        }
        let rest = text.get(at..)?;
        let (group, length) = hexadecimal(rest)?;
        if rest.get(length) == Some(&b'.') {
            let (address, length) = ip4(rest)?;
            let [a, b, c, d] = address.octets();
            let last = groups.get_mut(count..count + 2)?;
            last.copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
            (count, at) = (count + 2, at + length);
            break;
        }
        *groups.get_mut(count)? = group;
        (count, at) = (count + 1, at + length);
    }
    match gap {
        None if count == 8 => {}
        // What stands behind the gap goes to the end.
        Some(gap) if count < 8 => groups.get_mut(gap..)?.rotate_right(8 - count),
        _ => return None,
    }
    Some((groups.into(), at))
}

/// A number up to 255 without a zero before it.
pub(super) fn decimal(text: &[u8]) -> Option<(u8, usize)> {
    let digit = |at| match text.get(at) {
        Some(octet @ b'0'..=b'9') => Some(u32::from(octet - b'0')),
        _ => None,
    };
    let (value, length) = match (digit(0)?, digit(1), digit(2)) {
        (a, None, _) => (a, 1),
        (0, Some(_), _) => return None,
        (a, Some(b), None) => (a * 10 + b, 2),
        (a, Some(b), Some(c)) if digit(3).is_none() => (a * 100 + b * 10 + c, 3),
        _ => return None,
    };
    Some((u8::try_from(value).ok()?, length))
}

/// One to four hexadecimal digits.
fn hexadecimal(text: &[u8]) -> Option<(u16, usize)> {
    let (mut value, mut length) = (0, 0);
    while let Some(octet) = text.get(length)
        && length < 4
    {
        let digit = DIGITS[usize::from(*octet)];
        if digit > 15 {
            break;
        }
        value = value << 4 | u16::from(digit);
        length += 1;
    }
    (length > 0).then_some((value, length))
}

/// The value of each hexadecimal digit, and more for what is none.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        digits[digit as usize] = value as u8;
        digits[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The address, if nothing stands behind it.
    fn whole<A>(text: &str, read: fn(&[u8]) -> Option<(A, usize)>) -> Option<A> {
        let (address, length) = read(text.as_bytes())?;
        (length == text.len()).then_some(address)
    }

    /// Whether both read `text` alike, as either kind of address.
    fn same(text: &str) -> Result<(), TestCaseError> {
        prop_assert_eq!(whole(text, ip4), text.parse().ok(), "{}", text);
        prop_assert_eq!(whole(text, ip6), text.parse().ok(), "{}", text);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_the_standard_library_takes(
            text in prop_oneof![
                "([0-9]{1,3}\\.){3}[0-9]{1,3}",
                "(([0-9a-fA-F]{1,4}|:)[:.]){0,9}([0-9a-f]{0,5}|:|([0-9]{1,3}\\.){2,4}[0-9])",
                "[0-9a-f:.]{0,12}",
                any::<[u16; 8]>().prop_map(|groups| Ipv6Addr::from(groups).to_string()),
                (any::<[u16; 2]>(), 0..6_usize).prop_map(|([a, b], at)| {
                    let mut groups = [0; 8];
                    (groups[at], groups[at + 2]) = (a, b);
                    Ipv6Addr::from(groups).to_string()
                }),
            ]
        ) {
            same(&text)?;
        }
    }

    #[test]
    fn edges() {
        for text in [
            "",
            ":",
            "::",
            ":::",
            "1:",
            ":1",
            "1::",
            "::1",
            "1::2::3",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4::5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "12345::",
            "::1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "::1.2.3.4:5",
            "::1.2.3",
            "::ffff:1.2.3.256",
            "::1234.1.1.1",
            "1.2.3.4",
            "01.2.3.4",
            "1.2.3.4.5",
            "1.2..4",
            "0.0.0.0",
            "1.2.3.+4",
            "1.2.3.0004",
            "::g",
            "1::2:3:4:5:6:7:8",
            "fe80::1%0",
        ] {
            same(text).unwrap();
        }
        for (text, value) in [
            ("0", Some((0, 1))),
            ("32/", Some((32, 2))),
            ("256", None),
            ("00", None),
            ("08", None),
            ("", None),
            ("1234", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), value, "{text}");
        }
    }
}
