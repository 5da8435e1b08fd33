//! `[screening.reputation]`: how the past of those who send to us is weighed.

use std::time::Duration;

use screening::reputation::{Policy, Weights};
use serde::Deserialize;

/// The past of a client, its networks and its names; the defaults are those of `screening::reputation::Policy`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Reputation {
    /// Whether the past counts; default: yes.
    pub enabled: bool,
    /// Seconds after which an outcome counts half; default: 7 days.
    pub half_life: u64,
    /// Messages below which nothing is said; default: 5.
    pub minimum: u32,
    /// Messages that are remembered of one client at most; default: 200.
    pub most: u32,
    /// Points that the best past takes off; default: 2.
    pub good_points: i32,
    /// Seconds for which a client must have been known until its past may be a good one; default: 86,400. Less lets whoever sends much at
    /// once be trusted for it.
    pub good_after: u64,
    /// Points of the worst past; default: 14.
    pub bad_points: i32,
    /// Points of the worst past of a client's networks, which refuses nobody; default: 4.
    pub network_points: i32,
    /// Domains of DKIM signatures that count of a message; default: 4.
    pub dkim_domains: usize,
    /// Leading bits of an IPv4 address that make its network; default: 24.
    pub ipv4_network: u8,
    /// Leading bits of an IPv6 address that count as one address; default: 64.
    pub ipv6_address: u8,
    /// Leading bits of an IPv6 address that make its networks; default: 48 and 32.
    pub ipv6_networks: [u8; 2],
    /// What each outcome weighs, in tenths of a message, by the name that `screening::reputation::Weights` has for it.
    pub weights: Weights,
}

impl Default for Reputation {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            enabled: true,
            half_life: policy.half_life.as_secs(),
            minimum: policy.minimum,
            most: policy.most,
            good_points: policy.good_points,
            good_after: policy.good_after.as_secs(),
            bad_points: policy.bad_points,
            network_points: policy.network_points,
            dkim_domains: policy.dkim_domains,
            ipv4_network: policy.ipv4_prefix,
            ipv6_address: policy.ipv6_prefix,
            ipv6_networks: policy.ipv6_networks,
            weights: policy.weights,
        }
    }
}

impl From<&Reputation> for Policy {
    fn from(configured: &Reputation) -> Self {
        let mut policy = Self::default();
        policy.half_life = Duration::from_secs(configured.half_life);
        policy.minimum = configured.minimum;
        policy.most = configured.most;
        policy.good_points = configured.good_points;
        policy.good_after = Duration::from_secs(configured.good_after);
        policy.bad_points = configured.bad_points;
        policy.network_points = configured.network_points;
        policy.dkim_domains = configured.dkim_domains;
        policy.ipv4_prefix = configured.ipv4_network;
        policy.ipv6_prefix = configured.ipv6_address;
        policy.ipv6_networks = configured.ipv6_networks;
        policy.weights = configured.weights.clone();
        policy
    }
}
