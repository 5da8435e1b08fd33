//! The public suites: RFC examples, the traces of imap-codec and of MailKit. Each response must parse, print, and parse to the same.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use imap_proto::{PrintOptions, parse_command, parse_response};
use std::path::PathBuf;

fn suites() -> Option<PathBuf> {
    let found = testkit::conformance::root().map(|folder| folder.join("imap"));
    let found = found.filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: no conformance suites (set MAIL_CONFORMANCE_DIR)");
    }
    found
}

fn response_round_trips(octets: &[u8]) -> bool {
    let Ok(response) = parse_response(octets, false) else {
        return false;
    };
    let printed = response.print(false);
    let again = parse_response(printed.strip_suffix(b"\r\n").unwrap(), false);
    assert_eq!(again.as_ref(), Ok(&response), "{}", printed.escape_ascii());
    true
}

fn command_round_trips(octets: &[u8]) -> bool {
    let Ok(command) = parse_command(octets, false) else {
        return false;
    };
    let printed = command.print(PrintOptions::default()).octets;
    let again = parse_command(printed.strip_suffix(b"\r\n").unwrap(), false).unwrap();
    assert_eq!(again.print(PrintOptions::default()).octets, printed);
    true
}

/// The responses of a trace, cut at line ends that no literal covers.
fn responses(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut out, mut current, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len() - 1);
        let (line, tail) = rest.split_at(end + 1);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        current.extend_from_slice(line);
        rest = tail;
        if let Some(mark) = mail_wire::framing::literal_mark(line) {
            let size = usize::try_from(mark.octets).unwrap().min(rest.len());
            current.extend_from_slice(b"\r\n");
            current.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
        } else if !current.is_empty() {
            out.push(std::mem::take(&mut current));
        }
    }
    out
}

#[test]
fn mailkit_traces() {
    let Some(folder) = suites() else { return };
    let (mut files, mut gaps) = (0, Vec::new());
    for server in std::fs::read_dir(folder.join("mailkit-traces")).unwrap() {
        let server = server.unwrap().path();
        if !server.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(server).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let text = std::fs::read(&file).unwrap();
            files += 1;
            // Sizes of literals count CR LF where the file has LF alone, or as stored: one of the two must fit.
            let lf = responses(&text);
            let crlf = responses(
                &String::from_utf8_lossy(&text)
                    .replace("\r\n", "\n")
                    .replace('\n', "\r\n")
                    .into_bytes(),
            );
            let tagged = |line: &Vec<u8>| {
                let line = line
                    .strip_prefix(b"A########")
                    .map_or_else(|| line.clone(), |rest| [b"A00000000", rest].concat());
                response_round_trips(&line)
            };
            if !lf.iter().all(tagged) && !crlf.iter().all(tagged) {
                let bad = crlf.iter().find(|line| !tagged(line)).unwrap();
                gaps.push(format!(
                    "{}: {} {:?}",
                    file.display(),
                    bad[..bad.len().min(300)].escape_ascii(),
                    parse_response(bad, false).err()
                ));
            }
        }
    }
    eprintln!(
        "mailkit-traces: {} of {files}\n{}",
        files - gaps.len(),
        gaps.join("\n")
    );
    assert!(gaps.len() * 100 <= files, "more than one in a hundred");
}

#[test]
fn imap_codec_traces() {
    let Some(folder) = suites() else { return };
    let (mut lines, mut gaps) = (0, Vec::new());
    for file in std::fs::read_dir(folder.join("imap-codec-traces")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            lines += 1;
            let fine = match line.split_once(": ") {
                Some(("C", line)) => command_round_trips(line.as_bytes()),
                Some(("S", line)) => response_round_trips(line.as_bytes()),
                _ => panic!("{line}"),
            };
            if !fine {
                gaps.push(line.to_owned());
            }
        }
    }
    eprintln!(
        "imap-codec-traces: {} of {lines}\n{}",
        lines - gaps.len(),
        gaps.join("\n")
    );
    assert!(gaps.is_empty());
}

/// Commands and responses of an example, the octets of literals behind their announcements; each with the id of its first line.
fn units(lines: &[serde_json::Value]) -> Vec<(String, bool, String)> {
    let mut out: Vec<(String, bool, String)> = Vec::new();
    // What is put together on each side, and from where the literal that is open counts.
    let mut open: [Option<(String, String, usize, usize)>; 2] = [None, None];
    let mut asked = false;
    for line in lines {
        // A line feed is a fold in print; so are spaces at the edges, and doubled ones.
        let text = line["text"].as_str().unwrap().replace('\n', " ");
        let text = text
            .trim()
            .replace("  ", " ")
            .replace("ENVELOPE ( ", "ENVELOPE (");
        let is_client = line["side"] == "C";
        let id = line["id"].as_str().unwrap().to_owned();
        // A SASL response or the DONE of IDLE answers a continuation and is no command.
        let answers = core::mem::replace(&mut asked, !is_client && text.starts_with('+'));
        let open = &mut open[usize::from(is_client)];
        let (id, mut unit, from, size) = match open.take() {
            Some(unit) => unit,
            None if is_client && (answers || text == "DONE" || text == "*") => continue,
            None => (id, String::new(), 0, 0),
        };
        unit.push_str(&text);
        if unit.len() < from + size {
            unit.push_str("\r\n");
            *open = Some((id, unit, from, size));
        } else if let Some(mark) = mail_wire::framing::literal_mark(text.as_bytes()) {
            unit.push_str("\r\n");
            *open = Some((
                id,
                unit.clone(),
                unit.len(),
                usize::try_from(mark.octets).unwrap(),
            ));
        } else if !unit.is_empty() {
            out.push((id, is_client, unit));
        }
    }
    out
}

#[test]
fn rfc_examples() {
    let Some(folder) = suites() else { return };
    let known: Vec<&str> = include_str!("known-gaps.txt")
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(id, _)| id))
        .collect();
    let (mut all, mut schematic, mut gaps) = (0, 0, Vec::new());
    for rfc in [
        "rfc9051", "rfc3501", "rfc2177", "rfc2342", "rfc2971", "rfc3691", "rfc4315", "rfc4731",
        "rfc5161", "rfc6851",
    ] {
        let text = std::fs::read(folder.join(format!("rfc-examples/{rfc}.json"))).unwrap();
        let suite: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for (id, is_client, text) in units(suite["lines"].as_array().unwrap()) {
            if text.contains("...") || text.contains(". . .") {
                schematic += 1;
                continue;
            }
            all += 1;
            let fine = if is_client {
                command_round_trips(text.as_bytes())
            } else {
                response_round_trips(text.as_bytes())
            };
            match (fine, known.contains(&&*id)) {
                (true, true) => panic!("{id} parses now: strike it from known-gaps.txt"),
                (false, false) => gaps.push(format!("{id} {is_client} {text:?}")),
                _ => {}
            }
        }
    }
    eprintln!(
        "rfc-examples: {} of {all}, {schematic} schematic, {} known gaps\n{}",
        all - gaps.len() - known.len(),
        known.len(),
        gaps.join("\n")
    );
    assert!(gaps.is_empty());
    assert!(known.len() * 100 <= all, "more than one gap in a hundred");
}
