//! What the server does with each command.

use mail_syntax::Host;
use sasl_core::Mechanisms;

use super::body::{Discard, Refusal};
use super::event::{Abort, Envelope, Event, Hello, Mistake, Recipient};
use super::{Asked, Error, Role, Session, StartTls, State, Transaction};
use crate::command::CommandErrorCause;
use crate::parameters::BodyType;
use crate::{
    Command, EnhancedStatus, Extensions, MailParameters, RcptParameters, Reply,
    extension::TransactionLimits,
};

impl Session {
    pub(super) fn command(&mut self, line: &[u8]) {
        if self.hello.is_none() && is_http(line) {
            self.ok(421, EnhancedStatus::TEMPORARY_SECURITY, "This is SMTP");
            self.end(Some(Error::CrossProtocol));
            return;
        }
        let parsed = Command::parse(line);
        self.did_not_wait |= !self.input.is_empty() && self.must_wait(parsed.as_ref().ok());
        match core::mem::replace(&mut self.state, State::Over(None)) {
            State::Command(transaction) => match parsed {
                Ok(command) => {
                    self.obey(command, transaction);
                    self.end_if_too_many_errors();
                }
                Err(error) => {
                    self.state = State::Command(transaction);
                    self.mistake(mistake(&error.cause, line), error.reply());
                    if is_bdat(line) {
                        self.end_at_chunk();
                    }
                }
            },
            State::TurnedAway => {
                self.state = State::TurnedAway;
                if matches!(parsed, Ok(Command::Quit)) {
                    return self.quit(&Transaction::None);
                }
                // RFC 5321 §3.1: a server that said 554 "MUST still wait for the client to send a QUIT (see Section 4.1.1.10) before
                // closing the connection and SHOULD respond to any intervening commands with "503 bad sequence of commands"."
                self.mistake(
                    Mistake::TurnedAway,
                    Reply::certain(
                        503,
                        EnhancedStatus::INVALID_COMMAND,
                        "No service here: say QUIT",
                    ),
                );
                if is_bdat(line) {
                    self.end_at_chunk();
                }
            }
            other => self.state = other,
        }
    }

