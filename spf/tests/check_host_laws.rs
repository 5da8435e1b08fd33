//! Laws of check_host() on generated zones: it agrees with the pseudo-code of RFC 7208 run recursively, asks each question once and at most
//! 111, does not care in which order answers come, and no failed lookup makes a pass.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};

use mail_dns::{
    Answer, Evaluation, Failure, Name, Need, Question, Record, RecordType, Zone, resolve_blocking,
};
use proptest::prelude::*;
use spf::macros::Context;
use spf::record::Term;
use spf::{CheckHost, Client, Config, Identity, Mechanism, SpfRecord, SpfResult, Verdict};

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const REVERSE: &str = "1.2.0.192.in-addr.arpa";

/// The recursive check_host(), as RFC 7208 §4 writes it down.
struct Oracle<'a> {
    zone: &'a Zone,
    terms: usize,
    voids: usize,
}

impl Oracle<'_> {
    fn ask(&self, name: &Name, kind: RecordType) -> Result<Answer, SpfResult> {
        let answer = self.zone.answer(&Question::new(name.clone(), kind));
        answer
            .outcome()
            .map(|_| ())
            .map_err(|_| SpfResult::TempError)?;
        Ok(answer)
    }

    fn check_host(&mut self, domain: &Name) -> SpfResult {
        self.try_check_host(domain).unwrap_or_else(|error| error)
    }

    fn try_check_host(&mut self, domain: &Name) -> Result<SpfResult, SpfResult> {
        let answer = self.ask(domain, RecordType::Txt)?;
        let texts: Vec<_> = answer
            .records()
            .iter()
            .map(|record| match record {
                Record::Txt(text) => text.joined().into_owned(),
                other => panic!("{other}"),
            })
            .filter(|text| *text == b"v=spf1" || text.starts_with(b"v=spf1 "))
            .collect();
        let record = match texts.as_slice() {
            [] => return Err(SpfResult::None),
            [one] => core::str::from_utf8(one)
                .unwrap()
                .parse::<SpfRecord>()
                .map_err(|_| SpfResult::PermError)?,
            _ => return Err(SpfResult::PermError),
        };
        for term in record.terms() {
            if let Term::Directive(directive) = term
                && self.matches(domain, &directive.mechanism)?
            {
                return Ok(directive.qualifier.into());
            }
        }
        let Some(spec) = record.redirect() else {
            return Ok(SpfResult::Neutral);
        };
        self.term()?;
        let target = self.expand(domain, spec).ok_or(SpfResult::PermError)?;
        match self.check_host(&target) {
            SpfResult::None => Err(SpfResult::PermError),
            result => Ok(result),
        }
    }

    fn term(&mut self) -> Result<(), SpfResult> {
        self.terms += 1;
        if self.terms > 10 {
            Err(SpfResult::PermError)
        } else {
            Ok(())
        }
    }

    fn void(&mut self) -> Result<bool, SpfResult> {
        self.voids += 1;
        if self.voids > 2 {
            Err(SpfResult::PermError)
        } else {
            Ok(false)
        }
    }

    fn matches(&mut self, domain: &Name, mechanism: &Mechanism) -> Result<bool, SpfResult> {
        match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip4 { network, prefix } => return Ok(within(CLIENT, *network, *prefix)),
            Mechanism::Ip6 { .. } => return Ok(false),
            _ => self.term()?,
        }
        let (spec, prefix) = match mechanism {
            Mechanism::Include(spec) | Mechanism::Exists(spec) => (Some(spec), 32),
            Mechanism::Ptr(spec) => (spec.as_ref(), 32),
            Mechanism::A { domain, prefix } | Mechanism::Mx { domain, prefix } => {
                (domain.as_ref(), prefix.v4())
            }
            _ => (None, 32),
        };
        let target = match spec {
            Some(spec) => self
                .expand(domain, spec)
                .expect("the generator writes no malformed target"),
            None => domain.clone(),
        };
        let has = |answer: &Answer| {
            answer.records().iter().any(
                |record| matches!(record, Record::A(address) if within(CLIENT, *address, prefix)),
            )
        };
        match mechanism {
            Mechanism::Include(_) => match self.check_host(&target) {
                SpfResult::Pass => Ok(true),
                SpfResult::TempError => Err(SpfResult::TempError),
                SpfResult::PermError | SpfResult::None => Err(SpfResult::PermError),
                _ => Ok(false),
            },
            Mechanism::A { .. } | Mechanism::Exists(_) => {
                let answer = self.ask(&target, RecordType::A)?;
                match answer.is_void() {
                    true => self.void(),
                    false => Ok(matches!(mechanism, Mechanism::Exists(_)) || has(&answer)),
                }
            }
            Mechanism::Mx { .. } => {
                let answer = self.ask(&target, RecordType::Mx)?;
                if answer.is_void() {
                    return self.void();
                }
                let hosts = answer.records().iter().map(|record| match record {
                    Record::Mx { exchange, .. } => self.ask(exchange, RecordType::A),
                    other => panic!("{other}"),
                });
                let hosts: Vec<_> = hosts.collect();
                if hosts.iter().flatten().any(has) {
                    return Ok(true);
                }
                hosts
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()
                    .map(|_| false)
            }
            _ => {
                let Ok(answer) = self.ask(&REVERSE.parse().unwrap(), RecordType::Ptr) else {
                    return Ok(false);
                };
                if answer.is_void() {
                    return self.void();
                }
                Ok(answer.records().iter().any(|record| match record {
                    Record::Ptr(name) => {
                        self.ask(name, RecordType::A)
                            .is_ok_and(|answer| has(&answer))
                            && name.is_subdomain_of(&target)
                    }
                    other => panic!("{other}"),
                }))
            }
        }
    }

    fn expand(&self, domain: &Name, spec: &spf::macros::DomainSpec) -> Option<Name> {
        let dotted = domain.to_dotted();
        let context = Context {
            local_part: b"joe",
            sender_domain: b"d0.example",
            domain: &dotted,
            ip: CLIENT.into(),
            helo: b"helo.example",
            validated: b"unknown",
            receiver: b"unknown",
            now: 0,
        };
        spec.expand(&context).ok()
    }
}

