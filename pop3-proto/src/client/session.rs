//! The session itself: its commands. How answers are read stands in `reading`.

use std::collections::VecDeque;

use bytes::BytesMut;
use mail_wire::framing::LineFramer;
use mail_wire::{Desk, Pending, Secret, Stale, Time, TlsInfo};
use sasl_core::client::{DerivedKeys, Exchange, Failure, Next};
use sasl_core::{Credentials, Entropy, Identity, Mechanisms, base64};

use super::Config;
use super::event::{CommandId, Error, LoginFailure, NotQueued, kind};
use super::reading::Reading;
use crate::capability::Capability;
use crate::command::{Command, Hidden, MessageNumber};

/// One connection to a POP3 server, seen from the client.
///
/// Commands queue; they are sent one by one or, once the server has said `PIPELINING`, together, but nothing is sent behind a login,
/// CAPA, STLS or QUIT before its answer is there.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Config,
    pub(super) entropy: Entropy,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) lines: LineFramer,
    pub(super) desk: Desk,
    pub(super) reading: Reading,
    pub(super) tls: Option<Box<TlsInfo>>,
    pub(super) capabilities: Vec<Capability>,
    pub(super) unsent: VecDeque<Queued>,
    pub(super) unanswered: VecDeque<Sent>,
    pub(super) last_id: u64,
    pub(super) quitting: bool,
    pub(super) failure: Option<Error>,
    pub(super) ended: bool,
    pub(super) since: Option<Time>,
    /// Something happened since the last poll.
    pub(super) touched: bool,
}

/// A command that was not sent yet.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) line: Secret<Vec<u8>>,
    pub(super) sent: Sent,
}

/// A command whose answer is awaited.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: CommandId,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Capa,
    Stls,
    Auth(Box<Login>),
    /// USER, with the line of PASS.
    User(Secret<Vec<u8>>),
    Pass,
    Stat,
    List(Option<MessageNumber>),
    Uidl(Option<MessageNumber>),
    Message,
    /// DELE, NOOP, RSET: nothing but a reply.
    Plain,
    Quit,
}

#[derive(Debug)]
pub(super) struct Login {
    pub(super) exchange: Exchange,
    /// The initial response where it did not fit beside AUTH.
    pub(super) initial: Option<Secret<Vec<u8>>>,
    /// Why `*` was sent.
    pub(super) broken_off: Option<LoginFailure>,
}

impl Kind {
    /// Whether nothing may be sent before and behind it until it is answered.
    pub(super) const fn is_alone(&self) -> bool {
        matches!(
            self,
            Self::Capa | Self::Stls | Self::Auth(_) | Self::User(_) | Self::Pass | Self::Quit
        )
    }
}

impl Session {
    /// A session that awaits the greeting, with randomness of its own: 32 octets for each connection.
    #[must_use]
    pub fn new(config: Config, entropy: Entropy) -> Self {
        Self {
            config,
            entropy,
            input: BytesMut::new(),
            output: BytesMut::new(),
            lines: LineFramer::default(),
            desk: Desk::new(),
            reading: Reading::Greeting,
            tls: None,
            capabilities: Vec::new(),
            unsent: VecDeque::new(),
            unanswered: VecDeque::new(),
            last_id: 0,
            quitting: false,
            failure: None,
            ended: false,
            since: None,
            touched: false,
        }
    }

    /// What is known of TLS, where it stands.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// What the server said last that it can do; nothing after STLS, until it is asked anew.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// CAPA. As for every command, the answer is an event with this id.
    ///
    /// # Errors
    ///
    /// [`NotQueued`]; as for every command, nothing is sent then.
    pub fn capa(&mut self) -> Result<CommandId, NotQueued> {
        self.command(Command::Capa, Kind::Capa)
    }

