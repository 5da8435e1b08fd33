//! What the server's session tells and asks, and what it is configured with.

use crate::{
    Append, FetchItem, Flag, IdParameters, Keyword, List, Mailbox, NamespaceEntry, SearchKey,
    StatusItem, Store, Text, UidSet,
};
use bytes::Bytes;
use core::num::NonZeroU32;
use core::time::Duration;
use mail_wire::{Pending, Stream};

macro_rules! markers {
    ($($name:ident $doc:literal,)*) => {
        /// What a [`Pending`] answer is for.
        pub mod asked {
            $(
                #[doc = $doc]
                #[derive(Debug)]
                #[non_exhaustive]
                pub struct $name;
            )*
        }
    };
}

markers! {
    Greeting "Answered by `greet` or `turn_away`.",
    Auth "Answered by `password`, `stored_keys` or `authorized`, as the question says; `auth_unavailable` where that cannot be told.",
    Plain "Answered by `done` or `refuse`.",
    List "Answered by `listed` or `refuse`.",
    Status "Answered by `status` or `refuse`.",
    Select "Answered by `selected` or `refuse`.",
    Search "Answered by `found` or `refuse`.",
    Store "Answered by `stored` or `refuse`.",
    Copy "Answered by `copied` or `refuse`.",
    Expunge "Answered by `expunged_all` or `refuse`.",
    Append "Answered by `accept_append` or `refuse_append`.",
    Appended "Answered by `appended` or `refuse`.",
}

/// What happened, and what is asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected.
    Connected(Pending<asked::Greeting>),
    /// A question of SASL; LOGIN asks as PLAIN does.
    Auth(Pending<asked::Auth>, sasl_core::server::Question),
    /// The client has authenticated and is authorized.
    LoggedIn(Box<sasl_core::server::Success>),
    /// An authentication failed; the client was told.
    LoginFailed,
    /// The client told about itself (RFC 2971); it was answered.
    Id(IdParameters),
    /// LIST, and LSUB as a LIST of what is subscribed.
    List(Pending<asked::List>, List),
    /// CREATE, with the special uses asked for (RFC 6154).
    Create(Pending<asked::Plain>, Mailbox, Vec<Keyword>),
    /// DELETE
    Delete(Pending<asked::Plain>, Mailbox),
    /// RENAME
    Rename(Pending<asked::Plain>, Mailbox, Mailbox),
    /// SUBSCRIBE (true), UNSUBSCRIBE (false)
    Subscribe(Pending<asked::Plain>, Mailbox, bool),
    /// STATUS
    Status(Pending<asked::Status>, Mailbox, Vec<StatusItem>),
    /// SELECT, or EXAMINE: read-only. The mailbox selected before is no longer.
    Select {
        /// The answer.
        select: Pending<asked::Select>,
        /// Which.
        mailbox: Mailbox,
        /// EXAMINE.
        read_only: bool,
    },
    /// FETCH. The answer is given message by message: see [`Event::Room`].
    Fetch {
        /// Names it in `message`, `send` and `fetched`.
        fetch: Stream,
        /// The messages; none that the client does not know of.
        uids: UidSet,
        /// What of each.
        items: Vec<FetchItem>,
        /// Whether `\Seen` is to be set, as a section was asked for without PEEK.
        sets_seen: bool,
    },
    /// There is room: `send` what a literal still owes, or give the next `message`, or end by `fetched`.
    Room(Stream),
    /// STORE
    Store(Pending<asked::Store>, UidSet, Store),
    /// SEARCH; the key names messages by UID only.
    Search(Pending<asked::Search>, SearchKey),
    /// COPY
    Copy(Pending<asked::Copy>, UidSet, Mailbox),
    /// MOVE
    Move(Pending<asked::Copy>, UidSet, Mailbox),
    /// EXPUNGE; with UIDs, only of these.
    Expunge(Pending<asked::Expunge>, Option<UidSet>),
    /// CLOSE: what is deleted is to be removed without a word, unless it was opened read-only.
    Close {
        /// The answer.
        close: Pending<asked::Plain>,
        /// Whether to remove what is `\Deleted`.
        expunge: bool,
    },
    /// UNSELECT; it was answered.
    Unselect,
    /// NOOP or CHECK: tell what has changed (`exists`, `expunged`, `flags_changed`), then `done`.
    Sync(Pending<asked::Plain>),
    /// APPEND, before its message is sent.
    Append {
        /// The answer.
        append: Pending<asked::Append>,
        /// Where to, and with what.
        arguments: Append,
        /// The octets of the message.
        size: u64,
    },
    /// A piece of the message of an APPEND.
    Body(Bytes),
    /// The message of an APPEND is whole.
    AppendEnd(Pending<asked::Appended>),
    /// The message of an APPEND did not end as it should: nothing is to be kept.
    AppendAborted,
    /// IDLE began: what changes may be told at any time.
    Idle,
    /// IDLE ended.
    Done,
    /// A command was not understood; the client was told.
    Bad,
    /// The client says good-bye; it was answered.
    Logout,
}

