//! The mailbox that is selected: what the client was told of it, and what is done in it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use imap_proto::server::{AnswerError, MailboxView, Refusal, Session, asked};
use imap_proto::{
    Candidate, CopyUid, DateTime, Flag, Mailbox, Matcher, Reads, SearchKey, Store, StoreMode,
    UidSet, Word,
};
use mail_wire::{Pending, UnixTime};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Connection, refusal};
use crate::store::{self, AccountId, Change, Entry, FlagChange, MailboxId, StoreError};

/// Keywords in one mailbox; more are refused (RFC 5530, LIMIT). Every client that selects the mailbox is told all of them.
const KEYWORDS: usize = 500;
/// Messages searched in one go, between which the server may stop.
const SEARCHED: usize = 100;

/// A mailbox as the client knows it.
pub(super) struct Selected {
    pub(super) id: MailboxId,
    /// By UID.
    entries: Vec<Entry>,
    changes: Receiver<Change>,
}

/// Waits until the mailbox changes; for ever where none is selected.
pub(super) async fn changed(selected: &mut Option<Selected>) {
    let Some(selected) = selected else {
        return std::future::pending().await;
    };
    loop {
        match selected.changes.recv().await {
            Ok(change) if change.mailbox == selected.id => break,
            Ok(_) => {}
            // Too many to be kept: one of them may have been ours.
            Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
    // One look is enough for all of them.
    selected.changes = selected.changes.resubscribe();
}

impl Selected {
    pub(super) fn entry(&self, uid: u32) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by_key(&uid, |entry| entry.uid)
            .ok()?;
        self.entries.get(at)
    }

    /// Takes flags over that the client is told of elsewhere.
    pub(super) fn set_flags(&mut self, uid: u32, flags: Vec<String>) {
        if let Ok(at) = self.entries.binary_search_by_key(&uid, |entry| entry.uid)
            && let Some(entry) = self.entries.get_mut(at)
        {
            entry.flags = flags;
        }
    }

    /// Tells the session what is different now.
    fn update(&mut self, entries: Vec<Entry>, session: &mut Session) {
        let mut old = self.entries.iter().peekable();
        for new in &entries {
            while let Some(gone) = old.next_if(|old| old.uid < new.uid) {
                session.expunged(gone.uid);
            }
            match old.next_if(|old| old.uid == new.uid) {
                None => session.exists([new.uid]),
                Some(old) if old.flags != new.flags => {
                    session.flags_changed(new.uid, to_flags(&new.flags));
                }
                Some(_) => {}
            }
        }
        for gone in old {
            session.expunged(gone.uid);
        }
        self.entries = entries;
    }

    /// Whether the mailbox has room for the keywords among these flags.
    fn has_room_for(&self, flags: &[String]) -> bool {
        let mut words: BTreeSet<String> = keywords(&self.entries);
        let before = words.len();
        words.extend(
            flags
                .iter()
                .filter(|flag| is_keyword(flag))
                .map(|flag| lower(flag)),
        );
        words.len() == before || words.len() <= KEYWORDS
    }
}

fn lower(word: &str) -> String {
    word.to_ascii_lowercase()
}

fn is_keyword(flag: &str) -> bool {
    !flag.starts_with('\\')
}

fn keywords(entries: &[Entry]) -> BTreeSet<String> {
    let flags = entries.iter().flat_map(|entry| &entry.flags);
    flags
        .filter(|flag| is_keyword(flag))
        .map(|flag| lower(flag))
        .collect()
}

/// Flags of the store as IMAP has them.
pub(super) fn to_flags(flags: &[String]) -> Vec<Flag> {
    flags.iter().filter_map(|flag| flag.parse().ok()).collect()
}

/// Those flags of a client that are kept: system flags and keywords.
pub(super) fn kept(flags: &[Flag]) -> Vec<String> {
    let is_kept = |flag: &&Flag| match flag {
        // RFC 9051 §2.3.2: a client cannot set \Recent; and \* is no flag.
        Flag::Recent | Flag::Any => false,
        Flag::Other(keyword) => is_keyword(keyword.as_str()),
        _ => true,
    };
    flags
        .iter()
        .filter(is_kept)
        .map(|flag| flag.as_str().to_owned())
        .collect()
}

fn is_deleted(entry: &Entry) -> bool {
    entry.flags.iter().any(|flag| flag == "\\Deleted")
}

/// UIDVALIDITY and UIDs are never 0 in the store.
pub(super) fn non_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn ranges(uids: impl Iterator<Item = u32>) -> Vec<(NonZeroU32, NonZeroU32)> {
    let mut ranges: Vec<(NonZeroU32, NonZeroU32)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some((_, last)) if last.get().checked_add(1) == Some(uid) => *last = non_zero(uid),
            _ => ranges.push((non_zero(uid), non_zero(uid))),
        }
    }
    ranges
}

