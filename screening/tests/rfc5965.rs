//! Feedback reports as RFC 5965 and its examples have them, and as real reporters write them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use screening::outbound::feedback_report::{
    Defect, Envelope, FeedbackReport, FeedbackType, Original, WriteError,
};

/// RFC 5965 appendix B.1.
const SIMPLE: &str = "From: <abusedesk@example.com>
Date: Thu, 8 Mar 2005 17:40:36 EDT
Subject: FW: Earn money
To: <abuse@example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
     boundary=\"part1_13d.2e68ed54_boundary\"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset=\"US-ASCII\"
Content-Transfer-Encoding: 7bit

This is an email abuse report for an email message received from IP
192.0.2.1 on Thu, 8 Mar 2005 14:00:00 EDT.  For more information
about this format please see http://www.mipassoc.org/arf/.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1

--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822
Content-Disposition: inline

From: <somespammer@example.net>
To: <Undisclosed Recipients>
Subject: Earn money
Message-ID: 8787KJKJ3K4J3K4J3K4J3.mail@example.net
Date: Thu, 02 Sep 2004 12:31:03 -0500

Spam Spam Spam
--part1_13d.2e68ed54_boundary--
";

/// The fields of appendix B.2.
const FULL: &str = "Original-Mail-From: <somespammer@example.net>
Original-Rcpt-To: <user@example.com>
Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT
Reporting-MTA: dns; mail.example.com
Source-IP: 192.0.2.1
Authentication-Results: mail.example.com;
               spf=fail smtp.mail=somespammer@example.com
Reported-Domain: example.net
Reported-Uri: http://example.net/earn_money.html
Reported-Uri: mailto:user@example.com
Removal-Recipient: user@example.com
";

fn with_fields(fields: &str) -> String {
    SIMPLE.replace("Version: 1\n", &format!("Version: 1\n{fields}"))
}

fn read(mail: &str) -> (FeedbackReport, Vec<Defect>) {
    let (report, defects) = FeedbackReport::read(mail.as_bytes()).unwrap();
    let crlf = mail.replace('\n', "\r\n");
    let (same, _) = FeedbackReport::read(crlf.as_bytes()).unwrap();
    assert_eq!(report, same);
    (report, defects.into_iter().collect())
}

const ENVELOPE: Envelope<'static> = Envelope {
    from: "abusedesk@example.com",
    to: "abuse@example.net",
    message_id: "1@example.com",
    now: 1_110_303_636,
};

#[test]
fn appendix_b_1_has_the_required_fields() {
    let (report, defects) = read(SIMPLE);
    assert_eq!(defects, []);
    assert!(report.is_complaint());
    assert_eq!(report.user_agent, "SomeGenerator/1.0");
    assert_eq!((report.incidents, report.source_ip), (1, None));
    let id = report.message_id();
    assert_eq!(
        id.as_deref(),
        Some("8787KJKJ3K4J3K4J3K4J3.mail@example.net")
    );
    let Original::Message(message) = &report.original else {
        panic!("{:?}", report.original);
    };
    assert!(message.ends_with(b"\r\n\r\nSpam Spam Spam"));
}

#[test]
fn appendix_b_2_has_all_fields() {
    let (report, defects) = read(&with_fields(FULL));
    assert_eq!(defects, []);
    let mut wanted = FeedbackReport::new(FeedbackType::Abuse);
    wanted.user_agent = "SomeGenerator/1.0".into();
    wanted.original_mail_from = Some("somespammer@example.net".into());
    wanted.original_rcpt_to = vec!["user@example.com".into()];
    // EDT is four hours behind.
    wanted.arrival_date = Some(1_110_304_800);
    wanted.reporting_mta = Some("mail.example.com".into());
    wanted.source_ip = Some("192.0.2.1".parse().unwrap());
    wanted.authentication_results =
        vec!["mail.example.com;               spf=fail smtp.mail=somespammer@example.com".into()];
    wanted.reported_domains = vec!["example.net".into()];
    wanted.reported_uris = vec![
        "http://example.net/earn_money.html".into(),
        "mailto:user@example.com".into(),
    ];
    wanted.extensions = vec![("Removal-Recipient".into(), "user@example.com".into())];
    wanted.original = report.original.clone();
    assert_eq!(report, wanted);
    // And it reads back as it was, but for white space in a fold.
    let (again, defects) = FeedbackReport::read(&report.to_mail(&ENVELOPE).unwrap()).unwrap();
    assert!(defects.is_empty(), "{defects:?}");
    assert_eq!(again, report);
}

