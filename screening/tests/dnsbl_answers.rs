//! Each row of the table in the documentation of `screening::dnsbl`: whatever a list answers, this is the decision.
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};

use mail_dns::{
    Answer, Dnssec, Evaluation, Failure, Name, Need, Question, Record, RecordType, Txt, Zone,
    resolve_blocking,
};
use screening::dnsbl::Health;
use screening::dnsbl::{
    Codes, Dnsbl, HealthPolicy, Limits, List, ListHealth, Lists, NotAsked, Outcome, Subject,
    Subjects, Verdict, WhyOff,
};

const ENTRY: &str = "99.2.0.192.bad.example.com";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn client() -> IpAddr {
    "192.0.2.99".parse().unwrap()
}

fn lists(lists: impl IntoIterator<Item = List>) -> Lists {
    Lists::new(lists, 3, &Limits::default()).unwrap()
}

fn bad() -> List {
    List::new(name("bad.example.com"), 3)
}

fn code(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// What one list of weight 3 says when this is the answer to every question.
fn answered(list: List, answer: &Answer) -> Verdict {
    resolve_blocking(Dnsbl::new(client(), &lists([list])), |_| answer.clone())
}

fn decide(answer: &Answer) -> (Outcome, i64) {
    let verdict = answered(bad(), answer);
    assert_eq!(verdict.over_threshold, verdict.score >= 3);
    (verdict.lists[0].outcome.clone(), verdict.score)
}

fn addresses(addresses: &[[u8; 4]]) -> Answer {
    Answer::found(addresses.iter().map(|address| Record::A((*address).into())))
}

fn listed(codes: &[Ipv4Addr]) -> Outcome {
    // `Outcome::Listed` has no reason where none was asked for.
    Outcome::Listed {
        codes: codes.to_vec(),
        reason: None,
    }
}

#[test]
fn nothing_there() {
    let text = Record::Txt(Txt::new(["127.0.0.2"]));
    let strange = [
        text,
        Record::Cname(name("127.0.0.2")),
        Record::Ptr(name("bad.example.com")),
        Record::Aaaa("::ffff:127.0.0.2".parse().unwrap()),
        Record::Mx {
            preference: 127,
            exchange: name("bad.example.com"),
        },
    ];
    for answer in [
        Answer::nx_domain(),
        Answer::no_data(),
        Answer::found([]),
        Answer::found(strange),
    ] {
        assert_eq!(decide(&answer), (Outcome::NotListed, 0), "{answer}");
    }
}

#[test]
fn codes_that_count() {
    for (answer, codes) in [
        (addresses(&[[127, 0, 0, 2]]), vec![code(2)]),
        (addresses(&[[127, 0, 0, 1]]), vec![code(1)]),
        (addresses(&[[127, 0, 0, 0]]), vec![code(0)]),
        (
            addresses(&[[127, 255, 254, 255]]),
            vec![Ipv4Addr::new(127, 255, 254, 255)],
        ),
        // In any order, and however often.
        (
            addresses(&[[127, 0, 0, 4], [127, 0, 0, 2], [127, 0, 0, 4]]),
            vec![code(2), code(4)],
        ),
    ] {
        assert_eq!(decide(&answer), (listed(&codes), 3), "{answer}");
    }
}

#[test]
fn codes_of_which_none_counts() {
    let answer = addresses(&[[127, 0, 0, 4]]);
    let list = bad().with_codes(Codes::OneOf(vec![code(2)]));
    let verdict = answered(list, &answer);
    assert_eq!(verdict.lists[0].outcome, Outcome::OtherCodes(vec![code(4)]));
    assert_eq!(verdict.score, 0);
}

#[test]
fn each_code_its_weight() {
    let weighed = |codes, weight| {
        let mut list = bad().with_codes(codes);
        list.weight = weight;
        list
    };
    let lists = lists([
        weighed(Codes::OneOf(vec![code(2)]), 5),
        weighed(Codes::Between(code(4), code(7)), 3),
        weighed(Codes::Bits(8), 1),
        weighed(Codes::OneOf(vec![code(9)]), -2),
    ]);
    for (codes, score) in [
        (vec![2], 5),
        (vec![5], 3),
        (vec![2, 5, 7], 8),
        (vec![8], 1),
        (vec![9], -1),
        (vec![3], 0),
    ] {
        let answer = Answer::found(codes.iter().map(|last| Record::A(code(*last))));
        let verdict = resolve_blocking(Dnsbl::new(client(), &lists), |_| answer.clone());
        assert_eq!(verdict.score, score, "{codes:?}");
    }
}

#[test]
fn ten_thousand_records() {
    let records = |first: u32| {
        let codes = (0..10_000).map(move |number| Ipv4Addr::from_bits(first + number));
        codes.map(Record::A)
    };
    let (outcome, score) = decide(&Answer::found(records(0x7f00_0001)));
    let least: Vec<_> = (1..=32).map(code).collect();
    assert_eq!((outcome, score), (listed(&least), 3));
    // Backwards they are the same, and what is among them is seen wherever it stands.
    let mut backwards: Vec<_> = records(0x7f00_0001).collect();
    backwards.reverse();
    assert_eq!(decide(&Answer::found(backwards.clone())).0, listed(&least));
    backwards.push(Record::A([127, 255, 255, 254].into()));
    let error = Outcome::ListError([127, 255, 255, 254].into());
    assert_eq!(decide(&Answer::found(backwards)), (error, 0));
    let texts = (0..10_000).map(|number: u32| Record::Txt(Txt::new([number.to_string()])));
    assert_eq!(decide(&Answer::found(texts)).0, Outcome::NotListed);
}

#[test]
fn error_codes_also_among_others() {
    for last in [0, 252, 254, 255] {
        let error = [127, 255, 255, last];
        for answer in [
            addresses(&[error]),
            addresses(&[[127, 0, 0, 2], error]),
            addresses(&[error, [127, 0, 0, 2]]),
        ] {
            assert_eq!(decide(&answer), (Outcome::ListError(error.into()), 0));
        }
    }
}

#[test]
fn addresses_that_are_no_codes_also_among_codes() {
    for foreign in [
        [0, 0, 0, 0],
        [192, 0, 2, 1],
        [126, 255, 255, 255],
        [128, 0, 0, 0],
    ] {
        for answer in [
            addresses(&[foreign]),
            addresses(&[[127, 0, 0, 2], foreign]),
            addresses(&[foreign, [127, 0, 0, 2], [127, 255, 255, 254]]),
        ] {
            assert_eq!(decide(&answer), (Outcome::NotAList(foreign.into()), 0));
        }
    }
    let mut parked = addresses(&[[192, 0, 2, 1]]);
    parked.canonical = Some(name("parking.example.org"));
    assert_eq!(
        decide(&parked),
        (Outcome::NotAList([192, 0, 2, 1].into()), 0)
    );
    // A CNAME that leads to a code is followed.
    let mut alias = addresses(&[[127, 0, 0, 2]]);
    alias.canonical = Some(name("entry.example.com"));
    assert_eq!(decide(&alias), (listed(&[code(2)]), 3));
}

#[test]
fn failures() {
    for failure in [
        Failure::ServFail,
        Failure::Timeout,
        Failure::Refused,
        Failure::Bogus,
    ] {
        let answer = Answer::failed(failure);
        assert_eq!(decide(&answer), (Outcome::Failed(failure), 0));
    }
    // That a zone is not signed says nothing.
    let mut unsigned = addresses(&[[127, 0, 0, 2]]);
    unsigned.dnssec = Dnssec::Insecure;
    assert_eq!(decide(&unsigned).1, 3);
}

#[test]
fn answers_to_what_was_not_asked() {
    let mut dnsbl = Dnsbl::new(client(), &lists([bad()]));
    let question = Question::new(name(ENTRY), RecordType::A);
    let yes = addresses(&[[127, 0, 0, 2]]);
    // Before the question, to another name, of another type.
    dnsbl.answer(&question, &yes);
    assert_eq!(dnsbl.poll(), Need::Lookup(question.clone()));
    dnsbl.answer(&Question::new(name("bad.example.com"), RecordType::A), &yes);
    dnsbl.answer(&Question::new(name(ENTRY), RecordType::Txt), &yes);
    assert_eq!(dnsbl.poll(), Need::Wait);
    dnsbl.answer(&question, &Answer::nx_domain());
    // A second answer changes nothing.
    dnsbl.answer(&question, &yes);
    let Need::Done(verdict) = dnsbl.poll() else {
        unreachable!("all is answered")
    };
    assert_eq!(verdict.lists[0].outcome, Outcome::NotListed);
}

#[test]
fn everybody_is_listed_until_the_test() {
    let zone = Zone::new().a("*.bad.example.com", [127, 0, 0, 2]);
    let alive = Zone::new().a("2.0.0.127.bad.example.com", [127, 0, 0, 2]);
    let lists = lists([bad()]);
    let mut health = ListHealth::new(&lists, HealthPolicy::default());
    let start = 1_800_000_000;
    for (id, test) in health.due(start) {
        health.tested(
            &id,
            resolve_blocking(test, |question| alive.answer(question)),
            start,
        );
    }
    assert_eq!(health.next_test(), Some(start + 3_600));
    // The zone is sold, and lists everybody; nineteen clients in a row may be bad luck.
    let mut clients = 0;
    while health.next_test() == Some(start + 3_600) {
        let dnsbl = Dnsbl::with_health(client(), &lists, &health);
        let verdict = resolve_blocking(dnsbl, |question| zone.answer(question));
        assert_eq!(verdict.score, 3);
        health.observe(&verdict);
        clients += 1;
    }
    assert_eq!((clients, health.next_test()), (20, Some(start + 60)));
    for (id, test) in health.due(start + 60) {
        let found = resolve_blocking(test, |question| zone.answer(question));
        health.tested(&id, found, start + 60);
    }
    let dnsbl = Dnsbl::with_health(client(), &lists, &health);
    let verdict = resolve_blocking(dnsbl, |question| zone.answer(question));
    let off = NotAsked::Off(WhyOff::Test(Health::ListsEverything));
    assert_eq!(verdict.lists[0].outcome, Outcome::NotAsked(off));
    assert_eq!(verdict.score, 0);
}

#[test]
fn nothing_to_ask_for() {
    let long = format!("{0}.{0}.{0}.{1}.example", "a".repeat(63), "b".repeat(40));
    for (helo, why) in [
        (None, NotAsked::NotKnown),
        // Every list of names has an entry for "test".
        (Some("test"), NotAsked::NoDomain),
        (Some("."), NotAsked::NoDomain),
        (Some("192.0.2.99"), NotAsked::NoDomain),
        (Some("2.0.0.127"), NotAsked::NoDomain),
        (Some(long.as_str()), NotAsked::TooLong),
    ] {
        let mut subjects = Subjects::from(client());
        subjects.helo = helo.map(name);
        let lists = lists([List::of(Subject::Helo, name("names.list.example.com"), 3)]);
        let mut asked = 0;
        let verdict = resolve_blocking(Dnsbl::new(subjects, &lists), |_| {
            asked += 1;
            addresses(&[[127, 0, 0, 2]])
        });
        assert_eq!(verdict.lists[0].outcome, Outcome::NotAsked(why), "{helo:?}");
        assert_eq!((verdict.score, asked), (0, 0));
    }
    let lists = lists([List::of(Subject::Ipv6, name("bad.example.com"), 3)]);
    let verdict = resolve_blocking(Dnsbl::new(client(), &lists), |_| Answer::nx_domain());
    assert_eq!(
        verdict.lists[0].outcome,
        Outcome::NotAsked(NotAsked::NotKnown)
    );
}

#[test]
fn names_and_addresses_are_asked_at_once() {
    let zone = Zone::new()
        .a("invalid.edu.doms.example.net", [127, 0, 0, 2])
        .a(ENTRY, [127, 0, 0, 2]);
    let doms = |subject| List::of(subject, name("doms.example.net"), 2);
    let lists = lists([
        bad(),
        doms(Subject::MailFrom),
        doms(Subject::Helo),
        doms(Subject::ReverseName),
    ]);
    let mut subjects = Subjects::from(client());
    subjects.mail_from = Some(name("invalid.edu"));
    subjects.helo = Some(name("INVALID.edu"));
    subjects.reverse_name = Some(name("mail.example.org"));
    let mut dnsbl = Dnsbl::new(subjects.clone(), &lists);
    // Three different entries, and no answer yet.
    for _ in 0..3 {
        assert!(matches!(dnsbl.poll(), Need::Lookup(_)));
    }
    assert_eq!(dnsbl.poll(), Need::Wait);
    let verdict = resolve_blocking(Dnsbl::new(subjects, &lists), |question| {
        zone.answer(question)
    });
    // The sender's domain and the HELO name are the same entry: listed twice, counted once.
    let points: Vec<_> = verdict.lists.iter().map(|row| row.points).collect();
    assert_eq!((points, verdict.score), (vec![3, 2, 0, 0], 5));
    assert_eq!(verdict.listed().count(), 3);
}

#[test]
fn reasons_never_decide() {
    let listed = || Zone::new().a(ENTRY, [127, 0, 0, 2]);
    let long = "x".repeat(9_000);
    let many = (0..10_000).fold(listed(), |zone, number| {
        zone.txt(ENTRY, &number.to_string())
    });
    for (zone, expected) in [
        (listed(), None),
        (
            listed().fail_type(ENTRY, RecordType::Txt, Failure::Timeout),
            None,
        ),
        (listed().txt(ENTRY, ""), Some("")),
        (
            listed().txt(ENTRY, "see http://bad.example.com"),
            Some("see http://bad.example.com"),
        ),
        (
            listed().txt(ENTRY, "a\r\n250 ok\0\u{7f}\u{e9}"),
            Some("a??250 ok????"),
        ),
        (listed().txt(ENTRY, &long), Some(&long[..255])),
        (many, Some("0")),
    ] {
        let lists = lists([bad().with_reason()]);
        let dnsbl = Dnsbl::new(client(), &lists);
        let verdict = resolve_blocking(dnsbl, |question| zone.answer(question));
        let Outcome::Listed { reason, .. } = &verdict.lists[0].outcome else {
            unreachable!("it is listed")
        };
        assert_eq!(reason.as_deref(), expected);
        assert_eq!(verdict.score, 3);
    }
}

#[test]
fn a_reason_is_told_to_the_list_that_asked_for_it() {
    let zone = Zone::new().a(ENTRY, [127, 0, 0, 2]).txt(ENTRY, "why");
    let lists = lists([bad().with_reason(), bad()]);
    let dnsbl = Dnsbl::new(client(), &lists);
    let verdict = resolve_blocking(dnsbl, |question| zone.answer(question));
    assert_eq!(verdict.lists[1].outcome, listed(&[code(2)]));
    assert_eq!(
        verdict.lists[0].outcome.to_string(),
        "listed 127.0.0.2: why"
    );
}
