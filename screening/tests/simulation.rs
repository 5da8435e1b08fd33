//! What each measure does to senders of each kind, and the defaults to all of them.
//!
//! Smaller populations over some days, for the sake of the time that it takes without optimisation; `cargo run --release -p screening
//! --example simulation` prints the whole month.

#![allow(clippy::panic, reason = "a name that is not there fails the test")]

#[path = "../examples/simulation/measures.rs"]
#[allow(dead_code, reason = "the example plays the other measures too")]
mod measures;
#[path = "../examples/simulation/tables.rs"]
#[allow(dead_code, reason = "the example compares them with a document")]
mod tables;

use measures::{Measures, Server};
use tables::Tables;
use testkit::population::{GroupOutcome, Outcome, Population};

/// What becomes of one sender in so many, in some days.
fn play(measures: &Measures, one_in: u32, days: u32) -> Outcome {
    let mut population = Population::default().smaller(one_in);
    population.days.value = days;
    let mut server = Server::new(measures);
    population.run(|world, attempt| server.respond(world, attempt))
}

/// The measure of this name in the table.
fn measure(name: &str) -> Measures {
    let mut all = Measures::all().into_iter();
    let found = all.find(|measures| measures.name.contains(name));
    found.unwrap_or_else(|| panic!("no measure {name}"))
}

fn group<'a>(outcome: &'a Outcome, name: &str) -> &'a GroupOutcome {
    let mut groups = outcome.groups.iter();
    let found = groups.find(|group| group.name == name);
    found.unwrap_or_else(|| panic!("no group {name}"))
}

/// The share of a group's messages that is delivered, in percent.
fn delivered(outcome: &Outcome, name: &str) -> u64 {
    let group = group(outcome, name);
    assert!(group.messages > 50, "{name}: {} messages", group.messages);
    100 * group.delays.len() as u64 / group.messages
}

/// The share of what is delivered of a group that is delayed, in percent.
fn delayed(outcome: &Outcome, name: &str) -> u64 {
    let delays = &group(outcome, name).delays;
    let delayed = delays.iter().filter(|delay| **delay > 0).count();
    (100 * delayed / delays.len().max(1)) as u64
}

const BOTS: &str = "bots";
const QUEUES: &str = "spammers with queues";
const SNOWSHOE: &str = "snowshoe spammers";
const SITE: &str = "spammers who hop over a /64";
const DIAL_UP: &str = "dial-up hosts with spam";
const BROKEN_INTO: &str = "servers that were broken into";
const PROVIDERS: &str = "big providers";
const SMALL: &str = "small honest servers";
const LISTS: &str = "mailing lists";

/// Per cent of the mail of a kind of sender that each measure alone delivers: what it is for, and whom it spares or does not.
#[test]
fn each_measure_alone() {
    for (name, kinds) in [
        ("block list", &[(BOTS, 15..=25), (SMALL, 95..=99)][..]),
        ("no greylist", &[(BOTS, 7..=15), (SMALL, 70..=88)]),
        ("iprev", &[(BOTS, 47..=61), (SMALL, 82..=94)]),
        ("HELO", &[(BOTS, 56..=69), (SMALL, 90..=98)]),
        ("SPF", &[(BOTS, 52..=64), (SMALL, 95..=99)]),
        ("early talker", &[(BOTS, 63..=77), (SMALL, 99..=100)]),
        ("tarpit", &[(BOTS, 0..=0), (DIAL_UP, 100..=100)]),
        (
            "an hour",
            &[
                (BROKEN_INTO, 10..=45),
                (BOTS, 100..=100),
                (LISTS, 100..=100),
            ],
        ),
        (
            "reputation by",
            &[(QUEUES, 5..=20), (SITE, 4..=20), (SMALL, 100..=100)],
        ),
        // Known by the domain of SPF, not by their addresses.
        ("reputation by", &[(SNOWSHOE, 20..=52)]),
        (
            "of everybody",
            &[(BOTS, 0..=1), (QUEUES, 100..=100), (SMALL, 100..=100)],
        ),
        (
            "S25R and greylisting",
            &[(BOTS, 7..=15), (QUEUES, 100..=100), (SMALL, 100..=100)],
        ),
    ] {
        let outcome = play(&measure(name), 20, 4);
        for (kind, expected) in kinds {
            let delivered = delivered(&outcome, kind);
            assert!(
                expected.contains(&delivered),
                "{name}: {kind}: {delivered} %"
            );
        }
    }
}

#[test]
fn a_white_list_spares_providers_the_greylist() {
    let [without, with] = ["S25R and greylisting", "and a white list"]
        .map(|name| delayed(&play(&measure(name), 20, 1), PROVIDERS));
    assert!(without > 1 && with == 0, "{without} % and {with} %");
}

#[test]
fn a_neighbour_with_a_queue_does_not_open_the_greylist_to_bots() {
    let everybody = measure("of everybody");
    let delivered_if_known = |bits| {
        let mut population = Population::default().smaller(20);
        population.days.value = 4;
        let mut server = Server::new(&everybody);
        server.greylist.policy.known_ipv4_prefix = bits;
        let outcome = population.run(|world, attempt| server.respond(world, attempt));
        delivered(&outcome, BOTS)
    };
    let [address, network] = [32, 24].map(delivered_if_known);
    assert!(address < 2 && network > 20, "{address} % and {network} %");
}

#[test]
fn the_defaults_refuse_no_honest_server_for_good() {
    for (measures, caught) in [
        (Measures::default(), 0.45..0.65),
        (measure("installed, with lists"), 0.45..0.65),
        (measure("installed, with a content filter"), 0.55..0.75),
        (measure("with lists and a content filter"), 0.70..0.88),
    ] {
        let outcome = play(&measures, 20, 5);
        for group in outcome.groups.iter().filter(|group| group.honest) {
            assert!(group.messages > 10, "{}", group.name);
            let failed = &group.senders_who_failed;
            assert_eq!(group.lost(), 0, "{}: {failed:?}", group.name);
        }
        let rate = outcome.catch_rate();
        assert!(caught.contains(&rate), "{}: {rate}", measures.name);
        assert!(outcome.mean_delay() < 60.0, "{}", outcome.mean_delay());
    }
}

#[test]
fn a_threshold_that_honest_servers_reach_would_show() {
    let mut measures = measure("with lists and a content filter");
    measures.scorer.thresholds.refuse = Some(7);
    let outcome = play(&measures, 20, 5);
    let honest = outcome.groups.iter().filter(|group| group.honest);
    assert!(honest.map(GroupOutcome::lost).sum::<u64>() > 0);
}

#[test]
fn the_tables_have_a_row_for_each_measure_and_two_for_each_kind() {
    let mut population = Population::default().smaller(500);
    population.days.value = 1;
    let tables = Tables::of(&population);
    let printed = tables.to_string();
    let rows = || printed.lines().filter(|line| line.starts_with('|'));
    let kinds = population.groups.len();
    assert_eq!(rows().count(), 2 + Measures::all().len() + 2 * (2 + kinds));
    assert!(tables.missing_in(&printed).is_empty());
    let last = rows().next_back().unwrap_or_default();
    let without_last = printed.replace(last, "");
    assert_eq!(tables.missing_in(&without_last), [last]);
}
