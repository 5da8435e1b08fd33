//! How answers are read.

use bytes::BytesMut;
use mail_wire::framing::{DotDecoder, DotPiece, LineEndPolicy};
use mail_wire::{End, Layer, Step, Time, Upgraded};
use sasl_core::base64;
use sasl_core::client::{Failure, Next};

use super::event::{CommandId, Error, Event, LoginFailure, Peer};
use super::session::{Kind, Sent, Session};
use crate::capability::Capability;
use crate::command::MessageNumber;
use crate::maildrop::UniqueId;
use crate::reply::Reply;

/// What comes next from the server.
#[derive(Debug)]
pub(super) enum Reading {
    Greeting,
    Reply,
    Lines(CommandId, Listing),
    Body {
        id: CommandId,
        decoder: DotDecoder,
        octets: u64,
    },
    /// STLS was accepted.
    Tls(CommandId),
    /// TLS stands, and the application does not know.
    TlsStands(CommandId),
    Closed,
}

#[derive(Debug)]
pub(super) enum Listing {
    Capabilities(Vec<Capability>),
    Sizes(Vec<(MessageNumber, u64)>),
    UniqueIds(Vec<(MessageNumber, UniqueId)>),
}

/// Commands that are sent before the first of them is answered.
const MOST_UNANSWERED: usize = 64;

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
        if core::mem::take(&mut self.touched) || self.since.is_none() {
            self.since = Some(now);
        }
        let mut result = self.advance();
        if core::mem::take(&mut self.touched) || matches!(result, Ok(Step::Event(_))) {
            self.since = Some(now);
        }
        if let Ok(Step::NeedInput | Step::NeedAnswer(_) | Step::Upgrade(_)) = result
            && self.deadline().is_some_and(|deadline| now >= deadline)
        {
            result = Err(match (self.desk.is_open(), self.is_waiting()) {
                (true, _) => Error::Unanswered,
                (false, true) => Error::Silent,
                (false, false) => Error::Idle,
            });
        }
        if let Err(error) = &result {
            self.failure = Some(error.clone());
            self.reading = Reading::Closed;
            self.desk.close();
        }
        result
    }

    fn deadline(&self) -> Option<Time> {
        let timeouts = &self.config.timeouts;
        let patience = match &self.reading {
            Reading::Closed => return None,
            _ if self.desk.is_open() => timeouts.application,
            _ if self.is_waiting() => timeouts.response,
            _ => timeouts.idle,
        };
        Some(self.since.unwrap_or(Time::START) + patience)
    }

    fn wants_input(&self) -> bool {
        !self.ended
            && self.failure.is_none()
            && !self.desk.is_open()
            && !matches!(
                self.reading,
                Reading::Tls(_) | Reading::TlsStands(_) | Reading::Closed
            )
    }

    fn end_of_input(&mut self, _how: End) {
        self.ended = true;
    }

    fn upgraded(&mut self, layer: Upgraded) {
        match (layer, &self.reading) {
            (Upgraded::Tls(info), Reading::Greeting)
                if self.tls.is_none() && self.since.is_none() =>
            {
                self.tls = Some(info);
            }
            (Upgraded::Tls(info), Reading::Tls(id)) => {
                // RFC 2595 §4: "Once TLS has been started, the client MUST discard cached information about server capabilities and
                // SHOULD re-issue the CAPA command."
                if !self.input.is_empty() {
                    self.failure = Some(Peer::PlaintextAfterStls.into());
                }
                self.reading = Reading::TlsStands(*id);
                self.lines.reset();
                self.capabilities = Vec::new();
                self.tls = Some(info);
                self.touched = true;
            }
            _ => self.failure = Some(Error::Layer),
        }
    }
}

impl Session {
    /// Goes on until there is something to say.
    fn advance(&mut self) -> Result<Step<Event>, Error> {
        loop {
            if let Some(error) = &self.failure {
                return Err(error.clone());
            }
            self.send_commands();
            let event = match &mut self.reading {
                Reading::Closed => return Ok(Step::Closed),
                _ if self.desk.is_open() => return Ok(Step::NeedAnswer("Derive")),
                Reading::Tls(_) if self.ended => return Err(Error::Lost),
                Reading::Tls(_) => return Ok(Step::Upgrade(Layer::Tls)),
                Reading::TlsStands(id) => {
                    let id = *id;
                    self.reading = Reading::Reply;
                    Some(Event::TlsStarted { id })
                }
                Reading::Body {
                    id,
                    decoder,
                    octets,
                } => match decoder.next(&mut self.input) {
                    DotPiece::Body(piece) => {
                        self.touched = true;
                        *octets = octets.saturating_add(piece.len() as u64);
                        if *octets > self.config.limits.message {
                            return Err(Peer::TooLong("RETR").into());
                        }
                        Some(Event::Body(piece))
                    }
                    DotPiece::End => {
                        let id = *id;
                        self.reading = Reading::Reply;
                        Some(Event::EndOfMessage { id })
                    }
                    DotPiece::NeedInput if self.ended => return Err(Error::Lost),
                    DotPiece::NeedInput => return Ok(Step::NeedInput),
                },
                Reading::Greeting | Reading::Reply | Reading::Lines(..) => {
                    let limit = self.config.limits.line;
                    match self.lines.next(&mut self.input, limit) {
                        Err(error) => return Err(Peer::Line(error).into()),
                        // Whether the line ended in CR LF does not matter: nothing is told apart by it.
                        Ok(Some(line)) => {
                            self.touched = true;
                            self.line(&line.octets)?
                        }
                        Ok(None) if !self.ended => return Ok(Step::NeedInput),
                        Ok(None) if self.is_waiting() => return Err(Error::Lost),
                        Ok(None) => {
                            self.reading = Reading::Closed;
                            None
                        }
                    }
                }
            };
            if let Some(event) = event {
                return Ok(Step::Event(event));
            }
        }
    }

