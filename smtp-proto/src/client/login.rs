//! AUTH (RFC 4954).

use mail_wire::{Secret, Stale};
use sasl_core::client::{DerivedKeys, Exchange, Failure, Next};
use sasl_core::{Credentials, Mechanism, base64};

use super::{
    CommandError, Error, Event, Expected, LoginFailure, PeerError, Phase, Session, unexpected,
};
use crate::Reply;
use crate::command::{Command, InitialResponse};

#[derive(Debug)]
pub(super) struct Login {
    /// `None` once it was broken off.
    exchange: Option<Exchange>,
    /// An initial response that was too long for the command.
    kept: Option<Secret<Vec<u8>>>,
    failure: Option<LoginFailure>,
    /// The application runs the derivation.
    pub(super) deriving: bool,
}

/// RFC 5321 §4.5.3.1.4: "The maximum total length of a command line including the command word and the <CRLF> is 512 octets."
const COMMAND_LINE: usize = 512;

impl Session {
    /// Logs in.
    ///
    /// Then come [`Event::Derive`] for a SCRAM, and [`Event::LoggedIn`], [`Event::LoginRefused`] or [`Event::LoginFailed`]. To
    /// choose the mechanism: [`Policy::choose`](sasl_core::client::Policy::choose) with [`Extensions::auth`] and
    /// [`tls`](Self::tls).
    ///
    /// [`Extensions::auth`]: crate::Extensions::auth
    ///
    /// # Errors
    ///
    /// Nothing was sent: the session is not ready, the server does not offer the mechanism, or the policy does not allow it on this
    /// connection.
    pub fn login(
        &mut self,
        mechanism: Mechanism,
        credentials: Credentials,
    ) -> Result<(), CommandError> {
        self.is_ready()?;
        if self.logged_in {
            return Err(CommandError::LoggedIn);
        }
        let offered = self.extensions.auth;
        if !offered.contains(mechanism) {
            return Err(CommandError::Mechanism(mechanism));
        }
        let mut exchange = Exchange::new(
            mechanism,
            credentials,
            &offered,
            self.tls.as_deref(),
            &self.config.sasl,
            &mut self.entropy,
        )?;
        let initial = exchange.initial();
        let encoded = initial
            .as_ref()
            .map(|initial| base64::encode_initial(initial.expose_secret()));
        let fits = encoded.as_ref().is_some_and(|encoded| {
            "AUTH  \r\n".len() + mechanism.name().len() + encoded.expose_secret().len()
                <= COMMAND_LINE
        });
        // RFC 4954 §4: "If use of the initial response argument would cause the AUTH command to exceed this length, the client MUST
        // NOT use the initial response parameter (and instead proceed as defined in Section 5.1 of [SASL])."
        let command = Command::Auth {
            mechanism: mechanism.name(),
            initial: encoded
                .as_ref()
                .filter(|_| fits)
                .map(|encoded| InitialResponse(encoded.expose_secret())),
        };
        self.command(&command, Expected::Auth);
        self.phase = Phase::Login(Box::new(Login {
            exchange: Some(exchange),
            kept: if fits { None } else { initial },
            failure: None,
            deriving: false,
        }));
        Ok(())
    }

    /// Takes the keys of [`Event::Derive`].
    ///
    /// # Errors
    ///
    /// [`Stale`] where none are waited for.
    pub fn derived(&mut self, keys: DerivedKeys) -> Result<(), Stale> {
        let Phase::Login(login) = &mut self.phase else {
            return Err(Stale);
        };
        if !core::mem::take(&mut login.deriving) {
            return Err(Stale);
        }
        let next = match &mut login.exchange {
            Some(exchange) => exchange.derived(keys),
            None => Err(Failure::OutOfOrder),
        };
        self.login_step(next.map_err(LoginFailure::from));
        Ok(())
    }

    /// Takes a reply of a login in.
    pub(super) fn login_reply(&mut self, reply: Reply) -> Result<(), Error> {
        let Phase::Login(login) = &mut self.phase else {
            return Err(unexpected(Expected::Auth, reply));
        };
        if reply.is_intermediate() {
            let Some(exchange) = &mut login.exchange else {
                return Err(unexpected(Expected::Auth, reply));
            };
            let next = match challenge(&reply) {
                Err(failure) => Err(failure),
                Ok(_) if login.kept.is_some() => {
                    Ok(Next::Response(login.kept.take().unwrap_or_default()))
                }
                Ok(challenge) => exchange
                    .challenge(challenge.expose_secret())
                    .map_err(LoginFailure::from),
            };
            self.login_step(next);
            return Ok(());
        }
        let (exchange, failure) = (login.exchange.take(), login.failure.take());
        self.phase = Phase::Ready;
        let event = match (exchange, failure) {
            (Some(exchange), _) if reply.is_positive() => match exchange.succeeded(None) {
                Ok(authenticated) => {
                    self.logged_in = true;
                    Event::LoggedIn(authenticated.into_keys())
                }
                Err(failure) => return Err(PeerError::Impostor(failure).into()),
            },
            // RFC 4954 §4: to "*" the server "MUST reject the AUTH command by sending a 501 reply."
            _ if reply.is_positive() => return Err(unexpected(Expected::Auth, reply)),
            (_, Some(failure)) => Event::LoginFailed(failure),
            _ => Event::LoginRefused(reply),
        };
        self.events.push_back(event);
        Ok(())
    }

    fn login_step(&mut self, next: Result<Next, LoginFailure>) {
        let Phase::Login(login) = &mut self.phase else {
            return;
        };
        self.progress = true;
        match next {
            Ok(Next::Response(response)) => {
                let line = base64::encode(response.expose_secret());
                self.output
                    .extend_from_slice(line.expose_secret().as_bytes());
                self.output.extend_from_slice(b"\r\n");
                self.expected.push_back(Expected::Auth);
            }
            Ok(Next::Derive(derivation)) => {
                login.deriving = true;
                self.events.push_back(Event::Derive(derivation));
            }
            Err(failure) => {
                login.exchange = None;
                login.failure = Some(failure);
                // RFC 4954 §4: "If the client wishes to cancel the authentication exchange, it issues a line with a single "*"."
                self.output.extend_from_slice(b"*\r\n");
                self.expected.push_back(Expected::Auth);
            }
        }
    }
}

/// The challenge of a 334 reply.
fn challenge(reply: &Reply) -> Result<Secret<Vec<u8>>, LoginFailure> {
    match reply.lines() {
        [line] => base64::decode(line.as_bytes()).map_err(|_| LoginFailure::Base64),
        _ => Err(LoginFailure::Base64),
    }
}
