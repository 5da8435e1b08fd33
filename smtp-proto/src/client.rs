//! The client's side of a connection: SMTP and LMTP.
//!
//! A session greets by itself, and goes over to TLS by itself where its policy and the server say so. Then it tells
//! [`Event::Ready`], and the application logs in, sends messages, and quits. Everything that goes to the wire is made of values that
//! were checked: paths, parameters, and content through a writer that stuffs dots. So nothing can be injected.
//!
//! # The loop
//!
//! ```
//! use mail_wire::{Session as _, Step, Time};
//! use sasl_core::Entropy;
//! use smtp_proto::client::{Config, Envelope, Event, Session, TlsPolicy};
//! use mail_syntax::{Mailbox, Domain};
//!
//! let mut config = Config::new("client.example".parse::<Domain>()?);
//! config.tls = TlsPolicy::Opportunistic;
//! let mut session = Session::new(config, Entropy::new([1; 32]));
//! let from: Mailbox = "a@client.example".parse()?;
//! let to: Mailbox = "b@mx.example".parse()?;
//!
//! // What a driver would read from the server.
//! let mut server = ["220 mx", "250 mx", "250 ok", "250 ok", "354 go", "250 taken", "221 bye"].into_iter();
//! let mut delivered = false;
//! loop {
//!     match session.poll(Time::START)? {
//!         Step::Event(Event::Ready(_)) => session.send(Envelope::new(from.clone(), [to.clone().into()]))?,
//!         Step::Event(Event::Room(stream)) => {
//!             session.content(stream, b"Subject: hello\r\n\r\n.\r\n")?;
//!             session.finish(stream)?;
//!         }
//!         Step::Event(Event::Delivered { .. }) => {
//!             delivered = true;
//!             session.quit()?;
//!         }
//!         Step::Event(_) => {}
//!         Step::NeedInput => {
//!             let line = server.next().ok_or("the server is silent")?;
//!             session.input().extend_from_slice(format!("{line}\r\n").as_bytes());
//!         }
//!         Step::Closed => break,
//!         step => return Err(format!("{step:?}").into()),
//!     }
//! }
//! assert!(delivered);
//! assert!(session.output().ends_with(b"\r\n..\r\n.\r\nQUIT\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod content;
mod event;
mod greeting;
mod login;
mod transaction;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use bytes::BytesMut;
use mail_wire::{Desk, End, Layer, Step, Time, TlsInfo, Upgraded};
use sasl_core::Entropy;

use crate::{Command, Extensions, Reply, ReplyReader};

pub use config::{Config, Limits, Protocol, Timeouts, TlsPolicy};
pub use event::{
    CommandError, ContentError, Envelope, Error, Event, LoginFailure, Misuse, PeerError, Recipient,
    TlsError,
};

/// A connection to a server, until it ends.
pub struct Session {
    config: Config,
    entropy: Entropy,
    input: BytesMut,
    output: BytesMut,
    replies: ReplyReader,
    desk: Desk,
    tls: Option<Box<TlsInfo>>,
    extensions: Extensions,
    logged_in: bool,
    phase: Phase,
    /// What the replies that will come are to.
    expected: VecDeque<Expected>,
    events: VecDeque<Event>,
    failure: Option<Error>,
    /// Something moved since the last poll.
    progress: bool,
    /// When something last moved.
    since: Option<Time>,
    /// What the output held at the end of the last poll.
    queued: usize,
    ended: Option<End>,
}

#[derive(Debug)]
enum Phase {
    /// Greeting, EHLO, STARTTLS.
    Beginning,
    Upgrading,
    Ready,
    Login(Box<login::Login>),
    Transaction(Box<transaction::Transaction>),
    /// RSET is on its way; then this is told.
    Resetting(Option<Box<Event>>),
    Quitting,
    Over,
}

/// What a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt(usize),
    Data,
    /// A BDAT that is not the last.
    Chunk,
    /// The end of the content.
    Final,
    /// The single dot behind a DATA that should have been refused.
    Discarded,
    Reset,
    Quit,
}

