//! SMTP smuggling (VU#302671): only CR LF . CR LF ends a message, and a message with other line ends is refused whole.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{UP_TO_DATA, config, run, session};
use mail_wire::framing::LineEndPolicy;

#[test]
fn sequences_of_the_attack() {
    let Some(suite) = testkit::conformance::load_json("attacks/smtp-smuggling.json") else {
        return;
    };
    let mut count = 0;
    for case in suite["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let stream = decode(case["stream_b64"].as_str().unwrap());
        let mut input = UP_TO_DATA.as_bytes().to_vec();
        input.extend_from_slice(&stream);
        for policy in [LineEndPolicy::Reject, LineEndPolicy::Normalise] {
            let mut config = config();
            config.line_ends = policy;
            let outcome = run(&mut session(config), &input);
            if case["is_end_of_data"] == false {
                assert!(outcome.messages.len() <= 1, "{id} {policy:?}: {outcome:?}");
                // The commands in the message are part of it.
                assert_eq!(outcome.senders, ["<a@c.example>"], "{id} {policy:?}");
                assert_eq!(outcome.codes[..5], [220, 250, 250, 250, 354], "{id}");
                assert_eq!(outcome.codes.len(), 6, "{id} {policy:?}: {outcome:?}");
            }
            let end = decode(case["end_sequence_b64"].as_str().unwrap());
            let is_bare = has_bare(&end);
            if is_bare && policy == LineEndPolicy::Reject {
                assert_eq!(outcome.codes[5], 550, "{id}: {outcome:?}");
            } else {
                assert_eq!(outcome.codes[5], 250, "{id}: {outcome:?}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 19);
}

/// The suite of mox: what is decoded, and what is refused.
#[test]
fn data_stuffing() {
    let Some(suite) = testkit::conformance::load_json("smtp/data-stuffing.json") else {
        return;
    };
    let mut count = 0;
    for case in suite["cases"].as_array().unwrap() {
        if case["op"] != "decode" {
            continue;
        }
        let text = case["input"].as_str().unwrap();
        let outcome = run(
            &mut session(config()),
            format!("{UP_TO_DATA}{text}").as_bytes(),
        );
        if case["error"].is_null() && !has_bare(text.as_bytes()) {
            assert_eq!(
                outcome.messages,
                [case["expect"].as_str().unwrap()],
                "{text:?}"
            );
        } else {
            // mox lets through some bare LFs; here each is refused.
            assert!(outcome.messages.is_empty(), "{text:?}: {outcome:?}");
            if outcome.codes.len() == 5 {
                assert!(!text.ends_with("\r\n.\r\n"), "{text:?} has a true end");
                continue;
            }
            assert_eq!(
                (outcome.codes[5], outcome.aborted),
                (550, 1),
                "{text:?}: {outcome:?}"
            );
        }
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn a_bare_lf_is_no_end_of_a_command() {
    let outcome = run(
        &mut session(config()),
        b"EHLO c.example\nMAIL FROM:<a@c.example>\nNOOP\r\n",
    );
    assert_eq!(outcome.codes, [220, 500, 500, 250]);
    assert_eq!((outcome.mistakes, outcome.senders.len()), (2, 0));
}

#[test]
fn a_bare_cr_is_no_end_of_a_command() {
    let outcome = run(
        &mut session(config()),
        b"NOOP\rMAIL FROM:<a@c.example>\r\nQUIT\r\r\n",
    );
    assert_eq!(outcome.codes, [220, 501, 501]);
}

/// By BDAT, what stands alone is refused or mended as by DATA.
#[test]
fn bare_line_ends_in_chunks() {
    let input = format!("{}BDAT 3\r\na\rbBDAT 4 LAST\r\n\ncd\r", common::UP_TO_RCPT);
    let outcome = run(&mut session(config()), input.as_bytes());
    assert_eq!(outcome.codes, [220, 250, 250, 250, 250, 550]);
    assert_eq!((outcome.messages.len(), outcome.aborted), (0, 1));
    let mut normalising = config();
    normalising.line_ends = LineEndPolicy::Normalise;
    let outcome = run(&mut session(normalising), input.as_bytes());
    assert_eq!(outcome.codes, [220, 250, 250, 250, 250, 250]);
    assert_eq!(outcome.messages, ["a\r\nb\r\ncd\r\n"]);
}

fn decode(text: &str) -> Vec<u8> {
    sasl_core::base64::decode(text.as_bytes())
        .unwrap()
        .expose_secret()
        .clone()
}

/// Whether a CR or LF stands alone.
fn has_bare(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets).replace("\r\n", "");
    text.contains(['\r', '\n'])
}
