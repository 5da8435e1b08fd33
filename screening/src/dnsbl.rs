//! What do the lists say of an address (DNSBL and DNSWL, RFC 5782)?

use core::fmt;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, Record, RecordType};

use crate::network::entry_name;

/// How much one evaluation may ask and hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Lists that are asked at once. Default: 8; each costs every connection a question.
    pub lists: usize,
    /// Answer codes kept of one list. Default: 32, one for each sublist of the largest combined lists.
    pub codes: usize,
    /// Octets of a reason that are kept. Default: 255, one string of a TXT record (RFC 1035 §3.3).
    pub reason: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lists: 8,
            codes: 32,
            reason: 255,
        }
    }
}

/// Which answers of a list count (RFC 5782 §2.3, §6: "DNSxL clients SHOULD be able to use bit masks and value range tests").
///
/// Whatever is chosen, an address outside of 127.0.0.0/8 never counts, and one in 127.255.255.0/24 is the list's way to say that it does
/// not answer us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Codes {
    /// Every one.
    #[default]
    Any,
    /// These.
    OneOf(Vec<Ipv4Addr>),
    /// From the first to the second, both included.
    Between(Ipv4Addr, Ipv4Addr),
    /// Those that have one of these bits set in the last octet.
    Bits(u8),
}

impl Codes {
    fn count(&self, code: Ipv4Addr) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(codes) => codes.contains(&code),
            Self::Between(first, last) => (*first..=*last).contains(&code),
            Self::Bits(bits) => code.octets()[3] & bits != 0,
        }
    }
}

/// One list, or one sublist of a combined list: the same zone may be named several times with other codes, and is asked once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// The zone, such as `bad.example.com`.
    pub zone: Name,
    /// Which answers count.
    pub codes: Codes,
    /// What a listing adds to the score: positive for a block list, negative for a white list.
    pub weight: i32,
    /// Whether to ask for the reason (TXT) when there is a listing. Default: no.
    pub reason: bool,
}

impl List {
    /// A list of which every answer counts, without reasons.
    pub const fn new(zone: Name, weight: i32) -> Self {
        Self {
            zone,
            codes: Codes::Any,
            weight,
            reason: false,
        }
    }
}

/// The lists that a server asks, and the score from which it acts; made once, shared by all evaluations.
#[derive(Clone, Debug)]
pub struct Lists {
    lists: Arc<[List]>,
    threshold: i64,
    limits: Limits,
}

/// Why lists cannot be asked: a mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListsError {
    /// More than [`Limits::lists`].
    #[error("{given} lists are configured, and {limit} is the limit")]
    TooMany {
        /// How many there are.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An IPv6 address in front of the zone would be longer than a name may be (255 octets, RFC 1035 §2.3.4).
    #[error("the zone {0} is too long to stand behind an address")]
    ZoneTooLong(Name),
}

impl Lists {
    /// Takes the lists, and the least score that is over the threshold.
    ///
    /// # Errors
    ///
    /// Too many lists, or a zone that is too long.
    pub fn new(
        lists: impl IntoIterator<Item = List>,
        threshold: i64,
        limits: &Limits,
    ) -> Result<Self, ListsError> {
        let lists: Arc<[List]> = lists.into_iter().collect();
        if lists.len() > limits.lists {
            return Err(ListsError::TooMany {
                given: lists.len(),
                limit: limits.lists,
            });
        }
        for list in lists.iter() {
            if entry_name(Ipv6Addr::UNSPECIFIED.into(), &list.zone).is_err() {
                return Err(ListsError::ZoneTooLong(list.zone.clone()));
            }
        }
        Ok(Self {
            lists,
            threshold,
            limits: limits.clone(),
        })
    }
}

/// What one list said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// There is no entry.
    NotListed,
    /// There is an entry with a code that counts.
    Listed {
        /// The codes that count, sorted.
        codes: Vec<Ipv4Addr>,
        /// The list's reason, if it was asked for and given: printable ASCII, everything else made `?`.
        reason: Option<String>,
    },
    /// There is an entry, and none of its codes counts (RFC 5782 §2.3: another sublist).
    OtherCodes(Vec<Ipv4Addr>),
    /// The list answered with a code of 127.255.255.0/24: it does not serve us, whatever the address. Never a listing.
    ListError(Ipv4Addr),
    /// The list answered with addresses outside of 127.0.0.0/8 only: it is no list any more, or never was. Never a listing.
    NotAList(Ipv4Addr),
    /// No answer. Never a listing.
    Failed(Failure),
}

