//! The POP3 service: INBOX, as a maildrop that one session has at a time.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mail_wire::driver::tokio::Driver;
use mail_wire::{Stale, Stream, Transport};
use pop3_proto::command::MessageNumber;
use pop3_proto::maildrop::Message;
use pop3_proto::reply::ResponseCode;
use pop3_proto::server::{Config, Event, Session};
use tokio::net::TcpStream;

use crate::accounts::{AuthAnswer, Login, entropy};
use crate::server::{Context, Security};
use crate::store::{AccountId, MailboxId, StoreError, StoredMessage};

/// The maildrops that are open.
///
/// RFC 1939 §4: "the POP3 server then acquires an exclusive-access lock on the maildrop"
#[derive(Debug, Default)]
pub struct Maildrops(Mutex<HashSet<AccountId>>);

/// A maildrop that this session has; given back when dropped.
#[derive(Debug)]
struct Lock {
    maildrops: Arc<Maildrops>,
    account: AccountId,
}

impl Maildrops {
    fn lock(self: &Arc<Self>, account: AccountId) -> Option<Lock> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(account).then(|| Lock {
            maildrops: Arc::clone(self),
            account,
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut open = self
            .maildrops
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.account);
    }
}

/// A maildrop as it was when it was opened.
struct Open {
    mailbox: MailboxId,
    uids: Vec<u32>,
    _lock: Lock,
}

/// Octets read from the disk at once.
const PIECE: usize = 64 * 1024;

/// Serves one connection.
pub async fn serve(context: Arc<Context>, security: Security, socket: TcpStream, peer: SocketAddr) {
    let session = Session::new(Config::new(context.accounts.sasl().clone()), entropy());
    let transport = match security {
        Security::StartTls => Transport::new(session).with_start_tls_server(context.tls.clone()),
        Security::Implicit => Transport::new(session).with_implicit_tls_server(context.tls.clone()),
    };
    let mut service = Service {
        stopping: context.stopping.clone(),
        context,
        driver: Driver::new(transport, socket),
        peer,
        login: Login::default(),
        open: None,
        sending: None,
    };
    match service.run().await {
        Ok(()) => tracing::debug!(%peer, "pop3: closed"),
        Err(end) => tracing::info!(%peer, %end, "pop3: ended"),
    }
}

/// Why a session ended before its time.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Session(#[from] mail_wire::TransportError<pop3_proto::server::Error>),
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("a message could not be sent: {0}")]
    Send(#[from] pop3_proto::server::SendError),
    #[error("the server stops")]
    Stopping,
}

struct Service {
    context: Arc<Context>,
    stopping: tokio::sync::watch::Receiver<bool>,
    driver: Driver<Session, TcpStream>,
    peer: SocketAddr,
    login: Login,
    open: Option<Open>,
    sending: Option<(Stream, StoredMessage)>,
}

impl Service {
    async fn run(&mut self) -> Result<(), Ended> {
        loop {
            let event = tokio::select! {
                event = self.driver.next() => event?,
                // POP3 has no way to say it; nothing is deleted without QUIT.
                _ = self.stopping.wait_for(|stopping| *stopping) => return Err(Ended::Stopping),
            };
            match event {
                Some(event) => self.answer(event).await?,
                None => return Ok(()),
            }
        }
    }

