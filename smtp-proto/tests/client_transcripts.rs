//! The examples of RFC 5321 appendix D, RFC 2920 §4, RFC 3030 §4, RFC 3207 and RFC 4954 §4, from the client's side.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use mail_syntax::{AddressLiteral, Host, Mailbox};
use mail_wire::framing::LineEndPolicy;
use mail_wire::{End, Session as _, Step, Time};
use sasl_core::{Credentials, Entropy, Mechanism};
use smtp_proto::client::{
    CommandError, Config, Envelope, Error, Event, Protocol, Recipient, Session, TlsPolicy,
};
use smtp_proto::parameters::BodyType;
use testkit::transcript::against_client;

fn session(host: &str, edit: impl FnOnce(&mut Config)) -> Session {
    let mut config = Config::new(host.parse::<Host>().unwrap());
    config.tls = TlsPolicy::Opportunistic;
    edit(&mut config);
    Session::new(config, Entropy::new([7; 32]))
}

fn envelope(from: &str, to: &[&str]) -> Envelope {
    let recipients = to
        .iter()
        .map(|to| Recipient::from(to.parse::<Mailbox>().unwrap()));
    Envelope::new(from.parse::<Mailbox>().unwrap(), recipients)
}

/// Sends one message, then quits; what happened is collected.
fn sender<'a>(
    envelope: Envelope,
    content: &'a str,
    seen: &'a mut Vec<String>,
) -> impl FnMut(&mut Session, Event) + 'a {
    let mut envelope = Some(envelope);
    move |session, event| match event {
        Event::Ready(_) => session.send(envelope.take().unwrap()).unwrap(),
        Event::Room(stream) => {
            session.content(stream, content.as_bytes()).unwrap();
            session.finish(stream).unwrap();
        }
        Event::MailReply(reply) => seen.push(format!("mail {}", reply.code())),
        Event::RecipientReply { index, reply } => seen.push(format!("{index} {}", reply.code())),
        Event::Delivered { accepted, replies } => {
            let codes: Vec<u16> = replies.iter().map(smtp_proto::Reply::code).collect();
            seen.push(format!("delivered {accepted:?} {codes:?}"));
            session.quit().unwrap();
        }
        Event::Refused { accepted, reply } => {
            seen.push(format!("refused {accepted:?} {reply}"));
            session.quit().unwrap();
        }
        other => panic!("{other:?}"),
    }
}

const THREE: [&str; 3] = ["Jones@foo.com", "Green@foo.com", "Brown@foo.com"];

#[test]
fn rfc5321_d1_a_typical_transaction() {
    let mut seen = Vec::new();
    against_client(
        session("bar.com", |_| {}),
        "
S: 220 foo.com Simple Mail Transfer Service Ready
C: EHLO bar.com
S: 250-foo.com greets bar.com
S: 250-8BITMIME
S: 250-SIZE
S: 250-DSN
S: 250 HELP
C: MAIL FROM:<Smith@bar.com>
S: 250 OK
C: RCPT TO:<Jones@foo.com>
S: 250 OK
C: RCPT TO:<Green@foo.com>
S: 550 No such user here
C: RCPT TO:<Brown@foo.com>
S: 250 OK
C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: Blah blah blah...
C: ...etc. etc. etc.
C: .
S: 250 OK
C: QUIT
S: 221 foo.com Service closing transmission channel
<close>
",
        // The example's own content begins no line with a dot; "...etc." is written stuffed here by the client.
        sender(
            envelope("Smith@bar.com", &THREE),
            "Blah blah blah...\r\n..etc. etc. etc.\r\n",
            &mut seen,
        ),
    );
    assert_eq!(
        seen,
        [
            "mail 250",
            "0 250",
            "1 550",
            "2 250",
            "delivered [0, 2] [250]"
        ]
    );
}

