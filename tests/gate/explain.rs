//! `explain` says what the gate does next.

use crate::cases::config;
use crate::rig::{Rig, SECOND, at_most, caps, limited, policy, wait, wait_of};
use fairlane::{
    Cap, Job, Limits, Nanos, Policy, Rate, Reason, Requirement, Standing, Unit, Wait, Weight,
};
use proptest::prelude::*;
use std::time::Duration;

/// What the tenant's only lane of jobs with a requirement waits for.
fn branch_wait(rig: &Rig, tenant: fairlane::Tenant) -> Wait {
    let branches = rig.engine.explain(tenant).expect("a live handle").branches;
    match &branches[..] {
        [branch] => wait_of(branch.standing.clone()),
        other => panic!("{other:?}"),
    }
}

/// A rig with one plain worker and a place for another.
fn with_a_free_place(policy: Policy) -> (Rig, Requirement) {
    let mut rig = Rig::new(policy);
    rig.workers.pop();
    let needs = rig.engine.requirement(&caps("gpu")).unwrap();
    (rig, needs)
}

/// The lanes that wait for `reason`, by the snapshot, and the one tenant's reason there.
fn in_snapshot(rig: &Rig, reason: Reason) -> (u64, Option<Reason>) {
    let snapshot = rig.engine.snapshot();
    let lanes: u64 = snapshot.limits.waiting.values().sum();
    let of_it = snapshot.limits.waiting.get(&reason).copied().unwrap_or(0);
    assert_eq!(lanes, of_it, "no lane waits for anything else: {:?}", snapshot.limits.waiting);
    (of_it, snapshot.tenant_rows[0].waits_for)
}

// since the jobs came, or since the last capable worker left.
#[test]
fn a_wait_for_a_worker_counts_from_its_beginning() {
    let (mut rig, needs) = with_a_free_place(Policy::default());
    let acme = rig.tenant("acme");
    rig.at(SECOND);
    rig.submit(acme, Job::new("one").requires(needs));
    assert!(rig.serve().is_empty());
    rig.at(5 * SECOND);
    rig.submit(acme, Job::new("two").requires(needs));
    rig.at(61 * SECOND);
    let wait = branch_wait(&rig, acme);
    assert_eq!((wait.reason, wait.since), (Reason::NoCapableWorker, Nanos(SECOND)));
    assert_eq!(in_snapshot(&rig, Reason::NoCapableWorker), (1, Some(Reason::NoCapableWorker)));

    let mut able = rig.engine.worker_with(caps("gpu")).unwrap();
    assert_eq!(able.next_batch(1).count(), 1);
    assert_eq!(in_snapshot(&rig, Reason::NoCapableWorker), (0, None));
    rig.at(70 * SECOND);
    drop(able);
    rig.at(80 * SECOND);
    assert_eq!(branch_wait(&rig, acme).since, Nanos(70 * SECOND));
    // A second worker that comes and goes begins another wait.
    drop(rig.engine.worker_with(caps("gpu")).unwrap());
    assert_eq!(branch_wait(&rig, acme).since, Nanos(80 * SECOND));
    let mut able = rig.engine.worker_with(caps("gpu")).unwrap();
    assert_eq!(able.next_batch(8).count(), 1);
    drop(able);
    rig.at(90 * SECOND);
    rig.submit(acme, Job::new("three").requires(needs));
    assert_eq!(branch_wait(&rig, acme).since, Nanos(90 * SECOND), "no job waited before");
}

// Requirement, due, deadline, budget, rate, concurrency: the requirement comes first.
#[test]
fn without_a_worker_that_can_run_it_a_parked_lane_waits_for_that() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let (mut rig, needs) = with_a_free_place(limited(Limits::default().rate(rate)));
    let acme = rig.tenant("acme");
    let mut able = rig.engine.worker_with(caps("gpu")).unwrap();
    (0..3).for_each(|_| rig.submit(acme, Job::new("job").requires(needs)));
    assert_eq!(able.next_batch(8).count(), 1);
    assert_eq!(able.next_batch(8).count(), 0);
    assert_eq!(branch_wait(&rig, acme).reason, Reason::Rate);
    assert_eq!(in_snapshot(&rig, Reason::Rate), (1, Some(Reason::Rate)));
    rig.at(SECOND);
    drop(able);
    let wait = branch_wait(&rig, acme);
    assert_eq!((wait.reason, wait.eligible_at), (Reason::NoCapableWorker, None));
    assert_eq!(wait.since, Nanos(SECOND));
    assert_eq!(in_snapshot(&rig, Reason::NoCapableWorker), (1, Some(Reason::NoCapableWorker)));
    let _able = rig.engine.worker_with(caps("gpu")).unwrap();
    assert_eq!(branch_wait(&rig, acme).reason, Reason::Rate);
    assert_eq!(in_snapshot(&rig, Reason::Rate), (1, Some(Reason::Rate)));
    rig.at(60 * SECOND);
    assert!(rig.serve().is_empty(), "the plain worker cannot run it");
}