    async fn answer(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Connected(pending) => {
                let greeting = format!("{} POP3 ready", self.context.config.hostname);
                self.driver.session().greet(pending, &greeting)?;
            }
            Event::Auth { question, pending } => {
                let (accounts, client) = (&self.context.accounts, self.peer.ip());
                let answer = accounts.answer(client, &mut self.login, question).await;
                let session = self.driver.session();
                match answer {
                    AuthAnswer::StoredKeys(keys) => session.stored_keys(pending, keys)?,
                    AuthAnswer::Password(is_right) => session.password(pending, is_right)?,
                    AuthAnswer::Authorized(may_act) => session.authorized(pending, may_act)?,
                    AuthAnswer::Unavailable => session.auth_unavailable(pending)?,
                }
            }
            Event::Authenticated { authcid, .. } => {
                let (accounts, client) = (&self.context.accounts, self.peer.ip());
                accounts.succeeded(client, &mut self.login).await;
                if self.driver.session().tls().is_some() {
                    let accounts = &self.context.accounts;
                    accounts.read_by_pop(client, authcid.as_str()).await;
                }
                tracing::info!(peer = %self.peer, user = ?authcid.as_str(), "pop3: logged in");
            }
            Event::AuthenticationFailed { reason } => {
                tracing::warn!(peer = %self.peer, %reason, "pop3: login failed");
                // The answer waits in the output until then.
                let (accounts, client) = (&self.context.accounts, self.peer.ip());
                tokio::time::sleep(accounts.failed(client, &mut self.login).await).await;
            }
            Event::OpenMaildrop { user, pending } => match self.open(user.as_str()).await {
                Ok(Some((open, messages))) => {
                    self.open = Some(open);
                    self.driver.session().maildrop(pending, messages)?;
                }
                Ok(None) => self.driver.session().refuse_maildrop(
                    pending,
                    Some(ResponseCode::InUse),
                    "the maildrop is open in another session",
                )?,
                Err(error) => {
                    let (code, text) = fault(&error);
                    self.driver
                        .session()
                        .refuse_maildrop(pending, Some(code), text)?;
                }
            },
            Event::Retrieve { number, pending }
            | Event::Top {
                number, pending, ..
            } => match self.message(number).await {
                Ok(message) => {
                    let stream = self.driver.session().promise(pending, message.size())?;
                    self.sending = Some((stream, message));
                }
                Err(error) => {
                    let (code, text) = fault(&error);
                    self.driver
                        .session()
                        .unavailable(pending, Some(code), text)?;
                }
            },
            Event::Room(stream) => self.send(stream)?,
            Event::Sent(_) => self.sending = None,
            Event::Update { deletes, pending } => {
                let done = self.update(&deletes).await;
                let session = self.driver.session();
                match done {
                    Ok(()) => session.updated(pending)?,
                    Err(error) => {
                        let (code, text) = fault(&error);
                        session.not_updated(pending, Some(code), text)?;
                    }
                }
                self.open = None;
            }
            Event::Mistake(mistake) => {
                tracing::debug!(peer = %self.peer, %mistake, "pop3: mistake");
            }
            _ => {}
        }
        Ok(())
    }

    /// The maildrop of a user, unless another session has it.
    async fn open(&self, user: &str) -> Result<Option<(Open, Vec<Message>)>, StoreError> {
        let account = self
            .context
            .accounts
            .account(user)
            .await?
            .ok_or(StoreError::Missing("the account"))?
            .id;
        let Some(lock) = self.context.maildrops.lock(account) else {
            return Ok(None);
        };
        let (mailbox, entries) = self
            .context
            .store(move |store| {
                let inbox = store
                    .mailbox(account, "INBOX")?
                    .ok_or(StoreError::Missing("INBOX"))?;
                let entries = store.entries(inbox.id)?;
                Ok((inbox, entries))
            })
            .await?;
        let messages = entries.iter().filter_map(|entry| {
            let unique_id = format!("{}.{}", mailbox.uid_validity, entry.uid)
                .parse()
                .ok()?;
            Some(Message::new(entry.size, unique_id))
        });
        let messages = messages.collect();
        let open = Open {
            mailbox: mailbox.id,
            uids: entries.iter().map(|entry| entry.uid).collect(),
            _lock: lock,
        };
        Ok(Some((open, messages)))
    }

    /// Where a message of the open maildrop is.
    fn place(&self, number: MessageNumber) -> Option<(MailboxId, u32)> {
        let open = self.open.as_ref()?;
        Some((open.mailbox, *open.uids.get(number.index())?))
    }

    async fn message(&self, number: MessageNumber) -> Result<StoredMessage, StoreError> {
        let (mailbox, uid) = self
            .place(number)
            .ok_or(StoreError::Missing("the message"))?;
        self.context
            .store(move |store| store.message(mailbox, uid))
            .await
    }

    fn send(&mut self, stream: Stream) -> Result<(), Ended> {
        let Some((_, message)) = self
            .sending
            .as_mut()
            .filter(|(sending, _)| sending.is(&stream))
        else {
            return Ok(self.driver.session().abandon(stream)?);
        };
        match message.read(PIECE) {
            Ok(piece) => self.driver.session().send(stream, &piece)?,
            Err(error) => {
                tracing::error!(%error, "a message could not be read");
                self.driver.session().abandon(stream)?;
            }
        }
        Ok(())
    }

    async fn update(&self, deletes: &[MessageNumber]) -> Result<(), StoreError> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let mailbox = open.mailbox;
        let uids: Vec<u32> = deletes
            .iter()
            .filter_map(|number| self.place(*number))
            .map(|(_, uid)| uid)
            .collect();
        if uids.is_empty() {
            return Ok(());
        }
        self.context
            .store(move |store| store.expunge(mailbox, &uids))
            .await
            .map(drop)
    }
}

fn fault(error: &StoreError) -> (ResponseCode, &'static str) {
    tracing::error!(%error, "pop3: the store");
    match error {
        StoreError::Missing(_) => (ResponseCode::SysPerm, "it is no longer there"),
        _ => (
            ResponseCode::SysTemp,
            "the mail store cannot be reached; try again later",
        ),
    }
}
