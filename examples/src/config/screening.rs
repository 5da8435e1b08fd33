//! `[screening]`: what is asked of strangers, what each finding is worth, and what it leads to.

use std::net::Ipv4Addr;
use std::time::Duration;

use mail_dns::Name;
use screening::Network;
use screening::dnsbl::HealthPolicy;
use screening::s25r;
use screening::scorer::Weights;
use serde::{Deserialize, Deserializer};

use super::{Quota, Reputation};

/// How clients of port 25 are screened that have not logged in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Screening {
    /// Whether they are; default: yes.
    pub enabled: bool,
    /// Networks whose clients never are, such as `192.0.2.0/24`; default: this machine.
    #[serde(deserialize_with = "networks")]
    pub exempt: Vec<Network>,
    /// Milliseconds that a client without a good past waits for its greeting; who talks meanwhile is noted; default: 1,000.
    pub greeting_delay: u64,
    /// Whether SPF is evaluated before the message comes; default: yes. It is evaluated again for DMARC, from the same answers.
    pub spf: bool,
    /// The past of a client, and what it is worth.
    pub reputation: Reputation,
    /// Who announces the address of a client, which is asked nobody by default.
    pub asn: Asn,
    /// Lists, none by default.
    #[serde(rename = "list")]
    pub lists: Vec<List>,
    /// When lists are tested, and when they are turned off.
    pub list_health: ListHealth,
    /// What S25R finds suspicious, and whom never.
    pub s25r: S25r,
    /// What a server may not call itself, beside the host name and the domains of this one.
    pub helo: Helo,
    /// Who is asked to come again.
    pub greylisting: Greylisting,
    /// Whom our users have written to.
    pub correspondents: Correspondents,
    /// Points of each finding, by the name that `screening::scorer::Weights` has for it.
    pub weights: Weights,
    /// What is done from which score on.
    pub thresholds: Thresholds,
    /// How much may come in a time.
    pub rates: Rates,
}

impl Default for Screening {
    fn default() -> Self {
        Self {
            enabled: true,
            exempt: this_machine(),
            greeting_delay: 1000,
            spf: true,
            reputation: Reputation::default(),
            asn: Asn::default(),
            lists: Vec::new(),
            list_health: ListHealth::default(),
            s25r: S25r::default(),
            helo: Helo::default(),
            greylisting: Greylisting::default(),
            correspondents: Correspondents::default(),
            weights: Weights::default(),
            thresholds: Thresholds::default(),
            rates: Rates::default(),
        }
    }
}

pub(super) fn this_machine() -> Vec<Network> {
    let [ipv4, ipv6] = [[127, 0, 0, 0].into(), std::net::Ipv6Addr::LOCALHOST.into()];
    vec![Network::new(ipv4, 8), Network::new(ipv6, 128)]
}

/// The zones that have the AS number of an address, as Team Cymru publishes it; none by default, as whoever is asked learns who connects.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asn {
    /// For IPv4 addresses, such as `origin.asn.cymru.com`.
    #[serde(deserialize_with = "some_name")]
    pub ipv4_zone: Option<Name>,
    /// For IPv6 addresses, such as `origin6.asn.cymru.com`.
    #[serde(deserialize_with = "some_name")]
    pub ipv6_zone: Option<Name>,
}

/// When lists are tested (RFC 5782 §5), and when they are turned off.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListHealth {
    /// Seconds from one test of a list that works to the next; default: 3,600.
    pub interval: u64,
    /// Seconds from a test that failed to the next, doubled with each; default: 60.
    pub first_retry: u64,
    /// Seconds that the doubling ends at; default: 86,400.
    pub longest_retry: u64,
    /// Tests in a row without an answer, after which a list is off; default: 3.
    pub failures: u32,
    /// Clients in a row that a list has listed, after which it is tested early; default: 20.
    pub listed_in_a_row: u32,
}

