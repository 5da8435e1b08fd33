//! A line protocol with STARTTLS over real sockets, under both drivers.
#![allow(missing_docs)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test of sockets"
)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mail_wire::framing::{LineFramer, LineTooLong};
use mail_wire::{
    End, Layer, Session, Step, Time, TlsClient, TlsServer, Transport, TransportError, Upgraded,
    driver,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

/// Both sides: a server answers each line with the same line; a client collects them.
#[derive(Debug, Default)]
struct Echo {
    client: bool,
    input: BytesMut,
    output: BytesMut,
    lines: LineFramer,
    upgrade: bool,
    ended: bool,
    tls: bool,
}

impl Echo {
    fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }
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
        if self.upgrade {
            return Ok(Step::Upgrade(Layer::Tls));
        }
        let Some(line) = self.lines.next(&mut self.input, 1 << 20)? else {
            return Ok(if self.ended {
                Step::Closed
            } else {
                Step::NeedInput
            });
        };
        let text = String::from_utf8(line.octets.to_vec()).unwrap();
        if !self.client {
            self.say(if text == "STARTTLS" { "ready" } else { &text });
        }
        self.upgrade = text == "STARTTLS" || (self.client && text == "ready");
        self.ended |= text == "quit";
        Ok(Step::Event(text))
    }
    fn deadline(&self) -> Option<Time> {
        Some(Time::from_start(Duration::from_secs(60)))
    }
    fn wants_input(&self) -> bool {
        !self.ended && self.output.len() < 1 << 16
    }
    fn end_of_input(&mut self, _how: End) {
        self.ended = true;
    }
    fn upgraded(&mut self, layer: Upgraded) {
        if let Upgraded::Tls(info) = layer {
            assert!(info.exporter.is_some());
            self.tls = true;
            self.upgrade = false;
            self.lines.reset();
            if self.client {
                self.say("secret");
            }
        }
    }
}

fn tls() -> (TlsServer, TlsClient) {
    let made = rcgen::generate_simple_self_signed(["mail.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (
        TlsServer::new(Arc::new(server)),
        TlsClient::new(
            Arc::new(client),
            ServerName::try_from("mail.example").unwrap(),
        ),
    )
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Plain,
    StartTls,
    Implicit,
}

fn stacks(mode: Mode) -> (Transport<Echo>, Transport<Echo>) {
    let (for_server, for_client) = tls();
    let server = Transport::new(Echo::default());
    let client = Transport::new(Echo {
        client: true,
        ..Echo::default()
    });
    match mode {
        Mode::Plain => (server, client),
        Mode::StartTls => (
            server.with_start_tls_server(for_server),
            client.with_start_tls_client(for_client),
        ),
        Mode::Implicit => (
            server.with_implicit_tls_server(for_server),
            client.with_implicit_tls_client(for_client),
        ),
    }
}

const LINES: usize = 2000;

/// Says far more than any buffer holds before it listens, then counts what came back.
fn first_words(client: &mut Echo, mode: Mode) {
    match mode {
        Mode::Plain => talk(client),
        Mode::StartTls => client.say("STARTTLS"),
        // It speaks once TLS stands.
        Mode::Implicit => {}
    }
}

fn talk(client: &mut Echo) {
    for _ in 0..LINES {
        client.say(&"x".repeat(1000));
    }
    client.say("quit");
}

fn check(seen: &[String], mode: Mode) {
    assert_eq!(seen.iter().filter(|line| line.len() == 1000).count(), LINES);
    assert_eq!(
        seen.iter().any(|line| line == "secret"),
        mode != Mode::Plain
    );
    assert_eq!(seen.last().map(String::as_str), Some("quit"));
}

#[test]
fn blocking_both_sides() {
    for mode in [Mode::Plain, Mode::StartTls, Mode::Implicit] {
        let (server, client) = stacks(mode);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let mut driver = driver::blocking::Driver::new(server, socket);
            let mut count = 0;
            while driver.next().unwrap().is_some() {
                count += 1;
            }
            count
        });
        let socket = TcpStream::connect(address).unwrap();
        let mut driver = driver::blocking::Driver::new(client, socket);
        first_words(driver.session(), mode);
        let mut seen = Vec::new();
        while let Some(line) = driver.next().unwrap() {
            if line == "secret" {
                talk(driver.session());
            }
            seen.push(line);
        }
        check(&seen, mode);
        assert!(serving.join().unwrap() > LINES);
    }
}

#[tokio::test]
async fn tokio_both_sides() {
    for mode in [Mode::Plain, Mode::StartTls, Mode::Implicit] {
        let (server, client) = stacks(mode);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let mut driver = driver::tokio::Driver::new(server, socket);
            let mut count = 0;
            loop {
                // Cancelled again and again, and nothing is lost.
                tokio::select! {
                    biased;
                    event = driver.next() => match event.unwrap() {
                        Some(_) => count += 1,
                        None => return count,
                    },
                    () = tokio::task::yield_now() => {}
                }
            }
        });
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut driver = driver::tokio::Driver::new(client, socket);
        first_words(driver.session(), mode);
        let mut seen = Vec::new();
        while let Some(line) = driver.next().await.unwrap() {
            if line == "secret" {
                talk(driver.session());
            }
            seen.push(line);
        }
        check(&seen, mode);
        assert!(serving.await.unwrap() > LINES);
    }
}

#[tokio::test]
async fn a_plaintext_smuggler_is_cut_off() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (server, _) = stacks(Mode::StartTls);
    let (mut peer, socket) = tokio::io::duplex(4096);
    peer.write_all(b"STARTTLS\r\nquit\r\n").await.unwrap();
    let mut driver = driver::tokio::Driver::new(server, socket);
    assert_eq!(driver.next().await.unwrap().as_deref(), Some("STARTTLS"));
    assert_eq!(
        driver.next().await,
        Err(TransportError::PlaintextAfterStartTls)
    );
    let mut said = String::new();
    peer.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "ready\r\n");
}
