//! Priorities inside a tenant, due times and deadlines.

use crate::rig::{MS, Rig, SECOND, limited, policy};
use fairlane::{Engine, Job, Limits, Nanos, Policy, Reason};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn rig() -> Rig {
    Rig::new(Policy::default())
}

//
#[test]
fn higher_bands_go_first_and_inside_a_band_the_older_job() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    rig.submit(acme, "plain1");
    rig.submit(acme, Job::new("low").priority(-5));
    rig.submit(acme, Job::new("middle").priority(6_000));
    rig.submit(acme, Job::new("top1").priority(10_000));
    rig.submit(acme, Job::new("top2").priority(9_000));
    rig.submit(acme, "plain2");
    assert_eq!(rig.serve(), ["top1", "top2", "middle", "plain1", "low", "plain2"]);
}

#[test]
fn an_urgent_job_goes_before_those_that_came_without_a_priority() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    for round in 0..3 {
        (0..100).for_each(|_| rig.submit(acme, "plain"));
        let grants = rig.look(5);
        assert!(grants.iter().all(|grant| *grant.payload() == "plain"), "round {round}");
        rig.submit(acme, Job::new("urgent").priority(9_000));
        rig.submit(acme, "plain");
        assert_eq!(rig.serve()[0], "urgent", "round {round}");
    }
}

#[test]
fn a_low_band_gets_one_of_any_sixteen_picks() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    for _ in 0..160 {
        rig.submit(acme, Job::new("high").priority(9_000));
    }
    for _ in 0..10 {
        rig.submit(acme, Job::new("low").priority(1));
    }
    let served = rig.serve();
    for picks in served[..160].chunks(16) {
        assert!(picks.contains(&"low"), "{picks:?}");
    }
    assert_eq!(served.len(), 170);
}

// Priority gives a tenant nothing over another (decision 9).
#[test]
fn priority_does_not_reach_beyond_the_tenant() {
    let mut rig = Rig::new(policy(|policy| policy.base_quantum(1)));
    let (a, b) = (rig.tenant("a"), rig.tenant("b"));
    for _ in 0..50 {
        rig.submit(a, Job::new("a").priority(9_000));
        rig.submit(b, "b");
    }
    let served = rig.serve();
    let of_a = served[..50].iter().filter(|job| **job == "a").count();
    assert!((24..=26).contains(&of_a), "{of_a} of 50");
}

#[test]
fn a_job_goes_when_it_is_due_and_holds_up_nobody_before() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("later").not_before(Nanos(5 * MS)));
    rig.submit(acme, Job::new("sooner").delay(Duration::from_millis(3)));
    rig.submit(acme, "now");
    assert_eq!(rig.serve(), ["now"]);
    rig.at(3 * MS - 1);
    rig.submit(acme, "meanwhile");
    assert_eq!(rig.serve(), ["meanwhile"]);
    rig.at(3 * MS);
    assert_eq!(rig.serve(), ["sooner"]);
    rig.at(5 * MS);
    assert_eq!(rig.serve(), ["later"]);
    assert_eq!(rig.engine.snapshot().depth, 0);
}

/// An engine with room for sixteen jobs, and jobs accepted one at a time, each looked at before the next.
fn fill(rig: &mut Rig, names: &[&str], due: Nanos) -> usize {
    let tenants: Vec<_> = names.iter().map(|name| rig.tenant(name)).collect();
    let mut accepted = 0;
    while rig
        .engine
        .submit(tenants[accepted % tenants.len()], Job::new("job").not_before(due))
        .is_ok()
    {
        accepted += 1;
        assert!(rig.serve().is_empty(), "not due yet");
    }
    accepted
}

