//! What do the lists say of a client (DNSBL, DNSWL and RHSBL, RFC 5782)?
//!
//! [`Lists`] says which lists there are, what is looked up in each, and which answers count for how much; [`Dnsbl`] asks them all at once;
//! [`ListHealth`] says which of them work.
//!
//! # What each answer leads to
//!
//! A list is run by somebody else, and its zone may be sold tomorrow. Whatever it answers, one of these is the decision; none but
//! "listed" ever adds to the score.
//!
//! | answer to the question for the entry's A record | outcome | what else |
//! |---|---|---|
//! | no such name; no data; no records; records of other types only | [`NotListed`](Outcome::NotListed) | |
//! | codes of 127.0.0.0/8 that count | [`Listed`](Outcome::Listed): its weight | the reason is asked for, if wanted |
//! | codes of 127.0.0.0/8 of which none counts | [`OtherCodes`](Outcome::OtherCodes) | |
//! | more codes than [`Limits::codes`] (10,000 records) | by the least of them | the others are dropped as they are read |
//! | a code of 127.255.255.0/24, also among others | [`ListError`](Outcome::ListError) | a test of the list is due |
//! | an address outside of 127.0.0.0/8, also among codes; by a CNAME too | [`NotAList`](Outcome::NotAList) | a test of the list is due |
//! | failure, refusal, timeout, or an answer that DNSSEC calls bogus | [`Failed`](Outcome::Failed) | a test of the list is due |
//! | an answer to something that was not asked; a second answer | none: ignored | |
//! | everybody is listed (a dead list with a wildcard) | [`Listed`](Outcome::Listed), until the test | after 20 in a row a test is due; it turns the list off |
//! | its tests failed ([`ListHealth`]) | [`NotAsked`](Outcome::NotAsked): off, and why | tested again, ever more seldom |
//! | nothing to ask it for: a null reverse-path, an address in place of a name | [`NotAsked`](Outcome::NotAsked) | |
//!
//! The reason (TXT) never decides anything: where there is none, where its lookup fails, where it is not printable (`?` takes the place
//! of each octet) or too long (cut), the entry is listed all the same. Zones and subjects that share an entry share its question, and the same
//! entry under the same codes counts once.

use core::fmt;
use std::net::Ipv4Addr;

use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, RecordType};

mod answer;
mod dnswl;
mod list;
mod list_health;
mod self_test;

use answer::Entry;
pub use list::{Codes, List, Lists, ListsError, NotAsked, Subject, Subjects};
pub use list_health::{HealthPolicy, ListHealth, ListId, Standing, Status, WhyOff};
pub use self_test::{Family, Health, SelfTest};

/// How much one evaluation may ask and hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Lists that are configured, sublists included. Default: 64; each is a row of every verdict.
    pub lists: usize,
    /// Questions that they need for one client, without those for reasons. Default: 16; each is a lookup for every connection.
    pub questions: usize,
    /// Answer codes kept of one entry. Default: 32, one for each sublist of the largest combined lists.
    pub codes: usize,
    /// Octets of a reason that are kept. Default: 255, one string of a TXT record (RFC 1035 §3.3).
    pub reason: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lists: 64,
            questions: 16,
            codes: 32,
            reason: 255,
        }
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
    /// The list answered with a code of 127.255.255.0/24: it does not serve us, whatever the subject. Never a listing.
    ListError(Ipv4Addr),
    /// The list answered with an address outside of 127.0.0.0/8: it is no list any more, or never was. Never a listing.
    NotAList(Ipv4Addr),
    /// No answer. Never a listing.
    Failed(Failure),
    /// It was not asked.
    NotAsked(NotAsked),
}

/// One list, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The list as it is configured.
    pub list: List,
    /// What it said.
    pub outcome: Outcome,
    /// What it adds to the score: its weight if there is a listing, unless the same entry has counted already.
    pub points: i32,
}

/// What a [`Dnsbl`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The sum of the points of all rows.
    pub score: i64,
    /// Whether the score has reached the threshold.
    pub over_threshold: bool,
    /// What each list said, in the order of the configuration.
    pub lists: Vec<Row>,
}

impl Verdict {
    /// The rows with an entry that counts.
    pub fn listed(&self) -> impl Iterator<Item = &Row> {
        let listed = |row: &&Row| matches!(row.outcome, Outcome::Listed { .. });
        self.lists.iter().filter(listed)
    }
}

/// Asks all lists at once about one client, and then for the reasons of those that have it.
///
/// RFC 5782 §6 says that a client "MUST interpret any returned A record as meaning that an address or domain is listed". Lists that
/// were given up and whose zones now answer every question have taught otherwise: only 127.0.0.0/8 counts (§2.3).
#[derive(Clone, Debug)]
pub struct Dnsbl {
    lists: Lists,
    /// The place of the entry that each list is asked for.
    places: Vec<Result<usize, NotAsked>>,
    /// Entries by their places; lists of the same zone share one.
    lookups: Vec<Lookup>,
    /// How many of them have been asked for.
    asked: usize,
}

