//! The same answers for all, at hand in a map, and parsed each time that they are used.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::hickory_resolver::config::{CLOUDFLARE, ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::spf::Spf;
use mail_auth::{DnsError, Error, MessageAuthenticator, RecordSet, ResolverCache, Txt};
use mail_dns::{Answer, Evaluation, Need, Question, Zone};

/// Our answers.
pub(crate) type Answers = HashMap<Question, Answer>;

/// The answers of this zone to all that an evaluation asks.
pub(crate) fn answers<E: Evaluation>(zone: &Zone, evaluation: E) -> Answers {
    let mut answers = Answers::new();
    mail_dns::resolve_blocking(evaluation, |question| {
        let answer = zone.answer(question);
        answers.insert(question.clone(), answer.clone());
        answer
    });
    answers
}

/// Drives one of our evaluations with answers that are at hand.
///
/// # Panics
///
/// When an answer is not.
pub(crate) fn judge<E: Evaluation>(answers: &Answers, mut evaluation: E) -> E::Verdict {
    loop {
        match evaluation.poll() {
            Need::Lookup(question) => evaluation.answer(&question, &answers[&question]),
            Need::Wait => panic!("waits for something that is not DNS"),
            Need::Done(verdict) => return verdict,
        }
    }
}

/// How many questions an evaluation asks, and in how many rounds: what it can ask before an answer is one round.
pub(crate) fn questions_and_rounds<E: Evaluation>(
    answers: &Answers,
    mut evaluation: E,
) -> (usize, usize) {
    let (mut questions, mut rounds, mut open) = (0, 0, Vec::new());
    loop {
        match evaluation.poll() {
            Need::Lookup(question) => open.push(question),
            Need::Wait => {
                assert!(!open.is_empty(), "waits for something that is not DNS");
                questions += open.len();
                rounds += 1;
                for question in open.drain(..) {
                    evaluation.answer(&question, &answers[&question]);
                }
            }
            Need::Done(_) => return (questions, rounds),
        }
    }
}

/// mail-auth's answers: it has no other door for them than its cache, which keeps parsed records; this one keeps text and parses at each look-up.
#[derive(Default)]
pub(crate) struct Texts {
    texts: HashMap<Box<str>, Vec<u8>>,
    /// How often it was asked.
    pub(crate) asked: Cell<usize>,
}

impl Texts {
    /// With this TXT record too.
    pub(crate) fn txt(mut self, name: &str, text: &str) -> Self {
        self.texts.insert(format!("{name}.").into(), text.into());
        self
    }
}

impl ResolverCache<Box<str>, Txt> for Texts {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        self.asked.set(self.asked.get() + 1);
        let Some(text) = self.texts.get(name) else {
            let none = DnsError::RecordNotFound(ResponseCode::NXDomain);
            return Some(Txt::Error(Error::Dns(none)));
        };
        Some(if text.starts_with(b"v=spf1") {
            Spf::parse(text).into()
        } else if text.starts_with(b"v=DMARC1") {
            Dmarc::parse(text).into()
        } else {
            DomainKey::parse(text).into()
        })
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// One record set for whoever asks, counted.
pub(crate) struct One<T> {
    records: Arc<[T]>,
    /// How often it was asked.
    pub(crate) asked: Cell<usize>,
}

impl<T> One<T> {
    pub(crate) fn new(record: T) -> Self {
        Self {
            records: Arc::new([record]),
            asked: Cell::new(0),
        }
    }

    fn set(&self) -> RecordSet<T> {
        self.asked.set(self.asked.get() + 1);
        RecordSet {
            rrset: Arc::clone(&self.records),
            dnssec_status: Default::default(),
        }
    }
}

macro_rules! one {
    ($key:ty, $record:ty) => {
        impl ResolverCache<$key, RecordSet<$record>> for One<$record> {
            fn get<Q>(&self, _: &Q) -> Option<RecordSet<$record>>
            where
                $key: std::borrow::Borrow<Q>,
                Q: std::hash::Hash + Eq + ?Sized,
            {
                Some(self.set())
            }

            fn remove<Q>(&self, _: &Q) -> Option<RecordSet<$record>>
            where
                $key: std::borrow::Borrow<Q>,
                Q: std::hash::Hash + Eq + ?Sized,
            {
                None
            }

            fn insert(&self, _: $key, _: RecordSet<$record>, _: Instant) {}
        }
    };
}

one!(Box<str>, Ipv4Addr);
one!(IpAddr, Box<str>);

/// mail-auth's authenticator. It is never to reach its resolver.
pub(crate) fn authenticator() -> MessageAuthenticator {
    let config = ResolverConfig::udp_and_tcp(&CLOUDFLARE);
    MessageAuthenticator::new(config, ResolverOpts::default()).expect("a resolver")
}

/// What a future comes to that waits for nothing.
///
/// # Panics
///
/// When it waits: then an answer was not at hand.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("waits for the network"),
    }
}
