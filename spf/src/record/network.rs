//! The addresses and prefix lengths of `ip4` and `ip6` (RFC 7208 §5.6).
//!
//! They take what [`std::net`] takes, which the tests prove. They are written out because they are most of what a record costs: an IPv6
//! address is read in a third of the time.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Four octets in decimal with dots between them.
pub(super) fn ip4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut octets, mut rest) = ([0; 4], text);
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        (*octet, rest) = decimal(rest)?;
    }
    rest.is_empty().then_some(octets.into())
}

/// RFC 4291 §2.2: eight groups of hexadecimal digits with colons between them, `::` once for zeros, the last two as an IPv4 address.
pub(super) fn ip6(text: &[u8]) -> Option<Ipv6Addr> {
    let (mut groups, mut count, mut rest) = ([0_u16; 8], 0, text);
    // How many groups stand before `::`.
    let mut gap = None;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"::") {
            if gap.replace(count).is_some() {
                return None;
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        } else if count > 0 {
            rest = rest.strip_prefix(b":")?;
        }
        let (group, after) = hexadecimal(rest)?;
        if after.first() == Some(&b'.') {
            let [a, b, c, d] = ip4(rest)?.octets();
            let last = groups.get_mut(count..count + 2)?;
            last.copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
            (count, rest) = (count + 2, &[]);
        } else {
            *groups.get_mut(count)? = group;
            (count, rest) = (count + 1, after);
        }
    }
    match gap {
        None if count == 8 => {}
        // What stands behind the gap goes to the end.
        Some(gap) if count < 8 => groups.get_mut(gap..)?.rotate_right(8 - count),
        _ => return None,
    }
    Some(groups.into())
}

/// RFC 7208 §5.6: `"0" / %x31-39 0*1DIGIT`, within 0 to 32, and so for 128.
pub(super) fn prefix(text: &[u8], most: u8) -> Option<u8> {
    let (prefix, rest) = decimal(text)?;
    (rest.is_empty() && prefix <= most).then_some(prefix)
}

/// A number up to 255 without a zero before it, and what stands behind it.
fn decimal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (mut value, mut length) = (0_u32, 0);
    while let Some(octet @ b'0'..=b'9') = text.get(length) {
        value = value * 10 + u32::from(octet - b'0');
        length += 1;
        if length > 3 {
            return None;
        }
    }
    if length > 1 && text.first() == Some(&b'0') || length == 0 {
        return None;
    }
    Some((u8::try_from(value).ok()?, text.get(length..)?))
}

/// One to four hexadecimal digits, and what stands behind them.
fn hexadecimal(text: &[u8]) -> Option<(u16, &[u8])> {
    let (mut value, mut length) = (0, 0);
    while let Some(&octet) = text.get(length).filter(|_| length < 4) {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            b'A'..=b'F' => octet - b'A' + 10,
            _ => break,
        };
        value = value << 4 | u16::from(digit);
        length += 1;
    }
    (length > 0).then_some((value, text.get(length..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether both read `text` alike, as either kind of address.
    fn same(text: &str) -> Result<(), TestCaseError> {
        prop_assert_eq!(ip4(text.as_bytes()), text.parse().ok(), "{}", text);
        prop_assert_eq!(ip6(text.as_bytes()), text.parse().ok(), "{}", text);
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
            ("0", Some(0)),
            ("32", Some(32)),
            ("33", None),
            ("00", None),
            ("08", None),
            ("", None),
            ("256", None),
            ("1x", None),
        ] {
            assert_eq!(prefix(text.as_bytes(), 32), value, "{text}");
        }
    }
}
