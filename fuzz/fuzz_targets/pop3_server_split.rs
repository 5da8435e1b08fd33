//! `fuzz_bodies::pop3_server_split` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::pop3_server_split(data));
