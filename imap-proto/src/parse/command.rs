//! Commands out of octets.

use crate::reader::{Bounds, Reader, is_tag_char};
use crate::{
    Append, Command, CommandBody, FetchItem, List, ListReturn, ListSelect, ParseError, Search,
    SearchKey, SearchReturn, Section, SectionName, SectionText, StatusItem, Store, StoreMode, Tag,
};
use core::num::{NonZeroU32, NonZeroU64};
use mail_wire::Secret;

type Parsed<T> = Result<T, ParseError>;

/// Parses a command that lies in `octets` whole, its literals in place, without the CR LF that ends it.
///
/// `utf8` tells whether mailbox names are UTF-8 (after ENABLE IMAP4rev2) rather than modified UTF-7.
///
/// # Errors
///
/// With the octet at which the grammar of RFC 9051 §9 was left.
pub fn parse_command(octets: &[u8], utf8: bool) -> Result<Command, ParseError> {
    let mut reader = Reader::with(octets, utf8, Bounds::default(), &[]);
    command(&mut reader)
}

/// The tag at the beginning of a command that may be broken behind it.
pub(crate) fn leading_tag(octets: &[u8]) -> Option<Tag> {
    let end = octets
        .iter()
        .position(|octet| !is_tag_char(*octet))
        .unwrap_or(octets.len());
    if octets.get(end).is_some_and(|octet| *octet != b' ') {
        return None;
    }
    core::str::from_utf8(octets.get(..end)?).ok()?.parse().ok()
}

/// The arguments of an APPEND of which only the message is still to come; `octets` ends before the announcement of the literal.
pub(crate) fn append_before_message(octets: &[u8], utf8: bool) -> Option<(Tag, Append)> {
    let mut reader = Reader::with(octets, utf8, Bounds::default(), &[]);
    let tag = tag(&mut reader).ok()?;
    if !reader.eat_word(" APPEND ") {
        return None;
    }
    let append = append(&mut reader).ok()?;
    reader.end().ok()?;
    Some((tag, append))
}

pub(crate) fn tag(reader: &mut Reader<'_>) -> Parsed<Tag> {
    let at = reader.at();
    let octets = reader.run1(is_tag_char, "a tag")?;
    core::str::from_utf8(octets)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(ParseError {
            at,
            expected: "a tag",
        })
}

fn command(reader: &mut Reader<'_>) -> Parsed<Command> {
    let tag = tag(reader)?;
    reader.sp()?;
    let name = reader.atom()?.to_ascii_uppercase();
    let body = match &*name {
        b"CAPABILITY" => CommandBody::Capability,
        b"NOOP" => CommandBody::Noop,
        b"LOGOUT" => CommandBody::Logout,
        b"STARTTLS" => CommandBody::StartTls,
        b"NAMESPACE" => CommandBody::Namespace,
        b"CHECK" => CommandBody::Check,
        b"CLOSE" => CommandBody::Close,
        b"UNSELECT" => CommandBody::Unselect,
        b"EXPUNGE" => CommandBody::Expunge,
        b"IDLE" => CommandBody::Idle,
        _ => {
            if reader.rest().is_empty() {
                return reader.error("a command known here, with its arguments");
            }
            reader.sp()?;
            with_arguments(reader, &name)?
        }
    };
    reader.end()?;
    Ok(Command { tag, body })
}

