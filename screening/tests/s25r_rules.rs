//! The rules of S25R as they are said in words, over host names of every shape, and the borders of each.
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::IpAddr;

use mail_dns::{Name, Zone, resolve_blocking};
use proptest::prelude::*;
use screening::iprev::Iprev;
use screening::s25r::{Finding, ReverseName, Rule, S25r, Unconfirmed, matching};

fn found(text: &str) -> Option<(u8, String)> {
    let name: Name = text.parse().unwrap();
    matching(&name).map(|(rule, part)| (rule.number(), part))
}

/// Each row: a name, and the rule that matches first with the part that it matched on.
fn check(rows: &[(&str, Option<(u8, &str)>)]) {
    for (text, expected) in rows {
        let expected = expected.map(|(rule, part)| (rule, part.to_owned()));
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn rule_0_no_name() {
    check(&[
        (".", Some((0, ""))),
        ("[192.0.2.1]", Some((0, "[192.0.2.1]"))),
        ("[a]", Some((0, "[a]"))),
        ("[a", None),
        ("a]", None),
        ("mail.[a]", None),
    ]);
    let client: IpAddr = "192.0.2.1".parse().unwrap();
    let finding = S25r::default().check(client, &ReverseName::Missing);
    assert_eq!(finding.to_string(), "rule 0: no name that leads back");
}

#[test]
fn rule_1_two_numbers_in_the_leftmost_label() {
    check(&[
        ("1-2.example.net", Some((1, "1-2"))),
        ("a1b2c.example.net", Some((1, "a1b2c"))),
        ("12a34.net", Some((1, "12a34"))),
        ("1.2.example.net", Some((3, "1"))),
        ("a12.example.net", None),
        ("a1234b.example.net", None),
        ("mail.1-2.example.net", None),
        // An address without any dot, as the revision of 2009 has it.
        ("1-2", None),
    ]);
}

#[test]
fn rule_2_five_digits_in_the_leftmost_label() {
    check(&[
        ("a12345.example.net", Some((2, "a12345"))),
        ("12345a.example.net", Some((2, "12345a"))),
        ("123456789.example.net", Some((2, "123456789"))),
        ("a1234.example.net", None),
        // Five digits with something between them are two numbers.
        ("a123-45.example.net", Some((1, "a123-45"))),
        ("mail.12345.example.net", None),
        ("a12345", Some((2, "a12345"))),
    ]);
}

#[test]
fn rule_3_a_digit_first_below_the_three_top_levels() {
    check(&[
        ("1a.pool.example.net", Some((3, "1a"))),
        ("1a.pool.example.ne.jp", Some((3, "1a"))),
        ("a.1b.pool.example.net", Some((3, "1b"))),
        // Of the three top levels none counts.
        ("1a.example.net", None),
        ("a.1b.example.net", None),
        ("a.b.1c.example.net", None),
        ("a.b.1c.pool.example.net", None),
        // The first label is looked at first.
        ("1a.2b.pool.example.net", Some((3, "1a"))),
        ("a1.pool.example.net", None),
    ]);
}

#[test]
fn rule_4_a_numbered_host_of_a_numbered_pool() {
    check(&[
        ("a1.1-2.net", Some((4, "a1.1-2"))),
        ("a1.pool12-34x.example.net", Some((4, "a1.pool12-34x"))),
        ("a.1-2.net", None),
        ("1a.1-2.net", None),
        ("a1.1--2.net", None),
        ("a1.1-b.net", None),
        ("a1.b-2.net", None),
        ("a1.pool.1-2.net", None),
    ]);
}

#[test]
fn rule_5_two_labels_that_end_in_digits_of_five() {
    check(&[
        ("a1.b2.pool.example.net", Some((5, "a1.b2"))),
        ("a1.b2.c.pool.example.net", Some((5, "a1.b2"))),
        ("a1.b2.example.net", None),
        ("a1.b.pool.example.net", None),
        ("a.b2.pool.example.net", None),
        ("a1.b.c2.example.net", None),
    ]);
}

#[test]
fn rule_6_words_for_dynamic_lines() {
    for word in [
        "dhcp", "dialup", "ppp", "dsl", "adsl", "cdsl", "hdsl", "rdsl", "sdsl", "vdsl", "xdsl",
        "DHCP", "aDSL",
    ] {
        let (one, part) = (format!("{word}-1.net"), format!("{word}-1"));
        check(&[(one.as_str(), Some((6, part.as_str())))]);
        // A digit must follow the word, and the word must begin the name.
        check(&[
            (format!("{word}.net").as_str(), None),
            (format!("{word}-a.1b.net").as_str(), None),
            (format!("1{word}.net").as_str(), None),
            (format!("x-{word}1.net").as_str(), None),
            (format!("mail.{word}1.net").as_str(), None),
        ]);
    }
    check(&[("bdsl1.net", None), ("dialu1.net", None), ("pp1.net", None)]);
}

/// The same rules by other means: on text, as they are said in words.
fn in_words(text: &str) -> Option<u8> {
    let labels: Vec<&str> = text.split('.').collect();
    let first = labels[0];
    let digit = |c: char| c.is_ascii_digit();
    let starts = |at: usize| labels.get(at).is_some_and(|label| label.starts_with(digit));
    let ends = |at: usize| labels.get(at).is_some_and(|label| label.ends_with(digit));
    let below_the_top = labels.len().saturating_sub(3);
    let second = labels.get(1).copied().unwrap_or_default();
    let hyphens = second.match_indices('-');
    let rules = [
        labels.len() > 1 && first.trim_matches(|c| !digit(c)).contains(|c| !digit(c)),
        (0..first.len()).any(|at| first[at..].chars().take_while(|c| digit(*c)).count() >= 5),
        (0..below_the_top.min(2)).any(starts),
        ends(0)
            && hyphens
                .map(|(at, _)| second.split_at(at))
                .any(|(a, b)| a.ends_with(digit) && b[1..].starts_with(digit)),
        ends(0) && ends(1) && labels.len() >= 5,
        ["dhcp", "dialup", "ppp"]
            .into_iter()
            .map(str::to_owned)
            .chain(["", "a", "c", "h", "r", "s", "v", "x"].map(|kind| format!("{kind}dsl")))
            .any(|word| {
                let rest = first.to_ascii_lowercase();
                let rest = rest.strip_prefix(&word).map(str::to_owned);
                rest.is_some_and(|rest| rest.contains(digit))
            }),
    ];
    (1..)
        .zip(rules)
        .find_map(|(rule, matches)| matches.then_some(rule))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn the_rules_as_said_in_words(
        labels in proptest::collection::vec("(dhcp|ppp|dialup|[acx]?dsl|[a-c]{0,2})[0-9]{0,3}-?[0-9a]{1,4}|[a-c]{1,3}[0-9]?", 1..5),
        top in "(net|com|ne\\.jp)",
    ) {
        let text = format!("{}.{top}", labels.join("."));
        prop_assert_eq!(found(&text).map(|(rule, _)| rule), in_words(&text), "{}", text);
    }

    #[test]
    fn any_octets_at_all(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..8)) {
        let name = Name::from_labels(&labels).unwrap();
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        for reverse in [ReverseName::Confirmed(name.clone()), ReverseName::Unconfirmed(name)] {
            let line = S25r::default().check(client, &reverse).to_string();
            prop_assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{}", line);
            prop_assert!(line.len() < 600);
        }
    }
}

#[test]
fn the_white_list_comes_first() {
    let pool: Name = "ppp1.pool.example.net".parse().unwrap();
    let mut s25r = S25r::default();
    s25r.domains.push("pool.example.net".parse().unwrap());
    s25r.networks.push("198.51.100.0/24".parse().unwrap());
    let inside: IpAddr = "198.51.100.7".parse().unwrap();
    let outside: IpAddr = "192.0.2.1".parse().unwrap();
    let confirmed = ReverseName::Confirmed(pool.clone());
    let unconfirmed = ReverseName::Unconfirmed(pool);
    for (client, name, expected) in [
        (outside, &confirmed, true),
        // Anybody may write himself this name.
        (outside, &unconfirmed, false),
        (inside, &unconfirmed, true),
        (inside, &ReverseName::Missing, true),
        (inside, &ReverseName::Unavailable, true),
    ] {
        let finding = s25r.check(client, name);
        assert_eq!(
            finding == Finding::WhiteListed,
            expected,
            "{client} {name:?}"
        );
    }
    // A name below another that only ends alike.
    let alike = ReverseName::Confirmed("ppp1.mypool.example.net".parse().unwrap());
    assert!(s25r.check(outside, &alike).is_suspicious());
}

#[test]
fn the_rule_is_told_also_for_a_name_that_does_not_lead_back() {
    let client: IpAddr = "192.0.2.1".parse().unwrap();
    for unconfirmed in [Unconfirmed::IsNoName, Unconfirmed::IsName] {
        let s25r = S25r {
            unconfirmed,
            ..S25r::default()
        };
        let name = ReverseName::Unconfirmed("ppp1.example.net".parse().unwrap());
        let finding = s25r.check(client, &name);
        let words = r#"rule 6: a word for dynamic lines in "ppp1" (not forward confirmed)"#;
        assert_eq!(finding.to_string(), words);
    }
}

#[test]
fn numbers_of_the_rules() {
    assert_eq!(Rule::ALL.map(Rule::number), [0, 1, 2, 3, 4, 5, 6]);
}

/// A host may have several names, and DNS order is none that it chose.
#[test]
fn of_several_names_the_one_counts_that_speaks_best_for_the_client() {
    let client: IpAddr = "192.0.2.1".parse().unwrap();
    let mut s25r = S25r::default();
    s25r.domains.push("good.example".parse().unwrap());
    for (names, expected) in [
        (
            &["a12345.example.net", "mail.example.net"][..],
            "no rule matches",
        ),
        (&["a12345.example.net", "ppp1.good.example"], "white-listed"),
        (
            &["a12345.example.net", "ppp1.example.net"],
            "rule 2: five digits in \"a12345\"",
        ),
        (
            &["mail.example.net", "p12345.example.net"],
            "no rule matches",
        ),
        (&[], "rule 0: no name that leads back"),
    ] {
        let mut zone = Zone::new();
        for name in names {
            zone = zone
                .ptr("1.2.0.192.in-addr.arpa", name)
                .a(name, [192, 0, 2, 1]);
        }
        let iprev = Iprev::new(client, &Default::default());
        let iprev = resolve_blocking(iprev, |question| zone.answer(question));
        assert_eq!(iprev.confirmed.len(), names.len());
        assert_eq!(s25r.check_names(client, &iprev).to_string(), expected);
    }
}
