//! `dmarc-report`, as a process: what it prints, what page it writes, what it exits with.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Output;

use examples::dmarc_report::{Summary, html};
use support::Folder;
use support::tool::{self, expect, expect_json};

fn xml(id: &str, domain: &str, rows: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>Receiver</org_name><email>a@b</email><report_id>{id}</report_id><date_range>\
         <begin>1700006400</begin><end>1700092799</end></date_range></report_metadata><policy_published><domain>{domain}</domain>\
         <p>none</p></policy_published>{rows}</feedback>"
    )
}

fn row(ip: &str, count: u32, disposition: &str, dkim: &str, spf: &str, from: &str) -> String {
    format!(
        "<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>{disposition}</disposition>\
         <dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>{from}</header_from></identifiers>\
         <auth_results/></record>"
    )
}

fn run(arguments: &[&str], input: &[u8]) -> Output {
    tool::run("dmarc-report", arguments, input)
}

#[test]
fn a_report_on_standard_input_is_summed_up() {
    let rows = row("192.0.2.1", 3, "none", "pass", "fail", "example.com")
        + &row("192.0.2.2", 1, "reject", "fail", "fail", "Example.com");
    let json = expect_json(
        &run(&["--json"], xml("1", "example.com", &rows).as_bytes()),
        0,
    );
    assert_eq!(json["total"]["messages"], 4);
    assert_eq!(json["total"]["passed_by_dkim"], 3);
    assert_eq!(json["sources"][0]["source"], "192.0.2.1");
    assert_eq!(json["domains"][0]["messages"], 4);
    assert_eq!(json["days"][0]["day"], "2023-11-15");
    let text = expect(&run(&[], xml("1", "example.com", &rows).as_bytes()), 0);
    assert!(
        text.starts_with("4 messages in 1 reports, 2023-11-15 to 2023-11-15: 75.0 % pass\n"),
        "{text}"
    );
}

#[test]
fn folders_are_read_duplicates_are_not_counted_and_what_is_no_report_is_told() {
    let own = Folder::new("dmarc-report");
    let folder = own.folder();
    std::fs::create_dir_all(folder.join("more")).unwrap();
    let report = xml(
        "1",
        "example.com",
        &row("192.0.2.1", 3, "none", "pass", "fail", "example.com"),
    );
    std::fs::write(folder.join("a.xml"), &report).unwrap();
    std::fs::write(folder.join("more/b.xml"), &report).unwrap();
    let page = folder.join(".page.html");
    let (path, page_path) = (folder.to_str().unwrap(), page.to_str().unwrap());
    let json = expect_json(&run(&["--json", "--html", page_path, path], b""), 0);
    let figures = (
        &json["reports"],
        &json["duplicates"],
        &json["total"]["messages"],
    );
    assert_eq!(figures, (&1.into(), &1.into(), &3.into()));
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"));
    std::fs::write(folder.join("c.txt"), "hello").unwrap();
    let text = expect(&run(&[path], b""), 1);
    assert!(text.contains("NOT READ: 1"), "{text}");
    std::fs::remove_dir_all(folder).unwrap();
    expect(&run(&[path], b""), 2);
    expect(&run(&[], b"hello"), 1);
}

#[test]
fn a_hostile_report_stays_text_in_the_page_and_on_the_terminal() {
    let evil = "&lt;script&gt;alert(1)&lt;/script&gt;\u{1b}[2J&quot; onload=&quot;x";
    let report = xml(
        "1",
        evil,
        &row("192.0.2.1", 1, "none", "pass", "pass", evil),
    )
    .replace("Receiver", evil);
    let mut summary = Summary::default();
    summary.add("<b>", report.as_bytes());
    summary.add("<img src=x>", b"nothing");
    let page = html(&summary, 20);
    for part in [
        "<script",
        "<img",
        "\u{1b}",
        " onload=\"",
        "http:",
        "https:",
        "url(",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("&lt;script&gt;") && page.contains("default-src 'none'"));
    let output = run(&[], report.as_bytes());
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn days_that_are_far_apart_make_no_large_page() {
    let mut summary = Summary::default();
    for (id, begin) in [
        ("1", "1"),
        ("2", "1700006400"),
        ("3", "18446744073709551615"),
    ] {
        let report = xml(
            id,
            "a.example",
            &row("192.0.2.1", u32::MAX, "none", "pass", "pass", "a.example"),
        );
        let report = report
            .replace("1700006400", begin)
            .replace("1700092799", begin);
        summary.add(id, report.as_bytes());
    }
    assert_eq!(summary.days.len(), 3);
    assert!(html(&summary, 20).len() < 40_000);
}

/// What a hostile reporter counts needs no sense.
#[test]
fn a_count_without_bound_makes_no_page_without_one() {
    for count in ["15000000000000000001", "18446744073709551615"] {
        let row = row("192.0.2.1", 7_777, "none", "pass", "pass", "a.example");
        let report = xml("1", "a.example", &row).replace("7777", count);
        let mut summary = Summary::default();
        summary.add("1", report.as_bytes());
        assert_eq!(summary.days.len(), 1);
        assert!(html(&summary, 20).len() < 40_000);
    }
}
