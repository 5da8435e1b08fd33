//! Limits and time limits of both sides, and answers that come wrong or late.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod mailbox;

use core::time::Duration;

use mail_wire::{Session as _, Step, Time};
use mailbox::{Mailbox, PASSWORD, config, server, talk};
use pop3_proto::server::{Error, Event, Misuse, SendError};
use pop3_proto::{client, server};
use sasl_core::{Entropy, PlaintextPolicy};

const MINUTE: Duration = Duration::from_secs(60);

/// Polls at `now` until nothing happens.
fn settle(
    session: &mut server::Session,
    mailbox: &mut Mailbox,
    now: Time,
) -> Result<Step<Event>, Error> {
    loop {
        match session.poll(now)? {
            Step::Event(event) => mailbox.answer(session, event),
            step => return Ok(step),
        }
    }
}

fn logged_in(messages: &[&[u8]]) -> (server::Session, Mailbox) {
    let (mut session, mut mailbox) = (server(), Mailbox::new(messages));
    let login = format!("USER mrose\r\nPASS {PASSWORD}\r\n");
    session.input().extend_from_slice(login.as_bytes());
    assert_eq!(
        format!("{:?}", settle(&mut session, &mut mailbox, Time::START)),
        "Ok(NeedInput)"
    );
    session.output().clear();
    (session, mailbox)
}

#[test]
fn ten_minutes_without_a_command() {
    let (mut session, mut mailbox) = logged_in(&[b"a"]);
    session.input().extend_from_slice(b"DELE 1\r\n");
    let later = Time::START + 9 * MINUTE;
    assert!(settle(&mut session, &mut mailbox, later).is_ok());
    assert_eq!(session.deadline(), Some(later + 10 * MINUTE));
    session.output().clear();
    assert!(settle(&mut session, &mut mailbox, later).is_ok());
    // A command without its end is none.
    session.input().extend_from_slice(b"NOO");
    assert!(settle(&mut session, &mut mailbox, later + 9 * MINUTE).is_ok());
    assert_eq!(
        settle(&mut session, &mut mailbox, later + 10 * MINUTE).unwrap_err(),
        Error::Idle
    );
    assert!(session.output().is_empty() && mailbox.updates.is_empty());
    assert_eq!(session.deadline(), None);
}

#[test]
fn ten_minutes_for_the_login() {
    let (mut session, mut mailbox) = (server(), Mailbox::default());
    for minute in 0..10 {
        session.input().extend_from_slice(b"CAPA\r\n");
        assert!(settle(&mut session, &mut mailbox, Time::START + minute * MINUTE).is_ok());
        session.output().clear();
    }
    let error = settle(&mut session, &mut mailbox, Time::START + 10 * MINUTE).unwrap_err();
    assert_eq!(error, Error::NoLogin);
}

#[test]
fn five_minutes_for_the_application() {
    let mut session = server();
    assert!(matches!(
        session.poll(Time::START),
        Ok(Step::Event(Event::Connected(_)))
    ));
    assert!(matches!(
        session.poll(Time::START),
        Ok(Step::NeedAnswer("Connected"))
    ));
    assert!(!session.wants_input());
    let late = Time::START + 5 * MINUTE;
    assert_eq!(
        session.poll(late).unwrap_err(),
        Error::Misuse(Misuse::Unanswered)
    );
}

#[test]
fn answers_of_other_sessions_change_nothing() {
    let (mut one, mut other) = (server(), server());
    let Ok(Step::Event(Event::Connected(pending))) = one.poll(Time::START) else {
        panic!()
    };
    let _ = other.poll(Time::START).unwrap();
    assert!(other.greet(pending, "hello").is_err());
    assert!(other.output().is_empty());
}

#[test]
fn streams_are_exact() {
    let (mut session, _) = logged_in(&[b"0123456789"]);
    session.input().extend_from_slice(b"RETR 1\r\nSTAT\r\n");
    let Ok(Step::Event(Event::Retrieve { pending, .. })) = session.poll(Time::START) else {
        panic!()
    };
    let stream = session.promise(pending, 10).unwrap();
    assert!(matches!(
        session.send(stream, b"0123456789x"),
        Err(SendError::TooLong(_))
    ));
    session.send(stream, b"01234").unwrap();
    assert!(matches!(
        session.poll(Time::START),
        Ok(Step::Event(Event::Room(_)))
    ));
    session.send(stream, b"56789").unwrap();
    assert!(matches!(
        session.send(stream, b""),
        Err(SendError::Stale(_))
    ));
    assert!(matches!(
        session.poll(Time::START),
        Ok(Step::Event(Event::Sent(_)))
    ));
    assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
    assert_eq!(
        &session.output()[..],
        b"+OK 10 octets\r\n0123456789\r\n.\r\n+OK 1 10\r\n"
    );
}

