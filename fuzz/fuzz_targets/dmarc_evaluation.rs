//! `fuzz_bodies::dmarc_evaluation` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::dmarc_evaluation(data));
