//! What a server keeps of a password.

use core::fmt;
use core::str::FromStr;

use mail_wire::{Secret, ct_eq};

use crate::prepare::{self, Unprepared};
use crate::scram::{hash, hmac_parts};
use crate::{base64, pbkdf2};

/// The keys of SCRAM-SHA-256 that a server stores instead of a password (RFC 5802 §3: StoredKey, ServerKey).
///
/// They print and parse as `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the form of RFC 5803. Who steals them can try
/// passwords and play the server, but cannot log in.
///
/// ```
/// use sasl_core::StoredKeys;
///
/// let keys = StoredKeys::derive("pencil", b"salt of 16 octet".to_vec(), 4096)?;
/// let kept = keys.to_string();
/// assert!(kept.starts_with("SCRAM-SHA-256$4096:c2FsdCBvZiAxNiBvY3RldA==$"));
/// assert!(kept.parse::<StoredKeys>()?.verify("pencil"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StoredKeys {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Secret<[u8; 32]>,
    pub(crate) server_key: Secret<[u8; 32]>,
}

impl StoredKeys {
    /// The number of rounds for new passwords: 65,536. More is dearer for whoever steals the keys, and for each client at each login;
    /// but clients with Cyrus SASL (mbsync, mutt) refuse to compute more, and then nobody logs in by SCRAM with them.
    pub const ITERATIONS: u32 = 65_536;

    /// Derives the keys of a password, in `iterations` rounds of PBKDF2: tens of milliseconds for 65,536, so not on a thread
    /// that serves others.
    ///
    /// The salt is to be random, of 16 octets, the same length for all users.
    ///
    /// # Errors
    ///
    /// [`Unprepared`] for a password that SASLprep does not let be stored.
    pub fn derive(password: &str, salt: Vec<u8>, iterations: u32) -> Result<Self, Unprepared> {
        let prepared = Secret::new(prepare::stored(password)?.into_owned());
        let salted = pbkdf2::hi(prepared.expose_secret().as_bytes(), &salt, iterations);
        let (client_key, server_key) = client_and_server_key(&salted);
        Ok(Self {
            salt,
            iterations: iterations.max(1),
            stored_key: Secret::new(hash(client_key.expose_secret())),
            server_key,
        })
    }

    /// Whether `password` is the one of these keys: for `PLAIN`, `LOGIN` and other plaintext logins. As costly as
    /// [`derive`](Self::derive).
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        let Ok(prepared) = prepare::query(password) else {
            return false;
        };
        let prepared = Secret::new(prepared.into_owned());
        let salted = pbkdf2::hi(
            prepared.expose_secret().as_bytes(),
            &self.salt,
            self.iterations,
        );
        let (client_key, _) = client_and_server_key(&salted);
        self.stored_key.ct_eq(hash(client_key.expose_secret()))
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The number of rounds.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Keys for a user who does not exist, which no password has.
    ///
    /// Salt and keys are HMACs of the name under a secret of the server, so they are the same at each attempt, and of the form of
    /// everyone else's.
    pub(crate) fn of_nobody(
        secret: &Secret<[u8; 32]>,
        name: &str,
        salt_length: usize,
        iterations: u32,
    ) -> Self {
        let of = |label: &[u8]| {
            hmac_parts(
                secret.expose_secret(),
                &[b"SCRAM-SHA-256 ", label, b"\0", name.as_bytes()],
            )
        };
        let mut salt = Vec::with_capacity(salt_length.next_multiple_of(32));
        for block in 0_u32.. {
            if salt.len() >= salt_length {
                break;
            }
            salt.extend_from_slice(&of(&[&b"salt"[..], &block.to_be_bytes()].concat()));
        }
        salt.truncate(salt_length);
        Self {
            salt,
            iterations,
            stored_key: Secret::new(of(b"stored key")),
            server_key: Secret::new(of(b"server key")),
        }
    }
}

/// Equal when all four parts are, compared in constant time.
impl PartialEq for StoredKeys {
    fn eq(&self, other: &Self) -> bool {
        self.iterations == other.iterations
            && ct_eq(&self.salt, &other.salt)
            && self.stored_key.ct_eq(other.stored_key.expose_secret())
            && self.server_key.ct_eq(other.server_key.expose_secret())
    }
}

impl Eq for StoredKeys {}

pub(crate) fn client_and_server_key(
    salted: &Secret<[u8; 32]>,
) -> (Secret<[u8; 32]>, Secret<[u8; 32]>) {
    let salted = salted.expose_secret();
    (
        Secret::new(hmac_parts(salted, &[b"Client Key"])),
        Secret::new(hmac_parts(salted, &[b"Server Key"])),
    )
}

impl fmt::Display for StoredKeys {
    /// The text to be stored; it holds the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            base64::encode(&self.salt).expose_secret(),
            base64::encode(self.stored_key.expose_secret()).expose_secret(),
            base64::encode(self.server_key.expose_secret()).expose_secret(),
        )
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKeys")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// A text is not that of stored keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")]
pub struct InvalidStoredKeys;

impl FromStr for StoredKeys {
    type Err = InvalidStoredKeys;

    fn from_str(text: &str) -> Result<Self, InvalidStoredKeys> {
        let mut parts = text.split('$');
        let (Some("SCRAM-SHA-256"), Some(info), Some(value), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidStoredKeys);
        };
        let (iterations, salt) = info.split_once(':').ok_or(InvalidStoredKeys)?;
        let (stored_key, server_key) = value.split_once(':').ok_or(InvalidStoredKeys)?;
        if !iterations.bytes().all(|octet| octet.is_ascii_digit()) || iterations.starts_with('0') {
            return Err(InvalidStoredKeys);
        }
        let octets = |text: &str| base64::decode(text.as_bytes()).map_err(|_| InvalidStoredKeys);
        let key = |text: &str| -> Result<Secret<[u8; 32]>, InvalidStoredKeys> {
            let key = octets(text)?;
            let key =
                <[u8; 32]>::try_from(&key.expose_secret()[..]).map_err(|_| InvalidStoredKeys)?;
            Ok(Secret::new(key))
        };
        Ok(Self {
            iterations: iterations.parse().map_err(|_| InvalidStoredKeys)?,
            salt: octets(salt)?.expose_secret().clone(),
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let keys = StoredKeys::derive("pencil", vec![7; 16], 4096).unwrap();
        let text = keys.to_string();
        assert_eq!(text.parse(), Ok(keys.clone()));
        assert!(keys.verify("pencil") && !keys.verify("pencil ") && !keys.verify(""));
        assert!(!format!("{keys:?}").contains(text.split(['$', ':']).nth(3).unwrap()));
        for cut in 0..text.len() {
            assert_eq!(
                text[..cut].parse::<StoredKeys>(),
                Err(InvalidStoredKeys),
                "cut at {cut}"
            );
        }
        for bad in ["SCRAM-SHA-1$", "SCRAM-SHA-256$+4096"] {
            assert!(
                text.replace("SCRAM-SHA-256$4096", bad)
                    .parse::<StoredKeys>()
                    .is_err()
            );
        }
        assert_eq!(
            StoredKeys::derive("a\u{487}", vec![7; 16], 1),
            Err(Unprepared::Unassigned)
        );
    }

    #[test]
    fn nobody_is_stable() {
        let secret = Secret::new([1; 32]);
        let of = |name, length| StoredKeys::of_nobody(&secret, name, length, 4096);
        assert_eq!(of("a", 16), of("a", 16));
        assert_ne!(of("a", 16).salt(), of("b", 16).salt());
        assert_eq!((of("a", 0).salt().len(), of("a", 40).salt().len()), (0, 40));
    }
}