#[test]
fn rfc5321_d2_an_aborted_transaction() {
    // Appendix D.2 aborts by RSET after a refused recipient; this client does so when all are refused.
    let mut seen = Vec::new();
    against_client(
        session("bar.com", |_| {}),
        "
S: 220 foo.com Simple Mail Transfer Service Ready
C: EHLO bar.com
S: 250-foo.com greets bar.com
S: 250-8BITMIME
S: 250-SIZE
S: 250-DSN
S: 250 HELP
C: MAIL FROM:<Smith@bar.com>
S: 250 OK
C: RCPT TO:<Green@foo.com>
S: 550 No such user here
C: RSET
S: 250 OK
C: QUIT
S: 221 foo.com Service closing transmission channel
<close>
",
        sender(envelope("Smith@bar.com", &["Green@foo.com"]), "", &mut seen),
    );
    assert_eq!(
        seen,
        ["mail 250", "0 550", "refused [] 550 No such user here"]
    );
}

#[test]
fn helo_where_ehlo_is_not_known() {
    let mut seen = Vec::new();
    let literal: AddressLiteral = "[192.0.2.1]".parse().unwrap();
    let mut config = Config::new(Host::from(literal));
    config.tls = TlsPolicy::Opportunistic;
    against_client(
        Session::new(config, Entropy::new([7; 32])),
        "
S: 220 old
C: EHLO [192.0.2.1]
S: 502 command not implemented
C: HELO [192.0.2.1]
S: 250 old
C: MAIL FROM:<a@b.example>
S: 451 try later
C: QUIT
S: 221
<close>
",
        sender(envelope("a@b.example", &["c@d.example"]), "", &mut seen),
    );
    assert_eq!(seen, ["mail 451", "refused [] 451 try later"]);
}

const PIPELINING: &str = "
S: 220 innosoft.com SMTP service ready
C: EHLO dbc.mtview.ca.us
S: 250-innosoft.com
S: 250 PIPELINING
C: MAIL FROM:<mrose@dbc.mtview.ca.us>
C: RCPT TO:<ned@innosoft.com>
C: RCPT TO:<dan@innosoft.com>
C: RCPT TO:<kvc@innosoft.com>
C: DATA
";

fn pipelined(rest: &str, content: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let to = ["ned@innosoft.com", "dan@innosoft.com", "kvc@innosoft.com"];
    against_client(
        session("dbc.mtview.ca.us", |_| {}),
        &format!("{PIPELINING}{rest}"),
        sender(envelope("mrose@dbc.mtview.ca.us", &to), content, &mut seen),
    );
    seen
}

#[test]
fn rfc2920_section_4() {
    assert_eq!(
        pipelined(
            "
S: 250 sender <mrose@dbc.mtview.ca.us> OK
S: 250 recipient <ned@innosoft.com> OK
S: 250 recipient <dan@innosoft.com> OK
S: 250 recipient <kvc@innosoft.com> OK
S: 354 enter mail, end with line containing only \".\"
C: hello
C: .
S: 250 message sent
C: QUIT
S: 221 goodbye
<close>
",
            "hello"
        )
        .last()
        .unwrap(),
        "delivered [0, 1, 2] [250]"
    );
}

#[test]
fn rfc2920_section_4_all_refused() {
    // "the client SMTP can just issue RSET"
    assert_eq!(
        pipelined(
            "
S: 250 sender <mrose@dbc.mtview.ca.us> OK
S: 550 remote mail to <nsb@thumper.bellore.com> not allowed
S: 550 remote mail to <galvin@tis.com> not allowed
S: 550 no
S: 554 no valid recipients given
C: RSET
S: 250
C: QUIT
S: 221 goodbye
<close>
",
            ""
        )
        .last()
        .unwrap(),
        "refused [] 550 no"
    );
    // "but if the DATA command was accepted the client SMTP should send a single dot"
    assert_eq!(
        pipelined(
            "
S: 250 sender OK
S: 450 later
S: 450 later
S: 450 last
S: 354 send it
C: .
S: 554 no valid recipients
C: QUIT
S: 221 goodbye
<close>
",
            ""
        )
        .last()
        .unwrap(),
        "refused [] 450 last"
    );
    assert_eq!(
        pipelined(
            "
S: 452 4.3.1 disk
S: 503 need MAIL
S: 503 need MAIL
S: 503 need MAIL
S: 503 need MAIL
C: QUIT
S: 221 goodbye
<close>
",
            ""
        ),
        ["mail 452", "refused [] 452 4.3.1 disk"]
    );
}

