//! The records that an evaluation has read, as far as it may come to their terms.

use std::net::IpAddr;

use mail_dns::{Answer, Data, Name, Record};

use super::mechanisms::holds;
use super::{Frame, Step, Stop};
use crate::config::Config;
use crate::macros::{Letter, Spec};
use crate::record::{Cursor, DualPrefix, Kind, Qualifier, RecordError, is_spf_record, read};
use crate::verdict::{Cause, SpfResult};

/// The texts of the records one behind the other, and so their terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    texts: Vec<u8>,
    terms: Vec<Term>,
}

/// The terms of one record: its mechanisms in their order, then its `redirect`, then its `exp`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The number of the first.
    pub(super) first: usize,
    /// The number behind the last.
    end: usize,
}

/// A term that the evaluation may come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) kind: Kind,
    pub(super) qualifier: Qualifier,
    pub(super) prefix: DualPrefix,
    /// Whether it matches whatever the DNS says: an `all`, or a network with the client.
    pub(super) matches: bool,
    /// Whether `%{p}` is in it.
    pub(super) validates: bool,
    /// Whether its domain-spec is visible characters and no macro.
    plain: bool,
    /// Where it begins and ends in the texts, and so its domain-spec.
    start: usize,
    end: usize,
    spec_start: usize,
    spec_end: usize,
}

impl Term {
    fn new(term: &Cursor<'_>, ip: IpAddr, behind: usize) -> Self {
        let spec = term.spec();
        let (at, length) = spec.map_or((0, 0), |spec| (spec.at, spec.text.len()));
        Self {
            kind: term.kind,
            qualifier: term.qualifier,
            prefix: term.prefix(),
            matches: term.kind == Kind::All || holds(term, ip),
            validates: spec.is_some_and(|spec| spec.uses(&[Letter::Validated])),
            plain: spec.is_some_and(|spec| spec.plain),
            start: behind + term.start,
            end: behind + term.end,
            spec_start: behind + at,
            spec_end: behind + at + length,
        }
    }

    /// Whether it counts against the limit of RFC 7208 §4.6.4.
    const fn looks_up(&self) -> bool {
        !matches!(self.kind, Kind::All | Kind::Ip4 | Kind::Ip6)
    }

    /// How many addresses like `ip` one match stands for, as the power of two; none where the mechanism names no addresses itself.
    pub(super) const fn address_bits(&self, ip: IpAddr) -> Option<u8> {
        let (all, counts) = match ip {
            IpAddr::V4(_) => (32, self.prefix.v4()),
            IpAddr::V6(_) => (128, self.prefix.v6()),
        };
        match self.kind {
            Kind::All => Some(all),
            Kind::A | Kind::Mx | Kind::Ip4 | Kind::Ip6 => all.checked_sub(counts),
            _ => None,
        }
    }
}

impl Records {
    /// The term of a record that is evaluated, unless all were.
    pub(super) fn term(&self, frame: &Frame) -> Option<&Term> {
        self.terms.get(frame.at..frame.terms?.end)?.first()
    }

    /// The `exp` of a record.
    pub(super) fn explanation(&self, frame: &Frame) -> Option<&Term> {
        let terms = frame.terms?;
        let last = self.terms.get(terms.first..terms.end)?.last()?;
        (last.kind == Kind::Explanation).then_some(last)
    }

