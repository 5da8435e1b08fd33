//! What a client tells, and what ends it.

use mail_syntax::{ForwardPath, ReversePath};
use mail_wire::framing::BareLineEnd;
use mail_wire::{Stale, Stream, TooLong};
use sasl_core::Mechanism;
use sasl_core::client::{Derivation, DerivedKeys, Failure};

use crate::server;
use crate::{Extensions, MailParameters, RcptParameters, Reply, ReplyError};

/// One message's way: from whom, to whom, and what the server is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// Who gets the bounces.
    pub reverse_path: ReversePath,
    /// The parameters of MAIL. `size` is a promise: exactly so many octets are given to [`content`](super::Session::content), and
    /// `SIZE=` is said where it is offered. `AUTH=` is left out where it is not; everything else must be offered.
    pub parameters: MailParameters,
    /// Who gets the message.
    pub recipients: Vec<Recipient>,
}

impl Envelope {
    /// An envelope without parameters.
    #[must_use]
    pub fn new(
        reverse_path: impl Into<ReversePath>,
        recipients: impl IntoIterator<Item = Recipient>,
    ) -> Self {
        Self {
            reverse_path: reverse_path.into(),
            parameters: MailParameters::default(),
            recipients: recipients.into_iter().collect(),
        }
    }
}

impl From<server::Envelope> for Envelope {
    /// What came in as it goes out again; parameters that the next server may not offer included.
    fn from(envelope: server::Envelope) -> Self {
        let recipients = envelope.recipients.into_iter().map(|recipient| Recipient {
            forward_path: recipient.forward_path,
            parameters: recipient.parameters,
        });
        Self {
            reverse_path: envelope.reverse_path,
            parameters: envelope.parameters,
            recipients: recipients.collect(),
        }
    }
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// Where the mail goes.
    pub forward_path: ForwardPath,
    /// The parameters of RCPT.
    pub parameters: RcptParameters,
}

impl<P: Into<ForwardPath>> From<P> for Recipient {
    fn from(forward_path: P) -> Self {
        Self {
            forward_path: forward_path.into(),
            parameters: RcptParameters::default(),
        }
    }
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Greeted, under TLS where the policy and the server say so: [`login`](super::Session::login) or
    /// [`send`](super::Session::send). This is what the server offers.
    Ready(Extensions),
    /// Run this, on another thread if it must not block, and give the result to [`derived`](super::Session::derived).
    Derive(Derivation),
    /// The login succeeded; the keys, if there are any, spare the derivation at the next login.
    LoggedIn(Option<DerivedKeys>),
    /// The server refused the login.
    LoginRefused(Reply),
    /// The client broke the login off, and the server knows.
    LoginFailed(LoginFailure),
    /// What the server said to MAIL. Where it refuses, [`Refused`](Self::Refused) follows.
    MailReply(Reply),
    /// What the server said to one RCPT. Not told where MAIL was refused.
    RecipientReply {
        /// Which of [`Envelope::recipients`].
        index: usize,
        /// The reply.
        reply: Reply,
    },
    /// The server takes the content (more of it): [`content`](super::Session::content), then [`finish`](super::Session::finish).
    Room(Stream),
    /// The content went over, and this is what the server said. SMTP: one positive reply, for all who were accepted. LMTP: one
    /// reply, positive or not, for each of them, in the same order.
    Delivered {
        /// The accepted ones, as indices into [`Envelope::recipients`].
        accepted: Vec<usize>,
        /// One reply, or one for each.
        replies: Vec<Reply>,
    },
    /// The message was not taken, for this reason: the reply to MAIL, to the last recipient when none was accepted, to DATA, or to
    /// the content.
    Refused {
        /// Those whom the server had accepted before; the others have a reply of their own, unless MAIL was refused.
        accepted: Vec<usize>,
        /// The reply.
        reply: Reply,
    },
    /// What the server said to [`reset`](super::Session::reset).
    Reset(Reply),
}

/// Why the client broke a login off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The mechanism does not go on.
    #[error(transparent)]
    Sasl(#[from] Failure),
    /// A challenge is not base64.
    #[error("the server's challenge is not base64")]
    Base64,
}

