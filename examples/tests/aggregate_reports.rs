//! Aggregate reports of the server: counted, mailed to those who may have them, forgotten.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::sync::Arc;

use dmarc::reports::{
    ActionDisposition, AuthResults, DmarcAlignment, Identifiers, PolicyEvaluated, Report, Row,
};
use examples::aggregate_reports::{count, settle};
use examples::config::Config;
use examples::resolver::Resolver;
use examples::server::{Server, now};
use mail_dns::Zone;

fn row(source: &str) -> Row {
    Row {
        source_ip: source.parse().unwrap(),
        count: 1,
        policy_evaluated: PolicyEvaluated {
            disposition: ActionDisposition::Reject,
            dkim: DmarcAlignment::Fail,
            spf: DmarcAlignment::Fail,
            reasons: Vec::new(),
        },
        identifiers: Identifiers {
            header_from: "example.net".to_owned(),
            envelope_from: None,
            envelope_to: None,
        },
        auth_results: AuthResults::default(),
    }
}

#[tokio::test]
async fn reports_go_to_those_who_may_have_them() {
    let folder = std::env::temp_dir().join(format!("yubin-reports-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    examples::tls::make_self_signed(
        &["localhost".to_owned()],
        &folder.join("certificate.pem"),
        &folder.join("key.pem"),
    )
    .unwrap();
    let text = r#"
        hostname = "mx.example.org"
        domains = ["example.org"]
        data = "data"
        [tls]
        certificate = "certificate.pem"
        key = "key.pem"
        [[account]]
        name = "anna"
        addresses = ["anna@example.org"]
        password = "pencil & paper"
    "#;
    let file = folder.join("mail-server.toml");
    std::fs::write(&file, text).unwrap();
    // Anna's domain wants the reports of example.net; nobody has said so for example.com.
    let zone = Zone::new().txt("example.net._report._dmarc.example.org", "v=DMARC1");
    let config = Config::read(&file).unwrap();
    let server = Server::bind_with(config, Resolver::from_zone(zone))
        .await
        .unwrap();
    let context = Arc::clone(server.context());

    let domain = "example.net".parse().unwrap();
    let record = "v=DMARC1; p=reject; rua=mailto:anna@example.org,mailto:dmarc@example.net,mailto:x@example.com"
        .parse()
        .unwrap();
    let silent = "v=DMARC1; p=reject".parse().unwrap();
    for _ in 0..3 {
        count(&context, &domain, &record, &row("192.0.2.1")).await;
    }
    count(&context, &domain, &record, &row("192.0.2.2")).await;
    count(
        &context,
        &"example.com".parse().unwrap(),
        &silent,
        &row("192.0.2.1"),
    )
    .await;

    let today = now() / 86_400;
    let due = context
        .store(move |store| store.reports_before(today + 1))
        .await
        .unwrap();
    assert_eq!(due, [(today, "example.net".to_owned())]);
    settle(&context, today, "example.net").await.unwrap();

    let (mut here, leased) = context
        .store(|store| {
            let anna = store.account("anna")?.unwrap();
            let inbox = store.mailbox(anna.id, "INBOX")?.unwrap();
            let entries = store.entries(inbox.id)?;
            assert_eq!(entries.len(), 1);
            let message = store.message(inbox.id, entries[0].uid)?;
            Ok((message, store.lease(now() + 1, now() + 2, 10)?))
        })
        .await
        .unwrap();
    let elsewhere: Vec<_> = leased
        .iter()
        .map(|entry| {
            (
                entry.outgoing.sender.as_str(),
                entry.outgoing.recipient.as_str(),
            )
        })
        .collect();
    assert_eq!(elsewhere, [("", "dmarc@example.net")]);
    let mail = here.read(1 << 20).unwrap();
    let (report, defects) = Report::read(&mail, &Default::default()).unwrap();
    assert!(defects.is_empty(), "{defects:?}");
    assert_eq!(report.policy_published.domain, "example.net");
    assert_eq!(report.metadata.org_name, "mx.example.org");
    let counts: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.source_ip.to_string(), row.count))
        .collect();
    assert_eq!(
        counts,
        [("192.0.2.1".to_owned(), 3), ("192.0.2.2".to_owned(), 1)]
    );

    // It is forgotten: there is nothing to send a second time.
    let due = context
        .store(move |store| store.reports_before(today + 1))
        .await
        .unwrap();
    assert_eq!(due, []);
    let _ = std::fs::remove_dir_all(&folder);
}
