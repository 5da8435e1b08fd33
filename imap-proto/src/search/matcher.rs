//! Whether a message is what SEARCH asks for.

use super::SearchKey;
use crate::{Date, DateTime, Flag, InvalidValue, Keyword, UidSet};
use core::cell::OnceCell;
use core::num::NonZeroU32;
use mail_syntax::header::{Field, Header, Limits};
use mail_syntax::mime::decode_words;
use memchr::memmem::Finder;

/// How deep keys may nest, as the parser has it.
const DEPTH: u32 = 32;

/// Octets that are put in small letters at a time.
const WINDOW: usize = 16 << 10;

/// A search key made ready to be asked of many messages.
///
/// Text is looked for without regard to case, in header fields also behind encoded words (RFC 2047); `BODY` and `TEXT` look at the
/// octets as they stand, with only ASCII case disregarded. The time for one message is linear in its octets for each text key, and
/// what needs no octets is asked first.
///
/// ```
/// use imap_proto::{Candidate, CommandBody, Matcher, Reads, parse_command};
///
/// let command = parse_command(b"a SEARCH UNSEEN SUBJECT hello", false)?;
/// let CommandBody::Search { search, .. } = command.body else { unreachable!() };
/// let matcher = Matcher::new(&search.key)?;
/// assert_eq!(matcher.reads(), Reads::Header);
/// let message = b"Subject: Hello, world\r\n\r\n";
/// assert!(matcher.matches(&Candidate {
///     uid: 1.try_into()?,
///     flags: &[],
///     internal_date: imap_proto::DateTime::from_unix(mail_wire::UnixTime(0)),
///     size: message.len() as u64,
///     octets: message,
/// }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Matcher {
    test: Test,
}

/// A message that may match.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its UID.
    pub uid: NonZeroU32,
    /// Its flags, [`Flag::Recent`] among them where it is.
    pub flags: &'a [Flag],
    /// When it came in.
    pub internal_date: DateTime,
    /// All its octets.
    pub size: u64,
    /// As much of the message as [`Matcher::reads`] asks for, from its beginning.
    pub octets: &'a [u8],
}

/// How much of a message has to be read for a [`Matcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reads {
    /// Nothing: what the store knows of it decides.
    Nothing,
    /// The header with its empty line.
    Header,
    /// All of it.
    Message,
}

#[derive(Debug, Clone)]
enum Test {
    Flag(Flag),
    Uid(UidSet),
    Internal(Span),
    Larger(u64),
    Smaller(u64),
    Sent(Span),
    Field { name: String, text: Text },
    Body(Text),
    Text(Text),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// Days from the first to the one before the last.
#[derive(Debug, Clone, Copy)]
struct Span(i64, i64);

/// What is looked for, in small letters.
#[derive(Debug, Clone)]
struct Text {
    octets: Finder<'static>,
    text: Option<String>,
}

impl Matcher {
    /// Makes a key ready. Sequence numbers match nothing: the key of [`Event::Search`](crate::server::Event::Search) has none.
    ///
    /// # Errors
    ///
    /// If the key nests more than 32 deep, as no parsed key does.
    pub fn new(key: &SearchKey) -> Result<Self, InvalidValue> {
        Test::new(key, DEPTH).map(|test| Self { test })
    }

    /// How much of each message is read.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.test.reads()
    }

    /// Whether the message matches.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        self.test.matches(&Message {
            known: candidate,
            split: OnceCell::new(),
        })
    }
}

