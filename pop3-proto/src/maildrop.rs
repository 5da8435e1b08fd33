//! What a maildrop is to POP3: messages with sizes and unique ids (RFC 1939 §4 to §7).

use core::fmt;

/// A message of a maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its octets, line ends counted as CR LF, dots that are stuffed on the wire not counted (RFC 1939 §11).
    pub size: u64,
    /// Its unique id.
    pub unique_id: UniqueId,
}

impl Message {
    /// A message of `size` octets.
    #[must_use]
    pub const fn new(size: u64, unique_id: UniqueId) -> Self {
        Self { size, unique_id }
    }
}

/// The unique id of a message, the same over sessions. RFC 1939 §7: "The unique-id of a message is an arbitrary
/// server-determined string, consisting of one to 70 characters in the range 0x21 to 0x7E".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId(Box<str>);

/// Not 1 to 70 characters from 0x21 to 0x7E.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a unique id has 1 to 70 characters of visible ASCII (RFC 1939 §7)")]
pub struct InvalidUniqueId;

impl UniqueId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for UniqueId {
    type Err = InvalidUniqueId;

    fn from_str(text: &str) -> Result<Self, InvalidUniqueId> {
        if matches!(text.len(), 1..=70) && text.bytes().all(|octet| octet.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidUniqueId)
        }
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A maildrop that is open, with the marks of DELE.
#[derive(Debug)]
pub(crate) struct Maildrop {
    messages: Vec<(Message, bool)>,
    /// Messages that are not marked, and their octets.
    count: usize,
    octets: u64,
}

impl Maildrop {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        let mut maildrop = Self {
            messages: messages
                .into_iter()
                .map(|message| (message, false))
                .collect(),
            count: 0,
            octets: 0,
        };
        maildrop.reset();
        maildrop
    }

    /// Takes every mark away (RSET).
    pub(crate) fn reset(&mut self) {
        self.count = self.messages.len();
        self.octets = 0;
        for (message, deleted) in &mut self.messages {
            *deleted = false;
            self.octets = self.octets.saturating_add(message.size);
        }
    }

    /// Marks a message; `false` where there is none, or it is marked.
    pub(crate) fn delete(&mut self, index: usize) -> bool {
        match self.messages.get_mut(index) {
            Some((message, deleted)) if !*deleted => {
                *deleted = true;
                self.count -= 1;
                self.octets = self.octets.saturating_sub(message.size);
                true
            }
            _ => false,
        }
    }

    /// A message that is there and not marked.
    pub(crate) fn message(&self, index: usize) -> Option<&Message> {
        match self.messages.get(index) {
            Some((message, false)) => Some(message),
            _ => None,
        }
    }

    /// The first message that is not marked, from `index` on.
    pub(crate) fn next_from(&self, index: usize) -> Option<(usize, &Message)> {
        (index..self.messages.len()).find_map(|at| self.message(at).map(|message| (at, message)))
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// The indices of the marked messages.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = usize> {
        self.messages
            .iter()
            .enumerate()
            .filter_map(|(index, (_, deleted))| deleted.then_some(index))
    }
}
