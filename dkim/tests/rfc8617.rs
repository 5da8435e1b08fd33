//! RFC 8617: what a validator and a sealer must do, and chains that are not what they seem.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use dkim::arc::{
    ArcSet, Cause, ChainStatus, FieldKind, InstanceError, MAX_SETS, SealError, SealSyntaxError,
    SealedFields, Sealer, Sealing, Validator, Verdict, combined_results,
};
use dkim::{
    Algorithm, KeyRecord, Options, PrivateKey, Signer, Signing, SigningKey, SigningKeyError,
    Verifier,
};
use mail_dns::{Evaluation as _, Failure, Need, Zone, resolve_blocking};
use mail_syntax::authentication_results::{AuthenticationResults, Method, MethodResult, Outcome};
use mail_syntax::header::{Header, Limits};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str =
    "From: Joe <joe@bank.example>\r\nSubject: dinner\r\n\r\nIs it ready?\r\nJoe\r\n";

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()
}

/// The key of all hops, under the names that they use.
fn zone() -> Zone {
    let record = KeyRecord::new(key().public_key().unwrap()).to_string();
    (0..20).fold(Zone::new(), |zone, hop| {
        zone.txt(&format!("s._domainkey.hop{hop}.example"), &record)
    })
}

fn sealing(hop: usize) -> Sealing {
    let domain = format!("hop{hop}.example").parse().unwrap();
    Sealing::new(domain, "s".parse().unwrap(), Arc::new(key()))
}

fn validate_with(message: &[u8], options: Options, zone: &Zone) -> Verdict {
    let mut validator = Validator::new(NOW, options);
    validator.write(message);
    validator.finish();
    let verdict = resolve_blocking(validator, |question| zone.answer(question));
    assert_eq!(verdict.status, verdict.cause.status());
    assert_eq!(
        verdict.oldest_pass.is_some(),
        verdict.status == ChainStatus::Pass
    );
    verdict
}

fn validate(message: &str) -> Verdict {
    validate_with(message.as_bytes(), Options::default(), &zone())
}

fn results() -> AuthenticationResults {
    let mut results = AuthenticationResults::new("mx.example");
    results.push(MethodResult::new(Method::Dmarc, Outcome::Pass));
    results
}

fn try_seal(sealing: Sealing, message: &str, chain: &Verdict) -> Result<Option<ArcSet>, SealError> {
    let mut sealer = Sealer::new(sealing, NOW);
    sealer.write(message.as_bytes());
    sealer.finish(chain, &results())
}

/// The message as this hop sends it on, changed or not.
fn forward(hop: usize, arrived: &str, leaves: &str) -> String {
    let chain = validate(arrived);
    let set = try_seal(sealing(hop), leaves, &chain).unwrap().unwrap();
    format!("{set}{leaves}")
}

fn chain(hops: usize) -> String {
    (0..hops).fold(MESSAGE.to_owned(), |message, hop| {
        forward(hop, &message, &message)
    })
}

/// Header fields with their line ends, and the rest.
fn fields(message: &str) -> (Vec<String>, String) {
    let (header, body) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    let fields = header.fields().map(|field| text(field.raw())).collect();
    (fields, format!("\r\n{}", text(body)))
}

/// The message with its fields changed one by one.
fn edit(message: &str, mut change: impl FnMut(&str) -> String) -> String {
    let (fields, rest) = fields(message);
    fields.iter().map(|field| change(field)).collect::<String>() + &rest
}

fn is(field: &str, kind: FieldKind, instance: u8) -> bool {
    field.starts_with(&format!("{}: i={instance};", kind.name()))
}

const KINDS: [FieldKind; 3] = [
    FieldKind::AuthenticationResults,
    FieldKind::MessageSignature,
    FieldKind::Seal,
];

#[test]
fn each_set_has_one_of_each_field() {
    let message = chain(3);
    assert_eq!(validate(&message).cause, Cause::Validated);
    for instance in 1..=3 {
        for field in KINDS {
            let without = edit(&message, |text| match is(text, field, instance) {
                true => String::new(),
                false => text.to_owned(),
            });
            let missing = Cause::Missing { instance, field };
            assert_eq!(validate(&without).cause, missing);
            let twice = edit(&message, |text| match is(text, field, instance) {
                true => text.repeat(2),
                false => text.to_owned(),
            });
            let repeated = Cause::Repeated { instance, field };
            assert_eq!(validate(&twice).cause, repeated);
        }
    }
}

