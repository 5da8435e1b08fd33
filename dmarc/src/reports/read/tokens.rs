//! The tags and texts of an XML document, out of a window over a stream that may never end.
//!
//! This is less than XML: attributes are skipped but for the namespace, entities are not declared, and names are not checked. And it is
//! more: what looks like a tag and cannot be one (`<joe@example.com>`) is text, for real reports have it.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr3, memmem, memrchr};

use super::{Exceeded, Limits, ReadError};

/// What is taken out of a compressed stream at a time.
const CHUNK: usize = 32 * 1024;

/// A piece of the document; ranges are of the window, and hold until the next piece is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `<name attributes>`, or `<name attributes/>`.
    Start {
        name: Range<usize>,
        attributes: Range<usize>,
        is_empty: bool,
    },
    /// `</name>`.
    End(Range<usize>),
    /// Text in which references stand for something.
    Text(Range<usize>),
    /// Text as it stands.
    Verbatim(Range<usize>),
    /// There is no more.
    EndOfDocument,
}

/// How far a look at the window came.
enum Scan {
    /// A token, and where the next one begins.
    Token(Token, usize),
    /// Nothing that matters, up to here.
    Skip(usize),
    /// It ends behind the window.
    Incomplete,
    /// A document type begins.
    DocumentType,
}

/// Where the octets come from.
enum Source<'a> {
    /// All there is lies in the window.
    Whole(Cow<'a, [u8]>),
    /// The window is filled out of a decompressor.
    Stream(Box<dyn Read + Send + 'a>),
}

/// The window, and how much was let through it.
pub(super) struct Tokens<'a> {
    buffer: Vec<u8>,
    source: Source<'a>,
    position: usize,
    /// How many octets lie before the window.
    before: u64,
    /// How many octets may come out of the source.
    allowance: Allowance,
    token: usize,
    /// What the decompressor said when it gave no more.
    failure: Option<String>,
}

/// How much a stream may unfold to, and why.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    octets: u64,
    why: Exceeded,
}

impl core::fmt::Debug for Tokens<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tokens")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

impl<'a> Tokens<'a> {
    /// Of a document that is at hand.
    pub(super) fn of_whole(octets: Cow<'a, [u8]>, limits: &Limits) -> Self {
        let length = octets.len();
        Self::new(Source::Whole(octets), length, limits)
    }

    /// Of what a decompressor makes of so many octets.
    pub(super) fn of_stream(
        stream: impl Read + Send + 'a,
        compressed: usize,
        limits: &Limits,
    ) -> Self {
        Self::new(Source::Stream(Box::new(stream)), compressed, limits)
    }

    fn new(source: Source<'a>, compressed: usize, limits: &Limits) -> Self {
        // A small report may be squeezed as much as it likes: it does no harm.
        let by_ratio = (compressed as u64)
            .saturating_mul(limits.ratio)
            .max(Limits::RATIO_FREE);
        let allowance = if by_ratio < limits.octets {
            Allowance {
                octets: by_ratio,
                why: Exceeded::Ratio,
            }
        } else {
            Allowance {
                octets: limits.octets,
                why: Exceeded::Octets,
            }
        };
        Self {
            buffer: Vec::new(),
            source,
            position: 0,
            before: 0,
            allowance,
            token: limits.token,
            failure: None,
        }
    }

    /// Where the next token begins, in octets of the uncompressed document.
    pub(super) fn offset(&self) -> u64 {
        self.before + self.position as u64
    }

    fn window(&self) -> &[u8] {
        match &self.source {
            Source::Whole(octets) => octets,
            Source::Stream(_) => &self.buffer,
        }
    }

    /// The octets of a range that the last token has.
    #[inline]
    pub(super) fn octets(&self, range: Range<usize>) -> &[u8] {
        self.window().get(range).unwrap_or_default()
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Token, ReadError> {
        loop {
            let window = self.window();
            match scan(window, self.position) {
                Scan::Token(token, next) => {
                    if next - self.position > self.token {
                        return Err(self.exceeded(Exceeded::Token));
                    }
                    self.position = next;
                    return Ok(token);
                }
                Scan::Skip(next) => self.position = next,
                Scan::DocumentType => {
                    return Err(ReadError::DocumentType {
                        offset: self.offset(),
                    });
                }
                Scan::Incomplete => {
                    if window.len() - self.position > self.token {
                        return Err(self.exceeded(Exceeded::Token));
                    }
                    if !self.fill()? {
                        return self.last();
                    }
                }
            }
        }
    }

    fn exceeded(&self, what: Exceeded) -> ReadError {
        ReadError::Limit {
            what,
            offset: self.offset(),
        }
    }

    /// What is left when the source is dry: text, or a tag that was cut.
    fn last(&mut self) -> Result<Token, ReadError> {
        let (start, end) = (self.position, self.window().len());
        if let Some(why) = self.failure.take() {
            return Err(ReadError::Compression {
                offset: self.before + end as u64,
                why,
            });
        }
        self.position = end;
        Ok(if start == end {
            Token::EndOfDocument
        } else {
            Token::Text(start..end)
        })
    }

    /// Gets more into the window; false if there is no more.
    fn fill(&mut self) -> Result<bool, ReadError> {
        let Source::Stream(stream) = &mut self.source else {
            return Ok(false);
        };
        if self.failure.is_some() {
            return Ok(false);
        }
        self.buffer.drain(..self.position);
        self.before += self.position as u64;
        self.position = 0;
        let filled = self.buffer.len();
        // At least as much again as there is, so that looking again from the start costs no more than twice.
        self.buffer.resize(filled + CHUNK.max(filled), 0);
        let mut end = filled;
        while let Some(room) = self.buffer.get_mut(end..).filter(|room| !room.is_empty()) {
            match stream.read(room) {
                Ok(0) => break,
                Ok(octets) => end += octets,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error.to_string());
                    break;
                }
            }
        }
        self.buffer.truncate(end);
        if self.before + end as u64 > self.allowance.octets {
            return Err(self.exceeded(self.allowance.why));
        }
        Ok(end > filled)
    }
}

