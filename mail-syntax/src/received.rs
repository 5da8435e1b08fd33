//! The trace fields that a server adds: Received and Return-Path (RFC 5321 §4.4).

use core::fmt;
use core::net::IpAddr;

use crate::date::DateTime;
use crate::domain::{AddressLiteral, Domain, Host};
use crate::folding::{FieldWriter, FoldError};
use crate::mailbox::{ForwardPath, Mailbox, ReversePath};

/// One Received field, to be written on top of a message.
///
/// Every part is a typed value, so that nothing a client said can become more than its place in the field.
///
/// ```
/// use mail_syntax::date::{DateTime, Zone};
/// use mail_syntax::received::{Protocol, Received};
/// let date = DateTime::from_unix(1_795_500_204, Zone::Offset(0))?;
/// let mut received = Received::new("client.example".parse()?, "mx.example.org".parse()?, Protocol::Esmtp { tls: true, auth: false, utf8: false }, date);
/// received.from_ip = Some("192.0.2.1".parse()?);
/// received.id = Some("4711".parse()?);
/// assert_eq!(
///     received.to_field()?,
///     "Received: from client.example ([192.0.2.1]) by mx.example.org with ESMTPS id\r\n 4711; Tue, 24 Nov 2026 06:03:24 +0000\r\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// What the client called itself in HELO or EHLO.
    pub from: Host,
    /// The name that the DNS gives to the client's address, if it was looked up.
    pub from_name: Option<Domain>,
    /// The client's address.
    pub from_ip: Option<IpAddr>,
    /// This server.
    pub by: Host,
    /// The protocol.
    pub with: Protocol,
    /// The name of the message within this server.
    pub id: Option<TraceId>,
    /// The recipient, where there is only one and it is no secret (RFC 5321 §7.6).
    pub recipient: Option<ForwardPath>,
    /// The cipher suite of the client's TLS (RFC 8314 §4.3).
    pub tls: Option<CipherSuite>,
    /// When the message arrived.
    pub date: DateTime,
}

/// The protocol that a message came by (RFC 3848, RFC 6531 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP without extensions.
    Smtp,
    /// SMTP with extensions.
    Esmtp {
        /// Under TLS.
        tls: bool,
        /// After a successful AUTH.
        auth: bool,
        /// With SMTPUTF8.
        utf8: bool,
    },
    /// LMTP.
    Lmtp {
        /// Under TLS.
        tls: bool,
        /// After a successful AUTH.
        auth: bool,
        /// With SMTPUTF8.
        utf8: bool,
    },
}

/// The `id` of a Received field: 1 to 128 letters, digits and `.-_=+~` (an Atom, or less than one).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceId(Box<str>);

/// The text is no [`TraceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a trace id is 1 to 128 letters, digits and .-_=+~, with no dot at either end and no two together"
)]
pub struct TraceIdError;