    /// Whether the server owes something.
    fn is_waiting(&self) -> bool {
        !matches!(self.reading, Reading::Reply)
            || !self.unanswered.is_empty()
            || !self.unsent.is_empty()
    }

    fn send_commands(&mut self) {
        let is_ready = matches!(
            self.reading,
            Reading::Reply | Reading::Lines(..) | Reading::Body { .. }
        );
        while is_ready && let Some(next) = self.unsent.front() {
            let is_busy = !self.unanswered.is_empty() || !matches!(self.reading, Reading::Reply);
            let may_pipeline = !next.sent.kind.is_alone()
                && self.unanswered.len() < MOST_UNANSWERED
                && !self.unanswered.iter().any(|sent| sent.kind.is_alone())
                && !matches!(self.reading, Reading::Lines(_, Listing::Capabilities(_)))
                && self.capabilities.contains(&Capability::Pipelining);
            if is_busy && !may_pipeline {
                return;
            }
            if let Some(queued) = self.unsent.pop_front() {
                self.output.extend_from_slice(queued.line.expose_secret());
                self.unanswered.push_back(queued.sent);
                self.touched = true;
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
        match &self.reading {
            Reading::Lines(..) => return self.listed(line),
            Reading::Greeting => {
                let reply = Reply::parse(line).map_err(Peer::from)?;
                self.reading = if reply.is_ok() {
                    Reading::Reply
                } else {
                    Reading::Closed
                };
                return Ok(Some(Event::Greeting(reply)));
            }
            _ => {}
        }
        if let Some(Sent {
            kind: Kind::Auth(_),
            id,
        }) = self.unanswered.front()
            && let [b'+', challenge @ ..] = line
            && let [] | [b' ', ..] = challenge
        {
            let id = *id;
            return self.challenge(id, challenge.get(1..).unwrap_or_default());
        }
        let reply = Reply::parse(line).map_err(Peer::from)?;
        match self.unanswered.pop_front() {
            Some(sent) => self.answered(sent, reply),
            None => Err(Peer::Unasked(reply).into()),
        }
    }

    fn challenge(&mut self, id: CommandId, text: &[u8]) -> Result<Option<Event>, Error> {
        let Some(Sent {
            kind: Kind::Auth(login),
            ..
        }) = self.unanswered.front_mut()
        else {
            return Err(Peer::Challenge.into());
        };
        if login.broken_off.is_some() {
            return Err(Peer::Challenge.into());
        }
        // RFC 5034 §4: "If the client cannot Base64 decode any of the server's challenges, it MUST cancel the authentication using the
        // "*" response."
        let Ok(challenge) = base64::decode(text) else {
            self.break_off(LoginFailure::Challenge);
            return Ok(None);
        };
        let challenge = challenge.expose_secret();
        if let Some(initial) = login.initial.take() {
            if !challenge.is_empty() {
                self.break_off(LoginFailure::Challenge);
                return Ok(None);
            }
            self.respond(&initial);
            return Ok(None);
        }
        match login.exchange.challenge(challenge) {
            Ok(Next::Response(response)) => self.respond(&response),
            Ok(Next::Derive(work)) => {
                let pending = self.desk.open();
                return Ok(Some(Event::Derive { id, work, pending }));
            }
            Err(failure) => self.break_off(failure.into()),
        }
        Ok(None)
    }

    /// A command was answered.
    fn answered(&mut self, sent: Sent, reply: Reply) -> Result<Option<Event>, Error> {
        let Sent { id, kind } = sent;
        if !reply.is_ok() {
            if let Kind::Quit = kind {
                self.reading = Reading::Closed;
            }
            let broken_off = match kind {
                Kind::Auth(login) => login.broken_off,
                _ => None,
            };
            return Ok(Some(match broken_off {
                Some(reason) => Event::AuthenticationFailed { id, reason },
                None => Event::Refused { id, reply },
            }));
        }
        Ok(Some(match kind {
            Kind::Capa => return Ok(self.listing(id, Listing::Capabilities(Vec::new()))),
            Kind::List(None) => return Ok(self.listing(id, Listing::Sizes(Vec::new()))),
            Kind::Uidl(None) => {
                return Ok(self.listing(id, Listing::UniqueIds(Vec::new())));
            }
            Kind::Stls => {
                self.reading = Reading::Tls(id);
                return Ok(None);
            }
            Kind::User(pass) => {
                self.output.extend_from_slice(pass.expose_secret());
                self.unanswered.push_front(Sent {
                    id,
                    kind: Kind::Pass,
                });
                return Ok(None);
            }
            Kind::Pass => Event::Authenticated {
                id,
                authenticated: None,
            },
            Kind::Auth(login) => {
                // A success that was not earned: the server takes back what it was told, or cannot prove itself.
                if login.broken_off.is_some() || login.initial.is_some() {
                    return Err(Peer::Sasl(Failure::OutOfOrder).into());
                }
                let authenticated = login.exchange.succeeded(None).map_err(Peer::from)?;
                Event::Authenticated {
                    id,
                    authenticated: Some(authenticated),
                }
            }
            Kind::Stat => match two_numbers(reply.text()) {
                Some((messages, octets)) => Event::Stat {
                    id,
                    messages,
                    octets,
                },
                None => return Err(Peer::Malformed("STAT").into()),
            },
            Kind::List(Some(asked)) => {
                let size = size_line(reply.text())
                    .filter(|(number, _)| *number == asked)
                    .ok_or(Peer::Malformed("LIST"))?;
                Event::Sizes {
                    id,
                    sizes: vec![size],
                }
            }
            Kind::Uidl(Some(asked)) => {
                let unique_id = unique_id_line(reply.text())
                    .filter(|(number, _)| *number == asked)
                    .ok_or(Peer::Malformed("UIDL"))?;
                Event::UniqueIds {
                    id,
                    unique_ids: vec![unique_id],
                }
            }
            Kind::Message => {
                let decoder = DotDecoder::new(LineEndPolicy::Reject);
                self.reading = Reading::Body {
                    id,
                    decoder,
                    octets: 0,
                };
                Event::Message { id, reply }
            }
            Kind::Plain => Event::Done { id, reply },
            Kind::Quit => {
                self.reading = Reading::Closed;
                Event::Done { id, reply }
            }
        }))
    }

    fn listing(&mut self, id: CommandId, listing: Listing) -> Option<Event> {
        self.reading = Reading::Lines(id, listing);
        None
    }

    /// A line of an answer of many lines.
    fn listed(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
        let limits = self.config.limits;
        let Reading::Lines(id, listing) = &mut self.reading else {
            return Ok(None);
        };
        let id = *id;
        if line == b"." {
            let reading = core::mem::replace(&mut self.reading, Reading::Reply);
            return Ok(match reading {
                Reading::Lines(_, Listing::Capabilities(capabilities)) => {
                    self.capabilities.clone_from(&capabilities);
                    Some(Event::Capabilities { id, capabilities })
                }
                Reading::Lines(_, Listing::Sizes(sizes)) => Some(Event::Sizes { id, sizes }),
                Reading::Lines(_, Listing::UniqueIds(unique_ids)) => {
                    Some(Event::UniqueIds { id, unique_ids })
                }
                _ => None,
            });
        }
        // RFC 1939 §3: "the client checks to see if the line begins with the termination octet"
        let line = line.strip_prefix(b".").unwrap_or(line);
        let (name, is_full) = match listing {
            Listing::Capabilities(list) => ("CAPA", list.len() >= limits.capabilities),
            Listing::Sizes(list) => ("LIST", list.len() >= limits.listing),
            Listing::UniqueIds(list) => ("UIDL", list.len() >= limits.listing),
        };
        if is_full {
            return Err(Peer::TooLong(name).into());
        }
        let text = core::str::from_utf8(line).map_err(|_| Peer::Malformed(name))?;
        let taken = match listing {
            Listing::Capabilities(list) => text.parse().ok().map(|line| list.push(line)),
            Listing::Sizes(list) => size_line(text).map(|line| list.push(line)),
            Listing::UniqueIds(list) => unique_id_line(text).map(|line| list.push(line)),
        };
        match taken {
            Some(()) => Ok(None),
            None => Err(Peer::Malformed(name).into()),
        }
    }
}

/// The first two words; servers may say more behind them (RFC 1939 §5).
fn two_words(text: &str) -> Option<(&str, &str)> {
    let mut words = text.split_ascii_whitespace();
    Some((words.next()?, words.next()?))
}

fn octets(word: &str) -> Option<u64> {
    let is_number = word.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| word.parse().ok()).flatten()
}

fn two_numbers(text: &str) -> Option<(u32, u64)> {
    let (first, second) = two_words(text)?;
    Some((crate::command::number(first).ok()?, octets(second)?))
}

fn size_line(text: &str) -> Option<(MessageNumber, u64)> {
    let (number, size) = two_words(text)?;
    Some((number.parse().ok()?, octets(size)?))
}

fn unique_id_line(text: &str) -> Option<(MessageNumber, UniqueId)> {
    let (number, unique_id) = two_words(text)?;
    Some((number.parse().ok()?, unique_id.parse().ok()?))
}
