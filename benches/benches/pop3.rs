//! POP3: a session of commands, against cutting its lines.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;
use std::sync::Arc;

use benches::{cut_lines, group};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail_wire::{Secret, Session as _, Step, Time};
use pop3_proto::maildrop::Message;
use pop3_proto::server::{Config, Event, Session};
use sasl_core::server::{Question, ServerConfig};
use sasl_core::{Entropy, PlaintextPolicy};

fn serve(config: &Arc<Config>, input: &[u8]) -> usize {
    let mut session = Session::new(Arc::clone(config), Entropy::new([0; 32]));
    let mut pieces = input.chunks(16 * 1024);
    let mut sent = 0;
    loop {
        let step = session.poll(Time::START).unwrap();
        match step {
            Step::Event(Event::Connected(pending)) => session.greet(pending, "ready").unwrap(),
            Step::Event(Event::Auth { question, pending }) => match question {
                Question::CheckPassword { .. } => session.password(pending, true).unwrap(),
                _ => session.authorized(pending, true).unwrap(),
            },
            Step::Event(Event::OpenMaildrop { pending, .. }) => {
                let messages = vec![
                    Message::new(120, "a".parse().unwrap()),
                    Message::new(200, "b".parse().unwrap()),
                ];
                session.maildrop(pending, messages).unwrap();
            }
            Step::Event(Event::Update { pending, .. }) => session.updated(pending).unwrap(),
            Step::Event(Event::Authenticated { .. }) => {}
            Step::NeedInput => {
                let output = session.output().split();
                sent += output.len();
                // What was sent made room.
                if output.is_empty() {
                    session.input().extend_from_slice(pieces.next().unwrap());
                }
            }
            Step::Closed => return sent + session.output().len(),
            other => panic!("{other:?}"),
        }
    }
}

fn pop3(criterion: &mut Criterion) {
    let mut sasl = ServerConfig::new(Secret::new([1; 32]));
    sasl.plaintext = PlaintextPolicy::Always;
    let config = Arc::new(Config::new(sasl));
    let commands = format!(
        "USER mrose\r\nPASS tanstaaf\r\n{}QUIT\r\n",
        "STAT\r\nLIST 1\r\nUIDL 2\r\nNOOP\r\n".repeat(100)
    );
    let mut group = group(criterion, "pop3/403 commands");
    group.throughput(Throughput::Elements(403));
    group.bench_function("session", |bencher| {
        bencher.iter(|| serve(&config, black_box(commands.as_bytes())));
    });
    group.bench_function("limit: lines by memchr", |bencher| {
        bencher.iter(|| cut_lines(black_box(commands.as_bytes())));
    });
    group.finish();
}

criterion_group!(benches, pop3);
criterion_main!(benches);
