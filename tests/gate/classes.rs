//! Jobs that not every worker can run: offered to those who can, waiting for nobody else.

use crate::rig::{caps, policy, wait_of};
use fairlane::{
    Capabilities, Clock, Engine, Job, ManualClock, Nanos, Policy, Reason, Requirement, Tenant,
    Weight, Worker,
};
use std::time::Duration;

fn engine(workers: usize, policy: Policy) -> (Engine<u32>, ManualClock) {
    let clock = ManualClock::new();
    let engine = Engine::builder()
        .workers(workers)
        .policy(policy)
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    (engine, clock)
}

fn requirement(engine: &Engine<u32>, tokens: &str) -> Requirement {
    engine.requirement(&caps(tokens)).expect("not so many")
}

fn tenant(engine: &Engine<u32>, name: &str) -> Tenant {
    engine.tenant(name, "starter").unwrap()
}

fn serve(worker: &mut Worker<u32>) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        let some: Vec<_> = worker.next_batch(1).map(|grant| grant.into_payload()).collect();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

//
#[test]
fn a_job_goes_to_a_worker_that_has_all_it_requires_and_to_no_other() {
    let (engine, _) = engine(3, Policy::default());
    let acme = tenant(&engine, "acme");
    let [gpu, both] = ["gpu", "cuda,gpu"].map(|tokens| requirement(&engine, tokens));
    let mut plain = engine.worker().unwrap();
    let mut with_gpu = engine.worker_with(caps("gpu")).unwrap();
    let mut with_both = engine.worker_with(caps("gpu,cuda,tpu")).unwrap();
    for (job, requirement) in [(1, gpu), (2, both), (3, gpu)] {
        engine.submit(acme, Job::new(job).requires(requirement)).unwrap();
    }
    engine.submit(acme, 4).unwrap();
    assert_eq!(serve(&mut plain), [4]);
    assert_eq!(serve(&mut with_gpu), [1, 3]);
    assert_eq!(serve(&mut with_both), [2]);
}

// An empty requirement matches anyone.
#[test]
fn nothing_required_is_the_class_of_everybody() {
    let (engine, _) = engine(1, Policy::default());
    let acme = tenant(&engine, "acme");
    let nothing = requirement(&engine, ",,,");
    engine.submit(acme, Job::new(1).requires(nothing)).unwrap();
    assert_eq!(serve(&mut engine.worker().unwrap()), [1]);
}

// T-F14: a job nobody here can run never delays one that can, and a worker that registers finds it at once.
#[test]
fn jobs_without_a_worker_wait_alone_and_go_as_soon_as_one_registers() {
    let (engine, _) = engine(2, Policy::default());
    let acme = tenant(&engine, "acme");
    let gpu = requirement(&engine, "gpu");
    let mut plain = engine.worker().unwrap();
    for job in 0..100 {
        engine.submit(acme, Job::new(job).requires(gpu)).unwrap();
        engine.submit(acme, 1_000 + job).unwrap();
    }
    assert_eq!(serve(&mut plain), (1_000..1_100).collect::<Vec<_>>());
    let explained = engine.explain(acme).unwrap();
    assert_eq!(explained.depth, 0);
    let [branch] = &explained.branches[..] else { panic!("{explained:?}") };
    assert_eq!((branch.requires.as_str(), branch.depth), ("gpu", 100));
    let reason = wait_of(branch.standing.clone()).reason;
    assert_eq!(reason, Reason::NoCapableWorker);
    assert_eq!(reason.block_reason(), Some("waiting_for_capable_worker"));
    let waiting = engine.snapshot().limits.waiting;
    assert_eq!(waiting.get(&Reason::NoCapableWorker), Some(&1));
    let mut late = engine.worker_with(caps("gpu")).unwrap();
    assert_eq!(serve(&mut late), (0..100).collect::<Vec<_>>());
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.accepted, snapshot.dispatched, snapshot.depth), (200, 200, 0));
    assert!(snapshot.limits.waiting.is_empty());
}

