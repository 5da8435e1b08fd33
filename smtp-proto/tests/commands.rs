//! The suite `smtp/commands.json`: each line parsed, refused by the code that the suite names, and printed as it was.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use smtp_proto::Command;

#[test]
fn suite() {
    let Some(suite) = testkit::conformance::load_json("smtp/commands.json") else {
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let line = case["input"].as_str().unwrap();
        let line = line.strip_suffix("\r\n").unwrap();
        let id = case["id"].as_str().unwrap();
        match Command::parse(line.as_bytes()) {
            Ok(command) if case["valid"] == true => {
                let printed = command.to_string();
                let again = Command::parse(printed.as_bytes());
                let verb = case["verb"].as_str().unwrap();
                let path = case["path"].as_str().unwrap_or_default();
                // The bare postmaster has no spelling of its own.
                let spelled = |text: &str| text.replace("Postmaster", "postmaster");
                let named = printed.starts_with(verb) && printed.contains(&spelled(path));
                let parameters = case["params"].as_object().into_iter().flatten();
                let all = parameters
                    .clone()
                    .all(|(name, value)| match value.as_str() {
                        Some(value) => printed.contains(&format!(" {name}={value}")),
                        None => printed.contains(&format!(" {name}")),
                    });
                if again.as_ref() != Ok(&command) || !named || !all {
                    wrong.push(format!("{id}: {line:?} printed {printed:?}"));
                }
            }
            Err(error) if case["valid"] == false => {
                let expected = case["reply"].as_str().unwrap();
                let code = error.code().to_string();
                if code != expected || error.reply().code() != error.code() {
                    wrong.push(format!("{id}: {line:?}: {error}: {code}, not {expected}"));
                }
                assert!(error.offset <= line.len(), "{id}");
            }
            other => wrong.push(format!("{id}: {line:?}: {other:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert_eq!(cases.len(), 85);
}

#[test]
fn parameters_that_are_not_there() {
    for (line, code, enhanced) in [
        ("MAIL FROM:<a@b> FOO=1", 555, "5.5.4"),
        ("RCPT TO:<a@b> SIZE=1", 555, "5.5.4"),
        ("MAIL FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4"),
        ("MAIL FROM:<a@b> SMTPUTF8=1", 501, "5.5.4"),
        ("MAIL FROM:<a@b> ENVID=a+0Db", 501, "5.5.4"),
        ("MAIL FROM:<a@b>  SIZE=1", 501, "5.5.2"),
        ("MAIL FROM: <a@b>", 501, "5.5.2"),
        ("MAIL FROM:<\u{fc}@b>", 550, "5.6.7"),
        ("AUTH PLAIN a b", 501, "5.5.2"),
    ] {
        let error = Command::parse(line.as_bytes()).unwrap_err();
        assert_eq!(
            (error.code(), error.enhanced().to_string().as_str()),
            (code, enhanced),
            "{line}: {error}"
        );
    }
    assert!(Command::parse("MAIL FROM:<\u{fc}@b> SMTPUTF8".as_bytes()).is_ok());
}

/// RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets, whatever the client said.
#[test]
fn replies_to_long_commands_are_short() {
    let long = "x".repeat(3_000);
    for line in [
        format!("MAIL FROM:<a@b> {long}"),
        format!("MAIL FROM:<{long}>"),
        format!("RCPT TO:<a@{long}>"),
        format!("EHLO {long}"),
        long,
    ] {
        let mut output = bytes::BytesMut::new();
        let error = Command::parse(line.as_bytes()).unwrap_err();
        error.reply().write(true, &mut output);
        assert!(output.len() <= 512, "{} octets", output.len());
    }
}

#[test]
fn credentials_are_redacted() {
    let command = Command::parse(b"AUTH PLAIN AHRpbQB0YW5z").unwrap();
    assert!(!format!("{command:?}").contains("AHRpbQ"));
}

proptest! {
    /// Nothing panics, and what is read is printed so that it is read again.
    #[test]
    fn round_trip(line in r#"(?i-u:(MAIL FROM:|RCPT TO:|BDAT |AUTH |EHLO |NOOP|VRFY ))?[ -~]{0,60}"#) {
        if let Ok(command) = Command::parse(line.as_bytes()) {
            let printed = command.to_string();
            prop_assert_eq!(Command::parse(printed.as_bytes()), Ok(command));
        }
    }

    #[test]
    fn paths_and_parameters(
        path in r#"<("[ -~]{0,6}"|[a-z.]{0,5})@[a-z.\[\]0-9:]{1,12}>"#,
        parameters in r"( (SIZE|BODY|AUTH|RET|ENVID|NOTIFY|ORCPT)=[A-Za-z0-9+<>;,]{0,8}| SMTPUTF8){0,3}",
    ) {
        for verb in ["MAIL FROM:", "RCPT TO:"] {
            let line = format!("{verb}{path}{parameters}");
            if let Ok(command) = Command::parse(line.as_bytes()) {
                let printed = command.to_string();
                prop_assert_eq!(Command::parse(printed.as_bytes()), Ok(command));
            }
        }
    }

    #[test]
    fn any_octets(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::parse(&line);
    }
}
