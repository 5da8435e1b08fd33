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
    pub fn new<const N: usize>(
        label: &[u8; N],
        dotted: &[u8],
        labels: &[u8],
    ) -> Result<Self, NameError> {
        let first = label_length(N, 0)?;
        let octets = octets_of_last_labels(dotted)?;
        let length = |labels: u8| match octets.get(usize::from(labels)) {
            Some(&octets @ 1..) => Some(1 + N + usize::from(octets)).filter(|all| *all <= MAX_WIRE),
            _ => None,
        };
        let room = labels
            .iter()
            .map(|labels| 1 + length(*labels).unwrap_or_default());
        let room = room.sum();
        if room > usize::from(u16::MAX) {
            return Err(NameError::TooLong);
        }
        let mut wire: Arc<[u8]> = core::iter::repeat_n(0, room).collect();
        // Nobody else has it yet.
        let mut room = Arc::get_mut(&mut wire).unwrap_or_default();
        for &labels in labels {
            let length = length(labels).unwrap_or_default();
            let (name, behind) = room.split_at_mut(1 + length);
            room = behind;
            name[0] = length as u8;
            let Some((front, name)) = name[1..].split_first_mut() else {
                continue;
            };
            *front = first;
            let Some((front, suffix)) = name.split_first_chunk_mut() else {
                continue;
            };
            *front = *label;
            let end = suffix.len();
            suffix[1..].copy_from_slice(&dotted[dotted.len() + 1 - end..]);
            // Each dot gives its place to the length of the label behind it.
            for label in octets[..=usize::from(labels)].windows(2) {
                suffix[end - usize::from(label[1])] = (label[1] - label[0] - 1) as u8;
            }
        }
        Ok(Self { wire })
    }

    /// The name in this place.
    pub fn get(&self, place: usize) -> Option<Name> {
        let mut at = 0;
        for _ in 0..place {
            at += 1 + usize::from(*self.wire.get(at)?);
        }
        let length = *self.wire.get(at)?;
        (length > 0).then(|| Name {
            wire: Arc::clone(&self.wire),
            start: at as u16 + 1,
            length,
        })
    }

    /// The place of the name with this wire form ([`Name::wire`]), in whatever case.
    pub fn position(&self, wire: &[u8]) -> Option<usize> {
        // Seldom do two names differ in case alone.
        let is_same =
            |own: &[u8]| own.len() == wire.len() && (own == wire || own.eq_ignore_ascii_case(wire));
        let position = self.wires().position(is_same);
        position.filter(|_| !wire.is_empty())
    }

    /// The wire forms of all, in order; no octets where there is no name.
    pub fn wires(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.wire;
        core::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (name, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(name)
        })
    }
}

/// Labels of a dotted name of 255 octets, and none.
const COUNTS: usize = MAX_WIRE / 2 + 2;

/// How many octets the last labels of a dotted name have on the wire, by their number; 0 for more than there are.
fn octets_of_last_labels(dotted: &[u8]) -> Result<[u16; COUNTS], NameError> {
    // Longer than a name may be: what is left of it may fit where the whole does not.
    if dotted.len() > MAX_WIRE + 1 {
        return Err(NameError::TooLong);
    }
    let mut octets = [0; COUNTS];
    let (mut labels, mut end) = (0, dotted.len());
    loop {
        let dot = dotted[..end].iter().rposition(|octet| *octet == b'.');
        let start = dot.map_or(0, |at| at + 1);
        label_length(end - start, start)?;
        labels += 1;
        octets[labels] = (1 + dotted.len() - start) as u16;
        match dot {
            Some(at) => end = at,
            None => return Ok(octets),
        }
    }
}
