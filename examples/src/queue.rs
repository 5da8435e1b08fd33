//! The queue.

use std::sync::Arc;

use crate::server::Context;

/// Delivers what is due until the server stops.
pub async fn run(_context: Arc<Context>) {}
