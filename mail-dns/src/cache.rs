//! A bounded cache of answers.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use crate::{Answer, Data, Question, Record};

/// What a [`Cache`] may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Answers held. Default 10,000. Each costs its data and about 300 octets.
    pub entries: usize,
    /// Octets of record data held in all. Default 16 MiB; beyond it, as beyond `entries`, what was not used for longest goes first.
    pub octets: usize,
    /// The longest time to live of records. Default one day; longer holds a domain to mistakes of long ago.
    pub ttl: Duration,
    /// The longest time to live of "nothing there". Default one hour (RFC 2308 §5: "Values of one to three hours have been found to work
    /// well"); longer delays the day a domain publishes its first record.
    pub negative_ttl: Duration,
    /// How long a failure is remembered. Default 5 seconds, never more than the 5 minutes of RFC 2308 §7.1; longer turns a short outage of a
    /// domain's servers into deferred mail.
    pub failure_ttl: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: 10_000,
            octets: 16 * 1024 * 1024,
            ttl: Duration::from_secs(86_400),
            negative_ttl: Duration::from_secs(3_600),
            failure_ttl: Duration::from_secs(5),
        }
    }
}

/// RFC 2308 §7.1: "it MUST NOT cache it for longer than five (5) minutes".
const MAX_FAILURE_TTL: Duration = Duration::from_secs(300);

/// Answers by question, for as long as they live. The time is the duration since a start that the caller chose; it must not go back.
///
/// ```
/// # use core::time::Duration;
/// # use mail_dns::{Answer, Cache, CacheLimits, Question, RecordType, Zone};
/// let zone = Zone::new().ttl(Duration::from_secs(60)).a("mx.example.com", [192, 0, 2, 1]);
/// let question = Question::new("mx.example.com".parse()?, RecordType::A);
/// let mut cache = Cache::new(CacheLimits::default());
/// let now = Duration::from_secs(1000);
/// cache.insert(&question, &zone.answer(&question), now);
/// let later = cache.find(&question, now + Duration::from_secs(20)).unwrap();
/// assert_eq!(later.ttl, Some(Duration::from_secs(40)));
/// assert_eq!(cache.find(&question, now + Duration::from_secs(60)), None);
/// # Ok::<(), mail_dns::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    limits: CacheLimits,
    entries: HashMap<Question, Entry>,
    /// Questions by their last use, the oldest first.
    used: BTreeMap<u64, Question>,
    /// Counts uses.
    uses: u64,
    octets: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    expires: Duration,
    used: u64,
}

impl Cache {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            used: BTreeMap::new(),
            uses: 0,
            octets: 0,
        }
    }

    /// The answer, if it is there and still lives; its time to live is what is left of it.
    pub fn find(&mut self, question: &Question, now: Duration) -> Option<Answer> {
        let entry = self.entries.get_mut(question)?;
        // RFC 2308 §5: "upon reaching zero (0) indicates the cached negative answer MUST NOT be used again."
        let Some(left) = entry
            .expires
            .checked_sub(now)
            .filter(|left| !left.is_zero())
        else {
            self.remove(question);
            return None;
        };
        self.uses += 1;
        if let Some(question) = self.used.remove(&entry.used) {
            self.used.insert(self.uses, question);
        }
        entry.used = self.uses;
        Some(Answer {
            ttl: Some(left),
            ..entry.answer.clone()
        })
    }

    /// Keeps an answer, in place of an older one. One without a time to live, unless it is a failure, is not kept (RFC 2308 §5: "Negative
    /// responses without SOA records SHOULD NOT be cached").
    pub fn insert(&mut self, question: &Question, answer: &Answer, now: Duration) {
        self.remove(question);
        let ttl = match (&answer.data, answer.ttl) {
            (Data::Failed(_), _) => self.limits.failure_ttl.min(MAX_FAILURE_TTL),
            (Data::Records(_), Some(ttl)) => ttl.min(self.limits.ttl),
            (Data::NoData | Data::NxDomain, Some(ttl)) => ttl.min(self.limits.negative_ttl),
            (_, None) => return,
        };
        let octets = octets(answer);
        if ttl.is_zero() || octets > self.limits.octets || self.limits.entries == 0 {
            return;
        }
        while self.entries.len() >= self.limits.entries || self.octets + octets > self.limits.octets
        {
            let Some((_, oldest)) = self.used.pop_first() else {
                break;
            };
            self.remove(&oldest);
        }
        self.uses += 1;
        self.octets += octets;
        self.used.insert(self.uses, question.clone());
        let entry = Entry {
            answer: answer.clone(),
            expires: now.saturating_add(ttl),
            used: self.uses,
        };
        self.entries.insert(question.clone(), entry);
    }

    /// How many answers it holds, those included that have expired and were not asked for since.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.used.remove(&entry.used);
            self.octets -= octets(&entry.answer);
        }
    }
}

