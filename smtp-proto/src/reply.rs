//! Replies: three digits and text, on one line or more (RFC 5321 §4.2).

use core::fmt;

use bytes::BytesMut;
use mail_wire::framing::{LineEnd, LineFramer};

use crate::EnhancedStatus;

/// A reply of a server.
///
/// A value can be printed without a check: its code lies between 200 and 559, its class agrees with the enhanced status, and no
/// line holds a control character but TAB.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedStatus>,
    lines: Vec<String>,
}

/// Why something is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The line does not begin with a code, or what follows the code is neither a space, a hyphen nor the end.
    #[error("the reply does not begin with three digits and a space or hyphen: {line:?}")]
    Code {
        /// The line, made printable, its first 80 octets.
        line: String,
    },
    /// The code changes within a reply.
    #[error("the reply changes its code from {first} to {then}")]
    CodeChanges {
        /// The code of the first line.
        first: u16,
        /// The code of the line that differs.
        then: u16,
    },
    /// The line ends in a bare LF.
    #[error("the reply ends in LF without CR")]
    BareLf,
    /// The text holds a control character.
    #[error("control character at byte {offset} of a reply")]
    Control {
        /// Where it stands in its line.
        offset: usize,
    },
    /// More octets or lines than the limits allow.
    #[error("a reply of more than {octets} octets or {lines} lines")]
    TooLong {
        /// The limit in octets.
        octets: usize,
        /// The limit in lines.
        lines: usize,
    },
    /// The code lies outside 200 to 559, or its second digit is above 5.
    #[error("{0} is no reply code of SMTP")]
    OutOfRange(u16),
    /// The class of the enhanced status is not the first digit of the code.
    #[error("the enhanced status {enhanced} does not go with the code {code}")]
    ClassDiffers {
        /// The code.
        code: u16,
        /// The enhanced status.
        enhanced: EnhancedStatus,
    },
}

impl Reply {
    /// A reply whose text may have several lines, parted by LF.
    ///
    /// # Errors
    ///
    /// A code out of range, an enhanced status of another class, or a control character in the text.
    pub fn new(
        code: u16,
        enhanced: impl Into<Option<EnhancedStatus>>,
        text: &str,
    ) -> Result<Self, ReplyError> {
        let enhanced = enhanced.into();
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        for line in &lines {
            refuse_controls(line.as_bytes(), 0)?;
        }
        if !is_code(code) {
            return Err(ReplyError::OutOfRange(code));
        }
        if let Some(enhanced) = enhanced
            && u16::from(enhanced.class()) != code / 100
        {
            return Err(ReplyError::ClassDiffers { code, enhanced });
        }
        Ok(Self {
            code,
            enhanced,
            lines,
        })
    }

    /// A reply of this crate's own. A control character in `text` is replaced, so it may quote what a peer said; code and class are
    /// constants that agree, which the tests of [`Reply::new`]'s rules go through.
    pub(crate) fn certain(
        code: u16,
        enhanced: impl Into<Option<EnhancedStatus>>,
        text: &str,
    ) -> Self {
        let enhanced = enhanced.into();
        debug_assert!(
            is_code(code) && enhanced.is_none_or(|status| u16::from(status.class()) == code / 100)
        );
        let printable = |line: &str| -> String {
            line.chars()
                .map(|c| if c.is_ascii_control() { '?' } else { c })
                .collect()
        };
        Self {
            code,
            enhanced,
            lines: text.split('\n').map(printable).collect(),
        }
    }

    /// The three digits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, if the reply has one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<EnhancedStatus> {
        self.enhanced
    }

    /// The text without codes; at least one line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2yz.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: the server waits for more.
    #[must_use]
    pub const fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: try again later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: do not try again.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The reply as it is sent, CR LF included; without its enhanced status where `with_enhanced` is false.
    pub fn write(&self, with_enhanced: bool, output: &mut BytesMut) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            output.extend_from_slice(self.code.to_string().as_bytes());
            output.extend_from_slice(if index == last { b" " } else { b"-" });
            // RFC 2034 §4: "When responses are continued across multiple lines the same status code must appear at the beginning
            // of the text in each line of the response."
            if let (Some(enhanced), true) = (self.enhanced, with_enhanced) {
                output.extend_from_slice(enhanced.to_string().as_bytes());
                output.extend_from_slice(b" ");
            }
            output.extend_from_slice(line.as_bytes());
            output.extend_from_slice(b"\r\n");
        }
    }

    /// Takes the enhanced status off the text, where each line begins with the same one of the right class (RFC 2034 §4).
    ///
    /// For the replies of a server that offers ENHANCEDSTATUSCODES, but not those to EHLO and HELO, and not 3yz.
    #[must_use]
    pub fn with_enhanced_from_text(mut self) -> Self {
        let found = |line: &String| -> Option<EnhancedStatus> {
            let word = line.split(' ').next()?;
            let status: EnhancedStatus = word.parse().ok()?;
            (u16::from(status.class()) == self.code / 100).then_some(status)
        };
        let Some(status) = self.lines.first().and_then(found) else {
            return self;
        };
        if self.enhanced.is_some() || !self.lines.iter().all(|line| found(line) == Some(status)) {
            return self;
        }
        for line in &mut self.lines {
            *line = line
                .split_once(' ')
                .map(|(_, text)| text.to_owned())
                .unwrap_or_default();
        }
        self.enhanced = Some(status);
        self
    }
}

