//! Prints what each measure, and all of them together, do to ten thousand senders in a month.
//!
//! `cargo run --release -p screening --example simulation [POPULATION.toml]`

mod measures;

use std::process::ExitCode;

use measures::{Measures, Server};
use testkit::population::{Outcome, Population};

fn main() -> ExitCode {
    let population = match std::env::args().nth(1) {
        None => Population::default(),
        Some(path) => match read(&path) {
            Ok(population) => population,
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::from(2);
            }
        },
    };
    println!(
        "{} addresses, {} days, seed {}\n",
        population.addresses(),
        population.days.value,
        population.seed.value
    );
    println!(
        "| measure | spam caught | honest mail lost | honest senders who lost mail | honest mail delayed | by, on average |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let mut last = None;
    for measures in Measures::all() {
        let mut server = Server::new(&measures);
        let outcome = population.run(|world, attempt| server.respond(world, attempt));
        print_row(measures.name, &outcome);
        last = Some(outcome);
    }
    if let Some(outcome) = last {
        print_groups(&outcome);
    }
    ExitCode::SUCCESS
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program, not the library, reads a file"
)]
fn read(path: &str) -> Result<Population, Box<dyn std::error::Error>> {
    Ok(Population::read(&std::fs::read_to_string(path)?)?)
}

fn print_row(name: &str, outcome: &Outcome) {
    let failed: usize = outcome
        .groups
        .iter()
        .filter(|group| group.honest)
        .map(|group| group.senders_who_failed.len())
        .sum();
    let honest = || outcome.groups.iter().filter(|group| group.honest);
    let delayed = || {
        honest()
            .flat_map(|group| &group.delays)
            .filter(|delay| **delay > 0)
    };
    let delivered: usize = honest().map(|group| group.delays.len()).sum();
    println!(
        "| {name} | {:.1} % | {:.3} % | {failed} | {:.2} % | {} s |",
        100.0 * outcome.catch_rate(),
        100.0 * outcome.false_refusal_rate(),
        100.0 * delayed().count() as f64 / delivered.max(1) as f64,
        delayed().sum::<u64>() / (delayed().count() as u64).max(1),
    );
}

/// The last row, by group.
fn print_groups(outcome: &Outcome) {
    println!("\n| all together | messages | delivered | refused | given up | median delay |");
    println!("|---|---:|---:|---:|---:|---:|");
    for group in &outcome.groups {
        let median = group.delays.get(group.delays.len() / 2);
        println!(
            "| {} | {} | {:.1} % | {} | {} | {} s |",
            group.name,
            group.messages,
            100.0 * group.delays.len() as f64 / group.messages.max(1) as f64,
            group.refused,
            group.given_up,
            median.copied().unwrap_or_default(),
        );
    }
}
