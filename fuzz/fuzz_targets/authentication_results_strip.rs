//! `fuzz_bodies::authentication_results_strip` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::authentication_results_strip(data));
