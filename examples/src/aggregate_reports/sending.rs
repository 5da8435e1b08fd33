//! Whether a report is sent at all: caps for each address, and none to mailboxes that bounce. What was sent is kept in the store.

use dmarc::reports::sending_policy::{Kind, Limits, Refusal, Request, SendingPolicy, Traffic};

use crate::server::Context;
use crate::store::{ReportDestination, StoreError};

/// Whether the reports of a day about a domain may go to an address; if so they count as sent, as one.
///
/// # Errors
///
/// A failure of the store.
pub async fn request(
    context: &Context,
    now: u64,
    domain: &str,
    traffic: Traffic,
    to: &str,
    octets: u64,
) -> Result<Result<(), Refusal>, StoreError> {
    let (domain, address, from) = (domain.to_owned(), to.to_owned(), super::from(context));
    change(context, now, to, move |policy| {
        let kind = Kind::Aggregate {
            domain: &domain,
            traffic,
        };
        policy.request(
            now,
            &Request {
                kind,
                to: &address,
                from: &from,
                octets,
            },
        )
    })
    .await
}

/// Mail of the server's own to this address was refused for good, or given up: if it was a report, that is remembered.
///
/// # Errors
///
/// A failure of the store.
pub async fn bounced(context: &Context, now: u64, to: &str) -> Result<(), StoreError> {
    let address = to.to_owned();
    change(context, now, to, move |policy| {
        policy.bounced(now, &address);
        Ok(())
    })
    .await
    .map(drop)
}

/// Mail of the server's own to this address was taken.
///
/// # Errors
///
/// A failure of the store.
pub async fn delivered(context: &Context, now: u64, to: &str) -> Result<(), StoreError> {
    let address = to.to_owned();
    change(context, now, to, move |policy| {
        policy.delivered(&address);
        Ok(())
    })
    .await
    .map(drop)
}

/// Changes what is remembered of an address: a policy of its own.
async fn change(
    context: &Context,
    now: u64,
    address: &str,
    change: impl Fn(&mut SendingPolicy) -> Result<(), Refusal> + Send + 'static,
) -> Result<Result<(), Refusal>, StoreError> {
    let limits = limits(context);
    let address = address.to_lowercase();
    context
        .store(move |store| {
            let mut result = Ok(());
            store.change_report_destination(&address, now, &mut |known, count| {
                let is_full = known.is_none() && count >= limits.destinations;
                // What the server wrote it can read; what it cannot was none of its own.
                let policy = known
                    .and_then(|known| serde_json::from_str::<SendingPolicy>(&known.state).ok());
                let mut policy = policy.unwrap_or_default().with_limits(limits.clone());
                result = change(&mut policy);
                if is_full && policy.destinations() > 0 {
                    result = Err(Refusal::Crowded);
                    return None;
                }
                let until = policy.remembered_until();
                let state = serde_json::to_string(&policy).ok()?;
                (until > now).then_some(ReportDestination { state, until })
            })?;
            Ok(result)
        })
        .await
}

fn limits(context: &Context) -> Limits {
    let config = &context.config.reports;
    let mut limits = Limits::default();
    limits.aggregate_per_day = config.per_day;
    limits.octets = config.octets;
    limits.bounces = config.bounces;
    limits.suppression = config.suppression;
    limits
}
