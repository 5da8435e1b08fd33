//! The keys that sign what leaves.

use std::sync::Arc;

use dkim::{PrivateKey, Signing};
use mail_syntax::domain::Domain;

use crate::config::DkimKey;
use crate::server::StartError;

/// Reads the keys of the configuration.
///
/// # Errors
///
/// A file that cannot be read, or a key that cannot sign.
pub fn keys(configured: &[DkimKey]) -> Result<Vec<Signing>, StartError> {
    configured.iter().map(key).collect()
}

fn key(configured: &DkimKey) -> Result<Signing, StartError> {
    let path = &configured.key;
    let failed = |why: String| StartError::Key {
        path: path.display().to_string(),
        why,
    };
    let pem = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let key = PrivateKey::from_pem(&pem).map_err(|error| failed(error.to_string()))?;
    let domain: Domain = configured
        .domain
        .parse()
        .map_err(|_| failed("domain".to_owned()))?;
    let selector: Domain = configured
        .selector
        .parse()
        .map_err(|_| failed("selector".to_owned()))?;
    Ok(Signing::new(domain, selector, Arc::new(key)))
}

/// The keys that sign for an author: those of the author's domain, or of one above it.
pub fn for_author<'a>(
    keys: &'a [Signing],
    author: &'a Domain,
) -> impl Iterator<Item = &'a Signing> {
    keys.iter().filter(|key| author.is_at_or_below(&key.domain))
}
