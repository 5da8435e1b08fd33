//! SMTP without I/O: replies and enhanced status codes, each bounded, parsed and printed.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod enhanced_status;
mod reply;

pub use enhanced_status::{EnhancedStatus, EnhancedStatusError};
pub use reply::{Reply, ReplyError, ReplyReader};
