//! The one message of PLAIN (RFC 4616).

use mail_wire::Secret;

use crate::{Identity, InvalidIdentity, Limits};

/// RFC 4616 §2: `message = [authzid] UTF8NUL authcid UTF8NUL passwd`
#[derive(Debug, Clone)]
pub struct Message {
    /// Whom to act as; `None`: the one who authenticates.
    pub authzid: Option<Identity>,
    /// Who authenticates.
    pub authcid: Identity,
    /// With which password; not empty.
    pub password: Secret<String>,
}

/// Why a message does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlain {
    /// Not exactly two NULs.
    #[error("a PLAIN message has two NULs (RFC 4616 §2)")]
    Nuls,
    /// One of the names.
    #[error(transparent)]
    Identity(#[from] InvalidIdentity),
    /// The password is empty, too long or not UTF-8.
    #[error("the password is empty, too long, or not UTF-8 (RFC 4616 §2)")]
    Password,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`InvalidPlain`]: whatever the grammar or `limits` do not allow.
    pub fn parse(message: &[u8], limits: &Limits) -> Result<Self, InvalidPlain> {
        let mut parts = message.split(|octet| *octet == 0);
        let (Some(authzid), Some(authcid), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPlain::Nuls);
        };
        Ok(Self {
            authzid: if authzid.is_empty() {
                None
            } else {
                Some(identity(authzid, limits)?)
            },
            authcid: identity(authcid, limits)?,
            password: password_text(password, limits).ok_or(InvalidPlain::Password)?,
        })
    }

    /// Writes the message.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let authzid = self.authzid.as_ref().map_or("", Identity::as_str);
        let (authcid, password) = (self.authcid.as_str(), self.password.expose_secret());
        let mut message = Secret::new(Vec::with_capacity(
            authzid.len() + authcid.len() + password.len() + 2,
        ));
        let octets = message.expose_secret_mut();
        octets.extend_from_slice(authzid.as_bytes());
        octets.push(0);
        octets.extend_from_slice(authcid.as_bytes());
        octets.push(0);
        octets.extend_from_slice(password.as_bytes());
        message
    }
}

pub(crate) fn identity(octets: &[u8], limits: &Limits) -> Result<Identity, InvalidIdentity> {
    if octets.len() > limits.identity {
        return Err(InvalidIdentity::TooLong {
            length: octets.len(),
        });
    }
    Identity::try_from(octets)
}

pub(crate) fn password_text(octets: &[u8], limits: &Limits) -> Option<Secret<String>> {
    if octets.is_empty() || octets.len() > limits.identity || octets.contains(&0) {
        return None;
    }
    Some(Secret::new(core::str::from_utf8(octets).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        let limits = Limits::default();
        let long = [&b"\0"[..], &[b'a'; 255], b"\0", &[b'b'; 255]].concat();
        let message = Message::parse(&long, &limits).unwrap();
        assert_eq!(message.to_bytes().expose_secret(), &long);
        for (wire, want) in [
            (&b"a\0b"[..], InvalidPlain::Nuls),
            (b"", InvalidPlain::Nuls),
            (b"\0a\0b\0", InvalidPlain::Nuls),
            (b"\0\0b", InvalidPlain::Identity(InvalidIdentity::Empty)),
            (
                b"\0a\xff\0b",
                InvalidPlain::Identity(InvalidIdentity::Utf8 { at: 1 }),
            ),
            (b"\0a\0", InvalidPlain::Password),
            (b"\0a\0\xff", InvalidPlain::Password),
        ] {
            assert_eq!(
                Message::parse(wire, &limits).unwrap_err(),
                want,
                "{}",
                wire.escape_ascii()
            );
        }
    }
}
