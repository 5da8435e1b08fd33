//! STARTTLS (RFC 3207): nothing that came in the clear lives on behind it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{config, run, session, tls, with_sasl};
use mail_wire::{Layer, Session as _, Step, Time};
use smtp_proto::server::{Config, Error, StartTls};

fn offering() -> Config {
    let mut config = with_sasl(config());
    config.start_tls = StartTls::Offered;
    config
}

/// VU#555316, CVE-2011-0411: commands that came along with STARTTLS are never executed.
#[test]
fn injected_commands_are_fatal() {
    let mut session = session(offering());
    let outcome = run(
        &mut session,
        b"EHLO c.example\r\nSTARTTLS\r\nMAIL FROM:<evil@c.example>\r\n",
    );
    assert_eq!(outcome.end, "Upgrade(Tls)");
    assert_eq!(outcome.codes, [220, 250, 220]);
    assert!(outcome.senders.is_empty());
    assert!(
        !session.input().is_empty(),
        "whoever drives the session sees the plaintext"
    );
    session.upgraded(tls());
    assert!(session.input().is_empty());
    assert_eq!(
        session.poll(Time::START).err(),
        Some(Error::PlaintextAfterStartTls)
    );
    assert!(matches!(session.poll(Time::START), Ok(Step::Closed)));
}

#[test]
fn nothing_is_read_until_tls_stands() {
    let mut session = session(offering());
    assert_eq!(
        run(&mut session, b"EHLO c.example\r\nSTARTTLS\r\n").end,
        "Upgrade(Tls)"
    );
    assert!(!session.wants_input());
    assert!(session.deadline().is_some());
    assert!(
        matches!(session.poll(Time::START), Ok(Step::Upgrade(Layer::Tls))),
        "it still waits"
    );
}

/// RFC 3207 §4.2: all knowledge is discarded: EHLO, the login, the transaction.
#[test]
fn the_state_is_fresh() {
    let mut session = session(offering());
    let before = "EHLO c.example\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nSTARTTLS\r\n";
    let outcome = run(&mut session, before.as_bytes());
    assert_eq!(outcome.codes, [220, 250, 235, 250, 250, 220]);
    assert_eq!(outcome.aborted, 1);
    assert!(session.login().is_some());
    session.upgraded(tls());
    assert!(session.hello().is_none() && session.login().is_none() && session.envelope().is_none());
    let outcome = run(
        &mut session,
        b"DATA\r\nMAIL FROM:<a@c.example>\r\nEHLO c.example\r\nSTARTTLS\r\n",
    );
    assert_eq!(
        outcome.codes,
        [503, 503, 250, 503],
        "no second greeting, and no second STARTTLS"
    );
}

#[test]
fn starttls_is_offered_in_the_clear_only() {
    let mut clear = session(offering());
    run(&mut clear, b"");
    clear.input().extend_from_slice(b"EHLO c.example\r\n");
    let listed = |session: &mut smtp_proto::server::Session| {
        while let Ok(Step::Event(event)) = session.poll(Time::START) {
            common::answer(session, event);
        }
        String::from_utf8(session.output().split().to_vec()).unwrap()
    };
    assert!(listed(&mut clear).contains("STARTTLS"));
    let mut implicit = session(offering());
    implicit.upgraded(tls());
    implicit.input().extend_from_slice(b"EHLO c.example\r\n");
    let text = listed(&mut implicit);
    assert!(
        text.starts_with("220 ") && !text.contains("STARTTLS"),
        "{text}"
    );
}

/// RFC 3207 §4: 530 to all but NOOP, EHLO, STARTTLS, QUIT; and no AUTH is offered.
#[test]
fn required() {
    let mut config = offering();
    config.start_tls = StartTls::Required;
    let mut session = session(config);
    let outcome = run(
        &mut session,
        b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nAUTH PLAIN AHRpbQB0YW5z\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\nSTARTTLS\r\n",
    );
    assert_eq!(outcome.codes, [220, 250, 530, 530, 530, 250, 220]);
    session.upgraded(tls());
    let outcome = run(
        &mut session,
        b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\n",
    );
    assert_eq!(outcome.codes, [250, 250]);
}

#[test]
fn unavailable() {
    let outcome = run(
        &mut session(config()),
        b"EHLO c.example\r\nSTARTTLS\r\nNOOP\r\n",
    );
    assert_eq!(outcome.codes, [220, 250, 502, 250]);
}