impl Expected {
    const fn during(self) -> &'static str {
        match self {
            Self::Greeting => "before its greeting",
            Self::Ehlo | Self::Helo => "after our name",
            Self::StartTls => "after STARTTLS",
            Self::Auth => "during the login",
            Self::Mail => "after MAIL",
            Self::Rcpt(_) => "after RCPT",
            Self::Data => "after DATA",
            Self::Chunk => "after BDAT",
            Self::Final | Self::Discarded => "after the content",
            Self::Reset => "after RSET",
            Self::Quit => "after QUIT",
        }
    }
}

impl Session {
    /// A connection that was just opened. Give fresh `entropy` for each: the nonces of SCRAM come from it.
    #[must_use]
    pub fn new(config: Config, entropy: Entropy) -> Self {
        Self {
            replies: ReplyReader::new(config.limits.reply, config.limits.reply_lines),
            config,
            entropy,
            input: BytesMut::new(),
            output: BytesMut::new(),
            desk: Desk::new(),
            tls: None,
            extensions: Extensions::default(),
            logged_in: false,
            phase: Phase::Beginning,
            expected: VecDeque::from([Expected::Greeting]),
            events: VecDeque::new(),
            failure: None,
            progress: true,
            since: None,
            queued: 0,
            ended: None,
        }
    }

    /// What the server offers, on the connection as it is now.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What is known of TLS; `None` in the clear.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Whether [`send`](Self::send), [`login`](Self::login), [`reset`](Self::reset) and [`quit`](Self::quit) may be called now.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Sends RSET, to see whether the server is still there; [`Event::Reset`] tells the reply.
    ///
    /// # Errors
    ///
    /// [`CommandError::NotNow`].
    pub fn reset(&mut self) -> Result<(), CommandError> {
        self.is_ready()?;
        self.phase = Phase::Resetting(None);
        self.command(&Command::Rset, Expected::Reset);
        Ok(())
    }

    /// Sends QUIT; the session is closed when the server has answered.
    ///
    /// # Errors
    ///
    /// [`CommandError::NotNow`]: to end what was begun, [`abort`](Self::abort).
    pub fn quit(&mut self) -> Result<(), CommandError> {
        self.is_ready()?;
        self.phase = Phase::Quitting;
        self.command(&Command::Quit, Expected::Quit);
        Ok(())
    }

    /// Ends the session at once; content that was not finished stays without an end, so that the server drops it.
    pub fn abort(&mut self) {
        self.over();
        self.output.clear();
    }

    const fn is_ready(&self) -> Result<(), CommandError> {
        match self.phase {
            Phase::Ready => Ok(()),
            _ => Err(CommandError::NotNow),
        }
    }

    fn command(&mut self, command: &Command<'_>, expected: Expected) {
        use fmt::Write as _;
        // Writing to a BytesMut does not fail.
        let _ = write!(self.output, "{command}\r\n");
        self.expected.push_back(expected);
        self.progress = true;
    }

    fn fail(&mut self, error: Error) {
        self.over();
        self.failure = Some(error);
    }

    fn over(&mut self) {
        self.phase = Phase::Over;
        self.desk.close();
        self.expected = VecDeque::new();
        self.events = VecDeque::new();
        self.input = BytesMut::new();
    }
}

impl fmt::Debug for Session {
    /// Without the queues: they may hold passwords and mail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("expected", &self.expected)
            .field("tls", &self.tls)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

impl mail_wire::Session for Session {
    type Event = Event;
    type Error = Error;

    fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    fn poll(&mut self, now: Time) -> Result<Step<Event>, Error> {
        let step = self.advance().inspect_err(|_| self.over())?;
        if matches!(
            step,
            Step::NeedInput | Step::NeedAnswer(_) | Step::Upgrade(_)
        ) {
            let moved = core::mem::take(&mut self.progress) || self.output.len() < self.queued;
            if moved || self.since.is_none() {
                self.since = Some(now);
            } else if self.deadline().is_some_and(|deadline| deadline <= now) {
                return self.late(now);
            }
        } else {
            self.progress = true;
        }
        self.queued = self.output.len();
        self.free_empty_queues();
        Ok(step)
    }

    fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Over => None,
            _ if self.progress => Some(self.since.unwrap_or(Time::START)),
            _ => Some(self.since.unwrap_or(Time::START) + self.patience()),
        }
    }

    fn wants_input(&self) -> bool {
        self.ended.is_none()
            && !matches!(self.phase, Phase::Over)
            && self.input.len() <= self.config.limits.reply + 2
    }

    fn end_of_input(&mut self, how: End) {
        self.ended = self.ended.or(Some(how));
    }

    fn upgraded(&mut self, layer: Upgraded) {
        let Upgraded::Tls(info) = layer else {
            return;
        };
        self.tls = Some(info);
        if !matches!(self.phase, Phase::Upgrading) {
            return;
        }
        if !self.input.is_empty() {
            self.fail(TlsError::PlaintextAfterStartTls.into());
            return;
        }
        // RFC 3207 §4.2: "The client MUST discard any knowledge obtained from the server, such as the list of SMTP service
        // extensions, which was not obtained from the TLS negotiation itself." "The client SHOULD send an EHLO command as the first
        // command after a successful TLS negotiation."
        self.extensions = Extensions::default();
        self.phase = Phase::Beginning;
        self.hello();
    }
}

impl Session {
    fn advance(&mut self) -> Result<Step<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            match &self.phase {
                Phase::Over => {
                    return match self.failure.take() {
                        Some(failure) => Err(failure),
                        None => Ok(Step::Closed),
                    };
                }
                Phase::Upgrading if self.ended.is_some() => return Err(self.cut_off()),
                Phase::Upgrading => return Ok(Step::Upgrade(Layer::Tls)),
                Phase::Beginning
                    if self.config.tls == TlsPolicy::Implicit && self.tls.is_none() =>
                {
                    return match (self.input.is_empty(), self.ended) {
                        (false, _) => Err(TlsError::Implicit.into()),
                        (true, Some(_)) => Err(self.cut_off()),
                        (true, None) => Ok(Step::NeedInput),
                    };
                }
                Phase::Login(login) if login.deriving => return Ok(Step::NeedAnswer("Derive")),
                _ => {}
            }
            self.pump();
            // While the content flows the reply to it is not looked for, so that what happens does not hang on when it comes.
            let wants_content = match &self.phase {
                Phase::Transaction(transaction) => transaction.wants_content(),
                _ => false,
            };
            if (!wants_content || !self.expected.is_empty() || self.ended.is_some())
                && let Some(reply) = self
                    .replies
                    .next(&mut self.input)
                    .map_err(PeerError::Malformed)?
            {
                self.progress = true;
                self.reply(reply)?;
                continue;
            }
            if self.ended.is_some() {
                if matches!(self.phase, Phase::Ready | Phase::Quitting) {
                    self.over();
                } else {
                    self.end_with(self.cut_off())?;
                }
                continue;
            }
            let queued = self.output.len();
            if let Phase::Transaction(transaction) = &mut self.phase {
                if let Some(stream) = transaction.room(queued) {
                    return Ok(Step::Event(Event::Room(stream)));
                }
                if transaction.was_told() {
                    return Ok(Step::NeedAnswer("Room"));
                }
            }
            return Ok(Step::NeedInput);
        }
    }

    /// A session that waits holds no memory for octets that are gone.
    fn free_empty_queues(&mut self) {
        let is_busy = match &self.phase {
            Phase::Transaction(transaction) => transaction.wants_content(),
            _ => false,
        };
        for queue in [&mut self.input, &mut self.output] {
            if queue.is_empty() && !is_busy {
                *queue = BytesMut::new();
            }
        }
    }

    fn reply(&mut self, reply: Reply) -> Result<(), Error> {
        let expected = self.expected.pop_front();
        let is_hello = matches!(
            expected,
            Some(Expected::Greeting | Expected::Ehlo | Expected::Helo)
        );
        // RFC 2034 §3: all replies "other than the initial greeting and any response to HELO or EHLO are prefaced with a status code".
        let reply = if self.extensions.enhanced_status_codes && !is_hello {
            reply.with_enhanced_from_text()
        } else {
            reply
        };
        if matches!(self.phase, Phase::Quitting) {
            self.over();
            return Ok(());
        }
        // RFC 5321 §4.2.3: "421  <domain> Service not available, closing transmission channel (This may be a reply to any command if
        // the service knows it must shut down)"
        if reply.code() == 421 {
            return self.end_with(PeerError::Closing(reply).into());
        }
        let Some(expected) = expected else {
            return Err(PeerError::Unexpected {
                during: "to no command",
                reply,
            }
            .into());
        };
        match expected {
            Expected::Greeting => self.greeting_reply(expected, reply)?,
            Expected::Ehlo | Expected::Helo => self.hello_reply(expected, reply)?,
            Expected::StartTls => self.start_tls_reply(expected, reply)?,
            Expected::Auth => self.login_reply(reply)?,
            Expected::Reset => match core::mem::replace(&mut self.phase, Phase::Ready) {
                Phase::Resetting(Some(told)) if reply.is_positive() => {
                    self.events.push_back(*told);
                }
                phase @ Phase::Resetting(Some(_)) => {
                    self.phase = phase;
                    return self.end_with(unexpected(expected, reply));
                }
                _ => self.events.push_back(Event::Reset(reply)),
            },
            Expected::Quit => self.over(),
            _ => self.transaction_reply(expected, reply)?,
        }
        Ok(())
    }

    fn cut_off(&self) -> Error {
        PeerError::Closed {
            during: self.during(),
        }
        .into()
    }

    fn during(&self) -> &'static str {
        match self.expected.front() {
            Some(expected) => expected.during(),
            None => match self.phase {
                Phase::Upgrading => "during the TLS handshake",
                Phase::Login(_) => "during the login",
                _ => "during the content",
            },
        }
    }

    /// How long to wait in this state.
    fn patience(&self) -> Duration {
        let timeouts = &self.config.timeouts;
        match &self.phase {
            Phase::Login(login) if login.deriving => return timeouts.application,
            Phase::Ready => return timeouts.idle,
            Phase::Transaction(transaction) if transaction.wants_content() => {
                return if transaction.was_told() && self.output.is_empty() {
                    timeouts.application
                } else {
                    timeouts.data_block
                };
            }
            _ => {}
        }
        match self.expected.front() {
            Some(Expected::Greeting) => timeouts.initial_220,
            Some(Expected::Mail) => timeouts.mail,
            Some(Expected::Rcpt(_)) => timeouts.rcpt,
            Some(Expected::Data) => timeouts.data_initiation,
            // What the server has not taken yet is still content.
            Some(Expected::Final | Expected::Discarded | Expected::Chunk)
                if self.output.is_empty() =>
            {
                timeouts.data_termination
            }
            Some(Expected::Final | Expected::Discarded | Expected::Chunk) => timeouts.data_block,
            _ => timeouts.command,
        }
    }

    /// What is done when the time is over.
    fn late(&mut self, now: Time) -> Result<Step<Event>, Error> {
        let error = match &self.phase {
            Phase::Ready => {
                self.phase = Phase::Quitting;
                self.command(&Command::Quit, Expected::Quit);
                self.progress = false;
                self.since = Some(now);
                self.queued = self.output.len();
                return Ok(Step::NeedInput);
            }
            Phase::Quitting => {
                self.over();
                return Ok(Step::Closed);
            }
            Phase::Login(login) if login.deriving => Misuse::Unanswered("keys").into(),
            Phase::Transaction(transaction) if transaction.was_told() && self.output.is_empty() => {
                Misuse::Unanswered("content").into()
            }
            _ => PeerError::Timeout {
                during: self.during(),
            }
            .into(),
        };
        self.end_with(error)?;
        self.advance()
    }

    /// Ends with this error, behind what is still to be told.
    fn end_with(&mut self, error: Error) -> Result<(), Error> {
        let phase = core::mem::replace(&mut self.phase, Phase::Over);
        self.over();
        match phase {
            Phase::Resetting(Some(told)) => {
                self.events.push_back(*told);
                self.failure = Some(error);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

fn unexpected(expected: Expected, reply: Reply) -> Error {
    PeerError::Unexpected {
        during: expected.during(),
        reply,
    }
    .into()
}
