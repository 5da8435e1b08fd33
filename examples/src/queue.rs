//! The queue: what goes elsewhere, tried until it is taken or given up, and the bounces.

mod carrier;
mod delivery;
mod exchanger;
mod notices;
mod shaping;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use self::delivery::{DeliveryError, Sent};
use crate::aggregate_reports::sending;
use crate::feedback;
use crate::routing::{Route, routes};
use crate::server::{Context, now};
use crate::store::{Delivery, Dsn, Leased, Outgoing, Settlement, StoreError};

pub(crate) use notices::{HEADER, Success, Way, succeeded};
pub use shaping::Shaping;

/// Entries that are delivered or wait for their turn. Where so many wait for one slow destination, all others wait too.
const ACTIVE: usize = 1000;
/// For how long, in seconds, a leased entry is not leased again. Its lease ends with the delivery, or with the server; no clock that jumps
/// while it is delivered may end it, or it would be sent twice.
const LEASE: u64 = 10 * 365 * 86400;

/// For how long a message that is being sent may go on when the server stops.
const STOPPING: Duration = Duration::from_secs(8);

/// Delivers what is due until the server stops; what is being delivered then is tried again after the next start.
pub async fn run(context: Arc<Context>) {
    let mut stopping = context.stopping.clone();
    let filled = context.store.0.queue_filled();
    let mut deliveries = JoinSet::new();
    // Those that were not begun when it stops.
    let mut left = Vec::new();
    // At the start nobody knows what the clock has said before.
    let mut last = u64::MAX;
    loop {
        let now = context.clock.now();
        if now < last {
            bring_back(&context, now).await;
        }
        last = now;
        let room = ACTIVE - deliveries.len();
        if room > 0 {
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
            Some(ended) = deliveries.join_next(), if !deliveries.is_empty() => left.extend(ended.ok().flatten()),
        }
        while let Some(ended) = deliveries.try_join_next() {
            left.extend(ended.ok().flatten());
        }
    }
    // What a host is taking now is not sent again if its answer is waited for.
    let answered = async {
        while let Some(ended) = deliveries.join_next().await {
            left.extend(ended.ok().flatten());
        }
    };
    let _ = tokio::time::timeout(STOPPING, answered).await;
    deliveries.shutdown().await;
    if let Err(error) = context.store(move |store| store.release(&left)).await {
        tracing::error!(%error, "the queue cannot be written");
    }
}

/// What waits for a time that a clock which ran ahead has set does not wait so long.
async fn bring_back(context: &Context, now: u64) {
    let latest = now.saturating_add(context.config.outbound.give_up);
    let brought = context.store(move |store| store.bring_back(now, latest));
    match brought.await {
        Ok(0) => {}
        Ok(entries) => tracing::warn!(entries, "queue: the clock was set back"),
        Err(error) => tracing::error!(%error, "the queue cannot be written"),
    }
}

async fn until_due(context: &Context) -> Duration {
    let due = context.store(|store| store.next_due()).await.ok().flatten();
    let wait = due.map_or(60, |due| due.saturating_sub(context.clock.now()));
    Duration::from_secs(wait.clamp(1, 60))
}

/// Gives the entry back where the server stops before it was begun.
async fn attempt(context: &Arc<Context>, entry: Leased) -> Option<i64> {
    let age = context.clock.now().saturating_sub(entry.outgoing.accepted);
    let is_late = age >= context.config.outbound.give_up;
    let delivered = delivery::deliver(context, &entry).await;
    let error = match delivered {
        Ok(sent) => {
            let header = notices::header_to_tell(context, &entry, &sent).await;
            // First of all: it is sent, and must not be sent again.
            settle_sent(context, &entry, &sent).await;
            let Sent { reply, carried, .. } = &sent;
            tracing::info!(id = entry.id, recipient = ?entry.outgoing.recipient, %reply, carried, "sent");
            if let Some(header) = header
                && let Err(error) = notices::relayed(context, &entry, &sent, &header).await
            {
                tracing::error!(%error, "a notice of success could not be stored");
            }
            remember_report(context, &entry, true).await;
            remember_answer(context, &entry, reply).await;
            return None;
        }
        Err(DeliveryError::Stopping) => return Some(entry.id),
        Err(error) => error,
    };
    let last = error.is_permanent() || is_late;
    match &error {
        DeliveryError::Held { at, why } if !last => {
            tracing::info!(id = entry.id, recipient = ?entry.outgoing.recipient, at, %why, "held");
        }
        error => {
            tracing::warn!(id = entry.id, recipient = ?entry.outgoing.recipient, %error, last, "not sent");
        }
    }
    let settlement = if last {
        // Of what was not sent nothing can be learnt.
        if !matches!(error, DeliveryError::Suppressed(_)) {
            remember_report(context, &entry, false).await;
        }
        match notices::failed(context, &entry, &error).await {
            Ok(()) => Settlement::Done,
            Err(error) => {
                tracing::error!(%error, "a bounce could not be stored");
                later(context, &entry, &error.to_string())
            }
        }
    } else {
        if let Err(error) = notices::late(context, &entry, &error).await {
            tracing::error!(%error, "a notice of delay could not be stored");
        }
        match error {
            DeliveryError::Held { at, .. } => held(context, &entry, at, &error.to_string()),
            _ => later(context, &entry, &error.to_string()),
        }
    };
    settle(context, &entry, settlement).await;
    None
}

