//! Replies: +OK and -ERR, with response codes (RFC 1939 §3, RFC 2449 §8, RFC 3206).

use core::fmt;

/// The first line of what a server says to a command.
///
/// ```
/// use pop3_proto::reply::{Reply, ResponseCode};
///
/// let reply = Reply::parse(b"-ERR [IN-USE] the maildrop is open elsewhere")?;
/// assert!(!reply.is_ok());
/// assert_eq!(reply.code(), Some(&ResponseCode::InUse));
/// assert_eq!(reply.text(), "the maildrop is open elsewhere");
/// assert_eq!(reply.to_string(), "-ERR [IN-USE] the maildrop is open elsewhere");
/// # Ok::<(), pop3_proto::reply::InvalidReply>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    ok: bool,
    code: Option<ResponseCode>,
    text: String,
}

/// A response code: why, for programs (RFC 2449 §8, RFC 3206).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseCode {
    /// `LOGIN-DELAY` (RFC 2449 §8.1.1): the user logged in too recently.
    LoginDelay,
    /// `IN-USE` (RFC 2449 §8.1.2): the maildrop is open in another session.
    InUse,
    /// `SYS/TEMP` (RFC 3206 §4): a fault of the server that passes by itself.
    SysTemp,
    /// `SYS/PERM` (RFC 3206 §4): a fault of the server that somebody has to mend.
    SysPerm,
    /// `AUTH` (RFC 3206 §5): the credentials are wrong.
    Auth,
    /// Another one, as it stood between the brackets.
    Other(String),
}

/// Why a line is not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReply {
    /// Neither `+OK` nor `-ERR` comes first.
    #[error("a reply begins with +OK or -ERR")]
    Status,
    /// A control character.
    #[error("a control character at octet {at} of a reply")]
    Control {
        /// Where it stands.
        at: usize,
    },
}

impl Reply {
    /// The longest reply that is written, in octets without CR LF. RFC 2449 §4: "The maximum length of the first line of a command
    /// response (including the initial greeting) is unchanged at 512 octets (including the terminating CRLF)."
    pub const MAX: usize = 510;

    /// `+OK`. What may not stand in a reply, anything but visible ASCII and spaces, is written as `?`, and what is too long is cut.
    #[must_use]
    pub fn ok(text: &str) -> Self {
        Self::new(true, None, text)
    }

    /// `-ERR`, with or without a code; the text as for [`ok`](Self::ok).
    #[must_use]
    pub fn err(code: impl Into<Option<ResponseCode>>, text: &str) -> Self {
        Self::new(false, code.into(), text)
    }

    fn new(ok: bool, code: Option<ResponseCode>, text: &str) -> Self {
        let line = Self {
            ok,
            code,
            text: text.to_owned(),
        }
        .to_string();
        let mut line: String = line
            .chars()
            .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
            .collect();
        line.truncate(Self::MAX);
        // Reading back what was written: so a text that begins with a code is one with a code.
        Self::parse(line.as_bytes()).unwrap_or(Self {
            ok,
            code: None,
            text: String::new(),
        })
    }

    /// Reads a line without its CR LF. Octets that are not UTF-8 (RFC 6856 lets servers speak other languages) are replaced.
    ///
    /// # Errors
    ///
    /// [`InvalidReply`] where it is no reply.
    pub fn parse(line: &[u8]) -> Result<Self, InvalidReply> {
        // RFC 1939 §3: "Servers MUST send the "+OK" and "-ERR" in upper case." Clients need not insist.
        let (ok, rest) = if let Some(rest) = strip_prefix(line, b"+OK") {
            (true, rest)
        } else if let Some(rest) = strip_prefix(line, b"-ERR") {
            (false, rest)
        } else {
            return Err(InvalidReply::Status);
        };
        if let Some(at) = rest
            .iter()
            .position(|octet| octet.is_ascii_control() && *octet != b'\t')
        {
            return Err(InvalidReply::Control {
                at: line.len() - rest.len() + at,
            });
        }
        let rest = match rest {
            [b' ', rest @ ..] => rest,
            [] => rest,
            _ => return Err(InvalidReply::Status),
        };
        let text = String::from_utf8_lossy(rest);
        let (code, text) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((code, after)) if is_code(code) => {
                let after = after.strip_prefix(' ').unwrap_or(after);
                (Some(ResponseCode::from_text(code)), after.to_owned())
            }
            _ => (None, text.into_owned()),
        };
        Ok(Self { ok, code, text })
    }

    /// Whether it is `+OK`.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.ok
    }

    /// The response code.
    #[must_use]
    pub const fn code(&self) -> Option<&ResponseCode> {
        self.code.as_ref()
    }

    /// The text behind the status and the code.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// RFC 2449 §8: the code is levels of printable characters, without `]` and space, parted by `/`.
