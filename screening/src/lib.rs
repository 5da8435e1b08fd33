//! Is this client worth talking to: iprev, DNSBL, S25R, HELO, greylisting and one score of all, without I/O.
//!
//! What a mail server can learn about a client before it takes any mail from it. Each part says what it found and why; one of them adds
//! up what the others found; what to do about it is the server's own policy.
//!
//! | module | question |
//! |---|---|
//! | [`iprev`] | has its address a name that leads back to it (RFC 8601 §3)? |
//! | [`asn`] | who announces its address to the world? |
//! | [`dnsbl`] | what do the lists say of its address and its names (RFC 5782), and do the lists work? |
//! | [`s25r`] | does its name look like that of an end user's line? |
//! | [`helo`] | is what it calls itself what a mail server would say (RFC 5321 §4.1.4)? |
//! | [`early_talker`] | does it speak SMTP as mail servers do? |
//! | [`scorer`] | what does all that come to, and why? |
//! | [`greylisting`] | does it come back when it is asked to (RFC 6647)? |
//! | [`store`] | where what was seen is remembered |
//!
//! And what it can remember: how much has come from whom ([`rate_limit`]), who guesses passwords ([`failed_login`]), what became of what
//! a client sent before ([`reputation`]), who has read mail by POP ([`pop_before_smtp`], historic). All of it goes through one small
//! [`store`], bounded and with an end to each entry. Times are seconds since 1970 that are handed in, and a clock that jumps locks nobody
//! out for longer than the measure's own time.
//!
//! The other way round, [`outbound`] is for whoever sends: how our own addresses are seen, their warm-up, what a destination gets at once.
//!
//! It is no content filter, and it opens no socket and reads no clock: what asks the DNS is a [`mail_dns::Evaluation`], and the time is
//! handed in as seconds.
//!
//! # The loop
//!
//! ```
//! use mail_dns::{Zone, resolve_blocking};
//! use screening::dnsbl::{Dnsbl, List, Lists};
//! use screening::greylisting::{Attempt, Decision, Greylist};
//! use screening::iprev::{Iprev, IprevResult};
//! use screening::s25r::S25r;
//! use screening::store::{Keys, MemoryStore};
//!
//! let zone = Zone::new()
//!     .ptr("7.2.0.192.in-addr.arpa", "dsl-7-2-0-192.pool.example.net")
//!     .a("dsl-7-2-0-192.pool.example.net", [192, 0, 2, 7])
//!     .a("7.2.0.192.bad.example.com", [127, 0, 0, 2]);
//! let ask = |question: &mail_dns::Question| zone.answer(question);
//! let client = "192.0.2.7".parse()?;
//!
//! let iprev = resolve_blocking(Iprev::new(client, &Default::default()), ask);
//! assert_eq!(iprev.result, IprevResult::Pass);
//!
//! let lists = Lists::new([List::new("bad.example.com".parse()?, 2)], 3, &Default::default())?;
//! let listed = resolve_blocking(Dnsbl::new(client, &lists), ask);
//! assert_eq!((listed.score, listed.over_threshold), (2, false));
//!
//! // A suspicious name is no reason to refuse mail, only one to see whether the client comes back.
//! let suspicion = S25r::default().check(client, &(&iprev).into());
//! assert_eq!(suspicion.to_string(), "rule 1: two numbers in \"dsl-7-2-0-192\"");
//! let mut evidence = screening::scorer::Evidence::default();
//! (evidence.s25r, evidence.lists) = (Some(&suspicion), Some(&listed));
//! let verdict = screening::scorer::Scorer::default().score(&evidence);
//! assert_eq!(
//!     verdict.to_string(),
//!     r#"greylist, score 5: +3 rule 1: two numbers in "dsl-7-2-0-192", +2 on bad.example.com"#
//! );
//! if suspicion.is_suspicious() {
//!     let mut seen = MemoryStore::new(10_000);
//!     let attempt = Attempt::new(client, "joe@example.net", "ann@example.org");
//!     let greylist = Greylist::new(Keys::new([7; 16]));
//!     assert!(matches!(greylist.check(&mut seen, &attempt, 1_000_000)?, Decision::Delay { .. }));
//!     assert!(matches!(greylist.check(&mut seen, &attempt, 1_000_300)?, Decision::Pass(_)));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod asn;
pub mod correspondents;
pub mod dnsbl;
pub mod early_talker;
pub mod failed_login;
pub mod greylisting;
pub mod helo;
pub mod iprev;
pub mod network;
pub mod outbound;
pub mod pop_before_smtp;
pub mod rate_limit;
pub mod reputation;
pub mod s25r;
pub mod scorer;
pub mod store;
mod text;

pub use network::{Network, reverse_name};
