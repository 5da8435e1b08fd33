//! FETCH: message by message, large sections piece by piece.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use imap_proto::server::{AnswerError, Refusal};
use imap_proto::{
    DateTime, FetchItem, FetchValue, MessageData, Section, SectionData, SectionName, SectionText,
    UidSet, UnknownEncoding, Word,
};
use mail_wire::{Room, Session as _, Stream, UnixTime};

use super::selected::{non_zero, to_flags};
use super::{Connection, refusal};
use crate::store::{Entry, FlagChange, MailboxId, Store, StoreError, StoredMessage};

/// Octets read and sent at a time; sections up to this length are given at once.
const PIECE: usize = 64 * 1024;

/// A FETCH in progress.
pub(super) struct Fetching {
    stream: Stream,
    uids: std::vec::IntoIter<u32>,
    items: Arc<[FetchItem]>,
    sets_seen: bool,
    /// What the message begun still owes.
    owed: VecDeque<Source>,
    /// Why not all is given.
    refusal: Option<Refusal>,
}

impl Fetching {
    pub(super) fn new(
        stream: Stream,
        uids: &UidSet,
        items: Vec<FetchItem>,
        sets_seen: bool,
    ) -> Self {
        Self {
            stream,
            uids: uids.iter().collect::<Vec<_>>().into_iter(),
            items: items.into(),
            sets_seen,
            owed: VecDeque::new(),
            refusal: None,
        }
    }
}

/// Octets of a section.
enum Source {
    /// Of a whole message, which is not held.
    File { message: StoredMessage, left: u64 },
    /// Of a part.
    Held(Bytes),
}

/// A message that the client reads in pieces, one after the other: it is taken apart once.
pub(super) struct Cached {
    mailbox: MailboxId,
    uid: u32,
    octets: Bytes,
    /// The section read last.
    section: Option<(SectionName, Option<Bytes>)>,
}

/// How much of a message is read for an item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    /// All its octets, one after the other.
    Octets,
    Header,
    /// Its structure.
    Message,
}

fn needs(item: &FetchItem) -> Needs {
    match item {
        FetchItem::Flags | FetchItem::InternalDate | FetchItem::Size | FetchItem::Uid => {
            Needs::Nothing
        }
        FetchItem::Envelope => Needs::Header,
        FetchItem::Section { name, .. } if is_whole(name) => Needs::Octets,
        FetchItem::Section { name, .. } => match name {
            SectionName::Rfc822Header => Needs::Header,
            SectionName::Body(Section {
                part,
                text:
                    Some(
                        SectionText::Header
                        | SectionText::HeaderFields(_)
                        | SectionText::HeaderFieldsNot(_),
                    ),
            }) if part.is_empty() => Needs::Header,
            _ => Needs::Message,
        },
        _ => Needs::Message,
    }
}

fn is_whole(name: &SectionName) -> bool {
    *name == SectionName::Rfc822 || *name == SectionName::Body(Section::default())
}

/// What is asked of a message.
struct Work {
    mailbox: MailboxId,
    entry: Entry,
    items: Arc<[FetchItem]>,
    sets_seen: bool,
}

/// What is given of it.
#[derive(Default)]
struct Answer {
    values: Vec<FetchValue>,
    owed: VecDeque<Source>,
    /// The flags, where they were changed.
    flags: Option<Vec<String>>,
}

/// Why a message is not given.
enum Failure {
    Store(StoreError),
    Encoding,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<UnknownEncoding> for Failure {
    fn from(_: UnknownEncoding) -> Self {
        Self::Encoding
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            // RFC 5530 §3: EXPUNGEISSUED: "Someone else has issued an EXPUNGE for the same mailbox."
            Failure::Store(StoreError::Missing(_)) => {
                Self::new(Word::ExpungeIssued, "Some of the messages are gone")
            }
            Failure::Store(error) => refusal(error),
            Failure::Encoding => Self::new(Word::UnknownCte, "A transfer encoding is not known"),
        }
    }
}

impl Work {
    /// Whether what the store has told already is enough.
    fn is_known(&self) -> bool {
        self.items.iter().all(|item| needs(item) == Needs::Nothing)
    }

    /// Whether the client reads a section in pieces.
    fn is_in_pieces(&self) -> bool {
        let in_pieces = |item: &FetchItem| {
            needs(item) == Needs::Message
                && matches!(item, FetchItem::Section { partial, .. } if partial.is_some())
        };
        self.items.iter().any(in_pieces)
    }

