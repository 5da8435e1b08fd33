//! Where TOP cuts a message.

/// Passes the header, the empty line behind it, and so many lines of the body. RFC 1939 §7: "the POP3 server sends the headers of the
/// message, the blank line separating the headers from the body, and then the number of lines of the indicated message's body"
#[derive(Debug)]
pub(crate) struct Top {
    in_header: bool,
    lines: u32,
    line_is_empty: bool,
    /// A CR came; whether an LF belongs to it is not known yet.
    cr: bool,
    done: bool,
}

impl Top {
    pub(crate) const fn new(lines: u32) -> Self {
        Self {
            in_header: true,
            lines,
            line_is_empty: true,
            cr: false,
            done: false,
        }
    }

    /// Whether nothing more is wanted.
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// The front of `piece` that is wanted. A CR or LF alone ends a line, as it does on the wire, where it becomes CR LF.
    pub(crate) fn take<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut rest = piece;
        while !self.done
            && let Some((&first, tail)) = rest.split_first()
        {
            if self.cr {
                self.cr = false;
                if first == b'\n' {
                    rest = tail;
                }
                self.end_line();
            } else if first == b'\r' {
                self.cr = true;
                rest = tail;
            } else if first == b'\n' {
                rest = tail;
                self.end_line();
            } else {
                self.line_is_empty = false;
                let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                rest = rest.get(run..).unwrap_or_default();
            }
        }
        let taken = piece.len() - rest.len();
        piece.get(..taken).unwrap_or_default()
    }

    const fn end_line(&mut self) {
        if !self.in_header {
            self.lines = self.lines.saturating_sub(1);
        } else if self.line_is_empty {
            self.in_header = false;
        }
        self.line_is_empty = true;
        self.done = !self.in_header && self.lines == 0;
    }
}
