//! The header block of a message: where it ends, and its fields, byte for byte.
//!
//! There is one splitter, [`HeaderSplitter`], for everything that reads a message, so that all see the same fields and the same
//! start of the body. It takes the octets in any pieces, keeps an index instead of copies, and notes whatever another reader might
//! see differently as a [`Defect`] with its offset. What to do about defects is the caller's decision; [`Defect::is_malformed`]
//! tells those after which no signature may be believed.

mod splitter;

use core::fmt;
use core::iter::FusedIterator;

pub use splitter::{HeaderSplitter, Split};

/// The longest line, without its CRLF, in octets: 998 (RFC 5322 §2.1.1).
pub const MAX_LINE: usize = 998;

/// What a header block may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets in the block, the empty line included. Default: 1 MiB. Costs: the octets are held by whoever reads the fields.
    pub block: usize,
    /// Octets in one field with its folds. Default: 100 KiB (Postfix `header_size_limit`). Costs: none by itself.
    pub field: usize,
    /// Fields, malformed lines counted as such. Default: 2,000. Costs: 32 octets of index for each.
    pub fields: usize,
    /// Defects that are kept, each with its offset; further ones are only counted. Default: 100. Costs: 16 octets for each.
    pub defects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block: 1 << 20,
            field: 100 << 10,
            fields: 2_000,
            defects: 100,
        }
    }
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineEnd {
    /// Only CRLF, as RFC 5322 §2.2 says: "followed by a field body, and terminated by CRLF." A bare LF is text, and a defect.
    #[default]
    Crlf,
    /// CRLF or a bare LF: for messages out of files that were never on the wire. A bare LF is a defect all the same.
    CrlfOrLf,
}

/// The header block went past a limit. The splitter is done for; nothing more can be read from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The block is longer than [`Limits::block`].
    #[error("the header block is longer than {limit} octets")]
    BlockTooLong {
        /// The limit.
        limit: usize,
    },
    /// A field is longer than [`Limits::field`].
    #[error("the header field at byte {offset} is longer than {limit} octets")]
    FieldTooLong {
        /// Where the field begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// There are more fields than [`Limits::fields`].
    #[error("more than {limit} header fields: the next one begins at byte {offset}")]
    TooManyFields {
        /// Where the first field too many begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
}

/// Something in a header block that other readers may see differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// What it is.
    pub kind: DefectKind,
    /// The octet it concerns, from the start of the block.
    pub offset: usize,
}

/// The kinds of [`Defect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DefectKind {
    /// A CR that no LF follows.
    BareCr,
    /// An LF that follows no CR.
    BareLf,
    /// A NUL octet.
    Nul,
    /// A line of more than 998 octets (offset of the line).
    LongLine,
    /// A line that is no continuation and has no colon, or nothing or something unprintable for a name before it (offset of the
    /// line). It is no field, and it does not end the block.
    MissingColon,
    /// The first line of the block begins with white space: it continues nothing (offset of the line).
    LeadingContinuation,
    /// White space between the name and the colon (RFC 5322 §4.5) (offset of the white space).
    SpaceBeforeColon,
    /// A continuation line of nothing but white space (RFC 5322 §4.2), which some readers take for the end of the header (offset of
    /// the line).
    BlankContinuation,
    /// The input ended within the block; the last line may have no line end (offset of the end).
    Unterminated,
}

impl Defect {
    /// True if readers disagree about where fields or the header end because of it: no signature over this message says
    /// anything about what its reader will see.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        use DefectKind::{BareCr, BareLf, LeadingContinuation, MissingColon, Nul};
        matches!(
            self.kind,
            BareCr | BareLf | Nul | MissingColon | LeadingContinuation
        )
    }
}

/// Where a field stands in the octets of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    /// The end of the name, without white space; equal to `start` for a malformed line.
    name_end: usize,
    /// The octet behind the colon.
    body: usize,
    /// The end, its line end included.
    end: usize,
}

