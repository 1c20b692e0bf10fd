//! Who waited beside an idle worker, from what the handlers wrote down.

use std::ops::Range;

/// One job: when it was submitted and run, and by whom. Nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) submitted: u64,
    pub(crate) worker: usize,
    pub(crate) ran: Range<u64>,
}

/// For every job, the longest time it waited while one and the same worker ran nothing.
///
/// A worker runs nothing between two of its handlers. Whether it then slept, was waking up or was
/// looking for work is not told apart: to the job it is the same.
pub(crate) fn waits_beside_idle(runs: &[Run], workers: usize) -> Vec<u64> {
    let mut busy: Vec<Vec<Range<u64>>> = vec![Vec::new(); workers];
    for run in runs {
        busy[run.worker].push(run.ran.clone());
    }
    busy.iter_mut().for_each(|runs| runs.sort_unstable_by_key(|ran| ran.start));
    let beside = |run: &Run| {
        let wait = run.submitted..run.ran.start;
        busy.iter().map(|ran| longest_gap(ran, &wait)).max().unwrap_or(0)
    };
    runs.iter().map(beside).collect()
}

/// The longest part of `within` in which none of `busy` runs. `busy` is in order.
fn longest_gap(busy: &[Range<u64>], within: &Range<u64>) -> u64 {
    let first = busy.partition_point(|ran| ran.end <= within.start);
    let (mut free, mut longest) = (within.start, 0);
    for ran in busy[first..].iter().take_while(|ran| ran.start < within.end) {
        longest = longest.max(ran.start.saturating_sub(free));
        free = free.max(ran.end);
    }
    longest.max(within.end.saturating_sub(free))
}

#[cfg(test)]
mod tests {
    use super::{Run, waits_beside_idle};

    fn run(submitted: u64, worker: usize, start: u64, end: u64) -> Run {
        Run { submitted, worker, ran: start..end }
    }

    #[test]
    fn a_wait_beside_busy_workers_does_not_count() {
        let runs = [run(0, 0, 0, 100), run(0, 1, 0, 90), run(10, 1, 90, 95)];
        assert_eq!(waits_beside_idle(&runs, 2), [0, 0, 0]);
    }

    #[test]
    fn a_job_left_behind_a_slow_one_beside_an_idle_worker_is_found() {
        let runs = [run(0, 0, 0, 100), run(5, 0, 100, 101), run(0, 1, 40, 45)];
        assert_eq!(waits_beside_idle(&runs, 2), [0, 55, 40]);
        assert_eq!(waits_beside_idle(&runs[..2], 2), [0, 95]);
    }
}
