//! The Authenticated Received Chain (RFC 8617): validate it, and add to it.
//!
//! A forwarder or mailing list breaks SPF, and often DKIM. With ARC it records what it found when the message arrived, and signs that
//! record and the message as it leaves. Each hop adds one *ARC set* of three fields with the same instance number:
//!
//! | field | says |
//! |---|---|
//! | ARC-Authentication-Results | what authentication came to when the message arrived there |
//! | ARC-Message-Signature | a DKIM signature over the message as it left |
//! | ARC-Seal | a signature over all sets up to this one, and whether the chain was good on arrival |
//!
//! # What it is good for
//!
//! ARC proves who said something, not that it is true: anybody can seal a message with any results in it. It never makes a message pass
//! SPF, DKIM or DMARC. Its one use is a *local override*: a receiver that trusts certain forwarders may believe their results where DMARC
//! fails (RFC 8617 §7.2.1). [`Verdict::trusted_results`] gives those results, and only if every sealer of the chain is trusted. Without a
//! list of forwarders that you know, validate nothing.
//!
//! The IETF's DMARC working group moves RFC 8617 to Historic: the experiment ended without an answer to the question whom to trust.
//! Large receivers still read chains and large forwarders still add to them, so a forwarder gains by sealing. Build nothing new upon it.
//!
//! # Validate and seal
//!
//! [`Validator`] is a [`mail_dns::Evaluation`] and takes the message in pieces, as [`Verifier`](crate::Verifier) does: it asks for all keys
//! of the chain at once when the header is complete. Who verifies both writes the message to both at once, so that its body is hashed once
//! ([`Validator::write_beside`]). [`Sealer`] takes the message as it leaves, and the verdict of its arrival.
//!
//! ```
//! use std::sync::Arc;
//! use dkim::arc::{ChainStatus, Sealer, Sealing, Validator};
//! use dkim::{KeyRecord, Options, PrivateKey};
//! use mail_dns::{Zone, resolve_blocking};
//! use mail_syntax::authentication_results::{AuthenticationResults, Method, MethodResult, Outcome};
//!
//! // Yours comes from PrivateKey::from_pem.
//! let key = PrivateKey::from_ed25519_seed(&[7; 32])?;
//! let record = KeyRecord::new(key.public_key()?).to_string();
//! let zone = Zone::new().txt("2026a._domainkey.lists.example", &record);
//! let now = 1_700_000_000;
//! let validate = |message: &[u8]| {
//!     let mut validator = Validator::new(now, Options::default());
//!     validator.write(message);
//!     validator.finish();
//!     resolve_blocking(validator, |question| zone.answer(question))
//! };
//!
//! // A mailing list gets a message without a chain. It passes DMARC, which the list writes down.
//! let arrived = b"From: Joe <joe@bank.example>\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
//! let verdict = validate(arrived);
//! assert_eq!(verdict.status, ChainStatus::None);
//! let mut results = AuthenticationResults::new("mx.lists.example");
//! results.push(MethodResult::new(Method::Dmarc, Outcome::Pass));
//!
//! // It changes the message, which breaks the signatures of the author's domain, and seals it.
//! let leaves = b"From: Joe <joe@bank.example>\r\nSubject: [list] dinner\r\n\r\nIs it ready?\r\n";
//! let sealing = Sealing::new("lists.example".parse()?, "2026a".parse()?, Arc::new(key));
//! let mut sealer = Sealer::new(sealing, now);
//! sealer.write(leaves);
//! let set = sealer.finish(&verdict, &results)?.ok_or("the chain takes no more sets")?;
//! let sealed = [set.to_string().as_bytes(), leaves].concat();
//!
//! // A receiver that trusts the list learns that the message was authentic when it arrived there.
//! let verdict = validate(&sealed);
//! assert_eq!(verdict.status, ChainStatus::Pass);
//! let results = verdict.trusted_results(|sealer| *sealer == "lists.example").ok_or("not trusted")?;
//! assert_eq!(results.results()[0].outcome(), &Outcome::Pass);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod seal;
mod sealer;
mod set;
mod validator;
mod verdict;

pub use seal::{ChainStatus, SealSyntaxError};
pub use sealer::{
    ArcSet, SealError, SealedFields, Sealer, Sealing, UnsignedMessage, UnsignedSeal,
    combined_results,
};
pub use set::{FieldKind, InstanceError, MAX_SETS};
pub use validator::Validator;
pub use verdict::{Cause, Set, Verdict};
