//! Where "now" comes from: the machine's monotonic clock, or a hand that tests turn.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{self, Arc};
use crate::units::Nanos;
use std::time::Instant;

/// The engine's clock. It never moves backwards as seen by one thread.
///
/// A closed set on purpose: a clock is read between reserving a slot and publishing it, where code
/// that might panic must not run.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's monotonic clock, counted from the moment the value was made.
    Monotonic(Instant),
    /// A clock that stands still until it is moved.
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clock, starting at zero now.
    #[must_use]
    pub fn monotonic() -> Clock {
        Clock::Monotonic(sync::now())
    }

    /// Reads the clock. Costs 20-30 ns on the machine's clock.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Nanos {
        match self {
            Clock::Monotonic(start) => {
                Nanos::from_duration(sync::now().saturating_duration_since(*start))
            }
            Clock::Manual(hand) => hand.now(),
        }
    }
}

/// A clock that only moves when told to. Clones share the hand.
#[derive(Clone, Default, Debug)]
pub struct ManualClock {
    /// Nanoseconds; written by whoever drives the test, read by everyone; never decreases.
    hand: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> ManualClock {
        ManualClock { hand: Arc::new(AtomicU64::new(0)) }
    }

    /// Where the hand stands.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos(self.hand.load(Relaxed))
    }

    /// Moves the hand forward by `span`, saturating.
    pub fn advance(&self, span: Nanos) {
        let to = self.now().after(span);
        self.hand.fetch_max(to.0, Relaxed);
    }

    /// Moves the hand to `to`; a moment in the past leaves it where it is.
    pub fn advance_to(&self, to: Nanos) {
        self.hand.fetch_max(to.0, Relaxed);
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_forward_and_clones_share_the_hand() {
        let clock = ManualClock::new();
        let twin = clock.clone();
        clock.advance(Nanos(10));
        twin.advance_to(Nanos(4));
        assert_eq!(twin.now(), Nanos(10));
        clock.advance(Nanos::MAX);
        assert_eq!(twin.now(), Nanos::MAX);
    }
}
