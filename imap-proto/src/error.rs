//! Why octets are not what the grammar asks for.

/// What was expected of a command or response, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at octet {at}")]
#[non_exhaustive]
pub struct ParseError {
    /// The octet, counted from the beginning of the tag, literals included.
    pub at: usize,
    /// What the grammar, or the limit, asks for there.
    pub expected: &'static str,
}

/// A value that the protocol has no way to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {why}")]
#[non_exhaustive]
pub struct InvalidValue {
    /// What it was to be.
    pub what: &'static str,
    /// The rule it breaks.
    pub why: &'static str,
}

impl InvalidValue {
    pub(crate) const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}
