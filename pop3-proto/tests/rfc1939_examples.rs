//! The examples of RFC 1939 §4 to §7 and §10, of RFC 2449 §5 and §8 and of RFC 5034 §6, where they are not schematic.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod mailbox;

use mailbox::{Mailbox, PASSWORD, config, server};
use pop3_proto::client;
use sasl_core::{Entropy, PlaintextPolicy};
use testkit::transcript::{against_client, against_server};

fn mailbox() -> Mailbox {
    let first = [
        b"Subject: 1\r\n\r\n".to_vec(),
        vec![b'x'; 104],
        b"\r\n".to_vec(),
    ]
    .concat();
    let second = [
        b"Subject: 2\r\n\r\n".to_vec(),
        vec![b'y'; 184],
        b"\r\n".to_vec(),
    ]
    .concat();
    assert_eq!((first.len(), second.len()), (120, 200));
    Mailbox::new(&[&first, &second])
}

#[test]
fn a_session_of_section_10_and_the_commands_of_section_5() {
    let mut mailbox = mailbox();
    against_server(
        server(),
        &format!(
            "
S: +OK POP3 server ready
C: USER mrose
S: +OK *
C: PASS {PASSWORD}
S: +OK 2 messages (320 octets)
C: STAT
S: +OK 2 320
C: LIST
S: +OK 2 messages
S: 1 120
S: 2 200
S: .
C: LIST 2
S: +OK 2 200
C: LIST 3
S: -ERR no message 3
C: UIDL
S: +OK *
S: 1 id-1
S: 2 id-2
S: .
C: UIDL 2
S: +OK 2 id-2
C: UIDL 3
S: -ERR *
C: RETR 1
S: +OK 120 octets
S: Subject: 1
S:
S: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
S: .
C: TOP 2 0
S: +OK
S: Subject: 2
S:
S: .
C: TOP 100 3
S: -ERR no message 100
C: DELE 1
S: +OK
C: DELE 1
S: -ERR *
C: RETR 1
S: -ERR *
C: STAT
S: +OK 1 200
C: LIST
S: +OK 1 messages
S: 2 200
S: .
C: NOOP
S: +OK
C: RSET
S: +OK
C: STAT
S: +OK 2 320
C: DELE 2
S: +OK
C: QUIT
S: +OK *
<close>
"
        ),
        |session, event| mailbox.answer(session, event),
    );
    assert_eq!(mailbox.updates, [[2]]);
}

#[test]
fn auth_of_rfc5034_section_6() {
    for login in [
        "C: AUTH PLAIN AG1yb3NlAHRhbiBzdGFhZg==\nS: +OK *",
        "C: AUTH PLAIN\nS: + \nC: AG1yb3NlAHRhbiBzdGFhZg==\nS: +OK *",
        "C: AUTH PLAIN\nS: + \nC: *\nS: -ERR *\nC: NOOP\nS: -ERR *",
        "C: AUTH PLAIN =AAA\nS: -ERR *",
        "C: AUTH LOGIN bXJvc2U=\nS: -ERR *",
        "C: AUTH LOGIN\nS: + *\nC: bXJvc2U=\nS: + *\nC: dGFuIHN0YWFm\nS: +OK *",
        "C: AUTH CRAM-MD5\nS: -ERR *",
        "C: AUTH PLAIN AG1yb3NlAHdyb25n\nS: -ERR [AUTH] authentication failed",
        "C: AUTH PLAIN AG5vYm9keQB3cm9uZw==\nS: -ERR [AUTH] authentication failed",
        "C: APOP mrose c4c9334bac560ecc979e58001b3e22fb\nS: -ERR *",
    ] {
        let mut mailbox = mailbox();
        let transcript = format!("S: +OK *\n{login}\nC: QUIT\nS: +OK *\n<close>");
        against_server(server(), &transcript, |session, event| {
            mailbox.answer(session, event);
        });
    }
}

#[test]
fn stls_of_rfc2595_section_4() {
    let mut mailbox = mailbox();
    against_server(
        pop3_proto::server::Session::new(
            config(PlaintextPolicy::RequireTls),
            Entropy::new([3; 32]),
        ),
        "
S: +OK *
C: CAPA
S: +OK *
S: TOP
S: UIDL
S: RESP-CODES
S: AUTH-RESP-CODE
S: PIPELINING
S: SASL SCRAM-SHA-256
S: STLS
S: .
C: USER mrose
S: -ERR USER is not offered on this connection
C: AUTH PLAIN AG1yb3NlAHRhbiBzdGFhZg==
S: -ERR AUTH is not offered on this connection
C: STLS
S: +OK *
<TLS>
C: CAPA
S: +OK *
S: TOP
S: UIDL
S: RESP-CODES
S: AUTH-RESP-CODE
S: PIPELINING
S: USER
S: SASL SCRAM-SHA-256 PLAIN LOGIN
S: .
C: STLS
S: -ERR *
C: AUTH PLAIN AG1yb3NlAHRhbiBzdGFhZg==
S: +OK *
C: STLS
S: -ERR *
C: QUIT
S: +OK *
<close>
",
        |session, event| mailbox.answer(session, event),
    );
    assert_eq!(mailbox.updates, [Vec::<u32>::new()]);
}

/// The client's side of RFC 1939 §10, word by word but for APOP.
#[test]
fn the_client_of_section_10() {
    let mut config = client::Config::default();
    config.sasl.plaintext = PlaintextPolicy::Always;
    let mut session = client::Session::new(config, Entropy::new([4; 32]));
    let password = mail_wire::Secret::new("secret".to_owned());
    session
        .user_pass(&"mrose".parse().unwrap(), &password)
        .unwrap();
    session.stat().unwrap();
    session.list(None).unwrap();
    session.retr("1".parse().unwrap()).unwrap();
    session.dele("1".parse().unwrap()).unwrap();
    session.quit().unwrap();
    let mut events = Vec::new();
    against_client(
        session,
        "
S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>
C: USER mrose
S: +OK mrose is a real hoopy frood
C: PASS secret
S: +OK mrose's maildrop has 2 messages (320 octets)
C: STAT
S: +OK 2 320
C: LIST
S: +OK 2 messages (320 octets)
S: 1 120
S: 2 200
S: .
C: RETR 1
S: +OK 120 octets
S: ..stuffed
S: .
C: DELE 1
S: +OK message 1 deleted
C: QUIT
S: +OK dewey POP3 server signing off (maildrop empty)
<close>
",
        |_, event| events.push(format!("{event:?}")),
    );
    let seen = |text: &str| events.iter().any(|event| event.contains(text));
    assert!(seen("messages: 2, octets: 320"), "{events:#?}");
    assert!(seen("Body(b\".stuffed\\r\\n\")"), "{events:#?}");
    assert!(seen("EndOfMessage"), "{events:#?}");
}