#[test]
fn section_3_1_what_is_not_as_it_should_be_is_named() {
    for (fields, defect) in [
        ("Feedback-Type: fraud\n", Defect::Repeated("Feedback-Type")),
        ("Source-IP: 192.0.2.1.5\n", Defect::Unreadable("Source-IP")),
        (
            "Source-IP: ::1\nSource-IP: ::1\n",
            Defect::Repeated("Source-IP"),
        ),
        (
            "Received-Date: Thu, 8 Mar 2005 14:00:00 EDT\nArrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\n",
            Defect::Repeated("Received-Date"),
        ),
        (
            "Arrival-Date: yesterday\n",
            Defect::Unreadable("Arrival-Date"),
        ),
        ("Incidents: 4294967296\n", Defect::Unreadable("Incidents")),
        ("Source-Port: 65536\n", Defect::Unreadable("Source-Port")),
    ] {
        let (_, defects) = read(&with_fields(fields));
        assert_eq!(defects, [defect], "{fields}");
    }
    for (from, to, defect) in [
        ("Version: 1\n", "", Defect::Missing("Version")),
        ("Version: 1\n", "Version: 0.1\n", Defect::OtherVersion),
        (
            "User-Agent: SomeGenerator/1.0\n",
            "",
            Defect::Missing("User-Agent"),
        ),
        (
            "Type: abuse",
            "Type: not-spam",
            Defect::UnknownWord("Feedback-Type"),
        ),
        (
            "multipart/report;",
            "multipart/mixed;",
            Defect::NoMultipartReport,
        ),
        (
            "message/rfc822",
            "application/octet-stream",
            Defect::NoOriginal,
        ),
    ] {
        let (report, defects) = read(&SIMPLE.replace(from, to));
        assert_eq!(defects, [defect], "{from}");
        assert_eq!(report.is_complaint(), to != "Type: not-spam");
    }
}

