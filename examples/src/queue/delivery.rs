//! One message's way out: the hosts that may take it, one after the other, each by a connection that the destination has room for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_syntax::{ForwardPath, Mailbox, ReversePath};
use screening::outbound::provider::Provider;
use screening::outbound::reputation::{Level, Outcome};
use screening::outbound::suppression::Suppressed;
use screening::outbound::warm_up::{Decision, Held};
use smtp_proto::Reply;
use smtp_proto::client::{Envelope, Recipient};
use tokio::time::Instant;

use super::carrier::Carrier;
use super::exchanger::{self, Target};
use super::shaping;
use crate::outgoing::{Connection, Content, SendError};
use crate::own_reputation::{self, classified};
use crate::server::Context;
use crate::store::{Leased, Outgoing, StoreError};
use crate::tls::Trust;

/// For how long a message waits for others to the same destination before it goes back into the queue.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// What took a message.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) reply: Reply,
    pub(super) provider: Provider,
    /// The address of ours that it left by.
    pub(super) source: IpAddr,
    /// How many messages the connection had carried before.
    pub(super) carried: u32,
    /// To which host it went.
    pub(super) host: String,
    /// Whether that host tells the sender what he wants to be told.
    pub(super) has_dsn: bool,
}

/// Why a delivery failed, or was not tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("{error}")]
    Send {
        /// To which host.
        host: String,
        error: SendError,
    },
    #[error(transparent)]
    Route(#[from] exchanger::RouteError),
    #[error("the address cannot be sent to: {0}")]
    Address(String),
    #[error("{0}")]
    Suppressed(Suppressed),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("waits for its turn: {why}")]
    Held {
        /// Until when, in seconds since 1970.
        at: u64,
        why: String,
    },
    /// The message was not begun.
    #[error("the server stops")]
    Stopping,
}

