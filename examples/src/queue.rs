//! The queue: what goes elsewhere, tried until it is taken or given up, and the bounces.

mod bounce;
mod exchanger;
mod shaping;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_syntax::{ForwardPath, Mailbox, ReversePath};
use screening::outbound::provider::Provider;
use screening::outbound::reputation::{Level, Outcome};
use screening::outbound::warm_up::{Decision, Held};
use smtp_proto::client::TlsPolicy;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::aggregate_reports::sending;
use crate::feedback;
use crate::outgoing::{Connection, Content, SendError, send};
use crate::own_reputation;
use crate::routing::{Route, routes};
use crate::server::{Context, now};
use crate::store::{Delivery, Leased, Outgoing, Settlement, StoreError};
use crate::tls::Trust;

pub use shaping::Shaping;

/// Entries that are delivered or wait for their turn. Where so many wait for one slow destination, all others wait too.
const ACTIVE: usize = 1000;
/// For how long, in seconds, a leased entry is not leased again. Its lease ends with the delivery, or with the server; no clock that jumps
/// while it is delivered may end it, or it would be sent twice.
const LEASE: u64 = 10 * 365 * 86400;

/// For how long a message waits for others to the same destination before it goes back into the queue.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// Delivers what is due until the server stops; what is being delivered then is tried again after the next start.
pub async fn run(context: Arc<Context>) {
    let mut stopping = context.stopping.clone();
    let filled = context.store.0.queue_filled();
    let mut deliveries = JoinSet::new();
    loop {
        let room = ACTIVE - deliveries.len();
        if room > 0 {
            let now = context.clock.now();
            let leased = context
                .store(move |store| store.lease(now, now + LEASE, room))
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
        while deliveries.try_join_next().is_some() {}
    }
    deliveries.shutdown().await;
}

async fn until_due(context: &Context) -> Duration {
    let due = context.store(|store| store.next_due()).await.ok().flatten();
    let wait = due.map_or(60, |due| due.saturating_sub(context.clock.now()));
    Duration::from_secs(wait.clamp(1, 60))
}

async fn attempt(context: &Context, entry: Leased) {
    let age = context.clock.now().saturating_sub(entry.outgoing.accepted);
    let is_late = age >= context.config.outbound.give_up;
    let settlement = match deliver(context, &entry).await {
        Ok(reply) => {
            remember(context, &entry, true).await;
            tracing::info!(id = entry.id, recipient = ?entry.outgoing.recipient, %reply, "sent");
            Settlement::Done
        }
        Err(error) => {
            let last = error.is_permanent() || is_late;
            match &error {
                DeliveryError::Held { at, why } if !last => {
                    tracing::info!(id = entry.id, recipient = ?entry.outgoing.recipient, at, %why, "held");
                }
                error => {
                    tracing::warn!(id = entry.id, recipient = ?entry.outgoing.recipient, %error, last, "not sent");
                }
            }
            if last {
                remember(context, &entry, false).await;
                match bounce::bounce(context, &entry, &error).await {
                    Ok(()) => Settlement::Done,
                    Err(error) => {
                        tracing::error!(%error, "a bounce could not be stored");
                        later(context, &entry, &error.to_string())
                    }
                }
            } else if let DeliveryError::Held { at, .. } = error {
                held(context, &entry, at, &error.to_string())
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
        at: context.clock.now() + wait,
        because: because.to_owned(),
    }
}

/// Its turn has not come: that is no attempt, but it does not wait beyond its time.
fn held(context: &Context, entry: &Leased, at: u64, because: &str) -> Settlement {
    let last = (entry.outgoing.accepted).saturating_add(context.config.outbound.give_up);
    Settlement::Held {
        at: at.min(last).max(context.clock.now() + 1),
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

/// Why a delivery failed, or was not tried.
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
    #[error("waits for its turn: {why}")]
    Held {
        /// Until when, in seconds since 1970.
        at: u64,
        why: String,
    },
}

impl DeliveryError {
    fn is_permanent(&self) -> bool {
        match self {
            Self::Send(error) => error.is_permanent(),
            Self::Route(error) => error.is_permanent(),
            Self::Address(_) => true,
            Self::Store(error) => matches!(error, StoreError::Missing(_)),
            Self::Held { .. } => false,
        }
    }

    /// What the other side said.
    const fn reply(&self) -> Option<&smtp_proto::Reply> {
        match self {
            Self::Send(error) => error.reply(),
            _ => None,
        }
    }
}

impl From<shaping::NotNow> for DeliveryError {
    fn from(not_now: shaping::NotNow) -> Self {
        Self::Held {
            at: not_now.at,
            why: not_now.because.to_string(),
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
    let targets = exchanger::targets(context, &recipient).await?;
    let provider = provider(context, &recipient).await;
    let patience = Instant::now() + PATIENCE;
    let (mut last, mut held) = (None, None::<(u64, String)>);
    for target in targets {
        if !context.own_addresses.reach(target.address) {
            continue;
        }
        // RFC 5321 §5.1 tries each exchanger in its order, and each address of it.
        let turn = context.shaping.connect(&context.clock, &provider, patience);
        let tried = match turn.await {
            Ok(slot) => deliver_to(context, entry, &sender, &recipient, slot, target).await,
            Err(not_now) => Err(not_now.into()),
        };
        match tried {
            Ok(reply) => return Ok(reply),
            Err(DeliveryError::Held { at, why }) => {
                if held.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
                    held = Some((at, why));
                }
            }
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(match (last, held) {
        // What was tried is an attempt, whatever was not.
        (Some(error), _) => error,
        (None, Some((at, why))) => DeliveryError::Held { at, why },
        (None, None) => exchanger::RouteError::NoAddress.into(),
    })
}

/// Whose opinion of us it is that the recipient's mail depends on.
async fn provider(context: &Context, recipient: &Mailbox) -> Provider {
    let domain = match &context.config.outbound.smarthost {
        Some(smarthost) => smarthost.parse().ok(),
        None => recipient.domain().cloned(),
    };
    match domain {
        Some(domain) => {
            context
                .own_addresses
                .provider(&context.resolver, &domain)
                .await
        }
        // Address literals.
        None => Provider::others(),
    }
}

/// One message to one host, if the host may have it now, by the address of ours whose turn it is.
async fn deliver_to(
    context: &Context,
    entry: &Leased,
    sender: &ReversePath,
    recipient: &Mailbox,
    slot: shaping::Slot<'_>,
    target: exchanger::Target,
) -> Result<smtp_proto::Reply, DeliveryError> {
    let provider = slot.provider();
    let source = take(context, entry, provider, target.address).await?;
    let turn = slot.message();
    if turn.is_err() {
        give_back(context, source, provider).await;
    }
    turn?;
    let hello = context
        .config
        .hostname
        .parse()
        .map(mail_syntax::Host::Domain)
        .map_err(|_| DeliveryError::Address("hostname".to_owned()))?;
    let leased = entry.clone();
    let message = context.store(move |store| store.queued(&leased)).await?;
    let connection = Connection {
        address: target.address,
        host: target.host,
        hello,
        // Better read by nobody on the way than by anybody; a server without TLS gets its mail too (RFC 7435).
        tls: TlsPolicy::Opportunistic,
        trust: Trust::Anyone,
        source: own_reputation::local(source),
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
    let reply = match &sent {
        Ok(reply) => Some(reply),
        Err(error) => error.reply(),
    };
    if let Some(reply) = reply {
        slot.reply(reply);
        record(context, source, provider, reply).await;
    }
    if sent.is_ok() {
        remember_sent(context, entry, source, provider).await;
    }
    match &sent {
        Err(SendError::Connect { .. }) => {
            slot.failed();
            give_back(context, source, provider).await;
        }
        // It was lost; whether the message counts for the provider nobody knows.
        Err(SendError::Session(_) | SendError::Closed) if reply.is_none() => slot.failed(),
        _ => drop(slot),
    }
    Ok(sent?)
}

/// By which of our addresses the message leaves; its quota is spent.
async fn take(
    context: &Context,
    entry: &Leased,
    provider: &Provider,
    target: SocketAddr,
) -> Result<IpAddr, DeliveryError> {
    let own = Arc::clone(&context.own_addresses);
    let (of, now) = (provider.clone(), context.clock.now());
    let decision = context.store(move |store| own.take(store, &of, target, now));
    let reasons = |because: Vec<(IpAddr, Held)>| {
        let because = because.iter();
        let because = because.map(|(address, held)| format!("{address}: {held}"));
        because.collect::<Vec<_>>().join("; ")
    };
    let id = entry.id;
    match decision.await? {
        Decision::Send { address, .. } => {
            tracing::debug!(id, %provider, %address, "queue: within the quota");
            Ok(address)
        }
        Decision::Overflow {
            address,
            standing,
            because,
            ..
        } => {
            if standing.level > Level::Good {
                tracing::warn!(id, %provider, %address, %standing, "queue: our address stands badly");
            }
            if !because.is_empty() {
                let because = reasons(because);
                tracing::info!(id, %provider, %address, %because, "queue: by a warm address");
            }
            Ok(address)
        }
        Decision::Later { at, because } => {
            let why = match because.is_empty() {
                true => "the warm-up has not begun".to_owned(),
                false => reasons(because),
            };
            Err(DeliveryError::Held { at, why })
        }
        // There is no other decision yet.
        other => Err(DeliveryError::Held {
            at: now + 3600,
            why: format!("{other:?}"),
        }),
    }
}

async fn give_back(context: &Context, source: IpAddr, provider: &Provider) {
    let own = Arc::clone(&context.own_addresses);
    let (provider, now) = (provider.clone(), context.clock.now());
    let given = context.store(move |store| own.give_back(store, source, &provider, now));
    if let Err(error) = given.await {
        tracing::error!(%error, "a quota cannot be written");
    }
}

/// A complaint about the message will be known as one.
async fn remember_sent(context: &Context, entry: &Leased, source: IpAddr, provider: &Provider) {
    let Some(id) = feedback::id_of(&entry.outgoing.added) else {
        return;
    };
    let own = Arc::clone(&context.own_addresses);
    let (provider, now) = (provider.clone(), context.clock.now());
    let remembered = context.store(move |store| own.sent(store, &id, &provider, source, now));
    if let Err(error) = remembered.await {
        tracing::error!(%error, "what was sent cannot be remembered");
    }
}

async fn record(context: &Context, source: IpAddr, provider: &Provider, reply: &smtp_proto::Reply) {
    let own = Arc::clone(&context.own_addresses);
    let (provider, now) = (provider.clone(), context.clock.now());
    let outcome = own_reputation::classified(reply, Outcome::of);
    let counted = context.store(move |store| own.record(store, source, &provider, outcome, now));
    if let Err(error) = counted.await {
        tracing::error!(%error, "an answer could not be counted");
    }
}
