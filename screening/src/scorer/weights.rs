//! What each finding is worth, and what each score leads to.

use core::time::Duration;

/// What each finding adds to the score; a weight of 0 leaves it out. Positive speaks against the client.
///
/// The defaults follow one rule: what many honest servers have is worth less than [`Thresholds::greylist`] alone, what some have is worth
/// a greylisting, and nothing comes near to [`Thresholds::refuse`] by itself. What lists say is worth what their configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct Weights {
    /// Rules 0 to 6 of S25R. Default: 3 each: one mail server in eight is caught too, and is to come back.
    pub s25r: [i32; 7],
    /// The address has no name. Default: 3. Not counted beside rule 0 of S25R, which is the same finding; nor is the next.
    pub iprev_no_name: i32,
    /// No name of the address leads back to it. Default: 2.
    pub iprev_fail: i32,
    /// HELO: neither a domain nor an address. Default: 2.
    pub helo_malformed: i32,
    /// HELO: a single label. Default: 2.
    pub helo_not_qualified: i32,
    /// HELO: an address without brackets. Default: 2.
    pub helo_bare_address: i32,
    /// HELO: the client's address as a literal. Default: 1: allowed, and rarely said by mail servers.
    pub helo_own_literal: i32,
    /// HELO: the literal of another address. Default: 3.
    pub helo_foreign_literal: i32,
    /// HELO: a name or address of ours. Default: 5: only who wants to deceive us says it.
    pub helo_ours: i32,
    /// HELO: a domain that leads nowhere. Default: 2.
    pub helo_nowhere: i32,
    /// HELO: a domain that leads elsewhere. Default: 1. Never counts towards a refusal (RFC 5321 §4.1.4, see [`helo`](crate::helo)).
    pub helo_elsewhere: i32,
    /// Talked before the greeting. Default: 5.
    pub before_greeting: i32,
    /// Sent a command of another protocol. Default: 6.
    pub foreign_command: i32,
    /// Sent a bare newline. Default: 2: some old honest scripts do.
    pub bare_newline: i32,
    /// Did not wait for replies. Default: 3.
    pub pipelining: i32,
    /// Went on after 421, or after 554 in place of the greeting. Default: 3.
    pub ignored_421: i32,
    /// SPF fail. Default: 3: forwarders fail too.
    pub spf_fail: i32,
    /// SPF softfail. Default: 1.
    pub spf_soft_fail: i32,
    /// SPF permerror. Default: 1.
    pub spf_perm_error: i32,
    /// SPF pass. Default: 0: spammers have domains too.
    pub spf_pass: i32,
    /// Our users have written to the sender, and SPF says pass. Default: -5.
    pub known_correspondent: i32,
    /// The most that reputation adds or takes. Default: 14: it is what we have seen ourselves.
    pub reputation_most: i32,
    /// The most that the reputation of the client's networks adds or takes. Default: 4, a greylisting. Never counts towards a refusal.
    pub network_reputation_most: i32,
    /// The most that block lists add together. Default: no bound, as each list has its own weight.
    pub block_lists_most: i32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            s25r: [3; 7],
            iprev_no_name: 3,
            iprev_fail: 2,
            helo_malformed: 2,
            helo_not_qualified: 2,
            helo_bare_address: 2,
            helo_own_literal: 1,
            helo_foreign_literal: 3,
            helo_ours: 5,
            helo_nowhere: 2,
            helo_elsewhere: 1,
            before_greeting: 5,
            foreign_command: 6,
            bare_newline: 2,
            pipelining: 3,
            ignored_421: 3,
            spf_fail: 3,
            spf_soft_fail: 1,
            spf_perm_error: 1,
            spf_pass: 0,
            known_correspondent: -5,
            reputation_most: 14,
            network_reputation_most: 4,
            block_lists_most: i32::MAX,
        }
    }
}

impl Weights {
    /// Nothing is worth anything; to be filled with what shall count. White lists count by their own weights, block lists do not.
    pub const fn none() -> Self {
        Self {
            s25r: [0; 7],
            iprev_no_name: 0,
            iprev_fail: 0,
            helo_malformed: 0,
            helo_not_qualified: 0,
            helo_bare_address: 0,
            helo_own_literal: 0,
            helo_foreign_literal: 0,
            helo_ours: 0,
            helo_nowhere: 0,
            helo_elsewhere: 0,
            before_greeting: 0,
            foreign_command: 0,
            bare_newline: 0,
            pipelining: 0,
            ignored_421: 0,
            spf_fail: 0,
            spf_soft_fail: 0,
            spf_perm_error: 0,
            spf_pass: 0,
            known_correspondent: 0,
            reputation_most: 0,
            network_reputation_most: 0,
            block_lists_most: 0,
        }
    }
}

/// From which score on what is done; the strictest that is reached holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thresholds {
    /// Greylisting. Default: 3. None: never; so with the others.
    pub greylist: Option<i64>,
    /// Tarpitting, and greylisting with it. Default: 6.
    pub tarpit: Option<i64>,
    /// How long each reply waits in the tarpit. Default: 20 seconds, so that no reply comes near to the 5 minutes that a client must wait
    /// (RFC 5321 §4.5.3.2). Raising it keeps more connections open.
    pub tarpit_delay: Duration,
    /// Refusal. Default: 14: more than an honest server behind an end user's line can have against it without having done anything: a
    /// rule of S25R (3), in HELO the private address that it knows itself by (3), SPF that fails since its address has changed (3) and a
    /// policy list of weight 4. Whoever asks several lists of lines of end users bounds them ([`Weights::block_lists_most`]).
    pub refuse: Option<i64>,
    /// Findings against the client that a refusal needs, whatever their points. Default: 2, so that none alone refuses anybody.
    pub refuse_findings: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            greylist: Some(3),
            tarpit: Some(6),
            tarpit_delay: Duration::from_secs(20),
            refuse: Some(14),
            refuse_findings: 2,
        }
    }
}
