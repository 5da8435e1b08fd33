//! What each command does, and in which state it may come.

use super::{Current, Error, Event, Fetching, Phase, Selected, Session, What};
use crate::{
    Append, Command, CommandBody, FetchItem, List, ListSelect, SearchKey, SectionName, Tag, UidSet,
};
use mail_wire::{Secret, Step};
use sasl_core::Mechanism;
use sasl_core::server::{Exchange, Next, Success};

type Flow = Option<Result<Step<Event>, Error>>;

const fn event(event: Event) -> Flow {
    Some(Ok(Step::Event(event)))
}

impl Session {
    pub(super) fn capabilities(&self) -> String {
        let mut list = "IMAP4rev2 IMAP4rev1 SASL-IR LITERAL- ENABLE ID NAMESPACE IDLE UNSELECT UIDPLUS MOVE ESEARCH SEARCHRES \
                        LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE CHILDREN"
            .to_owned();
        if self.user {
            return list;
        }
        if self.tls.is_none() && self.config.start_tls {
            list.push_str(" STARTTLS");
        }
        let offered = self.config.sasl.offered(self.tls.as_deref());
        for mechanism in offered.iter() {
            list.push_str(" AUTH=");
            list.push_str(&mechanism.to_string());
        }
        if !offered.contains(Mechanism::Plain) {
            list.push_str(" LOGINDISABLED");
        }
        list
    }

    /// Ends the command in progress with a tagged status, behind what may be told now.
    pub(super) fn finish_text(&mut self, status: &str) {
        if let Some(current) = self.current.take() {
            self.flush(!matches!(
                current.what,
                What::Sequence | What::Store { uid: false, .. } | What::Search { uid: false, .. }
            ));
            self.write(&format!("{} {status}\r\n", current.tag));
        }
    }

    fn finish(&mut self, tag: Tag, status: &str) -> Flow {
        self.current = Some(Current {
            tag,
            what: What::Other,
        });
        self.finish_text(status);
        None
    }

    fn ask<C>(
        &mut self,
        tag: Tag,
        what: What,
        name: &'static str,
        event: impl FnOnce(mail_wire::Pending<C>) -> Event,
    ) -> Flow {
        self.current = Some(Current { tag, what });
        self.waiting = name;
        Some(Ok(Step::Event(event(self.desk.open()))))
    }

