//! The example of RFC 6376 appendix A, with the key of appendix C.
//!
//! The signature is over simple canonicalization, so white space counts, and the layout of the RFC changed some: the signature
//! verifies with six spaces before each continuation and one space between the sentences of the body.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dkim::{Cause, Options, Verdict, Verifier, signing_input};
use mail_dns::{Evaluation as _, Need, Zone, resolve_blocking};
use mail_syntax::header::{Header, Limits};

const MESSAGE: &str = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r
      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r
      h=Received : From : To : Subject : Date : Message-ID;\r
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r
      4bmp/YzhwvcubU4=;\r
Received: from client1.football.example.com  [192.0.2.1]\r
      by submitserver.example.com with SUBMISSION;\r
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game. Are you hungry yet?\r
\r
Joe.\r
";

const RECORD: &str = concat!(
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ",
    "KBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt",
    "IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v",
    "/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi",
    "tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
);

fn verify(message: &str) -> Verdict {
    let zone = Zone::new().txt("brisbane._domainkey.example.com", RECORD);
    let mut verifier = Verifier::new(1_057_982_514, Options::default());
    verifier.write(message.as_bytes());
    verifier.finish();
    resolve_blocking(verifier, |question| zone.answer(question))
}

#[test]
fn verifies() {
    let verdict = verify(MESSAGE);
    let [signature] = verdict.signatures.as_slice() else {
        panic!("{verdict:?}");
    };
    assert_eq!(signature.cause, Cause::Verified);
    assert_eq!(
        signature.identity().unwrap().to_string(),
        "joe@football.example.com"
    );
}

/// Appendix A.3: the message with another Received field on top, as it is delivered.
#[test]
fn verifies_below_another_received_field() {
    let received = "Received: from mout23.football.example.com (192.168.1.1)\r\n by shopping.example.net with SMTP;\r\n \
         Fri, 11 Jul 2003 21:01:59 -0700 (PDT)\r\n";
    assert_eq!(verify(&format!("{received}{MESSAGE}")).passed().count(), 1);
}

#[test]
fn white_space_counts_in_simple_canonicalization() {
    for (from, to, cause) in [
        ("Subject: Is", "Subject:  Is", Cause::Mismatch),
        ("From: Joe", "from: Joe", Cause::Mismatch),
        ("game. Are", "game.  Are", Cause::BodyHash),
    ] {
        assert_eq!(
            verify(&MESSAGE.replacen(from, to, 1)).signatures[0].cause,
            cause,
            "{to}"
        );
    }
}

#[test]
fn the_key_is_asked_for_before_the_body_comes() {
    let (header, body) = MESSAGE.split_once("\r\n\r\n").unwrap();
    let mut verifier = Verifier::new(1_057_982_514, Options::default());
    verifier.write(header.as_bytes());
    assert_eq!(verifier.poll(), Need::Wait);
    verifier.write(b"\r\n\r\n");
    let Need::Lookup(question) = verifier.poll() else {
        panic!("no question");
    };
    assert_eq!(
        question.name,
        "brisbane._domainkey.example.com".parse().unwrap()
    );
    assert_eq!(verifier.poll(), Need::Wait);
    let zone = Zone::new().txt("brisbane._domainkey.example.com", RECORD);
    verifier.answer(&question, &zone.answer(&question));
    assert_eq!(verifier.poll(), Need::Wait);
    verifier.write(body.as_bytes());
    verifier.finish();
    assert!(matches!(verifier.poll(), Need::Done(verdict) if verdict.passed().count() == 1));
}

#[test]
fn the_signing_input_is_the_signed_fields_and_the_signature_without_b() {
    let (header, _) = Header::split(MESSAGE.as_bytes(), &Limits::default()).unwrap();
    let field = header.named("DKIM-Signature").next().unwrap();
    let input = String::from_utf8(signing_input(&header, &field).unwrap()).unwrap();
    let (fields, _) = MESSAGE.split_once("\r\n\r\n").unwrap();
    let (signature, signed) = fields.split_once("Received:").unwrap();
    let (before_b, _) = signature.split_once("AuUo").unwrap();
    assert_eq!(input, format!("Received:{signed}\r\n{before_b};"));
}
