//! Laws that hold for all messages: what is signed verifies, however it is cut and in whatever order the answers come, and any change
//! of what is signed is found.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, LazyLock};

use dkim::{
    Canonicalization, DkimResult, KeyRecord, Options, PrivateKey, Signature, Signer, Signing,
    SigningKey, Verdict, Verifier,
};
use mail_dns::{Answer, Evaluation as _, Need, Question, Zone};
use mail_syntax::header::Field;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;

struct Keys {
    ed25519: Arc<dyn SigningKey>,
    rsa: Arc<dyn SigningKey>,
    zone: Zone,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let ed25519 = PrivateKey::from_pem(include_str!("keys/ed25519.pkcs8.pem")).unwrap();
    let rsa = PrivateKey::from_pem(include_str!("keys/rsa2048.pkcs8.pem")).unwrap();
    let record = |key: &PrivateKey| KeyRecord::new(key.public_key().unwrap()).to_string();
    let zone = Zone::new()
        .txt("ed._domainkey.example.com", &record(&ed25519))
        .txt("rsa._domainkey.example.com", &record(&rsa));
    Keys {
        ed25519: Arc::new(ed25519),
        rsa: Arc::new(rsa),
        zone,
    }
});

fn signing(selector: &str, kinds: (Canonicalization, Canonicalization)) -> Signing {
    let key = if selector == "rsa" {
        &KEYS.rsa
    } else {
        &KEYS.ed25519
    };
    let domain = "example.com".parse().unwrap();
    let mut signing = Signing::new(domain, selector.parse().unwrap(), Arc::clone(key));
    (
        signing.header_canonicalization,
        signing.body_canonicalization,
    ) = kinds;
    signing
}

/// The message with its signatures before it; written to the signer in pieces of these lengths.
fn sign(signings: Vec<Signing>, message: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut signer = Signer::new(signings, NOW);
    for piece in pieces(message, cuts) {
        signer.write(piece);
    }
    [signer.finish().unwrap().concat().as_bytes(), message].concat()
}

fn pieces<'a>(mut octets: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = octets.split_at((*cut).min(octets.len()));
        pieces.push(piece);
        octets = rest;
    }
    pieces.push(octets);
    pieces
}

/// Writes in pieces; brings the answers in the order that `order` makes, as many as there are pieces to bring them between.
fn verify(message: &[u8], cuts: &[usize], order: usize) -> Verdict {
    let mut verifier = Verifier::new(NOW, Options::default());
    let mut open: Vec<Question> = Vec::new();
    for piece in pieces(message, cuts) {
        verifier.write(piece);
        while let Need::Lookup(question) = verifier.poll() {
            open.push(question);
        }
        if order % 2 == 1 && !open.is_empty() {
            let question = open.remove(order % open.len());
            verifier.answer(&question, &KEYS.zone.answer(&question));
        }
    }
    verifier.finish();
    while let Need::Lookup(question) = verifier.poll() {
        open.push(question);
    }
    while !open.is_empty() {
        assert_eq!(verifier.poll(), Need::Wait);
        let question = open.remove(order % open.len());
        verifier.answer(&question, &KEYS.zone.answer(&question));
        // A second answer, and one that nobody asked for, change nothing.
        verifier.answer(&question, &Answer::nx_domain());
        let other = Question::new("example.net".parse().unwrap(), question.kind);
        verifier.answer(&other, &Answer::nx_domain());
    }
    match verifier.poll() {
        Need::Done(verdict) => verdict,
        need => panic!("not done: {need:?}"),
    }
}

