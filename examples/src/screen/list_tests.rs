//! Tests the lists when it is time to (RFC 5782 §5): only lists that work are asked.

use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::task::Poll;
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
    /// Tests the lists that are due at a time in seconds since 1970, all of them at once: one that is slow keeps no other waiting.
    pub async fn test_lists(&self, resolver: &Resolver, now: u64) {
        let deadline = Instant::now() + PATIENCE;
        let due = self.health().due(now).into_iter();
        let tests = due.map(|(list, test)| {
            Box::pin(async move {
                let found = resolver.evaluate(test, deadline).await;
                if let Some(standing) = self.health().tested(&list, found, now) {
                    tracing::info!(%list, %standing, "screening: a list was tested");
                }
            })
        });
        let mut open: Vec<_> = tests.collect();
        poll_fn(|context| {
            open.retain_mut(|test| test.as_mut().poll(context).is_pending());
            match open.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Answer, Zone};
    use screening::dnsbl::Standing;

    use super::*;
    use crate::config::Config;

    #[tokio::test(start_paused = true)]
    async fn a_list_that_does_not_answer_keeps_no_other_waiting() {
        let list = |zone: &str| format!("[[screening.list]]\nzone = '{zone}.example'\n");
        let lists: String = (0..10).map(|number| list(&format!("l{number}"))).collect();
        let config = format!(
            "hostname = 'mx.example.org'\ndomains = ['example.org']\ndata = 'data'\n\
             [tls]\ncertificate = 'c.pem'\nkey = 'k.pem'\n{lists}"
        );
        let config: Config = toml::from_str(&config).unwrap();
        let screen = Screen::new(&config, &[7; 32]).unwrap();
        let works = Zone::new().a("2.0.0.127.l9.example", [127, 0, 0, 2]);
        let resolver = Resolver::from_function(move |question| {
            let answer = works.answer(&question);
            let is_slow = !question.name.to_string().contains("l9.example");
            Box::pin(async move {
                if is_slow {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    return Answer::nx_domain();
                }
                answer
            })
        });
        let began = Instant::now();
        screen.test_lists(&resolver, 1_800_000_000).await;
        assert_eq!(began.elapsed(), PATIENCE);
        let health = screen.health();
        let on = health
            .iter()
            .filter(|(_, status)| status.standing == Standing::On);
        let on: Vec<String> = on.map(|(list, _)| list.zone.to_string()).collect();
        assert_eq!(on, ["l9.example"]);
    }
}
