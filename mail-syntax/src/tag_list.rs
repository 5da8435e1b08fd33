//! Tag=value lists, as DKIM signatures, DKIM keys, ARC sets and DMARC records have them (RFC 6376 §3.2).

use core::fmt;
use core::ops::Range;

use crate::search;

/// The most tags a list may have: 100. The longest known use (an ARC or DKIM signature) has 14.
pub const MAX_TAGS: usize = 100;

/// One `name=value` of a list, borrowed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    name: &'a str,
    value: &'a str,
    offset: usize,
    value_start: usize,
    value_end: usize,
}

impl<'a> Tag<'a> {
    /// The name; case counts (RFC 6376 §3.2: "Tags MUST be interpreted in a case-sensitive manner.").
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value, without the white space around it; white space and folds inside it are kept.
    #[must_use]
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// The value with all white space and folds taken out, as base64 and lists want it.
    #[must_use]
    pub fn compact(&self) -> std::borrow::Cow<'a, str> {
        let mut rest = self.value;
        let mut compact = String::new();
        // An LF stands only behind a CR.
        while let Some(end) = memchr::memchr3(b' ', b'\t', b'\r', rest.as_bytes()) {
            if compact.is_empty() {
                compact.reserve_exact(self.value.len());
            }
            compact.push_str(&rest[..end]);
            rest = trim_start(&rest[end..]);
        }
        if compact.is_empty() {
            return rest.into();
        }
        compact.push_str(rest);
        compact.into()
    }

    /// Where the name begins, in octets from the start of the list.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Where the value stands: all octets between the `=` and the `;`, white space included. A DKIM signature is verified with
    /// exactly these octets of its `b=` left out (RFC 6376 §3.7).
    #[must_use]
    pub fn value_range(&self) -> Range<usize> {
        self.value_start..self.value_end
    }
}

/// Why a text is no tag list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagListError {
    /// No name, or one that does not begin with a letter or goes on with something other than letters, digits and underscores.
    #[error("no tag name at byte {offset}")]
    Name {
        /// Where the name should have been.
        offset: usize,
    },
    /// No `=` behind a name.
    #[error("no = behind the tag name that begins at byte {offset}")]
    MissingEquals {
        /// Where the name begins.
        offset: usize,
    },
    /// An octet that may not stand in a value: a control character, a line break that is no fold, or no UTF-8.
    #[error("octet not allowed at byte {offset} of the tag list")]
    Octet {
        /// Where it stands.
        offset: usize,
    },
    /// A name that stood before.
    #[error("the tag at byte {offset} stands twice in the list")]
    Duplicate {
        /// Where the second one begins.
        offset: usize,
    },
    /// More than [`MAX_TAGS`].
    #[error("more than 100 tags")]
    TooMany,
}

/// A tag list, its names all different.
///
/// ```
/// use mail_syntax::tag_list::{TagList, TagListError};
/// let list = TagList::parse(b"v=1; a=rsa-sha256; b=dzdV\r\n yOfA;")?;
/// assert_eq!(list.value("a"), Some("rsa-sha256"));
/// assert_eq!(list.tag("b").map(|b| b.compact()).as_deref(), Some("dzdVyOfA"));
/// assert_eq!(TagList::parse(b"d=a; d=b"), Err(TagListError::Duplicate { offset: 5 }));
/// # Ok::<(), TagListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList<'a> {
    tags: Vec<Tag<'a>>,
}

impl<'a> TagList<'a> {
    /// Parses a whole list.
    ///
    /// Values may hold UTF-8 beyond ASCII, as RFC 8616 §5 has it.
    ///
    /// # Errors
    /// The first mistake, with its offset.
    pub fn parse(list: &'a [u8]) -> Result<Self, TagListError> {
        // Most have fewer tags.
        let mut tags: Vec<Tag<'a>> = Vec::with_capacity(12);
        // A bit for each name that was there: most have one for themselves.
        let mut names = 0_u64;
        let mut parts = Tags::new(list);
        loop {
            let tag = match parts.next_usual() {
                Some(tag) => tag,
                None => match parts.next_part() {
                    Some(tag) => tag?,
                    None => break,
                },
            };
            if tags.len() == MAX_TAGS {
                return Err(TagListError::TooMany);
            }
            // RFC 6376 §3.2: "Tags with duplicate names MUST NOT occur within a single tag-list; if a tag name does occur more
            // than once, the entire tag-list is invalid."
            let bit = bit(tag.name);
            if names & bit != 0 && tags.iter().any(|other| is_same(other.name, tag.name)) {
                return Err(TagListError::Duplicate { offset: tag.offset });
            }
            names |= bit;
            tags.push(tag);
        }
        if tags.is_empty() {
            Err(TagListError::Name { offset: 0 })
        } else {
            Ok(Self { tags })
        }
    }

