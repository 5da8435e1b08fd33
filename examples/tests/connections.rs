//! Several messages over one connection: how many, to whom, and what becomes of each when the connection ends in between.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use examples::resolver::Resolver;
use examples::server::{Context, now};
use examples::store::{Dsn, Leased, Outgoing};
use mail_dns::Zone;
use support::Folder;
use support::provider::{Conduct, Provider};
use support::server::Running;

fn zone() -> Zone {
    Zone::new()
        .mx("dest.example", 10, "mx.dest.example")
        .a("mx.dest.example", [127, 0, 0, 1])
}

/// A server whose mail goes to this provider, by one connection at once to each destination unless something else is said.
async fn start(folder: &Folder, provider: &Provider, more: &str, zone: Zone) -> Running {
    let port = provider.address.port();
    let retry = match more.contains("retry") {
        true => "",
        false => "retry = [1]\n",
    };
    let more = format!("[outbound]\nport = {port}\n{retry}{more}\n");
    Running::start(folder, &more, Resolver::from_zone(zone)).await
}

const ONE: &str = "[outbound.shaping]\nmax_connections = 1\n";

/// Puts numbered messages into the queue, all at once, one for each recipient.
async fn submit(context: &Context, recipients: &[String]) {
    let accepted = context.clock.now();
    let recipients = recipients.to_vec();
    let put = context.store(move |store| {
        let mut spool = store.spool()?;
        spool.write(b"From: anna@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n")?;
        let outgoing = |(number, recipient): (usize, &String)| Outgoing {
            sender: "anna@example.org".to_owned(),
            recipient: recipient.clone(),
            added: format!("Number: {number}\r\n").into_bytes(),
            smtputf8: false,
            accepted,
            dsn: Dsn::default(),
        };
        let all: Vec<Outgoing> = recipients.iter().enumerate().map(outgoing).collect();
        store.commit(spool, &[], &all)
    });
    put.await.unwrap();
}

