//! Warm-up of new addresses: providers distrust an address that was never seen and sends much, so it begins with little and grows.
//!
//! A [`Plan`] is data: how many messages a day an address sends to each provider. A [`Scheduler`] spends it with the time handed in, and
//! pauses and steps back when a provider defers or its users complain. What is too much for new addresses goes to warm ones. A
//! [`Simulation`] shows the days to come before one starts.
//!
//! ```
//! use screening::outbound::provider::Provider;
//! use screening::outbound::reputation::Reputation;
//! use screening::outbound::warm_up::{Curve, Decision, Growth, Plan, Scheduler, Source};
//! use screening::store::{Keys, MemoryStore};
//!
//! let gmail: Provider = "gmail".parse()?;
//! let mut plan = Plan::default();
//! plan.providers.insert(gmail.clone(), Curve::growing(24, Growth::thousandths(1_500), 1_000, 30)?);
//! let keys = Keys::new([7; 16]);
//! let (new, old) = ("192.0.2.2".parse()?, "192.0.2.1".parse()?);
//! let scheduler = Scheduler::new(plan, Reputation::new(keys), keys, [Source::warming(new), Source::warm(old)]);
//!
//! let mut store = MemoryStore::new(10_000);
//! let midnight = 1_800_057_600;
//! // At midnight the first hour's share of 24 is open: one message. The next one goes by the old address.
//! assert!(matches!(scheduler.take(&mut store, &gmail, 1, midnight)?, Decision::Send { address, .. } if address == new));
//! assert!(matches!(scheduler.take(&mut store, &gmail, 1, midnight)?, Decision::Overflow { address, .. } if address == old));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod plan;
mod scheduler;
mod simulation;

pub use plan::{Curve, CurveError, Growth, GrowthError, Hours, HoursError, Plan};
pub use scheduler::{Causes, Decision, Held, MAX_SOURCES, Scheduler, Source, Status};
pub use simulation::{MAX_MESSAGES, Row, Simulation, Trouble};
