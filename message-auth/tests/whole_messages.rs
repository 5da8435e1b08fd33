//! Whole messages: signed, forged, cut in any way, and with a DNS that fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[cfg(feature = "serde")]
mod replay;

use std::sync::Arc;

use dkim::{DkimResult, KeyRecord, PrivateKey, Signer, Signing};
use dmarc::{Disposition, DmarcResult};
use mail_dns::{Answer, Evaluation, Failure, Need, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::authentication_results::{AuthenticationResults, Method, Outcome, Ptype};
use message_auth::{Config, Inbound, MessageAuth, Verdict};
use screening::iprev::IprevResult;
use spf::SpfResult;

const NOW: u64 = 1_700_000_000;
const MESSAGE: &[u8] = b"From: Joe <joe@news.example.com>\r\nTo: amy@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

/// example.com, which signs and refuses what is not signed; evil.example, which has everything in order and is someone else.
fn zone() -> Zone {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    Zone::new()
        .txt("news.example.com", "v=spf1 include:_spf.example.com -all")
        .txt("_spf.example.com", "v=spf1 ip4:192.0.2.1 -all")
        .txt("mail.example.com", "v=spf1 a -all")
        .txt("2026a._domainkey.example.com", &record)
        .txt("_dmarc.example.com", "v=DMARC1; p=reject; np=quarantine")
        .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
        .a("mail.example.com", [192, 0, 2, 1])
        .txt("evil.example", "v=spf1 ip4:192.0.2.66 -all")
        .txt("2026a._domainkey.evil.example", &record)
        .txt("_dmarc.evil.example", "v=DMARC1; p=none")
        .a("evil.example", [192, 0, 2, 66])
}

fn signed(domain: &str, message: &[u8]) -> Vec<u8> {
    let signing = Signing::new(
        domain.parse().unwrap(),
        "2026a".parse().unwrap(),
        Arc::new(key()),
    );
    let mut signer = Signer::new([signing], NOW);
    signer.write(message);
    [signer.finish().unwrap().concat().as_bytes(), message].concat()
}

fn good() -> Inbound {
    Inbound {
        client_ip: [192, 0, 2, 1].into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<bounces@news.example.com>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    }
}

fn evil() -> Inbound {
    Inbound {
        client_ip: [192, 0, 2, 66].into(),
        helo: "evil.example".to_owned(),
        mail_from: "<any@evil.example>".parse().unwrap(),
        ..good()
    }
}

fn judge(inbound: Inbound, message: &[u8], ask: impl FnMut(&Question) -> Answer) -> Verdict {
    let mut auth = MessageAuth::new(inbound, &Config::default());
    auth.write(message);
    auth.finish();
    let verdict = resolve_blocking(auth, ask);
    #[cfg(feature = "serde")]
    replay::check(&verdict, message);
    verdict
}

/// The field as another server reads it.
fn read(verdict: &Verdict) -> AuthenticationResults {
    let field = verdict.authentication_results().unwrap();
    let body = field
        .strip_prefix("Authentication-Results:")
        .and_then(|field| field.strip_suffix("\r\n"))
        .unwrap();
    let results = AuthenticationResults::parse(body.as_bytes()).unwrap();
    assert_eq!(results, verdict.results());
    results
}

#[test]
fn a_good_message_passes_everything() {
    let zone = zone();
    let verdict = judge(good(), &signed("example.com", MESSAGE), |question| {
        zone.answer(question)
    });
    assert_eq!(verdict.spf_mail_from.result, SpfResult::Pass);
    assert_eq!(verdict.spf_helo.result, SpfResult::Pass);
    assert_eq!(verdict.dkim.result(), DkimResult::Pass);
    assert_eq!(verdict.iprev.result, IprevResult::Pass);
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::Pass, Disposition::None)
    );
    assert_eq!(verdict.dmarc.aligned_spf().unwrap(), "news.example.com");
    assert_eq!(verdict.dmarc.aligned_dkim().unwrap(), "example.com");

    let results = read(&verdict);
    let told: Vec<(&Method, &Outcome)> = results
        .results()
        .iter()
        .map(|result| (result.method(), result.outcome()))
        .collect();
    assert_eq!(
        told,
        [
            (&Method::Spf, &Outcome::Pass),
            (&Method::Spf, &Outcome::Pass),
            (&Method::Dkim, &Outcome::Pass),
            (&Method::Arc, &Outcome::None),
            (&Method::Dmarc, &Outcome::Pass),
            (&Method::Iprev, &Outcome::Pass),
        ]
    );
    assert_eq!(
        results.results()[0].property(&Ptype::Smtp, "mailfrom"),
        Some("news.example.com")
    );
    assert_eq!(
        results.results()[1].property(&Ptype::Smtp, "helo"),
        Some("mail.example.com")
    );
    assert_eq!(
        results.results()[2].property(&Ptype::Header, "d"),
        Some("example.com")
    );
    assert_eq!(
        results.results()[2]
            .property(&Ptype::Header, "b")
            .unwrap()
            .len(),
        8
    );
    assert_eq!(
        results.results()[4].property(&Ptype::Header, "from"),
        Some("news.example.com")
    );
    let received_spf = verdict.received_spf().unwrap();
    assert!(
        received_spf.starts_with("Received-SPF: pass (mx.example.org: domain of"),
        "{received_spf}"
    );
}

