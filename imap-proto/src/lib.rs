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
