//! `[outbound]`: how mail leaves.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use mail_dns::Name;
use screening::outbound::cfbl_address::CfblAddress;
use screening::outbound::provider::Provider;
use screening::outbound::reputation::Level;
use screening::outbound::shaping::Policy;
use screening::outbound::suppression;
use serde::Deserialize;

use super::{ConfigError, Quota};

/// How mail leaves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Outbound {
    /// A host that takes all mail, instead of the recipients' exchangers.
    pub smarthost: Option<String>,
    /// The port to connect to; default: 25.
    pub port: u16,
    /// The local address to connect from, if there is no `warm_up`.
    pub source: Option<IpAddr>,
    /// A plan of warm-up, in the form that `warm-up-plan` reads: the addresses that mail leaves from, and how much new ones send. Default:
    /// none; then all mail leaves from one address, without a quota.
    pub warm_up: Option<PathBuf>,
    /// Which domains are whose, in the form of `screening::outbound::provider::Providers`; default: the examples of that crate.
    pub providers: Option<PathBuf>,
    /// The address for complaints, of a domain whose mail ends here: each message of a user that can be signed for it names it
    /// (CFBL-Address, RFC 9477), and reports that come to it are counted. Without an alias or an account they go to the postmaster's
    /// mailbox. Default: none.
    pub feedback_address: Option<String>,
    /// The lists that are asked each hour whether they have one of our addresses: `source`, or those of `warm_up`. Default: none. Mind
    /// the terms of use of a list.
    #[serde(rename = "list")]
    pub lists: Vec<OwnList>,
    /// How much a destination gets at once.
    pub shaping: Shaping,
    /// The same of single providers, and of domains that stand for themselves; what is not set is as in `shaping`.
    pub provider: BTreeMap<String, Shaping>,
    /// Seconds to wait after each failure; the last repeats; default: 5 minutes, 15 minutes, 1 hour, 4 hours.
    pub retry: Vec<u64>,
    /// Seconds until a message is given up and bounced; default: five days.
    pub give_up: u64,
    /// Seconds after which a sender is told once that a message is late, and is tried still; 0: nobody is told. Default: 4 hours.
    pub late: u64,
    /// Which addresses get no mail for a while.
    pub suppression: Suppression,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            smarthost: None,
            port: 25,
            source: None,
            warm_up: None,
            providers: None,
            feedback_address: None,
            lists: Vec::new(),
            shaping: Shaping::default(),
            provider: BTreeMap::new(),
            // RFC 5321 §4.5.4.1: "the retry interval SHOULD be at least 30 minutes" holds after the first attempts.
            retry: vec![300, 900, 3600, 14400],
            // RFC 5321 §4.5.4.1: "the give-up time generally needs to be at least 4-5 days."
            give_up: 5 * 86400,
            late: 4 * 3600,
            suppression: Suppression::default(),
        }
    }
}

/// A list that others ask about us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OwnList {
    /// The zone.
    #[serde(deserialize_with = "super::screening::name")]
    pub zone: Name,
    /// What it means to be on it; default: `warn`.
    #[serde(default)]
    pub level: OwnListLevel,
    /// Whether it has the test entries of RFC 5782 §5, by which it is turned off when it does not work; default: yes.
    #[serde(default = "super::screening::yes")]
    pub tested: bool,
}

/// What it means to be on a list.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnListLevel {
    /// A new address sends no more than it does.
    #[default]
    Warn,
    /// A new address sends nothing for a while: many ask this list.
    Stop,
}

impl From<OwnListLevel> for Level {
    fn from(level: OwnListLevel) -> Self {
        match level {
            OwnListLevel::Warn => Self::Warn,
            OwnListLevel::Stop => Self::Stop,
        }
    }
}

/// Which addresses get no mail for a while, since their owner has complained or they do not exist; the defaults are those of
/// `screening::outbound::suppression::Policy`, which says why. It is on, as it is mild: at first it holds for an hour, and a complaint
/// stops the mail of nobody but the sender that it is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Suppression {
    /// Whether there is such a thing; default: yes. What was added by hand holds only then, too.
    pub enabled: bool,
    /// Seconds for which a complaint stops mail of its sender, doubled with each further one; default: 30 days. 0: it stops nothing.
    pub complaint: u64,
    /// Seconds for which it does at most; default: 365 days.
    pub longest_complaint: u64,
    /// Refusals as unknown until an address is suppressed; default: 2. 0: they suppress nothing.
    pub refusals: u32,
    /// Seconds for which it is at first, doubled with each further refusal; default: 3,600.
    pub refused: u64,
    /// Seconds for which it is at most; default: 30 days.
    pub longest_refused: u64,
}

impl Default for Suppression {
    fn default() -> Self {
        let policy = suppression::Policy::default();
        Self {
            enabled: true,
            complaint: policy.complaint.as_secs(),
            longest_complaint: policy.longest_complaint.as_secs(),
            refusals: policy.refusals,
            refused: policy.refused.as_secs(),
            longest_refused: policy.longest_refused.as_secs(),
        }
    }
}

impl Suppression {
    /// As the library wants it.
    #[must_use]
    pub fn policy(&self) -> suppression::Policy {
        let mut policy = suppression::Policy::default();
        policy.complaint = Duration::from_secs(self.complaint);
        policy.longest_complaint = Duration::from_secs(self.longest_complaint);
        policy.refusals = self.refusals;
        policy.refused = Duration::from_secs(self.refused);
        policy.longest_refused = Duration::from_secs(self.longest_refused);
        policy
    }
}