/// Where the fields of a header block stand, and what is odd about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderIndex {
    line_end: LineEnd,
    fields: Vec<Span>,
    defects: Vec<Defect>,
    defect_count: usize,
    malformed: bool,
    end: usize,
    body: usize,
    complete: bool,
}

impl HeaderIndex {
    /// The offset of the empty line, which is the length of the fields.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// The offset of the body: behind the empty line.
    #[must_use]
    pub fn body(&self) -> usize {
        self.body
    }

    /// False if the message ended before an empty line.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The defects in order of their lines, up to [`Limits::defects`] of them.
    #[must_use]
    pub fn defects(&self) -> &[Defect] {
        &self.defects
    }

    /// How many defects there are, those not kept included.
    #[must_use]
    pub fn defect_count(&self) -> usize {
        self.defect_count
    }

    /// True if any defect, kept or not, [is malformed](Defect::is_malformed).
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }

    fn note(&mut self, kind: DefectKind, offset: usize, kept: usize) {
        let defect = Defect { kind, offset };
        self.defect_count += 1;
        self.malformed |= defect.is_malformed();
        if self.defects.len() < kept {
            self.defects.push(defect);
        }
    }
}

/// A header block: its octets, and where its fields are.
#[derive(Clone)]
pub struct Header<'a> {
    octets: &'a [u8],
    index: std::borrow::Cow<'a, HeaderIndex>,
}

impl<'a> Header<'a> {
    /// Pairs octets with the index that a [`HeaderSplitter`] made of them.
    ///
    /// The octets may go on into the body. Fields that an index of other octets puts beyond their end are left out.
    #[must_use]
    pub fn new(octets: &'a [u8], index: &'a HeaderIndex) -> Self {
        Self {
            octets,
            index: std::borrow::Cow::Borrowed(index),
        }
    }

    /// Splits a whole message into its header and its body, lines ending in CRLF.
    ///
    /// # Errors
    /// [`HeaderError`] if the header passes a limit.
    pub fn split(message: &'a [u8], limits: &Limits) -> Result<(Self, &'a [u8]), HeaderError> {
        Self::split_with(message, limits, LineEnd::Crlf)
    }

    /// Splits a whole message into its header and its body.
    ///
    /// # Errors
    /// [`HeaderError`] if the header passes a limit.
    pub fn split_with(
        message: &'a [u8],
        limits: &Limits,
        line_end: LineEnd,
    ) -> Result<(Self, &'a [u8]), HeaderError> {
        let mut splitter = HeaderSplitter::new(limits.clone(), line_end);
        let _ = splitter.push(message)?;
        let index = splitter.finish();
        let body = &message[index.body..];
        Ok((
            Self {
                octets: message,
                index: std::borrow::Cow::Owned(index),
            },
            body,
        ))
    }

    /// The octets of the fields, up to the empty line.
    #[must_use]
    pub fn octets(&self) -> &'a [u8] {
        self.octets.get(..self.index.end).unwrap_or(self.octets)
    }

    /// The index: offsets and defects.
    #[must_use]
    pub fn index(&self) -> &HeaderIndex {
        &self.index
    }

    /// The fields, from the top. Lines that are no fields are left out; they are among the defects.
    #[must_use]
    pub fn fields(&self) -> Fields<'a, '_> {
        Fields {
            octets: self.octets,
            line_end: self.index.line_end,
            spans: self.index.fields.iter(),
        }
    }

    /// The fields of this name, compared without case, from the top; `.rev()` gives them from the bottom.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields()).finish()
    }
}

/// The fields of a header block, in order.
#[derive(Debug, Clone)]
pub struct Fields<'a, 'i> {
    octets: &'a [u8],
    line_end: LineEnd,
    spans: core::slice::Iter<'i, Span>,
}

impl<'a> Iterator for Fields<'a, '_> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let (octets, line_end) = (self.octets, self.line_end);
        self.spans
            .find_map(|span| Field::new(octets, *span, line_end))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.spans.size_hint().1)
    }
}

