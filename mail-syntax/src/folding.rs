//! Folding and unfolding of header fields.

use std::borrow::Cow;

use crate::header::LineEnd;
use crate::search;

/// The length that a line should not pass, without its CRLF: 78 (RFC 5322 §2.1.1).
pub const COLUMNS: usize = 78;

/// Takes the folds out of a field or its body: each CRLF that white space follows is dropped, and a final CRLF too.
///
/// RFC 5322 §2.2.3. Nothing is copied where there is no fold. Octets are otherwise left alone, bare CR and LF included.
#[must_use]
pub fn unfold(octets: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memmem::find(octets, b"\r\n") else {
        return Cow::Borrowed(octets);
    };
    let mut unfolded = octets[..first].to_vec();
    let mut rest = &octets[first..];
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        // RFC 5322 §2.2.3: "Unfolding is accomplished by simply removing any CRLF that is immediately followed by WSP."
        if !matches!(after.first(), None | Some(b' ' | b'\t')) {
            unfolded.extend_from_slice(b"\r\n");
        }
        let next = memchr::memmem::find(after, b"\r\n").unwrap_or(after.len());
        unfolded.extend_from_slice(&after[..next]);
        rest = &after[next..];
    }
    Cow::Owned(unfolded)
}

/// As [`unfold`], where a bare LF may end a line too.
pub(crate) fn unfold_with(octets: &[u8], line_end: LineEnd) -> Cow<'_, [u8]> {
    if line_end == LineEnd::Crlf || memchr::memchr(b'\n', octets).is_none() {
        return unfold(octets);
    }
    let mut unfolded = Vec::with_capacity(octets.len());
    let mut lines = octets.split_inclusive(|octet| *octet == b'\n').peekable();
    while let Some(line) = lines.next() {
        let text = match line {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
            text => text,
        };
        let goes_on = matches!(
            lines.peek().and_then(|next| next.first()),
            None | Some(b' ' | b'\t')
        );
        unfolded.extend_from_slice(if goes_on { text } else { line });
    }
    Cow::Owned(unfolded)
}

/// Why a field cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// CR, LF or NUL in what should be one field: it would become another one.
    #[error("CR, LF or NUL at byte {offset} of the field body")]
    Character {
        /// Where it stands.
        offset: usize,
    },
    /// The name is empty or holds something other than printable ASCII without a colon.
    #[error("this is no name of a header field")]
    Name,
    /// A word that cannot be folded is longer than a line may be (998 octets).
    #[error("a word longer than 998 octets cannot be folded")]
    WordTooLong,
}

/// Writes one header field, folded before white space so that lines stay within 78 columns where that is possible.
///
/// The result ends in CRLF. Folds never fall inside a quoted string, and never make a line of white space only.
///
/// ```
/// let field = mail_syntax::folding::fold("Subject", "hello")?;
/// assert_eq!(field, "Subject: hello\r\n");
/// assert!(mail_syntax::folding::fold("Subject", "hello\r\nBcc: victim@example.com").is_err());
/// # Ok::<(), mail_syntax::folding::FoldError>(())
/// ```
///
/// # Errors
/// [`FoldError`] if the name or body could be read as something else, or if a word does not fit into a line.
pub fn fold(name: &str, body: &str) -> Result<String, FoldError> {
    let mut writer = FieldWriter::new(name)?;
    if let Some(offset) = unfit(body) {
        return Err(FoldError::Character { offset });
    }
    let mut rest = body.trim_matches([' ', '\t']);
    // A quote that is never closed begins no quoted string: from there on it is all text.
    let mut quotes = true;
    while !rest.is_empty() {
        let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let word = &rest[spaces..];
        let length = word_length(word, quotes).unwrap_or_else(|| {
            quotes = false;
            word.find([' ', '\t']).unwrap_or(word.len())
        });
        let end = spaces + length;
        writer.write(&rest[..spaces], &[&rest[spaces..end]]);
        rest = &rest[end..];
    }
    writer.finish()
}

/// The length of what stands before the next white space outside a quoted string; `None` if a quoted string does not end.
fn word_length(text: &str, quotes: bool) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = quotes && !quoted,
            b' ' | b'\t' if !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

/// Writes a header field word by word and folds it: for fields that know their own structure.
#[derive(Debug, Clone)]
pub struct FieldWriter {
    out: String,
    /// Where the current line begins.
    line: usize,
    /// The current line has nothing yet but the name or the white space of its fold.
    fresh: bool,
    error: Option<FoldError>,
}

impl FieldWriter {
    /// Begins the field.
    ///
    /// # Errors
    /// [`FoldError::Name`].
    pub fn new(name: &str) -> Result<Self, FoldError> {
        Self::with_capacity(name, 0)
    }

    /// As [`FieldWriter::new`], with room for so many octets of the field.
    ///
    /// # Errors
    /// [`FoldError::Name`].
    pub fn with_capacity(name: &str, octets: usize) -> Result<Self, FoldError> {
        if name.is_empty() || !name.bytes().all(|c| matches!(c, 33..=57 | 59..=126)) {
            return Err(FoldError::Name);
        }
        let mut out = String::with_capacity(octets.max(name.len() + 1));
        out.push_str(name);
        out.push(':');
        Ok(Self {
            out,
            line: 0,
            fresh: true,
            error: None,
        })
    }

    /// Adds a space or a fold, then the word.
    pub fn word(&mut self, word: &str) {
        self.write(" ", &[word]);
    }

    /// As [`FieldWriter::word`], for a word that is made of parts.
    pub fn word_parts(&mut self, parts: &[&str]) {
        self.write(" ", parts);
    }

    /// Adds text right behind the last word, with no space or fold between.
    pub fn glue(&mut self, text: &str) {
        self.out.push_str(text);
        self.fresh = false;
    }

