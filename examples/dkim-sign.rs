//! Signs a message with DKIM (RFC 6376).

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dkim::signature::Identity;
use dkim::{Canonicalization, PrivateKey, SignError, Signer, Signing};
use examples::command_line::{
    Clock, EXIT_CODES, Message, Outcome, ToolError, exit, print, print_octets, with_crlf,
};
use examples::dkim_keys;
use mail_syntax::Domain;

/// Signs a message and writes it to standard output, lines ending in CRLF.
///
/// Several keys sign in one pass: --selector and --key are given once for each, in the same order.
///
/// Exits with 1 for a message that must not be signed, such as one with two From fields.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: dkim-keygen --domain example.com --selector 2026a --out a.pem\n         \
     dkim-sign message.eml --domain example.com --selector 2026a --key a.pem > signed.eml\n         \
     dkim-sign message.eml --domain example.com --selector r1 --key rsa.pem --selector e1 --key ed25519.pem\n\n{EXIT_CODES}"
))]
struct Arguments {
    #[command(flatten)]
    message: Message,
    /// The domain that takes responsibility for the message.
    #[arg(long)]
    domain: Domain,
    /// Under which name the domain publishes the key: at SELECTOR._domainkey.DOMAIN.
    #[arg(long, required = true)]
    selector: Vec<Domain>,
    /// The private key, in PEM: Ed25519, or RSA of 2048 to 4096 bits.
    #[arg(long, value_name = "PEM", required = true)]
    key: Vec<PathBuf>,
    /// How header and body are canonicalized: simple or relaxed, a slash between; one word is for both.
    #[arg(long, default_value = "relaxed/relaxed", value_parser = canonicalizations)]
    canonicalization: (Canonicalization, Canonicalization),
    /// The user or agent, i=: LOCAL@DOMAIN or @DOMAIN, of the domain or one below it.
    #[arg(long)]
    identity: Option<Identity>,
    /// A field to sign in addition, as often as it is there; may be repeated.
    #[arg(long, value_name = "FIELD")]
    sign: Vec<String>,
    /// A field to sign in addition, and once more than it is there, so that nobody can add one; may be repeated.
    #[arg(long, value_name = "FIELD")]
    oversign: Vec<String>,
    /// A field not to sign, which would be by default; may be repeated. From always is.
    #[arg(long, value_name = "FIELD")]
    leave: Vec<String>,
    /// For how many seconds the signature is good, x=; 0 writes no x=.
    #[arg(long, value_name = "SECONDS", default_value_t = 7 * 24 * 60 * 60)]
    lifetime: u64,
    /// Write the DKIM-Signature fields alone, without the message.
    #[arg(long)]
    fields_only: bool,
    /// Print the key records to publish instead of signing.
    #[arg(long)]
    print_record: bool,
    #[command(flatten)]
    clock: Clock,
}

fn main() -> ExitCode {
    exit("dkim-sign", sign(&Arguments::parse()))
}

fn sign(arguments: &Arguments) -> Result<Outcome, ToolError> {
    let (selectors, keys) = (&arguments.selector, &arguments.key);
    if selectors.len() != keys.len() {
        let counts = format!("{} for {} keys", selectors.len(), keys.len());
        return Err(ToolError::usage("--selector", counts));
    }
    let mut signings = Vec::new();
    for (selector, path) in selectors.iter().zip(keys) {
        let key = dkim_keys::read(path)?;
        if arguments.print_record {
            let text = mail_dns::Txt::new([dkim_keys::record(&key)?.to_string()]);
            let domain = &arguments.domain;
            print(format_args!("{selector}._domainkey.{domain}. TXT {text}"))?;
        } else {
            signings.push(signing(arguments, selector.clone(), key));
        }
    }
    if arguments.print_record {
        return Ok(Outcome::Yes);
    }
    let message = with_crlf(&arguments.message.read_exact()?);
    let mut signer = Signer::new(signings, arguments.clock.now());
    signer.write(&message);
    let fields = signer.finish().map_err(|error| match error {
        // The message has no part in these.
        SignError::Identity
        | SignError::FieldName { .. }
        | SignError::Algorithm { .. }
        | SignError::Domain { .. } => ToolError::Usage(error.to_string()),
        _ => ToolError::Refused(error.to_string()),
    })?;
    let fields = fields.concat();
    let rest = match arguments.fields_only {
        true => &[][..],
        false => &message,
    };
    print_octets(&[fields.as_bytes(), rest].concat())?;
    Ok(Outcome::Yes)
}

fn signing(arguments: &Arguments, selector: Domain, key: PrivateKey) -> Signing {
    let mut signing = Signing::new(arguments.domain.clone(), selector, Arc::new(key));
    (
        signing.header_canonicalization,
        signing.body_canonicalization,
    ) = arguments.canonicalization;
    signing.identity.clone_from(&arguments.identity);
    signing.lifetime = match arguments.lifetime {
        0 => None,
        seconds => Some(Duration::from_secs(seconds)),
    };
    let named =
        |names: &[String], field: &str| names.iter().any(|name| name.eq_ignore_ascii_case(field));
    let fields = &mut signing.fields;
    let (oversigned, present) = (fields.oversigned.to_mut(), fields.present.to_mut());
    // What is named here counts more than what is done by default.
    let (sign, oversign) = (&arguments.sign, &arguments.oversign);
    let by_default = |field: &str| !(named(&arguments.leave, field) || named(sign, field));
    oversigned.retain(|field| by_default(field));
    present.retain(|field| by_default(field) && !named(oversign, field));
    oversigned.extend(oversign.iter().map(|field| field.clone().into()));
    present.extend(sign.iter().map(|field| field.clone().into()));
    signing
}

fn canonicalizations(text: &str) -> Result<(Canonicalization, Canonicalization), String> {
    let (header, body) = text.split_once('/').unwrap_or((text, text));
    let parse = |word: &str| word.parse().map_err(|error| format!("{word:?}: {error}"));
    Ok((parse(header)?, parse(body)?))
}
