//! The public suites: `pop3/commands.json`, the traces of MailKit for the client, and all lines of the RFCs' examples that are
//! commands or replies.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
// The suites are files.
#![allow(clippy::disallowed_methods)]

use std::fs;

use mail_wire::{Session as _, Step, Time};
use pop3_proto::client::{Config, Event, Session};
use pop3_proto::command::Command;
use pop3_proto::reply::Reply;
use sasl_core::{Entropy, PlaintextPolicy};
use testkit::conformance::{load_json, root};

#[test]
fn commands() {
    let Some(suite) = load_json("pop3/commands.json") else {
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    for case in cases {
        let input = case["input"].as_str().unwrap();
        let line = input.strip_suffix("\r\n").unwrap();
        let parsed = Command::parse(line.as_bytes());
        assert_eq!(
            parsed.is_ok(),
            case["valid"].as_bool().unwrap(),
            "{case}: {parsed:?}"
        );
        let Ok(command) = parsed else { continue };
        let mut printed = bytes::BytesMut::new();
        command.write(&mut printed).unwrap();
        let mut want = case["verb"].as_str().unwrap().to_owned();
        for argument in case["args"].as_array().unwrap() {
            want.push(' ');
            want.push_str(argument.as_str().unwrap());
        }
        assert_eq!(printed, format!("{want}\r\n").as_bytes(), "{case}");
    }
    eprintln!("pop3/commands.json: {0} of {0}", cases.len());
    assert_eq!(cases.len(), 38);
}

#[test]
fn lines_of_the_rfcs() {
    let (mut commands, mut replies) = (0, 0);
    for rfc in [1939, 2449, 2595, 5034, 6856] {
        let Some(suite) = load_json(&format!("pop3/rfc-examples/rfc{rfc}.json")) else {
            return;
        };
        for line in suite["lines"].as_array().unwrap() {
            // What follows a line feed in print is a remark.
            let text = line["text"].as_str().unwrap().trim();
            let text = text.split('\n').next().unwrap_or_default();
            if line["side"] == "C" && ["3.1", "5.1"].iter().all(|other| line["section"] != *other) {
                if let Ok(command) = Command::parse(text.as_bytes()) {
                    let mut printed = bytes::BytesMut::new();
                    command.write(&mut printed).unwrap();
                    assert_eq!(printed, format!("{text}\r\n").as_bytes());
                    commands += 1;
                }
            } else if text.starts_with("+OK") || text.starts_with("-ERR") {
                assert_eq!(Reply::parse(text.as_bytes()).unwrap().to_string(), text);
                replies += 1;
            }
        }
    }
    eprintln!("pop3/rfc-examples: {commands} commands and {replies} replies");
    assert!(commands >= 40 && replies >= 50, "{commands} and {replies}");
}

/// A client at the command to which a trace is the answer: the session, and what stands before the trace.
fn at_command(name: &str) -> Option<(Session, &'static [u8])> {
    let mut config = Config::default();
    config.sasl.plaintext = PlaintextPolicy::Always;
    let mut session = Session::new(config, Entropy::new([3; 32]));
    let verb = name.trim_end_matches("-parse-error");
    let verb = verb.trim_end_matches("-error1").trim_end_matches("-error2");
    let digits = verb.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number = || digits.get(..1).unwrap_or("1").parse().unwrap();
    let verb = verb.trim_end_matches(digits);
    if verb.ends_with("greeting") {
        return Some((session, b""));
    }
    // "123": the answers to three commands.
    for _ in 0..if digits == "123" { 3 } else { 1 } {
        match verb {
            "capa" => session.capa(),
            "stat" => session.stat(),
            "list" => session.list((!digits.is_empty()).then(number)),
            "uidl" => session.uidl((!digits.is_empty()).then(number)),
            "retr" => session.retr(number()),
            "top" => session.top(number(), 0),
            "dele" => session.dele(number()),
            "rset" => session.rset(),
            "noop" => session.noop(),
            "quit" => session.quit(),
            _ => return None,
        }
        .unwrap();
    }
    Some((session, b"+OK\r\n"))
}

/// Traces that are broken on purpose, or that belong to commands the client does not have, and why.
const GAPS: [(&str, &str); 9] = [
    (
        "gmail/plus",
        "a challenge alone; sessions with challenges are in every_split",
    ),
    ("gmail/auth", "the end of a login alone, as before"),
    ("lang/auth", "the end of a login alone, as before"),
    ("lang/utf8", "RFC 6856 §2: the client has no UTF8"),
    ("lang/setlang", "RFC 6856 §3: the client has no LANG"),
    ("lang/getlang", "RFC 6856 §3: the client has no LANG"),
    (
        "gmail/uidl-error1",
        "RFC 1939 §7: a unique id is missing, on purpose",
    ),
    (
        "gmail/uidl1-error1",
        "RFC 1939 §7: a unique id is missing, on purpose",
    ),
    (
        "gmail/uidl1-error2",
        "RFC 1939 §7: the number is not the one asked for, on purpose",
    ),
];

#[test]
fn traces_of_mailkit() {
    let Some(root) = root() else {
        eprintln!("skipped: pop3/mailkit-traces: no conformance suites");
        return;
    };
    let (mut read, mut gaps) = (0, 0);
    for folder in ["common", "gmail", "lang"] {
        let mut files: Vec<_> = fs::read_dir(root.join("pop3/mailkit-traces").join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let full = format!("{folder}/{name}");
            let trace = fs::read(&file).unwrap();
            let outcome = at_command(name)
                .ok_or_else(|| "no such command".to_owned())
                .and_then(|(mut session, before)| {
                    session.input().extend_from_slice(before);
                    session.input().extend_from_slice(&with_crlf(&trace));
                    let mut last = None;
                    loop {
                        match session.poll(Time::START) {
                            Ok(Step::Event(event)) => last = Some(event),
                            Ok(Step::NeedInput | Step::Closed) => break,
                            other => return Err(format!("{other:?}")),
                        }
                    }
                    match last {
                        Some(Event::Greeting(_)) if !before.is_empty() => {
                            Err("no answer".to_owned())
                        }
                        Some(Event::Message { .. } | Event::Body(_)) => Err("no end".to_owned()),
                        None => Err("nothing".to_owned()),
                        Some(_) => Ok(()),
                    }
                });
            let gap = GAPS.iter().find(|(gap, _)| *gap == full);
            match (outcome, gap) {
                (Ok(()), None) => read += 1,
                (Err(_), Some(_)) => gaps += 1,
                (Ok(()), Some((_, why))) => {
                    panic!("{full} is read, strike it from the gaps: {why}")
                }
                (Err(error), None) => {
                    panic!("{full}: {error}\n{}", String::from_utf8_lossy(&trace))
                }
            }
        }
    }
    eprintln!("pop3/mailkit-traces: {read} read as they are, {gaps} known gaps");
    assert_eq!(read + gaps, 38);
}

/// The traces are stored with LF.
fn with_crlf(text: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|octet| *octet != b'\r')
        .collect();
    text.split(|octet| *octet == b'\n')
        .collect::<Vec<_>>()
        .join(&b"\r\n"[..])
}
