//! What leaves, from which address, how fast; what is held, and what a provider's answers change.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use examples::resolver::Resolver;
use examples::server::{Context, now};
use examples::store::{Dsn, Leased, Outgoing};
use mail_dns::Zone;
use screening::outbound::warm_up::Status;
use support::Folder;
use support::provider::Provider;
use support::server::Running;
use support::tool::{expect, run};

const DAY: u64 = 86_400;

fn resolver() -> Resolver {
    let zone = Zone::new().mx("dest.example", 10, "mx.dest.example");
    Resolver::from_zone(zone.a("mx.dest.example", [127, 0, 0, 1]))
}

/// Seconds until 23:00 UTC of the day after next: then all of a day's quota is open, with an hour to go.
fn to_eleven() -> u64 {
    let midnight = now() / DAY * DAY;
    midnight + 2 * DAY - 3600 - now()
}

/// Puts messages into the queue.
async fn submit(context: &Context, count: usize) {
    let accepted = context.clock.now();
    for _ in 0..count {
        let put = context.store(move |store| {
            let mut spool = store.spool()?;
            spool.write(b"From: anna@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n")?;
            let outgoing = Outgoing {
                sender: "anna@example.org".to_owned(),
                recipient: "dave@dest.example".to_owned(),
                added: Vec::new(),
                smtputf8: false,
                accepted,
                dsn: Dsn::default(),
            };
            store.commit(spool, &[], &[outgoing])
        });
        put.await.unwrap();
    }
}

/// Lets time pass.
fn pass(context: &Context, seconds: u64) {
    context.clock.advance(seconds);
    context.store.0.queue_filled().notify_one();
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within ten seconds");
}

/// Whether so many messages, and all that there are, wait for so many seconds at least.
async fn are_held(context: &Context, count: usize, seconds: u64) -> bool {
    let database = context.store.0.location().join("mail.sqlite");
    let database = rusqlite::Connection::open(database).unwrap();
    let since = context.clock.now() + seconds;
    let all = "SELECT count(*), count(*) FILTER (WHERE leased_until = 0 AND due >= ?1) FROM queue";
    let counted = database.query_row(all, [since], |row| {
        Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?))
    });
    counted.unwrap() == (count, count)
}

/// The messages of the queue of a server that has ended.
async fn queued(folder: &Folder, more: &str) -> Vec<Leased> {
    let server = support::server::bind(folder, more, resolver()).await;
    let later = now() + 90 * DAY;
    let context = server.context();
    let leased = context.store(move |store| store.lease(later, later, 100));
    leased.await.unwrap()
}

async fn status(context: &Context) -> Vec<Status> {
    let domain = "dest.example".parse().unwrap();
    let own = &context.own_addresses;
    let provider = own.provider(&context.resolver, &domain).await;
    let (_, rows) = own
        .status(&*context.store.0, &provider, context.clock.now())
        .unwrap();
    rows.into_iter().map(|row| row.status).collect()
}

#[tokio::test]
async fn a_quota_holds_the_rest_without_attempts_until_the_next_day_and_over_a_restart() {
    let (folder, provider) = (Folder::new("queue-quota"), Provider::start().await);
    let plan = "new = ['127.0.0.2']\n[plan]\ntable = [2, 3, 9]\n";
    let more = provider.config(&folder, plan, "");
    let server = Running::start_ahead(&folder, &more, resolver(), to_eleven()).await;
    submit(&server.context, 6).await;
    until("the quota is spent", async || {
        provider.taken_from("127.0.0.2") == 2
    })
    .await;
    until("the rest is held", async || {
        are_held(&server.context, 4, 60).await
    })
    .await;
    let (ahead, [only]) = (
        server.context.clock.now() - now(),
        status(&server.context).await.try_into().unwrap(),
    );
    let only: Status = only;
    assert_eq!((only.day, only.quota, only.sent), (Some(1), Some(2), 2));
    server.end().await;
    let waiting = queued(&folder, &more).await;
    assert_eq!(waiting.len(), 4);
    assert!(waiting.iter().all(|leased| leased.attempts == 0));

    // The quota is still spent, and on the next day there is more of it.
    let server = Running::start_ahead(&folder, &more, resolver(), ahead).await;
    submit(&server.context, 1).await;
    until("the new one is held too", async || {
        are_held(&server.context, 5, 60).await
    })
    .await;
    assert_eq!(provider.taken().len(), 2);
    pass(&server.context, DAY);
    until("the next day's quota is spent", async || {
        provider.taken_from("127.0.0.2") == 5
    })
    .await;
    until("the rest is held", async || {
        are_held(&server.context, 2, 60).await
    })
    .await;
    assert_eq!(provider.taken().len(), 5);
    server.end().await;
}

