//! Verifies the DKIM signatures of a message (RFC 6376), and tells of each why it passes or not.

use std::process::ExitCode;

use clap::Parser;
use dkim::diagnosis::{self, Diagnoser};
use dkim::{DkimResult, Options, Verifier};
use examples::command_line::{
    Clock, Dns, EXIT_CODES, Message, Outcome, ToolError, dkim_json, dkim_lines, exit, print,
    print_json,
};
use serde_json::Value;

/// Verifies every DKIM signature of a message, from the top of its header.
///
/// Exits with 0 if one of them passes; if none does, with 75 where a key could not be had, and else with 1.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: dkim-verify message.eml --now 1700000000\n         \
     dkim-verify message.eml --diagnose --zone example.com.zone\n\n{EXIT_CODES}"
))]
struct Arguments {
    #[command(flatten)]
    message: Message,
    /// Print [{result, domain, selector, algorithm, cause}].
    #[arg(long)]
    json: bool,
    /// Say what was changed in a message whose signature fails, found by undoing what list servers, gateways and disks do; with
    /// --json each signature has {body, header, changes} in addition.
    #[arg(long)]
    diagnose: bool,
    /// Take the message octet by octet as it is, lines that end in LF alone included, which no signature survives.
    #[arg(long)]
    exact: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    dns: Dns,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("dkim-verify", verify(&Arguments::parse()).await)
}

async fn verify(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let message = match arguments.exact {
        true => arguments.message.read_exact()?,
        false => arguments.message.read()?,
    };
    if arguments.diagnose {
        return diagnose(arguments, &message).await;
    }
    let mut verifier = Verifier::new(arguments.clock.now(), Options::default());
    verifier.write(&message);
    verifier.finish();
    let verdict = arguments.dns.resolve(verifier).await?;
    if arguments.json {
        print_json(&dkim_json(&verdict))?;
    } else {
        for line in dkim_lines(&verdict) {
            print(line)?;
        }
    }
    Ok(outcome(verdict.result()))
}

async fn diagnose(arguments: &Arguments, message: &[u8]) -> Result<Outcome, ToolError> {
    let (now, options) = (arguments.clock.now(), Options::default());
    let diagnoser = Diagnoser::new(message, now, options, diagnosis::Limits::default())
        .map_err(|error| ToolError::usage("the message", error))?;
    let diagnosis = arguments.dns.resolve(diagnoser).await?;
    if arguments.json {
        let json: Result<Value, _> = serde_json::to_value(&diagnosis.signatures);
        print_json(&json.map_err(|error| ToolError::usage("--json", error))?)?;
    } else {
        print(&diagnosis)?;
    }
    Ok(outcome(diagnosis.result()))
}

fn outcome(result: DkimResult) -> Outcome {
    match result {
        DkimResult::Pass => Outcome::Yes,
        DkimResult::TempError => Outcome::Later,
        _ => Outcome::No,
    }
}
