//! SMTP and LMTP without I/O: commands, replies, extensions, and the server's side of a connection.
//!
//! # What is here
//!
//! - the codec, each part bounded, parsed strictly and printed: [`Command`], [`Reply`], [`EnhancedStatus`], [`Extensions`];
//! - [`server::Session`]: bytes in, [`server::Event`]s and bytes out. It keeps the order of commands, the limits and the time limits,
//!   and runs PIPELINING, STARTTLS, AUTH, DATA and BDAT; what needs a decision, it asks.
//! - [`client::Session`], its mirror: greets, takes TLS, logs in, and sends messages, by [`client::Event`]s.
//!
//! The trace field that a server puts on top of a message is [`mail_syntax::received::Received`].
//!
//! # What is not here
//!
//! No sockets, no clock, no queue and no mailboxes: who may send what to whom is for the application to say.
//!
//! # The loop
//!
//! ```
//! use std::sync::Arc;
//! use mail_wire::{Session as _, Step, Time};
//! use sasl_core::Entropy;
//! use smtp_proto::server::{Config, Event, Session};
//!
//! let config = Arc::new(Config::new("mx.example".parse()?));
//! let mut session = Session::new(config, Entropy::new([0; 32])); // 32 octets of real randomness
//! session.input().extend_from_slice(
//!     b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\nSubject: hi\r\n\r\n..\r\n.\r\nQUIT\r\n",
//! );
//!
//! let mut message = Vec::new();
//! let mut delivered = Vec::new();
//! loop {
//!     match session.poll(Time::START)? {
//!         Step::Event(Event::Connected(pending)) => session.accept(pending)?,
//!         Step::Event(Event::Hello { pending, .. }) => session.accept(pending)?,
//!         Step::Event(Event::Mail { pending, .. }) => session.accept(pending)?,
//!         Step::Event(Event::Rcpt { pending, .. }) => session.accept(pending)?, // or reject(pending, reply)
//!         Step::Event(Event::Data(pending)) => session.accept(pending)?,
//!         Step::Event(Event::Body(octets)) => message.extend_from_slice(&octets),
//!         Step::Event(Event::EndOfData { pending, .. }) => {
//!             delivered.push(core::mem::take(&mut message)); // to disk, before it is accepted
//!             session.accept(pending)?;
//!         }
//!         Step::Event(Event::Aborted(_)) => message.clear(),
//!         Step::Event(_) => {}
//!         Step::NeedInput | Step::NeedAnswer(_) | Step::Upgrade(_) | Step::Closed => break, // here a driver reads and writes
//!     }
//! }
//! assert_eq!(delivered, [b"Subject: hi\r\n\r\n.\r\n"]);
//! assert!(session.output().ends_with(b"221 2.0.0 mx.example closes the connection\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod client;
pub mod command;
mod enhanced_status;
pub mod extension;
mod line_ends;
pub mod parameters;
mod reply;
pub mod server;

pub use command::{Command, CommandError};
pub use enhanced_status::{EnhancedStatus, EnhancedStatusError};
pub use extension::Extensions;
pub use parameters::{MailParameters, RcptParameters, Xtext, XtextError};
pub use reply::{Reply, ReplyError, ReplyReader};
