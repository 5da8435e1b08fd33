//! Addresses that get no mail: what puts them on the list, who is told what, and how the list is looked at and changed.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::time::Duration;

use dkim::{KeyRecord, PrivateKey, Signing};
use examples::outgoing::{Content, SendError, send};
use examples::resolver::Resolver;
use examples::server::{Context, Service, now};
use examples::store::{Dsn, Outgoing};
use mail_dns::Zone;
use mail_syntax::ReversePath;
use screening::outbound::feedback_report::{Envelope, FeedbackReport, FeedbackType, Original};
use support::Folder;
use support::provider::{Conduct, Provider};
use support::server::Running;
use support::tool::{expect, run};

const DAY: u64 = 86_400;
const MESSAGE: &str = "From: anna@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

fn zone() -> Zone {
    Zone::new()
        .mx("dest.example", 10, "mx.dest.example")
        .a("mx.dest.example", [127, 0, 0, 1])
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within fifteen seconds");
}

/// Anna submits a message; what she is told of each recipient that is refused, or of the message.
async fn submit(server: &Running, from: &str, to: &[&str]) -> Vec<String> {
    let connection = server.connection(Service::Submission, true);
    let recipients = to.iter().map(|to| format!("<{to}>").parse().unwrap());
    let content = Content::Octets(MESSAGE.into());
    let sender: ReversePath = from.parse().unwrap();
    match send(connection, sender, recipients.collect(), false, content).await {
        Ok(replies) => replies.iter().map(ToString::to_string).collect(),
        Err(SendError::Refused(reply)) => vec![reply.to_string()],
        Err(error) => panic!("{error}"),
    }
}

/// Puts messages of anna's into the queue, as if they had been there before.
async fn fill(context: &Context, to: &str, count: usize) {
    let outgoing = Outgoing {
        sender: "anna@example.org".to_owned(),
        recipient: to.to_owned(),
        added: Vec::new(),
        smtputf8: false,
        accepted: now(),
        dsn: Dsn::default(),
    };
    let put = context.store(move |store| {
        let mut spool = store.spool()?;
        spool.write(MESSAGE.as_bytes())?;
        store.commit(spool, &[], &vec![outgoing; count])
    });
    put.await.unwrap();
}

async fn is_empty(context: &Context) -> bool {
    let due = context.store(|store| store.next_due());
    due.await.unwrap().is_none()
}

async fn list(context: &Context) -> Vec<String> {
    let (list, now) = (context.suppression.clone(), context.clock.now());
    let rows = context.store(move |store| list.list(store, now)).await;
    rows.unwrap().iter().map(ToString::to_string).collect()
}

/// The messages in anna's INBOX, the newest last.
async fn inbox(context: &Context) -> Vec<String> {
    let read = context.store(|store| {
        let anna = store.account("anna")?.unwrap();
        let inbox = store.mailbox(anna.id, "INBOX")?.unwrap().id;
        let entries = store.entries(inbox)?.into_iter();
        let read = entries.map(|entry| store.message(inbox, entry.uid)?.read_all());
        read.collect::<Result<Vec<_>, _>>()
    });
    let read = read.await.unwrap().into_iter();
    read.map(|octets| String::from_utf8(octets).unwrap())
        .collect()
}

#[tokio::test]
async fn a_host_that_does_not_know_the_sender_suppresses_nobody() {
    let (folder, provider) = (Folder::new("suppression-sender"), Provider::start().await);
    let more = format!("[outbound]\nport = {}\n", provider.address.port());
    let server = Running::start(&folder, &more, Resolver::from_zone(zone())).await;
    let context = server.context.clone();
    // As hosts say that verify the sender, in words for a recipient; and to all that comes behind it.
    provider.behave(Conduct::EndsAfter(0, "550 5.1.1 no such user"));
    provider.say("550 5.1.1 no such user");
    for asked in 1..=3 {
        let said = submit(&server, "<anna@example.org>", &["joe@dest.example"]).await;
        assert!(said[0].starts_with("250 "), "{said:?}");
        until("it came back", async || {
            inbox(&context).await.len() == asked && is_empty(&context).await
        })
        .await;
    }
    assert_eq!(list(&context).await, Vec::<String>::new());
    server.end().await;
}

