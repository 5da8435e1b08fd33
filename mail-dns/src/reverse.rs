//! Names made of addresses: the reverse trees, and lists of addresses in the DNS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Name, NameError};

impl Name {
    /// Where the PTR records of an address are: below `in-addr.arpa` (RFC 1035 §3.5) or `ip6.arpa` (RFC 3596 §2.5).
    ///
    /// ```
    /// # use mail_dns::Name;
    /// let name = Name::reverse([192, 0, 2, 3].into());
    /// assert_eq!(name.to_string(), "3.2.0.192.in-addr.arpa");
    /// assert_eq!(name.reverse_address(), Some([192, 0, 2, 3].into()));
    /// ```
    pub fn reverse(address: IpAddr) -> Self {
        let tree: [&[u8]; 2] = if address.is_ipv4() {
            [b"in-addr", b"arpa"]
        } else {
            [b"ip6", b"arpa"]
        };
        let labels = labels(address);
        let labels = labels.iter().map(String::as_bytes).chain(tree);
        // At most 32 labels of one octet and two short ones: within the limits.
        Self::from_labels(labels).unwrap_or_else(|_| Self::root())
    }

    /// The address in reverse directly below `zone`, as lists of addresses have them (RFC 5782 §2.1 and §2.4).
    ///
    /// # Errors
    ///
    /// Too long a name.
    pub fn reverse_below(address: IpAddr, zone: &Self) -> Result<Self, NameError> {
        Self::from_labels(labels(address))?.append(zone)
    }

    /// The address whose reverse name this is: all four numbers below `in-addr.arpa`, or all 32 digits below `ip6.arpa`.
    pub fn reverse_address(&self) -> Option<IpAddr> {
        let labels: Vec<&[u8]> = self.labels().collect();
        let (tree, address) = (labels.len().checked_sub(2)?, &labels);
        let (numbers, tree) = address.split_at(tree);
        let is = |tree: &[&[u8]], word: &str| {
            tree.len() == 2
                && tree[0].eq_ignore_ascii_case(word.as_bytes())
                && tree[1].eq_ignore_ascii_case(b"arpa")
        };
        let text = |label: &&[u8]| core::str::from_utf8(label).ok().map(str::to_owned);
        if is(tree, "in-addr") && numbers.len() == 4 {
            let quad = numbers
                .iter()
                .rev()
                .map(text)
                .collect::<Option<Vec<_>>>()?
                .join(".");
            return quad.parse::<Ipv4Addr>().ok().map(IpAddr::from);
        }
        if is(tree, "ip6") && numbers.len() == 32 {
            let mut value = 0_u128;
            for label in numbers.iter().rev() {
                let [digit] = label else { return None };
                value = value << 4 | u128::from(char::from(*digit).to_digit(16)?);
            }
            return Some(Ipv6Addr::from(value).into());
        }
        None
    }
}

/// Numbers or hexadecimal digits, the last of the address first.
fn labels(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => address
            .octets()
            .iter()
            .rev()
            .flat_map(|octet| [octet & 15, octet >> 4])
            .map(|digit| format!("{digit:x}"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_rfcs() {
        // RFC 3596 §2.5 and RFC 5782 §2.1, §2.4.
        let address: IpAddr = "4321:0:1:2:3:4:567:89ab".parse().unwrap();
        let name = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.IP6.ARPA";
        assert_eq!(Name::reverse(address), name.parse().unwrap());
        let list: Name = "bad.example.com".parse().unwrap();
        let entry = Name::reverse_below([192, 0, 2, 99].into(), &list);
        assert_eq!(entry, "99.2.0.192.bad.example.com".parse());
    }

    #[test]
    fn what_is_no_reverse_name() {
        for name in [
            "in-addr.arpa",
            "2.0.192.in-addr.arpa",
            "1.2.3.256.in-addr.arpa",
            "1.2.3.04.in-addr.arpa",
            "x.1.2.3.4.in-addr.arpa",
            "1.ip6.arpa",
            "arpa",
            ".",
        ] {
            assert_eq!(
                name.parse::<Name>().unwrap().reverse_address(),
                None,
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn there_and_back(v4: u32, v6: u128) {
            for address in [IpAddr::from(Ipv4Addr::from(v4)), Ipv6Addr::from(v6).into()] {
                prop_assert_eq!(Name::reverse(address).reverse_address(), Some(address));
            }
        }
    }
}
