//! Plaintext around STLS: nothing that came before TLS is executed or kept behind it (NO STARTTLS, CVE-2026-41319).

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod mailbox;

use mail_wire::{Layer, Session as _, Step, Time, Upgraded};
use mailbox::{Mailbox, config};
use pop3_proto::{client, server};
use sasl_core::{Entropy, PlaintextPolicy};
use testkit::conformance::load_json;

fn tls() -> Upgraded {
    Upgraded::Tls(Box::default())
}

fn at_upgrade(input: &[u8]) -> server::Session {
    let mut session = server::Session::new(config(PlaintextPolicy::Always), Entropy::new([5; 32]));
    let mut mailbox = Mailbox::default();
    session.input().extend_from_slice(input);
    loop {
        match session.poll(Time::START) {
            Ok(Step::Event(event)) => mailbox.answer(&mut session, event),
            Ok(Step::Upgrade(Layer::Tls)) => return session,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_server_executes_nothing_that_came_along() {
    for behind in [
        "",
        "NOOP\r\n",
        "USER evil\r\n",
        "AUTH PLAIN\r\n",
        "QUIT\r\n",
        "US",
    ] {
        // What USER said before is forgotten too.
        let mut session = at_upgrade(format!("USER mrose\r\nSTLS\r\n{behind}").as_bytes());
        let before = session.output().split();
        assert!(before.ends_with(b"+OK begin TLS\r\n"));
        session.upgraded(tls());
        assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
        assert!(session.output().is_empty(), "a reply to {behind:?}");
        session.input().extend_from_slice(b"PASS tan staaf\r\n");
        assert!(matches!(
            session.poll(Time::START),
            Ok(Step::Event(server::Event::Mistake(_)))
        ));
        assert!(session.output().starts_with(b"-ERR"));
    }
}

#[test]
fn the_server_offers_no_second_layer() {
    let mut session = at_upgrade(b"STLS\r\n");
    session.upgraded(tls());
    session.upgraded(tls());
    assert!(matches!(
        session.poll(Time::START),
        Err(server::Error::Misuse(server::Misuse::Layer))
    ));
}

fn client_at_upgrade(input: &[u8]) -> client::Session {
    let mut session = client::Session::new(client::Config::default(), Entropy::new([6; 32]));
    session.capa().unwrap();
    session.stls().unwrap();
    session
        .input()
        .extend_from_slice(b"+OK hello\r\n+OK\r\nSASL PLAIN\r\nPIPELINING\r\n.\r\n");
    session.input().extend_from_slice(input);
    loop {
        match session.poll(Time::START) {
            Ok(Step::Event(_)) => {}
            Ok(Step::Upgrade(Layer::Tls)) => return session,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_client_ends_where_plaintext_waits() {
    let mut session = client_at_upgrade(b"+OK begin\r\n+OK\r\n");
    session.upgraded(tls());
    assert!(matches!(
        session.poll(Time::START),
        Err(client::Error::Peer(client::Peer::PlaintextAfterStls))
    ));
}

#[test]
fn the_client_forgets_what_it_knew() {
    let mut session = client_at_upgrade(b"+OK begin\r\n");
    assert_eq!(session.capabilities().len(), 2);
    session.upgraded(tls());
    assert!(session.capabilities().is_empty());
    assert!(matches!(
        session.poll(Time::START),
        Ok(Step::Event(client::Event::TlsStarted { .. }))
    ));
}

#[test]
fn cases_of_the_suite() {
    let Some(suite) = load_json("attacks/starttls.json") else {
        return;
    };
    let mut ran = 0;
    for case in suite["cases"].as_array().unwrap() {
        if case["protocol"] != "pop3" {
            continue;
        }
        let Some(text) = case["bytes_before_tls_b64"].as_str() else {
            continue;
        };
        let bytes = sasl_core::base64::decode(text.as_bytes()).unwrap();
        let bytes = bytes.expose_secret();
        if case["under_test"] == "server" {
            let mut session = at_upgrade(bytes);
            session.output().clear();
            session.upgraded(tls());
            assert!(
                matches!(session.poll(Time::START), Ok(Step::NeedInput)),
                "{case}"
            );
            assert!(session.output().is_empty(), "{case}");
        } else {
            let mut session = client_at_upgrade(bytes);
            session.upgraded(tls());
            assert!(session.poll(Time::START).is_err(), "{case}");
        }
        ran += 1;
    }
    assert_eq!(ran, 3, "POP3 cases of attacks/starttls.json");
}
