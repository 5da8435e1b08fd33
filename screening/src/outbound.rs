//! Is our own address worth taking mail from, and how to keep it so: warm-up, shaping, and what others say of us.
//!
//! | module | what it answers |
//! |---|---|
//! | [`provider`] | who takes the mail of this domain |
//! | [`reply_class`] | what a reply is about: the recipient, the message, or us |
//! | [`reputation`] | how an address of ours stands with a provider, and why |
//! | [`warm_up`] | which of our addresses may send this message now; how thirty days would go |
//! | [`shaping`] | how many connections and messages a destination gets now |
//! | `feedback_report` | what a complaint says (RFC 5965); with the feature `feedback-reports` |
//! | [`cfbl_address`] | where complaints about a message are wanted (RFC 9477) |
//! | [`complaints`] | whether a complaint is about mail of ours |
//! | [`suppression`] | whether an address gets no mail for now: its owner has complained, or it does not exist |
//!
//! # The loop of a queue
//!
//! ```
//! use screening::outbound::provider::Providers;
//! use screening::outbound::reply_class::Reply;
//! use screening::outbound::reputation::{Outcome, Reputation};
//! use screening::outbound::shaping::{Shaper, Turn};
//! use screening::outbound::warm_up::{Decision, Plan, Scheduler, Source};
//! use screening::store::{Keys, MemoryStore};
//!
//! let keys = Keys::new([7; 16]);
//! let providers = Providers::examples();
//! let sources = [Source::warming("192.0.2.2".parse()?), Source::warm("192.0.2.1".parse()?)];
//! let scheduler = Scheduler::new(Plan::default(), Reputation::new(keys), keys, sources);
//! let mut shaper = Shaper::default();
//! let mut store = MemoryStore::new(10_000);
//! let now = 1_800_000_000;
//!
//! // A message for ann@gmail.com is due.
//! let provider = providers.provider(&"gmail.com".parse()?, None);
//! let Turn::Now = shaper.connect(&provider, now) else { return Ok(()) };
//! let Decision::Send { address, .. } = scheduler.take(&mut store, &provider, 1, now)? else { return Ok(()) };
//! assert_eq!(address, "192.0.2.2".parse::<std::net::IpAddr>()?);
//! let Turn::Now = shaper.message(&provider, 0, now, now) else { return Ok(()) };
//!
//! // It was sent from there, and this came back.
//! let reply = Reply { code: 250, enhanced: Some((2, 0, 0)), text: "OK" };
//! scheduler.record(&mut store, address, &provider, Outcome::of(&reply), 1, now)?;
//! shaper.reply(&provider, &reply, now);
//! shaper.closed(&provider, now);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cfbl_address;
pub mod complaints;
#[cfg(feature = "feedback-reports")]
pub mod feedback_report;
pub mod provider;
pub mod reply_class;
pub mod reputation;
pub mod shaping;
pub mod suppression;
pub mod warm_up;

use std::net::IpAddr;

/// Seconds of a day. Days begin at midnight UTC.
const DAY: u64 = 86_400;

/// The day since 1970.
const fn day(now: u64) -> u64 {
    now / DAY
}

/// An address as a part of a key; IPv4 in IPv6 form is the IPv4 address.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
