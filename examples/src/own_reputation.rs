//! Which of our addresses mail leaves from, and how they stand with those who take it.
//!
//! With a plan of warm-up that is its scheduler's to say; without one there is one address, which sends what there is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use mail_dns::{Name, Question, Record, RecordType};
use mail_syntax::Domain;
use screening::outbound::complaints::{Complaints, candidates};
use screening::outbound::provider::{Provider, Providers};
use screening::outbound::reply_class;
use screening::outbound::reputation::{Counts, Listing, Measure, Outcome, Reputation};
use screening::outbound::warm_up::{Decision, Plan, Scheduler, Source, Status};
use screening::store::Keys;
use smtp_proto::Reply;

use crate::config::{ConfigError, Outbound};
use crate::intake::date;
use crate::resolver::Resolver;
use crate::store::{self, Store, StoreError};
use crate::warm_up_plan::PlanFile;

/// The address of a server that names none: the system chooses, and all that it chooses stands as one.
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The addresses that mail leaves from.
#[derive(Debug)]
pub struct OwnAddresses {
    scheduler: RwLock<Scheduler>,
    complaints: Complaints,
    providers: Providers,
    /// When new addresses begin, in seconds since 1970.
    first_day: u64,
    /// A smarthost has its own opinion, and not that of the recipient's provider.
    has_smarthost: bool,
}

impl OwnAddresses {
    /// As configured; `secret` is the store's.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or makes no sense.
    pub fn new(outbound: &Outbound, secret: &[u8; 32]) -> Result<Self, ConfigError> {
        let keys = crate::screen::keys(secret);
        let providers = match &outbound.providers {
            Some(path) => (read(path)?.parse()).map_err(|error| ConfigError::Value {
                field: "outbound.providers",
                why: format!("{}: {error}", path.display()),
            })?,
            None => Providers::examples(),
        };
        let (scheduler, first_day) = match &outbound.warm_up {
            Some(path) => {
                let plan = PlanFile::of_server(&read(path)?, keys);
                let plan = plan.map_err(|error| ConfigError::Value {
                    field: "outbound.warm_up",
                    why: format!("{}: {error}", path.display()),
                })?;
                (plan.scheduler, plan.first_day.unwrap_or_default())
            }
            None => (one_warm(outbound.source.unwrap_or(ANY), keys), 0),
        };
        Ok(Self {
            scheduler: RwLock::new(scheduler),
            complaints: Complaints::new(keys),
            providers,
            first_day,
            has_smarthost: outbound.smarthost.is_some(),
        })
    }

    fn scheduler(&self) -> RwLockReadGuard<'_, Scheduler> {
        self.scheduler
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses that mail leaves from; none if the system chooses them.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let scheduler = self.scheduler();
        let addresses = scheduler.sources().iter().map(|source| source.address);
        addresses.filter(|address| *address != ANY).collect()
    }

    /// The providers that the rules know by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.names()
    }

    /// Takes down which lists have an address; whether they are others than before.
    pub fn listed(&self, address: IpAddr, listings: &[Listing]) -> bool {
        let scheduler = self.scheduler.write();
        let mut scheduler = scheduler.unwrap_or_else(PoisonError::into_inner);
        let mut sources = scheduler.sources_mut().iter_mut();
        let Some(source) = sources.find(|source| source.address == address) else {
            return false;
        };
        let is_new = source.listings != listings;
        source.listings = listings.to_vec();
        is_new
    }

    /// Who takes the mail of a domain, by the domain or by the most preferred of its exchangers.
    pub async fn provider(&self, resolver: &Resolver, domain: &Domain) -> Provider {
        let Ok(name) = domain.as_str().parse::<Name>() else {
            return Provider::of_domain(domain);
        };
        let answer = resolver.ask(&Question::new(name, RecordType::Mx)).await;
        let exchangers = answer.records().iter().filter_map(|record| match record {
            Record::Mx {
                preference,
                exchange,
            } => Some((*preference, exchange.to_string())),
            _ => None,
        });
        let first = exchangers.min().and_then(|(_, exchanger)| {
            let exchanger = exchanger.trim_end_matches('.');
            exchanger.parse().ok()
        });
        self.providers.provider(domain, first.as_ref())
    }

    /// Whether one of our addresses could connect to this one: it is of a family that there is a way for.
    pub(crate) fn reach(&self, target: SocketAddr) -> bool {
        let scheduler = self.scheduler();
        let mut sources = scheduler.sources().iter();
        sources.any(|source| reaches(source.address, target)) && has_route(target)
    }

    /// By which address one message leaves to this one, and spends it of its quota.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn take(
        &self,
        store: &dyn Store,
        provider: &Provider,
        target: SocketAddr,
        now: u64,
    ) -> Result<Decision, StoreError> {
        let scheduler = self.scheduler();
        let is_early = |address| {
            let mut sources = scheduler.sources().iter();
            now < self.first_day && sources.any(|it| it.address == address && !it.is_warm)
        };
        let may = |address| reaches(address, target) && !is_early(address);
        let decision = store::screen(store, now, |memory| {
            scheduler.take_from(may, memory, provider, 1, now)
        })?;
        Ok(match decision {
            // Only those that are new could reach it.
            Decision::Later { because, .. } if because.is_empty() && now < self.first_day => {
                let at = self.first_day;
                Decision::Later { at, because }
            }
            decision => decision,
        })
    }

    /// Gives back what was taken of a quota and did not reach the provider.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn give_back(
        &self,
        store: &dyn Store,
        address: IpAddr,
        provider: &Provider,
        now: u64,
    ) -> Result<(), StoreError> {
        store::screen(store, now, |memory| {
            self.scheduler()
                .give_back(memory, address, provider, 1, now)
        })
    }

    /// Records what became of a message that an address has sent. Of what a smarthost takes nothing is known.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn record(
        &self,
        store: &dyn Store,
        address: IpAddr,
        provider: &Provider,
        outcome: Outcome,
        now: u64,
    ) -> Result<(), StoreError> {
        if self.has_smarthost {
            return Ok(());
        }
        store::screen(store, now, |memory| {
            self.scheduler()
                .record(memory, address, provider, outcome, 1, now)
        })
    }

    /// Remembers that a provider has taken a message, by the name that complaints about it have.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn sent(
        &self,
        store: &dyn Store,
        feedback_id: &str,
        provider: &Provider,
        address: IpAddr,
        now: u64,
    ) -> Result<(), StoreError> {
        store::screen(store, now, |memory| {
            (self.complaints).sent(memory, feedback_id, provider, address, now)
        })
    }

    /// Until when complaints about a message that is sent now will be known.
    #[must_use]
    pub const fn complaints_until(&self, now: u64) -> u64 {
        now.saturating_add(self.complaints.policy.lifetime.as_secs())
    }

    /// Counts a complaint, if a message of this name went to a provider for which the reporter may speak: the provider, and the address of
    /// ours that has sent it.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn complained(
        &self,
        store: &dyn Store,
        feedback_id: &str,
        reporter: &Domain,
        now: u64,
    ) -> Result<Option<(Provider, IpAddr)>, StoreError> {
        for provider in candidates(&self.providers, reporter) {
            let address = store::screen(store, now, |memory| {
                (self.complaints).complained(memory, feedback_id, &provider, now)
            })?;
            if let Some(address) = address {
                self.record(store, address, &provider, Outcome::Complaint, now)?;
                return Ok(Some((provider, address)));
            }
        }
        Ok(None)
    }

    /// As what a provider is counted, and how each of our addresses stands with it.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn status(
        &self,
        store: &dyn Store,
        provider: &Provider,
        now: u64,
    ) -> Result<(Provider, Vec<Row>), StoreError> {
        let scheduler = self.scheduler();
        let reputation = &scheduler.reputation;
        let provider = scheduler.plan.pool(provider).into_owned();
        let rows = store::screen(store, now, |memory| {
            let status = scheduler.status(memory, &provider, now)?;
            let row = |status: Status| {
                let days = reputation.counts(memory, status.address, &provider, DAYS, now)?;
                let counts = sum(&days);
                Ok(Row { status, counts })
            };
            status.into_iter().map(row).collect::<Result<_, _>>()
        })?;
        Ok((provider, rows))
    }
}

