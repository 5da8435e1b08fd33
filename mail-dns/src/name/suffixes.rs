//! The names of a walk up a tree, in one piece of memory.

use std::sync::Arc;

use super::{MAX_WIRE, Name, NameError, label_length};

impl Name {
    /// The names that `label` makes with the last labels of the name `dotted` (as in [`Name::from_dotted`]), for each of these numbers of
    /// labels: for `_dmarc`, `a.example.com` and 3, 2, 1 that are `_dmarc.a.example.com`, `_dmarc.example.com` and `_dmarc.com`.
    ///
    /// `None` stands for a name of more than 255 octets, and for no labels or more than there are. All share one piece of memory, so that
    /// the names of a walk up a tree cost little more than one.
    ///
    /// # Errors
    ///
    /// An empty or too long label, a `dotted` of more than 255 octets, or names of more than 65,535 in all.
    pub fn of_suffixes(
        label: &[u8],
        dotted: &[u8],
        labels: &[usize],
    ) -> Result<Suffixes, NameError> {
        // Longer than a name may be: those above may fit where the longest does not.
        let mut base = [0; MAX_WIRE + 2];
        let base = base.get_mut(..=dotted.len()).ok_or(NameError::TooLong)?;
        base[1..].copy_from_slice(dotted);
        // Where the last labels begin, by their number. Each dot gives its place to a length.
        let mut starts = [0_u8; MAX_WIRE / 2 + 2];
        let (mut count, mut end) = (0, base.len());
        for (at, octet) in base.iter_mut().enumerate().rev() {
            if at == 0 || *octet == b'.' {
                *octet = label_length(end - at - 1, at)?;
                count += 1;
                starts[count] = at as u8;
                end = at;
            }
        }
        let first = label_length(label.len(), 0)?;
        let suffix = |labels: usize| {
            let is_there = (1..=count).contains(&labels);
            let suffix = &base[usize::from(*starts.get(labels).filter(|_| is_there)?)..];
            (1 + label.len() + suffix.len() <= MAX_WIRE).then_some(suffix)
        };
        // Each name with the root's zero behind it; that alone for none.
        let octets =
            |&labels: &usize| suffix(labels).map_or(1, |suffix| 2 + label.len() + suffix.len());
        let octets: usize = labels.iter().map(octets).sum();
        if octets > usize::from(u16::MAX) {
            return Err(NameError::TooLong);
        }
        let mut wire: Arc<[u8]> = core::iter::repeat_n(0, octets).collect();
        // Nobody else has it yet.
        let mut room = Arc::get_mut(&mut wire).unwrap_or_default();
        for suffix in labels.iter().map(|&labels| suffix(labels)) {
            if let Some(suffix) = suffix {
                room[0] = first;
                room[1..=label.len()].copy_from_slice(label);
                room = &mut room[1 + label.len()..];
                room[..suffix.len()].copy_from_slice(suffix);
                room = &mut room[suffix.len()..];
            }
            room = &mut room[1..];
        }
        Ok(Suffixes { wire, at: 0 })
    }
}

/// What [`Name::of_suffixes`] makes.
#[derive(Clone, Debug)]
pub struct Suffixes {
    /// The names, each with a zero behind it.
    wire: Arc<[u8]>,
    at: usize,
}

impl Iterator for Suffixes {
    type Item = Option<Name>;

    #[inline]
    fn next(&mut self) -> Option<Option<Name>> {
        let start = self.at;
        loop {
            let label = *self.wire.get(self.at)?;
            self.at += 1 + usize::from(label);
            if label == 0 {
                break;
            }
        }
        let length = self.at - 1 - start;
        let name = Name {
            wire: Arc::clone(&self.wire),
            start: start as u16,
            length: length as u8,
        };
        Some((length > 0).then_some(name))
    }
}
