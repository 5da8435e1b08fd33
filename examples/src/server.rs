//! The server: what all services share, the listeners, and the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail_wire::TlsServer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::connections::{Connections, Who};
use crate::own_reputation::OwnAddresses;
use crate::queue::Shaping;
use crate::resolver::Resolver;
use crate::store::{SharedStore, Sqlite, StoreError, blocking};
use crate::suppression::SuppressionList;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// There is no resolver.
    #[error(transparent)]
    Resolver(#[from] crate::resolver::ResolverError),
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A block list or a network makes no sense.
    #[error(transparent)]
    Screen(#[from] crate::screen::ScreenError),
    /// A key that is to sign cannot be used.
    #[error("dkim key {path}: {why}")]
    Key {
        /// Which file.
        path: String,
        /// Why.
        why: String,
    },
}

/// What all services share.
#[derive(Debug)]
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// Accounts, mail and queue.
    pub store: Shared,
    /// Who may log in.
    pub accounts: Accounts,
    /// DNS.
    pub resolver: Arc<Resolver>,
    /// The server's certificate.
    pub tls: TlsServer,
    /// The keys that sign what leaves.
    pub signing: Vec<dkim::Signing>,
    /// How mail from outside is judged.
    pub judging: message_auth::Config,
    /// How strangers are screened.
    pub screen: crate::screen::Screen,
    /// The addresses that mail leaves from.
    pub own_addresses: Arc<OwnAddresses>,
    /// Which addresses get none.
    pub suppression: Arc<SuppressionList>,
    /// How fast it leaves.
    pub shaping: Shaping,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// The time.
    pub clock: Clock,
    /// The maildrops that POP3 has open.
    pub maildrops: Arc<crate::service::pop3::Maildrops>,
    /// Becomes true when the server is to stop.
    pub stopping: watch::Receiver<bool>,
}

/// The store, in a struct that can be printed.
#[derive(Clone)]
pub struct Shared(pub SharedStore);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.location().display())
    }
}

impl Context {
    /// Runs calls of the store where blocking is allowed.
    ///
    /// # Errors
    ///
    /// What the calls say.
    pub async fn store<T: Send + 'static>(
        &self,
        calls: impl FnOnce(&dyn crate::store::Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        blocking(&self.store.0, calls).await
    }
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What the queue takes for the time: the system's, or ahead of it where somebody tries what later days bring.
#[derive(Debug, Default)]
pub struct Clock {
    ahead: AtomicU64,
}

impl Clock {
    /// Seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        now().saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// So many seconds pass.
    pub fn advance(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// A protocol on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Mail from anywhere.
    Smtp,
    /// Mail of our users.
    Submission,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
}

/// How TLS begins on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// When the client asks for it.
    StartTls,
    /// At once.
    Implicit,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    context: Arc<Context>,
    addresses: Vec<(Service, Security, SocketAddr)>,
    listeners: Vec<(Service, Security, TcpListener)>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Opens the store and binds every address of the configuration.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let resolver = Resolver::new(&config.dns)?;
        Self::bind_with(config, resolver).await
    }

