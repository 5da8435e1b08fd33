//! Undoing changes of a body until its hash fits.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_syntax::mime::{self, MimeTree, TransferEncoding};

use super::Budget;
use super::changes::{Change, LineEnds};
use crate::canonicalization::{BodyCanonicalizer, Canonicalization};
use crate::signature::Signature;

/// What one guess makes of a body.
struct Candidate<'a> {
    changes: Vec<Change>,
    body: Cow<'a, [u8]>,
}

/// The changes that must be undone for the body to be the one that was signed; none at all if it is as it was. `None` if that was not
/// found before the budget ran out.
pub(super) fn undo(
    message: &[u8],
    body: &[u8],
    signature: &Signature,
    budget: &mut Budget,
) -> Option<Vec<Change>> {
    let mut search = Search { signature, budget };
    let kind = signature.body_canonicalization();
    let as_it_is = Candidate {
        changes: Vec::new(),
        body: Cow::Borrowed(body),
    };
    // One guess first, then two at once.
    let wholes: Vec<_> = restructured(message, body).collect();
    if let Some(found) = search.fits(&as_it_is, kind) {
        return Some(found);
    }
    for candidate in wholes.iter().map(Candidate::reborrow).chain(relined(body)) {
        if let Some(found) = search.fits(&candidate, kind) {
            return Some(found);
        }
    }
    if kind == Canonicalization::Relaxed && search.is_whole(body, Canonicalization::Simple) {
        return Some(vec![Change::HashedSimple]);
    }
    for whole in &wholes {
        for mut candidate in relined(&whole.body) {
            candidate.changes = [&whole.changes[..], &candidate.changes].concat();
            if let Some(found) = search.fits(&candidate, kind) {
                return Some(found);
            }
        }
    }
    None
}

impl Candidate<'_> {
    fn reborrow(&self) -> Candidate<'_> {
        Candidate {
            changes: self.changes.clone(),
            body: Cow::Borrowed(&self.body),
        }
    }
}

struct Search<'s> {
    signature: &'s Signature,
    budget: &'s mut Budget,
}

impl Search<'_> {
    /// The changes of the candidate if it fits, whole or without some of its last lines.
    fn fits(&mut self, candidate: &Candidate<'_>, kind: Canonicalization) -> Option<Vec<Change>> {
        let canonical = self.canonical(&candidate.body, kind)?;
        let changes = candidate.changes.clone();
        if self.signature.body_length().is_some() {
            return self.hashes_to(&canonical).then_some(changes);
        }
        let kept = self.longest_start(&canonical)?;
        let (start, rest) = canonical.split_at(kept);
        let last = if rest.is_empty() {
            None
        } else if start.is_empty() || start == b"\r\n" {
            Some(Change::EmptyBodySigned)
        } else {
            let lines = rest.split_inclusive(|octet| *octet == b'\n').count();
            Some(Change::FooterAdded { lines })
        };
        Some(changes.into_iter().chain(last).collect())
    }

    fn is_whole(&mut self, body: &[u8], kind: Canonicalization) -> bool {
        let canonical = self.canonical(body, kind);
        canonical.is_some_and(|canonical| self.hashes_to(&canonical))
    }

    fn hashes_to(&self, canonical: &[u8]) -> bool {
        let signed = match self.signature.body_length() {
            None => Some(canonical),
            Some(length) => (usize::try_from(length).ok()).and_then(|to| canonical.get(..to)),
        };
        let fits = |signed| {
            let hash = ring::digest::digest(&ring::digest::SHA256, signed);
            hash.as_ref() == self.signature.body_hash()
        };
        signed.is_some_and(fits)
    }

    /// How many octets from the start, up to the end of a line, were signed; in one pass, whatever their number.
    fn longest_start(&self, canonical: &[u8]) -> Option<usize> {
        // Without any line it is empty, or one line end where `simple` demands that.
        let empty: &[u8] = match self.signature.body_canonicalization() {
            Canonicalization::Simple => b"\r\n",
            Canonicalization::Relaxed => b"",
        };
        let mut kept = self.hashes_to(empty).then_some(0);
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        let mut end = 0;
        for line in canonical.split_inclusive(|octet| *octet == b'\n') {
            hash.update(line);
            end += line.len();
            // A body does not end in an empty line.
            let may_end = line != b"\r\n" && (line.ends_with(b"\r\n") || end == canonical.len());
            if (may_end || end == canonical.len())
                && hash.clone().finish().as_ref() == self.signature.body_hash()
            {
                kept = Some(end);
            }
        }
        kept
    }

    fn canonical(&mut self, body: &[u8], kind: Canonicalization) -> Option<Vec<u8>> {
        if !self.budget.spend(body.len()) {
            return None;
        }
        let mut canonical = Vec::with_capacity(body.len() + 2);
        let mut canonicalizer = BodyCanonicalizer::new(kind);
        canonicalizer.update(body, &mut |run| canonical.extend_from_slice(run));
        canonicalizer.finish(&mut |run| canonical.extend_from_slice(run));
        Some(canonical)
    }
}

