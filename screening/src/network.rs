//! Addresses as keys: networks (CIDR), and the names of addresses in the DNS.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mail_dns::{Name, NameError};

/// All addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32` (RFC 4632 §3.1, RFC 4291 §2.3).
///
/// The bits behind the prefix are zero. An IPv4 address that came in IPv6 form (`::ffff:192.0.2.1`) is the IPv4 address.
///
/// ```
/// # use screening::Network;
/// let network: Network = "192.0.2.77/24".parse()?;
/// assert_eq!(network.to_string(), "192.0.2.0/24");
/// assert!(network.contains("::ffff:192.0.2.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// What stands before the slash is no IP address.
    #[error("no IP address in front of the prefix length")]
    Address,
    /// The prefix is no number, or longer than the address: 32 bits for IPv4, 128 for IPv6.
    #[error("the prefix length is no number, or longer than the address")]
    Prefix,
}

impl Network {
    /// The network of this many leading bits around an address; a prefix longer than the address is the address alone.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let prefix = prefix.min(32);
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(prefix))
                    .unwrap_or_default();
                Self {
                    address: Ipv4Addr::from_bits(address.to_bits() & mask).into(),
                    prefix,
                }
            }
            IpAddr::V6(address) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(prefix))
                    .unwrap_or_default();
                Self {
                    address: Ipv6Addr::from_bits(address.to_bits() & mask).into(),
                    prefix,
                }
            }
        }
    }

    /// The first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits the addresses share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is a single address.
    pub const fn is_one(&self) -> bool {
        match self.address {
            IpAddr::V4(_) => self.prefix == 32,
            IpAddr::V6(_) => self.prefix == 128,
        }
    }

    /// What tells this network from all others: its first address in IPv6 form, and the length of its prefix there.
    pub(crate) fn octets(&self) -> [u8; 17] {
        let (address, before) = match self.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 96),
            IpAddr::V6(address) => (address, 0),
        };
        let mut octets = [before + self.prefix; 17];
        octets[..16].copy_from_slice(&address.octets());
        octets
    }

    /// Whether this address is one of the network's.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && Self::new(address, self.prefix).address == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// `address/prefix`, or an address alone.
impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let Some(prefix) = prefix else {
            return Ok(Self::new(address, longest));
        };
        let digits = prefix.bytes().all(|octet| octet.is_ascii_digit());
        match prefix.parse() {
            Ok(prefix) if digits && prefix <= longest => Ok(Self::new(address, prefix)),
            _ => Err(NetworkError::Prefix),
        }
    }
}

/// The name of an address in the reverse tree: below `in-addr.arpa` (RFC 1035 §3.5) or `ip6.arpa` (RFC 3596 §2.5).
///
/// An IPv4 address in IPv6 form is the IPv4 address.
pub fn reverse_name(address: IpAddr) -> Name {
    Name::reverse(address.to_canonical())
}

/// The entry of an address in a list: octets or nibbles in reverse order in front of the zone (RFC 5782 §2.1, §2.4).
///
/// Unlike [`reverse_name`] it takes an address as it is, so that the IPv6 test entries of §5 (`::FFFF:7F00:2`) can be asked for.
///
/// # Errors
///
/// The zone is too long to stand behind the address.
pub fn entry_name(address: IpAddr, zone: &Name) -> Result<Name, NameError> {
    Name::reverse_below(address, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, printed, inside, outside) in [
            ("192.0.2.1/24", "192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.1", "192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            (
                "2001:db8:1:2:3::/64",
                "2001:db8:1:2::/64",
                "2001:db8:1:2:ffff::",
                "2001:db8:1:3::",
            ),
            ("::/0", "::/0", "2001:db8::1", "::ffff:192.0.2.1"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), printed);
            assert_eq!(printed.parse(), Ok(network));
            assert!(network.contains(inside.parse().unwrap()), "{text}");
            assert!(!network.contains(outside.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "x/8",
            "192.0.2.1/33",
            "192.0.2.1/",
            "192.0.2.1/+8",
            "::/129",
            "192.0.2.1/8/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn names() {
        let name = |address: &str| reverse_name(address.parse().unwrap()).to_string();
        assert_eq!(name("192.0.2.99"), "99.2.0.192.in-addr.arpa");
        assert_eq!(name("::ffff:192.0.2.99"), "99.2.0.192.in-addr.arpa");
        // RFC 3596 §2.5, the example.
        assert_eq!(
            name("4321:0:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"
        );
    }
}