    /// The tags, in order.
    #[must_use]
    pub fn tags(&self) -> &[Tag<'a>] {
        &self.tags
    }

    /// The tag of this name.
    #[inline]
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|tag| is_same(tag.name, name))
    }

    /// The value of the tag of this name.
    #[inline]
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.tag(name).map(Tag::value)
    }
}

/// Prints the list as `a=b; c=d`.
impl fmt::Display for TagList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, tag) in self.tags.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{}={}", tag.name, tag.value)?;
        }
        Ok(())
    }
}

/// The tags of a list one by one, each with its own mistake: for records that are read past a broken part (RFC 9989 §4.8).
///
/// Does not look for duplicates. An empty part before the end is a mistake, a final `;` is not.
#[derive(Debug, Clone)]
pub struct Tags<'a> {
    list: &'a [u8],
    /// The list, unless an octet of it is not ASCII, or may stand nowhere.
    plain: Option<&'a str>,
    at: usize,
}

impl<'a> Tags<'a> {
    /// The tags of this list.
    #[must_use]
    pub fn new(list: &'a [u8]) -> Self {
        let fit = search::are_all_within(b' '..=b'~', [b'\t', b'\r', b'\n'], list);
        Self {
            list,
            plain: fit.then(|| core::str::from_utf8(list).ok()).flatten(),
            at: 0,
        }
    }

    /// The next tag, if nothing is wrong with it. Most lists have nothing but such.
    #[inline(always)] // So that the tag is made where it is to stay: a processor waits for what it writes in parts and then copies whole.
    fn next_usual(&mut self) -> Option<Tag<'a>> {
        let tag = usual_tag(self.plain?, self.at)?;
        self.at = tag.value_end + 1;
        Some(tag)
    }

    /// The tag in the next part of the list, whatever that is.
    fn next_part(&mut self) -> Option<Result<Tag<'a>, TagListError>> {
        let rest = self.list.get(self.at..)?;
        let length = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let start = self.at;
        self.at += length + 1;
        let part = &rest[..length];
        // RFC 6376 §3.2: "tag-list  =  tag-spec *( ";" tag-spec ) [ ";" ]"
        if self.at > self.list.len() && start > 0 && part.iter().copied().all(is_space) {
            return check_folds(part, start).err().map(Err);
        }
        Some(self.tag(part, start))
    }

    /// The tag that stands in these octets of the list.
    fn tag(&self, part: &'a [u8], start: usize) -> Result<Tag<'a>, TagListError> {
        check_folds(part, start)?;
        if let Some(text) = self
            .plain
            .and_then(|list| list.get(start..start + part.len()))
        {
            return parse_tag(text, start);
        }
        let text = core::str::from_utf8(part).map_err(|error| TagListError::Octet {
            offset: start + error.valid_up_to(),
        })?;
        let tag = parse_tag(text, start)?;
        // RFC 6376 §3.2: "VALCHAR   =  %x21-3A / %x3C-7E"
        match part.iter().position(|c| is_unfit(*c)) {
            Some(at) => Err(TagListError::Octet { offset: start + at }),
            None => Ok(tag),
        }
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<Tag<'a>, TagListError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.next_usual() {
            Some(tag) => Some(Ok(tag)),
            None => self.next_part(),
        }
    }
}

