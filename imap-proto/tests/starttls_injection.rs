//! The cases of "NO STARTTLS" (Poddebniak et al., USENIX Security 2021) that concern IMAP: octets sent in the clear have no effect
//! once TLS stands.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use imap_proto::{CommandBody, client, server};
use mail_wire::{Layer, Secret, Session, Step, Time, Upgraded};
use std::sync::Arc;

fn server() -> server::Session {
    let sasl = sasl_core::server::ServerConfig::new(Secret::new([7; 32]));
    server::Session::new(
        Arc::new(server::Config::new(sasl)),
        sasl_core::Entropy::new([1; 32]),
    )
}

fn client() -> client::Session {
    let limits = client::Limits::default();
    client::Session::new(client::TlsPolicy::Require, limits, [0, 1, 2, 3])
}

/// What happens until more is wanted.
fn run<S: Session>(
    session: &mut S,
    input: &[u8],
    mut answer: impl FnMut(&mut S, S::Event),
) -> Result<Step<S::Event>, S::Error> {
    session.input().extend_from_slice(input);
    loop {
        match session.poll(Time::START) {
            Ok(Step::Event(event)) => answer(session, event),
            end => return end,
        }
    }
}

fn greet(session: &mut server::Session, event: server::Event) {
    match event {
        server::Event::Connected(token) => {
            session
                .greet(token, &imap_proto::Text::lossy("hello"))
                .unwrap();
        }
        event => panic!("{event:?}"),
    }
}

fn attack_server(id: &str, octets: &[u8]) {
    let mut session = server();
    let end = run(&mut session, octets, greet);
    assert!(
        matches!(end, Ok(Step::Upgrade(Layer::Tls))),
        "{id}: {end:?}"
    );
    let said = session.output().split();
    assert!(
        said.ends_with(b"a1 OK Begin TLS negotiation now\r\n"),
        "{id}"
    );
    session.upgraded(Upgraded::Tls(Box::default()));
    let end = run(&mut session, b"", |_, event| panic!("{id}: {event:?}"));
    assert!(end.is_err(), "{id}: {end:?}");
    assert!(session.output().is_empty(), "{id}");
}

fn attack_client(id: &str, octets: &[u8]) {
    let mut session = client();
    let mut heard = Vec::new();
    let text = String::from_utf8(octets.to_vec()).unwrap();
    let is_greeting = text.starts_with("* PREAUTH");
    if !is_greeting {
        let _ = run(&mut session, b"* OK hello\r\n", |_, _| {});
        session.command(CommandBody::StartTls).unwrap();
    }
    // The tags of the traces are those of another client.
    let text = text.replace("a1 ", "ABCD1 ").replace("a2 ", "ABCD2 ");
    let end = run(&mut session, text.as_bytes(), |_, event| heard.push(event));
    if is_greeting {
        assert!(matches!(end, Err(client::Error::Tls(_))), "{id}: {end:?}");
        return;
    }
    assert!(heard.is_empty(), "{id}: {heard:?}");
    let Some((_, behind)) = text.split_once("ABCD1 OK") else {
        return;
    };
    assert!(
        matches!(end, Ok(Step::Upgrade(Layer::Tls))),
        "{id}: {end:?}"
    );
    session.upgraded(Upgraded::Tls(Box::default()));
    assert!(session.capabilities().is_none(), "{id}");
    let end = run(&mut session, b"", |_, event| heard.push(event));
    if behind.lines().count() > 1 {
        assert!(heard.is_empty() && end.is_err(), "{id}: {heard:?} {end:?}");
    } else {
        let [client::Event::Done(_, status)] = &heard[..] else {
            panic!("{id}: {heard:?}")
        };
        assert!(
            status.code.is_none() && matches!(end, Ok(Step::NeedInput)),
            "{id}"
        );
    }
}

#[test]
fn no_octet_of_before_tls_counts_after_it() {
    let Some(suite) = testkit::conformance::load_json("attacks/starttls.json") else {
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    let cases = cases.iter().filter(|case| case["protocol"] == "imap");
    let mut count = 0;
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let octets = case["bytes_before_tls_b64"].as_str().unwrap();
        let octets = sasl_core::base64::decode(octets.as_bytes()).unwrap();
        match case["under_test"].as_str() {
            Some("server") => attack_server(id, octets.expose_secret()),
            Some("client") => attack_client(id, octets.expose_secret()),
            other => panic!("{id}: {other:?}"),
        }
        count += 1;
    }
    eprintln!("starttls: {count} of {count} cases for IMAP");
    assert!(count >= 15, "{count}");
}
