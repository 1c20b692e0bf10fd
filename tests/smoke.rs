//! The engine from outside: what goes in comes out, once.

use fairlane::{Engine, Job, Reason};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[test]
fn jobs_of_one_tenant_come_out_in_order() {
    let engine: Engine<u32> = Engine::builder().workers(1).build().unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    for number in 0..1_000 {
        let _ = engine.submit(tenant, number).unwrap();
    }
    let mut worker = engine.worker().unwrap();
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        seen.extend(worker.next_batch(7).map(|grant| grant.into_payload()));
        if seen.len() == before {
            break;
        }
    }
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn owned_workers_run_everything_and_a_drain_accounts_for_it() {
    let sum = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&sum);
    let engine = Engine::builder()
        .workers(2)
        .start(move |grant: fairlane::Grant<u32>| {
            total.fetch_add(u64::from(*grant.payload()), Relaxed);
        })
        .unwrap();
    let tenants: Vec<_> =
        (0..100).map(|k| engine.tenant(&format!("tenant-{k}"), "growth").unwrap()).collect();
    let mut expected = 0;
    for round in 0..200 {
        for &tenant in &tenants {
            expected += u64::from(round);
            let _ = engine.submit(tenant, Job::new(round).cost(3)).unwrap();
        }
    }
    let report = engine.drain(Duration::from_secs(10));
    assert_eq!((report.finished, report.returned.len()), (20_000, 0), "{report:?}");
    assert_eq!((report.running, report.unpublished), (0, 0));
    assert_eq!(sum.load(Relaxed), expected);
    let refused = engine.submit(tenants[0], 1).unwrap_err();
    assert_eq!(refused.reason(), Reason::Closed);
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.accepted, snapshot.dispatched, snapshot.depth), (20_000, 20_000, 0));
}
