//! Our authentication crates beside the limit of the machine and beside the crates that a user would otherwise pick: the same inputs,
//! in one run, in turns. README.md says what each row is.

#[path = "../../src/aggregate_report.rs"]
#[expect(unreachable_pub, reason = "a module of the library of the benches")]
mod aggregate_report;
mod allocations;
mod bare;
mod dkim_rows;
mod dmarc_rows;
mod inbound_rows;
mod message;
mod race;
mod report_rows;
mod spf_rows;
mod zone;

use std::fs;
use std::process::Command;

#[global_allocator]
static COUNTING: allocations::Counting = allocations::Counting;

fn main() {
    machine();
    println!(
        "\n| work | by | least | median | × limit | allocations |\n|---|---|---:|---:|---:|---:|"
    );
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let rows: [(&str, fn()); 5] = [
        ("spf", spf_rows::run),
        ("dkim", dkim_rows::run),
        ("dmarc", dmarc_rows::run),
        ("report", report_rows::run),
        ("inbound", inbound_rows::run),
    ];
    for (name, run) in rows {
        if name.starts_with(&wanted) {
            run();
        }
    }
}

/// What it runs on and with. There is no seed: all inputs are fixed.
fn machine() {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or_else(
        |_| "rustc?".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    println!("{model}, {cores} cores; {rustc}, release, thin LTO");
    let versions = ["mail-auth", "quick-xml", "ring", "aws-lc-rs"]
        .map(|name| format!("{name} {}", version(name)));
    println!("{}; inputs fixed", versions.join(", "));
}

/// The version of a dependency by the lock.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    lock.split_once(&entry)
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or("?")
}
