//! The same bytes give the same events however they are cut, and every cut-off ends.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{UP_TO_RCPT, answer, config, seen, session, with_sasl};
use mail_wire::framing::LineEndPolicy;
use proptest::prelude::*;
use smtp_proto::server::{Config, Role, StartTls};
use testkit::{Ended, every_split, run_cut};

fn all() -> Config {
    let mut config = with_sasl(config());
    config.binary_mime = true;
    config.dsn = true;
    config.start_tls = StartTls::Offered;
    config.limits.message = 60;
    config.limits.command_line = 200;
    config.limits.auth_line = 300;
    config
}

fn check(config: &Config, input: &[u8]) -> Ended {
    every_split(input, || session(config.clone()), || answer, seen).ended
}

#[test]
fn dialogs() {
    let long = "x".repeat(300);
    let dialogs: Vec<String> = vec![
        "EHLO c.example\r\nMAIL FROM:<a@c.example> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<b@mx.example> NOTIFY=NEVER\r\nRCPT TO:<nobody@mx.example>\r\nDATA\r\nSubject: a\r\n\r\n..b\r\n.\r\nQUIT\r\n".into(),
        "HELO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\na\rb\nc\r\n.\r.\r\n\r\n.\r\nVRFY x\r\nHELP\r\nRSET\r\n".into(),
        "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nBDAT 4\r\nab\r\nBDAT 3 LAST\r\n\r\nx\r\nMAIL FROM:<c@c.example>\r\nBDAT 5 LAST\r\nQUIT\nNOOP\r\n".into(),
        format!("EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n{}\r\n.\r\nNOOP\r\n", &long[..80]),
        format!("NOOP {long}\r\nAUTH {long}\r\nNOOP\n\r\n\u{fc}\r\nNO\0OP\r\n"),
        "EHLO c.example\r\nAUTH PLAIN\r\nAHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\nAUTH PLAIN\r\nMAIL FROM:<a@c.example>\r\nQUIT\r\n".into(),
        format!("EHLO c.example\r\nAUTH PLAIN AHRpbQB4\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH SCRAM-SHA-256\r\n{long}x\r\nNOOP\r\nAUTH X\r\nAUTH PLAIN\r\n????\r\n"),
        "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nSTARTTLS\r\n".into(),
        "EHLO c.example\r\nSTARTTLS\r\nMAIL FROM:<a@c.example>\r\n".into(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}\u{2}".into(),
        "NOOP\n".repeat(25),
        "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nEHLO d.example\r\nBDAT 3\r\nabc".into(),
    ];
    for dialog in dialogs {
        check(&all(), dialog.as_bytes());
    }
}

#[test]
fn normalising() {
    let mut config = all();
    config.line_ends = LineEndPolicy::Normalise;
    for message in [
        "DATA\r\na\rb\n\r\r\n.\r\n",
        "BDAT 3\r\na\r\nBDAT 3\r\n\r\rbBDAT 2 LAST\r\n\n\r",
    ] {
        let input = format!("{}{message}", UP_TO_RCPT);
        check(&config, input.as_bytes());
    }
}

#[test]
fn lmtp() {
    let mut config = all();
    config.role = Role::Lmtp;
    check(
        &config,
        b"EHLO c.example\r\nLHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nRCPT TO:<nobody@mx.example>\r\nRCPT TO:<c@mx.example>\r\nDATA\r\nx\r\n.\r\nMAIL FROM:<a@c.example>\r\nDATA\r\nQUIT\r\n",
    );
}

const FRAGMENTS: [&str; 24] = [
    "EHLO c.example\r\n",
    "MAIL FROM:<a@c.example>\r\n",
    "MAIL FROM:<a@c.example> BODY=BINARYMIME\r\n",
    "RCPT TO:<b@mx.example>\r\n",
    "RCPT TO:<nobody@mx.example>\r\n",
    "DATA\r\n",
    ".\r\n",
    ".",
    "\r",
    "\n",
    "\r\n",
    "\0",
    "BDAT 5\r\n",
    "BDAT 7 LAST\r\n",
    "BDAT 70\r\n",
    "BDAT 0 LAST\r\n",
    "AUTH PLAIN\r\n",
    "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
    "AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
    "*\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "STARTTLS\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A soup of commands and message, in one piece and octet by octet.
    #[test]
    fn soup(choice in proptest::collection::vec(0..FRAGMENTS.len(), 0..40)) {
        let mut input = UP_TO_RCPT.to_owned();
        input.extend(choice.into_iter().map(|index| FRAGMENTS[index]));
        let octets: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
        let whole = run_cut(&[input.as_bytes()], session(all()), answer, seen);
        let cut = run_cut(&octets, session(all()), answer, seen);
        prop_assert_eq!(whole, cut);
    }
}
