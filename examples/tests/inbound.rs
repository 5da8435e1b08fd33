//! Mail from outside, as the server takes and judges it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use examples::resolver::Resolver;
use examples::server::Service;
use mail_dns::Zone;
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
