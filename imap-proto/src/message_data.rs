//! What FETCH gives of a message: its envelope, its structure, and the octets of its sections.

use crate::{
    BodyStructure, Envelope, FetchItem, FetchValue, Section, SectionData, SectionName, SectionText,
};
use core::num::{NonZeroU32, NonZeroU64};
use mail_syntax::mime::{Limits, MimeTree, Part, TransferEncoding, decode};
use std::borrow::Cow;

/// A message taken apart, for FETCH to be answered from.
///
/// Its lines end in CRLF. It is read once, in linear time, and borrowed from then on. Parts nest 32 deep, as
/// [`parse_response`](crate::parse_response) reads them; there are 10,000 at most (Dovecot). What lies deeper or beyond is not taken
/// apart. A message that holds NULs should be refused when it comes in: RFC 9051 §4.3 has no way to send it but as BINARY.
///
/// ```
/// use imap_proto::{MessageData, SectionName, Section};
///
/// let message = MessageData::parse(b"Subject: hi\r\nFrom: a@example.com\r\n\r\nHello\r\n");
/// assert_eq!(message.envelope().subject.as_deref(), Some(&b"hi"[..]));
/// let all = SectionName::Body(Section::default());
/// assert_eq!(message.octets(&all, Some((13, 4.try_into()?)))?.as_deref(), Some(&b"From"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MessageData<'a> {
    message: &'a [u8],
    tree: MimeTree<'a>,
}

/// The transfer encoding of a part is not known, so BINARY cannot decode it: to be answered by NO with
/// [`Word::UnknownCte`](crate::Word::UnknownCte) (RFC 9051 §7.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the transfer encoding {encoding:?} is not known: refuse the FETCH with UNKNOWN-CTE")]
#[non_exhaustive]
pub struct UnknownEncoding {
    /// Its name, as the message has it.
    pub encoding: Box<str>,
}

impl<'a> MessageData<'a> {
    /// Takes a message apart. Never fails: what cannot be taken apart is one part.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Self {
        let mut limits = Limits::default();
        limits.depth = 32;
        Self::with_limits(message, &limits)
    }

    /// Takes a message apart within these limits. Their depth is that of the recursion that makes and prints its structure.
    #[must_use]
    pub fn with_limits(message: &'a [u8], limits: &Limits) -> Self {
        Self {
            message,
            tree: MimeTree::parse(message, limits),
        }
    }

    /// Its parts.
    #[must_use]
    pub fn tree(&self) -> &MimeTree<'a> {
        &self.tree
    }

    /// `RFC822.SIZE`
    #[must_use]
    pub fn size(&self) -> u64 {
        self.message.len() as u64
    }

    /// `ENVELOPE`
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope::of(&self.tree.root().header())
    }

    /// `BODYSTRUCTURE`, and `BODY` where it is printed without its extension data.
    #[must_use]
    pub fn body_structure(&self) -> BodyStructure {
        BodyStructure::of(self.tree.root())
    }

    /// The value of an item that the message itself decides; `None` for those that the store decides: `FLAGS`, `INTERNALDATE`, `UID`.
    ///
    /// The octets of a section are copied. A large one is better promised ([`SectionData::Streamed`]) and sent from
    /// [`MessageData::octets`].
    ///
    /// # Errors
    ///
    /// [`UnknownEncoding`], for `BINARY` only.
    pub fn value(&self, item: &FetchItem) -> Result<Option<FetchValue>, UnknownEncoding> {
        Ok(Some(match item {
            FetchItem::Body | FetchItem::BodyStructure => FetchValue::BodyStructure {
                extended: *item == FetchItem::BodyStructure,
                structure: Box::new(self.body_structure()),
            },
            FetchItem::Envelope => FetchValue::Envelope(Box::new(self.envelope())),
            FetchItem::Size => FetchValue::Size(self.size()),
            FetchItem::Section { name, partial, .. } => FetchValue::Section {
                name: name.clone(),
                origin: partial.map(|(origin, _)| origin),
                data: SectionData::Here(self.octets(name, *partial)?.map(Cow::into_owned)),
            },
            FetchItem::BinarySize(part) => {
                let size = self.binary(part)?.map_or(0, |octets| octets.len());
                FetchValue::BinarySize(part.clone(), u32::try_from(size).unwrap_or(u32::MAX))
            }
            FetchItem::Flags | FetchItem::InternalDate | FetchItem::Uid => return Ok(None),
        }))
    }

    /// The octets that a name and a partial ask for; `None`, to be given as `NIL`, if there is no such part.
    ///
    /// # Errors
    ///
    /// [`UnknownEncoding`], for `BINARY` only.
    pub fn octets(
        &self,
        name: &SectionName,
        partial: Option<(u64, NonZeroU64)>,
    ) -> Result<Option<Cow<'_, [u8]>>, UnknownEncoding> {
        let octets = match name {
            SectionName::Body(section) => self.section(section),
            SectionName::Binary(part) => self.binary(part)?,
            SectionName::Rfc822 => Some(Cow::Borrowed(self.message)),
            SectionName::Rfc822Header => Some(self.tree.root().header_octets().into()),
            SectionName::Rfc822Text => Some(self.tree.root().body().into()),
        };
        Ok(octets.map(|octets| cut(octets, partial)))
    }

    /// `BODY[section]`, whole; `None` if there is no such part. Borrowed but for a subset of header fields.
    #[must_use]
    pub fn section(&self, section: &Section) -> Option<Cow<'_, [u8]>> {
        let root = self.tree.root();
        let Some(text) = &section.text else {
            return match &section.part[..] {
                [] => Some(Cow::Borrowed(self.message)),
                numbers => part(root, numbers).map(|part| part.body().into()),
            };
        };
        if *text == SectionText::Mime {
            return part(root, &section.part).map(|part| part.header_octets().into());
        }
        // RFC 9051 §6.4.5.1: "provided that the numeric part specifier refers to a part of type MESSAGE/RFC822 or MESSAGE/GLOBAL"
        let message = match &section.part[..] {
            [] => root,
            numbers => part(root, numbers)?.message()?,
        };
        Some(match text {
            SectionText::Text => message.body().into(),
            SectionText::HeaderFields(names) => subset(&message, names, true).into(),
            SectionText::HeaderFieldsNot(names) => subset(&message, names, false).into(),
            SectionText::Header | SectionText::Mime => message.header_octets().into(),
        })
    }

    /// `BINARY[part]`, whole: the body of a part, its transfer encoding removed. The message itself, and parts that hold parts, are
    /// given as they stand.
    ///
    /// # Errors
    ///
    /// [`UnknownEncoding`]
    pub fn binary(&self, numbers: &[NonZeroU32]) -> Result<Option<Cow<'_, [u8]>>, UnknownEncoding> {
        if numbers.is_empty() {
            return Ok(Some(Cow::Borrowed(self.message)));
        }
        let Some(part) = part(self.tree.root(), numbers) else {
            return Ok(None);
        };
        Ok(Some(match part.encoding() {
            _ if part.is_multipart() || part.message().is_some() => part.body().into(),
            TransferEncoding::Other(encoding) => {
                return Err(UnknownEncoding {
                    encoding: encoding.clone(),
                });
            }
            encoding if encoding.is_identity() => part.body().into(),
            encoding => decode(encoding, part.body()).into(),
        }))
    }
}

