//! Asks what DMARC (RFC 9989) says of an author and of what SPF and DKIM found, or what is wrong with a record.

use std::process::ExitCode;

use clap::Parser;
use dmarc::lint::{Severity, explain, lint};
use dmarc::{Authentication, AuthorDomains, Dmarc, DmarcResult, Record, Verdict};
use examples::command_line::{Dns, EXIT_CODES, Outcome, ToolError, exit, print, print_json};
use mail_dns::{Answer, Evaluation, Need, Question, Record as DnsRecord, RecordType};
use mail_syntax::Domain;
use serde_json::{Value, json};

/// Checks DMARC: is anything that SPF and DKIM found the author's, and what does the author's domain ask for if not.
///
/// With --lint or --explain it looks at the record instead: that of --record, or the one in force for --from.
///
/// Exits with 0 for pass, 75 for temperror, and 1 for every other result; with --lint with 1 for a warning or an error.
#[derive(Parser)]
#[command(after_help = format!("EXAMPLE: dmarc-check --from joe@example.com --spf bounces.example.com --dkim example.net=fail\n         dmarc-check --lint --explain --record 'v=DMARC1; p=reject; sp=none'\n\n{EXIT_CODES}"))]
struct Arguments {
    /// The From field of the message, or a domain alone.
    #[arg(long, required_unless_present = "record")]
    from: Option<String>,
    /// The domain of MAIL FROM and what SPF says of it: DOMAIN is DOMAIN=pass. Any other result than pass and temperror counts as fail.
    #[arg(long, value_name = "DOMAIN[=RESULT]", value_parser = identifier)]
    spf: Option<(Domain, Authentication)>,
    /// The d= of a signature and what DKIM says of it; once for each signature.
    #[arg(long, value_name = "DOMAIN[=RESULT]", value_parser = identifier)]
    dkim: Vec<(Domain, Authentication)>,
    /// Tell what is wrong with the record, or unwise, and what to write instead.
    #[arg(long)]
    lint: bool,
    /// Tell what the record means.
    #[arg(long)]
    explain: bool,
    /// The record to look at.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["spf", "dkim"])]
    record: Option<String>,
    /// Print {result, author_domain, record_domain, policy, disposition, cause}; of a record {record, record_domain, findings, meaning}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dns: Dns,
}

/// Reads `example.com`, `example.com=pass`, `example.com=softfail`.
fn identifier(text: &str) -> Result<(Domain, Authentication), String> {
    let (domain, result) = text.split_once('=').unwrap_or((text, "pass"));
    let authentication = match result.to_ascii_lowercase().as_str() {
        "pass" => Authentication::Pass,
        "temperror" => Authentication::TempError,
        "fail" | "none" | "neutral" | "softfail" | "permerror" | "policy" => Authentication::Fail,
        _ => return Err(format!("{result:?} is no result of SPF or DKIM")),
    };
    let domain = Domain::parse_utf8(domain).map_err(|error| error.to_string())?;
    Ok((domain, authentication))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("dmarc-check", check(&Arguments::parse()).await)
}

async fn check(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let verdict = match &arguments.from {
        Some(from) => Some(evaluate(arguments, from).await?),
        None => None,
    };
    if arguments.lint || arguments.explain || arguments.record.is_some() {
        return check_record(arguments, verdict.as_ref()).await;
    }
    // clap asks for --from where there is no --record.
    let verdict = verdict.ok_or_else(|| ToolError::usage("--from", "missing"))?;
    if arguments.json {
        print_json(&verdict_json(&verdict))?;
    } else {
        for identifier in &verdict.identifiers {
            print(format_args!("  {identifier}"))?;
        }
        if let (Some(record), Some(domain)) = (&verdict.record, &verdict.record_domain) {
            print(format_args!("  record of {domain}: {record}"))?;
        }
        let done = verdict.overridden(&[]);
        print(format_args!("{}: {}", verdict.result, verdict.cause))?;
        print(format_args!("disposition: {}", done.disposition))?;
        for reason in done.reasons {
            print(format_args!("because of {}", reason.kind))?;
        }
    }
    Ok(match verdict.result {
        DmarcResult::Pass => Outcome::Yes,
        DmarcResult::TempError => Outcome::Later,
        _ => Outcome::No,
    })
}

async fn evaluate(arguments: &Arguments, from: &str) -> Result<Verdict, ToolError> {
    let author = match Domain::parse_utf8(from) {
        Ok(domain) => AuthorDomains::One(domain),
        Err(_) => AuthorDomains::of_from(from.as_bytes()),
    };
    let mut dmarc = Dmarc::new(&author, &dmarc::Config::default());
    if let Some((domain, authentication)) = &arguments.spf {
        dmarc.spf(domain, *authentication);
    }
    for (domain, authentication) in &arguments.dkim {
        dmarc.dkim(domain, *authentication);
    }
    dmarc.no_more_identifiers();
    arguments.dns.resolve(dmarc).await
}

