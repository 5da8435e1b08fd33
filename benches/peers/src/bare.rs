//! The bare operations of the cryptographic libraries: what every verifier and signer does at least.

macro_rules! bare {
    ($module:ident, $library:ident) => {
        pub(crate) mod $module {
            use $library::digest;
            use $library::rand::SystemRandom;
            use $library::signature::{
                ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
                RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
            };

            /// A pair of keys.
            #[derive(Debug)]
            pub(crate) enum Key {
                Rsa(RsaKeyPair),
                Ed25519(Ed25519KeyPair),
            }

            /// SHA-256.
            pub(crate) fn digest(octets: &[u8]) -> digest::Digest {
                digest::digest(&digest::SHA256, octets)
            }

            impl Key {
                pub(crate) fn new(pkcs8: &[u8]) -> Self {
                    match RsaKeyPair::from_pkcs8(pkcs8) {
                        Ok(key) => Self::Rsa(key),
                        Err(_) => Self::Ed25519(
                            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).expect("a key"),
                        ),
                    }
                }

                /// RSA: a DER RSAPublicKey; Ed25519: the 32 octets.
                pub(crate) fn public(&self) -> Vec<u8> {
                    match self {
                        Self::Rsa(key) => key.public_key().as_ref().to_vec(),
                        Self::Ed25519(key) => key.public_key().as_ref().to_vec(),
                    }
                }

                /// Signs the header block. RFC 8463 §3: what Ed25519 signs is the hash.
                pub(crate) fn sign(&self, block: &[u8]) -> Vec<u8> {
                    match self {
                        Self::Rsa(key) => {
                            let mut signature = vec![0; 256];
                            key.sign(
                                &RSA_PKCS1_SHA256,
                                &SystemRandom::new(),
                                block,
                                &mut signature,
                            )
                            .expect("a signature");
                            signature
                        }
                        Self::Ed25519(key) => key.sign(digest(block).as_ref()).as_ref().to_vec(),
                    }
                }

                /// Verifies the header block by the public key, which is parsed here.
                pub(crate) fn verify(&self, public: &[u8], block: &[u8], signature: &[u8]) {
                    match self {
                        Self::Rsa(_) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                            .verify(block, signature),
                        Self::Ed25519(_) => UnparsedPublicKey::new(&ED25519, public)
                            .verify(digest(block).as_ref(), signature),
                    }
                    .expect("a good signature");
                }
            }
        }
    };
}

bare!(by_ring, ring);
bare!(by_aws_lc, aws_lc_rs);

/// aws-lc-rs signs for us as a hardware module would: through the trait.
impl dkim::SigningKey for by_aws_lc::Key {
    fn algorithm(&self) -> dkim::Algorithm {
        match self {
            Self::Rsa(_) => dkim::Algorithm::RsaSha256,
            Self::Ed25519(_) => dkim::Algorithm::Ed25519Sha256,
        }
    }

    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, dkim::SigningKeyError> {
        Ok(by_aws_lc::Key::sign(self, octets))
    }
}
