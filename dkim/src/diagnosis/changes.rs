//! The changes that a diagnosis knows, in words.

use core::fmt;

/// What happened to a message between its signer and us.
///
/// Prints as what has to be undone and what it was: `the last 3 lines are dropped: a footer was added`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "change", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Change {
    /// Lines were added at the end of the body, as list servers do.
    FooterAdded {
        /// How many, empty ones before them included.
        lines: usize,
    },
    /// Lines were added at the start of the body, as gateways do.
    BannerAdded {
        /// How many.
        lines: usize,
    },
    /// A part was added at the end of a multipart.
    PartAdded,
    /// The body was put into a multipart, with a part of somebody else behind it.
    Wrapped,
    /// Line ends of the body were changed.
    BodyLineEnds {
        /// Which way.
        ends: LineEnds,
    },
    /// Line ends of the header were changed.
    HeaderLineEnds,
    /// White space was added in lines of the body or at their ends, which `simple` does not allow; or the signer hashed the body by
    /// `relaxed`, and `c=` says `simple`.
    WhiteSpaceAdded,
    /// The line `-- ` before a signature block lost its space.
    SeparatorTrimmed,
    /// Lines that begin with `From ` were quoted with `>`, as mailbox files have it.
    FromQuoted,
    /// Dots at the start of lines were doubled and not taken back (RFC 5321 §4.5.2).
    DotsDoubled,
    /// The body has another Content-Transfer-Encoding than it had.
    Reencoded {
        /// The encoding that was signed.
        from: &'static str,
        /// The encoding that it has now.
        to: &'static str,
    },
    /// The body is shorter than `l=`.
    BodyShorter {
        /// Octets that were signed, `l=`.
        signed: u64,
        /// Octets that there are, in canonical form.
        octets: u64,
    },
    /// There is no body, but one was signed.
    BodyLost,
    /// `bh=` is the hash of no body at all: the signer did not see it.
    EmptyBodySigned,
    /// `bh=` is the hash of the body by `simple`, and `c=` says `relaxed`: a mistake of the signer. (The other way round is
    /// [`Change::WhiteSpaceAdded`].)
    HashedSimple,
    /// Something was put before the value of a field, as list servers do with Subject.
    FieldPrefixed {
        /// The name of the field.
        name: String,
        /// What was put there.
        prefix: String,
    },
    /// A field was folded anew or its white space changed, which `simple` does not allow.
    FieldRefolded {
        /// The name of the field; `None` if it was all of them.
        name: Option<String>,
    },
    /// The names of fields are spelled in other cases than in `h=`, or than is usual, which `simple` does not allow.
    FieldNamesRespelled,
    /// A field was added whose name is in `h=`.
    FieldAdded {
        /// The name of the field.
        name: String,
    },
    /// A field that was signed is not there.
    FieldRemoved {
        /// The name of the field.
        name: String,
        /// Its value.
        was: String,
    },
    /// The value of a field was changed.
    FieldChanged {
        /// The name of the field.
        name: String,
        /// The value that was signed.
        was: String,
        /// The value that it has now.
        is: String,
    },
}

/// How line ends were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum LineEnds {
    /// CRLF became LF alone or CR alone.
    Stripped,
    /// CRLF became CR CR LF.
    Doubled,
    /// LF alone, which the signer hashed as it was, became CRLF.
    Completed,
}

impl Change {
    /// Whether it is a change of the body rather than of the header.
    #[must_use]
    pub const fn is_of_body(&self) -> bool {
        match self {
            Self::FooterAdded { .. }
            | Self::BannerAdded { .. }
            | Self::PartAdded
            | Self::Wrapped
            | Self::BodyLineEnds { .. }
            | Self::WhiteSpaceAdded
            | Self::SeparatorTrimmed
            | Self::FromQuoted
            | Self::DotsDoubled
            | Self::Reencoded { .. }
            | Self::BodyShorter { .. }
            | Self::BodyLost
            | Self::EmptyBodySigned
            | Self::HashedSimple => true,
            Self::HeaderLineEnds
            | Self::FieldPrefixed { .. }
            | Self::FieldRefolded { .. }
            | Self::FieldNamesRespelled
            | Self::FieldAdded { .. }
            | Self::FieldRemoved { .. }
            | Self::FieldChanged { .. } => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FooterAdded { lines: 1 } => {
                f.write_str("the last line is dropped: a footer was added")
            }
            Self::FooterAdded { lines } => {
                write!(f, "the last {lines} lines are dropped: a footer was added")
            }
            Self::BannerAdded { lines: 1 } => {
                f.write_str("the first line is dropped: a banner was added")
            }
            Self::BannerAdded { lines } => {
                write!(f, "the first {lines} lines are dropped: a banner was added")
            }
            Self::PartAdded => f.write_str("the last part of the multipart is dropped: it was added"),
            Self::Wrapped => f.write_str(
                "the first part is taken as the whole body: the message was wrapped in a multipart",
            ),
            Self::BodyLineEnds { ends } => f.write_str(match ends {
                LineEnds::Stripped => {
                    "lines of the body that end in LF or CR alone end in CRLF: line ends were damaged"
                }
                LineEnds::Doubled => {
                    "lines of the body that end in CR CR LF end in CRLF: line ends were converted twice"
                }
                LineEnds::Completed => {
                    "lines of the body end in LF alone: the signer did not convert them to CRLF (RFC 6376 §5.3)"
                }
            }),
            Self::HeaderLineEnds => f.write_str(
                "lines of the header end in CRLF: line ends were damaged",
            ),
            Self::WhiteSpaceAdded => {
                f.write_str("white space in the body is reduced: some was added, or the signer did not mean c=simple; sign the body relaxed")
            }
            Self::SeparatorTrimmed => {
                f.write_str("the lines \"--\" have a space behind them: it was trimmed")
            }
            Self::FromQuoted => {
                f.write_str("the lines \">From \" lose their mark: a mailbox file put it there")
            }
            Self::DotsDoubled => f.write_str(
                "lines that begin with two dots lose one: dot-stuffing was not taken back",
            ),
            Self::Reencoded { from, to } => {
                write!(f, "the body is put from {to} into {from}: it was encoded anew on its way")
            }
            Self::BodyShorter { signed, octets } => write!(
                f,
                "the body has its {signed} octets and not {octets}: some were cut off"
            ),
            Self::BodyLost => f.write_str("the body is there: the message lost it"),
            Self::EmptyBodySigned => {
                f.write_str("there is no body: the signer hashed none")
            }
            Self::HashedSimple => f.write_str(
                "the body is hashed by simple canonicalization: c= of the signer does not say what it does",
            ),
            Self::FieldPrefixed { name, prefix } => write!(
                f,
                "{prefix:?} is taken from {name}: a prefix was added"
            ),
            Self::FieldRefolded { name: Some(name) } => {
                write!(f, "{name} stands in one line: it was folded anew; sign the header relaxed")
            }
            Self::FieldRefolded { name: None } => f.write_str(
                "each field stands in one line: they were folded anew; sign the header relaxed",
            ),
            Self::FieldNamesRespelled => f.write_str(
                "the names of fields are spelled as in h=, or as is usual: they were changed; sign the header relaxed",
            ),
            Self::FieldAdded { name } => write!(f, "{name} is dropped: it was added"),
            Self::FieldRemoved { name, was } => {
                write!(f, "there is {name} with {was:?}: it was removed")
            }
            Self::FieldChanged { name, was, is } => {
                write!(f, "{name} is {was:?} and not {is:?}: it was changed")
            }
        }
    }
}
