//! The content of a message on its way out: dot-stuffed, or in chunks.

use bytes::{Buf as _, BytesMut};
use mail_wire::framing::{BareLineEnd, DotEncoder, LineEndPolicy};

use crate::Command;
use crate::parameters::BodyType;

/// Writes the content; there is no way around it to the wire.
#[derive(Debug)]
pub(super) enum Writer {
    /// DATA.
    Dots(DotEncoder),
    /// BDAT.
    Chunks(Chunks),
}

/// Collects chunks of one size, so that a small message is one BDAT.
#[derive(Debug)]
pub(super) struct Chunks {
    /// `None`: the octets go as they are.
    lines: Option<LineEnds>,
    held: BytesMut,
    size: usize,
}

impl Chunks {
    pub(super) fn new(body: Option<BodyType>, policy: LineEndPolicy, size: usize) -> Self {
        Self {
            lines: (body != Some(BodyType::BinaryMime)).then(|| LineEnds::new(policy)),
            held: BytesMut::new(),
            size: size.max(1),
        }
    }

    /// The octets that wait for a chunk.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> Result<(), BareLineEnd> {
        match &mut self.lines {
            Some(lines) => lines.write(octets, &mut self.held),
            None => {
                self.held.extend_from_slice(octets);
                Ok(())
            }
        }
    }

    /// Completes the last line, as DATA would.
    pub(super) fn finish(&mut self) -> Result<(), BareLineEnd> {
        match &mut self.lines {
            Some(lines) => lines.finish(&mut self.held),
            None => Ok(()),
        }
    }

    /// Whether a whole chunk is there.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= self.size
    }

    /// Puts one chunk out; `last` where nothing comes behind what is held. Tells whether this was the last.
    pub(super) fn put(&mut self, last: bool, output: &mut BytesMut) -> bool {
        let size = self.held.len().min(self.size);
        let last = last && size == self.held.len();
        let size_on_line = u64::try_from(size).unwrap_or(u64::MAX);
        let command = Command::Bdat {
            size: size_on_line,
            last,
        };
        output.extend_from_slice(format!("{command}\r\n").as_bytes());
        output.extend_from_slice(self.held.get(..size).unwrap_or_default());
        self.held.advance(size);
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        last
    }
}

/// Sees to it that each CR stands before an LF and each LF behind a CR.
#[derive(Debug)]
struct LineEnds {
    policy: LineEndPolicy,
    /// A CR was taken in and is not written yet.
    cr: bool,
    line_start: bool,
    taken: u64,
}

impl LineEnds {
    const fn new(policy: LineEndPolicy) -> Self {
        Self {
            policy,
            cr: false,
            line_start: true,
            taken: 0,
        }
    }

    fn write(&mut self, octets: &[u8], output: &mut BytesMut) -> Result<(), BareLineEnd> {
        let mut rest = octets;
        while let Some((&first, tail)) = rest.split_first() {
            if self.cr {
                if first == b'\n' {
                    self.end_line(output);
                    self.taken += 1;
                    rest = tail;
                } else {
                    self.bare(output, self.taken.saturating_sub(1))?;
                }
                continue;
            }
            let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (line, tail) = rest.split_at(run);
            output.extend_from_slice(line);
            self.taken += run as u64;
            self.line_start &= run == 0;
            rest = tail;
            if let Some((&end, tail)) = rest.split_first() {
                rest = tail;
                self.taken += 1;
                if end == b'\r' {
                    self.cr = true;
                } else {
                    self.bare(output, self.taken - 1)?;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, output: &mut BytesMut) -> Result<(), BareLineEnd> {
        if self.cr {
            self.bare(output, self.taken.saturating_sub(1))?;
        } else if !self.line_start {
            self.end_line(output);
        }
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
        self.cr = false;
        self.line_start = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunked(policy: LineEndPolicy, pieces: &[&[u8]]) -> Result<Vec<u8>, BareLineEnd> {
        let mut chunks = Chunks::new(None, policy, 1 << 20);
        for piece in pieces {
            chunks.write(piece)?;
        }
        chunks.finish()?;
        Ok(chunks.held.to_vec())
    }

    #[test]
    fn line_ends() {
        use LineEndPolicy::{Normalise, Reject};
        for (policy, body, expected) in [
            (Reject, "", Ok("")),
            (Reject, "a\r\n.b\r\n", Ok("a\r\n.b\r\n")),
            (Reject, "a", Ok("a\r\n")),
            (Reject, "a\nb", Err(1)),
            (Reject, "a\r\r\n", Err(1)),
            (Reject, "a\r", Err(1)),
            (
                Normalise,
                "a\nb\rc\r\r\nd\r",
                Ok("a\r\nb\r\nc\r\n\r\nd\r\n"),
            ),
        ] {
            for cut in 0..=body.len() {
                let (a, b) = body.as_bytes().split_at(cut);
                let found = chunked(policy, &[a, b]).map_err(|error| error.at);
                assert_eq!(
                    found,
                    expected.map(|text| text.as_bytes().to_vec()),
                    "{body:?}"
                );
            }
        }
    }

    #[test]
    fn a_binary_body_goes_as_it_is() {
        let mut chunks = Chunks::new(Some(BodyType::BinaryMime), LineEndPolicy::Reject, 4);
        let mut output = BytesMut::new();
        chunks.write(b"\n\r\0.\r").unwrap();
        chunks.finish().unwrap();
        assert!(chunks.is_full() && !chunks.put(true, &mut output));
        assert!(!chunks.is_full() && chunks.put(true, &mut output));
        assert_eq!(&output[..], b"BDAT 4\r\n\n\r\0.BDAT 1 LAST\r\n\r");
    }

    proptest! {
        #[test]
        fn the_same_as_dots_but_for_the_dots(body in "[a.\r\n]{0,40}") {
            let chunks = chunked(LineEndPolicy::Normalise, &[body.as_bytes()]).unwrap();
            let (mut dots, mut output) = (DotEncoder::new(LineEndPolicy::Normalise), BytesMut::new());
            dots.write(body.as_bytes(), &mut output).unwrap();
            dots.finish(&mut output).unwrap();
            let mut stuffed = DotEncoder::default();
            let mut again = BytesMut::new();
            stuffed.write(&chunks, &mut again).unwrap();
            stuffed.finish(&mut again).unwrap();
            prop_assert_eq!(output, again);
        }
    }
}