    /// STLS. Commands behind it are sent under TLS.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn stls(&mut self) -> Result<CommandId, NotQueued> {
        if self.tls.is_some() {
            return Err(NotQueued::TlsStands);
        }
        self.command(Command::Stls, Kind::Stls)
    }

    /// AUTH, by the strongest mechanism that the server's capabilities and the policy have in common.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn auth(&mut self, credentials: Credentials) -> Result<CommandId, NotQueued> {
        let offered = self.offered();
        let policy = &self.config.sasl;
        let tls = self.tls.as_deref();
        let mechanism = policy.choose(&offered, tls).ok_or(NotQueued::NoMechanism)?;
        let mut exchange = Exchange::new(
            mechanism,
            credentials,
            &offered,
            tls,
            policy,
            &mut self.entropy,
        )?;
        let initial = exchange.initial();
        let text = initial
            .as_ref()
            .map(|initial| base64::encode_initial(initial.expose_secret()));
        let mut line = BytesMut::new();
        // RFC 5034 §4: where the line would be longer than 255 octets, the initial response waits for the server's empty challenge.
        let fits = text.as_ref().is_some_and(|text| {
            "AUTH ".len() + mechanism.name().len() + " \r\n".len() + text.expose_secret().len()
                <= 255
        });
        Command::Auth {
            mechanism: mechanism.name(),
            initial: text
                .as_ref()
                .filter(|_| fits)
                .map(|text| Hidden::new(text.expose_secret())),
        }
        .write(&mut line)?;
        let login = Login {
            exchange,
            initial: initial.filter(|_| !fits),
            broken_off: None,
        };
        self.queue(line, Kind::Auth(Box::new(login)))
    }

    /// USER, then PASS; one command with one answer.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn user_pass(
        &mut self,
        user: &Identity,
        password: &Secret<String>,
    ) -> Result<CommandId, NotQueued> {
        if !self.config.sasl.plaintext.allows(self.tls.is_some()) {
            return Err(NotQueued::Plaintext);
        }
        let (mut line, mut pass) = (BytesMut::new(), BytesMut::new());
        Command::User(user.as_str()).write(&mut line)?;
        Command::Pass(Hidden::new(password.expose_secret())).write(&mut pass)?;
        self.queue(line, Kind::User(secret(pass)))
    }

    /// STAT.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn stat(&mut self) -> Result<CommandId, NotQueued> {
        self.command(Command::Stat, Kind::Stat)
    }

    /// LIST, of one message or of all.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn list(&mut self, number: Option<MessageNumber>) -> Result<CommandId, NotQueued> {
        self.command(Command::List(number), Kind::List(number))
    }

    /// UIDL, of one message or of all.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn uidl(&mut self, number: Option<MessageNumber>) -> Result<CommandId, NotQueued> {
        self.command(Command::Uidl(number), Kind::Uidl(number))
    }

    /// RETR.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn retr(&mut self, number: MessageNumber) -> Result<CommandId, NotQueued> {
        self.command(Command::Retr(number), Kind::Message)
    }

    /// TOP: the header and so many lines of the body.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn top(&mut self, number: MessageNumber, lines: u32) -> Result<CommandId, NotQueued> {
        self.command(Command::Top { number, lines }, Kind::Message)
    }

    /// DELE. Nothing is deleted before QUIT.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn dele(&mut self, number: MessageNumber) -> Result<CommandId, NotQueued> {
        self.command(Command::Dele(number), Kind::Plain)
    }

    /// RSET.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn rset(&mut self) -> Result<CommandId, NotQueued> {
        self.command(Command::Rset, Kind::Plain)
    }

    /// NOOP.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn noop(&mut self) -> Result<CommandId, NotQueued> {
        self.command(Command::Noop, Kind::Plain)
    }

    /// QUIT; no command goes behind it.
    ///
    /// # Errors
    ///
    /// [`NotQueued`].
    pub fn quit(&mut self) -> Result<CommandId, NotQueued> {
        let id = self.command(Command::Quit, Kind::Quit)?;
        self.quitting = true;
        Ok(id)
    }

    /// Gives the keys of a derivation.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn derived(
        &mut self,
        pending: Pending<kind::Derive>,
        keys: DerivedKeys,
    ) -> Result<(), Stale> {
        self.desk.redeem(pending)?;
        self.touched = true;
        let Some(Sent {
            kind: Kind::Auth(login),
            ..
        }) = self.unanswered.front_mut()
        else {
            return Err(Stale);
        };
        match login.exchange.derived(keys) {
            Ok(Next::Response(response)) => self.respond(&response),
            Ok(Next::Derive(_)) => self.break_off(Failure::OutOfOrder.into()),
            Err(failure) => self.break_off(failure.into()),
        }
        Ok(())
    }

    /// The mechanisms of the server's capabilities.
    fn offered(&self) -> Mechanisms {
        self.capabilities
            .iter()
            .find_map(|capability| match capability {
                Capability::Sasl(mechanisms) => Some(*mechanisms),
                _ => None,
            })
            .unwrap_or(Mechanisms::NONE)
    }

    fn command(&mut self, command: Command<'_>, kind: Kind) -> Result<CommandId, NotQueued> {
        let mut line = BytesMut::new();
        command.write(&mut line)?;
        self.queue(line, kind)
    }

    fn queue(&mut self, line: BytesMut, kind: Kind) -> Result<CommandId, NotQueued> {
        let line = secret(line);
        if self.quitting || self.failure.is_some() || matches!(self.reading, Reading::Closed) {
            return Err(NotQueued::Over);
        }
        if self.unsent.len() + self.unanswered.len() >= self.config.limits.commands {
            return Err(NotQueued::Full);
        }
        self.last_id += 1;
        let id = CommandId(self.last_id);
        self.touched = true;
        let sent = Sent { id, kind };
        self.unsent.push_back(Queued { line, sent });
        Ok(id)
    }

    /// Sends a message of the exchange.
    pub(super) fn respond(&mut self, response: &Secret<Vec<u8>>) {
        let text = base64::encode(response.expose_secret());
        self.output
            .extend_from_slice(text.expose_secret().as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// Takes a login back; the server's -ERR follows.
    pub(super) fn break_off(&mut self, failure: LoginFailure) {
        if let Some(Sent {
            kind: Kind::Auth(login),
            ..
        }) = self.unanswered.front_mut()
        {
            login.broken_off = Some(failure);
        }
        self.output.extend_from_slice(b"*\r\n");
    }
}

/// Moves a line into memory that is wiped.
fn secret(mut line: BytesMut) -> Secret<Vec<u8>> {
    let secret = Secret::new(line.to_vec());
    let all = line.len();
    mail_wire::wipe_front(&mut line, all);
    secret
}
