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
//!
//! And what it can remember of whoever comes:
//!
//! | module | question |
//! |---|---|
//! | [`rate_limit`] | how much has come from whom? |
//! | [`reputation`] | what became of what a client sent before? |
//! | [`correspondents`] | has the recipient written to the sender? |
//! | [`failed_login`] | who guesses passwords? |
//! | [`pop_before_smtp`] | who has read mail by POP (historic)? |
//! | [`store`] | where all of it is remembered, bounded and with an end to each entry |
//!
//! Times are seconds since 1970 that are handed in, and a clock that jumps locks nobody out for longer than the measure's own time. Points
//! are whole numbers: positive ones speak against the client. All defaults stand in [`scorer::Weights`], [`scorer::Thresholds`] and the
//! `Policy` of each measure.
//!
//! The other way round, [`outbound`] is for whoever sends: how our own addresses are seen, their warm-up, what a destination gets at once.
//!
//! It is no content filter, and it opens no socket and reads no clock: what asks the DNS is a [`mail_dns::Evaluation`], and the time is
//! handed in as seconds.
//!
//! # The loop
//!
//! Ask the DNS, ask the past, add up, and do what the verdict says; at the end of the message record what became of it. What is not known
//! is left out of the [`Evidence`](scorer::Evidence), and worth nothing.
//!
//! ```
//! use mail_dns::{Zone, resolve_blocking};
//! use screening::dnsbl::{Dnsbl, List, Lists};
//! use screening::greylisting::{self, Attempt, Greylist};
//! use screening::helo::{Helo, Ours};
//! use screening::iprev::Iprev;
//! use screening::reputation::{Client, Outcome, Reputation};
//! use screening::s25r::S25r;
//! use screening::scorer::{Decision, Evidence, Scorer, Stage};
//! use screening::store::{Keys, MemoryStore};
//!
//! // Once. The secret is random, and kept as long as what is remembered.
//! let keys = Keys::new([7; 16]);
//! let (greylist, reputation) = (Greylist::new(keys), Reputation::new(keys));
//! let mut store = MemoryStore::new(250_000);
//! // No list decides alone here: the scorer weighs what they say.
//! let lists = [List::new("bad.example.com".parse()?, 4)];
//! let lists = Lists::new(lists, i64::MAX, &Default::default())?;
//! let mut ours = Ours::default();
//! ours.names.push("mx.example.org".parse()?);
//! let (s25r, scorer) = (S25r::default(), Scorer::default());
//!
//! // For each client, when it names its first recipient. A server asks by the driver of its runtime, all at the same time.
//! let zone = Zone::new()
//!     .ptr("7.2.0.192.in-addr.arpa", "dsl-7-2-0-192.pool.example.net")
//!     .a("dsl-7-2-0-192.pool.example.net", [192, 0, 2, 7])
//!     .a("mail.example.net", [192, 0, 2, 8]);
//! let ask = |question: &mail_dns::Question| zone.answer(question);
//! let (client, now) = ("192.0.2.7".parse()?, 1_800_000_000);
//! let iprev = resolve_blocking(Iprev::new(client, &Default::default()), ask);
//! let listed = resolve_blocking(Dnsbl::new(client, &lists), ask);
//! let helo = resolve_blocking(Helo::new("mail.example.net", client, &ours), ask);
//! let name = s25r.check_names(client, &iprev);
//! let past = reputation.score(&mut store, &Client::new(client), now)?;
//!
//! let mut evidence = Evidence::default();
//! evidence.client = Some(client);
//! (evidence.iprev, evidence.s25r) = (Some(&iprev), Some(&name));
//! (evidence.helo, evidence.lists) = (Some(&helo), Some(&listed));
//! evidence.reputation = Some(past.points);
//! evidence.network_reputation = Some(past.network_points);
//! let verdict = scorer.score(&evidence);
//! assert_eq!(
//!     verdict.to_string(),
//!     r#"greylist, score 4: +3 rule 1: two numbers in "dsl-7-2-0-192", +1 HELO: leads elsewhere"#
//! );
//!
//! // What to answer; none is to go on. A tarpit makes each reply wait, too. Nobody is refused mail for postmaster.
//! let attempt = Attempt::new(client, "joe@example.net", "ann@example.org");
//! let mut answer = |now| {
//!     Ok::<_, core::convert::Infallible>(match verdict.decision {
//!         Decision::Accept => None,
//!         Decision::Refuse => verdict.reply(Stage::Recipient),
//!         Decision::Greylist | Decision::Tarpit(_) => match greylist.check(&mut store, &attempt, now)? {
//!             greylisting::Decision::Pass(_) => None,
//!             greylisting::Decision::Delay { .. } => verdict.reply(Stage::Recipient),
//!         },
//!     })
//! };
//! let first = answer(now)?.ok_or("never seen")?;
//! assert!(first.to_string().starts_with("450 4.7.1 Not known here yet"));
//! assert_eq!(answer(now + 300)?, None);
//!
//! // When the message was taken.
//! reputation.record(&mut store, &Client::new(client), Outcome::Accepted, now + 300)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Rate limits come after greylisting, so that nobody pays twice for a message that was told to come again. SPF is one more piece of
//! evidence, and makes a domain known to greylisting and reputation in place of an address.

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
