//! Canonicalization of header fields and bodies (RFC 6376 §3.4), as streams.
//!
//! Of a body nothing is held but counters and less than 192 octets.

use core::fmt;
use core::str::FromStr;

use mail_syntax::header::Field;

use crate::compact::Compact;
use crate::white_space::{first_stop_or_cr, is_white_space};

/// How much change on the way a signature tolerates (RFC 6376 §3.4); one word of the tag `c=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Canonicalization {
    /// Almost none: only empty lines at the end of the body.
    #[default]
    Simple,
    /// White space that was changed, lines that were refolded.
    Relaxed,
}

impl Canonicalization {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The word names no canonicalization that is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no canonicalization but \"simple\" and \"relaxed\" is defined")]
pub struct UnknownCanonicalization;

impl FromStr for Canonicalization {
    type Err = UnknownCanonicalization;

    fn from_str(text: &str) -> Result<Self, UnknownCanonicalization> {
        match text {
            "simple" => Ok(Self::Simple),
            "relaxed" => Ok(Self::Relaxed),
            _ => Err(UnknownCanonicalization),
        }
    }
}

/// The canonical form of a body that comes in pieces (RFC 6376 §3.4.3, §3.4.4).
///
/// The pieces may be cut anywhere. A CR without LF, or an LF without CR, is text like any other octet. What is handed on are, but for the
/// last, whole blocks of SHA-256, 64 octets each: long slices of what came in where it stays as it is, and 128 octets at a time elsewhere.
///
/// ```
/// use dkim::canonicalization::{BodyCanonicalizer, Canonicalization};
/// let mut out = Vec::new();
/// let mut body = BodyCanonicalizer::new(Canonicalization::Relaxed);
/// for piece in [&b" C \r\nD"[..], b" \t E\r", b"\n\r\n\r\n"] {
///     body.update(piece, &mut |run| out.extend_from_slice(run));
/// }
/// body.finish(&mut |run| out.extend_from_slice(run));
/// assert_eq!(out, b" C\r\nD E\r\n");
/// ```
#[derive(Clone, Debug)]
pub struct BodyCanonicalizer {
    kind: Canonicalization,
    /// Line ends that count only if something follows them.
    line_ends: u64,
    /// White space behind them, which counts only if text follows in the same line. Relaxed only.
    space: bool,
    /// A CR at the end of the last piece, behind both.
    cr: bool,
    /// There was text.
    text: bool,
    /// What is settled and not handed on yet.
    settled: Compact,
}

/// Line ends to hand on many at a time.
const LINE_ENDS: &[u8; 64] = &{
    let mut octets = [b'\r'; 64];
    let mut at = 1;
    while at < 64 {
        octets[at] = b'\n';
        at += 2;
    }
    octets
};

impl BodyCanonicalizer {
    /// The canonical form of a body of which nothing was seen yet.
    #[must_use]
    pub const fn new(kind: Canonicalization) -> Self {
        Self {
            kind,
            line_ends: 0,
            space: false,
            cr: false,
            text: false,
            settled: Compact::new(),
        }
    }

    /// Which canonical form it makes.
    #[must_use]
    pub const fn kind(&self) -> Canonicalization {
        self.kind
    }

    /// Takes a piece of the body, and hands on what is settled, but for less than 192 octets.
    pub fn update(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        if piece.is_empty() {
            return;
        }
        let mut rest = piece;
        if core::mem::take(&mut self.cr) {
            match rest.strip_prefix(b"\n") {
                Some(behind) => {
                    self.end_line(1);
                    rest = behind;
                }
                None => self.text(b"\r", out),
            }
        }
        match self.kind {
            Canonicalization::Simple => self.verbatim(rest, true, out),
            Canonicalization::Relaxed => self.relaxed(rest, out),
        }
    }

