//! Reads DMARC reports (RFC 9990, RFC 9991) and shows what they say: a table, JSON, or a page with plots.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use examples::command_line::{Outcome, ToolError, exit, print, print_json};
use examples::dmarc_report::{Summary, html, json, text};

/// Octets of one file that are read; mail servers take no more.
const MAX_FILE: u64 = 64 << 20;
/// How deep folders are looked through.
const MAX_DEPTH: usize = 8;

/// Sums up DMARC reports: aggregate reports as XML, gzip, ZIP or mails, and failure reports as mails.
///
/// Exits with 0 if every file was read, and with 1 if one was no report or there was none.
#[derive(Parser)]
#[command(
    after_help = "EXAMPLE: dmarc-report --html reports.html Maildir/new report.xml.gz\n\n\
    EXIT CODES: 0 all were read, 1 a file was no report or there was none, 2 the command line or a file is wrong"
)]
struct Arguments {
    /// Reports, mails, and folders of them; `-` is standard input.
    #[arg(default_value = "-")]
    files: Vec<PathBuf>,
    /// Print the whole summary as JSON.
    #[arg(long)]
    json: bool,
    /// Write a page with plots to this file. It needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How many lines tables have.
    #[arg(long, default_value_t = 20, value_name = "LINES")]
    top: usize,
}

fn main() -> ExitCode {
    exit("dmarc-report", report(&Arguments::parse()))
}

fn report(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let mut summary = Summary::default();
    for path in &arguments.files {
        if path.as_os_str() == "-" {
            summary.add("standard input", &octets(std::io::stdin().lock(), path)?);
        } else {
            add(&mut summary, path, MAX_DEPTH)?;
        }
    }
    if let Some(file) = &arguments.html {
        let page = html(&summary, arguments.top);
        std::fs::write(file, page).map_err(|error| ToolError::usage(file.display(), error))?;
    }
    if arguments.json {
        print_json(&json(&summary))?;
    } else {
        print(text(&summary, arguments.top).trim_end())?;
    }
    let is_all = summary.unreadable_files == 0 && summary.reports + summary.failure_reports > 0;
    Ok(if is_all { Outcome::Yes } else { Outcome::No })
}

/// A file, or what is in a folder, in the order of names. What begins with a dot is left alone, as are links within folders.
fn add(summary: &mut Summary, path: &Path, depth: usize) -> Result<(), ToolError> {
    let wrong = |error: std::io::Error| ToolError::usage(path.display(), error);
    if !path.is_dir() {
        let file = std::fs::File::open(path).map_err(wrong)?;
        summary.add(&path.display().to_string(), &octets(file, path)?);
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let kind = entry.file_type().map_err(wrong)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && (kind.is_file() || (kind.is_dir() && depth > 0)) {
            entries.push(entry.path());
        }
    }
    entries.sort();
    for entry in entries {
        add(summary, &entry, depth.saturating_sub(1))?;
    }
    Ok(())
}

fn octets(from: impl std::io::Read, path: &Path) -> Result<Vec<u8>, ToolError> {
    let mut octets = Vec::new();
    from.take(MAX_FILE + 1)
        .read_to_end(&mut octets)
        .map_err(|error| ToolError::usage(path.display(), error))?;
    if octets.len() as u64 > MAX_FILE {
        return Err(ToolError::usage(path.display(), "larger than 64 MiB"));
    }
    Ok(octets)
}
