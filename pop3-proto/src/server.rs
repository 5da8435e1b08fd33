//! The server's side of POP3.

mod config;
mod event;
mod session;
mod top;

pub use config::{Config, Limits, Timeouts};
pub use event::{Error, Event, LoginFailure, Mistake, Misuse, SendError, kind};
pub use session::Session;
