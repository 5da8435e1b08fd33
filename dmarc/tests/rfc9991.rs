//! Failure reports as RFC 9991, 6591 and 5965 want them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dmarc::DmarcResult;
use dmarc::record::Record;
use dmarc::reports::MailError;
use dmarc::reports::failure::{
    AuthFailure, DeliveryResult, FailedSignature, Failure, FailureDefect, FailureEnvelope,
    FailureReport, IdentityAlignment, NoFailureReport, Original, Redaction, SpfDns, wanted,
};
use mail_syntax::mime::MimeTree;
use proptest::prelude::*;

const MESSAGE: &[u8] = b"Received: from a.example by b.example for <joe@b.example>; Tue, 19 Jul 2022 07:57:50 +0200\r\n\
    From: Author <author@consumer.example>\r\nTo: joe@b.example\r\nSubject: This is the original subject\r\n\
    Message-ID: <1@consumer.example>\r\n\r\nThe body.\r\n";

fn envelope<'a>() -> FailureEnvelope<'a> {
    FailureEnvelope {
        from: "dmarc@gen.example",
        to: "dmarcfail@consumer.example",
        message_id: "20220719055748.4AE9D403CC@gen.example",
        now: 1_658_210_268,
        redaction: None,
    }
}

fn report() -> FailureReport {
    let mut report = FailureReport::new(
        AuthFailure::Dmarc,
        "gen.example; dmarc=fail header.from=consumer.example",
    );
    report.identity_alignment = Some(IdentityAlignment {
        dkim: true,
        spf: true,
    });
    report.delivery_result = Some(DeliveryResult::Reject);
    report.signature = Some(FailedSignature {
        domain: "consumer.example".into(),
        identity: Some("@consumer.example".into()),
        selector: Some("epsilon".into()),
        canonicalized_header: Some(b"from:Author <author@consumer.example>\r\n".repeat(5)),
        canonicalized_body: Some(b"The body.\r\n".to_vec()),
    });
    report.spf_dns.push(SpfDns {
        domain: "consumer.example".into(),
        record: "v=spf1 \"quoted\" ip4:192.0.2.0/24 -all".into(),
    });
    report.original_envelope_id = Some("65E1A3F0A0".into());
    report.original_mail_from = Some("author=gen.example@forwarder.example".into());
    report.original_rcpt_to = vec!["joe@b.example".into(), "amy@b.example".into()];
    report.arrival_date = Some(1_658_210_268);
    report.reporting_mta = Some("mx.gen.example".into());
    report.source_ip = Some("2001:db8::1".parse().unwrap());
    report.source_port = Some(12_345);
    report.reported_domains = vec!["consumer.example".into()];
    report.incidents = 3;
    report.original = Original::Message(MESSAGE.to_vec());
    report
}

#[test]
fn a_report_has_the_parts_and_fields_of_the_rfcs() {
    let mail = report().to_mail(&envelope()).unwrap();
    let tree = MimeTree::parse(&mail, &Default::default());
    let root = tree.root();
    assert!(root.content_type().is("multipart", "report"));
    let kind = root.content_type().parameters().value("report-type");
    assert_eq!(kind.as_deref(), Some("feedback-report"));
    let subject = root.header().named("Subject").next().unwrap();
    assert_eq!(
        subject.value().trim_ascii(),
        b"FW: This is the original subject"
    );
    let parts: Vec<_> = root.children().collect();
    assert!(parts[0].content_type().is("text", "plain"));
    assert!(parts[1].content_type().is("message", "feedback-report"));
    assert!(parts[2].content_type().is("message", "rfc822"));
    assert_eq!(parts[2].body(), MESSAGE);
    let fields = core::str::from_utf8(parts[1].body()).unwrap();
    for line in [
        "Feedback-Type: auth-failure",
        "Version: 1",
        "Auth-Failure: dmarc",
        "Identity-Alignment: dkim, spf",
        "Delivery-Result: reject",
        "DKIM-Domain: consumer.example",
        "DKIM-Identity: @consumer.example",
        "DKIM-Selector: epsilon",
        "Original-Mail-From: <author=gen.example@forwarder.example>",
        "Original-Rcpt-To: <amy@b.example>",
        "Arrival-Date: Tue, 19 Jul 2022 05:57:48 +0000",
        "Source-IP: 2001:db8::1",
        "Source-Port: 12345",
        "Reported-Domain: consumer.example",
        "Incidents: 3",
    ] {
        assert_eq!(
            fields.split("\r\n").filter(|its| *its == line).count(),
            1,
            "{line}\n{fields}"
        );
    }
    assert!(
        fields.contains("SPF-DNS: txt : consumer.example :"),
        "{fields}"
    );
}

