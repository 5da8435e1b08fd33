//! Internationalized mail (RFC 8616): U-labels wherever they may stand, the DNS in A-labels.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use dkim::{DkimResult, KeyRecord, PrivateKey, Signer, Signing};
use dmarc::{Disposition, DmarcResult};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::{Domain, ReversePath};
use message_auth::{Config, Inbound, MessageAuth, Verdict};
use spf::SpfResult;

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str =
    "From: Jö <jö@bücher.example>\r\nTo: amy@example.org\r\nSubject: Grüße\r\n\r\nIs it ready?\r\n";

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

/// bücher.example, whose selector is schlüssel.
fn zone() -> Zone {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    Zone::new()
        .txt("xn--bcher-kva.example", "v=spf1 ip4:192.0.2.1 -all")
        .txt("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=reject")
        .txt("xn--schlssel-95a._domainkey.xn--bcher-kva.example", &record)
}

fn signed(domain: &str, selector: &str) -> String {
    let signing = Signing::new(
        Domain::parse_utf8(domain).unwrap(),
        Domain::parse_utf8(selector).unwrap(),
        Arc::new(key()),
    );
    let mut signer = Signer::new([signing], NOW);
    signer.write(MESSAGE.as_bytes());
    signer.finish().unwrap().concat() + MESSAGE
}

fn judge(client: [u8; 4], mail_from: &str, message: &str) -> Verdict {
    let inbound = Inbound {
        client_ip: client.into(),
        helo: "mail.example.com".to_owned(),
        mail_from: ReversePath::parse_utf8(mail_from).unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    };
    let zone = zone();
    let mut auth = MessageAuth::new(inbound, &Config::default());
    auth.write(message.as_bytes());
    auth.finish();
    resolve_blocking(auth, |question| zone.answer(question))
}

/// §4: "All U-labels MUST be converted to A-labels before being used for an SPF validation."
#[test]
fn u_labels_of_mail_from_pass_spf_and_dmarc() {
    for mail_from in ["<jö@bücher.example>", "<joe@xn--bcher-kva.example>"] {
        let verdict = judge([192, 0, 2, 1], mail_from, MESSAGE);
        assert_eq!(verdict.spf_mail_from.result, SpfResult::Pass, "{mail_from}");
        let dmarc = (verdict.dmarc.result, verdict.disposition);
        assert_eq!(dmarc, (DmarcResult::Pass, Disposition::None), "{mail_from}");
        // From elsewhere it is refused: the domain says so, in either form.
        let verdict = judge([192, 0, 2, 66], mail_from, MESSAGE);
        assert_eq!(verdict.spf_mail_from.result, SpfResult::Fail, "{mail_from}");
        let dmarc = (verdict.dmarc.result, verdict.disposition);
        assert_eq!(
            dmarc,
            (DmarcResult::Fail, Disposition::Reject),
            "{mail_from}"
        );
    }
}

/// §5: "When computing or verifying the hash in a DKIM signature as described in Section 3.7 of [RFC6376], the hash MUST use the domain
/// name in the format it occurs in the header field."
#[test]
fn signatures_verify_in_the_form_that_they_are_in() {
    let (unicode, ascii) = ("bücher.example", "xn--bcher-kva.example");
    for domain in [unicode, ascii] {
        for selector in ["schlüssel", "xn--schlssel-95a"] {
            let message = signed(domain, selector);
            assert!(message.contains(&format!("d={domain};")), "{message}");
            let verdict = judge([192, 0, 2, 66], "<>", &message);
            assert_eq!(verdict.dkim.result(), DkimResult::Pass, "{message}");
            assert_eq!(verdict.dmarc.result, DmarcResult::Pass, "{message}");
            // The other form is the same domain, and not the same signature.
            let other = if domain == unicode { ascii } else { unicode };
            let changed = message.replace(&format!("d={domain};"), &format!("d={other};"));
            let verdict = judge([192, 0, 2, 66], "<>", &changed);
            assert_eq!(verdict.dkim.result(), DkimResult::Fail, "{changed}");
            assert_eq!(verdict.disposition, Disposition::Reject, "{changed}");
        }
    }
}
