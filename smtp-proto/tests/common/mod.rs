//! An application that takes what comes, and writes down what it was told.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use mail_wire::{Secret, Session as _, Step, Time, TlsInfo, Upgraded};
use sasl_core::server::{Question, ServerConfig, is_own};
use sasl_core::{Entropy, Mechanism, Mechanisms, StoredKeys};
use smtp_proto::Reply;
use smtp_proto::server::{Config, Event, Session};
use testkit::Seen;

pub fn config() -> Config {
    Config::new("mx.example".parse().unwrap())
}

pub fn session(config: Config) -> Session {
    Session::new(Arc::new(config), Entropy::new([7; 32]))
}

/// PLAIN and SCRAM, without TLS too, as the tests have none.
pub fn with_sasl(mut config: Config) -> Config {
    let mut sasl = ServerConfig::new(Secret::new([1; 32]));
    sasl.mechanisms = Mechanisms::from_iter([Mechanism::Plain, Mechanism::ScramSha256]);
    sasl.plaintext = sasl_core::PlaintextPolicy::Always;
    config.sasl = Some(sasl);
    config
}

/// Says yes to all but recipients whose local part is `nobody` and senders whose local part is `spam`.
pub fn answer(session: &mut Session, event: Event) {
    match event {
        Event::Connected(pending) => session.accept(pending).unwrap(),
        Event::Hello { pending, .. } => session.accept(pending).unwrap(),
        Event::Mail {
            pending,
            reverse_path,
            ..
        } if reverse_path.to_string().starts_with("<spam@") => {
            session.reject(pending, reply(550, "5.7.1", "No")).unwrap();
        }
        Event::Mail { pending, .. } => session.accept(pending).unwrap(),
        Event::Rcpt {
            pending,
            forward_path,
            ..
        } if forward_path.to_string().starts_with("<nobody@") => {
            session
                .reject(pending, reply(550, "5.1.1", "No such user"))
                .unwrap();
        }
        Event::Rcpt { pending, .. } => session.accept(pending).unwrap(),
        Event::Data(pending) => session.accept(pending).unwrap(),
        Event::EndOfData { pending, .. } => session.accept(pending).unwrap(),
        Event::Vrfy { pending, .. } => session.accept(pending).unwrap(),
        Event::Auth { question, pending } => match question {
            Question::CheckPassword { authcid, password } => session
                .password(
                    pending,
                    authcid.as_str() == "tim" && password.ct_eq("tanstaaftanstaaf"),
                )
                .unwrap(),
            Question::StoredKeys { .. } => {
                let keys = StoredKeys::derive("pencil", vec![1; 16], 4096).unwrap();
                session.stored_keys(pending, Some(keys)).unwrap();
            }
            Question::Authorize { authcid, authzid } => session
                .authorized(pending, is_own(&authcid, authzid.as_ref()))
                .unwrap(),
            other => panic!("{other:?}"),
        },
        _ => {}
    }
}

pub fn reply(code: u16, enhanced: &str, text: &str) -> Reply {
    Reply::new(code, Some(enhanced.parse().unwrap()), text).unwrap()
}

pub fn seen(event: &Event) -> Seen {
    match event {
        Event::Body(octets) => Seen::Body(octets.to_vec()),
        event => Seen::debug(event),
    }
}

/// What came of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The messages that were accepted.
    pub messages: Vec<String>,
    /// The senders of accepted MAILs.
    pub senders: Vec<String>,
    /// The codes of the replies' last lines, in order.
    pub codes: Vec<u16>,
    pub aborted: usize,
    pub mistakes: usize,
    /// Nothing more, `Closed`, `Upgrade`, or the error.
    pub end: String,
}

/// Runs `session` over `input`, by [`answer`].
pub fn run(session: &mut Session, input: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut message = Vec::new();
    session.input().extend_from_slice(input);
    outcome.end = loop {
        match session.poll(Time::START) {
            Ok(Step::Event(event)) => {
                match &event {
                    Event::Body(octets) => message.extend_from_slice(octets),
                    Event::Mail { reverse_path, .. } => {
                        assert!(message.is_empty());
                        outcome.senders.push(reverse_path.to_string());
                    }
                    Event::EndOfData { octets, .. } => {
                        assert_eq!(*octets, message.len() as u64);
                        let text = String::from_utf8(core::mem::take(&mut message)).unwrap();
                        outcome.messages.push(text);
                    }
                    Event::Aborted(_) => {
                        message.clear();
                        outcome.aborted += 1;
                    }
                    Event::Mistake { .. } => outcome.mistakes += 1,
                    _ => {}
                }
                answer(session, event);
            }
            Ok(Step::NeedInput) => break String::new(),
            Ok(step) => break format!("{step:?}"),
            Err(error) => break format!("{error:?}"),
        }
    };
    outcome.codes = codes(&session.output().split());
    outcome
}

/// The codes of the last lines of replies.
pub fn codes(output: &[u8]) -> Vec<u16> {
    String::from_utf8_lossy(output)
        .lines()
        .filter(|line| line.as_bytes().get(3) == Some(&b' '))
        .map(|line| line[..3].parse().unwrap())
        .collect()
}

pub fn tls() -> Upgraded {
    Upgraded::Tls(Box::<TlsInfo>::default())
}

/// A transaction up to DATA's 354.
pub const UP_TO_DATA: &str =
    "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n";
/// A transaction before its message.
pub const UP_TO_RCPT: &str =
    "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\n";