// 64 classes in an engine, 4 lanes beside the first in a tenant; freed with their last job.
#[test]
fn classes_are_bounded_and_come_free_with_their_last_job() {
    let (engine, _) = engine(2, policy(|policy| policy.tenants_max(32)));
    let mut worker = engine.worker_with(caps("a0,a1,a2,a3,a4")).unwrap();
    let acme = tenant(&engine, "acme");
    let sets: Vec<_> = (0..5).map(|k| requirement(&engine, &format!("a{k}"))).collect();
    for set in &sets[..4] {
        engine.submit(acme, Job::new(0).requires(*set)).unwrap();
    }
    let refused = engine.submit(acme, Job::new(7).requires(sets[4])).unwrap_err();
    assert_eq!((refused.reason(), refused.into_payload()), (Reason::TooManyClasses, 7));
    assert_eq!(serve(&mut worker).len(), 4);
    engine.submit(acme, Job::new(7).requires(sets[4])).unwrap();
    assert_eq!(serve(&mut worker), [7]);

    let mut held = Vec::new();
    for k in 0..63 {
        let tenant = tenant(&engine, &format!("t{}", k / 4));
        let set = requirement(&engine, &format!("b{k}"));
        engine.submit(tenant, Job::new(k).requires(set)).unwrap();
        held.push(set);
    }
    let more = requirement(&engine, "one-more");
    let refused = engine.submit(acme, Job::new(9).requires(more)).unwrap_err();
    assert_eq!(refused.reason(), Reason::TooManyClasses);
    // A set that is alive has a class for other tenants too.
    engine.submit(acme, Job::new(10).requires(held[0])).unwrap();
    let mut able = engine.worker_with(caps("b0,b1,b2")).unwrap();
    let mut served = serve(&mut able);
    served.sort_unstable();
    assert_eq!(served, [0, 1, 2, 10]);
    engine.submit(acme, Job::new(9).requires(more)).expect("three classes have gone");
}

// Between tenants of one class shares are fair; a tenant with two classes splits its quantum.
#[test]
fn shares_are_fair_within_a_class_and_a_tenant_gains_nothing_by_many() {
    let (engine, _) = engine(1, policy(|p| p.tier("starter", Weight::ONE).base_quantum(4)));
    let (a, b) = (tenant(&engine, "a"), tenant(&engine, "b"));
    let gpu = requirement(&engine, "gpu");
    for _ in 0..400 {
        engine.submit(a, Job::new(1).requires(gpu)).unwrap();
        engine.submit(b, Job::new(2).requires(gpu)).unwrap();
        engine.submit(a, 3).unwrap();
    }
    let mut worker = engine.worker_with(caps("gpu")).unwrap();
    let served: Vec<_> = (0..400)
        .flat_map(|_| worker.next_batch(1).map(|g| g.into_payload()).collect::<Vec<_>>())
        .collect();
    let count = |job| served.iter().filter(|served| **served == job).count() as i64;
    assert!((count(1) + count(3) - count(2)).abs() <= 12, "{} {} {}", count(1), count(2), count(3));
    assert!((count(1) - count(3)).abs() <= 8, "{} against {}", count(1), count(3));
}

// With 100 workers of which 10, or 1, are capable, and 1,000 jobs: all finish, none by luck: p99 within
// 1.1 times the work-conserving optimum, in virtual time.
#[test]
fn few_capable_workers_finish_all_jobs_at_the_optimum() {
    const JOB_MS: u64 = 10;
    for capable in [10, 1] {
        let (engine, clock) = engine(100, Policy::default());
        let tenants: Vec<_> = (0..10).map(|k| tenant(&engine, &format!("t{k}"))).collect();
        let gpu = requirement(&engine, "gpu");
        // The capable ones come last: whoever looks first finds nothing it can run.
        let mut workers: Vec<_> = (0..100)
            .map(|k| {
                let caps = if k >= 100 - capable { caps("gpu") } else { Capabilities::default() };
                engine.worker_with(caps).unwrap()
            })
            .collect();
        for job in 0..1_000 {
            engine.submit(tenants[job as usize % 10], Job::new(job).requires(gpu)).unwrap();
        }
        let mut finished = Vec::new();
        let mut ms = 0;
        while finished.len() < 1_000 {
            assert!(ms < 1_000 * JOB_MS, "{} jobs are stranded", 1_000 - finished.len());
            clock.advance_to(Nanos(ms * 1_000_000));
            let mut granted = Vec::new();
            for (at, worker) in workers.iter_mut().enumerate() {
                let jobs: Vec<_> = worker.next_batch(1).map(|g| g.into_payload()).collect();
                assert!(jobs.is_empty() || at >= 100 - capable, "worker {at} cannot run it");
                granted.extend(jobs);
            }
            ms += JOB_MS;
            finished.extend(granted.into_iter().map(|_| ms));
        }
        let p99 = finished[finished.len() * 99 / 100 - 1];
        let optimum = (990_u64).div_ceil(capable as u64) * JOB_MS;
        assert!(p99 * 10 <= optimum * 11, "{capable} capable: p99 {p99} ms, at best {optimum}");
    }
}

