//! The names of a walk up a tree, in one piece of memory.

use std::sync::Arc;

use super::{Labels, MAX_WIRE, Name, NameError, dots_to_lengths, first_label_error, label_length};

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
        let front = label_length(N, 0)?;
        // The wire form of `dotted`.
        let mut whole = [b'.'; 1 + MAX_DOTTED];
        let whole = whole.get_mut(..1 + dotted.len());
        let whole = whole.ok_or(NameError::TooLong)?;
        whole[1..].copy_from_slice(dotted);
        let Some(all) = dots_to_lengths(whole) else {
            return Err(first_label_error(dotted).unwrap_or(NameError::TooLong));
        };
        let end = |labels: u8| {
            let mut end = Labels { wire: whole };
            for _ in 0..all.checked_sub(usize::from(labels))? {
                end.next();
            }
            Some(end.wire).filter(|end| !end.is_empty() && 1 + N + end.len() <= MAX_WIRE)
        };
        let octets = |labels: &u8| 1 + end(*labels).map_or(0, |end| 1 + N + end.len());
        let room = labels.iter().map(octets).sum();
        if room > usize::from(u16::MAX) {
            return Err(NameError::TooLong);
        }
        let mut wire: Arc<[u8]> = core::iter::repeat_n(0, room).collect();
        // Nobody else has it yet.
        let mut room = Arc::get_mut(&mut wire).unwrap_or_default();
        for &labels in labels {
            let mut write = |octets: &[u8]| {
                let (place, behind) = core::mem::take(&mut room).split_at_mut(octets.len());
                place.copy_from_slice(octets);
                room = behind;
            };
            match end(labels) {
                Some(end) => {
                    write(&[(1 + N + end.len()) as u8, front]);
                    write(label);
                    write(end);
                }
                None => write(&[0]),
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

/// The most octets of a dotted name, which is longer than a name may be: what is left of it may fit where the whole does not.
const MAX_DOTTED: usize = MAX_WIRE + 1;
