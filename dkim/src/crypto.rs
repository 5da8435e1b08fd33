//! What is needed of a cryptographic library, chosen by value: [`RING`] is always there, `AWS_LC_RS` with the feature `aws-lc-rs`.

use core::fmt;

use crate::public_key::{Ed25519PublicKey, RsaPublicKey};

/// A cryptographic library.
///
/// The keys it gets are checked: their sizes are within bounds, and none is a point of small order.
pub trait Crypto: fmt::Debug + Send + Sync {
    /// Begins to hash by SHA-256.
    fn sha256(&self) -> Box<dyn Sha256>;

    /// The SHA-256 hash of octets that are all there.
    fn sha256_of(&self, octets: &[u8]) -> [u8; 32] {
        let mut hash = self.sha256();
        hash.update(octets);
        hash.finish()
    }

    /// Begins to hash by SHA-1, for signatures by rsa-sha1 where they are accepted at all.
    fn sha1(&self) -> Box<dyn Sha1>;

    /// Whether this is a signature by RSASSA-PKCS1-v1_5 with SHA-1 over `signed`, which is not hashed yet.
    fn verify_rsa_sha1(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool;

    /// Whether this is a signature by RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2) over `signed`, which is not hashed yet.
    fn verify_rsa_sha256(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool;

    /// Whether this is a PureEdDSA Ed25519 signature (RFC 8032 §5.1.7) over `signed`, which for DKIM is a hash.
    fn verify_ed25519(&self, key: &Ed25519PublicKey, signed: &[u8], signature: &[u8]) -> bool;
}

/// A SHA-256 hash that is being computed.
pub trait Sha256: fmt::Debug + Send + Sync {
    /// Takes octets.
    fn update(&mut self, octets: &[u8]);
    /// The hash.
    fn finish(self: Box<Self>) -> [u8; 32];
}

/// A SHA-1 hash that is being computed.
pub trait Sha1: fmt::Debug + Send + Sync {
    /// Takes octets.
    fn update(&mut self, octets: &[u8]);
    /// The hash.
    fn finish(self: Box<Self>) -> [u8; 20];
}

/// Cryptography by the crate ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

/// Cryptography by the crate ring, as a value.
pub static RING: Ring = Ring;

impl Crypto for Ring {
    fn sha256(&self) -> Box<dyn Sha256> {
        Box::new(RingHash(ring::digest::Context::new(&ring::digest::SHA256)))
    }

    fn sha256_of(&self, octets: &[u8]) -> [u8; 32] {
        array(ring::digest::digest(&ring::digest::SHA256, octets).as_ref())
    }

    fn sha1(&self) -> Box<dyn Sha1> {
        let sha1 = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        Box::new(RingHash(ring::digest::Context::new(sha1)))
    }

    fn verify_rsa_sha1(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool {
        let parts = ring::signature::RsaPublicKeyComponents {
            n: key.modulus(),
            e: key.exponent(),
        };
        let algorithm = &ring::signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
        parts.verify(algorithm, signed, signature).is_ok()
    }

    fn verify_rsa_sha256(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool {
        let parts = ring::signature::RsaPublicKeyComponents {
            n: key.modulus(),
            e: key.exponent(),
        };
        // RFC 8301 §3.2: "Verifiers MUST be able to validate signatures with keys ranging from 1024 bits to 4096 bits".
        let algorithm = &ring::signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        parts.verify(algorithm, signed, signature).is_ok()
    }

    fn verify_ed25519(&self, key: &Ed25519PublicKey, signed: &[u8], signature: &[u8]) -> bool {
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key.octets());
        key.verify(signed, signature).is_ok()
    }
}

struct RingHash(ring::digest::Context);

impl fmt::Debug for RingHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingHash")
    }
}

impl Sha256 for RingHash {
    fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    fn finish(self: Box<Self>) -> [u8; 32] {
        array(self.0.finish().as_ref())
    }
}

impl Sha1 for RingHash {
    fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    fn finish(self: Box<Self>) -> [u8; 20] {
        array(self.0.finish().as_ref())
    }
}

/// A hash, whose length is that of its algorithm: the zip cannot fall short.
fn array<const N: usize>(hash: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    for (to, from) in array.iter_mut().zip(hash) {
        *to = *from;
    }
    array
}

/// Cryptography by the crate aws-lc-rs.
#[cfg(feature = "aws-lc-rs")]
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLcRs;

/// Cryptography by the crate aws-lc-rs, as a value.
#[cfg(feature = "aws-lc-rs")]
pub static AWS_LC_RS: AwsLcRs = AwsLcRs;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use core::fmt;

    use aws_lc_rs::{digest, signature};

    use super::{AwsLcRs, Crypto, Sha1, Sha256, array};
    use crate::public_key::{Ed25519PublicKey, RsaPublicKey};

    impl Crypto for AwsLcRs {
        fn sha256(&self) -> Box<dyn Sha256> {
            Box::new(AwsLcHash(digest::Context::new(&digest::SHA256)))
        }

        fn sha256_of(&self, octets: &[u8]) -> [u8; 32] {
            array(digest::digest(&digest::SHA256, octets).as_ref())
        }

        fn sha1(&self) -> Box<dyn Sha1> {
            let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
            Box::new(AwsLcHash(digest::Context::new(sha1)))
        }

        fn verify_rsa_sha1(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool {
            let parts = signature::RsaPublicKeyComponents {
                n: key.modulus(),
                e: key.exponent(),
            };
            let algorithm = &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
            parts.verify(algorithm, signed, signature).is_ok()
        }

        fn verify_rsa_sha256(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool {
            let parts = signature::RsaPublicKeyComponents {
                n: key.modulus(),
                e: key.exponent(),
            };
            let algorithm = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
            parts.verify(algorithm, signed, signature).is_ok()
        }

        fn verify_ed25519(&self, key: &Ed25519PublicKey, signed: &[u8], signature: &[u8]) -> bool {
            let key = signature::UnparsedPublicKey::new(&signature::ED25519, key.octets());
            key.verify(signed, signature).is_ok()
        }
    }

    struct AwsLcHash(digest::Context);

    impl fmt::Debug for AwsLcHash {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("AwsLcHash")
        }
    }

    impl Sha256 for AwsLcHash {
        fn update(&mut self, octets: &[u8]) {
            self.0.update(octets);
        }

        fn finish(self: Box<Self>) -> [u8; 32] {
            array(self.0.finish().as_ref())
        }
    }

    impl Sha1 for AwsLcHash {
        fn update(&mut self, octets: &[u8]) {
            self.0.update(octets);
        }

        fn finish(self: Box<Self>) -> [u8; 20] {
            array(self.0.finish().as_ref())
        }
    }
}
