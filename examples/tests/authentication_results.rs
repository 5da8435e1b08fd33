//! What the example server does with Authentication-Results of mail from outside.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use examples::demo;
use examples::server::{Security, Service};
use support::Folder;
use support::server::with_demo;
use support::tool::{expect, run};

/// RFC 8601 §4.1: on top of all other fields, and these in their order; §5: without those of our own name.
#[test]
fn the_field_goes_on_top() {
    let folder = Folder::new("results");
    let hostname = demo::config(folder.folder()).hostname;
    let other = "Authentication-Results: other.example;\r\n spf=pass smtp.mailfrom=example.net";
    let message = format!(
        "Received: from a by b; Fri, 1 Jan 2021 00:00:00 +0000\r\n\
         Authentication-Results: {hostname}; dmarc=pass\r\n\
         {other}\r\n\
         authentication-results: (x) {} 1; dkim=pass\r\n\
         From: joe@unsigned.example\r\nSubject: forged results\r\n\r\nx\r\n",
        hostname.to_uppercase()
    );
    let mut whole = String::new();
    with_demo(&folder, |on| {
        deliver(on(Service::Smtp, Security::StartTls), &message);
        let password = folder.write("password.txt", format!("{}\n", demo::PASSWORD));
        let imap = format!("localhost:{}", on(Service::Imap, Security::Implicit));
        let ca = folder.path("certificate.pem");
        let login = [
            &imap,
            "--user",
            "alice",
            "--ca",
            &ca,
            "--password-file",
            &password,
        ];
        let fetch = |more: &[&str]| {
            let arguments: Vec<&str> = login.iter().chain(more).copied().collect();
            expect(&run("imap-fetch", &arguments, b""), 0)
        };
        let list = fetch(&[]);
        let mut lines = list.lines();
        let line = lines
            .find(|line| line.ends_with("\tforged results"))
            .unwrap();
        whole = fetch(&["--uid", line.split('\t').next().unwrap()]);
    });

    let name = "authentication-results:";
    let fields: Vec<&str> = whole
        .split("\r\n")
        .filter(|line| line.to_lowercase().starts_with(name))
        .collect();
    assert_eq!(fields.len(), 2, "{whole}");
    assert!(fields[0].contains(&hostname), "{whole}");
    assert!(!fields[0].contains("dmarc=pass"), "{whole}");
    let ours = whole.find(fields[0]).unwrap();
    let first_received = whole.find("Received: from a by b").unwrap();
    assert!(ours < whole.find("\r\nReceived:").unwrap(), "{whole}");
    // Below it the message as it came, but for the forged fields.
    let rest = &whole[first_received..];
    let expected = format!(
        "Received: from a by b; Fri, 1 Jan 2021 00:00:00 +0000\r\n{other}\r\nFrom: joe@unsigned.example\r\nSubject: forged results\r\n\r\nx\r\n"
    );
    assert_eq!(rest, expected);
}

/// Brings a message as a server from outside does.
fn deliver(port: u16, message: &str) {
    let stream = TcpStream::connect(("localhost", port)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut reply = |wanted: &str| loop {
        let line = replies.next().unwrap().unwrap();
        assert!(line.starts_with(wanted), "{line}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    };
    let mut stream = stream;
    reply("220");
    for (command, wanted) in [
        ("EHLO client.example", "250"),
        ("MAIL FROM:<joe@unsigned.example>", "250"),
        ("RCPT TO:<alice@example.org>", "250"),
        ("DATA", "354"),
        (&format!("{message}."), "250"),
        ("QUIT", "221"),
    ] {
        write!(stream, "{command}\r\n").unwrap();
        reply(wanted);
    }
}