/// RFC 8601 §2.7.6, §2.7.7 and §4: in every field that is written, every word is registered with IANA.
#[test]
fn every_word_of_the_field_is_registered() {
    let zone = zone();
    let mut outcomes = std::collections::BTreeSet::new();
    for inbound in [good(), evil()] {
        for message in [
            signed("example.com", MESSAGE),
            [b"DKIM-Signature: v=1\r\n", MESSAGE].concat(),
            [b"ARC-Seal: i=1; cv=none\r\n", MESSAGE].concat(),
            MESSAGE.to_vec(),
            b"\r\n".to_vec(),
        ] {
            let whole = judge(inbound.clone(), &message, |question| zone.answer(question));
            let late = judge(inbound.clone(), &message, |_| {
                Answer::failed(Failure::Timeout)
            });
            let none = judge(inbound.clone(), &message, |_| Answer::nx_domain());
            for verdict in [whole, late, none] {
                let results = read(&verdict);
                assert!(results.results().len() >= 6);
                for result in results.results() {
                    assert!(result.is_registered(), "{result:?}");
                    outcomes.insert(result.outcome().to_string());
                }
            }
        }
    }
    let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
    assert_eq!(outcomes, ["fail", "none", "pass", "permerror", "temperror"]);
}

/// RFC 8601 §4: what other servers found stays in their fields, and is not taken into ours.
#[test]
fn the_field_is_one_of_its_own() {
    let zone = zone();
    let others =
        "Authentication-Results: other.example; dmarc=pass header.from=evil.example; vbr=pass\r\n";
    let message = [others.as_bytes(), &signed("example.com", MESSAGE)].concat();
    let with = judge(good(), &message, |question| zone.answer(question));
    let without = judge(good(), &signed("example.com", MESSAGE), |question| {
        zone.answer(question)
    });
    let field = with.authentication_results().unwrap();
    assert_eq!(field, without.authentication_results().unwrap());
    assert_eq!(field.matches("Authentication-Results").count(), 1);
    assert!(!field.contains("other.example") && !field.contains("evil.example"));
}

#[test]
fn a_forged_message_is_refused() {
    let zone = zone();
    // Everything the forger has is in order, and nothing of it is the author's.
    let verdict = judge(evil(), &signed("evil.example", MESSAGE), |question| {
        zone.answer(question)
    });
    assert_eq!(verdict.spf_mail_from.result, SpfResult::Pass);
    assert_eq!(verdict.dkim.result(), DkimResult::Pass);
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::Fail, Disposition::Reject)
    );
    let results = read(&verdict);
    let dmarc = results
        .results()
        .iter()
        .find(|result| *result.method() == Method::Dmarc)
        .unwrap();
    assert_eq!(dmarc.outcome(), &Outcome::Fail);
    assert_eq!(dmarc.property(&Ptype::Policy, "dmarc"), Some("reject"));

    // A changed body, and a name that does not exist.
    let mut changed = signed("example.com", MESSAGE);
    let last = changed.len() - 3;
    changed[last] ^= 1;
    let verdict = judge(evil(), &changed, |question| zone.answer(question));
    assert_eq!(
        (verdict.dkim.result(), verdict.disposition),
        (DkimResult::Fail, Disposition::Reject)
    );
    let nobody = b"From: joe@nothing.example.com\r\n\r\n";
    let verdict = judge(evil(), nobody, |question| zone.answer(question));
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::Fail, Disposition::Quarantine)
    );
}

