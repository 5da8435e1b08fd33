//! Responses.

use crate::{
    ExtensionValue, FetchValue, Flag, IdParameters, InvalidValue, Keyword, Mailbox, StatusItem,
    Tag, UidSet,
};
use core::fmt;
use core::num::NonZeroU32;

use mail_wire::framing::literal_mark;

/// A response of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// `+`: text, or a challenge in base64; which it is depends on the command.
    Continue(Vec<u8>),
    /// `*`: data, or a status of no command.
    Data(Data),
    /// The end of a command.
    Tagged(Tag, Status),
}

/// The human-readable text of a status: no control characters; no `[` at its beginning, which would begin a code; and no `{8}` or the like
/// at its end, for which whoever cuts the stream into lines would wait for a literal (RFC 9051 §4.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(Box<str>);

impl Text {
    /// The text with `?` for what cannot stand in it; a `[` at its beginning becomes `(`, the brace of a literal at its end `)`.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut clean: String = text
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        if clean.starts_with('[') {
            clean.replace_range(..1, "(");
        }
        if literal_mark(clean.as_bytes()).is_some() {
            clean.replace_range(clean.len() - 1.., ")");
        }
        Self(clean.into())
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for Text {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_mark = literal_mark(text.as_bytes()).is_some();
        if text.chars().any(char::is_control) || text.starts_with('[') || is_mark {
            return Err(InvalidValue::new(
                "response text",
                "control characters, '[' as the first, and '{n}' as the last are not allowed",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// OK, NO, BAD, and for greetings and farewells PREAUTH and BYE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which.
    pub kind: StatusKind,
    /// The response code.
    pub code: Option<Code>,
    /// The text.
    pub text: Text,
}

/// The word of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusKind {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// A greeting: already authenticated.
    PreAuth,
    /// The connection ends.
    Bye,
}

impl StatusKind {
    /// The word as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::PreAuth => "PREAUTH",
            Self::Bye => "BYE",
        }
    }
}

/// A response code (RFC 9051 §7.1, RFC 5530, RFC 4315).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// `BADCHARSET`, with those that are supported.
    BadCharset(Vec<Vec<u8>>),
    /// `CAPABILITY`
    Capability(Vec<Capability>),
    /// `PERMANENTFLAGS`
    PermanentFlags(Vec<Flag>),
    /// `UIDNEXT`
    UidNext(NonZeroU32),
    /// `UIDVALIDITY`
    UidValidity(NonZeroU32),
    /// `UNSEEN` (RFC 3501)
    Unseen(NonZeroU32),
    /// `APPENDUID`
    AppendUid(NonZeroU32, UidSet),
    /// `COPYUID`
    CopyUid(CopyUid),
    /// One that is a word alone.
    Word(Word),
    /// One that is not known here: its name, and the octets behind it.
    Other(String, Option<Vec<u8>>),
}

/// Where copies came from and went to (RFC 4315): the nth number of `source` became the nth of `destination`, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyUid {
    /// UIDVALIDITY of the destination.
    pub uid_validity: NonZeroU32,
    /// UIDs in the source, as ranges in the order given.
    pub source: Vec<(NonZeroU32, NonZeroU32)>,
    /// UIDs in the destination.
    pub destination: Vec<(NonZeroU32, NonZeroU32)>,
}

macro_rules! words {
    ($($variant:ident $text:literal,)*) => {
        /// A response code that is a word alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the names are those of RFC 9051 §7.1 and RFC 5530")]
        pub enum Word { $($variant,)* }

        impl Word {
            /// The word as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
                [$(Self::$variant,)*]
                    .into_iter()
                    .find(|word| word.as_str().as_bytes().eq_ignore_ascii_case(name))
            }
        }
    };
}

