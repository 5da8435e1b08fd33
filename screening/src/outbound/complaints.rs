//! Is a complaint about a message that we have sent, and to whose users? Only then it counts.
//!
//! Whoever sends gives each message a name that nobody can guess, as its CFBL-Feedback-ID (RFC 9477), and remembers under it and the
//! [`Provider`] by which address the message left. A feedback report shows that name only if its writer has seen the message. So a report
//! is about mail of ours, to users of a provider, if the name is known together with that provider; and no more often than the
//! provider has got the message. That the report comes from the provider is for the caller to prove
//! ([`may_be_believed`](super::cfbl_address::may_be_believed)); [`candidates`] are the providers that its domain may speak for.
//!
//! ```
//! use screening::outbound::complaints::{Complaints, candidates};
//! use screening::outbound::provider::Providers;
//! use screening::store::{Keys, MemoryStore};
//!
//! let complaints = Complaints::new(Keys::new([7; 16]));
//! let (mut store, providers, now) = (MemoryStore::new(10_000), Providers::examples(), 1_800_000_000);
//! let yahoo = providers.provider(&"yahoo.com".parse()?, None);
//! complaints.sent(&mut store, "8c1f6e02", &yahoo, "192.0.2.1".parse()?, now)?;
//!
//! let reporter = "arf.mail.yahoo.com".parse()?;
//! let provider = candidates(&providers, &reporter).find(|provider| *provider == yahoo).ok_or("another's")?;
//! let by = complaints.complained(&mut store, "8c1f6e02", &provider, now + 3_600)?;
//! assert_eq!(by, Some("192.0.2.1".parse()?));
//! assert_eq!(complaints.complained(&mut store, "8c1f6e02", &provider, now + 3_600)?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::time::Duration;
use std::net::{IpAddr, Ipv6Addr};

use mail_syntax::Domain;

use super::octets;
use super::provider::{Provider, Providers};
use crate::store::{Key, Keys, Kind, Store, Value};

/// For how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long a message is remembered. Default: 14 days: complaints come when mail is read. Each message costs an entry of the store for
    /// each provider.
    pub lifetime: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(14 * 24 * 3600),
        }
    }
}

/// Which messages were sent, and which of them were complained about.
#[derive(Clone, Debug)]
pub struct Complaints {
    /// For how long.
    pub policy: Policy,
    keys: Keys,
}

/// What is remembered of a message at a provider.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The address that it left by last.
    address: IpAddr,
    /// Recipients for whom the provider has taken it.
    recipients: u32,
    /// Complaints.
    complaints: u32,
}

impl Complaints {
    /// With the default policy.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            keys,
        }
    }

    /// The provider has taken the message of this name for one more recipient, at a time in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn sent<S: Store + ?Sized>(
        &self,
        store: &mut S,
        feedback_id: &str,
        provider: &Provider,
        address: IpAddr,
        now: u64,
    ) -> Result<(), S::Error> {
        let key = self.key(feedback_id, provider);
        let before = store.load(&key, now)?.map(Sent::of_value);
        let sent = Sent {
            address,
            recipients: before.map_or(0, |sent| sent.recipients).saturating_add(1),
            complaints: before.map_or(0, |sent| sent.complaints),
        };
        self.save(store, key, sent, now)
    }

    /// Takes a complaint of the provider; gives the address by which the message left. None: it was not sent to the provider, or so long
    /// ago that it is forgotten, or the provider has complained for each recipient already.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn complained<S: Store + ?Sized>(
        &self,
        store: &mut S,
        feedback_id: &str,
        provider: &Provider,
        now: u64,
    ) -> Result<Option<IpAddr>, S::Error> {
        let key = self.key(feedback_id, provider);
        let Some(mut sent) = store.load(&key, now)?.map(Sent::of_value) else {
            return Ok(None);
        };
        if sent.complaints >= sent.recipients {
            return Ok(None);
        }
        sent.complaints += 1;
        self.save(store, key, sent, now)?;
        Ok(Some(sent.address))
    }

    fn save<S: Store + ?Sized>(
        &self,
        store: &mut S,
        key: Key,
        sent: Sent,
        now: u64,
    ) -> Result<(), S::Error> {
        let expires = now.saturating_add(self.policy.lifetime.as_secs());
        store.save(key, sent.to_value(), expires)
    }

    fn key(&self, feedback_id: &str, provider: &Provider) -> Key {
        let parts: [&[u8]; 3] = [
            b"sent",
            feedback_id.as_bytes(),
            provider.as_str().as_bytes(),
        ];
        self.keys.key(Kind::Outbound, &parts)
    }
}

