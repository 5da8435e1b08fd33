//! Replies of real servers: `smtp/mailkit-replies` of the conformance data.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panic, and reads the public suite"
)]

use bytes::BytesMut;
use mail_syntax::{Host, Mailbox};
use mail_wire::{Session as _, Step, Time};
use sasl_core::{Credentials, Entropy, Mechanism, PlaintextPolicy};
use smtp_proto::client::{Config, Envelope, Event, Recipient, Session, TlsPolicy};
use smtp_proto::{Extensions, Reply, ReplyReader};

/// The file with CR LF; `None` where the suite is not there.
fn file(name: &str) -> Option<Vec<u8>> {
    let path = testkit::conformance::root()?
        .join("smtp/mailkit-replies")
        .join(name);
    let text = std::fs::read_to_string(path).ok()?;
    Some(
        text.replace("\r\n", "\n")
            .replace('\n', "\r\n")
            .into_bytes(),
    )
}

fn replies(octets: &[u8]) -> Vec<Reply> {
    let (mut input, mut reader) = (BytesMut::from(octets), ReplyReader::default());
    let mut replies = Vec::new();
    while let Some(reply) = reader.next(&mut input).unwrap() {
        replies.push(reply.with_enhanced_from_text());
    }
    assert!(input.is_empty() && !reader.is_inside_reply());
    replies
}

#[test]
fn every_file_is_read() {
    let Some(root) = testkit::conformance::root() else {
        eprintln!("skipped: no smtp/mailkit-replies; set MAIL_CONFORMANCE_DIR");
        return;
    };
    let mut files = 0;
    for entry in std::fs::read_dir(root.join("smtp/mailkit-replies")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".txt") {
            continue;
        }
        files += 1;
        let replies = replies(&file(&name).unwrap());
        let count = if name.starts_with("pipelined") { 2 } else { 1 };
        assert_eq!(replies.len(), count, "{name}");
    }
    assert_eq!(files, 36);
}

#[test]
fn what_comcast_offers() {
    for (name, more) in [
        ("comcast-ehlo.txt", &[][..]),
        ("comcast-ehlo+binarymime.txt", &["CHUNKING", "BINARYMIME"]),
        ("comcast-ehlo+dsn.txt", &["PIPELINING", "DSN"]),
        ("comcast-ehlo+pipelining.txt", &["PIPELINING"]),
        ("comcast-ehlo+requiretls.txt", &["REQUIRETLS"]),
        ("comcast-ehlo+smtputf8.txt", &["SMTPUTF8"]),
        ("comcast-ehlo+digest-md5.txt", &[]),
    ] {
        let Some(octets) = file(name) else {
            eprintln!("skipped: no {name}; set MAIL_CONFORMANCE_DIR");
            return;
        };
        let lines = Extensions::of(&replies(&octets)[0]).lines();
        let mut expected = vec![
            "SIZE 36700160",
            "8BITMIME",
            "STARTTLS",
            "AUTH PLAIN LOGIN",
            "ENHANCEDSTATUSCODES",
            "HELP",
        ];
        expected.extend(more);
        expected.sort_unstable();
        let mut found: Vec<&str> = lines.iter().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_whole_session_with_comcast() {
    let files = [
        "comcast-greeting.txt",
        "comcast-ehlo+pipelining.txt",
        "comcast-auth-login-password.txt",
        "comcast-auth-login-username.txt",
        "comcast-auth-login.txt",
        "pipelined-mail-from-rcpt-to.txt",
        "comcast-data.txt",
        "comcast-data-done.txt",
        "comcast-rset.txt",
        "comcast-quit.txt",
    ];
    let Some(octets) = files
        .iter()
        .map(|name| file(name))
        .collect::<Option<Vec<_>>>()
    else {
        eprintln!("skipped: no smtp/mailkit-replies; set MAIL_CONFORMANCE_DIR");
        return;
    };
    let mut config = Config::new("c.example".parse::<Host>().unwrap());
    config.tls = TlsPolicy::Never;
    config.sasl.plaintext = PlaintextPolicy::Always;
    let mut session = Session::new(config, Entropy::new([0; 32]));
    session.input().extend_from_slice(&octets.concat());
    let mut told = Vec::new();
    loop {
        match session.poll(Time::START).unwrap() {
            Step::Event(Event::Ready(_)) => {
                let credentials = Credentials::new("u".parse().unwrap(), "p");
                session.login(Mechanism::Login, credentials).unwrap();
            }
            Step::Event(Event::LoggedIn(_)) => {
                let to = Recipient::from("b@d.example".parse::<Mailbox>().unwrap());
                let from: Mailbox = "a@c.example".parse().unwrap();
                session.send(Envelope::new(from, [to])).unwrap();
            }
            Step::Event(Event::MailReply(reply) | Event::RecipientReply { reply, .. }) => {
                told.push(reply.enhanced().unwrap().to_string());
            }
            Step::Event(Event::Room(stream)) => session.finish(stream).unwrap(),
            Step::Event(Event::Delivered { .. }) => session.reset().unwrap(),
            Step::Event(Event::Reset(_)) => session.quit().unwrap(),
            Step::Closed => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["2.1.0", "2.1.5"]);
    assert!(session.output().ends_with(b"DATA\r\n.\r\nRSET\r\nQUIT\r\n"));
}
