//! The public suites of mailauth, mox and OpenDMARC.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use dmarc::report_destination::{Destination, ReportDestination};
use dmarc::{
    Authentication, AuthorDomains, Disposition, Dmarc, DmarcResult, Policy, Record, Verdict,
};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::Domain;
use serde_json::Value;
use testkit::conformance::{load_json, zone};

/// The cases of which we say otherwise than their source, each with the reason.
const KNOWN_GAPS: &str = include_str!("known_gaps.txt");

fn known_gaps() -> BTreeMap<&'static str, &'static str> {
    let lines = KNOWN_GAPS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).collect()
}

/// Runs each case; a gap that closes must be struck from the file.
fn run(suite: &str, key: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let Some(suite_json) = load_json(suite) else {
        return;
    };
    let (gaps, cases) = (known_gaps(), suite_json[key].as_array().unwrap());
    let (mut passed, mut wrong) = (0, Vec::new());
    for case in cases {
        let id = case["id"].as_str().unwrap();
        match (check(case), gaps.get(id)) {
            (Ok(()), None) => passed += 1,
            (Ok(()), Some(_)) => wrong.push(format!("{id}: a known gap that is none")),
            (Err(_), Some(_)) => {}
            (Err(why), None) => wrong.push(format!("{id}: {why}")),
        }
    }
    eprintln!("{suite}: {passed} of {}", cases.len());
    assert!(
        !cases.is_empty() && wrong.is_empty(),
        "{}",
        wrong.join("\n")
    );
}

fn author(case: &Value) -> AuthorDomains {
    let from = &case["header_from"];
    let addresses: Vec<&str> = match from {
        Value::Array(addresses) => addresses
            .iter()
            .map(|address| address.as_str().unwrap())
            .collect(),
        from => vec![
            from.as_str()
                .unwrap_or_else(|| case["from_domain"].as_str().unwrap()),
        ],
    };
    let addresses: Vec<String> = addresses
        .iter()
        .map(|address| {
            if address.contains('@') {
                (*address).to_owned()
            } else {
                format!("user@{address}")
            }
        })
        .collect();
    AuthorDomains::of_from(addresses.join(", ").as_bytes())
}

fn authentication(result: &str) -> Authentication {
    match result {
        "pass" => Authentication::Pass,
        "temperror" => Authentication::TempError,
        _ => Authentication::Fail,
    }
}

