//! What a user is told of his mail by request (DSN, RFC 3461): of success, of failure, of delay, or of nothing.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use examples::outgoing::{Content, Open};
use examples::resolver::Resolver;
use examples::server::{Context, Service};
use mail_dns::Zone;
use mail_syntax::{ForwardPath, ReversePath};
use smtp_proto::client::{Envelope, Recipient};
use support::Folder;
use support::provider::{Conduct, Provider};
use support::server::{Client, Running};

const MESSAGE: &str = "From: anna@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within fifteen seconds");
}

async fn start(name: &str) -> (Folder, Provider, Running) {
    let (folder, provider) = (Folder::new(name), Provider::start().await);
    let zone = Zone::new()
        .mx("dest.example", 10, "mx.dest.example")
        .a("mx.dest.example", [127, 0, 0, 1]);
    let more = format!(
        "[outbound]\nport = {}\nretry = [100000]\n[aliases]\n'one@example.org' = ['dave@dest.example']\n\
         'many@example.org' = ['anna@example.org', 'dave@dest.example']\n",
        provider.address.port()
    );
    let server = Running::start(&folder, &more, Resolver::from_zone(zone)).await;
    (folder, provider, server)
}

/// Anna sends to one recipient, and wants to be told this; the envelope is named `a b`.
async fn submit(server: &Running, to: &str, notify: &str, ret: &str) {
    let mut recipient = Recipient::from(ForwardPath::Mailbox(to.parse().unwrap()));
    if !notify.is_empty() {
        recipient.parameters.notify = Some(notify.parse().unwrap());
    }
    recipient.parameters.orcpt = Some("rfc822;who+2Bx@else.example".parse().unwrap());
    let sender: ReversePath = "<anna@example.org>".parse().unwrap();
    let mut envelope = Envelope::new(sender, [recipient]);
    envelope.parameters.ret = Some(ret.parse().unwrap());
    envelope.parameters.envid = Some("a+20b".parse().unwrap());
    let connection = server.connection(Service::Submission, true);
    let mut open = Open::connect(connection).await.unwrap();
    let sent = open.send(envelope, Content::Octets(MESSAGE.into())).await;
    assert!(sent.unwrap()[0].is_positive());
    open.quit().await;
}

/// What lies in anna's mailbox, the messages that she has got by an alias left out; taken from there.
async fn told(context: &Context) -> Vec<String> {
    let taken = context.store(|store| {
        let anna = store.account("anna")?.unwrap();
        let inbox = store.mailbox(anna.id, "INBOX")?.unwrap().id;
        let mut all = Vec::new();
        for entry in store.entries(inbox)? {
            all.push(store.message(inbox, entry.uid)?.read_all()?);
            store.expunge(inbox, &[entry.uid])?;
        }
        Ok(all)
    });
    let all = taken.await.unwrap().into_iter();
    let all = all.map(|octets| String::from_utf8(octets).unwrap());
    all.filter(|text| text.starts_with("Return-Path: <>\r\n"))
        .collect()
}

async fn is_settled(context: &Context) -> bool {
    let due = context.store(|store| store.next_due());
    due.await.unwrap().is_none()
}

