//! The configuration file, `mail-server.toml`.
//!
//! Everything has a default but `hostname`, `domains`, `data` and `tls`; see `mail-server.example.toml`. Paths are relative to the
//! file.

mod bounds;
mod outbound;
mod reputation;
mod screening;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::screening::Network;
use ::screening::rate_limit;
use serde::Deserialize;

pub use self::outbound::{Outbound, OwnList, OwnListLevel, Shaping, Suppression};
pub use self::reputation::Reputation;
pub use self::screening::{
    Asn, Codes, Correspondents, GreylistStage, Greylisting, Helo, List, ListHealth, Never, Rates,
    S25r, Screening, Subject, Threshold, Thresholds, Unconfirmed,
};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no TOML, or has a field that is not known.
    #[error("{path}: {error}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What, and where in it.
        error: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{field}: {why}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it, and what would do.
        why: String,
    },
}

/// A mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The name in greetings, `Received` and Authentication-Results: the one that the address's reverse name gives.
    pub hostname: String,
    /// The domains whose mail ends here.
    pub domains: Vec<String>,
    /// Where mail, accounts and the queue lie.
    pub data: PathBuf,
    /// The login name of the account that gets mail for postmaster and abuse; default: the first account.
    pub postmaster: Option<String>,
    /// Certificate and key.
    pub tls: Tls,
    /// What to listen on.
    #[serde(default)]
    pub listen: Listen,
    /// Accounts beside those of `mail-server user add`.
    #[serde(default, rename = "account")]
    pub accounts: Vec<AccountConfig>,
    /// Addresses that stand for others, here or elsewhere.
    #[serde(default)]
    pub aliases: std::collections::BTreeMap<String, Vec<String>>,
    /// How mail from outside is judged.
    #[serde(default)]
    pub inbound: Inbound,
    /// What is asked of strangers.
    #[serde(default)]
    pub screening: Screening,
    /// What becomes of those who guess passwords.
    #[serde(default)]
    pub failed_login: FailedLogin,
    /// A POP3 login instead of one by SMTP.
    #[serde(default)]
    pub pop_before_smtp: PopBeforeSmtp,
    /// What our users may send.
    #[serde(default)]
    pub submission: Submission,
    /// How names are resolved.
    #[serde(default)]
    pub dns: Dns,
    /// How mail leaves.
    #[serde(default)]
    pub outbound: Outbound,
    /// Keys that sign what leaves.
    #[serde(default, rename = "dkim")]
    pub dkim: Vec<DkimKey>,
    /// What is told to the domains whose mail comes here.
    #[serde(default)]
    pub reports: Reports,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// Files of the certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain in PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its key in PEM.
    pub key: PathBuf,
    /// Who is trusted to vouch for servers that mail is relayed to under verified TLS; default: the roots of Mozilla.
    pub ca: Option<PathBuf>,
}

/// Addresses to listen on, for each service; none by default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Mail from anywhere (25), STARTTLS.
    pub smtp: Vec<SocketAddr>,
    /// Mail of our users (587), STARTTLS.
    pub submission: Vec<SocketAddr>,
    /// Mail of our users (465), implicit TLS.
    pub submissions: Vec<SocketAddr>,
    /// IMAP (143), STARTTLS.
    pub imap: Vec<SocketAddr>,
    /// IMAP (993), implicit TLS.
    pub imaps: Vec<SocketAddr>,
    /// POP3 (110), STLS.
    pub pop3: Vec<SocketAddr>,
    /// POP3 (995), implicit TLS.
    pub pop3s: Vec<SocketAddr>,
    /// Whether connections to `smtp` come through a load balancer that sends a PROXY header.
    pub proxy_header: bool,
}

/// An account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// The login name.
    pub name: String,
    /// The addresses whose mail it gets, and that it may send from.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// SCRAM keys, as `mail-server user keys` prints them.
    pub keys: Option<String>,
    /// A password in the clear, for trials: only its keys get into the store.
    pub password: Option<String>,
}

impl std::fmt::Debug for AccountConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountConfig")
            .field("name", &self.name)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// What is done with the verdict of DMARC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DmarcPolicy {
    /// Refuse what is to be rejected, put what is to be quarantined into Junk.
    #[default]
    Enforce,
    /// Only write it into Authentication-Results.
    Observe,
}

