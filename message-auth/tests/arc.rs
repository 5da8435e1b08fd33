//! ARC in the whole evaluation: told always, believed only of sealers that are trusted (RFC 8617 §7.2.1).
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dkim::arc::{ChainStatus, Sealer, Sealing, Validator};
use dkim::crypto::{Crypto, RING, Sha1, Sha256};
use dkim::public_key::{Ed25519PublicKey, RsaPublicKey};
use dkim::{KeyRecord, Options, PrivateKey, Signer, Signing};
use dmarc::{Disposition, DmarcResult, PolicyOverride};
use mail_dns::{Evaluation, Need, Zone, resolve_blocking};
use mail_syntax::authentication_results::{
    AuthenticationResults, Method, MethodResult, Outcome, Ptype,
};
use message_auth::{Config, Inbound, MessageAuth, Verdict};

const NOW: u64 = 1_700_000_000;
const MESSAGE: &[u8] =
    b"From: Joe <joe@example.com>\r\nSubject: [list] dinner\r\n\r\nIs it ready?\r\n";

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

fn zone() -> Zone {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    Zone::new()
        .txt("s1._domainkey.lists.example.org", &record)
        .txt("s1._domainkey.other.example.net", &record)
        .txt("lists.example.org", "v=spf1 ip4:192.0.2.66 -all")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .txt("_dmarc.strict.example", "v=DMARC1; p=reject")
}

/// What the sealer says it found: the result of DMARC, and for which author's domain.
fn found(outcome: Outcome, from: &str) -> AuthenticationResults {
    let mut results = AuthenticationResults::new("mx.lists.example.org");
    let mut spf = MethodResult::new(Method::Spf, Outcome::Pass);
    spf.add_property(Ptype::Smtp, "mailfrom".parse().unwrap(), "joe@example.com");
    results.push(spf);
    let mut dmarc = MethodResult::new(Method::Dmarc, outcome);
    dmarc.add_property(Ptype::Header, "from".parse().unwrap(), from);
    results.push(dmarc);
    results
}

/// The message with one more ARC set on top.
fn sealed(message: &[u8], domain: &str, results: &AuthenticationResults) -> Vec<u8> {
    let zone = zone();
    let mut validator = Validator::new(NOW, Options::default());
    validator.write(message);
    validator.finish();
    let arrived = resolve_blocking(validator, |question| zone.answer(question));
    let sealing = Sealing::new(
        domain.parse().unwrap(),
        "s1".parse().unwrap(),
        Arc::new(key()),
    );
    let mut sealer = Sealer::new(sealing, NOW);
    sealer.write(message);
    let set = sealer.finish(&arrived, results).unwrap().unwrap();
    [set.to_string().as_bytes(), message].concat()
}

fn inbound() -> Inbound {
    Inbound {
        client_ip: [192, 0, 2, 66].into(),
        helo: "lists.example.org".to_owned(),
        mail_from: "<bounces@lists.example.org>".parse().unwrap(),
        authserv_id: "mx.example.net".to_owned(),
        now: NOW,
    }
}

fn judge(message: &[u8], trusted: &[&str]) -> Verdict {
    let mut config = Config::default();
    config.trusted_sealers = trusted
        .iter()
        .map(|domain| domain.parse().unwrap())
        .collect();
    let mut auth = MessageAuth::new(inbound(), &config);
    auth.write(message);
    auth.finish();
    let zone = zone();
    let verdict = resolve_blocking(auth, |question| zone.answer(question));
    #[cfg(feature = "serde")]
    {
        let recording = message_auth::Recording::new(&verdict, message);
        assert_eq!(recording.replay(&config).as_ref(), Ok(&verdict));
    }
    verdict
}

