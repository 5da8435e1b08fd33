//! Bounds in octets, mistakes and time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use core::time::Duration;

use common::{UP_TO_DATA, answer, codes, config, reply, run, session};
use mail_wire::{End, Session as _, Step, Time};
use smtp_proto::server::{Abort, Error, Event, Session};

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

/// Polls at `now` until nothing happens.
fn settle(session: &mut Session, now: Time) -> (Vec<Event>, Result<Step<Event>, Error>) {
    let mut events = Vec::new();
    loop {
        match session.poll(now) {
            Ok(Step::Event(event @ (Event::Aborted(_) | Event::Mistake { .. }))) => {
                events.push(event);
            }
            Ok(Step::Event(event)) => answer(session, event),
            step => return (events, step),
        }
    }
}

#[test]
fn lines() {
    let fits = format!("NOOP {}\r\n", "x".repeat(4_096 - 7));
    let over = format!("NOOP {}\r\n", "x".repeat(4_096 - 6));
    let outcome = run(
        &mut session(config()),
        format!("{fits}{over}NOOP\r\n").as_bytes(),
    );
    assert_eq!(outcome.codes, [220, 250, 500, 250]);
}

#[test]
fn mistakes() {
    let outcome = run(&mut session(config()), "JUNK\r\n".repeat(30).as_bytes());
    assert_eq!(outcome.codes.len(), 1 + 20 + 1);
    assert_eq!(
        (outcome.codes[21], outcome.end.as_str()),
        (421, "TooManyErrors")
    );
    let outcome = run(&mut session(config()), "NOOP\r\n".repeat(200).as_bytes());
    assert_eq!(outcome.codes.len(), 1 + 100 + 20 + 1);
    assert_eq!(outcome.end, "TooManyErrors");
}

/// Recipients that are not there count too, until a message is accepted.
#[test]
fn harvesting() {
    let tries = |count| "RCPT TO:<nobody@mx.example>\r\n".repeat(count);
    let start = "EHLO c.example\r\nMAIL FROM:<a@b>\r\n";
    let outcome = run(
        &mut session(config()),
        format!("{start}{}", tries(25)).as_bytes(),
    );
    assert_eq!(outcome.codes.len(), 3 + 20 + 1);
    assert_eq!(
        (outcome.end.as_str(), outcome.aborted),
        ("TooManyErrors", 1)
    );
    let good = format!("{start}{}RCPT TO:<a@b>\r\nDATA\r\n.\r\n", tries(19));
    assert_eq!(
        run(&mut session(config()), good.repeat(3).as_bytes()).end,
        ""
    );
}

