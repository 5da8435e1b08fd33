//! Records put together term by term, and printed for the zone.

use std::net::IpAddr;

use mail_dns::{Name, Txt};

use super::{Directive, DualPrefix, Mechanism, Qualifier, RecordFault, SpfRecord, Term};
use crate::macros::DomainSpec;

/// What is put together is always a record; whether it is a good one says [`crate::lint`].
impl SpfRecord {
    /// A record without a term: every host is neutral. The `with_` methods add to it, each at the end.
    ///
    /// ```
    /// # use spf::{Qualifier, SpfRecord};
    /// let record = SpfRecord::new()
    ///     .with_mx()
    ///     .with_network([192, 0, 2, 0], 24)?
    ///     .with_include("_spf.example.net".parse()?)
    ///     .with_all(Qualifier::Fail);
    /// assert_eq!(record.to_string(), "v=spf1 mx ip4:192.0.2.0/24 include:_spf.example.net -all");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { terms: Vec::new() }
    }

    /// With `a`: the hosts of the domain itself may send.
    #[must_use]
    pub fn with_a(self) -> Self {
        let prefix = DualPrefix::WHOLE;
        self.and_passing(Mechanism::A {
            domain: None,
            prefix,
        })
    }

    /// With `mx`: the mail exchanges of the domain may send.
    #[must_use]
    pub fn with_mx(self) -> Self {
        let prefix = DualPrefix::WHOLE;
        self.and_passing(Mechanism::Mx {
            domain: None,
            prefix,
        })
    }

    /// With `ip4:` or `ip6:`: this host may send.
    #[must_use]
    pub fn with_address(self, address: impl Into<IpAddr>) -> Self {
        self.and_passing(match address.into() {
            IpAddr::V4(network) => {
                let prefix = 32;
                Mechanism::Ip4 { network, prefix }
            }
            IpAddr::V6(network) => {
                let prefix = 128;
                Mechanism::Ip6 { network, prefix }
            }
        })
    }

    /// With `ip4:` or `ip6:`: the hosts of this network may send.
    ///
    /// # Errors
    ///
    /// [`RecordFault::Prefix`]: more than the 32 or 128 bits of the address.
    pub fn with_network(self, network: impl Into<IpAddr>, prefix: u8) -> Result<Self, RecordFault> {
        let mechanism = match network.into() {
            IpAddr::V4(network) => Mechanism::Ip4 { network, prefix },
            IpAddr::V6(network) => Mechanism::Ip6 { network, prefix },
        };
        self.with(Directive {
            qualifier: Qualifier::Pass,
            mechanism,
        })
    }

    /// With `include:`: whom the record of that domain lets pass may send.
    #[must_use]
    pub fn with_include(self, domain: DomainSpec) -> Self {
        self.and_passing(Mechanism::Include(domain))
    }

    /// With `all`, which stands last: what holds for all other hosts.
    #[must_use]
    pub fn with_all(mut self, qualifier: Qualifier) -> Self {
        let mechanism = Mechanism::All;
        self.terms.push(Term::Directive(Directive {
            qualifier,
            mechanism,
        }));
        self
    }

    /// With any mechanism.
    ///
    /// # Errors
    ///
    /// [`RecordFault::Prefix`]: more bits than the address has.
    pub fn with(mut self, directive: Directive) -> Result<Self, RecordFault> {
        let fits = match &directive.mechanism {
            Mechanism::Ip4 { prefix, .. } => *prefix <= 32,
            Mechanism::Ip6 { prefix, .. } => *prefix <= 128,
            _ => true,
        };
        self.terms.push(Term::Directive(directive));
        if fits {
            Ok(self)
        } else {
            Err(RecordFault::Prefix)
        }
    }

    /// With `redirect=`: the record of that domain says what holds for all other hosts, unless there is an `all`.
    ///
    /// # Errors
    ///
    /// [`RecordFault::Twice`]: it is there already (RFC 7208 §6).
    pub fn with_redirect(mut self, domain: DomainSpec) -> Result<Self, RecordFault> {
        let is = |term: &Term| matches!(term, Term::Redirect(_));
        if self.terms.iter().any(is) {
            return Err(RecordFault::Twice);
        }
        self.terms.push(Term::Redirect(domain));
        Ok(self)
    }

    /// With `exp=`: where the text stands that explains a fail.
    ///
    /// # Errors
    ///
    /// [`RecordFault::Twice`]: it is there already (RFC 7208 §6).
    pub fn with_explanation(mut self, domain: DomainSpec) -> Result<Self, RecordFault> {
        if self.explanation().is_some() {
            return Err(RecordFault::Twice);
        }
        self.terms.push(Term::Explanation(domain));
        Ok(self)
    }

    fn and_passing(mut self, mechanism: Mechanism) -> Self {
        let qualifier = Qualifier::Pass;
        self.terms.push(Term::Directive(Directive {
            qualifier,
            mechanism,
        }));
        self
    }

    /// The record as the DNS holds it, in strings of at most 255 octets, which end between two terms where they can.
    ///
    /// RFC 7208 §3.3: the strings are joined without spaces, so each but the first begins with one.
    #[must_use]
    pub fn to_txt(&self) -> Txt {
        let mut strings = vec![String::from("v=spf1")];
        for term in &self.terms {
            let term = format!(" {term}");
            match strings.last_mut() {
                Some(last) if last.len() + term.len() <= Txt::MAX_STRING => last.push_str(&term),
                _ => strings.push(term),
            }
        }
        Txt::new(strings)
    }

    /// The record as an entry of a master file (RFC 1035 §5.1), without a time to live.
    ///
    /// ```
    /// # use spf::{Qualifier, SpfRecord};
    /// let record = SpfRecord::new().with_mx().with_all(Qualifier::Fail);
    /// assert_eq!(record.zone_line(&"example.com".parse()?), "example.com. IN TXT \"v=spf1 mx -all\"");
    /// # Ok::<(), mail_dns::NameError>(())
    /// ```
    #[must_use]
    pub fn zone_line(&self, name: &Name) -> String {
        self.to_txt().zone_line(name)
    }
}

