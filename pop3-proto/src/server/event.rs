//! What a server session tells, and why it ends.

use mail_wire::framing::LineTooLong;
use mail_wire::{Pending, Stream};
use sasl_core::server::{Failure, Question};
use sasl_core::{Identity, Mechanism};

use crate::command::{InvalidCommand, MessageNumber};

/// The kinds of answers that are owed.
pub mod kind {
    /// Answered by [`greet`](crate::server::Session::greet) or [`refuse`](crate::server::Session::refuse).
    #[derive(Debug)]
    pub enum Connected {}
    /// Answered by [`stored_keys`](crate::server::Session::stored_keys), [`password`](crate::server::Session::password) or
    /// [`authorized`](crate::server::Session::authorized), as the question is; or by
    /// [`auth_unavailable`](crate::server::Session::auth_unavailable).
    #[derive(Debug)]
    pub enum Auth {}
    /// Answered by [`maildrop`](crate::server::Session::maildrop) or [`refuse_maildrop`](crate::server::Session::refuse_maildrop).
    #[derive(Debug)]
    pub enum OpenMaildrop {}
    /// Answered by [`promise`](crate::server::Session::promise) or [`unavailable`](crate::server::Session::unavailable).
    #[derive(Debug)]
    pub enum Retrieve {}
    /// Answered by [`updated`](crate::server::Session::updated) or [`not_updated`](crate::server::Session::not_updated).
    #[derive(Debug)]
    pub enum Update {}
}

/// What happened, for the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is there and awaits the greeting.
    Connected(Pending<kind::Connected>),
    /// A login needs what only the application knows.
    Auth {
        /// What is asked.
        question: Question,
        /// The answer.
        pending: Pending<kind::Auth>,
    },
    /// A client has authenticated and is authorized; [`OpenMaildrop`](Self::OpenMaildrop) follows.
    Authenticated {
        /// Who it is.
        authcid: Identity,
        /// Whom it acts as, where it said so.
        authzid: Option<Identity>,
        /// The mechanism of AUTH; `None`: USER and PASS.
        mechanism: Option<Mechanism>,
    },
    /// A login failed, and the client was told. For the log, and for whoever counts them by address.
    AuthenticationFailed {
        /// Why.
        reason: LoginFailure,
    },
    /// The maildrop is to be opened and locked. RFC 1939 §4: "the POP3 server then acquires an exclusive-access lock on the maildrop"
    OpenMaildrop {
        /// Whose: the authorization identity where one was asked for, else who authenticated.
        user: Identity,
        /// The answer.
        pending: Pending<kind::OpenMaildrop>,
    },
    /// RETR: a message is to be sent whole.
    Retrieve {
        /// Which.
        number: MessageNumber,
        /// The answer.
        pending: Pending<kind::Retrieve>,
    },
    /// TOP: a message's header and first lines are to be sent. The session cuts; promise and give the whole message, until
    /// [`Sent`](Self::Sent).
    Top {
        /// Which.
        number: MessageNumber,
        /// How many lines of the body are wanted: a hint.
        lines: u32,
        /// The answer.
        pending: Pending<kind::Retrieve>,
    },
    /// There is room for more of a promised message: [`send`](crate::server::Session::send).
    Room(Stream),
    /// Nothing more of this message is wanted: it is in the output whole, or as far as TOP wants it.
    Sent(Stream),
    /// QUIT: these messages are to be deleted and the lock released. Comes once, with an empty list too; not for a connection that
    /// was lost, whose lock is released when the session ends.
    Update {
        /// The messages that are marked, in order.
        deletes: Vec<MessageNumber>,
        /// The answer.
        pending: Pending<kind::Update>,
    },
    /// The client made a mistake and was answered by -ERR. For the log.
    Mistake(Mistake),
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The exchange says so.
    #[error(transparent)]
    Sasl(#[from] Failure),
    /// The client took it back by `*` (RFC 5034 §4).
    #[error("the client cancelled the exchange")]
    Cancelled,
    /// An initial response with a mechanism where the server speaks first (RFC 5034 §4).
    #[error("this mechanism takes no initial response")]
    InitialResponse,
    /// What the client sent is not base64.
    #[error("the client's message is not base64")]
    Base64,
    /// A line of the exchange that is too long.
    #[error(transparent)]
    Line(#[from] LineTooLong),
    /// A line of the exchange that ended in LF alone.
    #[error("a line that ends in LF without CR")]
    BareLf,
}

/// What a client did wrong, and may mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// A line that is no command.
    #[error(transparent)]
    Command(#[from] InvalidCommand),
    /// A line that is too long.
    #[error(transparent)]
    Line(#[from] LineTooLong),
    /// A line that ended in LF alone.
    #[error("a line that ends in LF without CR")]
    BareLf,
    /// A command that is not offered, here or at all.
    #[error("{0} is not offered on this connection")]
    NotOffered(&'static str),
    /// A command that has no place in this state.
    #[error("{0} has no place in this state")]
    OutOfPlace(&'static str),
    /// A message that is not there, or is marked as deleted.
    #[error("no message {0}")]
    NoSuchMessage(MessageNumber),
}

/// Why a session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client was silent for longer than [`Timeouts::command`](super::Timeouts::command).
    #[error("the client was silent for too long")]
    Idle,
    /// The client did not log in within [`Timeouts::login`](super::Timeouts::login).
    #[error("the client did not log in in time")]
    NoLogin,
    /// The client made more mistakes than [`Limits::mistakes`](super::Limits::mistakes).
    #[error("the client made too many mistakes")]
    TooManyMistakes,
    /// The application broke the contract.
    #[error("the application: {0}")]
    Misuse(#[from] Misuse),
}

/// How the application broke the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// It did not answer within [`Timeouts::application`](super::Timeouts::application).
    #[error("no answer came in time: answer each event")]
    Unanswered,
    /// It gave a message up that it had promised.
    #[error("a promised message was given up")]
    Abandoned,
    /// It answered another question than the one that was asked.
    #[error("an answer to another question: answer the one of the event")]
    WrongAnswer,
    /// It put a layer below the session that was not asked for.
    #[error("a layer that was not asked for: wait for Step::Upgrade")]
    Layer,
}

/// Why a piece of a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The stream has ended, or belongs to another session.
    #[error(transparent)]
    Stale(#[from] mail_wire::Stale),
    /// More than was promised.
    #[error(transparent)]
    TooLong(#[from] mail_wire::TooLong),
}