impl Test {
    fn new(key: &SearchKey, depth: u32) -> Result<Self, InvalidValue> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(InvalidValue::new(
                "search key",
                "it nests more than 32 deep",
            ));
        };
        let mut tests = match key {
            SearchKey::Not(key) => return Ok(Self::Not(Box::new(Self::new(key, depth)?))),
            SearchKey::Or(one, other) => vec![Self::new(one, depth)?, Self::new(other, depth)?],
            SearchKey::And(keys) => {
                let tests = keys.iter().map(|key| Self::new(key, depth));
                tests.collect::<Result<_, _>>()?
            }
            key => return Ok(Self::plain(key)),
        };
        // What needs no octets decides first, where it can.
        tests.sort_by_key(Self::reads);
        Ok(if matches!(key, SearchKey::Or(..)) {
            Self::Any(tests)
        } else {
            Self::All(tests)
        })
    }

    /// A key that holds no others. Apart, so that those that do take little of the stack.
    fn plain(key: &SearchKey) -> Self {
        let not = |test| Self::Not(Box::new(test));
        let field = |name: &str, text: &[u8]| Self::Field {
            name: name.into(),
            text: Text::new(text),
        };
        let keyword = |name: &Keyword| Self::Flag(Flag::Other(name.clone()));
        match key {
            SearchKey::All => Self::All(Vec::new()),
            SearchKey::Answered => Self::Flag(Flag::Answered),
            SearchKey::Deleted => Self::Flag(Flag::Deleted),
            SearchKey::Draft => Self::Flag(Flag::Draft),
            SearchKey::Flagged => Self::Flag(Flag::Flagged),
            SearchKey::Recent => Self::Flag(Flag::Recent),
            SearchKey::Seen => Self::Flag(Flag::Seen),
            SearchKey::Unanswered => not(Self::Flag(Flag::Answered)),
            SearchKey::Undeleted => not(Self::Flag(Flag::Deleted)),
            SearchKey::Undraft => not(Self::Flag(Flag::Draft)),
            SearchKey::Unflagged => not(Self::Flag(Flag::Flagged)),
            SearchKey::Unseen => not(Self::Flag(Flag::Seen)),
            SearchKey::Keyword(name) => keyword(name),
            SearchKey::Unkeyword(name) => not(keyword(name)),
            // RFC 3501 §6.4.4: NEW is "functionally equivalent to "(RECENT UNSEEN)"", OLD to "NOT RECENT".
            SearchKey::New => {
                Self::All(vec![Self::Flag(Flag::Recent), not(Self::Flag(Flag::Seen))])
            }
            SearchKey::Old => not(Self::Flag(Flag::Recent)),
            SearchKey::Before(date) => Self::Internal(Span::before(*date)),
            SearchKey::On(date) => Self::Internal(Span::on(*date)),
            SearchKey::Since(date) => Self::Internal(Span::since(*date)),
            SearchKey::SentBefore(date) => Self::Sent(Span::before(*date)),
            SearchKey::SentOn(date) => Self::Sent(Span::on(*date)),
            SearchKey::SentSince(date) => Self::Sent(Span::since(*date)),
            SearchKey::Larger(size) => Self::Larger(*size),
            SearchKey::Smaller(size) => Self::Smaller(*size),
            SearchKey::Bcc(text) => field("Bcc", text),
            SearchKey::Cc(text) => field("Cc", text),
            SearchKey::From(text) => field("From", text),
            SearchKey::Subject(text) => field("Subject", text),
            SearchKey::To(text) => field("To", text),
            SearchKey::Header(name, text) => field(&String::from_utf8_lossy(name), text),
            SearchKey::Body(text) => Self::Body(Text::new(text)),
            SearchKey::Text(text) => Self::Text(Text::new(text)),
            SearchKey::Uid(set) => Self::Uid(set.resolve(u32::MAX)),
            SearchKey::Sequence(_) => Self::Uid(UidSet::default()),
            // Not plain; they do not come here.
            SearchKey::Not(_) | SearchKey::Or(..) | SearchKey::And(_) => Self::Any(Vec::new()),
        }
    }

    fn reads(&self) -> Reads {
        match self {
            Self::Flag(_)
            | Self::Uid(_)
            | Self::Internal(_)
            | Self::Larger(_)
            | Self::Smaller(_) => Reads::Nothing,
            Self::Sent(_) | Self::Field { .. } => Reads::Header,
            Self::Body(_) | Self::Text(_) => Reads::Message,
            Self::Not(test) => test.reads(),
            Self::All(tests) | Self::Any(tests) => tests
                .iter()
                .map(Self::reads)
                .max()
                .unwrap_or(Reads::Nothing),
        }
    }

    fn matches(&self, message: &Message<'_>) -> bool {
        let known = message.known;
        match self {
            Self::Flag(flag) => known.flags.contains(flag),
            Self::Uid(uids) => uids.contains(known.uid.get()),
            Self::Internal(span) => span.contains(known.internal_date.date().days()),
            Self::Larger(size) => known.size > *size,
            Self::Smaller(size) => known.size < *size,
            Self::Sent(span) => message.sent().is_some_and(|day| span.contains(day)),
            Self::Field { name, text } => message
                .fields(name)
                .any(|field| text.is_in_field(&field.value())),
            Self::Body(text) => text.is_in(message.body()),
            Self::Text(text) => text.is_in(known.octets),
            Self::Not(test) => !test.matches(message),
            Self::All(tests) => tests.iter().all(|test| test.matches(message)),
            Self::Any(tests) => tests.iter().any(|test| test.matches(message)),
        }
    }
}

