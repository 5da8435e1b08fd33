//! Flags and keywords.

use crate::InvalidValue;
use core::fmt;

/// A flag of a message (RFC 9051 §2.3.2). Compares without case.
///
/// ```
/// use imap_proto::Flag;
///
/// assert_eq!("\\SEEN".parse::<Flag>()?, Flag::Seen);
/// assert_eq!("$Junk".parse::<Flag>()?, "$junk".parse()?);
/// assert!("two words".parse::<Flag>().is_err());
/// # Ok::<(), imap_proto::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `\Flagged`
    Flagged,
    /// `\Seen`
    Seen,
    /// `\Recent` (RFC 3501 only).
    Recent,
    /// `\*`, in PERMANENTFLAGS only: new keywords may be made.
    Any,
    /// A keyword, or a flag of an extension with its backslash.
    Other(Keyword),
}

/// The name of a keyword, an extension's flag or a mailbox attribute: an atom, perhaps behind a backslash. Compares without case.
#[derive(Debug, Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let lower = |text: &str| text.to_ascii_lowercase();
        lower(&self.0).cmp(&lower(&other.0))
    }
}

impl core::hash::Hash for Keyword {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl core::str::FromStr for Keyword {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let atom = text.strip_prefix('\\').unwrap_or(text);
        if atom.is_empty() || !atom.bytes().all(crate::reader::is_atom_char) {
            return Err(InvalidValue::new("flag", "an atom is needed (RFC 9051 §9)"));
        }
        Ok(Self(text.into()))
    }
}

impl core::str::FromStr for Flag {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for known in [
            Self::Answered,
            Self::Deleted,
            Self::Draft,
            Self::Flagged,
            Self::Seen,
            Self::Recent,
            Self::Any,
        ] {
            if known.as_str().eq_ignore_ascii_case(text) {
                return Ok(known);
            }
        }
        text.parse().map(Self::Other)
    }
}

impl Flag {
    /// The flag as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered => "\\Answered",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Flagged => "\\Flagged",
            Self::Seen => "\\Seen",
            Self::Recent => "\\Recent",
            Self::Any => "\\*",
            Self::Other(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
