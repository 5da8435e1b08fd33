//! The `Received` field that every server puts before a message (RFC 5321 §4.4).

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use mail_syntax::date::DateTime;
use mail_syntax::{AddressLiteral, Domain, Host, Mailbox};
use mail_wire::TlsInfo;

/// How a message came in, as the word behind `with` (RFC 3848, RFC 6531 §4.3).
///
/// ```
/// use smtp_proto::With;
///
/// let with = With { tls: true, authenticated: true, ..With::ESMTP };
/// assert_eq!(with.to_string(), "ESMTPSA");
/// assert_eq!("utf8lmtps".parse(), Ok(With { tls: true, utf8: true, ..With::LMTP }));
/// # Ok::<(), smtp_proto::ReceivedError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for one letter of the word"
)]
pub struct With {
    /// LMTP, not SMTP.
    pub lmtp: bool,
    /// The client said EHLO, not HELO. TLS, AUTH and SMTPUTF8 cannot be had without it.
    pub extended: bool,
    /// SMTPUTF8 was a parameter of MAIL.
    pub utf8: bool,
    /// Under TLS.
    pub tls: bool,
    /// The client logged in.
    pub authenticated: bool,
}

impl With {
    /// `SMTP`: after HELO.
    pub const SMTP: Self = Self {
        lmtp: false,
        extended: false,
        utf8: false,
        tls: false,
        authenticated: false,
    };
    /// `ESMTP`: after EHLO.
    pub const ESMTP: Self = Self {
        extended: true,
        ..Self::SMTP
    };
    /// `LMTP`: after LHLO.
    pub const LMTP: Self = Self {
        lmtp: true,
        ..Self::ESMTP
    };
}

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // HELO under TLS has no word of its own; RFC 3848 §1 gives it that of ESMTP: "The new keyword "ESMTPS" indicates the use
        // of ESMTP when STARTTLS [1] is also successfully negotiated".
        let extended = self.extended || self.tls || self.authenticated;
        f.write_str(match (self.utf8, self.lmtp, extended) {
            (true, true, _) => "UTF8LMTP",
            (true, false, _) => "UTF8SMTP",
            (false, true, _) => "LMTP",
            (false, false, true) => "ESMTP",
            (false, false, false) => "SMTP",
        })?;
        f.write_str(if self.tls { "S" } else { "" })?;
        f.write_str(if self.authenticated { "A" } else { "" })
    }
}

impl FromStr for With {
    type Err = ReceivedError;

    fn from_str(text: &str) -> Result<Self, ReceivedError> {
        let upper = text.to_ascii_uppercase();
        let (rest, authenticated) = match upper.strip_suffix('A') {
            Some(rest) => (rest, true),
            None => (upper.as_str(), false),
        };
        let (rest, tls) = match rest.strip_suffix('S') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let with = match rest {
            "SMTP" if !tls && !authenticated => Self::SMTP,
            "ESMTP" => Self::ESMTP,
            "LMTP" => Self::LMTP,
            "UTF8SMTP" => Self {
                utf8: true,
                ..Self::ESMTP
            },
            "UTF8LMTP" => Self {
                utf8: true,
                ..Self::LMTP
            },
            _ => return Err(ReceivedError::With),
        };
        Ok(Self {
            tls,
            authenticated,
            ..with
        })
    }
}

/// The trace field of one hop.
///
/// It prints as a whole field, folded, with its name and its last CR LF. All that goes in was checked, so nothing a client says can
/// add a line, a clause or a comment.
///
/// ```
/// use mail_syntax::date::{DateTime, Zone};
/// use smtp_proto::{Received, With};
///
/// let date = DateTime::from_unix(1_577_934_245, Zone::Offset(0))?;
/// let field = Received::new("bar.com".parse()?, "foo.com".parse()?, With::ESMTP, date)?
///     .client("192.0.2.1".parse()?, None)
///     .id("7ff9")?
///     .recipients(&["Jones@foo.com".parse()?]);
/// assert_eq!(
///     field.to_string(),
///     "Received: from bar.com ([192.0.2.1]) by foo.com with ESMTP id 7ff9\r\n\
///      \tfor <Jones@foo.com>; Thu, 2 Jan 2020 03:04:05 +0000\r\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    helo: Host,
    by: Domain,
    with: With,
    date: DateTime,
    client: Option<(IpAddr, Option<Domain>)>,
    id: Option<Box<str>>,
    cipher_suite: Option<Box<str>>,
    recipient: Option<Mailbox>,
}

/// Why something does not go into a `Received` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceivedError {
    /// A name that is not ASCII, in a message without SMTPUTF8.
    #[error("a name that is not ASCII goes only into the trace of a message with SMTPUTF8")]
    NotAscii,
    /// An id that is no atom, or longer than 128 octets.
    #[error("the id is 1 to 128 letters, digits and atom characters")]
    Id,
    /// Not a word that stands behind `with`.
    #[error("not one of SMTP, ESMTP, LMTP, UTF8SMTP, UTF8LMTP with S and A")]
    With,
}

