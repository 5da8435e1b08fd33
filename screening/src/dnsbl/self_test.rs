//! Whether a list still works, by the entries that it must and must not have (RFC 5782 §5).

use core::fmt;
use std::net::{IpAddr, Ipv4Addr};

use mail_dns::{Answer, Evaluation, Failure, Name, NameError, Need, Question, RecordType};

use super::answer::Entry;
use super::{Limits, Subject};
use crate::network::entry_name;

/// Whether a list still works; to be asked each hour or so, as [`ListHealth`](super::ListHealth) says.
#[derive(Clone, Debug)]
pub struct SelfTest {
    /// For the entry that must be there, and for that which must not.
    questions: [Question; 2],
    asked: usize,
    answers: [Option<Entry>; 2],
}

/// What a [`SelfTest`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The test entry is there and the other is not.
    Works,
    /// The test entry is not there: the list is empty, or gone.
    NoTestEntry,
    /// What must not be there is: the list answers everything.
    ListsEverything,
    /// The list does not serve us, or answers with addresses that are no codes.
    Refuses(Ipv4Addr),
    /// A lookup failed; try later.
    Unknown(Failure),
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("works"),
            Self::NoTestEntry => f.write_str("has no test entry"),
            Self::ListsEverything => f.write_str("lists everything"),
            Self::Refuses(code) => write!(f, "does not serve us: {code}"),
            Self::Unknown(failure) => write!(f, "does not answer: {failure}"),
        }
    }
}

/// What a list holds, and so which entries test it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4: `127.0.0.2` and `127.0.0.1` are asked.
    Ipv4,
    /// IPv6: `::FFFF:7F00:2` and `::FFFF:7F00:1` are asked.
    Ipv6,
    /// Names: `TEST` and `INVALID` are asked.
    Names,
}

/// A list of addresses of both kinds is tested by the IPv4 entries: they tell whether it works, and older lists have no others.
impl From<Subject> for Family {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Address | Subject::Ipv4 => Self::Ipv4,
            Subject::Ipv6 => Self::Ipv6,
            Subject::MailFrom | Subject::Helo | Subject::ReverseName => Self::Names,
        }
    }
}

impl SelfTest {
    /// Begins the test of a zone.
    ///
    /// # Errors
    ///
    /// The zone is too long to stand behind the test entry.
    pub fn new(zone: &Name, family: Family) -> Result<Self, NameError> {
        let address = |last: u8| {
            let address = Ipv4Addr::new(127, 0, 0, last);
            let address = match family {
                Family::Ipv6 => IpAddr::V6(address.to_ipv6_mapped()),
                Family::Ipv4 | Family::Names => IpAddr::V4(address),
            };
            entry_name(address, zone)
        };
        let [must, must_not] = match family {
            // RFC 5782 §5: "IPv4-based DNSxLs MUST contain an entry for 127.0.0.2 for testing purposes.  IPv4-based DNSxLs MUST NOT
            // contain an entry for 127.0.0.1."
            Family::Ipv4 | Family::Ipv6 => [address(2)?, address(1)?],
            // RFC 5782 §5: "Domain-name-based DNSxLs MUST contain an entry for the [RFC2606] reserved domain name "TEST" and MUST NOT
            // contain an entry for the reserved domain name "INVALID"."
            Family::Names => [zone.prepend("test")?, zone.prepend("invalid")?],
        };
        Ok(Self {
            questions: [must, must_not].map(|name| Question::new(name, RecordType::A)),
            asked: 0,
            answers: [None, None],
        })
    }
}

impl Evaluation for SelfTest {
    type Verdict = Health;

    fn poll(&mut self) -> Need<Health> {
        if let Some(question) = self.questions.get(self.asked) {
            self.asked += 1;
            return Need::Lookup(question.clone());
        }
        let [Some(must), Some(must_not)] = &self.answers else {
            return Need::Wait;
        };
        Need::Done(match (must, must_not) {
            (Entry::Error(code) | Entry::NotAList(code), _)
            | (_, Entry::Error(code) | Entry::NotAList(code)) => Health::Refuses(*code),
            (_, Entry::Codes(_)) => Health::ListsEverything,
            (Entry::Failed(failure), _) | (_, Entry::Failed(failure)) => Health::Unknown(*failure),
            (Entry::None, Entry::None) => Health::NoTestEntry,
            (Entry::Codes(_), Entry::None) => Health::Works,
        })
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        let asked = self
            .questions
            .iter()
            .take(self.asked)
            .position(|asked| asked == question);
        if let Some(slot) = asked.and_then(|at| self.answers.get_mut(at)) {
            slot.get_or_insert_with(|| Entry::read(answer, Limits::default().codes));
        }
    }
}
