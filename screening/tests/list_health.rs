//! When a list is on, when it is off and why, and when it is tested again (RFC 5782 §5, §7).
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::IpAddr;

use mail_dns::{Answer, Failure, Name, Question, RecordType, Zone, resolve_blocking};
use screening::dnsbl::{
    Dnsbl, Family, Health, HealthPolicy, List, ListHealth, ListId, Lists, Standing, Subject, WhyOff,
};

const START: u64 = 1_800_000_000;
const TIMEOUT: Health = Health::Unknown(Failure::Timeout);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn lists() -> Lists {
    let lists = [List::new(name("bad.example.com"), 3)];
    Lists::new(lists, 3, &Default::default()).unwrap()
}

fn fresh() -> (ListHealth, ListId) {
    let health = ListHealth::new(&lists(), HealthPolicy::default());
    let id = ListId::from(lists().iter().next().unwrap());
    (health, id)
}

/// Runs the test that is due, as if it found this, and says how the list stands and in how many seconds it is tested next.
fn step(health: &mut ListHealth, found: Health, now: u64) -> (String, u64) {
    let due = health.due(now);
    assert_eq!(due.len(), 1, "a test is due");
    for (id, _) in due {
        let _ = health.tested(&id, found, now);
    }
    let (_, status) = health.iter().next().unwrap();
    (status.standing.to_string(), status.next_test - now)
}

#[test]
fn a_list_is_off_until_its_first_good_test() {
    let (mut health, id) = fresh();
    let list = lists().iter().next().unwrap().clone();
    assert_eq!(health.may_ask(&list), Err(WhyOff::Untested));
    assert_eq!(health.next_test(), Some(0));
    let due = health.due(START);
    assert_eq!(due.len(), 1);
    // While it runs there is no other; if it never comes back, there is one after a minute.
    assert!(health.due(START + 59).is_empty());
    assert_eq!(health.due(START + 60).len(), 1);
    assert_eq!(
        health.tested(&id, Health::Works, START + 61),
        Some(&Standing::On)
    );
    assert_eq!(health.may_ask(&list), Ok(()));
    assert_eq!(health.next_test(), Some(START + 61 + 3_600));
}

#[test]
fn what_turns_a_list_off_and_when_it_is_tried_again() {
    let refuses = Health::Refuses([127, 255, 255, 254].into());
    for (found, words) in [
        (Health::ListsEverything, "off: lists everything"),
        (Health::NoTestEntry, "off: has no test entry"),
        (refuses, "off: does not serve us: 127.255.255.254"),
    ] {
        let (mut health, _) = fresh();
        assert_eq!(
            step(&mut health, Health::Works, START),
            ("on".to_owned(), 3_600)
        );
        let mut now = START + 3_600;
        // It is off at once, and asked ever more seldom, at last once a day.
        for expected in [
            60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 30_720, 61_440, 86_400, 86_400,
        ] {
            assert_eq!(step(&mut health, found, now), (words.to_owned(), expected));
            now += expected;
        }
        let (_, status) = health.iter().next().unwrap();
        assert_eq!(status.since, START + 3_600);
        // One good test is enough, and the next fall begins with short waits.
        assert_eq!(
            step(&mut health, Health::Works, now),
            ("on".to_owned(), 3_600)
        );
        now += 3_600;
        assert_eq!(step(&mut health, found, now).1, 60);
    }
}

#[test]
fn silence_turns_a_list_off_only_when_it_lasts() {
    let (mut health, _) = fresh();
    assert_eq!(
        step(&mut health, TIMEOUT, START),
        ("off: does not answer: timeout".to_owned(), 60)
    );
    assert_eq!(step(&mut health, Health::Works, START + 60).0, "on");
    let mut now = START + 3_660;
    for expected in ["on", "on", "off: does not answer: timeout"] {
        assert_eq!(step(&mut health, TIMEOUT, now), (expected.to_owned(), 60));
        now += 60;
    }
    assert_eq!(step(&mut health, TIMEOUT, now).1, 120);
    now += 120;
    // An answer between two failures begins the count anew.
    for found in [
        Health::Works,
        TIMEOUT,
        TIMEOUT,
        Health::Works,
        TIMEOUT,
        TIMEOUT,
    ] {
        let (standing, next) = step(&mut health, found, now);
        assert_eq!(standing, "on");
        now += next;
    }
}

