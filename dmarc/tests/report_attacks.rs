//! Reports that are made to harm their reader, and those that are merely broken.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;

use dmarc::reports::read::{Defect, Element, Exceeded, Limits, ReadError};
use dmarc::reports::{DkimResult, Report, ReportReader, SpfResult};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;

const HEAD: &str = "<feedback><report_metadata><org_name>o</org_name><email>e</email><report_id>i</report_id><date_range>\
    <begin>1</begin><end>2</end></date_range></report_metadata><policy_published><domain>example.com</domain><p>none</p>\
    </policy_published>";
const RECORD: &str = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count><policy_evaluated><disposition>none</disposition>\
    <dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers>\
    <auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results></record>";

fn whole(records: &str) -> String {
    format!("{HEAD}{records}</feedback>")
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// An archive of these files; with a method of 8 they are deflated.
fn zip(files: &[(&str, &[u8])], method: u16, flags: u16) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let content = if method == 8 {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.to_vec()
        };
        let offset = archive.len() as u32;
        let mut fixed = Vec::new();
        fixed.extend_from_slice(&20_u16.to_le_bytes());
        fixed.extend_from_slice(&flags.to_le_bytes());
        fixed.extend_from_slice(&method.to_le_bytes());
        fixed.extend_from_slice(&[0; 8]);
        fixed.extend_from_slice(&(content.len() as u32).to_le_bytes());
        fixed.extend_from_slice(&[0; 4]);
        fixed.extend_from_slice(&(name.len() as u16).to_le_bytes());
        fixed.extend_from_slice(&[0; 2]);
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&fixed);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(&content);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&fixed);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let (count, length, offset) = (
        files.len() as u16,
        directory.len() as u32,
        archive.len() as u32,
    );
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&count.to_le_bytes());
    archive.extend_from_slice(&count.to_le_bytes());
    archive.extend_from_slice(&length.to_le_bytes());
    archive.extend_from_slice(&offset.to_le_bytes());
    archive.extend_from_slice(&[0; 2]);
    archive
}

fn read(octets: &[u8]) -> Result<(Report, Vec<(Defect, Element)>), ReadError> {
    let (report, defects) = Report::read(octets, &Limits::default())?;
    let defects = defects
        .iter()
        .map(|finding| (finding.defect, finding.element));
    Ok((report, defects.collect()))
}

