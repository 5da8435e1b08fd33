//! A DNS zone in memory, for tests and demonstrations.

use core::ops::Bound;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Answer, Data, Dnssec, Failure, Name, Question, Record, RecordType, Txt};

/// Records that answer questions as an authoritative server and a resolver together would: CNAMEs are followed, a name without the type
/// asked for is told from one that does not exist (a name with something below it exists), wildcards are expanded (RFC 4592), and
/// failures happen where they were injected.
///
/// It holds names of any number of real zones; what it does not hold does not exist.
///
/// ```
/// # use mail_dns::{Data, Failure, Question, RecordType, Zone};
/// let zone = Zone::new()
///     .mx("example.com", 10, "mail.example.com")
///     .a("mail.example.com", [192, 0, 2, 1])
///     .cname("www.example.com", "mail.example.com")
///     .fail("slow.example.com", Failure::Timeout);
/// let ask = |name: &str, kind| zone.answer(&Question::new(name.parse().unwrap(), kind)).data;
/// assert_eq!(ask("example.com", RecordType::Txt), Data::NoData);
/// assert_eq!(ask("example.org", RecordType::Txt), Data::NxDomain);
/// assert_eq!(ask("slow.example.com", RecordType::A), Data::Failed(Failure::Timeout));
/// assert_eq!(ask("www.example.com", RecordType::A), ask("mail.example.com", RecordType::A));
/// ```
///
/// The methods that take text are for literals in a program: they panic on text that is no name, and [`Zone::insert`] takes everything
/// else.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    nodes: BTreeMap<Name, Node>,
    dnssec: Dnssec,
    ttl: Option<Duration>,
    /// Times to live of negative answers below a name, from SOA records.
    negative: BTreeMap<Name, Duration>,
}

/// What stands at one name. A node without anything makes the name exist.
#[derive(Clone, Debug, Default)]
struct Node {
    records: Vec<(Record, Option<Duration>)>,
    /// Answers put there by hand, for one type or for all.
    injected: Vec<(Option<RecordType>, Answer)>,
}

/// CNAMEs followed for one question; a longer chain, and so a loop, is a server failure. Resolvers stop between 8 and 17.
const MAX_CHAIN: usize = 16;

impl Zone {
    /// A zone without any name.
    pub fn new() -> Self {
        Self::default()
    }

    /// What every answer says of DNSSEC; without it [`Dnssec::Unknown`].
    #[must_use]
    pub const fn dnssec(mut self, dnssec: Dnssec) -> Self {
        self.dnssec = dnssec;
        self
    }

    /// The time to live of all records and negative answers that have none of their own; without it they have none.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Adds an IPv4 address.
    #[must_use]
    #[track_caller]
    pub fn a(self, name: &str, address: impl Into<Ipv4Addr>) -> Self {
        self.record(name, Record::A(address.into()))
    }

    /// Adds an IPv6 address.
    #[must_use]
    #[track_caller]
    pub fn aaaa(self, name: &str, address: impl Into<Ipv6Addr>) -> Self {
        self.record(name, Record::Aaaa(address.into()))
    }

    /// Adds a mail exchange.
    #[must_use]
    #[track_caller]
    pub fn mx(self, name: &str, preference: u16, exchange: &str) -> Self {
        self.record(
            name,
            Record::Mx {
                preference,
                exchange: literal(exchange),
            },
        )
    }

    /// Adds a text record of one string (cut into several where it is longer than 255 octets).
    #[must_use]
    #[track_caller]
    pub fn txt(self, name: &str, text: &str) -> Self {
        self.record(name, Record::Txt(Txt::new([text])))
    }

    /// Adds the name of an address; `name` is that of the reverse tree.
    #[must_use]
    #[track_caller]
    pub fn ptr(self, name: &str, target: &str) -> Self {
        self.record(name, Record::Ptr(literal(target)))
    }

    /// Adds an alias.
    #[must_use]
    #[track_caller]
    pub fn cname(self, name: &str, target: &str) -> Self {
        self.record(name, Record::Cname(literal(target)))
    }

    /// Adds a record of any type.
    #[must_use]
    #[track_caller]
    pub fn record(mut self, name: &str, record: Record) -> Self {
        self.insert(literal(name), record);
        self
    }

    /// Makes a name exist, whether or not it has records.
    #[must_use]
    #[track_caller]
    pub fn exists(mut self, name: &str) -> Self {
        self.touch(literal(name));
        self
    }

    /// Every question for this name fails.
    #[must_use]
    #[track_caller]
    pub fn fail(mut self, name: &str, failure: Failure) -> Self {
        self.inject(literal(name), None, Answer::failed(failure));
        self
    }

    /// The questions of one type for this name fail.
    #[must_use]
    #[track_caller]
    pub fn fail_type(mut self, name: &str, kind: RecordType, failure: Failure) -> Self {
        self.inject(literal(name), Some(kind), Answer::failed(failure));
        self
    }