#[test]
fn a_delay_is_asked_for() {
    let mut session = session(config());
    session
        .input()
        .extend_from_slice("JUNK\r\n".repeat(12).as_bytes());
    let (events, _) = settle(&mut session, Time::START);
    let asked = |event: &Event| {
        matches!(
            event,
            Event::Mistake {
                is_too_many: true,
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(|event| asked(event)).count(), 2);
}

#[test]
fn messages() {
    let mut small = config();
    small.limits.message = 10;
    small.limits.discard = 30;
    let outcome = run(
        &mut session(small.clone()),
        format!("{UP_TO_DATA}12345678\r\n.\r\n").as_bytes(),
    );
    assert_eq!(outcome.codes[5..], [250]);
    let outcome = run(
        &mut session(small.clone()),
        format!("{UP_TO_DATA}123456789\r\n.\r\nNOOP\r\n").as_bytes(),
    );
    assert_eq!(outcome.codes[5..], [552, 250]);
    assert_eq!((outcome.messages.len(), outcome.aborted), (0, 1));
    let flood = format!("{UP_TO_DATA}{}", "x\r\n".repeat(20));
    let outcome = run(&mut session(small.clone()), flood.as_bytes());
    assert_eq!(
        (outcome.codes[5], outcome.end.as_str(), outcome.aborted),
        (421, "TooMuchToDiscard", 1)
    );
    let outcome = run(
        &mut session(small),
        b"EHLO c.example\r\nMAIL FROM:<a@b> SIZE=11\r\nMAIL FROM:<a@b> SIZE=10\r\n",
    );
    assert_eq!(outcome.codes[2..], [552, 250]);
}

#[test]
fn recipients() {
    let mut few = config();
    few.limits.recipients = 2;
    let input = format!(
        "EHLO c.example\r\nMAIL FROM:<a@b>\r\n{}DATA\r\n.\r\n",
        "RCPT TO:<a@b>\r\n".repeat(3)
    );
    let outcome = run(&mut session(few), input.as_bytes());
    assert_eq!(outcome.codes[2..], [250, 250, 250, 452, 354, 250]);
}

#[test]
fn another_protocol() {
    for input in [
        &b"GET / HTTP/1.1\r\nEHLO c.example\r\n"[..],
        b"POST / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
    ] {
        let outcome = run(&mut session(config()), input);
        assert_eq!(outcome.end, "CrossProtocol");
    }
}

/// RFC 5321 §3.1: after 554 only QUIT is obeyed.
#[test]
fn turned_away() {
    let mut session = session(config());
    session
        .input()
        .extend_from_slice(b"EHLO c.example\r\nMAIL FROM:<a@b>\r\nQUIT\r\n");
    loop {
        match session.poll(Time::START).unwrap() {
            Step::Event(Event::Connected(pending)) => {
                session
                    .reject(pending, reply(554, "5.7.1", "Not you"))
                    .unwrap();
            }
            Step::Event(Event::Mistake { .. }) => {}
            step => break assert!(matches!(step, Step::Closed), "{step:?}"),
        }
    }
    assert_eq!(codes(session.output()), [554, 503, 503, 221]);
}

#[test]
fn shutting_down() {
    let mut session = session(config());
    session
        .input()
        .extend_from_slice(b"EHLO c.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nNOOP\r\n");
    let mut aborted = 0;
    loop {
        match session.poll(Time::START).unwrap() {
            Step::Event(Event::Rcpt { pending, .. }) => {
                session
                    .reject(pending, reply(421, "4.3.2", "Shutting down"))
                    .unwrap();
            }
            Step::Event(Event::Aborted(Abort::Ended)) => aborted += 1,
            Step::Event(event) => answer(&mut session, event),
            step => break assert!(matches!(step, Step::Closed), "{step:?}"),
        }
    }
    assert_eq!(
        (codes(session.output()), aborted),
        (vec![220, 250, 250, 421], 1)
    );
}

/// A client that trickles does not live longer than one that is silent.
#[test]
fn a_slow_command() {
    let mut session = session(config());
    let _ = settle(&mut session, at(0));
    for second in (0..300).step_by(10) {
        session.input().extend_from_slice(b"N");
        assert!(matches!(
            settle(&mut session, at(second)).1,
            Ok(Step::NeedInput)
        ));
        assert_eq!(session.deadline(), Some(at(300)));
    }
    assert_eq!(settle(&mut session, at(300)).1.err(), Some(Error::Timeout));
    assert_eq!(codes(session.output()), [220, 421]);
    assert!(matches!(session.poll(at(301)), Ok(Step::Closed)));
    assert_eq!(session.deadline(), None);
}

#[test]
fn a_slow_message() {
    let mut session = session(config());
    session.input().extend_from_slice(UP_TO_DATA.as_bytes());
    let _ = settle(&mut session, at(0));
    let mut now = 0;
    let (events, step) = loop {
        now += 200;
        session.input().extend_from_slice(b"x\r\n");
        let (events, step) = settle(&mut session, at(now));
        if step.is_err() {
            break (events, step);
        }
    };
    assert_eq!((step.err(), now), (Some(Error::Timeout), 3_600));
    assert!(matches!(events[..], [Event::Aborted(Abort::Ended)]));
}

#[test]
fn a_silent_application() {
    let mut session = session(config());
    let Ok(Step::Event(Event::Connected(pending))) = session.poll(at(0)) else {
        panic!("no greeting");
    };
    assert!(matches!(
        session.poll(at(299)),
        Ok(Step::NeedAnswer("Connected"))
    ));
    assert_eq!(session.poll(at(300)).err(), Some(Error::Unanswered));
    assert!(session.accept(pending).is_err(), "too late");
    assert_eq!(codes(session.output()), [421]);
}

/// A connection that ends in the middle delivers nothing, and half a command is none.
#[test]
fn cut_off() {
    for (input, aborted) in [
        (format!("{UP_TO_DATA}x\r\n.\r"), 1),
        (format!("{}BDAT 3 LAST\r\nab", common::UP_TO_RCPT), 1),
        ("EHLO c.example\r\nMAIL FROM:<a@b>".to_owned(), 0),
    ] {
        for how in [End::Clean, End::Cut] {
            let mut session = session(config());
            session.input().extend_from_slice(input.as_bytes());
            session.end_of_input(how);
            let (events, step) = settle(&mut session, at(0));
            assert!(matches!(step, Ok(Step::Closed)));
            assert_eq!(events.len(), aborted, "{input}");
            assert!(session.envelope().is_none());
        }
    }
}

#[test]
fn an_idle_session_is_small() {
    let mut session = session(config());
    session.input().extend_from_slice(b"EHLO c.example\r\n");
    let _ = settle(&mut session, at(0));
    session.output().clear();
    assert_eq!(session.input().capacity(), 0);
    let size = core::mem::size_of::<Session>();
    assert!(size <= 1_024, "{size} octets");
}
