//! The client and the server of this crate over a simulated network.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::time::Duration;
use std::sync::Arc;

use mail_syntax::{Host, Mailbox};
use mail_wire::framing::LineEndPolicy;
use mail_wire::{Room, Secret, Session as _};
use proptest::prelude::*;
use sasl_core::server::{Question, ServerConfig, is_own};
use sasl_core::{Credentials, Entropy, Mechanism, StoredKeys};
use smtp_proto::client::{self, Protocol, TlsPolicy};
use smtp_proto::parameters::BodyType;
use smtp_proto::server::{self, Role, StartTls};
use smtp_proto::{EnhancedStatus, Reply};
use testkit::{Pair, Side};

fn reply(code: u16, enhanced: EnhancedStatus, text: &str) -> Reply {
    Reply::new(code, enhanced, text).unwrap()
}

/// A server that takes mail for all but those whose name begins with `no`, and logs tim in by `tanstaaf`.
struct Server {
    keys: StoredKeys,
    message: Vec<u8>,
    recipients: usize,
    delivered: Vec<Vec<u8>>,
    aborted: usize,
    logins: Vec<String>,
}

impl Server {
    fn new() -> Self {
        Self {
            keys: StoredKeys::derive("tanstaaf", vec![9; 16], 4_096).unwrap(),
            message: Vec::new(),
            recipients: 0,
            delivered: Vec::new(),
            aborted: 0,
            logins: Vec::new(),
        }
    }

    fn on(&mut self, session: &mut server::Session, event: server::Event) {
        use server::Event;
        let no = || reply(550, EnhancedStatus::BAD_MAILBOX, "no such user");
        match event {
            Event::Connected(pending) => session.accept(pending).unwrap(),
            Event::Hello { pending, .. } => session.accept(pending).unwrap(),
            Event::Mail {
                reverse_path,
                pending,
                ..
            } => {
                if reverse_path.to_string().starts_with("<no") {
                    session.reject(pending, no()).unwrap();
                } else {
                    session.accept(pending).unwrap();
                }
            }
            Event::Rcpt {
                forward_path,
                pending,
                ..
            } => {
                if forward_path.to_string().starts_with("<no") {
                    session.reject(pending, no()).unwrap();
                } else {
                    session.accept(pending).unwrap();
                }
            }
            Event::Data(pending) => {
                self.recipients = session.envelope().unwrap().recipients.len();
                session.accept(pending).unwrap();
            }
            Event::Body(octets) => self.message.extend_from_slice(&octets),
            Event::EndOfData { pending, .. } => {
                self.delivered.push(core::mem::take(&mut self.message));
                if session.config().role == Role::Lmtp {
                    let full = |index| match index % 2 {
                        0 => reply(250, EnhancedStatus::OK, "delivered"),
                        _ => reply(452, EnhancedStatus::MAIL_SYSTEM, "full"),
                    };
                    let replies = (0..self.recipients).map(full);
                    session.deliver_each(pending, replies).unwrap();
                } else {
                    session.accept(pending).unwrap();
                }
            }
            Event::Auth { question, pending } => match question {
                Question::StoredKeys { authcid } => {
                    let keys = (authcid.as_str() == "tim").then(|| self.keys.clone());
                    session.stored_keys(pending, keys).unwrap();
                }
                Question::CheckPassword { password, .. } => {
                    let is_right = self.keys.verify(password.expose_secret());
                    session.password(pending, is_right).unwrap();
                }
                Question::Authorize { authcid, authzid } => {
                    let may_act = is_own(&authcid, authzid.as_ref());
                    session.authorized(pending, may_act).unwrap();
                }
                other => panic!("{other:?}"),
            },
            Event::Authenticated(login) => self.logins.push(login.identity().to_string()),
            Event::Aborted(_) => {
                self.aborted += 1;
                self.message.clear();
            }
            _ => {}
        }
    }
}

