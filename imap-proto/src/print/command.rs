//! Commands into octets.

use super::Writer;
use crate::{
    Append, CommandBody, FetchItem, ListReturn, ListSelect, Mailbox, Search, SearchKey,
    SearchReturn, StoreMode,
};

impl Writer {
    pub(super) fn command(&mut self, body: &CommandBody) {
        match body {
            CommandBody::Capability => self.raw(b"CAPABILITY"),
            CommandBody::Noop => self.raw(b"NOOP"),
            CommandBody::Logout => self.raw(b"LOGOUT"),
            CommandBody::StartTls => self.raw(b"STARTTLS"),
            CommandBody::Namespace => self.raw(b"NAMESPACE"),
            CommandBody::Check => self.raw(b"CHECK"),
            CommandBody::Close => self.raw(b"CLOSE"),
            CommandBody::Unselect => self.raw(b"UNSELECT"),
            CommandBody::Expunge => self.raw(b"EXPUNGE"),
            CommandBody::Idle => self.raw(b"IDLE"),
            CommandBody::Login { user, password } => {
                // No growth, which would leave copies of the password behind.
                let most = 2 * (user.len() + password.expose_secret().len()) + 64;
                self.out.octets.reserve(most);
                self.raw(b"LOGIN ");
                self.astring(user);
                self.raw(b" ");
                self.astring(password.expose_secret());
            }
            CommandBody::Authenticate { mechanism, initial } => {
                self.raw(b"AUTHENTICATE ");
                self.word(mechanism);
                if let Some(initial) = initial {
                    self.out.octets.reserve(initial.expose_secret().len() + 3);
                    self.raw(b" ");
                    self.line_text(initial.expose_secret());
                }
            }
            CommandBody::Enable(names) => {
                self.raw(b"ENABLE ");
                self.joined(names, |w, name| w.word(name));
            }
            CommandBody::Id(parameters) => self.id(parameters.as_deref()),
            CommandBody::List(list) => self.list_command(list),
            CommandBody::Lsub { reference, pattern } => {
                self.raw(b"LSUB ");
                self.astring(reference);
                self.raw(b" ");
                self.pattern(pattern);
            }
            CommandBody::Create {
                mailbox,
                special_use,
            } => {
                self.raw(b"CREATE ");
                self.mailbox(mailbox);
                if !special_use.is_empty() {
                    self.raw(b" (USE ");
                    self.list(special_use, |w, name| w.raw(name.as_str().as_bytes()));
                    self.raw(b")");
                }
            }
            CommandBody::Delete(mailbox) => self.on_mailbox(b"DELETE ", mailbox),
            CommandBody::Subscribe(mailbox) => self.on_mailbox(b"SUBSCRIBE ", mailbox),
            CommandBody::Unsubscribe(mailbox) => self.on_mailbox(b"UNSUBSCRIBE ", mailbox),
            CommandBody::Select(mailbox) => self.on_mailbox(b"SELECT ", mailbox),
            CommandBody::Examine(mailbox) => self.on_mailbox(b"EXAMINE ", mailbox),
            CommandBody::Rename(from, to) => {
                self.on_mailbox(b"RENAME ", from);
                self.raw(b" ");
                self.mailbox(to);
            }
            CommandBody::Status(mailbox, items) => {
                self.on_mailbox(b"STATUS ", mailbox);
                self.raw(b" ");
                self.list(items, |w, item| w.raw(item.as_str().as_bytes()));
            }
            CommandBody::Append { append, message } => {
                self.append(append);
                self.literal(message);
            }
            CommandBody::UidExpunge(set) => {
                self.raw(b"UID EXPUNGE ");
                self.display(set);
            }
            CommandBody::Search { uid, search } => {
                self.raw(if *uid { b"UID SEARCH " } else { b"SEARCH " });
                self.search(search);
            }
            CommandBody::Fetch { uid, set, items } => {
                self.on_messages(*uid, b"FETCH ", set);
                match &items[..] {
                    [item] => self.fetch_item(item),
                    items => self.list(items, Self::fetch_item),
                }
            }
            CommandBody::Store { uid, set, store } => {
                self.on_messages(*uid, b"STORE ", set);
                self.raw(match store.mode {
                    StoreMode::Replace => b"",
                    StoreMode::Add => b"+",
                    StoreMode::Remove => b"-",
                });
                self.raw(if store.silent {
                    b"FLAGS.SILENT "
                } else {
                    b"FLAGS "
                });
                self.flags(&store.flags);
            }
            CommandBody::Copy { uid, set, mailbox } => {
                self.on_messages(*uid, b"COPY ", set);
                self.mailbox(mailbox);
            }
            CommandBody::Move { uid, set, mailbox } => {
                self.on_messages(*uid, b"MOVE ", set);
                self.mailbox(mailbox);
            }
        }
    }

