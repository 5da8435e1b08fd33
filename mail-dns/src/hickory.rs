//! Conversion to and from the types of hickory-proto, and to and from DNS messages.
//!
//! hickory-proto changes its API from version to version; whoever uses this module uses the version that this crate depends on.

use core::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{self, DNSClass, RData, rdata};

use crate::{
    Answer, Data, Dnssec, Failure, Name, NameError, Question, Record, RecordType, Tlsa, Txt,
};

/// Why a DNS message is not the answer to a question, or none can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Not a DNS message; whoever sent it is broken. The text is the decoder's.
    #[error("not a DNS message: {0}")]
    Malformed(String),
    /// A query, or another operation than a query.
    #[error("the DNS message is not a response to a query")]
    NotAResponse,
    /// Another id: a stray or forged message; wait for the right one.
    #[error("the DNS message has another id than the query")]
    WrongId,
    /// Another question: a stray or forged message; wait for the right one.
    #[error("the DNS message answers another question")]
    WrongQuestion,
    /// TC is set (RFC 2181 §9): ask again over TCP.
    #[error("the DNS message is truncated")]
    Truncated,
}

/// The octets a UDP answer may have, as our queries say (RFC 6891 §6.2.3). What DNS Flag Day 2020 settled on; larger answers are often lost
/// in fragments, smaller ones go over TCP.
pub const UDP_PAYLOAD: u16 = 1232;

/// The DNS query for a question: recursion desired, EDNS(0) with [`UDP_PAYLOAD`], and AD set, which asks a validating resolver to say
/// whether the answer is authentic (RFC 6840 §5.7).
///
/// The id should be hard to guess (RFC 5452 §4.5); it comes from the caller, as all chance does.
///
/// # Errors
///
/// [`WireError::Malformed`] where the encoder refuses the name, which no [`Name`] is known to cause.
pub fn query(question: &Question, id: u16) -> Result<Vec<u8>, WireError> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    message.add_query(Query::query(
        rr::Name::try_from(&question.name).map_err(malformed)?,
        question.kind.into(),
    ));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD).set_version(0);
    message.set_edns(edns);
    message.to_vec().map_err(malformed)
}

/// What a DNS message says to a question: the CNAME chain is followed within the message, and the time to live is the least on the way.
///
/// AD gives [`Dnssec::Secure`], everything else [`Dnssec::Unknown`]; that is worth what the resolver and the way to it are worth
/// (RFC 4035 §4.9.3). Names compare without case.
///
/// # Errors
///
/// When it is not the answer at all; an answer that says "failure" is none of these.
pub fn response(question: &Question, id: u16, message: &[u8]) -> Result<Answer, WireError> {
    let message = Message::from_vec(message).map_err(malformed)?;
    let head = &message.metadata;
    if head.message_type != MessageType::Response || head.op_code != OpCode::Query {
        return Err(WireError::NotAResponse);
    }
    if head.id != id {
        return Err(WireError::WrongId);
    }
    let asked = |query: &Query| {
        query.query_class == DNSClass::IN
            && query.query_type == question.kind.into()
            && Name::try_from(&query.name).is_ok_and(|name| name == question.name)
    };
    match &*message.queries {
        [query] if asked(query) => {}
        // A server that failed early may leave the question out (RFC 9619 allows none or one).
        [] if head.response_code != ResponseCode::NoError => {}
        _ => return Err(WireError::WrongQuestion),
    }
    if head.truncation {
        return Err(WireError::Truncated);
    }
    Ok(answer(question, &message))
}

/// CNAMEs followed within one message.
const MAX_CHAIN: usize = 16;

/// The answer in a response that is known to be one to `question`.
pub fn answer(question: &Question, message: &Message) -> Answer {
    let negative = match message.metadata.response_code {
        ResponseCode::NoError => Data::NoData,
        ResponseCode::NXDomain => Data::NxDomain,
        ResponseCode::Refused => return Answer::failed(Failure::Refused),
        _ => return Answer::failed(Failure::ServFail),
    };
    let dnssec = if message.metadata.authentic_data {
        Dnssec::Secure
    } else {
        Dnssec::Unknown
    };
    let mut records = Vec::new();
    for record in message
        .answers
        .iter()
        .filter(|record| record.dns_class == DNSClass::IN)
    {
        if let (Ok(name), Some(data)) = (Name::try_from(&record.name), of_rdata(&record.data)) {
            records.push((name, data, record.ttl));
        }
    }
    let (mut name, mut ttl) = (question.name.clone(), u32::MAX);
    for _ in 0..=MAX_CHAIN {
        let here = || records.iter().filter(|(owner, ..)| *owner == name);
        let found: Vec<_> = here()
            .filter(|(_, data, _)| data.kind() == question.kind)
            .collect();
        let canonical = (name != question.name).then(|| name.clone());
        if !found.is_empty() {
            ttl = found.iter().fold(ttl, |ttl, (_, _, own)| ttl.min(*own));
            let data = Data::Records(found.into_iter().map(|(_, data, _)| data.clone()).collect());
            return Answer {
                data,
                dnssec,
                ttl: Some(seconds(ttl)),
                canonical,
            };
        }
        let alias = here().find_map(|(_, data, own)| match data {
            Record::Cname(target) => Some((target.clone(), *own)),
            _ => None,
        });
        let Some((target, own)) = alias else {
            // RFC 2308 §5: the minimum of the SOA.MINIMUM field and SOA's TTL; without a SOA nothing is known.
            let soa = message
                .authorities
                .iter()
                .find_map(|record| match &record.data {
                    RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                    _ => None,
                });
            return Answer {
                data: negative,
                dnssec,
                ttl: soa.map(|soa| seconds(soa.min(ttl))),
                canonical,
            };
        };
        name = target;
        ttl = ttl.min(own);
    }
    Answer::failed(Failure::ServFail)
}

