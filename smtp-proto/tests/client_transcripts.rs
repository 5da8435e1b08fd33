//! The examples of RFC 5321 appendix D, RFC 2920 §4, RFC 3030 §4, RFC 3207 and RFC 4954 §4, from the client's side.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use mail_syntax::{AddressLiteral, Domain, Host, Mailbox};
use mail_wire::framing::LineEndPolicy;
use sasl_core::{Credentials, Entropy, Mechanism};
use smtp_proto::client::{
    CommandError, Config, Envelope, Event, Protocol, Recipient, Session, TlsPolicy,
};
use smtp_proto::parameters::BodyType;
use testkit::against_client;

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
        ["mail 250", "0 250", "1 550", "2 250", "delivered [0, 2] [250]"]
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
