//! DKIM keys: made, stored, and put into words for the zone. `dkim-keygen` and `mail-server dkim-key` share it.

use std::io::ErrorKind;
use std::path::Path;

use dkim::{KeyRecord, Pkcs8, PrivateKey};
use mail_dns::Name;
use mail_syntax::Domain;

use crate::command_line::ToolError;

/// The kinds of key that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Kind {
    /// RSA, which every verifier knows; needs this program to be built with the feature aws-lc-rs.
    Rsa,
    /// Ed25519: short records and fast signatures, which not every verifier knows yet.
    #[default]
    Ed25519,
}

/// Makes a key; `bits` is for RSA: 2048, 3072 or 4096.
///
/// # Errors
///
/// Other numbers of bits; RSA without the feature `aws-lc-rs`, with what to do instead.
pub fn generate(kind: Kind, bits: usize) -> Result<Pkcs8, ToolError> {
    match kind {
        Kind::Ed25519 => Pkcs8::generate_ed25519(&ring::rand::SystemRandom::new())
            .map_err(|error| ToolError::Later(error.to_string())),
        Kind::Rsa if ![2048, 3072, 4096].contains(&bits) => Err(ToolError::usage(
            "--bits",
            format_args!("{bits} is none of 2048, 3072, 4096"),
        )),
        Kind::Rsa => generate_rsa(bits),
    }
}

#[cfg(feature = "aws-lc-rs")]
fn generate_rsa(bits: usize) -> Result<Pkcs8, ToolError> {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    let size = match bits {
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => KeySize::Rsa2048,
    };
    let failed = |error: aws_lc_rs::error::Unspecified| ToolError::Later(error.to_string());
    let key = KeyPair::generate(size).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
    Pkcs8::from_der(der.as_ref()).map_err(|error| ToolError::Refused(error.to_string()))
}

#[cfg(not(feature = "aws-lc-rs"))]
fn generate_rsa(bits: usize) -> Result<Pkcs8, ToolError> {
    Err(ToolError::Usage(format!(
        "this program was built without a library that makes RSA keys. Build it with one:\n  \
         cargo build -p examples --features aws-lc-rs --example dkim-keygen\n\
         or make the key by OpenSSL, and then print its record:\n  \
         (umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out key.pem)\n  \
         dkim-keygen --domain DOMAIN --selector SELECTOR --print key.pem"
    )))
}

/// Writes a key to a file that did not exist, which its owner alone can read.
///
/// # Errors
///
/// The file exists, or the disk's.
pub fn store(path: &Path, key: &Pkcs8) -> Result<(), ToolError> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.to_pem().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            ToolError::usage(path.display(), "exists already; a key is never overwritten")
        }
        _ => ToolError::usage(path.display(), error),
    })
}

/// Reads a private key from a PEM file.
///
/// # Errors
///
/// The file cannot be read, or has no key that can sign.
pub fn read(path: &Path) -> Result<PrivateKey, ToolError> {
    let wrong = |error: &dyn std::fmt::Display| ToolError::usage(path.display(), error);
    let pem = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    PrivateKey::from_pem(&pem).map_err(|error| wrong(&error))
}

/// The record of a key, which restricts nothing.
///
/// # Errors
///
/// A key that verifiers refuse; [`PrivateKey`] has none.
pub fn record(key: &PrivateKey) -> Result<KeyRecord, ToolError> {
    key.key_record()
        .map_err(|error| ToolError::Refused(error.to_string()))
}

/// The name of a record.
///
/// # Errors
///
/// A name that is too long.
pub fn name(selector: &Domain, domain: &Domain) -> Result<Name, ToolError> {
    dkim::signature::key_name(selector, domain)
        .map_err(|error| ToolError::usage("--selector and --domain", error))
}

/// Makes a key, stores it, and gives its record, which restricts nothing.
///
/// # Errors
///
/// As [`generate`] and [`store`].
pub fn make(kind: Kind, bits: usize, path: &Path) -> Result<KeyRecord, ToolError> {
    let key = generate(kind, bits)?;
    let refused = |error: dkim::SigningKeyError| ToolError::Refused(error.to_string());
    let record = record(&key.private_key().map_err(refused)?)?;
    store(path, &key)?;
    Ok(record)
}