impl Received {
    /// A field with what every hop knows: what the client called itself, our own name, the protocol, the date.
    ///
    /// # Errors
    ///
    /// [`ReceivedError::NotAscii`]: for a message without SMTPUTF8 the names must be ASCII.
    pub fn new(helo: Host, by: Domain, with: With, date: DateTime) -> Result<Self, ReceivedError> {
        // RFC 6531 §3.7.3: in the trace of a message with SMTPUTF8 the names may be U-labels.
        let is_ascii = by.is_ascii() && helo.domain().is_none_or(Domain::is_ascii);
        if !is_ascii && !with.utf8 {
            return Err(ReceivedError::NotAscii);
        }
        Ok(Self {
            helo,
            by,
            with,
            date,
            client: None,
            id: None,
            cipher_suite: None,
            recipient: None,
        })
    }

    /// The address that the client has, and its name in the DNS, if it was found and confirmed; a name that is not ASCII is left
    /// out where the message has no SMTPUTF8. RFC 5321 §4.4 wants it whenever the client is connected by TCP.
    #[must_use]
    pub fn client(mut self, address: IpAddr, name: Option<Domain>) -> Self {
        let name = name.filter(|name| self.with.utf8 || name.is_ascii());
        // An IPv4 client on a socket for both families.
        self.client = Some((address.to_canonical(), name));
        self
    }

    /// What names the message in our logs.
    ///
    /// # Errors
    ///
    /// [`ReceivedError::Id`]: it must be an atom of at most 128 octets.
    pub fn id(mut self, id: &str) -> Result<Self, ReceivedError> {
        // RFC 5321 §4.4: `ID = CFWS "ID" FWS ( Atom / msg-id )`
        let is_atext =
            |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
        if !(1..=128).contains(&id.len()) || !id.bytes().all(is_atext) {
            return Err(ReceivedError::Id);
        }
        self.id = Some(id.into());
        Ok(self)
    }

    /// The cipher suite (RFC 8314 §4.3); left out where TLS did not tell its name.
    #[must_use]
    pub fn tls(mut self, tls: &TlsInfo) -> Self {
        // RFC 8314 §4.3: `tls-cipher-name = ALPHA *(ALPHA / DIGIT / "_")`
        let name = &tls.cipher_suite;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.len() <= 128
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
        self.cipher_suite = is_name.then(|| name.as_str().into());
        self
    }

    /// The recipients of the transaction: `for` is written where there is one alone, and it may be written.
    ///
    /// RFC 5321 §7.6: "the optional FOR clause should be supplied with caution or not at all when multiple recipients are involved
    /// lest it inadvertently disclose the identities of "blind copy" recipients to others."
    #[must_use]
    pub fn recipients(mut self, recipients: &[Mailbox]) -> Self {
        self.recipient = match recipients {
            [one] if self.with.utf8 || one.is_ascii() => Some(one.clone()),
            _ => None,
        };
        self
    }

    /// The clauses in order; a line may be broken before each.
    fn clauses(&self) -> Vec<String> {
        let mut clauses = vec![format!("from {}", self.helo)];
        if let Some((address, name)) = &self.client {
            let address = AddressLiteral::from(*address);
            clauses.push(match name {
                Some(name) => format!("({name} {address})"),
                None => format!("({address})"),
            });
        }
        clauses.push(format!("by {}", self.by));
        clauses.push(format!("with {}", self.with));
        if let Some(id) = &self.id {
            clauses.push(format!("id {id}"));
        }
        // RFC 5321 §4.4: additional clauses stand behind `for`.
        if let Some(recipient) = &self.recipient {
            clauses.push(format!("for <{recipient}>"));
        }
        if let Some(cipher_suite) = &self.cipher_suite {
            clauses.push(format!("tls {cipher_suite}"));
        }
        if let Some(last) = clauses.last_mut() {
            last.push(';');
        }
        clauses.push(self.date.to_string());
        clauses
    }
}

