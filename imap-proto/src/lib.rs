//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501) without I/O: types and a codec in both directions.
//!
//! # What is here
//!
//! - types that hold only what the protocol can say: [`Command`], [`Response`], [`Mailbox`], [`SequenceSet`], [`Flag`], …;
//! - [`parse_command`] and [`parse_response`], which read one command or response that lies in memory whole, bounded in nesting (32)
//!   and items; [`Command::print`] and [`Response::print`], which choose atom, quoted string or literal by content;
//! - [`MessageData`], which takes a message apart for FETCH, and [`Matcher`], which asks a message whether it is what SEARCH looks for;
//! - [`server::Session`] and [`client::Session`]: both sides of a connection, as [`mail_wire::Session`]s: append what was read to
//!   `input()`, poll until it wants something, answer its events, send what lies in `output()`.
//!
//! # What is not here
//!
//! No socket, store or clock.
//!
//! ```
//! use imap_proto::{CommandBody, PrintOptions, parse_command};
//!
//! let command = parse_command(b"a1 UID FETCH 4827313:* (FLAGS BODY.PEEK[HEADER])", false)?;
//! let CommandBody::Fetch { uid: true, set, .. } = &command.body else { unreachable!() };
//! assert_eq!(set.to_string(), "4827313:*");
//! assert_eq!(
//!     command.print(PrintOptions::default()).octets,
//!     b"a1 UID FETCH 4827313:* (FLAGS BODY.PEEK[HEADER])\r\n"
//! );
//! # Ok::<(), imap_proto::ParseError>(())
//! ```
//!
//! # The loop of a server
//!
//! Here with one message in place of a store. The driver puts what it reads into `input()`, runs this, and sends what is in `output()`.
//!
//! ```
//! use imap_proto::server::{Config, Event, MailboxView, Session};
//! use imap_proto::{FetchItem, Flag, MessageData, Text, UidSet};
//! use mail_wire::{Secret, Session as _, Step, Time, Upgraded};
//! use sasl_core::server::{Question, ServerConfig, is_own};
//! use std::num::NonZeroU32;
//!
//! fn turn(session: &mut Session, asked: &mut Vec<FetchItem>, message: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//!     let uid = NonZeroU32::MIN;
//!     loop {
//!         let event = match session.poll(Time::START)? {
//!             Step::Event(event) => event,
//!             // More input, TLS, or the end.
//!             _ => return Ok(()),
//!         };
//!         match event {
//!             Event::Connected(token) => session.greet(token, &Text::lossy("ready"))?,
//!             Event::Auth(token, Question::CheckPassword { password, .. }) => session.password(token, password.ct_eq("pencil"))?,
//!             Event::Auth(token, Question::Authorize { authcid, authzid }) => {
//!                 session.authorized(token, is_own(&authcid, authzid.as_ref()))?;
//!             }
//!             Event::Auth(token, _) => session.auth_unavailable(token)?,
//!             Event::Select { select, .. } => session.selected(select, MailboxView {
//!                 uid_validity: NonZeroU32::MIN,
//!                 uid_next: 2.try_into()?,
//!                 uids: UidSet::from_iter([uid.get()]),
//!                 flags: vec![Flag::Seen],
//!                 permanent_flags: vec![],
//!                 first_unseen: None,
//!                 read_only: true,
//!             })?,
//!             Event::Fetch { items, .. } => *asked = items,
//!             Event::Room(fetch) if asked.is_empty() => session.fetched(fetch, None)?,
//!             Event::Room(fetch) => {
//!                 let data = MessageData::parse(message);
//!                 let mut values = Vec::new();
//!                 for item in asked.drain(..) {
//!                     values.extend(data.value(&item)?);
//!                 }
//!                 session.message(fetch, uid, &values)?;
//!             }
//!             // A server answers the other questions as well; a token that is dropped leaves the client waiting.
//!             _ => {}
//!         }
//!     }
//! }
//!
//! let config = Config::new(ServerConfig::new(Secret::new([7; 32])));
//! let mut session = Session::new(config.into(), sasl_core::Entropy::new([1; 32]));
//! session.upgraded(Upgraded::Tls(Box::default()));
//! session.input().extend_from_slice(b"a LOGIN joe pencil\r\nb SELECT inbox\r\nc FETCH 1 (BODY.PEEK[TEXT])\r\n");
//! turn(&mut session, &mut Vec::new(), b"Subject: hi\r\n\r\nHello")?;
//! let said = String::from_utf8(session.output().to_vec())?;
//! assert!(said.ends_with("* 1 FETCH (BODY[TEXT] \"Hello\")\r\nc OK FETCH completed\r\n"), "{said}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

mod body_structure;
pub mod client;
mod command;
mod date;
mod envelope;
mod error;
mod fetch;
mod flag;
mod mailbox;
mod message_data;
mod parse;
mod print;
mod reader;
mod response;
mod search;
mod sequence;
pub mod server;

pub use body_structure::{
    BodyStructure, CommonExtension, MultipartExtension, Parameters, SinglePart,
    SinglePartExtension, Special,
};
pub use command::{
    Append, Command, CommandBody, IdParameters, List, ListReturn, ListSelect, StatusItem, Store,
    StoreMode, Tag,
};
pub use date::{Date, DateTime};
pub use envelope::{Envelope, EnvelopeAddress, NString};
pub use error::{InvalidValue, ParseError};
pub use fetch::{
    ExtensionValue, FetchItem, FetchValue, Section, SectionData, SectionName, SectionText,
};
pub use flag::{Flag, Keyword};
pub use mailbox::{Mailbox, decode_utf7, encode_utf7, list_pattern_matches};
pub use message_data::{MessageData, UnknownEncoding};
pub use parse::{parse_command, parse_response};
pub use print::{LiteralMode, PrintOptions, Printed};
pub use response::{
    Capability, Code, CopyUid, Data, Esearch, ListEntry, NamespaceEntry, Response, Status,
    StatusKind, StatusValue, Text, Word,
};
pub use search::{Candidate, Matcher, Reads, Search, SearchKey, SearchReturn};
pub use sequence::{SeqNumber, SequenceSet, UidSet};
