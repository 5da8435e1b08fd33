//! Where a recipient's mail goes: a mailbox here, another address, another server.

use std::collections::BTreeSet;

use smtp_proto::EnhancedStatus;

use crate::accounts::without_detail;
use crate::config::Config;
use crate::server::Context;
use crate::store::{AccountId, Store, StoreError};

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

/// Why a recipient of a stranger is not taken, whoever that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its domain is not ours.
    #[error("Relaying denied: log in to send mail elsewhere")]
    Relaying,
    /// Its domain is, and nobody has the address.
    #[error("No such user here")]
    NoSuchUser,
}

impl Refused {
    /// The reply code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Relaying => 554,
            Self::NoSuchUser => 550,
        }
    }

    /// The enhanced status code.
    #[must_use]
    pub const fn status(self) -> EnhancedStatus {
        match self {
            Self::Relaying => EnhancedStatus::NOT_AUTHORIZED,
            Self::NoSuchUser => EnhancedStatus::BAD_MAILBOX,
        }
    }
}

/// Where aliases lead.
#[derive(Debug, Default)]
struct Ends {
    /// Addresses elsewhere.
    remote: BTreeSet<String>,
    /// Addresses here that are no aliases.
    here: Vec<String>,
}

fn is_ours(config: &Config, address: &str) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    domain.is_empty() || config.is_local(domain)
}

fn ends(config: &Config, address: &str) -> Ends {
    let mut ends = Ends::default();
    let mut open = vec![(address.to_owned(), 0)];
    let mut seen = BTreeSet::new();
    while let Some((address, depth)) = open.pop() {
        if !seen.insert(address.to_lowercase()) {
            continue;
        }
        if !is_ours(config, &address) {
            ends.remote.insert(address);
            continue;
        }
        let mut aliases = config.aliases.iter();
        let alias = aliases.find(|(name, _)| name.eq_ignore_ascii_case(&address));
        match alias {
            Some((_, targets)) if depth < DEPTH => {
                open.extend(targets.iter().map(|target| (target.clone(), depth + 1)));
            }
            _ => ends.here.push(address),
        }
    }
    ends
}

/// Whether mail for a recipient of a stranger may come in at all.
///
/// # Errors
///
/// It is to be relayed.
pub fn may_come_in(config: &Config, address: &str) -> Result<(), Refused> {
    match is_ours(config, address) {
        true => Ok(()),
        false => Err(Refused::Relaying),
    }
}

/// Where mail for an address goes, its aliases followed; empty: there is no such user here.
///
/// An address of a domain that is not ours is remote; whether that is allowed is for the caller to say.
///
/// # Errors
///
/// A failure of the store.
pub async fn routes(context: &Context, address: &str) -> Result<BTreeSet<Route>, StoreError> {
    let ends = ends(&context.config, address);
    let mut found: BTreeSet<Route> = ends.remote.into_iter().map(Route::Remote).collect();
    for address in ends.here {
        if let Some(owner) = context.accounts.owner(&address).await? {
            found.insert(Route::Local(owner.id));
        } else if is_for_postmaster(&context.config, &address)
            && let Some(postmaster) = postmaster(context).await?
        {
            found.insert(Route::Local(postmaster));
        }
    }
    Ok(found)
}

/// Where mail of a stranger for an address would go, in words, before a server has been started too: accounts of the configuration are
/// in the store once it has.
///
/// # Errors
///
/// A failure of the store.
pub fn look_up(
    config: &Config,
    store: Option<&dyn Store>,
    address: &str,
) -> Result<Result<Vec<String>, Refused>, StoreError> {
    if let Err(refused) = may_come_in(config, address) {
        return Ok(Err(refused));
    }
    let ends = ends(config, address);
    let mut found: BTreeSet<String> = ends.remote;
    for address in ends.here {
        let mut owner = owner_in(config, store, &address)?;
        if owner.is_none() {
            owner = owner_in(config, store, &without_detail(&address))?;
        }
        if owner.is_none() && is_for_postmaster(config, &address) {
            owner = postmaster_in(config, store)?;
        }
        found.extend(owner.map(|name| format!("the account {name:?}")));
    }
    Ok(match found.is_empty() {
        true => Err(Refused::NoSuchUser),
        false => Ok(found.into_iter().collect()),
    })
}

