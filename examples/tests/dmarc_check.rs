//! `dmarc-check` as a process: what it prints, what it exits with.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use support::tool::{self, expect, expect_json};

/// A zone in a file that goes away with the test.
struct ZoneFile(PathBuf);

impl ZoneFile {
    fn new(name: &str) -> Self {
        let name = format!("yubin-dmarc-{name}-{}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        let zone = json!({
            "_dmarc.example.com": {"TXT": [["v=DMARC1; p=reject; ", "sp=none; rua=mailto:dmarc@example.net"]]},
            "_dmarc.twice.example": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]},
            "_dmarc.broken.example": {"TXT": ["v=dmarc1; p=reject"]},
            "_dmarc.slow.example": {"_rcode": "TIMEOUT"},
            "news.example.com": {"A": ["192.0.2.1"]},
        });
        std::fs::write(&path, zone.to_string()).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let zone = ["--zone", self.0.to_str().unwrap()];
        tool::run("dmarc-check", &[arguments, &zone].concat(), b"")
    }
}

impl Drop for ZoneFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What it printed, and what it complained of.
#[track_caller]
fn said(output: &Output, code: i32) -> String {
    expect(output, code) + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn identifiers_make_a_verdict() {
    let zone = ZoneFile::new("verdict");
    let json =
        |arguments: &[&str], code| expect_json(&zone.run(&[arguments, &["--json"]].concat()), code);
    assert_eq!(
        json(
            &[
                "--from",
                "Joe <joe@News.example.com>",
                "--spf",
                "bounces.example.com",
                "--dkim",
                "example.net"
            ],
            0
        ),
        json!({
            "result": "pass", "author_domain": "News.example.com", "record_domain": "example.com", "policy": "none",
            "disposition": "none", "cause": "SPF identifier bounces.example.com is aligned",
        })
    );
    assert_eq!(
        json(
            &[
                "--from",
                "example.com",
                "--spf",
                "example.com=softfail",
                "--dkim",
                "example.net",
                "--dkim",
                "example.com=fail"
            ],
            1
        ),
        json!({
            "result": "fail", "author_domain": "example.com", "record_domain": "example.com", "policy": "reject",
            "disposition": "reject", "cause": "no aligned identifier passed",
        })
    );
    for (arguments, code, result, cause) in [
        (
            &["--from", "a@example.com, b@example.net"][..],
            1,
            "permerror",
            "the From field names authors of 2 domains",
        ),
        (
            &["--from", "friends:;"],
            1,
            "permerror",
            "the From field names no author",
        ),
        (&["--from", "absent.example"], 1, "none", "no DMARC record"),
        (
            &["--from", "slow.example"],
            75,
            "temperror",
            "_dmarc.slow.example TXT: timeout",
        ),
        (
            &["--from", "example.com", "--dkim", "example.com=temperror"],
            75,
            "temperror",
            "DKIM identifier example.com had a temporary error",
        ),
    ] {
        let verdict = json(arguments, code);
        assert_eq!(
            (&verdict["result"], &verdict["cause"]),
            (&json!(result), &json!(cause))
        );
    }
    let words = expect(
        &zone.run(&["--from", "example.com", "--dkim", "x.example.com"]),
        0,
    );
    assert!(
        words.contains("  DKIM x.example.com: pass, aligned\n"),
        "{words}"
    );
    assert!(words.contains("disposition: none\n"), "{words}");
}

#[test]
fn records_are_looked_over_and_explained() {
    let zone = ZoneFile::new("record");
    // Found by the tree walk, and with the domain's name at hand.
    let found = expect_json(
        &zone.run(&["--from", "news.example.com", "--lint", "--json"]),
        1,
    );
    assert_eq!(found["record_domain"], "example.com");
    let text = found["record"].as_str().unwrap();
    let of = |finding: &Value| {
        let at = |key: &str| usize::try_from(finding[key].as_u64().unwrap()).unwrap();
        (
            finding["severity"].as_str().unwrap().to_owned(),
            text[at("start")..at("end")].to_owned(),
        )
    };
    let findings: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect();
    let own = |severity: &str, span: &str| (severity.to_owned(), span.to_owned());
    assert_eq!(
        findings,
        [
            own("warning", "sp=none"),
            own("note", "mailto:dmarc@example.net")
        ]
    );
    assert_eq!(found["meaning"].as_array().unwrap().len(), 6);

    let given =
        |record: &str, flag: &str, code| expect(&zone.run(&["--record", record, flag]), code);
    let sound = "v=DMARC1; p=reject; rua=mailto:dmarc@example.com";
    assert_eq!(given(sound, "--lint", 0), format!("{sound}\n"));
    assert!(given(sound, "--explain", 0).contains("is to be rejected (p=reject)."));
    assert!(
        given("v=DMARC1; p=rejct", "--lint", 1)
            .contains("error at octet 12: \"rejct\" is no policy")
    );
    assert!(given("p=none", "--explain", 1).contains("does not begin with v=DMARC1"));
    // What stands where a record should be.
    let published = |domain: &str, code| said(&zone.run(&["--from", domain, "--lint"]), code);
    assert!(published("broken.example", 1).contains("begin it with v=DMARC1"));
    assert!(published("twice.example", 1).contains("2 DMARC records, which are all ignored"));
    assert!(published("absent.example", 1).contains("no record"));
    assert!(published("slow.example", 75).contains("timeout"));
}

#[test]
fn help_has_purpose_example_and_exit_codes_and_mistakes_are_told() {
    let zone = ZoneFile::new("help");
    let help = expect(&zone.run(&["--help"]), 0);
    for part in ["Checks DMARC", "EXAMPLE: dmarc-check ", "EXIT CODES: 0 "] {
        assert!(help.contains(part), "{part}: {help}");
    }
    for (arguments, told) in [
        (
            &["--from", "example.com", "--spf", "example.com=maybe"][..],
            "\"maybe\" is no result",
        ),
        (&["--from", "example.com", "--dkim", "a..b"], "empty label"),
        (&[], "--from"),
        (&["--lint", "--from", "joe@[192.0.2.1]"], "not one domain"),
    ] {
        let said = said(&zone.run(arguments), 2);
        assert!(said.contains(told), "{said}");
    }
}
