//! Aggregate reports read: XML, gzip, ZIP, or a mail that has one of these attached.
//!
//! RFC 9990 §3.1.1 lets a reader discard what does not match the format, or use what it can. This one uses what cannot be mistaken and
//! names the rest ([`Defects`]); a report that is cut off, or not a report at all, is a [`ReadError`].
//!
//! XML is read by a reader of its own that knows as much of it as reports need. It has to be: a general one stops at what real
//! reporters send (a bare `<`, Latin-1, tags that are never closed), and must be kept from what nobody needs (entities).

mod attachment;
mod defects;
mod elements;
mod parse;
mod text;
mod tokens;
mod values;
mod zip;

use std::borrow::Cow;
use std::io::Cursor;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder};

pub use self::attachment::{Attachment, MAX_PARTS, attachment};
pub use self::defects::{Defect, Defects, Exceeded, Finding, ReadError};
pub use self::elements::Element;
pub use self::parse::Form;
use self::parse::Parser;
use self::tokens::{Token, Tokens};
use super::{PolicyPublished, Report, ReportMetadata, Row};

/// How much of a report is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of the document, uncompressed. Default: 50 MiB, some 60,000 records. It is read in pieces, so raising it costs time and not
    /// memory, unless the rows are collected.
    pub octets: u64,
    /// How many times larger than compressed a document may be, once it is over [`Limits::RATIO_FREE`]. Default: 200; real reports of
    /// thousands of records stand at 20 to 60, and DEFLATE ends at 1,032. Raising it costs time.
    pub ratio: u64,
    /// Records. Default: 1,000,000. Each collected costs about 600 octets.
    pub rows: u64,
    /// How deep elements may be nested. Default: 16; reports have 5. Each costs a few octets.
    pub depth: usize,
    /// Octets of one tag, text or comment. Default: 64 KiB. The window over the document grows up to twice this.
    pub token: usize,
    /// Octets of one text that are kept. Default: 1,024; domains end at 255. Each row may hold as many texts as there are results.
    pub text: usize,
    /// DKIM results, SPF results and override reasons of one row that are kept, of each. Default: 100, what RFC 9990 §3.1.3 says a
    /// report should have at most.
    pub results: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets: 50 * 1024 * 1024,
            ratio: 200,
            rows: 1_000_000,
            depth: 16,
            token: 64 * 1024,
            text: 1_024,
            results: Row::MAX_SIGNATURES,
        }
    }
}

impl Limits {
    /// A document up to so many octets may be compressed as well as it can be: 1 MiB.
    pub const RATIO_FREE: u64 = 1024 * 1024;
}

/// Reads a report row by row, in memory that does not grow with it.
///
/// [`ReportReader::next_row`] lends each row and makes no copy; as an [`Iterator`] it gives them away. What is said before and behind the
/// rows stands in [`ReportReader::metadata`] and [`ReportReader::policy_published`], complete when the rows are at their end.
///
/// ```
/// use dmarc::reports::read::ReportReader;
/// # let octets = include_bytes!("../../tests/reports/rfc9990_appendix_b.xml");
/// let mut reader = ReportReader::new(octets.as_slice(), &Default::default())?;
/// let mut messages = 0;
/// while let Some(row) = reader.next_row()? {
///     messages += row.count;
/// }
/// assert_eq!(messages, 123);
/// assert_eq!(reader.metadata().org_name, "Sample Reporter");
/// # Ok::<(), dmarc::reports::read::ReadError>(())
/// ```
#[derive(Debug)]
pub struct ReportReader<'a> {
    tokens: Tokens<'a>,
    parser: Parser,
    state: State,
}

/// Where a reader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Done,
    Failed(ReadError),
}

