//! `spf-check` as a process: its trace, explanations, look-ahead and the linter.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::path::PathBuf;
use std::process::Output;
use std::sync::LazyLock;

use serde_json::{Value, json};
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

/// The zone of a suite, as the tools read it; none if it has a failure of one type beside records of another, which this form cannot say.
fn zone_of(entries: &Value) -> Option<Value> {
    let mut zone = serde_json::Map::new();
    for entry in entries.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let node = zone.entry(name).or_insert_with(|| json!({}));
        if entry["error"] == "timeout" {
            node["_rcode"] = json!("TIMEOUT");
            continue;
        }
        let value = match (entry["type"].as_str().unwrap(), &entry["value"]) {
            ("MX", pair) => json!(format!("{} {}", pair[0], pair[1].as_str().unwrap())),
            (_, value) => value.clone(),
        };
        let kind = entry["type"].as_str().unwrap();
        let records = node.as_object_mut().unwrap();
        let records = records.entry(kind).or_insert_with(|| json!([]));
        records.as_array_mut().unwrap().push(value);
    }
    let is_mixed =
        |node: &Value| node.get("_rcode").is_some() && node.as_object().unwrap().len() > 1;
    let is_sayable = !zone.values().any(is_mixed);
    is_sayable.then(|| zone.into())
}

/// What the library's own test of this suite says, the command says too, of senders that no server takes as well.
#[test]
fn every_case_of_the_suite_by_command_line() {
    let Some(suite) = testkit::conformance::load_json("spf/rfc7208-tests.json") else {
        return;
    };
    let file = std::env::temp_dir().join(format!("yubin-spf-suite-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let mut count = 0;
    for part in suite["suites"].as_array().unwrap() {
        let Some(zone) = zone_of(&part["zone"]) else {
            continue;
        };
        std::fs::write(&file, zone.to_string()).unwrap();
        for case in part["cases"].as_array().unwrap() {
            let text = |key: &str| case[key].as_str().unwrap_or_default();
            let (ip, helo) = (text("ip"), text("helo"));
            let mut arguments = vec!["--json", "--zone", path, "--ip", ip, "--helo", helo];
            if !text("mailfrom").is_empty() {
                arguments.extend(["--mail-from", text("mailfrom")]);
            }
            let output = tool::run("spf-check", &arguments, b"");
            let said: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{}: {error}: {output:?}", case["id"]));
            let expected = case["expect"].as_array().unwrap();
            assert!(expected.contains(&said["result"]), "{}: {said}", case["id"]);
            let code = match said["result"].as_str() {
                Some("pass") => 0,
                Some("temperror") => 75,
                _ => 1,
            };
            assert_eq!(output.status.code(), Some(code), "{}", case["id"]);
            if let (Some(wanted), "fail") = (
                case["explanation"].as_str(),
                said["result"].as_str().unwrap(),
            ) {
                let explained = said["explanation"].as_str().unwrap_or("DEFAULT");
                assert!(
                    explained.eq_ignore_ascii_case(wanted),
                    "{}: {said}",
                    case["id"]
                );
            }
            count += 1;
        }
    }
    std::fs::remove_file(&file).unwrap();
    assert!(count > 150, "{count}");
}
