use std::time::Duration;

/// A moment or a span on the engine's clock, in nanoseconds since the clock's start.
///
/// Arithmetic saturates: time never wraps and never moves below zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Nanos(pub u64);

impl Nanos {
    /// The clock's start.
    pub const ZERO: Nanos = Nanos(0);
    /// Later than any moment a clock reaches.
    pub const MAX: Nanos = Nanos(u64::MAX);

    /// Converts a span; anything beyond 584 years becomes [`Nanos::MAX`].
    #[must_use]
    pub const fn from_duration(span: Duration) -> Nanos {
        let nanos = span.as_nanos();
        if nanos > u64::MAX as u128 { Nanos::MAX } else { Nanos(nanos as u64) }
    }

    /// `self - earlier`, or zero when `earlier` is later.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self + span`, at most [`Nanos::MAX`].
    #[inline]
    #[must_use]
    pub const fn after(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }

    /// The span as a [`Duration`].
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_at_both_ends() {
        assert_eq!(Nanos(3).since(Nanos(5)), Nanos::ZERO);
        assert_eq!(Nanos::MAX.after(Nanos(1)), Nanos::MAX);
        assert_eq!(Nanos::from_duration(Duration::MAX), Nanos::MAX);
        assert_eq!(Nanos(1_500).as_duration(), Duration::from_nanos(1_500));
    }
}
