//! Both sessions joined in memory: STARTTLS, LOGIN, SELECT, SEARCH, FETCH, APPEND, whatever pieces the octets come in.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use imap_proto::{
    Append, Candidate, CommandBody, Data, DateTime, FetchItem, FetchValue, Flag, Mailbox, Matcher,
    MessageData, SectionData, StatusKind, client, parse_command, server,
};
use mail_wire::{Secret, UnixTime};
use sasl_core::server::Question;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use testkit::{Pair, Side};

fn nz(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// A store of one mailbox.
#[derive(Default)]
struct Store {
    messages: BTreeMap<u32, Vec<u8>>,
    arriving: Vec<u8>,
    asked: Vec<FetchItem>,
    left: Vec<u32>,
    /// Octets that were promised and not sent.
    owed: Vec<Vec<u8>>,
}

impl Store {
    fn answer(&mut self, session: &mut server::Session, event: server::Event) {
        use server::Event;
        match event {
            Event::Connected(token) => session
                .greet(token, &imap_proto::Text::lossy("hi"))
                .unwrap(),
            Event::Auth(token, Question::CheckPassword { password, .. }) => {
                session
                    .password(token, password.ct_eq("pencil \u{fc}"))
                    .unwrap();
            }
            Event::Auth(token, Question::Authorize { authcid, authzid }) => session
                .authorized(token, sasl_core::server::is_own(&authcid, authzid.as_ref()))
                .unwrap(),
            Event::Select { select, .. } => session
                .selected(
                    select,
                    server::MailboxView {
                        uid_validity: nz(1),
                        uid_next: nz(1000),
                        uids: self.messages.keys().copied().collect(),
                        flags: vec![Flag::Seen],
                        permanent_flags: vec![],
                        first_unseen: None,
                        read_only: false,
                    },
                )
                .unwrap(),
            Event::Search(token, key) => {
                let matcher = Matcher::new(&key).unwrap();
                let found = self.messages.iter().filter(|(uid, octets)| {
                    matcher.matches(&Candidate {
                        uid: nz(**uid),
                        flags: &[],
                        internal_date: DateTime::from_unix(UnixTime(0)),
                        size: octets.len() as u64,
                        octets,
                    })
                });
                let found = found.map(|(uid, _)| *uid).collect();
                session.found(token, &found).unwrap();
            }
            Event::Fetch { uids, items, .. } => {
                self.left = uids.iter().collect();
                self.left.reverse();
                self.asked = items;
            }
            Event::Room(fetch) if session.owed() > 0 => {
                let octets = self.owed.first_mut().unwrap();
                let piece: Vec<u8> = octets.drain(..octets.len().min(700)).collect();
                if octets.is_empty() {
                    self.owed.remove(0);
                }
                session.send(fetch, &piece).unwrap();
            }
            Event::Room(fetch) => match self.left.pop() {
                Some(uid) => {
                    let values = self.values(uid);
                    session.message(fetch, nz(uid), &values).unwrap();
                }
                None => session.fetched(fetch, None).unwrap(),
            },
            Event::Append { append, .. } => session.accept_append(append).unwrap(),
            Event::Body(octets) => self.arriving.extend_from_slice(&octets),
            Event::AppendEnd(token) => {
                self.messages
                    .insert(900, std::mem::take(&mut self.arriving));
                session.exists([900]);
                session.appended(token, Some((nz(1), nz(900)))).unwrap();
            }
            _ => {}
        }
    }

    fn values(&mut self, uid: u32) -> Vec<FetchValue> {
        let message = MessageData::parse(&self.messages[&uid]);
        let mut values = Vec::new();
        for item in &self.asked {
            values.push(match message.value(item).unwrap() {
                Some(FetchValue::Section {
                    name,
                    origin,
                    data: SectionData::Here(Some(octets)),
                }) => {
                    let data = SectionData::Streamed(octets.len() as u64);
                    if !octets.is_empty() {
                        self.owed.push(octets);
                    }
                    FetchValue::Section { name, origin, data }
                }
                Some(value) => value,
                None => FetchValue::Flags(vec![Flag::Seen]),
            });
        }
        values
    }
}

/// What the client does, one command after the other, and what it heard.
#[derive(Default)]
struct Script {
    next: usize,
    message: Vec<u8>,
    sent: usize,
    bodies: Vec<Vec<u8>>,
    body: Vec<u8>,
    data: Vec<Data>,
}

const COMMANDS: [&str; 5] = [
    "SELECT inbox",
    "UID SEARCH OR SUBJECT second LARGER 100000",
    "FETCH 1:2 (ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY[] BODY[1.MIME]<0.7> BODY[7])",
    "",
    "FETCH 3 BODY[]",
];

impl Script {
    fn hear(&mut self, session: &mut client::Session, event: client::Event) {
        use client::Event;
        match event {
            Event::Greeting(_) => {
                session.command(CommandBody::StartTls).unwrap();
            }
            Event::Body(octets) => self.body.extend_from_slice(&octets),
            Event::BodyEnd => self.bodies.push(std::mem::take(&mut self.body)),
            Event::Data(data) => self.data.push(data),
            Event::Room(_) => {
                let end = self.message.len().min(self.sent + 500);
                session.send(&self.message[self.sent..end]).unwrap();
                self.sent = end;
            }
            Event::Done(_, status) => {
                assert_eq!(status.kind, StatusKind::Ok, "{}", self.next);
                self.go_on(session);
            }
            event => panic!("{event:?}"),
        }
    }

    fn go_on(&mut self, session: &mut client::Session) {
        self.next += 1;
        let body = match self.next {
            1 => CommandBody::Login {
                user: b"joe".to_vec(),
                password: Secret::new("pencil \u{fc}".as_bytes().to_vec()),
            },
            5 => {
                let append = Append {
                    mailbox: Mailbox::new("INBOX").unwrap(),
                    flags: vec![Flag::Seen],
                    date: None,
                };
                let size = self.message.len() as u64;
                session.append(&append, size).unwrap();
                return;
            }
            number => match COMMANDS.get(number - 2) {
                Some(text) => {
                    parse_command(format!("x {text}").as_bytes(), false)
                        .unwrap()
                        .body
                }
                None => CommandBody::Logout,
            },
        };
        if self.next <= 7 {
            session.command(body).unwrap();
        }
    }
}

#[test]
fn a_session_from_end_to_end() {
    // No NUL, which a literal cannot hold; all else, and what looks like protocol.
    let all_octets: Vec<u8> = (1..=255).cycle().take(3_000).collect();
    let appended = [
        &b"Subject: x\r\n\r\n)\r\nABCD9 OK done\r\n{5}\r\n.\r\n"[..],
        &all_octets,
    ]
    .concat();
    let first = b"Subject: first\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Part: y\r\n\r\none\r\n--b--\r\n";
    let second = [b"Subject: the second\r\n\r\n", &all_octets[..]].concat();
    for chunk in [1, 2, 7, 1_000, usize::MAX] {
        let sasl = sasl_core::server::ServerConfig::new(Secret::new([7; 32]));
        let config = Arc::new(server::Config::new(sasl));
        let server = server::Session::new(config, sasl_core::Entropy::new([1; 32]));
        let limits = client::Limits::default();
        let client = client::Session::new(client::TlsPolicy::Require, limits, [0, 1, 2, 3]);
        let mut store = Store::default();
        store.messages.insert(3, first.to_vec());
        store.messages.insert(8, second.clone());
        let mut script = Script {
            message: appended.clone(),
            ..Script::default()
        };
        let mut pair = Pair::new(client, server).with_chunk(chunk);
        let ends = pair.run(
            |session, event| script.hear(session, event),
            |session, event| store.answer(session, event),
        );
        assert_eq!(ends, (&Side::Closed, &Side::Closed), "{chunk}");
        assert_eq!(store.messages[&900], appended, "{chunk}");
        let want: [&[u8]; 5] = [first, b"X-Part:", &second, b"Subject", &appended];
        assert_eq!(script.bodies, want, "{chunk}");
        assert!(
            script.data.contains(&Data::Search(vec![nz(8)])),
            "{:?}",
            script.data
        );
        let fetched = script.data.iter().find_map(|data| match data {
            Data::Fetch(number, values) if number.get() == 1 => Some(values),
            _ => None,
        });
        let message = MessageData::parse(first);
        let [
            FetchValue::Envelope(envelope),
            FetchValue::BodyStructure { structure, .. },
            size,
            ..,
            none,
        ] = &fetched.unwrap()[..]
        else {
            panic!("{fetched:?}")
        };
        assert_eq!(
            (&**envelope, &**structure),
            (&message.envelope(), &message.body_structure())
        );
        assert_eq!(*size, FetchValue::Size(first.len() as u64));
        assert!(
            matches!(
                none,
                FetchValue::Section {
                    data: SectionData::Here(None),
                    ..
                }
            ),
            "{none:?}"
        );
    }
}
