//! Why a receiver did something else with a message than its DMARC policy asks (RFC 9990, PolicyOverrideType).

use core::fmt;
use core::str::FromStr;

use crate::verdict::{Disposition, DmarcResult, Verdict};

/// What overrode the policy, in the words of aggregate reports.
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyOverride {
    /// The receiver's own rules exempted the message.
    LocalPolicy,
    /// The message came through a mailing list.
    MailingList,
    /// Another reason, told in the comment.
    Other,
    /// `t=y` of the record lowered the policy.
    PolicyTestMode,
    /// The message came through a forwarder that the receiver trusts, by its ARC seal or otherwise.
    TrustedForwarder,
}

impl PolicyOverride {
    const WORDS: [(Self, &str); 5] = [
        (Self::LocalPolicy, "local_policy"),
        (Self::MailingList, "mailing_list"),
        (Self::Other, "other"),
        (Self::PolicyTestMode, "policy_test_mode"),
        (Self::TrustedForwarder, "trusted_forwarder"),
    ];
}

impl fmt::Display for PolicyOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(reason, _)| reason == self);
        f.pad(word.map_or("other", |(_, word)| word))
    }
}

/// The word is none of RFC 9990's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reason of RFC 9990 for overriding a policy")]
#[non_exhaustive]
pub struct UnknownOverride;

impl FromStr for PolicyOverride {
    type Err = UnknownOverride;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::WORDS
            .into_iter()
            .find_map(|(reason, its)| (its == word).then_some(reason))
            .ok_or(UnknownOverride)
    }
}

/// An override and what the receiver says of it.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OverrideReason {
    /// What overrode the policy.
    pub kind: PolicyOverride,
    /// More of it, for people.
    pub comment: Option<String>,
}

impl OverrideReason {
    fn new(kind: PolicyOverride, comment: Option<String>) -> Self {
        Self { kind, comment }
    }
}

/// Something that a receiver knows of a message and that makes it weaken the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What it is, for the report.
    pub reason: OverrideReason,
    /// The most that is still done with the message. What is stronger than the policy changes nothing.
    pub at_most: Disposition,
}

impl Override {
    /// An override that lets the message in as any other.
    #[must_use]
    pub fn of(kind: PolicyOverride, comment: Option<String>) -> Self {
        let reason = OverrideReason::new(kind, comment);
        Self {
            reason,
            at_most: Disposition::None,
        }
    }

    /// For a receiver that knows nothing of a message but that DMARC fails: `reject` becomes `quarantine`.
    ///
    /// RFC 9989 §7.4: "In the absence of other knowledge and analysis, Mail Receivers MUST treat such failing mail as if the policy were
    /// "p=quarantine" rather than "p=reject"."
    #[must_use]
    pub fn no_other_grounds() -> Self {
        let comment = "p=reject alone is no ground for a refusal (RFC 9989 7.4)".to_owned();
        Self {
            reason: OverrideReason::new(PolicyOverride::LocalPolicy, Some(comment)),
            at_most: Disposition::Quarantine,
        }
    }
}

/// What is done with a message in the end, and why that is not what the policy asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// What is done: never more than [`Verdict::disposition`].
    pub disposition: Disposition,
    /// Why it is less than the published policy; for the aggregate report.
    pub reasons: Vec<OverrideReason>,
}

impl Verdict {
    /// What is done with the message, after what the receiver knows beside DMARC.
    ///
    /// An override only weakens, and only the policy of a message that fails: one without a usable author stays with
    /// [`Config::unusable_author`](crate::Config::unusable_author), since neither a forwarder nor a chain says who the author is. Each that
    /// allows less than the verdict asks gives its reason. `t=y` gives [`PolicyOverride::PolicyTestMode`] by itself where it lowered the
    /// policy, and `pct` [`PolicyOverride::Other`].
    ///
    /// ```
    /// use dmarc::{AuthorDomains, Disposition, Dmarc, Override, PolicyOverride};
    /// use mail_dns::{Zone, resolve_blocking};
    ///
    /// let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=reject");
    /// let mut dmarc = Dmarc::new(&AuthorDomains::of_from(b"joe@example.com"), &Default::default());
    /// dmarc.no_more_identifiers();
    /// let verdict = resolve_blocking(dmarc, |question| zone.answer(question));
    /// assert_eq!(verdict.disposition, Disposition::Reject);
    ///
    /// let list = Override::of(PolicyOverride::MailingList, Some("announce.example.org".to_owned()));
    /// let done = verdict.overridden(&[list]);
    /// assert_eq!(done.disposition, Disposition::None);
    /// assert_eq!(done.reasons[0].kind, PolicyOverride::MailingList);
    /// ```
    #[must_use]
    pub fn overridden(&self, overrides: &[Override]) -> Overridden {
        let mut done = Overridden {
            disposition: self.disposition,
            reasons: Vec::new(),
        };
        if self.result != DmarcResult::Fail {
            return done;
        }
        let published = self.policy.map(|policy| policy.disposition(false));
        if published.is_some_and(|published| self.disposition < published) {
            done.reasons.push(match self.sampled_out {
                false => OverrideReason::new(PolicyOverride::PolicyTestMode, None),
                // RFC 9990 has no word for it.
                true => OverrideReason::new(
                    PolicyOverride::Other,
                    Some("sampled out by pct (RFC 7489 6.6.4)".to_owned()),
                ),
            });
        }
        // RFC 9989 §5.4: "When Mail Receivers deviate from a published Domain Owner Assessment Policy during message processing, they
        // SHOULD make available the fact of and reason for the deviation".
        for one in overrides {
            if one.at_most < self.disposition {
                done.disposition = done.disposition.min(one.at_most);
                done.reasons.push(one.reason.clone());
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_printed() {
        for (reason, word) in PolicyOverride::WORDS {
            assert_eq!(reason.to_string(), word);
            assert_eq!(word.parse(), Ok(reason));
        }
        assert_eq!("forwarded".parse::<PolicyOverride>(), Err(UnknownOverride));
    }
}
