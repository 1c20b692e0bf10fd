//! Weights change under a backlog: shares follow at once, and no queued job is lost.
//!
//!     cargo run --release --example policy_swap

use fairlane::{Engine, Grant, Policy};
use std::collections::BTreeMap;
use std::time::Duration;

// The engine picks no allocator; a program that embeds it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BEFORE: &str = "
    [defaults]
    tier = 'silver'
    [tiers.silver]
    weight = 1
    [tiers.gold]
    weight = 2
";
const AFTER: &str = "
    [defaults]
    tier = 'silver'
    [tiers.silver]
    weight = 3
    [tiers.gold]
    weight = 1
";

/// Served cost by tenant so far.
fn served(engine: &Engine<u32>) -> BTreeMap<String, u64> {
    engine.snapshot().tenant_rows.into_iter().map(|row| (row.tenant, row.served_cost)).collect()
}

/// Looks at the shares of the next 300 ms.
fn watch(engine: &Engine<u32>, title: &str) {
    let before = served(engine);
    std::thread::sleep(Duration::from_millis(300));
    let rows = engine.snapshot().tenant_rows;
    let cost = |row: &fairlane::TenantRow| row.served_cost - before[&row.tenant];
    let all: u64 = rows.iter().map(cost).sum();
    let weights: f64 = rows.iter().map(|row| row.weight).sum();
    println!("{title}");
    for row in &rows {
        let (due, got) = (100.0 * row.weight / weights, 100.0 * cost(row) as f64 / all as f64);
        println!(
            "  {:<6} weight {:<2} due {due:>4.1} %  got {got:>4.1} %  {:>5} still queued",
            row.tenant, row.weight, row.depth
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder()
        .policy(Policy::from_toml(BEFORE)?)
        .workers(1)
        .start(|_grant: Grant<u32>| std::thread::sleep(Duration::from_micros(50)))?;
    let (acme, umbra) = (engine.tenant("acme", "gold")?, engine.tenant("umbra", "silver")?);
    for number in 0..10_000 {
        let _ = engine.submit(acme, number)?;
        let _ = engine.submit(umbra, number)?;
    }

    watch(&engine, "gold 2, silver 1:");
    engine.set_policy(Policy::from_toml(AFTER)?)?;
    watch(&engine, "swapped to gold 1, silver 3:");

    // A policy that cannot follow the running one is refused whole.
    let larger = Policy::builder().queue_max(5).build()?;
    println!("refused: {}", engine.set_policy(larger).expect_err("the engine's size is fixed"));

    let report = engine.drain(Duration::ZERO);
    let ends = report.finished + report.returned.len() as u64 + report.running;
    println!("{report:?}: {ends} of 20000 jobs accounted for");
    Ok(())
}
