//! `fuzz_bodies::mail_syntax_from_author` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::mail_syntax_from_author(data));
