//! A strict window: at most so many in any stretch of a given length, wherever it begins.
//!
//! An entry of moment `t` counts in `[t, t + per)`. Up to 65 moments are kept apart, and the window is exact.
//! Beyond that, entries of one sub-window of `per / 64` are joined under the latest of their moments: they leave
//! at most `per / 64` late and never early, so the number is never exceeded and at least 64/65 of it is reached.

use crate::units::Nanos;
use std::collections::VecDeque;

/// Sub-windows that a window is cut into once its moments are too many to be kept apart.
const SUB_WINDOWS: u64 = 64;
/// The sub-windows that a window can touch: where it begins inside one, it ends inside another.
const STAMPS_MAX: usize = SUB_WINDOWS as usize + 1;
/// Places taken at the first charge.
const STAMPS_MIN: usize = 4;

/// What was charged at a moment, or in the sub-window that ends with that moment.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    at: Nanos,
    amount: u64,
}

/// What was charged in the last `per`.
///
/// `now` never goes back between calls; [`Meter`](super::Meter) sees to that.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// By moment, each later than the one before, at most [`STAMPS_MAX`]; no amount is zero.
    stamps: VecDeque<Stamp>,
    /// The sum of their amounts.
    used: u64,
}

impl Window {
    /// Nothing charged, nothing allocated.
    pub(super) const fn new() -> Window {
        Window { stamps: VecDeque::new(), used: 0 }
    }

