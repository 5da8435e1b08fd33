//! Dates of header fields (RFC 5322 §3.3, obsolete forms of §4.3).

use core::fmt;
use core::str::FromStr;

use crate::lexer::{LexError, Lexer};

/// A date and time with the zone it was written in.
///
/// Read leniently (comments, two-digit years, named zones), printed in the one form of RFC 5322 §3.3 with a day name and
/// seconds. The years 1900 to 9999. A leap second (`:60`) is read as the second after it.
///
/// ```
/// use mail_syntax::date::DateTime;
/// let date: DateTime = "Fri, 21 Nov 1997 09:55:06 -0600".parse()?;
/// assert_eq!(date.unix_seconds(), 880_127_706);
/// assert_eq!(date.to_string(), "Fri, 21 Nov 1997 09:55:06 -0600");
/// # Ok::<(), mail_syntax::date::DateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    unix_seconds: i64,
    zone: Zone,
}

/// The zone a date was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// So many minutes east of UTC, within ±99:59.
    Offset(i16),
    /// `-0000`: UTC, with nothing said about the local time.
    Unknown,
}

/// Why a text is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DateError {
    /// A comment or character that cannot be read.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// Something else should stand there.
    #[error("{expected} expected at byte {offset} of the date")]
    Expected {
        /// What should stand there.
        expected: &'static str,
        /// Where.
        offset: usize,
    },
    /// A day, hour, minute, second, year or zone outside its range.
    #[error("the date does not exist, or is not between 1900 and 9999")]
    Range,
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl DateTime {
    /// The moment so many seconds after 1970-01-01T00:00:00Z, to be written in this zone.
    ///
    /// # Errors
    /// [`DateError::Range`] if the local year is not between 1900 and 9999 or the offset not within ±99:59.
    pub fn from_unix(unix_seconds: i64, zone: Zone) -> Result<Self, DateError> {
        let date = Self { unix_seconds, zone };
        let local = unix_seconds
            .checked_add(date.offset_seconds())
            .ok_or(DateError::Range)?;
        // 1900-01-01T00:00:00 and 10000-01-01T00:00:00.
        let in_range = (-2_208_988_800..253_402_300_800).contains(&local);
        if in_range && date.offset_seconds().abs() < 100 * 3600 {
            Ok(date)
        } else {
            Err(DateError::Range)
        }
    }

    /// Parses the body of a Date field.
    ///
    /// The day name is read but not compared with the date: many senders get it wrong.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(body: &[u8]) -> Result<Self, DateError> {
        String::from_utf8_lossy(body).parse()
    }

    /// Seconds after 1970-01-01T00:00:00Z, negative before.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.unix_seconds
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Year, month (1 to 12) and day (1 to 31) in the zone of the date.
    #[must_use]
    pub fn local_date(&self) -> (i64, u8, u8) {
        civil_from_days((self.unix_seconds + self.offset_seconds()).div_euclid(86_400))
    }

    fn offset_seconds(&self) -> i64 {
        match self.zone {
            Zone::Offset(minutes) => i64::from(minutes) * 60,
            Zone::Unknown => 0,
        }
    }
}

impl FromStr for DateTime {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let mut parser = Parser(Lexer::new(text));
        parser.0.cfws()?;
        if parser.0.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            let day = parser.0.run(|c| c.is_ascii_alphabetic());
            if !DAYS.iter().any(|name| name.eq_ignore_ascii_case(day)) {
                return Err(parser.expected("the name of a day"));
            }
            parser.0.cfws()?;
            parser.0.eat(',');
        }
        let day = parser.number("a day", 1, 2)?;
        parser.0.cfws()?;
        let month_name = parser.0.run(|c| c.is_ascii_alphabetic());
        let month = MONTHS
            .iter()
            .position(|name| name.eq_ignore_ascii_case(month_name));
        let month = month.ok_or_else(|| parser.expected("the name of a month"))?;
        let year = parser.year()?;
        let hour = parser.number("an hour", 1, 2)?;
        parser.colon()?;
        let minute = parser.number("a minute", 2, 2)?;
        parser.0.cfws()?;
        let second = if parser.0.eat(':') {
            parser.number("a second", 2, 2)?
        } else {
            0
        };
        let zone = parser.zone()?;
        parser.0.cfws()?;
        if parser.0.peek().is_some() {
            return Err(parser.expected("the end"));
        }
        // RFC 5322 §3.3: "the time-of-day MUST be in the range 00:00:00 through 23:59:60"
        if day == 0 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
            return Err(DateError::Range);
        }
        let days = days_from_civil(year, month as i64 + 1, day);
        let local = days * 86_400 + hour * 3600 + minute * 60 + second;
        let date = Self {
            unix_seconds: local,
            zone,
        };
        Self::from_unix(local - date.offset_seconds(), zone)
    }
}

struct Parser<'a>(Lexer<'a>);

