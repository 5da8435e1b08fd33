//! Counted octets: BDAT chunks and IMAP literals.

use bytes::{Bytes, BytesMut};

/// Hands out a given number of octets as they come, without copying and without holding them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    left: u64,
}

impl Counted {
    /// The next `octets` octets of the stream. Nothing is reserved for them.
    #[must_use]
    pub const fn new(octets: u64) -> Self {
        Self { left: octets }
    }

    /// How many are still to come.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// What is there of them; `None` when nothing is there or all have come.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let here = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(input.len());
        if here == 0 {
            return None;
        }
        self.left -= here as u64;
        Some(input.split_to(here).freeze())
    }
}

/// The announcement of a literal at the end of an IMAP line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralMark {
    /// The octets that follow the line's end.
    pub octets: u64,
    /// `{n+}`: the sender does not wait for a continuation (RFC 7888).
    pub non_synchronising: bool,
    /// `~{n}`: the octets may include NUL (RFC 3516).
    pub binary: bool,
    /// Where in the line the announcement begins, its `~` included.
    pub at: usize,
}

/// Finds the announcement of a literal at the end of a line (its CR LF not included).
///
/// RFC 9051 §4.3: "A synchronizing literal is a sequence of zero or more octets (including CR and LF), prefix-quoted with an octet
/// count in the form of an open brace ("{"), the number of octets, a close brace ("}"), and a CRLF."
///
/// `None` where there is none, or its number does not fit in 63 bits (RFC 9051 §9, `number64`).
#[must_use]
pub fn literal_mark(line: &[u8]) -> Option<LiteralMark> {
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let (before, digits) = (inner.get(..open)?, inner.get(open + 1..)?);
    let (digits, non_synchronising) = match digits.strip_suffix(b"+") {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    if digits.is_empty() {
        return None;
    }
    let mut octets: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        octets = octets
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    if octets > i64::MAX as u64 {
        return None;
    }
    let binary = before.last() == Some(&b'~');
    Some(LiteralMark {
        octets,
        non_synchronising,
        binary,
        at: open - usize::from(binary),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        let mark = |octets, non_synchronising, binary, at| {
            Some(LiteralMark {
                octets,
                non_synchronising,
                binary,
                at,
            })
        };
        for (line, want) in [
            (&b"a LOGIN {5}"[..], mark(5, false, false, 8)),
            (b"{0}", mark(0, false, false, 0)),
            (b"x {12+}", mark(12, true, false, 2)),
            (b"x ~{12}", mark(12, false, true, 2)),
            (
                b"x {9223372036854775807}",
                mark(i64::MAX as u64, false, false, 2),
            ),
            (b"x {9223372036854775808}", None),
            (b"x {99999999999999999999999}", None),
            (b"x {}", None),
            (b"x {+}", None),
            (b"x {-1}", None),
            (b"x {1}y", None),
            (b"}", None),
            (b"", None),
        ] {
            assert_eq!(literal_mark(line), want, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn counted_hands_out_what_is_there() {
        let mut counted = Counted::new(5);
        let mut input = BytesMut::from(&b"abc"[..]);
        assert_eq!(counted.next(&mut input).as_deref(), Some(&b"abc"[..]));
        assert_eq!(counted.next(&mut input), None);
        input.extend_from_slice(b"defg");
        assert_eq!(counted.next(&mut input).as_deref(), Some(&b"de"[..]));
        assert_eq!((counted.left(), &input[..]), (0, &b"fg"[..]));
        assert_eq!(counted.next(&mut input), None);
    }
}
