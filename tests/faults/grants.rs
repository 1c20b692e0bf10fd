//! Grants that go their own ways, and workers on several threads.

use crate::register::{Load, Register};
use fairlane::{
    Capabilities, Clock, Engine, Grant, Job, ManualClock, Nanos, Reason, Standing, testing,
};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// `jobs` jobs of ten tenants in an engine without threads.
fn filled(register: &Register, jobs: usize, workers: usize) -> Engine<Load> {
    let engine = Engine::builder().workers(workers).build().unwrap();
    for number in 0..jobs {
        let tenant = engine.tenant(&format!("tenant-{}", number % 10), "scale").unwrap();
        let _ = engine.submit(tenant, Job::new(register.load(number))).unwrap();
    }
    engine
}

// Decision 10: a slot is released on every way out.
#[test]
fn grants_may_end_on_other_threads_after_the_worker_and_the_engine() {
    let register = Register::new(1_000);
    let engine = filled(&register, 1_000, 1);
    let mut worker = engine.worker().unwrap();
    let mut grants: Vec<Grant<Load>> = Vec::new();
    while grants.len() < 1_000 {
        grants.extend(worker.next_batch(64));
    }
    drop(worker);
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.running, snapshot.depth), (1_000, 0));
    let late = grants.split_off(500);
    let early = thread::spawn(move || grants.into_iter().for_each(Grant::complete));
    early.join().unwrap();
    assert_eq!(engine.snapshot().running, 500);
    drop(engine);
    let mut threads = Vec::new();
    let mut late = late.into_iter();
    while late.len() > 0 {
        let some: Vec<Grant<Load>> = late.by_ref().take(125).collect();
        threads.push(thread::spawn(move || some.into_iter().for_each(|grant| grant.settle(9))));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    register.assert_each_dropped_once(1_000);
}

