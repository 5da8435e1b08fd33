//! The records that an evaluation has read.

use std::net::IpAddr;

use mail_dns::{Answer, Data, Name, Record};

use super::mechanisms::holds;
use crate::config::Limits;
use crate::record::{Cursor, Kind, is_spf_record, read};
use crate::verdict::Cause;

/// The texts of the records, one behind the other. Each was checked as a whole; its terms are read where they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    octets: Vec<u8>,
    list: Vec<Place>,
}

/// The number of one of the texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text(usize);

#[derive(Clone, Debug)]
struct Place {
    start: usize,
    end: usize,
    first: usize,
}

impl Texts {
    fn add(&mut self, text: &[u8], first: usize) -> Text {
        let (number, start) = (self.list.len(), self.octets.len());
        if number == 0 {
            // Room for the records of a few `include`s too, so that it seldom grows.
            self.octets.reserve(text.len().max(1024));
            self.list.reserve(12);
        }
        self.octets.extend_from_slice(text);
        let end = self.octets.len();
        self.list.push(Place { start, end, first });
        Text(number)
    }

    pub(super) fn text(&self, of: Text) -> &[u8] {
        let place = self.list.get(of.0);
        let text = place.and_then(|place| self.octets.get(place.start..place.end));
        text.unwrap_or_default()
    }

    /// The octet of the term to begin with.
    pub(super) fn first(&self, of: Text) -> usize {
        self.list.get(of.0).map_or(0, |place| place.first)
    }
}

/// RFC 7208 §4.5: the one SPF record in the answer for this domain.
pub(super) fn read_record(
    answer: &Answer,
    domain: &Name,
    limits: &Limits,
    ip: Option<IpAddr>,
    texts: &mut Texts,
) -> Result<Text, Box<Cause>> {
    let (mut found, mut several) = (None, false);
    for record in answer.records() {
        // RFC 7208 §4.5: "discard records that do not begin with a version section of exactly "v=spf1"."
        if let Record::Txt(text) = record
            && let text = text.joined()
            && is_spf_record(&text)
        {
            several |= found.replace(text).is_some();
        }
    }
    let domain = || domain.clone();
    // Most terms of most records are networks. Those before the first other term are done with as they are read.
    let mut first = None;
    let begin = |term: &Cursor<'_>| {
        if first.is_none() && !ip.is_some_and(|ip| is_elsewhere(term, ip)) {
            first = Some(term.start);
        }
    };
    let cause = match found {
        // RFC 7208 §4.5: "If the resultant record set includes more than one record, check_host() produces the "permerror" result."
        Some(_) if several => Cause::SeveralRecords { domain: domain() },
        // RFC 7208 §4.6: "if there are any syntax errors anywhere in the record, check_host() returns immediately with the result
        // "permerror", without further interpretation or evaluation."
        Some(record) => match read(&record, limits, begin) {
            Ok(()) => return Ok(texts.add(&record, first.unwrap_or(record.len()))),
            Err(error) => Cause::Syntax {
                domain: domain(),
                error,
            },
        },
        None => match answer.data {
            Data::NxDomain => Cause::NoSuchDomain { domain: domain() },
            _ => Cause::NoRecord { domain: domain() },
        },
    };
    Err(Box::new(cause))
}

/// Whether a term is a network without the client.
fn is_elsewhere(term: &Cursor<'_>, ip: IpAddr) -> bool {
    matches!(term.kind, Kind::Ip4 | Kind::Ip6) && !holds(term, ip)
}