#[test]
fn jobs_that_are_not_due_fill_the_engine_one_at_a_time_as_others_do() {
    for names in [&["a"][..], &["a", "b", "c"]] {
        let mut rig = Rig::new(policy(|policy| policy.queue_max(16)));
        assert_eq!(fill(&mut rig, names, Nanos(5 * MS)), 16);
        let refused = rig.engine.submit(rig.tenant("late"), "job").unwrap_err();
        assert_eq!(refused.reason(), Reason::EngineFull);
        // The room comes back with the jobs, and may be used again.
        rig.at(5 * MS);
        assert_eq!(rig.serve().len(), 16);
        assert_eq!(fill(&mut rig, names, Nanos(9 * MS)), 16);
    }
}

#[test]
fn jobs_that_fill_the_engine_go_at_the_moment_they_are_due() {
    let mut rig = Rig::new(policy(|policy| policy.queue_max(16)));
    let tenants: Vec<_> = ["a", "b", "c", "d"].map(|name| rig.tenant(name)).into();
    for moment in 1..=16 {
        let tenant = tenants[moment as usize % 4];
        rig.submit(tenant, Job::new("job").not_before(Nanos(moment * MS)));
        assert!(rig.serve().is_empty(), "not due yet");
    }
    for moment in 1..=16 {
        rig.at(moment * MS - 1);
        assert_eq!(rig.serve().len(), 0, "before {moment} ms");
        rig.at(moment * MS);
        assert_eq!(rig.serve().len(), 1, "at {moment} ms");
    }
}

// Waits count from the due moment.
#[test]
fn the_wait_of_a_due_job_counts_from_when_it_was_due() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    rig.at(SECOND);
    rig.submit(acme, Job::new("due").not_before(Nanos(3 * SECOND)));
    rig.at(4 * SECOND);
    let grant = rig.look(1).pop().unwrap();
    let waited = grant.waited().unwrap();
    assert!(waited.abs_diff(Duration::from_secs(1)) < Duration::from_micros(3), "{waited:?}");
}

#[test]
fn a_job_at_its_deadline_never_runs_and_the_earliest_deadline_holds() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("by 5").deadline(Nanos(5 * MS)).max_wait(Duration::from_secs(1)));
    rig.submit(acme, Job::new("by 3").deadline(Nanos(9 * MS)).max_wait(Duration::from_millis(3)));
    rig.submit(acme, "whenever");
    rig.at(5 * MS);
    assert_eq!(rig.serve(), ["whenever"]);
    let expired = rig.expired.lock().unwrap();
    let names: Vec<_> = expired.iter().map(|(job, _)| *job).collect();
    assert_eq!(names, ["by 3", "by 5"]);
    let exact = |wait: Duration| wait.abs_diff(Duration::from_millis(5)) < Duration::from_micros(3);
    assert!(expired.iter().all(|(_, waited)| exact(*waited)), "{expired:?}");
}

#[test]
fn a_job_one_nanosecond_before_its_deadline_runs() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("just in time").deadline(Nanos(5 * MS)));
    rig.at(5 * MS - 1);
    assert_eq!(rig.serve(), ["just in time"]);
    let late = rig.engine.submit(acme, Job::new("late").deadline(Nanos(MS))).unwrap_err();
    assert_eq!(late.reason(), Reason::Deadline);
}

// expired_do_not_block: 120 expired jobs and 24 live ones.
#[test]
fn expired_jobs_make_room_at_once_and_block_nobody() {
    let mut rig = Rig::new(policy(|policy| policy.default_queue_max(144)));
    let acme = rig.tenant("acme");
    for k in 0..144 {
        let job = if k % 6 == 0 { Job::new("live") } else { Job::new("gone").deadline(Nanos(MS)) };
        rig.submit(acme, job);
    }
    assert!(rig.engine.submit(acme, "no room").is_err());
    rig.at(MS);
    assert_eq!(rig.serve(), vec!["live"; 24]);
    assert_eq!(rig.expired.lock().unwrap().len(), 120);
    let snapshot = rig.engine.snapshot();
    assert_eq!((snapshot.depth, snapshot.expired, snapshot.accepted), (0, 120, 144));
    assert_eq!(snapshot.tenant_rows[0].expired, 120);
}