impl Default for ListHealth {
    fn default() -> Self {
        let policy = HealthPolicy::default();
        Self {
            interval: policy.interval.as_secs(),
            first_retry: policy.first_retry.as_secs(),
            longest_retry: policy.longest_retry.as_secs(),
            failures: policy.failures,
            listed_in_a_row: policy.listed_in_a_row,
        }
    }
}

impl From<&ListHealth> for HealthPolicy {
    fn from(configured: &ListHealth) -> Self {
        let mut policy = Self::default();
        policy.interval = Duration::from_secs(configured.interval);
        policy.first_retry = Duration::from_secs(configured.first_retry);
        policy.longest_retry = Duration::from_secs(configured.longest_retry);
        policy.failures = configured.failures;
        policy.listed_in_a_row = configured.listed_in_a_row;
        policy
    }
}

/// A block list, or by a negative weight a white list (RFC 5782).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The zone.
    #[serde(deserialize_with = "name")]
    pub zone: Name,
    /// What is looked up; default: the address.
    #[serde(default)]
    pub subject: Subject,
    /// The points of a listing; default: 4.
    #[serde(default = "four")]
    pub weight: i32,
    /// Which answers count; default: every one in 127/8.
    #[serde(default)]
    pub codes: Codes,
    /// Whether the list is asked for its reason; default: no.
    #[serde(default)]
    pub reason: bool,
    /// Whether it has the test entries of RFC 5782 §5, by which it is turned off when it does not work; default: yes.
    #[serde(default = "yes")]
    pub tested: bool,
}

const fn four() -> i32 {
    4
}

pub(super) const fn yes() -> bool {
    true
}

/// What is looked up in a list.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The client's address.
    #[default]
    Address,
    /// The client's address, if it is IPv4.
    Ipv4,
    /// The client's address, if it is IPv6.
    Ipv6,
    /// The domain of MAIL FROM.
    MailFrom,
    /// The name in HELO.
    Helo,
    /// The name of the address, if it leads back to it.
    ReverseName,
}

/// Which answers of a list count.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    untagged,
    expecting = "want addresses, { first = address, last = address } or { bits = number }"
)]
pub enum Codes {
    /// Every one.
    #[default]
    Any,
    /// These: `["127.0.0.2", "127.0.0.3"]`.
    OneOf(Vec<Ipv4Addr>),
    /// A range: `{ first = "127.0.0.4", last = "127.0.0.7" }`.
    Between {
        /// Its first.
        first: Ipv4Addr,
        /// Its last.
        last: Ipv4Addr,
    },
    /// Those with one of these bits in the last octet: `{ bits = 6 }`.
    Bits {
        /// The bits.
        bits: u8,
    },
}

/// What S25R makes of a name that does not lead back to the address.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unconfirmed {
    /// The rules look at it; where none matches, it is as good as no name (rule 0).
    #[default]
    NoName,
    /// It is a name as any other.
    Name,
}

impl From<Unconfirmed> for s25r::Unconfirmed {
    fn from(configured: Unconfirmed) -> Self {
        match configured {
            Unconfirmed::NoName => Self::IsNoName,
            Unconfirmed::Name => Self::IsName,
        }
    }
}

/// What S25R finds suspicious, and whom never: its white list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S25r {
    /// What a name is worth that does not lead back to the address; default: as good as none.
    pub unconfirmed: Unconfirmed,
    /// By network.
    #[serde(deserialize_with = "networks")]
    pub networks: Vec<Network>,
    /// By a name that leads back to the address: these domains, and what is below them.
    #[serde(deserialize_with = "names")]
    pub domains: Vec<Name>,
}

/// What else is ours.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Helo {
    /// Names.
    #[serde(deserialize_with = "names")]
    pub our_names: Vec<Name>,
    /// Addresses, as the world sees them.
    pub our_addresses: Vec<std::net::IpAddr>,
}

/// Where the client is told to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GreylistStage {
    /// In answer to RCPT, which costs the least.
    Recipient,
    /// In answer to the message, behind its last octet: for clients that take a 450 to RCPT for good, and for those who verify addresses of
    /// ours by a transaction that ends after RCPT (RFC 6647 §4.2).
    Message,
}