impl Span {
    fn before(date: Date) -> Self {
        Self(i64::MIN, date.days())
    }

    fn on(date: Date) -> Self {
        Self(date.days(), date.days() + 1)
    }

    fn since(date: Date) -> Self {
        Self(date.days(), i64::MAX)
    }

    const fn contains(self, day: i64) -> bool {
        self.0 <= day && day < self.1
    }
}

impl Text {
    fn new(text: &[u8]) -> Self {
        Self {
            octets: Finder::new(&text.to_ascii_lowercase()).into_owned(),
            text: core::str::from_utf8(text).ok().map(str::to_lowercase),
        }
    }

    /// Window by window, so that a message in small letters is never held whole.
    fn is_in(&self, octets: &[u8]) -> bool {
        let overlap = self.octets.needle().len().saturating_sub(1);
        let step = WINDOW.max(overlap);
        let mut small = Vec::new();
        let mut rest = octets;
        loop {
            let window = rest.get(..step + overlap).unwrap_or(rest);
            small.clear();
            small.extend(window.iter().map(u8::to_ascii_lowercase));
            if self.octets.find(&small).is_some() {
                return true;
            }
            match rest.get(step..) {
                Some(next) if window.len() < rest.len() => rest = next,
                _ => return false,
            }
        }
    }

    fn is_in_field(&self, value: &[u8]) -> bool {
        self.is_in(value)
            || self.text.as_ref().is_some_and(|text| {
                let value = String::from_utf8_lossy(value);
                decode_words(&value).to_lowercase().contains(text.as_str())
            })
    }
}

/// A candidate whose header is read when it is first needed.
struct Message<'a> {
    known: &'a Candidate<'a>,
    split: OnceCell<Option<(Header<'a>, &'a [u8])>>,
}

impl<'a> Message<'a> {
    fn split(&self) -> Option<&(Header<'a>, &'a [u8])> {
        let split = || Header::split(self.known.octets, &Limits::default()).ok();
        self.split.get_or_init(split).as_ref()
    }

