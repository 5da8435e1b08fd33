//! Responses out of octets.

use super::command::{id_parameters, section, section_binary, tag};
use crate::print::end_as_text;
use crate::reader::{Bounds, Reader};
use crate::{
    BodyStructure, Capability, Code, CommonExtension, CopyUid, Data, Envelope, EnvelopeAddress,
    Esearch, ExtensionValue, FetchValue, ListEntry, MultipartExtension, NamespaceEntry, Parameters,
    ParseError, Response, SectionData, SectionName, SinglePart, SinglePartExtension, Special,
    Status, StatusItem, StatusKind, StatusValue, Text, UidSet, Word,
};

type Parsed<T> = Result<T, ParseError>;

/// Parses a response that lies in `octets` whole, its literals in place, without the CR LF that ends it.
///
/// `utf8` tells whether mailbox names are UTF-8 (after ENABLE IMAP4rev2) rather than modified UTF-7.
///
/// # Errors
///
/// With the octet at which the grammar of RFC 9051 §9 was left.
pub fn parse_response(octets: &[u8], utf8: bool) -> Result<Response, ParseError> {
    parse_streamed(octets, utf8, &[])
}

/// As [`parse_response`], where the octets of the literals announced at `streamed` are not in place.
pub(crate) fn parse_streamed(octets: &[u8], utf8: bool, streamed: &[usize]) -> Parsed<Response> {
    let mut reader = Reader::with(
        octets,
        utf8,
        Bounds {
            depth: 32,
            items: 1 << 20,
        },
        streamed,
    );
    let reader = &mut reader;
    if reader.eat(b'+') {
        // RFC 9051 §9 asks for a space; servers that send "+" alone are borne.
        let _ = reader.eat(b' ');
        // RFC 9051 §9: "TEXT-CHAR = <any CHAR except CR and LF>", and CHAR has no NUL; other octets are borne.
        let mut text = reader
            .run(|octet| !matches!(octet, 0 | b'\r' | b'\n'))
            .to_vec();
        reader.end()?;
        end_as_text(&mut text);
        return Ok(Response::Continue(text));
    }
    if reader.eat(b'*') {
        reader.sp()?;
        let data = data(reader)?;
        let _ = reader.run(|octet| octet == b' ');
        reader.end()?;
        return Ok(Response::Data(data));
    }
    let tag = tag(reader)?;
    reader.sp()?;
    match status(reader)? {
        Some(status) if !matches!(status.kind, StatusKind::PreAuth | StatusKind::Bye) => {
            Ok(Response::Tagged(tag, status))
        }
        _ => reader.error("OK, NO or BAD behind a tag"),
    }
}

fn status(reader: &mut Reader<'_>) -> Parsed<Option<Status>> {
    use StatusKind::{Bad, Bye, No, Ok as Okay, PreAuth};
    let Some(kind) = [Okay, No, Bad, PreAuth, Bye]
        .into_iter()
        .find(|kind| reader.eat_atom(kind.as_str()))
    else {
        return Ok(None);
    };
    let mut code = None;
    if reader.eat(b' ') && reader.eat(b'[') {
        code = Some(self::code(reader)?);
        reader.expect(b']', "']' behind a response code")?;
        let _ = reader.eat(b' ');
    }
    let text = Text::lossy(&String::from_utf8_lossy(reader.take_rest()));
    Ok(Some(Status { kind, code, text }))
}

fn code(reader: &mut Reader<'_>) -> Parsed<Code> {
    let start = reader.clone();
    let name = reader.atom()?.to_ascii_uppercase();
    if let Some(word) = Word::from_name(&name)
        && reader.peek() == Some(b']')
    {
        return Ok(Code::Word(word));
    }
    match known_code(reader, &name) {
        Ok(Some(code)) if reader.peek() == Some(b']') => Ok(code),
        // RFC 9051 §9: atom [SP 1*<any TEXT-CHAR except "]">]
        _ => {
            *reader = start;
            let name = reader.atom_string()?;
            let rest = if reader.eat(b' ') {
                Some(
                    reader
                        .run1(
                            |octet| !matches!(octet, b']' | b'\r' | b'\n' | 0),
                            "arguments of the code",
                        )?
                        .to_vec(),
                )
            } else {
                None
            };
            Ok(Code::Other(name, rest))
        }
    }
}