#[test]
fn a_chain_of_trusted_sealers_overrides_the_policy() {
    let message = sealed(
        MESSAGE,
        "lists.example.org",
        &found(Outcome::Pass, "example.com"),
    );
    let message = sealed(
        &message,
        "other.example.net",
        &found(Outcome::Fail, "example.com"),
    );
    let verdict = judge(&message, &["Lists.Example.org", "other.example.net"]);
    assert_eq!(verdict.arc.status, ChainStatus::Pass);
    // DMARC still fails; only what is advised is another thing.
    assert_eq!(
        (verdict.dmarc.result, verdict.dmarc.disposition),
        (DmarcResult::Fail, Disposition::Reject)
    );
    assert_eq!(verdict.disposition, Disposition::None);
    assert_eq!(verdict.overrides.len(), 1);
    assert_eq!(verdict.overrides[0].kind, PolicyOverride::LocalPolicy);
    let comment = verdict.overrides[0].comment.as_deref().unwrap();
    assert!(
        comment.starts_with(
            "arc=pass as[2].d=other.example.net as[2].s=s1 as[1].d=lists.example.org as[1].s=s1"
        ),
        "{comment}"
    );
    let results = verdict.results();
    let of = |method: Method| {
        results
            .results()
            .iter()
            .find(|result| *result.method() == method)
            .unwrap()
    };
    let arc = of(Method::Arc);
    assert_eq!(arc.outcome(), &Outcome::Pass);
    assert_eq!(arc.property(&Ptype::Smtp, "remote-ip"), Some("192.0.2.66"));
    assert_eq!(arc.property(&Ptype::Header, "oldest-pass"), Some("0"));
    assert_eq!(of(Method::Dmarc).outcome(), &Outcome::Fail);
    assert_eq!(
        of(Method::Dmarc).comment(),
        Some("policy overridden: local_policy")
    );
    #[cfg(feature = "reports")]
    {
        let row = verdict.report_row().unwrap();
        assert_eq!(
            row.policy_evaluated.disposition,
            dmarc::reports::ActionDisposition::None
        );
        assert_eq!(row.policy_evaluated.reasons, verdict.overrides);
    }
}

#[test]
fn without_trust_in_every_sealer_nothing_is_overridden() {
    let good = found(Outcome::Pass, "example.com");
    let one = sealed(MESSAGE, "lists.example.org", &good);
    let two = sealed(&one, "other.example.net", &good);
    let mut changed = one.clone();
    let last = changed.len() - 3;
    changed[last] ^= 1;
    let said_fail = sealed(
        MESSAGE,
        "lists.example.org",
        &found(Outcome::Fail, "example.com"),
    );
    let another_author = sealed(
        MESSAGE,
        "lists.example.org",
        &found(Outcome::Pass, "example.net"),
    );
    let mut no_author = AuthenticationResults::new("mx.lists.example.org");
    no_author.push(MethodResult::new(Method::Dmarc, Outcome::Pass));
    let no_author = sealed(MESSAGE, "lists.example.org", &no_author);
    let contradicting = [
        (Outcome::Fail, Outcome::Pass),
        (Outcome::Pass, Outcome::Fail),
    ];
    let contradicting = contradicting.map(|(first, second)| {
        let mut results = found(first, "example.com");
        results.push(found(second, "example.com").results()[1].clone());
        sealed(MESSAGE, "lists.example.org", &results)
    });
    let both: &[&str] = &["lists.example.org", "other.example.net"];
    for (message, trusted, status) in [
        (&one, &[][..], ChainStatus::Pass),
        (&one, &["example.org"], ChainStatus::Pass),
        (&one, &["other.example.net"], ChainStatus::Pass),
        (&two, &["lists.example.org"], ChainStatus::Pass),
        (&two, &["other.example.net"], ChainStatus::Pass),
        (&changed, both, ChainStatus::Fail),
        (&said_fail, both, ChainStatus::Pass),
        (&another_author, both, ChainStatus::Pass),
        (&no_author, both, ChainStatus::Pass),
        (&contradicting[0], both, ChainStatus::Pass),
        (&contradicting[1], both, ChainStatus::Pass),
        (&MESSAGE.to_vec(), both, ChainStatus::None),
    ] {
        let verdict = judge(message, trusted);
        assert_eq!(verdict.arc.status, status);
        assert_eq!(
            (verdict.disposition, verdict.overrides.len()),
            (Disposition::Reject, 0)
        );
    }
}