fn assert_has(text: &str, all: &[&str]) {
    for wanted in all {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

const NAMED: &str =
    "\r\nOriginal-Envelope-Id: a b\r\nReporting-MTA: dns; mx.example.org\r\nArrival-Date: ";

#[tokio::test]
async fn a_host_without_dsn_gets_no_wishes_and_the_user_is_told_that_it_was_passed_on() {
    let (_folder, provider, server) = start("notify-relayed").await;
    for to in ["dave@dest.example", "one@example.org"] {
        submit(&server, to, "SUCCESS", "HDRS").await;
        let mut all = Vec::new();
        until("she is told", async || {
            all.extend(told(&server.context).await);
            !all.is_empty()
        })
        .await;
        let [one] = all.try_into().unwrap();
        let wanted = [
            NAMED,
            "\r\nOriginal-Recipient: rfc822; who+x@else.example\r\nFinal-Recipient: rfc822; dave@dest.example\r\n\
             Action: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; mx.dest.example\r\nDiagnostic-Code: smtp; 250 ",
            "\r\nSubject: dinner\r\n",
        ];
        assert_has(&one, &wanted);
        assert!(!one.contains("Is it ready?"), "{one}");
    }
    for command in provider.commands() {
        assert!(
            !command.contains("NOTIFY") && !command.contains("ENVID"),
            "{command}"
        );
    }
    // Who has not asked is told nothing of success.
    for notify in ["", "FAILURE,DELAY", "NEVER"] {
        submit(&server, "dave@dest.example", notify, "HDRS").await;
    }
    until("all are there", async || provider.taken().len() == 5).await;
    until("all are settled", async || {
        is_settled(&server.context).await
    })
    .await;
    server.end().await;
}

#[tokio::test]
async fn a_host_with_dsn_gets_the_wishes_as_they_came() {
    let (_folder, provider, server) = start("notify-passed").await;
    provider.behave(Conduct::Offers("DSN"));
    submit(&server, "dave@dest.example", "SUCCESS,DELAY", "FULL").await;
    submit(&server, "many@example.org", "SUCCESS,DELAY", "FULL").await;
    until("both are there", async || provider.taken().len() == 2).await;
    let to = "RCPT TO:<dave@dest.example>";
    let orcpt = "ORCPT=rfc822;who+2Bx@else.example";
    let from = "MAIL FROM:<anna@example.org> RET=FULL ENVID=a+20b";
    let wanted = [
        from.to_owned(),
        format!("{to} NOTIFY=SUCCESS,DELAY {orcpt}"),
        // Of an alias of several the success is told here.
        from.to_owned(),
        format!("{to} NOTIFY=DELAY {orcpt}"),
    ];
    assert_eq!(provider.commands(), wanted);
    let [one] = told(&server.context).await.try_into().unwrap();
    let wanted =
        "\r\nFinal-Recipient: rfc822; many@example.org\r\nAction: expanded\r\nStatus: 2.0.0\r\n";
    assert_has(&one, &[NAMED, wanted]);
    server.end().await;
}

#[tokio::test]
async fn of_mail_that_stays_here_success_is_told_at_once() {
    let (_folder, _provider, server) = start("notify-here").await;
    for (notify, count) in [("SUCCESS", 1), ("FAILURE", 0), ("", 0), ("NEVER", 0)] {
        submit(&server, "anna@example.org", notify, "HDRS").await;
        let all = told(&server.context).await;
        assert_eq!(all.len(), count, "{notify}");
        for one in all {
            let wanted = "\r\nFinal-Recipient: rfc822; anna@example.org\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\n";
            assert_has(&one, &[NAMED, wanted, "\r\nSubject: dinner\r\n"]);
        }
    }
    server.end().await;
}

#[tokio::test]
async fn failure_is_told_to_who_has_not_said_otherwise_and_whole_if_he_wants_it() {
    let (_folder, provider, server) = start("notify-failure").await;
    provider.say("550 5.7.1 no");
    for (notify, ret, count) in [
        ("", "HDRS", 1),
        ("", "FULL", 1),
        ("FAILURE", "HDRS", 1),
        ("SUCCESS,DELAY", "HDRS", 0),
        ("NEVER", "FULL", 0),
    ] {
        submit(&server, "dave@dest.example", notify, ret).await;
        until("it is settled", async || is_settled(&server.context).await).await;
        let all = told(&server.context).await;
        assert_eq!(all.len(), count, "{notify}");
        for one in all {
            let wanted = "\r\nAction: failed\r\nStatus: 5.7.1\r\nRemote-MTA: dns; mx.dest.example\r\nDiagnostic-Code: smtp; 550 5.7.1 no\r\n";
            assert_has(&one, &[NAMED, wanted, "\r\nSubject: dinner\r\n"]);
            assert_eq!(one.contains("Is it ready?"), ret == "FULL", "{one}");
            let part = match ret {
                "FULL" => "Content-Type: message/rfc822\r\n",
                _ => "Content-Type: text/rfc822-headers",
            };
            assert_has(&one, &[part]);
        }
    }
    server.end().await;
}

#[tokio::test]
async fn delay_is_told_to_who_has_not_said_otherwise() {
    let (_folder, provider, server) = start("notify-delay").await;
    let context = Arc::clone(&server.context);
    provider.say("450 4.2.0 not today");
    for notify in ["", "DELAY", "SUCCESS,FAILURE", "NEVER"] {
        submit(&server, "dave@dest.example", notify, "HDRS").await;
    }
    until("each was asked", async || provider.asked() == 4).await;
    until("all wait", async || !is_settled(&context).await).await;
    context.clock.advance(4 * 3600 + 1);
    let mut all = Vec::new();
    until("two are told", async || {
        context.store.0.queue_filled().notify_one();
        all.extend(told(&context).await);
        all.len() == 2
    })
    .await;
    for one in all {
        assert_has(&one, &[NAMED, "\r\nAction: delayed\r\nStatus: 4.2.0\r\n"]);
    }
    // The others wait for their next turn, which is tomorrow.
    assert_eq!(provider.asked(), 6);
    server.end().await;
}

#[tokio::test]
async fn strangers_are_told_nothing_by_request() {
    let (_folder, _provider, server) = start("notify-strangers").await;
    let mut client = Client::connect(server.address(Service::Smtp)).await;
    let offered = client.ask("EHLO mx.strange.example", "250").await;
    assert!(!offered.contains("DSN"), "{offered}");
    client.ask("MAIL FROM:<x@strange.example>", "250").await;
    client
        .ask("RCPT TO:<anna@example.org> NOTIFY=SUCCESS", "555")
        .await;
    drop(client);
    server.end().await;
}
