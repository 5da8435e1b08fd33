//! The plan: quota curves, and the rules by which they are walked.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::provider::Provider;

/// How a quota grows from one day to the next: a factor in thousandths, at least 1.
///
/// ```
/// use screening::outbound::warm_up::Growth;
/// assert_eq!("1.25".parse(), Ok(Growth::thousandths(1_250)));
/// assert_eq!(Growth::thousandths(1_250).to_string(), "1.25");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Growth(u32);

/// The text is no factor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want a factor from 1 to 10 with at most three decimals, such as `1.3`")]
#[non_exhaustive]
pub struct GrowthError;

impl Growth {
    /// So many thousandths, at least 1,000 and at most 10,000.
    pub const fn thousandths(thousandths: u32) -> Self {
        Self(match thousandths {
            0..1_000 => 1_000,
            10_001.. => 10_000,
            thousandths => thousandths,
        })
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Growth {
    type Err = GrowthError;

    fn from_str(text: &str) -> Result<Self, GrowthError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits =
            |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) {
            return Err(GrowthError);
        }
        // Six digits at most.
        let thousandths = format!("{whole}{decimals:0<3}").parse();
        let thousandths: u32 = thousandths.map_err(|_| GrowthError)?;
        match thousandths {
            1_000..=10_000 => Ok(Self(thousandths)),
            _ => Err(GrowthError),
        }
    }
}

/// How many messages an address may send on each day of its warm-up; behind the last day it is warm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve(Box<[u32]>);

/// Why something is no curve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveError {
    /// No day, or more than [`Curve::MAX_DAYS`].
    #[error("a curve has from 1 to 366 days, and not {0}")]
    Days(usize),
    /// A day on which nothing may be sent: the address would never get warmer.
    #[error("the quota of day {day} is 0")]
    Nothing {
        /// Which day, from 1.
        day: usize,
    },
    /// The ceiling is below the start.
    #[error("the ceiling of {ceiling} is below the start of {start}")]
    Ceiling {
        /// The quota of the first day.
        start: u32,
        /// The ceiling.
        ceiling: u32,
    },
}

impl Curve {
    /// The most days of a curve. Each costs 4 octets.
    pub const MAX_DAYS: usize = 366;

    /// A start, multiplied day by day up to a ceiling.
    ///
    /// # Errors
    ///
    /// A start of 0, a ceiling below it, no day or too many.
    pub fn growing(
        start: u32,
        growth: Growth,
        ceiling: u32,
        days: usize,
    ) -> Result<Self, CurveError> {
        if ceiling < start {
            return Err(CurveError::Ceiling { start, ceiling });
        }
        // In thousandths, so that a small quota grows too: below 2^32 · 10^3 · 10^4 < 2^64.
        let most = u64::from(ceiling) * 1_000;
        let mut quota = u64::from(start) * 1_000;
        let days = (0..days.min(Self::MAX_DAYS + 1)).map(|_| {
            let today = quota / 1_000;
            quota = (quota * u64::from(growth.0) / 1_000).min(most);
            // At most the ceiling.
            today as u32
        });
        Self::table(days)
    }

    /// The quota of each day.
    ///
    /// # Errors
    ///
    /// A day of 0, no day or too many.
    pub fn table(days: impl IntoIterator<Item = u32>) -> Result<Self, CurveError> {
        let days: Box<[u32]> = days.into_iter().take(Self::MAX_DAYS + 1).collect();
        if days.is_empty() || days.len() > Self::MAX_DAYS {
            return Err(CurveError::Days(days.len()));
        }
        match days.iter().position(|&quota| quota == 0) {
            Some(at) => Err(CurveError::Nothing { day: at + 1 }),
            None => Ok(Self(days)),
        }
    }

    /// The quota of a day of the warm-up, counted from 0; none behind the last.
    pub fn quota(&self, step: u32) -> Option<u32> {
        self.0.get(usize::try_from(step).ok()?).copied()
    }

    /// How many days it has.
    pub fn days(&self) -> usize {
        self.0.len()
    }
}

/// The hours of a day in which new addresses send, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u8,
    to: u8,
}

