//! PIPELINING (RFC 2920), and the order of commands (RFC 5321 §4.1.4) against a small model.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{answer, codes, config, reply, run, session};
use mail_wire::{Session as _, Step, Time};
use proptest::prelude::*;
use smtp_proto::server::{AnswerError, Event};

/// Replies come in the order of the commands, and nothing goes on past an answer that is owed.
#[test]
fn an_owed_answer_holds_the_rest() {
    let mut session = session(config());
    session.input().extend_from_slice(
        b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nNOOP\r\n",
    );
    let pending = loop {
        match session.poll(Time::START).unwrap() {
            Step::Event(Event::Rcpt { pending, .. }) => break pending,
            Step::Event(event) => answer(&mut session, event),
            step => panic!("{step:?}"),
        }
    };
    session.output().clear();
    for _ in 0..3 {
        assert!(matches!(
            session.poll(Time::START),
            Ok(Step::NeedAnswer("Rcpt"))
        ));
        assert!(session.output().is_empty() && !session.wants_input());
    }
    session
        .reject(pending, reply(450, "4.2.1", "Later"))
        .unwrap();
    assert!(matches!(session.poll(Time::START), Ok(Step::NeedInput)));
    assert_eq!(codes(session.output()), [450, 250]);
}

/// A group whose MAIL is refused: each command after it is refused too, and no message is taken (RFC 2920 §3.1).
#[test]
fn a_group_after_a_refused_mail() {
    let outcome = run(
        &mut session(config()),
        b"EHLO c.example\r\nMAIL FROM:<spam@c.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\nNOOP\r\n",
    );
    assert_eq!(outcome.codes, [220, 250, 550, 503, 503, 250]);
    let outcome = run(
        &mut session(config()),
        b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<nobody@mx.example>\r\nDATA\r\nRCPT TO:<b@mx.example>\r\n",
    );
    assert_eq!(
        outcome.codes,
        [220, 250, 250, 550, 554, 250],
        "a refused RCPT leaves the transaction open"
    );
}

#[test]
fn two_messages_in_one_go() {
    let message = "MAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n.\r\n";
    let outcome = run(
        &mut session(config()),
        format!("EHLO c.example\r\n{message}{message}QUIT\r\nNOOP\r\n").as_bytes(),
    );
    assert_eq!(
        outcome.codes,
        [220, 250, 250, 250, 354, 250, 250, 250, 354, 250, 221]
    );
    assert_eq!(
        (outcome.messages.len(), outcome.end.as_str()),
        (2, "Closed")
    );
}

#[test]
fn answers_that_are_not_fit() {
    let (mut one, mut other) = (session(config()), session(config()));
    let connected = |session: &mut smtp_proto::server::Session| match session.poll(Time::START) {
        Ok(Step::Event(Event::Connected(pending))) => pending,
        step => panic!("{step:?}"),
    };
    let (here, there) = (connected(&mut one), connected(&mut other));
    assert!(one.accept(there).is_err());
    assert!(one.output().is_empty());
    let wrong = one.reject(here, reply(250, "2.0.0", "OK"));
    assert_eq!(wrong, Err(AnswerError::WrongClass(250)));
    assert_eq!(codes(one.output()), [451]);
}

/// What RFC 5321 §4.1.4 says of the order, and nothing else.
#[derive(Default)]
struct Model {
    greeted: bool,
    transaction: Option<usize>,
}

impl Model {
    fn codes(&mut self, command: &str) -> Vec<u16> {
        let verb = command.split([' ', '\r']).next().unwrap();
        match (verb, self.transaction) {
            ("EHLO", _) => {
                (self.greeted, self.transaction) = (true, None);
                vec![250]
            }
            ("RSET", _) => {
                self.transaction = None;
                vec![250]
            }
            ("NOOP", _) => vec![250],
            ("VRFY", _) => vec![252],
            ("EXPN", _) => vec![502],
            ("JUNK", _) => vec![500],
            ("MAIL", Some(_)) => vec![503],
            ("MAIL", None) if !self.greeted => vec![503],
            ("MAIL", None) if command.contains("spam") => vec![550],
            ("MAIL", None) => {
                self.transaction = Some(0);
                vec![250]
            }
            ("RCPT" | "DATA" | "BDAT", None) => vec![503],
            ("RCPT", Some(_)) if command.contains("nobody") => vec![550],
            ("RCPT", Some(count)) => {
                self.transaction = Some(count + 1);
                vec![250]
            }
            ("DATA", Some(0)) => vec![554],
            ("BDAT", Some(0)) => {
                self.transaction = None;
                vec![554]
            }
            ("DATA", Some(_)) => {
                self.transaction = None;
                vec![354, 250]
            }
            ("BDAT", Some(_)) => {
                self.transaction = None;
                vec![250]
            }
            other => panic!("{other:?}"),
        }
    }

    fn has_message(&self) -> bool {
        self.transaction.is_some_and(|recipients| recipients > 0)
    }
}

const COMMANDS: [&str; 12] = [
    "EHLO c.example\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "VRFY x\r\n",
    "EXPN x\r\n",
    "JUNK\r\n",
    "MAIL FROM:<a@c.example>\r\n",
    "MAIL FROM:<spam@c.example>\r\n",
    "RCPT TO:<b@mx.example>\r\n",
    "RCPT TO:<nobody@mx.example>\r\n",
    "DATA\r\n",
    "BDAT 6 LAST\r\nNOOP\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever the order of commands, the session says what the model says; messages are never taken out of it.
    #[test]
    fn order_of_commands(choice in proptest::collection::vec(0..COMMANDS.len(), 0..40)) {
        let (mut model, mut input, mut expected, mut messages) = (Model::default(), String::new(), vec![220], 0);
        for index in choice {
            let command = COMMANDS[index];
            input.push_str(command);
            let is_message = model.has_message();
            if is_message && command.starts_with("DATA") {
                input.push_str("x\r\n.\r\n");
            }
            messages += usize::from(is_message && (command.starts_with("DATA") || command.starts_with("BDAT")));
            expected.extend(model.codes(command));
        }
        let mut config = config();
        config.limits.hard_errors = 1_000;
        let mut session = session(config);
        let outcome = run(&mut session, input.as_bytes());
        prop_assert_eq!(outcome.codes, expected);
        prop_assert_eq!(outcome.messages.len(), messages);
        prop_assert_eq!(session.envelope().map(|envelope| envelope.recipients.len()), model.transaction);
    }
}
