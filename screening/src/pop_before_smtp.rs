//! Who has just read mail by POP may send some from the same address, without a login of its own: POP before SMTP.
//!
//! **Historic, and off unless it is asked for.** It is from before SMTP could authenticate (RFC 4954). Use it only for machines that can
//! do nothing else, and see that they log in to POP over TLS: a password that was read on the way opens the mailbox too.
//!
//! What is wrong with it:
//!
//! - An address is not a person. RFC 6409 §3.3: "There is also a window during which an unauthorized user can submit messages and appear
//!   to be a previously authorized user." Behind the address translation of a household, an office or a mobile network, everybody
//!   else has the grant too; so has whoever is given the address next.
//! - Nothing binds it to a TLS session, so that TLS on the submission protects its content, and not the right to send.
//! - The client must fetch before it sends, and both servers must share what they know.
//!
//! In its place: a login in the submission itself (RFC 6409 §4.3, RFC 4954), over TLS (RFC 8314 §3.3).
//!
//! A grant opens submission to the account that logged in, and nothing more: not the port for mail from strangers (25), no address of
//! another account.
//!
//! ```
//! use screening::pop_before_smtp::PopBeforeSmtp;
//! use screening::store::{Keys, MemoryStore};
//!
//! let mut pop_before_smtp = PopBeforeSmtp::new(Keys::new([7; 16]));
//! let mut store = MemoryStore::new(10_000);
//! let (client, now) = ("192.0.2.7".parse()?, 1_800_000_000);
//! pop_before_smtp.logged_in(&mut store, client, 42, now)?;
//! assert_eq!(pop_before_smtp.granted(&mut store, client, now)?, None);
//!
//! pop_before_smtp.policy.enabled = true;
//! pop_before_smtp.logged_in(&mut store, client, 42, now)?;
//! let grant = pop_before_smtp.granted(&mut store, client, now + 60)?;
//! assert_eq!(grant.map(|grant| grant.account), Some(42));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::time::Duration;
use std::net::IpAddr;

use crate::Network;
use crate::store::{Entry, Key, Keys, Kind, Store, Value};

/// Whether there are grants, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Default: no.
    pub enabled: bool,
    /// How long a grant is good for after the last login. Default: 20 minutes (RFC 6409 §3.3). Raising it lets whoever is given the
    /// address next send for longer.
    pub valid_for: Duration,
    /// Leading bits of an IPv4 address that share a grant. Default: 32. Lowering it lets strangers send.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that share a grant. Default: 128. 64 is one household or one office, and lets a client change the
    /// address between POP and SMTP.
    pub ipv6_prefix: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: false,
            valid_for: Duration::from_secs(20 * 60),
            ipv4_prefix: 32,
            ipv6_prefix: 128,
        }
    }
}

/// The right to submit mail without a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The account that logged in by POP; what is sent is sent by it.
    pub account: u64,
    /// For how long still.
    pub valid_for: Duration,
}

/// The rules alone, for a store that answers asynchronously.
impl Policy {
    /// What to save when an account has logged in; none if there are no grants.
    pub fn logged_in(&self, account: u64, now: u64) -> Option<Entry> {
        self.enabled.then(|| Entry {
            value: [now, account, 0],
            expires: now.saturating_add(self.valid_for.as_secs()),
        })
    }

    /// The grant that a value stands for. One of a time that is yet to come is none: the clock was set back, and nobody knows how old it
    /// is.
    pub fn granted(&self, value: Option<Value>, now: u64) -> Option<Grant> {
        let [logged_in, account, _] = value.filter(|_| self.enabled)?;
        let age = now.checked_sub(logged_in)?;
        let left = self.valid_for.as_secs().checked_sub(age)?;
        Some(Grant {
            account,
            valid_for: Duration::from_secs(left),
        })
    }
}

/// The policy over what is remembered.
#[derive(Clone, Debug)]
pub struct PopBeforeSmtp {
    /// The rules.
    pub policy: Policy,
    keys: Keys,
}

