//! The server's side of a connection.
//!
//! Two layers: the first cuts the stream into lines and literals under one budget for each command and never looks at meaning
//! (but for the message of an APPEND, which is not held); the second parses a whole command. So a command that is not understood is
//! dropped whole, and the stream stays in step.

mod answers;
mod commands;
mod event;
mod view;

pub use event::{AnswerError, Config, Error, Event, Limits, MailboxView, Refusal, Timeouts, asked};

use crate::parse::command::{append_before_message, leading_tag};
use crate::{Append, Flag, Mailbox, Tag, UidSet};
use bytes::{Buf as _, BytesMut};
use mail_wire::framing::{Counted, LineEnd, LineFramer, literal_mark};
use mail_wire::{Desk, End, Layer, Room, Secret, Step, Stream, Time, TlsInfo, Upgraded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use view::View;

/// A connection of a client, until it ends. See the [crate's front](crate) for the loop.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    input: BytesMut,
    output: BytesMut,
    lines: LineFramer,
    desk: Desk,
    /// What an open question is about.
    waiting: &'static str,
    phase: Phase,
    assembly: Assembly,
    tls: Option<Box<TlsInfo>>,
    entropy: sasl_core::Entropy,
    user: bool,
    rev2: bool,
    selected: Option<Box<Selected>>,
    /// The command in progress.
    current: Option<Current>,
    bad_commands: u32,
    failed_logins: u32,
    /// When the wait began; None before the first poll.
    since: Option<Time>,
    ended: Option<End>,
    failed: Option<Error>,
    /// What an answer led to, for the next poll.
    queued: Option<Event>,
}

#[derive(Debug)]
enum Phase {
    Start,
    Command,
    /// A response of SASL is awaited, or the application.
    Sasl(
        Box<sasl_core::server::Exchange>,
        Option<sasl_core::server::Success>,
    ),
    Fetch(Fetching),
    /// The arguments of an APPEND; the application decides.
    AppendAsked {
        size: u64,
        waits: bool,
    },
    AppendBody(Counted),
    /// Octets of a message that was refused.
    AppendDropped(Counted),
    /// The message is whole; the line must end.
    AppendTail {
        kept: bool,
    },
    Idle,
    StartTls,
    Closing,
    Closed,
}

#[derive(Debug)]
struct Fetching {
    stream: Stream,
    uid: bool,
    /// What the literals of the message just begun still owe, the next one last, and what to print behind each.
    owed: Vec<(Room, Vec<u8>)>,
    told: bool,
}

/// The command that is being put together.
#[derive(Debug, Default)]
struct Assembly {
    octets: Secret<Vec<u8>>,
    /// What a literal still lacks.
    literal: u64,
    literals: u32,
    /// Why it will be dropped.
    doomed: Option<&'static str>,
    tag: Option<Tag>,
    discarded: u64,
}

impl Assembly {
    /// Keeps octets of a command that will not be dropped. A buffer that became too small is wiped, as all of it may be a password.
    fn hold(&mut self, octets: &[u8]) {
        if self.doomed.is_some() {
            return;
        }
        let held = self.octets.expose_secret();
        let needed = held.len() + octets.len();
        if needed > held.capacity() {
            let mut larger = Vec::with_capacity(needed.next_power_of_two());
            larger.extend_from_slice(held);
            self.octets = Secret::new(larger);
        }
        self.octets.expose_secret_mut().extend_from_slice(octets);
    }
}

#[derive(Debug)]
struct Selected {
    view: View,
    read_only: bool,
    saved: UidSet,
    /// What changed and was not told yet. New UIDs are above all others, and gone are only known ones.
    arrived: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    flags: BTreeMap<u32, Vec<Flag>>,
}

#[derive(Debug)]
struct Current {
    tag: Tag,
    what: What,
}

