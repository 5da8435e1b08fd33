//! For tests: every split, pairs in memory, transcripts, loaders for the public conformance suites.
//!
//! - [`every_split`] proves of a session that the same bytes give the same events however they are cut;
//! - [`Pair`] joins a client and a server in memory, with latency, chunk size and a simulated clock;
//! - [`allocations`] counts them, and what is held at once;
//! - [`conformance`] finds the public suites, and says so where they are absent;
//! - `population` (a feature) is who sends to a server, simulated: ten thousand addresses over a month;
//! - [`transcript`] plays the `C:`/`S:` examples of the RFCs against a session.
//!
//! Everything here fails by panic, with a message for the reader of a test.

#![deny(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![allow(clippy::panic, reason = "a test tool fails by panic")]

pub mod allocations;
pub mod conformance;
mod every_split;
mod pair;
#[cfg(feature = "population")]
pub mod population;
mod random;
pub mod transcript;

pub use every_split::{Ended, Run, Seen, every_split, every_truncation, run_cut};
pub use pair::{Pair, Side};
pub use random::Random;