/// An entry, and what is known of it.
#[derive(Clone, Debug)]
struct Lookup {
    name: Name,
    entry: Option<Entry>,
    reason: Reason,
}

#[derive(Clone, Debug)]
enum Reason {
    NotWanted,
    Unasked,
    Asked,
    Answered(Option<String>),
}

impl Dnsbl {
    /// Begins the evaluation of a client: its address, or more [`Subjects`].
    pub fn new(subjects: impl Into<Subjects>, lists: &Lists) -> Self {
        Self::asking(&subjects.into(), lists, |_| Ok(()))
    }

    /// The same, of the lists that work.
    pub fn with_health(subjects: impl Into<Subjects>, lists: &Lists, health: &ListHealth) -> Self {
        let may_ask = |list: &List| health.may_ask(list).map_err(NotAsked::Off);
        Self::asking(&subjects.into(), lists, may_ask)
    }

    fn asking(
        subjects: &Subjects,
        lists: &Lists,
        may_ask: impl Fn(&List) -> Result<(), NotAsked>,
    ) -> Self {
        let mut lookups: Vec<Lookup> = Vec::new();
        let prefix = subjects.address_labels();
        let mut place = |list: &List| {
            may_ask(list)?;
            let name = subjects.entry(list, prefix.as_ref())?;
            let known = lookups.iter().position(|lookup| lookup.name == name);
            Ok(known.unwrap_or_else(|| {
                lookups.push(Lookup {
                    name,
                    entry: None,
                    reason: Reason::NotWanted,
                });
                lookups.len() - 1
            }))
        };
        Self {
            places: lists.iter().map(&mut place).collect(),
            lists: lists.clone(),
            lookups,
            asked: 0,
        }
    }

    fn outcome(&self, list: &List, place: &Result<usize, NotAsked>) -> Outcome {
        let lookup = match place {
            Ok(place) => self.lookups.get(*place),
            Err(why) => return Outcome::NotAsked(why.clone()),
        };
        match lookup.and_then(|lookup| lookup.entry.as_ref()) {
            None | Some(Entry::None) => Outcome::NotListed,
            Some(Entry::Error(code)) => Outcome::ListError(*code),
            Some(Entry::NotAList(address)) => Outcome::NotAList(*address),
            Some(Entry::Failed(failure)) => Outcome::Failed(*failure),
            Some(Entry::Codes(codes)) => {
                let counting = codes.iter().copied();
                let counting: Vec<_> = counting.filter(|code| list.codes.count(*code)).collect();
                if counting.is_empty() {
                    return Outcome::OtherCodes(codes.clone());
                }
                let reason = match lookup.map(|lookup| &lookup.reason) {
                    Some(Reason::Answered(reason)) if list.reason => reason.clone(),
                    _ => None,
                };
                Outcome::Listed {
                    codes: counting,
                    reason,
                }
            }
        }
    }

    fn verdict(&self) -> Verdict {
        let pairs = || self.lists.iter().zip(&self.places);
        let mut lists = Vec::with_capacity(self.places.len());
        for (at, (list, place)) in pairs().enumerate() {
            let outcome = self.outcome(list, place);
            // A name that is both the sender's domain and the HELO name is one entry, and one offence.
            let same = |(other, its): (&List, _)| its == place && other.codes == list.codes;
            let counts = matches!(outcome, Outcome::Listed { .. }) && !pairs().take(at).any(same);
            lists.push(Row {
                list: list.clone(),
                outcome,
                points: if counts { list.weight } else { 0 },
            });
        }
        let score = lists.iter().map(|row| i64::from(row.points)).sum();
        Verdict {
            score,
            over_threshold: score >= self.lists.threshold,
            lists,
        }
    }

    /// Whether a list that has this entry wants to know why.
    fn wants_reason(&self, place: usize) -> bool {
        let mut lists = self.lists.iter().zip(&self.places);
        lists.any(|(list, its)| {
            list.reason
                && *its == Ok(place)
                && matches!(self.outcome(list, its), Outcome::Listed { .. })
        })
    }
}