words! {
    Alert "ALERT",
    AlreadyExists "ALREADYEXISTS",
    AuthenticationFailed "AUTHENTICATIONFAILED",
    AuthorizationFailed "AUTHORIZATIONFAILED",
    Cannot "CANNOT",
    ClientBug "CLIENTBUG",
    Closed "CLOSED",
    ContactAdmin "CONTACTADMIN",
    Corruption "CORRUPTION",
    Expired "EXPIRED",
    ExpungeIssued "EXPUNGEISSUED",
    HasChildren "HASCHILDREN",
    InUse "INUSE",
    Limit "LIMIT",
    Nonexistent "NONEXISTENT",
    NoPerm "NOPERM",
    NotSaved "NOTSAVED",
    OverQuota "OVERQUOTA",
    Parse "PARSE",
    PrivacyRequired "PRIVACYREQUIRED",
    ReadOnly "READ-ONLY",
    ReadWrite "READ-WRITE",
    ServerBug "SERVERBUG",
    TooBig "TOOBIG",
    TryCreate "TRYCREATE",
    UidNotSticky "UIDNOTSTICKY",
    Unavailable "UNAVAILABLE",
    UnknownCte "UNKNOWN-CTE",
    UseAttr "USEATTR",
}

/// A capability: an atom, compared without case (`IMAP4rev2`, `AUTH=PLAIN`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capability(Keyword);

impl Capability {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it has this name, without case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(name)
    }
}

impl core::str::FromStr for Capability {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('\\') {
            return Err(InvalidValue::new("capability", "an atom is needed"));
        }
        text.parse().map(Self)
    }
}

/// What a server tells unasked or as the result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// A status of no command, a greeting, or BYE.
    Status(Status),
    /// `CAPABILITY`
    Capability(Vec<Capability>),
    /// `ENABLED`
    Enabled(Vec<Capability>),
    /// `FLAGS`
    Flags(Vec<Flag>),
    /// `LIST`
    List(ListEntry),
    /// `LSUB` (RFC 3501)
    Lsub(ListEntry),
    /// `NAMESPACE`: personal, other users', shared.
    Namespace([Vec<NamespaceEntry>; 3]),
    /// `STATUS`
    MailboxStatus(Mailbox, Vec<StatusValue>),
    /// `SEARCH` (RFC 3501)
    Search(Vec<NonZeroU32>),
    /// `ESEARCH`
    Esearch(Esearch),
    /// `n EXISTS`
    Exists(u32),
    /// `n RECENT` (RFC 3501)
    Recent(u32),
    /// `n EXPUNGE`
    Expunge(NonZeroU32),
    /// `n FETCH`
    Fetch(NonZeroU32, Vec<FetchValue>),
    /// `ID`
    Id(IdParameters),
    /// Of an extension: its name, and what follows.
    Other(String, Vec<ExtensionValue>),
}

/// A mailbox as LIST tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// `\Noselect`, `\HasChildren`, `\Sent`, …
    pub attributes: Vec<Keyword>,
    /// The hierarchy delimiter; `None` where names are flat.
    pub delimiter: Option<char>,
    /// The name.
    pub mailbox: Mailbox,
    /// Extended data: name and value.
    pub extended: Vec<(Vec<u8>, ExtensionValue)>,
}

/// A namespace (RFC 2342).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceEntry {
    /// The prefix, in the charset of mailbox names.
    pub prefix: Vec<u8>,
    /// The hierarchy delimiter.
    pub delimiter: Option<char>,
    /// Extensions: name and values.
    pub extended: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// A value of STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusValue {
    /// One of [`StatusItem`].
    Known(StatusItem, u64),
    /// One of an extension.
    Other(String, ExtensionValue),
}

/// The result of an extended SEARCH (RFC 4731).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Esearch {
    /// The tag of the command.
    pub tag: Option<Vec<u8>>,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// `MIN`
    pub min: Option<NonZeroU32>,
    /// `MAX`
    pub max: Option<NonZeroU32>,
    /// `ALL`
    pub all: Option<UidSet>,
    /// `COUNT`
    pub count: Option<u32>,
    /// Of an extension: name and value.
    pub other: Vec<(String, ExtensionValue)>,
}
