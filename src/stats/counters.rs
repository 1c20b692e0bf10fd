use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

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
}

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
        }
    }
}
