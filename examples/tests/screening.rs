//! What strangers get at port 25, and those who guess passwords; what the command `screen` says of it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use examples::accounts::{AuthAnswer, Login};
use std::sync::Arc;

use examples::resolver::Resolver;
use examples::server::Service;
use mail_dns::Zone;
use sasl_core::server::Question;
use support::Folder;
use support::server::{Client, PASSWORD, Running};
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
    weight = 7
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
async fn who_talks_before_the_greeting_is_noted() {
    let folder = Folder::new("screening-early");
    // Whoever talks is not waited for.
    let more = MORE.replace("greeting_delay = 0", "greeting_delay = 600000");
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

#[tokio::test]
async fn who_guesses_passwords_is_banned_and_the_owner_elsewhere_is_not() {
    let folder = Folder::new("screening-login");
    let more = "[failed_login]\ndelay = 0\naddress_failures = 3\n";
    let server = Running::start(&folder, more, resolver()).await;
    let accounts = &server.context.accounts;
    let right = || Question::CheckPassword {
        authcid: "anna".parse().unwrap(),
        password: mail_wire::Secret::new(PASSWORD.to_owned()),
    };
    let (guesser, owner) = ("192.0.2.7".parse().unwrap(), "192.0.2.80".parse().unwrap());
    for (client, is_right) in [(guesser, true), (owner, true)] {
        let mut login = Login::default();
        let answer = accounts.answer(client, &mut login, right()).await;
        assert!(matches!(answer, AuthAnswer::Password(is) if is == is_right));
        for _ in 0..3 {
            accounts.failed(guesser, &mut login).await;
        }
    }
    let mut login = Login::default();
    let answer = accounts.answer(guesser, &mut login, right()).await;
    assert!(matches!(answer, AuthAnswer::Password(false)), "{answer:?}");
    let answer = accounts.answer(owner, &mut login, right()).await;
    assert!(matches!(answer, AuthAnswer::Password(true)), "{answer:?}");
    server.end().await;
}

#[tokio::test]
async fn a_pop_login_opens_submission_to_its_account_where_that_is_on() {
    for (more, code) in [("", "530"), ("[pop_before_smtp]\nenabled = true\n", "250")] {
        let folder = Folder::new("screening-pop");
        let server = Running::start(&folder, more, resolver()).await;
        let client = "127.0.0.1".parse().unwrap();
        server.context.accounts.read_by_pop(client, "anna").await;
        let mut client = Client::connect(server.address(Service::Submission)).await;
        client.ask("EHLO client.example", "250").await;
        client.ask("MAIL FROM:<anna@example.org>", code).await;
        if code == "250" {
            client.ask("RSET", "250").await;
            client.ask("MAIL FROM:<bert@example.org>", "550").await;
        }
        // Port 25 stays what it is.
        let mut client = Client::connect(server.address(Service::Smtp)).await;
        client.ask("EHLO client.example", "250").await;
        client.ask("MAIL FROM:<anna@example.org>", "250").await;
        client.ask("RCPT TO:<joe@elsewhere.example>", "554").await;
        server.end().await;
    }
}

#[tokio::test]
async fn a_user_does_not_send_more_than_a_day_allows() {
    let folder = Folder::new("screening-user");
    let more = "[screening.rates]\nlogin = { count = 2, per = 86400 }\n[pop_before_smtp]\nenabled = true\n";
    let server = Running::start(&folder, more, resolver()).await;
    let client = "127.0.0.1".parse().unwrap();
    server.context.accounts.read_by_pop(client, "anna").await;
    let mut client = Client::connect(server.address(Service::Submission)).await;
    client.ask("EHLO client.example", "250").await;
    client.ask("MAIL FROM:<anna@example.org>", "250").await;
    for code in ["250", "250", "450"] {
        client.ask("RCPT TO:<joe@elsewhere.example>", code).await;
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
    let rows = server.context.store(move |store| {
        let provider = "other.example".parse().unwrap();
        own.status(store, &provider, examples::server::now())
    });
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
}

#[test]
fn the_command_knows_the_configuration_and_prints_json() {
    let folder = Folder::new("screening-json");
    let zone = folder.write("zone", ZONE);
    let config = folder.write(
        "mail-server.toml",
        format!(
            "hostname = 'mx.example.org'\ndomains = ['example.org']\ndata = 'none'\n\
             [tls]\ncertificate = 'c'\nkey = 'k'\n{MORE}"
        ),
    );
    let mut arguments = arguments("192.0.2.66", "mx.example.org", &zone);
    arguments.extend(["--config", &config, "--json"]);
    let told = expect_json(&run("mail-server", &arguments, b""), 1);
    assert_eq!(told["decision"], "refuse");
    assert_eq!(told["score"], 12);
    assert_eq!(told["code"], 550);
    assert_eq!(told["reasons"][0]["why"], "HELO: a name of ours");
    assert!(!folder.folder().join("none").exists());
    arguments[7] = "postmaster@example.org";
    let told = expect_json(&run("mail-server", &arguments, b""), 0);
    assert_eq!(told["code"], 250);
}
