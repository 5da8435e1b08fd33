//! SMTP without I/O: replies and enhanced status codes, each bounded, parsed and printed.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod client;
pub mod command;
mod enhanced_status;
pub mod parameters;
mod received;
mod reply;

pub use command::{Command, CommandError};
pub use enhanced_status::{EnhancedStatus, EnhancedStatusError};
pub use parameters::{MailParameters, RcptParameters, Xtext, XtextError};
pub use received::{Received, ReceivedError, With};
pub use reply::{Reply, ReplyError, ReplyReader};
