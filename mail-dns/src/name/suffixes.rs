//! The names of a walk up a tree, in one piece of memory.

use core::slice::Iter;
use std::sync::Arc;

use super::{MAX_WIRE, Name, NameError, label_length};

impl Name {
    /// The names that `label` makes with the ends of the name `dotted` (as in [`Name::from_dotted`]) that begin at these octets of it: for
    /// `_dmarc`, `a.example.com` and 0, 2, 10 that are `_dmarc.a.example.com`, `_dmarc.example.com` and `_dmarc.com`.
    ///
    /// `None` stands for a name of more than 255 octets, and for an octet at which no label begins. All share one piece of memory, so that
    /// the names of a walk up a tree cost little more than one.
    ///
    /// # Errors
    ///
    /// An empty or too long label, a `dotted` of more than 255 octets, or names of more than 65,535 in all.
    pub fn of_suffixes<'a>(
        label: &[u8],
        dotted: &'a [u8],
        starts: &'a [u8],
    ) -> Result<Suffixes<'a>, NameError> {
        // Longer than a name may be: its ends may fit where the whole does not.
        if dotted.len() > MAX_WIRE + 1 {
            return Err(NameError::TooLong);
        }
        let front = 1 + usize::from(label_length(label.len(), 0)?);
        let whole = front + 1 + dotted.len();
        let ends = || {
            let starts = starts.iter().map(|start| usize::from(*start));
            starts.filter(|start| *start > 0 && begins_label(dotted, *start))
        };
        let octets = whole + ends().map(|start| whole - start).sum::<usize>();
        if octets > usize::from(u16::MAX) {
            return Err(NameError::TooLong);
        }
        let mut wire: Arc<[u8]> = core::iter::repeat_n(0, octets).collect();
        // Nobody else has it yet.
        let room = Arc::get_mut(&mut wire).unwrap_or_default();
        room[0] = label.len() as u8;
        room[1..front].copy_from_slice(label);
        room[front + 1..whole].copy_from_slice(dotted);
        // Each dot gives its place to the length of the label behind it.
        let mut end = whole;
        for at in (front..whole).rev() {
            if at == front || room[at] == b'.' {
                room[at] = label_length(end - at - 1, at - front)?;
                end = at;
            }
        }
        let mut at = whole;
        for start in ends() {
            room.copy_within(..front, at);
            room.copy_within(front + start..whole, at + front);
            at += whole - start;
        }
        Ok(Suffixes {
            wire,
            dotted,
            starts: starts.iter(),
            whole,
            at: whole,
        })
    }
}

/// Whether a label begins at this octet.
fn begins_label(dotted: &[u8], at: usize) -> bool {
    at < dotted.len() && (at == 0 || dotted[at - 1] == b'.')
}

/// What [`Name::of_suffixes`] makes.
#[derive(Clone, Debug)]
pub struct Suffixes<'a> {
    /// The whole name, and behind it one for each end that is shorter.
    wire: Arc<[u8]>,
    dotted: &'a [u8],
    starts: Iter<'a, u8>,
    /// The octets of the whole name.
    whole: usize,
    /// Where the next shorter one is.
    at: usize,
}

impl Iterator for Suffixes<'_> {
    type Item = Option<Name>;

    #[inline]
    fn next(&mut self) -> Option<Option<Name>> {
        let start = usize::from(*self.starts.next()?);
        if !begins_label(self.dotted, start) {
            return Some(None);
        }
        let length = self.whole - start;
        let at = if start == 0 { 0 } else { self.at };
        if start > 0 {
            self.at += length;
        }
        Some((length <= MAX_WIRE).then(|| Name {
            wire: Arc::clone(&self.wire),
            start: at as u16,
            length: length as u8,
        }))
    }
}
