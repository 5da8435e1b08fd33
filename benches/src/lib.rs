//! Figures: what each protocol costs, beside the limit of the machine.
//!
//! Each bench measures a crate and, in the same run and group, the least that its work can cost on this machine: a memchr for the ends of
//! lines, a bare hash, a bare verification. Read them as ratios; nothing here fails for being slow.

pub mod aggregate_report;

use core::hint::black_box;
use core::time::Duration;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};

/// Short runs: 20 samples over a second.
pub fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    group
}

/// A plain-text message of about so many octets, from joe@example.com.
#[must_use]
pub fn message(octets: usize) -> Vec<u8> {
    let mut message = b"From: Joe <joe@example.com>\r\nTo: Amy <amy@example.org>\r\nSubject: dinner\r\n\
        Date: Fri, 11 Jul 2025 21:00:37 -0700\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n"
        .to_vec();
    while message.len() < octets {
        message.extend_from_slice(b"We lost the game.  Are you hungry yet?  Then come to us at eight, and bring a friend.\r\n");
    }
    message
}

/// The least that a protocol of lines can cost: finds each line by memchr and looks at it no further.
pub fn cut_lines(octets: &[u8]) {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', octets) {
        black_box(octets.get(start..end));
        start = end + 1;
    }
}
