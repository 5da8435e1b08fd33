//! Messages changed as list servers, gateways and disks change them: the diagnosis says what it was.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, LazyLock};

use dkim::diagnosis::{Change, Diagnoser, Integrity, Limits, LineEnds, SignatureDiagnosis};
use dkim::{Canonicalization, DkimResult, Options, PrivateKey, Signer, Signing, SigningKey};
use mail_dns::{Zone, resolve_blocking};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;
const HEADER: &str = "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
    From: Joe Sixpack <joe@example.com>\r\n\
    To: food@lists.example.org\r\n\
    Subject: dinner\r\n\
    Message-ID: <1@example.com>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n";
const BODY: &str = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\
    Für den Nachtisch ist gesorgt, es gibt nämlich Äpfel, Birnen, Nüsse und Käse aus Grüningen im Zürcher Oberland.\r\n\r\n\
    -- \r\nJoe\r\n";
use Canonicalization::{Relaxed, Simple};

static KEY: LazyLock<Arc<PrivateKey>> =
    LazyLock::new(|| Arc::new(PrivateKey::from_ed25519_seed(&[7; 32]).unwrap()));

fn sign(kinds: (Canonicalization, Canonicalization), message: &str) -> String {
    let key: Arc<dyn SigningKey> = KEY.clone();
    let mut signing = Signing::new("example.com".parse().unwrap(), "s".parse().unwrap(), key);
    (
        signing.header_canonicalization,
        signing.body_canonicalization,
    ) = kinds;
    let mut signer = Signer::new([signing], NOW);
    signer.write(message.as_bytes());
    signer.finish().unwrap().concat() + message
}

fn diagnose(message: impl AsRef<[u8]>) -> SignatureDiagnosis {
    diagnose_within(message, Limits::default())
}

fn diagnose_within(message: impl AsRef<[u8]>, limits: Limits) -> SignatureDiagnosis {
    let zone = Zone::new().txt(
        "s._domainkey.example.com",
        &KEY.key_record().unwrap().to_string(),
    );
    let diagnoser = Diagnoser::new(message.as_ref(), NOW, Options::default(), limits).unwrap();
    let diagnosis = resolve_blocking(diagnoser, |question| zone.answer(question));
    let [signature] = diagnosis.signatures.as_slice() else {
        panic!("{diagnosis}");
    };
    signature.clone()
}

#[track_caller]
fn explained(message: impl AsRef<[u8]>, changes: &[Change]) {
    let diagnosis = diagnose(&message);
    let text = String::from_utf8_lossy(message.as_ref()).into_owned();
    assert_eq!(diagnosis.changes, changes, "{diagnosis}\n\n{text}");
    assert!(diagnosis.is_explained(), "{diagnosis}\n\n{text}");
    let line = diagnosis.to_string();
    assert!(line.contains("the signature verifies if "), "{line}");
}

fn message() -> String {
    format!("{HEADER}\r\n{BODY}")
}

const ALL: [(Canonicalization, Canonicalization); 4] = [
    (Relaxed, Relaxed),
    (Relaxed, Simple),
    (Simple, Relaxed),
    (Simple, Simple),
];

#[test]
fn a_message_that_was_not_changed() {
    for kinds in ALL {
        let diagnosis = diagnose(sign(kinds, &message()));
        assert_eq!(diagnosis.result, DkimResult::Pass);
        assert_eq!(
            (diagnosis.body, diagnosis.header),
            (Integrity::Intact, Integrity::Intact)
        );
        assert_eq!(diagnosis.changes, []);
        assert!(!diagnosis.is_explained());
    }
}

#[test]
fn a_list_server_adds_footer_and_prefix() {
    let footer = "_______________________________________________\r\n\
        Food mailing list -- food@lists.example.org\r\n\
        To unsubscribe send an email to food-leave@lists.example.org\r\n";
    for kinds in ALL {
        let signed = sign(kinds, &message());
        let with_footer = format!("{signed}{footer}");
        explained(&with_footer, &[Change::FooterAdded { lines: 3 }]);
        explained(
            with_footer.replace("Subject: dinner", "Subject: [Food] dinner"),
            &[
                Change::FooterAdded { lines: 3 },
                Change::FieldPrefixed {
                    name: "Subject".into(),
                    prefix: "[Food] ".into(),
                },
            ],
        );
        // An answer, and the mark of the answer moved before the tag or left behind it.
        let answer = sign(kinds, &message().replace("dinner", "Re: dinner"));
        for tagged in ["[Food] Re: dinner", "Re: [Food] dinner"] {
            explained(
                answer.replace("Re: dinner", tagged),
                &[Change::FieldPrefixed {
                    name: "Subject".into(),
                    prefix: "[Food] ".into(),
                }],
            );
        }
    }
}