    fn fields(&self, name: &str) -> impl Iterator<Item = Field<'a>> {
        self.split()
            .into_iter()
            .flat_map(move |(header, _)| header.named(name))
    }

    /// A header beyond its limits is told from no body.
    fn body(&self) -> &'a [u8] {
        self.split().map_or(self.known.octets, |(_, body)| body)
    }

    /// The day of the Date field, in its own zone.
    fn sent(&self) -> Option<i64> {
        let date = self.fields("Date").next()?;
        let (year, month, day) = mail_syntax::date::DateTime::parse(date.body())
            .ok()?
            .local_date();
        Some(
            Date::new(u16::try_from(year).ok()?, month, day)
                .ok()?
                .days(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommandBody, parse_command};

    const MESSAGE: &[u8] = b"Date: Tue, 1 Nov 2022 23:30:00 -0800\r\nFrom: =?utf-8?q?J=C3=96rg?= <joerg@example.com>\r\n\
        Subject: Hello\r\n World\r\nX-Empty:\r\n\r\nThe body, Gr\xc3\xbc\xc3\x9fe.\r\n";

    fn key(text: &str) -> SearchKey {
        let line = format!("a SEARCH {text}");
        match parse_command(line.as_bytes(), true).unwrap().body {
            CommandBody::Search { search, .. } => search.key,
            _ => unreachable!(),
        }
    }

    fn matches(text: &str) -> bool {
        let date = Date::new(2022, 11, 3).unwrap();
        Matcher::new(&key(text)).unwrap().matches(&Candidate {
            uid: NonZeroU32::new(7).unwrap(),
            flags: &[Flag::Seen, Flag::Recent, "$Junk".parse().unwrap()],
            internal_date: DateTime::new(date, (0, 10, 0), 120).unwrap(),
            size: 1000,
            octets: MESSAGE,
        })
    }

    #[test]
    fn keys() {
        for yes in [
            "ALL",
            "SEEN",
            "RECENT",
            "UNANSWERED UNDELETED UNDRAFT UNFLAGGED",
            "KEYWORD $junk",
            "UNKEYWORD x",
            "BEFORE 4-Nov-2022",
            "ON 3-Nov-2022",
            "SINCE 3-Nov-2022",
            "SENTON 1-Nov-2022",
            "SENTSINCE 1-Nov-2022",
            "SENTBEFORE 2-Nov-2022",
            "LARGER 999",
            "SMALLER 1001",
            "FROM joerg",
            "FROM \"j\u{f6}rg <\"",
            "SUBJECT \"hello world\"",
            "HEADER X-empty \"\"",
            "HEADER subject WORLD",
            "BODY \"THE BODY\"",
            "BODY \"gr\u{fc}\"",
            "TEXT example.com",
            "TEXT \"\"",
            "UID 1:8",
            "NOT (SEEN FLAGGED)",
            "OR FLAGGED (SEEN SMALLER 1001)",
        ] {
            assert!(matches(yes), "{yes}");
            assert!(!matches(&format!("NOT ({yes})")), "NOT {yes}");
        }
        for no in [
            "NEW",
            "OLD",
            "UNSEEN",
            "ANSWERED",
            "KEYWORD x",
            "BEFORE 3-Nov-2022",
            "SINCE 4-Nov-2022",
            "SENTON 2-Nov-2022",
            "LARGER 1000",
            "SMALLER 1000",
            "TO joerg",
            "BCC \"\"",
            "HEADER X-None \"\"",
            "BODY hello",
            "TEXT absent",
            "UID 8:9",
            "SUBJECT \"hello  world\"",
        ] {
            assert!(!matches(no), "{no}");
        }
    }

    #[test]
    fn reads_no_more_than_it_must() {
        for (text, reads) in [
            ("SEEN UID 1 LARGER 4", Reads::Nothing),
            ("OR SEEN SENTON 1-Feb-1994", Reads::Header),
            ("NOT TEXT x SEEN", Reads::Message),
        ] {
            assert_eq!(Matcher::new(&key(text)).unwrap().reads(), reads, "{text}");
        }
    }

    #[test]
    fn text_on_the_edge_of_windows() {
        for at in [0, 1, WINDOW - 3, WINDOW - 1, WINDOW, 2 * WINDOW - 2] {
            let mut octets = vec![b'.'; 3 * WINDOW];
            octets[at..at + 6].copy_from_slice(b"NeEdLe");
            assert!(Text::new(b"nEEdle").is_in(&octets), "{at}");
            assert!(!Text::new(b"needles").is_in(&octets), "{at}");
        }
        assert!(Text::new(&[b'x'; WINDOW * 2]).is_in(&[b'X'; WINDOW * 2]));
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = SearchKey::All;
        for _ in 0..DEPTH {
            deep = SearchKey::Not(Box::new(deep));
        }
        assert!(Matcher::new(&deep).is_err());
    }
}
