//! What the domains of signatures have sent before counts once the message is there.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use dkim::{PrivateKey, Signing};
use examples::resolver::Resolver;
use examples::screen::{Claim, Imagined};
use examples::server::{Service, now};
use mail_dns::Zone;
use screening::early_talker::Conduct;
use support::Folder;
use support::server::{Client, Running};

const MORE: &str = r#"
    [screening]
    exempt = []
    greeting_delay = 0
    reputation.good_after = 0
    reputation.weights.dmarc_fail = 1000
    [screening.greylisting]
    delay = 0
"#;

/// Addresses with a good name, and one that looks like an end user's line; a signing domain with a key, and an author's domain that wants
/// forgeries refused.
fn resolver(key: &PrivateKey, spf: &str) -> Resolver {
    let record = dkim::KeyRecord::new(key.public_key().unwrap()).to_string();
    let mut zone = Zone::new()
        .txt("s1._domainkey.signer.example", &record)
        .txt("_dmarc.forged.example", "v=DMARC1; p=reject")
        .txt("sender.example", spf)
        .ptr("7.113.0.203.in-addr.arpa", "p12345.pool.example")
        .a("p12345.pool.example", [203, 0, 113, 7]);
    for (address, name) in [
        ([192, 0, 2, 80], "mail80.honest.example"),
        ([198, 51, 100, 81], "mail81.honest.example"),
    ] {
        let reverse = screening::reverse_name(address.into()).to_string();
        zone = zone.ptr(&reverse, name).a(name, address);
    }
    Resolver::from_zone(zone)
}

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

/// Sends a message from an address; gives the reply to its end.
async fn send(server: &Running, source: &str, author: &str, is_signed: bool, code: &str) -> String {
    let mut client = Client::connect_from(source, server.address(Service::Smtp)).await;
    let helo = match source {
        "203.0.113.7" => "p12345.pool.example".to_owned(),
        _ => format!("mail{}.honest.example", source.rsplit('.').next().unwrap()),
    };
    client.ask(&format!("EHLO {helo}"), "250").await;
    client.ask("MAIL FROM:<joe@sender.example>", "250").await;
    client.ask("RCPT TO:<anna@example.org>", "250").await;
    client.ask("DATA", "354").await;
    let message = format!("From: joe@{author}\r\nSubject: signed\r\n\r\nHello\r\n");
    let mut signatures = Vec::new();
    if is_signed {
        let (domain, selector) = ("signer.example".parse().unwrap(), "s1".parse().unwrap());
        let signing = Signing::new(domain, selector, Arc::new(key()));
        let mut signer = dkim::Signer::new([signing], now());
        signer.write(message.as_bytes());
        signatures = signer.finish().unwrap();
    }
    let whole = format!("{}{message}", signatures.concat());
    client.send(whole.as_bytes()).await;
    client.ask(".", code).await
}

/// What the command `screen` says of it.
async fn explained(server: &Running, source: &str, signed_by: &[&str]) -> String {
    let message = Imagined {
        claim: Claim {
            client: source.parse().unwrap(),
            helo: None,
            sender: "<joe@other.example>".parse().unwrap(),
        },
        conduct: Conduct::default(),
        recipient: "anna@example.org".to_owned(),
        signed_by: signed_by
            .iter()
            .map(|domain| (*domain).to_owned())
            .collect(),
    };
    let (screen, resolver) = (&server.context.screen, &server.context.resolver);
    let store = Some(&*server.context.store.0);
    let explained = screen.explain(Some(&server.context.config), resolver, store, message);
    explained.await.unwrap().to_string()
}

