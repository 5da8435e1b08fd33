//! For tests: every split, pairs in memory, transcripts, loaders for the public conformance suites.

pub mod conformance;
