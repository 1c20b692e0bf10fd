//! `explain` says what the gate does next.

use crate::rig::{Rig, SECOND, limited};
use fairlane::{Cap, Job, Limits, Nanos, Rate, Reason, Standing, Unit, Wait};
use proptest::prelude::*;
use std::time::Duration;

fn wait(rig: &Rig, tenant: fairlane::Tenant) -> Wait {
    match rig.engine.explain(tenant).expect("a live handle").standing {
        Standing::Waiting(wait) => wait,
        other => panic!("{other:?}"),
    }
}

//
#[test]
fn a_wait_for_the_rate_names_limit_window_and_moment() {
    let rate = Rate::strict(2, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let mut rig = Rig::new(limited(Limits::default().rate(rate)));
    let acme = rig.tenant("acme");
    rig.at(SECOND);
    (0..3).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 2);
    let wait = wait(&rig, acme);
    assert_eq!((wait.reason, wait.since), (Reason::Rate, Nanos(SECOND)));
    assert_eq!(wait.reason.block_reason(), Some("waiting_for_quota"));
    assert_eq!((wait.used, wait.limit), (2, 2));
    assert_eq!(wait.eligible_at, Some(Nanos(61 * SECOND)));
    assert_eq!(wait.detail, "rate limit 2/2 jobs per 60 s window");
}

#[test]
fn a_wait_for_a_slot_names_its_scope_and_no_moment() {
    let mut rig = Rig::new(limited(Limits::default().concurrency(Cap::Grants(1))));
    let acme = rig.tenant("acme");
    (0..2).for_each(|_| rig.submit(acme, "job"));
    let held = rig.look(2);
    assert!(rig.look(1).is_empty());
    let wait = wait(&rig, acme);
    assert_eq!((wait.reason, wait.eligible_at), (Reason::Concurrency, None));
    assert_eq!(wait.detail, "concurrency limit 1/1 in flight");
    drop(held);
    let ready = rig.engine.explain(acme).unwrap();
    assert_eq!(ready.standing, Standing::Ready { rounds_ahead: 1 });
}

#[test]
fn an_idle_tenant_shows_what_its_next_job_would_wait_for() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(1)).unwrap();
    let mut rig = Rig::new(limited(Limits::default().rate(rate)));
    let acme = rig.tenant("acme");
    assert_eq!(rig.engine.explain(acme).unwrap().standing, Standing::Idle(None));
    rig.submit(acme, "job");
    rig.serve();
    match rig.engine.explain(acme).unwrap().standing {
        Standing::Idle(Some(wait)) => assert_eq!(wait.eligible_at, Some(Nanos(SECOND))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wait_for_the_due_moment_says_so() {
    let mut rig = Rig::new(fairlane::Policy::default());
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("later").not_before(Nanos(SECOND)));
    assert!(rig.serve().is_empty());
    let wait = wait(&rig, acme);
    assert_eq!((wait.reason, wait.eligible_at), (Reason::NotDue, Some(Nanos(SECOND))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The predicted moment is the moment of the grant: nothing a nanosecond before, the job at it.
    #[test]
    fn the_predicted_moment_is_the_moment_of_the_grant(
        most in 1u64..200, per_ms in 1u64..5_000, burst in prop::option::of(1u64..20),
        by_cost: bool, costs in prop::collection::vec(1u32..20, 1..60),
        gaps in prop::collection::vec(0u64..50_000_000, 60), delay in prop::option::of(1u64..1_000_000),
    ) {
        let unit = if by_cost { Unit::Cost } else { Unit::Jobs };
        let per = Duration::from_millis(per_ms);
        let rate = match burst {
            Some(burst) => Rate::smooth(most, unit, per, burst.min(most)).unwrap(),
            None => Rate::strict(most, unit, per).unwrap(),
        };
        let widest = u32::try_from(rate.widest()).unwrap();
        let mut rig = Rig::new(limited(Limits::default().rate(rate)));
        let acme = rig.tenant("acme");
        let mut now = 0;
        for (cost, gap) in costs.iter().zip(gaps) {
            now += gap;
            rig.at(now);
            let job = Job::new("job").cost(if by_cost { (*cost).min(widest) } else { *cost });
            let job = match delay {
                Some(delay) => job.not_before(Nanos(now + delay)),
                None => job,
            };
            rig.submit(acme, job);
            rig.serve();
        }
        while rig.engine.snapshot().depth > 0 {
            let moment = wait(&rig, acme).eligible_at.expect("rates and due times have a moment");
            prop_assert!(moment > Nanos(now));
            rig.at(moment.0 - 1);
            prop_assert!(rig.serve().is_empty(), "granted before {moment:?}");
            rig.at(moment.0);
            let served = rig.serve();
            // A due job may have a rate to wait for next.
            let waits_on = || wait(&rig, acme).eligible_at > Some(moment);
            prop_assert!(!served.is_empty() || waits_on(), "nothing at {moment:?}");
            now = moment.0;
        }
    }
}