impl fmt::Display for Reply {
    /// The reply on one line, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", self.lines.join(" / "))
    }
}

/// RFC 5321 §4.2: `Reply-code = %x32-35 %x30-35 %x30-39`.
const fn is_code(code: u16) -> bool {
    code >= 200 && code < 600 && code / 10 % 10 <= 5
}

fn refuse_controls(text: &[u8], at: usize) -> Result<(), ReplyError> {
    match text
        .iter()
        .position(|octet| octet.is_ascii_control() && *octet != b'\t')
    {
        Some(offset) => Err(ReplyError::Control {
            offset: at + offset,
        }),
        None => Ok(()),
    }
}

/// Reads replies off a queue, bounded in octets and lines.
///
/// ```
/// use bytes::BytesMut;
/// use smtp_proto::ReplyReader;
///
/// let mut input = BytesMut::from(&b"250-mx.example\r\n250 SIZE 1000\r\n"[..]);
/// let reply = ReplyReader::default().next(&mut input)?;
/// assert_eq!(reply.map(|reply| reply.lines().len()), Some(2));
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReplyReader {
    framer: LineFramer,
    octets: usize,
    partial: Option<(u16, Vec<String>)>,
    most_octets: usize,
    most_lines: usize,
}

impl Default for ReplyReader {
    /// 64 KiB and 256 lines.
    fn default() -> Self {
        Self::new(64 * 1024, 256)
    }
}

impl ReplyReader {
    /// A reader with these limits on one reply.
    #[must_use]
    pub fn new(most_octets: usize, most_lines: usize) -> Self {
        Self {
            framer: LineFramer::default(),
            octets: 0,
            partial: None,
            most_octets,
            most_lines,
        }
    }

    /// Whether the beginning of a reply has been read.
    #[must_use]
    pub const fn is_inside_reply(&self) -> bool {
        self.partial.is_some() || self.framer.is_inside_line()
    }

    /// The next reply; `None` until more input comes.
    ///
    /// # Errors
    ///
    /// The stream is out of step: close the connection.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        let too_long = ReplyError::TooLong {
            octets: self.most_octets,
            lines: self.most_lines,
        };
        loop {
            let left = self.most_octets.saturating_sub(self.octets);
            let line = match self.framer.next(input, left) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(_) => return Err(too_long),
            };
            if line.end == LineEnd::Lf {
                return Err(ReplyError::BareLf);
            }
            self.octets += line.octets.len() + 2;
            let (code, more, text) = read_line(&line.octets)?;
            let (first, mut lines) = self.partial.take().unwrap_or((code, Vec::new()));
            if first != code {
                return Err(ReplyError::CodeChanges { first, then: code });
            }
            if lines.len() >= self.most_lines {
                return Err(too_long);
            }
            lines.push(text);
            if more {
                self.partial = Some((code, lines));
                continue;
            }
            self.octets = 0;
            return Ok(Some(Reply {
                code,
                enhanced: None,
                lines,
            }));
        }
    }
}

/// The code of a line, whether more lines follow, and the text.
fn read_line(line: &[u8]) -> Result<(u16, bool, String), ReplyError> {
    let bad = || ReplyError::Code {
        line: line.get(..80).unwrap_or(line).escape_ascii().to_string(),
    };
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else {
        return Err(bad());
    };
    let code = [a, b, c]
        .iter()
        .fold(0u16, |code, digit| code * 10 + u16::from(**digit - b'0'));
    if !is_code(code) {
        return Err(ReplyError::OutOfRange(code));
    }
    // RFC 5321 §4.2.1: "servers SHOULD send the <SP> if subsequent text is not sent, but clients MUST be prepared for it to be
    // omitted."
    let (more, text) = match rest {
        [] => (false, rest),
        [b' ', text @ ..] => (false, text),
        [b'-', text @ ..] => (true, text),
        _ => return Err(bad()),
    };
    refuse_controls(text, 4)?;
    Ok((code, more, String::from_utf8_lossy(text).into_owned()))
}