impl<'a> DoubleEndedIterator for Fields<'a, '_> {
    fn next_back(&mut self) -> Option<Field<'a>> {
        let (octets, line_end) = (self.octets, self.line_end);
        self.spans
            .by_ref()
            .rev()
            .find_map(|span| Field::new(octets, *span, line_end))
    }
}

impl FusedIterator for Fields<'_, '_> {}

/// One field of a header block, byte for byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    /// ASCII.
    name: &'a [u8],
    body: &'a [u8],
    offset: usize,
    body_offset: usize,
    line_end: LineEnd,
}

impl<'a> Field<'a> {
    #[inline]
    fn new(octets: &'a [u8], span: Span, line_end: LineEnd) -> Option<Self> {
        if span.name_end == span.start {
            return None;
        }
        let name = octets.get(span.start..span.name_end)?;
        if !name.is_ascii() {
            return None;
        }
        let raw = octets.get(span.start..span.end)?;
        let body = strip_line_end(octets.get(span.body..span.end)?);
        Some(Self {
            raw,
            name,
            body,
            offset: span.start,
            body_offset: span.body,
            line_end,
        })
    }

    /// Reads one field that stands alone, with or without its final CRLF.
    ///
    /// `None` if it is not exactly one field: no name, no colon, or lines that do not continue it.
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let limits = Limits {
            block: usize::MAX,
            field: usize::MAX,
            fields: 2,
            defects: 0,
        };
        let mut splitter = HeaderSplitter::new(limits, LineEnd::Crlf);
        let split = splitter.push(raw).ok()?;
        let index = splitter.finish();
        match (split, index.fields.as_slice()) {
            (Split::NeedInput, [span]) => Self::new(raw, *span, LineEnd::Crlf),
            _ => None,
        }
    }

    /// The name as it is spelled, without white space or colon.
    #[must_use]
    pub fn name(&self) -> &'a str {
        core::str::from_utf8(self.name).unwrap_or_default()
    }

    /// The octets of the name, which are ASCII: as [`Field::name`], for who compares many.
    #[must_use]
    pub fn name_octets(&self) -> &'a [u8] {
        self.name
    }

    /// True if this is the field's name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        // Most names are spelled alike, and that is found sooner.
        let name = name.as_bytes();
        self.name == name || self.name.eq_ignore_ascii_case(name)
    }

    /// The whole field: name, colon, body, folds, and its final line end if it has one.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// What follows the colon, folds and leading white space included, without the final line end.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The body unfolded and trimmed of white space at both ends. A bare LF folds it where one ends a line ([`LineEnd::CrlfOrLf`]).
    #[must_use]
    pub fn value(&self) -> std::borrow::Cow<'a, [u8]> {
        crate::folding::unfold_with(self.body.trim_ascii(), self.line_end)
    }

    /// Where the field begins, from the start of the block.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Where its body begins: the octet behind the colon, from the start of the block.
    #[must_use]
    pub fn body_offset(&self) -> usize {
        self.body_offset
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.raw.escape_ascii())
    }
}

