//! What the answers come to: the record in force, alignment, the verdict.

use std::sync::Arc;

use mail_dns::Failure;

use super::{Author, Candidate, CandidateWalk, Dmarc, Existence, existence_question};
use crate::organizational_domain::OrganizationalDomain;
use crate::record::{AlignmentMode, Place, Policy, Record};
use crate::tree_walk::{Progress, Published, Targets};
use crate::verdict::{
    Alignment, Authentication, Cause, DmarcResult, Identifier, Mechanism, Verdict,
};

/// The record in force, and how many labels of the Author Domain are the domain that published it.
#[derive(Clone, Copy, Debug)]
pub(super) struct InForce<'a> {
    pub(super) labels: u8,
    pub(super) record: &'a Arc<Record>,
}

impl InForce<'_> {
    fn shared(self) -> (u8, Arc<Record>) {
        (self.labels, Arc::clone(self.record))
    }
}

/// How far the search for the record has come.
#[derive(Clone, Copy, Debug)]
enum Search<'a> {
    Waiting,
    /// The lookup of this target failed.
    Failed(u32, Failure),
    Ended(Option<InForce<'a>>),
}

/// What of the verdict had to be found out; whether an identifier is aligned stands at each.
#[derive(Debug)]
pub(super) struct Settled {
    result: DmarcResult,
    cause: Cause,
    /// The record in force, and how many labels of the Author Domain are the domain that published it.
    in_force: Option<(u8, Arc<Record>)>,
    policy: Option<Policy>,
}

impl Settled {
    /// Where it makes no difference which identifiers are aligned.
    fn without_alignment(result: DmarcResult, cause: Cause, in_force: Option<InForce<'_>>) -> Self {
        Self {
            result,
            cause,
            in_force: in_force.map(InForce::shared),
            policy: None,
        }
    }
}

impl Dmarc {
    /// What decides the verdict, or `None` while it hangs on something. Finds out which identifiers are aligned, where that matters.
    pub(super) fn settle(&mut self) -> Option<Settled> {
        let author = match &self.author {
            Ok(author) => author,
            // RFC 9989 §5.3.1: "If zero or more than one domain is extracted from the RFC5322.From header field, then DMARC validation is
            // not possible and the process terminates."
            Err(fault) => {
                let cause = Cause::Author(fault.clone());
                return Some(Settled::without_alignment(
                    DmarcResult::PermError,
                    cause,
                    None,
                ));
            }
        };
        let in_force = match author.search(&self.targets, self.by_tree_walk()) {
            Search::Waiting => return None,
            // RFC 9989 §4.10.1: "Mail Receivers MUST NOT apply the DMARC mechanism to the message."
            Search::Ended(None) => {
                return Some(Settled::without_alignment(
                    DmarcResult::None,
                    Cause::NoRecord,
                    None,
                ));
            }
            Search::Ended(Some(in_force)) => in_force,
            // RFC 9989 §5.3.6: "If one or more DNS queries required to perform DMARC validation on the message do not complete due to
            // temporary or permanent DNS errors, the message cannot be considered to pass or fail the DMARC mechanism check."
            Search::Failed(at, failure) => {
                let question = self.targets.question(at)?;
                let cause = Cause::Lookup { question, failure };
                return Some(Settled::without_alignment(
                    DmarcResult::TempError,
                    cause,
                    None,
                ));
            }
        };
        if in_force.record.p.is_none() {
            let in_force = Some(in_force);
            return Some(Settled::without_alignment(
                DmarcResult::None,
                Cause::NoPolicy,
                in_force,
            ));
        }
        if !self.complete {
            return None;
        }
        for (identifier, candidate) in self.identifiers.iter_mut().zip(&self.candidates) {
            if identifier.authentication != Authentication::Fail {
                let mode = match identifier.mechanism {
                    Mechanism::Spf => in_force.record.aspf,
                    Mechanism::Dkim => in_force.record.adkim,
                };
                identifier.alignment = Some(candidate.alignment(author, mode, &self.targets)?);
            }
        }
        let place = if in_force.labels == author.labels {
            Ok(Place::Itself)
        } else {
            match self.existence {
                Existence::NotNeeded | Existence::Known(true) => Ok(Place::Below),
                Existence::Known(false) => Ok(Place::NonExistentBelow),
                Existence::Failed(failure) => Err(failure),
                Existence::Wanted | Existence::Asked => return None,
            }
        };
        let policy = place
            .ok()
            .and_then(|place| in_force.record.policy_for(place));

        let mut identifiers = self.identifiers.iter();
        let passed = identifiers.clone().find(|one| one.makes_pass());
        let (result, cause) = if let Some(identifier) = passed {
            // RFC 9989 §5.3.5: "If one or more of the Authenticated Identifiers align with the Author Domain, the message is considered to
            // pass the DMARC mechanism check."
            let cause = Cause::Aligned {
                mechanism: identifier.mechanism,
                domain: identifier.domain.clone(),
            };
            (DmarcResult::Pass, cause)
        } else if let Some(cause) = identifiers.find_map(undecided) {
            (DmarcResult::TempError, cause)
        } else if let Err(failure) = place
            && let Some(question) = existence_question(author)
        {
            let cause = Cause::Lookup { question, failure };
            (DmarcResult::TempError, cause)
        } else {
            (DmarcResult::Fail, Cause::NotAligned)
        };
        Some(Settled {
            result,
            cause,
            in_force: Some(in_force.shared()),
            policy,
        })
    }

