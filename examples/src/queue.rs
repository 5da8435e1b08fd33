//! The queue: what goes elsewhere, tried until it is taken or given up, and the bounces.

mod bounce;
mod exchanger;

use std::sync::Arc;
use std::time::Duration;

use mail_syntax::{ForwardPath, Mailbox, ReversePath};
use smtp_proto::client::TlsPolicy;
use tokio::task::JoinSet;

use crate::aggregate_reports::sending;
use crate::outgoing::{Connection, Content, SendError, send};
use crate::own_reputation;
use crate::routing::{Route, routes};
use crate::server::{Context, now};
use crate::store::{Delivery, Leased, Outgoing, Settlement, StoreError};
use crate::tls::Trust;

/// Deliveries at once.
const AT_ONCE: usize = 20;
/// An entry that a server has leased is not touched by others for this long, in seconds: longer than any delivery takes.
const LEASE: u64 = 3600;

/// Delivers what is due until the server stops; what is being delivered then is tried again after the next start.
pub async fn run(context: Arc<Context>) {
    let mut stopping = context.stopping.clone();
    let filled = context.store.0.queue_filled();
    let mut deliveries = JoinSet::new();
    loop {
        let room = AT_ONCE - deliveries.len();
        if room > 0 {
            let leased = context
                .store(move |store| store.lease(now(), now() + LEASE, room))
                .await;
            match leased {
                Ok(leased) => {
                    for entry in leased {
                        let context = Arc::clone(&context);
                        deliveries.spawn(async move { attempt(&context, entry).await });
                    }
                }
                Err(error) => tracing::error!(%error, "the queue cannot be read"),
            }
        }
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            () = filled.notified() => {}
            () = tokio::time::sleep(until_due(&context).await) => {}
            Some(_) = deliveries.join_next(), if !deliveries.is_empty() => {}
        }
    }
    deliveries.shutdown().await;
}

async fn until_due(context: &Context) -> Duration {
    let due = context.store(|store| store.next_due()).await.ok().flatten();
    let wait = due.map_or(60, |due| due.saturating_sub(now()));
    Duration::from_secs(wait.clamp(1, 60))
}

async fn attempt(context: &Context, entry: Leased) {
    let delivered = deliver(context, &entry).await;
    let reply = match &delivered {
        Ok(reply) => Some(reply),
        Err(error) => error.reply(),
    };
    if let Some(reply) = reply {
        own_reputation::count(context, &entry.outgoing.recipient, reply).await;
    }
    let settlement = match delivered {
        Ok(reply) => {
            remember(context, &entry, true).await;
            tracing::info!(id = entry.id, recipient = ?entry.outgoing.recipient, %reply, "sent");
            Settlement::Done
        }
        Err(error) => {
            let age = now().saturating_sub(entry.outgoing.accepted);
            let last = error.is_permanent() || age >= context.config.outbound.give_up;
            tracing::warn!(id = entry.id, recipient = ?entry.outgoing.recipient, %error, last, "not sent");
            if last {
                remember(context, &entry, false).await;
                match bounce::bounce(context, &entry, &error).await {
                    Ok(()) => Settlement::Done,
                    Err(error) => {
                        tracing::error!(%error, "a bounce could not be stored");
                        later(context, &entry, &error.to_string())
                    }
                }
            } else {
                later(context, &entry, &error.to_string())
            }
        }
    };
    let id = entry.id;
    if let Err(error) = context
        .store(move |store| store.settle(id, &settlement))
        .await
    {
        tracing::error!(%error, id, "the queue cannot be written");
    }
}

/// Tells those who send reports how mail of the server's own fared.
async fn remember(context: &Context, entry: &Leased, was_taken: bool) {
    let (sender, to) = (&entry.outgoing.sender, &entry.outgoing.recipient);
    if !sender.is_empty() {
        return;
    }
    let remembered = match was_taken {
        true => sending::delivered(context, now(), to).await,
        false => sending::bounced(context, now(), to).await,
    };
    if let Err(error) = remembered {
        tracing::error!(%error, to, "how a report fared cannot be written");
    }
}

