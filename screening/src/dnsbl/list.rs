//! Which lists are asked, for what, and which of their answers count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use mail_dns::Name;

use super::Limits;
use crate::network::entry_name;

/// Which answers of a list count (RFC 5782 §2.3, §6: "DNSxL clients SHOULD be able to use bit masks and value range tests").
///
/// Whatever is chosen, an address outside of 127.0.0.0/8 never counts, and one in 127.255.255.0/24 is the list's way to say that it does
/// not answer us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Codes {
    /// Every one.
    #[default]
    Any,
    /// These.
    OneOf(Vec<Ipv4Addr>),
    /// From the first to the second, both included.
    Between(Ipv4Addr, Ipv4Addr),
    /// Those that have one of these bits set in the last octet.
    Bits(u8),
}

impl Codes {
    pub(super) fn count(&self, code: Ipv4Addr) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(codes) => codes.contains(&code),
            Self::Between(first, last) => (*first..=*last).contains(&code),
            Self::Bits(bits) => code.octets()[3] & bits != 0,
        }
    }
}

/// What is looked up in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The client's address, of either kind (RFC 5782 §2.1, §2.4).
    #[default]
    Address,
    /// The client's address, if it is IPv4.
    Ipv4,
    /// The client's address, if it is IPv6.
    Ipv6,
    /// The domain of the reverse-path (RFC 5782 §3; "RHSBL").
    MailFrom,
    /// The name that the client gave in HELO or EHLO.
    Helo,
    /// The name of the client's address.
    ReverseName,
}

impl Subject {
    /// Whether names are looked up, not addresses.
    pub const fn is_name(self) -> bool {
        matches!(self, Self::MailFrom | Self::Helo | Self::ReverseName)
    }

    /// Those of the same kind of question are equal.
    const fn question(self) -> Self {
        match self {
            Self::Address | Self::Ipv4 | Self::Ipv6 => Self::Address,
            name => name,
        }
    }
}

/// What is known of a client and its message, to be looked up in lists; what is not known is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subjects {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The domain of the reverse-path, in A-labels; none for the null reverse-path.
    pub mail_from: Option<Name>,
    /// The name of HELO or EHLO, if it was one.
    pub helo: Option<Name>,
    /// The name of the client's address. One that does not lead back to it may be anybody's: give only one that does (see
    /// [`iprev`](crate::iprev)), unless the list is a black list and you would hold what a client claims against it.
    pub reverse_name: Option<Name>,
}

/// A client of whom only the address is known.
impl From<IpAddr> for Subjects {
    fn from(address: IpAddr) -> Self {
        Self {
            address: Some(address),
            ..Self::default()
        }
    }
}

impl Subjects {
    /// The labels of the address, to be put in front of each zone.
    pub(super) fn address_labels(&self) -> Option<Name> {
        // 32 labels of one octet always fit.
        entry_name(self.address?.to_canonical(), &Name::root()).ok()
    }

    /// The name to ask a list for.
    pub(super) fn entry(&self, list: &List, address: Option<&Name>) -> Result<Name, NotAsked> {
        let is_ipv4 = || {
            self.address
                .is_some_and(|address| address.to_canonical().is_ipv4())
        };
        let address = match list.subject {
            Subject::Address => address,
            Subject::Ipv4 => address.filter(|_| is_ipv4()),
            Subject::Ipv6 => address.filter(|_| !is_ipv4()),
            Subject::MailFrom => return name_entry(self.mail_from.as_ref(), &list.zone),
            Subject::Helo => return name_entry(self.helo.as_ref(), &list.zone),
            Subject::ReverseName => return name_entry(self.reverse_name.as_ref(), &list.zone),
        };
        let address = address.ok_or(NotAsked::NotKnown)?;
        address.append(&list.zone).map_err(|_| NotAsked::TooLong)
    }
}

fn name_entry(name: Option<&Name>, zone: &Name) -> Result<Name, NotAsked> {
    let name = name.ok_or(NotAsked::NotKnown)?;
    // RFC 5782 §5: "Domain-name-based DNSxLs MUST contain an entry for the [RFC2606] reserved domain name "TEST"": whoever calls
    // himself that is not listed for it. And some lists answer an address that stands where a name should with a code of its own.
    let last = name.labels().last().unwrap_or_default();
    let number = last.iter().all(u8::is_ascii_digit);
    if name.label_count() < 2 || number {
        return Err(NotAsked::NoDomain);
    }
    // RFC 5782 §3: "The names of their entries MUST contain the listed domain name followed by the name of the DNSxL."
    name.append(zone).map_err(|_| NotAsked::TooLong)
}