impl Evaluation for Dnsbl {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if let Some(lookup) = self.lookups.get(self.asked) {
            self.asked += 1;
            return Need::Lookup(Question::new(lookup.name.clone(), RecordType::A));
        }
        let unasked = |lookup: &&mut Lookup| matches!(lookup.reason, Reason::Unasked);
        if let Some(lookup) = self.lookups.iter_mut().find(unasked) {
            lookup.reason = Reason::Asked;
            return Need::Lookup(Question::new(lookup.name.clone(), RecordType::Txt));
        }
        let open =
            |lookup: &Lookup| lookup.entry.is_none() || matches!(lookup.reason, Reason::Asked);
        if self.lookups.iter().any(open) {
            Need::Wait
        } else {
            Need::Done(self.verdict())
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        let mut lookups = self.lookups.iter_mut().take(self.asked).enumerate();
        let asked = lookups.find(|(_, lookup)| lookup.name == question.name);
        let Some((place, lookup)) = asked else {
            return;
        };
        match question.kind {
            RecordType::A if lookup.entry.is_none() => {
                lookup.entry = Some(Entry::read(answer, self.lists.limits.codes));
                if self.wants_reason(place)
                    && let Some(lookup) = self.lookups.get_mut(place)
                {
                    lookup.reason = Reason::Unasked;
                }
            }
            RecordType::Txt if matches!(lookup.reason, Reason::Asked) => {
                let reason = answer::reason(answer, self.lists.limits.reason);
                lookup.reason = Reason::Answered(reason);
            }
            _ => {}
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
            Self::NotAsked(NotAsked::NotKnown) => f.write_str("not asked: nothing to look up"),
            Self::NotAsked(NotAsked::NoDomain) => f.write_str("not asked: no domain"),
            Self::NotAsked(NotAsked::TooLong) => f.write_str("not asked: the name is too long"),
            Self::NotAsked(NotAsked::Off(why)) => write!(f, "not asked, it is off: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    use mail_dns::{Record, Zone, resolve_blocking};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn list(zone: &str, weight: i32) -> List {
        List::new(name(zone), weight)
    }

    fn run(zone: &Zone, client: &str, lists: impl IntoIterator<Item = List>) -> Verdict {
        let lists = Lists::new(lists, 3, &Limits::default()).unwrap();
        resolve_blocking(
            Dnsbl::new(client.parse::<IpAddr>().unwrap(), &lists),
            |question| zone.answer(question),
        )
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
                Outcome::NotAList([192, 0, 2, 1].into()),
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
            assert_eq!(verdict.lists[0].outcome, outcome);
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
            Dnsbl::new("192.0.2.99".parse::<IpAddr>().unwrap(), &lists),
            |question| {
                asked += 1;
                zone.answer(question)
            },
        );
        assert_eq!((verdict.score, asked), (1_011, 1));
        assert!(matches!(verdict.lists[2].outcome, Outcome::OtherCodes(_)));
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
                matches!(&verdict.lists[0].outcome, Outcome::Listed { reason, .. } if *reason == expected)
            );
        }
    }

    #[test]
    fn ten_thousand_codes() {
        let records =
            (0..10_000u32).map(|number| Record::A(Ipv4Addr::from_bits(0x7f00_0000 + number)));
        let answer = Answer::found(records);
        let lists = Lists::new([list("bad.example.com", 3)], 3, &Limits::default()).unwrap();
        let verdict = resolve_blocking(
            Dnsbl::new("192.0.2.99".parse::<IpAddr>().unwrap(), &lists),
            |_| answer.clone(),
        );
        assert!(
            matches!(&verdict.lists[0].outcome, Outcome::Listed { codes, .. } if codes.len() == 32)
        );
    }

    #[test]
    fn all_lists_are_asked_before_any_answers() {
        let lists = Lists::new(
            [list("a.example", 1), list("b.example", 1)],
            1,
            &Limits::default(),
        )
        .unwrap();
        let mut dnsbl = Dnsbl::new("192.0.2.99".parse::<IpAddr>().unwrap(), &lists);
        assert!(matches!(dnsbl.poll(), Need::Lookup(_)));
        assert!(matches!(dnsbl.poll(), Need::Lookup(_)));
        assert_eq!(dnsbl.poll(), Need::Wait);
    }

    #[test]
    fn configuration_mistakes() {
        let many = |count: usize| (0..count).map(|number| list(&format!("l{number}.example"), 1));
        let few = Limits {
            lists: 8,
            ..Limits::default()
        };
        let error = Lists::new(many(9), 1, &few).unwrap_err();
        assert_eq!(error, ListsError::TooMany { given: 9, limit: 8 });
        assert!(Lists::new(many(16), 1, &Limits::default()).is_ok());
        let error = Lists::new(many(17), 1, &Limits::default()).unwrap_err();
        let expected = ListsError::TooManyQuestions {
            given: 17,
            limit: 16,
        };
        assert_eq!(error, expected);
        // Sublists cost no further question, other subjects do.
        let sublists = many(16).chain(many(16));
        assert!(Lists::new(sublists, 1, &Limits::default()).is_ok());
        let helo = List::of(Subject::Helo, name("l0.example"), 1);
        let more = many(16).chain([helo]);
        assert!(Lists::new(more, 1, &Limits::default()).is_err());
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
