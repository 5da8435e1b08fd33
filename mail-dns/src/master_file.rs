//! Zones from text: the master file format of RFC 1035 §5.

use core::str::FromStr;
use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::name::escape;
use crate::{Name, NameError, Record, RecordType, Tlsa, Txt, Zone};

/// What is wrong with a master file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ZoneError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: ZoneFault,
}

/// What is wrong with an entry of a master file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneFault {
    /// A quoted string without an end on its line.
    #[error("a quoted string is not closed")]
    OpenString,
    /// A closing parenthesis without an opening one, or the reverse.
    #[error("parentheses do not match")]
    Parentheses,
    /// The first entry begins with a blank: there is no owner to repeat.
    #[error("no owner name, and none before it")]
    NoOwner,
    /// No record type.
    #[error("no record type")]
    NoType,
    /// A type that the crate neither reads nor knows as one to pass over.
    #[error("unknown record type {0:?}")]
    UnknownType(String),
    /// A class other than IN.
    #[error("class {0:?}; only IN is known")]
    Class(String),
    /// A directive other than `$ORIGIN` and `$TTL`; `$INCLUDE` would need files.
    #[error("directive {0:?} is not supported")]
    Directive(String),
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A field of the record data, or of a directive, that is missing or not of its form.
    #[error("no valid {0}")]
    Field(&'static str),
    /// More fields than the type has.
    #[error("more fields than the type has")]
    TooMany,
}

impl Zone {
    /// Reads a master file (RFC 1035 §5): `$ORIGIN`, `$TTL` (RFC 2308 §4), `@`, relative names, an owner or time to live taken from the
    /// entry before, parentheses, quoted strings, comments. Names that are not absolute are relative to `origin`.
    ///
    /// A SOA record gives the time to live of negative answers in its zone (RFC 2308 §5). Records of other types that mail does not ask for
    /// (NS, SRV, CAA, …) make their name exist and are passed over. Times may carry units, as in `1h30m`.
    ///
    /// # Errors
    ///
    /// The first fault, with its line.
    pub fn parse(text: impl AsRef<[u8]>, origin: &Name) -> Result<Self, ZoneError> {
        let mut reader = Reader {
            zone: Self::new(),
            origin: origin.clone(),
            owner: None,
            default_ttl: None,
            last_ttl: None,
        };
        let mut entries = Entries {
            rest: text.as_ref(),
            line: 1,
        };
        while let Some(entry) = entries.next_entry()? {
            let line = entry.line;
            reader
                .entry(entry)
                .map_err(|fault| ZoneError { line, fault })?;
        }
        Ok(reader.zone)
    }
}

impl Record {
    /// Reads the data of one record as a master file writes it, and as [`Display`](core::fmt::Display) prints it: `10 mx.example.com.`.
    ///
    /// Names are absolute, with or without their final dot.
    ///
    /// # Errors
    ///
    /// What is missing, too much or not of its form.
    pub fn parse(kind: RecordType, data: impl AsRef<[u8]>) -> Result<Self, ZoneFault> {
        let mut entries = Entries {
            rest: data.as_ref(),
            line: 1,
        };
        let entry = entries.next_entry().map_err(|error| error.fault)?;
        let mut words = Words {
            words: entry
                .map_or(Vec::new(), |entry| entry.words)
                .into_iter()
                .peekable(),
            origin: &Name::root(),
        };
        let record = words.record(kind)?;
        words.end()?;
        match entries.next_entry() {
            Ok(None) => Ok(record),
            Ok(Some(_)) => Err(ZoneFault::TooMany),
            Err(error) => Err(error.fault),
        }
    }
}

/// A master file whose names are relative to the root.
impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        Self::parse(text, &Name::root())
    }
}

/// One word of an entry, escapes still in it.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a [u8],
    quoted: bool,
}

struct Entry<'a> {
    line: usize,
    /// The entry begins with a blank, so the owner is that of the one before.
    inherits: bool,
    words: Vec<Word<'a>>,
}