    /// The domain-spec of a term, empty where it has none.
    pub(super) fn spec(&self, of: &Term) -> Spec<'_> {
        let text = self.texts.get(of.spec_start..of.spec_end);
        Spec {
            text: text.unwrap_or_default(),
            at: 0,
            plain: of.plain,
        }
    }

    /// All there is to know of a term.
    pub(super) fn read_again(&self, term: &Term) -> Cursor<'_> {
        let text = self.texts.get(term.start..term.end);
        let mut cursor = Cursor::new(text.unwrap_or_default(), 0);
        cursor.next();
        cursor
    }

    /// RFC 7208 §4.5: the one SPF record in the answer for this domain.
    pub(super) fn read(
        &mut self,
        answer: &Answer,
        domain: &Name,
        ip: IpAddr,
        config: &Config,
    ) -> Step<Terms> {
        let (mut found, mut several) = (None, false);
        for record in answer.records() {
            // RFC 7208 §4.5: "discard records that do not begin with a version section of exactly "v=spf1"."
            if let Record::Txt(text) = record
                && let text = text.joined()
                && is_spf_record(&text)
            {
                several |= found.replace(text).is_some();
            }
        }
        let domain = || domain.clone();
        let Some(text) = found else {
            // RFC 7208 §4.3: "if the DNS lookup returns "Name Error" (RCODE 3, also known as "NXDOMAIN" [RFC2308]), check_host()
            // immediately returns the result "none"." §4.5: "If the resultant record set includes no records, check_host() produces the
            // "none" result."
            let cause = match answer.data {
                Data::NxDomain => Cause::NoSuchDomain { domain: domain() },
                _ => Cause::NoRecord { domain: domain() },
            };
            return Err(Stop::end(SpfResult::None, cause));
        };
        // RFC 7208 §4.5: "If the resultant record set includes more than one record, check_host() produces the "permerror" result."
        if several {
            let cause = Cause::SeveralRecords { domain: domain() };
            return Err(Stop::end(SpfResult::PermError, cause));
        }
        // RFC 7208 §4.6: "if there are any syntax errors anywhere in the record, check_host() returns immediately with the result
        // "permerror", without further interpretation or evaluation."
        self.add(&text, ip, config).map_err(|error| {
            let domain = domain();
            Stop::end(SpfResult::PermError, Cause::Syntax { domain, error })
        })
    }

    /// Reads a record, and keeps its text and terms.
    fn add(&mut self, text: &[u8], ip: IpAddr, config: &Config) -> Result<Terms, RecordError> {
        let (first, behind) = (self.terms.len(), self.texts.len());
        if behind == 0 {
            // Room for the records of a few `include`s too, so that it seldom grows.
            self.texts.reserve(text.len().max(1024));
            self.terms.reserve(24);
        }
        let (mut lookups, mut last, mut all) = (0, false, false);
        let (mut redirect, mut explanation) = (None, None);
        let read = read(text, &config.limits, |term| {
            // Most terms of most records are networks without the client, which only the trace tells of.
            if matches!(term.kind, Kind::Ip4 | Kind::Ip6) && !config.trace && !holds(term, ip) {
                return;
            }
            let term = Term::new(term, ip, behind);
            match term.kind {
                Kind::Redirect => redirect = Some(term),
                Kind::Explanation => explanation = Some(term),
                Kind::Unknown => {}
                _ if last => {}
                _ => {
                    self.terms.push(term);
                    lookups += usize::from(term.looks_up());
                    // It matches, or exceeds the limit: what stands behind it is never come to, and however many terms a record has, few
                    // are kept.
                    last = term.matches || lookups > config.limits.terms;
                }
            }
            all |= term.kind == Kind::All;
        });
        if let Err(error) = read {
            self.terms.truncate(first);
            return Err(error);
        }
        // RFC 7208 §6.1: "Any "redirect" modifier MUST be ignored if there is an "all" mechanism anywhere in the record".
        if let Some(redirect) = redirect
            && !all
        {
            self.terms.push(redirect);
        }
        if let Some(explanation) = explanation {
            self.terms.push(explanation);
        }
        self.texts.extend_from_slice(text);
        let end = self.terms.len();
        Ok(Terms { first, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The terms that are kept of a record, as text, for a client at 192.0.2.1.
    fn kept(records: &mut Records, text: &str, trace: bool) -> String {
        let config = Config {
            trace,
            ..Config::default()
        };
        let ip = [192, 0, 2, 1].into();
        let terms = records.add(text.as_bytes(), ip, &config).unwrap();
        let terms = records.terms[terms.first..terms.end].iter();
        let terms = terms.map(|term| records.read_again(term).to_term().to_string());
        terms.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_the_evaluation_may_come_to() {
        let many = format!("v=spf1{} redirect=r.org", " a".repeat(1000));
        let eleven = ["a"; 11].join(" ") + " redirect=r.org";
        let mut records = Records::default();
        for (text, without, with) in [
            ("v=spf1", "", ""),
            (
                "v=spf1 exp=e.org redirect=r.org a x=y ip4:203.0.113.0/24 ~mx",
                "a ~mx redirect=r.org exp=e.org",
                "a ip4:203.0.113.0/24 ~mx redirect=r.org exp=e.org",
            ),
            ("v=spf1 a -all mx redirect=r.org", "a -all", "a -all"),
            (
                "v=spf1 ip6:2001:db8::/32 ?ip4:192.0.2.0/24 mx redirect=r.org",
                "?ip4:192.0.2.0/24 redirect=r.org",
                "ip6:2001:db8::/32 ?ip4:192.0.2.0/24 redirect=r.org",
            ),
            (
                "v=spf1 ip4:192.0.2.1 mx all redirect=r.org",
                "ip4:192.0.2.1",
                "ip4:192.0.2.1",
            ),
            (&many, &eleven, &eleven),
        ] {
            assert_eq!(kept(&mut records, text, false), without, "{text}");
            assert_eq!(kept(&mut records, text, true), with, "{text}");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_broken_record() {
        let (mut records, config) = (Records::default(), Config::default());
        let ip = [192, 0, 2, 1].into();
        assert!(records.add(b"v=spf1 a mx moo", ip, &config).is_err());
        assert_eq!((records.terms.len(), records.texts.len()), (0, 0));
    }
}
