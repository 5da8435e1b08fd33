//! What each measure does to senders of each kind, and the defaults to all of them.
//!
//! Smaller populations over some days, for the sake of the time that it takes without optimisation; `cargo run --release -p screening
//! --example simulation` prints the whole month.

#[path = "../examples/simulation/measures.rs"]
#[allow(dead_code, reason = "the example plays the other measures too")]
mod measures;
#[path = "../examples/simulation/tables.rs"]
#[allow(dead_code, reason = "the example compares them with a document")]
mod tables;

use measures::{Measures, Server};
use screening::scorer::Weights;
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

fn nothing_honest_is_lost(outcome: &Outcome, name: &str) {
    for group in outcome.groups.iter().filter(|group| group.honest) {
        let failed = &group.senders_who_failed;
        assert_eq!(group.lost(), 0, "{name}: {}: {failed:?}", group.name);
    }
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
const HOME: &str = "home servers";

/// Per cent of the mail of a kind of sender that each measure alone delivers: what it is for, and whom it spares or does not.
#[test]
fn each_measure_alone() {
    for (name, kinds) in [
        ("block list", &[(BOTS, 0..=0), (SMALL, 100..=100)][..]),
        ("no greylist", &[(BOTS, 0..=0), (SMALL, 100..=100)]),
        ("iprev", &[(BOTS, 0..=0), (SMALL, 100..=100)]),
        ("HELO", &[(BOTS, 0..=0), (SMALL, 100..=100)]),
        ("SPF", &[(BOTS, 0..=0), (SMALL, 100..=100)]),
        ("early talker", &[(BOTS, 0..=0), (SMALL, 100..=100)]),
        ("tarpit", &[(BOTS, 0..=0), (DIAL_UP, 100..=100)]),
        ("an hour", &[(BROKEN_INTO, 0..=0), (BOTS, 100..=100), (LISTS, 100..=100)]),
        ("reputation by", &[(QUEUES, 0..=0), (SITE, 0..=0), (SNOWSHOE, 0..=0), (SMALL, 100..=100)]),
        ("of everybody", &[(BOTS, 0..=0), (QUEUES, 100..=100), (SMALL, 100..=100)]),
        ("S25R and greylisting", &[(BOTS, 0..=0), (QUEUES, 100..=100), (SMALL, 100..=100)]),
    ] {
        let outcome = play(&measure(name), 20, 4);
        for (kind, expected) in kinds {
            let delivered = delivered(&outcome, kind);
            if !expected.contains(&delivered) { eprintln!("{name}: {kind}: {delivered} %"); }
        }
    }
    panic!();
}
