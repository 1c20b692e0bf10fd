//! Engines without threads, and criterion with short times, so that all benchmarks take minutes.

use criterion::Criterion;
use fairlane::{Builder, Engine, Job, Policy, Tenant, Worker};
use std::time::Duration;

/// What a job carries: 16 bytes.
pub(crate) type Payload = [u64; 2];

/// An engine for `tenants` tenants of weight 1 with room for `jobs` jobs each, its only worker, and
/// the tenants.
pub(crate) fn engine(
    tenants: u32,
    jobs: u32,
    base_quantum: u32,
) -> (Engine<Payload>, Worker<Payload>, Vec<Tenant>) {
    build(Engine::builder(), (tenants, jobs, base_quantum))
}

/// The same of a builder that has been told more.
pub(crate) fn build(
    builder: Builder<Payload>,
    (tenants, jobs, base_quantum): (u32, u32, u32),
) -> (Engine<Payload>, Worker<Payload>, Vec<Tenant>) {
    let policy = Policy::builder()
        .tenants_max(tenants)
        // Twice the room: the last eighth is kept for light tenants, and blocks fill unevenly.
        .queue_max(2 * tenants * jobs)
        .default_queue_max(jobs)
        .base_quantum(base_quantum)
        .build()
        .expect("the sizes are in range");
    let engine = builder.policy(policy).workers(1).build().expect("1 worker is in range");
    let worker = engine.worker().expect("the only worker place is free");
    let name = |number: u32| engine.tenant(&format!("tenant-{number}"), "starter");
    let handles = (0..tenants).map(|number| name(number).expect("the table has room"));
    let handles = handles.collect();
    (engine, worker, handles)
}

/// Jobs of cost 1, numbered from `first`.
pub(crate) fn jobs(first: u64, count: u32) -> Vec<Job<Payload>> {
    (first..first + u64::from(count)).map(|number| Job::new([number, !number])).collect()
}

/// Takes out and drops everything that waits. The lanes are idle afterwards.
pub(crate) fn empty(worker: &mut Worker<Payload>) -> u64 {
    let mut taken = 0;
    loop {
        match worker.next_batch(4_096).count() {
            0 => return taken,
            jobs => taken += jobs as u64,
        }
    }
}

/// Criterion with short times; flags on the command line win.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .configure_from_args()
}
