//! Limits on real threads: races for the last slot, and submitters that wait by the overload rule.

use crate::rig::{Rig, SECOND, caps, policy};
use fairlane::{
    Clock, Engine, Grant, Job, Limits, ManualClock, Nanos, Overload, Policy, Rate, Reason, Tenant,
    Unit, Weight,
};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Nine grants are out, and three tenants have a job each; three threads look at the same moment, round after
/// round. The most that was out at once, and how many the three got in all.
fn race_for_the_tenth(limit: u32, rounds: u32) -> (u32, u32) {
    let policy = policy(|p| p.concurrency(limit));
    let engine = Engine::<u32>::builder().workers(4).policy(policy).build().unwrap();
    let mut first = engine.worker().unwrap();
    let busy = engine.tenant("busy", "starter").unwrap();
    (0..9).for_each(|job| drop(engine.submit(busy, job)));
    let held: Vec<_> = first.next_batch(9).collect();
    assert_eq!(held.len(), 9);
    let barrier = Barrier::new(3);
    let (out, most, all) = (AtomicU32::new(9), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for racer in 0..3 {
            let (engine, barrier, out, most, all) = (&engine, &barrier, &out, &most, &all);
            scope.spawn(move || {
                let mut worker = engine.worker().unwrap();
                let tenant = engine.tenant(&format!("t{racer}"), "starter").unwrap();
                for round in 0..rounds {
                    let _ = engine.submit(tenant, round).unwrap();
                    barrier.wait();
                    let got: Vec<_> = worker.next_batch(1).collect();
                    let count = u32::try_from(got.len()).unwrap();
                    most.fetch_max(out.fetch_add(count, SeqCst) + count, SeqCst);
                    all.fetch_add(count, SeqCst);
                    barrier.wait();
                    out.fetch_sub(count, SeqCst);
                    drop(got);
                    barrier.wait();
                    // Those that came too late go one after the other, so that no lane is parked.
                    while racer == 0 && engine.snapshot().depth > 0 {
                        worker.next_batch(1).for_each(drop);
                    }
                    barrier.wait();
                }
            });
        }
    });
    drop(held);
    assert_eq!(engine.snapshot().limits.in_flight, 0, "every slot came back");
    assert_eq!(engine.snapshot().dispatched, u64::from(9 + 3 * rounds), "no job is lost");
    (most.into_inner(), all.into_inner())
}

// hard_limit_race: limit 10, 9 in flight, 3 threads at once; 3,000 rounds, so that it stays below a second.
#[test]
fn three_threads_at_once_get_one_slot() {
    let rounds = 3_000;
    let (most, got) = race_for_the_tenth(10, rounds);
    assert_eq!(most, 10);
    assert!(got > rounds / 2 && got <= rounds, "{got} of {rounds} rounds have a winner");
}

// Negative control: with room for all three the same race sees more than ten.
#[test]
fn the_race_sees_more_than_ten_where_more_may_be_out() {
    assert_eq!(race_for_the_tenth(12, 300).0, 12);
}

/// An engine whose queue has room for two jobs, under a rule for what is too much.
fn with_rule(rule: Overload) -> (Engine<u32>, Tenant) {
    let policy = policy(|p| {
        let limits = Limits::default().overload(rule);
        p.default_queue_max(2).tier("starter", Weight::ONE).tier_limits("starter", limits)
    });
    let engine = Engine::builder().workers(1).policy(policy).build().unwrap();
    let tenant = engine.tenant("acme", "starter").unwrap();
    for job in 0..2 {
        let _ = engine.submit(tenant, job).unwrap();
    }
    (engine, tenant)
}

/// Refusals by reason, and the tenant's own with their cost.
fn refusals(engine: &Engine<u32>) -> (Vec<(Reason, u64)>, u32, u64) {
    let snapshot = engine.snapshot();
    let row = &snapshot.tenant_rows[0];
    (snapshot.refused.into_iter().collect(), row.refused, row.refused_cost)
}

