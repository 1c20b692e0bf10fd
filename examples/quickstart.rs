//! Two tenants of different weight share two workers; nothing is lost on the way out.
//!
//!     cargo run --release --example quickstart

use fairlane::{Engine, Grant, Job};
use std::time::Duration;

// The engine picks no allocator; a program that embeds it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder().workers(2).start(|grant: Grant<u64>| {
        // Stands for the work: 50 us. Dropping the grant at the end settles the job.
        std::thread::sleep(Duration::from_micros(50));
        drop(grant);
    })?;

    // A tenant is named once; its handle is two words and cheap to copy.
    let acme = engine.tenant("acme", "scale")?;
    let umbra = engine.tenant("umbra", "starter")?;
    for number in 0..2_000 {
        let _ = engine.submit(acme, number)?;
        let _ = engine.submit(umbra, Job::new(number).cost(2))?;
    }
    let last = engine.submit(umbra, 2_000)?;
    println!("umbra's last job is number {:?} of its queue", engine.position(&last));

    std::thread::sleep(Duration::from_millis(50));
    println!("\nafter 50 ms, with both still waiting for service:");
    println!("{:<8} {:<8} {:>6} {:>11} {:>6}", "tenant", "tier", "weight", "served cost", "depth");
    for row in engine.snapshot().tenant_rows {
        let (name, tier) = (row.tenant, row.tier);
        println!("{name:<8} {tier:<8} {:>6} {:>11} {:>6}", row.weight, row.served_cost, row.depth);
    }

    // Waits until every job is done; a job that is not done in time comes back in the report.
    let report = engine.drain(Duration::from_secs(10));
    println!("\n{report:?}");
    let snapshot = engine.snapshot();
    assert_eq!(report.finished + report.returned.len() as u64 + report.running, snapshot.accepted);
    for tier in snapshot.tiers.iter().filter(|tier| tier.queue_delay.count > 0) {
        let (middle, high) = (tier.queue_delay.p50_ns / 1_000, tier.queue_delay.p99_ns / 1_000);
        println!("waits of tier {:<8} p50 {middle} us, p99 {high} us", tier.tier);
    }
    Ok(())
}
