//! POP3 (RFC 1939) without I/O: commands, replies, capabilities; a server and a client session.
//!
//! | what | from |
//! |---|---|
//! | commands and replies | RFC 1939; response codes RFC 2449 §8, RFC 3206 |
//! | CAPA, PIPELINING | RFC 2449 |
//! | STLS | RFC 2595 |
//! | AUTH | RFC 5034, by the mechanisms of [`sasl_core`] |
//!
//! # What is here
//!
//! - [`server::Session`] and [`client::Session`], each a [`mail_wire::Session`]: bytes and the time in, events and bytes out;
//! - [`command`], [`reply`], [`capability`], [`maildrop`]: the typed words, for programs that bring a session of their own.
//!
//! # What is not here
//!
//! No socket, no TLS, no mailbox: [`mail_wire::Transport`] puts TLS below a session, and the application opens, locks, reads and
//! empties the maildrop when an event asks for it. No APOP: it rests on MD5 and on passwords kept in clear.
//!
//! # The loop
//!
//! ```
//! use mail_wire::{Secret, Session as _, Step, Time};
//! use pop3_proto::maildrop::Message;
//! use pop3_proto::server::{Config, Event, Session};
//! use sasl_core::server::{Question, ServerConfig, is_own};
//! use sasl_core::{Entropy, PlaintextPolicy};
//!
//! let mut sasl = ServerConfig::new(Secret::new([1; 32]));
//! sasl.plaintext = PlaintextPolicy::Always; // there is no TLS in this example
//! let mut session = Session::new(Config::new(sasl), Entropy::new([2; 32]));
//! let mail = b"Subject: tea\r\n\r\n.\r\n";
//!
//! let client = b"USER mrose\r\nPASS tanstaaf\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n";
//! let mut deleted = Vec::new();
//! loop {
//!     match session.poll(Time::START)? {
//!         Step::Event(Event::Connected(pending)) => session.greet(pending, "pop.example ready")?,
//!         Step::Event(Event::Auth { question, pending }) => match question {
//!             Question::CheckPassword { password, .. } => {
//!                 let is_right = password.ct_eq("tanstaaf");
//!                 session.password(pending, is_right)?;
//!             }
//!             Question::Authorize { authcid, authzid } => {
//!                 session.authorized(pending, is_own(&authcid, authzid.as_ref()))?;
//!             }
//!             _ => session.auth_unavailable(pending)?,
//!         },
//!         Step::Event(Event::OpenMaildrop { pending, .. }) => {
//!             session.maildrop(pending, vec![Message::new(mail.len() as u64, "tea-1".parse()?)])?;
//!         }
//!         Step::Event(Event::Retrieve { pending, .. } | Event::Top { pending, .. }) => {
//!             session.promise(pending, mail.len() as u64)?;
//!         }
//!         Step::Event(Event::Room(stream)) => session.send(stream, mail)?, // or a piece of it
//!         Step::Event(Event::Update { deletes, pending }) => {
//!             deleted = deletes;
//!             session.updated(pending)?;
//!         }
//!         Step::Event(_) => {}
//!         Step::NeedInput => session.input().extend_from_slice(client), // from the socket
//!         Step::Upgrade(_) | Step::NeedAnswer(_) => unreachable!("not in this example"),
//!         Step::Closed => break,
//!     }
//! }
//! assert_eq!(deleted.len(), 1);
//! assert!(session.output().ends_with(b"+OK 19 octets\r\nSubject: tea\r\n\r\n..\r\n.\r\n+OK\r\n+OK bye\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod capability;
pub mod client;
pub mod command;
pub mod maildrop;
pub mod reply;
pub mod server;
