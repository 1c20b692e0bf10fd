//! What snapshots say of delays, against a clock that the handlers turn.

use crate::tries::{Gate, Opens};
use fairlane::{Clock, Engine, Grant, ManualClock, Nanos, Policy, Quantiles, Snapshot, Weight};
use std::sync::Arc;
use std::time::Duration;

const MS: u64 = 1_000_000;

fn policy() -> Policy {
    let policy = Policy::builder().tier("slow", Weight::ONE).tier("quick", Weight::ONE);
    policy.tier("holder", Weight::ONE).default_tier("quick").build().unwrap()
}

/// What the snapshot says of a tier: how long its jobs waited, and ran.
fn delays(snapshot: &Snapshot, tier: &str) -> (Quantiles, Quantiles) {
    let row = snapshot.tiers.iter().find(|row| row.tier == tier).expect("a tier of the policy");
    (row.queue_delay, row.run_time)
}

/// Whether a figure is `ms`, at the two digits that histograms keep.
fn is_about(ns: u64, ms: u64) -> bool {
    (ms * MS..=ms * MS / 100 * 102).contains(&ns)
}

/// A job takes so many milliseconds; without a number it holds its worker at the gate.
type Takes = Option<u64>;

#[test]
fn delays_of_a_tier_are_those_of_its_jobs() {
    let (hand, gate) = (ManualClock::new(), Arc::new(Gate::default()));
    let (turned, held) = (hand.clone(), Arc::clone(&gate));
    let handler = move |grant: Grant<Takes>| match grant.payload() {
        Some(ms) => turned.advance(Nanos(ms * MS)),
        None => held.pass(),
    };
    let builder = Engine::builder().workers(1).policy(policy());
    let engine = builder.clock(Clock::Manual(hand.clone())).start(handler).unwrap();
    let opens = Opens(&gate);
    let name = |tier| engine.tenant(&format!("of-{tier}"), tier).unwrap();
    let (slow, quick, holder) = (name("slow"), name("quick"), name("holder"));
    assert!(engine.submit(holder, None).is_ok());
    gate.await_arrivals(1);
    for (tenant, takes) in [(slow, 20), (slow, 40), (slow, 20), (quick, 1), (quick, 1)] {
        assert!(engine.submit(tenant, Some(takes)).is_ok());
    }
    hand.advance(Nanos(30 * MS));
    drop(opens);
    let report = engine.drain(Duration::from_secs(10));
    assert_eq!((report.finished, report.running), (6, 0));

    let snapshot = engine.snapshot();
    let (slow_waits, slow_runs) = delays(&snapshot, "slow");
    let (quick_waits, quick_runs) = delays(&snapshot, "quick");
    let (_, held) = delays(&snapshot, "holder");
    assert_eq!((slow_runs.count, quick_runs.count, held.count), (3, 2, 1), "each handler is timed");
    assert!(is_about(slow_runs.p50_ns, 20) && is_about(slow_runs.max_ns, 40), "{slow_runs:?}");
    assert!(is_about(quick_runs.p50_ns, 1) && is_about(quick_runs.max_ns, 1), "{quick_runs:?}");
    assert!(is_about(held.max_ns, 30), "{held:?}");
    // Each waited while the gate was shut, and the last one for the four before as well.
    assert_eq!((slow_waits.count, quick_waits.count), (3, 2), "each job is timed");
    let least = slow_waits.p50_ns.min(quick_waits.p50_ns);
    assert!(least >= 30 * MS, "{slow_waits:?} {quick_waits:?}");
    let longest = slow_waits.max_ns.max(quick_waits.max_ns);
    assert!([30 + 62, 30 + 81].into_iter().any(|ms| is_about(longest, ms)), "{longest} ns");
}

#[test]
fn as_many_jobs_are_timed_as_the_snapshot_says() {
    let hand = ManualClock::new();
    let builder = Engine::<()>::builder().workers(1).policy(policy());
    let engine = builder.clock(Clock::Manual(hand.clone())).build().unwrap();
    let tenant = engine.tenant("acme", "quick").unwrap();
    let mut worker = engine.worker().unwrap();
    let timed_every = || engine.snapshot().timed_every;
    let mut serve = |jobs: u64, takes: u64| {
        (0..jobs).for_each(|_| assert!(engine.submit(tenant, ()).is_ok()));
        assert_eq!(worker.next_batch(1_000).count() as u64, jobs);
        hand.advance(Nanos(takes));
        // The time that the last jobs took is seen at the next look.
        assert_eq!(worker.next_batch(1).count(), 0);
    };
    assert_eq!(timed_every(), 64, "before the first job");
    // The first job of a lane is timed, and from then on all are.
    (0..20).for_each(|_| serve(1, MS));
    assert_eq!(timed_every(), 1, "jobs of 1 ms");
    let mut all = 20;
    while timed_every() == 1 {
        serve(1, 0);
        all += 1;
        assert!(all < 200, "jobs that take no time stay timed");
    }
    assert_eq!(timed_every(), 64, "jobs of 0 ns");
    (0..10).for_each(|_| serve(64, 0));
    drop(worker);
    let (waits, runs) = delays(&engine.snapshot(), "quick");
    assert_eq!(waits.count, all + 10, "all slow jobs, and one in 64 of 640 quick ones");
    assert_eq!(runs.count, 0, "who pulls jobs runs them out of sight");
}