    pub(super) fn on_mailbox(&mut self, name: &[u8], mailbox: &Mailbox) {
        self.raw(name);
        self.mailbox(mailbox);
    }

    fn on_messages(&mut self, uid: bool, name: &[u8], set: &crate::SequenceSet) {
        self.raw(if uid { b"UID " } else { b"" });
        self.raw(name);
        self.display(set);
        self.raw(b" ");
    }

    /// All of an APPEND but its message, a space at the end.
    pub(crate) fn append(&mut self, append: &Append) {
        self.on_mailbox(b"APPEND ", &append.mailbox);
        self.raw(b" ");
        if !append.flags.is_empty() {
            self.flags(&append.flags);
            self.raw(b" ");
        }
        if let Some(date) = append.date {
            self.display(format_args!("\"{date}\" "));
        }
    }

    pub(super) fn id(&mut self, parameters: Option<&[(Vec<u8>, crate::NString)]>) {
        self.raw(b"ID ");
        match parameters {
            None => self.raw(b"NIL"),
            Some(list) => self.list(list, |w, (name, value)| {
                w.string(name);
                w.raw(b" ");
                w.nstring(value.as_deref());
            }),
        }
    }

    fn list_command(&mut self, list: &crate::List) {
        self.raw(b"LIST ");
        if !list.select.is_empty() {
            self.list(&list.select, |w, option| {
                w.raw(match option {
                    ListSelect::Subscribed => b"SUBSCRIBED",
                    ListSelect::Remote => b"REMOTE",
                    ListSelect::RecursiveMatch => b"RECURSIVEMATCH",
                    ListSelect::SpecialUse => b"SPECIAL-USE",
                });
            });
            self.raw(b" ");
        }
        self.astring(&list.reference);
        self.raw(b" ");
        match &list.patterns[..] {
            [pattern] if !list.extended_patterns => self.pattern(pattern),
            patterns => self.list(patterns, |w, pattern| w.pattern(pattern)),
        }
        if let Some(returns) = &list.returns {
            self.raw(b" RETURN ");
            self.list(returns, |w, option| match option {
                ListReturn::Subscribed => w.raw(b"SUBSCRIBED"),
                ListReturn::Children => w.raw(b"CHILDREN"),
                ListReturn::SpecialUse => w.raw(b"SPECIAL-USE"),
                ListReturn::Status(items) => {
                    w.raw(b"STATUS ");
                    w.list(items, |w, item| w.raw(item.as_str().as_bytes()));
                }
            });
        }
    }

    fn search(&mut self, search: &Search) {
        if let Some(returns) = &search.returns {
            self.raw(b"RETURN ");
            self.list(returns, |w, option| {
                w.raw(match option {
                    SearchReturn::Min => b"MIN",
                    SearchReturn::Max => b"MAX",
                    SearchReturn::All => b"ALL",
                    SearchReturn::Count => b"COUNT",
                    SearchReturn::Save => b"SAVE",
                });
            });
            self.raw(b" ");
        }
        if let Some(charset) = &search.charset {
            self.raw(b"CHARSET ");
            self.astring(charset);
            self.raw(b" ");
        }
        match &search.key {
            SearchKey::And(keys) if keys.len() > 1 => self.joined(keys, Self::search_key),
            key => self.search_key(key),
        }
    }