#[test]
fn what_is_written_reads_back_equal() {
    let mail = report().to_mail(&envelope()).unwrap();
    // As a mailbox has it whose lines end in LF: the message it is about has CRLF again.
    let mut in_file = mail.clone();
    in_file.retain(|octet| *octet != b'\r');
    for mail in [mail, in_file] {
        let (read, defects) = FailureReport::read(&mail).unwrap();
        assert_eq!(read, report());
        assert!(defects.is_empty(), "{defects:?}");
    }
}

#[test]
fn redaction_leaves_no_local_part_and_nothing_of_the_body() {
    let hash = |local_part: &str| format!("x{}", local_part.len());
    let mut redacted = envelope();
    redacted.redaction = Some(Redaction { local_part: &hash });
    let mut report = report();
    report.signature.as_mut().unwrap().identity = Some("author@consumer.example".into());
    let mail = String::from_utf8(report.to_mail(&redacted).unwrap()).unwrap();
    for word in [
        "author@",
        "author=",
        "joe@",
        "amy@",
        "The body",
        "original subject@",
        "Canonicalized",
    ] {
        assert!(!mail.contains(word), "{word}: {mail}");
    }
    assert!(mail.contains("text/rfc822-headers"));
    // The same becomes the same; what identifies the message stays.
    assert!(
        mail.contains("Original-Rcpt-To: <x3@b.example>\r\n"),
        "{mail}"
    );
    assert!(mail.contains("To: x3@b.example\r\n"));
    assert!(mail.contains("DKIM-Identity: x6@consumer.example"));
    assert!(mail.contains("Message-ID: <1@consumer.example>"));
}

#[test]
fn a_hostile_message_cannot_break_out_of_its_part() {
    let mut report = report();
    let plain = report.to_mail(&envelope()).unwrap();
    let text = String::from_utf8(plain).unwrap();
    let boundary = text
        .split("boundary=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let body = format!(
        "Subject: a\r\n\r\n--{boundary}\r\nContent-Type: message/feedback-report\r\n\r\nSource-IP: 192.0.2.99\r\n--{boundary}--\r\n"
    );
    report.original = Original::Message(body.clone().into_bytes());
    report.user_agent = "evil\r\nSource-IP: 192.0.2.99".into();
    report.original_mail_from = Some("a\r\n\r\n@b".into());
    let mail = report.to_mail(&envelope()).unwrap();
    let (read, defects) = FailureReport::read(&mail).unwrap();
    assert_eq!(read.original, Original::Message(body.into_bytes()));
    assert_eq!(read.source_ip, report.source_ip);
    assert!(defects.is_empty(), "{defects:?}");
    let subject = b"Subject: a\r\n\tb\xe9\r\n\r\n".to_vec();
    report.original = Original::Message(subject);
    assert!(report.to_mail(&envelope()).is_ok());
    report.original = Original::Nothing;
    assert_eq!(report.to_mail(&envelope()), Err(MailError::NoRecord));
    let mut injected = envelope();
    injected.message_id = "1@b>\r\nBcc: <c@d";
    report.original = Original::Message(MESSAGE.to_vec());
    assert_eq!(report.to_mail(&injected), Err(MailError::Address));
}

#[test]
fn the_record_says_when_a_report_is_wanted() {
    let failure = |dkim, spf| Failure {
        dmarc: if dkim && spf {
            DmarcResult::Fail
        } else {
            DmarcResult::Pass
        },
        alignment: IdentityAlignment { dkim, spf },
        dkim_failed: dkim,
        spf_failed: spf,
    };
    for (fo, dkim, spf, is_wanted) in [
        ("", true, true, true),
        ("", true, false, false),
        ("fo=0; ", false, true, false),
        ("fo=1; ", true, false, true),
        ("fo=1; ", false, false, false),
        ("fo=d; ", true, false, true),
        ("fo=d; ", false, true, false),
        ("fo=s; ", false, true, true),
        ("fo=d:s; ", false, false, false),
        ("psd=y; fo=1; ", true, true, false),
        ("psd=n; fo=1; ", true, true, true),
    ] {
        let text = format!("v=DMARC1; p=none; {fo}ruf=mailto:a@example.com,mailto:b@example.com");
        let record: Record = text.parse().unwrap();
        let uris = wanted(&record, &failure(dkim, spf));
        // RFC 9991 §2: to each of them, in order.
        assert_eq!(
            uris.len(),
            if is_wanted { 2 } else { 0 },
            "{text} {dkim} {spf}"
        );
    }
    let record: Record = "v=DMARC1; p=none; ruf=mailto:a@example.com"
        .parse()
        .unwrap();
    let untold = Failure {
        dmarc: DmarcResult::TempError,
        ..failure(true, true)
    };
    assert!(wanted(&record, &untold).is_empty());
}

