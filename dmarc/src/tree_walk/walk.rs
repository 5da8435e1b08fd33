//! One walk: its steps, and what it comes to by the answers.

use mail_dns::Failure;

use super::{MAX_QUERIES, Published, Targets};
use crate::record::Psd;

/// Where one walk goes, the longest domain first, and how far it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    /// How many labels of the domain at which the walk began the domain of each step has, from the right.
    pub(super) labels: [u8; MAX_QUERIES],
    /// The place of its target.
    pub(super) targets: [u32; MAX_QUERIES],
    pub(super) length: u8,
    /// How many steps are behind it.
    behind: u8,
    /// How many labels the domain of the last of them with a record has.
    record: Option<u8>,
    progress: Progress,
}

/// What a walk has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Answers are missing below the stop.
    #[default]
    Waiting,
    /// The lookup of the target in this place, below the stop, failed; where the walk would have led cannot be told.
    Failed(u32, Failure),
    Done(Led),
}

/// Where a walk led: how many labels of the domain at which it began are that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Led {
    pub(crate) organizational_domain: u8,
    /// The Public Suffix Domain that ended the walk, where one did.
    pub(crate) public_suffix: Option<u8>,
}

impl Walk {
    /// One that is at its end: what it does not ask says that the Organizational Domain has so many labels.
    pub(crate) fn done(organizational_domain: u8) -> Self {
        Self {
            progress: done(organizational_domain, None),
            ..Self::default()
        }
    }

    /// What it has come to.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// Where it led, if it came to an end.
    pub(crate) fn led(&self) -> Option<Led> {
        match self.progress {
            Progress::Done(led) => Some(led),
            Progress::Waiting | Progress::Failed(..) => None,
        }
    }

    /// Goes on if it waits for this target, to which the answer came. True if it found a record or came to its end.
    pub(crate) fn advance(&mut self, answered: u32, targets: &Targets) -> bool {
        matches!(self.progress, Progress::Waiting)
            && self.targets[usize::from(self.behind)] == answered
            && self.go_on(targets)
    }

    /// Goes on as far as the answers are there. Names above a stop are not looked at.
    pub(super) fn go_on(&mut self, targets: &Targets) -> bool {
        let mut found = false;
        while matches!(self.progress, Progress::Waiting) {
            let step = usize::from(self.behind);
            if step == usize::from(self.length) {
                // RFC 9989 §4.10.2: "Otherwise, select the DMARC Policy Record found at the name with the fewest number of labels." … "If
                // this process does not determine the Organizational Domain, then the initial target domain is the Organizational Domain."
                self.progress = done(self.record.unwrap_or(self.labels[0]), None);
                return true;
            }
            let at = self.targets[step];
            let Some(published) = targets.known(at) else {
                return found;
            };
            match published {
                Published::Failed(failure) => self.progress = Progress::Failed(at, *failure),
                Published::Record(record) => {
                    found = true;
                    self.progress = self.found(self.labels[step], record.psd);
                }
                Published::Nothing | Published::Several | Published::Unreadable(_) => {}
            }
            self.behind += 1;
        }
        true
    }

    /// What it comes to by a record at the domain of so many labels.
    fn found(&mut self, labels: u8, psd: Psd) -> Progress {
        match psd {
            // RFC 9989 §4.10.2: "If a valid DMARC Policy Record contains the "psd" tag set to "n" ("psd=n"), this is the Organizational
            // Domain, and the selection process is complete."
            Psd::No => done(labels, None),
            // RFC 9989 §4.10.2: "If a valid DMARC Policy Record, other than the one for the domain where the Tree Walk started,
            // contains the "psd" tag set to "y" ("psd=y"), the Organizational Domain is the domain one label below this one in the
            // DNS hierarchy, and the selection process is complete."
            Psd::Yes if labels != self.labels[0] => done(labels + 1, Some(labels)),
            // RFC 9989 §4.10: "If a single record remains and it contains a "psd=n" or "psd=y" tag, stop."
            Psd::Yes => done(labels, None),
            Psd::Unspecified => {
                self.record = Some(labels);
                Progress::Waiting
            }
        }
    }

    /// The places of its targets.
    pub(super) fn targets(&self) -> &[u32] {
        &self.targets[..usize::from(self.length)]
    }

    /// The place of the target at the domain of this number of labels.
    pub(super) fn target(&self, labels: u8) -> Option<u32> {
        let mut steps = self.labels.iter().zip(self.targets());
        let (_, target) = steps.find(|step| *step.0 == labels)?;
        Some(*target)
    }

    /// A step more; there are at most [`MAX_QUERIES`].
    pub(super) fn push(&mut self, labels: u8, target: u32) {
        let at = usize::from(self.length);
        self.labels[at] = labels;
        self.targets[at] = target;
        self.length += 1;
    }
}

fn done(organizational_domain: u8, public_suffix: Option<u8>) -> Progress {
    Progress::Done(Led {
        organizational_domain,
        public_suffix,
    })
}