/// Why a command was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The session is not ready, busy with something else, or over.
    #[error("not now: wait for Ready, or for the end of what was begun before")]
    NotNow,
    /// The server does not offer what this needs.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// The server takes no message of that size (RFC 1870 §6.1).
    #[error("{size} octets are more than the {limit} that the server takes")]
    TooLarge {
        /// The size of the message.
        size: u64,
        /// The server's limit.
        limit: u64,
    },
    /// An envelope without a recipient.
    #[error("a message without a recipient")]
    NoRecipient,
    /// A mailbox that is not ASCII in an envelope without SMTPUTF8.
    #[error("a mailbox that is not ASCII needs the parameter SMTPUTF8")]
    NeedsSmtpUtf8,
    /// Already logged in. RFC 4954 §4: "After an AUTH command has been successfully completed, no more AUTH commands may be issued
    /// in the same session."
    #[error("already logged in")]
    LoggedIn,
    /// The server does not offer this mechanism.
    #[error("the server does not offer {0}")]
    Mechanism(Mechanism),
    /// The login cannot begin.
    #[error(transparent)]
    Sasl(#[from] Failure),
}

/// Why content was not taken. But for [`Stale`](Self::Stale) the connection ends without an end of the content, so that no part of
/// it is taken for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The stream is another session's, or has ended. Nothing was changed.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// A bare CR or LF.
    #[error(transparent)]
    BareLineEnd(#[from] BareLineEnd),
    /// More than the envelope promised.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Less than the envelope promised.
    #[error("the content ends {owed} octets before the size that the envelope promised")]
    TooShort {
        /// What is missing.
        owed: u64,
    },
    /// An octet above 127 in a message that was declared as `BODY=7BIT`.
    #[error("an octet above 127 in a message of BODY=7BIT")]
    EightBit,
}

/// Why the session cannot go on. Send what is in `output`, then close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's fault, or its will.
    #[error("the server: {0}")]
    Peer(#[from] PeerError),
    /// The connection is not as protected as the policy asks for, or someone has meddled with it.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The application's fault.
    #[error("the application: {0}")]
    Misuse(#[from] Misuse),
}

impl Error {
    /// What the server said, where it said something.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Peer(
                PeerError::Closing(reply)
                | PeerError::Refused(reply)
                | PeerError::Unexpected { reply, .. },
            )
            | Self::Tls(TlsError::Refused(reply)) => Some(reply),
            _ => None,
        }
    }
}

/// What a server does to end a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// 421, which may come at any time (RFC 5321 §3.8).
    #[error("closes: {0}")]
    Closing(Reply),
    /// It refuses the session in its greeting, or in its reply to our name.
    #[error("refuses the session: {0}")]
    Refused(Reply),
    /// A reply to nothing, or one whose code has no place there.
    #[error("an unexpected reply {during}: {reply}")]
    Unexpected {
        /// Where.
        during: &'static str,
        /// What it said.
        reply: Reply,
    },
    /// Not a reply, or one beyond the limits.
    #[error("{0}")]
    Malformed(#[from] ReplyError),
    /// More octets in the replies to one message than [`Limits::replies`](super::Limits::replies).
    #[error("more than {limit} octets of replies to one message")]
    TooMuch {
        /// The limit.
        limit: usize,
    },
    /// It closed the connection while something was open.
    #[error("closed the connection {during}")]
    Closed {
        /// Where.
        during: &'static str,
    },
    /// It was silent for too long.
    #[error("is silent {during}")]
    Timeout {
        /// Where.
        during: &'static str,
    },
    /// The login succeeded, but the server could not show that it knows the password's keys: it may be an impostor.
    #[error("at the login: {0}")]
    Impostor(Failure),
}

/// Why the connection is not good enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The policy asks for TLS and the server does not offer STARTTLS.
    #[error("required, and the server does not offer STARTTLS")]
    NotOffered,
    /// The policy asks for TLS and the server refuses STARTTLS.
    #[error("required, and the server refuses STARTTLS: {0}")]
    Refused(Reply),
    /// The policy asks for TLS from the first octet, and the server spoke before it.
    #[error("required from the first octet, and the server speaks in the clear")]
    Implicit,
    /// Octets came in the clear behind the reply to STARTTLS: somebody puts words into the server's mouth.
    #[error("plaintext behind the reply to STARTTLS")]
    PlaintextAfterStartTls,
}

/// What an application does to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// Content or keys that never came.
    #[error("gave no {0} in time")]
    Unanswered(&'static str),
    /// Content that cannot be sent.
    #[error("{0}")]
    Content(#[from] ContentError),
}
