//! Finds the fields of a header block while it arrives.

use crate::search;

use super::{DefectKind, HeaderError, HeaderIndex, Limits, LineEnd, MAX_LINE, Span};

/// What [`HeaderSplitter::push`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Split {
    /// All octets belong to the header; give more, or call [`HeaderSplitter::finish`] at the end of the message.
    NeedInput,
    /// The header ended within these octets: so many of them belong to it and its empty line, the rest to the body.
    Complete {
        /// How many of the octets just given belong to the header.
        taken: usize,
    },
}

/// Finds the fields of a header block and its end, whatever pieces it comes in.
///
/// Holds an index, no text: the caller keeps the octets, then pairs both by [`Header::new`](super::Header::new). Time is linear in the octets.
///
/// ```
/// use mail_syntax::header::{Header, HeaderSplitter, Split};
/// let mut splitter = HeaderSplitter::default();
/// let mut octets = Vec::new();
/// for piece in [&b"To: a@b\r"[..], b"\n\r\nbody"] {
///     match splitter.push(piece)? {
///         Split::NeedInput => octets.extend_from_slice(piece),
///         Split::Complete { taken } => octets.extend_from_slice(&piece[..taken]),
///     }
/// }
/// let index = splitter.finish();
/// let header = Header::new(&octets, &index);
/// assert_eq!(header.fields().count(), 1);
/// # Ok::<(), mail_syntax::header::HeaderError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct HeaderSplitter {
    limits: Limits,
    line_end: LineEnd,
    /// How many octets were taken.
    offset: usize,
    line: Line,
    /// The field that lines are being added to; the last of `index.fields` is complete.
    open: Option<Span>,
    index: HeaderIndex,
    failed: Option<HeaderError>,
}

/// What is known of the line being read.
#[derive(Debug, Clone, Default)]
struct Line {
    start: usize,
    kind: LineKind,
    /// The last octet was a CR.
    after_cr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum LineKind {
    /// No octet yet.
    #[default]
    Unknown,
    /// Its first octet is a CR: empty, if an LF follows.
    MaybeEmpty,
    /// Still in what may be a name.
    Name,
    /// White space behind a name: a colon must follow. Holds where the white space began.
    SpaceAfterName(usize),
    /// Behind the colon of a field, or in a continuation with text.
    Text,
    /// A continuation that has had only white space so far.
    Blank,
    /// A line that is no field.
    NoField,
}

impl HeaderSplitter {
    /// A splitter for one header block.
    #[must_use]
    pub fn new(limits: Limits, line_end: LineEnd) -> Self {
        Self {
            limits,
            line_end,
            index: HeaderIndex {
                line_end,
                ..HeaderIndex::default()
            },
            ..Self::default()
        }
    }

    /// Takes more octets of the message.
    ///
    /// Once it has said [`Split::Complete`], it takes no more and says so: `Complete { taken: 0 }`.
    ///
    /// # Errors
    /// [`HeaderError`] as soon as a limit is passed, at the same octet however the input is cut; the same error again on
    /// every later call.
    pub fn push(&mut self, octets: &[u8]) -> Result<Split, HeaderError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.scan(octets)
            .inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Ends the block, at its empty line or at the end of the message, and gives the index.
    #[must_use]
    pub fn finish(mut self) -> HeaderIndex {
        if !self.index.complete {
            if self.line.after_cr {
                self.note(DefectKind::BareCr, self.offset - 1);
            }
            // A CR alone on the last line belongs to no field.
            let last = if self.line.kind == LineKind::MaybeEmpty {
                self.line.start
            } else {
                self.offset
            };
            if last > self.line.start {
                self.end_line(last, last);
            }
            self.close_field(last);
            self.note(DefectKind::Unterminated, self.offset);
            self.index.end = self.offset;
            self.index.body = self.offset;
        }
        self.index
    }

    /// What is known so far: the fields that are complete and the defects.
    #[must_use]
    pub fn index(&self) -> &HeaderIndex {
        &self.index
    }

