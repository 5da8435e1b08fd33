//! The same bytes give the same events however they are cut, on both sides; and a session ends however they are cut off.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod mailbox;

use mailbox::{Mailbox, PASSWORD, config, server};
use pop3_proto::{client, server};
use sasl_core::{Credentials, Entropy, PlaintextPolicy};
use testkit::{Ended, Seen, every_split};

fn seen(event: &server::Event) -> Seen {
    match event {
        server::Event::Room(_) => Seen::Nothing,
        event => Seen::debug(event),
    }
}

fn application() -> impl FnMut(&mut server::Session, server::Event) {
    let mut mailbox = Mailbox::new(&[b"a: b\r\n\r\n.\r\n", b"c: d\r\n\r\ne\r\nf\r\n"]);
    mailbox.piece = 5;
    move |session, event| mailbox.answer(session, event)
}

#[test]
fn the_server() {
    let long = "x".repeat(300);
    let session = format!(
        "CAPA\r\nNOOP\r\nUSER mrose\r\nPASS wrong\r\n{long}\r\nUSER a\nAUTH PLAIN\r\n*\r\n\
         USER mrose\r\nPASS {PASSWORD}\r\nSTAT\r\nLIST\r\nUIDL\r\nTOP 2 1\r\nRETR 1\r\nRETR 9\r\nDELE 1\r\nBAD\0\r\nQUIT\r\nNOOP\r\n"
    );
    let run = every_split(session.as_bytes(), server, application, seen);
    assert_eq!(run.ended, Ended::Closed);
    assert!(
        run.output.ends_with(b"+OK bye\r\n"),
        "{}",
        String::from_utf8_lossy(&run.output)
    );
}

#[test]
fn the_server_before_tls() {
    let session =
        || server::Session::new(config(PlaintextPolicy::RequireTls), Entropy::new([2; 32]));
    let run = every_split(b"CAPA\r\nSTLS\r\nUSER evil\r\n", session, application, seen);
    assert!(
        matches!(
            run.ended,
            Ended::Upgrade {
                plaintext_after: true,
                ..
            }
        ),
        "{:?}",
        run.ended
    );
}

#[test]
fn the_server_after_three_failures() {
    let session = "USER a\r\nPASS b\r\nAUTH PLAIN ====\r\nAUTH PLAIN AGEAYg==\r\nQUIT\r\n";
    let run = every_split(session.as_bytes(), server, application, seen);
    assert_eq!(run.ended, Ended::Closed);
    assert!(
        run.output
            .ends_with(b"-ERR [AUTH] authentication failed\r\n")
    );
}

fn client() -> client::Session {
    let mut config = client::Config::default();
    config.sasl.plaintext = PlaintextPolicy::Always;
    let mut session = client::Session::new(config, Entropy::new([2; 32]));
    session.capa().unwrap();
    session
}

/// Asks for everything once it knows what the server can do.
fn commands() -> impl FnMut(&mut client::Session, client::Event) {
    |session, event| {
        if let client::Event::Capabilities { .. } = event {
            let credentials = Credentials::new("mrose".parse().unwrap(), PASSWORD);
            session.auth(credentials).unwrap();
            session.stat().unwrap();
            session.list(None).unwrap();
            session.uidl(Some("1".parse().unwrap())).unwrap();
            session.retr("1".parse().unwrap()).unwrap();
            session.top("2".parse().unwrap(), 3).unwrap();
            session.noop().unwrap();
            session.quit().unwrap();
        }
    }
}

fn client_seen(event: &client::Event) -> Seen {
    match event {
        client::Event::Body(piece) => Seen::Body(piece.to_vec()),
        event => Seen::debug(event),
    }
}

#[test]
fn the_client() {
    let server = b"+OK hello\r\n+OK\r\nSASL PLAIN\r\nPIPELINING\r\nX-Other a b\r\n.\r\n+OK in\r\n+OK 2 30\r\n+OK\r\n1 10\r\n2 20\r\n\
        .\r\n+OK 1 abc\r\n+OK\r\na: b\r\n\r\n..\r\n...c\r\n.\r\n-ERR [SYS/TEMP] later\r\n+OK\r\n+OK bye\r\n";
    let run = every_split(server, client, commands, client_seen);
    assert_eq!(run.ended, Ended::Closed, "{:#?}", run.events);
    assert!(
        run.events
            .contains(&Seen::Body(b"a: b\r\n\r\n.\r\n..c\r\n".to_vec()))
    );
    assert!(
        run.output
            .ends_with(b"STAT\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nTOP 2 3\r\nNOOP\r\nQUIT\r\n")
    );
}

#[test]
fn the_client_and_servers_that_break_the_protocol() {
    let head = "+OK hello\r\n+OK\r\nSASL PLAIN\r\n.\r\n";
    for (server, want) in [
        ("hello\r\n".to_owned(), "Reply"),
        ("+OK hello\r\nno\r\n".to_owned(), "Reply"),
        (
            "+OK hello\r\n+OK\r\n\r\n.\r\n".to_owned(),
            "Malformed(\"CAPA\")",
        ),
        (format!("{head}+ x\r\n"), "NeedInput"),
        (format!("{head}+ x\r\n+ \r\n"), "Challenge"),
        (format!("{head}+ x\r\n+OK\r\n"), "OutOfOrder"),
        (
            format!("{head}+OK\r\n+OK many 3\r\n"),
            "Malformed(\"STAT\")",
        ),
        (
            format!("{head}+OK\r\n+OK 1 3\r\n+OK\r\n0 3\r\n"),
            "Malformed(\"LIST\")",
        ),
        (
            format!("{head}+OK\r\n+OK 1 3\r\n+OK\r\n1 +3\r\n"),
            "Malformed(\"LIST\")",
        ),
        (format!("+OK {}\r\n", "x".repeat(9_000)), "Line"),
    ] {
        let run = every_split(server.as_bytes(), client, commands, client_seen);
        assert!(
            format!("{:?}", run.ended).replace('\\', "").contains(want),
            "{server:?}: {:?}",
            run.ended
        );
    }
    let unasked = || {
        let config = client::Config::default();
        client::Session::new(config, Entropy::new([2; 32]))
    };
    let run = every_split(
        b"+OK\r\n-ERR too late\r\n",
        unasked,
        || |_: &mut client::Session, _| {},
        client_seen,
    );
    assert!(
        format!("{:?}", run.ended).contains("Unasked"),
        "{:?}",
        run.ended
    );
}
