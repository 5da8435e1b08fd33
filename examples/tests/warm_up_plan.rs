//! `warm-up-plan`: the plan as a file, and the tool as a process: what it prints, what picture it draws, what it exits with.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Output;

use examples::warm_up_plan::{Days, PlanFile, json, svg, text};
use serde_json::Value;
use support::Folder;
use support::tool::{self, expect, expect_json};

const EXAMPLE: &str = include_str!("../warm-up-plan.example.toml");

fn days(plan: &str) -> Days {
    Days::of(&PlanFile::parse(plan).unwrap(), 30)
}

fn run(arguments: &[&str], input: &str) -> Output {
    tool::run("warm-up-plan", arguments, input.as_bytes())
}

/// The cells of the line of a day.
fn line(table: &str, day: u32) -> Vec<String> {
    let is_day = |line: &&str| line.split_whitespace().next() == Some(&day.to_string());
    let line = table.lines().find(is_day).unwrap();
    line.split("  ")
        .map(|cell| cell.trim().to_owned())
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn the_example_shows_a_hold_a_pause_and_the_end() {
    let days = days(EXAMPLE);
    let table = text(&days);
    let head = table.lines().nth(2).unwrap();
    let columns: Vec<&str> = head.split_whitespace().collect();
    let wanted = "DAY gmail others outlook yahoo SENT OVERFLOW WAITING PAUSED";
    assert_eq!(columns, wanted.split(' ').collect::<Vec<_>>());
    let first = [
        "1",
        "50 of 50",
        "50 of 50",
        "20 of 20",
        "100 of 100",
        "220",
        "32,280",
        "0",
    ];
    assert_eq!(line(&table, 1), first);
    // Complaints of gmail's users: no warmer for as long as they are in the window.
    assert_eq!(line(&table, 12)[1], "896 of 896");
    assert_eq!(line(&table, 18)[1], "896 of 896");
    assert_eq!(line(&table, 19)[1], "1,164 of 1,164");
    // Deferrals of outlook: the rest of the day, the next one, and three steps back.
    assert_eq!(line(&table, 20).last().unwrap(), "outlook");
    assert_eq!(line(&table, 21)[3], "paused");
    assert_eq!(line(&table, 22)[3], "710 of 710");
    assert_eq!(line(&table, 13)[4], "warm");
    assert!(
        table.contains("yahoo: 4,000 a day, warm from day 13\n"),
        "{table}"
    );
}

#[test]
fn without_a_warm_address_mail_waits_and_is_told() {
    let plan =
        "new = [\"192.0.2.2\"]\nwarm = []\nvolumes = { gmail = 1000 }\n[plan]\ntable = [10, 20]\n";
    let two = Days::of(&PlanFile::parse(plan).unwrap(), 2);
    assert_eq!(two.waiting(), 1_970);
    assert!(text(&two).contains("1,970 messages still wait"));
    expect(&run(&["--days", "2", "-"], plan), 1);
    // From the third day on the address is warm and takes all.
    let json = expect_json(&run(&["--days", "3", "--json", "-"], plan), 0);
    assert_eq!(
        (&json["waiting"], &json["warm_on"]["gmail"]),
        (&0.into(), &3.into())
    );
    assert_eq!(json["rows"][1]["quota"], 20);
    assert_eq!(json["rows"][2]["quota"], Value::Null);
}

#[test]
fn the_default_plan_is_printed_and_drawn() {
    let folder = Folder::new("warm-up-plan");
    let file = folder.path("plan.svg");
    let printed = expect(&run(&["--svg", &file], ""), 0);
    assert_eq!(printed.trim_end(), text(&days("")).trim_end());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), svg(&days("")));
    let json = json(&days(""));
    assert_eq!(json["rows"].as_array().unwrap().len(), 120);
    assert_eq!(
        (&json["all_on"]["gmail"], &json["warm_on"]["gmail"]),
        (&24.into(), &Value::Null)
    );
}

#[test]
fn a_picture_is_well_formed_and_needs_nothing_else() {
    let many: String = (0..20).map(|n| format!("p{n} = {}\n", n * 1_000)).collect();
    for plan in [
        EXAMPLE,
        "",
        &format!("[volumes]\n{many}"),
        "volumes = { gmail = 0 }",
    ] {
        let picture = svg(&days(plan));
        for part in ["http:", "https:", "url(", "<script", "href", "NaN", "inf"] {
            let without_namespace = picture.replacen("http://www.w3.org/2000/svg", "", 1);
            assert!(!without_namespace.contains(part), "{part}");
        }
        assert!(picture.contains("prefers-color-scheme: dark"));
        assert!(picture.contains(">day</text>") && picture.contains(">messages</text>"));
        assert!(picture.contains("<title id=\"title\">Warm-up plan, 30 days"));
        let mut open = Vec::new();
        for tag in picture.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap();
            let name = tag.split_whitespace().next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty());
        assert!(picture.len() < 200_000, "{}", picture.len());
    }
    assert!(svg(&days(&format!("[volumes]\n{many}"))).contains("8 more providers are not shown"));
}

