//! The command-line tools, as processes: what they print, what they exit with.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Output;

use examples::demo;
use examples::server::{Security, Service};
use serde_json::{Value, json};
use support::Folder;
use support::server::with_demo;
use support::tool::{expect, expect_json, run};

const NOW: &str = "1700000000";
/// As a disk has it: lines end in LF.
const MESSAGE: &str =
    "From: Joe <joe@example.com>\nTo: ann@example.org\nSubject: dinner\n\nIs it ready?\n";

/// A key of the test's own, and the record for it.
fn key(folder: &Folder) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let path = folder.write("key.pem", key.serialize_pem());
    let arguments = [
        "--domain",
        "example.com",
        "--selector",
        "s1",
        "--key",
        &path,
    ];
    let printed = expect(
        &run(
            "dkim-sign",
            &[&arguments[..], &["--print-record"]].concat(),
            b"",
        ),
        0,
    );
    let record = printed
        .strip_prefix("s1._domainkey.example.com. TXT \"")
        .unwrap();
    (
        path,
        record.trim_end().strip_suffix('"').unwrap().to_owned(),
    )
}

fn sign(key: &str, message: &[u8]) -> Output {
    let arguments = [
        "--domain",
        "example.com",
        "--selector",
        "s1",
        "--key",
        key,
        "--now",
        NOW,
    ];
    run("dkim-sign", &arguments, message)
}

#[test]
fn spf_check_tells_result_and_cause_by_either_form_of_zone() {
    let folder = Folder::new("tools-spf");
    let master = folder.write(
        "zone",
        "$ORIGIN example.com.\n@ 60 IN TXT \"v=spf1 mx -all\"\n@ 60 IN MX 10 mail\nmail 60 IN A 192.0.2.1\n",
    );
    let json_zone = json!({
        "example.com": {"TXT": [["v=spf1 ", "mx -all"]], "MX": ["10 mail.example.com"]},
        "mail.example.com": {"A": ["192.0.2.1"], "AAAA": []},
        "broken.example": {"_rcode": "SERVFAIL"},
        "slow.example": {"_rcode": "TIMEOUT"},
    });
    let json_zone = folder.write("zone.json", json_zone.to_string());
    for zone in [&master, &json_zone] {
        let check = |ip: &str| {
            let arguments = [
                "--ip",
                ip,
                "--helo",
                "x.example",
                "--mail-from",
                "joe@example.com",
            ];
            run(
                "spf-check",
                &[&arguments[..], &["--json", "--zone", zone]].concat(),
                b"",
            )
        };
        let verdict = expect_json(&check("192.0.2.1"), 0);
        let wanted = json!({
            "result": "pass", "domain": "example.com", "identity": "mailfrom",
            "cause": "\"mx\" of example.com matches", "explanation": null,
        });
        assert_eq!(verdict, wanted, "{zone}");
        assert_eq!(
            expect_json(&check("192.0.2.2"), 1)["result"],
            "fail",
            "{zone}"
        );
    }
    let helo = |name: &str| {
        let arguments = ["--ip", "192.0.2.1", "--helo", name, "--zone", &json_zone];
        run("spf-check", &arguments, b"")
    };
    assert!(expect(&helo("broken.example"), 75).starts_with("temperror: "));
    assert!(expect(&helo("slow.example"), 75).contains("timeout"));
    let absent = expect(&helo("absent.example"), 1);
    assert!(
        absent.starts_with("none: absent.example does not exist\n"),
        "{absent}"
    );
    assert!(absent.contains("Received-SPF: none"), "{absent}");
}

#[test]
fn dkim_signs_what_dkim_verify_verifies() {
    let folder = Folder::new("tools-dkim");
    let (key, record) = key(&folder);
    let zone = json!({ "s1._domainkey.example.com": { "TXT": [record] } });
    let zone = folder.write("zone.json", zone.to_string());
    let signed = expect(&sign(&key, MESSAGE.as_bytes()), 0);
    assert!(signed.starts_with("DKIM-Signature: "), "{signed}");
    assert!(signed.ends_with(&MESSAGE.replace('\n', "\r\n")), "{signed}");
    let verify = |message: &str, more: &[&str]| {
        let arguments = ["--now", NOW, "--zone", &zone];
        run(
            "dkim-verify",
            &[&arguments[..], more].concat(),
            message.as_bytes(),
        )
    };
    let wanted = json!([{
        "result": "pass", "domain": "example.com", "selector": "s1", "algorithm": "ed25519-sha256",
        "cause": "signature verified",
    }]);
    assert_eq!(expect_json(&verify(&signed, &["--json"]), 0), wanted);
    // Back on a disk, with the line ends of the disk.
    let path = folder.write("signed.eml", signed.replace("\r\n", "\n"));
    assert_eq!(expect_json(&verify("", &["--json", &path]), 0), wanted);
    let changed = expect(&verify(&signed.replace("ready", "burnt"), &[]), 1);
    assert!(changed.contains("body hash did not verify"), "{changed}");
    assert_eq!(expect(&verify(MESSAGE, &[]), 1), "none: no signature\n");
    let expired = verify(&signed, &["--json"]);
    assert_eq!(expired.status.code(), Some(0));
    let later = ["--now", "1800000000", "--zone", &zone];
    let expired = expect(&run("dkim-verify", &later, signed.as_bytes()), 1);
    assert!(expired.contains("signature expired"), "{expired}");
}

