//! Tests the lists when it is time to (RFC 5782 §5): only lists that work are asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{PATIENCE, Screen};
use crate::resolver::Resolver;
use crate::server::{Context, now};

/// Tests until the server stops.
pub(crate) async fn run(context: Arc<Context>) {
    let mut stopping = context.stopping.clone();
    loop {
        context.screen.test_lists(&context.resolver, now()).await;
        let next = context.screen.health().next_test();
        let Some(next) = next else { return };
        // What the lists say of clients may make a test due earlier.
        let wait = Duration::from_secs(next.saturating_sub(now()).clamp(1, 60));
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Screen {
    /// Tests the lists that are due at a time in seconds since 1970.
    pub async fn test_lists(&self, resolver: &Resolver, now: u64) {
        let due = self.health().due(now);
        for (list, test) in due {
            let found = resolver.evaluate(test, Instant::now() + PATIENCE).await;
            if let Some(standing) = self.health().tested(&list, found, now) {
                tracing::info!(%list, %standing, "screening: a list was tested");
            }
        }
    }
}