/// No hours of a day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want hours from 0 to 24, the first below the second, and not {from} to {to}")]
#[non_exhaustive]
pub struct HoursError {
    /// The first.
    pub from: u8,
    /// The second.
    pub to: u8,
}

impl Hours {
    /// All of the day.
    pub const ALL: Self = Self { from: 0, to: 24 };

    /// From the beginning of the first to the beginning of the second, which may be 24.
    ///
    /// # Errors
    ///
    /// Hours that are none, or that end before they begin: what goes on over midnight would be of two days.
    pub const fn new(from: u8, to: u8) -> Result<Self, HoursError> {
        if from < to && to <= 24 {
            Ok(Self { from, to })
        } else {
            Err(HoursError { from, to })
        }
    }

    /// Seconds of the day at which they begin.
    pub(super) const fn begin(self) -> u64 {
        self.from as u64 * 3_600
    }

    /// Seconds that they last, at least 3,600.
    pub(super) const fn length(self) -> u64 {
        (self.to - self.from) as u64 * 3_600
    }

    /// How much of a quota is open at a second of the day; none outside of the hours.
    ///
    /// It opens evenly, one hour's share ahead: at their beginning as much as an hour has, and all of it an hour before their end.
    pub(super) fn open(self, quota: u32, second: u64) -> Option<u32> {
        let into = second.checked_sub(self.begin())?;
        if into >= self.length() {
            return None;
        }
        let share = (into + 3_600).min(self.length());
        // At most the quota.
        Some((u64::from(quota) * share).div_ceil(self.length()) as u32)
    }

    /// At which second of the day more than this of a quota is open; none if it never is.
    pub(super) fn opens(self, quota: u32, spent: u32) -> Option<u64> {
        if spent >= quota {
            return None;
        }
        // The least share of which a part beyond `spent` is: `open` rounds up.
        let share = u64::from(spent) * self.length() / u64::from(quota) + 1;
        Some(self.begin() + share.saturating_sub(3_600))
    }
}

/// A plan of warm-up: how much, when, and what is done when it goes badly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Messages a day for every provider that has no curve of its own. Default: 50, growing by 1.3 a day up to 50,000, for 30 days: the
    /// volume doubles in less than three days, and a month is what providers commonly ask for.
    pub curve: Curve,
    /// Curves of single providers, and of domains that stand for themselves. Default: none.
    pub providers: BTreeMap<Provider, Curve>,
    /// Whether domains that stand for themselves and have no curve of their own share one quota and one reputation, as
    /// [`Provider::others`]. Default: yes, or a new address could send its quota to each of a thousand domains on its first day.
    pub pool_domains: bool,
    /// When new addresses send. Default: all of the day.
    pub hours: Hours,
    /// Whole days for which an address sends nothing to a provider with which it stands at stop, the rest of the day on which that was
    /// found not counted. Default: 1. Raising it costs time, and gives a provider time to forget.
    pub pause_days: u32,
    /// Steps of the curve that an address goes back with a pause. Default: 3, which is less than half the volume with growth by 1.3.
    pub step_back: u32,
    /// Per cent of a day's quota that must be spent, or the same day comes again: an address that sends little gets no warmer. Default: 50.
    pub spent_percent: u32,
    /// Days without a message after which an address is cold again, and begins anew. Default: 30, as long as most providers are
    /// said to remember.
    pub cold_after_days: u32,
}

impl Default for Plan {
    fn default() -> Self {
        let curve = Curve::growing(50, Growth(1_300), 50_000, 30);
        Self {
            // It has days, none of them 0; a test looks at them.
            curve: curve.unwrap_or_else(|_| Curve([50].into())),
            providers: BTreeMap::new(),
            pool_domains: true,
            hours: Hours::ALL,
            pause_days: 1,
            step_back: 3,
            spent_percent: 50,
            cold_after_days: 30,
        }
    }
}

