//! IMAP: the server's side, and responses.

use core::num::NonZeroU32;
use std::sync::Arc;

use imap_proto::server::{Config, Event, MailboxView, Refusal, Session};
use imap_proto::{
    CopyUid, FetchItem, FetchValue, Flag, SectionData, Text, UidSet, Word, parse_response,
};
use mail_wire::{Secret, Session as _, Upgraded};
use sasl_core::Entropy;
use sasl_core::server::{Question, ServerConfig, is_own};
use testkit::Seen;

use crate::pieces::same_in_any_pieces;

/// A response prints as one that parses to the same, with mailbox names in modified UTF-7 and in UTF-8.
pub fn imap_response_roundtrip(data: &[u8]) {
    let data = data.strip_suffix(b"\r\n").unwrap_or(data);
    for utf8 in [false, true] {
        let Ok(response) = parse_response(data, utf8) else {
            continue;
        };
        let printed = response.print(utf8);
        let line = printed
            .strip_suffix(b"\r\n")
            .expect("a response ends in CR LF");
        let again = parse_response(line, utf8);
        assert_eq!(again.as_ref(), Ok(&response), "{}", printed.escape_ascii());
    }
}

const MESSAGE: &[u8] = b"Subject: n\r\n\r\ntext";

/// A server sees the same commands, literals and messages however they are cut, and sends the same.
pub fn imap_server_split(data: &[u8]) {
    let mut config = Config::new(ServerConfig::new(Secret::new([7; 32])));
    // Small ones, so that they are reached.
    let limits = &mut config.limits;
    (limits.line_before_login, limits.line) = (500, 500);
    (limits.literal_before_login, limits.literal) = (200, 500);
    (limits.command_before_login, limits.command) = (500, 1_000);
    (limits.literals, limits.append) = (8, 500);
    let config = Arc::new(config);
    same_in_any_pieces(
        data,
        502,
        || {
            let mut session = Session::new(Arc::clone(&config), Entropy::new([1; 32]));
            session.upgraded(Upgraded::Tls(Box::default()));
            session
        },
        || {
            let mut store = Store::default();
            move |session: &mut Session, event| store.answer(session, event)
        },
        |event| match event {
            Event::Body(octets) => Seen::Body(octets.to_vec()),
            // How often there is room depends on how much was asked for at once.
            Event::Room(_) => Seen::Nothing,
            event => Seen::debug(event),
        },
    );
}

/// Each mailbox has the messages 3, 4 and 9, all alike; the one user is `user`.
#[derive(Debug, Default)]
struct Store {
    /// What FETCH still owes, the next message last.
    left: Vec<NonZeroU32>,
    items: Vec<FetchItem>,
}

impl Store {
    fn answer(&mut self, session: &mut Session, event: Event) {
        let refusal = Refusal::new(Word::Nonexistent, "No such thing");
        let answered = match event {
            Event::Connected(token) => session.greet(token, &Text::lossy("ready")).is_ok(),
            Event::Auth(token, question) => match question {
                Question::CheckPassword { authcid, password } => {
                    let is_right = authcid.as_str() == "user" && password.ct_eq("pencil");
                    session.password(token, is_right)
                }
                Question::Authorize { authcid, authzid } => {
                    session.authorized(token, is_own(&authcid, authzid.as_ref()))
                }
                Question::StoredKeys { .. } => session.stored_keys(token, None),
                _ => session.auth_unavailable(token),
            }
            .is_ok(),
            Event::LoggedIn(success) => success.authcid.as_str() == "user",
            Event::Select { select, .. } => {
                let view = MailboxView {
                    uid_validity: number(77),
                    uid_next: number(10),
                    uids: UidSet::from_iter([3, 4, 9]),
                    flags: vec![Flag::Seen],
                    permanent_flags: vec![Flag::Seen, Flag::Any],
                    first_unseen: Some(4),
                    read_only: false,
                };
                session.selected(select, view).is_ok()
            }
            Event::Fetch { uids, items, .. } => {
                self.left = uids.iter().map(number).collect();
                self.left.reverse();
                self.items = items;
                true
            }
            Event::Room(stream) => self.send(session, stream),
            Event::Store(token, uids, store) => {
                let changed = uids.iter().map(|uid| (number(uid), store.flags.clone()));
                session.stored(token, changed).is_ok()
            }
            Event::Search(token, _) => session.found(token, &UidSet::from_iter([3, 9])).is_ok(),
            Event::Sync(token) => {
                session.exists([12]);
                session.done(token).is_ok()
            }
            Event::Expunge(token, _) => {
                session.expunged_all(token, &UidSet::from_iter([3])).is_ok()
            }
            Event::Append { append, .. } => session.accept_append(append).is_ok(),
            Event::AppendEnd(token) => session
                .appended(token, Some((number(77), number(12))))
                .is_ok(),
            Event::Create(token, ..)
            | Event::Delete(token, _)
            | Event::Rename(token, ..)
            | Event::Subscribe(token, ..) => session.done(token).is_ok(),
            Event::Close { close, .. } => session.done(close).is_ok(),
            Event::Copy(token, uids, _) => {
                let copied: Vec<_> = uids.iter().map(|uid| (number(uid), number(uid))).collect();
                let target = CopyUid {
                    uid_validity: number(78),
                    source: copied.clone(),
                    destination: copied,
                };
                session
                    .copied(token, Some(target), &UidSet::default())
                    .is_ok()
            }
            Event::Move(token, uids, _) => session.copied(token, None, &uids).is_ok(),
            Event::List(token, _) => session.refuse(token, &refusal).is_ok(),
            Event::Status(token, ..) => session.refuse(token, &refusal).is_ok(),
            Event::Idle => {
                session.exists([20]);
                true
            }
            _ => true,
        };
        assert!(answered, "an answer to the question that was asked");
    }

    fn send(&mut self, session: &mut Session, stream: mail_wire::Stream) -> bool {
        let owed = usize::try_from(session.owed()).unwrap();
        if owed > 0 {
            let rest = MESSAGE
                .get(MESSAGE.len() - owed..)
                .expect("no more is owed than there is");
            return session.send(stream, rest.get(..5).unwrap_or(rest)).is_ok();
        }
        let Some(uid) = self.left.pop() else {
            return session.fetched(stream, None).is_ok();
        };
        let values: Vec<FetchValue> = (self.items.iter())
            .map(|item| match item {
                FetchItem::Section { name, .. } => FetchValue::Section {
                    name: name.clone(),
                    origin: None,
                    data: SectionData::Streamed(MESSAGE.len() as u64),
                },
                _ => FetchValue::Flags(vec![Flag::Seen]),
            })
            .collect();
        session.message(stream, uid, &values).is_ok()
    }
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("no UID is 0")
}
