//! Which autonomous system announces the address (its AS number, RFC 4271 §1.1)?
//!
//! The address itself does not say so: somebody who reads the routing tables publishes it in the DNS, as Team Cymru does below
//! `origin.asn.cymru.com` and, for IPv6, `origin6.asn.cymru.com`. The entry of an address stands where a list would have it, and is a text:
//! `23028 | 216.90.108.0/24 | US | arin | 1998-09-25`, of which the numbers and the prefix count. Whoever is asked learns who connects, so no
//! zone is asked that was not configured.
//!
//! An AS number is worth a little of a [`reputation`](crate::reputation), as everybody behind it is: it refuses nobody.
//!
//! ```
//! use mail_dns::{Zone, resolve_blocking};
//! use screening::asn::{Asn, Zones};
//!
//! let zones = Zones::new(Some("origin.asn.example".parse()?), None)?;
//! let zone = Zone::new().txt("31.108.90.216.origin.asn.example", "23028 | 216.90.108.0/24 | US | arin | 1998-09-25");
//! let asn = Asn::new("216.90.108.31".parse()?, &zones, &Default::default());
//! let origin = resolve_blocking(asn, |question| zone.answer(question));
//! assert_eq!(origin.to_string(), "AS23028 announces 216.90.108.0/24");
//! assert_eq!(origin.number(), Some(23028));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What each answer leads to
//!
//! | answer | origin |
//! |---|---|
//! | no such name; no data; records of other types; texts that are nothing of the kind | [`Unknown`](Origin::Unknown) |
//! | a prefix in which the address is not, or of no bits; the number 0 (RFC 7607); a number of more than 32 bits | as if it were not there |
//! | several records | [`Announced`](Origin::Announced): by those of the longest prefix, whatever their order |
//! | several numbers of that prefix | all of them up to [`Limits::numbers`], the least first |
//! | failure, refusal, timeout, or an answer that DNSSEC calls bogus | [`Failed`](Origin::Failed) |

use core::fmt;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, Record, RecordType};

use crate::{Network, network};

/// How much of an answer counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// AS numbers that are kept of a prefix. Default: 8; few have more than two. Of more the least are taken, so that the order of a response
    /// changes nothing.
    pub numbers: usize,
    /// Octets of a text that are looked at. Default: 255, one string of a TXT record (RFC 1035 §3.3). What stands behind them is not read.
    pub octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            numbers: 8,
            octets: 255,
        }
    }
}

/// The zones that are asked; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zones {
    ipv4: Option<Name>,
    ipv6: Option<Name>,
}

/// Why zones cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZonesError {
    /// An address in front of the zone makes a name that the DNS does not have (RFC 1035 §2.3.4: 255 octets).
    #[error("the zone {0} is too long to stand behind an address")]
    TooLong(Name),
}

impl Zones {
    /// The zone for IPv4 addresses and the one for IPv6 addresses; what has no zone is not asked for.
    ///
    /// # Errors
    ///
    /// A zone that is too long.
    pub fn new(ipv4: Option<Name>, ipv6: Option<Name>) -> Result<Self, ZonesError> {
        // The longest that any address of the family takes.
        let longest = [IpAddr::from([255; 4]), Ipv6Addr::from([255; 16]).into()];
        for (zone, address) in [&ipv4, &ipv6].into_iter().zip(longest) {
            if let Some(zone) = zone
                && network::entry_name(address, zone).is_err()
            {
                return Err(ZonesError::TooLong(zone.clone()));
            }
        }
        Ok(Self { ipv4, ipv6 })
    }

    /// Where the entry of an address stands.
    fn entry(&self, address: IpAddr) -> Option<Name> {
        let zone = match address {
            IpAddr::V4(_) => self.ipv4.as_ref(),
            IpAddr::V6(_) => self.ipv6.as_ref(),
        };
        network::entry_name(address, zone?).ok()
    }
}