#[test]
fn instances_go_from_1_to_n_without_gaps() {
    let message = chain(3);
    for (left_out, cause) in [
        (1, Cause::Gap { instance: 1 }),
        (2, Cause::Gap { instance: 2 }),
        // What is left is a chain, and what hop 2 signed is unchanged.
        (3, Cause::Validated),
    ] {
        let rest = edit(&message, |text| {
            match KINDS.iter().any(|kind| is(text, *kind, left_out)) {
                true => String::new(),
                false => text.to_owned(),
            }
        });
        assert_eq!(validate(&rest).cause, cause);
    }
    let renamed = edit(&message, |text| text.replacen("i=2;", "i=0;", 1));
    assert!(matches!(
        validate(&renamed).cause,
        Cause::Instance {
            error: InstanceError::OutOfRange { value: 0 },
            ..
        }
    ));
}

#[test]
fn fifty_sets_are_a_chain_and_take_no_more() {
    let mut message = MESSAGE.to_owned();
    for _ in 0..MAX_SETS {
        message = forward(0, &message, &message);
    }
    let verdict = validate(&message);
    assert_eq!(
        (verdict.status, verdict.oldest_pass, verdict.sets.len()),
        (ChainStatus::Pass, Some(0), 50)
    );
    assert_eq!(try_seal(sealing(0), &message, &verdict), Ok(None));
    // One more, signed or not.
    let (all, _) = fields(&message);
    let more: String = (all.iter().take(3))
        .map(|field| field.replacen("i=50;", "i=51;", 1))
        .collect();
    let message = format!("{more}{message}");
    let verdict = validate(&message);
    assert_eq!(verdict.cause, Cause::TooManySets { instance: 51 });
    assert_eq!(try_seal(sealing(0), &message, &verdict), Ok(None));
}

#[test]
fn the_first_seal_says_none_and_later_ones_pass() {
    let message = chain(2);
    for (instance, status) in [
        (1, ChainStatus::Pass),
        (1, ChainStatus::Fail),
        (2, ChainStatus::None),
    ] {
        let changed = edit(&message, |text| match is(text, FieldKind::Seal, instance) {
            true => ["none", "pass"].iter().fold(text.to_owned(), |text, word| {
                text.replace(&format!("cv={word}"), &format!("cv={status}"))
            }),
            false => text.to_owned(),
        });
        let cause = Cause::SealStatus { instance, status };
        assert_eq!(validate(&changed).cause, cause);
    }
    let failed = message.replacen("cv=pass", "cv=fail", 1);
    assert_eq!(validate(&failed).cause, Cause::FailedBefore { instance: 2 });
}

#[test]
fn a_seal_with_h_fails() {
    let message = chain(1).replacen("cv=none;", "cv=none; h=from;", 1);
    assert!(matches!(
        validate(&message).cause,
        Cause::SealSyntax {
            instance: 1,
            error: SealSyntaxError::SignedFields { .. }
        }
    ));
}

/// RFC 8617 §4.1.3: "the only supported tags are …": what else stands in a seal is not read, though it is signed.
#[test]
fn other_tags_of_dkim_mean_nothing_in_a_seal() {
    let message = chain(1).replacen("cv=none;", "cv=none; x=1; l=x; c=y; q=z; bh=*;", 1);
    assert_eq!(
        validate(&message).cause,
        Cause::Seal {
            instance: 1,
            cause: dkim::Cause::Mismatch
        }
    );
}

#[test]
fn a_version_in_a_message_signature_is_ignored() {
    let with_version = |version: &str| {
        edit(&chain(1), |text| {
            match is(text, FieldKind::MessageSignature, 1) {
                true => text.replacen("i=1;", &format!("i=1; v={version};"), 1),
                false => text.to_owned(),
            }
        })
    };
    // It is signed all the same, so what was added behind the seal's back is a mismatch and not a version error.
    for version in ["1", "2", "x"] {
        let Cause::MessageSignature { cause, .. } = validate(&with_version(version)).cause else {
            panic!("version {version}");
        };
        assert_eq!(cause, dkim::Cause::Mismatch, "version {version}");
    }
}

