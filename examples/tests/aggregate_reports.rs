//! Aggregate reports of the server: counted, mailed to those who may have them, forgotten.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

mod support;

use dmarc::reports::sending_policy::{Refusal, Traffic};
use dmarc::reports::{
    ActionDisposition, AuthResults, DmarcAlignment, Identifiers, PolicyEvaluated, Report, Row,
};
use examples::aggregate_reports::{count, is_report, sending, settle};
use examples::resolver::Resolver;
use examples::server::{Context, now};
use mail_dns::Zone;
use mail_syntax::header::Header;
use support::Folder;
use support::server::{Running, bind};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

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
    let folder = Folder::new("reports");
    // Anna's domain wants the reports of example.net; nobody has said so for example.com.
    let zone = Zone::new().txt("example.net._report._dmarc.example.org", "v=DMARC1");
    let server = bind(&folder, "", Resolver::from_zone(zone)).await;
    let context = server.context();

    let domain = "example.net".parse().unwrap();
    let record = "v=DMARC1; p=reject; rua=mailto:anna@example.org,mailto:dmarc@example.net,mailto:x@example.com,mailto:a@example.net"
        .parse()
        .unwrap();
    let silent = "v=DMARC1; p=reject".parse().unwrap();
    for _ in 0..3 {
        count(context, &domain, &record, &row("192.0.2.1"), false).await;
    }
    count(context, &domain, &record, &row("192.0.2.2"), false).await;
    count(
        context,
        &"example.com".parse().unwrap(),
        &silent,
        &row("192.0.2.1"),
        false,
    )
    .await;

    let today = now() / 86_400;
    let due = context
        .store(move |store| store.reports_before(today + 1))
        .await
        .unwrap();
    assert_eq!(due, [(today, "example.net".to_owned())]);
    settle(context, today, "example.net").await.unwrap();

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
    // RFC 9990 §3.5: "in the order given", and "to every remaining URI".
    assert_eq!(
        elsewhere,
        [("", "dmarc@example.net"), ("", "a@example.net")]
    );
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
}

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

async fn request(context: &Context, now: u64, domain: &str, to: &str) -> Result<(), Refusal> {
    let traffic = Traffic {
        messages: 3,
        ..Traffic::default()
    };
    let requested = sending::request(context, now, domain, traffic, to, 1_000).await;
    requested.unwrap()
}

#[tokio::test]
async fn an_address_gets_so_many_a_day_over_restarts_too() {
    let folder = Folder::new("reports-cap");
    let more = "[reports]\nper_day = 2\noctets = 1000";
    for day in 0..2 {
        let at = NOW + day * DAY;
        for (domain, result) in [
            ("a.example", Ok(())),
            ("a.example", Err(Refusal::Interval { until: at + 3_600 })),
            ("b.example", Ok(())),
            ("c.example", Err(Refusal::DailyCap { until: at + DAY })),
        ] {
            // Each time a new server: what it knows is in the store.
            let server = bind(&folder, more, Resolver::from_zone(Zone::new())).await;
            let context = server.context();
            assert_eq!(
                request(context, at, domain, "Reports@example.net").await,
                result
            );
        }
        let server = bind(&folder, more, Resolver::from_zone(Zone::new())).await;
        let context = server.context();
        let other = request(context, at, "c.example", "other@example.net").await;
        assert_eq!(other, Ok(()));
        let large = Traffic {
            messages: 1,
            ..Traffic::default()
        };
        let large = sending::request(context, at, "c.example", large, "x@example.net", 1_001);
        let refused = Refusal::TooLarge { limit: 1_000 };
        assert_eq!(large.await.unwrap(), Err(refused));
    }
}

#[tokio::test]
async fn an_address_that_bounces_is_left_alone_for_the_time_that_is_documented() {
    let folder = Folder::new("reports-dead");
    let server = bind(&folder, "", Resolver::from_zone(Zone::new())).await;
    let context = server.context();
    let to = "dead@example.net";
    // It was never sent a report: something else of ours bounced.
    sending::bounced(context, NOW, to).await.unwrap();
    let mut at = NOW;
    for _ in 0..3 {
        assert_eq!(request(context, at, "example.net", to).await, Ok(()));
        sending::bounced(context, at, "DEAD@example.net")
            .await
            .unwrap();
        at += DAY;
    }
    let until = at - DAY + 7 * DAY;
    let refused = Err(Refusal::DeadMailbox { until });
    assert_eq!(request(context, at, "example.net", to).await, refused);
    assert_eq!(
        request(context, until - 1, "example.net", to).await,
        refused
    );
    assert_eq!(request(context, until, "example.net", to).await, Ok(()));
    // Once more, and the time is twice as long.
    sending::bounced(context, until, to).await.unwrap();
    let refused = Err(Refusal::DeadMailbox {
        until: until + 14 * DAY,
    });
    assert_eq!(
        request(context, until + DAY, "example.net", to).await,
        refused
    );
    // Something of ours was taken after all.
    sending::delivered(context, until + DAY, to).await.unwrap();
    assert_eq!(
        request(context, until + DAY, "example.net", to).await,
        Ok(())
    );
}

