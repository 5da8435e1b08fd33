//! What a server session says.

use bytes::Bytes;
use mail_syntax::{ForwardPath, Host, ReversePath};
use mail_wire::Pending;
use mail_wire::framing::LineEndings;
use sasl_core::Identity;
use sasl_core::server::{Failure, Question};

use crate::{MailParameters, RcptParameters, Reply};

/// What a [`Pending`] asks for.
pub mod asked {
    macro_rules! kinds {
        ($($(#[$doc:meta])* $name:ident)*) => {
            $(
                $(#[$doc])*
                #[derive(Debug)]
                pub struct $name;
                impl Sealed for $name {}
            )*
        };
    }

    /// What [`Session::accept`](super::super::Session::accept) and [`Session::reject`](super::super::Session::reject) answer.
    pub trait Decision: Sealed {}

    mod sealed {
        pub trait Sealed {}
    }
    use sealed::Sealed;

    kinds! {
        /// Whether the client is welcome.
        Greeting
        /// Whether its HELO, EHLO or LHLO is.
        Hello
        /// Whether mail is taken from this sender.
        Mail
        /// Whether mail is taken for this recipient.
        Rcpt
        /// Whether the message may come.
        Data
        /// Who answers for the message from now on.
        Delivery
        /// Whether there is such a user.
        Vrfy
        /// An answer to a [`Question`](sasl_core::server::Question).
        Auth
    }

    impl Decision for Greeting {}
    impl Decision for Hello {}
    impl Decision for Mail {}
    impl Decision for Rcpt {}
    impl Decision for Data {}
    impl Decision for Delivery {}
    impl Decision for Vrfy {}
}

/// What happened.
///
/// Each transaction whose MAIL was accepted ends in exactly one [`EndOfData`](Self::EndOfData) or [`Aborted`](Self::Aborted).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is there. Accept greets it with 220. Reject with 554, and it may only say QUIT; with 421, and it is over.
    Connected(Pending<asked::Greeting>),
    /// The client names itself.
    Hello {
        /// By what name, and how.
        hello: Hello,
        /// Accept, or reject.
        pending: Pending<asked::Hello>,
    },
    /// MAIL: a transaction begins when it is accepted.
    Mail {
        /// The sender.
        reverse_path: ReversePath,
        /// What followed the path; each is of an extension that is offered.
        parameters: MailParameters,
        /// Accept, or reject.
        pending: Pending<asked::Mail>,
    },
    /// RCPT.
    Rcpt {
        /// The recipient.
        forward_path: ForwardPath,
        /// What followed the path; each is of an extension that is offered.
        parameters: RcptParameters,
        /// Accept, or reject.
        pending: Pending<asked::Rcpt>,
    },
    /// DATA, or the first BDAT: the message is about to come. Accept answers 354 to DATA; reject ends the transaction.
    Data(Pending<asked::Data>),
    /// A piece of the message, unstuffed; where it is cut means nothing.
    Body(Bytes),
    /// The message is complete and within its limits; the [`envelope`](super::Session::envelope) is there until the answer. Accept
    /// takes over the responsibility for it (RFC 5321 §4.2.5), so write it to disk first. In LMTP each recipient has an answer:
    /// [`deliver_each`](super::Session::deliver_each).
    EndOfData {
        /// The octets of the message.
        octets: u64,
        /// Its line ends; canonical, or made so, except in BINARYMIME.
        line_endings: LineEndings,
        /// Accept, or reject.
        pending: Pending<asked::Delivery>,
    },
    /// VRFY, where [`Config::vrfy`](super::Config::vrfy) is on. Accept answers 252; a user's full name goes by
    /// [`accept_with`](super::Session::accept_with).
    Vrfy {
        /// What is to be verified.
        string: String,
        /// Accept, or reject.
        pending: Pending<asked::Vrfy>,
    },
    /// AUTH asks what only the application knows.
    Auth {
        /// The question; it names the method that answers it.
        question: Question,
        /// Spent by [`stored_keys`](super::Session::stored_keys), [`password`](super::Session::password),
        /// [`authorized`](super::Session::authorized) or [`auth_unavailable`](super::Session::auth_unavailable).
        pending: Pending<asked::Auth>,
    },
    /// The client has authenticated; 235 is on its way.
    Authenticated(Login),
    /// It has not; it was told so.
    AuthenticationFailed(AuthFailure),
    /// The transaction is lost: forget what came of the message.
    Aborted(Abort),
    /// The client made a mistake, which was answered. A message that is refused for a CR or LF that stands alone is one too, told behind
    /// its [`Aborted`](Self::Aborted).
    Mistake {
        /// What it did.
        cause: Mistake,
        /// The answer.
        reply: Reply,
        /// Past [`Limits::soft_errors`](super::Limits::soft_errors): wait a second before polling again, so that it costs the client
        /// something.
        is_too_many: bool,
    },
}

/// How a client names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The name, as it says.
    pub host: Host,
    /// EHLO or LHLO, and not HELO.
    pub is_extended: bool,
}

/// A client that has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Who it is.
    pub authcid: Identity,
    /// Whom it acts as, where it said so.
    pub authzid: Option<Identity>,
}

