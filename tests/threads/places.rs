//! How many workers there are, and on which cores.

use crate::proc::own_cores;
use fairlane::{Builder, Engine, Grant};
use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

type Meeting = Arc<Barrier>;

/// The cores that each worker's thread may run on, by the thread's name: one job each, that ends when all have begun.
fn cores_of(builder: Builder<Meeting>, workers: usize) -> BTreeMap<String, String> {
    let (tell, told) = mpsc::channel();
    let handler = move |grant: Grant<Meeting>| {
        let name = thread::current().name().expect("the engine names its threads").to_owned();
        tell.send((name, own_cores())).expect("the test listens");
        grant.payload().wait();
    };
    let engine = builder.start(handler).unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    let meeting = Arc::new(Barrier::new(workers));
    (0..workers).for_each(|_| assert!(engine.submit(tenant, Arc::clone(&meeting)).is_ok()));
    let all = (0..workers).map(|_| told.recv_timeout(Duration::from_secs(10)).expect("it runs"));
    let all = all.collect();
    assert_eq!(engine.drain(Duration::from_secs(10)).finished, workers as u64);
    all
}

fn parallelism() -> usize {
    thread::available_parallelism().unwrap().get()
}

#[test]
fn each_pinned_worker_has_one_core_of_its_own() {
    let workers = parallelism();
    let cores = cores_of(Engine::builder().workers(workers).pin(true), workers);
    assert_eq!(cores.len(), workers, "one thread each: {cores:?}");
    let mut numbers: Vec<u32> =
        cores.values().map(|core| core.parse().unwrap_or_else(|_| panic!("{cores:?}"))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), workers, "no core twice: {cores:?}");
}

#[test]
fn workers_that_are_not_pinned_may_run_where_their_maker_may() {
    let cores = cores_of(Engine::builder().workers(2), 2);
    assert!(cores.values().all(|core| *core == own_cores()), "{cores:?}, not {}", own_cores());
}

#[test]
fn there_are_as_many_workers_as_cores_unless_told_otherwise() {
    let cores = cores_of(Engine::builder(), parallelism());
    let names = (0..parallelism()).map(|number| format!("fairlane-{number}"));
    assert!(cores.keys().cloned().eq(names.clone()), "{cores:?}");
    let engine: Engine<()> = Engine::builder().build().unwrap();
    assert_eq!(engine.snapshot().workers.len(), parallelism());
}