impl core::str::FromStr for TraceId {
    type Err = TraceIdError;
    fn from_str(text: &str) -> Result<Self, TraceIdError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"-_=+~".contains(&c);
        if text.len() <= 128
            && text
                .split('.')
                .all(|atom| !atom.is_empty() && atom.bytes().all(fits))
        {
            Ok(Self(text.into()))
        } else {
            Err(TraceIdError)
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The registered name of a TLS cipher suite, such as `TLS_AES_128_GCM_SHA256`; at most 128 octets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CipherSuite(Box<str>);

/// The text is no [`CipherSuite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cipher suite is a letter, then letters, digits and underscores, 128 at most")]
pub struct CipherSuiteError;

impl core::str::FromStr for CipherSuite {
    type Err = CipherSuiteError;
    fn from_str(text: &str) -> Result<Self, CipherSuiteError> {
        // RFC 8314 §4.3: "tls-cipher-name    =  ALPHA *(ALPHA / DIGIT / "_")"
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        if text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.len() <= 128
            && text.bytes().all(fits)
        {
            Ok(Self(text.into()))
        } else {
            Err(CipherSuiteError)
        }
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Protocol {
    const fn is_utf8(self) -> bool {
        match self {
            Self::Smtp => false,
            Self::Esmtp { utf8, .. } | Self::Lmtp { utf8, .. } => utf8,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, tls, auth) = match *self {
            Self::Smtp => ("SMTP", false, false),
            Self::Esmtp {
                tls,
                auth,
                utf8: false,
            } => ("ESMTP", tls, auth),
            Self::Esmtp {
                tls,
                auth,
                utf8: true,
            } => ("UTF8SMTP", tls, auth),
            Self::Lmtp {
                tls,
                auth,
                utf8: false,
            } => ("LMTP", tls, auth),
            Self::Lmtp {
                tls,
                auth,
                utf8: true,
            } => ("UTF8LMTP", tls, auth),
        };
        write!(
            f,
            "{name}{}{}",
            if tls { "S" } else { "" },
            if auth { "A" } else { "" }
        )
    }
}

impl Received {
    /// A field with what every one has; the rest is set on the value.
    #[must_use]
    pub fn new(from: Host, by: Host, with: Protocol, date: DateTime) -> Self {
        Self {
            from,
            from_name: None,
            from_ip: None,
            by,
            with,
            id: None,
            recipient: None,
            tls: None,
            date,
        }
    }

    /// The whole field, folded, with its final CRLF.
    ///
    /// # Errors
    /// None in practice: every part is short and printable.
    pub fn to_field(&self) -> Result<String, FoldError> {
        let mut writer = FieldWriter::new("Received")?;
        writer.word("from");
        writer.word(&self.from.to_string());
        let ip = self.from_ip.map(AddressLiteral::from);
        match (&self.from_name, &ip) {
            (Some(name), Some(ip)) => {
                writer.word(&format!("({name}"));
                writer.word(&format!("{ip})"));
            }
            (None, Some(ip)) => writer.word(&format!("({ip})")),
            // RFC 5321 §4.4: "TCP-info       = address-literal / ( Domain FWS address-literal )": no name without an address.
            (_, None) => {}
        }
        writer.word("by");
        writer.word(&self.by.to_string());
        writer.word("with");
        writer.word(&self.with.to_string());
        if let Some(id) = &self.id {
            writer.word("id");
            writer.word(&id.to_string());
        }
        // RFC 6531 §3.7.3: without SMTPUTF8 "trace field values must conform to RFC 5321".
        let may_stand = |recipient: &&ForwardPath| {
            self.with.is_utf8() || recipient.mailbox().is_none_or(Mailbox::is_ascii)
        };
        if let Some(recipient) = self.recipient.as_ref().filter(may_stand) {
            writer.word("for");
            writer.word(&recipient.to_string());
        }
        // RFC 5321 §4.4: "Opt-info       = [Via] [With] [ID] [For] [Additional-Registered-Clauses]"
        if let Some(tls) = &self.tls {
            writer.word("tls");
            writer.word(&tls.to_string());
        }
        writer.glue(";");
        for word in self.date.to_string().split(' ') {
            writer.word(word);
        }
        writer.finish()
    }
}

/// The Return-Path field that final delivery adds (RFC 5321 §4.4), with its final CRLF.
///
/// ```
/// use mail_syntax::ReversePath;
/// assert_eq!(mail_syntax::received::return_path(&ReversePath::Null), "Return-Path: <>\r\n");
/// ```
#[must_use]
pub fn return_path(reverse_path: &ReversePath) -> String {
    // A path has 256 octets at most, so the line is legal as it is.
    format!("Return-Path: {reverse_path}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Zone;
    use crate::header::Field;

    #[test]
    fn all_clauses() {
        let date = DateTime::from_unix(0, Zone::Offset(-300)).unwrap();
        let with = Protocol::Lmtp {
            tls: true,
            auth: true,
            utf8: true,
        };
        let mut received = Received::new(
            "[IPv6:2001:db8::1]".parse().unwrap(),
            "mx.example.org".parse().unwrap(),
            with,
            date,
        );
        received.from_name = Some("ptr.example".parse().unwrap());
        received.from_ip = Some("2001:db8::1".parse().unwrap());
        received.recipient = Some("<\"a b\"@example.org>".parse().unwrap());
        let field = received.to_field().unwrap();
        let field = Field::parse(field.as_bytes()).unwrap();
        assert_eq!(
            field.value(),
            &b"from [IPv6:2001:db8::1] (ptr.example [IPv6:2001:db8::1]) by mx.example.org with UTF8LMTPSA \
               for <\"a b\"@example.org>; Wed, 31 Dec 1969 19:00:00 -0500"[..]
        );
        assert!(
            field
                .raw()
                .split(|c| *c == b'\n')
                .all(|line| line.len() <= 79)
        );
    }

    #[test]
    fn tls_stands_behind_for_and_what_is_not_ascii_needs_smtputf8() {
        let date = DateTime::from_unix(0, Zone::Offset(0)).unwrap();
        for (utf8, expected) in [
            (
                false,
                "from c.example by mx.example with ESMTPS tls TLS_AES_128_GCM_SHA256;",
            ),
            (
                true,
                "from c.example by mx.example with UTF8SMTPS for <j\u{fc}rgen@mx.example> tls TLS_AES_128_GCM_SHA256;",
            ),
        ] {
            let with = Protocol::Esmtp {
                tls: true,
                auth: false,
                utf8,
            };
            let (from, by) = ("c.example".parse().unwrap(), "mx.example".parse().unwrap());
            let mut received = Received::new(from, by, with, date);
            received.recipient = Some(ForwardPath::parse_utf8("<j\u{fc}rgen@mx.example>").unwrap());
            received.tls = Some("TLS_AES_128_GCM_SHA256".parse().unwrap());
            let field = received.to_field().unwrap().replace("\r\n ", " ");
            assert!(field.contains(expected), "{field}");
        }
        for bad in ["", "1", "TLS AES", "TLS;x", "a\r\n", &"x".repeat(129)] {
            assert!(bad.parse::<CipherSuite>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids() {
        for bad in [
            "",
            "a b",
            "a;b",
            "a\r\n",
            ".a",
            "a..b",
            "(a)",
            &"x".repeat(129),
        ] {
            assert!(bad.parse::<TraceId>().is_err(), "{bad:?}");
        }
    }
}