fn with_arguments(reader: &mut Reader<'_>, name: &[u8]) -> Parsed<CommandBody> {
    Ok(match name {
        b"LOGIN" => {
            let user = reader.astring()?;
            reader.sp()?;
            let password = Secret::new(reader.astring()?);
            CommandBody::Login { user, password }
        }
        b"AUTHENTICATE" => {
            let mechanism = reader.atom_string()?.to_ascii_uppercase();
            let initial = if reader.eat(b' ') {
                let base64 = |octet: u8| octet.is_ascii_alphanumeric() || b"+/=".contains(&octet);
                Some(Secret::new(reader.run1(base64, "base64")?.to_vec()))
            } else {
                None
            };
            CommandBody::Authenticate { mechanism, initial }
        }
        b"ENABLE" => {
            let mut names = vec![reader.atom_string()?];
            while reader.eat(b' ') {
                reader.item()?;
                names.push(reader.atom_string()?);
            }
            CommandBody::Enable(names)
        }
        b"ID" => CommandBody::Id(id_parameters(reader)?),
        b"LIST" => CommandBody::List(list(reader)?),
        b"LSUB" => {
            let reference = reader.astring()?;
            reader.sp()?;
            let pattern = reader.list_mailbox()?;
            CommandBody::Lsub { reference, pattern }
        }
        b"CREATE" => {
            let mailbox = reader.mailbox()?;
            let mut special_use = Vec::new();
            if reader.eat_word(" (USE ") {
                special_use = reader.list(Reader::keyword)?;
                reader.expect(b')', "')'")?;
            }
            CommandBody::Create {
                mailbox,
                special_use,
            }
        }
        b"DELETE" => CommandBody::Delete(reader.mailbox()?),
        b"RENAME" => {
            let from = reader.mailbox()?;
            reader.sp()?;
            CommandBody::Rename(from, reader.mailbox()?)
        }
        b"SUBSCRIBE" => CommandBody::Subscribe(reader.mailbox()?),
        b"UNSUBSCRIBE" => CommandBody::Unsubscribe(reader.mailbox()?),
        b"SELECT" => CommandBody::Select(reader.mailbox()?),
        b"EXAMINE" => CommandBody::Examine(reader.mailbox()?),
        b"STATUS" => {
            let mailbox = reader.mailbox()?;
            reader.sp()?;
            CommandBody::Status(mailbox, reader.list1(status_item)?)
        }
        b"APPEND" => {
            let append = append(reader)?;
            let message = reader.literal()?.to_vec();
            CommandBody::Append { append, message }
        }
        b"UID" => {
            let name = reader.atom()?.to_ascii_uppercase();
            reader.sp()?;
            if name == b"EXPUNGE" {
                CommandBody::UidExpunge(reader.sequence_set()?)
            } else {
                on_messages(reader, &name, true)?
            }
        }
        _ => on_messages(reader, name, false)?,
    })
}

fn on_messages(reader: &mut Reader<'_>, name: &[u8], uid: bool) -> Parsed<CommandBody> {
    if name == b"SEARCH" {
        let search = search(reader)?;
        return Ok(CommandBody::Search { uid, search });
    }
    if ![&b"FETCH"[..], b"STORE", b"COPY", b"MOVE"].contains(&name) {
        return reader.error("a command known here");
    }
    let set = reader.sequence_set()?;
    reader.sp()?;
    Ok(match name {
        b"FETCH" => CommandBody::Fetch {
            uid,
            set,
            items: fetch_items(reader)?,
        },
        b"STORE" => CommandBody::Store {
            uid,
            set,
            store: store(reader)?,
        },
        b"COPY" => CommandBody::Copy {
            uid,
            set,
            mailbox: reader.mailbox()?,
        },
        _ => CommandBody::Move {
            uid,
            set,
            mailbox: reader.mailbox()?,
        },
    })
}

pub(crate) fn id_parameters(reader: &mut Reader<'_>) -> Parsed<crate::IdParameters> {
    if reader.eat_atom("NIL") {
        return Ok(None);
    }
    let list = reader.list(|reader| {
        let name = reader.string()?;
        reader.sp()?;
        Ok((name, reader.nstring()?))
    })?;
    // RFC 2971 §3.3: "Implementations MUST NOT send more than 30 field-value pairs."
    if list.len() > 30 {
        return reader.error("at most 30 fields of ID");
    }
    Ok(Some(list))
}

fn status_item(reader: &mut Reader<'_>) -> Parsed<StatusItem> {
    match StatusItem::from_name(reader.atom()?) {
        Some(item) => Ok(item),
        None => reader.error("a status item known here"),
    }
}