#[tokio::test]
async fn who_does_not_exist_is_asked_twice_and_the_user_is_told_at_once() {
    let (folder, provider) = (Folder::new("suppression-unknown"), Provider::start().await);
    let more = format!(
        "[outbound]\nport = {}\n[aliases]\n'old@example.org' = ['joe@dest.example']\n",
        provider.address.port()
    );
    let server = Running::start(&folder, &more, Resolver::from_zone(zone())).await;
    let context = server.context.clone();
    let (anna, joe) = ("<anna@example.org>", "joe@dest.example");
    provider.say("550 5.1.1 no such user");
    for asked in [1, 2] {
        let said = submit(&server, anna, &[joe]).await;
        assert!(said[0].starts_with("250 "), "{said:?}");
        until("it came back", async || {
            inbox(&context).await.len() == asked && is_empty(&context).await
        })
        .await;
    }
    // From now on for an hour: one who writes to it a thousand times asks nobody.
    for _ in 0..20 {
        let said = submit(&server, anna, &[joe]).await;
        let told = "550 5.1.1 Your mail to this address was refused twice as to nobody; it gets none until ";
        assert!(said[0].starts_with(told), "{said:?}");
    }
    // Others of the same message get it.
    let said = submit(&server, anna, &[joe, "anna@example.org"]).await;
    assert!(
        said[0].starts_with("550 5.1.1") && said[1].starts_with("250 "),
        "{said:?}"
    );
    assert_eq!(provider.asked(), 2);
    assert_eq!(list(&context).await.len(), 1);

    // What is in the queue already comes back without asking, with the reason.
    fill(&context, joe, 1).await;
    until("it came back", async || inbox(&context).await.len() == 4).await;
    let bounce = inbox(&context).await.pop().unwrap();
    assert!(bounce.contains("\r\nStatus: 5.1.1\r\n"), "{bounce}");
    assert!(
        bounce.contains("refused twice as to nobody; it gets none until"),
        "{bounce}"
    );
    assert_eq!(provider.asked(), 2);

    // A stranger who writes to the alias is refused too once two senders were, and none of that is bounced to anybody.
    let strange = async |from: &str| {
        let connection = server.connection(Service::Smtp, false);
        let (sender, to) = (
            from.parse::<ReversePath>().unwrap(),
            "<old@example.org>".parse().unwrap(),
        );
        let content = Content::Octets(b"From: x@strange.example\r\n\r\nHello\r\n".to_vec());
        match send(connection, sender, vec![to], false, content).await {
            Ok(replies) => replies[0].to_string(),
            Err(SendError::Refused(reply)) => reply.to_string(),
            Err(error) => panic!("{error}"),
        }
    };
    let said = strange("<x@strange.example>").await;
    assert!(said.starts_with("250 "), "{said}");
    until("it was refused", async || provider.asked() == 3).await;
    until("for everybody", async || list(&context).await.len() == 2).await;
    let said = strange("<y@strange.example>").await;
    assert!(
        said.starts_with("550 5.1.1 Mail to this address was refused twice"),
        "{said}"
    );

    // After the hour the address is there again, and all is forgiven.
    context.clock.advance(3_700);
    provider.say("250 OK");
    let said = submit(&server, anna, &[joe]).await;
    assert!(said[0].starts_with("250 "), "{said:?}");
    until("it is taken", async || provider.taken().len() == 1).await;
    until("it is forgiven", async || {
        let rows = context
            .store(|store| store.suppressed(now()))
            .await
            .unwrap();
        rows.iter()
            .all(|row| row.sender.as_deref() == Some("x@strange.example"))
    })
    .await;
    server.end().await;
}

/// They all wait for one connection when the first ones come back.
#[tokio::test]
async fn what_waits_for_its_turn_is_not_sent_after_all() {
    let (folder, provider) = (Folder::new("suppression-line"), Provider::start().await);
    let port = provider.address.port();
    let more = format!("[outbound]\nport = {port}\nshaping.max_connections = 1\n");
    let server = Running::start(&folder, &more, Resolver::from_zone(zone())).await;
    provider.say("550 5.1.1 no such user");
    fill(&server.context, "joe@dest.example", 50).await;
    until("all came back", async || {
        inbox(&server.context).await.len() == 50
    })
    .await;
    assert_eq!(provider.connections(), 1);
    assert_eq!(provider.asked(), 2);
    server.end().await;
}

