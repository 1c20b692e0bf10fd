//! Many threads that wait for room in one queue.

use crate::tries::within_tries;
use fairlane::{Engine, Grant, Policy};
use std::thread;
use std::time::{Duration, Instant};

const BOUND: u32 = 2;
const WAITING: u32 = 8;

/// An engine whose queue has room for two jobs, which are there.
fn full() -> (Engine<u32>, fairlane::Tenant) {
    let policy = Policy::builder().default_queue_max(BOUND).build().unwrap();
    let engine = Engine::builder().workers(1).policy(policy).build().unwrap();
    let tenant = engine.tenant("acme", "starter").unwrap();
    (0..BOUND).for_each(|job| assert!(engine.submit(tenant, job).is_ok()));
    (engine, tenant)
}

/// The jobs of threads that came one after the other, in the order in which they got their places, when one
/// place at a time comes free.
fn order_of_places() -> Vec<u32> {
    let (engine, tenant) = full();
    let mut worker = engine.worker().unwrap();
    let mut order = Vec::new();
    let late = Instant::now() + Duration::from_secs(20);
    thread::scope(|scope| {
        for job in BOUND..BOUND + WAITING {
            let engine = &engine;
            scope.spawn(move || assert!(engine.submit_blocking(tenant, job, late).is_ok()));
            thread::sleep(Duration::from_millis(10));
        }
        while order.len() < (BOUND + WAITING) as usize {
            order.extend(worker.next_batch(1).map(Grant::into_payload));
            let waiting = (BOUND + WAITING) as usize - order.len();
            while engine.snapshot().depth < waiting.min(BOUND as usize) as u64 {
                thread::yield_now();
            }
        }
    });
    order
}

#[test]
fn places_go_to_who_waits_in_the_order_of_their_coming() {
    within_tries("places", 5, || {
        let order = order_of_places();
        let text = format!("{order:?}");
        if order.is_sorted() { Ok(text) } else { Err(text) }
    });
}