    fn answer(&self, store: &dyn Store, cached: &mut Option<Cached>) -> Result<Answer, Failure> {
        let (mailbox, uid) = (self.mailbox, self.entry.uid);
        let most = self.items.iter().map(needs).max();
        let octets = match most {
            Some(Needs::Header) => read_header(store.message(mailbox, uid)?)?.into(),
            Some(Needs::Message) => match cached {
                Some(cached) if (cached.mailbox, cached.uid) == (mailbox, uid) => {
                    cached.octets.clone()
                }
                _ => {
                    let octets = Bytes::from(store.message(mailbox, uid)?.read_all()?);
                    *cached = self.is_in_pieces().then(|| Cached {
                        mailbox,
                        uid,
                        octets: octets.clone(),
                        section: None,
                    });
                    octets
                }
            },
            _ => Bytes::new(),
        };
        let data = LazyCell::new(|| MessageData::parse(&octets));
        let mut answer = Answer::default();
        for item in &*self.items {
            let value = match item {
                item if needs(item) == Needs::Nothing => self.known(item),
                FetchItem::Section { name, partial, .. } if is_whole(name) => {
                    let message = store.message(mailbox, uid)?;
                    Some(answer.whole(name, *partial, message)?)
                }
                FetchItem::Section { name, partial, .. } => {
                    let section = section(name, &octets, || &data, cached)?;
                    Some(answer.section(name, *partial, section))
                }
                item => data.value(item)?,
            };
            answer.values.extend(value);
        }
        self.see(store, &mut answer)?;
        Ok(answer)
    }

    /// Sets `\Seen`, and tells the flags when that has changed them.
    fn see(&self, store: &dyn Store, answer: &mut Answer) -> Result<(), StoreError> {
        let seen = "\\Seen".to_owned();
        if !self.sets_seen || self.entry.flags.contains(&seen) {
            return Ok(());
        }
        let changed = store.flag(self.mailbox, &[self.entry.uid], FlagChange::Add, &[seen])?;
        if let Some((_, flags)) = changed.into_iter().next() {
            // RFC 9051 §6.4.5: "if this causes the flags to change, they SHOULD be included as part of the FETCH responses."
            answer
                .values
                .retain(|value| !matches!(value, FetchValue::Flags(_)));
            answer.values.insert(0, FetchValue::Flags(to_flags(&flags)));
            answer.flags = Some(flags);
        }
        Ok(())
    }

    /// The value of an item that needs nothing of the message.
    fn known(&self, item: &FetchItem) -> Option<FetchValue> {
        Some(match item {
            FetchItem::Flags => FetchValue::Flags(to_flags(&self.entry.flags)),
            FetchItem::Uid => FetchValue::Uid(non_zero(self.entry.uid)),
            FetchItem::Size => FetchValue::Size(self.entry.size),
            FetchItem::InternalDate => {
                let date = UnixTime(self.entry.internal_date);
                FetchValue::InternalDate(DateTime::from_unix(date))
            }
            _ => return None,
        })
    }
}

/// A section, whole; borrowed from the message where it stands there as it is.
fn section<'m>(
    name: &SectionName,
    octets: &Bytes,
    data: impl FnOnce() -> &'m MessageData<'m>,
    cached: &mut Option<Cached>,
) -> Result<Option<Bytes>, UnknownEncoding> {
    if let Some(Cached {
        section: Some((of, section)),
        ..
    }) = cached
        && of == name
    {
        return Ok(section.clone());
    }
    let section = data().octets(name, None)?.map(|section| match section {
        Cow::Borrowed(section) => octets.slice_ref(section),
        Cow::Owned(section) => section.into(),
    });
    if let Some(cached) = cached {
        cached.section = Some((name.clone(), section.clone()));
    }
    Ok(section)
}

impl Answer {
    fn whole(
        &mut self,
        name: &SectionName,
        partial: Option<(u64, NonZeroU64)>,
        mut message: StoredMessage,
    ) -> Result<FetchValue, StoreError> {
        let size = message.size();
        let (from, left) = cut(size, partial);
        message.skip(from)?;
        if left > 0 {
            self.owed.push_back(Source::File { message, left });
        }
        Ok(FetchValue::Section {
            name: name.clone(),
            origin: partial.map(|(origin, _)| origin),
            data: SectionData::Streamed(left),
        })
    }

    fn section(
        &mut self,
        name: &SectionName,
        partial: Option<(u64, NonZeroU64)>,
        section: Option<Bytes>,
    ) -> FetchValue {
        let piece = section.map(|section| {
            let (from, left) = cut(section.len() as u64, partial);
            // Both lie within the section, which is in memory.
            let from = usize::try_from(from).unwrap_or(section.len());
            let left = usize::try_from(left).unwrap_or(0);
            section.slice(from..from + left)
        });
        let data = match piece {
            Some(piece) if piece.len() > PIECE => {
                let size = piece.len() as u64;
                self.owed.push_back(Source::Held(piece));
                SectionData::Streamed(size)
            }
            piece => SectionData::Here(piece.map(Into::into)),
        };
        FetchValue::Section {
            name: name.clone(),
            origin: partial.map(|(origin, _)| origin),
            data,
        }
    }
}

