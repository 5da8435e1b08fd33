//! Does the address have a name that leads back to it (RFC 8601 §3, "iprev")?

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, Record, RecordType};

use crate::reverse_name;

/// How much one evaluation may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Names of which the address is looked up. Default: 10 (RFC 8601 §3, which takes it from RFC 7208 §4.6.4). Each costs a question;
    /// of more names the first in DNS order are taken, so that the order of a response changes nothing.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { names: 10 }
    }
}

/// The result, in the words of RFC 8601 §2.7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IprevResult {
    /// A name of the address leads back to it.
    Pass,
    /// There are names, and none leads back.
    Fail,
    /// A lookup failed, and no other name led back.
    TempError,
    /// The address has no name.
    PermError,
}

/// The word that stands behind `iprev=`.
impl fmt::Display for IprevResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// What led to the result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// At least one name leads back.
    Confirmed,
    /// No name leads back, and every lookup was answered.
    NotConfirmed,
    /// The reverse tree has no name for the address.
    NoReverseName,
    /// The lookup of the address's names failed.
    Reverse(Failure),
    /// The lookup of this name's addresses failed, and no other name leads back.
    Forward(Name, Failure),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmed => f.write_str("its name leads back to it"),
            Self::NotConfirmed => f.write_str("no name of it leads back to it"),
            Self::NoReverseName => f.write_str("it has no name"),
            Self::Reverse(failure) => write!(f, "the lookup of its names: {failure}"),
            Self::Forward(name, failure) => write!(f, "the lookup of {name}: {failure}"),
        }
    }
}

/// What an [`Iprev`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The client's address.
    pub address: IpAddr,
    /// The result.
    pub result: IprevResult,
    /// Why.
    pub cause: Cause,
    /// The names that lead back, in DNS order; empty unless the result is pass.
    pub confirmed: Vec<Name>,
    /// The names that were looked up, confirmed or not, in DNS order. Whoever owns the address chose them: they prove nothing.
    pub names: Vec<Name>,
    /// Names that the response held beyond [`Limits::names`].
    pub names_left_out: usize,
}

/// Asks for the names of an address, then for the addresses of all those names at once.
///
/// Only the client's own kind of address is looked up: RFC 8601 §3 asks whether it is in the union of both, and an A record can never be
/// an IPv6 address.
#[derive(Clone, Debug)]
pub struct Iprev {
    address: IpAddr,
    limits: Limits,
    reverse: Question,
    reverse_asked: bool,
    reverse_failure: Option<Failure>,
    left_out: usize,
    /// What is known of each name, once the reverse lookup is answered.
    names: Option<BTreeMap<Name, Forward>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Forward {
    Unasked,
    Asked,
    Confirmed,
    NotConfirmed,
    Failed(Failure),
}

impl Iprev {
    /// Begins the evaluation of a client's address.
    pub fn new(address: IpAddr, limits: &Limits) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            limits: limits.clone(),
            reverse: Question::new(reverse_name(address), RecordType::Ptr),
            reverse_asked: false,
            reverse_failure: None,
            left_out: 0,
            names: None,
        }
    }

    /// The record that says where a name leads.
    fn forward(&self) -> (RecordType, Record) {
        match self.address {
            IpAddr::V4(address) => (RecordType::A, Record::A(address)),
            IpAddr::V6(address) => (RecordType::Aaaa, Record::Aaaa(address)),
        }
    }

    fn verdict(&self, names: &BTreeMap<Name, Forward>) -> Verdict {
        let confirmed: Vec<Name> = names
            .iter()
            .filter(|(_, forward)| **forward == Forward::Confirmed)
            .map(|(name, _)| name.clone())
            .collect();
        let failed = names.iter().find_map(|(name, forward)| match forward {
            Forward::Failed(failure) => Some(Cause::Forward(name.clone(), *failure)),
            _ => None,
        });
        let (result, cause) = if let Some(failure) = self.reverse_failure {
            (IprevResult::TempError, Cause::Reverse(failure))
        } else if names.is_empty() {
            // RFC 8601 §2.7.3: "The DNS evaluation could not be completed because no PTR data are published for the connecting IP
            // address"
            (IprevResult::PermError, Cause::NoReverseName)
        } else if !confirmed.is_empty() {
            (IprevResult::Pass, Cause::Confirmed)
        } else if let Some(cause) = failed {
            (IprevResult::TempError, cause)
        } else {
            (IprevResult::Fail, Cause::NotConfirmed)
        };
        Verdict {
            address: self.address,
            result,
            cause,
            confirmed,
            names: names.keys().cloned().collect(),
            names_left_out: self.left_out,
        }
    }
}

