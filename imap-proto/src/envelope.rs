//! ENVELOPE (RFC 9051 §7.5.2).

use mail_syntax::address_list::{Address, AddressList, NamedMailbox};
use mail_syntax::header::{Field, Header};

/// A string or `NIL`.
pub type NString = Option<Vec<u8>>;

/// The envelope of a message: header fields as they were, their lines unfolded, encoded words not decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields are those of RFC 9051")]
pub struct Envelope {
    pub date: NString,
    pub subject: NString,
    pub from: Vec<EnvelopeAddress>,
    pub sender: Vec<EnvelopeAddress>,
    pub reply_to: Vec<EnvelopeAddress>,
    pub to: Vec<EnvelopeAddress>,
    pub cc: Vec<EnvelopeAddress>,
    pub bcc: Vec<EnvelopeAddress>,
    pub in_reply_to: NString,
    pub message_id: NString,
}

/// An address of an envelope.
///
/// RFC 9051 §7.5.2: a group begins with an address without a host, whose mailbox is the group's name, and ends with one that has
/// neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeAddress {
    /// The display name.
    pub name: NString,
    /// The source route, obsolete.
    pub route: NString,
    /// The local part.
    pub mailbox: NString,
    /// The domain.
    pub host: NString,
}

impl Envelope {
    /// The envelope of a message with this header.
    ///
    /// Fields that are no address list are told address by address: one that cannot be read has its text for a name, and an empty
    /// mailbox and host. A field that stands there more than once gives all its addresses, or its first text. NULs are left out,
    /// as no string can hold them.
    ///
    /// ```
    /// use imap_proto::Envelope;
    /// use mail_syntax::header::{Header, Limits};
    ///
    /// let (header, _) = Header::split(b"From: Joe <joe@example.com>\r\nSubject:\r\n\r\n", &Limits::default())?;
    /// let envelope = Envelope::of(&header);
    /// assert_eq!(envelope.sender[0].host.as_deref(), Some(&b"example.com"[..]));
    /// assert_eq!((envelope.subject, envelope.date), (Some(vec![]), None));
    /// # Ok::<(), mail_syntax::header::HeaderError>(())
    /// ```
    #[must_use]
    pub fn of(header: &Header<'_>) -> Self {
        // RFC 9051 §7.5.2: "if these header fields are present but empty, the corresponding member of the envelope is the empty
        // string."
        let text = |name| {
            header
                .named(name)
                .next()
                .map(|field| string(&field.value()))
        };
        let addresses = |name| {
            header
                .named(name)
                .flat_map(|field| addresses(&field))
                .collect()
        };
        let from: Vec<EnvelopeAddress> = addresses("From");
        // RFC 9051 §7.5.2: "If the Sender or Reply-To header fields are absent in the [RFC5322] header, or are present but empty,
        // the server sets the corresponding member of the envelope to be the same value as the from member"
        let or_from = |addresses: Vec<EnvelopeAddress>| {
            if addresses.is_empty() {
                from.clone()
            } else {
                addresses
            }
        };
        Self {
            date: text("Date"),
            subject: text("Subject"),
            sender: or_from(addresses("Sender")),
            reply_to: or_from(addresses("Reply-To")),
            to: addresses("To"),
            cc: addresses("Cc"),
            bcc: addresses("Bcc"),
            in_reply_to: text("In-Reply-To"),
            message_id: text("Message-ID"),
            from,
        }
    }
}

impl EnvelopeAddress {
    fn mailbox(mailbox: &NamedMailbox) -> Self {
        Self {
            name: mailbox.name().map(|name| string(name.text().as_bytes())),
            route: None,
            mailbox: Some(string(mailbox.addr_spec().local_part().as_bytes())),
            host: Some(string(mailbox.addr_spec().domain_text().as_bytes())),
        }
    }

    /// What cannot be read. A host that is NIL would make it a group.
    fn unreadable(text: &[u8]) -> Self {
        Self {
            name: Some(string(text)),
            route: None,
            mailbox: Some(Vec::new()),
            host: Some(Vec::new()),
        }
    }
}

