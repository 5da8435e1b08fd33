//! Should a report be sent now? Rules that protect the reporter, and those it reports to.
//!
//! Whoever publishes a record tells us where to send mail to, and can have as much of it sent as there are messages to forge. So there are
//! caps for each destination, mailboxes that bounce are left alone, nothing is said to those whose mail was all spam, and no report is made about
//! reports. The state is pure: time is handed in, and what is remembered is bounded.
//!
//! Whether a destination wants reports at all is another question: [`report_destination`](crate::report_destination).

use std::collections::BTreeMap;

/// How much is sent.
// RFC 9991 §2: "Report generators MUST implement a rate-limit on outgoing reports so as not to flood Report Consumers with excessive
// reports, which would allow denial of service"
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Aggregate reports to one address in 24 hours. Default: 1,000; some take reports for many thousand domains, most for one. Raising it makes us
    /// a larger amplifier.
    pub aggregate_per_day: u32,
    /// Failure reports to one address in 24 hours. Default: 50: enough to see what is wrong.
    pub failure_per_day: u32,
    /// Seconds between aggregate reports about one domain to one address. Default: 3,600; RFC 9990 has them daily.
    pub aggregate_interval: u64,
    /// Seconds between failure reports to one address. Default: 60.
    pub failure_interval: u64,
    /// Reports that bounce one after another before an address is given up for a time. Default: 3.
    pub bounces: u32,
    /// Seconds for which it is given up; the time doubles with each further bounce, up to 16 times. Default: 7 days.
    pub suppression: u64,
    /// Octets of the whole mail. Default: 10 MiB, what most servers take. RFC 9989 has no sizes in `rua` any more.
    pub octets: u64,
    /// Addresses that are remembered. Default: 20,000. Each costs some 150 octets. When all are in use, further ones get nothing until one
    /// has been idle for a day.
    pub destinations: usize,
    /// Pairs of address and domain that are remembered for the interval. Default: 100,000. Each costs some 120 octets.
    pub pairs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            aggregate_per_day: 1_000,
            failure_per_day: 50,
            aggregate_interval: 3_600,
            failure_interval: 60,
            bounces: 3,
            suppression: 7 * DAY,
            octets: 10 * 1024 * 1024,
            destinations: 20_000,
            pairs: 100_000,
        }
    }
}

/// Seconds.
const DAY: u64 = 86_400;
/// How often what is remembered is looked through, in seconds.
const SWEEP: u64 = 600;
/// The longest address that is remembered (RFC 5321 §4.5.3.1).
const MAX_ADDRESS: usize = 320;

/// What kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind<'a> {
    /// An aggregate report.
    Aggregate {
        /// The policy domain.
        domain: &'a str,
        /// The messages it counts.
        traffic: Traffic,
    },
    /// A failure report.
    Failure {
        /// The reverse-path of the message it is about; empty for the null one.
        reverse_path: &'a str,
        /// Whether that message is itself a report or an automatic answer: multipart/report, or Auto-Submitted other than `no`.
        is_automatic: bool,
    },
}

/// Of what an aggregate report tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Traffic {
    /// Messages in all.
    pub messages: u64,
    /// Those that were refused as spam.
    pub refused_as_spam: u64,
    /// Those that were reports themselves.
    pub reports: u64,
}

/// A report that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// The address that it would go to.
    pub to: &'a str,
    /// The address that it would come from.
    pub from: &'a str,
    /// Octets of the whole mail.
    pub octets: u64,
}