/// What is done with a message whose DMARC check could not be done for now (`temperror`), though a record was found that asks for more
/// than `none`. Where the record itself could not be had, the message is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DmarcTempError {
    /// Refuse it for now: a forger cannot escape the policy by a signature whose key has no answer, and who is honest comes again.
    #[default]
    Defer,
    /// Take it.
    Accept,
}

/// How mail from outside is judged.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbound {
    /// What DMARC does.
    pub dmarc: DmarcPolicy,
    /// What is done where DMARC has a temporary error; nothing if it only observes.
    pub temperror: DmarcTempError,
}

/// So many in so many seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "want { count = number, per = seconds }"
)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub per: u64,
    /// How many at once; default: `count`.
    pub burst: Option<u32>,
}

impl Quota {
    /// All of them at once, if need be.
    #[must_use]
    pub const fn new(count: u32, per: u64) -> Self {
        Self {
            count,
            per,
            burst: None,
        }
    }

    /// Three times as many.
    #[must_use]
    pub const fn three_times(self) -> Self {
        Self {
            count: self.count.saturating_mul(3),
            per: self.per,
            burst: match self.burst {
                Some(burst) => Some(burst.saturating_mul(3)),
                None => None,
            },
        }
    }
}

impl From<Quota> for rate_limit::Quota {
    fn from(quota: Quota) -> Self {
        let whole = Self::new(quota.count, Duration::from_secs(quota.per));
        whole.with_burst(quota.burst.unwrap_or(quota.count))
    }
}

/// What becomes of those who guess passwords, in all services.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailedLogin {
    /// Milliseconds that the answer to a first failure is held back, doubled with each further one; default: 1,000.
    pub delay: u64,
    /// Milliseconds that it is held back at most; default: 16,000.
    pub longest_delay: u64,
    /// Failures after which an address is banned; default: 50.
    pub address_failures: u32,
    /// Failures after which a network is banned; default: 150.
    pub network_failures: u32,
    /// Seconds after which a failure is forgotten, one after the other; default: 1,800.
    pub forgotten_after: u64,
    /// Seconds that a ban lasts; default: 3,600.
    pub ban: u64,
    /// Seconds for which a login is known at an address at which it succeeded; default: 30 days.
    pub known_for: u64,
    /// Attempts at one login at once, from where it is not known; default: 10. More are told to come again.
    pub at_once: u32,
    /// Leading bits of an IPv4 address that count as one address; default: 32.
    pub ipv4_address: u8,
    /// Leading bits of an IPv6 address that count as one address; default: 64.
    pub ipv6_address: u8,
    /// Leading bits of an IPv4 address that make its network; default: 24.
    pub ipv4_network: u8,
    /// Leading bits of an IPv6 address that make its network; default: 48.
    pub ipv6_network: u8,
    /// Networks that are never banned, such as that of a webmail server.
    #[serde(deserialize_with = "self::screening::networks")]
    pub exempt: Vec<Network>,
}

impl Default for FailedLogin {
    fn default() -> Self {
        let policy = ::screening::failed_login::Policy::default();
        Self {
            delay: 1000,
            longest_delay: 16_000,
            address_failures: policy.address_failures,
            network_failures: policy.network_failures,
            forgotten_after: policy.forgotten_after.as_secs(),
            ban: policy.ban.as_secs(),
            known_for: policy.known_for.as_secs(),
            at_once: policy.at_once,
            ipv4_address: policy.ipv4_address,
            ipv6_address: policy.ipv6_address,
            ipv4_network: policy.ipv4_network,
            ipv6_network: policy.ipv6_network,
            exempt: Vec::new(),
        }
    }
}

/// A POP3 login that lets its address send without one: historic, off by default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PopBeforeSmtp {
    /// Whether there is such a thing.
    pub enabled: bool,
    /// Minutes that the address may send for; default: 20.
    pub minutes: u64,
    /// Leading bits of an IPv4 address that share a grant; default: 32. Fewer let strangers send.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that share a grant; default: 128.
    pub ipv6_prefix: u8,
}

impl Default for PopBeforeSmtp {
    fn default() -> Self {
        let policy = ::screening::pop_before_smtp::Policy::default();
        Self {
            enabled: false,
            minutes: 20,
            ipv4_prefix: policy.ipv4_prefix,
            ipv6_prefix: policy.ipv6_prefix,
        }
    }
}