    /// As [`bind`](Self::bind), with a resolver of the caller's.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn bind_with(config: Config, resolver: Resolver) -> Result<Self, StartError> {
        let store: SharedStore = Arc::new(Sqlite::open(&config.data)?);
        for account in &config.accounts {
            let keys = match (&account.keys, &account.password) {
                (Some(keys), _) => keys.clone(),
                (None, Some(password)) => keep_or_make(&*store, &account.name, password)?,
                (None, None) => continue,
            };
            store.put_account(&account.name, &keys, &account.addresses)?;
        }
        let tls = crate::tls::server(&config.tls.certificate, &config.tls.key)?;
        let accounts = Accounts::new(Arc::clone(&store), &config)?;
        let signing = crate::signing::keys(&config.dkim)?;
        let screen = crate::screen::Screen::new(&config, &store.secret()?)?;
        let own_addresses = OwnAddresses::new(&config.outbound, &store.secret()?)?;
        let suppression = SuppressionList::new(&config.outbound.suppression, &store.secret()?);
        let shaping = Shaping::new(&config.outbound);
        let connections = Connections::new(crate::screen::keys(&store.secret()?));
        let (stop, stopping) = watch::channel(false);
        let listen = &config.listen;
        let wanted = [
            (Service::Smtp, Security::StartTls, &listen.smtp),
            (Service::Submission, Security::StartTls, &listen.submission),
            (Service::Submission, Security::Implicit, &listen.submissions),
            (Service::Imap, Security::StartTls, &listen.imap),
            (Service::Imap, Security::Implicit, &listen.imaps),
            (Service::Pop3, Security::StartTls, &listen.pop3),
            (Service::Pop3, Security::Implicit, &listen.pop3s),
        ];
        let (mut listeners, mut bound) = (Vec::new(), Vec::new());
        for (service, security, addresses) in wanted {
            for &address in addresses {
                let failed = |error| StartError::Listen { address, error };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                bound.push((service, security, listener.local_addr().map_err(failed)?));
                listeners.push((service, security, listener));
            }
        }
        Ok(Self {
            context: Arc::new(Context {
                config,
                store: Shared(store),
                accounts,
                resolver: Arc::new(resolver),
                tls,
                signing,
                judging: message_auth::Config::default(),
                screen,
                own_addresses: Arc::new(own_addresses),
                suppression: Arc::new(suppression),
                shaping,
                connections: Arc::new(connections),
                clock: Clock::default(),
                maildrops: Arc::default(),
                stopping,
            }),
            addresses: bound,
            listeners,
            stop,
        })
    }

    /// What it listens on, the ports chosen by the system included.
    #[must_use]
    pub fn addresses(&self) -> &[(Service, Security, SocketAddr)] {
        &self.addresses
    }

    /// What its services share.
    #[must_use]
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Serves until `end` comes, then lets the sessions say good-bye: what was acknowledged is on disk all the time.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        for (service, security, listener) in self.listeners {
            let context = Arc::clone(&self.context);
            tasks.spawn(accept(context, service, security, listener));
        }
        tasks.spawn(crate::queue::run(Arc::clone(&self.context)));
        tasks.spawn(crate::aggregate_reports::run(Arc::clone(&self.context)));
        tasks.spawn(crate::screen::test_lists(Arc::clone(&self.context)));
        tasks.spawn(crate::own_listings::run(Arc::clone(&self.context)));
        end.await;
        tracing::info!("stopping");
        // Nobody may be left to hear it.
        let _ = self.stop.send(true);
        let patience = tokio::time::sleep(Duration::from_secs(10));
        tokio::pin!(patience);
        loop {
            tokio::select! {
                done = tasks.join_next() => if done.is_none() { break },
                () = &mut patience => break,
            }
        }
        let written = self.context.store(|store| store.write_screening()).await;
        if let Err(error) = written {
            tracing::error!(%error, "what screening remembers could not be written");
        }
        tracing::info!("stopped");
    }
}

/// The keys that are stored already, when they are this password's: a restart does not change them.
fn keep_or_make(
    store: &dyn crate::store::Store,
    name: &str,
    password: &str,
) -> Result<String, StoreError> {
    if let Some(account) = store.account(name)?
        && let Ok(keys) = account.keys.parse::<sasl_core::StoredKeys>()
        && keys.verify(password)
    {
        return Ok(account.keys);
    }
    Ok(crate::accounts::keys_of(password)?.to_string())
}

async fn accept(
    context: Arc<Context>,
    service: Service,
    security: Security,
    listener: TcpListener,
) {
    let mut stopping = context.stopping.clone();
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, ?service, "a session broke");
                }
                continue;
            }
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most of the time: it passes when sessions end.
                tracing::warn!(%error, ?service, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let who = match service {
            Service::Smtp => Who::Stranger,
            _ => Who::User,
        };
        // Behind a load balancer the address is not the client's: the balancer counts.
        let is_known = service != Service::Smtp || !context.config.listen.proxy_header;
        let address = is_known.then(|| peer.ip());
        let limits = &context.config.limits;
        let place = match context.connections.enter(who, address, limits, now()) {
            Ok(place) => place,
            Err(why) => {
                tracing::warn!(%peer, ?service, why, "a connection was not taken");
                continue;
            }
        };
        // Answers are small and urgent; a failure to say so is no failure to serve.
        let _ = socket.set_nodelay(true);
        let context = Arc::clone(&context);
        sessions.spawn(async move {
            serve(context, service, security, socket, peer).await;
            drop(place);
        });
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

async fn serve(
    context: Arc<Context>,
    service: Service,
    security: Security,
    socket: TcpStream,
    peer: SocketAddr,
) {
    match service {
        Service::Smtp | Service::Submission => {
            crate::service::smtp::serve(context, service, security, socket, peer).await;
        }
        Service::Imap => crate::service::imap::serve(context, security, socket, peer).await,
        Service::Pop3 => crate::service::pop3::serve(context, security, socket, peer).await,
    }
}