fn owner_in(
    config: &Config,
    store: Option<&dyn Store>,
    address: &str,
) -> Result<Option<String>, StoreError> {
    let stored = store.map_or(Ok(None), |store| store.owner(address))?;
    let mut accounts = config.accounts.iter();
    let configured = accounts.find(|account| {
        let mut addresses = account.addresses.iter();
        addresses.any(|its| its.eq_ignore_ascii_case(address))
    });
    let configured = configured.map(|account| account.name.clone());
    Ok(stored.map(|account| account.name).or(configured))
}

fn postmaster_in(config: &Config, store: Option<&dyn Store>) -> Result<Option<String>, StoreError> {
    let stored = store.map_or(Ok(Vec::new()), |store| store.accounts())?;
    let stored = stored.into_iter().map(|account| account.name);
    let configured = config.accounts.iter().map(|account| account.name.clone());
    let mut all: Vec<String> = stored.chain(configured).collect();
    let named = config.postmaster.as_ref();
    let chosen = named.and_then(|named| all.iter().position(|name| name == named));
    Ok((!all.is_empty()).then(|| all.swap_remove(chosen.unwrap_or(0))))
}

/// Whether mail for an address that nobody has is for postmaster.
fn is_for_postmaster(config: &Config, address: &str) -> bool {
    let local_part = address.rsplit_once('@').map_or(address, |(local, _)| local);
    is_role(local_part) || is_feedback(config, address)
}

/// RFC 5321 §4.5.1: "Any system that includes an SMTP server supporting mail relaying or delivery MUST support the reserved mailbox
/// "postmaster" as a case-insensitive local name."
fn is_role(local: &str) -> bool {
    local.eq_ignore_ascii_case("postmaster") || local.eq_ignore_ascii_case("abuse")
}

/// Complaints have to arrive.
fn is_feedback(config: &Config, address: &str) -> bool {
    let wanted = config.outbound.feedback_address.as_deref();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_stranger_s_mail_would_go() {
        let config: Config = toml::from_str(
            "hostname = 'mx.example.org'\ndomains = ['example.org']\ndata = 'data'\npostmaster = 'bob'\n\
             [tls]\ncertificate = 'c.pem'\nkey = 'k.pem'\n\
             [[account]]\nname = 'ann'\naddresses = ['Ann@example.org']\nkeys = 'x'\n\
             [[account]]\nname = 'bob'\nkeys = 'x'\n\
             [aliases]\n'all@example.org' = ['ann@example.org', 'away@elsewhere.example']\n\
             'round@example.org' = ['round@example.org']\n'a@example.org' = ['b@example.org']\n'b@example.org' = ['a@example.org']\n",
        )
        .unwrap();
        let of = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
        for (address, expected) in [
            ("ann@EXAMPLE.org", of(&["the account \"ann\""])),
            ("ann+news@example.org", of(&["the account \"ann\""])),
            (
                "ALL@example.org",
                of(&["away@elsewhere.example", "the account \"ann\""]),
            ),
            ("postmaster", of(&["the account \"bob\""])),
            ("Abuse@example.org", of(&["the account \"bob\""])),
            ("nobody@example.org", Err(Refused::NoSuchUser)),
            ("round@example.org", Err(Refused::NoSuchUser)),
            ("a@example.org", Err(Refused::NoSuchUser)),
            ("nobody", Err(Refused::NoSuchUser)),
            ("ann@elsewhere.example", Err(Refused::Relaying)),
        ] {
            assert_eq!(
                look_up(&config, None, address).unwrap(),
                expected,
                "{address}"
            );
        }
    }
}
