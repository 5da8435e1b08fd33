//! The messages of SCRAM (RFC 5802 §7), read strictly.

use mail_wire::Secret;
use ring::{digest, hmac};

use crate::plain::identity;
use crate::{Identity, Limits, base64};

/// Why a message does not follow the grammar of RFC 5802 §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScram {
    /// Not UTF-8, or a NUL.
    #[error("not UTF-8 without NUL")]
    Text,
    /// The part before the user name.
    #[error("the GS2 header is missing or wrong")]
    Gs2Header,
    /// A mandatory extension, of which there are none.
    #[error("a mandatory extension (`m=`), which is not understood")]
    Extension,
    /// An attribute is missing, out of order, empty or wrong.
    #[error("the attribute `{0}` is missing, out of order or wrong")]
    Attribute(char),
}

/// What the client says of channel bindings: the `gs2-cbind-flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingFlag<'a> {
    /// `n`: "client doesn't support channel binding."
    NotSupported,
    /// `y`: "client does support channel binding but thinks the server does not."
    NotOffered,
    /// `p=`: "client requires channel binding", of this name.
    Used(&'a str),
}

/// `client-first-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// The channel binding flag.
    pub flag: BindingFlag<'a>,
    /// `gs2-header`, as it was sent.
    pub gs2_header: &'a str,
    /// `a=`, decoded.
    pub authzid: Option<Identity>,
    /// `n=`, decoded but not prepared.
    pub authcid: Identity,
    /// `r=`.
    pub nonce: &'a str,
    /// `client-first-message-bare`, as it was sent.
    pub bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// Reads the message.
    ///
    /// # Errors
    ///
    /// [`InvalidScram`]: what the grammar or `limits` do not allow.
    pub fn parse(message: &'a [u8], limits: &Limits) -> Result<Self, InvalidScram> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(InvalidScram::Gs2Header)?;
        let (authzid, bare) = rest.split_once(',').ok_or(InvalidScram::Gs2Header)?;
        let flag = match flag {
            "n" => BindingFlag::NotSupported,
            "y" => BindingFlag::NotOffered,
            _ => match flag.strip_prefix("p=") {
                Some(name) if is_binding_name(name) => BindingFlag::Used(name),
                _ => return Err(InvalidScram::Gs2Header),
            },
        };
        let authzid = match authzid {
            "" => None,
            _ => {
                let name = authzid.strip_prefix("a=").ok_or(InvalidScram::Gs2Header)?;
                Some(decode_name(name, limits).ok_or(InvalidScram::Gs2Header)?)
            }
        };
        let header_length = text.len() - bare.len();
        let mut attributes = Attributes::new(bare)?;
        let authcid = attributes.next('n')?;
        let nonce = attributes.next('r')?;
        attributes.extensions()?;
        Ok(Self {
            flag,
            gs2_header: text.get(..header_length).unwrap_or_default(),
            authzid,
            authcid: decode_name(authcid, limits).ok_or(InvalidScram::Attribute('n'))?,
            nonce: printable(nonce)?,
            bare,
        })
    }
}

/// `server-first-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFirst<'a> {
    /// `r=`: the client's nonce and the server's.
    pub nonce: &'a str,
    /// `s=`, decoded.
    pub salt: Vec<u8>,
    /// `i=`.
    pub iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// Reads the message.
    ///
    /// # Errors
    ///
    /// [`InvalidScram`]: what the grammar or `limits` do not allow; a count that does not fit in 32 bits too.
    pub fn parse(message: &'a [u8], limits: &Limits) -> Result<Self, InvalidScram> {
        let mut attributes = Attributes::new(text(message)?)?;
        let nonce = printable(attributes.next('r')?)?;
        let salt = octets(attributes.next('s')?, 's')?;
        let iterations = attributes.next('i')?;
        attributes.extensions()?;
        if salt.is_empty() || salt.len() > limits.salt {
            return Err(InvalidScram::Attribute('s'));
        }
        Ok(Self {
            nonce,
            salt,
            iterations: posit_number(iterations).ok_or(InvalidScram::Attribute('i'))?,
        })
    }
}

/// `client-final-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// `c=`, decoded: `cbind-input`.
    pub channel_binding: Vec<u8>,
    /// `r=`.
    pub nonce: &'a str,
    /// `p=`, decoded.
    pub proof: [u8; 32],
    /// `client-final-message-without-proof`, as it was sent.
    pub without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    /// Reads the message.
    ///
    /// # Errors
    ///
    /// [`InvalidScram`]: what the grammar does not allow.
    pub fn parse(message: &'a [u8]) -> Result<Self, InvalidScram> {
        let (without_proof, proof) = text(message)?
            .rsplit_once(",p=")
            .ok_or(InvalidScram::Attribute('p'))?;
        let mut attributes = Attributes::new(without_proof)?;
        let channel_binding = octets(attributes.next('c')?, 'c')?;
        let nonce = printable(attributes.next('r')?)?;
        attributes.extensions()?;
        Ok(Self {
            channel_binding,
            nonce,
            proof: digest_value(proof, 'p')?,
            without_proof,
        })
    }
}

/// `server-final-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFinal<'a> {
    /// `v=`, decoded: the server's signature.
    Verifier([u8; 32]),
    /// `e=`: what failed.
    Error(&'a str),
}

