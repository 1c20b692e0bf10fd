//! The engine's own interface, in the smallest setting.

use super::harness::check;
use crate::{Clock, Engine, ManualClock, Policy};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

/// A producer, a worker that waits for jobs, and a drain: every accepted job is run or handed back,
/// and the worker leaves.
/// Bound: 2 preemptions.
#[test]
fn engine_shutdown() {
    check("engine_shutdown", Some(2), || {
        let policy = Policy::builder().tenants_max(4).queue_max(8).build().unwrap();
        let clock = Clock::Manual(ManualClock::new());
        let engine = Engine::<u64>::builder().policy(policy).workers(1).clock(clock).build();
        let engine = Arc::new(engine.unwrap());
        let tenant = engine.tenant("tenant", "starter").unwrap();
        let producer = Arc::clone(&engine);
        let producer = thread::spawn(move || producer.submit(tenant, 1).is_ok());
        let mut worker = engine.worker().unwrap();
        let worker = thread::spawn(move || {
            let mut ran = 0;
            loop {
                let jobs = worker.wait_batch(1, Duration::MAX).count();
                if jobs == 0 {
                    return ran;
                }
                ran += jobs;
            }
        });
        let report = engine.drain(Duration::ZERO);
        let accepted = producer.join().unwrap();
        let ran = worker.join().unwrap();
        assert_eq!(usize::from(accepted), ran + report.returned.len());
    });
}
