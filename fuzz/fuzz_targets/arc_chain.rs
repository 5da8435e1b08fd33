//! `fuzz_bodies::arc_chain` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::arc_chain(data));
