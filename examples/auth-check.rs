//! Judges one message as a receiving server would: SPF, DKIM, ARC, DMARC and iprev, each with its reason.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use dmarc::{Alignment, Authentication, Disposition, DmarcResult, Identifier};
use examples::command_line::{
    Clock, Dns, EXIT_CODES, Message, Outcome, ToolError, dkim_lines, exit, print, print_json,
    reverse_path, verdict_json,
};
use mail_syntax::{Domain, ReversePath};
use message_auth::{Config, Inbound, MessageAuth, Recording, Verdict};

/// Judges a message with SPF, DKIM, ARC, DMARC and iprev, and explains the verdict.
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
    #[arg(long, required_unless_present = "replay")]
    ip: Option<IpAddr>,
    /// What the client called itself in HELO or EHLO.
    #[arg(long, required_unless_present = "replay")]
    helo: Option<String>,
    /// The reverse-path of MAIL FROM; an empty one or '<>' is the null one.
    #[arg(long, value_parser = reverse_path, required_unless_present = "replay")]
    mail_from: Option<ReversePath>,
    /// The name that vouches for the results.
    #[arg(long, default_value = "localhost", value_parser = NonEmptyStringValueParser::new())]
    authserv_id: String,
    /// A forwarder or mailing list, by the domain of its ARC seals, that is believed where DMARC fails; may be given several times.
    #[arg(long, value_name = "DOMAIN")]
    trust_sealer: Vec<Domain>,
    /// Take the message octet by octet as it is, lines that end in LF alone included.
    #[arg(long)]
    exact: bool,
    /// Print {spf, dkim, arc, dmarc, overrides, iprev, authentication_results, questions}: see docs/auth-check-json.md.
    #[arg(long)]
    json: bool,
    /// Write the message, what is known of its sender and the answers of the DNS to this file, for --replay.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Judge what --record wrote, without asking anything; the message and all that is told of it come from there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ip", "helo", "mail_from", "record", "now", "zone", "exact"])]
    replay: Option<PathBuf>,
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
    let json = arguments.json;
    let mut config = Config::default();
    config.trusted_sealers.clone_from(&arguments.trust_sealer);
    let verdict = match &arguments.replay {
        Some(path) => replay(path, &config)?,
        None => judge(arguments, config).await?,
    };
    match json {
        true => print_json(&verdict_json(&verdict)?)?,
        false => explain(&verdict)?,
    }
    Ok(match (verdict.dmarc.result, verdict.disposition) {
        (DmarcResult::TempError, _) => Outcome::Later,
        (_, Disposition::None) => Outcome::Yes,
        _ => Outcome::No,
    })
}

async fn judge(arguments: Arguments, config: Config) -> Result<Verdict, ToolError> {
    // clap has seen to it that they are there.
    let missing = || ToolError::Usage("--ip, --helo and --mail-from are needed".to_owned());
    let inbound = Inbound {
        client_ip: arguments.ip.ok_or_else(missing)?,
        helo: arguments.helo.ok_or_else(missing)?,
        mail_from: arguments.mail_from.ok_or_else(missing)?,
        authserv_id: arguments.authserv_id,
        now: arguments.clock.now(),
    };
    let message = match arguments.exact {
        true => arguments.message.read_exact()?,
        false => arguments.message.read()?,
    };
    let mut auth = MessageAuth::new(inbound, &config);
    auth.write(&message);
    auth.finish();
    let verdict = arguments.dns.resolve(auth).await?;
    if let Some(path) = &arguments.record {
        let recording = Recording::new(&verdict, &message);
        let wrong = |error: &dyn std::fmt::Display| ToolError::usage(path.display(), error);
        let text = serde_json::to_string_pretty(&recording).map_err(|error| wrong(&error))?;
        std::fs::write(path, text).map_err(|error| wrong(&error))?;
    }
    Ok(verdict)
}

fn replay(path: &Path, config: &Config) -> Result<Verdict, ToolError> {
    let wrong = |error: &dyn std::fmt::Display| ToolError::usage(path.display(), error);
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let recording: Recording = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let verdict = recording.replay(config);
    verdict.map_err(|error| wrong(&error))
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
    let arc = &verdict.arc;
    print(format_args!("ARC    {}: {}", arc.status, arc.cause))?;
    for set in &arc.sets {
        let (instance, domain, selector) = (set.instance, &set.domain, &set.selector);
        print(format_args!("       i={instance} d={domain} s={selector}"))?;
    }
    let dmarc = &verdict.dmarc;
    print(format_args!("DMARC  {}: {}", dmarc.result, dmarc.cause))?;
    if let Some(domain) = &dmarc.author_domain {
        print(format_args!("       the author's domain is {domain}"))?;
    }
    for identifier in &dmarc.identifiers {
        let (mechanism, domain) = (identifier.mechanism, &identifier.domain);
        print(format_args!(
            "       {mechanism} domain {domain} {}",
            alignment(identifier)
        ))?;
    }
    if let (Some(domain), Some(policy)) = (&dmarc.record_domain, dmarc.policy) {
        print(format_args!("       the policy of {domain} is {policy}"))?;
    }
    for reason in &verdict.overrides {
        let comment = reason.comment.as_deref().unwrap_or_default();
        print(format_args!(
            "       which is overridden ({}): {comment}",
            reason.kind
        ))?;
    }
    let iprev = &verdict.iprev;
    let (result, address, cause) = (iprev.result, iprev.address, &iprev.cause);
    print(format_args!("iprev  {result} of {address}: {cause}"))?;
    for name in &iprev.confirmed {
        print(format_args!("       {name} leads back to it"))?;
    }
    print(format_args!("Advice {}", verdict.disposition))?;
    for question in &verdict.questions {
        let mut answers = verdict.answers.iter();
        match answers.find(|answered| answered.question == *question) {
            Some(answered) => print(format_args!("Asked  {question}: {}", answered.answer))?,
            None => print(format_args!(
                "Asked  {question}: the verdict did not wait for it"
            ))?,
        }
    }
    let field = verdict.authentication_results();
    print(field.map_err(|error| ToolError::usage("--authserv-id", error))?)
}

/// What became of an identifier.
fn alignment(identifier: &Identifier) -> &'static str {
    match &identifier.alignment {
        None if identifier.authentication == Authentication::Fail => "did not pass",
        None => "made no difference",
        Some(Alignment::Aligned) => "is aligned with it",
        Some(Alignment::NotAligned) => "is not aligned with it",
        Some(Alignment::LeftOut) => "was left out: too many questions",
        Some(Alignment::Unknown(..)) => "may be aligned with it or not: a lookup failed",
    }
}
