//! Messages that are signed, damaged and verified in any order of calls; key records and signatures, read and printed.

use std::sync::{Arc, LazyLock};

use dkim::canonicalization::BodyCanonicalizer;
use dkim::{
    Canonicalization, Cause, KeyRecord, Options, PrivateKey, Signature, Signer, Signing,
    SigningKey, Verdict, Verifier,
};
use mail_dns::{Answer, Evaluation as _, Need, Question, RecordType, Zone};
use mail_syntax::header::Field;

use crate::Random;
use crate::pieces::pieces;

const NOW: u64 = 1_700_000_000;

struct Keys {
    ed25519: Arc<dyn SigningKey>,
    rsa: Arc<dyn SigningKey>,
    zone: Zone,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let ed25519 = PrivateKey::from_ed25519_seed(&[7; 32]).expect("32 octets are a seed");
    let rsa = include_str!("../../../dkim/tests/keys/rsa2048.pkcs8.pem");
    let rsa = PrivateKey::from_pem(rsa).expect("a key of the tests");
    let record = |key: &PrivateKey| {
        let key = key.public_key().expect("it has a public key");
        KeyRecord::new(key).to_string()
    };
    let zone = Zone::new()
        .txt("ed._domainkey.example.com", &record(&ed25519))
        .txt("rsa._domainkey.example.com", &record(&rsa));
    Keys {
        ed25519: Arc::new(ed25519),
        rsa: Arc::new(rsa),
        zone,
    }
});

/// A signature of any kind; RSA is slow, and rare.
fn signing(random: &mut Random) -> Signing {
    let (selector, key) = match random.below(8) {
        0 => ("rsa", &KEYS.rsa),
        _ => ("ed", &KEYS.ed25519),
    };
    let domain = "example.com".parse().expect("a constant");
    let selector = selector.parse().expect("a constant");
    let mut signing = Signing::new(domain, selector, Arc::clone(key));
    let mut kind = || match random.below(2) {
        0 => Canonicalization::Simple,
        _ => Canonicalization::Relaxed,
    };
    signing.header_canonicalization = kind();
    signing.body_canonicalization = kind();
    match random.below(4) {
        0 => signing.fields.oversigned.to_mut().clear(),
        1 => signing.fields.present.to_mut().clear(),
        2 => signing.identity = "joe@mail.example.com".parse().ok(),
        _ => signing.lifetime = None,
    }
    signing
}

/// Writes the message in pieces, with questions, answers, and calls that make no sense between and behind them.
fn verify(message: &[u8], random: &mut Random) -> Verdict {
    let mut options = Options::default();
    options.limits.signatures = usize::MAX;
    options.limits.keys = usize::MAX;
    let mut verifier = Verifier::new(NOW, options);
    let mut open: Vec<Question> = Vec::new();
    let unknown = Question::new("unknown.example".parse().expect("a name"), RecordType::Txt);
    let mut call = |verifier: &mut Verifier, open: &mut Vec<Question>| match random.below(5) {
        0 => {
            if let Need::Lookup(question) = verifier.poll() {
                open.push(question);
            }
        }
        1 if !open.is_empty() => {
            let question = open.swap_remove(random.below(open.len()));
            verifier.answer(&question, &KEYS.zone.answer(&question));
            verifier.answer(&question, &Answer::nx_domain());
        }
        2 => verifier.answer(&unknown, &Answer::nx_domain()),
        3 => verifier.write(b""),
        _ => {}
    };
    for piece in pieces(message) {
        verifier.write(piece);
        call(&mut verifier, &mut open);
    }
    verifier.finish();
    verifier.write(b"What comes behind the end is not looked at.");
    verifier.finish();
    loop {
        call(&mut verifier, &mut open);
        match verifier.poll() {
            Need::Lookup(question) => open.push(question),
            Need::Done(verdict) => return verdict,
            Need::Wait => {
                let question = open.pop().expect("it waits for an answer");
                verifier.answer(&question, &KEYS.zone.answer(&question));
            }
        }
    }
}

fn canonical(kind: Canonicalization, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut canonicalizer = BodyCanonicalizer::new(kind);
    canonicalizer.update(body, &mut |run| octets.extend_from_slice(run));
    canonicalizer.finish(&mut |run| octets.extend_from_slice(run));
    octets
}

/// What is signed verifies, in any pieces and order of calls; and where a body was changed, the signatures pass whose canonical form of
/// it is the same, and no others.
pub fn dkim_sign_verify_ops(data: &[u8]) {
    let mut random = Random::of(data);
    let signings: Vec<Signing> = (0..=random.below(3))
        .map(|_| signing(&mut random))
        .collect();
    let sign = |pieces: &[&[u8]]| {
        let mut signer = Signer::new(signings.iter().cloned(), NOW);
        for piece in pieces {
            signer.write(piece);
            signer.write(b"");
        }
        signer.finish()
    };
    let fields = sign(&[data]);
    assert_eq!(sign(&pieces(data)), fields, "in pieces, and in one");
    let Ok(fields) = fields else {
        return;
    };
    let signed = [fields.concat().as_bytes(), data].concat();
    let verdict = verify(&signed, &mut random);
    if verdict.header_error.is_some() {
        // The signatures were too much for a header that was near the limit.
        return;
    }
    for signature in verdict.signatures.iter().take(fields.len()) {
        assert_eq!(signature.cause, Cause::Verified, "{fields:?}");
    }

    let Some(header) = data.windows(4).position(|octets| octets == b"\r\n\r\n") else {
        return;
    };
    let (header, body) = data.split_at(header + 4);
    let mut changed = body.to_vec();
    let at = random.below(changed.len() + 1);
    let octets: &[u8] = [&b" "[..], b"\r\n", b"x", b"\t\r\n"][random.below(4)];
    changed.splice(at..at, octets.iter().copied());
    let message = [fields.concat().as_bytes(), header, &changed].concat();
    let verdict = verify(&message, &mut random);
    for (signature, signing) in verdict.signatures.iter().zip(&signings) {
        let kind = signing.body_canonicalization;
        let same = canonical(kind, body) == canonical(kind, &changed);
        let expected = if same {
            Cause::Verified
        } else {
            Cause::BodyHash
        };
        assert_eq!(signature.cause, expected, "{kind}");
    }
}

/// A key record that was read is printed as text that reads the same, and so is a signature.
pub fn dkim_key_record(data: &[u8]) {
    if let Ok(record) = KeyRecord::parse(data) {
        let text = record.to_string();
        assert_eq!(KeyRecord::parse(text.as_bytes()), Ok(record), "{text}");
    }
    let field = [b"DKIM-Signature:", data].concat();
    let Some(Ok(signature)) = Field::parse(&field).map(|field| Signature::parse(&field)) else {
        return;
    };
    // A name that fits into no line cannot be printed.
    if let Ok(text) = signature.to_field() {
        let field = Field::parse(text.as_bytes()).expect("a field was printed");
        assert_eq!(Signature::parse(&field), Ok(signature), "{text}");
    }
}
