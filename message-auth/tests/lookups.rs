//! With a driver: answers that come late, while the message still arrives, or never.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use dmarc::{Disposition, DmarcResult};
use mail_dns::{Answer, Failure, Limits, Lookups, Progress, Question, Zone};
use message_auth::{Config, Inbound, MessageAuth, Verdict};

/// An answer that is there when it is looked at for the second time, or never.
struct Late {
    answer: Option<Answer>,
    looked_at: bool,
}

impl Future for Late {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        if !core::mem::replace(&mut self.looked_at, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.answer.clone().map_or(Poll::Pending, Poll::Ready)
    }
}

fn zone() -> Zone {
    Zone::new()
        .txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
}

fn auth(client: [u8; 4]) -> MessageAuth {
    let inbound = Inbound {
        client_ip: client.into(),
        helo: "mail.example.com".to_owned(),
        mail_from: "<joe@example.com>".parse().unwrap(),
        authserv_id: "mx.example.org".to_owned(),
        now: 1_700_000_000,
    };
    MessageAuth::new(inbound, &Config::default())
}

/// Polls once; what a server does when its socket or a lookup has something.
fn drive(
    lookups: &mut Lookups<Late>,
    auth: &mut MessageAuth,
    answers: bool,
) -> Poll<Progress<Verdict>> {
    let zone = zone();
    let mut ask = |question: Question| Late {
        answer: answers.then(|| zone.answer(&question)),
        looked_at: false,
    };
    let driving = pin!(lookups.drive(auth, &mut ask));
    driving.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn lookups_go_on_while_the_message_arrives() {
    let (mut lookups, mut auth) = (Lookups::new(Limits::default()), auth([192, 0, 2, 1]));
    let message = b"From: joe@example.com\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
    for octet in message {
        auth.write(&[*octet]);
        assert!(!matches!(
            drive(&mut lookups, &mut auth, true),
            Poll::Ready(Progress::Done(_))
        ));
    }
    auth.finish();
    let mut polls = 0;
    let verdict = loop {
        polls += 1;
        assert!(polls < 100);
        if let Poll::Ready(Progress::Done(verdict)) = drive(&mut lookups, &mut auth, true) {
            break verdict;
        }
    };
    assert_eq!(verdict.dmarc.result, DmarcResult::Pass);
}

#[test]
fn when_the_time_is_up_there_is_no_pass_and_no_policy() {
    for client in [[192, 0, 2, 1], [192, 0, 2, 66]] {
        let (mut lookups, mut auth) = (Lookups::new(Limits::default()), auth(client));
        auth.write(b"From: joe@example.com\r\n\r\n");
        auth.finish();
        let mut rounds = 0;
        let verdict = loop {
            match drive(&mut lookups, &mut auth, false) {
                Poll::Ready(Progress::Done(verdict)) => break verdict,
                Poll::Ready(Progress::Idle) => panic!("idle, though the message is complete"),
                Poll::Pending => lookups.fail(&mut auth, Failure::Timeout),
            }
            rounds += 1;
            assert!(rounds < 20);
        };
        assert_eq!(
            (verdict.dmarc.result, verdict.disposition),
            (DmarcResult::TempError, Disposition::None)
        );
    }
}
