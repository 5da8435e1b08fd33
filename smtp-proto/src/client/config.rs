//! What a client is told once, before it begins.

use core::time::Duration;

use mail_syntax::Host;
use mail_wire::framing::LineEndPolicy;
use sasl_core::client::Policy;

/// Which of the two protocols is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// SMTP (RFC 5321): one reply to a message, for all its recipients.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): one reply for each recipient.
    Lmtp,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsPolicy {
    /// STARTTLS, or nothing: where the server does not offer it or refuses it, the session ends before MAIL and AUTH. For submission,
    /// and where DANE or MTA-STS asks for it.
    #[default]
    Require,
    /// STARTTLS where it is offered; else in the clear. Whoever stands in the way can take the offer away. When the handshake
    /// fails, connect anew under [`Never`](Self::Never) if mail may go in the clear.
    Opportunistic,
    /// In the clear, whatever is offered: for a connection inside one machine.
    Never,
    /// TLS from the first octet (RFC 8314 §3); nothing is said before [`upgraded`](mail_wire::Session::upgraded) is called.
    Implicit,
}

/// What a client is told once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Our own name, as said in EHLO. RFC 5321 §4.1.1.1: a domain, or an address literal where the host has no name.
    pub host: Host,
    /// SMTP or LMTP. Default: SMTP.
    pub protocol: Protocol,
    /// Whether the connection is encrypted. Default: it must be.
    pub tls: TlsPolicy,
    /// What is done with a bare CR or LF in a message. Default: the message is not sent. BINARYMIME is sent as it is.
    pub line_ends: LineEndPolicy,
    /// Whether BDAT is used where CHUNKING is offered (RFC 3030). Default: no; a BINARYMIME message is sent by BDAT all the same.
    pub chunking: bool,
    /// What a server may ask for at the login.
    pub sasl: Policy,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// Bounds of what is taken in.
    pub limits: Limits,
}

impl Config {
    /// The defaults, for a client of this name.
    #[must_use]
    pub fn new(host: impl Into<Host>) -> Self {
        Self {
            host: host.into(),
            protocol: Protocol::default(),
            tls: TlsPolicy::default(),
            line_ends: LineEndPolicy::default(),
            chunking: false,
            sasl: Policy::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

/// How long a client waits (RFC 5321 §4.5.3.2: "An SMTP client MUST provide a timeout mechanism.").
///
/// Each is counted from the last reply or, for the content, from the last octets that the server took. Longer ones hold a
/// connection to a silent server longer; shorter ones give up on servers that are slow by design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the greeting. Default: 5 min (RFC 5321 §4.5.3.2.1).
    pub initial_220: Duration,
    /// For the reply to MAIL. Default: 5 min (RFC 5321 §4.5.3.2.2).
    pub mail: Duration,
    /// For the reply to each RCPT. Default: 5 min (RFC 5321 §4.5.3.2.3).
    pub rcpt: Duration,
    /// For the 354 to DATA. Default: 2 min (RFC 5321 §4.5.3.2.4).
    pub data_initiation: Duration,
    /// For the server to take some of the content. Default: 3 min (RFC 5321 §4.5.3.2.5).
    pub data_block: Duration,
    /// For the reply to the end of the content. Default: 10 min (RFC 5321 §4.5.3.2.6: "A spurious timeout at this point would be
    /// very wasteful and would typically result in delivery of multiple copies of the message").
    pub data_termination: Duration,
    /// For every other reply, and for the TLS handshake. Default: 5 min.
    pub command: Duration,
    /// For the application to give content or keys. Default: 5 min.
    pub application: Duration,
    /// For the application to begin something; then QUIT is sent. Default: 4 min, as RFC 5321 §4.5.3.2.7 lets a server go after 5.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            initial_220: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data_initiation: minutes(2),
            data_block: minutes(3),
            data_termination: minutes(10),
            command: minutes(5),
            application: minutes(5),
            idle: minutes(4),
        }
    }
}

/// Bounds of what is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of one reply. Default: 64 KiB; a session holds up to that much for each reply of LMTP that it collects.
    pub reply: usize,
    /// Lines of one reply. Default: 256.
    pub reply_lines: usize,
    /// Octets of the replies to one message that LMTP gives, all together. Default: 2 MiB; it costs that much memory.
    pub replies: usize,
    /// Commands sent ahead of their replies. Default: 200. Each costs a few octets.
    pub in_flight: usize,
    /// Octets of a BDAT chunk. Default: 64 KiB; it costs that much memory. RFC 3030 §2: "It is therefore important to choose a
    /// reasonable chunk size given the expected end-to-end bandwidth."
    pub chunk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reply: 64 * 1024,
            reply_lines: 256,
            replies: 2 * 1024 * 1024,
            in_flight: 200,
            chunk: 64 * 1024,
        }
    }
}