impl PopBeforeSmtp {
    /// With the default policy: off.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            keys,
        }
    }

    /// Grants the address of a client that has just logged in by POP, at a time in seconds since 1970. The last login counts. Call it
    /// for logins under TLS only.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn logged_in<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: IpAddr,
        account: u64,
        now: u64,
    ) -> Result<(), S::Error> {
        match self.policy.logged_in(account, now) {
            Some(entry) => store.save(self.key(client), entry.value, entry.expires),
            None => Ok(()),
        }
    }

    /// The grant of an address, if it has one.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn granted<S: Store + ?Sized>(
        &self,
        store: &mut S,
        client: IpAddr,
        now: u64,
    ) -> Result<Option<Grant>, S::Error> {
        if !self.policy.enabled {
            return Ok(None);
        }
        let value = store.load(&self.key(client), now)?;
        Ok(self.policy.granted(value, now))
    }

    /// Under what the grant of an address is remembered.
    pub fn key(&self, client: IpAddr) -> Key {
        let client = client.to_canonical();
        let prefix = if client.is_ipv4() {
            self.policy.ipv4_prefix
        } else {
            self.policy.ipv6_prefix
        };
        let network = Network::new(client, prefix).octets();
        self.keys.key(Kind::PopBeforeSmtp, &[&network])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const START: u64 = 1_800_000_000;

    #[test]
    fn grants_end_and_are_for_one_address() {
        let mut measure = PopBeforeSmtp::new(Keys::new([2; 16]));
        measure.policy.enabled = true;
        let mut store = MemoryStore::new(100);
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        for (client, account, at) in [
            ("192.0.2.1", 1, 0),
            ("2001:db8::1", 2, 0),
            ("192.0.2.1", 3, 600),
        ] {
            measure
                .logged_in(&mut store, address(client), account, START + at)
                .unwrap();
        }
        let mut granted = |measure: &PopBeforeSmtp, client, at: i64| {
            let now = START.checked_add_signed(at).unwrap();
            let grant = measure.granted(&mut store, address(client), now).unwrap();
            grant.map(|grant| (grant.account, grant.valid_for.as_secs()))
        };
        for (client, at, expected) in [
            ("192.0.2.1", 600, Some((3, 1_200))),
            ("::ffff:192.0.2.1", 1_800, Some((3, 0))),
            ("192.0.2.1", 1_801, None),
            ("192.0.2.2", 600, None),
            ("2001:db8::1", 1_200, Some((2, 0))),
            ("2001:db8::1", 1_201, None),
            ("2001:db8::2", 600, None),
            // The clock was set back.
            ("192.0.2.1", 599, None),
            ("192.0.2.1", -1, None),
        ] {
            assert_eq!(granted(&measure, client, at), expected, "{client} at {at}");
        }
        measure.policy.enabled = false;
        assert_eq!(granted(&measure, "192.0.2.1", 700), None);
    }

    #[test]
    fn a_network_shares_a_grant_only_if_it_is_told_to() {
        let mut measure = PopBeforeSmtp::new(Keys::new([2; 16]));
        measure.policy.enabled = true;
        measure.policy.ipv6_prefix = 64;
        let mut store = MemoryStore::new(100);
        let [one, other, far] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        measure.logged_in(&mut store, one, 1, START).unwrap();
        assert!(measure.granted(&mut store, other, START).unwrap().is_some());
        assert!(measure.granted(&mut store, far, START).unwrap().is_none());
    }

    #[test]
    fn any_value_is_bounded() {
        let policy = Policy {
            enabled: true,
            ..Policy::default()
        };
        for (logged_in, now) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (1, 2)] {
            if let Some(grant) = policy.granted(Some([logged_in, 5, 0]), now) {
                assert!(now - logged_in <= 1_200 && grant.valid_for <= policy.valid_for);
            }
        }
        assert_eq!(policy.logged_in(1, u64::MAX).unwrap().expires, u64::MAX);
    }
}
