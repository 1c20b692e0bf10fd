use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::units::Nanos;

/// A number with one writer and many readers. Adding is a load and a store, no RMW.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Adds `n`. Only the counter's one writer may call this.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one worker counts; the worker is the only writer. On lines of its own.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct SeatCounters {
    /// Jobs granted.
    pub(crate) granted: Counter,
    /// Cost of those jobs.
    pub(crate) cost: Counter,
    /// Lanes visited.
    pub(crate) visits: Counter,
    /// Claims of one or more lanes.
    pub(crate) claims: Counter,
    /// Claims held for more than 1 ms, when an observer is set.
    pub(crate) long_claims: Counter,
    /// Times the worker went to sleep.
    pub(crate) sleeps: Counter,
    /// Times only lanes with an unfinished producer were left.
    pub(crate) stalls: Counter,
    /// Handlers that panicked.
    pub(crate) panics: Counter,
    /// When the worker began to have grants out without a pause, in units of 2^30 ns.
    pub(crate) busy_since: AtomicU32,
    /// Jobs granted to another worker that this one took over and ran.
    pub(crate) jobs_taken_over: Counter,
    /// Nanoseconds of the engine's clock without anything to do, up to `idle_since`.
    idle_ns: Counter,
    /// Since when the worker has had nothing to do, or [`BUSY`].
    idle_since: AtomicU64,
}

/// In place of the moment since when a worker is idle.
const BUSY: u64 = u64::MAX;

impl SeatCounters {
    pub(crate) fn new() -> Self {
        SeatCounters {
            granted: Counter::new(),
            cost: Counter::new(),
            visits: Counter::new(),
            claims: Counter::new(),
            long_claims: Counter::new(),
            sleeps: Counter::new(),
            stalls: Counter::new(),
            panics: Counter::new(),
            busy_since: AtomicU32::new(0),
            jobs_taken_over: Counter::new(),
            idle_ns: Counter::new(),
            idle_since: AtomicU64::new(0),
        }
    }

    /// The worker begins to have something to do, or to look for it.
    pub(crate) fn end_idleness(&self, now: Nanos) {
        let since = self.idle_since.load(Relaxed);
        if since != BUSY {
            self.idle_ns.add(now.since(Nanos(since)).0);
            self.idle_since.store(BUSY, Relaxed);
        }
    }

    /// The worker has nothing to do, if it did not know that before.
    pub(crate) fn begin_idleness(&self, now: Nanos) {
        if self.idle_since.load(Relaxed) == BUSY {
            self.idle_since.store(now.0, Relaxed);
        }
    }

    /// For how long the worker has had something to do, of the time up to `now`.
    pub(crate) fn busy(&self, now: Nanos) -> Nanos {
        let until = now.0.min(self.idle_since.load(Relaxed));
        Nanos(until.saturating_sub(self.idle_ns.get()))
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn busy_time_has_no_idle_time_in_it() {
        let seat = SeatCounters::new();
        assert_eq!(seat.busy(Nanos(1_000)), Nanos(0), "nobody has sat here");
        seat.end_idleness(Nanos(1_000));
        seat.end_idleness(Nanos(1_010));
        assert_eq!(seat.busy(Nanos(1_020)), Nanos(20));
        seat.begin_idleness(Nanos(1_030));
        seat.begin_idleness(Nanos(1_040));
        assert_eq!(seat.busy(Nanos(9_000)), Nanos(30), "idle from the first time on");
        seat.end_idleness(Nanos(2_000));
        assert_eq!(seat.busy(Nanos(2_005)), Nanos(35));
    }
}