    /// Adds a record, with the zone's own time to live.
    pub fn insert(&mut self, name: Name, record: Record) {
        self.nodes
            .entry(name)
            .or_default()
            .records
            .push((record, None));
    }

    /// Adds a record with a time to live.
    pub fn insert_with_ttl(&mut self, name: Name, record: Record, ttl: Duration) {
        self.nodes
            .entry(name)
            .or_default()
            .records
            .push((record, Some(ttl)));
    }

    /// Makes a name exist, whether or not it has records.
    pub fn touch(&mut self, name: Name) {
        self.nodes.entry(name).or_default();
    }

    /// Makes `apex` exist, and gives negative answers for names at and below it this time to live.
    pub(crate) fn negative_ttl(&mut self, apex: Name, ttl: Duration) {
        self.touch(apex.clone());
        self.negative.insert(apex, ttl);
    }

    /// Questions for this name, of one type or of all, get this answer whatever the zone holds; the latest injection for a question
    /// counts.
    pub fn inject(&mut self, name: Name, kind: Option<RecordType>, answer: Answer) {
        self.nodes
            .entry(name)
            .or_default()
            .injected
            .push((kind, answer));
    }

    /// The answer to a question.
    pub fn answer(&self, question: &Question) -> Answer {
        let mut name = question.name.clone();
        let mut ttl = None;
        let mut followed = false;
        for _ in 0..=MAX_CHAIN {
            let (data, least) = match self.step(&name, question.kind) {
                Found::Injected(answer) => return answer.clone(),
                Found::Alias(target, least) => {
                    name = target.clone();
                    ttl = shorter(ttl, least);
                    followed = true;
                    continue;
                }
                Found::Records(records, least) => (Data::Records(records.into()), least),
                Found::NoData => (Data::NoData, self.negative_ttl_at(&name)),
                Found::NxDomain => (Data::NxDomain, self.negative_ttl_at(&name)),
            };
            return Answer {
                data,
                dnssec: self.dnssec,
                ttl: shorter(ttl, least),
                canonical: followed.then_some(name),
            };
        }
        Answer::failed(Failure::ServFail)
    }

    /// What one name has to say, without following anything.
    fn step(&self, name: &Name, kind: RecordType) -> Found<'_> {
        let Some(node) = self.nodes.get(name).or_else(|| self.wildcard(name)) else {
            // RFC 8020 §2 and RFC 2308 §2.2: a name with something below it exists.
            return if self.has_below(name) {
                Found::NoData
            } else {
                Found::NxDomain
            };
        };
        let injected = node
            .injected
            .iter()
            .rev()
            .find(|(of, _)| of.is_none_or(|of| of == kind));
        if let Some((_, answer)) = injected {
            return Found::Injected(answer);
        }
        let least = |ttls: &mut dyn Iterator<Item = Option<Duration>>| {
            ttls.fold(None, |least, ttl| shorter(least, ttl.or(self.ttl)))
        };
        let mut matching = node
            .records
            .iter()
            .filter(|(record, _)| record.kind() == kind)
            .peekable();
        if matching.peek().is_some() {
            let least = least(&mut matching.clone().map(|(_, ttl)| *ttl));
            return Found::Records(matching.map(|(record, _)| record.clone()).collect(), least);
        }
        // RFC 1034 §3.6.2: "If a CNAME RR is present at a node, no other data should be present".
        let alias = node.records.iter().find_map(|(record, ttl)| match record {
            Record::Cname(target) => Some(Found::Alias(target, ttl.or(self.ttl))),
            _ => None,
        });
        alias.unwrap_or(Found::NoData)
    }

    fn negative_ttl_at(&self, name: &Name) -> Option<Duration> {
        if self.negative.is_empty() {
            return self.ttl;
        }
        name.ancestors()
            .find_map(|ancestor| self.negative.get(&ancestor).copied())
            .or(self.ttl)
    }

    /// RFC 4592 §3.3.1: the wildcard directly below the closest encloser, if the name itself does not exist.
    fn wildcard(&self, name: &Name) -> Option<&Node> {
        if self.has_below(name) {
            return None;
        }
        let encloser = name
            .ancestors()
            .skip(1)
            .find(|ancestor| self.nodes.contains_key(ancestor) || self.has_below(ancestor))?;
        self.nodes.get(&encloser.prepend("*").ok()?)
    }

    /// Whether the zone holds a name below this one; in canonical order it would be the next.
    fn has_below(&self, name: &Name) -> bool {
        let below = self
            .nodes
            .range((Bound::Excluded(name), Bound::Unbounded))
            .next();
        below.is_some_and(|(next, _)| next.is_subdomain_of(name))
    }
}

