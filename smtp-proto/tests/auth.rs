//! AUTH (RFC 4954).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{answer, config, run, session, tls, with_sasl};
use mail_wire::{Secret, Session as _, Step, Time};
use sasl_core::server::ServerConfig;
use smtp_proto::server::{AuthFailure, Config, Event, Role, Session};
use testkit::transcript::against_server;

const TIM: &str = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm";

fn codes(config: Config, input: &str) -> Vec<u16> {
    let outcome = run(
        &mut session(config),
        format!("EHLO c.example\r\n{input}").as_bytes(),
    );
    outcome.codes[2..].to_vec()
}

/// RFC 4954 §4.2 and §4.3: with and without an initial response; and HELO has no extensions.
#[test]
fn examples() {
    let before = format!(
        "\
S: 220 *
C: HELO c.example
S: 250 *
C: AUTH PLAIN {TIM}
S: 503 *
C: EHLO c.example
S: 250-mx.example *
S: 250-PIPELINING
S: 250-SIZE 52428800
S: 250-8BITMIME
S: 250-SMTPUTF8
S: 250-AUTH SCRAM-SHA-256 PLAIN
S: 250-ENHANCEDSTATUSCODES
S: 250-CHUNKING
S: 250 LIMITS RCPTMAX=1000
"
    );
    for dialog in [
        format!("C: AUTH PLAIN {TIM}\nS: 235 2.7.0 *\n"),
        format!("C: AUTH PLAIN\nS: 334 \nC: {TIM}\nS: 235 2.7.0 Authentication succeeded\n"),
        format!("C: auth plain\nS: 334 \nC: *\nS: 501 5.7.0 *\nC: AUTH PLAIN {TIM}\nS: 235 *\n"),
    ] {
        let session = session(with_sasl(config()));
        let server = against_server(session, &format!("{before}{dialog}"), answer);
        assert_eq!(server.login().unwrap().identity().as_str(), "tim");
    }
}

/// RFC 4954 §4: not twice, not in a transaction, not what is not offered.
#[test]
fn out_of_place() {
    let sasl = || with_sasl(config());
    let twice = codes(sasl(), &format!("AUTH PLAIN {TIM}\r\nAUTH PLAIN {TIM}\r\n"));
    assert_eq!(twice, [235, 503]);
    let inside = codes(
        sasl(),
        &format!("MAIL FROM:<a@b>\r\nAUTH PLAIN {TIM}\r\nRCPT TO:<a@b>\r\n"),
    );
    assert_eq!(inside, [250, 503, 250], "the transaction goes on");
    assert_eq!(
        codes(sasl(), "AUTH CRAM-MD5\r\nAUTH LOGIN\r\nAUTH\r\n"),
        [504, 504, 501]
    );
    assert_eq!(codes(config(), &format!("AUTH PLAIN {TIM}\r\n")), [502]);
}

/// A password goes under TLS only, unless the configuration says otherwise.
#[test]
fn plaintext_needs_tls() {
    let mut strict = config();
    strict.sasl = Some(ServerConfig::new(Secret::new([1; 32])));
    assert_eq!(
        codes(strict.clone(), &format!("AUTH PLAIN {TIM}\r\n")),
        [538]
    );
    let mut under_tls = session(strict);
    under_tls.upgraded(tls());
    let outcome = run(
        &mut under_tls,
        format!("EHLO c.example\r\nAUTH PLAIN {TIM}\r\n").as_bytes(),
    );
    assert_eq!(outcome.codes, [220, 250, 235]);
}

/// Lines that are no base64, too long, or end in a bare LF fail the exchange, and what follows is a command again.
#[test]
fn malformed_responses() {
    let sasl = || with_sasl(config());
    assert_eq!(
        codes(sasl(), "AUTH PLAIN\r\n????\r\nNOOP\r\n"),
        [334, 501, 250]
    );
    assert_eq!(
        codes(sasl(), &format!("AUTH PLAIN\r\n{TIM}\nNOOP\r\n")),
        [334, 501, 250]
    );
    assert_eq!(codes(sasl(), "AUTH PLAIN AHRpbQ\r\nNOOP\r\n"), [501, 250]);
    assert_eq!(codes(sasl(), "AUTH PLAIN =\r\nNOOP\r\n"), [501, 250]);
    let long = "A".repeat(12_288);
    assert_eq!(
        codes(sasl(), &format!("AUTH PLAIN\r\n{long}\r\nNOOP\r\n")),
        [334, 500, 250]
    );
    let fits = "A".repeat(12_284);
    assert_eq!(
        codes(sasl(), &format!("AUTH PLAIN\r\n{fits}\r\nNOOP\r\n")),
        [334, 501, 250]
    );
    assert_eq!(
        codes(
            sasl(),
            &format!("AUTH PLAIN {}\r\nNOOP\r\n", &fits[..8_000])
        ),
        [501, 250]
    );
}

