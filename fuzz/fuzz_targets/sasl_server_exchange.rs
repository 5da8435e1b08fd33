//! `fuzz_bodies::sasl_server_exchange` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::sasl_server_exchange(data));
