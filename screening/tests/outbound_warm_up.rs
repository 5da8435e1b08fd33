//! Warm-up as it is lived through: days, pauses, restarts, clocks that jump.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use screening::outbound::provider::Provider;
use screening::outbound::reply_class::ReplyClass;
use screening::outbound::reputation::{Level, Listing, Measure, Outcome, Rate, Reputation};
use screening::outbound::warm_up::{
    Curve, Decision, Growth, Held, Hours, Plan, Row, Scheduler, Simulation, Source, Status, Trouble,
};
use screening::store::{Keys, MemoryStore, Store};

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
/// A midnight.
const START: u64 = 20_000 * DAY;
const KEYS: Keys = Keys::new([9; 16]);

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn provider(text: &str) -> Provider {
    text.parse().unwrap()
}

/// 240 on the first day, doubled up to 2,000, for 8 days.
fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.curve = Curve::growing(240, Growth::thousandths(2_000), 2_000, 8).unwrap();
    plan
}

fn scheduler(plan: Plan, sources: impl IntoIterator<Item = Source>) -> Scheduler {
    Scheduler::new(plan, Reputation::new(KEYS), KEYS, sources)
}

fn one(plan: Plan) -> (Scheduler, MemoryStore, Provider) {
    let sources = [Source::warming(ip(2))];
    (
        scheduler(plan, sources),
        MemoryStore::new(1_000),
        provider("gmail"),
    )
}

/// What is granted until nothing more is, by address, and the last decision.
fn drain(
    scheduler: &Scheduler,
    store: &mut MemoryStore,
    provider: &Provider,
    now: u64,
) -> (u32, Decision) {
    let mut sent = 0;
    loop {
        let Ok(decision) = scheduler.take(store, provider, 1_000_000, now);
        match decision {
            Decision::Send { messages, .. } => sent += messages,
            other => return (sent, other),
        }
    }
}

fn status(scheduler: &Scheduler, store: &mut MemoryStore, provider: &Provider, now: u64) -> Status {
    let Ok(all) = scheduler.status(store, provider, now);
    all.into_iter().next().unwrap()
}

/// Spends whole days, with an acceptance of all; then the day of the curve is that of the last day.
fn warm_for(scheduler: &Scheduler, store: &mut MemoryStore, provider: &Provider, days: u64) {
    for number in 0..days {
        let now = START + number * DAY + 23 * HOUR;
        let (sent, _) = drain(scheduler, store, provider, now);
        let reputation = &scheduler.reputation;
        let Ok(()) = reputation.record(store, ip(2), provider, Outcome::Accepted, sent, now);
    }
}

#[test]
fn a_quota_is_spread_over_the_day() {
    let (scheduler, mut store, gmail) = one(plan());
    for hour in 0..24 {
        let now = START + hour * HOUR;
        let (sent, last) = drain(&scheduler, &mut store, &gmail, now);
        assert_eq!(sent, 10, "{hour}");
        let Decision::Later { at, because } = last else {
            panic!("{last:?}");
        };
        if hour < 23 {
            // At the time that is told the next one is open, and not before.
            assert!(at > now && at <= now + HOUR);
            assert_eq!(drain(&scheduler, &mut store.clone(), &gmail, at - 1).0, 0);
            assert!(drain(&scheduler, &mut store.clone(), &gmail, at).0 > 0);
            assert!(matches!(because[0].1, Held::NotOpen { quota: 240, .. }));
        } else {
            assert_eq!(because, [(ip(2), Held::Spent { quota: 240 })]);
            assert_eq!(at, START + DAY);
        }
    }
}

#[test]
fn outside_of_the_hours_nothing_is_sent() {
    let mut plan = plan();
    plan.hours = Hours::new(8, 18).unwrap();
    let (scheduler, mut store, gmail) = one(plan);
    for (hour, sent, at) in [(0, 0, 8), (7, 0, 8), (8, 24, 8), (17, 216, 32), (18, 0, 32)] {
        let now = START + hour * HOUR;
        let (found, last) = drain(&scheduler, &mut store, &gmail, now);
        let Decision::Later { at: told, .. } = last else {
            panic!("{last:?}");
        };
        assert_eq!(found, sent, "{hour}");
        assert!(
            told >= START + at * HOUR && told <= START + at * HOUR + HOUR,
            "{hour}"
        );
    }
}

