//! What a client did wrong: each cause of a mistake, and whether it waited for replies.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{UP_TO_DATA, answer, config, reply, run, session, tls, with_sasl};
use mail_wire::{Session as _, Step, Time};
use smtp_proto::server::{Event, Mistake, Role, Session, StartTls};

/// The mistakes of a run, each with the code of its reply.
fn mistakes(session: &mut Session, input: &[u8]) -> Vec<(Mistake, u16)> {
    let mut mistakes = Vec::new();
    session.input().extend_from_slice(input);
    loop {
        match session.poll(Time::START) {
            Ok(Step::Event(Event::Mistake { cause, reply, .. })) => {
                mistakes.push((cause, reply.code()));
            }
            Ok(Step::Event(event)) => answer(session, event),
            _ => return mistakes,
        }
    }
}

#[test]
fn each_has_its_cause() {
    for (line, cause, code) in [
        // RFC 5321 §3.8: what is not known is tolerated.
        ("XYZZY", Mistake::UnknownCommand, 500),
        ("GETTER", Mistake::UnknownCommand, 500),
        ("", Mistake::UnknownCommand, 500),
        (" NOOP", Mistake::UnknownCommand, 500),
        ("GET / HTTP/1.1", Mistake::ForeignCommand, 500),
        ("Subject: hello", Mistake::ForeignCommand, 500),
        ("Host:", Mistake::ForeignCommand, 500),
        (".", Mistake::ForeignCommand, 500),
        ("<html>", Mistake::ForeignCommand, 500),
        ("\x16\x03\x01", Mistake::ForeignCommand, 501),
        ("MAIL FROM: <a@b>", Mistake::Syntax, 501),
        ("MAIL FROM:<a@b> SIZE=x", Mistake::Syntax, 501),
        ("MAIL FROM:<\u{e9}@b>", Mistake::Syntax, 550),
        ("NOOP \x01", Mistake::Syntax, 501),
        ("RSET all", Mistake::Syntax, 501),
        ("NOOP\rNOOP", Mistake::BareNewline, 501),
        ("NOOP\nNOOP", Mistake::BareNewline, 500),
        ("RCPT TO:<a@b>", Mistake::OutOfOrder, 503),
        ("DATA", Mistake::OutOfOrder, 503),
        ("BDAT 0 LAST", Mistake::OutOfOrder, 503),
        ("EXPN all", Mistake::NotOffered, 502),
        ("AUTH PLAIN", Mistake::NotOffered, 502),
        ("STARTTLS", Mistake::NotOffered, 502),
        ("LHLO c.example", Mistake::NotOffered, 500),
        ("MAIL FROM:<a@b> RET=HDRS", Mistake::NotOffered, 555),
        ("MAIL FROM:<a@b> X=Y", Mistake::NotOffered, 555),
        ("MAIL FROM:<a@b> SIZE=99999999999", Mistake::TooMuch, 552),
    ] {
        let input = format!("EHLO c.example\r\n{line}\r\n");
        let found = mistakes(&mut session(config()), input.as_bytes());
        assert_eq!(found, [(cause, code)], "{line:?}");
    }
    let long = format!("NOOP {}\r\n", "x".repeat(4_096));
    let found = mistakes(&mut session(config()), long.as_bytes());
    assert_eq!(found, [(Mistake::LineTooLong, 500)]);
}

#[test]
fn in_a_transaction() {
    let mail = "EHLO c.example\r\nMAIL FROM:<a@b>\r\n";
    let mut few = config();
    few.limits.recipients = 1;
    for (input, cause, code) in [
        ("MAIL FROM:<a@b>\r\n", Mistake::OutOfOrder, 503),
        ("DATA\r\n", Mistake::OutOfOrder, 554),
        ("BDAT 3 LAST\r\nabc", Mistake::OutOfOrder, 554),
        ("RCPT TO:<\u{e9}@b>\r\n", Mistake::Syntax, 553),
        ("RCPT TO:<a@b> NOTIFY=NEVER\r\n", Mistake::NotOffered, 555),
        ("RCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n", Mistake::TooMuch, 452),
    ] {
        let found = mistakes(
            &mut session(few.clone()),
            format!("{mail}{input}").as_bytes(),
        );
        assert_eq!(found, [(cause, code)], "{input:?}");
    }
}

