//! The field that tells of a message: it can be printed whatever the sender wrote, and says no more than it should.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use mail_dns::{Zone, resolve_blocking};
use mail_syntax::authentication_results::{AuthenticationResults, Ptype};
use message_auth::{Config, Inbound, MessageAuth, Verdict};

const NOW: u64 = 1_700_000_000;

fn inbound() -> Inbound {
    Inbound {
        client_ip: [192, 0, 2, 1].into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<joe@example.com>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: NOW,
    }
}

fn judge(inbound: Inbound, message: &[u8], zone: &Zone) -> Verdict {
    let mut auth = MessageAuth::new(inbound, &Config::default());
    auth.write(message);
    auth.finish();
    resolve_blocking(auth, |question| zone.answer(question))
}

/// The field as another server reads it; every line fits.
fn read(verdict: &Verdict) -> AuthenticationResults {
    let field = verdict.authentication_results().unwrap();
    assert!(field.split("\r\n").all(|line| line.len() <= 998), "{field}");
    let body = field.split_once(':').unwrap().1.trim_end();
    let results = AuthenticationResults::parse(body.as_bytes()).unwrap();
    assert_eq!(results, verdict.results());
    results
}

#[test]
fn no_sender_makes_it_unprintable() {
    let pieces = [
        "a",
        "\u{e9}",
        "\u{200d}",
        "\"",
        "\\\\",
        "(",
        "xn--",
        "[",
        "]",
        ";",
        "=",
        "@",
        ".",
        " ",
        "\t",
        "\0",
        "%",
        "\u{2028}",
        "a.",
        "\u{e9}\u{200d}.",
        "\u{10ffff}",
    ];
    for piece in pieces {
        for times in [1, 12, 64, 300, 2_000] {
            let text = piece.repeat(times);
            for hostile in [
                text.clone(),
                format!("{text}.example"),
                format!("[{text}]"),
                format!("\"{text}\"@{text}"),
            ] {
                let fields = [
                    format!("From: a@{hostile}"),
                    format!("From: {hostile}"),
                    format!(
                        "From: a@example.com\r\nDKIM-Signature: v=1; a={hostile}; d={hostile}; s={hostile}; i=@{hostile}; h=from; b=AAAA; bh=AAAA"
                    ),
                    format!(
                        "From: a@example.com\r\nDKIM-Signature: v=1; a=rsa-sha256; d={hostile}; s=s; h=from; b=AAAA; bh=AAAA"
                    ),
                    format!(
                        "From: a@example.com\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.com; i={hostile}; s={hostile}; h=from:{hostile}; b=AAAA; bh=AAAA"
                    ),
                    format!(
                        "From: a@example.com\r\nARC-Seal: i=1; a=rsa-sha256; cv=none; d={hostile}; s={hostile}; b=AAAA"
                    ),
                    format!("{hostile}: x\r\nFrom: a@example.com"),
                ];
                for field in fields {
                    let message = format!("{field}\r\n\r\nbody\r\n");
                    let verdict = judge(inbound(), message.as_bytes(), &Zone::new());
                    read(&verdict);
                    assert!(verdict.received_spf().is_ok());
                }
            }
        }
    }
}

/// RFC 8601 §2.7.2: the local part only if a policy that was used looked at it.
#[test]
fn the_local_part_is_told_if_the_policy_looked_at_it() {
    for (record, mail_from, told) in [
        (
            "v=spf1 ip4:192.0.2.1 -all",
            "<joe@example.com>",
            Some("example.com"),
        ),
        (
            "v=spf1 a:%{d} -all",
            "<joe@example.com>",
            Some("example.com"),
        ),
        (
            "v=spf1 exists:%{l}.example.net -all",
            "<joe@example.com>",
            Some("joe@example.com"),
        ),
        (
            "v=spf1 include:%{s}.example.net -all",
            "<joe@example.com>",
            Some("joe@example.com"),
        ),
        (
            "v=spf1 redirect=%{l}.example.net",
            "<joe@example.com>",
            Some("joe@example.com"),
        ),
        // Behind the term that matches, and in what explains a fail, it is not looked at.
        (
            "v=spf1 ip4:192.0.2.1 exists:%{l}.example.net -all",
            "<joe@example.com>",
            Some("example.com"),
        ),
        (
            "v=spf1 -all exp=%{l}.example.net",
            "<joe@example.com>",
            Some("example.com"),
        ),
        ("v=spf1 a -all", "<>", Some("mail.example.com")),
    ] {
        let inbound = Inbound {
            mail_from: mail_from.parse().unwrap(),
            ..inbound()
        };
        let zone = Zone::new()
            .txt("example.com", record)
            .txt("mail.example.com", "v=spf1 a -all");
        let verdict = judge(inbound, b"From: a@example.com\r\n\r\n", &zone);
        let results = read(&verdict);
        assert_eq!(
            results.results()[0].property(&Ptype::Smtp, "mailfrom"),
            told,
            "{record}"
        );
    }
}

/// HELO comes before SMTPUTF8: what it says is told in ASCII, or not at all.
#[test]
fn a_helo_name_beyond_ascii_is_told_in_ascii() {
    for (helo, told) in [
        ("b\u{fc}cher.example", Some("xn--bcher-kva.example")),
        ("\u{e9}", Some("xn--9ca")),
        ("\u{e9} x", None),
        ("\u{e9}\u{200d}.example", None),
        ("", None),
        ("[192.0.2.1]", Some("[192.0.2.1]")),
    ] {
        let inbound = Inbound {
            helo: helo.to_owned(),
            mail_from: "<>".parse().unwrap(),
            ..inbound()
        };
        let verdict = judge(inbound, b"From: a@example.com\r\n\r\n", &Zone::new());
        let results = read(&verdict);
        assert_eq!(
            results.results()[0].property(&Ptype::Smtp, "mailfrom"),
            told,
            "{helo}"
        );
        assert_eq!(
            results.results()[1].property(&Ptype::Smtp, "helo"),
            told,
            "{helo}"
        );
        assert!(results.to_string().is_ascii(), "{results}");
    }
}
