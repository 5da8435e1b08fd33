//! Complaints: our mail says where they are wanted, those of a provider that has our mail count, and no others.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dkim::{KeyRecord, Options, PrivateKey, Signing, Verifier};
use examples::outgoing::{Content, send};
use examples::own_reputation::Row;
use examples::resolver::Resolver;
use examples::server::{Service, now};
use mail_dns::{Zone, resolve_blocking};
use mail_syntax::header::{Header, Limits};
use mail_syntax::{Domain, ForwardPath, ReversePath};
use screening::outbound::cfbl_address::{Signature, destinations};
use screening::outbound::feedback_report::{Envelope, FeedbackReport, FeedbackType, Original};
use screening::outbound::reputation::Level;
use support::Folder;
use support::provider::Provider;
use support::server::Running;

const DAY: u64 = 86_400;

/// A key, and the record of its public part.
fn key() -> (String, String) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = PrivateKey::from_pem(&pair.serialize_pem()).unwrap();
    let record = KeyRecord::new(key.public_key().unwrap()).to_string();
    (pair.serialize_pem(), record)
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

async fn bring(
    server: &Running,
    to: Service,
    from: &str,
    recipient: &str,
    message: Vec<u8>,
) -> String {
    let connection = server.connection(to, to == Service::Submission);
    let sender: ReversePath = from.parse().unwrap();
    let recipient = ForwardPath::Mailbox(recipient.parse().unwrap());
    let content = Content::Octets(message);
    let replies = send(connection, sender, vec![recipient], false, content).await;
    replies.unwrap()[0].to_string()
}

/// The mail of a reporter, signed by a key if there is one.
fn report(kind: FeedbackType, from: &str, original: &str, key: Option<&str>) -> Vec<u8> {
    let header = original.split_once("\r\n\r\n").unwrap().0;
    let mut report = FeedbackReport::new(kind);
    report.original = Original::Header(format!("{header}\r\n").into_bytes());
    let mut mail = report
        .to_mail(&Envelope {
            from,
            to: "fbl@example.org",
            message_id: &format!("1@{from}"),
            now: now(),
        })
        .unwrap();
    if let Some(key) = key {
        let key = Arc::new(PrivateKey::from_pem(key).unwrap());
        let signer = domain(from.rsplit_once('@').unwrap().1);
        let mut signer = dkim::Signer::new([Signing::new(signer, domain("s1"), key)], now());
        signer.write(&mail);
        mail.splice(..0, signer.finish().unwrap().concat().into_bytes());
    }
    mail
}

async fn row(server: &Running) -> Row {
    let own = &server.context.own_addresses;
    let resolver = &server.context.resolver;
    let provider = own.provider(resolver, &domain("dest.example")).await;
    let (_, rows) = own
        .status(
            &*server.context.store.0,
            &provider,
            server.context.clock.now(),
        )
        .unwrap();
    let [row] = rows.try_into().unwrap();
    row
}

