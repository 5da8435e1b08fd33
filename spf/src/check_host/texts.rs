//! The records that an evaluation has read.

use std::net::IpAddr;

use mail_dns::{Answer, Data, Name, Record};

use super::mechanisms::passes_over;
use crate::config::Limits;
use crate::record::{TermRef, is_spf_record, read};
use crate::verdict::Cause;

/// The texts of the records, one behind the other. Each was checked as a whole; its terms are read where they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(Vec<u8>);

/// Where one of the texts stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    start: usize,
    end: usize,
    /// Of the record the octet of the term to begin with.
    pub(super) first: usize,
}

impl Texts {
    /// Room for a record and those of a few `include`s, so that it seldom grows.
    const ROOM: usize = 1024;

    fn add(&mut self, text: &[u8], first: usize) -> Text {
        self.0
            .reserve(text.len().max(Self::ROOM - self.0.len().min(Self::ROOM)));
        let start = self.0.len();
        self.0.extend_from_slice(text);
        let end = self.0.len();
        Text { start, end, first }
    }

    pub(super) fn text(&self, of: Text) -> &[u8] {
        self.0.get(of.start..of.end).unwrap_or_default()
    }
}

/// RFC 7208 §4.5: the one SPF record in the answer for this domain.
pub(super) fn read_record(
    answer: &Answer,
    domain: &Name,
    limits: &Limits,
    ip: Option<IpAddr>,
    texts: &mut Texts,
) -> Result<Text, Cause> {
    let strings = answer.records().iter().filter_map(|record| match record {
        Record::Txt(text) => Some(text.joined()),
        _ => None,
    });
    // RFC 7208 §4.5: "discard records that do not begin with a version section of exactly "v=spf1"."
    let mut records = strings.filter(|text| is_spf_record(text));
    let (record, second) = (records.next(), records.next());
    let domain = || domain.clone();
    // Most terms of most records are networks. Those before the first other term are done with as they are read.
    let mut first = None;
    let begin = |at, term: TermRef<'_>| {
        if first.is_none() && !ip.is_some_and(|ip| passes_over(ip, &term)) {
            first = Some(at);
        }
    };
    match (record, second) {
        // RFC 7208 §4.6: "if there are any syntax errors anywhere in the record, check_host() returns immediately with the result
        // "permerror", without further interpretation or evaluation."
        (Some(record), None) => match read(&record, limits, begin) {
            Ok(()) => Ok(texts.add(&record, first.unwrap_or(record.len()))),
            Err(error) => Err(Cause::Syntax {
                domain: domain(),
                error,
            }),
        },
        // RFC 7208 §4.5: "If the resultant record set includes more than one record, check_host() produces the "permerror" result."
        (Some(_), Some(_)) => Err(Cause::SeveralRecords { domain: domain() }),
        (None, _) => Err(match answer.data {
            Data::NxDomain => Cause::NoSuchDomain { domain: domain() },
            _ => Cause::NoRecord { domain: domain() },
        }),
    }
}