/// A message with a bare CR or LF is refused, and that is a mistake, told once in LMTP too.
#[test]
fn a_message_with_bare_newlines() {
    for body in ["a\nb\r\n.\r\n", "a\rb\r\n.\r\n"] {
        let input = format!("{UP_TO_DATA}{body}");
        let found = mistakes(&mut session(config()), input.as_bytes());
        assert_eq!(found, [(Mistake::BareNewline, 550)], "{body:?}");
        let outcome = run(&mut session(config()), input.as_bytes());
        assert_eq!((outcome.aborted, outcome.mistakes), (1, 1));
        let mut lmtp = config();
        lmtp.role = Role::Lmtp;
        let input = input
            .replace("EHLO", "LHLO")
            .replace("DATA", "RCPT TO:<c@d>\r\nDATA");
        let outcome = run(&mut session(lmtp), input.as_bytes());
        assert_eq!((outcome.codes.len(), outcome.mistakes), (8, 1), "{body:?}");
    }
    let mut few = config();
    few.limits.hard_errors = 2;
    let input = format!("{UP_TO_DATA}a\nb\r\n.\r\n").replacen("EHLO c.example\r\n", "", 1);
    let outcome = run(
        &mut session(few),
        format!("EHLO c.example\r\n{input}{input}{input}").as_bytes(),
    );
    assert_eq!(
        (outcome.end.as_str(), outcome.aborted),
        ("TooManyErrors", 2)
    );
}

#[test]
fn without_tls_or_login() {
    let mut needs_tls = with_sasl(config());
    needs_tls.start_tls = StartTls::Required;
    let mut submission = with_sasl(config());
    submission.role = Role::Submission;
    for (config, code) in [(needs_tls, 530), (submission, 530)] {
        let input = b"EHLO c.example\r\nMAIL FROM:<a@b>\r\n";
        let found = mistakes(&mut session(config), input);
        assert_eq!(found, [(Mistake::NotYet, code)]);
    }
}

#[test]
fn turned_away() {
    let mut session = session(config());
    let Ok(Step::Event(Event::Connected(pending))) = session.poll(Time::START) else {
        panic!("no greeting");
    };
    session
        .reject(pending, reply(554, "5.7.1", "Not you"))
        .unwrap();
    let found = mistakes(&mut session, b"EHLO c.example\r\nnonsense\r\nQUIT\r\n");
    assert_eq!(found, [(Mistake::TurnedAway, 503); 2]);
}

/// Sends pieces, each after the replies to the one before.
fn did_not_wait(config: smtp_proto::server::Config, pieces: &[&str]) -> bool {
    let mut session = session(config);
    for piece in pieces {
        session.input().extend_from_slice(piece.as_bytes());
        loop {
            match session.poll(Time::START) {
                Ok(Step::Event(event)) => answer(&mut session, event),
                Ok(Step::Upgrade(_)) => session.upgraded(tls()),
                _ => break,
            }
        }
    }
    session.did_not_wait()
}

#[test]
fn who_waits_is_not_blamed() {
    let ehlo = "EHLO c.example\r\n";
    let group =
        "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<nobody@d>\r\nRCPT TO:<..@d>\r\nDATA\r\n";
    let plain = "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n";
    for pieces in [
        &[
            ehlo,
            group,
            "x\r\n.\r\nMAIL FROM:<a@b>\r\nRSET\r\n",
            "QUIT\r\n",
        ][..],
        &[
            ehlo,
            "RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3 LAST\r\nabcQUIT\r\n",
        ],
        // RFC 4954 §4: an initial response may have something behind it.
        &[ehlo, &format!("{plain}MAIL FROM:<a@b>\r\n")],
        &[ehlo, "XYZZY\r\nRSET\r\n"],
        &[ehlo, "STARTTLS\r\n", ehlo, "NOOP\r\n", "VRFY x\r\n"],
        &["HELO c.example\r\n", "MAIL FROM:<a@b>\r\n", "RSET\r\n"],
        // The beginning of a line that goes on: more of the same line was on its way.
        &["EHLO c.exa", "mple\r\n", "MAIL FR", "OM:<a@b>\r\n"],
    ] {
        let mut config = with_sasl(config());
        config.start_tls = StartTls::Offered;
        assert!(!did_not_wait(config, pieces), "{pieces:?}");
    }
}

#[test]
fn who_does_not_wait_is_noticed() {
    let ehlo = "EHLO c.example\r\n";
    for pieces in [
        &["EHLO c.example\r\nMAIL FROM:<a@b>\r\n"][..],
        // Half of the next command is too much already.
        &["EHLO c.example\r\nM"],
        &["HELO c.example\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"],
        &["HELO c.example\r\nMAIL FROM:<a@b>\r\n"],
        &["XYZZY\r\nEHLO c.example\r\n"],
        &[
            ehlo,
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n",
        ],
        &[ehlo, "NOOP\r\nRSET\r\n"],
        &[ehlo, "VRFY x\r\nRSET\r\n"],
        &[ehlo, "EXPN x\r\nRSET\r\n"],
        &[ehlo, "AUTH PLAIN\r\nAHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"],
        &[ehlo, "STARTTLS\r\nEHLO c.example\r\n"],
        &[ehlo, "EHLO c.example\r\nMAIL FROM:<a@b>\r\n"],
        // What was offered before TLS counts no more (RFC 3207 §4.2).
        &[ehlo, "STARTTLS\r\n", "MAIL FROM:<a@b>\r\nRSET\r\n"],
    ] {
        let mut config = with_sasl(config());
        config.start_tls = StartTls::Offered;
        assert!(did_not_wait(config, pieces), "{pieces:?}");
    }
}