#[test]
fn a_day_that_is_spent_is_a_step_and_the_last_makes_warm() {
    let (scheduler, mut store, gmail) = one(plan());
    for (day, quota) in [240, 480, 960, 1_920, 2_000, 2_000, 2_000, 2_000]
        .into_iter()
        .enumerate()
    {
        let now = START + day as u64 * DAY + 23 * HOUR;
        let status = status(&scheduler, &mut store, &gmail, now);
        assert_eq!(
            (status.day, status.quota),
            (Some(day as u32 + 1), Some(quota))
        );
        assert_eq!(drain(&scheduler, &mut store, &gmail, now).0, quota);
    }
    let now = START + 8 * DAY;
    let (sent, last) = drain(&scheduler, &mut store, &gmail, now);
    assert_eq!(sent, 0);
    assert!(matches!(last, Decision::Overflow { address, .. } if address == ip(2)));
    // With another provider it is new.
    let yahoo = provider("yahoo");
    assert_eq!(status(&scheduler, &mut store, &yahoo, now).day, Some(1));
}

#[test]
fn a_day_that_was_hardly_used_comes_again() {
    let (scheduler, mut store, gmail) = one(plan());
    let noon = START + 12 * HOUR;
    let Ok(_) = scheduler.take(&mut store, &gmail, 119, noon);
    assert_eq!(
        status(&scheduler, &mut store, &gmail, noon + DAY).day,
        Some(1)
    );
    let Ok(_) = scheduler.take(&mut store, &gmail, 1, noon);
    assert_eq!(
        status(&scheduler, &mut store, &gmail, noon + DAY).day,
        Some(2)
    );
}

