//! Twice the input costs about twice the time, for inputs made to be costly.
#![allow(missing_docs, clippy::disallowed_types, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mail_syntax::address_list::AuthorDomains;
use mail_syntax::authentication_results::claims_to_be;
use mail_syntax::folding::fold;
use mail_syntax::header::{Header, Limits};
use mail_syntax::mime::{self, ContentType, MimeTree};
use mail_syntax::tag_list::TagList;

/// What is measured, by what, and an input: its start, and what is repeated behind it.
type Case<'a> = (&'a str, &'a dyn Fn(&[u8]), &'a str, &'a str);

/// The shortest of three runs.
fn cost(run: &dyn Fn(&[u8]), input: &[u8]) -> Duration {
    let once = |_| {
        let start = Instant::now();
        run(black_box(input));
        start.elapsed()
    };
    (0..3).map(once).min().unwrap_or_default()
}

#[test]
fn cost_grows_with_the_input() {
    let author = |input: &[u8]| {
        black_box(AuthorDomains::of_from(input));
    };
    let results = |input: &[u8]| {
        black_box(claims_to_be(input, "mx.example.org"));
    };
    let header = |input: &[u8]| {
        let _ = black_box(Header::split(input, &Limits::default()));
    };
    let tree = |input: &[u8]| {
        black_box(MimeTree::parse(input, &mime::Limits::default()));
    };
    let kind = |input: &[u8]| {
        black_box(ContentType::parse(input));
    };
    let tags = |input: &[u8]| {
        let _ = black_box(TagList::parse(input));
    };
    let words = |input: &[u8]| {
        black_box(mime::decode_words(&String::from_utf8_lossy(input)));
    };
    let fold = |input: &[u8]| {
        let _ = black_box(fold("X", &String::from_utf8_lossy(input)));
    };
    let cases: &[Case<'_>] = &[
        ("addresses", &author, "", "a@b,"),
        ("domains", &author, "", "a@b.c,,"),
        ("words of a phrase", &author, "", "a "),
        ("comments", &author, "", "(a)"),
        ("open comments", &author, "", "(a"),
        ("labels", &author, "a@", "a."),
        ("results", &results, "x", ";a=b"),
        ("properties", &results, "x;a=b", " c.d=e"),
        ("open quotes", &results, "x;a=", "\"\\\""),
        ("fields", &header, "", "a:\r\n"),
        ("bare CRs", &header, "a:", "\r"),
        ("NULs", &header, "a:", "\0"),
        (
            "parts",
            &tree,
            "Content-Type: multipart/x; boundary=b\r\n\r\n",
            "--b\r\n",
        ),
        (
            "parts with headers",
            &tree,
            "Content-Type: multipart/x; boundary=b\r\n\r\n",
            "--b\r\na:\r\n\r\n",
        ),
        (
            "nested",
            &tree,
            "",
            "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n",
        ),
        (
            "messages",
            &tree,
            "",
            "Content-Type: message/rfc822\r\n\r\n",
        ),
        ("bare LFs", &tree, "\r\n", "\n"),
        ("parameters", &kind, "a/b", ";c=d"),
        ("open parameters", &kind, "a/b", ";c=\"("),
        ("tags", &tags, "", "a=b;"),
        ("encoded words", &words, "", "=?utf-8?q?a?= "),
        ("open words", &words, "", "=?utf-8?q?"),
        ("escaped quotes", &fold, "\"", "\\\" "),
    ];
    for (name, run, start, repeated) in cases {
        let input = |octets: usize| {
            [
                start.as_bytes(),
                &repeated.as_bytes().repeat(octets / repeated.len()),
            ]
            .concat()
        };
        let (small, large) = (cost(run, &input(100_000)), cost(run, &input(800_000)));
        // Eight times the input may cost thrice as much as eight times the time: a busy machine is not quadratic (64 times).
        assert!(
            large < small * 24 + Duration::from_millis(5),
            "{name}: {small:?} for 100 kB, {large:?} for 800 kB"
        );
    }
}