impl Login {
    /// Whom the client acts as: itself, unless it said otherwise.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.authzid.as_ref().unwrap_or(&self.authcid)
    }
}

/// Why an authentication failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthFailure {
    /// By the mechanism.
    #[error(transparent)]
    Sasl(#[from] Failure),
    /// The client sent `*`.
    #[error("the client cancelled")]
    Cancelled,
    /// The client sent what is no line of base64.
    #[error("the client's response is no line of base64")]
    Encoding,
    /// The client sent more than [`Limits::auth_line`](super::Limits::auth_line).
    #[error("the client's response is longer than Limits::auth_line")]
    TooLong,
    /// The application could not answer.
    #[error("the application could not answer")]
    Unavailable,
}

/// What a client did wrong, and may mend.
///
/// That it did not wait for a reply is none of them: see [`Session::did_not_wait`](super::Session::did_not_wait).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// A command that is not known. It says nothing of the client (RFC 5321 §3.8: "Servers are expected to be tolerant of unknown
    /// commands").
    #[error("a command that is not known")]
    UnknownCommand,
    /// A line that cannot be meant as a command: it begins as a request of HTTP, as a field of a message's header, or with no letter.
    /// Someone sends another protocol through the client, or it does not listen and sends a message that was refused. HTTP before the
    /// greeting of the client ends the session instead ([`Error::CrossProtocol`](super::Error::CrossProtocol)).
    #[error("a line of another protocol, or of a message")]
    ForeignCommand,
    /// A known command with an argument or a parameter that cannot be read (RFC 5321 §4.1.2).
    #[error("a command that is malformed")]
    Syntax,
    /// A line of more than [`Limits::command_line`](super::Limits::command_line) octets (RFC 5321 §4.5.3.1.4).
    #[error("a line that is too long")]
    LineTooLong,
    /// A CR or LF that stands alone, in a command or a message (RFC 5321 §2.3.8).
    #[error("a CR or LF that stands alone")]
    BareNewline,
    /// A command that has no place here (RFC 5321 §4.1.4). An honest client that pipelines makes it as well: where MAIL is refused, its
    /// RCPTs have no place.
    #[error("a command out of order")]
    OutOfOrder,
    /// A command, mechanism or parameter that is not offered, here or at all (RFC 5321 §2.2.1).
    #[error("something that is not offered")]
    NotOffered,
    /// A command that needs TLS first (RFC 3207 §4) or a login (RFC 6409 §4.3).
    #[error("a command that needs TLS or a login")]
    NotYet,
    /// A size (RFC 1870 §6.1) or a number of recipients (RFC 5321 §4.5.3.1.10) beyond what the server takes.
    #[error("more than is taken")]
    TooMuch,
    /// Anything but QUIT after the greeting 554 (RFC 5321 §3.1).
    #[error("a command after it was turned away")]
    TurnedAway,
}

/// Why a transaction was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// RSET, or a new EHLO, HELO or LHLO.
    Reset,
    /// QUIT.
    Quit,
    /// STARTTLS.
    StartTls,
    /// DATA, or the message, was refused with this reply.
    Refused(Reply),
    /// The connection ended, or the session with an error.
    Ended,
}

/// A transaction: sender and recipients so far (RFC 5321 §3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The sender.
    pub reverse_path: ReversePath,
    /// What came with MAIL.
    pub parameters: MailParameters,
    /// The recipients that were accepted, in order.
    pub recipients: Vec<Recipient>,
}

/// A recipient of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The recipient.
    pub forward_path: ForwardPath,
    /// What came with RCPT.
    pub parameters: RcptParameters,
}
