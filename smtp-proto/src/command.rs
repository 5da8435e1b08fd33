//! Commands: one line of at most a few kilobytes each (RFC 5321 §4.1 and the extensions).

use core::fmt;

use mail_syntax::domain::HostError;
use mail_syntax::mailbox::MailboxError;
use mail_syntax::{ForwardPath, Host, ReversePath};

use crate::parameters::{self, MailParameters, RcptParameters};
use crate::{EnhancedStatus, Reply};

/// A command as it stands on its line, CR LF not included.
///
/// Verbs and keywords are read in any case and printed in capitals. What [`Display`](fmt::Display) prints, [`Command::parse`] reads
/// back; of `AUTH` it prints the initial response too, which may hold a password: log by `Debug`, where it is redacted.
///
/// ```
/// use smtp_proto::Command;
///
/// let command = Command::parse(b"mail FROM:<jones@example.com> size=1000")?;
/// assert_eq!(command.to_string(), "MAIL FROM:<jones@example.com> SIZE=1000");
/// let error = Command::parse(b"RCPT TO:<jones@>").unwrap_err();
/// assert_eq!((error.code(), error.offset), (501, 15));
/// # Ok::<(), smtp_proto::CommandError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// `EHLO host` (RFC 5321 §4.1.1.1).
    Ehlo(Host),
    /// `HELO host` (RFC 5321 §4.1.1.1).
    Helo(Host),
    /// `LHLO host` (RFC 2033 §4.1).
    Lhlo(Host),
    /// `MAIL FROM:<…>` (RFC 5321 §4.1.1.2).
    Mail {
        /// Who gets the bounces.
        reverse_path: ReversePath,
        /// What follows the path.
        parameters: MailParameters,
    },
    /// `RCPT TO:<…>` (RFC 5321 §4.1.1.3).
    Rcpt {
        /// Where the mail goes. It may hold UTF-8, which is allowed only in a transaction with SMTPUTF8.
        forward_path: ForwardPath,
        /// What follows the path.
        parameters: RcptParameters,
    },
    /// `DATA` (RFC 5321 §4.1.1.4).
    Data,
    /// `BDAT size [LAST]` (RFC 3030 §2).
    Bdat {
        /// The octets that follow the line.
        size: u64,
        /// Whether the message ends with them.
        last: bool,
    },
    /// `RSET` (RFC 5321 §4.1.1.5).
    Rset,
    /// `NOOP`, and a string that means nothing (RFC 5321 §4.1.1.9).
    Noop(Option<&'a str>),
    /// `VRFY user` (RFC 5321 §4.1.1.6).
    Vrfy(&'a str),
    /// `EXPN list` (RFC 5321 §4.1.1.7).
    Expn(&'a str),
    /// `HELP` (RFC 5321 §4.1.1.8).
    Help(Option<&'a str>),
    /// `QUIT` (RFC 5321 §4.1.1.10).
    Quit,
    /// `STARTTLS` (RFC 3207 §4).
    StartTls,
    /// `AUTH mechanism [initial-response]` (RFC 4954 §4).
    Auth {
        /// The name of the mechanism, as spelled.
        mechanism: &'a str,
        /// What stands behind it, still in base64.
        initial: Option<InitialResponse<'a>>,
    },
}

/// The initial response of `AUTH`: base64, or `=` for one that is empty. Redacted in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InitialResponse<'a>(pub &'a str);

impl fmt::Debug for InitialResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause} (byte {offset} of the command)")]
#[non_exhaustive]
pub struct CommandError {
    /// Where in the line, from 0.
    pub offset: usize,
    /// What is wrong there.
    pub cause: CommandErrorCause,
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandErrorCause {
    /// The verb is none that is known.
    #[error("command not recognized")]
    UnknownVerb,
    /// A control character, or an octet that is no UTF-8.
    #[error("control character or malformed UTF-8 in a command")]
    Character,
    /// The command needs an argument.
    #[error("the command needs {0}")]
    Missing(&'static str),
    /// The command takes no (more) arguments.
    #[error("the command takes no such argument")]
    Unexpected,
    /// Not what stands at this place.
    #[error("{0} expected")]
    Expected(&'static str),
    /// The sender's path is malformed.
    #[error("malformed reverse-path: {0}")]
    ReversePath(MailboxError),
    /// The recipient's path is malformed.
    #[error("malformed forward-path: {0}")]
    ForwardPath(MailboxError),
    /// The name of the client is neither a domain nor an address literal.
    #[error("malformed host: {0}")]
    Host(HostError),
    /// A mailbox that is not ASCII, without SMTPUTF8.
    #[error("a mailbox that is not ASCII needs the parameter SMTPUTF8")]
    NeedsSmtpUtf8,
    /// A parameter that is not known.
    #[error("parameter {0} not recognized")]
    UnknownParameter(String),
    /// A parameter given twice.
    #[error("parameter {0} given twice")]
    RepeatedParameter(&'static str),
    /// A parameter's value is missing, superfluous or malformed.
    #[error("bad value of parameter {0}")]
    ParameterValue(&'static str),
}

impl CommandError {
    pub(crate) const fn new(offset: usize, cause: CommandErrorCause) -> Self {
        Self { offset, cause }
    }

    /// The code of the reply.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self.cause {
            // RFC 5321 §4.2.2: "500  Syntax error, command unrecognized"
            CommandErrorCause::UnknownVerb => 500,
            // RFC 6531 §3.5: "When messages are rejected because the MAIL command requires an ASCII address, the reply-code 550 is
            // returned"
            CommandErrorCause::NeedsSmtpUtf8 => 550,
            // RFC 5321 §4.1.1.11: "If the server SMTP does not recognize or cannot implement one or more of the parameters
            // associated with a particular MAIL FROM or RCPT TO command, it will return code 555."
            CommandErrorCause::UnknownParameter(_) => 555,
            _ => 501,
        }
    }

    /// The enhanced status of the reply.
    #[must_use]
    pub const fn enhanced(&self) -> EnhancedStatus {
        match self.cause {
            CommandErrorCause::UnknownVerb => EnhancedStatus::INVALID_COMMAND,
            CommandErrorCause::Character | CommandErrorCause::Expected(_) => EnhancedStatus::SYNTAX,
            CommandErrorCause::ReversePath(_) => EnhancedStatus::BAD_SENDER_SYNTAX,
            CommandErrorCause::ForwardPath(_) => EnhancedStatus::BAD_DESTINATION_SYNTAX,
            CommandErrorCause::NeedsSmtpUtf8 => EnhancedStatus::NON_ASCII_ADDRESS,
            _ => EnhancedStatus::INVALID_ARGUMENTS,
        }
    }

    /// The reply.
    #[must_use]
    pub fn reply(&self) -> Reply {
        Reply::certain(self.code(), self.enhanced(), &self.to_string())
    }
}

impl<'a> Command<'a> {
    /// Reads a line without its CR LF. Its length is for the caller to bound; the time is linear in it.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and by which reply to say so.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        use CommandErrorCause as Cause;
        let line = core::str::from_utf8(line)
            .map_err(|error| CommandError::new(error.valid_up_to(), Cause::Character))?;
        // RFC 5321 §4.1.1: "In the interest of improved interoperability, SMTP receivers SHOULD tolerate trailing white space
        // before the terminating <CRLF>."
        let line = line.trim_end_matches([' ', '\t']);
        if let Some(offset) = line.bytes().position(|octet| octet.is_ascii_control()) {
            return Err(CommandError::new(offset, Cause::Character));
        }
        let (verb, rest) = match line.split_once(' ') {
            Some((verb, rest)) => (verb, Some(rest)),
            None => (line, None),
        };
        let after = verb.len() + 1;
        let needed = |what| rest.ok_or_else(|| CommandError::new(line.len(), Cause::Missing(what)));
        let alone = |command| match rest {
            None => Ok(command),
            Some(_) => Err(CommandError::new(after, Cause::Unexpected)),
        };
        match Verb::of(verb) {
            Some(Verb::Ehlo) => host(needed("a domain")?, after).map(Self::Ehlo),
            Some(Verb::Helo) => host(needed("a domain")?, after).map(Self::Helo),
            Some(Verb::Lhlo) => host(needed("a domain")?, after).map(Self::Lhlo),
            Some(Verb::Mail) => mail(needed("FROM:<…>")?, after),
            Some(Verb::Rcpt) => rcpt(needed("TO:<…>")?, after),
            Some(Verb::Data) => alone(Self::Data),
            Some(Verb::Bdat) => bdat(needed("a size")?, after),
            Some(Verb::Rset) => alone(Self::Rset),
            Some(Verb::Noop) => Ok(Self::Noop(rest)),
            Some(Verb::Vrfy) => Ok(Self::Vrfy(needed("a string")?)),
            Some(Verb::Expn) => Ok(Self::Expn(needed("a string")?)),
            Some(Verb::Help) => Ok(Self::Help(rest)),
            Some(Verb::Quit) => alone(Self::Quit),
            Some(Verb::StartTls) => alone(Self::StartTls),
            Some(Verb::Auth) => auth(needed("a mechanism")?, after),
            None => Err(CommandError::new(0, Cause::UnknownVerb)),
        }
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Ehlo,
    Helo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
    StartTls,
    Auth,
}

impl Verb {
    fn of(word: &str) -> Option<Self> {
        const VERBS: [(&str, Verb); 15] = [
            ("EHLO", Verb::Ehlo),
            ("HELO", Verb::Helo),
            ("LHLO", Verb::Lhlo),
            ("MAIL", Verb::Mail),
            ("RCPT", Verb::Rcpt),
            ("DATA", Verb::Data),
            ("BDAT", Verb::Bdat),
            ("RSET", Verb::Rset),
            ("NOOP", Verb::Noop),
            ("VRFY", Verb::Vrfy),
            ("EXPN", Verb::Expn),
            ("HELP", Verb::Help),
            ("QUIT", Verb::Quit),
            ("STARTTLS", Verb::StartTls),
            ("AUTH", Verb::Auth),
        ];
        VERBS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, verb)| *verb)
    }
}

fn host(text: &str, at: usize) -> Result<Host, CommandError> {
    text.parse()
        .map_err(|error| CommandError::new(at, CommandErrorCause::Host(error)))
}

fn mail(text: &str, at: usize) -> Result<Command<'_>, CommandError> {
    let (path, rest, at) = path(text, "FROM:", at)?;
    let parameters = parameters::mail(rest, at + path.len())?;
    let reverse_path = ReversePath::parse_utf8(path).map_err(|error| {
        CommandError::new(at + offset(&error), CommandErrorCause::ReversePath(error))
    })?;
    let is_ascii = reverse_path
        .mailbox()
        .is_none_or(|mailbox| mailbox.is_ascii());
    if !is_ascii && !parameters.smtputf8 {
        return Err(CommandError::new(at, CommandErrorCause::NeedsSmtpUtf8));
    }
    Ok(Command::Mail {
        reverse_path,
        parameters,
    })
}

fn rcpt(text: &str, at: usize) -> Result<Command<'_>, CommandError> {
    let (path, rest, at) = path(text, "TO:", at)?;
    let parameters = parameters::rcpt(rest, at + path.len())?;
    let forward_path = ForwardPath::parse_utf8(path).map_err(|error| {
        CommandError::new(at + offset(&error), CommandErrorCause::ForwardPath(error))
    })?;
    Ok(Command::Rcpt {
        forward_path,
        parameters,
    })
}

/// The path behind `FROM:` or `TO:` with its brackets, what follows it, and where the path begins.
fn path<'a>(
    text: &'a str,
    keyword: &'static str,
    at: usize,
) -> Result<(&'a str, &'a str, usize), CommandError> {
    let expected = |offset, what| CommandError::new(offset, CommandErrorCause::Expected(what));
    // RFC 5321 §3.3: "spaces are not permitted on either side of the colon following FROM in the MAIL command or TO in the RCPT
    // command."
    let rest = match text.get(..keyword.len()) {
        Some(word) if word.eq_ignore_ascii_case(keyword) => &text[keyword.len()..],
        _ => return Err(expected(at, keyword)),
    };
    let at = at + keyword.len();
    if !rest.starts_with('<') {
        return Err(expected(at, "a path in angle brackets"));
    }
    let end =
        end_of_path(rest).ok_or_else(|| expected(at + rest.len(), "a closing angle bracket"))?;
    let (path, rest) = rest.split_at(end);
    Ok((path, rest, at))
}