/// A mailbox as it is when it is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxView {
    /// UIDVALIDITY
    pub uid_validity: NonZeroU32,
    /// The UID that the next message will get, at least.
    pub uid_next: NonZeroU32,
    /// The UIDs of all messages.
    pub uids: UidSet,
    /// The flags in use.
    pub flags: Vec<Flag>,
    /// The flags that can be kept; [`Flag::Any`] where new keywords may be made.
    pub permanent_flags: Vec<Flag>,
    /// The first unseen message, for RFC 3501.
    pub first_unseen: Option<u32>,
    /// Whether nothing can be changed.
    pub read_only: bool,
}

/// Why a command is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The response code.
    pub code: Option<crate::Code>,
    /// The text.
    pub text: Text,
}

impl Refusal {
    /// A refusal with a word of RFC 5530.
    #[must_use]
    pub fn new(word: crate::Word, text: &str) -> Self {
        Self {
            code: Some(crate::Code::Word(word)),
            text: Text::lossy(text),
        }
    }
}

/// Bounds of what is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a line before login. Default: 8,192 (RFC 7162 §4). Raising it lets strangers hold that much memory.
    pub line_before_login: usize,
    /// Octets of a line after login. Default: 65,536. Raising it costs that much memory for each session.
    pub line: usize,
    /// Octets of a literal before login. Default: 4,096, enough for a password.
    pub literal_before_login: u64,
    /// Octets of a literal after login, APPEND's message apart. Default: 131,072.
    pub literal: u64,
    /// Octets of a command in all before login. Default: 8,192.
    pub command_before_login: usize,
    /// Octets of a command in all after login, APPEND's message apart. Default: 1 MiB.
    pub command: usize,
    /// Literals in one command. Default: 1,000.
    pub literals: u32,
    /// Octets of a message of APPEND. Default: 50 MiB; the session holds none of it.
    pub append: u64,
    /// Changes of flags that wait to be told to the client. Default: 10,000, about 1 MiB.
    pub flag_changes: usize,
    /// Commands not understood before the session ends. Default: 20.
    pub bad_commands: u32,
    /// Failed logins before the session ends. Default: 3.
    pub failed_logins: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_before_login: 8_192,
            line: 65_536,
            literal_before_login: 4_096,
            literal: 131_072,
            command_before_login: 8_192,
            command: 1 << 20,
            literals: 1_000,
            append: 50 << 20,
            flag_changes: 10_000,
            bad_commands: 20,
            failed_logins: 3,
        }
    }
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the client before login. Default: 60 s.
    pub before_login: Duration,
    /// For the client after login. Default: 30 min (RFC 9051 §5.4).
    pub idle: Duration,
    /// For an answer of the application. Default: 5 min.
    pub application: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            before_login: Duration::from_secs(60),
            idle: Duration::from_secs(30 * 60),
            application: Duration::from_secs(300),
        }
    }
}

/// What a server is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// What SASL offers; PLAIN also switches LOGIN on.
    pub sasl: sasl_core::server::ServerConfig,
    /// Whether STARTTLS is offered on a connection without TLS. Default: true.
    pub start_tls: bool,
    /// What ID answers. Default: `NIL`.
    pub id: IdParameters,
    /// Personal, other users' and shared namespaces. Default: one personal, no prefix, delimiter `/`.
    pub namespaces: [Vec<NamespaceEntry>; 3],
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
}

impl Config {
    /// The defaults, with this SASL.
    #[must_use]
    pub fn new(sasl: sasl_core::server::ServerConfig) -> Self {
        let personal = NamespaceEntry {
            prefix: Vec::new(),
            delimiter: Some('/'),
            extended: Vec::new(),
        };
        Self {
            sasl,
            start_tls: true,
            id: None,
            namespaces: [vec![personal], Vec::new(), Vec::new()],
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Why the session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client sent more than it may, or waited too long; it was told by BYE.
    #[error("the peer: {0}")]
    Peer(&'static str),
    /// The application did not keep to the contract.
    #[error("misuse: {0}")]
    Misuse(&'static str),
}

/// An answer that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The question is not open.
    #[error(transparent)]
    Stale(#[from] mail_wire::Stale),
    /// More octets than were promised.
    #[error(transparent)]
    TooLong(#[from] mail_wire::TooLong),
    /// A literal still owes octets: `send` them first.
    #[error("a literal still owes {0} octets: send them first")]
    Owed(u64),
}