#[derive(Debug)]
enum What {
    Other,
    /// FETCH, STORE, SEARCH by sequence number: no EXPUNGE meanwhile.
    Sequence,
    Lsub,
    Select {
        mailbox: Mailbox,
        read_only: bool,
    },
    Close,
    Store {
        uid: bool,
        silent: bool,
    },
    Search {
        uid: bool,
        returns: Option<Vec<crate::SearchReturn>>,
    },
    Move,
    Status(Mailbox),
}

impl Session {
    /// A connection that was just accepted. The entropy is 32 octets from the system's generator, for this connection alone.
    #[must_use]
    pub fn new(config: Arc<Config>, entropy: sasl_core::Entropy) -> Self {
        Self {
            config,
            input: BytesMut::new(),
            output: BytesMut::new(),
            lines: LineFramer::default(),
            desk: Desk::new(),
            waiting: "",
            phase: Phase::Start,
            assembly: Assembly::default(),
            tls: None,
            entropy,
            user: false,
            rev2: false,
            selected: None,
            current: None,
            bad_commands: 0,
            failed_logins: 0,
            since: None,
            ended: None,
            failed: None,
            queued: None,
        }
    }

    const fn is_exposed(&self) -> bool {
        !self.user
    }

    fn write(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    fn fatal(&mut self, error: Error, bye: &str) -> Error {
        self.write("* BYE ");
        self.write(bye);
        self.write("\r\n");
        self.phase = Phase::Closed;
        self.desk.close();
        self.assembly = Assembly::default();
        self.failed = Some(error.clone());
        error
    }

    fn line(&mut self, limit: usize) -> Result<Option<(BytesMut, bool)>, Error> {
        match self.lines.next(&mut self.input, limit) {
            Ok(line) => Ok(line.map(|line| (line.octets, line.end == LineEnd::CrLf))),
            // Whether a literal was announced at the end of such a line is not known, so what follows cannot be trusted to be a
            // command.
            Err(_) => Err(self.fatal(
                Error::Peer("a line longer than allowed"),
                "[TOOBIG] Line too long",
            )),
        }
    }

    /// Layer 1: the next whole command, or the beginning of an APPEND.
    fn assemble(&mut self) -> Result<Option<Assembled>, Error> {
        let limits = self.config.limits;
        let (line_limit, literal_limit, command_limit) = if self.is_exposed() {
            (
                limits.line_before_login,
                limits.literal_before_login,
                limits.command_before_login,
            )
        } else {
            (limits.line, limits.literal, limits.command)
        };
        loop {
            let here = usize::try_from(self.assembly.literal)
                .unwrap_or(usize::MAX)
                .min(self.input.len());
            self.assembly
                .hold(self.input.get(..here).unwrap_or_default());
            self.assembly.literal -= here as u64;
            if self.is_exposed() {
                mail_wire::wipe_front(&mut self.input, here);
            } else {
                self.input.advance(here);
            }
            if self.assembly.literal > 0 {
                return Ok(None);
            }
            let Some((mut line, is_crlf)) = self.line(line_limit)? else {
                return Ok(None);
            };
            let exposed = self.is_exposed();
            let assembly = &mut self.assembly;
            if assembly.doomed.is_none() {
                if assembly.octets.expose_secret().is_empty() {
                    assembly.tag = leading_tag(&line);
                }
                if assembly.octets.expose_secret().len() + line.len() > command_limit {
                    assembly.doomed = Some("Command too long");
                } else {
                    assembly.hold(&line);
                }
                if !is_crlf {
                    assembly.doomed = Some("Lines end in CR LF");
                }
            }
            let mark = literal_mark(&line);
            let length = line.len();
            if exposed {
                mail_wire::wipe_front(&mut line, length);
            }
            let Some(mark) = mark else {
                let assembly = core::mem::take(&mut self.assembly);
                return Ok(Some(match assembly.doomed {
                    Some(why) => Assembled::Dropped(assembly.tag, why),
                    None => Assembled::Command(assembly.octets, assembly.tag),
                }));
            };
            // The mailbox of an APPEND may be a literal, the next one is the message: so this is linear in the command.
            if self.user && self.assembly.doomed.is_none() && self.assembly.literals < 2 {
                let octets = self.assembly.octets.expose_secret();
                let before = octets.len() - length + mark.at;
                let found =
                    append_before_message(octets.get(..before).unwrap_or_default(), self.rev2);
                if let Some((tag, append)) = found {
                    self.assembly = Assembly::default();
                    if mark.non_synchronising && mark.octets > 4096 {
                        return Err(self.too_big());
                    }
                    return Ok(Some(Assembled::Append {
                        tag,
                        append,
                        size: mark.octets,
                        waits: !mark.non_synchronising,
                    }));
                }
            }
            let assembly = &mut self.assembly;
            assembly.literals += 1;
            let total = (assembly.octets.expose_secret().len() as u64).saturating_add(mark.octets);
            if assembly.doomed.is_none()
                && (mark.octets > literal_limit
                    || total > command_limit as u64
                    || assembly.literals > limits.literals)
            {
                assembly.doomed = Some("Command too long");
            }
            if mark.non_synchronising {
                assembly.discarded = assembly.discarded.saturating_add(mark.octets);
                // RFC 7888 §5: LITERAL- allows 4096 octets; and what is dropped has a bound too.
                if mark.octets > 4096 || assembly.discarded > command_limit as u64 {
                    return Err(self.too_big());
                }
            } else if let Some(why) = assembly.doomed {
                // The client waits, so this ends the command.
                let assembly = core::mem::take(&mut self.assembly);
                return Ok(Some(Assembled::Dropped(assembly.tag, why)));
            } else {
                self.output.extend_from_slice(b"+ OK\r\n");
            }
            self.assembly.hold(b"\r\n");
            self.assembly.literal = mark.octets;
        }
    }

    fn too_big(&mut self) -> Error {
        self.fatal(
            Error::Peer("a non-synchronising literal of more than 4096 octets (RFC 7888 §5)"),
            "[TOOBIG] Literal too long",
        )
    }

    fn bad(&mut self, tag: Option<&Tag>, why: &str) -> Result<Step<Event>, Error> {
        let line = match tag {
            Some(tag) => format!("{tag} BAD {why}\r\n"),
            None => format!("* BAD {why}\r\n"),
        };
        self.write(&line);
        self.bad_commands += 1;
        if self.bad_commands >= self.config.limits.bad_commands {
            return Err(self.fatal(
                Error::Peer("too many bad commands"),
                "Too many bad commands",
            ));
        }
        Ok(Step::Event(Event::Bad))
    }

    fn advance(&mut self) -> Result<Step<Event>, Error> {
        loop {
            if self.desk.is_open() {
                return Ok(Step::NeedAnswer(self.waiting));
            }
            match &mut self.phase {
                Phase::Start => {
                    self.waiting = "Connected";
                    self.phase = Phase::Command;
                    return Ok(Step::Event(Event::Connected(self.desk.open())));
                }
                Phase::Closed => return Ok(Step::Closed),
                Phase::Closing => {
                    self.phase = Phase::Closed;
                    return Ok(Step::Closed);
                }
                Phase::StartTls => return Ok(Step::Upgrade(Layer::Tls)),
                Phase::Fetch(fetching) => {
                    let room = self.output.len() < Room::LOW_WATER;
                    if fetching.told || !room {
                        return Ok(Step::NeedAnswer("Room"));
                    }
                    fetching.told = true;
                    return Ok(Step::Event(Event::Room(fetching.stream)));
                }
                Phase::AppendAsked { .. } => return Ok(Step::NeedAnswer("Append")),
                Phase::AppendBody(left) => {
                    if let Some(octets) = left.next(&mut self.input) {
                        return Ok(Step::Event(Event::Body(octets)));
                    }
                    if left.left() > 0 {
                        return Ok(self.starved(true));
                    }
                    self.phase = Phase::AppendTail { kept: true };
                }
                Phase::AppendDropped(left) => {
                    while left.next(&mut self.input).is_some() {}
                    if left.left() > 0 {
                        return Ok(self.starved(false));
                    }
                    self.phase = Phase::AppendTail { kept: false };
                }
                Phase::AppendTail { kept } => {
                    let kept = *kept;
                    let Some((line, is_crlf)) = self.line(self.config.limits.line_before_login)?
                    else {
                        return Ok(self.starved(kept));
                    };
                    self.phase = Phase::Command;
                    if line.is_empty() && is_crlf {
                        if kept {
                            self.waiting = "AppendEnd";
                            return Ok(Step::Event(Event::AppendEnd(self.desk.open())));
                        }
                        continue;
                    }
                    // A literal behind it cannot be read in step any more: MULTIAPPEND is not offered.
                    if literal_mark(&line).is_some_and(|mark| mark.non_synchronising) {
                        return Err(self.fatal(
                            Error::Peer("more than one message in an APPEND"),
                            "One message for each APPEND",
                        ));
                    }
                    if kept {
                        self.finish_text("BAD One message for each APPEND");
                        return Ok(Step::Event(Event::AppendAborted));
                    }
                }
                Phase::Idle => {
                    self.flush(true);
                    let Some((line, _)) = self.line(self.config.limits.line_before_login)? else {
                        return Ok(self.starved(false));
                    };
                    self.phase = Phase::Command;
                    if line.eq_ignore_ascii_case(b"DONE") {
                        self.finish_text("OK IDLE terminated");
                    } else {
                        self.finish_text("BAD DONE expected");
                    }
                    return Ok(Step::Event(Event::Done));
                }
                Phase::Sasl(..) => {
                    let limit = self.config.sasl.limits.message.saturating_mul(4) / 3 + 8;
                    let Some((mut line, _)) = self.line(limit)? else {
                        return Ok(self.starved(false));
                    };
                    let decoded = if &line[..] == b"*" {
                        None
                    } else {
                        Some(sasl_core::base64::decode(&line))
                    };
                    let length = line.len();
                    mail_wire::wipe_front(&mut line, length);
                    if let Some(step) = self.sasl_response(decoded) {
                        return step;
                    }
                }
                Phase::Command => match self.assemble()? {
                    None => return Ok(self.starved(false)),
                    Some(Assembled::Dropped(tag, why)) => return self.bad(tag.as_ref(), why),
                    Some(Assembled::Append {
                        tag,
                        append,
                        size,
                        waits,
                    }) => {
                        if let Some(step) = self.begin_append(tag, append, size, waits) {
                            return Ok(step);
                        }
                    }
                    Some(Assembled::Command(octets, tag)) => {
                        let parsed = crate::parse_command(octets.expose_secret(), self.rev2);
                        match parsed {
                            Err(error) => return self.bad(tag.as_ref(), &format!("{error}")),
                            Ok(command) => {
                                if let Some(step) = self.command(command) {
                                    return step;
                                }
                            }
                        }
                    }
                },
            }
        }
    }

    /// Nothing more can be done with what there is.
    fn starved(&mut self, in_message: bool) -> Step<Event> {
        if self.ended.is_none() {
            return Step::NeedInput;
        }
        self.phase = Phase::Closed;
        self.assembly = Assembly::default();
        if in_message {
            self.current = None;
            return Step::Event(Event::AppendAborted);
        }
        Step::Closed
    }

    fn patience(&self) -> core::time::Duration {
        let timeouts = self.config.timeouts;
        if self.desk.is_open() || matches!(self.phase, Phase::Fetch(_) | Phase::Start) {
            timeouts.application
        } else if self.user {
            timeouts.idle
        } else {
            timeouts.before_login
        }
    }
}

enum Assembled {
    Command(Secret<Vec<u8>>, Option<Tag>),
    Dropped(Option<Tag>, &'static str),
    Append {
        tag: Tag,
        append: Append,
        size: u64,
        waits: bool,
    },
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
        if let Some(error) = &self.failed {
            // Nothing is written: a literal may be open.
            return match core::mem::replace(&mut self.phase, Phase::Closed) {
                Phase::Closed => Ok(Step::Closed),
                _ => Err(error.clone()),
            };
        }
        if let Some(event) = self.queued.take() {
            self.since = Some(now);
            return Ok(Step::Event(event));
        }
        let before = self.input.len();
        let step = self.advance()?;
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        let idle = matches!(step, Step::NeedInput | Step::NeedAnswer(_));
        if !idle || self.input.len() != before || self.since.is_none() {
            self.since = Some(now);
            return Ok(step);
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            return Err(if self.desk.is_open() {
                self.fatal(
                    Error::Misuse("an answer did not come in time"),
                    "[UNAVAILABLE] Internal error",
                )
            } else {
                self.fatal(
                    Error::Peer("silent for too long"),
                    "Autologout; idle for too long",
                )
            });
        }
        Ok(step)
    }

