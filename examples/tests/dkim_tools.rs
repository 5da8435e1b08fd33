//! The tools for DKIM, as processes: keys made and checked, messages signed, verified and diagnosed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Output;

use serde_json::json;
use support::Folder;
use support::tool::{expect, expect_json, run};

const NOW: &str = "1700000000";
/// As a disk has it: lines end in LF.
const MESSAGE: &str =
    "From: Joe <joe@example.com>\nTo: ann@example.org\nSubject: dinner\n\nIs it ready?\n";

/// Makes a key by the tool, and gives its file and the entry for the zone.
fn made_key(folder: &Folder, selector: &str) -> (String, String) {
    let path = folder.path(&format!("{selector}.pem"));
    let made = run("dkim-keygen", &of(selector, &["--out", &path]), b"");
    (path, expect(&made, 0))
}

/// The options that say whose key it is, and more.
fn of<'a>(selector: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let whose = ["--domain", "example.com", "--selector", selector];
    [&whose, more].concat()
}

/// What is said on standard error, where nothing is on standard output.
#[track_caller]
fn expect_error(output: &Output, code: i32) -> String {
    assert_eq!(expect(output, code), "");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let folder = Folder::new("dkim-keygen");
    let (path, entry) = made_key(&folder, "s1");
    assert!(
        entry.starts_with("s1._domainkey.example.com. IN TXT \"v=DKIM1; k=ed25519; p="),
        "{entry}"
    );
    let pem = std::fs::read_to_string(&path).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{pem}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let arguments = of("s1", &["--out", &path]);
    let said = expect_error(&run("dkim-keygen", &arguments, b""), 2);
    assert!(
        said.ends_with("exists already; a key is never overwritten\n"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), pem);
    // The same entry again, and with restrictions.
    let print = of("s1", &["--print", &path]);
    assert_eq!(expect(&run("dkim-keygen", &print, b""), 0), entry);
    let more = [
        "--json",
        "--testing",
        "--strict",
        "--email-only",
        "--notes",
        "asked by Joe",
    ];
    let json = expect_json(&run("dkim-keygen", &[&print[..], &more].concat(), b""), 0);
    let record = json["record"].as_str().unwrap();
    assert!(
        record.starts_with("v=DKIM1; k=ed25519; s=email; t=y:s; n=asked=20by=20Joe; p="),
        "{record}"
    );
    assert_eq!(json["name"], "s1._domainkey.example.com");
    assert_eq!(json["strings"], json!([record]));
}

#[test]
fn a_key_of_openssl_is_printed_in_strings() {
    let folder = Folder::new("dkim-openssl");
    let pem = include_str!("../../dkim/tests/keys/rsa2048.pkcs8.pem");
    let path = folder.write("key.pem", pem);
    let print = of("s1", &["--print", &path]);
    let entry = expect(&run("dkim-keygen", &print, b""), 0);
    let lines: Vec<&str> = entry.lines().collect();
    assert_eq!(lines.len(), 4, "{entry}");
    assert_eq!(lines[0], "s1._domainkey.example.com. IN TXT (");
    assert_eq!(lines[1], "\t\"v=DKIM1; k=rsa; \"");
    // What was printed for a zone is read from a zone.
    let zone = folder.write("zone", &entry);
    let check = of("s1", &["--check", &path, "--zone", &zone]);
    let said = expect(&run("dkim-keygen", &check, b""), 0);
    assert_eq!(said, "s1._domainkey.example.com: the DNS has this key\n");
}

#[test]
fn rsa_keys_are_made_or_it_is_said_how() {
    let folder = Folder::new("dkim-rsa");
    let path = folder.path("rsa.pem");
    let arguments = |bits| {
        of(
            "r1",
            &["--algorithm", "rsa", "--bits", bits, "--out", &path],
        )
    };
    let said = expect_error(&run("dkim-keygen", &arguments("1024"), b""), 2);
    assert!(
        said.contains("--bits: 1024 is none of 2048, 3072, 4096"),
        "{said}"
    );
    let made = run("dkim-keygen", &arguments("2048"), b"");
    if cfg!(feature = "aws-lc-rs") {
        let entry = expect(&made, 0);
        assert!(entry.contains("v=DKIM1; k=rsa; "), "{entry}");
        let sign = of("r1", &["--key", &path]);
        let signed = expect(&run("dkim-sign", &sign, MESSAGE.as_bytes()), 0);
        let zone = folder.write("zone", entry);
        let verified = run("dkim-verify", &["--zone", &zone], signed.as_bytes());
        assert!(expect(&verified, 0).contains("a=rsa-sha256"));
    } else {
        let said = expect_error(&made, 2);
        assert!(said.contains("--features aws-lc-rs"), "{said}");
        assert!(said.contains("openssl genpkey -algorithm RSA"), "{said}");
        assert!(!std::path::Path::new(&path).exists());
    }
}