#[test]
fn auth_check_has_the_whole_verdict() {
    let folder = Folder::new("tools-auth");
    let (key, record) = key(&folder);
    let zone = json!({
        "example.com": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
        "s1._domainkey.example.com": {"TXT": [record]},
        "_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["mail.example.com"]},
        "mail.example.com": {"A": ["192.0.2.1"]},
    });
    let zone = folder.write("zone.json", zone.to_string());
    let signed = expect(&sign(&key, MESSAGE.as_bytes()), 0);
    let check = |message: &str, ip: &str, more: &[&str]| {
        let arguments = [
            "--ip",
            ip,
            "--helo",
            "mail.example.com",
            "--mail-from",
            "<joe@example.com>",
            "--authserv-id",
            "mx.example.org",
            "--now",
            NOW,
            "--zone",
            &zone,
        ];
        run(
            "auth-check",
            &[&arguments[..], more].concat(),
            message.as_bytes(),
        )
    };
    let verdict = expect_json(&check(&signed, "192.0.2.1", &["--json"]), 0);
    assert_eq!(verdict["spf"]["result"], "pass");
    assert_eq!(verdict["spf"]["identity"], "mailfrom");
    assert_eq!(verdict["dkim"][0]["result"], "pass");
    let dmarc = json!({
        "result": "pass", "author_domain": "example.com", "record_domain": "example.com",
        "policy": "reject", "disposition": "none", "cause": verdict["dmarc"]["cause"],
    });
    assert_eq!(verdict["dmarc"], dmarc);
    assert_eq!(
        verdict["iprev"],
        json!({"result": "pass", "name": "mail.example.com"})
    );
    let field = verdict["authentication_results"].as_str().unwrap();
    assert!(
        field.starts_with("Authentication-Results: mx.example.org;"),
        "{field}"
    );
    assert!(field.contains("dmarc=pass"), "{field}");
    let questions: Vec<&str> = (verdict["questions"].as_array().unwrap().iter())
        .filter_map(Value::as_str)
        .collect();
    for question in [
        "example.com TXT",
        "s1._domainkey.example.com TXT",
        "_dmarc.example.com TXT",
        "1.2.0.192.in-addr.arpa PTR",
    ] {
        assert_eq!(
            questions.iter().filter(|asked| **asked == question).count(),
            1,
            "{questions:?}"
        );
    }

    let forged = expect_json(&check(MESSAGE, "198.51.100.1", &["--json"]), 1);
    assert_eq!(forged["dkim"], json!([]));
    assert_eq!(forged["dmarc"]["result"], "fail");
    assert_eq!(forged["dmarc"]["disposition"], "reject");
    assert_eq!(forged["iprev"]["name"], Value::Null);
    let words = expect(&check(MESSAGE, "198.51.100.1", &[]), 1);
    assert!(
        words.contains("DMARC  fail: no aligned identifier passed\n"),
        "{words}"
    );
    assert!(words.contains("Advice reject\n"), "{words}");

    let silent = json!({ "_dmarc.example.com": { "_rcode": "TIMEOUT" } }).to_string();
    folder.write("zone.json", silent);
    let unknown = expect_json(&check(MESSAGE, "198.51.100.1", &["--json"]), 75);
    assert_eq!(unknown["dmarc"]["result"], "temperror");
    assert_eq!(unknown["dmarc"]["disposition"], "none");
}

