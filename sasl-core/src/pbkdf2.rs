//! PBKDF2-HMAC-SHA-256 for one block, which RFC 5802 calls `Hi`.

use mail_wire::Secret;
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

/// The state of SHA-256 before the first block (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// RFC 5802 §2.2: `Hi(str, salt, i)`; with `i` of 0 as with 1.
///
/// The states after the two blocks of the key are kept, so a round is two compressions and not four.
pub(crate) fn hi(password: &[u8], salt: &[u8], iterations: u32) -> Secret<[u8; 32]> {
    let mut key = Secret::new([0_u8; 64]);
    if password.len() > 64 {
        for (place, octet) in key
            .expose_secret_mut()
            .iter_mut()
            .zip(Sha256::digest(password))
        {
            *place = octet;
        }
    } else {
        for (place, octet) in key.expose_secret_mut().iter_mut().zip(password) {
            *place = *octet;
        }
    }
    let inner = keyed(key.expose_secret(), 0x36);
    let outer = keyed(key.expose_secret(), 0x5c);

    // RFC 5802 §2.2: "U1   := HMAC(str, salt + INT(1))"
    let first = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, password);
    let mut context = ring::hmac::Context::with_key(&first);
    context.update(salt);
    context.update(&1_u32.to_be_bytes());
    let mut round = Secret::new(words(context.sign().as_ref()));

    let mut sum = Secret::new(*round.expose_secret());
    for _ in 1..iterations {
        // "Ui   := HMAC(str, Ui-1)", "Hi := U1 XOR U2 XOR ... XOR Ui"
        let mut state = *inner.expose_secret();
        compress256(&mut state, &[block(round.expose_secret())]);
        let mut next = *outer.expose_secret();
        compress256(&mut next, &[block(&state)]);
        for (sum, word) in sum.expose_secret_mut().iter_mut().zip(next) {
            *sum ^= word;
        }
        *round.expose_secret_mut() = next;
    }
    let mut octets = Secret::new([0_u8; 32]);
    for (place, word) in octets
        .expose_secret_mut()
        .chunks_exact_mut(4)
        .zip(sum.expose_secret())
    {
        place.copy_from_slice(&word.to_be_bytes());
    }
    octets
}

/// The state after the block of the padded key.
fn keyed(key: &[u8; 64], pad: u8) -> Secret<[u32; 8]> {
    let padded = Secret::new(key.map(|octet| octet ^ pad));
    let mut state = Secret::new(INITIAL);
    compress256(
        state.expose_secret_mut(),
        core::slice::from_ref(padded.expose_secret()),
    );
    state
}

/// The last block of a message of 64 + 32 octets: a digest, then the padding and the length of 768 bits.
fn block(digest: &[u32; 8]) -> [u8; 64] {
    let mut block = [0; 64];
    for (place, word) in block.chunks_exact_mut(4).zip(digest) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    block[32] = 0x80;
    block[62] = 0x03;
    block
}

fn words(octets: &[u8]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, octets) in words.iter_mut().zip(octets.as_chunks().0) {
        *word = u32::from_be_bytes(*octets);
    }
    words
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn ring_s(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
        let mut out = [0; 32];
        let iterations = NonZeroU32::new(iterations).unwrap();
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            password,
            &mut out,
        );
        out
    }

    proptest! {
        #[test]
        fn as_ring_derives(
            password in prop::collection::vec(any::<u8>(), 0..140),
            salt in prop::collection::vec(any::<u8>(), 0..80),
            iterations in 1_u32..40,
        ) {
            prop_assert_eq!(*hi(&password, &salt, iterations).expose_secret(), ring_s(&password, &salt, iterations));
        }
    }
}
