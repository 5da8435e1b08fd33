//! Working mail servers, clients and command-line tools composed from the crates.
pub mod store;
