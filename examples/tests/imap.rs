//! The IMAP service, driven by other people's programs: curl, and Python's imaplib.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use examples::resolver::Resolver;
use examples::server::{Security, Service};
use examples::store::Delivery;
use mail_dns::Zone;
use support::Folder;
use support::server::Running;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

struct Fixture {
    folder: Folder,
    server: Running,
    imap: SocketAddr,
    imaps: SocketAddr,
}

impl Fixture {
    async fn start(name: &str) -> Self {
        let folder = Folder::new(&format!("imap-{name}"));
        let resolver = Resolver::from_zone(Zone::new());
        let server = Running::start(&folder, "[failed_login]\ndelay = 10\n", resolver).await;
        Self {
            folder,
            imap: server.address(Service::Imap),
            imaps: server.address_with(Service::Imap, Security::Implicit),
            server,
        }
    }

    async fn deliver(&self, message: Vec<u8>) {
        let deliver = self.server.context.store(move |store| {
            let account = store.account("anna")?.unwrap();
            let inbox = store.mailbox(account.id, "INBOX")?.unwrap();
            let mut spool = store.spool()?;
            spool.write(&message)?;
            let delivery = Delivery {
                mailbox: inbox.id,
                added: Vec::new(),
                flags: Vec::new(),
                internal_date: 1_000_000_000,
            };
            store.commit(spool, &[delivery], &[])
        });
        deliver.await.unwrap();
    }

    async fn end(self) {
        self.server.end().await;
    }
}

/// `None`, said on stderr, where there is no such program.
async fn run(command: &mut Command) -> Option<Output> {
    match command.kill_on_drop(true).output().await {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: {:?}: {error}", command.as_std().get_program());
            None
        }
    }
}

fn python_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/imap"))
}

/// Every octet but NUL, long lines, bare CR and LF, 300 kB.
fn odd_message() -> Vec<u8> {
    let mut message = b"From: anna@example.org\r\nSubject: odd\r\n\r\n".to_vec();
    for line in 0..1200_u32 {
        message.extend((0..=254_u8).map(|octet| octet.wrapping_add(line as u8).max(1)));
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"no line end");
    message
}

const PARTS: &str = "From: Anna <anna@example.org>\r\nTo: bert@example.net\r\nSubject: A report\r\n\
    Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
    See the report.\r\n\r\n--b\r\nContent-Type: application/octet-stream; name=\"report.bin\"\r\n\
    Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"report.bin\"\r\n\r\n\
    AAECAwQFBgc=\r\n\r\n--b--\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imaplib() {
    let fixture = Fixture::start("imaplib").await;
    fixture.deliver(odd_message()).await;
    fixture.deliver(PARTS.into()).await;
    let odd = fixture.folder.path("odd");
    std::fs::write(&odd, odd_message()).unwrap();
    let mut python = Command::new("python3");
    python
        .arg(python_folder().join("session.py"))
        .args(["localhost", &fixture.imap.port().to_string()])
        .arg(fixture.imaps.port().to_string())
        .arg(fixture.folder.path("certificate.pem"))
        .args(["anna", "pencil & paper"])
        .arg(&odd);
    if let Some(output) = run(&mut python).await {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(output.stdout, b"done\n", "{said}");
        let spooled = std::fs::read_dir(fixture.folder.path("data/spool"));
        assert_eq!(
            spooled.map_or(0, Iterator::count),
            0,
            "half a message is left"
        );
    }
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl() {
    let fixture = Fixture::start("curl").await;
    fixture.deliver(odd_message()).await;
    let curl = |path: &str, user: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
            .arg(fixture.folder.path("certificate.pem"))
            .args(["--user", user])
            .arg(format!("imaps://localhost:{}/{path}", fixture.imaps.port()));
        curl
    };
    let right = "anna:pencil & paper";
    if let Some(fetched) = run(&mut curl("INBOX;UID=1", right)).await {
        let said = String::from_utf8_lossy(&fetched.stderr);
        assert!(fetched.status.success(), "{said}");
        assert!(fetched.stdout == odd_message(), "{said}");
        let listed = run(&mut curl("", right)).await.unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout);
        assert!(listed.contains("\\Sent) \"/\" Sent"), "{listed}");
        let refused = run(&mut curl("", "anna:wrong")).await.unwrap();
        // CURLE_LOGIN_DENIED
        assert_eq!(refused.status.code(), Some(67));
    }
    fixture.end().await;
}

/// What the server says on a plain connection until it closes it, after these octets.
async fn said(address: SocketAddr, octets: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(octets).await.unwrap();
    let mut said = String::new();
    let reading = socket.read_to_string(&mut said);
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the server ends the connection")
        .unwrap();
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_logs_in_without_tls() {
    let fixture = Fixture::start("plain").await;
    let said = said(
        fixture.imap,
        b"i ID NIL\r\na LOGIN anna \"pencil & paper\"\r\nb AUTHENTICATE PLAIN\r\nc SELECT INBOX\r\nd LOGOUT\r\n",
    )
    .await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(" LOGINDISABLED]"), "{said}");
    let lines = &lines[2..];
    assert!(lines[0].starts_with("i OK "), "{said}");
    assert!(lines[1].starts_with("a NO [PRIVACYREQUIRED]"), "{said}");
    assert!(lines[2].starts_with("b NO [PRIVACYREQUIRED]"), "{said}");
    assert!(lines[3].starts_with("c BAD "), "{said}");
    assert!(lines[4].starts_with("* BYE "), "{said}");
    assert!(lines[5].starts_with("d OK "), "{said}");
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stops_with_good_bye() {
    let fixture = Fixture::start("stop").await;
    let mut socket = BufReader::new(TcpStream::connect(fixture.imap).await.unwrap());
    let mut greeting = String::new();
    socket.read_line(&mut greeting).await.unwrap();
    assert!(
        greeting.starts_with("* OK [CAPABILITY IMAP4rev2 "),
        "{greeting}"
    );
    fixture.end().await;
    let mut last = String::new();
    socket.read_to_string(&mut last).await.unwrap();
    assert_eq!(last, "* BYE The server is stopping\r\n");
}
