//! The addresses and prefix lengths of `ip4` and `ip6` (RFC 7208 §5.6), each from an octet of a text on, which is moved behind it.
//!
//! They take what [`std::net`] takes, which the tests prove. They are written out because they are most of what a record costs: an IPv6
//! address is read in a third of the time.

/// The bits of an IPv4 address: four octets in decimal with dots between them.
pub(super) fn ip4(text: &[u8], at: &mut usize) -> Option<u32> {
    let mut bits = u32::from(decimal(text, at)?);
    for _ in 1..4 {
        text.get(*at).filter(|octet| **octet == b'.')?;
        *at += 1;
        bits = bits << 8 | u32::from(decimal(text, at)?);
    }
    Some(bits)
}

/// The bits of an IPv6 address (RFC 4291 §2.2): eight groups of hexadecimal digits with colons between them, `::` once for zeros, the
/// last two as an IPv4 address.
pub(super) fn ip6(text: &[u8], at: &mut usize) -> Option<u128> {
    let (mut bits, mut count) = (0_u128, 0);
    // The bits before `::`, at the front.
    let mut front = None;
    loop {
        match text.get(*at..)? {
            [b':', b':', rest @ ..] => {
                let high = bits.checked_shl(128 - 16 * count).unwrap_or(0);
                if front.replace(high).is_some() {
                    return None;
                }
                bits = 0;
                *at += 2;
                // It may be the end.
                if !matches!(rest, [digit, ..] if DIGITS[usize::from(*digit)] <= 15) {
                    break;
                }
            }
            [b':', ..] if count > 0 => *at += 1,
            _ if count > 0 => break,
            _ => {}
        }
        let start = *at;
        let group = hexadecimal(text, at)?;
        if text.get(*at) == Some(&b'.') {
            *at = start;
            bits = bits << 32 | u128::from(ip4(text, at)?);
            count += 2;
            break;
        }
        bits = bits << 16 | u128::from(group);
        count += 1;
        if count > 8 {
            return None;
        }
    }
    match front {
        None if count == 8 => Some(bits),
        Some(front) if count < 8 => Some(front | bits),
        _ => None,
    }
}

/// A number up to 255 without a zero before it.
#[inline]
pub(super) fn decimal(text: &[u8], at: &mut usize) -> Option<u8> {
    let mut value = digit(text, *at)?;
    for _ in 0..3 {
        *at += 1;
        match digit(text, *at) {
            None => return u8::try_from(value).ok(),
            Some(_) if value == 0 => return None,
            Some(digit) => value = value * 10 + digit,
        }
    }
    None
}

fn digit(text: &[u8], at: usize) -> Option<u32> {
    match text.get(at) {
        Some(octet @ b'0'..=b'9') => Some(u32::from(octet - b'0')),
        _ => None,
    }
}

/// One to four hexadecimal digits.
fn hexadecimal(text: &[u8], at: &mut usize) -> Option<u16> {
    let (mut value, start) = (0, *at);
    while let Some(octet) = text.get(*at)
        && *at < start + 4
    {
        let digit = DIGITS[usize::from(*octet)];
        if digit > 15 {
            break;
        }
        value = value << 4 | u16::from(digit);
        *at += 1;
    }
    (*at > start).then_some(value)
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
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// The address, if nothing stands behind it.
    fn whole<A>(text: &str, read: fn(&[u8], &mut usize) -> Option<A>) -> Option<A> {
        let mut at = 0;
        let address = read(text.as_bytes(), &mut at)?;
        (at == text.len()).then_some(address)
    }

    /// Whether both read `text` alike, as either kind of address.
    fn same(text: &str) -> Result<(), TestCaseError> {
        let (v4, v6) = (whole(text, ip4), whole(text, ip6));
        prop_assert_eq!(v4.map(Ipv4Addr::from_bits), text.parse().ok(), "{}", text);
        prop_assert_eq!(v6.map(Ipv6Addr::from_bits), text.parse().ok(), "{}", text);
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
            let mut at = 0;
            let read = decimal(text.as_bytes(), &mut at);
            assert_eq!(read.map(|number| (number, at)), value, "{text}");
        }
    }
}
