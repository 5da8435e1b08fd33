//! What the application answers and tells.

use super::event::{AnswerError, MailboxView, Refusal, asked};
use super::view::View;
use super::{Error, Phase, Selected, Session, What};
use crate::print::{PrintOptions, Writer};
use crate::{
    Code, CopyUid, Data, Esearch, FetchValue, Flag, ListEntry, Response, SearchReturn, SectionData,
    Status, StatusKind, StatusValue, Text, UidSet,
};
use core::num::NonZeroU32;
use mail_wire::framing::Counted;
use mail_wire::{Pending, Room, Stale, Stream};
use std::collections::{BTreeMap, BTreeSet};

impl Session {
    fn data(&mut self, data: Data) {
        let line = Response::Data(data).print(self.rev2);
        self.output.extend_from_slice(&line);
    }

    fn end(&mut self, kind: StatusKind, code: Option<Code>, text: &str) {
        let mut writer = Writer::new(PrintOptions {
            utf8: self.rev2,
            ..PrintOptions::default()
        });
        writer.status(&Status {
            kind,
            code,
            text: Text::lossy(text),
        });
        let status = String::from_utf8_lossy(&writer.out.octets).into_owned();
        self.finish_text(&status);
    }

    /// Takes the client in.
    ///
    /// # Errors
    ///
    /// [`Stale`]; so for all answers.
    pub fn greet(&mut self, connected: Pending<asked::Greeting>, text: &Text) -> Result<(), Stale> {
        self.desk.redeem(connected)?;
        let list = self.capabilities();
        self.write(&format!("* OK [CAPABILITY {list}] {text}\r\n"));
        Ok(())
    }

