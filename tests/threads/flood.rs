//! A light tenant does not feel a flood (decision 4, light_under_flood); behind a FIFO it does.

use crate::rng::Rng;
use crate::tries::within_tries;
use fairlane::{Engine, Grant, Policy, Weight};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const LIGHT: usize = 50;
/// Two workers with handlers of 1 ms do 2 jobs a millisecond.
const CAPACITY: u32 = 2;
const RUN_MS: u32 = 900;

/// A job, numbered if it is a light tenant's.
#[derive(Clone, Copy)]
struct Ask {
    light: Option<usize>,
    at: Instant,
}

/// How long the light jobs waited, in microseconds; `u64::MAX` for those that still wait.
struct Waits(Vec<AtomicU64>);

impl Waits {
    fn new() -> Arc<Waits> {
        let most = RUN_MS as usize * LIGHT;
        Arc::new(Waits((0..most).map(|_| AtomicU64::new(u64::MAX)).collect()))
    }

    fn handle(&self, ask: &Ask) {
        if let Some(number) = ask.light {
            self.0[number].store(ask.at.elapsed().as_micros() as u64, Relaxed);
        }
        thread::sleep(Duration::from_millis(1));
    }

    /// The 99th percentile over the light jobs asked for; one that still waits has waited until
    /// now.
    fn p99(&self, asked: &[Instant]) -> Duration {
        let wait = |(slot, at): (&AtomicU64, &Instant)| {
            slot.load(Relaxed).min(at.elapsed().as_micros() as u64)
        };
        let mut waits: Vec<u64> = self.0.iter().zip(asked).map(wait).collect();
        waits.sort_unstable();
        Duration::from_micros(waits[waits.len() * 99 / 100])
    }
}

/// Every millisecond: 1 % of the capacity for each light tenant, at random, and the flood.
fn offer(flood: bool, mut submit: impl FnMut(usize, Ask)) -> Vec<Instant> {
    let (start, mut rng, mut asked) = (Instant::now(), Rng(7), Vec::new());
    for ms in 0..RUN_MS {
        let due = start + Duration::from_millis(ms.into());
        thread::sleep(due.saturating_duration_since(Instant::now()));
        for light in 0..LIGHT {
            if rng.below(100) < u64::from(CAPACITY) {
                let ask = Ask { light: Some(asked.len()), at: Instant::now() };
                asked.push(ask.at);
                submit(1 + light, ask);
            }
        }
        for _ in 0..if flood { 10 * CAPACITY } else { 0 } {
            submit(0, Ask { light: None, at: Instant::now() });
        }
    }
    asked
}

fn policy() -> Policy {
    let policy = Policy::builder().queue_max(200_000).default_queue_max(100_000);
    policy.tier("all", Weight::new(1.0).unwrap()).default_tier("all").build().unwrap()
}

fn fair(flood: bool) -> Duration {
    let waits = Waits::new();
    let noted = Arc::clone(&waits);
    let handler = move |grant: Grant<Ask>| noted.handle(grant.payload());
    let engine = Engine::builder().workers(2).policy(policy()).start(handler).unwrap();
    let name = |k| engine.tenant(&format!("tenant-{k}"), "all").unwrap();
    let tenants: Vec<_> = (0..=LIGHT).map(name).collect();
    let asked = offer(flood, |tenant, ask| {
        assert!(engine.submit(tenants[tenant], ask).is_ok());
    });
    thread::sleep(Duration::from_millis(20));
    let p99 = waits.p99(&asked);
    drop(engine.drain(Duration::ZERO));
    p99
}

/// The same threads with one queue for everybody.
fn fifo() -> Duration {
    let waits = Waits::new();
    let queue = (Mutex::new(VecDeque::<Ask>::new()), Condvar::new());
    let ends = AtomicBool::new(false);
    let work = || {
        while !ends.load(Relaxed) {
            let jobs = queue.0.lock().unwrap();
            let wait = Duration::from_millis(5);
            let mut jobs =
                queue.1.wait_timeout_while(jobs, wait, |jobs| jobs.is_empty()).unwrap().0;
            let job = jobs.pop_front();
            drop(jobs);
            job.iter().for_each(|ask| waits.handle(ask));
        }
    };
    thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(work)));
        let asked = offer(true, |_, ask| {
            queue.0.lock().unwrap().push_back(ask);
            queue.1.notify_one();
        });
        let p99 = waits.p99(&asked);
        ends.store(true, Relaxed);
        p99
    })
}

#[test]
fn light_tenants_wait_no_longer_beside_a_flood_than_alone() {
    within_tries("light_under_flood", 5, || {
        let (alone, beside, behind) = (fair(false), fair(true), fifo());
        let figures = format!(
            "p99 {alone:?} alone, {beside:?} beside the flood, {behind:?} behind it in a FIFO"
        );
        // Handlers sleep whole milliseconds: one more is the granularity.
        let holds = beside <= 2 * alone + Duration::from_millis(1);
        if holds && behind >= 10 * beside { Ok(figures) } else { Err(figures) }
    });
}