/// The data of an answer, in octets as on the wire and a little for each record.
fn octets(answer: &Answer) -> usize {
    let record = |record: &Record| {
        32 + match record {
            Record::A(_) => 4,
            Record::Aaaa(_) => 16,
            Record::Mx { exchange: name, .. } | Record::Ptr(name) | Record::Cname(name) => {
                name.wire().len()
            }
            Record::Txt(text) => text.strings().map(|string| string.len() + 16).sum(),
            Record::Tlsa(tlsa) => tlsa.data.len(),
        }
    };
    answer.records().iter().map(record).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Failure, RecordType, Txt};

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn question(number: u32) -> Question {
        Question::new(format!("n{number}").parse().unwrap(), RecordType::Txt)
    }

    fn text(ttl: u64) -> Answer {
        Answer {
            ttl: Some(seconds(ttl)),
            ..Answer::found([Record::Txt(Txt::new(["x"]))])
        }
    }

    #[test]
    fn caps_of_each_kind() {
        for (answer, lives) in [
            (text(10), 10),
            (text(1_000_000), 86_400),
            (text(0), 0),
            (
                Answer {
                    ttl: None,
                    ..text(0)
                },
                0,
            ),
            (Answer::nx_domain(), 0),
            (
                Answer {
                    ttl: Some(seconds(1_000_000)),
                    ..Answer::nx_domain()
                },
                3_600,
            ),
            (
                Answer {
                    ttl: Some(seconds(9)),
                    ..Answer::no_data()
                },
                9,
            ),
            (Answer::failed(Failure::ServFail), 5),
        ] {
            let mut cache = Cache::new(CacheLimits::default());
            cache.insert(&question(1), &answer, seconds(100));
            assert_eq!(
                cache.find(&question(1), seconds(100 + lives)),
                None,
                "{answer}"
            );
            cache.insert(&question(1), &answer, seconds(100));
            let found = cache.find(&question(1), seconds(99 + lives));
            assert_eq!(
                found.map(|answer| answer.ttl),
                (lives > 0).then_some(Some(seconds(1))),
                "{answer}"
            );
        }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache = Cache::new(CacheLimits {
            entries: 2,
            ..CacheLimits::default()
        });
        cache.insert(&question(1), &text(9), seconds(0));
        cache.insert(&question(2), &text(9), seconds(0));
        assert!(cache.find(&question(1), seconds(1)).is_some());
        cache.insert(&question(3), &text(9), seconds(1));
        assert_eq!(cache.find(&question(2), seconds(1)), None);
        assert!(cache.find(&question(1), seconds(1)).is_some());
        let mut cache = Cache::new(CacheLimits {
            octets: 100,
            ..CacheLimits::default()
        });
        cache.insert(&question(1), &text(9), seconds(0));
        cache.insert(&question(2), &text(9), seconds(0));
        cache.insert(&question(3), &text(9), seconds(0));
        assert_eq!(cache.len(), 2);
    }

    proptest! {
        /// Whatever is done: the bounds hold, and what is found is what was last put in and has not expired.
        #[test]
        fn finds_only_what_lives(steps in proptest::collection::vec((0..8_u32, 0..30_u64, 0..5_u64, any::<bool>()), 0..200)) {
            let limits = CacheLimits { entries: 5, octets: 5 * 49, ..CacheLimits::default() };
            let mut cache = Cache::new(limits.clone());
            let mut model = BTreeMap::new();
            let mut now = seconds(0);
            for (number, ttl, passed, insert) in steps {
                now += seconds(passed);
                if insert {
                    cache.insert(&question(number), &text(ttl), now);
                    model.insert(number, now + seconds(ttl));
                } else if let Some(answer) = cache.find(&question(number), now) {
                    prop_assert_eq!(answer.ttl, Some(model[&number] - now));
                    prop_assert!(answer.ttl > Some(seconds(0)));
                }
                prop_assert!(cache.len() <= limits.entries && cache.octets <= limits.octets);
                prop_assert_eq!(cache.used.len(), cache.entries.len());
            }
        }
    }
}
