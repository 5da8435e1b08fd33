//! Judges one message as a receiving server would: SPF, DKIM, DMARC and iprev, each with its reason.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Parser;
use dmarc::{Disposition, DmarcResult};
use examples::command_line::{
    Clock, Dns, EXIT_CODES, Message, Outcome, ToolError, dkim_lines, exit, print, print_json,
    reverse_path, verdict_json,
};
use mail_syntax::ReversePath;
use message_auth::{Inbound, MessageAuth, Verdict};

/// Judges a message with SPF, DKIM, DMARC and iprev, and explains the verdict.
///
/// Exits with 0 if DMARC advises nothing against the message, 1 if it advises to quarantine or reject it, 75 if it could not be told.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: auth-check message.eml --ip 192.0.2.1 --helo mail.example.com --mail-from joe@example.com\n\n{EXIT_CODES}"
))]
struct Arguments {
    #[command(flatten)]
    message: Message,
    /// The address of the client that brought the message.
    #[arg(long)]
    ip: IpAddr,
    /// What the client called itself in HELO or EHLO.
    #[arg(long)]
    helo: String,
    /// The reverse-path of MAIL FROM; '<>' is the null one.
    #[arg(long, value_parser = reverse_path)]
    mail_from: ReversePath,
    /// The name that vouches for the results.
    #[arg(long, default_value = "localhost")]
    authserv_id: String,
    /// Print {spf, dkim, dmarc, iprev, authentication_results, questions}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    dns: Dns,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("auth-check", check(Arguments::parse()).await)
}

async fn check(arguments: Arguments) -> Result<Outcome, ToolError> {
    let inbound = Inbound {
        client_ip: arguments.ip,
        helo: arguments.helo,
        mail_from: arguments.mail_from,
        authserv_id: arguments.authserv_id,
        now: arguments.clock.now(),
    };
    let mut auth = MessageAuth::new(inbound, &message_auth::Config::default());
    auth.write(&arguments.message.read()?);
    auth.finish();
    let verdict = arguments.dns.resolve(auth).await?;
    match arguments.json {
        true => print_json(&verdict_json(&verdict)?)?,
        false => explain(&verdict)?,
    }
    Ok(match (verdict.dmarc.result, verdict.disposition) {
        (DmarcResult::TempError, _) => Outcome::Later,
        (_, Disposition::None) => Outcome::Yes,
        _ => Outcome::No,
    })
}

fn explain(verdict: &Verdict) -> Result<(), ToolError> {
    for spf in [&verdict.spf_mail_from, &verdict.spf_helo] {
        let (result, identity, sender, cause) = (spf.result, spf.identity, &spf.sender, &spf.cause);
        print(format_args!(
            "SPF    {result} of {identity} ({sender}): {cause}"
        ))?;
    }
    for line in dkim_lines(&verdict.dkim) {
        print(format_args!("DKIM   {line}"))?;
    }
    let dmarc = &verdict.dmarc;
    print(format_args!("DMARC  {}: {}", dmarc.result, dmarc.cause))?;
    if let (Some(domain), Some(policy)) = (&dmarc.record_domain, dmarc.policy) {
        print(format_args!("       the policy of {domain} is {policy}"))?;
    }
    let iprev = &verdict.iprev;
    print(format_args!("iprev  {}: {}", iprev.result, iprev.address))?;
    for name in &iprev.confirmed {
        print(format_args!("       {name} leads back to it"))?;
    }
    print(format_args!("Advice {}", verdict.disposition))?;
    for question in &verdict.questions {
        print(format_args!("Asked  {question}"))?;
    }
    let field = verdict.authentication_results();
    print(field.map_err(|error| ToolError::usage("--authserv-id", error))?)
}
