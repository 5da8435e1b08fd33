//! Searches in short texts, sixteen octets at a time: to the end of a line, a tag or a name it is seldom so far that memchr pays.

use core::ops::RangeInclusive;

use wide::u8x16;

/// Where the first of these octets is.
#[inline(always)] // The octets are known where it is called.
pub(crate) fn first_of<const N: usize>(wanted: [u8; N], octets: &[u8]) -> Option<usize> {
    first(
        octets,
        |some| (wanted.iter()).fold(all(0), |found, octet| found | some.cmp_eq(all(*octet))),
        |octet| wanted.contains(&octet),
    )
}

/// Where the first octet is that is not in this range, or that is one of these.
#[inline(always)]
pub(crate) fn first_outside<const N: usize>(
    range: RangeInclusive<u8>,
    but: [u8; N],
    octets: &[u8],
) -> Option<usize> {
    first(
        octets,
        |some| {
            (but.iter()).fold(!within(&range, some), |found, octet| {
                found | some.cmp_eq(all(*octet))
            })
        },
        |octet| !range.contains(&octet) || but.contains(&octet),
    )
}

/// Where the first octet is that is no higher than this.
#[inline(always)]
pub(crate) fn first_up_to(highest: u8, octets: &[u8]) -> Option<usize> {
    first(
        octets,
        |some| some.min(all(highest)).cmp_eq(some),
        |octet| octet <= highest,
    )
}

/// Whether all octets are in this range or one of these: over all, without an early end.
#[inline(always)]
pub(crate) fn are_all_within<const N: usize>(
    range: RangeInclusive<u8>,
    or: [u8; N],
    octets: &[u8],
) -> bool {
    let Some(last) = octets.last_chunk() else {
        return (octets.iter()).all(|octet| range.contains(octet) || or.contains(octet));
    };
    let within = |some: &[u8; 16]| {
        let some = u8x16::new(*some);
        (or.iter()).fold(within(&range, some), |found, octet| {
            found | some.cmp_eq(all(*octet))
        })
    };
    let chunks = octets.as_chunks().0.iter();
    let fine = chunks.fold(within(last), |fine, some| fine & within(some));
    fine.move_mask() == 0xffff
}

#[inline(always)]
fn within(range: &RangeInclusive<u8>, some: u8x16) -> u8x16 {
    let place = some - all(*range.start());
    // Only up to the last is the lesser of both the place itself.
    place.min(all(range.end() - range.start())).cmp_eq(place)
}

#[inline(always)]
fn first(
    octets: &[u8],
    found: impl Fn(u8x16) -> u8x16,
    is_found: impl Fn(u8) -> bool,
) -> Option<usize> {
    let bits = |some: &[u8; 16]| found(u8x16::new(*some)).move_mask() as u32;
    let (chunks, rest) = octets.as_chunks();
    for (number, some) in chunks.iter().enumerate() {
        let bits = bits(some);
        if bits != 0 {
            return Some(16 * number + bits.trailing_zeros() as usize);
        }
    }
    let start = octets.len() - rest.len();
    match octets.last_chunk() {
        // The last ones together with those before them, which are none.
        Some(last) => {
            let bits = bits(last) >> (last.len() - rest.len());
            (bits != 0).then(|| start + bits.trailing_zeros() as usize)
        }
        None => rest.iter().position(|octet| is_found(*octet)),
    }
}

#[inline(always)]
const fn all(octet: u8) -> u8x16 {
    u8x16::new([octet; 16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_octet_by_octet(octets in prop::collection::vec(any::<u8>().prop_map(|octet| if octet < 240 { b'a' } else { octet / 2 }), 0..100)) {
            let position = |is: fn(u8) -> bool| octets.iter().position(|octet| is(*octet));
            prop_assert_eq!(first_of([120, 125], &octets), position(|octet| octet == 120 || octet == 125));
        }

        #[test]
        fn up_to(octets in prop::collection::vec(10..=255_u8, 0..100)) {
            prop_assert_eq!(first_up_to(12, &octets), octets.iter().position(|octet| *octet <= 12));
        }

        #[test]
        fn outside(octets in prop::collection::vec(any::<u8>().prop_map(|octet| if octet.is_multiple_of(8) { octet } else { 33 + octet % 94 }), 0..100)) {
            let expected = octets.iter().position(|octet| !matches!(octet, 33..=57 | 59..=126));
            prop_assert_eq!(first_outside(33..=126, [b':'], &octets), expected);
            let most = &octets[..expected.unwrap_or(octets.len())];
            prop_assert_eq!(are_all_within(33..=57, [], most), most.iter().all(|octet| *octet <= 57));
            prop_assert_eq!(are_all_within(33..=57, [b';', b'~'], most), most.iter().all(|octet| matches!(octet, 33..=57 | b';' | b'~')));
        }
    }
}