#[test]
fn what_real_reporters_write_is_read() {
    let fields = "Source-IP: [IPv6:2001:db8::1] (a comment)\nReceived-Date: Thu, 8 Mar 2005 14:00:00 EDT\n\
        Original-Mail-From: somespammer@example.net\nIncidents: 3 (three)\nReporting-MTA: mail.example.com\n";
    let mail = with_fields(fields).replace("Feedback-Type: abuse", "feedback-type: Abuse (spam)");
    let (report, defects) = read(&mail);
    assert_eq!(defects, []);
    assert_eq!(report.feedback_type, FeedbackType::Abuse);
    assert_eq!(report.source_ip, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(report.arrival_date, Some(1_110_304_800));
    assert_eq!(
        report.original_mail_from.as_deref(),
        Some("somespammer@example.net")
    );
    assert_eq!(
        (report.incidents, report.reporting_mta.as_deref()),
        (3, Some("mail.example.com"))
    );
    // draft-benecke-cfbl-address-header-13 §8.1 has this media type.
    let mail = SIMPLE.replace("message/rfc822", "text/rfc822; charset=UTF-8");
    assert_eq!(read(&mail).1, []);
    // A word ends at a control character, or it would be another one when it is written again.
    assert!(
        read(&SIMPLE.replace("Type: abuse", "Type: abuse\u{1d}"))
            .0
            .is_complaint()
    );
    // Encoded, which RFC 5965 §7.1 does not have.
    let encoded = "Content-Type: message/feedback-report\nContent-Transfer-Encoding: base64\n\nRmVlZGJhY2stVHlwZTogYWJ1c2UNCg==\n";
    let machine = "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n";
    let (report, defects) = read(&SIMPLE.replace(machine, encoded));
    assert!(report.is_complaint() && defects.contains(&Defect::Encoded));
}

#[test]
fn what_is_no_report() {
    for mail in [
        "",
        "Subject: hello\n\nFeedback-Type: abuse\n",
        &SIMPLE.replace("message/feedback-report", "message/delivery-status"),
        &SIMPLE.replace("Feedback-Type: abuse\n", ""),
    ] {
        assert!(FeedbackReport::read(mail.as_bytes()).is_err(), "{mail}");
    }
}

#[test]
fn many_and_long_values_are_cut() {
    let fields = "Reported-Domain: a.example\n".repeat(101)
        + &format!("Reported-URI: {}\n", "x".repeat(2_000))
        + &"X-More: y\n".repeat(500);
    let (report, defects) = read(&with_fields(&fields));
    assert_eq!(report.reported_domains.len(), 100);
    assert_eq!(report.reported_uris[0].len(), 1_024);
    assert_eq!(report.extensions.len(), 100);
    let wanted = ["Reported-Domain", "Reported-URI"].map(Defect::TooLong);
    assert_eq!(defects, wanted);
}

#[test]
fn what_was_read_breaks_out_of_no_field_and_no_part() {
    let mut report = FeedbackReport::new(FeedbackType::Unknown("a\r\nb: c".into()));
    report.user_agent = "x\r\n\r\n--=_0000000000000000--\r\nBcc: victim@example.com".into();
    report.extensions = vec![
        ("Source-IP".into(), "192.0.2.66".into()),
        ("a b".into(), "c".into()),
        ("X-\u{e9}".into(), "c".into()),
    ];
    report.original = Original::Header(b"Subject: =_\r\nBcc: x\r\n\r\nbody".to_vec());
    let mail = report.to_mail(&ENVELOPE).unwrap();
    let (again, _) = FeedbackReport::read(&mail).unwrap();
    assert_eq!(again.extensions, []);
    assert_eq!(again.source_ip, None);
    assert!(!again.user_agent.contains('\n'));
    for (envelope, error) in [
        (
            Envelope {
                from: "a b@c",
                ..ENVELOPE
            },
            WriteError::Address,
        ),
        (
            Envelope {
                message_id: "1",
                ..ENVELOPE
            },
            WriteError::Address,
        ),
        (
            Envelope {
                now: u64::MAX,
                ..ENVELOPE
            },
            WriteError::Time,
        ),
    ] {
        assert_eq!(report.to_mail(&envelope), Err(error));
    }
    report.original = Original::Nothing;
    assert_eq!(report.to_mail(&ENVELOPE), Err(WriteError::NoOriginal));
}

#[test]
fn a_large_message_is_shown_by_its_header() {
    let mut report = FeedbackReport::new(FeedbackType::Abuse);
    let mut message = b"Subject: hello\r\n\r\n".to_vec();
    message.resize(2 << 20, b'x');
    report.original = Original::Message(message);
    let mail = report.to_mail(&ENVELOPE).unwrap();
    assert!(mail.starts_with(
        b"From: <abusedesk@example.com>\r\nTo: <abuse@example.net>\r\nSubject: FW: hello\r\n"
    ));
    let (again, _) = FeedbackReport::read(&mail).unwrap();
    assert_eq!(
        again.original,
        Original::Header(b"Subject: hello\r\n\r\n".to_vec())
    );
}

#[test]
fn the_feedback_id_is_found_in_the_message() {
    let id = "From: <somespammer@example.net>\nCFBL-Feedback-ID: 3789e1ae1938aa2f0dfdfa48b20d8f8bc6c21ac34fc5023d\n       63f9e64a43dfedc0\n";
    let mail = SIMPLE.replace("From: <somespammer@example.net>\n", id);
    let wanted = "3789e1ae1938aa2f0dfdfa48b20d8f8bc6c21ac34fc5023d63f9e64a43dfedc0";
    assert_eq!(read(&mail).0.feedback_id().as_deref(), Some(wanted));
    assert_eq!(read(SIMPLE).0.feedback_id(), None);
}

/// A word that folding leaves alone.
fn word() -> impl Strategy<Value = String> {
    "[!-~]{1,60}".prop_filter("quotes and comments are no words", |word| {
        !word.contains(['"', '('])
    })
}

prop_compose! {
    fn report()(
        kind in prop_oneof![
            Just(FeedbackType::Abuse), Just(FeedbackType::Fraud), Just(FeedbackType::Virus), Just(FeedbackType::Other),
            Just(FeedbackType::AuthFailure), "[a-z]{9}".prop_map(FeedbackType::Unknown),
        ],
        user_agent in word(),
        envelope_id in proptest::option::of(word()),
        mail_from in proptest::option::of("[a-z]{0,9}@[a-z]{1,9}"),
        rcpt_to in proptest::collection::vec("[a-z]{1,9}@[a-z]{1,9}", 0..4),
        date in proptest::option::of(0_i64..4_000_000_000),
        (mta, ip, port) in (proptest::option::of("[a-z]{1,9}"), any::<Option<std::net::IpAddr>>(), any::<Option<u16>>()),
        incidents in any::<u32>(),
        results in proptest::collection::vec(word(), 0..3),
        domains in proptest::collection::vec(word(), 0..3),
        uris in proptest::collection::vec(word(), 0..3),
        extensions in proptest::collection::vec(("X-[A-Za-z]{1,9}", word()), 0..3),
        subject in "[a-z ]{0,40}",
    ) -> FeedbackReport {
        let mut report = FeedbackReport::new(kind);
        report.user_agent = user_agent;
        report.original_envelope_id = envelope_id;
        report.original_mail_from = mail_from;
        report.original_rcpt_to = rcpt_to;
        report.arrival_date = date;
        report.reporting_mta = mta;
        report.source_ip = ip;
        report.source_port = port;
        report.incidents = incidents;
        report.authentication_results = results;
        report.reported_domains = domains;
        report.reported_uris = uris;
        report.extensions = extensions;
        report.original = Original::Message(format!("Subject: {subject}\r\n\r\nhello").into_bytes());
        report
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(report in report()) {
        let mail = report.to_mail(&ENVELOPE).unwrap();
        let (again, _) = FeedbackReport::read(&mail).unwrap();
        prop_assert_eq!(again, report);
    }
}
