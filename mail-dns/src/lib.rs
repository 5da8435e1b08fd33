//! The contract between an evaluation and the DNS: questions out, answers in; zones, cache, drivers.
