//! Is this address worth talking to: iprev, DNSBL, S25R, greylisting, without I/O.
//!
//! What a mail server can learn about a client before it has said anything: whether its address has a name that leads back to it
//! ([`iprev`], RFC 8601 §3), what the lists say of it ([`dnsbl`], RFC 5782), whether its name looks like that of an end user's line
//! ([`s25r`]), and whether it comes back when it is asked to ([`greylisting`], RFC 6647). Each part says what it found and why;
//! what to do about it is the server's own policy.
//!
//! It is no content filter, and it opens no socket and reads no clock: what asks the DNS is a [`mail_dns::Evaluation`], and the time is
//! handed in as seconds.
//!
//! # The loop
//!
//! ```
//! use mail_dns::{Zone, resolve_blocking};
//! use screening::dnsbl::{Dnsbl, List, Lists};
//! use screening::greylisting::{Attempt, Decision, Greylist, MemoryStore};
//! use screening::iprev::{Iprev, IprevResult};
//! use screening::s25r::S25r;
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
//! assert_eq!(suspicion.to_string(), "rule 1 on \"dsl-7-2-0-192\" (forward confirmed)");
//! if suspicion.is_suspicious() {
//!     let mut seen = MemoryStore::new(10_000);
//!     let attempt = Attempt { client, sender: "joe@example.net", recipient: "ann@example.org" };
//!     let greylist = Greylist::default();
//!     assert!(matches!(greylist.check(&mut seen, &attempt, 1_000_000)?, Decision::Delay { .. }));
//!     assert!(matches!(greylist.check(&mut seen, &attempt, 1_000_300)?, Decision::Pass(_)));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod dnsbl;
pub mod greylisting;
pub mod iprev;
pub mod network;
pub mod s25r;
pub mod store;

pub use network::{Network, reverse_name};
