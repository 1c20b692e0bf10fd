//! Question: what does a visit cost, by the number of backlogged lanes?
//!
//! One thread. Quantum and cost are 1, so every visit grants one job and its lane stays in the
//! rotation. Filling the lanes is not timed. Figures are per visit, with the job granted and
//! dropped in it; beyond some thousand lanes they are the price of cache misses.

#[path = "support/machine.rs"]
mod machine;
#[path = "support/setup.rs"]
mod setup;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Throughput};
use fairlane::{Engine, Tenant, Worker};
use setup::{Payload, empty, engine, jobs};
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LANES: [u32; 4] = [64, 1_000, 10_000, 100_000];
/// Grants asked for at once.
const AT_ONCE: u64 = 64;
/// Fewest visits that are timed in one go; well below the jobs of a fill.
const STRETCH_MIN: u64 = 20_000;

/// Jobs put into each lane before a timed stretch.
fn depth(lanes: u32) -> u32 {
    (1_600_000 / lanes).clamp(16, 1_024)
}

fn fill(engine: &Engine<Payload>, tenants: &[Tenant]) -> u64 {
    let jobs_each = depth(tenants.len() as u32);
    for &tenant in tenants {
        let batch = engine.submit_batch(tenant, jobs(0, jobs_each));
        assert!(batch.refused.is_empty(), "the engine has room for every lane");
    }
    tenants.len() as u64 * u64::from(jobs_each)
}

/// The first round grants one job to every lane, and nothing is lost after it.
fn check(engine: &Engine<Payload>, worker: &mut Worker<Payload>, tenants: &[Tenant]) {
    let jobs = fill(engine, tenants);
    let mut seen = HashSet::new();
    while seen.len() < tenants.len() {
        let left = (tenants.len() - seen.len()).min(4_096);
        for grant in worker.next_batch(left) {
            assert!(seen.insert(grant.tenant()), "a lane had two turns in one round");
        }
    }
    assert_eq!(empty(worker), jobs - tenants.len() as u64);
}

/// The time that `visits` visits take among full lanes. Fewer than [`STRETCH_MIN`] are measured as
/// that many and scaled: a handful of visits after a fill says nothing about the steady state.
fn measure(
    engine: &Engine<Payload>,
    worker: &mut Worker<Payload>,
    tenants: &[Tenant],
    visits: u64,
) -> Duration {
    let (mut took, mut done) = (Duration::ZERO, 0);
    while done < visits {
        let jobs = fill(engine, tenants);
        // The first round takes lanes from the fresh set and is not timed; a quarter of the jobs
        // stays, so that no lane runs empty.
        serve(worker, tenants.len() as u64);
        let stretch = (visits - done).clamp(STRETCH_MIN, (jobs / 2).max(STRETCH_MIN));
        let start = Instant::now();
        serve(worker, stretch);
        took += start.elapsed();
        done += stretch;
        empty(worker);
    }
    took.mul_f64(visits as f64 / done as f64)
}

/// Takes and drops `jobs` jobs.
fn serve(worker: &mut Worker<Payload>, jobs: u64) {
    let mut left = jobs;
    while left > 0 {
        left -= worker.next_batch(AT_ONCE.min(left) as usize).count() as u64;
    }
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.throughput(Throughput::Elements(1));
    for lanes in LANES {
        let (engine, mut worker, tenants) = engine(lanes, depth(lanes), 1);
        check(&engine, &mut worker, &tenants);
        group.bench_function(BenchmarkId::new("visit", lanes), |b| {
            b.iter_custom(|visits| measure(&engine, &mut worker, &tenants, visits));
        });
    }
}

fn main() {
    machine::announce("rotation: what does a visit cost, by the number of backlogged lanes?");
    let mut criterion = setup::criterion();
    let mut group = criterion.benchmark_group("rotation");
    bench(&mut group);
    group.finish();
    criterion.final_summary();
}
