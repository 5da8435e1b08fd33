//! The outcomes of all measures, printed as the documentation has them.

use core::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use testkit::population::{GroupOutcome, Outcome, Population};

use crate::measures::{Measures, Server};

/// What became of everything under each measure.
pub(crate) struct Tables {
    title: String,
    outcomes: Vec<(Measures, Outcome)>,
}

impl Tables {
    /// Plays a population against all measures, as many at once as there are processors.
    pub(crate) fn of(population: &Population) -> Self {
        let all = Measures::all();
        let next = AtomicUsize::new(0);
        let outcomes = Mutex::new(Vec::new());
        let play = || {
            while let Some((at, measures)) = number(&all, next.fetch_add(1, Ordering::Relaxed)) {
                let mut server = Server::new(measures);
                let outcome = population.run(|world, attempt| server.respond(world, attempt));
                let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                outcomes.push((at, measures.clone(), outcome));
            }
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..processors {
                scope.spawn(play);
            }
        });
        let mut outcomes = outcomes
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        outcomes.sort_unstable_by_key(|(at, ..)| *at);
        Self {
            title: format!(
                "{} addresses, {} days, seed {}",
                population.addresses(),
                population.days.value,
                population.seed.value
            ),
            outcomes: outcomes
                .into_iter()
                .map(|(_, measures, outcome)| (measures, outcome))
                .collect(),
        }
    }

    /// Lines of the tables that a text does not have.
    pub(crate) fn missing_in(&self, text: &str) -> Vec<String> {
        let printed = self.to_string();
        let rows = printed.lines().filter(|line| line.starts_with('|'));
        rows.filter(|row| !text.lines().any(|line| line == *row))
            .map(str::to_owned)
            .collect()
    }
}

fn number(all: &[Measures], at: usize) -> Option<(usize, &Measures)> {
    Some((at, all.get(at)?))
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        writeln!(
            f,
            "| measure | spam caught | honest mail lost | honest senders who lost mail | honest mail delayed | by, on average |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
        for (measures, outcome) in &self.outcomes {
            write_row(f, measures.name, outcome)?;
        }
        // The first and the last of the combinations: what is installed, and all that can be.
        let of = |measures: &Measures| measures.is_combination();
        let mut combinations = self.outcomes.iter().filter(|(measures, _)| of(measures));
        let first = combinations.next();
        for (measures, outcome) in [first, combinations.next_back()].into_iter().flatten() {
            write_groups(f, measures.name, &outcome.groups)?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, outcome: &Outcome) -> fmt::Result {
    let honest = || outcome.groups.iter().filter(|group| group.honest);
    let failed: usize = honest().map(|group| group.senders_who_failed.len()).sum();
    let delivered: usize = honest().map(|group| group.delays.len()).sum();
    let delays = honest().flat_map(|group| &group.delays);
    let delayed: Vec<u64> = delays.copied().filter(|delay| *delay > 0).collect();
    writeln!(
        f,
        "| {name} | {:.1} % | {:.3} % | {failed} | {:.2} % | {} s |",
        100.0 * outcome.catch_rate(),
        100.0 * outcome.false_refusal_rate(),
        percent(delayed.len(), delivered),
        delayed.iter().sum::<u64>() / (delayed.len() as u64).max(1),
    )
}

fn write_groups(f: &mut fmt::Formatter<'_>, name: &str, groups: &[GroupOutcome]) -> fmt::Result {
    writeln!(
        f,
        "\n| {name} | messages | delivered | refused | given up | delayed | by, on average |"
    )?;
    writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
    for group in groups {
        let delayed: Vec<u64> = group
            .delays
            .iter()
            .copied()
            .filter(|delay| *delay > 0)
            .collect();
        writeln!(
            f,
            "| {} | {} | {:.1} % | {} | {} | {:.1} % | {} s |",
            group.name,
            group.messages,
            percent(group.delays.len(), group.messages as usize),
            group.refused,
            group.given_up,
            percent(delayed.len(), group.delays.len()),
            delayed.iter().sum::<u64>() / (delayed.len() as u64).max(1),
        )?;
    }
    Ok(())
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
