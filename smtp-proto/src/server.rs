//! The server's side of SMTP and LMTP.

mod answers;
mod auth;
mod body;
mod commands;
mod config;
mod event;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use mail_wire::framing::{Line, LineEnd, LineFramer};
use mail_wire::{Desk, End, Layer, Step, Time, TlsInfo, Upgraded, wipe_front};
use sasl_core::Entropy;
use sasl_core::server::{Exchange, Success};

use crate::{EnhancedStatus, Reply};
pub use answers::AnswerError;
use body::{Discard, Transfer};
pub use config::{Config, Limits, Role, StartTls, Timeouts};
pub use event::{Abort, AuthFailure, Envelope, Event, Hello, Login, Mistake, Recipient, asked};

/// The server's side of one connection.
///
/// It answers by itself what needs no decision (NOOP, RSET, QUIT, mistakes), and asks for the rest by [`Event`]s that carry a
/// [`Pending`](mail_wire::Pending). For TLS from the first byte, call [`upgraded`](mail_wire::Session::upgraded) before the first
/// poll, or let [`Transport`](mail_wire::Transport) do so.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    entropy: Entropy,
    input: BytesMut,
    output: BytesMut,
    framer: LineFramer,
    desk: Desk,
    state: State,
    /// What is still to be told, oldest first; at most three.
    events: VecDeque<Event>,
    tls: Option<Box<TlsInfo>>,
    hello: Option<Hello>,
    login: Option<Login>,
    ended: Option<End>,
    /// When the present wait began, and whether something has moved since, so that it begins anew at the next poll.
    since: Time,
    moved: bool,
    errors: u32,
    idle_commands: u32,
    auth_failures: u32,
    did_not_wait: bool,
}

/// Why a session ended otherwise than by QUIT or a closed connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client was silent, or slow, for too long.
    #[error("the client took too long")]
    Timeout,
    /// The application did not answer in time.
    #[error("the application did not answer an event within Timeouts::application")]
    Unanswered,
    /// The client made too many mistakes.
    #[error("the client made too many mistakes")]
    TooManyErrors,
    /// The client failed to authenticate too often.
    #[error("the client failed to authenticate too often")]
    TooManyAuthentications,
    /// The client speaks HTTP or TLS: someone may use it to attack through this port.
    #[error("the client speaks another protocol: HTTP, or TLS where none is expected")]
    CrossProtocol,
    /// Input waited behind STARTTLS in the clear.
    #[error("the client sent commands in the clear behind STARTTLS")]
    PlaintextAfterStartTls,
    /// A refused message went on for too long.
    #[error("a refused message of more than Limits::discard octets")]
    TooMuchToDiscard,
    /// A BDAT command whose size cannot be known: what follows it must not be taken for commands.
    #[error("a malformed BDAT: how many octets follow it is not known")]
    MalformedChunk,
    /// More chunks without octets than allowed.
    #[error("more chunks without octets than Limits::empty_chunks")]
    TooManyChunks,
}

/// Where the dialog stands. What a state does not hold, does not exist in it: there is no envelope outside [`Transaction`].
#[derive(Debug)]
enum State {
    /// Nothing was said yet.
    Start,
    /// Greeted with 554 (RFC 5321 §3.1).
    TurnedAway,
    /// The next line is a command.
    Command(Transaction),
    /// The application owes an answer.
    Asked(Asked, Transaction),
    /// A message comes, by DATA or in a chunk.
    Body(Box<Transfer>),
    /// Octets of a refused chunk come.
    Discard(Discard),
    /// The next line is a response of AUTH.
    Auth(Box<Exchange>),
    /// The next line is the empty response to the last challenge of AUTH.
    AuthLast(Box<Success>),
    /// 220 was said to STARTTLS.
    StartTls,
    /// Over, and why.
    Over(Option<Error>),
}

/// The transaction, which is dropped as one.
#[derive(Debug)]
enum Transaction {
    None,
    /// Between MAIL and the message.
    Open(Box<Envelope>),
    /// Between two chunks of a message.
    Chunks(Box<Transfer>),
}

/// What the application was asked.
#[derive(Debug)]
enum Asked {
    Greeting,
    Hello(Hello),
    Mail(Box<Envelope>),
    Rcpt(Recipient),
    Data,
    /// The first chunk, of this size, and whether it is the last.
    Chunk(u64, bool),
    Delivery,
    Vrfy,
    Auth(Box<Exchange>),
}

impl Asked {
    const fn name(&self) -> &'static str {
        match self {
            Self::Greeting => "Connected",
            Self::Hello(_) => "Hello",
            Self::Mail(_) => "Mail",
            Self::Rcpt(_) => "Rcpt",
            Self::Data | Self::Chunk(..) => "Data",
            Self::Delivery => "EndOfData",
            Self::Vrfy => "Vrfy",
            Self::Auth(_) => "Auth",
        }
    }
}

