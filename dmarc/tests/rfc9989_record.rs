//! RFC 9989: how a record is read. Rules by section.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod message;

use dmarc::{Disposition, DmarcResult, Policy, Record};
use mail_dns::Zone;
use message::evaluate;

fn record(text: &str) -> Record {
    text.parse().unwrap()
}

#[test]
fn section_4_5_strings_are_joined() {
    // Cut within a word: a space between the strings, or the strings one by one, would make another record.
    let text = mail_dns::Txt::new(["v=DMA", "RC1; p=re", "ject"]);
    let mut zone = Zone::new();
    zone.insert(
        "_dmarc.example.com".parse().unwrap(),
        mail_dns::Record::Txt(text),
    );
    let verdict = evaluate(&zone, "example.com", &[], &[]).0;
    assert_eq!(verdict.disposition, Disposition::Reject);
}

#[test]
fn section_4_7_unknown_tags_are_ignored() {
    let plain = record("v=DMARC1; p=reject; rua=mailto:a@example.com");
    for tags in [
        "x=1",
        "pct=none",
        "ri=x",
        "rf=iodef",
        "pp=none",
        "p_=none",
        "policy=none; spf=none",
    ] {
        let text = format!("v=DMARC1; {tags}; p=reject; {tags}; rua=mailto:a@example.com");
        assert_eq!(record(&text), plain, "{tags}");
    }
}

#[test]
fn section_4_7_fo_needs_ruf() {
    let with = record("v=DMARC1; p=none; fo=1:d:s; ruf=mailto:a@example.com");
    assert!(with.fo.dkim && with.fo.spf);
    for text in [
        "v=DMARC1; p=none; fo=1:d:s",
        "v=DMARC1; p=none; fo=1:d:s; ruf=nonsense",
    ] {
        assert_eq!(record(text).fo, Default::default(), "{text}");
    }
}

#[test]
fn section_4_7_np_falls_back_to_sp_and_sp_to_p() {
    for (tags, existing, absent) in [
        ("p=reject", "reject", "reject"),
        ("p=reject; sp=none", "none", "none"),
        ("p=reject; np=none", "reject", "none"),
        ("p=none; sp=quarantine; np=reject", "quarantine", "reject"),
    ] {
        let zone = Zone::new()
            .txt("_dmarc.example.com", &format!("v=DMARC1; {tags}"))
            .exists("here.example.com");
        let policy = |from| {
            evaluate(&zone, from, &[], &[])
                .0
                .policy
                .unwrap()
                .to_string()
        };
        assert_eq!(policy("here.example.com"), existing, "{tags}");
        assert_eq!(policy("absent.example.com"), absent, "{tags}");
        assert_eq!(
            Some(policy("example.com")),
            record(&format!("v=DMARC1; {tags}"))
                .p
                .map(|p| p.to_string())
        );
    }
}

#[test]
fn section_4_7_mailto_is_understood() {
    let record = record(
        "v=DMARC1; p=none; rua=https://example.com/,mailto:a@example.com; ruf=MAILTO:b@example.net?subject=x",
    );
    let mailto = |uris: &[dmarc::record::ReportingUri]| -> Vec<String> {
        uris.iter()
            .filter_map(|uri| uri.mailto())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(mailto(&record.rua), ["a@example.com"]);
    assert_eq!(mailto(&record.ruf), ["b@example.net"]);
}

#[test]
fn section_4_7_no_uri_no_report() {
    // What is no URI, and what stands under the other tag, names nobody who could get a report.
    let none = record("v=DMARC1; p=none; rua=a@example.com; ruf=");
    assert!(none.rua.is_empty() && none.ruf.is_empty());
    let rua = record("v=DMARC1; p=none; rua=mailto:a@example.com");
    assert!(rua.rua.len() == 1 && rua.ruf.is_empty());
    let ruf = record("v=DMARC1; p=none; ruf=mailto:a@example.com");
    assert!(ruf.rua.is_empty() && ruf.ruf.len() == 1);
}

#[test]
fn section_4_7_the_version_comes_first() {
    for text in [
        "p=reject; v=DMARC1",
        "p=reject",
        "v=DMARC2; p=reject",
        "v=dmarc1; p=reject",
        "v=DMARC1x; p=reject",
        "; v=DMARC1; p=reject",
        "v=DMARC1",
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", text);
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!(
            (verdict.result, verdict.policy),
            (DmarcResult::None, None),
            "{text}"
        );
        // A record is ignored as if it were not there: it does not make two of one.
        let zone = zone.txt("_dmarc.example.com", "v=DMARC1; p=reject");
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!(verdict.policy.is_some(), text != "v=DMARC1", "{text}");
    }
}

#[test]
fn section_4_8_comma_and_exclamation_point_are_encoded() {
    let uris = |text: &str| -> Vec<String> {
        record(&format!("v=DMARC1; p=none; rua={text}"))
            .rua
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        uris("mailto:a%2Cb%21c@example.com!10m"),
        ["mailto:a%2Cb%21c@example.com"]
    );
    // Bare, a comma ends the URI, and an exclamation point begins a size or spoils it.
    assert_eq!(uris("mailto:a,b@example.com"), ["mailto:a"]);
    assert_eq!(uris("mailto:a!b@example.com"), [""; 0]);
    assert_eq!(uris("mailto:a@example.com!10x"), [""; 0]);
}

#[test]
fn section_4_10_1_without_a_policy_rua_decides() {
    for (tags, result, policy) in [
        (
            "rua=mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        (
            "p=rejct; rua=mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        (
            "p=reject; sp=x; rua=mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        (
            "p=reject; np=x; rua=x,mailto:a@example.com",
            DmarcResult::Fail,
            Some(Policy::None),
        ),
        ("p=reject; rua=x", DmarcResult::Fail, Some(Policy::Reject)),
        ("p=reject; sp=x", DmarcResult::None, None),
        ("rua=x", DmarcResult::None, None),
        ("ruf=mailto:a@example.com", DmarcResult::None, None),
    ] {
        let zone = Zone::new().txt("_dmarc.example.com", &format!("v=DMARC1; {tags}"));
        let verdict = evaluate(&zone, "example.com", &[], &[]).0;
        assert_eq!((verdict.result, verdict.policy), (result, policy), "{tags}");
    }
}
