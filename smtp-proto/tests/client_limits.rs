//! Time limits, bounds, and what an application may not do, in the client.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::time::Duration;

use mail_syntax::{Host, Mailbox, ReversePath};
use mail_wire::{End, Session as _, Step, Stream, Time};
use proptest::prelude::*;
use sasl_core::{Credentials, Entropy, Mechanism};
use smtp_proto::client::{
    CommandError, Config, ContentError, Envelope, Error, Event, Misuse, PeerError, Recipient,
    Session, TlsPolicy,
};
use smtp_proto::parameters::{BodyType, MailParameters};

fn session(said: &str) -> Session {
    let mut config = Config::new("c.example".parse::<Host>().unwrap());
    config.tls = TlsPolicy::Never;
    let mut session = Session::new(config, Entropy::new([7; 32]));
    session.input().extend_from_slice(said.as_bytes());
    session
}

fn envelope(parameters: MailParameters) -> Envelope {
    let to = Recipient::from("b@d.example".parse::<Mailbox>().unwrap());
    let mut envelope = Envelope::new("a@c.example".parse::<Mailbox>().unwrap(), [to]);
    envelope.parameters = parameters;
    envelope
}

/// Polls until nothing happens; sends one message when ready. The stream, where one was told of.
fn settle(session: &mut Session, now: Time) -> Result<Option<Stream>, Error> {
    let mut stream = None;
    loop {
        match session.poll(now)? {
            Step::Event(Event::Ready(_)) => {
                session.send(envelope(MailParameters::default())).unwrap();
            }
            Step::Event(Event::Room(room)) => stream = Some(room),
            Step::Event(_) => {}
            _ => return Ok(stream),
        }
    }
}

const HELLO: &str = "220 mx\r\n250 mx\r\n";

#[test]
fn rfc5321_section_4_5_3_2() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for (said, after, during) in [
        ("", 5, "before its greeting"),
        ("220 mx\r\n", 5, "after our name"),
        ("220 mx\r\n250 mx\r\n", 5, "after MAIL"),
        ("220 mx\r\n250 mx\r\n250 o\r\n", 5, "after RCPT"),
        ("220 mx\r\n250 mx\r\n250 o\r\n250 k\r\n", 2, "after DATA"),
    ] {
        let mut session = session(said);
        let start = Time::START + minutes(60);
        assert_eq!(settle(&mut session, start), Ok(None));
        let deadline = start + minutes(after);
        assert_eq!(session.deadline(), Some(deadline), "{during}");
        // The beginning of a reply is no reply.
        session.input().extend_from_slice(b"2");
        assert_eq!(settle(&mut session, start + minutes(1)), Ok(None));
        assert_eq!(session.deadline(), Some(deadline), "{during}");
        let error = settle(&mut session, deadline).unwrap_err();
        assert_eq!(error, PeerError::Timeout { during }.into());
        assert_eq!(session.deadline(), None);
        assert_eq!(
            session
                .poll(deadline)
                .map_err(|_| ())
                .map(|step| format!("{step:?}")),
            Ok("Closed".into())
        );
    }
}

#[test]
fn time_limits_of_the_content() {
    let minutes = |minutes: u64| Time::START + Duration::from_secs(minutes * 60);
    let said = format!("{HELLO}250 o\r\n250 k\r\n354 go\r\n");
    // The server takes nothing.
    let mut silent = session(&said);
    let stream = settle(&mut silent, Time::START).unwrap().unwrap();
    silent.content(stream, b"x\r\n").unwrap();
    settle(&mut silent, Time::START).unwrap();
    assert_eq!(silent.deadline(), Some(minutes(3)));
    silent.output().truncate(10);
    settle(&mut silent, minutes(2)).unwrap();
    assert_eq!(silent.deadline(), Some(minutes(5)), "it took some");
    assert!(matches!(
        settle(&mut silent, minutes(5)),
        Err(Error::Peer(PeerError::Timeout { .. }))
    ));
    // The application gives nothing.
    let mut idle = session(&said);
    settle(&mut idle, Time::START).unwrap();
    idle.output().clear();
    settle(&mut idle, minutes(1)).unwrap();
    assert_eq!(idle.deadline(), Some(minutes(6)));
    let error = settle(&mut idle, minutes(6)).unwrap_err();
    assert_eq!(error, Misuse::Unanswered("content").into());
    // The reply to the content.
    let mut slow = session(&said);
    let stream = settle(&mut slow, Time::START).unwrap().unwrap();
    slow.finish(stream).unwrap();
    slow.output().clear();
    settle(&mut slow, Time::START).unwrap();
    assert_eq!(slow.deadline(), Some(minutes(10)));
}