/// Why a list was not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAsked {
    /// What it would be asked for is not known or not there: no HELO name, a null reverse-path, an address of the other kind.
    NotKnown,
    /// The name is no domain that a list could hold: a single label, or an address.
    NoDomain,
    /// The name is too long to stand in front of the zone (255 octets, RFC 1035 §2.3.4).
    TooLong,
    /// It failed its tests, or has not passed one yet.
    Off(super::WhyOff),
}

/// One list, or one sublist of a combined list: the same zone may be named several times with other codes and weights, and is asked
/// once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// The zone, such as `bad.example.com`.
    pub zone: Name,
    /// What is looked up in it.
    pub subject: Subject,
    /// Which answers count.
    pub codes: Codes,
    /// What a listing adds to the score: positive for a block list, negative for a white list.
    pub weight: i32,
    /// Whether to ask for the reason (TXT) when there is a listing. Default: no.
    pub reason: bool,
    /// Whether it has the test entries of RFC 5782 §5, so that [`ListHealth`](super::ListHealth) can test it. Default: yes. A list
    /// without them, such as one's own, is never turned off.
    pub tested: bool,
}

impl List {
    /// A list of addresses of which every answer counts, without reasons.
    pub const fn new(zone: Name, weight: i32) -> Self {
        Self::of(Subject::Address, zone, weight)
    }

    /// A list that is asked for something else, of which every answer counts, without reasons.
    pub const fn of(subject: Subject, zone: Name, weight: i32) -> Self {
        Self {
            zone,
            subject,
            codes: Codes::Any,
            weight,
            reason: false,
            tested: true,
        }
    }

    /// The same with other codes.
    #[must_use]
    pub fn with_codes(self, codes: Codes) -> Self {
        Self { codes, ..self }
    }

    /// The same, asked for reasons.
    #[must_use]
    pub fn with_reason(self) -> Self {
        Self {
            reason: true,
            ..self
        }
    }
}

/// The lists that a server asks, and the score from which it acts; made once, shared by all evaluations.
#[derive(Clone, Debug)]
pub struct Lists {
    pub(super) lists: Arc<[List]>,
    pub(super) threshold: i64,
    pub(super) limits: Limits,
}

/// Why lists cannot be asked: a mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListsError {
    /// More than [`Limits::lists`].
    #[error("{given} lists are configured, and {limit} is the limit")]
    TooMany {
        /// How many there are.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More than [`Limits::questions`].
    #[error("the lists need {given} questions for each client, and {limit} is the limit")]
    TooManyQuestions {
        /// How many they need.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An IPv6 address in front of the zone would be longer than a name may be (255 octets, RFC 1035 §2.3.4).
    #[error("the zone {0} is too long to stand behind an address")]
    ZoneTooLong(Name),
}

impl Lists {
    /// Takes the lists, and the least score that is over the threshold.
    ///
    /// # Errors
    ///
    /// Too many lists or questions, or a zone that is too long.
    pub fn new(
        lists: impl IntoIterator<Item = List>,
        threshold: i64,
        limits: &Limits,
    ) -> Result<Self, ListsError> {
        let lists: Arc<[List]> = lists.into_iter().collect();
        if lists.len() > limits.lists {
            return Err(ListsError::TooMany {
                given: lists.len(),
                limit: limits.lists,
            });
        }
        for list in lists.iter() {
            let longest = entry_name(Ipv6Addr::UNSPECIFIED.into(), &list.zone);
            if longest.is_err() {
                return Err(ListsError::ZoneTooLong(list.zone.clone()));
            }
        }
        let question = |list: &List| (list.zone.clone(), list.subject.question());
        let mut questions: Vec<_> = lists.iter().map(question).collect();
        questions.sort();
        questions.dedup();
        if questions.len() > limits.questions {
            return Err(ListsError::TooManyQuestions {
                given: questions.len(),
                limit: limits.questions,
            });
        }
        Ok(Self {
            lists,
            threshold,
            limits: limits.clone(),
        })
    }

    /// The lists, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &List> {
        self.lists.iter()
    }
}
