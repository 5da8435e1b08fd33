//! The row of the aggregate report about one message (RFC 9990).
#![cfg(feature = "reports")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use dkim::{KeyRecord, PrivateKey, Signer, Signing};
use dmarc::PolicyOverride;
use dmarc::reports::{ActionDisposition, DkimResult, DmarcAlignment, Row, SpfResult, SpfScope};
use mail_dns::{Answer, Failure, Zone, resolve_blocking};
use message_auth::{Config, Inbound, MessageAuth};

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str = "From: Joe <joe@news.example.com>\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

fn zone(policy: &str) -> Zone {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    Zone::new()
        .txt("bounces.example.com", "v=spf1 ip4:192.0.2.1 -all")
        .txt("s1._domainkey.example.com", &record)
        .txt("_dmarc.example.com", policy)
        .a("news.example.com", [192, 0, 2, 80])
}

fn signed() -> String {
    let signing = Signing::new(
        "example.com".parse().unwrap(),
        "s1".parse().unwrap(),
        Arc::new(key()),
    );
    let mut signer = Signer::new([signing], NOW);
    signer.write(MESSAGE.as_bytes());
    format!("{}{MESSAGE}", signer.finish().unwrap().concat())
}

fn row(client: &str, mail_from: &str, message: &str, zone: &Zone) -> Option<Row> {
    let inbound = Inbound {
        client_ip: client.parse().unwrap(),
        helo: "mail.example.net".to_owned(),
        mail_from: mail_from.parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    };
    let mut auth = MessageAuth::new(inbound, &Config::default());
    auth.write(message.as_bytes());
    auth.finish();
    resolve_blocking(auth, |question| zone.answer(question)).report_row()
}

#[test]
fn of_a_message_that_passes() {
    let row = row(
        "::ffff:192.0.2.1",
        "<joe@bounces.example.com>",
        &signed(),
        &zone("v=DMARC1; p=reject"),
    )
    .unwrap();
    assert_eq!(
        (row.source_ip.to_string().as_str(), row.count),
        ("192.0.2.1", 1)
    );
    let evaluated = &row.policy_evaluated;
    assert_eq!(evaluated.disposition, ActionDisposition::Pass);
    assert_eq!(
        (evaluated.dkim, evaluated.spf),
        (DmarcAlignment::Pass, DmarcAlignment::Pass)
    );
    assert_eq!(evaluated.reasons, []);
    assert_eq!(row.identifiers.header_from, "news.example.com");
    assert_eq!(
        row.identifiers.envelope_from.as_deref(),
        Some("bounces.example.com")
    );
    assert_eq!(row.identifiers.envelope_to, None);
    let dkim = &row.auth_results.dkim[0];
    assert_eq!(
        (dkim.domain.as_str(), dkim.selector.as_deref(), dkim.result),
        ("example.com", Some("s1"), DkimResult::Pass)
    );
    let spf = &row.auth_results.spf[0];
    assert_eq!(
        (spf.domain.as_str(), spf.scope, spf.result),
        (
            "bounces.example.com",
            Some(SpfScope::MailFrom),
            SpfResult::Pass
        )
    );
    assert!(row.is_pass());
}

#[test]
fn of_messages_that_fail() {
    for (policy, disposition, reasons) in [
        ("v=DMARC1; p=reject", ActionDisposition::Reject, vec![]),
        ("v=DMARC1; p=none", ActionDisposition::None, vec![]),
        // RFC 9989 §4.7: in test mode the policy is one step weaker.
        (
            "v=DMARC1; p=reject; t=y",
            ActionDisposition::Quarantine,
            vec![PolicyOverride::PolicyTestMode],
        ),
        (
            "v=DMARC1; p=quarantine; t=y",
            ActionDisposition::None,
            vec![PolicyOverride::PolicyTestMode],
        ),
    ] {
        let row = row("192.0.2.66", "<>", MESSAGE, &zone(policy)).unwrap();
        let evaluated = &row.policy_evaluated;
        assert_eq!(evaluated.disposition, disposition, "{policy}");
        let kinds: Vec<_> = evaluated.reasons.iter().map(|reason| reason.kind).collect();
        assert_eq!(kinds, reasons, "{policy}");
        assert_eq!(
            (evaluated.dkim, evaluated.spf),
            (DmarcAlignment::Fail, DmarcAlignment::Fail)
        );
        // The null reverse-path is told as an empty one; SPF was done with the HELO name.
        assert_eq!(row.identifiers.envelope_from.as_deref(), Some(""));
        let spf = &row.auth_results.spf[0];
        assert_eq!(
            (spf.domain.as_str(), spf.result),
            ("mail.example.net", SpfResult::None)
        );
        assert!(spf.human_result.is_some());
        assert_eq!(row.auth_results.dkim, []);
        assert!(!row.is_pass());
    }
}

#[test]
fn of_what_has_no_record_there_is_none() {
    let with_policy = zone("v=DMARC1; p=reject");
    let failing = |name: &str| {
        let mut zone = zone("v=DMARC1; p=reject");
        zone.inject(
            name.parse().unwrap(),
            None,
            Answer::failed(Failure::Timeout),
        );
        zone
    };
    for (message, zone) in [
        ("From: joe@example.net\r\n\r\n", &with_policy),
        (
            "From: joe@example.com, joe@example.net\r\n\r\n",
            &with_policy,
        ),
        ("Subject: nobody\r\n\r\n", &with_policy),
        (MESSAGE, &failing("_dmarc.news.example.com")),
    ] {
        assert_eq!(
            row("192.0.2.1", "<joe@bounces.example.com>", message, zone),
            None,
            "{message}"
        );
    }
}

#[test]
fn many_signatures_those_that_pass_first() {
    let broken = "DKIM-Signature: v=1; a=rsa-sha256; d=evil.example; s=none; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n";
    let message = format!("{}{}", broken.repeat(9), signed());
    let row = row(
        "192.0.2.1",
        "<joe@bounces.example.com>",
        &message,
        &zone("v=DMARC1; p=reject"),
    )
    .unwrap();
    let dkim = &row.auth_results.dkim;
    assert_eq!(dkim.len(), 10);
    assert_eq!(
        (dkim[0].result, dkim[0].domain.as_str()),
        (DkimResult::Pass, "example.com")
    );
    assert!(
        dkim[1..]
            .iter()
            .all(|signature| signature.result != DkimResult::Pass)
    );
}
