//! Verifies the DKIM signatures of a message (RFC 6376), and tells of each why it passes or not.

use std::process::ExitCode;

use clap::Parser;
use dkim::{DkimResult, Options, Verifier};
use examples::command_line::{
    Clock, Dns, EXIT_CODES, Message, Outcome, ToolError, dkim_json, dkim_lines, exit, print,
    print_json,
};

/// Verifies every DKIM signature of a message, from the top of its header.
///
/// Exits with 0 if one of them passes; if none does, with 75 where a key could not be had, and else with 1.
#[derive(Parser)]
#[command(after_help = format!("EXAMPLE: dkim-verify message.eml --now 1700000000\n\n{EXIT_CODES}"))]
struct Arguments {
    #[command(flatten)]
    message: Message,
    /// Print [{result, domain, selector, algorithm, cause}].
    #[arg(long)]
    json: bool,
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
    let mut verifier = Verifier::new(arguments.clock.now(), Options::default());
    verifier.write(&arguments.message.read()?);
    verifier.finish();
    let verdict = arguments.dns.resolve(verifier).await?;
    if arguments.json {
        print_json(&dkim_json(&verdict))?;
    } else {
        for line in dkim_lines(&verdict) {
            print(line)?;
        }
    }
    Ok(match verdict.result() {
        DkimResult::Pass => Outcome::Yes,
        DkimResult::TempError => Outcome::Later,
        _ => Outcome::No,
    })
}