/// Days that are counted for people.
const DAYS: usize = 7;

/// How an address of ours stands with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is in its warm-up, and how it stands.
    pub status: Status,
    /// What was counted in seven days.
    pub counts: Counts,
}

fn sum(days: &[Counts]) -> Counts {
    days.iter().fold(Counts::default(), |mut sum, day| {
        for (sum, of_day) in [
            (&mut sum.accepted, day.accepted),
            (&mut sum.deferred, day.deferred),
            (&mut sum.rejected, day.rejected),
            (&mut sum.unknown_recipients, day.unknown_recipients),
            (&mut sum.complaints, day.complaints),
        ] {
            *sum = sum.saturating_add(of_day);
        }
        sum
    })
}

/// One line for people.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, counts } = self;
        if status.address != ANY {
            write!(f, "{}: ", status.address)?;
        }
        if let (Some(day), Some(quota)) = (status.day, status.quota) {
            write!(f, "day {day}, {} of {quota} sent today; ", status.sent)?;
        }
        if let Some(until) = status.paused_until {
            write!(f, "paused until {}; ", date(until))?;
        }
        let (taken, deferred, refused) = (counts.accepted, counts.deferred, counts.rejected);
        let (unknown, complaints) = (counts.unknown_recipients, counts.complaints);
        write!(
            f,
            "{}; in {DAYS} days {taken} taken, {deferred} deferred, {refused} refused, {unknown} unknown recipients, {complaints} complaints",
            status.standing
        )?;
        match counts.rate(Measure::Complaints) {
            Some(rate) if complaints > 0 => write!(f, " ({rate})"),
            _ => Ok(()),
        }
    }
}

fn one_warm(address: IpAddr, keys: Keys) -> Scheduler {
    let mut plan = Plan::default();
    // Without a quota there is nothing that small domains would have to share.
    plan.pool_domains = false;
    Scheduler::new(plan, Reputation::new(keys), keys, [Source::warm(address)])
}

/// Whether the system knows a way there. Many servers have no IPv6, and most providers do: that is no failure of theirs.
fn has_route(target: SocketAddr) -> bool {
    let own: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // To connect a datagram's socket sends nothing.
    UdpSocket::bind(own).is_ok_and(|socket| socket.connect(target).is_ok())
}

fn reaches(source: IpAddr, target: SocketAddr) -> bool {
    source == ANY || source.is_ipv4() == target.is_ipv4()
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// The address to connect from; none: the system chooses.
#[must_use]
pub fn local(source: IpAddr) -> Option<IpAddr> {
    (source != ANY).then_some(source)
}

/// A reply, as the screening reads it. Some servers have statuses in their replies without offering them: they are believed.
pub(crate) fn classified<T>(reply: &Reply, then: impl FnOnce(&reply_class::Reply<'_>) -> T) -> T {
    let reply = reply.clone().with_enhanced_from_text();
    let enhanced = reply.enhanced();
    then(&reply_class::Reply {
        code: reply.code(),
        enhanced: enhanced.map(|status| {
            let class = u16::from(status.class());
            (class, status.subject(), status.detail())
        }),
        text: &reply.lines().join(" "),
    })
}