fn known_code(reader: &mut Reader<'_>, name: &[u8]) -> Parsed<Option<Code>> {
    if name == b"BADCHARSET" {
        let list = if reader.eat(b' ') {
            reader.list1(Reader::astring)?
        } else {
            Vec::new()
        };
        return Ok(Some(Code::BadCharset(list)));
    }
    if name == b"CAPABILITY" {
        return capabilities(reader).map(|list| Some(Code::Capability(list)));
    }
    reader.sp()?;
    Ok(Some(match name {
        b"PERMANENTFLAGS" => Code::PermanentFlags(reader.flag_list()?),
        b"UIDNEXT" => Code::UidNext(reader.nz_number()?),
        b"UIDVALIDITY" => Code::UidValidity(reader.nz_number()?),
        b"UNSEEN" => Code::Unseen(reader.nz_number()?),
        b"APPENDUID" => {
            let validity = reader.nz_number()?;
            reader.sp()?;
            let uids = reader.uid_ranges()?;
            Code::AppendUid(validity, ordered(&uids))
        }
        b"COPYUID" => {
            let uid_validity = reader.nz_number()?;
            reader.sp()?;
            let source = reader.uid_ranges()?;
            reader.sp()?;
            let destination = reader.uid_ranges()?;
            Code::CopyUid(CopyUid {
                uid_validity,
                source,
                destination,
            })
        }
        _ => return Ok(None),
    }))
}

fn ordered(ranges: &[(core::num::NonZeroU32, core::num::NonZeroU32)]) -> UidSet {
    ranges
        .iter()
        .map(|(a, b)| (a.get().min(b.get()), a.get().max(b.get())))
        .collect()
}

fn capabilities(reader: &mut Reader<'_>) -> Parsed<Vec<Capability>> {
    let mut list = Vec::new();
    while reader.eat(b' ') {
        if matches!(reader.peek(), None | Some(b' ' | b']')) {
            continue;
        }
        reader.item()?;
        let at = reader.at();
        let name = reader.atom_string()?;
        list.push(name.parse().map_err(|_| ParseError {
            at,
            expected: "a capability",
        })?);
    }
    Ok(list)
}

fn data(reader: &mut Reader<'_>) -> Parsed<Data> {
    if let Some(status) = status(reader)? {
        return Ok(Data::Status(status));
    }
    if reader.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        return numbered(reader);
    }
    let name = reader.atom_string()?;
    Ok(match &*name.to_ascii_uppercase() {
        "CAPABILITY" => Data::Capability(capabilities(reader)?),
        "ENABLED" => Data::Enabled(capabilities(reader)?),
        "SEARCH" => {
            let mut numbers = Vec::new();
            while reader.eat(b' ') {
                // A space at the end, and MODSEQ of RFC 7162, are no numbers.
                if !reader.peek().is_some_and(|octet| octet.is_ascii_digit()) {
                    if reader.peek() == Some(b'(') {
                        reader.extension_value()?;
                    }
                    break;
                }
                reader.item()?;
                numbers.push(reader.nz_number()?);
            }
            Data::Search(numbers)
        }
        "ESEARCH" => Data::Esearch(esearch(reader)?),
        upper @ ("FLAGS" | "LIST" | "LSUB" | "STATUS" | "NAMESPACE" | "ID") => {
            reader.sp()?;
            match upper {
                "FLAGS" => Data::Flags(reader.flag_list()?),
                "LIST" => Data::List(list_entry(reader)?),
                "LSUB" => Data::Lsub(list_entry(reader)?),
                "ID" => Data::Id(id_parameters(reader)?),
                "NAMESPACE" => {
                    let personal = namespace(reader)?;
                    reader.sp()?;
                    let others = namespace(reader)?;
                    reader.sp()?;
                    Data::Namespace([personal, others, namespace(reader)?])
                }
                _ => mailbox_status(reader)?,
            }
        }
        _ => {
            let mut values = Vec::new();
            while reader.eat(b' ') {
                loop {
                    if matches!(reader.peek(), None | Some(b' ')) {
                        break;
                    }
                    reader.item()?;
                    values.push(reader.extension_value()?);
                    // THREAD: lists stand side by side without a space.
                    if reader.peek() != Some(b'(') {
                        break;
                    }
                }
            }
            Data::Other(name, values)
        }
    })
}

