//! Mechanism names, and which of them may be offered.

use core::fmt;
use core::str::FromStr;

use mail_wire::TlsInfo;

/// A SASL mechanism, by its IANA name.
///
/// Their order is their strength, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// `LOGIN` (draft-murchison-sasl-login-00): `PLAIN` in two messages, for old clients.
    Login,
    /// `PLAIN` (RFC 4616).
    Plain,
    /// `SCRAM-SHA-256` (RFC 7677).
    ScramSha256,
    /// `SCRAM-SHA-256-PLUS` (RFC 7677): bound to the TLS connection.
    ScramSha256Plus,
}

impl Mechanism {
    /// Every mechanism of this crate, strongest first.
    pub const ALL: [Self; 4] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::Plain,
        Self::Login,
    ];

    /// The name as registered with IANA.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// Whether the password itself crosses the wire.
    #[must_use]
    pub const fn is_plaintext(self) -> bool {
        matches!(self, Self::Login | Self::Plain)
    }

    /// Whether the client speaks first, so that an initial response may stand beside the mechanism's name.
    #[must_use]
    pub const fn is_client_first(self) -> bool {
        !matches!(self, Self::Login)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
            .ok_or(UnknownMechanism)
    }
}

/// No mechanism of this crate has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SASL mechanism that is not implemented: choose one of those offered")]
pub struct UnknownMechanism;

/// When a password may cross the wire as it is: `PLAIN`, `LOGIN`, and the plaintext commands of IMAP and POP3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PlaintextPolicy {
    /// Under TLS only. RFC 4616 §5: implementations "SHOULD NOT make use of the PLAIN mechanism unless adequate data security
    /// services are in place."
    #[default]
    RequireTls,
    /// Never, not even under TLS.
    Never,
    /// Always: for a socket that nobody else can read.
    Always,
}

impl PlaintextPolicy {
    /// Whether a plaintext password may be used.
    #[must_use]
    pub const fn allows(self, under_tls: bool) -> bool {
        match self {
            Self::RequireTls => under_tls,
            Self::Never => false,
            Self::Always => true,
        }
    }
}

/// A set of mechanisms, which iterates and prints strongest first, as EHLO, CAPABILITY and CAPA list them.
///
/// ```
/// use sasl_core::{Mechanism, Mechanisms};
///
/// let offered = Mechanisms::from_names("PLAIN XOAUTH2 scram-sha-256");
/// assert_eq!(offered.to_string(), "SCRAM-SHA-256 PLAIN");
/// assert!(!offered.contains(Mechanism::Login));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mechanisms(u8);

impl Mechanisms {
    /// No mechanism.
    pub const NONE: Self = Self(0);

    /// Every mechanism of this crate.
    #[must_use]
    pub fn all() -> Self {
        Mechanism::ALL.into_iter().collect()
    }

    /// Reads a list of names parted by spaces; the names of other mechanisms are passed over.
    #[must_use]
    pub fn from_names(list: &str) -> Self {
        list.split_ascii_whitespace()
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    /// Whether `mechanism` is one of them.
    #[must_use]
    pub const fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds `mechanism`.
    pub const fn insert(&mut self, mechanism: Mechanism) {
        self.0 |= mechanism.bit();
    }

    /// Takes `mechanism` away.
    pub const fn remove(&mut self, mechanism: Mechanism) {
        self.0 &= !mechanism.bit();
    }

    /// The mechanisms, strongest first.
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL
            .into_iter()
            .filter(move |mechanism| self.contains(*mechanism))
    }

    /// Those of them that may be offered or used on a connection: plaintext ones as `policy` says, `-PLUS` where the TLS
    /// connection (`None`: there is none) has a channel binding.
    #[must_use]
    pub fn allowed(self, policy: PlaintextPolicy, tls: Option<&TlsInfo>) -> Self {
        self.iter()
            .filter(|mechanism| match mechanism {
                Mechanism::Login | Mechanism::Plain => policy.allows(tls.is_some()),
                Mechanism::ScramSha256Plus => tls.is_some_and(has_channel_binding),
                Mechanism::ScramSha256 => true,
            })
            .collect()
    }

    /// The strongest that both sets hold.
    #[must_use]
    pub fn strongest_common(self, other: Self) -> Option<Mechanism> {
        Self(self.0 & other.0).iter().next()
    }
}

pub(crate) const fn has_channel_binding(tls: &TlsInfo) -> bool {
    tls.exporter.is_some() || tls.server_end_point.is_some()
}

impl FromIterator<Mechanism> for Mechanisms {
    fn from_iter<I: IntoIterator<Item = Mechanism>>(mechanisms: I) -> Self {
        let mut set = Self::NONE;
        for mechanism in mechanisms {
            set.insert(mechanism);
        }
        set
    }
}

impl fmt::Display for Mechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mechanism) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(mechanism.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_offered() {
        let mut bound = TlsInfo::default();
        bound.server_end_point = Some(vec![1; 32]);
        let plain_tls = TlsInfo::default();
        for (policy, tls, want) in [
            (PlaintextPolicy::RequireTls, None, "SCRAM-SHA-256"),
            (
                PlaintextPolicy::RequireTls,
                Some(&plain_tls),
                "SCRAM-SHA-256 PLAIN LOGIN",
            ),
            (
                PlaintextPolicy::RequireTls,
                Some(&bound),
                "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN",
            ),
            (
                PlaintextPolicy::Never,
                Some(&bound),
                "SCRAM-SHA-256-PLUS SCRAM-SHA-256",
            ),
            (PlaintextPolicy::Always, None, "SCRAM-SHA-256 PLAIN LOGIN"),
        ] {
            assert_eq!(Mechanisms::all().allowed(policy, tls).to_string(), want);
        }
    }

    #[test]
    fn names_round_trip() {
        for mechanism in Mechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
            assert_eq!(mechanism.name().to_lowercase().parse(), Ok(mechanism));
        }
        assert_eq!("SCRAM-SHA-1".parse::<Mechanism>(), Err(UnknownMechanism));
        assert_eq!(
            Mechanisms::from_names(&Mechanisms::all().to_string()),
            Mechanisms::all()
        );
    }
}
