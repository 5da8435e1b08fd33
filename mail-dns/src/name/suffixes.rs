//! The names of a walk up a tree, in one piece of memory.

use std::sync::Arc;

use super::{MAX_WIRE, Name, NameError, label_length};

/// Names that one label makes with the ends of another name, as a walk up a tree asks for them: `_dmarc.a.example.com`,
/// `_dmarc.example.com` and `_dmarc.com`. They share one piece of memory, so that all cost little more than one.
///
/// ```
/// # use mail_dns::{Name, Suffixes};
/// let names = Suffixes::new(b"_dmarc", b"a.example.com", &[3, 2, 1])?;
/// assert_eq!(names.get(1), Some("_dmarc.example.com".parse()?));
/// let com: Name = "_dmarc.com".parse()?;
/// assert_eq!(names.position(com.wire()), Some(2));
/// # Ok::<(), mail_dns::NameError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Suffixes {
    /// The names, each behind its length; a length of zero for none.
    wire: Arc<[u8]>,
}

impl Suffixes {
    /// The names that `label` makes with the last labels of the name `dotted` (as in [`Name::from_dotted`]), for each of these numbers of
    /// labels.
    ///
    /// There is no name in the place of one of more than 255 octets, or where there are no labels or not so many.
    ///
    /// # Errors
    ///
    /// An empty or too long label, a `dotted` of more than 255 octets, or names of more than 65,535 in all.
    pub fn new(label: &[u8], dotted: &[u8], labels: &[u8]) -> Result<Self, NameError> {
        let first = label_length(label.len(), 0)?;
        let starts = Starts::of(dotted)?;
        // Each of the two has the octet of a length in front.
        let front = 1 + label.len();
        let suffixes = || {
            labels.iter().map(|&labels| {
                let suffix = &dotted[starts.of_last(labels)?..];
                let length = front + 1 + suffix.len();
                (length <= MAX_WIRE).then_some((length, suffix, labels))
            })
        };
        let octets = suffixes().map(|suffix| 1 + suffix.map_or(0, |(length, ..)| length));
        let octets = octets.sum();
        if octets > usize::from(u16::MAX) {
            return Err(NameError::TooLong);
        }
        let mut wire: Arc<[u8]> = core::iter::repeat_n(0, octets).collect();
        // Nobody else has it yet.
        let mut room = Arc::get_mut(&mut wire).unwrap_or_default();
        for suffix in suffixes() {
            if let Some((length, suffix, labels)) = suffix {
                room[0] = length as u8;
                room[1] = first;
                room[2..=front].copy_from_slice(label);
                let behind = &mut room[1 + front..];
                behind[1..=suffix.len()].copy_from_slice(suffix);
                // Each dot gives its place to the length of the label behind it.
                for (at, length) in starts.last(labels) {
                    behind[at] = length;
                }
                room = &mut room[length..];
            }
            room = &mut room[1..];
        }
        Ok(Self { wire })
    }

    /// The name in this place.
    pub fn get(&self, place: usize) -> Option<Name> {
        let (start, length) = self.places().nth(place)?;
        (length > 0).then(|| Name {
            wire: Arc::clone(&self.wire),
            start: start as u16,
            length,
        })
    }

    /// The place of the name with this wire form ([`Name::wire`]), in whatever case.
    pub fn position(&self, wire: &[u8]) -> Option<usize> {
        // Seldom do two names differ in case alone.
        let is_same = |own: &[u8]| own == wire || own.eq_ignore_ascii_case(wire);
        let position = self.wires().position(is_same);
        position.filter(|_| !wire.is_empty())
    }

    /// The wire forms of all, in order; no octets where there is no name.
    pub fn wires(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.places();
        places.map(|(start, length)| &self.wire[start..start + usize::from(length)])
    }

    /// Where the names begin, and how long they are.
    fn places(&self) -> impl Iterator<Item = (usize, u8)> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let length = *self.wire.get(at)?;
            let start = at + 1;
            at = start + usize::from(length);
            Some((start, length))
        })
    }
}

/// Labels of a dotted name of 255 octets, and its end.
const MAX_STARTS: usize = MAX_WIRE / 2 + 2;

/// Where the labels of a dotted name begin.
struct Starts {
    /// By the number of labels behind it: the first is the end, as if there were a dot.
    starts: [u16; MAX_STARTS],
    labels: usize,
}

impl Starts {
    fn of(dotted: &[u8]) -> Result<Self, NameError> {
        // Longer than a name may be: what is left of it may fit where the whole does not.
        if dotted.len() > MAX_WIRE + 1 {
            return Err(NameError::TooLong);
        }
        let mut starts = [0; MAX_STARTS];
        starts[0] = dotted.len() as u16 + 1;
        let (mut labels, mut end) = (0, dotted.len());
        loop {
            let dot = dotted[..end].iter().rposition(|octet| *octet == b'.');
            let start = dot.map_or(0, |at| at + 1);
            label_length(end - start, start)?;
            labels += 1;
            starts[labels] = start as u16;
            match dot {
                Some(at) => end = at,
                None => return Ok(Self { starts, labels }),
            }
        }
    }

    /// Where the last labels begin, if there are so many.
    fn of_last(&self, labels: u8) -> Option<usize> {
        let labels = usize::from(labels);
        let is_there = (1..=self.labels).contains(&labels);
        is_there.then(|| usize::from(self.starts[labels]))
    }

    /// The last labels: where each begins, seen from the first of them, and its length.
    fn last(&self, labels: u8) -> impl Iterator<Item = (usize, u8)> {
        let starts = self
            .starts
            .get(..=usize::from(labels))
            .unwrap_or_default();
        let first = starts.last().copied().unwrap_or_default();
        starts.windows(2).map(move |label| {
            let (start, end) = (label[1], label[0] - 1);
            (usize::from(start - first), (end - start) as u8)
        })
    }
}
