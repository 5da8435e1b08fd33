//! Commands and responses into octets. Atom, quoted string or literal: the content decides, so nothing can be injected.

use crate::reader::{is_astring_char, is_atom_char};
use crate::{
    Append, BodyStructure, Code, Command, CommandBody, CommonExtension, Data, Envelope,
    EnvelopeAddress, ExtensionValue, FetchItem, FetchValue, Flag, ListEntry, ListReturn,
    ListSelect, Mailbox, NamespaceEntry, Parameters, Response, Search, SearchKey, SearchReturn,
    Section, SectionData, SectionName, SectionText, Special, Status, StatusValue, StoreMode,
};
use core::fmt::{Display, Write as _};
use core::num::NonZeroU32;

/// How literals are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LiteralMode {
    /// `{n}`: the other side is waited for, or is a client.
    #[default]
    Synchronising,
    /// `{n+}` up to 4,096 octets, `{n}` above (LITERAL-, RFC 7888).
    Minus,
    /// `{n+}` (LITERAL+, RFC 7888).
    Plus,
}

/// How to print: what was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrintOptions {
    /// How literals are announced.
    pub literals: LiteralMode,
    /// Whether UTF-8 may stand in quoted strings and mailbox names.
    pub utf8: bool,
}

/// A printed command or response.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Printed {
    /// The octets, CR LF at their end.
    pub octets: Vec<u8>,
    /// Where to stop and wait for a continuation, ascending: behind the CR LF of each synchronising literal.
    pub stops: Vec<usize>,
}

/// The octets may hold a password: they are not shown.
impl core::fmt::Debug for Printed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Printed({} octets, stops {:?})",
            self.octets.len(),
            self.stops
        )
    }
}

impl Command {
    /// The octets of the command.
    #[must_use]
    pub fn print(&self, options: PrintOptions) -> Printed {
        let mut writer = Writer::new(options);
        writer.display(&self.tag);
        writer.raw(b" ");
        writer.command(&self.body);
        writer.raw(b"\r\n");
        writer.out
    }
}

impl Response {
    /// The octets of the response; literals are never waited for.
    #[must_use]
    pub fn print(&self, utf8: bool) -> Vec<u8> {
        let mut writer = Writer::new(PrintOptions {
            literals: LiteralMode::Synchronising,
            utf8,
        });
        match self {
            Self::Continue(text) => {
                writer.raw(b"+ ");
                writer.line_text(text);
            }
            Self::Data(data) => {
                writer.raw(b"* ");
                writer.data(data);
            }
            Self::Tagged(tag, status) => {
                writer.display(tag);
                writer.raw(b" ");
                writer.status(status);
            }
        }
        writer.raw(b"\r\n");
        writer.out.octets
    }
}

pub(crate) struct Writer {
    pub(crate) out: Printed,
    options: PrintOptions,
}

impl Writer {
    pub(crate) fn new(options: PrintOptions) -> Self {
        Self {
            out: Printed::default(),
            options,
        }
    }

    pub(crate) fn raw(&mut self, octets: &[u8]) {
        self.out.octets.extend_from_slice(octets);
    }