/// Cuts a master file into entries of words.
struct Entries<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Entries<'a> {
    /// The next entry with any words.
    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ZoneError> {
        let mut entry = Entry {
            line: self.line,
            inherits: matches!(self.rest, [b' ' | b'\t', ..]),
            words: Vec::new(),
        };
        let mut depth = 0_usize;
        loop {
            let fault = |fault| ZoneError {
                line: self.line,
                fault,
            };
            let Some((&octet, after)) = self.rest.split_first() else {
                if depth > 0 {
                    return Err(fault(ZoneFault::Parentheses));
                }
                return Ok((!entry.words.is_empty()).then_some(entry));
            };
            match octet {
                b'\n' => {
                    self.rest = after;
                    self.line += 1;
                    if depth > 0 {
                        continue;
                    }
                    if !entry.words.is_empty() {
                        return Ok(Some(entry));
                    }
                    entry.line = self.line;
                    entry.inherits = matches!(self.rest, [b' ' | b'\t', ..]);
                }
                b' ' | b'\t' | b'\r' => self.rest = after,
                b';' => self.skip(|octet| octet != b'\n'),
                // RFC 1035 §5.1: "Parentheses are used to group data that crosses a line boundary."
                b'(' => {
                    self.rest = after;
                    depth += 1;
                }
                b')' => {
                    depth = depth
                        .checked_sub(1)
                        .ok_or_else(|| fault(ZoneFault::Parentheses))?;
                    self.rest = after;
                }
                b'"' => {
                    let end = end(after, |octet| matches!(octet, b'"' | b'\n'));
                    let (text, closed) = after.split_at(end);
                    self.rest = closed
                        .strip_prefix(b"\"")
                        .ok_or_else(|| fault(ZoneFault::OpenString))?;
                    entry.words.push(Word { text, quoted: true });
                }
                _ => {
                    let end = end(self.rest, |octet| {
                        matches!(
                            octet,
                            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"'
                        )
                    });
                    let (text, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    entry.words.push(Word {
                        text,
                        quoted: false,
                    });
                }
            }
        }
    }

    fn skip(&mut self, passes: impl Fn(u8) -> bool) {
        let end = self
            .rest
            .iter()
            .position(|&octet| !passes(octet))
            .unwrap_or(self.rest.len());
        self.rest = self.rest.get(end..).unwrap_or_default();
    }
}

/// Where the first octet stands that ends a word, and no backslash before it; a line never hides behind one.
fn end(text: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    let mut escaped = false;
    for (at, &octet) in text.iter().enumerate() {
        if octet == b'\n' || !escaped && ends(octet) {
            return at;
        }
        escaped = !escaped && octet == b'\\';
    }
    text.len()
}

/// The state between entries.
struct Reader {
    zone: Zone,
    origin: Name,
    owner: Option<Name>,
    /// Of `$TTL`.
    default_ttl: Option<Duration>,
    /// RFC 1035 §5.1: "Omitted class and TTL values are default to the last explicitly stated values."
    last_ttl: Option<Duration>,
}

impl Reader {
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), ZoneFault> {
        let mut words = Words {
            words: entry.words.iter().copied().peekable(),
            origin: &self.origin,
        };
        if !entry.inherits {
            if let Some(directive) = words
                .words
                .next_if(|word| !word.quoted && word.text.starts_with(b"$"))
            {
                if directive.text.eq_ignore_ascii_case(b"$ORIGIN") {
                    let origin = words.name()?;
                    words.end()?;
                    self.origin = origin;
                } else if directive.text.eq_ignore_ascii_case(b"$TTL") {
                    self.default_ttl = Some(
                        words
                            .word()
                            .and_then(time)
                            .ok_or(ZoneFault::Field("time to live"))?,
                    );
                    words.end()?;
                } else {
                    return Err(ZoneFault::Directive(lossy(directive.text)));
                }
                return Ok(());
            }
            self.owner = Some(words.name()?);
        }
        let owner = self.owner.clone().ok_or(ZoneFault::NoOwner)?;
        let mut ttl = None;
        let kind = loop {
            let word = words.word().ok_or(ZoneFault::NoType)?;
            if ttl.is_none() && word.first().is_some_and(u8::is_ascii_digit) {
                ttl = Some(time(word).ok_or(ZoneFault::Field("time to live"))?);
            } else if [&b"CH"[..], b"HS", b"CS"]
                .iter()
                .any(|class| word.eq_ignore_ascii_case(class))
            {
                return Err(ZoneFault::Class(lossy(word)));
            } else if !word.eq_ignore_ascii_case(b"IN") {
                break lossy(word).to_ascii_uppercase();
            }
        };
        self.last_ttl = ttl.or(self.last_ttl);
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl);
        if let Ok(kind) = kind.parse() {
            let record = words.record(kind)?;
            words.end()?;
            match ttl {
                Some(ttl) => self.zone.insert_with_ttl(owner, record, ttl),
                None => self.zone.insert(owner, record),
            }
        } else if kind == "SOA" {
            words.name()?;
            words.name()?;
            words.number::<u32>("serial number")?;
            let mut minimum = Duration::ZERO;
            for field in [
                "refresh time",
                "retry time",
                "expiry time",
                "minimum time to live",
            ] {
                minimum = words.word().and_then(time).ok_or(ZoneFault::Field(field))?;
            }
            words.end()?;
            // RFC 2308 §5: "its TTL is taken from the minimum of the SOA.MINIMUM field and SOA's TTL".
            self.zone
                .negative_ttl(owner, ttl.map_or(minimum, |ttl| ttl.min(minimum)));
        } else if RecordType::is_of_others(&kind) {
            self.zone.touch(owner);
        } else {
            return Err(ZoneFault::UnknownType(kind));
        }
        Ok(())
    }
}

