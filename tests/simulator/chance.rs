//! Draws: the one source of chance of a run.

use crate::rng::Rng;
use std::ops::RangeInclusive;

/// Every choice of a run comes from here, in the order in which it is made.
pub(crate) struct Chance(Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        // Neighbouring seeds must not give neighbouring runs.
        let mut rng = Rng(seed ^ 0x005E_ED0F_FA1A_1A4E);
        Chance(Rng(rng.next() ^ seed.rotate_left(32)))
    }

    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0.below(below)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn part(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the range, small ones as likely as large ones.
    pub(crate) fn scaled(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (*range.start() as f64, *range.end() as f64 + 1.0);
        let drawn = (low * (high / low).powf(self.part())) as u64;
        drawn.clamp(*range.start(), *range.end())
    }

    /// True `per_mille` times in a thousand.
    pub(crate) fn per_mille(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1_000) < u64::from(per_mille)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
