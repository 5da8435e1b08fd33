//! Mail from outside, as the server takes and judges it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use examples::resolver::Resolver;
use examples::server::Service;
use mail_dns::{Failure, Zone};
use support::Folder;
use support::server::{Client, Running};

/// Hands in a message, and gives the reply to its end.
async fn hand_in(server: &Running, mail_from: &str, message: &str) -> String {
    let mut client = Client::connect(server.address(Service::Smtp)).await;
    client.ask("EHLO mail.friends.example", "250").await;
    client.ask(&format!("MAIL FROM:{mail_from}"), "250").await;
    client.ask("RCPT TO:<anna@example.org>", "250").await;
    client.ask("DATA", "354").await;
    client.send(message.as_bytes()).await;
    client.send(b".\r\n").await;
    client.reply().await
}

/// RFC 8616: U-labels in MAIL FROM and From are the domain whose A-labels stand in the DNS.
#[tokio::test]
async fn a_domain_in_u_labels_is_judged() {
    let zone = Zone::new()
        .txt("xn--bcher-kva.example", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=reject")
        .txt("other.example", "v=spf1 ip4:127.0.0.0/8 -all");
    let folder = Folder::new("inbound-u-labels");
    let server = Running::start(&folder, "", Resolver::from_zone(zone)).await;
    let message = "From: jö@bücher.example\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
    for (mail_from, expected) in [
        ("<jö@bücher.example> SMTPUTF8", "250 "),
        ("<joe@xn--bcher-kva.example> SMTPUTF8", "250 "),
        ("<jö@other.example> SMTPUTF8", "550 "),
    ] {
        let reply = hand_in(&server, mail_from, message).await;
        assert!(reply.starts_with(expected), "{mail_from}: {reply}");
    }
    server.end().await;
}

/// RFC 9989 §5.3.6: a check that cannot be done leaves the message to the receiver. By default no selector without an answer opens the door.
#[tokio::test]
async fn a_key_that_has_no_answer_does_not_get_a_forgery_in() {
    let zone = Zone::new()
        .txt("_dmarc.reject.example", "v=DMARC1; p=reject")
        .txt("_dmarc.quarantine.example", "v=DMARC1; p=quarantine")
        .txt("_dmarc.testing.example", "v=DMARC1; p=quarantine; t=y")
        .txt("_dmarc.none.example", "v=DMARC1; p=none")
        .fail("dead._domainkey.reject.example", Failure::ServFail)
        .fail("dead._domainkey.quarantine.example", Failure::ServFail)
        .fail("dead._domainkey.testing.example", Failure::ServFail)
        .fail("dead._domainkey.none.example", Failure::ServFail)
        .fail("_dmarc.unknown.example", Failure::ServFail);
    for (more, expected) in [
        ("", ["451 4.7.0", "451 4.7.0", "250 ", "250 ", "250 "]),
        ("[inbound]\ntemperror = \"accept\"\n", ["250 "; 5]),
        ("[inbound]\ndmarc = \"observe\"\n", ["250 "; 5]),
    ] {
        let folder = Folder::new("inbound-temperror");
        let server = Running::start(&folder, more, Resolver::from_zone(zone.clone())).await;
        let domains = ["reject", "quarantine", "testing", "none", "unknown"];
        for (domain, expected) in domains.iter().zip(expected) {
            let message = format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d={domain}.example; s=dead; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n\
                 From: joe@{domain}.example\r\nSubject: dinner\r\n\r\nIs it ready?\r\n"
            );
            let reply = hand_in(&server, "<joe@evil.example>", &message).await;
            assert!(reply.starts_with(expected), "{domain}, {more}: {reply}");
        }
        server.end().await;
    }
}