/// Tries until the store takes it: what was sent would be sent again, and what was not would be leased until the server ends.
async fn settle(context: &Context, entry: &Leased, settlement: Settlement) {
    let (id, settlement) = (entry.id, Arc::new(settlement));
    let mut wait = Duration::from_secs(1);
    loop {
        let settlement = Arc::clone(&settlement);
        let settled = context.store(move |store| store.settle(id, &settlement));
        match settled.await {
            Ok(()) => return,
            Err(error) => tracing::error!(%error, id, "the queue cannot be written"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(60));
    }
}

/// The message leaves the queue; a complaint about it will be known as one.
async fn settle_sent(context: &Context, entry: &Leased, sent: &Sent) {
    let now = context.clock.now();
    let feedback_id = feedback::id_of(&entry.outgoing.added);
    if let Some(name) = feedback_id.clone() {
        let own = Arc::clone(&context.own_addresses);
        let (provider, source) = (sent.provider.clone(), sent.source);
        let remembered = context.store(move |store| own.sent(store, &name, &provider, source, now));
        if let Err(error) = remembered.await {
            tracing::error!(%error, "what was sent cannot be remembered");
        }
    }
    let settlement = Settlement::Sent {
        feedback_id,
        until: context.own_addresses.complaints_until(now),
        now,
    };
    settle(context, entry, settlement).await;
}

/// Who does not exist gets no more mail for a while.
async fn remember_answer(context: &Context, entry: &Leased, reply: &smtp_proto::Reply) {
    let (list, now) = (Arc::clone(&context.suppression), context.clock.now());
    let (sender, recipient) = (
        entry.outgoing.sender.clone(),
        entry.outgoing.recipient.clone(),
    );
    let reply = reply.clone();
    let remembered =
        context.store(move |store| list.answered(store, &sender, &recipient, &reply, now));
    match remembered.await {
        Ok(Some(suppressed)) => {
            tracing::warn!(recipient = ?entry.outgoing.recipient, %suppressed, "suppression: from now on");
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "an answer cannot be remembered"),
    }
}

/// Tells those who send reports how mail of the server's own fared.
async fn remember_report(context: &Context, entry: &Leased, was_taken: bool) {
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
        at: not_beyond(context, entry, context.clock.now() + wait),
        because: because.to_owned(),
    }
}

/// Its turn has not come: that is no attempt, but it does not wait beyond its time.
fn held(context: &Context, entry: &Leased, at: u64, because: &str) -> Settlement {
    let last = (entry.outgoing.accepted).saturating_add(context.config.outbound.give_up);
    Settlement::Held {
        at: not_beyond(context, entry, at.min(last)).max(context.clock.now() + 1),
        because: because.to_owned(),
    }
}

/// Once more when its sender is to be told that it is late, and only then if that is still to be told.
fn not_beyond(context: &Context, entry: &Leased, at: u64) -> u64 {
    match notices::late_at(context, entry) {
        Some(late) if late > context.clock.now() => at.min(late),
        _ => at,
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
                        dsn: Dsn::default(),
                    }),
                }
            }
            store.commit(spool, &deliveries, &outgoing).map(drop)
        })
        .await
}
