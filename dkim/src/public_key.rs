//! Public keys as the DNS has them, checked before anything computes with them.

use core::fmt;
use core::ops::Range;

/// A public key that signatures may be verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// RSA (RFC 6376 §3.6.1).
    Rsa(RsaPublicKey),
    /// Ed25519 (RFC 8463 §4.2).
    Ed25519(Ed25519PublicKey),
}

/// Why octets are no public key that we would use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Neither a SubjectPublicKeyInfo of an RSA key nor a bare RSAPublicKey in DER.
    #[error(
        "the RSA key is neither a SubjectPublicKeyInfo nor an RSAPublicKey in DER: publish it anew"
    )]
    Der,
    /// RFC 8301 §3.2: "Verifiers MUST NOT consider signatures using RSA keys of less than 1024 bits as valid signatures."
    #[error(
        "the RSA key has {bits} bits, fewer than 1024: the domain owner must publish a longer one"
    )]
    RsaTooShort {
        /// Bits of the modulus.
        bits: usize,
    },
    /// More than 4096 bits, the most that a verifier must support (RFC 8301 §3.2): longer ones cost too much.
    #[error(
        "the RSA key has {bits} bits, more than 4096: the domain owner must publish a shorter one"
    )]
    RsaTooLong {
        /// Bits of the modulus.
        bits: usize,
    },
    /// The modulus is even, or the exponent is even, below 3 or above 2^33 - 1.
    #[error("the RSA key has a modulus or exponent that no honest key has")]
    RsaNumbers,
    /// RFC 8463 §4.2: the key is 256 bits long.
    #[error("the Ed25519 key has {octets} octets, not 32: p= must hold the bare key")]
    Ed25519Length {
        /// How many there are.
        octets: usize,
    },
    /// A point of small order, for which one signature fits every message.
    #[error("the Ed25519 key is a point of small order, with which anybody can sign")]
    Ed25519SmallOrder,
}

/// An RSA public key of 1024 to 4096 bits with a usual exponent.
#[derive(Clone)]
pub struct RsaPublicKey {
    /// As it was read.
    der: Vec<u8>,
    /// Where the numbers stand in it.
    modulus: Range<usize>,
    exponent: Range<usize>,
}

impl RsaPublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 §4.1) or a bare RSAPublicKey (RFC 8017 §A.1.1) in DER; both are in use (RFC 6376 erratum 3017).
    ///
    /// # Errors
    /// [`PublicKeyError`] where it is neither, or a key outside the bounds of the type.
    pub fn from_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        Self::from_der_vec(der.to_vec())
    }

    /// As [`RsaPublicKey::from_der`], of octets that need not be copied.
    pub(crate) fn from_der_vec(der: Vec<u8>) -> Result<Self, PublicKeyError> {
        let key = subject_public_key(&der).unwrap_or(&der);
        let (modulus, behind, exponent) = rsa_public_key(key).ok_or(PublicKeyError::Der)?;
        let bits = bits(modulus);
        match bits {
            ..1024 => return Err(PublicKeyError::RsaTooShort { bits }),
            1024..=4096 => {}
            _ => return Err(PublicKeyError::RsaTooLong { bits }),
        }
        let odd = |number: &[u8]| number.last().is_some_and(|octet| octet & 1 == 1);
        let exponent_bits = self::bits(exponent);
        if !odd(modulus) || !odd(exponent) || !(2..=33).contains(&exponent_bits) {
            return Err(PublicKeyError::RsaNumbers);
        }
        // Nothing stands behind the key, so all that is behind a number goes to the end of the octets.
        let modulus_end = der.len() - behind.len();
        Ok(Self {
            modulus: modulus_end - modulus.len()..modulus_end,
            exponent: der.len() - exponent.len()..der.len(),
            der,
        })
    }

    /// Bits of the modulus, 1024 to 4096.
    #[must_use]
    pub fn bits(&self) -> usize {
        bits(self.modulus())
    }

    /// RFC 8301 §3.2: "Signers SHOULD use RSA keys of at least 2048 bits."
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.bits() < 2048
    }

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        self.der.get(self.modulus.clone()).unwrap_or_default()
    }

    /// The exponent, big-endian, without leading zeros.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        self.der.get(self.exponent.clone()).unwrap_or_default()
    }
}