impl<'a> ServerFinal<'a> {
    /// Reads the message.
    ///
    /// # Errors
    ///
    /// [`InvalidScram`]: what the grammar does not allow.
    pub fn parse(message: &'a [u8]) -> Result<Self, InvalidScram> {
        let text = text(message)?;
        let mut attributes = Attributes::new(text)?;
        let answer = if text.starts_with("e=") {
            Self::Error(attributes.next('e')?)
        } else {
            Self::Verifier(digest_value(attributes.next('v')?, 'v')?)
        };
        attributes.extensions()?;
        Ok(answer)
    }
}

/// Writes a user name as `saslname`. RFC 5802 §5.1: "The characters ',' or '=' in usernames are sent as '=2C' and '=3D' respectively."
#[must_use]
pub fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn decode_name(name: &str, limits: &Limits) -> Option<Identity> {
    let mut decoded = String::with_capacity(name.len());
    let mut parts = name.split('=');
    decoded.push_str(parts.next()?);
    for part in parts {
        // RFC 5802 §5.1: "If the server receives a username that contains '=' not followed by either '2C' or '3D', then the server
        // MUST fail the authentication."
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        decoded.push(character);
        decoded.push_str(rest);
    }
    identity(decoded.as_bytes(), limits).ok()
}

fn text(message: &[u8]) -> Result<&str, InvalidScram> {
    if message.contains(&0) {
        return Err(InvalidScram::Text);
    }
    core::str::from_utf8(message).map_err(|_| InvalidScram::Text)
}

/// `attr-val *("," attr-val)`, whose first ones stand in a fixed order.
struct Attributes<'a> {
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn new(text: &'a str) -> Result<Self, InvalidScram> {
        // RFC 5802 §5.1: "its presence in a client or a server message MUST cause authentication failure when the attribute is
        // parsed by the other end."
        if text.split(',').any(|attribute| attribute.starts_with("m=")) {
            return Err(InvalidScram::Extension);
        }
        Ok(Self { rest: Some(text) })
    }

    fn next(&mut self, name: char) -> Result<&'a str, InvalidScram> {
        let rest = self.rest.ok_or(InvalidScram::Attribute(name))?;
        let (attribute, rest) = match rest.split_once(',') {
            Some((attribute, rest)) => (attribute, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        match attribute
            .strip_prefix(name)
            .and_then(|value| value.strip_prefix('='))
        {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(InvalidScram::Attribute(name)),
        }
    }

    /// RFC 5802 §5.1: "Unknown optional extensions MUST be ignored upon receipt."
    fn extensions(self) -> Result<(), InvalidScram> {
        for attribute in self.rest.iter().flat_map(|rest| rest.split(',')) {
            let mut characters = attribute.chars();
            match (characters.next(), characters.next(), characters.next()) {
                (Some(name), Some('='), Some(_)) if name.is_ascii_alphabetic() => {}
                (name, ..) => return Err(InvalidScram::Attribute(name.unwrap_or(','))),
            }
        }
        Ok(())
    }
}

fn is_binding_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'))
}

fn printable(nonce: &str) -> Result<&str, InvalidScram> {
    if nonce
        .bytes()
        .all(|octet| matches!(octet, 0x21..=0x2b | 0x2d..=0x7e))
    {
        Ok(nonce)
    } else {
        Err(InvalidScram::Attribute('r'))
    }
}

/// `posit-number = %x31-39 *DIGIT`
fn posit_number(digits: &str) -> Option<u32> {
    if digits.starts_with('0') || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn octets(value: &str, name: char) -> Result<Vec<u8>, InvalidScram> {
    let octets = base64::decode(value.as_bytes()).map_err(|_| InvalidScram::Attribute(name))?;
    Ok(octets.expose_secret().clone())
}

fn digest_value(value: &str, name: char) -> Result<[u8; 32], InvalidScram> {
    octets(value, name)?
        .try_into()
        .map_err(|_| InvalidScram::Attribute(name))
}

pub(crate) fn hmac_parts(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    array(context.sign().as_ref())
}

pub(crate) fn hash(octets: &[u8]) -> [u8; 32] {
    array(digest::digest(&digest::SHA256, octets).as_ref())
}

pub(crate) fn xor(a: &[u8; 32], b: &[u8; 32]) -> Secret<[u8; 32]> {
    let mut out = Secret::new(*a);
    for (octet, other) in out.expose_secret_mut().iter_mut().zip(b) {
        *octet ^= other;
    }
    out
}

/// A digest of SHA-256 always fills the array.
fn array(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (place, octet) in out.iter_mut().zip(octets) {
        *place = *octet;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let limits = Limits::default();
        assert_eq!(encode_name("a=2C,b"), "a=3D2C=2Cb");
        for (name, want) in [
            ("a=2Cb=3Dc", Some("a,b=c")),
            ("a=3D2C", Some("a=2C")),
            ("a=2c", None),
            ("a=", None),
            ("=3D", Some("=")),
        ] {
            assert_eq!(
                decode_name(name, &limits).as_ref().map(Identity::as_str),
                want,
                "{name}"
            );
        }
    }

    #[test]
    fn extensions_are_ignored_where_they_may_stand() {
        let limits = Limits::default();
        let first = ClientFirst::parse(b"n,,n=u,r=abc,x=1,y=2=3", &limits).unwrap();
        assert_eq!((first.nonce, first.gs2_header), ("abc", "n,,"));
        assert!(ClientFirst::parse(b"n,,n=u,r=abc,", &limits).is_err());
        assert!(ClientFirst::parse(b"n,,n=u,r=abc,1=2", &limits).is_err());
        assert_eq!(
            ClientFirst::parse(b"n,,n=u,r=abc,m=2", &limits),
            Err(InvalidScram::Extension)
        );
    }
}
