//! Who may be sent reports: RFC 9990 §4.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dmarc::Record;
use dmarc::report_destination::{Destination, Refusal, ReportDestination};
use mail_dns::{Failure, Question, Zone, resolve_blocking};

fn verify(zone: &Zone, domain: &str, uri: &str) -> (Destination, Vec<Question>) {
    let record: Record = format!("v=DMARC1; p=none; rua={uri}").parse().unwrap();
    let mut asked = Vec::new();
    let verification = ReportDestination::new(&domain.parse().unwrap(), &record.rua[0]);
    let destination = resolve_blocking(verification, |question| {
        asked.push(question.clone());
        zone.answer(question)
    });
    (destination, asked)
}

fn uris(zone: &Zone, domain: &str, uri: &str) -> Result<Vec<String>, Refusal> {
    match verify(zone, domain, uri).0 {
        Destination::Confirmed(uris) => Ok(uris.iter().map(ToString::to_string).collect()),
        Destination::Refused(refusal) => Err(refusal),
        Destination::Unknown(question, failure) => panic!("{question}: {failure}"),
    }
}

const BLUE: &str = "blue.example.com._report._dmarc.red.example.net";

#[test]
fn section_4_the_destination_confirms() {
    let uri = "mailto:reports@red.example.net";
    let red = |record: &str| uris(&Zone::new().txt(BLUE, record), "blue.example.com", uri);
    assert_eq!(red("v=DMARC1"), Ok(vec![uri.to_owned()]));
    assert_eq!(
        red("v=DMARC1; rua=mailto:other@red.example.net"),
        Ok(vec!["mailto:other@red.example.net".to_owned()])
    );
    assert_eq!(
        red("v=DMARC1; rua=mailto:other@third.example"),
        Err(Refusal::OtherHost)
    );
    assert_eq!(red("v=dmarc1"), Err(Refusal::NotConfirmed));
    let any = Zone::new().txt("*._report._dmarc.red.example.net", "v=DMARC1");
    assert!(uris(&any, "blue.example.com", uri).is_ok());
    assert_eq!(
        uris(&Zone::new(), "blue.example.com", uri),
        Err(Refusal::NotConfirmed)
    );
    let failing = Zone::new().fail(BLUE, Failure::Timeout);
    assert!(matches!(
        verify(&failing, "blue.example.com", uri).0,
        Destination::Unknown(..)
    ));
}

#[test]
fn section_4_within_the_organization_nobody_is_asked() {
    let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=none");
    for host in ["example.com", "EXAMPLE.com", "reports.example.com"] {
        assert!(
            uris(&zone, "example.com", &format!("mailto:dmarc@{host}")).is_ok(),
            "{host}"
        );
    }
    assert_eq!(
        verify(&zone, "example.com", "mailto:dmarc@example.com").1,
        []
    );
    assert_eq!(
        uris(&zone, "example.com", "mailto:dmarc@example2.com"),
        Err(Refusal::NotConfirmed)
    );
    let failing = zone.clone().fail("_dmarc.com", Failure::Timeout);
    assert!(matches!(
        verify(&failing, "example.com", "mailto:dmarc@x.example.com").0,
        Destination::Unknown(..)
    ));
}

#[test]
fn section_4_no_name_to_ask() {
    assert_eq!(
        uris(&Zone::new(), "example.com", "mailto:nobody"),
        Err(Refusal::NoHost)
    );
    let long = format!("{0}.{0}.{0}.example", "a".repeat(60));
    assert_eq!(
        uris(&Zone::new(), &long, &format!("mailto:a@{long}.net")),
        Err(Refusal::NameTooLong)
    );
    let deep = "a.b.c.d.e.f.g.h.i.j.example";
    assert!(
        verify(&Zone::new(), deep, "mailto:a@z.y.x.w.v.u.t.s.r.q.example")
            .1
            .len()
            <= 17
    );
}
