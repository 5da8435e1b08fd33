//! The TRANSACTION state, QUIT, and CAPA.

use mail_wire::Room;

use super::{Session, State};
use crate::capability::Capability;
use crate::command::{Command, MessageNumber};
use crate::reply::Reply;
use crate::server::event::{Error, Event, Mistake};
use crate::server::top::Top;

impl Session {
    /// Commands of the TRANSACTION state.
    pub(super) fn transaction(&mut self, command: Command<'_>) -> Result<Option<Event>, Error> {
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

    pub(super) fn quit(&mut self) -> Option<Event> {
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
    pub(super) fn list(&mut self) {
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

    pub(super) fn capa(&mut self) {
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

    fn no_such_message(&mut self, number: MessageNumber) -> Event {
        let mistake = Mistake::NoSuchMessage(number);
        self.reply(&Reply::err(None, &mistake.to_string()));
        Event::Mistake(mistake)
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
