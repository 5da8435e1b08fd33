//! Which lists work, and when to test them again.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use mail_dns::Name;

use super::{Family, Health, List, Lists, Outcome, SelfTest, Verdict};

/// When lists are tested, and when they are turned off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthPolicy {
    /// From one test of a list that works to the next. Default: 1 hour (RFC 5782 §5: "periodically"). It bounds for how long a list
    /// that has begun to list everything is believed where nothing else shows it.
    pub interval: Duration,
    /// From a test that failed to the next; doubled with each further one of a list that is off. Also the least time between two tests,
    /// and how long a test may take before another is begun. Default: 1 minute.
    pub first_retry: Duration,
    /// What the doubling ends at. Default: 1 day. Raising it keeps a list that works again off for longer.
    pub longest_retry: Duration,
    /// Tests in a row without an answer, after which a list is off. Default: 3, so that a resolver that is started anew turns off
    /// none. Until then each client waits for the list.
    pub failures: u32,
    /// Clients in a row that a list has listed, after which it is tested early. Default: 20. Two questions are the cost of a wave of
    /// clients that are all rightly listed.
    pub listed_in_a_row: u32,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(3600),
            first_retry: Duration::from_secs(60),
            longest_retry: Duration::from_secs(24 * 3600),
            failures: 3,
            listed_in_a_row: 20,
        }
    }
}

/// Which list is meant: all lists of the same zone and family work or fail together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId {
    /// The zone.
    pub zone: Name,
    /// What it holds.
    pub family: Family,
}

impl From<&List> for ListId {
    fn from(list: &List) -> Self {
        Self {
            zone: list.zone.clone(),
            family: list.subject.into(),
        }
    }
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
            Family::Names => "names",
        };
        write!(f, "{} ({family})", self.zone)
    }
}

/// Whether a list is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It passed its last test, or has not yet failed enough of them.
    On,
    /// It is not asked.
    Off(WhyOff),
}

/// Why a list is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyOff {
    /// It has not been tested yet (RFC 5782 §7: "SHOULD NOT use any DNSxL domain that does not have correct test entries").
    Untested,
    /// This is what its last test came to.
    Test(Health),
}

impl fmt::Display for WhyOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untested => f.write_str("not tested yet"),
            Self::Test(health) => health.fmt(f),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Off(why) => write!(f, "off: {why}"),
        }
    }
}

/// What is known of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether it is asked.
    pub standing: Standing,
    /// Since when, in seconds since 1970; 0 for a list that was never tested.
    pub since: u64,
    /// When it is tested next, in seconds since 1970.
    pub next_test: u64,
}

/// Which of the lists work: says which to ask and when to test each, and why one is off.
///
/// A list is asked from its first good test on. **Only tests turn a list on or off.** What it answers about clients can at most make a
/// test due earlier, so nobody turns a list off by the names that he has it asked for. What a test turns off at once: the test entry is
/// missing, everything is listed, the list refuses us. What does so only after [`HealthPolicy::failures`] tests in a row: no answer.
///
/// ```
/// use mail_dns::{Zone, resolve_blocking};
/// use screening::dnsbl::{Dnsbl, HealthPolicy, List, ListHealth, Lists, NotAsked, Outcome};
///
/// let lists = Lists::new([List::new("dead.example.com".parse()?, 3)], 3, &Default::default())?;
/// let mut health = ListHealth::new(&lists, HealthPolicy::default());
/// // Its zone has a new owner, and answers every question.
/// let zone = Zone::new().a("*.dead.example.com", [127, 0, 0, 2]);
/// for (list, test) in health.due(1_800_000_000) {
///     let found = resolve_blocking(test, |question| zone.answer(question));
///     health.tested(&list, found, 1_800_000_001);
/// }
/// let client = Dnsbl::with_health("192.0.2.7".parse::<std::net::IpAddr>()?, &lists, &health);
/// let verdict = resolve_blocking(client, |question| zone.answer(question));
/// assert_eq!(verdict.lists[0].outcome.to_string(), "not asked, it is off: lists everything");
/// assert_eq!(verdict.score, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListHealth {
    policy: HealthPolicy,
    lists: BTreeMap<ListId, State>,
}

#[derive(Clone, Debug)]
struct State {
    test: SelfTest,
    status: Status,
    /// When a test was last begun.
    last_test: u64,
    /// Tests in a row without an answer.
    failures: u32,
    /// How long to wait after the next test that fails, in seconds.
    retry: u64,
    /// Clients in a row that were listed.
    listed: u32,
}

