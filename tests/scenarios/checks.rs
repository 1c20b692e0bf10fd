//! Filling, picking and judging.

use crate::queue::{Pick, Queue, Setup};

pub(crate) type Verdict = Result<(), String>;

/// Queues `jobs` jobs of `cost`, all of which must be accepted.
pub(crate) fn fill(queue: &mut dyn Queue, lane: usize, jobs: usize, cost: u32) {
    for job in 0..jobs {
        assert!(queue.submit(lane, cost), "job {job} of lane {lane} was refused");
    }
}

/// The next `n` jobs, one at a time. A queue with jobs must not come back without one.
pub(crate) fn take(queue: &mut dyn Queue, n: usize) -> Vec<Pick> {
    let one = |k| {
        let picks = queue.pick(0, 0, 1);
        assert_eq!(picks.len(), 1, "pick {k} of {n} found nothing");
        picks[0]
    };
    (0..n).map(one).collect()
}

/// All jobs that are left.
pub(crate) fn take_all(queue: &mut dyn Queue) -> Vec<Pick> {
    let mut all = Vec::new();
    while let [pick] = queue.pick(0, 0, 1)[..] {
        all.push(pick);
    }
    all
}

pub(crate) fn jobs(picks: &[Pick], lanes: usize) -> Vec<u64> {
    sums(picks, lanes, |_| 1)
}

pub(crate) fn costs(picks: &[Pick], lanes: usize) -> Vec<u64> {
    sums(picks, lanes, |pick| pick.cost.into())
}

fn sums(picks: &[Pick], lanes: usize, of: impl Fn(&Pick) -> u64) -> Vec<u64> {
    let mut sums = vec![0; lanes];
    picks.iter().for_each(|pick| sums[pick.lane] += of(pick));
    sums
}

/// Every number is within `tolerance` of what `parts` of the total would be.
pub(crate) fn split_is(got: &[u64], parts: &[f64], tolerance: f64) -> Verdict {
    let (total, whole) = (got.iter().sum::<u64>() as f64, parts.iter().sum::<f64>());
    for (lane, (&got_here, part)) in got.iter().zip(parts).enumerate() {
        let due = total * part / whole;
        if (got_here as f64 - due).abs() > tolerance {
            return Err(format!("lane {lane} got {got_here}, due {due:.1}, all: {got:?}"));
        }
    }
    Ok(())
}

/// Every lane's part of the total is within `tolerance` of `shares`.
pub(crate) fn shares_are(got: &[u64], shares: &[f64], tolerance: f64) -> Verdict {
    let total = got.iter().sum::<u64>() as f64;
    split_is(got, shares, tolerance * total)
}

/// The lanes of `picks`, `A` for lane 0.
pub(crate) fn order(picks: &[Pick]) -> String {
    picks.iter().map(|pick| (b'A' + pick.lane as u8) as char).collect()
}

pub(crate) fn order_is(picks: &[Pick], expected: &str) -> Verdict {
    let got = order(picks);
    if got == expected { Ok(()) } else { Err(format!("got {got}, expected {expected}")) }
}

/// How many picks it takes until every lane of `lanes` has had one.
pub(crate) fn picks_until(picks: &[Pick], lanes: std::ops::Range<usize>) -> Option<usize> {
    let first = lanes.map(|lane| picks.iter().position(|pick| pick.lane == lane));
    first.map(|at| at.map(|at| at + 1)).collect::<Option<Vec<_>>>()?.into_iter().max()
}

pub(crate) fn all_within(picks: &[Pick], lanes: std::ops::Range<usize>, most: usize) -> Verdict {
    match picks_until(picks, lanes) {
        Some(n) if n <= most => Ok(()),
        found => Err(format!("all were served after {found:?} picks, allowed {most}")),
    }
}

/// The engine passes the check and a FIFO does not, or the check would be worth nothing.
#[track_caller]
pub(crate) fn fair_and_not_fifo(setup: &Setup, check: impl Fn(&mut dyn Queue) -> Verdict) {
    if let Err(problem) = check(&mut setup.warm_engine()) {
        panic!("{problem} ({setup:?})");
    }
    assert!(check(&mut setup.fifo()).is_err(), "a FIFO passed the check");
}