impl Parser<'_> {
    fn number(
        &mut self,
        expected: &'static str,
        least: usize,
        most: usize,
    ) -> Result<i64, DateError> {
        self.0.cfws()?;
        let error = self.expected(expected);
        let digits = self.0.run(|c| c.is_ascii_digit());
        if digits.len() < least || digits.len() > most {
            Err(error)
        } else {
            digits.parse().map_err(|_| error)
        }
    }

    fn year(&mut self) -> Result<i64, DateError> {
        self.0.cfws()?;
        let error = self.expected("a year");
        let digits = self.0.run(|c| c.is_ascii_digit());
        let year: i64 = digits.parse().map_err(|_| error.clone())?;
        // RFC 5322 §4.3: "If a two digit year is encountered whose value is between 00 and 49, the year is interpreted by
        // adding 2000"
        match digits.len() {
            2 if year < 50 => Ok(year + 2000),
            2 | 3 => Ok(year + 1900),
            4.. if (1900..=9999).contains(&year) => Ok(year),
            4.. => Err(DateError::Range),
            _ => Err(error),
        }
    }

    fn colon(&mut self) -> Result<(), DateError> {
        self.0.cfws()?;
        if self.0.eat(':') {
            Ok(())
        } else {
            Err(self.expected("a colon"))
        }
    }

    fn zone(&mut self) -> Result<Zone, DateError> {
        self.0.cfws()?;
        let west = self.0.rest().starts_with('-');
        if self.0.eat('+') || self.0.eat('-') {
            let number = self.number("four digits of a zone", 4, 4)?;
            let minutes = number / 100 * 60 + number % 100;
            // RFC 5322 §3.3: "the last two digits of the zone MUST be within the range 00 through 59"
            if number % 100 > 59 {
                return Err(DateError::Range);
            }
            let minutes = i16::try_from(minutes).map_err(|_| DateError::Range)?;
            return Ok(match (west, minutes) {
                (true, 0) => Zone::Unknown,
                (true, minutes) => Zone::Offset(-minutes),
                (false, minutes) => Zone::Offset(minutes),
            });
        }
        let name = self.0.run(|c| c.is_ascii_alphabetic());
        let hours = match &*name.to_ascii_uppercase() {
            "" => return Err(self.expected("a zone")),
            "UT" | "GMT" | "UTC" => 0,
            "EDT" => -4,
            "EST" | "CDT" => -5,
            "CST" | "MDT" => -6,
            "MST" | "PDT" => -7,
            "PST" => -8,
            // RFC 5322 §4.3: "they SHOULD all be considered equivalent to "-0000" unless there is out-of-band information
            // confirming their meaning."
            _ => return Ok(Zone::Unknown),
        };
        Ok(Zone::Offset(hours * 60))
    }

    fn expected(&self, expected: &'static str) -> DateError {
        DateError::Expected {
            expected,
            offset: self.0.offset(),
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: usize) -> i64 {
    match month {
        1 => 28 + i64::from(is_leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of January of this year.
fn days_before_year(year: i64) -> i64 {
    let leaps = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let before_month: i64 = (0..12)
        .take_while(|m| m + 1 < month)
        .map(|m| days_in_month(year, m as usize))
        .sum();
    days_before_year(year) + before_month + day - 1
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    // Never later than the year that is looked for, and at most one or two years before it.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before_year(year);
    let mut month = 0;
    while rest >= days_in_month(year, month) {
        rest -= days_in_month(year, month);
        month += 1;
    }
    // Both fit: a month has an index below 12, a day one below 31.
    (year, month as u8 + 1, rest as u8 + 1)
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.unix_seconds + self.offset_seconds();
        let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let day_name = DAYS[days.rem_euclid(7) as usize];
        let month_name = MONTHS[usize::from(month) - 1];
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{day_name}, {day} {month_name} {year:04} {hour:02}:{minute:02}:{second:02} "
        )?;
        match self.zone {
            Zone::Unknown => f.write_str("-0000"),
            Zone::Offset(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates() {
        for (text, unix) in [
            ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706),
            ("1 Jan 1970 00:00:00 +0000", 0),
            (
                "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
                -27_723_480,
            ),
            ("21 Nov 97 09:55:06 GMT", 880_106_106),
            (
                "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
                880_127_706,
            ),
            ("29 Feb 2000 0:00 EST", 951_800_400),
            ("31 Dec 2016 23:59:60 Z", 1_483_228_800),
            ("1 Jan 1900 00:00:00 +0000", -2_208_988_800),
        ] {
            assert_eq!(
                text.parse::<DateTime>().map(|date| date.unix_seconds()),
                Ok(unix),
                "{text}"
            );
        }
        for bad in [
            "",
            "Foo, 1 Jan 2000 00:00 +0000",
            "32 Jan 2000 00:00 +0000",
            "29 Feb 1900 00:00 +0000",
            "0 Jan 2000 00:00 +0000",
            "1 Jan 2000 24:00 +0000",
            "1 Jan 2000 00:60 +0000",
            "1 Jan 2000 00:00:61 +0000",
            "1 Jan 2000 00:00 +0060",
            "1 Jan 2000 00:00",
            "1 Jan 2000 00:00 +0000 x",
            "1 Jan 20000 00:00 +0000",
            "1 Jan 99999999999999999999 00:00 +0000",
            "1 Jan 2000 00:00 +000",
        ] {
            assert!(bad.parse::<DateTime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_day_of_a_leap_year_before_1970() {
        let date = DateTime::from_unix(-1_293_870_901, Zone::Unknown).unwrap();
        assert_eq!(date.to_string(), "Mon, 31 Dec 1928 15:24:59 -0000");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(seconds in -2_208_000_000i64..253_402_000_000, minutes in proptest::option::of(-1439i16..=1439)) {
            let date = DateTime::from_unix(seconds, minutes.map_or(Zone::Unknown, Zone::Offset)).unwrap();
            prop_assert_eq!(date.to_string().parse(), Ok(date));
        }

        #[test]
        fn never_panics(text in "[ -~\r\n]{0,40}", seconds in any::<i64>(), minutes in any::<i16>()) {
            let _ = text.parse::<DateTime>();
            if let Ok(date) = DateTime::from_unix(seconds, Zone::Offset(minutes)) {
                let _ = date.to_string();
            }
        }
    }
}