#[test]
fn an_idle_session_says_goodbye() {
    let mut session = session(HELLO);
    let Ok(Step::Event(Event::Ready(_))) = session.poll(Time::START) else {
        panic!("not ready");
    };
    assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
    session.output().clear();
    assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
    assert_eq!(
        (session.input().capacity(), session.output().capacity()),
        (0, 0)
    );
    assert!(size_of::<Session>() < 2_048, "an idle session is small");
    let late = Time::START + Duration::from_secs(240);
    assert_eq!(session.deadline(), Some(late));
    assert!(matches!(session.poll(late), Ok(Step::NeedInput)));
    assert!(session.output().ends_with(b"QUIT\r\n"));
    assert_eq!(session.quit(), Err(CommandError::NotNow));
    let later = late + Duration::from_secs(300);
    assert!(matches!(session.poll(later), Ok(Step::Closed)));
}

#[test]
fn what_is_not_offered_is_not_sent() {
    let parameters = |edit: fn(&mut MailParameters)| {
        let mut parameters = MailParameters::default();
        edit(&mut parameters);
        parameters
    };
    let not = |what| Err(CommandError::NotOffered(what));
    for (offers, parameters, expected) in [
        (
            "",
            parameters(|p| p.body = Some(BodyType::SevenBit)),
            Ok("MAIL FROM:<a@c.example>"),
        ),
        (
            "",
            parameters(|p| p.size = Some(7)),
            Ok("MAIL FROM:<a@c.example>"),
        ),
        (
            "SIZE",
            parameters(|p| p.size = Some(7)),
            Ok("MAIL FROM:<a@c.example> SIZE=7"),
        ),
        (
            "SIZE 6",
            parameters(|p| p.size = Some(7)),
            Err(CommandError::TooLarge { size: 7, limit: 6 }),
        ),
        (
            "",
            parameters(|p| p.body = Some(BodyType::EightBitMime)),
            not("8BITMIME"),
        ),
        (
            "BINARYMIME",
            parameters(|p| p.body = Some(BodyType::BinaryMime)),
            not("CHUNKING"),
        ),
        ("", parameters(|p| p.smtputf8 = true), not("SMTPUTF8")),
        (
            "",
            parameters(|p| p.envid = Some("x".parse().unwrap())),
            not("DSN"),
        ),
        (
            "REQUIRETLS",
            parameters(|p| p.require_tls = true),
            not("REQUIRETLS"),
        ),
        (
            "",
            parameters(|p| p.auth = Some("<>".parse().unwrap())),
            Ok("MAIL FROM:<a@c.example>"),
        ),
        (
            "AUTH PLAIN",
            parameters(|p| p.auth = Some("<>".parse().unwrap())),
            Ok("MAIL FROM:<a@c.example> AUTH=<>"),
        ),
    ] {
        let mut session = session(&format!("220 mx\r\n250-mx\r\n250 {offers}\r\n"));
        assert!(matches!(session.poll(Time::START), Ok(Step::Event(_))));
        session.output().clear();
        let found = session.send(envelope(parameters));
        assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
        let said = String::from_utf8(session.output().to_vec()).unwrap();
        match expected {
            Ok(line) => assert_eq!(said, format!("{line}\r\n")),
            Err(error) => assert_eq!((found, said.as_str()), (Err(error), "")),
        }
    }
}