impl Plan {
    /// As what a provider is counted: itself, or [`Provider::others`].
    pub fn pool<'a>(&self, provider: &'a Provider) -> Cow<'a, Provider> {
        if self.pool_domains && provider.is_domain() && !self.providers.contains_key(provider) {
            Cow::Owned(Provider::others())
        } else {
            Cow::Borrowed(provider)
        }
    }

    /// The day since 1970 on which a pause that begins today is over: the rest of today does not count.
    pub(super) const fn resume(&self, today: u32) -> u32 {
        today.saturating_add(1).saturating_add(self.pause_days)
    }

    /// The curve of a provider.
    pub fn curve(&self, provider: &Provider) -> &Curve {
        self.providers.get(provider).unwrap_or(&self.curve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_grow_to_their_ceiling() {
        let curve = Curve::growing(50, Growth::thousandths(1_300), 50_000, 30).unwrap();
        assert_eq!(Plan::default().curve, curve);
        let quotas: Vec<_> = (0..31).map(|step| curve.quota(step)).collect();
        assert_eq!(quotas[..4], [Some(50), Some(65), Some(84), Some(109)]);
        assert_eq!(
            quotas[27..],
            [Some(50_000), Some(50_000), Some(50_000), None]
        );
        assert!(quotas[..30].is_sorted());
        // Small ones grow too, and the largest do not overflow.
        let small = Curve::growing(1, Growth::thousandths(1_100), 9, 366).unwrap();
        assert_eq!(small.quota(365), Some(9));
        let large = Curve::growing(u32::MAX, Growth::thousandths(10_000), u32::MAX, 3).unwrap();
        assert_eq!(large.quota(2), Some(u32::MAX));
    }

    #[test]
    fn what_is_no_curve() {
        let ten = Growth::thousandths(u32::MAX);
        assert_eq!(ten.to_string(), "10");
        assert_eq!(
            Curve::growing(0, ten, 9, 9),
            Err(CurveError::Nothing { day: 1 })
        );
        assert_eq!(
            Curve::growing(9, ten, 8, 9),
            Err(CurveError::Ceiling {
                start: 9,
                ceiling: 8
            })
        );
        for days in [0, 367, usize::MAX] {
            assert!(matches!(
                Curve::growing(1, ten, 9, days),
                Err(CurveError::Days(0 | 367))
            ));
        }
        assert_eq!(Curve::table([5, 0]), Err(CurveError::Nothing { day: 2 }));
        assert!(Curve::table(core::iter::repeat(1)).is_err());
    }

    #[test]
    fn growth_is_read_as_it_prints() {
        for (text, thousandths) in [
            ("1", 1_000),
            ("1.3", 1_300),
            ("2.005", 2_005),
            ("10", 10_000),
        ] {
            assert_eq!(text.parse(), Ok(Growth(thousandths)));
            assert_eq!(Growth(thousandths).to_string(), text);
        }
        for text in [
            "", "1.", ".5", "0.9", "10.001", "1.2345", "-1", "1,3", "1e1", "999999",
        ] {
            assert!(text.parse::<Growth>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_quota_opens_over_the_hours() {
        let hours = Hours::new(8, 18).unwrap();
        let hour = 3_600;
        for (second, open) in [
            (0, None),
            (8 * hour - 1, None),
            (8 * hour, Some(10)),
            (8 * hour + 1, Some(11)),
            (12 * hour, Some(50)),
            (17 * hour, Some(100)),
            (18 * hour - 1, Some(100)),
            (18 * hour, None),
        ] {
            assert_eq!(hours.open(100, second), open, "{second}");
        }
        // What opens next is open then, and not a second before.
        for quota in [1, 7, 24, 100, 99_991, u32::MAX] {
            for spent in [0, 1, quota / 3, quota - 1] {
                let Some(second) = hours.opens(quota, spent) else {
                    continue;
                };
                assert!(hours.open(quota, second) > Some(spent), "{quota} {spent}");
                assert!(
                    hours.open(quota, second - 1) <= Some(spent),
                    "{quota} {spent}"
                );
            }
            assert_eq!(hours.opens(quota, quota), None);
        }
        for (from, to) in [(8, 8), (9, 8), (0, 25), (24, 24)] {
            assert_eq!(Hours::new(from, to), Err(HoursError { from, to }));
        }
    }
}