#[test]
fn jobs_that_are_not_due_and_those_without_a_worker_are_in_the_snapshot() {
    let (mut rig, needs) = with_a_free_place(Policy::default());
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("later").not_before(Nanos(SECOND)));
    assert!(rig.serve().is_empty());
    assert_eq!(in_snapshot(&rig, Reason::NotDue), (1, Some(Reason::NotDue)));
    rig.submit(acme, Job::new("gpu").requires(needs));
    let snapshot = rig.engine.snapshot();
    let waiting: Vec<_> = snapshot.limits.waiting.into_iter().collect();
    assert_eq!(waiting, [(Reason::NoCapableWorker, 1), (Reason::NotDue, 1)]);
    assert_eq!(snapshot.tenant_rows[0].waits_for, Some(Reason::NotDue), "the first lane's");
    rig.at(SECOND);
    assert_eq!(rig.serve(), ["later"]);
    assert_eq!(in_snapshot(&rig, Reason::NoCapableWorker), (1, Some(Reason::NoCapableWorker)));
}

// What the gate would refuse is said before a worker has looked.
#[test]
fn between_a_submission_and_the_next_visit_the_limits_are_foreseen() {
    let every = |cap| Limits::default().concurrency(cap);
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let drawing = Limits::default().budgets(vec!["org".to_owned()]);
    let tiers = |p: fairlane::PolicyBuilder| p.tier("starter", Weight::ONE);
    let policies = [
        (limited(every(Cap::Grants(1))), Reason::Concurrency),
        (limited(Limits::default().rate(rate)), Reason::Rate),
        (policy(|p| tiers(p).tier_concurrency("starter", Cap::Grants(1))), Reason::TierConcurrency),
        (policy(|p| tiers(p).concurrency(1)), Reason::EngineConcurrency),
        (
            policy(|p| tiers(p).tier_limits("starter", drawing).budget_hard("org", "cost", 1)),
            Reason::Budget,
        ),
    ];
    for (policy, reason) in policies {
        let mut rig = Rig::new(policy);
        let acme = rig.tenant("acme");
        rig.submit(acme, "first");
        let ready = rig.engine.explain(acme).unwrap().standing;
        assert_eq!(ready, Standing::Ready, "{reason}: it may go");
        let held = rig.look(1);
        rig.at(SECOND);
        rig.submit(acme, "second");
        let foreseen = wait(&rig, acme);
        assert_eq!((foreseen.reason, foreseen.since), (reason, Nanos(SECOND)));
        assert!(rig.look(1).is_empty());
        assert_eq!(wait(&rig, acme), foreseen, "{reason}: the visit finds the same");
        drop(held);
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
    let mut rig = Rig::new(limited(at_most(1)));
    let acme = rig.tenant("acme");
    (0..2).for_each(|_| rig.submit(acme, "job"));
    let held = rig.look(2);
    assert!(rig.look(1).is_empty());
    let wait = wait(&rig, acme);
    assert_eq!((wait.reason, wait.eligible_at), (Reason::Concurrency, None));
    assert_eq!(wait.detail, "concurrency limit 1/1 in flight");
    drop(held);
    let ready = rig.engine.explain(acme).unwrap();
    assert_eq!((ready.standing, ready.rounds_ahead), (Standing::Ready, 1));
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
    #![proptest_config(config(1_000))]

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

// One look grants two jobs and refuses the third: the wait has begun, and a second refusal does not begin it anew.
#[test]
fn a_wait_that_began_in_a_look_with_grants_keeps_its_beginning() {
    let rate = Rate::strict(2, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let limits = Limits::default().rate(rate);
    let mut rig = Rig::new(limited(limits.clone()));
    let acme = rig.tenant("acme");
    (0..5).for_each(|_| rig.submit(acme, "job"));
    rig.at(SECOND);
    assert_eq!(rig.look(9).len(), 2);
    assert_eq!(wait(&rig, acme).since, Nanos(SECOND));
    rig.at(2 * SECOND);
    rig.engine.set_policy(limited(limits)).unwrap();
    assert!(rig.look(9).is_empty());
    assert_eq!(wait(&rig, acme).since, Nanos(SECOND));
}

// A wait ends with the jobs that waited: those that come later have waited since they came.
#[test]
fn a_wait_that_ended_without_a_grant_is_not_the_next_jobs() {
    let mut rig = Rig::new(limited(at_most(1)));
    let acme = rig.tenant("acme");
    rig.submit(acme, "runs");
    let running = rig.look(1);
    rig.submit(acme, Job::new("expires").max_wait(Duration::from_secs(1)));
    assert!(rig.look(1).is_empty());
    assert_eq!(wait(&rig, acme).since, Nanos(0));
    rig.at(2 * SECOND);
    assert!(rig.look(1).is_empty());
    assert_eq!(rig.expired.lock().unwrap().len(), 1);
    rig.at(3_600 * SECOND);
    rig.submit(acme, "waits");
    assert!(rig.look(1).is_empty());
    let waits = wait(&rig, acme);
    assert_eq!((waits.reason, waits.since), (Reason::Concurrency, Nanos(3_600 * SECOND)));
    drop(running);
}

#[test]
fn a_job_that_is_not_due_has_waited_since_it_came_not_since_the_one_before_it() {
    let mut rig = Rig::new(policy(|policy| policy));
    let acme = rig.tenant("acme");
    for start in [0, 100] {
        rig.at(start * SECOND);
        rig.submit(acme, Job::new("later").delay(Duration::from_secs(10)));
        assert!(rig.look(1).is_empty());
        assert_eq!(wait(&rig, acme).since, Nanos(start * SECOND));
        rig.at((start + 10) * SECOND);
        assert_eq!(rig.serve(), ["later"]);
    }
}

// The lane whose class is served does not make the tenant's other lane look as if it had just come.
#[test]
fn each_lane_of_a_tenant_has_waited_for_itself() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(100)).unwrap();
    let (mut rig, gpu) = with_a_free_place(limited(Limits::default().rate(rate)));
    let mut able = rig.engine.worker_with(caps("gpu")).unwrap();
    let acme = rig.tenant("acme");
    rig.submit(acme, "first");
    assert_eq!(rig.serve(), ["first"]);
    rig.at(SECOND);
    rig.submit(acme, Job::new("gpu").requires(gpu));
    assert_eq!(able.next_batch(1).count(), 0);
    rig.at(2 * SECOND);
    rig.submit(acme, "plain");
    assert!(rig.look(1).is_empty());
    let since = [branch_wait(&rig, acme).since, wait(&rig, acme).since];
    assert_eq!(since, [Nanos(SECOND), Nanos(2 * SECOND)]);
}

// C-26: rounds = ceil(cost ahead / quantum), for a lane that takes its turns and for one that is parked.
#[test]
fn rounds_ahead_follow_what_waits_what_it_costs_and_the_quantum() {
    let text = "[engine]\nbase_quantum = 10\n[tiers.starter]\nweight = 2\nconcurrency = 3\n";
    let mut rig = Rig::new(Policy::from_toml(text).unwrap());
    let acme = rig.tenant("acme");
    let rounds = |rig: &Rig| {
        let explained = rig.engine.explain(acme).expect("a live handle");
        (explained.depth, explained.rounds_ahead, explained.standing == Standing::Ready)
    };
    assert_eq!((rounds(&rig).0, rounds(&rig).1), (0, 0));
    // As if each cost 1 until one has been granted, then 7 each, of 20 a round.
    (0..43).for_each(|_| rig.submit(acme, Job::new("job").cost(7)));
    assert_eq!(rounds(&rig), (43, 3, true));
    let mut running = rig.look(2);
    assert_eq!(rounds(&rig), (41, 15, true));
    running.extend(rig.look(8));
    assert_eq!(rounds(&rig), (40, 14, false));
    drop(running);
}

// A refusal in the visit that grants begins the wait, and what brings the lane back in between does not end it.
#[test]
fn a_wait_goes_on_when_the_lane_is_looked_at_in_between() {
    let mut rig = Rig::new(limited(at_most(2)));
    let acme = rig.tenant("acme");
    (0..3).for_each(|_| rig.submit(acme, Job::new("job").priority(5_000)));
    let running = rig.look(8);
    assert_eq!((running.len(), wait(&rig, acme).since), (2, Nanos(0)));
    rig.at(5 * SECOND);
    rig.submit(acme, Job::new("expires").max_wait(Duration::from_secs(1)));
    rig.at(7 * SECOND);
    assert!(rig.look(8).is_empty());
    assert_eq!(rig.expired.lock().unwrap().len(), 1);
    assert_eq!(wait(&rig, acme).since, Nanos(0));
}
