//! What the example server does with Authentication-Results of mail from outside.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use examples::demo;
use examples::server::{Security, Service};
use support::Folder;
use support::tool::command;

/// RFC 8601 §4.1: on top of all other fields, and these in their order; §5: without those of our own name.
#[test]
fn the_field_goes_on_top() {
    let own = Folder::new("results");
    let folder = own.folder();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config = demo::config(folder);
    let hostname = config.hostname.clone();
    let listen = &mut config.listen;
    for ports in [
        &mut listen.smtp,
        &mut listen.submission,
        &mut listen.submissions,
        &mut listen.imap,
        &mut listen.imaps,
        &mut listen.pop3,
        &mut listen.pop3s,
    ] {
        ports.iter_mut().for_each(|address| address.set_port(0));
    }
    let demo = runtime.block_on(demo::prepare_with(config)).unwrap();
    let (server, _, _) = demo.into_parts();
    let addresses = server.addresses().to_vec();
    let on = |service, security| {
        let mut addresses = addresses.iter();
        let found = addresses.find(|(s, how, _)| (*s, *how) == (service, security));
        found.unwrap().2.port()
    };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async move {
        let _ = ended.await;
    }));

    let other = "Authentication-Results: other.example;\r\n spf=pass smtp.mailfrom=example.net";
    let message = format!(
        "Received: from a by b; Fri, 1 Jan 2021 00:00:00 +0000\r\n\
         Authentication-Results: {hostname}; dmarc=pass\r\n\
         {other}\r\n\
         authentication-results: (x) {} 1; dkim=pass\r\n\
         From: joe@unsigned.example\r\nSubject: forged results\r\n\r\nx\r\n",
        hostname.to_uppercase()
    );
    deliver(on(Service::Smtp, Security::StartTls), &message);

    let password = folder.join("password.txt");
    std::fs::write(&password, format!("{}\n", demo::PASSWORD)).unwrap();
    let imap = format!("localhost:{}", on(Service::Imap, Security::Implicit));
    let fetch = |more: &[&str]| {
        let output = command("imap-fetch")
            .args([imap.as_str(), "--user", "alice", "--ca"])
            .arg(folder.join("certificate.pem"))
            .arg("--password-file")
            .arg(&password)
            .args(more)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let list = fetch(&[]);
    let line = list
        .lines()
        .find(|line| line.ends_with("\tforged results"))
        .unwrap();
    let whole = fetch(&["--uid", line.split('\t').next().unwrap()]);
    drop(end);
    runtime.block_on(running).unwrap();

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
