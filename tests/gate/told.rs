//! What those who turn the clock, and observers, are told of parked lanes.

use crate::rig::{MS, Rig, SECOND, at_most, caps, limited, policy};
use fairlane::{
    Clock, Engine, Job, Limits, ManualClock, Nanos, Observer, Parking, Policy, Rate, Reason,
    Refused, Tenant, Unit, Weight,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn a_worker_names_the_next_moment_and_nothing_happens_before_it() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(1)).unwrap();
    let mut rig = Rig::new(limited(Limits::default().rate(rate)));
    let acme = rig.tenant("acme");
    assert_eq!(rig.workers[0].next_moment(), None);
    (0..3).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 1);
    for second in 1..3 {
        let next = rig.workers[1].next_moment();
        assert_eq!(next, Some(Nanos(second * SECOND)), "whichever worker is asked");
        rig.at(second * SECOND - 1);
        assert!(rig.serve().is_empty());
        rig.at(second * SECOND);
        assert_eq!(rig.serve().len(), 1);
    }
    assert_eq!(rig.workers[0].next_moment(), None);
}

#[test]
fn a_look_without_room_for_grants_expires_what_is_to_expire() {
    let mut rig = Rig::new(Policy::default());
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("late").deadline(Nanos(5 * MS)));
    // Whatever came before the deadline was taken by nobody.
    while let Some(next) = rig.workers[0].next_moment().filter(|next| *next <= Nanos(5 * MS)) {
        rig.clock.advance_to(next);
        assert_eq!(rig.workers[0].tick(next, 0).count(), 0);
    }
    let expired = rig.expired.lock().unwrap().clone();
    let [("late", waited)] = expired[..] else { panic!("{expired:?}") };
    // A wait is told to 2 us.
    let until = Duration::from_millis(5);
    assert!(waited <= until && waited + Duration::from_micros(2) > until, "{waited:?}");
}

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Parking>>>);

impl Observer for Notes {
    fn parked(&self, parking: Parking) {
        self.0.lock().unwrap().push(parking);
    }
}

#[test]
fn an_observer_is_told_of_each_parking_with_its_reason_and_moment() {
    let (notes, clock) = (Notes::default(), ManualClock::new());
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(1)).unwrap();
    let policy = Policy::builder()
        .tenant_limits("metered", Limits::default().rate(rate))
        .tenant_limits("narrow", at_most(1))
        .tenant_limits("spender", Limits::default().budgets(vec!["org".to_owned()]))
        .budget_hard("org", "cost", 1)
        .build()
        .unwrap();
    let engine: Engine<u32> = Engine::builder()
        .policy(policy)
        .workers(1)
        .clock(Clock::Manual(clock.clone()))
        .observer(notes.clone())
        .build()
        .unwrap();
    let tenants = ["metered", "narrow", "spender", "free"];
    let tenants = tenants.map(|name| engine.tenant(name, "starter").unwrap());
    clock.advance_to(Nanos(7));
    for tenant in tenants {
        (0..2).for_each(|job| {
            engine.submit(tenant, job).unwrap();
        });
    }
    let mut worker = engine.worker().unwrap();
    let mut grants = Vec::new();
    while grants.len() < 5 {
        grants.extend(worker.next_batch(1));
    }
    assert_eq!(worker.next_batch(8).count(), 0);
    let mut told = notes.0.lock().unwrap().clone();
    told.sort_by_key(|parking| parking.tenant);
    assert!(told.iter().all(|parking| parking.at == Nanos(7)));
    let told: Vec<_> = told.iter().map(|p| (p.tenant, p.reason, p.eligible_at, p.budget)).collect();
    let expected = [
        (tenants[0], Reason::Rate, Some(Nanos(SECOND + 7)), None),
        (tenants[1], Reason::Concurrency, None, None),
        (tenants[2], Reason::Budget, None, engine.budget("org")),
    ];
    assert_eq!(told, expected);
}