#[test]
fn filters_mark_the_subject_and_put_banners() {
    let signed = sign((Relaxed, Relaxed), &message());
    for prefix in ["[EXTERNAL] ", "EXTERNAL: ", "***SPAM*** ", "{Spam?} "] {
        explained(
            signed.replace("Subject: ", &format!("Subject: {prefix}")),
            &[Change::FieldPrefixed {
                name: "Subject".into(),
                prefix: prefix.into(),
            }],
        );
    }
    let banner = "CAUTION: This email comes from outside.\r\n\r\nHi.\r\n";
    explained(
        signed.replace("Hi.\r\n", banner),
        &[Change::BannerAdded { lines: 2 }],
    );
}

#[test]
fn a_list_server_adds_fields_and_rewrites_from() {
    for kinds in [(Relaxed, Relaxed), (Simple, Simple)] {
        let signed = sign(kinds, &message());
        let added = |name: &str| Change::FieldAdded { name: name.into() };
        explained(
            format!("Reply-To: food@lists.example.org\r\n{signed}"),
            &[added("Reply-To")],
        );
        explained(
            format!(
                "{}Cc: ann@example.org\r\nReply-To: food@lists.example.org\r\n{}",
                &signed[..signed.find("Date: ").unwrap()],
                &signed[signed.find("Date: ").unwrap()..]
            ),
            &[added("Cc"), added("Reply-To")],
        );
        let munged = "From: Joe via Food <food@lists.example.org>\r\nReply-To: Joe Sixpack <joe@example.com>\r\n";
        explained(
            signed.replace("From: Joe Sixpack <joe@example.com>\r\n", munged),
            &[
                Change::FieldChanged {
                    name: "From".into(),
                    was: "Joe Sixpack <joe@example.com>".into(),
                    is: "Joe via Food <food@lists.example.org>".into(),
                },
                added("Reply-To"),
            ],
        );
    }
}

#[test]
fn a_list_server_puts_its_footer_into_a_part() {
    let part = "Content-Type: multipart/alternative; boundary=\"in\"\r\n";
    let body = "--in\r\nContent-Type: text/plain\r\n\r\nhi\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>hi\r\n--in--\r\n";
    let header = HEADER
        .replace("Content-Type: text/plain; charset=utf-8\r\n", part)
        .replace("Content-Transfer-Encoding: 8bit\r\n", "");
    let footer = "Content-Type: text/plain; charset=\"us-ascii\"\r\nMIME-Version: 1.0\r\n\r\n____\r\nFood mailing list\r\n";
    for kinds in [(Relaxed, Relaxed), (Relaxed, Simple)] {
        let signed = sign(kinds, &format!("{header}\r\n{body}"));
        // Wrapped: multipart/mixed of the message and the footer.
        let wrapped = signed
            .replace(part, "Content-Type: multipart/mixed; boundary=\"out\"\r\n")
            .replace(
                body,
                &format!("--out\r\n{part}\r\n{body}\r\n--out\r\n{footer}\r\n--out--\r\n"),
            );
        explained(
            wrapped,
            &[
                Change::Wrapped,
                Change::FieldChanged {
                    name: "Content-Type".into(),
                    was: "multipart/alternative; boundary=\"in\"".into(),
                    is: "multipart/mixed; boundary=\"out\"".into(),
                },
            ],
        );
        // multipart/mixed already: one part more.
        let signed = sign(
            kinds,
            &format!("{header}\r\n{body}").replace("alternative", "mixed"),
        );
        let more = signed.replace("--in--\r\n", &format!("--in\r\n{footer}\r\n--in--\r\n"));
        explained(more, &[Change::PartAdded]);
    }
}

