//! auth-check as a process: its JSON as documented in docs/auth-check-json.md, its words, its exit codes, its recordings.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Output;
use std::sync::Arc;

use dkim::arc::{Sealer, Sealing, Validator};
use dkim::{KeyRecord, PrivateKey, Signer, Signing};
use mail_syntax::authentication_results::AuthenticationResults;
use serde_json::{Value, json};
use support::Folder;
use support::tool::{self, expect, expect_json};

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str =
    "From: Joe <joe@example.com>\r\nTo: ann@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

fn run(arguments: &[&str], input: &[u8]) -> Output {
    tool::run("auth-check", arguments, input)
}

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

fn signed() -> String {
    let signing = Signing::new(
        "example.com".parse().unwrap(),
        "s1".parse().unwrap(),
        Arc::new(key()),
    );
    let mut signer = Signer::new([signing], NOW);
    signer.write(MESSAGE.as_bytes());
    format!("{}{MESSAGE}", signer.finish().unwrap().concat())
}

fn zone() -> Value {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    json!({
        "example.com": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
        "s1._domainkey.example.com": {"TXT": [record]},
        "_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["mail.example.com"]},
        "mail.example.com": {"A": ["192.0.2.1"], "TXT": ["v=spf1 a -all"]},
        "slow.example": {"_rcode": "TIMEOUT"},
        "_dmarc.slow.example": {"_rcode": "TIMEOUT"},
    })
}

/// The arguments but for the message and what the test adds.
fn arguments<'a>(zone: &'a str, ip: &'a str, mail_from: &'a str) -> Vec<&'a str> {
    vec![
        "--zone",
        zone,
        "--ip",
        ip,
        "--mail-from",
        mail_from,
        "--helo",
        "mail.example.com",
        "--authserv-id",
        "mx.example.org",
        "--now",
        "1700000000",
    ]
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_json_is_as_documented() {
    let folder = Folder::new("auth-check-json");
    let zone = folder.write("zone.json", zone().to_string());
    let arguments = [
        arguments(&zone, "192.0.2.1", "joe@example.com"),
        vec!["--json"],
    ]
    .concat();
    let verdict = expect_json(&run(&arguments, signed().as_bytes()), 0);
    assert_eq!(
        keys(&verdict["spf"]),
        ["cause", "domain", "identity", "result"]
    );
    assert_eq!(
        (
            &verdict["spf"]["result"],
            &verdict["spf"]["domain"],
            &verdict["spf"]["identity"]
        ),
        (&json!("pass"), &json!("example.com"), &json!("mailfrom"))
    );
    let dkim = &verdict["dkim"];
    assert_eq!(dkim.as_array().unwrap().len(), 1);
    assert_eq!(
        keys(&dkim[0]),
        ["algorithm", "cause", "domain", "result", "selector"]
    );
    assert_eq!(
        (
            &dkim[0]["result"],
            &dkim[0]["domain"],
            &dkim[0]["selector"],
            &dkim[0]["algorithm"]
        ),
        (
            &json!("pass"),
            &json!("example.com"),
            &json!("s1"),
            &json!("ed25519-sha256")
        )
    );
    assert_eq!(
        verdict["arc"],
        json!({"result": "none", "oldest_pass": null, "sets": [], "cause": "no chain"})
    );
    assert_eq!(verdict["overrides"], json!([]));
    assert_eq!(
        keys(&verdict),
        [
            "arc",
            "authentication_results",
            "dkim",
            "dmarc",
            "iprev",
            "overrides",
            "questions",
            "spf"
        ]
    );
    let cause = &verdict["dmarc"]["cause"];
    assert!(cause.is_string());
    let dmarc = json!({
        "result": "pass", "author_domain": "example.com", "record_domain": "example.com", "policy": "reject", "disposition": "none", "cause": cause,
    });
    assert_eq!(verdict["dmarc"], dmarc);
    assert_eq!(
        verdict["iprev"],
        json!({"result": "pass", "name": "mail.example.com"})
    );
    let field = verdict["authentication_results"].as_str().unwrap();
    assert!(
        field.starts_with("Authentication-Results: mx.example.org;") && field.ends_with("\r\n"),
        "{field}"
    );
    for result in [
        "spf=pass",
        "smtp.helo=mail.example.com",
        "dkim=pass",
        "dmarc=pass",
        "iprev=pass",
    ] {
        assert!(field.contains(result), "{field}");
    }
    let questions: Vec<&str> = verdict["questions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(questions.first(), Some(&"example.com TXT"));
    for question in [
        "s1._domainkey.example.com TXT",
        "_dmarc.example.com TXT",
        "1.2.0.192.in-addr.arpa PTR",
        "mail.example.com A",
    ] {
        assert_eq!(
            questions.iter().filter(|asked| **asked == question).count(),
            1,
            "{questions:?}"
        );
    }
}

#[test]
fn what_is_not_known_is_null() {
    let folder = Folder::new("auth-check-null");
    let zone = folder.write("zone.json", zone().to_string());
    let judge = |mail_from: &str, message: &str, code: i32| {
        let arguments = [arguments(&zone, "198.51.100.1", mail_from), vec!["--json"]].concat();
        expect_json(&run(&arguments, message.as_bytes()), code)
    };
    // A field that is no signature, no author, no name of the client; the null reverse-path.
    let verdict = judge("", "DKIM-Signature: v=1\nSubject: x\n\nx\n", 1);
    assert_eq!(verdict["spf"]["domain"], "mail.example.com");
    assert_eq!(verdict["spf"]["result"], "fail");
    let dkim = &verdict["dkim"][0];
    assert_eq!(
        (&dkim["domain"], &dkim["selector"], &dkim["algorithm"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(dkim["result"], "permerror");
    let dmarc = &verdict["dmarc"];
    assert_eq!(
        (
            &dmarc["author_domain"],
            &dmarc["record_domain"],
            &dmarc["policy"]
        ),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&dmarc["result"], &dmarc["disposition"]),
        (&json!("permerror"), &json!("reject"))
    );
    assert_eq!(
        verdict["iprev"],
        json!({"result": "permerror", "name": null})
    );
    // Signatures in the order of the header.
    let signature = |d: &str| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d={d}; s=none; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
        )
    };
    let message = format!(
        "{}{}{MESSAGE}",
        signature("b.example"),
        signature("a.example")
    );
    let verdict = judge("<joe@example.com>", &message, 1);
    let domains: Vec<&Value> = verdict["dkim"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signature| &signature["domain"])
        .collect();
    assert_eq!(domains, ["b.example", "a.example"]);
    assert_eq!(verdict["dmarc"]["disposition"], "reject");
    // Nothing signed, no answer.
    let verdict = judge("joe@slow.example", "From: joe@slow.example\n\n", 75);
    assert_eq!(
        (&verdict["dkim"], &verdict["spf"]["result"]),
        (&json!([]), &json!("temperror"))
    );
    assert_eq!(
        (
            &verdict["dmarc"]["result"],
            &verdict["dmarc"]["disposition"]
        ),
        (&json!("temperror"), &json!("none"))
    );
}

#[test]
fn in_words_the_whole_verdict_is_explained() {
    let folder = Folder::new("auth-check-words");
    let zone = folder.write("zone.json", zone().to_string());
    let message = folder.write("message.eml", signed());
    let arguments = [
        arguments(&zone, "192.0.2.1", "joe@example.com"),
        vec![message.as_str()],
    ]
    .concat();
    let text = expect(&run(&arguments, b""), 0);
    for line in [
        "SPF    pass of mailfrom (joe@example.com): ",
        "SPF    pass of helo (",
        "DKIM   pass d=example.com s=s1 a=ed25519-sha256: ",
        "ARC    none: no chain",
        "DMARC  pass: ",
        "       the author's domain is example.com",
        "       SPF domain example.com is aligned with it",
        "       DKIM domain example.com is aligned with it",
        "       the policy of example.com is reject",
        "iprev  pass of 192.0.2.1: ",
        "       mail.example.com leads back to it",
        "Advice none",
        "Asked  example.com TXT: \"v=spf1 ip4:192.0.2.0/24 -all\"",
        "Asked  _dmarc.com TXT: no such name",
        "Authentication-Results: mx.example.org;",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line}\n{text}"
        );
    }
}