    /// Hands on the rest, with what the end of the body settles.
    pub fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        self.end(out);
    }

    /// As [`BodyCanonicalizer::finish`], where it lies: it is long to move.
    pub(crate) fn end(&mut self, out: &mut impl FnMut(&[u8])) {
        if core::mem::take(&mut self.cr) {
            self.text(b"\r", out);
        }
        match self.kind {
            // RFC 6376 §3.4.3: "converts "*CRLF" at the end of the body to a single "CRLF"."
            Canonicalization::Simple => self.settled.verbatim(b"\r\n", out),
            // RFC 6376 §3.4.4: "If the body is non-empty but does not end with a CRLF, a CRLF is added."
            Canonicalization::Relaxed if self.text => self.settled.verbatim(b"\r\n", out),
            Canonicalization::Relaxed => {}
        }
        self.settled.hand_on(out);
    }

    fn relaxed(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        // White space and line ends at both ends of the piece hang together with what is around it; between them all is settled here.
        let is_text = |octet: &u8| !is_white_space(*octet) && !matches!(octet, b'\r' | b'\n');
        let text = (piece.iter().position(is_text))
            .zip(piece.iter().rposition(is_text))
            .and_then(|(first, last)| Some((piece.get(..first)?, piece.get(first..=last)?)));
        let Some((head, text)) = text else {
            return self.relaxed_around(piece, out);
        };
        self.relaxed_around(head, out);
        if core::mem::take(&mut self.cr) {
            self.text(b"\r", out);
        }
        self.release(out);
        self.text = true;
        self.settled.reduced(text, out);
        self.relaxed_around(
            piece.get(head.len() + text.len()..).unwrap_or_default(),
            out,
        );
    }

    /// Takes white space and line ends, and CRs and LFs that are none.
    fn relaxed_around(&mut self, mut rest: &[u8], out: &mut impl FnMut(&[u8])) {
        loop {
            // RFC 6376 §3.4.4: "Reduce all sequences of WSP within a line to a single SP character."
            let behind = skip_white_space(rest);
            self.space |= behind.len() < rest.len();
            if behind.is_empty() {
                return;
            }
            let run = (behind.iter().position(|octet| is_white_space(*octet)))
                .map_or(behind, |end| behind.get(..end).unwrap_or_default());
            rest = behind.get(run.len()..).unwrap_or_default();
            self.verbatim(run, rest.is_empty(), out);
        }
    }

    /// Takes octets that stay as they are, except for line ends at their end.
    fn verbatim(&mut self, run: &[u8], ends_piece: bool, out: &mut impl FnMut(&[u8])) {
        let (run, cr) = match run {
            [run @ .., b'\r'] if ends_piece => (run, true),
            _ => (run, false),
        };
        let mut text = run;
        let mut line_ends = 0;
        while let [before @ .., b'\r', b'\n'] = text {
            text = before;
            line_ends += 1;
        }
        // RFC 6376 §3.4.4: "Ignore all whitespace at the end of lines."
        if run.starts_with(b"\r\n") {
            self.space = false;
        }
        if !text.is_empty() {
            self.text(text, out);
        }
        if line_ends > 0 {
            self.end_line(line_ends);
        }
        self.cr = cr;
    }

    fn end_line(&mut self, line_ends: u64) {
        self.space = false;
        self.line_ends = self.line_ends.saturating_add(line_ends);
    }

    /// Hands on text, and before it what was held back.
    fn text(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) {
        self.release(out);
        self.text = true;
        self.settled.verbatim(text, out);
    }

    fn release(&mut self, out: &mut impl FnMut(&[u8])) {
        while self.line_ends > 0 {
            let count = self.line_ends.min(LINE_ENDS.len() as u64 / 2);
            self.line_ends -= count;
            let line_ends = &LINE_ENDS[..count as usize * 2];
            self.settled.verbatim(line_ends, out);
        }
        if core::mem::take(&mut self.space) {
            self.settled.verbatim(b" ", out);
        }
    }
}

fn skip_white_space(octets: &[u8]) -> &[u8] {
    let end = octets.iter().position(|octet| !is_white_space(*octet));
    octets
        .get(end.unwrap_or(octets.len())..)
        .unwrap_or_default()
}

