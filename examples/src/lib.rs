//! Working mail servers, clients and command-line tools composed from the crates.
//!
//! The server is this library with a thin `main`: what it does is in the modules, each named by what a mail engineer looks for.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod accounts;
pub mod aggregate_reports;
pub mod command_line;
pub mod config;
pub mod connections;
pub mod demo;
pub mod dkim_keys;
pub mod dmarc_report;
pub mod feedback;
pub mod forwarding;
pub mod identities;
pub mod intake;
pub mod judge;
pub mod outgoing;
pub mod own_listings;
pub mod own_reputation;
mod plot;
pub mod queue;
pub mod resolver;
pub mod routing;
pub mod screen;
pub mod server;
pub mod service;
pub mod signing;
pub mod store;
pub mod suppression;
pub mod tls;
pub mod warm_up_plan;
