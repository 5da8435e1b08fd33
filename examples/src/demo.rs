//! The server that needs nothing: loopback, high ports, a certificate of its own, two accounts, a zone, a few messages.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dkim::{PrivateKey, Signing};
use mail_dns::Zone;
use mail_syntax::{ForwardPath, Host, Mailbox, ReversePath};
use ring::rand::{SecureRandom as _, SystemRandom};
use smtp_proto::client::TlsPolicy;

use crate::config::{AccountConfig, Config, Listen, Tls};
use crate::intake::date;
use crate::outgoing::{Connection, Content, send};
use crate::resolver::Resolver;
use crate::server::{Security, Server, Service, StartError, now};
use crate::tls::{Trust, make_self_signed};

/// The password of both demo accounts.
pub const PASSWORD: &str = "correct horse";

/// The demo's ports on 127.0.0.1.
const PORTS: [(Service, Security, u16); 7] = [
    (Service::Smtp, Security::StartTls, 2525),
    (Service::Submission, Security::StartTls, 2587),
    (Service::Submission, Security::Implicit, 2465),
    (Service::Imap, Security::StartTls, 2143),
    (Service::Imap, Security::Implicit, 2993),
    (Service::Pop3, Security::StartTls, 2110),
    (Service::Pop3, Security::Implicit, 2995),
];

/// A demo that is ready to run.
#[derive(Debug)]
pub struct Demo {
    /// The server.
    pub server: Server,
    signing: Signing,
}

/// The configuration of the demo: everything lies in `folder`.
#[must_use]
pub fn config(folder: &Path) -> Config {
    let at = |wanted: (Service, Security)| {
        let port = PORTS
            .iter()
            .find(|(service, security, _)| (*service, *security) == wanted);
        port.map(|(_, _, port)| SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))
            .into_iter()
            .collect()
    };
    let account = |name: &str| AccountConfig {
        name: name.to_owned(),
        addresses: vec![format!("{name}@example.org")],
        keys: None,
        password: Some(PASSWORD.to_owned()),
    };
    Config {
        hostname: "mx.example.org".to_owned(),
        domains: vec!["example.org".to_owned()],
        data: folder.join("mail"),
        postmaster: Some("alice".to_owned()),
        tls: Tls {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            ca: None,
        },
        listen: Listen {
            smtp: at((Service::Smtp, Security::StartTls)),
            submission: at((Service::Submission, Security::StartTls)),
            submissions: at((Service::Submission, Security::Implicit)),
            imap: at((Service::Imap, Security::StartTls)),
            imaps: at((Service::Imap, Security::Implicit)),
            pop3: at((Service::Pop3, Security::StartTls)),
            pop3s: at((Service::Pop3, Security::Implicit)),
            proxy_header: false,
        },
        accounts: vec![account("alice"), account("bob")],
        aliases: [(
            "team@example.org".to_owned(),
            vec!["alice@example.org".to_owned(), "bob@example.org".to_owned()],
        )]
        .into(),
        inbound: crate::config::Inbound::default(),
        screening: crate::config::Screening::default(),
        failed_login: crate::config::FailedLogin::default(),
        pop_before_smtp: crate::config::PopBeforeSmtp::default(),
        submission: crate::config::Submission::default(),
        dns: crate::config::Dns::default(),
        outbound: crate::config::Outbound::default(),
        dkim: Vec::new(),
        reports: crate::config::Reports::default(),
        limits: crate::config::Limits::default(),
    }
}

/// Prepares the demo in a folder of its own.
///
/// # Errors
///
/// A port that is taken, most of the time.
pub async fn prepare(folder: &Path) -> Result<Demo, StartError> {
    prepare_with(config(folder)).await
}

/// As [`prepare`], with a changed configuration: other ports, for tests.
///
/// # Errors
///
/// What stands in the way.
pub async fn prepare_with(config: Config) -> Result<Demo, StartError> {
    let folder: PathBuf = config
        .tls
        .certificate
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let failed = |error: std::io::Error| StartError::Key {
        path: folder.display().to_string(),
        why: error.to_string(),
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let names = ["localhost", "mx.example.org", "127.0.0.1"].map(ToOwned::to_owned);
    make_self_signed(&names, &config.tls.certificate, &config.tls.key).map_err(failed)?;
    let mut seed = [0; 32];
    let no_key = |why: String| StartError::Key {
        path: "the demo's key".to_owned(),
        why,
    };
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|error| no_key(error.to_string()))?;
    let key = PrivateKey::from_ed25519_seed(&seed).map_err(|error| no_key(error.to_string()))?;
    let public = key
        .public_key()
        .map_err(|error| no_key(error.to_string()))?;
    let record = dkim::KeyRecord::new(public).to_string();
    let zone = zone(&record);
    let (Ok(domain), Ok(selector)) = ("friends.example".parse(), "demo".parse()) else {
        return Err(no_key("the names are constants".to_owned()));
    };
    let signing = Signing::new(domain, selector, Arc::new(key));
    let server = Server::bind_with(config, Resolver::from_zone(zone)).await?;
    Ok(Demo { server, signing })
}