#[test]
fn an_author_that_is_none_is_not_vouched_for() {
    let message = b"From: joe@example.com, any@evil.example\r\n\r\nx\r\n";
    let message = sealed(
        message,
        "lists.example.org",
        &found(Outcome::Pass, "example.com"),
    );
    let verdict = judge(&message, &["lists.example.org"]);
    assert_eq!(
        (verdict.dmarc.result, verdict.disposition),
        (DmarcResult::PermError, Disposition::Reject)
    );
}

/// The keys of the chain are asked for with the rest: it makes no round of its own.
#[test]
fn the_keys_of_the_chain_are_asked_with_the_others() {
    let message = sealed(
        MESSAGE,
        "lists.example.org",
        &found(Outcome::Pass, "example.com"),
    );
    let message = sealed(
        &message,
        "other.example.net",
        &found(Outcome::Pass, "example.com"),
    );
    let inbound = judge(&message, &[]).inbound;
    let mut auth = MessageAuth::new(inbound, &Config::default());
    auth.write(&message);
    let mut first = Vec::new();
    while let Need::Lookup(question) = auth.poll() {
        first.push(question.to_string());
    }
    for key in [
        "s1._domainkey.lists.example.org TXT",
        "s1._domainkey.other.example.net TXT",
    ] {
        assert_eq!(
            first.iter().filter(|question| *question == key).count(),
            1,
            "{first:?}"
        );
    }
}

/// Ring, and how many octets were hashed.
#[derive(Debug)]
struct Counting(AtomicUsize);

#[derive(Debug)]
struct CountingSha256(Box<dyn Sha256>, &'static AtomicUsize);

static COUNTING: Counting = Counting(AtomicUsize::new(0));

impl Crypto for Counting {
    fn sha256(&self) -> Box<dyn Sha256> {
        Box::new(CountingSha256(RING.sha256(), &COUNTING.0))
    }

    fn sha1(&self) -> Box<dyn Sha1> {
        RING.sha1()
    }

    fn verify_rsa_sha1(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool {
        RING.verify_rsa_sha1(key, signed, signature)
    }

    fn verify_rsa_sha256(&self, key: &RsaPublicKey, signed: &[u8], signature: &[u8]) -> bool {
        RING.verify_rsa_sha256(key, signed, signature)
    }

    fn verify_ed25519(&self, key: &Ed25519PublicKey, signed: &[u8], signature: &[u8]) -> bool {
        RING.verify_ed25519(key, signed, signature)
    }
}

impl Sha256 for CountingSha256 {
    fn update(&mut self, octets: &[u8]) {
        self.1.fetch_add(octets.len(), Ordering::Relaxed);
        self.0.update(octets);
    }

    fn finish(self: Box<Self>) -> [u8; 32] {
        self.0.finish()
    }
}

#[test]
fn the_body_is_hashed_once_for_all_signatures_and_the_chain() {
    let line = "It is ready, and waits for you at the table.\r\n";
    let message = format!("From: Joe <joe@example.com>\r\n\r\n{}", line.repeat(2000));
    let signing = |domain: &str| {
        let domain = domain.parse().unwrap();
        Signing::new(domain, "s1".parse().unwrap(), Arc::new(key()))
    };
    let mut signer = Signer::new(
        [signing("lists.example.org"), signing("other.example.net")],
        NOW,
    );
    signer.write(message.as_bytes());
    let message = signer.finish().unwrap().concat() + &message;
    let results = found(Outcome::Pass, "example.com");
    let message = sealed(message.as_bytes(), "lists.example.org", &results);
    let message = sealed(&message, "other.example.net", &results);

    let mut config = Config::default();
    config.dkim.crypto = &COUNTING;
    let mut auth = MessageAuth::new(inbound(), &config);
    for piece in message.chunks(1000) {
        auth.write(piece);
    }
    auth.finish();
    let verdict = resolve_blocking(auth, |question| zone().answer(question));
    assert_eq!(verdict.dkim.passed().count(), 2);
    assert_eq!(verdict.arc.status, ChainStatus::Pass);
    // What Ed25519 signs is a hash too, of a few thousand octets of header.
    let hashed = COUNTING.0.load(Ordering::Relaxed);
    let body = 2000 * line.len();
    assert!((body..body + body / 2).contains(&hashed), "{hashed}");
}
