//! Whom a user may send as.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use examples::outgoing::{Content, SendError, send};
use examples::resolver::Resolver;
use examples::server::{Service, now};
use mail_dns::{Failure, Zone};
use mail_syntax::{ForwardPath, ReversePath};
use support::Folder;
use support::server::Running;

const MORE: &str = r#"
    [[account]]
    name = "bert"
    addresses = ["bert@example.org"]
    password = "another one"
    [aliases]
    "team@example.org" = ["all@example.org"]
    "all@example.org" = ["anna@example.org", "bert@example.org"]
    "boss@example.org" = ["bert@example.org"]
"#;

/// Anna submits a message; what the server says.
async fn submit(server: &Running, mail_from: &str, header: &str) -> String {
    submit_to(server, Service::Submission, mail_from, header).await
}

async fn submit_to(server: &Running, to: Service, mail_from: &str, header: &str) -> String {
    let connection = server.connection(to, true);
    let sender: ReversePath = mail_from.parse().unwrap();
    let recipient = "dave@elsewhere.example".parse().unwrap();
    let message = format!("{header}\r\nSubject: dinner\r\n\r\nIs it ready?\r\n");
    let content = Content::Octets(message.into());
    let recipients = vec![ForwardPath::Mailbox(recipient)];
    match send(connection, sender, recipients, false, content).await {
        Ok(replies) => replies[0].to_string(),
        Err(SendError::Refused(reply)) => reply.to_string(),
        Err(error) => panic!("{mail_from} {header}: {error}"),
    }
}

/// A name server that does not answer: what is submitted stays in the queue.
fn resolver() -> Resolver {
    Resolver::from_zone(Zone::new().fail("elsewhere.example", Failure::Timeout))
}

#[tokio::test]
async fn a_user_sends_from_addresses_that_are_his() {
    let folder = Folder::new("submission");
    let more = format!(
        "{MORE}[submission.identities]\nanna = [\"Sales@example.com\", \"@lists.example.net\"]\n"
    );
    let server = Running::start(&folder, &more, resolver()).await;
    let anna = "<anna@example.org>";
    let taken = [
        (anna, "From: Anna <ANNA@example.org>"),
        (anna, "From: anna+shop@example.org"),
        (
            "<team@example.org>",
            "From: team@example.org\r\nSender: anna@example.org",
        ),
        (anna, "From: sales@example.com, news@lists.example.net"),
        ("<x@lists.example.net>", "From: The boss <anna@example.org>"),
        // A notification has no sender, and says who notifies.
        ("<>", "From: anna@example.org"),
    ];
    for (mail_from, header) in taken {
        let reply = submit(&server, mail_from, header).await;
        assert!(
            reply.starts_with("250 2.0.0 "),
            "{mail_from} {header}: {reply}"
        );
    }
    let no_address = |field, address| {
        format!(
            "550 5.7.1 {field}: {address} is no address of yours, and none that you may send as"
        )
    };
    for (mail_from, header, expected) in [
        (
            anna,
            "From: bert@example.org",
            no_address("From", "bert@example.org"),
        ),
        (
            anna,
            "From: Anna <boss@example.org>",
            no_address("From", "boss@example.org"),
        ),
        (
            anna,
            "From: nobody@example.org",
            no_address("From", "nobody@example.org"),
        ),
        (
            anna,
            "From: anna@example.net",
            no_address("From", "anna@example.net"),
        ),
        (
            anna,
            "From: anna@example.org.example",
            no_address("From", "anna@example.org.example"),
        ),
        (
            anna,
            "From: x@lists.example.net.evil.example",
            no_address("From", "x@lists.example.net.evil.example"),
        ),
        (
            anna,
            "From: \"anna@example.org\" <zoe@example.net>",
            no_address("From", "zoe@example.net"),
        ),
        (
            anna,
            "From: anna@example.org, boss@example.org",
            no_address("From", "boss@example.org"),
        ),
        (
            anna,
            "From: friends: anna@example.org, zoe@example.net;",
            no_address("From", "zoe@example.net"),
        ),
        (
            anna,
            "From: anna@example.org\r\nSender: bert@example.org",
            no_address("Sender", "bert@example.org"),
        ),
        (
            "<bert@example.org>",
            "From: anna@example.org",
            no_address("MAIL FROM", "bert@example.org"),
        ),
        (
            "<>",
            "From: bert@example.org",
            no_address("From", "bert@example.org"),
        ),
        (
            anna,
            "From: anna@example.org\r\nFrom: bert@example.org",
            "554 5.6.0 2 From fields, where there must be one".to_owned(),
        ),
        (
            anna,
            "To: anna@example.org",
            "554 5.6.0 0 From fields, where there must be one".to_owned(),
        ),
    ] {
        assert_eq!(submit(&server, mail_from, header).await, expected);
    }
    // The port for other servers is no way around it.
    for (mail_from, header, field) in [
        (anna, "From: bert@example.org", "From"),
        ("<bert@example.org>", "From: anna@example.org", "MAIL FROM"),
    ] {
        let reply = submit_to(&server, Service::Smtp, mail_from, header).await;
        assert_eq!(reply, no_address(field, "bert@example.org"));
    }
    let queued = server.context.store(|store| {
        let later = now() + 1_000_000;
        store.lease(later, later + 1, 100)
    });
    assert_eq!(queued.await.unwrap().len(), taken.len());
    server.end().await;
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let folder = Folder::new("submission-off");
    let more = format!("{MORE}[submission]\nown_addresses_only = false\n");
    let server = Running::start(&folder, &more, resolver()).await;
    for (mail_from, header) in [
        ("<zoe@example.net>", "From: bert@example.org"),
        ("<anna@example.org>", "To: anna@example.org"),
    ] {
        let reply = submit(&server, mail_from, header).await;
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    }
    server.end().await;
}
