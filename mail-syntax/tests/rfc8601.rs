//! RFC 8601: what its sentences demand of the field.
#![allow(missing_docs, clippy::unwrap_used)]

use mail_syntax::authentication_results::{
    AuthenticationResults, Keyword, Method, MethodResult, Outcome, Ptype, strip,
};
use mail_syntax::header::{Header, Limits};

fn read(body: &str) -> AuthenticationResults {
    AuthenticationResults::parse(body.as_bytes()).unwrap()
}

/// §2.2: an identity is `[[local-part] "@"] domain-name`, never one quoted string.
#[test]
fn an_email_identity_is_not_quoted_as_a_whole() {
    for (identity, printed) in [
        ("joe@example.com", "joe@example.com"),
        ("@example.com", "@example.com"),
        ("example.com", "example.com"),
        ("o'hara+a=b/c?@example.com", "o'hara+a=b/c?@example.com"),
        ("\"joe doe\"@example.com", "\"joe doe\"@example.com"),
        ("\"a;b \\\"(\"@example.com", "\"a;b \\\"(\"@example.com"),
        (
            "j\u{f6}rg@b\u{fc}cher.example",
            "j\u{f6}rg@b\u{fc}cher.example",
        ),
        ("b\u{fc}cher.example", "b\u{fc}cher.example"),
        // None of these is an identity, and none may be read as one.
        ("joe@[192.0.2.1]", "\"joe@[192.0.2.1]\""),
        ("joe doe@example.com", "\"joe doe@example.com\""),
        ("\"joe\" doe@example.com", "\"\\\"joe\\\" doe@example.com\""),
        (
            "joe@example.com; dkim=pass",
            "\"joe@example.com; dkim=pass\"",
        ),
        ("joe@", "\"joe@\""),
    ] {
        let mut results = AuthenticationResults::new("mx.example.org");
        let mut result = MethodResult::new(Method::Spf, Outcome::Pass);
        result.add_property(Ptype::Smtp, "mailfrom".parse().unwrap(), identity);
        results.push(result);
        let body = format!("mx.example.org; spf=pass smtp.mailfrom={printed}");
        assert_eq!(results.to_string(), body);
        assert_eq!(read(&body), results, "{identity}");
    }
}

/// §2.3 and §4.1: what is not registered makes no decision.
#[test]
fn results_in_unregistered_words_are_told_apart() {
    for (result, registered) in [
        ("spf=pass smtp.mailfrom=example.com", true),
        (
            "dkim=policy (weak) policy.dkim-rules=unsigned-subject header.i=@example.com",
            true,
        ),
        ("spf=pass smtp.mailfrom=example.com x.y=z", false),
        ("spf=fine smtp.mailfrom=example.com", false),
        ("spf=hardfail", false),
        ("tarot=pass", false),
        (
            "dmarc=bestguesspass action=none header.from=example.com",
            false,
        ),
    ] {
        let read = read(&format!("mx.example.org; {result}; iprev=pass"));
        assert_eq!(read.results().len(), 2, "{result}");
        assert_eq!(read.results()[0].is_registered(), registered, "{result}");
        assert_eq!(
            read.registered().count(),
            1 + usize::from(registered),
            "{result}"
        );
    }
}

/// §2.2 and the registry of §6: all methods, results and property types; others as words.
#[test]
fn every_registered_word_is_known() {
    for method in [
        "arc",
        "auth",
        "dkim",
        "dkim-adsp",
        "dkim-atps",
        "dmarc",
        "dnswl",
        "domainkeys",
        "iprev",
        "rrvs",
        "sender-id",
        "smime",
        "spf",
        "vbr",
    ] {
        let known: Method = method.to_uppercase().parse().unwrap();
        assert!(known.is_registered() && known.as_str() == method);
    }
    for outcome in [
        "discard",
        "fail",
        "neutral",
        "none",
        "nxdomain",
        "pass",
        "permerror",
        "policy",
        "signed",
        "softfail",
        "temperror",
        "unknown",
    ] {
        let known: Outcome = outcome.parse().unwrap();
        assert!(known.is_registered() && known.as_str() == outcome);
    }
    for ptype in ["smtp", "header", "body", "policy", "dns"] {
        let known: Ptype = ptype.parse().unwrap();
        assert!(known.is_registered() && known.as_str() == ptype);
    }
    let other: Keyword = "dane".parse().unwrap();
    assert_eq!("DANE".parse(), Ok(Method::Other(other)));
    // A dot ends a property type: one that holds it would be read as another.
    assert!("a.b".parse::<Ptype>().is_err());
    for none in ["", " ", "a b", "a=b", "a;b", "\u{fc}"] {
        assert!(none.parse::<Method>().is_err(), "{none:?}");
    }
}

