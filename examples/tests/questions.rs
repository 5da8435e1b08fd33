//! When the server asks the DNS: while a message arrives, so that nothing is left to ask at its end; and no longer than the client is there.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dkim::{KeyRecord, PrivateKey, Signer, Signing};
use examples::resolver::{Lookup, Resolver};
use examples::server::{Service, now};
use mail_dns::{Question, Zone, resolve_blocking};
use message_auth::{Inbound, MessageAuth};
use support::Folder;
use support::server::{Client, Running};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Joe's list at a host of its own signs, his provider relays: SPF, DKIM and DMARC all have questions.
fn zone(key: &PrivateKey) -> Zone {
    let record = KeyRecord::new(key.public_key().unwrap()).to_string();
    Zone::new()
        .txt(
            "bounces.friends.example",
            "v=spf1 include:relay.example -all",
        )
        .txt("relay.example", "v=spf1 include:hosts.relay.example -all")
        .txt("hosts.relay.example", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("s1._domainkey.lists.friends.example", &record)
        .txt("_dmarc.friends.example", "v=DMARC1; p=reject; adkim=r")
        .ptr("1.0.0.127.in-addr.arpa", "out.relay.example")
        .a("out.relay.example", [127, 0, 0, 1])
}

fn message(key: PrivateKey) -> String {
    let text = "From: joe@friends.example\r\nTo: anna@example.org\r\nSubject: dinner\r\n\r\n"
        .to_owned()
        + &"Is it ready?\r\n".repeat(1_000);
    let signing = Signing::new(
        "lists.friends.example".parse().unwrap(),
        "s1".parse().unwrap(),
        Arc::new(key),
    );
    let mut signer = Signer::new([signing], now());
    signer.write(text.as_bytes());
    signer.finish().unwrap().concat() + &text
}

async fn begin(server: &Running) -> Client {
    let mut client = Client::connect(server.address(Service::Smtp)).await;
    client.ask("EHLO out.relay.example", "250").await;
    client
        .ask("MAIL FROM:<list@bounces.friends.example>", "250")
        .await;
    client.ask("RCPT TO:<anna@example.org>", "250").await;
    client.ask("DATA", "354").await;
    client
}

/// Less than the resolver's own, so that it is not that which ends a question.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked next; a server that asks nothing more fails the test.
async fn next(asked: &mut UnboundedReceiver<Question>, waits_for: &BTreeSet<Question>) -> Question {
    let next = tokio::time::timeout(PATIENCE, asked.recv()).await;
    next.unwrap_or_else(|_| panic!("nothing comes, of {waits_for:?}"))
        .unwrap()
}

#[tokio::test]
async fn all_questions_are_asked_before_the_last_octet_comes() {
    let key = || PrivateKey::from_ed25519_seed(&[7; 32]).unwrap();
    let (zone, message) = (zone(&key()), message(key()));
    let inbound = Inbound {
        client_ip: [127, 0, 0, 1].into(),
        helo: "out.relay.example".to_owned(),
        mail_from: "<list@bounces.friends.example>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: now(),
    };
    let mut whole = MessageAuth::new(inbound, &Default::default());
    whole.write(message.as_bytes());
    whole.finish();
    let verdict = resolve_blocking(whole, |question| zone.answer(question));
    assert_eq!(verdict.dmarc.result, dmarc::DmarcResult::Pass);
    let mut wanted: BTreeSet<Question> = verdict.questions.into_iter().collect();
    assert!(wanted.len() >= 8, "{wanted:?}");

    let (ask, mut asked) = unbounded_channel();
    let resolver = Resolver::from_function(move |question| -> Lookup {
        let answer = zone.answer(&question);
        ask.send(question).unwrap();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer
        })
    });
    let folder = Folder::new("questions");
    let server = Running::start(&folder, "", resolver).await;
    let mut client = begin(&server).await;
    // The envelope alone has the server ask for SPF.
    let first = next(&mut asked, &wanted).await;
    assert!(wanted.remove(&first), "{first}");
    let (most, last) = message.split_at(message.len() - 3);
    client.send(most.as_bytes()).await;
    while !wanted.is_empty() {
        let question = next(&mut asked, &wanted).await;
        wanted.remove(&question);
    }
    client.send(last.as_bytes()).await;
    client.send(b".\r\n").await;
    let reply = client.reply().await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert!(asked.try_recv().is_err(), "a question after the end");
    server.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_question_open() {
    /// Says when it is dropped.
    struct Open(tokio::sync::mpsc::UnboundedSender<Question>, Question);
    impl Drop for Open {
        fn drop(&mut self) {
            let _ = self.0.send(self.1.clone());
        }
    }
    let (ask, mut asked) = unbounded_channel();
    let (close, mut closed) = unbounded_channel();
    let resolver = Resolver::from_function(move |question| -> Lookup {
        let open = Open(close.clone(), question.clone());
        ask.send(question).unwrap();
        Box::pin(async move {
            let _open = open;
            std::future::pending().await
        })
    });
    let folder = Folder::new("questions-cut");
    let server = Running::start(&folder, "", resolver).await;
    let mut client = begin(&server).await;
    client
        .send(b"From: joe@friends.example\r\n\r\nIs it r")
        .await;
    let mut open = BTreeSet::new();
    let policy = "_dmarc.friends.example";
    while !open
        .iter()
        .any(|question: &Question| question.name.to_string().starts_with(policy))
    {
        let question = next(&mut asked, &open).await;
        open.insert(question);
    }
    drop(client);
    while !open.is_empty() {
        let question = next(&mut closed, &open).await;
        open.remove(&question);
    }
    while let Ok(question) = asked.try_recv() {
        open.insert(question);
    }
    while let Ok(question) = closed.try_recv() {
        open.remove(&question);
    }
    assert!(open.is_empty(), "{open:?}");
    server.end().await;
}