    /// Adds text that may be folded anywhere, as base64 in a DKIM signature may.
    pub fn anywhere(&mut self, text: &str) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if self.column() + first.len_utf8() > COLUMNS && !self.fresh {
                self.break_line();
                self.out.push(' ');
                self.fresh = true;
            }
            // What fits into the line, and one character at least.
            let room = COLUMNS.saturating_sub(self.column());
            let mut end = room.clamp(first.len_utf8(), rest.len());
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (line, behind) = rest.split_at(end);
            self.out.push_str(line);
            self.fresh = false;
            rest = behind;
        }
    }

    /// The field as far as it is written: for what must be done before its end, as signing.
    ///
    /// # Errors
    /// What was wrong with anything that was added.
    pub fn written(&self) -> Result<&str, FoldError> {
        match self.error.clone().or_else(|| self.line_error()) {
            Some(error) => Err(error),
            None => Ok(&self.out),
        }
    }

    /// Ends the field with CRLF and gives it.
    ///
    /// # Errors
    /// What was wrong with anything that was added.
    pub fn finish(mut self) -> Result<String, FoldError> {
        self.break_line();
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.out),
        }
    }

    fn write(&mut self, space: &str, word: &[&str]) {
        let length: usize = word.iter().map(|part| part.len()).sum();
        // A fold right behind the name is legal, but a reader that looks for `Name: ` would miss it.
        if self.column() + space.len().max(1) + length > COLUMNS && !self.fresh {
            self.break_line();
        }
        match space {
            "" | " " => self.out.push(' '),
            space => self.out.push_str(space),
        }
        word.iter().for_each(|part| self.out.push_str(part));
        self.fresh = false;
    }

    fn column(&self) -> usize {
        self.out.len() - self.line
    }

    fn break_line(&mut self) {
        if self.error.is_none() {
            self.error = self.line_error();
        }
        self.out.push_str("\r\n");
        self.line = self.out.len();
    }

    /// What is wrong with the current line.
    fn line_error(&self) -> Option<FoldError> {
        let line = self.out.get(self.line..).unwrap_or_default();
        if let Some(at) = unfit(line) {
            let body = self.out.find(':').map_or(0, |colon| colon + 1);
            let offset = (self.line + at).saturating_sub(body);
            return Some(FoldError::Character { offset });
        }
        (line.len() > crate::header::MAX_LINE).then_some(FoldError::WordTooLong)
    }
}

/// Where a character is that would end the field.
fn unfit(text: &str) -> Option<usize> {
    // All of them are low, and little else is.
    let low = search::first_up_to(b'\r', text.as_bytes())?;
    let rest = text.as_bytes().get(low..)?;
    Some(low + memchr::memchr3(b'\r', b'\n', 0, rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unfolds() {
        for (folded, unfolded) in [
            ("a", "a"),
            ("a\r\n b", "a b"),
            ("a\r\n\tb\r\n c\r\n", "a\tb c"),
            ("a\r\nb", "a\r\nb"),
            ("a\n b", "a\n b"),
        ] {
            assert_eq!(unfold(folded.as_bytes()), unfolded.as_bytes());
        }
    }

    #[test]
    fn folds_outside_quotes() {
        let quoted = format!("\"{}\"", "a b ".repeat(18));
        let field = fold("To", &format!("{} {quoted} tail", "x".repeat(30))).unwrap();
        assert_eq!(
            field,
            format!("To: {}\r\n {quoted}\r\n tail\r\n", "x".repeat(30))
        );
        assert_eq!(fold("To", &"x".repeat(999)), Err(FoldError::WordTooLong));
        assert_eq!(fold("T:o", "x"), Err(FoldError::Name));
        assert_eq!(fold("To", "x\ny"), Err(FoldError::Character { offset: 1 }));
    }

    #[test]
    fn folds_anywhere() {
        let mut writer = FieldWriter::new("b").unwrap();
        writer.word("b=");
        writer.anywhere(&"A".repeat(200));
        let field = writer.finish().unwrap();
        assert!(field.lines().all(|line| line.len() <= COLUMNS));
        assert_eq!(field.matches('A').count(), 200);
    }

    proptest! {
        #[test]
        fn words_of_parts_are_words(words in proptest::collection::vec(("[ -~é\r]{0,60}", any::<u16>()), 0..8)) {
            let (mut whole, mut parts) = (FieldWriter::new("X").unwrap(), FieldWriter::new("X").unwrap());
            for (text, number) in &words {
                whole.word(&format!("{text}={number};"));
                parts.word_parts(&[text, "=", &number.to_string(), ";"]);
            }
            prop_assert_eq!(parts.finish(), whole.finish());
        }

        #[test]
        fn what_folds_anywhere_is_whole(texts in proptest::collection::vec("[!-~é€]{0,200}", 0..4)) {
            let mut writer = FieldWriter::new("X").unwrap();
            texts.iter().for_each(|text| writer.anywhere(text));
            let field = writer.finish().unwrap();
            prop_assert!(field.lines().all(|line| line.len() <= COLUMNS && !line.trim().is_empty()));
            prop_assert_eq!(field.replace("\r\n ", ""), format!("X:{}\r\n", texts.concat()));
        }

        #[test]
        fn folding_changes_nothing(body in "[ -~]{0,300}") {
            let body = body.trim_matches(' ');
            let field = fold("X", body).unwrap();
            prop_assert!(field.lines().all(|line| !line.trim().is_empty() || body.is_empty()));
            let unfolded = unfold(field.as_bytes());
            let unfolded = core::str::from_utf8(&unfolded).unwrap();
            prop_assert_eq!(unfolded.trim_start_matches("X:").trim_matches(' '), body.trim_matches(' '));
        }
    }
}
