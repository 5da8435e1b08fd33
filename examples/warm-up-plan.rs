//! Shows what a warm-up plan comes to, day by day, before one starts: a table, JSON, or a picture.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use examples::command_line::{Outcome, ToolError, exit, print, print_json};
use examples::warm_up_plan::{Days, PlanFile, json, svg, text};

/// Octets of a plan that are read.
const MAX_PLAN: u64 = 1 << 20;

/// Lives through a warm-up plan for new sending addresses, hour by hour, and shows each day: quotas, what was sent, what went by warm
/// addresses, what waits, and where it was paused.
///
/// Exits with 0 if all mail leaves, and with 1 if some still waits after the last day.
#[derive(Parser)]
#[command(
    after_help = "EXAMPLE: warm-up-plan --svg plan.svg examples/warm-up-plan.example.toml\n\n\
    EXIT CODES: 0 all mail leaves, 1 some still waits after the last day, 2 the command line or a file is wrong"
)]
struct Arguments {
    /// The plan, in TOML; `-` is standard input. Without it: one new and one warm address, and 37,000 messages a day to four providers.
    plan: Option<PathBuf>,
    /// How many days, from 1 to 366.
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Print the days as JSON.
    #[arg(long)]
    json: bool,
    /// Write a picture to this file. It needs nothing else.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit("warm-up-plan", show(&Arguments::parse()))
}

fn show(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let plan = match &arguments.plan {
        Some(path) => plan(path)?,
        None => String::new(),
    };
    let name = || match &arguments.plan {
        Some(path) => path.display().to_string(),
        None => "the default plan".to_owned(),
    };
    let plan = PlanFile::parse(&plan).map_err(|error| ToolError::usage(name(), error))?;
    let days = Days::of(&plan, arguments.days);
    if let Some(file) = &arguments.svg {
        std::fs::write(file, svg(&days))
            .map_err(|error| ToolError::usage(file.display(), error))?;
    }
    if arguments.json {
        print_json(&json(&days))?;
    } else {
        print(text(&days).trim_end())?;
    }
    Ok(if days.waiting() == 0 {
        Outcome::Yes
    } else {
        Outcome::No
    })
}

fn plan(path: &std::path::Path) -> Result<String, ToolError> {
    use std::io::Read as _;
    let wrong = |error: std::io::Error| ToolError::usage(path.display(), error);
    let from: Box<dyn std::io::Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(wrong)?),
    };
    let mut text = String::new();
    let mut from = from.take(MAX_PLAN + 1);
    from.read_to_string(&mut text).map_err(wrong)?;
    if text.len() as u64 > MAX_PLAN {
        return Err(ToolError::usage(path.display(), "larger than 1 MiB"));
    }
    Ok(text)
}