#[test]
fn positions_bounds_and_estimates_of_such_jobs_are_their_lanes() {
    let (engine, _) = engine(1, policy(|policy| policy.default_queue_max(3)));
    let acme = tenant(&engine, "acme");
    let gpu = requirement(&engine, "gpu");
    let places: Vec<_> =
        (0..3).map(|job| engine.submit(acme, Job::new(job).requires(gpu)).unwrap()).collect();
    let positions: Vec<_> = places.iter().map(|place| engine.position(place)).collect();
    assert_eq!(positions, [Some(1), Some(2), Some(3)]);
    let full = engine.submit(acme, Job::new(3).requires(gpu)).unwrap_err();
    assert_eq!(full.reason(), Reason::QueueFull);
    engine.submit(acme, 4).expect("the other lane has room of its own");
    assert_eq!(engine.snapshot().tenant_rows[0].depth, 4);
}

#[test]
fn a_drain_hands_back_jobs_that_nobody_could_run() {
    let (engine, _) = engine(1, Policy::default());
    let acme = tenant(&engine, "acme");
    let gpu = requirement(&engine, "gpu");
    for job in 0..10 {
        engine.submit(acme, Job::new(job).requires(gpu)).unwrap();
    }
    let report = engine.drain(Duration::ZERO);
    assert_eq!((report.returned.len(), report.unpublished), (10, 0));
    let refused = engine.submit(acme, Job::new(1).requires(gpu)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Closed);
}

#[test]
fn a_requirement_of_another_engine_is_refused() {
    let (ours, _) = engine(1, Policy::default());
    let (theirs, _) = engine(1, Policy::default());
    let acme = tenant(&ours, "acme");
    let foreign = requirement(&theirs, "gpu");
    let refused = ours.submit(acme, Job::new(1).requires(foreign)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Invalid);
}

// A tenant with jobs in such a lane alone is not given up; without, it is.
#[test]
fn a_tenant_whose_jobs_wait_for_a_worker_keeps_its_slot() {
    let (engine, clock) = engine(2, policy(|policy| policy.tenants_max(2).queue_max(64)));
    let gpu = requirement(&engine, "gpu");
    let (a, b) = (tenant(&engine, "a"), tenant(&engine, "b"));
    let mut plain = engine.worker().unwrap();
    engine.submit(a, Job::new(1).requires(gpu)).unwrap();
    engine.submit(b, 2).unwrap();
    assert_eq!(serve(&mut plain), [2]);
    clock.advance(Nanos(200_000_000_000));
    assert!(plain.next_batch(1).next().is_none());
    tenant(&engine, "c");
    assert!(engine.explain(a).is_some() && engine.explain(b).is_none());
    let mut able = engine.worker_with(caps("gpu")).unwrap();
    assert_eq!(serve(&mut able), [1]);
    clock.advance(Nanos(200_000_000_000));
    assert!(able.next_batch(1).next().is_none() && plain.next_batch(1).next().is_none());
    tenant(&engine, "d");
    tenant(&engine, "e");
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.accepted, snapshot.dispatched), (2, 2));
}

// Real threads that sleep: the one that can run it is woken.
#[test]
fn a_sleeping_worker_that_can_run_a_job_is_woken() {
    let (done, finished) = std::sync::mpsc::channel();
    let engine = Engine::<u32>::builder()
        .workers(3)
        .capabilities(|worker| if worker == 1 { caps("gpu") } else { Capabilities::default() })
        .start(move |grant| {
            let thread = std::thread::current().name().unwrap().to_owned();
            done.send((grant.into_payload(), thread)).unwrap();
        })
        .unwrap();
    let acme = tenant(&engine, "acme");
    let gpu = requirement(&engine, "gpu");
    for job in 0..200 {
        std::thread::sleep(Duration::from_micros(300));
        engine.submit(acme, Job::new(job).requires(gpu)).unwrap();
        let (got, thread) = finished.recv_timeout(Duration::from_secs(10)).expect("woken");
        assert_eq!((got, thread.as_str()), (job, "fairlane-1"));
    }
}