fn append(reader: &mut Reader<'_>) -> Parsed<Append> {
    let mailbox = reader.mailbox()?;
    reader.sp()?;
    let mut flags = Vec::new();
    if reader.peek() == Some(b'(') {
        flags = reader.flag_list()?;
        reader.sp()?;
    }
    let mut date = None;
    if reader.peek() == Some(b'"') {
        date = Some(reader.date_time()?);
        reader.sp()?;
    }
    Ok(Append {
        mailbox,
        flags,
        date,
    })
}

fn list(reader: &mut Reader<'_>) -> Parsed<List> {
    let mut list = List::default();
    if reader.peek() == Some(b'(') {
        list.select = reader.list(|reader| {
            Ok(match &*reader.atom()?.to_ascii_uppercase() {
                b"SUBSCRIBED" => ListSelect::Subscribed,
                b"REMOTE" => ListSelect::Remote,
                b"RECURSIVEMATCH" => ListSelect::RecursiveMatch,
                b"SPECIAL-USE" => ListSelect::SpecialUse,
                _ => return reader.error("a selection option known here"),
            })
        })?;
        // RFC 9051 §9: "If a list-select-mod-opt appears, then a list-select-base-opt must also appear."
        if list.select.contains(&ListSelect::RecursiveMatch)
            && !list.select.contains(&ListSelect::Subscribed)
            && !list.select.contains(&ListSelect::SpecialUse)
        {
            return reader.error("SUBSCRIBED beside RECURSIVEMATCH");
        }
        reader.sp()?;
    }
    list.reference = reader.astring()?;
    reader.sp()?;
    if reader.peek() == Some(b'(') {
        list.extended_patterns = true;
        list.patterns = reader.list1(Reader::list_mailbox)?;
    } else {
        list.patterns.push(reader.list_mailbox()?);
    }
    if reader.eat_word(" RETURN ") {
        list.returns = Some(reader.list(|reader| {
            Ok(match &*reader.atom()?.to_ascii_uppercase() {
                b"SUBSCRIBED" => ListReturn::Subscribed,
                b"CHILDREN" => ListReturn::Children,
                b"SPECIAL-USE" => ListReturn::SpecialUse,
                b"STATUS" => {
                    reader.sp()?;
                    ListReturn::Status(reader.list1(status_item)?)
                }
                _ => return reader.error("a return option known here"),
            })
        })?);
    }
    Ok(list)
}

fn store(reader: &mut Reader<'_>) -> Parsed<Store> {
    let mode = if reader.eat(b'+') {
        StoreMode::Add
    } else if reader.eat(b'-') {
        StoreMode::Remove
    } else {
        StoreMode::Replace
    };
    let silent = if reader.eat_atom("FLAGS.SILENT") {
        true
    } else if reader.eat_atom("FLAGS") {
        false
    } else {
        return reader.error("FLAGS");
    };
    reader.sp()?;
    let flags = if reader.peek() == Some(b'(') {
        reader.flag_list()?
    } else {
        let mut flags = vec![reader.flag()?];
        while reader.eat(b' ') {
            reader.item()?;
            flags.push(reader.flag()?);
        }
        flags
    };
    Ok(Store {
        mode,
        silent,
        flags,
    })
}

fn fetch_items(reader: &mut Reader<'_>) -> Parsed<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if reader.peek() == Some(b'(') {
        return reader.list1(fetch_item);
    }
    // RFC 9051 §6.4.5: the macros stand alone.
    Ok(if reader.eat_atom("ALL") {
        vec![Flags, InternalDate, Size, Envelope]
    } else if reader.eat_atom("FAST") {
        vec![Flags, InternalDate, Size]
    } else if reader.eat_atom("FULL") {
        vec![Flags, InternalDate, Size, Envelope, Body]
    } else {
        vec![fetch_item(reader)?]
    })
}