    pub(super) fn by_tree_walk(&self) -> bool {
        self.config.organizational_domain == OrganizationalDomain::TreeWalk
    }

    /// Whether `pct` exempts the message from the policy.
    fn is_sampled_out(&self, record: &Record) -> bool {
        // RFC 7489 §6.3: "if (random mod 100) < pct then selected = true"
        let is_selected = self.draw % 100 < record.pct.unwrap_or(100);
        // RFC 7489 §6.6.4: "If the email is not subject to the "reject" policy (due to the "pct" tag), the Mail Receiver SHOULD treat the
        // email as though the "quarantine" policy applies." Of "quarantine": "the Mail Receiver SHOULD apply local message classification
        // as normal."
        !self.by_tree_walk() && !is_selected
    }

    /// The verdict, made in one piece where it is returned, out of what is left here.
    pub(super) fn verdict(&mut self, settled: Settled) -> Verdict {
        let Settled {
            result,
            cause,
            in_force,
            policy,
        } = settled;
        let (record_labels, record) = in_force.unzip();
        let failed = record.as_deref().filter(|_| result == DmarcResult::Fail);
        let sampled_out = failed.is_some_and(|record| self.is_sampled_out(record));
        let advice = failed.zip(policy).map(|(record, policy)| {
            // One step less than the policy, in test mode as when sampled out.
            let lowered = sampled_out || self.by_tree_walk() && record.test_mode;
            policy.disposition(lowered)
        });
        let author = self.author.as_ref().ok();
        let suffix = |labels: Option<u8>| Some(author?.domain.suffix(labels?.into()));
        let led = author.and_then(|author| author.walk.led());
        Verdict {
            result,
            cause,
            disposition: match result {
                DmarcResult::PermError => self.config.unusable_author,
                _ => advice.unwrap_or_default(),
            },
            author_domain: author.map(|author| author.domain.clone()),
            record_domain: suffix(record_labels),
            record,
            organizational_domain: suffix(led.map(|led| led.organizational_domain)),
            policy,
            sampled_out,
            identifiers: core::mem::take(&mut self.identifiers),
            identifiers_left_out: self.identifiers_left_out,
            trace: core::mem::take(&mut self.trace),
        }
    }
}