// Limits, priorities and deadlines hold for such jobs as for others.
#[test]
fn limits_and_deadlines_hold_across_a_tenants_lanes() {
    let limits = fairlane::Limits::default().concurrency(fairlane::Cap::Grants(2));
    let (engine, clock) = engine(1, policy(|policy| policy.tenant_limits("acme", limits)));
    let acme = tenant(&engine, "acme");
    let gpu = requirement(&engine, "gpu");
    let mut worker = engine.worker_with(caps("gpu")).unwrap();
    for job in 0..3 {
        engine.submit(acme, Job::new(job).requires(gpu)).unwrap();
        engine.submit(acme, 10 + job).unwrap();
    }
    let late = Job::new(99).requires(gpu).deadline(Nanos(5));
    engine.submit(acme, late).unwrap();
    let mut held: Vec<_> = worker.next_batch(10).collect();
    assert_eq!(held.len(), 2);
    assert!(worker.next_batch(10).next().is_none());
    clock.advance(Nanos(5));
    let mut all: Vec<_> = held.iter().map(|grant| *grant.payload()).collect();
    for _ in 0..4 {
        drop(held.pop());
        let more: Vec<_> = worker.next_batch(10).collect();
        assert_eq!(more.len(), 1);
        all.extend(more.iter().map(|grant| *grant.payload()));
        held.extend(more);
    }
    drop(held);
    assert!(worker.next_batch(10).next().is_none());
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 10, 11, 12]);
    assert_eq!(engine.snapshot().expired, 1);
}

/// A worker that has `gpu`, one that has not, and a tenant with one running job that requires it and one that
/// waits for what the first one holds.
fn last_of_its_kind(policy: Policy) -> (Engine<u32>, [Worker<u32>; 2], fairlane::Grant<u32>) {
    let (engine, _) = engine(2, policy);
    let acme = tenant(&engine, "acme");
    let gpu = requirement(&engine, "gpu");
    let [mut able, plain] = [engine.worker_with(caps("gpu")), engine.worker()].map(Result::unwrap);
    for job in 0..2 {
        engine.submit(acme, Job::new(job).requires(gpu)).unwrap();
    }
    let running = able.next_batch(1).next().unwrap();
    assert!(able.next_batch(1).next().is_none(), "the second waits");
    (engine, [able, plain], running)
}

// T-F14: what a job holds up that nobody here can run any more goes to one that can.
#[test]
fn a_slot_does_not_wait_for_a_job_whose_last_worker_has_left() {
    let own = fairlane::Limits::default().concurrency(fairlane::Cap::Grants(1));
    let ways: [(Policy, &str); 2] = [
        (policy(|policy| policy.tenant_limits("acme", own.clone())), "acme"),
        (policy(|policy| policy.concurrency(1)), "other"),
    ];
    for (policy, whose) in ways {
        for leaves_first in [true, false] {
            let (engine, [able, mut plain], running) = last_of_its_kind(policy.clone());
            engine.submit(tenant(&engine, whose), 7).unwrap();
            assert!(plain.next_batch(1).next().is_none(), "no slot is free");
            // The slot goes to who has waited longest, unless nobody can use it there.
            let mut running = Some(running);
            if !leaves_first {
                running = None;
            }
            drop(able);
            drop(running);
            assert_eq!(serve(&mut plain), [7]);
            let acme = engine.explain(tenant(&engine, "acme")).unwrap();
            let wait = wait_of(acme.branches[0].standing.clone());
            assert_eq!(wait.reason, Reason::NoCapableWorker);
            let mut able = engine.worker_with(caps("gpu")).unwrap();
            assert_eq!(serve(&mut able), [1], "it goes on when one comes");
        }
    }
}

#[test]
fn room_in_a_budget_does_not_wait_for_a_job_whose_last_worker_has_left() {
    let limits = fairlane::Limits::default().budgets(vec!["org".to_owned()]);
    let policy = policy(|policy| {
        let policy = policy.tier("starter", Weight::ONE).tier_limits("starter", limits);
        policy.budget_hard("org", "cost", 1)
    });
    let (engine, [able, mut plain], running) = last_of_its_kind(policy);
    engine.submit(tenant(&engine, "other"), 7).unwrap();
    assert!(plain.next_batch(1).next().is_none(), "no room");
    running.settle(0);
    drop(able);
    let other: Vec<_> = plain.next_batch(1).collect();
    assert_eq!(other.iter().map(|grant| *grant.payload()).collect::<Vec<_>>(), [7]);
}
