//! Question: what does a submission cost its caller, by the state of the lane, and a refusal?
//!
//! One thread, so nobody contends for the lane's word. Making room again is not timed. Figures are
//! per job. `idle_lane` pays for putting the lane into the rotation and for a block; `full` is what
//! a caller pays to be told no, and gets the job back.

#[path = "support/machine.rs"]
mod machine;
#[path = "support/setup.rs"]
mod setup;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use fairlane::{Engine, Job, Reason, Tenant, Worker};
use setup::{Payload, empty, engine, jobs};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENANTS: u32 = 1_000;
const DEPTH: u32 = 4_096;
const BATCH: u32 = 64;

struct Rig {
    engine: Engine<Payload>,
    worker: Worker<Payload>,
    tenants: Vec<Tenant>,
}

impl Rig {
    fn new() -> Rig {
        let (engine, worker, tenants) = engine(TENANTS, DEPTH, 20);
        Rig { engine, worker, tenants }
    }

    /// A lane takes as many jobs as its bound says, and refuses the next one whole.
    fn check(&mut self) {
        for _ in 0..DEPTH {
            let _ = self.engine.submit(self.tenants[0], [1, 2]).expect("within the bound");
        }
        let refused = self.engine.submit(self.tenants[0], [3, 4]).expect_err("at the bound");
        assert_eq!((refused.reason(), refused.into_payload()), (Reason::QueueFull, [3, 4]));
        assert_eq!(empty(&mut self.worker), u64::from(DEPTH));
    }

    /// Times `jobs` submissions in stretches of up to `most`; lanes are emptied in between.
    fn timed(&mut self, jobs: u64, most: u32, mut submit: impl FnMut(&Rig, u64)) -> Duration {
        let mut took = Duration::ZERO;
        let mut left = jobs;
        while left > 0 {
            let stretch = u64::from(most).min(left);
            let start = Instant::now();
            submit(self, stretch);
            took += start.elapsed();
            empty(&mut self.worker);
            left -= stretch;
        }
        took
    }

    fn to(&self, tenant: usize) {
        let _ = self.engine.submit(self.tenants[tenant], Job::new([1, 2])).expect("there is room");
    }

    /// Batches of 64, made beforehand.
    fn batches(&mut self, jobs_asked: u64) -> Duration {
        let mut took = Duration::ZERO;
        let mut left = jobs_asked.div_ceil(u64::from(BATCH));
        while left > 0 {
            let count = left.min(u64::from(DEPTH / BATCH));
            let batches: Vec<_> = (0..count).map(|_| jobs(0, BATCH)).collect();
            let start = Instant::now();
            for batch in batches {
                assert!(self.engine.submit_batch(self.tenants[0], batch).refused.is_empty());
            }
            took += start.elapsed();
            empty(&mut self.worker);
            left -= count;
        }
        // Whole batches were timed; the figure is for the jobs asked for.
        let timed = jobs_asked.div_ceil(u64::from(BATCH)) * u64::from(BATCH);
        took.mul_f64(jobs_asked as f64 / timed as f64)
    }
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut rig = Rig::new();
    rig.check();
    group.throughput(Throughput::Elements(1));
    group.bench_function("backlogged_lane", |b| {
        b.iter_custom(|jobs| {
            rig.timed(jobs, DEPTH, |rig, stretch| (0..stretch).for_each(|_| rig.to(0)))
        });
    });
    group.bench_function("idle_lane", |b| {
        b.iter_custom(|jobs| {
            rig.timed(jobs, TENANTS, |rig, stretch| {
                (0..stretch as usize).for_each(|tenant| rig.to(tenant));
            })
        });
    });
    group.bench_function("batch_of_64", |b| b.iter_custom(|jobs| rig.batches(jobs)));

    (0..DEPTH).for_each(|_| rig.to(0));
    group.bench_function("full", |b| {
        b.iter(|| {
            let refused = rig.engine.submit(rig.tenants[0], Job::new([3, 4])).expect_err("full");
            refused.into_payload()
        });
    });
}

fn main() {
    machine::announce("submit: what does a submission cost its caller, and a refusal?");
    let mut criterion = setup::criterion();
    let mut group = criterion.benchmark_group("submit");
    bench(&mut group);
    group.finish();
    criterion.final_summary();
}
