//! Asks whether a client may send mail with an identity (SPF, RFC 7208), and tells why.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Parser;
use examples::command_line::{
    Dns, EXIT_CODES, Outcome, ToolError, exit, print, print_json, reverse_path, spf_json,
};
use mail_syntax::ReversePath;
use spf::{CheckHost, Client, Config, ReceivedSpf, SpfResult};

/// Checks SPF: the identity of MAIL FROM, or without --mail-from that of HELO.
///
/// Exits with 0 for pass, 75 for temperror, and 1 for every other result.
#[derive(Parser)]
#[command(after_help = format!("EXAMPLE: spf-check --ip 192.0.2.1 --helo mail.example.com --mail-from joe@example.com\n\n{EXIT_CODES}"))]
struct Arguments {
    /// The address of the client.
    #[arg(long)]
    ip: IpAddr,
    /// What the client calls itself in HELO or EHLO.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        required_unless_present = "mail_from"
    )]
    helo: String,
    /// The reverse-path of MAIL FROM; '<>' is the null one, which stands for postmaster@ and the HELO name.
    #[arg(long, value_parser = reverse_path)]
    mail_from: Option<ReversePath>,
    /// Print {result, domain, identity, cause}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dns: Dns,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("spf-check", check(&Arguments::parse()).await)
}

async fn check(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let client = Client::new(arguments.ip, arguments.helo.as_str());
    let mut config = Config::default();
    config.trace = true;
    let check = match &arguments.mail_from {
        Some(path) => CheckHost::mail_from(&client, path, &config),
        None => CheckHost::helo(&client, &config),
    };
    let verdict = arguments.dns.resolve(check).await?;
    if arguments.json {
        print_json(&spf_json(&verdict))?;
    } else {
        for step in &verdict.trace {
            print(format_args!("  {step}"))?;
        }
        print(format_args!("{}: {}", verdict.result, verdict.cause))?;
        let field = ReceivedSpf::new(&verdict, &client, "localhost").to_field();
        print(field.map_err(|error| ToolError::usage("--helo", error))?)?;
    }
    Ok(match verdict.result {
        SpfResult::Pass => Outcome::Yes,
        SpfResult::TempError => Outcome::Later,
        _ => Outcome::No,
    })
}
