//! On which lists our own addresses stand: others ask them about us, so we ask first.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use screening::dnsbl::{Dnsbl, HealthPolicy, Limits, List, ListHealth, Lists, ListsError};
use screening::outbound::reputation::{Level, Listing};
use tokio::time::Instant;

use crate::config::OwnList;
use crate::resolver::Resolver;
use crate::server::{Context, now};

/// How often they are asked: a list takes an address off within hours, not seconds.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long the answers of one list are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lists that are asked about our addresses.
#[derive(Debug)]
pub struct OwnListings {
    lists: Lists,
    /// What a listing means, in the order of the lists.
    levels: Vec<Level>,
    /// A list that lists everybody says nothing of us.
    health: ListHealth,
}

impl OwnListings {
    /// As configured.
    ///
    /// # Errors
    ///
    /// More lists than can be asked, or a zone that is too long.
    pub fn new(configured: &[OwnList]) -> Result<Self, ListsError> {
        let lists = configured.iter().map(|own| {
            let mut list = List::new(own.zone.clone(), 1);
            list.tested = own.tested;
            list
        });
        let lists = Lists::new(lists, i64::MAX, &Limits::default())?;
        Ok(Self {
            levels: configured.iter().map(|own| own.level.into()).collect(),
            health: ListHealth::new(&lists, HealthPolicy::default()),
            lists,
        })
    }

    /// Tests the lists that are due to be tested at a time in seconds since 1970 (RFC 5782 §5), then asks those that work which of them
    /// have an address.
    pub async fn ask(&mut self, resolver: &Resolver, address: IpAddr, now: u64) -> Vec<Listing> {
        for (list, test) in self.health.due(now) {
            let found = resolver.evaluate(test, Instant::now() + PATIENCE).await;
            if let Some(standing) = self.health.tested(&list, found, now) {
                tracing::info!(%list, %standing, "own addresses: a list was tested");
            }
        }
        let dnsbl = Dnsbl::with_health(address, &self.lists, &self.health);
        let verdict = resolver.evaluate(dnsbl, Instant::now() + PATIENCE).await;
        let rows = verdict.lists.iter().zip(&self.levels);
        let listed = rows.filter(|(row, _)| row.points > 0);
        let listings = listed.map(|(row, level)| Listing {
            list: row.list.zone.to_string().into(),
            level: *level,
        });
        listings.collect()
    }
}

/// Asks until the server stops.
pub(crate) async fn run(context: Arc<Context>) {
    let own = &context.own_addresses;
    let Ok(mut listings) = OwnListings::new(&context.config.outbound.lists) else {
        // The configuration was looked at before.
        return;
    };
    if context.config.outbound.lists.is_empty() {
        return;
    }
    let mut stopping = context.stopping.clone();
    loop {
        for address in own.addresses() {
            let found = listings.ask(&context.resolver, address, now()).await;
            if own.listed(address, &found) {
                let lists: Vec<&str> = found.iter().map(|listing| &*listing.list).collect();
                tracing::warn!(%address, ?lists, "own addresses: the lists that have it changed");
            }
        }
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