/// What a [`Dnsbl`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The sum of the weights of the lists with an entry that counts.
    pub score: i64,
    /// Whether the score has reached the threshold.
    pub over_threshold: bool,
    /// What each list said, in the order of the configuration.
    pub lists: Vec<(List, Outcome)>,
}

/// Asks all lists at once for one address, and then for the reasons of those that have it.
///
/// RFC 5782 §6 says that a client "MUST interpret any returned A record as meaning that an address or domain is listed". Lists that
/// were given up and whose zones now answer every question have taught otherwise: only 127.0.0.0/8 counts (§2.3).
#[derive(Clone, Debug)]
pub struct Dnsbl {
    lists: Lists,
    entries: Vec<Name>,
    /// What is known of each entry; lists of the same zone share one.
    codes: BTreeMap<Name, Lookup<Entry>>,
    reasons: BTreeMap<Name, Lookup<Option<String>>>,
}

#[derive(Clone, Debug)]
enum Lookup<T> {
    Unasked,
    Asked,
    Answered(T),
}

impl<T> Lookup<T> {
    const fn answer(&self) -> Option<&T> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Unasked | Self::Asked => None,
        }
    }
}

/// An answer, before any list's codes are applied.
#[derive(Clone, Debug)]
enum Entry {
    None,
    Codes(Vec<Ipv4Addr>),
    Error(Ipv4Addr),
    NotAList(Ipv4Addr),
    Failed(Failure),
}

impl Dnsbl {
    /// Begins the evaluation of a client's address.
    pub fn new(address: IpAddr, lists: &Lists) -> Self {
        let address = address.to_canonical();
        // That the zones fit was checked when the lists were taken.
        let entry =
            |list: &List| entry_name(address, &list.zone).unwrap_or_else(|_| list.zone.clone());
        let entries: Vec<Name> = lists.lists.iter().map(entry).collect();
        let codes = entries
            .iter()
            .map(|name| (name.clone(), Lookup::Unasked))
            .collect();
        Self {
            lists: lists.clone(),
            entries,
            codes,
            reasons: BTreeMap::new(),
        }
    }

    fn outcome(&self, list: &List, name: &Name) -> Outcome {
        match self.codes.get(name).and_then(Lookup::answer) {
            None | Some(Entry::None) => Outcome::NotListed,
            Some(Entry::Error(code)) => Outcome::ListError(*code),
            Some(Entry::NotAList(address)) => Outcome::NotAList(*address),
            Some(Entry::Failed(failure)) => Outcome::Failed(*failure),
            Some(Entry::Codes(codes)) => {
                let counting: Vec<_> = codes
                    .iter()
                    .copied()
                    .filter(|code| list.codes.count(*code))
                    .collect();
                if counting.is_empty() {
                    return Outcome::OtherCodes(codes.clone());
                }
                let reason = self.reasons.get(name).and_then(Lookup::answer);
                Outcome::Listed {
                    codes: counting,
                    reason: reason.cloned().flatten().filter(|_| list.reason),
                }
            }
        }
    }

    fn verdict(&self) -> Verdict {
        let pairs = self.lists.lists.iter().zip(&self.entries);
        let lists: Vec<_> = pairs
            .map(|(list, name)| (list.clone(), self.outcome(list, name)))
            .collect();
        let listed = lists
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Listed { .. }));
        let score = listed.map(|(list, _)| i64::from(list.weight)).sum();
        Verdict {
            score,
            over_threshold: score >= self.lists.threshold,
            lists,
        }
    }
}

impl Evaluation for Dnsbl {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        for (name, lookup) in &mut self.codes {
            if matches!(lookup, Lookup::Unasked) {
                *lookup = Lookup::Asked;
                return Need::Lookup(Question::new(name.clone(), RecordType::A));
            }
        }
        for (name, lookup) in &mut self.reasons {
            if matches!(lookup, Lookup::Unasked) {
                *lookup = Lookup::Asked;
                return Need::Lookup(Question::new(name.clone(), RecordType::Txt));
            }
        }
        let open = self.codes.values().any(|lookup| lookup.answer().is_none())
            || self
                .reasons
                .values()
                .any(|lookup| lookup.answer().is_none());
        if open {
            Need::Wait
        } else {
            Need::Done(self.verdict())
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        match question.kind {
            RecordType::A => {
                let Some(lookup @ Lookup::Asked) = self.codes.get_mut(&question.name) else {
                    return;
                };
                *lookup = Lookup::Answered(entry(answer, &self.lists.limits));
                let lists = self.lists.lists.iter().zip(&self.entries);
                let wanted = lists.filter(|(list, name)| **name == question.name && list.reason);
                let listed = wanted.map(|(list, name)| self.outcome(list, name));
                if listed
                    .into_iter()
                    .any(|outcome| matches!(outcome, Outcome::Listed { .. }))
                {
                    self.reasons.insert(question.name.clone(), Lookup::Unasked);
                }
            }
            RecordType::Txt => {
                if let Some(lookup @ Lookup::Asked) = self.reasons.get_mut(&question.name) {
                    *lookup = Lookup::Answered(reason(answer, self.lists.limits.reason));
                }
            }
            _ => {}
        }
    }
}