#[test]
fn a_bomb_ends_at_the_limit_and_not_in_memory() {
    let spaces = " ".repeat(8 << 20);
    let of_text = gzip(format!("{HEAD}<record><row>{spaces}").as_bytes());
    assert!(of_text.len() < 20_000);
    let exceeded = |octets: &[u8], limits: &Limits| match Report::read(octets, limits) {
        Err(ReadError::Limit { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let limits = Limits::default();
    // One text without an end.
    assert_eq!(exceeded(&of_text, &limits), Exceeded::Token);
    // Many small records.
    let of_records = gzip(whole(&RECORD.repeat(40_000)).as_bytes());
    assert!(of_records.len() * 200 < RECORD.len() * 40_000);
    assert_eq!(exceeded(&of_records, &limits), Exceeded::Ratio);
    let mut by_octets = limits.clone();
    by_octets.octets = 1 << 20;
    by_octets.ratio = 2_000;
    assert_eq!(exceeded(&of_records, &by_octets), Exceeded::Octets);
    let mut by_rows = limits.clone();
    by_rows.rows = 100;
    assert_eq!(
        exceeded(whole(&RECORD.repeat(101)).as_bytes(), &by_rows),
        Exceeded::Rows
    );
    assert!(Report::read(whole(&RECORD.repeat(100)).as_bytes(), &by_rows).is_ok());
    assert_eq!(
        exceeded(whole(&"<a>".repeat(99)).as_bytes(), &limits),
        Exceeded::Depth
    );
    let zipped = zip(&[("a.xml", &vec![b'<'; 9 << 20])], 8, 0);
    assert!(Report::read(&zipped, &limits).is_err());
    // Attributes without an end.
    let tag = format!("{HEAD}<record {}", "a=\"b\" ".repeat(20_000));
    assert_eq!(exceeded(tag.as_bytes(), &limits), Exceeded::Token);
}

#[test]
fn entities_are_never_expanded() {
    let xml = whole(RECORD).replace("<org_name>o", "<org_name>&b;&c;&amp;lt;");
    let (report, defects) = read(xml.as_bytes()).unwrap();
    assert_eq!(report.metadata.org_name, "&b;&c;&lt;");
    assert_eq!(defects, [(Defect::UnknownEntity, Element::OrgName)]);
}

#[test]
fn a_document_type_is_an_error_wherever_it_stands() {
    let laughs = "<!DOCTYPE feedback [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>";
    let whole = whole(RECORD);
    for (at, document_type) in [
        (0, laughs),
        (0, "<!doctype feedback>"),
        (whole.find("<org_name>").unwrap(), "<!DOCTYPE x"),
        (whole.find("</org_name>").unwrap(), laughs),
    ] {
        let (before, behind) = whole.split_at(at);
        let xml = format!("{before}{document_type}{behind}");
        let offset = at as u64;
        let expected = Err(ReadError::DocumentType { offset });
        assert_eq!(read(xml.as_bytes()), expected);
        assert_eq!(read(&gzip(xml.as_bytes())), expected);
    }
    // What only looks like one is text.
    let text = whole.replace("<org_name>o", "<org_name>a <!DOC b");
    let (report, _) = read(text.as_bytes()).unwrap();
    assert!(report.metadata.org_name.starts_with("a <!DOC b"));
}

#[test]
fn a_report_that_says_nothing_is_none() {
    for nothing in [
        "<feedback/>",
        "<feedback></feedback>",
        "<feedback>&lol;</feedback>",
        "<feedback><report_metadata><org_name>o</org_name></report_metadata></feedback>",
    ] {
        assert_eq!(read(nothing.as_bytes()), Err(ReadError::Empty), "{nothing}");
    }
}

#[test]
fn each_defect_is_forgiven_and_named() {
    use Defect::*;
    let long = "x".repeat(2_000);
    let signatures = "<dkim><domain>a</domain><result>pass</result></dkim>".repeat(101);
    for (from, to, defect, element) in [
        (
            "<feedback>",
            "<x:schema><feedback>",
            NotRoot,
            Element::Other,
        ),
        (
            "<report_metadata>",
            "<version>2.0</version><report_metadata>",
            OtherVersion,
            Element::Version,
        ),
        ("<begin>1<", "<begin>1.5<", Fraction, Element::Begin),
        ("<begin>1<", "<begin>today<", Unreadable, Element::Begin),
        ("<p>none<", "<p>NONE<", Case, Element::P),
        ("<p>none<", "<p>perhaps<", UnknownWord, Element::P),
        ("<p>none</p>", "", Missing, Element::P),
        (
            "<p>none</p>",
            "<p>none</p><p>reject</p>",
            Repeated,
            Element::P,
        ),
        (
            "<p>none</p>",
            "<p>none</p><pct>300</pct>",
            Unreadable,
            Element::Pct,
        ),
        (
            "<p>none</p>",
            "<p>none</p><adkim>strict</adkim>",
            OtherWord,
            Element::Adkim,
        ),
        (
            "<org_name>o",
            "<org_name>a < b",
            StrayLessThan,
            Element::OrgName,
        ),
        ("</report_id>", "", NotClosed, Element::ReportId),
        (
            "<report_id>",
            "</nothing><report_id>",
            StrayEnd,
            Element::ReportMetadata,
        ),
        ("<email>e<", "<email>\u{e9}<", NotUtf8, Element::Email),
        (
            "<dkim>fail",
            "<dkim>none",
            OtherWord,
            Element::EvaluatedDkim,
        ),
        (
            "<disposition>none",
            "<disposition>",
            Missing,
            Element::Disposition,
        ),
        (
            "<result>fail",
            "<result>hardfail",
            OtherWord,
            Element::SpfResult,
        ),
        (
            "<result>fail",
            "<result>perhaps",
            UnknownWord,
            Element::SpfResult,
        ),
        (
            "<header_from>",
            &format!("<header_from>{long}"),
            TooLong,
            Element::HeaderFrom,
        ),
        (
            "<auth_results>",
            &format!("<auth_results>{signatures}"),
            TooMany,
            Element::Dkim,
        ),
        (
            "</policy_evaluated>",
            "<reason/></policy_evaluated>",
            Empty,
            Element::Reason,
        ),
        (
            "</policy_evaluated>",
            "<reason><type>sampled_out</type></reason></policy_evaluated>",
            OtherWord,
            Element::ReasonType,
        ),
    ] {
        let good = whole(RECORD);
        assert!(read(good.as_bytes()).unwrap().1.is_empty());
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        // Latin-1, where the defect is just that.
        let octets: Vec<u8> = match defect {
            NotUtf8 => bad.chars().map(|c| c as u8).collect(),
            _ => bad.into_bytes(),
        };
        let (report, defects) = read(&octets).unwrap();
        assert!(defects.contains(&(defect, element)), "{to}: {defects:?}");
        assert_eq!(report.rows.len(), 1, "{to}");
        assert_eq!(report.policy_published.domain, "example.com", "{to}");
    }
}

#[test]
fn a_record_without_address_or_count_is_left_out_and_the_rest_is_read() {
    for (from, to) in [
        ("192.0.2.1", "108r.166.27.220"),
        ("<source_ip>192.0.2.1</source_ip>", ""),
        ("<count>1<", "<count>-1<"),
        ("<count>1</count>", ""),
    ] {
        let records = format!("{}{RECORD}", RECORD.replacen(from, to, 1));
        let (report, defects) = read(whole(&records).as_bytes()).unwrap();
        assert_eq!(report.rows.len(), 1);
        assert!(
            defects.contains(&(Defect::RecordLeftOut, Element::Record)),
            "{to}: {defects:?}"
        );
    }
}

#[test]
fn what_is_not_whole_is_an_error_that_says_where() {
    let xml = whole(RECORD);
    for end in HEAD.len()..xml.len() - "</feedback>".len() {
        let cut = &xml[..end];
        match read(cut.as_bytes()) {
            Err(ReadError::CutOff { offset }) => assert_eq!(offset, end as u64),
            other => panic!("{cut}: {other:?}"),
        }
    }
    assert_eq!(read(b"<html></html>").unwrap_err(), ReadError::NoFeedback);
    assert_eq!(read(b"").unwrap_err(), ReadError::NoAttachment);
    assert_eq!(read(b"PK\x03\x04").unwrap_err(), ReadError::Zip);
    let compressed = gzip(whole(&RECORD.repeat(3_000)).as_bytes());
    let broken = read(&compressed[..compressed.len() / 2]).unwrap_err();
    assert!(
        matches!(broken, ReadError::Compression { offset, .. } if offset > 1_000),
        "{broken:?}"
    );
    // An error is given again, and the rows before it were given.
    let mut reader = ReportReader::new(
        compressed[..compressed.len() / 2].to_vec(),
        &Limits::default(),
    )
    .unwrap();
    let mut rows = 0;
    let error = loop {
        match reader.next_row() {
            Ok(row) => assert!(row.is_some()),
            Err(error) => break error,
        }
        rows += 1;
    };
    assert!(rows > 10);
    assert_eq!(reader.next_row().unwrap_err(), error);
    assert!(reader.next().is_none());
}

#[test]
fn archives_are_read_and_their_odd_files_are_not() {
    let xml = whole(RECORD);
    for method in [0, 8] {
        let archive = zip(&[("folder/", b""), ("a.xml", xml.as_bytes())], method, 0);
        let (report, defects) = read(&archive).unwrap();
        assert_eq!((report.rows.len(), defects.len()), (1, 0));
        let (_, defects) = read(&zip(
            &[("a.xml", xml.as_bytes()), ("b.xml", b"x")],
            method,
            0,
        ))
        .unwrap();
        assert_eq!(defects, [(Defect::SeveralFiles, Element::Feedback)]);
        // The directory is cut off.
        let whole_archive = zip(&[("a.xml", xml.as_bytes())], method, 0);
        let cut = &whole_archive[..whole_archive.len() - 30];
        assert_eq!(read(cut).unwrap().0.rows.len(), 1);
    }
    assert_eq!(
        read(&zip(&[("a.xml", xml.as_bytes())], 0, 1)).unwrap_err(),
        ReadError::Zip
    );
    assert_eq!(
        read(&zip(&[("a.xml", xml.as_bytes())], 12, 0)).unwrap_err(),
        ReadError::Zip
    );
    assert_eq!(read(&zip(&[], 0, 0)).unwrap_err(), ReadError::NoAttachment);
}

#[test]
fn extensions_are_passed_over_whatever_their_elements_are_called() {
    let extension =
        "<extension><ext:a><record><row/></record></ext:a><ext:domain>x</ext:domain></extension>";
    let in_record =
        "<ext:row><source_ip>192.0.2.9</source_ip></ext:row><ext:identifiers/></record>";
    let record = RECORD.replace("</record>", in_record);
    let xml = format!("{HEAD}{extension}{record}</feedback>").replace(
        "<feedback>",
        "<feedback xmlns='urn:ietf:params:xml:ns:dmarc-2.0' xmlns:ext='a>b'>",
    );
    let (report, defects) = read(xml.as_bytes()).unwrap();
    assert_eq!(report.rows.len(), 1);
    assert_eq!(report.rows[0].source_ip.to_string(), "192.0.2.1");
    assert_eq!(report.policy_published.domain, "example.com");
    assert!(defects.is_empty(), "{defects:?}");
}

#[test]
fn prefixes_comments_cdata_and_marks_change_nothing() {
    let xml = whole(RECORD);
    let (plain, _) = read(xml.as_bytes()).unwrap();
    let prefixed = xml
        .replace("</", "</d:")
        .replace('<', "<d:")
        .replace("<d:/d:", "</d:");
    let commented = xml.replace("<row>", "<!-- <record> --><row><?php > ?>");
    let verbatim = xml.replace(">example.com<", "><![CDATA[example.com]]><");
    let spaced = xml.replace('>', " \r\n>").replace("</", "\t</");
    let marked = format!("\u{feff}<?xml version=\"1.0\"?>\n{xml}\n<trailing>");
    for changed in [prefixed, commented, verbatim, spaced, marked] {
        let (report, defects) = read(changed.as_bytes()).unwrap();
        assert_eq!(report, plain, "{changed}");
        assert!(defects.is_empty(), "{changed}: {defects:?}");
    }
}

#[test]
fn words_of_old_reports_are_understood() {
    let record = RECORD
        .replace(
            "<spf><domain>",
            "<dkim><domain>a</domain><result>invalid</result></dkim><spf><domain>",
        )
        .replace("<result>fail<", "<result>unknown<");
    let (report, _) = read(whole(&record).as_bytes()).unwrap();
    let results = &report.rows[0].auth_results;
    assert_eq!(results.dkim[0].result, DkimResult::PermError);
    assert_eq!(results.spf[0].result, SpfResult::TempError);
}

#[test]
fn a_mail_is_searched_for_the_report() {
    let xml = whole(RECORD);
    let mail = |media: &str, more: &str| {
        format!(
            "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<html></html>\r\n\
             --b\r\nContent-Type: {media}\r\n\r\n{xml}\r\n{more}--b--\r\n"
        )
    };
    assert_eq!(read(mail("text/xml", "").as_bytes()).unwrap().1, []);
    let other = read(mail("application/octet-stream", "").as_bytes())
        .unwrap()
        .1;
    assert_eq!(other, [(Defect::MediaType, Element::Feedback)]);
    let more = "--b\r\nContent-Type: application/gzip\r\n\r\nx\r\n";
    let several = read(mail("text/xml", more).as_bytes()).unwrap().1;
    assert_eq!(several, [(Defect::SeveralFiles, Element::Feedback)]);
    let alone = format!("Subject: x\r\nContent-Type: application/xml\r\n\r\n{xml}");
    assert_eq!(read(alone.as_bytes()).unwrap().0.rows.len(), 1);
}

/// Pieces of reports, whole and broken.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = [
        HEAD,
        RECORD,
        "</feedback>",
        "<feedback>",
        "<record>",
        "</record>",
        "<row>",
        "</row>",
        "<dkim>",
        "</dkim>",
        "<reason>",
        "<",
        ">",
        "&",
        "&#1;",
        "<!",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "\"",
        "'",
        "<a b='",
        "/>",
        "x",
        "\u{e9}",
        "<!DOCTYPE x [",
        "]>",
    ];
    let piece = proptest::sample::select(pieces.to_vec());
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(octets: Vec<u8>, kind in 0..4_u8) {
        let mark: &[u8] = match kind {
            0 => b"",
            1 => b"<feedback>",
            2 => b"\x1f\x8b",
            _ => b"PK\x03\x04",
        };
        let _ = read(&[mark, &octets].concat());
        let _ = dmarc::reports::failure::FailureReport::read(&octets);
    }

    #[test]
    fn compressed_or_not_is_the_same(xml in pieces()) {
        let plain = Report::read(xml.as_bytes(), &Limits::default());
        let xml = xml.as_bytes();
        if xml.trim_ascii_start().starts_with(b"<") {
            prop_assert_eq!(&Report::read(&gzip(xml), &Limits::default()), &plain);
            prop_assert_eq!(&Report::read(&zip(&[("a", xml)], 8, 0), &Limits::default()), &plain);
        }
    }
}