/// RFC 5322 §2.1.1: "Each line of characters MUST be no more than 998 characters, and SHOULD be no more than 78 characters,
/// excluding the CRLF."
const LINE: usize = 78;
/// How wide the TAB is taken that begins a line.
const TAB: usize = 8;

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Received:")?;
        let mut column = "Received:".len();
        for (index, clause) in self.clauses().iter().enumerate() {
            let length = clause.chars().count();
            if index > 0 && column + 1 + length > LINE {
                f.write_str("\r\n\t")?;
                column = TAB;
            } else {
                f.write_str(" ")?;
                column += 1;
            }
            f.write_str(clause)?;
            column += length;
        }
        f.write_str("\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_syntax::date::Zone;
    use proptest::prelude::*;

    fn field(helo: &str, with: With) -> Received {
        let date = DateTime::from_unix(1_577_934_245, Zone::Offset(540)).unwrap();
        Received::new(
            Host::parse_utf8(helo).unwrap(),
            "mx.example".parse().unwrap(),
            with,
            date,
        )
        .unwrap()
    }

    #[test]
    fn the_words_behind_with() {
        let words = [
            "SMTP",
            "ESMTP",
            "ESMTPS",
            "ESMTPA",
            "ESMTPSA",
            "LMTP",
            "LMTPS",
            "LMTPA",
            "LMTPSA",
            "UTF8SMTP",
            "UTF8SMTPA",
            "UTF8SMTPS",
            "UTF8SMTPSA",
            "UTF8LMTP",
            "UTF8LMTPA",
            "UTF8LMTPS",
            "UTF8LMTPSA",
        ];
        for word in words {
            assert_eq!(word.parse::<With>().unwrap().to_string(), word);
        }
        for word in ["", "SMTPS", "ESMTPAS", "HTTP", "ESMTP ", "SA", "UTF8ESMTP"] {
            assert_eq!(word.parse::<With>(), Err(ReceivedError::With), "{word}");
        }
        let helo_under_tls = With {
            tls: true,
            ..With::SMTP
        };
        assert_eq!(helo_under_tls.to_string(), "ESMTPS");
    }

    #[test]
    fn clauses_and_folds() {
        let tls = With {
            tls: true,
            ..With::ESMTP
        };
        let mut info = TlsInfo::default();
        info.cipher_suite = "TLS_AES_128_GCM_SHA256".into();
        let client: Domain = "mail.client.example".parse().unwrap();
        let one: Mailbox = "\"a; b\"@mx.example".parse().unwrap();
        for (field, expected) in [
            (
                field("[IPv6:2001:db8::1]", tls)
                    .client("2001:db8::1".parse().unwrap(), Some(client))
                    .id("A-1")
                    .unwrap()
                    .recipients(std::slice::from_ref(&one))
                    .tls(&info),
                "Received: from [IPv6:2001:db8::1] (mail.client.example [IPv6:2001:db8::1])\r\n\
                 \tby mx.example with ESMTPS id A-1 for <\"a; b\"@mx.example>\r\n\
                 \ttls TLS_AES_128_GCM_SHA256; Thu, 2 Jan 2020 12:04:05 +0900\r\n",
            ),
            (
                field("client.example", With::SMTP)
                    .client("::ffff:192.0.2.1".parse().unwrap(), None)
                    .recipients(&[one.clone(), one]),
                "Received: from client.example ([192.0.2.1]) by mx.example with SMTP;\r\n\
                 \tThu, 2 Jan 2020 12:04:05 +0900\r\n",
            ),
        ] {
            assert_eq!(field.to_string(), expected);
        }
    }

    #[test]
    fn nothing_is_injected() {
        let field = || field("client.example", With::ESMTP);
        for id in ["", "a b", "a\r\nX: y", "a;b", "a(b", "ä", &"x".repeat(129)] {
            assert_eq!(field().id(id), Err(ReceivedError::Id), "{id}");
        }
        let mut info = TlsInfo::default();
        info.cipher_suite = "X; forged\r\n".into();
        assert!(!field().tls(&info).to_string().contains("tls"));
    }

    #[test]
    fn what_is_not_ascii_needs_smtputf8() {
        let date = DateTime::from_unix(0, Zone::Unknown).unwrap();
        let helo = Host::parse_utf8("büro.example").unwrap();
        let by: Domain = "mx.example".parse().unwrap();
        assert_eq!(
            Received::new(helo.clone(), by.clone(), With::ESMTP, date),
            Err(ReceivedError::NotAscii)
        );
        let utf8 = With {
            utf8: true,
            ..With::ESMTP
        };
        let field = Received::new(helo, by, utf8, date).unwrap().to_string();
        assert!(field.starts_with("Received: from büro.example by mx.example with UTF8SMTP;"));
        let to = Mailbox::parse_utf8("jürgen@mx.example").unwrap();
        let field = self::field("c.example", With::ESMTP).recipients(&[to]);
        assert!(!field.to_string().contains("for"));
    }

    proptest! {
        #[test]
        fn every_line_begins_with_white_space_and_is_short(
            helo in "[a-z]{1,60}(\\.[a-z]{1,60}){0,3}", id in "[a-zA-Z0-9]{1,128}", local in "[a-z]{1,64}",
        ) {
            let text = field(&helo, With::ESMTP)
                .client("192.0.2.1".parse().unwrap(), Some(helo.parse().unwrap()))
                .id(&id).unwrap()
                .recipients(&[format!("{local}@{helo}").parse().unwrap()])
                .to_string();
            let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
            prop_assert!(lines.iter().skip(1).all(|line| line.starts_with('\t')));
            prop_assert!(lines.iter().all(|line| line.len() <= 330 && !line.contains(['\r', '\n'])));
        }
    }
}
