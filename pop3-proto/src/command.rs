//! Commands (RFC 1939, 2449, 2595, 5034, 6856).

use core::fmt;
use core::num::NonZeroU32;

use bytes::BytesMut;

/// A command, borrowed from its line.
///
/// `Debug` shows no password and no initial response; there is no `Display`, so that none gets into a log:
/// [`write`](Self::write) is for the wire.
///
/// ```
/// use pop3_proto::command::Command;
///
/// let command = Command::parse(b"pass tan staaf")?;
/// assert_eq!(format!("{command:?}"), "Pass([redacted])");
/// # Ok::<(), pop3_proto::command::InvalidCommand>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// USER (RFC 1939 §7): the name, of visible characters.
    User(&'a str),
    /// PASS (RFC 1939 §7): the password, which may hold spaces.
    Pass(Hidden<'a>),
    /// APOP (RFC 1939 §7). It rests on MD5 and on the password kept in clear; the server refuses it.
    Apop {
        /// The name.
        name: &'a str,
        /// 32 digits of the MD5.
        digest: Hidden<'a>,
    },
    /// QUIT (RFC 1939 §4 and §6).
    Quit,
    /// STAT (RFC 1939 §5).
    Stat,
    /// LIST, of one message or of all (RFC 1939 §5).
    List(Option<MessageNumber>),
    /// RETR (RFC 1939 §5).
    Retr(MessageNumber),
    /// DELE (RFC 1939 §5).
    Dele(MessageNumber),
    /// NOOP (RFC 1939 §5).
    Noop,
    /// RSET (RFC 1939 §5).
    Rset,
    /// TOP (RFC 1939 §7).
    Top {
        /// Which message.
        number: MessageNumber,
        /// How many lines of its body.
        lines: u32,
    },
    /// UIDL, of one message or of all (RFC 1939 §7).
    Uidl(Option<MessageNumber>),
    /// CAPA (RFC 2449 §5).
    Capa,
    /// STLS (RFC 2595 §4).
    Stls,
    /// AUTH (RFC 5034 §4).
    Auth {
        /// The mechanism's name as it was sent.
        mechanism: &'a str,
        /// The initial response in base64, `=` for an empty one.
        initial: Option<Hidden<'a>>,
    },
    /// UTF8 (RFC 6856 §2).
    Utf8,
    /// LANG, with a language range or alone (RFC 6856 §3).
    Lang(Option<&'a str>),
}

/// Text that `Debug` does not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hidden<'a>(&'a str);

impl<'a> Hidden<'a> {
    /// Hides `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text itself. The name is long so that a reviewer finds each place.
    #[must_use]
    pub const fn expose_secret(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The number of a message in a maildrop, from 1 (RFC 1939 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The number of the message at `index` of a list; `None` beyond what 32 bits hold.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(Self)
    }

    /// Its place in a list that is counted from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::str::FromStr for MessageNumber {
    type Err = InvalidCommand;

    fn from_str(text: &str) -> Result<Self, InvalidCommand> {
        NonZeroU32::new(number(text)?)
            .map(Self)
            .ok_or(InvalidCommand::ZeroMessage)
    }
}

/// Why a line is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCommand {
    /// Nothing is there, or a space comes first.
    #[error("no command")]
    Empty,
    /// No command of that name.
    #[error("unknown command")]
    Unknown,
    /// A control character.
    #[error("a control character at octet {at}")]
    Control {
        /// Where it stands.
        at: usize,
    },
    /// Not UTF-8.
    #[error("octet {at} is not UTF-8")]
    Utf8 {
        /// Where it goes wrong.
        at: usize,
    },
    /// An argument is missing.
    #[error("{0} needs an argument more")]
    MissingArgument(&'static str),
    /// An argument too many, or a space too many.
    #[error("{0} takes fewer arguments, each behind one space")]
    ExtraArgument(&'static str),
    /// Not a decimal number.
    #[error("not a number")]
    NotANumber,
    /// A number of more than 32 bits.
    #[error("the number is too large")]
    NumberTooLarge,
    /// Message 0.
    #[error("messages are numbered from 1")]
    ZeroMessage,
    /// Not the name of a mechanism (RFC 4422 §3.1).
    #[error("not the name of a SASL mechanism")]
    Mechanism,
    /// Not 32 digits of a hexadecimal number in lower case.
    #[error("not an MD5 digest in lower case")]
    Digest,
    /// Not a language range.
    #[error("not a language range")]
    Language,
}

impl<'a> Command<'a> {
    /// Reads a line without its CR LF; the keyword in any case.
    ///
    /// # Errors
    ///
    /// [`InvalidCommand`], to be answered with -ERR.
    pub fn parse(line: &'a [u8]) -> Result<Self, InvalidCommand> {
        if let Some(at) = line.iter().position(u8::is_ascii_control) {
            return Err(InvalidCommand::Control { at });
        }
        let line = core::str::from_utf8(line).map_err(|error| InvalidCommand::Utf8 {
            at: error.valid_up_to(),
        })?;
        // RFC 1939 §3: "Commands in the POP3 consist of a case-insensitive keyword, possibly followed by one or more arguments."
        // and: "Keywords and arguments are each separated by a single SPACE character."
        let (keyword, rest) = match line.split_once(' ') {
            Some((keyword, rest)) => (keyword, Some(rest)),
            None => (line, None),
        };
        if keyword.is_empty() {
            return Err(InvalidCommand::Empty);
        }
        let Some(keyword) = KEYWORDS
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(keyword))
        else {
            return Err(InvalidCommand::Unknown);
        };
        if keyword == "PASS" {
            // RFC 1939 §7: "Since the PASS command has exactly one argument, a POP3 server may treat spaces in the argument as part
            // of the password, instead of as argument separators."
            let password = rest.filter(|rest| !rest.is_empty());
            return password
                .map(|password| Self::Pass(Hidden(password)))
                .ok_or(InvalidCommand::MissingArgument(keyword));
        }
        let mut arguments = Arguments { keyword, rest };
        let command = match keyword {
            "USER" => Self::User(arguments.required()?),
            "APOP" => Self::Apop {
                name: arguments.required()?,
                digest: digest(arguments.required()?)?,
            },
            "QUIT" => Self::Quit,
            "STAT" => Self::Stat,
            "LIST" => Self::List(arguments.message()?),
            "RETR" => Self::Retr(arguments.required()?.parse()?),
            "DELE" => Self::Dele(arguments.required()?.parse()?),
            "NOOP" => Self::Noop,
            "RSET" => Self::Rset,
            "TOP" => Self::Top {
                number: arguments.required()?.parse()?,
                lines: number(arguments.required()?)?,
            },
            "UIDL" => Self::Uidl(arguments.message()?),
            "CAPA" => Self::Capa,
            "STLS" => Self::Stls,
            "AUTH" => Self::Auth {
                mechanism: mechanism(arguments.required()?)?,
                initial: arguments.optional()?.map(Hidden),
            },
            "UTF8" => Self::Utf8,
            "LANG" => Self::Lang(arguments.optional()?.map(language).transpose()?),
            _ => return Err(InvalidCommand::Unknown),
        };
        arguments.end()?;
        Ok(command)
    }

    /// The keyword.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Apop { .. } => "APOP",
            Self::Quit => "QUIT",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Retr(_) => "RETR",
            Self::Dele(_) => "DELE",
            Self::Noop => "NOOP",
            Self::Rset => "RSET",
            Self::Top { .. } => "TOP",
            Self::Uidl(_) => "UIDL",
            Self::Capa => "CAPA",
            Self::Stls => "STLS",
            Self::Auth { .. } => "AUTH",
            Self::Utf8 => "UTF8",
            Self::Lang(_) => "LANG",
        }
    }

    /// Appends the command with its CR LF.
    ///
    /// # Errors
    ///
    /// [`InvalidCommand`] where what would be written is no command, because a text in it holds a CR LF or a space for example;
    /// nothing is written then.
    pub fn write(&self, output: &mut BytesMut) -> Result<(), InvalidCommand> {
        let mut line = mail_wire::Secret::new(String::with_capacity(64));
        self.print(line.expose_secret_mut());
        if Command::parse(line.expose_secret().as_bytes())? != *self {
            return Err(InvalidCommand::ExtraArgument(self.keyword()));
        }
        output.extend_from_slice(line.expose_secret().as_bytes());
        output.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn print(&self, line: &mut String) {
        line.push_str(self.keyword());
        let mut push = |argument: &str| {
            line.push(' ');
            line.push_str(argument);
        };
        match self {
            Self::User(name) => push(name),
            Self::Pass(password) => push(password.0),
            Self::Apop { name, digest } => {
                push(name);
                push(digest.0);
            }
            Self::List(Some(number))
            | Self::Uidl(Some(number))
            | Self::Retr(number)
            | Self::Dele(number) => {
                push(&number.to_string());
            }
            Self::Top { number, lines } => {
                push(&number.to_string());
                push(&lines.to_string());
            }
            Self::Auth { mechanism, initial } => {
                push(mechanism);
                if let Some(initial) = initial {
                    push(initial.0);
                }
            }
            Self::Lang(Some(range)) => push(range),
            Self::Quit
            | Self::Stat
            | Self::List(None)
            | Self::Noop
            | Self::Rset
            | Self::Uidl(None)
            | Self::Capa
            | Self::Stls
            | Self::Utf8
            | Self::Lang(None) => {}
        }
    }
}

const KEYWORDS: [&str; 17] = [
    "USER", "PASS", "APOP", "QUIT", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL",
    "CAPA", "STLS", "AUTH", "UTF8", "LANG",
];

/// What stands behind a keyword.
struct Arguments<'a> {
    keyword: &'static str,
    rest: Option<&'a str>,
}

impl<'a> Arguments<'a> {
    fn optional(&mut self) -> Result<Option<&'a str>, InvalidCommand> {
        let Some(rest) = self.rest.take() else {
            return Ok(None);
        };
        let (argument, rest) = match rest.split_once(' ') {
            Some((argument, rest)) => (argument, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        if argument.is_empty() {
            return Err(InvalidCommand::ExtraArgument(self.keyword));
        }
        Ok(Some(argument))
    }

    fn required(&mut self) -> Result<&'a str, InvalidCommand> {
        self.optional()?
            .ok_or(InvalidCommand::MissingArgument(self.keyword))
    }

    fn message(&mut self) -> Result<Option<MessageNumber>, InvalidCommand> {
        self.optional()?.map(str::parse).transpose()
    }

    const fn end(&self) -> Result<(), InvalidCommand> {
        match self.rest {
            Some(_) => Err(InvalidCommand::ExtraArgument(self.keyword)),
            None => Ok(()),
        }
    }
}

/// A number of digits alone: no sign.
pub(crate) fn number(text: &str) -> Result<u32, InvalidCommand> {
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(InvalidCommand::NotANumber);
    }
    text.parse().map_err(|_| InvalidCommand::NumberTooLarge)
}

