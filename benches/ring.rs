//! Question: what does one job of one tenant cost, in and out, alone and among others?
//!
//! One thread, one tenant, no handler: a job is submitted, granted and dropped. So this is the cost
//! of the ring and its visit without a cache line changing hands. Figures are per job.

#[path = "support/machine.rs"]
mod machine;
#[path = "support/setup.rs"]
mod setup;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Throughput};
use fairlane::{Engine, Job, Tenant, Worker};
use setup::{Payload, empty, engine, jobs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AT_ONCE: u32 = 64;

/// What goes in comes out, once and in order.
fn check(engine: &Engine<Payload>, worker: &mut Worker<Payload>, tenant: Tenant) {
    for job in jobs(0, 1_000) {
        let _ = engine.submit(tenant, job).expect("there is room");
    }
    assert!(engine.submit_batch(tenant, jobs(1_000, 1_000)).refused.is_empty());
    let numbers: Vec<u64> = worker.next_batch(4_096).map(|grant| grant.payload()[0]).collect();
    assert!(numbers.iter().copied().eq(0..2_000), "jobs are lost, repeated or out of order");
    assert_eq!(empty(worker), 0);
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (engine, mut worker, tenants) = engine(1, 4_096, 20);
    let tenant = tenants[0];
    check(&engine, &mut worker, tenant);

    group.throughput(Throughput::Elements(1));
    group.bench_function("one", |b| {
        b.iter(|| {
            let _ = engine.submit(tenant, Job::new([1, 2])).expect("there is room");
            assert_eq!(worker.next_batch(1).count(), 1);
        });
    });

    group.throughput(Throughput::Elements(u64::from(AT_ONCE)));
    group.bench_function("64_one_by_one", |b| {
        b.iter(|| {
            for number in 0..u64::from(AT_ONCE) {
                let _ = engine.submit(tenant, Job::new([number, 2])).expect("there is room");
            }
            assert_eq!(worker.next_batch(AT_ONCE as usize).count(), AT_ONCE as usize);
        });
    });
    group.bench_function("64_as_a_batch", |b| {
        b.iter_batched(
            || jobs(0, AT_ONCE),
            |batch| {
                assert_eq!(engine.submit_batch(tenant, batch).accepted, AT_ONCE as usize);
                assert_eq!(worker.next_batch(AT_ONCE as usize).count(), AT_ONCE as usize);
            },
            BatchSize::SmallInput,
        );
    });
}

fn main() {
    machine::announce("ring: what does one job of one tenant cost, in and out?");
    let mut criterion = setup::criterion();
    let mut group = criterion.benchmark_group("ring");
    bench(&mut group);
    group.finish();
    criterion.final_summary();
}
