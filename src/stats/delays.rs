//! Histograms of queue delay and run time, per worker and tier.

use crate::sync::Mutex;
use hdrhistogram::Histogram;

/// What a histogram holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nanoseconds from acceptance, or from the due moment if that is later, to the grant.
    Queue,
    /// Nanoseconds a handler took.
    Run,
}

/// Longest delay told apart, one hour; longer ones count as this.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Samples a worker gathers before it takes the lock.
const BATCH: usize = 64;

/// One worker's histograms. The worker adds batches, snapshots read; the lock is taken once per
/// batch, so it is off the path of a job.
pub(crate) struct Delays {
    tiers: Mutex<Vec<TierDelays>>,
}

struct TierDelays {
    queue: Histogram<u64>,
    run: Histogram<u64>,
}

pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2)
        .expect("1 ns to 1 h at two digits is a valid range")
}

impl TierDelays {
    fn new() -> Self {
        TierDelays { queue: histogram(), run: histogram() }
    }

    fn of(&mut self, kind: Kind) -> &mut Histogram<u64> {
        match kind {
            Kind::Queue => &mut self.queue,
            Kind::Run => &mut self.run,
        }
    }
}

impl Delays {
    pub(crate) fn new() -> Self {
        Delays { tiers: Mutex::new(Vec::new()) }
    }

    fn add(&self, samples: &[(u32, Kind, u64)]) {
        let mut tiers = self.tiers.lock().expect("no code panics under this lock");
        for &(tier, kind, nanos) in samples {
            while tiers.len() <= tier as usize {
                tiers.push(TierDelays::new());
            }
            tiers[tier as usize].of(kind).saturating_record(nanos.clamp(1, LONGEST_NS));
        }
    }

    /// Adds this worker's samples of `tier` to `into`, which stays `None` as long as there are none.
    pub(crate) fn collect(&self, tier: u32, kind: Kind, into: &mut Option<Histogram<u64>>) {
        let mut tiers = self.tiers.lock().expect("no code panics under this lock");
        let Some(delays) = tiers.get_mut(tier as usize) else { return };
        match (delays.of(kind), into) {
            (own, _) if own.is_empty() => {}
            // Adding goes through thousands of counts one by one; copying does not.
            (own, none @ None) => *none = Some(own.clone()),
            (own, Some(all)) => all.add(&*own).expect("all histograms have the same bounds"),
        }
    }
}

/// Samples a worker has taken and not yet added.
pub(crate) struct DelayLog {
    samples: Vec<(u32, Kind, u64)>,
}

impl DelayLog {
    pub(crate) fn new() -> Self {
        DelayLog { samples: Vec::with_capacity(2 * BATCH) }
    }

    /// Notes a sample.
    #[inline]
    pub(crate) fn note(&mut self, tier: u32, kind: Kind, nanos: u64) {
        self.samples.push((tier, kind, nanos));
    }

    /// Adds the batch to `delays` when it is full. Takes a lock: not while a lane is claimed.
    #[inline]
    pub(crate) fn flush_full(&mut self, delays: &Delays) {
        if self.samples.len() >= BATCH {
            self.flush(delays);
        }
    }

    /// Adds what is left. Called before a worker sleeps, so an idle worker's samples are all seen.
    pub(crate) fn flush(&mut self, delays: &Delays) {
        if !self.samples.is_empty() {
            delays.add(&self.samples);
            self.samples.clear();
        }
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    fn seen_by<'a>(
        workers: impl IntoIterator<Item = &'a Delays>,
        tier: u32,
        kind: Kind,
    ) -> Histogram<u64> {
        let mut all = None;
        workers.into_iter().for_each(|delays| delays.collect(tier, kind, &mut all));
        all.expect("samples")
    }

    #[test]
    fn samples_are_seen_after_a_flush_and_full_batches_at_once() {
        let delays = Delays::new();
        let mut log = DelayLog::new();
        for _ in 0..BATCH + 3 {
            log.note(1, Kind::Queue, 1_000);
            log.flush_full(&delays);
        }
        assert_eq!(seen_by([&delays], 1, Kind::Queue).len(), BATCH as u64);
        log.flush(&delays);
        let seen = seen_by([&delays], 1, Kind::Queue);
        assert_eq!(seen.len(), BATCH as u64 + 3);
        assert!(seen.value_at_quantile(0.5).abs_diff(1_000) <= 10);
    }

    #[test]
    fn samples_of_all_workers_are_added_and_none_that_another_has_not() {
        let workers = [(); 4].map(|()| Delays::new());
        workers[1].add(&[(0, Kind::Run, 10), (0, Kind::Queue, 1)]);
        workers[3].add(&[(0, Kind::Run, 20), (0, Kind::Run, 30), (1, Kind::Run, 1)]);
        let seen = seen_by(&workers, 0, Kind::Run);
        assert_eq!((seen.len(), seen.min(), seen.max()), (3, 10, 30));
        let mut none = None;
        workers.iter().for_each(|delays| delays.collect(1, Kind::Queue, &mut none));
        assert_eq!(none, None, "only run times were noted");
    }

    #[test]
    fn a_delay_beyond_an_hour_counts_as_an_hour() {
        let delays = Delays::new();
        delays.add(&[(0, Kind::Run, u64::MAX), (0, Kind::Run, 0)]);
        let seen = seen_by([&delays], 0, Kind::Run);
        assert_eq!(seen.len(), 2);
        assert!(seen.max() >= LONGEST_NS);
    }
}
