//! Bodies that end at a line with a single dot: DATA, and the multi-line responses of POP3.

use bytes::{Buf as _, Bytes, BytesMut};

/// What to do with a CR or an LF that stands alone.
///
/// Whichever is chosen, it never ends a body. RFC 5321 §4.1.1.4: "The custom of accepting lines ending only in <LF>, as a concession
/// to non-conforming behavior on the part of some UNIX systems, has proven to cause more interoperability problems than it solves,
/// and SMTP server systems MUST NOT do this, even in the name of improved robustness."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LineEndPolicy {
    /// A decoder counts it and leaves it where it is, for the protocol to refuse the message at its true end; an encoder fails.
    #[default]
    Reject,
    /// It becomes CR LF.
    Normalise,
}

/// What a decoder saw of the line ends of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LineEndings {
    /// CRs that no LF followed.
    pub bare_cr: u64,
    /// LFs that no CR preceded.
    pub bare_lf: u64,
    /// The octets of the longest line, its CR LF not counted.
    pub longest_line: u64,
}

impl LineEndings {
    /// Whether each CR stood before an LF and each LF behind a CR.
    #[must_use]
    pub const fn are_canonical(&self) -> bool {
        self.bare_cr == 0 && self.bare_lf == 0
    }
}

/// A step of a [`DotDecoder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DotPiece {
    /// A piece of the body, unstuffed; where it is cut means nothing.
    Body(Bytes),
    /// The line with the single dot came and is consumed.
    End,
    /// Nothing more until more input comes; at most three octets stay in the queue.
    NeedInput,
}

/// Reads a dot-stuffed body, without copying it and whatever its size.
///
/// Only CR LF `.` CR LF ends it (or `.` CR LF at its beginning); the first dot of a line that goes on is removed (RFC 5321 §4.5.2,
/// RFC 1939 §3). What stands behind the end stays in the queue.
///
/// ```
/// use bytes::BytesMut;
/// use mail_wire::framing::{DotDecoder, DotPiece};
///
/// let mut decoder = DotDecoder::default();
/// let mut input = BytesMut::from(&b"..a\r\n.\r\nQUIT\r\n"[..]);
/// assert_eq!(decoder.next(&mut input), DotPiece::Body(".a\r\n".into()));
/// assert_eq!(decoder.next(&mut input), DotPiece::End);
/// assert_eq!(&input[..], b"QUIT\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct DotDecoder {
    policy: LineEndPolicy,
    line_start: bool,
    line_length: u64,
    seen: LineEndings,
}

impl Default for DotDecoder {
    fn default() -> Self {
        Self::new(LineEndPolicy::Reject)
    }
}

impl DotDecoder {
    /// At the beginning of a body.
    #[must_use]
    pub const fn new(policy: LineEndPolicy) -> Self {
        Self {
            policy,
            line_start: true,
            line_length: 0,
            seen: LineEndings {
                bare_cr: 0,
                bare_lf: 0,
                longest_line: 0,
            },
        }
    }

    /// What was seen so far of the line ends.
    #[must_use]
    pub const fn line_endings(&self) -> LineEndings {
        self.seen
    }

    /// Takes the next piece off the queue.
    pub fn next(&mut self, input: &mut BytesMut) -> DotPiece {
        if self.line_start {
            match input[..] {
                [] | [b'.'] | [b'.', b'\r'] => return DotPiece::NeedInput,
                [b'.', b'\r', b'\n', ..] => {
                    input.advance(3);
                    return DotPiece::End;
                }
                [b'.', ..] => input.advance(1),
                _ => {}
            }
            self.line_start = false;
        }
        let mut done = 0;
        while let Some(rest) = input.get(done..)
            && !rest.is_empty()
        {
            let Some(found) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.grow_line(rest.len());
                done = input.len();
                break;
            };
            match rest.get(found..).unwrap_or_default() {
                // A CR whose successor has not come yet stays in the queue.
                [b'\r'] => {
                    self.grow_line(found);
                    done += found;
                    break;
                }
                [b'\r', b'\n', next @ ..] => {
                    self.grow_line(found);
                    self.line_length = 0;
                    done += found + 2;
                    if matches!(next, [] | [b'.', ..]) {
                        self.line_start = true;
                        break;
                    }
                }
                bare => {
                    let is_cr = bare.first() == Some(&b'\r');
                    if self.policy == LineEndPolicy::Reject {
                        self.count_bare(is_cr);
                        self.grow_line(found + 1);
                        done += found + 1;
                    } else if done + found > 0 {
                        self.grow_line(found);
                        done += found;
                        break;
                    } else {
                        self.count_bare(is_cr);
                        self.line_length = 0;
                        input.advance(1);
                        return DotPiece::Body(Bytes::from_static(b"\r\n"));
                    }
                }
            }
        }
        if done == 0 {
            DotPiece::NeedInput
        } else {
            DotPiece::Body(input.split_to(done).freeze())
        }
    }

    const fn count_bare(&mut self, is_cr: bool) {
        if is_cr {
            self.seen.bare_cr += 1;
        } else {
            self.seen.bare_lf += 1;
        }
    }

    fn grow_line(&mut self, octets: usize) {
        self.line_length = self.line_length.saturating_add(octets as u64);
        self.seen.longest_line = self.seen.longest_line.max(self.line_length);
    }
}

