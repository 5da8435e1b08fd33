//! Prints what each measure, and the default with what it is given, do to ten thousand senders in a month.
//!
//! `cargo run --release -p screening --example simulation [--check DOCUMENT] [POPULATION.toml]`
//!
//! With `--check` it fails unless the document has each line of the tables.

mod measures;
mod tables;

use std::process::ExitCode;

use tables::Tables;
use testkit::population::Population;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut document = None;
    let mut population = Population::default();
    while let Some(argument) = arguments.next() {
        if argument == "--check" {
            let path = arguments.next().ok_or("--check: of which document?")?;
            document = Some((read(&path)?, path));
        } else {
            let text = read(&argument)?;
            population = Population::read(&text).map_err(|error| format!("{argument}: {error}"))?;
        }
    }
    let tables = Tables::of(&population);
    print!("{tables}");
    if let Some((text, path)) = document {
        let missing = tables.missing_in(&text);
        if !missing.is_empty() {
            return Err(format!("\n{path} does not have:\n{}", missing.join("\n")).into());
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program, not the library, reads a file"
)]
fn read(path: &str) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}").into())
}
