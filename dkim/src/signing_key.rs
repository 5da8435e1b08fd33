//! Private keys, and whatever else can sign: a hardware module, an agent, a service.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::crypto::{RING, sha256};
use crate::public_key::{Ed25519PublicKey, PublicKey, PublicKeyError, RsaPublicKey};
use crate::signature::Algorithm;

/// Something that signs; [`PrivateKey`] does so in memory.
pub trait SigningKey: fmt::Debug + Send + Sync {
    /// The algorithm of its signatures; `rsa-sha1` is refused by the signer.
    fn algorithm(&self) -> Algorithm;

    /// Signs the canonical octets of RFC 6376 §3.7, hash step 2, which are not hashed yet.
    ///
    /// # Errors
    /// [`SigningKeyError`] if the key cannot be reached or used.
    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SigningKeyError>;
}

/// Why a key cannot be read, or does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// No PEM block of a private key, or one with bad base64.
    #[error(
        "no private key in PEM: expected a block PRIVATE KEY or RSA PRIVATE KEY, not encrypted"
    )]
    Pem,
    /// The library refuses the key.
    #[error(
        "the private key was refused ({0}): RSA keys need 2048 to 4096 bits, in PKCS#8 or PKCS#1; Ed25519 keys PKCS#8"
    )]
    Refused(String),
    /// It did not sign.
    #[error("the key did not sign: {0}")]
    Failed(String),
}

/// A private key in memory.
///
/// RSA keys have 2048 to 4096 bits. `Debug` shows the kind only. What is read from PEM is wiped; what ring keeps of a key is freed
/// with it, and not overwritten.
pub struct PrivateKey(Kind);

enum Kind {
    Rsa(Box<ring::signature::RsaKeyPair>),
    Ed25519(Box<ring::signature::Ed25519KeyPair>),
}

impl PrivateKey {
    /// Reads the first private key in a PEM text: `PRIVATE KEY` (PKCS#8, RFC 5958) or `RSA PRIVATE KEY` (PKCS#1, RFC 8017 §A.1.2).
    ///
    /// # Errors
    /// [`SigningKeyError::Pem`] or [`SigningKeyError::Refused`].
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        if let Some(der) = pem_block(pem, "PRIVATE KEY")? {
            Self::from_pkcs8_der(&der)
        } else if let Some(der) = pem_block(pem, "RSA PRIVATE KEY")? {
            Self::from_pkcs1_der(&der)
        } else {
            Err(SigningKeyError::Pem)
        }
    }

    /// Reads a PKCS#8 key in DER, RSA or Ed25519.
    ///
    /// # Errors
    /// [`SigningKeyError::Refused`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, SigningKeyError> {
        match ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(key) => Ok(Self(Kind::Ed25519(Box::new(key)))),
            Err(_) => Self::rsa(ring::signature::RsaKeyPair::from_pkcs8(der)),
        }
    }

    /// Reads an RSAPrivateKey (RFC 8017 §A.1.2) in DER.
    ///
    /// # Errors
    /// [`SigningKeyError::Refused`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, SigningKeyError> {
        Self::rsa(ring::signature::RsaKeyPair::from_der(der))
    }

    /// The Ed25519 key of a seed, which RFC 8032 §5.1.5 calls the private key.
    ///
    /// # Errors
    /// [`SigningKeyError::Refused`]; ring documents none for a seed of this length.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, SigningKeyError> {
        match ring::signature::Ed25519KeyPair::from_seed_unchecked(seed) {
            Ok(key) => Ok(Self(Kind::Ed25519(Box::new(key)))),
            Err(error) => Err(SigningKeyError::Refused(error.to_string())),
        }
    }

    fn rsa(
        key: Result<ring::signature::RsaKeyPair, ring::error::KeyRejected>,
    ) -> Result<Self, SigningKeyError> {
        match key {
            Ok(key) => Ok(Self(Kind::Rsa(Box::new(key)))),
            Err(error) => Err(SigningKeyError::Refused(error.to_string())),
        }
    }

    /// The public half, for [`KeyRecord::new`](crate::KeyRecord::new).
    ///
    /// # Errors
    /// [`PublicKeyError`] for a key that verifiers refuse; ring makes none.
    pub fn public_key(&self) -> Result<PublicKey, PublicKeyError> {
        use ring::signature::KeyPair as _;
        Ok(match &self.0 {
            Kind::Rsa(key) => PublicKey::Rsa(RsaPublicKey::from_der(key.public_key().as_ref())?),
            Kind::Ed25519(key) => {
                PublicKey::Ed25519(Ed25519PublicKey::from_octets(key.public_key().as_ref())?)
            }
        })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, [redacted])", self.algorithm())
    }
}

impl SigningKey for PrivateKey {
    fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Kind::Rsa(_) => Algorithm::RsaSha256,
            Kind::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        match &self.0 {
            Kind::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // PKCS#1 v1.5 is deterministic: ring asks for a source of randomness and does not read it.
                let unread = ring::rand::SystemRandom::new();
                key.sign(
                    &ring::signature::RSA_PKCS1_SHA256,
                    &unread,
                    octets,
                    &mut signature,
                )
                .map_err(|error| SigningKeyError::Failed(error.to_string()))?;
                Ok(signature)
            }
            // RFC 8463 §3: "It signs the hash with the PureEdDSA variant Ed25519".
            Kind::Ed25519(key) => Ok(key.sign(&sha256(&RING, octets)).as_ref().to_vec()),
        }
    }
}

/// The octets of the first PEM block with this label (RFC 7468).
fn pem_block(pem: &str, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SigningKeyError> {
    let begin = format!("-----BEGIN {label}-----");
    let Some((_, rest)) = pem.split_once(&begin) else {
        return Ok(None);
    };
    let (text, _) = rest.split_once("-----END ").ok_or(SigningKeyError::Pem)?;
    // Room for all of it at once: a vector that grows would leave copies behind.
    let mut base64 = Zeroizing::new(Vec::with_capacity(text.len()));
    base64.extend(text.bytes().filter(|octet| !octet.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64.len()]);
    let length = STANDARD
        .decode_slice(&*base64, &mut der)
        .map_err(|_| SigningKeyError::Pem)?;
    der.truncate(length);
    Ok(Some(der))
}
