//! The address suites: isemail 3.05, mox, and the examples of RFC 5322 appendix A.
#![allow(missing_docs)]

use mail_syntax::address_list::{Address, AddressList, NamedMailbox};
use mail_syntax::{LocalPart, Mailbox};
use serde_json::Value;
use testkit::conformance::load_json;

/// Where we differ from isemail's column `rfc5322_addr_spec_valid`, and why.
const GAPS_5322: &[(&str, &str)] = &[
    (
        "isemail-134",
        "RFC 5322 §4.1 lets a backslash quote a bare LF; refused, as no value may hold what ends a line (§2.2)",
    ),
    (
        "isemail-160",
        "RFC 6532 §3.2 makes non-ASCII characters VCHAR, so a quoted-pair may hold one; the suite is older",
    ),
];

fn is_addr_spec(text: &str) -> bool {
    AddressList::parse(text.as_bytes()).is_ok_and(|list| match list.addresses() {
        [Address::Mailbox(mailbox)] => mailbox.name().is_none() && !text.contains('<'),
        _ => false,
    })
}

#[test]
fn isemail() {
    let Some(suite) = load_json("addresses/isemail.json") else {
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    let (mut wrong, mut gaps) = (Vec::new(), Vec::new());
    for case in cases {
        let (id, input) = (
            case["id"].as_str().unwrap(),
            case["input"].as_str().unwrap(),
        );
        if input.parse::<Mailbox>().is_ok() != case["rfc5321_valid"].as_bool().unwrap() {
            wrong.push(format!("{id} 5321 {input:?}"));
        }
        if is_addr_spec(input) != case["rfc5322_addr_spec_valid"].as_bool().unwrap() {
            match GAPS_5322.iter().find(|gap| gap.0 == id) {
                Some(gap) => gaps.push(gap.0),
                None => wrong.push(format!("{id} 5322 {input:?}")),
            }
        }
    }
    eprintln!(
        "isemail: {} cases, two columns, {} known gaps",
        cases.len(),
        gaps.len()
    );
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(
        gaps,
        GAPS_5322.iter().map(|gap| gap.0).collect::<Vec<_>>(),
        "a gap closed: strike its line"
    );
}

#[test]
fn mox() {
    let Some(suite) = load_json("addresses/mox-smtp.json") else {
        return;
    };
    for case in suite["cases"].as_array().unwrap() {
        let input = case["input"].as_str().unwrap();
        let valid = match case["what"].as_str().unwrap() {
            "localpart" => input.parse::<LocalPart>().is_ok(),
            _ => input.parse::<Mailbox>().is_ok(),
        };
        assert_eq!(valid, case["valid"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn rfc5322_appendix_a() {
    let Some(suite) = load_json("addresses/rfc5322-appendix-a.json") else {
        return;
    };
    let pair = |mailbox: &NamedMailbox| -> Value {
        let address = mailbox.addr_spec().to_string();
        Value::from(vec![
            mailbox
                .name()
                .map_or(Value::Null, |name| name.text().into()),
            address.into(),
        ])
    };
    for case in suite["cases"].as_array().unwrap() {
        let list = AddressList::parse(case["input"].as_str().unwrap().as_bytes()).unwrap();
        let found: Vec<Value> = list
            .addresses()
            .iter()
            .map(|address| match address {
                Address::Mailbox(mailbox) => pair(mailbox),
                Address::Group(group) => serde_json::json!({
                    "group": group.name().text(),
                    "members": group.members().iter().map(pair).collect::<Vec<_>>(),
                }),
            })
            .collect();
        assert_eq!(Value::from(found), case["expect"], "{case}");
    }
}