    fn display(&mut self, value: impl Display) {
        struct Octets<'a>(&'a mut Vec<u8>);
        impl core::fmt::Write for Octets<'_> {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Writing to a vector does not fail.
        let _ = write!(Octets(&mut self.out.octets), "{value}");
    }

    fn line_text(&mut self, text: &[u8]) {
        let clean = text.iter().map(|octet| {
            if matches!(octet, 0 | b'\r' | b'\n') {
                b'?'
            } else {
                *octet
            }
        });
        self.out.octets.extend(clean);
    }

    fn joined<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.raw(b" ");
            }
            print(self, item);
        }
    }

    fn list<T>(&mut self, items: &[T], print: impl FnMut(&mut Self, &T)) {
        self.raw(b"(");
        self.joined(items, print);
        self.raw(b")");
    }

    pub(crate) fn string(&mut self, octets: &[u8]) {
        let fits = octets.len() <= 1024
            && !octets
                .iter()
                .any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
            && (octets.is_ascii() || (self.options.utf8 && core::str::from_utf8(octets).is_ok()));
        if fits {
            self.raw(b"\"");
            for octet in octets {
                if matches!(octet, b'"' | b'\\') {
                    self.raw(b"\\");
                }
                self.raw(&[*octet]);
            }
            self.raw(b"\"");
        } else {
            self.literal(octets);
        }
    }

    fn literal(&mut self, octets: &[u8]) {
        let waits = match self.options.literals {
            LiteralMode::Synchronising => true,
            // RFC 7888 §5: LITERAL- is for literals of at most 4096 octets.
            LiteralMode::Minus => octets.len() > 4096,
            LiteralMode::Plus => false,
        };
        // RFC 9051 §9: only a literal8 may hold NUL.
        if octets.contains(&0) {
            self.raw(b"~");
        }
        self.raw(b"{");
        self.display(octets.len());
        self.raw(if waits { b"}\r\n" } else { b"+}\r\n" });
        if waits {
            self.out.stops.push(self.out.octets.len());
        }
        self.raw(octets);
    }

    fn astring(&mut self, octets: &[u8]) {
        let is_atom = !octets.is_empty()
            && octets.iter().all(|octet| is_astring_char(*octet))
            && !octets.eq_ignore_ascii_case(b"NIL");
        if is_atom {
            self.raw(octets);
        } else {
            self.string(octets);
        }
    }

    fn pattern(&mut self, octets: &[u8]) {
        let plain = |octet: &u8| is_astring_char(*octet) || matches!(octet, b'%' | b'*');
        if !octets.is_empty() && octets.iter().all(plain) {
            self.raw(octets);
        } else {
            self.string(octets);
        }
    }

    /// An atom of the peer's or application's making, which is a quoted string where it is none.
    fn word(&mut self, text: &str) {
        if !text.is_empty() && text.bytes().all(is_atom_char) {
            self.raw(text.as_bytes());
        } else {
            self.string(text.as_bytes());
        }
    }

    fn nstring(&mut self, string: Option<&[u8]>) {
        match string {
            Some(octets) => self.string(octets),
            None => self.raw(b"NIL"),
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        if self.options.utf8 {
            self.astring(mailbox.as_str().as_bytes());
        } else {
            self.astring(mailbox.to_utf7().as_bytes());
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        self.list(flags, |w, flag| w.raw(flag.as_str().as_bytes()));
    }

    fn command(&mut self, body: &CommandBody) {
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

    fn on_mailbox(&mut self, name: &[u8], mailbox: &Mailbox) {
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

    fn id(&mut self, parameters: Option<&[(Vec<u8>, crate::NString)]>) {
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

    fn fetch_item(&mut self, item: &FetchItem) {
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

    fn part(&mut self, part: &[NonZeroU32]) {
        for (index, number) in part.iter().enumerate() {
            if index > 0 {
                self.raw(b".");
            }
            self.display(number);
        }
    }

    fn part_in_brackets(&mut self, part: &[NonZeroU32]) {
        self.raw(b"[");
        self.part(part);
        self.raw(b"]");
    }

    pub(crate) fn section_name(&mut self, name: &SectionName, peek: bool) {
        let peek: &[u8] = if peek { b".PEEK" } else { b"" };
        match name {
            SectionName::Rfc822 => self.raw(b"RFC822"),
            SectionName::Rfc822Header => self.raw(b"RFC822.HEADER"),
            SectionName::Rfc822Text => self.raw(b"RFC822.TEXT"),
            SectionName::Binary(part) => {
                self.raw(b"BINARY");
                self.raw(peek);
                self.part_in_brackets(part);
            }
            SectionName::Body(section) => {
                self.raw(b"BODY");
                self.raw(peek);
                self.section(section);
            }
        }
    }

    fn section(&mut self, section: &Section) {
        self.raw(b"[");
        self.part(&section.part);
        if let Some(text) = &section.text {
            if !section.part.is_empty() {
                self.raw(b".");
            }
            match text {
                SectionText::Header => self.raw(b"HEADER"),
                SectionText::Text => self.raw(b"TEXT"),
                SectionText::Mime => self.raw(b"MIME"),
                SectionText::HeaderFields(fields) => {
                    self.raw(b"HEADER.FIELDS ");
                    self.list(fields, |w, field| w.astring(field));
                }
                SectionText::HeaderFieldsNot(fields) => {
                    self.raw(b"HEADER.FIELDS.NOT ");
                    self.list(fields, |w, field| w.astring(field));
                }
            }
        }
        self.raw(b"]");
    }

    pub(crate) fn status(&mut self, status: &Status) {
        self.raw(status.kind.as_str().as_bytes());
        self.raw(b" ");
        if let Some(code) = &status.code {
            self.raw(b"[");
            self.code(code);
            self.raw(b"] ");
        }
        self.raw(status.text.as_str().as_bytes());
    }

    fn code(&mut self, code: &Code) {
        match code {
            Code::Word(word) => self.raw(word.as_str().as_bytes()),
            Code::BadCharset(list) => {
                self.raw(b"BADCHARSET");
                if !list.is_empty() {
                    self.raw(b" ");
                    self.list(list, |w, charset| w.astring(charset));
                }
            }
            Code::Capability(list) => self.capabilities(b"CAPABILITY", list),
            Code::PermanentFlags(flags) => {
                self.raw(b"PERMANENTFLAGS ");
                self.flags(flags);
            }
            Code::UidNext(number) => self.display(format_args!("UIDNEXT {number}")),
            Code::UidValidity(number) => self.display(format_args!("UIDVALIDITY {number}")),
            Code::Unseen(number) => self.display(format_args!("UNSEEN {number}")),
            Code::AppendUid(validity, uids) => {
                self.display(format_args!("APPENDUID {validity} {uids}"));
            }
            Code::CopyUid(copy) => {
                self.display(format_args!("COPYUID {} ", copy.uid_validity));
                self.ranges(&copy.source);
                self.raw(b" ");
                self.ranges(&copy.destination);
            }
            Code::Other(name, rest) => {
                self.word(name);
                if let Some(rest) = rest {
                    self.raw(b" ");
                    let clean = rest.iter().map(|octet| match octet {
                        0 | b'\r' | b'\n' | b']' => b'?',
                        octet => *octet,
                    });
                    self.out.octets.extend(clean);
                }
            }
        }
    }

    fn ranges(&mut self, ranges: &[(NonZeroU32, NonZeroU32)]) {
        for (index, (from, to)) in ranges.iter().enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.display(from);
            if from != to {
                self.display(format_args!(":{to}"));
            }
        }
    }

    fn capabilities(&mut self, name: &[u8], list: &[crate::Capability]) {
        self.raw(name);
        for capability in list {
            self.raw(b" ");
            self.raw(capability.as_str().as_bytes());
        }
    }

    fn data(&mut self, data: &Data) {
        match data {
            Data::Status(status) => self.status(status),
            Data::Capability(list) => self.capabilities(b"CAPABILITY", list),
            Data::Enabled(list) => self.capabilities(b"ENABLED", list),
            Data::Flags(flags) => {
                self.raw(b"FLAGS ");
                self.flags(flags);
            }
            Data::List(entry) => self.list_entry(b"LIST ", entry),
            Data::Lsub(entry) => self.list_entry(b"LSUB ", entry),
            Data::Namespace(classes) => {
                self.raw(b"NAMESPACE ");
                self.joined(classes, |w, class| w.namespace(class));
            }
            Data::MailboxStatus(mailbox, values) => {
                self.on_mailbox(b"STATUS ", mailbox);
                self.raw(b" ");
                self.list(values, |w, value| match value {
                    StatusValue::Known(item, number) => {
                        w.display(format_args!("{} {number}", item.as_str()));
                    }
                    StatusValue::Other(name, value) => {
                        w.word(name);
                        w.raw(b" ");
                        w.extension(value);
                    }
                });
            }
            Data::Search(numbers) => {
                self.raw(b"SEARCH");
                for number in numbers {
                    self.display(format_args!(" {number}"));
                }
            }
            Data::Esearch(result) => {
                self.raw(b"ESEARCH");
                if let Some(tag) = &result.tag {
                    self.raw(b" (TAG ");
                    self.string(tag);
                    self.raw(b")");
                }
                if result.uid {
                    self.raw(b" UID");
                }
                if let Some(min) = result.min {
                    self.display(format_args!(" MIN {min}"));
                }
                if let Some(max) = result.max {
                    self.display(format_args!(" MAX {max}"));
                }
                if let Some(all) = result.all.as_ref().filter(|all| !all.is_empty()) {
                    self.display(format_args!(" ALL {all}"));
                }
                if let Some(count) = result.count {
                    self.display(format_args!(" COUNT {count}"));
                }
                for (name, value) in &result.other {
                    self.raw(b" ");
                    self.word(name);
                    self.raw(b" ");
                    self.extension(value);
                }
            }
            Data::Exists(number) => self.display(format_args!("{number} EXISTS")),
            Data::Recent(number) => self.display(format_args!("{number} RECENT")),
            Data::Expunge(number) => self.display(format_args!("{number} EXPUNGE")),
            Data::Fetch(number, values) => {
                self.display(format_args!("{number} FETCH "));
                self.list(values, Self::fetch_value);
            }
            Data::Id(parameters) => self.id(parameters.as_deref()),
            Data::Other(name, values) => {
                self.word(name);
                for value in values {
                    self.raw(b" ");
                    self.extension(value);
                }
            }
        }
    }

    fn delimiter(&mut self, delimiter: Option<char>) {
        let text = delimiter.map(String::from);
        self.nstring(text.as_deref().map(str::as_bytes));
    }

    fn list_entry(&mut self, name: &[u8], entry: &ListEntry) {
        self.raw(name);
        self.list(&entry.attributes, |w, name| w.raw(name.as_str().as_bytes()));
        self.raw(b" ");
        self.delimiter(entry.delimiter);
        self.raw(b" ");
        self.mailbox(&entry.mailbox);
        if !entry.extended.is_empty() {
            self.raw(b" ");
            self.list(&entry.extended, |w, (name, value)| {
                w.astring(name);
                w.raw(b" ");
                w.extension(value);
            });
        }
    }

    fn namespace(&mut self, entries: &[NamespaceEntry]) {
        if entries.is_empty() {
            return self.raw(b"NIL");
        }
        self.raw(b"(");
        for entry in entries {
            self.raw(b"(");
            self.string(&entry.prefix);
            self.raw(b" ");
            self.delimiter(entry.delimiter);
            for (name, values) in &entry.extended {
                self.raw(b" ");
                self.string(name);
                self.raw(b" ");
                self.list(values, |w, value| w.string(value));
            }
            self.raw(b")");
        }
        self.raw(b")");
    }

    pub(crate) fn fetch_value(&mut self, value: &FetchValue) {
        match value {
            FetchValue::BodyStructure {
                extended,
                structure,
            } => {
                self.raw(if *extended {
                    b"BODYSTRUCTURE "
                } else {
                    b"BODY "
                });
                self.body(structure, *extended);
            }
            FetchValue::Envelope(envelope) => {
                self.raw(b"ENVELOPE ");
                self.envelope(envelope);
            }
            FetchValue::Flags(flags) => {
                self.raw(b"FLAGS ");
                self.flags(flags);
            }
            FetchValue::InternalDate(date) => self.display(format_args!("INTERNALDATE \"{date}\"")),
            FetchValue::Size(size) => self.display(format_args!("RFC822.SIZE {size}")),
            FetchValue::Uid(uid) => self.display(format_args!("UID {uid}")),
            FetchValue::Section { name, origin, data } => {
                self.section_name(name, false);
                if let Some(origin) = origin {
                    self.display(format_args!("<{origin}>"));
                }
                self.raw(b" ");
                match data {
                    SectionData::Here(octets) => self.nstring(octets.as_deref()),
                    SectionData::Streamed(octets) => {
                        let binary = matches!(name, SectionName::Binary(_));
                        self.raw(if binary { b"~{" } else { b"{" });
                        self.display(format_args!("{octets}}}\r\n"));
                    }
                }
            }
            FetchValue::BinarySize(part, size) => {
                self.raw(b"BINARY.SIZE");
                self.part_in_brackets(part);
                self.display(format_args!(" {size}"));
            }
            FetchValue::Other(name, value) => {
                self.word(name);
                self.raw(b" ");
                self.extension(value);
            }
        }
    }

    fn extension(&mut self, value: &ExtensionValue) {
        match value {
            ExtensionValue::Nil => self.raw(b"NIL"),
            ExtensionValue::String(octets) => self.string(octets),
            ExtensionValue::List(values) => self.list(values, Self::extension),
            ExtensionValue::Atom(atom) => {
                let plain = |octet| is_astring_char(octet) || matches!(octet, b'*' | b'\\' | b'%');
                if !atom.is_empty() && atom.bytes().all(plain) {
                    self.raw(atom.as_bytes());
                } else {
                    self.string(atom.as_bytes());
                }
            }
        }
    }

    fn addresses(&mut self, addresses: &[EnvelopeAddress]) {
        if addresses.is_empty() {
            return self.raw(b"NIL");
        }
        self.raw(b"(");
        for address in addresses {
            let parts = [
                &address.name,
                &address.route,
                &address.mailbox,
                &address.host,
            ];
            self.list(&parts, |w, part| w.nstring(part.as_deref()));
        }
        self.raw(b")");
    }

    fn envelope(&mut self, envelope: &Envelope) {
        self.raw(b"(");
        self.nstring(envelope.date.as_deref());
        self.raw(b" ");
        self.nstring(envelope.subject.as_deref());
        for addresses in [
            &envelope.from,
            &envelope.sender,
            &envelope.reply_to,
            &envelope.to,
            &envelope.cc,
            &envelope.bcc,
        ] {
            self.raw(b" ");
            self.addresses(addresses);
        }
        self.raw(b" ");
        self.nstring(envelope.in_reply_to.as_deref());
        self.raw(b" ");
        self.nstring(envelope.message_id.as_deref());
        self.raw(b")");
    }

    fn parameters(&mut self, parameters: &Parameters) {
        if parameters.is_empty() {
            return self.raw(b"NIL");
        }
        self.list(parameters, |w, (name, value)| {
            w.string(name);
            w.raw(b" ");
            w.string(value);
        });
    }

    fn body(&mut self, body: &BodyStructure, extended: bool) {
        self.raw(b"(");
        match body {
            BodyStructure::Multipart {
                parts,
                subtype,
                extension,
            } => {
                for part in parts {
                    self.body(part, extended);
                }
                self.raw(b" ");
                self.string(subtype);
                if let Some(extension) = extension.as_ref().filter(|_| extended) {
                    self.raw(b" ");
                    self.parameters(&extension.parameters);
                    self.common_extension(&extension.common);
                }
            }
            BodyStructure::Single(part) => {
                self.string(&part.media_type);
                self.raw(b" ");
                self.string(&part.subtype);
                self.raw(b" ");
                self.parameters(&part.parameters);
                self.raw(b" ");
                self.nstring(part.id.as_deref());
                self.raw(b" ");
                self.nstring(part.description.as_deref());
                self.raw(b" ");
                self.string(&part.encoding);
                self.display(format_args!(" {}", part.octets));
                match &part.special {
                    Special::None => {}
                    Special::Text { lines } => self.display(format_args!(" {lines}")),
                    Special::Message {
                        envelope,
                        structure,
                        lines,
                    } => {
                        self.raw(b" ");
                        self.envelope(envelope);
                        self.raw(b" ");
                        self.body(structure, extended);
                        self.display(format_args!(" {lines}"));
                    }
                }
                if let Some(extension) = part.extension.as_ref().filter(|_| extended) {
                    self.raw(b" ");
                    self.nstring(extension.md5.as_deref());
                    self.common_extension(&extension.common);
                }
            }
        }
        self.raw(b")");
    }

    fn common_extension(&mut self, common: &CommonExtension) {
        self.raw(b" ");
        match &common.disposition {
            None => self.raw(b"NIL"),
            Some((kind, parameters)) => {
                self.raw(b"(");
                self.string(kind);
                self.raw(b" ");
                self.parameters(parameters);
                self.raw(b")");
            }
        }
        self.raw(b" ");
        match &common.language[..] {
            [] => self.raw(b"NIL"),
            [language] => self.string(language),
            languages => self.list(languages, |w, language| w.string(language)),
        }
        self.raw(b" ");
        self.nstring(common.location.as_deref());
        for value in &common.future {
            self.raw(b" ");
            self.extension(value);
        }
    }
}