#[test]
fn out_of_order() {
    let mut session = session("");
    let login = |session: &mut Session| {
        let credentials = Credentials::new("u".parse().unwrap(), "p");
        session.login(Mechanism::Plain, credentials)
    };
    assert_eq!(
        session.send(envelope(MailParameters::default())),
        Err(CommandError::NotNow)
    );
    assert_eq!(login(&mut session), Err(CommandError::NotNow));
    session
        .input()
        .extend_from_slice(format!("{HELLO}250 o\r\n250 k\r\n354 go\r\n").as_bytes());
    let stream = settle(&mut session, Time::START).unwrap().unwrap();
    assert_eq!(session.quit(), Err(CommandError::NotNow));
    assert_eq!(session.reset(), Err(CommandError::NotNow));
    let mut other = self::session(&format!("{HELLO}250 o\r\n250 k\r\n354 go\r\n"));
    let theirs = settle(&mut other, Time::START).unwrap().unwrap();
    assert!(matches!(
        session.content(theirs, b"x"),
        Err(ContentError::Stale(_))
    ));
    session.content(stream, b"half a line").unwrap();
    session.abort();
    assert!(session.output().is_empty());
    assert!(matches!(
        session.finish(stream),
        Err(ContentError::Stale(_))
    ));
    assert!(matches!(session.poll(Time::START), Ok(Step::Closed)));
    let bounce = Envelope::new(ReversePath::Null, []);
    assert_eq!(other.send(bounce), Err(CommandError::NotNow));
}

#[test]
fn seven_bit_is_kept() {
    let mut session = session("220 mx\r\n250-mx\r\n250 8BITMIME\r\n250 o\r\n250 k\r\n354 go\r\n");
    assert!(matches!(
        session.poll(Time::START),
        Ok(Step::Event(Event::Ready(_)))
    ));
    let mut parameters = MailParameters::default();
    parameters.body = Some(BodyType::SevenBit);
    session.send(envelope(parameters)).unwrap();
    let stream = settle(&mut session, Time::START).unwrap().unwrap();
    assert_eq!(
        session.content(stream, b"\xff\r\n"),
        Err(ContentError::EightBit)
    );
    let error = session.poll(Time::START).unwrap_err();
    assert_eq!(error, Misuse::Content(ContentError::EightBit).into());
    assert!(!session.output().ends_with(b".\r\n"));
}

/// For a fuzzer too: whatever a server says, the client ends, holds little, and sends no bare CR or LF.
fn any_server(said: &[u8]) {
    let mut session = session("");
    session.input().extend_from_slice(said);
    session.end_of_input(End::Clean);
    for _ in 0..10_000 {
        match session.poll(Time::START) {
            Ok(Step::Event(Event::Ready(_) | Event::Delivered { .. } | Event::Refused { .. })) => {
                let _ = session.send(envelope(MailParameters::default()));
            }
            Ok(Step::Event(Event::Room(stream))) => session.finish(stream).unwrap(),
            Ok(Step::Event(_)) => {}
            Ok(Step::Closed) | Err(_) => {
                let text = String::from_utf8(session.output().to_vec()).unwrap();
                assert!(text.replace("\r\n", "").chars().all(|c| !c.is_control()));
                return;
            }
            Ok(step) => panic!("{step:?} after the end"),
        }
    }
    panic!("no end");
}

proptest! {
    #[test]
    fn whatever_a_server_says(
        said in proptest::collection::vec(
            prop_oneof!["(220|250|354|421|451|550|503|334|235)[ -][a-z.A-Z0-9 ]{0,9}\r\n", ".{0,5}", "250-PIPELINING\r\n"], 0..20,
        )
    ) {
        any_server(said.concat().as_bytes());
        any_server(format!("{HELLO}{}", said.concat()).as_bytes());
    }
}
