//! The law of every session, for the client: the same bytes give the same events, however they are cut.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::cell::RefCell;

use mail_syntax::{Host, Mailbox};
use sasl_core::{Credentials, Entropy, Mechanism};
use smtp_proto::client::{Config, Envelope, Event, Protocol, Recipient, Session, TlsPolicy};
use testkit::{Ended, Run, Seen, every_split};

/// Logs in where it can, sends each message, then quits.
fn run(input: &str, messages: &[&[u8]], edit: impl Fn(&mut Config)) -> Run {
    let session = || {
        let mut config = Config::new("c.example".parse::<Host>().unwrap());
        config.tls = TlsPolicy::Opportunistic;
        config.sasl.plaintext = sasl_core::PlaintextPolicy::Always;
        edit(&mut config);
        Session::new(config, Entropy::new([7; 32]))
    };
    let next = |session: &mut Session, left: &RefCell<Vec<&[u8]>>| {
        if left.borrow().is_empty() {
            session.quit().unwrap();
            return;
        }
        let to = ["b@d.example", "c@d.example"];
        let recipients = to.map(|to| Recipient::from(to.parse::<Mailbox>().unwrap()));
        let from: Mailbox = "a@c.example".parse().unwrap();
        session.send(Envelope::new(from, recipients)).unwrap();
    };
    let application = || {
        let left = RefCell::new(messages.to_vec());
        move |session: &mut Session, event: Event| match event {
            Event::Ready(offered) if offered.auth.contains(Mechanism::Plain) => {
                let credentials = Credentials::new("tim".parse().unwrap(), "secret");
                session.login(Mechanism::Plain, credentials).unwrap();
            }
            Event::Room(stream) => {
                let content = left.borrow().first().copied().unwrap_or_default();
                // Content that cannot be sent ends the session; the next poll says so.
                if session.content(stream, content).is_ok() {
                    let _ = session.finish(stream);
                }
            }
            Event::Derive(derivation) => session.derived(derivation.run()).unwrap(),
            Event::Delivered { .. } | Event::Refused { .. } => {
                left.borrow_mut().remove(0);
                next(session, &left);
            }
            Event::Ready(_) | Event::LoggedIn(_) | Event::LoginRefused(_) => next(session, &left),
            _ => {}
        }
    };
    every_split(
        input.as_bytes(),
        session,
        application,
        |event| match event {
            Event::Room(_) => Seen::Nothing,
            event => Seen::debug(event),
        },
    )
}

const HELLO: &str =
    "220 mx\r\n250-mx\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250 PIPELINING\r\n";

#[test]
fn two_messages_and_a_goodbye() {
    let body: &[u8] = b"Subject: x\r\n\r\n.\r\n";
    for (chunking, go) in [(false, "354 go\r\n"), (true, "")] {
        let one = format!(
            "250 2.1.0 ok\r\n250-2.1.5 o\r\n250 2.1.5 k\r\n550 5.1.1 no\r\n{go}250 2.6.0 ok\r\n"
        );
        let input = format!("{HELLO}{one}{one}221 2.0.0 bye\r\n");
        let run = run(&input, &[body, body], |config| config.chunking = chunking);
        assert_eq!(run.ended, Ended::Closed);
        assert_eq!(run.events.len(), 9, "{:?}", run.events);
        let text = String::from_utf8(run.output).unwrap();
        let ends = text.matches("\r\n.\r\n").count() - if chunking { 2 } else { 0 };
        assert_eq!(ends, if chunking { 0 } else { 2 }, "{text}");
        assert_eq!(
            text.matches("BDAT 17 LAST\r\n").count(),
            if chunking { 2 } else { 0 }
        );
    }
}

#[test]
fn logins() {
    for (reply, events) in [
        ("235 2.7.0 ok\r\n", 2),
        ("535 5.7.8 no\r\n", 2),
        ("334 \r\n501 5.5.2 cancelled\r\n", 2),
    ] {
        let input = format!("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n{reply}221 bye\r\n");
        let run = run(&input, &[], |_| {});
        assert_eq!(run.events.len(), events, "{:?}", run.events);
    }
}

#[test]
fn starttls_whatever_waits_behind_it() {
    for (behind, plaintext_after) in [("", false), ("250 evil\r\n", true)] {
        let input = format!("220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n{behind}");
        let run = run(&input, &[], |config| config.tls = TlsPolicy::Require);
        let layer = mail_wire::Layer::Tls;
        assert_eq!(
            run.ended,
            Ended::Upgrade {
                layer,
                plaintext_after
            }
        );
        assert_eq!(run.output, b"EHLO c.example\r\nSTARTTLS\r\n");
    }
}

#[test]
fn lmtp() {
    let input = format!(
        "{HELLO}250 2.1.0 o\r\n250 2.1.5 k\r\n250 2.1.5 k\r\n354 go\r\n250 2.0.0 a\r\n452 4.2.2 b\r\n221 bye\r\n"
    );
    let run = run(&input, &[b"x"], |config| config.protocol = Protocol::Lmtp);
    assert_eq!(run.ended, Ended::Closed);
    let Some(Seen::Event(last)) = run.events.last() else {
        panic!("{:?}", run.events);
    };
    assert!(last.starts_with("Delivered { accepted: [0, 1]"), "{last}");
}

#[test]
fn servers_that_break_the_protocol() {
    let hello = HELLO;
    for (input, error) in [
        ("220 mx\n".to_owned(), "Peer(Malformed(BareLf"),
        (
            "HTTP/1.1 400 Bad Request\r\n".to_owned(),
            "Peer(Malformed(Code",
        ),
        ("554 go away\r\n".to_owned(), "Peer(Refused("),
        ("421 later\r\n".to_owned(), "Peer(Closing("),
        ("250 mx\r\n".to_owned(), "Peer(Unexpected"),
        (format!("{hello}354 go\r\n"), "Peer(Unexpected"),
        (format!("{hello}250 o\r\n421 bye\r\n"), "Peer(Closing("),
        (
            format!("{hello}250 o\r\n250 k\r\n250 k\r\n250 go\r\n"),
            "Peer(Unexpected",
        ),
        (
            format!("{hello}250 o\r\n250 k\r\n250 k\r\n354 go\r\n421 bye\r\n"),
            "Peer(Closing(",
        ),
        (
            format!("{hello}250 o\r\n250 k\r\n250 k\r\n354 go\r\n354 go\r\n"),
            "Peer(Unexpected",
        ),
        (
            format!("{hello}250-o\r\n251 k\r\n"),
            "Peer(Malformed(CodeChanges",
        ),
    ] {
        let run = run(&input, &[b"x\r\n"], |_| {});
        let Ended::Error(found) = &run.ended else {
            panic!("{input}: {:?}", run.ended);
        };
        assert!(found.starts_with(error), "{input}: {found}");
    }
}

#[test]
fn content_that_cannot_be_sent_has_no_end() {
    let input = format!("{HELLO}250 o\r\n250 k\r\n250 k\r\n354 go\r\n250 taken\r\n");
    for content in [&b"a\nb\r\n"[..], b"a\r", b"a\rb"] {
        let run = run(&input, &[content], |_| {});
        assert!(
            matches!(&run.ended, Ended::Error(error) if error.starts_with("Misuse(Content(BareLineEnd"))
        );
        assert!(
            run.output.ends_with(b"DATA\r\na"),
            "no end: {}",
            run.output.escape_ascii()
        );
    }
}