/// The part with these numbers, at least one.
fn part<'t>(root: Part<'t>, numbers: &[NonZeroU32]) -> Option<Part<'t>> {
    let (mut holder, mut found) = (Some(root), None);
    for number in numbers {
        let number = usize::try_from(number.get()).ok()?;
        let within = holder?;
        let part = if within.is_multipart() {
            within.children().nth(number - 1)?
        } else if number == 1 {
            // RFC 9051 §6.4.5.1: "MIME messages that are not multipart and have no encapsulated message within them, only have a
            // part 1."
            within
        } else {
            return None;
        };
        // RFC 9051 §6.4.5.1: "A part of type MESSAGE/RFC822 or MESSAGE/GLOBAL also has nested part numbers, referring to parts of
        // the MESSAGE part's body."
        holder = part
            .message()
            .or_else(|| part.is_multipart().then_some(part));
        found = Some(part);
    }
    found
}

/// RFC 9051 §6.4.5.1: "Subsetting does not exclude the [RFC5322] delimiting blank line between the header and the body".
fn subset(message: &Part<'_>, names: &[Vec<u8>], wanted: bool) -> Vec<u8> {
    let header = message.header();
    let mut sorted: Vec<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    sorted.sort_unstable();
    let is_named = |name: &str| {
        let name = name.to_ascii_lowercase().into_bytes();
        sorted.binary_search(&name).is_ok()
    };
    let mut out = Vec::new();
    for field in header
        .fields()
        .filter(|field| is_named(field.name()) == wanted)
    {
        out.extend_from_slice(field.raw());
    }
    let octets = message.header_octets();
    if octets == b"\r\n" || octets.ends_with(b"\r\n\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// RFC 9051 §6.4.5: "If the starting octet is beyond the end of the text, an empty string is returned."
fn cut(octets: Cow<'_, [u8]>, partial: Option<(u64, NonZeroU64)>) -> Cow<'_, [u8]> {
    let Some((from, count)) = partial else {
        return octets;
    };
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
    let range = place(from)..place(from.saturating_add(count.get()));
    match octets {
        // Both ends lie within, the first not behind the second.
        Cow::Borrowed(octets) => Cow::Borrowed(&octets[range]),
        Cow::Owned(mut octets) => {
            octets.truncate(range.end);
            octets.drain(..range.start);
            Cow::Owned(octets)
        }
    }
}
