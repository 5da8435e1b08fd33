//! `fuzz_bodies::dmarc_failure_report` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::dmarc_failure_report(data));