/// Why a report is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The mail is larger than [`Limits::octets`].
    #[error("the report is larger than {limit} octets")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The address is longer than an address can be.
    #[error("the address is too long")]
    Address,
    /// The destination is our own sender.
    #[error("the report would go to its own sender")]
    OwnAddress,
    /// All messages were refused as spam: their sender learns nothing from us.
    #[error("all messages were refused as spam")]
    AllSpam,
    /// The messages were nothing but reports: a report about them would be answered by another.
    #[error("all messages were reports themselves")]
    OnlyReports,
    /// A failure report about a message without a return address.
    #[error("the message has a null reverse-path")]
    NullSender,
    /// A failure report about an automatic message.
    #[error("the message is a report or an automatic one")]
    Automatic,
    /// The address was given up because reports bounced.
    #[error("reports to the address bounced")]
    DeadMailbox {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// The last report to it was too short a time ago.
    #[error("the last report was too short a time ago")]
    Interval {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// As many as may be were sent.
    #[error("as many reports as may be were sent in 24 hours")]
    DailyCap {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// So many addresses are in use that no further one can be remembered.
    #[error("too many destinations are in use")]
    Crowded,
}

impl Refusal {
    /// When the same report may be tried again; `None` if never.
    #[must_use]
    pub fn until(&self) -> Option<u64> {
        match self {
            Self::DeadMailbox { until } | Self::Interval { until } | Self::DailyCap { until } => {
                Some(*until)
            }
            _ => None,
        }
    }
}

/// What is remembered of an address.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, Default)]
struct Mailbox {
    /// When the 24 hours began in which is counted.
    since: u64,
    aggregates: u32,
    failures: u32,
    last_failure: Option<u64>,
    /// Bounces without a delivery between them.
    bounces: u32,
    dead_until: u64,
    last_used: u64,
}

impl Mailbox {
    fn remembered_until(&self, suppression: u64) -> u64 {
        // One that bounces is remembered for as long again as it is left alone.
        let idle = match self.bounces {
            0 => DAY,
            _ => suppression.saturating_mul(32),
        };
        self.last_used.saturating_add(idle).max(self.dead_until)
    }
}

/// The rules, and what was sent so far.
///
/// With the feature `serde` what was sent so far can be kept elsewhere, without the limits: [`with_limits`](Self::with_limits) gives it those
/// again. As nothing but the number of addresses and pairs is counted over all, a program with a database can keep a policy for each address.
///
/// ```
/// use dmarc::reports::sending_policy::{Kind, Refusal, Request, SendingPolicy, Traffic};
///
/// let mut policy = SendingPolicy::default();
/// let request = Request {
///     kind: Kind::Aggregate { domain: "example.com", traffic: Traffic { messages: 9, ..Traffic::default() } },
///     to: "dmarc@example.com",
///     from: "reports@receiver.example",
///     octets: 4_000,
/// };
/// assert_eq!(policy.request(1_700_000_000, &request), Ok(()));
/// assert_eq!(policy.request(1_700_000_001, &request), Err(Refusal::Interval { until: 1_700_003_600 }));
/// ```
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, Default)]
pub struct SendingPolicy {
    #[cfg_attr(feature = "serde", serde(skip))]
    limits: Limits,
    mailboxes: BTreeMap<Box<str>, Mailbox>,
    /// When an aggregate report about a domain was last sent to an address.
    #[cfg_attr(feature = "serde", serde(with = "pairs"))]
    pairs: BTreeMap<(Box<str>, Box<str>), u64>,
    swept: u64,
}