/// What our users may send.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Submission {
    /// Whether MAIL FROM, From and Sender must be addresses of the account that has logged in: its own, aliases that lead to it, or its
    /// `identities`; default: yes.
    pub own_addresses_only: bool,
    /// For a login name, further addresses that it may send as; `@example.org` is every address of that domain.
    pub identities: std::collections::BTreeMap<String, Vec<String>>,
}

impl Default for Submission {
    fn default() -> Self {
        Self {
            own_addresses_only: true,
            identities: std::collections::BTreeMap::new(),
        }
    }
}

/// How names are resolved.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Servers to ask instead of the system's.
    pub servers: Vec<SocketAddr>,
    /// A master file (RFC 1035) that answers everything instead: for trials.
    pub zone: Option<PathBuf>,
}

/// A key that signs what leaves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimKey {
    /// The signing domain; mail from it and from below it is signed.
    pub domain: String,
    /// The selector.
    pub selector: String,
    /// The private key in PEM: RSA of 2048 bits or more, or Ed25519.
    pub key: PathBuf,
}

/// What is told to the domains whose mail comes here (RFC 9990).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reports {
    /// Whether each domain that asks for it gets an aggregate report once a day; default: yes.
    pub aggregate: bool,
    /// Who reports; default: the host name.
    pub organization: Option<String>,
    /// The address that reports come from, and that may be written to; default: postmaster at the first domain.
    pub from: Option<String>,
    /// Reports to one address in 24 hours, those of a day about one domain counted as one; default: 1,000.
    pub per_day: u32,
    /// Octets of the mail; a report that is larger is not sent; default: 10 MiB.
    pub octets: u64,
    /// Reports that are refused for good, one after another, before an address is left alone; default: 3.
    pub bounces: u32,
    /// Seconds for which it is left alone, doubled each time up to 16 times; default: 7 days.
    pub suppression: u64,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            aggregate: true,
            organization: None,
            from: None,
            per_day: 1000,
            octets: 10 * 1024 * 1024,
            bounces: 3,
            suppression: 7 * 86400,
        }
    }
}

/// Bounds of the server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of a message; default: 50 MiB.
    pub message: u64,
    /// Connections at once, in all; default: 2,000.
    pub connections: usize,
    /// Those of them that port 25 cannot take; default: 500.
    pub reserved_for_users: usize,
    /// Connections at once to port 25, of one address; default: 30.
    pub connections_per_address: usize,
    /// Connections at once to the services of users, of one address; default: 150, as an office may be behind it.
    pub user_connections_per_address: usize,
    /// New connections in a minute, of one address; default: 300.
    pub new_connections_per_minute: u32,
    /// Leading bits that make one address, and the networks around it, of which each may have three times as much as the one before;
    /// default: 32 and 24.
    pub ipv4_prefixes: Vec<u8>,
    /// The same of IPv6; default: 64, 48 and 32.
    pub ipv6_prefixes: Vec<u8>,
    /// Networks of which only the connections in all are counted, such as that of a webmail server; default: this machine.
    #[serde(deserialize_with = "self::screening::networks")]
    pub exempt: Vec<Network>,
    /// Octets in a second that a message must come with on the average, once `data_grace` is over; default: 500.
    pub data_rate: u64,
    /// Seconds for which a message may be slower; default: 60.
    pub data_grace: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 50 * 1024 * 1024,
            connections: 2000,
            reserved_for_users: 500,
            connections_per_address: 30,
            user_connections_per_address: 150,
            new_connections_per_minute: 300,
            ipv4_prefixes: vec![32, 24],
            ipv6_prefixes: vec![64, 48, 32],
            exempt: self::screening::this_machine(),
            data_rate: 500,
            data_grace: 60,
        }
    }
}

