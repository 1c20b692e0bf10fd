//! The expiry hook is called in time while every worker sits in its handler (the timekeeper's part).

use crate::lateness::{Lateness, Load, bare, measure};
use crate::tries::within_tries;
use fairlane::{Engine, Job};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

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

/// Of jobs with a deadline that come together with one whose handler takes long, those that begin after it.
fn late_beside_a_long_handler() -> u32 {
    const LONG: Duration = Duration::from_millis(60);
    const PATIENCE: Duration = Duration::from_millis(15);
    let late = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&late);
    // A job is the moment after which it is too late to begin, or none, or a long handler's.
    let engine = Engine::<Option<Instant>>::builder()
        .workers(1)
        .start(move |grant| match grant.into_payload() {
            Some(end) if end < Instant::now() => drop(seen.fetch_add(1, Relaxed)),
            Some(_) => {}
            None => std::thread::sleep(LONG),
        })
        .unwrap();
    let acme = engine.tenant("acme", "starter").unwrap();
    // Until the worker knows that handlers are fast, and is granted several jobs at once.
    let far = Instant::now() + Duration::from_secs(600);
    for _ in 0..20_000 {
        engine.submit_blocking(acme, Job::new(Some(far)), far).unwrap();
    }
    while engine.snapshot().depth > 1_000 {
        std::hint::spin_loop();
    }
    let end = Instant::now() + 2 * PATIENCE;
    let timed = || Job::new(Some(end)).max_wait(PATIENCE);
    let jobs = vec![timed(), Job::new(None), timed(), timed(), timed()];
    assert!(engine.submit_batch(acme, jobs).refused.is_empty());
    assert_eq!(engine.drain(Duration::from_secs(20)).returned.len(), 0);
    late.load(Relaxed)
}

// No job runs after its deadline, however long those before it have taken that were granted with it.
#[test]
fn a_job_does_not_miss_its_deadline_behind_a_long_handler() {
    assert_eq!((0..20).map(|_| late_beside_a_long_handler()).sum::<u32>(), 0);
}
