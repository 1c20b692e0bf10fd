//! The waits of a part of the jobs, counted below limits that are the same on every page.

use fairlane::Nanos;

use crate::report::Tally;

/// Limits per decade, in tenths: the E24 series of preferred numbers (IEC 60063), 10 % apart.
const E24: [u64; 24] = [
    10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91,
];
/// Decades of wait that are told apart: from 1 us to 10^12 us, which is 277 hours.
const WAIT_DECADES: u32 = 12;

/// A wait up to which a job counts as one that did not wait: the first limit.
pub(super) const AT_ONCE: Nanos = Nanos(1_000);

/// How many jobs had begun after which wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Waits {
    /// Jobs offered, whether they ever began or not.
    pub(super) offered: u64,
    /// A wait, and the jobs that began after at most that; both ascend. The first has a job, the
    /// last has all that ever began; empty when none did.
    pub(super) begun: Vec<(Nanos, u64)>,
}

impl Waits {
    pub(super) fn of(tally: &Tally) -> Waits {
        let limits: Vec<u64> = limits().collect();
        let mut counts = vec![0_u64; limits.len()];
        for waits in tally.waits.iter_recorded() {
            let nanos = waits.value_iterated_to().saturating_mul(1_000);
            let place = limits.partition_point(|limit| *limit < nanos);
            counts[place.min(limits.len() - 1)] += waits.count_since_last_iteration();
        }
        let first = counts.iter().position(|jobs| *jobs > 0).unwrap_or(counts.len());
        let last = counts.iter().rposition(|jobs| *jobs > 0).map_or(first, |last| last + 1);
        let mut begun = 0;
        let begun = limits[first..last].iter().zip(&counts[first..last]).map(|(limit, jobs)| {
            begun += jobs;
            (Nanos(*limit), begun)
        });
        Waits { offered: tally.offered, begun: begun.collect() }
    }

    /// Jobs that did not wait.
    pub(super) fn at_once(&self) -> u64 {
        self.begun.first().filter(|(limit, _)| *limit == AT_ONCE).map_or(0, |(_, jobs)| *jobs)
    }

    /// Jobs that began, whatever their wait.
    pub(super) fn served(&self) -> u64 {
        self.begun.last().map_or(0, |(_, jobs)| *jobs)
    }
}

/// Waits below which jobs are counted, in nanoseconds, ascending from 1 us.
fn limits() -> impl Iterator<Item = u64> {
    let decades =
        (0..WAIT_DECADES).flat_map(|decade| E24.map(|tenth| tenth * 100 * 10_u64.pow(decade)));
    decades.chain([1_000 * 10_u64.pow(WAIT_DECADES)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::histogram;

    /// The counts of jobs that waited so many microseconds, among twice as many.
    fn counted(micros: &[u64]) -> Waits {
        let mut waits = histogram();
        micros.iter().for_each(|wait| waits.record(*wait).unwrap());
        Waits::of(&Tally { tenants: 1, offered: 2 * micros.len() as u64, waits })
    }

    #[test]
    fn every_wait_falls_to_the_nearest_limit_above_it() {
        assert!(limits().collect::<Vec<_>>().is_sorted_by(|a, b| a < b));
        let at = |wait: u64| counted(&[wait]).begun;
        assert_eq!(at(0), [(Nanos(1_000), 1)]);
        assert_eq!(at(1), [(Nanos(1_000), 1)]);
        assert_eq!(at(74), [(Nanos(75_000), 1)]);
        assert_eq!(at(75), [(Nanos(75_000), 1)]);
        assert_eq!(at(76), [(Nanos(82_000), 1)]);
        assert_eq!(at(u64::MAX / 2_000), [(Nanos(1_000_000_000_000_000), 1)]);
    }

    #[test]
    fn every_served_job_is_counted_once() {
        let waits = counted(&[3, 3, 70, 5_000_000]);
        assert_eq!((waits.offered, waits.served(), waits.at_once()), (8, 4, 0));
        assert_eq!(counted(&[0, 0, 1, 2]).at_once(), 3);
        assert_eq!(waits.begun.first(), Some(&(Nanos(3_000), 2)));
        assert!(waits.begun.contains(&(Nanos(75_000), 3)));
        assert!(waits.begun.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }

    #[test]
    fn the_points_are_few_however_many_waits_there_are() {
        let waits = counted(&(0..20_000).map(|wait| wait * 997).collect::<Vec<_>>());
        assert!((100..=limits().count()).contains(&waits.begun.len()), "{}", waits.begun.len());
        assert_eq!(waits.served(), 20_000);
    }

    #[test]
    fn a_run_without_jobs_has_no_points() {
        assert_eq!(counted(&[]), Waits { offered: 0, begun: Vec::new() });
    }
}