#[test]
fn what_is_too_much_goes_by_the_warm_address_that_stands_best() {
    let sources = [
        Source::warm(ip(1)),
        Source::warming(ip(2)),
        Source::warming(ip(3)),
        Source::warm(ip(4)),
    ];
    let mut scheduler = scheduler(plan(), sources);
    let mut store = MemoryStore::new(1_000);
    let gmail = provider("gmail");
    let mut by = BTreeMap::new();
    for _ in 0..3 {
        let Ok(decision) = scheduler.take(&mut store, &gmail, 15, START);
        match decision {
            Decision::Send { address, messages } => *by.entry(address).or_insert(0) += messages,
            Decision::Overflow {
                address,
                messages,
                because,
                ..
            } => {
                assert_eq!(because.len(), 2);
                *by.entry(address).or_insert(0) += messages;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(by, BTreeMap::from([(ip(2), 10), (ip(3), 10), (ip(1), 15)]));
    scheduler.sources_mut()[0].listings.push(Listing {
        list: "bl.example".into(),
        level: Level::Warn,
    });
    let Ok(decision) = scheduler.take(&mut store, &gmail, 1, START);
    assert!(matches!(decision, Decision::Overflow { address, .. } if address == ip(4)));
    // However badly it stands, mail goes.
    scheduler.sources_mut()[3].listings.push(Listing {
        list: "bl.example".into(),
        level: Level::Stop,
    });
    let Ok(decision) = scheduler.take(&mut store, &gmail, 1, START);
    let Decision::Overflow {
        address, standing, ..
    } = decision
    else {
        panic!("{decision:?}");
    };
    assert_eq!((address, standing.level), (ip(1), Level::Warn));
}

#[test]
fn an_address_of_the_other_family_is_left_out() {
    let six: IpAddr = "2001:db8::2".parse().unwrap();
    let sources = [
        Source::warming(six),
        Source::warming(ip(2)),
        Source::warm(ip(1)),
    ];
    let scheduler = scheduler(plan(), sources);
    let mut store = MemoryStore::new(1_000);
    let gmail = provider("gmail");
    let mut by = |will_do: fn(&IpAddr) -> bool| {
        let take = scheduler.take_from(|it| will_do(&it), &mut store, &gmail, 100, START);
        let Ok(decision) = take;
        decision
    };
    let sent = |address| Decision::Send {
        address,
        messages: 10,
    };
    assert_eq!(by(IpAddr::is_ipv4), sent(ip(2)));
    assert_eq!(by(IpAddr::is_ipv6), sent(six));
    assert!(matches!(by(IpAddr::is_ipv4), Decision::Overflow { address, .. } if address == ip(1)));
    assert!(matches!(by(IpAddr::is_ipv6), Decision::Later { because, .. } if because.len() == 1));
}

#[test]
fn without_an_address_mail_waits() {
    let scheduler = scheduler(plan(), []);
    let mut store = MemoryStore::new(1);
    let Ok(decision) = scheduler.take(&mut store, &provider("gmail"), 1, START);
    let nothing = Decision::Later {
        at: START + HOUR,
        because: vec![],
    };
    assert_eq!(decision, nothing);
}

#[test]
fn complaints_pause_and_step_back_and_count_once() {
    let (scheduler, mut store, gmail) = one(plan());
    warm_for(&scheduler, &mut store, &gmail, 5);
    let noon = START + 5 * DAY + 12 * HOUR;
    let Ok(_) = scheduler.take(&mut store, &gmail, 1, noon - HOUR);
    assert_eq!(status(&scheduler, &mut store, &gmail, noon).day, Some(6));
    let reputation = &scheduler.reputation;
    let Ok(()) = reputation.record(&mut store, ip(2), &gmail, Outcome::Complaint, 30, noon);
    let (sent, last) = drain(&scheduler, &mut store, &gmail, noon);
    // The rest of the day and the next one.
    let until = START + 7 * DAY;
    let Decision::Later { at, because } = last else {
        panic!("{last:?}");
    };
    assert_eq!((sent, at), (0, until));
    let [(_, held @ Held::Paused { causes, .. })] = because.as_slice() else {
        panic!("{because:?}");
    };
    assert_eq!(
        held.to_string(),
        format!("paused until {until}: complaints")
    );
    assert!(causes.measures().eq([Measure::Complaints]) && !causes.is_listed());
    let standing = self::status(&scheduler, &mut store, &gmail, until - 1).standing;
    assert!(
        standing
            .to_string()
            .starts_with("stop: 30 complaints of 5600 in 7 days"),
        "{standing}"
    );
    assert_eq!(drain(&scheduler, &mut store, &gmail, until - 1).0, 0);
    // It goes on with the third day, and what was found is forgiven, a few that come late too.
    let Ok(()) = reputation.record(&mut store, ip(2), &gmail, Outcome::Complaint, 2, until);
    let status = status(&scheduler, &mut store, &gmail, until);
    assert_eq!((status.day, status.quota), (Some(3), Some(960)));
    assert_eq!(status.standing.level, Level::Good);
    assert_eq!(drain(&scheduler, &mut store, &gmail, until).0, 40);
    // But not if it goes on as it was.
    let Ok(()) = reputation.record(&mut store, ip(2), &gmail, Outcome::Complaint, 30, until);
    let (sent, last) = drain(&scheduler, &mut store, &gmail, until + HOUR);
    assert_eq!(sent, 0);
    assert!(matches!(last, Decision::Later { at, .. } if at == until + 2 * DAY));
}

/// What is found of an address whose quota is spent pauses it before it sends again.
#[test]
fn complaints_about_a_spent_address_pause_it_on_the_next_day() {
    let (scheduler, mut store, gmail) = one(plan());
    warm_for(&scheduler, &mut store, &gmail, 1);
    let late = START + 23 * HOUR;
    let Ok(()) = scheduler.record(&mut store, ip(2), &gmail, Outcome::Complaint, 3, late);
    let (sent, last) = drain(&scheduler, &mut store, &gmail, late);
    let Decision::Later { because, .. } = last else {
        panic!("{last:?}");
    };
    assert_eq!(
        (sent, because),
        (0, vec![(ip(2), Held::Spent { quota: 240 })])
    );
    let (sent, last) = drain(&scheduler, &mut store, &gmail, START + DAY);
    assert!(matches!(last, Decision::Later { at, .. } if at == START + 3 * DAY));
    assert_eq!(sent, 0);
}

#[test]
fn at_warn_an_address_gets_no_warmer() {
    let (scheduler, mut store, gmail) = one(plan());
    warm_for(&scheduler, &mut store, &gmail, 3);
    let now = START + 2 * DAY + 23 * HOUR;
    let reputation = &scheduler.reputation;
    // 1,680 were accepted.
    let Ok(()) = reputation.record(&mut store, ip(2), &gmail, Outcome::Complaint, 3, now);
    let status = status(&scheduler, &mut store, &gmail, now + HOUR);
    assert_eq!((status.standing.level, status.day), (Level::Warn, Some(3)));
    assert_eq!(drain(&scheduler, &mut store, &gmail, now + HOUR).0, 40);
}

#[test]
fn after_a_day_with_many_deferrals_an_address_gets_no_warmer() {
    let (scheduler, mut store, gmail) = one(plan());
    let late = START + 23 * HOUR;
    let (sent, _) = drain(&scheduler, &mut store, &gmail, late);
    let throttled = Outcome::Deferred(ReplyClass::Throttled);
    for (outcome, messages) in [(Outcome::Accepted, sent - 40), (throttled, 40)] {
        let Ok(()) = scheduler.record(&mut store, ip(2), &gmail, outcome, messages, late);
    }
    let status = status(&scheduler, &mut store, &gmail, late + HOUR);
    assert_eq!((status.day, status.standing.level), (Some(1), Level::Warn));
}

#[test]
fn a_listing_pauses_until_it_is_gone() {
    let (mut scheduler, mut store, gmail) = one(plan());
    warm_for(&scheduler, &mut store, &gmail, 5);
    scheduler.sources_mut()[0].listings.push(Listing {
        list: "bl.example".into(),
        level: Level::Stop,
    });
    let mut now = START + 5 * DAY;
    for _ in 0..3 {
        let (sent, last) = drain(&scheduler, &mut store, &gmail, now);
        let Decision::Later { at, because } = last else {
            panic!("{last:?}");
        };
        assert_eq!((sent, at), (0, now + 2 * DAY));
        assert_eq!(
            because[0].1.to_string(),
            format!("paused until {at}: on a list")
        );
        now = at;
    }
    scheduler.sources_mut()[0].listings.clear();
    let status = status(&scheduler, &mut store, &gmail, now);
    assert_eq!((status.day, status.paused_until), (Some(1), None));
    assert_eq!(drain(&scheduler, &mut store, &gmail, now).0, 10);
}

#[test]
fn deferrals_pause_a_provider_and_leave_the_others() {
    let (scheduler, mut store, gmail) = one(plan());
    let throttled = Outcome::Deferred(ReplyClass::Throttled);
    let Ok(()) = (scheduler.reputation).record(&mut store, ip(2), &gmail, throttled, 10, START);
    assert_eq!(drain(&scheduler, &mut store, &gmail, START).0, 0);
    assert_eq!(
        drain(&scheduler, &mut store, &provider("yahoo"), START).0,
        10
    );
}

#[test]
fn it_survives_a_restart_and_what_was_forgotten_begins_anew() {
    let (scheduler, mut store, gmail) = one(plan());
    warm_for(&scheduler, &mut store, &gmail, 3);
    let mut restored = MemoryStore::new(1_000);
    for (key, value, expires) in store.entries() {
        let Ok(()) = restored.save(key, value, expires);
    }
    let now = START + 3 * DAY;
    for store in [&mut store, &mut restored] {
        assert_eq!(status(&scheduler, store, &gmail, now).day, Some(4));
        // Cold after 30 days.
        assert_eq!(
            status(&scheduler, store, &gmail, now + 29 * DAY).day,
            Some(4)
        );
        assert_eq!(
            status(&scheduler, store, &gmail, now + 31 * DAY).day,
            Some(1)
        );
    }
    assert_eq!(
        status(&scheduler, &mut MemoryStore::new(1), &gmail, now).day,
        Some(1)
    );
}

#[test]
fn a_clock_that_jumps_opens_no_more_than_a_day() {
    // Over midnight and back.
    let (scheduler, mut store, gmail) = one(plan());
    assert_eq!(
        drain(&scheduler, &mut store, &gmail, START + 23 * HOUR).0,
        240
    );
    assert_eq!(drain(&scheduler, &mut store, &gmail, START + DAY).0, 20);
    assert_eq!(
        drain(&scheduler, &mut store, &gmail, START + 23 * HOUR).0,
        0
    );
    assert_eq!(drain(&scheduler, &mut store, &gmail, START + DAY).0, 0);
    // Ten years ahead, a step and no more; and back, where it is not stuck.
    let ahead = START + 3_650 * DAY;
    let mut plan = plan();
    plan.cold_after_days = 10_000;
    let (scheduler, mut store, gmail) = one(plan);
    assert_eq!(
        drain(&scheduler, &mut store, &gmail, START + 23 * HOUR).0,
        240
    );
    assert_eq!(status(&scheduler, &mut store, &gmail, ahead).day, Some(2));
    assert_eq!(
        drain(&scheduler, &mut store, &gmail, ahead + 12 * HOUR).0,
        260
    );
    let Ok(()) = (scheduler.reputation).record(
        &mut store,
        ip(2),
        &gmail,
        Outcome::Rejected(ReplyClass::Policy),
        100,
        ahead + 12 * HOUR,
    );
    assert_eq!(
        drain(&scheduler, &mut store, &gmail, ahead + 23 * HOUR).0,
        0
    );
    let (sent, last) = drain(&scheduler, &mut store, &gmail, START + DAY);
    assert_eq!(sent, 0);
    assert!(
        matches!(last, Decision::Later { at, .. } if at <= START + 3 * DAY),
        "{last:?}"
    );
    assert_eq!(drain(&scheduler, &mut store, &gmail, START + 3 * DAY).0, 10);
    // The ends of time.
    for now in [0, u64::MAX] {
        let _ = drain(&scheduler, &mut store, &gmail, now);
    }
}

fn rows(scheduler: &Scheduler, volume: u32, troubles: Vec<Trouble>) -> Vec<Row> {
    let simulation = Simulation {
        scheduler,
        volumes: BTreeMap::from([(provider("gmail"), volume)]),
        troubles,
    };
    simulation.run(30, START + 5 * HOUR)
}

#[test]
fn thirty_days_add_up() {
    let sources = [Source::warming(ip(2)), Source::warm(ip(1))];
    let scheduler = scheduler(plan(), sources);
    let rows = rows(&scheduler, 3_000, vec![]);
    assert_eq!(rows.len(), 30);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row.day as usize, at + 1);
        assert_eq!(row.sent + row.overflow, row.wanted);
        assert_eq!((row.wanted, row.waiting, row.paused), (3_000, 0, false));
    }
    let sent: Vec<u32> = rows.iter().map(|row| row.sent).collect();
    assert_eq!(
        sent[..9],
        [240, 480, 960, 1_920, 2_000, 2_000, 2_000, 2_000, 0]
    );
    assert_eq!((rows[7].quota, rows[8].quota), (Some(2_000), None));
    assert_eq!(rows[8].overflow, 3_000);
}

#[test]
fn trouble_shows_as_pause_and_step_back() {
    let scheduler = scheduler(plan(), [Source::warming(ip(2))]);
    let trouble = |measure, millionths| Trouble {
        from: 5,
        to: 5,
        provider: None,
        measure,
        rate: Rate::per_million(millionths),
    };
    for trouble in [
        trouble(Measure::Complaints, 20_000),
        trouble(Measure::Deferrals, 500_000),
        trouble(Measure::Rejections, 200_000),
        trouble(Measure::UnknownRecipients, 300_000),
    ] {
        let rows = rows(&scheduler, 3_000, vec![trouble.clone()]);
        let paused: Vec<u32> = rows
            .iter()
            .filter(|row| row.paused)
            .map(|row| row.day)
            .collect();
        assert_eq!(paused, [5, 6], "{trouble:?}");
        assert_eq!(rows[5].sent, 0);
        assert_eq!(rows[6].quota, Some(480), "{trouble:?}");
        // Without a warm address what is too much waits, and nothing is lost.
        let wanted: u32 = rows.iter().map(|row| row.wanted).sum();
        let sent: u32 = rows.iter().map(|row| row.sent + row.overflow).sum();
        if trouble.measure != Measure::Deferrals {
            assert_eq!(sent + rows[29].waiting, wanted);
        }
    }
}

#[test]
fn large_volumes_take_no_longer() {
    let scheduler = scheduler(
        Plan::default(),
        [Source::warming(ip(2)), Source::warm(ip(1))],
    );
    let rows = rows(&scheduler, u32::MAX, vec![]);
    assert_eq!(rows[29].wanted, screening::outbound::warm_up::MAX_MESSAGES);
    assert_eq!(rows[0].sent, 50);
}

#[test]
fn what_did_not_reach_the_provider_is_given_back() {
    let (scheduler, mut store, gmail) = one(plan());
    assert_eq!(drain(&scheduler, &mut store, &gmail, START).0, 10);
    let mut give_back = |address, provider: &Provider, messages, now| {
        let Ok(()) = scheduler.give_back(&mut store, address, provider, messages, now);
        status(&scheduler, &mut store, &gmail, START).sent
    };
    assert_eq!(give_back(ip(2), &gmail, 4, START + 60), 6);
    // Of others, or of another day.
    assert_eq!(give_back(ip(3), &gmail, 4, START), 6);
    assert_eq!(give_back(ip(2), &provider("yahoo"), 4, START), 6);
    assert_eq!(give_back(ip(2), &gmail, 4, START + DAY), 6);
    assert_eq!(give_back(ip(2), &gmail, 400, START), 0);
    assert_eq!(drain(&scheduler, &mut store, &gmail, START).0, 10);
}

#[test]
fn domains_that_stand_for_themselves_share_a_quota_and_a_reputation() {
    let [a, b, c] = ["a.example", "b.example", "c.example"].map(provider);
    let mut plan = plan();
    plan.providers.insert(c.clone(), plan.curve.clone());
    let (scheduler, mut store, gmail) = one(plan.clone());
    let noon = START + 12 * HOUR;
    let Ok(_) = scheduler.take(&mut store, &a, 100, noon);
    assert_eq!(drain(&scheduler, &mut store, &b, noon).0, 30);
    for own in [&c, &gmail] {
        assert_eq!(drain(&scheduler, &mut store, own, noon).0, 130);
    }
    let policy = Outcome::Rejected(ReplyClass::Policy);
    for of in [&a, &b, &c] {
        let Ok(()) = scheduler.record(&mut store, ip(2), of, policy, 3, noon);
    }
    for (of, level) in [(&a, Level::Stop), (&b, Level::Stop), (&c, Level::Good)] {
        let found = status(&scheduler, &mut store, of, noon).standing.level;
        assert_eq!(found, level, "{of}");
    }
    plan.pool_domains = false;
    let (scheduler, mut store, _) = one(plan);
    for of in [&a, &b] {
        assert_eq!(drain(&scheduler, &mut store, of, noon).0, 130);
    }
}

proptest! {
    /// Whatever is asked for and comes back, on no day more is granted than the curve has, nothing outside of the hours, and never none.
    #[test]
    fn no_day_has_more_than_its_quota(
        turns in proptest::collection::vec((0..40_000_u64, 1..2_000_u32, 0..6_u32, 0..40_u32), 1..120),
    ) {
        let mut plan = plan();
        plan.hours = Hours::new(3, 21).unwrap();
        let (scheduler, mut store, gmail) = one(plan);
        let mut now = START;
        let mut granted: BTreeMap<u64, u32> = BTreeMap::new();
        for (pass, wanted, kind, events) in turns {
            now += pass;
            let quota = status(&scheduler, &mut store, &gmail, now).quota;
            let Ok(decision) = scheduler.take(&mut store, &gmail, wanted, now);
            match decision {
                Decision::Send { messages, .. } => {
                    prop_assert!(messages >= 1 && messages <= wanted);
                    prop_assert!((3 * HOUR..21 * HOUR).contains(&(now % DAY)));
                    let day = granted.entry(now / DAY).or_default();
                    *day += messages;
                    prop_assert!(Some(*day) <= quota);
                    prop_assert!(*day <= 2_000);
                }
                Decision::Later { at, .. } => prop_assert!(at > now && at < now + 4 * DAY),
                Decision::Overflow { .. } => prop_assert_eq!(quota, None),
                other => prop_assert!(false, "{:?}", other),
            }
            let outcome = match kind {
                0 => Outcome::Complaint,
                1 => Outcome::Deferred(ReplyClass::Throttled),
                2 => Outcome::Rejected(ReplyClass::Policy),
                3 => Outcome::Rejected(ReplyClass::Recipient),
                _ => Outcome::Accepted,
            };
            let Ok(()) = scheduler.record(&mut store, ip(2), &gmail, outcome, events, now);
        }
    }
}
