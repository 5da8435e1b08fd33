//! AUTH (RFC 4954).

use mail_wire::framing::{Line, LineEnd};
use mail_wire::wipe_front;
use sasl_core::server::{Exchange, Failure, Next};
use sasl_core::{Mechanism, base64};

use super::event::{AuthFailure, Event, Login, Mistake};
use super::{Asked, Error, Session, State, Transaction};
use crate::command::InitialResponse;
use crate::{EnhancedStatus, Reply};

impl Session {
    pub(super) fn auth(
        &mut self,
        mechanism: &str,
        initial: Option<InitialResponse<'_>>,
        transaction: Transaction,
    ) {
        let is_open = transaction.envelope().is_some();
        self.state = State::Command(transaction);
        let refusal = |code, enhanced, text: &str| Reply::certain(code, enhanced, text);
        let invalid = EnhancedStatus::INVALID_COMMAND;
        let Some(sasl) = &self.config.sasl else {
            let reply = refusal(502, invalid, "AUTH is not implemented");
            return self.mistake(Mistake::NotOffered, reply);
        };
        if !self.hello.as_ref().is_some_and(|hello| hello.is_extended) {
            let reply = refusal(503, invalid, "Say EHLO first");
            return self.mistake(Mistake::OutOfOrder, reply);
        }
        // RFC 4954 §4: "After a successful AUTH command completes, a server MUST reject any further AUTH commands with a 503 reply."
        if self.login.is_some() {
            let reply = refusal(503, invalid, "Already authenticated");
            return self.mistake(Mistake::OutOfOrder, reply);
        }
        // RFC 4954 §4: "An AUTH command issued during a mail transaction MUST be rejected with a 503 reply."
        if is_open {
            let reply = refusal(503, invalid, "AUTH cannot stand in a transaction");
            return self.mistake(Mistake::OutOfOrder, reply);
        }
        let unknown = refusal(
            504,
            EnhancedStatus::INVALID_ARGUMENTS,
            "Mechanism not offered",
        );
        let Ok(mechanism) = mechanism.to_ascii_uppercase().parse::<Mechanism>() else {
            return self.mistake(Mistake::NotOffered, unknown);
        };
        let made = Exchange::new(mechanism, sasl, self.tls.as_deref(), &mut self.entropy);
        let Ok(mut exchange) = made else {
            let is_for_tls = sasl.mechanisms.contains(mechanism) && self.tls.is_none();
            if !is_for_tls {
                return self.mistake(Mistake::NotOffered, unknown);
            }
            // RFC 4954 §6: "538 5.7.11 Encryption required for requested authentication mechanism".
            let reply = refusal(
                538,
                EnhancedStatus::ENCRYPTION_REQUIRED,
                "Encryption required for requested authentication mechanism",
            );
            return self.mistake(Mistake::NotYet, reply);
        };
        let initial = match initial.map(|initial| base64::decode_initial(initial.0.as_bytes())) {
            None => None,
            Some(Ok(octets)) => Some(octets),
            Some(Err(_)) => return self.auth_failed(AuthFailure::Encoding),
        };
        let next = exchange.start(initial.as_ref().map(|octets| &octets.expose_secret()[..]));
        self.auth_next(Box::new(exchange), next);
    }

    /// Takes a line of the client's in an exchange; `None` for one that was too long.
    pub(super) fn auth_line(&mut self, line: Option<Line>) {
        let state = core::mem::replace(&mut self.state, State::Command(Transaction::None));
        let Some(Line { mut octets, end }) = line else {
            return self.auth_failed(AuthFailure::TooLong);
        };
        let decoded = if end == LineEnd::Lf {
            Err(AuthFailure::Encoding)
        } else if octets[..] == *b"*" {
            Err(AuthFailure::Cancelled)
        } else {
            base64::decode(&octets).map_err(|_| AuthFailure::Encoding)
        };
        let length = octets.len();
        wipe_front(&mut octets, length);
        match (decoded, state) {
            (Err(failure), _) => self.auth_failed(failure),
            (Ok(response), State::Auth(mut exchange)) => {
                let next = exchange.response(response.expose_secret());
                self.auth_next(exchange, next);
            }
            (Ok(response), State::AuthLast(success)) if response.expose_secret().is_empty() => {
                self.auth_succeeded(Login {
                    authcid: success.authcid,
                    authzid: success.authzid,
                });
            }
            (Ok(_), _) => self.auth_failed(AuthFailure::Encoding),
        }
    }

    /// Goes where the exchange leads.
    pub(super) fn auth_next(&mut self, exchange: Box<Exchange>, next: Next) {
        match next {
            Next::Challenge(challenge) => {
                self.challenge(&challenge);
                self.state = State::Auth(exchange);
            }
            Next::Ask(question) => {
                self.state = State::Asked(Asked::Auth(exchange), Transaction::None);
                let pending = self.desk.open();
                self.events.push_back(Event::Auth { question, pending });
            }
            Next::Success(mut success) => match success.last.take() {
                Some(last) => {
                    self.challenge(&last);
                    self.state = State::AuthLast(Box::new(success));
                }
                None => self.auth_succeeded(Login {
                    authcid: success.authcid,
                    authzid: success.authzid,
                }),
            },
            Next::Failure(failure) => self.auth_failed(AuthFailure::Sasl(failure)),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        let text = base64::encode(challenge);
        self.say(&Reply::certain(334, None, text.expose_secret()));
    }

    fn auth_succeeded(&mut self, login: Login) {
        self.state = State::Command(Transaction::None);
        self.login = Some(login.clone());
        self.ok(
            235,
            EnhancedStatus::AUTHENTICATED,
            "Authentication succeeded",
        );
        self.events.push_back(Event::Authenticated(login));
    }

    pub(super) fn auth_failed(&mut self, failure: AuthFailure) {
        self.state = State::Command(Transaction::None);
        let (code, enhanced, text) = match &failure {
            // RFC 4954 §4: "If the server receives such a response, it MUST reject the AUTH command by sending a 501 reply."
            AuthFailure::Cancelled => (501, EnhancedStatus::SECURITY, "Authentication cancelled"),
            AuthFailure::TooLong => (
                500,
                EnhancedStatus::AUTH_LINE_TOO_LONG,
                "Authentication exchange line is too long",
            ),
            AuthFailure::Encoding => (501, EnhancedStatus::SYNTAX, "Not a line of base64"),
            AuthFailure::Sasl(failure) if failure.is_malformed() => (
                501,
                EnhancedStatus::SYNTAX,
                "Malformed authentication message",
            ),
            AuthFailure::Unavailable => (
                454,
                EnhancedStatus::TEMPORARY_SECURITY,
                "Temporary authentication failure",
            ),
            AuthFailure::Sasl(_) => (
                535,
                EnhancedStatus::CREDENTIALS_INVALID,
                "Authentication credentials invalid",
            ),
        };
        let counts = matches!(&failure, AuthFailure::Sasl(failure) if !matches!(failure, Failure::OutOfOrder));
        self.ok(code, enhanced, text);
        self.events.push_back(Event::AuthenticationFailed(failure));
        self.auth_failures += u32::from(counts);
        self.errors = self.errors.saturating_add(1);
        if self.auth_failures >= self.config.limits.auth_failures {
            self.ok(
                421,
                EnhancedStatus::TEMPORARY_SECURITY,
                "Too many failed authentications",
            );
            self.end(Some(Error::TooManyAuthentications));
        }
        self.end_if_too_many_errors();
    }
}