    fn deadline(&self) -> Option<Time> {
        if matches!(self.phase, Phase::Closed) {
            return None;
        }
        Some(
            self.since
                .map_or(Time::START, |since| since + self.patience()),
        )
    }

    fn wants_input(&self) -> bool {
        let room =
            self.input.len() < self.config.limits.line && self.output.len() < Room::LOW_WATER;
        self.ended.is_none()
            && !self.desk.is_open()
            && room
            && !matches!(
                self.phase,
                Phase::StartTls | Phase::Closing | Phase::Closed | Phase::Fetch(_)
            )
    }

    fn end_of_input(&mut self, how: End) {
        self.ended = Some(how);
    }

    fn upgraded(&mut self, layer: Upgraded) {
        if let Upgraded::Tls(tls) = layer {
            // RFC 9051 §6.2.1: "Once TLS has been started, the client MUST discard cached information about server capabilities";
            // here nothing of before is left either, and octets that wait were sent in the clear.
            if !self.input.is_empty() {
                self.failed = Some(Error::Peer("plaintext behind STARTTLS"));
            }
            self.input = BytesMut::new();
            self.lines.reset();
            self.assembly = Assembly::default();
            self.tls = Some(tls);
            if matches!(self.phase, Phase::StartTls) {
                self.phase = Phase::Command;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_wire::Session as _;

    /// The promise is 4 KiB at most; it is about 1 KiB.
    #[test]
    fn a_session_before_login_is_small() {
        let sasl = sasl_core::server::ServerConfig::new(Secret::new([7; 32]));
        let entropy = sasl_core::Entropy::new([1; 32]);
        let mut session = Session::new(Arc::new(Config::new(sasl)), entropy);
        session.upgraded(Upgraded::Tls(Box::default()));
        for input in [
            &b""[..],
            b"a NOOP\r\n",
            b"a LOGIN {4+}\r\nuser pass",
            b"word\r\n",
            b"\r\n",
        ] {
            session.input().extend_from_slice(input);
            loop {
                match session.poll(Time::START) {
                    Ok(Step::Event(Event::Connected(token))) => {
                        session.greet(token, &crate::Text::lossy("hello")).unwrap();
                    }
                    Ok(Step::Event(Event::Auth(token, _))) => {
                        session.password(token, false).unwrap();
                    }
                    Ok(Step::Event(_)) => {}
                    Ok(Step::NeedInput) => break,
                    end => panic!("{end:?}"),
                }
            }
            // What was said is not taken yet, so that the capacity is all there is.
            let held = size_of_val(&session)
                + session.input.capacity()
                + session.output.capacity()
                + session.assembly.octets.expose_secret().capacity()
                + session.tls.as_deref().map_or(0, size_of_val);
            assert!(
                held <= 2_048,
                "{held} octets behind {:?}",
                input.escape_ascii().to_string()
            );
            assert!(session.selected.is_none() && session.current.is_none());
            eprintln!(
                "{held} octets, {} of them the session itself",
                size_of_val(&session)
            );
            session.output.clear();
        }
    }
}