// Overload rule: reject gives the job back at once, wait gives it back when the time is up.
#[test]
fn a_submission_to_a_full_queue_waits_as_long_as_the_rule_says() {
    for (rule, time) in [(Overload::Reject, 0), (Overload::Wait(Duration::from_millis(50)), 50)] {
        let (engine, acme) = with_rule(rule);
        let start = Instant::now();
        let refused = engine.submit(acme, 7).unwrap_err();
        let took = start.elapsed();
        assert_eq!((refused.reason(), refused.into_payload()), (Reason::QueueFull, 7));
        assert!(took >= Duration::from_millis(time), "{rule:?}: {took:?}");
        assert!(took < Duration::from_millis(time + 500), "{rule:?}: {took:?}");
        assert_eq!((engine.snapshot().accepted, engine.snapshot().depth), (2, 2));
        assert_eq!(refusals(&engine), (vec![(Reason::QueueFull, 1)], 1, 1), "{rule:?}");
    }
}

// It is accepted as soon as there is room, plain or with a priority of its own, and loses nothing.
#[test]
fn a_submission_that_waits_by_the_rule_goes_on_when_there_is_room() {
    for priority in [None, Some(9_000)] {
        let (engine, acme) = with_rule(Overload::Wait(Duration::from_secs(20)));
        let mut worker = engine.worker().unwrap();
        std::thread::scope(|scope| {
            let submitter = scope.spawn(|| {
                let job = Job::new(7);
                let job = priority.map_or(Job::new(7), |priority| job.priority(priority));
                let start = Instant::now();
                engine.submit(acme, job).map(|_| start.elapsed()).map_err(|error| error.reason())
            });
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(engine.snapshot().accepted, 2, "there is no room yet");
            assert_eq!(worker.next_batch(1).count(), 1);
            let waited = submitter.join().unwrap().expect("there is room");
            assert!(waited < Duration::from_secs(10), "{waited:?}");
        });
        assert_eq!(refusals(&engine), (vec![], 0, 0), "what is accepted was not refused");
        let left: Vec<_> = (0..3)
            .flat_map(|_| worker.next_batch(8).map(|g| g.into_payload()).collect::<Vec<_>>())
            .collect();
        assert_eq!(left.iter().filter(|job| **job == 7).count(), 1);
        assert_eq!(engine.snapshot().dispatched, 3);
    }
}

// The same of a caller that waits itself, and of a job with a requirement, whose lane has its own bound.
#[test]
fn a_wait_for_room_counts_one_refusal_however_often_it_tries() {
    let (engine, acme) = with_rule(Overload::Reject);
    let mut worker = engine.worker().unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let refused = engine.submit_blocking(acme, Job::new(7).cost(5), soon).unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    assert_eq!(refusals(&engine), (vec![(Reason::QueueFull, 1)], 1, 5));
    let late = Instant::now() + Duration::from_secs(20);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| engine.submit_blocking(acme, 7, late).is_ok());
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(worker.next_batch(1).count(), 1);
        assert!(submitter.join().unwrap());
    });
    assert_eq!(refusals(&engine).1, 1, "not one more");

    let (engine, acme) = with_rule(Overload::Wait(Duration::from_millis(50)));
    let gpu = engine.requirement(&caps("gpu")).unwrap();
    for job in 0..2 {
        let _ = engine.submit(acme, Job::new(job).requires(gpu)).unwrap();
    }
    let refused = engine.submit(acme, Job::new(7).requires(gpu)).unwrap_err();
    assert_eq!((refused.reason(), refused.into_payload()), (Reason::QueueFull, 7));
    assert_eq!(refusals(&engine), (vec![(Reason::QueueFull, 1)], 1, 1));
}

// A job with a requirement waits for room in the lane it goes to, whatever room its tenant's own has.
#[test]
fn room_in_a_lane_lets_those_go_who_wait_for_that_lane() {
    let policy = policy(|policy| policy.default_queue_max(1));
    let engine = Engine::<u32>::builder().workers(1).policy(policy).build().unwrap();
    let acme = engine.tenant("acme", "starter").unwrap();
    let gpu = engine.requirement(&caps("gpu")).unwrap();
    let _ = engine.submit(acme, Job::new(0).delay(Duration::from_secs(3_600))).unwrap();
    let _ = engine.submit(acme, Job::new(1).requires(gpu)).unwrap();
    let mut worker = engine.worker_with(caps("gpu")).unwrap();
    let late = Instant::now() + Duration::from_secs(20);
    std::thread::scope(|scope| {
        let wait = || engine.submit_blocking(acme, Job::new(2).requires(gpu), late).is_ok();
        let submitter = scope.spawn(wait);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(worker.next_batch(1).count(), 1);
        assert!(submitter.join().unwrap(), "its own lane has room");
    });
    assert!(Instant::now() < late - Duration::from_secs(5), "it was told, and not only late");
    assert_eq!(engine.snapshot().depth, 2);
}