#[tokio::test]
async fn a_provider_that_has_our_mail_complains_and_nobody_else() {
    let (folder, provider) = (Folder::new("feedback"), Provider::start().await);
    let ((ours, our_record), (theirs, their_record), (evil, evil_record)) = (key(), key(), key());
    folder.write("s1.pem", &ours);
    let zone = Zone::new()
        .mx("dest.example", 10, "mx.dest.example")
        .a("mx.dest.example", [127, 0, 0, 1])
        .txt("s1._domainkey.example.org", &our_record)
        .txt("s1._domainkey.fbl.dest.example", &their_record)
        .txt("s1._domainkey.evil.example", &evil_record);
    let plan = "new = ['127.0.0.2']\n[plan]\ntable = [20]\n[[threshold]]\nmeasure = 'complaints'\n\
        rate = '10 %'\nlevel = 'stop'\ndays = 7\nevents = 1\n";
    let dkim = "[[dkim]]\ndomain = 'example.org'\nselector = 's1'\nkey = 's1.pem'\n";
    let more = provider.config(&folder, plan, "feedback_address = 'fbl@example.org'");
    let more = format!("{more}{dkim}");
    let midnight = now() / DAY * DAY;
    let ahead = midnight + 2 * DAY - 3600 - now();
    let resolver = Resolver::from_zone(zone.clone());
    let server = Running::start_ahead(&folder, &more, resolver, ahead).await;

    let message = "From: anna@example.org\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
    let (anna, dave) = ("<anna@example.org>", "dave@dest.example");
    let reply = bring(&server, Service::Submission, anna, dave, message.into()).await;
    assert!(reply.starts_with("250 "), "{reply}");
    while provider.messages().is_empty() || row(&server).await.counts.accepted == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The signature covers both fields, so that a provider may report.
    let [sent] = provider.messages().try_into().unwrap();
    let mut verifier = Verifier::new(now(), Options::default());
    verifier.write(sent.as_bytes());
    verifier.finish();
    let verdict = resolve_blocking(verifier, |question| zone.answer(question));
    let signature = verdict.passed().next().unwrap();
    let signed_by = signature.domain.clone().unwrap();
    let fields = ["from", "cfbl-address", "cfbl-feedback-id"];
    let named = sent.split_once("h=").unwrap().1.split_once(';').unwrap().0;
    let named = named.to_lowercase().replace(['\r', '\n', '\t', ' '], "");
    assert!(
        fields
            .iter()
            .all(|field| named.split(':').any(|it| it == *field)),
        "{named}"
    );
    let (header, _) = Header::split(sent.as_bytes(), &Limits::default()).unwrap();
    let signature = Signature {
        domain: &signed_by,
        fields: &fields,
    };
    let wanted = destinations(&header, &domain("example.org"), &[signature]);
    let [Ok(wanted)] = wanted.as_slice() else {
        panic!("{wanted:?}")
    };
    assert_eq!(wanted.to_string(), "fbl@example.org; report=arf");

    let (id, rest) = (
        sent.split_once("CFBL-Feedback-ID: ").unwrap().1,
        "abcdefabcdefabcdefabcdef\r\n\r\n",
    );
    let id = id.split_once("\r\n").unwrap().0;
    let guessed = format!("CFBL-Feedback-ID: {rest}");
    let nameless = sent.replace(id, "(nothing)");
    let (fbl, abuse) = ("x@fbl.dest.example", || FeedbackType::Abuse);
    let of = |kind, from, original, key| report(kind, from, original, key);
    for (what, mail, complaints) in [
        ("not signed", of(abuse(), fbl, &sent, None), 0),
        (
            "signed by another than it says",
            of(abuse(), fbl, &sent, Some(&evil)),
            0,
        ),
        (
            "of somebody who has not got our mail",
            of(abuse(), "x@evil.example", &sent, Some(&evil)),
            0,
        ),
        (
            "of a message that was never sent",
            of(abuse(), fbl, &guessed, Some(&theirs)),
            0,
        ),
        (
            "of a message without a name",
            of(abuse(), fbl, &nameless, Some(&theirs)),
            0,
        ),
        (
            "praise",
            of(
                FeedbackType::Unknown("not-spam".into()),
                fbl,
                &sent,
                Some(&theirs),
            ),
            0,
        ),
        ("a complaint", of(abuse(), fbl, &sent, Some(&theirs)), 1),
        ("the same again", of(abuse(), fbl, &sent, Some(&theirs)), 1),
        ("no report", message.into(), 1),
    ] {
        let reply = bring(&server, Service::Smtp, "<>", "FBL@example.org", mail).await;
        assert!(reply.starts_with("250 "), "{what}: {reply}");
        assert_eq!(row(&server).await.counts.complaints, complaints, "{what}");
    }
    // They lie in the postmaster's mailbox, counted or not.
    let arrived = server.context.store(|store| {
        let anna = store.account("anna")?.unwrap();
        store.entries(store.mailbox(anna.id, "INBOX")?.unwrap().id)
    });
    assert_eq!(arrived.await.unwrap().len(), 9);

    // The warm-up with this provider pauses.
    let row = row(&server).await;
    assert_eq!(row.status.standing.level, Level::Stop, "{row}");
    assert!(row.to_string().ends_with("1 complaints (100 %)"), "{row}");
    bring(&server, Service::Submission, anna, dave, message.into()).await;
    while self::row(&server).await.status.paused_until.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.end().await;
    assert_eq!(provider.messages().len(), 1);
}

#[tokio::test]
async fn fields_that_nobody_would_believe_are_left_out() {
    let (folder, provider) = (Folder::new("feedback-fields"), Provider::start().await);
    folder.write("s1.pem", key().0);
    let zone = Zone::new()
        .mx("dest.example", 10, "mx.dest.example")
        .a("mx.dest.example", [127, 0, 0, 1]);
    // The author's domain is above that of the address, beside it, or signs nothing.
    let more = format!(
        "[outbound]\nport = {}\nfeedback_address = 'fbl@example.org'\n\
         [submission.identities]\nanna = ['@example.net', '@sub.example.org', '@example.com']\n\
         [[dkim]]\ndomain = 'example.org'\nselector = 's1'\nkey = 's1.pem'\n\
         [[dkim]]\ndomain = 'example.net'\nselector = 's1'\nkey = 's1.pem'\n",
        provider.address.port()
    );
    let server = Running::start(&folder, &more, Resolver::from_zone(zone)).await;
    for (from, more, signatures, has_field) in [
        ("anna@example.org", "", 1, true),
        ("anna@sub.example.org", "", 1, true),
        ("anna@example.net", "", 2, true),
        ("anna@example.com", "", 0, false),
        (
            "anna@example.org",
            "CFBL-Address: own@example.org\r\n",
            1,
            false,
        ),
    ] {
        let message = format!("{more}From: {from}\r\n\r\nIs it ready?\r\n");
        let before = provider.messages().len();
        let (anna, dave) = ("<anna@example.org>", "dave@dest.example");
        bring(&server, Service::Submission, anna, dave, message.into()).await;
        while provider.messages().len() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let sent = provider.messages().pop().unwrap();
        let count = |text| sent.matches(text).count();
        assert_eq!(count("DKIM-Signature:"), signatures, "{sent}");
        assert_eq!(
            count("CFBL-Address: fbl@example.org; report=arf\r\n"),
            usize::from(has_field)
        );
        assert_eq!(
            count("CFBL-Feedback-ID: "),
            usize::from(has_field),
            "{sent}"
        );
    }
    server.end().await;
}