impl<'a> ReportReader<'a> {
    /// Of XML, gzip or ZIP, whatever it is by its first octets.
    pub fn new(octets: impl Into<Cow<'a, [u8]>>, limits: &Limits) -> Result<Self, ReadError> {
        let octets = octets.into();
        let mut parser = Parser::new(limits);
        let tokens = if octets.starts_with(&[0x1f, 0x8b]) {
            let compressed = octets.len();
            Tokens::of_stream(MultiGzDecoder::new(Cursor::new(octets)), compressed, limits)
        } else if octets.starts_with(b"PK") {
            let entry = zip::first_entry(&octets).ok_or(ReadError::Zip)?;
            if entry.has_others {
                parser.defect(Defect::SeveralFiles, Element::Feedback, 0);
            }
            let content = match octets {
                Cow::Borrowed(octets) => {
                    Cow::Borrowed(octets.get(entry.content).unwrap_or_default())
                }
                Cow::Owned(mut octets) => {
                    octets.truncate(entry.content.end);
                    octets.drain(..entry.content.start.min(octets.len()));
                    Cow::Owned(octets)
                }
            };
            if entry.is_deflated {
                let compressed = content.len();
                Tokens::of_stream(
                    DeflateDecoder::new(Cursor::new(content)),
                    compressed,
                    limits,
                )
            } else {
                Tokens::of_whole(content, limits)
            }
        } else {
            Tokens::of_whole(octets, limits)
        };
        Ok(Self {
            tokens,
            parser,
            state: State::Reading,
        })
    }

    /// Of a mail that has a report attached.
    pub fn of_mail(mail: &[u8], limits: &Limits) -> Result<ReportReader<'static>, ReadError> {
        let found = attachment(mail)?;
        let mut reader = ReportReader::new(found.octets, limits)?;
        if found.has_others {
            reader
                .parser
                .defect(Defect::SeveralFiles, Element::Feedback, 0);
        }
        if !found.has_media_type {
            reader
                .parser
                .defect(Defect::MediaType, Element::Feedback, 0);
        }
        Ok(reader)
    }

    /// Of whatever this is: XML, gzip, ZIP, or a mail.
    pub fn open(octets: impl Into<Cow<'a, [u8]>>, limits: &Limits) -> Result<Self, ReadError> {
        let octets = octets.into();
        if attachment::is_report(&octets) {
            return Self::new(octets, limits);
        }
        Self::of_mail(&octets, limits)
    }

    /// The next row, which is overwritten by the one behind it; `None` behind the last.
    ///
    /// An error ends the reading, and is given again when asked again.
    pub fn next_row(&mut self) -> Result<Option<&Row>, ReadError> {
        match &self.state {
            State::Reading => {}
            State::Done => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
        }
        match self.advance() {
            Ok(true) => Ok(Some(self.parser.row())),
            Ok(false) => {
                self.state = State::Done;
                Ok(None)
            }
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Reads up to the end of a row (true) or of the report.
    fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            let token = self.tokens.next()?;
            if token == Token::EndOfDocument {
                return Err(if self.parser.has_begun() {
                    ReadError::CutOff {
                        offset: self.tokens.offset(),
                    }
                } else {
                    ReadError::NoFeedback
                });
            }
            match self.parser.take(&token, &self.tokens)? {
                parse::Step::Next => {}
                parse::Step::Row => return Ok(true),
                parse::Step::End => return Ok(false),
            }
        }
    }

    /// Who reports, and about which time.
    #[must_use]
    pub fn metadata(&self) -> &ReportMetadata {
        self.parser.metadata()
    }

    /// The policy that was found.
    #[must_use]
    pub fn policy_published(&self) -> &PolicyPublished {
        self.parser.policy_published()
    }

    /// After which RFC the report was made, by its namespace.
    #[must_use]
    pub fn form(&self) -> Form {
        self.parser.form()
    }

    /// What was wrong up to here.
    #[must_use]
    pub fn defects(&self) -> &Defects {
        self.parser.defects()
    }

    /// All rows that are left, with what stands around them.
    pub fn collect_report(mut self) -> Result<(Report, Defects), ReadError> {
        let mut rows = Vec::new();
        while self.next_row()?.is_some() {
            rows.push(self.parser.take_row());
        }
        let (metadata, policy_published, defects) = self.parser.into_parts();
        let report = Report {
            metadata,
            policy_published,
            rows,
        };
        Ok((report, defects))
    }
}

impl Iterator for ReportReader<'_> {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Failed(_)) {
            return None;
        }
        match self.next_row() {
            Ok(None) => None,
            Ok(Some(_)) => Some(Ok(self.parser.take_row())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Report {
    /// Reads a whole report: XML, gzip, ZIP, or a mail. [`ReportReader`] does it row by row.
    pub fn read(octets: &[u8], limits: &Limits) -> Result<(Self, Defects), ReadError> {
        ReportReader::open(octets, limits)?.collect_report()
    }
}
