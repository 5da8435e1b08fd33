//! Why a receiver did something else with a message than its DMARC policy asks (RFC 9990, PolicyOverrideType).

use core::fmt;
use core::str::FromStr;

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