#[test]
fn a_grant_that_unwinds_is_settled() {
    let register = Register::new(1);
    let engine = filled(&register, 1, 1);
    let mut worker = engine.worker().unwrap();
    let grant = worker.next_batch(1).next().unwrap();
    let unwound = thread::spawn(move || {
        let _grant = grant;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(unwound.join().is_err());
    assert_eq!(engine.snapshot().running, 0);
    register.assert_each_dropped_once(1);
}

#[test]
fn running_counts_every_way_out_once() {
    let register = Register::new(40);
    let engine = filled(&register, 40, 1);
    let mut worker = engine.worker().unwrap();
    let mut grants: Vec<Grant<Load>> = worker.next_batch(40).collect();
    let mut next = || grants.pop().unwrap();
    for round in 0..8 {
        assert_eq!(engine.snapshot().running, 40 - 5 * round);
        next().complete();
        next().settle(1 + round as u32);
        drop(next().into_payload());
        drop(next());
        let (payload, receipt) = next().split();
        drop(payload);
        receipt.complete();
    }
    assert_eq!(engine.snapshot().running, 0);
}

/// Three threads pull, complete half of what they get and pass the rest on.
#[test]
fn workers_on_several_threads_share_the_jobs_without_loss() {
    let jobs = 60_000;
    let register = Register::new(jobs);
    let engine = filled(&register, jobs, 3);
    let (sender, passed_on) = mpsc::channel::<Grant<Load>>();
    let pullers: Vec<_> = (0..3)
        .map(|thread| {
            let (engine, register, sender) = (engine.clone(), register.clone(), sender.clone());
            thread::spawn(move || {
                let mut worker = engine.worker().unwrap();
                let mut pulled = 0;
                loop {
                    let batch = worker.wait_batch(1 + thread * 31, Duration::from_millis(50));
                    if batch.len() == 0 {
                        return pulled;
                    }
                    for grant in batch {
                        pulled += 1;
                        register.handled(grant.payload().number);
                        if pulled % 2 == 0 {
                            sender.send(grant).unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    drop(sender);
    passed_on.into_iter().for_each(drop);
    let pulled: usize = pullers.into_iter().map(|puller| puller.join().unwrap()).sum();
    assert_eq!(pulled, jobs);
    register.assert_each_ended_once(jobs, "three pullers");
    register.assert_each_dropped_once(jobs);
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.running, snapshot.depth, snapshot.dispatched), (0, 0, jobs as u64));
}

// A lane whose producer has not finished stands in the rotation, so its next job wakes nobody: somebody must
// be looking after it.
#[test]
fn an_unfinished_producers_job_finds_a_worker_when_the_one_that_saw_it_has_gone() {
    let engine = Engine::<u32>::builder().workers(2).build().unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    let (ends, ended) = mpsc::channel();
    // The first takes the first place, which is the one that is woken first.
    let wait = |limit| {
        let (engine, ends) = (engine.clone(), ends.clone());
        let (seated, is_seated) = mpsc::channel();
        let (leaves, may_leave) = mpsc::channel::<()>();
        thread::spawn(move || {
            let mut worker = engine.worker().unwrap();
            seated.send(()).unwrap();
            let start = Instant::now();
            let jobs: Vec<u32> = worker.wait_batch(1, limit).map(Grant::into_payload).collect();
            ends.send((jobs, start.elapsed())).unwrap();
            // A worker that leaves its place wakes others: this one goes on to something else.
            let _ = may_leave.recv();
        });
        is_seated.recv().unwrap();
        leaves
    };
    let _goes = wait(Duration::from_millis(60));
    let _stays = wait(Duration::from_secs(20));
    thread::sleep(Duration::from_millis(30));
    let given_up = testing::reserve(&engine, tenant, 1).unwrap();
    let pending = testing::reserve(&engine, tenant, 2).unwrap();
    // Wakes the first, which finds no job before the unfinished one, and goes.
    drop(given_up);
    assert_eq!(ended.recv().unwrap().0, []);
    pending.finish();
    let (jobs, took) = ended.recv().unwrap();
    assert_eq!(jobs, [2]);
    assert!(took < Duration::from_secs(10), "it was woken after {took:?}");
}

// A place is free only when its worker has left: what the next one can run is not taken for what it could.
#[test]
fn whoever_takes_a_place_finds_it_left() {
    let engine = Engine::<u32>::builder().workers(1).build().unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    let gpu: Capabilities = "gpu".parse().unwrap();
    let needs = engine.requirement(&gpu).unwrap();
    engine.submit(tenant, Job::new(1).requires(needs)).unwrap();
    thread::scope(|scope| {
        for capabilities in [gpu, Capabilities::default()] {
            let engine = &engine;
            scope.spawn(move || {
                for _ in 0..300_000 {
                    drop(engine.worker_with(capabilities.clone()));
                }
            });
        }
    });
    let standing = &engine.explain(tenant).unwrap().branches[0].standing;
    let Standing::Waiting(wait) = standing else { panic!("{standing:?}") };
    assert_eq!(wait.reason, Reason::NoCapableWorker);
    assert_eq!(engine.worker().unwrap().next_batch(1).count(), 0);
    assert_eq!(engine.worker_with("gpu".parse().unwrap()).unwrap().next_batch(1).count(), 1);
}

#[test]
fn a_sleeping_worker_is_woken_by_a_job() {
    let engine = Engine::<u32>::builder().workers(1).build().unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    let sleeper = thread::spawn({
        let engine = engine.clone();
        move || {
            let start = Instant::now();
            let mut worker = engine.worker().unwrap();
            let got = worker.wait_batch(1, Duration::from_secs(20)).count();
            (got, start.elapsed())
        }
    });
    thread::sleep(Duration::from_millis(30));
    let _ = engine.submit(tenant, 1).unwrap();
    let (got, took) = sleeper.join().unwrap();
    assert!(got == 1 && took < Duration::from_secs(10), "{got} after {took:?}");
}

#[test]
fn waiting_ends_when_the_time_is_up_or_the_engine_stops() {
    let engine = Engine::<u32>::builder().workers(2).build().unwrap();
    let mut worker = engine.worker().unwrap();
    let start = Instant::now();
    assert_eq!(worker.wait_batch(1, Duration::from_millis(20)).count(), 0);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(worker.wait_batch(0, Duration::from_secs(600)).count(), 0, "nothing to wait for");
    let sleeper = thread::spawn({
        let engine = engine.clone();
        move || {
            let start = Instant::now();
            let mut worker = engine.worker().unwrap();
            (worker.wait_batch(1, Duration::from_secs(20)).count(), start.elapsed())
        }
    });
    thread::sleep(Duration::from_millis(30));
    drop(engine.drain(Duration::ZERO));
    let (got, took) = sleeper.join().unwrap();
    assert!(got == 0 && took < Duration::from_secs(10), "{took:?}");
}

// R8 and "Faults": a clock that stands still, jumps a year or ends never stops the work.
#[test]
fn jumps_of_the_clock_stop_nothing() {
    let hand = ManualClock::new();
    let clock = Clock::Manual(hand.clone());
    let engine = Engine::<u64>::builder().workers(1).clock(clock).build().unwrap();
    let tenants: Vec<_> =
        (0..3).map(|k| engine.tenant(&format!("t{k}"), "scale").unwrap()).collect();
    let mut worker = engine.worker().unwrap();
    let year = 365 * 24 * 3_600 * 1_000_000_000;
    for jump in [0, 0, 1, year, 10 * year, u64::MAX] {
        for (k, &tenant) in tenants.iter().enumerate() {
            let _ = engine.submit(tenant, Job::new(1).cost(1 + 100 * k as u32)).unwrap();
        }
        hand.advance(Nanos(jump));
        for _ in 0..3 {
            assert_eq!(worker.tick(hand.now(), 1).count(), 1, "jump {jump}");
        }
    }
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.dispatched, snapshot.depth), (18, 0));
}