/// A mailing list changed the subject, and sealed what it had found before.
#[test]
fn a_trusted_sealer_is_believed() {
    let sealing = Sealing::new(
        "lists.example.net".parse().unwrap(),
        "s1".parse().unwrap(),
        Arc::new(key()),
    );
    let changed = MESSAGE.replace("dinner", "[list] dinner");
    let results = b" mx.lists.example.net; dmarc=pass header.from=example.com";
    let results = AuthenticationResults::parse(results).unwrap();
    let mut validator = Validator::new(NOW, dkim::Options::default());
    validator.write(MESSAGE.as_bytes());
    validator.finish();
    let arrived = mail_dns::resolve_blocking(validator, |_| mail_dns::Answer::nx_domain());
    let mut sealer = Sealer::new(sealing, NOW);
    sealer.write(changed.as_bytes());
    let set = sealer.finish(&arrived, &results).unwrap().unwrap();
    let message = format!("{set}{changed}");

    let folder = Folder::new("auth-check-arc");
    let mut names = zone();
    names["s1._domainkey.lists.example.net"] = names["s1._domainkey.example.com"].clone();
    let zone = folder.write("zone.json", names.to_string());
    let recording = folder.path("recording.json");
    let arguments = [
        arguments(&zone, "198.51.100.1", "joe@lists.example.net"),
        vec!["--json"],
    ]
    .concat();
    let trust = [
        "--trust-sealer",
        "other.example",
        "--trust-sealer",
        "lists.example.net",
    ];
    let trusting = [&arguments[..], &trust, &["--record", &recording]].concat();

    let refused = expect_json(&run(&arguments, message.as_bytes()), 1);
    assert_eq!(
        (&refused["arc"]["result"], &refused["overrides"]),
        (&json!("pass"), &json!([]))
    );
    let taken = expect_json(&run(&trusting, message.as_bytes()), 0);
    assert_eq!(
        taken["arc"]["sets"],
        json!([{"instance": 1, "domain": "lists.example.net", "selector": "s1"}])
    );
    assert_eq!(taken["arc"]["oldest_pass"], 0);
    assert_eq!(
        (&taken["dmarc"]["result"], &taken["dmarc"]["disposition"]),
        (&json!("fail"), &json!("none"))
    );
    assert_eq!(taken["overrides"][0]["reason"], "local_policy");
    let again = run(
        &[&["--replay", &recording, "--json"], &trust[..]].concat(),
        b"",
    );
    assert_eq!(expect_json(&again, 0), taken);
    let words = expect(
        &run(&[&["--replay", &recording], &trust[..]].concat(), b""),
        0,
    );
    assert!(
        words.contains("which is overridden (local_policy): arc=pass as[1].d=lists.example.net"),
        "{words}"
    );
}