#[test]
fn a_gateway_encodes_the_body_anew() {
    let changed = |was: &str, is: &str| Change::FieldChanged {
        name: "Content-Transfer-Encoding".into(),
        was: was.into(),
        is: is.into(),
    };
    let quoted = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\
        F=C3=BCr den Nachtisch ist gesorgt, es gibt n=C3=A4mlich =C3=84pfel, Birnen=\r\n\
        , N=C3=BCsse und K=C3=A4se aus Gr=C3=BCningen im Z=C3=BCrcher Oberland.\r\n\r\n\
        --=20\r\nJoe\r\n";
    let base64 = "SGkuDQoNCldlIGxvc3QgdGhlIGdhbWUuICBBcmUgeW91IGh1bmdyeSB5ZXQ/DQpGw7xyIGRlbiBO\r\n\
        YWNodGlzY2ggaXN0IGdlc29yZ3QsIGVzIGdpYnQgbsOkbWxpY2ggw4RwZmVsLCBCaXJuZW4sIE7D\r\n\
        vHNzZSB1bmQgS8Okc2UgYXVzIEdyw7xuaW5nZW4gaW0gWsO8cmNoZXIgT2JlcmxhbmQuDQoNCi0t\r\n\
        IA0KSm9lDQo=\r\n";
    let forms = [
        ("8bit", BODY),
        ("quoted-printable", quoted),
        ("base64", base64),
    ];
    for kinds in [(Relaxed, Relaxed), (Relaxed, Simple)] {
        for (from, was) in forms {
            let header = HEADER.replace("8bit", from);
            let signed = sign(kinds, &format!("{header}\r\n{was}"));
            for (to, is) in forms.iter().filter(|(to, _)| *to != from) {
                let sent = signed
                    .replace(&format!("Encoding: {from}"), &format!("Encoding: {to}"))
                    .replace(was, is);
                explained(sent, &[Change::Reencoded { from, to }, changed(from, to)]);
            }
        }
        // The type got quotation marks, and the list a footer.
        let signed = sign(kinds, &message());
        let sent = signed
            .replace("charset=utf-8", "charset=\"utf-8\"")
            .replace("Encoding: 8bit", "Encoding: quoted-printable")
            .replace(BODY, quoted);
        let diagnosis = diagnose(sent + "____\r\nFood\r\n");
        assert!(diagnosis.is_explained(), "{diagnosis}");
        assert_eq!(diagnosis.changes.len(), 4, "{diagnosis}");
    }
}

#[test]
fn line_ends_were_damaged() {
    let ends = |ends| Change::BodyLineEnds { ends };
    for kinds in ALL {
        let signed = sign(kinds, &message());
        let (header, body) = signed.split_once("\r\n\r\n").unwrap();
        let lf = body.replace("\r\n", "\n");
        explained(format!("{header}\r\n\r\n{lf}"), &[ends(LineEnds::Stripped)]);
        let doubled = body.replace("\r\n", "\r\r\n");
        explained(
            format!("{header}\r\n\r\n{doubled}"),
            &[ends(LineEnds::Doubled)],
        );
        let diagnosis = diagnose(signed.replace("\r\n", "\n"));
        assert_eq!(diagnosis.result, DkimResult::PermError);
        explained(
            signed.replace("\r\n", "\n"),
            &[Change::HeaderLineEnds, ends(LineEnds::Stripped)],
        );
        explained(
            signed.replace("\r\n", "\r\r\n"),
            &[Change::HeaderLineEnds, ends(LineEnds::Doubled)],
        );
        // A signer on a disk with LF, and a server that sends CRLF.
        let local = sign(
            kinds,
            &format!("{header}\r\n\r\n{lf}").replacen("DKIM-Signature", "X-Old", 1),
        );
        explained(local.replace(&lf, body), &[ends(LineEnds::Completed)]);
    }
}

#[test]
fn white_space_and_marks_in_lines() {
    let signed = sign((Relaxed, Simple), &message());
    for (from, to, change) in [
        ("-- \r\n", "--\r\n", Change::SeparatorTrimmed),
        ("Hi.\r\n", "Hi. \r\n", Change::WhiteSpaceAdded),
    ] {
        let text = signed.replace("-- \r\n", "--\r\n");
        if change == Change::WhiteSpaceAdded {
            let plain = message()
                .replace("-- \r\n", "--\r\n")
                .replace("game.  Are", "game. Are");
            explained(sign((Relaxed, Simple), &plain).replace(from, to), &[change]);
        } else {
            explained(text, &[change]);
        }
        // Relaxed eyes do not see it.
        let relaxed = diagnose(sign((Relaxed, Relaxed), &message()).replace(from, to));
        assert_eq!(relaxed.result, DkimResult::Pass);
    }
    let from = message().replace("Hi.", "From here on it is easy.");
    explained(
        sign((Relaxed, Relaxed), &from).replace("\r\nFrom here", "\r\n>From here"),
        &[Change::FromQuoted],
    );
    let dots = message().replace("Hi.", ".profile is a file.");
    explained(
        sign((Relaxed, Relaxed), &dots).replace("\r\n.profile", "\r\n..profile"),
        &[Change::DotsDoubled],
    );
}