    fn obey(&mut self, command: Command<'_>, transaction: Transaction) {
        if self.config.start_tls == StartTls::Required
            && self.tls.is_none()
            && !matches!(
                command,
                Command::Ehlo(_)
                    | Command::Lhlo(_)
                    | Command::Helo(_)
                    | Command::Noop(_)
                    | Command::StartTls
                    | Command::Quit
                    | Command::Rset
            )
        {
            // RFC 3207 §4: "530 Must issue a STARTTLS command first"
            let reply = Reply::certain(
                530,
                EnhancedStatus::SECURITY,
                "Must issue a STARTTLS command first",
            );
            return self.refuse_command(&command, transaction, Mistake::NotYet, reply);
        }
        if Self::is_idle(&command) {
            self.idle_commands = self.idle_commands.saturating_add(1);
            if self.idle_commands > self.config.limits.idle_commands {
                self.errors = self.errors.saturating_add(1);
            }
        }
        match command {
            Command::Ehlo(host) => self.greet(host, Greeting::Ehlo, transaction),
            Command::Helo(host) => self.greet(host, Greeting::Helo, transaction),
            Command::Lhlo(host) => self.greet(host, Greeting::Lhlo, transaction),
            Command::Mail {
                reverse_path,
                parameters,
            } => {
                if let Some((cause, reply)) = self.refuses_mail(&parameters, &transaction) {
                    self.state = State::Command(transaction);
                    return self.mistake(cause, reply);
                }
                let envelope = Envelope {
                    reverse_path: reverse_path.clone(),
                    parameters: parameters.clone(),
                    recipients: Vec::new(),
                };
                self.state = State::Asked(Asked::Mail(Box::new(envelope)), Transaction::None);
                let pending = self.desk.open();
                self.events.push_back(Event::Mail {
                    reverse_path,
                    parameters,
                    pending,
                });
            }
            Command::Rcpt {
                forward_path,
                parameters,
            } => {
                let is_ascii = forward_path
                    .mailbox()
                    .is_none_or(|mailbox| mailbox.is_ascii());
                if let Some((cause, reply)) = self.refuses_rcpt(is_ascii, &parameters, &transaction)
                {
                    self.state = State::Command(transaction);
                    return self.mistake(cause, reply);
                }
                let recipient = Recipient {
                    forward_path: forward_path.clone(),
                    parameters: parameters.clone(),
                };
                self.state = State::Asked(Asked::Rcpt(recipient), transaction);
                let pending = self.desk.open();
                self.events.push_back(Event::Rcpt {
                    forward_path,
                    parameters,
                    pending,
                });
            }
            Command::Data => {
                if let Some(reply) = self.refuses_data(&transaction) {
                    self.state = State::Command(transaction);
                    return self.mistake(Mistake::OutOfOrder, reply);
                }
                self.state = State::Asked(Asked::Data, transaction);
                let pending = self.desk.open();
                self.events.push_back(Event::Data(pending));
            }
            Command::Bdat { size, last } => self.chunk(size, last, transaction),
            Command::Rset => {
                self.abort(&transaction, Abort::Reset);
                self.state = State::Command(Transaction::None);
                self.ok(250, EnhancedStatus::OK, "OK");
            }
            Command::Noop(_) => {
                self.state = State::Command(transaction);
                self.ok(250, EnhancedStatus::OK, "OK");
            }
            Command::Vrfy(string) if self.config.vrfy => {
                self.state = State::Asked(Asked::Vrfy, transaction);
                let pending = self.desk.open();
                self.events.push_back(Event::Vrfy {
                    string: string.to_owned(),
                    pending,
                });
            }
            Command::Vrfy(_) => {
                self.state = State::Command(transaction);
                self.ok(252, EnhancedStatus::OK, VRFY_UNKNOWN);
            }
            Command::Expn(_) => {
                let reply = Reply::certain(
                    502,
                    EnhancedStatus::INVALID_COMMAND,
                    "EXPN is not implemented",
                );
                self.refuse_command(&command, transaction, Mistake::NotOffered, reply);
            }
            Command::Help(_) => {
                self.state = State::Command(transaction);
                self.ok(214, EnhancedStatus::OK, "See RFC 5321");
            }
            Command::Quit => self.quit(&transaction),
            Command::StartTls => self.start_tls(transaction),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial, transaction),
        }
    }

    /// Refuses a command; the octets of a chunk are consumed.
    fn refuse_command(
        &mut self,
        command: &Command<'_>,
        transaction: Transaction,
        cause: Mistake,
        reply: Reply,
    ) {
        if let Command::Bdat { size, .. } = command {
            self.refuse_chunk(*size, transaction, Refusal::Mistake(cause, reply));
        } else {
            self.state = State::Command(transaction);
            self.mistake(cause, reply);
        }
    }

    /// Refuses a chunk. The transaction is lost.
    ///
    /// RFC 3030 §2: "If a failure occurs after a BDAT command is received, the receiver-SMTP MUST accept and discard the associated
    /// message data before sending the appropriate 5XX or 4XX code."
    pub(super) fn refuse_chunk(&mut self, size: u64, transaction: Transaction, refusal: Refusal) {
        let why = match &refusal {
            Refusal::Wanted(reply) | Refusal::Mistake(_, reply) => reply.clone(),
            Refusal::Silent => self.no_recipients(),
        };
        self.abort(&transaction, Abort::Refused(why));
        if size > self.config.limits.discard {
            self.state = State::Command(Transaction::None);
            self.refuse(refusal);
            self.end(Some(Error::TooMuchToDiscard));
        } else {
            self.state = State::Discard(Discard::new(size, refusal));
        }
    }

    /// Whether nothing may come behind a command, or behind what is none, before its reply.
    fn must_wait(&self, command: Option<&Command<'_>>) -> bool {
        // RFC 5321 §4.3.1: "Unless other arrangements are negotiated through service extensions, the sender MUST wait for this response
        // before sending further commands."
        if !self.hello.as_ref().is_some_and(|hello| hello.is_extended) {
            return true;
        }
        // RFC 2920 §3.1: "The EHLO, DATA, VRFY, EXPN, TURN, QUIT, and NOOP commands can only appear as the last command in a group since
        // their success or failure produces a change of state which the client SMTP must accommodate."
        // RFC 4954 §4: "When the AUTH command is used together with the [PIPELINING] extension, it MUST be the last command in a
        // pipelined group of commands.  The only exception to this rule is when the AUTH command contains an initial response".
        // RFC 3207 §4: "If the SMTP client is using pipelining as defined in RFC 2920, the STARTTLS command must be the last command in
        // a group."
        matches!(
            command,
            Some(
                Command::Ehlo(_)
                    | Command::Helo(_)
                    | Command::Lhlo(_)
                    | Command::Data
                    | Command::Vrfy(_)
                    | Command::Expn(_)
                    | Command::Quit
                    | Command::Noop(_)
                    | Command::Auth { initial: None, .. }
                    | Command::StartTls
            )
        )
    }

    const fn is_idle(command: &Command<'_>) -> bool {
        matches!(
            command,
            Command::Ehlo(_)
                | Command::Helo(_)
                | Command::Lhlo(_)
                | Command::Rset
                | Command::Noop(_)
                | Command::Vrfy(_)
                | Command::Expn(_)
                | Command::Help(_)
        )
    }

    fn greet(&mut self, host: Host, greeting: Greeting, transaction: Transaction) {
        let is_lmtp = self.config.role == Role::Lmtp;
        if is_lmtp != (greeting == Greeting::Lhlo) {
            self.state = State::Command(transaction);
            // RFC 2033 §4.1: "The HELO and EHLO commands of ESMTP are replaced by the LHLO command."
            let text = if is_lmtp {
                "This is LMTP: say LHLO"
            } else {
                "This is SMTP: say EHLO"
            };
            let reply = Reply::certain(500, EnhancedStatus::INVALID_COMMAND, text);
            return self.mistake(Mistake::NotOffered, reply);
        }
        // RFC 5321 §4.1.4: "If it is issued after the session begins and the EHLO command is acceptable to the SMTP server, the SMTP
        // server MUST clear all buffers and reset the state exactly as if a RSET command had been issued."
        self.abort(&transaction, Abort::Reset);
        let hello = Hello {
            host,
            is_extended: greeting != Greeting::Helo,
        };
        self.state = State::Asked(Asked::Hello(hello.clone()), Transaction::None);
        let pending = self.desk.open();
        self.events.push_back(Event::Hello { hello, pending });
    }

    /// What is offered now.
    pub(super) fn extensions(&self) -> Extensions {
        let config = &self.config;
        let tls = self.tls();
        Extensions {
            pipelining: true,
            size: Some(config.limits.message),
            eight_bit_mime: true,
            smtputf8: config.smtputf8,
            start_tls: config.start_tls != StartTls::Unavailable && tls.is_none(),
            auth: match &config.sasl {
                Some(sasl) if !self.needs_tls() => sasl.offered(tls),
                _ => Mechanisms::NONE,
            },
            dsn: config.dsn,
            enhanced_status_codes: true,
            chunking: config.chunking,
            binary_mime: config.chunking && config.binary_mime,
            require_tls: config.require_tls && tls.is_some(),
            limits: Some(TransactionLimits {
                rcpt_max: u32::try_from(config.limits.recipients)
                    .ok()
                    .filter(|most| (1..=999_999).contains(most)),
                ..TransactionLimits::default()
            }),
            other: Vec::new(),
        }
    }

    fn needs_tls(&self) -> bool {
        self.config.start_tls == StartTls::Required && self.tls.is_none()
    }

    fn refuses_mail(
        &self,
        parameters: &MailParameters,
        transaction: &Transaction,
    ) -> Option<(Mistake, Reply)> {
        let reply =
            |cause, code, enhanced, text: &str| Some((cause, Reply::certain(code, enhanced, text)));
        let Some(hello) = &self.hello else {
            return reply(
                Mistake::OutOfOrder,
                503,
                EnhancedStatus::INVALID_COMMAND,
                "Say EHLO first",
            );
        };
        if transaction.envelope().is_some() {
            return reply(
                Mistake::OutOfOrder,
                503,
                EnhancedStatus::INVALID_COMMAND,
                "A transaction is open already",
            );
        }
        if self.config.role == Role::Submission && self.login.is_none() {
            // RFC 6409 §4.3: "The MSA MUST, by default, issue an error response to the MAIL command if the session has not been
            // authenticated using [SMTP-AUTH]".
            return reply(
                Mistake::NotYet,
                530,
                EnhancedStatus::SECURITY,
                "Authentication required",
            );
        }
        let offered = self.extensions();
        let extended = hello.is_extended;
        let unknown = [
            (parameters.size.is_some(), extended, "SIZE"),
            (parameters.body.is_some(), extended, "BODY"),
            (
                parameters.smtputf8,
                extended && offered.smtputf8,
                "SMTPUTF8",
            ),
            (
                parameters.auth.is_some(),
                extended && self.config.sasl.is_some(),
                "AUTH",
            ),
            (parameters.ret.is_some(), extended && offered.dsn, "RET"),
            (parameters.envid.is_some(), extended && offered.dsn, "ENVID"),
            (
                parameters.require_tls,
                extended && offered.require_tls,
                "REQUIRETLS",
            ),
            (
                parameters.body == Some(BodyType::BinaryMime),
                offered.binary_mime,
                "BODY=BINARYMIME",
            ),
        ];
        if let Some((.., name)) = unknown
            .iter()
            .find(|(given, offered, _)| *given && !offered)
        {
            let text = format!("{name} is not offered");
            return reply(
                Mistake::NotOffered,
                555,
                EnhancedStatus::INVALID_ARGUMENTS,
                &text,
            );
        }
        // RFC 1870 §6.1: "If the indicated size is larger than the server's fixed maximum message size, the server responds with
        // code "552 message size exceeds fixed maximium message size"." (spelt so there).
        if parameters
            .size
            .is_some_and(|size| size > self.config.limits.message)
        {
            return reply(
                Mistake::TooMuch,
                552,
                EnhancedStatus::TOO_BIG,
                "Message size exceeds fixed maximum message size",
            );
        }
        None
    }

    fn refuses_rcpt(
        &self,
        is_ascii: bool,
        parameters: &RcptParameters,
        transaction: &Transaction,
    ) -> Option<(Mistake, Reply)> {
        let reply =
            |cause, code, enhanced, text: &str| Some((cause, Reply::certain(code, enhanced, text)));
        let Transaction::Open(envelope) = transaction else {
            return reply(
                Mistake::OutOfOrder,
                503,
                EnhancedStatus::INVALID_COMMAND,
                "Say MAIL first",
            );
        };
        if !is_ascii && !envelope.parameters.smtputf8 {
            // RFC 6531 §3.5: "When messages are rejected because the RCPT command requires an ASCII address, the reply-code 553 is
            // returned"
            return reply(
                Mistake::Syntax,
                553,
                EnhancedStatus::NON_ASCII_ADDRESS,
                "The mailbox needs SMTPUTF8",
            );
        }
        if (parameters.notify.is_some() || parameters.orcpt.is_some()) && !self.config.dsn {
            return reply(
                Mistake::NotOffered,
                555,
                EnhancedStatus::INVALID_ARGUMENTS,
                "DSN is not offered",
            );
        }
        if envelope.recipients.len() >= self.config.limits.recipients {
            // RFC 5321 §4.5.3.1.10: "The correct reply code for this condition is 452."
            return reply(
                Mistake::TooMuch,
                452,
                EnhancedStatus::TOO_MANY_RECIPIENTS,
                "Too many recipients",
            );
        }
        None
    }

    /// Why no message can come now, by DATA.
    fn refuses_data(&self, transaction: &Transaction) -> Option<Reply> {
        let reply =
            |code, text: &str| Some(Reply::certain(code, EnhancedStatus::INVALID_COMMAND, text));
        match transaction {
            Transaction::None => reply(503, "Say MAIL first"),
            // RFC 3030 §2: "If a DATA statement is issued after a BDAT for the current transaction, a 503 "Bad sequence of
            // commands" MUST be issued."
            Transaction::Chunks(_) => reply(503, "DATA cannot follow BDAT"),
            Transaction::Open(envelope) if envelope.recipients.is_empty() => {
                Some(self.no_recipients())
            }
            Transaction::Open(envelope)
                if envelope.parameters.body == Some(BodyType::BinaryMime) =>
            {
                reply(503, "BINARYMIME needs BDAT")
            }
            Transaction::Open(_) => None,
        }
    }

    pub(super) fn no_recipients(&self) -> Reply {
        // RFC 2033 §4.2: "when there have been no successful RCPT commands in the mail transaction, the DATA command MUST fail with
        // a 503 reply code."
        let code = if self.config.role == Role::Lmtp {
            503
        } else {
            554
        };
        Reply::certain(code, EnhancedStatus::INVALID_COMMAND, "No valid recipients")
    }

    fn quit(&mut self, transaction: &Transaction) {
        self.abort(transaction, Abort::Quit);
        let text = format!("{} closes the connection", self.config.hostname);
        self.ok(221, EnhancedStatus::OK, &text);
        self.end(None);
    }

    fn start_tls(&mut self, transaction: Transaction) {
        let refusal = match self.config.start_tls {
            _ if self.tls.is_some() => Some((Mistake::OutOfOrder, 503, "TLS is there already")),
            StartTls::Unavailable => {
                Some((Mistake::NotOffered, 502, "STARTTLS is not implemented"))
            }
            _ if self.hello.is_none() => Some((Mistake::OutOfOrder, 503, "Say EHLO first")),
            _ => None,
        };
        if let Some((cause, code, text)) = refusal {
            self.state = State::Command(transaction);
            let reply = Reply::certain(code, EnhancedStatus::INVALID_COMMAND, text);
            return self.mistake(cause, reply);
        }
        self.abort(&transaction, Abort::StartTls);
        self.ok(220, EnhancedStatus::OK, "Ready to start TLS");
        self.state = State::StartTls;
    }
}