    /// Sends the client away with BYE.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn turn_away(
        &mut self,
        connected: Pending<asked::Greeting>,
        text: &Text,
    ) -> Result<(), Stale> {
        self.desk.redeem(connected)?;
        self.write(&format!("* BYE {text}\r\n"));
        self.phase = Phase::Closing;
        Ok(())
    }

    /// Ends the session with BYE, as when the server stops; without a word where a literal or a handshake stands open. Open questions
    /// are void, and what came of an APPEND is to be dropped.
    pub fn bye(&mut self, text: &Text) {
        let silent = match &self.phase {
            Phase::Closing | Phase::Closed => return,
            Phase::Fetch(fetching) => !fetching.owed.is_empty(),
            Phase::StartTls => true,
            _ => false,
        };
        if !silent {
            self.write(&format!("* BYE {text}\r\n"));
        }
        self.phase = Phase::Closing;
        self.desk.close();
        self.assembly = super::Assembly::default();
        self.current = None;
        self.queued = None;
    }

    /// Refuses a command with NO.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn refuse<C>(&mut self, command: Pending<C>, refusal: &Refusal) -> Result<(), Stale> {
        self.desk.redeem(command)?;
        self.end(StatusKind::No, refusal.code.clone(), refusal.text.as_str());
        Ok(())
    }

    /// A command that gives nothing back is done.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn done(&mut self, command: Pending<asked::Plain>) -> Result<(), Stale> {
        self.desk.redeem(command)?;
        if self
            .current
            .as_ref()
            .is_some_and(|current| matches!(current.what, What::Close))
        {
            self.selected = None;
        }
        self.end(StatusKind::Ok, None, "Completed");
        Ok(())
    }

    /// The mailboxes asked for.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn listed(
        &mut self,
        list: Pending<asked::List>,
        entries: impl IntoIterator<Item = (ListEntry, Option<Vec<StatusValue>>)>,
    ) -> Result<(), Stale> {
        self.desk.redeem(list)?;
        let lsub = self
            .current
            .as_ref()
            .is_some_and(|current| matches!(current.what, What::Lsub));
        for (entry, status) in entries {
            let mailbox = entry.mailbox.clone();
            self.data(if lsub {
                Data::Lsub(entry)
            } else {
                Data::List(entry)
            });
            if let Some(values) = status {
                self.data(Data::MailboxStatus(mailbox, values));
            }
        }
        self.end(StatusKind::Ok, None, "Completed");
        Ok(())
    }

    /// The numbers of a mailbox.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn status(
        &mut self,
        status: Pending<asked::Status>,
        values: Vec<StatusValue>,
    ) -> Result<(), Stale> {
        self.desk.redeem(status)?;
        if let Some(What::Status(mailbox)) = self.current.as_ref().map(|current| &current.what) {
            let mailbox = mailbox.clone();
            self.data(Data::MailboxStatus(mailbox, values));
        }
        self.end(StatusKind::Ok, None, "STATUS completed");
        Ok(())
    }

    /// Opens the mailbox.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn selected(
        &mut self,
        select: Pending<asked::Select>,
        mailbox: MailboxView,
    ) -> Result<(), Stale> {
        self.desk.redeem(select)?;
        let (name, examine) = match self.current.as_ref().map(|current| &current.what) {
            Some(What::Select { mailbox, read_only }) => (mailbox.clone(), *read_only),
            _ => return Ok(()),
        };
        let read_only = examine || mailbox.read_only;
        let view = View::new(&mailbox.uids);
        self.data(Data::Flags(mailbox.flags));
        self.data(Data::Exists(view.count()));
        // RFC 3501 §6.3.1 asks for RECENT and UNSEEN, RFC 9051 has them no more.
        if self.rev2 {
            // RFC 9051 §6.3.2: "The server MUST return a LIST response with the mailbox name."
            let [personal, ..] = &self.config.namespaces;
            let delimiter = personal.first().and_then(|space| space.delimiter);
            self.data(Data::List(ListEntry {
                attributes: Vec::new(),
                delimiter,
                mailbox: name,
                extended: Vec::new(),
            }));
        } else {
            self.data(Data::Recent(0));
        }
        let ok = |code, text: &str| {
            Data::Status(Status {
                kind: StatusKind::Ok,
                code: Some(code),
                text: Text::lossy(text),
            })
        };
        if let Some(number) = mailbox
            .first_unseen
            .and_then(|uid| view.sequence_of(uid))
            .and_then(NonZeroU32::new)
            && !self.rev2
        {
            self.data(ok(Code::Unseen(number), "First unseen message"));
        }
        let permanent = if read_only {
            Vec::new()
        } else {
            mailbox.permanent_flags
        };
        self.data(ok(Code::PermanentFlags(permanent), "Flags that are kept"));
        self.data(ok(
            Code::UidValidity(mailbox.uid_validity),
            "UIDs are valid",
        ));
        self.data(ok(Code::UidNext(mailbox.uid_next), "Predicted next UID"));
        self.selected = Some(Box::new(Selected {
            view,
            read_only,
            saved: UidSet::default(),
            arrived: BTreeSet::new(),
            gone: BTreeSet::new(),
            flags: BTreeMap::new(),
        }));
        let word = if read_only {
            crate::Word::ReadOnly
        } else {
            crate::Word::ReadWrite
        };
        self.end(StatusKind::Ok, Some(Code::Word(word)), "Completed");
        Ok(())
    }

    /// The messages found, by UID.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn found(&mut self, search: Pending<asked::Search>, uids: &UidSet) -> Result<(), Stale> {
        self.desk.redeem(search)?;
        let (Some(selected), Some(current)) = (&mut self.selected, &mut self.current) else {
            return Ok(());
        };
        let What::Search { uid, returns } = &mut current.what else {
            return Ok(());
        };
        let (uid, returns) = (*uid, returns.take());
        let uids = uids.intersection(&selected.view.uids());
        let numbers: UidSet = if uid {
            uids.clone()
        } else {
            uids.iter()
                .filter_map(|uid| selected.view.sequence_of(uid))
                .collect()
        };
        let tag = current.tag.clone();
        let wants = |what| returns.as_ref().is_some_and(|list| list.contains(&what));
        let first = numbers
            .ranges()
            .first()
            .and_then(|range| NonZeroU32::new(range.0));
        let last = numbers
            .ranges()
            .last()
            .and_then(|range| NonZeroU32::new(range.1));
        if wants(SearchReturn::Save) {
            // RFC 5182 §2.1: with MIN or MAX alone, only these are saved.
            let narrow = (wants(SearchReturn::Min) || wants(SearchReturn::Max))
                && !wants(SearchReturn::All)
                && !wants(SearchReturn::Count);
            selected.saved = if narrow {
                let min = uids
                    .ranges()
                    .first()
                    .map(|range| range.0)
                    .filter(|_| wants(SearchReturn::Min));
                let max = uids
                    .ranges()
                    .last()
                    .map(|range| range.1)
                    .filter(|_| wants(SearchReturn::Max));
                min.into_iter().chain(max).collect()
            } else {
                uids
            };
        }
        match &returns {
            None if self.rev2 => self.data(Data::Esearch(Esearch {
                tag: Some(tag.as_str().into()),
                uid,
                all: Some(numbers),
                ..Esearch::default()
            })),
            None => self.data(Data::Search(
                numbers.iter().filter_map(NonZeroU32::new).collect(),
            )),
            Some(list) if list[..] == [SearchReturn::Save] => {}
            Some(list) => self.data(Data::Esearch(Esearch {
                tag: Some(tag.as_str().into()),
                uid,
                min: first.filter(|_| list.contains(&SearchReturn::Min)),
                max: last.filter(|_| list.contains(&SearchReturn::Max)),
                count: list
                    .contains(&SearchReturn::Count)
                    .then(|| u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
                all: (list.is_empty() || list.contains(&SearchReturn::All)).then_some(numbers),
                other: Vec::new(),
            })),
        }
        self.end(StatusKind::Ok, None, "SEARCH completed");
        Ok(())
    }

    /// The flags that the messages have now, by UID.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn stored(
        &mut self,
        store: Pending<asked::Store>,
        messages: impl IntoIterator<Item = (NonZeroU32, Vec<Flag>)>,
    ) -> Result<(), Stale> {
        self.desk.redeem(store)?;
        if let Some(What::Store { uid, silent: false }) =
            self.current.as_ref().map(|current| &current.what)
        {
            let with_uid = *uid;
            for (uid, flags) in messages {
                let number = self
                    .selected
                    .as_ref()
                    .and_then(|selected| selected.view.sequence_of(uid.get()));
                if let Some(number) = number.and_then(NonZeroU32::new) {
                    let mut values = vec![FetchValue::Flags(flags)];
                    if with_uid {
                        values.insert(0, FetchValue::Uid(uid));
                    }
                    self.data(Data::Fetch(number, values));
                }
            }
        }
        self.end(StatusKind::Ok, None, "STORE completed");
        Ok(())
    }

    /// COPY or MOVE is done; after MOVE the sources are gone.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn copied(
        &mut self,
        copy: Pending<asked::Copy>,
        uids: Option<CopyUid>,
        moved: &UidSet,
    ) -> Result<(), Stale> {
        self.desk.redeem(copy)?;
        let is_move = self
            .current
            .as_ref()
            .is_some_and(|current| matches!(current.what, What::Move));
        let code = uids.map(Code::CopyUid);
        if is_move {
            // RFC 6851 §4.3: "Servers supporting UIDPLUS [RFC4315] SHOULD send COPYUID in response to a UID MOVE", before EXPUNGE.
            if let Some(code) = code {
                self.data(Data::Status(Status {
                    kind: StatusKind::Ok,
                    code: Some(code),
                    text: Text::lossy("Moved"),
                }));
            }
            for uid in moved.iter() {
                self.expunged(uid);
            }
            self.end(StatusKind::Ok, None, "MOVE completed");
        } else {
            self.end(StatusKind::Ok, code, "COPY completed");
        }
        Ok(())
    }

    /// These messages are gone.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn expunged_all(
        &mut self,
        expunge: Pending<asked::Expunge>,
        uids: &UidSet,
    ) -> Result<(), Stale> {
        self.desk.redeem(expunge)?;
        let known = self
            .selected
            .as_ref()
            .map(|selected| selected.view.uids())
            .unwrap_or_default();
        for uid in uids.intersection(&known).iter() {
            self.expunged(uid);
        }
        self.end(StatusKind::Ok, None, "EXPUNGE completed");
        Ok(())
    }

    /// Takes the message of an APPEND in: it comes as [`Event::Body`](super::Event::Body).
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn accept_append(&mut self, append: Pending<asked::Append>) -> Result<(), Stale> {
        self.desk.redeem(append)?;
        if let Phase::AppendAsked { size, waits } = self.phase {
            if waits {
                self.write("+ OK\r\n");
            }
            self.phase = Phase::AppendBody(Counted::new(size));
        }
        Ok(())
    }

    /// Refuses an APPEND before its message.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn refuse_append(
        &mut self,
        append: Pending<asked::Append>,
        refusal: &Refusal,
    ) -> Result<(), Stale> {
        self.desk.redeem(append)?;
        if let Phase::AppendAsked { size, waits } = self.phase {
            self.drop_append(size, waits);
        }
        self.end(StatusKind::No, refusal.code.clone(), refusal.text.as_str());
        Ok(())
    }

    /// The message of an APPEND is stored: UIDVALIDITY and its UID, where the client may know them.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn appended(
        &mut self,
        append: Pending<asked::Appended>,
        at: Option<(NonZeroU32, NonZeroU32)>,
    ) -> Result<(), Stale> {
        self.desk.redeem(append)?;
        let code =
            at.map(|(validity, uid)| Code::AppendUid(validity, [uid.get()].into_iter().collect()));
        self.end(StatusKind::Ok, code, "APPEND completed");
        Ok(())
    }

    /// Whether the password was right.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn password(&mut self, auth: Pending<asked::Auth>, is_right: bool) -> Result<(), Stale> {
        self.sasl_answer(auth, |exchange| exchange.password(is_right))
    }

    /// The user's keys.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn stored_keys(
        &mut self,
        auth: Pending<asked::Auth>,
        keys: Option<sasl_core::StoredKeys>,
    ) -> Result<(), Stale> {
        self.sasl_answer(auth, |exchange| exchange.stored_keys(keys))
    }

    /// Whether the user may act as asked.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn authorized(&mut self, auth: Pending<asked::Auth>, may_act: bool) -> Result<(), Stale> {
        self.sasl_answer(auth, |exchange| exchange.authorized(may_act))
    }

    /// The question cannot be answered now: the client is told to try later.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn auth_unavailable(&mut self, auth: Pending<asked::Auth>) -> Result<(), Stale> {
        self.desk.redeem(auth)?;
        self.phase = Phase::Command;
        self.finish_text("NO [UNAVAILABLE] Try again later");
        Ok(())
    }

    fn sasl_answer(
        &mut self,
        auth: Pending<asked::Auth>,
        answer: impl FnOnce(&mut sasl_core::server::Exchange) -> sasl_core::server::Next,
    ) -> Result<(), Stale> {
        self.desk.redeem(auth)?;
        let Phase::Sasl(exchange, _) = &mut self.phase else {
            return Err(Stale);
        };
        let next = answer(exchange);
        if let Some(Ok(mail_wire::Step::Event(event))) = self.sasl(next) {
            self.queued = Some(event);
        }
        Ok(())
    }

    /// The next message of a FETCH: its sequence number and UID are added here where they are due. Sections may be promised
    /// ([`SectionData::Streamed`]) and are sent by [`Session::send`] in their order. A message that is unknown here is left out.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Owed`] while the message before owes octets.
    pub fn message(
        &mut self,
        fetch: Stream,
        uid: NonZeroU32,
        values: &[FetchValue],
    ) -> Result<(), AnswerError> {
        let Phase::Fetch(fetching) = &mut self.phase else {
            return Err(Stale.into());
        };
        if !fetching.stream.is(&fetch) {
            return Err(Stale.into());
        }
        if let Some((room, _)) = fetching.owed.last() {
            return Err(AnswerError::Owed(room.owed()));
        }
        fetching.told = false;
        let Some(number) = self
            .selected
            .as_ref()
            .and_then(|selected| selected.view.sequence_of(uid.get()))
        else {
            return Ok(());
        };
        let mut writer = Writer::new(PrintOptions {
            utf8: self.rev2,
            ..PrintOptions::default()
        });
        writer.raw(format!("* {number} FETCH (").as_bytes());
        let mut between = "";
        // RFC 9051 §6.4.9: every FETCH response that UID FETCH causes names the UID.
        if fetching.uid
            && !values
                .iter()
                .any(|value| matches!(value, FetchValue::Uid(_)))
        {
            writer.raw(format!("UID {uid}").as_bytes());
            between = " ";
        }
        let mut pieces: Vec<(Option<Room>, Vec<u8>)> = vec![(None, Vec::new())];
        for value in values {
            writer.raw(between.as_bytes());
            between = " ";
            writer.fetch_value(value);
            if let FetchValue::Section {
                data: SectionData::Streamed(size),
                ..
            } = value
            {
                let text = core::mem::take(&mut writer.out.octets);
                if let Some(last) = pieces.last_mut() {
                    last.1 = text;
                }
                pieces.push((Some(Room::promise(*size)), Vec::new()));
            }
        }
        writer.raw(b")\r\n");
        if let Some(last) = pieces.last_mut() {
            last.1 = writer.out.octets;
        }
        let mut pieces = pieces.into_iter();
        if let Some((_, text)) = pieces.next() {
            self.output.extend_from_slice(&text);
        }
        fetching.owed = pieces
            .filter_map(|(room, text)| Some((room?, text)))
            .rev()
            .collect();
        self.settle();
        Ok(())
    }

    /// Octets that a literal of the message begun by [`Session::message`] owes.
    ///
    /// # Errors
    ///
    /// [`AnswerError::TooLong`] when that is more than was promised; nothing is sent then.
    pub fn send(&mut self, fetch: Stream, octets: &[u8]) -> Result<(), AnswerError> {
        let Phase::Fetch(fetching) = &mut self.phase else {
            return Err(Stale.into());
        };
        if !fetching.stream.is(&fetch) {
            return Err(Stale.into());
        }
        let Some((room, _)) = fetching.owed.last_mut() else {
            return Err(mail_wire::TooLong {
                given: octets.len() as u64,
                owed: 0,
            }
            .into());
        };
        room.spend(octets.len())?;
        fetching.told = false;
        self.output.extend_from_slice(octets);
        self.settle();
        Ok(())
    }

    /// How many octets the literal now open owes; zero where none is open.
    #[must_use]
    pub fn owed(&self) -> u64 {
        match &self.phase {
            Phase::Fetch(fetching) => fetching.owed.last().map_or(0, |(room, _)| room.owed()),
            _ => 0,
        }
    }

    fn settle(&mut self) {
        let Phase::Fetch(fetching) = &mut self.phase else {
            return;
        };
        while fetching
            .owed
            .last()
            .is_some_and(|(room, _)| room.is_complete())
        {
            if let Some((_, text)) = fetching.owed.pop() {
                self.output.extend_from_slice(&text);
            }
        }
    }

    /// All messages of a FETCH were given; with a refusal, some were not. With a literal that owes octets the session ends, as there
    /// is no way to tell the client.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn fetched(&mut self, fetch: Stream, refusal: Option<&Refusal>) -> Result<(), Stale> {
        let Phase::Fetch(fetching) = &self.phase else {
            return Err(Stale);
        };
        if !fetching.stream.is(&fetch) {
            return Err(Stale);
        }
        if !fetching.owed.is_empty() {
            self.failed = Some(Error::Misuse("a literal was dropped short"));
            return Ok(());
        }
        self.phase = Phase::Command;
        match refusal {
            None => self.end(StatusKind::Ok, None, "FETCH completed"),
            Some(refusal) => self.end(StatusKind::No, refusal.code.clone(), refusal.text.as_str()),
        }
        Ok(())
    }

    /// New messages in the selected mailbox; told when it may be. UIDs that are not above all known ones are no new messages.
    pub fn exists(&mut self, uids: impl IntoIterator<Item = u32>) {
        if let Some(selected) = &mut self.selected {
            let last = selected.view.last_uid().unwrap_or(0);
            selected
                .arrived
                .extend(uids.into_iter().filter(|uid| *uid > last));
        }
    }

    /// A message of the selected mailbox is gone; told when it may be (RFC 9051 §7.5.1).
    pub fn expunged(&mut self, uid: u32) {
        if let Some(selected) = &mut self.selected
            && selected.knows(uid)
        {
            selected.gone.insert(uid);
            selected.flags.remove(&uid);
        }
    }

    /// The flags of a message of the selected mailbox have changed; told when it may be.
    ///
    /// While [`Limits::flag_changes`](super::Limits::flag_changes) of them wait, those of further messages are not told: RFC 9051
    /// §5.2: "A server SHOULD send message flag updates automatically".
    pub fn flags_changed(&mut self, uid: u32, flags: Vec<Flag>) {
        let limit = self.config.limits.flag_changes;
        if let Some(selected) = &mut self.selected
            && selected.knows(uid)
            && (selected.flags.len() < limit || selected.flags.contains_key(&uid))
        {
            selected.flags.insert(uid, flags);
        }
    }
}

impl Selected {
    fn knows(&self, uid: u32) -> bool {
        self.view.sequence_of(uid).is_some() || self.arrived.contains(&uid)
    }
}
