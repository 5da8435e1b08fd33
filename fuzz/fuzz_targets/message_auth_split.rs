//! `fuzz_bodies::message_auth_split` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::message_auth_split(data));
