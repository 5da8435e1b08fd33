//! The public reply suite: `smtp/replies.json` of the conformance data, built from RFC 5321, 2034, 4954.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test fails by panic, and reads the public suite"
)]

use std::path::PathBuf;

use bytes::BytesMut;
use smtp_proto::{Reply, ReplyReader};

fn suite() -> Option<serde_json::Value> {
    let folder = std::env::var_os("MAIL_CONFORMANCE_DIR").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../shared/conformance"
            ))
        },
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join("smtp/replies.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn read(chunks: &[&[u8]]) -> Result<Option<Reply>, smtp_proto::ReplyError> {
    let (mut reader, mut input) = (ReplyReader::default(), BytesMut::new());
    let mut found = None;
    for chunk in chunks {
        input.extend_from_slice(chunk);
        if found.is_none() {
            found = reader.next(&mut input)?;
        }
    }
    Ok(found)
}

#[test]
fn replies_json() {
    let Some(suite) = suite() else {
        eprintln!("skipped: no smtp/replies.json; set MAIL_CONFORMANCE_DIR");
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 23);
    for case in cases {
        let wire = case["input"].as_str().unwrap().as_bytes();
        let whole = read(&[wire]);
        for cut in 0..=wire.len() {
            let (a, b) = wire.split_at(cut);
            assert_eq!(read(&[a, b]), whole, "{case} cut at {cut}");
        }
        if case["valid"] == false {
            assert!(whole.is_err(), "{case}");
            continue;
        }
        let reply = whole.unwrap().unwrap().with_enhanced_from_text();
        assert_eq!(
            u64::from(reply.code()),
            case["code"].as_u64().unwrap(),
            "{case}"
        );
        let lines: Vec<&str> = case["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_str().unwrap())
            .collect();
        assert_eq!(reply.lines(), lines, "{case}");
        let enhanced = reply.enhanced().map(|status| status.to_string());
        assert_eq!(enhanced.as_deref(), case["enhanced"].as_str(), "{case}");
        let mut printed = BytesMut::new();
        reply.write(true, &mut printed);
        assert_eq!(
            read(&[&printed])
                .unwrap()
                .unwrap()
                .with_enhanced_from_text(),
            reply,
            "{case}"
        );
    }
}

#[test]
fn limits() {
    let line = |code: &str, length: usize| format!("{code}{}\r\n", "x".repeat(length - 6));
    let at = |wire: String| read(&[wire.as_bytes()]);
    assert!(at(line("250 ", 65_536)).unwrap().is_some());
    assert!(at(line("250 ", 65_537)).is_err());
    assert!(at("250-a\r\n".repeat(255) + "250 a\r\n").unwrap().is_some());
    assert!(at("250-a\r\n".repeat(256) + "250 a\r\n").is_err());
}

#[test]
fn nothing_is_injected() {
    assert!(Reply::new(250, None, "a\r\n550 b").is_err());
    assert!(Reply::new(250, None, "a\rb").is_err());
    assert!(Reply::new(199, None, "a").is_err());
    assert!(Reply::new(250, smtp_proto::EnhancedStatus::SYNTAX, "a").is_err());
}