    fn search_key(&mut self, key: &SearchKey) {
        use SearchKey as Key;
        let (name, argument): (&[u8], Option<&[u8]>) = match key {
            Key::All => (b"ALL", None),
            Key::Answered => (b"ANSWERED", None),
            Key::Deleted => (b"DELETED", None),
            Key::Draft => (b"DRAFT", None),
            Key::Flagged => (b"FLAGGED", None),
            Key::New => (b"NEW", None),
            Key::Old => (b"OLD", None),
            Key::Recent => (b"RECENT", None),
            Key::Seen => (b"SEEN", None),
            Key::Unanswered => (b"UNANSWERED", None),
            Key::Undeleted => (b"UNDELETED", None),
            Key::Undraft => (b"UNDRAFT", None),
            Key::Unflagged => (b"UNFLAGGED", None),
            Key::Unseen => (b"UNSEEN", None),
            Key::Bcc(text) => (b"BCC ", Some(text)),
            Key::Body(text) => (b"BODY ", Some(text)),
            Key::Cc(text) => (b"CC ", Some(text)),
            Key::From(text) => (b"FROM ", Some(text)),
            Key::Subject(text) => (b"SUBJECT ", Some(text)),
            Key::Text(text) => (b"TEXT ", Some(text)),
            Key::To(text) => (b"TO ", Some(text)),
            Key::Header(field, text) => {
                self.raw(b"HEADER ");
                self.astring(field);
                (b" ", Some(text))
            }
            Key::Before(date) => return self.display(format_args!("BEFORE {date}")),
            Key::On(date) => return self.display(format_args!("ON {date}")),
            Key::Since(date) => return self.display(format_args!("SINCE {date}")),
            Key::SentBefore(date) => return self.display(format_args!("SENTBEFORE {date}")),
            Key::SentOn(date) => return self.display(format_args!("SENTON {date}")),
            Key::SentSince(date) => return self.display(format_args!("SENTSINCE {date}")),
            Key::Keyword(name) => return self.display(format_args!("KEYWORD {name}")),
            Key::Unkeyword(name) => return self.display(format_args!("UNKEYWORD {name}")),
            Key::Larger(size) => return self.display(format_args!("LARGER {size}")),
            Key::Smaller(size) => return self.display(format_args!("SMALLER {size}")),
            Key::Uid(set) => return self.display(format_args!("UID {set}")),
            Key::Sequence(set) => return self.display(set),
            Key::Not(key) => {
                self.raw(b"NOT ");
                return self.search_key(key);
            }
            Key::Or(one, other) => {
                self.raw(b"OR ");
                self.search_key(one);
                self.raw(b" ");
                return self.search_key(other);
            }
            Key::And(keys) => return self.list(keys, Self::search_key),
        };
        self.raw(name);
        if let Some(argument) = argument {
            self.astring(argument);
        }
    }

    pub(super) fn fetch_item(&mut self, item: &FetchItem) {
        match item {
            FetchItem::Body => self.raw(b"BODY"),
            FetchItem::BodyStructure => self.raw(b"BODYSTRUCTURE"),
            FetchItem::Envelope => self.raw(b"ENVELOPE"),
            FetchItem::Flags => self.raw(b"FLAGS"),
            FetchItem::InternalDate => self.raw(b"INTERNALDATE"),
            FetchItem::Size => self.raw(b"RFC822.SIZE"),
            FetchItem::Uid => self.raw(b"UID"),
            FetchItem::BinarySize(part) => {
                self.raw(b"BINARY.SIZE");
                self.part_in_brackets(part);
            }
            FetchItem::Section {
                name,
                peek,
                partial,
            } => {
                self.section_name(name, *peek);
                if let Some((from, count)) = partial {
                    self.display(format_args!("<{from}.{count}>"));
                }
            }
        }
    }
}
