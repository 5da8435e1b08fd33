//! Nonces out of handed-in randomness.

use mail_wire::Secret;
use ring::hmac;

/// 32 octets of randomness, handed in by the application once for each connection; every nonce comes out of it.
///
/// A nonce is HMAC-SHA-256 of a counter under these octets, so the same octets give the same nonces: in tests that is wanted, in a
/// server each connection must have octets of its own from a generator fit for keys.
#[derive(Debug)]
pub struct Entropy {
    seed: Secret<[u8; 32]>,
    drawn: u64,
    fixed: Option<String>,
}

impl Entropy {
    /// Takes the octets in.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self {
            seed: Secret::new(seed),
            drawn: 0,
            fixed: None,
        }
    }

    /// Gives one nonce, always the same: for the examples of RFCs, whose nonces are given. Never for a connection.
    #[doc(hidden)]
    #[must_use]
    pub fn fixed_for_tests(nonce: &str) -> Self {
        Self {
            fixed: Some(nonce.to_owned()),
            ..Self::new([0; 32])
        }
    }

    /// A nonce of 24 characters, which hold 144 bits: printable, and without a comma, as RFC 5802 §7 asks.
    #[must_use]
    pub fn nonce(&mut self) -> String {
        if let Some(nonce) = &self.fixed {
            return nonce.clone();
        }
        self.drawn += 1;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.seed.expose_secret());
        let mut message = *b"nonce\0\0\0\0\0\0\0\0";
        if let Some(counter) = message.last_chunk_mut::<8>() {
            *counter = self.drawn.to_be_bytes();
        }
        let tag = hmac::sign(&key, &message);
        let bits = tag.as_ref().get(..18).unwrap_or_default();
        crate::base64::encode(bits).expose_secret().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_differ_and_repeat_with_the_seed() {
        let (mut a, mut b) = (Entropy::new([7; 32]), Entropy::new([7; 32]));
        let (first, second) = (a.nonce(), a.nonce());
        assert_ne!(first, second);
        assert_eq!(first.len(), 24);
        assert_eq!((b.nonce(), b.nonce()), (first.clone(), second));
        assert_ne!(Entropy::new([8; 32]).nonce(), first);
    }
}
