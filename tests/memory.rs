//! What the engine costs in memory (decision 5), by an allocator that counts.
//!
//! The tests measure the process, so they run one after the other under a lock.

#[path = "support/counting.rs"]
mod counting;
#[path = "support/rng.rs"]
mod rng;

use counting::{CALLS, LIVE};
use fairlane::{Engine, Grant, Job, Policy, Tenant};
use rng::Rng;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has left nothing behind that the next one counts.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn live() -> i64 {
    LIVE.load(Relaxed)
}

/// The limit of decision 5 for a tenant with a 12-byte name and nothing queued.
const IDLE_BYTES_MAX: f64 = 192.0;
const TENANTS: u32 = 100_000;

type Payload = [u64; 2];

fn engine(queue_max: u32) -> Engine<Payload> {
    let policy = Policy::builder().tenants_max(TENANTS).queue_max(queue_max).build().unwrap();
    Engine::builder().workers(1).policy(policy).build().unwrap()
}

/// A name of exactly `bytes` bytes.
fn name(number: u32, bytes: usize) -> String {
    format!("{number:0bytes$}")
}

fn register(engine: &Engine<Payload>) -> Vec<Tenant> {
    (0..TENANTS).map(|k| engine.tenant(&name(k, 12), "starter").unwrap()).collect()
}

#[test]
fn an_idle_tenant_costs_at_most_192_bytes() {
    let _alone = alone();
    let engine = engine(1_000_000);
    // A first name, so that what is made once is not charged to the tenants.
    let _ = engine.tenant(&name(u32::MAX, 12), "starter").unwrap();
    let before = live();
    for number in 1..TENANTS {
        let _ = engine.tenant(&name(number, 12), "starter").unwrap();
    }
    let each = (live() - before) as f64 / f64::from(TENANTS - 1);
    println!("an idle tenant costs {each:.1} bytes");
    assert!(each <= IDLE_BYTES_MAX, "an idle tenant costs {each:.1} bytes");
}

// The largest engine there may be: 8 bytes for each tenant that may come, and the rest with its name.
#[test]
fn an_engine_for_four_million_tenants_costs_what_its_names_do() {
    let _alone = alone();
    let before = live();
    let policy = Policy::builder().tenants_max(4_000_000).queue_max(10_000_000).build().unwrap();
    let engine: Engine<Payload> = Engine::builder().workers(1).policy(policy).build().unwrap();
    let made = live() - before;
    println!("an engine for 4,000,000 tenants begins with {:.1} MB", made as f64 / 1e6);
    assert!(made <= 8 * 4_000_000, "it begins with {made} bytes");
    for number in 0..TENANTS {
        let tenant = engine.tenant(&name(number, 12), "starter").unwrap();
        let _ = engine.submit(tenant, [u64::from(number), 0]).unwrap();
    }
    let mut worker = engine.worker().unwrap();
    let mut sum = 0;
    loop {
        let jobs = worker.next_batch(4_096).map(|grant| grant.into_payload()[0] + 1);
        match jobs.sum::<u64>() {
            0 => break,
            some => sum += some,
        }
    }
    assert_eq!(sum, u64::from(TENANTS) * u64::from(TENANTS + 1) / 2, "each job once");
}

// Decision 5: memory follows the work; what was queued once must not be kept for ever per tenant.
#[test]
fn a_tenant_that_was_busy_once_costs_no_more_than_an_idle_one() {
    let _alone = alone();
    let engine = engine(1_000_000);
    let _ = engine.tenant(&name(u32::MAX, 12), "starter").unwrap();
    let mut worker = engine.worker().unwrap();
    let before = live();
    for number in 1..TENANTS {
        let tenant = engine.tenant(&name(number, 12), "starter").unwrap();
        let _ = engine.submit(tenant, [0; 2]).unwrap();
        assert_eq!(worker.next_batch(1).count(), 1);
    }
    let each = (live() - before) as f64 / f64::from(TENANTS - 1);
    // Blocks, histograms and the like are made once; a tenth of a byte each allows 100 KB.
    assert!(each <= IDLE_BYTES_MAX + 2.0, "a tenant that was busy costs {each:.1} bytes");
}

#[test]
fn a_tenant_with_16_jobs_costs_at_most_1500_bytes() {
    let _alone = alone();
    for queue_max in [1_600_000, 3_200_000, 10_000_000] {
        let engine = engine(queue_max);
        let before = live();
        let tenants = register(&engine);
        let kept = (tenants.capacity() * size_of::<Tenant>()) as i64;
        let mut queued = 0u32;
        for &tenant in &tenants {
            queued += (0..16).filter(|&job| engine.submit(tenant, [job; 2]).is_ok()).count() as u32;
        }
        let each = (live() - before - kept) as f64 / f64::from(TENANTS);
        println!("queue_max {queue_max}: {each:.1} bytes with 16 jobs, {queued} queued");
        assert_eq!(queued, 16 * TENANTS, "queue_max {queue_max}");
        assert!(each <= 1_500.0, "queue_max {queue_max}: a tenant costs {each:.1} bytes");
    }
}

/// Submits and serves `jobs` jobs of 50 tenants, in bursts.
fn serve(engine: &Engine<Payload>, tenants: &[Tenant], jobs: u32) {
    let mut worker = engine.worker().unwrap();
    let mut rng = Rng(3);
    let mut served = 0;
    while served < jobs {
        for _ in 0..rng.below(100) {
            let to = tenants[rng.below(tenants.len() as u64) as usize];
            let _ = engine.submit(to, Job::new([1; 2]).cost(1 + rng.below(50) as u32)).unwrap();
        }
        served += worker.next_batch(1 + rng.below(100) as usize).count() as u32;
    }
    while worker.next_batch(100).count() > 0 {}
}

#[test]
fn steady_work_allocates_nothing_per_job() {
    let _alone = alone();
    let engine = engine(1_000_000);
    let tenants: Vec<Tenant> =
        (0..50).map(|k| engine.tenant(&name(k, 12), "starter").unwrap()).collect();
    serve(&engine, &tenants, 200_000);
    let before = CALLS.load(Relaxed);
    serve(&engine, &tenants, 200_000);
    let calls = CALLS.load(Relaxed) - before;
    // A new worker makes its few buffers; jobs make nothing.
    assert!(calls <= 32, "{calls} allocations for 200,000 jobs");
}

#[test]
fn steady_work_on_the_engines_own_threads_allocates_nothing_per_job() {
    let _alone = alone();
    // A small bound: blocks are made the first time that queues are so deep.
    let policy = Policy::builder().default_queue_max(100).build().unwrap();
    let builder = Engine::builder().policy(policy).workers(2);
    let engine = builder.start(|grant: Grant<Payload>| drop(grant)).unwrap();
    let tenants: Vec<Tenant> =
        (0..50).map(|k| engine.tenant(&name(k, 12), "starter").unwrap()).collect();
    let submit = |jobs: u32| {
        for job in 0..jobs {
            let to = tenants[job as usize % tenants.len()];
            while engine.submit(to, [1; 2]).is_err() {
                std::thread::yield_now();
            }
        }
        while engine.snapshot().depth > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    submit(200_000);
    let before = CALLS.load(Relaxed);
    for job in 0..200_000u32 {
        let to = tenants[job as usize % tenants.len()];
        while engine.submit(to, [1; 2]).is_err() {
            std::thread::yield_now();
        }
    }
    let calls = CALLS.load(Relaxed) - before;
    assert!(calls <= 32, "{calls} allocations for 200,000 jobs");
}
