//! The expansion examples of RFC 7208 §7.4.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use spf::macros::{Context, DomainSpec, MacroString};
use testkit::conformance;

#[test]
fn expansion_examples() {
    let Some(examples) = conformance::load_json("spf/rfc7208-macro-examples.json") else {
        return;
    };
    let cases = examples["cases"].as_array().unwrap();
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let (local_part, domain) = text("sender").split_once('@').unwrap();
        let context = Context {
            local_part: local_part.as_bytes(),
            sender_domain: domain.as_bytes(),
            domain: domain.as_bytes(),
            ip: text("ip").parse().unwrap(),
            helo: b"helo.example.org",
            validated: b"mx.example.org",
            receiver: b"unknown",
            now: 0,
        };
        let string: MacroString = text("macro").parse().unwrap();
        let expanded = string.expand(&context, 253).unwrap();
        assert_eq!(
            String::from_utf8(expanded).unwrap(),
            text("expect"),
            "{string}"
        );
        let name = text("macro")
            .parse::<DomainSpec>()
            .unwrap()
            .expand(&context)
            .unwrap();
        assert_eq!(name.to_dotted(), text("expect").as_bytes());
    }
    assert_eq!(cases.len(), 20);
}