impl Connection {
    /// Looks at the selected mailbox again, and tells what is different. A store that fails now is asked again at the next change.
    pub(super) async fn look_again(&mut self) {
        let Some(id) = self.selected.as_ref().map(|selected| selected.id) else {
            return;
        };
        match self.context.store(move |store| store.entries(id)).await {
            Ok(entries) => {
                if let Some(selected) = &mut self.selected {
                    selected.update(entries, self.driver.session());
                }
            }
            Err(error) => tracing::error!(%error, "imap: a mailbox cannot be read"),
        }
    }

    /// The mailbox that is selected. The session asks for nothing in it where there is none.
    fn in_selected(&self) -> Result<&Selected, Refusal> {
        let none = || Refusal::new(Word::ClientBug, "Select a mailbox first");
        self.selected.as_ref().ok_or_else(none)
    }

    pub(super) async fn select(
        &mut self,
        account: AccountId,
        select: Pending<asked::Select>,
        mailbox: &Mailbox,
    ) -> Result<(), AnswerError> {
        self.selected = None;
        self.cached = None;
        // From before the look: nothing is missed between the two.
        let changes = self.context.store.0.changes();
        let name = mailbox.as_str().to_owned();
        let found = self.context.store(move |store| {
            let mailbox = store.mailbox(account, &name)?;
            let mailbox = mailbox.ok_or(StoreError::Missing("the mailbox"))?;
            let entries = store.entries(mailbox.id)?;
            Ok((mailbox, entries))
        });
        let (mailbox, entries) = match found.await {
            Ok(found) => found,
            Err(error) => return Ok(self.driver.session().refuse(select, &refusal(error))?),
        };
        let unseen = |entry: &&Entry| !entry.flags.iter().any(|flag| flag == "\\Seen");
        let mut flags = vec![
            Flag::Answered,
            Flag::Flagged,
            Flag::Deleted,
            Flag::Seen,
            Flag::Draft,
        ];
        let in_use = keywords(&entries).into_iter().collect::<Vec<_>>();
        flags.extend(to_flags(&in_use));
        let mut permanent_flags = flags.clone();
        permanent_flags.push(Flag::Any);
        let after_last = entries
            .last()
            .map_or(1, |entry| entry.uid.saturating_add(1));
        let view = MailboxView {
            uid_validity: non_zero(mailbox.uid_validity),
            uid_next: non_zero(mailbox.uid_next.max(after_last)),
            uids: entries.iter().map(|entry| entry.uid).collect(),
            flags,
            permanent_flags,
            first_unseen: entries.iter().find(unseen).map(|entry| entry.uid),
            read_only: false,
        };
        self.selected = Some(Selected {
            id: mailbox.id,
            entries,
            changes,
        });
        Ok(self.driver.session().selected(select, view)?)
    }

    pub(super) async fn store(
        &mut self,
        asked: Pending<asked::Store>,
        uids: &UidSet,
        change: Store,
    ) -> Result<(), AnswerError> {
        match self.changed_flags(uids, &change).await {
            Ok(changed) => {
                let mut told = Vec::with_capacity(changed.len());
                for (uid, flags) in changed {
                    told.push((non_zero(uid), to_flags(&flags)));
                    if let Some(selected) = &mut self.selected {
                        selected.set_flags(uid, flags);
                    }
                }
                Ok(self.driver.session().stored(asked, told)?)
            }
            Err(refusal) => Ok(self.driver.session().refuse(asked, &refusal)?),
        }
    }

    async fn changed_flags(
        &self,
        uids: &UidSet,
        change: &Store,
    ) -> Result<Vec<(u32, Vec<String>)>, Refusal> {
        let selected = self.in_selected()?;
        let flags = kept(&change.flags);
        if change.mode != StoreMode::Remove && !selected.has_room_for(&flags) {
            return Err(Refusal::new(Word::Limit, "Too many keywords"));
        }
        let mode = match change.mode {
            StoreMode::Replace => FlagChange::Replace,
            StoreMode::Add => FlagChange::Add,
            StoreMode::Remove => FlagChange::Remove,
        };
        let (id, uids) = (selected.id, uids.iter().collect::<Vec<_>>());
        let changed = self
            .context
            .store(move |store| store.flag(id, &uids, mode, &flags));
        changed.await.map_err(refusal)
    }

    pub(super) async fn copy(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Copy>,
        uids: &UidSet,
        mailbox: &Mailbox,
        moves: bool,
    ) -> Result<(), AnswerError> {
        match self.copied(account, uids, mailbox, moves).await {
            Ok((code, moved)) => {
                self.look_again().await;
                Ok(self.driver.session().copied(asked, code, &moved)?)
            }
            Err(refusal) => Ok(self.driver.session().refuse(asked, &refusal)?),
        }
    }

