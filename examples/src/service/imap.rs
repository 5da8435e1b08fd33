//! IMAP: mailboxes of the store, shown by [`imap_proto::server`].

mod append;
mod fetch;
mod mailboxes;
mod selected;

use std::net::SocketAddr;
use std::sync::Arc;

use imap_proto::server::{AnswerError, Config, Event, Refusal, Session};
use imap_proto::{Text, Word};
use mail_wire::driver::tokio::Driver;
use mail_wire::{Transport, TransportError};
use tokio::net::TcpStream;

use crate::accounts::{AuthAnswer, Login, entropy};
use crate::server::{Context, Security};
use crate::store::{AccountId, StoreError};

use append::Incoming;
use fetch::{Cached, Fetching};
use selected::Selected;

/// Serves one connection until it ends.
pub async fn serve(context: Arc<Context>, security: Security, socket: TcpStream, peer: SocketAddr) {
    let mut config = Config::new(context.accounts.sasl().clone());
    config.limits.append = context.config.limits.message;
    let transport = Transport::new(Session::new(Arc::new(config), entropy()));
    let transport = match security {
        Security::StartTls => transport.with_start_tls_server(context.tls.clone()),
        Security::Implicit => transport.with_implicit_tls_server(context.tls.clone()),
    };
    tracing::debug!(%peer, "imap: connected");
    let mut connection = Connection {
        context,
        driver: Driver::new(transport, socket),
        peer,
        login: Login::default(),
        account: None,
        selected: None,
        fetching: None,
        cached: None,
        incoming: None,
    };
    connection.run().await;
    tracing::debug!(%peer, "imap: disconnected");
}

/// A connection and what it is about.
struct Connection {
    context: Arc<Context>,
    driver: Driver<Session, TcpStream>,
    peer: SocketAddr,
    login: Login,
    /// Who has logged in.
    account: Option<AccountId>,
    selected: Option<Selected>,
    /// The FETCH in progress.
    fetching: Option<Fetching>,
    /// A message that is fetched in pieces.
    cached: Option<Cached>,
    /// The message of an APPEND.
    incoming: Option<Incoming>,
}

/// What a connection has to see to next.
enum Turn {
    Stop,
    Look,
    Event(Result<Option<Event>, TransportError<imap_proto::server::Error>>),
}

impl Connection {
    async fn run(&mut self) {
        let mut stopping = self.context.stopping.clone();
        let mut told = false;
        loop {
            let Self {
                driver,
                selected,
                fetching,
                ..
            } = self;
            // Changes go before commands: what one connection has done is there for the next command of another.
            let turn = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping), if !told => Turn::Stop,
                () = selected::changed(selected), if fetching.is_none() && !told => Turn::Look,
                event = driver.next() => Turn::Event(event),
            };
            let event = match turn {
                Turn::Stop => {
                    told = true;
                    let text = Text::lossy("The server is stopping");
                    self.driver.session().bye(&text);
                    continue;
                }
                Turn::Look => {
                    self.look_again().await;
                    continue;
                }
                Turn::Event(Ok(Some(event))) => event,
                Turn::Event(Ok(None)) => return,
                Turn::Event(Err(error)) => {
                    tracing::debug!(peer = %self.peer, error = ?error.to_string(), "imap: the session broke off");
                    return;
                }
            };
            if let Err(error) = self.handle(event).await {
                // The session has given the command up, and will say why when it is asked next.
                tracing::debug!(peer = %self.peer, %error, "imap: an answer came too late");
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), AnswerError> {
        match event {
            Event::Connected(connected) => {
                let text = format!("{} is ready", self.context.config.hostname);
                let session = self.driver.session();
                session.greet(connected, &Text::lossy(&text))?;
            }
            Event::Auth(auth, question) => {
                let answer = self
                    .context
                    .accounts
                    .answer(self.peer.ip(), &mut self.login, question)
                    .await;
                let session = self.driver.session();
                match answer {
                    AuthAnswer::StoredKeys(keys) => session.stored_keys(auth, keys)?,
                    AuthAnswer::Password(is_right) => session.password(auth, is_right)?,
                    AuthAnswer::Authorized(may_act) => session.authorized(auth, may_act)?,
                    AuthAnswer::Unavailable => session.auth_unavailable(auth)?,
                }
            }
            Event::LoggedIn(success) => self.logged_in(success.authcid.as_str()).await,
            Event::LoginFailed => self.login_failed().await,
            Event::Logout => {
                self.selected = None;
                tracing::debug!(peer = %self.peer, "imap: logged out");
            }
            // They were answered, and may come before a login.
            Event::Id(_) => {}
            Event::Bad => tracing::debug!(peer = %self.peer, "imap: a command was not understood"),
            event => match self.account {
                Some(account) => self.command(account, event).await?,
                // An account that was removed between its login and now.
                None => self.driver.session().bye(&Text::lossy("Log in again")),
            },
        }
        Ok(())
    }