enum Found<'a> {
    Injected(&'a Answer),
    Records(Vec<Record>, Option<Duration>),
    Alias(&'a Name, Option<Duration>),
    NoData,
    NxDomain,
}

/// The shorter of two times to live; one that is not known counts for nothing.
fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[track_caller]
#[expect(
    clippy::panic,
    reason = "the text of a literal is part of the program, not an input"
)]
fn literal(text: &str) -> Name {
    match text.parse() {
        Ok(name) => name,
        Err(error) => panic!("{text:?}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Answer {
        zone.answer(&Question::new(name.parse().unwrap(), kind))
    }

    #[test]
    fn nothing_is_not_nowhere() {
        let zone = Zone::new()
            .txt("a.b.example.com", "x")
            .exists("empty.example.com");
        for (name, data) in [
            ("example.com", Data::NoData),
            ("B.example.com", Data::NoData),
            ("a.b.example.com", Data::NoData),
            ("empty.example.com", Data::NoData),
            ("c.example.com", Data::NxDomain),
            ("x.a.b.example.com", Data::NxDomain),
            ("ample.com", Data::NxDomain),
        ] {
            assert_eq!(ask(&zone, name, RecordType::A).data, data, "{name}");
        }
    }

    #[test]
    fn aliases_are_followed_and_loops_end() {
        let zone = Zone::new()
            .cname("a", "b")
            .cname("b", "c")
            .txt("c", "end")
            .cname("dangling", "nowhere")
            .cname("loop", "pool")
            .cname("pool", "loop")
            .cname("broken", "down")
            .fail("down", Failure::Timeout);
        let answer = ask(&zone, "a", RecordType::Txt);
        assert_eq!(answer.data, ask(&zone, "c", RecordType::Txt).data);
        assert_eq!(answer.canonical, Some("c".parse().unwrap()));
        assert_eq!(ask(&zone, "a", RecordType::A).data, Data::NoData);
        assert_eq!(
            ask(&zone, "a", RecordType::Cname).records(),
            [Record::Cname("b".parse().unwrap())]
        );
        assert_eq!(ask(&zone, "dangling", RecordType::A).data, Data::NxDomain);
        assert_eq!(
            ask(&zone, "loop", RecordType::A).data,
            Data::Failed(Failure::ServFail)
        );
        assert_eq!(
            ask(&zone, "broken", RecordType::A).data,
            Data::Failed(Failure::Timeout)
        );
    }

    #[test]
    fn failures_happen_where_injected() {
        let zone = Zone::new().txt("x", "t").a("x", [192, 0, 2, 1]).fail_type(
            "x",
            RecordType::A,
            Failure::Refused,
        );
        assert_eq!(
            ask(&zone, "x", RecordType::A).data,
            Data::Failed(Failure::Refused)
        );
        assert_eq!(ask(&zone, "x", RecordType::Txt).records().len(), 1);
        let zone = zone.fail("x", Failure::Bogus);
        assert_eq!(
            ask(&zone, "x", RecordType::Txt).data,
            Data::Failed(Failure::Bogus)
        );
    }

    #[test]
    fn wildcards_of_rfc_4592() {
        // RFC 4592 §2.2.1, the example zone and its answers.
        let zone = Zone::new()
            .txt("*.example", "this is a wildcard")
            .mx("*.example", 10, "host1.example")
            .txt("sub.*.example", "this is not a wildcard")
            .a("host1.example", [192, 0, 2, 1])
            .txt("_ssh._tcp.host1.example", "x");
        assert_eq!(
            ask(&zone, "host3.example", RecordType::Mx).records().len(),
            1
        );
        assert_eq!(
            ask(&zone, "host3.example", RecordType::A).data,
            Data::NoData
        );
        assert_eq!(
            ask(&zone, "foo.bar.example", RecordType::Txt)
                .records()
                .len(),
            1
        );
        assert_eq!(
            ask(&zone, "host1.example", RecordType::Mx).data,
            Data::NoData
        );
        assert_eq!(
            ask(&zone, "sub.*.example", RecordType::Mx).data,
            Data::NoData
        );
        assert_eq!(
            ask(&zone, "_telnet._tcp.host1.example", RecordType::Txt).data,
            Data::NxDomain
        );
        assert_eq!(
            ask(&zone, "ghost.*.example", RecordType::Mx).data,
            Data::NxDomain
        );
    }

    #[test]
    fn the_least_ttl_counts() {
        let mut zone = Zone::new().ttl(Duration::from_secs(50)).cname("alias", "x");
        zone.insert_with_ttl(
            "x".parse().unwrap(),
            Record::A([192, 0, 2, 1].into()),
            Duration::from_secs(60),
        );
        zone.insert_with_ttl(
            "x".parse().unwrap(),
            Record::A([192, 0, 2, 2].into()),
            Duration::from_secs(70),
        );
        assert_eq!(
            ask(&zone, "x", RecordType::A).ttl,
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            ask(&zone, "alias", RecordType::A).ttl,
            Some(Duration::from_secs(50))
        );
        assert_eq!(
            ask(&zone, "y", RecordType::A).ttl,
            Some(Duration::from_secs(50))
        );
        assert_eq!(
            ask(&Zone::new().a("x", [192, 0, 2, 1]), "x", RecordType::A).ttl,
            None
        );
    }
}
