//! STARTTLS and what an attacker does to it, in both roles, over a protocol that echoes lines.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use bytes::BytesMut;
use mail_wire::framing::{LineFramer, LineTooLong};
use mail_wire::{
    End, Layer, Session, Step, Time, TlsClient, TlsInfo, TlsServer, Transport, TransportError,
    Upgraded,
};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use testkit::{Ended, Seen, every_split};

/// Echoes lines; `STARTTLS` and `COMPRESS` begin a layer, after `GO` to the client.
#[derive(Debug, Default)]
struct Echo {
    input: BytesMut,
    output: BytesMut,
    lines: LineFramer,
    is_client: bool,
    wanted: Option<Layer>,
    tls: Option<TlsInfo>,
    full: bool,
    ended: Option<End>,
}

impl Session for Echo {
    type Event = String;
    type Error = LineTooLong;
    fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }
    fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }
    fn poll(&mut self, _now: Time) -> Result<Step<String>, LineTooLong> {
        if let Some(layer) = self.wanted {
            return Ok(Step::Upgrade(layer));
        }
        if self.full {
            return Ok(Step::NeedInput);
        }
        let Some(line) = self.lines.next(&mut self.input, 512)? else {
            return Ok(match self.ended {
                Some(_) => Step::Closed,
                None => Step::NeedInput,
            });
        };
        let text = String::from_utf8_lossy(&line.octets).into_owned();
        match (text.as_str(), self.is_client) {
            ("STARTTLS", false) => self.wanted = Some(Layer::Tls),
            ("COMPRESS", false) => self.wanted = Some(Layer::Deflate),
            ("GO STARTTLS", true) => self.wanted = Some(Layer::Tls),
            ("GO COMPRESS", true) => self.wanted = Some(Layer::Deflate),
            _ => {}
        }
        if !self.is_client {
            self.output.extend_from_slice(b"GO ");
            self.output.extend_from_slice(&line.octets);
            self.output.extend_from_slice(b"\r\n");
        }
        Ok(Step::Event(text))
    }
    fn deadline(&self) -> Option<Time> {
        Some(Time::START)
    }
    fn wants_input(&self) -> bool {
        self.ended.is_none() && !self.full
    }
    fn end_of_input(&mut self, how: End) {
        self.ended = Some(how);
    }
    fn upgraded(&mut self, layer: Upgraded) {
        assert!(self.input.is_empty() && self.output.is_empty());
        self.wanted = None;
        if let Upgraded::Tls(info) = layer {
            self.tls = Some(*info);
        }
    }
}