/// RFC 2181 §8: "Implementations should treat TTL values received with the most significant bit set as if the entire value received was
/// zero."
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(if ttl > 0x7fff_ffff { 0 } else { ttl.into() })
}

fn malformed(error: impl ToString) -> WireError {
    WireError::Malformed(error.to_string())
}

impl TryFrom<&Name> for rr::Name {
    type Error = hickory_proto::ProtoError;

    fn try_from(name: &Name) -> Result<Self, Self::Error> {
        // Raw labels: hickory's own parsers refuse octets that SPF macros may produce.
        let mut made = Self::from_labels(name.labels())?;
        made.set_fqdn(true);
        Ok(made)
    }
}

/// A name without its final dot is taken as absolute all the same.
impl TryFrom<&rr::Name> for Name {
    type Error = NameError;

    fn try_from(name: &rr::Name) -> Result<Self, NameError> {
        Self::from_labels(name.iter())
    }
}

impl From<RecordType> for rr::RecordType {
    fn from(kind: RecordType) -> Self {
        match kind {
            RecordType::A => Self::A,
            RecordType::Aaaa => Self::AAAA,
            RecordType::Mx => Self::MX,
            RecordType::Txt => Self::TXT,
            RecordType::Ptr => Self::PTR,
            RecordType::Cname => Self::CNAME,
            RecordType::Tlsa => Self::TLSA,
        }
    }
}

/// Fails for types that mail does not ask for.
impl TryFrom<rr::RecordType> for RecordType {
    type Error = crate::UnknownRecordType;

    fn try_from(kind: rr::RecordType) -> Result<Self, Self::Error> {
        Self::ALL
            .into_iter()
            .find(|own| rr::RecordType::from(*own) == kind)
            .ok_or(crate::UnknownRecordType)
    }
}

impl TryFrom<&Record> for RData {
    type Error = hickory_proto::ProtoError;

    fn try_from(record: &Record) -> Result<Self, Self::Error> {
        Ok(match record {
            Record::A(address) => Self::A((*address).into()),
            Record::Aaaa(address) => Self::AAAA((*address).into()),
            Record::Mx {
                preference,
                exchange,
            } => Self::MX(rdata::MX::new(*preference, exchange.try_into()?)),
            Record::Txt(text) => Self::TXT(rdata::TXT::from_bytes(text.strings().collect())),
            Record::Ptr(name) => Self::PTR(rdata::PTR(name.try_into()?)),
            Record::Cname(name) => Self::CNAME(rdata::CNAME(name.try_into()?)),
            Record::Tlsa(tlsa) => Self::TLSA(rdata::TLSA::new(
                tlsa.usage.into(),
                tlsa.selector.into(),
                tlsa.matching.into(),
                tlsa.data.to_vec(),
            )),
        })
    }
}

/// Fails for data of types that mail does not ask for, and for names that are none.
impl TryFrom<&RData> for Record {
    type Error = crate::UnknownRecordType;

    fn try_from(data: &RData) -> Result<Self, Self::Error> {
        of_rdata(data).ok_or(crate::UnknownRecordType)
    }
}