/// Octets as a string can hold them.
pub(crate) fn string(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().filter(|octet| *octet != 0).collect()
}

fn addresses(field: &Field<'_>) -> Vec<EnvelopeAddress> {
    match AddressList::parse(field.body()) {
        Ok(list) => of_list(&list),
        Err(_) => pieces(&field.value())
            .flat_map(|piece| match AddressList::parse(piece) {
                Ok(list) => of_list(&list),
                Err(_) => vec![EnvelopeAddress::unreadable(piece)],
            })
            .collect(),
    }
}

fn of_list(list: &AddressList) -> Vec<EnvelopeAddress> {
    let mut out = Vec::new();
    for address in list.addresses() {
        match address {
            Address::Mailbox(mailbox) => out.push(EnvelopeAddress::mailbox(mailbox)),
            Address::Group(group) => {
                out.push(EnvelopeAddress {
                    mailbox: Some(string(group.name().text().as_bytes())),
                    ..EnvelopeAddress::default()
                });
                out.extend(group.members().iter().map(EnvelopeAddress::mailbox));
                out.push(EnvelopeAddress::default());
            }
        }
    }
    out
}

/// A list that cannot be read, at its commas outside quotes; nothing of it is empty.
fn pieces(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    list.split(move |octet| {
        if core::mem::take(&mut escaped) {
            return false;
        }
        match octet {
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })
    .map(<[u8]>::trim_ascii)
    .filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_syntax::header::Limits;

    fn envelope(header: &str) -> Envelope {
        let (header, _) = Header::split(header.as_bytes(), &Limits::default()).unwrap();
        Envelope::of(&header)
    }

    fn shown(addresses: &[EnvelopeAddress]) -> Vec<[Option<String>; 3]> {
        let text = |part: &NString| {
            part.as_ref()
                .map(|octets| String::from_utf8_lossy(octets).into_owned())
        };
        addresses
            .iter()
            .map(|a| [text(&a.name), text(&a.mailbox), text(&a.host)])
            .collect()
    }

    #[test]
    fn lists_groups_and_what_cannot_be_read() {
        let some = |text: &str| Some(text.to_owned());
        for (field, want) in [
            ("", vec![]),
            (" ", vec![]),
            (
                "=?utf-8?q?J=C3=B6rg?= <j@example.com>",
                vec![[
                    some("=?utf-8?q?J=C3=B6rg?="),
                    some("j"),
                    some("example.com"),
                ]],
            ),
            (
                "\"A, B\" <\"a b\"@[192.0.2.1]>",
                vec![[some("A, B"), some("a b"), some("[192.0.2.1]")]],
            ),
            (
                "Team: a@b.test;, c@d.test",
                vec![
                    [None, some("Team"), None],
                    [None, some("a"), some("b.test")],
                    [None, None, None],
                    [None, some("c"), some("d.test")],
                ],
            ),
            (
                "nobody, a@b.test, a@b@c, \"x, y\"",
                vec![
                    [some("nobody"), some(""), some("")],
                    [None, some("a"), some("b.test")],
                    [some("a@b@c"), some(""), some("")],
                    [some("\"x, y\""), some(""), some("")],
                ],
            ),
        ] {
            let envelope = envelope(&format!("From:{field}\r\n\r\n"));
            assert_eq!(shown(&envelope.from), want, "{field}");
            assert_eq!(envelope.reply_to, envelope.from);
        }
    }

    #[test]
    fn texts() {
        let envelope = envelope(
            "Subject: a\r\n b\0c \r\nMessage-ID:\r\nSubject: second\r\nTo: a@b\r\nTo: c@d\r\n\r\n",
        );
        assert_eq!(envelope.subject.as_deref(), Some(&b"a bc"[..]));
        assert_eq!(envelope.message_id.as_deref(), Some(&b""[..]));
        assert_eq!((envelope.date, envelope.to.len()), (None, 2));
    }
}