fn within(ip: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    ip.to_bits() & mask == network.to_bits() & mask
}

/// A term about one of the domains d0 to d4; `ptr` only where it is wanted, as it turns a failure into no match.
fn term(ptr: bool) -> impl Strategy<Value = String> {
    let qualifier = prop::sample::select(vec!["", "-", "~", "?"]);
    let mut mechanisms = vec![
        "a:D",
        "a:D/24",
        "mx:D",
        "mx:D/0",
        "include:D",
        "include:D",
        "exists:%{l}.D",
        "exists:D",
        "a",
        "mx",
        "ip4:192.0.2.1",
        "ip4:203.0.113.0/24",
        "ip6:2001:db8::/32",
    ];
    if ptr {
        mechanisms.extend(["ptr", "ptr:D"]);
    }
    (qualifier, prop::sample::select(mechanisms), 0..5_u8).prop_map(
        |(qualifier, mechanism, domain)| {
            format!(
                "{qualifier}{}",
                mechanism.replace('D', &format!("d{domain}.example"))
            )
        },
    )
}

fn record(ptr: bool) -> impl Strategy<Value = String> {
    let end = prop_oneof![
        3 => Just("-all".to_owned()),
        1 => Just("+all".to_owned()),
        1 => Just(String::new()),
        3 => (0..5_u8).prop_map(|domain| format!("redirect=d{domain}.example")),
        1 => Just("broken".to_owned()),
    ];
    (prop::collection::vec(term(ptr), 0..5), end)
        .prop_map(|(terms, end)| format!("v=spf1 {} {end}", terms.join(" ")))
}

fn zone(ptr: bool) -> impl Strategy<Value = Zone> {
    let address = prop::sample::select(vec![[192, 0, 2, 1], [192, 0, 2, 9], [203, 0, 113, 1]]);
    let domain = (
        prop::collection::vec(record(ptr), 0..12).prop_map(|mut records| {
            // Mostly one record, sometimes none, seldom two.
            records.truncate(match records.len() {
                0 => 0,
                11 => 2,
                _ => 1,
            });
            records
        }),
        prop::collection::vec(address, 0..3),
        prop::collection::vec(0..5_u8, 0..4),
        any::<bool>(),
        0..40_u8,
    );
    let clients = prop::collection::vec(0..5_u8, 0..3);
    (prop::collection::vec(domain, 5), clients).prop_map(|(domains, clients)| {
        let mut zone = Zone::new();
        for (number, (records, addresses, exchanges, exists, failing)) in
            domains.into_iter().enumerate()
        {
            let name = format!("d{number}.example");
            zone = zone.exists(&name);
            for record in records {
                zone = zone.txt(&name, &record);
            }
            for address in addresses {
                zone = zone.a(&name, address);
            }
            for exchange in exchanges {
                zone = zone.mx(&name, 10, &format!("d{exchange}.example"));
            }
            if exists {
                zone = zone.a(&format!("joe.{name}"), [127, 0, 0, 2]);
            }
            for (at, kind) in [RecordType::A, RecordType::Mx, RecordType::Txt]
                .into_iter()
                .enumerate()
            {
                if usize::from(failing) == at {
                    zone = zone.fail_type(&name, kind, Failure::ServFail);
                }
            }
        }
        clients.into_iter().fold(zone, |zone, client| {
            zone.ptr(REVERSE, &format!("d{client}.example"))
        })
    })
}

