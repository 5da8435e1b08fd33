//! The client's session: a dialogue in every split, and the attacks on STARTTLS.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use bytes::BytesMut;
use imap_proto::client::{Error, Event, Limits, Session, TlsPolicy};
use imap_proto::{CommandBody, Data};
use mail_wire::{Secret, Session as _, Step, Time, Upgraded};
use testkit::{Seen, every_split};

fn session(tls: bool) -> Session {
    let mut session = Session::new(TlsPolicy::Require, Limits::default(), [0, 1, 2, 3]);
    if tls {
        session.upgraded(Upgraded::Tls(Box::default()));
    }
    session
}

/// Logs in, then asks for the message 1 and leaves.
fn application() -> impl FnMut(&mut Session, Event) {
    let mut step = 0;
    move |session, event| {
        if !matches!(event, Event::Greeting(_) | Event::Done(..)) {
            return;
        }
        step += 1;
        let body = match step {
            1 => CommandBody::Login {
                user: b"us\"er".to_vec(),
                password: Secret::new(b"pen\r\ncil".to_vec()),
            },
            2 => {
                imap_proto::parse_command(b"x FETCH 1 (FLAGS BODY[])", false)
                    .unwrap()
                    .body
            }
            3 => CommandBody::Logout,
            _ => return,
        };
        session.command(body).unwrap();
    }
}

#[test]
fn a_dialogue_in_every_split() {
    let run = every_split(
        b"* OK [CAPABILITY IMAP4rev1] hello\r\n+ go on\r\nABCD1 OK [CAPABILITY IMAP4rev2] in\r\n\
* 1 FETCH (BODY[] {11}\r\nABCD9 OK x\r FLAGS (\\Seen))\r\nABCD2 OK done\r\n* BYE\r\nABCD3 OK bye\r\n",
        || session(true),
        application,
        |event| match event {
            Event::Body(octets) => Seen::Body(octets.to_vec()),
            event => Seen::debug(event),
        },
    );
    assert_eq!(
        String::from_utf8(run.output).unwrap(),
        "ABCD1 LOGIN \"us\\\"er\" {8}\r\npen\r\ncil\r\nABCD2 FETCH 1 (FLAGS BODY[])\r\nABCD3 LOGOUT\r\n"
    );
}

fn drive(session: &mut Session, input: &[u8]) -> (Vec<Event>, Result<Step<Event>, Error>) {
    session.input().extend_from_slice(input);
    let mut events = Vec::new();
    loop {
        match session.poll(Time::START) {
            Ok(Step::Event(event)) => events.push(event),
            end => return (events, end),
        }
    }
}

#[test]
fn starttls_attacks() {
    // Responses behind the tagged OK.
    let mut s = session(false);
    let _ = drive(&mut s, b"* OK hello\r\n");
    s.command(CommandBody::StartTls).unwrap();
    let (_, end) = drive(
        &mut s,
        b"ABCD1 OK begin\r\n* CAPABILITY IMAP4REV1 AUTH=PLAIN\r\nABCD2 OK done\r\n",
    );
    assert!(matches!(end, Ok(Step::Upgrade(_))));
    s.upgraded(Upgraded::Tls(Box::default()));
    assert!(s.capabilities().is_none());
    assert!(matches!(drive(&mut s, b"").1, Err(Error::Peer(_))));

    // Untagged data in the clear is not heard.
    for data in [
        "LIST () \"/\" INJECTED",
        "SEARCH 1 2",
        "9 EXISTS",
        "1 EXPUNGE",
        "1 FETCH (FLAGS ())",
        "OK [ALERT] call",
        "FLAGS (\\x)",
    ] {
        let mut s = session(false);
        let _ = drive(&mut s, b"* OK hello\r\n");
        s.command(CommandBody::StartTls).unwrap();
        let (events, end) = drive(&mut s, format!("* {data}\r\nABCD1 OK begin\r\n").as_bytes());
        assert!(events.is_empty(), "{data}: {events:?}");
        assert!(matches!(end, Ok(Step::Upgrade(_))));
        s.upgraded(Upgraded::Tls(Box::default()));
        let (events, _) = drive(&mut s, b"");
        assert!(matches!(&events[..], [Event::Done(..)]), "{events:?}");
    }

    let (_, end) = drive(&mut session(false), b"* PREAUTH welcome\r\n");
    assert!(matches!(end, Err(Error::Tls(_))));

    // An early tagged response, before its command.
    let mut s = session(false);
    assert!(matches!(
        drive(&mut s, b"* OK hello\r\nABCD1 OK begin\r\n").1,
        Err(Error::Peer(_))
    ));

    let mut s = session(false);
    let _ = drive(&mut s, b"* OK hello\r\n");
    let login = CommandBody::Login {
        user: b"u".to_vec(),
        password: Secret::new(b"p".to_vec()),
    };
    assert!(s.command(login).is_err());
    assert_eq!(*s.output(), BytesMut::new());
}

#[test]
fn a_referral_in_the_clear_is_not_heard() {
    let (events, _) = drive(
        &mut session(false),
        b"* OK [REFERRAL imap://evil.example/] go\r\n* CAPABILITY IMAP4rev2\r\n",
    );
    assert!(
        matches!(&events[..], [Event::Greeting(status), Event::Data(Data::Capability(_))] if status.code.is_none())
    );
}
