use std::fmt;

/// A tenant's relative share: 0.01 to 1,000 in steps of 0.001.
///
/// Over any stretch in which two tenants both have work waiting, the cost they are served is in
/// the ratio of their weights. Kept as an integer number of thousandths, so that equal texts give
/// equal shares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Weight(u32);

impl Weight {
    /// The smallest weight, 0.01.
    pub const MIN: Weight = Weight(10);
    /// The weight of an ordinary tenant.
    pub const ONE: Weight = Weight(1_000);
    /// The largest weight, 1,000.
    pub const MAX: Weight = Weight(1_000_000);

    /// Checks that `weight` is a number in 0.01..=1,000 with at most three decimals.
    ///
    /// # Errors
    /// [`WeightError`] when it is out of range, not a number, or finer than a thousandth.
    pub fn new(weight: f64) -> Result<Weight, WeightError> {
        let thousandths = weight * 1_000.0;
        let in_range = (10.0..=1_000_000.0).contains(&thousandths);
        let rounded = thousandths.round();
        if in_range && (thousandths - rounded).abs() < 1e-6 {
            Ok(Weight(rounded as u32))
        } else {
            Err(WeightError { weight })
        }
    }

    /// The weight in thousandths, `10..=1_000_000`.
    #[inline]
    #[must_use]
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// The weight as a number, for display and arithmetic on shares.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

/// A weight outside 0.01..=1,000, or finer than a thousandth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WeightError {
    weight: f64,
}

impl fmt::Display for WeightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight {} is not in 0.01..=1000 in steps of 0.001", self.weight)
    }
}

impl std::error::Error for WeightError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_exists_only_in_range() {
        assert_eq!(Weight::new(0.01).unwrap(), Weight::MIN);
        assert_eq!(Weight::new(1.2).unwrap().thousandths(), 1_200);
        assert_eq!(Weight::new(1_000.0).unwrap(), Weight::MAX);
        for bad in [0.0, 0.009, -1.0, 1_000.001, f64::NAN, f64::INFINITY, 1.000_5] {
            assert!(Weight::new(bad).is_err(), "{bad}");
        }
    }
}