// Room in the engine is room for everybody, in whichever lane it comes free.
#[test]
fn room_in_the_engine_lets_those_go_who_wait_for_it() {
    let policy = policy(|policy| policy.queue_max(1).default_queue_max(1));
    let engine = Engine::<u32>::builder().workers(1).policy(policy).build().unwrap();
    let [acme, umbra] = ["acme", "umbra"].map(|name| engine.tenant(name, "starter").unwrap());
    let _ = engine.submit(acme, Job::new(0)).unwrap();
    let refused = engine.submit(umbra, Job::new(1)).unwrap_err();
    assert_eq!(refused.reason(), Reason::EngineFull);
    let mut worker = engine.worker().unwrap();
    let late = Instant::now() + Duration::from_secs(20);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| engine.submit_blocking(umbra, Job::new(1), late).is_ok());
        std::thread::sleep(Duration::from_millis(30));
        while !submitter.is_finished() {
            worker.next_batch(1).for_each(drop);
        }
        assert!(submitter.join().unwrap());
    });
    assert!(Instant::now() < late - Duration::from_secs(5), "it was told, and not only late");
}

/// From when a submitter begins to wait for a block until it has one that a visit without a grant gave back
/// after 20 ms: jobs set aside until they are due take no more blocks than they fill.
fn wait_for_a_block() -> Duration {
    let policy = policy(|policy| policy.queue_max(64).tenants_max(3));
    let engine = Engine::<u32>::builder().workers(1).policy(policy).build().unwrap();
    let tenant = |name: &str| engine.tenant(name, "starter").unwrap();
    let [acme, umbra, hooli] = ["acme", "umbra", "hooli"].map(tenant);
    let mut worker = engine.worker().unwrap();
    for job in 0..2 {
        for tenant in [acme, umbra] {
            let _ = engine.submit(tenant, Job::new(job).delay(Duration::from_secs(60))).unwrap();
        }
        if job == 0 {
            assert_eq!(worker.next_batch(8).count(), 0);
        }
    }
    assert_eq!(engine.submit(hooli, Job::new(2)).unwrap_err().reason(), Reason::EngineFull);
    let start = Instant::now();
    let late = start + Duration::from_secs(20);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| engine.submit_blocking(hooli, Job::new(2), late).is_ok());
        std::thread::sleep(Duration::from_millis(20));
        // The job that was let in may be granted by the look that made room for it.
        assert!(worker.next_batch(8).all(|grant| *grant.payload() == 2));
        assert!(submitter.join().unwrap());
    });
    start.elapsed()
}

// Who waits for the engine looks every 100 ms by itself, and must be told before that.
#[test]
fn a_visit_that_gives_blocks_back_lets_those_go_who_wait_for_one() {
    let waits: Vec<Duration> = (0..5).map(|_| wait_for_a_block()).collect();
    assert!(waits.iter().min().unwrap() < &Duration::from_millis(60), "{waits:?}");
}

// Nobody visits a lane whose jobs all wait for their time: who asks for a wider tier wakes those that wait.
#[test]
fn a_wider_tier_lets_those_go_who_wait_for_room() {
    let text =
        "[tiers.starter]\nweight = 1\nqueue_max = 1\n[tiers.scale]\nweight = 2\nqueue_max = 2\n";
    let policy = Policy::from_toml(text).unwrap();
    let engine = Engine::<u32>::builder().workers(1).policy(policy).build().unwrap();
    let acme = engine.tenant("acme", "starter").unwrap();
    let _ = engine.submit(acme, Job::new(0).delay(Duration::from_secs(3_600))).unwrap();
    let late = Instant::now() + Duration::from_secs(20);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| engine.submit_blocking(acme, Job::new(1), late).is_ok());
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(engine.tenant("acme", "scale").unwrap(), acme);
        assert!(submitter.join().unwrap(), "there is room for two");
    });
    assert!(Instant::now() < late - Duration::from_secs(5), "it was told, and not only late");
}