fn numbered(reader: &mut Reader<'_>) -> Parsed<Data> {
    let at = reader.at();
    let number = reader.number()?;
    reader.sp()?;
    if reader.eat_atom("EXISTS") {
        return Ok(Data::Exists(number));
    }
    if reader.eat_atom("RECENT") {
        return Ok(Data::Recent(number));
    }
    let number = core::num::NonZeroU32::new(number).ok_or(ParseError {
        at,
        expected: "a message number above 0",
    })?;
    if reader.eat_atom("EXPUNGE") {
        return Ok(Data::Expunge(number));
    }
    if reader.eat_atom("FETCH") {
        reader.sp()?;
        return reader
            .list(fetch_value)
            .map(|values| Data::Fetch(number, values));
    }
    reader.error("EXISTS, RECENT, EXPUNGE or FETCH")
}

fn delimiter(reader: &mut Reader<'_>) -> Parsed<Option<char>> {
    let Some(text) = reader.nstring()? else {
        return Ok(None);
    };
    match core::str::from_utf8(&text) {
        Ok(text) if text.chars().count() <= 1 => Ok(text.chars().next()),
        _ => reader.error("one character as the hierarchy delimiter"),
    }
}

fn list_entry(reader: &mut Reader<'_>) -> Parsed<ListEntry> {
    let attributes = reader.list(Reader::keyword)?;
    reader.sp()?;
    let delimiter = delimiter(reader)?;
    reader.sp()?;
    let mailbox = reader.mailbox()?;
    let mut extended = Vec::new();
    if reader.eat(b' ') && reader.peek() == Some(b'(') {
        extended = reader.list(|reader| {
            let name = reader.astring()?;
            reader.sp()?;
            Ok((name, reader.extension_value()?))
        })?;
    }
    Ok(ListEntry {
        attributes,
        delimiter,
        mailbox,
        extended,
    })
}

fn namespace(reader: &mut Reader<'_>) -> Parsed<Vec<NamespaceEntry>> {
    if reader.eat_atom("NIL") {
        return Ok(Vec::new());
    }
    reader.expect(b'(', "'('")?;
    let mut entries = Vec::new();
    while !reader.eat(b')') {
        let _ = reader.eat(b' ');
        reader.item()?;
        reader.expect(b'(', "'('")?;
        let prefix = reader.string()?;
        reader.sp()?;
        let delimiter = delimiter(reader)?;
        let mut extended = Vec::new();
        while reader.eat(b' ') {
            reader.item()?;
            let name = reader.string()?;
            reader.sp()?;
            extended.push((name, reader.list1(Reader::string)?));
        }
        reader.expect(b')', "')'")?;
        entries.push(NamespaceEntry {
            prefix,
            delimiter,
            extended,
        });
    }
    Ok(entries)
}

fn mailbox_status(reader: &mut Reader<'_>) -> Parsed<Data> {
    let mailbox = reader.mailbox()?;
    reader.sp()?;
    let values = reader.list(|reader| {
        let name = reader.atom_string()?;
        reader.sp()?;
        match StatusItem::from_name(name.as_bytes()) {
            Some(item) => Ok(StatusValue::Known(item, reader.number64()?)),
            None => Ok(StatusValue::Other(name, reader.extension_value()?)),
        }
    })?;
    Ok(Data::MailboxStatus(mailbox, values))
}

fn esearch(reader: &mut Reader<'_>) -> Parsed<Esearch> {
    let mut result = Esearch::default();
    if reader.eat_word(" (TAG ") {
        result.tag = Some(reader.astring()?);
        reader.expect(b')', "')'")?;
    }
    while reader.eat(b' ') {
        if reader.peek().is_none() {
            break;
        }
        reader.item()?;
        let name = reader.atom_string()?;
        if name.eq_ignore_ascii_case("UID") {
            result.uid = true;
            continue;
        }
        reader.sp()?;
        match &*name.to_ascii_uppercase() {
            "MIN" => result.min = Some(reader.nz_number()?),
            "MAX" => result.max = Some(reader.nz_number()?),
            "COUNT" => result.count = Some(reader.number()?),
            "ALL" => result.all = Some(ordered(&reader.uid_ranges()?)),
            _ => result.other.push((name, reader.extension_value()?)),
        }
    }
    Ok(result)
}