impl SendingPolicy {
    /// With these limits, and nothing sent.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// With what was sent so far, and these limits from now on.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether this report may be sent at this time (seconds since 1970). If so it counts as sent.
    ///
    /// # Errors
    /// Why not; [`Refusal::until`] says when it may be tried again.
    pub fn request(&mut self, now: u64, request: &Request<'_>) -> Result<(), Refusal> {
        let limits = &self.limits;
        if request.octets > limits.octets {
            return Err(Refusal::TooLarge {
                limit: limits.octets,
            });
        }
        if request.to.len() > MAX_ADDRESS {
            return Err(Refusal::Address);
        }
        if request.to.eq_ignore_ascii_case(request.from) {
            return Err(Refusal::OwnAddress);
        }
        worth_telling(&request.kind)?;
        self.sweep(now);
        let address: Box<str> = request.to.to_ascii_lowercase().into();
        let limits = &self.limits;
        let mut mailbox = match self.mailboxes.get(&address) {
            Some(mailbox) => mailbox.clone(),
            None if self.mailboxes.len() >= limits.destinations => return Err(Refusal::Crowded),
            None => Mailbox::default(),
        };
        if mailbox.dead_until > now {
            return Err(Refusal::DeadMailbox {
                until: mailbox.dead_until,
            });
        }
        if now >= mailbox.since.saturating_add(DAY) {
            (mailbox.since, mailbox.aggregates, mailbox.failures) = (now, 0, 0);
        }
        let until = mailbox.since.saturating_add(DAY);
        match request.kind {
            Kind::Aggregate { domain, .. } => {
                let domain: Box<str> = domain.to_ascii_lowercase().into();
                let pair = (address.clone(), domain);
                let last = self.pairs.get(&pair);
                after(last.copied(), limits.aggregate_interval, now)?;
                if mailbox.aggregates >= limits.aggregate_per_day {
                    return Err(Refusal::DailyCap { until });
                }
                if last.is_none() && self.pairs.len() >= limits.pairs {
                    return Err(Refusal::Crowded);
                }
                mailbox.aggregates += 1;
                self.pairs.insert(pair, now);
            }
            Kind::Failure { .. } => {
                after(mailbox.last_failure, limits.failure_interval, now)?;
                if mailbox.failures >= limits.failure_per_day {
                    return Err(Refusal::DailyCap { until });
                }
                mailbox.failures += 1;
                mailbox.last_failure = Some(now);
            }
        }
        mailbox.last_used = now;
        self.mailboxes.insert(address, mailbox);
        Ok(())
    }

    /// A report to this address was refused for good, or came back.
    pub fn bounced(&mut self, now: u64, to: &str) {
        let Some(mailbox) = self.mailboxes.get_mut(to.to_ascii_lowercase().as_str()) else {
            return;
        };
        mailbox.bounces = mailbox.bounces.saturating_add(1);
        if let Some(further) = mailbox.bounces.checked_sub(self.limits.bounces.max(1)) {
            let time = self.limits.suppression.saturating_mul(1 << further.min(4));
            mailbox.dead_until = now.saturating_add(time);
        }
    }

    /// A report to this address was taken.
    pub fn delivered(&mut self, to: &str) {
        if let Some(mailbox) = self.mailboxes.get_mut(to.to_ascii_lowercase().as_str()) {
            mailbox.bounces = 0;
            mailbox.dead_until = 0;
        }
    }

    /// How many addresses are remembered.
    #[must_use]
    pub fn destinations(&self) -> usize {
        self.mailboxes.len()
    }

    /// From when on nothing of all this decides anything, in seconds since 1970; 0 if nothing is remembered.
    #[must_use]
    pub fn remembered_until(&self) -> u64 {
        let interval = self.limits.aggregate_interval;
        let pairs = self
            .pairs
            .values()
            .map(|last| last.saturating_add(interval));
        let suppression = self.limits.suppression;
        let mailboxes = self.mailboxes.values();
        let mailboxes = mailboxes.map(|mailbox| mailbox.remembered_until(suppression));
        pairs.chain(mailboxes).max().unwrap_or_default()
    }

    /// Forgets what no longer decides anything, now and then.
    fn sweep(&mut self, now: u64) {
        if now < self.swept.saturating_add(SWEEP) {
            return;
        }
        self.swept = now;
        let interval = self.limits.aggregate_interval;
        self.pairs
            .retain(|_, last| now < last.saturating_add(interval));
        let suppression = self.limits.suppression;
        self.mailboxes
            .retain(|_, mailbox| now < mailbox.remembered_until(suppression));
    }
}

/// Whether so many seconds have gone by since.
fn after(last: Option<u64>, interval: u64, now: u64) -> Result<(), Refusal> {
    match last.map(|last| last.saturating_add(interval)) {
        Some(until) if until > now => Err(Refusal::Interval { until }),
        _ => Ok(()),
    }
}

/// Whether there is anything to be said, and nobody to answer it.
fn worth_telling(kind: &Kind<'_>) -> Result<(), Refusal> {
    match kind {
        Kind::Aggregate { traffic, .. } => {
            if traffic.refused_as_spam >= traffic.messages {
                return Err(Refusal::AllSpam);
            }
            if traffic.reports >= traffic.messages {
                return Err(Refusal::OnlyReports);
            }
        }
        Kind::Failure {
            reverse_path,
            is_automatic,
        } => {
            if reverse_path.is_empty() {
                return Err(Refusal::NullSender);
            }
            if *is_automatic || is_nobody(reverse_path) {
                return Err(Refusal::Automatic);
            }
        }
    }
    Ok(())
}

