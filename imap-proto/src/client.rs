//! The client's side of a connection.

use crate::parse::response::parse_streamed;
use crate::print::Writer;
use crate::{
    Append, Capability, Code, Command, CommandBody, Data, LiteralMode, PrintOptions, Response,
    Status, StatusKind, Tag,
};
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use mail_wire::framing::{Counted, LineFramer, literal_mark};
use mail_wire::{End, Layer, Room, Secret, Step, Time, TlsInfo, TooLong, Upgraded};
use std::collections::VecDeque;

/// Whether the connection must be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsPolicy {
    /// Nothing but CAPABILITY, STARTTLS, NOOP, ID and LOGOUT is sent in the clear, and PREAUTH in the clear ends the session.
    #[default]
    Require,
    /// Anything may be sent in the clear.
    Plain,
}

/// Bounds of what is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a response, sections apart. Default: 1 MiB; it costs that much memory.
    pub response: usize,
    /// Octets of a section. Default: 64 MiB; the session holds none of it.
    pub section: u64,
    /// Commands in flight. Default: 100.
    pub in_flight: usize,
    /// How long is waited for the server. Default: 30 min.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response: 1 << 20,
            section: 64 << 20,
            in_flight: 100,
            patience: Duration::from_secs(30 * 60),
        }
    }
}

/// Names a command of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandId(u64);

/// What happened.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server's greeting.
    Greeting(Status),
    /// Data, of a command or unasked. A section that was streamed is [`crate::SectionData::Streamed`] here; its octets came before.
    Data(Data),
    /// A piece of a section of a FETCH whose [`Event::Data`] comes next; sections follow each other in its order.
    Body(Bytes),
    /// One section is whole.
    BodyEnd,
    /// A challenge of AUTHENTICATE, decoded: answer by `respond`.
    Challenge(Vec<u8>),
    /// The server idles with us; end it by `done`.
    Idling,
    /// The message of an APPEND is wanted: `send`.
    Room(CommandId),
    /// A command has ended; STARTTLS when TLS stands.
    Done(CommandId, Status),
}

