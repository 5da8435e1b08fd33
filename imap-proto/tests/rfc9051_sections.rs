//! The example of RFC 9051 §6.4.5.1: which octets each part specifier of a complex message names.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::num::NonZeroU32;
use imap_proto::{
    BodyStructure, CommandBody, Data, FetchItem, FetchValue, MessageData, Response, SectionData,
    parse_command, parse_response,
};

/// "Here is an example of a complex message with some of its part specifiers"
const MESSAGE: &str = concat!(
    "From: a@example.com\r\nSubject: outer\r\nTo: b@example.com\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n",
    "--o\r\nContent-ID: <one>\r\n\r\ntext 1\r\n",
    "--o\r\nContent-Type: application/octet-stream; name=\"x.bin\"\r\nContent-Transfer-Encoding: base64\r\n",
    "Content-Disposition: attachment; filename=x.bin\r\nContent-Language: en, de\r\n\r\nAAEC\r\n",
    "--o\r\nContent-Type: message/rfc822\r\n\r\n",
    "Subject: three\r\nContent-Type: multipart/mixed; boundary=t\r\n\r\n",
    "--t\r\n\r\ntext 3.1\r\n--t\r\nContent-Type: application/octet-stream\r\n\r\n3.2\r\n--t--\r\n",
    "--o\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n",
    "--f\r\nContent-Type: image/gif\r\n\r\nGIF\r\n",
    "--f\r\nContent-Type: message/rfc822\r\n\r\n",
    "Subject: four two\r\nContent-Type: multipart/mixed; boundary=u\r\n\r\n",
    "--u\r\n\r\ntext 4.2.1\r\n--u\r\nContent-Type: multipart/alternative; boundary=v\r\n\r\n",
    "--v\r\n\r\ntext 4.2.2.1\r\n--v\r\nContent-Type: text/richtext\r\n\r\ntext 4.2.2.2\r\n--v--\r\n--u--\r\n",
    "--f--\r\n--o--\r\n",
);

fn item(text: &str) -> FetchItem {
    let command = parse_command(format!("a FETCH 1 {text}").as_bytes(), false).unwrap();
    match command.body {
        CommandBody::Fetch { mut items, .. } => items.remove(0),
        _ => unreachable!(),
    }
}