/// Lines at the start of a body that may be a banner.
const BANNER: usize = 12;

/// The body with lines of its own changed back, each way in which it has any.
fn relined(body: &[u8]) -> impl Iterator<Item = Candidate<'_>> {
    type Undo = fn(&[u8], &mut Vec<u8>);
    let ends = |ends| Change::BodyLineEnds { ends };
    let ways: [(Change, Undo); 7] = [
        (ends(LineEnds::Doubled), |body, out| {
            replace(body, b"\r\r\n", b"\r\n", out);
        }),
        (ends(LineEnds::Stripped), complete_line_ends),
        (ends(LineEnds::Completed), |body, out| {
            replace(body, b"\r\n", b"\n", out);
        }),
        (Change::WhiteSpaceAdded, |body, out| {
            let mut canonicalizer = BodyCanonicalizer::new(Canonicalization::Relaxed);
            canonicalizer.update(body, &mut |run| out.extend_from_slice(run));
            canonicalizer.finish(&mut |run| out.extend_from_slice(run));
        }),
        (Change::SeparatorTrimmed, |body, out| {
            lines(body, out, |line, out| {
                out.extend_from_slice(if line == b"--\r\n" { b"-- \r\n" } else { line });
            });
        }),
        (Change::FromQuoted, |body, out| {
            lines(body, out, |line, out| {
                let quoted = line.starts_with(b">From ");
                out.extend_from_slice(line.get(usize::from(quoted)..).unwrap_or_default());
            });
        }),
        (Change::DotsDoubled, |body, out| {
            lines(body, out, |line, out| {
                let doubled = line.starts_with(b"..");
                out.extend_from_slice(line.get(usize::from(doubled)..).unwrap_or_default());
            });
        }),
    ];
    let relined = ways.into_iter().filter_map(move |(change, undo)| {
        let mut undone = Vec::with_capacity(body.len());
        undo(body, &mut undone);
        (undone != body).then(|| Candidate {
            changes: vec![change],
            body: Cow::Owned(undone),
        })
    });
    let mut at = 0;
    let banners = (body
        .split_inclusive(|octet| *octet == b'\n')
        .take(BANNER)
        .enumerate())
    .filter_map(move |(number, line)| {
        at += line.len();
        let rest = body.get(at..).filter(|rest| !rest.is_empty())?;
        Some(Candidate {
            changes: vec![Change::BannerAdded { lines: number + 1 }],
            body: Cow::Borrowed(rest),
        })
    });
    relined.chain(banners)
}

fn lines(body: &[u8], out: &mut Vec<u8>, undo: fn(&[u8], &mut Vec<u8>)) {
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        undo(line, out);
    }
}