#[test]
fn mistakes_are_told_on_standard_error() {
    let folder = Folder::new("tools-mistakes");
    let (key, _) = key(&folder);
    let bad_zone = folder.write(
        "bad.json",
        json!({"a.example": {"A": ["pear"]}}).to_string(),
    );
    let error = |output: Output, code: i32| {
        assert_eq!(expect(&output, code), "");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = error(
        run("dkim-verify", &["--zone", &bad_zone], MESSAGE.as_bytes()),
        2,
    );
    assert!(said.starts_with("dkim-verify: "), "{said}");
    assert!(
        said.ends_with("bad.json: a.example: \"pear\" is no A record\n"),
        "{said}"
    );
    let said = error(run("dkim-verify", &["/nowhere/message.eml"], b""), 2);
    assert!(
        said.starts_with("dkim-verify: /nowhere/message.eml: "),
        "{said}"
    );
    let two = format!("From: ann@example.org\n{MESSAGE}");
    assert_eq!(
        error(sign(&key, two.as_bytes()), 1),
        "dkim-sign: the message has 2 From fields, not one\n"
    );
    let said = error(
        run("spf-check", &["--ip", "pear", "--helo", "a.example"], b""),
        2,
    );
    assert!(said.contains("--ip"), "{said}");
    // Nobody listens on the port 1 of this machine.
    let send = [
        "localhost:1",
        "--from",
        "a@example.org",
        "--to",
        "b@example.org",
    ];
    let said = error(run("smtp-send", &send, MESSAGE.as_bytes()), 75);
    assert!(said.starts_with("smtp-send: connecting to "), "{said}");
}

#[test]
fn help_has_purpose_example_and_exit_codes() {
    for (tool, purpose) in [
        ("spf-check", "Checks SPF"),
        ("dkim-verify", "Verifies every DKIM signature"),
        ("dkim-sign", "Signs a message"),
        ("auth-check", "Judges a message"),
        ("smtp-send", "Sends a message"),
        ("imap-fetch", "Lists the messages of a mailbox"),
    ] {
        let help = expect(&run(tool, &["--help"], b""), 0);
        assert!(help.starts_with(purpose), "{tool}: {help}");
        assert!(
            help.contains(&format!("EXAMPLE: {tool} ")) || tool == "dkim-sign",
            "{help}"
        );
        assert!(help.contains("EXIT CODES: 0 "), "{tool}: {help}");
        let reads = !matches!(tool, "spf-check" | "imap-fetch");
        assert_eq!(help.contains("LF alone"), reads, "{tool}: {help}");
    }
}

#[test]
fn a_message_goes_in_by_smtp_send_and_comes_out_by_imap_fetch() {
    let folder = Folder::new("tools-server");
    with_demo(&folder, |port| {
        let on = |service, security| format!("localhost:{}", port(service, security));
        let ca = folder
            .folder()
            .join("certificate.pem")
            .to_str()
            .unwrap()
            .to_owned();
        let password = folder.write("password.txt", format!("{}\n", demo::PASSWORD));
        let message = folder.write(
            "message.eml",
            MESSAGE.replace("joe@example.com", "bob@example.org"),
        );
        let login = ["--ca", &ca, "--password-file", &password, "--user"];
        let send = |server: &str, tls: &str, to: &str| {
            let envelope = ["--from", "bob@example.org", "--to", to, "--tls", tls];
            let arguments = [&[server, &message], &envelope[..], &login, &["bob"]].concat();
            run("smtp-send", &arguments, b"")
        };
        let submission = on(Service::Submission, Security::StartTls);
        let said = expect(&send(&submission, "require", "alice@example.org"), 0);
        assert!(said.starts_with("<alice@example.org>: 250 "), "{said}");
        let submissions = on(Service::Submission, Security::Implicit);
        expect(&send(&submissions, "implicit", "alice@example.org"), 0);
        expect(&send(&submission, "require", "nobody@example.org"), 1);

        let wrong = folder.write("wrong.txt", "guess");
        let arguments = [
            submission.as_str(),
            &message,
            "--from",
            "bob@example.org",
            "--to",
            "alice@example.org",
            "--tls",
            "opportunistic",
            "--user",
            "bob",
            "--password-file",
        ];
        let guess = run("smtp-send", &[&arguments[..], &[&wrong]].concat(), b"");
        assert_eq!(expect(&guess, 1), "");
        expect(
            &run("smtp-send", &[&arguments[..], &[&password]].concat(), b""),
            0,
        );

        for (security, how) in [
            (Security::Implicit, &[][..]),
            (Security::StartTls, &["--starttls"][..]),
        ] {
            let server = on(Service::Imap, security);
            let fetch = |more: &[&str]| {
                let arguments = [&[server.as_str()], how, &login, &["alice"], more].concat();
                run("imap-fetch", &arguments, b"")
            };
            let list = expect(&fetch(&[]), 0);
            let dinners: Vec<&str> = list
                .lines()
                .filter(|line| line.ends_with("\tdinner"))
                .collect();
            assert_eq!(dinners.len(), 3, "{list}");
            assert!(dinners[0].contains("\tbob@example.org\t"), "{list}");
            let uid = dinners[0].split('\t').next().unwrap();
            let whole = expect(&fetch(&["--uid", uid]), 0);
            assert!(whole.ends_with("\r\n\r\nIs it ready?\r\n"), "{whole}");
            assert!(whole.starts_with("Return-Path:"), "{whole}");
            let missing = fetch(&["--uid", "4000000000"]);
            assert_eq!(expect(&missing, 1), "");
            assert!(!missing.stderr.is_empty());
            expect(&fetch(&["--mailbox", "nowhere"]), 1);
        }
        let imaps = on(Service::Imap, Security::Implicit);
        let stranger = [
            "--user",
            "mallory",
            "--password-file",
            &password,
            "--ca",
            &ca,
        ];
        expect(
            &run(
                "imap-fetch",
                &[&[imaps.as_str()], &stranger[..]].concat(),
                b"",
            ),
            1,
        );
        // Without --ca nobody vouches for the server's own certificate.
        let arguments = [
            imaps.as_str(),
            "--user",
            "alice",
            "--password-file",
            &password,
        ];
        let untrusted = run("imap-fetch", &arguments, b"");
        expect(&untrusted, 75);
        assert!(String::from_utf8_lossy(&untrusted.stderr).contains("TLS"));
    });
}
