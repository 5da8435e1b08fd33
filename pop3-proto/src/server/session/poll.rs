//! How a session goes on: states, commands, time limits.

use super::*;
use crate::command::InvalidCommand;

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

    fn close(&mut self) {
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

    /// Commands of the AUTHORIZATION state.
    fn authorization(&mut self, command: Command<'_>) -> Result<Option<Event>, Error> {
        let user = match &mut self.state {
            State::Authorization(user) => user.take(),
            _ => None,
        };
        match command {
            Command::User(_) | Command::Pass(_) if !self.offers_user() => self
                .mistake(Mistake::NotOffered(command.keyword()))
                .map(Some),
            Command::User(name) => match name.parse() {
                Ok(user) => {
                    // Whether there is such a user is not said.
                    self.state = State::Authorization(Some(user));
                    self.reply(&Reply::ok("send PASS"));
                    Ok(None)
                }
                Err(_) => self
                    .mistake(InvalidCommand::ExtraArgument("USER").into())
                    .map(Some),
            },
            Command::Pass(password) => match user {
                Some(user) => self.pass(user, password),
                None => self.mistake(Mistake::OutOfPlace("PASS")).map(Some),
            },
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Stls if self.offers_stls() => {
                self.reply(&Reply::ok("begin TLS"));
                self.state = State::Tls;
                Ok(None)
            }
            Command::Stls => self.mistake(Mistake::NotOffered("STLS")).map(Some),
            other => self.mistake(Mistake::OutOfPlace(other.keyword())).map(Some),
        }
    }

    /// USER and PASS are the mechanism PLAIN in other clothes.
    fn pass(&mut self, user: Identity, password: Hidden<'_>) -> Result<Option<Event>, Error> {
        let mut sasl = self.config.sasl.clone();
        sasl.mechanisms = Mechanisms::from_iter([Mechanism::Plain]);
        let message = plain::Message {
            authzid: None,
            authcid: user,
            password: Secret::new(password.expose_secret().to_owned()),
        };
        match Exchange::new(
            Mechanism::Plain,
            &sasl,
            self.tls.as_deref(),
            &mut self.entropy,
        ) {
            Ok(mut exchange) => {
                let next = exchange.start(Some(message.to_bytes().expose_secret()));
                let mechanism = None;
                self.login(
                    Box::new(Login {
                        exchange,
                        mechanism,
                    }),
                    next,
                )
            }
            Err(_) => self.mistake(Mistake::NotOffered("PASS")).map(Some),
        }
    }

    fn auth(&mut self, name: &str, initial: Option<Hidden<'_>>) -> Result<Option<Event>, Error> {
        let exchange = name.parse().ok().and_then(|mechanism| {
            Exchange::new(
                mechanism,
                &self.config.sasl,
                self.tls.as_deref(),
                &mut self.entropy,
            )
            .ok()
        });
        let Some(mut exchange) = exchange else {
            return self.mistake(Mistake::NotOffered("AUTH")).map(Some);
        };
        // RFC 5034 §4: "If the client uses an initial-response argument to the AUTH command with a SASL mechanism that does not support
        // an initial client send, the server MUST reject the AUTH command with an -ERR reply."
        if initial.is_some() && !exchange.mechanism().is_client_first() {
            return self.login_failed(LoginFailure::InitialResponse).map(Some);
        }
        let initial =
            match initial.map(|text| base64::decode_initial(text.expose_secret().as_bytes())) {
                None => None,
                Some(Ok(initial)) => Some(initial),
                Some(Err(_)) => return self.login_failed(LoginFailure::Base64).map(Some),
            };
        let next = exchange.start(initial.as_ref().map(|initial| &initial.expose_secret()[..]));
        let mechanism = Some(exchange.mechanism());
        self.login(
            Box::new(Login {
                exchange,
                mechanism,
            }),
            next,
        )
    }

    /// Takes in what a client sent inside AUTH.
    fn response(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
        // RFC 5034 §4: "If the client wishes to cancel the authentication exchange, it issues a line with a single "*"."
        if line == b"*" {
            return self.login_failed(LoginFailure::Cancelled).map(Some);
        }
        match core::mem::replace(&mut self.state, State::Authorization(None)) {
            State::AwaitResponse(mut login) => match base64::decode(line) {
                Ok(message) => {
                    let next = login.exchange.response(message.expose_secret());
                    self.login(login, next)
                }
                Err(_) => self.login_failed(LoginFailure::Base64).map(Some),
            },
            State::AwaitLast(login, success) if line.is_empty() => {
                Ok(Some(self.authenticated(&login, *success)))
            }
            _ => self.login_failed(LoginFailure::Cancelled).map(Some),
        }
    }

    /// Goes where an exchange leads.
    fn login(&mut self, login: Box<Login>, next: Next) -> Result<Option<Event>, Error> {
        match next {
            Next::Challenge(challenge) => {
                self.challenge(&challenge);
                self.state = State::AwaitResponse(login);
                Ok(None)
            }
            Next::Ask(question) => {
                self.state = State::AwaitAuth(login);
                let pending = self.desk.open();
                Ok(Some(Event::Auth { question, pending }))
            }
            Next::Success(mut success) => match success.last.take() {
                Some(last) => {
                    self.challenge(&last);
                    self.state = State::AwaitLast(login, Box::new(success));
                    Ok(None)
                }
                None => Ok(Some(self.authenticated(&login, success))),
            },
            Next::Failure(Failure::OutOfOrder) => Err(Misuse::WrongAnswer.into()),
            Next::Failure(failure) => self.login_failed(failure.into()).map(Some),
        }
    }

    fn authenticated(&mut self, login: &Login, success: Success) -> Event {
        let user = success.authzid.as_ref().unwrap_or(&success.authcid);
        self.state = State::Authenticated(user.clone());
        Event::Authenticated {
            mechanism: login.mechanism,
            authcid: success.authcid,
            authzid: success.authzid,
        }
    }

    /// A challenge: "+ " and base64, which may be empty (RFC 5034 §4).
    fn challenge(&mut self, challenge: &[u8]) {
        self.output.extend_from_slice(b"+ ");
        let text = base64::encode(challenge);
        self.output
            .extend_from_slice(text.expose_secret().as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    #[expect(clippy::unnecessary_wraps, reason = "as every other outcome of a line")]
    fn login_failed(&mut self, reason: LoginFailure) -> Result<Event, Error> {
        self.failed_logins = self.failed_logins.saturating_add(1);
        let reply = match &reason {
            LoginFailure::Sasl(failure) if !failure.is_malformed() => {
                // The same words whatever was wrong.
                Reply::err(ResponseCode::Auth, "authentication failed")
            }
            LoginFailure::Sasl(Failure::Plain(_)) => {
                Reply::err(ResponseCode::Auth, "authentication failed")
            }
            other => Reply::err(None, &other.to_string()),
        };
        self.reply(&reply);
        if self.failed_logins >= self.config.limits.failed_logins {
            self.close();
        } else {
            self.state = State::Authorization(None);
        }
        Ok(Event::AuthenticationFailed { reason })
    }

    /// Commands of the TRANSACTION state.
    fn transaction(&mut self, command: Command<'_>) -> Result<Option<Event>, Error> {
        let Some(maildrop) = &mut self.maildrop else {
            return Ok(None);
        };
        let reply = match command {
            Command::Stat => Reply::ok(&format!("{} {}", maildrop.count(), maildrop.octets())),
            Command::Noop => Reply::ok(""),
            Command::Rset => {
                maildrop.reset();
                Reply::ok("")
            }
            Command::List(None) | Command::Uidl(None) => {
                let reply = Reply::ok(&format!("{} messages", maildrop.count()));
                self.state = State::Listing {
                    unique_ids: matches!(command, Command::Uidl(_)),
                    next: 0,
                };
                reply
            }
            Command::List(Some(number)) => match maildrop.message(number.index()) {
                Some(message) => Reply::ok(&format!("{number} {}", message.size)),
                None => return Ok(Some(self.no_such_message(number))),
            },
            Command::Uidl(Some(number)) => match maildrop.message(number.index()) {
                Some(message) => Reply::ok(&format!("{number} {}", message.unique_id)),
                None => return Ok(Some(self.no_such_message(number))),
            },
            Command::Dele(number) => {
                if !maildrop.delete(number.index()) {
                    return Ok(Some(self.no_such_message(number)));
                }
                Reply::ok("")
            }
            Command::Retr(number) | Command::Top { number, .. } => {
                if maildrop.message(number.index()).is_none() {
                    return Ok(Some(self.no_such_message(number)));
                }
                let pending = self.desk.open();
                return Ok(Some(if let Command::Top { lines, .. } = command {
                    self.state = State::AwaitMessage(Some(Top::new(lines)));
                    Event::Top {
                        number,
                        lines,
                        pending,
                    }
                } else {
                    self.state = State::AwaitMessage(None);
                    Event::Retrieve { number, pending }
                }));
            }
            other => {
                return self.mistake(Mistake::OutOfPlace(other.keyword())).map(Some);
            }
        };
        self.reply(&reply);
        Ok(None)
    }

    fn quit(&mut self) -> Option<Event> {
        let Some(maildrop) = self.maildrop.take() else {
            self.reply(&Reply::ok("bye"));
            self.close();
            return None;
        };
        // RFC 1939 §6: "When the client issues the QUIT command from the TRANSACTION state, the POP3 session enters the UPDATE state."
        self.state = State::AwaitUpdate;
        Some(Event::Update {
            deletes: maildrop
                .deleted()
                .filter_map(MessageNumber::from_index)
                .collect(),
            pending: self.desk.open(),
        })
    }

    /// Writes lines of LIST or UIDL while there is room.
    fn list(&mut self) {
        let (State::Listing { unique_ids, next }, Some(maildrop)) =
            (&mut self.state, &self.maildrop)
        else {
            return;
        };
        while self.output.len() < Room::LOW_WATER {
            let Some((index, message)) = maildrop.next_from(*next) else {
                self.output.extend_from_slice(b".\r\n");
                self.state = State::Transaction;
                return;
            };
            *next = index + 1;
            let line = if *unique_ids {
                format!("{} {}\r\n", index + 1, message.unique_id)
            } else {
                format!("{} {}\r\n", index + 1, message.size)
            };
            self.output.extend_from_slice(line.as_bytes());
        }
    }

    fn capa(&mut self) {
        let offered = self.config.sasl.offered(self.tls.as_deref());
        let mut capabilities = vec![
            Capability::Top,
            Capability::Uidl,
            Capability::RespCodes,
            Capability::AuthRespCode,
            Capability::Pipelining,
        ];
        if self.offers_user() {
            capabilities.push(Capability::User);
        }
        if !offered.is_empty() {
            capabilities.push(Capability::Sasl(offered));
        }
        // RFC 2595 §4: the capability STLS is for the AUTHORIZATION state.
        if self.offers_stls() && self.maildrop.is_none() {
            capabilities.push(Capability::Stls);
        }
        self.reply(&Reply::ok("capability list follows"));
        for capability in capabilities.iter().chain(&self.config.capabilities) {
            self.output
                .extend_from_slice(capability.to_string().as_bytes());
            self.output.extend_from_slice(b"\r\n");
        }
        self.output.extend_from_slice(b".\r\n");
    }

    fn offers_user(&self) -> bool {
        self.config.user_pass && self.config.sasl.plaintext.allows(self.tls.is_some())
    }

    fn offers_stls(&self) -> bool {
        self.config.stls && self.tls.is_none()
    }

    fn no_such_message(&mut self, number: MessageNumber) -> Event {
        let mistake = Mistake::NoSuchMessage(number);
        self.reply(&Reply::err(None, &mistake.to_string()));
        Event::Mistake(mistake)
    }

    /// Answers a mistake, and ends the session after too many.
    fn mistake(&mut self, mistake: Mistake) -> Result<Event, Error> {
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

    pub(super) fn answer_auth(
        &mut self,
        pending: Pending<kind::Auth>,
        answer: impl FnOnce(&mut Exchange) -> Next,
    ) -> Result<(), Stale> {
        self.redeem(pending)?;
        match core::mem::replace(&mut self.state, State::Authorization(None)) {
            State::AwaitAuth(mut login) => {
                let next = answer(&mut login.exchange);
                self.state = State::Answered(login, Box::new(next));
                Ok(())
            }
            other => {
                self.state = other;
                Err(Stale)
            }
        }
    }

    /// Writes the end of a message of which all that is wanted was given.
    pub(super) fn finish_when_complete(&mut self) {
        let State::Sending(sending) = &self.state else {
            return;
        };
        let is_cut = sending.top.as_ref().is_some_and(Top::is_done);
        if !is_cut && !sending.room.is_complete() {
            return;
        }
        let stream = sending.stream;
        if let State::Sending(sending) = core::mem::replace(&mut self.state, State::Sent(stream)) {
            let finished = sending.encoder.finish(&mut self.output);
            debug_assert!(finished.is_ok(), "Normalise bears every line end");
        }
    }
}
