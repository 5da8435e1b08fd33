//! What a server is, and its bounds.

use core::time::Duration;

use mail_syntax::Domain;
use mail_wire::framing::LineEndPolicy;
use sasl_core::server::ServerConfig;

/// What a server is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The name by which it greets.
    pub hostname: Domain,
    /// For whom it is there. Default: [`Role::Mx`].
    pub role: Role,
    /// Whether STARTTLS is there. Default: [`StartTls::Unavailable`], as it takes a layer below that can.
    pub start_tls: StartTls,
    /// How it authenticates; `None`: not at all. Default: `None`.
    pub sasl: Option<ServerConfig>,
    /// What becomes of a message with a bare CR or LF. Default: [`LineEndPolicy::Reject`].
    pub line_ends: LineEndPolicy,
    /// Whether SMTPUTF8 is offered. Default: true.
    pub smtputf8: bool,
    /// Whether CHUNKING (BDAT) is offered. Default: true.
    pub chunking: bool,
    /// Whether BINARYMIME is offered; it needs CHUNKING. Default: false, as what stores and sends the mail must bear it.
    pub binary_mime: bool,
    /// Whether DSN is offered. Default: false, as it promises notifications.
    pub dsn: bool,
    /// Whether REQUIRETLS is offered (under TLS only). Default: false, as it promises how the mail goes on.
    pub require_tls: bool,
    /// Whether VRFY is an event, and not answered with 252. Default: false.
    pub vrfy: bool,
    /// Bounds of what is taken in.
    pub limits: Limits,
    /// How long what may take.
    pub timeouts: Timeouts,
}

impl Config {
    /// The defaults, with the server's name.
    #[must_use]
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            role: Role::Mx,
            start_tls: StartTls::Unavailable,
            sasl: None,
            line_ends: LineEndPolicy::Reject,
            smtputf8: true,
            chunking: true,
            binary_mime: false,
            dsn: false,
            require_tls: false,
            vrfy: false,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// For whom a server is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// For other servers: port 25.
    Mx,
    /// For users, who must authenticate before MAIL: ports 465 and 587 (RFC 6409 §4.3).
    Submission,
    /// For the queue of the same system (RFC 2033).
    Lmtp,
}

/// Whether STARTTLS is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// It is not.
    Unavailable,
    /// It is.
    Offered,
    /// It is, and nothing else goes on in the clear (RFC 3207 §4).
    Required,
}

/// Bounds of what is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command line, its end included. Default: 4,096 (RFC 5321 §4.5.3.1.4 asks for 512 and what extensions add).
    /// Raising it costs that much memory for each session.
    pub command_line: usize,
    /// Octets of a line of AUTH, its end included. Default: 12,288 (RFC 4954 §4). As above.
    pub auth_line: usize,
    /// Octets of a message; announced as SIZE. Default: 50 MiB. Nothing is held here; it costs what the application keeps.
    pub message: u64,
    /// Octets of a refused message that are read and dropped before the connection is closed instead. Default: 100 MiB. Raising it
    /// costs bandwidth.
    pub discard: u64,
    /// Recipients of a transaction. Default: 1,000 (RFC 5321 §4.5.3.1.8 asks for 100). Each costs about 400 octets.
    pub recipients: usize,
    /// Chunks without octets in a message by BDAT. Default: 1,000. Raising it costs time.
    pub empty_chunks: u32,
    /// Mistakes after which [`Event::Mistake`](super::Event::Mistake) asks for a delay. Default: 10, as Postfix.
    pub soft_errors: u32,
    /// Mistakes, and MAILs and RCPTs rejected with 5yz, after which the session ends with 421. An accepted message starts the count
    /// anew. Default: 20, as Postfix. Raising it lets a client try that many recipients.
    pub hard_errors: u32,
    /// Commands that do nothing for a message (NOOP, RSET, VRFY, EHLO, …) before each counts as a mistake. Default: 100, as
    /// Postfix. An accepted MAIL starts the count anew.
    pub idle_commands: u32,
    /// Failed authentications after which the session ends with 421. Default: 3. Raising it helps those who guess passwords.
    pub auth_failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 4_096,
            auth_line: 12_288,
            message: 50 * 1024 * 1024,
            discard: 100 * 1024 * 1024,
            recipients: 1_000,
            empty_chunks: 1_000,
            soft_errors: 10,
            hard_errors: 20,
            idle_commands: 100,
            auth_failures: 3,
        }
    }
}

/// How long what may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the next command line, complete. Default: 5 min (RFC 5321 §4.5.3.2.7).
    pub command: Duration,
    /// For the next octets of a message. Default: 5 min.
    pub data: Duration,
    /// For a whole message. Default: 1 h, which is 14 kB/s for the largest.
    pub message: Duration,
    /// For an answer of the application. Default: 5 min.
    pub application: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            command: minutes(5),
            data: minutes(5),
            message: minutes(60),
            application: minutes(5),
        }
    }
}