    async fn copied(
        &self,
        account: AccountId,
        uids: &UidSet,
        mailbox: &Mailbox,
        moves: bool,
    ) -> Result<(Option<CopyUid>, UidSet), Refusal> {
        let from = self.in_selected()?.id;
        let (uids, name) = (uids.iter().collect::<Vec<_>>(), mailbox.as_str().to_owned());
        let copied = self.context.store(move |store| {
            let Some(to) = store.mailbox(account, &name)? else {
                return Ok(None);
            };
            let pairs = store.copy(from, &uids, to.id)?;
            let sources: Vec<u32> = pairs.iter().map(|(source, _)| *source).collect();
            // Stopped between the two, a message is in both mailboxes, never in none.
            let gone = match moves {
                true => store.expunge(from, &sources)?,
                false => Vec::new(),
            };
            Ok(Some((to, pairs, gone)))
        });
        let Some((to, pairs, gone)) = copied.await.map_err(refusal)? else {
            // RFC 9051 §6.4.7: "the server MUST send the response code "[TRYCREATE]" as the prefix of the text of the tagged NO"
            return Err(Refusal::new(Word::TryCreate, "There is no such mailbox"));
        };
        if pairs.is_empty() {
            return Err(Refusal::new(Word::ExpungeIssued, "The messages are gone"));
        }
        let code = CopyUid {
            uid_validity: non_zero(to.uid_validity),
            source: ranges(pairs.iter().map(|(source, _)| *source)),
            destination: ranges(pairs.iter().map(|(_, copy)| *copy)),
        };
        Ok((Some(code), gone.into_iter().collect()))
    }

    pub(super) async fn expunge(
        &mut self,
        asked: Pending<asked::Expunge>,
        only: Option<UidSet>,
    ) -> Result<(), AnswerError> {
        match self.removed(only).await {
            Ok(gone) => {
                self.look_again().await;
                Ok(self.driver.session().expunged_all(asked, &gone)?)
            }
            Err(refusal) => Ok(self.driver.session().refuse(asked, &refusal)?),
        }
    }

    pub(super) async fn close(
        &mut self,
        asked: Pending<asked::Plain>,
        expunge: bool,
    ) -> Result<(), AnswerError> {
        let removed = match expunge {
            true => self.removed(None).await,
            false => Ok(UidSet::default()),
        };
        if let Err(refusal) = removed {
            return Ok(self.driver.session().refuse(asked, &refusal)?);
        }
        self.selected = None;
        self.cached = None;
        Ok(self.driver.session().done(asked)?)
    }

    /// Removes what is `\Deleted`, and returns what that was.
    async fn removed(&self, only: Option<UidSet>) -> Result<UidSet, Refusal> {
        let id = self.in_selected()?.id;
        let gone = self.context.store(move |store| {
            let is_meant = |uid| only.as_ref().is_none_or(|only| only.contains(uid));
            let doomed: Vec<u32> = store
                .entries(id)?
                .iter()
                .filter(|entry| is_deleted(entry) && is_meant(entry.uid))
                .map(|entry| entry.uid)
                .collect();
            store.expunge(id, &doomed)
        });
        Ok(gone.await.map_err(refusal)?.into_iter().collect())
    }

    pub(super) async fn search(
        &mut self,
        asked: Pending<asked::Search>,
        key: &SearchKey,
    ) -> Result<(), AnswerError> {
        match self.found(key).await {
            Ok(uids) => Ok(self.driver.session().found(asked, &uids)?),
            Err(refusal) => Ok(self.driver.session().refuse(asked, &refusal)?),
        }
    }

    async fn found(&self, key: &SearchKey) -> Result<UidSet, Refusal> {
        let selected = self.in_selected()?;
        let too_deep = |_| Refusal::new(Word::Limit, "The criteria nest too deep");
        let matcher = Matcher::new(key).map_err(too_deep)?;
        if matcher.reads() == Reads::Nothing {
            let entries = selected.entries.iter();
            let found = entries.filter(|entry| matches(&matcher, entry, &[]));
            return Ok(found.map(|entry| entry.uid).collect());
        }
        let mut found = Vec::new();
        for entries in selected.entries.chunks(SEARCHED) {
            if *self.context.stopping.borrow() {
                return Err(refusal(StoreError::Interrupted));
            }
            let (id, entries, matcher) = (selected.id, entries.to_vec(), matcher.clone());
            let these = self.context.store(move |store| {
                let mut found = Vec::new();
                for entry in entries {
                    let octets = match read(store, id, entry.uid, matcher.reads()) {
                        // Somebody else has expunged it.
                        Err(StoreError::Missing(_)) => continue,
                        octets => octets?,
                    };
                    if matches(&matcher, &entry, &octets) {
                        found.push(entry.uid);
                    }
                }
                Ok(found)
            });
            found.extend(these.await.map_err(refusal)?);
        }
        Ok(found.into_iter().collect())
    }
}

fn read(
    store: &dyn store::Store,
    mailbox: MailboxId,
    uid: u32,
    reads: Reads,
) -> Result<Vec<u8>, StoreError> {
    let message = store.message(mailbox, uid)?;
    match reads {
        Reads::Message => message.read_all(),
        _ => super::fetch::read_header(message),
    }
}

fn matches(matcher: &Matcher, entry: &Entry, octets: &[u8]) -> bool {
    matcher.matches(&Candidate {
        uid: non_zero(entry.uid),
        flags: &to_flags(&entry.flags),
        internal_date: DateTime::from_unix(UnixTime(entry.internal_date)),
        size: entry.size,
        octets,
    })
}
