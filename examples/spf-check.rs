//! Asks whether a client may send mail with an identity (SPF, RFC 7208), and tells why; or what is wrong with a record.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use examples::command_line::{
    Clock, Dns, EXIT_CODES, Outcome, Sender, ToolError, exit, print, print_json, spf_json,
};
use mail_dns::{Answer, Name, Question};
use serde_json::{Value, json};
use spf::lint::{DomainReport, Finding, LintDomain, Problem, Severity, lint};
use spf::{
    CheckHost, Client, Config, Explain, Identity, ReceivedSpf, SpfResult, TraceStep, Verdict,
};

/// Checks SPF: the identity of MAIL FROM, or without --mail-from that of HELO.
///
/// With --lint it looks a record over instead: that of --record, or that of a domain and all that it leads to.
///
/// Exits with 0 for pass, 75 for temperror, and 1 for every other result; with --lint with 1 for a warning or an error, and 75 where a domain could not be asked.
#[derive(Parser)]
#[command(after_help = format!("EXAMPLE: spf-check --ip 192.0.2.1 --helo mail.example.com --mail-from joe@example.com --trace\n         spf-check --lint --record 'v=spf1 a mx ptr +all'\n\n{EXIT_CODES}"))]
struct Arguments {
    /// The address of the client.
    #[arg(long, required_unless_present = "lint")]
    ip: Option<IpAddr>,
    /// What the client calls itself in HELO or EHLO.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        required_unless_present_any = ["mail_from", "lint"]
    )]
    helo: String,
    /// The reverse-path of MAIL FROM; an empty one or '<>' is the null one, which stands for postmaster@ and the HELO name. A domain alone stands for its postmaster.
    #[arg(long)]
    mail_from: Option<Sender>,
    /// Who checks: named in Received-SPF, and to those who explain (%{r}).
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    authserv_id: Option<String>,
    /// Tell each term that was evaluated, and each lookup.
    #[arg(long)]
    trace: bool,
    /// Ask the questions of later terms early: the same result in fewer rounds.
    #[arg(long)]
    look_ahead: bool,
    /// Tell what is wrong with a record, or unwise, and what to write instead: that of this domain, or of --record.
    #[arg(long, value_name = "DOMAIN", num_args = 0..=1, conflicts_with_all = ["ip", "mail_from", "trace"])]
    lint: Option<Option<Name>>,
    /// The record to look over.
    #[arg(long, value_name = "TEXT", requires = "lint")]
    record: Option<String>,
    /// Print {result, domain, identity, cause, explanation}, with --trace also trace; with --lint a list of {record, findings}, of a domain also {domain, terms, void_lookups}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    dns: Dns,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (arguments.ip, &arguments.lint) {
        (Some(ip), _) => check(&arguments, ip).await,
        (None, Some(domain)) => look_over(&arguments, domain.as_ref()).await,
        // clap asks for --ip where there is no --lint.
        (None, None) => Err(ToolError::usage("--ip", "missing")),
    };
    exit("spf-check", outcome)
}

async fn check(arguments: &Arguments, ip: IpAddr) -> Result<Outcome, ToolError> {
    let client = Client::new(ip, arguments.helo.as_str());
    let mut config = Config::default();
    config.trace = arguments.trace;
    config.look_ahead = arguments.look_ahead;
    config.explain = Some(Explain {
        receiver: arguments
            .authserv_id
            .clone()
            .unwrap_or_else(|| "unknown".to_owned()),
        now: arguments.clock.now(),
    });
    let check = match &arguments.mail_from {
        Some(Sender::Path(path)) => CheckHost::mail_from(&client, path, &config),
        Some(Sender::Other(text)) => CheckHost::new(&client, Identity::MailFrom, text, &config),
        None => CheckHost::helo(&client, &config),
    };
    let verdict = arguments.dns.resolve(check).await?;
    if arguments.json {
        print_json(&verdict_json(arguments, &verdict))?;
    } else {
        for step in &verdict.trace {
            print(format_args!("  {step}"))?;
        }
        print(format_args!("{}: {}", verdict.result, verdict.cause))?;
        if let Some(explanation) = &verdict.explanation {
            print(format_args!("the domain explains: {explanation}"))?;
        }
        let receiver = arguments.authserv_id.as_deref().unwrap_or("localhost");
        let field = ReceivedSpf::new(&verdict, &client, receiver).to_field();
        print(field.map_err(|error| ToolError::usage("--helo", error))?)?;
    }
    Ok(match verdict.result {
        SpfResult::Pass => Outcome::Yes,
        SpfResult::TempError => Outcome::Later,
        _ => Outcome::No,
    })
}

fn verdict_json(arguments: &Arguments, verdict: &Verdict) -> Value {
    let mut object = spf_json(verdict);
    let explanation = verdict.explanation.as_ref().map(ToString::to_string);
    object["explanation"] = json!(explanation);
    if arguments.trace {
        object["trace"] = verdict.trace.iter().map(step_json).collect();
    }
    object
}

fn step_json(step: &TraceStep) -> Value {
    let lookup = |(question, answer): &(Question, Answer)| json!({"question": question.to_string(), "answer": told(answer)});
    json!({
        "depth": step.depth,
        "domain": step.domain.to_string(),
        "term": step.term,
        "outcome": step.outcome.to_string(),
        "lookups": step.lookups.iter().map(lookup).collect::<Vec<_>>(),
        "terms": step.terms,
        "void_lookups": step.void_lookups,
    })
}

fn told(answer: &Answer) -> Value {
    match answer.outcome() {
        Ok(records) => records.iter().map(ToString::to_string).collect(),
        Err(failure) => json!(failure.to_string()),
    }
}

async fn look_over(arguments: &Arguments, domain: Option<&Name>) -> Result<Outcome, ToolError> {
    let limits = Config::default().limits;
    let findings = match (&arguments.record, domain) {
        (Some(record), None) => {
            let findings = lint(record.as_bytes(), &limits);
            if arguments.json {
                print_json(&json!([{"record": record, "findings": findings_json(&findings)}]))?;
            } else {
                print(record)?;
                for finding in &findings {
                    print(format_args!("  {finding}"))?;
                }
            }
            findings
        }
        (None, Some(domain)) => {
            let lint = LintDomain::new(domain.clone(), &limits);
            let reports = arguments.dns.resolve(lint).await?;
            if arguments.json {
                print_json(&reports.iter().map(report_json).collect())?;
            } else {
                for report in &reports {
                    print(report)?;
                }
            }
            reports.into_iter().flat_map(|of| of.findings).collect()
        }
        _ => return Err(ToolError::usage("--lint", "give it a domain, or --record")),
    };
    let failed = |finding: &Finding| matches!(finding.problem, Problem::LookupFailed { .. });
    Ok(
        match findings.iter().map(|finding| finding.severity).max() {
            None | Some(Severity::Note) => Outcome::Yes,
            _ if findings.iter().any(failed) => Outcome::Later,
            _ => Outcome::No,
        },
    )
}

fn report_json(report: &DomainReport) -> Value {
    json!({
        "domain": report.domain.to_string(),
        "record": report.record,
        "terms": report.terms,
        "void_lookups": report.void_lookups,
        "findings": findings_json(&report.findings),
    })
}

fn findings_json(findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "severity": finding.severity.to_string(),
            "start": finding.span.start,
            "end": finding.span.end,
            "what": finding.problem.to_string(),
            "instead": finding.problem.instead(),
        })
    };
    findings.iter().map(finding).collect()
}
