//! Each target over its corpus, and over 1,000 inputs made of it by small changes: seeded, so the same at each run.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use fuzz_bodies::{Random, TARGETS};

/// The files of a corpus in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// Octets that parsers care about.
const SPECIAL: &[u8] = b"\0\r\n\t \"\\(){}[]<>@:;,.=+*%$-/~\x7f\x80\xc3\xa9\xff09aZ";

fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(24)).min(input.len());
        match random.below(7) {
            0 => drop(input.drain(at..end)),
            1 => input.truncate(at),
            2 => input.insert(at, SPECIAL[random.below(SPECIAL.len())]),
            3 => {
                if let Some(octet) = input.get_mut(at) {
                    *octet ^= 1 << random.below(8);
                }
            }
            4 => {
                let again = input[at..end].repeat(1 + random.below(40));
                input.splice(at..at, again);
            }
            5 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(80)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                if let Some(octet) = input.get_mut(at) {
                    *octet = SPECIAL[random.below(SPECIAL.len())];
                }
            }
        }
    }
    input
}

fn run(name: &str) {
    let (_, body) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let seeds = corpus(name);
    assert!(!seeds.is_empty());
    let told = |input: &[u8], which: String| {
        let run = std::panic::catch_unwind(|| body(input));
        assert!(run.is_ok(), "{name}, {which}: {}", input.escape_ascii());
    };
    for (number, seed) in seeds.iter().enumerate() {
        told(seed, format!("seed {number}"));
    }
    let mut random = Random::new(1);
    for number in 0..1_000 {
        told(&changed(&seeds, &mut random), format!("input {number}"));
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_target_has_a_test_and_a_fuzz_target() {
            let names = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), names);
            for name in names {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz_targets").join(name).with_extension("rs");
                let text = std::fs::read_to_string(file).unwrap();
                assert!(text.contains(&format!("fuzz_bodies::{name}(")), "{name}");
            }
        }
    };
}

tests! {
    smtp_server_split imap_server_split imap_response_roundtrip pop3_server_split sasl_server_exchange spf_record_roundtrip
    spf_check_host dkim_verify_split arc_chain dkim_sign_verify_ops dkim_key_record dmarc_record_roundtrip
    authentication_results_roundtrip message_auth_split mail_syntax_mime_tree dmarc_aggregate_report dmarc_failure_report
    screening_dnsbl_answers screening_score feedback_report screening_asn_origin screening_greylist_ops dmarc_evaluation
    spf_received_spf mail_syntax_from_author authentication_results_strip mail_dns_master_file dkim_diagnosis
}
