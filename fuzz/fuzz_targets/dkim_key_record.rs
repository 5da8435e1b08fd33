//! `fuzz_bodies::dkim_key_record` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::dkim_key_record(data));