fn entry(answer: &Answer, limits: &Limits) -> Entry {
    let records = match answer.outcome() {
        Ok(records) => records,
        Err(failure) => return Entry::Failed(failure),
    };
    let mut codes = std::collections::BTreeSet::new();
    let (mut error, mut foreign) = (None, None);
    for record in records {
        let Record::A(address) = record else { continue };
        match address.octets() {
            [127, 255, 255, _] => error = error.max(Some(*address)),
            [127, ..] => {
                codes.insert(*address);
                if codes.len() > limits.codes {
                    codes.pop_last();
                }
            }
            _ => foreign = foreign.max(Some(*address)),
        }
    }
    match (error, codes.is_empty(), foreign) {
        (Some(code), ..) => Entry::Error(code),
        (None, false, _) => Entry::Codes(codes.into_iter().collect()),
        (None, true, Some(address)) => Entry::NotAList(address),
        (None, true, None) => Entry::None,
    }
}

/// The first text, made harmless: it may end in a reply or a log.
fn reason(answer: &Answer, limit: usize) -> Option<String> {
    answer.records().iter().find_map(|record| match record {
        Record::Txt(text) => {
            let printable = |octet: &u8| {
                if matches!(octet, b' '..=b'~') {
                    char::from(*octet)
                } else {
                    '?'
                }
            };
            Some(text.joined().iter().take(limit).map(printable).collect())
        }
        _ => None,
    })
}

/// Whether a list still works, by the entries that it must and must not have (RFC 5782 §5); to be asked each hour or so.
#[derive(Clone, Debug)]
pub struct SelfTest {
    /// For the address that must have an entry, and for that which must not.
    questions: [Question; 2],
    asked: usize,
    answers: [Option<Entry>; 2],
}

/// What a [`SelfTest`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The test address has an entry and the other has none.
    Works,
    /// The test address has no entry: the list is empty, or gone.
    NoTestEntry,
    /// What must not have an entry has one: the list answers everything.
    ListsEverything,
    /// The list does not serve us, or answers with addresses that are no codes.
    Refuses(Ipv4Addr),
    /// A lookup failed; try later.
    Unknown(Failure),
}

/// Which kind of addresses a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4: `127.0.0.2` and `127.0.0.1` are asked.
    Ipv4,
    /// IPv6: `::FFFF:7F00:2` and `::FFFF:7F00:1` are asked.
    Ipv6,
}

impl SelfTest {
    /// Begins the test of a zone.
    ///
    /// # Errors
    ///
    /// The zone is too long to stand behind an address.
    pub fn new(zone: &Name, family: Family) -> Result<Self, mail_dns::NameError> {
        // RFC 5782 §5: "IPv4-based DNSxLs MUST contain an entry for 127.0.0.2 for testing purposes.  IPv4-based DNSxLs MUST NOT
        // contain an entry for 127.0.0.1."
        let question = |last: u8| {
            let address = Ipv4Addr::new(127, 0, 0, last);
            let address = match family {
                Family::Ipv4 => IpAddr::V4(address),
                Family::Ipv6 => IpAddr::V6(address.to_ipv6_mapped()),
            };
            Ok(Question::new(entry_name(address, zone)?, RecordType::A))
        };
        Ok(Self {
            questions: [question(2)?, question(1)?],
            asked: 0,
            answers: [None, None],
        })
    }
}

impl Evaluation for SelfTest {
    type Verdict = Health;

