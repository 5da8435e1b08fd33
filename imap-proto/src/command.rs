//! Commands.

use crate::{DateTime, FetchItem, Flag, InvalidValue, Keyword, Mailbox, Search, SequenceSet};
use core::fmt;
use mail_wire::Secret;

/// A tag: what ties a response to its command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for Tag {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // RFC 9051 §9: tag = 1*<any ASTRING-CHAR except "+">
        if text.is_empty() || !text.bytes().all(crate::reader::is_tag_char) {
            return Err(InvalidValue::new(
                "tag",
                "ASTRING-CHARs without '+' are needed (RFC 9051 §9)",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command with its tag.
#[derive(Debug)]
pub struct Command {
    /// The tag.
    pub tag: Tag,
    /// What is to be done.
    pub body: CommandBody,
}

/// What is to be done (RFC 9051 §6, with what RFC 3501 had besides).
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are those of RFC 9051 §6")]
pub enum CommandBody {
    Capability,
    Noop,
    Logout,
    StartTls,
    Login {
        user: Vec<u8>,
        password: Secret<Vec<u8>>,
    },
    Authenticate {
        mechanism: String,
        /// Still in base64; `=` is the empty response (RFC 4959).
        initial: Option<Secret<Vec<u8>>>,
    },
    Enable(Vec<String>),
    Id(IdParameters),
    Namespace,
    List(List),
    Lsub {
        reference: Vec<u8>,
        pattern: Vec<u8>,
    },
    Create {
        mailbox: Mailbox,
        /// `USE` (RFC 6154).
        special_use: Vec<Keyword>,
    },
    Delete(Mailbox),
    Rename(Mailbox, Mailbox),
    Subscribe(Mailbox),
    Unsubscribe(Mailbox),
    Select(Mailbox),
    Examine(Mailbox),
    Status(Mailbox, Vec<StatusItem>),
    /// The message is the literal at the end; with a streamed message it is not here.
    Append {
        append: Append,
        message: Vec<u8>,
    },
    Check,
    Close,
    Unselect,
    Expunge,
    UidExpunge(SequenceSet),
    Search {
        uid: bool,
        search: Search,
    },
    Fetch {
        uid: bool,
        set: SequenceSet,
        items: Vec<FetchItem>,
    },
    Store {
        uid: bool,
        set: SequenceSet,
        store: Store,
    },
    Copy {
        uid: bool,
        set: SequenceSet,
        mailbox: Mailbox,
    },
    Move {
        uid: bool,
        set: SequenceSet,
        mailbox: Mailbox,
    },
    Idle,
}

/// Names and values of ID; `None` is `NIL`.
pub type IdParameters = Option<Vec<(Vec<u8>, crate::NString)>>;

/// Where an APPEND goes, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// The flags it gets.
    pub flags: Vec<Flag>,
    /// Its internal date; `None` is now.
    pub date: Option<DateTime>,
}

/// How flags change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What is done.
    pub mode: StoreMode,
    /// Whether the new value is not sent back.
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// A LIST (RFC 9051 §6.3.9, RFC 5258).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// Which mailboxes.
    pub select: Vec<ListSelect>,
    /// The reference name, in the charset of mailbox names as sent.
    pub reference: Vec<u8>,
    /// The patterns, at least one.
    pub patterns: Vec<Vec<u8>>,
    /// What is told of them; `None` where RETURN is not there.
    pub returns: Option<Vec<ListReturn>>,
    /// Whether parentheses stand around the patterns.
    pub extended_patterns: bool,
}

/// A selection option of LIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListSelect {
    /// `SUBSCRIBED`
    Subscribed,
    /// `REMOTE`
    Remote,
    /// `RECURSIVEMATCH`
    RecursiveMatch,
    /// `SPECIAL-USE` (RFC 6154)
    SpecialUse,
}

/// A return option of LIST.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListReturn {
    /// `SUBSCRIBED`
    Subscribed,
    /// `CHILDREN`
    Children,
    /// `SPECIAL-USE` (RFC 6154)
    SpecialUse,
    /// `STATUS (...)` (RFC 5819)
    Status(Vec<StatusItem>),
}

/// What STATUS can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT` (RFC 3501)
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE`
    Size,
}

impl StatusItem {
    /// The name as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        [
            Self::Messages,
            Self::Recent,
            Self::UidNext,
            Self::UidValidity,
            Self::Unseen,
            Self::Deleted,
            Self::Size,
        ]
        .into_iter()
        .find(|item| item.as_str().as_bytes().eq_ignore_ascii_case(name))
    }
}