/// Adds the canonical form of a field, its final CRLF included, even if the message ended without one.
///
/// RFC 6376 §3.7: "Each header field MUST be terminated with a single CRLF."
pub fn push_field(kind: Canonicalization, field: &Field<'_>, out: &mut Vec<u8>) {
    match kind {
        Canonicalization::Simple => {
            let raw = field.raw();
            out.extend_from_slice(raw.strip_suffix(b"\r\n").unwrap_or(raw));
        }
        Canonicalization::Relaxed => push_relaxed_field(field.name_octets(), field.body(), out),
    }
    out.extend_from_slice(b"\r\n");
}

/// Adds the relaxed form of a field without its CRLF (RFC 6376 §3.4.2); `body` is what stands behind the colon.
pub(crate) fn push_relaxed_field(name: &[u8], body: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(name);
    if let Some(name) = out.get_mut(start..) {
        name.make_ascii_lowercase();
    }
    out.push(b':');
    let mut rest = body;
    let mut first = true;
    loop {
        // White space and folds before the next word; "WSP characters here include those before and after a line folding boundary."
        rest = skip_folding_white_space(rest);
        if rest.is_empty() {
            return;
        }
        if !core::mem::take(&mut first) {
            out.push(b' ');
        }
        let (run, behind) = rest.split_at(words(rest));
        out.extend_from_slice(run);
        rest = behind;
    }
}

fn skip_folding_white_space(mut octets: &[u8]) -> &[u8] {
    loop {
        octets = match octets {
            [b' ' | b'\t', rest @ ..] | [b'\r', b'\n', rest @ ..] => rest,
            _ => return octets,
        }
    }
}

