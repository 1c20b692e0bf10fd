//! The runs of `tests/stress.rs`, as a program: the test harness has threads and locks of its own
//! that ThreadSanitizer cannot see into.
//!
//! `FAIRLANE_STRESS_JOBS` sets the number of jobs of the large run.

#[path = "../../tests/stress/limits.rs"]
mod limits;
#[path = "../../tests/stress/load.rs"]
mod load;
#[path = "../../tests/stress/producer.rs"]
mod producer;
#[path = "../../tests/stress/register.rs"]
mod register;
#[path = "../../tests/stress/run.rs"]
mod run;
#[path = "../../tests/stress/watch.rs"]
mod watch;

use fairlane::Engine;
use limits::Limited;
use run::Stress;
use std::time::Duration;

fn jobs() -> u32 {
    let jobs = std::env::var("FAIRLANE_STRESS_JOBS").ok();
    jobs.map_or(500_000, |jobs| jobs.parse().expect("FAIRLANE_STRESS_JOBS is a number"))
}

/// Initialises, on the one thread there is, what is initialised once: the standard library's `Once`
/// comes without instrumentation, so that ThreadSanitizer would not see it order anything.
fn warm_up() {
    let passive = Engine::builder().build().expect("the default policy is good");
    let tenant = passive.tenant("tenant", "starter").expect("there is room");
    let _ = passive.submit(tenant, 1).expect("there is room");
    // The drain looks at the worker's shelf, and so sets up the epochs of its memory.
    let active = Engine::<u32>::builder().workers(1).start(drop).expect("one thread");
    let _ = active.drain(Duration::ZERO);
}

fn main() {
    warm_up();
    let report = Stress::new(jobs(), 3).run_to_the_end();
    assert_eq!((report.running, report.unpublished), (0, 0));
    for round in 0..5 {
        Stress::new(jobs() / 10, 3).run_until_drained(Duration::from_millis(1 + 3 * round));
    }
    let ordered = Stress::new(jobs() / 5, 3);
    ordered.run_pulled();
    ordered.register.assert_in_order();
    Limited::new(jobs() / 10).run_to_the_end();
}