#[test]
fn mistakes_are_told_with_their_field() {
    for (plan, wanted) in [
        ("new = [1]", "invalid type"),
        ("pear = 1", "unknown field `pear`"),
        ("[plan]\nstart = 0", "plan: the quota of day 1 is 0"),
        ("[plan]\ngrowth = \"0.5\"", "plan: want a factor"),
        (
            "[plan]\nceiling = 10",
            "plan: the ceiling of 10 is below the start of 50",
        ),
        ("[plan]\nhours = [9, 8]", "plan.hours: want hours"),
        (
            "[plan]\nstart = 1\ntable = [1]",
            "plan: want either a table",
        ),
        (
            "[provider.gmail]\ndays = 400",
            "provider.gmail: a curve has from 1 to 366 days",
        ),
        ("[provider.\"a b\"]\ndays = 4", "provider.a b: "),
        ("[volumes]\n\"a b\" = 4", "volumes: "),
        ("[volumes]\ngmail = 100000001", "volumes.gmail: more than"),
        ("volumes = {}", "volumes: want from 1 to 100 providers"),
        (
            "[[trouble]]\nfrom = 1\nmeasure = \"pears\"\nrate = \"1 %\"",
            "\"pears\" is none of: complaints, deferrals",
        ),
        (
            "[[trouble]]\nfrom = 1\nmeasure = \"deferrals\"\nrate = \"1\"",
            "trouble.rate: want per cent",
        ),
        (
            "[[threshold]]\nmeasure = \"deferrals\"\nrate = \"1 %\"\nlevel = \"stop\"\ndays = 32\nevents = 1",
            "threshold.days: want from 1 to 31",
        ),
    ] {
        let error = PlanFile::parse(plan).unwrap_err().to_string();
        assert!(error.contains(wanted), "{plan}: {error}");
    }
    let output = run(&["-"], "[plan]\nstart = 0");
    expect(&output, 2);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "warm-up-plan: -: plan: the quota of day 1 is 0\n"
    );
    expect(&run(&["/nonexistent/plan"], ""), 2);
    expect(&run(&["--days", "0"], ""), 2);
}

#[test]
fn a_server_reads_the_same_file_with_addresses_of_its_own() {
    let of_server = |plan: &str| PlanFile::of_server(plan, screening::store::Keys::new([7; 16]));
    let example = include_str!("../warm-up-plan.example.toml");
    let [here, there] = [PlanFile::parse(example), of_server(example)].map(Result::unwrap);
    assert_eq!(here.scheduler.plan, there.scheduler.plan);
    assert_eq!(here.scheduler.sources(), there.scheduler.sources());
    assert_eq!(there.first_day, None);
    let plan = of_server("first_day = 2027-01-01\nnew = ['2001:db8::1']\n").unwrap();
    assert_eq!(plan.first_day, Some(1_798_761_600));
    assert_eq!(plan.scheduler.sources().len(), 1);
    for (plan, why) in [
        ("", "new, warm: name the addresses"),
        ("new = []\nfirst_day = 1969-12-31", "first_day: "),
        ("new = []\nfirst_day = '2027-01-01'", "first_day"),
    ] {
        let error = of_server(plan).unwrap_err().to_string();
        assert!(error.contains(why), "{plan}: {error}");
    }
}

#[test]
fn curves_of_providers_are_filled_from_the_plan_of_all() {
    // A threshold of one's own, so that ten complaints of a hundred do nothing.
    let plan = "[plan]\nstart = 10\ngrowth = \"2\"\nceiling = 40\n[provider.gmail]\nstart = 20\n[provider.yahoo]\ntable = [7]\n\
        [[threshold]]\nmeasure = \"complaints\"\nrate = \"50 %\"\nlevel = \"stop\"\ndays = 1\nevents = 1\n\
        [[trouble]]\nfrom = 1\nto = 9\nmeasure = \"complaints\"\nrate = \"10 %\"\n";
    let days = days(plan);
    let quotas = |name: &str| -> Vec<Option<u32>> {
        let provider = name.parse().unwrap();
        days.rows_of(&provider)
            .map(|row| row.quota)
            .take(4)
            .collect()
    };
    assert_eq!(quotas("gmail"), [Some(20), Some(40), Some(40), Some(40)]);
    assert_eq!(quotas("apple"), [Some(10), Some(20), Some(40), Some(40)]);
    assert_eq!(quotas("yahoo"), [Some(7), None, None, None]);
    assert!(days.rows.iter().all(|row| !row.paused));
    // A table for all, and growth for one.
    let mixed = "[plan]\ntable = [5, 6]\n[provider.gmail]\nstart = 20\n";
    let days = self::days(mixed);
    let gmail = "gmail".parse().unwrap();
    assert_eq!(days.rows_of(&gmail).nth(1).unwrap().quota, Some(26));
}