#[test]
fn guessing_ends() {
    let outcome = run(
        &mut session(with_sasl(config())),
        "EHLO c.example\r\nAUTH PLAIN AHRpbQB4\r\n"
            .repeat(5)
            .as_bytes(),
    );
    assert_eq!(outcome.codes, [220, 250, 535, 250, 535, 250, 535, 421]);
    assert_eq!(outcome.end, "TooManyAuthentications");
}

/// Submission takes mail from those who have authenticated.
#[test]
fn submission() {
    let mut config = with_sasl(config());
    config.role = Role::Submission;
    let outcome = codes(
        config,
        &format!("MAIL FROM:<a@b>\r\nAUTH PLAIN {TIM}\r\nMAIL FROM:<a@b> AUTH=<>\r\n"),
    );
    assert_eq!(outcome, [530, 235, 250]);
}

/// SCRAM: the server's last word goes as a challenge, to which the client says nothing (RFC 4954 §4).
#[test]
fn scram() {
    use sasl_core::{Credentials, Entropy, Mechanism, Mechanisms, client};
    let mut session = session(with_sasl(config()));
    run(&mut session, b"EHLO c.example\r\n");
    let mut client = client::Exchange::new(
        Mechanism::ScramSha256,
        Credentials::new("user".parse().unwrap(), "pencil"),
        &Mechanisms::from_iter([Mechanism::ScramSha256]),
        None,
        &client::Policy::default(),
        &mut Entropy::new([3; 32]),
    )
    .unwrap();
    let initial = client.initial().unwrap();
    let encode = |octets: &[u8]| sasl_core::base64::encode(octets).expose_secret().clone();
    let mut line = format!("AUTH SCRAM-SHA-256 {}\r\n", encode(initial.expose_secret()));
    for _ in 0..2 {
        let said = said(&mut session, &line);
        let challenge = said.strip_prefix("334 ").unwrap().trim_end();
        let challenge = sasl_core::base64::decode(challenge.as_bytes()).unwrap();
        let mut next = client.challenge(challenge.expose_secret()).unwrap();
        if let client::Next::Derive(work) = next {
            next = client.derived(work.run()).unwrap();
        }
        line = match next {
            client::Next::Response(response) => format!("{}\r\n", encode(response.expose_secret())),
            _ => "\r\n".to_owned(),
        };
    }
    assert!(said(&mut session, &line).starts_with("235 2.7.0 "));
    assert_eq!(session.login().unwrap().authcid.as_str(), "user");
}

fn said(session: &mut Session, line: &str) -> String {
    session.input().extend_from_slice(line.as_bytes());
    while let Ok(Step::Event(event)) = session.poll(Time::START) {
        answer(session, event);
    }
    String::from_utf8(session.output().split().to_vec()).unwrap()
}

/// An application that cannot answer says so; no event shows a password.
#[test]
fn unavailable_and_untold() {
    let mut session = session(with_sasl(config()));
    run(&mut session, b"EHLO c.example\r\n");
    session
        .input()
        .extend_from_slice(format!("AUTH PLAIN {TIM}\r\n").as_bytes());
    let mut failures = Vec::new();
    while let Ok(Step::Event(event)) = session.poll(Time::START) {
        assert!(!format!("{event:?}").contains("tanstaaf"));
        match event {
            Event::Auth { pending, .. } => session.auth_unavailable(pending).unwrap(),
            Event::AuthenticationFailed(failure) => failures.push(failure),
            event => answer(&mut session, event),
        }
    }
    assert_eq!(common::codes(session.output()), [454]);
    assert_eq!(failures, [AuthFailure::Unavailable]);
}