    /// What counts now.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Moments and amounts, the oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Nanos, u64)> + '_ {
        self.stamps.iter().map(|stamp| (stamp.at, stamp.amount))
    }

    /// Drops what no longer counts, and returns the latest moment that was dropped.
    pub(super) fn trim(&mut self, per: Nanos, now: Nanos) -> Option<Nanos> {
        let mut dropped = None;
        while let Some(&Stamp { at, amount }) = self.stamps.front() {
            // Not `at + per <= now`: at the end of time that sum saturates, and all would leave at once.
            if now.since(at) < per {
                break;
            }
            self.used -= amount;
            self.stamps.pop_front();
            dropped = Some(at);
        }
        dropped
    }

    /// Whether `amount` fits under `most` now; if not, when enough will have left for it.
    pub(super) fn check(&self, most: u64, per: Nanos, amount: u64) -> Result<(), Nanos> {
        if amount > most {
            return Err(Nanos::MAX);
        }
        let room = most - amount;
        if self.used <= room {
            return Ok(());
        }
        let mut left = self.used;
        for stamp in &self.stamps {
            left -= stamp.amount;
            if left <= room {
                return Err(stamp.at.after(per));
            }
        }
        unreachable!("without entries nothing is used")
    }

    /// Adds an entry.
    pub(super) fn charge(&mut self, per: Nanos, amount: u64, now: Nanos) {
        let amount = amount.min(u64::MAX - self.used);
        if amount == 0 {
            return;
        }
        self.used += amount;
        let sub_window = per.0.div_ceil(SUB_WINDOWS);
        let full = self.stamps.len() == STAMPS_MAX;
        if let Some(last) = self.stamps.back_mut() {
            if last.at == now || full && last.at.0 / sub_window == now.0 / sub_window {
                last.at = now;
                last.amount += amount;
                return;
            }
        }
        if full {
            self.join(sub_window);
        }
        self.push(Stamp { at: now, amount });
    }

    /// Takes back up to `amount` of what was charged at `charged_at`, or at the moments joined with it.
    #[allow(dead_code, reason = "grants that can fail come with leases")]
    pub(super) fn refund(&mut self, amount: u64, charged_at: Nanos) {
        let mut rest = amount;
        let mut index = self.stamps.partition_point(|stamp| stamp.at < charged_at);
        while rest > 0 && index < self.stamps.len() {
            let stamp = &mut self.stamps[index];
            let part = rest.min(stamp.amount);
            stamp.amount -= part;
            self.used -= part;
            rest -= part;
            if stamp.amount == 0 {
                self.stamps.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// Joins neighbours of the same sub-window.
    fn join(&mut self, sub_window: u64) {
        let mut kept = 0;
        for index in 1..self.stamps.len() {
            let stamp = self.stamps[index];
            if self.stamps[kept].at.0 / sub_window == stamp.at.0 / sub_window {
                self.stamps[kept].at = stamp.at;
                self.stamps[kept].amount += stamp.amount;
            } else {
                kept += 1;
                self.stamps[kept] = stamp;
            }
        }
        self.stamps.truncate(kept + 1);
    }

    /// Adds at the end; places are doubled, so that a tenant of few jobs holds few.
    fn push(&mut self, stamp: Stamp) {
        let len = self.stamps.len();
        debug_assert!(len < STAMPS_MAX, "a window touches at most 65 sub-windows");
        if len == self.stamps.capacity() {
            let places = (len * 2).clamp(STAMPS_MIN, STAMPS_MAX);
            self.stamps.reserve_exact(places - len);
        }
        self.stamps.push_back(stamp);
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    const PER: Nanos = Nanos(6_400);

    fn charged(moments: impl IntoIterator<Item = u64>) -> Window {
        let mut window = Window::new();
        for at in moments {
            window.trim(PER, Nanos(at));
            window.charge(PER, 1, Nanos(at));
        }
        window
    }

    #[test]
    fn sixty_five_moments_are_kept_apart() {
        let mut window = charged((0..65).map(|i| i * 7));
        assert_eq!(window.check(65, PER, 1), Err(Nanos(6_400)));
        assert_eq!(window.check(65, PER, 64), Err(Nanos(6_400 + 63 * 7)));
        assert_eq!(window.trim(PER, Nanos(6_400 + 7)), Some(Nanos(7)));
        assert_eq!(window.used(), 63);
    }

    #[test]
    fn more_moments_are_joined_and_leave_together_with_the_latest_of_their_sub_window() {
        let mut window = charged((0..65).map(|i| i * 7).chain([500]));
        assert_eq!(window.used(), 66);
        // The first sub-window is [0, 100): its latest moment is 98, the 15th.
        assert_eq!(window.check(66, PER, 1), Err(Nanos(6_400 + 98)));
        window.trim(PER, Nanos(6_400 + 97));
        assert_eq!(window.used(), 66);
        window.trim(PER, Nanos(6_400 + 98));
        assert_eq!(window.used(), 51);
    }

    #[test]
    fn a_full_ring_is_never_outgrown() {
        let window = charged((0..100_000).map(|i| i * 13));
        assert_eq!(window.stamps.len(), STAMPS_MAX);
        assert_eq!(window.stamps.capacity(), STAMPS_MAX);
        let exact = 6_400_u64.div_ceil(13);
        assert!((exact..=exact + 100 / 13 + 1).contains(&window.used()), "{}", window.used());
    }

    #[test]
    fn places_are_taken_as_they_are_needed() {
        assert_eq!(Window::new().stamps.capacity(), 0);
        assert_eq!(charged([1]).stamps.capacity(), STAMPS_MIN);
        assert_eq!(charged(0..10).stamps.capacity(), 16);
        assert_eq!(charged([5; 1_000]).stamps.capacity(), STAMPS_MIN, "one moment, one place");
    }

    #[test]
    fn a_refund_takes_from_its_moment_and_not_from_earlier_ones() {
        let mut window = charged([0, 10, 20]);
        window.refund(1, Nanos(10));
        assert_eq!(window.entries().map(|(at, _)| at.0).collect::<Vec<_>>(), [0, 20]);
        window.refund(5, Nanos(10));
        assert_eq!(window.entries().map(|(at, _)| at.0).collect::<Vec<_>>(), [0]);
        assert_eq!(window.used(), 1);
    }

    #[test]
    fn sums_do_not_overflow() {
        let mut window = Window::new();
        window.charge(PER, u64::MAX - 1, Nanos(0));
        window.charge(PER, u64::MAX, Nanos(1));
        assert_eq!(window.used(), u64::MAX);
        window.trim(PER, PER);
        assert_eq!(window.used(), 1);
    }
}