#[tokio::test]
async fn policy_and_content_and_what_is_switched_off_suppress_nobody() {
    for (name, more, reply) in [
        ("policy", "", "550 5.7.1 Recipient address rejected: spam"),
        ("full", "", "552 5.2.2 mailbox full"),
        (
            "off",
            "[outbound.suppression]\nenabled = false\n",
            "550 5.1.1 no such user",
        ),
        (
            "refusals",
            "[outbound.suppression]\nrefusals = 0\n",
            "550 5.1.1 no such user",
        ),
    ] {
        let folder = Folder::new(&format!("suppression-{name}"));
        let provider = Provider::start().await;
        let port = provider.address.port();
        let more = format!("[outbound]\nport = {port}\n{more}");
        let server = Running::start(&folder, &more, Resolver::from_zone(zone())).await;
        provider.say(reply);
        for asked in 1..=4 {
            let said = submit(&server, "<anna@example.org>", &["joe@dest.example"]).await;
            assert!(said[0].starts_with("250 "), "{name}: {said:?}");
            until("it came back", async || {
                inbox(&server.context).await.len() == asked
            })
            .await;
        }
        assert_eq!(provider.asked(), 4, "{name}");
        server.end().await;
    }
}

/// The command changes the list of a server that runs.
#[tokio::test]
async fn the_list_is_shown_and_changed_by_hand() {
    let (folder, provider) = (Folder::new("suppression-hand"), Provider::start().await);
    let more = format!(
        "[outbound]\nport = {}\n[submission.identities]\nanna = ['news@example.org']\n",
        provider.address.port()
    );
    let server = Running::start(&folder, &more, Resolver::from_zone(zone())).await;
    let config = folder.path("mail-server.toml");
    let command = |arguments: &[&str], code| {
        let arguments = [&["--config", &config, "suppressed"], arguments].concat();
        expect(&run("mail-server", &arguments, b""), code)
    };
    let said = async |from: &str| submit(&server, from, &["joe@dest.example"]).await.remove(0);
    assert_eq!(command(&["list"], 0), "");
    command(
        &[
            "add",
            "Joe@dest.example",
            "--from",
            "news@example.org",
            "--days",
            "9",
        ],
        0,
    );
    let news = said("<news@example.org>").await;
    let told =
        "550 5.7.1 The postmaster here has stopped mail to this address; it gets none until ";
    assert!(news.starts_with(told) && news.ends_with("+0000"), "{news}");
    assert!(said("<anna@example.org>").await.starts_with("250 "));
    command(&["add", "joe@dest.example"], 0);
    let anna = said("<anna@example.org>").await;
    assert!(anna.ends_with("until that is lifted"), "{anna}");
    let shown = command(&["list"], 0);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].starts_with("Joe@dest.example, from news@example.org: The postmaster"),
        "{shown}"
    );
    assert!(
        lines[1].starts_with("joe@dest.example: The postmaster"),
        "{shown}"
    );
    assert_eq!(lines.len(), 2, "{shown}");
    // One row, then all that there are.
    assert_eq!(
        command(
            &["remove", "joe@dest.example", "--from", "news@example.org"],
            0
        ),
        "joe@dest.example: 1 removed\n"
    );
    command(&["add", "joe@dest.example", "--from", "<>"], 0);
    assert!(command(&["list"], 0).contains("joe@dest.example, from <>: "));
    assert_eq!(
        command(&["remove", "joe@dest.example"], 0),
        "joe@dest.example: 2 removed\n"
    );
    command(&["remove", "joe@dest.example"], 1);
    command(&["add", "joe"], 1);
    assert_eq!(command(&["list"], 0), "");
    assert!(said("<anna@example.org>").await.starts_with("250 "));
    server.end().await;
}

fn key() -> (String, String) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = PrivateKey::from_pem(&pair.serialize_pem()).unwrap();
    let record = KeyRecord::new(key.public_key().unwrap()).to_string();
    (pair.serialize_pem(), record)
}

