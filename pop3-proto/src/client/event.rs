//! What a client session tells, and why it ends.

use bytes::Bytes;
use mail_wire::Pending;
use mail_wire::framing::LineTooLong;
use sasl_core::client::{Authenticated, Derivation, Failure};

use crate::capability::Capability;
use crate::command::{InvalidCommand, MessageNumber};
use crate::maildrop::UniqueId;
use crate::reply::{InvalidReply, Reply};

/// The kinds of answers that are owed.
pub mod kind {
    /// Answered by [`derived`](crate::client::Session::derived).
    #[derive(Debug)]
    pub enum Derive {}
}

/// Names a command that was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub(super) u64);

/// What happened, for the application. Each command ends with one event that has its id.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server greets; where that is `-ERR`, the session is over.
    Greeting(Reply),
    /// A command was answered by `-ERR`.
    Refused {
        /// The command.
        id: CommandId,
        /// What the server says.
        reply: Reply,
    },
    /// DELE, NOOP, RSET or QUIT was answered by `+OK`.
    Done {
        /// The command.
        id: CommandId,
        /// What the server says.
        reply: Reply,
    },
    /// What the server can do.
    Capabilities {
        /// The command.
        id: CommandId,
        /// In the server's order.
        capabilities: Vec<Capability>,
    },
    /// TLS stands. What was known of the server is forgotten; ask for its capabilities anew.
    TlsStarted {
        /// The command.
        id: CommandId,
    },
    /// A login needs work that takes milliseconds: [run](Derivation::run) it, and answer.
    Derive {
        /// The command.
        id: CommandId,
        /// The work.
        work: Derivation,
        /// The answer.
        pending: Pending<kind::Derive>,
    },
    /// The maildrop is open.
    Authenticated {
        /// The command.
        id: CommandId,
        /// What the exchange gave; `None` for USER and PASS.
        authenticated: Option<Authenticated>,
    },
    /// The client broke a login off; the session goes on.
    AuthenticationFailed {
        /// The command.
        id: CommandId,
        /// Why.
        reason: LoginFailure,
    },
    /// STAT.
    Stat {
        /// The command.
        id: CommandId,
        /// How many messages there are.
        messages: u32,
        /// How many octets they have.
        octets: u64,
    },
    /// LIST, of one message or all.
    Sizes {
        /// The command.
        id: CommandId,
        /// The octets of each.
        sizes: Vec<(MessageNumber, u64)>,
    },
    /// UIDL, of one message or all.
    UniqueIds {
        /// The command.
        id: CommandId,
        /// The unique id of each.
        unique_ids: Vec<(MessageNumber, UniqueId)>,
    },
    /// RETR or TOP was answered by `+OK`; the message follows.
    Message {
        /// The command.
        id: CommandId,
        /// What the server says.
        reply: Reply,
    },
    /// A piece of the message, dots unstuffed; where it is cut means nothing.
    Body(Bytes),
    /// The message is complete. Without this event it is not.
    EndOfMessage {
        /// The command.
        id: CommandId,
    },
}

/// Why a client broke a login off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailure {
    /// A challenge that is not base64, or is not the empty one that makes room for the initial response.
    #[error("the server's challenge is not base64, or not the empty one that must come first")]
    Challenge,
    /// The exchange says so.
    #[error(transparent)]
    Sasl(#[from] Failure),
}

/// Why a command was not queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotQueued {
    /// An argument cannot stand in a command.
    #[error(transparent)]
    Command(#[from] InvalidCommand),
    /// The policy and the server have no mechanism in common on this connection.
    #[error("no SASL mechanism is both offered and allowed here: ask for capabilities, start TLS")]
    NoMechanism,
    /// The exchange cannot begin.
    #[error(transparent)]
    Sasl(#[from] Failure),
    /// The policy forbids a password without TLS.
    #[error("a password may not cross this connection: start TLS")]
    Plaintext,
    /// TLS stands already.
    #[error("TLS stands already")]
    TlsStands,
    /// More commands than [`Limits::commands`](super::Limits::commands) wait.
    #[error("too many commands wait: take their answers")]
    Full,
    /// QUIT was queued, or the session is over.
    #[error("no command goes behind QUIT")]
    Over,
}

/// Why a session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server broke the protocol.
    #[error("the server: {0}")]
    Peer(#[from] Peer),
    /// The server was silent for longer than [`Timeouts::response`](super::Timeouts::response).
    #[error("the server was silent for too long")]
    Silent,
    /// No command came for [`Timeouts::idle`](super::Timeouts::idle).
    #[error("the connection was not used for too long")]
    Idle,
    /// The connection ended before what was asked was answered.
    #[error("the connection ended before an answer was complete")]
    Lost,
    /// The application did not answer in time.
    #[error("the application gave no answer in time")]
    Unanswered,
    /// The application put a layer below the session that was not asked for.
    #[error("a layer that was not asked for: wait for Step::Upgrade")]
    Layer,
}

/// How the server broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Peer {
    /// A line that is too long.
    #[error(transparent)]
    Line(#[from] LineTooLong),
    /// A line that is no reply.
    #[error(transparent)]
    Reply(#[from] InvalidReply),
    /// A reply to no command.
    #[error("a reply to no command: {0}")]
    Unasked(Reply),
    /// A line of an answer that is not as it must be.
    #[error("a malformed answer to {0}")]
    Malformed(&'static str),
    /// More lines or octets than the limits allow.
    #[error("an answer to {0} that is too long")]
    TooLong(&'static str),
    /// A challenge where none belongs.
    #[error("a challenge behind the end of a login")]
    Challenge,
    /// Plaintext behind the answer to STLS: someone may have put it there.
    #[error("plaintext came behind the answer to STLS: someone may stand in between")]
    PlaintextAfterStls,
    /// It could not prove that it knows the password.
    #[error(transparent)]
    Sasl(#[from] Failure),
}
