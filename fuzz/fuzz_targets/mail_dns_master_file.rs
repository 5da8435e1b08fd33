//! `fuzz_bodies::mail_dns_master_file` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::mail_dns_master_file(data));
