//! A command-line tool of the examples, as a process.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The tool, ready to be started.
///
/// `cargo test -p examples` builds the examples before the tests run, beside them; with `--test NAME` it does not.
pub fn command(tool: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    Command::new(folder.join(tool))
}

/// Runs the tool to its end.
#[track_caller]
pub fn run(tool: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}; cargo build -p examples --examples"));
    // A tool that does not read its input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What it printed, if it ended with this code.
#[track_caller]
pub fn expect(output: &Output, code: i32) -> String {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{out}\n{error}");
    out
}

/// As [`expect`], of a tool that was told to print JSON.
#[track_caller]
pub fn expect_json(output: &Output, code: i32) -> Value {
    serde_json::from_str(&expect(output, code)).unwrap()
}