fn verdict_json(verdict: &Verdict) -> Value {
    let text = |domain: &Option<Domain>| domain.as_ref().map(ToString::to_string);
    json!({
        "result": verdict.result.to_string(),
        "author_domain": text(&verdict.author_domain),
        "record_domain": text(&verdict.record_domain),
        "policy": verdict.policy.map(|policy| policy.to_string()),
        "disposition": verdict.disposition.to_string(),
        "cause": verdict.cause.to_string(),
    })
}

async fn check_record(
    arguments: &Arguments,
    verdict: Option<&Verdict>,
) -> Result<Outcome, ToolError> {
    // The record in force; where there is none, what stands in its place.
    let domain = verdict.and_then(|verdict| {
        let domain = verdict.record_domain.as_ref();
        domain.or(verdict.author_domain.as_ref())
    });
    let text = match (&arguments.record, domain) {
        (Some(record), _) => record.clone().into_bytes(),
        (None, Some(domain)) => published(arguments, domain).await?,
        (None, None) => return Err(ToolError::usage("--from", "not one domain")),
    };
    let findings = lint(&text, domain);
    let meaning = Record::parse(&text).map(|record| explain(&record));
    let (wants_lint, wants_meaning) = (arguments.lint, arguments.explain);
    if arguments.json {
        let finding = |finding: &dmarc::lint::Finding| {
            json!({
                "severity": finding.severity.to_string(),
                "start": finding.span.start,
                "end": finding.span.end,
                "what": finding.what.to_string(),
                "advice": finding.advice,
            })
        };
        print_json(&json!({
            "record": String::from_utf8_lossy(&text),
            "record_domain": domain.map(ToString::to_string),
            "findings": findings.iter().map(finding).collect::<Vec<_>>(),
            "meaning": meaning.as_ref().ok(),
        }))?;
    } else {
        print(String::from_utf8_lossy(&text))?;
        if wants_meaning || !wants_lint {
            match &meaning {
                Ok(sentences) => print(sentences.join("\n"))?,
                Err(error) => print(error)?,
            }
        }
        if wants_lint || !wants_meaning {
            for finding in &findings {
                print(finding)?;
            }
        }
    }
    let sound = findings
        .iter()
        .all(|finding| finding.severity == Severity::Note);
    Ok(match meaning.is_ok() && (sound || !wants_lint) {
        true => Outcome::Yes,
        false => Outcome::No,
    })
}

/// The record that a domain publishes, or what comes nearest to one there.
async fn published(arguments: &Arguments, domain: &Domain) -> Result<Vec<u8>, ToolError> {
    let name = dmarc::tree_walk::record_name(domain)
        .ok_or_else(|| ToolError::usage(domain, "too long for a record"))?;
    let question = Question::new(name, RecordType::Txt);
    let shown = question.to_string();
    let answer = arguments.dns.resolve(OneQuestion::Asking(question)).await?;
    let records = answer
        .outcome()
        .map_err(|failure| ToolError::Later(format!("{shown}: {failure}")))?;
    let texts: Vec<Vec<u8>> = records
        .iter()
        .filter_map(|record| match record {
            DnsRecord::Txt(text) => Some(text.joined().to_vec()),
            _ => None,
        })
        .collect();
    let is_record =
        |text: &&Vec<u8>| Record::parse(text) != Err(dmarc::record::RecordError::Version);
    let many = texts.iter().filter(is_record).count();
    if many > 1 {
        let told = format!("{shown}: {many} DMARC records, which are all ignored; keep one");
        return Err(ToolError::Refused(told));
    }
    let text = texts.iter().find(is_record).or_else(|| texts.first());
    text.cloned()
        .ok_or_else(|| ToolError::Refused(format!("{shown}: no record")))
}

/// An evaluation that wants one answer.
enum OneQuestion {
    Asking(Question),
    Asked,
    Answered(Answer),
}

impl Evaluation for OneQuestion {
    type Verdict = Answer;

    fn poll(&mut self) -> Need<Answer> {
        match std::mem::replace(self, Self::Asked) {
            Self::Asking(question) => Need::Lookup(question),
            Self::Asked => Need::Wait,
            Self::Answered(answer) => Need::Done(answer),
        }
    }

    fn answer(&mut self, _: &Question, answer: &Answer) {
        *self = Self::Answered(answer.clone());
    }
}