pub(super) const VRFY_UNKNOWN: &str =
    "Cannot VRFY user, but will accept message and attempt delivery";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Ehlo,
    Helo,
    Lhlo,
}

/// Whether a line is a BDAT command, be it malformed.
pub(super) fn is_bdat(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"))
}

/// What is wrong with a line that is no command.
fn mistake(error: &CommandErrorCause, line: &[u8]) -> Mistake {
    match error {
        CommandErrorCause::Character if line.contains(&b'\r') => Mistake::BareNewline,
        CommandErrorCause::UnknownVerb | CommandErrorCause::Character if is_foreign(line) => {
            Mistake::ForeignCommand
        }
        CommandErrorCause::UnknownVerb => Mistake::UnknownCommand,
        CommandErrorCause::UnknownParameter(_) => Mistake::NotOffered,
        _ => Mistake::Syntax,
    }
}

/// Whether a line that is no command cannot be meant as one: HTTP, a field of a header, or no word. An empty line is a mistake only.
fn is_foreign(line: &[u8]) -> bool {
    let verb = line.split(|octet| *octet == b' ').next();
    match verb.unwrap_or_default() {
        [] => false,
        [first, ..] if !first.is_ascii_alphabetic() => true,
        verb => verb.ends_with(b":") || is_http(line),
    }
}

/// Whether a line is the first of a request in HTTP.
fn is_http(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 10] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"OPTIONS ",
        b"CONNECT ",
        b"PATCH ",
        b"DELETE ",
        b"TRACE ",
        b"PRI ",
    ];
    METHODS.iter().any(|method| line.starts_with(method))
}