/// The words of one entry, read one after the other.
struct Words<'a, I: Iterator<Item = Word<'a>>> {
    words: core::iter::Peekable<I>,
    origin: &'a Name,
}

impl<'a, I: Iterator<Item = Word<'a>>> Words<'a, I> {
    fn word(&mut self) -> Option<&'a [u8]> {
        self.words
            .next_if(|word| !word.quoted)
            .map(|word| word.text)
    }

    fn end(&mut self) -> Result<(), ZoneFault> {
        self.words
            .next()
            .map_or(Ok(()), |_| Err(ZoneFault::TooMany))
    }

    fn number<N: FromStr>(&mut self, field: &'static str) -> Result<N, ZoneFault> {
        let word = self.word().and_then(|word| core::str::from_utf8(word).ok());
        word.and_then(|word| word.parse().ok())
            .ok_or(ZoneFault::Field(field))
    }

    fn name(&mut self) -> Result<Name, ZoneFault> {
        let word = self.word().ok_or(ZoneFault::Field("name"))?;
        // RFC 1035 §5.1: "A free standing @ is used to denote the current origin."
        if word == b"@" {
            return Ok(self.origin.clone());
        }
        let text = core::str::from_utf8(word).map_err(|_| ZoneFault::Field("name"))?;
        let name: Name = text.parse()?;
        // Absolute if a dot ends it that no backslash escapes.
        let absolute =
            word.last() == Some(&b'.') && end(word, |octet| octet == b'.') < word.len() && {
                let backslashes = word
                    .iter()
                    .rev()
                    .skip(1)
                    .take_while(|&&octet| octet == b'\\')
                    .count();
                backslashes % 2 == 0
            };
        Ok(if absolute {
            name
        } else {
            name.append(self.origin)?
        })
    }

    fn record(&mut self, kind: RecordType) -> Result<Record, ZoneFault> {
        Ok(match kind {
            RecordType::A => Record::A(self.number::<Ipv4Addr>("IPv4 address")?),
            RecordType::Aaaa => Record::Aaaa(self.number::<Ipv6Addr>("IPv6 address")?),
            RecordType::Mx => Record::Mx {
                preference: self.number("preference")?,
                exchange: self.name()?,
            },
            RecordType::Ptr => Record::Ptr(self.name()?),
            RecordType::Cname => Record::Cname(self.name()?),
            RecordType::Txt => {
                let mut strings = Vec::new();
                for word in self.words.by_ref() {
                    let string = unescape(word.text).filter(|string| string.len() <= 255);
                    strings.push(string.ok_or(ZoneFault::Field("character-string"))?);
                }
                if strings.is_empty() {
                    return Err(ZoneFault::Field("character-string"));
                }
                Record::Txt(Txt::new(strings))
            }
            RecordType::Tlsa => {
                let (usage, selector, matching) = (
                    self.number("usage")?,
                    self.number("selector")?,
                    self.number("matching type")?,
                );
                // RFC 6698 §2.2: the data may be cut by blanks.
                let mut digits = Vec::new();
                while let Some(word) = self.word() {
                    digits.extend_from_slice(word);
                }
                let data =
                    hexadecimal(&digits).ok_or(ZoneFault::Field("certificate association data"))?;
                Record::Tlsa(Tlsa {
                    usage,
                    selector,
                    matching,
                    data,
                })
            }
        })
    }
}

/// The octets of a character-string (RFC 1035 §5.1).
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'\\' {
            let (octet, length) = escape(after)?;
            octets.push(octet);
            rest = after.get(length..)?;
        } else {
            octets.push(octet);
        }
    }
    Some(octets)
}

fn hexadecimal(digits: &[u8]) -> Option<Box<[u8]>> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let digit = |octet: u8| {
        char::from(octet)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect::<Option<Box<[u8]>>>()
        .filter(|data| !data.is_empty())
}