/// Why the session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server broke the protocol, or a limit.
    #[error("the peer: {0}")]
    Peer(&'static str),
    /// A response that is not understood.
    #[error("the peer: a response with {0}")]
    Parse(#[from] crate::ParseError),
    /// The policy forbids to go on in the clear.
    #[error("TLS is required: {0}")]
    Tls(&'static str),
}

/// Why a command was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Credentials or mail would go in the clear.
    #[error("TLS is required first (RFC 8314 §5)")]
    TlsRequired,
    /// Another command must end first: AUTHENTICATE, IDLE, STARTTLS or APPEND is in progress.
    #[error("a command in progress must end first")]
    Busy,
    /// It has a method of its own.
    #[error("use the method for this command")]
    OwnMethod,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Kind {
    Plain,
    StartTls,
    Authenticate,
    Login,
    Idle,
    Append,
}

/// A connection to a server, until it ends.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    policy: TlsPolicy,
    input: BytesMut,
    output: BytesMut,
    lines: LineFramer,
    tls: Option<Box<TlsInfo>>,
    prefix: [u8; 4],
    next: u64,
    in_flight: VecDeque<(u64, Tag, Kind)>,
    /// What waits for a continuation before it is sent.
    unsent: VecDeque<Secret<Vec<u8>>>,
    appending: Option<Room>,
    response: Vec<u8>,
    streamed: Vec<usize>,
    literal: Option<(Counted, bool)>,
    capabilities: Option<Vec<Capability>>,
    greeted: bool,
    user: bool,
    utf8: bool,
    upgrading: bool,
    /// The end of STARTTLS, told when TLS stands.
    secured: Option<Event>,
    since: Option<Time>,
    ended: bool,
    closed: bool,
    append_size: u64,
    append_begun: bool,
    room_told: bool,
    injected: bool,
    /// How large the buffer was when credentials were last put in `output`.
    secret_output: Option<usize>,
}

impl Session {
    /// A connection that was just opened. From `entropy`, four letters are made for the beginning of the tags, so that nobody can
    /// write responses to them beforehand.
    #[must_use]
    pub fn new(policy: TlsPolicy, limits: Limits, entropy: [u8; 4]) -> Self {
        Self {
            limits,
            policy,
            input: BytesMut::new(),
            output: BytesMut::new(),
            lines: LineFramer::default(),
            tls: None,
            prefix: entropy.map(|octet| b'A' + octet % 26),
            next: 0,
            in_flight: VecDeque::new(),
            unsent: VecDeque::new(),
            appending: None,
            response: Vec::new(),
            streamed: Vec::new(),
            literal: None,
            capabilities: None,
            greeted: false,
            user: false,
            utf8: false,
            upgrading: false,
            secured: None,
            since: None,
            ended: false,
            closed: false,
            append_size: 0,
            append_begun: false,
            room_told: false,
            injected: false,
            secret_output: None,
        }
    }

    /// What the server said it can, in this state of the connection; `None` where it did not say.
    #[must_use]
    pub fn capabilities(&self) -> Option<&[Capability]> {
        self.capabilities.as_deref()
    }

    fn can(&self, name: &str) -> bool {
        self.capabilities
            .iter()
            .flatten()
            .any(|capability| capability.is(name))
    }

    fn tag(&mut self) -> Option<(u64, Tag)> {
        self.next += 1;
        let letters = String::from_utf8_lossy(&self.prefix).into_owned();
        let tag = format!("{letters}{}", self.next).parse().ok()?;
        Some((self.next, tag))
    }

    fn is_busy(&self) -> bool {
        self.upgrading
            || !self.unsent.is_empty()
            || self.in_flight.len() >= self.limits.in_flight
            || self
                .in_flight
                .iter()
                .any(|(_, _, kind)| *kind != Kind::Plain)
    }

    const fn options(&self, literals: LiteralMode) -> PrintOptions {
        PrintOptions {
            literals,
            utf8: self.utf8,
        }
    }

    fn literals(&self) -> LiteralMode {
        if self.can("LITERAL+") {
            LiteralMode::Plus
        } else if self.can("LITERAL-") || self.can("IMAP4rev2") {
            LiteralMode::Minus
        } else {
            LiteralMode::Synchronising
        }
    }

    /// Queues a command; it ends with [`Event::Done`]. APPEND has a method of its own.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; nothing is sent then.
    pub fn command(&mut self, body: CommandBody) -> Result<CommandId, CommandError> {
        let in_clear = matches!(
            body,
            CommandBody::Capability
                | CommandBody::StartTls
                | CommandBody::Noop
                | CommandBody::Id(_)
                | CommandBody::Logout
        );
        if !in_clear && self.tls.is_none() && self.policy == TlsPolicy::Require {
            return Err(CommandError::TlsRequired);
        }
        let kind = match &body {
            CommandBody::StartTls => Kind::StartTls,
            CommandBody::Authenticate { .. } => Kind::Authenticate,
            CommandBody::Login { .. } => Kind::Login,
            CommandBody::Idle => Kind::Idle,
            CommandBody::Append { .. } => return Err(CommandError::OwnMethod),
            _ => Kind::Plain,
        };
        // These are sync points: nothing may be in flight beside them.
        if self.is_busy() || (kind != Kind::Plain && !self.in_flight.is_empty()) {
            return Err(CommandError::Busy);
        }
        let Some((id, tag)) = self.tag() else {
            return Err(CommandError::Busy);
        };
        let command = Command { tag, body };
        let printed = command.print(self.options(self.literals()));
        let octets = Secret::new(printed.octets);
        let mut from = 0;
        for stop in printed
            .stops
            .into_iter()
            .chain([octets.expose_secret().len()])
        {
            let piece = octets.expose_secret().get(from..stop).unwrap_or_default();
            if from > 0 {
                self.unsent.push_back(Secret::new(piece.to_vec()));
            } else if kind == Kind::Plain {
                self.output.extend_from_slice(piece);
            } else {
                self.send_secret(piece);
            }
            from = stop;
        }
        self.in_flight.push_back((id, command.tag, kind));
        Ok(CommandId(id))
    }

    fn send_secret(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
        self.secret_output = Some(self.output.capacity());
    }

    /// Overwrites credentials that were sent, where the buffer is still here: not with a driver that took it away.
    fn wipe_sent(&mut self) {
        if self.output.is_empty()
            && let Some(capacity) = self.secret_output.take()
        {
            // An empty buffer of its own gives back what stood before its beginning.
            self.output.reserve(capacity);
            let length = self.output.capacity();
            self.output.resize(length, 0);
            mail_wire::wipe_front(&mut self.output, length);
            self.output = BytesMut::new();
        }
    }

    /// Begins an APPEND of a message of `size` octets, which is sent when [`Event::Room`] asks for it.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; nothing is sent then.
    pub fn append(&mut self, append: &Append, size: u64) -> Result<CommandId, CommandError> {
        if self.tls.is_none() && self.policy == TlsPolicy::Require {
            return Err(CommandError::TlsRequired);
        }
        if self.is_busy() || !self.in_flight.is_empty() {
            return Err(CommandError::Busy);
        }
        let Some((id, tag)) = self.tag() else {
            return Err(CommandError::Busy);
        };
        // Only the message's literal is waited for. A name that is one itself is announced without waiting where it may be.
        let mut writer = Writer::new(self.options(self.literals()));
        writer.raw(format!("{tag} ").as_bytes());
        writer.append(append);
        writer.raw(format!("{{{size}}}\r\n").as_bytes());
        let (octets, mut from) = (writer.out.octets, 0);
        for stop in writer.out.stops.into_iter().chain([octets.len()]) {
            let piece = octets.get(from..stop).unwrap_or_default();
            if from == 0 {
                self.output.extend_from_slice(piece);
            } else {
                self.unsent.push_back(Secret::new(piece.to_vec()));
            }
            from = stop;
        }
        self.appending = None;
        self.in_flight.push_back((id, tag, Kind::Append));
        self.append_size = size;
        Ok(CommandId(id))
    }

    /// A piece of the message of an APPEND, after [`Event::Room`].
    ///
    /// # Errors
    ///
    /// [`TooLong`] when that is more than was promised; nothing is sent then.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), TooLong> {
        let Some(room) = &mut self.appending else {
            return Err(TooLong {
                given: octets.len() as u64,
                owed: 0,
            });
        };
        room.spend(octets.len())?;
        self.output.extend_from_slice(octets);
        self.room_told = false;
        if room.is_complete() {
            self.output.extend_from_slice(b"\r\n");
            self.appending = None;
        }
        Ok(())
    }

    /// Answers a challenge of AUTHENTICATE; `None` gives up.
    pub fn respond(&mut self, response: Option<&Secret<Vec<u8>>>) {
        match response {
            Some(response) => {
                let text = sasl_core::base64::encode(response.expose_secret());
                self.send_secret(text.expose_secret().as_bytes());
            }
            None => self.output.extend_from_slice(b"*"),
        }
        self.output.extend_from_slice(b"\r\n");
    }

    /// Ends IDLE.
    pub fn done(&mut self) {
        if self
            .in_flight
            .iter()
            .any(|(_, _, kind)| *kind == Kind::Idle)
        {
            self.output.extend_from_slice(b"DONE\r\n");
        }
    }

    fn learn(&mut self, code: Option<&Code>) {
        if let Some(Code::Capability(list)) = code {
            self.capabilities = Some(list.clone());
        }
    }

    fn advance(&mut self) -> Result<Step<Event>, Error> {
        loop {
            if self.closed {
                return Ok(Step::Closed);
            }
            if self.injected {
                return Err(Error::Peer("plaintext behind the response to STARTTLS"));
            }
            if self.upgrading {
                return Ok(Step::Upgrade(Layer::Tls));
            }
            if let Some(done) = self.secured.take() {
                return Ok(Step::Event(done));
            }
            if let Some(room) = &self.appending
                && room.is_wanted(self.output.len())
                && !self.room_told
                && let Some((id, _, _)) = self.in_flight.front()
            {
                self.room_told = true;
                return Ok(Step::Event(Event::Room(CommandId(*id))));
            }
            if let Some((literal, is_section)) = &mut self.literal {
                let is_section = *is_section;
                if let Some(octets) = literal.next(&mut self.input) {
                    if is_section {
                        return Ok(Step::Event(Event::Body(octets)));
                    }
                    self.response.extend_from_slice(&octets);
                    continue;
                }
                if literal.left() > 0 {
                    return self.starved();
                }
                self.literal = None;
                if is_section {
                    return Ok(Step::Event(Event::BodyEnd));
                }
            }
            let line = self
                .lines
                .next(&mut self.input, self.limits.response)
                .map_err(|_| Error::Peer("a line longer than allowed"))?;
            let Some(line) = line else {
                return self.starved();
            };
            if self.response.len() + line.octets.len() > self.limits.response {
                return Err(Error::Peer("a response longer than allowed"));
            }
            let start = self.response.len();
            self.response.extend_from_slice(&line.octets);
            if let Some(mark) = literal_mark(&line.octets) {
                self.response.extend_from_slice(b"\r\n");
                let at = start + mark.at;
                let is_section =
                    self.user && is_section_literal(self.response.get(..at).unwrap_or_default());
                let limit = if is_section {
                    self.limits.section
                } else {
                    (self.limits.response - self.response.len().min(self.limits.response)) as u64
                };
                if mark.octets > limit {
                    return Err(Error::Peer("a literal longer than allowed"));
                }
                if is_section {
                    self.streamed.push(at);
                }
                self.literal = Some((Counted::new(mark.octets), is_section));
                continue;
            }
            let octets = core::mem::take(&mut self.response);
            let streamed = core::mem::take(&mut self.streamed);
            let response = parse_streamed(&octets, self.utf8, &streamed)?;
            if let Some(event) = self.response(response)? {
                return Ok(Step::Event(event));
            }
        }
    }

    fn starved(&mut self) -> Result<Step<Event>, Error> {
        if !self.ended {
            return Ok(Step::NeedInput);
        }
        self.closed = true;
        if self.in_flight.is_empty() && self.literal.is_none() {
            Ok(Step::Closed)
        } else {
            Err(Error::Peer("the connection was cut inside a command"))
        }
    }

    fn response(&mut self, response: Response) -> Result<Option<Event>, Error> {
        match response {
            Response::Data(Data::Status(mut status)) => {
                self.learn(status.code.as_ref());
                // RFC 9051 §11.3: "Before authentication, clients SHOULD ignore any responses other than CAPABILITY and server
                // status responses (Section 7.1), as well as any response codes other than CAPABILITY."
                if !self.user && !matches!(status.code, Some(Code::Capability(_))) {
                    status.code = None;
                }
                if self.greeted {
                    return Ok((self.user || status.kind == StatusKind::Bye)
                        .then_some(Event::Data(Data::Status(status))));
                }
                self.greeted = true;
                match status.kind {
                    // RFC 9051 §7.1.4: after PREAUTH, STARTTLS is not possible any more.
                    StatusKind::PreAuth
                        if self.tls.is_none() && self.policy == TlsPolicy::Require =>
                    {
                        return Err(Error::Tls("PREAUTH in the clear"));
                    }
                    StatusKind::PreAuth => self.user = true,
                    StatusKind::Ok | StatusKind::Bye => {}
                    StatusKind::No | StatusKind::Bad => return Err(Error::Peer("no greeting")),
                }
                Ok(Some(Event::Greeting(status)))
            }
            _ if !self.greeted => Err(Error::Peer("no greeting")),
            Response::Data(Data::Capability(list)) => {
                self.capabilities = Some(list.clone());
                Ok(Some(Event::Data(Data::Capability(list))))
            }
            Response::Data(data) => {
                if let Data::Enabled(list) = &data {
                    self.utf8 |= self.user && list.iter().any(|name| name.is("IMAP4rev2"));
                }
                let heard = self.user || matches!(data, Data::Id(_));
                Ok(heard.then_some(Event::Data(data)))
            }
            Response::Continue(text) => {
                if let Some(piece) = self.unsent.pop_front() {
                    self.send_secret(piece.expose_secret());
                    return Ok(None);
                }
                match self.in_flight.front().map(|(_, _, kind)| *kind) {
                    Some(Kind::Idle) => Ok(Some(Event::Idling)),
                    Some(Kind::Append) if self.appending.is_none() && !self.append_begun => {
                        self.append_begun = true;
                        self.room_told = false;
                        if self.append_size == 0 {
                            self.output.extend_from_slice(b"\r\n");
                        } else {
                            self.appending = Some(Room::promise(self.append_size));
                        }
                        Ok(None)
                    }
                    Some(Kind::Authenticate) => {
                        let challenge = sasl_core::base64::decode(&text)
                            .map_err(|_| Error::Peer("a challenge that is not base64"))?;
                        Ok(Some(Event::Challenge(challenge.expose_secret().clone())))
                    }
                    _ => Err(Error::Peer("a continuation that nobody asked for")),
                }
            }
            Response::Tagged(tag, mut status) => self.tagged(&tag, &mut status),
        }
    }

    fn tagged(&mut self, tag: &Tag, status: &mut Status) -> Result<Option<Event>, Error> {
        let at = self.in_flight.iter().position(|(_, known, _)| known == tag);
        let Some((id, _, kind)) = at.and_then(|at| self.in_flight.remove(at)) else {
            return Err(Error::Peer(
                "a tagged response to a command that is not in flight",
            ));
        };
        if self.appending.is_some() {
            return Err(Error::Peer("a tagged response inside a literal of ours"));
        }
        self.unsent.clear();
        self.append_begun = false;
        let is_ok = status.kind == StatusKind::Ok;
        match kind {
            Kind::StartTls if is_ok => {
                // RFC 9051 §6.2.1: "the client MUST discard cached information about server capabilities".
                self.capabilities = None;
                self.upgrading = true;
                status.code = None;
                self.secured = Some(Event::Done(CommandId(id), status.clone()));
                return Ok(None);
            }
            Kind::Login | Kind::Authenticate if is_ok => {
                self.user = true;
                self.capabilities = None;
                self.learn(status.code.as_ref());
            }
            _ => self.learn(status.code.as_ref()),
        }
        Ok(Some(Event::Done(CommandId(id), status.clone())))
    }
}

