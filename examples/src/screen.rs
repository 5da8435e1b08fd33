//! What is asked of strangers who bring mail: what the DNS and the past say of them, one score of all, and what it leads to.
//!
//! [`Screen`] is the configuration, made ready; [`Visit`] goes along with a connection to port 25; [`Findings`] are what the decision
//! is made of, and [`explain`] prints them.

pub mod explain;
mod findings;
mod list_tests;
mod origins;
mod visit;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use screening::Network;
use screening::asn;
use screening::correspondents::Correspondents;
use screening::dnsbl::{self, List, ListHealth, Lists};
use screening::greylisting::Greylist;
use screening::helo::Ours;
use screening::rate_limit::{Decision, Quota, RateLimit, Subject};
use screening::reputation::{self, Outcome, Reputation};
use screening::s25r::S25r;
use screening::scorer::{Scorer, Thresholds};
use screening::store::Keys;

use crate::config::{self, Config, GreylistStage};
use crate::server::{Context, now};
use crate::store::{self, StoreError};

pub use explain::Imagined;
pub use findings::{Claim, Findings};
pub(crate) use list_tests::run as test_lists;
use origins::Origins;
pub use visit::{Answer, Screened, Visit, is_postmaster};

/// Everything that is asked about a message must have been answered within this time; what is not, counts for nobody and against nobody.
const PATIENCE: Duration = Duration::from_secs(3);

/// Correspondents that one message makes: one to more is a circular, whose recipients have no reason to answer.
const MOST_PAIRS: usize = 100;

/// How strangers are screened.
#[derive(Debug)]
pub struct Screen {
    enabled: bool,
    greeting_delay: Duration,
    evaluate_spf: bool,
    lists: Lists,
    health: Mutex<ListHealth>,
    origins: Origins,
    ours: Ours,
    s25r: S25r,
    scorer: Scorer,
    greylist: Option<Greylist>,
    reply_to: GreylistStage,
    correspondents: Option<Correspondents>,
    reputation: Option<Reputation>,
    rates: config::Rates,
    rate_limit: RateLimit,
}

/// Why the section `[screening]` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("screening: {0}")]
pub struct ScreenError(String);

impl Screen {
    /// As configured; `secret` is the store's, of which the keys of what is remembered are made.
    ///
    /// # Errors
    ///
    /// More lists than can be asked, or a zone that is too long.
    pub fn new(config: &Config, secret: &[u8; 32]) -> Result<Self, ScreenError> {
        let screening = &config.screening;
        let keys = keys(secret);
        let lists = screening.lists.iter().map(list);
        // What a list says is weighed by the scorer: none of them decides alone.
        let lists = Lists::new(lists, i64::MAX, &dnsbl::Limits::default())
            .map_err(|error| ScreenError(error.to_string()))?;
        let mut ours = Ours::default();
        let names = config.domains.iter().chain([&config.hostname]);
        ours.names
            .extend(names.filter_map(|name| name.parse().ok()));
        ours.names.extend_from_slice(&screening.helo.our_names);
        ours.addresses
            .extend_from_slice(&screening.helo.our_addresses);
        let mut s25r = S25r::default();
        s25r.networks.clone_from(&screening.s25r.networks);
        s25r.domains.clone_from(&screening.s25r.domains);
        s25r.unconfirmed = screening.s25r.unconfirmed.into();
        let (ipv4, ipv6) = (&screening.asn.ipv4_zone, &screening.asn.ipv6_zone);
        let asn = asn::Zones::new(ipv4.clone(), ipv6.clone());
        Ok(Self {
            enabled: screening.enabled,
            greeting_delay: Duration::from_millis(screening.greeting_delay),
            evaluate_spf: screening.spf,
            health: Mutex::new(ListHealth::new(&lists, (&screening.list_health).into())),
            lists,
            origins: Origins::new(
                asn.map_err(|error| ScreenError(error.to_string()))?,
                (&screening.list_health).into(),
            ),
            ours,
            s25r,
            scorer: scorer(screening),
            greylist: greylist(screening, keys),
            reply_to: screening.greylisting.reply_to,
            correspondents: correspondents(screening, keys),
            reputation: reputation(screening, keys),
            rates: screening.rates.clone(),
            rate_limit: rate_limit(&screening.rates, keys),
        })
    }