/// By their numbers: the same key may be written in both ways.
impl PartialEq for RsaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.modulus() == other.modulus() && self.exponent() == other.exponent()
    }
}

impl Eq for RsaPublicKey {}

impl RsaPublicKey {
    /// The key as a SubjectPublicKeyInfo in DER (RFC 3279 §2.3.1).
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let numbers = [unsigned(self.modulus()), unsigned(self.exponent())].concat();
        let key = [&[0][..], &encode(SEQUENCE, &numbers)].concat();
        // The parameters of rsaEncryption are NULL.
        let algorithm = [
            &encode(OBJECT_IDENTIFIER, RSA_ENCRYPTION)[..],
            &[0x05, 0x00],
        ]
        .concat();
        let parts = [encode(SEQUENCE, &algorithm), encode(BIT_STRING, &key)].concat();
        encode(SEQUENCE, &parts)
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.bits())
    }
}

/// An Ed25519 public key that is no point of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ed25519PublicKey([u8; 32]);

/// The y coordinates of the points whose order divides 8, little-endian without the sign bit: 0, 1, -1, two of order 8, and the
/// encodings of 0 and 1 that are not reduced modulo p. (Other y above p encode no small-order point.)
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    y(1, 0, 0),
    y(0xec, 0xff, 0x7f),
    y(0xed, 0xff, 0x7f),
    y(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn y(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut octets = [middle; 32];
    octets[0] = first;
    octets[31] = last;
    octets
}

impl Ed25519PublicKey {
    /// Takes the 32 octets of RFC 8032 §5.1.5.
    ///
    /// # Errors
    /// [`PublicKeyError::Ed25519Length`] and [`PublicKeyError::Ed25519SmallOrder`]. That the octets encode a point at all is
    /// found out when a signature is verified.
    pub fn from_octets(octets: &[u8]) -> Result<Self, PublicKeyError> {
        let key: [u8; 32] = octets
            .try_into()
            .map_err(|_| PublicKeyError::Ed25519Length {
                octets: octets.len(),
            })?;
        let mut y = key;
        y[31] &= 0x7f;
        if SMALL_ORDER.contains(&y) {
            return Err(PublicKeyError::Ed25519SmallOrder);
        }
        Ok(Self(key))
    }

    /// The 32 octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Bits of a number without leading zero octets.
fn bits(number: &[u8]) -> usize {
    let leading = number
        .first()
        .map_or(0, |octet| octet.leading_zeros() as usize);
    number.len() * 8 - leading
}

/// The content of the bit string in a SubjectPublicKeyInfo with the algorithm rsaEncryption (RFC 3279 §2.3.1).
fn subject_public_key(der: &[u8]) -> Option<&[u8]> {
    let (info, rest) = element(der, SEQUENCE)?;
    let (algorithm, key) = element(info, SEQUENCE)?;
    let (identifier, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (key, behind) = element(key, BIT_STRING)?;
    let well_formed = rest.is_empty()
        && behind.is_empty()
        && identifier == RSA_ENCRYPTION
        && matches!(parameters, [] | [0x05, 0x00]);
    match key {
        [0, key @ ..] if well_formed => Some(key),
        _ => None,
    }
}

/// The modulus of an RSAPublicKey, all that stands behind it, and the exponent, with which that ends.
fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (numbers, rest) = element(der, SEQUENCE)?;
    let (modulus, behind_modulus) = element(numbers, INTEGER)?;
    let (exponent, behind) = element(behind_modulus, INTEGER)?;
    (rest.is_empty() && behind.is_empty()).then_some(())?;
    Some((positive(modulus)?, behind_modulus, positive(exponent)?))
}

/// The content of OBJECT IDENTIFIER 1.2.840.113549.1.1.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The content of the first element, which must have this tag, and what stands behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, content) = match der {
        [t, length @ 0..=0x7f, content @ ..] if *t == tag => (usize::from(*length), content),
        [t, 0x81, length @ 0x80..=0xff, content @ ..] if *t == tag => {
            (usize::from(*length), content)
        }
        [t, 0x82, high @ 1..=0xff, low, content @ ..] if *t == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return None,
    };
    content.split_at_checked(length)
}

