//! POP3 without I/O: commands, replies, server and client sessions.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod capability;
pub mod command;
pub mod maildrop;
pub mod reply;
pub mod server;
