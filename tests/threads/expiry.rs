//! The expiry hook is called in time while every worker sits in its handler (the timekeeper's part).

use crate::lateness::{Lateness, Load, bare, measure};
use crate::tries::within_tries;
use std::time::Duration;

/// How late 99 of 100 expiries may be told.
const WANTED: Duration = Duration::from_millis(5);
/// Half a second of 100,000 expiries a second.
const LOAD: Load = Load {
    tenants: 50,
    per_second: 100_000,
    jobs: 50_000,
    patience: Duration::from_millis(50),
    spins: false,
    hook: Duration::ZERO,
};

/// Passes what is wanted, on top of what a plain thread that sleeps to such moments gets on this machine.
fn judge(load: Load) -> Result<String, String> {
    let machine = bare(Load { jobs: load.jobs.min(20_000), ..load });
    let late = measure(load);
    let figures = format!("{late}; a plain thread: {machine}");
    if late.p99 < WANTED + 2 * machine.p99 { Ok(figures) } else { Err(figures) }
}

#[test]
fn expiries_are_told_in_time_while_every_worker_sits_in_a_handler() {
    within_tries("expiries", 5, || judge(LOAD));
}

// Negative control: a hook that cannot keep up is late, and found to be.
#[test]
fn a_hook_that_takes_longer_than_there_is_between_deadlines_is_noticed() {
    within_tries("a slow hook", 1, || {
        let slow = Load { jobs: 500, hook: Duration::from_millis(1), ..LOAD };
        match judge(slow) {
            Ok(figures) => Err(format!("passed: {figures}")),
            Err(figures) => Ok(figures),
        }
    });
}

#[test]
fn the_ranks_are_those_of_the_sorted_figures() {
    let late = Lateness::of((1..=200).rev().map(|us| us * 1_000).collect(), 3);
    let us = Duration::from_micros;
    assert_eq!((late.p50, late.p99, late.max), (us(100), us(198), us(200)));
    assert_eq!((late.expired, late.ran), (200, 3));
    assert_eq!(
        Lateness::of(Vec::new(), 0).p99,
        Duration::from_nanos(u64::MAX),
        "nothing is not early"
    );
}
