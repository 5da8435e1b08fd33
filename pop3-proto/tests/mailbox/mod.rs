//! An application for the tests: one user, whose maildrop lies in memory.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // each test uses a part

use mail_wire::{Secret, Session as _};
use pop3_proto::maildrop::Message;
use pop3_proto::server::{Config, Event, Session};
use sasl_core::server::{Question, ServerConfig, is_own};
use sasl_core::{Entropy, PlaintextPolicy, StoredKeys};

pub(crate) const PASSWORD: &str = "tan staaf";

/// What the user `mrose` has, and what was deleted of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mailbox {
    pub(crate) messages: Vec<Vec<u8>>,
    /// How many octets are given at once; 0: all.
    pub(crate) piece: usize,
    /// What Update said, each time.
    pub(crate) updates: Vec<Vec<u32>>,
    pub(crate) sending: Option<(usize, usize)>,
}

impl Mailbox {
    pub(crate) fn new(messages: &[&[u8]]) -> Self {
        Self {
            messages: messages.iter().map(|message| message.to_vec()).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn answer(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Connected(pending) => session.greet(pending, "POP3 server ready").unwrap(),
            Event::Auth { question, pending } => match question {
                Question::StoredKeys { authcid } => {
                    let keys = StoredKeys::derive(PASSWORD, vec![7; 16], 4_096).unwrap();
                    session
                        .stored_keys(pending, (authcid.as_str() == "mrose").then_some(keys))
                        .unwrap();
                }
                Question::CheckPassword { authcid, password } => {
                    let is_right = authcid.as_str() == "mrose" && password.ct_eq(PASSWORD);
                    session.password(pending, is_right).unwrap();
                }
                Question::Authorize { authcid, authzid } => session
                    .authorized(pending, is_own(&authcid, authzid.as_ref()))
                    .unwrap(),
                other => panic!("{other:?}"),
            },
            Event::OpenMaildrop { user, pending } => {
                assert_eq!(user.as_str(), "mrose");
                let messages = self.messages.iter().zip(1..);
                let messages = messages
                    .map(|(message, number)| {
                        let unique_id = format!("id-{number}").parse().unwrap();
                        Message::new(message.len() as u64, unique_id)
                    })
                    .collect();
                session.maildrop(pending, messages).unwrap();
            }
            Event::Retrieve { number, pending }
            | Event::Top {
                number, pending, ..
            } => {
                let size = self.messages[number.index()].len();
                session.promise(pending, size as u64).unwrap();
                self.sending = Some((number.index(), 0));
            }
            Event::Room(stream) => {
                let (index, at) = self.sending.unwrap();
                let rest = &self.messages[index][at..];
                let piece = if self.piece == 0 {
                    rest.len()
                } else {
                    self.piece.min(rest.len())
                };
                session.send(stream, &rest[..piece]).unwrap();
                self.sending = Some((index, at + piece));
            }
            Event::Update { deletes, pending } => {
                self.updates
                    .push(deletes.iter().map(|number| number.value()).collect());
                session.updated(pending).unwrap();
            }
            _ => {}
        }
    }
}

pub(crate) fn config(plaintext: PlaintextPolicy) -> Config {
    let mut sasl = ServerConfig::new(Secret::new([1; 32]));
    sasl.plaintext = plaintext;
    sasl.iterations = 4_096;
    Config::new(sasl)
}

/// A session where a password may be sent without TLS.
pub(crate) fn server() -> Session {
    Session::new(config(PlaintextPolicy::Always), Entropy::new([2; 32]))
}

/// What a session says to these lines, and the mailbox afterwards.
pub(crate) fn talk(mut session: Session, mut mailbox: Mailbox, lines: &str) -> (String, Mailbox) {
    use mail_wire::{Step, Time};
    session.input().extend_from_slice(lines.as_bytes());
    let mut output = Vec::new();
    loop {
        let step = session.poll(Time::START);
        let sent = session.output().split();
        output.extend_from_slice(&sent);
        match step {
            Ok(Step::Event(event)) => mailbox.answer(&mut session, event),
            Ok(Step::NeedInput) if !sent.is_empty() => {}
            _ => break,
        }
    }
    (String::from_utf8(output).unwrap(), mailbox)
}