impl Evaluation for Iprev {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if !self.reverse_asked {
            self.reverse_asked = true;
            return Need::Lookup(self.reverse.clone());
        }
        let (kind, _) = self.forward();
        let Some(names) = &mut self.names else {
            return Need::Wait;
        };
        for (name, forward) in names.iter_mut() {
            if *forward == Forward::Unasked {
                *forward = Forward::Asked;
                return Need::Lookup(Question::new(name.clone(), kind));
            }
        }
        match &self.names {
            Some(names) if !names.values().any(|forward| *forward == Forward::Asked) => {
                Need::Done(self.verdict(names))
            }
            _ => Need::Wait,
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if self.reverse_asked && self.names.is_none() && *question == self.reverse {
            // The first names in DNS order, without holding more than the limit.
            let mut names = BTreeSet::new();
            match answer.outcome() {
                Ok(records) => {
                    for record in records {
                        if let Record::Ptr(name) = record
                            && names.insert(name.clone())
                            && names.len() > self.limits.names
                        {
                            names.pop_last();
                            self.left_out += 1;
                        }
                    }
                }
                Err(failure) => self.reverse_failure = Some(failure),
            }
            self.names = Some(
                names
                    .into_iter()
                    .map(|name| (name, Forward::Unasked))
                    .collect(),
            );
            return;
        }
        let (kind, wanted) = self.forward();
        if question.kind != kind {
            return;
        }
        if let Some(forward) = self
            .names
            .as_mut()
            .and_then(|names| names.get_mut(&question.name))
            && *forward == Forward::Asked
        {
            *forward = match answer.outcome() {
                Ok(records) if records.contains(&wanted) => Forward::Confirmed,
                Ok(_) => Forward::NotConfirmed,
                Err(failure) => Forward::Failed(failure),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_dns::{Zone, resolve_blocking};

    const CLIENT: &str = "192.0.2.7";
    const REVERSE: &str = "7.2.0.192.in-addr.arpa";

    fn run(zone: &Zone, client: &str) -> Verdict {
        let evaluation = Iprev::new(client.parse().unwrap(), &Limits::default());
        resolve_blocking(evaluation, |question| zone.answer(question))
    }

    #[test]
    fn results() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let one = || Zone::new().ptr(REVERSE, "a.example");
        for (zone, result, cause) in [
            (Zone::new(), IprevResult::PermError, Cause::NoReverseName),
            (
                Zone::new().exists(REVERSE),
                IprevResult::PermError,
                Cause::NoReverseName,
            ),
            (
                Zone::new().fail(REVERSE, Failure::ServFail),
                IprevResult::TempError,
                Cause::Reverse(Failure::ServFail),
            ),
            (
                one().a("a.example", [192, 0, 2, 7]),
                IprevResult::Pass,
                Cause::Confirmed,
            ),
            (
                one().a("a.example", [192, 0, 2, 8]),
                IprevResult::Fail,
                Cause::NotConfirmed,
            ),
            (one(), IprevResult::Fail, Cause::NotConfirmed),
            (
                one().fail("a.example", Failure::Timeout),
                IprevResult::TempError,
                Cause::Forward(name("a.example"), Failure::Timeout),
            ),
            (
                one()
                    .fail("a.example", Failure::Timeout)
                    .ptr(REVERSE, "b.example")
                    .a("b.example", [192, 0, 2, 7]),
                IprevResult::Pass,
                Cause::Confirmed,
            ),
        ] {
            let verdict = run(&zone, CLIENT);
            assert_eq!((verdict.result, verdict.cause), (result, cause), "{zone:?}");
            assert_eq!(verdict.confirmed.is_empty(), result != IprevResult::Pass);
        }
    }

    #[test]
    fn ipv6_and_mapped_addresses() {
        let address: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
        let reverse = reverse_name(address.into()).to_string();
        let zone = Zone::new()
            .ptr(&reverse, "a.example")
            .aaaa("a.example", address);
        assert_eq!(run(&zone, "2001:db8::1").result, IprevResult::Pass);
        let zone = Zone::new()
            .ptr(REVERSE, "a.example")
            .a("a.example", [192, 0, 2, 7]);
        assert_eq!(run(&zone, "::ffff:192.0.2.7").result, IprevResult::Pass);
    }

    #[test]
    fn ten_thousand_names_cost_ten_questions_in_any_order() {
        let names: Vec<_> = (0..10_000)
            .map(|number| Record::Ptr(format!("h{number:05}.example").parse().unwrap()))
            .collect();
        let ask = |names: Vec<Record>| {
            let mut asked = Vec::new();
            let evaluation = Iprev::new(CLIENT.parse().unwrap(), &Limits::default());
            let verdict = resolve_blocking(evaluation, |question| {
                asked.push(question.clone());
                match question.kind {
                    RecordType::Ptr => Answer::found(names.clone()),
                    _ => Answer::nx_domain(),
                }
            });
            assert_eq!(verdict.names_left_out, 9_990);
            assert_eq!(asked.len(), 11);
            verdict
        };
        let reversed = names.iter().rev().cloned().collect();
        assert_eq!(ask(names), ask(reversed));
    }

    #[test]
    fn all_names_are_asked_before_any_is_answered() {
        let zone = Zone::new()
            .ptr(REVERSE, "a.example")
            .ptr(REVERSE, "b.example");
        let mut evaluation = Iprev::new(CLIENT.parse().unwrap(), &Limits::default());
        let Need::Lookup(reverse) = evaluation.poll() else {
            panic!()
        };
        assert_eq!(evaluation.poll(), Need::Wait);
        // What was not asked yet is ignored.
        evaluation.answer(
            &Question::new("a.example".parse().unwrap(), RecordType::A),
            &Answer::found([]),
        );
        evaluation.answer(&reverse, &zone.answer(&reverse));
        evaluation.answer(&reverse, &Answer::nx_domain());
        assert!(matches!(evaluation.poll(), Need::Lookup(_)));
        assert!(matches!(evaluation.poll(), Need::Lookup(_)));
        assert_eq!(evaluation.poll(), Need::Wait);
    }
}