#[test]
fn no_letter_or_digit_of_a_chain_can_change() {
    let message = chain(2);
    let end = message.find("From:").unwrap();
    for at in 0..end {
        let mut changed = message.clone().into_bytes();
        if !changed[at].is_ascii_alphanumeric() || changed[..at].ends_with(b"\r\n") {
            continue;
        }
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        let verdict = validate_with(&changed, Options::default(), &zone());
        assert_ne!(verdict.status, ChainStatus::Pass, "octet {at}");
    }
}

#[test]
fn no_truncated_message_passes() {
    let message = chain(2);
    for end in 0..message.len() {
        let verdict = validate(&message[..end]);
        // The line end of the last line is added by the canonical form.
        if end < message.len() - 2 {
            assert_ne!(verdict.status, ChainStatus::Pass, "up to {end}");
        }
    }
}

#[test]
fn the_oldest_message_signature_that_validates_is_told() {
    let first = forward(0, MESSAGE, MESSAGE);
    let changed = first.replace("Subject: dinner", "Subject: [list] dinner");
    let second = forward(1, &first, &changed);
    let third = forward(2, &second, &second);
    for (message, oldest) in [(&first, 0), (&second, 2), (&third, 2)] {
        assert_eq!(validate(message).oldest_pass, Some(oldest));
    }
    let verdict = validate(&third);
    let of_sets: Vec<_> = (verdict.sets.iter())
        .map(|set| set.message_signature.clone())
        .collect();
    let (good, bad) = (Some(dkim::Cause::Verified), Some(dkim::Cause::Mismatch));
    assert_eq!(of_sets, [bad, good.clone(), good]);
    let field = |verdict: &Verdict| {
        let mut results = AuthenticationResults::new("mx.example");
        results.push(verdict.method_result());
        results.to_field().unwrap()
    };
    assert_eq!(
        field(&verdict),
        "Authentication-Results: mx.example; arc=pass header.oldest-pass=2\r\n"
    );
    assert_eq!(
        field(&validate(MESSAGE)),
        "Authentication-Results: mx.example; arc=none\r\n"
    );
    // Changed behind the newest: nothing counts.
    let broken = validate(&third.replace("dinner", "supper"));
    assert_eq!(
        broken.cause,
        Cause::MessageSignature {
            instance: 3,
            cause: dkim::Cause::Mismatch
        }
    );
    let broken = field(&broken);
    let expected = "arc=fail reason=\"ARC-Message-Signature 3: signature did not verify\"";
    assert!(
        broken
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .ends_with(expected),
        "{broken}"
    );
}

#[test]
fn a_failed_chain_counts_as_none() {
    let message = chain(2);
    let trusted = |verdict: &Verdict| verdict.trusted_results(|_| true).cloned();
    let expected = AuthenticationResults::parse(b"i=1; mx.example; dmarc=pass").unwrap();
    assert_eq!(trusted(&validate(&message)), Some(expected));
    assert_eq!(trusted(&validate(&message.replace("ready", "late"))), None);
    assert_eq!(trusted(&validate(MESSAGE)), None);
    let first_only = validate(&message)
        .trusted_results(|sealer| *sealer == "hop0.example")
        .cloned();
    assert_eq!(first_only, None, "hop1 is not trusted");
}

#[test]
fn errors_of_the_dns_are_permanent() {
    let verdict = validate_with(
        chain(1).as_bytes(),
        Options::default(),
        &Zone::new().fail("s._domainkey.hop0.example", Failure::Timeout),
    );
    assert_eq!(
        verdict.cause,
        Cause::MessageSignature {
            instance: 1,
            cause: dkim::Cause::KeyUnavailable(Failure::Timeout)
        }
    );
}

#[test]
fn all_keys_are_asked_for_before_the_body_comes() {
    let message = chain(3);
    let body = message.find("\r\n\r\n").unwrap() + 4;
    let mut validator = Validator::new(NOW, Options::default());
    validator.write(&message.as_bytes()[..body]);
    let mut asked = Vec::new();
    while let Need::Lookup(question) = validator.poll() {
        asked.push(question);
    }
    assert_eq!(asked.len(), 3);
    let zone = zone();
    for question in asked.iter().rev() {
        validator.answer(question, &zone.answer(question));
        // A second answer is ignored.
        validator.answer(question, &Zone::new().answer(question));
    }
    assert!(matches!(validator.poll(), Need::Wait));
    validator.write(&message.as_bytes()[body..]);
    validator.finish();
    assert!(matches!(validator.poll(), Need::Done(verdict) if verdict.cause == Cause::Validated));
    // Where the header decides, nothing is asked, and the body need not be waited for.
    let mut validator = Validator::new(NOW, Options::default());
    validator.write(message[..body].replacen("i=1;", "i=7;", 1).as_bytes());
    assert!(matches!(validator.poll(), Need::Done(_)));
}

