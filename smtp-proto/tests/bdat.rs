//! BDAT (RFC 3030): the octets of a chunk are never commands, whatever became of the chunk.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{UP_TO_RCPT, answer, config, reply, run, session};
use mail_wire::{Session as _, Step, Time};
use smtp_proto::server::{Abort, Event};

fn after_rcpt(input: &str) -> Vec<u8> {
    format!("{UP_TO_RCPT}{input}").into_bytes()
}

#[test]
fn chunks_make_one_message() {
    for (chunks, codes) in [
        ("BDAT 6 LAST\r\na\r\n.\r\n", vec![250]),
        ("BDAT 3\r\na\r\nBDAT 3 LAST\r\n.\r\n", vec![250, 250]),
        ("BDAT 6\r\na\r\n.\r\nBDAT 0 LAST\r\n", vec![250, 250]),
        (
            "BDAT 0\r\nBDAT 2\r\na\rBDAT 4 last\r\n\n.\r\n",
            vec![250, 250, 250],
        ),
    ] {
        let outcome = run(&mut session(config()), &after_rcpt(chunks));
        assert_eq!(outcome.messages, ["a\r\n.\r\n"], "{chunks:?}");
        assert_eq!(outcome.codes[4..], codes, "{chunks:?}");
    }
}

/// CVE-2020-28019: a chunk that is refused is read and dropped.
#[test]
fn octets_of_refused_chunks_are_consumed() {
    let smuggled = "MAIL FROM:<evil@c.example>\r\n"; // 28 octets
    for (before, code) in [
        (String::new(), 503),
        ("EHLO c.example\r\n".to_owned(), 503),
        (
            "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\n".to_owned(),
            554,
        ),
        (
            "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<nobody@mx.example>\r\n"
                .to_owned(),
            554,
        ),
    ] {
        let input = format!("{before}BDAT 28\r\n{smuggled}BDAT 28 LAST\r\n{smuggled}NOOP\r\n");
        let outcome = run(&mut session(config()), input.as_bytes());
        assert!(
            !outcome.senders.contains(&"<evil@c.example>".to_owned()),
            "{input}"
        );
        let end = outcome.codes.len() - 3;
        assert_eq!(outcome.codes[end..], [code, 503, 250], "{input}");
        assert!(outcome.messages.is_empty());
    }
    // Where chunking is not offered, too.
    let mut without = config();
    without.chunking = false;
    let outcome = run(
        &mut session(without),
        &after_rcpt(&format!("BDAT 28 LAST\r\n{smuggled}NOOP\r\n")),
    );
    assert_eq!(outcome.codes[4..], [502, 250]);
}

/// A size that cannot be read leaves nothing to go on with.
#[test]
fn malformed_sizes_end_the_session() {
    for line in [
        "BDAT",
        "BDAT x",
        "BDAT -1",
        "BDAT 10 FIRST",
        "BDAT 99999999999999999999",
        "bdat 1\t",
    ] {
        let outcome = run(
            &mut session(config()),
            &after_rcpt(&format!("{line}\r\nNOOP\r\n")),
        );
        if line == "bdat 1\t" {
            assert_eq!(outcome.end, "", "white space behind a command is borne");
            continue;
        }
        assert_eq!(
            (outcome.codes[4..].to_vec(), outcome.end.as_str()),
            (vec![501], "MalformedChunk"),
            "{line}"
        );
        assert_eq!(outcome.aborted, 1, "{line}");
    }
    let outcome = run(&mut session(config()), &after_rcpt("BDAT 6\nNOOP\r\n"));
    assert_eq!(
        (outcome.codes[4..].to_vec(), outcome.end.as_str()),
        (vec![500], "MalformedChunk")
    );
}

/// RFC 3030 §2: what may stand between chunks, and what not.
#[test]
fn commands_between_chunks() {
    let outcome = run(
        &mut session(config()),
        &after_rcpt(
            "BDAT 3\r\na\r\nNOOP\r\nRCPT TO:<c@mx.example>\r\nMAIL FROM:<c@c.example>\r\nDATA\r\nBDAT 0 LAST\r\n",
        ),
    );
    assert_eq!(outcome.codes[4..], [250, 250, 503, 503, 503, 250]);
    assert_eq!(outcome.messages, ["a\r\n"]);
    let outcome = run(
        &mut session(config()),
        &after_rcpt("BDAT 3\r\na\r\nRSET\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\n"),
    );
    assert_eq!(outcome.codes[4..], [250, 250, 503, 250]);
    assert_eq!((outcome.messages.len(), outcome.aborted), (0, 1));
}

