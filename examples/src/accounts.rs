//! Who may log in: the answers to what SASL asks, and the slowing down of those who guess.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail_wire::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};
use sasl_core::server::{Question, ServerConfig, is_own};
use sasl_core::{Entropy, StoredKeys};
use screening::failed_login::{Decision, FailedLogin, Penalty};
use screening::pop_before_smtp::PopBeforeSmtp;

use crate::config::{self, Config};
use crate::identities::Submitter;
use crate::server::now;
use crate::store::{self, Account, AccountId, SharedStore, StoreError, blocking};

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
    SystemRandom::new()
        .fill(&mut seed)
        .expect("the system gives randomness");
    Entropy::new(seed)
}

/// A word that nobody can guess: 96 random bits in hexadecimal.
pub fn random_word() -> String {
    let mut random = [0; 12];
    // Without randomness it repeats, which does no harm where it is used.
    let _ = SystemRandom::new().fill(&mut random);
    random.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The answer to a question of SASL, for the session that asked.
#[derive(Debug, Clone)]
pub enum AuthAnswer {
    /// The user's keys, where there is such a user.
    StoredKeys(Option<StoredKeys>),
    /// Whether the password is right.
    Password(bool),
    /// Whether the user may act as asked.
    Authorized(bool),
    /// The store cannot be asked now: a temporary failure.
    Unavailable,
}

/// Answers what SASL asks, for all protocols.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: SharedStoreRef,
    config: ServerConfig,
    /// Checked for users who do not exist, so that the time does not tell.
    nobody: Arc<StoredKeys>,
    failed_login: FailedLogin,
    pop_before_smtp: PopBeforeSmtp,
}

