//! Messages to one host by SMTP: the client's side, for the queue, the demo and `smtp-send`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mail_syntax::{ForwardPath, ReversePath};
use mail_wire::driver::tokio::Driver;
use mail_wire::{Transport, TransportError};
use rustls_pki_types::ServerName;
use sasl_core::client::Policy;
use sasl_core::{Credentials, Mechanism};
use smtp_proto::Reply;
use smtp_proto::client::{CommandError, Config, Envelope, Event, Recipient, Session, TlsPolicy};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::accounts::entropy;
use crate::store::{StoreError, StoredMessage};
use crate::tls::Trust;

/// How long the answer to QUIT is waited for.
const GOOD_BYE: Duration = Duration::from_secs(10);

/// Where to, and how.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The address of the server.
    pub address: SocketAddr,
    /// Its name, for its certificate.
    pub host: String,
    /// What we call ourselves.
    pub hello: mail_syntax::Host,
    /// When TLS begins, and whether it must.
    pub tls: TlsPolicy,
    /// Whom TLS trusts.
    pub trust: Trust,
    /// The local address to connect from.
    pub source: Option<IpAddr>,
    /// Who to log in as.
    pub credentials: Option<Credentials>,
}

/// Why a message did not go over, for now or for good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no connection.
    #[error("connecting to {address}: {error}")]
    Connect {
        /// To which address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The session broke.
    #[error(transparent)]
    Session(#[from] TransportError<smtp_proto::client::Error>),
    /// The server closed before it had answered.
    #[error("the server closed the connection before it had answered")]
    Closed,
    /// It refused the message, or the login.
    #[error("the server said: {0}")]
    Refused(Reply),
    /// What the message needs, the server does not offer.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The message could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name of the server cannot stand in a certificate, or TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// The login failed on our side.
    #[error("login: {0}")]
    Login(String),
}

impl SendError {
    /// Whether trying again is of no use.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused(reply) => reply.is_permanent(),
            // A session that is not ready is no fault of the message.
            Self::Command(error) => *error != CommandError::NotNow,
            _ => false,
        }
    }

    /// What the server said.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Refused(reply) => Some(reply),
            Self::Session(TransportError::Session(error)) => error.reply(),
            _ => None,
        }
    }
}

/// Where the octets of a message come from.
#[derive(Debug)]
pub enum Content {
    /// The store.
    Stored(Box<StoredMessage>),
    /// Memory.
    Octets(Vec<u8>),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Stored(message) => message.size(),
            Self::Octets(octets) => octets.len() as u64,
        }
    }

    fn next(&mut self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Stored(message) => message.read(64 * 1024),
            Self::Octets(octets) => Ok(std::mem::take(octets)),
        }
    }
}

/// Sends a message to recipients of one host, over a connection of its own; gives the server's answer for each of them.
///
/// # Errors
///
/// Why it did not go over to any of them.
pub async fn send(
    connection: Connection,
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    smtputf8: bool,
    content: Content,
) -> Result<Vec<Reply>, SendError> {
    let mut open = Open::connect(connection).await?;
    let mut envelope = Envelope::new(sender, recipients.into_iter().map(Recipient::from));
    envelope.parameters.smtputf8 = smtputf8;
    let sent = open.send(envelope, content).await;
    open.quit().await;
    sent
}

/// A connection that takes messages, one after the other.
#[derive(Debug)]
pub struct Open {
    driver: Driver<Session, TcpStream>,
    /// Of the last message.
    was_begun: bool,
    /// Of the last message: its sender was taken, and a recipient was answered.
    knew_recipients: bool,
}

impl Open {
    /// Connects, goes over to TLS, and logs in if there are credentials.
    ///
    /// # Errors
    ///
    /// Why no message can be sent.
    pub async fn connect(connection: Connection) -> Result<Self, SendError> {
        let mut driver = connect(&connection).await?;
        let mut credentials = connection.credentials;
        let mut refused = None;
        while let Some(event) = driver.next().await? {
            match event {
                Event::Ready(capabilities) => match credentials.take() {
                    Some(credentials) => {
                        let offered = capabilities.auth;
                        let tls = driver.session().tls().cloned();
                        let mechanism: Mechanism = Policy::default()
                            .choose(&offered, tls.as_ref())
                            .ok_or_else(|| SendError::Login("no mechanism in common".to_owned()))?;
                        driver.session().login(mechanism, credentials)?;
                    }
                    None => return Ok(Self::of(driver)),
                },
                Event::Derive(derivation) => {
                    let keys = tokio::task::spawn_blocking(move || derivation.run())
                        .await
                        .map_err(|error| SendError::Login(error.to_string()))?;
                    // Only a login that is already over does not want them.
                    let _ = driver.session().derived(keys);
                }
                Event::LoggedIn(_) => return Ok(Self::of(driver)),
                Event::LoginRefused(reply) => {
                    refused = Some(SendError::Refused(reply));
                    driver.session().quit()?;
                }
                Event::LoginFailed(failure) => {
                    refused = Some(SendError::Login(failure.to_string()));
                    driver.session().quit()?;
                }
                _ => {}
            }
        }
        Err(refused.unwrap_or(SendError::Closed))
    }

    const fn of(driver: Driver<Session, TcpStream>) -> Self {
        Self {
            driver,
            was_begun: false,
            knew_recipients: false,
        }
    }

