//! Dates as IMAP writes them.

use crate::InvalidValue;
use core::fmt;
use mail_wire::UnixTime;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A day: `1-Feb-1994`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day of the Gregorian calendar.
    ///
    /// # Errors
    ///
    /// For a day that does not exist, or a year above 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, InvalidValue> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => 0,
        };
        if day == 0 || day > days || year > 9999 {
            return Err(InvalidValue::new("date", "there is no such day"));
        }
        Ok(Self { year, month, day })
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn days(self) -> i64 {
        // Counted in years that begin in March, so that the leap day is the last.
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year - era * 400;
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days - era * 146_097;
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = era * 400 + year + i64::from(month <= 2);
        Self {
            year: u16::try_from(year.clamp(0, 9999)).unwrap_or(9999),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
    }

    pub(crate) fn month_from_name(name: &[u8]) -> Option<u8> {
        let at = MONTHS
            .iter()
            .position(|month| month.as_bytes().eq_ignore_ascii_case(name))?;
        u8::try_from(at + 1).ok()
    }

    fn month_name(self) -> &'static str {
        MONTHS
            .get(usize::from(self.month.saturating_sub(1)))
            .copied()
            .unwrap_or("Jan")
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}

/// An internal date: `" 1-Feb-1994 21:52:25 -0800"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    second_of_day: u32,
    zone_minutes: i16,
}

impl DateTime {
    /// A moment as a clock in a zone `zone_minutes` east of Greenwich shows it.
    ///
    /// # Errors
    ///
    /// For a clock beyond 23:59:60 or a zone beyond 99:59.
    pub fn new(
        date: Date,
        (hour, minute, second): (u8, u8, u8),
        zone_minutes: i16,
    ) -> Result<Self, InvalidValue> {
        if hour > 23 || minute > 59 || second > 60 || zone_minutes.unsigned_abs() > 99 * 60 + 59 {
            return Err(InvalidValue::new(
                "date-time",
                "there is no such time of day",
            ));
        }
        Ok(Self {
            date,
            second_of_day: u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second),
            zone_minutes,
        })
    }

    /// The day in its own zone: what BEFORE, ON and SINCE compare (RFC 9051 §6.4.4: "disregarding time and timezone").
    #[must_use]
    pub const fn date(self) -> Date {
        self.date
    }

    /// The moment; before 1970 it is zero.
    #[must_use]
    pub fn to_unix(self) -> UnixTime {
        let seconds = self.date.days() * 86_400 + i64::from(self.second_of_day)
            - i64::from(self.zone_minutes) * 60;
        UnixTime(u64::try_from(seconds).unwrap_or(0))
    }

    /// The moment in UTC; after the year 9999 it is the last day of that year.
    #[must_use]
    pub fn from_unix(time: UnixTime) -> Self {
        let days = i64::try_from(time.0 / 86_400)
            .unwrap_or(i64::MAX)
            .min(2_932_896);
        Self {
            date: Date::from_days(days),
            second_of_day: u32::try_from(time.0 % 86_400).unwrap_or(0),
            zone_minutes: 0,
        }
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, clock, zone) = (self.date, self.second_of_day, self.zone_minutes);
        // 23:59:60 is 86400.
        let (clock, leap) = if clock == 86_400 {
            (86_399, 1)
        } else {
            (clock, 0)
        };
        write!(
            f,
            "{:2}-{}-{:04} {:02}:{:02}:{:02} {}{:02}{:02}",
            date.day,
            date.month_name(),
            date.year,
            clock / 3600,
            clock / 60 % 60,
            clock % 60 + leap,
            if zone < 0 { '-' } else { '+' },
            zone.unsigned_abs() / 60,
            zone.unsigned_abs() % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count() {
        for (y, m, d, days) in [
            (1970, 1, 1, 0),
            (2000, 2, 29, 11016),
            (1969, 12, 31, -1),
            (2026, 11, 24, 20781),
        ] {
            let date = Date::new(y, m, d).unwrap();
            assert_eq!(date.days(), days);
            assert_eq!(Date::from_days(days), date);
        }
        assert!(Date::new(2023, 2, 29).is_err());
        assert_eq!(
            DateTime::from_unix(UnixTime(760_168_345)).to_string(),
            " 2-Feb-1994 05:52:25 +0000"
        );
    }
}
