//! The public test suites of SPF: openspf for RFC 7208 and RFC 4408, pyspf's, and that of blitiri.com.ar/go/spf.
//!
//! Known gaps stand in `known-gaps.txt` with their reason. One that closes fails the test until its line is struck.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use mail_dns::{Answer, Failure, Name, Question, resolve_blocking};
use serde_json::Value;
use spf::{CheckHost, Client, Config, Explain, Identity, SpfResult, Verdict};
use testkit::conformance;

/// `suite/id: reason` lines.
fn known_gaps() -> BTreeMap<&'static str, &'static str> {
    include_str!("known-gaps.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").expect("a gap has a reason"))
        .collect()
}

fn check(case: &Value, zone: &mail_dns::Zone, names: &[Name]) -> Verdict {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let client = Client::new(
        text("ip").parse::<std::net::IpAddr>().unwrap(),
        text("helo"),
    );
    let mut config = Config::default();
    let receiver = case["receiver"].as_str().unwrap_or("unknown").to_owned();
    config.explain = Some(Explain { receiver, now: 0 });
    let identity = if text("mailfrom").is_empty() {
        Identity::Helo
    } else {
        Identity::MailFrom
    };
    let check = CheckHost::new(&client, identity, text("mailfrom"), &config);
    resolve_blocking(check, |question: &Question| {
        // The common form of the suites: such a name, where no zone has it, means that the lookup times out.
        let error = question
            .name
            .labels()
            .next()
            .is_some_and(|label| label.eq_ignore_ascii_case(b"error"));
        if error && !names.contains(&question.name) {
            return Answer::failed(Failure::Timeout);
        }
        zone.answer(question)
    })
}

fn words(value: &Value) -> Vec<SpfResult> {
    let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
    words
        .iter()
        .map(|word| word.as_str().unwrap().parse().unwrap())
        .collect()
}

/// Runs a suite, and gives how many of how many cases agree.
fn run(file: &str) -> Option<(usize, usize)> {
    let suite = conformance::load_json(&format!("spf/{file}.json"))?;
    let gaps = known_gaps();
    let (mut agreed, mut count, mut wrong) = (0, 0, Vec::new());
    for part in suite["suites"].as_array().unwrap() {
        let zone = conformance::zone(&part["zone"]).unwrap();
        let entries = part["zone"].as_array().unwrap().iter();
        let names: Vec<Name> = entries
            .filter_map(|entry| Name::from_dotted(entry["name"].as_str()?.as_bytes()).ok())
            .collect();
        for case in part["cases"].as_array().unwrap() {
            count += 1;
            let id = format!(
                "{file}/{}/{}",
                part["description"].as_str().unwrap_or_default(),
                case["id"].as_str().unwrap()
            );
            let verdict = check(case, &zone, &names);
            let expected = [words(&case["expect"]), words(&case["rfc_expect"])].concat();
            let explained = match case["explanation"].as_str() {
                Some(wanted) if verdict.result == SpfResult::Fail => {
                    let given = verdict
                        .explanation
                        .as_ref()
                        .map_or("DEFAULT", |text| text.as_str());
                    given.eq_ignore_ascii_case(wanted)
                }
                _ => true,
            };
            let agrees = expected.contains(&verdict.result) && explained;
            agreed += usize::from(agrees);
            match (agrees, gaps.contains_key(id.as_str())) {
                (true, true) => wrong.push(format!("{id}: the gap is closed, strike its line")),
                (false, false) => wrong.push(format!(
                    "{id}: {} ({}), explanation {:?}; expected {expected:?}, {}",
                    verdict.result, verdict.cause, verdict.explanation, case["explanation"]
                )),
                _ => {}
            }
        }
    }
    eprintln!("{file}: {agreed} of {count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Some((agreed, count))
}

#[test]
fn rfc7208() {
    if let Some(figures) = run("rfc7208-tests") {
        assert_eq!(figures, (203, 203));
    }
}

#[test]
fn rfc4408() {
    if let Some((_, count)) = run("rfc4408-tests") {
        assert_eq!(count, 191);
    }
}

#[test]
fn pyspf() {
    if let Some((_, count)) = run("pyspf-tests") {
        assert_eq!(count, 14);
    }
}

#[test]
fn blitiri() {
    if let Some((_, count)) = run("blitiri-tests") {
        assert_eq!(count, 21);
    }
}