impl DeliveryError {
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::Send { error, .. } => error.is_permanent(),
            Self::Route(error) => error.is_permanent(),
            Self::Address(_) | Self::Suppressed(_) => true,
            Self::Store(error) => matches!(error, StoreError::Missing(_)),
            Self::Held { .. } | Self::Stopping => false,
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

/// Sends a message to the first host that takes or refuses it.
///
/// Until a host is connected to, it ends when the server stops; then it goes on until the host has answered, so that no message that was
/// taken is sent again.
pub(super) async fn deliver(context: &Arc<Context>, entry: &Leased) -> Result<Sent, DeliveryError> {
    let address = |text: &str| {
        Mailbox::parse_utf8(text)
            .map_err(|error| DeliveryError::Address(format!("{text}: {error}")))
    };
    let recipient = address(&entry.outgoing.recipient)?;
    let sender = match entry.outgoing.sender.as_str() {
        "" => ReversePath::Null,
        sender => ReversePath::Mailbox(address(sender)?),
    };
    if let Some(suppressed) = suppressed(context, entry).await? {
        return Err(DeliveryError::Suppressed(suppressed));
    }
    let targets = unless_stopping(context, exchanger::targets(context, &recipient)).await??;
    let provider = unless_stopping(context, provider(context, &recipient)).await?;
    let patience = Instant::now() + PATIENCE;
    let (mut last, mut held) = (None, None::<(u64, String)>);
    for target in targets {
        if !context.own_addresses.reach(target.address) {
            continue;
        }
        // RFC 5321 §5.1 tries each exchanger in its order, and each address of it.
        let turn = shaping::connect(context, &provider, &target, patience);
        let tried = match unless_stopping(context, turn).await? {
            Ok(mut carrier) => {
                let sent = deliver_by(context, entry, &sender, &recipient, &mut carrier).await;
                carrier.pass_on_or_close();
                sent
            }
            Err(not_now) => Err(not_now.into()),
        };
        match tried {
            Ok(sent) => return Ok(sent),
            Err(DeliveryError::Held { at, why }) => {
                if held.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
                    held = Some((at, why));
                }
            }
            Err(DeliveryError::Stopping) => return Err(DeliveryError::Stopping),
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(match (last, held) {
        // What was tried is an attempt, whatever was not.
        (Some(error), _) => error,
        (None, Some((at, why))) => DeliveryError::Held { at, why },
        (None, None) => exchanger::RouteError::NoRoute.into(),
    })
}

async fn unless_stopping<T>(
    context: &Context,
    wait: impl Future<Output = T>,
) -> Result<T, DeliveryError> {
    let mut stopping = context.stopping.clone();
    tokio::select! {
        done = wait => Ok(done),
        _ = stopping.wait_for(|stopping| *stopping) => Err(DeliveryError::Stopping),
    }
}

async fn suppressed(context: &Context, entry: &Leased) -> Result<Option<Suppressed>, StoreError> {
    let (list, now) = (Arc::clone(&context.suppression), context.clock.now());
    let (sender, recipient) = (
        entry.outgoing.sender.clone(),
        entry.outgoing.recipient.clone(),
    );
    context
        .store(move |store| list.check(store, &sender, &recipient, now))
        .await
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
///
/// A connection that has carried messages before may have been closed by the host meanwhile: if it has answered nothing of this one, that
/// goes by a new connection at once, and no attempt is counted.
async fn deliver_by(
    context: &Context,
    entry: &Leased,
    sender: &ReversePath,
    recipient: &Mailbox,
    carrier: &mut Carrier,
) -> Result<Sent, DeliveryError> {
    let provider = carrier.provider().clone();
    // Others to the same address may have come back while it stood in the line.
    if let Some(suppressed) = suppressed(context, entry).await? {
        return Err(DeliveryError::Suppressed(suppressed));
    }
    loop {
        let source = take(context, entry, &provider, carrier.target().address).await?;
        if let Err(not_now) = carrier.message(source) {
            give_back(context, source, &provider).await;
            return Err(not_now.into());
        }
        let leased = entry.clone();
        let message = context.store(move |store| store.queued(&leased)).await?;
        let connection = connection(context, carrier.target(), source)?;
        let connected = unless_stopping(context, carrier.connection(source, connection)).await;
        let (mut has_dsn, mut knew_recipient) = (false, false);
        let (sent, carried, was_begun) = match connected {
            Ok(Ok((open, carried))) => {
                has_dsn = open.offers_dsn();
                let envelope = envelope(&entry.outgoing, sender, recipient, has_dsn);
                let content = Content::Stored(Box::new(message));
                let sent = open.send(envelope, content).await;
                knew_recipient = open.knew_recipients();
                (sent, carried, open.was_begun())
            }
            Ok(Err(error)) => (Err(error), 0, false),
            Err(stopping) => {
                give_back(context, source, &provider).await;
                return Err(stopping);
            }
        };
        let sent = sent.and_then(|replies| match replies.into_iter().next() {
            Some(reply) if reply.is_positive() => Ok(reply),
            Some(reply) => Err(SendError::Refused(reply)),
            None => Err(SendError::Closed),
        });
        let reply = match &sent {
            Ok(reply) => Some(reply),
            Err(error) => error.reply(),
        };
        let is_lost = matches!(sent, Err(SendError::Session(_) | SendError::Closed));
        // It has carried others, and the host has answered nothing of this one.
        let is_worn = is_lost && carried > 0 && !was_begun;
        if let Some(reply) = reply {
            let is_about_us = classified(reply, |reply| reply.class().is_about_us());
            // One who says that we were idle for too long, or that he shuts down, does not ask for less.
            if is_about_us || !is_worn {
                carrier.reply(reply);
            }
            record(context, source, &provider, reply).await;
            // Hosts that verify senders have the same words for them.
            if !reply.is_positive() && knew_recipient {
                // Before the next one to the same address has its turn.
                super::remember_answer(context, entry, reply).await;
            }
        }
        match &sent {
            Err(error) if is_worn => {
                tracing::info!(id = entry.id, %provider, carried, %error, "queue: the connection takes no further message");
                carrier.close();
                give_back(context, source, &provider).await;
                continue;
            }
            Err(error @ SendError::Connect { .. }) => {
                carrier.failed(&error.to_string());
                give_back(context, source, &provider).await;
            }
            // It was lost; whether the message counts for the provider nobody knows.
            Err(error) if is_lost && reply.is_none() => carrier.failed(&error.to_string()),
            _ => {}
        }
        let host = carrier.target().host.clone();
        return match sent {
            Ok(reply) => Ok(Sent {
                reply,
                provider,
                source,
                carried,
                host,
                has_dsn,
            }),
            Err(error) => Err(DeliveryError::Send { host, error }),
        };
    }
}

/// RFC 3461 §5.2.1 and §5.2.2: what the sender wants to be told is passed on as it came to a host that offers DSN, and to no other.
fn envelope(
    outgoing: &Outgoing,
    sender: &ReversePath,
    recipient: &Mailbox,
    has_dsn: bool,
) -> Envelope {
    let mut to = Recipient::from(ForwardPath::Mailbox(recipient.clone()));
    let dsn = outgoing.dsn.clone();
    if has_dsn {
        (to.parameters.notify, to.parameters.orcpt) = (dsn.notify, dsn.orcpt);
    }
    let mut envelope = Envelope::new(sender.clone(), [to]);
    if has_dsn {
        (envelope.parameters.ret, envelope.parameters.envid) = (dsn.ret, dsn.envid);
    }
    envelope.parameters.smtputf8 = outgoing.smtputf8;
    envelope
}

fn connection(
    context: &Context,
    target: &Target,
    source: IpAddr,
) -> Result<Connection, DeliveryError> {
    let hello = (context.config.hostname.parse())
        .map(mail_syntax::Host::Domain)
        .map_err(|_| DeliveryError::Address("hostname".to_owned()))?;
    Ok(Connection {
        address: target.address,
        host: target.host.clone(),
        hello,
        tls: target.tls,
        trust: Trust::Anyone,
        source: own_reputation::local(source),
        credentials: None,
    })
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

async fn record(context: &Context, source: IpAddr, provider: &Provider, reply: &smtp_proto::Reply) {
    let own = Arc::clone(&context.own_addresses);
    let (provider, now) = (provider.clone(), context.clock.now());
    let outcome = own_reputation::classified(reply, Outcome::of);
    let counted = context.store(move |store| own.record(store, source, &provider, outcome, now));
    if let Err(error) = counted.await {
        tracing::error!(%error, "an answer could not be counted");
    }
}
