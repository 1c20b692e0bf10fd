//! Question: how many instructions do a submission and a dispatched job cost on the backlogged path?
//!
//! Runs under callgrind, which counts them the same on every machine: `ci/instructions.sh` says how
//! and compares with the figures on record. Run plainly it only checks that every job arrives.
//!
//! `fairlane-instructions [TENANTS [DEPTH [LIMITS]]]`: with one job per tenant every job activates its lane; LIMITS
//! is a rate such as `"1000000000 jobs per 1s smooth"` for every tenant, with a concurrency, or `budget` for
//! one budget that all share; none of them binds.

use fairlane::{Clock, Engine, Job, ManualClock, Nanos, Policy, Tenant, Worker};
use std::hint::black_box;

type Payload = [u64; 2];

const ROUNDS: u64 = 16;
/// Jobs taken at once, as by the systems compared in `rivals/`.
const BATCH: usize = 64;
/// What a job takes: fast, so that every 64th is timed.
const JOB_NS: u64 = 100;

/// Counted: one call per job, for lanes in turn.
#[inline(never)]
fn submit_all(engine: &Engine<Payload>, tenants: &[Tenant], depth: u32) {
    for number in 0..depth {
        for &tenant in tenants {
            let job = Job::new([u64::from(number), 0]);
            assert!(engine.submit(tenant, job).is_ok());
        }
    }
}

/// Counted: batches until nothing is left, each grant ended on the spot.
#[inline(never)]
fn dispatch_all(worker: &mut Worker<Payload>, clock: &ManualClock) -> u64 {
    let mut jobs = 0;
    loop {
        let before = jobs;
        for grant in worker.tick(clock.now(), BATCH) {
            jobs += 1;
            black_box(grant.into_payload());
        }
        if jobs == before {
            return jobs;
        }
        clock.advance(Nanos(JOB_NS * (jobs - before)));
    }
}

/// The policy's tier with limits that never bind.
fn limits_of_all(limits: &str) -> String {
    let limits = match limits {
        "budget" => "budgets = 'all'\n[budgets.all]\nhard = 'cost 1000000000000000'\n".to_owned(),
        rate => format!("rate = '{rate}'\nconcurrency = 1000000\n"),
    };
    format!("[tiers.starter]\nweight = 1\n{limits}")
}

fn main() {
    let number = |at| std::env::args().nth(at)?.parse().ok();
    let (tenants, depth) = (number(1).unwrap_or(8), number(2).unwrap_or(1_024));
    // On a clock of its own, so that the engine finds the same pace at every speed.
    let clock = ManualClock::new();
    let limits = std::env::args().nth(3).map(|limits| limits_of_all(&limits));
    let text = format!(
        "[engine]\ntenants_max = {tenants}\nqueue_max = {}\n[defaults]\nqueue_max = {depth}\n{}",
        2 * tenants * depth.max(32),
        limits.unwrap_or_default(),
    );
    let policy = Policy::from_toml(&text).expect("the sizes and the rate are in range");
    let engine = Engine::builder()
        .policy(policy)
        .workers(1)
        .clock(Clock::Manual(clock.clone()))
        .build()
        .expect("one worker is in range");
    let mut worker = engine.worker().expect("the only worker place is free");
    let name = |number: u32| engine.tenant(&format!("tenant-{number}"), "starter");
    let handles: Vec<Tenant> = (0..tenants).map(|number| name(number).expect("room")).collect();
    let mut dispatched = 0;
    for _ in 0..ROUNDS {
        submit_all(&engine, &handles, depth);
        dispatched += dispatch_all(&mut worker, &clock);
    }
    assert_eq!(dispatched, ROUNDS * u64::from(tenants * depth));
    println!("{dispatched}");
}