/// A CR or an LF stands alone where a body is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bare CR or LF at octet {at} of the body: send lines that end in CR LF")]
pub struct BareLineEnd {
    /// Where it stands, counted from the beginning of the body.
    pub at: u64,
}

/// Writes a body dot-stuffed, in pieces cut anywhere.
///
/// There is no way around it to the wire, so what is sent holds no bare CR or LF and ends exactly once.
///
/// ```
/// use bytes::BytesMut;
/// use mail_wire::framing::DotEncoder;
///
/// let (mut encoder, mut output) = (DotEncoder::default(), BytesMut::new());
/// encoder.write(b".a\r\nb", &mut output)?;
/// encoder.finish(&mut output)?;
/// assert_eq!(&output[..], b"..a\r\nb\r\n.\r\n");
/// # Ok::<(), mail_wire::framing::BareLineEnd>(())
/// ```
#[derive(Debug, Clone)]
pub struct DotEncoder {
    policy: LineEndPolicy,
    at: At,
    written: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    Inside,
    /// A CR was taken in and is not written yet.
    Cr,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self::new(LineEndPolicy::Reject)
    }
}

impl DotEncoder {
    /// At the beginning of a body.
    #[must_use]
    pub const fn new(policy: LineEndPolicy) -> Self {
        Self {
            policy,
            at: At::LineStart,
            written: 0,
        }
    }