    /// Whether it takes a message now. After an error that ended it, or that left a message unfinished, it does not.
    pub fn is_ready(&mut self) -> bool {
        self.driver.session().is_idle()
    }

    /// Whether the server has answered anything of the last message. Where it has not, it has taken nothing of it, and the message may
    /// go by another connection.
    #[must_use]
    pub const fn was_begun(&self) -> bool {
        self.was_begun
    }

    /// Whether an answer to the last message may be about its recipients: before that it is about us, or the sender.
    #[must_use]
    pub const fn knew_recipients(&self) -> bool {
        self.knew_recipients
    }

    /// How many messages the server takes on one connection (MAILMAX of RFC 9422), if it says so.
    pub fn most_messages(&mut self) -> Option<u32> {
        let limits = self.driver.session().extensions().limits;
        limits.and_then(|limits| limits.mail_max)
    }

    /// Whether the server tells senders what they want to be told (DSN, RFC 3461).
    pub fn offers_dsn(&mut self) -> bool {
        self.driver.session().extensions().dsn
    }

    /// Sends a message; gives the server's answer for each recipient.
    ///
    /// # Errors
    ///
    /// Why it did not go over to any of them. Where the connection was lost before the last octet of the message was sent, nobody has it.
    pub async fn send(
        &mut self,
        mut envelope: Envelope,
        mut content: Content,
    ) -> Result<Vec<Reply>, SendError> {
        (self.was_begun, self.knew_recipients) = (false, false);
        let mut is_sender_taken = false;
        // What the server has said since the last message was asked for by nobody; it is no answer to this one.
        match timeout(Duration::ZERO, self.driver.next()).await {
            Ok(Ok(None)) => return Err(SendError::Closed),
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(Some(_))) | Err(_) => {}
        }
        let mut answers: Vec<Option<Reply>> = vec![None; envelope.recipients.len()];
        envelope.parameters.size = Some(content.size());
        self.driver.session().send(envelope)?;
        let mut refused = None;
        while let Some(event) = self.driver.next().await? {
            let (accepted, replies) = match event {
                Event::MailReply(reply) => {
                    self.was_begun = true;
                    is_sender_taken = reply.is_positive();
                    continue;
                }
                Event::RecipientReply { index, reply } => {
                    self.knew_recipients = is_sender_taken;
                    if let Some(answer) = answers.get_mut(index) {
                        *answer = Some(reply);
                    }
                    continue;
                }
                Event::Room(stream) => {
                    let piece = content.next()?;
                    let session = self.driver.session();
                    // A mistake in the content ends the session, which says so itself.
                    let _ = match piece.is_empty() {
                        true => session.finish(stream),
                        false => session.content(stream, &piece),
                    };
                    continue;
                }
                Event::Delivered { accepted, replies } => (accepted, replies),
                Event::Refused { accepted, reply } => {
                    refused = Some(SendError::Refused(reply.clone()));
                    (accepted, vec![reply])
                }
                _ => continue,
            };
            for (at, index) in accepted.into_iter().enumerate() {
                let reply = replies.get(at).or_else(|| replies.first());
                if let (Some(answer), Some(reply)) = (answers.get_mut(index), reply) {
                    *answer = Some(reply.clone());
                }
            }
            break;
        }
        let whole: Option<Vec<Reply>> = answers.into_iter().collect();
        match (whole, refused) {
            (Some(answers), _) => Ok(answers),
            (None, Some(refused)) => Err(refused),
            (None, None) => Err(SendError::Closed),
        }
    }

    /// Says good-bye. How that goes changes nothing: all messages were answered.
    pub async fn quit(mut self) {
        if self.driver.session().quit().is_err() {
            return;
        }
        let closed = async { while let Ok(Some(_)) = self.driver.next().await {} };
        // A server that does not answer is left.
        let _ = timeout(GOOD_BYE, closed).await;
    }
}

async fn connect(connection: &Connection) -> Result<Driver<Session, TcpStream>, SendError> {
    let address = connection.address;
    let failed = |error| SendError::Connect { address, error };
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(failed)?;
    if let Some(source) = connection.source {
        socket.bind((source, 0).into()).map_err(failed)?;
    }
    // RFC 5321 §4.5.3.2.1 leaves the time for the connection itself to the system; a minute is enough to try the next host.
    let patience = Duration::from_secs(60);
    let stream = match timeout(patience, socket.connect(address)).await {
        Ok(stream) => stream.map_err(failed)?,
        Err(_) => return Err(failed(std::io::ErrorKind::TimedOut.into())),
    };
    let mut config = Config::new(connection.hello.clone());
    config.tls = connection.tls;
    let session = Session::new(config, entropy());
    let transport = Transport::new(session);
    if connection.tls == TlsPolicy::Never {
        return Ok(Driver::new(transport, stream));
    }
    let tls = |error: &dyn std::fmt::Display| SendError::Tls(error.to_string());
    let name =
        ServerName::try_from(connection.host.clone()).unwrap_or_else(|_| address.ip().into());
    let client = connection.trust.client(name).map_err(|error| tls(&error))?;
    let transport = match connection.tls {
        TlsPolicy::Implicit => transport.with_implicit_tls_client(client),
        _ => transport.with_start_tls_client(client),
    };
    Ok(Driver::new(transport, stream))
}