/// Looks for one token at this place.
fn scan(window: &[u8], start: usize) -> Scan {
    let rest = window.get(start..).unwrap_or_default();
    match rest {
        [] => Scan::Incomplete,
        [b'<'] => Scan::Incomplete,
        [b'<', b'/', name @ ..] => end_tag(name, start),
        [b'<', b'?', ..] => match memmem::find(rest, b"?>") {
            Some(end) => Scan::Skip(start + end + 2),
            None => Scan::Incomplete,
        },
        [b'<', b'!', markup @ ..] => bang(markup, rest, start),
        [b'<', tag @ ..] => start_tag(tag, start),
        text => match memchr(b'<', text) {
            Some(end) => Scan::Token(Token::Text(start..start + end), start + end),
            None => Scan::Incomplete,
        },
    }
}

/// `</name>`
#[inline]
fn end_tag(tag: &[u8], start: usize) -> Scan {
    let Some(end) = memchr3(b'>', b'<', b'"', tag) else {
        return Scan::Incomplete;
    };
    if tag.get(end) != Some(&b'>') {
        return no_tag(start);
    }
    let name = start + 2..start + 2 + tag.get(..end).unwrap_or_default().trim_ascii_end().len();
    Scan::Token(Token::End(name), start + 2 + end + 1)
}

/// What begins with `<!`: a comment, CDATA, or a document type, of which entities would be declared.
fn bang(markup: &[u8], rest: &[u8], start: usize) -> Scan {
    let up_to = |close: &[u8], behind: usize| {
        let found = memmem::find(rest.get(behind..).unwrap_or_default(), close);
        found.map(|at| (behind + at, start + behind + at + close.len()))
    };
    const CDATA: &[u8] = b"[CDATA[";
    const DOCUMENT_TYPE: &[u8] = b"DOCTYPE";
    if markup.starts_with(b"--") {
        return up_to(b"-->", 4).map_or(Scan::Incomplete, |(_, next)| Scan::Skip(next));
    }
    if markup.starts_with(CDATA) {
        let open = 2 + CDATA.len();
        return up_to(b"]]>", open).map_or(Scan::Incomplete, |(end, next)| {
            Scan::Token(Token::Verbatim(start + open..start + end), next)
        });
    }
    let mut both = DOCUMENT_TYPE.iter().zip(markup);
    let is_type = both.all(|(wanted, octet)| wanted.eq_ignore_ascii_case(octet));
    if is_type && markup.len() >= DOCUMENT_TYPE.len() {
        return Scan::DocumentType;
    }
    if is_type || CDATA.starts_with(markup) || markup == b"-" {
        return Scan::Incomplete;
    }
    no_tag(start)
}

/// `<name attributes>`
#[inline]
fn start_tag(tag: &[u8], start: usize) -> Scan {
    let name = tag.iter().position(|octet| !is_name_octet(*octet));
    let Some(name) = name else {
        return Scan::Incomplete;
    };
    if name == 0 {
        return no_tag(start);
    }
    let behind = start + 1 + name;
    match tag.get(name) {
        Some(b'>') => {
            let token = Token::Start {
                name: start + 1..behind,
                attributes: behind..behind,
                is_empty: false,
            };
            return Scan::Token(token, behind + 1);
        }
        Some(b'/' | b' ' | b'\t' | b'\r' | b'\n') => {}
        _ => return no_tag(start),
    }
    // A `>` within quotes does not end the tag, unless the quotes are broken: then the first does.
    let mut quote = None;
    let attributes = tag.get(name..).unwrap_or_default();
    let end = attributes.iter().position(|octet| match (quote, *octet) {
        (None, b'"' | b'\'') => {
            quote = Some(*octet);
            false
        }
        (Some(open), octet) if open == octet => {
            quote = None;
            false
        }
        (None, b'>') | (_, b'<') => true,
        _ => false,
    });
    let end = match end {
        None => return Scan::Incomplete,
        Some(end) if attributes.get(end) == Some(&b'<') => {
            match memchr(b'>', attributes.get(..end).unwrap_or_default()) {
                None => return no_tag(start),
                Some(end) => end,
            }
        }
        Some(end) => end,
    };
    let content = attributes.get(..end).unwrap_or_default();
    let is_empty = content.last() == Some(&b'/');
    let token = Token::Start {
        name: start + 1..behind,
        attributes: behind..behind + content.len() - usize::from(is_empty),
        is_empty,
    };
    Scan::Token(token, behind + end + 1)
}

/// A `<` that begins nothing is text, and told of by the reader when it stands in one.
fn no_tag(start: usize) -> Scan {
    Scan::Token(Token::Text(start..start + 1), start + 1)
}

#[inline]
fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b':' | b'-' | b'.') || octet >= 0x80
}

/// A name without its prefix, and the prefix.
#[inline]
pub(super) fn split_prefix(name: &[u8]) -> (&[u8], &[u8]) {
    match memrchr(b':', name) {
        Some(colon) => (
            name.get(colon + 1..).unwrap_or_default(),
            name.get(..colon).unwrap_or_default(),
        ),
        None => (name, &[]),
    }
}
