//! What a client is told before it begins.

use core::time::Duration;

use sasl_core::client::Policy;

/// How a client behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// What the server may ask of a login; its plaintext policy holds for USER and PASS too.
    pub sasl: Policy,
    /// Bounds.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// Bounds of what a client takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a line that is not of a message, CR LF included. Default: 8,192; RFC 2449 §4 allows 512, and SASL challenges may be
    /// longer. Raising it costs that much memory.
    pub line: usize,
    /// Lines of the answer to CAPA. Default: 100. Raising it costs up to `line` octets each.
    pub capabilities: usize,
    /// Lines of the answer to LIST or UIDL. Default: 250,000. Raising it costs up to about 100 octets each.
    pub listing: usize,
    /// Octets of a message, dots unstuffed. Default: 1 GiB; messages pass through, so this bounds no memory but a server that never
    /// ends.
    pub message: u64,
    /// Commands that wait, unsent or unanswered. Default: 10,000. Raising it costs about 100 octets each.
    pub commands: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 8_192,
            capabilities: 100,
            listing: 250_000,
            message: 1 << 30,
            commands: 10_000,
        }
    }
}

/// Time limits of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until the greeting or an answer goes on. Default: 5 minutes. Raising it waits longer for dead servers.
    pub response: Duration,
    /// Without a command. Default: 10 minutes, when servers may close too (RFC 1939 §3). Raising it keeps dead connections.
    pub idle: Duration,
    /// Until the application answers. Default: 5 minutes.
    pub application: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response: Duration::from_secs(300),
            idle: Duration::from_secs(600),
            application: Duration::from_secs(300),
        }
    }
}
