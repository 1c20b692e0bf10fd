//! What those who turn the clock, and observers, are told of parked lanes.

use crate::rig::{MS, Rig, SECOND, limited};
use fairlane::{
    Cap, Clock, Engine, Job, Limits, ManualClock, Nanos, Observer, Parking, Policy, Rate, Reason,
    Unit,
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
        .tenant_limits("narrow", Limits::default().concurrency(Cap::Grants(1)))
        .build()
        .unwrap();
    let engine: Engine<u8> = Engine::builder()
        .policy(policy)
        .workers(1)
        .clock(Clock::Manual(clock.clone()))
        .observer(notes.clone())
        .build()
        .unwrap();
    let tenants = ["metered", "narrow", "free"].map(|name| engine.tenant(name, "starter").unwrap());
    clock.advance_to(Nanos(7));
    for tenant in tenants {
        (0..2).for_each(|job| {
            engine.submit(tenant, job).unwrap();
        });
    }
    let mut worker = engine.worker().unwrap();
    let mut grants = Vec::new();
    while grants.len() < 4 {
        grants.extend(worker.next_batch(1));
    }
    assert_eq!(worker.next_batch(8).count(), 0);
    let mut told = notes.0.lock().unwrap().clone();
    told.sort_by_key(|parking| parking.tenant);
    let told: Vec<_> = told.iter().map(|p| (p.tenant, p.reason, p.at, p.eligible_at)).collect();
    let expected = [
        (tenants[0], Reason::Rate, Nanos(7), Some(Nanos(SECOND + 7))),
        (tenants[1], Reason::Concurrency, Nanos(7), None),
    ];
    assert_eq!(told, expected);
}
