//! check_host() over a zone that the input spells out.

use std::collections::BTreeSet;

use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, Record, Txt, Zone};
use spf::{CheckHost, Client, Config, Explain, Identity, SpfResult, Verdict};

use crate::Random;

/// A verdict does not depend on the order of the answers, on look-ahead or on the trace; each question is asked once, and no more than
/// the limits allow.
///
/// Each line of the input is a record: a name, a type and its data, with `FAIL` as a type for names of which every lookup fails, and
/// `IP` for the client. Anything else is left out, so that every input is some zone.
pub fn spf_check_host(data: &[u8]) {
    let (zone, ip) = zone(data);
    let client = Client::new(ip, "helo.example");
    let mut config = Config::default();
    config.explain = Some(Explain {
        receiver: "mx.example.org".to_owned(),
        now: 1,
    });
    let mut random = Random::of(data);
    let (verdict, asked) = evaluate(&zone, &client, &config, |_| 0);
    // The explanation may ask for the names of the client too.
    assert!(asked <= 111 + 12, "{asked} questions");
    let limits = &config.limits;
    if verdict.terms > limits.terms || verdict.void_lookups > limits.void_lookups {
        assert_eq!(verdict.result, SpfResult::PermError, "{}", verdict.cause);
    }
    let (any_order, _) = evaluate(&zone, &client, &config, |open| random.below(open));
    assert_eq!(any_order, verdict, "answers in another order");

    config.look_ahead = true;
    for _ in 0..3 {
        let (ahead, asked) = evaluate(&zone, &client, &config, |open| random.below(open));
        assert!(asked <= 221 + 12, "{asked} questions with look-ahead");
        assert_eq!(ahead, verdict, "with look-ahead");
    }

    config.trace = true;
    for look_ahead in [false, true] {
        config.look_ahead = look_ahead;
        let (mut traced, _) = evaluate(&zone, &client, &config, |open| random.below(open));
        for step in core::mem::take(&mut traced.trace) {
            assert!(!step.to_string().is_empty());
            assert!(step.terms <= verdict.terms && step.void_lookups <= verdict.void_lookups);
        }
        assert_eq!(traced, verdict, "with a trace");
    }
}

/// Asks all that can be asked, then answers the open question that `choose` names of so many. The verdict, and how many questions it took.
fn evaluate(
    zone: &Zone,
    client: &Client,
    config: &Config,
    mut choose: impl FnMut(usize) -> usize,
) -> (Verdict, usize) {
    let mut check = CheckHost::new(client, Identity::MailFrom, "joe@d0.example", config);
    let (mut open, mut asked) = (Vec::new(), BTreeSet::new());
    loop {
        match check.poll() {
            Need::Lookup(question) => {
                assert!(asked.insert(question.clone()), "{question} asked twice");
                open.push(question);
            }
            Need::Wait => {
                assert!(!open.is_empty(), "waits for nothing");
                let question: Question = open.swap_remove(choose(open.len()));
                check.answer(&question, &zone.answer(&question));
            }
            Need::Done(verdict) => return (verdict, asked.len()),
        }
    }
}

fn zone(data: &[u8]) -> (Zone, std::net::IpAddr) {
    let (mut zone, mut ip) = (Zone::new(), [192, 0, 2, 1].into());
    for line in data.split(|&octet| octet == b'\n') {
        let mut words = line.splitn(3, |&octet| octet == b' ');
        let (Some(name), Some(kind), value) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (Ok(name), value) = (Name::from_dotted(name), value.unwrap_or_default()) else {
            continue;
        };
        let text = String::from_utf8_lossy(value);
        let record = match kind {
            b"TXT" => Some(Record::Txt(Txt::new([value]))),
            b"A" => text.parse().ok().map(Record::A),
            b"AAAA" => text.parse().ok().map(Record::Aaaa),
            b"MX" => Name::from_dotted(value).ok().map(|exchange| Record::Mx {
                preference: 10,
                exchange,
            }),
            b"PTR" => Name::from_dotted(value).ok().map(Record::Ptr),
            b"FAIL" => {
                zone.inject(name.clone(), None, Answer::failed(Failure::Timeout));
                None
            }
            b"IP" => {
                ip = text.parse().unwrap_or(ip);
                None
            }
            _ => None,
        };
        if let Some(record) = record {
            zone.insert(name, record);
        }
    }
    (zone, ip)
}
