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

/// How far the search for the record has come.
#[derive(Clone, Copy, Debug)]
enum Search<'a> {
    Waiting,
    /// The lookup of this target failed.
    Failed(u32, Failure),
    Ended(Option<InForce<'a>>),
}

/// What of the verdict had to be found out.
#[derive(Debug)]
pub(super) struct Settled<'a> {
    result: DmarcResult,
    cause: Cause,
    in_force: Option<InForce<'a>>,
    policy: Option<Policy>,
    identifiers: Vec<Identifier>,
}

impl Dmarc {
    /// What decides the verdict, or `None` while it hangs on something.
    pub(super) fn settle(&self) -> Option<Settled<'_>> {
        let author = match &self.author {
            Ok(author) => author,
            // RFC 9989 §5.3.1: "If zero or more than one domain is extracted from the RFC5322.From header field, then DMARC validation is
            // not possible and the process terminates."
            Err(fault) => {
                let cause = Cause::Author(fault.clone());
                return Some(self.without_alignment(DmarcResult::PermError, cause, None));
            }
        };
        let in_force = match author.search(&self.targets, self.by_tree_walk()) {
            Search::Waiting => return None,
            // RFC 9989 §4.10.1: "Mail Receivers MUST NOT apply the DMARC mechanism to the message."
            Search::Ended(None) => {
                return Some(self.without_alignment(DmarcResult::None, Cause::NoRecord, None));
            }
            Search::Ended(Some(in_force)) => in_force,
            // RFC 9989 §5.3.6: "If one or more DNS queries required to perform DMARC validation on the message do not complete due to
            // temporary or permanent DNS errors, the message cannot be considered to pass or fail the DMARC mechanism check."
            Search::Failed(at, failure) => {
                let question = self.targets.question(at)?;
                let cause = Cause::Lookup { question, failure };
                return Some(self.without_alignment(DmarcResult::TempError, cause, None));
            }
        };
        if in_force.record.p.is_none() {
            let in_force = Some(in_force);
            return Some(self.without_alignment(DmarcResult::None, Cause::NoPolicy, in_force));
        }
        if !self.complete {
            return None;
        }
        let identifiers = self.judge(author, in_force.record)?;
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

        let passed = identifiers
            .iter()
            .find(|identifier| identifier.makes_pass());
        let (result, cause) = if let Some(identifier) = passed {
            // RFC 9989 §5.3.5: "If one or more of the Authenticated Identifiers align with the Author Domain, the message is considered to
            // pass the DMARC mechanism check."
            let cause = Cause::Aligned {
                mechanism: identifier.mechanism,
                domain: identifier.domain.clone(),
            };
            (DmarcResult::Pass, cause)
        } else if let Some(cause) = identifiers.iter().find_map(undecided) {
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
            in_force: Some(in_force),
            policy,
            identifiers,
        })
    }

    pub(super) fn by_tree_walk(&self) -> bool {
        self.config.organizational_domain == OrganizationalDomain::TreeWalk
    }

    /// The alignment of every identifier of which it matters; `None` while answers are missing for one.
    fn judge(&self, author: &Author, record: &Record) -> Option<Vec<Identifier>> {
        let alignment = |candidate: &Candidate| {
            let mode = match candidate.mechanism {
                Mechanism::Spf => record.aspf,
                Mechanism::Dkim => record.adkim,
            };
            self.alignment(candidate, author, mode)
        };
        let matters = |candidate: &Candidate| candidate.authentication != Authentication::Fail;
        let mut candidates = self.identifiers.iter();
        if candidates.any(|candidate| matters(candidate) && alignment(candidate).is_none()) {
            return None;
        }
        let judged = self.identifiers.iter().map(|candidate| {
            let alignment = matters(candidate).then(|| alignment(candidate));
            candidate.judged(alignment.flatten())
        });
        Some(judged.collect())
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

    /// For a verdict for which it makes no difference which identifiers are aligned.
    fn without_alignment<'a>(
        &self,
        result: DmarcResult,
        cause: Cause,
        in_force: Option<InForce<'a>>,
    ) -> Settled<'a> {
        Settled {
            result,
            cause,
            in_force,
            policy: None,
            identifiers: self
                .identifiers
                .iter()
                .map(|one| one.judged(None))
                .collect(),
        }
    }

    /// The verdict, made in one piece where it is returned.
    pub(super) fn verdict(&self, settled: Settled<'_>) -> Verdict {
        let Settled {
            result,
            cause,
            in_force,
            policy,
            identifiers,
        } = settled;
        let failed = in_force.filter(|_| result == DmarcResult::Fail);
        let sampled_out = failed.is_some_and(|in_force| self.is_sampled_out(in_force.record));
        let advice = failed.zip(policy).map(|(in_force, policy)| {
            // One step less than the policy, in test mode as when sampled out.
            let lowered = sampled_out || self.by_tree_walk() && in_force.record.test_mode;
            policy.disposition(lowered)
        });
        let author = self.author.as_ref().ok();
        let organizational_domain = author.and_then(|author| {
            let led = author.walk.led()?;
            Some(author.domain.suffix(led.organizational_domain.into()))
        });
        let record_domain = in_force.zip(author);
        Verdict {
            result,
            cause,
            disposition: match result {
                DmarcResult::PermError => self.config.unusable_author,
                _ => advice.unwrap_or_default(),
            },
            author_domain: author.map(|author| author.domain.clone()),
            record_domain: record_domain
                .map(|(in_force, author)| author.domain.suffix(in_force.labels.into())),
            record: in_force.map(|in_force| Arc::clone(in_force.record)),
            organizational_domain,
            policy,
            sampled_out,
            identifiers,
            identifiers_left_out: self.identifiers_left_out,
            trace: self.trace.clone(),
        }
    }

    /// Whether a candidate is aligned; `None` while answers are missing.
    fn alignment(
        &self,
        candidate: &Candidate,
        author: &Author,
        mode: AlignmentMode,
    ) -> Option<Alignment> {
        if candidate.is_author(author) {
            return Some(Alignment::Aligned);
        }
        // RFC 9989 §4.10.2: "In this case, a simple string comparison of the Author Domain and the Authenticated Identifier(s) is all that
        // is required."
        if mode == AlignmentMode::Strict || candidate.shared == 0 {
            return Some(Alignment::NotAligned);
        }
        let unknown = |at, failure| Some(Alignment::Unknown(self.targets.question(at)?, failure));
        let led_author = match author.walk.progress() {
            Progress::Waiting => return None,
            Progress::Failed(at, failure) => return unknown(at, failure),
            Progress::Done(led) => led.organizational_domain,
        };
        // It is neither the Author's Organizational Domain nor below it.
        if candidate.shared < led_author {
            return Some(Alignment::NotAligned);
        }
        let walk = match &candidate.walk {
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
    fn judged(&self, alignment: Option<Alignment>) -> Identifier {
        Identifier {
            mechanism: self.mechanism,
            domain: self.handed_in.clone(),
            authentication: self.authentication,
            alignment,
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
