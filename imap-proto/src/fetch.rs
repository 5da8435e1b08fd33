//! What FETCH asks for and gives.

use crate::{BodyStructure, DateTime, Envelope, Flag, NString};
use core::num::{NonZeroU32, NonZeroU64};

/// A data item asked for (RFC 9051 §6.4.5). The macros are spelt out by the parser.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FetchItem {
    /// `BODYSTRUCTURE` without the extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `UID`
    Uid,
    /// `BODY[...]`, `BODY.PEEK[...]`, and with RFC 3501 `RFC822`, `RFC822.HEADER`, `RFC822.TEXT`.
    Section {
        /// How it is named; the answer has the same name.
        name: SectionName,
        /// Whether `\Seen` stays as it is.
        peek: bool,
        /// First octet and greatest number of octets.
        partial: Option<(u64, NonZeroU64)>,
    },
    /// `BINARY.SIZE[...]`
    BinarySize(Vec<NonZeroU32>),
}

/// The name under which a section is asked for and given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionName {
    /// `BODY[...]`
    Body(Section),
    /// `BINARY[...]`: the part with its transfer encoding removed.
    Binary(Vec<NonZeroU32>),
    /// `RFC822` (RFC 3501): the whole message.
    Rfc822,
    /// `RFC822.HEADER` (RFC 3501), which never sets `\Seen`.
    Rfc822Header,
    /// `RFC822.TEXT` (RFC 3501).
    Rfc822Text,
}

impl SectionName {
    /// The section that is meant; `None` for a decoded part.
    #[must_use]
    pub fn section(&self) -> Option<Section> {
        let whole = |text| Section {
            part: Vec::new(),
            text,
        };
        match self {
            Self::Body(section) => Some(section.clone()),
            Self::Binary(_) => None,
            Self::Rfc822 => Some(whole(None)),
            Self::Rfc822Header => Some(whole(Some(SectionText::Header))),
            Self::Rfc822Text => Some(whole(Some(SectionText::Text))),
        }
    }
}

/// A section of a message: `1.2.HEADER.FIELDS (DATE FROM)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Section {
    /// The part; empty for the message itself.
    pub part: Vec<NonZeroU32>,
    /// What of it; `None` for all of it.
    pub text: Option<SectionText>,
}

/// Which text of a part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (...)`, never empty.
    HeaderFields(Vec<Vec<u8>>),
    /// `HEADER.FIELDS.NOT (...)`, never empty.
    HeaderFieldsNot(Vec<Vec<u8>>),
    /// `TEXT`
    Text,
    /// `MIME`, of a numbered part only.
    Mime,
}

/// A data item given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchValue {
    /// `BODY`, `BODYSTRUCTURE`
    BodyStructure {
        /// Whether the extension data was asked for.
        extended: bool,
        /// The structure.
        structure: Box<BodyStructure>,
    },
    /// `ENVELOPE`
    Envelope(Box<Envelope>),
    /// `FLAGS`
    Flags(Vec<Flag>),
    /// `INTERNALDATE`
    InternalDate(DateTime),
    /// `RFC822.SIZE`
    Size(u64),
    /// `UID`
    Uid(NonZeroU32),
    /// `BODY[...]<origin>` and its kin.
    Section {
        /// The name.
        name: SectionName,
        /// Where in the section the octets begin, where a part was asked for.
        origin: Option<u64>,
        /// The octets.
        data: SectionData,
    },
    /// `BINARY.SIZE[...]`
    BinarySize(Vec<NonZeroU32>, u32),
    /// An item of an extension: its name, and its value.
    Other(String, ExtensionValue),
}

/// The octets of a section, or where they went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionData {
    /// Here, or `NIL`.
    Here(NString),
    /// So many octets are given apart, as a stream.
    Streamed(u64),
}

/// A value of a grammar that is not known here: an atom or number, a string, `NIL`, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionValue {
    /// An atom, a number, or a set.
    Atom(String),
    /// A string.
    String(Vec<u8>),
    /// `NIL`
    Nil,
    /// A list in parentheses.
    List(Vec<Self>),
}
