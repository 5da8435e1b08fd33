//! The server's session against a small application: a dialogue after RFC 9051 §8, every split of it, and what must not happen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use imap_proto::server::{Config, Event, MailboxView, Session};
use imap_proto::{FetchItem, FetchValue, Flag, Section, SectionData, SectionName, Text, UidSet};
use mail_wire::{Secret, Session as _, Step, Time, Upgraded};
use sasl_core::server::{Question, ServerConfig};
use sasl_core::{Entropy, Mechanism, Mechanisms};
use std::num::NonZeroU32;
use std::sync::Arc;
use testkit::{Seen, every_split};

fn session(tls: bool) -> Session {
    let mut sasl = ServerConfig::new(Secret::new([7; 32]));
    sasl.mechanisms = Mechanisms::from_iter([Mechanism::Plain]);
    let mut session = Session::new(Arc::new(Config::new(sasl)), Entropy::new([1; 32]));
    if tls {
        session.upgraded(Upgraded::Tls(Box::default()));
    }
    session
}

fn nz(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// One mailbox, INBOX, with the messages 3, 4 and 9, each `Subject: n` CR LF CR LF `text`.
fn application() -> impl FnMut(&mut Session, Event) {
    let mut left: Vec<u32> = Vec::new();
    let mut asked: Vec<FetchItem> = Vec::new();
    move |s, event| match event {
        Event::Connected(token) => s.greet(token, &Text::lossy("ready")).unwrap(),
        Event::Auth(token, Question::CheckPassword { password, .. }) => {
            s.password(token, password.ct_eq("pencil")).unwrap();
        }
        Event::Auth(token, Question::Authorize { authcid, authzid }) => {
            s.authorized(token, sasl_core::server::is_own(&authcid, authzid.as_ref()))
                .unwrap();
        }
        Event::Select { select, .. } => {
            let view = MailboxView {
                uid_validity: nz(77),
                uid_next: nz(10),
                uids: [3u32, 4, 9].into_iter().collect(),
                flags: vec![Flag::Seen],
                permanent_flags: vec![Flag::Seen, Flag::Any],
                first_unseen: Some(4),
                read_only: false,
            };
            s.selected(select, view).unwrap();
        }
        Event::Fetch { uids, items, .. } => {
            left = uids.iter().collect();
            left.reverse();
            asked = items;
        }
        Event::Room(stream) => {
            let owed = usize::try_from(s.owed()).unwrap();
            if owed > 0 {
                let message = b"Subject: n\r\n\r\ntext";
                s.send(stream, &message[message.len() - owed..][..owed.min(5)])
                    .unwrap();
            } else if let Some(uid) = left.pop() {
                let values: Vec<FetchValue> = asked
                    .iter()
                    .map(|item| match item {
                        FetchItem::Section { name, .. } => FetchValue::Section {
                            name: name.clone(),
                            origin: None,
                            data: SectionData::Streamed(18),
                        },
                        _ => FetchValue::Flags(vec![Flag::Seen]),
                    })
                    .collect();
                s.message(stream, nz(uid), &values).unwrap();
            } else {
                s.fetched(stream, None).unwrap();
            }
        }
        Event::Store(token, uids, store) => {
            s.expunged(4);
            let now: Vec<_> = uids
                .iter()
                .map(|uid| (nz(uid), store.flags.clone()))
                .collect();
            s.stored(token, now).unwrap();
        }
        Event::Search(token, _) => s.found(token, &[3u32, 9].into_iter().collect()).unwrap(),
        Event::Sync(token) => {
            s.exists([12]);
            s.done(token).unwrap();
        }
        Event::Expunge(token, _) => s.expunged_all(token, &UidSet::from_iter([3u32])).unwrap(),
        Event::Append { append, .. } => s.accept_append(append).unwrap(),
        Event::AppendEnd(token) => s.appended(token, Some((nz(77), nz(12)))).unwrap(),
        Event::Create(token, ..) | Event::Delete(token, _) => s.done(token).unwrap(),
        Event::Idle => s.exists([20]),
        _ => {}
    }
}

const DIALOGUE: &[u8] = b"a1 LOGIN {4}\r\nuser {6+}\r\npencil\r\na2 SELECT inbox\r\na3 FETCH 1:2 (FLAGS BODY[])\r\n\
a4 STORE 1 +FLAGS (\\Seen)\r\na5 NOOP\r\na6 UID SEARCH RETURN (SAVE MIN COUNT) 1:*\r\na7 UID FETCH $ FLAGS\r\n\
a8 APPEND INBOX (\\Seen) {5+}\r\nhello\r\na9 XYZZY {3+}\r\na b\r\na10 EXPUNGE\r\na11 IDLE\r\nDONE\r\na12 LOGOUT\r\n";

const ANSWERS: &str = "+ OK\r\n\
a1 OK [CAPABILITY *] Logged in\r\n\
* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* OK [UNSEEN 2] First unseen message\r\n\
* OK [PERMANENTFLAGS (\\Seen \\*)] Flags that are kept\r\n* OK [UIDVALIDITY 77] UIDs are valid\r\n\
* OK [UIDNEXT 10] Predicted next UID\r\na2 OK [READ-WRITE] Completed\r\n\
* 1 FETCH (FLAGS (\\Seen) BODY[] {18}\r\nSubject: n\r\n\r\ntext)\r\n\
* 2 FETCH (FLAGS (\\Seen) BODY[] {18}\r\nSubject: n\r\n\r\ntext)\r\n\
a3 OK FETCH completed\r\n\
* 1 FETCH (FLAGS (\\Seen))\r\na4 OK STORE completed\r\n\
* 2 EXPUNGE\r\n* 3 EXISTS\r\na5 OK Completed\r\n\
* ESEARCH (TAG \"a6\") UID MIN 3 COUNT 2\r\na6 OK SEARCH completed\r\n\
* 1 FETCH (UID 3 FLAGS (\\Seen))\r\n* 2 FETCH (UID 9 FLAGS (\\Seen))\r\na7 OK FETCH completed\r\n\
a8 OK [APPENDUID 77 12] APPEND completed\r\n\
a9 BAD a command known here expected at octet 9\r\n\
* 1 EXPUNGE\r\na10 OK EXPUNGE completed\r\n\
+ idling\r\n* 3 EXISTS\r\na11 OK IDLE terminated\r\n\
* BYE Logging out\r\na12 OK LOGOUT completed\r\n";

#[test]
fn a_dialogue_in_every_split() {
    let run = every_split(
        DIALOGUE,
        || session(true),
        application,
        |event| match event {
            Event::Body(octets) => Seen::Body(octets.to_vec()),
            Event::Room(_) => Seen::Nothing,
            event => Seen::debug(event),
        },
    );
    let output = String::from_utf8(run.output).unwrap();
    let output = output.split_once("\r\n").unwrap().1;
    let start = output.find("[CAPABILITY ").unwrap();
    let end = start + output[start..].find(']').unwrap();
    let output = format!("{}[CAPABILITY *{}", &output[..start], &output[end..]);
    assert_eq!(output, ANSWERS);
}

fn drive(
    session: &mut Session,
    input: &[u8],
) -> (String, Result<Step<Event>, imap_proto::server::Error>) {
    let mut application = application();
    session.input().extend_from_slice(input);
    loop {
        match session.poll(Time::START) {
            Ok(Step::Event(event)) => application(session, event),
            end => {
                return (
                    String::from_utf8(session.output().split().to_vec()).unwrap(),
                    end,
                );
            }
        }
    }
}

#[test]
fn nothing_before_tls_outlives_it() {
    let mut s = session(false);
    let (output, end) = drive(&mut s, b"a1 STARTTLS\r\na2 LOGIN user pencil\r\n");
    assert!(
        output.contains("LOGINDISABLED") && output.ends_with("a1 OK Begin TLS negotiation now\r\n")
    );
    assert!(matches!(end, Ok(Step::Upgrade(_))));
    s.upgraded(Upgraded::Tls(Box::default()));
    let (output, end) = drive(&mut s, b"");
    assert_eq!(output, "");
    assert!(end.is_err());
}

#[test]
fn limits_before_login() {
    let refused = |input: &[u8]| {
        let mut s = session(true);
        let (output, end) = drive(&mut s, input);
        (
            output.lines().skip(1).collect::<Vec<_>>().join("|"),
            end.is_err(),
        )
    };
    assert_eq!(
        refused(b"a1 LOGIN {4097}\r\n"),
        ("a1 BAD Command too long".into(), false)
    );
    assert!(refused(b"a1 LOGIN {5000+}\r\n").1);
    assert_eq!(refused(b"a1 LOGIN {4096}\r\n").0, "+ OK");
    assert!(refused(&[b"a1 ", &[b'x'; 9000][..], b"\r\n"].concat()).1);
    assert!(refused(&b"x\r\n".repeat(20)).1);
    assert_eq!(refused(b"a1 SELECT inbox\r\n").0, "a1 BAD Log in first");
}

#[test]
fn a_section_needs_no_name_of_its_own() {
    assert_eq!(SectionName::Rfc822.section(), Some(Section::default()));
}

#[test]
fn what_imap4rev2_has_besides() {
    let mut s = session(true);
    let input =
        b"a LOGIN user pencil\r\nb ENABLE IMAP4rev2\r\nc SELECT \"\xc3\xa4\"\r\nd SEARCH ALL\r\n";
    let (output, end) = drive(&mut s, input);
    assert!(matches!(end, Ok(Step::NeedInput)));
    let lines: Vec<&str> = output.lines().skip(2).collect();
    // RFC 9051 §6.3.2: LIST is required, RECENT and UNSEEN are gone; §6.4.4: ESEARCH in place of SEARCH.
    assert_eq!(
        lines,
        [
            "* ENABLED IMAP4rev2",
            "b OK ENABLE completed",
            "* FLAGS (\\Seen)",
            "* 3 EXISTS",
            "* LIST () \"/\" \"\u{e4}\"",
            "* OK [PERMANENTFLAGS (\\Seen \\*)] Flags that are kept",
            "* OK [UIDVALIDITY 77] UIDs are valid",
            "* OK [UIDNEXT 10] Predicted next UID",
            "c OK [READ-WRITE] Completed",
            "* ESEARCH (TAG \"d\") ALL 1,3",
            "d OK SEARCH completed",
        ]
    );
}

#[test]
fn a_command_of_many_literals_is_answered_once() {
    let mut s = session(true);
    let _ = drive(&mut s, b"a LOGIN user pencil\r\nb SELECT inbox\r\n");
    for (command, count, answer) in [
        ("SEARCH", 999, "* SEARCH 1 3|c OK SEARCH completed"),
        ("SEARCH", 1_001, "c BAD Command too long"),
        (
            "APPEND (",
            999,
            "c BAD an atom or a string expected at octet 9",
        ),
    ] {
        let line = format!("c {command} {}ALL\r\n", "SUBJECT {1+}\r\nx ".repeat(count));
        let (output, end) = drive(&mut s, line.as_bytes());
        let output = output.lines().collect::<Vec<_>>().join("|");
        assert!(output.starts_with(answer), "{output}");
        assert!(matches!(end, Ok(Step::NeedInput)), "{end:?}");
    }
}