    fn scan(&mut self, octets: &[u8]) -> Result<Split, HeaderError> {
        let mut at = 0;
        while at < octets.len() {
            if self.index.complete {
                return Ok(Split::Complete { taken: at });
            }
            let rest = &octets[at..];
            if let Some(length) = self.usual_line(rest) {
                at += length;
                continue;
            }
            // Text behind a name runs to the next octet that matters; elsewhere each octet does.
            if self.line.kind == LineKind::Text && !self.line.after_cr {
                let run = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
                self.take(run)?;
                at += run;
                if run == rest.len() {
                    break;
                }
            }
            self.octet(octets[at])?;
            at += 1;
        }
        Ok(if self.index.complete {
            Split::Complete { taken: at }
        } else {
            Split::NeedInput
        })
    }

    /// Takes a line at once, if all of it is there and nothing in it matters but a colon; gives its length.
    ///
    /// What it does not take, [`HeaderSplitter::octet`] looks at: limits and defects are found there.
    fn usual_line(&mut self, octets: &[u8]) -> Option<usize> {
        if self.line.kind != LineKind::Unknown {
            return None;
        }
        let length = search::first_of([b'\r', b'\n', 0], octets)?;
        let (line, behind) = octets.split_at(length);
        let (start, end) = (self.offset, self.offset.checked_add(length + 2)?);
        if !behind.starts_with(b"\r\n") || length > MAX_LINE || end > self.limits.block {
            return None;
        }
        let open = match line {
            [b' ' | b'\t', text @ ..] => {
                let open = self
                    .open
                    .filter(|_| text.iter().any(|octet| !matches!(octet, b' ' | b'\t')))?;
                Span { end, ..open }
            }
            _ => {
                // What `is_ftext` takes goes by.
                let colon = search::first_outside(33..=126, [b':'], line)?;
                let name_end = start + colon;
                if colon == 0
                    || line[colon] != b':'
                    || self.index.fields.len() + 1 >= self.limits.fields
                {
                    return None;
                }
                Span {
                    start,
                    name_end,
                    body: name_end + 1,
                    end,
                }
            }
        };
        if end - open.start > self.limits.field {
            return None;
        }
        if open.start == start {
            self.close_field(start);
        }
        self.open = Some(open);
        self.offset = end;
        self.line.start = end;
        Some(length + 2)
    }

    /// Counts `n` octets that belong to the open field, up to the first that passes a limit.
    fn take(&mut self, n: usize) -> Result<(), HeaderError> {
        let end = self.offset.saturating_add(n);
        let field = self.open.map_or(usize::MAX, |open| {
            open.start.saturating_add(self.limits.field)
        });
        if end > self.limits.block && self.limits.block <= field {
            return Err(HeaderError::BlockTooLong {
                limit: self.limits.block,
            });
        }
        match self.open {
            Some(open) if end > field => Err(HeaderError::FieldTooLong {
                offset: open.start,
                limit: self.limits.field,
            }),
            _ => {
                self.offset = end;
                Ok(())
            }
        }
    }

    fn octet(&mut self, octet: u8) -> Result<(), HeaderError> {
        let at = self.offset;
        if at >= self.limits.block {
            return Err(HeaderError::BlockTooLong {
                limit: self.limits.block,
            });
        }
        let after_cr = core::mem::take(&mut self.line.after_cr);
        if octet == b'\n' && (after_cr || self.line_end == LineEnd::CrlfOrLf) {
            if !after_cr {
                self.note(DefectKind::BareLf, at);
            }
            return self.line_break(at, after_cr);
        }
        if after_cr {
            self.note(DefectKind::BareCr, at - 1);
            match self.line.kind {
                LineKind::MaybeEmpty => self.begin_line(b'\r', at - 1)?,
                LineKind::Name | LineKind::SpaceAfterName(_) => self.line.kind = LineKind::NoField,
                _ => {}
            }
        }
        match octet {
            0 => self.note(DefectKind::Nul, at),
            b'\n' => self.note(DefectKind::BareLf, at),
            b'\r' => {
                self.line.after_cr = true;
                if self.line.kind == LineKind::Unknown {
                    // Of the empty line, most likely: it counts towards the block only.
                    self.line.kind = LineKind::MaybeEmpty;
                    self.offset += 1;
                    return Ok(());
                }
                return self.take(1);
            }
            _ => {}
        }
        match self.line.kind {
            LineKind::Unknown | LineKind::MaybeEmpty => self.begin_line(octet, at)?,
            LineKind::Name => self.name_octet(octet, at),
            LineKind::SpaceAfterName(start) => match octet {
                b':' => {
                    self.note(DefectKind::SpaceBeforeColon, start);
                    self.colon(start, at);
                }
                b' ' | b'\t' => {}
                _ => self.line.kind = LineKind::NoField,
            },
            LineKind::Blank if !matches!(octet, b' ' | b'\t') => self.line.kind = LineKind::Text,
            LineKind::Text | LineKind::Blank | LineKind::NoField => {}
        }
        self.take(1)
    }