fn to_dest(count: usize) -> Vec<String> {
    (0..count).map(|_| "dave@dest.example".to_owned()).collect()
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

async fn is_empty(context: &Context) -> bool {
    let due = context.store(|store| store.next_due());
    due.await.unwrap().is_none()
}

/// The numbers of the messages that came, sorted.
fn numbers(provider: &Provider) -> Vec<usize> {
    let number = |message: String| {
        let (_, rest) = message.split_once("Number: ").unwrap();
        rest.split_once("\r\n").unwrap().0.parse().unwrap()
    };
    let mut numbers: Vec<usize> = provider.messages().into_iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn each_once(count: usize) -> Vec<usize> {
    (0..count).collect()
}

#[tokio::test]
async fn what_is_due_goes_over_the_connections_that_are_open() {
    let (folder, provider) = (Folder::new("connections-few"), Provider::start().await);
    let server = start(&folder, &provider, ONE, zone()).await;
    submit(&server.context, &to_dest(40)).await;
    until("all are sent", async || is_empty(&server.context).await).await;
    assert_eq!(numbers(&provider), each_once(40));
    assert_eq!(provider.connections(), 1);
    server.end().await;
}

#[tokio::test]
async fn a_connection_carries_no_more_than_either_side_wants() {
    let few = "[outbound.shaping]\nmax_connections = 1\nmessages_per_connection = 4\n";
    for (name, more, conduct, connections) in [
        ("own", few, Conduct::Good, 5),
        ("mailmax", ONE, Conduct::Offers("LIMITS MAILMAX=5"), 4),
    ] {
        let folder = Folder::new(&format!("connections-most-{name}"));
        let provider = Provider::start().await;
        provider.behave(conduct);
        let server = start(&folder, &provider, more, zone()).await;
        submit(&server.context, &to_dest(20)).await;
        until("all are sent", async || is_empty(&server.context).await).await;
        assert_eq!(numbers(&provider), each_once(20), "{name}");
        assert_eq!(provider.connections(), connections, "{name}");
        server.end().await;
    }
}

/// It hangs up, or says 421, before it has answered anything of the next message: that goes by a new connection, and no attempt is counted.
#[tokio::test]
async fn a_host_that_takes_no_further_message_gets_it_by_a_new_connection() {
    for (name, reply) in [("silent", ""), ("421", "421 4.4.2 that took too long")] {
        let folder = Folder::new(&format!("connections-ends-{name}"));
        let provider = Provider::start().await;
        provider.behave(Conduct::EndsAfter(3, reply));
        let server = start(&folder, &provider, ONE, zone()).await;
        submit(&server.context, &to_dest(9)).await;
        until("all are sent", async || is_empty(&server.context).await).await;
        assert_eq!(numbers(&provider), each_once(9), "{name}");
        assert_eq!(provider.connections(), 3, "{name}");
        server.end().await;
    }
}

/// It says that we send too much: that is no attempt either; but the host is left alone for a minute.
#[tokio::test]
async fn a_host_that_slows_us_down_in_between_is_left_alone() {
    let (folder, provider) = (Folder::new("connections-421"), Provider::start().await);
    let server = start(&folder, &provider, ONE, zone()).await;
    provider.behave(Conduct::EndsAfter(2, "421 4.7.0 too many messages"));
    submit(&server.context, &to_dest(4)).await;
    until("two are sent", async || provider.taken().len() == 2).await;
    until("two are held", async || {
        let due = server.context.store(|store| store.next_due()).await;
        due.unwrap()
            .is_some_and(|due| due > now() + 30 && due < now() + 100)
    })
    .await;
    assert_eq!(provider.connections(), 1);
    let context = server.context.clone();
    server.end().await;
    assert_eq!(attempts(&context).await, [0, 0]);
}

async fn attempts(context: &Context) -> Vec<u32> {
    let later = now() + 86_400;
    let leased = context.store(move |store| store.lease(later, later, 100));
    let leased: Vec<Leased> = leased.await.unwrap();
    leased.iter().map(|leased| leased.attempts).collect()
}

#[tokio::test]
async fn a_message_whose_connection_dies_in_it_is_sent_again_and_no_other() {
    let (folder, provider) = (Folder::new("connections-dies"), Provider::start().await);
    provider.behave(Conduct::DiesInData);
    let server = start(&folder, &provider, ONE, zone()).await;
    submit(&server.context, &to_dest(10)).await;
    until("all are sent", async || is_empty(&server.context).await).await;
    assert_eq!(numbers(&provider), each_once(10));
    // One for the others, and one for it if they were done by then.
    assert!(provider.connections() <= 3);
    server.end().await;
}

/// RFC 5321 §4.5.3.2.6: nobody can know whether a message was taken whose answer was lost; it alone is sent twice.
#[tokio::test]
async fn only_a_message_whose_answer_was_lost_is_sent_twice() {
    let (folder, provider) = (Folder::new("connections-answer"), Provider::start().await);
    provider.behave(Conduct::DiesBeforeItsAnswer);
    let server = start(&folder, &provider, ONE, zone()).await;
    submit(&server.context, &to_dest(10)).await;
    until("all are sent", async || is_empty(&server.context).await).await;
    // What it took without an answer is not among the messages.
    assert_eq!(numbers(&provider), each_once(10));
    assert_eq!(provider.taken().len(), 11);
    // One for the others, and one for it if they were done by then.
    assert!(provider.connections() <= 3);
    server.end().await;
}

/// One message after the other, each when the one before is there.
#[tokio::test]
async fn a_connection_is_kept_for_who_comes_soon() {
    let (folder, provider) = (Folder::new("connections-kept"), Provider::start().await);
    let server = start(&folder, &provider, "", zone()).await;
    for count in 1..=10 {
        submit(&server.context, &to_dest(1)).await;
        until("it is sent", async || provider.taken().len() == count).await;
        until("it is settled", async || is_empty(&server.context).await).await;
    }
    assert_eq!(provider.connections(), 1);
    // What comes by a connection that was closed meanwhile is not lost.
    provider.behave(Conduct::EndsAfter(10, ""));
    submit(&server.context, &to_dest(1)).await;
    until("it is sent", async || provider.taken().len() == 11).await;
    assert_eq!(provider.connections(), 2);
    server.end().await;
    assert_eq!(provider.taken().len(), 11);
}

/// An answer that nobody has asked for is not taken for one to the next message.
#[tokio::test]
async fn a_kept_connection_that_answers_early_is_left() {
    let (folder, provider) = (Folder::new("connections-early"), Provider::start().await);
    provider.behave(Conduct::AnswersTwice);
    let server = start(&folder, &provider, "retry = [3600]\n", zone()).await;
    for count in 1..=3 {
        submit(&server.context, &to_dest(1)).await;
        until("it is sent", async || provider.taken().len() == count).await;
        until("it is settled", async || is_empty(&server.context).await).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(provider.connections(), 3);
    server.end().await;
}

/// What was answered while the store could not be written leaves the queue when it can be again, and is not sent twice.
#[tokio::test]
async fn what_cannot_be_settled_is_settled_later() {
    for (name, reply, trigger) in [
        ("sent", "250 OK", "BEFORE DELETE"),
        ("later", "450 4.2.0 later", "BEFORE UPDATE OF attempts"),
    ] {
        let folder = Folder::new(&format!("connections-settled-{name}"));
        let provider = Provider::start().await;
        provider.say(reply);
        let server = start(&folder, &provider, ONE, zone()).await;
        let database = server.context.store.0.location().join("mail.sqlite");
        let database = rusqlite::Connection::open(database).unwrap();
        let fault = format!(
            "CREATE TRIGGER fault {trigger} ON queue BEGIN SELECT RAISE(ABORT, 'full'); END"
        );
        database.execute_batch(&fault).unwrap();
        submit(&server.context, &to_dest(1)).await;
        until("it is answered", async || provider.asked() == 1).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!is_empty(&server.context).await, "{name}");
        provider.say("250 OK");
        database.execute_batch("DROP TRIGGER fault").unwrap();
        until("it is settled", async || is_empty(&server.context).await).await;
        assert_eq!(numbers(&provider), each_once(1), "{name}");
        server.end().await;
    }
}

/// A server without IPv6 has as many connections to a host that has both as to others.
#[tokio::test]
async fn a_family_that_we_have_not_is_no_failure_of_the_host() {
    // Without a zone there is no way to it from any machine (RFC 4007).
    let address = "fe80::25".parse::<std::net::Ipv6Addr>().unwrap();
    let (folder, provider) = (Folder::new("connections-family"), Provider::start().await);
    let zone = zone().aaaa("mx.dest.example", address);
    let server = start(&folder, &provider, ONE, zone).await;
    submit(&server.context, &to_dest(10)).await;
    until("all are sent", async || is_empty(&server.context).await).await;
    assert_eq!(provider.connections(), 1);
    server.end().await;
}

/// A kept connection takes no place from another host of the same provider.
#[tokio::test]
async fn a_kept_connection_gives_way_to_one_to_another_host() {
    let (folder, provider) = (Folder::new("connections-way"), Provider::start().await);
    folder.write("providers.txt", "big domain a.example b.example\n");
    let zone = Zone::new()
        .mx("a.example", 10, "mx.a.example")
        .mx("b.example", 10, "mx.b.example")
        .a("mx.a.example", [127, 0, 0, 1])
        .a("mx.b.example", [127, 0, 0, 1]);
    let more = format!("providers = 'providers.txt'\n{ONE}");
    let server = start(&folder, &provider, &more, zone).await;
    for (count, domain) in ["a.example", "b.example", "a.example"].iter().enumerate() {
        submit(&server.context, &[format!("x@{domain}")]).await;
        until("it is sent", async || provider.taken().len() == count + 1).await;
        until("it is settled", async || is_empty(&server.context).await).await;
    }
    assert_eq!(provider.connections(), 3);
    server.end().await;
}

/// More destinations than there are connections at once: those that are kept give way.
#[tokio::test]
async fn many_destinations_have_a_hundred_connections_together() {
    let (folder, provider) = (Folder::new("connections-many"), Provider::start().await);
    let domains: Vec<String> = (0..250).map(|at| format!("d{at}.example")).collect();
    let zone = domains.iter().fold(Zone::new(), |zone, domain| {
        zone.mx(domain, 10, "mx.all.example")
    });
    let zone = zone.a("mx.all.example", [127, 0, 0, 1]);
    let server = start(&folder, &provider, "", zone).await;
    let recipients: Vec<String> = domains.iter().map(|domain| format!("x@{domain}")).collect();
    submit(&server.context, &recipients).await;
    until("all are sent", async || is_empty(&server.context).await).await;
    assert_eq!(numbers(&provider), each_once(250));
    assert_eq!(provider.connections(), 250);
    assert!(provider.most_open.load(Ordering::SeqCst) <= 100);
    server.end().await;
}

/// Three domains: two with one provider and one host, one with the same provider and another name of the host.
#[tokio::test]
async fn domains_share_a_connection_where_provider_host_and_address_are_the_same() {
    let (folder, provider) = (Folder::new("connections-domains"), Provider::start().await);
    folder.write("providers.txt", "big mx mx.big.example\n");
    let zone = Zone::new()
        .mx("a.example", 10, "mx.big.example")
        .mx("b.example", 10, "MX.big.example")
        .mx("c.example", 10, "other.mx.big.example")
        .mx("d.example", 10, "mx.d.example")
        .a("mx.big.example", [127, 0, 0, 1])
        .a("other.mx.big.example", [127, 0, 0, 1])
        .a("mx.d.example", [127, 0, 0, 1]);
    let more = format!("providers = 'providers.txt'\n{ONE}");
    for (domains, connections) in [
        (&["a.example", "b.example"][..], 1),
        (&["a.example", "c.example"], 2),
        (&["a.example", "d.example"], 2),
    ] {
        let before = provider.connections();
        let server = start(&folder, &provider, &more, zone.clone()).await;
        let recipients = (0..12).map(|at| format!("x@{}", domains[at % 2]));
        submit(&server.context, &recipients.collect::<Vec<_>>()).await;
        until("all are sent", async || is_empty(&server.context).await).await;
        assert_eq!(provider.connections() - before, connections, "{domains:?}");
        server.end().await;
    }
    assert_eq!(provider.taken().len(), 36);
}

#[tokio::test]
async fn a_refused_recipient_ends_no_connection() {
    let (folder, provider) = (Folder::new("connections-refused"), Provider::start().await);
    provider.say("550 5.7.1 not you");
    let server = start(&folder, &provider, ONE, zone()).await;
    submit(&server.context, &to_dest(6)).await;
    until("all are bounced", async || is_empty(&server.context).await).await;
    assert_eq!((provider.asked(), provider.connections()), (6, 1));
    server.end().await;
}

#[tokio::test]
async fn connections_grow_from_the_first_ones_to_the_most() {
    let (folder, provider) = (Folder::new("connections-grow"), Provider::start().await);
    provider.behave(Conduct::IsSlow);
    let more = "[outbound.shaping]\ninitial_connections = 2\nmax_connections = 4\n";
    let server = start(&folder, &provider, more, zone()).await;
    submit(&server.context, &to_dest(24)).await;
    until("the first two", async || {
        provider.most_open.load(Ordering::SeqCst) == 2
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(provider.most_open.load(Ordering::SeqCst), 2);
    until("all are sent", async || is_empty(&server.context).await).await;
    assert_eq!(provider.most_open.load(Ordering::SeqCst), 4);
    assert_eq!(provider.connections(), 4);
    assert_eq!(numbers(&provider), each_once(24));
    server.end().await;
}

/// The host takes its time to answer; what it has taken then is not sent after the next start.
#[tokio::test]
async fn a_server_that_stops_waits_for_the_answer() {
    let (folder, provider) = (Folder::new("connections-stop"), Provider::start().await);
    provider.behave(Conduct::IsSlow);
    let server = start(&folder, &provider, ONE, zone()).await;
    submit(&server.context, &to_dest(5)).await;
    until("one is there", async || provider.asked() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let context = server.context.clone();
    server.end().await;
    assert_eq!(provider.taken().len(), 1);
    // The others are due, for whichever server comes first.
    assert_eq!(attempts(&context).await, [0; 4]);
    drop(context);
    provider.behave(Conduct::Good);
    let server = start(&folder, &provider, ONE, zone()).await;
    until("all are sent", async || is_empty(&server.context).await).await;
    assert_eq!(numbers(&provider), each_once(5));
    server.end().await;
}