fn check() -> CheckHost {
    check_with(&Config::default())
}

fn check_with(config: &Config) -> CheckHost {
    let client = Client::new(IpAddr::V4(CLIENT), "helo.example");
    CheckHost::new(&client, Identity::MailFrom, "joe@d0.example", config)
}

/// With look-ahead: asks all that can be asked, then answers one of the open questions, whichever the choices name. The verdict, and
/// what was asked.
fn evaluate_ahead(
    zone: &Zone,
    mut choices: impl Iterator<Item = usize>,
) -> (Verdict, Vec<Question>) {
    let mut config = Config::default();
    config.look_ahead = true;
    let (mut check, mut open, mut asked) =
        (check_with(&config), Vec::<Question>::new(), Vec::new());
    loop {
        match check.poll() {
            Need::Lookup(question) => {
                asked.push(question.clone());
                open.push(question);
            }
            Need::Wait => {
                let question = open.swap_remove(choices.next().unwrap() % open.len());
                check.answer(&question, &zone.answer(&question));
            }
            Need::Done(verdict) => return (verdict, asked),
        }
    }
}

/// The verdict and what was asked, in order.
fn evaluate(mut answer: impl FnMut(&Question) -> Answer) -> (Verdict, Vec<Question>) {
    let mut asked = Vec::new();
    let verdict = resolve_blocking(check(), |question| {
        asked.push(question.clone());
        answer(question)
    });
    (verdict, asked)
}

/// Asks all that can be asked before it answers, the last question first.
fn evaluate_in_reverse(zone: &Zone) -> Verdict {
    let (mut check, mut open) = (check(), Vec::new());
    loop {
        match check.poll() {
            Need::Lookup(question) => open.push(question),
            Need::Wait => {
                let question: Question = open.pop().expect("waits for nothing");
                check.answer(&question, &zone.answer(&question));
            }
            Need::Done(verdict) => return verdict,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_is_the_function_of_the_rfc(zone in zone(true)) {
        let (verdict, asked) = evaluate(|question| zone.answer(question));
        let mut oracle = Oracle { zone: &zone, terms: 0, voids: 0 };
        prop_assert_eq!(verdict.result, oracle.check_host(&"d0.example".parse().unwrap()), "{}", verdict.cause);
        prop_assert!(asked.len() <= 111);
        let mut once = asked.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), asked.len());
        prop_assert_eq!(evaluate_in_reverse(&zone), verdict);
    }

    #[test]
    fn look_ahead_changes_nothing_but_the_time(zone in zone(true), choices in prop::collection::vec(0..1000_usize, 1..20)) {
        let (verdict, _) = evaluate(|question| zone.answer(question));
        let (ahead, asked) = evaluate_ahead(&zone, choices.into_iter().cycle());
        prop_assert_eq!(ahead, verdict);
        prop_assert!(asked.len() <= 221, "{}", asked.len());
        let mut once = asked.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), asked.len());
    }

    #[test]
    fn a_failed_lookup_makes_no_pass(zone in zone(false)) {
        let (honest, asked) = evaluate(|question| zone.answer(question));
        for failing in &asked {
            for failure in [Failure::ServFail, Failure::Timeout, Failure::Refused, Failure::Bogus] {
                let (verdict, _) = evaluate(|question| {
                    if question == failing { Answer::failed(failure) } else { zone.answer(question) }
                });
                // The answer may have been that of a host of an `mx` beside one that matches.
                prop_assert!(verdict.result == SpfResult::TempError || verdict.result == honest.result, "{failing}: {}", verdict.cause);
            }
        }
        if !asked.is_empty() {
            let (verdict, _) = evaluate(|_| Answer::failed(Failure::Timeout));
            prop_assert_eq!(verdict.result, SpfResult::TempError);
        }
    }
}
