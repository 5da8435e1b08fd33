//! White space that canonicalization changes (RFC 6376 §3.4), found in sixteen octets at once.

use wide::u8x16;

/// How many octets are looked at at once.
pub(crate) const LANES: usize = 16;

/// RFC 6376 §2.8: "WSP =   SP / HTAB".
pub(crate) const fn is_white_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Bits of the first sixteen octets, the lowest for the first: tabs, and octets of which and of the next the higher is a space.
///
/// So all white space is found that may go or change: tabs, and spaces before white space or a line end. What else is found is found
/// in vain, as a line end before a line that begins with a space.
#[inline(always)]
pub(crate) fn stops(octets: &[u8; LANES + 1]) -> u32 {
    stop_lanes(octets).move_mask() as u32
}

#[inline(always)]
fn stop_lanes(octets: &[u8; LANES + 1]) -> u8x16 {
    let ([some @ .., _], [_, next @ ..]) = (octets, octets);
    let (some, next) = (u8x16::new(*some), u8x16::new(*next));
    some.max(next).cmp_eq(all(b' ')) | some.cmp_eq(all(b'\t'))
}

/// Where the first octet is that is white space and may change, or that is a CR, or the end; some are found in vain.
pub(crate) fn first_stop_or_cr(octets: &[u8]) -> usize {
    let stops_and_crs = |some: &[u8; LANES + 1]| {
        let [lanes @ .., _] = some;
        let crs = u8x16::new(*lanes).cmp_eq(all(b'\r'));
        (stop_lanes(some) | crs).move_mask() as u32
    };
    let is_either = |octet: &u8| is_white_space(*octet) || *octet == b'\r';
    let (mut at, mut rest) = (0, octets);
    while let Some(some) = rest.first_chunk() {
        let found = stops_and_crs(some);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += LANES;
        rest = &rest[LANES..];
    }
    let Some(last) = octets.last_chunk() else {
        return rest.iter().position(is_either).unwrap_or(rest.len());
    };
    // The last ones again, with those before them: copies among others would have to be waited for. The very last is no lane of it.
    let found = stops_and_crs(last) >> (last.len() - rest.len());
    if found != 0 {
        return at + found.trailing_zeros() as usize;
    }
    octets.len() - usize::from(octets.last().is_some_and(is_either))
}

#[inline(always)]
const fn all(octet: u8) -> u8x16 {
    u8x16::new([octet; LANES])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sixteen_are_looked_at_as_each_is(octets in prop::collection::vec(prop::sample::select(b" \t\r\n\x0c!a\xa0\xff".to_vec()), 0..60)) {
            let is_stop = |at: usize| {
                let next = octets.get(at + 1).unwrap_or(&b' ');
                octets[at] == b'\t' || octets[at].max(*next) == b' '
            };
            for (at, some) in octets.windows(LANES + 1).enumerate() {
                let stops = stops(some.first_chunk().unwrap());
                for lane in 0..LANES {
                    prop_assert_eq!(stops >> lane & 1 == 1, is_stop(at + lane), "{} {}", at, lane);
                }
            }
            let first = (0..octets.len()).find(|at| is_white_space(octets[*at]) && is_stop(*at) || octets[*at] == b'\r');
            let found = first_stop_or_cr(&octets);
            prop_assert!(found <= first.unwrap_or(octets.len()));
            prop_assert!(octets.get(found).is_none_or(|octet| *octet <= b' '));
        }
    }
}
