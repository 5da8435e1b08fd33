//! What the fuzz targets assert, as plain functions: run by libFuzzer, and over their corpora by `cargo test`.
//!
//! Each function takes any octets and panics where a law is broken; that nothing else panics is the least of them. The seeds, plain
//! text of the protocols, stand in `fuzz/corpus/`, in a folder for each function.
//!
//! | function | law |
//! |---|---|
//! | [`smtp_server_split`], [`imap_server_split`], [`pop3_server_split`] | the same octets give the same events, output and end however they are cut; what a session holds while it waits for input is bounded |
//! | [`imap_response_roundtrip`], [`spf_record_roundtrip`], [`dmarc_record_roundtrip`], [`authentication_results_roundtrip`] | what was parsed is printed as text that parses to the same |
//! | [`spf_check_host`] | one verdict in any order of answers, with look-ahead and with a trace; each question once, and no more than allowed |
//! | [`sasl_server_exchange`] | nobody succeeds without the secret |
//! | [`dkim_verify_split`] | one verdict however a message is cut; no signature passes but those that the key's owner made |
//! | [`arc_chain`] | what is sealed validates, a chain that failed stays so; one verdict in any pieces and order of operations |
//! | [`dkim_sign_verify_ops`] | what is signed verifies, in any pieces and order of calls; a changed body does not |
//! | [`dkim_key_record`] | key records and signatures are printed as text that reads the same |
//! | [`message_auth_split`] | one verdict however a message is cut; each question once, and no more than allowed; DMARC passes by an aligned identifier only |
//! | [`dmarc_evaluation`] | one verdict in every order of answers; each question once, and no more than allowed |
//! | [`mail_syntax_mime_tree`] | the parts are a tree of nested ranges; a body is decoded alike in any pieces |
//! | [`screening_dnsbl_answers`] | whatever lists answer, in any order: one verdict; only codes count, and only a test turns a list on or off |
//! | [`screening_score`] | points add up; log line, header field and replies are lines of printable ASCII |
//! | [`dmarc_aggregate_report`], [`dmarc_failure_report`] | rows are lent as they are collected; what is read is bounded, and written so that it reads the same |
//! | [`dmarc_aggregate_report`], [`dmarc_failure_report`], [`feedback_report`] | rows are lent as they are collected; what is read is bounded, and written so that it reads the same |
//! | [`spf_received_spf`] | what was read is printed as text that reads the same |
//! | [`mail_syntax_from_author`] | a list is printed as one with the same authors; nobody is an author whom it does not name |
//! | [`authentication_results_strip`] | no field that bears our name is left, however it is read; all else is |
//! | [`mail_dns_master_file`] | a zone is read or refused at one of its lines; its records print as what reads the same |
//! | [`dkim_diagnosis`] | it has the verifier's results, and finds nothing wrong with what passes |
//! | [`screening_asn_origin`] | whatever texts an entry has, in any order: one origin, of the longest prefix, with few numbers |
//! | [`screening_greylist_ops`] | who comes again when told to passes, however the clock jumped before; nobody else does; the table is bounded |

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a law that is broken is told by panic"
)]

mod arc;
mod authentication;
mod dkim;
mod dmarc;
mod fields;
mod greylist;
mod imap;
mod mime;
mod pieces;
mod pop3;
mod records;
mod reports;
mod sasl;
mod screening;
mod smtp;
mod spf;

pub use self::dkim::{dkim_key_record, dkim_sign_verify_ops};
pub use self::dmarc::dmarc_evaluation;
pub use self::screening::{screening_asn_origin, screening_dnsbl_answers, screening_score};
pub use self::spf::spf_check_host;
pub use arc::arc_chain;
pub use authentication::{dkim_verify_split, message_auth_split};
pub use fields::{
    authentication_results_strip, dkim_diagnosis, mail_dns_master_file, mail_syntax_from_author,
    spf_received_spf,
};
pub use greylist::screening_greylist_ops;
pub use imap::{imap_response_roundtrip, imap_server_split};
pub use mime::mail_syntax_mime_tree;
pub use pop3::pop3_server_split;
pub use records::{authentication_results_roundtrip, dmarc_record_roundtrip, spf_record_roundtrip};
pub use reports::{dmarc_aggregate_report, dmarc_failure_report, feedback_report};
pub use sasl::sasl_server_exchange;
pub use smtp::smtp_server_split;
pub use testkit::Random;

/// A target: its name, which is that of its folder in `fuzz/corpus`, and what it asserts.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 28] = [
    ("smtp_server_split", smtp_server_split),
    ("imap_server_split", imap_server_split),
    ("imap_response_roundtrip", imap_response_roundtrip),
    ("pop3_server_split", pop3_server_split),
    ("sasl_server_exchange", sasl_server_exchange),
    ("spf_record_roundtrip", spf_record_roundtrip),
    ("spf_check_host", spf_check_host),
    ("dkim_verify_split", dkim_verify_split),
    ("arc_chain", arc_chain),
    ("dkim_sign_verify_ops", dkim_sign_verify_ops),
    ("dkim_key_record", dkim_key_record),
    ("dmarc_record_roundtrip", dmarc_record_roundtrip),
    (
        "authentication_results_roundtrip",
        authentication_results_roundtrip,
    ),
    ("message_auth_split", message_auth_split),
    ("mail_syntax_mime_tree", mail_syntax_mime_tree),
    ("dmarc_aggregate_report", dmarc_aggregate_report),
    ("dmarc_failure_report", dmarc_failure_report),
    ("screening_dnsbl_answers", screening_dnsbl_answers),
    ("screening_score", screening_score),
    ("feedback_report", feedback_report),
    ("screening_asn_origin", screening_asn_origin),
    ("screening_greylist_ops", screening_greylist_ops),
    ("dmarc_evaluation", dmarc_evaluation),
    ("spf_received_spf", spf_received_spf),
    ("mail_syntax_from_author", mail_syntax_from_author),
    ("authentication_results_strip", authentication_results_strip),
    ("mail_dns_master_file", mail_dns_master_file),
    ("dkim_diagnosis", dkim_diagnosis),
];
