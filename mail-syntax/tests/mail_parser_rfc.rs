//! The ten messages of mail-parser's RFC suite: every part at the same octets, with the same type and encoding.
#![allow(missing_docs)]

use mail_syntax::mime::{ContentType, Limits, MimeTree};
use serde_json::Value;
use testkit::conformance::{load_json, root};

#[test]
#[expect(clippy::disallowed_methods, reason = "the suite lies in files")]
fn parts_stand_where_the_suite_says() {
    let Some(root) = root() else { return };
    let mut compared = 0;
    for number in 0..10 {
        let name = format!("messages/mail-parser-rfc/{number:03}");
        let Some(expected) = load_json(&format!("{name}.crlf.json")) else {
            return;
        };
        let message = std::fs::read_to_string(root.join(format!("{name}.eml"))).unwrap();
        let message = message.replace("\r\n", "\n").replace('\n', "\r\n");
        let tree = MimeTree::parse(message.as_bytes(), &Limits::default());
        // The suite also takes messages apart that are encoded in base64, which RFC 2045 §6.4 forbids; we leave them closed.
        let raw = |part: &&Value| {
            let message = part["message"].as_u64().unwrap() as usize;
            expected["messages"][message]["source"] == "raw"
        };
        let wanted: Vec<&Value> = expected["parts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(raw)
            .collect();
        let parts: Vec<_> = tree.parts().collect();
        assert_eq!(parts.len(), wanted.len(), "parts of message {number}");
        for (part, wanted) in parts.iter().zip(wanted) {
            let found = [
                part.header_range().start,
                part.body_range().start,
                part.body_range().end,
            ];
            let offsets = ["offset_header", "offset_body", "offset_end"]
                .map(|key| wanted[key].as_u64().unwrap() as usize);
            assert_eq!(found, offsets, "message {number}, part {}", part.number());
            assert_eq!(part.encoding().is_identity(), wanted["encoding"] == "none");
            let content_type = wanted["headers"].as_array().unwrap().iter().find(|field| {
                field["name"]
                    .as_str()
                    .unwrap()
                    .eq_ignore_ascii_case("Content-Type")
            });
            match content_type.map(|field| &field["value"]["content_type"]) {
                Some(content_type) if !content_type["subtype"].is_null() => {
                    let text = |key: &str| content_type[key].as_str().unwrap().to_owned();
                    assert!(
                        part.content_type().is(&text("type"), &text("subtype")),
                        "message {number}: {content_type}"
                    );
                }
                _ if wanted["kind"] == "message" => {
                    assert_eq!(part.content_type(), &ContentType::message_rfc822());
                }
                _ if wanted["kind"] == "multipart" => assert!(part.is_multipart()),
                _ => assert_eq!(part.content_type(), &ContentType::text_plain()),
            }
            compared += 1;
        }
    }
    eprintln!("mail-parser-rfc: 10 messages, {compared} parts");
}