#[test]
fn keys_are_limited() {
    let mut options = Options::default();
    options.limits.keys = 2;
    let message = chain(3);
    let verdict = validate_with(message.as_bytes(), options.clone(), &zone());
    assert_eq!(verdict.cause, Cause::TooManyKeys);
    assert_eq!(verdict.sets.len(), 3);
    options.limits.keys = 3;
    let verdict = validate_with(message.as_bytes(), options, &zone());
    assert_eq!(verdict.cause, Cause::Validated);
}

#[test]
fn a_chain_that_fails_is_sealed_once_and_alone() {
    let message = chain(2).replace("ready", "late");
    let verdict = validate(&message);
    assert_eq!(verdict.status, ChainStatus::Fail);
    let mut sealer = Sealer::new(sealing(2), NOW);
    sealer.write(message.as_bytes());
    let unsigned = sealer
        .finish_unsigned(&verdict, &results())
        .unwrap()
        .unwrap();
    let signature = key().sign(unsigned.octets()).unwrap();
    let seal = unsigned.finish(&signature).unwrap();
    let signed = String::from_utf8(seal.octets().to_vec()).unwrap();
    let names: Vec<_> = (signed.split("\r\n"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "arc-authentication-results:i=3;",
            "arc-message-signature:i=3;",
            "arc-seal:i=3;"
        ]
    );
    let octets = key().sign(seal.octets()).unwrap();
    let set = seal.finish(&octets).unwrap();
    assert!(set.seal.contains("cv=fail;"), "{}", set.seal);
    let message = format!("{set}{message}");
    let verdict = validate(&message);
    assert_eq!(verdict.cause, Cause::FailedBefore { instance: 3 });
    assert_eq!(try_seal(sealing(3), &message, &verdict), Ok(None));
}

#[test]
fn a_seal_signs_all_sets_in_their_order() {
    let message = chain(2);
    let mut sealer = Sealer::new(sealing(2), NOW);
    sealer.write(message.as_bytes());
    let unsigned = sealer
        .finish_unsigned(&validate(&message), &results())
        .unwrap()
        .unwrap();
    let seal = unsigned.finish(&[1]).unwrap();
    let signed = String::from_utf8(seal.octets().to_vec()).unwrap();
    let starts: Vec<_> = (signed.split("\r\n"))
        .map(|line| line.split(';').next().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (1..=3)
        .flat_map(|instance| {
            KINDS.map(|kind| format!("{}:i={instance}", kind.name().to_lowercase()))
        })
        .collect();
    assert_eq!(starts, expected);
    assert!(signed.ends_with(" b="), "{signed}");
}

#[test]
fn only_the_chain_that_was_validated_is_continued() {
    let message = chain(2);
    let verdict = validate(&message);
    let other = forward(5, MESSAGE, MESSAGE);
    let other = forward(6, &other, &other);
    for wrong in [
        MESSAGE,
        &chain(1),
        &other,
        &message.replacen("i=2;", "i=3;", 1),
    ] {
        assert_eq!(
            try_seal(sealing(2), wrong, &verdict),
            Err(SealError::ChainChanged)
        );
    }
    assert_eq!(
        try_seal(sealing(2), &message, &validate(MESSAGE)),
        Err(SealError::ChainChanged)
    );
}

#[derive(Debug)]
struct Sha1;

impl SigningKey for Sha1 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RsaSha1
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        panic!("must not be asked to sign")
    }
}