/// An element; its content is shorter than 64 KiB, as everything around a checked key is.
fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let mut der = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend_from_slice(content);
    der
}

/// An INTEGER without sign.
fn unsigned(number: &[u8]) -> Vec<u8> {
    match number {
        [0x80..=0xff, ..] => encode(INTEGER, &[&[0], number].concat()),
        _ => encode(INTEGER, number),
    }
}

/// The octets of a positive INTEGER without the zero that only keeps the sign.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|octet| *octet >= 0x80) => Some(rest),
        [1..=0x7f, ..] => Some(integer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let head = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [head, content.to_vec()].concat()
    }

    fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        if modulus[0] & 0x80 != 0 {
            modulus.insert(0, 0);
        }
        tlv(
            SEQUENCE,
            &[tlv(INTEGER, &modulus), tlv(INTEGER, exponent)].concat(),
        )
    }

    #[test]
    fn rsa_bounds() {
        use PublicKeyError::*;
        let e = &[1, 0, 1][..];
        for (bits, exponent, expected) in [
            (1023, e, Err(RsaTooShort { bits: 1023 })),
            (1024, e, Ok(())),
            (4096, e, Ok(())),
            (4097, e, Err(RsaTooLong { bits: 4097 })),
            (2048, &[3], Ok(())),
            (2048, &[1], Err(RsaNumbers)),
            (2048, &[4], Err(RsaNumbers)),
            (2048, &[1, 0xff, 0xff, 0xff, 0xff], Ok(())),
            (2048, &[2, 0, 0, 0, 1], Err(RsaNumbers)),
            (2048, &[0], Err(Der)),
            (2048, &[0x83], Err(Der)),
        ] {
            let key = RsaPublicKey::from_der(&rsa(bits, exponent));
            assert_eq!(key.map(drop), expected, "{bits} {exponent:?}");
        }
    }

    #[test]
    fn der_is_read_strictly() {
        let bare = rsa(2048, &[3]);
        assert!(RsaPublicKey::from_der(&bare).unwrap().bits() == 2048);
        for cut in 0..bare.len() {
            assert_eq!(
                RsaPublicKey::from_der(&bare[..cut]),
                Err(PublicKeyError::Der)
            );
        }
        assert_eq!(
            RsaPublicKey::from_der(&[&bare[..], b"\0"].concat()),
            Err(PublicKeyError::Der)
        );
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
        let info = |last: u8, unused: u8| {
            let oid = tlv(OBJECT_IDENTIFIER, &[&oid[..], &[last]].concat());
            let algorithm = tlv(SEQUENCE, &[oid, vec![5, 0]].concat());
            tlv(
                SEQUENCE,
                &[algorithm, tlv(BIT_STRING, &[&[unused][..], &bare].concat())].concat(),
            )
        };
        let key = RsaPublicKey::from_der(&bare).unwrap();
        assert_eq!(RsaPublicKey::from_der(&info(1, 0)).as_ref(), Ok(&key));
        assert_eq!(key.to_der(), info(1, 0));
        assert_eq!(
            RsaPublicKey::from_der(&info(10, 0)),
            Err(PublicKeyError::Der)
        );
        assert_eq!(
            RsaPublicKey::from_der(&info(1, 1)),
            Err(PublicKeyError::Der)
        );
    }

    /// Numbers modulo p = 2^255 - 19, eight digits of 32 bits, the least first.
    type Number = [u64; 8];

    fn number(octets: &[u8; 32]) -> Number {
        core::array::from_fn(|at| {
            let digit = octets[at * 4..][..4].try_into().unwrap();
            u64::from(u32::from_le_bytes(digit))
        })
    }

    fn small(value: u64) -> Number {
        core::array::from_fn(|at| if at == 0 { value } else { 0 })
    }

    /// Carries digits over, and what goes beyond 2^256 back by 38, which is 2^256 modulo p.
    fn carry(mut digits: Number) -> Number {
        for _ in 0..4 {
            let mut over = 0;
            for digit in &mut digits {
                let sum = *digit + over;
                *digit = sum & 0xffff_ffff;
                over = sum >> 32;
            }
            digits[0] += 38 * over;
        }
        digits
    }

    fn multiply(a: &Number, b: &Number) -> Number {
        let mut wide = [0_u64; 16];
        for (i, a) in a.iter().enumerate() {
            let mut over = 0;
            for (j, b) in b.iter().enumerate() {
                let sum = wide[i + j] + a * b + over;
                wide[i + j] = sum & 0xffff_ffff;
                over = sum >> 32;
            }
            wide[i + 8] = over;
        }
        carry(core::array::from_fn(|at| wide[at] + 38 * wide[at + 8]))
    }

    fn add(a: &Number, b: &Number) -> Number {
        carry(core::array::from_fn(|at| a[at] + b[at]))
    }

    /// Equality modulo p: the difference is one of the multiples of p below 2^256.
    fn is_zero(a: &Number) -> bool {
        let p = number(&y(0xed, 0xff, 0x7f));
        let twice_p = number(&y(0xda, 0xff, 0xff));
        [small(0), p, twice_p].contains(&carry(*a))
    }

    fn minus(a: &Number) -> Number {
        let p_minus_1 = number(&y(0xec, 0xff, 0x7f));
        multiply(a, &p_minus_1)
    }

    /// The curve of RFC 8032 §5.1 is -x^2 + y^2 = 1 + d x^2 y^2 with d = -121665/121666. Of the points whose order divides 8, the
    /// identity has y = 1, the one of order 2 has y = -1, those of order 4 have y = 0. Twice a point of order 8 has y = 0, and by the
    /// formula for the sum that is y^2 + x^2 = 0; with x^2 = -y^2 the curve says d y^4 + 2 y^2 - 1 = 0. The points whose order
    /// divides 8 form a cyclic group of eight, so four have order 8: one y and its negative, each with two x.
    #[test]
    fn the_points_of_small_order_are_these() {
        let negative_d = |factor: &Number| multiply(factor, &small(121_665));
        let mut orders = Vec::new();
        for encoded in SMALL_ORDER {
            let y = number(&encoded);
            let square = multiply(&y, &y);
            let fourth = multiply(&square, &square);
            // d y^4 + 2 y^2 - 1, times 121666.
            let quartic = add(
                &add(
                    &minus(&negative_d(&fourth)),
                    &multiply(&square, &small(243_332)),
                ),
                &minus(&small(121_666)),
            );
            orders.push(if is_zero(&add(&y, &minus(&small(1)))) {
                1
            } else if is_zero(&add(&y, &small(1))) {
                2
            } else if is_zero(&y) {
                4
            } else if is_zero(&quartic) {
                8
            } else {
                panic!("{encoded:02x?} has no small order")
            });
        }
        assert_eq!(orders, [4, 1, 2, 4, 1, 8, 8]);
        let [.., a, b] = SMALL_ORDER;
        assert!(a != b && is_zero(&add(&number(&a), &number(&b))));
        // An encoding of 255 bits is not reduced only if y is below 19; of these y, only 0 and 1 are.
        assert!(a[1..].iter().any(|octet| *octet != 0) && b[1..].iter().any(|octet| *octet != 0));
        let wrong = multiply(&number(&a), &small(2));
        assert!(!is_zero(&add(&wrong, &number(&b))));
    }

    #[test]
    fn points_of_small_order() {
        for mut key in SMALL_ORDER {
            for sign in [0, 0x80] {
                key[31] = key[31] & 0x7f | sign;
                assert_eq!(
                    Ed25519PublicKey::from_octets(&key),
                    Err(PublicKeyError::Ed25519SmallOrder)
                );
            }
        }
        assert!(Ed25519PublicKey::from_octets(&[9; 32]).is_ok());
        assert_eq!(
            Ed25519PublicKey::from_octets(&[9; 31]),
            Err(PublicKeyError::Ed25519Length { octets: 31 })
        );
    }
}
