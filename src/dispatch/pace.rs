//! How fast jobs go through a worker, and what follows from it.

use crate::fair::SHIFT_MAX;
use crate::sync::spin;
use crate::units::Nanos;

/// Above this a job counts as slow: a visit claims one lane, and an empty lane leaves at once.
const SLOW_NS: u64 = 10_000;
/// From this on every job is timed.
const TIMED_NS: u64 = 1_000;
/// A turn of an ordinary lane should not take longer.
const TURN_NS: f64 = 50_000.0;

/// A worker's running estimate of what a job takes.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the last jobs were handed out, and how many, and their cost.
    since: Nanos,
    jobs: u32,
    cost: u64,
    /// Smoothed nanoseconds per job and per cost unit, and cost per job.
    job_ns: u64,
    cost_ns: f64,
    job_cost: f64,
    /// Pauses before the next look for work; see [`Pace::gather`].
    pauses: u32,
}

/// Below this a job is so short that looking for the next one costs more than running it.
const TINY_NS: u64 = 300;
/// Most pauses before a look, about a microsecond.
const PAUSES_MAX: u32 = 32;

impl Pace {
    pub(super) const fn new() -> Self {
        // Slow until shown otherwise: a first batch of slow jobs would keep others waiting.
        Pace {
            since: Nanos::ZERO,
            jobs: 0,
            cost: 0,
            job_ns: SLOW_NS,
            cost_ns: TURN_NS,
            job_cost: 1.0,
            pauses: 0,
        }
    }

    /// Takes the time since the last jobs were handed out as the time they took. `false` when the
    /// last look found none.
    #[inline]
    pub(super) fn arrive(&mut self, now: Nanos) -> bool {
        if self.jobs == 0 {
            return false;
        }
        let took = now.since(self.since).0;
        let sample = took / u64::from(self.jobs);
        self.job_ns = (3 * self.job_ns + sample) / 4;
        if self.is_timed() {
            self.cost_ns += (took as f64 / self.cost as f64 - self.cost_ns) / 4.0;
            self.job_cost += (self.cost as f64 / f64::from(self.jobs) - self.job_cost) / 4.0;
        }
        self.jobs = 0;
        true
    }

    /// Notes what is handed out now.
    #[inline]
    pub(super) fn depart(&mut self, now: Nanos, jobs: u32, cost: u64) {
        self.since = now;
        self.jobs = jobs;
        self.cost = cost;
    }

    /// Lets jobs gather when the last looks found few. A worker that chases its producers slot by
    /// slot takes their cache lines away; one that pauses reads whole lines. Nobody waits for
    /// longer than a microsecond by it, and only where jobs take less than a third of that.
    #[inline]
    pub(super) fn gather(&self) {
        (0..self.pauses).for_each(|_| spin());
    }

    /// Adapts the pauses to what a look found, of `most` it would have taken.
    #[inline]
    pub(super) fn found(&mut self, jobs: u32, most: u32) {
        if jobs >= most / 2 || self.job_ns >= TINY_NS {
            self.pauses /= 2;
        } else if jobs > 0 {
            self.pauses = (self.pauses * 2 + 1).min(PAUSES_MAX);
        }
    }

    /// Whether a job takes so long that a visit should grant it alone.
    #[inline]
    pub(super) fn is_slow(&self) -> bool {
        self.job_ns >= SLOW_NS
    }

    /// Whether jobs take so long that each is worth a clock read.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.job_ns >= TIMED_NS
    }

    /// How often to halve the quantum, so that a turn of base `base` takes about 50 us, but the
    /// smallest quantum still covers an ordinary job.
    pub(super) fn shift(&self, base: u32, smallest_quantum: f64) -> u32 {
        if !self.is_timed() {
            return 0;
        }
        let wanted = f64::from(base) * self.cost_ns / TURN_NS;
        let allowed = smallest_quantum / self.job_cost;
        let factor = wanted.min(allowed);
        if factor < 2.0 { 0 } else { (factor.log2() as u32).min(SHIFT_MAX) }
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    fn pace_of(job_ns: u64, cost: u64) -> Pace {
        let mut pace = Pace::new();
        for step in 0..50 {
            pace.depart(Nanos(step * job_ns), 1, cost);
            pace.arrive(Nanos((step + 1) * job_ns));
        }
        pace
    }

    #[test]
    fn slow_handlers_make_rounds_as_fine_as_one_job() {
        let pace = pace_of(1_000_000, 1);
        assert!(pace.is_slow() && pace.is_timed());
        assert_eq!(pace.shift(20, 20.0), 4, "a quantum of 20 shrinks to 1.25 and no further");
        assert_eq!(pace_of(1_000_000, 20).shift(20, 20.0), 0, "a job uses up the whole quantum");
    }

    #[test]
    fn fast_handlers_leave_the_quantum_alone() {
        let pace = pace_of(200, 1);
        assert!(!pace.is_slow() && !pace.is_timed());
        assert_eq!(pace.shift(20, 20.0), 0);
        assert_eq!(pace_of(2_000, 1).shift(20, 20.0), 0, "20 jobs of 2 us are within 50 us");
    }

    #[test]
    fn a_pause_without_jobs_does_not_count_as_work() {
        let mut pace = pace_of(100, 1);
        pace.arrive(Nanos(u64::MAX));
        assert!(!pace.is_timed());
    }
}
