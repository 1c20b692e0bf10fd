use std::fmt;

/// The work a job stands for, in cost units: an integer in `1..=1_000_000`.
///
/// Tenants are compared by cost, not by number of jobs: a job of cost 10 uses up as much of a
/// tenant's share as ten jobs of cost 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cost(u32);

impl Cost {
    /// The cheapest job.
    pub const MIN: Cost = Cost(1);
    /// The dearest job.
    pub const MAX: Cost = Cost(1_000_000);

    /// Checks that `units` is in `1..=1_000_000`.
    ///
    /// # Errors
    /// [`CostError`] with the value when it is 0 or above the maximum.
    #[inline]
    pub const fn new(units: u32) -> Result<Cost, CostError> {
        if units >= Self::MIN.0 && units <= Self::MAX.0 {
            Ok(Cost(units))
        } else {
            Err(CostError { units: units as u64 })
        }
    }

    /// The cost in units, `1..=1_000_000`.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Brings `units` into range: 0 becomes 1, anything above the maximum becomes the maximum.
    #[must_use]
    pub const fn saturating(units: u64) -> Cost {
        if units < Self::MIN.0 as u64 {
            Self::MIN
        } else if units > Self::MAX.0 as u64 {
            Self::MAX
        } else {
            Cost(units as u32)
        }
    }
}

/// A cost outside `1..=1_000_000`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CostError {
    units: u64,
}

impl fmt::Display for CostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cost {} is outside 1..=1000000", self.units)
    }
}

impl std::error::Error for CostError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_exists_only_in_range() {
        assert_eq!(Cost::new(1).unwrap(), Cost::MIN);
        assert_eq!(Cost::new(1_000_000).unwrap(), Cost::MAX);
        let zero = Cost::new(0).unwrap_err();
        assert_eq!(zero.to_string(), "cost 0 is outside 1..=1000000");
        assert!(Cost::new(1_000_001).is_err());
    }

    #[test]
    fn saturating_keeps_values_in_range_and_moves_the_others_to_the_nearest_end() {
        assert_eq!(Cost::saturating(0), Cost::MIN);
        assert_eq!(Cost::saturating(7).get(), 7);
        assert_eq!(Cost::saturating(u64::MAX), Cost::MAX);
    }
}
