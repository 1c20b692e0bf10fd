//! Question: how long after a job's deadline is its expiry told, at up to 100,000 expiries a second, while
//! every worker sits in a handler of 100 ms?
//!
//! Timed: from the deadline to the call of the hook. The workers' handlers sleep or keep their cores busy;
//! the thread that submits shares the cores with them. Checked: every job is told of once, ran, or came back.
//! The machine's own part is measured beside it, with a plain thread that sleeps to the same moments.

#[path = "support/expiry.rs"]
mod expiry;
#[path = "support/machine.rs"]
mod machine;

use expiry::{Load, bare, measure};
use std::time::Duration;

/// Seconds of expiries that are measured.
const SECONDS: u64 = 3;

fn load(tenants: usize, per_second: u64, spins: bool) -> Load {
    let jobs = per_second * SECONDS;
    let (patience, hook) = (Duration::from_millis(50), Duration::ZERO);
    Load { tenants, per_second, jobs, patience, spins, hook }
}

fn main() {
    // As criterion does: once, without a figure that means anything.
    if std::env::args().any(|arg| arg == "--test") {
        println!("expiry: {}", measure(Load { jobs: 1_000, ..load(10, 10_000, false) }));
        return;
    }
    machine::announce("How late is an expiry told while every worker sits in a handler of 100 ms?");
    for spins in [false, true] {
        let handlers = if spins { "spinning" } else { "sleeping" };
        for per_second in [10_000, 100_000] {
            let print = |what: &str, late| {
                println!("{handlers} handlers, {per_second} a second, {what}: {late}");
            };
            for tenants in [1, 100, 10_000] {
                print(&format!("{tenants} tenants"), measure(load(tenants, per_second, spins)));
            }
            let patient = Load { patience: Duration::from_secs(1), ..load(100, per_second, spins) };
            print("100 tenants, after a second without an expiry", measure(patient));
            print("a plain thread that sleeps", bare(load(0, per_second, spins)));
        }
    }
}