#[test]
fn what_clients_see_makes_a_test_due_and_no_more() {
    let entry = "99.2.0.192.bad.example.com";
    let client: IpAddr = "192.0.2.99".parse().unwrap();
    for (zone, early) in [
        (Zone::new(), false),
        (Zone::new().a(entry, [127, 0, 0, 2]), false),
        (Zone::new().fail(entry, Failure::Timeout), true),
        (Zone::new().a(entry, [127, 255, 255, 255]), true),
        (Zone::new().a(entry, [192, 0, 2, 1]), true),
    ] {
        let (mut health, id) = fresh();
        step(&mut health, Health::Works, START);
        for _ in 0..1_000 {
            let dnsbl = Dnsbl::with_health(client, &lists(), &health);
            let verdict = resolve_blocking(dnsbl, |question| zone.answer(question));
            health.observe(&verdict);
            if !early {
                break;
            }
        }
        let expected = if early { START + 60 } else { START + 3_600 };
        assert_eq!(health.next_test(), Some(expected));
        // However much it is made to fail by what it is asked for, only its test decides.
        let list = lists().iter().next().unwrap().clone();
        assert_eq!(health.may_ask(&list), Ok(()));
        assert_eq!(health.due(expected).len(), 1);
        assert_eq!(health.tested(&id, Health::Works, expected), None);
        assert_eq!(health.next_test(), Some(expected + 3_600));
    }
}

#[test]
fn one_client_that_is_not_listed_speaks_for_the_list() {
    let zone = Zone::new().a("99.2.0.192.bad.example.com", [127, 0, 0, 2]);
    let (mut health, _) = fresh();
    step(&mut health, Health::Works, START);
    let observe = |health: &mut ListHealth, client: &str| {
        let client: IpAddr = client.parse().unwrap();
        let dnsbl = Dnsbl::with_health(client, &lists(), health);
        health.observe(&resolve_blocking(dnsbl, |question| zone.answer(question)));
    };
    for _ in 0..3 {
        for _ in 0..19 {
            observe(&mut health, "192.0.2.99");
        }
        observe(&mut health, "192.0.2.98");
    }
    assert_eq!(health.next_test(), Some(START + 3_600));
    for _ in 0..20 {
        observe(&mut health, "192.0.2.99");
    }
    assert_eq!(health.next_test(), Some(START + 60));
}

#[test]
fn a_clock_that_jumps() {
    let (mut health, id) = fresh();
    step(&mut health, Health::Works, START);
    // Set back by a year: the test is due at once, not in a year.
    assert_eq!(health.due(START - 31_536_000).len(), 1);
    let _ = health.tested(&id, Health::Works, START - 31_536_000);
    assert!(health.due(START - 31_536_000 + 3_599).is_empty());
    // The end of time.
    assert_eq!(health.due(u64::MAX).len(), 1);
    let _ = health.tested(&id, Health::NoTestEntry, u64::MAX);
    assert_eq!(health.next_test(), Some(u64::MAX));
}

#[test]
fn no_policy_tests_without_end() {
    let mut policy = HealthPolicy::default();
    policy.interval = Default::default();
    policy.first_retry = Default::default();
    policy.longest_retry = Default::default();
    for found in [Health::Works, Health::NoTestEntry, TIMEOUT] {
        let mut health = ListHealth::new(&lists(), policy.clone());
        assert_eq!(step(&mut health, found, START).1, 1);
        assert_eq!(step(&mut health, found, START + 1).1, 1);
    }
}

#[test]
fn one_test_for_all_lists_of_a_zone() {
    let untested = {
        let mut own = List::new(name("own.example.com"), 3);
        own.tested = false;
        own
    };
    let of = |subject| List::of(subject, name("all.example.com"), 1);
    let lists = Lists::new(
        [
            of(Subject::Address),
            of(Subject::Ipv4),
            of(Subject::Ipv6),
            of(Subject::Helo),
            of(Subject::MailFrom),
            untested.clone(),
        ],
        3,
        &Default::default(),
    )
    .unwrap();
    let mut health = ListHealth::new(&lists, HealthPolicy::default());
    let due: Vec<_> = health
        .due(START)
        .into_iter()
        .map(|(id, _)| id.family)
        .collect();
    assert_eq!(due, [Family::Ipv4, Family::Ipv6, Family::Names]);
    assert_eq!(health.may_ask(&untested), Ok(()));
    let id = ListId {
        zone: name("other.example.com"),
        family: Family::Ipv4,
    };
    assert_eq!(health.tested(&id, Health::NoTestEntry, START), None);
}

#[test]
fn section_5_the_test_entries_of_a_list_of_names() {
    let lists = Lists::new(
        [List::of(Subject::MailFrom, name("doms.example.net"), 1)],
        3,
        &Default::default(),
    )
    .unwrap();
    let must = Question::new(name("TEST.doms.example.net"), RecordType::A);
    let must_not = Question::new(name("INVALID.doms.example.net"), RecordType::A);
    let yes = || Answer::found([mail_dns::Record::A([127, 0, 0, 2].into())]);
    for (everything, expected) in [(false, Health::Works), (true, Health::ListsEverything)] {
        let mut health = ListHealth::new(&lists, HealthPolicy::default());
        let (_, test) = health.due(START).remove(0);
        let found = resolve_blocking(test, |question| {
            assert!(*question == must || *question == must_not);
            match *question == must || everything {
                true => yes(),
                false => Answer::nx_domain(),
            }
        });
        assert_eq!(found, expected);
    }
}