/// Where in the path the mistake is.
const fn offset(error: &MailboxError) -> usize {
    match error {
        MailboxError::EmptyLocalPart { offset }
        | MailboxError::Character { offset }
        | MailboxError::UnclosedQuote { offset }
        | MailboxError::MissingAt { offset }
        | MailboxError::Host { offset, .. }
        | MailboxError::SourceRoute { offset } => *offset,
        _ => 0,
    }
}

/// The length of the path at the beginning of `text`: up to the `>` that stands neither in a quoted string nor in a literal.
fn end_of_path(text: &str) -> Option<usize> {
    let (mut quoted, mut literal, mut escaped) = (false, false, false);
    for (index, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !literal => quoted = !quoted,
            _ if quoted => {}
            b'[' => literal = true,
            b']' => literal = false,
            b'>' if !literal => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn bdat(text: &str, at: usize) -> Result<Command<'_>, CommandError> {
    // RFC 3030 §2: `bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF`, `chunk-size ::= 1*DIGIT`, `end-marker ::= "LAST"`
    let (number, marker) = match text.split_once(' ') {
        Some((number, marker)) => (number, Some(marker)),
        None => (text, None),
    };
    let size = parameters::number(number)
        .ok_or_else(|| CommandError::new(at, CommandErrorCause::Expected("a size in octets")))?;
    match marker {
        Some(marker) if !marker.eq_ignore_ascii_case("LAST") => Err(CommandError::new(
            at + number.len() + 1,
            CommandErrorCause::Expected("LAST"),
        )),
        marker => Ok(Command::Bdat {
            size,
            last: marker.is_some(),
        }),
    }
}

fn auth(text: &str, at: usize) -> Result<Command<'_>, CommandError> {
    let (mechanism, initial) = match text.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (text, None),
    };
    // RFC 4422 §3.1: `sasl-mech = 1*20mech-char`, `mech-char = UPPER-ALPHA / DIGIT / HYPHEN / UNDERSCORE`; read here in any case.
    let is_name = (1..=20).contains(&mechanism.len())
        && mechanism
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    if !is_name {
        return Err(CommandError::new(
            at,
            CommandErrorCause::Expected("the name of a mechanism"),
        ));
    }
    if let Some(initial) = initial {
        let is_base64 =
            |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=');
        if let Some(bad) = initial.bytes().position(|octet| !is_base64(octet)) {
            return Err(CommandError::new(
                at + mechanism.len() + 1 + bad,
                CommandErrorCause::Expected("base64"),
            ));
        }
    }
    Ok(Command::Auth {
        mechanism,
        initial: initial.map(InitialResponse),
    })
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ehlo(host) => write!(f, "EHLO {host}"),
            Self::Helo(host) => write!(f, "HELO {host}"),
            Self::Lhlo(host) => write!(f, "LHLO {host}"),
            Self::Mail {
                reverse_path,
                parameters,
            } => write!(f, "MAIL FROM:{reverse_path}{parameters}"),
            Self::Rcpt {
                forward_path,
                parameters,
            } => write!(f, "RCPT TO:{forward_path}{parameters}"),
            Self::Data => f.write_str("DATA"),
            Self::Bdat { size, last: false } => write!(f, "BDAT {size}"),
            Self::Bdat { size, last: true } => write!(f, "BDAT {size} LAST"),
            Self::Rset => f.write_str("RSET"),
            Self::Noop(None) => f.write_str("NOOP"),
            Self::Noop(Some(text)) => write!(f, "NOOP {text}"),
            Self::Vrfy(text) => write!(f, "VRFY {text}"),
            Self::Expn(text) => write!(f, "EXPN {text}"),
            Self::Help(None) => f.write_str("HELP"),
            Self::Help(Some(text)) => write!(f, "HELP {text}"),
            Self::Quit => f.write_str("QUIT"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth {
                mechanism,
                initial: None,
            } => write!(f, "AUTH {mechanism}"),
            Self::Auth {
                mechanism,
                initial: Some(initial),
            } => write!(f, "AUTH {mechanism} {}", initial.0),
        }
    }
}