/// RFC 4422 §3.1: "sasl-mech    = 1*20mech-char", mech-char being upper case letters, digits, `-` and `_`; in any case here.
fn mechanism(text: &str) -> Result<&str, InvalidCommand> {
    let is_name = text.len() <= 20
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    if is_name {
        Ok(text)
    } else {
        Err(InvalidCommand::Mechanism)
    }
}

fn digest(text: &str) -> Result<Hidden<'_>, InvalidCommand> {
    let is_md5 = text.len() == 32
        && text
            .bytes()
            .all(|octet| octet.is_ascii_digit() || matches!(octet, b'a'..=b'f'));
    if is_md5 {
        Ok(Hidden(text))
    } else {
        Err(InvalidCommand::Digest)
    }
}

fn language(text: &str) -> Result<&str, InvalidCommand> {
    let is_range = text
        .bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'*'));
    if is_range {
        Ok(text)
    } else {
        Err(InvalidCommand::Language)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table() {
        let one = MessageNumber::from_index(0).unwrap();
        for (line, want) in [
            ("USER mrose", Ok(Command::User("mrose"))),
            ("user \u{e9}", Ok(Command::User("\u{e9}"))),
            ("PASS  a b ", Ok(Command::Pass(Hidden(" a b ")))),
            ("PASS ", Err(InvalidCommand::MissingArgument("PASS"))),
            ("USER a b", Err(InvalidCommand::ExtraArgument("USER"))),
            ("USER  a", Err(InvalidCommand::ExtraArgument("USER"))),
            ("STAT ", Err(InvalidCommand::ExtraArgument("STAT"))),
            (" STAT", Err(InvalidCommand::Empty)),
            ("STATS", Err(InvalidCommand::Unknown)),
            ("LIST", Ok(Command::List(None))),
            ("LIST 1", Ok(Command::List(Some(one)))),
            ("LIST 01", Ok(Command::List(Some(one)))),
            ("LIST +1", Err(InvalidCommand::NotANumber)),
            (
                "LIST 4294967295",
                Ok(Command::List(MessageNumber::from_index(4_294_967_294))),
            ),
            ("LIST 4294967296", Err(InvalidCommand::NumberTooLarge)),
            ("DELE 0", Err(InvalidCommand::ZeroMessage)),
            ("TOP 1", Err(InvalidCommand::MissingArgument("TOP"))),
            ("TOP 1 2 3", Err(InvalidCommand::ExtraArgument("TOP"))),
            ("AUTH A.B", Err(InvalidCommand::Mechanism)),
            (
                "AUTH PLAIN =",
                Ok(Command::Auth {
                    mechanism: "PLAIN",
                    initial: Some(Hidden("=")),
                }),
            ),
            ("NOOP\t", Err(InvalidCommand::Control { at: 4 })),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line:?}");
        }
        assert_eq!(
            Command::parse(b"USER \xff"),
            Err(InvalidCommand::Utf8 { at: 5 })
        );
        assert_eq!(MessageNumber::from_index(u32::MAX as usize), None);
    }

    #[test]
    fn no_secret_is_shown_and_no_line_is_smuggled() {
        let password = Command::Pass(Hidden("tanstaaf"));
        let auth = Command::Auth {
            mechanism: "PLAIN",
            initial: Some(Hidden("dGFuc3RhYWY=")),
        };
        for command in [password, auth] {
            let shown = format!("{command:?}");
            assert!(
                shown.contains("[redacted]") && !shown.contains("tan") && !shown.contains("dGF")
            );
        }
        let mut output = BytesMut::new();
        for command in [
            Command::User("a\r\nDELE 1"),
            Command::User("a b"),
            Command::User(""),
            Command::Pass(Hidden("a\nQUIT")),
            Command::Auth {
                mechanism: "PLAIN x",
                initial: None,
            },
            Command::Lang(Some("a b")),
        ] {
            assert!(command.write(&mut output).is_err(), "{command:?}");
        }
        assert!(output.is_empty());
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(
            keyword in proptest::sample::select(&KEYWORDS[..]),
            rest in "( [ -~]{0,20}| [0-9]{1,10}( [0-9]{1,10})?| [a-z]{1,8} [0-9a-f]{32}| [A-Z0-9-]{1,20}( [A-Za-z0-9+/]{0,20}=?)?)?",
        ) {
            let line = format!("{keyword}{rest}");
            if let Ok(command) = Command::parse(line.as_bytes()) {
                let mut output = BytesMut::new();
                command.write(&mut output).unwrap();
                let printed = output.strip_suffix(b"\r\n").unwrap();
                prop_assert_eq!(Command::parse(printed), Ok(command));
            }
        }

        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Command::parse(&line);
        }
    }
}