#[test]
fn fields_were_folded_anew_or_spelled_otherwise() {
    let signed = sign((Simple, Relaxed), &message());
    let refolded = |name: Option<&str>| Change::FieldRefolded {
        name: name.map(Into::into),
    };
    explained(
        signed.replace("Type: text/plain; charset", "Type: text/plain;\r\n charset"),
        &[refolded(Some("Content-Type"))],
    );
    let all = signed
        .replace("Type: text/plain; charset", "Type: text/plain;\r\n charset")
        .replace("Date: ", "Date:  ")
        .replace("To: ", "To:")
        .replace("Subject: ", "Subject:\t");
    explained(all, &[refolded(None)]);
    explained(
        signed.replace("\r\nMIME-Version", "\r\nMime-Version"),
        &[Change::FieldNamesRespelled],
    );
    let hash = hash_of(Relaxed, BODY);
    let tags = format!(
        "v=1; a=ed25519-sha256; c=simple/relaxed; d=example.com; s=s; h=from:subject; bh={hash}; b="
    );
    explained(
        sign_with(&tags, &message()).replace("Subject: ", "SUBJECT: "),
        &[Change::FieldNamesRespelled],
    );
}

#[test]
fn the_signer_made_a_mistake() {
    let tags = |body: Canonicalization, hash: &str| {
        format!(
            "v=1; a=ed25519-sha256; c=relaxed/{body}; d=example.com; s=s; h=from:subject; bh={hash}; b="
        )
    };
    let simple = sign_with(&tags(Relaxed, &hash_of(Simple, BODY)), &message());
    explained(simple, &[Change::HashedSimple]);
    let relaxed = sign_with(&tags(Simple, &hash_of(Relaxed, BODY)), &message());
    explained(relaxed, &[Change::WhiteSpaceAdded]);
    let empty = sign((Relaxed, Relaxed), &format!("{HEADER}\r\n"));
    explained(empty + BODY, &[Change::EmptyBodySigned]);
}

/// A signature with exactly these tags.
fn sign_with(tags: &str, message: &str) -> String {
    use base64::Engine as _;
    let encode = |octets: &[u8]| base64::engine::general_purpose::STANDARD.encode(octets);
    let field = format!("DKIM-Signature: {tags}AAAA\r\n");
    let whole = format!("{field}{message}");
    let (header, _) =
        mail_syntax::header::Header::split(whole.as_bytes(), &Default::default()).unwrap();
    let own = header.fields().next().unwrap();
    let input = dkim::signing_input(&header, &own).unwrap();
    let signature = encode(&KEY.sign(&input).unwrap());
    format!("DKIM-Signature: {tags}{signature}\r\n{message}")
}

fn hash_of(kind: Canonicalization, body: &str) -> String {
    let signed = sign((Relaxed, kind), &format!("{HEADER}\r\n{body}"));
    let (_, rest) = signed.split_once("bh=").unwrap();
    rest.split_once(';').unwrap().0.split_whitespace().collect()
}

#[test]
fn copied_fields_tell_what_changed() {
    let hash = hash_of(Relaxed, BODY);
    let tags = format!(
        "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=s; h=from:to:to:subject:date:message-id;\r\n \
         z=From:Joe=20Sixpack=20<joe@example.com>|To:food@lists.example.org|Subject:dinner;\r\n bh={hash}; b="
    );
    let signed = sign_with(&tags, &message());
    assert_eq!(diagnose(&signed).result, DkimResult::Pass);
    let changed = |name: &str, was: &str, is: &str| Change::FieldChanged {
        name: name.into(),
        was: was.into(),
        is: is.into(),
    };
    let subject = changed("Subject", "dinner", "Breakfast at noon");
    explained(
        signed.replace("Subject: dinner", "Subject: Breakfast at noon"),
        core::slice::from_ref(&subject),
    );
    let to = Change::FieldRemoved {
        name: "To".into(),
        was: "food@lists.example.org".into(),
    };
    let both = signed
        .replace("Subject: dinner", "Subject: Breakfast at noon")
        .replace("To: food@lists.example.org\r\n", "");
    explained(&both, &[to.clone(), subject.clone()]);
    explained(
        signed.replace("Subject: ", "To: eve@example.org\r\nSubject: "),
        &[Change::FieldAdded { name: "To".into() }],
    );
    // Without the copy of Date it cannot be told that it changed; what is seen is told.
    let more = both.replace("22:13:20", "22:13:21");
    let diagnosis = diagnose(more);
    assert_eq!(
        (diagnosis.body, diagnosis.header),
        (Integrity::Intact, Integrity::Changed)
    );
    assert_eq!(diagnosis.changes, [to, subject]);
    assert!(!diagnosis.is_explained());
    let text = diagnosis.to_string();
    assert!(text.contains("the body is as it was signed\n"), "{text}");
    assert!(
        text.contains("it would be right if Subject is \"dinner\""),
        "{text}"
    );
}

