//! The AUTHORIZATION state: STLS and logins.

use mail_wire::{Pending, Secret, Stale};
use sasl_core::server::{Exchange, Failure, Next, Success};
use sasl_core::{Identity, Mechanism, Mechanisms, base64, plain};

use super::{Login, Session, State};
use crate::command::{Command, Hidden, InvalidCommand};
use crate::reply::{Reply, ResponseCode};
use crate::server::event::{Error, Event, LoginFailure, Mistake, Misuse, kind};

impl Session {
    /// Commands of the AUTHORIZATION state.
    pub(super) fn authorization(&mut self, command: Command<'_>) -> Result<Option<Event>, Error> {
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
    pub(super) fn response(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
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
    pub(super) fn login(&mut self, login: Box<Login>, next: Next) -> Result<Option<Event>, Error> {
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
    pub(super) fn login_failed(&mut self, reason: LoginFailure) -> Result<Event, Error> {
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

    pub(super) fn offers_user(&self) -> bool {
        self.config.user_pass && self.config.sasl.plaintext.allows(self.tls.is_some())
    }

    pub(super) fn offers_stls(&self) -> bool {
        self.config.stls && self.tls.is_none()
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
}
