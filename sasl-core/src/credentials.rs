//! User names, and what a client logs in with.

use core::fmt;
use core::str::FromStr;

use mail_wire::Secret;

use crate::client::DerivedKeys;

/// A user name of an exchange: who authenticates (authcid), or who is acted as (authzid).
///
/// Not empty, UTF-8 without NUL, at most 1,024 octets. It came from the peer: bind it as a parameter where a database is asked, and
/// never build a query, a path or a template out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(String);

impl Identity {
    /// The most octets that one may have: 1,024. RFC 4616 §2: "Servers MUST be capable of accepting authzid, authcid, and passwd
    /// productions up to and including 255 octets."
    pub const MAX: usize = 1_024;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(name: &str) -> Result<Self, InvalidIdentity> {
        if name.is_empty() {
            return Err(InvalidIdentity::Empty);
        }
        if name.len() > Self::MAX {
            return Err(InvalidIdentity::TooLong { length: name.len() });
        }
        match name.bytes().position(|octet| octet == 0) {
            Some(at) => Err(InvalidIdentity::Nul { at }),
            None => Ok(Self(name.to_owned())),
        }
    }
}

impl TryFrom<&[u8]> for Identity {
    type Error = InvalidIdentity;

    fn try_from(name: &[u8]) -> Result<Self, InvalidIdentity> {
        core::str::from_utf8(name)
            .map_err(|error| InvalidIdentity::Utf8 {
                at: error.valid_up_to(),
            })?
            .parse()
    }
}

/// Why something is not a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// Nothing is there.
    #[error("an empty user name")]
    Empty,
    /// More than [`Identity::MAX`] octets.
    #[error("a user name of {length} octets, where 1,024 are allowed")]
    TooLong {
        /// How many there are.
        length: usize,
    },
    /// A NUL.
    #[error("NUL at octet {at} of a user name")]
    Nul {
        /// Where it stands.
        at: usize,
    },
    /// Not UTF-8.
    #[error("octet {at} of a user name is not UTF-8")]
    Utf8 {
        /// Where it goes wrong.
        at: usize,
    },
}

/// What a client logs in with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Credentials {
    /// Whose password it is.
    pub authcid: Identity,
    /// Whom to act as; `None`: oneself.
    pub authzid: Option<Identity>,
    /// The password.
    pub password: Secret<String>,
    /// Keys of an earlier login, which spare the derivation when the server asks for the same ones (RFC 5802 §5.1, attribute `i`).
    pub keys: Option<DerivedKeys>,
}

impl Credentials {
    /// To log in as oneself.
    #[must_use]
    pub fn new(authcid: Identity, password: impl Into<String>) -> Self {
        Self {
            authcid,
            authzid: None,
            password: Secret::new(password.into()),
            keys: None,
        }
    }
}