#[test]
fn what_is_not_sealed() {
    let none = validate(MESSAGE);
    let seal = |message: &str| try_seal(sealing(0), message, &none);
    let two = format!("From: eve@evil.example\r\n{MESSAGE}");
    assert_eq!(seal(&two), Err(SealError::From { count: 2 }));
    assert_eq!(
        seal("Subject: x\r\n\r\n"),
        Err(SealError::From { count: 0 })
    );
    let bare = MESSAGE.replacen("dinner", "dinner\nX: y", 1);
    assert!(matches!(seal(&bare), Err(SealError::Malformed { .. })));
    let long = format!("X: {}\r\n{MESSAGE}", "x".repeat(200 << 10));
    assert!(matches!(seal(&long), Err(SealError::Header(_))));

    for name in [
        "Authentication-Results",
        "ARC-Seal",
        "arc-message-signature",
        "ARC-Authentication-Results",
        "a b",
        "",
    ] {
        let mut sealing = sealing(0);
        sealing.fields = SealedFields::Exactly(vec!["From".into(), name.into()].into());
        let error = SealError::FieldName { name: name.into() };
        assert_eq!(try_seal(sealing, MESSAGE, &none), Err(error));
    }
    let mut without_from = sealing(0);
    without_from.fields = SealedFields::Exactly(vec!["Subject".into()].into());
    assert!(matches!(
        try_seal(without_from, MESSAGE, &none),
        Err(SealError::Signature(_))
    ));
    let mut sha1 = sealing(0);
    sha1.key = Arc::new(Sha1);
    let algorithm = Algorithm::RsaSha1;
    assert_eq!(
        try_seal(sha1, MESSAGE, &none),
        Err(SealError::Algorithm { algorithm })
    );
}

#[test]
fn dkim_signatures_are_signed_by_default() {
    let message = format!("DKIM-Signature: v=1; b=x\r\n{MESSAGE}");
    let sealed = forward(0, &message, &message);
    assert_eq!(validate(&sealed).cause, Cause::Validated);
    let stripped = sealed.replacen("DKIM-Signature: v=1; b=x\r\n", "", 1);
    assert_eq!(validate(&stripped).status, ChainStatus::Fail);
}

#[test]
fn the_results_of_one_server_are_combined() {
    let message = "Authentication-Results: mx.example; spf=pass\r\n\
                   Authentication-Results: other.example; dkim=fail\r\n\
                   Received: x\r\n\
                   Authentication-Results: mx.example;\r\n dkim=pass header.d=a.example; dmarc=pass\r\n\
                   From: a@a.example\r\n\r\n";
    let (header, _) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
    let mut combined = combined_results(&header, "mx.example");
    combined.set_instance(1);
    assert_eq!(
        combined.to_field().unwrap(),
        "ARC-Authentication-Results: i=1; mx.example; spf=pass; dkim=pass\r\n header.d=a.example; dmarc=pass\r\n"
    );
}

/// RFC 8617 §7.2.2 has the form.
#[test]
fn the_comment_of_a_dmarc_report() {
    let mut results = results();
    let mut arc = MethodResult::new(Method::Arc, Outcome::None);
    let ptype = mail_syntax::authentication_results::Ptype::Smtp;
    arc.add_property(ptype, "remote-ip".parse().unwrap(), "2001:db8::1a");
    results.push(arc);
    let mut sealer = Sealer::new(sealing(1), NOW);
    sealer.write(MESSAGE.as_bytes());
    let set = sealer
        .finish(&validate(MESSAGE), &results)
        .unwrap()
        .unwrap();
    let first = format!("{set}{MESSAGE}");
    assert_eq!(
        validate(&forward(2, &first, &first)).report_comment(),
        "arc=pass as[2].d=hop2.example as[2].s=s as[1].d=hop1.example as[1].s=s remote-ip[1]=2001:db8::1a"
    );
}