#[test]
fn not_exactly_one_author_is_refused() {
    let zone = zone();
    for header in [
        "From: any@evil.example\r\nFrom: joe@news.example.com\r\n",
        "From: any@evil.example, joe@news.example.com\r\n",
        "From: group:;\r\n",
        "From: joe@[192.0.2.1]\r\n",
        "Subject: none\r\n",
        "From: joe@news.example.com\r\nno field\r\n",
        "From: joe@news.example.com\r\nFrom\0: any@evil.example\r\n",
        "",
    ] {
        let message = format!("{header}\r\nbody\r\n");
        let verdict = judge(evil(), message.as_bytes(), |question| zone.answer(question));
        assert_eq!(
            (verdict.dmarc.result, verdict.disposition),
            (DmarcResult::PermError, Disposition::Reject),
            "{header}"
        );
        read(&verdict);
    }
    let endless = [
        b"From: any@evil.example\r\nX: ".to_vec(),
        vec![b'x'; 10_000_000],
    ]
    .concat();
    let verdict = judge(evil(), &endless, |question| zone.answer(question));
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::PermError, Disposition::Reject)
    );
}

#[test]
fn a_null_reverse_path_is_the_helo_name() {
    let zone = zone();
    let null = Inbound {
        mail_from: "<>".parse().unwrap(),
        ..good()
    };
    let verdict = judge(null, MESSAGE, |question| zone.answer(question));
    assert_eq!(verdict.spf_mail_from.result, SpfResult::Pass);
    assert_eq!(verdict.dmarc.aligned_spf().unwrap(), "mail.example.com");
    assert_eq!(verdict.dmarc.result, DmarcResult::Pass);
    assert_eq!(
        read(&verdict).results()[0].property(&Ptype::Smtp, "mailfrom"),
        Some("mail.example.com")
    );
    // The HELO identity alone counts for nothing: CVE-2019-20790.
    let helo = Inbound {
        mail_from: "<any@evil.example>".parse().unwrap(),
        ..good()
    };
    let verdict = judge(helo, MESSAGE, |question| zone.answer(question));
    assert_eq!(verdict.spf_helo.result, SpfResult::Pass);
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::Fail, Disposition::Reject)
    );
}

#[test]
fn a_failed_lookup_gives_neither_pass_nor_policy() {
    let zone = zone();
    let messages = [
        (good(), signed("example.com", MESSAGE)),
        (good(), MESSAGE.to_vec()),
        (evil(), signed("example.com", MESSAGE)),
        (evil(), signed("evil.example", MESSAGE)),
        (evil(), b"From: joe@nothing.example.com\r\n\r\n".to_vec()),
    ];
    for (inbound, message) in messages {
        let whole = judge(inbound.clone(), &message, |question| zone.answer(question));
        for failing in &whole.questions {
            for failure in [
                Failure::ServFail,
                Failure::Timeout,
                Failure::Refused,
                Failure::Bogus,
            ] {
                let verdict = judge(inbound.clone(), &message, |question| {
                    if question == failing {
                        Answer::failed(failure)
                    } else {
                        zone.answer(question)
                    }
                });
                // A failure may leave the result as it was, or make it temporary; it never makes one of its own.
                let result = verdict.dmarc.result;
                assert!(
                    result == whole.dmarc.result || result == DmarcResult::TempError,
                    "{failing}: {result}"
                );
                if result == DmarcResult::TempError {
                    assert_eq!(verdict.disposition, Disposition::None);
                } else {
                    assert_eq!(verdict.disposition, whole.disposition, "{failing}");
                }
            }
        }
        let nothing = judge(inbound, &message, |_| Answer::failed(Failure::Timeout));
        assert_eq!(
            (nothing.dmarc.result, nothing.disposition),
            (DmarcResult::TempError, Disposition::None)
        );
        assert_eq!(nothing.iprev.result, IprevResult::TempError);
        assert_eq!(nothing.spf_mail_from.result, SpfResult::TempError);
    }
}

