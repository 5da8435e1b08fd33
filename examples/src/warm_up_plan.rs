//! What `warm-up-plan` does: reads a plan, lives through its days, shows them.

mod chart;
mod file;
mod table;

use std::collections::BTreeMap;

use screening::outbound::provider::Provider;
use screening::outbound::warm_up::{Row, Simulation};

pub use chart::svg;
pub use file::{PlanError, PlanFile};
pub use table::{json, text};

/// A plan, and the days that come of it.
#[derive(Debug, Clone)]
pub struct Days {
    /// Messages a day to each provider.
    pub volumes: BTreeMap<Provider, u32>,
    /// How many addresses warm up.
    pub new_addresses: usize,
    /// How many are warm already.
    pub warm_addresses: usize,
    /// A row for each day and provider, in this order.
    pub rows: Vec<Row>,
}

impl Days {
    /// Lives through so many days.
    #[must_use]
    pub fn of(plan: &PlanFile, days: u32) -> Self {
        let simulation = Simulation {
            scheduler: &plan.scheduler,
            volumes: plan.volumes.clone(),
            troubles: plan.troubles.clone(),
        };
        let sources = plan.scheduler.sources();
        let warm_addresses = sources.iter().filter(|source| source.is_warm).count();
        Self {
            // Days are counted from the first; which date that is changes nothing.
            rows: simulation.run(days, 0),
            volumes: plan.volumes.clone(),
            new_addresses: sources.len() - warm_addresses,
            warm_addresses,
        }
    }

    /// The rows of each day.
    pub fn days(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, other| one.day == other.day)
    }

    /// The rows of a provider.
    pub fn rows_of<'a>(&'a self, provider: &'a Provider) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.provider == *provider)
    }

    /// The first day on which no address warms up for a provider any more.
    #[must_use]
    pub fn warm_on(&self, provider: &Provider) -> Option<u32> {
        let last = self
            .rows_of(provider)
            .filter(|row| row.quota.is_some())
            .last();
        let last = last.map_or(0, |row| row.day);
        self.rows_of(provider)
            .map(|row| row.day)
            .find(|day| *day > last)
    }

    /// The first day from which on new addresses send all that there is.
    #[must_use]
    pub fn all_on(&self, provider: &Provider) -> Option<u32> {
        let is_short = |row: &&Row| row.overflow > 0 || row.waiting > 0;
        let last = self.rows_of(provider).filter(is_short).last();
        let last = last.map_or(0, |row| row.day);
        self.rows_of(provider)
            .map(|row| row.day)
            .find(|day| *day > last)
    }

    /// Messages that wait after the last day.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let last = self.days().last().unwrap_or_default();
        last.iter().map(|row| u64::from(row.waiting)).sum()
    }
}
