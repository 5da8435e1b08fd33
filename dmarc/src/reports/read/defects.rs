//! What reporters do wrong, and what cannot be forgiven.

use core::fmt;
use std::collections::BTreeMap;

use super::Element;

/// What is not as the RFCs want it, and was read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// Octets that are no UTF-8 were replaced by U+FFFD.
    #[error("it is no UTF-8")]
    NotUtf8,
    /// An entity that XML does not have; it stands as it was written.
    #[error("it refers to an entity that is not of XML")]
    UnknownEntity,
    /// A `<` that begins no tag was taken for text.
    #[error("it has a `<` that is not escaped")]
    StrayLessThan,
    /// The element was closed by the end of what it stands in.
    #[error("it is not closed")]
    NotClosed,
    /// The end of an element that was not open was ignored.
    #[error("an element ends in it that did not begin")]
    StrayEnd,
    /// Something else stands around or before the root element.
    #[error("it is not the root element")]
    NotRoot,
    /// The version is not 1.0.
    #[error("it is not 1.0")]
    OtherVersion,
    /// An integer has a fraction.
    #[error("it is no integer")]
    Fraction,
    /// The word is not in lower case.
    #[error("it is not in lower case")]
    Case,
    /// The word is another one than the RFC's, and known.
    #[error("it is a word of old drafts or of other fields")]
    OtherWord,
    /// The word is not known. A result is taken for `neutral`, an alignment for `fail`, a disposition for `none`, a reason for `other`.
    #[error("it is none of the words that it may be")]
    UnknownWord,
    /// The value cannot be read, and counts as missing.
    #[error("it cannot be read")]
    Unreadable,
    /// The element is required.
    #[error("it is missing or empty")]
    Missing,
    /// The element may stand there once.
    #[error("it stands there more than once")]
    Repeated,
    /// The element has no content, and was left out.
    #[error("it is empty")]
    Empty,
    /// The text is longer than [`Limits::text`](super::Limits::text), and was cut.
    #[error("it is too long and was cut")]
    TooLong,
    /// There are more of it than [`Limits::results`](super::Limits::results); the rest was left out.
    #[error("there are too many of it, and the rest was left out")]
    TooMany,
    /// A record without an address or a count cannot be used.
    #[error("it has no address or no count, and was left out")]
    RecordLeftOut,
    /// The archive or mail has more files than one; the first was read.
    #[error("there are several files, of which the first was read")]
    SeveralFiles,
    /// A part of the mail has a report in it and says that it is something else.
    #[error("its media type is not that of a report")]
    MediaType,
}

/// A defect, where it was, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong.
    pub defect: Defect,
    /// With which element.
    pub element: Element,
    /// Where it was found first: the octet of the uncompressed document.
    pub offset: u64,
    /// How often.
    pub count: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.element, self.defect)?;
        match self.count {
            1 => write!(f, " (octet {})", self.offset),
            count => write!(f, " ({count} times, first at octet {})", self.offset),
        }
    }
}

/// All defects of a report: each once for each element, however often it occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defects(BTreeMap<(Defect, Element), Finding>);

impl Defects {
    /// Whether the report is without.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of this kind.
    #[must_use]
    pub fn has(&self, defect: Defect) -> bool {
        self.0.keys().any(|(its, _)| *its == defect)
    }

    /// Each, by its kind and element.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.values()
    }

    pub(super) fn add(&mut self, defect: Defect, element: Element, offset: u64) {
        let new = || Finding {
            defect,
            element,
            offset,
            count: 0,
        };
        let finding = self.0.entry((defect, element)).or_insert_with(new);
        finding.count += 1;
    }
}

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Exceeded {
    /// [`Limits::octets`](super::Limits::octets).
    #[error("it unfolds to more octets than allowed")]
    Octets,
    /// [`Limits::ratio`](super::Limits::ratio).
    #[error("it unfolds to more than compression can explain")]
    Ratio,
    /// [`Limits::rows`](super::Limits::rows).
    #[error("it has more records than allowed")]
    Rows,
    /// [`Limits::depth`](super::Limits::depth).
    #[error("its elements are nested deeper than allowed")]
    Depth,
    /// [`Limits::token`](super::Limits::token).
    #[error("a tag or text is longer than allowed")]
    Token,
}

/// Why there is no report to be read. It is the fault of whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No `feedback` element begins anywhere.
    #[error("no aggregate report: there is no element `feedback`")]
    NoFeedback,
    /// There is a document type. No report needs one, and entities that grow without bound or read other files are declared in it.
    #[error("it has a document type (octet {offset}), which no report needs")]
    DocumentType {
        /// Where it begins: the octet of the uncompressed document.
        offset: u64,
    },
    /// There is the element `feedback`, and in it neither a time, nor a domain, nor a record.
    #[error("the report says nothing: it has neither a time, nor a domain, nor a record")]
    Empty,
    /// The document ends within the report.
    #[error("the report is cut off at octet {offset}")]
    CutOff {
        /// How long it is.
        offset: u64,
    },
    /// It is too large.
    #[error("{what} (octet {offset})")]
    Limit {
        /// In which way.
        what: Exceeded,
        /// Where it was noticed: the octet of the uncompressed document.
        offset: u64,
    },
    /// It cannot be uncompressed.
    #[error("what is compressed is broken behind octet {offset}: {why}")]
    Compression {
        /// How much could be uncompressed.
        offset: u64,
        /// What the decompressor says.
        why: String,
    },
    /// The ZIP archive has no file that can be read: none at all, encrypted, or compressed by another method than DEFLATE.
    #[error("the ZIP archive has no file that can be read")]
    Zip,
    /// It is a mail without a part that is a report.
    #[error("the mail has no report attached")]
    NoAttachment,
    /// It is a report about TLS (RFC 8460), not about DMARC.
    #[error("it is an SMTP TLS report (RFC 8460)")]
    TlsReport,
    /// It is a report about a single message (RFC 9991): [`failure`](crate::reports::failure) reads it.
    #[error("it is a failure report (RFC 9991)")]
    FailureReport,
}