fn fetch_value(reader: &mut Reader<'_>) -> Parsed<FetchValue> {
    let name = reader
        .run1(
            |octet| crate::reader::is_atom_char(octet) && octet != b'[',
            "a data item",
        )?
        .to_ascii_uppercase();
    let section_name = match &*name {
        b"BODY" if reader.peek() == Some(b'[') => Some(SectionName::Body(section(reader)?)),
        b"BINARY" => Some(SectionName::Binary(section_binary(reader)?)),
        b"RFC822" => Some(SectionName::Rfc822),
        b"RFC822.HEADER" => Some(SectionName::Rfc822Header),
        b"RFC822.TEXT" => Some(SectionName::Rfc822Text),
        _ => None,
    };
    if let Some(name) = section_name {
        let mut origin = None;
        if reader.eat(b'<') {
            origin = Some(reader.number64()?);
            reader.expect(b'>', "'>'")?;
        }
        reader.sp()?;
        let data = match reader.streamed()? {
            Some(octets) => SectionData::Streamed(octets),
            None => SectionData::Here(reader.nstring()?),
        };
        return Ok(FetchValue::Section { name, origin, data });
    }
    if name == b"BINARY.SIZE" {
        let part = section_binary(reader)?;
        reader.sp()?;
        return Ok(FetchValue::BinarySize(part, reader.number()?));
    }
    reader.sp()?;
    Ok(match &*name {
        b"ENVELOPE" => FetchValue::Envelope(Box::new(envelope(reader)?)),
        b"FLAGS" => FetchValue::Flags(reader.flag_list()?),
        b"INTERNALDATE" => FetchValue::InternalDate(reader.date_time()?),
        b"RFC822.SIZE" => FetchValue::Size(reader.number64()?),
        b"UID" => FetchValue::Uid(reader.nz_number()?),
        b"BODY" | b"BODYSTRUCTURE" => FetchValue::BodyStructure {
            extended: name.len() > 4,
            structure: Box::new(body(reader)?),
        },
        _ => FetchValue::Other(
            String::from_utf8_lossy(&name).into_owned(),
            reader.extension_value()?,
        ),
    })
}

fn addresses(reader: &mut Reader<'_>) -> Parsed<Vec<EnvelopeAddress>> {
    if reader.eat_atom("NIL") {
        return Ok(Vec::new());
    }
    reader.expect(b'(', "'('")?;
    let mut list = Vec::new();
    while !reader.eat(b')') {
        // RFC 9051 §9: 1*address, without spaces; servers that send some are borne.
        let _ = reader.eat(b' ');
        reader.item()?;
        reader.expect(b'(', "'('")?;
        let name = reader.nstring()?;
        reader.sp()?;
        let route = reader.nstring()?;
        reader.sp()?;
        let mailbox = reader.nstring()?;
        reader.sp()?;
        let host = reader.nstring()?;
        reader.expect(b')', "')'")?;
        list.push(EnvelopeAddress {
            name,
            route,
            mailbox,
            host,
        });
    }
    Ok(list)
}

fn envelope(reader: &mut Reader<'_>) -> Parsed<Envelope> {
    reader.expect(b'(', "'('")?;
    let mut envelope = Envelope {
        date: reader.nstring()?,
        ..Envelope::default()
    };
    reader.sp()?;
    envelope.subject = reader.nstring()?;
    for field in [
        &mut envelope.from,
        &mut envelope.sender,
        &mut envelope.reply_to,
        &mut envelope.to,
        &mut envelope.cc,
        &mut envelope.bcc,
    ] {
        reader.sp()?;
        *field = addresses(reader)?;
    }
    reader.sp()?;
    envelope.in_reply_to = reader.nstring()?;
    reader.sp()?;
    envelope.message_id = reader.nstring()?;
    reader.expect(b')', "')'")?;
    Ok(envelope)
}