    /// Whether clients of this address are screened.
    #[must_use]
    pub fn concerns(&self, client: IpAddr) -> bool {
        let mut exempt = self.scorer.exempt.iter();
        self.enabled && !exempt.any(|network| network.contains(client))
    }

    fn health(&self) -> std::sync::MutexGuard<'_, ListHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What bounds a stranger's message.
    fn quotas<'a>(&self, findings: &Findings, sender: &'a str) -> Vec<(Subject<'a>, Quota)> {
        let (rates, client) = (&self.rates, findings.claim.client);
        let address = match findings.is_known() {
            true => rates.known_address,
            false => rates.address,
        };
        let networks = self.networks(client, rates.network);
        let networks = networks.map(|(network, quota)| (Subject::Network(network), quota));
        let others = [
            (Subject::Address(client), address),
            (Subject::Sender(sender), rates.sender),
        ];
        those_with_a_quota(others.into_iter().chain(networks))
    }

    /// The networks of a client with what each may: of IPv6 its provider's, too, which may three times as much.
    fn networks(
        &self,
        client: IpAddr,
        quota: Option<config::Quota>,
    ) -> impl Iterator<Item = (Network, Option<config::Quota>)> + use<> {
        let prefixes = &self.rate_limit.prefixes;
        let provider = prefixes.provider(client);
        let wider = provider.map(|network| (network, quota.map(config::Quota::three_times)));
        [Some((prefixes.network(client), quota)), wider]
            .into_iter()
            .flatten()
    }

    /// After how many seconds a stranger's message would be within what may come, if it is not; otherwise it is counted.
    async fn too_much(
        &self,
        context: &Arc<Context>,
        findings: &Findings,
    ) -> Result<Option<u64>, StoreError> {
        let (shared, findings) = (Arc::clone(context), findings.clone());
        context
            .store(move |store| {
                let screen = &shared.screen;
                let sender = visit::address(&findings.claim.sender);
                spend(store, screen.rate_limit, &screen.quotas(&findings, &sender))
            })
            .await
    }

    /// After how many seconds a stranger may attempt more, if it may not now; otherwise the attempt is counted.
    async fn attempts_too_much(
        &self,
        context: &Context,
        client: IpAddr,
    ) -> Result<Option<u64>, StoreError> {
        let networks = self.networks(client, self.rates.attempts);
        let quotas = networks.map(|(network, quota)| (Subject::Attempts(network), quota));
        self.spend(context, quotas).await
    }

    /// After how many seconds a stranger may send one more message to postmaster, if it may not now; otherwise it is counted.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn postmaster_gets_too_much(
        &self,
        context: &Context,
        client: IpAddr,
    ) -> Result<Option<u64>, StoreError> {
        let networks = self.networks(client, self.rates.postmaster);
        let quotas = networks.map(|(network, quota)| (Subject::Postmaster(network), quota));
        self.spend(context, quotas).await
    }

    async fn spend(
        &self,
        context: &Context,
        quotas: impl Iterator<Item = (Subject<'static>, Option<config::Quota>)>,
    ) -> Result<Option<u64>, StoreError> {
        let rate_limit = self.rate_limit;
        let quotas = those_with_a_quota(quotas);
        context
            .store(move |store| spend(store, rate_limit, &quotas))
            .await
    }

    /// After how many seconds one more recipient of a user would be within what users may send, if it is not; otherwise it is counted.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn user_sends_too_much(
        &self,
        context: &Context,
        login: &str,
        domain_elsewhere: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        let (rates, rate_limit) = (self.rates.clone(), self.rate_limit);
        let (login, domain) = (login.to_owned(), domain_elsewhere.map(str::to_owned));
        context
            .store(move |store| {
                let login = (Subject::Login(&login), rates.login);
                let domain = domain.as_deref().map(Subject::RecipientDomain);
                let domain = domain.map(|domain| (domain, rates.recipient_domain));
                let quotas = those_with_a_quota([login].into_iter().chain(domain));
                spend(store, rate_limit, &quotas)
            })
            .await
    }

    /// What the past of a client is worth.
    async fn past(
        &self,
        context: &Context,
        known_by: &KnownBy,
    ) -> Result<Option<reputation::Score>, StoreError> {
        let Some(reputation) = self.reputation.clone() else {
            return Ok(None);
        };
        let known_by = known_by.clone();
        let score = context.store(move |store| {
            let now = now();
            known_by.with(|client| {
                store::screen(store, now, |memory| reputation.score(memory, client, now))
            })
        });
        score.await.map(Some)
    }

    /// Whether somebody has written from the address of a recipient to that of a sender.
    async fn is_correspondent(
        &self,
        context: &Context,
        sender: String,
        recipient: &str,
    ) -> Result<bool, StoreError> {
        let Some(correspondents) = self.correspondents.clone() else {
            return Ok(false);
        };
        let recipient = recipient.to_owned();
        let known = context.store(move |store| {
            let now = now();
            store::screen(store, now, |memory| {
                correspondents.knows(memory, &recipient, &sender, now)
            })
        });
        known.await
    }

    /// Remembers that a user who has logged in has written from addresses of ours to addresses elsewhere.
    pub(crate) async fn user_wrote(
        &self,
        context: &Context,
        ours: BTreeSet<String>,
        theirs: Vec<String>,
    ) {
        let Some(correspondents) = self.correspondents.clone() else {
            return;
        };
        if theirs.is_empty() || ours.len() * theirs.len() > MOST_PAIRS {
            return;
        }
        let remembered = context.store(move |store| {
            let now = now();
            store::screen(store, now, |memory| {
                for (ours, theirs) in ours.iter().flat_map(|ours| {
                    let pair = move |theirs| (ours, theirs);
                    theirs.iter().map(pair)
                }) {
                    correspondents.wrote(memory, ours, theirs, now)?;
                }
                Ok(())
            })
        });
        if let Err(error) = remembered.await {
            tracing::error!(%error, "screening: a correspondent could not be remembered");
        }
    }

    /// Remembers what became of something that a client sent.
    pub(crate) async fn record(&self, context: &Context, known_by: &KnownBy, outcome: Outcome) {
        let Some(reputation) = self.reputation.clone() else {
            return;
        };
        let known_by = known_by.clone();
        let recorded = context.store(move |store| {
            let now = now();
            known_by.with(|client| {
                store::screen(store, now, |memory| {
                    reputation.record(memory, client, outcome, now)
                })
            })
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, "screening: an outcome could not be remembered");
        }
    }
}