fn is_code(text: &str) -> bool {
    text.split('/').all(|level| {
        !level.is_empty()
            && level
                .bytes()
                .all(|octet| octet.is_ascii_graphic() && octet != b'[')
    })
}

fn strip_prefix<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ok { "+OK" } else { "-ERR" })?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

impl ResponseCode {
    fn from_text(text: &str) -> Self {
        [
            Self::LoginDelay,
            Self::InUse,
            Self::SysTemp,
            Self::SysPerm,
            Self::Auth,
        ]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(text))
        .unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    /// The code as it stands between the brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::LoginDelay => "LOGIN-DELAY",
            Self::InUse => "IN-USE",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table() {
        for (line, ok, code, text) in [
            ("+OK", true, None, ""),
            ("+OK ", true, None, ""),
            ("+ok hello", true, None, "hello"),
            (
                "-ERR [LOGIN-DELAY] wait",
                false,
                Some(ResponseCode::LoginDelay),
                "wait",
            ),
            ("-ERR [sys/temp]", false, Some(ResponseCode::SysTemp), ""),
            (
                "-ERR [X-A/B]c",
                false,
                Some(ResponseCode::Other("X-A/B".into())),
                "c",
            ),
            ("-ERR [a b] c", false, None, "[a b] c"),
            ("-ERR [] c", false, None, "[] c"),
            ("-ERR [AUTH", false, None, "[AUTH"),
            ("+OK a [AUTH]", true, None, "a [AUTH]"),
        ] {
            let reply = Reply::parse(line.as_bytes()).unwrap();
            assert_eq!(
                (reply.is_ok(), reply.code(), reply.text()),
                (ok, code.as_ref(), text),
                "{line:?}"
            );
        }
        for line in [
            "", "+", "+ OK", "OK", "+OKAY", "-ERROR", "-ERR\0", "+OK a\rb",
        ] {
            assert!(Reply::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn what_may_not_stand_in_a_line_is_not_written() {
        let reply = Reply::err(ResponseCode::Other("A]\r\n+OK".into()), "a\r\n+OK \u{e9}\0");
        assert_eq!(reply.to_string(), "-ERR [A] ??+OK] a??+OK ??");
        assert_eq!(Reply::ok(&"x".repeat(1_000)).to_string().len(), Reply::MAX);
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(line in "(\\+OK|-ERR)( (\\[[A-Z/ -]{0,8}\\])?[ -~]{0,20})?") {
            if let Ok(reply) = Reply::parse(line.as_bytes()) {
                prop_assert_eq!(Reply::parse(reply.to_string().as_bytes()), Ok(reply));
            }
        }

        #[test]
        fn any_text_gives_one_valid_line(text in any::<String>(), ok in any::<bool>()) {
            let reply = if ok { Reply::ok(&text) } else { Reply::err(ResponseCode::Auth, &text) };
            let line = reply.to_string();
            prop_assert!(line.len() <= Reply::MAX && line.bytes().all(|octet| (0x20..0x7f).contains(&octet)));
            prop_assert_eq!(Reply::parse(line.as_bytes()), Ok(reply));
        }

        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Reply::parse(&line);
        }
    }
}
