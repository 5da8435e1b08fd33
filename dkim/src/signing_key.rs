//! Private keys, and whatever else can sign: a hardware module, an agent, a service.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::crypto::{Crypto as _, RING};
use crate::key_record::KeyRecord;
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
    /// The source of randomness that was handed in gave none.
    #[error("no key was made: the source of randomness failed")]
    Randomness,
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

impl PrivateKey {
    /// The record to publish for this key, which restricts nothing.
    ///
    /// # Errors
    /// As [`PrivateKey::public_key`].
    pub fn key_record(&self) -> Result<KeyRecord, PublicKeyError> {
        self.public_key().map(KeyRecord::new)
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
            Kind::Ed25519(key) => Ok(key.sign(&RING.sha256_of(octets)).as_ref().to_vec()),
        }
    }
}

/// A private key as it is stored: PKCS#8 in DER (RFC 5958), or around that PEM. It is wiped when it is dropped, and `Debug` shows nothing.
///
/// ```
/// use dkim::signing_key::Pkcs8;
///
/// let stored = Pkcs8::generate_ed25519(&ring::rand::SystemRandom::new())?;
/// let again = Pkcs8::from_pem(&stored.to_pem())?;
/// assert_eq!(stored.private_key()?.public_key()?, again.private_key()?.public_key()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pkcs8(Zeroizing<Vec<u8>>);

/// What stands before the 32 octets of an Ed25519 key in its PKCS#8 form (RFC 8410 §7): version 0, the object identifier 1.3.101.112,
/// and the heads of two octet strings.
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

impl Pkcs8 {
    /// Makes an Ed25519 key of the randomness that is handed in. It has the form that every library reads, without the public key in it.
    ///
    /// ring makes no RSA keys: those come from elsewhere by [`Pkcs8::from_der`] or [`Pkcs8::from_pem`].
    ///
    /// # Errors
    /// [`SigningKeyError::Randomness`].
    pub fn generate_ed25519(
        random: &dyn ring::rand::SecureRandom,
    ) -> Result<Self, SigningKeyError> {
        let mut der = Zeroizing::new([&ED25519_PKCS8[..], &[0; 32]].concat());
        let (_, seed) = der.split_at_mut(ED25519_PKCS8.len());
        random.fill(seed).map_err(|_| SigningKeyError::Randomness)?;
        Ok(Self(der))
    }

    /// Takes a key in DER that can sign.
    ///
    /// # Errors
    /// As [`PrivateKey::from_pkcs8_der`].
    pub fn from_der(der: &[u8]) -> Result<Self, SigningKeyError> {
        PrivateKey::from_pkcs8_der(der)?;
        Ok(Self(Zeroizing::new(der.to_vec())))
    }

    /// Takes the first block `PRIVATE KEY` of a PEM text, a key that can sign.
    ///
    /// # Errors
    /// As [`PrivateKey::from_pem`].
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        let der = pem_block(pem, "PRIVATE KEY")?.ok_or(SigningKeyError::Pem)?;
        PrivateKey::from_pkcs8_der(&der)?;
        Ok(Self(der))
    }

    /// The key in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The key in PEM, for a file that nobody else may read.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        // Lines of 64 characters (RFC 7468 §2).
        const LINE: usize = 48;
        // Room for all of it at once: a string that grows would leave copies behind.
        let mut pem = Zeroizing::new(String::with_capacity(self.0.len() * 2 + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut line = Zeroizing::new(String::with_capacity(64));
        for octets in self.0.chunks(LINE) {
            line.clear();
            STANDARD.encode_string(octets, &mut line);
            pem.push_str(&line);
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }

    /// The key, to sign with.
    ///
    /// # Errors
    /// As [`PrivateKey::from_pkcs8_der`]; there is none for a key that was accepted once.
    pub fn private_key(&self) -> Result<PrivateKey, SigningKeyError> {
        PrivateKey::from_pkcs8_der(&self.0)
    }
}

impl fmt::Debug for Pkcs8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pkcs8([redacted])")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stored_as_openssl_stores_it() {
        for pem in [
            include_str!("../tests/keys/ed25519.pkcs8.pem"),
            include_str!("../tests/keys/rsa2048.pkcs8.pem"),
        ] {
            assert_eq!(*Pkcs8::from_pem(pem).unwrap().to_pem(), pem);
        }
    }

    #[test]
    fn keys_are_made_of_the_randomness_that_is_handed_in() {
        let random = ring::rand::SystemRandom::new();
        let [one, other] = [0; 2].map(|_| Pkcs8::generate_ed25519(&random).unwrap());
        assert_ne!(one.der(), other.der());
        assert_eq!(one.der().len(), 48);
        let seed: [u8; 32] = one.der()[16..].try_into().unwrap();
        let key = PrivateKey::from_ed25519_seed(&seed).unwrap();
        assert_eq!(
            key.key_record().unwrap(),
            one.private_key().unwrap().key_record().unwrap()
        );
        assert_eq!(format!("{one:?}"), "Pkcs8([redacted])");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA",
            "-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----",
            encrypted,
        ] {
            assert_eq!(
                Pkcs8::from_pem(text).err(),
                Some(SigningKeyError::Pem),
                "{text}"
            );
        }
        let short = include_str!("../tests/keys/rsa1024.pkcs8.pem");
        for refused in [Pkcs8::from_pem(short).err(), Pkcs8::from_der(b"pear").err()] {
            assert!(
                matches!(refused, Some(SigningKeyError::Refused(_))),
                "{refused:?}"
            );
        }
    }
}