fn fetch_item(reader: &mut Reader<'_>) -> Parsed<FetchItem> {
    let whole = |name, peek| FetchItem::Section {
        name,
        peek,
        partial: None,
    };
    let name = reader
        .run1(
            |octet| crate::reader::is_atom_char(octet) && octet != b'[',
            "a data item",
        )?
        .to_ascii_uppercase();
    Ok(match &*name {
        b"ENVELOPE" => FetchItem::Envelope,
        b"FLAGS" => FetchItem::Flags,
        b"INTERNALDATE" => FetchItem::InternalDate,
        b"RFC822.SIZE" => FetchItem::Size,
        b"BODYSTRUCTURE" => FetchItem::BodyStructure,
        b"UID" => FetchItem::Uid,
        b"RFC822" => whole(SectionName::Rfc822, false),
        b"RFC822.HEADER" => whole(SectionName::Rfc822Header, true),
        b"RFC822.TEXT" => whole(SectionName::Rfc822Text, false),
        b"BODY" if reader.peek() != Some(b'[') => FetchItem::Body,
        b"BODY" | b"BODY.PEEK" => {
            let peek = name.ends_with(b".PEEK");
            let name = SectionName::Body(section(reader)?);
            let partial = partial(reader)?;
            FetchItem::Section {
                name,
                peek,
                partial,
            }
        }
        b"BINARY" | b"BINARY.PEEK" => {
            let peek = name.ends_with(b".PEEK");
            let name = SectionName::Binary(section_binary(reader)?);
            let partial = partial(reader)?;
            FetchItem::Section {
                name,
                peek,
                partial,
            }
        }
        b"BINARY.SIZE" => FetchItem::BinarySize(section_binary(reader)?),
        _ => return reader.error("a data item known here"),
    })
}

fn partial(reader: &mut Reader<'_>) -> Parsed<Option<(u64, NonZeroU64)>> {
    if !reader.eat(b'<') {
        return Ok(None);
    }
    let from = reader.number64()?;
    reader.expect(b'.', "'.'")?;
    let Some(count) = NonZeroU64::new(reader.number64()?) else {
        return reader.error("a size above 0");
    };
    reader.expect(b'>', "'>'")?;
    Ok(Some((from, count)))
}

fn part(reader: &mut Reader<'_>) -> Parsed<Vec<NonZeroU32>> {
    let mut part = Vec::new();
    while reader.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        reader.item()?;
        part.push(reader.nz_number()?);
        match reader.rest() {
            [b'.', digit, ..] if digit.is_ascii_digit() => {
                let _ = reader.eat(b'.');
            }
            _ => break,
        }
    }
    Ok(part)
}

pub(crate) fn section_binary(reader: &mut Reader<'_>) -> Parsed<Vec<NonZeroU32>> {
    reader.expect(b'[', "'['")?;
    let part = part(reader)?;
    reader.expect(b']', "']'")?;
    Ok(part)
}

pub(crate) fn section(reader: &mut Reader<'_>) -> Parsed<Section> {
    reader.expect(b'[', "'['")?;
    let part = part(reader)?;
    let text = if reader.peek() == Some(b']') {
        None
    } else {
        if !part.is_empty() {
            reader.expect(b'.', "'.'")?;
        }
        Some(if reader.eat_word("HEADER.FIELDS.NOT ") {
            SectionText::HeaderFieldsNot(reader.list1(Reader::astring)?)
        } else if reader.eat_word("HEADER.FIELDS ") {
            SectionText::HeaderFields(reader.list1(Reader::astring)?)
        } else if reader.eat_word("HEADER") {
            SectionText::Header
        } else if reader.eat_word("TEXT") {
            SectionText::Text
        } else if !part.is_empty() && reader.eat_word("MIME") {
            SectionText::Mime
        } else {
            return reader.error("HEADER, HEADER.FIELDS, TEXT or MIME");
        })
    };
    reader.expect(b']', "']'")?;
    Ok(Section { part, text })
}