/// The tag that begins here, if nothing is wrong with it and no octet of the list has to be looked at again.
#[inline(always)] // As `Tags::next_usual`.
fn usual_tag(list: &str, start: usize) -> Option<Tag<'_>> {
    let octets = list.as_bytes();
    let offset = behind_white_space(octets, start)?;
    let name = octets.get(offset..)?;
    let name_end = offset + name.iter().position(|c| !is_of_name(*c))?;
    let equals = behind_white_space(octets, name_end)?;
    if !octets[offset].is_ascii_alphabetic() || octets[equals] != b'=' {
        return None;
    }
    let value_start = equals + 1;
    let mut end = value_start;
    let end = loop {
        end += end_or_fold(octets.get(end..)?);
        match octets.get(end..)? {
            [] | [b';', ..] => break end,
            [b'\r', b'\n', b' ' | b'\t' | b';', ..] | [b'\r', b'\n'] => end += 2,
            _ => return None,
        }
    };
    Some(Tag {
        name: list.get(offset..name_end)?,
        value: trim_end(trim_start(list.get(value_start..end)?)),
        offset,
        value_start,
        value_end: end,
    })
}

/// Where the first octet is from here on that is neither white space nor of a fold, if there is one.
#[inline(always)]
fn behind_white_space(octets: &[u8], start: usize) -> Option<usize> {
    let mut rest = octets.get(start..)?;
    loop {
        rest = match rest {
            [b' ' | b'\t', behind @ ..] | [b'\r', b'\n', b' ' | b'\t', behind @ ..] => behind,
            _ => break,
        };
    }
    (!rest.is_empty()).then(|| octets.len() - rest.len())
}

/// Where the first semicolon, CR or LF is, or the end.
#[inline(always)]
fn end_or_fold(value: &[u8]) -> usize {
    // Most values are short; keys are not.
    let (near, far) = value.split_at(value.len().min(80));
    let end = search::first_of([b';', b'\r', b'\n'], near);
    end.or_else(|| Some(near.len() + memchr::memchr3(b';', b'\r', b'\n', far)?))
        .unwrap_or(value.len())
}

fn parse_tag(text: &str, start: usize) -> Result<Tag<'_>, TagListError> {
    let lead = text.len() - trim_start(text).len();
    let offset = start + lead;
    let text_behind = &text[lead..];
    let name_length = text_behind.bytes().position(|c| !is_of_name(c));
    let (name, behind) = text_behind.split_at(name_length.unwrap_or(text_behind.len()));
    // RFC 6376 §3.2: "tag-name  =  ALPHA *ALNUMPUNC"
    if !name.bytes().next().is_some_and(|c| c.is_ascii_alphabetic()) {
        return Err(TagListError::Name { offset });
    }
    let behind = trim_start(behind);
    let raw_value = behind
        .strip_prefix('=')
        .ok_or(TagListError::MissingEquals { offset })?;
    let value_start = text.len() - raw_value.len();
    let value = trim_end(trim_start(raw_value));
    Ok(Tag {
        name,
        value,
        offset,
        value_start: start + value_start,
        value_end: start + text.len(),
    })
}

/// RFC 6376 §3.2: "ALNUMPUNC =  ALPHA / DIGIT / "_""
fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

/// Neither a VALCHAR nor white space.
fn is_unfit(octet: u8) -> bool {
    (octet < b' ') & !is_space(octet) | (octet == 0x7f)
}

/// RFC 6376 §2.8: "FWS      =   [*WSP CRLF] 1*WSP". A CR or LF elsewhere is a mistake, but at the end of a tag.
fn check_folds(part: &[u8], start: usize) -> Result<(), TagListError> {
    let mut at = 0;
    while let Some(found) = search::first_of([b'\r', b'\n'], &part[at..]) {
        at += found;
        if !matches!(
            &part[at..],
            [b'\r', b'\n', b' ' | b'\t' | b';', ..] | [b'\r', b'\n']
        ) {
            return Err(TagListError::Octet { offset: start + at });
        }
        at += 2;
    }
    Ok(())
}

fn trim_start(text: &str) -> &str {
    let end = text.bytes().position(|c| !is_space(c));
    &text[end.unwrap_or(text.len())..]
}

fn trim_end(text: &str) -> &str {
    let last = text.bytes().rposition(|c| !is_space(c));
    &text[..last.map_or(0, |last| last + 1)]
}

fn is_space(octet: u8) -> bool {
    (octet == b' ') | (octet == b'\t') | (octet == b'\r') | (octet == b'\n')
}

/// One of 64 bits, by the first letter and the length.
fn bit(name: &str) -> u64 {
    let first = name.bytes().next().unwrap_or_default();
    1 << ((usize::from(first) + 31 * name.len()) % 64)
}

