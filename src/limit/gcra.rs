//! The generic cell rate algorithm (ITU-T I.371, annex A), in its form of a continuous-state leaky bucket.
//!
//! Each unit admitted adds one unit to a level that drains by `most` units per `per`; a unit is admitted when the
//! level with it is at most the burst. The theoretical arrival time of the other form is the moment at which the
//! level is back at zero. The level is kept in units times `per` nanoseconds, in which every step is a whole number:
//! nothing is rounded, so there is no drift however often it is asked.

use crate::limit::Rate;
use crate::units::Nanos;

/// The level, and the rate that it is kept in terms of.
///
/// At most 10^12 units times 3.2 x 10^16 ns, 95 bits; what drains in 584 years is at most 104 bits.
#[derive(Clone, Debug)]
pub(super) struct Gcra {
    /// Units times [`per`](Gcra::per).
    level: u128,
    per: Nanos,
    most: u64,
}

impl Gcra {
    /// An empty bucket.
    pub(super) fn new(rate: &Rate) -> Gcra {
        Gcra { level: 0, per: rate.per(), most: rate.most() }
    }

    /// The level in units, rounded up.
    pub(super) fn units(&self) -> u64 {
        u64::try_from(self.level.div_ceil(self.scale())).unwrap_or(u64::MAX)
    }

    /// Takes on another rate: the level stays what it is in units, but is at most the new burst. Returns whether
    /// anything changed.
    pub(super) fn adopt(&mut self, rate: &Rate) -> bool {
        let old = (self.level, self.most, self.per);
        if self.per != rate.per() {
            let per = u128::from(rate.per().0);
            let (whole, part) = (self.level / self.scale(), self.level % self.scale());
            let part = (part * per).div_ceil(self.scale());
            self.level = whole.saturating_mul(per).saturating_add(part);
        }
        (self.per, self.most) = (rate.per(), rate.most());
        self.level = self.level.min(self.scaled(rate.widest()));
        old != (self.level, self.most, self.per)
    }

    /// Drains what `elapsed` drains.
    pub(super) fn drain(&mut self, elapsed: Nanos) {
        self.level = self.level.saturating_sub(self.drained(elapsed));
    }

    /// Whether `amount` fits under `burst` now; if not, in how long it will.
    pub(super) fn check(&self, burst: u64, amount: u64) -> Result<(), Nanos> {
        if amount > burst {
            return Err(Nanos::MAX);
        }
        let over = self.level.saturating_sub(self.scaled(burst - amount));
        if over == 0 {
            return Ok(());
        }
        let wait = over.div_ceil(u128::from(self.most));
        Err(Nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// The largest amount that fits under `burst` now.
    pub(super) fn room(&self, burst: u64) -> u64 {
        let left = self.scaled(burst).saturating_sub(self.level);
        // Nearly always narrow enough for the division that the processor has.
        match u64::try_from(left) {
            Ok(left) => left / self.per.0,
            Err(_) => u64::try_from(left / self.scale()).unwrap_or(u64::MAX),
        }
    }

    /// Adds `amount`.
    pub(super) fn charge(&mut self, amount: u64) {
        self.level = self.level.saturating_add(self.scaled(amount));
    }

    /// Takes back what is sure to be left of an `amount` charged `elapsed` ago: the bucket may have stood empty
    /// without it, so what has drained since is not given back.
    #[allow(dead_code, reason = "grants that can fail come with leases")]
    pub(super) fn refund(&mut self, amount: u64, elapsed: Nanos) {
        let left = self.scaled(amount).saturating_sub(self.drained(elapsed));
        self.level = self.level.saturating_sub(left);
    }

    /// Whether the level is zero.
    pub(super) fn is_empty(&self) -> bool {
        self.level == 0
    }

    fn scale(&self) -> u128 {
        u128::from(self.per.0)
    }

    fn scaled(&self, units: u64) -> u128 {
        u128::from(units) * self.scale()
    }

    fn drained(&self, elapsed: Nanos) -> u128 {
        u128::from(elapsed.0) * u128::from(self.most)
    }
}
