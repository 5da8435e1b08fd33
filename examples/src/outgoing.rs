//! One message to one host by SMTP: the client's side, for the queue, the demo and `smtp-send`.

use std::net::{IpAddr, SocketAddr};

use mail_syntax::{ForwardPath, ReversePath};
use mail_wire::driver::tokio::Driver;
use mail_wire::{Transport, TransportError};
use rustls_pki_types::ServerName;
use sasl_core::client::Policy;
use sasl_core::{Credentials, Mechanism};
use smtp_proto::Reply;
use smtp_proto::client::{Config, Envelope, Event, Recipient, Session, TlsPolicy};
use tokio::net::{TcpSocket, TcpStream};

use crate::accounts::entropy;
use crate::store::{StoreError, StoredMessage};
use crate::tls::Trust;

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
    Command(#[from] smtp_proto::client::CommandError),
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
            Self::Command(_) => true,
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

/// Sends a message to recipients of one host; gives the server's answer for each of them.
///
/// # Errors
///
/// Why it did not go over to any of them.
pub async fn send(
    connection: Connection,
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    smtputf8: bool,
    mut content: Content,
) -> Result<Vec<Reply>, SendError> {
    let mut driver = connect(&connection).await?;
    let mut credentials = connection.credentials;
    let count = recipients.len();
    let mut envelope = Envelope::new(sender, recipients.into_iter().map(Recipient::from));
    envelope.parameters.size = Some(content.size());
    envelope.parameters.smtputf8 = smtputf8;
    let mut envelope = Some(envelope);
    let mut answers: Vec<Option<Reply>> = vec![None; count];
    let (mut refused, mut settled) = (None, false);
    loop {
        let event = match driver.next().await {
            Ok(Some(event)) => event,
            Ok(None) => break,
            // The server has answered for the message; how the good-bye went changes nothing.
            Err(_) if settled => break,
            Err(error) => return Err(error.into()),
        };
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
                None => begin(driver.session(), &mut envelope)?,
            },
            Event::Derive(derivation) => {
                let keys = tokio::task::spawn_blocking(move || derivation.run())
                    .await
                    .map_err(|error| SendError::Login(error.to_string()))?;
                // Only a login that is already over does not want them.
                let _ = driver.session().derived(keys);
            }
            Event::LoggedIn(_) => begin(driver.session(), &mut envelope)?,
            Event::LoginRefused(reply) => {
                refused = Some(SendError::Refused(reply));
                driver.session().quit()?;
            }
            Event::LoginFailed(failure) => {
                refused = Some(SendError::Login(failure.to_string()));
                driver.session().quit()?;
            }
            Event::RecipientReply { index, reply } => {
                if let Some(answer) = answers.get_mut(index) {
                    *answer = Some(reply);
                }
            }
            Event::Room(stream) => {
                let piece = content.next()?;
                let session = driver.session();
                // A mistake in the content ends the session, which says so itself.
                let _ = match piece.is_empty() {
                    true => session.finish(stream),
                    false => session.content(stream, &piece),
                };
            }
            Event::Delivered { accepted, replies } => {
                settled = true;
                for (at, index) in accepted.into_iter().enumerate() {
                    let reply = replies.get(at).or_else(|| replies.first());
                    if let (Some(answer), Some(reply)) = (answers.get_mut(index), reply) {
                        *answer = Some(reply.clone());
                    }
                }
                // A session that cannot say good-bye any more has ended, which the next turn tells.
                let _ = driver.session().quit();
            }
            Event::Refused { accepted, reply } => {
                settled = true;
                for index in accepted {
                    if let Some(answer) = answers.get_mut(index) {
                        *answer = Some(reply.clone());
                    }
                }
                refused = Some(SendError::Refused(reply));
                let _ = driver.session().quit();
            }
            _ => {}
        }
    }
    let whole: Option<Vec<Reply>> = answers.into_iter().collect();
    match (whole, refused) {
        (Some(answers), _) => Ok(answers),
        (None, Some(refused)) => Err(refused),
        (None, None) => Err(SendError::Closed),
    }
}

fn begin(session: &mut Session, envelope: &mut Option<Envelope>) -> Result<(), SendError> {
    match envelope.take() {
        Some(envelope) => Ok(session.send(envelope)?),
        None => Ok(()),
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
    let patience = std::time::Duration::from_secs(60);
    let stream = match tokio::time::timeout(patience, socket.connect(address)).await {
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