/// Whether two names are the same; they are too short for anything but a loop.
#[inline]
fn is_same(name: &str, other: &str) -> bool {
    name.len() == other.len()
        && name
            .bytes()
            .zip(other.bytes())
            .all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        let list = b" v = 1 ;a=\r\n\tx y\t; b_2= ; c=p=q;\r\n ";
        let parsed = TagList::parse(list).unwrap();
        let pairs: Vec<_> = parsed
            .tags()
            .iter()
            .map(|tag| (tag.name(), tag.value(), tag.offset()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("v", "1", 1),
                ("a", "x y", 8),
                ("b_2", "", 19),
                ("c", "p=q", 26)
            ]
        );
        assert_eq!(
            &list[parsed.tag("a").unwrap().value_range()],
            b"\r\n\tx y\t"
        );
        assert_eq!(parsed.to_string(), "v=1; a=x y; b_2=; c=p=q");
    }

    #[test]
    fn mistakes() {
        for (list, error) in [
            (&b""[..], TagListError::Name { offset: 0 }),
            (b";", TagListError::Name { offset: 0 }),
            (b"a=1;;b=2", TagListError::Name { offset: 4 }),
            (b"a=1; ;", TagListError::Name { offset: 5 }),
            (b"1=a", TagListError::Name { offset: 0 }),
            (b"=a", TagListError::Name { offset: 0 }),
            (b"a=1; b", TagListError::MissingEquals { offset: 5 }),
            (b"a-b=1", TagListError::MissingEquals { offset: 0 }),
            (b"a=1; a=1", TagListError::Duplicate { offset: 5 }),
            (b"a=1\x00", TagListError::Octet { offset: 3 }),
            (b"a=1\n b", TagListError::Octet { offset: 3 }),
            (b"a=1\r\nb", TagListError::Octet { offset: 3 }),
            (b"a=\xff", TagListError::Octet { offset: 2 }),
            (b"a=1;\r", TagListError::Octet { offset: 4 }),
        ] {
            assert_eq!(
                TagList::parse(list),
                Err(error),
                "{:?}",
                list.escape_ascii().to_string()
            );
        }
        let many: String = (0..101).map(|n| format!("t{n}=x;")).collect();
        assert_eq!(TagList::parse(many.as_bytes()), Err(TagListError::TooMany));
        let kept: Vec<_> = Tags::new(b"v=DMARC1; !; p=none")
            .filter_map(Result::ok)
            .map(|tag| tag.name)
            .collect();
        assert_eq!(kept, ["v", "p"]);
    }

    #[test]
    fn case_of_names_counts() {
        assert_eq!(TagList::parse(b"a=1; A=2").unwrap().tags().len(), 2);
        assert_eq!(
            TagList::parse("i=jörg@example.com".as_bytes())
                .unwrap()
                .value("i"),
            Some("jörg@example.com")
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(list in proptest::collection::vec(("[a-z][a-z0-9_]{0,4}", "[!-:<-~]{0,8}( [!-:<-~]{1,4})?"), 1..8)) {
            let text = list.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";");
            if let Ok(parsed) = TagList::parse(text.as_bytes()) {
                let printed = parsed.to_string();
                let again = TagList::parse(printed.as_bytes()).unwrap();
                let pairs = |list: &TagList<'_>| list.tags().iter().map(|t| (t.name.to_owned(), t.value.to_owned())).collect::<Vec<_>>();
                prop_assert_eq!(pairs(&again), pairs(&parsed));
            }
        }

        #[test]
        fn usual_tags_are_read_as_others_are(parts in proptest::collection::vec(proptest::sample::select(vec![
            "a", "b=", "B2_=c", "=", ";", "; ", " ", "\t", "\r\n ", "\r\n", "\n", "\r", "-", "d = e f ;", "\u{e9}", "\0", "1=2",
        ]), 0..12)) {
            let list = parts.concat();
            let tags = Tags::new(list.as_bytes());
            let looked_at_again = Tags { plain: None, ..tags.clone() };
            prop_assert_eq!(tags.collect::<Vec<_>>(), looked_at_again.collect::<Vec<_>>(), "{}", list);
        }

        #[test]
        fn never_panics(list in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = TagList::parse(&list);
        }
    }
}
