//! The answers of the application.

use mail_wire::{Pending, Stale};
use sasl_core::StoredKeys;
use sasl_core::server::{Exchange, Next};

use super::body::{Refusal, Transfer};
use super::commands::VRFY_UNKNOWN;
use super::event::{Abort, AuthFailure, Envelope, asked};
use super::{Asked, Role, Session, State, Transaction};
use crate::{EnhancedStatus, Reply};

/// An answer that could not be given as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It came too late, or for another session. Nothing was changed.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The reply's code says the contrary of the method. The client was told 451 instead.
    #[error("the reply {0} does not go with the method: accept with 2yz, reject with 4yz or 5yz")]
    WrongClass(u16),
    /// Not one reply for each recipient. Those without one were told 451, or the rest was left out.
    #[error("{given} replies for {recipients} recipients")]
    Count {
        /// The replies given.
        given: usize,
        /// The recipients of the transaction.
        recipients: usize,
    },
}

impl Session {
    /// Says yes, in the session's own words: 220, 250, 252, or 354 to DATA.
    ///
    /// # Errors
    ///
    /// [`Stale`] for a token of another session or of a question that is no longer open.
    pub fn accept<C: asked::Decision>(&mut self, pending: Pending<C>) -> Result<(), Stale> {
        self.desk.redeem(pending)?;
        self.accepted(None);
        Ok(())
    }

    /// Says yes, in words of the application's. To Hello they stand behind the server's name, to DATA (354) they are not said.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), and for a reply that is not 2yz.
    pub fn accept_with<C: asked::Decision>(
        &mut self,
        pending: Pending<C>,
        reply: Reply,
    ) -> Result<(), AnswerError> {
        self.desk.redeem(pending)?;
        if reply.is_positive() {
            self.accepted(Some(reply));
            return Ok(());
        }
        self.rejected(&failed());
        Err(AnswerError::WrongClass(reply.code()))
    }

    /// Says no. With 421 the session is over.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), and for a reply that is neither 4yz nor 5yz.
    pub fn reject<C: asked::Decision>(
        &mut self,
        pending: Pending<C>,
        reply: Reply,
    ) -> Result<(), AnswerError> {
        self.desk.redeem(pending)?;
        if reply.is_transient() || reply.is_permanent() {
            self.rejected(&reply);
            return Ok(());
        }
        self.rejected(&failed());
        Err(AnswerError::WrongClass(reply.code()))
    }

    /// LMTP: says for each recipient, in the order of the [`envelope`](Self::envelope), what became of the message (RFC 2033 §4.2).
    /// In SMTP, which has one answer only, the first reply is given.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), and where there is not one reply for each recipient.
    pub fn deliver_each(
        &mut self,
        pending: Pending<asked::Delivery>,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Result<(), AnswerError> {
        self.desk.redeem(pending)?;
        let recipients = self.answers_for_message();
        let (mut given, failed) = (0, failed());
        for reply in replies {
            given += 1;
            if given <= recipients {
                let is_final = !reply.is_intermediate();
                self.say(if is_final { &reply } else { &failed });
            }
        }
        for _ in given..recipients {
            self.say(&failed);
        }
        self.state = State::Command(Transaction::None);
        if given == recipients {
            Ok(())
        } else {
            Err(AnswerError::Count { given, recipients })
        }
    }

    /// Answers [`Question::StoredKeys`](sasl_core::server::Question::StoredKeys).
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn stored_keys(
        &mut self,
        pending: Pending<asked::Auth>,
        keys: Option<StoredKeys>,
    ) -> Result<(), Stale> {
        self.auth_answer(pending, |exchange| exchange.stored_keys(keys))
    }

    /// Answers [`Question::CheckPassword`](sasl_core::server::Question::CheckPassword).
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn password(&mut self, pending: Pending<asked::Auth>, is_right: bool) -> Result<(), Stale> {
        self.auth_answer(pending, |exchange| exchange.password(is_right))
    }

    /// Answers [`Question::Authorize`](sasl_core::server::Question::Authorize).
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn authorized(
        &mut self,
        pending: Pending<asked::Auth>,
        may_act: bool,
    ) -> Result<(), Stale> {
        self.auth_answer(pending, |exchange| exchange.authorized(may_act))
    }

    /// Says that no answer can be given now: 454.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn auth_unavailable(&mut self, pending: Pending<asked::Auth>) -> Result<(), Stale> {
        self.desk.redeem(pending)?;
        self.auth_failed(AuthFailure::Unavailable);
        Ok(())
    }

    fn auth_answer(
        &mut self,
        pending: Pending<asked::Auth>,
        answer: impl FnOnce(&mut Exchange) -> Next,
    ) -> Result<(), Stale> {
        self.desk.redeem(pending)?;
        self.moved = true;
        match core::mem::replace(&mut self.state, State::Command(Transaction::None)) {
            State::Asked(Asked::Auth(mut exchange), _) => {
                let next = answer(&mut exchange);
                self.auth_next(exchange, next);
            }
            other => self.state = other,
        }
        Ok(())
    }

