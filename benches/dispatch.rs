//! Question: what does a grant cost, by the number asked for at once and by how it ends?
//!
//! One thread, 1,000 backlogged tenants at the default quantum. Only taking grants and ending them
//! is timed. `complete` and `drop` are the same by contract and should measure the same; `settle`
//! with another cost books a correction. `drop_each_timed` has every job's wait timed instead of one of
//! 64, as where handlers take a microsecond or more; here by an observer, which hears of each visit
//! and does nothing. Figures are per grant.

#[path = "support/machine.rs"]
mod machine;
#[path = "support/setup.rs"]
mod setup;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Throughput};
use fairlane::{Engine, Grant, Observer, Tenant, Worker};
use setup::{Payload, empty, engine, jobs};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Idle;

impl Observer for Idle {}

const TENANTS: u32 = 1_000;
const DEPTH: u32 = 512;
const QUANTUM: u32 = 20;
/// Fewest grants that are timed in one go.
const STRETCH_MIN: u64 = 20_000;

fn fill(engine: &Engine<Payload>, tenants: &[Tenant]) -> u64 {
    for &tenant in tenants {
        assert!(engine.submit_batch(tenant, jobs(0, DEPTH)).refused.is_empty());
    }
    u64::from(TENANTS) * u64::from(DEPTH)
}

/// Equal tenants are served equally, and every way of ending a grant settles it.
fn check(engine: &Engine<Payload>, worker: &mut Worker<Payload>, tenants: &[Tenant]) {
    let jobs = fill(engine, tenants);
    let mut served = vec![0u32; tenants.len()];
    for _ in 0..100 {
        for (number, grant) in worker.next_batch(1_000).enumerate() {
            served[grant.tenant().slot() as usize] += 1;
            match number % 3 {
                0 => drop(grant),
                1 => grant.complete(),
                _ => grant.settle(1),
            }
        }
    }
    let (least, most) = (served.iter().min(), served.iter().max());
    // At any moment two lanes are at most a turn apart, and both ends of the run cut a round.
    assert!(most.unwrap() - least.unwrap() <= 2 * QUANTUM, "{least:?} and {most:?} jobs");
    assert_eq!(empty(worker), jobs - 100_000);
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.running, snapshot.depth, snapshot.dispatched), (0, 0, jobs));
}

/// The time that `grants` grants take, `at_once` of them at a time, each ended by `end`. Fewer than
/// [`STRETCH_MIN`] are measured as that many and scaled.
fn measure(
    engine: &Engine<Payload>,
    worker: &mut Worker<Payload>,
    tenants: &[Tenant],
    (at_once, grants): (usize, u64),
    end: impl Fn(Grant<Payload>),
) -> Duration {
    let (mut took, mut done) = (Duration::ZERO, 0);
    while done < grants {
        let jobs = fill(engine, tenants);
        let stretch = (grants - done).clamp(STRETCH_MIN, jobs / 2);
        let start = Instant::now();
        let mut left = stretch;
        while left > 0 {
            for grant in worker.next_batch(at_once.min(left as usize)) {
                left -= 1;
                end(grant);
            }
        }
        took += start.elapsed();
        done += stretch;
        empty(worker);
    }
    took.mul_f64(grants as f64 / done as f64)
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (engine, mut worker, tenants) = engine(TENANTS, DEPTH, QUANTUM);
    check(&engine, &mut worker, &tenants);
    group.throughput(Throughput::Elements(1));
    for at_once in [1, 8, 64, 512] {
        group.bench_function(BenchmarkId::new("drop", at_once), |b| {
            b.iter_custom(|n| measure(&engine, &mut worker, &tenants, (at_once, n), drop));
        });
    }
    group.bench_function(BenchmarkId::new("complete", 64), |b| {
        b.iter_custom(|n| measure(&engine, &mut worker, &tenants, (64, n), Grant::complete));
    });
    group.bench_function(BenchmarkId::new("settle_dearer", 64), |b| {
        let end = |grant: Grant<Payload>| grant.settle(2);
        b.iter_custom(|n| measure(&engine, &mut worker, &tenants, (64, n), end));
    });
    let observed = Engine::builder().observer(Idle);
    let (engine, mut worker, tenants) = setup::build(observed, (TENANTS, DEPTH, QUANTUM));
    check(&engine, &mut worker, &tenants);
    let waits = engine.snapshot().tiers.iter().map(|tier| tier.queue_delay.count).sum::<u64>();
    assert_eq!(waits, u64::from(TENANTS * DEPTH), "every job is timed");
    group.bench_function(BenchmarkId::new("drop_each_timed", 64), |b| {
        b.iter_custom(|n| measure(&engine, &mut worker, &tenants, (64, n), drop));
    });
}

fn main() {
    machine::announce("dispatch: what does a grant cost, by batch and by how it ends?");
    let mut criterion = setup::criterion();
    let mut group = criterion.benchmark_group("dispatch");
    bench(&mut group);
    group.finish();
    criterion.final_summary();
}