    async fn logged_in(&mut self, name: &str) {
        let client = self.peer.ip();
        self.context
            .accounts
            .succeeded(client, &mut self.login)
            .await;
        match self.context.accounts.account(name).await {
            Ok(account) => self.account = account.map(|account| account.id),
            Err(error) => tracing::error!(%error, "imap: an account cannot be read"),
        }
        tracing::info!(peer = %self.peer, ?name, "imap: logged in");
    }

    /// The answer waits in the session until the next poll: it is held back as long as this sleeps.
    async fn login_failed(&mut self) {
        let client = self.peer.ip();
        let delay = self.context.accounts.failed(client, &mut self.login).await;
        tracing::info!(peer = %self.peer, ?delay, "imap: a login failed");
        let mut stopping = self.context.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    /// What only those who have logged in can ask.
    async fn command(&mut self, account: AccountId, event: Event) -> Result<(), AnswerError> {
        match event {
            Event::List(list, what) => self.list(account, list, what).await?,
            Event::Create(create, mailbox, uses) => {
                self.create(account, create, &mailbox, &uses).await?;
            }
            Event::Delete(delete, mailbox) => self.delete(account, delete, &mailbox).await?,
            Event::Rename(rename, from, to) => self.rename(account, rename, &from, &to).await?,
            Event::Subscribe(subscribe, mailbox, subscribed) => {
                self.subscribe(account, subscribe, &mailbox, subscribed)
                    .await?;
            }
            Event::Status(status, mailbox, items) => {
                self.status(account, status, &mailbox, items).await?;
            }
            Event::Select {
                select, mailbox, ..
            } => self.select(account, select, &mailbox).await?,
            Event::Fetch {
                fetch,
                uids,
                items,
                sets_seen,
            } => self.fetching = Some(Fetching::new(fetch, &uids, items, sets_seen)),
            Event::Room(fetch) => self.room(fetch).await?,
            Event::Store(store, uids, change) => self.store(store, &uids, change).await?,
            Event::Search(search, key) => self.search(search, &key).await?,
            Event::Copy(copy, uids, mailbox) => {
                self.copy(account, copy, &uids, &mailbox, false).await?;
            }
            Event::Move(copy, uids, mailbox) => {
                self.copy(account, copy, &uids, &mailbox, true).await?;
            }
            Event::Expunge(expunge, uids) => self.expunge(expunge, uids).await?,
            Event::Close { close, expunge } => self.close(close, expunge).await?,
            Event::Unselect => self.selected = None,
            Event::Sync(sync) => {
                self.look_again().await;
                self.driver.session().done(sync)?;
            }
            Event::Idle => self.look_again().await,
            Event::Append {
                append, arguments, ..
            } => self.append(account, append, arguments).await?,
            Event::Body(octets) => self.append_body(octets).await,
            Event::AppendEnd(appended) => self.append_end(appended).await?,
            // Dropped uncommitted, it leaves nothing.
            Event::AppendAborted => self.incoming = None,
            _ => {}
        }
        Ok(())
    }
}

/// What a failure of the store is in IMAP (RFC 5530).
fn refusal(error: StoreError) -> Refusal {
    let word = match error {
        StoreError::Full => Word::OverQuota,
        StoreError::Missing(_) => Word::Nonexistent,
        StoreError::Exists(_) => Word::AlreadyExists,
        StoreError::Refused(_) => Word::Cannot,
        StoreError::Interrupted => Word::Unavailable,
        StoreError::Io(_) | StoreError::Database(_) => {
            tracing::error!(%error, "imap: the store failed");
            return Refusal::new(Word::ServerBug, "Internal error; the log says more");
        }
    };
    Refusal::new(word, &error.to_string())
}