#[test]
fn a_recording_is_judged_the_same() {
    let folder = Folder::new("auth-check-record");
    let zone = folder.write("zone.json", zone().to_string());
    let (first, other) = (folder.path("first.json"), folder.path("other.json"));
    let record = |file: &str, ip: &str, message: &str, code: i32| {
        let arguments = [
            arguments(&zone, ip, "joe@example.com"),
            vec!["--json", "--record", file],
        ]
        .concat();
        expect(&run(&arguments, message.as_bytes()), code)
    };
    let passed = record(&first, "192.0.2.1", &signed(), 0);
    let refused = record(
        &other,
        "198.51.100.1",
        "From: joe@example.com\n\n\u{fc}\n",
        1,
    );
    assert_eq!(
        expect(&run(&["--replay", &first, "--json"], b""), 0),
        passed
    );
    assert_eq!(
        expect(&run(&["--replay", &other, "--json"], b""), 1),
        refused
    );
    // One that lacks an answer says which.
    let mut recording: Value =
        serde_json::from_str(&std::fs::read_to_string(&first).unwrap()).unwrap();
    recording["answers"].as_array_mut().unwrap().clear();
    let broken = folder.write("broken.json", recording.to_string());
    let output = run(&["--replay", &broken], b"");
    expect(&output, 2);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no answer to"), "{error}");
    for wrong in [
        vec!["--replay", &first, "--ip", "192.0.2.1"],
        vec!["--replay", &first, "--now", "1"],
        vec!["--replay", &first, "--zone", "/nowhere"],
        vec!["--replay", "/nowhere"],
        vec![],
        vec!["--ip", "192.0.2.1"],
    ] {
        let output = run(&wrong, b"");
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(2), &b""[..]),
            "{wrong:?}"
        );
    }
}

/// A file with LF alone is how disks keep messages; one LF among CRLF is how forgers hide fields.
#[test]
fn line_ends_are_mended_where_all_of_them_are_alike() {
    let folder = Folder::new("auth-line-ends");
    let zone = folder.write("zone.json", "{}");
    let arguments = [
        "--ip",
        "192.0.2.1",
        "--helo",
        "x",
        "--mail-from",
        "",
        "--json",
        "--zone",
        &zone,
    ];
    let author = |message: &str, more: &[&str]| {
        let output = run(&[&arguments, more].concat(), message.as_bytes());
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        verdict["dmarc"]["author_domain"].clone()
    };
    let hidden = "X: y\nFrom: a@b.example\r\nFrom: a@c.example\r\n\r\n";
    assert_eq!(author("From: a@b.example\n\n", &[]), "b.example");
    assert_eq!(author("From: a@b.example\n\n", &["--exact"]), json!(null));
    assert_eq!(author(hidden, &[]), author(hidden, &["--exact"]));
    let nameless = run(&[&arguments[..], &["--authserv-id", ""]].concat(), b"");
    expect(&nameless, 2);
}

#[test]
fn a_header_past_a_limit_is_not_the_same_as_none() {
    let folder = Folder::new("auth-long-header");
    let zone = folder.write("zone.json", "{}");
    let message = format!("X: {}\r\nDKIM-Signature: v=1\r\n\r\n", "x".repeat(120_000));
    let arguments = ["--json", "--zone", &zone];
    let said = expect_json(&tool::run("dkim-verify", &arguments, message.as_bytes()), 1);
    assert_eq!(said[0]["result"], "permerror");
    assert_eq!(said[0]["domain"], json!(null));
    assert!(said[0]["cause"].as_str().unwrap().contains("header field"));
}
