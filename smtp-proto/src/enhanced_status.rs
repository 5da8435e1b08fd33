//! Enhanced mail system status codes (RFC 3463, RFC 2034, RFC 5248).

use core::fmt;
use core::str::FromStr;

/// `class.subject.detail`: what a reply means, for programs (RFC 3463 §2).
///
/// ```
/// use smtp_proto::EnhancedStatus;
///
/// let status: EnhancedStatus = "5.1.1".parse()?;
/// assert_eq!(status, EnhancedStatus::BAD_MAILBOX);
/// assert_eq!(status.to_string(), "5.1.1");
/// # Ok::<(), smtp_proto::EnhancedStatusError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

/// Not an enhanced status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an enhanced status code is 2, 4 or 5, then two numbers of one to three digits: 5.1.1")]
pub struct EnhancedStatusError;

impl EnhancedStatus {
    const fn of(class: u8, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject,
            detail,
        }
    }

    /// 2.0.0: success, nothing more to say.
    pub const OK: Self = Self::of(2, 0, 0);
    /// 2.1.0: the sender is fine.
    pub const SENDER_OK: Self = Self::of(2, 1, 0);
    /// 2.1.5: the destination address is valid.
    pub const DESTINATION_OK: Self = Self::of(2, 1, 5);
    /// 2.6.0: the message is fine.
    pub const MESSAGE_OK: Self = Self::of(2, 6, 0);
    /// 2.7.0: authentication succeeded (RFC 4954 §6).
    pub const AUTHENTICATED: Self = Self::of(2, 7, 0);
    /// 4.3.0: the mail system fails for now.
    pub const MAIL_SYSTEM: Self = Self::of(4, 3, 0);
    /// 4.3.1: the mail system is full.
    pub const MAIL_SYSTEM_FULL: Self = Self::of(4, 3, 1);
    /// 4.3.2: the system is not accepting network messages.
    pub const NOT_ACCEPTING: Self = Self::of(4, 3, 2);
    /// 4.4.2: bad connection.
    pub const BAD_CONNECTION: Self = Self::of(4, 4, 2);
    /// 4.5.3: too many recipients.
    pub const TOO_MANY_RECIPIENTS: Self = Self::of(4, 5, 3);
    /// 4.7.0: a temporary security failure: TLS is not available, or authentication failed for now.
    pub const TEMPORARY_SECURITY: Self = Self::of(4, 7, 0);
    /// 5.1.1: bad destination mailbox address.
    pub const BAD_MAILBOX: Self = Self::of(5, 1, 1);
    /// 5.1.3: bad destination mailbox address syntax.
    pub const BAD_DESTINATION_SYNTAX: Self = Self::of(5, 1, 3);
    /// 5.1.7: bad sender's mailbox address syntax.
    pub const BAD_SENDER_SYNTAX: Self = Self::of(5, 1, 7);
    /// 5.3.4: the message is too big for the system.
    pub const TOO_BIG: Self = Self::of(5, 3, 4);
    /// 5.4.6: a routing loop was detected.
    pub const ROUTING_LOOP: Self = Self::of(5, 4, 6);
    /// 5.5.0: other protocol status.
    pub const PROTOCOL: Self = Self::of(5, 5, 0);
    /// 5.5.1: invalid command.
    pub const INVALID_COMMAND: Self = Self::of(5, 5, 1);
    /// 5.5.2: syntax error.
    pub const SYNTAX: Self = Self::of(5, 5, 2);
    /// 5.5.4: invalid command arguments.
    pub const INVALID_ARGUMENTS: Self = Self::of(5, 5, 4);
    /// 5.5.6: the authentication exchange line is too long (RFC 4954 §6).
    pub const AUTH_LINE_TOO_LONG: Self = Self::of(5, 5, 6);
    /// 5.6.0: other media error.
    pub const MEDIA: Self = Self::of(5, 6, 0);
    /// 5.6.7: non-ASCII addresses not permitted for that sender or recipient (RFC 6531 §3.5).
    pub const NON_ASCII_ADDRESS: Self = Self::of(5, 6, 7);
    /// 5.7.0: other security status; authentication required (RFC 4954 §6).
    pub const SECURITY: Self = Self::of(5, 7, 0);
    /// 5.7.1: delivery not authorized, message refused.
    pub const NOT_AUTHORIZED: Self = Self::of(5, 7, 1);
    /// 5.7.8: authentication credentials invalid (RFC 4954 §6).
    pub const CREDENTIALS_INVALID: Self = Self::of(5, 7, 8);
    /// 5.7.11: encryption required for the requested authentication mechanism (RFC 5248 §2.4).
    pub const ENCRYPTION_REQUIRED: Self = Self::of(5, 7, 11);

    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.class
    }

    /// What the status is about: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 security, 0 other.
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The precise condition, within the subject.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl FromStr for EnhancedStatus {
    type Err = EnhancedStatusError;

    /// RFC 3463 §2: numbers "without leading zero digits."
    fn from_str(text: &str) -> Result<Self, EnhancedStatusError> {
        let mut parts = text.split('.');
        let mut number = || -> Option<u16> {
            let part = parts.next()?;
            let plain = (1..=3).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'));
            plain.then(|| part.parse().ok()).flatten()
        };
        let (class, subject, detail) = (number(), number(), number());
        match (class, subject, detail, parts.next()) {
            (Some(class @ (2 | 4 | 5)), Some(subject), Some(detail), None) => {
                Ok(Self::of(class as u8, subject, detail))
            }
            _ => Err(EnhancedStatusError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for text in ["2.0.0", "4.999.999", "5.7.11"] {
            let status: EnhancedStatus = text.parse().unwrap();
            assert_eq!(status.to_string(), text);
        }
        for text in [
            "", "3.0.0", "2.0", "2.0.0.0", "2..0", "5.01.1", "5.1000.1", "5.1.x", " 5.1.1",
        ] {
            assert_eq!(
                text.parse::<EnhancedStatus>(),
                Err(EnhancedStatusError),
                "{text:?}"
            );
        }
    }
}
