//! IMAP: commands and responses through the codec, against cutting their lines.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use benches::{cut_lines, group};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use imap_proto::{parse_command, parse_response};

const COMMANDS: &str = "a1 NOOP\r\na2 SELECT \"Sent Items\"\r\na3 UID FETCH 4827313:4828442 (FLAGS UID BODY.PEEK[HEADER.FIELDS (DATE FROM)])\r\n\
    a4 UID STORE 1:5,9,12 +FLAGS.SILENT (\\Seen $Forwarded)\r\na5 UID SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"\r\n\
    a6 LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")\r\na7 STATUS blurdybloop (UIDNEXT MESSAGES)\r\na8 UID MOVE 3:7 Trash\r\n";

const RESPONSES: &str = "* 172 EXISTS\r\n* 12 FETCH (FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) NIL NIL ((NIL NIL \"imap\" \"cac.washington.edu\")) NIL NIL NIL \"<B27397-0100000@cac.washington.ed>\"))\r\n\
    * LIST (\\HasNoChildren) \"/\" \"foo\"\r\n* ESEARCH (TAG \"a5\") UID MIN 7 COUNT 2\r\na5 OK SEARCH completed\r\n";

fn imap(criterion: &mut Criterion) {
    let commands = COMMANDS.repeat(50);
    let mut commands_group = group(criterion, "imap/400 commands");
    commands_group.throughput(Throughput::Elements(400));
    commands_group.bench_function("parse_command", |bencher| {
        bencher.iter(|| {
            for line in black_box(&commands).split_terminator("\r\n") {
                black_box(parse_command(line.as_bytes(), false).unwrap());
            }
        });
    });
    commands_group.bench_function("limit: lines by memchr", |bencher| {
        bencher.iter(|| cut_lines(black_box(commands.as_bytes())));
    });
    commands_group.finish();

    let responses = RESPONSES.repeat(80);
    let mut group = group(criterion, "imap/400 responses");
    group.throughput(Throughput::Elements(400));
    group.bench_function("parse_response", |bencher| {
        bencher.iter(|| {
            for line in black_box(&responses).split_terminator("\r\n") {
                black_box(parse_response(line.as_bytes(), false).unwrap());
            }
        });
    });
    group.bench_function("limit: lines by memchr", |bencher| {
        bencher.iter(|| cut_lines(black_box(responses.as_bytes())));
    });
    group.finish();
}

criterion_group!(benches, imap);
criterion_main!(benches);
