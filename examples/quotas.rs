//! Why does this tenant wait? A rate, a bound on what runs at once, and a deadline, on a running engine.
//!
//! `explain` is asked while each of them holds a tenant up. Answers come from the code that decides, so
//! the moment it names is the moment of the grant.
//!
//!     cargo run --release --example quotas

use fairlane::{Engine, Expired, Grant, Job, Policy, Reason, Standing, Tenant, Wait};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

// The engine picks no allocator; a program that embeds it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POLICY: &str = "
    [engine]
    concurrency = 4

    [tenants.metered]
    rate = '3 jobs per 1s'

    [tenants.narrow]
    concurrency = 1

    [tenants.hasty]
    concurrency = 1
    max_wait = '100ms'
";

/// What a job does: nothing, or wait until it is told to end.
enum Work {
    Quick,
    Until(Receiver<()>),
}

/// A job that runs until the sender is used or dropped.
fn held() -> (Work, SyncSender<()>) {
    let (end, ended) = sync_channel(1);
    (Work::Until(ended), end)
}

fn handle(mut grant: Grant<Work>) {
    if let Work::Until(end) = grant.payload_mut() {
        // An error means that nobody holds it any more.
        let _ = end.recv();
    }
}

/// Asks until the tenant waits for something, which is a matter of moments.
fn wait_for(engine: &Engine<Work>, tenant: Tenant) -> Result<Wait, String> {
    let patience = Instant::now() + Duration::from_secs(5);
    while Instant::now() < patience {
        if let Some(Standing::Waiting(wait)) = engine.explain(tenant).map(|told| told.standing) {
            return Ok(wait);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err("the tenant does not wait".to_owned())
}

fn show(name: &str, depth: usize, wait: &Wait) {
    let until = match wait.eligible_at {
        Some(_) => "a moment that is known",
        None => "a job of its own ends",
    };
    println!("{name}: {depth} queued, waits for {}", wait.reason);
    println!("  {}; until {until}", wait.detail);
}

/// Sleeps until nothing of the tenants waits or runs.
fn await_rest(engine: &Engine<Work>) {
    while engine.snapshot().depth + engine.snapshot().running > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

fn rate(engine: &Engine<Work>) -> Result<(), Box<dyn std::error::Error>> {
    let metered = engine.tenant("metered", "starter")?;
    for _ in 0..5 {
        let _ = engine.submit(metered, Work::Quick)?;
    }
    let wait = wait_for(engine, metered)?;
    show("metered", 2, &wait);
    let promised = wait.eligible_at.ok_or("a rate has a moment")?;
    await_rest(engine);
    let late = engine.now().since(promised).as_duration();
    println!(
        "  then they ran, {} the promised moment\n",
        if late.is_zero() { "BEFORE" } else { "after" }
    );
    Ok(())
}

fn concurrency(engine: &Engine<Work>) -> Result<(), Box<dyn std::error::Error>> {
    let narrow = engine.tenant("narrow", "starter")?;
    let (first, end) = held();
    let _ = engine.submit(narrow, first)?;
    let _ = engine.submit(narrow, Work::Quick)?;
    let wait = wait_for(engine, narrow)?;
    show("narrow", 1, &wait);
    assert_eq!(wait.reason, Reason::Concurrency);
    drop(end);
    await_rest(engine);
    println!("  it ended, and the next one ran\n");
    Ok(())
}

fn deadline(
    engine: &Engine<Work>,
    expired: &Receiver<Expired<Work>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let hasty = engine.tenant("hasty", "starter")?;
    let (first, end) = held();
    let _ = engine.submit(hasty, first)?;
    let _ = engine.submit(hasty, Job::new(Work::Quick).cost(7))?;
    show("hasty", 1, &wait_for(engine, hasty)?);
    let job = expired.recv_timeout(Duration::from_secs(5))?;
    let in_time = job.waited >= Duration::from_millis(100);
    println!(
        "  a job of cost {} expired, {} its 100 ms",
        job.cost,
        if in_time { "after" } else { "BEFORE" }
    );
    drop(end);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (told, expired) = channel();
    let engine = Engine::builder()
        .policy(Policy::from_toml(POLICY)?)
        .workers(2)
        // A receiver that is gone wants to know nothing more.
        .on_expired(move |job| drop(told.send(job)))
        .start(handle)?;
    rate(&engine)?;
    concurrency(&engine)?;
    deadline(&engine, &expired)?;
    let limits = engine.snapshot().limits;
    let report = engine.drain(Duration::from_secs(5));
    let reasons: Vec<&str> = limits.parked.keys().map(|reason| reason.code()).collect();
    println!("\nlanes were parked for: {}", reasons.join(", "));
    println!("{report:?}");
    Ok(())
}