#[tokio::test]
async fn what_is_too_much_for_a_new_address_goes_by_a_warm_one() {
    let (folder, provider) = (Folder::new("queue-overflow"), Provider::start().await);
    let plan = "new = ['127.0.0.2']\nwarm = ['127.0.0.3']\n[plan]\ntable = [2]\n";
    let more = provider.config(&folder, plan, "");
    let server = Running::start_ahead(&folder, &more, resolver(), to_eleven()).await;
    submit(&server.context, 5).await;
    until("all are sent", async || provider.taken().len() == 5).await;
    let by = |source| provider.taken_from(source);
    assert_eq!((by("127.0.0.2"), by("127.0.0.3")), (2, 3));
    server.end().await;
}

#[tokio::test]
async fn before_its_first_day_a_plan_sends_nothing_by_new_addresses() {
    let (folder, provider) = (Folder::new("queue-first-day"), Provider::start().await);
    let plan = "new = ['127.0.0.2']\nfirst_day = 2999-12-31\n";
    let more = provider.config(&folder, plan, "late = 0");
    let server = Running::start(&folder, &more, resolver()).await;
    submit(&server.context, 1).await;
    until("it is held", async || {
        are_held(&server.context, 1, 4 * DAY).await
    })
    .await;
    assert_eq!(provider.asked(), 0);
    server.end().await;
}

#[tokio::test]
async fn a_provider_that_slows_us_down_is_left_alone_and_the_warm_up_steps_back() {
    let (folder, provider) = (Folder::new("queue-deferrals"), Provider::start().await);
    let plan = "new = ['127.0.0.2']\n[plan]\ntable = [2, 40, 60]\nstep_back = 1\n\
        [[threshold]]\nmeasure = 'deferrals'\nrate = '30 %'\nlevel = 'stop'\ndays = 1\nevents = 2\n";
    let more = provider.config(&folder, plan, "");
    let server = Running::start_ahead(&folder, &more, resolver(), to_eleven()).await;
    let context = Arc::clone(&server.context);
    submit(&context, 2).await;
    until("the first day's are sent", async || {
        provider.taken().len() == 2
    })
    .await;
    pass(&context, DAY);
    assert_eq!(status(&context).await[0].day, Some(2));

    provider.say("421 4.7.0 Too many messages, slow down");
    submit(&context, 1).await;
    until("the provider was asked", async || provider.asked() == 3).await;
    until("it is tried again later", async || {
        are_held(&context, 1, 1).await
    })
    .await;
    submit(&context, 2).await;
    // The destination is left alone for a minute: nobody asks it.
    until("they are held", async || are_held(&context, 3, 30).await).await;
    assert_eq!(provider.asked(), 3);
    provider.say("451 4.7.1 Rate limit exceeded");
    pass(&context, 61);
    until("it was asked again", async || provider.asked() >= 4).await;
    until("it is left alone for longer", async || {
        are_held(&context, 3, 30).await
    })
    .await;
    pass(&context, 600);
    until("the address pauses", async || {
        status(&context).await[0].paused_until.is_some()
    })
    .await;
    let asked = provider.asked();
    until("all are held", async || are_held(&context, 3, 3600).await).await;
    assert_eq!(provider.asked(), asked);
    let ahead = context.clock.now() - now();
    server.end().await;
    let mut attempts: Vec<u32> = queued(&folder, &more)
        .await
        .iter()
        .map(|it| it.attempts)
        .collect();
    attempts.sort_unstable();
    // Each that was refused is an attempt, and no other.
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts.iter().sum::<u32>() as usize, asked - 2);

    // The pause, and the way back, outlive a restart.
    let server = Running::start_ahead(&folder, &more, resolver(), ahead).await;
    let context = Arc::clone(&server.context);
    provider.say("250 OK");
    submit(&context, 1).await;
    until("the new one is held too", async || {
        are_held(&context, 4, 3600).await
    })
    .await;
    let [only] = status(&context).await.try_into().unwrap();
    let only: Status = only;
    assert_eq!((only.day, only.quota), (Some(1), Some(2)));
    assert_eq!(provider.asked(), asked);
    pass(&context, 2 * DAY);
    until("the quota that it went back to is spent", async || {
        provider.taken().len() == 4
    })
    .await;
    server.end().await;
}

