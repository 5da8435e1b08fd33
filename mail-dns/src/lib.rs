//! The contract between an evaluation and the DNS: questions out, answers in; zones, cache, drivers.
//!
//! SPF, DKIM, DMARC, block lists: each needs a handful of lookups before it can say anything, and none of them should own a
//! resolver, a socket or a runtime to get them. So they are written as an [`Evaluation`]: a value that says which [`Question`] it
//! would like to have answered next, takes each [`Answer`] whenever it comes, and in the end is done.
//!
//! This crate has the words of that contract ([`Name`], [`RecordType`], [`Record`], [`Answer`]), the drivers that carry questions to
//! whatever answers them ([`resolve_blocking`], [`resolve`], [`Lookups`]), a bounded [`Cache`], and a [`Zone`] for tests and
//! demonstrations. It is no resolver: it opens no socket, reads no clock and knows no server. With the feature `hickory` the words
//! convert to and from those of hickory-proto and to DNS wire messages; with `serde` questions and answers are data that can be written down:
//! names, types and records as text, `{"name": "example.com", "type": "TXT"}`.
//!
//! # The loop
//!
//! ```
//! use mail_dns::{Answer, Evaluation, Name, Need, Question, RecordType, Zone, resolve_blocking};
//!
//! /// Asks for the TXT records of one name, and counts them.
//! struct CountTexts { question: Question, asked: bool, count: Option<usize> }
//!
//! impl Evaluation for CountTexts {
//!     type Verdict = usize;
//!     fn poll(&mut self) -> Need<usize> {
//!         match self.count {
//!             Some(count) => Need::Done(count),
//!             None if self.asked => Need::Wait,
//!             None => { self.asked = true; Need::Lookup(self.question.clone()) }
//!         }
//!     }
//!     fn answer(&mut self, question: &Question, answer: &Answer) {
//!         if *question == self.question { self.count = Some(answer.records().len()); }
//!     }
//! }
//!
//! let zone = Zone::new().txt("example.com", "v=spf1 -all").txt("example.com", "something else");
//! let question = Question::new("Example.COM.".parse::<Name>()?, RecordType::Txt);
//! let count = resolve_blocking(CountTexts { question, asked: false, count: None }, |question| zone.answer(question));
//! assert_eq!(count, 2);
//! # Ok::<(), mail_dns::NameError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod cache;
mod evaluation;
#[cfg(feature = "hickory")]
pub mod hickory;
mod lookups;
mod master_file;
mod name;
mod question;
mod record;
mod reverse;
#[cfg(feature = "serde")]
mod serde;
mod zone;

pub use cache::{Cache, CacheLimits};
pub use evaluation::{Evaluation, Need, resolve_blocking, resolve_blocking_until};
pub use lookups::{Limits, Lookups, Progress, resolve};
pub use master_file::{ZoneError, ZoneFault};
pub use name::{Ancestors, Labels, Name, NameError, Suffixes};
pub use question::{Answer, Data, Dnssec, Failure, Question};
pub use record::{Record, RecordType, Tlsa, Txt, UnknownRecordType};
pub use zone::Zone;
