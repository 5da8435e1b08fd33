//! Who is connected, and how many more may be: by address and the networks around it, in a minute and at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use screening::Network;
use screening::rate_limit::{Decision, Quota, RateLimit, Subject};
use screening::store::{Keys, Kind, MemoryStore};

use crate::config::Limits;

/// Who connects: strangers to port 25, users to all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// They cannot take the places that are reserved for users.
    Stranger,
    /// Users have many connections behind one address, and IMAP keeps them open.
    User,
}

/// Networks of which the connections of the last minutes are remembered; about 75 octets each.
const REMEMBERED: usize = 50_000;

/// Who is connected.
#[derive(Debug)]
pub struct Connections {
    open: Mutex<Open>,
    rate_limit: RateLimit,
}

#[derive(Debug)]
struct Open {
    total: usize,
    strangers: usize,
    /// As many networks at most as there are connections and prefixes.
    networks: HashMap<(Who, Network), usize>,
    recent: MemoryStore,
}

/// The place of a connection, given back when dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    who: Who,
    networks: Vec<Network>,
}

impl Connections {
    /// Nobody yet; `keys` under which networks are remembered.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            open: Mutex::new(Open {
                total: 0,
                strangers: 0,
                networks: HashMap::new(),
                recent: MemoryStore::new(1).with_capacity_of(Kind::Rate, REMEMBERED),
            }),
            rate_limit: RateLimit::new(keys),
        }
    }

    /// A place for a connection from this address at a time in seconds since 1970, or the reason why there is none. Without an address, as
    /// behind a load balancer, only the places in all are counted.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn enter(
        self: &Arc<Self>,
        who: Who,
        address: Option<IpAddr>,
        limits: &Limits,
        now: u64,
    ) -> Result<Place, String> {
        let networks = address.map_or_else(Vec::new, |address| networks(address, limits));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = |factor: u32| {
            let count = limits.new_connections_per_minute.saturating_mul(factor);
            Quota::new(count, Duration::from_secs(60))
        };
        let wanted: Vec<_> = (networks.iter().zip(factors()))
            .map(|(network, factor)| (Subject::Network(*network), quota(factor)))
            .collect();
        let Ok(new) = self.rate_limit.check(&mut open.recent, &wanted, 1, now);
        if let Decision::Limited(limited) = new {
            return Err(format!("too many connections: {limited}"));
        }
        let for_strangers = limits.connections.saturating_sub(limits.reserved_for_users);
        if open.total >= limits.connections
            || who == Who::Stranger && open.strangers >= for_strangers
        {
            return Err("too many connections in all".to_owned());
        }
        let most = match who {
            Who::Stranger => limits.connections_per_address,
            Who::User => limits.user_connections_per_address,
        };
        for (network, factor) in networks.iter().zip(factors()) {
            let count = open.networks.get(&(who, *network)).copied().unwrap_or(0);
            if count >= most.saturating_mul(factor as usize) {
                return Err(format!("{count} connections from {network}"));
            }
        }
        for network in &networks {
            *open.networks.entry((who, *network)).or_insert(0) += 1;
        }
        open.total += 1;
        open.strangers += usize::from(who == Who::Stranger);
        Ok(Place {
            connections: Arc::clone(self),
            who,
            networks,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = &self.connections.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        open.strangers -= usize::from(self.who == Who::Stranger);
        for network in &self.networks {
            let key = (self.who, *network);
            if let Some(count) = open.networks.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    open.networks.remove(&key);
                }
            }
        }
    }
}

/// The address and the networks around it; none of an exempt one.
fn networks(address: IpAddr, limits: &Limits) -> Vec<Network> {
    let address = address.to_canonical();
    let mut exempt = limits.exempt.iter();
    if exempt.any(|network| network.contains(address)) {
        return Vec::new();
    }
    let prefixes = match address {
        IpAddr::V4(_) => &limits.ipv4_prefixes,
        IpAddr::V6(_) => &limits.ipv6_prefixes,
    };
    let prefixes = prefixes.iter();
    prefixes
        .map(|prefix| Network::new(address, *prefix))
        .collect()
}

/// What each prefix may have, as a multiple of what the first may.
fn factors() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1_u32), |factor| Some(factor.saturating_mul(3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn limits() -> Limits {
        Limits {
            connections: 1_000,
            reserved_for_users: 100,
            connections_per_address: 2,
            user_connections_per_address: 4,
            new_connections_per_minute: 1_000_000,
            ..Limits::default()
        }
    }

    /// How many of these addresses get a place while all stay.
    fn places(who: Who, addresses: impl Iterator<Item = String>, limits: &Limits) -> usize {
        let connections = Arc::new(Connections::new(Keys::new([1; 16])));
        let enter = |address: String| {
            let address = Some(address.parse().unwrap());
            connections.enter(who, address, limits, NOW).ok()
        };
        let places: Vec<_> = addresses.filter_map(enter).collect();
        let count = places.len();
        drop(places);
        let open = connections.open.lock().unwrap();
        assert_eq!((open.total, open.strangers, open.networks.len()), (0, 0, 0));
        count
    }

    #[test]
    fn each_wider_network_has_three_times_as_much() {
        let limits = limits();
        let all = |name: fn(u32) -> String, most: usize| {
            let found = places(Who::Stranger, (0..900).map(name), &limits);
            assert_eq!(found, most, "{}", name(1));
        };
        all(|_| "192.0.2.1".to_owned(), 2);
        all(|number| format!("192.0.2.{}", number % 256), 6);
        all(|number| format!("2001:db8::{number:x}"), 2);
        all(|number| format!("2001:db8:0:{number:x}::1"), 6);
        all(|number| format!("2001:db8:{number:x}::1"), 18);
        all(|_| "127.0.0.1".to_owned(), 900);
        let office = (0..9).map(|_| "192.0.2.1".to_owned());
        assert_eq!(places(Who::User, office, &limits), 4);
    }

    #[test]
    fn strangers_leave_places_for_users() {
        let limits = limits();
        let connections = Arc::new(Connections::new(Keys::new([1; 16])));
        let mut places = Vec::new();
        for number in 0..2_000_u32 {
            let address = Some(std::net::Ipv4Addr::from(number << 12).into());
            places.extend(connections.enter(Who::Stranger, address, &limits, NOW));
        }
        assert_eq!(places.len(), 900);
        let user = Some([198, 51, 100, 7].into());
        assert!(connections.enter(Who::User, user, &limits, NOW).is_ok());
        // Whose address is not known yet takes a place too.
        let unknown = connections.enter(Who::Stranger, None, &limits, NOW);
        assert!(unknown.is_err());
        places.pop();
        assert!(connections.enter(Who::Stranger, None, &limits, NOW).is_ok());
    }

    #[test]
    fn new_connections_in_a_minute_are_bounded() {
        let mut limits = limits();
        limits.new_connections_per_minute = 3;
        let connections = Arc::new(Connections::new(Keys::new([1; 16])));
        let come = |host: u8, now| {
            let address = Some([192, 0, 2, host].into());
            connections
                .enter(Who::Stranger, address, &limits, now)
                .is_ok()
        };
        // Each goes at once.
        assert_eq!((0..20).filter(|_| come(1, NOW)).count(), 3);
        assert_eq!((0..20).filter(|_| come(2, NOW)).count(), 3);
        assert_eq!((3..20).filter(|host| come(*host, NOW)).count(), 3);
        assert!(!come(1, NOW + 6));
        assert!(come(1, NOW + 20));
    }
}