/// Asks all that can be asked now; the questions of each round, and the verdict if there is one.
fn ask_all(auth: &mut MessageAuth, zone: &Zone) -> (Vec<Question>, Option<Verdict>) {
    let mut asked: Vec<Question> = Vec::new();
    loop {
        let mut round = Vec::new();
        let verdict = loop {
            match auth.poll() {
                Need::Lookup(question) => round.push(question),
                Need::Wait => break None,
                Need::Done(verdict) => break Some(verdict),
            }
        };
        for question in &round {
            auth.answer(question, &zone.answer(question));
        }
        let idle = round.is_empty();
        asked.append(&mut round);
        if idle {
            return (asked, verdict);
        }
    }
}

#[test]
fn questions_are_asked_while_the_message_arrives() {
    let zone = zone();
    let message = signed("example.com", MESSAGE);
    let body = message
        .windows(4)
        .position(|octets| octets == b"\r\n\r\n")
        .unwrap()
        + 4;
    let mut auth = MessageAuth::new(good(), &Config::default());
    let (before, verdict) = ask_all(&mut auth, &zone);
    assert!(verdict.is_none());
    assert!(
        before
            .iter()
            .any(|question| question.kind == RecordType::Ptr)
    );
    auth.write(&message[..body]);
    let (while_body, verdict) = ask_all(&mut auth, &zone);
    assert!(verdict.is_none());
    assert!(
        while_body
            .iter()
            .any(|question| question.name.to_string().starts_with("_dmarc.news."))
    );
    assert!(
        while_body
            .iter()
            .any(|question| question.name.to_string().starts_with("2026a._domainkey."))
    );
    auth.write(&message[body..]);
    auth.finish();
    let (after, verdict) = ask_all(&mut auth, &zone);
    let verdict = verdict.unwrap();
    assert_eq!(after, []);
    assert_eq!(verdict.dmarc.result, DmarcResult::Pass);
    assert_eq!(verdict.questions, [before, while_body].concat());
}