/// A complaint of the provider about this message, which may name a recipient.
fn complaint(original: &str, named: Option<&str>, key: &str) -> Vec<u8> {
    let mut report = FeedbackReport::new(FeedbackType::Abuse);
    let header = original.split_once("\r\n\r\n").unwrap().0;
    report.original = Original::Header(format!("{header}\r\n").into_bytes());
    report.original_rcpt_to.extend(named.map(str::to_owned));
    let envelope = Envelope {
        from: "x@dest.example",
        to: "fbl@example.org",
        message_id: "1@dest.example",
        now: now(),
    };
    let mut mail = report.to_mail(&envelope).unwrap();
    let key = std::sync::Arc::new(PrivateKey::from_pem(key).unwrap());
    let (domain, selector) = ("dest.example".parse().unwrap(), "s1".parse().unwrap());
    let mut signer = dkim::Signer::new([Signing::new(domain, selector, key)], now());
    signer.write(&mail);
    mail.splice(..0, signer.finish().unwrap().concat().into_bytes());
    mail
}

#[tokio::test]
async fn who_complains_gets_no_more_mail_of_this_sender_and_others_of_the_domain_write_on() {
    let (folder, provider) = (
        Folder::new("suppression-complaint"),
        Provider::start().await,
    );
    let ((ours, _), (theirs, their_record)) = (key(), key());
    folder.write("s1.pem", &ours);
    let zone = zone().txt("s1._domainkey.dest.example", &their_record);
    let more = format!(
        "[outbound]\nport = {}\nfeedback_address = 'fbl@example.org'\n\
         [submission.identities]\nanna = ['news@example.org']\n\
         [[dkim]]\ndomain = 'example.org'\nselector = 's1'\nkey = 's1.pem'\n",
        provider.address.port()
    );
    let server = Running::start(&folder, &more, Resolver::from_zone(zone)).await;
    let context = server.context.clone();
    let (joe, dave) = ("joe@dest.example", "dave@dest.example");
    let complain = async |named: Option<&str>| {
        let sent = provider.messages().pop().unwrap();
        let connection = server.connection(Service::Smtp, false);
        let to = vec!["<fbl@example.org>".parse().unwrap()];
        let content = Content::Octets(complaint(&sent, named, &theirs));
        let replies = send(connection, ReversePath::Null, to, false, content).await;
        assert!(replies.unwrap()[0].is_positive());
    };
    // When the queue is empty, what complaints are known by is written.
    let send_to = async |to: &[&str]| {
        let before = provider.messages().len();
        let said = submit(&server, "<news@example.org>", to).await;
        assert!(said.iter().all(|said| said.starts_with("250 ")), "{said:?}");
        until("it is taken", async || {
            provider.messages().len() == before + to.len()
        })
        .await;
        until("it is settled", async || is_empty(&context).await).await;
    };
    // Of several nobody is guessed; the one who is named is believed, if he has got it.
    send_to(&[joe, dave]).await;
    complain(None).await;
    assert_eq!(list(&context).await, [""; 0]);
    send_to(&[joe, dave]).await;
    complain(Some("erin@dest.example")).await;
    assert_eq!(list(&context).await, [""; 0]);
    complain(Some("<Dave@dest.example>")).await;
    let rows = list(&context).await;
    assert_eq!(rows.len(), 1);
    let told = "dave@dest.example, from news@example.org: The recipient has complained about your mail; it gets none until ";
    assert!(rows[0].starts_with(told), "{rows:?}");
    // There is no doubt about the only one.
    send_to(&[joe]).await;
    complain(None).await;
    assert_eq!(list(&context).await.len(), 2);
    for (from, to, said) in [
        (
            "<news@example.org>",
            joe,
            "550 5.7.1 The recipient has complained",
        ),
        (
            "<news@example.org>",
            dave,
            "550 5.7.1 The recipient has complained",
        ),
        ("<anna@example.org>", joe, "250 "),
    ] {
        let reply = submit(&server, from, &[to]).await.remove(0);
        assert!(reply.starts_with(said), "{from} {to}: {reply}");
    }
    context.clock.advance(31 * DAY);
    let said = submit(&server, "<news@example.org>", &[joe]).await;
    assert!(said[0].starts_with("250 "), "{said:?}");
    server.end().await;
}
