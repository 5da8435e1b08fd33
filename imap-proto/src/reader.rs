//! Reads the tokens of one command or response that lies in memory whole, its literals in place.

use crate::{
    Date, DateTime, ExtensionValue, Flag, Keyword, Mailbox, NString, ParseError, SeqNumber,
    SequenceSet,
};
use core::num::NonZeroU32;

type Parsed<T> = Result<T, ParseError>;

// RFC 9051 §9: ATOM-CHAR = <any CHAR except atom-specials>
pub(crate) const fn is_atom_char(octet: u8) -> bool {
    matches!(octet, 0x21..=0x7e)
        && !matches!(
            octet,
            b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']'
        )
}

pub(crate) const fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

pub(crate) const fn is_tag_char(octet: u8) -> bool {
    is_astring_char(octet) && octet != b'+'
}

const fn is_list_char(octet: u8) -> bool {
    is_astring_char(octet) || matches!(octet, b'%' | b'*')
}

/// How deep lists, search keys and body structures may nest, and how many items one command or response may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) depth: u32,
    pub(crate) items: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            depth: 32,
            items: 16_384,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
    utf8: bool,
    bounds: Bounds,
    streamed: &'a [usize],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self::with(octets, false, Bounds::default(), &[])
    }

    pub(crate) const fn with(
        octets: &'a [u8],
        utf8: bool,
        bounds: Bounds,
        streamed: &'a [usize],
    ) -> Self {
        Self {
            octets,
            at: 0,
            utf8,
            bounds,
            streamed,
        }
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at = self.octets.len();
        rest
    }

    pub(crate) const fn error<T>(&self, expected: &'static str) -> Parsed<T> {
        Err(ParseError {
            at: self.at,
            expected,
        })
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let there = self.peek() == Some(octet);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn expect(&mut self, octet: u8, expected: &'static str) -> Parsed<()> {
        if self.eat(octet) {
            Ok(())
        } else {
            self.error(expected)
        }
    }

    pub(crate) fn sp(&mut self) -> Parsed<()> {
        self.expect(b' ', "a space")
    }

    pub(crate) fn end(&self) -> Parsed<()> {
        if self.at == self.octets.len() {
            Ok(())
        } else {
            self.error("the end of the line")
        }
    }

    /// One level deeper; give the depth back with [`Reader::leave`].
    pub(crate) const fn enter(&mut self) -> Parsed<()> {
        match self.bounds.depth.checked_sub(1) {
            Some(left) => {
                self.bounds.depth = left;
                Ok(())
            }
            None => self.error("less nesting"),
        }
    }

    pub(crate) const fn leave(&mut self) {
        self.bounds.depth += 1;
    }

    pub(crate) const fn item(&mut self) -> Parsed<()> {
        match self.bounds.items.checked_sub(1) {
            Some(left) => {
                self.bounds.items = left;
                Ok(())
            }
            None => self.error("fewer items"),
        }
    }

    pub(crate) fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().take_while(|octet| fits(**octet)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(crate) fn run1(
        &mut self,
        fits: impl Fn(u8) -> bool,
        expected: &'static str,
    ) -> Parsed<&'a [u8]> {
        let run = self.run(fits);
        if run.is_empty() {
            self.error(expected)
        } else {
            Ok(run)
        }
    }

    pub(crate) fn atom(&mut self) -> Parsed<&'a [u8]> {
        self.run1(is_atom_char, "an atom")
    }

    pub(crate) fn atom_string(&mut self) -> Parsed<String> {
        Ok(String::from_utf8_lossy(self.atom()?).into_owned())
    }

    /// Takes `word` without case, if it stands here.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let there = self
            .rest()
            .get(..word.len())
            .is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()));
        if there {
            self.at += word.len();
        }
        there
    }

    /// As [`Reader::eat_word`], where no atom goes on behind it.
    pub(crate) fn eat_atom(&mut self, word: &str) -> bool {
        let before = self.at;
        if self.eat_word(word) && !self.peek().is_some_and(is_atom_char) {
            return true;
        }
        self.at = before;
        false
    }

    pub(crate) fn number64(&mut self) -> Parsed<u64> {
        let start = self.at;
        let digits = self.run1(|octet| octet.is_ascii_digit(), "a number")?;
        digits
            .iter()
            .try_fold(0u64, |value, digit| {
                value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .filter(|value| i64::try_from(*value).is_ok())
            .ok_or(ParseError {
                at: start,
                expected: "a number below 2^63",
            })
    }

    pub(crate) fn number(&mut self) -> Parsed<u32> {
        let start = self.at;
        u32::try_from(self.number64()?).map_err(|_| ParseError {
            at: start,
            expected: "a number below 2^32",
        })
    }

    pub(crate) fn nz_number(&mut self) -> Parsed<NonZeroU32> {
        let start = self.at;
        // RFC 9051 §9: nz-number = digit-nz *DIGIT
        if self.peek() == Some(b'0') {
            return self.error("a number that does not begin with 0");
        }
        NonZeroU32::new(self.number()?).ok_or(ParseError {
            at: start,
            expected: "a number above 0",
        })
    }

    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        // Enough at once for what has no escapes, so that no copy of a password is left behind by growth.
        let mut out = Vec::with_capacity(memchr::memchr(b'"', self.rest()).unwrap_or(0));
        loop {
            let rest = self.rest();
            let Some(run) = memchr::memchr2(b'"', b'\\', rest) else {
                return self.error("a closing quote");
            };
            let (plain, _) = rest.split_at(run);
            if let Some(bad) = plain.iter().position(|o| matches!(o, 0 | b'\r' | b'\n')) {
                self.at += bad;
                return self.error("a closing quote before the end of the line");
            }
            out.extend_from_slice(plain);
            self.at += run + 1;
            if rest.get(run) == Some(&b'"') {
                return Ok(out);
            }
            match self.peek() {
                Some(escaped @ (b'"' | b'\\')) => {
                    out.push(escaped);
                    self.at += 1;
                }
                // RFC 9051 §9: "\" quoted-specials
                _ => return self.error("'\"' or '\\' behind a backslash"),
            }
        }
    }

    /// A literal that the framer put in place: `{n}` CR LF and n octets.
    pub(crate) fn literal(&mut self) -> Parsed<&'a [u8]> {
        let binary = self.eat(b'~');
        self.expect(b'{', "a literal")?;
        let octets = self.number64()?;
        let _ = self.eat(b'+');
        self.expect(b'}', "'}' behind the size")?;
        if !(self.eat(b'\r') && self.eat(b'\n')) {
            return self.error("a line end behind the size of a literal");
        }
        let length = usize::try_from(octets).unwrap_or(usize::MAX);
        let Some(literal) = self.rest().get(..length) else {
            return self.error("all octets of the literal");
        };
        // RFC 9051 §9: literal holds CHAR8, "any OCTET except NUL"
        if !binary && let Some(nul) = memchr::memchr(0, literal) {
            self.at += nul;
            return self.error("no NUL in a literal");
        }
        self.at += length;
        Ok(literal)
    }

    /// The size of a literal whose octets went elsewhere, if that is what stands here.
    pub(crate) fn streamed(&mut self) -> Parsed<Option<u64>> {
        if self.streamed.binary_search(&self.at).is_err() {
            return Ok(None);
        }
        let _ = self.eat(b'~');
        self.expect(b'{', "a literal")?;
        let octets = self.number64()?;
        let _ = self.eat(b'+');
        self.expect(b'}', "'}' behind the size")?;
        let _ = self.eat(b'\r') && self.eat(b'\n');
        Ok(Some(octets))
    }

    fn is_literal(&self) -> bool {
        matches!(self.rest(), [b'{', ..] | [b'~', b'{', ..])
    }

    pub(crate) fn string(&mut self) -> Parsed<Vec<u8>> {
        if self.eat(b'"') {
            self.quoted()
        } else if self.is_literal() {
            self.literal().map(<[u8]>::to_vec)
        } else {
            self.error("a string")
        }
    }

    pub(crate) fn astring(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => Ok(self.run1(is_astring_char, "an atom or a string")?.to_vec()),
        }
    }

    pub(crate) fn nstring(&mut self) -> Parsed<NString> {
        if self.eat_atom("NIL") {
            Ok(None)
        } else {
            self.string().map(Some)
        }
    }

    pub(crate) fn list_mailbox(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => Ok(self
                .run1(is_list_char, "a mailbox name or pattern")?
                .to_vec()),
        }
    }

    pub(crate) fn mailbox(&mut self) -> Parsed<Mailbox> {
        let at = self.at;
        let name = self.astring()?;
        let mailbox = if self.utf8 {
            core::str::from_utf8(&name)
                .ok()
                .and_then(|name| Mailbox::new(name).ok())
        } else {
            Mailbox::from_utf7(&name).ok()
        };
        mailbox.ok_or(ParseError {
            at,
            expected: "a mailbox name in the charset agreed on",
        })
    }

    pub(crate) fn flag(&mut self) -> Parsed<Flag> {
        let start = self.at;
        let _ = self.eat(b'\\');
        if !self.eat(b'*') {
            self.run1(is_atom_char, "a flag")?;
        }
        let text = self.octets.get(start..self.at).unwrap_or_default();
        core::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(ParseError {
                at: start,
                expected: "a flag",
            })
    }

    pub(crate) fn keyword(&mut self) -> Parsed<Keyword> {
        let start = self.at;
        let _ = self.eat(b'\\');
        self.run1(is_atom_char, "an atom")?;
        let text = self.octets.get(start..self.at).unwrap_or_default();
        core::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(ParseError {
                at: start,
                expected: "an atom",
            })
    }

    /// A list in parentheses, perhaps empty, with single spaces between.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect(b'(', "'('")?;
        let mut out = Vec::new();
        if self.eat(b')') {
            return Ok(out);
        }
        loop {
            self.item()?;
            out.push(item(self)?);
            if self.eat(b')') {
                return Ok(out);
            }
            self.sp()?;
        }
    }

    /// As [`Reader::list`], with at least one item.
    pub(crate) fn list1<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let out = self.list(item)?;
        if out.is_empty() {
            return self.error("an item in the list");
        }
        Ok(out)
    }

    pub(crate) fn flag_list(&mut self) -> Parsed<Vec<Flag>> {
        self.list(Self::flag)
    }

    fn seq_number(&mut self) -> Parsed<SeqNumber> {
        if self.eat(b'*') {
            Ok(SeqNumber::Last)
        } else {
            self.nz_number().map(SeqNumber::Number)
        }
    }

    pub(crate) fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        if self.eat(b'$') {
            return Ok(SequenceSet::Saved);
        }
        self.ranges(Self::seq_number).map(SequenceSet::Ranges)
    }

    pub(crate) fn uid_ranges(&mut self) -> Parsed<Vec<(NonZeroU32, NonZeroU32)>> {
        self.ranges(Self::nz_number)
    }

    fn ranges<T: Copy>(&mut self, number: fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<(T, T)>> {
        let mut ranges = Vec::new();
        loop {
            self.item()?;
            let from = number(self)?;
            let to = if self.eat(b':') { number(self)? } else { from };
            ranges.push((from, to));
            if !self.eat(b',') {
                return Ok(ranges);
            }
        }
    }

    fn digits(&mut self, count: usize) -> Parsed<u16> {
        let Some(digits) = self
            .rest()
            .get(..count)
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        else {
            return self.error("digits of a date");
        };
        self.at += count;
        Ok(digits
            .iter()
            .fold(0u16, |value, digit| value * 10 + u16::from(digit - b'0')))
    }

    fn octet_digits(&mut self) -> Parsed<u8> {
        Ok(u8::try_from(self.digits(2)?).unwrap_or(u8::MAX))
    }

    fn month_and_year(&mut self, day: u8) -> Parsed<Date> {
        let start = self.at;
        self.expect(b'-', "'-'")?;
        let Some(month) = self.rest().get(..3).and_then(Date::month_from_name) else {
            return self.error("a month");
        };
        self.at += 3;
        self.expect(b'-', "'-'")?;
        let year = self.digits(4)?;
        Date::new(year, month, day).map_err(|_| ParseError {
            at: start,
            expected: "a day that exists",
        })
    }

    pub(crate) fn date(&mut self) -> Parsed<Date> {
        let quoted = self.eat(b'"');
        let width = match self.rest() {
            [_, second, ..] if second.is_ascii_digit() => 2,
            _ => 1,
        };
        let day = u8::try_from(self.digits(width)?).unwrap_or(0);
        let date = self.month_and_year(day)?;
        if quoted {
            self.expect(b'"', "a closing quote")?;
        }
        Ok(date)
    }

    pub(crate) fn date_time(&mut self) -> Parsed<DateTime> {
        let start = self.at;
        self.expect(b'"', "a quoted date and time")?;
        let day = if self.eat(b' ') {
            u8::try_from(self.digits(1)?).unwrap_or(0)
        } else {
            self.octet_digits()?
        };
        let date = self.month_and_year(day)?;
        self.sp()?;
        let hour = self.octet_digits()?;
        self.expect(b':', "':'")?;
        let minute = self.octet_digits()?;
        self.expect(b':', "':'")?;
        let second = self.octet_digits()?;
        self.sp()?;
        let west = match self.peek() {
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return self.error("a zone"),
        };
        self.at += 1;
        let (hours, minutes) = (self.octet_digits()?, self.octet_digits()?);
        self.expect(b'"', "a closing quote")?;
        let zone = i16::from(hours) * 60 + i16::from(minutes);
        (minutes < 60)
            .then(|| {
                DateTime::new(
                    date,
                    (hour, minute, second),
                    if west { -zone } else { zone },
                )
            })
            .and_then(Result::ok)
            .ok_or(ParseError {
                at: start,
                expected: "a time that exists",
            })
    }

    /// A value of an unknown grammar.
    pub(crate) fn extension_value(&mut self) -> Parsed<ExtensionValue> {
        match self.peek() {
            Some(b'(') => {
                self.enter()?;
                let list = self.extension_list()?;
                self.leave();
                Ok(ExtensionValue::List(list))
            }
            Some(b'"' | b'{') => self.string().map(ExtensionValue::String),
            Some(b'~') if self.is_literal() => self.string().map(ExtensionValue::String),
            _ if self.eat_atom("NIL") => Ok(ExtensionValue::Nil),
            _ => {
                let atom = self.run1(
                    |octet| is_astring_char(octet) || matches!(octet, b'*' | b'\\' | b'%'),
                    "a value",
                )?;
                Ok(ExtensionValue::Atom(
                    String::from_utf8_lossy(atom).into_owned(),
                ))
            }
        }
    }

    /// Lists of lists need no space between them (`((1)(2))` of THREAD).
    fn extension_list(&mut self) -> Parsed<Vec<ExtensionValue>> {
        self.expect(b'(', "'('")?;
        let mut out: Vec<ExtensionValue> = Vec::new();
        loop {
            if self.eat(b')') {
                return Ok(out);
            }
            let side_by_side =
                self.peek() == Some(b'(') && matches!(out.last(), Some(ExtensionValue::List(_)));
            if !out.is_empty() && !side_by_side {
                self.sp()?;
            }
            self.item()?;
            out.push(self.extension_value()?);
        }
    }
}