fn refused(rig: &Rig, tenant: Tenant, job: Job<&'static str>) -> Refused<&'static str> {
    rig.engine.submit(tenant, job).expect_err("no room")
}

/// What a queue with room for two says to a third job, when limits hold up the first two from second 1 on.
fn full_behind(limits: Limits) -> (Rig, Tenant, Refused<&'static str>) {
    let mut rig = Rig::new(policy(|p| {
        p.default_queue_max(2)
            .tier("starter", Weight::ONE)
            .tier_limits("starter", limits)
            .budget_hard("org", "cost", 1)
            .budget_reset("org", Duration::from_secs(30))
    }));
    let acme = rig.tenant("acme");
    rig.submit(acme, "goes");
    let held = rig.look(1);
    assert_eq!(held.len(), 1);
    rig.at(SECOND);
    (0..2).for_each(|_| rig.submit(acme, "waits"));
    assert!(rig.look(1).is_empty());
    let refused = refused(&rig, acme, Job::new("third"));
    drop(held);
    (rig, acme, refused)
}

// Each refusal has its numbers, and the time until it makes sense to come back where that is known.
#[test]
fn a_full_queue_behind_a_rate_or_a_reset_says_when_there_can_be_room() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let drawing = Limits::default().budgets(vec!["org".to_owned()]);
    let known = [(Limits::default().rate(rate), 59), (drawing, 29)];
    for (limits, seconds) in known {
        let (mut rig, acme, told) = full_behind(limits);
        assert_eq!((told.reason(), told.current(), told.limit()), {
            (Reason::QueueFull, Some(2), Some(2))
        });
        assert_eq!(told.retry_after(), Some(Duration::from_secs(seconds)));
        let text = format!("queue full: 2 of 2 jobs queued, retry in {seconds} s");
        assert_eq!(told.to_string(), text);
        rig.at((seconds + 1) * SECOND - 1);
        assert!(rig.look(1).is_empty());
        let nearly = refused(&rig, acme, Job::new("third")).retry_after();
        assert_eq!(nearly, Some(Duration::from_millis(1)), "rounded up");
        assert!(rig.engine.submit(acme, "too early").is_err());
        rig.at((seconds + 1) * SECOND);
        assert_eq!(rig.look(1).len(), 1);
        rig.submit(acme, "there is room");
        assert!(rig.look(1).is_empty());
        assert!(refused(&rig, acme, Job::new("full")).retry_after().is_some());
        // What does not wait any more has no moment.
        rig.engine.set_policy(policy(|p| p.default_queue_max(2))).unwrap();
        assert_eq!(refused(&rig, acme, Job::new("full")).retry_after(), None);
    }
}

#[test]
fn a_full_queue_without_a_moment_promises_none() {
    let (_, _, told) = full_behind(at_most(1));
    assert_eq!((told.current(), told.limit(), told.retry_after()), (Some(2), Some(2), None));
    assert_eq!(told.to_string(), "queue full: 2 of 2 jobs queued");
}

// The lane of a requirement has a bound, a wait and so a moment of its own.
#[test]
fn the_moment_is_that_of_the_lane_that_is_full() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let limits = Limits::default().rate(rate);
    let mut rig = Rig::new(policy(|p| {
        p.default_queue_max(1).tier("starter", Weight::ONE).tier_limits("starter", limits)
    }));
    rig.workers.pop();
    let gpu = caps("gpu");
    let needs = rig.engine.requirement(&gpu).unwrap();
    let mut able = rig.engine.worker_with(gpu).unwrap();
    let acme = rig.tenant("acme");
    rig.submit(acme, "goes");
    assert_eq!(rig.look(1).len(), 1);
    rig.submit(acme, Job::new("waits").requires(needs));
    assert_eq!(able.next_batch(1).count(), 0);
    let told = refused(&rig, acme, Job::new("more").requires(needs));
    assert_eq!(told.retry_after(), Some(Duration::from_secs(60)));
    rig.submit(acme, "in the other lane");
    let told = refused(&rig, acme, Job::new("more"));
    assert_eq!(told.retry_after(), None, "no visit has found that it waits");
}

#[test]
fn every_other_refusal_has_the_numbers_that_it_has() {
    let rate = Rate::strict(5, Unit::Cost, Duration::from_secs(1)).unwrap();
    let rig = Rig::new(policy(|p| {
        p.queue_max(2)
            .tenants_max(2)
            .tier("starter", Weight::ONE)
            .tier_limits("starter", Limits::default().rate(rate))
            .tier("free", Weight::ONE)
    }));
    let (acme, free) = (rig.tenant("acme"), rig.engine.tenant("free", "free").unwrap());
    let numbers = |told: Refused<&'static str>| {
        assert_eq!(told.retry_after(), None);
        (told.reason(), told.current(), told.limit())
    };
    let wide = numbers(refused(&rig, acme, Job::new("wide").cost(6)));
    assert_eq!(wide, (Reason::TooWide, Some(6), Some(5)));
    let dear = numbers(refused(&rig, free, Job::new("dear").cost(1_000_001)));
    assert_eq!(dear, (Reason::Invalid, Some(1_000_001), Some(1_000_000)));
    let other = Rig::new(Policy::default());
    let foreign = other.engine.requirement(&caps("gpu")).unwrap();
    let foreign = numbers(refused(&rig, free, Job::new("foreign").requires(foreign)));
    assert_eq!(foreign, (Reason::Invalid, None, None));
    let late = numbers(refused(&rig, free, Job::new("late").deadline(Nanos::ZERO)));
    assert_eq!(late, (Reason::Deadline, None, None));
    (0..2).for_each(|_| rig.submit(free, "fills"));
    let full = numbers(refused(&rig, free, Job::new("more")));
    assert_eq!(full, (Reason::EngineFull, None, Some(2)));
}
