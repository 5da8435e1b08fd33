//! STARTTLS and what a server, or someone in between, does to a client with it: `attacks/starttls.json` of the conformance data, and
//! the same by hand.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::time::Duration;

use bytes::BytesMut;
use mail_syntax::Host;
use mail_wire::{Session as _, Step, Time, TlsInfo, Upgraded};
use sasl_core::Entropy;
use sasl_core::base64;
use smtp_proto::client::{Config, Error, PeerError, Session, TlsError, TlsPolicy};
use testkit::conformance::load_json;

fn session(tls: TlsPolicy) -> Session {
    let mut config = Config::new("c.example".parse::<Host>().unwrap());
    config.tls = tls;
    Session::new(config, Entropy::new([7; 32]))
}

/// Everything that the server says in the clear, at once; the error, or the step at which it stopped.
fn hear(session: &mut Session, octets: &[u8]) -> Result<String, Error> {
    session.input().extend_from_slice(octets);
    match session.poll(Time::START)? {
        Step::Event(event) => panic!("an event in the clear: {event:?}"),
        step => Ok(format!("{step:?}")),
    }
}

fn step(session: &mut Session) -> String {
    format!("{:?}", session.poll(Time::START))
}

fn said(session: &mut Session) -> String {
    String::from_utf8(session.output().split().to_vec()).unwrap()
}

const OFFER: &[u8] = b"220 mx\r\n250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n";

#[test]
fn starttls_json() {
    let Some(suite) = load_json("attacks/starttls.json") else {
        eprintln!("skipped: no attacks/starttls.json; set MAIL_CONFORMANCE_DIR");
        return;
    };
    let mut run = 0;
    for case in suite["cases"].as_array().unwrap() {
        if case["protocol"] != "smtp" || case["under_test"] != "client" {
            continue;
        }
        run += 1;
        let id = case["id"].as_str().unwrap();
        let octets = base64::decode(case["bytes_before_tls_b64"].as_str().unwrap().as_bytes());
        let octets = octets.unwrap();
        let octets = octets.expose_secret();
        let mut session = session(TlsPolicy::Require);
        if id == "client-response-injection-smtp" {
            let all = [OFFER, octets].concat();
            assert_eq!(hear(&mut session, &all).unwrap(), "Upgrade(Tls)");
            // Whoever drives the session by hand and forgets to look is told.
            assert_eq!(said(&mut session), "EHLO c.example\r\nSTARTTLS\r\n");
            session.upgraded(Upgraded::Tls(Box::default()));
            let error = session.poll(Time::START).unwrap_err();
            assert_eq!(error, TlsError::PlaintextAfterStartTls.into());
            continue;
        }
        let all = if id.starts_with("client-starttls-refused") {
            [OFFER, octets].concat()
        } else {
            octets.clone()
        };
        let error = hear(&mut session, &all).unwrap_err();
        assert!(matches!(error, Error::Tls(_) | Error::Peer(_)), "{id}");
        let said = said(&mut session);
        assert!(
            said.lines()
                .all(|line| ["EHLO c.example", "STARTTLS", "QUIT"].contains(&line)),
            "{id}: {said}"
        );
        assert_eq!(step(&mut session), "Ok(Closed)", "{id}");
    }
    assert_eq!(run, 11);
}

#[test]
fn what_was_learnt_before_tls_is_forgotten() {
    let mut session = session(TlsPolicy::Require);
    let all = [OFFER, b"220 go\r\n"].concat();
    assert_eq!(hear(&mut session, &all).unwrap(), "Upgrade(Tls)");
    assert!(session.extensions().start_tls);
    said(&mut session);
    session.upgraded(Upgraded::Tls(Box::default()));
    assert_eq!(session.extensions(), &smtp_proto::Extensions::default());
    assert_eq!(said(&mut session), "EHLO c.example\r\n");
    session.input().extend_from_slice(b"250 mx\r\n");
    assert!(matches!(session.poll(Time::START), Ok(Step::Event(_))));
    assert!(session.is_idle() && session.tls() == Some(&TlsInfo::default()));
}

#[test]
fn each_policy_and_what_the_server_says() {
    use TlsPolicy::{Implicit, Never, Opportunistic, Require};
    let no_tls: &[u8] = b"220 mx\r\n250 mx\r\n";
    let refuses = [OFFER, b"454 4.7.0 later\r\n"].concat();
    let strange = [OFFER, b"250 ok\r\n"].concat();
    for (policy, octets, expected) in [
        (Require, no_tls, Err("Tls(NotOffered)")),
        (Require, &refuses[..], Err("Tls(Refused(")),
        (Require, &strange[..], Err("Peer(Unexpected")),
        (Opportunistic, no_tls, Ok("Event(Ready(")),
        (Opportunistic, &refuses[..], Ok("Event(Ready(")),
        (Opportunistic, &strange[..], Err("Peer(Unexpected")),
        (Never, OFFER, Ok("Event(Ready(")),
        (Implicit, no_tls, Err("Tls(Implicit)")),
        (Implicit, b"", Ok("NeedInput")),
    ] {
        let mut session = session(policy);
        session.input().extend_from_slice(octets);
        let found = match session.poll(Time::START) {
            Ok(step) => Ok(format!("{step:?}")),
            Err(error) => Err(format!("{error:?}")),
        };
        let fits = match (&found, expected) {
            (Ok(found), Ok(expected)) | (Err(found), Err(expected)) => found.starts_with(expected),
            _ => false,
        };
        assert!(fits, "{policy:?}: {found:?}, not {expected:?}");
    }
}

#[test]
fn implicit_tls_begins_above_it() {
    let mut session = session(TlsPolicy::Implicit);
    session.upgraded(Upgraded::Tls(Box::default()));
    session.input().extend_from_slice(b"220 mx\r\n250 mx\r\n");
    assert!(matches!(session.poll(Time::START), Ok(Step::Event(_))));
    assert_eq!(session.output(), &BytesMut::from("EHLO c.example\r\n"));
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let mut session = session(TlsPolicy::Require);
    let all = [OFFER, b"220 go\r\n"].concat();
    hear(&mut session, &all).unwrap();
    // Asked for until it stands.
    assert_eq!(step(&mut session), "Ok(Upgrade(Tls))");
    assert_eq!(
        session.deadline(),
        Some(Time::START + Duration::from_secs(300))
    );
    let during = "during the TLS handshake";
    let found = session.poll(Time::START + Duration::from_secs(300));
    assert_eq!(found.unwrap_err(), PeerError::Timeout { during }.into());
}
