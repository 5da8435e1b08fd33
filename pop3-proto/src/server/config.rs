//! What a server is told before it begins.

use core::time::Duration;

use sasl_core::server::ServerConfig;

use crate::capability::Capability;

/// How a server behaves; shared by its sessions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How clients authenticate; its plaintext policy holds for USER and PASS too.
    pub sasl: ServerConfig,
    /// Whether STLS is offered where TLS does not stand yet. Default: yes. The driver must then be able to put TLS below.
    pub stls: bool,
    /// Whether USER and PASS are offered where the plaintext policy allows them. Default: yes.
    pub user_pass: bool,
    /// Capabilities that the application adds: `EXPIRE`, `LOGIN-DELAY`, `IMPLEMENTATION`. Default: none.
    pub capabilities: Vec<Capability>,
    /// Bounds.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
}

impl Config {
    /// The defaults, with how clients authenticate.
    #[must_use]
    pub fn new(sasl: ServerConfig) -> Self {
        Self {
            sasl,
            stls: true,
            user_pass: true,
            capabilities: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Bounds of what a server takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command, CR LF included. Default: 255 (RFC 2449 §4). Raising it costs that much memory for each session.
    pub command_line: usize,
    /// Octets of a client's line inside AUTH, CR LF included. Default: 4,096, enough for names and passwords of 255 octets (RFC 4616
    /// §2) in base64. As above.
    pub auth_line: usize,
    /// Logins that may fail; at the last one the connection is closed. Default: 3. Raising it helps those who guess.
    pub failed_logins: u32,
    /// Commands that may be answered by -ERR for what the client did, failed logins not counted. Default: 20. Raising it lets a
    /// peer that speaks another protocol go on for longer.
    pub mistakes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 255,
            auth_line: 4_096,
            failed_logins: 3,
            mistakes: 20,
        }
    }
}

/// Time limits of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until the next command, and while the client takes nothing of a response. Default: 10 minutes. RFC 1939 §3: "Such a timer MUST
    /// be of at least 10 minutes' duration." Raising it keeps maildrops locked for longer.
    pub command: Duration,
    /// From the first poll until the client has logged in, whatever it sends. Default: 10 minutes. Raising it lets strangers hold
    /// connections for longer.
    pub login: Duration,
    /// Until the application answers. Default: 5 minutes. Raising it keeps connections that an answer was lost for.
    pub application: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(600),
            login: Duration::from_secs(600),
            application: Duration::from_secs(300),
        }
    }
}