fn search(reader: &mut Reader<'_>) -> Parsed<Search> {
    let mut returns = None;
    if reader.eat_atom("RETURN") {
        reader.sp()?;
        returns = Some(reader.list(|reader| {
            Ok(match &*reader.atom()?.to_ascii_uppercase() {
                b"MIN" => SearchReturn::Min,
                b"MAX" => SearchReturn::Max,
                b"ALL" => SearchReturn::All,
                b"COUNT" => SearchReturn::Count,
                b"SAVE" => SearchReturn::Save,
                _ => return reader.error("a return option known here"),
            })
        })?);
        reader.sp()?;
    }
    let mut charset = None;
    if reader.eat_atom("CHARSET") {
        reader.sp()?;
        charset = Some(reader.astring()?);
        reader.sp()?;
    }
    let mut keys = vec![search_key(reader)?];
    while reader.eat(b' ') {
        keys.push(search_key(reader)?);
    }
    let key = match keys.pop() {
        Some(key) if keys.is_empty() => key,
        Some(key) => {
            keys.push(key);
            SearchKey::And(keys)
        }
        None => return reader.error("a search key"),
    };
    Ok(Search {
        returns,
        charset,
        key,
    })
}

fn search_key(reader: &mut Reader<'_>) -> Parsed<SearchKey> {
    reader.item()?;
    reader.enter()?;
    let key = if reader.peek() == Some(b'(') {
        SearchKey::And(reader.list1(search_key)?)
    } else if reader.eat_word("NOT ") {
        SearchKey::Not(Box::new(search_key(reader)?))
    } else if reader.eat_word("OR ") {
        let one = Box::new(search_key(reader)?);
        reader.sp()?;
        SearchKey::Or(one, Box::new(search_key(reader)?))
    } else {
        plain_search_key(reader)?
    };
    reader.leave();
    Ok(key)
}

/// A key that holds no others. Apart, so that those that do take little of the stack.
fn plain_search_key(reader: &mut Reader<'_>) -> Parsed<SearchKey> {
    use SearchKey as Key;
    let octet = reader.peek();
    if octet.is_some_and(|octet| octet.is_ascii_digit() || matches!(octet, b'*' | b'$')) {
        return reader.sequence_set().map(Key::Sequence);
    }
    let name = reader.atom()?.to_ascii_uppercase();
    Ok(match &*name {
        b"ALL" => Key::All,
        b"ANSWERED" => Key::Answered,
        b"DELETED" => Key::Deleted,
        b"DRAFT" => Key::Draft,
        b"FLAGGED" => Key::Flagged,
        b"NEW" => Key::New,
        b"OLD" => Key::Old,
        b"RECENT" => Key::Recent,
        b"SEEN" => Key::Seen,
        b"UNANSWERED" => Key::Unanswered,
        b"UNDELETED" => Key::Undeleted,
        b"UNDRAFT" => Key::Undraft,
        b"UNFLAGGED" => Key::Unflagged,
        b"UNSEEN" => Key::Unseen,
        _ => {
            reader.sp()?;
            match &*name {
                b"BCC" => Key::Bcc(reader.astring()?),
                b"BODY" => Key::Body(reader.astring()?),
                b"CC" => Key::Cc(reader.astring()?),
                b"FROM" => Key::From(reader.astring()?),
                b"SUBJECT" => Key::Subject(reader.astring()?),
                b"TEXT" => Key::Text(reader.astring()?),
                b"TO" => Key::To(reader.astring()?),
                b"HEADER" => {
                    let field = reader.astring()?;
                    reader.sp()?;
                    Key::Header(field, reader.astring()?)
                }
                b"BEFORE" => Key::Before(reader.date()?),
                b"ON" => Key::On(reader.date()?),
                b"SINCE" => Key::Since(reader.date()?),
                b"SENTBEFORE" => Key::SentBefore(reader.date()?),
                b"SENTON" => Key::SentOn(reader.date()?),
                b"SENTSINCE" => Key::SentSince(reader.date()?),
                b"KEYWORD" => Key::Keyword(reader.keyword()?),
                b"UNKEYWORD" => Key::Unkeyword(reader.keyword()?),
                b"LARGER" => Key::Larger(reader.number64()?),
                b"SMALLER" => Key::Smaller(reader.number64()?),
                b"UID" => Key::Uid(reader.sequence_set()?),
                _ => return reader.error("a search key known here"),
            }
        }
    })
}