#[test]
fn a_message_given_up_closes_and_has_no_end() {
    let (mut session, _) = logged_in(&[b"0123456789"]);
    session.input().extend_from_slice(b"RETR 1\r\nQUIT\r\n");
    let Ok(Step::Event(Event::Retrieve { pending, .. })) = session.poll(Time::START) else {
        panic!()
    };
    let stream = session.promise(pending, 10).unwrap();
    session.send(stream, b"01234\r\n").unwrap();
    session.abandon(stream).unwrap();
    assert_eq!(
        session.poll(Time::START).unwrap_err(),
        Error::Misuse(Misuse::Abandoned)
    );
    assert_eq!(&session.output()[..], b"+OK 10 octets\r\n01234\r\n");
    assert!(matches!(
        session.poll(Time::START),
        Err(Error::Misuse(Misuse::Abandoned))
    ));
}

#[test]
fn lists_and_messages_wait_for_room() {
    let message = vec![b'x'; 1_000_000];
    let (mut session, mut mailbox) = logged_in(&vec![&b""[..]; 20_000]);
    mailbox.messages[0] = message;
    mailbox.piece = 10_000;
    session
        .input()
        .extend_from_slice(b"UIDL\r\nLIST\r\nUIDL\r\nRETR 1\r\n");
    // The list says that the first message is empty; what is promised counts.
    let (mut most, mut all) = (0, 0);
    loop {
        let _step = settle(&mut session, &mut mailbox, Time::START).unwrap();
        let sent = session.output().split().len();
        if sent == 0 {
            break;
        }
        most = most.max(sent);
        all += sent;
    }
    assert!(most < 64 * 1024 + 10_100, "{most} octets of output at once");
    assert!(all > 1_000_000 + 3 * 20_000 * 5, "{all}");
}

#[test]
fn twenty_mistakes() {
    let lines = "FOO\r\n".repeat(30);
    let (output, _) = talk(server(), Mailbox::default(), &lines);
    assert_eq!(output.matches("-ERR").count(), 21);
}

#[test]
fn users_cannot_be_told_apart() {
    let replies = |user: &str| {
        let lines = format!("USER {user}\r\nPASS wrong\r\nQUIT\r\n");
        talk(server(), Mailbox::default(), &lines).0
    };
    assert_eq!(replies("mrose"), replies("nobody"));
}

#[test]
fn an_idle_session_is_small() {
    assert!(
        size_of::<server::Session>() <= 1_024,
        "{}",
        size_of::<server::Session>()
    );
    assert!(
        size_of::<client::Session>() <= 2_048,
        "{}",
        size_of::<client::Session>()
    );
}

#[test]
fn a_greeting_announces_no_apop() {
    let mut session = server();
    let Ok(Step::Event(Event::Connected(pending))) = session.poll(Time::START) else {
        panic!()
    };
    session
        .greet(pending, "ready <1896.697170952@dbc.mtview.ca.us>")
        .unwrap();
    assert_eq!(
        &session.output()[..],
        b"+OK ready 1896.697170952@dbc.mtview.ca.us\r\n"
    );
}

#[test]
fn time_limits_of_the_client() {
    let new = || client::Session::new(client::Config::default(), Entropy::new([1; 32]));
    let mut session = new();
    assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
    assert_eq!(
        session.poll(Time::START + 5 * MINUTE).unwrap_err(),
        client::Error::Silent
    );
    let mut session = new();
    session.input().extend_from_slice(b"+OK\r\n");
    assert!(matches!(session.poll(Time::START), Ok(Step::Event(_))));
    assert!(matches!(
        session.poll(Time::START + 5 * MINUTE),
        Ok(Step::NeedInput)
    ));
    assert_eq!(
        session.poll(Time::START + 10 * MINUTE).unwrap_err(),
        client::Error::Idle
    );
}

#[test]
fn a_password_does_not_leave_the_client_in_clear() {
    let mut session = client::Session::new(client::Config::default(), Entropy::new([1; 32]));
    let password = mail_wire::Secret::new(PASSWORD.to_owned());
    let user = "mrose".parse().unwrap();
    assert_eq!(
        session.user_pass(&user, &password),
        Err(client::NotQueued::Plaintext)
    );
    let mut config = config(PlaintextPolicy::Never);
    config.user_pass = true;
    let server = server::Session::new(config, Entropy::new([1; 32]));
    let (output, _) = talk(server, Mailbox::default(), "USER mrose\r\n");
    assert!(output.contains("-ERR USER is not offered"));
}