#[test]
fn the_body_was_cut() {
    let hash = hash_of(Simple, BODY);
    let length = BODY.len();
    let tags = format!(
        "v=1; a=ed25519-sha256; c=relaxed/simple; d=example.com; s=s; l={length}; h=from; bh={hash}; b="
    );
    let signed = sign_with(&tags, &message());
    assert_eq!(diagnose(&signed).result, DkimResult::Pass);
    let diagnosis = diagnose(&signed[..signed.len() - 5]);
    let (signed_octets, octets) = (length as u64, length as u64 - 5);
    assert_eq!(diagnosis.body, Integrity::Changed);
    assert_eq!(
        diagnosis.changes,
        [Change::BodyShorter {
            signed: signed_octets,
            octets
        }]
    );
    let lost = sign((Relaxed, Relaxed), &message()).replace(BODY, "\r\n");
    let diagnosis = diagnose(lost);
    assert_eq!(diagnosis.changes, [Change::BodyLost]);
    assert_eq!(
        (diagnosis.body, diagnosis.header),
        (Integrity::Changed, Integrity::Intact)
    );
}

#[test]
fn what_cannot_be_explained_is_not() {
    let signed = sign((Relaxed, Relaxed), &message());
    let diagnosis = diagnose(signed.replace("hungry", "thirsty"));
    assert_eq!(
        (diagnosis.body, diagnosis.header),
        (Integrity::Changed, Integrity::Intact)
    );
    assert_eq!(diagnosis.changes, []);
    let text = diagnosis.to_string();
    assert!(
        text.contains("the body was changed, and no undoing was found"),
        "{text}"
    );
    let diagnosis = diagnose(signed.replace("dinner", "supper"));
    assert_eq!(
        (diagnosis.body, diagnosis.header),
        (Integrity::Intact, Integrity::Changed)
    );
    // No key: nothing is said of the message.
    let limits = Limits::default();
    let diagnoser = Diagnoser::new(signed.as_bytes(), NOW, Options::default(), limits).unwrap();
    let diagnosis = resolve_blocking(diagnoser, |_| mail_dns::Answer::nx_domain());
    assert_eq!(diagnosis.signatures[0].header, Integrity::Unknown);
    assert_eq!(diagnosis.signatures[0].cause, dkim::Cause::NoKey);
}

/// As many fields, names and copies as the limits of a header let through; the guesses end all the same.
#[test]
fn a_header_made_to_cost() {
    let fields: String = (0..1900)
        .map(|number| format!("S{}:  {number}\r\n", number % 90))
        .collect();
    let names: String = (0..6000)
        .map(|number| format!(":s{}", number % 2000))
        .collect();
    let copies: String = (0..6000)
        .map(|number| format!("|S{}:{number}", number % 90))
        .collect();
    let hash = hash_of(Simple, BODY);
    let tags = format!(
        "v=1; a=ed25519-sha256; c=simple/simple; d=example.com; s=s; bh={hash}; h=from{names}; z=From:x{copies}; b="
    );
    let message = format!("{fields}From: joe@example.com\r\n\r\n{BODY}");
    let changed = sign_with(&tags, &message).replace("From: joe", "From: eve");
    let mut limits = Limits::default();
    limits.octets /= 8;
    let diagnosis = diagnose_within(changed, limits);
    assert_eq!(diagnosis.header, Integrity::Changed, "{}", diagnosis.cause);
    assert_eq!(diagnosis.body, Integrity::Intact);
}

