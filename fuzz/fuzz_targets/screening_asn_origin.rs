//! `fuzz_bodies::screening_asn_origin` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::screening_asn_origin(data));
