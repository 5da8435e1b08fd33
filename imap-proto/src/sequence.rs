//! Sets of sequence numbers and of unique identifiers. They stay ranges: `1:4294967295` costs eight octets.

use core::fmt;
use core::num::NonZeroU32;

/// One number of a set, or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeqNumber {
    /// A number.
    Number(NonZeroU32),
    /// `*`: the largest number in use.
    Last,
}

impl SeqNumber {
    const fn resolve(self, last: u32) -> u32 {
        match self {
            Self::Number(number) => number.get(),
            Self::Last => last,
        }
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Last => f.write_str("*"),
        }
    }
}

/// A sequence-set as it was sent (RFC 9051 §9), never empty.
///
/// ```
/// use imap_proto::SequenceSet;
///
/// let set: SequenceSet = "9,4:2,12:*".parse()?;
/// assert_eq!(set.resolve(15).to_string(), "2:4,9,12:15");
/// assert_eq!(set.to_string(), "9,4:2,12:*");
/// # Ok::<(), imap_proto::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SequenceSet {
    /// Ranges, in the order sent; a single number is a range from itself to itself.
    Ranges(Vec<(SeqNumber, SeqNumber)>),
    /// `$`: the saved result of the last search (RFC 5182).
    Saved,
}

impl SequenceSet {
    /// The set as sorted, disjoint ranges, `*` being `last`. A saved result is not known here and gives the empty set.
    ///
    /// RFC 9051 §9: "a unique identifier sequence range of 3291:* includes the UID of the last message in the mailbox, even if
    /// that value is less than 3291."
    #[must_use]
    pub fn resolve(&self, last: u32) -> UidSet {
        match self {
            Self::Saved => UidSet::default(),
            Self::Ranges(ranges) => ranges
                .iter()
                .map(|(from, to)| {
                    let (from, to) = (from.resolve(last), to.resolve(last));
                    (from.min(to), from.max(to))
                })
                .collect(),
        }
    }

    /// The largest number that is named, `*` not counted.
    #[must_use]
    pub fn largest_named(&self) -> u32 {
        match self {
            Self::Saved => 0,
            Self::Ranges(ranges) => ranges
                .iter()
                .flat_map(|(from, to)| [from.resolve(0), to.resolve(0)])
                .max()
                .unwrap_or(0),
        }
    }

    /// Whether `*` is in it.
    #[must_use]
    pub fn names_last(&self) -> bool {
        match self {
            Self::Saved => false,
            Self::Ranges(ranges) => ranges
                .iter()
                .any(|(from, to)| *from == SeqNumber::Last || *to == SeqNumber::Last),
        }
    }
}

impl From<NonZeroU32> for SequenceSet {
    fn from(number: NonZeroU32) -> Self {
        let number = SeqNumber::Number(number);
        Self::Ranges(vec![(number, number)])
    }
}

impl core::str::FromStr for SequenceSet {
    type Err = crate::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reader = crate::reader::Reader::new(text.as_bytes());
        let set = reader.sequence_set()?;
        reader.end()?;
        Ok(set)
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ranges(ranges) = self else {
            return f.write_str("$");
        };
        for (index, (from, to)) in ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            from.fmt(f)?;
            if from != to {
                write!(f, ":{to}")?;
            }
        }
        Ok(())
    }
}

/// A set of numbers as sorted, disjoint, non-adjacent ranges, without `*`; it may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(from, to)| u64::from(to - from) + 1)
            .sum()
    }

    /// The ranges, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether `number` is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let at = self.ranges.partition_point(|(_, to)| *to < number);
        self.ranges.get(at).is_some_and(|(from, _)| *from <= number)
    }

    /// The numbers, ascending. Mind that a peer can name four thousand million: iterate only sets that were intersected with what
    /// exists.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|(from, to)| *from..=*to)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b, mut out) = (0, 0, Vec::new());
        while let (Some(x), Some(y)) = (self.ranges.get(a), other.ranges.get(b)) {
            let (from, to) = (x.0.max(y.0), x.1.min(y.1));
            if from <= to {
                out.push((from, to));
            }
            if x.1 < y.1 {
                a += 1;
            } else {
                b += 1;
            }
        }
        Self { ranges: out }
    }

    /// As a sequence-set; `None` for the empty set, which the grammar cannot say.
    #[must_use]
    pub fn to_sequence_set(&self) -> Option<SequenceSet> {
        let ranges: Vec<_> = self
            .ranges
            .iter()
            .filter_map(|(from, to)| {
                Some((
                    SeqNumber::Number(NonZeroU32::new(*from)?),
                    SeqNumber::Number(NonZeroU32::new(*to)?),
                ))
            })
            .collect();
        (!ranges.is_empty()).then_some(SequenceSet::Ranges(ranges))
    }
}

/// Zero is left out.
impl FromIterator<(u32, u32)> for UidSet {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let mut ranges: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(from, to)| (from.max(1), to))
            .filter(|(from, to)| from <= to)
            .collect();
        ranges.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match out.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => out.push((from, to)),
            }
        }
        Self { ranges: out }
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        numbers.into_iter().map(|number| (number, number)).collect()
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (from, to)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            from.fmt(f)?;
            if from != to {
                write!(f, ":{to}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_as_the_rfc_s_examples() {
        // RFC 9051 §9, seq-range and sequence-set.
        for (set, last, want) in [
            ("2:4", 10, "2:4"),
            ("4:2", 10, "2:4"),
            ("3291:*", 3290, "3290:3291"),
            ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"),
            ("*:4,5:7", 10, "4:10"),
            ("*", 0, ""),
            ("1:4294967295", 3, "1:4294967295"),
        ] {
            let set: SequenceSet = set.parse().unwrap();
            assert_eq!(set.resolve(last).to_string(), want);
        }
        for bad in ["", "0", "1:", "1,,2", "4294967296", "1:0", "a", "1 ", "$,1"] {
            assert!(bad.parse::<SequenceSet>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn intersects_without_counting() {
        let all: UidSet = [(1, u32::MAX)].into_iter().collect();
        let some: UidSet = [3u32, 4, 9].into_iter().collect();
        assert_eq!(all.intersection(&some), some);
        assert_eq!(all.len(), u64::from(u32::MAX));
        assert!(some.contains(4) && !some.contains(5));
        assert_eq!(some.iter().collect::<Vec<_>>(), [3, 4, 9]);
    }
}