/// Whether it is the address of a program.
fn is_nobody(address: &str) -> bool {
    let local_part = address.rsplit_once('@').map_or(address, |(local, _)| local);
    let mut plain = local_part.to_ascii_lowercase();
    plain.retain(|c| !matches!(c, '-' | '_' | '.'));
    ["noreply", "donotreply", "mailerdaemon", "dmarc"]
        .into_iter()
        .any(|name| plain.starts_with(name))
}

/// Pairs as a list: what keeps them may have no keys but texts.
#[cfg(feature = "serde")]
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    type Pairs = BTreeMap<(Box<str>, Box<str>), u64>;

    pub(super) fn serialize<S: Serializer>(pairs: &Pairs, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(pairs)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
        let pairs = Vec::<((Box<str>, Box<str>), u64)>::deserialize(from)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn aggregate<'a>(domain: &'a str, to: &'a str) -> Request<'a> {
        let traffic = Traffic {
            messages: 3,
            ..Traffic::default()
        };
        Request {
            kind: Kind::Aggregate { domain, traffic },
            to,
            from: "reports@receiver.example",
            octets: 1_000,
        }
    }

    fn failure<'a>(reverse_path: &'a str, is_automatic: bool) -> Request<'a> {
        let kind = Kind::Failure {
            reverse_path,
            is_automatic,
        };
        Request {
            kind,
            ..aggregate("", "dmarc@example.com")
        }
    }

    #[test]
    fn what_tells_nothing_or_comes_back_is_not_sent() {
        let traffic = |messages, refused_as_spam, reports| Request {
            kind: Kind::Aggregate {
                domain: "example.com",
                traffic: Traffic {
                    messages,
                    refused_as_spam,
                    reports,
                },
            },
            ..aggregate("", "dmarc@example.com")
        };
        let large = Request {
            octets: 10 * 1024 * 1024 + 1,
            ..traffic(1, 0, 0)
        };
        let own = Request {
            from: "DMARC@example.com",
            ..traffic(1, 0, 0)
        };
        let long = "a".repeat(321);
        for (request, result) in [
            (traffic(9, 9, 0), Err(Refusal::AllSpam)),
            (traffic(9, 8, 0), Ok(())),
            (traffic(9, 0, 9), Err(Refusal::OnlyReports)),
            (traffic(9, 1, 8), Ok(())),
            (traffic(0, 0, 0), Err(Refusal::AllSpam)),
            (large, Err(Refusal::TooLarge { limit: 10_485_760 })),
            (own, Err(Refusal::OwnAddress)),
            (aggregate("a", &long), Err(Refusal::Address)),
            (failure("", false), Err(Refusal::NullSender)),
            (failure("joe@example.com", true), Err(Refusal::Automatic)),
            (
                failure("no-reply@example.com", false),
                Err(Refusal::Automatic),
            ),
            (
                failure("noreply-dmarc@example.com", false),
                Err(Refusal::Automatic),
            ),
            (
                failure("MAILER-DAEMON@example.com", false),
                Err(Refusal::Automatic),
            ),
            (failure("joe@example.com", false), Ok(())),
        ] {
            let mut policy = SendingPolicy::default();
            assert_eq!(policy.request(NOW, &request), result, "{request:?}");
        }
    }

    #[test]
    fn a_destination_gets_so_many_a_day_however_many_domains_name_it() {
        let limits = Limits {
            aggregate_per_day: 5,
            ..Limits::default()
        };
        let mut policy = SendingPolicy::new(limits);
        let domains: Vec<String> = (0..9).map(|number| format!("d{number}.example")).collect();
        let mut sent = 0;
        for (domain, at) in domains.iter().zip(NOW..) {
            let case = ["victim@example.com", "VICTIM@example.com"][sent % 2];
            match policy.request(at, &aggregate(domain, case)) {
                Ok(()) => sent += 1,
                Err(refusal) => assert_eq!(refusal, Refusal::DailyCap { until: NOW + DAY }),
            }
        }
        assert_eq!(sent, 5);
        let request = aggregate("d8.example", "victim@example.com");
        assert_eq!(policy.request(NOW + DAY, &request), Ok(()));
    }

    #[test]
    fn failure_reports_keep_their_distance_and_end_for_the_day() {
        let mut policy = SendingPolicy::default();
        let request = failure("joe@example.com", false);
        assert_eq!(policy.request(NOW, &request), Ok(()));
        let refused = Err(Refusal::Interval { until: NOW + 60 });
        assert_eq!(policy.request(NOW + 59, &request), refused);
        let sent = (1..200).filter(|minute| policy.request(NOW + 60 * minute, &request).is_ok());
        assert_eq!(sent.count(), 49);
    }

    #[test]
    fn a_dead_mailbox_is_left_alone_longer_each_time_and_can_come_back() {
        let mut policy = SendingPolicy::default();
        let to = "dead@example.com";
        let mut now = NOW;
        for _ in 0..3 {
            assert_eq!(policy.request(now, &aggregate("example.com", to)), Ok(()));
            policy.bounced(now, to);
            now += DAY;
        }
        let until = NOW + 2 * DAY + 7 * DAY;
        let request = aggregate("other.example", to);
        assert_eq!(
            policy.request(now, &request),
            Err(Refusal::DeadMailbox { until })
        );
        assert_eq!(policy.request(until, &request), Ok(()));
        policy.bounced(until, to);
        let again = Refusal::DeadMailbox {
            until: until + 14 * DAY,
        };
        assert_eq!(policy.request(until + DAY, &request), Err(again));
        assert_eq!(again.until(), Some(until + 14 * DAY));
        policy.delivered(to);
        assert_eq!(policy.request(until + DAY, &request), Ok(()));
        // A bounce of what was never sent is no reason for anything.
        policy.bounced(now, "other@example.com");
        assert_eq!(policy.destinations(), 1);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn what_was_kept_elsewhere_decides_the_same() {
        let limits = Limits {
            bounces: 1,
            ..Limits::default()
        };
        let again = |policy: &SendingPolicy| {
            let text = serde_json::to_string(policy).unwrap();
            let policy: SendingPolicy = serde_json::from_str(&text).unwrap();
            policy.with_limits(limits.clone())
        };
        let request = aggregate("example.com", "dmarc@example.com");
        let mut policy = again(&SendingPolicy::default());
        assert_eq!(policy.remembered_until(), 0);
        assert_eq!(policy.request(NOW, &request), Ok(()));
        assert_eq!(policy.remembered_until(), NOW + DAY);
        let mut policy = again(&policy);
        let until = NOW + 3_600;
        let refused = Err(Refusal::Interval { until });
        assert_eq!(policy.request(NOW + 1, &request), refused);
        policy.bounced(NOW + 1, request.to);
        assert_eq!(policy.remembered_until(), NOW + 32 * 7 * DAY);
        let until = NOW + 1 + 7 * DAY;
        let refused = Err(Refusal::DeadMailbox { until });
        assert_eq!(again(&policy).request(until - 1, &request), refused);
        assert_eq!(again(&policy).request(until, &request), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_given_back_after_a_day() {
        let limits = Limits {
            destinations: 10,
            pairs: 12,
            ..Limits::default()
        };
        let mut policy = SendingPolicy::new(limits);
        let addresses: Vec<String> = (0..30)
            .map(|number| format!("a{number}@example.com"))
            .collect();
        let mut ask = |now: u64| {
            let results = addresses
                .iter()
                .map(|to| policy.request(now, &aggregate("example.com", to)));
            results.filter(Result::is_ok).count()
        };
        assert_eq!(ask(NOW), 10);
        // Those that are known may go on, others find no room.
        assert_eq!(ask(NOW + 3_600), 10);
        assert_eq!(ask(NOW + 3_600 + 2 * DAY), 10);
        assert_eq!(policy.destinations(), 10);
    }
}
