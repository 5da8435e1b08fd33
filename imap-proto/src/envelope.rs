//! ENVELOPE (RFC 9051 §7.5.2).

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
