#![doc = include_str!("README.md")]

mod alarm;
mod crowd;
mod look;

pub(crate) use alarm::Alarm;
pub(crate) use crowd::{Crowd, NewRoom, Want};
pub(crate) use look::Look;

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{CachePadded, Parker, Unparker, full_fence, mutant, ord};
use std::time::Duration;

/// Which workers sleep, and how to wake them.
pub(crate) struct Sleepers {
    /// One bit per seat, set by the seat itself before it sleeps, cleared by whoever wakes it (or
    /// by itself). Changed by RMW only.
    asleep: Box<[CachePadded<AtomicU64>]>,
    unparkers: Box<[Unparker]>,
}

/// One worker's bed.
pub(crate) struct Bed {
    seat: usize,
    parker: Parker,
}

/// Makes the beds of `seats` workers.
pub(crate) fn dormitory(seats: usize) -> (Sleepers, Vec<Bed>) {
    let beds: Vec<Bed> = (0..seats).map(|seat| Bed { seat, parker: Parker::new() }).collect();
    let sleepers = Sleepers {
        asleep: (0..seats.div_ceil(64)).map(|_| CachePadded::new(AtomicU64::new(0))).collect(),
        unparkers: beds.iter().map(|bed| bed.parker.unparker().clone()).collect(),
    };
    (sleepers, beds)
}

impl Sleepers {
    /// Wakes one sleeping worker, if any sleeps. Call after making work visible and a `SeqCst`
    /// fence; the rotation's insertions end with one.
    #[inline]
    pub(crate) fn wake_one(&self) {
        for (group, word) in self.asleep.iter().enumerate() {
            // Load before any RMW: nearly always nobody sleeps.
            if word.load(Relaxed) != 0 && self.wake_in(group) {
                return;
            }
        }
    }

    /// Wakes one sleeping worker, if any sleeps and the caller `leaves` work behind that it has made
    /// visible without a fence.
    #[inline]
    pub(crate) fn wake_one_if(&self, leaves: impl FnOnce() -> bool) {
        // ORDERING(park.leave_fence): either a worker on its way to bed sees the work, or this look
        // sees the worker; pairs with park.fence.
        full_fence(ord!("park.leave_fence", SeqCst => AcqRel));
        if self.count() > 0 && leaves() {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_in(&self, group: usize) -> bool {
        let word = &self.asleep[group];
        loop {
            let asleep = word.load(Relaxed);
            if asleep == 0 {
                return false;
            }
            let bit = asleep & asleep.wrapping_neg();
            if mutant!("park.wake_by_look") {
                self.unparkers[group * 64 + bit.trailing_zeros() as usize].unpark();
                return true;
            }
            // ORDERING(park.wake): AcqRel; pairs with park.announce: one waker per sleeper.
            if word.fetch_and(!bit, ord!("park.wake", AcqRel => Relaxed)) & bit != 0 {
                self.unparkers[group * 64 + bit.trailing_zeros() as usize].unpark();
                return true;
            }
        }
    }

    /// Wakes the worker of `seat` if it sleeps. `false` when it does not.
    pub(crate) fn wake(&self, seat: usize) -> bool {
        let (word, bit) = (&self.asleep[seat / 64], 1 << (seat % 64));
        // ORDERING(park.wake): AcqRel; pairs with park.announce: one waker per sleeper.
        let order = ord!("park.wake", AcqRel => Relaxed);
        let sleeps = word.load(Relaxed) & bit != 0 && word.fetch_and(!bit, order) & bit != 0;
        if sleeps {
            self.unparkers[seat].unpark();
        }
        sleeps
    }

    /// Wakes every worker, asleep or about to be.
    pub(crate) fn wake_all(&self) {
        for unparker in &self.unparkers {
            unparker.unpark();
        }
    }

    /// Workers that have announced that they sleep.
    pub(crate) fn count(&self) -> u32 {
        self.asleep.iter().map(|word| word.load(Relaxed).count_ones()).sum()
    }

    /// Says that the worker of `seat` is about to sleep. It looks for work once more before it does.
    pub(crate) fn announce(&self, seat: usize) {
        // ORDERING(park.announce): AcqRel; pairs with park.wake.
        self.asleep[seat / 64].fetch_or(1 << (seat % 64), ord!("park.announce", AcqRel => Relaxed));
        // ORDERING(park.fence): either the look that follows sees the work, or the waker sees the
        // bit; pairs with rotation.insert_fence and park.leave_fence.
        full_fence(ord!("park.fence", SeqCst => AcqRel));
    }

    /// Withdraws the announcement, unless somebody has taken it as the one to wake.
    pub(crate) fn withdraw(&self, seat: usize) {
        let bit = 1 << (seat % 64);
        // ORDERING(park.wake): AcqRel; pairs with park.announce.
        self.asleep[seat / 64].fetch_and(!bit, ord!("park.wake", AcqRel => Relaxed));
    }
}

#[cfg(feature = "testing")]
impl Sleepers {
    /// Whether the worker of `seat` has announced itself and nobody has chosen to wake it since.
    pub(crate) fn is_announced(&self, seat: usize) -> bool {
        self.asleep[seat / 64].load(Relaxed) >> (seat % 64) & 1 == 1
    }
}

impl Bed {
    /// Which worker the bed belongs to.
    #[cfg(all(test, fairlane_loom))]
    pub(crate) fn seat(&self) -> usize {
        self.seat
    }

    fn looks_again(&self) -> bool {
        if mutant!("park.no_recheck") {
            return false;
        }
        !mutant!("park.check_before_announce")
    }

    /// Sleeps until woken or until `limit` has passed, unless `has_work` says otherwise after the
    /// announcement. Whatever ended it, the worker looks for work next.
    pub(crate) fn sleep(
        &self,
        sleepers: &Sleepers,
        limit: Option<Duration>,
        has_work: impl Fn() -> bool,
    ) {
        if mutant!("park.check_before_announce") && has_work() {
            return;
        }
        sleepers.announce(self.seat);
        if !(self.looks_again() && has_work()) {
            match limit {
                Some(limit) => self.parker.park_timeout(limit),
                None => self.parker.park(),
            }
        }
        sleepers.withdraw(self.seat);
    }
}
