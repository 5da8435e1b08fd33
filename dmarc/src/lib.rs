//! DMARC (RFC 9989) without I/O: discovery, alignment, policy.
//!
//! A reader sees the address in the From field and nothing else; SPF and DKIM authenticate other domains. DMARC joins them: is a domain
//! that was authenticated the author's, and what does the author's domain ask to be done with mail where none is? This crate finds the
//! record by the DNS Tree Walk, decides which identifiers are aligned, and gives a [`Verdict`] with the policy to apply.
//!
//! It does not check SPF or DKIM: it is handed their results, as types, never as header text. It takes no list of public suffixes,
//! opens no socket and sends no reports; it says to whom they may be sent ([`report_destination`], RFC 9990 §4).
//!
//! # The loop
//!
//! [`Dmarc`] is a [`mail_dns::Evaluation`]: it can be asked for its questions as soon as the author is known, and the identifiers are
//! handed in whenever SPF and DKIM have them.
//!
//! ```
//! use dmarc::{Authentication, AuthorDomains, Disposition, Dmarc, DmarcResult};
//! use mail_dns::{Zone, resolve_blocking};
//!
//! let zone = Zone::new().txt("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:dmarc@example.com");
//! let author = AuthorDomains::of_from(b"Joe <joe@news.example.com>");
//!
//! let mut dmarc = Dmarc::new(&author, &Default::default());
//! dmarc.spf(&"bounces.example.com".parse()?, Authentication::Pass);
//! dmarc.dkim(&"example.net".parse()?, Authentication::Pass);
//! dmarc.no_more_identifiers();
//! let verdict = resolve_blocking(dmarc, |question| zone.answer(question));
//! assert_eq!(verdict.result, DmarcResult::Pass);
//! assert_eq!(verdict.aligned_spf(), Some(&"bounces.example.com".parse()?));
//! assert_eq!(verdict.organizational_domain, Some("example.com".parse()?));
//!
//! // The same author, and nothing of his.
//! let mut forged = Dmarc::new(&author, &Default::default());
//! forged.dkim(&"example.net".parse()?, Authentication::Pass);
//! forged.no_more_identifiers();
//! let verdict = resolve_blocking(forged, |question| zone.answer(question));
//! assert_eq!((verdict.result, verdict.disposition), (DmarcResult::Fail, Disposition::Reject));
//! # Ok::<(), mail_syntax::domain::DomainError>(())
//! ```
//!
//! # What is left to the receiver
//!
//! A disposition is advice, and of a temporary error there is none: whether mail is then let in or deferred is local policy
//! (RFC 9989 §4.10.1). A message that has not exactly one Author Domain is outside of DMARC, and the favourite way around it; its result
//! is permerror, and the advice is to refuse it ([`Config::unusable_author`]).
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod config;
mod evaluation;
pub mod lint;
mod organizational_domain;
mod policy_override;
pub mod record;
pub mod report_destination;
#[cfg(feature = "reports")]
pub mod reports;
pub mod tree_walk;
mod verdict;

pub use config::{Config, Limits};
pub use evaluation::Dmarc;
pub use mail_syntax::address_list::AuthorDomains;
pub use organizational_domain::{OrganizationalDomain, PublicSuffixes};
pub use policy_override::{Overridden, Override, OverrideReason, PolicyOverride, UnknownOverride};
pub use record::{AlignmentMode, Policy, Record};
pub use tree_walk::MAX_QUERIES;
pub use verdict::{
    Alignment, Authentication, AuthorFault, Cause, Disposition, DmarcResult, Identifier, Mechanism,
    Verdict,
};