impl ListHealth {
    /// All that have test entries are off until they are tested, and due at once.
    pub fn new(lists: &Lists, policy: HealthPolicy) -> Self {
        let state = |id: &ListId| {
            let status = Status {
                standing: Standing::Off(WhyOff::Untested),
                since: 0,
                next_test: 0,
            };
            Some(State {
                test: SelfTest::new(&id.zone, id.family).ok()?,
                status,
                last_test: 0,
                failures: 0,
                retry: policy.first_retry.as_secs(),
                listed: 0,
            })
        };
        let ids = lists.iter().filter(|list| list.tested).map(ListId::from);
        let lists = ids.filter_map(|id| state(&id).map(|state| (id, state)));
        Self {
            lists: lists.collect(),
            policy,
        }
    }

    /// The tests that are due. Run each, and hand what it found to [`ListHealth::tested`]; one that never comes back is due again.
    pub fn due(&mut self, now: u64) -> Vec<(ListId, SelfTest)> {
        let mut due = Vec::new();
        for (id, state) in &mut self.lists {
            // A clock that was set back would otherwise put the next test off.
            if now >= state.status.next_test || now < state.last_test {
                state.last_test = now;
                state.status.next_test = after(now, self.policy.first_retry.as_secs());
                due.push((id.clone(), state.test.clone()));
            }
        }
        due
    }

    /// When the next test is due, in seconds since 1970; none if no list can be tested.
    pub fn next_test(&self) -> Option<u64> {
        self.lists
            .values()
            .map(|state| state.status.next_test)
            .min()
    }

    /// Takes what a test found, and says how the list stands if that has changed: for the log.
    pub fn tested(&mut self, list: &ListId, found: Health, now: u64) -> Option<&Standing> {
        let state = self.lists.get_mut(list)?;
        let (first, longest) = (
            self.policy.first_retry.as_secs(),
            self.policy.longest_retry.as_secs(),
        );
        state.failures = match found {
            Health::Unknown(_) => state.failures.saturating_add(1),
            _ => 0,
        };
        let (standing, next) = match found {
            Health::Works => (Standing::On, self.policy.interval.as_secs()),
            Health::Unknown(_)
                if state.status.standing == Standing::On
                    && state.failures < self.policy.failures =>
            {
                (Standing::On, first)
            }
            _ => (Standing::Off(WhyOff::Test(found)), state.retry.min(longest)),
        };
        state.retry = match standing {
            Standing::On => first,
            Standing::Off(_) => state.retry.saturating_mul(2).min(longest),
        };
        state.listed = 0;
        state.status.next_test = after(now, next);
        if state.status.standing == standing {
            return None;
        }
        let was_on = state.status.standing == Standing::On;
        if was_on != (standing == Standing::On) || state.status.since == 0 {
            state.status.since = now;
        }
        state.status.standing = standing;
        Some(&state.status.standing)
    }

    /// Takes what the lists said of a client: what looks wrong makes a test due earlier, at most one in [`HealthPolicy::first_retry`].
    pub fn observe(&mut self, verdict: &Verdict) {
        let on = |(_, state): &(&ListId, &mut State)| state.status.standing == Standing::On;
        for (id, state) in self.lists.iter_mut().filter(on) {
            let (mut wrong, mut listed, mut not_listed) = (false, false, false);
            for row in verdict
                .lists
                .iter()
                .filter(|row| ListId::from(&row.list) == *id)
            {
                match row.outcome {
                    Outcome::ListError(_) | Outcome::NotAList(_) | Outcome::Failed(_) => {
                        wrong = true;
                    }
                    Outcome::Listed { .. } | Outcome::OtherCodes(_) => listed = true,
                    Outcome::NotListed => not_listed = true,
                    Outcome::NotAsked(_) => {}
                }
            }
            if not_listed {
                state.listed = 0;
            } else if listed {
                state.listed = state.listed.saturating_add(1);
            }
            if wrong || state.listed >= self.policy.listed_in_a_row.max(1) {
                state.listed = 0;
                let earliest = after(state.last_test, self.policy.first_retry.as_secs());
                state.status.next_test = state.status.next_test.min(earliest);
            }
        }
    }

    /// Whether a list may be asked.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn may_ask(&self, list: &List) -> Result<(), WhyOff> {
        if !list.tested {
            return Ok(());
        }
        match self
            .lists
            .get(&list.into())
            .map(|state| &state.status.standing)
        {
            Some(Standing::Off(why)) => Err(why.clone()),
            Some(Standing::On) | None => Ok(()),
        }
    }

    /// How each list stands, in DNS order of their zones.
    pub fn iter(&self) -> impl Iterator<Item = (&ListId, &Status)> {
        self.lists.iter().map(|(id, state)| (id, &state.status))
    }
}

/// So many seconds later and at least one, so that no policy tests without end; the end of time stays where it is.
fn after(now: u64, seconds: u64) -> u64 {
    now.saturating_add(seconds.max(1))
}
