//! What one answer of a list says, before any list's codes are applied.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use mail_dns::{Answer, Failure, Record};

/// An answer to the question for an entry's A record.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    None,
    Codes(Vec<Ipv4Addr>),
    Error(Ipv4Addr),
    NotAList(Ipv4Addr),
    Failed(Failure),
}

impl Entry {
    /// Reads an answer; the order of its records changes nothing, and of more than `limit` codes the least are kept.
    pub(super) fn read(answer: &Answer, limit: usize) -> Self {
        let records = match answer.outcome() {
            Ok(records) => records,
            Err(failure) => return Self::Failed(failure),
        };
        let mut codes = BTreeSet::new();
        let (mut error, mut foreign) = (None, None);
        for record in records {
            let Record::A(address) = record else { continue };
            match address.octets() {
                [127, 255, 255, _] => error = error.max(Some(*address)),
                [127, ..] => {
                    codes.insert(*address);
                    if codes.len() > limit {
                        codes.pop_last();
                    }
                }
                // RFC 6471 §3.3: "or any query returns an A record outside of 127.0.0.0/8, the DNSBL should be considered
                // non-functional."
                _ => foreign = foreign.max(Some(*address)),
            }
        }
        match (foreign, error, codes.is_empty()) {
            (Some(address), ..) => Self::NotAList(address),
            (None, Some(code), _) => Self::Error(code),
            (None, None, false) => Self::Codes(codes.into_iter().collect()),
            (None, None, true) => Self::None,
        }
    }
}

/// The first text of an answer, made harmless: it may end in a reply or a log.
pub(super) fn reason(answer: &Answer, limit: usize) -> Option<String> {
    answer.records().iter().find_map(|record| match record {
        Record::Txt(text) => {
            let printable = |octet: &u8| match octet {
                b' '..=b'~' => char::from(*octet),
                _ => '?',
            };
            Some(text.joined().iter().take(limit).map(printable).collect())
        }
        _ => None,
    })
}
