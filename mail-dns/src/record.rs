//! Record types and record data, as far as mail asks for them.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Name;

/// The types of record that mail asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 address (RFC 1035 §3.4.1).
    A,
    /// IPv6 address (RFC 3596 §2.1).
    Aaaa,
    /// Mail exchange (RFC 1035 §3.3.9).
    Mx,
    /// Text (RFC 1035 §3.3.14): SPF, DKIM keys, DMARC, policies.
    Txt,
    /// The name of an address (RFC 1035 §3.3.12).
    Ptr,
    /// Another name for this one (RFC 1035 §3.3.1).
    Cname,
    /// Certificate association (RFC 6698 §2.1).
    Tlsa,
}

impl RecordType {
    /// All types there are, in the order of this enum.
    pub const ALL: [Self; 7] = [
        Self::A,
        Self::Aaaa,
        Self::Mx,
        Self::Txt,
        Self::Ptr,
        Self::Cname,
        Self::Tlsa,
    ];

    /// The number on the wire (IANA "Resource Record (RR) TYPEs").
    pub const fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Cname => 5,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Tlsa => 52,
        }
    }

    /// True for a type that zones have and mail does not ask for: a mnemonic that IANA has registered, in either case, or `TYPE` and a
    /// number. The readers of zones pass over its records.
    ///
    /// ```
    /// # use mail_dns::RecordType;
    /// assert!(RecordType::is_of_others("DNSKEY") && RecordType::is_of_others("TYPE65534"));
    /// assert!(!RecordType::is_of_others("TXT") && !RecordType::is_of_others("TXTT"));
    /// ```
    pub fn is_of_others(mnemonic: &str) -> bool {
        let number = match mnemonic.split_at_checked(4) {
            Some((word, number)) if word.eq_ignore_ascii_case("TYPE") => Some(number),
            _ => None,
        };
        let is_number = |digits: &str| {
            digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        };
        let mut others = OF_OTHERS.split_ascii_whitespace();
        number.is_some_and(is_number) || others.any(|other| other.eq_ignore_ascii_case(mnemonic))
    }
}

/// IANA "Resource Record (RR) TYPEs", without those of [`RecordType::ALL`], SOA, and what stands in questions only.
const OF_OTHERS: &str = "A6 AFSDB AMTRELAY APL ATMA AVC CAA CDNSKEY CDS CERT CSYNC DHCID DLV DNAME DNSKEY DOA DS DSYNC EID EUI48 EUI64 \
    GID GPOS HHIT HINFO HIP HTTPS IPN IPSECKEY ISDN KEY KX L32 L64 LOC LP MB MD MF MG MINFO MR NAPTR NID NIMLOC NINFO NS NSAP NSAP-PTR \
    NSEC NSEC3 NSEC3PARAM NULL NXNAME NXT OPENPGPKEY PX RESINFO RKEY RP RRSIG RT SIG SINK SMIMEA SPF SRV SSHFP SVCB TA TALINK UID \
    UINFO UNSPEC URI WALLET WKS X25 ZONEMD";

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Ptr => "PTR",
            Self::Cname => "CNAME",
            Self::Tlsa => "TLSA",
        })
    }
}

/// The text is the mnemonic of none of the types that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record type that mail asks for (A, AAAA, MX, TXT, PTR, CNAME, TLSA)")]
pub struct UnknownRecordType;

/// The mnemonic, in either case.
impl FromStr for RecordType {
    type Err = UnknownRecordType;

    fn from_str(text: &str) -> Result<Self, UnknownRecordType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string().eq_ignore_ascii_case(text))
            .ok_or(UnknownRecordType)
    }
}

/// The data of one record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Record {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A mail exchange.
    Mx {
        /// Lower is preferred (RFC 5321 §5.1).
        preference: u16,
        /// The host; the root stands for "accepts no mail" (RFC 7505).
        exchange: Name,
    },
    /// Text.
    Txt(Txt),
    /// The name of an address.
    Ptr(Name),
    /// The name that this one stands for.
    Cname(Name),
    /// A certificate association.
    Tlsa(Tlsa),
}

impl Record {
    /// The type that a question must ask for to get this record.
    pub const fn kind(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Mx { .. } => RecordType::Mx,
            Self::Txt(_) => RecordType::Txt,
            Self::Ptr(_) => RecordType::Ptr,
            Self::Cname(_) => RecordType::Cname,
            Self::Tlsa(_) => RecordType::Tlsa,
        }
    }
}

/// The data as a zone file writes it, names with their final dot.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = |name: &Name| if name.is_root() { "" } else { "." };
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Mx {
                preference,
                exchange,
            } => write!(f, "{preference} {exchange}{}", dot(exchange)),
            Self::Txt(text) => text.fmt(f),
            Self::Ptr(name) | Self::Cname(name) => write!(f, "{name}{}", dot(name)),
            Self::Tlsa(tlsa) => tlsa.fmt(f),
        }
    }
}

