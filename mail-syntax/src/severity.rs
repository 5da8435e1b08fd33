use core::fmt;

/// How bad it is what a linter finds in a record that a domain publishes.
///
/// ```
/// # use mail_syntax::Severity;
/// assert!(Severity::Note < Severity::Warning && Severity::Warning < Severity::Error);
/// assert_eq!(Severity::Warning.to_string(), "warning");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The record works as its text says, and could be better.
    Note,
    /// It works, but likely not as it is meant, or not everywhere.
    Warning,
    /// The record, or this part of it, does not work, or protects nothing.
    Error,
}

/// The word, in lower case.
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