/// With the answers late and out of order, while the message comes.
#[cfg(feature = "serde")]
#[test]
fn a_replay_of_what_came_in_another_order_is_the_same() {
    let zone = zone();
    let message = signed("example.com", MESSAGE);
    for (inbound, step) in [(good(), 1), (good(), 90), (evil(), 7), (evil(), 1000)] {
        let mut auth = MessageAuth::new(inbound, &Config::default());
        let mut open: Vec<Question> = Vec::new();
        let mut pieces = message.chunks(step);
        let verdict = loop {
            match auth.poll() {
                Need::Lookup(question) => open.push(question),
                Need::Done(verdict) => break verdict,
                // The last asked first.
                Need::Wait => {
                    match pieces.next() {
                        Some(piece) => auth.write(piece),
                        None => auth.finish(),
                    }
                    if let Some(question) = open.pop() {
                        auth.answer(&question, &zone.answer(&question));
                    }
                }
            }
        };
        let recording = message_auth::Recording::new(&verdict, &message);
        let mut again = recording.replay(&Config::default()).unwrap();
        let answers = |verdict: &Verdict| {
            let answers = verdict.answers.iter();
            let answers =
                answers.map(|answered| (answered.question.clone(), answered.answer.clone()));
            answers.collect::<Vec<_>>()
        };
        assert_eq!(answers(&again), answers(&verdict));
        again.questions.clone_from(&verdict.questions);
        again.answers.clone_from(&verdict.answers);
        assert_eq!(again, verdict);
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_replay_without_an_answer_says_which() {
    use message_auth::{Recording, ReplayError};
    let zone = zone();
    let message = signed("example.com", MESSAGE);
    let verdict = judge(good(), &message, |question| zone.answer(question));
    let recording = Recording::new(&verdict, &message);
    for (at, answered) in recording.answers.iter().enumerate() {
        let mut without = recording.clone();
        without.answers.remove(at);
        match without.replay(&Config::default()) {
            Err(ReplayError::NotRecorded(missing)) => assert_eq!(missing, answered.question),
            // Asked early, and in vain.
            Ok(other) => assert_eq!(other.dmarc, verdict.dmarc),
            Err(other) => panic!("{other}"),
        }
    }
    let mut text = serde_json::to_value(&recording).unwrap();
    text["message"] = "\u{100}".into();
    assert!(serde_json::from_value::<Recording>(text).is_err());
}

#[test]
fn each_question_is_asked_once() {
    let zone = zone();
    let verdict = judge(good(), &signed("example.com", MESSAGE), |question| {
        zone.answer(question)
    });
    let mut questions: Vec<String> = verdict.questions.iter().map(ToString::to_string).collect();
    let count = questions.len();
    questions.sort();
    questions.dedup();
    assert_eq!(questions.len(), count);
    // The host is looked up for its reverse name and for "a" of its own record.
    assert_eq!(
        questions
            .iter()
            .filter(|question| question.starts_with("mail.example.com"))
            .count(),
        2,
        "{questions:#?}"
    );
}

#[test]
fn the_verdict_does_not_depend_on_the_cuts() {
    let zone = zone();
    let message = signed("example.com", MESSAGE);
    let whole = judge(good(), &message, |question| zone.answer(question));
    for cut in 0..=message.len() {
        let mut auth = MessageAuth::new(good(), &Config::default());
        auth.write(&message[..cut]);
        auth.write(&message[cut..]);
        auth.finish();
        assert_eq!(
            resolve_blocking(auth, |question| zone.answer(question)),
            whole,
            "cut at {cut}"
        );
    }
    let mut auth = MessageAuth::new(good(), &Config::default());
    message.chunks(1).for_each(|octet| auth.write(octet));
    auth.finish();
    assert_eq!(
        resolve_blocking(auth, |question| zone.answer(question)),
        whole
    );
}

/// A client whose HELO name and addresses cost as much as can be cannot use up what convicts it.
#[test]
fn the_lid_holds_and_the_client_cannot_spend_it() {
    let mut zone = zone();
    for domain in ["costly.example", "costly2.example"] {
        let terms: Vec<String> = (0..10)
            .map(|number| format!("mx:m{number}.{domain}"))
            .collect();
        zone = zone.txt(domain, &format!("v=spf1 {} -all", terms.join(" ")));
        for (term, host) in (0..10).flat_map(|term| (0..10).map(move |host| (term, host))) {
            zone = zone
                .mx(
                    &format!("m{term}.{domain}"),
                    1,
                    &format!("h{host}.m{term}.{domain}"),
                )
                .a(&format!("h{host}.m{term}.{domain}"), [198, 51, 100, 1]);
        }
    }
    for host in 0..10 {
        zone = zone
            .ptr(
                "66.2.0.192.in-addr.arpa",
                &format!("p{host}.costly.example"),
            )
            .a(&format!("p{host}.costly.example"), [198, 51, 100, 1]);
    }
    let costly = Inbound {
        helo: "costly2.example".to_owned(),
        mail_from: "<any@costly.example>".parse().unwrap(),
        ..evil()
    };
    let verdict = judge(costly, MESSAGE, |question| zone.answer(question));
    assert!(
        verdict.questions.len() <= 160,
        "{}",
        verdict.questions.len()
    );
    assert!(verdict.questions.len() > 130, "{}", verdict.questions.len());
    assert_eq!(verdict.spf_mail_from.result, SpfResult::Fail);
    assert_eq!(verdict.spf_helo.result, SpfResult::TempError);
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::Fail, Disposition::Reject)
    );
}

#[test]
fn signatures_are_told_apart_and_bounded() {
    let zone = zone();
    let signature = |b: &str| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d=evil.example; s=none; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b={b}\r\n"
        )
    };
    let signatures: Vec<String> = (0..200)
        .map(|number| signature(&format!("AAAAAAAA{number:04}")))
        .collect();
    let message = [signatures.concat().as_bytes(), MESSAGE].concat();
    let verdict = judge(evil(), &message, |question| zone.answer(question));
    let results = read(&verdict);
    let dkim = results
        .results()
        .iter()
        .filter(|result| *result.method() == Method::Dkim);
    let mut shown: Vec<&str> = dkim
        .filter_map(|result| result.property(&Ptype::Header, "b"))
        .collect();
    assert_eq!(shown.len(), 10);
    assert!(shown.iter().all(|b| b.len() > 8), "{shown:?}");
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown.len(), 10);
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::Fail, Disposition::Reject)
    );
}

