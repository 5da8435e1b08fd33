//! How a session goes on: states, lines, time limits.

use bytes::BytesMut;
use mail_wire::framing::{Line, LineEnd};
use mail_wire::{End, Layer, Pending, Room, Stale, Step, Time, Upgraded, wipe_front};

use super::{Session, State};
use crate::command::Command;
use crate::reply::Reply;
use crate::server::event::{Error, Event, LoginFailure, Mistake, Misuse};

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
        self.clock.started.get_or_insert(now);
        // An answer of the application, and a client that takes some of the output, are progress.
        let progress = self.clock.touched || self.output.len() < self.clock.queued;
        if progress || self.clock.since.is_none() {
            self.clock.since = Some(now);
            self.clock.touched = false;
        }
        let result = self.advance();
        let result = match result {
            Ok(Step::Event(event)) => {
                self.clock.since = Some(now);
                Ok(Step::Event(event))
            }
            Ok(step @ (Step::NeedInput | Step::NeedAnswer(_) | Step::Upgrade(_))) => {
                if self.clock.touched {
                    self.clock.since = Some(now);
                }
                match self.overdue(now) {
                    Some(error) => Err(error),
                    None => Ok(step),
                }
            }
            other => other,
        };
        self.clock.touched = false;
        self.clock.queued = self.output.len();
        if let Err(error) = &result {
            self.failure = Some(error.clone());
            self.close();
        }
        result
    }

    fn deadline(&self) -> Option<Time> {
        if matches!(self.state, State::Closed) {
            return None;
        }
        let waiting = self.clock.since.unwrap_or(Time::START) + self.patience();
        Some(match self.login_deadline() {
            Some(login) => waiting.min(login),
            None => waiting,
        })
    }

    fn wants_input(&self) -> bool {
        !self.ended
            && self.failure.is_none()
            && self.output.len() < Room::LOW_WATER
            && matches!(
                self.state,
                State::Authorization(_)
                    | State::AwaitResponse(_)
                    | State::AwaitLast(..)
                    | State::Transaction
            )
    }

    fn end_of_input(&mut self, _how: End) {
        self.ended = true;
    }

    fn upgraded(&mut self, layer: Upgraded) {
        match (layer, &self.state) {
            (Upgraded::Tls(info), State::Start) if self.tls.is_none() => self.tls = Some(info),
            (Upgraded::Tls(info), State::Tls) => {
                // The client begins anew, and what it said before TLS is forgotten: anyone may have said it.
                // What came along in the old layer is thrown away; how often the client failed is not forgotten.
                let all = self.input.len();
                wipe_front(&mut self.input, all);
                self.lines.reset();
                self.tls = Some(info);
                self.state = State::Authorization(None);
                self.clock.touched = true;
            }
            _ => self.failure = Some(Misuse::Layer.into()),
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
            let event = match &mut self.state {
                State::Closed => return Ok(Step::Closed),
                State::Tls if self.ended => {
                    self.close();
                    continue;
                }
                State::Tls => return Ok(Step::Upgrade(Layer::Tls)),
                State::AwaitGreeting => return Ok(Step::NeedAnswer("Connected")),
                State::AwaitAuth(_) => return Ok(Step::NeedAnswer("Auth")),
                State::AwaitMaildrop => return Ok(Step::NeedAnswer("OpenMaildrop")),
                State::AwaitMessage(_) => return Ok(Step::NeedAnswer("Retrieve")),
                State::AwaitUpdate => return Ok(Step::NeedAnswer("Update")),
                State::Start => {
                    self.state = State::AwaitGreeting;
                    Some(Event::Connected(self.desk.open()))
                }
                State::Authenticated(user) => {
                    let user = user.clone();
                    self.state = State::AwaitMaildrop;
                    let pending = self.desk.open();
                    Some(Event::OpenMaildrop { user, pending })
                }
                State::Sending(sending) if sending.asked => return Ok(Step::NeedAnswer("Room")),
                State::Sending(sending) if sending.room.is_wanted(self.output.len()) => {
                    sending.asked = true;
                    Some(Event::Room(sending.stream))
                }
                State::Sending(_) => return Ok(Step::NeedInput),
                State::Sent(stream) => {
                    let stream = *stream;
                    self.state = State::Transaction;
                    Some(Event::Sent(stream))
                }
                State::Listing { .. } => {
                    if self.output.len() >= Room::LOW_WATER {
                        return Ok(Step::NeedInput);
                    }
                    self.list();
                    None
                }
                State::Answered(..) => {
                    let state = core::mem::replace(&mut self.state, State::Authorization(None));
                    let State::Answered(login, next) = state else {
                        continue;
                    };
                    self.login(login, *next)?
                }
                State::Authorization(_)
                | State::AwaitResponse(_)
                | State::AwaitLast(..)
                | State::Transaction => match self.line()? {
                    Some(event) => event,
                    None => return Ok(Step::NeedInput),
                },
            };
            if let Some(event) = event {
                return Ok(Step::Event(event));
            }
        }
    }

    fn is_owed(&self) -> bool {
        self.desk.is_open() || matches!(&self.state, State::Sending(sending) if sending.asked)
    }

    fn patience(&self) -> core::time::Duration {
        let timeouts = &self.config.timeouts;
        if self.is_owed() {
            timeouts.application
        } else {
            timeouts.command
        }
    }

    /// When the client must have logged in; `None` once it has, or while the application is asked.
    fn login_deadline(&self) -> Option<Time> {
        let is_login = matches!(
            self.state,
            State::Start
                | State::Authorization(_)
                | State::Tls
                | State::AwaitResponse(_)
                | State::AwaitLast(..)
        );
        let started = self.clock.started.unwrap_or(Time::START);
        is_login.then(|| started + self.config.timeouts.login)
    }

    fn overdue(&self, now: Time) -> Option<Error> {
        if now < mail_wire::Session::deadline(self)? {
            return None;
        }
        // RFC 1939 §3: "When the timer expires, the session does NOT enter the UPDATE state--the server should close the TCP
        // connection without removing any messages or sending any response to the client."
        Some(if self.is_owed() {
            Misuse::Unanswered.into()
        } else if self.login_deadline().is_some_and(|login| now >= login) {
            Error::NoLogin
        } else {
            Error::Idle
        })
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.desk.close();
        self.maildrop = None;
        let all = self.input.len();
        wipe_front(&mut self.input, all);
    }

    /// Takes a line in. `None`: there is none yet; `Some(None)`: there was, and nothing is to be told.
    fn line(&mut self) -> Result<Option<Option<Event>>, Error> {
        // Answers are bounded too: whoever does not read is not read.
        if self.output.len() >= Room::LOW_WATER {
            return Ok(None);
        }
        let limits = self.config.limits;
        let is_login = matches!(self.state, State::AwaitResponse(_) | State::AwaitLast(..));
        let limit = if is_login {
            limits.auth_line
        } else {
            limits.command_line
        };
        let line = match self.lines.next(&mut self.input, limit) {
            Ok(None) if self.ended => {
                self.close();
                return Ok(Some(None));
            }
            Ok(None) => return Ok(None),
            Ok(Some(line)) => Ok(line),
            Err(error) => Err(error),
        };
        self.clock.touched = true;
        let event = match line {
            Err(error) if is_login => self.login_failed(error.into()).map(Some),
            Err(error) => self.mistake(error.into()).map(Some),
            Ok(Line {
                end: LineEnd::Lf, ..
            }) if is_login => self.login_failed(LoginFailure::BareLf).map(Some),
            Ok(Line {
                end: LineEnd::Lf, ..
            }) => self.mistake(Mistake::BareLf).map(Some),
            Ok(mut line) => {
                let event = if is_login {
                    self.response(&line.octets)
                } else {
                    self.command(&line.octets)
                };
                let all = line.octets.len();
                wipe_front(&mut line.octets, all);
                event
            }
        };
        event.map(Some)
    }

    fn command(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => return self.mistake(error.into()).map(Some),
        };
        match command {
            Command::Capa => self.capa(),
            Command::Quit => return Ok(self.quit()),
            Command::Apop { .. } | Command::Utf8 | Command::Lang(_) => {
                return self
                    .mistake(Mistake::NotOffered(command.keyword()))
                    .map(Some);
            }
            _ if self.maildrop.is_some() => return self.transaction(command),
            _ => return self.authorization(command),
        }
        Ok(None)
    }

    /// Answers a mistake, and ends the session after too many.
    pub(super) fn mistake(&mut self, mistake: Mistake) -> Result<Event, Error> {
        self.mistakes = self.mistakes.saturating_add(1);
        self.reply(&Reply::err(None, &mistake.to_string()));
        if self.mistakes > self.config.limits.mistakes {
            return Err(Error::TooManyMistakes);
        }
        Ok(Event::Mistake(mistake))
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        self.output.extend_from_slice(reply.to_string().as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    pub(super) fn redeem<C>(&mut self, pending: Pending<C>) -> Result<(), Stale> {
        self.desk.redeem(pending)?;
        self.clock.touched = true;
        Ok(())
    }
}