impl Config {
    /// Reads a configuration file; its paths become relative to it.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            error: Box::new(error),
        })?;
        config.below(path.parent().unwrap_or_else(|| Path::new(".")));
        config.check()?;
        Ok(config)
    }

    fn below(&mut self, folder: &Path) {
        let mut paths = vec![&mut self.data, &mut self.tls.certificate, &mut self.tls.key];
        paths.extend(&mut self.tls.ca);
        paths.extend(&mut self.dns.zone);
        paths.extend(&mut self.outbound.providers);
        paths.extend(&mut self.outbound.warm_up);
        paths.extend(self.dkim.iter_mut().map(|key| &mut key.key));
        for path in paths {
            *path = folder.join(&*path);
        }
    }

    fn check(&mut self) -> Result<(), ConfigError> {
        let value = |field, why: String| Err(ConfigError::Value { field, why });
        if self.domains.is_empty() {
            return value(
                "domains",
                "name at least one domain whose mail ends here".to_owned(),
            );
        }
        for domain in self.domains.iter_mut().chain([&mut self.hostname]) {
            domain.make_ascii_lowercase();
            if let Err(error) = domain.parse::<mail_syntax::domain::Domain>() {
                return value("domains", format!("{domain}: {error}"));
            }
        }
        for account in &self.accounts {
            if account.name.is_empty() || account.name.chars().any(char::is_control) {
                return value(
                    "account",
                    "a name is needed, without control characters".to_owned(),
                );
            }
            if account.keys.is_some() == account.password.is_some() {
                return value(
                    "account",
                    format!("{}: give it either keys or a password", account.name),
                );
            }
        }
        for identity in self.submission.identities.values().flatten() {
            let checked = match identity.strip_prefix('@') {
                Some(domain) => mail_syntax::Domain::parse_utf8(domain)
                    .map(drop)
                    .map_err(|error| error.to_string()),
                None => mail_syntax::Mailbox::parse_utf8(identity)
                    .map(drop)
                    .map_err(|error| error.to_string()),
            };
            if let Err(error) = checked {
                return value("submission.identities", format!("{identity}: {error}"));
            }
        }
        if let Some(from) = &self.reports.from
            && let Err(error) = mail_syntax::Mailbox::parse_utf8(from)
        {
            return value("reports.from", format!("{from}: {error}"));
        }
        bounds::check(self)?;
        self.outbound.check(&self.domains)
    }

    /// Whether mail for this domain ends here.
    #[must_use]
    pub fn is_local(&self, domain: &str) -> bool {
        self.domains
            .iter()
            .any(|local| local.eq_ignore_ascii_case(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_whole() {
        let text = include_str!("../mail-server.example.toml");
        let config: Config = toml::from_str(text).unwrap();
        assert!(config.is_local("EXAMPLE.org"));
        assert_eq!(config.outbound.port, 25);
        assert!(config.submission.own_addresses_only);
        let default = Screening::default();
        assert_eq!(format!("{:?}", config.screening), format!("{default:?}"));
        let default = FailedLogin::default();
        assert_eq!(format!("{:?}", config.failed_login), format!("{default:?}"));
        let default = PopBeforeSmtp::default();
        let configured = format!("{:?}", config.pop_before_smtp);
        assert_eq!(configured, format!("{default:?}"));
        let default = ::screening::outbound::shaping::Policy::default();
        assert_eq!(config.outbound.shaping.over(&default), default);
        let (outbound, default) = (config.outbound, Outbound::default());
        assert_eq!(
            format!("{:?}", outbound.suppression),
            format!("{:?}", default.suppression)
        );
        assert_eq!(
            (outbound.late, outbound.retry, outbound.give_up),
            (default.late, default.retry, default.give_up)
        );
    }

    #[test]
    fn what_the_example_has_in_comments_is_accepted() {
        let text = include_str!("../mail-server.example.toml");
        let is_key = |line: &str| {
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            line.starts_with('[') || !key.is_empty() && !key.contains(' ')
        };
        let mut commented = 0;
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if is_key(key) => {
                commented += 1;
                key
            }
            _ => line,
        });
        let whole = lines.collect::<Vec<_>>().join("\n");
        let mut config: Config = toml::from_str(&whole).unwrap();
        assert!(commented > 30, "{commented}");
        // Each excludes the others, as the example says.
        let (source, smarthost) = (
            config.outbound.source.take(),
            config.outbound.smarthost.take(),
        );
        assert!(source.is_some() && smarthost.is_some() && config.listen.proxy_header);
        config.check().unwrap();
        let of_all = (config.screening.lists.len(), config.outbound.lists.len());
        assert_eq!((of_all, config.dkim.len()), ((1, 1), 1));
    }

    #[test]
    fn mistakes_are_told() {
        let error = toml::from_str::<Config>("hostname = 'x'\nhostnme = 'y'").unwrap_err();
        assert!(error.to_string().contains("hostnme"), "{error}");
    }
}
