//! One inbound message of 50 KiB: SPF of both identities, DKIM, DMARC, the reverse name, and the Authentication-Results field.

use core::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use dkim::crypto::{AWS_LC_RS, Crypto, RING};
use dkim::{PrivateKey, SigningKey};
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, AuthenticationResults, Parameters};
use mail_dns::Zone;
use message_auth::{Config, Inbound, MessageAuth};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::bare::{by_aws_lc, by_ring};
use crate::dkim_rows::block;
use crate::message::{KEYS, canonical_body, message, now, signed};
use crate::race::Race;
use crate::zone::{One, Texts, answers, authenticator, judge, questions_and_rounds, ready};

const IP: [u8; 4] = [192, 0, 2, 1];

/// Ten includes, three deep; the last of the deepest matches.
const SPF: [(&str, &str); 12] = [
    (
        "example.com",
        "v=spf1 include:a.example.com include:b.example.com include:c.example.com -all",
    ),
    (
        "a.example.com",
        "v=spf1 include:a1.example.com include:a2.example.com include:a3.example.com -all",
    ),
    (
        "b.example.com",
        "v=spf1 include:b1.example.com include:b2.example.com include:b3.example.com -all",
    ),
    ("c.example.com", "v=spf1 include:c1.example.com -all"),
    ("a1.example.com", "v=spf1 ip4:198.51.1.0/24 -all"),
    ("a2.example.com", "v=spf1 ip4:198.51.2.0/24 -all"),
    ("a3.example.com", "v=spf1 ip4:198.51.3.0/24 -all"),
    ("b1.example.com", "v=spf1 ip4:198.51.4.0/24 -all"),
    ("b2.example.com", "v=spf1 ip4:198.51.5.0/24 -all"),
    ("b3.example.com", "v=spf1 ip4:198.51.6.0/24 -all"),
    ("c1.example.com", "v=spf1 ip4:192.0.2.0/24 -all"),
    ("mail.example.com", "v=spf1 ip4:192.0.2.1 -all"),
];

pub(crate) fn run() {
    let pem = KEYS[0].1;
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let (ring, aws_lc) = (
        by_ring::Key::new(der.secret_pkcs8_der()),
        by_aws_lc::Key::new(der.secret_pkcs8_der()),
    );
    let key = PrivateKey::from_pem(pem).expect("a key");
    let record = key.key_record().expect("a key").to_string();
    let key: Arc<dyn SigningKey> = Arc::new(key);
    let message = message(50 << 10);
    let signed = signed("example.com", &key, &message);

    let mut zone = Zone::new();
    let mut texts = Texts::default();
    let others = [
        ("s._domainkey.example.com", record.as_str()),
        ("_dmarc.example.com", "v=DMARC1; p=reject"),
    ];
    for (name, text) in SPF.into_iter().chain(others) {
        zone = zone.txt(name, text);
        texts = texts.txt(name, text);
    }
    let zone = zone
        .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
        .a("mail.example.com", IP)
        .a("news.example.com", IP);

    let inbound = Inbound {
        client_ip: IP.into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<joe@example.com>".parse().expect("a path"),
        authserv_id: "mx.example.org".to_owned(),
        now: now(),
    };
    let config = |crypto: &'static dyn Crypto| {
        let mut config = Config::default();
        config.dkim.crypto = crypto;
        config
    };
    let (by_ring, by_aws_lc) = (config(&RING), config(&AWS_LC_RS));
    let evaluation = |config: &Config| {
        let mut auth = MessageAuth::new(inbound.clone(), config);
        auth.write(black_box(&signed));
        auth.finish();
        auth
    };
    let answers = answers(&zone, evaluation(&by_ring));
    let ours = |config: &Config| {
        let field = judge(&answers, evaluation(config))
            .authentication_results()
            .expect("a field");
        assert!(field.contains("dmarc=pass"));
        field
    };

    let (address, reverse_name) = (
        One::new(IP.into()),
        One::new(Box::from("mail.example.com.")),
    );
    let authenticator = authenticator();
    let peer = || {
        let message = AuthenticatedMessage::parse(black_box(&signed)).expect("a message");
        let with = Parameters::new(())
            .with_txt_cache(&texts)
            .with_ipv4_cache(&address)
            .with_ptr_cache(&reverse_name);
        let ip = IpAddr::from(IP);
        let (helo, host, from) = ("mail.example.com", "mx.example.org", "joe@example.com");
        ready(async {
            let iprev = authenticator.verify_iprev(with.clone_with(ip)).await;
            let of_helo = authenticator
                .verify_spf(with.clone_with(SpfParameters::verify_ehlo(ip, helo, host)))
                .await;
            let of_from = authenticator
                .verify_spf(with.clone_with(SpfParameters::verify_mail_from(ip, helo, host, from)))
                .await;
            let dkim = authenticator.verify_dkim(with.clone_with(&message)).await;
            let dmarc = DmarcParameters::new(&message, &dkim, "example.com", &of_from);
            let dmarc = authenticator.verify_dmarc(with.clone_with(dmarc)).await;
            let field = AuthenticationResults::new(host)
                .with_iprev_result(&iprev, ip)
                .with_spf_ehlo_result(&of_helo, ip, helo)
                .with_spf_mailfrom_result(&of_from, ip, from, helo)
                .with_dkim_results(&dkim, message.from())
                .with_dmarc_result(&dmarc)
                .to_string();
            assert!(field.contains("dmarc=pass"));
            field
        })
    };
    for asked in [&texts.asked, &address.asked, &reverse_name.asked] {
        asked.set(0);
    }
    peer();
    let of_peer = texts.asked.get() + address.asked.get() + reverse_name.asked.get();
    let (questions, rounds) = questions_and_rounds(&answers, evaluation(&by_ring));

    let (body, block) = (canonical_body(&message), block(&signed));
    let (public, aws_lc_public, signature) = (ring.public(), aws_lc.public(), ring.sign(&block));
    let what = "inbound message, 50 KiB, RSA 2048";
    Race::new(what, "bare ring", || {
        ring.verify(&public, black_box(&block), &signature);
        crate::bare::by_ring::digest(black_box(&body))
    })
    .with("ours, ring", || ours(&by_ring))
    .run();
    Race::new(what, "bare aws-lc-rs", || {
        aws_lc.verify(&aws_lc_public, black_box(&block), &signature);
        crate::bare::by_aws_lc::digest(black_box(&body))
    })
    .with("ours, aws-lc-rs", || ours(&by_aws_lc))
    .with("mail-auth, aws-lc-rs", peer)
    .run();
    println!(
        "| DNS of the same, ten includes three deep | ours: {questions} questions in {rounds} rounds | | | | |"
    );
    println!(
        "| DNS of the same, ten includes three deep | mail-auth: {of_peer} questions in {of_peer} rounds | | | | |"
    );
}
