//! Look-ahead: how often an evaluation waits for the DNS, and what it does not ask.
#![allow(missing_docs, clippy::unwrap_used)]

use mail_dns::{Evaluation, Need, Question, Zone};
use spf::{CheckHost, Client, Config, Identity, Verdict};

/// Asks all that can be asked, then answers all of it: the verdict, and the questions of each round.
fn rounds(zone: &Zone, look_ahead: bool) -> (Verdict, Vec<Vec<String>>) {
    let mut config = Config::default();
    config.look_ahead = look_ahead;
    let client = Client::new([192, 0, 2, 1], "mail.example.com");
    let mut check = CheckHost::new(&client, Identity::MailFrom, "joe@example.com", &config);
    let (mut rounds, mut open) = (Vec::new(), Vec::<Question>::new());
    loop {
        match check.poll() {
            Need::Lookup(question) => open.push(question),
            Need::Wait => {
                assert!(!open.is_empty(), "waits for nothing");
                rounds.push(open.iter().map(ToString::to_string).collect());
                for question in open.drain(..) {
                    check.answer(&question, &zone.answer(&question));
                }
            }
            Need::Done(verdict) => return (verdict, rounds),
        }
    }
}

/// Ten includes, three deep with the domain itself: one record, three includes in it, seven in those.
fn ten_includes() -> Zone {
    Zone::new()
        .txt("example.com", "v=spf1 include:a.example.com include:b.example.com include:c.example.com ip4:192.0.2.1 -all")
        .txt("a.example.com", "v=spf1 include:a1.example.com include:a2.example.com include:a3.example.com ~all")
        .txt("b.example.com", "v=spf1 include:b1.example.com include:b2.example.com ~all")
        .txt("c.example.com", "v=spf1 include:c1.example.com include:c2.example.com ~all")
        .txt("a1.example.com", "v=spf1 ip4:198.51.100.1 ~all")
        .txt("a2.example.com", "v=spf1 ip4:198.51.100.2 ~all")
        .txt("a3.example.com", "v=spf1 ip4:198.51.100.3 ~all")
        .txt("b1.example.com", "v=spf1 ip4:198.51.100.4 ~all")
        .txt("b2.example.com", "v=spf1 ip4:198.51.100.5 ~all")
        .txt("c1.example.com", "v=spf1 ip4:198.51.100.6 ~all")
        .txt("c2.example.com", "v=spf1 ip4:198.51.100.7 ~all")
}

#[test]
fn ten_includes_three_deep_take_three_rounds() {
    let (verdict, with) = rounds(&ten_includes(), true);
    let (same, without) = rounds(&ten_includes(), false);
    assert_eq!(verdict, same);
    assert_eq!(verdict.terms, 10);
    assert_eq!((with.len(), without.len()), (3, 11));
    assert_eq!(with.concat().len(), without.concat().len());
}

#[test]
fn the_hosts_of_a_later_mx_are_asked_early() {
    let zone = Zone::new()
        .txt(
            "example.com",
            "v=spf1 a:slow.example.com mx exists:e.example.com -all",
        )
        .a("slow.example.com", [198, 51, 100, 1])
        .mx("example.com", 10, "mx.example.com")
        .a("mx.example.com", [192, 0, 2, 1]);
    let (verdict, with) = rounds(&zone, true);
    assert_eq!(verdict, rounds(&zone, false).0);
    assert_eq!(
        with,
        [
            vec!["example.com TXT"],
            vec!["slow.example.com A", "example.com MX", "e.example.com A"],
            vec!["mx.example.com A"],
        ]
    );
}

#[test]
fn what_cannot_be_reached_is_not_asked() {
    for record in [
        "v=spf1 include:a.example.com all include:b.example.com",
        "v=spf1 include:a.example.com ip4:192.0.2.0/24 include:b.example.com -all",
        "v=spf1 include:a.example.com -all redirect=b.example.com",
        // One that fails by its syntax ends the evaluation before any term.
        "v=spf1 include:b.example.com moo",
    ] {
        let zone = Zone::new()
            .txt("example.com", record)
            .txt("a.example.com", "v=spf1 -all")
            .txt("b.example.com", "v=spf1 -all");
        let (_, asked) = rounds(&zone, true);
        assert!(
            !asked.concat().contains(&"b.example.com TXT".to_owned()),
            "{record}"
        );
    }
}