impl Transaction {
    fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::None => None,
            Self::Open(envelope) => Some(envelope),
            Self::Chunks(transfer) => Some(&transfer.envelope),
        }
    }
}

impl Session {
    /// A session on a fresh connection. The entropy must be its own.
    #[must_use]
    pub fn new(config: Arc<Config>, entropy: Entropy) -> Self {
        Self {
            config,
            entropy,
            input: BytesMut::new(),
            output: BytesMut::new(),
            framer: LineFramer::default(),
            desk: Desk::new(),
            state: State::Start,
            events: VecDeque::new(),
            tls: None,
            hello: None,
            login: None,
            ended: None,
            since: Time::START,
            moved: true,
            errors: 0,
            idle_commands: 0,
            auth_failures: 0,
            did_not_wait: false,
        }
    }

    /// What the session is configured to be.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the client named itself, once that was accepted.
    #[must_use]
    pub const fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What is known of TLS; `None` in the clear.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Who has authenticated.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The transaction, from the accepted MAIL to the answer to its message.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.state {
            State::Command(transaction) | State::Asked(_, transaction) => transaction.envelope(),
            State::Body(transfer) => Some(&transfer.envelope),
            _ => None,
        }
    }

    /// Whether the client has gone on, at any time, before a reply that it had to wait for: to a command that must be the last of a group
    /// (RFC 2920 §3.1), or to any before PIPELINING was offered (RFC 5321 §4.3.1).
    ///
    /// It is no event, as it depends on when octets came and not on which. Only what lay in the input when the command was taken counts,
    /// so it may miss a client, and never blames one that waited.
    #[must_use]
    pub const fn did_not_wait(&self) -> bool {
        self.did_not_wait
    }

    fn say(&mut self, reply: &Reply) {
        reply.write(true, &mut self.output);
        self.moved = true;
    }

    fn ok(&mut self, code: u16, enhanced: EnhancedStatus, text: &str) {
        self.say(&Reply::certain(code, enhanced, text));
    }

    /// Answers a mistake, counts it and tells it.
    fn mistake(&mut self, cause: Mistake, reply: Reply) {
        self.say(&reply);
        self.count_mistake(cause, reply);
    }

    /// Counts a mistake that was answered, and tells it.
    fn count_mistake(&mut self, cause: Mistake, reply: Reply) {
        self.errors = self.errors.saturating_add(1);
        self.events.push_back(Event::Mistake {
            cause,
            reply,
            is_too_many: self.errors > self.config.limits.soft_errors,
        });
        self.end_if_too_many_errors();
    }

    fn end_if_too_many_errors(&mut self) {
        if self.errors >= self.config.limits.hard_errors && !matches!(self.state, State::Over(_)) {
            self.ok(421, EnhancedStatus::TEMPORARY_SECURITY, "Too many errors");
            self.end(Some(Error::TooManyErrors));
        }
    }

    /// Ends the session; a transaction is lost.
    fn end(&mut self, error: Option<Error>) {
        let lost = self.envelope().is_some();
        self.state = State::Over(error);
        self.desk.close();
        if lost {
            self.events.push_back(Event::Aborted(Abort::Ended));
        }
        let waiting = self.input.len();
        wipe_front(&mut self.input, waiting);
        self.framer.reset();
    }

    /// Drops the transaction and tells it.
    fn abort(&mut self, transaction: &Transaction, why: Abort) {
        if transaction.envelope().is_some() {
            self.events.push_back(Event::Aborted(why));
        }
    }

    /// Goes one step on; whether there is more to do without input.
    fn step(&mut self) -> bool {
        match core::mem::replace(&mut self.state, State::Over(None)) {
            State::Start => {
                self.state = State::Asked(Asked::Greeting, Transaction::None);
                let pending = self.desk.open();
                self.events.push_back(Event::Connected(pending));
                true
            }
            State::Body(transfer) => self.take_body(transfer),
            State::Discard(discard) => self.take_discard(discard),
            state @ (State::TurnedAway
            | State::Command(_)
            | State::Auth(_)
            | State::AuthLast(_)) => {
                self.state = state;
                self.take_line()
            }
            state @ (State::Asked(..) | State::StartTls | State::Over(_)) => {
                self.state = state;
                false
            }
        }
    }

    fn take_line(&mut self) -> bool {
        if self.speaks_tls() {
            self.end(Some(Error::CrossProtocol));
            return true;
        }
        let is_auth = matches!(self.state, State::Auth(_) | State::AuthLast(_));
        let starts_auth = self
            .input
            .get(..5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        let limit = if is_auth || starts_auth {
            self.config.limits.auth_line
        } else {
            self.config.limits.command_line
        };
        let line = match self.framer.next(&mut self.input, limit) {
            Ok(None) => return false,
            Ok(Some(line)) => Some(line),
            Err(_) => None,
        };
        self.moved = true;
        if is_auth {
            self.auth_line(line);
            return true;
        }
        match line {
            // RFC 5321 §4.5.3.1.9: "Some examples of reply codes are: 500 Line too long."
            None => self.mistake(
                Mistake::LineTooLong,
                Reply::certain(500, EnhancedStatus::SYNTAX, "Line too long"),
            ),
            // RFC 5321 §2.3.8: "Conforming implementations MUST NOT recognize or generate any other character or character
            // sequence as a line terminator."
            Some(Line { mut octets, end }) => {
                if end == LineEnd::CrLf {
                    self.command(&octets);
                } else {
                    self.bare_line(&octets);
                }
                if starts_auth {
                    let length = octets.len();
                    wipe_front(&mut octets, length);
                }
            }
        }
        true
    }

    /// Refuses a command that ends in a bare LF.
    fn bare_line(&mut self, line: &[u8]) {
        // RFC 5321 §2.3.8: "Conforming implementations MUST NOT recognize or generate any other character or character sequence as a
        // line terminator."
        let reply = Reply::certain(
            500,
            EnhancedStatus::SYNTAX,
            "A command ends in CR LF, not in LF alone",
        );
        self.mistake(Mistake::BareNewline, reply);
        if commands::is_bdat(line) {
            self.end_at_chunk();
        }
    }

    /// Ends the session where octets follow whose number is not known.
    fn end_at_chunk(&mut self) {
        if !matches!(self.state, State::Over(_)) {
            self.end(Some(Error::MalformedChunk));
        }
    }

    /// Whether the first thing that the client says is a record of TLS.
    fn speaks_tls(&self) -> bool {
        self.hello.is_none() && !self.framer.is_inside_line() && self.input.first() == Some(&0x16)
    }

    fn time_limit(&self) -> Option<core::time::Duration> {
        let timeouts = &self.config.timeouts;
        match &self.state {
            State::Over(_) => None,
            State::Asked(..) => Some(timeouts.application),
            State::Body(_) | State::Discard(_) => Some(timeouts.data),
            _ => Some(timeouts.command),
        }
    }

    fn expire(&mut self) {
        if matches!(self.state, State::Asked(..)) {
            self.ok(421, EnhancedStatus::MAIL_SYSTEM, "Internal timeout");
            self.end(Some(Error::Unanswered));
        } else {
            self.ok(421, EnhancedStatus::BAD_CONNECTION, "Timeout");
            self.end(Some(Error::Timeout));
        }
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
        if core::mem::take(&mut self.moved) {
            self.since = now;
        }
        let step = loop {
            if let Some(event) = self.events.pop_front() {
                break Step::Event(event);
            }
            if self.step() {
                continue;
            }
            if !self.events.is_empty() {
                continue;
            }
            if let State::Over(error) = &mut self.state {
                return error.take().map_or(Ok(Step::Closed), Err);
            }
            if matches!(self.state, State::StartTls) {
                break Step::Upgrade(Layer::Tls);
            }
            if core::mem::take(&mut self.moved) {
                self.since = now;
            }
            if self.deadline().is_some_and(|end| end <= now) {
                self.expire();
            } else if let State::Asked(asked, _) = &self.state {
                break Step::NeedAnswer(asked.name());
            } else if self.ended.is_some() {
                self.end(None);
            } else {
                // An idle session holds no buffers.
                if self.input.is_empty() && matches!(self.state, State::Command(_)) {
                    self.input = BytesMut::new();
                }
                if self.output.is_empty() {
                    self.output = BytesMut::new();
                }
                break Step::NeedInput;
            }
        };
        if core::mem::take(&mut self.moved) {
            self.since = now;
        }
        if let State::Body(transfer) = &mut self.state {
            transfer.began.get_or_insert(now);
        }
        Ok(step)
    }

    fn deadline(&self) -> Option<Time> {
        let end = self.since + self.time_limit()?;
        match &self.state {
            State::Body(transfer) => {
                let whole = transfer
                    .began
                    .map(|began| began + self.config.timeouts.message);
                Some(whole.map_or(end, |whole| whole.min(end)))
            }
            _ => Some(end),
        }
    }

    fn wants_input(&self) -> bool {
        const MOST_OUTPUT: usize = 64 * 1024;
        let listens = !matches!(
            self.state,
            State::Asked(..) | State::StartTls | State::Over(_)
        );
        listens && self.ended.is_none() && self.output.len() < MOST_OUTPUT
    }

    fn end_of_input(&mut self, how: End) {
        self.ended.get_or_insert(how);
    }

    fn upgraded(&mut self, layer: Upgraded) {
        let Upgraded::Tls(info) = layer else { return };
        self.moved = true;
        if let State::StartTls = self.state {
            if !self.input.is_empty() {
                self.end(Some(Error::PlaintextAfterStartTls));
                return;
            }
            // RFC 3207 §4.2: "The server MUST discard any knowledge obtained from the client, such as the argument to the EHLO
            // command, which was not obtained from the TLS negotiation itself."
            self.hello = None;
            self.login = None;
            self.framer.reset();
            self.state = State::Command(Transaction::None);
        }
        self.tls = Some(info);
        self.ended = None;
    }
}
