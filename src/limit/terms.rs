//! Limits as a policy states them.

use crate::units::Nanos;
use std::fmt;
use std::time::Duration;

/// What a rate counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// Each job counts as one.
    Jobs,
    /// Each job counts as its cost.
    Cost,
}

impl Unit {
    /// As the policy file has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Unit::Jobs => "jobs",
            Unit::Cost => "cost",
        }
    }
}

/// How a rate spreads over time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    /// At most the stated number in any window of the stated length, wherever it begins.
    Strict,
    /// The generic cell rate algorithm (ITU-T I.371): the stated number per period in the long run,
    /// and at most `burst` at once.
    Smooth {
        /// Jobs or cost units that may go at once, `1..=most`.
        burst: u64,
    },
}

/// At most so many jobs, or so much cost, in a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    most: u64,
    per: Nanos,
    unit: Unit,
    shape: Shape,
}

/// Why a rate cannot be.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateError {
    /// The number is outside `1..=1_000_000_000_000`.
    Most,
    /// The time is outside 1 ms to 366 days.
    Per,
    /// The burst is outside `1..=most`.
    Burst,
}

impl Rate {
    /// The largest number of jobs or cost units.
    pub const MOST_MAX: u64 = 1_000_000_000_000;
    /// The shortest time.
    pub const PER_MIN: Duration = Duration::from_millis(1);
    /// The longest time.
    pub const PER_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// At most `most` of `unit` in any window of length `per`.
    ///
    /// # Errors
    /// [`RateError`] when a value is out of range.
    pub fn strict(most: u64, unit: Unit, per: Duration) -> Result<Rate, RateError> {
        Rate::new(most, unit, per, Shape::Strict)
    }

    /// `most` of `unit` per `per` in the long run, and at most `burst` at once.
    ///
    /// # Errors
    /// As [`Rate::strict`], and when the burst is outside `1..=most`.
    pub fn smooth(most: u64, unit: Unit, per: Duration, burst: u64) -> Result<Rate, RateError> {
        if !(1..=most).contains(&burst) {
            return Err(RateError::Burst);
        }
        Rate::new(most, unit, per, Shape::Smooth { burst })
    }

    fn new(most: u64, unit: Unit, per: Duration, shape: Shape) -> Result<Rate, RateError> {
        if !(1..=Rate::MOST_MAX).contains(&most) {
            return Err(RateError::Most);
        }
        if !(Rate::PER_MIN..=Rate::PER_MAX).contains(&per) {
            return Err(RateError::Per);
        }
        Ok(Rate { most, per: Nanos::from_duration(per), unit, shape })
    }

    /// The stated number.
    #[must_use]
    pub const fn most(self) -> u64 {
        self.most
    }

    /// The stated time.
    #[must_use]
    pub const fn per(self) -> Nanos {
        self.per
    }

    /// What is counted.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// How it spreads over time.
    #[must_use]
    pub const fn shape(self) -> Shape {
        self.shape
    }

    /// What a job of `cost` counts as.
    #[must_use]
    pub const fn amount(self, cost: u32) -> u64 {
        match self.unit {
            Unit::Jobs => 1,
            Unit::Cost => cost as u64,
        }
    }

    /// The most that can go at one moment: a job that counts as more never goes.
    #[must_use]
    pub const fn widest(self) -> u64 {
        match self.shape {
            Shape::Strict => self.most,
            Shape::Smooth { burst } => burst,
        }
    }
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RateError::Most => "a rate's number is outside 1..=1000000000000",
            RateError::Per => "a rate's time is outside 1 ms to 366 days",
            RateError::Burst => "a burst is outside 1 to the rate's number",
        })
    }
}

impl std::error::Error for RateError {}

/// A bound on grants in flight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cap {
    /// So many grants; 0 means paused.
    Grants(u32),
    /// So many hundredths of the engine's own bound, `0..=100`, rounded down, but at least one grant unless
    /// it says 0.
    Percent(u8),
}

impl Cap {
    /// The bound in grants, where the engine's own is `capacity`; `None` when the engine has none.
    #[must_use]
    pub fn grants(self, capacity: Option<u32>) -> Option<u32> {
        match self {
            Cap::Grants(grants) => Some(grants),
            Cap::Percent(0) => Some(0),
            Cap::Percent(percent) => capacity.map(|capacity| {
                let share = u64::from(capacity) * u64::from(percent) / 100;
                (share as u32).max(capacity.min(1))
            }),
        }
    }
}

/// Limits of one dimension of a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DimensionTerms {
    pub(crate) name: Box<str>,
    /// Spending above this gives advice.
    pub(crate) soft: Option<u64>,
    /// Spending up to this is allowed.
    pub(crate) hard: Option<u64>,
}

impl DimensionTerms {
    /// The dimension that jobs draw on by their cost, without saying so.
    pub(crate) const COST: &str = "cost";
}

/// Limits on what is spent in all, by dimension, until a reset. The policy has checked them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct BudgetTerms {
    /// What is limited, and how; no name twice.
    pub(crate) dimensions: Vec<DimensionTerms>,
    /// The time between resets, if there are any.
    pub(crate) every: Option<Nanos>,
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_rate_out_of_range_does_not_exist() {
        let second = Duration::from_secs(1);
        assert_eq!(Rate::strict(0, Unit::Jobs, second), Err(RateError::Most));
        assert_eq!(Rate::strict(Rate::MOST_MAX + 1, Unit::Cost, second), Err(RateError::Most));
        assert_eq!(Rate::strict(1, Unit::Jobs, Duration::ZERO), Err(RateError::Per));
        assert_eq!(Rate::strict(1, Unit::Jobs, second * 1_000_000_000), Err(RateError::Per));
        assert_eq!(Rate::smooth(10, Unit::Jobs, second, 0), Err(RateError::Burst));
        assert_eq!(Rate::smooth(10, Unit::Jobs, second, 11), Err(RateError::Burst));
        assert_eq!(Rate::smooth(10, Unit::Cost, second, 4).unwrap().widest(), 4);
    }

    #[test]
    fn a_share_of_the_capacity_is_at_least_one_grant_unless_it_is_nothing() {
        assert_eq!(Cap::Percent(50).grants(Some(7)), Some(3));
        assert_eq!(Cap::Percent(1).grants(Some(7)), Some(1));
        assert_eq!(Cap::Percent(0).grants(Some(7)), Some(0));
        assert_eq!(Cap::Percent(50).grants(Some(0)), Some(0));
        assert_eq!(Cap::Percent(50).grants(None), None);
        assert_eq!(Cap::Grants(9).grants(Some(7)), Some(9));
    }
}