/// What an [`Asn`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// There is no zone for the address.
    NotAsked,
    /// The zone has nothing that could be read.
    Unknown,
    /// No answer.
    Failed(Failure),
    /// The zone says who announces the address.
    Announced {
        /// The longest prefix that it has for the address.
        prefix: Network,
        /// Who announces that prefix, the least number first; at least one.
        numbers: Vec<u32>,
    },
}

impl Origin {
    /// The number; of several the least, as they are equally right.
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Announced { numbers, .. } => numbers.first().copied(),
            Self::NotAsked | Self::Unknown | Self::Failed(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked"),
            Self::Unknown => f.write_str("nobody is known to announce it"),
            Self::Failed(failure) => write!(f, "no answer: {failure}"),
            Self::Announced { prefix, numbers } => {
                for (at, number) in numbers.iter().enumerate() {
                    write!(f, "{}AS{number}", if at == 0 { "" } else { " and " })?;
                }
                let verb = if numbers.len() == 1 {
                    "announces"
                } else {
                    "announce"
                };
                write!(f, " {verb} {prefix}")
            }
        }
    }
}

/// Asks for the entry of an address: one question at most.
#[derive(Clone, Debug)]
pub struct Asn {
    address: IpAddr,
    limits: Limits,
    question: Option<Question>,
    asked: bool,
    origin: Option<Origin>,
}

impl Asn {
    /// Begins the evaluation of a client's address.
    pub fn new(address: IpAddr, zones: &Zones, limits: &Limits) -> Self {
        let address = address.to_canonical();
        let entry = zones.entry(address);
        Self {
            address,
            limits: limits.clone(),
            asked: false,
            origin: entry.is_none().then_some(Origin::NotAsked),
            question: entry.map(|name| Question::new(name, RecordType::Txt)),
        }
    }

    fn origin(&self, records: &[Record]) -> Origin {
        let mut longest: Option<(Network, BTreeSet<u32>)> = None;
        for record in records {
            let Record::Txt(text) = record else { continue };
            let text = text.joined();
            let text = text.get(..self.limits.octets).unwrap_or(&text);
            let Some((prefix, numbers)) = self.entry(text) else {
                continue;
            };
            match &mut longest {
                Some((known, all)) if *known == prefix => all.extend(numbers),
                Some((known, _)) if known.prefix() > prefix.prefix() => continue,
                _ => longest = Some((prefix, numbers)),
            }
            if let Some((_, numbers)) = &mut longest {
                while numbers.len() > self.limits.numbers.max(1) {
                    numbers.pop_last();
                }
            }
        }
        longest.map_or(Origin::Unknown, |(prefix, numbers)| Origin::Announced {
            prefix,
            numbers: numbers.into_iter().collect(),
        })
    }

    /// The prefix and the numbers of a text, if it is an entry of the address: `number … | prefix`, and what else stands behind a bar.
    fn entry(&self, text: &[u8]) -> Option<(Network, BTreeSet<u32>)> {
        let text = String::from_utf8_lossy(text);
        let mut fields = text.split('|').map(str::trim);
        let (numbers, prefix) = (fields.next()?, fields.next()?);
        let prefix: Network = prefix.parse().ok()?;
        let numbers: BTreeSet<u32> = numbers
            .split_ascii_whitespace()
            .filter_map(number)
            .collect();
        // A prefix of no bits is everybody's.
        let is_entry = prefix.prefix() > 0 && prefix.contains(self.address) && !numbers.is_empty();
        is_entry.then_some((prefix, numbers))
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    // AS 0 announces nothing (RFC 7607).
    number.filter(|number| *number != 0)
}

impl Evaluation for Asn {
    type Verdict = Origin;

