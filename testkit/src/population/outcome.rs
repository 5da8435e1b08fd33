use std::collections::BTreeSet;

use super::Group;

/// What became of all messages.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of each group, in the order of the file.
    pub groups: Vec<GroupOutcome>,
}

/// What became of one group's messages.
#[derive(Clone, Debug)]
pub struct GroupOutcome {
    /// What they are.
    pub name: String,
    /// Whether their mail is wanted.
    pub honest: bool,
    /// Messages that were sent.
    pub messages: u64,
    /// Messages that were refused for good (550).
    pub refused: u64,
    /// Messages of which the sender had enough.
    pub given_up: u64,
    /// Senders one of whose messages at least was never delivered.
    pub senders_who_failed: BTreeSet<usize>,
    /// For each delivered message, the seconds that the server added to its way; from the least to the most.
    pub delays: Vec<u64>,
}

impl Outcome {
    pub(super) fn new(groups: &[Group]) -> Self {
        let of = |group: &Group| GroupOutcome {
            name: group.name.clone(),
            honest: group.honest,
            messages: 0,
            refused: 0,
            given_up: 0,
            senders_who_failed: BTreeSet::new(),
            delays: Vec::new(),
        };
        Self {
            groups: groups.iter().map(of).collect(),
        }
    }

    pub(super) fn message(&mut self, group: usize) {
        self.groups[group].messages += 1;
    }

    pub(super) fn delivered(&mut self, group: usize, delay: u64) {
        self.groups[group].delays.push(delay);
    }

    pub(super) fn refused(&mut self, group: usize, sender: usize) {
        self.groups[group].refused += 1;
        self.groups[group].senders_who_failed.insert(sender);
    }

    pub(super) fn given_up(&mut self, group: usize, sender: usize) {
        self.groups[group].given_up += 1;
        self.groups[group].senders_who_failed.insert(sender);
    }

    pub(super) fn sorted(mut self) -> Self {
        for group in &mut self.groups {
            group.delays.sort_unstable();
        }
        self
    }

    /// The share of spam that was not delivered.
    pub fn catch_rate(&self) -> f64 {
        let spam = || self.groups.iter().filter(|group| !group.honest);
        share(
            spam().map(GroupOutcome::lost).sum(),
            spam().map(|group| group.messages).sum(),
        )
    }

    /// The share of honest mail that was not delivered.
    pub fn false_refusal_rate(&self) -> f64 {
        let honest = || self.groups.iter().filter(|group| group.honest);
        share(
            honest().map(GroupOutcome::lost).sum(),
            honest().map(|group| group.messages).sum(),
        )
    }

    /// The mean of the seconds that were added to the way of honest mail.
    pub fn mean_delay(&self) -> f64 {
        let honest = || self.groups.iter().filter(|group| group.honest);
        let seconds = honest().flat_map(|group| &group.delays).sum();
        share(
            seconds,
            honest().map(|group| group.delays.len() as u64).sum(),
        )
    }

    /// The seconds that this share of honest mail came with at most.
    pub fn delay_of_share(&self, share: f64) -> u64 {
        let honest = self.groups.iter().filter(|group| group.honest);
        let mut delays: Vec<u64> = honest.flat_map(|group| &group.delays).copied().collect();
        delays.sort_unstable();
        let at = (delays.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
        delays
            .get(at.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

impl GroupOutcome {
    /// Messages that were not delivered.
    pub const fn lost(&self) -> u64 {
        self.refused + self.given_up
    }
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}