#[test]
fn the_dns_is_checked_against_the_private_key() {
    let folder = Folder::new("dkim-check");
    let (path, entry) = made_key(&folder, "s1");
    let (_, other) = made_key(&folder, "s2");
    let record = |entry: &str| entry.split('"').nth(1).unwrap().to_owned();
    let (ours, other) = (record(&entry), record(&other));
    let name = "s1._domainkey.example.com";
    for (zone, code, published, good) in [
        (json!({ name: { "TXT": [ours] } }), 0, "matches", true),
        (
            json!({ name: { "TXT": [format!("{ours}; t=y")] } }),
            0,
            "matches",
            true,
        ),
        (
            json!({ name: { "TXT": [format!("{ours}; s=tlsrpt")] } }),
            1,
            "matches",
            false,
        ),
        (json!({ name: { "TXT": [other] } }), 1, "differs", false),
        (
            json!({ name: { "TXT": [ours, other] } }),
            1,
            "several",
            false,
        ),
        (
            json!({ name: { "TXT": ["v=DKIM1; k=ed25519; p="] } }),
            1,
            "revoked",
            false,
        ),
        (
            json!({ name: { "TXT": ["v=DKIM1; k=ed25519"] } }),
            1,
            "malformed",
            false,
        ),
        (json!({}), 1, "missing", false),
        (
            json!({ name: { "_rcode": "SERVFAIL" } }),
            75,
            "unavailable",
            false,
        ),
    ] {
        let zone = folder.write("zone.json", zone.to_string());
        let check = of("s1", &["--check", &path, "--zone", &zone, "--json"]);
        let said = expect_json(&run("dkim-keygen", &check, b""), code);
        assert_eq!(
            (said["published"].as_str(), &said["good"]),
            (Some(published), &json!(good))
        );
        assert_eq!(said["name"], name);
    }
}

#[test]
fn keys_take_turns_by_a_plan() {
    let plan = |selectors: &str, more: &[&str]| {
        let arguments = [
            "--domain",
            "example.com",
            "--now",
            NOW,
            "--period",
            "30",
            "--plan",
            selectors,
        ];
        run("dkim-keygen", &[&arguments[..], more].concat(), b"")
    };
    let table = expect(&plan("a,b", &[]), 0);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 8, "{table}");
    assert_eq!(
        lines[1],
        "2023-11-14 22:13  publish the record       a         ed25519-sha256"
    );
    let json = expect_json(&plan("a,b", &["--json", "--algorithm", "rsa"]), 0);
    let first = json!({"at": 1_700_000_000, "action": "publish", "selector": "a", "algorithm": "rsa-sha256"});
    assert_eq!(json[0], first);
    assert_eq!(json.as_array().unwrap().len(), 7);
    let said = expect_error(&plan("a,b,a", &[]), 2);
    assert!(said.contains("the selector a has two keys"), "{said}");
    let said = expect_error(&run("dkim-keygen", &["--domain", "example.com"], b""), 2);
    assert!(said.contains("--selector"), "{said}");
}

#[test]
fn several_keys_sign_in_one_pass() {
    let folder = Folder::new("dkim-several");
    let (one, entry) = made_key(&folder, "s1");
    let (two, other) = made_key(&folder, "s2");
    let zone = folder.write("zone", entry + &other);
    let sign = |more: &[&str]| {
        let arguments = ["--domain", "example.com", "--now", NOW];
        run(
            "dkim-sign",
            &[&arguments[..], more].concat(),
            MESSAGE.as_bytes(),
        )
    };
    let keys = [
        "--selector",
        "s1",
        "--key",
        &one,
        "--selector",
        "s2",
        "--key",
        &two,
    ];
    let signed = expect(&sign(&keys), 0);
    let verify = ["--now", NOW, "--zone", &zone, "--json"];
    let verdict = expect_json(&run("dkim-verify", &verify, signed.as_bytes()), 0);
    let pass = |selector| {
        json!({
            "result": "pass", "domain": "example.com", "selector": selector, "algorithm": "ed25519-sha256",
            "cause": "signature verified",
        })
    };
    assert_eq!(verdict, json!([pass("s1"), pass("s2")]));
    let said = expect_error(&sign(&keys[..6]), 2);
    assert_eq!(said, "dkim-sign: --selector: 2 for 1 keys\n");
    let records = expect(&sign(&[&keys[..], &["--print-record"]].concat()), 0);
    assert_eq!(records.lines().count(), 2, "{records}");
}

