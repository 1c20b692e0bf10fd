//! What goes on beside the jobs: policies are swapped, snapshots are taken.

use crate::load::Load;
use fairlane::{Engine, Policy, Snapshot, TenantRow, Weight};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// One of two policies that differ in weights and bounds. The bounds are small, so that both
/// tenants and the engine are full now and then.
pub(crate) fn policy(number: u32) -> Policy {
    let (hot, cold) = if number % 2 == 0 { (1.0, 2.0) } else { (4.0, 1.5) };
    Policy::builder()
        .queue_max(4_096)
        .tenants_max(256)
        .tier("hot", Weight::new(hot).unwrap())
        .tier("cold", Weight::new(cold).unwrap())
        .tier_queue_max("hot", 256 + number % 2 * 256)
        .tier_queue_max("cold", 64 - number % 2 * 40)
        .default_tier("cold")
        .build()
        .unwrap()
}

pub(crate) fn swap_policies(engine: &Engine<Load>, ends: &AtomicBool) -> u32 {
    for number in 1.. {
        if ends.load(Relaxed) {
            return number - 1;
        }
        engine.set_policy(policy(number)).expect("the sizes stay");
        thread::sleep(Duration::from_millis(3));
    }
    unreachable!("ends long before the numbers do");
}

/// Takes snapshots until the run `ends`.
pub(crate) fn check_snapshots(engine: &Engine<Load>, ends: &AtomicBool) -> u32 {
    let mut before = engine.snapshot();
    for number in 1.. {
        let mut now = engine.snapshot();
        // A snapshot may lack the jobs of a visit whose worker the system has stopped in the middle
        // of publishing it; they are there again when it goes on.
        for _ in 0..STOPPED_MS {
            if accepted_grew(&before, &now) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            now = engine.snapshot();
        }
        check(&now);
        check_after(&before, &now);
        before = now;
        if ends.load(Relaxed) {
            return number;
        }
        thread::sleep(Duration::from_millis(1));
    }
    unreachable!("ends long before the numbers do");
}

fn check(now: &Snapshot) {
    assert!(now.dispatched <= now.accepted, "{} of {}", now.dispatched, now.accepted);
    assert_eq!(now.accepted, now.dispatched + now.depth);
    for row in &now.tenant_rows {
        assert!(row.dispatched <= row.accepted, "{row:?}");
    }
}

/// Longest that a worker may be stopped in the middle of publishing a visit, here with more threads
/// than cores.
const STOPPED_MS: u32 = 1_000;

fn accepted_grew(before: &Snapshot, now: &Snapshot) -> bool {
    let mut rows = before.tenant_rows.iter().zip(&now.tenant_rows);
    before.accepted <= now.accepted && rows.all(|(before, now)| before.accepted <= now.accepted)
}

/// Nothing that counts from the start goes back.
fn check_after(before: &Snapshot, now: &Snapshot) {
    assert!(accepted_grew(before, now), "{before:?} became {now:?}");
    let totals = |of: &Snapshot| [of.dispatched, of.served_cost, of.expired, of.at_ns];
    let grew = totals(before).iter().zip(totals(now)).all(|(before, now)| *before <= now);
    assert!(grew, "{:?} became {:?}", totals(before), totals(now));
    for (before, now) in before.tenant_rows.iter().zip(&now.tenant_rows) {
        let sums = |row: &TenantRow| [row.dispatched, row.served_cost, row.expired];
        let grew = sums(before).iter().zip(sums(now)).all(|(before, now)| *before <= now);
        assert!(grew, "{before:?} became {now:?}");
    }
}
