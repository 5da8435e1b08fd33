//! Who announces the addresses of strangers, as long as there are answers: nobody's mail waits again and again for a zone that is dead.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use screening::asn::{self, Asn, Origin, Zones};
use screening::dnsbl::HealthPolicy;
use tokio::time::Instant;

use super::PATIENCE;
use crate::resolver::Resolver;
use crate::server::now;

/// The zones, and whether they are left alone.
#[derive(Debug)]
pub(super) struct Origins {
    zones: Zones,
    policy: HealthPolicy,
    ipv4: Mutex<Standing>,
    ipv6: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    /// Questions in a row without an answer.
    failures: u32,
    /// Until when, in seconds since 1970, no more are asked.
    rests_until: u64,
}

impl Origins {
    pub(super) fn new(zones: Zones, policy: HealthPolicy) -> Self {
        Self {
            zones,
            policy,
            ipv4: Mutex::default(),
            ipv6: Mutex::default(),
        }
    }

    /// Asks for an address; what has no answer in time is not known.
    pub(super) async fn ask(&self, resolver: &Resolver, client: IpAddr) -> Origin {
        self.ask_at(resolver, client, now()).await
    }

    async fn ask_at(&self, resolver: &Resolver, client: IpAddr, now: u64) -> Origin {
        let standing = match client.to_canonical() {
            IpAddr::V4(_) => &self.ipv4,
            IpAddr::V6(_) => &self.ipv6,
        };
        let standing = || standing.lock().unwrap_or_else(PoisonError::into_inner);
        if now < standing().rests_until {
            return Origin::NotAsked;
        }
        let asn = Asn::new(client, &self.zones, &asn::Limits::default());
        let origin = resolver.evaluate(asn, Instant::now() + PATIENCE).await;
        let mut standing = standing();
        standing.failures = match origin {
            Origin::Failed(_) => standing.failures.saturating_add(1),
            _ => 0,
        };
        if standing.failures >= self.policy.failures.max(1) {
            let rest = self.policy.first_retry.as_secs();
            tracing::info!(%client, %origin, rest, "screening: the zone of AS numbers is left alone for so many seconds");
            (standing.failures, standing.rests_until) = (0, now.saturating_add(rest));
        }
        origin
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Failure, Zone};

    use super::*;

    #[tokio::test]
    async fn a_dead_zone_is_left_alone_and_asked_again_later() {
        let name = |text: &str| Some(text.parse().unwrap());
        let zones = Zones::new(name("asn.example"), name("asn6.example")).unwrap();
        let origins = Origins::new(zones, HealthPolicy::default());
        let dead = Zone::new().fail("7.2.0.192.asn.example", Failure::ServFail);
        let works = Zone::new().txt("7.2.0.192.asn.example", "64496 | 192.0.2.0/24");
        let [dead, works] = [dead, works].map(Resolver::from_zone);
        let client = "192.0.2.7".parse().unwrap();
        let number = Some(64496);
        for (resolver, at, expected) in [
            (&dead, 0, None),
            (&dead, 1, None),
            // One answer, and it begins anew.
            (&works, 2, number),
            (&dead, 3, None),
            (&dead, 4, None),
            (&dead, 5, None),
            (&works, 64, None),
            (&works, 65, number),
        ] {
            let origin = origins.ask_at(resolver, client, 1_800_000_000 + at).await;
            assert_eq!(origin.number(), expected, "{at}: {origin}");
            // The other family is not concerned.
            let other = "2001:db8::1".parse().unwrap();
            let other = origins.ask_at(resolver, other, 1_800_000_000 + at).await;
            assert_eq!(other, Origin::Unknown);
        }
    }
}
