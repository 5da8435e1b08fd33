//! What is kept of a subject: weights and counts that decay, in fixed point.

use crate::store::Value;

/// Steps in a half-life: 256.
pub(super) const STEP_BITS: u32 = 8;

/// A message, in the fixed point of weights and counts.
pub(super) const ONE: u64 = 1 << 16;

/// Bits for the time of the last outcome in seconds, which last for 34,000 years; in front of them 24 for the hour of the first.
const UPDATED_BITS: u32 = 40;

const LATEST: u64 = (1 << UPDATED_BITS) - 1;

/// The hour of a time.
pub(super) const fn hour(now: u64) -> u64 {
    let hour = now / 3_600;
    let latest = u64::MAX >> UPDATED_BITS;
    if hour < latest { hour } else { latest }
}

/// What is kept of a subject.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    /// The hour of the first outcome.
    pub(super) since: u64,
    pub(super) updated: u64,
    pub(super) good: Side,
    pub(super) bad: Side,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side {
    pub(super) weight: u64,
    pub(super) count: u64,
}

impl Record {
    pub(super) const fn unpacked([times, good, bad]: Value) -> Self {
        const fn side(packed: u64) -> Side {
            Side {
                weight: packed >> 32,
                count: packed & 0xffff_ffff,
            }
        }
        Self {
            since: times >> UPDATED_BITS,
            updated: times & LATEST,
            good: side(good),
            bad: side(bad),
        }
    }

    pub(super) fn packed(&self) -> Value {
        let side = |side: &Side| {
            let part = |part: u64| part.min(u64::from(u32::MAX));
            part(side.weight) << 32 | part(side.count)
        };
        let times = self.since << UPDATED_BITS | self.updated.min(LATEST);
        [times, side(&self.good), side(&self.bad)]
    }

    /// Ages to a time. A clock that was set back makes nothing younger; what was recorded ages from then on.
    pub(super) fn age(&mut self, step: u64, now: u64) {
        let steps = now.saturating_sub(self.updated) / step;
        self.updated = now.min(self.updated + steps * step);
        for part in self.parts() {
            *part = halved(*part, steps);
        }
    }

    /// Makes all of it lighter, if it weighs more than this.
    pub(super) fn keep_at_most(&mut self, most: u64) {
        let weight = self.weight();
        if weight > most {
            for part in self.parts() {
                *part = *part * most / weight;
            }
        }
    }

    pub(super) const fn weight(&self) -> u64 {
        self.good.weight + self.bad.weight
    }

    fn parts(&mut self) -> [&mut u64; 4] {
        let Self { good, bad, .. } = self;
        [
            &mut good.weight,
            &mut good.count,
            &mut bad.weight,
            &mut bad.count,
        ]
    }
}

/// What is left of a weight of 32 bits after so many steps.
fn halved(weight: u64, steps: u64) -> u64 {
    let whole = steps >> STEP_BITS;
    let mut left = if whole < 64 { weight >> whole } else { 0 };
    for (at, root) in ROOTS.iter().enumerate() {
        if steps >> (STEP_BITS as usize - 1 - at) & 1 == 1 {
            left = (left * root + (1 << 31)) >> 32;
        }
    }
    left
}

/// One half to the powers of 1/2, 1/4, … 1/256, in 32 bits.
const ROOTS: [u64; STEP_BITS as usize] = {
    let mut roots = [0; STEP_BITS as usize];
    let (mut at, mut root) = (0, 1_u64 << 31);
    while at < roots.len() {
        root = (root << 32).isqrt();
        roots[at] = root;
        at += 1;
    }
    roots
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_life_halves() {
        for (steps, expected) in [(0, 1 << 20), (256, 1 << 19), (128, 741_455), (20 * 256, 1)] {
            assert_eq!(halved(1 << 20, steps), expected, "{steps}");
        }
        assert_eq!(halved(u64::from(u32::MAX), u64::MAX), 0);
    }
}