fn configs() -> (TlsServer, TlsClient) {
    let made = rcgen::generate_simple_self_signed(vec!["mx.example".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (
        TlsServer::new(Arc::new(server)),
        TlsClient::new(
            Arc::new(client),
            ServerName::try_from("mx.example").unwrap(),
        ),
    )
}

fn client() -> Echo {
    Echo {
        is_client: true,
        ..Echo::default()
    }
}

type Polled = Result<Step<String>, TransportError<LineTooLong>>;

/// Polls until nothing more comes; the events and the last step.
fn settle(side: &mut Transport<Echo>) -> (Vec<String>, Polled) {
    let mut events = Vec::new();
    loop {
        match side.poll(Time::START) {
            Ok(Step::Event(event)) => events.push(event),
            last => return (events, last),
        }
    }
}

/// Carries octets both ways in chunks until nothing moves; events and last steps of client and server.
fn talk(
    client: &mut Transport<Echo>,
    server: &mut Transport<Echo>,
    chunk: usize,
) -> [(Vec<String>, Polled); 2] {
    let (mut seen, mut heard) = (settle(client), settle(server));
    loop {
        let (up, down) = (client.output().split(), server.output().split());
        if up.is_empty() && down.is_empty() {
            return [seen, heard];
        }
        for (octets, side, all) in [
            (up, &mut *server, &mut heard),
            (down, &mut *client, &mut seen),
        ] {
            for chunk in octets.chunks(chunk) {
                side.input().extend_from_slice(chunk);
                let (events, last) = settle(side);
                all.0.extend(events);
                all.1 = last;
            }
            let (events, last) = settle(side);
            all.0.extend(events);
            all.1 = last;
        }
    }
}

#[test]
fn starttls_then_deflate_stand_on_both_sides_and_agree() {
    for chunk in [1, 7, 100_000] {
        let (tls_server, tls_client) = configs();
        let mut server = Transport::new(Echo::default()).with_start_tls_server(tls_server);
        let mut near = Transport::new(client()).with_start_tls_client(tls_client);
        near.output().extend_from_slice(b"STARTTLS\r\n");
        let _ = talk(&mut near, &mut server, chunk);
        let (here, there) = (
            near.protocol().tls.clone().unwrap(),
            server.protocol().tls.clone().unwrap(),
        );
        assert_eq!(here.version, "TLSv1.3");
        assert!(
            here.cipher_suite.starts_with("TLS_AES_"),
            "{}",
            here.cipher_suite
        );
        assert_eq!(there.sni.as_deref(), Some("mx.example"));
        assert!(here.exporter.is_some() && here.exporter == there.exporter);
        assert!(here.server_end_point.is_some() && here.server_end_point == there.server_end_point);

        near.protocol_mut()
            .output
            .extend_from_slice(b"COMPRESS\r\n");
        let _ = talk(&mut near, &mut server, chunk);
        near.protocol_mut().output.extend_from_slice(b"hello\r\n");
        let [seen, heard] = talk(&mut near, &mut server, chunk);
        assert_eq!(
            (seen.0, heard.0),
            (vec!["GO hello".into()], vec!["hello".into()])
        );

        // A good-bye ends the other side cleanly.
        near.protocol_mut().ended = Some(End::Clean);
        let [seen, heard] = talk(&mut near, &mut server, chunk);
        assert_eq!((seen.1, heard.1), (Ok(Step::Closed), Ok(Step::Closed)));
        assert_eq!(server.protocol().ended, Some(End::Clean));
    }
}

#[test]
fn implicit_tls_from_the_first_byte() {
    let (tls_server, tls_client) = configs();
    let mut server = Transport::new(Echo::default())
        .with_proxy_header()
        .with_implicit_tls_server(tls_server);
    let mut near = Transport::new(client()).with_implicit_tls_client(tls_client);
    server
        .input()
        .extend_from_slice(b"PROXY TCP4 192.0.2.1 192.0.2.2 9 465\r\n");
    let _ = talk(&mut near, &mut server, 50);
    assert!(server.proxied().is_some() && server.protocol().tls.is_some());
    near.protocol_mut().output.extend_from_slice(b"hello\r\n");
    assert_eq!(talk(&mut near, &mut server, 50)[0].0, ["GO hello"]);
}

#[test]
fn commands_behind_starttls_never_run() {
    // In the same packet, and in one of its own before the handshake.
    for chunks in [
        &[&b"STARTTLS\r\nINJECTED\r\n"[..]][..],
        &[b"STARTTLS\r\n", b"INJECTED\r\n"],
        &[b"STARTTLS\r\n", b"\n"],
    ] {
        let mut server = Transport::new(Echo::default()).with_start_tls_server(configs().0);
        let (mut all, mut last) = (Vec::new(), Ok(Step::NeedInput));
        for chunk in chunks {
            server.input().extend_from_slice(chunk);
            let (events, step) = settle(&mut server);
            all.extend(events);
            last = step;
        }
        assert_eq!(
            (all, last),
            (
                vec!["STARTTLS".to_owned()],
                Err(TransportError::PlaintextAfterStartTls)
            )
        );
        assert!(server.output().starts_with(b"GO STARTTLS\r\n"));
        assert_eq!(settle(&mut server).1, Ok(Step::Closed), "it stays over");
    }
}

#[test]
fn replies_behind_starttls_are_never_believed() {
    for chunks in [
        &[&b"GO STARTTLS\r\nINJECTED\r\n"[..]][..],
        &[b"GO STARTTLS\r\n", b"INJECTED\r\n"],
    ] {
        let mut near = Transport::new(client()).with_start_tls_client(configs().1);
        let (mut all, mut last) = (Vec::new(), Ok(Step::NeedInput));
        for chunk in chunks {
            near.input().extend_from_slice(chunk);
            let (events, step) = settle(&mut near);
            all.extend(events);
            last = step;
        }
        assert_eq!(
            (all, last),
            (
                vec!["GO STARTTLS".to_owned()],
                Err(TransportError::PlaintextAfterStartTls)
            )
        );
    }
}

#[test]
fn a_wrong_certificate_is_told_by_an_alert() {
    let (tls_server, _) = configs();
    let (_, other_roots) = configs();
    let mut server = Transport::new(Echo::default()).with_implicit_tls_server(tls_server);
    let mut near = Transport::new(client()).with_implicit_tls_client(other_roots);
    let [seen, heard] = talk(&mut near, &mut server, 10_000);
    assert!(
        matches!(
            seen.1,
            Err(TransportError::Tls(rustls::Error::InvalidCertificate(_))) | Ok(Step::Closed)
        ),
        "{seen:?}"
    );
    assert!(
        matches!(
            heard.1,
            Err(TransportError::Tls(rustls::Error::AlertReceived(_))) | Ok(Step::Closed)
        ),
        "{heard:?}"
    );
    assert!(near.protocol().tls.is_none());
}

#[test]
fn a_close_without_close_notify_is_a_cut() {
    let (tls_server, tls_client) = configs();
    let mut server = Transport::new(Echo::default()).with_implicit_tls_server(tls_server);
    let mut near = Transport::new(client()).with_implicit_tls_client(tls_client);
    let _ = talk(&mut near, &mut server, 10_000);
    server.end_of_input(End::Clean);
    assert_eq!(settle(&mut server).1, Ok(Step::Closed));
    assert_eq!(server.protocol().ended, Some(End::Cut));
}

#[test]
fn pressure_is_felt_and_what_is_held_is_bounded() {
    let (tls_server, tls_client) = configs();
    let mut server = Transport::new(Echo::default()).with_implicit_tls_server(tls_server);
    let mut near = Transport::new(client()).with_implicit_tls_client(tls_client);
    let _ = talk(&mut near, &mut server, 10_000);
    server.protocol_mut().full = true;
    assert!(!server.wants_input());
    near.protocol_mut()
        .output
        .extend_from_slice(&b"hello\r\n".repeat(100_000));
    let _ = settle(&mut near);
    assert!(
        near.output().len() < 64 * 1024 + 20_000,
        "{}",
        near.output().len()
    );
    assert!(
        !near.protocol_mut().output().is_empty(),
        "the rest stays in the protocol"
    );
    let wire = near.output().split();
    server.input().extend_from_slice(&wire);
    let _ = settle(&mut server);
    assert!(
        server.protocol().input.is_empty(),
        "nothing is decrypted for one who does not want it"
    );
    server.protocol_mut().full = false;
    let [_, heard] = talk(&mut near, &mut server, 10_000);
    assert_eq!(heard.1, Ok(Step::NeedInput));
    assert!(near.protocol_mut().output().is_empty());
}

#[test]
fn the_handshake_has_a_time_limit() {
    let mut server = Transport::new(Echo::default()).with_implicit_tls_server(configs().0);
    assert_eq!(server.poll(Time::START), Ok(Step::NeedInput));
    let limit = server.deadline().unwrap();
    assert_eq!(server.poll(limit), Err(TransportError::HandshakeTimeout));
}

#[test]
fn every_split_of_proxy_header_and_lines() {
    let run = every_split(
        b"PROXY TCP4 192.0.2.1 192.0.2.2 9 25\r\na\r\nb\r\nc",
        || Transport::new(Echo::default()).with_proxy_header(),
        || |_: &mut Transport<Echo>, _| {},
        Seen::debug,
    );
    assert_eq!(
        (run.output, run.ended),
        (b"GO a\r\nGO b\r\n".to_vec(), Ended::NeedInput)
    );
    let run = every_split(
        b"a\r\nSTARTTLS\r\nINJECTED\r\n",
        {
            let (tls, _) = configs();
            move || Transport::new(Echo::default()).with_start_tls_server(tls.clone())
        },
        || |_: &mut Transport<Echo>, _| {},
        Seen::debug,
    );
    assert_eq!(run.ended, Ended::Error("PlaintextAfterStartTls".into()));
}