/// Who reaches the threshold is asked to come again (RFC 6647).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Greylisting {
    /// Whether anybody is; default: yes.
    pub enabled: bool,
    /// Where the client is told to come again; default: at the recipient.
    pub reply_to: GreylistStage,
    /// Seconds until a retry counts; default: 60.
    pub delay: u64,
    /// Seconds after which a retry is a first attempt again; default: 24 hours.
    pub retry_window: u64,
    /// Seconds for which a client is known after its last message; default: 35 days.
    pub lifetime: u64,
    /// Messages whose retry passed, after which everything from there does; default: 1.
    pub known_after: u32,
    /// Leading bits of an IPv4 address that a message may come again from; default: 24.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that a message may come again from; default: 64.
    pub ipv6_prefix: u8,
    /// Leading bits of an IPv4 address that are known once a message has come again; default: 32. Fewer let in the neighbours of whoever
    /// has a queue.
    pub known_ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that are known once a message has come again; default: 64.
    pub known_ipv6_prefix: u8,
    /// Whether the null reverse-path is never delayed; default: no.
    pub null_sender_passes: bool,
    /// Networks that are never delayed.
    #[serde(deserialize_with = "networks")]
    pub exempt: Vec<Network>,
    /// Domains that are never delayed if SPF passes, and what is below them: those that send codes for a login.
    #[serde(deserialize_with = "names")]
    pub exempt_domains: Vec<Name>,
}

impl Default for Greylisting {
    fn default() -> Self {
        let policy = screening::greylisting::Policy::default();
        Self {
            enabled: true,
            reply_to: GreylistStage::Recipient,
            delay: policy.delay.as_secs(),
            retry_window: policy.retry_window.as_secs(),
            lifetime: policy.lifetime.as_secs(),
            known_after: policy.known_after,
            ipv4_prefix: policy.ipv4_prefix,
            ipv6_prefix: policy.ipv6_prefix,
            known_ipv4_prefix: policy.known_ipv4_prefix,
            known_ipv6_prefix: policy.known_ipv6_prefix,
            null_sender_passes: policy.null_sender_passes,
            exempt: Vec::new(),
            exempt_domains: Vec::new(),
        }
    }
}

/// Whom our users have written to is not asked to come again, where SPF passes for the domain of his address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Correspondents {
    /// Whether anybody is known by that; default: yes.
    pub enabled: bool,
    /// Seconds for which an address is known after the last message to it; default: 90 days.
    pub lifetime: u64,
}

impl Default for Correspondents {
    fn default() -> Self {
        let policy = screening::correspondents::Policy::default();
        Self {
            enabled: true,
            lifetime: policy.lifetime.as_secs(),
        }
    }
}

/// From which score on what is done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// A temporary refusal of who is not known; default: 3.
    pub greylist: Threshold,
    /// That, and slow replies; default: 6.
    pub tarpit: Threshold,
    /// Seconds that a reply waits then; default: 20.
    pub tarpit_delay: u64,
    /// A refusal for good; default: 14.
    pub refuse: Threshold,
    /// Findings that a refusal needs; default: 2.
    pub refuse_findings: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        let scorer = screening::scorer::Thresholds::default();
        let threshold = |at: Option<i64>| at.map_or(Threshold::Word(Never::Never), Threshold::At);
        Self {
            greylist: threshold(scorer.greylist),
            tarpit: threshold(scorer.tarpit),
            tarpit_delay: scorer.tarpit_delay.as_secs(),
            refuse: threshold(scorer.refuse),
            refuse_findings: scorer.refuse_findings,
        }
    }
}

/// A score, or `"never"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "want a score, or \"never\"")]
pub enum Threshold {
    /// From this score on.
    At(i64),
    /// Not at all.
    Word(Never),
}

/// A word.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Never {
    /// Not at all.
    Never,
}