/// How much a destination gets at once; the defaults are those of `screening::outbound::shaping::Policy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Shaping {
    /// Connections in the beginning; default: 5.
    pub initial_connections: Option<u32>,
    /// Connections at most; default: 20.
    pub max_connections: Option<u32>,
    /// Messages on one connection; default: 100. A server that says that it takes fewer (MAILMAX, RFC 9422) gets no more.
    pub messages_per_connection: Option<u32>,
    /// Seconds for which a connection is used for further messages; default: 300.
    pub connection_time: Option<u64>,
    /// Messages in a time; default: as many as the connections carry.
    pub rate: Option<Quota>,
    /// Connections that fail one after the other until it is left alone; default: 3.
    pub failed_connections: Option<u32>,
    /// Seconds for which it is left alone at first, doubled with each further time; default: 60.
    pub back_off: Option<u64>,
    /// Seconds for which it is left alone at most; default: 3,600.
    pub longest_back_off: Option<u64>,
}

impl Shaping {
    /// What is not set is as in another one.
    #[must_use]
    pub fn over(&self, other: &Policy) -> Policy {
        let mut policy = other.clone();
        let set = |to: &mut u32, from: Option<u32>| *to = from.unwrap_or(*to);
        set(&mut policy.initial_connections, self.initial_connections);
        set(&mut policy.max_connections, self.max_connections);
        set(
            &mut policy.messages_per_connection,
            self.messages_per_connection,
        );
        set(&mut policy.failed_connections, self.failed_connections);
        let seconds =
            |to: &mut Duration, from: Option<u64>| *to = from.map_or(*to, Duration::from_secs);
        seconds(&mut policy.connection_time, self.connection_time);
        seconds(&mut policy.back_off, self.back_off);
        seconds(&mut policy.longest_back_off, self.longest_back_off);
        policy.rate = self.rate.map(Into::into).or(policy.rate);
        policy
    }
}

impl Outbound {
    pub(super) fn check(&self, domains: &[String]) -> Result<(), ConfigError> {
        let value = |field, why: &dyn ToString| {
            let why = why.to_string();
            Err(ConfigError::Value { field, why })
        };
        if self.retry.is_empty() || self.retry.contains(&0) {
            return value(
                "outbound.retry",
                &"name at least one wait, none of them zero",
            );
        }
        for name in self.provider.keys() {
            if let Err(error) = name.parse::<Provider>() {
                return value("outbound.provider", &error);
            }
        }
        if let Some(address) = &self.feedback_address {
            match address.parse::<CfblAddress>() {
                Ok(address) if domains.iter().any(|it| is_of(&address, it)) => {}
                Ok(_) => {
                    return value(
                        "outbound.feedback_address",
                        &"want an address of a domain whose mail ends here",
                    );
                }
                Err(error) => return value("outbound.feedback_address", &error),
            }
        }
        if self.warm_up.is_some() && self.smarthost.is_some() {
            return value(
                "outbound.warm_up",
                &"where a smarthost takes all mail, no provider sees our addresses",
            );
        }
        if self.warm_up.is_some() && self.source.is_some() {
            return value(
                "outbound.source",
                &"with a plan of warm-up its addresses are used: name this one there as `warm`",
            );
        }
        Ok(())
    }
}

fn is_of(address: &CfblAddress, domain: &str) -> bool {
    let of = address.mailbox.domain();
    of.is_some_and(|of| of.as_str().eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_of_one_provider_is_as_of_all() {
        let text = "[shaping]\nmax_connections = 9\nback_off = 5\n[provider.gmail]\nback_off = 7\nrate = { count = 6, per = 60 }";
        let outbound: Outbound = toml::from_str(text).unwrap();
        let of_all = outbound.shaping.over(&Policy::default());
        let of_gmail = outbound.provider["gmail"].over(&of_all);
        let seconds = |policy: &Policy| (policy.max_connections, policy.back_off.as_secs());
        assert_eq!((seconds(&of_all), of_all.rate), ((9, 5), None));
        assert_eq!(seconds(&of_gmail), (9, 7));
        assert_eq!(of_gmail.rate, Some(Quota::new(6, 60).into()));
        assert_eq!(of_gmail.initial_connections, 5);
    }

    #[test]
    fn mistakes_are_told() {
        let domains = ["example.org".to_owned()];
        for (text, why) in [
            ("retry = []", "outbound.retry: "),
            ("[provider.'a b']", "outbound.provider: "),
            (
                "feedback_address = 'fbl'",
                "outbound.feedback_address: CFBL-Address: ",
            ),
            (
                "feedback_address = 'fbl@example.net'",
                "outbound.feedback_address: want an address of a domain",
            ),
            (
                "smarthost = 'a.example'\nwarm_up = 'x'",
                "outbound.warm_up: ",
            ),
            ("source = '192.0.2.1'\nwarm_up = 'x'", "outbound.source: "),
        ] {
            let outbound: Outbound = toml::from_str(text).unwrap();
            let error = outbound.check(&domains).unwrap_err().to_string();
            assert!(error.starts_with(why), "{text}: {error}");
        }
        let fine: Outbound = toml::from_str("feedback_address = 'fbl@Example.org'").unwrap();
        assert!(fine.check(&domains).is_ok());
    }
}