/// A client that logs in if it was told how, sends its messages in pieces, then quits.
struct Client {
    login: Option<(Mechanism, &'static str)>,
    messages: Vec<(client::Envelope, Vec<u8>)>,
    given: usize,
    piece: usize,
    told: Vec<String>,
    most_queued: usize,
}

impl Client {
    fn new(messages: Vec<(client::Envelope, Vec<u8>)>) -> Self {
        Self {
            login: None,
            messages,
            given: 0,
            piece: 8_192,
            told: Vec::new(),
            most_queued: 0,
        }
    }

    fn next(&mut self, session: &mut client::Session) {
        self.given = 0;
        match self.messages.first() {
            Some((envelope, _)) => session.send(envelope.clone()).unwrap(),
            None => session.quit().unwrap(),
        }
    }

    fn on(&mut self, session: &mut client::Session, event: client::Event) {
        use client::Event;
        self.most_queued = self.most_queued.max(session.output().len());
        match event {
            Event::Ready(_) => match self.login.take() {
                Some((mechanism, password)) => {
                    let credentials = Credentials::new("tim".parse().unwrap(), password);
                    session.login(mechanism, credentials).unwrap();
                }
                None => self.next(session),
            },
            Event::Derive(derivation) => session.derived(derivation.run()).unwrap(),
            Event::LoggedIn(_) => {
                self.told.push("logged in".into());
                self.next(session);
            }
            Event::LoginRefused(reply) => {
                self.told.push(format!("login {}", reply.code()));
                session.quit().unwrap();
            }
            Event::MailReply(reply) => assert!(reply.enhanced().is_some()),
            Event::RecipientReply { reply, .. } => assert!(reply.enhanced().is_some()),
            Event::Room(stream) => {
                let content = &self.messages[0].1;
                let end = content.len().min(self.given + self.piece);
                session.content(stream, &content[self.given..end]).unwrap();
                self.given = end;
                if end == content.len() {
                    session.finish(stream).unwrap();
                }
            }
            Event::Delivered { accepted, replies } => {
                let codes: Vec<u16> = replies.iter().map(Reply::code).collect();
                self.told.push(format!("delivered {accepted:?} {codes:?}"));
                self.messages.remove(0);
                self.next(session);
            }
            Event::Refused { accepted, reply } => {
                self.told
                    .push(format!("refused {accepted:?} {}", reply.code()));
                self.messages.remove(0);
                self.next(session);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn envelope(from: &str, to: &[&str]) -> client::Envelope {
    let recipients = to
        .iter()
        .map(|to| client::Recipient::from(to.parse::<Mailbox>().unwrap()));
    client::Envelope::new(from.parse::<Mailbox>().unwrap(), recipients)
}

#[derive(Clone, Copy)]
struct Net {
    latency: u64,
    chunk: usize,
}

const NETS: [Net; 4] = [
    Net {
        latency: 0,
        chunk: usize::MAX,
    },
    Net {
        latency: 100,
        chunk: usize::MAX,
    },
    Net {
        latency: 3,
        chunk: 7,
    },
    Net {
        latency: 1,
        chunk: 1,
    },
];

/// Runs until both have closed; how long it took.
fn run(
    client: &mut Client,
    server: &mut Server,
    net: Net,
    edit: impl FnOnce(&mut client::Config, &mut server::Config),
) -> Duration {
    let mut ours = client::Config::new("c.example".parse::<Host>().unwrap());
    ours.tls = TlsPolicy::Opportunistic;
    let mut theirs = server::Config::new("mx.example".parse().unwrap());
    edit(&mut ours, &mut theirs);
    let mut pair = Pair::new(
        client::Session::new(ours, Entropy::new([1; 32])),
        server::Session::new(Arc::new(theirs), Entropy::new([2; 32])),
    )
    .with_latency(Duration::from_millis(net.latency))
    .with_chunk(net.chunk);
    let (left, right) = pair.run(
        |session, event| client.on(session, event),
        |session, event| server.on(session, event),
    );
    assert_eq!((left, right), (&Side::Closed, &Side::Closed));
    pair.now().since_start()
}

const BODY: &[u8] = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\nlast\r\n";

#[test]
fn data_and_bdat_are_exact() {
    let large: Vec<u8> = (0..20_000u32)
        .flat_map(|line| format!("..line {line}.\r\n").into_bytes())
        .collect();
    for net in NETS {
        for (chunking, chunk) in [(false, 1), (true, 65_536), (true, 11)] {
            let bodies = if net.chunk < 1_000 || chunk < 1_000 && chunking {
                vec![BODY.to_vec(), b".\r\n".to_vec(), Vec::new()]
            } else {
                vec![BODY.to_vec(), large.clone(), Vec::new()]
            };
            let messages = bodies
                .iter()
                .map(|body| (envelope("a@c.example", &["b@mx.example"]), body.clone()));
            let (mut client, mut server) = (Client::new(messages.collect()), Server::new());
            run(&mut client, &mut server, net, |ours, _| {
                ours.chunking = chunking;
                ours.limits.chunk = chunk;
            });
            assert!(server.delivered == bodies, "latency {}", net.latency);
            assert_eq!(client.told, ["delivered [0] [250]"; 3]);
            assert!(client.most_queued < Room::LOW_WATER + 2 * 65_536);
        }
    }
}

#[test]
fn pipelined_a_message_for_a_hundred_takes_two_round_trips() {
    let to: Vec<String> = (0..100)
        .map(|index| format!("u{index}@mx.example"))
        .collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let net = Net {
        latency: 50,
        chunk: usize::MAX,
    };
    let one = || (envelope("a@c.example", &to), BODY.to_vec());
    let took = |messages| {
        let (mut client, mut server) = (Client::new(messages), Server::new());
        run(&mut client, &mut server, net, |_, _| {})
    };
    // MAIL, all RCPTs and DATA; then the content.
    assert_eq!(
        took(vec![one(), one()]) - took(vec![one()]),
        Duration::from_millis(200)
    );
}

#[test]
fn who_is_refused() {
    for net in NETS {
        for chunking in [false, true] {
            let message = |from, to: &[&str]| (envelope(from, to), BODY.to_vec());
            let messages = vec![
                message(
                    "a@c.example",
                    &["b@mx.example", "no@mx.example", "c@mx.example"],
                ),
                message("a@c.example", &["no@mx.example", "no2@mx.example"]),
                message("no@c.example", &["b@mx.example", "no@mx.example"]),
                message("a@c.example", &["b@mx.example"]),
            ];
            let (mut client, mut server) = (Client::new(messages), Server::new());
            run(&mut client, &mut server, net, |ours, _| {
                ours.chunking = chunking;
            });
            assert_eq!(
                client.told,
                [
                    "delivered [0, 2] [250]",
                    "refused [] 550",
                    "refused [] 550",
                    "delivered [0] [250]"
                ]
            );
            assert_eq!(server.delivered, [BODY, BODY]);
        }
    }
}

#[test]
fn lmtp_tells_of_each_recipient() {
    for net in NETS {
        for chunking in [false, true] {
            let to = [
                "a@mx.example",
                "no@mx.example",
                "b@mx.example",
                "c@mx.example",
            ];
            let messages = vec![(envelope("a@c.example", &to), BODY.to_vec())];
            let (mut client, mut server) = (Client::new(messages), Server::new());
            run(&mut client, &mut server, net, |ours, theirs| {
                ours.protocol = Protocol::Lmtp;
                ours.chunking = chunking;
                theirs.role = Role::Lmtp;
            });
            assert_eq!(client.told, ["delivered [0, 2, 3] [250, 452, 250]"]);
            assert_eq!(server.delivered, [BODY]);
        }
    }
}

#[test]
fn submission_under_starttls() {
    for net in NETS {
        for (mechanism, password, told) in [
            (Mechanism::ScramSha256Plus, "tanstaaf", true),
            (Mechanism::ScramSha256, "tanstaaf", true),
            (Mechanism::ScramSha256, "wrong", false),
            (Mechanism::Plain, "tanstaaf", true),
            (Mechanism::Plain, "wrong", false),
            (Mechanism::Login, "tanstaaf", true),
        ] {
            let messages = vec![(envelope("tim@c.example", &["b@d.example"]), BODY.to_vec())];
            let (mut client, mut server) = (Client::new(messages), Server::new());
            client.login = Some((mechanism, password));
            run(&mut client, &mut server, net, |ours, theirs| {
                ours.tls = TlsPolicy::Require;
                theirs.role = Role::Submission;
                theirs.start_tls = StartTls::Required;
                let mut sasl = ServerConfig::new(Secret::new([5; 32]));
                sasl.iterations = 4_096;
                theirs.sasl = Some(sasl);
            });
            if told {
                assert_eq!(client.told, ["logged in", "delivered [0] [250]"]);
                assert_eq!((server.logins.len(), server.delivered.len()), (1, 1));
            } else {
                assert_eq!(client.told, ["login 535"]);
                assert!(server.logins.is_empty() && server.delivered.is_empty());
            }
        }
    }
}

#[test]
fn binary_mail_goes_by_bdat() {
    let body: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    let mut envelope = envelope("a@c.example", &["b@mx.example"]);
    envelope.parameters.body = Some(BodyType::BinaryMime);
    envelope.parameters.size = Some(3_000);
    let (mut client, mut server) = (Client::new(vec![(envelope, body.clone())]), Server::new());
    client.piece = 100;
    run(&mut client, &mut server, NETS[2], |ours, theirs| {
        ours.limits.chunk = 1_024;
        theirs.binary_mime = true;
    });
    assert_eq!(server.delivered, [body]);
}

#[test]
fn a_message_that_ends_early_is_no_message() {
    // One octet too few of what was promised, and a connection that is cut: the server delivers nothing.
    for chunking in [false, true] {
        let mut ours = client::Config::new("c.example".parse::<Host>().unwrap());
        ours.tls = TlsPolicy::Never;
        ours.chunking = chunking;
        let theirs = server::Config::new("mx.example".parse().unwrap());
        let mut pair = Pair::new(
            client::Session::new(ours, Entropy::new([1; 32])),
            server::Session::new(Arc::new(theirs), Entropy::new([2; 32])),
        );
        let mut server = Server::new();
        let (left, _) = pair.run(
            |session, event| match event {
                client::Event::Ready(_) => {
                    let mut envelope = envelope("a@c.example", &["b@mx.example"]);
                    envelope.parameters.size = Some(BODY.len() as u64 + 1);
                    session.send(envelope).unwrap();
                }
                client::Event::Room(stream) => {
                    session.content(stream, BODY).unwrap();
                    let error = session.finish(stream).unwrap_err();
                    assert_eq!(error, client::ContentError::TooShort { owed: 1 });
                    assert!(session.content(stream, b"x").is_err());
                }
                _ => {}
            },
            |session, event| server.on(session, event),
        );
        assert!(
            matches!(left, Side::Failed(client::Error::Misuse(_))),
            "{left:?}"
        );
        assert!(server.delivered.is_empty());
        assert_eq!(server.aborted, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What goes in comes out, whatever it is; a last line is completed.
    #[test]
    fn any_content_arrives(
        body in "[.a\r\n]{0,200}", piece in 1usize..40, chunk in 1usize..60, net in 1usize..20, chunking: bool,
    ) {
        let message = (envelope("a@c.example", &["b@mx.example"]), body.clone().into_bytes());
        let (mut client, mut server) = (Client::new(vec![message]), Server::new());
        client.piece = piece;
        run(&mut client, &mut server, Net { latency: 1, chunk: net }, |ours, _| {
            ours.line_ends = LineEndPolicy::Normalise;
            ours.chunking = chunking;
            ours.limits.chunk = chunk;
        });
        let mut expected = body.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        if !expected.is_empty() && !expected.ends_with("\r\n") {
            expected.push_str("\r\n");
        }
        prop_assert_eq!(&server.delivered, &[expected.into_bytes()]);
    }
}
