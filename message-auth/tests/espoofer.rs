//! The attacks of espoofer on what a receiving server believes (Chen, Paxson, Jiang: "Composition Kills", 2020).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[cfg(feature = "serde")]
mod replay;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dmarc::{Disposition, DmarcResult};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::ReversePath;
use mail_syntax::authentication_results::{AuthenticationResults, Method, Outcome};
use message_auth::{Config, Inbound, MessageAuth, Verdict};
use serde_json::Value;
use testkit::conformance::load_json;

/// attack.com, from whose address the mail comes, allows it; legitimate.com allows nothing and refuses what fails.
fn zone() -> Zone {
    let mut zone = Zone::new()
        .txt("legitimate.com", "v=spf1 -all")
        .txt("_dmarc.legitimate.com", "v=DMARC1; p=reject")
        .txt("_dmarc.attack.com", "v=DMARC1; p=none");
    for domain in [
        "attack.com",
        "helo.attack.com",
        "33.attack.com",
        "a.attack.com",
        "any.attack.com",
    ] {
        zone = zone.txt(domain, "v=spf1 ip4:192.0.2.66 -all");
    }
    // A service for mail, one of whose users is the attacker.
    zone.txt("example.com", "v=spf1 ip4:192.0.2.25 -all")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
}

fn octets(case: &Value, key: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(case[key].as_str().unwrap()).unwrap()
}

/// `client` is the address it comes from.
fn judge(case: &Value, client: [u8; 4], mail_from: ReversePath) -> Verdict {
    let inbound = Inbound {
        client_ip: client.into(),
        helo: case["helo"].as_str().unwrap().to_owned(),
        mail_from,
        authserv_id: "mx.victim.com".to_owned(),
        now: 1_609_459_200,
    };
    let mut auth = MessageAuth::new(inbound, &Config::default());
    let mut message = Vec::new();
    let dkim = &case["dkim"];
    if let (Some(d), Some(s)) = (dkim["d"].as_str(), dkim["s"].as_str()) {
        let signature = format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={d}; s={s}; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
        );
        message.extend_from_slice(signature.as_bytes());
    }
    message.extend_from_slice(&octets(case, "message_b64"));
    auth.write(&message);
    auth.finish();
    let zone = zone();
    let verdict = resolve_blocking(auth, |question| zone.answer(question));
    #[cfg(feature = "serde")]
    replay::check(&verdict, &message);
    verdict
}

#[test]
fn no_pass_for_a_domain_that_the_reader_does_not_see() {
    let Some(suite) = load_json("attacks/espoofer.json") else {
        return;
    };
    let cases = suite["cases"].as_array().unwrap();
    let servers = cases.iter().filter(|case| case["mode"] == "server");
    let (mut judged, mut refused) = (0, Vec::new());
    for case in servers {
        let id = case["id"].as_str().unwrap();
        let envelope = String::from_utf8(octets(case, "mailfrom_b64")).unwrap();
        // A reverse-path outside the grammar never gets as far as this: the command is refused.
        let Ok(mail_from) = envelope.parse::<ReversePath>() else {
            refused.push(id);
            continue;
        };
        judged += 1;
        let verdict = judge(case, [192, 0, 2, 66], mail_from);
        // All of them show legitimate.com, or more than one author, or leave it to the reader.
        assert!(
            matches!(
                verdict.dmarc.result,
                DmarcResult::Fail | DmarcResult::PermError
            ),
            "{id}: {verdict:?}"
        );
        assert_eq!(verdict.disposition, Disposition::Reject, "{id}");
        for result in results(&verdict).results() {
            let passed = *result.outcome() == Outcome::Pass;
            assert!(
                !passed || *result.method() == Method::Spf,
                "{id}: {result:?}"
            );
            for property in result.properties() {
                assert!(
                    !passed || !property.value().ends_with("legitimate.com"),
                    "{id}: {result:?}"
                );
            }
        }
        // What is no signature of a domain is not looked up, and so never verified.
        let key = |question: &mail_dns::Question| question.name.to_string().contains("_domainkey");
        assert!(!verdict.questions.iter().any(key), "{id}");
    }
    assert_eq!(refused, ["server_a2", "server_a5", "server_a6"]);
    assert_eq!(judged, 16);
}

/// Mail that a user of a service sends through it, in the name of another user: the service's own server is authenticated.
#[test]
fn no_pass_for_another_user_of_the_service() {
    let Some(suite) = load_json("attacks/espoofer.json") else {
        return;
    };
    let gaps: Vec<&str> = include_str!("espoofer.known-gaps")
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(id, _)| id)
        .collect();
    let mut judged = 0;
    for case in suite["cases"].as_array().unwrap() {
        if case["mode"] != "client" {
            continue;
        }
        let id = case["id"].as_str().unwrap();
        let envelope = String::from_utf8(octets(case, "mailfrom_b64")).unwrap();
        let verdict = judge(case, [192, 0, 2, 25], envelope.parse().unwrap());
        assert_eq!(verdict.spf_mail_from.result, spf::SpfResult::Pass);
        let refused =
            verdict.dmarc.result != DmarcResult::Pass && verdict.disposition == Disposition::Reject;
        assert_eq!(refused, !gaps.contains(&id), "{id}: {:?}", verdict.dmarc);
        judged += 1;
    }
    assert_eq!(judged, 3);
}

/// The field as the next server reads it: nothing that was injected has become a result.
fn results(verdict: &Verdict) -> AuthenticationResults {
    let field = verdict.authentication_results().unwrap();
    let body = field
        .trim_end()
        .strip_prefix("Authentication-Results:")
        .unwrap();
    let results = AuthenticationResults::parse(body.as_bytes()).unwrap();
    assert_eq!(results, verdict.results());
    results
}