fn parameters(reader: &mut Reader<'_>) -> Parsed<Parameters> {
    if reader.eat_atom("NIL") {
        return Ok(Vec::new());
    }
    reader.list(|reader| {
        let name = reader.string()?;
        reader.sp()?;
        Ok((name, reader.nstring()?.unwrap_or_default()))
    })
}

fn body(reader: &mut Reader<'_>) -> Parsed<BodyStructure> {
    reader.enter()?;
    reader.item()?;
    reader.expect(b'(', "'('")?;
    let body = if reader.peek() == Some(b'(') {
        let mut parts = vec![body(reader)?];
        while reader.peek() == Some(b'(') {
            parts.push(self::body(reader)?);
        }
        reader.sp()?;
        let subtype = reader.string()?;
        let mut extension = None;
        if reader.eat(b' ') {
            extension = Some(MultipartExtension {
                parameters: parameters(reader)?,
                common: common_extension(reader)?,
            });
        }
        BodyStructure::Multipart {
            parts,
            subtype,
            extension,
        }
    } else {
        BodyStructure::Single(Box::new(single_part(reader)?))
    };
    reader.expect(b')', "')'")?;
    reader.leave();
    Ok(body)
}

fn single_part(reader: &mut Reader<'_>) -> Parsed<SinglePart> {
    let mut part = SinglePart {
        media_type: reader.string()?,
        ..SinglePart::default()
    };
    reader.sp()?;
    part.subtype = reader.string()?;
    reader.sp()?;
    part.parameters = parameters(reader)?;
    reader.sp()?;
    part.id = reader.nstring()?;
    reader.sp()?;
    part.description = reader.nstring()?;
    reader.sp()?;
    // NIL is not in the grammar; servers that send it mean the default of RFC 2045.
    part.encoding = reader.nstring()?.unwrap_or_else(|| b"7BIT".to_vec());
    reader.sp()?;
    part.octets = if reader.eat_atom("NIL") {
        0
    } else {
        reader.number64()?
    };
    if part.media_type.eq_ignore_ascii_case(b"TEXT") {
        reader.sp()?;
        let lines = if reader.eat_atom("NIL") {
            0
        } else {
            reader.number64()?
        };
        part.special = Special::Text { lines };
    } else if part.media_type.eq_ignore_ascii_case(b"MESSAGE")
        && (part.subtype.eq_ignore_ascii_case(b"RFC822")
            || part.subtype.eq_ignore_ascii_case(b"GLOBAL"))
        && reader.rest().starts_with(b" (")
    {
        reader.sp()?;
        let envelope = Box::new(envelope(reader)?);
        reader.sp()?;
        let structure = Box::new(body(reader)?);
        reader.sp()?;
        let lines = reader.number64()?;
        part.special = Special::Message {
            envelope,
            structure,
            lines,
        };
    }
    if reader.eat(b' ') {
        part.extension = Some(SinglePartExtension {
            md5: reader.nstring()?,
            common: common_extension(reader)?,
        });
    }
    Ok(part)
}

fn common_extension(reader: &mut Reader<'_>) -> Parsed<CommonExtension> {
    let mut common = CommonExtension::default();
    if !reader.eat(b' ') {
        return Ok(common);
    }
    if !reader.eat_atom("NIL") {
        reader.expect(b'(', "'('")?;
        let kind = reader.string()?;
        reader.sp()?;
        common.disposition = Some((kind, parameters(reader)?));
        reader.expect(b')', "')'")?;
    }
    if !reader.eat(b' ') {
        return Ok(common);
    }
    common.language = match reader.peek() {
        Some(b'(') => reader.list(Reader::string)?,
        _ => reader.nstring()?.into_iter().collect(),
    };
    if !reader.eat(b' ') {
        return Ok(common);
    }
    common.location = reader.nstring()?;
    while reader.eat(b' ') {
        reader.item()?;
        let value: ExtensionValue = reader.extension_value()?;
        common.future.push(value);
    }
    Ok(common)
}