#[test]
fn nothing_is_left_behind_the_last_chunk() {
    let outcome = run(
        &mut session(config()),
        &after_rcpt("BDAT 3 LAST\r\na\r\nBDAT 3 LAST\r\nb\r\nDATA\r\n"),
    );
    assert_eq!(outcome.codes[4..], [250, 503, 503]);
    assert_eq!(outcome.messages, ["a\r\n"]);
}

#[test]
fn size_is_enforced() {
    let mut small = config();
    small.limits.message = 10;
    small.limits.discard = 40;
    // A chunk that goes beyond it.
    let outcome = run(
        &mut session(small.clone()),
        &after_rcpt("BDAT 9\r\n123456789BDAT 2\r\nabBDAT 4 LAST\r\nNOOPNOOP\r\n"),
    );
    assert_eq!(outcome.codes[4..], [250, 552, 503, 250]);
    assert_eq!((outcome.messages.len(), outcome.aborted), (0, 1));
    // More than is read and dropped, in one chunk or none of a transaction.
    for input in ["BDAT 41\r\n", "BDAT 18446744073709551615 LAST\r\n"] {
        let flood = format!("{input}{}", "x".repeat(60));
        let outcome = run(&mut session(small.clone()), &after_rcpt(&flood));
        assert_eq!(
            (outcome.end.as_str(), outcome.aborted),
            ("TooMuchToDiscard", 1),
            "{input}"
        );
        let outcome = run(&mut session(small.clone()), flood.as_bytes());
        assert_eq!(
            (outcome.end.as_str(), outcome.aborted),
            ("TooMuchToDiscard", 0),
            "{input}"
        );
    }
}

#[test]
fn chunks_without_octets_are_bounded() {
    let mut few = config();
    few.limits.empty_chunks = 3;
    let outcome = run(&mut session(few), &after_rcpt(&"BDAT 0\r\n".repeat(9)));
    assert_eq!(
        (outcome.end.as_str(), outcome.aborted),
        ("TooManyChunks", 1)
    );
}

/// The application refuses: at the first chunk, or in the middle.
#[test]
fn refused_by_the_application() {
    let mut session = session(config());
    session.input().extend_from_slice(&after_rcpt(
        "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
    ));
    let mut aborted = Vec::new();
    while let Ok(Step::Event(event)) = session.poll(Time::START) {
        match event {
            Event::Data(pending) => session
                .reject(pending, reply(451, "4.3.0", "Later"))
                .unwrap(),
            Event::Aborted(why) => aborted.push(why),
            Event::Body(_) => panic!("a body was told"),
            event => answer(&mut session, event),
        }
    }
    assert_eq!(common::codes(session.output())[4..], [451, 503, 250]);
    assert_eq!(aborted, [Abort::Refused(reply(451, "4.3.0", "Later"))]);

    let mut session = common::session(config());
    session.input().extend_from_slice(&after_rcpt(
        "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
    ));
    while let Ok(Step::Event(event)) = session.poll(Time::START) {
        match event {
            Event::Body(_) => session.refuse_rest(reply(554, "5.6.0", "Spam")),
            event => answer(&mut session, event),
        }
    }
    assert_eq!(common::codes(session.output())[4..], [554, 503, 250]);
}

/// Binary octets pass as they are, by BDAT only.
#[test]
fn binary_mime() {
    let mut binary = config();
    binary.binary_mime = true;
    let start =
        "EHLO c.example\r\nMAIL FROM:<a@c.example> BODY=BINARYMIME\r\nRCPT TO:<b@mx.example>\r\n";
    let outcome = run(
        &mut session(binary.clone()),
        format!("{start}BDAT 4 LAST\r\n\r\n\n\r").as_bytes(),
    );
    assert_eq!(outcome.messages, ["\r\n\n\r"]);
    let outcome = run(&mut session(binary), format!("{start}DATA\r\n").as_bytes());
    assert_eq!(outcome.codes[4..], [503]);
    let outcome = run(&mut session(config()), start.as_bytes());
    assert_eq!(outcome.codes[2..], [555, 503]);
}