fn replace(body: &[u8], from: &[u8], to: &[u8], out: &mut Vec<u8>) {
    let mut rest = body;
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(to);
        rest = rest.get(at + from.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Makes CRLF of each LF without CR, of each CR without LF, and of several CR before an LF.
pub(super) fn complete_line_ends(octets: &[u8], out: &mut Vec<u8>) {
    let mut rest = octets;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (text, end) = rest.split_at(at);
        out.extend_from_slice(text);
        let returns = end.iter().take_while(|octet| **octet == b'\r').count();
        let (lines, taken) = match end.get(returns) {
            Some(b'\n') => (1, returns + 1),
            _ => (returns, returns),
        };
        out.extend(b"\r\n".repeat(lines));
        rest = end.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The body taken out of what was put around it, and in the encodings that it may have had.
fn restructured<'a>(message: &'a [u8], body: &'a [u8]) -> impl Iterator<Item = Candidate<'a>> {
    let tree = MimeTree::parse(message, &mime::Limits::default());
    let root = tree.root();
    let children: Vec<_> = root.children().collect();
    let mut candidates = Vec::new();
    let mut add = |change, body| {
        candidates.push(Candidate {
            changes: vec![change],
            body,
        });
    };
    if let [first, .., last] = children.as_slice() {
        let boundary = root.content_type().parameters().value("boundary");
        let before = (last.header_range().start).checked_sub(message.len() - body.len());
        if let (Some(boundary), Some(before)) = (boundary, before) {
            let delimiter = format!("--{boundary}");
            // What stands before the last part ends in its delimiter; without the part it closes the multipart.
            let kept = body.get(..before).unwrap_or_default().trim_ascii_end();
            if let Some(kept) = kept.strip_suffix(delimiter.as_bytes()) {
                let closed = [kept, delimiter.as_bytes(), b"--\r\n"].concat();
                add(Change::PartAdded, Cow::Owned(closed));
            }
        }
        let inner = message.get(first.body_range()).unwrap_or_default();
        add(Change::Wrapped, Cow::Borrowed(inner));
    }
    if children.is_empty() {
        let now = root.encoding();
        for (from, body) in encodings(now, body) {
            let to = name(now);
            add(Change::Reencoded { from, to }, Cow::Owned(body));
        }
    }
    candidates.into_iter()
}

/// The body in the other encodings.
fn encodings(now: &TransferEncoding, body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let plain = mime::decode(now, body);
    let mut found = Vec::new();
    if !now.is_identity() {
        found.push(("8bit", plain.clone()));
    }
    if *now != TransferEncoding::QuotedPrintable {
        found.push(("quoted-printable", quoted_printable(&plain)));
    }
    // Also from base64 with lines of another length.
    found.push(("base64", base64_lines(&plain)));
    found
}

fn name(encoding: &TransferEncoding) -> &'static str {
    match encoding {
        TransferEncoding::SevenBit => "7bit",
        TransferEncoding::EightBit => "8bit",
        TransferEncoding::Binary => "binary",
        TransferEncoding::QuotedPrintable => "quoted-printable",
        TransferEncoding::Base64 => "base64",
        _ => "another encoding",
    }
}

/// RFC 2045 §6.7 as most programs write it: only what must be is written as hexadecimal, and lines are broken at 76 columns.
fn quoted_printable(text: &[u8]) -> Vec<u8> {
    const COLUMNS: usize = 76;
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    let mut lines = text.split_inclusive(|octet| *octet == b'\n');
    for line in &mut lines {
        let (content, end): (_, &[u8]) = match line.strip_suffix(b"\r\n") {
            Some(content) => (content, b"\r\n"),
            None => (line, b""),
        };
        let mut column = 0;
        for (at, octet) in content.iter().enumerate() {
            let last = at + 1 == content.len();
            let word: &[u8] = match octet {
                b'!'..=b'<' | b'>'..=b'~' => core::slice::from_ref(octet),
                b' ' | b'\t' if !last => core::slice::from_ref(octet),
                _ => &[b'=', digit(octet >> 4), digit(octet & 15)],
            };
            // The column of the soft break counts, too.
            let room = if last { COLUMNS } else { COLUMNS - 1 };
            if column + word.len() > room {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            out.extend_from_slice(word);
            column += word.len();
        }
        out.extend_from_slice(end);
    }
    out
}

/// RFC 2045 §6.8, lines of 76 columns.
fn base64_lines(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 2);
    for octets in text.chunks(57) {
        out.extend_from_slice(STANDARD.encode(octets).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}
