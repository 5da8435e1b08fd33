//! The rules of RFC 7489, with public suffixes, beside those of RFC 9989: where they agree, and where they differ.
#![allow(missing_docs, clippy::unwrap_used)]

use dmarc::{
    Authentication, AuthorDomains, Config, Disposition, Dmarc, DmarcResult, OrganizationalDomain,
    Policy, PolicyOverride, PublicSuffixes, Verdict,
};
use mail_dns::{Failure, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::Domain;

/// `com`, `uk` and the like, and `co.uk`.
fn by_suffix() -> Config {
    let mut config = Config::default();
    let suffixes = PublicSuffixes::new(|domain| {
        1 + usize::from(domain.as_str() == "co.uk" || domain.as_str().ends_with(".co.uk"))
    });
    config.organizational_domain = OrganizationalDomain::PublicSuffix(suffixes);
    config
}

/// The verdict of a message from this domain with a signature of that one, and the names asked.
fn judge(config: &Config, zone: &Zone, from: &str, dkim: &str, draw: u8) -> (Verdict, Vec<String>) {
    let author = AuthorDomains::One(Domain::parse_utf8(from).unwrap());
    let mut dmarc = Dmarc::new(&author, config);
    dmarc.draw(draw);
    dmarc.dkim(&dkim.parse().unwrap(), Authentication::Pass);
    dmarc.no_more_identifiers();
    let mut asked = Vec::new();
    let verdict = resolve_blocking(dmarc, |question: &Question| {
        asked.push(question.to_string());
        zone.answer(question)
    });
    (verdict, asked)
}

type Said = (DmarcResult, Disposition, Option<String>);

fn both(zone: &Zone, from: &str, dkim: &str) -> (Said, Said) {
    let said = |config: &Config| {
        let (verdict, _) = judge(config, zone, from, dkim, 0);
        let domain = verdict.record_domain.map(|domain| domain.to_string());
        (verdict.result, verdict.disposition, domain)
    };
    (said(&Config::default()), said(&by_suffix()))
}

#[test]
fn both_agree_on_ordinary_domains() {
    let zone = Zone::new()
        .txt("_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine")
        .txt("_dmarc.strict.example.com", "v=DMARC1; p=reject; adkim=s")
        .txt("_dmarc.example.co.uk", "v=DMARC1; p=quarantine")
        .txt("_dmarc.twice.example", "v=DMARC1; p=none")
        .txt("_dmarc.twice.example", "v=DMARC1; p=reject")
        .txt("_dmarc.broken.example", "v=DMARC1; p=bad")
        .txt(
            "_dmarc.watched.example",
            "v=DMARC1; p=bad; rua=mailto:a@watched.example",
        );
    for from in [
        "example.com",
        "news.example.com",
        "strict.example.com",
        "a.b.example.co.uk",
        "twice.example",
        "broken.example",
        "watched.example",
        "nothing.example",
        "com",
    ] {
        for dkim in [
            from,
            "example.com",
            "mail.example.com",
            "example.co.uk",
            "other.co.uk",
            "example.net",
        ] {
            let (by_walk, by_suffix) = both(&zone, from, dkim);
            assert_eq!(by_walk, by_suffix, "{from} {dkim}");
        }
    }
    let (said, _) = both(&zone, "news.example.com", "example.net");
    assert_eq!(
        said,
        (
            DmarcResult::Fail,
            Disposition::Quarantine,
            Some("example.com".to_owned())
        )
    );
}

#[test]
fn names_between_are_not_asked() {
    // RFC 7489 §6.6.3: "the Mail Receiver MUST query the DNS for a DMARC TXT record at the DNS domain matching the Organizational Domain in
    // place of the RFC5322.From domain in the message (if different)." RFC 9989 §4.10 asks each name above.
    let zone = Zone::new().txt("_dmarc.b.example.com", "v=DMARC1; p=reject");
    let (by_walk, by_suffix) = both(&zone, "a.b.example.com", "example.net");
    assert_eq!(
        by_walk,
        (
            DmarcResult::Fail,
            Disposition::Reject,
            Some("b.example.com".to_owned())
        )
    );
    assert_eq!(by_suffix, (DmarcResult::None, Disposition::None, None));
    let (_, asked) = judge(
        &self::by_suffix(),
        &zone,
        "a.b.example.com",
        "x.example.com",
        0,
    );
    assert_eq!(
        asked,
        ["_dmarc.a.b.example.com TXT", "_dmarc.example.com TXT"]
    );
    let (_, asked) = judge(&self::by_suffix(), &zone, "example.com", "x.example.com", 0);
    assert_eq!(asked, ["_dmarc.example.com TXT"]);
}

#[test]
fn several_records_end_the_search() {
    // RFC 7489 §6.6.3: "If the remaining set contains multiple records or no records, policy discovery terminates and DMARC processing is
    // not applied to this message." RFC 9989 §4.10: "If multiple DMARC Policy Records are returned for a single target, they are all
    // discarded."
    let zone = Zone::new()
        .txt("_dmarc.a.example.com", "v=DMARC1; p=none")
        .txt("_dmarc.a.example.com", "v=DMARC1; p=quarantine")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject");
    let (by_walk, by_suffix) = both(&zone, "a.example.com", "example.net");
    assert_eq!(by_walk.2, Some("example.com".to_owned()));
    assert_eq!(by_suffix, (DmarcResult::None, Disposition::None, None));
}

#[test]
fn tags_of_the_other_rfc_are_not_known() {
    // RFC 7489 §6.3: "Unknown tags MUST be ignored." Neither np, psd nor t is there, and RFC 9989 has no pct.
    for (record, from, by_walk, by_suffix) in [
        (
            "p=reject; t=y",
            "example.com",
            Disposition::Quarantine,
            Disposition::Reject,
        ),
        (
            "p=reject; pct=0",
            "example.com",
            Disposition::Reject,
            Disposition::Quarantine,
        ),
        (
            "p=none; np=reject",
            "nosuch.example.com",
            Disposition::Reject,
            Disposition::None,
        ),
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", &format!("v=DMARC1; {record}"));
        let (one, other) = both(&zone, from, "example.net");
        assert_eq!((one.1, other.1), (by_walk, by_suffix), "{record}");
    }
    let zone = Zone::new()
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .txt("_dmarc.a.example.com", "v=DMARC1; p=reject; psd=n");
    let (by_walk, by_suffix) = both(&zone, "a.example.com", "example.com");
    assert_eq!(
        (by_walk.0, by_suffix.0),
        (DmarcResult::Fail, DmarcResult::Pass)
    );
}

#[test]
fn pct_is_a_share_of_the_draws() {
    // RFC 7489 §6.6.4: "If the email is not subject to the "reject" policy (due to the "pct" tag), the Mail Receiver SHOULD treat the email as
    // though the "quarantine" policy applies."
    for (record, applied, otherwise, pct) in [
        (
            "p=reject; pct=25",
            Disposition::Reject,
            Disposition::Quarantine,
            25,
        ),
        (
            "p=quarantine; pct=99",
            Disposition::Quarantine,
            Disposition::None,
            99,
        ),
        (
            "p=reject; pct=0",
            Disposition::Reject,
            Disposition::Quarantine,
            0,
        ),
        (
            "p=reject; pct=100",
            Disposition::Reject,
            Disposition::Quarantine,
            100,
        ),
        // What is no number up to 100 is as if it were not there.
        (
            "p=reject; pct=101",
            Disposition::Reject,
            Disposition::Quarantine,
            100,
        ),
        (
            "p=reject; pct=+5",
            Disposition::Reject,
            Disposition::Quarantine,
            100,
        ),
        (
            "p=reject; pct=5; pct=5",
            Disposition::Reject,
            Disposition::Quarantine,
            100,
        ),
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", &format!("v=DMARC1; {record}"));
        for draw in 0..100 {
            let (verdict, _) = judge(&by_suffix(), &zone, "example.com", "example.net", draw);
            let wanted = if draw < pct { applied } else { otherwise };
            assert_eq!(verdict.disposition, wanted, "{record} {draw}");
            // RFC 7489 §6.6.4: "regardless of whether or not the "pct" tag is present, the Mail Receiver MUST include all relevant message
            // data in any reports produced."
            assert!(verdict.policy >= Some(Policy::Quarantine));
            let reasons = verdict.overridden(&[]).reasons;
            let told = reasons
                .first()
                .map(|reason| (reason.kind, reason.comment.as_deref()));
            let sampled_out = (
                PolicyOverride::Other,
                Some("sampled out by pct (RFC 7489 6.6.4)"),
            );
            assert_eq!(told, (draw >= pct).then_some(sampled_out));
        }
    }
}

#[test]
fn a_failed_lookup_is_no_result() {
    let zone = Zone::new()
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .txt("_dmarc.b.example.com", "v=DMARC1; p=none");
    let failing = |name: &str| {
        let question = Question::new(name.parse().unwrap(), RecordType::Txt);
        zone.clone()
            .fail(&question.name.to_string(), Failure::Timeout)
    };
    for (from, name, result) in [
        (
            "a.example.com",
            "_dmarc.a.example.com",
            DmarcResult::TempError,
        ),
        (
            "a.example.com",
            "_dmarc.example.com",
            DmarcResult::TempError,
        ),
        ("b.example.com", "_dmarc.example.com", DmarcResult::Fail),
    ] {
        let (verdict, _) = judge(&by_suffix(), &failing(name), from, "example.net", 0);
        assert_eq!(verdict.result, result, "{from} {name}");
        assert_eq!(verdict.disposition, Disposition::None);
    }
}