impl Author {
    fn search<'a>(&self, targets: &'a Targets, by_tree_walk: bool) -> Search<'a> {
        if !by_tree_walk {
            return self.search_by_suffix(targets);
        }
        match (self.record(targets), self.walk.progress()) {
            (None, Progress::Waiting) => Search::Waiting,
            (None, Progress::Failed(at, failure)) => Search::Failed(at, failure),
            (in_force, _) => Search::Ended(in_force),
        }
    }

    /// The record at the Author Domain, or where that has none and the walk has led somewhere, what is to be applied instead.
    pub(super) fn record<'a>(&self, targets: &'a Targets) -> Option<InForce<'a>> {
        let at = |labels: u8| match targets.published(&self.walk, labels) {
            Some((_, Published::Record(record))) => Some(InForce { labels, record }),
            _ => None,
        };
        // RFC 9989 §4.10.1: "If a valid DMARC Policy Record is found there, then this is the DMARC Policy Record to be applied to the
        // message" … "listed from highest preference to lowest:" the Author Domain, its Organizational Domain, its PSD.
        at(self.labels).or_else(|| {
            let led = self.walk.led()?;
            at(led.organizational_domain).or_else(|| at(led.public_suffix?))
        })
    }

    /// RFC 7489 §6.6.3, where the Author Domain has no record.
    fn search_by_suffix<'a>(&self, targets: &'a Targets) -> Search<'a> {
        let led = self.walk.led().map(|led| led.organizational_domain);
        for labels in [Some(self.labels), led].into_iter().flatten() {
            match targets.published(&self.walk, labels) {
                None => return Search::Waiting,
                Some((at, Published::Failed(failure))) => return Search::Failed(at, *failure),
                // RFC 7489 §6.6.3: "If the set is now empty, the Mail Receiver MUST query the DNS for a DMARC TXT record at the DNS domain
                // matching the Organizational Domain in place of the RFC5322.From domain in the message (if different)."
                Some((_, Published::Nothing)) => {}
                Some((_, Published::Record(record))) => {
                    return Search::Ended(Some(InForce { labels, record }));
                }
                // RFC 7489 §6.6.3: "If the remaining set contains multiple records or no records, policy discovery terminates and DMARC
                // processing is not applied to this message."
                Some(_) => return Search::Ended(None),
            }
        }
        Search::Ended(None)
    }
}

impl Candidate {
    /// Whether it is aligned; `None` while answers are missing.
    fn alignment(
        &self,
        author: &Author,
        mode: AlignmentMode,
        targets: &Targets,
    ) -> Option<Alignment> {
        if self.is_author(author) {
            return Some(Alignment::Aligned);
        }
        // RFC 9989 §4.10.2: "In this case, a simple string comparison of the Author Domain and the Authenticated Identifier(s) is all that
        // is required."
        if mode == AlignmentMode::Strict || self.shared == 0 {
            return Some(Alignment::NotAligned);
        }
        let unknown = |at, failure| Some(Alignment::Unknown(targets.question(at)?, failure));
        let led_author = match author.walk.progress() {
            Progress::Waiting => return None,
            Progress::Failed(at, failure) => return unknown(at, failure),
            Progress::Done(led) => led.organizational_domain,
        };
        // It is neither the Author's Organizational Domain nor below it.
        if self.shared < led_author {
            return Some(Alignment::NotAligned);
        }
        let walk = match &self.walk {
            CandidateWalk::NotAsked => return None,
            CandidateWalk::BeyondLimit => return Some(Alignment::LeftOut),
            CandidateWalk::Asked(walk) => walk,
        };
        match walk.progress() {
            Progress::Waiting => None,
            Progress::Failed(at, failure) => unknown(at, failure),
            Progress::Done(led) if led.organizational_domain == led_author => {
                Some(Alignment::Aligned)
            }
            Progress::Done(_) => Some(Alignment::NotAligned),
        }
    }
}

/// Why it cannot be told whether this identifier makes the message pass.
fn undecided(identifier: &Identifier) -> Option<Cause> {
    match (identifier.authentication, identifier.alignment.as_ref()?) {
        (Authentication::Pass, Alignment::Unknown(question, failure)) => Some(Cause::Lookup {
            question: question.clone(),
            failure: *failure,
        }),
        (Authentication::TempError, Alignment::Aligned | Alignment::Unknown(..)) => {
            Some(Cause::Identifier {
                mechanism: identifier.mechanism,
                domain: identifier.domain.clone(),
            })
        }
        _ => None,
    }
}
