//! Whose record is asked, and what the macros say of the client (RFC 7208 §2.3, §2.4, §4.3).

use std::net::IpAddr;

use mail_dns::Name;

use super::Client;
use crate::verdict::{Cause, Identity};

/// Octets of a HELO parameter or sender domain (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Octets of a local part, far above the 64 of RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_PART: usize = 256;

/// What check_host() is called with.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) identity: Identity,
    pub(super) sender: String,
    pub(super) ip: IpAddr,
    pub(super) helo: Box<str>,
    /// Where the local part ends in `sender`.
    local_part: usize,
    /// The domain of the identity, if it has one.
    pub(super) domain: Option<Name>,
}

impl Session {
    pub(super) fn new(client: &Client, identity: Identity, sender: &str) -> Self {
        let (local_part, domain) = match sender {
            "" => ("", client.helo.as_str()),
            sender => sender.rsplit_once('@').unwrap_or(("", sender)),
        };
        // RFC 7208 §4.3: "If the <sender> has no local-part, substitute the string "postmaster" for the local-part."
        let local_part = if local_part.is_empty() {
            "postmaster"
        } else {
            local_part
        };
        let helo = if client.helo.len() <= MAX_DOMAIN {
            client.helo.as_str()
        } else {
            "unknown"
        };
        Self {
            identity,
            sender: [local_part, "@", domain].concat(),
            ip: client.ip.to_canonical(),
            helo: helo.into(),
            local_part: local_part.len(),
            domain: domain_of(domain).filter(|_| local_part.len() <= MAX_LOCAL_PART),
        }
    }

    pub(super) fn local_part(&self) -> &[u8] {
        self.sender
            .as_bytes()
            .get(..self.local_part)
            .unwrap_or_default()
    }

    /// Why there is no domain to ask.
    pub(super) fn no_domain(&self) -> Cause {
        let domain = self.sender.get(self.local_part..).unwrap_or_default();
        if cfg!(feature = "idna") || domain.is_ascii() {
            Cause::NoDomain
        } else {
            Cause::ULabels
        }
    }

    pub(super) fn sender_domain(&self) -> Vec<u8> {
        self.domain
            .as_ref()
            .map(Name::to_dotted)
            .unwrap_or_default()
    }
}

/// RFC 7208 §4.3: a well-formed domain of more than one label; visible ASCII only, and no address literal.
fn domain_of(text: &str) -> Option<Name> {
    if text.len() > 4 * MAX_DOMAIN || text.starts_with('[') {
        return None;
    }
    let text = a_labels(text)?;
    let visible = |octet: u8| matches!(octet, b'!'..=b'~') && octet != b'@';
    let visible = text.bytes().all(visible);
    let name = Name::from_dotted(text.as_bytes())
        .ok()
        .filter(|_| visible)?;
    (name.label_count() > 1).then_some(name)
}

/// RFC 8616 §4: "All U-labels MUST be converted to A-labels before being used for an SPF validation."
#[cfg(feature = "idna")]
fn a_labels(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if text.is_ascii() {
        return Some(text.into());
    }
    let domain = mail_syntax::Domain::parse_utf8(text)
        .ok()?
        .to_a_labels()
        .ok()?;
    Some(domain.as_str().to_owned().into())
}

#[cfg(not(feature = "idna"))]
fn a_labels(text: &str) -> Option<&str> {
    text.is_ascii().then_some(text)
}