/// The character-strings of one TXT record (RFC 1035 §3.3.14), any octets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Txt {
    strings: Box<[Box<[u8]>]>,
}

impl Txt {
    /// Octets of one string (RFC 1035 §3.3).
    pub const MAX_STRING: usize = 255;

    /// A record of these strings; what is longer than the 255 octets of one string (RFC 1035 §3.3) is cut into several.
    pub fn new<I>(strings: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut cut: Vec<Box<[u8]>> = Vec::new();
        for string in strings {
            let string = string.as_ref();
            if string.is_empty() {
                cut.push(Box::from([]));
            }
            cut.extend(string.chunks(Self::MAX_STRING).map(Box::from));
        }
        if cut.is_empty() {
            // RFC 1035 §3.3.14: "One or more <character-string>s."
            cut.push(Box::from([]));
        }
        Self {
            strings: cut.into(),
        }
    }

    /// The strings one by one; there is always at least one.
    pub fn strings(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.strings.iter().map(AsRef::as_ref)
    }

    /// The record as an entry of a master file (RFC 1035 §5.1), without a time to live: one line, or where there are several strings, one
    /// line for each of them within parentheses.
    ///
    /// ```
    /// # use mail_dns::Txt;
    /// let name = "example.com".parse()?;
    /// assert_eq!(Txt::new(["v=spf1 -all"]).zone_line(&name), "example.com. IN TXT \"v=spf1 -all\"");
    /// assert_eq!(Txt::new(["a", "b"]).zone_line(&name), "example.com. IN TXT (\n\t\"a\"\n\t\"b\" )");
    /// # Ok::<(), mail_dns::NameError>(())
    /// ```
    #[must_use]
    pub fn zone_line(&self, name: &Name) -> String {
        let dot = if name.is_root() { "" } else { "." };
        if self.strings.len() == 1 {
            return format!("{name}{dot} IN TXT {self}");
        }
        let strings: Vec<String> = (self.strings())
            .map(|string| format!("\n\t{}", Self::new([string])))
            .collect();
        format!("{name}{dot} IN TXT ({} )", strings.concat())
    }

    /// The strings one behind the other with nothing between, which is how SPF, DKIM and DMARC read them (RFC 7208 §3.3).
    pub fn joined(&self) -> Cow<'_, [u8]> {
        match &*self.strings {
            [one] => Cow::Borrowed(one),
            several => Cow::Owned(several.concat()),
        }
    }
}

/// Each string in quotes, as a zone file writes it.
impl fmt::Display for Txt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (number, string) in self.strings().enumerate() {
            f.write_str(if number > 0 { " \"" } else { "\"" })?;
            for &octet in string {
                match octet {
                    b'"' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                    b' '..=b'~' => f.write_char(char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// A certificate association (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Certificate usage: 2 is DANE-TA, 3 is DANE-EE (RFC 7218 §2.1).
    pub usage: u8,
    /// 0: the whole certificate, 1: its public key (RFC 7218 §2.2).
    pub selector: u8,
    /// 0: the data itself, 1: SHA-256, 2: SHA-512 (RFC 7218 §2.3).
    pub matching: u8,
    /// What is compared.
    pub data: Box<[u8]>,
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data
            .iter()
            .try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_joined() {
        assert_eq!(Txt::new(["a", "", "b"]).joined(), &b"ab"[..]);
        assert_eq!(Txt::new(["a", "", "b"]).strings().len(), 3);
        let long = Txt::new([vec![b'x'; 600]]);
        assert_eq!(
            long.strings().map(<[u8]>::len).collect::<Vec<_>>(),
            [255, 255, 90]
        );
        assert_eq!(long.joined().len(), 600);
        assert_eq!(Txt::new::<[&str; 0]>([]).strings().len(), 1);
    }

    #[test]
    fn prints_as_in_a_zone() {
        let host: Name = "mx.example.com".parse().unwrap();
        for (record, printed) in [
            (Record::A([192, 0, 2, 1].into()), "192.0.2.1"),
            (
                Record::Mx {
                    preference: 10,
                    exchange: host.clone(),
                },
                "10 mx.example.com.",
            ),
            (
                Record::Mx {
                    preference: 0,
                    exchange: Name::root(),
                },
                "0 .",
            ),
            (Record::Cname(host), "mx.example.com."),
            (
                Record::Txt(Txt::new([&b"say \"\xff\"\\"[..], b"x"])),
                r#""say \"\255\"\\" "x""#,
            ),
            (
                Record::Tlsa(Tlsa {
                    usage: 3,
                    selector: 1,
                    matching: 1,
                    data: Box::from([0xd2, 0x0a]),
                }),
                "3 1 1 d20a",
            ),
        ] {
            assert_eq!(record.to_string(), printed);
        }
    }

    #[test]
    fn mnemonics() {
        for kind in RecordType::ALL {
            assert_eq!(kind.to_string().to_lowercase().parse(), Ok(kind));
        }
        assert_eq!("SPF".parse::<RecordType>(), Err(UnknownRecordType));
    }
}
