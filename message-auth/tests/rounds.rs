//! How often a receiver waits for the DNS: as many rounds as SPF has questions in order, and all else inside them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use dkim::{KeyRecord, PrivateKey, Signer, Signing};
use dmarc::{DmarcResult, Mechanism};
use mail_dns::{Evaluation, Need, Question, Zone};
use message_auth::{Config, Inbound, MessageAuth, Verdict};

const NOW: u64 = 1_700_000_000;

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

fn inbound(client: [u8; 4]) -> Inbound {
    Inbound {
        client_ip: client.into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<bounce@b.mail.example.com>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    }
}

/// Signed by two domains of the author's organization, neither of them the author's nor above it.
fn message() -> Vec<u8> {
    let message = b"From: joe@news.example.com\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
    let signing = |domain: &str| {
        Signing::new(
            domain.parse().unwrap(),
            "s1".parse().unwrap(),
            Arc::new(key()),
        )
    };
    let mut signer = Signer::new([signing("a.sign.example.com"), signing("esp.example")], NOW);
    signer.write(message);
    [signer.finish().unwrap().concat().as_bytes(), message].concat()
}

/// The SPF record of the sender includes others, `depth` deep.
fn zone(depth: usize) -> Zone {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    let mut zone = Zone::new()
        .txt("s1._domainkey.a.sign.example.com", &record)
        .txt("s1._domainkey.esp.example", &record)
        .txt("_dmarc.example.com", "v=DMARC1; p=reject; np=quarantine")
        .txt("mail.example.com", "v=spf1 ip4:192.0.2.1 -all")
        .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
        .a("mail.example.com", [192, 0, 2, 1])
        .a("news.example.com", [192, 0, 2, 80]);
    let mut name = "b.mail.example.com".to_owned();
    for number in 1..depth {
        let next = format!("i{number}.example.com");
        zone = zone.txt(&name, &format!("v=spf1 include:{next} -all"));
        name = next;
    }
    zone.txt(&name, "v=spf1 ip4:192.0.2.1 -all")
}

/// Answers all that is asked at once, each time; the verdict and the rounds.
fn rounds(mut auth: MessageAuth, zone: &Zone) -> (Verdict, Vec<Vec<Question>>) {
    let mut rounds = Vec::new();
    loop {
        let mut round = Vec::new();
        let verdict = loop {
            match auth.poll() {
                Need::Lookup(question) => round.push(question),
                Need::Wait => break None,
                Need::Done(verdict) => break Some(verdict),
            }
        };
        if let Some(verdict) = verdict {
            return (verdict, rounds);
        }
        assert!(!round.is_empty(), "waits for nothing: {rounds:#?}");
        for question in &round {
            auth.answer(question, &zone.answer(question));
        }
        rounds.push(round);
    }
}

#[test]
fn as_many_as_spf_has_questions_in_order() {
    let message = message();
    for depth in 2..=8 {
        let mut auth = MessageAuth::new(inbound([192, 0, 2, 1]), &Config::default());
        auth.write(&message);
        auth.finish();
        let (verdict, rounds) = rounds(auth, &zone(depth));
        assert_eq!(rounds.len(), depth, "{rounds:#?}");
        assert_eq!(verdict.dmarc.result, DmarcResult::Pass);
        // Both needed a walk of their own, and neither made a round.
        assert_eq!(verdict.dmarc.aligned_spf().unwrap(), "b.mail.example.com");
        assert_eq!(verdict.dmarc.aligned_dkim().unwrap(), "a.sign.example.com");
        // The last round is SPF's alone.
        assert!(depth == 2 || rounds[depth - 1].len() == 1, "{rounds:#?}");
    }
}

#[test]
fn what_is_known_of_spf_when_the_author_comes_is_not_asked_for() {
    let zone = zone(2);
    for (client, asks) in [([192, 0, 2, 1], true), ([192, 0, 2, 66], false)] {
        let mut auth = MessageAuth::new(inbound(client), &Config::default());
        while let Need::Lookup(question) = auth.poll() {
            auth.answer(&question, &zone.answer(&question));
        }
        auth.write(&message());
        auth.finish();
        let (verdict, _) = rounds(auth, &zone);
        let walks = |question: &Question| question.name.to_string() == "_dmarc.b.mail.example.com";
        assert_eq!(verdict.questions.iter().any(walks), asks);
        assert_eq!(verdict.dmarc.result, DmarcResult::Pass);
    }
}

/// What is asked early changes no verdict: one question after the other, it is asked in vain at most.
#[test]
fn early_questions_change_no_verdict() {
    let zone = zone(3);
    for client in [[192, 0, 2, 1], [192, 0, 2, 66]] {
        let judge = |message: &[u8]| {
            let mut auth = MessageAuth::new(inbound(client), &Config::default());
            auth.write(message);
            auth.finish();
            auth
        };
        for message in [message(), b"From: joe@news.example.com\r\n\r\n".to_vec()] {
            let (verdict, _) = rounds(judge(&message), &zone);
            let other =
                mail_dns::resolve_blocking(judge(&message), |question| zone.answer(question));
            assert_eq!(
                (&verdict.dmarc, verdict.disposition),
                (&other.dmarc, other.disposition)
            );
            let spf = |verdict: &Verdict| {
                let identifiers = verdict.dmarc.identifiers.iter();
                identifiers
                    .filter(|identifier| identifier.mechanism == Mechanism::Spf)
                    .count()
            };
            assert_eq!(spf(&verdict), 1);
        }
    }
}

/// Ten includes on three levels of records: eleven rounds in order, three with look-ahead, and the same verdict.
#[test]
fn with_look_ahead_as_many_as_spf_has_levels() {
    let includes = |numbers: core::ops::RangeInclusive<usize>| {
        let terms = numbers.map(|number| format!(" include:i{number}.example.com"));
        format!("v=spf1{} -all", terms.collect::<String>())
    };
    let mut zone = zone(1).txt("i1.example.com", &includes(4..=6));
    zone = zone
        .txt("i2.example.com", &includes(7..=8))
        .txt("i3.example.com", &includes(9..=10));
    for number in 4..=9 {
        zone = zone.txt(
            &format!("i{number}.example.com"),
            "v=spf1 ip4:203.0.113.0/24 -all",
        );
    }
    let zone = zone.txt("i10.example.com", "v=spf1 ip4:192.0.2.1 -all");
    let judge = |look_ahead| {
        let mut config = Config::default();
        config.spf.look_ahead = look_ahead;
        config.limits.questions = 400;
        let mut inbound = inbound([192, 0, 2, 1]);
        inbound.mail_from = "<bounce@deep.example.com>".parse().unwrap();
        let mut auth = MessageAuth::new(inbound, &config);
        auth.write(&message());
        auth.finish();
        let zone = zone.clone().txt("deep.example.com", &includes(1..=3));
        rounds(auth, &zone)
    };
    let ((in_order, many), (ahead, few)) = (judge(false), judge(true));
    assert_eq!((many.len(), few.len()), (11, 3), "{few:#?}");
    assert_eq!(in_order.spf_mail_from.result, spf::SpfResult::Pass);
    assert_eq!(in_order.spf_mail_from, ahead.spf_mail_from);
    assert_eq!(in_order.dmarc.result, ahead.dmarc.result);
}