    fn poll(&mut self) -> Need<Health> {
        if let Some(question) = self.questions.get(self.asked) {
            self.asked += 1;
            return Need::Lookup(question.clone());
        }
        let [Some(must), Some(must_not)] = &self.answers else {
            return Need::Wait;
        };
        Need::Done(match (must, must_not) {
            (Entry::Error(code) | Entry::NotAList(code), _)
            | (_, Entry::Error(code) | Entry::NotAList(code)) => Health::Refuses(*code),
            (_, Entry::Codes(_)) => Health::ListsEverything,
            (Entry::Failed(failure), _) | (_, Entry::Failed(failure)) => Health::Unknown(*failure),
            (Entry::None, Entry::None) => Health::NoTestEntry,
            (Entry::Codes(_), Entry::None) => Health::Works,
        })
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        let asked = self
            .questions
            .iter()
            .take(self.asked)
            .position(|asked| asked == question);
        if let Some(slot) = asked.and_then(|at| self.answers.get_mut(at)) {
            slot.get_or_insert_with(|| entry(answer, &Limits::default()));
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let print = |f: &mut fmt::Formatter<'_>, codes: &[Ipv4Addr]| {
            codes.iter().try_for_each(|code| write!(f, " {code}"))
        };
        match self {
            Self::NotListed => f.write_str("not listed"),
            Self::Listed { codes, reason } => {
                f.write_str("listed")?;
                print(f, codes)?;
                reason
                    .as_ref()
                    .map_or(Ok(()), |reason| write!(f, ": {reason}"))
            }
            Self::OtherCodes(codes) => {
                f.write_str("listed for something else")?;
                print(f, codes)
            }
            Self::ListError(code) => write!(f, "the list does not serve us: {code}"),
            Self::NotAList(address) => write!(f, "no list: it answers {address}"),
            Self::Failed(failure) => write!(f, "no answer: {failure}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_dns::{Zone, resolve_blocking};

    fn list(zone: &str, weight: i32) -> List {
        List::new(zone.parse().unwrap(), weight)
    }

    fn run(zone: &Zone, client: &str, lists: impl IntoIterator<Item = List>) -> Verdict {
        let lists = Lists::new(lists, 3, &Limits::default()).unwrap();
        resolve_blocking(Dnsbl::new(client.parse().unwrap(), &lists), |question| {
            zone.answer(question)
        })
    }

    const ENTRY: &str = "99.2.0.192.bad.example.com";

    #[test]
    fn only_codes_count() {
        let code = |last| Ipv4Addr::new(127, 0, 0, last);
        for (zone, outcome) in [
            (Zone::new(), Outcome::NotListed),
            (
                Zone::new().a(ENTRY, [127, 0, 0, 2]),
                Outcome::Listed {
                    codes: vec![code(2)],
                    reason: None,
                },
            ),
            (
                Zone::new().a("*.bad.example.com", [192, 0, 2, 1]),
                Outcome::NotAList([192, 0, 2, 1].into()),
            ),
            (
                Zone::new()
                    .a(ENTRY, [192, 0, 2, 1])
                    .a(ENTRY, [127, 0, 0, 3]),
                Outcome::Listed {
                    codes: vec![code(3)],
                    reason: None,
                },
            ),
            (
                Zone::new().a(ENTRY, [127, 255, 255, 254]),
                Outcome::ListError([127, 255, 255, 254].into()),
            ),
            (
                Zone::new()
                    .a(ENTRY, [127, 255, 255, 255])
                    .a(ENTRY, [127, 0, 0, 2]),
                Outcome::ListError([127, 255, 255, 255].into()),
            ),
            (
                Zone::new().fail(ENTRY, Failure::Timeout),
                Outcome::Failed(Failure::Timeout),
            ),
        ] {
            let verdict = run(&zone, "192.0.2.99", [list("bad.example.com", 3)]);
            let listed = matches!(outcome, Outcome::Listed { .. });
            assert_eq!(verdict.lists[0].1, outcome);
            assert_eq!(verdict.over_threshold, listed);
        }
    }

    #[test]
    fn sublists_of_one_zone_are_asked_once() {
        let sublist = |codes, weight| List {
            codes,
            ..list("bad.example.com", weight)
        };
        let lists = [
            sublist(Codes::Bits(2), 1),
            sublist(Codes::Bits(4), 10),
            sublist(Codes::Bits(8), 100),
            sublist(Codes::OneOf(vec![[127, 0, 0, 6].into()]), 1_000),
            sublist(
                Codes::Between([127, 0, 0, 1].into(), [127, 0, 0, 5].into()),
                10_000,
            ),
        ];
        let zone = Zone::new().a(ENTRY, [127, 0, 0, 6]);
        let lists = Lists::new(lists, 0, &Limits::default()).unwrap();
        let mut asked = 0;
        let verdict = resolve_blocking(
            Dnsbl::new("192.0.2.99".parse().unwrap(), &lists),
            |question| {
                asked += 1;
                zone.answer(question)
            },
        );
        assert_eq!((verdict.score, asked), (1_011, 1));
        assert!(matches!(verdict.lists[2].1, Outcome::OtherCodes(_)));
    }

    #[test]
    fn white_lists_weigh_against_block_lists() {
        let zone = Zone::new()
            .a(ENTRY, [127, 0, 0, 2])
            .a("99.2.0.192.good.example.com", [127, 0, 10, 3]);
        let lists = [list("bad.example.com", 3), list("good.example.com", -2)];
        let verdict = run(&zone, "192.0.2.99", lists);
        assert_eq!((verdict.score, verdict.over_threshold), (1, false));
    }

    #[test]
    fn reasons_are_harmless_and_never_decide() {
        let bad = List {
            reason: true,
            ..list("bad.example.com", 3)
        };
        let listed = || Zone::new().a(ENTRY, [127, 0, 0, 2]);
        for (zone, expected) in [
            (
                listed().txt(ENTRY, "see\r\n250 ok\u{7f}"),
                Some("see??250 ok?".to_owned()),
            ),
            (
                listed().txt(ENTRY, &"x".repeat(9_000)),
                Some("x".repeat(255)),
            ),
            (
                listed().fail_type(ENTRY, RecordType::Txt, Failure::Timeout),
                None,
            ),
            (listed(), None),
        ] {
            let verdict = run(&zone, "192.0.2.99", [bad.clone()]);
            assert!(verdict.over_threshold);
            assert!(
                matches!(&verdict.lists[0].1, Outcome::Listed { reason, .. } if *reason == expected)
            );
        }
    }

    #[test]
    fn ten_thousand_codes() {
        let records =
            (0..10_000u32).map(|number| Record::A(Ipv4Addr::from_bits(0x7f00_0000 + number)));
        let answer = Answer::found(records);
        let lists = Lists::new([list("bad.example.com", 3)], 3, &Limits::default()).unwrap();
        let verdict = resolve_blocking(Dnsbl::new("192.0.2.99".parse().unwrap(), &lists), |_| {
            answer.clone()
        });
        assert!(matches!(&verdict.lists[0].1, Outcome::Listed { codes, .. } if codes.len() == 32));
    }

    #[test]
    fn all_lists_are_asked_before_any_answers() {
        let lists = Lists::new(
            [list("a.example", 1), list("b.example", 1)],
            1,
            &Limits::default(),
        )
        .unwrap();
        let mut dnsbl = Dnsbl::new("192.0.2.99".parse().unwrap(), &lists);
        assert!(matches!(dnsbl.poll(), Need::Lookup(_)));
        assert!(matches!(dnsbl.poll(), Need::Lookup(_)));
        assert_eq!(dnsbl.poll(), Need::Wait);
    }

    #[test]
    fn configuration_mistakes() {
        let nine = (0..9).map(|number| list(&format!("l{number}.example"), 1));
        let error = Lists::new(nine, 1, &Limits::default()).unwrap_err();
        assert_eq!(error, ListsError::TooMany { given: 9, limit: 8 });
        let label = "a".repeat(63);
        let long = list(&format!("{label}.{label}.{label}"), 1);
        assert!(matches!(
            Lists::new([long], 1, &Limits::default()),
            Err(ListsError::ZoneTooLong(_))
        ));
    }

    #[test]
    fn health() {
        const MUST: &str = "2.0.0.127.bad.example.com";
        const MUST_NOT: &str = "1.0.0.127.bad.example.com";
        let works = || Zone::new().a(MUST, [127, 0, 0, 2]);
        for (zone, health) in [
            (works(), Health::Works),
            (Zone::new(), Health::NoTestEntry),
            (
                Zone::new().a("*.bad.example.com", [127, 0, 0, 2]),
                Health::ListsEverything,
            ),
            (
                Zone::new().a("*.bad.example.com", [192, 0, 2, 1]),
                Health::Refuses([192, 0, 2, 1].into()),
            ),
            (
                works().fail(MUST_NOT, Failure::ServFail),
                Health::Unknown(Failure::ServFail),
            ),
        ] {
            let test = SelfTest::new(&"bad.example.com".parse().unwrap(), Family::Ipv4).unwrap();
            assert_eq!(
                resolve_blocking(test, |question| zone.answer(question)),
                health
            );
        }
    }
}