#[test]
fn a_signature_that_passes_is_told_below_any_number_of_others() {
    let zone = zone();
    let broken: Vec<String> = (0..100)
        .map(|number| format!("DKIM-Signature: v=1; d=x{number}.example.com\r\n"))
        .collect();
    let message = [broken.concat().as_bytes(), &signed("example.com", MESSAGE)].concat();
    let inbound = Inbound {
        client_ip: [192, 0, 2, 66].into(),
        ..good()
    };
    let verdict = judge(inbound, &message, |question| zone.answer(question));
    assert_eq!(verdict.spf_mail_from.result, SpfResult::Fail);
    assert_eq!(verdict.dmarc.result, DmarcResult::Pass);
    let results = read(&verdict);
    let first = results
        .results()
        .iter()
        .find(|result| *result.method() == Method::Dkim)
        .unwrap();
    assert_eq!(first.outcome(), &Outcome::Pass);
    assert_eq!(results.results().len(), 25);
}

#[test]
fn what_a_client_calls_itself_stays_one_value() {
    let zone = zone();
    for helo in [
        "evil.example; dmarc=pass header.from=example.com".to_owned(),
        "evil.example\r\nAuthentication-Results: mx.example.org; dmarc=pass".to_owned(),
        "\"evil\\".to_owned(),
        "(evil".to_owned(),
        "x".repeat(100_000),
        "\u{1f4ec}".repeat(1_000),
        "[IPv6:2001:db8::1]".to_owned(),
        String::new(),
        "b\u{fc}cher.example\0".to_owned(),
    ] {
        for mail_from in [
            "<any@evil.example>",
            "<>",
            "<\"a;dmarc=pass \\\" (\"@evil.example>",
        ] {
            let inbound = Inbound {
                helo: helo.clone(),
                mail_from: mail_from.parse().unwrap(),
                ..evil()
            };
            let verdict = judge(inbound, MESSAGE, |question| zone.answer(question));
            let dmarc: Vec<_> = read(&verdict)
                .results()
                .iter()
                .map(|result| result.method().clone())
                .collect();
            assert_eq!(
                dmarc,
                [
                    Method::Spf,
                    Method::Spf,
                    Method::Dkim,
                    Method::Arc,
                    Method::Dmarc,
                    Method::Iprev
                ],
                "{helo:?}"
            );
            for field in [verdict.authentication_results(), verdict.received_spf()] {
                let field = field.unwrap();
                let lines = field.strip_suffix("\r\n").unwrap().split("\r\n");
                assert!(lines.skip(1).all(|line| line.starts_with(' ')), "{field}");
            }
            assert_eq!(verdict.disposition, Disposition::Reject);
        }
    }
}

/// Whatever the lid, it costs a result and never makes one.
#[test]
fn a_lower_lid_makes_no_pass_and_no_policy() {
    let zone = zone();
    let messages = [
        (good(), signed("example.com", MESSAGE)),
        (evil(), signed("evil.example", MESSAGE)),
    ];
    for (inbound, message) in messages {
        let whole = judge(inbound.clone(), &message, |question| zone.answer(question));
        for questions in 0..60 {
            let mut config = Config::default();
            config.limits.questions = questions;
            let mut auth = MessageAuth::new(inbound.clone(), &config);
            auth.write(&message);
            auth.finish();
            let verdict = resolve_blocking(auth, |question| zone.answer(question));
            assert!(verdict.questions.len() <= questions);
            if verdict.dmarc.result == DmarcResult::TempError {
                assert_eq!(verdict.disposition, Disposition::None, "{questions}");
            } else {
                assert_eq!(
                    (verdict.dmarc.result, verdict.disposition),
                    (whole.dmarc.result, whole.disposition),
                    "{questions}"
                );
            }
        }
    }
}

#[test]
fn a_key_in_test_mode_counts_only_if_it_shall() {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    let zone = Zone::new()
        .txt("2026a._domainkey.example.com", &format!("{record}; t=y"))
        .txt("_dmarc.example.com", "v=DMARC1; p=reject");
    assert!(!Config::default().count_testing_signatures);
    for (count, result) in [(false, DmarcResult::Fail), (true, DmarcResult::Pass)] {
        let mut config = Config::default();
        config.count_testing_signatures = count;
        let mut auth = MessageAuth::new(evil(), &config);
        auth.write(&signed("example.com", MESSAGE));
        auth.finish();
        let verdict = resolve_blocking(auth, |question| zone.answer(question));
        assert_eq!(verdict.dkim.result(), DkimResult::Pass);
        assert_eq!(verdict.dmarc.result, result);
        let results = verdict.results().to_string();
        assert!(
            results.contains("; dkim=pass (key in test mode) header.d=example.com"),
            "{results}"
        );
    }
}
