//! Lines.

use bytes::BytesMut;

use crate::wipe_front;

/// Cuts lines out of a queue: never holds more than its limit and one chunk, never scans an octet twice. What it drops is wiped.
///
/// A line ends at LF. Whether CR stood before it is told, not judged: [`LineEnd::Lf`] is for the protocol to refuse or to bear.
///
/// ```
/// use bytes::BytesMut;
/// use mail_wire::framing::{LineEnd, LineFramer};
///
/// let mut framer = LineFramer::default();
/// let mut input = BytesMut::from(&b"NOOP\r\nQUI"[..]);
/// let line = framer.next(&mut input, 512)?.unwrap();
/// assert_eq!((&line.octets[..], line.end), (&b"NOOP"[..], LineEnd::CrLf));
/// assert_eq!(framer.next(&mut input, 512)?, None);
/// # Ok::<(), mail_wire::framing::LineTooLong>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LineFramer {
    /// Octets at the front of the queue that are known to hold no LF.
    scanned: usize,
    /// Octets of an over-long line that were thrown away already.
    discarded: u64,
}

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What stood before the line's end.
    pub octets: BytesMut,
    /// What ended it.
    pub end: LineEnd,
}

/// What ended a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// CR LF, as the protocols ask.
    CrLf,
    /// LF alone.
    Lf,
}

/// A line was longer than the limit. All of it is consumed, so that the next line can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of {length} octets, where {limit} are allowed")]
pub struct LineTooLong {
    /// The limit, line end included.
    pub limit: usize,
    /// The length of the line, line end included.
    pub length: u64,
}

impl LineFramer {
    /// The next line of at most `limit` octets, its end included; `None` until more input comes.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`] once the end of an over-long line is there; until then its octets are dropped as they come.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
    ) -> Result<Option<Line>, LineTooLong> {
        let unseen = input.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', unseen) else {
            self.scanned = input.len();
            if self.discarded > 0 || self.scanned >= limit {
                self.discarded = self.discarded.saturating_add(self.scanned as u64);
                // Whatever it was, it may have been a password.
                wipe_front(input, self.scanned);
                self.scanned = 0;
            }
            return Ok(None);
        };
        let length = self.scanned + found + 1;
        self.scanned = 0;
        let mut octets = input.split_to(length);
        if self.discarded > 0 || length > limit {
            let length = self.discarded.saturating_add(length as u64);
            self.discarded = 0;
            wipe_front(&mut octets, usize::MAX);
            return Err(LineTooLong { limit, length });
        }
        octets.truncate(length - 1);
        let end = if octets.last() == Some(&b'\r') {
            octets.truncate(length - 2);
            LineEnd::CrLf
        } else {
            LineEnd::Lf
        };
        Ok(Some(Line { octets, end }))
    }

    /// Whether the beginning of a line is buffered, or was dropped as too long.
    #[must_use]
    pub const fn is_inside_line(&self) -> bool {
        self.scanned > 0 || self.discarded > 0
    }

    /// Forgets what it knows of the queue's front: for when somebody else took octets from it.
    pub const fn reset(&mut self) {
        self.scanned = 0;
        self.discarded = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]], limit: usize) -> Vec<Result<(Vec<u8>, LineEnd), u64>> {
        let (mut framer, mut input, mut out) = (LineFramer::default(), BytesMut::new(), Vec::new());
        for chunk in chunks {
            input.extend_from_slice(chunk);
            loop {
                match framer.next(&mut input, limit) {
                    Ok(Some(line)) => out.push(Ok((line.octets.to_vec(), line.end))),
                    Ok(None) => break,
                    Err(error) => out.push(Err(error.length)),
                }
            }
            assert!(input.len() < limit);
        }
        out
    }

    #[test]
    fn ends_and_limits() {
        let text = b"a\r\n\nbb\n12345678\r\n123456789\r\n0123456789012\r\nc\r\n";
        let whole = lines(&[text], 10);
        assert_eq!(
            whole,
            [
                Ok((b"a".to_vec(), LineEnd::CrLf)),
                Ok((b"".to_vec(), LineEnd::Lf)),
                Ok((b"bb".to_vec(), LineEnd::Lf)),
                Ok((b"12345678".to_vec(), LineEnd::CrLf)),
                Err(11),
                Err(15),
                Ok((b"c".to_vec(), LineEnd::CrLf)),
            ]
        );
        for cut in 0..=text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(lines(&[a, b], 10), whole, "cut at {cut}");
        }
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&octets, 10), whole);
    }
}