impl From<Threshold> for Option<i64> {
    fn from(threshold: Threshold) -> Self {
        match threshold {
            Threshold::At(score) => Some(score),
            Threshold::Word(Never::Never) => None,
        }
    }
}

/// How much may come in a time: transactions of strangers, recipients of users who have logged in. What has no quota is not bounded;
/// `"none"` takes the default's away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Messages of an address that is not known; default: 60 in an hour. A small server does not send as many to one other, and what an
    /// address sends before it has earned a good past is bounded. Raising it lets a machine that runs wild send more.
    #[serde(deserialize_with = "rate")]
    pub address: Option<Quota>,
    /// Messages of an address that is: of a good past, by the address or the domain that SPF proves, or on a list of good
    /// senders; default: 1,000 in an hour. One address of a large provider sends some hundreds to a company.
    #[serde(deserialize_with = "rate")]
    pub known_address: Option<Quota>,
    /// Messages of a stranger's network; default: none.
    #[serde(deserialize_with = "rate")]
    pub network: Option<Quota>,
    /// Attempts of a stranger's network that greylisting is asked about, those that it turns away too; default: 600 in an hour.
    #[serde(deserialize_with = "rate")]
    pub attempts: Option<Quota>,
    /// Recipients `postmaster` of a stranger's network, who are not screened; default: 100 in an hour.
    #[serde(deserialize_with = "rate")]
    pub postmaster: Option<Quota>,
    /// Leading bits of an IPv4 address that make its network; default: 24.
    pub ipv4_network: u8,
    /// Leading bits of an IPv6 address that count as one address; default: 64.
    pub ipv6_address: u8,
    /// Leading bits of an IPv6 address that make its network; default: 48.
    pub ipv6_network: u8,
    /// Leading bits of an IPv6 address that make its provider's, which may three times as much as a network; default: 32.
    pub ipv6_provider: u8,
    /// Messages of a stranger's MAIL FROM; default: none.
    #[serde(deserialize_with = "rate")]
    pub sender: Option<Quota>,
    /// Recipients of a user; default: 1,000 in a day, which a stolen password does not go beyond.
    #[serde(deserialize_with = "rate")]
    pub login: Option<Quota>,
    /// Recipients at one domain elsewhere, of all users together; default: none.
    #[serde(deserialize_with = "rate")]
    pub recipient_domain: Option<Quota>,
}

impl Default for Rates {
    fn default() -> Self {
        let prefixes = screening::rate_limit::Prefixes::default();
        Self {
            address: Some(Quota::new(60, 3600)),
            known_address: Some(Quota::new(1000, 3600)),
            network: None,
            attempts: Some(Quota::new(600, 3600)),
            postmaster: Some(Quota::new(100, 3600)),
            ipv4_network: prefixes.ipv4_network,
            ipv6_address: prefixes.ipv6_address,
            ipv6_network: prefixes.ipv6_network,
            ipv6_provider: prefixes.ipv6_provider,
            sender: None,
            login: Some(Quota::new(1000, 86_400)),
            recipient_domain: None,
        }
    }
}

/// A quota, or `"none"`.
fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quota>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "want { count = number, per = seconds, burst = number }, or \"none\""
    )]
    enum Rate {
        Of(Quota),
        Word(NoRate),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum NoRate {
        None,
    }
    Ok(match Rate::deserialize(deserializer)? {
        Rate::Of(quota) => Some(quota),
        Rate::Word(NoRate::None) => None,
    })
}

fn parsed<'de, T: std::str::FromStr<Err: std::fmt::Display>, D: Deserializer<'de>>(
    text: &str,
) -> Result<T, D::Error> {
    text.parse()
        .map_err(|error| serde::de::Error::custom(format_args!("{text}: {error}")))
}

pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    parsed::<_, D>(&String::deserialize(deserializer)?)
}

fn some_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Name>, D::Error> {
    name(deserializer).map(Some)
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Name>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parsed::<_, D>(text)).collect()
}

pub(super) fn networks<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parsed::<_, D>(text)).collect()
}
