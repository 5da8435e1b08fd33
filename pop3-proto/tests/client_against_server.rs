//! Whole sessions, client and server joined in memory.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod mailbox;

use core::time::Duration;

use mailbox::{Mailbox, PASSWORD, config};
use pop3_proto::command::MessageNumber;
use pop3_proto::{client, server};
use sasl_core::{Credentials, Entropy, PlaintextPolicy};
use testkit::{Pair, Side};

/// What the client's application does: STLS, a login, then all of the maildrop.
#[derive(Default)]
struct Reader {
    sasl: bool,
    lines: Option<u32>,
    keep: bool,
    body: Vec<u8>,
    messages: Vec<Vec<u8>>,
    log: Vec<String>,
}

impl Reader {
    fn take(&mut self, session: &mut client::Session, event: client::Event) {
        use client::Event;
        match event {
            Event::Greeting(_) => {
                session.capa().unwrap();
            }
            Event::Capabilities { .. } if session.tls().is_none() => {
                session.stls().unwrap();
            }
            Event::TlsStarted { .. } => {
                session.capa().unwrap();
            }
            Event::Capabilities { .. } => {
                let user = "mrose".parse().unwrap();
                if self.sasl {
                    session.auth(Credentials::new(user, PASSWORD)).unwrap();
                } else {
                    let password = mail_wire::Secret::new(PASSWORD.to_owned());
                    session.user_pass(&user, &password).unwrap();
                }
            }
            Event::Derive { work, pending, .. } => {
                self.log.push("derive".into());
                session.derived(pending, work.run()).unwrap();
            }
            Event::Authenticated { .. } => {
                session.stat().unwrap();
                session.list(None).unwrap();
                session.uidl(None).unwrap();
            }
            Event::UniqueIds { unique_ids, .. } => {
                for (number, _) in unique_ids {
                    match self.lines {
                        Some(lines) => session.top(number, lines).unwrap(),
                        None => session.retr(number).unwrap(),
                    };
                    if !self.keep {
                        session.dele(number).unwrap();
                    }
                }
                session.quit().unwrap();
            }
            Event::Body(piece) => self.body.extend_from_slice(&piece),
            Event::EndOfMessage { .. } => self.messages.push(core::mem::take(&mut self.body)),
            Event::Stat {
                messages, octets, ..
            } => self.log.push(format!("{messages} {octets}")),
            Event::Refused { reply, .. } => self.log.push(reply.to_string()),
            _ => {}
        }
    }
}

fn pair() -> Pair<client::Session, server::Session> {
    let client = client::Session::new(client::Config::default(), Entropy::new([8; 32]));
    let config = config(PlaintextPolicy::RequireTls);
    Pair::new(client, server::Session::new(config, Entropy::new([9; 32])))
}

fn large() -> Vec<u8> {
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    for line in 0..9_000 {
        message.extend_from_slice(format!(".{line} of a message\r\n..\r\n.\r\n").as_bytes());
    }
    message
}

#[test]
fn messages_arrive_octet_for_octet() {
    let large = large();
    let messages: [&[u8]; 5] = [
        b"a: b\r\n\r\nc\r\n",
        b"",
        b".\r\n",
        b"a: b\r\n\r\n.\r\n.\r\n..\r\n",
        &large,
    ];
    for (sasl, chunk, piece) in [
        (true, 0, 0),
        (false, 1_460, 1_000),
        (true, 7, 4_096),
        (false, 1, 1),
    ] {
        let messages = if chunk == 1 {
            &messages[..4]
        } else {
            &messages[..]
        };
        let mut mailbox = Mailbox {
            piece,
            ..Mailbox::new(messages)
        };
        let mut reader = Reader {
            sasl,
            ..Reader::default()
        };
        let mut pair = pair();
        if chunk > 0 {
            pair = pair
                .with_chunk(chunk)
                .with_latency(Duration::from_millis(20));
        }
        let ends = pair.run(
            |session, event| reader.take(session, event),
            |session, event| mailbox.answer(session, event),
        );
        assert_eq!(ends, (&Side::Closed, &Side::Closed));
        assert!(reader.messages == messages, "chunk {chunk}");
        assert_eq!(
            mailbox.updates,
            [(1..=messages.len() as u32).collect::<Vec<_>>()]
        );
        let octets: usize = messages.iter().map(|message| message.len()).sum();
        let mut log = vec![format!("{} {octets}", messages.len())];
        if sasl {
            log.insert(0, "derive".into());
        }
        assert_eq!(reader.log, log);
    }
}

#[test]
fn bare_line_ends_in_storage_cannot_end_a_response() {
    let mut mailbox = Mailbox::new(&[b"a: b\n\n.\nc\r.\rd\n.\r\ne"]);
    let mut reader = Reader::default();
    pair().run(
        |session, event| reader.take(session, event),
        |session, event| mailbox.answer(session, event),
    );
    assert_eq!(
        reader.messages,
        [b"a: b\r\n\r\n.\r\nc\r\n.\r\nd\r\n.\r\ne\r\n"]
    );
}

#[test]
fn top_cuts_behind_the_lines() {
    let message = b"a: b\r\nc: d\r\n\r\none\r\n.two\r\n\r\nfour\r\n";
    for (lines, want) in [
        (0, &b"a: b\r\nc: d\r\n\r\n"[..]),
        (1, b"a: b\r\nc: d\r\n\r\none\r\n"),
        (3, b"a: b\r\nc: d\r\n\r\none\r\n.two\r\n\r\n"),
        (4, message),
        (u32::MAX, message),
    ] {
        for piece in [0, 1, 5] {
            let mut mailbox = Mailbox {
                piece,
                ..Mailbox::new(&[message, b"no: body\r\n"])
            };
            let mut reader = Reader {
                lines: Some(lines),
                ..Reader::default()
            };
            pair().run(
                |session, event| reader.take(session, event),
                |session, event| mailbox.answer(session, event),
            );
            assert_eq!(
                reader.messages,
                [want, b"no: body\r\n"],
                "{lines} lines in pieces of {piece}"
            );
        }
    }
}

#[test]
fn a_lost_connection_deletes_nothing() {
    let mut mailbox = Mailbox::new(&[b"a: b\r\n\r\nc\r\n"]);
    let mut pair = pair();
    // Everything but QUIT.
    let take = |session: &mut client::Session, event: client::Event| {
        if let client::Event::Authenticated { .. } = event {
            session.dele(MessageNumber::from_index(0).unwrap()).unwrap();
        } else {
            Reader::default().take(session, event);
        }
    };
    pair.run(take, |session, event| mailbox.answer(session, event));
    pair.cut();
    let ends = pair.run(take, |session, event| mailbox.answer(session, event));
    assert_eq!(ends, (&Side::Closed, &Side::Closed));
    assert!(mailbox.updates.is_empty());
}

#[test]
fn a_wrong_password_is_refused() {
    let mut mailbox = Mailbox::new(&[]);
    let mut pair = pair();
    let mut refused = 0;
    let mut reader = Reader::default();
    pair.run(
        |session, event| match event {
            client::Event::Capabilities { .. } if session.tls().is_some() => {
                for _ in 0..2 {
                    let credentials = Credentials::new("mrose".parse().unwrap(), "wrong");
                    session.auth(credentials).unwrap();
                }
            }
            client::Event::Refused { reply, .. } => {
                assert_eq!(reply.to_string(), "-ERR [AUTH] authentication failed");
                refused += 1;
            }
            event => reader.take(session, event),
        },
        |session, event| mailbox.answer(session, event),
    );
    assert_eq!(refused, 2);
}
