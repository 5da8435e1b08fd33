//! Time as it is handed in: nothing in these crates reads a clock.

use core::time::Duration;

/// A moment, as the duration since a start that the driver chose.
///
/// It is monotonic and has no date; what is stored or compared with a date is [`UnixTime`].
///
/// ```
/// use core::time::Duration;
/// use mail_wire::Time;
///
/// let now = Time::START + Duration::from_secs(300);
/// assert_eq!(now.since(Time::START), Duration::from_secs(300));
/// assert_eq!(Time::START.since(now), Duration::ZERO, "a clock that steps back costs nothing");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(Duration);

impl Time {
    /// The start that the driver chose.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment that lies `elapsed` after the start.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the start this moment lies.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this moment lies; zero where it lies before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl core::ops::Add<Duration> for Time {
    type Output = Self;

    /// Saturates at the end of time instead of overflowing.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

/// Seconds since 1970-01-01T00:00:00Z without leap seconds: what is stored, or compared with a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(pub u64);

impl core::fmt::Display for UnixTime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
