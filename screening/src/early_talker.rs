//! Does the client speak SMTP as mail servers do? What a session notices before there is any mail.
//!
//! Spamware is in a hurry: it talks before it is greeted, sends everything at once, and does not listen. A server tells what it saw by a
//! [`Conduct`], and the [`scorer`](crate::scorer) weighs it. To see an early talker at all, a server must wait a little before its
//! greeting (a few seconds; a client waits for five minutes, RFC 5321 §4.5.3.2.1).

use core::fmt;
use core::str::FromStr;

/// One thing that mail servers do not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Offence {
    /// It sent something before the greeting (RFC 5321 §4.3.1: "The sender SHOULD wait for this greeting message before sending any
    /// commands.").
    BeforeGreeting = 0,
    /// It sent something that belongs to another protocol; [`foreign_command`] knows such lines.
    ForeignCommand = 1,
    /// It ended a line by a bare LF or sent a bare CR (RFC 5321 §2.3.8: "SMTP client implementations MUST NOT transmit these characters
    /// except when they are intended as line terminators and then MUST, as indicated above, transmit them only as a \<CRLF\> sequence.").
    BareNewline = 2,
    /// It sent a command before the reply to the last one, where PIPELINING was not offered or does not allow it (RFC 5321 §4.3.1:
    /// "Unless other arrangements are negotiated through service extensions, the sender MUST wait for this response before sending
    /// further commands.").
    Pipelining = 3,
    /// It went on after the reply 421, with which the server ends a connection (RFC 5321 §3.8), or after the greeting 554 (RFC 5321 §3.1).
    /// A server that closes at once does not see it.
    Ignored421 = 4,
}

impl Offence {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BeforeGreeting,
        Self::ForeignCommand,
        Self::BareNewline,
        Self::Pipelining,
        Self::Ignored421,
    ];

    /// Its name, which is that of its [weight](crate::scorer::Weights): `before_greeting`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeGreeting => "before_greeting",
            Self::ForeignCommand => "foreign_command",
            Self::BareNewline => "bare_newline",
            Self::Pipelining => "pipelining",
            Self::Ignored421 => "ignored_421",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// No [name](Offence::name) of an offence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want before_greeting, foreign_command, bare_newline, pipelining or ignored_421")]
#[non_exhaustive]
pub struct OffenceError;

impl FromStr for Offence {
    type Err = OffenceError;

    fn from_str(text: &str) -> Result<Self, OffenceError> {
        let mut all = Self::ALL.into_iter();
        all.find(|offence| offence.name() == text)
            .ok_or(OffenceError)
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeGreeting => "talked before the greeting",
            Self::ForeignCommand => "sent a command of another protocol",
            Self::BareNewline => "sent a bare newline",
            Self::Pipelining => "did not wait for replies",
            Self::Ignored421 => "went on after 421",
        })
    }
}

/// The offences of one connection; each counts once, however often it was seen.
///
/// ```
/// # use screening::early_talker::{Conduct, Offence};
/// let mut conduct = Conduct::default();
/// conduct.saw(Offence::BareNewline);
/// conduct.saw(Offence::BareNewline);
/// assert_eq!(conduct.iter().collect::<Vec<_>>(), [Offence::BareNewline]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct(u8);

impl Conduct {
    /// Adds an offence.
    pub const fn saw(&mut self, offence: Offence) {
        self.0 |= offence.bit();
    }

    /// Whether this one was seen.
    pub const fn has(self, offence: Offence) -> bool {
        self.0 & offence.bit() != 0
    }

    /// Those that were seen, in their order.
    pub fn iter(self) -> impl Iterator<Item = Offence> {
        Offence::ALL
            .into_iter()
            .filter(move |offence| self.has(*offence))
    }
}

impl FromIterator<Offence> for Conduct {
    fn from_iter<I: IntoIterator<Item = Offence>>(offences: I) -> Self {
        let mut conduct = Self::default();
        offences
            .into_iter()
            .for_each(|offence| conduct.saw(offence));
        conduct
    }
}

/// Methods of HTTP (RFC 9110 §9.3), of its preface, of RTSP and SIP, which proxies and browsers are made to send to mail servers.
const FOREIGN: [&[u8]; 13] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PRI",
    b"INVITE",
    b"REGISTER",
    b"DESCRIBE",
];

/// Whether a line that came in place of a command is one of another protocol: a method of HTTP, a field of a header, or no word at all
/// (a TLS handshake on the plain port begins with octet 22).
///
/// What is merely unknown is not: RFC 5321 §3.8: "Servers are expected to be tolerant of unknown commands".
///
/// ```
/// # use screening::early_talker::foreign_command;
/// assert!(foreign_command(b"GET / HTTP/1.1\r\n"));
/// assert!(foreign_command(b"User-Agent: x\r\n"));
/// assert!(!foreign_command(b"MAIL FROM:<>\r\n"));
/// assert!(!foreign_command(b"XCLIENT NAME=x\r\n"));
/// ```
pub fn foreign_command(line: &[u8]) -> bool {
    let is_end = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    // No command has a longer verb; what follows is not looked at.
    let line = line.get(..80).unwrap_or(line);
    let verb = line.split(is_end).next().unwrap_or_default();
    match verb {
        // An empty line is a mistake, not another protocol.
        [] => false,
        [first, ..] if !first.is_ascii_alphabetic() => true,
        _ => {
            verb.ends_with(b":")
                || FOREIGN
                    .iter()
                    .any(|method| verb.eq_ignore_ascii_case(method))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_commands() {
        for (line, expected) in [
            (&b"GET / HTTP/1.0\r\n"[..], true),
            (b"get / HTTP/1.0\r\n", true),
            (b"PRI * HTTP/2.0\r\n", true),
            (b"Subject: hello\r\n", true),
            (b"Host:\r\n", true),
            (b"\x16\x03\x01\x02\0\x01", true),
            (b"\0\0\0", true),
            (b"<html>\r\n", true),
            (b"0123\r\n", true),
            (b"\xc3\xa9\r\n", true),
            (b"", false),
            (b"\r\n", false),
            (b" EHLO a\r\n", false),
            (b"EHLO a\r\n", false),
            (b"GETTER\r\n", false),
            (b"RCPT TO:<a@b>\r\n", false),
            (b"QUIT", false),
            (b"STARTTLS\n", false),
        ] {
            assert_eq!(foreign_command(line), expected, "{}", line.escape_ascii());
        }
        assert!(!foreign_command(&[b'a'; 100_000]));
    }

    #[test]
    fn each_offence_is_kept_by_itself() {
        for offence in Offence::ALL {
            let conduct: Conduct = [offence].into_iter().collect();
            assert_eq!(conduct.iter().collect::<Vec<_>>(), [offence]);
            assert_eq!(offence.name().parse(), Ok(offence));
            assert!(OffenceError.to_string().contains(offence.name()));
        }
        assert_eq!("".parse::<Offence>(), Err(OffenceError));
        let all: Conduct = Offence::ALL.into_iter().rev().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Offence::ALL);
    }
}