/// The field that tells what was found of the newest message.
async fn field(server: &Running) -> String {
    let newest = server.context.store(|store| {
        let anna = store.account("anna")?.unwrap();
        let inbox = store.mailbox(anna.id, "INBOX")?.unwrap().id;
        let last = store.entries(inbox)?.pop().unwrap();
        let mut message = store.message(inbox, last.uid)?;
        message.read(1 << 16)
    });
    let newest = String::from_utf8(newest.await.unwrap()).unwrap();
    let unfolded = newest.replace("\r\n ", " ");
    let mut lines = unfolded.lines();
    lines
        .find(|line| line.starts_with("Yubin-Screening: "))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn whoever_signs_answers_for_it_from_every_address() {
    let folder = Folder::new("signers-bad");
    let server = Running::start_behind_proxy(&folder, MORE, resolver(&key(), "none")).await;
    // Its signature passes, and the author's domain has not signed.
    send(&server, "192.0.2.80", "forged.example", true, "550").await;
    for (signed_by, expected) in [
        (
            &["signer.example"][..],
            "\nreply to the message: 450 4.7.1 Not known here",
        ),
        (&["other.example"], "\nreply to the message: 250 2.1.5"),
        (&[], "\nreply: 250 2.1.5"),
    ] {
        let said = explained(&server, "198.51.100.81", signed_by).await;
        assert!(said.contains(expected), "{said}");
        let names_it = said.contains("reputation of DKIM domain \"signer.example\"");
        assert_eq!(names_it, signed_by == ["signer.example"], "{said}");
    }
    // From an address that nothing is known of: asked to come again, and taken then.
    let reply = send(&server, "198.51.100.81", "sender.example", true, "450").await;
    assert!(reply.starts_with("450 4.7.1 Not known here"), "{reply}");
    send(&server, "198.51.100.81", "sender.example", true, "250").await;
    assert_eq!(
        field(&server).await,
        "Yubin-Screening: tarpit 20 s, score 9: +9 reputation of DKIM domain \"signer.example\""
    );
    // The address alone has nothing against it.
    send(&server, "198.51.100.81", "sender.example", false, "250").await;
    assert_eq!(field(&server).await, "Yubin-Screening: accept, score 0");
    server.end().await;
}

const SPF: &str = "v=spf1 ip4:192.0.2.80 ip4:198.51.100.81 -all";

#[tokio::test]
async fn a_domain_of_spf_counts_where_it_is_known_with_the_message_only() {
    let folder = Folder::new("signers-spf");
    let more = MORE.replace("exempt = []", "exempt = []\n    spf = false");
    let server = Running::start_behind_proxy(&folder, &more, resolver(&key(), SPF)).await;
    send(&server, "192.0.2.80", "forged.example", false, "550").await;
    for code in ["450", "250"] {
        send(&server, "198.51.100.81", "sender.example", false, code).await;
    }
    assert_eq!(
        field(&server).await,
        "Yubin-Screening: tarpit 20 s, score 9: +9 reputation of SPF domain \"sender.example\""
    );
    server.end().await;
}

#[tokio::test]
async fn a_signature_may_be_one_finding_of_a_refusal() {
    let folder = Folder::new("signers-refused");
    let more = format!(
        "{MORE}[screening.thresholds]\ngreylist = 'never'\ntarpit = 'never'\nrefuse = 12\n"
    );
    let server = Running::start_behind_proxy(&folder, &more, resolver(&key(), "none")).await;
    send(&server, "192.0.2.80", "forged.example", true, "550").await;
    let reply = send(&server, "203.0.113.7", "sender.example", true, "550").await;
    let expected = "550 5.7.1 Refused [203.0.113.7]: reputation of DKIM domain \"signer.example\" (and 1 more)";
    assert!(reply.starts_with(expected), "{reply}");
    send(&server, "203.0.113.7", "sender.example", false, "250").await;
    send(&server, "198.51.100.81", "sender.example", true, "250").await;
    server.end().await;
}

#[tokio::test]
async fn a_good_signature_lifts_little_and_nothing_off_a_bad_address() {
    let folder = Folder::new("signers-good");
    let more = MORE.replace("\n    delay = 0", "");
    let more = format!(
        "{more}reply_to = 'message'\n[screening.thresholds]\nrefuse = 'never'\ntarpit = 'never'\n"
    );
    let server = Running::start_behind_proxy(&folder, &more, resolver(&key(), "none")).await;
    for _ in 0..40 {
        send(&server, "192.0.2.80", "sender.example", true, "250").await;
    }
    let said = explained(&server, "203.0.113.7", &[]).await;
    assert!(
        said.contains("\nreply to the message: 450 4.7.1 "),
        "{said}"
    );
    let said = explained(&server, "203.0.113.7", &["signer.example"]).await;
    assert!(said.contains("\nreply to the message: 250 2.1.5"), "{said}");
    // Without it, it looks like a dial-up line and has to come again.
    send(&server, "203.0.113.7", "elsewhere.example", false, "450").await;
    send(&server, "203.0.113.7", "elsewhere.example", true, "250").await;
    assert_eq!(
        field(&server).await,
        "Yubin-Screening: accept, score 2: +3 rule 2: five digits in \"p12345\", -1 reputation of DKIM domain \"signer.example\""
    );
    // A server that was broken into: the signature of a good domain does not help it.
    send(&server, "198.51.100.81", "forged.example", false, "550").await;
    send(&server, "198.51.100.81", "sender.example", true, "450").await;
    server.end().await;
}