fn cut(message: &[u8], cuts: &[usize], mut write: impl FnMut(&[u8])) {
    let mut rest = message;
    for cut in cuts {
        let (piece, behind) = rest.split_at((*cut).min(rest.len()));
        write(piece);
        rest = behind;
    }
    write(rest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever hops do to a message before they seal it, and however it is cut, the chain passes, and the oldest message signature that
    /// validates is that of the last hop that changed it.
    #[test]
    fn what_was_sealed_validates(
        hops in prop::collection::vec(prop::option::of(("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..40))), 1..6),
        cuts in prop::collection::vec(0_usize..400, 0..12),
    ) {
        let mut message = MESSAGE.as_bytes().to_vec();
        let mut last_change = 1;
        for (hop, change) in hops.iter().enumerate() {
            let arrived = validate_with(&message, Options::default(), &zone());
            if let Some((subject, body)) = change {
                let (header, old) = Header::split(&message, &Limits::default()).unwrap();
                let mut header: Vec<u8> = header.fields()
                    .filter(|field| !field.is("Subject"))
                    .flat_map(|field| field.raw().to_vec())
                    .collect();
                header.extend(format!("Subject: {subject}{hop}\r\n\r\n").bytes());
                message = [&header, old, body].concat();
                last_change = hop + 1;
            }
            let mut sealer = Sealer::new(sealing(hop), NOW);
            cut(&message, &cuts, |piece| sealer.write(piece));
            let set = sealer.finish(&arrived, &results()).unwrap().unwrap();
            message = [set.to_string().as_bytes(), &message].concat();
        }
        let mut validator = Validator::new(NOW, Options::default());
        cut(&message, &cuts, |piece| validator.write(piece));
        validator.finish();
        let zone = zone();
        let verdict = resolve_blocking(validator, |question| zone.answer(question));
        prop_assert_eq!(&verdict, &validate_with(&message, Options::default(), &zone));
        prop_assert_eq!(verdict.cause, Cause::Validated);
        prop_assert_eq!(verdict.sets.len(), hops.len());
        let oldest = if last_change == 1 { 0 } else { last_change };
        prop_assert_eq!(verdict.oldest_pass.map(usize::from), Some(oldest));
    }

    /// Fields of a chain in any order, any number of times, and anything between them: no panic, and a pass only for the chain itself.
    #[test]
    fn only_a_whole_chain_passes(picks in prop::collection::vec(0_usize..9, 0..14), noise in "[ -~]{0,30}") {
        let message = chain(3);
        let (fields, rest) = fields(&message);
        let (arc, others) = fields.split_at(9);
        let mut text: String = picks.iter().map(|at| arc[*at].as_str()).collect();
        if !noise.is_empty() {
            text += &format!("ARC-Seal:{noise}\r\n");
        }
        let verdict = validate(&format!("{text}{}{rest}", others.concat()));
        let mut sorted = picks;
        sorted.sort_unstable();
        // The fields stand from set 3 at the top to set 1.
        let whole = (1..=3).any(|sets| sorted.iter().copied().eq(9 - 3 * sets..9));
        prop_assert_eq!(verdict.status == ChainStatus::Pass, whole && noise.is_empty());
    }
}

#[test]
fn beside_a_verifier_the_verdicts_are_the_same() {
    let domain = "hop0.example".parse().unwrap();
    let mut signing = Signing::new(domain, "s".parse().unwrap(), Arc::new(key()));
    signing.body_canonicalization = dkim::Canonicalization::Simple;
    let mut signer = Signer::new([signing], NOW);
    signer.write(MESSAGE.as_bytes());
    let signed = signer.finish().unwrap().concat() + MESSAGE;
    let sealed = forward(1, &signed, &signed);
    let header = sealed.split_once("\r\n\r\n").unwrap().0;
    let mut small = Options::default();
    small.limits.header.block = 500;
    for (options, message) in [
        (Options::default(), &*sealed),
        (Options::default(), &signed),
        (
            Options::default(),
            &forward(2, &sealed, &sealed).replace("ready", "done"),
        ),
        (Options::default(), MESSAGE),
        (Options::default(), header),
        (Options::default(), ""),
        (small, &sealed),
    ] {
        let zone = zone();
        let verify = |verifier| resolve_blocking(verifier, |question| zone.answer(question));
        let chain = validate_with(message.as_bytes(), options.clone(), &zone);
        let mut verifier = Verifier::new(NOW, options.clone());
        verifier.write(message.as_bytes());
        verifier.finish();
        let signatures = verify(verifier);
        for cut in (0..=message.len()).step_by(5) {
            let mut verifier = Verifier::new(NOW, options.clone());
            let mut validator = Validator::new(NOW, options.clone());
            let (one, other) = message.as_bytes().split_at(cut);
            let mut headers = 0;
            validator.write_beside(&mut verifier, one, |_| headers += 1);
            validator.write_beside(&mut verifier, other, |_| headers += 1);
            validator.finish_beside(&mut verifier, |_| headers += 1);
            validator.finish_beside(&mut verifier, |_| headers += 1);
            assert_eq!(headers, 1, "the header is shown once, wherever it ends");
            assert_eq!(verify(verifier), signatures);
            let beside = resolve_blocking(validator, |question| zone.answer(question));
            assert_eq!(beside, chain);
        }
    }
}
