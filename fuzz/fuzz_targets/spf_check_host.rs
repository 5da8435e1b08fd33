//! `fuzz_bodies::spf_check_host` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::spf_check_host(data));