#[test]
fn rfc3030_section_4_1_simple_chunking() {
    let mut seen = Vec::new();
    against_client(
        session("ymir.claremont.edu", |config| config.chunking = true),
        "
S: 220 cnri.reston.va.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-cnri.reston.va.us says hello
S: 250 CHUNKING
C: MAIL FROM:<Sam@Random.com>
S: 250 <Sam@Random.com> Sender ok
C: RCPT TO:<Susan@Random.com>
S: 250 <Susan@random.com> Recipient ok
C: BDAT 86 LAST
C: To: Susan@random.com
C: From: Sam@random.com
C: Subject: This is a bodyless test message
S: 250 Message OK, 86 octets received
C: QUIT
S: 221 Goodbye
<close>
",
        sender(
            envelope("Sam@Random.com", &["Susan@Random.com"]),
            "To: Susan@random.com\r\nFrom: Sam@random.com\r\nSubject: This is a bodyless test message\r\n",
            &mut seen,
        ),
    );
    assert_eq!(seen.last().unwrap(), "delivered [0] [250]");
}

#[test]
fn rfc3030_section_4_2_pipelined_binary() {
    let to = ["gvaudre@cnri.reston.va.us", "jstewart@cnri.reston.va.us"];
    let mut envelope = envelope("ned@ymir.claremont.edu", &to);
    envelope.parameters.body = Some(BodyType::BinaryMime);
    let mut seen = Vec::new();
    against_client(
        session("ymir.claremont.edu", |config| config.limits.chunk = 14),
        "
S: 220 cnri.reston.va.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-cnri.reston.va.us says hello
S: 250-PIPELINING
S: 250-BINARYMIME
S: 250 CHUNKING
C: MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME
C: RCPT TO:<gvaudre@cnri.reston.va.us>
C: RCPT TO:<jstewart@cnri.reston.va.us>
S: 250 <ned@ymir.claremont.edu>... Sender and BINARYMIME ok
S: 250 <gvaudre@cnri.reston.va.us>... Recipient ok
S: 250 <jstewart@cnri.reston.va.us>... Recipient ok
C: BDAT 14
C: first octets
C: BDAT 14
C: .second half
S: 250 14 octets received
S: 250 14 octets received
C: BDAT 7 LAST
C: .rest
S: 250 Message OK, 35 octets received
C: QUIT
S: 221 Goodbye
<close>
",
        sender(
            envelope,
            "first octets\r\n.second half\r\n.rest\r\n",
            &mut seen,
        ),
    );
    assert_eq!(seen.last().unwrap(), "delivered [0, 1] [250]");
}

#[test]
fn a_refused_chunk_ends_the_message() {
    let mut seen = Vec::new();
    against_client(
        session("c.example", |config| {
            config.chunking = true;
            config.limits.chunk = 4;
        }),
        "
S: 220 mx
C: EHLO c.example
S: 250-mx
S: 250-PIPELINING
S: 250 CHUNKING
C: MAIL FROM:<a@b.example>
C: RCPT TO:<c@d.example>
S: 250 ok
S: 250 ok
C: BDAT 4
C: ab
C: BDAT 4
C: cd
S: 452 disk
S: 503 no transaction
C: RSET
S: 250 ok
C: QUIT
S: 221
<close>
",
        sender(
            envelope("a@b.example", &["c@d.example"]),
            "ab\r\ncd\r\nef\r\n",
            &mut seen,
        ),
    );
    assert_eq!(seen.last().unwrap(), "refused [0] 452 disk");
}