    fn poll(&mut self) -> Need<Origin> {
        match (&self.origin, &self.question) {
            (Some(origin), _) => Need::Done(origin.clone()),
            (None, Some(question)) if !self.asked => {
                self.asked = true;
                Need::Lookup(question.clone())
            }
            _ => Need::Wait,
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if !self.asked || self.origin.is_some() || self.question.as_ref() != Some(question) {
            return;
        }
        self.origin = Some(match answer.outcome() {
            Ok(records) => self.origin(records),
            Err(failure) => Origin::Failed(failure),
        });
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Txt, Zone, resolve_blocking};

    use super::*;

    fn zones() -> Zones {
        let zone = |text: &str| Some(text.parse().unwrap());
        Zones::new(zone("origin.asn.example"), zone("origin6.asn.example")).unwrap()
    }

    fn run(zone: &Zone, client: &str) -> Origin {
        let asn = Asn::new(client.parse().unwrap(), &zones(), &Limits::default());
        resolve_blocking(asn, |question| zone.answer(question))
    }

    const ENTRY: &str = "31.108.90.216.origin.asn.example";

    /// The texts of the entry, in both orders: what they come to.
    fn read(texts: &[&str]) -> Origin {
        let zone = |texts: &mut dyn Iterator<Item = &&str>| {
            texts.fold(Zone::new().exists(ENTRY), |zone, text| {
                zone.txt(ENTRY, text)
            })
        };
        let origin = run(&zone(&mut texts.iter()), "216.90.108.31");
        assert_eq!(
            run(&zone(&mut texts.iter().rev()), "::ffff:216.90.108.31"),
            origin
        );
        origin
    }

    #[test]
    fn what_texts_come_to() {
        let many: String = (1..=40).rev().map(|number| format!("{number} ")).collect();
        let far = format!("{}23028 | 216.90.108.0/24", "0 ".repeat(200));
        let behind = format!("23028 | 216.90.108.0/24 | {}", "ü".repeat(400));
        for (texts, expected) in [
            (
                &["23028 | 216.90.108.0/24 | US | arin | 1998-09-25"][..],
                "AS23028 announces 216.90.108.0/24",
            ),
            // As others write it.
            (
                &["23028|216.90.108.0/24|US|arin|"],
                "AS23028 announces 216.90.108.0/24",
            ),
            (
                &["23028 | 216.90.108.0/24"],
                "AS23028 announces 216.90.108.0/24",
            ),
            (
                &["4294967295 | 216.90.108.31"],
                "AS4294967295 announces 216.90.108.31/32",
            ),
            (
                &["7132 701 1239 | 216.90.108.0/24 | US | arin | "],
                "AS701 and AS1239 and AS7132 announce 216.90.108.0/24",
            ),
            // The longest prefix.
            (
                &[
                    "7018 | 216.90.0.0/16 | US",
                    "23028 | 216.90.108.0/24 | US",
                    "1 | 216.0.0.0/8 | US",
                ],
                "AS23028 announces 216.90.108.0/24",
            ),
            (
                &[
                    "23028 | 216.90.108.0/24",
                    "701 23028 | 216.90.108.0/24",
                    "1 | 216.0.0.0/8",
                ],
                "AS701 and AS23028 announce 216.90.108.0/24",
            ),
            // Not longer than the address itself, and its own.
            (&["23028 | 216.90.108.0/33"], UNKNOWN),
            (&["23028 | 216.90.109.0/24"], UNKNOWN),
            (&["23028 | 2001:db8::/32"], UNKNOWN),
            (&["23028 | ::/0"], UNKNOWN),
            (&["23028 | 0.0.0.0/0"], UNKNOWN),
            (
                &["23028 | 0.0.0.0/0", "7 | 216.0.0.0/8"],
                "AS7 announces 216.0.0.0/8",
            ),
            // No numbers, or some that are none.
            (&[" | 216.90.108.0/24"], UNKNOWN),
            (&["NA | 216.90.108.0/24"], UNKNOWN),
            (
                &["0 4294967296 +7 -1 AS9 1e3 99999999999999999999 | 216.90.108.0/24"],
                UNKNOWN,
            ),
            (
                &["0 4294967296 +7 5 | 216.90.108.0/24"],
                "AS5 announces 216.90.108.0/24",
            ),
            (&["\u{661} | 216.90.108.0/24"], UNKNOWN),
            // Nothing of the kind.
            (&[""], UNKNOWN),
            (&["|||||"], UNKNOWN),
            (&["v=spf1 -all", "23028"], UNKNOWN),
            (&["216.90.108.0/24 | 23028"], UNKNOWN),
            (&[], UNKNOWN),
            // Bounded.
            (&[&far], UNKNOWN),
            (&[&behind], "AS23028 announces 216.90.108.0/24"),
        ] {
            assert_eq!(read(texts).to_string(), expected, "{texts:?}");
        }
        let many = format!("{} | 216.90.108.0/24", many.trim_end());
        let Origin::Announced { numbers, .. } = read(&[&many]) else {
            panic!("{many}");
        };
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    const UNKNOWN: &str = "nobody is known to announce it";

    #[test]
    fn ten_thousand_records_and_split_strings() {
        let mut zone = Zone::new();
        for number in 1..10_000 {
            zone = zone.txt(ENTRY, &format!("{} | 216.90.108.0/24", 10_000 - number));
        }
        let Origin::Announced { numbers, .. } = run(&zone, "216.90.108.31") else {
            panic!();
        };
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        let strings = Record::Txt(Txt::new(["230", "28 | 216.90.", "108.0/24"]));
        let origin = run(&Zone::new().record(ENTRY, strings), "216.90.108.31");
        assert_eq!(origin.number(), Some(23028));
    }

    #[test]
    fn other_answers() {
        let client = "216.90.108.31";
        let entry = || Zone::new().txt(ENTRY, "23028 | 216.90.108.0/24");
        for (zone, expected) in [
            (Zone::new(), Origin::Unknown),
            (Zone::new().a(ENTRY, [127, 0, 0, 2]), Origin::Unknown),
            (
                Zone::new().a("*.asn.example", [127, 0, 0, 2]),
                Origin::Unknown,
            ),
            (
                entry().fail(ENTRY, Failure::Timeout),
                Origin::Failed(Failure::Timeout),
            ),
            (
                Zone::new().fail(ENTRY, Failure::Bogus),
                Origin::Failed(Failure::Bogus),
            ),
        ] {
            assert_eq!(run(&zone, client), expected);
        }
        // What was not asked, and a second answer, change nothing.
        let mut asn = Asn::new(client.parse().unwrap(), &zones(), &Limits::default());
        let question = Question::new(ENTRY.parse().unwrap(), RecordType::Txt);
        let found = entry().answer(&question);
        asn.answer(&question, &found);
        assert_eq!(asn.poll(), Need::Lookup(question.clone()));
        assert_eq!(asn.poll(), Need::Wait);
        let other = Question::new(ENTRY.parse().unwrap(), RecordType::A);
        asn.answer(&other, &Answer::failed(Failure::Refused));
        assert_eq!(asn.poll(), Need::Wait);
        asn.answer(&question, &found);
        asn.answer(&question, &Answer::nx_domain());
        assert!(matches!(asn.poll(), Need::Done(Origin::Announced { .. })));
    }

    #[test]
    fn zones_by_family() {
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
        let entry = format!("{nibbles}.origin6.asn.example");
        let zone = Zone::new().txt(&entry, "64496 | 2001:db8::/32 | ZZ");
        assert_eq!(run(&zone, "2001:db8::1").number(), Some(64496));
        let only_ipv4 = Zones::new(Some("asn.example".parse().unwrap()), None).unwrap();
        for (client, zones) in [("2001:db8::1", only_ipv4), ("192.0.2.1", Zones::default())] {
            let mut asn = Asn::new(client.parse().unwrap(), &zones, &Limits::default());
            assert_eq!(asn.poll(), Need::Done(Origin::NotAsked));
        }
        let label = "a".repeat(63);
        let long: Name = format!("{label}.{label}.{label}").parse().unwrap();
        let too_long = || Err(ZonesError::TooLong(long.clone()));
        assert!(Zones::new(Some(long.clone()), None).is_ok());
        assert_eq!(Zones::new(None, Some(long.clone())), too_long());
        let longer: Name = format!("{long}.{}", "b".repeat(50)).parse().unwrap();
        assert!(Zones::new(Some(longer), None).is_err());
    }
}