/// The length of the words that stand with one space between each.
fn words(octets: &[u8]) -> usize {
    let mut from = 0;
    loop {
        let rest = octets.get(from..).unwrap_or_default();
        from += first_stop_or_cr(rest);
        match octets.get(from..).unwrap_or_default() {
            [] | [b'\t', ..] | [b' '] | [b' ', b' ' | b'\t' | b'\r', ..] | [b'\r', b'\n', ..] => {
                return from;
            }
            _ => from += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(kind: Canonicalization, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut body = BodyCanonicalizer::new(kind);
        for piece in pieces {
            body.update(piece, &mut |run| out.extend_from_slice(run));
        }
        body.finish(&mut |run| out.extend_from_slice(run));
        out
    }

    /// The words of RFC 6376 §3.4.3 and §3.4.4, step by step over the whole body.
    fn reference(kind: Canonicalization, body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut rest = body;
        while let Some((octet, behind)) = rest.split_first() {
            if rest.starts_with(b"\r\n") {
                lines.push(Vec::new());
                rest = &rest[2..];
            } else {
                lines.last_mut().unwrap().push(*octet);
                rest = behind;
            }
        }
        if kind == Canonicalization::Relaxed {
            for line in &mut lines {
                while line.last().is_some_and(|octet| is_white_space(*octet)) {
                    line.pop();
                }
                let mut reduced: Vec<u8> = Vec::new();
                for octet in &*line {
                    match octet {
                        b' ' | b'\t' if reduced.last() == Some(&b' ') => {}
                        b' ' | b'\t' => reduced.push(b' '),
                        _ => reduced.push(*octet),
                    }
                }
                *line = reduced;
            }
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        if lines.is_empty() && kind == Canonicalization::Simple {
            lines.push(Vec::new());
        }
        lines
            .iter()
            .flat_map(|line| [line, &b"\r\n"[..]].concat())
            .collect()
    }

    #[test]
    fn fields_relaxed() {
        for (raw, expected) in [
            (&b"A: X\r\n"[..], &b"a:X\r\n"[..]),
            (b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z\r\n"),
            (b"SUBJect:AbC", b"subject:AbC\r\n"),
            (b"A:\r\n", b"a:\r\n"),
            (b"A:  \r\n", b"a:\r\n"),
            (b"A: \r\n \r\n b\r\n", b"a:b\r\n"),
            (b"A: b  c d\te f \r\n  g\r\n", b"a:b c d e f g\r\n"),
        ] {
            let mut out = Vec::new();
            let parsed = Field::parse(raw).unwrap();
            push_field(Canonicalization::Relaxed, &parsed, &mut out);
            assert_eq!(out, expected, "{}", raw.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn fields_relaxed_as_the_words_of_the_rfc_have_it(parts in prop::collection::vec(prop::sample::select(vec![
            "\r\n ", "\r\n\t", "\r", "\n ", " ", "\t", "a", "  ", "bc", "\x0b",
            "0123456789012345678901234567890123456789 1 2",
        ]), 0..30)) {
            let body = parts.concat();
            // RFC 6376 §3.4.2: "Unfold all header field continuation lines", "Convert all sequences of one or more WSP characters to a
            // single SP character", "Delete all WSP characters at the end of each unfolded header field value".
            let unfolded = body.replace("\r\n ", " ").replace("\r\n\t", "\t").replace('\t', " ");
            let mut reduced = unfolded;
            while reduced.contains("  ") {
                reduced = reduced.replace("  ", " ");
            }
            let mut out = Vec::new();
            push_relaxed_field(b"NAME", format!("{body}\r\n").as_bytes(), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("name:{}", reduced.trim_matches(' ')));
        }
    }

    #[test]
    fn long_runs_are_not_cut() {
        let body = b"Tm90aGluZyB0byByZWR1Y2UgaGVyZQ==\r\n".repeat(100);
        for kind in [Canonicalization::Simple, Canonicalization::Relaxed] {
            let mut longest = 0;
            BodyCanonicalizer::new(kind).update(&body, &mut |run| longest = longest.max(run.len()));
            assert!(longest > body.len() - 130, "{longest}");
        }
    }

    #[test]
    fn many_empty_lines_then_text() {
        let body = [b"\r\n".repeat(1000), b"x".to_vec()].concat();
        for kind in [Canonicalization::Simple, Canonicalization::Relaxed] {
            assert_eq!(canonical(kind, &[&body]), [&body[..], b"\r\n"].concat());
        }
    }

    fn agree(body: &[u8], mut cuts: Vec<usize>) {
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = (cuts.windows(2))
            .map(|ends| &body[ends[0]..ends[1]])
            .collect();
        let octets: Vec<&[u8]> = body.chunks(1).collect();
        for kind in [Canonicalization::Simple, Canonicalization::Relaxed] {
            let expected = reference(kind, body);
            for pieces in [&pieces, &octets] {
                let canonical = canonical(kind, pieces).escape_ascii().to_string();
                assert_eq!(canonical, expected.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn every_cut_of_what_stands_at_a_border() {
        for white in ["", " ", "\t ", &" ".repeat(65)] {
            for end in [
                "",
                "\r",
                "\n",
                "\r\n",
                "\r\r\n",
                "\r\n\r\n\r\n",
                " \r\n \r\n",
            ] {
                for text in [62, 63, 64, 127] {
                    let body = format!(
                        "{}{white}{end}{white}{}{end}",
                        "a".repeat(text),
                        "b".repeat(70)
                    );
                    for behind in ["", "c", "\r\n", &"\r\n".repeat(100)] {
                        let body = [body.as_bytes(), behind.as_bytes()].concat();
                        for cut in text..(text + 2 * white.len().min(2) + end.len() + 2) {
                            agree(&body, vec![cut]);
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn equals_the_reference_however_cut(
            parts in proptest::collection::vec((proptest::sample::select(vec![
                "\r\n", "\r", "\n", " ", "\t", "a", "  ", " \r\n",
                "0123456789012345678901234567890123456789012345678901234567890123456789 1 2",
                "TWFpbCBhdXRoZW50aWNhdGlvbg==TWFpbCBhdXRoZW50aWNhdGlvbg==TWFpbCBhdXRoZW50aWNhdA==\r\n",
            ]), prop_oneof![9 => Just(1), 1 => 2..40_usize]), 0..20),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let body: String = parts.into_iter().map(|(part, count)| part.repeat(count)).collect();
            let cuts = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            agree(body.as_bytes(), cuts);
        }
    }
}
