//! Many producers, tenants and workers at once, with refusals, policy swaps and snapshots: nothing
//! is lost, nothing runs twice, lanes stay in order, and the sums agree (decisions 3, 11, 16;
//! verification.md, "real threads").
//!
//! `FAIRLANE_STRESS_JOBS` sets the number of jobs of the two large runs.

#[path = "stress/limits.rs"]
mod limits;
#[path = "stress/load.rs"]
mod load;
#[path = "stress/producer.rs"]
mod producer;
#[path = "stress/register.rs"]
mod register;
#[path = "stress/run.rs"]
mod run;
#[path = "stress/watch.rs"]
mod watch;

use limits::Limited;
use run::Stress;
use std::time::Duration;

fn jobs() -> u32 {
    let jobs = std::env::var("FAIRLANE_STRESS_JOBS").ok();
    jobs.map_or(2_000_000, |jobs| jobs.parse().expect("FAIRLANE_STRESS_JOBS is a number"))
}

#[test]
fn every_accepted_job_ends_once_whatever_happens_around_it() {
    let stress = Stress::new(jobs(), 3);
    let report = stress.run_to_the_end();
    assert_eq!((report.running, report.unpublished), (0, 0));
}

#[test]
fn a_drain_among_producers_accounts_for_every_accepted_job() {
    for round in 0..5 {
        let stress = Stress::new(60_000, 3);
        stress.run_until_drained(Duration::from_millis(1 + 3 * round));
    }
}

#[test]
fn one_worker_runs_each_producers_jobs_of_a_tenant_in_order() {
    let stress = Stress::new(200_000, 1);
    let _ = stress.run_to_the_end();
    stress.register.assert_in_order();
}

#[test]
fn every_workers_grants_of_a_tenant_come_in_each_producers_order() {
    let stress = Stress::new(jobs(), 3);
    stress.run_pulled();
    stress.register.assert_in_order();
}

#[test]
fn jobs_of_limited_tenants_end_once_whatever_brings_their_lanes_back() {
    Limited::new(60_000).run_to_the_end();
}
