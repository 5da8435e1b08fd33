//! `spf-check` as a process: its trace, explanations, look-ahead and the linter.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::path::PathBuf;
use std::process::Output;
use std::sync::LazyLock;

use support::tool::{self, expect, expect_json};

const ZONE: &str = "\
$ORIGIN example.com.
@ 60 IN TXT \"v=spf1 include:in.example.com mx exp=why.example.com -all\"
@ 60 IN MX 10 mail
in 60 IN TXT \"v=spf1 ip4:198.51.100.0/24 ~all\"
mail 60 IN A 192.0.2.1
why 60 IN TXT \"%{i} is none of ours\"
weak 60 IN TXT \"v=spf1 ptr +all\"
two 60 IN TXT \"v=spf1 -all\"
two 60 IN TXT \"v=spf1 mx -all\"
";

/// Written once, before the first tool reads it: tests run side by side.
static ZONE_FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let zone = std::env::temp_dir().join(format!("yubin-spf-check-{}.zone", std::process::id()));
    std::fs::write(&zone, ZONE).unwrap();
    zone
});

fn run(arguments: &[&str]) -> Output {
    let zone = ["--zone", ZONE_FILE.to_str().unwrap()];
    tool::run("spf-check", &[arguments, &zone].concat(), b"")
}

const FORGER: [&str; 6] = [
    "--ip",
    "203.0.113.9",
    "--helo",
    "x.example",
    "--mail-from",
    "joe@example.com",
];

#[test]
fn the_explanation_and_the_trace() {
    let output = run(&[&FORGER[..], &["--json", "--trace"]].concat());
    let verdict = expect_json(&output, 1);
    assert_eq!(verdict["result"], "fail");
    assert_eq!(verdict["explanation"], "203.0.113.9 is none of ours");
    let trace = verdict["trace"].as_array().unwrap();
    assert_eq!(trace.last().unwrap()["term"], "-all");
    assert!(
        trace
            .iter()
            .any(|step| step["depth"] == 1 && step["term"] == "~all")
    );
    assert!(
        trace
            .iter()
            .any(|step| step["lookups"][0]["question"] == "in.example.com TXT")
    );

    let told = expect(&run(&[&FORGER[..], &["--trace"]].concat()), 1);
    assert!(told.contains("example.com -all: match"), "{told}");
    assert!(
        told.contains("the domain explains: 203.0.113.9 is none of ours"),
        "{told}"
    );
    let short = expect(&run(&FORGER), 1);
    assert!(short.starts_with("fail: "), "{short}");
}

#[test]
fn look_ahead_changes_no_result() {
    let with = |more: &[&str]| expect_json(&run(&[&FORGER[..], &["--json"], more].concat()), 1);
    assert_eq!(with(&[]), with(&["--look-ahead"]));
}

#[test]
fn records_are_looked_over() {
    let output = run(&["--lint", "weak.example.com"]);
    let told = expect(&output, 1);
    assert!(told.contains("v=spf1 ptr +all"), "{told}");
    assert!(told.contains("error at octets 11 to 15"), "{told}");

    let output = run(&["--lint", "--json", "--record", "v=spf1 mx -all"]);
    assert_eq!(
        expect_json(&output, 0)[0]["findings"],
        serde_json::json!([])
    );

    let output = run(&["--lint", "two.example.com"]);
    let told = expect(&output, 1);
    let both = "two.example.com has 2 SPF records; join them into one record";
    assert!(told.contains(both), "{told}");
    let reports = expect_json(&run(&["--lint", "example.com", "--json"]), 0);
    assert_eq!(reports[0]["domain"], "example.com");
    assert_eq!(reports[1]["domain"], "in.example.com");
    expect(&run(&["--lint"]), 2);
}
