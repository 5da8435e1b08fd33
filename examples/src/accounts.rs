//! Who may log in: the answers to what SASL asks, and the slowing down of those who guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mail_wire::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};
use sasl_core::server::ServerConfig;
use sasl_core::{Entropy, StoredKeys};

use crate::store::{Account, AccountId, SharedStore, StoreError, blocking};

/// Makes the keys that are stored for a password.
///
/// # Errors
///
/// A password that SASLprep forbids, or a system without randomness.
pub fn keys_of(password: &str) -> Result<StoredKeys, StoreError> {
    let mut salt = vec![0; 16];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| StoreError::Refused("the system gives no randomness"))?;
    StoredKeys::derive(password, salt, StoredKeys::ITERATIONS)
        .map_err(|_| StoreError::Refused("the password holds characters that SASLprep forbids"))
}

/// Fresh randomness for a session.
///
/// # Panics
///
/// When the system gives no randomness: nothing can be secured then.
#[must_use]
#[expect(clippy::expect_used, reason = "without randomness nothing is secure")]
pub fn entropy() -> Entropy {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).expect("the system gives randomness");
    Entropy::new(seed)
}

/// Answers what SASL asks, for all protocols.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: SharedStoreRef,
    config: ServerConfig,
    /// Checked for users who do not exist, so that the time does not tell.
    nobody: Arc<StoredKeys>,
    failures: Arc<Failures>,
}

/// A store in a `Debug` struct.
#[derive(Clone)]
struct SharedStoreRef(SharedStore);

impl std::fmt::Debug for SharedStoreRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Accounts {
    /// Over this store; `delay` is how long the answer to a first failure is held back.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn new(store: SharedStore, delay: Duration) -> Result<Self, StoreError> {
        Ok(Self {
            config: ServerConfig::new(Secret::new(store.secret()?)),
            nobody: Arc::new(keys_of("nobody has this password")?),
            store: SharedStoreRef(store),
            failures: Arc::new(Failures {
                delay,
                counts: Mutex::default(),
            }),
        })
    }

    /// What the protocols offer.
    #[must_use]
    pub const fn sasl(&self) -> &ServerConfig {
        &self.config
    }

    /// The account of a login name, prepared by SASLprep.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let name = name.to_owned();
        blocking(&self.store.0, move |store| store.account(&name)).await
    }

    /// The keys of a user, for SCRAM.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn keys(&self, name: &str) -> Result<Option<StoredKeys>, StoreError> {
        Ok(self.account(name).await?.and_then(|account| account.keys.parse().ok()))
    }

    /// Whether this is the user's password; takes the same time for users who do not exist.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn check(&self, name: &str, password: Secret<String>) -> Result<bool, StoreError> {
        let keys = self.keys(name).await?;
        let (exists, nobody) = (keys.is_some(), Arc::clone(&self.nobody));
        tokio::task::spawn_blocking(move || {
            let right = keys.as_ref().unwrap_or(&nobody).verify(password.expose_secret());
            right && exists
        })
        .await
        .map_err(|_| StoreError::Interrupted)
    }

    /// Whether an account may send as this address: its own ones and, with `+`, its own ones with a detail.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn may_send_as(&self, account: AccountId, address: &str) -> Result<bool, StoreError> {
        let address = address.to_owned();
        let owner = blocking(&self.store.0, move |store| store.owner(&without_detail(&address))).await?;
        Ok(owner.is_some_and(|owner| owner.id == account))
    }

    /// Who gets the mail of an address here; `local+detail` is `local`.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn owner(&self, address: &str) -> Result<Option<Account>, StoreError> {
        let address = address.to_owned();
        blocking(&self.store.0, move |store| match store.owner(&address)? {
            Some(owner) => Ok(Some(owner)),
            None => store.owner(&without_detail(&address)),
        })
        .await
    }

    /// Notes a login that failed, and gives the time to wait before its answer.
    pub fn failed(&self, client: IpAddr) -> Duration {
        self.failures.note(client, Instant::now())
    }

    /// Forgets the failures of a client who has logged in.
    pub fn succeeded(&self, client: IpAddr) {
        self.failures.forget(client);
    }
}

/// `local+detail@domain` is delivered to `local@domain`.
fn without_detail(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let local = local.split_once('+').map_or(local, |(local, _)| local);
            format!("{local}@{domain}")
        }
        None => address.to_owned(),
    }
}

/// Failed logins of a network, bounded in number.
#[derive(Debug)]
struct Failures {
    delay: Duration,
    counts: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

/// Failures are forgotten after this time.
const MEMORY: Duration = Duration::from_secs(600);
/// Networks remembered at once.
const NETWORKS: usize = 10_000;

impl Failures {
    fn note(&self, client: IpAddr, now: Instant) -> Duration {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= NETWORKS {
            counts.retain(|_, (_, last)| now.duration_since(*last) < MEMORY);
        }
        if counts.len() >= NETWORKS {
            counts.clear();
        }
        let (count, last) = counts.entry(network(client)).or_insert((0, now));
        if now.duration_since(*last) >= MEMORY {
            *count = 0;
        }
        *last = now;
        let delay = self.delay * 2u32.pow((*count).min(3));
        *count = count.saturating_add(1);
        delay
    }

    fn forget(&self, client: IpAddr) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(&network(client));
    }
}

/// The /64 of an IPv6 address: whoever has one has them all.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() & !0 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_gets_slower() {
        let failures = Failures {
            delay: Duration::from_secs(1),
            counts: Mutex::default(),
        };
        let (now, client) = (Instant::now(), "2001:db8::1".parse().unwrap());
        let waits: Vec<u64> = (0..5).map(|_| failures.note(client, now).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 8]);
        assert_eq!(failures.note("2001:db8::2".parse().unwrap(), now).as_secs(), 8);
        assert_eq!(failures.note("2001:db8:1::2".parse().unwrap(), now).as_secs(), 1);
        assert_eq!(failures.note(client, now + MEMORY).as_secs(), 1);
        failures.forget(client);
        assert_eq!(failures.note(client, now).as_secs(), 1);
    }

    #[test]
    fn details() {
        assert_eq!(without_detail("a+b@c.example"), "a@c.example");
        assert_eq!(without_detail("a@c.example"), "a@c.example");
    }
}
