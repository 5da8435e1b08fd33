//! The words of mail: addresses, domains, header fields, dates, tag lists, Authentication-Results, MIME.
//!
//! Every crate that reads or writes mail needs the same few notations, and an attack hides wherever two of them read the same
//! octets differently. So each notation is read in one place, here: RFC 5321 mailboxes and paths, RFC 5322 header fields and
//! address lists, RFC 6376 tag lists, RFC 8601 Authentication-Results, and the MIME tree.
//!
//! What it is not: no I/O, no DNS, no opinion on what to do with a message.
//!
//! ```
//! use mail_syntax::header::{Header, Limits};
//!
//! let message = b"From: Joe <joe@example.com>\r\nSubject: a fold\r\n  here\r\n\r\nbody\r\n";
//! let (header, body) = Header::split(message, &Limits::default())?;
//! assert_eq!(body, b"body\r\n");
//! let subject = header.named("subject").next().ok_or("no Subject")?;
//! assert_eq!(subject.raw(), b"Subject: a fold\r\n  here\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod address_list;
pub mod authentication_results;
pub mod date;
pub mod domain;
#[cfg(feature = "mime")]
pub mod feedback_report;
pub mod folding;
pub mod header;
mod lexer;
pub mod mailbox;
#[cfg(feature = "mime")]
pub mod mime;
pub mod received;
mod search;
mod severity;
pub mod tag_list;

pub use domain::{AddressLiteral, Domain, Host};
pub use mailbox::{ForwardPath, LocalPart, Mailbox, ReversePath};
pub use severity::Severity;

/// Whether a reader does not see a character, or sees others in another order for it (U+202E): no domain may hold one, and no log or header
/// field should.
pub const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