impl DualPrefix {
    /// So many bits of an IPv4 address and of an IPv6 address.
    ///
    /// # Errors
    ///
    /// [`RecordFault::Prefix`]: more than 32 or 128.
    pub const fn new(v4: u8, v6: u8) -> Result<Self, RecordFault> {
        if v4 <= 32 && v6 <= 128 {
            Ok(Self { v4, v6 })
        } else {
            Err(RecordFault::Prefix)
        }
    }
}

/// All of the address.
impl Default for DualPrefix {
    fn default() -> Self {
        Self::WHOLE
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Question, Record, RecordType, Zone};

    use super::*;
    use crate::Limits;

    #[test]
    fn only_what_is_valid() {
        let record = SpfRecord::new;
        assert_eq!(record().to_string(), "v=spf1");
        let network = |network: IpAddr, prefix| record().with_network(network, prefix);
        assert_eq!(network([1, 2, 3, 4].into(), 33), Err(RecordFault::Prefix));
        assert!(network([0; 16].into(), 128).is_ok());
        assert_eq!(network([0; 16].into(), 129), Err(RecordFault::Prefix));
        assert_eq!(DualPrefix::new(33, 0), Err(RecordFault::Prefix));
        let domain = || "x.example".parse::<DomainSpec>().unwrap();
        let redirect = record().with_redirect(domain()).unwrap();
        assert_eq!(redirect.with_redirect(domain()), Err(RecordFault::Twice));
        let explained = record().with_explanation(domain()).unwrap();
        assert_eq!(
            explained.with_explanation(domain()),
            Err(RecordFault::Twice)
        );
    }

    #[test]
    fn prints_and_is_read_from_a_zone() {
        let domain = "example.com".parse().unwrap();
        let mut record = SpfRecord::new().with_a().with_mx();
        for number in 0..60 {
            assert_eq!(
                record.to_string().parse::<SpfRecord>().as_ref(),
                Ok(&record)
            );
            let zone: Zone = record.zone_line(&domain).parse().unwrap();
            let answer = zone.answer(&Question::new(domain.clone(), RecordType::Txt));
            let [Record::Txt(text)] = answer.records() else {
                panic!("{}", record.zone_line(&domain));
            };
            assert!(text.strings().all(|string| string.len() <= 255));
            let limits = Limits::default();
            assert_eq!(
                SpfRecord::parse(&text.joined(), &limits).as_ref(),
                Ok(&record)
            );
            let host = format!("h{number}.example.net").parse().unwrap();
            record = record
                .with_address([192, 0, 2, number])
                .with_include(host)
                .with(Directive {
                    qualifier: Qualifier::SoftFail,
                    mechanism: Mechanism::A {
                        domain: None,
                        prefix: DualPrefix::new(number % 33, number).unwrap(),
                    },
                })
                .unwrap();
            if record.to_string().len() > 2000 {
                break;
            }
        }
        let all = record.with_all(Qualifier::Neutral).to_string();
        assert!(all.ends_with(" ?all"), "{all}");
    }
}
