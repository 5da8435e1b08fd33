//! SASL (RFC 4422): how a client proves to a server who it is; mechanisms, client and server, on raw bytes.
//!
//! SMTP, IMAP and POP3 share what is here. They carry its messages, each in base64 and with line limits of its own.
//!
//! | mechanism | from |
//! |---|---|
//! | `SCRAM-SHA-256-PLUS`, `SCRAM-SHA-256` | RFC 7677, RFC 5802; bindings `tls-exporter` (RFC 9266), `tls-server-end-point` (RFC 5929) |
//! | `PLAIN` | RFC 4616 |
//! | `LOGIN` | draft-murchison-sasl-login-00 |
//!
//! # What is here
//!
//! - [`server::Exchange`] and [`client::Exchange`]: one authentication, as messages in and [`server::Next`] or [`client::Next`] out;
//! - [`Mechanisms`]: what is offered, and what may be offered without TLS or without a channel binding;
//! - [`StoredKeys`]: what a server keeps of a password, as text for a database;
//! - [`base64`], [`prepare`] (SASLprep), [`Entropy`].
//!
//! # What is not here
//!
//! No account database, no clock, no randomness: the application hands in 32 octets of [`Entropy`] for each connection, looks up
//! keys and passwords when asked, and decides who may act as whom. No key derivation inside an exchange either: a hundred thousand
//! rounds of PBKDF2 are tens of milliseconds, so they are a plain function that the application runs where it likes
//! ([`StoredKeys::derive`], [`StoredKeys::verify`], [`client::Derivation::run`]).
//!
//! # The loop
//!
//! ```
//! use mail_wire::{Secret, TlsInfo};
//! use sasl_core::{client, server, Credentials, Entropy, Mechanism, Mechanisms, StoredKeys};
//!
//! let keys = StoredKeys::derive("pencil", b"0123456789abcdef".to_vec(), 4096)?;
//! let config = server::ServerConfig::new(Secret::new([1; 32]));
//! let tls = TlsInfo::default();
//!
//! let mut server = server::Exchange::new(Mechanism::ScramSha256, &config, Some(&tls), &mut Entropy::new([2; 32]))?;
//! let credentials = Credentials::new("user".parse()?, "pencil");
//! let offered = Mechanisms::from_iter([Mechanism::ScramSha256]);
//! let mut client = client::Exchange::new(
//!     Mechanism::ScramSha256, credentials, &offered, Some(&tls), &client::Policy::default(), &mut Entropy::new([3; 32]),
//! )?;
//!
//! let mut to_server = client.initial();
//! let mut next = server.start(to_server.as_ref().map(|message| &message.expose_secret()[..]));
//! let user = loop {
//!     next = match next {
//!         server::Next::Challenge(challenge) => {
//!             let mut answer = client.challenge(&challenge)?;
//!             if let client::Next::Derive(work) = answer {
//!                 answer = client.derived(work.run())?; // on another thread, if you like
//!             }
//!             let client::Next::Response(response) = answer else { unreachable!() };
//!             server.response(response.expose_secret())
//!         }
//!         server::Next::Ask(server::Question::StoredKeys { .. }) => server.stored_keys(Some(keys.clone())),
//!         server::Next::Ask(server::Question::Authorize { authcid, authzid }) => {
//!             server.authorized(server::is_own(&authcid, authzid.as_ref()))
//!         }
//!         server::Next::Success(success) => {
//!             client.succeeded(success.last.as_deref())?; // checks the server's signature
//!             break success.authcid;
//!         }
//!         other => panic!("{other:?}"),
//!     };
//! };
//! assert_eq!(user.as_str(), "user");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod base64;
pub mod client;
mod credentials;
mod entropy;
mod mechanism;
mod pbkdf2;
pub mod plain;
pub mod prepare;
pub mod scram;
pub mod server;
mod stored_keys;

pub use credentials::{Credentials, Identity, InvalidIdentity};
pub use entropy::Entropy;
pub use mechanism::{Mechanism, Mechanisms, PlaintextPolicy, UnknownMechanism};
pub use stored_keys::{InvalidStoredKeys, StoredKeys};

/// Bounds of what is taken in; both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of one message, after base64. Default: 9,216, which is 12,288 in base64 (RFC 4954 §4). Raising it costs that much
    /// memory for each exchange.
    pub message: usize,
    /// Octets of each user name and password. Default: 1,024; RFC 4616 §2 asks for 255. Raising it lets a peer make SASLprep and
    /// hashes of longer strings.
    pub identity: usize,
    /// Octets of the salt that a client takes from a server. Default: 1,024. It is hashed once.
    pub salt: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 9_216,
            identity: 1_024,
            salt: 1_024,
        }
    }
}