/// §5: fields that claim to be ours are deleted, others stay; every spelling of the id is the id.
#[test]
fn what_claims_to_be_ours_is_deleted() {
    let ours = [
        "Authentication-Results: example.org; spf=pass",
        "AUTHENTICATION-RESULTS: EXAMPLE.ORG 1; spf=pass",
        "Authentication-Results: (hello (there)) example.org (again) 1 (and) ; spf=pass",
        "Authentication-Results:\r\n example.org;\r\n\tspf=pass",
        "Authentication-Results: \"example.org\"; spf=pass",
        "Authentication-Results: \"ex\\ample.org\"; spf=pass",
        "Authentication-Results: example.org.; none",
        "Authentication-Results : example.org; none",
        "Authentication-Results: spf=pass; example.org; dkim=pass",
        "Authentication-Results: example.org (never closed; dkim=pass",
        "Authentication-Results: example.org\u{a0}; dkim=pass",
    ];
    let theirs = [
        "Authentication-Results: mx.example.org; spf=pass",
        "Authentication-Results: example.net; spf=pass smtp.helo=example.org",
        "Authentication-Results: example.net (example.org); spf=pass",
        "ARC-Authentication-Results: i=1; example.org; spf=pass",
        "X-Authentication-Results: example.org; spf=pass",
    ];
    let lines = |fields: &[&str]| {
        fields
            .iter()
            .map(|field| format!("{field}\r\n"))
            .collect::<String>()
    };
    let message = format!(
        "{}{}From: joe@example.com\r\n\r\n",
        lines(&ours),
        lines(&theirs)
    );
    let (header, _) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
    let kept = strip(&header, "example.org");
    assert_eq!(
        String::from_utf8(kept).unwrap(),
        format!("{}From: joe@example.com\r\n", lines(&theirs))
    );
}

/// §5: "In the case of EAI-formatted messages, this test is done after converting A-labels into U-labels."
#[cfg(feature = "idna")]
#[test]
fn a_labels_and_u_labels_are_one_name() {
    use mail_syntax::authentication_results::claims_to_be;

    let (a, u) = ("mx.xn--bcher-kva.example", "mx.b\u{fc}cher.example");
    for claim in [
        a,
        u,
        "MX.XN--BCHER-KVA.EXAMPLE",
        "mx.B\u{dc}CHER.example",
        // Decomposed, of another width, with another full stop.
        "mx.bu\u{308}cher.example",
        "\u{ff4d}\u{ff58}.b\u{fc}cher.example",
        "mx.b\u{fc}cher\u{3002}example",
        "\"mx.b\u{fc}cher.example\" 1",
        "(c) mx.b\u{fc}cher.example (d) 1",
    ] {
        for own in [a, u] {
            assert!(
                claims_to_be(format!("{claim}; spf=pass").as_bytes(), own),
                "{claim} {own}"
            );
            assert!(
                claims_to_be(format!("{claim}; spf=pass (").as_bytes(), own),
                "{claim} {own}"
            );
        }
    }
    for own in [a, u] {
        assert!(!claims_to_be("mx.bucher.example; spf=pass".as_bytes(), own));
        assert!(!claims_to_be(
            "b\u{fc}cher.example; spf=pass".as_bytes(),
            own
        ));
    }
}

/// §2.5: the identifier may be in U-labels.
#[test]
fn the_identifier_may_be_in_u_labels() {
    let body = "mx.b\u{fc}cher.example 1; dkim=pass header.d=b\u{fc}cher.example header.i=j\u{f6}rg@b\u{fc}cher.example";
    let read = read(body);
    assert_eq!(read.authserv_id(), Some("mx.b\u{fc}cher.example"));
    assert_eq!(
        read.results()[0].property(&Ptype::Header, "i"),
        Some("j\u{f6}rg@b\u{fc}cher.example")
    );
    assert_eq!(read.to_string(), body);
}
