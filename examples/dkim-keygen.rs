//! Makes keys that sign mail (RFC 6376 §3.1), prints their records for the zone, and checks that the DNS has them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use dkim::key_check::{KeyCheck, Published};
use dkim::rotation::Rotation;
use dkim::{Algorithm, KeyRecord, PrivateKey};
use examples::command_line::{Clock, Dns, EXIT_CODES, Outcome, ToolError, exit, print, print_json};
use examples::dkim_keys::{self, Kind};
use mail_dns::Name;
use mail_syntax::Domain;
use serde_json::json;

/// Makes a key, writes it to a file that only its owner can read, and prints the entry for the zone.
///
/// With --print it prints the entry of a key that is there; with --check it looks whether the DNS has it, and exits with 0 if it
/// has, with 1 if it has not, with 75 if the DNS does not answer; with --plan it prints when keys take turns.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: dkim-keygen --domain example.com --selector 2026a --out 2026a.pem >> example.com.zone\n         \
     dkim-keygen --domain example.com --selector 2026a --check 2026a.pem\n         \
     dkim-keygen --domain example.com --plan 2026a,2026b,2026c --period 90\n\n{EXIT_CODES}"
))]
struct Arguments {
    /// The domain that will sign.
    #[arg(long)]
    domain: Domain,
    /// The name of the key, which no other key of the domain has had: the record stands at SELECTOR._domainkey.DOMAIN.
    #[arg(long, required_unless_present = "plan")]
    selector: Option<Domain>,
    /// The kind of key.
    #[arg(long, value_enum, default_value_t)]
    algorithm: Kind,
    /// Bits of an RSA key: 2048, 3072 or 4096.
    #[arg(long, default_value_t = 2048)]
    bits: usize,
    /// Where to write the private key, in PEM (PKCS#8); it must not exist yet. Default: SELECTOR._domainkey.DOMAIN.pem.
    #[arg(long, value_name = "PEM")]
    out: Option<PathBuf>,
    /// Print the entry of this private key, and make none.
    #[arg(long, value_name = "PEM", conflicts_with = "out")]
    print: Option<PathBuf>,
    /// Check that the DNS has the record of this private key, and make none.
    #[arg(long, value_name = "PEM", conflicts_with_all = ["out", "print"])]
    check: Option<PathBuf>,
    /// Print when keys of these selectors are to be published, to sign, and to go, one after the other, and make none.
    #[arg(long, value_name = "SELECTOR,…", value_delimiter = ',', conflicts_with_all = ["out", "print", "check"])]
    plan: Vec<Domain>,
    /// For how many days each key of a plan signs.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    period: u32,
    /// With t=y: the domain only tests DKIM.
    #[arg(long)]
    testing: bool,
    /// With t=s: the domain of i= must be that of d=.
    #[arg(long)]
    strict: bool,
    /// With s=email: the key is for mail alone.
    #[arg(long)]
    email_only: bool,
    /// With n=: a note for people.
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// Print {name, record, strings, zone}, or with --check {name, published, advice, concerns, good}, or with --plan
    /// [{at, action, selector, algorithm}].
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    dns: Dns,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("dkim-keygen", run(&Arguments::parse()).await)
}

async fn run(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let Some(selector) = &arguments.selector else {
        return plan(arguments);
    };
    let name = dkim_keys::name(selector, &arguments.domain)?;
    if let Some(path) = &arguments.check {
        return check(arguments, selector, &dkim_keys::read(path)?).await;
    }
    if let Some(path) = &arguments.print {
        let record = dkim_keys::record(&dkim_keys::read(path)?)?;
        return print_record(arguments, &name, record);
    }
    let by_default = || PathBuf::from(format!("{name}.pem"));
    let path = arguments.out.clone().unwrap_or_else(by_default);
    let record = dkim_keys::make(arguments.algorithm, arguments.bits, &path)?;
    tell_where(&path);
    print_record(arguments, &name, record)
}

/// The plan of a rotation that starts now.
fn plan(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let mut rotation = Rotation::starting_at(arguments.clock.now());
    rotation.period = Duration::from_secs(u64::from(arguments.period) * 24 * 60 * 60);
    let algorithm = match arguments.algorithm {
        Kind::Rsa => Algorithm::RsaSha256,
        Kind::Ed25519 => Algorithm::Ed25519Sha256,
    };
    for selector in &arguments.plan {
        rotation.add_key(selector.clone(), algorithm);
    }
    let wrong = |error: &dyn std::fmt::Display| ToolError::usage("--plan", error);
    let plan = rotation.plan().map_err(|error| wrong(&error))?;
    if arguments.json {
        print_json(&serde_json::to_value(&plan).map_err(|error| wrong(&error))?)?;
    } else {
        print(plan)?;
    }
    Ok(Outcome::Yes)
}

/// On standard error: standard output is for the zone.
fn tell_where(path: &Path) {
    eprintln!("dkim-keygen: the private key is in {}", path.display());
}

fn print_record(
    arguments: &Arguments,
    name: &Name,
    mut record: KeyRecord,
) -> Result<Outcome, ToolError> {
    if arguments.testing {
        record = record.with_testing();
    }
    if arguments.strict {
        record = record.with_strict();
    }
    if arguments.email_only {
        record = record.with_email_only();
    }
    if let Some(notes) = &arguments.notes {
        record = record.with_notes(notes);
    }
    let zone = record.zone_line(name);
    if arguments.json {
        let txt = record.to_txt();
        let strings: Vec<_> = txt.strings().map(String::from_utf8_lossy).collect();
        print_json(&json!({
            "name": name.to_string(),
            "record": record.to_string(),
            "strings": strings,
            "zone": zone,
        }))?;
    } else {
        print(zone)?;
    }
    Ok(Outcome::Yes)
}

async fn check(
    arguments: &Arguments,
    selector: &Domain,
    key: &PrivateKey,
) -> Result<Outcome, ToolError> {
    let wanted = dkim_keys::record(key)?.public_key;
    let wanted = wanted.ok_or_else(|| ToolError::Usage("the key has no public half".into()))?;
    let check = KeyCheck::new(selector, &arguments.domain, wanted)
        .map_err(|error| ToolError::usage("--selector and --domain", error))?;
    let verdict = arguments.dns.resolve(check).await?;
    if arguments.json {
        let published = match &verdict.published {
            Published::Matches => "matches",
            Published::Differs => "differs",
            Published::Revoked => "revoked",
            Published::Missing => "missing",
            Published::Several { .. } => "several",
            Published::Malformed(_) => "malformed",
            Published::TooLong { .. } => "too long",
            _ => "unavailable",
        };
        let concerns: Vec<String> = verdict.concerns.iter().map(ToString::to_string).collect();
        print_json(&json!({
            "name": verdict.name.to_string(),
            "published": published,
            "advice": verdict.published.to_string(),
            "concerns": concerns,
            "good": verdict.is_good(),
        }))?;
    } else {
        print(&verdict)?;
    }
    Ok(match &verdict.published {
        Published::Unavailable(_) => Outcome::Later,
        _ if verdict.is_good() => Outcome::Yes,
        _ => Outcome::No,
    })
}
