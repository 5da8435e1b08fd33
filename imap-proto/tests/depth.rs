//! Nesting within the limits fits a stack of 128 KiB, and nesting beyond them is refused: djc/imap-proto issue 90, imap-codec issue 3.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use imap_proto::*;
use std::num::NonZeroU32;

fn on_a_small_stack(test: fn()) {
    // A build that is not optimized takes about four times as much.
    let kib = if cfg!(debug_assertions) { 512 } else { 128 };
    let thread = std::thread::Builder::new().stack_size(kib << 10);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn search_keys() {
    on_a_small_stack(|| {
        for one in ["NOT ", "OR ALL "] {
            let line = |depth| format!("a SEARCH {}TEXT x", one.repeat(depth));
            let command = parse_command(line(31).as_bytes(), false).unwrap();
            let printed = command.print(PrintOptions::default());
            assert_eq!(printed.octets, (line(31) + "\r\n").as_bytes());
            let CommandBody::Search { search, .. } = command.body else {
                panic!()
            };
            assert_eq!(Matcher::new(&search.key).unwrap().reads(), Reads::Message);
            assert!(parse_command(line(32).as_bytes(), false).is_err());
            assert!(parse_command(line(100_000).as_bytes(), false).is_err());
        }
        assert!(
            parse_command(
                format!("a SEARCH {}", "(".repeat(100_000)).as_bytes(),
                false
            )
            .is_err()
        );
    });
}

#[test]
fn structures() {
    on_a_small_stack(|| {
        let deepest = MessageData::parse(b"").body_structure();
        for one in [
            "Content-Type: message/rfc822\r\n\r\n".to_owned(),
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_owned(),
        ] {
            let message = one.repeat(1_000);
            let structure = MessageData::parse(message.as_bytes()).body_structure();
            assert_ne!(structure, deepest);
            let value = FetchValue::BodyStructure {
                extended: true,
                structure: Box::new(structure),
            };
            let response = Response::Data(Data::Fetch(NonZeroU32::MIN, vec![value]));
            let printed = response.print(true);
            let line = printed.strip_suffix(b"\r\n").unwrap();
            assert_eq!(parse_response(line, true).as_ref(), Ok(&response));
        }
        for deep in ["* 1 FETCH (BODY ", "* 1 FETCH (X ", "* X "] {
            let line = deep.to_owned() + &"(".repeat(100_000);
            assert!(parse_response(line.as_bytes(), true).is_err());
        }
    });
}
