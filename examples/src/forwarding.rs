//! What the server vouches for when an alias sends mail on: the ARC set (RFC 8617).

use std::collections::BTreeSet;

use dkim::arc::{Sealer, Sealing, Verdict};
use mail_syntax::ForwardPath;
use mail_syntax::authentication_results::AuthenticationResults;

use crate::routing::Route;
use crate::server::Context;
use crate::signing::for_author;

/// Gets a message from outside as it leaves, if it is to leave and there is a key of the domain that sends it on: that of the alias.
#[must_use]
pub fn sealer(
    context: &Context,
    recipients: &[ForwardPath],
    routes: &BTreeSet<Route>,
    now: u64,
) -> Option<Sealer> {
    let leaves = routes.iter().any(|route| matches!(route, Route::Remote(_)));
    let domains = recipients.iter().filter_map(|recipient| match recipient {
        ForwardPath::Mailbox(mailbox) => mailbox.domain(),
        ForwardPath::Postmaster => None,
    });
    let mut keys = domains.flat_map(|domain| for_author(&context.signing, domain));
    let key = keys.next().filter(|_| leaves)?;
    let sealing = Sealing::new(
        key.domain.clone(),
        key.selector.clone(),
        std::sync::Arc::clone(&key.key),
    );
    Some(Sealer::new(sealing, now))
}

/// The set to put on top; none where the chain takes no more, or the message cannot be sealed: it leaves all the same.
#[must_use]
pub fn seal(sealer: Sealer, chain: &Verdict, results: &AuthenticationResults) -> String {
    match sealer.finish(chain, results) {
        Ok(set) => set.map(|set| set.to_string()).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "a message leaves without an ARC set");
            String::new()
        }
    }
}