/// Seconds, or numbers with the units w, d, h, m, s; at most the 2^31 - 1 seconds of RFC 2181 §8.
fn time(word: &[u8]) -> Option<Duration> {
    let mut total = 0_u64;
    let mut number = None;
    for &octet in word {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                number = Some(
                    number
                        .unwrap_or(0_u64)
                        .checked_mul(10)?
                        .checked_add(u64::from(digit - b'0'))?,
                );
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    let total = total.checked_add(number.unwrap_or(0))?;
    (!word.is_empty() && total <= 0x7fff_ffff).then_some(Duration::from_secs(total))
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Data, Question};

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Answer {
        zone.answer(&Question::new(name.parse().unwrap(), kind))
    }

    #[test]
    fn the_whole_format() {
        let zone: Zone = r#"
$ORIGIN example.com.
$TTL 1h
@   IN SOA ns hostmaster\.x ( 2026010100 ; serial
        7200 30M 2w
        300 )           ; minimum
    NS ns.example.net.
    MX 10 mail
    60 IN TXT "v=spf1 mx " "-all ; \"not a comment\"" plain\ word
mail IN 2m A 192.0.2.1
     A 192.0.2.2
     AAAA 2001:db8::1
*.wild CNAME mail
$ORIGIN sub
www CNAME mail.example.com.
_25._tcp.mail TLSA 3 1 1 ( d2abde24 0d7cd3ee
   6b4b28c54df034b9 )
"#
        .parse()
        .unwrap();
        let text = ask(&zone, "example.com", RecordType::Txt);
        assert_eq!(text.ttl, Some(Duration::from_secs(60)));
        assert!(
            matches!(&text.records()[0], Record::Txt(text) if *text.joined() == *b"v=spf1 mx -all ; \"not a comment\"plain word")
        );
        let mail = ask(&zone, "mail.example.com", RecordType::A);
        assert_eq!(
            mail.records(),
            [
                Record::A([192, 0, 2, 1].into()),
                Record::A([192, 0, 2, 2].into())
            ]
        );
        assert_eq!(mail.ttl, Some(Duration::from_secs(120)));
        assert_eq!(
            ask(&zone, "example.com", RecordType::Mx).records(),
            [Record::Mx {
                preference: 10,
                exchange: "mail.example.com".parse().unwrap()
            }]
        );
        assert_eq!(
            ask(&zone, "x.wild.example.com", RecordType::Aaaa)
                .records()
                .len(),
            1
        );
        assert_eq!(
            ask(&zone, "www.sub.example.com", RecordType::A)
                .records()
                .len(),
            2
        );
        assert!(
            matches!(&ask(&zone, "_25._tcp.mail.sub.example.com", RecordType::Tlsa).records()[0], Record::Tlsa(tlsa) if tlsa.data.len() == 16)
        );
        let nothing = ask(&zone, "nothing.example.com", RecordType::A);
        assert_eq!(
            (nothing.data, nothing.ttl),
            (Data::NxDomain, Some(Duration::from_secs(300)))
        );
    }

    #[test]
    fn faults_with_their_lines() {
        for (text, line, fault) in [
            ("  A 192.0.2.1", 1, ZoneFault::NoOwner),
            ("\n\na. A 192.0.2", 3, ZoneFault::Field("IPv4 address")),
            ("a. A 192.0.2.1 x", 1, ZoneFault::TooMany),
            ("a. TXT \"open\nb. TXT x", 1, ZoneFault::OpenString),
            ("a. TXT ( x", 1, ZoneFault::Parentheses),
            ("a. TXT x )", 1, ZoneFault::Parentheses),
            ("a. CH TXT x", 1, ZoneFault::Class("CH".into())),
            ("a. TEXT x", 1, ZoneFault::UnknownType("TEXT".into())),
            ("a.", 1, ZoneFault::NoType),
            ("$INCLUDE x", 1, ZoneFault::Directive("$INCLUDE".into())),
            ("a. MX ten b.", 1, ZoneFault::Field("preference")),
            (
                "a. MX 10 b..",
                1,
                ZoneFault::Name(NameError::EmptyLabel { at: 2 }),
            ),
            ("a. TXT", 1, ZoneFault::Field("character-string")),
            ("a. 2147483648 TXT x", 1, ZoneFault::Field("time to live")),
            (
                "a. TLSA 3 1 1 abc",
                1,
                ZoneFault::Field("certificate association data"),
            ),
        ] {
            assert_eq!(
                text.parse::<Zone>().unwrap_err(),
                ZoneError { line, fault },
                "{text}"
            );
        }
    }

    #[test]
    fn escapes_and_absolute_names() {
        let origin: Name = "org".parse().unwrap();
        let zone = Zone::parse(
            "a\\. A 192.0.2.1\nb\\\\. A 192.0.2.2\nc\\.d A 192.0.2.3",
            &origin,
        )
        .unwrap();
        for name in ["a\\..org", "b\\\\", "c\\.d.org"] {
            assert_eq!(ask(&zone, name, RecordType::A).records().len(), 1, "{name}");
        }
    }
}