impl Sent {
    fn to_value(self) -> Value {
        let address = u128::from_be_bytes(octets(self.address));
        [
            // The halves of 128 bits.
            (address >> 64) as u64,
            address as u64,
            u64::from(self.recipients) << 32 | u64::from(self.complaints),
        ]
    }

    fn of_value([high, low, counts]: Value) -> Self {
        let address = Ipv6Addr::from(u128::from(high) << 64 | u128::from(low));
        Self {
            address: address.to_canonical(),
            // The halves of 64 bits.
            recipients: (counts >> 32) as u32,
            complaints: counts as u32,
        }
    }
}

/// The providers that a report of this domain may speak for: those of the domain, and of each domain above it.
///
/// Exchangers are not looked at: who reports signs with a domain of his own.
pub fn candidates<'a>(
    providers: &'a Providers,
    reporter: &Domain,
) -> impl Iterator<Item = Provider> + use<'a> {
    let above = core::iter::successors(Some(reporter.clone()), Domain::parent);
    above.map(|domain| providers.provider(&domain, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    fn provider(text: &str) -> Provider {
        text.parse().unwrap()
    }

    #[test]
    fn each_recipient_complains_once_of_what_was_sent() {
        let complaints = Complaints::new(Keys::new([2; 16]));
        let mut store = MemoryStore::new(100);
        let addresses: [IpAddr; 3] =
            ["192.0.2.1", "2001:db8::1", "0.0.0.0"].map(|text| text.parse().unwrap());
        let [v4, v6, any] = addresses;
        for (id, to, address) in [
            ("one", "gmail", v4),
            ("one", "gmail", v4),
            ("one", "a.example", v6),
            ("two", "gmail", any),
        ] {
            complaints
                .sent(&mut store, id, &provider(to), address, START)
                .unwrap();
        }
        for (id, from, at, by) in [
            ("one", "gmail", 1, Some(v4)),
            ("one", "yahoo", 1, None),
            ("three", "gmail", 1, None),
            ("", "gmail", 1, None),
            ("one", "gmail", 2, Some(v4)),
            ("one", "gmail", 3, None),
            ("one", "a.example", 14 * DAY, Some(v6)),
            ("two", "gmail", 14 * DAY + 1, None),
            ("two", "gmail", 14 * DAY, Some(any)),
        ] {
            let complained = complaints.complained(&mut store, id, &provider(from), START + at);
            assert_eq!(complained.unwrap(), by, "{id} {from} {at}");
        }
    }

    #[test]
    fn a_reporter_speaks_for_the_providers_above_it() {
        let providers = Providers::examples();
        for (reporter, speaks_for) in [
            ("arf.mail.yahoo.com", "yahoo"),
            ("hotmail.com", "outlook"),
            ("mail.a.example", "a.example"),
            ("a.example", "a.example"),
        ] {
            let mut all = candidates(&providers, &reporter.parse().unwrap());
            assert!(all.any(|it| it == provider(speaks_for)), "{reporter}");
        }
        for (reporter, other) in [
            ("yahoo.com.evil.example", "yahoo"),
            ("notyahoo.com", "yahoo"),
            ("com", "yahoo"),
            ("example", "a.example"),
        ] {
            let mut all = candidates(&providers, &reporter.parse().unwrap());
            assert!(!all.any(|it| it == provider(other)), "{reporter}");
        }
    }
}