    /// Appends a piece of the body.
    ///
    /// # Errors
    ///
    /// [`BareLineEnd`] under [`LineEndPolicy::Reject`]; the output then holds a part of the body without an end, and the connection
    /// must be closed, so that the part is not taken for a message.
    pub fn write(&mut self, body: &[u8], output: &mut BytesMut) -> Result<(), BareLineEnd> {
        let mut rest = body;
        while let Some((&first, tail)) = rest.split_first() {
            if self.at == At::Cr {
                if first == b'\n' {
                    self.end_line(output);
                    self.written += 1;
                    rest = tail;
                } else {
                    self.bare(output, self.written.saturating_sub(1))?;
                }
                continue;
            }
            if self.at == At::LineStart && first == b'.' {
                output.extend_from_slice(b".");
            }
            let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (line, tail) = rest.split_at(run);
            output.extend_from_slice(line);
            self.written += run as u64;
            if run > 0 {
                self.at = At::Inside;
            }
            rest = tail;
            if let Some((&end, tail)) = rest.split_first() {
                rest = tail;
                self.written += 1;
                if end == b'\r' {
                    self.at = At::Cr;
                } else {
                    self.bare(output, self.written - 1)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the body: completes its last line, then writes the line with the single dot.
    ///
    /// # Errors
    ///
    /// [`BareLineEnd`] where the body ended in a CR.
    pub fn finish(mut self, output: &mut BytesMut) -> Result<(), BareLineEnd> {
        match self.at {
            At::LineStart => {}
            At::Inside => self.end_line(output),
            At::Cr => self.bare(output, self.written.saturating_sub(1))?,
        }
        output.extend_from_slice(b".\r\n");
        Ok(())
    }

    fn bare(&mut self, output: &mut BytesMut, at: u64) -> Result<(), BareLineEnd> {
        if self.policy == LineEndPolicy::Reject {
            return Err(BareLineEnd { at });
        }
        self.end_line(output);
        Ok(())
    }

    fn end_line(&mut self, output: &mut BytesMut) {
        output.extend_from_slice(b"\r\n");
        self.at = At::LineStart;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything decoded, what was left behind the end (None: the end did not come), and what was seen.
    fn decode(chunks: &[&[u8]], policy: LineEndPolicy) -> (Vec<u8>, Option<Vec<u8>>, LineEndings) {
        let (mut decoder, mut input) = (DotDecoder::new(policy), BytesMut::new());
        let (mut body, mut ended) = (Vec::new(), false);
        for chunk in chunks {
            input.extend_from_slice(chunk);
            while !ended {
                match decoder.next(&mut input) {
                    DotPiece::Body(piece) => {
                        assert!(!piece.is_empty());
                        body.extend_from_slice(&piece);
                    }
                    DotPiece::End => ended = true,
                    DotPiece::NeedInput => {
                        assert!(input.len() <= 3);
                        break;
                    }
                }
            }
        }
        (body, ended.then(|| input.to_vec()), decoder.line_endings())
    }

    /// A dozen lines that say what the end of a body is: the reference.
    fn reference(wire: &[u8]) -> Option<usize> {
        if wire.starts_with(b".\r\n") {
            return Some(3);
        }
        wire.windows(5)
            .position(|window| window == b"\r\n.\r\n")
            .map(|at| at + 5)
    }

    #[test]
    fn only_one_sequence_ends() {
        for look_alike in [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r.\r",
            "\r.\r\n",
            "\r\n.\r",
            "\r\n.\0\r\n",
            "\r\n\0.\r\n",
            "\r\n.\r\r\n",
            "\n\n.\r\n",
            "\r\n.\r.\r\n",
        ] {
            let wire = format!("a{look_alike}MAIL FROM:<x@y.example>\r\n.\r\nNOOP\r\n");
            let (_, rest, _) = decode(&[wire.as_bytes()], LineEndPolicy::Reject);
            assert_eq!(rest.as_deref(), Some(&b"NOOP\r\n"[..]), "{look_alike:?}");
            let (_, rest, _) = decode(&[wire.as_bytes()], LineEndPolicy::Normalise);
            assert_eq!(rest.as_deref(), Some(&b"NOOP\r\n"[..]), "{look_alike:?}");
        }
    }

    #[test]
    fn table() {
        for (wire, body, bare_cr, bare_lf) in [
            (".\r\n", "", 0, 0),
            ("..\r\n.\r\n", ".\r\n", 0, 0),
            ("a\r\n..b\r\n.\r\n", "a\r\n.b\r\n", 0, 0),
            ("a\nb\r\n.\r\n", "a\nb\r\n", 0, 1),
            ("a\rb\r\n.\r\n", "a\rb\r\n", 1, 0),
            ("a\r\r\n.\r\n", "a\r\r\n", 1, 0),
            (".\r.\r\n.\r\n", "\r.\r\n", 1, 0),
        ] {
            let (got, rest, seen) = decode(&[wire.as_bytes()], LineEndPolicy::Reject);
            assert_eq!(String::from_utf8_lossy(&got), body, "{wire:?}");
            assert_eq!(rest.as_deref(), Some(&b""[..]), "{wire:?}");
            assert_eq!((seen.bare_cr, seen.bare_lf), (bare_cr, bare_lf), "{wire:?}");
        }
        let (body, _, seen) = decode(&[b"a\nb\rc\r\n\r\r\n.\r\n"], LineEndPolicy::Normalise);
        assert_eq!(body, b"a\r\nb\r\nc\r\n\r\n\r\n");
        assert_eq!((seen.bare_cr, seen.bare_lf, seen.longest_line), (2, 1, 1));
    }

    fn wire() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&b".\r\n\0a"[..]), 0..60)
    }

    proptest! {
        #[test]
        fn the_end_is_the_reference_s(wire in wire(), cuts in prop::collection::vec(0usize..60, 0..4)) {
            for policy in [LineEndPolicy::Reject, LineEndPolicy::Normalise] {
                let whole = decode(&[&wire], policy);
                prop_assert_eq!(
                    whole.1.as_ref().map(Vec::len),
                    reference(&wire).map(|end| wire.len() - end)
                );
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
                cuts.sort_unstable();
                let (mut chunks, mut from) = (Vec::new(), 0);
                for cut in cuts {
                    chunks.push(&wire[from..cut]);
                    from = cut;
                }
                chunks.push(&wire[from..]);
                prop_assert_eq!(decode(&chunks, policy), whole);
            }
        }

        #[test]
        fn encoded_then_decoded_is_the_same(lines in prop::collection::vec("[.a]{0,4}", 0..8), step in 1usize..9) {
            let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let (mut encoder, mut output) = (DotEncoder::default(), BytesMut::new());
            for chunk in body.as_bytes().chunks(step) {
                encoder.write(chunk, &mut output).unwrap();
            }
            encoder.finish(&mut output).unwrap();
            prop_assert_eq!(reference(&output), Some(output.len()));
            let (got, rest, _) = decode(&[&output], LineEndPolicy::Reject);
            prop_assert_eq!((got, rest), (body.into_bytes(), Some(Vec::new())));
        }

        #[test]
        fn nothing_bare_reaches_the_wire(body in wire(), step in 1usize..9) {
            for policy in [LineEndPolicy::Reject, LineEndPolicy::Normalise] {
                let (mut encoder, mut output) = (DotEncoder::new(policy), BytesMut::new());
                let written = body.chunks(step).try_for_each(|chunk| encoder.write(chunk, &mut output));
                let done = written.and_then(|()| encoder.finish(&mut output));
                if policy == LineEndPolicy::Normalise {
                    prop_assert!(done.is_ok());
                }
                if done.is_ok() {
                    prop_assert_eq!(reference(&output), Some(output.len()));
                    let (_, _, seen) = decode(&[&output], LineEndPolicy::Reject);
                    prop_assert!(seen.are_canonical());
                } else {
                    prop_assert!(reference(&output).is_none_or(|end| end < output.len()) || output.is_empty());
                }
            }
        }
    }
}
