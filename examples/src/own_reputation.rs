//! How our own addresses stand with those who take our mail, by what they answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use mail_syntax::Domain;
use screening::outbound::provider::{Provider, Providers};
use screening::outbound::reply_class;
use screening::outbound::reputation::{Outcome, Reputation, Standing};
use smtp_proto::Reply;

use crate::config::Outbound;
use crate::server::{Context, now};
use crate::store::{self, Store, StoreError};

static PROVIDERS: LazyLock<Providers> = LazyLock::new(Providers::examples);

/// The address that mail is sent from; where none is configured, one that stands for all of this machine.
fn source(outbound: &Outbound) -> IpAddr {
    outbound
        .source
        .unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into())
}

fn provider(domain: &Domain) -> Provider {
    PROVIDERS.provider(domain, None)
}

fn outcome(reply: &Reply) -> Outcome {
    let enhanced = reply.enhanced();
    Outcome::of(&reply_class::Reply {
        code: reply.code(),
        enhanced: enhanced.map(|status| {
            let class = u16::from(status.class());
            (class, status.subject(), status.detail())
        }),
        text: &reply.lines().join(" "),
    })
}

/// Counts what was answered to a message for this recipient. A smarthost has its own opinion, and not that of the recipient's provider.
pub(crate) async fn count(context: &Context, recipient: &str, reply: &Reply) {
    let domain = recipient.rsplit_once('@').map(|(_, domain)| domain.parse());
    let (Some(Ok(domain)), None) = (domain, &context.config.outbound.smarthost) else {
        return;
    };
    let (outcome, source) = (outcome(reply), source(&context.config.outbound));
    let counted = context.store(move |store| {
        let (reputation, now) = (reputation(store)?, now());
        store::screen(store, now, |memory| {
            reputation.record(memory, source, &provider(&domain), outcome, 1, now)
        })
    });
    if let Err(error) = counted.await {
        tracing::error!(%error, "an answer could not be counted");
    }
}

/// What was counted, over the keys of this store.
///
/// # Errors
///
/// A failure of the store.
pub fn reputation(store: &dyn Store) -> Result<Reputation, StoreError> {
    Ok(Reputation::new(crate::screen::keys(&store.secret()?)))
}

/// How the source address of the configuration stands with whoever takes the mail of a domain.
///
/// # Errors
///
/// A failure of the store.
pub fn standing(
    store: &dyn Store,
    outbound: &Outbound,
    domain: &Domain,
) -> Result<(Provider, Standing), StoreError> {
    let reputation = reputation(store)?;
    let (provider, now) = (provider(domain), now());
    let standing = store::screen(store, now, |memory| {
        reputation.standing(memory, source(outbound), &provider, &[], now)
    })?;
    Ok((provider, standing))
}
