//! A service keeps its own threads: two of them pull grants, a third completes the jobs.
//!
//! The third one stands for whatever finishes work elsewhere, such as the reply of another service.
//! Only then is it known what a job really cost, and the tenant's balance is corrected.
//!
//!     cargo run --release --example own_threads

use fairlane::{Engine, Job, Receipt, WorkerError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

// The engine picks no allocator; a program that embeds it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs taken at once: a job that is taken waits for its own thread, so few.
const AT_ONCE: usize = 4;

/// One of the service's threads: takes jobs and sends them on their way.
fn pull(
    engine: &Engine<u32>,
    stop: &AtomicBool,
    sent: &Sender<(u32, Receipt)>,
) -> Result<usize, WorkerError> {
    // A worker stays on the thread that made it.
    let mut worker = engine.worker()?;
    let mut taken = 0;
    // An empty batch says that the time is up or that the engine has stopped; the service knows.
    while !stop.load(Ordering::Acquire) {
        for grant in worker.wait_batch(AT_ONCE, Duration::from_millis(20)) {
            taken += 1;
            // A receipt that nobody receives is dropped, which settles its job as charged.
            let _ = sent.send(grant.split());
        }
    }
    Ok(taken)
}

/// Ends jobs on a thread that never saw the engine. Every tenth cost twice its estimate.
fn complete(answers: Receiver<(u32, Receipt)>) -> u64 {
    let mut corrected = 0;
    for (number, receipt) in answers {
        if number % 10 == 0 {
            corrected += 1;
            let actual = 2 * receipt.cost();
            receipt.settle(actual);
        } else {
            receipt.complete();
        }
    }
    corrected
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `build` instead of `start`: the engine has two worker places and no threads.
    let engine = Engine::builder().workers(2).build()?;
    let tenants = [engine.tenant("acme", "growth")?, engine.tenant("umbra", "starter")?];
    let (stop, (sent, answers)) = (AtomicBool::new(false), channel());

    thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        let completions = scope.spawn(|| complete(answers));
        let mut pullers = Vec::new();
        for _ in 0..2 {
            let (engine, sent, stop) = (&engine, sent.clone(), &stop);
            pullers.push(scope.spawn(move || pull(engine, stop, &sent)));
        }
        drop(sent);

        for number in 0..10_000 {
            let tenant = tenants[number as usize % 2];
            let _ = engine.submit(tenant, Job::new(number).cost(1 + number % 3))?;
        }
        // The threads go on pulling while the engine drains.
        let report = engine.drain(Duration::from_secs(10));
        stop.store(true, Ordering::Release);

        for (number, puller) in pullers.into_iter().enumerate() {
            println!("thread {number} took {} jobs", puller.join().expect("no panic")?);
        }
        println!("{} jobs cost more than estimated", completions.join().expect("no panic"));
        println!("{report:?}");
        Ok(())
    })?;

    let snapshot = engine.snapshot();
    println!("accepted {}, running {}", snapshot.accepted, snapshot.running);
    for row in snapshot.tenant_rows {
        println!("{}: {} jobs, charged {}", row.tenant, row.dispatched, row.served_cost);
    }
    Ok(())
}
