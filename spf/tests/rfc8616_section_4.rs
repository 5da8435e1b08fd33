//! Internationalized mail (RFC 8616 §4).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use mail_dns::{Zone, resolve_blocking};
use spf::{CheckHost, Client, Config, Explain, Identity, SpfResult, Verdict};

fn evaluate(zone: &Zone, sender: &str) -> (Verdict, Vec<String>) {
    let client = Client::new([192, 0, 2, 1], "mail.example.net");
    let mut config = Config::default();
    config.explain = Some(Explain {
        receiver: "unknown".to_owned(),
        now: 0,
    });
    let mut asked = Vec::new();
    let verdict = resolve_blocking(
        CheckHost::new(&client, Identity::MailFrom, sender, &config),
        |question| {
            asked.push(question.to_string());
            zone.answer(question)
        },
    );
    (verdict, asked)
}

/// "If the local part contains non-ASCII characters, terms that include %{s} or %{l} do not match anything"
#[test]
fn terms_with_a_local_part_that_is_not_ascii() {
    for (record, expected, with_ascii) in [
        (
            "v=spf1 exists:%{l}.example.com -all",
            SpfResult::Fail,
            SpfResult::Pass,
        ),
        (
            "v=spf1 exists:%{L}.example.com -all",
            SpfResult::Fail,
            SpfResult::Pass,
        ),
        ("v=spf1 -exists:%{s} +all", SpfResult::Pass, SpfResult::Fail),
        (
            "v=spf1 include:%{l1r+}.example.com ?all",
            SpfResult::Neutral,
            SpfResult::Pass,
        ),
        ("v=spf1 exists:%{o} -all", SpfResult::Pass, SpfResult::Pass),
        // Nothing stands beside a redirect that could be taken instead (RFC 7208 §6.1, a target that is malformed).
        (
            "v=spf1 redirect=%{l}.example.com",
            SpfResult::PermError,
            SpfResult::Pass,
        ),
    ] {
        let zone = Zone::new()
            .txt("example.com", record)
            .a("example.com", [192, 0, 2, 9])
            .txt("joe.example.com", "v=spf1 +all")
            .a("joe.example.com", [192, 0, 2, 9])
            .a("joe@example.com", [192, 0, 2, 9])
            .a("j\u{f6}e.example.com", [192, 0, 2, 9]);
        let (verdict, asked) = evaluate(&zone, "j\u{f6}e@example.com");
        assert_eq!(verdict.result, expected, "{record}");
        assert!(
            asked
                .iter()
                .all(|question| question.starts_with("example.com")),
            "{asked:?}"
        );
        assert_eq!(
            evaluate(&zone, "joe@example.com").0.result,
            with_ascii,
            "{record}"
        );
    }
}

/// "all IDNs in an SPF DNS record MUST be A-labels"
#[test]
fn a_record_has_a_labels_only() {
    for (record, expected) in [
        ("v=spf1 a:xn--bcher-kva.example -all", SpfResult::Pass),
        ("v=spf1 a:b\u{fc}cher.example -all", SpfResult::PermError),
        ("v=spf1 redirect=b\u{fc}cher.example", SpfResult::PermError),
    ] {
        let zone = Zone::new()
            .txt("example.com", record)
            .a("xn--bcher-kva.example", [192, 0, 2, 1]);
        let (verdict, _) = evaluate(&zone, "joe@example.com");
        assert_eq!(verdict.result, expected, "{record}");
    }
}

#[test]
fn no_explanation_that_is_not_ascii() {
    let zone = Zone::new()
        .txt("example.com", "v=spf1 -all exp=why.example.com")
        .txt("why.example.com", "%{l} may not");
    let explanation = |sender| {
        evaluate(&zone, sender)
            .0
            .explanation
            .map(|text| text.to_string())
    };
    assert_eq!(
        explanation("joe@example.com").as_deref(),
        Some("joe may not")
    );
    assert_eq!(explanation("j\u{f6}e@example.com"), None);
}

/// "All U-labels MUST be converted to A-labels before being used for an SPF validation."
#[cfg(feature = "idna")]
#[test]
fn u_labels_become_a_labels() {
    let zone = Zone::new()
        .txt("xn--exmple-cua.com", "v=spf1 exists:%{o}.example.net -all")
        .a("xn--exmple-cua.com.example.net", [127, 0, 0, 2]);
    let (verdict, _) = evaluate(&zone, "joe@ex\u{e4}mple.com");
    assert_eq!(verdict.result, SpfResult::Pass);
    assert_eq!(
        verdict.authenticated_mail_from().unwrap(),
        "xn--exmple-cua.com"
    );
}

#[cfg(not(feature = "idna"))]
#[test]
fn u_labels_are_said_not_to_be_converted() {
    let (verdict, asked) = evaluate(&Zone::new(), "joe@ex\u{e4}mple.com");
    assert_eq!(
        (verdict.result, verdict.domain, verdict.cause, asked.len()),
        (SpfResult::None, None, spf::Cause::ULabels, 0)
    );
}
