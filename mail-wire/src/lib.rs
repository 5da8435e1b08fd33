//! The contract between a mail protocol and a byte stream.
//!
//! A [`Session`] is a protocol (SMTP, LMTP, IMAP, POP3; server or client) that owns two byte queues and no socket, clock or thread.
//! Bytes and the time go in; events and bytes come out. So the same session runs under tokio, blocking threads, a fuzzer or a
//! simulator.
//!
//! # What is here
//!
//! - the contract: [`Session`], [`Step`], [`Time`]; the answers that an application owes: [`Pending`]; the streams it has promised:
//!   [`Stream`], [`Room`];
//! - [`framing`]: lines, dot-ended bodies, counted literals, each bounded;
//! - [`Secret`] for what must not be seen, [`TlsInfo`] for what a handshake told;
//! - [`Transport`]: the layers below a session, PROXY header, TLS (feature `rustls`), DEFLATE (feature `deflate`), each optional, and
//!   itself a [`Session`]. It answers [`Step::Upgrade`] by itself and ends a session behind whose STARTTLS plaintext waits.
//!
//! # What is not here
//!
//! No protocol, and no socket: whoever has one runs the loop below over it.
//!
//! # The loop
//!
//! ```
//! use core::time::Duration;
//! use bytes::BytesMut;
//! use mail_wire::{End, Session, Step, Time, Upgraded, framing::LineFramer};
//!
//! /// Answers each line with the same line.
//! #[derive(Default)]
//! struct Echo { input: BytesMut, output: BytesMut, lines: LineFramer, ended: bool }
//!
//! impl Session for Echo {
//!     type Event = usize;
//!     type Error = mail_wire::framing::LineTooLong;
//!     fn input(&mut self) -> &mut BytesMut { &mut self.input }
//!     fn output(&mut self) -> &mut BytesMut { &mut self.output }
//!     fn poll(&mut self, _now: Time) -> Result<Step<usize>, Self::Error> {
//!         match self.lines.next(&mut self.input, 512)? {
//!             Some(line) => {
//!                 self.output.extend_from_slice(&line.octets);
//!                 self.output.extend_from_slice(b"\r\n");
//!                 Ok(Step::Event(line.octets.len()))
//!             }
//!             None if self.ended => Ok(Step::Closed),
//!             None => Ok(Step::NeedInput),
//!         }
//!     }
//!     fn deadline(&self) -> Option<Time> { (!self.ended).then(|| Time::START + Duration::from_secs(300)) }
//!     fn wants_input(&self) -> bool { !self.ended }
//!     fn end_of_input(&mut self, _how: End) { self.ended = true; }
//!     fn upgraded(&mut self, _layer: Upgraded) {}
//! }
//!
//! let mut echo = Echo::default();
//! echo.input().extend_from_slice(b"hello\r\nwor");
//! assert_eq!(echo.poll(Time::START)?, Step::Event(5));
//! assert_eq!(echo.poll(Time::START)?, Step::NeedInput);
//! assert_eq!(&echo.output()[..], b"hello\r\n");
//! # Ok::<(), mail_wire::framing::LineTooLong>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

#[cfg(any(feature = "blocking", feature = "tokio"))]
pub mod driver;
pub mod framing;
mod pending;
mod secret;
mod session;
mod time;
mod tls_info;
mod transport;

pub use pending::{Desk, Pending, Room, Stale, Stream, TooLong};
pub use secret::{Secret, ct_eq, wipe_front};
pub use session::{End, Layer, Session, Step, Upgraded};
pub use time::{Time, UnixTime};
pub use tls_info::TlsInfo;
pub use transport::{Proxied, ProxyError, Timeouts, Transport, TransportError};
#[cfg(feature = "rustls")]
pub use transport::{TlsClient, TlsServer};
