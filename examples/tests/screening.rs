//! What strangers get at port 25; what the command `screen` says of it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::Arc;

use examples::resolver::Resolver;
use examples::screen::{Claim, Imagined};
use examples::server::Service;
use mail_dns::Zone;
use screening::early_talker::Conduct;
use support::Folder;
use support::server::{Client, Running};
use support::tool::{expect, expect_json, run};

const ZONE: &str = r#"
$TTL 60
$ORIGIN example.
@ IN TXT "root"
7.2.0.192.in-addr.arpa. IN PTR p12345.pool
p12345.pool IN A 192.0.2.7
80.2.0.192.in-addr.arpa. IN PTR mail.honest
mail.honest IN A 192.0.2.80
66.2.0.192.in-addr.arpa. IN PTR mail.spammer
mail.spammer IN A 192.0.2.66
66.2.0.192.bad IN A 127.0.0.2
66.2.0.192.bad IN TXT "sends spam"
2.0.0.127.bad IN A 127.0.0.2
1.0.0.127.in-addr.arpa. IN PTR mail.local
mail.local IN A 127.0.0.1
"#;

const MORE: &str = r#"
    [screening]
    exempt = []
    greeting_delay = 0
    [[screening.list]]
    zone = "bad.example"
    weight = 9
    reason = true
    tested = false
    [screening.greylisting]
    delay = 0
"#;

fn resolver() -> Resolver {
    Resolver::from_zone(ZONE.parse::<Zone>().unwrap())
}

/// A transaction up to the reply to its recipient.
async fn rcpt(client: &mut Client, helo: &str, recipient: &str, code: &str) -> String {
    client.ask(&format!("EHLO {helo}"), "250").await;
    client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
    client.ask(&format!("RCPT TO:<{recipient}>"), code).await
}

async fn data(client: &mut Client, header: &str) {
    client.ask("DATA", "354").await;
    client
        .send(format!("{header}From: joe@elsewhere.example\r\n\r\nHello\r\n").as_bytes())
        .await;
    client.ask(".", "250").await;
}

/// The newest message that anna has.
async fn newest(server: &Running) -> String {
    let newest = newest_or_none(server).await;
    assert!(!newest.is_empty());
    newest
}

async fn newest_or_none(server: &Running) -> String {
    let newest = server.context.store(|store| {
        let anna = store.account("anna")?.unwrap();
        let inbox = store.mailbox(anna.id, "INBOX")?.unwrap().id;
        let Some(last) = store.entries(inbox)?.pop() else {
            return Ok(Vec::new());
        };
        let mut message = store.message(inbox, last.uid)?;
        message.read(1 << 16)
    });
    String::from_utf8(newest.await.unwrap()).unwrap()
}

