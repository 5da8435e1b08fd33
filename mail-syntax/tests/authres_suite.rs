//! The public suite of Authentication-Results: go-msgauth and MimeKit (RFC 8601 appendix B and headers of real servers).
#![allow(missing_docs, clippy::unwrap_used)]

use mail_syntax::authentication_results::{AuthenticationResults, MethodResult};
use serde_json::Value;
use testkit::conformance::load_json;

fn check(found: &MethodResult, wanted: &Value) -> Result<(), String> {
    let fields = wanted.as_object().unwrap();
    let has = |value: &Value| {
        found
            .properties()
            .iter()
            .any(|property| property.value() == value)
    };
    for (key, value) in fields {
        let fits = match key.as_str() {
            "method" => {
                found.method().as_str().replace('-', "") == value.as_str().unwrap().replace('-', "")
            }
            "value" | "result" => found.outcome().as_str() == value,
            "comment" => found.comment() == value.as_str(),
            "reason" => found.reason() == value.as_str(),
            "from" | "auth" | "identifier" | "headervalue" => has(value),
            "headerkey" => found
                .properties()
                .iter()
                .any(|property| property.property().as_str() == value),
            "properties" => {
                let pairs: Vec<_> = found
                    .properties()
                    .iter()
                    .map(|p| serde_json::json!({"ptype": p.ptype().as_str(), "property": p.property().as_str(), "value": p.value()}))
                    .collect();
                Value::from(pairs) == *value
            }
            other => return Err(format!("unknown key {other}")),
        };
        if !fits {
            return Err(format!("{key}: {value} in {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn parse() {
    let Some(suite) = load_json("authres/parse.json") else {
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let read =
            AuthenticationResults::parse(case["input"].as_str().unwrap().as_bytes()).unwrap();
        let wanted = case["results"].as_array().unwrap();
        let mut problems = Vec::new();
        if read.authserv_id().unwrap_or("") != case["authserv_id"].as_str().unwrap_or("") {
            problems.push(format!("authserv-id {:?}", read.authserv_id()));
        }
        if case["instance"]
            .as_u64()
            .is_some_and(|instance| read.instance().map(u64::from) != Some(instance))
        {
            problems.push(format!("instance {:?}", read.instance()));
        }
        if case["version"]
            .as_u64()
            .is_some_and(|version| u64::from(read.version()) != version)
        {
            problems.push(format!("version {}", read.version()));
        }
        if wanted.len() != read.results().len() {
            problems.push(format!(
                "{} results: {:?}",
                read.results().len(),
                read.results()
            ));
        }
        problems.extend(
            read.results()
                .iter()
                .zip(wanted)
                .filter_map(|(found, wanted)| check(found, wanted).err()),
        );
        if !problems.is_empty() {
            wrong.push(format!("{}: {problems:?}", case["id"]));
        }
        // What was read lenient is printed strict, and read again the same.
        if read.authserv_id().is_some() {
            assert_eq!(
                AuthenticationResults::parse(read.to_string().as_bytes()),
                Ok(read)
            );
        }
    }
    eprintln!("authres: {} of {}", cases.len() - wrong.len(), cases.len());
    assert_eq!(wrong, Vec::<String>::new());
}