#[test]
fn each_defect_is_forgiven_and_named() {
    use FailureDefect::*;
    let good = String::from_utf8(report().to_mail(&envelope()).unwrap()).unwrap();
    for (from, to, defect) in [
        ("multipart/report", "multipart/mixed", NoMultipartReport),
        (
            "Identity-Alignment: dkim, spf\r\n",
            "",
            Missing("Identity-Alignment"),
        ),
        ("User-Agent", "X-Agent", Missing("User-Agent")),
        (
            "Auth-Failure: dmarc",
            "Auth-Failure: other",
            UnknownWord("Auth-Failure"),
        ),
        (
            "Delivery-Result: reject",
            "Delivery-Result: eaten",
            UnknownWord("Delivery-Result"),
        ),
        (
            "Identity-Alignment: dkim, spf",
            "Identity-Alignment: dkim, arc",
            UnknownWord("Identity-Alignment"),
        ),
        ("Version: 1\r\n", "Version: 7\r\n", OtherVersion),
        (
            "Version: 1\r\n",
            "Version: 1\r\nVersion: 1\r\n",
            Repeated("Version"),
        ),
        (
            "Source-IP: 2001:db8::1",
            "Source-IP: here",
            Unreadable("Source-IP"),
        ),
        ("Incidents: 3", "Incidents: many", Unreadable("Incidents")),
        (
            "Arrival-Date: Tue",
            "Arrival-Date: Someday",
            Unreadable("Arrival-Date"),
        ),
        (
            "SPF-DNS: txt : consumer.example :",
            "SPF-DNS: txt",
            Unreadable("SPF-DNS"),
        ),
        ("message/rfc822", "application/octet-stream", NoOriginal),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        let (_, defects) = FailureReport::read(bad.as_bytes()).unwrap();
        assert_eq!(
            defects.iter().copied().collect::<Vec<_>>(),
            [defect],
            "{to}"
        );
    }
    // What the RFCs allow: comments, brackets, historic names.
    for (from, to) in [
        ("Source-IP: 2001:db8::1", "Source-IP: [IPv6:2001:db8::1]"),
        ("Arrival-Date", "Received-Date"),
        ("Auth-Failure: dmarc", "Auth-Failure: dmarc (not signed)"),
        ("Version: 1\r\n", "Version: 1.0\r\n"),
    ] {
        let (read, defects) = FailureReport::read(good.replacen(from, to, 1).as_bytes()).unwrap();
        assert_eq!((read, defects.len()), (report(), 0), "{to}");
    }
    let abuse = good.replace("auth-failure", "abuse");
    assert_eq!(
        FailureReport::read(abuse.as_bytes()),
        Err(NoFailureReport::OtherFeedback)
    );
    assert_eq!(FailureReport::read(MESSAGE), Err(NoFailureReport::NotFound));
}

proptest! {
    #[test]
    fn any_values_are_written_as_fields_that_are_read_again(user_agent in "\\PC{0,60}", mail_from in "\\PC{0,40}", domain in "\\PC{0,40}", original: Vec<u8>) {
        let mut report = report();
        report.user_agent = user_agent;
        report.original_mail_from = Some(mail_from);
        report.reported_domains = vec![domain];
        report.original = Original::Message(original);
        let mail = report.to_mail(&envelope()).unwrap();
        let (read, _) = FailureReport::read(&mail).unwrap();
        prop_assert_eq!(read.source_ip, report.source_ip);
        prop_assert_eq!(read.identity_alignment, report.identity_alignment);
        prop_assert_eq!(read.original_rcpt_to, report.original_rcpt_to);
    }
}