/// Who tries to log in on a connection, as far as it has said.
#[derive(Debug, Default)]
pub struct Login {
    name: String,
    /// What the attempt that is looked at was counted as.
    counted: Option<Penalty>,
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
    /// Over this store, as configured.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn new(store: SharedStore, config: &Config) -> Result<Self, StoreError> {
        let secret = store.secret()?;
        let mut pop_before_smtp = PopBeforeSmtp::new(crate::screen::keys(&secret));
        let minutes = config.pop_before_smtp.minutes;
        pop_before_smtp.policy.enabled = config.pop_before_smtp.enabled;
        pop_before_smtp.policy.valid_for = Duration::from_secs(minutes.saturating_mul(60));
        pop_before_smtp.policy.ipv4_prefix = config.pop_before_smtp.ipv4_prefix;
        pop_before_smtp.policy.ipv6_prefix = config.pop_before_smtp.ipv6_prefix;
        Ok(Self {
            failed_login: failed_login(&config.failed_login, &secret),
            pop_before_smtp,
            config: ServerConfig::new(Secret::new(secret)),
            nobody: Arc::new(keys_of("nobody has this password")?),
            store: SharedStoreRef(store),
        })
    }

    /// What the protocols offer.
    #[must_use]
    pub const fn sasl(&self) -> &ServerConfig {
        &self.config
    }

    /// The answer to a question of SASL; nobody may act for another, and who is banned has no account and no right password.
    pub async fn answer(
        &self,
        client: IpAddr,
        login: &mut Login,
        question: Question,
    ) -> AuthAnswer {
        if let Question::StoredKeys { authcid } | Question::CheckPassword { authcid, .. } =
            &question
        {
            login.name = authcid.as_str().to_owned();
            match (self.may_try(client, login).await, &question) {
                (Decision::Allowed, _) => {}
                (Decision::TooManyAtOnce { .. }, _) => {
                    // Not every protocol tells of this as of a failure, so it is held back here.
                    if let Some(penalty) = &mut login.counted {
                        tokio::time::sleep(std::mem::take(&mut penalty.delay)).await;
                    }
                    return AuthAnswer::Unavailable;
                }
                (Decision::Banned { .. }, Question::StoredKeys { .. }) => {
                    return AuthAnswer::StoredKeys(None);
                }
                (Decision::Banned { .. }, _) => return AuthAnswer::Password(false),
            }
        }
        let answer = match question {
            Question::StoredKeys { authcid } => self
                .keys(authcid.as_str())
                .await
                .map(AuthAnswer::StoredKeys),
            Question::CheckPassword { authcid, password } => self
                .check(authcid.as_str(), password)
                .await
                .map(AuthAnswer::Password),
            Question::Authorize { authcid, authzid } => {
                return AuthAnswer::Authorized(is_own(&authcid, authzid.as_ref()));
            }
            _ => return AuthAnswer::Unavailable,
        };
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, "a login could not be checked");
            AuthAnswer::Unavailable
        })
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
        Ok(self
            .account(name)
            .await?
            .and_then(|account| account.keys.parse().ok()))
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
            let right = keys
                .as_ref()
                .unwrap_or(&nobody)
                .verify(password.expose_secret());
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
        let owner = blocking(&self.store.0, move |store| {
            store.owner(&without_detail(&address))
        })
        .await?;
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

    /// Whether a client may try, which counts as a failure until it has succeeded: others may be trying at the same time. Without an
    /// answer of the store it may.
    async fn may_try(&self, client: IpAddr, login: &mut Login) -> Decision {
        match self.attempt(client, login).await {
            Ok((decision, penalty)) => {
                login.counted = Some(penalty);
                if decision != Decision::Allowed {
                    tracing::warn!(%client, %decision, "a login that is not looked at");
                }
                decision
            }
            Err(error) => {
                tracing::error!(%error, "failed logins cannot be read");
                Decision::Allowed
            }
        }
    }

    async fn attempt(
        &self,
        client: IpAddr,
        login: &Login,
    ) -> Result<(Decision, Penalty), StoreError> {
        let (failed_login, login) = (self.failed_login.clone(), login.name.clone());
        let counted = blocking(&self.store.0, move |store| {
            let now = now();
            store::screen(store, now, |memory| {
                failed_login.attempt(memory, client, &login, now)
            })
        });
        counted.await
    }

    /// A login has failed: counts it, if that was not done when it was tried, and gives the time to wait before its answer.
    pub async fn failed(&self, client: IpAddr, login: &mut Login) -> Duration {
        let counted = match login.counted.take() {
            Some(penalty) => Ok(penalty),
            None => self
                .attempt(client, login)
                .await
                .map(|(_, penalty)| penalty),
        };
        match counted {
            Ok(penalty) => {
                tracing::info!(%client, %penalty, "a login that failed");
                penalty.delay
            }
            Err(error) => {
                tracing::error!(%error, "a failed login could not be counted");
                self.failed_login.policy.first_delay
            }
        }
    }

    /// Forgives the failures of this login from this address, and gives back what the attempt was counted as.
    pub async fn succeeded(&self, client: IpAddr, login: &mut Login) {
        login.counted = None;
        let (failed_login, login) = (self.failed_login.clone(), login.name.clone());
        let forgiven = blocking(&self.store.0, move |store| {
            let now = now();
            store::screen(store, now, |memory| {
                failed_login.succeeded(memory, client, &login, now)
            })
        });
        if let Err(error) = forgiven.await {
            tracing::error!(%error, "failed logins could not be forgiven");
        }
    }

    /// An account has logged in by POP3 under TLS: its address may submit for a while, where that is configured.
    pub async fn read_by_pop(&self, client: IpAddr, account: &str) {
        if !self.pop_before_smtp.policy.enabled {
            return;
        }
        let (pop_before_smtp, name) = (self.pop_before_smtp.clone(), account.to_owned());
        let granted = blocking(&self.store.0, move |store| {
            let Some(account) = store.account(&name)? else {
                return Ok(());
            };
            let (account, now) = (account.id.0.cast_unsigned(), now());
            store::screen(store, now, |memory| {
                pop_before_smtp.logged_in(memory, client, account, now)
            })
        });
        match granted.await {
            Ok(()) => tracing::info!(%client, account, "pop3: its address may submit for a while"),
            Err(error) => tracing::error!(%error, "pop3: a grant could not be stored"),
        }
    }

    /// Who may submit from this address because of a POP3 login.
    pub async fn granted(&self, client: IpAddr) -> Option<Submitter> {
        if !self.pop_before_smtp.policy.enabled {
            return None;
        }
        let pop_before_smtp = self.pop_before_smtp.clone();
        let account = blocking(&self.store.0, move |store| {
            let now = now();
            let granted = store::screen(store, now, |memory| {
                pop_before_smtp.granted(memory, client, now)
            })?;
            let is_it = |account: &Account| {
                granted.is_some_and(|grant| grant.account == account.id.0.cast_unsigned())
            };
            Ok(store.accounts()?.into_iter().find(is_it))
        });
        match account.await {
            Ok(account) => account.map(|account| Submitter {
                account: account.id,
                name: account.name,
            }),
            Err(error) => {
                tracing::error!(%error, "grants of POP before SMTP cannot be read");
                None
            }
        }
    }
}

fn failed_login(configured: &config::FailedLogin, secret: &[u8; 32]) -> FailedLogin {
    let mut failed_login = FailedLogin::new(crate::screen::keys(secret));
    let policy = &mut failed_login.policy;
    policy.first_delay = Duration::from_millis(configured.delay);
    policy.longest_delay = Duration::from_millis(configured.longest_delay);
    policy.address_failures = configured.address_failures;
    policy.network_failures = configured.network_failures;
    policy.forgotten_after = Duration::from_secs(configured.forgotten_after);
    policy.ban = Duration::from_secs(configured.ban);
    policy.known_for = Duration::from_secs(configured.known_for);
    policy.at_once = configured.at_once;
    policy.ipv4_address = configured.ipv4_address;
    policy.ipv6_address = configured.ipv6_address;
    policy.ipv4_network = configured.ipv4_network;
    policy.ipv6_network = configured.ipv6_network;
    failed_login.exempt.clone_from(&configured.exempt);
    failed_login
}

/// `local+detail@domain` is delivered to `local@domain`.
pub(crate) fn without_detail(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let local = local.split_once('+').map_or(local, |(local, _)| local);
            format!("{local}@{domain}")
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details() {
        assert_eq!(without_detail("a+b@c.example"), "a@c.example");
        assert_eq!(without_detail("a@c.example"), "a@c.example");
    }
}
