//! Mail that an alias sends on: it leaves with an ARC set of the server's domain.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use dkim::arc::{ChainStatus, Validator};
use dkim::{KeyRecord, Options, PrivateKey};
use examples::config::DkimKey;
use examples::demo;
use examples::outgoing::{Connection, Content, send};
use examples::resolver::Resolver;
use examples::server::{Server, Service, now};
use examples::store::StoredMessage;
use examples::tls::Trust;
use mail_dns::{Failure, Zone, resolve_blocking};
use mail_syntax::authentication_results::{Method, Outcome, Ptype};
use mail_syntax::{ForwardPath, Host, ReversePath};
use smtp_proto::client::TlsPolicy;

const MESSAGE: &str = "Authentication-Results: mx.example.org; dkim=pass header.d=forged.example\r\n\
    From: <carol@friends.example>\r\nTo: <list@example.org>\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";

fn folder() -> PathBuf {
    let name = format!("yubin-forwarding-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn read(mut message: StoredMessage) -> Vec<u8> {
    let mut octets = Vec::new();
    loop {
        let piece = message.read(4096).unwrap();
        if piece.is_empty() {
            return octets;
        }
        octets.extend(piece);
    }
}

#[tokio::test]
async fn what_an_alias_sends_on_is_sealed() {
    let folder = folder();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    std::fs::write(folder.join("dkim.pem"), pair.serialize_pem()).unwrap();
    let key = PrivateKey::from_pem(&pair.serialize_pem()).unwrap();
    let record = KeyRecord::new(key.public_key().unwrap()).to_string();
    let zone = Zone::new()
        .txt("friends.example", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("_dmarc.friends.example", "v=DMARC1; p=reject")
        // It stays in the queue.
        .fail("elsewhere.example", Failure::Timeout)
        .txt("seal._domainkey.example.org", &record);

    let mut config = demo::config(&folder);
    let listen = &mut config.listen;
    listen.smtp = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    for ports in [
        &mut listen.submission,
        &mut listen.submissions,
        &mut listen.imap,
        &mut listen.imaps,
        &mut listen.pop3,
        &mut listen.pop3s,
    ] {
        ports.clear();
    }
    let alias = |name: &str, targets: &[&str]| {
        let targets = targets.iter().map(|target| (*target).to_owned());
        (name.to_owned(), targets.collect())
    };
    config.aliases = [alias(
        "list@example.org",
        &["alice@example.org", "dave@elsewhere.example"],
    )]
    .into();
    config.dkim = vec![DkimKey {
        domain: "example.org".to_owned(),
        selector: "seal".to_owned(),
        key: folder.join("dkim.pem"),
    }];
    let names = ["localhost".to_owned()];
    examples::tls::make_self_signed(&names, &config.tls.certificate, &config.tls.key).unwrap();
    let server = Server::bind_with(config, Resolver::from_zone(zone.clone()))
        .await
        .unwrap();
    let context = Arc::clone(server.context());
    let (_, _, address) = *(server.addresses().iter())
        .find(|(service, ..)| *service == Service::Smtp)
        .unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move {
        let _ = ended.await;
    }));

    let connection = Connection {
        address,
        host: "localhost".to_owned(),
        hello: Host::Domain("friends.example".parse().unwrap()),
        tls: TlsPolicy::Require,
        trust: Trust::Anyone,
        source: None,
        credentials: None,
    };
    let replies = send(
        connection,
        ReversePath::Mailbox("carol@friends.example".parse().unwrap()),
        vec![ForwardPath::Mailbox("list@example.org".parse().unwrap())],
        false,
        Content::Octets(MESSAGE.into()),
    )
    .await
    .unwrap();
    assert!(
        replies.iter().all(|reply| !reply.is_permanent()),
        "{replies:?}"
    );
    drop(end);
    running.await.unwrap();

    let (leaves, stays) = context
        .store(|store| {
            // Longer than the lease of a delivery that the end of the server has interrupted.
            let later = now() + 20 * 365 * 86_400;
            let queued = store.lease(later, later + 1, 10)?;
            let [only] = queued.as_slice() else {
                panic!("{queued:?}")
            };
            let leaves = read(store.queued(only)?);
            let alice = store.account("alice")?.unwrap().id;
            let inbox = store.mailbox(alice, "INBOX")?.unwrap().id;
            let entries = store.entries(inbox)?;
            Ok((leaves, read(store.message(inbox, entries[0].uid)?)))
        })
        .await
        .unwrap();
    let validate = |message: &[u8]| {
        let mut validator = Validator::new(now(), Options::default());
        validator.write(message);
        validator.finish();
        resolve_blocking(validator, |question| zone.answer(question))
    };
    let verdict = validate(&leaves);
    let text = String::from_utf8_lossy(&leaves);
    assert_eq!(
        verdict.status,
        ChainStatus::Pass,
        "{}: {text}",
        verdict.cause
    );
    let results = verdict
        .trusted_results(|sealer| *sealer == "example.org")
        .unwrap();
    let of = |method: Method| {
        let mut results = results.results().iter();
        results
            .find(move |result| *result.method() == method)
            .unwrap()
    };
    assert_eq!(results.authserv_id(), Some("mx.example.org"));
    assert_eq!(*of(Method::Dmarc).outcome(), Outcome::Pass);
    assert_eq!(*of(Method::Arc).outcome(), Outcome::None);
    let address = of(Method::Arc).property(&Ptype::Smtp, "remote-ip");
    assert_eq!(address, Some("127.0.0.1"));
    assert!(!text.contains("forged.example"), "{text}");
    // What stays at home needs no seal.
    assert_eq!(validate(&stays).status, ChainStatus::None);
    let _ = std::fs::remove_dir_all(&folder);
}