fn later(context: &Context, entry: &Leased, because: &str) -> Settlement {
    let waits = &context.config.outbound.retry;
    let attempts = usize::try_from(entry.attempts).unwrap_or(usize::MAX);
    let wait = waits
        .get(attempts)
        .or_else(|| waits.last())
        .copied()
        .unwrap_or(3600);
    Settlement::Retry {
        at: now() + wait,
        because: because.to_owned(),
    }
}

/// Sends a message that the server wrote itself: from the null reverse-path, so that nothing ever comes back for it.
///
/// `signatures` are put on top of it. To an address here it goes into the mailbox at once.
///
/// # Errors
///
/// Nothing was stored then.
pub async fn post(
    context: &Context,
    to: &str,
    signatures: String,
    message: &[u8],
    smtputf8: bool,
) -> Result<(), StoreError> {
    let targets = routes(context, to).await?;
    let mut spool = context.store(|store| store.spool()).await?;
    spool.write(message)?;
    let accepted = now();
    context
        .store(move |store| {
            let (mut deliveries, mut outgoing) = (Vec::new(), Vec::new());
            for target in targets {
                match target {
                    Route::Local(account) => deliveries.push(Delivery {
                        mailbox: store
                            .mailbox(account, "INBOX")?
                            .ok_or(StoreError::Missing("INBOX"))?
                            .id,
                        added: format!("Return-Path: <>\r\n{signatures}").into_bytes(),
                        flags: Vec::new(),
                        internal_date: accepted,
                    }),
                    Route::Remote(recipient) => outgoing.push(Outgoing {
                        sender: String::new(),
                        recipient,
                        added: signatures.clone().into_bytes(),
                        smtputf8,
                        accepted,
                    }),
                }
            }
            store.commit(spool, &deliveries, &outgoing).map(drop)
        })
        .await
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Route(#[from] exchanger::RouteError),
    #[error("the address cannot be sent to: {0}")]
    Address(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeliveryError {
    fn is_permanent(&self) -> bool {
        match self {
            Self::Send(error) => error.is_permanent(),
            Self::Route(error) => error.is_permanent(),
            Self::Address(_) => true,
            Self::Store(error) => matches!(error, StoreError::Missing(_)),
        }
    }

    /// What the other side said.
    fn reply(&self) -> Option<&smtp_proto::Reply> {
        match self {
            Self::Send(SendError::Refused(reply)) => Some(reply),
            _ => None,
        }
    }
}

async fn deliver(context: &Context, entry: &Leased) -> Result<smtp_proto::Reply, DeliveryError> {
    let address = |text: &str| {
        Mailbox::parse_utf8(text)
            .map_err(|error| DeliveryError::Address(format!("{text}: {error}")))
    };
    let recipient = address(&entry.outgoing.recipient)?;
    let sender = match entry.outgoing.sender.as_str() {
        "" => ReversePath::Null,
        sender => ReversePath::Mailbox(address(sender)?),
    };
    let hello = context
        .config
        .hostname
        .parse()
        .map(mail_syntax::Host::Domain)
        .map_err(|_| DeliveryError::Address("hostname".to_owned()))?;
    let mut last = None;
    for target in exchanger::targets(context, &recipient).await? {
        // RFC 5321 §5.1 tries each exchanger in its order, and each address of it.
        let leased = entry.clone();
        let message = context.store(move |store| store.queued(&leased)).await?;
        let connection = Connection {
            address: target.address,
            host: target.host,
            hello: mail_syntax::Host::clone(&hello),
            // Better read by nobody on the way than by anybody; a server without TLS gets its mail too (RFC 7435).
            tls: TlsPolicy::Opportunistic,
            trust: Trust::Anyone,
            source: context.config.outbound.source,
            credentials: None,
        };
        let sent = send(
            connection,
            sender.clone(),
            vec![ForwardPath::Mailbox(recipient.clone())],
            entry.outgoing.smtputf8,
            Content::Stored(Box::new(message)),
        )
        .await
        .and_then(|replies| match replies.into_iter().next() {
            Some(reply) if reply.is_positive() => Ok(reply),
            Some(reply) => Err(SendError::Refused(reply)),
            None => Err(SendError::Closed),
        });
        match sent {
            Ok(reply) => return Ok(reply),
            Err(error) if error.is_permanent() => return Err(error.into()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| exchanger::RouteError::NoAddress.into(), Into::into))
}