// A job never waits for room beyond its own deadline, whichever of them it is.
#[test]
fn a_wait_for_room_ends_with_the_job() {
    const MOST: Duration = Duration::from_secs(20);
    type Ending = fn(&Engine<u32>) -> Job<u32>;
    let ends: [Ending; 2] = [
        |engine| Job::new(7).deadline(engine.now().after(Nanos(10_000_000))),
        |_| Job::new(7).max_wait(Duration::from_millis(10)),
    ];
    for job in ends {
        let (engine, acme) = with_rule(Overload::Wait(MOST));
        let start = Instant::now();
        let refused = engine.submit(acme, job(&engine)).unwrap_err();
        let took = start.elapsed();
        assert_eq!((refused.reason(), refused.into_payload()), (Reason::Deadline, 7));
        assert!(took >= Duration::from_millis(9) && took < MOST / 2, "{took:?}");
        assert_eq!(refusals(&engine), (vec![(Reason::Deadline, 1)], 1, 1));
        let refused = engine.submit_blocking(acme, job(&engine), start + MOST).unwrap_err();
        assert_eq!(refused.reason(), Reason::Deadline);
        assert!(start.elapsed() < MOST / 2);
        assert_eq!((engine.snapshot().accepted, engine.snapshot().depth), (2, 2));
    }
}

/// Whether a job that waited for room from second 0 to 15, and may wait for 20, is gone at second 20. Not so
/// where its submitter has not begun by second 15.
fn expires_as_submitted() -> bool {
    let limits = Limits::default().overload(Overload::Wait(Duration::from_secs(60)));
    let mut rig = Rig::new(policy(|p| {
        p.default_queue_max(1).tier("starter", Weight::ONE).tier_limits("starter", limits)
    }));
    let acme = rig.tenant("acme");
    rig.submit(acme, "first");
    std::thread::scope(|scope| {
        let engine = rig.engine.clone();
        let job = Job::new("second").max_wait(Duration::from_secs(20));
        let submitter = scope.spawn(move || engine.submit(acme, job).is_ok());
        std::thread::sleep(Duration::from_millis(20));
        rig.at(15 * SECOND);
        assert_eq!(rig.look(1).len(), 1);
        assert!(submitter.join().unwrap(), "there is room");
    });
    rig.at(20 * SECOND);
    let granted = rig.look(1).len();
    let expired = rig.expired.lock().unwrap().len();
    assert_eq!(granted + expired, 1, "it is not lost");
    expired == 1
}

// The time that it waits for room counts. One submitter in 20 will have begun in time.
#[test]
fn a_job_that_has_waited_for_room_expires_when_it_would_have() {
    assert!((0..20).any(|_| expires_as_submitted()));
}

#[test]
fn a_batch_never_waits_for_room() {
    let (engine, acme) = with_rule(Overload::Wait(Duration::from_secs(20)));
    let start = Instant::now();
    let batch = engine.submit_batch(acme, vec![Job::new(3), Job::new(4).priority(9_000)]);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!((batch.accepted, batch.reason), (0, Some(Reason::QueueFull)));
    let back: Vec<_> = batch.refused.into_iter().map(Job::into_payload).collect();
    assert_eq!(back, [3, 4]);
    assert_eq!(refusals(&engine), (vec![(Reason::QueueFull, 2)], 2, 2));
}