fn field() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "Subject",
        "subject",
        "To",
        "Cc",
        "X-Other",
        "Received",
        "Content-Type",
        "Reply-To",
    ]);
    let value = "[ -~é]{0,20}(\r\n[ \t]{1,3}[!-~]{1,9}[ \t]{0,2}){0,2}";
    (name, value).prop_map(|(name, value)| format!("{name}:{value}\r\n"))
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(field(), 0..8);
    let line_parts = prop::sample::select(vec![
        "a", "word", " ", "\t", "  ", "\r\n", "\r\n\r\n", ".", "\r", "\n", "é",
    ]);
    let body = prop::collection::vec(line_parts, 0..30);
    (fields, 0..9_usize, body).prop_map(|(mut fields, at, body)| {
        fields.insert(
            at.min(fields.len()),
            "From: Joe <joe@example.com>\r\n".into(),
        );
        format!("{}\r\n{}", fields.concat(), body.concat()).into_bytes()
    })
}

fn kinds() -> impl Strategy<Value = (Canonicalization, Canonicalization)> {
    let kind = || {
        prop_oneof![
            Just(Canonicalization::Simple),
            Just(Canonicalization::Relaxed)
        ]
    };
    (kind(), kind())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..60_usize, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_signed_verifies(message in message(), kinds in kinds(), others in kinds(), a in cuts(), b in cuts(), order in 0..6_usize) {
        let signings = || vec![signing("ed", kinds), signing("rsa", others), signing("ed", others)];
        let signed = sign(signings(), &message, &a);
        prop_assert_eq!(&sign(signings(), &message, &[]), &signed);
        let verdict = verify(&signed, &b, order);
        prop_assert_eq!(verdict.passed().count(), 3, "{:?}", verdict);
        prop_assert_eq!(&verify(&signed, &[], 0), &verdict);
        prop_assert!(verdict.signatures.iter().all(|signature| signature.unsigned_octets == 0));
        // No line of the signatures is longer than 78 columns.
        let fields = &signed[..signed.len() - message.len()];
        prop_assert!(fields.split(|octet| *octet == b'\n').all(|line| line.len() <= 79));
    }

    /// In simple canonicalization every octet counts but the line ends after the last line.
    #[test]
    fn a_flipped_bit_is_found(message in message(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let simple = (Canonicalization::Simple, Canonicalization::Simple);
        let mut all = signing("ed", simple);
        all.fields.present.to_mut().extend(["X-Other".into(), "Received".into()]);
        let signed = sign(vec![all], &message, &[]);
        let mut changed = signed.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        let verdict = verify(&changed, &[], 0);
        // Only in the white space and the base64 of b= may something change without effect; that is at the end of the field.
        let b = signed.windows(3).position(|octets| octets == b" b=").unwrap();
        let field_end = signed.len() - message.len();
        let in_b = (b + 3..field_end).contains(&at);
        let trimmed = |octets: &[u8]| { let mut octets = octets; while let Some(rest) = octets.strip_suffix(b"\r\n") { octets = rest; } octets.to_vec() };
        let same_but_line_ends = trimmed(&signed) == trimmed(&changed);
        prop_assert!(
            verdict.passed().count() == 0 || in_b || same_but_line_ends,
            "{:?} at {}: {:?}", String::from_utf8_lossy(&changed), at, verdict
        );
    }

    #[test]
    fn nothing_panics_and_cuts_change_nothing(mut message in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        let head = b"DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from;\r\n bh=";
        message.splice(0..0, head.iter().copied());
        prop_assert_eq!(verify(&message, &cuts, 1), verify(&message, &[], 0));
    }

    #[test]
    fn a_signature_is_printed_as_it_is_read(message in message(), kinds in kinds()) {
        let signed = sign(vec![signing("ed", kinds)], &message, &[]);
        let text = &signed[..signed.len() - message.len()];
        let signature = Signature::parse(&Field::parse(text).unwrap()).unwrap();
        let printed = signature.to_field().unwrap();
        prop_assert_eq!(printed.as_bytes(), text);
    }
}

#[test]
fn the_message_may_end_in_its_header() {
    for message in ["From: joe@example.com\r\n", "From: joe@example.com"] {
        let signed = sign(
            vec![signing("ed", Default::default())],
            message.as_bytes(),
            &[],
        );
        let verdict = verify(&signed, &[], 0);
        assert_eq!(
            verdict.result(),
            DkimResult::Pass,
            "{message:?} {verdict:?}"
        );
    }
}
