//! One inbound message, judged: SPF, DKIM, ARC, DMARC and iprev in one evaluation.
//!
//! A receiving server wants one answer about a message: who sent it, can that be believed, and what does the domain it claims to be from
//! ask to be done if not. [`MessageAuth`] takes what is known of the session and the octets of the message, asks the DNS each question
//! once and as early as it can, and gives a [`Verdict`] with the result of every check, the [`Disposition`](dmarc::Disposition) that
//! DMARC advises, and the fields to put on top of the message.
//!
//! It joins the crates `spf`, `dkim`, `dmarc` and `screening`; whoever needs one of them needs only that one. It decides nothing: whether
//! a message is refused, deferred or delivered is the server's policy. It adds no field to the message and removes none.
//!
//! # The loop
//!
//! ```
//! use mail_dns::{Zone, resolve_blocking};
//! use message_auth::{Inbound, MessageAuth};
//! use spf::SpfResult;
//!
//! let zone = Zone::new()
//!     .txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
//!     .txt("_dmarc.example.com", "v=DMARC1; p=reject")
//!     .ptr("1.2.0.192.in-addr.arpa", "mail.example.com")
//!     .a("mail.example.com", [192, 0, 2, 1]);
//! let inbound = Inbound {
//!     client_ip: [192, 0, 2, 1].into(),
//!     helo: "mail.example.com".to_owned(),
//!     mail_from: "<joe@example.com>".parse()?,
//!     authserv_id: "mx.example.org".to_owned(),
//!     now: 1_700_000_000,
//! };
//!
//! let mut auth = MessageAuth::new(inbound, &Default::default());
//! // As it comes from the client; between the pieces the questions so far may be asked.
//! auth.write(b"From: Joe <joe@example.com>\r\nSubject: dinner\r\n\r\n");
//! auth.write(b"Is it ready?\r\n");
//! auth.finish();
//! let verdict = resolve_blocking(auth, |question| zone.answer(question));
//!
//! assert_eq!(verdict.spf_mail_from.result, SpfResult::Pass);
//! assert_eq!(verdict.dmarc.result, dmarc::DmarcResult::Pass);
//! assert_eq!(verdict.disposition, dmarc::Disposition::None);
//! let results = verdict.results().to_string();
//! assert!(results.starts_with("mx.example.org; spf=pass smtp.mailfrom=example.com;"));
//! assert!(results.contains("; dmarc=pass header.from=example.com policy.dmarc=reject;"));
//! // The same, folded, to be put on top of the message.
//! assert!(verdict.authentication_results()?.starts_with("Authentication-Results: mx.example.org;"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `reports` a verdict has the row for the aggregate report of the domain (RFC 9990): `Verdict::report_row`. With `serde` an evaluation can be written down and made again: `Recording`.
//!
//! With a runtime the evaluation goes to [`mail_dns::Lookups`], which asks while the message still arrives and bounds how many questions
//! are open. When the time is up, [`mail_dns::Lookups::fail`] answers what is open, and whatever is asked afterwards is answered the same
//! way: what had no answer makes a temperror, never a pass and never a policy.
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod early;
mod message_auth;
mod questions;
#[cfg(feature = "serde")]
mod recording;
#[cfg(feature = "reports")]
mod report_row;
mod verdict;

pub use message_auth::{Config, Inbound, Limits, MessageAuth};
pub use questions::Answered;
#[cfg(feature = "serde")]
pub use recording::{Recording, ReplayError};
pub use verdict::Verdict;
