//! `fuzz_bodies::spf_received_spf` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::spf_received_spf(data));