#[test]
fn what_is_signed_and_how_is_chosen() {
    let folder = Folder::new("dkim-chosen");
    let (key, _) = made_key(&folder, "s1");
    let sign = |more: &[&str]| {
        let arguments = of("s1", &["--key", &key, "--now", NOW, "--fields-only"]);
        let signed = run(
            "dkim-sign",
            &[&arguments[..], more].concat(),
            MESSAGE.as_bytes(),
        );
        // As one line, white space left out.
        let field = expect(&signed, 0);
        field.split_whitespace().collect::<String>()
    };
    let by_default = sign(&[]);
    assert!(
        by_default.starts_with("DKIM-Signature:v=1;"),
        "{by_default}"
    );
    assert!(
        by_default.contains("h=From:From:To:To:Cc:Subject:Subject:"),
        "{by_default}"
    );
    assert!(by_default.contains("c=relaxed/relaxed;") && by_default.contains("x=1700604800;"));
    let other = sign(&[
        "--canonicalization",
        "simple/relaxed",
        "--lifetime",
        "0",
        "--identity",
        "joe@mail.example.com",
        "--leave",
        "cc",
        "--leave",
        "from",
        "--sign",
        "to",
        "--oversign",
        "Auto-Submitted",
        "--oversign",
        "list-id",
    ]);
    assert!(
        other.contains("c=simple/relaxed;") && !other.contains("x="),
        "{other}"
    );
    assert!(other.contains("i=joe@mail.example.com;"), "{other}");
    assert!(other.contains("h=From:From:Subject:Subject:"), "{other}");
    for part in [":Auto-Submitted:list-id:to;", ":Date:"] {
        assert!(other.contains(part), "{other}");
    }
    assert!(!other.contains(":Cc:"), "{other}");
    let wrong = [
        "--domain",
        "a.example",
        "--selector",
        "s",
        "--key",
        &key,
        "--canonicalization",
        "pear",
    ];
    let said = expect_error(&run("dkim-sign", &wrong, b""), 2);
    assert!(said.contains("no canonicalization but"), "{said}");
    let outside = [
        "--domain",
        "a.example",
        "--selector",
        "s",
        "--key",
        &key,
        "--identity",
        "@b.example",
    ];
    expect_error(&run("dkim-sign", &outside, MESSAGE.as_bytes()), 2);
}

#[test]
fn a_failed_signature_is_diagnosed() {
    let folder = Folder::new("dkim-diagnose");
    let (key, entry) = made_key(&folder, "s1");
    let zone = folder.write("zone", entry);
    let sign = of("s1", &["--key", &key, "--now", NOW]);
    let signed = expect(&run("dkim-sign", &sign, MESSAGE.as_bytes()), 0);
    let diagnose = |message: &str, more: &[&str]| {
        let arguments = ["--now", NOW, "--zone", &zone, "--diagnose"];
        run(
            "dkim-verify",
            &[&arguments[..], more].concat(),
            message.as_bytes(),
        )
    };
    let intact = expect(&diagnose(&signed, &[]), 0);
    assert!(intact.contains("the body is as it was signed"), "{intact}");
    let list = signed.replace("Subject: ", "Subject: [food] ") + "--\r\nThe food list\r\n";
    let said = expect(&diagnose(&list, &[]), 1);
    assert_eq!(
        said,
        "fail d=example.com s=s1 a=ed25519-sha256: body hash did not verify\n  \
         the signature verifies if the last 2 lines are dropped: a footer was added; \
         and if \"[food] \" is taken from Subject: a prefix was added\n"
    );
    let json = expect_json(&diagnose(&list, &["--json"]), 1);
    let wanted = json!([{
        "result": "fail", "domain": "example.com", "selector": "s1", "algorithm": "ed25519-sha256",
        "cause": "body hash did not verify", "body": "undone", "header": "undone",
        "changes": [
            {"change": "footer_added", "lines": 2},
            {"change": "field_prefixed", "name": "Subject", "prefix": "[food] "},
        ],
    }]);
    assert_eq!(json, wanted);
    // From a disk with its own line ends it verifies, unless they are to be taken as they are.
    let disk = signed.replace("\r\n", "\n");
    expect(&diagnose(&disk, &[]), 0);
    let said = expect(&diagnose(&disk, &["--exact"]), 1);
    assert!(said.contains("line ends were damaged"), "{said}");
    assert_eq!(expect(&diagnose(MESSAGE, &[]), 1), "none: no signature\n");
    let silent = folder.write(
        "zone.json",
        json!({ "s1._domainkey.example.com": { "_rcode": "TIMEOUT" } }).to_string(),
    );
    let arguments = ["--now", NOW, "--zone", &silent, "--diagnose"];
    let said = expect(&run("dkim-verify", &arguments, signed.as_bytes()), 75);
    assert!(said.starts_with("temperror d=example.com"), "{said}");
}

#[test]
fn help_has_an_example() {
    for tool in ["dkim-keygen", "dkim-sign", "dkim-verify"] {
        let help = expect(&run(tool, &["--help"], b""), 0);
        assert!(help.contains("EXAMPLE: dkim-"), "{help}");
        assert!(help.contains("EXIT CODES: "), "{help}");
    }
}