fn fetched(message: &str, text: &str) -> Option<String> {
    let data = MessageData::parse(message.as_bytes());
    match data.value(&item(text)).unwrap() {
        Some(FetchValue::Section {
            data: SectionData::Here(octets),
            ..
        }) => octets.map(|octets| String::from_utf8(octets).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_complex_message() {
    for (section, want) in [
        ("1", "text 1"),
        ("1.MIME", "Content-ID: <one>\r\n\r\n"),
        ("2", "AAEC"),
        (
            "3.HEADER",
            "Subject: three\r\nContent-Type: multipart/mixed; boundary=t\r\n\r\n",
        ),
        ("3.1", "text 3.1"),
        ("3.2", "3.2"),
        ("3.2.MIME", "Content-Type: application/octet-stream\r\n\r\n"),
        ("3.HEADER.FIELDS (subject x)", "Subject: three\r\n\r\n"),
        ("4.1", "GIF"),
        ("4.1.MIME", "Content-Type: image/gif\r\n\r\n"),
        (
            "4.2.HEADER.FIELDS.NOT (Content-Type)",
            "Subject: four two\r\n\r\n",
        ),
        ("4.2.1", "text 4.2.1"),
        ("4.2.2.1", "text 4.2.2.1"),
        ("4.2.2.2", "text 4.2.2.2"),
        (
            "HEADER.FIELDS (To FROM)",
            "From: a@example.com\r\nTo: b@example.com\r\n\r\n",
        ),
        (
            "HEADER.FIELDS.NOT (to content-type)",
            "From: a@example.com\r\nSubject: outer\r\n\r\n",
        ),
        ("", MESSAGE),
    ] {
        for name in ["BODY", "BODY.PEEK"] {
            let asked = format!("{name}[{section}]");
            assert_eq!(fetched(MESSAGE, &asked).as_deref(), Some(want), "{asked}");
        }
    }
    let header = fetched(MESSAGE, "BODY[HEADER]").unwrap();
    assert!(header.ends_with("boundary=o\r\n\r\n"));
    assert_eq!(
        header.clone() + &fetched(MESSAGE, "BODY[TEXT]").unwrap(),
        MESSAGE
    );
    assert_eq!(fetched(MESSAGE, "RFC822.HEADER"), Some(header));
    assert_eq!(
        fetched(MESSAGE, "RFC822.TEXT"),
        fetched(MESSAGE, "BODY[TEXT]")
    );
    assert_eq!(fetched(MESSAGE, "RFC822").as_deref(), Some(MESSAGE));
    let (whole, header, text) = (
        fetched(MESSAGE, "BODY[3]").unwrap(),
        fetched(MESSAGE, "BODY[3.HEADER]").unwrap(),
        fetched(MESSAGE, "BODY[3.TEXT]").unwrap(),
    );
    assert_eq!(whole, header + &text);
}

#[test]
fn what_is_not_there_is_nil() {
    for section in [
        "5",
        "1.1",
        "1.2",
        "3.3",
        "4.2.3",
        "1.HEADER",
        "4.TEXT",
        "2.HEADER.FIELDS (a)",
        "9.MIME",
        "4294967295",
    ] {
        assert_eq!(
            fetched(MESSAGE, &format!("BODY[{section}]")),
            None,
            "{section}"
        );
    }
}

#[test]
fn messages_that_are_no_multipart_have_a_part_one() {
    let plain = "Subject: x\r\n\r\nbody";
    assert_eq!(fetched(plain, "BODY[1]").as_deref(), Some("body"));
    assert_eq!(
        fetched(plain, "BODY[1.MIME]").as_deref(),
        Some("Subject: x\r\n\r\n")
    );
    assert_eq!(fetched(plain, "BODY[1.1]"), None);
    assert_eq!(
        fetched("Subject: x\r\n", "BODY[HEADER.FIELDS (subject)]").as_deref(),
        Some("Subject: x\r\n")
    );
    assert_eq!(
        fetched("Subject: x\r\n", "BODY[HEADER.FIELDS (a)]").as_deref(),
        Some("")
    );
    let forward = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext";
    assert_eq!(
        fetched(forward, "BODY[1]").as_deref(),
        Some("Subject: in\r\n\r\ntext")
    );
    assert_eq!(
        fetched(forward, "BODY[1.HEADER]").as_deref(),
        Some("Subject: in\r\n\r\n")
    );
    assert_eq!(fetched(forward, "BODY[1.1]").as_deref(), Some("text"));
}

#[test]
fn partials_are_cut_at_the_end() {
    for (partial, want) in [
        ("<0.4>", "From"),
        ("<6.5>", "a@exa"),
        ("<0.4000000000>", MESSAGE),
        ("<400000000.1>", ""),
        ("<9223372036854775807.9223372036854775807>", ""),
    ] {
        assert_eq!(
            fetched(MESSAGE, &format!("BODY[]{partial}")).as_deref(),
            Some(want),
            "{partial}"
        );
    }
    assert_eq!(
        fetched(MESSAGE, "BODY[HEADER.FIELDS (to)]<4.5>").as_deref(),
        Some("b@exa")
    );
}

#[test]
fn binary_is_decoded() {
    assert_eq!(
        fetched(MESSAGE, "BINARY[2]").as_deref(),
        Some("\0\u{1}\u{2}")
    );
    assert_eq!(
        fetched(MESSAGE, "BINARY.PEEK[2]<1.1>").as_deref(),
        Some("\u{1}")
    );
    assert_eq!(fetched(MESSAGE, "BINARY[5]"), None);
    let size = MessageData::parse(MESSAGE.as_bytes())
        .value(&item("BINARY.SIZE[2]"))
        .unwrap();
    assert_eq!(
        size,
        Some(FetchValue::BinarySize(vec![NonZeroU32::new(2).unwrap()], 3))
    );
    let odd = MessageData::parse(b"Content-Transfer-Encoding: x-uue\r\n\r\nbegin");
    assert_eq!(
        &*odd.value(&item("BINARY[1]")).unwrap_err().encoding,
        "x-uue"
    );
}

/// The structure of a message, printed and parsed.
fn structure(message: &str, text: &str) -> (BodyStructure, String) {
    let value = MessageData::parse(message.as_bytes())
        .value(&item(text))
        .unwrap()
        .unwrap();
    let FetchValue::BodyStructure { structure, .. } = &value else {
        panic!("{value:?}")
    };
    let structure = (**structure).clone();
    let line = Response::Data(Data::Fetch(NonZeroU32::MIN, vec![value.clone()])).print(true);
    let line = line.strip_suffix(b"\r\n").unwrap();
    if text == "BODYSTRUCTURE" {
        let read = parse_response(line, true).unwrap();
        assert_eq!(
            read,
            Response::Data(Data::Fetch(NonZeroU32::MIN, vec![value]))
        );
    } else {
        assert!(parse_response(line, true).is_ok());
    }
    (structure, String::from_utf8(line.to_vec()).unwrap())
}

#[test]
fn structures() {
    let text = |octets, lines| {
        format!("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" {octets} {lines})")
    };
    let (_, body) = structure(MESSAGE, "BODY");
    let one = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") \"<one>\" NIL \"7bit\" 6 0)";
    assert!(body.starts_with(&format!("* 1 FETCH (BODY ({one}(\"application\" \"octet-stream\" (\"name\" \"x.bin\") NIL NIL \"base64\" 4)")), "{body}");
    let envelope = "(NIL \"three\" NIL NIL NIL NIL NIL NIL NIL NIL)";
    let three = format!(
        "{envelope} ({}(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3) \"mixed\")",
        text(8, 0)
    );
    assert!(body.contains(&three), "{body}");
    let (_, extended) = structure(MESSAGE, "BODYSTRUCTURE");
    let two = "\"base64\" 4 NIL (\"attachment\" (\"filename\" \"x.bin\")) (\"en\" \"de\") NIL)";
    assert!(extended.contains(two), "{extended}");
    assert!(
        extended.ends_with("\"mixed\" (\"boundary\" \"o\") NIL NIL NIL))"),
        "{extended}"
    );
    for (message, want) in [
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
            format!("({} \"mixed\")", text(0, 0)),
        ),
        ("Content-Type: multipart/mixed\r\n\r\na\r\n", text(3, 1)),
        (
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==",
            "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 4)".into(),
        ),
        ("", text(0, 0)),
    ] {
        assert_eq!(
            structure(message, "BODY").1,
            format!("* 1 FETCH (BODY {want})"),
            "{message}"
        );
    }
}

#[test]
fn deep_messages_stay_within_what_a_client_reads() {
    for one in [
        "Content-Type: message/rfc822\r\n\r\n".to_owned(),
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_owned(),
    ] {
        let (_, line) = structure(&one.repeat(1000), "BODYSTRUCTURE");
        assert!(line.contains("octet-stream") || line.contains("\"mixed\""));
    }
}

#[test]
fn a_continuation_is_one_line_of_text() {
    assert_eq!(
        parse_response(b"+ idling", false),
        Ok(Response::Continue(b"idling".to_vec()))
    );
    assert!(parse_response(b"+", false).is_ok());
    for text in ["+ a\0b", "+ a\rb", "+ a\nb"] {
        assert!(parse_response(text.as_bytes(), false).is_err(), "{text:?}");
    }
}