/// The identifiers of both forms of a case: lists of passing domains, or results.
fn identifiers(value: &Value) -> Vec<(Domain, Authentication)> {
    let list = match value {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    list.iter()
        .filter_map(|item| {
            let domain = item.as_str().or_else(|| item["domain"].as_str())?;
            let result = item["result"].as_str().unwrap_or("pass");
            Some((domain.parse().unwrap(), authentication(result)))
        })
        .collect()
}

fn evaluate(case: &Value, zone: &Zone) -> Verdict {
    let mut dmarc = Dmarc::new(&author(case), &Default::default());
    for (domain, authentication) in identifiers(&case["spf_pass_domains"])
        .into_iter()
        .chain(identifiers(&case["spf"]))
    {
        dmarc.spf(&domain, authentication);
    }
    for (domain, authentication) in identifiers(&case["dkim_pass_domains"])
        .into_iter()
        .chain(identifiers(&case["dkim"]))
    {
        dmarc.dkim(&domain, authentication);
    }
    dmarc.no_more_identifiers();
    resolve_blocking(dmarc, |question| zone.answer(question))
}

/// What we say, in the words of the suite; `None` for what is no concept of ours.
fn said(key: &str, verdict: &Verdict) -> Option<Value> {
    let record = verdict.record.as_ref();
    let strict = |mode: Option<dmarc::AlignmentMode>| {
        Value::Bool(mode == Some(dmarc::AlignmentMode::Strict))
    };
    let domain = |domain: &Option<Domain>| {
        domain
            .as_ref()
            .map_or(Value::Null, |domain| domain.to_string().into())
    };
    // The peer names what the two domains have in common.
    let aligned = |identifier: Option<&Domain>| match identifier {
        Some(_) => domain(&verdict.organizational_domain),
        None => Value::Null,
    };
    let applied = match (verdict.result, verdict.policy) {
        // The peer's policy is the one that is applied, test mode and all.
        (DmarcResult::Fail, Some(_)) => verdict.disposition.to_string().into(),
        (_, Some(policy)) => policy.to_string().into(),
        (_, None) => Value::Null,
    };
    Some(match key {
        "result" => verdict.result.to_string().into(),
        "policy" => applied,
        "p" => record?.p?.to_string().into(),
        "sp" => record?.sp?.to_string().into(),
        "domain" | "record_domain" | "status.header.d" => domain(&verdict.record_domain),
        "status.header.from" => domain(&verdict.author_domain),
        "alignment.spf.result" => aligned(verdict.aligned_spf()),
        "alignment.dkim.result" => aligned(verdict.aligned_dkim()),
        "alignment.spf.strict" => strict(record.map(|record| record.aspf)),
        "alignment.dkim.strict" => strict(record.map(|record| record.adkim)),
        "aligned_spf" => verdict.aligned_spf().is_some().into(),
        "aligned_dkim" => verdict.aligned_dkim().is_some().into(),
        "reject" => (verdict.disposition == Disposition::Reject).into(),
        _ => return None,
    })
}

fn check_expectation(expect: &Value, verdict: &Verdict) -> Result<(), String> {
    for (key, wanted) in expect.as_object().unwrap() {
        match (key.as_str(), wanted) {
            // Gone with RFC 9989; the words of an error; and "false" for a message that is not judged.
            ("pct" | "error", _) => continue,
            ("no property", Value::String(property)) if property == "pct" => continue,
            ("", Value::Bool(false)) if verdict.record.is_none() => continue,
            // What l= leaves unsigned is for the verifier of DKIM to judge (RFC 6376 §8.2), before anything is handed in here.
            ("alignment.dkim.underSized", _) => continue,
            // The text is not kept; the record that it makes is.
            ("rr", Value::String(text))
                if text.parse().ok().as_ref() == verdict.record.as_deref() =>
            {
                continue;
            }
            // The peer names a record domain where there is no record too.
            ("record_domain", _) if verdict.record.is_none() => continue,
            _ => {}
        }
        let said = said(key, verdict);
        let same = match (wanted, &said) {
            (Value::String(word), Some(said)) if word == "falsy" => said.is_null(),
            (wanted, Some(said)) => wanted == said,
            (_, None) => false,
        };
        if !same {
            return Err(format!(
                "{key}: {said:?}, where {wanted} is expected; {}",
                verdict.cause
            ));
        }
    }
    Ok(())
}

#[test]
fn verify() {
    run("dmarc/verify.json", "cases", |case| {
        let zone = zone(&case["zone"]).unwrap();
        let verdict = evaluate(case, &zone);
        let expect = match &case["rfc_expect"] {
            Value::Null => &case["expect"],
            expect => expect,
        };
        check_expectation(expect, &verdict)
    });
}

#[test]
fn policy_lookup() {
    run("dmarc/lookup.json", "policy_lookup", |case| {
        let zone = zone(&case["zone"]).unwrap();
        let from = format!("user@{}", case["domain"].as_str().unwrap());
        let mut dmarc = Dmarc::new(
            &AuthorDomains::of_from(from.as_bytes()),
            &Default::default(),
        );
        dmarc.no_more_identifiers();
        let verdict = resolve_blocking(dmarc, |question| zone.answer(question));
        let expect = &case["expect"];
        let found = case["rfc_expect"]["found"]
            .as_bool()
            .or_else(|| expect["found"].as_bool());
        match found {
            Some(found) => {
                let temporary = verdict.result == DmarcResult::TempError;
                if temporary != (expect["status"] == "temperror")
                    || found != verdict.record.is_some()
                {
                    return Err(format!("{:?}: {}", verdict.result, verdict.cause));
                }
                let same = verdict
                    .record_domain
                    .is_none_or(|domain| domain == *expect["record_domain"].as_str().unwrap());
                same.then_some(())
                    .ok_or_else(|| "another record domain".to_owned())
            }
            // The peer's "false": there is no record.
            None if expect[""] == false => verdict
                .record
                .is_none()
                .then_some(())
                .ok_or_else(|| "a record".to_owned()),
            None => {
                let record = verdict.record.ok_or("no record")?;
                for (key, wanted) in expect.as_object().unwrap() {
                    let own = verdict.record_domain == verdict.author_domain;
                    let list = |uris: &[dmarc::record::ReportingUri]| {
                        uris.iter()
                            .map(ToString::to_string)
                            .collect::<Vec<_>>()
                            .join(",")
                    };
                    let said: Value = match key.as_str() {
                        "p" => record.p.map(|policy| policy.to_string()).into(),
                        "sp" => record.sp.map(|policy| policy.to_string()).into(),
                        "adkim" => if record.adkim == dmarc::AlignmentMode::Strict {
                            "s"
                        } else {
                            "r"
                        }
                        .into(),
                        "aspf" => if record.aspf == dmarc::AlignmentMode::Strict {
                            "s"
                        } else {
                            "r"
                        }
                        .into(),
                        "fo" => record.fo.to_string().into(),
                        "rua" => list(&record.rua).into(),
                        "ruf" => list(&record.ruf).into(),
                        "isOrgRecord" => (!own).into(),
                        // The version is always DMARC1; gone with RFC 9989, unknown or broken: left out; the text itself is not kept.
                        "v" | "pct" | "ri" | "tagonly" | "false" | "rr" => continue,
                        _ => return Err(format!("{key}?")),
                    };
                    if said != *wanted {
                        return Err(format!("{key}: {said}, where {wanted} is expected"));
                    }
                }
                Ok(())
            }
        }
    });
}

#[test]
fn record_parse() {
    run("dmarc/record-parse.json", "cases", |case| {
        let said = match case["record"].as_str().unwrap().parse::<Record>() {
            Err(_) => "ignored".to_owned(),
            Ok(Record { p: None, .. }) => "no DMARC processing".to_owned(),
            Ok(Record {
                p: Some(policy), ..
            }) => format!("applies: p={policy}"),
        };
        match case["rfc9989"].as_str() {
            Some(wanted) if wanted.starts_with(&said) => Ok(()),
            Some(wanted) => Err(format!("{said}, where it is expected: {wanted}")),
            // RFC 9989 leaves it open; what is doubtful never makes a policy.
            None if !said.contains("p=reject") => Ok(()),
            None => Err(said),
        }
    });
}

#[test]
fn alignment() {
    run("dmarc/alignment.json", "cases", |case| {
        let (one, other) = (case["a"].as_str().unwrap(), case["b"].as_str().unwrap());
        // The suite takes the last two labels for the Organizational Domain: so be it.
        let mut zone = Zone::new();
        let suffixes: std::collections::BTreeSet<&str> = [one, other]
            .iter()
            .filter_map(|domain| domain.rsplit('.').next())
            .collect();
        for suffix in suffixes {
            zone = zone.txt(&format!("_dmarc.{suffix}"), "v=DMARC1; p=none; psd=y");
        }
        let mode = &case["mode"].as_str().unwrap()[..1];
        let record = format!("v=DMARC1; p=reject; aspf={mode}; adkim={mode}");
        let zone = zone.txt(&format!("_dmarc.{one}"), &record);
        let mut dmarc = Dmarc::new(
            &AuthorDomains::of_from(format!("joe@{one}").as_bytes()),
            &Default::default(),
        );
        dmarc.dkim(&other.parse().unwrap(), Authentication::Pass);
        dmarc.no_more_identifiers();
        let verdict = resolve_blocking(dmarc, |question| zone.answer(question));
        let aligned = verdict.aligned_dkim().is_some();
        assert_eq!(verdict.policy, Some(Policy::Reject));
        (aligned == case["aligned"].as_bool().unwrap())
            .then_some(())
            .ok_or_else(|| format!("{verdict:?}"))
    });
}

#[test]
fn external_report_authorization() {
    run(
        "dmarc/lookup.json",
        "external_report_authorization",
        |case| {
            let zone = zone(&case["zone"]).unwrap();
            let destination = case["report_domain"].as_str().unwrap();
            let record = format!("v=DMARC1; p=none; rua=mailto:dmarc@{destination}");
            let record: Record = record.parse().unwrap();
            let domain = case["domain"].as_str().unwrap().parse().unwrap();
            let verification = ReportDestination::new(&domain, &record.rua[0]);
            let said = resolve_blocking(verification, |question| zone.answer(question));
            let expect = &case["expect"];
            let accepts = case["rfc_expect"]["accepts"]
                .as_bool()
                .or_else(|| expect["accepts"].as_bool());
            let same = accepts == Some(matches!(said, Destination::Confirmed(_)))
                && (expect["status"] == "temperror") == matches!(said, Destination::Unknown(..));
            same.then_some(()).ok_or_else(|| format!("{said:?}"))
        },
    );
}