    /// The first octet of a line that is not empty.
    fn begin_line(&mut self, octet: u8, at: usize) -> Result<(), HeaderError> {
        // RFC 5322 §2.2.3: "Unfolding is accomplished by simply removing any CRLF that is immediately followed by WSP."
        if matches!(octet, b' ' | b'\t') {
            if self.open.is_some() {
                self.line.kind = LineKind::Blank;
                return Ok(());
            }
            self.note(DefectKind::LeadingContinuation, at);
        }
        self.close_field(at);
        if self.index.fields.len() >= self.limits.fields {
            return Err(HeaderError::TooManyFields {
                offset: at,
                limit: self.limits.fields,
            });
        }
        self.open = Some(Span {
            start: at,
            name_end: at,
            body: at,
            end: at,
        });
        if is_ftext(octet) {
            self.line.kind = LineKind::Name;
        } else {
            self.line.kind = LineKind::NoField;
        }
        Ok(())
    }

    fn name_octet(&mut self, octet: u8, at: usize) {
        match octet {
            b':' => self.colon(at, at),
            b' ' | b'\t' => self.line.kind = LineKind::SpaceAfterName(at),
            octet if is_ftext(octet) => {}
            _ => self.line.kind = LineKind::NoField,
        }
    }

    fn colon(&mut self, name_end: usize, at: usize) {
        if let Some(open) = &mut self.open {
            open.name_end = name_end;
            open.body = at + 1;
        }
        self.line.kind = LineKind::Text;
    }

    /// The LF at `at` ends a line.
    fn line_break(&mut self, at: usize, after_cr: bool) -> Result<(), HeaderError> {
        let empty = matches!(self.line.kind, LineKind::Unknown | LineKind::MaybeEmpty);
        if empty {
            self.close_field(self.line.start);
            self.take(1)?;
            self.index.end = self.line.start;
            self.index.body = self.offset;
            self.index.complete = true;
            return Ok(());
        }
        self.take(1)?;
        self.end_line(at - usize::from(after_cr), self.offset);
        self.line = Line {
            start: self.offset,
            ..Line::default()
        };
        Ok(())
    }

    /// The line's text ended at `text_end`, the next line begins at `end`.
    fn end_line(&mut self, text_end: usize, end: usize) {
        let start = self.line.start;
        if text_end - start > MAX_LINE {
            self.note(DefectKind::LongLine, start);
        }
        match self.line.kind {
            LineKind::Blank => self.note(DefectKind::BlankContinuation, start),
            LineKind::Name | LineKind::SpaceAfterName(_) | LineKind::NoField => {
                self.note(DefectKind::MissingColon, start);
            }
            LineKind::Unknown | LineKind::MaybeEmpty | LineKind::Text => {}
        }
        if let Some(open) = &mut self.open {
            open.end = end;
        }
    }

    fn close_field(&mut self, end: usize) {
        if let Some(open) = self.open.take() {
            if self.index.fields.is_empty() {
                // Most headers have fewer.
                self.index.fields.reserve(self.limits.fields.min(32));
            }
            self.index.fields.push(Span { end, ..open });
        }
    }

    fn note(&mut self, kind: DefectKind, offset: usize) {
        self.index.note(kind, offset, self.limits.defects);
    }
}

/// RFC 5322 §3.6.8: "ftext           =   %d33-57 /          ; Printable US-ASCII"
fn is_ftext(octet: u8) -> bool {
    matches!(octet, 33..=57 | 59..=126)
}
