//! Question: what do threads that wait for room cost the jobs that they bring, and who gets it?
//!
//! Timed: jobs through one queue of 16 places and one worker whose handler keeps a core busy, while many threads
//! submit blocking, each its next job when the last is in. Printed: jobs a second, the longest wait, and how many
//! jobs the luckiest and the unluckiest thread brought in.

#[path = "support/machine.rs"]
mod machine;

use fairlane::{Engine, Grant, Policy, Tenant};
use std::thread;
use std::time::{Duration, Instant};

const PLACES: u32 = 16;

/// What one thread did: its jobs and its longest wait.
#[derive(Clone, Copy)]
struct Done {
    jobs: u64,
    longest: Duration,
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn submit_until(engine: &Engine<()>, tenant: Tenant, end: Instant) -> Done {
    let mut done = Done { jobs: 0, longest: Duration::ZERO };
    loop {
        let start = Instant::now();
        if engine.submit_blocking(tenant, (), end).is_err() {
            return done;
        }
        done.jobs += 1;
        done.longest = done.longest.max(start.elapsed());
    }
}

fn measure(threads: usize, handler: Duration, time: Duration) -> String {
    let policy =
        Policy::builder().default_queue_max(PLACES).build().expect("a bound of 16 is valid");
    let engine = Engine::builder().workers(1).policy(policy);
    let engine = engine.start(move |_: Grant<()>| spin(handler)).expect("one worker starts");
    let tenant = engine.tenant("acme", "starter").expect("the first tenant");
    let end = Instant::now() + time;
    let done: Vec<Done> = thread::scope(|scope| {
        let submit = || submit_until(&engine, tenant, end);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no submitter panics")).collect()
    });
    let jobs = || done.iter().map(|done| done.jobs);
    let per_second = jobs().sum::<u64>() as f64 / time.as_secs_f64();
    let longest = done.iter().map(|done| done.longest).max().unwrap_or_default();
    let (least, most) = (jobs().min().unwrap_or(0), jobs().max().unwrap_or(0));
    format!("{per_second:.0} jobs/s, longest wait {longest:.1?}, {least} to {most} jobs a thread")
}

fn main() {
    // As criterion does: once, without a figure that means anything.
    if std::env::args().any(|arg| arg == "--test") {
        let time = Duration::from_millis(50);
        println!("waiting: {}", measure(4, Duration::from_micros(20), time));
        return;
    }
    machine::announce(
        "What do threads that wait for room cost the jobs that they bring, and who gets it?",
    );
    for micros in [20, 200, 1_000] {
        for threads in [4, 100, 1_000] {
            let figures = measure(threads, Duration::from_micros(micros), Duration::from_secs(3));
            println!("handlers of {micros} us, {threads} threads: {figures}");
        }
    }
}
