//! What threads use of the machine when there is nothing to do: nothing (contract C-20), and little while an
//! unfinished producer is all there is to wait for (decision 15).

use crate::proc::{Used, engine_threads};
use crate::tries::{Held, fill_while_held, is_ordinary, within_tries};
use fairlane::{Engine, testing};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long is looked, and the time before in which threads come to rest.
const SPAN: Duration = Duration::from_millis(500);
const SETTLES: Duration = Duration::from_millis(100);

/// What each of the threads uses within the span.
fn used_by(threads: &[PathBuf]) -> Vec<Used> {
    thread::sleep(SETTLES);
    let used = || threads.iter().map(|thread| Used::by(thread));
    let before: Vec<_> = used().collect();
    thread::sleep(SPAN);
    used().zip(before).map(|(now, before)| now.since(before)).collect()
}

/// Whether no thread has used more than this: its bounds do not depend on what else the machine does.
fn within(used: &[Used], cpu: Duration, waits: u64) -> Result<String, String> {
    let figures = format!("{used:?} in {SPAN:?}, at most {cpu:?} and {waits} waits each");
    let is_within = used.iter().all(|used| used.cpu <= cpu && used.waits <= waits);
    if is_within { Ok(figures) } else { Err(figures) }
}

/// An engine, its own threads, and a count of the jobs that have run.
fn start(workers: usize) -> (Engine<Held>, Vec<PathBuf>, Arc<AtomicU64>) {
    let (before, runs) = (engine_threads(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&runs);
    let handler = move |grant| {
        is_ordinary(&grant);
        counted.fetch_add(1, Relaxed);
    };
    let engine = Engine::builder().workers(workers).start(handler).unwrap();
    // A new thread has its maker's name until it has said its own.
    let limit = Instant::now() + Duration::from_secs(5);
    let mut threads = Vec::new();
    while threads.len() < workers + 1 {
        assert!(
            Instant::now() < limit,
            "a thread for each worker, and the timekeeper: {threads:?}"
        );
        threads = engine_threads().difference(&before).cloned().collect();
    }
    (engine, threads, runs)
}

fn await_runs(runs: &AtomicU64, number: u64) {
    let limit = Instant::now() + Duration::from_secs(5);
    while runs.load(Relaxed) < number {
        assert!(Instant::now() < limit, "{} of {number} jobs ran", runs.load(Relaxed));
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_idle_engine_uses_no_processor_time() {
    within_tries("idle engine", 3, || {
        let (engine, threads, runs) = start(2);
        let fresh = within(&used_by(&threads), Duration::from_millis(5), 5)?;
        // The same once all have worked.
        let tenant = engine.tenant("acme", "scale").unwrap();
        (0..1_000).for_each(|_| assert!(engine.submit(tenant, None).is_ok()));
        await_runs(&runs, 1_000);
        let worked = within(&used_by(&threads), Duration::from_millis(5), 5)?;
        Ok(format!("{fresh}; after work {worked}"))
    });
}

/// What each thread of an engine with so many workers uses while an unfinished producer is all there is.
fn beside_an_unfinished_producer(workers: usize) -> Result<String, String> {
    let (engine, threads, runs) = start(workers);
    let (holder, tenant) =
        (engine.tenant("holder", "scale").unwrap(), engine.tenant("acme", "scale").unwrap());
    let mut stopped = None;
    // Behind a job, so that the lane stands in the rotation.
    fill_while_held(&engine, holder, workers, || {
        assert!(engine.submit(tenant, None).is_ok());
        stopped = Some(testing::reserve(&engine, tenant, None).expect("there is room"));
    });
    await_runs(&runs, workers as u64 + 1);
    let used = used_by(&threads);
    let stalls = engine.snapshot().workers.iter().map(|worker| worker.stalls).sum::<u64>();
    stopped.take().expect("reserved above").finish();
    await_runs(&runs, workers as u64 + 2);
    assert!(stalls > 0, "a worker saw the unfinished producer");
    // A sleep of 1 ms each: of 100 us there would be thousands.
    let waits = SPAN.as_millis() as u64 + 50;
    within(&used, SPAN / 5, waits)
}

#[test]
fn an_unfinished_producer_is_looked_after_once_a_millisecond() {
    for workers in [1, 2] {
        within_tries("unfinished producer", 3, || beside_an_unfinished_producer(workers));
    }
}