    fn accepted(&mut self, reply: Option<Reply>) {
        self.moved = true;
        let state = core::mem::replace(&mut self.state, State::Command(Transaction::None));
        let State::Asked(asked, transaction) = state else {
            self.state = state;
            return;
        };
        let or = |code, enhanced, text: &str| {
            reply
                .clone()
                .unwrap_or_else(|| Reply::certain(code, enhanced, text))
        };
        match (asked, transaction) {
            (Asked::Greeting, _) => {
                let protocol = if self.config.role == Role::Lmtp {
                    "LMTP"
                } else {
                    "ESMTP"
                };
                let words = words(reply.as_ref(), protocol);
                // RFC 5321 §4.2: `Greeting = ( "220 " (Domain / address-literal) [ SP textstring ] CRLF )`
                let text = format!("{} {words}", self.config.hostname);
                self.say(&Reply::certain(220, None, &text));
            }
            (Asked::Hello(hello), _) => {
                let words = words(reply.as_ref(), "at your service");
                let mut text = format!("{} {words}", self.config.hostname);
                if hello.is_extended {
                    for line in self.extensions().lines() {
                        text.push('\n');
                        text.push_str(&line);
                    }
                }
                self.say(&Reply::certain(250, None, &text));
                self.hello = Some(hello);
            }
            (Asked::Mail(envelope), _) => {
                self.idle_commands = 0;
                self.say(&or(250, EnhancedStatus::SENDER_OK, "Sender OK"));
                self.state = State::Command(Transaction::Open(envelope));
            }
            (Asked::Rcpt(recipient), Transaction::Open(mut envelope)) => {
                self.say(&or(250, EnhancedStatus::DESTINATION_OK, "Recipient OK"));
                envelope.recipients.push(recipient);
                self.state = State::Command(Transaction::Open(envelope));
            }
            (Asked::Data, Transaction::Open(envelope)) => {
                self.say(&Reply::certain(
                    354,
                    None,
                    "Start mail input; end with <CRLF>.<CRLF>",
                ));
                let transfer = Transfer::by_data(envelope, self.config.line_ends);
                self.state = State::Body(Box::new(transfer));
            }
            (Asked::Chunk(size, last), Transaction::Open(envelope)) => {
                self.begin_chunks(envelope, size, last);
            }
            (Asked::Delivery, Transaction::Open(envelope)) => {
                self.errors = 0;
                let reply = or(250, EnhancedStatus::OK, "Message accepted");
                for _ in 0..self.answers_for(&envelope) {
                    self.say(&reply);
                }
            }
            (Asked::Vrfy, transaction) => {
                self.say(&or(252, EnhancedStatus::OK, VRFY_UNKNOWN));
                self.state = State::Command(transaction);
            }
            // No other pair is ever made.
            (_, transaction) => self.state = State::Command(transaction),
        }
    }

    fn rejected(&mut self, reply: &Reply) {
        self.moved = true;
        let state = core::mem::replace(&mut self.state, State::Command(Transaction::None));
        let State::Asked(asked, transaction) = state else {
            self.state = state;
            return;
        };
        match (asked, transaction) {
            (Asked::Greeting, _) => {
                self.say(reply);
                self.state = State::TurnedAway;
            }
            (Asked::Chunk(size, _), transaction) if reply.code() != 421 => {
                self.refuse_chunk(size, transaction, Refusal::Wanted(reply.clone()));
            }
            (Asked::Data | Asked::Chunk(..), transaction) => {
                self.say(reply);
                self.abort(&transaction, Abort::Refused(reply.clone()));
            }
            (Asked::Delivery, Transaction::Open(envelope)) => {
                for _ in 0..self.answers_for(&envelope) {
                    self.say(reply);
                }
            }
            (_, transaction) => {
                self.say(reply);
                self.state = State::Command(transaction);
                // Who tries many recipients to see which are there, makes mistakes.
                self.errors = self.errors.saturating_add(u32::from(reply.is_permanent()));
            }
        }
        // RFC 5321 §4.2.2: "421 <domain> Service not available, closing transmission channel (This may be a reply to any command if
        // the service knows it must shut down)"
        if reply.code() == 421 {
            self.end(None);
        }
        self.end_if_too_many_errors();
    }

    /// How many replies the message has.
    fn answers_for(&self, envelope: &Envelope) -> usize {
        match self.config.role {
            Role::Lmtp => envelope.recipients.len(),
            Role::Mx | Role::Submission => 1,
        }
    }

    fn answers_for_message(&self) -> usize {
        self.envelope()
            .map_or(1, |envelope| self.answers_for(envelope))
    }
}

pub(super) fn failed() -> Reply {
    Reply::certain(
        451,
        EnhancedStatus::MAIL_SYSTEM,
        "Local error in processing",
    )
}

fn words<'a>(reply: Option<&'a Reply>, default: &'a str) -> &'a str {
    reply
        .and_then(|reply| reply.lines().first())
        .map_or(default, String::as_str)
}