    pub(super) fn command(&mut self, Command { tag, body }: Command) -> Flow {
        use CommandBody as Body;
        match body {
            Body::Capability => {
                let list = self.capabilities();
                self.write(&format!("* CAPABILITY {list}\r\n"));
                self.finish(tag, "OK CAPABILITY completed")
            }
            Body::Logout => {
                self.write("* BYE Logging out\r\n");
                self.selected = None;
                let _ = self.finish(tag, "OK LOGOUT completed");
                self.phase = Phase::Closing;
                event(Event::Logout)
            }
            Body::Noop if !self.user => self.finish(tag, "OK NOOP completed"),
            Body::Noop => self.ask(tag, What::Other, "Sync", Event::Sync),
            Body::Id(parameters) => {
                let id = crate::Response::Data(crate::Data::Id(self.config.id.clone()));
                self.output.extend_from_slice(&id.print(self.rev2));
                let _ = self.finish(tag, "OK ID completed");
                event(Event::Id(parameters))
            }
            Body::StartTls | Body::Login { .. } | Body::Authenticate { .. } => {
                if self.user {
                    return Some(self.bad(Some(&tag), "Already authenticated"));
                }
                self.authentication(tag, body)
            }
            _ if !self.user => Some(self.bad(Some(&tag), "Log in first")),
            Body::Enable(names) => {
                let wanted = names
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case("IMAP4rev2"));
                self.rev2 |= wanted;
                self.write(if wanted {
                    "* ENABLED IMAP4rev2\r\n"
                } else {
                    "* ENABLED\r\n"
                });
                self.finish(tag, "OK ENABLE completed")
            }
            Body::Namespace => {
                let data = crate::Data::Namespace(self.config.namespaces.clone());
                self.output
                    .extend_from_slice(&crate::Response::Data(data).print(self.rev2));
                self.finish(tag, "OK NAMESPACE completed")
            }
            Body::List(list) => {
                self.ask(tag, What::Other, "List", |token| Event::List(token, list))
            }
            Body::Lsub { reference, pattern } => {
                let list = List {
                    select: vec![ListSelect::Subscribed],
                    reference,
                    patterns: vec![pattern],
                    ..List::default()
                };
                self.ask(tag, What::Lsub, "List", |token| Event::List(token, list))
            }
            Body::Create { mailbox, .. } | Body::Delete(mailbox) if mailbox.is_inbox() => {
                // RFC 9051 §6.3.4: "It is an error to attempt to create INBOX"; §6.3.5: or to delete it.
                self.finish(tag, "NO [CANNOT] INBOX always exists")
            }
            Body::Create {
                mailbox,
                special_use,
            } => self.ask(tag, What::Other, "Create", |token| {
                Event::Create(token, mailbox, special_use)
            }),
            Body::Delete(mailbox) => self.ask(tag, What::Other, "Delete", |token| {
                Event::Delete(token, mailbox)
            }),
            Body::Rename(_, to) if to.is_inbox() => {
                self.finish(tag, "NO [ALREADYEXISTS] INBOX always exists")
            }
            Body::Rename(from, to) => self.ask(tag, What::Other, "Rename", |token| {
                Event::Rename(token, from, to)
            }),
            Body::Subscribe(mailbox) => self.ask(tag, What::Other, "Subscribe", |token| {
                Event::Subscribe(token, mailbox, true)
            }),
            Body::Unsubscribe(mailbox) => self.ask(tag, What::Other, "Subscribe", |token| {
                Event::Subscribe(token, mailbox, false)
            }),
            Body::Status(mailbox, items) => {
                let what = What::Status(mailbox.clone());
                self.ask(tag, what, "Status", |token| {
                    Event::Status(token, mailbox, items)
                })
            }
            Body::Select(mailbox) => self.select(tag, mailbox, false),
            Body::Examine(mailbox) => self.select(tag, mailbox, true),
            // Its message was not announced where it has to be: the arguments before it were not understood.
            Body::Append { .. } => Some(self.bad(Some(&tag), "APPEND not understood")),
            Body::Idle => {
                self.current = Some(Current {
                    tag,
                    what: What::Other,
                });
                self.phase = Phase::Idle;
                self.write("+ idling\r\n");
                event(Event::Idle)
            }
            body => match &self.selected {
                Some(selected) => {
                    let read_only = selected.read_only;
                    self.on_selected(tag, body, read_only)
                }
                None => Some(self.bad(Some(&tag), "Select a mailbox first")),
            },
        }
    }

    fn select(&mut self, tag: Tag, mailbox: crate::Mailbox, read_only: bool) -> Flow {
        if self.selected.take().is_some() {
            // RFC 9051 §7.1: CLOSED tells where the responses of the new mailbox begin.
            self.write("* OK [CLOSED] Previous mailbox is closed\r\n");
        }
        let what = What::Select {
            mailbox: mailbox.clone(),
            read_only,
        };
        self.ask(tag, what, "Select", |select| Event::Select {
            select,
            mailbox,
            read_only,
        })
    }

    fn resolve(&self, set: &crate::SequenceSet, uid: bool) -> Option<UidSet> {
        let selected = self.selected.as_ref()?;
        selected.view.resolve(set, uid, &selected.saved)
    }

    fn on_selected(&mut self, tag: Tag, body: CommandBody, read_only: bool) -> Flow {
        use CommandBody as Body;
        let uids = match &body {
            Body::Fetch { uid, set, .. }
            | Body::Store { uid, set, .. }
            | Body::Copy { uid, set, .. }
            | Body::Move { uid, set, .. } => {
                let Some(uids) = self.resolve(set, *uid) else {
                    return Some(self.bad(Some(&tag), "No such message"));
                };
                if uids.is_empty() {
                    // RFC 9051 §6.4.9: "A non-existent unique identifier is ignored without any error message generated."
                    return self.finish(tag, "OK Nothing to do");
                }
                uids
            }
            _ => UidSet::default(),
        };
        let changes = matches!(
            body,
            Body::Store { .. } | Body::Move { .. } | Body::Expunge | Body::UidExpunge(_)
        );
        if changes && read_only {
            return self.finish(tag, "NO [READ-ONLY] The mailbox is open read-only");
        }
        match body {
            Body::Check => self.ask(tag, What::Other, "Sync", Event::Sync),
            Body::Close => self.ask(tag, What::Close, "Close", |close| Event::Close {
                close,
                expunge: !read_only,
            }),
            Body::Unselect => {
                self.selected = None;
                let _ = self.finish(tag, "OK UNSELECT completed");
                event(Event::Unselect)
            }
            Body::Expunge => self.ask(tag, What::Other, "Expunge", |token| {
                Event::Expunge(token, None)
            }),
            Body::UidExpunge(set) => {
                let uids = self.resolve(&set, true).unwrap_or_default();
                self.ask(tag, What::Other, "Expunge", |token| {
                    Event::Expunge(token, Some(uids))
                })
            }
            Body::Search { uid, search } => self.search(tag, uid, search),
            Body::Fetch { uid, items, .. } => Some(self.fetch(tag, uid, uids, items, read_only)),
            Body::Store { uid, store, .. } => {
                let what = What::Store {
                    uid,
                    silent: store.silent,
                };
                self.ask(tag, what, "Store", |token| Event::Store(token, uids, store))
            }
            Body::Copy { mailbox, .. } => self.ask(tag, What::Other, "Copy", |token| {
                Event::Copy(token, uids, mailbox)
            }),
            Body::Move { mailbox, .. } => self.ask(tag, What::Move, "Move", |token| {
                Event::Move(token, uids, mailbox)
            }),
            _ => Some(self.bad(Some(&tag), "Not now")),
        }
    }

    fn fetch(
        &mut self,
        tag: Tag,
        uid: bool,
        uids: UidSet,
        items: Vec<FetchItem>,
        read_only: bool,
    ) -> Result<Step<Event>, Error> {
        let stream = self.desk.stream();
        let sets_seen = !read_only
            && items.iter().any(|item| {
                matches!(item, FetchItem::Section { peek: false, name, .. } if *name != SectionName::Rfc822Header)
            });
        self.current = Some(Current {
            tag,
            what: if uid { What::Other } else { What::Sequence },
        });
        self.phase = Phase::Fetch(Fetching {
            stream,
            uid,
            owed: Vec::new(),
            told: false,
        });
        Ok(Step::Event(Event::Fetch {
            fetch: stream,
            uids,
            items,
            sets_seen,
        }))
    }

    fn search(&mut self, tag: Tag, uid: bool, search: crate::Search) -> Flow {
        if let Some(charset) = &search.charset
            && !charset.eq_ignore_ascii_case(b"UTF-8")
            && !charset.eq_ignore_ascii_case(b"US-ASCII")
        {
            return self.finish(
                tag,
                "NO [BADCHARSET (US-ASCII UTF-8)] Charset not supported",
            );
        }
        let Some(key) = self.resolve_key(search.key) else {
            return Some(self.bad(Some(&tag), "No such message"));
        };
        let what = What::Search {
            uid,
            returns: search.returns,
        };
        self.ask(tag, what, "Search", |token| Event::Search(token, key))
    }

    /// The key with its sequence numbers as UIDs. As deep as the parser allows: 32.
    fn resolve_key(&self, key: SearchKey) -> Option<SearchKey> {
        let of_uids = |uids: UidSet| {
            uids.to_sequence_set()
                .map_or_else(|| SearchKey::Not(Box::new(SearchKey::All)), SearchKey::Uid)
        };
        Some(match key {
            SearchKey::Sequence(set) => of_uids(self.resolve(&set, false)?),
            SearchKey::Uid(set) => of_uids(self.resolve(&set, true)?),
            SearchKey::Not(key) => SearchKey::Not(Box::new(self.resolve_key(*key)?)),
            SearchKey::Or(one, other) => SearchKey::Or(
                Box::new(self.resolve_key(*one)?),
                Box::new(self.resolve_key(*other)?),
            ),
            SearchKey::And(keys) => SearchKey::And(
                keys.into_iter()
                    .map(|key| self.resolve_key(key))
                    .collect::<Option<_>>()?,
            ),
            key => key,
        })
    }

    pub(super) fn begin_append(
        &mut self,
        tag: Tag,
        append: Append,
        size: u64,
        waits: bool,
    ) -> Option<Step<Event>> {
        self.current = Some(Current {
            tag,
            what: What::Other,
        });
        if size > self.config.limits.append {
            self.drop_append(size, waits);
            self.finish_text("NO [TOOBIG] Message too long");
            return None;
        }
        self.phase = Phase::AppendAsked { size, waits };
        self.waiting = "Append";
        Some(Step::Event(Event::Append {
            append: self.desk.open(),
            arguments: append,
            size,
        }))
    }

    /// The message will not come (the client waits), or comes and is dropped.
    pub(super) fn drop_append(&mut self, size: u64, waits: bool) {
        self.phase = if waits {
            Phase::Command
        } else {
            Phase::AppendDropped(mail_wire::framing::Counted::new(size))
        };
    }

    fn authentication(&mut self, tag: Tag, body: CommandBody) -> Flow {
        match body {
            CommandBody::StartTls if self.tls.is_some() || !self.config.start_tls => {
                Some(self.bad(Some(&tag), "STARTTLS is not offered"))
            }
            CommandBody::StartTls => {
                let _ = self.finish(tag, "OK Begin TLS negotiation now");
                self.phase = Phase::StartTls;
                None
            }
            CommandBody::Login { user, password } => {
                // LOGIN asks what PLAIN asks.
                let message =
                    Secret::new([b"\0", &user[..], b"\0", &password.expose_secret()[..]].concat());
                self.authenticate(tag, Mechanism::Plain, Some(message))
            }
            CommandBody::Authenticate { mechanism, initial } => {
                let Ok(mechanism) = mechanism.parse() else {
                    return self.finish(tag, "NO [CANNOT] Mechanism not offered");
                };
                let initial = match initial
                    .map(|text| sasl_core::base64::decode_initial(text.expose_secret()))
                {
                    None => None,
                    Some(Ok(message)) => Some(message),
                    Some(Err(_)) => return Some(self.bad(Some(&tag), "Bad base64")),
                };
                self.authenticate(tag, mechanism, initial)
            }
            _ => None,
        }
    }

    fn authenticate(
        &mut self,
        tag: Tag,
        mechanism: Mechanism,
        initial: Option<Secret<Vec<u8>>>,
    ) -> Flow {
        match Exchange::new(
            mechanism,
            &self.config.sasl,
            self.tls.as_deref(),
            &mut self.entropy,
        ) {
            Err(_) => self.finish(tag, "NO [PRIVACYREQUIRED] Not offered on this connection"),
            Ok(mut exchange) => {
                self.current = Some(Current {
                    tag,
                    what: What::Other,
                });
                let next =
                    exchange.start(initial.as_ref().map(|message| &message.expose_secret()[..]));
                self.phase = Phase::Sasl(Box::new(exchange), None);
                self.sasl(next)
            }
        }
    }

    /// A line of the client inside AUTHENTICATE; `None`: `*`, the client gives up.
    pub(super) fn sasl_response(
        &mut self,
        decoded: Option<Result<Secret<Vec<u8>>, sasl_core::base64::InvalidBase64>>,
    ) -> Flow {
        let Phase::Sasl(exchange, done) = &mut self.phase else {
            return None;
        };
        let Some(Ok(message)) = decoded else {
            // RFC 9051 §6.2.2: "it MUST reject the AUTHENTICATE command by sending a tagged BAD response".
            self.phase = Phase::Command;
            self.finish_text("BAD Authentication cancelled");
            return event(Event::LoginFailed);
        };
        if let Some(success) = done.take() {
            if message.expose_secret().is_empty() {
                return self.logged_in(success);
            }
            return self.login_failed();
        }
        let next = exchange.response(message.expose_secret());
        self.sasl(next)
    }

    pub(super) fn sasl(&mut self, next: Next) -> Flow {
        match next {
            Next::Challenge(challenge) => {
                self.challenge(&challenge);
                None
            }
            Next::Ask(question) => {
                self.waiting = "Auth";
                event(Event::Auth(self.desk.open(), question))
            }
            Next::Success(mut success) => match success.last.take() {
                // IMAP's OK carries no data, so what the client has to see goes as one more challenge.
                Some(last) => {
                    self.challenge(&last);
                    if let Phase::Sasl(_, done) = &mut self.phase {
                        *done = Some(success);
                    }
                    None
                }
                None => self.logged_in(success),
            },
            Next::Failure(_) => self.login_failed(),
        }
    }

    fn challenge(&mut self, octets: &[u8]) {
        self.write("+ ");
        self.output
            .extend_from_slice(sasl_core::base64::encode(octets).expose_secret().as_bytes());
        self.write("\r\n");
    }

    fn logged_in(&mut self, success: Success) -> Flow {
        self.user = true;
        self.phase = Phase::Command;
        let list = self.capabilities();
        self.finish_text(&format!("OK [CAPABILITY {list}] Logged in"));
        event(Event::LoggedIn(Box::new(success)))
    }

    fn login_failed(&mut self) -> Flow {
        self.phase = Phase::Command;
        self.finish_text("NO [AUTHENTICATIONFAILED] Authentication failed");
        self.failed_logins += 1;
        if self.failed_logins >= self.config.limits.failed_logins {
            self.write("* BYE Too many failed logins\r\n");
            self.phase = Phase::Closing;
        }
        event(Event::LoginFailed)
    }

    /// Tells what has changed, as far as it may be told now.
    pub(super) fn flush(&mut self, may_expunge: bool) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        let Selected {
            view,
            arrived,
            gone,
            flags,
            ..
        } = &mut **selected;
        let mut out = String::new();
        if may_expunge && !gone.is_empty() {
            let set: UidSet = core::mem::take(gone).into_iter().collect();
            for number in view.expunge(&set) {
                out.push_str(&format!("* {number} EXPUNGE\r\n"));
            }
            arrived.retain(|uid| !set.contains(*uid));
        }
        if !arrived.is_empty() {
            let before = view.count();
            view.add(core::mem::take(arrived));
            if view.count() != before {
                out.push_str(&format!("* {} EXISTS\r\n", view.count()));
            }
        }
        self.output.extend_from_slice(out.as_bytes());
        for (uid, flags) in core::mem::take(flags) {
            if let Some(number) = view.sequence_of(uid).and_then(core::num::NonZeroU32::new)
                && let Some(uid) = core::num::NonZeroU32::new(uid)
            {
                let values = vec![crate::FetchValue::Uid(uid), crate::FetchValue::Flags(flags)];
                let line = crate::Response::Data(crate::Data::Fetch(number, values)).print(false);
                self.output.extend_from_slice(&line);
            }
        }
    }
}
