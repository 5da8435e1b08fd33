//! The service extensions that a server lists in its reply to EHLO (RFC 5321 §4.1.1.1).

use sasl_core::Mechanisms;

use crate::Reply;

/// What a server offers, read from its reply to EHLO or LHLO, or to be listed in one. Default: nothing.
///
/// ```
/// use smtp_proto::{Extensions, Reply};
///
/// let reply = Reply::new(250, None, "mx.example\nSIZE 1000\nPIPELINING\nXNEW 1")?;
/// let extensions = Extensions::of(&reply);
/// assert_eq!(extensions.size, Some(1000));
/// assert_eq!(extensions.lines(), ["PIPELINING", "SIZE 1000", "XNEW 1"]);
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Extensions {
    /// `PIPELINING` (RFC 2920).
    pub pipelining: bool,
    /// `SIZE`: the largest message in octets; 0 where the server names no maximum (RFC 1870 §4).
    pub size: Option<u64>,
    /// `8BITMIME` (RFC 6152).
    pub eight_bit_mime: bool,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `STARTTLS` (RFC 3207).
    pub start_tls: bool,
    /// `AUTH`: the mechanisms that this library knows, of those listed (RFC 4954).
    pub auth: Mechanisms,
    /// `DSN` (RFC 3461).
    pub dsn: bool,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `CHUNKING` (RFC 3030).
    pub chunking: bool,
    /// `BINARYMIME` (RFC 3030).
    pub binary_mime: bool,
    /// `REQUIRETLS` (RFC 8689).
    pub require_tls: bool,
    /// `LIMITS` (RFC 9422).
    pub limits: Option<TransactionLimits>,
    /// Lines of other extensions, as they stand.
    pub other: Vec<String>,
}

/// The limits that a server announces (RFC 9422 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TransactionLimits {
    /// `MAILMAX`: MAIL commands in a session.
    pub mail_max: Option<u32>,
    /// `RCPTMAX`: RCPT commands in a transaction.
    pub rcpt_max: Option<u32>,
    /// `RCPTDOMAINMAX`: different domains among the recipients of a transaction.
    pub rcpt_domain_max: Option<u32>,
}

impl Extensions {
    /// Reads the lines behind the first of a reply to EHLO. A known keyword with a malformed value counts as not offered.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let mut found = Self::default();
        for line in reply.lines().iter().skip(1) {
            found.add(line);
        }
        found
    }

    fn add(&mut self, line: &str) {
        let line = line.trim_end();
        // "AUTH=PLAIN" is how servers of the nineties wrote it, beside or instead of "AUTH PLAIN".
        let (keyword, value) = line.split_once([' ', '=']).unwrap_or((line, ""));
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" if value.is_empty() => self.size = Some(0),
            "SIZE" => self.size = crate::parameters::number(value),
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "STARTTLS" => self.start_tls = true,
            "AUTH" => {
                for mechanism in Mechanisms::from_names(value).iter() {
                    self.auth.insert(mechanism);
                }
            }
            "DSN" => self.dsn = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "REQUIRETLS" => self.require_tls = true,
            "LIMITS" => self.limits = Some(TransactionLimits::of(value)),
            _ => self.other.push(line.to_owned()),
        }
    }

    /// The lines as EHLO lists them, in a fixed order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |offered: bool, text: &str| {
            if offered {
                lines.push(text.to_owned());
            }
        };
        line(self.pipelining, "PIPELINING");
        match self.size {
            Some(0) => line(true, "SIZE"),
            Some(size) => line(true, &format!("SIZE {size}")),
            None => {}
        }
        line(self.eight_bit_mime, "8BITMIME");
        line(self.smtputf8, "SMTPUTF8");
        line(self.start_tls, "STARTTLS");
        line(!self.auth.is_empty(), &format!("AUTH {}", self.auth));
        line(self.dsn, "DSN");
        line(self.enhanced_status_codes, "ENHANCEDSTATUSCODES");
        line(self.chunking, "CHUNKING");
        line(self.binary_mime, "BINARYMIME");
        line(self.require_tls, "REQUIRETLS");
        if let Some(limits) = self.limits {
            line(true, &limits.line());
        }
        lines.extend(self.other.iter().cloned());
        lines
    }
}

impl TransactionLimits {
    fn of(value: &str) -> Self {
        let mut found = Self::default();
        for word in value.split(' ') {
            let Some((name, value)) = word.split_once('=') else {
                continue;
            };
            // RFC 9422 §4: each value is a number of one to six digits, and not 0.
            let value = value
                .parse()
                .ok()
                .filter(|value| (1..=999_999).contains(value));
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => found.mail_max = value,
                "RCPTMAX" => found.rcpt_max = value,
                "RCPTDOMAINMAX" => found.rcpt_domain_max = value,
                _ => {}
            }
        }
        found
    }

    fn line(self) -> String {
        let mut line = "LIMITS".to_owned();
        for (name, value) in [
            ("MAILMAX", self.mail_max),
            ("RCPTMAX", self.rcpt_max),
            ("RCPTDOMAINMAX", self.rcpt_domain_max),
        ] {
            if let Some(value) = value {
                line.push_str(&format!(" {name}={value}"));
            }
        }
        line
    }
}