/// Where a partial begins, and how long it is; both within the size.
fn cut(size: u64, partial: Option<(u64, NonZeroU64)>) -> (u64, u64) {
    let (from, count) = partial.map_or((0, u64::MAX), |(from, count)| (from, count.get()));
    let from = from.min(size);
    (from, count.min(size - from))
}

/// The header of a message with its empty line; all of it where there is none.
pub(super) fn read_header(mut message: StoredMessage) -> Result<Vec<u8>, StoreError> {
    let mut octets: Vec<u8> = Vec::new();
    loop {
        let piece = message.read(8 * 1024)?;
        if piece.is_empty() {
            return Ok(octets);
        }
        // The empty line may begin in the piece before.
        let from = octets.len().saturating_sub(3);
        octets.extend_from_slice(&piece);
        let end = if octets.starts_with(b"\r\n") {
            Some(2)
        } else {
            let tail = octets.get(from..).unwrap_or_default();
            let found = tail.windows(4).position(|four| four == b"\r\n\r\n");
            found.map(|at| from + at + 4)
        };
        if let Some(end) = end {
            octets.truncate(end);
            return Ok(octets);
        }
    }
}

impl Source {
    /// The next octets, and what is left behind them.
    fn read(self) -> Result<(Bytes, Option<Self>), StoreError> {
        match self {
            Self::Held(mut octets) => {
                let piece = octets.split_to(octets.len().min(PIECE));
                Ok((piece, (!octets.is_empty()).then_some(Self::Held(octets))))
            }
            Self::File { mut message, left } => {
                let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                let piece = message.read(most)?;
                let left = left - piece.len() as u64;
                if piece.is_empty() && left > 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                }
                let rest = (left > 0).then_some(Self::File { message, left });
                Ok((piece.into(), rest))
            }
        }
    }
}

impl Connection {
    /// Gives what there is room for.
    pub(super) async fn room(&mut self, stream: Stream) -> Result<(), AnswerError> {
        while self.driver.session().output().len() < Room::LOW_WATER {
            let Some(fetching) = &mut self.fetching else {
                return Ok(());
            };
            debug_assert!(fetching.stream.is(&stream));
            if let Some(source) = fetching.owed.pop_front() {
                match self.context.store(move |_| source.read()).await {
                    Ok((piece, rest)) => {
                        if let Some(rest) = rest {
                            fetching.owed.push_front(rest);
                        }
                        self.driver.session().send(stream, &piece)?;
                    }
                    Err(error) => {
                        tracing::error!(%error, "imap: a message cannot be read to its end");
                        self.fetching = None;
                        // The literal is short: the session ends.
                        return Ok(self.driver.session().fetched(stream, None)?);
                    }
                }
                continue;
            }
            let Some(uid) = fetching.uids.next() else {
                let refusal = fetching.refusal.take();
                self.fetching = None;
                return Ok(self.driver.session().fetched(stream, refusal.as_ref())?);
            };
            self.give(stream, uid).await?;
        }
        Ok(())
    }

    async fn give(&mut self, stream: Stream, uid: u32) -> Result<(), AnswerError> {
        let (Some(fetching), Some(selected)) = (&mut self.fetching, &mut self.selected) else {
            return Ok(());
        };
        let Some(entry) = selected.entry(uid) else {
            let gone = Failure::Store(StoreError::Missing("the message"));
            fetching.refusal = Some(gone.into());
            return Ok(());
        };
        let work = Work {
            mailbox: selected.id,
            entry: entry.clone(),
            items: Arc::clone(&fetching.items),
            sets_seen: fetching.sets_seen,
        };
        let outcome = if work.is_known() {
            Ok(Answer {
                values: work
                    .items
                    .iter()
                    .filter_map(|item| work.known(item))
                    .collect(),
                ..Answer::default()
            })
        } else {
            let mut cached = self.cached.take();
            let answered = self.context.store(move |store| {
                let answer = work.answer(store, &mut cached);
                if !work.is_in_pieces() {
                    cached = None;
                }
                Ok((answer, cached))
            });
            match answered.await {
                Ok((answer, cached)) => {
                    self.cached = cached;
                    answer
                }
                Err(error) => Err(error.into()),
            }
        };
        match outcome {
            Ok(answer) => {
                if let Some(flags) = answer.flags {
                    selected.set_flags(uid, flags);
                }
                fetching.owed = answer.owed;
                let session = self.driver.session();
                session.message(stream, non_zero(uid), &answer.values)
            }
            Err(failure) => {
                fetching.refusal = Some(failure.into());
                Ok(())
            }
        }
    }
}
