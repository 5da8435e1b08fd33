//! Sender Policy Framework (RFC 7208) without I/O: may this client send mail with that identity?
//!
//! [`CheckHost`] is the function check_host() of RFC 7208 §4, written as a [`mail_dns::Evaluation`]: it says which DNS questions it
//! has, takes the answers, and ends in a [`Verdict`] that names the result, the identity and domain it holds for, and the [`Cause`].
//! It opens no socket, reads no clock and starts no thread; time limits are the driver's, which answers what is still open with a
//! timeout and so gets `temperror`.
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
//! Under tokio or another runtime the same value goes to [`mail_dns::resolve`], and `message-auth` polls it beside DKIM and DMARC.
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod check_host;
mod config;
pub mod macros;
pub mod received_spf;
pub mod record;
mod verdict;

pub use check_host::{CheckHost, Client};
pub use config::{Config, Explain, Limits};
pub use received_spf::ReceivedSpf;
pub use record::{Directive, Mechanism, Qualifier, SpfRecord};
pub use verdict::{Cause, Explanation, Identity, SpfResult, TermOutcome, TraceStep, Verdict};