// A swap that names a tenant gives it terms that the plan before did not have, maybe in the middle of a look.
#[test]
fn looks_beside_swaps_miss_no_tenant() {
    const TENANTS: u32 = 300;
    let engine = Engine::<u32>::builder().workers(1).build().unwrap();
    let name = |number: u32| format!("t{number}");
    let tenants: Vec<_> =
        (0..TENANTS).map(|number| engine.tenant(&name(number), "starter").unwrap()).collect();
    for (number, tenant) in (0..).zip(&tenants) {
        let _ = engine.submit(*tenant, number).unwrap();
    }
    let swaps = engine.clone();
    let swapper = std::thread::spawn(move || {
        for number in 0..TENANTS {
            let own = policy(|policy| policy.tenant_weight(name(number), Weight::ONE));
            swaps.set_policy(own).unwrap();
        }
    });
    let mut looks = 0;
    while !swapper.is_finished() || looks == 0 {
        let snapshot = engine.snapshot();
        let counts = (snapshot.tenant_rows.len() as u32, snapshot.accepted);
        assert_eq!(counts, (TENANTS, u64::from(TENANTS)));
        assert!(tenants.iter().all(|tenant| engine.explain(*tenant).is_some()), "look {looks}");
        looks += 1;
    }
    swapper.join().unwrap();
}

// The worker at which a lane comes to rest may have read the clock long before another granted its last job.
#[test]
fn a_tenant_with_a_grant_out_is_kept_whatever_the_clock_of_who_finds_its_lane_empty() {
    const UNIT: u64 = 1 << 30;
    let policy = policy(|policy| policy.tenants_max(1));
    let clock = Clock::Manual(ManualClock::new());
    let engine = Engine::<u32>::builder().workers(2).policy(policy).clock(clock).build().unwrap();
    let [mut early, mut late] = [(); 2].map(|()| engine.worker().unwrap());
    let acme = engine.tenant("acme", "starter").unwrap();
    (0..2).for_each(|job| assert!(engine.submit(acme, job).is_ok()));
    let grant = late.tick(Nanos(12 * UNIT), 1).next().expect("the first job");
    // Finds the lane empty behind the second.
    assert_eq!(early.tick(Nanos(11 * UNIT), 8).map(Grant::complete).count(), 1);
    let refused = engine.tenant("umbra", "starter").map_err(|error| error.reason());
    assert_eq!(refused, Err(Reason::TooManyTenants), "a job of acme runs");
    grant.complete();
    assert!(engine.tenant("umbra", "starter").is_ok());
}

/// A policy lifts a rate while a worker is kept busy by expiries of its tick, which goes by the one before, and
/// gives the last lane's tenant terms that the older one does not have: in the middle of its claim the worker
/// goes on by the newer one. Whether the job that was over the rate before that then goes.
fn goes_on_by_a_newer_policy() -> bool {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(3_600)).unwrap();
    let before = policy(|p| p.tenant_limits("limited", Limits::default().rate(rate)));
    let weigh = |p: fairlane::PolicyBuilder, name| p.tenant_weight(name, Weight::ONE);
    let after = policy(|p| weigh(weigh(p, "limited"), "last"));
    let engine = Engine::<u32>::builder().workers(1).policy(before).build().unwrap();
    let [first, limited, last] =
        ["first", "limited", "last"].map(|name| engine.tenant(name, "starter").unwrap());
    let mut worker = engine.worker().unwrap();
    // Until several lanes are claimed at once.
    for _ in 0..64 {
        (0..8).for_each(|_| drop(engine.submit(first, 0)));
        worker.next_batch(8).for_each(drop);
    }
    // What comes next is not the time that those jobs took.
    assert_eq!(worker.next_batch(8).count(), 0);
    for job in 0..9_000 {
        let _ = engine.submit(first, Job::new(job).max_wait(Duration::from_micros(100)));
    }
    for tenant in [limited, limited, last] {
        let _ = engine.submit(tenant, 0).unwrap();
    }
    std::thread::sleep(Duration::from_millis(1));
    let begins = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            begins.wait();
            engine.set_policy(after).unwrap();
        });
        begins.wait();
        worker.next_batch(64).for_each(drop);
    });
    (0..4).for_each(|_| worker.next_batch(64).for_each(drop));
    engine.snapshot().depth == 0
}

#[test]
fn a_lane_is_not_parked_by_the_policy_before_the_one_that_its_claim_ended_with() {
    let stuck = (0..50).filter(|_| !goes_on_by_a_newer_policy()).count();
    assert_eq!(stuck, 0, "of 50 rounds");
}