fn strip_line_end(octets: &[u8]) -> &[u8] {
    match octets {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        _ => octets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(message: &[u8]) -> Vec<(DefectKind, usize)> {
        let (header, _) = Header::split(message, &Limits::default()).unwrap();
        header
            .index()
            .defects()
            .iter()
            .map(|defect| (defect.kind, defect.offset))
            .collect()
    }

    #[test]
    fn fields_keep_their_octets() {
        let message = b"From : a\r\nSUBJECT:b\r\n\tc\r\nX:\r\nfrom:  d \r\n\r\nbody: no\r\n";
        let (header, body) = Header::split(message, &Limits::default()).unwrap();
        assert_eq!(body, b"body: no\r\n");
        let fields: Vec<_> = header
            .fields()
            .map(|f| (f.name(), f.raw(), f.body(), f.offset()))
            .collect();
        assert_eq!(
            fields,
            [
                ("From", &b"From : a\r\n"[..], &b" a"[..], 0),
                ("SUBJECT", b"SUBJECT:b\r\n\tc\r\n", b"b\r\n\tc", 10),
                ("X", b"X:\r\n", b"", 25),
                ("from", b"from:  d \r\n", b"  d ", 29),
            ]
        );
        assert_eq!(
            header
                .named("FROM")
                .rev()
                .map(|f| f.offset())
                .collect::<Vec<_>>(),
            [29, 0]
        );
        assert_eq!(
            header.named("subject").next().unwrap().value(),
            &b"b\tc"[..]
        );
        assert_eq!(header.octets().len(), 40);
        assert!(header.index().is_complete());
        assert_eq!(
            header.index().defects(),
            [Defect {
                kind: DefectKind::SpaceBeforeColon,
                offset: 4
            }]
        );
    }

    #[test]
    fn defects_have_offsets() {
        use DefectKind::*;
        for (message, expected) in [
            (&b"a:b\r\n\r\n"[..], &[][..]),
            (b"a:b\rc\r\n\r\n", &[(BareCr, 3)]),
            (b"a:b\nc\r\n\r\n", &[(BareLf, 3)]),
            (b"a:b\r\r\n\r\n", &[(BareCr, 3)]),
            (b"a\rb:c\r\n\r\n", &[(BareCr, 1), (MissingColon, 0)]),
            (b"a:\0\r\n\r\n", &[(Nul, 2)]),
            (b"a:b\r\nno colon\r\n\r\n", &[(MissingColon, 5)]),
            (b"a:b\r\n:c\r\n\r\n", &[(MissingColon, 5)]),
            (b"From me Mon 10:00\r\na:b\r\n\r\n", &[(MissingColon, 0)]),
            (
                b" a:b\r\nc:d\r\n\r\n",
                &[(LeadingContinuation, 0), (MissingColon, 0)],
            ),
            (b"a:b\r\n \r\n c\r\n\r\n", &[(BlankContinuation, 5)]),
            (b"a:b\r\n\rc:d\r\n\r\n", &[(BareCr, 5), (MissingColon, 5)]),
            (b"a:b\r\n\nc:d\r\n\r\n", &[(BareLf, 5), (MissingColon, 5)]),
            (b"a:b\r\nc:d", &[(Unterminated, 8)]),
            (b"a:b\r\n\r", &[(BareCr, 5), (Unterminated, 6)]),
            (b"", &[(Unterminated, 0)]),
        ] {
            assert_eq!(kinds(message), expected, "{}", message.escape_ascii());
        }
        let long = [
            b"a:".as_slice(),
            &[b'x'; 996],
            b"\r\nb:",
            &[b'x'; 997],
            b"\r\n\r\n",
        ]
        .concat();
        assert_eq!(kinds(&long), [(LongLine, 1000)]);
    }

    #[test]
    fn a_line_without_colon_does_not_end_the_header() {
        let (header, body) = Header::split(
            b"a:b\r\nno colon\r\nFrom: x\r\n\r\nbody",
            &Limits::default(),
        )
        .unwrap();
        assert!(header.index().is_malformed());
        assert_eq!(
            header.fields().map(|f| f.name()).collect::<Vec<_>>(),
            ["a", "From"]
        );
        assert_eq!(body, b"body");
    }

    #[test]
    fn bare_lf_folds_fields_only_where_asked() {
        let message = b"A: one\n two\r\n\tthree\r\n\r\n";
        for (line_end, value) in [
            (LineEnd::Crlf, &b"one\n two\tthree"[..]),
            (LineEnd::CrlfOrLf, b"one two\tthree"),
        ] {
            let (header, _) = Header::split_with(message, &Limits::default(), line_end).unwrap();
            let field = header.named("a").next().unwrap();
            assert_eq!(*field.value(), *value, "{line_end:?}");
            assert_eq!(field.body(), b" one\n two\r\n\tthree");
        }
    }

    #[test]
    fn bare_lf_ends_lines_only_where_asked() {
        let message = b"a:b\nc:d\n\nbody";
        let (header, body) =
            Header::split_with(message, &Limits::default(), LineEnd::CrlfOrLf).unwrap();
        assert_eq!((header.fields().count(), body), (2, &b"body"[..]));
        let (header, body) = Header::split(message, &Limits::default()).unwrap();
        assert_eq!((header.fields().count(), body), (1, &b""[..]));
    }

    #[test]
    fn limits_hold() {
        let limits = Limits {
            block: 20,
            field: 8,
            fields: 2,
            defects: 1,
        };
        for (message, error) in [
            (&b"a:3456\r\n\r\n"[..], None),
            (
                b"a:34567\r\n\r\n",
                Some(HeaderError::FieldTooLong {
                    offset: 0,
                    limit: 8,
                }),
            ),
            (
                b"a:3\r\nb:3\r\nc",
                Some(HeaderError::TooManyFields {
                    offset: 10,
                    limit: 2,
                }),
            ),
            (b"a:\0\0\r\n\r\n", None),
        ] {
            let result = Header::split(message, &limits)
                .map(|(header, _)| assert!(header.index().defects().len() <= 1));
            assert_eq!(result.err(), error);
        }
        let limits = Limits {
            block: 6,
            ..Limits::default()
        };
        assert!(Header::split(b"a:\r\n\r\nbody", &limits).is_ok());
        assert_eq!(
            Header::split(b"a:1\r\n\r\nbody", &limits).err(),
            Some(HeaderError::BlockTooLong { limit: 6 })
        );
    }

    #[test]
    fn one_field_alone() {
        assert_eq!(Field::parse(b"A: b\r\n c").unwrap().value(), &b"b c"[..]);
        for bad in [&b""[..], b"a", b"a:b\r\nc:d", b"a:b\r\n\r\n", b" a:b"] {
            assert!(Field::parse(bad).is_none(), "{}", bad.escape_ascii());
        }
    }

    fn split_in(
        message: &[u8],
        cuts: &[usize],
        limits: &Limits,
    ) -> (Result<usize, HeaderError>, HeaderIndex) {
        let mut splitter = HeaderSplitter::new(limits.clone(), LineEnd::Crlf);
        let mut from = 0;
        for &cut in cuts.iter().chain([&message.len()]) {
            match splitter.push(&message[from..cut]) {
                Ok(Split::NeedInput) => from = cut,
                Ok(Split::Complete { taken }) => return (Ok(from + taken), splitter.finish()),
                Err(error) => return (Err(error), HeaderIndex::default()),
            }
        }
        (Ok(message.len()), splitter.finish())
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            message in proptest::collection::vec(prop_oneof![
                Just(b"\r\n".to_vec()), Just(b"\r".to_vec()), Just(b"\n".to_vec()), Just(b"a".to_vec()), Just(b":".to_vec()),
                Just(b" ".to_vec()), Just(b"\0".to_vec()), Just(b"Name: text\r\n".to_vec()),
            ], 0..24).prop_map(|parts| parts.concat()),
            small in any::<bool>(),
        ) {
            let limits = if small { Limits { block: 40, field: 16, fields: 3, defects: 3 } } else { Limits::default() };
            let whole = split_in(&message, &[], &limits);
            for cut in 0..=message.len() {
                prop_assert_eq!(&split_in(&message, &[cut], &limits), &whole);
            }
            let all: Vec<_> = (0..message.len()).collect();
            prop_assert_eq!(&split_in(&message, &all, &limits), &whole);
        }

        #[test]
        fn fields_and_lines_cover_the_block(message in "([ -~]{0,6}|:|\r\n| ){0,30}") {
            let (header, _) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
            let mut end = 0;
            for span in &header.index.fields {
                prop_assert_eq!(span.start, end);
                end = span.end;
            }
            prop_assert_eq!(end, header.index.end);
        }
    }
}