#[test]
fn limits() {
    let signed = sign((Relaxed, Relaxed), &message());
    let mut limits = Limits::default();
    limits.message = signed.len();
    let options = Options::default;
    assert!(Diagnoser::new(signed.as_bytes(), NOW, options(), limits.clone()).is_ok());
    limits.message -= 1;
    let error = Diagnoser::new(signed.as_bytes(), NOW, options(), limits).unwrap_err();
    assert_eq!(
        (error.octets, error.limit),
        (signed.len(), signed.len() - 1)
    );
    // With nothing to spend nothing is found, and nothing goes wrong.
    let mut limits = Limits::default();
    (limits.octets, limits.tries) = (0, 0);
    let changed = signed + "footer\r\n";
    let diagnoser = Diagnoser::new(changed.as_bytes(), NOW, options(), limits).unwrap();
    let zone = Zone::new().txt(
        "s._domainkey.example.com",
        &KEY.key_record().unwrap().to_string(),
    );
    let diagnosis = resolve_blocking(diagnoser, |question| zone.answer(question));
    assert_eq!(diagnosis.signatures[0].body, Integrity::Changed);
    assert_eq!(diagnosis.signatures[0].header, Integrity::Changed);
}

/// The messages of the suites: the result is the verifier's, and what is said of a part fits it.
#[test]
fn the_suites() {
    for file in ["cases.json", "generated.json"] {
        let Some(suite) = testkit::conformance::load_json(&format!("dkim/{file}")) else {
            return;
        };
        let root = testkit::conformance::root().unwrap().join("dkim");
        let (mut failed, mut explained) = (0, 0);
        for case in suite["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            let message = std::fs::read(root.join(case["message"].as_str().unwrap())).unwrap();
            let zone = testkit::conformance::zone(&case["zone"]).unwrap();
            let now = case["now"].as_u64().unwrap_or(0);
            let mut verifier = dkim::Verifier::new(now, Options::default());
            verifier.write(&message);
            verifier.finish();
            let verdict = resolve_blocking(verifier, |question| zone.answer(question));
            let (options, limits) = (Options::default(), Limits::default());
            let diagnoser = Diagnoser::new(&message, now, options, limits).unwrap();
            let diagnosis = resolve_blocking(diagnoser, |question| zone.answer(question));
            if diagnosis
                .signatures
                .iter()
                .any(|it| it.changes.contains(&Change::HeaderLineEnds))
            {
                continue;
            }
            assert_eq!(diagnosis.result(), verdict.result(), "{id}");
            for signature in &diagnosis.signatures {
                let parts = [signature.body, signature.header];
                let intact = parts == [Integrity::Intact; 2];
                assert!(
                    !intact || matches!(signature.result, DkimResult::Pass | DkimResult::Neutral),
                    "{id}: {signature}"
                );
                if signature.result == DkimResult::Pass {
                    assert!(intact, "{id}: {signature}");
                }
                failed += usize::from(signature.result == DkimResult::Fail);
                explained += usize::from(signature.is_explained());
            }
        }
        eprintln!("{file}: {explained} of {failed} failed signatures explained");
    }
}

#[cfg(feature = "serde")]
#[test]
fn serialised() {
    let changed = sign((Relaxed, Relaxed), &message()) + "footer\r\n";
    let json = serde_json::to_value(diagnose(changed)).unwrap();
    let wanted = serde_json::json!({
        "result": "fail", "domain": "example.com", "selector": "s", "algorithm": "ed25519-sha256",
        "cause": "body hash did not verify", "body": "undone", "header": "intact",
        "changes": [{"change": "footer_added", "lines": 1}],
    });
    assert_eq!(json, wanted);
}

proptest! {
    #[test]
    fn any_footer_is_found(
        lines in prop::collection::vec("[ -~]{0,20}", 0..6), footer in prop::collection::vec("[!-~][ -~]{0,20}", 1..4), kind in 0..4usize,
    ) {
        let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let signed = sign(ALL[kind], &format!("{HEADER}\r\n{body}"));
        let footer: String = footer.iter().map(|line| format!("{line}\r\n")).collect();
        let diagnosis = diagnose(signed + &footer);
        prop_assert!(diagnosis.is_explained(), "{}", diagnosis);
    }

    #[test]
    fn no_message_panics(octets in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), kind in 0..4usize) {
        let mut signed = sign(ALL[kind], &message()).into_bytes();
        let at = at.index(signed.len());
        let until = (at + octets.len() / 2).min(signed.len());
        signed.splice(at..until, octets);
        let zone = Zone::new().txt("s._domainkey.example.com", &KEY.key_record().unwrap().to_string());
        let mut limits = Limits::default();
        limits.tries = 20;
        let diagnoser = Diagnoser::new(&signed, NOW, Options::default(), limits).unwrap();
        let _ = resolve_blocking(diagnoser, |question| zone.answer(question)).to_string();
    }
}
