//! Drivers: they carry octets between a socket and a [`Transport`](crate::Transport), and the time to it.
//!
//! Both have the same shape, so that a program reads the same under either:
//!
//! ```text
//! while let Some(event) = driver.next()? { match event { … driver.session().accept(mail)? … } }
//! ```
//!
//! A socket that fails is told to the protocol as [`End::Cut`](crate::End::Cut), so a program has one kind of error to look at: the
//! transport's.

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "tokio")]
pub mod tokio;

/// Octets read at once.
const READ: usize = 16 * 1024;
/// How long the last octets may take to be sent once a session is over.
const LINGER: core::time::Duration = core::time::Duration::from_secs(10);
