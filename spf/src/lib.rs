//! Sender Policy Framework (RFC 7208) without I/O: may this client send mail with that identity?
//!
//! [`CheckHost`] is the function check_host() of RFC 7208 §4, written as a [`mail_dns::Evaluation`]: it says which DNS questions it
//! has, takes the answers, and ends in a [`Verdict`] that names the result, the identity and domain it holds for, and the [`Cause`].
//! It opens no socket, reads no clock and starts no thread; the time limit is the driver's ([`mail_dns::Limits::time`], 20 s), which
//! answers what is still open with a timeout and so gets `temperror`.
//!
//! What it is not: a resolver, or a policy. What to do with a `fail` is the receiver's to decide (RFC 7208 §8, RFC 9989).
//!
//! # The loop
//!
//! ```
//! use mail_dns::{Zone, resolve_blocking};
//! use spf::{CheckHost, Client, Config, Identity, SpfResult};
//!
//! let zone = Zone::new()
//!     .txt("example.com", "v=spf1 mx -all")
//!     .mx("example.com", 10, "mail.example.com")
//!     .a("mail.example.com", [192, 0, 2, 1]);
//! let client = Client::new([192, 0, 2, 1], "mail.example.com");
//!
//! let check = CheckHost::mail_from(&client, &"<joe@example.com>".parse()?, &Config::default());
//! let verdict = resolve_blocking(check, |question| zone.answer(question));
//! assert_eq!(verdict.result, SpfResult::Pass);
//! assert_eq!(verdict.identity, Identity::MailFrom);
//! assert_eq!(verdict.cause.to_string(), "\"mx\" of example.com matches");
//! # Ok::<(), mail_syntax::mailbox::MailboxError>(())
//! ```
//!
//! # What can be relied on
//!
//! - The whole record is parsed before any of it is evaluated; a record with a mistake anywhere is `permerror`, never half a policy.
//! - At most 111 questions ([`Limits`]: ten terms with lookups, ten hosts of each), counted over all `include`s and `redirect`s.
//! - A lookup that failed is never taken for one that found nothing, except where RFC 7208 §5.5 wants that of `ptr`.
//! - The verdict does not depend on the order in which answers come, and the result not on the order of records in them, but for the
//!   client's names that `ptr` and `%{p}` look at: the first ten, and among equals the first.
//! - An explanation is fetched only when asked for, and is one line of printable ASCII.
//!
//! With the feature `idna` a MAIL FROM domain may have U-labels (RFC 8616 §4); without it the result is `none`, and the
//! cause [`Cause::ULabels`]. Whoever takes SMTPUTF8 turns it on, as `message-auth` does.
//!
//! With the feature `serde` a [`Verdict`] is written as data, names, terms and records as text.
//!
//! Under tokio or another runtime the same value goes to [`mail_dns::resolve`], and `message-auth` polls it beside DKIM and DMARC.
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod check_host;
mod config;
pub mod lint;
pub mod macros;
pub mod received_spf;
pub mod record;
#[cfg(feature = "serde")]
mod serde;
mod verdict;

pub use check_host::{CheckHost, Client};
pub use config::{Config, Explain, Limits};
pub use received_spf::ReceivedSpf;
pub use record::{Directive, Mechanism, Qualifier, RecordError, SpfRecord};
pub use verdict::{Cause, Explanation, Identity, SpfResult, TermOutcome, TraceStep, Verdict};
