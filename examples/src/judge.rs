//! A message from outside while it comes: judged, and the DNS asked meanwhile, so that nothing is left to wait for at its end.

use std::sync::Arc;

use mail_dns::{Answer, Failure, Limits, Lookups, Progress, Question};
use mail_syntax::header::Header;
use message_auth::{MessageAuth, Verdict};
use tokio::time::Instant;

use crate::aggregate_reports::is_report;
use crate::resolver::{Lookup, Resolver};

/// Questions that are known at the same time (those of the envelope, of the header, of the end) must have ended by then.
///
/// RFC 7208 §4.6.4: "Such a limit SHOULD allow at least 20 seconds.  If such a limit is exceeded, the result of authorization
/// SHOULD be "temperror"."
fn deadline() -> Instant {
    Instant::now() + Limits::default().time
}

/// Judges one message. Dropped, it leaves nothing running.
#[derive(Debug)]
pub struct Judge {
    resolver: Arc<Resolver>,
    message: MessageAuth,
    lookups: Lookups<Lookup>,
    /// Until when the open questions may take.
    deadline: Instant,
    is_report: bool,
}

/// A message that was judged.
#[derive(Debug)]
pub struct Judged {
    /// What was found.
    pub verdict: Verdict,
    /// Whether it is a report about other messages.
    pub is_report: bool,
}

impl Judge {
    /// Begins with what is known before the first octet.
    #[must_use]
    pub fn new(resolver: Arc<Resolver>, message: MessageAuth) -> Self {
        Self {
            resolver,
            message,
            lookups: Lookups::new(Limits::default()),
            deadline: deadline(),
            is_report: false,
        }
    }

    /// Takes a piece of the message.
    pub fn write(&mut self, octets: &[u8]) {
        self.message.write(octets);
    }

    /// The header is whole. It raises questions that were not there before: they get their own time.
    pub fn header(&mut self, header: &Header<'_>) {
        self.is_report = is_report(header);
        self.deadline = deadline();
    }

    /// Asks what can be asked by now, until that is answered: then more of the message is needed.
    ///
    /// Cancel-safe, so that it runs beside the arrival of the message.
    pub async fn ask(&mut self) {
        // Without its end the message has no verdict.
        let _ = self.drive().await;
    }

    /// The message is whole: what has no answer yet is waited for, and there is a verdict.
    ///
    /// None if the evaluation waits for something that nobody brings, which is a mistake of this program.
    pub async fn finish(mut self) -> Option<Judged> {
        self.message.finish();
        self.deadline = deadline();
        match self.drive().await {
            Progress::Done(verdict) => Some(Judged {
                verdict,
                is_report: self.is_report,
            }),
            Progress::Idle => None,
        }
    }

    async fn drive(&mut self) -> Progress<Verdict> {
        let mut ask = |question: Question| -> Lookup {
            let resolver = Arc::clone(&self.resolver);
            Box::pin(async move { resolver.ask(&question).await })
        };
        let asked = self.lookups.drive(&mut self.message, &mut ask);
        if let Ok(progress) = tokio::time::timeout_at(self.deadline, asked).await {
            return progress;
        }
        // What it would ask now has no time either.
        let failed = || Answer::failed(Failure::Timeout);
        self.lookups.fail(&mut self.message, Failure::Timeout);
        let mut ask = |_| -> Lookup { Box::pin(std::future::ready(failed())) };
        self.lookups.drive(&mut self.message, &mut ask).await
    }
}

#[cfg(test)]
mod tests {
    use message_auth::{Config, Inbound};
    use spf::SpfResult;

    use super::*;

    const MESSAGE: &[u8] = b"From: joe@example.com\r\n\r\nIs it ready?\r\n";

    fn judge(resolver: Resolver) -> Judge {
        let inbound = Inbound {
            client_ip: [192, 0, 2, 1].into(),
            helo: "mail.example.com".to_owned(),
            mail_from: "<joe@example.com>".parse().unwrap(),
            authserv_id: "mx.example.org".to_owned(),
            now: 1_700_000_000,
        };
        let message = MessageAuth::new(inbound, &Config::default());
        Judge::new(Arc::new(resolver), message)
    }

    #[tokio::test]
    async fn when_the_time_is_up_what_is_open_and_what_follows_has_no_answer() {
        let mut judge = judge(Resolver::from_function(
            |_| Box::pin(std::future::pending()),
        ));
        judge.deadline = Instant::now();
        judge.ask().await;
        assert_eq!(judge.lookups.in_flight(), 0);
        judge.write(MESSAGE);
        judge.message.finish();
        let Progress::Done(verdict) = judge.drive().await else {
            panic!("a verdict")
        };
        assert_eq!(verdict.spf_mail_from.result, SpfResult::TempError);
        assert_eq!(verdict.dmarc.result, dmarc::DmarcResult::TempError);
    }

    #[tokio::test]
    async fn what_was_answered_in_time_stays_answered() {
        let mut judge = judge(Resolver::from_function(|question| {
            let is_policy = question.name.to_string().starts_with("_dmarc.");
            match question.kind {
                _ if is_policy => Box::pin(std::future::pending()),
                mail_dns::RecordType::Txt => {
                    Box::pin(std::future::ready(txt("v=spf1 ip4:192.0.2.1 -all")))
                }
                _ => Box::pin(std::future::ready(Answer::no_data())),
            }
        }));
        judge.ask().await;
        judge.write(MESSAGE);
        judge.deadline = Instant::now();
        judge.ask().await;
        let verdict = judge.finish().await.unwrap().verdict;
        assert_eq!(verdict.spf_mail_from.result, SpfResult::Pass);
        assert_eq!(verdict.dmarc.result, dmarc::DmarcResult::TempError);
    }

    fn txt(text: &str) -> Answer {
        let name: mail_dns::Name = "example.com".parse().unwrap();
        let zone = mail_dns::Zone::new().txt("example.com", text);
        zone.answer(&Question::new(name, mail_dns::RecordType::Txt))
    }
}
