//! The client's side of POP3.

mod config;
mod event;
mod reading;
mod session;

pub use config::{Config, Limits, Timeouts};
pub use event::{CommandId, Error, Event, LoginFailure, NotQueued, Peer, kind};
pub use session::Session;