fn fields(message: &str) -> Vec<String> {
    let unfolded = message.replace("\r\n ", " ").replace("\r\n\t", " ");
    let lines = unfolded.lines();
    let ours = lines.filter(|line| line.to_lowercase().starts_with("yubin-screening"));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_looks_like_a_dial_up_line_passes_when_it_comes_back_and_is_known_after_a_restart() {
    let folder = Folder::new("screening-greylist");
    let server = Running::start_behind_proxy(&folder, MORE, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.7", smtp).await;
    let reply = rcpt(
        &mut client,
        "p12345.pool.example",
        "anna@example.org",
        "450",
    )
    .await;
    assert!(reply.starts_with("450 4.7.1 "), "{reply}");
    // Postmaster is there for everybody (RFC 5321 §4.5.1).
    client.ask("RCPT TO:<Postmaster>", "250").await;
    server.end().await;

    let server = Running::start_behind_proxy(&folder, MORE, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.7", smtp).await;
    rcpt(
        &mut client,
        "p12345.pool.example",
        "anna@example.org",
        "250",
    )
    .await;
    data(
        &mut client,
        "Yubin-Screening: accept, score -9\r\nyubin-screening : accept\r\n",
    )
    .await;
    assert_eq!(
        fields(&newest(&server).await),
        [r#"Yubin-Screening: greylist, score 3: +3 rule 2: five digits in "p12345""#]
    );
    server.end().await;
}

#[tokio::test]
async fn greylisting_may_wait_for_the_message() {
    let folder = Folder::new("screening-greylist-message");
    let more = format!("{MORE}reply_to = 'message'\n");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let name = "p12345.pool.example";
    for code in ["450", "250"] {
        let mut client = Client::connect_from("192.0.2.7", smtp).await;
        rcpt(&mut client, name, "anna@example.org", "250").await;
        client.ask("DATA", "354").await;
        client
            .send(b"From: joe@elsewhere.example\r\n\r\nHello\r\n")
            .await;
        let reply = client.ask(".", code).await;
        assert_eq!(code == "450", reply.starts_with("450 4.7.1 Not known"));
        let has_come = !newest_or_none(&server).await.is_empty();
        assert_eq!(has_come, code == "250");
    }
    // A refusal for good costs nobody a whole message.
    let mut client = Client::connect_from("192.0.2.66", smtp).await;
    rcpt(&mut client, "mx.example.org", "anna@example.org", "550").await;
    server.end().await;
}

#[tokio::test]
async fn a_listed_client_that_lies_in_helo_is_refused_and_honest_ones_are_not() {
    let folder = Folder::new("screening-refuse");
    let server = Running::start_behind_proxy(&folder, MORE, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.66", smtp).await;
    let reply = rcpt(&mut client, "mx.example.org", "anna@example.org", "550").await;
    assert!(
        reply.starts_with("550 5.7.1 Refused [192.0.2.66]: on bad.example: \"sends spam\""),
        "{reply}"
    );
    client.ask("RCPT TO:<postmaster@example.org>", "250").await;
    let mut client = Client::connect_from("192.0.2.80", smtp).await;
    rcpt(
        &mut client,
        "mail.honest.example",
        "anna@example.org",
        "250",
    )
    .await;
    data(&mut client, "").await;
    assert_eq!(
        fields(&newest(&server).await),
        ["Yubin-Screening: accept, score 0"]
    );
    server.end().await;
}

#[tokio::test]
async fn an_exempt_network_is_never_screened() {
    let folder = Folder::new("screening-exempt");
    let more = MORE.replace("exempt = []", "exempt = [\"192.0.2.64/26\"]");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.66", smtp).await;
    rcpt(&mut client, "mx.example.org", "anna@example.org", "250").await;
    data(&mut client, "").await;
    assert!(fields(&newest(&server).await).is_empty());
    server.end().await;
}

#[tokio::test]
async fn what_a_white_list_says_is_among_the_authentication_results() {
    let folder = Folder::new("screening-white");
    let more = format!(
        "{MORE}[[screening.list]]\nzone = \"good.example\"\nweight = -3\nreason = true\ntested = false\n"
    );
    let zone =
        format!("{ZONE}80.2.0.192.good IN A 127.0.10.1\n80.2.0.192.good IN TXT \"a shop\"\n");
    let resolver = Resolver::from_zone(zone.parse::<Zone>().unwrap());
    let server = Running::start_behind_proxy(&folder, &more, resolver).await;
    let smtp = server.address(Service::Smtp);
    for (client, name, expected) in [
        (
            "192.0.2.80",
            "mail.honest.example",
            "dnswl=pass dns.zone=good.example policy.ip=127.0.10.1 policy.txt=\"a shop\"",
        ),
        (
            "127.0.0.1",
            "mail.local.example",
            "dnswl=none dns.zone=good.example",
        ),
    ] {
        let mut client = Client::connect_from(client, smtp).await;
        rcpt(&mut client, name, "anna@example.org", "250").await;
        data(&mut client, "").await;
        let message = newest(&server).await.replace("\r\n ", " ");
        let mut lines = message.lines();
        let results = lines.find(|line| line.starts_with("Authentication-Results: "));
        assert!(results.unwrap().ends_with(expected), "{message}");
    }
    server.end().await;
}

#[tokio::test]
async fn what_an_autonomous_system_sends_is_remembered() {
    let folder = Folder::new("screening-asn");
    let asn = "[screening.asn]\nipv4_zone = \"origin.asn.example\"\n";
    let zone = r#"
7.2.0.192.origin.asn IN TXT "64500 | 192.0.0.0/8 | ZZ"
7.2.0.192.origin.asn IN TXT "64496 64497 | 192.0.2.0/24 | ZZ | other | 2026-01-01"
9.100.51.198.origin.asn IN TXT "64496 | 198.51.100.0/24 | ZZ"
"#;
    let zone = format!("{ZONE}{zone}");
    let resolver = Resolver::from_zone(zone.parse::<Zone>().unwrap());
    let server = Running::start_behind_proxy(&folder, &format!("{MORE}{asn}"), resolver).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.7", smtp).await;
    client.ask("EHLO p12345.pool.example", "250").await;
    client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
    for number in 0..20 {
        let command = format!("RCPT TO:<nobody{number}@example.org>");
        client.ask(&command, "550").await;
        if number % 5 == 4 {
            client = Client::connect_from("192.0.2.7", smtp).await;
            client.ask("EHLO p12345.pool.example", "250").await;
            client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
        }
    }
    server.end().await;

    let zone_file = folder.write("zone", &zone);
    let config = folder.path("mail-server.toml");
    let asked = [
        "--config",
        &config,
        "screen",
        "198.51.100.9",
        "--helo",
        "mail.other.example",
        "--from",
        "<joe@elsewhere.example>",
        "--to",
        "anna@example.org",
        "--zone",
        &zone_file,
    ];
    let said = expect(&run("mail-server", &asked, b""), 75);
    assert!(
        said.contains("  ASN: AS64496 announces 198.51.100.0/24\n"),
        "{said}"
    );
    assert!(
        said.contains("  past: AS64496: 20 of 20 bad, -100 at "),
        "{said}"
    );
    // Its neighbour by another number knows nothing of it.
    let asked = asked.map(|word| word.replace("198.51.100.9", "198.51.100.10"));
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let said = expect(&run("mail-server", &asked, b""), 75);
    assert!(
        said.contains("  ASN: nobody is known to announce it\n"),
        "{said}"
    );
    assert!(!said.contains("past: "), "{said}");
}

#[tokio::test]
async fn too_much_of_an_address_waits() {
    let folder = Folder::new("screening-rate");
    let more = format!("{MORE}[screening.rates]\naddress = {{ count = 1, per = 3600 }}\n");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.80", smtp).await;
    let name = "mail.honest.example";
    rcpt(&mut client, name, "anna@example.org", "250").await;
    client.ask("RCPT TO:<anna+more@example.org>", "250").await;
    let reply = rcpt(&mut client, name, "anna@example.org", "450").await;
    assert!(reply.starts_with("450 4.7.1 Too much mail"), "{reply}");
    client.ask("RCPT TO:<postmaster>", "250").await;
    let mut other = Client::connect_from("192.0.2.81", smtp).await;
    let reply = rcpt(&mut other, name, "anna@example.org", "450").await;
    assert!(reply.contains("Not known here"), "{reply}");
    server.end().await;
}

#[tokio::test]
async fn of_each_rate_the_reply_says_when_to_come_again() {
    for (rate, other) in [
        ("address", "client"),
        ("network", "network"),
        ("sender", "sender"),
    ] {
        let folder = Folder::new(&format!("screening-rate-{rate}"));
        let more =
            format!("{MORE}{TAKE_ALL}[screening.rates]\n{rate} = {{ count = 1, per = 3600 }}\n");
        let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
        let smtp = server.address(Service::Smtp);
        let send = async |source: &str, sender: &str, code: &str| {
            let mut client = Client::connect_from(source, smtp).await;
            client.ask("EHLO mail.honest.example", "250").await;
            client.ask(&format!("MAIL FROM:<{sender}>"), "250").await;
            client.ask("RCPT TO:<anna@example.org>", code).await
        };
        send("192.0.2.80", "joe@elsewhere.example", "250").await;
        let reply = send("192.0.2.80", "joe@elsewhere.example", "450").await;
        let wait = reply.rsplit_once("please try again in ").unwrap().1;
        let wait: u32 = wait.strip_suffix(" s\r\n").unwrap().parse().unwrap();
        assert!((3_000..=3_600).contains(&wait), "{reply}");
        // What is not counted together, passes.
        match other {
            "client" => send("192.0.2.66", "joe@elsewhere.example", "250").await,
            "network" => send("198.51.100.80", "joe@elsewhere.example", "250").await,
            _ => send("192.0.2.80", "ann@elsewhere.example", "250").await,
        };
        server.end().await;
    }
}

/// A large site is not held up: once its past is good it may send more.
#[tokio::test]
async fn who_has_a_good_past_may_send_more() {
    let folder = Folder::new("screening-known");
    let more = format!(
        "{MORE}[screening.rates]\naddress = {{ count = 7, per = 3600 }}\nknown_address = {{ count = 3, per = 3600 }}\n"
    );
    // In a day, if it is not configured.
    let more = more.replace("exempt = []", "exempt = []\nreputation.good_after = 0");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let mut client = Client::connect_from("192.0.2.80", server.address(Service::Smtp)).await;
    client.ask("EHLO mail.honest.example", "250").await;
    let mut taken = 0;
    let reply = loop {
        client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
        client.send(b"RCPT TO:<anna@example.org>\r\n").await;
        let reply = client.reply().await;
        if !reply.starts_with("250") {
            break reply;
        }
        data(&mut client, "").await;
        taken += 1;
    };
    // Five make a past: until then it was one of seven, and from then on one of three more.
    assert_eq!(taken, 5 + 3, "{reply}");
    assert!(reply.starts_with("450 4.7.1 Too much mail"), "{reply}");
    assert_eq!(
        fields(&newest(&server).await),
        ["Yubin-Screening: accept, score -1: -1 reputation of address 192.0.2.80"]
    );
    server.end().await;
}

#[tokio::test]
async fn who_talks_before_the_greeting_is_noted() {
    let folder = Folder::new("screening-early");
    // Whoever talks is not waited for.
    let more = MORE.replace("greeting_delay = 0", "greeting_delay = 300000");
    let server = Running::start(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    for code in ["450", "250"] {
        let mut client = Client::connect_saying(b"EHLO mail.local.example\r\n", smtp).await;
        client.reply().await;
        client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
        client.ask("RCPT TO:<anna@example.org>", code).await;
        if code == "250" {
            data(&mut client, "").await;
        }
    }
    assert_eq!(
        fields(&newest(&server).await),
        ["Yubin-Screening: greylist, score 5: +5 talked before the greeting"]
    );
    server.end().await;
}

/// Everybody's message is taken, so that it tells what was found.
const TAKE_ALL: &str = "[screening.thresholds]\ngreylist = 'never'\ntarpit = 'never'\n";

/// Sends lines, each after the replies to those before it, then a message; gives what was found of it.
async fn found_after(server: &Running, source: &str, lines: &[(&[u8], &[&str])]) -> Vec<String> {
    let mut client = Client::connect_from(source, server.address(Service::Smtp)).await;
    for (line, codes) in lines {
        client.send(line).await;
        for code in *codes {
            let reply = client.reply().await;
            assert!(reply.starts_with(code), "{}: {reply}", line.escape_ascii());
        }
    }
    client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
    client.ask("RCPT TO:<anna@example.org>", "250").await;
    data(&mut client, "").await;
    fields(&newest(server).await)
}

/// What would happen to a message.
async fn explained(server: &Running, client: &str, domain: &str) -> String {
    let claim = Claim {
        client: client.parse().unwrap(),
        helo: None,
        sender: format!("<joe@{domain}>").parse().unwrap(),
    };
    let (screen, resolver) = (&server.context.screen, &server.context.resolver);
    let message = Imagined {
        claim,
        conduct: Conduct::default(),
        recipient: "anna@example.org".to_owned(),
        signed_by: Vec::new(),
    };
    let store = Some(&*server.context.store.0);
    let config = Some(&server.context.config);
    let explained = screen.explain(config, resolver, store, message);
    explained.await.unwrap().to_string()
}

#[tokio::test]
async fn what_mail_servers_do_not_do_counts() {
    let folder = Folder::new("screening-conduct");
    let more = format!("{MORE}{TAKE_ALL}")
        .replace("exempt = []", "exempt = []\nreputation.enabled = false");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let ehlo: (&[u8], &[&str]) = (b"EHLO mail.honest.example\r\n", &["250"]);
    let transaction = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n";
    for (lines, found) in [
        (vec![ehlo], "accept, score 0"),
        // What an honest client may do: a command that is not known, one that is not offered, a group whose MAIL is refused.
        (
            vec![
                ehlo,
                (b"XYZZY\r\n", &["500"]),
                (b"EXPN all\r\n", &["502"]),
                (
                    b"MAIL FROM:<a@b.example> X=Y\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n",
                    &["555", "503", "503"],
                ),
                (b"RSET\r\n", &["250"]),
            ],
            "accept, score 0",
        ),
        (
            vec![ehlo, (b"Subject: hello\r\n", &["500"])],
            "accept, score 6: +6 sent a command of another protocol",
        ),
        (
            vec![ehlo, (b"GET / HTTP/1.1\r\n", &["500"])],
            "accept, score 6: +6 sent a command of another protocol",
        ),
        (
            vec![ehlo, (b"NOOP\n", &["500"])],
            "accept, score 2: +2 sent a bare newline",
        ),
        (
            vec![
                ehlo,
                (transaction, &["250", "250", "354"]),
                (b"From: a@b.example\r\n\r\na\nb\r\n.\r\n", &["550"]),
            ],
            "accept, score 2: +2 sent a bare newline",
        ),
        (
            vec![(b"EHLO mail.honest.example\r\nNOOP\r\n", &["250", "250"])],
            "accept, score 3: +3 did not wait for replies",
        ),
        (
            vec![
                (b"HELO mail.honest.example\r\n", &["250"]),
                (
                    b"NOOP\r\nGET / HTTP/1.1\r\nNOOP\nRSET\r\n",
                    &["250", "500", "500", "250"],
                ),
            ],
            "accept, score 11: +6 sent a command of another protocol, \
             +2 sent a bare newline, +3 did not wait for replies",
        ),
    ] {
        let was = found_after(&server, "192.0.2.80", &lines).await;
        assert_eq!(was, [format!("Yubin-Screening: {found}")]);
    }
    server.end().await;
}

/// Behind a load balancer what comes with its header says nothing of the client.
#[tokio::test]
async fn who_talks_before_the_greeting_is_not_judged_behind_a_proxy() {
    let folder = Folder::new("screening-proxy");
    let more = MORE.replace("greeting_delay = 0", "greeting_delay = 300000");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let first = b"PROXY TCP4 192.0.2.80 127.0.0.1 4000 25\r\nEHLO mail.honest.example\r\n";
    let mut client = Client::connect_saying(first, server.address(Service::Smtp)).await;
    client.reply().await;
    client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
    client.ask("RCPT TO:<anna@example.org>", "250").await;
    data(&mut client, "").await;
    assert_eq!(
        fields(&newest(&server).await),
        ["Yubin-Screening: accept, score 0"]
    );
    server.end().await;
}

#[tokio::test]
async fn a_connection_that_was_ended_for_its_conduct_counts_for_the_next() {
    let folder = Folder::new("screening-ended");
    let more = format!("{MORE}{TAKE_ALL}");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    for number in 0..10 {
        let mut client = Client::connect_from("192.0.2.80", smtp).await;
        if number % 2 == 0 {
            client
                .ask("CONNECT mx.example.org:25 HTTP/1.1", "421")
                .await;
        } else {
            client.ask("EHLO mail.honest.example", "250").await;
            client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
            // Whoever tries to relay is not slowed down as for a mistake.
            for _ in 0..20 {
                client.ask("RCPT TO:<joe@elsewhere.example>", "554").await;
            }
            assert!(client.reply().await.starts_with("421"));
        }
        client.end().await;
    }
    // It is written down after the connection was closed.
    while !explained(&server, "192.0.2.80", "elsewhere.example")
        .await
        .contains("10 of 10 bad")
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ehlo: (&[u8], &[&str]) = (b"EHLO mail.honest.example\r\n", &["250"]);
    let found = found_after(&server, "192.0.2.80", &[ehlo]).await;
    assert_eq!(
        found,
        ["Yubin-Screening: accept, score 9: +9 reputation of address 192.0.2.80"]
    );
    server.end().await;
}

/// RFC 5782 §5: a list that lists 127.0.0.1, or does not list 127.0.0.2, does not work.
#[tokio::test]
async fn a_list_that_fails_its_test_is_not_asked_until_it_works_again() {
    let folder = Folder::new("screening-lists");
    let more = MORE
        .replace("tested = false", "tested = true")
        .replace("weight = 9", "weight = 3");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let (everything, nothing) = (
        format!("{ZONE}1.0.0.127.bad IN A 127.0.0.2\n"),
        ZONE.replace("2.0.0.127.bad IN A 127.0.0.2\n", ""),
    );
    let mut now = examples::server::now();
    for (zone, is_asked) in [
        (ZONE, true),
        (&everything, false),
        (ZONE, true),
        (&nothing, false),
        (ZONE, true),
    ] {
        // Longer than from any test to the next.
        now += 86_400;
        let resolver = Resolver::from_zone(zone.parse::<Zone>().unwrap());
        server.context.screen.test_lists(&resolver, now).await;
        let mut client = Client::connect_from("192.0.2.66", smtp).await;
        // Each from a sender of its own, whom the greylist has not seen.
        client.ask("EHLO mail.spammer.example", "250").await;
        client
            .ask(&format!("MAIL FROM:<joe@{now}.example>"), "250")
            .await;
        let code = if is_asked { "450" } else { "250" };
        client.ask("RCPT TO:<anna@example.org>", code).await;
    }
    server.end().await;
}

#[tokio::test]
async fn in_the_tarpit_each_recipient_waits() {
    let folder = Folder::new("screening-tarpit");
    let more =
        format!("{MORE}[screening.thresholds]\ntarpit = 7\ntarpit_delay = 1\nrefuse = 'never'\n");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    let mut client = Client::connect_from("192.0.2.66", smtp).await;
    client.ask("EHLO mail.spammer.example", "250").await;
    client.ask("MAIL FROM:<joe@elsewhere.example>", "250").await;
    for _ in 0..2 {
        let asked = std::time::Instant::now();
        client.ask("RCPT TO:<anna@example.org>", "450").await;
        assert!(asked.elapsed() >= std::time::Duration::from_secs(1));
    }
    server.end().await;
}

/// What DMARC found counts for the domain that SPF proves, and for nobody whose name was only used.
#[tokio::test]
async fn what_dmarc_finds_counts_for_the_domain_that_sent() {
    let zone = format!(
        "{ZONE}good IN TXT \"v=spf1 ip4:192.0.2.80/31 -all\"\nbad-sender IN TXT \"v=spf1 ip4:192.0.2.80/31 -all\"\n\
         _dmarc.elsewhere IN TXT \"v=DMARC1; p=none\"\n_dmarc.good IN TXT \"v=DMARC1; p=reject\"\n\
         _dmarc.forged IN TXT \"v=DMARC1; p=reject\"\n"
    );
    let resolver = || Resolver::from_zone(zone.parse::<Zone>().unwrap());
    let folder = Folder::new("screening-dmarc");
    let more = format!("{MORE}{TAKE_ALL}refuse = 'never'\n");
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    // A failure weighs half of a message, and below five nothing is said.
    for (sender, author, count, code) in [
        ("good.example", "good.example", 6, "250"),
        ("bad-sender.example", "forged.example", 12, "550"),
    ] {
        let mut client = Client::connect_from("192.0.2.80", smtp).await;
        client.ask("EHLO mail.honest.example", "250").await;
        for _ in 0..count {
            client
                .ask(&format!("MAIL FROM:<joe@{sender}>"), "250")
                .await;
            client.ask("RCPT TO:<anna@example.org>", "250").await;
            client.ask("DATA", "354").await;
            let message = format!("From: joe@{author}\r\n\r\nHello\r\n.");
            client.ask(&message, code).await;
        }
    }
    for (domain, past) in [
        ("good.example", Some("0 of 6 bad")),
        ("bad-sender.example", Some("12 of 12 bad")),
        ("forged.example", None),
    ] {
        // It has sent nothing, and SPF lets it send for both.
        let explained = explained(&server, "192.0.2.81", domain).await;
        let found = explained.lines().find(|line| line.contains("SPF domain"));
        assert_eq!(found.is_some(), past.is_some(), "{explained}");
        assert!(
            found.unwrap_or_default().contains(past.unwrap_or_default()),
            "{explained}"
        );
    }
    server.end().await;
}

/// Takes one message for nobody: to each recipient it gives this reply.
async fn other_server(reply: &'static str) -> std::net::SocketAddr {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = BufReader::new(socket);
        socket.write_all(b"220 other.example\r\n").await.unwrap();
        let mut line = String::new();
        while socket.read_line(&mut line).await.unwrap_or(0) > 0 {
            let answer = match line.get(..4) {
                Some("RCPT") => reply,
                _ => "250 OK",
            };
            line.clear();
            let answered = socket.write_all(format!("{answer}\r\n").as_bytes()).await;
            if answered.is_err() {
                return;
            }
        }
    });
    address
}

#[tokio::test]
async fn what_others_answer_counts_for_our_own_standing() {
    let folder = Folder::new("screening-own");
    let other = other_server("550 5.7.1 Client host [127.0.0.1] blocked using bl.example").await;
    let more = format!(
        "[pop_before_smtp]\nenabled = true\n[outbound]\nport = {}\n",
        other.port()
    );
    let zone = Zone::new().a("other.example", [127, 0, 0, 1]);
    let server = Running::start(&folder, &more, Resolver::from_zone(zone)).await;
    let client = "127.0.0.1".parse().unwrap();
    server.context.accounts.read_by_pop(client, "anna").await;
    let mut client = Client::connect(server.address(Service::Submission)).await;
    client.ask("EHLO client.example", "250").await;
    client.ask("MAIL FROM:<anna@example.org>", "250").await;
    client.ask("RCPT TO:<joe@other.example>", "250").await;
    client.ask("DATA", "354").await;
    client
        .ask("From: anna@example.org\r\n\r\nHello\r\n.", "250")
        .await;
    // The bounce is written after the answer was counted.
    while !newest_or_none(&server).await.contains("blocked using") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let own = Arc::clone(&server.context.own_addresses);
    let resolver = &server.context.resolver;
    let provider = own
        .provider(resolver, &"other.example".parse().unwrap())
        .await;
    let rows = server
        .context
        .store(move |store| own.status(store, &provider, examples::server::now()));
    let (provider, rows) = rows.await.unwrap();
    assert_eq!(provider.as_str(), "other.example");
    let [row] = rows.try_into().unwrap();
    assert_eq!(row.counts.rejected, 1);
    assert!(
        row.to_string().starts_with("good; in 7 days 0 taken"),
        "{row}"
    );
    server.end().await;
}

#[tokio::test]
async fn the_answer_of_a_correspondent_is_not_greylisted_and_a_forged_one_is() {
    let folder = Folder::new("screening-correspondents");
    let more = format!("{MORE}[pop_before_smtp]\nenabled = true\n");
    let resolver = || {
        let zone = format!(
            "{ZONE}friend IN TXT \"v=spf1 ip4:192.0.2.7 -all\"\n\
             lax IN TXT \"v=spf1 +all\"\nsoft IN TXT \"v=spf1 ~all\"\n"
        );
        Resolver::from_zone(zone.parse::<Zone>().unwrap())
    };
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let client = "127.0.0.1".parse().unwrap();
    server.context.accounts.read_by_pop(client, "anna").await;
    let mut client = Client::connect(server.address(Service::Submission)).await;
    client.ask("EHLO client.example", "250").await;
    client.ask("MAIL FROM:<anna@example.org>", "250").await;
    let they = ["zoe@friend.example", "zoe@lax.example", "zoe@soft.example"];
    for theirs in they {
        client.ask(&format!("RCPT TO:<{theirs}>"), "250").await;
    }
    client.ask("DATA", "354").await;
    let message = "From: anna@example.org\r\n\r\nHello\r\n.";
    client.ask(message, "250").await;
    server.end().await;

    // It is known after a restart too. 192.0.2.7 looks like a dial-up line.
    let server = Running::start_behind_proxy(&folder, &more, resolver()).await;
    let smtp = server.address(Service::Smtp);
    for (sender, recipient, code) in [
        // Nobody has written to her, and anybody may claim to be the others.
        ("ben@friend.example", "anna@example.org", "450"),
        ("zoe@lax.example", "anna@example.org", "450"),
        ("zoe@soft.example", "anna@example.org", "450"),
        ("", "anna@example.org", "450"),
        ("Zoe@Friend.example", "anna@example.org", "250"),
    ] {
        let mut client = Client::connect_from("192.0.2.7", smtp).await;
        client.ask("EHLO p12345.pool.example", "250").await;
        client.ask(&format!("MAIL FROM:<{sender}>"), "250").await;
        client.ask(&format!("RCPT TO:<{recipient}>"), code).await;
        if code == "250" {
            data(&mut client, "").await;
        }
    }
    let [field] = fields(&newest(&server).await).try_into().unwrap();
    assert!(field.starts_with("Yubin-Screening: accept, "), "{field}");
    assert!(field.contains("-5 "), "{field}");
    server.end().await;
}

fn arguments<'a>(client: &'a str, helo: &'a str, zone: &'a str) -> Vec<&'a str> {
    let from = "joe@elsewhere.example";
    vec![
        "screen",
        client,
        "--helo",
        helo,
        "--from",
        from,
        "--to",
        "anna@example.org",
        "--zone",
        zone,
    ]
}

#[test]
fn the_command_tells_what_would_happen_and_remembers_nothing() {
    let folder = Folder::new("screening-command");
    let zone = folder.write("zone", ZONE);
    for _ in 0..2 {
        let screened = run(
            "mail-server",
            &arguments("192.0.2.7", "p12345.pool.example", &zone),
            b"",
        );
        let told = expect(&screened, 75);
        for line in [
            "iprev: pass: its name leads back to it (p12345.pool.example)\n",
            "+3 rule 2: five digits in \"p12345\"",
            "decision: greylist, score 3",
            "greylist: to come again in 60 s: never seen",
            "reply: 450 4.7.1 ",
        ] {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }
    let screened = run(
        "mail-server",
        &arguments("192.0.2.80", "mail.honest.example", &zone),
        b"",
    );
    let told = expect(&screened, 0);
    assert!(
        told.ends_with("decision: accept, score 0\nreply: 250 2.1.5\n"),
        "{told}"
    );
    let mut arguments = arguments("192.0.2.80", "mail.honest.example", &zone);
    arguments.extend(["--conduct", "pipelining", "--conduct", "bare_newline"]);
    let told = expect(&run("mail-server", &arguments, b""), 75);
    for line in [
        "  conduct: sent a bare newline\n  conduct: did not wait for replies\n",
        "  +2 sent a bare newline\n  +3 did not wait for replies\ndecision: greylist, score 5\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}

#[test]
fn the_command_knows_the_configuration_and_prints_json() {
    let folder = Folder::new("screening-json");
    let zone = folder.write("zone", ZONE);
    let config = folder.write(
        "mail-server.toml",
        format!(
            "hostname = 'mx.example.org'\ndomains = ['example.org']\ndata = 'none'\n\
             [tls]\ncertificate = 'c'\nkey = 'k'\n[[account]]\nname = 'anna'\naddresses = ['anna@example.org']\nkeys = 'k'\n\
             [aliases]\n'away@example.org' = ['anna@elsewhere.example']\n{MORE}"
        ),
    );
    let mut arguments = arguments("192.0.2.66", "mx.example.org", &zone);
    arguments.extend(["--config", &config, "--json"]);
    let told = expect_json(&run("mail-server", &arguments, b""), 1);
    assert_eq!(told["decision"], "refuse");
    assert_eq!(told["score"], 14);
    assert_eq!(told["code"], 550);
    assert_eq!(told["reasons"][0]["why"], "HELO: a name of ours");
    assert!(!folder.folder().join("none").exists());
    arguments[7] = "postmaster@example.org";
    let told = expect_json(&run("mail-server", &arguments, b""), 0);
    assert_eq!(told["code"], 250);
    assert_eq!(told["goes_to"][0], "the account \"anna\"");
    // As the server answers, whoever sends.
    for (to, code, reply) in [
        ("nobody@example.org", 550, "550 5.1.1 No such user here"),
        (
            "anna@elsewhere.example",
            554,
            "554 5.7.1 Relaying denied: log in to send mail elsewhere",
        ),
    ] {
        arguments[7] = to;
        let told = expect_json(&run("mail-server", &arguments, b""), 1);
        assert_eq!(
            (&told["code"], &told["reply"]),
            (&code.into(), &reply.into())
        );
        assert!(told["goes_to"].is_null());
    }
    arguments[1] = "192.0.2.80";
    arguments[3] = "mail.honest.example";
    arguments[7] = "away@example.org";
    let told = expect_json(&run("mail-server", &arguments, b""), 0);
    assert_eq!(told["goes_to"][0], "anna@elsewhere.example");
}
