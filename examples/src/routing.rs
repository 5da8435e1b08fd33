//! Where a recipient's mail goes: a mailbox here, another address, another server.

use std::collections::BTreeSet;

use crate::server::Context;
use crate::store::{AccountId, StoreError};

/// Where mail goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Into an account's INBOX.
    Local(AccountId),
    /// To this address, elsewhere.
    Remote(String),
}

/// Aliases that lead to aliases are followed this far.
const DEPTH: usize = 10;

/// Where mail for an address goes, its aliases followed; empty: there is no such user here.
///
/// An address of a domain that is not ours is remote; whether that is allowed is for the caller to say.
///
/// # Errors
///
/// A failure of the store.
pub async fn routes(context: &Context, address: &str) -> Result<BTreeSet<Route>, StoreError> {
    let mut found = BTreeSet::new();
    let mut open = vec![(address.to_owned(), 0)];
    let mut seen = BTreeSet::new();
    while let Some((address, depth)) = open.pop() {
        if !seen.insert(address.to_lowercase()) {
            continue;
        }
        let (local, domain) = address.rsplit_once('@').unwrap_or((&address, ""));
        if !domain.is_empty() && !context.config.is_local(domain) {
            found.insert(Route::Remote(address));
            continue;
        }
        let alias = context
            .config
            .aliases
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&address));
        if let Some((_, targets)) = alias
            && depth < DEPTH
        {
            open.extend(targets.iter().map(|target| (target.clone(), depth + 1)));
        } else if let Some(owner) = context.accounts.owner(&address).await? {
            found.insert(Route::Local(owner.id));
        } else if (is_role(local) || is_feedback(context, &address))
            && let Some(postmaster) = postmaster(context).await?
        {
            found.insert(Route::Local(postmaster));
        }
    }
    Ok(found)
}

/// RFC 5321 §4.5.1: "Any system that includes an SMTP server supporting mail relaying or delivery MUST support the reserved mailbox
/// "postmaster" as a case-insensitive local name."
fn is_role(local: &str) -> bool {
    local.eq_ignore_ascii_case("postmaster") || local.eq_ignore_ascii_case("abuse")
}

/// Complaints have to arrive.
fn is_feedback(context: &Context, address: &str) -> bool {
    let wanted = context.config.outbound.feedback_address.as_deref();
    wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(address))
}

async fn postmaster(context: &Context) -> Result<Option<AccountId>, StoreError> {
    if let Some(name) = &context.config.postmaster
        && let Some(account) = context.accounts.account(name).await?
    {
        return Ok(Some(account.id));
    }
    let accounts = context.store(|store| store.accounts()).await?;
    Ok(accounts.first().map(|account| account.id))
}