/// Whether the literal behind these octets is a section of a FETCH: `* n FETCH (… BODY[…]<n> `.
fn is_section_literal(before: &[u8]) -> bool {
    let Some(rest) = before.strip_prefix(b"* ") else {
        return false;
    };
    let digits = rest
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let is_fetch = rest
        .get(digits..digits + 8)
        .is_some_and(|word| word.eq_ignore_ascii_case(b" FETCH ("));
    let Some(before) = before.strip_suffix(b" ").filter(|_| is_fetch) else {
        return false;
    };
    let name = match memchr::memrchr(b'<', before) {
        Some(at) if before.ends_with(b">") => before.get(..at).unwrap_or_default(),
        _ => before,
    };
    let ends_with = |word: &[u8]| {
        name.len()
            .checked_sub(word.len())
            .and_then(|at| {
                Some((
                    name.get(at..)?,
                    at.checked_sub(1).and_then(|at| name.get(at)),
                ))
            })
            .is_some_and(|(tail, edge)| {
                tail.eq_ignore_ascii_case(word) && matches!(edge, Some(b' ' | b'('))
            })
    };
    name.ends_with(b"]")
        || ends_with(b"RFC822")
        || ends_with(b"RFC822.HEADER")
        || ends_with(b"RFC822.TEXT")
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
        self.wipe_sent();
        let before = self.input.len();
        let step = match self.advance() {
            Ok(step) => step,
            Err(error) => {
                self.closed = true;
                return Err(error);
            }
        };
        if !matches!(step, Step::NeedInput) || self.input.len() != before || self.since.is_none() {
            self.since = Some(now);
        } else if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.closed = true;
            return Err(Error::Peer("silent for too long"));
        }
        Ok(step)
    }

    fn deadline(&self) -> Option<Time> {
        (!self.closed).then(|| {
            self.since
                .map_or(Time::START, |since| since + self.limits.patience)
        })
    }

    fn wants_input(&self) -> bool {
        !self.ended && !self.closed && !self.upgrading
    }

    fn end_of_input(&mut self, _how: End) {
        self.ended = true;
    }

    fn upgraded(&mut self, layer: Upgraded) {
        if let Upgraded::Tls(tls) = layer {
            self.tls = Some(tls);
            self.upgrading = false;
            self.lines.reset();
            self.capabilities = None;
            // Octets that wait were sent in the clear: reading them as a greeting or response would be the attack.
            if !self.input.is_empty() {
                self.input.clear();
                self.secured = None;
                self.injected = true;
            }
        }
    }
}
