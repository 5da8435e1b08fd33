//! Whole messages: DKIM, and all that is known of a sender.

use std::collections::BTreeSet;

use dkim::{DkimResult, Options, Verifier};
use dmarc::DmarcResult;
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::authentication_results::AuthenticationResults;
use message_auth::{Config, Inbound, MessageAuth};

use crate::pieces::pieces;

/// When the message of RFC 8463 appendix A was signed.
const NOW: u64 = 1_528_637_909;

/// The signatures of RFC 8463 appendix A.3, which only the owner of the keys could make.
const KNOWN_SIGNATURES: [&str; 2] = [
    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==",
    "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=",
];

/// What is published where the messages of the corpus come from; the keys are those of RFC 8463 appendix A.2.
fn zone() -> Zone {
    Zone::new()
        .txt(
            "brisbane._domainkey.football.example.com",
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        )
        .txt(
            "test._domainkey.football.example.com",
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
        )
        .txt("football.example.com", "v=spf1 include:_spf.example.com mx -all")
        .txt("_spf.example.com", "v=spf1 ip4:192.0.2.0/24 -all")
        .mx("football.example.com", 10, "mail.example.com")
        .a("mail.example.com", [192, 0, 2, 1])
        .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
        .txt("mail.example.com", "v=spf1 a -all")
        .txt("_dmarc.football.example.com", "v=DMARC1; p=reject; adkim=s")
        .txt("_dmarc.example.com", "v=DMARC1; p=quarantine; sp=none")
}

fn verify(message: &[&[u8]]) -> dkim::Verdict {
    let zone = zone();
    let mut verifier = Verifier::new(NOW, Options::default());
    for piece in message {
        verifier.write(piece);
    }
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

/// A message has one verdict however it is cut, and no signature passes but those of RFC 8463, over what they sign.
pub fn dkim_verify_split(data: &[u8]) {
    let verdict = verify(&[data]);
    assert_eq!(verify(&pieces(data)), verdict, "in pieces, and in one");
    for signature in verdict.passed() {
        let b = signature.b().expect("what passes is well-formed");
        assert!(
            KNOWN_SIGNATURES.contains(&b.as_str()),
            "a signature without the key: {b}"
        );
    }
    for signature in &verdict.signatures {
        assert!(signature.offset <= data.len());
        assert_eq!(signature.cause.result(), signature.result);
    }
}

fn judge(message: &[&[u8]]) -> message_auth::Verdict {
    let inbound = Inbound {
        client_ip: [192, 0, 2, 1].into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<joe@football.example.com>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    };
    let zone = zone();
    let mut auth = MessageAuth::new(inbound, &Config::default());
    for piece in message {
        auth.write(piece);
    }
    auth.finish();
    resolve_blocking(auth, |question| zone.answer(question))
}

/// A message has one verdict however it is cut; each question is asked once, and no more than allowed; DMARC passes only by an identifier
/// that passed and is aligned; and the field that tells of it is read as what was written.
pub fn message_auth_split(data: &[u8]) {
    let verdict = judge(&[data]);
    let mut cut = judge(&pieces(data));
    let asked: BTreeSet<String> = verdict
        .questions
        .iter()
        .map(|question| format!("{question:?}"))
        .collect();
    assert_eq!(
        asked.len(),
        verdict.questions.len(),
        "a question asked twice: {:?}",
        verdict.questions
    );
    assert!(asked.len() <= Config::default().limits.questions);
    // The order of the questions is not part of the law.
    let asked_cut: BTreeSet<String> = cut
        .questions
        .iter()
        .map(|question| format!("{question:?}"))
        .collect();
    assert_eq!(asked_cut, asked);
    cut.questions.clone_from(&verdict.questions);
    assert_eq!(cut, verdict, "in pieces, and in one");

    if verdict.dmarc.result == DmarcResult::Pass {
        let by_spf = verdict.dmarc.aligned_spf().is_some_and(|domain| {
            verdict.spf_mail_from.result == spf::SpfResult::Pass
                && *domain == "football.example.com"
        });
        let by_dkim = verdict
            .dkim
            .signatures
            .iter()
            .any(|signature| signature.result == DkimResult::Pass);
        assert!(by_spf || by_dkim, "{:?}", verdict.dmarc);
    }
    let field = verdict
        .authentication_results()
        .expect("the authserv-id fits");
    let (_, body) = field.split_once(':').expect("a field has a colon");
    let read = AuthenticationResults::parse(body.trim_end().as_bytes());
    assert_eq!(read.as_ref(), Ok(&verdict.results()), "{field:?}");
}
