//! What a report says of messages: how many, from where, what was done with them and why.

use std::net::IpAddr;

use super::results::{ActionDisposition, DkimResult, DmarcAlignment, SpfResult, SpfScope};
use crate::OverrideReason;

/// Messages of one client that had the same results: a `record` of RFC 9990 §3.1.1.7.
///
/// A receiver makes one for each message, with a count of 1; [`Aggregate`](super::Aggregate) puts equal ones together.
///
/// ```
/// use dmarc::reports::{ActionDisposition, AuthResults, DmarcAlignment, Identifiers, PolicyEvaluated, Row, SpfAuthResult, SpfResult, SpfScope};
///
/// let row = Row {
///     source_ip: "192.0.2.1".parse()?,
///     count: 1,
///     policy_evaluated: PolicyEvaluated {
///         disposition: ActionDisposition::None,
///         dkim: DmarcAlignment::Fail,
///         spf: DmarcAlignment::Pass,
///         reasons: Vec::new(),
///     },
///     identifiers: Identifiers {
///         header_from: "example.com".into(),
///         envelope_from: Some("bounces.example.com".into()),
///         envelope_to: None,
///     },
///     auth_results: AuthResults {
///         dkim: Vec::new(),
///         spf: vec![SpfAuthResult {
///             domain: "bounces.example.com".into(),
///             scope: Some(SpfScope::MailFrom),
///             result: SpfResult::Pass,
///             human_result: None,
///         }],
///     },
/// };
/// # assert_eq!(row.count, 1);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    /// The client's address.
    pub source_ip: IpAddr,
    /// How many messages.
    pub count: u64,
    /// What was done with them.
    pub policy_evaluated: PolicyEvaluated,
    /// The domains they showed.
    pub identifiers: Identifiers,
    /// What SPF and DKIM said of them, whatever DMARC made of it.
    pub auth_results: AuthResults,
}

/// What DMARC and the receiver made of the messages (RFC 9990 §3.1.1.9).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyEvaluated {
    /// What was done.
    pub disposition: ActionDisposition,
    /// Whether an aligned DKIM identifier passed.
    pub dkim: DmarcAlignment,
    /// Whether an aligned SPF identifier passed.
    pub spf: DmarcAlignment,
    /// Why something else was done than the policy asks for.
    pub reasons: Vec<OverrideReason>,
}

/// The domains of the messages (RFC 9990 §3.1.1.10).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifiers {
    /// That of the From field: the Author Domain.
    pub header_from: String,
    /// That of MAIL FROM; empty for the null reverse-path.
    pub envelope_from: Option<String>,
    /// That of RCPT TO.
    pub envelope_to: Option<String>,
}

/// The results of the mechanisms (RFC 9990 §3.1.1.11).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthResults {
    /// Each DKIM signature.
    pub dkim: Vec<DkimAuthResult>,
    /// SPF: one result, or several in reports after RFC 7489. Of several only one is written, by RFC 9990's schema.
    pub spf: Vec<SpfAuthResult>,
}

/// The result of one signature (RFC 9990 §3.1.1.12).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DkimAuthResult {
    /// The domain of `d=`.
    pub domain: String,
    /// The selector of `s=`. RFC 7489 let it be left out.
    pub selector: Option<String>,
    /// The result.
    pub result: DkimResult,
    /// More of it, for people.
    pub human_result: Option<String>,
}

/// The result of an SPF check (RFC 9990 §3.1.1.13).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpfAuthResult {
    /// The domain that was checked.
    pub domain: String,
    /// The identity that it was taken from.
    pub scope: Option<SpfScope>,
    /// The result.
    pub result: SpfResult,
    /// More of it, for people.
    pub human_result: Option<String>,
}

impl Row {
    /// The most DKIM signatures of one row that are reported: 100.
    // RFC 9990 §3.1.3: "A report SHOULD contain no more than 100 signatures for a given "row", in decreasing priority."
    pub const MAX_SIGNATURES: usize = 100;

    /// Whether DMARC passed.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.policy_evaluated.dkim == DmarcAlignment::Pass
            || self.policy_evaluated.spf == DmarcAlignment::Pass
    }
}