/// What the demo's DNS knows.
fn zone(key: &str) -> Zone {
    Zone::new()
        .mx("example.org", 10, "mx.example.org")
        .a("mx.example.org", Ipv4Addr::LOCALHOST)
        .txt("example.org", "v=spf1 mx -all")
        // A domain that does everything right, and whose mail comes from here.
        .txt("friends.example", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("demo._domainkey.friends.example", key)
        .txt("_dmarc.friends.example", "v=DMARC1; p=reject")
        // A bank that is forged, and wants forgeries refused.
        .txt("bank.example", "v=spf1 -all")
        .txt("_dmarc.bank.example", "v=DMARC1; p=reject")
        // A shop that is not sure yet.
        .txt("shop.example", "v=spf1 -all")
        .txt("_dmarc.shop.example", "v=DMARC1; p=quarantine")
        .ptr("1.0.0.127.in-addr.arpa", "localhost.example")
        .a("localhost.example", Ipv4Addr::LOCALHOST)
}

/// A message that the demo sends to itself.
struct Sample {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    signed: bool,
    body: &'static str,
}

const SAMPLES: [Sample; 6] = [
    Sample {
        name: "Welcome",
        from: "yubin@friends.example",
        to: "alice@example.org",
        signed: true,
        body: "Content-Type: text/plain; charset=utf-8\r\n\r\nIt came by SMTP, passed SPF, DKIM and DMARC, and lies in your INBOX.\r\n",
    },
    Sample {
        name: "To the whole team",
        from: "carol@friends.example",
        to: "team@example.org",
        signed: true,
        body: "Content-Type: text/plain\r\n\r\nOne message, two mailboxes, stored once.\r\n.. and a line that begins with dots.\r\n",
    },
    Sample {
        name: "With an attachment",
        from: "carol@friends.example",
        to: "alice@example.org",
        signed: true,
        body: "Content-Type: multipart/mixed; boundary=\"=demo\"\r\n\r\n--=demo\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n\
               --=demo\r\nContent-Type: application/octet-stream; name=\"post.bin\"\r\nContent-Transfer-Encoding: base64\r\n\
               Content-Disposition: attachment; filename=\"post.bin\"\r\n\r\n6YO15L6/\r\n--=demo--\r\n",
    },
    Sample {
        name: "=?utf-8?B?6YO15L6/44Gn44GZ?=",
        from: "carol@friends.example",
        to: "bob@example.org",
        signed: true,
        body: "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n44GT44KT44Gr44Gh44Gv\r\n",
    },
    Sample {
        name: "Not quite trusted",
        from: "offers@shop.example",
        to: "alice@example.org",
        signed: false,
        body: "Content-Type: text/plain\r\n\r\nThe domain asks to quarantine what it did not send: this lies in Junk.\r\n",
    },
    Sample {
        name: "Your account",
        from: "security@bank.example",
        to: "alice@example.org",
        signed: false,
        body: "Content-Type: text/plain\r\n\r\nA forgery under p=reject: the server does not take it.\r\n",
    },
];

impl Demo {
    /// Sends the sample messages to the running server; gives, for each, its name and what the server said.
    pub async fn deliver(port: SocketAddr, signing: Signing) -> Vec<(String, String)> {
        let mut said = Vec::new();
        for sample in SAMPLES {
            let answer = sample.send(port, &signing).await;
            said.push((sample.name.to_owned(), answer));
        }
        said
    }

    /// The server, where its SMTP listens, and the key of the demo's friends.
    #[must_use]
    pub fn into_parts(self) -> (Server, Option<SocketAddr>, Signing) {
        let smtp = self
            .server
            .addresses()
            .iter()
            .find(|(service, _, _)| *service == Service::Smtp);
        let smtp = smtp.map(|(_, _, address)| *address);
        (self.server, smtp, self.signing)
    }
}

impl Sample {
    async fn send(&self, port: SocketAddr, signing: &Signing) -> String {
        let now = now();
        let message = format!(
            "From: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}.{}@demo>\r\nMIME-Version: 1.0\r\n{}",
            self.from,
            self.to,
            self.name,
            date(now),
            now,
            self.name.len(),
            self.body
        );
        let mut octets = message.into_bytes();
        if self.signed {
            let mut signer = dkim::Signer::new([signing.clone()], now);
            signer.write(&octets);
            match signer.finish() {
                Ok(signatures) => octets = [signatures.concat().into_bytes(), octets].concat(),
                Err(error) => return error.to_string(),
            }
        }
        let (Ok(sender), Ok(recipient)) =
            (self.from.parse::<Mailbox>(), self.to.parse::<Mailbox>())
        else {
            return "the addresses are constants".to_owned();
        };
        let Ok(hello) = "localhost.example".parse().map(Host::Domain) else {
            return "the name is a constant".to_owned();
        };
        let connection = Connection {
            address: port,
            host: "mx.example.org".to_owned(),
            hello,
            tls: TlsPolicy::Require,
            trust: Trust::Anyone,
            source: None,
            credentials: None,
        };
        let sent = send(
            connection,
            ReversePath::Mailbox(sender),
            vec![ForwardPath::Mailbox(recipient)],
            false,
            Content::Octets(octets),
        )
        .await;
        match sent {
            Ok(replies) => replies.first().map(ToString::to_string).unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }
}

/// What to try with the running demo.
pub const TRY: &str = r#"
Log in as alice or bob with the password "correct horse". Try, in another terminal:

  curl -k --user "alice:correct horse" imaps://127.0.0.1:2993/INBOX?ALL
  curl -k --user "alice:correct horse" "imaps://127.0.0.1:2993/INBOX;MAILINDEX=1"
  curl -k --user "alice:correct horse" pop3s://127.0.0.1:2995/
  printf 'From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Hello\r\n\r\nHello, Bob.\r\n' |
    curl -k --user "alice:correct horse" --mail-from alice@example.org --mail-rcpt bob@example.org -T - smtps://127.0.0.1:2465
  swaks --server 127.0.0.1:2587 --tls --auth PLAIN --auth-user alice --auth-password "correct horse" \
    --from alice@example.org --to bob@example.org
  swaks --server 127.0.0.1:2525 --from security@bank.example --to alice@example.org      # a forgery: refused
  openssl s_client -crlf -quiet -connect 127.0.0.1:2993
  openssl s_client -crlf -quiet -starttls smtp -connect 127.0.0.1:2587

Stop with Ctrl-C.
"#;