/// One list has our new address, one that is dead has everybody.
#[tokio::test]
async fn a_new_address_that_is_listed_sends_nothing_and_who_looks_is_told_where() {
    let (folder, provider) = (Folder::new("queue-listed"), Provider::start().await);
    let plan = "new = ['127.0.0.9']\n[plan]\ntable = [2]\n";
    let lists = "[[outbound.list]]\nzone = 'bad.example'\nlevel = 'stop'\n[[outbound.list]]\nzone = 'dead.example'\n";
    let more = format!(
        "[dns]\nzone = 'zone'\n{}\n{lists}",
        provider.config(&folder, plan, "")
    );
    let zone = "$TTL 60\n2.0.0.127.bad.example. A 127.0.0.2\n9.0.0.127.bad.example. A 127.0.0.4\n\
        *.dead.example. A 127.0.0.2\ndest.example. MX 10 mx.dest.example.\nmx.dest.example. A 127.0.0.1\n";
    folder.write("zone", zone);
    let resolver = Resolver::from_zone(zone.parse().unwrap());
    let server = Running::start_ahead(&folder, &more, resolver, to_eleven()).await;
    let context = Arc::clone(&server.context);
    let told = "stop: listed on bad.example, stop";
    until("it is known", async || {
        let [only] = status(&context).await.try_into().unwrap();
        let only: Status = only;
        only.standing.to_string() == told
    })
    .await;
    submit(&context, 1).await;
    until("it is held", async || are_held(&context, 1, 60).await).await;
    assert!(provider.taken().is_empty());
    let config = folder.path("mail-server.toml");
    let arguments = ["--config", &config, "reputation", "dest.example"];
    let said = expect(&run("mail-server", &arguments, b""), 0);
    assert!(said.contains(told), "{said}");
    assert!(
        said.starts_with("127.0.0.9: listed on bad.example, stop\n"),
        "{said}"
    );
    // Without a name: all that have one.
    let said = expect(&run("mail-server", &arguments[..3], b""), 0);
    let of = |line: &str| {
        line.split_once(": ")
            .map(|(of, _)| of.to_owned())
            .unwrap_or_default()
    };
    assert_eq!(
        said.lines().map(of).collect::<Vec<_>>(),
        ["127.0.0.9", "apple", "gmail", "outlook", "yahoo", "others"]
    );
    server.end().await;
}

#[tokio::test]
async fn a_destination_has_as_many_connections_as_it_should_and_the_others_wait() {
    let (folder, provider) = (Folder::new("queue-connections"), Provider::start().await);
    let more = format!(
        "[dns]\nzone = 'zone'\n[outbound]\nport = {}\n[outbound.provider.'dest.example']\nmax_connections = 1\n",
        provider.address.port()
    );
    folder.write("zone", "$TTL 60\ndest.example. IN MX 10 mx.dest.example.\n");
    let server = Running::start(&folder, &more, resolver()).await;
    submit(&server.context, 8).await;
    until("all are sent", async || provider.taken().len() == 8).await;
    assert_eq!(provider.most_open.load(Ordering::SeqCst), 1);
    until("all are counted", async || {
        are_held(&server.context, 0, 0).await
    })
    .await;
    // The command looks into the store of a server that runs, as it was written last.
    server.context.store.0.write_screening().unwrap();
    let config = folder.path("mail-server.toml");
    let arguments = ["--config", &config, "reputation", "dest.example", "gmail"];
    let output = run("mail-server", &arguments, b"");
    let counts = "taken, 0 deferred, 0 refused, 0 unknown recipients, 0 complaints";
    assert_eq!(
        expect(&output, 0),
        format!("dest.example: good; in 7 days 8 {counts}\ngmail: good; in 7 days 0 {counts}\n")
    );
    server.end().await;
}

#[tokio::test]
async fn what_is_held_for_too_long_comes_back() {
    let (folder, provider) = (Folder::new("queue-expiry"), Provider::start().await);
    let plan = "new = ['127.0.0.2']\n[plan]\ntable = [1]\nhours = [0, 23]\n";
    // Between 23:00 and midnight nothing is open.
    let more = provider.config(&folder, plan, "give_up = 1800");
    let server = Running::start_ahead(&folder, &more, resolver(), to_eleven()).await;
    let context = Arc::clone(&server.context);
    submit(&context, 1).await;
    until("it is held to its end", async || {
        are_held(&context, 1, 1700).await
    })
    .await;
    pass(&context, 1801);
    let bounce = async || {
        let read = context.store(|store| {
            let anna = store.account("anna")?.unwrap();
            let inbox = store.mailbox(anna.id, "INBOX")?.unwrap().id;
            match store.entries(inbox)?.pop() {
                Some(last) => store.message(inbox, last.uid)?.read(1 << 16),
                None => Ok(Vec::new()),
            }
        });
        String::from_utf8(read.await.unwrap()).unwrap()
    };
    until("a bounce", async || !bounce().await.is_empty()).await;
    let bounce = bounce().await;
    assert!(bounce.contains("Status: 5.4.7"), "{bounce}");
    assert!(
        bounce.contains("waits for its turn: 127.0.0.2: "),
        "{bounce}"
    );
    assert_eq!(provider.asked(), 0);
    server.end().await;
}