fn those_with_a_quota<'a>(
    subjects: impl IntoIterator<Item = (Subject<'a>, Option<config::Quota>)>,
) -> Vec<(Subject<'a>, Quota)> {
    let subjects = subjects.into_iter();
    let quotas = subjects.filter_map(|(subject, quota)| Some((subject, quota?.into())));
    quotas.collect()
}

/// Counts one event; gives the seconds to wait if it is too much.
fn spend(
    store: &dyn store::Store,
    rate_limit: RateLimit,
    quotas: &[(Subject<'_>, Quota)],
) -> Result<Option<u64>, StoreError> {
    if quotas.is_empty() {
        return Ok(None);
    }
    let now = now();
    store::screen(store, now, |memory| {
        Ok(match rate_limit.check(memory, quotas, 1, now)? {
            Decision::Pass => None,
            Decision::Limited(limited) => {
                tracing::info!(%limited, "screening: too much");
                Some(limited.retry_after.as_secs())
            }
        })
    })
}

/// By what a client is known that is proven of it.
#[derive(Debug, Clone)]
pub(crate) struct KnownBy {
    client: IpAddr,
    asn: Option<u32>,
    helo: Option<String>,
    spf_domain: Option<String>,
    dkim_domains: Vec<String>,
}

impl KnownBy {
    const fn address(client: IpAddr) -> Self {
        Self {
            client,
            asn: None,
            helo: None,
            spf_domain: None,
            dkim_domains: Vec::new(),
        }
    }

    fn with<T>(&self, then: impl FnOnce(&reputation::Client<'_>) -> T) -> T {
        let domains: Vec<&str> = self.dkim_domains.iter().map(String::as_str).collect();
        let mut client = reputation::Client::new(self.client);
        client.asn = self.asn;
        client.helo = self.helo.as_deref();
        client.spf_domain = self.spf_domain.as_deref();
        client.dkim_domains = &domains;
        then(&client)
    }
}

fn list(list: &config::List) -> List {
    let subject = match list.subject {
        config::Subject::Address => dnsbl::Subject::Address,
        config::Subject::Ipv4 => dnsbl::Subject::Ipv4,
        config::Subject::Ipv6 => dnsbl::Subject::Ipv6,
        config::Subject::MailFrom => dnsbl::Subject::MailFrom,
        config::Subject::Helo => dnsbl::Subject::Helo,
        config::Subject::ReverseName => dnsbl::Subject::ReverseName,
    };
    let codes = match list.codes.clone() {
        config::Codes::Any => dnsbl::Codes::Any,
        config::Codes::OneOf(codes) => dnsbl::Codes::OneOf(codes),
        config::Codes::Between { first, last } => dnsbl::Codes::Between(first, last),
        config::Codes::Bits { bits } => dnsbl::Codes::Bits(bits),
    };
    let mut made = List::of(subject, list.zone.clone(), list.weight).with_codes(codes);
    (made.reason, made.tested) = (list.reason, list.tested);
    made
}

fn scorer(screening: &config::Screening) -> Scorer {
    let configured = &screening.thresholds;
    let mut thresholds = Thresholds::default();
    thresholds.greylist = configured.greylist.into();
    thresholds.tarpit = configured.tarpit.into();
    thresholds.tarpit_delay = Duration::from_secs(configured.tarpit_delay);
    thresholds.refuse = configured.refuse.into();
    thresholds.refuse_findings = configured.refuse_findings;
    Scorer {
        weights: screening.weights.clone(),
        thresholds,
        exempt: screening.exempt.clone(),
    }
}

fn reputation(screening: &config::Screening, keys: Keys) -> Option<Reputation> {
    screening.reputation.enabled.then(|| {
        let mut reputation = Reputation::new(keys);
        reputation.policy = (&screening.reputation).into();
        reputation
    })
}

fn greylist(screening: &config::Screening, keys: Keys) -> Option<Greylist> {
    let configured = &screening.greylisting;
    configured.enabled.then(|| {
        let mut greylist = Greylist::new(keys);
        let policy = &mut greylist.policy;
        policy.delay = Duration::from_secs(configured.delay);
        policy.retry_window = Duration::from_secs(configured.retry_window);
        policy.lifetime = Duration::from_secs(configured.lifetime);
        policy.known_after = configured.known_after;
        policy.ipv4_prefix = configured.ipv4_prefix;
        policy.ipv6_prefix = configured.ipv6_prefix;
        policy.known_ipv4_prefix = configured.known_ipv4_prefix;
        policy.known_ipv6_prefix = configured.known_ipv6_prefix;
        policy.null_sender_passes = configured.null_sender_passes;
        greylist.exempt.clone_from(&configured.exempt);
        greylist
            .exempt_domains
            .clone_from(&configured.exempt_domains);
        greylist
    })
}

fn rate_limit(rates: &config::Rates, keys: Keys) -> RateLimit {
    let mut rate_limit = RateLimit::new(keys);
    let prefixes = &mut rate_limit.prefixes;
    prefixes.ipv4_network = rates.ipv4_network;
    prefixes.ipv6_address = rates.ipv6_address;
    prefixes.ipv6_network = rates.ipv6_network;
    prefixes.ipv6_provider = rates.ipv6_provider;
    rate_limit
}

fn correspondents(screening: &config::Screening, keys: Keys) -> Option<Correspondents> {
    let configured = &screening.correspondents;
    configured.enabled.then(|| {
        let mut correspondents = Correspondents::new(keys);
        correspondents.policy.lifetime = Duration::from_secs(configured.lifetime);
        correspondents
    })
}

/// Made of a secret that lives as long as the store; other uses of it make other keys.
pub(crate) fn keys(secret: &[u8; 32]) -> Keys {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, b"screening");
    Keys::new(tag.as_ref().first_chunk().copied().unwrap_or_default())
}
