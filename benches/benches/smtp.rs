//! SMTP: a session of commands against cutting its lines, and a message by DATA against looking for its end.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;
use std::sync::Arc;

use benches::{cut_lines, group, message};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail_wire::{Session as _, Step, Time};
use sasl_core::Entropy;
use smtp_proto::server::{Config, Event, Session};

/// Runs a whole session; how many octets of messages came.
fn serve(config: &Arc<Config>, input: &[u8]) -> usize {
    let mut session = Session::new(Arc::clone(config), Entropy::new([0; 32]));
    let mut octets = 0;
    let mut pieces = input.chunks(16 * 1024);
    loop {
        match session.poll(Time::START).unwrap() {
            Step::Event(event) => match event {
                Event::Connected(pending) => session.accept(pending).unwrap(),
                Event::Hello { pending, .. } => session.accept(pending).unwrap(),
                Event::Mail { pending, .. } => session.accept(pending).unwrap(),
                Event::Rcpt { pending, .. } => session.accept(pending).unwrap(),
                Event::Data(pending) => session.accept(pending).unwrap(),
                Event::EndOfData { pending, .. } => session.accept(pending).unwrap(),
                Event::Body(body) => octets += body.len(),
                Event::Aborted(_) => {}
                other => panic!("{other:?}"),
            },
            Step::NeedInput => session.input().extend_from_slice(pieces.next().unwrap()),
            Step::Closed => return octets,
            other => panic!("{other:?}"),
        }
        if session.output().len() > 4_096 {
            session.output().clear();
        }
    }
}

fn smtp(criterion: &mut Criterion) {
    let config = Arc::new(Config::new("mx.example".parse().unwrap()));

    let mut commands = "EHLO client.example\r\n".to_owned();
    for _ in 0..100 {
        commands += "MAIL FROM:<joe@client.example> SIZE=1000\r\nRCPT TO:<amy@mx.example>\r\nRCPT TO:<bob@mx.example>\r\nRSET\r\n";
    }
    commands += "QUIT\r\n";
    let mut commands_group = group(criterion, "smtp/402 commands");
    commands_group.throughput(Throughput::Elements(402));
    commands_group.bench_function("session", |bencher| {
        bencher.iter(|| serve(&config, black_box(commands.as_bytes())));
    });
    commands_group.bench_function("limit: lines by memchr", |bencher| {
        bencher.iter(|| cut_lines(black_box(commands.as_bytes())));
    });
    commands_group.finish();

    let body = message(50 * 1024);
    let head = b"EHLO client.example\r\nMAIL FROM:<joe@client.example>\r\nRCPT TO:<amy@mx.example>\r\nDATA\r\n";
    let input = [&head[..], &body, b".\r\nQUIT\r\n"].concat();
    assert_eq!(serve(&config, &input), body.len());
    let mut group = group(criterion, "smtp/DATA of 50 KiB");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("session", |bencher| {
        bencher.iter(|| serve(&config, black_box(&input)));
    });
    let end = memchr::memmem::Finder::new(b"\r\n.\r\n");
    group.bench_function("limit: memmem for the end, one copy", |bencher| {
        bencher.iter(|| {
            let input = black_box(&input[..]).to_vec();
            end.find(&input)
        });
    });
    group.finish();
}

criterion_group!(benches, smtp);
criterion_main!(benches);