#[test]
fn rfc3207_section_5() {
    let session = against_client(
        session("mail.example.com", |config| config.tls = TlsPolicy::Require),
        "
S: 220 mail.imc.org SMTP service ready
C: EHLO mail.example.com
S: 250-mail.imc.org offers a warm hug of welcome
S: 250-8BITMIME
S: 250-STARTTLS
S: 250 DSN
C: STARTTLS
S: 220 Go ahead
<TLS>
C: EHLO mail.example.com
S: 250-mail.imc.org touches your hand gently for a moment
S: 250 DSN
C: QUIT
S: 221 bye
<close>
",
        |session, event| match event {
            Event::Ready(offered) => {
                assert!(!offered.start_tls && !offered.eight_bit_mime && offered.dsn);
                let mut envelope = envelope("a@b.example", &["c@d.example"]);
                envelope.parameters.body = Some(BodyType::EightBitMime);
                assert_eq!(
                    session.send(envelope),
                    Err(CommandError::NotOffered("8BITMIME")),
                    "what was offered before TLS is forgotten"
                );
                session.quit().unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    assert!(session.tls().is_some());
}

#[test]
fn policy_never_stays_in_the_clear() {
    let mut seen = Vec::new();
    against_client(
        session("c.example", |config| config.tls = TlsPolicy::Never),
        "
S: 220 mx
C: EHLO c.example
S: 250-mx
S: 250 STARTTLS
C: MAIL FROM:<a@b.example>
S: 550 no
C: QUIT
S: 221
<close>
",
        sender(envelope("a@b.example", &["c@d.example"]), "", &mut seen),
    );
    assert_eq!(seen, ["mail 550", "refused [] 550 no"]);
}

#[test]
fn lmtp_answers_for_each_recipient() {
    // RFC 2033 §4.2's example.
    let mut seen = Vec::new();
    let to = ["pat@foo.edu", "jones@foo.edu", "green@foo.edu"];
    against_client(
        session("foo.edu", |config| config.protocol = Protocol::Lmtp),
        "
S: 220 foo.edu LMTP server ready
C: LHLO foo.edu
S: 250-foo.edu
S: 250-PIPELINING
S: 250 SIZE
C: MAIL FROM:<chris@bar.com>
C: RCPT TO:<pat@foo.edu>
C: RCPT TO:<jones@foo.edu>
C: RCPT TO:<green@foo.edu>
C: DATA
S: 250 OK
S: 250 OK
S: 550 No such user here
S: 250 OK
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: Blah blah blah
C: .
S: 250 OK
S: 452 <green@foo.edu> is temporarily over quota
C: QUIT
S: 221 foo.edu closing connection
<close>
",
        sender(
            envelope("chris@bar.com", &to),
            "Blah blah blah\r\n",
            &mut seen,
        ),
    );
    assert_eq!(seen.last().unwrap(), "delivered [0, 2] [250, 452]");
}

/// Logs in as tim, then quits; tells how it went.
fn login(policy: TlsPolicy, mechanism: Mechanism, transcript: &str) -> String {
    let mut outcome = String::new();
    against_client(
        session("client.example.com", |config| config.tls = policy),
        transcript,
        |session, event| match event {
            Event::Ready(_) => {
                let credentials = Credentials::new("tim".parse().unwrap(), "tanstaaftanstaaf");
                if let Err(error) = session.login(mechanism, credentials) {
                    outcome = format!("{error:?}");
                    session.quit().unwrap();
                }
            }
            Event::Derive(derivation) => session.derived(derivation.run()).unwrap(),
            other => {
                outcome = format!("{other:?}");
                session.quit().unwrap();
            }
        },
    );
    outcome
}

const TLS: &str = "
S: 220 smtp.example.com ESMTP Server
C: EHLO client.example.com
S: 250-smtp.example.com Hello client.example.com
S: 250 STARTTLS
C: STARTTLS
S: 220 Ready to start TLS
<TLS>
C: EHLO client.example.com
S: 250-smtp.example.com Hello client.example.com
S: 250-ENHANCEDSTATUSCODES
S: 250 AUTH LOGIN PLAIN SCRAM-SHA-256
";

const QUIT: &str = "
C: QUIT
S: 221 2.0.0 bye
<close>
";

#[test]
fn rfc4954_section_4_1_plain_under_tls() {
    let plain = "C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\n";
    for (reply, outcome) in [
        ("S: 235 2.7.0 Authentication successful", "LoggedIn(None)"),
        (
            "S: 454 4.7.0 Temporary authentication failure",
            "LoginRefused(",
        ),
        (
            "S: 535 5.7.8 Authentication credentials invalid",
            "LoginRefused(",
        ),
    ] {
        let transcript = format!("{TLS}{plain}{reply}{QUIT}");
        let found = login(TlsPolicy::Require, Mechanism::Plain, &transcript);
        assert!(found.starts_with(outcome), "{found}");
    }
}

#[test]
fn login_and_broken_challenges() {
    let transcript = format!(
        "{TLS}C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dGlt\nS: 334 UGFzc3dvcmQ6\nC: dGFuc3RhYWZ0YW5zdGFhZg==\nS: 235 2.7.0 ok{QUIT}"
    );
    let found = login(TlsPolicy::Require, Mechanism::Login, &transcript);
    assert_eq!(found, "LoggedIn(None)");
    let transcript =
        format!("{TLS}C: AUTH LOGIN\nS: 334 not base64!\nC: *\nS: 501 5.7.0 cancelled{QUIT}");
    let found = login(TlsPolicy::Require, Mechanism::Login, &transcript);
    assert_eq!(found, "LoginFailed(Base64)");
    // A SCRAM whose server does not keep to the nonce is broken off.
    let transcript = format!(
        "{TLS}C: AUTH SCRAM-SHA-256 *\nS: 334 cj1vdGhlcixzPVFTWENSK1E2c2VrOGJmOTIsaT00MDk2\nC: *\nS: 501 5.7.0 cancelled{QUIT}"
    );
    let found = login(TlsPolicy::Require, Mechanism::ScramSha256, &transcript);
    assert!(found.starts_with("LoginFailed(Sasl("), "{found}");
}

#[test]
fn no_password_in_the_clear_and_nothing_that_is_not_offered() {
    let clear =
        format!("S: 220 mx\nC: EHLO client.example.com\nS: 250-mx\nS: 250 AUTH PLAIN{QUIT}");
    let found = login(TlsPolicy::Never, Mechanism::Plain, &clear);
    assert_eq!(found, "Sasl(NotAllowed(Plain))");
    let found = login(TlsPolicy::Never, Mechanism::ScramSha256, &clear);
    assert_eq!(found, "Mechanism(ScramSha256)");
}

#[test]
fn bare_line_ends_become_whole_where_asked() {
    let mut seen = Vec::new();
    against_client(
        session("c.example", |config| {
            config.line_ends = LineEndPolicy::Normalise;
        }),
        "
S: 220 mx
C: EHLO c.example
S: 250 mx
C: MAIL FROM:<a@b.example>
S: 250 ok
C: RCPT TO:<c@d.example>
S: 250 ok
C: DATA
S: 354 go
C: a
C: ..
C: b
C: .
S: 250 ok
C: QUIT
S: 221
<close>
",
        sender(
            envelope("a@b.example", &["c@d.example"]),
            "a\n.\rb",
            &mut seen,
        ),
    );
    assert_eq!(seen.last().unwrap(), "delivered [0] [250]");
}

#[test]
fn a_refusal_is_told_even_if_the_server_then_goes() {
    for end in ["S: 421 bye\n", "S: 500 what\n", "<end>\n"] {
        let transcript = "
S: 220 mx
C: EHLO c.example
S: 250 mx
C: MAIL FROM:<a@b.example>
S: 250 ok
C: RCPT TO:<c@d.example>
S: 250 ok
C: DATA
S: 554 no
C: RSET
";
        let mut session = against_client(
            session("c.example", |_| {}),
            transcript,
            |session, event| {
                if let Event::Ready(_) = event {
                    let envelope = envelope("a@b.example", &["c@d.example"]);
                    session.send(envelope).unwrap();
                }
            },
        );
        match end.strip_prefix("S: ") {
            Some(line) => {
                let line = format!("{}\r\n", line.trim_end());
                session.input().extend_from_slice(line.as_bytes());
            }
            None => session.end_of_input(End::Cut),
        }
        let Ok(Step::Event(Event::Refused { reply, accepted })) = session.poll(Time::START) else {
            panic!("{end}: nothing is told");
        };
        assert_eq!((reply.code(), accepted), (554, vec![0]));
        assert!(
            matches!(session.poll(Time::START), Err(Error::Peer(_))),
            "{end}"
        );
        assert!(
            matches!(session.poll(Time::START), Ok(Step::Closed)),
            "{end}"
        );
    }
}
