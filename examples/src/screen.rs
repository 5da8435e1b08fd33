//! What is asked of strangers: block lists when they connect, greylisting for each recipient.

use std::net::IpAddr;
use std::time::Duration;

use mail_dns::resolve;
use screening::Network;
use screening::dnsbl::{Dnsbl, List, Lists};
use screening::greylisting::{Attempt, Decision, Greylist};
use screening::store::Keys;

use crate::config::Inbound;
use crate::server::{Context, now};
use crate::store::{self, StoreError};

/// How strangers are screened.
#[derive(Debug)]
pub struct Screen {
    lists: Option<Lists>,
    greylist: Option<Greylist>,
    exempt: Vec<Network>,
}

/// Why a list or a network of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScreenError(String);

/// Block lists must all have answered within this time.
const PATIENCE: Duration = Duration::from_secs(3);

impl Screen {
    /// As configured; `secret` is the store's, of which the keys of what is remembered are made.
    ///
    /// # Errors
    ///
    /// A name or a network that is none.
    pub fn new(inbound: &Inbound, secret: &[u8; 32]) -> Result<Self, ScreenError> {
        let failed =
            |text: &str, error: &dyn std::fmt::Display| ScreenError(format!("{text}: {error}"));
        let exempt: Vec<Network> = inbound
            .exempt
            .iter()
            .map(|text| text.parse().map_err(|error| failed(text, &error)))
            .collect::<Result<_, _>>()?;
        let lists = inbound
            .dnsbl
            .iter()
            .map(|text| {
                Ok(List::new(
                    text.parse().map_err(|error| failed(text, &error))?,
                    1,
                ))
            })
            .collect::<Result<Vec<_>, ScreenError>>()?;
        let lists = match lists.is_empty() {
            true => None,
            false => Some(
                Lists::new(lists, 1, &screening::dnsbl::Limits::default())
                    .map_err(|error| failed("dnsbl", &error))?,
            ),
        };
        let greylist = inbound.greylisting.then(|| {
            let mut greylist = Greylist::new(keys(secret));
            greylist.policy.delay = Duration::from_secs(inbound.greylisting_delay);
            greylist.exempt.clone_from(&exempt);
            greylist
        });
        Ok(Self {
            lists,
            greylist,
            exempt,
        })
    }

    /// The block list that a client stands in, if there are enough of them.
    pub async fn blocked(&self, context: &Context, client: IpAddr) -> Option<String> {
        let lists = self.lists.as_ref()?;
        if self.exempt.iter().any(|network| network.contains(client)) {
            return None;
        }
        let ask = |question| async move { context.resolver.ask(&question).await };
        let verdict = resolve(Dnsbl::new(client, lists), ask, tokio::time::sleep(PATIENCE)).await;
        tracing::debug!(%client, score = verdict.score, "dnsbl");
        verdict.over_threshold.then(|| {
            let listed = verdict.listed().next();
            listed.map_or_else(String::new, |row| row.list.zone.to_string())
        })
    }

    /// How long this sender is to wait before it may come again with mail for this recipient; `None`: not at all.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn delay(
        &self,
        context: &Context,
        client: IpAddr,
        sender: &str,
        recipient: &str,
    ) -> Result<Option<Duration>, StoreError> {
        let Some(greylist) = self.greylist.clone() else {
            return Ok(None);
        };
        let (sender, recipient) = (sender.to_owned(), recipient.to_owned());
        let decision = context
            .store(move |store| {
                let attempt = Attempt::new(client, &sender, &recipient);
                let now = now();
                store::screen(store, now, |memory| greylist.check(memory, &attempt, now))
            })
            .await?;
        tracing::debug!(%client, %decision, "greylisting");
        Ok(match decision {
            Decision::Pass(_) => None,
            Decision::Delay { retry_after, .. } => Some(retry_after),
        })
    }
}

/// Made of a secret that lives as long as the store; other uses of it make other keys.
fn keys(secret: &[u8; 32]) -> Keys {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, b"screening");
    Keys::new(tag.as_ref().first_chunk().copied().unwrap_or_default())
}