/// A message of this sender in the queue, to a host that puts it off.
async fn submit_from(context: &Context, sender: &str) {
    let outgoing = Outgoing {
        sender: sender.to_owned(),
        recipient: "dave@dest.example".to_owned(),
        added: Vec::new(),
        smtputf8: false,
        accepted: context.clock.now(),
        dsn: Dsn::default(),
    };
    let put = context.store(move |store| {
        let mut spool = store.spool()?;
        spool.write(b"From: anna@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n")?;
        store.commit(spool, &[], &[outgoing])
    });
    put.await.unwrap();
}

/// Of all that anna has got, the last, and how many there are.
async fn inbox(context: &Context) -> (usize, String) {
    let read = context.store(|store| {
        let anna = store.account("anna")?.unwrap();
        let inbox = store.mailbox(anna.id, "INBOX")?.unwrap().id;
        let entries = store.entries(inbox)?;
        let last = match entries.last() {
            Some(last) => store.message(inbox, last.uid)?.read_all()?,
            None => Vec::new(),
        };
        Ok((entries.len(), last))
    });
    let (count, last) = read.await.unwrap();
    (count, String::from_utf8(last).unwrap())
}

#[tokio::test]
async fn a_user_is_told_once_that_a_message_is_late_and_nobody_else_is() {
    let (folder, provider) = (Folder::new("queue-late"), Provider::start().await);
    let port = provider.address.port();
    let more = format!("[outbound]\nport = {port}\nretry = [300, 100000]\n");
    let server = Running::start(&folder, &more, resolver()).await;
    let context = Arc::clone(&server.context);
    provider.say("450 4.2.0 not today");
    for sender in ["anna@example.org", "", "x@strange.example"] {
        submit_from(&context, sender).await;
    }
    until("each was asked", async || provider.asked() == 3).await;
    until("they wait", async || are_held(&context, 3, 200).await).await;
    pass(&context, 301);
    until("each was asked again", async || provider.asked() == 6).await;
    // By the list of waits it would be tomorrow: its sender is told after four hours, and it is tried once more before.
    pass(&context, 4 * 3600 - 302);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((provider.asked(), inbox(&context).await.0), (6, 0));
    pass(&context, 3);
    until("anna is told", async || inbox(&context).await.0 == 1).await;
    assert_eq!(provider.asked(), 7);
    let (_, told) = inbox(&context).await;
    for wanted in [
        "Return-Path: <>\r\n",
        "\r\nSubject: Your mail is late, and still being tried\r\n",
        "\r\nAction: delayed\r\nStatus: 4.2.0\r\nRemote-MTA: dns; mx.dest.example\r\nDiagnostic-Code: smtp; 450 4.2.0 not today\r\nWill-Retry-Until: ",
        "\r\nFinal-Recipient: rfc822; dave@dest.example\r\n",
        "\r\nSubject: dinner\r\n",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    // None is told a second time, over a restart either.
    let ahead = context.clock.now() - now();
    drop(context);
    server.end().await;
    let server = Running::start_ahead(&folder, &more, resolver(), ahead + 2 * DAY).await;
    let context = Arc::clone(&server.context);
    until("each was asked again", async || provider.asked() == 10).await;
    until("they wait", async || are_held(&context, 3, 200).await).await;
    assert_eq!(inbox(&context).await.0, 1);
    // At the end it comes back.
    pass(&context, 4 * DAY);
    until("it comes back", async || inbox(&context).await.0 == 2).await;
    let (_, bounce) = inbox(&context).await;
    assert!(bounce.contains("\r\nAction: failed\r\n"), "{bounce}");
    assert!(!bounce.contains("Will-Retry-Until"), "{bounce}");
    server.end().await;
}

#[tokio::test]
async fn mistakes_of_the_plan_are_told_at_the_start() {
    let folder = Folder::new("queue-mistakes");
    let provider = Provider::start().await;
    for (plan, more, why) in [
        (
            "[plan]\nstart = 5\n",
            "",
            "new, warm: name the addresses that mail leaves from",
        ),
        ("warm = []\nfirst_day = 2026-02-30\n", "", "first_day"),
        (
            "warm = ['127.0.0.1']\n[plan]\nstart = 0\n",
            "",
            "the quota of day 1 is 0",
        ),
        (
            "warm = []\n",
            "smarthost = 'mx.dest.example'",
            "no provider sees our addresses",
        ),
        (
            "warm = []\n",
            "source = '127.0.0.1'",
            "name this one there as `warm`",
        ),
        (
            "warm = []\n",
            "[outbound.provider.'a b']",
            "\"a b\" is neither the name of a provider nor a domain",
        ),
    ] {
        let more = provider.config(&folder, plan, more);
        let error = support::server::try_bind(&folder, &more, resolver())
            .await
            .unwrap_err();
        assert!(error.contains(why), "{plan}: {error}");
    }
}