/// A server that takes no recipient; gives how often it was asked to.
async fn refusing() -> (u16, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (refused, count) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (read, mut write) = socket.split();
            let mut lines = BufReader::new(read).lines();
            let _ = write.write_all(b"220 refusing.example ESMTP\r\n").await;
            while let Ok(Some(line)) = lines.next_line().await {
                let is_recipient = line.starts_with("RCPT");
                let reply = if is_recipient {
                    "550 5.1.1 No such user"
                } else {
                    "250 OK"
                };
                let _ = write.write_all(format!("{reply}\r\n").as_bytes()).await;
                refused.send_modify(|count| *count += usize::from(is_recipient));
            }
        }
    });
    (port, count)
}

#[tokio::test]
async fn after_bounces_nothing_is_sent_any_more() {
    let folder = Folder::new("reports-bounce");
    let (port, mut refused) = refusing().await;
    let more =
        format!("[reports]\nbounces = 2\n[outbound]\nsmarthost = \"smart.example\"\nport = {port}");
    let zone = Zone::new().a("smart.example", [127, 0, 0, 1]);
    let zone = ["a.example", "b.example", "c.example"]
        .iter()
        .fold(zone, |zone, domain| {
            let name = format!("{domain}._report._dmarc.dead.example");
            zone.txt(&name, "v=DMARC1")
        });
    let server = Running::start(&folder, &more, Resolver::from_zone(zone)).await;
    let context = &server.context;
    let record = "v=DMARC1; p=none; rua=mailto:reports@dead.example"
        .parse()
        .unwrap();
    for (sent, domain) in [(1, "a.example"), (2, "b.example"), (2, "c.example")] {
        let about = domain.parse().unwrap();
        count(context, &about, &record, &row("192.0.2.1"), false).await;
        settle(context, now() / DAY, domain).await.unwrap();
        refused.wait_for(|count| *count == sent).await.unwrap();
        // The queue has written down how it ended once it holds nothing any more.
        while context
            .store(|store| store.next_due())
            .await
            .unwrap()
            .is_some()
        {
            tokio::task::yield_now().await;
        }
    }
    let dead = request(context, now(), "d.example", "reports@dead.example").await;
    assert!(matches!(dead, Err(Refusal::DeadMailbox { .. })), "{dead:?}");
    assert_eq!(*refused.borrow(), 2);
    server.end().await;
}

#[tokio::test]
async fn reports_about_reports_alone_are_not_sent() {
    let folder = Folder::new("reports-reports");
    let server = bind(&folder, "", Resolver::from_zone(Zone::new())).await;
    let context = server.context();
    let record = "v=DMARC1; p=none; rua=mailto:dmarc@example.net"
        .parse()
        .unwrap();
    let domain = "example.net".parse().unwrap();
    let queued = || context.store(|store| store.lease(now() + 1, now() + 2, 10));
    for (is_report, reports) in [(true, 0), (false, 1)] {
        for reported in [true, is_report] {
            count(context, &domain, &record, &row("192.0.2.1"), reported).await;
        }
        settle(context, now() / DAY, "example.net").await.unwrap();
        assert_eq!(queued().await.unwrap().len(), reports);
    }
    for (header, expected) in [
        (
            "Subject: Report Domain: example.net\r\n Submitter: a\r\n",
            true,
        ),
        ("subject: REPORT\r\n domain: example.net\r\n", true),
        (
            "Content-Type: multipart/Report; report-type=feedback-report\r\n",
            true,
        ),
        ("Subject: Re: Report Domain: example.net\r\n", false),
        ("Content-Type: multipart/mixed; boundary=report\r\n", false),
        ("", false),
    ] {
        let message = format!("{header}\r\n");
        let (header, _) = Header::split(message.as_bytes(), &Default::default()).unwrap();
        assert_eq!(is_report(&header), expected, "{message}");
    }
}

#[tokio::test]
async fn a_domain_with_a_new_record_for_everybody_gets_no_more_mail() {
    let folder = Folder::new("reports-records");
    let server = bind(&folder, "", Resolver::from_zone(Zone::new())).await;
    let context = server.context();
    let domain = "example.net".parse().unwrap();
    for number in 0..20 {
        let record = format!(
            "v=DMARC1; p=none; rua=mailto:dmarc@example.net; ruf=mailto:{number}@example.net"
        );
        let record = record.parse().unwrap();
        count(context, &domain, &record, &row("192.0.2.1"), false).await;
    }
    let day = now() / DAY;
    settle(context, day, "example.net").await.unwrap();
    let queued = context.store(|store| store.lease(now() + 1, now() + 2, 50));
    assert_eq!(queued.await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_server_that_was_off_reports_on_one_day_after_the_other() {
    let folder = Folder::new("reports-days");
    let server = bind(&folder, "", Resolver::from_zone(Zone::new())).await;
    let context = server.context();
    let record = "v=DMARC1; p=none; rua=mailto:dmarc@example.net";
    let row = serde_json::to_string(&row("192.0.2.1")).unwrap();
    let today = now() / DAY;
    let days = [today - 2, today - 1];
    for day in days {
        let row = row.clone();
        let counted = context.store(move |store| {
            store.count_report_row(day, "example.net", record, &row, false, 10)
        });
        counted.await.unwrap();
    }
    for day in days {
        settle(context, day, "example.net").await.unwrap();
    }
    let due = context.store(move |store| store.reports_before(today));
    let (due, queued) = (
        due.await.unwrap(),
        context.store(|store| store.lease(now() + 1, now() + 2, 10)),
    );
    assert_eq!(queued.await.unwrap().len(), 1);
    assert_eq!(due, [(today - 1, "example.net".to_owned())]);
}