#[test]
fn a_tiers_longest_wait_holds_for_jobs_that_say_nothing() {
    let limits = Limits::default().max_wait(Duration::from_millis(10));
    let mut rig = Rig::new(limited(limits));
    let acme = rig.tenant("acme");
    rig.submit(acme, "first");
    rig.at(6 * MS);
    rig.submit(acme, "second");
    rig.at(10 * MS);
    assert_eq!(rig.serve(), ["second"]);
    assert_eq!(rig.expired.lock().unwrap().len(), 1);
}

// Jobs that wait outside the ring still count towards both bounds.
#[test]
fn jobs_set_aside_count_towards_the_bounds() {
    let mut rig =
        Rig::new(policy(|policy| policy.queue_max(32).tenants_max(4).default_queue_max(20)));
    let (a, b) = (rig.tenant("a"), rig.tenant("b"));
    (0..20).for_each(|_| rig.submit(a, Job::new("later").not_before(Nanos(SECOND))));
    assert!(rig.serve().is_empty());
    let full = rig.engine.submit(a, "one more").unwrap_err();
    assert_eq!(full.to_string(), "queue full: 20 of 20 jobs queued");
    let accepted = (0..20).take_while(|_| rig.engine.submit(b, "job").is_ok()).count();
    assert!(accepted <= 12, "{accepted} more than the engine has room for");
    assert_eq!(rig.serve().len(), accepted);
    rig.at(SECOND);
    assert_eq!(rig.serve().len(), 20);
}

#[test]
fn a_drain_hands_back_what_is_not_due() {
    let mut rig = rig();
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("later").not_before(Nanos(SECOND)));
    assert!(rig.serve().is_empty());
    rig.submit(acme, Job::new("later still").delay(Duration::from_secs(9)));
    let report = rig.engine.drain(Duration::ZERO);
    assert_eq!((report.returned.len(), report.unpublished), (2, 0));
}

// While every worker sits in its handler the timekeeper tells of what expires.
#[test]
fn jobs_expire_in_time_while_every_worker_is_busy() {
    let late = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&late);
    let engine = Engine::<Instant>::builder()
        .workers(2)
        .on_expired(move |job: fairlane::Expired<Instant>| {
            told.lock().unwrap().push(job.payload.elapsed());
        })
        .start(|_| std::thread::sleep(Duration::from_millis(100)))
        .unwrap();
    let busy = engine.tenant("busy", "starter").unwrap();
    let light = engine.tenant("light", "starter").unwrap();
    for _ in 0..8 {
        engine.submit(busy, Instant::now()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(20));
    for _ in 0..50 {
        let job = Job::new(Instant::now()).max_wait(Duration::from_millis(10));
        engine.submit(light, job).unwrap();
    }
    std::thread::sleep(Duration::from_millis(60));
    let waits = late.lock().unwrap().clone();
    assert_eq!(waits.len(), 50, "told while the workers were still in their handlers");
    let worst = *waits.iter().max().unwrap();
    assert!(worst < Duration::from_millis(40), "{worst:?} after 10 ms");
    drop(engine.drain(Duration::from_secs(5)));
}

#[test]
fn due_jobs_are_granted_in_time_by_workers_that_sleep() {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&waits);
    let engine = Engine::<Instant>::builder()
        .workers(1)
        .start(move |grant| seen.lock().unwrap().push(grant.payload().elapsed()))
        .unwrap();
    let acme = engine.tenant("acme", "starter").unwrap();
    for _ in 0..5 {
        engine.submit(acme, Job::new(Instant::now()).delay(Duration::from_millis(20))).unwrap();
    }
    std::thread::sleep(Duration::from_millis(120));
    let waits = waits.lock().unwrap().clone();
    assert_eq!(waits.len(), 5);
    assert!(waits.iter().all(|wait| *wait >= Duration::from_millis(20)), "{waits:?}");
}
