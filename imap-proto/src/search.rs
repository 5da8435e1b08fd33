//! What SEARCH asks for.

mod matcher;

use crate::{Date, Keyword, SequenceSet};

pub use matcher::{Candidate, Matcher, Reads};

/// A criterion of SEARCH (RFC 9051 §6.4.4, with NEW, OLD and RECENT of RFC 3501).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 9051 §6.4.4")]
pub enum SearchKey {
    All,
    Answered,
    Bcc(Vec<u8>),
    Before(Date),
    Body(Vec<u8>),
    Cc(Vec<u8>),
    Deleted,
    Draft,
    Flagged,
    From(Vec<u8>),
    Header(Vec<u8>, Vec<u8>),
    Keyword(Keyword),
    Larger(u64),
    New,
    Old,
    On(Date),
    Recent,
    Seen,
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    Since(Date),
    Smaller(u64),
    Subject(Vec<u8>),
    Text(Vec<u8>),
    To(Vec<u8>),
    Unanswered,
    Undeleted,
    Undraft,
    Unflagged,
    Unkeyword(Keyword),
    Unseen,
    Uid(SequenceSet),
    /// By message sequence number.
    Sequence(SequenceSet),
    Not(Box<Self>),
    Or(Box<Self>, Box<Self>),
    /// All of these; at least one.
    And(Vec<Self>),
}

/// What SEARCH is to return (RFC 4731, RFC 9051 §6.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchReturn {
    /// `MIN`
    Min,
    /// `MAX`
    Max,
    /// `ALL`
    All,
    /// `COUNT`
    Count,
    /// `SAVE` (RFC 5182)
    Save,
}

/// A SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// `None`: no RETURN; `RETURN ()` is the empty list and means `ALL`.
    pub returns: Option<Vec<SearchReturn>>,
    /// The charset of the strings, as it was named.
    pub charset: Option<Vec<u8>>,
    /// The criterion.
    pub key: SearchKey,
}
