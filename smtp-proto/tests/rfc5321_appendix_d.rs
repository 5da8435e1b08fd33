//! The scenarios of RFC 5321 appendix D and of RFC 2033 §4.2, in the words of this server.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{answer, config, reply, session};
use smtp_proto::Reply;
use smtp_proto::server::{Config, Event, Role, Session};
use testkit::transcript::against_server;

const EHLO: &str = "\
S: 220 foo.com ESMTP
C: EHLO bar.com
S: 250-foo.com at your service
S: 250-PIPELINING
S: 250-SIZE 52428800
S: 250-8BITMIME
S: 250-SMTPUTF8
S: 250-ENHANCEDSTATUSCODES
S: 250-CHUNKING
S: 250 LIMITS RCPTMAX=1000
";

const MESSAGE: &str = "\
C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: Blah blah blah...
C: ...etc. etc. etc.
C: .
S: 250 2.0.0 *
C: QUIT
S: 221 2.0.0 foo.com *
<close>
";

fn foo() -> Config {
    let mut config = config();
    config.hostname = "foo.com".parse().unwrap();
    config.vrfy = true;
    config
}

/// Green has no mailbox; Crispin is known.
fn foo_answers(session: &mut Session, event: Event) {
    match event {
        Event::Rcpt {
            pending,
            forward_path,
            ..
        } if forward_path.to_string() == "<Green@foo.com>" => {
            session
                .reject(pending, reply(550, "5.1.1", "No such user here"))
                .unwrap();
        }
        Event::Vrfy { pending, string } => {
            assert_eq!(string, "Crispin");
            let reply = Reply::new(250, None, "Mark Crispin <Admin.MRC@foo.com>").unwrap();
            session.accept_with(pending, reply).unwrap();
        }
        event => answer(session, event),
    }
}

fn play(config: Config, transcript: &str) {
    against_server(session(config), transcript, foo_answers);
}

#[test]
fn d1_typical() {
    let transcript = format!(
        "{EHLO}\
C: MAIL FROM:<Smith@bar.com>
S: 250 2.1.0 *
C: RCPT TO:<Jones@foo.com>
S: 250 2.1.5 *
C: RCPT TO:<Green@foo.com>
S: 550 5.1.1 No such user here
C: RCPT TO:<Brown@foo.com>
S: 250 2.1.5 *
{MESSAGE}"
    );
    play(foo(), &transcript);
}

#[test]
fn d2_aborted() {
    let transcript = format!(
        "{EHLO}\
C: MAIL FROM:<Smith@bar.com>
S: 250 2.1.0 *
C: RCPT TO:<Jones@foo.com>
S: 250 2.1.5 *
C: RCPT TO:<Green@foo.com>
S: 550 5.1.1 No such user here
C: RSET
S: 250 2.0.0 OK
C: QUIT
S: 221 2.0.0 *
<close>
"
    );
    play(foo(), &transcript);
}

#[test]
fn d3_relayed() {
    let transcript = format!(
        "{EHLO}\
C: MAIL FROM:<JQP@bar.com>
S: 250 2.1.0 *
C: RCPT TO:<Jones@XYZ.COM>
S: 250 2.1.5 *
C: DATA
S: 354 *
C: Date: Thu, 21 May 1998 05:33:29 -0700
C: From: John Q. Public <JQP@bar.com>
C: Subject: The Next Meeting of the Board
C: To: Jones@xyz.com
C:
C: Bill:
C: The next meeting of the board of directors will be
C: on Tuesday.
C: John.
C: .
S: 250 2.0.0 *
C: QUIT
S: 221 2.0.0 *
<close>
"
    );
    play(foo(), &transcript);
}

#[test]
fn d4_verifying_and_sending() {
    let transcript = format!(
        "{EHLO}\
C: VRFY Crispin
S: 250 Mark Crispin <Admin.MRC@foo.com>
C: MAIL FROM:<EAK@bar.com>
S: 250 2.1.0 *
C: RCPT TO:<Admin.MRC@foo.com>
S: 250 2.1.5 *
{MESSAGE}"
    );
    play(foo(), &transcript);
}

/// RFC 2033 §4.2: one reply for each recipient that was accepted, in order.
#[test]
fn lmtp() {
    let mut config = foo();
    config.role = Role::Lmtp;
    let start = "\
S: 220 foo.com LMTP
C: HELO foo.edu
S: 500 5.5.1 *
C: LHLO foo.edu
S: 250-foo.com *
S: 250-PIPELINING
S: 250-SIZE 52428800
S: 250-8BITMIME
S: 250-SMTPUTF8
S: 250-ENHANCEDSTATUSCODES
S: 250-CHUNKING
S: 250 LIMITS RCPTMAX=1000
C: MAIL FROM:<chris@bar.com>
S: 250 2.1.0 *
C: RCPT TO:<pat@foo.edu>
S: 250 2.1.5 *
C: RCPT TO:<Green@foo.com>
S: 550 5.1.1 *
C: RCPT TO:<green@foo.edu>
S: 250 2.1.5 *
";
    let mut quota = |session: &mut Session, event: Event| match event {
        Event::EndOfData { pending, .. } => {
            let recipients = &session.envelope().unwrap().recipients;
            assert_eq!(recipients.len(), 2);
            let replies = [
                reply(250, "2.0.0", "OK"),
                reply(452, "4.2.2", "<green@foo.edu> is temporarily over quota"),
            ];
            session.deliver_each(pending, replies).unwrap();
        }
        event => foo_answers(session, event),
    };
    let data = "\
C: DATA
S: 354 *
C: Blah blah blah...
C: .
S: 250 2.0.0 OK
S: 452 4.2.2 <green@foo.edu> is temporarily over quota
C: DATA
S: 503 5.5.1 *
C: MAIL FROM:<>
S: 250 2.1.0 *
C: DATA
S: 503 5.5.1 *
C: BDAT 0 LAST
C: QUIT
S: 221 2.0.0 *
<close>
";
    against_server(
        session(config.clone()),
        &format!("{start}{data}"),
        &mut quota,
    );
    let chunks = "\
C: BDAT 2
C:
S: 250 2.0.0 *
C: BDAT 3 LAST
C: x
S: 250 2.0.0 OK
S: 452 4.2.2 *
";
    against_server(
        session(config.clone()),
        &format!("{start}{chunks}"),
        &mut quota,
    );
    let refused = "\
C: DATA
S: 354 *
C: a\r\r
C: .
S: 550 5.5.2 *
S: 550 5.5.2 *
";
    against_server(session(config), &format!("{start}{refused}"), &mut quota);
}
