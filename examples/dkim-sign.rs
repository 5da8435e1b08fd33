//! Signs a message with DKIM (RFC 6376).

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use dkim::{KeyRecord, PrivateKey, Signer, Signing};
use examples::command_line::{
    Clock, EXIT_CODES, Message, Outcome, ToolError, exit, print, print_octets,
};
use mail_syntax::Domain;

/// Signs a message and writes it to standard output, lines ending in CRLF.
///
/// Exits with 1 for a message that must not be signed, such as one with two From fields.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: openssl genpkey -algorithm ed25519 -out key.pem\n         \
     dkim-sign message.eml --domain example.com --selector 2026a --key key.pem > signed.eml\n\n{EXIT_CODES}"
))]
struct Arguments {
    #[command(flatten)]
    message: Message,
    /// The domain that takes responsibility for the message.
    #[arg(long)]
    domain: Domain,
    /// Under which name the domain publishes the key: at SELECTOR._domainkey.DOMAIN.
    #[arg(long)]
    selector: Domain,
    /// The private key, in PEM: Ed25519, or RSA of 2048 to 4096 bits.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Print the key record to publish instead of signing.
    #[arg(long)]
    print_record: bool,
    #[command(flatten)]
    clock: Clock,
}

fn main() -> ExitCode {
    exit("dkim-sign", sign(&Arguments::parse()))
}

fn sign(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let wrong_key =
        |error: &dyn std::fmt::Display| ToolError::usage(arguments.key.display(), error);
    let pem = std::fs::read_to_string(&arguments.key).map_err(|error| wrong_key(&error))?;
    let key = PrivateKey::from_pem(&pem).map_err(|error| wrong_key(&error))?;
    let (domain, selector) = (arguments.domain.clone(), arguments.selector.clone());
    if arguments.print_record {
        let record = KeyRecord::new(key.public_key().map_err(|error| wrong_key(&error))?);
        let text = mail_dns::Txt::new([record.to_string()]);
        print(format_args!("{selector}._domainkey.{domain}. TXT {text}"))?;
        return Ok(Outcome::Yes);
    }
    let message = arguments.message.read()?;
    let signing = Signing::new(domain, selector, Arc::new(key));
    let mut signer = Signer::new([signing], arguments.clock.now());
    signer.write(&message);
    let fields = signer
        .finish()
        .map_err(|error| ToolError::Refused(error.to_string()))?;
    let signed = [fields.concat().as_bytes(), &message].concat();
    print_octets(&signed)?;
    Ok(Outcome::Yes)
}
