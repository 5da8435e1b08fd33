//! What a stranger or a user can do to the server, and how far.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use examples::accounts::{AuthAnswer, Login};
use examples::resolver::Resolver;
use examples::server::Service;
use mail_dns::Zone;
use sasl_core::server::Question;
use support::Folder;
use support::server::{Client, PASSWORD, Running};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn resolver() -> Resolver {
    Resolver::from_zone(Zone::default())
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

#[tokio::test]
async fn guesses_at_the_same_time_are_not_all_looked_at() {
    let folder = Folder::new("abuse-guesses");
    let more = "[failed_login]\ndelay = 0\nat_once = 1000\n";
    let server = Running::start(&folder, more, resolver()).await;
    let client = "192.0.2.7".parse().unwrap();
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..120 {
        let context = Arc::clone(&server.context);
        guesses.spawn(async move {
            let mut login = Login::default();
            let authcid = "anna".parse().unwrap();
            let password = mail_wire::Secret::new(format!("guess {number}"));
            let question = Question::CheckPassword { authcid, password };
            context.accounts.answer(client, &mut login, question).await;
            context.accounts.failed(client, &mut login).await;
        });
    }
    while guesses.join_next().await.is_some() {}
    let mut login = Login::default();
    let authcid = "anna".parse().unwrap();
    let password = mail_wire::Secret::new(PASSWORD.to_owned());
    let question = Question::CheckPassword { authcid, password };
    let accounts = &server.context.accounts;
    let answer = accounts.answer(client, &mut login, question).await;
    assert!(matches!(answer, AuthAnswer::Password(false)), "{answer:?}");
    server.end().await;
}

#[tokio::test]
async fn a_botnet_has_few_guesses_at_one_account_and_its_owner_is_let_in() {
    let folder = Folder::new("abuse-botnet");
    let server = Running::start(&folder, "[failed_login]\ndelay = 0\n", resolver()).await;
    let asks = |client: std::net::IpAddr, password: String| {
        let context = Arc::clone(&server.context);
        async move {
            let mut login = Login::default();
            let authcid = "anna".parse().unwrap();
            let password = mail_wire::Secret::new(password);
            let question = Question::CheckPassword { authcid, password };
            let answer = context.accounts.answer(client, &mut login, question).await;
            if matches!(answer, AuthAnswer::Password(true)) {
                context.accounts.succeeded(client, &mut login).await;
            }
            answer
        }
    };
    let office = "192.0.2.80".parse().unwrap();
    let answer = asks(office, PASSWORD.to_owned()).await;
    assert!(matches!(answer, AuthAnswer::Password(true)), "{answer:?}");
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..60 {
        let guess = asks([10, 1, number, 1].into(), format!("guess {number}"));
        guesses.spawn(guess);
    }
    let (mut looked_at, mut put_off) = (0, 0);
    while let Some(answer) = guesses.join_next().await {
        match answer.unwrap() {
            AuthAnswer::Password(false) => looked_at += 1,
            AuthAnswer::Unavailable => put_off += 1,
            answer => panic!("{answer:?}"),
        }
    }
    // Ten, and as many as have landed while the others were looked at.
    assert!((10..40).contains(&looked_at), "{looked_at}");
    assert_eq!(looked_at + put_off, 60);
    let answer = asks(office, PASSWORD.to_owned()).await;
    assert!(matches!(answer, AuthAnswer::Password(true)), "{answer:?}");
    server.end().await;
}

#[tokio::test]
async fn an_address_that_reads_as_another_one_is_refused() {
    let folder = Folder::new("abuse-deceptive");
    let server = Running::start(&folder, "", resolver()).await;
    let mut client = Client::connect(server.address(Service::Smtp)).await;
    client.ask("EHLO client.example", "250").await;
    for sender in [
        "joe\u{202e}@elsewhere.example",
        "j\u{200b}oe@elsewhere.example",
        "\"joe\u{2066} \"@elsewhere.example",
    ] {
        let command = format!("MAIL FROM:<{sender}> SMTPUTF8");
        client.ask(&command, "553 5.1.7").await;
    }
    client
        .ask("MAIL FROM:<jörg@elsewhere.example> SMTPUTF8", "250")
        .await;
    client
        .ask("RCPT TO:<ann\u{202e}a@example.org>", "553 5.1.3")
        .await;
    client.ask("RCPT TO:<anna@example.org>", "250").await;
    server.end().await;
}

#[tokio::test]
async fn a_grant_of_pop_ends_on_an_open_connection_too() {
    let folder = Folder::new("abuse-grant");
    let more = "[pop_before_smtp]\nenabled = true\nminutes = 0\n";
    let server = Running::start(&folder, more, resolver()).await;
    let accounts = &server.context.accounts;
    accounts.read_by_pop([127, 0, 0, 1].into(), "anna").await;
    let mut client = Client::connect(server.address(Service::Submission)).await;
    client.ask("EHLO client.example", "250").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.ask("MAIL FROM:<anna@example.org>", "530").await;
    server.end().await;
}

const BEHIND_PROXY: &str = r#"
    [screening]
    exempt = []
    greeting_delay = 0
    [screening.rates]
    address = { count = 1, per = 3600 }
    postmaster = { count = 2, per = 3600 }
    attempts = { count = 2, per = 3600 }
"#;

#[tokio::test]
async fn postmaster_and_attempts_have_bounds() {
    let folder = Folder::new("abuse-postmaster");
    let server = Running::start_behind_proxy(&folder, BEHIND_PROXY, resolver()).await;
    for (recipient, text) in [("postmaster", "Too much"), ("anna", "Too much")] {
        for number in 1..=3 {
            // Each from another address of the network.
            let address = format!("192.0.2.{number}");
            let mut client = Client::connect_from(&address, server.address(Service::Smtp)).await;
            client.ask("EHLO x", "250").await;
            client.ask("MAIL FROM:<a@elsewhere.example>", "250").await;
            let rcpt = format!("RCPT TO:<{recipient}@example.org>\r\n");
            client.send(rcpt.as_bytes()).await;
            let reply = client.reply().await;
            assert_eq!(
                reply.contains(text),
                number == 3,
                "{recipient} {number}: {reply}"
            );
        }
    }
    // Whoever has an IPv6 network of a provider has 65,536 of those of its customers.
    for (recipient, of_one) in [("postmaster", "250"), ("anna", "450")] {
        for number in 1..=7 {
            let address = format!("2001:db8:{number}::1");
            let mut client = Client::connect_from(&address, server.address(Service::Smtp)).await;
            client.ask("EHLO x", "250").await;
            client.ask("MAIL FROM:<a@elsewhere.example>", "250").await;
            let code = if number == 7 { "450" } else { of_one };
            let rcpt = format!("RCPT TO:<{recipient}@example.org>");
            let reply = client.ask(&rcpt, code).await;
            assert_eq!(reply.contains("Too much"), number == 7, "{number}: {reply}");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn a_message_that_comes_too_slowly_ends_the_connection() {
    let folder = Folder::new("abuse-slow");
    let more = "[limits]\ndata_rate = 1000\ndata_grace = 0\n";
    let server = Running::start(&folder, more, resolver()).await;
    let mut socket = TcpStream::connect(server.address(Service::Smtp))
        .await
        .unwrap();
    let envelope = "EHLO x.example\r\nMAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n";
    socket.write_all(envelope.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let message = b"From: a@elsewhere.example\r\n\r\nHello\r\n";
    socket.write_all(message).await.unwrap();
    let mut replies = Vec::new();
    // The end may be a reset.
    let _ = socket.read_to_end(&mut replies).await;
    let replies = String::from_utf8(replies).unwrap();
    let last = replies.lines().last().unwrap_or_default();
    assert!(last.starts_with("354"), "{replies}");
    server.end().await;
}
