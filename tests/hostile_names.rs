//! A million names that nobody comes back under (verification.md, "Faults": a hard cap; decision 5).
//!
//! Alone in its process, because it measures the process, and because a look-up that hangs is left
//! behind spinning.

#[path = "support/counting.rs"]
mod counting;

use counting::{CALLS, LIVE, PEAK};
use fairlane::{Engine, Policy};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

const TENANTS: u32 = 100_000;
const NAMES: u32 = 1_000_000;

/// Grows by a million names of `bytes` bytes: bytes at rest and at most, per tenant of the table.
fn hostile(bytes: usize, progress: &AtomicU32) -> (f64, f64) {
    let policy = Policy::builder().tenants_max(TENANTS).build().unwrap();
    let engine = Engine::<u64>::builder().workers(1).policy(policy).build().unwrap();
    let mut worker = engine.worker().unwrap();
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    for number in 0..NAMES {
        let tenant = engine.tenant(&format!("{number:0bytes$}"), "starter").unwrap();
        if number % 16 == 0 {
            let _ = engine.submit(tenant, 0).unwrap();
            assert_eq!(worker.next_batch(1).count(), 1);
        }
        progress.store(number + 1, Relaxed);
    }
    let each = |now: i64| (now - before) as f64 / f64::from(TENANTS);
    let (rest, peak) = (each(LIVE.load(Relaxed)), each(PEAK.load(Relaxed)));
    // After the peak is read: a snapshot of all tenants takes memory of its own.
    assert!(engine.snapshot().tenants <= TENANTS);
    (rest, peak)
}

/// As `hostile`, but comes back: with what had been done when the time was up.
fn in_time(bytes: usize, limit: Duration) -> Result<(f64, f64), String> {
    let progress = Arc::new(AtomicU32::new(0));
    let (sender, result) = mpsc::channel();
    let seen = Arc::clone(&progress);
    thread::spawn(move || sender.send(hostile(bytes, &seen)));
    result.recv_timeout(limit).map_err(|_| {
        let (done, live) = (progress.load(Relaxed), LIVE.load(Relaxed) / 1_000_000);
        format!("{done} of {NAMES} names of {bytes} bytes after {limit:?}, {live} MB in use")
    })
}

// The formula: 192 bytes a tenant with a 12-byte name, and every further byte of the name.
#[test]
fn a_million_hostile_names_stay_within_the_formula() {
    for bytes in [12, 256] {
        let (rest, peak) = in_time(bytes, Duration::from_secs(60)).unwrap();
        let each = 192.0 + (bytes - 12) as f64;
        println!("names of {bytes} bytes: {rest:.1} a tenant at rest, {peak:.1} at most");
        // While names come, a pass to find idle tenants holds some, and the map grows by copying.
        assert!(rest <= each, "names of {bytes} bytes: {rest:.1} bytes a tenant, not {each}");
        assert!(peak <= 1.5 * each, "names of {bytes} bytes: {peak:.1} bytes a tenant at most");
        assert!(CALLS.load(Relaxed) > u64::from(NAMES), "the allocator counts");
    }
}