fn of_rdata(data: &RData) -> Option<Record> {
    let name = |name: &rr::Name| Name::try_from(name).ok();
    Some(match data {
        RData::A(address) => Record::A(address.0),
        RData::AAAA(address) => Record::Aaaa(address.0),
        RData::MX(mx) => Record::Mx {
            preference: mx.preference,
            exchange: name(&mx.exchange)?,
        },
        RData::TXT(text) => Record::Txt(Txt::new(&text.txt_data)),
        RData::PTR(target) => Record::Ptr(name(&target.0)?),
        RData::CNAME(target) => Record::Cname(name(&target.0)?),
        RData::TLSA(tlsa) => Record::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone().into(),
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn reply(question: &Question, id: u16, change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::from_vec(&query(question, id).unwrap()).unwrap();
        message.metadata.message_type = MessageType::Response;
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn record(owner: &str, ttl: u32, record: Record) -> rr::Record {
        rr::Record::from_rdata(
            rr::Name::try_from(&name(owner)).unwrap(),
            ttl,
            (&record).try_into().unwrap(),
        )
    }

    fn soa(ttl: u32, minimum: u32) -> rr::Record {
        let root = rr::Name::root();
        rr::Record::from_rdata(
            root.clone(),
            ttl,
            RData::SOA(rdata::SOA::new(root.clone(), root, 1, 2, 3, 4, minimum)),
        )
    }

    #[test]
    fn the_query_on_the_wire() {
        let octets = query(
            &Question::new(name("a=b.Example.com"), RecordType::Txt),
            0x1234,
        )
        .unwrap();
        // id; RD and AD; one question, one additional record; the name; TXT IN; OPT with 1232 octets.
        let mut expected =
            b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x03a=b\x07Example\x03com\0\0\x10\0\x01".to_vec();
        expected.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        assert_eq!(octets, expected);
    }

    #[test]
    fn chains_ttls_and_the_ad_bit() {
        let question = Question::new(name("www.example.com"), RecordType::A);
        let octets = reply(&question, 1, |message| {
            message.metadata.authentic_data = true;
            message.add_answer(record(
                "b.example.com",
                70,
                Record::A([192, 0, 2, 1].into()),
            ));
            message.add_answer(record(
                "WWW.example.com",
                50,
                Record::Cname(name("b.Example.com")),
            ));
            message.add_answer(record(
                "stray.example.com",
                1,
                Record::A([192, 0, 2, 9].into()),
            ));
        });
        let answer = response(&question, 1, &octets).unwrap();
        assert_eq!(answer.records(), [Record::A([192, 0, 2, 1].into())]);
        assert_eq!(answer.ttl, Some(Duration::from_secs(50)));
        assert_eq!(answer.canonical, Some(name("b.example.com")));
        assert_eq!(answer.dnssec, Dnssec::Secure);
    }

    #[test]
    fn negative_answers_and_failures() {
        let question = Question::new(name("x.example.com"), RecordType::Mx);
        for (code, authority, data, ttl) in [
            (
                ResponseCode::NXDomain,
                Some(soa(900, 60)),
                Data::NxDomain,
                Some(60),
            ),
            (
                ResponseCode::NoError,
                Some(soa(30, 60)),
                Data::NoData,
                Some(30),
            ),
            (ResponseCode::NoError, None, Data::NoData, None),
            (
                ResponseCode::ServFail,
                None,
                Data::Failed(Failure::ServFail),
                None,
            ),
            (
                ResponseCode::Refused,
                None,
                Data::Failed(Failure::Refused),
                None,
            ),
            (
                ResponseCode::FormErr,
                None,
                Data::Failed(Failure::ServFail),
                None,
            ),
        ] {
            let octets = reply(&question, 1, |message| {
                message.metadata.response_code = code;
                message.metadata.authentic_data = false;
                message.add_authorities(authority);
            });
            let answer = response(&question, 1, &octets).unwrap();
            assert_eq!(
                (answer.data, answer.ttl),
                (data, ttl.map(Duration::from_secs)),
                "{code}"
            );
            assert_eq!(answer.dnssec, Dnssec::Unknown);
        }
    }

    #[test]
    fn a_loop_of_aliases_is_a_failure() {
        let question = Question::new(name("a"), RecordType::A);
        let octets = reply(&question, 1, |message| {
            message.add_answer(record("a", 1, Record::Cname(name("b"))));
            message.add_answer(record("b", 1, Record::Cname(name("a"))));
        });
        assert_eq!(
            response(&question, 1, &octets).unwrap().data,
            Data::Failed(Failure::ServFail)
        );
    }

    #[test]
    fn what_is_not_the_answer() {
        let question = Question::new(name("a.example"), RecordType::A);
        let other = Question::new(name("b.example"), RecordType::A);
        for (octets, error) in [
            (query(&question, 7).unwrap(), WireError::NotAResponse),
            (reply(&question, 8, |_| ()), WireError::WrongId),
            (reply(&other, 7, |_| ()), WireError::WrongQuestion),
            (
                reply(&question, 7, |message| message.metadata.truncation = true),
                WireError::Truncated,
            ),
        ] {
            assert_eq!(response(&question, 7, &octets), Err(error));
        }
        assert!(matches!(
            response(&question, 7, b"\0\x07"),
            Err(WireError::Malformed(_))
        ));
    }

    #[test]
    fn all_types_there_and_back() {
        for one in [
            Record::A([192, 0, 2, 1].into()),
            Record::Aaaa("2001:db8::1".parse().unwrap()),
            Record::Mx {
                preference: 7,
                exchange: name("strong-bad=x.lp._spf.example.com"),
            },
            Record::Txt(Txt::new([&b"\xff\0"[..], b"", b"x"])),
            Record::Ptr(name("a\\.b.c")),
            Record::Cname(Name::root()),
            Record::Tlsa(Tlsa {
                usage: 3,
                selector: 1,
                matching: 2,
                data: Box::from([1, 2]),
            }),
        ] {
            let question = Question::new(name("x"), one.kind());
            let octets = reply(&question, 1, |message| {
                message.add_answer(record("x", 1, one.clone()));
            });
            assert_eq!(
                response(&question, 1, &octets).unwrap().records(),
                core::slice::from_ref(&one)
            );
            assert_eq!(
                RecordType::try_from(rr::RecordType::from(one.kind())),
                Ok(one.kind())
            );
        }
    }
}
